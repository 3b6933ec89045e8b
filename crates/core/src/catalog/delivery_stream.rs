//! A delivery stream: where its records come from, what is done to them, where they go, and the logs between.

mod destination;
mod encryption;
mod processing;
mod secret;
mod source;
mod update;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use destination::{
    BackupMode, BucketSettings, Buffering, CloudWatchLogging, Compression, ContentEncoding, Destination,
    DestinationKind, DocumentIdFormat, HecEndpointType, HttpEndpointDestination, IndexRotation, OpenSearchDestination,
    Partitioning, RequestConfiguration, Requests, S3Destination, SearchAddress, SearchFlavour, SecretsManager,
    SplunkDestination, Vpc,
};
pub use encryption::{Encryption, EncryptionKey, EncryptionStatus};
pub use processing::{Processing, Processor, ProcessorKind, ProcessorParameter};
pub use secret::Secret;
pub use source::{KinesisSource, Source};
pub use update::{
    BucketUpdate, DestinationUpdate, HttpEndpointUpdate, ObjectEncryption, OpenSearchUpdate, RequestsUpdate, S3Update,
    SplunkUpdate,
};

use super::command::Command;
use super::error::{DeliveryError, DomainError};
use super::scope::{ResourceKey, Scope};
use super::stream::is_zero;
use super::unfinished::{Unfinished, Work};
use crate::engine::{LogId, LogSpec, Millis};

/// Where a delivery stream stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeliveryStatus {
    /// Its logs are being created.
    Creating,
    /// It could not be created; it can only be deleted.
    CreatingFailed,
    /// Its logs are being deleted.
    Deleting,
    /// It could not be deleted; deletion can be asked for again.
    DeletingFailed,
    /// It takes records.
    Active,
}

impl DeliveryStatus {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Creating, Self::CreatingFailed, Self::Deleting, Self::DeletingFailed, Self::Active];

    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::CreatingFailed => "CREATING_FAILED",
            Self::Deleting => "DELETING",
            Self::DeletingFailed => "DELETING_FAILED",
            Self::Active => "ACTIVE",
        }
    }
}

/// Consecutive log ids that a delivery stream has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBlock {
    /// The first.
    pub first: LogId,
    /// How many.
    pub count: u32,
}

impl LogBlock {
    /// How many a delivery stream gets: a log between processing and delivery, and one for each of 500 active
    /// partitions and of the kinds of error output, with some to spare.
    pub const COUNT: u32 = 512;

    /// The ids, in order.
    pub fn ids(self) -> impl Iterator<Item = LogId> {
        (0..u64::from(self.count)).map(move |n| LogId(self.first.0 + n))
    }

    /// The id at this place, if the block is that long.
    #[must_use]
    pub fn get(self, n: u32) -> Option<LogId> {
        (n < self.count).then(|| LogId(self.first.0 + u64::from(n)))
    }
}

/// A delivery stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryStream {
    /// This life of the name; never reused.
    pub incarnation: u64,
    /// Where the name holds.
    pub scope: Scope,
    /// The name.
    pub name: Arc<str>,
    /// Where it stands in its life.
    pub status: DeliveryStatus,
    /// When CREATING or DELETING ends; 0: as soon as the work is done.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub due: Millis,
    /// Why it failed, in a `…Failed` status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When it was created.
    pub created_ms: Millis,
    /// When its configuration last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_ms: Option<Millis>,
    /// Version of the configuration, from 1.
    pub version: u64,
    /// Where its records come from.
    #[serde(default, skip_serializing_if = "Source::is_default")]
    pub source: Source,
    /// Where its records go.
    #[serde(deserialize_with = "destination::read")]
    pub destination: Destination,
    /// Encryption at rest; none for a Kinesis source, whose records are encrypted as its data stream says.
    #[serde(default = "not_encrypted", skip_serializing_if = "is_not_encrypted")]
    pub encryption: Option<Encryption>,
    /// When encryption was started or stopped in the last 24 hours, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encryption_changes: Vec<Millis>,
    /// The log of its records.
    pub data_log: LogId,
    /// The log of its cuts and checkpoints.
    pub control_log: LogId,
    /// The logs between processing and delivery, each created when it is needed. Absent only in one that an earlier
    /// release created, until the node has started ([`Command::AssignLogBlock`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<LogBlock>,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
}

