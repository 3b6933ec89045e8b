//! Resharding, planned: which shards close, and which continue them.
//!
//! A reshard is one or more *generations*. All pieces of a generation become visible at once; a later generation may
//! name shards that an earlier one creates. A piece therefore names shards by their ranges of hash keys: at any time
//! the shards without a decided end cover all hash keys once, so that a range names one of them or none. Indexes,
//! logs and times are chosen when a generation becomes visible ([`Generation::decide`]).
//!
//! Architecture invariant: a plan is a function of the table and the request alone. Whether the stream may be resharded
//! now (status, mode, quotas) is the catalog's question.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{MAX_SHARDS_PER_STREAM, SHORTEST_LIFE_MS, ShardTable};
use crate::engine::{LogId, Millis};
use crate::hash_range::{HashKeyRange, even_ranges, explicit_hash};
use crate::shard::{Closed, Shard, ShardId};

/// One split or one merge. `lower` and `upper` are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// The shard with both ranges closes; two continue it.
    Split {
        /// The range of the first child.
        lower: HashKeyRange,
        /// The range of the second child.
        upper: HashKeyRange,
    },
    /// Two shards close; one with both ranges continues them.
    Merge {
        /// The range of the parent.
        lower: HashKeyRange,
        /// The range of the adjacent parent.
        upper: HashKeyRange,
    },
}

impl Piece {
    /// A split of the shard with `range`, whose second child begins at `at`: where [`can_split`] says that it may.
    pub(crate) fn split(range: HashKeyRange, at: u128) -> Self {
        Self::Split {
            lower: HashKeyRange { start: range.start, end: at - 1 },
            upper: HashKeyRange { start: at, end: range.end },
        }
    }

    /// Ranges of the shards that close.
    #[must_use]
    pub fn parents(&self) -> Vec<HashKeyRange> {
        match *self {
            Self::Split { lower, upper } => vec![joined(lower, upper)],
            Self::Merge { lower, upper } => vec![lower, upper],
        }
    }

    /// Ranges of the shards that continue them.
    #[must_use]
    pub fn children(&self) -> Vec<HashKeyRange> {
        match *self {
            Self::Split { lower, upper } => vec![lower, upper],
            Self::Merge { lower, upper } => vec![joined(lower, upper)],
        }
    }
}

fn joined(lower: HashKeyRange, upper: HashKeyRange) -> HashKeyRange {
    HashKeyRange { start: lower.start, end: upper.end }
}

/// Splits and merges that become visible at once. No shard is named twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation {
    /// In the order in which the children get their indexes.
    pub pieces: Vec<Piece>,
}

/// A generation with everything chosen: what an event holds and [`ShardTable::add_generation`] takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewShards {
    /// The ends of the parents, by index.
    pub closed: Vec<(u32, Closed)>,
    /// The children, in the order of their indexes. Their logs are created when the parents are sealed.
    pub shards: Vec<Arc<Shard>>,
}

/// Why a reshard is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReshardError {
    /// There is no such shard.
    #[error("there is no shard {0}")]
    ShardNotFound(ShardId),
    /// The shard has a decided end.
    #[error("{0} has already been merged or split")]
    HasEnd(ShardId),
    /// A split would leave less than two hash keys on one side.
    #[error("{given} is not greater than {} and less than {}, where {shard} could be split", range.start, range.end)]
    SplitKey {
        /// The new starting hash key as it came.
        given: String,
        /// The shard.
        shard: ShardId,
        /// Its hash keys.
        range: HashKeyRange,
    },
    /// The second shard does not begin where the first one ends.
    #[error("{shard} and {adjacent} are not adjacent")]
    NotAdjacent {
        /// The first.
        shard: ShardId,
        /// The second.
        adjacent: ShardId,
    },
    /// More than twice as many shards.
    #[error("{target} is more than twice {open}")]
    TooMany {
        /// Open shards now.
        open: u32,
        /// Wanted.
        target: u32,
    },
    /// Less than half as many shards.
    #[error("{target} is less than half of {open}")]
    TooFew {
        /// Open shards now.
        open: u32,
        /// Wanted.
        target: u32,
    },
}

/// The shard with this id: the first check of a split or merge. Where an account has a shard quota, AWS looks at it next.
///
/// # Errors
/// [`ReshardError::ShardNotFound`].
pub fn find(table: &ShardTable, shard: ShardId) -> Result<&Arc<Shard>, ReshardError> {
    table.get(shard).ok_or(ReshardError::ShardNotFound(shard))
}

