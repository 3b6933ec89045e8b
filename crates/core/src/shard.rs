//! A shard: a range of hash keys, a log, and a space of sequence numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::{LogId, LogSpec, Millis};
use crate::hash_range::HashKeyRange;
use crate::sequence::{SequenceNumber, SequenceSpace};

/// Names a shard in its stream. Printed as `shardId-` and twelve digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u32);

impl ShardId {
    /// Reads an id as AWS does: whatever stands before the first hyphen is ignored (`foo-1` is
    /// `shardId-000000000001`), and plain digits do as well. `None` if there is no number below 2^31, for which AWS
    /// says that it could not find the shard.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = match text.split('-').nth(1) {
            Some(part) if !part.is_empty() => part,
            _ => text,
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let index: u32 = digits.parse().ok()?;
        (index <= i32::MAX as u32).then_some(Self(index))
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shardId-{:012}", self.0)
    }
}

/// A shard as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Number of the shard in its stream, rising in the order of creation.
    #[serde(rename = "i")]
    pub index: u32,
    /// The hash keys that belong to it.
    #[serde(rename = "r")]
    pub range: HashKeyRange,
    /// Indexes of the shards that it continues: none, one (split) or two (merge: the parent, then the adjacent one).
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<u32>,
    /// Second since the Unix epoch in which it was created: the first part of all its sequence numbers.
    #[serde(rename = "s")]
    pub created_secs: u64,
    /// Its log.
    #[serde(rename = "l")]
    pub log: LogId,
    /// No record of it carries an earlier arrival time.
    #[serde(rename = "f")]
    pub floor: Millis,
    /// Set from the moment the end is decided, which may lie in the future.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// How a shard ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Second since the Unix epoch of its last moment.
    #[serde(rename = "at")]
    pub at_secs: u64,
    /// Indexes of the shards that continue it.
    pub children: Vec<u32>,
}

impl Shard {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ShardId {
        ShardId(self.index)
    }

    /// Its space of sequence numbers.
    #[must_use]
    pub fn space(&self) -> SequenceSpace {
        SequenceSpace { created_secs: self.created_secs, shard_index: self.index }
    }

    /// The shard that it continues.
    #[must_use]
    pub fn parent(&self) -> Option<ShardId> {
        self.parents.first().copied().map(ShardId)
    }

    /// The second shard that it continues, after a merge.
    #[must_use]
    pub fn adjacent_parent(&self) -> Option<ShardId> {
        self.parents.get(1).copied().map(ShardId)
    }

    /// Its StartingSequenceNumber.
    #[must_use]
    pub fn starting_number(&self) -> SequenceNumber {
        self.space().start()
    }

    /// Its EndingSequenceNumber, while it has an end.
    #[must_use]
    pub fn ending_number(&self) -> Option<SequenceNumber> {
        self.closed.as_ref().map(|closed| self.space().end(closed.at_secs))
    }

    /// True while no end is decided.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// How its log is created.
    #[must_use]
    pub fn log_spec(&self, retention_hours: u32) -> LogSpec {
        LogSpec { id: self.log, class: retention_hours, floor: self.floor }
    }
}

/// Which shards a listing shows (`ShardFilter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ShardFilter {
    /// All with records that may still be read.
    #[default]
    FromTrimHorizon,
    /// Those open at the trim horizon.
    AtTrimHorizon,
    /// Those open at this time or later.
    FromTimestamp(Millis),
    /// Those open at this time.
    AtTimestamp(Millis),
    /// Those open now.
    AtLatest,
}

impl ShardFilter {
    /// Whether it shows `shard`. `horizon_ms` is the trim horizon: the stream's retention ago, but not before the
    /// stream was created.
    #[must_use]
    pub fn shows(self, shard: &Shard, horizon_ms: Millis) -> bool {
        // The last millisecond of the second of closing counts as open.
        let closed_ms = shard.closed.as_ref().map(|closed| closed.at_secs.saturating_mul(1000).saturating_add(999));
        // A creation time is told in whole seconds, and whoever asks with it means the shard.
        let created_by = |time| shard.floor / 1000 * 1000 <= time;
        let open_from = |time| closed_ms.is_none_or(|closed| closed >= time);
        match self {
            Self::FromTrimHorizon => open_from(horizon_ms),
            Self::FromTimestamp(time) => open_from(time.max(horizon_ms)),
            Self::AtTrimHorizon => created_by(horizon_ms) && open_from(horizon_ms),
            Self::AtTimestamp(time) => created_by(time) && open_from(time.max(horizon_ms)),
            Self::AtLatest => shard.is_open(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_aws_reads_them() {
        let rows = [
            ("shardId-000000000000", Some(0)),
            ("foo-1", Some(1)),
            ("-7", Some(7)),
            ("12", Some(12)),
            ("shardId-2147483647", Some(2_147_483_647)),
            ("shardId-2147483648", None),
            ("shardId-99999999999999999999", None),
            ("shardId--1", None),
            ("shardId-1x", None),
            ("shardId-+1", None),
            ("shardId", None),
            ("", None),
            ("-", None),
        ];
        for (text, index) in rows {
            assert_eq!(ShardId::parse(text), index.map(ShardId), "{text:?}");
        }
        assert_eq!(ShardId(123).to_string(), "shardId-000000000123");
    }

    #[test]
    fn filters_show_the_shards_that_were_open() {
        let shard = |born, closed: Option<u64>| Shard {
            index: 0,
            range: HashKeyRange::ALL,
            parents: Vec::new(),
            created_secs: born / 1000,
            log: LogId(16),
            floor: born,
            closed: closed.map(|at_secs| Closed { at_secs, children: vec![1] }),
        };
        // Closed before the horizon of 20 s, closed at 30 s, open from before it, open from 30 s on.
        let shards = [shard(1_000, Some(10)), shard(1_000, Some(30)), shard(1_000, None), shard(31_000, None)];
        let rows = [
            (ShardFilter::FromTrimHorizon, [false, true, true, true]),
            (ShardFilter::AtTrimHorizon, [false, true, true, false]),
            (ShardFilter::FromTimestamp(30_999), [false, true, true, true]),
            (ShardFilter::FromTimestamp(31_000), [false, false, true, true]),
            (ShardFilter::FromTimestamp(0), [false, true, true, true]),
            (ShardFilter::AtTimestamp(30_000), [false, true, true, false]),
            (ShardFilter::AtTimestamp(31_000), [false, false, true, true]),
            (ShardFilter::AtLatest, [false, false, true, true]),
        ];
        for (filter, shown) in rows {
            assert_eq!(shards.each_ref().map(|shard| filter.shows(shard, 20_000)), shown, "{filter:?}");
        }
    }
}
