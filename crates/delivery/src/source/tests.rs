//! The pump over a model of a data stream: everything once and in order, whatever dies meanwhile.

mod world;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use levada_core::engine::Engine;
use levada_core::engine::checked::unreliable::Faults;
use tokio::time::sleep;

use self::world::World;
use crate::source::Pump;

const GOOD: Faults = Faults { request_lost: 0, reply_lost: 0, delayed: 0, duplicated: 0, stale: 0 };
const NO_PARENTS: BTreeMap<u32, Vec<u32>> = BTreeMap::new();

async fn good_world(shards: u32) -> World {
    let mut world = World::new(1, GOOD, shards).await;
    world.begin().await;
    world
}

#[tokio::test(start_paused = true)]
async fn what_arrives_after_the_creation_is_copied() {
    let mut world = good_world(3).await;
    world.put(1, 4).await;
    let pump = world.start_well();
    world.put(0, 3).await;
    world.wait_until_copied().await;
    world.put(2, 1).await;
    world.wait_until_copied().await;
    world.assert_copied(&NO_PARENTS).await;
    assert_eq!(pump.metrics().records.load(Ordering::Relaxed), 8);
    assert_eq!(world.stream.found.load(Ordering::SeqCst), 8);
    assert_eq!(pump.metrics().millis_behind(u64::MAX), 0);
    pump.stop(Duration::from_secs(1)).await;
    world.put(2, 1).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.copied().await.len(), 8, "a stopped pump copies nothing");
}

/// What was aggregated is copied record by record, however many they are.
#[tokio::test(start_paused = true)]
async fn aggregates_are_taken_apart() {
    let mut world = good_world(1).await;
    let pump = world.start_well();
    for count in [1, 3, 20_000] {
        world.put(0, 1).await;
        world.put_aggregate(0, count).await;
    }
    world.wait_until_copied().await;
    world.assert_copied(&NO_PARENTS).await;
    let places: Vec<_> = world.copied().await.iter().map(|(_, origin, _)| origin.sub_sequence_number).collect();
    assert_eq!(places[..6], [0, 0, 0, 0, 1, 2]);
    assert_eq!(places.last(), Some(&19_999));
    assert_eq!(pump.metrics().records.load(Ordering::Relaxed), 6, "as the data stream counts them");
}

/// A start that is fixed twice is the first one's.
#[tokio::test(start_paused = true)]
async fn the_start_is_fixed_once() {
    let mut world = good_world(1).await;
    world.put(0, 3).await;
    let put = world.put.clone();
    world.begin().await;
    world.put = put;
    let _pump = world.start_well();
    world.wait_until_copied().await;
    world.assert_copied(&NO_PARENTS).await;
}

/// Splits and merges before the creation, around it and after it.
#[tokio::test(start_paused = true)]
async fn shards_are_followed_through_reshards() {
    let mut world = World::new(2, GOOD, 3).await;
    world.reshard(&[0], &[3, 4]).await;
    world.put(3, 2).await;
    // 1 and 2 are about to be merged when the delivery stream begins.
    world.list(5, &[1, 2]).await;
    world.begin().await;
    for shard in [1, 2, 3, 4] {
        world.put(shard, 3).await;
    }
    let pump = world.start_well();
    let _ = world.producer.seal(world.log(1)).await.unwrap();
    let _ = world.producer.seal(world.log(2)).await.unwrap();
    world.create(vec![world.log(5)]).await;
    world.say_closed(1);
    world.say_closed(2);
    world.put(5, 3).await;
    world.reshard(&[5], &[6, 7]).await;
    world.put(7, 2).await;
    // 8 never has a record.
    world.reshard(&[4, 6], &[8]).await;
    world.reshard(&[8, 7], &[9]).await;
    world.put(9, 2).await;
    world.wait_until_copied().await;
    let parents = [(5, vec![1, 2]), (6, vec![5]), (7, vec![5]), (9, vec![8, 7, 4, 6])].into();
    world.assert_copied(&parents).await;
    // A later pump goes on from there.
    drop(pump);
    world.put(9, 1).await;
    world.put(3, 1).await;
    let _pump = world.start_well();
    world.wait_until_copied().await;
    world.assert_copied(&parents).await;
}

