use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::shard::ShardFilter;

const NOW: Millis = 1_800_000_000_000;

fn fresh(ranges: &[HashKeyRange]) -> ShardTable {
    let shard = |(index, &range): (u32, _)| {
        let log = LogId(16 + u64::from(index));
        let (parents, created_secs) = (Vec::new(), NOW / 1000);
        Arc::new(Shard { index, range, parents, created_secs, log, floor: NOW, closed: None })
    };
    ShardTable::new((0..).zip(ranges).map(shard).collect()).unwrap()
}

fn even(shards: u32) -> ShardTable {
    fresh(&even_ranges(shards))
}

/// Lets the generations become visible one after the other, none sealed in between.
fn listed(table: &ShardTable, generations: &[Generation]) -> ShardTable {
    generations.iter().fold(table.clone(), |table, generation| {
        let new = generation.decide(&table, NOW, 25_000, LogId(1000)).unwrap();
        table.add_generation(&new.closed, &new.shards).unwrap()
    })
}

/// Seals all that waits.
fn sealed(mut table: ShardTable) -> ShardTable {
    while let Some(closing) = table.unsealed().first() {
        let ends: Vec<_> = closing.parents.iter().map(|&parent| (parent, 0)).collect();
        table = table.seal(&ends).unwrap();
    }
    table
}

fn open_ranges(table: &ShardTable) -> Vec<HashKeyRange> {
    let mut ranges: Vec<_> = table.open().map(|shard| shard.range).collect();
    ranges.sort_unstable();
    ranges
}

#[test]
fn splits_and_merges_are_refused_as_aws_refuses_them() {
    // Shard 1 of three has been split into 3 and 4.
    let thirds = even_ranges(3);
    let table = even(3);
    let middle = (thirds[1].start + 9).to_string();
    let table = listed(&table, &[split(&table, ShardId(1), &middle).unwrap()]);
    let key = |shard: u32, given: &str| ReshardError::SplitKey {
        given: given.to_owned(),
        shard: ShardId(shard),
        range: table.get(ShardId(shard)).unwrap().range,
    };
    let splits = [
        (9, "5", Some(ReshardError::ShardNotFound(ShardId(9)))),
        (1, "5", Some(ReshardError::HasEnd(ShardId(1)))),
        (1, "340282366920938463463374607431768211456", Some(ReshardError::HasEnd(ShardId(1)))),
        (0, "0", Some(key(0, "0"))),
        (0, "1", Some(key(0, "1"))),
        (0, "2", None),
        (2, "340282366920938463463374607431768211454", None),
        (2, "340282366920938463463374607431768211455", Some(key(2, "340282366920938463463374607431768211455"))),
        (2, "340282366920938463463374607431768211456", Some(key(2, "340282366920938463463374607431768211456"))),
        (2, "7", Some(key(2, "7"))),
    ];
    for (shard, at, refused) in splits {
        assert_eq!(split(&table, ShardId(shard), at).err(), refused, "split {shard} at {at}");
    }
    let apart =
        |shard, adjacent| Some(ReshardError::NotAdjacent { shard: ShardId(shard), adjacent: ShardId(adjacent) });
    let merges = [
        (9, 8, Some(ReshardError::ShardNotFound(ShardId(9)))),
        (0, 8, Some(ReshardError::ShardNotFound(ShardId(8)))),
        (0, 1, Some(ReshardError::HasEnd(ShardId(1)))),
        (1, 9, Some(ReshardError::ShardNotFound(ShardId(9)))),
        (0, 4, apart(0, 4)),
        (3, 0, apart(3, 0)),
        (2, 0, apart(2, 0)),
        (0, 0, apart(0, 0)),
        (0, 3, None),
        (4, 2, None),
    ];
    for (shard, adjacent, refused) in merges {
        assert_eq!(merge(&table, ShardId(shard), ShardId(adjacent)).err(), refused, "merge {shard} and {adjacent}");
    }
}

