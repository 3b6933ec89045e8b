//! Firehose's delivery: from a delivery stream's log to objects in a bucket, or requests to an endpoint.
//!
//! ```text
//! data log ──▶ count ──▶ CUT ──▶ read, compress ──▶ put ──▶ DONE ──▶ trim
//!     │                   │ durable first: range, configuration, keys
//!     │   control log ◀───┴──────────────────────────────────┘
//!     └─▶ chain ──▶ processed log ──▶ sorter ──▶ logs of partitions ──▶ count ──▶ CUT …
//! ```
//!
//! Before any upload a durable *cut* fixes a range of a log, the configuration and the keys of the objects; the
//! checkpoint is the lowest unfinished cut. A crash anywhere leads to the same objects being written again, with the
//! same keys and bytes: nothing is lost, and the bucket shows nothing twice. What processors make is durable before it is
//! cut, because made again it might differ.
//!
//! Architecture invariant: no record's content is held here except in the body of an upload, in a batch that a chain
//! works on, and in the page at hand; bodies and batches are bounded by budgets for the node. What waits, waits in the
//! engine's log.
//!
//! Architecture invariant: time comes from [`levada_core::env::Clock`], randomness from
//! [`levada_core::env::Random`]; tokio's timers only decide when the clock is read again. Requests to S3 are signed
//! by the AWS SDK with the host's clock, never with a clock that tests move.

mod backlog;
mod blocking;
mod body;
mod buffer;
pub mod chain;
mod config;
mod control;
mod delivery;
pub mod endpoint;
mod gap;
pub mod http;
mod memory;
mod metrics;
mod mutant;
mod past;
pub mod prefix;
pub mod process;
pub mod record;
mod sink;
pub mod source;
#[cfg(test)]
mod tests;
mod upload;
mod worker;

pub use backlog::Reservation;
pub use blocking::{Blocking, GivenUp};
pub use config::{
    Block, Bucketing, Buffering, Compression, Config, DEFAULT_BACKLOG_QUOTA_BYTES, Delimiter, MIB, Spec, Target, Tuning,
};
pub use delivery::{Delivery, Dropped, Env, Handle, Stopped};
pub use metrics::{Delivered, Metrics};
pub use prefix::{KeyError, KeyLayout, LayoutSpec, ObjectOf, Partitioning, PrefixError, QueryKeys};
pub use sink::{Attempt, Buckets, DirectoryBucket, Object, Sink, SinkError, escape};
#[cfg(feature = "clouds")]
pub use sink::{AzureConfig, CloudBucket, GoogleConfig};
#[cfg(feature = "s3")]
pub use sink::{S3Bucket, S3Config, StaticKeys};