impl DeliveryStream {
    /// Class of the logs of delivery streams: no retention in hours, they live until delivered. Far above any
    /// stream's retention, which is the class of a shard's log.
    pub const DATA_CLASS: u32 = 1_000_000;
    /// Class of the control logs.
    pub const CONTROL_CLASS: u32 = 1_000_001;

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        self.scope.arn("firehose", &format!("deliverystream/{}", self.name))
    }

    /// This life of the name.
    #[must_use]
    pub fn key(&self) -> ResourceKey {
        ResourceKey { scope: self.scope.clone(), name: self.name.clone(), incarnation: self.incarnation }
    }

    /// Id of its one destination.
    #[must_use]
    pub fn destination_id(&self) -> &'static str {
        "destinationId-000000000001"
    }

    /// All its logs. Some may never have existed.
    pub fn logs(&self) -> impl Iterator<Item = LogId> {
        [self.data_log, self.control_log].into_iter().chain(self.block.into_iter().flat_map(LogBlock::ids))
    }

    /// The destination as `update` makes it, for whoever says that `version` is the present one
    /// (`CurrentDeliveryStreamVersionId`). To be submitted with the same `version`: then nothing comes between.
    ///
    /// # Errors
    /// [`DeliveryError::Version`], and what [`DestinationUpdate::merge`] refuses.
    pub fn updated(&self, version: &str, update: DestinationUpdate) -> Result<Destination, DomainError> {
        self.check_version(version)?;
        Ok(update.merge(&self.destination)?)
    }

    pub(super) fn check_version(&self, version: &str) -> Result<(), DomainError> {
        if version == self.version.to_string() {
            return Ok(());
        }
        let (current, specified) = (self.version, version.to_owned());
        Err(DeliveryError::Version { name: self.name.clone(), current, specified }.into())
    }

    /// What remains to be done before a status changes by itself.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let then = Command::FinishDeliveryStream(self.key());
        let work = match self.status {
            DeliveryStatus::Creating => {
                let log = |id, class| LogSpec { id, class, floor: self.created_ms };
                let logs = vec![log(self.data_log, Self::DATA_CLASS), log(self.control_log, Self::CONTROL_CLASS)];
                Some(Work::CreateLogs { logs, then })
            }
            DeliveryStatus::Deleting => Some(Work::DeleteLogs { logs: self.logs().collect(), then }),
            DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => None,
        };
        let encryption = self.changing_encryption().map(|encryption| {
            let then = Command::FinishDeliveryEncryption(self.key());
            Unfinished { due: encryption.due, work: Work::Nothing { then } }
        });
        work.map(|work| Unfinished { due: self.due, work }).into_iter().chain(encryption).collect()
    }

    /// Encryption that changes by itself. What is asked for at creation comes with ACTIVE.
    pub(super) fn changing_encryption(&self) -> Option<&Encryption> {
        let active = self.status == DeliveryStatus::Active;
        self.encryption.as_ref().filter(|encryption| active && encryption.is_changing())
    }

    pub(super) fn next_due(&self) -> Option<Millis> {
        let status = match self.status {
            DeliveryStatus::Creating | DeliveryStatus::Deleting => Some(self.due),
            DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => None,
        };
        status.into_iter().chain(self.changing_encryption().map(|encryption| encryption.due)).min()
    }
}

/// Before version 3 there was no encryption.
fn not_encrypted() -> Option<Encryption> {
    Some(Encryption::default())
}

#[expect(clippy::ref_option, reason = "serde asks so")]
fn is_not_encrypted(encryption: &Option<Encryption>) -> bool {
    *encryption == not_encrypted()
}
