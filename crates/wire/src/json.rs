//! JSON 1.1 as AWS speaks it: requests into [`Value`](crate::value::Value) trees, replies out of typed structures.

mod coerce;
mod parse;
mod write;

pub use coerce::coerce;
pub use parse::{MAX_DEPTH, Malformed, validate};
pub use write::Writer;
pub(crate) use write::{push_escaped, push_integer, push_timestamp_ms};

#[cfg(test)]
mod tests;
