//! JSON 1.1 as AWS speaks it: requests into [`Value`](crate::value::Value) trees, replies out of typed structures.

mod parse;
mod write;

pub use write::Writer;
pub(crate) use write::{push_escaped, push_timestamp_ms};

use crate::codec::{Malformed, Pull, coerce_with};
use crate::error::AwsError;
use crate::model::Shape;
use crate::value::Value;
use parse::Parser;

/// [`codec::validate`](crate::codec::validate) for JSON.
///
/// # Errors
/// [`Malformed`].
pub fn validate(body: &[u8]) -> Result<(), Malformed> {
    Parser::validate(body)
}

/// [`codec::coerce`](crate::codec::coerce) for JSON.
///
/// # Errors
/// `SerializationException`.
pub fn coerce(shape: &'static Shape, body: &[u8]) -> Result<Value, AwsError> {
    coerce_with::<Parser<'_>>(shape, body)
}

#[cfg(test)]
mod tests;
