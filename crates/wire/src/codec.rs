//! The protocols that requests and replies come in: JSON 1.1 and CBOR 1.1, behind one reader and one writer.
//!
//! Architecture invariant: nothing outside `codec`, `json` and `cbor` knows how a value looks on the wire, but for the
//! replies of the hot paths, which are written byte by byte.

mod coerce;
mod pull;
mod writer;

pub use pull::{MAX_DEPTH, Malformed};
pub(crate) use pull::{Number, Pull, Token};
pub use writer::Writer;

use crate::error::AwsError;
use crate::model::Shape;
use crate::value::Value;
use crate::{cbor, json};

pub(crate) use coerce::coerce as coerce_with;

/// How a request is encoded; its reply, and the events of its stream, are encoded the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `application/x-amz-json-1.1`, of most SDKs.
    Json,
    /// `application/json`: the same, but errors come inside `{"Output":…,"Version":"1.0"}`, their types with a name
    /// space.
    PlainJson,
    /// `application/x-amz-cbor-1.1`, of the Java SDKs.
    Cbor,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::PlainJson, Self::Cbor];

    /// The protocol that a content type names; `None` if it names none. What follows a `;` is ignored.
    #[must_use]
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|protocol| protocol.content_type() == media_type)
    }

    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::PlainJson => "application/json",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }
}

/// Checks that `body` is one whole object, nested no deeper than [`MAX_DEPTH`], in constant memory but for strings
/// that come in pieces.
///
/// # Errors
/// [`Malformed`] if it is not.
pub fn validate(protocol: Protocol, body: &[u8]) -> Result<(), Malformed> {
    match protocol {
        Protocol::Json | Protocol::PlainJson => json::validate(body),
        Protocol::Cbor => cbor::validate(body),
    }
}

/// Reads a document as `shape`, a structure: fractions of whole numbers truncated, nulls and unknown members
/// dropped, the last of duplicate members kept.
///
/// # Errors
/// `SerializationException`: without message if this is no object, nests too deep or holds too much, else with
/// AWS's text for the first value of a wrong type.
pub fn coerce(protocol: Protocol, shape: &'static Shape, body: &[u8]) -> Result<Value, AwsError> {
    match protocol {
        Protocol::Json | Protocol::PlainJson => json::coerce(shape, body),
        Protocol::Cbor => cbor::coerce(shape, body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_name_protocols() {
        for (content_type, expected) in [
            ("application/x-amz-json-1.1", Some(Protocol::Json)),
            ("application/x-amz-json-1.1; charset=utf-8", Some(Protocol::Json)),
            ("application/json", Some(Protocol::PlainJson)),
            (" application/x-amz-cbor-1.1 ;q=1", Some(Protocol::Cbor)),
            ("application/x-amz-json-1.0", None),
            ("application/cbor", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(Protocol::from_content_type(content_type), expected, "{content_type}");
        }
    }
}
