//! Stores that refuse some objects for good, and take others.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::actors::{TestChain, is_dropped, is_poison, processed};
use super::processing::{Place, found};
use super::world::{Mood, World};
use super::{HOUR, pass, seconds};

const PARTITIONS: u64 = 200;

/// Partitions 1, 10 to 19 and 100 to 199.
const REFUSED: &str = "p=1";

fn is_refused(partition: u64) -> bool {
    format!("p={partition}").starts_with(REFUSED)
}

/// One record of each of these partitions, in the round `round`; answers their numbers.
fn produce(world: &World, round: u64, partitions: impl Iterator<Item = u64>) -> Vec<u64> {
    let numbers: Vec<u64> = partitions.map(|partition| round * PARTITIONS + partition).collect();
    let numbers: Vec<u64> = numbers.into_iter().filter(|n| !is_poison(*n) && !is_dropped(*n)).collect();
    for n in &numbers {
        world.engine.produce(format!("{n:08} small\n").as_bytes());
    }
    numbers
}

fn cuts(world: &World) -> usize {
    world.engine.control().iter().filter(|record| record["type"] == "Cut").count()
}

/// A hundred partitions whose keys are refused are due first, before the bucket has taken anything.
#[tokio::test(start_paused = true)]
async fn however_many_keys_are_refused_the_others_are_delivered() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(PARTITIONS));
    world.tuning.snapshot_every = 1_000_000;
    *world.sink.refused_prefix.lock().unwrap() = Some(REFUSED);
    let handle = world.start();
    let mut refused = produce(&world, 0, (0..PARTITIONS).filter(|partition| is_refused(*partition)));
    pass(seconds(5)).await;
    let mut wanted = produce(&world, 0, (0..PARTITIONS).filter(|partition| !is_refused(*partition)));
    pass(seconds(90)).await;
    for round in 1..60 {
        refused.extend(produce(&world, round, (0..PARTITIONS).filter(|partition| is_refused(*partition))));
        wanted.extend(produce(&world, round, [round, 20 + round].into_iter().filter(|n| !is_refused(*n))));
        pass(seconds(90)).await;
        let found = found(&world, PARTITIONS);
        let missing: Vec<_> = wanted.iter().filter(|n| !found.contains_key(&(Place::Delivered, **n))).collect();
        assert!(missing.is_empty(), "round {round}: {missing:?}");
    }
    let well = wanted.len();
    assert!(cuts(&world) <= well + 111, "{} cuts, of which {well} were delivered", cuts(&world));
    pass(20 * HOUR).await;
    assert!(cuts(&world) <= well + 111, "and they stay as few");
    *world.sink.refused_prefix.lock().unwrap() = None;
    handle.flush().await.unwrap();
    let found = found(&world, PARTITIONS);
    assert!(refused.iter().all(|n| found.get(&(Place::Delivered, *n)) == Some(&1)), "none was given up");
}

/// They are tried again few at a time, so that others find room in memory and in the store.
#[tokio::test(start_paused = true)]
async fn what_was_refused_comes_back_in_turn() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(PARTITIONS));
    *world.sink.refused_prefix.lock().unwrap() = Some(REFUSED);
    let handle = world.start();
    produce(&world, 0, 0..PARTITIONS);
    pass(seconds(600)).await;
    world.sink.most_in_flight.store(0, Ordering::SeqCst);
    *world.sink.refused_prefix.lock().unwrap() = None;
    handle.flush().await.unwrap();
    assert!(world.sink.most_in_flight.load(Ordering::SeqCst) <= 8);
}

/// Nothing is known of the bucket, and nothing becomes known: the cuts are one for each partition, not more.
#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_away_costs_one_cut_for_each_partition() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(50));
    world.sink.mood(Mood::Away);
    let handle = world.start();
    for round in 0..120 {
        produce(&world, round, 0..PARTITIONS);
        pass(Duration::from_secs(600)).await;
    }
    assert!(cuts(&world) <= 50 + 5, "{} cuts", cuts(&world));
    world.sink.mood(Mood::Well);
    handle.flush().await.unwrap();
    assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 0);
}
