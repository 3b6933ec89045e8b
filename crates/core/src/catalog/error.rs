//! How the catalog refuses.

use std::sync::Arc;

use super::delivery_stream::{DeliveryStatus, DestinationKind, EncryptionStatus};
use super::scope::{Account, Scope};
use super::stream::StreamStatus;
use crate::reshard::ReshardError;

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
    /// A stream has one shard at least.
    #[error("a shard count of 0")]
    ShardCountZero,
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
    /// More than [`MAX_TAGS`](super::MAX_TAGS) tags.
    #[error("too many tags for {arn}")]
    TooManyTags {
        /// The resource.
        arn: String,
        /// Its account.
        account: Account,
    },
    /// The stream has consumers, and the request does not say to delete them.
    #[error("stream {name} under account {account} has consumers")]
    ConsumersRegistered {
        /// The stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// More changes in 24 hours than the quota allows.
    #[error("the changes of 24 hours of stream {name} under account {account} are used up")]
    RateExceeded {
        /// The stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// More streams in status CREATING than the quota allows.
    #[error("account {account} has {limit} streams that are being created")]
    CreatingStreamLimit {
        /// The account.
        account: Account,
        /// The quota.
        limit: usize,
    },
    /// More on-demand streams than the quota allows.
    #[error("{current} on-demand streams leave no room for one more, of {limit}")]
    OnDemandStreamLimit {
        /// The account and region.
        scope: Scope,
        /// On-demand streams now.
        current: usize,
        /// The quota.
        limit: usize,
    },
    /// The stream is on-demand, and its shards are not the owner's to change.
    #[error("stream {name} under account {account} is on-demand")]
    OnDemand {
        /// The stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// The setting cannot be changed so.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The shards cannot be changed so.
    #[error("stream {name} under account {account}: {error}")]
    Reshard {
        /// The stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
        /// Why.
        error: ReshardError,
    },
    /// More shards than [`MAX_TARGET_SHARDS`](super::MAX_TARGET_SHARDS).
    #[error("{target} shards are more than one stream is scaled to")]
    ScaleTooLarge {
        /// Open shards now.
        current: u32,
        /// As asked for.
        target: u32,
    },
    /// The name of a consumer is taken.
    #[error("consumer {consumer} of stream {stream} under account {account} exists")]
    ConsumerExists {
        /// The consumer.
        consumer: Arc<str>,
        /// The stream.
        stream: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// Tags and policies of a consumer can be changed while it is ACTIVE.
    #[error("consumer {consumer} of stream {stream} under account {account} is not active")]
    ConsumerNotActive {
        /// The consumer.
        consumer: Arc<str>,
        /// The second of its registration.
        created_secs: u64,
        /// The stream.
        stream: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// There is no such consumer.
    #[error("no consumer {consumer} of stream {stream} under account {account}")]
    ConsumerNotFound {
        /// The consumer.
        consumer: Arc<str>,
        /// The second of its registration, if an ARN said so.
        created_secs: Option<u64>,
        /// The stream.
        stream: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// More consumers than the quota allows.
    #[error("stream {stream} under account {account} has {limit} consumers")]
    ConsumerLimit {
        /// The stream.
        stream: Arc<str>,
        /// Its account.
        account: Account,
        /// The quota.
        limit: usize,
    },
    /// More consumers in status CREATING than the quota allows.
    #[error("stream {stream} under account {account} has {limit} consumers that are being created")]
    CreatingConsumerLimit {
        /// The stream.
        stream: Arc<str>,
        /// Its account.
        account: Account,
        /// The quota.
        limit: usize,
    },
    /// A policy that is not there cannot be deleted.
    #[error("no resource policy for {arn}")]
    PolicyNotFound {
        /// The resource.
        arn: String,
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
    /// The delivery stream's status forbids its deletion.
    #[error("delivery stream {name} under account {account} is {}", status.name())]
    DeliveryStreamBusy {
        /// The delivery stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
        /// Its status.
        status: DeliveryStatus,
    },
    /// A delivery stream cannot be made or changed so.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

/// Why a delivery stream cannot be made or changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// More delivery streams than the quota allows.
    #[error("account {} has {limit} delivery streams in {}", scope.account, scope.region)]
    Limit {
        /// The account and region.
        scope: Scope,
        /// The quota.
        limit: usize,
    },
    /// More tags than [`MAX_TAGS`](super::MAX_TAGS).
    #[error("delivery stream {name} would have too many tags")]
    TooManyTags {
        /// The delivery stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
    },
    /// The data stream that is to be its source is not there, or is being created or deleted.
    #[error("no data stream {arn}")]
    SourceNotFound {
        /// As it was given.
        arn: String,
    },
    /// Nothing but deletion is possible, or not even that.
    #[error("delivery stream {name} under account {account} is {}", status.name())]
    NotActive {
        /// The delivery stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
        /// Its status.
        status: DeliveryStatus,
    },
    /// An update of another version than the present one.
    #[error("delivery stream {name} has version {current}, {specified} was specified")]
    Version {
        /// The delivery stream.
        name: Arc<str>,
        /// The present version.
        current: u64,
        /// As it was given.
        specified: String,
    },
    /// A destination stays of its kind.
    #[error("a destination {from:?} cannot become {to:?}")]
    DestinationType {
        /// What it is.
        from: DestinationKind,
        /// What was asked for.
        to: DestinationKind,
    },
    /// Backup of source records can only be turned on.
    #[error("backup cannot be turned off")]
    BackupDisabled,
    /// Backup of source records needs a bucket and a role.
    #[error("backup without a bucket")]
    BackupWithoutBucket,
    /// This destination's backup mode does not change, or not so.
    #[error("the backup mode of a destination {0:?} cannot change so")]
    BackupModeChange(DestinationKind),
    /// Dynamic partitioning is turned on at creation or never.
    #[error("dynamic partitioning cannot be turned {}", if *enable { "on" } else { "off" })]
    PartitioningChange {
        /// What was asked for.
        enable: bool,
    },
    /// Records of a Kinesis source are encrypted as the data stream says.
    #[error("delivery stream {name} does not take records by direct put")]
    EncryptionOfSource {
        /// The delivery stream.
        name: Arc<str>,
    },
    /// Encryption is changing already.
    #[error("encryption of delivery stream {name} is {}", status.name())]
    EncryptionBusy {
        /// The delivery stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
        /// Where its encryption stands.
        status: EncryptionStatus,
    },
    /// Encryption was started and stopped too often in 24 hours.
    #[error("encryption of delivery stream {name} was changed {limit} times in 24 hours")]
    EncryptionLimit {
        /// The delivery stream.
        name: Arc<str>,
        /// Its account.
        account: Account,
        /// The quota.
        limit: usize,
    },
}

/// Why a setting of a stream cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A provisioned stream's records are distributed by their partition keys.
    #[error("AUTO distribution of a provisioned stream")]
    DistributionNeedsOnDemand,
    /// A provisioned stream has no warm throughput.
    #[error("warm throughput of a provisioned stream")]
    WarmThroughputNeedsOnDemand,
    /// More than [`MAX_WARM_MIBPS`](super::MAX_WARM_MIBPS).
    #[error("a warm throughput of {mibps} MiB/s is too much")]
    WarmThroughputTooHigh {
        /// As it was asked for.
        mibps: u32,
    },
    /// Warm throughput without the account's commitment.
    #[error("account {account} has no minimum throughput billing commitment")]
    NoCommitment {
        /// The account.
        account: Account,
    },
    /// Shorter than [`Stream::MIN_RETENTION_HOURS`](super::Stream::MIN_RETENTION_HOURS).
    #[error("a retention of {hours} hours is too short")]
    RetentionTooShort {
        /// As it was asked for.
        hours: i64,
    },
    /// Longer than [`Stream::MAX_RETENTION_HOURS`](super::Stream::MAX_RETENTION_HOURS).
    #[error("a retention of {hours} hours is too long")]
    RetentionTooLong {
        /// As it was asked for.
        hours: i64,
    },
    /// A retention that cannot be increased to fewer hours, or decreased to more.
    #[error("stream {name} has a retention of {existing} hours, {requested} were asked for")]
    RetentionDirection {
        /// The stream.
        name: Arc<str>,
        /// As it was asked for, in hours.
        requested: u32,
        /// As it is, in hours.
        existing: u32,
    },
    /// Encryption that is off cannot be stopped.
    #[error("the stream is not encrypted")]
    NotEncrypted,
}