fn without_end(shard: &Shard) -> Result<(), ReshardError> {
    if shard.is_open() { Ok(()) } else { Err(ReshardError::HasEnd(shard.id())) }
}

/// SplitShard. A shard that takes no puts yet may be split.
///
/// AWS's order: shard, end, key; the stream's status comes last (the order of the first two as the stackd project has
/// it, the rest as kinesalite's tests saw it on AWS).
///
/// # Errors
/// [`ReshardError::ShardNotFound`], [`ReshardError::HasEnd`], [`ReshardError::SplitKey`].
pub fn split(table: &ShardTable, shard: ShardId, new_starting_hash_key: &str) -> Result<Generation, ReshardError> {
    let shard = find(table, shard)?;
    without_end(shard)?;
    let at = explicit_hash(new_starting_hash_key).ok().filter(|&at| can_split(shard.range, at));
    let refused =
        || ReshardError::SplitKey { given: new_starting_hash_key.to_owned(), shard: shard.id(), range: shard.range };
    Ok(Generation { pieces: vec![Piece::split(shard.range, at.ok_or_else(refused)?)] })
}

/// Whether AWS would split there: greater than one plus the start, less than the end.
pub(crate) fn can_split(range: HashKeyRange, at: u128) -> bool {
    at.checked_sub(range.start).is_some_and(|below| below > 1) && at < range.end
}

/// MergeShards. The second shard must begin where the first ends (kinesalite's tests: the other way round AWS refuses).
///
/// AWS's order: first shard, second shard, ends, adjacency; the stream's status comes last.
///
/// # Errors
/// [`ReshardError::ShardNotFound`], [`ReshardError::HasEnd`], [`ReshardError::NotAdjacent`].
pub fn merge(table: &ShardTable, shard: ShardId, adjacent: ShardId) -> Result<Generation, ReshardError> {
    let (lower, upper) = (find(table, shard)?, find(table, adjacent)?);
    without_end(lower)?;
    without_end(upper)?;
    if lower.range.end.checked_add(1) != Some(upper.range.start) {
        return Err(ReshardError::NotAdjacent { shard, adjacent });
    }
    Ok(Generation { pieces: vec![Piece::Merge { lower: lower.range, upper: upper.range }] })
}

/// A boundary between shards that is so near to a target boundary is taken for it, in hash keys.
///
/// Boundaries are whole numbers, so that those of 3 and of 6 even shards differ by one key where the fractions are the
/// same. Split there to the letter, doubling would make shards of one key and merge them again. A boundary is off its
/// fraction by less than the number of shards that it was made for, so the largest number of shards covers all.
const SNAP_KEYS: u128 = MAX_SHARDS_PER_STREAM as u128;

/// UpdateShardCount with uniform scaling: every open shard is split at each target boundary inside it, then what shares
/// a target range is merged (seen on AWS: from 2 to 3, shards 2 to 5 are the parts between thirds and halves, then 6
/// merges 3 and 4).
///
/// A shard with several boundaries inside is halved by the middle one, then each half, and so on; several pieces of a
/// target range merge pairwise. Each such round is a generation. No generation: there are `target` shards already.
///
/// moto's tests state totals (from 5 to 3: 7 shards; from 10 to 13: 37) that leave ranges uneven, as AWS may have done
/// in 2022; what was seen in 2026, and what AWS documents, is even.
///
/// # Errors
/// [`ReshardError::TooMany`] above twice the open shards, [`ReshardError::TooFew`] below half of them, rounded down,
/// and below 1.
pub fn update_shard_count(table: &ShardTable, target: u32) -> Result<Vec<Generation>, ReshardError> {
    let open = u32::try_from(table.open_count()).unwrap_or(u32::MAX);
    if target == open {
        return Ok(Vec::new());
    }
    if target > open.saturating_mul(2) {
        return Err(ReshardError::TooMany { open, target });
    }
    if target < (open / 2).max(1) {
        return Err(ReshardError::TooFew { open, target });
    }
    let mut ranges: Vec<_> = table.open().map(|shard| shard.range).collect();
    ranges.sort_unstable();
    let boundaries = target_boundaries(&ranges, target);
    let mut generations = Vec::new();
    for round in [split_round, merge_round] {
        loop {
            let (pieces, result) = round(&ranges, &boundaries);
            if pieces.is_empty() {
                break;
            }
            generations.push(Generation { pieces });
            ranges = result;
        }
    }
    Ok(generations)
}

