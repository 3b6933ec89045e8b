//! Settings of a stream and an account, and how a stream's change of mind is kept while it is UPDATING.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::stream::{Stream, StreamMode};
use crate::engine::Millis;
use crate::reshard::Generation;
use crate::retention::cutoff;

/// Who chooses the shard of a record of an on-demand stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Distribution {
    /// The producer, by the partition key.
    #[default]
    UserPartitionKey,
    /// The service; partition keys and explicit hash keys are ignored.
    Auto,
}

impl Distribution {
    /// True for the one that streams begin with.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A metric that enhanced monitoring adds for each shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are CloudWatch's and say it")]
pub enum ShardMetric {
    IncomingBytes,
    IncomingRecords,
    IteratorAgeMilliseconds,
    OutgoingBytes,
    OutgoingRecords,
    ReadProvisionedThroughputExceeded,
    WriteProvisionedThroughputExceeded,
}

impl ShardMetric {
    /// What `ALL` stands for.
    pub const ALL: [Self; 7] = [
        Self::IncomingBytes,
        Self::IncomingRecords,
        Self::IteratorAgeMilliseconds,
        Self::OutgoingBytes,
        Self::OutgoingRecords,
        Self::ReadProvisionedThroughputExceeded,
        Self::WriteProvisionedThroughputExceeded,
    ];

    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IncomingBytes => "IncomingBytes",
            Self::IncomingRecords => "IncomingRecords",
            Self::IteratorAgeMilliseconds => "IteratorAgeMilliseconds",
            Self::OutgoingBytes => "OutgoingBytes",
            Self::OutgoingRecords => "OutgoingRecords",
            Self::ReadProvisionedThroughputExceeded => "ReadProvisionedThroughputExceeded",
            Self::WriteProvisionedThroughputExceeded => "WriteProvisionedThroughputExceeded",
        }
    }
}

/// What becomes of a stream when its update is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Records stay readable for so many hours.
    Retention(u32),
    /// Somebody else decides how many shards there are.
    Mode {
        /// Who.
        mode: StreamMode,
        /// Throughput to be ready for in MiB/s; on-demand only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warm_mibps: Option<u32>,
    },
    /// Encryption with this key, as it was named; none if absent.
    Encryption(Option<String>),
    /// These metrics are kept for each shard.
    Monitoring(BTreeSet<ShardMetric>),
    /// The largest record in KiB.
    MaxRecordSize(u32),
    /// Throughput to be ready for in MiB/s.
    WarmThroughput(u32),
    /// Who chooses the shard of a record.
    Distribution(Distribution),
    /// New shards.
    Reshard {
        /// The generations that are still to come; at least one.
        generations: Vec<Generation>,
        /// True for an `UpdateShardCount`, of which AWS allows so many in 24 hours.
        counts: bool,
    },
}

/// A change on its way. The old values show until it is applied, as at AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingUpdate {
    /// When it was decided, or the reshard's last generation came.
    pub since: Millis,
    /// When it is applied, or the reshard's next generation comes.
    pub due: Millis,
    /// What is applied.
    pub change: Change,
}

/// A time in which a stream's records were encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encrypted {
    /// Arrival time of the first such record, or earlier.
    pub from: Millis,
    /// Records that arrived from then on are plain; `None` while encryption is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
}

impl Encrypted {
    /// Most times that are kept. Of a stream that was switched more often, the oldest records count as plain.
    const KEPT: usize = 64;

    /// Whether records that arrived then were encrypted.
    #[must_use]
    pub fn covers(&self, arrival: Millis) -> bool {
        self.from <= arrival && self.until.is_none_or(|until| arrival < until)
    }

    fn switch(times: &mut Vec<Self>, at: Millis, on: bool) {
        match times.last_mut().filter(|last| last.until.is_none()) {
            Some(last) if !on => last.until = Some(at),
            None if on => times.push(Self { from: at, until: None }),
            Some(_) | None => {}
        }
        times.drain(..times.len().saturating_sub(Self::KEPT));
    }
}

/// When a stream was changed in ways of which AWS allows so many in 24 hours, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// Switches of the mode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mode_switches: Vec<Millis>,
    /// Starts of encryption.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub encryption_starts: Vec<Millis>,
    /// Stops of encryption.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub encryption_stops: Vec<Millis>,
    /// `UpdateShardCount`s.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shard_count_updates: Vec<Millis>,
}

