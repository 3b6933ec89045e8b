//! The loop against a thread that answers in awkward pieces.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::thread;

use super::*;

/// Answers every request with its body's length as 9,000 bytes of text, cut into pieces of `piece` bytes; after `limit` requests
/// a connection is closed.
fn awkward_server(connections: usize, piece: usize, limit: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || serve(stream, piece, limit));
        }
    });
    addr
}

fn serve(stream: std::net::TcpStream, piece: usize, limit: usize) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    for _ in 0..limit {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let text = format!("{length:>9000}");
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        for part in answer.as_bytes().chunks(piece) {
            (&stream).write_all(part)?;
        }
    }
    Ok(())
}

struct Numbers {
    sent: u64,
    limit: u64,
    answers: Vec<u64>,
}

impl Work for Numbers {
    fn next(&mut self) -> Result<Option<(u64, Request)>> {
        if self.sent == self.limit {
            return Ok(None);
        }
        self.sent += 1;
        let body = vec![b'x'; self.sent as usize * 1000];
        let mut request = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend(body);
        // By turns from memory and from a file.
        if self.sent.is_multiple_of(2) {
            return Ok(Some((self.sent, Request::Memory(request.into()))));
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(b"before")?;
        file.write_all(&request)?;
        file.write_all(b"after")?;
        Ok(Some((self.sent, Request::File { file: file.into(), at: 6, len: request.len() })))
    }

    fn wants(&mut self, number: u64) -> Want {
        match number % 3 {
            0 => Want::Nothing,
            1 => Want::Whole,
            _ => Want::Beginning(10),
        }
    }

    fn answered(&mut self, number: u64, status: u16, body: Option<&[u8]>) -> Result<()> {
        assert_eq!(status, 200);
        let whole = format!("{:>9000}", number * 1000);
        let expected = match number % 3 {
            0 => None,
            1 => Some(whole.as_bytes()),
            _ => Some(&whole.as_bytes()[..10]),
        };
        assert_eq!(body, expected);
        self.answers.push(number);
        Ok(())
    }
}

#[test]
fn every_request_gets_its_own_answer() {
    for piece in [7, 4096, 100_000] {
        let addr = awkward_server(3, piece, usize::MAX);
        let mut work = Numbers { sent: 0, limit: 50, answers: Vec::new() };
        let slice = run(addr, 3, Duration::from_secs(60), &mut work).unwrap();
        work.answers.sort_unstable();
        assert_eq!(work.answers, (1..=50).collect::<Vec<_>>());
        assert_eq!((slice.requests, slice.latencies.len()), (50, 50));
        assert!(slice.rate() > 0.0 && slice.halted.is_none());
    }
}

#[test]
fn a_connection_that_breaks_fails_the_slice() {
    let addr = awkward_server(2, 100, 3);
    let mut work = Numbers { sent: 0, limit: 50, answers: Vec::new() };
    assert!(run(addr, 2, Duration::from_secs(60), &mut work).is_err());
    assert!(work.answers.len() <= 6);
}

#[test]
fn nothing_is_sent_after_the_period() {
    let addr = awkward_server(1, 100, usize::MAX);
    let mut work = Numbers { sent: 0, limit: u64::MAX, answers: Vec::new() };
    let slice = run(addr, 1, Duration::ZERO, &mut work).unwrap();
    assert_eq!(slice.requests, 1, "the first request goes out, and no second one");
}

#[test]
fn an_open_loop_sends_by_the_clock() {
    let addr = awkward_server(4, 4096, usize::MAX);
    let mut work = Numbers { sent: 0, limit: 30, answers: Vec::new() };
    let slice = run_paced(addr, 4, Duration::from_secs(60), 100.0, &mut work).unwrap();
    assert_eq!(slice.requests, 30);
    // The first one goes out at once, the others 10 ms apart; the end is seen when the 31st would be due.
    assert!(slice.elapsed >= Duration::from_millis(280), "{:?}", slice.elapsed);

    let addr = awkward_server(4, 4096, usize::MAX);
    let mut work = Numbers { sent: 0, limit: u64::MAX, answers: Vec::new() };
    let slice = run_paced(addr, 4, Duration::from_millis(100), 50.0, &mut work).unwrap();
    assert!((1..=6).contains(&slice.requests), "{} requests in 100 ms", slice.requests);
}
