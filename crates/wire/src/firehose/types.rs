//! Requests and replies of all operations. Members and their order are the model's.
//!
//! Destinations and sources that this version does not serve are read as a [`Presence`](crate::typed::Presence): they
//! pass their constraints, and what they said is dropped before anything could print it.

mod conversion;
mod http;
mod opensearch;
mod processing;
mod put;
mod s3;
mod security;
mod source;
mod splunk;
mod stream;
mod tags;

pub use conversion::*;
pub use http::*;
pub use opensearch::*;
pub use processing::*;
pub use put::*;
pub use s3::*;
pub use security::*;
pub use source::*;
pub use splunk::*;
pub use stream::*;
pub use tags::*;
