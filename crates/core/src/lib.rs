//! Levada's domain, without I/O: what a stream, a shard, a sequence number and a log *are*.
//!
//! Architecture invariant: nothing here opens a file, reads a clock, draws randomness or spawns a task. What the
//! domain needs of the world stands in [`env`] as traits; the implementations live in other crates, except the
//! simulated ones, which tests of every crate share.
//!
//! Architecture invariant: this crate does not know that AWS exists on a wire. It has no JSON requests, no HTTP
//! status and no AWS error code; `levada` converts between `levada-wire` and this crate, once.

pub mod batch;
pub mod catalog;
pub mod engine;
pub mod env;
pub mod hash_range;
pub mod iterator;
pub mod reshard;
pub mod retention;
pub mod scaling;
pub mod sequence;
pub mod shard;
pub mod throttle;
