//! The worker in a world that fails.

mod actors;
mod crowds;
mod damage;
mod endpoints;
mod failpoints;
mod flushes;
mod processing;
mod refusals;
mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use levada_core::env::Clock;

use self::world::{CONTROL, DATA, Doubt, Mood, SWAMP, SWAMP_DATA, World, bucketing, compressed, config, record};
use crate::config::Target;
use crate::{Bucketing, Compression, Config, Delimiter, Dropped, Stopped};

const HOUR: Duration = Duration::from_secs(3600);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Lets time pass; with tokio's clock paused it passes as soon as everything sleeps.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn size_and_interval_decide_when_to_cut() {
    let world = World::new(1);
    let handle = world.start();
    for n in 0..5 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(59)).await;
    assert_eq!(world.objects().len(), 0, "neither a mebibyte nor a minute");
    pass(seconds(2)).await;
    assert_eq!(world.objects().len(), 1, "a minute");
    let mut n = 5;
    let mut bytes = 0;
    while bytes < 1024 * 1024 {
        world.engine.produce(record(n).as_bytes());
        bytes += record(n).len();
        n += 1;
    }
    pass(seconds(1)).await;
    assert_eq!(world.objects().len(), 2, "a mebibyte");
    world.assert_delivered(n);
    assert_eq!(world.engine.start_of(DATA), n, "what is delivered is trimmed");
    let metrics = handle.metrics();
    assert_eq!(metrics.records.load(Ordering::SeqCst), n);
    assert_eq!(metrics.puts_succeeded.load(Ordering::SeqCst), 2);
    assert_eq!(metrics.object_bytes.load(Ordering::SeqCst), world.objects().concat().len() as u64);
    assert_eq!(handle.backlog_bytes(), 0);
    assert_eq!(metrics.data_freshness_ms(world.clock.now_ms()), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_worker_left_is_counted_before_anybody_is_told_that_there_is_room() {
    let world = World::new(1);
    world.engine.produce(&[0; 9_990]);
    let handle = world.start();
    assert!(!handle.is_counted());
    handle.counted().await;
    assert!(handle.is_counted() && handle.reserve(100).is_none());
    handle.counted().await;
}

/// Records may be empty, and a delimiter of some thousand characters makes gigabytes of them.
#[tokio::test(start_paused = true)]
async fn what_stands_between_records_fills_a_buffer_too() {
    let mut world = World::new(1);
    let delimiter = "-".repeat(5_120);
    let Target::S3(bucketing) = &mut world.config.target else { panic!("a bucket") };
    bucketing.delimiter = Delimiter::Between(delimiter.clone());
    let _handle = world.start();
    let fill = 1024 * 1024 / delimiter.len();
    for _ in 0..fill - 1 {
        world.engine.produce(b"");
    }
    pass(seconds(1)).await;
    assert_eq!(world.objects().len(), 0);
    world.engine.produce(b"");
    pass(seconds(1)).await;
    assert_eq!(world.objects().concat().len(), (fill - 1) * delimiter.len());
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_zero_cuts_at_once() {
    let mut world = World::new(1);
    world.config = config(128, 0);
    let _handle = world.start();
    for n in 0..3 {
        world.engine.produce(record(n).as_bytes());
        pass(Duration::from_millis(100)).await;
        assert_eq!(world.objects().len(), n as usize + 1);
    }
    world.assert_delivered(3);
}

#[tokio::test(start_paused = true)]
async fn keys_carry_the_oldest_arrival_and_the_version_in_force_when_cut() {
    let world = World::new(1);
    let handle = world.start();
    world.engine.produce(record(0).as_bytes());
    pass(seconds(30)).await;
    world.engine.produce(record(1).as_bytes());
    pass(seconds(31)).await;
    let gzip = compressed(&config(1, 60), Compression::Gzip);
    world.engine.produce(record(2).as_bytes());
    pass(seconds(1)).await;
    handle.reconfigure(gzip, 2, None);
    handle.flush().await.unwrap();
    let puts = world.sink.puts.lock().unwrap();
    let keys: Vec<&str> = puts.keys().map(String::as_str).collect();
    assert!(keys[0].starts_with("2026/07/13/14/orders-1-2026-07-13-14-05-09-"), "{keys:?}");
    assert!(keys[1].starts_with("2026/07/13/14/orders-2-2026-07-13-14-06-10-"), "{keys:?}");
    assert!(keys[1].ends_with(".gz"), "{keys:?}");
    drop(puts);
    world.assert_delivered(3);
}

#[tokio::test(start_paused = true)]
async fn gzip_gives_back_what_went_in_whatever_the_pages_were() {
    let mut world = World::new(1);
    world.config = compressed(&config(5, 60), Compression::Gzip);
    let handle = world.start();
    for n in 0..40 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    world.assert_delivered(40);
    assert_eq!(world.objects().len(), 1);
}

/// A run with a crash at `step`; answers whether the run came so far.
async fn crash_at(step: u64, compression: Compression) -> bool {
    let mut world = World::new(step);
    world.config = compressed(&world.config, compression);
    world.tuning.snapshot_every = 5;
    world.tuning.parallel_uploads = 2;
    world.fuse.set(step);
    let handle = world.start();
    for n in 0..25 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(70)).await;
    let crashed = world.fuse.is_dead();
    drop(handle);
    world.fuse.disarm();
    let handle = world.start();
    for n in 25..40 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    world.assert_delivered(40);
    assert_eq!(world.engine.start_of(DATA), 40);
    crashed
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_loses_nothing_and_writes_nothing_twice() {
    let mut step = 0;
    while crash_at(step, Compression::Uncompressed).await {
        step += 1;
    }
    assert!(step > 40, "only {step} steps: the scenario does too little");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_rewrites_the_same_compressed_bytes() {
    let mut step = 0;
    while crash_at(step, Compression::Gzip).await {
        step += 7;
    }
    assert!(step > 40);
}

/// Crashes, unknown outcomes and a store that fails or lies, one after the other, from a seed.
async fn torment(seed: u64) {
    let mut world = World::new(seed);
    let dice = world.random.fork();
    world.tuning.snapshot_every = 1 + dice.below(8);
    world.tuning.parallel_uploads = 1 + dice.below(4) as usize;
    world.tuning.memory_bytes = 1024 * (1 + dice.below(4096));
    let mut produced = 0;
    for _ in 0..12 {
        world.fuse.set(dice.below(60));
        world
            .sink
            .mood([Mood::Well, Mood::Well, Mood::Away, Mood::StoresAndFails, Mood::Silent][dice.below(5) as usize]);
        for _ in 0..dice.below(3) {
            let doubt = if dice.percent(50) { Doubt::AppendedButUnknown } else { Doubt::LostAndUnknown };
            world.engine.doubts.lock().unwrap().push(doubt);
        }
        let handle = world.start();
        for _ in 0..dice.below(20) {
            world.engine.produce(record(produced).as_bytes());
            produced += 1;
            pass(Duration::from_millis(dice.below(3_000))).await;
        }
        pass(seconds(dice.below(100))).await;
        drop(handle);
    }
    world.fuse.disarm();
    world.sink.mood(Mood::Well);
    world.engine.doubts.lock().unwrap().clear();
    let handle = world.start();
    handle.flush().await.unwrap();
    world.assert_delivered(produced);
    assert_eq!(world.engine.start_of(DATA), produced);
    assert_eq!(handle.backlog_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn torments_lose_nothing_and_write_nothing_twice() {
    for seed in 0..60 {
        torment(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_23_hours_gets_everything_afterwards() {
    let world = World::new(1);
    let handle = world.start();
    world.sink.mood(Mood::Away);
    let mut n = 0;
    for _ in 0..23 {
        world.engine.produce(record(n).as_bytes());
        n += 1;
        pass(HOUR).await;
    }
    assert_eq!(world.objects().len(), 0);
    assert!(handle.metrics().data_freshness_ms(world.clock.now_ms()) >= 23 * 3_600_000);
    let attempts = world.sink.attempts.load(Ordering::SeqCst);
    assert!(attempts < 23 * 60 * 4, "{attempts} attempts: the backoff does not grow");
    assert!(world.engine.control().len() < 10, "control records while nothing can be delivered");
    world.sink.mood(Mood::Well);
    handle.nudge();
    pass(seconds(120)).await;
    world.assert_delivered(n);
    assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn after_25_hours_the_oldest_are_abandoned_and_counted() {
    let world = World::new(1);
    let handle = world.start();
    world.sink.mood(Mood::Away);
    for n in 0..50 {
        world.engine.produce(record(n).as_bytes());
        pass(HOUR / 2).await;
    }
    world.sink.mood(Mood::Well);
    handle.flush().await.unwrap();
    let abandoned = handle.metrics().abandoned_records.load(Ordering::SeqCst);
    assert!((1..=4).contains(&abandoned), "those of about the first hour, but {abandoned}");
    assert_eq!(handle.metrics().records.load(Ordering::SeqCst), 50 - abandoned);
    let delivered: String = (abandoned..50).map(record).collect();
    assert!(world.objects().concat() == delivered);
    let control = world.engine.control();
    let given_up = control.iter().filter(|record| record["type"] == "Abandoned");
    let recorded: u64 = given_up.filter_map(|record| record["records"].as_u64()).sum();
    assert_eq!(recorded, abandoned, "in the control log too");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_away_for_long_abandons_nothing_before_it_has_asked_the_store_for_a_day() {
    let world = World::new(1);
    let handle = world.start();
    world.sink.mood(Mood::Away);
    world.engine.produce(record(0).as_bytes());
    pass(seconds(70)).await;
    drop(handle);
    pass(48 * HOUR).await;
    let handle = world.start();
    pass(23 * HOUR).await;
    world.sink.mood(Mood::Well);
    handle.flush().await.unwrap();
    world.assert_delivered(1);
    // Nor does a jump of the wall clock alone.
    world.sink.mood(Mood::Away);
    world.engine.produce(record(1).as_bytes());
    pass(seconds(70)).await;
    world.clock.jump(365 * 86_400_000);
    handle.nudge();
    pass(23 * HOUR).await;
    assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 0);
    pass(2 * HOUR).await;
    assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_always_fails_beside_others_is_abandoned_after_a_day() {
    let world = World::new(1);
    let handle = world.start();
    world.sink.refuse_first_key();
    for n in 0..24 {
        world.engine.produce(record(n).as_bytes());
        pass(HOUR).await;
    }
    assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 0);
    assert_eq!(world.engine.start_of(DATA), 0, "the checkpoint waits for it");
    pass(HOUR).await;
    assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 1);
    assert_eq!(world.engine.start_of(DATA), 24);
    assert!(world.objects().concat() == (1..24).map(record).collect::<String>());
}

#[tokio::test(start_paused = true)]
async fn empty_records_fill_buffers_and_are_read_in_pages() {
    let world = World::new(1);
    let count = 400_000;
    world.engine.produce_many(count, b"");
    world.engine.produce(b"the only byte is ");
    let handle = world.start();
    handle.flush().await.unwrap();
    let cuts = world.engine.control().iter().filter(|record| record["type"] == "Cut").count();
    assert_eq!(cuts, 3, "a mebibyte of headers is 174,763 records");
    assert!(world.engine.largest_page.load(Ordering::SeqCst) <= 10_000);
    assert_eq!(handle.metrics().records.load(Ordering::SeqCst), count + 1);
    assert_eq!(handle.metrics().object_bytes.load(Ordering::SeqCst), 17, "headers are not delivered");
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_is_given_up_on_and_asked_again() {
    let world = World::new(1);
    let handle = world.start();
    world.sink.mood(Mood::Silent);
    world.engine.produce(record(0).as_bytes());
    pass(seconds(600)).await;
    assert!(handle.metrics().puts_failed.load(Ordering::SeqCst) >= 3);
    world.sink.mood(Mood::Well);
    pass(seconds(300)).await;
    world.assert_delivered(1);
}

#[tokio::test(start_paused = true)]
async fn a_put_that_hangs_keeps_its_memory_and_its_cut_is_not_tried_beside_it() {
    for budget in [8 << 20, 144 << 20] {
        let mut world = World::new(1);
        world.tuning.memory_bytes = budget;
        world.sink.mood(Mood::Stuck);
        for n in 0..100 {
            world.engine.produce(record(n).as_bytes());
        }
        let handle = world.start();
        pass(10 * HOUR).await;
        let stuck = world.sink.stuck.lock().unwrap().clone();
        let keys: std::collections::BTreeSet<_> = stuck.iter().map(|(key, _)| key).collect();
        assert!(!keys.is_empty());
        assert_eq!(keys.len(), stuck.len(), "one attempt for each cut at a time");
        assert!(stuck.iter().map(|(_, bytes)| *bytes as u64).sum::<u64>() <= budget);
        assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 0);
        world.sink.mood(Mood::Well);
        world.sink.release();
        pass(seconds(300)).await;
        world.assert_delivered(100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_probed_with_one_upload_at_a_time() {
    let world = World::new(1);
    world.sink.mood(Mood::Silent);
    for n in 0..100 {
        world.engine.produce(record(n).as_bytes());
    }
    let handle = world.start();
    pass(seconds(30)).await;
    assert_eq!(world.sink.most_waiting.load(Ordering::SeqCst), 4, "nobody knows yet");
    pass(seconds(60)).await;
    world.sink.most_waiting.store(0, Ordering::SeqCst);
    pass(HOUR).await;
    assert_eq!(world.sink.most_waiting.load(Ordering::SeqCst), 1);
    world.sink.mood(Mood::Well);
    handle.flush().await.unwrap();
    world.assert_delivered(100);
}

#[tokio::test(start_paused = true)]
async fn a_put_that_hangs_for_ever_is_abandoned_after_a_day() {
    let world = World::new(1);
    world.sink.mood(Mood::Stuck);
    world.engine.produce(record(0).as_bytes());
    let handle = world.start();
    pass(24 * HOUR).await;
    assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 0);
    pass(HOUR).await;
    assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), 1);
    assert_eq!(world.engine.start_of(DATA), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_holds_nobody_else_up() {
    for mood in [Mood::Silent, Mood::Stuck, Mood::Away] {
        let mut world = World::new(1);
        world.tuning.memory_bytes = 4 << 20;
        *world.sink.swamp.lock().unwrap() = mood;
        for n in 0..100 {
            world.engine.produce_to(SWAMP_DATA, record(n).as_bytes());
        }
        let (orders, swamp) = world.start_with_swamp();
        // Until the first put has taken longer than others wait for, nobody knows.
        pass(seconds(10)).await;
        for n in 0..60 {
            world.engine.produce(record(n).as_bytes());
            let flushed = tokio::time::timeout(seconds(1), orders.flush()).await;
            assert_eq!(flushed, Ok(Ok(())), "{mood:?}, record {n}");
            pass(seconds(37)).await;
        }
        world.assert_delivered(60);
        *world.sink.swamp.lock().unwrap() = Mood::Well;
        world.sink.release();
        swamp.flush().await.unwrap();
        assert_eq!(swamp.metrics().records.load(Ordering::SeqCst), 100);
    }
}

/// One store takes all memory that stores may hang in, for ever; another one hangs too, and then is well again.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_well_again_does_not_wait_for_one_that_hangs_for_ever() {
    let mut world = World::new(1);
    world.tuning.memory_bytes = 4 << 20;
    *world.sink.swamp.lock().unwrap() = Mood::Stuck;
    for n in 0..100 {
        world.engine.produce_to(SWAMP_DATA, record(n).as_bytes());
    }
    let (orders, _swamp) = world.start_with_swamp();
    pass(HOUR).await;
    world.sink.mood(Mood::Silent);
    world.engine.produce(record(0).as_bytes());
    pass(HOUR).await;
    world.sink.mood(Mood::Well);
    let flushed = tokio::time::timeout(seconds(600), orders.flush()).await;
    assert_eq!(flushed, Ok(Ok(())));
    let stuck: usize = world.sink.stuck.lock().unwrap().iter().map(|(_, bytes)| *bytes).sum();
    assert!(stuck > 0 && stuck <= 4 << 20, "{stuck} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_zombie_is_refused() {
    let world = World::new(1);
    let zombie = world.start();
    world.engine.produce(record(0).as_bytes());
    pass(seconds(1)).await;
    let heir = world.start();
    pass(seconds(1)).await;
    assert_eq!(zombie.flush().await, Err(Stopped), "its cut is refused, and it ends");
    assert!(zombie.is_halted() && !heir.is_halted());
    heir.flush().await.unwrap();
    world.assert_delivered(1);
    let cuts = world.engine.control().iter().filter(|record| record["type"] == "Cut").count();
    assert_eq!(cuts, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_trimmed_or_corrupt_is_counted_and_the_rest_is_delivered() {
    let world = World::new(1);
    for n in 0..40 {
        world.engine.produce(record(n).as_bytes());
    }
    world.engine.lose_before(3);
    world.engine.corrupt([7, 8, 9, 10, 11, 20]);
    let handle = world.start();
    handle.flush().await.unwrap();
    let expected: String = (0..40).filter(|n| !matches!(n, 0..3 | 7..12 | 20)).map(record).collect();
    assert!(world.objects().concat() == expected);
    assert_eq!(handle.metrics().lost_records.load(Ordering::SeqCst), 3 + 5 + 1);
    // Everything to the end is damaged, and still what comes after it is delivered.
    world.engine.produce(b"damaged");
    world.engine.corrupt([40]);
    handle.flush().await.unwrap();
    world.engine.produce(b"zz after");
    handle.flush().await.unwrap();
    assert_eq!(handle.metrics().lost_records.load(Ordering::SeqCst), 10);
    assert_eq!(world.objects().last().map(String::as_str), Some("zz after"));
}

#[tokio::test(start_paused = true)]
async fn what_disappears_after_the_cut_is_counted_too() {
    let world = World::new(1);
    let handle = world.start();
    world.sink.mood(Mood::Away);
    for n in 0..5 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(61)).await;
    world.engine.lose_before(2);
    world.engine.corrupt([3]);
    world.sink.mood(Mood::Well);
    handle.flush().await.unwrap();
    assert_eq!(handle.metrics().lost_records.load(Ordering::SeqCst), 3);
    assert!(world.objects().concat() == record(2) + &record(4));
}

#[tokio::test(start_paused = true)]
async fn deleting_counts_what_was_not_delivered() {
    let world = World::new(1);
    let handle = world.start();
    for n in 0..3 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    world.sink.mood(Mood::Away);
    for n in 3..30 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(5)).await;
    let Dropped { records, bytes } = handle.delete().await;
    assert_eq!(records, 27);
    let wanted: usize = (3..30).map(|n| record(n).len() + 6).sum();
    assert_eq!(bytes, wanted as u64, "it had caught up");
    assert_eq!(handle.metrics().dropped_records.load(Ordering::SeqCst), 27);
    assert_eq!(handle.flush().await, Err(Stopped));
    assert_eq!(handle.delete().await, Dropped::default());
    world.assert_delivered(3);
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_uploads_end_and_leaves_the_rest_to_the_next_worker() {
    let world = World::new(1);
    let handle = world.start();
    for n in 0..30 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(Duration::from_millis(5)).await;
    handle.stop(seconds(10)).await;
    let delivered = world.objects().len();
    assert!(delivered > 0, "uploads in flight end");
    assert!(world.engine.start_of(DATA) > 0, "and are written down");
    pass(seconds(100)).await;
    assert_eq!(world.objects().len(), delivered, "nothing happens any more");
    // A stop does not wait for a store that is away.
    world.sink.mood(Mood::Away);
    let handle = world.start();
    pass(seconds(30)).await;
    let before = world.clock.now_ms();
    handle.stop(seconds(10)).await;
    assert!(world.clock.now_ms() - before < 1_000);
    world.sink.mood(Mood::Well);
    world.start().flush().await.unwrap();
    world.assert_delivered(30);
}

#[tokio::test(start_paused = true)]
async fn the_backlog_has_a_quota() {
    let world = World::new(1);
    world.sink.mood(Mood::Away);
    let handle = world.start();
    pass(seconds(1)).await;
    assert!(handle.reserve(10_001).is_none());
    let all = handle.reserve(10_000).unwrap();
    assert!(handle.reserve(1).is_none(), "what is reserved is taken, before it is appended");
    all.refused();
    assert_eq!(handle.backlog_bytes(), 0);
    let reservation = handle.reserve(6_000).unwrap();
    world.engine.produce(&[b'x'; 5_994]);
    // The worker sees the record before its producer says so.
    pass(seconds(1)).await;
    reservation.stored();
    assert!(handle.reserve(4_000).is_none(), "counted twice for a moment");
    pass(seconds(1)).await;
    handle.reserve(4_000).unwrap().refused();
    assert!(handle.reserve(4_001).is_none());
    pass(seconds(100)).await;
    assert_eq!(handle.backlog_bytes(), 6_000, "neither forgotten nor counted twice");
    drop(handle);
    let handle = world.start();
    pass(seconds(1)).await;
    assert_eq!(handle.backlog_bytes(), 6_000, "nor by the next worker");
    world.sink.mood(Mood::Well);
    handle.flush().await.unwrap();
    assert_eq!(handle.backlog_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_append_of_unknown_outcome_counts_until_the_engine_says_what_is_true() {
    let world = World::new(1);
    world.sink.mood(Mood::Away);
    let handle = world.start();
    pass(seconds(1)).await;
    // One that was stored, although its client went away, and one that was not.
    drop(handle.reserve(2_000));
    world.engine.produce(&[b'x'; 1_994]);
    drop(handle.reserve(8_000));
    assert_eq!(handle.backlog_bytes(), 10_000);
    assert!(handle.reserve(1).is_none());
    pass(seconds(1)).await;
    assert_eq!(handle.backlog_bytes(), 2_000);
    // Without any growth of the log too.
    drop(handle.reserve(8_000));
    assert_eq!(handle.backlog_bytes(), 10_000);
    pass(seconds(1)).await;
    assert_eq!(handle.backlog_bytes(), 2_000);
    handle.reserve(8_000).unwrap().stored();
}

#[tokio::test(start_paused = true)]
async fn what_a_failing_cut_retains_behind_it_counts_against_the_quota() {
    let world = World::new(1);
    let handle = world.start();
    world.sink.refuse_first_key();
    for n in 0..9 {
        let reservation = handle.reserve(1_100).unwrap_or_else(|| panic!("record {n}"));
        world.engine.produce(&[b'x'; 1_094]);
        reservation.stored();
        pass(seconds(100)).await;
    }
    assert_eq!(handle.metrics().records.load(Ordering::SeqCst), 8, "all but the first are delivered");
    assert_eq!(handle.backlog_bytes(), 9_900, "but not freed");
    assert!(handle.reserve(1_100).is_none());
}

#[tokio::test(start_paused = true)]
async fn moving_the_clock_forward_makes_buffers_due_and_moving_it_back_does_not_hold_them_up() {
    let world = World::new(1);
    let handle = world.start();
    world.engine.produce(record(0).as_bytes());
    pass(seconds(1)).await;
    world.clock.jump(120_000);
    handle.nudge();
    pass(seconds(1)).await;
    assert_eq!(world.objects().len(), 1);
    world.engine.produce(record(1).as_bytes());
    pass(seconds(1)).await;
    world.clock.jump(-3_600_000);
    handle.nudge();
    pass(seconds(60)).await;
    world.assert_delivered(2);
}

#[tokio::test(start_paused = true)]
async fn uploads_are_parallel_up_to_the_limit_and_memory_bounds_them() {
    for (parallel, memory, wanted) in [(4, 144 << 20, 4), (2, 144 << 20, 2), (4, 1, 1)] {
        let mut world = World::new(1);
        world.tuning.parallel_uploads = parallel;
        world.tuning.memory_bytes = memory;
        for n in 0..100 {
            world.engine.produce(record(n).as_bytes());
        }
        world.start().flush().await.unwrap();
        world.assert_delivered(100);
        assert_eq!(world.sink.most_in_flight.load(Ordering::SeqCst), wanted, "{parallel} uploads, {memory} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_keep_the_control_log_short_and_a_replay_the_same() {
    let mut world = World::new(1);
    world.config = config(1, 0);
    world.tuning.snapshot_every = 10;
    let handle = world.start();
    for n in 0..200 {
        world.engine.produce(format!("{n:04}").as_bytes());
        pass(seconds(1)).await;
    }
    assert!(world.engine.control().len() <= 12, "{:?}", world.engine.control());
    assert!(world.engine.start_of(CONTROL) > 300);
    drop(handle);
    let handle = world.start();
    world.engine.produce(b"0200");
    handle.flush().await.unwrap();
    assert_eq!(world.objects().concat(), (0..201).map(|n| format!("{n:04}")).collect::<String>());
    let last = world.engine.control().into_iter().rfind(|record| record["type"] == "Cut").unwrap();
    assert_eq!(last["id"], 200, "ids go on");
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_asks_for_nothing() {
    let world = World::new(1);
    let _handle = world.start();
    pass(seconds(1)).await;
    world.fuse.set(0);
    pass(24 * HOUR).await;
    assert!(!world.fuse.is_dead(), "a call to the engine although nothing happened");
}

#[test]
fn an_idle_worker_is_small() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let bytes = runtime.block_on(async { World::new(1).worker_bytes() });
    assert!(bytes <= 6 * 1024, "{bytes} bytes for the task of a worker");
}

#[tokio::test(start_paused = true)]
async fn the_worker_ends_when_its_logs_are_deleted() {
    use levada_core::engine::Engine;
    let world = World::new(1);
    let handle = world.start();
    pass(seconds(1)).await;
    world.engine.delete(vec![DATA, CONTROL]).await.unwrap();
    pass(seconds(1)).await;
    assert!(handle.is_halted() && handle.reserve(1).is_none(), "nothing is accepted that nobody delivers");
    assert_eq!(handle.flush().await, Err(Stopped));
    handle.stop(seconds(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_away_does_not_hold_up_the_one_that_takes_its_place() {
    for mood in [Mood::Away, Mood::Silent] {
        let mut world = World::new(1);
        let lake = world.config.clone();
        world.config = Config::s3(Bucketing { bucket: SWAMP.into(), ..bucketing(&lake) });
        *world.sink.swamp.lock().unwrap() = mood;
        let handle = world.start();
        for n in 0..100 {
            world.engine.produce(record(n).as_bytes());
        }
        pass(seconds(70)).await;
        handle.reconfigure(lake, 2, None);
        for n in 100..120 {
            world.engine.produce(record(n).as_bytes());
        }
        pass(seconds(100)).await;
        let delivered = world.objects().concat();
        assert!((100..120).all(|n| delivered.contains(&record(n))), "{mood:?}");
        *world.sink.swamp.lock().unwrap() = Mood::Well;
        handle.flush().await.unwrap();
        world.assert_delivered(120);
    }
}