/// Puts, reshards and puts; the pump dies at the chosen step of its engine, and another one goes on. False if it did
/// not get so far.
async fn die_at(step: u64) -> bool {
    let mut world = World::new(step, GOOD, 2).await;
    world.begin().await;
    let (pump, fuse) = world.start(step, 500);
    for _ in 0..3 {
        world.put(0, 2).await;
        world.put(1, 1).await;
        sleep(Duration::from_millis(150)).await;
    }
    world.reshard(&[0], &[2, 3]).await;
    world.put(2, 2).await;
    world.put_aggregate(3, 2).await;
    sleep(Duration::from_millis(300)).await;
    world.reshard(&[1, 2], &[4]).await;
    world.put(4, 2).await;
    sleep(Duration::from_secs(2)).await;
    let burnt = fuse.burnt.load(Ordering::SeqCst);
    drop(pump);
    let _pump = world.start_well();
    world.put(3, 1).await;
    world.wait_until_copied().await;
    sleep(Duration::from_secs(5)).await;
    world.assert_copied(&[(2, vec![0]), (3, vec![0]), (4, vec![1, 2])].into()).await;
    burnt
}

#[tokio::test(start_paused = true)]
async fn a_pump_may_die_at_any_step() {
    let mut step = 0;
    while die_at(step).await {
        step += 1;
    }
    assert!(step > 40, "only {step} steps: the scenario does too little");
}

/// Of two pumps the later one goes on, and nothing is copied twice.
#[tokio::test(start_paused = true)]
async fn a_later_pump_takes_over() {
    let mut world = good_world(2).await;
    let earlier = world.start_well();
    for round in 0..10 {
        world.put(round % 2, 3).await;
        sleep(Duration::from_millis(130)).await;
    }
    let later = world.start_well();
    for round in 0..20 {
        world.put(round % 2, 3).await;
        sleep(Duration::from_millis(130)).await;
    }
    world.wait_until_copied().await;
    world.assert_copied(&NO_PARENTS).await;
    assert_eq!(earlier.metrics().halted.load(Ordering::Relaxed), 1);
    assert_eq!(later.metrics().halted.load(Ordering::Relaxed), 0);
}

/// Pumps that do not know of each other, each slow in its own way, so that one may come between any two steps of another.
#[tokio::test(start_paused = true)]
async fn pumps_may_race() {
    for seed in 0..150 {
        let mut world = World::new(seed, GOOD, 2).await;
        world.begin().await;
        world.lags = true;
        let dice = world.random.fork();
        let mut pumps = Vec::new();
        for _ in 0..20 {
            world.put(dice.below(2) as u32, 1 + dice.below(3)).await;
            if dice.percent(30) {
                pumps.push(world.start_well());
            }
            world.pause().await;
        }
        pumps.push(world.start_well());
        sleep(Duration::from_secs(10)).await;
        // Who has nothing to write does not notice that another has taken over.
        world.put(0, 1).await;
        world.wait_until_copied().await;
        sleep(Duration::from_secs(200)).await;
        world.assert_copied(&NO_PARENTS).await;
        let halted = |pump: &Pump| pump.metrics().halted.load(Ordering::Relaxed) == 1;
        assert_eq!(pumps.iter().filter(|pump| !halted(pump)).count(), 1, "seed {seed}");
    }
}

