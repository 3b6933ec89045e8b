//! Endpoints in a world that fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::actors::{Manner, TestChain, TestEndpoint, backed_up, is_dropped, is_poison, number, requested};
use super::world::{DATA, Mood, World, content, record};
use super::{HOUR, pass, seconds};
use crate::Config;

/// Numbers in the error output, with the object they are in. The same object may have been written again.
fn errors(world: &World) -> BTreeMap<u64, Vec<String>> {
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (key, puts) in world.sink.puts.lock().unwrap().iter() {
        let object = puts.last().unwrap();
        if object.bucket == "lake" && key.starts_with("err/http-endpoint-failed/") {
            for line in content(object).split_terminator('\n') {
                found.entry(number(line.as_bytes())).or_default().push(key.clone());
            }
        }
    }
    found
}

fn world(retry: Duration) -> (World, Arc<TestEndpoint>) {
    let mut world = World::new(1);
    let endpoint = TestEndpoint::new(&world, retry);
    world.config = requested(endpoint.clone());
    (world, endpoint)
}

#[tokio::test(start_paused = true)]
async fn each_cut_is_one_parcel_and_leaves_nothing_behind() {
    let (world, endpoint) = world(seconds(300));
    let handle = world.start();
    for n in 0..30 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    assert_eq!(endpoint.numbers(), (0..30).collect::<Vec<_>>());
    let taken = endpoint.taken.lock().unwrap();
    let parcels: std::collections::BTreeSet<_> = taken.iter().map(|(_, parcel)| parcel).collect();
    let cuts = world.engine.control().iter().filter(|record| record["type"] == "Cut").count();
    assert_eq!(parcels.len(), cuts);
    assert_eq!(taken.len(), 30);
    assert_eq!(endpoint.ids.lock().unwrap().len(), 30);
    assert!(endpoint.ids.lock().unwrap().keys().all(|id| id.len() == 58 && id.starts_with("49")));
    let metrics = handle.metrics();
    assert_eq!(metrics.endpoint.records.load(Ordering::SeqCst), 30);
    assert_eq!(metrics.endpoint.succeeded.load(Ordering::SeqCst), cuts as u64);
    assert_eq!(world.engine.start_of(DATA), 30);
    assert!(world.sink.puts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_or_late_becomes_error_output_and_the_rest_is_delivered() {
    let (world, endpoint) = world(seconds(300));
    endpoint.manner(Manner::Picky);
    let handle = world.start();
    for n in 0..10 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    assert_eq!(errors(&world).into_keys().collect::<Vec<_>>(), [7], "each third comes again, until all are taken");
    assert_eq!(endpoint.numbers(), (0..10).filter(|n| *n != 7).collect::<Vec<_>>());
    assert_eq!(handle.metrics().endpoint_failed_records.load(Ordering::SeqCst), 1);
    assert_eq!(handle.metrics().errors.records.load(Ordering::SeqCst), 1);
    assert_eq!(handle.metrics().backup.records.load(Ordering::SeqCst), 0, "no source records are backed up");
    assert_eq!(handle.metrics().endpoint.records.load(Ordering::SeqCst), 9);
    assert_eq!(handle.metrics().endpoint.bytes.load(Ordering::SeqCst), 9);
}

#[tokio::test(start_paused = true)]
async fn attempts_go_on_for_as_long_as_the_configuration_says() {
    for (retry, attempts) in [(0, 1..=1), (10, 4..=6), (300, 9..=11), (7200, 63..=75)] {
        let (world, endpoint) = world(seconds(retry));
        endpoint.manner(Manner::Busy);
        let handle = world.start();
        world.engine.produce(record(0).as_bytes());
        pass(seconds(60 + retry)).await;
        assert!(endpoint.numbers().is_empty());
        pass(seconds(30)).await;
        assert_eq!(errors(&world).into_keys().collect::<Vec<_>>(), [0]);
        let moments = endpoint.attempts.lock().unwrap();
        assert!(attempts.contains(&moments.len()), "{} attempts in {retry} s", moments.len());
        assert_eq!(handle.metrics().endpoint.failed.load(Ordering::SeqCst), moments.len() as u64);
        assert_eq!(handle.metrics().endpoint.bytes.load(Ordering::SeqCst), 0, "what was sent in vain");
        assert_eq!(world.engine.start_of(DATA), 1);
    }
}

/// The retry duration of OpenSearch includes the attempts, that of others does not.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_answers_late_is_given_up_in_time() {
    for (is_search, attempts) in [(true, 4), (false, 8)] {
        let (world, endpoint) = world(seconds(100));
        endpoint.manner(Manner::Busy);
        *endpoint.takes.lock().unwrap() = seconds(30);
        endpoint.is_search.store(is_search, Ordering::SeqCst);
        let handle = world.start();
        world.engine.produce(record(0).as_bytes());
        handle.flush().await.unwrap();
        assert_eq!(errors(&world).into_keys().collect::<Vec<_>>(), [0]);
        assert_eq!(endpoint.attempts.lock().unwrap().len(), attempts, "{is_search}");
    }
}

/// CloudWatch's `Success` is of records with Splunk and OpenSearch, and of requests with HTTP endpoints.
#[tokio::test(start_paused = true)]
async fn success_is_counted_as_cloudwatch_does() {
    // Of 10 records one is refused, three have to come again, then one of these.
    for (is_search, succeeded, failed) in [(true, 9, 1 + 3 + 1), (false, 1, 2)] {
        let (world, endpoint) = world(seconds(300));
        endpoint.manner(Manner::Picky);
        endpoint.is_search.store(is_search, Ordering::SeqCst);
        let handle = world.start();
        for n in 0..10 {
            world.engine.produce(record(n).as_bytes());
        }
        handle.flush().await.unwrap();
        let metrics = handle.metrics();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::SeqCst);
        assert_eq!((count(&metrics.endpoint.succeeded), count(&metrics.endpoint.failed)), (succeeded, failed));
        assert_eq!((count(&metrics.endpoint.records), count(&metrics.attempted_records)), (9, 10 + 3 + 1));
        assert_eq!((count(&metrics.endpoint.bytes), count(&metrics.attempted_bytes)), (9, 10 + 3 + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn error_output_is_tried_for_a_day_and_then_counted() {
    for (hours, lost) in [(23, 0), (26, 1)] {
        let (world, endpoint) = world(seconds(0));
        endpoint.manner(Manner::Busy);
        world.sink.mood(Mood::Away);
        let handle = world.start();
        world.engine.produce(record(0).as_bytes());
        pass(hours * HOUR).await;
        assert_eq!(handle.metrics().abandoned_records.load(Ordering::SeqCst), lost);
        world.sink.mood(Mood::Well);
        handle.flush().await.unwrap();
        assert_eq!(errors(&world).len() as u64, 1 - lost);
        assert_eq!(endpoint.attempts.lock().unwrap().len(), 1, "the endpoint is not asked again");
    }
}

/// One record is poison, and the bucket for error output is away for more than a day: the others were taken.
#[tokio::test(start_paused = true)]
async fn what_the_endpoint_took_is_counted_though_the_error_output_is_given_up() {
    let (world, endpoint) = world(seconds(0));
    endpoint.manner(Manner::Picky);
    world.sink.mood(Mood::Away);
    let handle = world.start();
    for n in [7, 8] {
        world.engine.produce(record(n).as_bytes());
    }
    pass(26 * HOUR).await;
    let metrics = handle.metrics();
    assert_eq!(metrics.abandoned_records.load(Ordering::SeqCst), 1);
    assert_eq!(metrics.endpoint.records.load(Ordering::SeqCst), 1);
    assert_eq!(metrics.endpoint.bytes.load(Ordering::SeqCst), 1);
    assert_eq!(endpoint.numbers(), [8]);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_unreadable_between_two_attempts_is_counted() {
    let (world, endpoint) = world(seconds(7200));
    endpoint.manner(Manner::Busy);
    let handle = world.start();
    for n in 0..5 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(100)).await;
    world.engine.corrupt([1, 3]);
    pass(seconds(300)).await;
    endpoint.manner(Manner::TakesAll);
    handle.flush().await.unwrap();
    assert_eq!(endpoint.numbers(), [0, 2, 4]);
    assert_eq!(handle.metrics().endpoint.records.load(Ordering::SeqCst), 3);
    assert_eq!(handle.metrics().lost_records.load(Ordering::SeqCst), 2, "once, however many attempts there were");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_away_does_not_hold_up_the_backup() {
    let (mut world, endpoint) = world(seconds(7200));
    world.config = backed_up(world.config.clone());
    endpoint.manner(Manner::Busy);
    let handle = world.start();
    for n in 0..100 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(100)).await;
    assert_eq!(handle.metrics().backup.records.load(Ordering::SeqCst), 100);
    assert_eq!(world.engine.start_of(DATA), 0);
    endpoint.manner(Manner::TakesAll);
    handle.flush().await.unwrap();
    assert_eq!(endpoint.numbers().len(), 100);
    assert_eq!(world.engine.start_of(DATA), 100);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_an_endpoint_that_is_away() {
    let (world, endpoint) = world(seconds(7200));
    endpoint.manner(Manner::Busy);
    let handle = world.start();
    world.engine.produce(record(0).as_bytes());
    pass(seconds(120)).await;
    let before = tokio::time::Instant::now();
    handle.stop(seconds(10)).await;
    assert!(before.elapsed() < seconds(1));
    endpoint.manner(Manner::TakesAll);
    world.start().flush().await.unwrap();
    assert_eq!(endpoint.numbers(), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_goes_to_the_endpoint_of_the_newest_configuration() {
    let (world, wrong) = world(seconds(7200));
    wrong.manner(Manner::Busy);
    let handle = world.start();
    for n in 0..60 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(1000)).await;
    let right = TestEndpoint::new(&world, seconds(7200));
    handle.reconfigure(requested(right.clone()), 2, None);
    let asked = wrong.attempts.lock().unwrap().len();
    pass(seconds(10)).await;
    assert_eq!(right.numbers(), (0..60).collect::<Vec<_>>(), "at once");
    assert_eq!(wrong.attempts.lock().unwrap().len(), asked);
    assert!(errors(&world).is_empty());
    assert_eq!(world.engine.start_of(DATA), 60);
}

/// A run with a crash at `step`; answers whether the run came so far.
async fn crash_at(step: u64, manner: Manner, chain: bool) -> bool {
    let mut world = World::new(step);
    world.tuning.snapshot_every = 5;
    world.tuning.parallel_uploads = 2;
    let endpoint = TestEndpoint::new(&world, seconds(3));
    endpoint.manner(manner);
    world.config = requested(endpoint.clone());
    if chain {
        world.config = Config { chain: Some(TestChain::new(0)), ..world.config };
    }
    world.fuse.set(step);
    let handle = world.start();
    for n in 0..25 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(90)).await;
    let crashed = world.fuse.is_dead();
    drop(handle);
    world.fuse.disarm();
    let handle = world.start();
    handle.flush().await.unwrap();
    let errors = errors(&world);
    assert!(errors.values().all(|objects| objects.len() == 1), "in two objects: {errors:?}");
    let taken = endpoint.numbers();
    for n in 0..25 {
        let is_there = taken.contains(&n) || errors.contains_key(&n);
        assert!(is_there || chain && (is_dropped(n) || is_poison(n)), "{manner:?}: record {n} is lost");
    }
    assert_eq!(world.engine.start_of(DATA), 25);
    crashed
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_loses_no_record_of_an_endpoint() {
    for (manner, chain) in [
        (Manner::TakesAll, false),
        (Manner::Picky, false),
        (Manner::Busy, false),
        (Manner::Lies, false),
        (Manner::Picky, true),
    ] {
        let mut step = 0;
        while crash_at(step, manner, chain).await {
            step += 1;
        }
        assert!(step > 30, "{manner:?}: only {step} steps");
    }
}
