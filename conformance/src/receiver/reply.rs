//! Answers, whole and otherwise.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};

/// The connection is to be closed.
#[derive(Debug)]
pub(super) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by plan")
    }
}

impl std::error::Error for Broken {}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Reply {
    bytes: Option<Bytes>,
    /// What `Content-Length` says; without it the answer is chunked.
    length: Option<u64>,
    is_cut: bool,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match self.bytes.take() {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None if self.is_cut => Some(Err(Broken)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.is_cut
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// An answer as it should be.
pub(super) fn whole(status: u16, body: Bytes) -> Response<Reply> {
    typed(status, body, "application/json")
}

/// An answer of this type.
pub(super) fn typed(status: u16, body: Bytes, kind: &'static str) -> Response<Reply> {
    let length = Some(body.len() as u64);
    response(status, Reply { bytes: Some(body), length, is_cut: false }, kind)
}

/// An answer that does not say its length.
pub(super) fn chunked(status: u16, body: Bytes) -> Response<Reply> {
    response(status, Reply { bytes: Some(body), length: None, is_cut: false }, "application/json")
}

/// The first half of an answer.
pub(super) fn half(status: u16, body: &Bytes) -> Response<Reply> {
    let reply = Reply { bytes: Some(body.slice(..body.len() / 2)), length: Some(body.len() as u64), is_cut: true };
    response(status, reply, "application/json")
}

fn response(status: u16, reply: Reply, kind: &'static str) -> Response<Reply> {
    let mut response = Response::new(reply);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if (300..400).contains(&status) {
        // Where nobody may follow.
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/followed"));
    }
    response
}
