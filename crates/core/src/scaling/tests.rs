use super::*;
use crate::engine::LogId;
use crate::hash_range::even_ranges;
use crate::shard::{Closed, ShardId};

/// A minute at a day's beginning.
const START: u64 = 20_000 * 24 * 60;
const MIB_MINUTE: u64 = 60 * 1024 * 1024;
const DAY: u64 = 24 * 60;

fn fresh(shards: u32) -> ShardTable {
    let shard = |(index, range): (u32, _)| {
        let log = LogId(16 + u64::from(index));
        Arc::new(Shard { index, range, parents: Vec::new(), created_secs: 1, log, floor: 0, closed: None })
    };
    ShardTable::new((0..).zip(even_ranges(shards)).map(shard).collect()).unwrap()
}

/// Bytes in a minute, evenly over the shard's slices.
fn even_sample(bytes: u64) -> Sample {
    Sample { load: Load { bytes, records: bytes / 10_000 }, slices: [bytes / SLICES as u64; SLICES] }
}

/// A load for each shard, in thousandths of its capacity.
fn minute_of(loads: &[u64]) -> BTreeMap<u32, Sample> {
    (0..).zip(loads).map(|(index, load)| (index, even_sample(load * MIB_MINUTE / 1000))).collect()
}

/// What is proposed after these minutes, the peaks having been watched for two days.
fn proposed(shards: u32, minutes: &[&[u64]]) -> Vec<Proposed> {
    let (mut history, mut peaks) = (History::default(), Peaks::default());
    peaks.note(START - 2 * DAY, Load::default());
    for (minute, loads) in (START..).zip(minutes) {
        let total = history.push(minute, minute_of(loads));
        peaks.note(minute, total);
    }
    let now = (START + minutes.len() as u64) * MINUTE_MS;
    let proposals = Policy::default().propose(&fresh(shards), &history, &peaks, now);
    proposals.iter().map(|proposal| (proposal.why, proposal.piece.parents())).collect()
}

type Proposed = (Why, Vec<HashKeyRange>);
/// What it shows, shards, the loads of each minute, what is proposed.
type Row = (&'static str, u32, Vec<&'static [u64]>, Vec<Proposed>);

#[test]
fn what_is_hot_short_or_quiet() {
    let [quarters, fifths, eighths] = [4, 5, 8].map(even_ranges);
    let hot = |range| (Why::Hot, vec![range]);
    let headroom = |range| (Why::Headroom, vec![range]);
    let quiet = |pair: &[HashKeyRange]| (Why::Quiet, pair.to_vec());
    let rows: [Row; 17] = [
        ("nothing known", 4, vec![], vec![]),
        ("half is not above half", 4, vec![&[0, 500]; 9], vec![]),
        ("above half for four minutes", 4, vec![&[0, 501]; 4], vec![]),
        ("above half for five", 4, vec![&[0, 510]; 5], vec![hot(quarters[1])]),
        ("one minute below in between", 4, vec![&[510], &[510], &[510], &[490], &[510], &[510]], vec![]),
        ("five minutes, long ago", 4, vec![&[510], &[510], &[510], &[510], &[510], &[0]], vec![]),
        ("full for one minute", 4, vec![&[0, 0, 1000]], vec![hot(quarters[2])]),
        ("not quite full", 4, vec![&[0, 0, 999]], vec![]),
        // Four shards carry twice 2, not twice 2.3.
        ("twice the peak is missing", 4, vec![&[600, 590, 590, 570]], vec![headroom(quarters[0])]),
        ("the busiest first", 4, vec![&[0, 900, 900, 900]], vec![headroom(quarters[1]), headroom(quarters[2])]),
        // Twice 4 is 8, and not more than 8.
        (
            "no more than double",
            4,
            vec![&[5000, 0, 0, 0]; 2],
            vec![hot(quarters[0])].into_iter().chain(quarters[1..].iter().map(|&range| headroom(range))).collect(),
        ),
        ("never below four", 4, vec![&[0]; 61], vec![]),
        ("one hour is quiet", 5, vec![&[10, 5, 5, 10, 20]; 60], vec![quiet(&fifths[1..3])]),
        ("not a whole hour", 5, vec![&[10, 5, 5, 10, 20]; 59], vec![]),
        ("no pair below a quarter", 5, vec![&[130, 130, 130, 130, 130]; 60], vec![]),
        (
            "quiet pairs, the quietest first, none twice",
            8,
            [vec![&[250; 8][..]], vec![&[0, 0, 9, 9, 9, 0, 0, 0][..]; 60]].concat(),
            vec![quiet(&eighths[0..2]), quiet(&eighths[2..4]), quiet(&eighths[5..7])],
        ),
        (
            // 2.1 shards' load: a quarter of the hash keys would carry more than a half.
            "too wide for the peak",
            8,
            [vec![&[250, 250, 250, 250, 250, 250, 250, 350][..]], vec![&[0; 8][..]; 60]].concat(),
            vec![],
        ),
    ];
    for (name, shards, minutes, expected) in rows {
        assert_eq!(proposed(shards, &minutes), expected, "{name}");
    }
}

