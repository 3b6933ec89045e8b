//! AWS on the wire: operations, shapes, constraints, errors, codecs.
//!
//! Architecture invariant: this crate is pure. It has no clock, no randomness, no I/O, no async, and knows nothing of
//! streams beyond what a request says; what is refused here is refused for its form alone.

pub mod blob;
pub mod cbor;
pub mod codec;
pub mod constraints;
pub mod error;
pub mod eventstream;
pub mod firehose;
pub mod json;
pub mod kinesis;
pub mod limits;
pub mod model;
pub mod operation;
pub mod pattern;
mod scan;
pub mod signature;
pub mod typed;
pub mod value;

pub use blob::{BadBase64, Blob};
pub use codec::Protocol;
pub use error::{AwsError, ErrorCode, XmlError};
pub use operation::{FirehoseOp, KinesisOp, Operation, Service};
pub use value::Value;