#[test]
fn shard_counts_at_most_double_or_halve() {
    let many = |open, target| Err(ReshardError::TooMany { open, target });
    let few = |open, target| Err(ReshardError::TooFew { open, target });
    let rows = [
        (1, 0, few(1, 0)),
        (1, 1, Ok(0)),
        (1, 2, Ok(1)),
        (1, 3, many(1, 3)),
        (3, 1, Ok(2)),
        (3, 6, Ok(1)),
        (3, 7, many(3, 7)),
        (4, 1, few(4, 1)),
        (4, 4, Ok(0)),
        (5, 2, Ok(3)),
        (7, 2, few(7, 2)),
    ];
    for (open, target, expected) in rows {
        let generations = update_shard_count(&even(open), target).map(|generations| generations.len());
        assert_eq!(generations, expected, "from {open} to {target}");
    }
    let growth = |open, target| {
        let generations = update_shard_count(&even(open), target).unwrap();
        generations.iter().map(Generation::growth).collect::<Vec<_>>()
    };
    assert_eq!((growth(2, 3), growth(4, 2)), (vec![2, -1], vec![-2]));
}

/// A new shard: its index, its parents, and where it begins: the first key of part (0) of (1) even parts.
type Row = (u32, &'static [u32], (usize, u32));

#[test]
fn shard_counts_change_as_aws_changes_them() {
    let rows: [(u32, u32, &[Row]); 8] = [
        (1, 2, &[(1, &[0], (0, 1)), (2, &[0], (1, 2))]),
        // As seen on AWS.
        (2, 3, &[(2, &[0], (0, 1)), (3, &[0], (1, 3)), (4, &[1], (1, 2)), (5, &[1], (2, 3)), (6, &[3, 4], (1, 3))]),
        (3, 2, &[(3, &[1], (1, 3)), (4, &[1], (1, 2)), (5, &[0, 3], (0, 1)), (6, &[4, 2], (1, 2))]),
        (4, 2, &[(4, &[0, 1], (0, 1)), (5, &[2, 3], (1, 2))]),
        (3, 1, &[(3, &[0, 1], (0, 1)), (4, &[3, 2], (0, 1))]),
        (
            3,
            6,
            &[
                (3, &[0], (0, 1)),
                (4, &[0], (1, 6)),
                (5, &[1], (1, 3)),
                (6, &[1], (3, 6)),
                (7, &[2], (2, 3)),
                (8, &[2], (5, 6)),
            ],
        ),
        (
            7,
            5,
            &[
                (7, &[1], (1, 7)),
                (8, &[1], (1, 5)),
                (9, &[2], (2, 7)),
                (10, &[2], (2, 5)),
                (11, &[4], (4, 7)),
                (12, &[4], (3, 5)),
                (13, &[5], (5, 7)),
                (14, &[5], (4, 5)),
                (15, &[0, 7], (0, 1)),
                (16, &[8, 9], (1, 5)),
                (17, &[10, 3], (2, 5)),
                (18, &[12, 13], (3, 5)),
                (19, &[14, 6], (4, 5)),
                (20, &[17, 11], (2, 5)),
            ],
        ),
        // moto's tests say that AWS makes 15 shards in all.
        (
            4,
            5,
            &[
                (4, &[0], (0, 1)),
                (5, &[0], (1, 5)),
                (6, &[1], (1, 4)),
                (7, &[1], (2, 5)),
                (8, &[2], (2, 4)),
                (9, &[2], (3, 5)),
                (10, &[3], (3, 4)),
                (11, &[3], (4, 5)),
                (12, &[5, 6], (1, 5)),
                (13, &[7, 8], (2, 5)),
                (14, &[9, 10], (3, 5)),
            ],
        ),
    ];
    for (open, target, expected) in rows {
        let table = even(open);
        let generations = update_shard_count(&table, target).unwrap();
        let made = sealed(listed(&table, &generations));
        let found: Vec<_> = made.all()[open as usize..]
            .iter()
            .map(|shard| (shard.index, shard.parents.clone(), shard.range.start))
            .collect();
        let start = |(part, parts): (usize, u32)| even_ranges(parts)[part].start;
        let expected: Vec<_> = expected.iter().map(|&(i, p, at)| (i, p.to_vec(), start(at))).collect();
        assert_eq!(found, expected, "from {open} to {target}");
        assert_eq!(made.open_count(), target as usize);
    }
}

#[test]
fn ends_and_starts_follow_each_other() {
    let table = even(2);
    let generations = update_shard_count(&table, 3).unwrap();
    let times = |table: &ShardTable, index| {
        let shard = table.get(ShardId(index)).unwrap();
        (
            shard.created_secs - NOW / 1000,
            shard.floor - NOW,
            shard.closed.as_ref().map(|c| (c.secs - NOW / 1000, c.at_ms - NOW)),
        )
    };
    let first = generations[0].decide(&table, NOW + 300, 25_000, LogId(50)).unwrap();
    assert_eq!(first.shards.iter().map(|shard| shard.log.0).collect::<Vec<_>>(), [50, 51, 52, 53]);
    let table = table.add_generation(&first.closed, &first.shards).unwrap();
    assert_eq!(times(&table, 0), (0, 0, Some((25, 25_300))));
    assert_eq!(times(&table, 3), (26, 25_301, None));
    // The second round comes six seconds later, of shards that begin only then: they live for a second.
    let second = generations[1].decide(&table, NOW + 300, 0, LogId(54)).unwrap();
    let both = table.add_generation(&second.closed, &second.shards).unwrap();
    assert_eq!(times(&both, 3), (26, 25_301, Some((26, 26_301))));
    assert_eq!(times(&both, 6), (27, 26_302, None));
    // Later than that, the usual gap holds.
    let second = generations[1].decide(&table, NOW + 6_300, 25_000, LogId(54)).unwrap();
    assert_eq!(second.shards[0].floor, NOW + 31_301);
    // At once, again and again: seconds of creation rise although the clock stands.
    let mut table = even(1);
    for round in 1..4 {
        let first = table.open().last().unwrap().clone();
        let at = (first.range.start + (first.range.end - first.range.start) / 2).to_string();
        let new = split(&table, first.id(), &at).unwrap().decide(&table, NOW, 0, LogId(99)).unwrap();
        assert_eq!(new.shards[0].created_secs, new.closed[0].1.secs + 1);
        table = sealed(table.add_generation(&new.closed, &new.shards).unwrap());
        assert_eq!(table.open().last().unwrap().created_secs, NOW / 1000 + round);
    }
    // A plan whose shards are gone.
    let stale = split(&even(1), ShardId(0), "9").unwrap();
    assert_eq!(stale.decide(&even(2), NOW, 0, LogId(99)), Err(Overtaken(HashKeyRange::ALL)));
    let text = serde_json::to_string(&stale).unwrap();
    assert_eq!(serde_json::from_str::<Generation>(&text).unwrap(), stale, "{text}");
}

/// The largest reshard's events fit into a record of the catalog's log.
#[test]
fn the_largest_reshard_fits_into_its_events() {
    let table = even(MAX_SHARDS_PER_STREAM / 2);
    let generations = update_shard_count(&table, MAX_SHARDS_PER_STREAM - 1).unwrap();
    if let Some(generation) = generations.first() {
        let new = generation.decide(&table, NOW, 0, LogId(1 << 40));
        let sizes =
            (serde_json::to_vec(&generations).unwrap().len(), new.map(|new| serde_json::to_vec(&new).unwrap().len()));
        let most = crate::batch::MAX_BATCH_BYTES;
        assert!(sizes.0 < most && sizes.1.is_ok_and(|size| size < most), "{sizes:?} of {most}");
    }
}

fn cuts(at: BTreeSet<u128>) -> Vec<HashKeyRange> {
    let starts: Vec<u128> = std::iter::once(0).chain(at).collect();
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([u128::MAX]);
    starts.iter().zip(ends).map(|(&start, end)| HashKeyRange { start, end }).collect()
}

fn ranges() -> impl Strategy<Value = Vec<HashKeyRange>> {
    let uneven = proptest::collection::btree_set(1u128.., 0..30).prop_map(cuts);
    // Everything within one part in 2^20 of the hash keys.
    let narrow = proptest::collection::btree_set(1u128..1 << 108, 0..12).prop_map(cuts);
    prop_oneof![(1u32..60).prop_map(even_ranges), uneven, narrow]
}

proptest! {
    #[test]
    fn shard_counts_lead_to_even_ranges(start in ranges(), picks in proptest::collection::vec(0u32..1000, 1..4)) {
        let mut table = fresh(&start);
        for pick in picks {
            let open = table.open_count() as u32;
            let (least, most) = ((open / 2).max(1), open * 2);
            let target = least + pick % (most - least + 1);
            let generations = update_shard_count(&table, target).unwrap();
            let limit = 2 * (open.max(target) as f64).log2().ceil() as usize + 2;
            prop_assert!(generations.len() <= limit, "{} generations from {open} to {target}", generations.len());
            for generation in &generations {
                for piece in &generation.pieces {
                    if let Piece::Split { lower, upper } = *piece {
                        prop_assert!(can_split(joined(lower, upper), upper.start), "{piece:?}");
                    }
                }
            }
            table = sealed(listed(&table, &generations));
            let found = open_ranges(&table);
            prop_assert_eq!(found.len(), target as usize);
            if target != open {
                for (found, wanted) in found.iter().zip(even_ranges(target)) {
                    prop_assert!(found.start.abs_diff(wanted.start) < SNAP_KEYS);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u128),
    Split(usize, u128),
    Merge(usize),
    Update(u32),
    Wait(u64),
    SetBack(u64),
    Seal(usize),
    Expire(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<u128>().prop_map(Step::Put),
        2 => (any::<usize>(), any::<u128>()).prop_map(|(shard, at)| Step::Split(shard, at)),
        2 => any::<usize>().prop_map(Step::Merge),
        1 => (0u32..20).prop_map(Step::Update),
        3 => (0u64..40_000).prop_map(Step::Wait),
        1 => (0u64..3_000).prop_map(Step::SetBack),
        4 => any::<usize>().prop_map(Step::Seal),
        1 => (0u64..100_000).prop_map(Step::Expire),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Logs as an engine keeps them, and a clock that may be set back.
struct World {
    table: ShardTable,
    now: Millis,
    gap: Millis,
    horizon: Millis,
    /// Arrival time of the last record of each shard that has any.
    last: BTreeMap<u32, Millis>,
    /// Hash key, shard, arrival.
    records: Vec<(u128, u32, Millis)>,
}

impl World {
    fn reshard(&mut self, generations: &[Generation]) {
        for generation in generations {
            let new = generation.decide(&self.table, self.now, self.gap, LogId(1000)).unwrap();
            self.table = self.table.add_generation(&new.closed, &new.shards).unwrap();
        }
    }

    fn last_arrival(&self, index: u32) -> Millis {
        self.last.get(&index).copied().unwrap_or_else(|| self.table.get(ShardId(index)).unwrap().floor)
    }

    fn put(&mut self, hash: u128) {
        let shard = self.table.route(hash);
        assert!(shard.range.contains(hash) && self.table.takes_puts(shard));
        let arrival = self.now.max(self.last_arrival(shard.index));
        self.records.push((hash, shard.index, arrival));
        self.last.insert(shard.index, arrival);
    }

    fn seal(&mut self, pick: usize) {
        let waiting = self.table.unsealed();
        let Some(closing) = waiting.get(pick % waiting.len().max(1)) else { return };
        self.now = self.now.max(closing.due);
        let ends: Vec<_> = closing.parents.iter().map(|&parent| (parent, self.last_arrival(parent))).collect();
        let floor = closing.floor(ends.iter().map(|end| end.1));
        self.table = self.table.seal(&ends).unwrap();
        for &child in &closing.children {
            assert_eq!(self.table.get(ShardId(child)).unwrap().floor, floor, "the node made the log with this floor");
        }
    }

    fn step(&mut self, step: Step) {
        let open: Vec<_> = self.table.open().cloned().collect();
        match step {
            Step::Put(hash) => self.put(hash),
            Step::Split(pick, at) => {
                let shard = &open[pick % open.len()];
                let at = shard.range.start.saturating_add(at % (shard.range.end - shard.range.start).max(1));
                if let Ok(generation) = split(&self.table, shard.id(), &at.to_string()) {
                    self.reshard(&[generation]);
                }
            }
            Step::Merge(pick) => {
                let ranges = open_ranges(&self.table);
                let upper = ranges[pick % ranges.len()];
                let id = |range| open.iter().find(|shard| shard.range == range).unwrap().id();
                let lower = ranges.iter().find(|range| range.end.checked_add(1) == Some(upper.start));
                if let Some(&lower) = lower {
                    self.reshard(&[merge(&self.table, id(lower), id(upper)).unwrap()]);
                }
            }
            Step::Update(target) => {
                if let Ok(generations) = update_shard_count(&self.table, target) {
                    self.reshard(&generations);
                }
            }
            Step::Wait(ms) => self.now += ms,
            Step::SetBack(ms) => self.now -= ms,
            Step::Seal(pick) => self.seal(pick),
            Step::Expire(ms) => {
                self.horizon = self.horizon.max(self.now.saturating_sub(ms));
                self.table = self.table.expire(&self.table.expired(self.horizon)).unwrap();
            }
        }
    }

    fn shown(&self, filter: ShardFilter) -> impl Iterator<Item = &Arc<Shard>> {
        self.table.all().iter().filter(move |shard| filter.shows(&self.table, shard, 0))
    }

    fn check(&self, before: &ShardTable) {
        let ends = self.table.all().iter().filter_map(|shard| Some(shard.closed.as_ref()?.at_ms));
        for time in ends.flat_map(|end| [end, end + 1]).chain([0, self.now, u64::MAX]) {
            let ranges: Vec<_> = self.shown(ShardFilter::AtTimestamp(time)).map(|shard| (shard.range, 0)).collect();
            assert!(crate::hash_range::Router::new(ranges).is_ok(), "at {time} not every key had one shard");
        }
        let waiting = self.table.all().iter().any(|shard| !shard.is_open() && !shard.is_sealed());
        assert_eq!(waiting, !self.table.unsealed().is_empty(), "something waits for ever");
        assert!(self.table.next_index() >= before.next_index());
        for shard in before.all() {
            if let Some(after) = self.table.get(shard.id())
                && shard.closed.is_some()
            {
                assert_eq!(after.ending_number(), shard.ending_number());
            }
        }
        let text = serde_json::to_string(&self.table).unwrap();
        assert_eq!(serde_json::from_str::<ShardTable>(&text).unwrap(), self.table);
    }
}

proptest! {
    #[test]
    fn every_record_is_in_the_shard_whose_time_and_range_it_falls_in(
        start in 1u32..5, gap in prop_oneof![Just(0u64), Just(25_000)], steps in steps(),
    ) {
        let (last, records) = (BTreeMap::new(), Vec::new());
        let mut world = World { table: even(start), now: NOW, gap, horizon: 0, last, records };
        for step in steps {
            let before = world.table.clone();
            world.step(step);
            world.check(&before);
        }
        while !world.table.unsealed().is_empty() {
            world.seal(0);
        }
        for &(hash, shard, arrival) in world.records.iter().filter(|record| record.2 >= world.horizon) {
            let mut owners = world.shown(ShardFilter::AtTimestamp(arrival)).filter(|shard| shard.range.contains(hash));
            prop_assert_eq!(owners.next().map(|shard| shard.index), Some(shard), "{} at {}", hash, arrival);
        }
    }
}
