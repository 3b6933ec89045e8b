//! The catalog: which streams and delivery streams exist, and how they came about.
//!
//! The catalog is a log of decided events. A [`Command`] is decided once ([`decide`]), against the state and the
//! time of that moment; the [`Event`]s that come of it carry everything that was chosen (ids, seconds, ranges). They
//! are made durable, and only then folded into the state ([`fold`]). A restart folds the same events again and
//! decides nothing, so that new code never re-decides old history.
//!
//! What a command means for logs happens between two events: CREATING is durable first and names the logs, then the
//! engine creates them, then ACTIVE is recorded; deletion alike. [`Unfinished`] is what stands between, both in the
//! course of a command and after a crash; all of it may be done twice.
//!
//! Architecture invariant: nothing here reads a clock, and folding has no way to fail on what [`decide`] made from
//! the same state.

mod command;
mod consumer;
mod decide;
mod delivery_stream;
mod error;
mod event;
mod fold;
mod replay;
mod rules;
mod schedule;
mod scope;
mod settings;
mod shard_table;
mod state;
mod stream;
mod unfinished;

pub use command::{
    Command, MAX_SHARDS_PER_STREAM, MAX_TAGS, MAX_TARGET_SHARDS, MAX_WARM_MIBPS, NewDeliveryStream, NewStream,
    Resource, StreamUpdate,
};
pub use consumer::{Consumer, ConsumerRef, ConsumerStatus, MAX_CONSUMERS};
pub use decide::decide;
pub use delivery_stream::{
    BackupMode, BucketSettings, BucketUpdate, Buffering, CloudWatchLogging, Compression, ContentEncoding,
    DeliveryStatus, DeliveryStream, Destination, DestinationKind, DestinationUpdate, DocumentIdFormat, Encryption,
    EncryptionKey, EncryptionStatus, HecEndpointType, HttpEndpointDestination, HttpEndpointUpdate, IndexRotation,
    KinesisSource, LogBlock, ObjectEncryption, OpenSearchDestination, OpenSearchUpdate, Partitioning, Processing,
    Processor, ProcessorKind, ProcessorParameter, RequestConfiguration, Requests, RequestsUpdate, S3Destination,
    S3Update, SearchAddress, SearchFlavour, Secret, SecretsManager, Source, SplunkDestination, SplunkUpdate, Vpc,
};
pub use error::{DeliveryError, DomainError, SettingError};
pub use event::{Entry, Event, Transition};
pub use fold::{Contradiction, fold};
pub use replay::{Growth, ReplayError, Replayed, Replayer, SNAPSHOT_PART_BYTES, snapshot_batches};
pub use rules::{Lifecycle, Quotas, Rules};
pub use scope::{Account, ResourceKey, Scope};
pub use settings::{
    Change, Commitment, CommitmentStatus, Distribution, Encrypted, History, PendingUpdate, ShardMetric,
};
pub use shard_table::{Closing, SHORTEST_LIFE_MS, ShardTable, TableError};
pub use state::{State, Usage};
pub use stream::{Stream, StreamMode, StreamStatus};
pub use unfinished::{Seal, Unfinished, Work};

use crate::engine::LogId;

/// The catalog's own log.
pub const CATALOG_LOG: LogId = LogId(1);

/// The first log id that the catalog hands out; those below are Levada's own.
pub const FIRST_LOG: u64 = 16;

#[cfg(test)]
mod tests;
