//! A stream and its shards.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::Command;
use super::consumer::{Consumer, ConsumerRef, ConsumerStatus};
use super::scope::{ResourceKey, Scope};
use super::settings::{Change, Distribution, Encrypted, History, PendingUpdate, ShardMetric};
use super::shard_table::{Closing, ShardTable};
use super::unfinished::{Seal, Unfinished, Work};
use crate::engine::{LogId, Millis};
use crate::retention::cutoff;
use crate::scaling::Peaks;
use crate::shard::ShardId;

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

/// True for a time that need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
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
    /// When CREATING or DELETING ends; 0: as soon as the work is done.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub due: Millis,
    /// Who decides how many shards there are.
    pub mode: StreamMode,
    /// How long records stay readable, in hours.
    pub retention_hours: u32,
    /// Records that arrived before this time are past an earlier, shorter retention, and stay unreadable.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub kept_from: Millis,
    /// Largest record including its partition key, in KiB.
    pub max_record_kib: u32,
    /// Throughput to be ready for in MiB/s, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_mibps: Option<u32>,
    /// Who chooses the shard of a record.
    #[serde(default, skip_serializing_if = "Distribution::is_default")]
    pub distribution: Distribution,
    /// The key of server-side encryption, as it was named; `None` while it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// When it was on, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encrypted: Vec<Encrypted>,
    /// The metrics that are kept for each shard.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub monitoring: BTreeSet<ShardMetric>,
    /// The owner's tags.
    pub tags: BTreeMap<String, String>,
    /// Its resource policy, as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// When it was created. AWS's shards are about three seconds older than their stream; here both are as old,
    /// except that a shard's second of creation never repeats one of an earlier stream of the name.
    pub created_ms: Millis,
    /// The change under way, exactly in status UPDATING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<PendingUpdate>,
    /// What was changed lately.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
    /// Its busiest minutes of 30 days, while it is on-demand.
    #[serde(default, skip_serializing_if = "no_peaks")]
    pub peaks: Arc<Peaks>,
    /// Its consumers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub consumers: BTreeMap<Arc<str>, Arc<Consumer>>,
    /// The last second in which a consumer that is gone was registered. A later one begins after it, so that no ARN
    /// ever names two consumers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_consumer_secs: u64,
    /// Logs of expired shards, to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_logs: Vec<LogId>,
    /// All shards that can still be read or named.
    pub shards: ShardTable,
}

fn no_peaks(peaks: &Arc<Peaks>) -> bool {
    **peaks == Peaks::default()
}

impl Stream {
    /// Retention of a new stream, in hours.
    pub const DEFAULT_RETENTION_HOURS: u32 = 24;
    /// Shortest retention, in hours.
    pub const MIN_RETENTION_HOURS: u32 = 24;
    /// Longest retention, in hours.
    pub const MAX_RETENTION_HOURS: u32 = 8_760;
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

    /// The trim horizon at `now`: records that arrived earlier cannot be read. Not before the stream was created,
    /// which is told in whole seconds.
    #[must_use]
    pub fn horizon(&self, now: Millis) -> Millis {
        cutoff(now, self.retention_hours).max(self.kept_from).max(self.created_ms / 1000 * 1000)
    }

    /// Whether a record that arrived then was encrypted.
    #[must_use]
    pub fn was_encrypted(&self, arrival: Millis) -> bool {
        self.encrypted.iter().rev().any(|time| time.covers(arrival))
    }

    /// The consumer of this life.
    #[must_use]
    pub fn consumer(&self, consumer: &ConsumerRef) -> Option<&Consumer> {
        let found = self.consumers.get(&consumer.name).filter(|found| found.created_secs() == consumer.created_secs);
        found.map(Arc::as_ref)
    }

