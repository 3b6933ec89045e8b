//! What the catalog can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::consumer::ConsumerRef;
use super::delivery_stream::{Destination, EncryptionKey, Source};
use super::scope::{ResourceKey, Scope};
use super::settings::{Distribution, ShardMetric};
use super::stream::StreamMode;
use crate::engine::{LogId, Millis};
use crate::reshard::Generation;
use crate::scaling::Load;
use crate::shard::ShardId;

/// Most shards of one stream: the largest account quota of any region (us-east-1). It bounds the event that
/// creates a stream; the quotas themselves are enforced elsewhere, if at all.
pub const MAX_SHARDS_PER_STREAM: u32 = 20_000;

/// Most tags of one resource.
pub const MAX_TAGS: usize = 50;

/// Most throughput that a stream can be made ready for, in MiB/s (API reference, `UpdateStreamWarmThroughput`: 10 GiB/s).
pub const MAX_WARM_MIBPS: u32 = 10 * 1024;

/// Most shards that `UpdateShardCount` leads to (API reference).
pub const MAX_TARGET_SHARDS: u32 = 10_000;

/// A stream as its owner wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStream {
    /// Where the name holds.
    pub scope: Scope,
    /// Its name.
    pub name: Arc<str>,
    /// `PROVISIONED` if absent.
    pub mode: Option<StreamMode>,
    /// At least 1; provisioned only.
    pub shard_count: Option<u32>,
    /// Largest record in KiB; 1,024 if absent.
    pub max_record_kib: Option<u32>,
    /// Throughput to be ready for in MiB/s; on-demand only.
    pub warm_mibps: Option<u32>,
    /// Who chooses the shard of a record; `AUTO` on-demand only.
    pub distribution: Option<Distribution>,
    /// Its first tags.
    pub tags: BTreeMap<String, String>,
}

/// A delivery stream as its owner wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeliveryStream {
    /// Where the name holds.
    pub scope: Scope,
    /// Its name.
    pub name: Arc<str>,
    /// Where its records come from.
    pub source: Source,
    /// Where its records go.
    pub destination: Destination,
    /// The key to encrypt its records with; direct put only.
    pub encryption: Option<EncryptionKey>,
    /// Its first tags.
    pub tags: BTreeMap<String, String>,
}

/// What carries tags and a policy: a stream or one of its consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Where the stream's name holds.
    pub scope: Scope,
    /// The stream.
    pub stream: Arc<str>,
    /// The consumer, if it is one.
    pub consumer: Option<ConsumerRef>,
}

/// What an owner may ask of an ACTIVE stream. Each makes it UPDATING for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamUpdate {
    /// Keeps records for more hours. Signed, because AWS's refusal prints what was asked for.
    IncreaseRetention(i64),
    /// Keeps records for fewer hours.
    DecreaseRetention(i64),
    /// Changes who decides how many shards there are.
    Mode {
        /// Who.
        mode: StreamMode,
        /// Throughput to be ready for in MiB/s; on-demand only.
        warm_mibps: Option<u32>,
    },
    /// Encrypts with this key, also if another is in use.
    StartEncryption {
        /// As it was named.
        key_id: String,
    },
    /// Encrypts no more.
    StopEncryption,
    /// Keeps these metrics for each shard, too.
    EnableMonitoring(BTreeSet<ShardMetric>),
    /// Keeps these no more.
    DisableMonitoring(BTreeSet<ShardMetric>),
    /// Takes records up to so many KiB.
    MaxRecordSize(u32),
    /// Is to be ready for so many MiB/s.
    WarmThroughput(u32),
    /// Changes who chooses the shard of a record.
    Distribution(Distribution),
    /// Splits a shard in two.
    Split {
        /// The shard.
        shard: ShardId,
        /// Lowest hash key of the upper child, as it was given.
        new_starting_hash_key: String,
    },
    /// Merges two adjacent shards.
    Merge {
        /// The shard that becomes the child's parent.
        shard: ShardId,
        /// Its neighbour.
        adjacent: ShardId,
    },
    /// Splits and merges until there are so many shards of even ranges.
    ShardCount(u32),
}

