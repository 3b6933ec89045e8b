//! On-demand streams: when to split, when to merge. Decision 0007 defends the rule; this is its text.
//!
//! Time goes in whole minutes. For every minute the node counts what was *offered* to each shard ([`Sample`]): what was
//! refused for its rate is counted too, else a throttled shard would never look overloaded. A shard's load is its share
//! of one shard's capacity in bytes or in records, whichever is larger. The stream's load of each minute raises the
//! peak of its hour ([`Peaks`]), and the peaks of 30 days are kept.
//!
//! Once a minute, unless a reshard is still on its way ([`Policy::propose`]):
//!
//! 1. **Hot**: a shard whose load was above half in each of the last 5 minutes, or at 1 or more in the last one, is
//!    split, if that helps: if no side would carry more than 7/8 of the load. One hot key is not helped by a split.
//! 2. **Headroom**: while the shards' capacity is less than twice the peak of 30 days, or than the throughput that the
//!    owner asked the stream to be ready for, the busiest others are split too.
//! 3. Splits never make more than twice the shards of 15 minutes ago, nor more than the ceiling.
//! 4. **Quiet**: if nothing was hot or missing, neighbours whose common load was below a quarter of one shard in each of
//!    the last 60 minutes are merged, the quietest first, if both are a day old, the peaks are known for a day, and
//!    what remains is at least 4 shards and what 2 asks for; and if the pair would carry no more than a half of one
//!    shard, were the peak spread evenly over all hash keys. Fewer than 4, which a provisioned stream may bring along,
//!    are left as they are until there is load.
//!
//! A split leaves shards at a quarter or more of their capacity each, their pair at a half: far from a quarter. A merge
//! leaves one below a quarter: far from a half. Between a split and a merge of the same hash keys lies a day.
//!
//! A shard is split in the middle of its range, unless one half carries more than 60 % of the load: then at that one of
//! the 15 boundaries between the 16 [slices](slice_of) of its range that divides the load best.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{ShardTable, StreamMode};
use crate::engine::Millis;
use crate::hash_range::HashKeyRange;
use crate::reshard::{Generation, Piece, can_split};
use crate::shard::Shard;

/// Milliseconds of a minute.
pub const MINUTE_MS: Millis = 60_000;
const HOUR_MS: Millis = 60 * MINUTE_MS;
const DAY_MS: Millis = 24 * HOUR_MS;

/// Minutes in a row above half that make a shard hot.
pub const HOT_MINUTES: usize = 5;
/// Load in thousandths of a shard's capacity above which a minute is a hot one.
const HOT_PERMILLE: u64 = 500;
/// Load in thousandths at which one minute is enough.
const FULL_PERMILLE: u64 = 1000;
/// Largest share of the load, in thousandths, that one side of a split may carry for the split to help.
const HELPS_PERMILLE: u64 = 875;
/// Largest share of the load, in thousandths, that one half may carry for the split to be in the middle.
const EVEN_PERMILLE: u64 = 600;
/// Minutes that are looked back on, in each of which a pair must have been quiet.
pub const QUIET_MINUTES: usize = 60;
/// Load in thousandths of one shard's capacity below which a pair is quiet.
const QUIET_PERMILLE: u64 = 250;
/// How old shards must be to be merged, and how long the peaks must have been watched.
const MERGE_AGE_MS: Millis = DAY_MS;
/// In so many milliseconds the shards at most double (AWS says that it throttles what more than doubles in 15 minutes).
const DOUBLING_MS: Millis = 15 * MINUTE_MS;
/// Hours for which peaks count.
const PEAK_HOURS: u64 = 30 * 24;
/// Most shards of an on-demand stream, unless configured: AWS's 200 MB/s in most regions.
pub const DEFAULT_MAX_SHARDS: u32 = 200;

/// What one shard takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Data and partition keys, in bytes a second; at least 1.
    pub bytes_per_sec: u64,
    /// Records a second; at least 1.
    pub records_per_sec: u64,
}

