//! Frames of `application/vnd.amazon.eventstream`, in which the answer to `SubscribeToShard` comes.
//!
//! ```text
//! u32 total length │ u32 length of headers │ u32 CRC of these two │ headers │ payload │ u32 CRC of all before
//! header: u8 length of name │ name │ u8 7 (a string) │ u16 length of value │ value
//! ```
//!
//! Numbers are big-endian, the CRC is that of IEEE 802.3. Names and order of the headers as seen on AWS.

use crate::codec::{Protocol, Writer};
use crate::error::{AwsError, ErrorCode};

/// The content type of the whole answer.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Bytes of a frame around its headers and payload.
const FRAME_OVERHEAD: usize = 16;

/// The type of a header whose value is a string.
const STRING: u8 = 7;

/// The first frame of an answer, which says that the subscription stands.
#[must_use]
pub fn initial_response(protocol: Protocol) -> Vec<u8> {
    let mut payload = Writer::new(protocol);
    payload.begin_object();
    payload.end_object();
    event("initial-response", protocol, &payload.into_bytes())
}

/// An event of that name, its payload a document of `protocol`.
#[must_use]
pub fn event(name: &str, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let content_type = protocol.content_type();
    frame(&[(":event-type", name), (":content-type", content_type), (":message-type", "event")], payload)
}

/// The frame with which an answer ends early. What AWS writes into it is unverified; its document is that of an error
/// answer, from which clients read the message.
#[must_use]
pub fn exception(error: &AwsError, protocol: Protocol) -> Vec<u8> {
    let (code, content_type) = (exception_type(error.code), protocol.content_type());
    let headers = [(":exception-type", code), (":content-type", content_type), (":message-type", "exception")];
    // Inside a stream there is no plain JSON to wrap.
    let document = if protocol == Protocol::PlainJson { Protocol::Json } else { protocol };
    frame(&headers, &error.body(document))
}

/// The model's only name for our own failure in the stream of events; the others bear their names.
const fn exception_type(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InternalFailure => "InternalFailureException",
        _ => code.name(),
    }
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let header_bytes: usize = headers.iter().map(|(name, value)| 4 + name.len() + value.len()).sum();
    let total = FRAME_OVERHEAD + header_bytes + payload.len();
    let mut out = Vec::with_capacity(total);
    // A frame carries at most some 10 MiB.
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&(header_bytes as u32).to_be_bytes());
    push_crc(&mut out);
    for (name, value) in headers {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.push(STRING);
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(payload);
    push_crc(&mut out);
    out
}

/// Appends the checksum of what stands there so far.
fn push_crc(out: &mut Vec<u8>) {
    let crc = crc32fast::hash(out);
    out.extend_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests;
