//! Calls that are not measured: one request, one answer, on a connection of their own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Result;
use crate::request::Renderer;
use crate::response::Head;

/// Longest wait for any byte of an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A blocking client with one keep-alive connection.
pub(crate) struct Client {
    addr: SocketAddr,
    renderer: Renderer,
    stream: Option<TcpStream>,
}

/// An answer: status code and body.
pub(crate) type Answer = (u16, Vec<u8>);

impl Client {
    /// For the server at `addr`; connects with the first call.
    ///
    /// # Errors
    /// As [`Renderer::new`].
    pub(crate) fn new(addr: SocketAddr) -> Result<Self> {
        Ok(Self { addr, renderer: Renderer::new(addr.to_string())?, stream: None })
    }

    /// Calls a Kinesis operation and answers the reply's JSON.
    ///
    /// # Errors
    /// If it is not answered with 200.
    pub(crate) fn kinesis(&mut self, operation: &str, input: &serde_json::Value) -> Result<serde_json::Value> {
        let body = self.kinesis_bytes(operation, input.to_string().as_bytes())?;
        Ok(if body.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(&body)? })
    }

    /// Calls a Firehose operation and answers the reply's JSON.
    ///
    /// # Errors
    /// If it is not answered with 200.
    pub(crate) fn firehose(&mut self, operation: &str, input: &serde_json::Value) -> Result<serde_json::Value> {
        let request = self.renderer.firehose(operation, input.to_string().as_bytes())?;
        let body = expect_ok(operation, self.exchange(&request)?)?;
        Ok(if body.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(&body)? })
    }

    /// As [`Self::kinesis`], from and to bytes.
    ///
    /// # Errors
    /// If it is not answered with 200.
    pub(crate) fn kinesis_bytes(&mut self, operation: &str, input: &[u8]) -> Result<Vec<u8>> {
        let request = self.renderer.kinesis(operation, input)?;
        expect_ok(operation, self.exchange(&request)?)
    }

    /// Calls a Kinesis operation with a SHA-256 that is not the body's.
    ///
    /// # Errors
    /// If there is no answer.
    pub(crate) fn kinesis_with_false_hash(&mut self, operation: &str, input: &[u8]) -> Result<Answer> {
        let request = self.renderer.kinesis_claiming(operation, input, &"0".repeat(64))?;
        self.exchange(&request)
    }

    /// `GET path`.
    ///
    /// # Errors
    /// If there is no answer, or one without a length.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.addr);
        self.exchange(request.as_bytes())
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// If it is not answered with a 2xx status.
    pub(crate) fn post(&mut self, path: &str, body: &str) -> Result<Vec<u8>> {
        let (host, length) = (self.addr, body.len());
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        expect_ok(path, self.exchange(request.as_bytes())?)
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect_timeout(&self.addr, TIMEOUT)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream
            }
        };
        stream.write_all(request)?;
        let mut bytes = vec![0; 64 * 1024];
        let mut filled = 0;
        let mut head: Option<Head> = None;
        while head.is_none_or(|h| filled < h.total_bytes()) {
            if filled == bytes.len() {
                bytes.resize(head.map_or(0, |h| h.total_bytes()).max(bytes.len() * 2), 0);
            }
            match stream.read(&mut bytes[filled..])? {
                0 => return Err("the server closed the connection before its answer was whole".into()),
                n => filled += n,
            }
            if head.is_none() {
                head = Head::parse(&bytes[..filled])?;
            }
        }
        let head = head.ok_or("no head")?;
        if !head.close {
            self.stream = Some(stream);
        }
        bytes.truncate(head.total_bytes());
        bytes.drain(..head.head_bytes);
        Ok((head.status, bytes))
    }
}

fn expect_ok(what: &str, (status, body): Answer) -> Result<Vec<u8>> {
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let shown = &body[..body.len().min(400)];
    Err(format!("{what} is answered with {status}: {}", String::from_utf8_lossy(shown)).into())
}
