//! Logs whose ends are damaged, trims that a crash forgets, and an engine that is away for long.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use levada_core::engine::LogId;

use super::actors::{TestChain, is_dropped, processed};
use super::processing::{assert_freed, assert_processed, found};
use super::world::{BLOCK, CONTROL, World};
use super::{HOUR, pass, seconds};

fn small(n: u64) -> Vec<u8> {
    format!("{n:08} small\n").into_bytes()
}

/// The last append to `log` is damaged at `moment`. Answers how many records are missing, and how many were counted as
/// lost; fails if one is there twice.
async fn damaged_at(moment: u64, log: LogId) -> (u64, u64) {
    let mut world = World::new(moment);
    world.config = processed(TestChain::new(2));
    world.engine.sorting_ms.store(100, Ordering::SeqCst);
    let handle = world.start();
    for n in 0..30 {
        world.engine.produce(&small(n));
        pass(Duration::from_millis(100 * moment)).await;
    }
    drop(handle);
    if world.engine.sizes().get(&log).is_some_and(|tail| tail.end > 0) {
        world.engine.corrupt_end(log);
    }
    let handle = world.start();
    pass(seconds(10)).await;
    for n in 30..60 {
        world.engine.produce(&small(n));
    }
    handle.flush().await.unwrap();
    assert!(!handle.is_halted());
    let found = found(&world, 2);
    let doubled: BTreeMap<_, _> = found.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "moment {moment}, {log:?}: {doubled:?}");
    let there: Vec<u64> = found.into_keys().map(|(_, n)| n).collect();
    let missing = (0..60).filter(|n| !is_dropped(*n) && !there.contains(n)).count() as u64;
    let lost = handle.metrics().lost_records.load(Ordering::SeqCst);
    drop(handle);
    // What is damaged at the end is so at each start, until something stands behind it.
    let handle = world.start();
    handle.flush().await.unwrap();
    assert_eq!(handle.metrics().lost_records.load(Ordering::SeqCst), 0, "counted once");
    (missing, lost)
}

#[tokio::test(start_paused = true)]
async fn damage_at_the_end_of_a_log_stops_nothing_and_doubles_nothing() {
    let mut recovered = 0;
    for (moment, log) in (0..40).flat_map(|moment| (0..4).map(move |log| (moment, LogId(BLOCK.first.0 + log)))) {
        let (missing, lost) = damaged_at(moment, log).await;
        assert!(missing <= lost, "moment {moment}, {log:?}: {missing} are missing, {lost} were counted");
        // Before the first cut the processed log has all that a slot has.
        let is_copy = log != BLOCK.first && moment * 3 < 60;
        assert!(!is_copy || missing == 0, "moment {moment}, {log:?}: {missing} are missing");
        recovered += u64::from(is_copy && lost > 0);
    }
    assert!(recovered > 5, "only {recovered} times a slot was damaged that was not delivered");
}

/// A partition is released when its records are delivered, and then a crash forgets that they were trimmed.
#[tokio::test(start_paused = true)]
async fn what_a_crash_left_in_free_logs_is_freed_at_the_next_start() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(3));
    world.engine.forgets_trims.store(true, Ordering::SeqCst);
    let handle = world.start();
    for n in 0..30 {
        world.engine.produce(&small(n));
    }
    handle.flush().await.unwrap();
    drop(handle);
    world.engine.forgets_trims.store(false, Ordering::SeqCst);
    let handle = world.start();
    pass(seconds(1)).await;
    assert_freed(&world);
    handle.flush().await.unwrap();
    assert_processed(&world, 30, 3, false);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_fails_again_and_again_asks_less_and_less_and_writes_little() {
    let mut world = World::new(1);
    world.tuning.snapshot_every = 10;
    world.engine.is_away.store(true, Ordering::SeqCst);
    let handle = world.start();
    pass(10 * HOUR).await;
    let written = world.engine.sizes()[&CONTROL].end;
    assert!(written < 10 * 60, "{written} control records: the backoff does not grow");
    assert!(world.engine.control().len() <= 12, "{} control records are kept", world.engine.control().len());
    world.engine.is_away.store(false, Ordering::SeqCst);
    world.engine.produce(super::world::record(0).as_bytes());
    handle.flush().await.unwrap();
    world.assert_delivered(1);
}
