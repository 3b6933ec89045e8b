//! The load generator: one thread, a closed loop over keep-alive connections, each with one request under way.
//!
//! It has to be much cheaper than any server it measures, so it writes bytes that are rendered already and reads
//! no more of an answer than its head, except where [`Work::wants`] asks for more: the kernel drops the rest
//! without a copy.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Result;
use crate::proc::thread_cpu;
use crate::response::Head;

/// How long answers under way may take once nothing more is sent.
const GRACE: Duration = Duration::from_secs(60);
/// How often [`Work::halt`] is asked.
const HALT_EVERY: Duration = Duration::from_millis(200);
/// Room for an answer's head, or for a small answer.
const HEAD_BYTES: usize = 4096;
/// Most bytes of an unwanted body that are dropped at once.
const DROP_BYTES: usize = 256 * 1024;

/// A whole request, head and body.
#[derive(Clone)]
pub(crate) enum Request {
    /// In memory.
    Memory(Bytes),
    /// In a file, from where the kernel takes it without a copy. That halves what a large request costs the load
    /// generator.
    File {
        /// The file.
        file: Arc<File>,
        /// Where the request begins.
        at: u64,
        /// Its length.
        len: usize,
    },
}

impl Request {
    fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File { len, .. } => *len,
        }
    }

    /// Writes what stands from `sent` on; answers how much was taken.
    fn write(&self, stream: &mut TcpStream, sent: usize) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => stream.write(&bytes[sent..]),
            Self::File { file, at, len } => {
                let mut from = at + sent as u64;
                Ok(rustix::fs::sendfile(&*stream, file, Some(&mut from), len - sent)?)
            }
        }
    }
}

/// What is sent, and what is made of the answers.
pub(crate) trait Work {
    /// The next request with a number to know it by, or `None` when there is nothing more to send.
    ///
    /// # Errors
    /// Ends the slice.
    fn next(&mut self) -> Result<Option<(u64, Request)>>;

    /// Whether the body of the answer to this request is to be read; asked once, when its head is there.
    fn wants(&mut self, number: u64) -> bool;

    /// Takes an answer: its status, and its body if it was wanted or the status is not 200.
    ///
    /// # Errors
    /// Ends the slice.
    fn answered(&mut self, number: u64, status: u16, body: Option<&[u8]>) -> Result<()>;

    /// A reason to send nothing more.
    fn halt(&mut self) -> Option<String> {
        None
    }
}

/// What a slice of load came to.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Requests answered.
    pub(crate) requests: u64,
    /// From the first byte sent to the last answer.
    pub(crate) elapsed: Duration,
    /// Nanoseconds from each request's first byte sent to its answer's last byte read, at most `u32::MAX`.
    pub(crate) latencies: Vec<u32>,
    /// CPU time of the load generator.
    pub(crate) cpu: Duration,
    /// Why sending stopped before its time.
    pub(crate) halted: Option<String>,
}

