//! A stream and its shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::scope::{ResourceKey, Scope};
use super::shard_table::ShardTable;
use super::state::Unfinished;
use crate::catalog::Command;
use crate::engine::Millis;

/// Where a stream stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StreamStatus {
    /// Its logs are being created.
    Creating,
    /// Its logs are being deleted.
    Deleting,
    /// It takes records.
    Active,
    /// It takes records while a change is under way.
    Updating,
}

impl StreamStatus {
    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Deleting => "DELETING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
        }
    }
}

/// Who decides how many shards there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StreamMode {
    /// The owner.
    Provisioned,
    /// The service, beginning with [`Self::ON_DEMAND_SHARDS`].
    OnDemand,
}

impl StreamMode {
    /// Shards of a new on-demand stream.
    pub const ON_DEMAND_SHARDS: u32 = 4;

    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::OnDemand => "ON_DEMAND",
        }
    }
}

/// A stream. Readers hold it as `Arc<Stream>` and see one moment of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// This life of the name; never reused.
    pub incarnation: u64,
    /// Where the name holds.
    pub scope: Scope,
    /// The name.
    pub name: Arc<str>,
    /// Where it stands in its life.
    pub status: StreamStatus,
    /// Who decides how many shards there are.
    pub mode: StreamMode,
    /// How long records stay readable, in hours.
    pub retention_hours: u32,
    /// Largest record including its partition key, in KiB.
    pub max_record_kib: u32,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created. AWS's shards are about three seconds older than their stream; here both are as old,
    /// except that a shard's second of creation never repeats one of an earlier stream of the name.
    pub created_ms: Millis,
    /// All shards that can still be read or named.
    pub shards: ShardTable,
}

impl Stream {
    /// Retention of a new stream, in hours.
    pub const DEFAULT_RETENTION_HOURS: u32 = 24;
    /// Largest record of a new stream, in KiB.
    pub const DEFAULT_MAX_RECORD_KIB: u32 = 1024;

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        self.scope.arn("kinesis", &format!("stream/{}", self.name))
    }

    /// This life of the name.
    #[must_use]
    pub fn key(&self) -> ResourceKey {
        ResourceKey { scope: self.scope.clone(), name: self.name.clone(), incarnation: self.incarnation }
    }

    /// True if records can be put and read. AWS answers data calls on others as if there were no stream.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match self.status {
            StreamStatus::Active | StreamStatus::Updating => true,
            StreamStatus::Creating | StreamStatus::Deleting => false,
        }
    }

    /// What remains to be done before its status changes by itself.
    #[must_use]
    pub fn unfinished(&self) -> Option<Unfinished> {
        let command = Command::FinishStream(self.key());
        let shards = self.shards.all().iter();
        match self.status {
            StreamStatus::Creating => {
                let logs = shards.map(|shard| shard.log_spec(self.retention_hours)).collect();
                Some(Unfinished::CreateLogs { command, logs })
            }
            StreamStatus::Deleting => {
                Some(Unfinished::DeleteLogs { command, logs: shards.map(|shard| shard.log).collect() })
            }
            StreamStatus::Active | StreamStatus::Updating => None,
        }
    }
}