impl Capacity {
    /// A shard as AWS has it: 1 MiB and 1,000 records a second.
    pub const SHARD: Self = Self { bytes_per_sec: 1024 * 1024, records_per_sec: 1000 };
}

/// What was offered in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Data and partition keys, in bytes.
    #[serde(rename = "b")]
    pub bytes: u64,
    /// Records.
    #[serde(rename = "r")]
    pub records: u64,
}

impl Load {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let bytes = self.bytes.saturating_add(other.bytes);
        Self { bytes, records: self.records.saturating_add(other.records) }
    }

    /// True if, in bytes or records, it is more than this one and an eighth.
    #[must_use]
    pub fn rises_above(self, other: Self) -> bool {
        let above = |load: u64, other: u64| load > other.saturating_add(other / 8);
        above(self.bytes, other.bytes) || above(self.records, other.records)
    }

    fn max(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), records: self.records.max(other.records) }
    }

    /// In thousandths of what one shard takes in a minute.
    fn permille(self, capacity: Capacity) -> u64 {
        let share = |load: u64, per_sec: u64| load.saturating_mul(1000) / per_sec.saturating_mul(60).max(1);
        share(self.bytes, capacity.bytes_per_sec).max(share(self.records, capacity.records_per_sec))
    }

    /// Shards whose capacity is twice this load.
    fn shards_for_twice(self, capacity: Capacity) -> u64 {
        let shards = |load: u64, per_sec: u64| load.saturating_mul(2).div_ceil(per_sec.saturating_mul(60).max(1));
        shards(self.bytes, capacity.bytes_per_sec).max(shards(self.records, capacity.records_per_sec))
    }
}

/// Equal parts of a shard's range in which its load is counted.
pub const SLICES: usize = 16;

/// The lowest hash key of a slice (any number: it goes round) of the range.
#[must_use]
pub fn slice_start(range: HashKeyRange, slice: usize) -> u128 {
    let keys = slice_width(range).saturating_mul((slice % SLICES) as u128);
    range.start.saturating_add(keys).min(range.end)
}

/// Keys in one slice: the last slice may have less.
fn slice_width(range: HashKeyRange) -> u128 {
    (range.end - range.start) / SLICES as u128 + 1
}

/// The slice that a hash key of the range falls in, below [`SLICES`].
#[must_use]
pub fn slice_of(range: HashKeyRange, hash: u128) -> usize {
    let slice = hash.saturating_sub(range.start) / slice_width(range);
    usize::try_from(slice).unwrap_or(SLICES).min(SLICES - 1)
}

/// What one shard was offered in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// In all.
    pub load: Load,
    /// Where in the range: a record weighs its bytes and the thousandth part of a MiB, since a thousand records of any
    /// size fill a shard as a MiB does.
    pub slices: [u64; SLICES],
}

impl Sample {
    const RECORD_WEIGHT: u64 = Capacity::SHARD.bytes_per_sec.div_ceil(Capacity::SHARD.records_per_sec);

    /// Counts a record of so many bytes, data and partition key, in this [slice](slice_of) of the shard.
    pub fn count(&mut self, slice: usize, bytes: u64) {
        self.load = self.load.plus(Load { bytes, records: 1 });
        if let Some(weight) = self.slices.get_mut(slice) {
            *weight = weight.saturating_add(bytes).saturating_add(Self::RECORD_WEIGHT);
        }
    }

    /// Adds what another sample of the shard has counted.
    pub fn add(&mut self, other: &Self) {
        self.load = self.load.plus(other.load);
        for (sum, weight) in self.slices.iter_mut().zip(other.slices) {
            *sum = sum.saturating_add(weight);
        }
    }
}

/// The last [`QUIET_MINUTES`] of a stream, in memory: a restart begins to watch anew, and until enough is known nothing
/// is hot or quiet.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By index of the shard.
    minutes: VecDeque<BTreeMap<u32, Sample>>,
    /// The last of them, in minutes since the Unix epoch.
    last: u64,
}