impl Slice {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The load generator's CPU time as a fraction of the slice.
    pub(crate) fn cpu_fraction(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

struct Connection {
    stream: TcpStream,
    request: Request,
    sent: usize,
    number: u64,
    started: Instant,
    inbox: Vec<u8>,
    filled: usize,
    head: Option<Head>,
    /// The answer's body is read, not dropped.
    keep: bool,
    busy: bool,
}

/// Runs `work` against `addr` for `period` over fresh connections, and waits for the last answers.
///
/// # Errors
/// If a connection breaks, an answer cannot be read, or `work` says so.
pub(crate) fn run(addr: SocketAddr, connections: usize, period: Duration, work: &mut dyn Work) -> Result<Slice> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(connections.max(16));
    let mut pool = (0..connections).map(|i| connect(&poll, addr, i)).collect::<Result<Vec<_>>>()?;
    let mut slice = Slice::default();
    let mut running = 0usize;
    let (start, cpu) = (Instant::now(), thread_cpu());
    let (deadline, mut next_halt) = (start + period, start + HALT_EVERY);
    let mut sending = true;
    for connection in &mut pool {
        running += usize::from(connection.begin(start, work)?);
    }
    while running > 0 {
        poll.poll(&mut events, Some(Duration::from_millis(100))).or_else(ignore_interrupt)?;
        let mut now = Instant::now();
        if now >= next_halt && sending {
            slice.halted = work.halt();
            sending = slice.halted.is_none();
            next_halt = now + HALT_EVERY;
        }
        if now > deadline + GRACE {
            return Err(format!("{running} requests unanswered {GRACE:?} after the end of the slice").into());
        }
        for event in &events {
            let connection = &mut pool[event.token().0];
            if !connection.busy {
                continue;
            }
            if event.is_writable() {
                connection.push()?;
            }
            if event.is_readable() && connection.pull(work)? {
                now = Instant::now();
                slice.requests += 1;
                let nanos = now.duration_since(connection.started).as_nanos();
                slice.latencies.push(u32::try_from(nanos).unwrap_or(u32::MAX));
                sending &= now < deadline;
                running -= usize::from(!(sending && connection.begin(now, work)?));
            }
        }
    }
    slice.elapsed = start.elapsed();
    slice.cpu = thread_cpu().saturating_sub(cpu);
    Ok(slice)
}

fn connect(poll: &Poll, addr: SocketAddr, index: usize) -> Result<Connection> {
    let stream = std::net::TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    // Pacing on a loopback connection is wasted work; Reno, which every kernel has, does none.
    rustix::net::sockopt::set_tcp_congestion(&stream, "reno")?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
    Ok(Connection {
        stream,
        request: Request::Memory(Bytes::new()),
        sent: 0,
        number: 0,
        started: Instant::now(),
        inbox: vec![0; DROP_BYTES],
        filled: 0,
        head: None,
        keep: false,
        busy: false,
    })
}

fn ignore_interrupt(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

impl Connection {
    /// Starts the next request, if there is one.
    fn begin(&mut self, now: Instant, work: &mut dyn Work) -> Result<bool> {
        let Some((number, request)) = work.next()? else { return Ok(false) };
        (self.number, self.request, self.sent) = (number, request, 0);
        (self.started, self.filled, self.head, self.busy) = (now, 0, None, true);
        self.push()?;
        Ok(true)
    }

    /// Writes until all is sent or the socket is full.
    fn push(&mut self) -> Result<()> {
        while self.sent < self.request.len() {
            match self.request.write(&mut self.stream, self.sent) {
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A server that refuses a request early has answered before it closes; read that first.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Reads until the answer is whole (true) or the socket is empty. Readiness is edge-triggered: a read that
    /// gets less than it asked for has emptied the socket, and whatever comes later wakes us again.
    fn pull(&mut self, work: &mut dyn Work) -> Result<bool> {
        loop {
            let (asked, got) = self.receive();
            match got {
                Ok(0) => return Err("the server closed a connection with a request under way".into()),
                Ok(n) => {
                    self.filled += n;
                    if self.complete(work)? {
                        return Ok(true);
                    }
                    if n < asked {
                        return Ok(false);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Receives once; answers how many bytes were asked for, and how many came.
    fn receive(&mut self) -> (usize, io::Result<usize>) {
        let until = self.head.map_or(self.filled + HEAD_BYTES, |head| head.total_bytes());
        if self.head.is_some() && !self.keep {
            let asked = (until - self.filled).min(DROP_BYTES);
            let flags = rustix::net::RecvFlags::TRUNC;
            let got = rustix::net::recv(&self.stream, &mut self.inbox[..asked], flags);
            return (asked, got.map(|(_, n)| n).map_err(io::Error::from));
        }
        if self.inbox.len() < until {
            self.inbox.resize(until, 0);
        }
        (until - self.filled, self.stream.read(&mut self.inbox[self.filled..until]))
    }

    /// Hands a whole answer over.
    fn complete(&mut self, work: &mut dyn Work) -> Result<bool> {
        if self.head.is_none() {
            self.head = Head::parse(&self.inbox[..self.filled])?;
            self.keep = self.head.is_some_and(|head| head.status != 200 || work.wants(self.number));
        }
        let Some(head) = self.head.filter(|h| self.filled >= h.total_bytes()) else { return Ok(false) };
        self.busy = false;
        let body = self.keep.then(|| &self.inbox[head.head_bytes..head.total_bytes()]);
        work.answered(self.number, head.status, body)?;
        if head.close {
            return Err("the server closes a connection that was to be kept".into());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