/// Where the target's shards begin, except the first: at boundaries of today's shards where these are near enough.
fn target_boundaries(ranges: &[HashKeyRange], target: u32) -> Vec<u128> {
    let nearest = |wanted: u128| {
        let place = ranges.partition_point(|range| range.start < wanted);
        let near = ranges[place.saturating_sub(1)..].iter().take(2).map(|range| range.start);
        near.filter(|&start| start != 0).min_by_key(|start| start.abs_diff(wanted))
    };
    let snapped = |wanted| nearest(wanted).filter(|start| start.abs_diff(wanted) < SNAP_KEYS).unwrap_or(wanted);
    even_ranges(target).iter().skip(1).map(|range| snapped(range.start)).collect()
}

type Round = (Vec<Piece>, Vec<HashKeyRange>);

/// Splits each range at the middle one of the boundaries inside it.
fn split_round(ranges: &[HashKeyRange], boundaries: &[u128]) -> Round {
    let mut round = Round::default();
    for &range in ranges {
        let from = boundaries.partition_point(|&at| at <= range.start);
        let to = boundaries.partition_point(|&at| at <= range.end);
        if from == to {
            round.1.push(range);
        } else {
            let piece = Piece::split(range, boundaries[from + (to - from - 1) / 2]);
            round.0.push(piece);
            round.1.extend(piece.children());
        }
    }
    round
}

/// Merges neighbours that no boundary separates, each range at most once.
fn merge_round(ranges: &[HashKeyRange], boundaries: &[u128]) -> Round {
    let mut round = Round::default();
    let mut rest = ranges;
    while let Some((&lower, behind)) = rest.split_first() {
        rest = behind;
        match behind.split_first() {
            Some((&upper, behind)) if boundaries.binary_search(&upper.start).is_err() => {
                round.0.push(Piece::Merge { lower, upper });
                round.1.push(joined(lower, upper));
                rest = behind;
            }
            _ => round.1.push(lower),
        }
    }
    round
}

/// A generation that names a shard which is not there, or has a decided end: the table went on since it was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no open shard has the hash keys from {} to {}", .0.start, .0.end)]
pub struct Overtaken(pub HashKeyRange);

impl Generation {
    /// By how many the open shards grow.
    #[must_use]
    pub fn growth(&self) -> i64 {
        let growth = |piece: &Piece| piece.children().len() as i64 - piece.parents().len() as i64;
        self.pieces.iter().map(growth).sum()
    }

    /// Chooses indexes, logs and times at `now_ms`.
    ///
    /// Parents end at `now_ms + close_gap_ms`, but never before they began, and no earlier than
    /// [`SHORTEST_LIFE_MS`] after their start if that is still to come. Children begin in the next millisecond. In
    /// whole seconds, as sequence numbers have it, a child is created one second after its parents' end, and later
    /// than they were.
    ///
    /// # Errors
    /// [`Overtaken`] if a piece names no open shard.
    pub fn decide(
        &self,
        table: &ShardTable,
        now_ms: Millis,
        close_gap_ms: Millis,
        next_log: LogId,
    ) -> Result<NewShards, Overtaken> {
        let mut open: Vec<_> = table.open().collect();
        open.sort_unstable_by_key(|shard| shard.range);
        let named = |range| {
            let place = open.binary_search_by_key(&range, |shard| shard.range).map_err(|_| Overtaken(range))?;
            Ok(open[place])
        };
        let mut new = NewShards { closed: Vec::new(), shards: Vec::new() };
        for piece in &self.pieces {
            let parents = piece.parents().into_iter().map(named).collect::<Result<Vec<_>, _>>()?;
            let earliest = |parent: &&Arc<Shard>| {
                parent.floor.saturating_add(if table.takes_puts(parent) { 0 } else { SHORTEST_LIFE_MS })
            };
            let at_ms = parents.iter().map(earliest).fold(now_ms.saturating_add(close_gap_ms), Millis::max);
            let secs = parents.iter().map(|parent| parent.created_secs).fold(at_ms / 1000, u64::max);
            let first = table.next_index() + new.shards.len() as u32;
            let children: Vec<_> = (first..).zip(piece.children()).collect();
            let closed =
                Closed { secs, at_ms, children: children.iter().map(|&(index, _)| index).collect(), sealed: false };
            new.closed.extend(parents.iter().map(|parent| (parent.index, closed.clone())));
            new.shards.extend(children.into_iter().map(|(index, range)| {
                Arc::new(Shard {
                    index,
                    range,
                    parents: parents.iter().map(|parent| parent.index).collect(),
                    created_secs: secs + 1,
                    log: LogId(next_log.0 + u64::from(index - table.next_index())),
                    floor: at_ms.saturating_add(1),
                    closed: None,
                })
            }));
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests;