impl History {
    /// Adds a whole minute (number of minutes since the Unix epoch); a shard without a sample was offered nothing.
    /// Returns the stream's load, for [`Peaks::note`]. If minutes were missed, or the clock went back, it begins anew.
    pub fn push(&mut self, minute: u64, samples: BTreeMap<u32, Sample>) -> Load {
        let total = samples.values().fold(Load::default(), |total, sample| total.plus(sample.load));
        if self.last.checked_add(1) != Some(minute) {
            self.minutes.clear();
        }
        self.last = minute;
        self.minutes.push_back(samples);
        if self.minutes.len() > QUIET_MINUTES {
            self.minutes.pop_front();
        }
        total
    }

    /// The shard's last `count` minutes. `None` unless it has taken puts and was watched for so long.
    fn window(&self, table: &ShardTable, shard: &Shard, count: usize) -> Option<impl Iterator<Item = Sample>> {
        let from = self.minutes.len().checked_sub(count)?;
        let began_ms = (self.last + 1).checked_sub(count as u64)? * MINUTE_MS;
        let watched = table.takes_puts(shard) && table.since(shard) <= began_ms;
        let index = shard.index;
        watched.then(|| self.minutes.range(from..).map(move |minute| minute.get(&index).copied().unwrap_or_default()))
    }

    /// The shard's last minutes up to [`HOT_MINUTES`], as many as are known, added up.
    fn recent(&self, shard: &Shard) -> Sample {
        let mut sum = Sample::default();
        for sample in self.minutes.iter().rev().take(HOT_MINUTES).filter_map(|minute| minute.get(&shard.index)) {
            sum.add(sample);
        }
        sum
    }
}

/// A stream's busiest minute of each hour, bytes and records each by themselves, for 30 days. To be kept: it says how
/// much capacity must remain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Peaks {
    /// By hours since the Unix epoch.
    hours: BTreeMap<u64, Load>,
}

impl Peaks {
    /// Raises the peak of the hour that this minute (since the Unix epoch) lies in, and forgets what is older than 30
    /// days. A minute without load is noted too: it tells that somebody watched.
    pub fn note(&mut self, minute: u64, load: Load) {
        let hour = minute / 60;
        let peak = self.hours.entry(hour).or_default();
        *peak = peak.max(load);
        self.hours = self.hours.split_off(&hour.saturating_sub(PEAK_HOURS));
    }

    /// The peak of that hour (since the Unix epoch).
    #[must_use]
    pub fn hour(&self, hour: u64) -> Option<Load> {
        self.hours.get(&hour).copied()
    }

    /// The peak of the 30 days before `now_ms`.
    #[must_use]
    pub fn peak(&self, now_ms: Millis) -> Load {
        let from = (now_ms / HOUR_MS).saturating_sub(PEAK_HOURS);
        self.hours.range(from..).fold(Load::default(), |peak, (_, load)| peak.max(*load))
    }

    /// Whether somebody watched for as long as a merge wants to know.
    fn watched(&self, now_ms: Millis) -> bool {
        self.hours.first_key_value().is_some_and(|(&hour, _)| hour * HOUR_MS + MERGE_AGE_MS <= now_ms)
    }
}

/// Why a reshard is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The shard is hot.
    Hot,
    /// The stream has less than twice the peak of 30 days.
    Headroom,
    /// The pair is quiet.
    Quiet,
}

/// One split or merge that the load asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What to do.
    pub piece: Piece,
    /// Why.
    pub why: Why,
}

/// What is proposed together becomes visible together.
#[must_use]
pub fn generation(proposals: &[Proposal]) -> Generation {
    Generation { pieces: proposals.iter().map(|proposal| proposal.piece).collect() }
}

