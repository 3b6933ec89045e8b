//! CBOR 1.1 as AWS speaks it (RFC 8949 with habits of its own): maps and lists of indefinite length, blobs as byte
//! strings, points in time as tag 1 with whole *milliseconds*, which the RFC counts in seconds.

mod parse;
pub(crate) mod put;
mod write;

pub use write::Writer;
pub(crate) use write::{push_bytes, push_text, push_timestamp_ms};

use crate::codec::{Malformed, Pull, coerce_with};
use crate::error::AwsError;
use crate::model::Shape;
use crate::value::Value;
use parse::Parser;

/// Opens a map of indefinite length.
pub(crate) const BEGIN_MAP: u8 = 0xbf;
/// Opens a list of indefinite length.
pub(crate) const BEGIN_LIST: u8 = 0x9f;
/// Closes either.
pub(crate) const BREAK: u8 = 0xff;

/// [`codec::validate`](crate::codec::validate) for CBOR.
///
/// # Errors
/// [`Malformed`].
pub fn validate(body: &[u8]) -> Result<(), Malformed> {
    Parser::validate(body)
}

/// [`codec::coerce`](crate::codec::coerce) for CBOR.
///
/// # Errors
/// `SerializationException`.
pub fn coerce(shape: &'static Shape, body: &[u8]) -> Result<Value, AwsError> {
    coerce_with::<Parser<'_>>(shape, body)
}

#[cfg(test)]
mod tests;
