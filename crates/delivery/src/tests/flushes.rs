//! Flushes: everything that stands in the data log when one is asked for is delivered when it is answered, at once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::actors::{TestChain, backed_up, lake, processed};
use super::processing::{assert_processed, found};
use super::world::World;
use super::{pass, seconds};
use crate::Config;

/// What a flush may take where everything answers within milliseconds.
const SOON: Duration = Duration::from_secs(10);

/// Whether before a restart or not, and wherever the records are: in the data log, in the chain, before the sorter, in
/// lanes, in cuts.
#[tokio::test(start_paused = true)]
async fn one_flush_delivers_what_is_on_its_way() {
    for (restart, moment) in [false, true].into_iter().flat_map(|restart| (0..40).map(move |n| (restart, n))) {
        let mut world = World::new(moment);
        world.config = backed_up(processed(TestChain::new(3)));
        world.engine.sorting_ms.store(100, Ordering::SeqCst);
        let mut handle = world.start();
        for n in 0..40 {
            world.engine.produce(format!("{n:08} small\n").as_bytes());
            pass(Duration::from_millis(25 * moment)).await;
            if restart && n == 30 {
                drop(handle);
                handle = world.start();
            }
        }
        pass(Duration::from_millis(moment * 7)).await;
        if restart {
            drop(handle);
            handle = world.start();
            pass(Duration::from_millis(moment * 3)).await;
        }
        let flushed = tokio::time::timeout(SOON, handle.flush()).await;
        assert_eq!(flushed, Ok(Ok(())), "moment {moment}, restart: {restart}");
        assert_processed(&world, 40, 3, true);
    }
}

/// An update that begins or ends processing while somebody waits for a flush.
#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_what_was_there_before_an_update() {
    for (moment, on) in (0..40).flat_map(|moment| [(moment, true), (moment, false)]) {
        let mut world = World::new(moment);
        let (plain, chained) = (Config::s3(lake(false)), processed(TestChain::new(0)));
        world.config = if on { plain.clone() } else { chained.clone() };
        let handle = world.start();
        for n in 100..130 {
            world.engine.produce(super::world::record(n).as_bytes());
        }
        let flush = tokio::spawn({
            let handle = handle.clone();
            async move { handle.flush().await }
        });
        pass(Duration::from_millis(moment * 5)).await;
        handle.reconfigure(if on { chained } else { plain }, 2, None);
        let flushed = tokio::time::timeout(SOON, flush).await;
        assert!(matches!(flushed, Ok(Ok(Ok(())))), "moment {moment}, on: {on}: {flushed:?}");
        let found: Vec<u64> = found(&world, 0).into_keys().map(|(_, n)| n).collect();
        let missing: Vec<u64> = (100..130).filter(|n| n % 20 != 13 && !found.contains(n)).collect();
        assert!(missing.is_empty(), "moment {moment}, on: {on}: {missing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_was_held_up_takes_a_full_batch_again_without_waiting_for_more() {
    let mut world = World::new(1);
    let mut chain = TestChain::new(1);
    let gather = crate::chain::Gather { bytes: 300_000, wait: seconds(900) };
    std::sync::Arc::get_mut(&mut chain).unwrap().gather = gather;
    chain.held.store(3, Ordering::SeqCst);
    world.config = processed(chain.clone());
    let _handle = world.start();
    for n in 0..5 {
        world.engine.produce(super::world::record(n).as_bytes());
    }
    pass(seconds(20)).await;
    assert!(chain.runs.load(Ordering::SeqCst) >= 4, "1 s, 2 s, 4 s, and then it works");
}
