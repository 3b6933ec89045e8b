//! One writer for the replies of all protocols.

use super::Protocol;
use crate::{cbor, json};

/// Appends a document to a buffer, members in the order in which they are written.
#[derive(Debug)]
pub enum Writer {
    /// In JSON.
    Json(json::Writer),
    /// In CBOR.
    Cbor(cbor::Writer),
}

macro_rules! to_either {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*);)+) => {$(
        $(#[$doc])*
        pub fn $name(&mut self $(, $argument: $type)*) {
            match self {
                Self::Json(out) => out.$name($($argument),*),
                Self::Cbor(out) => out.$name($($argument),*),
            }
        }
    )+};
}

impl Writer {
    /// An empty document.
    #[must_use]
    pub const fn new(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Json | Protocol::PlainJson => Self::Json(json::Writer::new()),
            Protocol::Cbor => Self::Cbor(cbor::Writer::new()),
        }
    }

    /// An empty document with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(protocol: Protocol, bytes: usize) -> Self {
        match protocol {
            Protocol::Json | Protocol::PlainJson => Self::Json(json::Writer::with_capacity(bytes)),
            Protocol::Cbor => Self::Cbor(cbor::Writer::with_capacity(bytes)),
        }
    }

    /// The document.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Json(out) => out.into_bytes(),
            Self::Cbor(out) => out.into_bytes(),
        }
    }

    to_either! {
        /// Opens an object.
        begin_object();
        /// Closes the object.
        end_object();
        /// Opens an array.
        begin_array();
        /// Closes the array.
        end_array();
        /// A member's name, which needs no escaping.
        key(name: &'static str);
        /// A map's key.
        dynamic_key(name: &str);
        /// A string.
        string(text: &str);
        /// A whole number.
        integer(number: i64);
        /// A double; what is not finite is written as 0, because JSON has no form for it.
        double(number: f64);
        /// True or false.
        boolean(truth: bool);
        /// Bytes.
        blob(bytes: &[u8]);
        /// A point in time, from milliseconds since the epoch.
        timestamp_ms(ms: i64);
    }
}