/// A wish, checked for syntax but not for meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Creates a stream.
    CreateStream(NewStream),
    /// Deletes a stream with all its records.
    DeleteStream {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
        /// True to delete it although it has consumers, and those with it.
        enforce_consumer_deletion: bool,
    },
    /// Changes a stream.
    UpdateStream {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
        /// How.
        update: StreamUpdate,
    },
    /// The stream's change of settings is due.
    FinishUpdate(ResourceKey),
    /// The next generation of shards of the stream's reshard is due.
    AdvanceReshard {
        /// The stream.
        stream: ResourceKey,
        /// How many generations are left, this one included. So told twice, it happens once.
        left: usize,
    },
    /// The logs of these parents are sealed and those of their children exist.
    SealShards {
        /// The stream.
        stream: ResourceKey,
        /// The parents, by index, each with its log's last arrival.
        parents: Vec<(u32, Millis)>,
    },
    /// Shards of which no record can be read any more leave the stream.
    ExpireShards {
        /// The stream.
        stream: ResourceKey,
        /// The time, as the retention clock believes it: a clock that jumped expires nothing.
        believed_ms: Millis,
    },
    /// The logs of expired shards are deleted.
    ForgetLogs {
        /// The stream.
        stream: ResourceKey,
        /// The logs.
        logs: Vec<LogId>,
    },
    /// What an on-demand stream was offered in a minute. Nothing happens if the hour had a busier one already.
    NotePeak {
        /// The stream.
        stream: ResourceKey,
        /// The minute since the Unix epoch.
        minute: u64,
        /// The load.
        load: Load,
    },
    /// The service changes the shards of an on-demand stream ([`crate::scaling`]). Nothing happens if the stream is
    /// UPDATING, no longer on-demand, or has other shards by now.
    Rescale {
        /// The stream.
        stream: ResourceKey,
        /// The change.
        generation: Generation,
    },
    /// Registers a consumer.
    RegisterConsumer {
        /// Where the stream's name holds.
        scope: Scope,
        /// The stream.
        stream: Arc<str>,
        /// The consumer's name.
        name: Arc<str>,
        /// Its first tags.
        tags: BTreeMap<String, String>,
    },
    /// Deregisters a consumer.
    DeregisterConsumer {
        /// Where the stream's name holds.
        scope: Scope,
        /// The stream.
        stream: Arc<str>,
        /// The consumer's name.
        name: Arc<str>,
        /// Which of its lives, if an ARN said so.
        created_secs: Option<u64>,
    },
    /// The consumer's CREATING or DELETING is over.
    FinishConsumer {
        /// The stream.
        stream: ResourceKey,
        /// The consumer.
        consumer: ConsumerRef,
    },
    /// Adds tags, or gives them new values.
    Tag {
        /// To what.
        resource: Resource,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Removes tags. Absent ones are passed over.
    Untag {
        /// From what.
        resource: Resource,
        /// Their keys.
        keys: BTreeSet<String>,
    },
    /// Sets a resource policy.
    PutPolicy {
        /// Of what.
        resource: Resource,
        /// The policy, which has been looked at.
        policy: String,
    },
    /// Removes a resource policy.
    DeletePolicy {
        /// Of what.
        resource: Resource,
    },
    /// Gives or gives up the minimum throughput billing commitment.
    SetCommitment {
        /// The account and region.
        scope: Scope,
        /// True to give it.
        enabled: bool,
    },
    /// The stream's logs are created, or deleted, as its status demanded. Nothing happens if it has gone on.
    FinishStream(ResourceKey),
    /// Creates a delivery stream.
    CreateDeliveryStream(NewDeliveryStream),
    /// Gives a delivery stream the destination that [`updated`](super::DeliveryStream::updated) made. An equal one
    /// changes nothing.
    UpdateDestination {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
        /// The version that the update is made on (`CurrentDeliveryStreamVersionId`), as it was given.
        version: String,
        /// Where its records go from now on.
        destination: Destination,
    },
    /// Encrypts a delivery stream's records with this key, also if another is in use.
    StartDeliveryEncryption {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
        /// The key.
        key: EncryptionKey,
    },
    /// Encrypts a delivery stream's records no more.
    StopDeliveryEncryption {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
    },
    /// The delivery stream's ENABLING or DISABLING is over.
    FinishDeliveryEncryption(ResourceKey),
    /// Adds tags to a delivery stream, or gives them new values.
    TagDeliveryStream {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Removes tags from a delivery stream. Absent ones are passed over.
    UntagDeliveryStream {
        /// Where the name holds.
        scope: Scope,
        /// Its name.
        name: Arc<str>,
        /// Their keys.
        keys: BTreeSet<String>,
    },
    /// Gives log ids to a delivery stream that an earlier release created. To be told at the start, before its worker
    /// runs; so nobody else meets one without.
    AssignLogBlock(ResourceKey),
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