/// The rule's numbers that an operator or the stream's owner may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What one shard of the stream takes.
    pub capacity: Capacity,
    /// Most shards that splits lead to.
    pub max_shards: u32,
    /// Bytes a second that the stream is to be ready for, whatever its load.
    pub ready_for: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { capacity: Capacity::SHARD, max_shards: DEFAULT_MAX_SHARDS, ready_for: 0 }
    }
}

impl Policy {
    /// What to do at `now_ms`, in the order of hash keys. `history` ends with the last whole minute, which `peaks` has
    /// in it already. Nothing while a reshard is on its way.
    #[must_use]
    pub fn propose(&self, table: &ShardTable, history: &History, peaks: &Peaks, now_ms: Millis) -> Vec<Proposal> {
        if !table.unsealed().is_empty() {
            return Vec::new();
        }
        let mut shards: Vec<_> = table.open().collect();
        shards.sort_unstable_by_key(|shard| shard.range);
        let hot: Vec<_> = shards.iter().copied().filter(|shard| self.is_hot(table, history, shard)).collect();
        let wanted = self.shards_wanted(peaks.peak(now_ms));
        let mut proposals = self.splits(table, history, &hot, wanted, now_ms);
        if proposals.is_empty() && hot.is_empty() && peaks.watched(now_ms) {
            proposals = self.merges(table, history, &shards, peaks.peak(now_ms), now_ms);
        }
        proposals.sort_unstable_by_key(|proposal| proposal.piece.children()[0]);
        proposals
    }

    /// Twice the peak, and what the stream is to be ready for, as far as the ceiling allows.
    fn shards_wanted(&self, peak: Load) -> usize {
        let ready = self.ready_for.div_ceil(self.capacity.bytes_per_sec.max(1));
        let wanted = peak.shards_for_twice(self.capacity).max(ready).min(self.max_shards.into());
        usize::try_from(wanted).unwrap_or(usize::MAX)
    }

    fn is_hot(&self, table: &ShardTable, history: &History, shard: &Shard) -> bool {
        let load = |sample: Sample| sample.load.permille(self.capacity);
        let full = history.window(table, shard, 1).is_some_and(|mut last| last.any(|s| load(s) >= FULL_PERMILLE));
        let warm =
            history.window(table, shard, HOT_MINUTES).is_some_and(|mut last| last.all(|s| load(s) > HOT_PERMILLE));
        full || warm
    }

    /// Splits of the hot shards that are helped by it, the hottest first, and of others as long as shards are wanted.
    fn splits(
        &self,
        table: &ShardTable,
        history: &History,
        hot: &[&Arc<Shard>],
        wanted: usize,
        now_ms: Millis,
    ) -> Vec<Proposal> {
        let open = table.open_count();
        let most = (2 * shards_at(table, now_ms.saturating_sub(DOUBLING_MS))).min(self.max_shards as usize);
        let room = most.saturating_sub(open);
        let mut busiest: Vec<_> = table.open().map(|shard| (shard, history.recent(shard))).collect();
        busiest.sort_by_key(|(shard, recent)| {
            let width = shard.range.end - shard.range.start;
            (std::cmp::Reverse((recent.load.permille(self.capacity), width)), shard.index)
        });
        let mut proposals = Vec::new();
        let mut rest = Vec::new();
        for (shard, recent) in busiest {
            let is_hot = hot.iter().any(|hot| hot.index == shard.index);
            let Some(cut) = best_cut(shard.range, &recent.slices) else { continue };
            let piece = Piece::split(shard.range, cut.at);
            if is_hot && cut.heavier_permille <= HELPS_PERMILLE {
                proposals.push(Proposal { piece, why: Why::Hot });
            } else {
                rest.push((cut.heavier_permille > HELPS_PERMILLE, Proposal { piece, why: Why::Headroom }));
            }
        }
        // What a split would not help comes last.
        rest.sort_by_key(|(helpless, _)| *helpless);
        let missing = wanted.saturating_sub(open + proposals.len());
        proposals.extend(rest.into_iter().map(|(_, proposal)| proposal).take(missing));
        proposals.truncate(room);
        proposals
    }

