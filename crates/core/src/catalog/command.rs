//! What the catalog can be told, and how it refuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::delivery_stream::{DeliveryStatus, S3Destination};
use super::scope::{Account, ResourceKey, Scope};
use super::stream::{StreamMode, StreamStatus};

/// Most shards of one stream: the largest account quota of any region (us-east-1). It bounds the event that
/// creates a stream; the quotas themselves are enforced elsewhere, if at all.
pub const MAX_SHARDS_PER_STREAM: u32 = 20_000;

/// Most tags of one resource.
pub const MAX_TAGS: usize = 50;

/// A wish, checked for syntax but not for meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "commands are few and short-lived")]
pub enum Command {
    /// Creates a stream.
    CreateStream {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
        /// `PROVISIONED` if absent.
        mode: Option<StreamMode>,
        /// At least 1.
        shard_count: Option<u32>,
        /// Largest record in KiB; 1,024 if absent.
        max_record_kib: Option<u32>,
        /// Its first tags.
        tags: BTreeMap<String, String>,
    },
    /// Deletes a stream with all its records.
    DeleteStream {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
    },
    /// The stream's logs are created, or deleted, as its status demanded. Nothing happens if it has gone on.
    FinishStream(ResourceKey),
    /// Creates a delivery stream of type DirectPut.
    CreateDeliveryStream {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
        /// Where its records go.
        destination: S3Destination,
        /// Its first tags.
        tags: BTreeMap<String, String>,
    },
    /// Deletes a delivery stream with what it has not delivered.
    DeleteDeliveryStream {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
    },
    /// The delivery stream's logs are created, or deleted, as its status demanded.
    FinishDeliveryStream(ResourceKey),
    /// The wall clock is believed to be right now (see [`crate::retention`]). To be told every hour, at a clean stop
    /// and when the operator accepts the clock, so that a restart knows from when on nothing was watching it.
    NoteClock,
    /// The delivery stream cannot be created, or deleted.
    FailDeliveryStream {
        /// Which.
        key: ResourceKey,
        /// For people.
        reason: String,
    },
}

/// Why a command was refused. Carries what AWS's message prints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// There is no such stream.
    #[error("stream {name} under account {account} not found")]
    StreamNotFound {
        /// The stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// The name is taken.
    #[error("stream {name} under account {account} exists")]
    StreamExists {
        /// The stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// The stream's status forbids it.
    #[error("stream {name} under account {account} is {}", status.name())]
    StreamNotActive {
        /// The stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
        /// Its status.
        status: StreamStatus,
    },
    /// A provisioned stream needs a number of shards.
    #[error("no shard count for a provisioned stream")]
    ShardCountMissing,
    /// The number of shards of an on-demand stream is not the owner's to choose.
    #[error("a shard count for an on-demand stream")]
    ShardCountOnDemand,
    /// More shards than one stream may have.
    #[error("{requested} shards are more than {limit}")]
    ShardLimit {
        /// The account and region.
        scope: Scope,
        /// Open shards of the account in the region now.
        current: u64,
        /// The limit.
        limit: u64,
        /// Shards that the command would have added.
        requested: u64,
    },
    /// A tag key begins with `aws:`.
    #[error("a tag key begins with aws:")]
    SystemTag,
    /// More than [`MAX_TAGS`] tags.
    #[error("too many tags for {arn}")]
    TooManyTags {
        /// The resource.
        arn: String,
        /// Its account.
        account: Account,
    },
    /// There is no such delivery stream.
    #[error("delivery stream {name} under account {account} not found")]
    DeliveryStreamNotFound {
        /// The delivery stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// The name is taken.
    #[error("delivery stream {name} under account {account} exists")]
    DeliveryStreamExists {
        /// The delivery stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// The delivery stream's status forbids it.
    #[error("delivery stream {name} under account {account} is {}", status.name())]
    DeliveryStreamBusy {
        /// The delivery stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
        /// Its status.
        status: DeliveryStatus,
    },
}
