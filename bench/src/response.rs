//! The little of HTTP/1.1 that the load generator reads: status, length, and whether the connection stays open.

use crate::Result;

/// What the load generator needs of a response's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Status code.
    pub(crate) status: u16,
    /// Bytes of the head, the empty line included.
    pub(crate) head_bytes: usize,
    /// Bytes of the body.
    pub(crate) body_bytes: usize,
    /// True if the server will close the connection.
    pub(crate) close: bool,
}

impl Head {
    /// Reads a head from the beginning of `bytes`; `None` if it is not whole yet.
    ///
    /// # Errors
    /// If it is no HTTP/1.1 response with a `Content-Length`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head_bytes) = response.parse(bytes)? else { return Ok(None) };
        let value = |name: &str| response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
        let body_bytes = value("content-length")
            .and_then(|v| std::str::from_utf8(v).ok()?.trim().parse().ok())
            .ok_or("a response without Content-Length")?;
        let close = value("connection").is_some_and(|v| v.eq_ignore_ascii_case(b"close"));
        Ok(Some(Self { status: response.code.unwrap_or(0), head_bytes, body_bytes, close }))
    }

    /// Bytes of head and body.
    pub(crate) fn total_bytes(&self) -> usize {
        self.head_bytes + self.body_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\nCONTENT-LENGTH:  12 \r\n\r\n{\"a\": true }";

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let head_bytes = WHOLE.len() - 12;
        for end in 0..head_bytes {
            assert_eq!(Head::parse(&WHOLE[..end]).unwrap(), None, "prefix of {end} bytes");
        }
        for end in head_bytes..=WHOLE.len() {
            let head = Head::parse(&WHOLE[..end]).unwrap().unwrap();
            assert_eq!(head, Head { status: 200, head_bytes, body_bytes: 12, close: false });
            assert_eq!(head.total_bytes(), WHOLE.len());
        }
    }

    #[test]
    fn status_and_close_are_seen() {
        let head = Head::parse(b"HTTP/1.1 400 Bad Request\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(head.map(|h| (h.status, h.close, h.body_bytes)), Some((400, true, 0)));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.7\r\n"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ] {
            assert!(Head::parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
