//! HTTP/1.1, as much as a receiver needs, and as broken as it is told to be.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Bytes of a head at most: AWS's common attributes alone may be 64 KiB.
const MAX_HEAD_BYTES: usize = 256 << 10;
/// Bytes of a body at most.
const MAX_BODY_BYTES: usize = 256 << 20;

/// A request as it came.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    /// Names in lower case; of a repeated one the last.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) form: Form,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// With its length.
    Whole,
    /// In one chunk, without its length.
    Chunked,
    /// The first half of it.
    Half,
}

impl Answer {
    pub(super) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, kind: "application/json", body: body.into(), form: Form::Whole }
    }
}

/// A connection of a client.
pub(super) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }

    /// The next request; `None` at the end of the connection.
    pub(super) async fn read(&mut self) -> io::Result<Option<Incoming>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let len = self.0.read_until(b'\n', &mut head).await?;
            if len == 0 && head.is_empty() {
                return Ok(None);
            }
            if len == 0 || head.len() > MAX_HEAD_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let len = headers.get("content-length").map_or(Ok(0), |len| len.parse::<usize>());
        let len = len.ok().filter(|len| *len <= MAX_BODY_BYTES && !headers.contains_key("transfer-encoding"));
        let len = len.ok_or(io::ErrorKind::InvalidData)?;
        if headers.get("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
            self.0.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).await?;
        Ok(Some(Incoming { method, path, headers, body }))
    }

    /// Sends an answer; whether the connection can go on.
    pub(super) async fn write(&mut self, answer: &Answer) -> io::Result<bool> {
        let Answer { status, kind, body, form } = answer;
        let len = body.len();
        let framing = match form {
            Form::Whole | Form::Half => format!("content-length: {len}"),
            Form::Chunked => "transfer-encoding: chunked".to_owned(),
        };
        // Where nobody may follow.
        let location = if (300..400).contains(status) { "location: /followed\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status} Planned\r\ncontent-type: {kind}\r\n{location}{framing}\r\n\r\n");
        let mut bytes = head.into_bytes();
        match form {
            Form::Whole => bytes.extend_from_slice(body),
            Form::Half => bytes.extend_from_slice(&body[..len / 2]),
            Form::Chunked if len == 0 => bytes.extend_from_slice(b"0\r\n\r\n"),
            Form::Chunked => {
                bytes.extend_from_slice(format!("{len:x}\r\n").as_bytes());
                bytes.extend_from_slice(body);
                bytes.extend_from_slice(b"\r\n0\r\n\r\n");
            }
        }
        self.0.get_mut().write_all(&bytes).await?;
        Ok(*form != Form::Half)
    }
}