/// Random puts, reshards, deaths, limits and full backlogs, over a cluster that loses, delays and doubles messages.
async fn live_through(seed: u64) {
    let faults = if seed.is_multiple_of(2) { Faults::HARSH } else { GOOD };
    let mut world = World::new(seed, faults, 1 + (seed % 3) as u32).await;
    let dice = world.random.fork();
    let mut open: Vec<u32> = (0..1 + (seed % 3) as u32).collect();
    let mut next = open.len() as u32;
    let mut parents: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    world.begin().await;
    world.stream.pace_ms.store(dice.below(3) * 500, Ordering::SeqCst);
    world.stream.refuses.store([0, 0, 2, 3][dice.below(4) as usize], Ordering::SeqCst);
    let mut pump = None;
    for _ in 0..30 {
        let any = open[dice.below(open.len() as u64) as usize];
        match dice.below(10) {
            0..4 => world.put(any, 1 + dice.below(30)).await,
            4 => {
                let children = [next, next + 1];
                world.reshard(&[any], &children).await;
                open.retain(|shard| *shard != any);
                open.extend(children);
                children.iter().for_each(|child| drop(parents.insert(*child, vec![any])));
                next += 2;
            }
            5 if open.len() > 1 => {
                let merged = [open.remove(0), open.remove(0)];
                world.reshard(&merged, &[next]).await;
                open.push(next);
                parents.insert(next, merged.to_vec());
                next += 1;
            }
            6 | 7 => {
                drop(pump.take());
                // On a bad day it gives up after three attempts, so that outcomes stay unknown.
                let attempts = if dice.percent(50) { 3 } else { 500 };
                pump = Some(world.start(20 + dice.below(200), attempts).0);
            }
            8 => world.quota.bytes.store(dice.below(2) * u64::MAX, Ordering::SeqCst),
            _ => world.stream.held.store(dice.percent(50), Ordering::SeqCst),
        }
        world.pause().await;
    }
    drop(pump);
    world.quota.bytes.store(u64::MAX, Ordering::SeqCst);
    world.stream.held.store(false, Ordering::SeqCst);
    let pump = world.start_well();
    world.wait_until_copied().await;
    sleep(Duration::from_secs(5)).await;
    world.assert_copied(&parents).await;
    assert_eq!(pump.metrics().lost_records.load(Ordering::Relaxed), 0, "seed {seed}");
    assert_eq!(pump.metrics().halted.load(Ordering::Relaxed), 0, "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn everything_is_copied_once_whatever_happens() {
    // In the last one a pump begins with shards that have just become children of nobody who is read any more.
    for seed in (0..150).chain([1_116]) {
        live_through(seed).await;
    }
}

/// While the backlog is full, or the disk, nothing is read; afterwards the pump goes on.
#[tokio::test(start_paused = true)]
async fn a_full_backlog_holds_the_pump_back() {
    let mut world = good_world(1).await;
    world.quota.bytes.store(0, Ordering::SeqCst);
    let pump = world.start_well();
    world.put(0, 5).await;
    sleep(Duration::from_secs(30)).await;
    assert!(world.copied().await.is_empty() && world.stream.reads.lock().unwrap().is_empty());
    assert_eq!(pump.metrics().held.load(Ordering::Relaxed), 1);
    assert_ne!(pump.metrics().oldest_unread.load(Ordering::Relaxed), 0);
    world.quota.bytes.store(u64::MAX, Ordering::SeqCst);
    world.wait_until_copied().await;
    world.stream.held.store(true, Ordering::SeqCst);
    world.put(0, 1).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.copied().await.len(), 5);
    world.stream.held.store(false, Ordering::SeqCst);
    world.wait_until_copied().await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(pump.metrics().held.load(Ordering::Relaxed), 0);
    assert_eq!(pump.metrics().oldest_unread.load(Ordering::Relaxed), 0);
    world.assert_copied(&NO_PARENTS).await;
}

/// No shard is read twice within its pace, and one that has nothing new is not read at all.
#[tokio::test(start_paused = true)]
async fn shards_are_read_at_their_pace() {
    let mut world = good_world(2).await;
    world.stream.pace_ms.store(1_000, Ordering::SeqCst);
    let _pump = world.start_well();
    for _ in 0..50 {
        world.put(0, 1).await;
        sleep(Duration::from_millis(100)).await;
    }
    world.wait_until_copied().await;
    sleep(Duration::from_secs(600)).await;
    let reads = world.stream.reads.lock().unwrap().clone();
    assert!(reads.iter().all(|(shard, _)| *shard == 0), "{reads:?}");
    assert!(reads.windows(2).all(|pair| pair[1].1 - pair[0].1 >= 1_000), "{reads:?}");
    assert!((5..=7).contains(&reads.len()), "{reads:?}");
}

/// A read that the shard's limits forbid comes later.
#[tokio::test(start_paused = true)]
async fn a_throttled_read_is_made_later() {
    let mut world = good_world(1).await;
    world.stream.refuses.store(2, Ordering::SeqCst);
    let pump = world.start_well();
    for _ in 0..5 {
        world.put(0, 1).await;
        world.wait_until_copied().await;
        sleep(Duration::from_secs(2)).await;
    }
    world.assert_copied(&NO_PARENTS).await;
    assert_eq!(pump.metrics().throttled_reads.load(Ordering::Relaxed), 5);
}