#[test]
fn records_weigh_as_much_as_bytes() {
    let load = |bytes, records| Load { bytes, records };
    let rows = [
        (load(MIB_MINUTE / 2, 0), 500, 1),
        (load(0, 30_000), 500, 1),
        (load(MIB_MINUTE, 30_001), 1000, 2),
        (load(MIB_MINUTE + 1, 0), 1000, 3),
        (load(0, 90_000), 1500, 3),
        (load(0, 0), 0, 0),
    ];
    for (load, permille, shards) in rows {
        let found = (load.permille(Capacity::SHARD), load.shards_for_twice(Capacity::SHARD));
        assert_eq!(found, (permille, shards), "{load:?}");
    }
    let range = even_ranges(3)[1];
    assert_eq!([range.start, range.end].map(|hash| slice_of(range, hash)), [0, 15]);
    assert_eq!(slice_of(HashKeyRange { start: 5, end: 5 }, 5), 0);
    for range in [range, HashKeyRange::ALL, HashKeyRange { start: 7, end: 207 }] {
        let slices: Vec<_> = (SLICES..2 * SLICES).map(|slice| slice_of(range, slice_start(range, slice))).collect();
        assert_eq!(slices, (0..SLICES).collect::<Vec<_>>(), "{range:?}");
    }
    assert_eq!(slice_start(HashKeyRange { start: u128::MAX, end: u128::MAX }, 9), u128::MAX);
    let mut sample = Sample::default();
    sample.count(slice_of(HashKeyRange::ALL, 1 << 127), 100);
    assert_eq!((sample.load, sample.slices[8]), (load(100, 1), 1149));
}

#[test]
fn a_shard_is_split_where_its_load_is() {
    let all = HashKeyRange::ALL;
    let narrow = HashKeyRange { start: 100, end: 103 };
    let slices = |loads: &[(usize, u64)]| {
        let mut slices = [0; SLICES];
        loads.iter().for_each(|&(slice, load)| slices[slice] = load);
        slices
    };
    let rows = [
        (all, slices(&[]), Some((8u128 << 124, 500))),
        (all, [7; SLICES], Some((8 << 124, 500))),
        // 60 % in one half is even enough, more is not.
        (all, slices(&[(1, 60), (9, 40)]), Some((8 << 124, 600))),
        (all, slices(&[(1, 31), (2, 31), (9, 38)]), Some((8 << 124, 620))),
        (all, slices(&[(1, 40), (2, 40), (9, 20)]), Some((2 << 124, 600))),
        (all, slices(&[(15, 90), (14, 10)]), Some((15 << 124, 900))),
        (all, slices(&[(3, 1)]), Some((8 << 124, 1000))),
        (narrow, [1; SLICES], Some((102, 875))),
        (HashKeyRange { start: 100, end: 102 }, [1; SLICES], None),
        (HashKeyRange { start: u128::MAX, end: u128::MAX }, [1; SLICES], None),
    ];
    for (range, slices, expected) in rows {
        let cut = best_cut(range, &slices).map(|cut| (cut.at, cut.heavier_permille));
        assert_eq!(cut, expected, "{range:?} {slices:?}");
    }
}

#[test]
fn a_history_with_a_hole_begins_anew_and_peaks_age() {
    let mut history = History::default();
    for minute in [START, START + 1, START + 2] {
        history.push(minute, minute_of(&[1]));
    }
    let table = fresh(1);
    let shard = table.get(ShardId(0)).unwrap();
    assert!(history.window(&table, shard, 3).is_some() && history.window(&table, shard, 4).is_none());
    history.push(START + 4, minute_of(&[1]));
    assert!(history.window(&table, shard, 1).is_some() && history.window(&table, shard, 2).is_none());
    history.push(START, minute_of(&[1]));
    assert!(history.window(&table, shard, 2).is_none());

    let mut peaks = Peaks::default();
    let (high, low) = (Load { bytes: 9, records: 1 }, Load { bytes: 1, records: 3 });
    peaks.note(START, high);
    peaks.note(START + 59, low);
    peaks.note(START + 60, low);
    assert_eq!(peaks.hour(START / 60), Some(Load { bytes: 9, records: 3 }));
    let text = serde_json::to_string(&peaks).unwrap();
    assert_eq!(serde_json::from_str::<Peaks>(&text).unwrap(), peaks, "{text}");
    assert_eq!(peaks.peak((START + 30 * DAY) * MINUTE_MS).bytes, 9);
    assert_eq!(peaks.peak((START + 30 * DAY + 60) * MINUTE_MS).bytes, 1);
    peaks.note(START + 31 * DAY, low);
    assert_eq!(peaks.hour(START / 60), None);
}