impl History {
    /// Most times of a kind that are kept: more than any quota counts.
    const KEPT: usize = 32;
    /// How far back they count.
    pub const WINDOW_MS: Millis = 24 * 3_600_000;

    /// True if nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many of `times` lie within the last 24 hours.
    #[must_use]
    pub fn recent(times: &[Millis], now: Millis) -> usize {
        times.iter().filter(|&&at| now.saturating_sub(at) < Self::WINDOW_MS).count()
    }

    pub(super) fn note(times: &mut Vec<Millis>, at: Millis) {
        times.retain(|&earlier| at.saturating_sub(earlier) < Self::WINDOW_MS);
        times.push(at);
        times.drain(..times.len().saturating_sub(Self::KEPT));
    }
}

impl Change {
    /// Notes in the stream's history that this was decided at `at`.
    pub(super) fn note(&self, stream: &mut Stream, at: Millis) {
        let history = &mut stream.history;
        match self {
            Self::Mode { .. } => History::note(&mut history.mode_switches, at),
            Self::Encryption(Some(_)) => History::note(&mut history.encryption_starts, at),
            Self::Encryption(None) => History::note(&mut history.encryption_stops, at),
            Self::Retention(_)
            | Self::Monitoring(_)
            | Self::MaxRecordSize(_)
            | Self::WarmThroughput(_)
            | Self::Distribution(_)
            | Self::Reshard { counts: false, .. } => {}
            Self::Reshard { counts: true, .. } => History::note(&mut history.shard_count_updates, at),
        }
    }

    /// Gives the stream its new setting at `at`. A reshard is not a setting; its shards come by their own event.
    pub(super) fn apply(self, stream: &mut Stream, at: Millis) {
        match self {
            Self::Retention(hours) => {
                // What was past the old retention stays so, also if the new one would reach back further.
                stream.kept_from = stream.kept_from.max(cutoff(at, stream.retention_hours));
                stream.retention_hours = hours;
            }
            Self::Mode { mode, warm_mibps } => {
                stream.mode = mode;
                stream.warm_mibps = warm_mibps;
                if mode == StreamMode::Provisioned {
                    stream.distribution = Distribution::default();
                }
            }
            Self::Encryption(key_id) => {
                Encrypted::switch(&mut stream.encrypted, at, key_id.is_some());
                stream.encryption_key = key_id;
            }
            Self::Monitoring(metrics) => stream.monitoring = metrics,
            Self::MaxRecordSize(kib) => stream.max_record_kib = kib,
            Self::WarmThroughput(mibps) => stream.warm_mibps = Some(mibps),
            Self::Distribution(distribution) => stream.distribution = distribution,
            Self::Reshard { .. } => {}
        }
    }
}

/// Where an account's minimum throughput billing commitment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitmentStatus {
    /// It holds.
    Enabled,
    /// It was given up before its first 24 hours were over, and holds until then.
    EnabledUntilEarliestAllowedEnd,
    /// It does not hold.
    Disabled,
}

/// An account's minimum throughput billing commitment in a region: what allows warm throughput. It lasts at least
/// [`Self::MINIMUM_MS`] (model: `MinimumThroughputBillingCommitmentInput`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// When it was given.
    pub started: Millis,
    /// When it ends or ended, if it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Millis>,
}

impl Commitment {
    /// How long it holds at least, in ms.
    pub const MINIMUM_MS: Millis = 24 * 3_600_000;

    /// The earliest time at which it may end.
    #[must_use]
    pub fn earliest_end(&self) -> Millis {
        self.started.saturating_add(Self::MINIMUM_MS)
    }

    /// Where it stands at `now`.
    #[must_use]
    pub fn status(&self, now: Millis) -> CommitmentStatus {
        match self.ends {
            None => CommitmentStatus::Enabled,
            Some(ends) if now < ends => CommitmentStatus::EnabledUntilEarliestAllowedEnd,
            Some(_) => CommitmentStatus::Disabled,
        }
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Millis) -> bool {
        self.status(now) != CommitmentStatus::Disabled
    }
}