/// Records larger than a batch may be, next to small ones.
#[tokio::test(start_paused = true)]
async fn large_records_are_copied() {
    let mut world = good_world(2).await;
    for bytes in [5_000_000, 10, 3_000_000, 3_000_000, 10 * 1024 * 1024] {
        world.put_large(0, bytes).await;
        world.put(1, 100).await;
    }
    let _pump = world.start_well();
    world.wait_until_copied().await;
    world.assert_copied(&NO_PARENTS).await;
}

/// More records than one batch holds.
#[tokio::test(start_paused = true)]
async fn many_records_are_copied() {
    let mut world = good_world(3).await;
    for shard in 0..3 {
        world.put(shard, 9_000).await;
    }
    let _pump = world.start_well();
    world.wait_until_copied().await;
    world.assert_copied(&NO_PARENTS).await;
}

/// What is past its retention before it was copied is counted, and the rest is copied. Of a shard that expired as a
/// whole, its children are.
#[tokio::test(start_paused = true)]
async fn what_has_expired_is_counted_and_passed_over() {
    let mut world = good_world(2).await;
    world.quota.bytes.store(0, Ordering::SeqCst);
    // On one writer, because a trim is.
    let (pump, _) = world.start(u64::MAX, 500);
    world.put(0, 5).await;
    world.put(1, 4).await;
    world.reshard(&[1], &[2, 3]).await;
    world.put(2, 3).await;
    sleep(Duration::from_secs(5)).await;
    world.producer.delete(vec![world.log(1)]).await.unwrap();
    world.stream.expire(&[1]);
    sleep(Duration::from_secs(5)).await;
    world.quota.bytes.store(u64::MAX, Ordering::SeqCst);
    world.put.remove(&1);
    world.wait_until_copied().await;
    world.assert_copied(&NO_PARENTS).await;
    assert_eq!(pump.metrics().lost_records.load(Ordering::Relaxed), 4);
}

/// A deleted stream is not read any more, also if another of its name comes.
#[tokio::test(start_paused = true)]
async fn a_deleted_source_ends_the_pump() {
    let mut world = good_world(1).await;
    let pump = world.start_well();
    world.put(0, 2).await;
    world.wait_until_copied().await;
    world.stream.delete();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(pump.metrics().source_gone.load(Ordering::Relaxed), 1);
    let again = world.start_well();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(again.metrics().source_gone.load(Ordering::Relaxed), 1);
    assert_eq!(again.metrics().halted.load(Ordering::Relaxed), 0);
}

/// A shard that nobody writes to costs nothing but its place.
#[tokio::test(start_paused = true)]
async fn idle_shards_are_left_alone() {
    let mut world = good_world(2_000).await;
    let (_pump, fuse) = world.start(u64::MAX, 500);
    world.put(7, 1).await;
    world.wait_until_copied().await;
    let before = fuse.steps.load(Ordering::SeqCst);
    sleep(Duration::from_secs(3_600)).await;
    assert_eq!(fuse.steps.load(Ordering::SeqCst), before);
    world.put(1_999, 1).await;
    world.wait_until_copied().await;
    // A read, the plan, the batch.
    assert!(fuse.steps.load(Ordering::SeqCst) - before < 10);
    world.assert_copied(&NO_PARENTS).await;
}

/// The position log is bounded, however much is copied.
#[tokio::test(start_paused = true)]
async fn positions_do_not_grow() {
    let mut world = good_world(2).await;
    let (pump, fuse) = world.start(u64::MAX, 500);
    for round in 0..1_000 {
        world.put(round % 2, 1).await;
        sleep(Duration::from_millis(110)).await;
    }
    world.wait_until_copied().await;
    assert!(world.positions_bytes().await > 900, "each batch has its plan");
    drop(pump);
    let before = fuse.steps.load(Ordering::SeqCst);
    assert!(before > 2_000);
    let _pump = world.start_well();
    world.put(0, 1).await;
    world.wait_until_copied().await;
    world.assert_copied(&NO_PARENTS).await;
}