#[test]
fn a_reshard_on_its_way_is_waited_for() {
    let table = fresh(4);
    let mut history = History::default();
    history.push(START, minute_of(&[5000]));
    let now = (START + 1) * MINUTE_MS;
    let proposals = Policy::default().propose(&table, &history, &Peaks::default(), now);
    let new = generation(&proposals).decide(&table, now, 25_000, LogId(99)).unwrap();
    let table = table.add_generation(&new.closed, &new.shards).unwrap();
    assert_eq!(Policy::default().propose(&table, &history, &Peaks::default(), now), []);
    // Decided ends do not change the answer.
    let ended: Vec<_> = table.all().iter().filter_map(|shard| shard.closed.as_ref()).collect();
    assert!(matches!(ended[..], [Closed { sealed: false, .. }]));
}

/// A stream under a load that is a function of the minute, resharded as proposed, without delay.
struct World {
    policy: Policy,
    table: ShardTable,
    history: History,
    peaks: Peaks,
    minute: u64,
    /// Each part of the hash keys with its shard and slice.
    places: Vec<(usize, u32, usize)>,
    /// Open shards after each minute.
    counts: Vec<usize>,
    /// Minutes with a reshard.
    reshards: Vec<u64>,
}

impl World {
    fn new() -> Self {
        let (history, peaks) = (History::default(), Peaks::default());
        let (counts, reshards) = (Vec::new(), Vec::new());
        let (policy, table) = (Policy::default(), fresh(4));
        let places = places(&table);
        Self { policy, table, history, peaks, minute: START, places, counts, reshards }
    }

    /// Lets `minutes` go by. `load` tells the bytes of a minute (from the world's beginning) in each of 512 equal
    /// parts of the hash keys.
    fn run(&mut self, minutes: u64, load: impl Fn(u64, usize) -> u64) {
        for _ in 0..minutes {
            let at = self.minute - START;
            let mut samples: BTreeMap<u32, Sample> = BTreeMap::new();
            for shard in self.places.chunk_by(|a, b| a.1 == b.1) {
                let mut sample = Sample::default();
                for &(part, _, slice) in shard {
                    let bytes = load(at, part);
                    sample.load = sample.load.plus(Load { bytes, records: bytes / 10_000 });
                    sample.slices[slice] += bytes;
                }
                samples.insert(shard[0].1, sample);
            }
            let total = self.history.push(self.minute, samples);
            self.peaks.note(self.minute, total);
            self.minute += 1;
            self.reshard();
            self.counts.push(self.table.open_count());
            let before = self.counts[self.counts.len().saturating_sub(16)];
            assert!(self.table.open_count() <= (2 * before).max(8), "more than doubled in 15 minutes");
        }
    }

    fn reshard(&mut self) {
        let now = self.minute * MINUTE_MS;
        let proposals = self.policy.propose(&self.table, &self.history, &self.peaks, now);
        if proposals.is_empty() {
            return;
        }
        self.reshards.push(self.minute - START);
        let new = generation(&proposals).decide(&self.table, now, 0, LogId(99)).unwrap();
        self.table = self.table.add_generation(&new.closed, &new.shards).unwrap();
        let ends: Vec<_> = new.closed.iter().map(|(index, _)| (*index, now)).collect();
        self.table = self.table.seal(&ends).unwrap();
        self.table = self.table.expire(&self.table.expired(now.saturating_sub(DAY_MS))).unwrap();
        self.places = places(&self.table);
    }

    fn shards(&self) -> usize {
        self.table.open_count()
    }

    /// Twice the peak fits into the shards.
    fn has_headroom(&self) -> bool {
        let peak = self.peaks.peak(self.minute * MINUTE_MS);
        self.shards() as u64 >= peak.shards_for_twice(Capacity::SHARD)
    }
}

const PARTS: usize = 512;

fn places(table: &ShardTable) -> Vec<(usize, u32, usize)> {
    let place = |part| {
        let hash = (part as u128) << 119;
        let shard = table.route(hash);
        (part, shard.index, slice_of(shard.range, hash))
    };
    (0..PARTS).map(place).collect()
}

/// So many thousandths of a shard's capacity for the stream, evenly over all hash keys.
fn spread(permille: u64) -> u64 {
    permille * MIB_MINUTE / 1000 / PARTS as u64
}

