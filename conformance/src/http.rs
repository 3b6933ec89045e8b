//! A client of AWS's JSON protocol in the fewest parts: one blocking connection, no SDK, no retries, so that a test
//! knows of every request whether it was answered.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Which of the two services a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Kinesis Data Streams, 2013-12-02.
    Kinesis,
    /// Data Firehose, 2015-08-04.
    Firehose,
}

impl Service {
    fn target(self) -> &'static str {
        match self {
            Self::Kinesis => "Kinesis_20131202",
            Self::Firehose => "Firehose_20150804",
        }
    }

    fn scope(self) -> &'static str {
        match self {
            Self::Kinesis => "kinesis",
            Self::Firehose => "firehose",
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null if it is empty or none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body of a successful answer.
    ///
    /// # Errors
    /// The status and body of any other.
    pub fn success(self) -> Result<Value, String> {
        if self.status == 200 {
            Ok(self.json())
        } else {
            Err(format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)))
        }
    }
}

/// One keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `http://HOST:PORT`.
    ///
    /// # Errors
    /// Those of the network.
    pub fn open(endpoint: &str) -> io::Result<Self> {
        let address = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// Those of the network: it is then unknown whether the operation took place.
    pub fn call(&mut self, service: Service, operation: &str, body: &Value) -> io::Result<Answer> {
        let scope = service.scope();
        let headers = format!(
            "X-Amz-Target: {}.{operation}\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Date: 20261120T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=000000000000/20261120/us-east-1/\
             {scope}/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature={}\r\n",
            service.target(),
            "0".repeat(64),
        );
        self.request("POST", "/", &headers, body.to_string().as_bytes())
    }

    /// Sends any request. `headers` are whole lines, each with its line end.
    ///
    /// # Errors
    /// Those of the network, and `InvalidData` for an answer that is not HTTP/1.1 with a length.
    pub fn request(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        let length = body.len();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {length}\r\n\r\n", self.address)
                .into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| invalid(&format!("status line {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&format!("header {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, value)| value.parse().ok()).ok_or_else(|| invalid("no content-length"))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        if headers.iter().any(|(name, value)| name == "connection" && value.eq_ignore_ascii_case("close")) {
            *self = Self::open(&self.address)?;
        }
        Ok(Answer { status, headers, body })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
