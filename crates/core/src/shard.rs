//! A shard: a range of hash keys, a log, and a space of sequence numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::ShardTable;
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
///
/// The end is decided first, together with the children's start, and both are listed at once; until the shard is
/// *sealed* it takes the puts, and its children none. Sealing tells when its last record really arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Second since the Unix epoch that EndingSequenceNumber prints. Never changes once it was shown.
    #[serde(rename = "at")]
    pub secs: u64,
    /// Its last millisecond: planned until it is sealed, real from then on. Its children's floor is the next one.
    #[serde(rename = "ms")]
    pub at_ms: Millis,
    /// Indexes of the shards that continue it: two (split) or one (merge).
    #[serde(rename = "ch")]
    pub children: Vec<u32>,
    /// True once its log takes no more records and its children's do.
    #[serde(rename = "z", default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
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

    /// Its EndingSequenceNumber, once its end is decided.
    #[must_use]
    pub fn ending_number(&self) -> Option<SequenceNumber> {
        self.closed.as_ref().map(|closed| self.space().end(closed.secs))
    }

    /// True while no end is decided. What OpenShardCount counts, although a shard with a decided end may still take
    /// records and one without may not take them yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// True once it takes no more records: a reader at its end has read it all.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.sealed)
    }

    /// How its log is created.
    #[must_use]
    pub fn log_spec(&self, retention_hours: u32) -> LogSpec {
        LogSpec { id: self.log, class: retention_hours, floor: self.floor }
    }
}

/// Which shards a listing shows (`ShardFilter`).
///
/// At any time a hash key belongs to exactly one shard: to the parent up to the last millisecond of its close, to the
/// child from the next one on. [`AtTimestamp`](Self::AtTimestamp) and [`AtTrimHorizon`](Self::AtTrimHorizon) therefore
/// show shards that together cover all hash keys once, whatever the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ShardFilter {
    /// All with records that may still be read, and all that are open.
    #[default]
    FromTrimHorizon,
    /// Those whose time the trim horizon falls in.
    AtTrimHorizon,
    /// Those that end at this time or later, and all that are open.
    FromTimestamp(Millis),
    /// Those whose time this is.
    AtTimestamp(Millis),
    /// Those that take records now or will. Between the decision and the close of a reshard AWS lists parents and
    /// children here.
    AtLatest,
}

impl ShardFilter {
    /// Whether it shows `shard`, one of `table`. `horizon_ms` is the trim horizon: the stream's retention ago, but not
    /// before the stream was created.
    #[must_use]
    pub fn shows(self, table: &ShardTable, shard: &Shard, horizon_ms: Millis) -> bool {
        let ends_from = |time| shard.closed.as_ref().is_none_or(|closed| closed.at_ms >= time);
        let covers = |time| table.since(shard) <= time && ends_from(time);
        match self {
            Self::FromTrimHorizon => ends_from(horizon_ms),
            Self::FromTimestamp(time) => ends_from(time.max(horizon_ms)),
            Self::AtTrimHorizon => covers(horizon_ms),
            Self::AtTimestamp(time) => covers(time.max(horizon_ms)),
            Self::AtLatest => !shard.is_sealed(),
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
    fn a_shard_without_an_end_is_written_as_before_there_were_ends() {
        let text = r#"{"i":3,"r":["0","9"],"s":1800000000,"l":19,"f":1800000000123}"#;
        let shard: Shard = serde_json::from_str(text).unwrap();
        assert_eq!((shard.index, &shard.closed, shard.is_sealed()), (3, &None, false));
        assert_eq!(serde_json::to_string(&shard).unwrap(), text);
        let closed = Closed { secs: 5, at_ms: 5_001, children: vec![4], sealed: true };
        let shard = Shard { closed: Some(closed), ..shard };
        let text = serde_json::to_string(&shard).unwrap();
        assert!(text.ends_with(r#","c":{"at":5,"ms":5001,"ch":[4],"z":true}}"#), "{text}");
        assert_eq!(serde_json::from_str::<Shard>(&text).unwrap(), shard);
        assert!(shard.ending_number().unwrap() > shard.space().number(u64::MAX >> 2, u64::MAX >> 20));
    }
}
