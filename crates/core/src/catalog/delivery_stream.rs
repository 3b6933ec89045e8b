//! A delivery stream of type DirectPut: an internal log, and where its records go.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::Command;
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

/// When a buffer is delivered: at this size or this age, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffering {
    /// In MiB.
    pub size_mb: u32,
    /// In seconds.
    pub interval_secs: u32,
}

/// AWS's defaults for S3.
impl Default for Buffering {
    fn default() -> Self {
        Self { size_mb: 5, interval_secs: 300 }
    }
}

/// How objects are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    #[default]
    Uncompressed,
    /// GZIP.
    Gzip,
    /// A ZIP archive of one entry.
    Zip,
    /// Snappy in the framing of snappy-java.
    Snappy,
    /// Snappy in Hadoop's framing.
    HadoopSnappy,
}

impl Compression {
    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "UNCOMPRESSED",
            Self::Gzip => "GZIP",
            Self::Zip => "ZIP",
            Self::Snappy => "Snappy",
            Self::HadoopSnappy => "HADOOP_SNAPPY",
        }
    }
}

/// Where AWS would write error logs. Kept and described back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudWatchLogging {
    /// Whether logging is on.
    pub enabled: bool,
    /// Name of the log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Name of the log stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

/// A bucket, and how objects get into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Destination {
    /// True if it was given as an ExtendedS3DestinationConfiguration.
    pub extended: bool,
    /// ARN of the bucket.
    pub bucket_arn: String,
    /// Role in whose name AWS would write. Kept and described back.
    pub role_arn: String,
    /// Front part of object keys, before evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Front part of keys of objects with failed records, before evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_prefix: Option<String>,
    /// When a buffer is delivered.
    #[serde(default)]
    pub buffering: Buffering,
    /// How objects are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// End of object keys, in place of the compression's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_extension: Option<String>,
    /// Time zone of keys, `UTC` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Error logging. Kept and described back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<CloudWatchLogging>,
    /// Key that AWS would encrypt objects with. Kept and described back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
}

impl S3Destination {
    /// Name of the bucket: the last part of its ARN.
    #[must_use]
    pub fn bucket(&self) -> &str {
        self.bucket_arn.rsplit(':').next().unwrap_or_default()
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
    /// Where its records go.
    pub destination: S3Destination,
    /// The log of its records.
    pub data_log: LogId,
    /// The log of its cuts and checkpoints.
    pub control_log: LogId,
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

    /// What remains to be done before its status changes by itself.
    #[must_use]
    pub fn unfinished(&self) -> Option<Unfinished> {
        let then = Command::FinishDeliveryStream(self.key());
        let work = match self.status {
            DeliveryStatus::Creating => {
                let log = |id, class| LogSpec { id, class, floor: self.created_ms };
                let logs = vec![log(self.data_log, Self::DATA_CLASS), log(self.control_log, Self::CONTROL_CLASS)];
                Work::CreateLogs { logs, then }
            }
            DeliveryStatus::Deleting => Work::DeleteLogs { logs: vec![self.data_log, self.control_log], then },
            DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => return None,
        };
        Some(Unfinished { due: self.due, work })
    }

    pub(super) fn next_due(&self) -> Option<Millis> {
        match self.status {
            DeliveryStatus::Creating | DeliveryStatus::Deleting => Some(self.due),
            DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => None,
        }
    }
}