    /// What neighbours would carry of a stream's load, in thousandths of one shard's capacity, if it were spread evenly.
    fn part_of(&self, load: Load, lower: HashKeyRange, upper: HashKeyRange) -> u64 {
        // The width in 2^64ths of all hash keys.
        let width = (upper.end - lower.start) >> 64;
        let part = (width * u128::from(load.permille(self.capacity))) >> 64;
        u64::try_from(part).unwrap_or(u64::MAX)
    }

    /// Merges of quiet neighbours, the quietest first, down to the wanted number of shards, or as many as a new stream
    /// has.
    fn merges(
        &self,
        table: &ShardTable,
        history: &History,
        shards: &[&Arc<Shard>],
        peak: Load,
        now_ms: Millis,
    ) -> Vec<Proposal> {
        let wanted = self.shards_wanted(peak).max(StreamMode::ON_DEMAND_SHARDS as usize);
        let busiest_minute = |lower: &Shard, upper: &Shard| {
            let born = table.since(lower).max(table.since(upper));
            let old = born.saturating_add(MERGE_AGE_MS) <= now_ms;
            let lower = history.window(table, lower, QUIET_MINUTES).filter(|_| old)?;
            let minutes = lower.zip(history.window(table, upper, QUIET_MINUTES)?);
            minutes.map(|(lower, upper)| lower.load.plus(upper.load).permille(self.capacity)).max()
        };
        let pairs = shards.windows(2).enumerate().filter_map(|(place, pair)| {
            let load = busiest_minute(pair[0], pair[1]).filter(|&load| load < QUIET_PERMILLE)?;
            (self.part_of(peak, pair[0].range, pair[1].range) <= HOT_PERMILLE).then_some((load, place))
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable();
        let mut taken = vec![false; shards.len()];
        let mut proposals = Vec::new();
        for (_, place) in pairs {
            if proposals.len() >= shards.len().saturating_sub(wanted) {
                break;
            }
            if !taken[place] && !taken[place + 1] {
                taken[place] = true;
                taken[place + 1] = true;
                let (lower, upper) = (shards[place].range, shards[place + 1].range);
                proposals.push(Proposal { piece: Piece::Merge { lower, upper }, why: Why::Quiet });
            }
        }
        proposals
    }
}

/// Shards that shared the hash keys at this time.
fn shards_at(table: &ShardTable, time: Millis) -> usize {
    let lasted = |shard: &Shard| shard.closed.as_ref().is_none_or(|closed| closed.at_ms >= time);
    table.all().iter().filter(|shard| table.since(shard) <= time && lasted(shard)).count()
}

/// Where a shard is split.
struct Cut {
    at: u128,
    /// Share of the load on the side that has more of it, in thousandths.
    heavier_permille: u64,
}

/// `None` if the range is too narrow to be split.
fn best_cut(range: HashKeyRange, slices: &[u64; SLICES]) -> Option<Cut> {
    let width = slice_width(range);
    let total: u64 = slices.iter().fold(0, |sum, weight| sum.saturating_add(*weight));
    let mut below = 0u64;
    let cuts = (1..SLICES).filter_map(|slice| {
        below = below.saturating_add(slices[slice - 1]);
        let at = width.checked_mul(slice as u128).and_then(|keys| range.start.checked_add(keys));
        let at = at.filter(|&at| can_split(range, at))?;
        let heavier = below.max(total.saturating_sub(below));
        let heavier_permille = heavier.saturating_mul(1000).checked_div(total).unwrap_or(500);
        let off_middle = slice.abs_diff(SLICES / 2);
        let even = off_middle == 0 && heavier_permille <= EVEN_PERMILLE;
        Some(((!even, heavier_permille, off_middle), Cut { at, heavier_permille }))
    });
    cuts.min_by_key(|(rank, _)| *rank).map(|(_, cut)| cut)
}

#[cfg(test)]
mod tests;