#[test]
fn a_stream_follows_its_load_up_at_once_and_down_after_a_month() {
    let mut world = World::new();
    world.run(60, |_, _| spread(1_900));
    assert_eq!((world.shards(), world.reshards.len()), (4, 0));
    // Ten times as much, at once: doubling every quarter of an hour.
    world.run(60, |_, _| spread(20_000));
    let grown = world.shards();
    assert!((40..=64).contains(&grown) && world.has_headroom(), "{grown} shards");
    world.run(DAY, |_, _| spread(20_000));
    assert_eq!(world.shards(), grown, "settled");
    // It falls. The peak counts for thirty days.
    let reshards = world.reshards.len();
    world.run(29 * DAY, |_, _| spread(100));
    assert!(world.has_headroom());
    assert!(world.shards() >= 40 && world.reshards.len() <= reshards + 2, "{} shards", world.shards());
    world.run(9 * DAY, |_, _| spread(100));
    assert_eq!(world.shards(), 4);
    assert!(world.has_headroom());
    // And from there, as at the beginning.
    let reshards = world.reshards.len();
    world.run(2 * DAY, |_, _| spread(100));
    assert_eq!(world.reshards.len(), reshards);
}

/// A provisioned stream of one shard becomes on-demand: AWS keeps its shards, and so does an idle stream here.
#[test]
fn fewer_than_four_shards_stay_until_there_is_load() {
    let mut world = World::new();
    world.table = fresh(1);
    world.places = places(&world.table);
    world.run(3 * DAY, |_, _| spread(400));
    assert_eq!((world.shards(), world.reshards.len()), (1, 0));
    world.run(60, |_, _| spread(900));
    assert!(world.shards() == 2 && world.has_headroom(), "{} shards", world.shards());
}

#[test]
fn a_stream_gets_ready_for_what_it_was_asked_to() {
    let mut world = World::new();
    world.policy.ready_for = 25 << 20;
    world.run(60, |_, _| spread(100));
    assert_eq!(world.shards(), 25);
    world.run(40 * DAY, |_, _| spread(100));
    assert_eq!(world.shards(), 25);
    world.policy.ready_for = 0;
    world.run(5 * DAY, |_, _| spread(100));
    assert_eq!(world.shards(), 4);
}

#[test]
fn a_slow_climb_ends_at_the_ceiling() {
    let mut world = World::new();
    world.policy.max_shards = 30;
    world.run(2 * DAY, |minute, _| spread(minute * 20));
    assert_eq!(world.shards(), 30);
}

#[test]
fn a_load_that_swings_around_the_thresholds_causes_no_storm() {
    // Far apart, around half of four shards, around a quarter, from nothing; by minutes, hours, days.
    for (low, high) in [(300, 1_900), (1_900, 2_100), (900, 1_100), (0, 6_000)] {
        for period in [2, 60, 600, 2 * DAY] {
            let mut world = World::new();
            world.run(6 * DAY, |minute, _| spread(if minute % period < period / 2 { high } else { low }));
            let reshards = &world.reshards;
            assert!(reshards.len() <= 4, "{low} to {high} every {period}: {reshards:?}");
            assert!(world.has_headroom() && world.shards() <= 24, "{} shards", world.shards());
        }
    }
}

/// One part of the hash keys after the other is busy, for a while each.
#[test]
fn a_load_that_wanders_reshards_a_few_times_a_day() {
    for stay in [30, 180, 24 * 60] {
        let mut world = World::new();
        world.run(8 * DAY, |minute, part| {
            let busy = (minute / stay) as usize * 5 % 16;
            if part / (PARTS / 16) == busy { spread(1_200 * 16) } else { spread(100) }
        });
        let a_day = world.reshards.iter().filter(|&&minute| minute >= 7 * DAY).count();
        assert!(a_day <= 48, "{a_day} reshards on the eighth day, each busy for {stay} minutes");
        assert!(world.shards() <= 64 && world.has_headroom(), "{} shards", world.shards());
    }
}

/// No split makes one hot key lighter.
#[test]
fn one_hot_key_is_not_split_for_ever() {
    let mut world = World::new();
    world.run(2 * DAY, |_, part| if part == 125 { 2 * MIB_MINUTE } else { spread(100) });
    assert!(world.shards() <= 8 && world.reshards.len() <= 6, "{} shards, {:?}", world.shards(), world.reshards);
    // A busy neighbour of it finds a place of its own.
    world.run(DAY, |_, part| match part {
        125 => 2 * MIB_MINUTE,
        137 => MIB_MINUTE,
        _ => spread(100),
    });
    let places = [125u128, 137].map(|part| world.table.route(part << 119).index);
    assert_ne!(places[0], places[1]);
    assert!(world.shards() <= 12, "{} shards", world.shards());
}