    /// The consumers in the order of their names, behind `after`.
    pub fn consumers_after<'a>(&'a self, after: Option<&str>) -> impl Iterator<Item = &'a Consumer> + use<'a> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.consumers.range::<str, _>((start, Bound::Unbounded)).map(|(_, consumer)| &**consumer)
    }

    /// What remains to be done, the earliest first.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let shards = self.shards.all().iter();
        let finish = || Command::FinishStream(self.key());
        match self.status {
            StreamStatus::Creating => {
                let logs = shards.map(|shard| shard.log_spec(self.retention_hours)).collect();
                vec![Unfinished { due: self.due, work: Work::CreateLogs { logs, then: finish() } }]
            }
            StreamStatus::Deleting => {
                let logs = shards.map(|shard| shard.log).chain(self.retired_logs.iter().copied()).collect();
                vec![Unfinished { due: self.due, work: Work::DeleteLogs { logs, then: finish() } }]
            }
            StreamStatus::Active | StreamStatus::Updating => {
                let mut all: Vec<_> = self.seals().chain(self.updates()).chain(self.consumer_work()).collect();
                all.extend(self.retired());
                // At the same time a hand-over comes first: shards that take puts may end at once, others live a while.
                all.sort_by_key(|unfinished| unfinished.due);
                all
            }
        }
    }

    /// When the first of [`Self::unfinished`] is due. Costs no more than a look at the consumers and the shards that
    /// are not sealed yet.
    #[must_use]
    pub(super) fn next_due(&self) -> Option<Millis> {
        if !self.is_usable() {
            return Some(self.due);
        }
        let update = self.update.iter().map(|update| update.due);
        let seals = self.shards.unsealed().into_iter().map(|closing| closing.due);
        let consumers = self.consumers.values().filter(|consumer| consumer.status != ConsumerStatus::Active);
        let retired = self.retired_logs.first().map(|_| 0);
        update.chain(seals).chain(consumers.map(|consumer| consumer.due)).chain(retired).min()
    }

    fn updates(&self) -> impl Iterator<Item = Unfinished> {
        self.update.iter().map(|update| {
            let then = match &update.change {
                Change::Reshard { generations, .. } => {
                    Command::AdvanceReshard { stream: self.key(), left: generations.len() }
                }
                Change::Retention(_)
                | Change::Mode { .. }
                | Change::Encryption(_)
                | Change::Monitoring(_)
                | Change::MaxRecordSize(_)
                | Change::WarmThroughput(_)
                | Change::Distribution(_) => Command::FinishUpdate(self.key()),
            };
            Unfinished { due: update.due, work: Work::Nothing { then } }
        })
    }

    /// One hand-over for all parents that end at the same time.
    fn seals(&self) -> impl Iterator<Item = Unfinished> {
        let mut by_end: BTreeMap<Millis, Vec<Closing>> = BTreeMap::new();
        for closing in self.shards.unsealed() {
            by_end.entry(closing.due).or_default().push(closing);
        }
        by_end.into_iter().map(|(due, closings)| Unfinished { due, work: Work::Seal(self.seal(closings)) })
    }

    fn seal(&self, closings: Vec<Closing>) -> Seal {
        let shard = |&index: &u32| self.shards.get(ShardId(index));
        let parents = closings.iter().flat_map(|closing| closing.parents.iter().filter_map(shard));
        let parents = parents.map(|shard| (shard.index, shard.log)).collect();
        let logs = |closing: &Closing| {
            let children = closing.children.iter().filter_map(shard);
            children.map(|shard| shard.log_spec(self.retention_hours)).collect()
        };
        let closings = closings.into_iter().map(|closing| (closing.clone(), logs(&closing))).collect();
        Seal { stream: self.key(), parents, closings }
    }

    fn consumer_work(&self) -> impl Iterator<Item = Unfinished> {
        let waiting = self.consumers.values().filter(|consumer| consumer.status != ConsumerStatus::Active);
        waiting.map(|consumer| {
            let then = Command::FinishConsumer { stream: self.key(), consumer: consumer.reference() };
            Unfinished { due: consumer.due, work: Work::Nothing { then } }
        })
    }

    fn retired(&self) -> Option<Unfinished> {
        let logs = self.retired_logs.clone();
        let then = Command::ForgetLogs { stream: self.key(), logs: logs.clone() };
        (!logs.is_empty()).then_some(Unfinished { due: 0, work: Work::DeleteLogs { logs, then } })
    }
}
