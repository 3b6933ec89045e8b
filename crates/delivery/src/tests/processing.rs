//! Processing, sorting and backup in a world that fails.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use levada_core::env::Clock;

use super::actors::{TestChain, backed_up, is_dropped, is_poison, lake, number, processed};
use super::world::{BLOCK, CONTROL, DATA, Doubt, Mood, World, content, record};
use super::{HOUR, pass, seconds};
use crate::record::ErrorType;
use crate::{Block, Bucketing, Buffering, Compression, Config, Delimiter, Object};

/// Where a record is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Delivered,
    Errors,
    Backup,
}

/// All that was ever put, each key once. Fails if a key was put again with other content.
pub(super) fn objects(world: &World) -> Vec<Object> {
    let puts = world.sink.puts.lock().unwrap();
    let same = |puts: &Vec<Object>| puts.iter().all(|put| *put == puts[0]);
    puts.values()
        .inspect(|puts| assert!(same(puts), "{} was rewritten", puts[0].key))
        .map(|puts| puts[0].clone())
        .collect()
}

/// How often each record is in each place. Checks that it is in an object of its partition.
pub(super) fn found(world: &World, partitions: u64) -> BTreeMap<(Place, u64), u64> {
    let mut found = BTreeMap::new();
    for object in objects(world) {
        for line in content(&object).split_terminator('\n') {
            let n = number(line.as_bytes());
            let place = if object.bucket == "backup" {
                Place::Backup
            } else if object.key.starts_with("err/processing-failed/") {
                assert!(is_poison(n), "{n} in {}", object.key);
                Place::Errors
            } else {
                let prefix = format!("p={}/", if partitions > 0 { n % partitions } else { 0 });
                assert!(partitions == 0 || object.key.starts_with(&prefix), "{n} in {}", object.key);
                Place::Delivered
            };
            *found.entry((place, n)).or_default() += 1;
        }
    }
    found
}

/// Fails unless each record is where it belongs, once.
pub(super) fn assert_processed(world: &World, count: u64, partitions: u64, backup: bool) {
    let mut wanted = BTreeMap::new();
    for n in 0..count {
        if is_poison(n) {
            wanted.insert((Place::Errors, n), 1);
        } else if !is_dropped(n) {
            wanted.insert((Place::Delivered, n), 1);
        }
        if backup {
            wanted.insert((Place::Backup, n), 1);
        }
    }
    assert_eq!(found(world, partitions), wanted);
}

/// Fails if a log still holds more than its last mark.
pub(super) fn assert_freed(world: &World) {
    for (log, tail) in world.engine.sizes() {
        if log == DATA {
            assert_eq!(tail.start, tail.end, "the data log");
        } else if log >= BLOCK.first {
            assert!(tail.end - tail.start <= 1, "{log:?}: {tail:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn records_go_through_the_chain_into_their_partitions_and_poison_into_error_output() {
    for partitions in [0, 1, 3] {
        let mut world = World::new(1);
        let chain = TestChain::new(partitions);
        world.config = processed(chain.clone());
        let handle = world.start();
        for n in 0..60 {
            world.engine.produce(record(n).as_bytes());
        }
        pass(seconds(100)).await;
        assert_processed(&world, 60, partitions, false);
        let metrics = handle.metrics();
        assert_eq!(metrics.records.load(Ordering::SeqCst), 54);
        assert_eq!(metrics.errors.records.load(Ordering::SeqCst), 3);
        assert_eq!(metrics.chain.queries.load(Ordering::SeqCst), 60);
        assert_eq!(metrics.partitions.load(Ordering::SeqCst), 0, "all of them are delivered");
        assert_eq!(metrics.data_freshness_ms(u64::MAX), 0);
        handle.flush().await.unwrap();
        assert_freed(&world);
        assert_eq!(handle.backlog_bytes(), 0, "marks do not count");
    }
}

#[tokio::test(start_paused = true)]
async fn error_output_is_lines_that_are_not_compressed_and_nothing_delimits_a_backup() {
    let mut world = World::new(1);
    let mut bucket = Bucketing { compression: Compression::Gzip, ..lake(true) };
    bucket.delimiter = Delimiter::Between("|".into());
    world.config = Config { chain: Some(TestChain::new(1)), ..Config::s3(bucket.clone()) };
    world.config.backup = Some(Bucketing { bucket: "backup".into(), layout: lake(false).layout, ..bucket });
    let handle = world.start();
    for n in [1, 7, 2, 27, 3] {
        world.engine.produce(format!("{n:08};").as_bytes());
    }
    handle.flush().await.unwrap();
    let mut seen = BTreeMap::new();
    for object in objects(&world) {
        let text = content(&object);
        let kind = object.key.split('/').next().unwrap().to_owned();
        let gzip = object.content_encoding.is_some();
        assert_eq!(gzip, object.key.ends_with(".gz"));
        seen.insert(kind, (gzip, text));
    }
    let lines = "00000007 failed in run 0\n00000027 failed in run 0\n".to_owned();
    assert_eq!(seen["err"], (false, lines));
    assert_eq!(seen["plain"], (true, "00000001;00000007;00000002;00000027;00000003;".to_owned()));
    let records = "00000001 of run 0:;|00000002 of run 0:;|00000003 of run 0:;".to_owned();
    assert_eq!(seen["p=0"], (true, records));
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_its_bytes_or_its_time_and_a_flush_for_neither() {
    let mut world = World::new(1);
    let chain = TestChain::new(0);
    world.config = processed(chain.clone());
    let handle = world.start();
    world.engine.produce(b"00000000 small\n");
    pass(Duration::from_millis(1900)).await;
    assert_eq!(chain.runs.load(Ordering::SeqCst), 0);
    pass(Duration::from_millis(200)).await;
    assert_eq!(chain.runs.load(Ordering::SeqCst), 1, "two seconds");
    for n in 1..5 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(Duration::from_millis(500)).await;
    assert_eq!(chain.runs.load(Ordering::SeqCst), 2, "300,000 bytes, and what is left waits");
    handle.flush().await.unwrap();
    assert_eq!(handle.metrics().records.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_held_up_is_run_again_and_nothing_is_given_up() {
    let mut world = World::new(1);
    let chain = TestChain::new(2);
    chain.held.store(10, Ordering::SeqCst);
    world.config = processed(chain.clone());
    let handle = world.start();
    for n in 0..30 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(30)).await;
    let runs = chain.runs.load(Ordering::SeqCst);
    assert!((3..=6).contains(&runs), "1 s, 2 s, 4 s, 8 s …, but {runs}");
    pass(HOUR).await;
    assert_processed(&world, 30, 2, false);
    assert_eq!(handle.metrics().chain_held_up.load(Ordering::SeqCst), 10);
}

#[tokio::test(start_paused = true)]
async fn records_that_wait_for_logs_to_process_them_in_grow_old() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(2));
    world.block = None;
    let handle = world.start();
    pass(seconds(10)).await;
    for n in 0..30 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(HOUR).await;
    let age = handle.metrics().data_freshness_ms(world.clock.now_ms());
    assert!((3_599_000..=3_600_000).contains(&age), "{age}");
    handle.reconfigure(world.config.clone(), 2, Some(BLOCK));
    handle.flush().await.unwrap();
    assert_eq!(handle.metrics().data_freshness_ms(world.clock.now_ms()), 0);
    assert_processed(&world, 30, 2, false);
}

/// The function of a long run is not invoked again because somebody says the same once more.
#[tokio::test(start_paused = true)]
async fn the_same_configuration_once_more_changes_nothing() {
    let mut world = World::new(1);
    let chain = TestChain::new(2);
    world.config = processed(chain.clone());
    let handle = world.start();
    for n in 0..2 {
        world.engine.produce(format!("{n:08} small\n").as_bytes());
    }
    pass(Duration::from_millis(2010)).await;
    for _ in 0..10 {
        handle.reconfigure(world.config.clone(), 1, Some(BLOCK));
        pass(Duration::from_millis(15)).await;
    }
    assert_eq!(chain.runs.load(Ordering::SeqCst), 1);
    handle.flush().await.unwrap();
    assert_eq!(chain.runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn partitions_beyond_the_limit_become_error_output_until_others_are_delivered() {
    let mut world = World::new(1);
    let chain = TestChain::new(100_000);
    world.config = processed(chain.clone());
    world.tuning.parallel_uploads = 16;
    let handle = world.start();
    let count = 640;
    for n in (0..count).filter(|n| !is_poison(*n) && !is_dropped(*n)) {
        world.engine.produce(format!("{n:08} small\n").as_bytes());
    }
    pass(seconds(10)).await;
    let metrics = handle.metrics();
    assert_eq!(metrics.partitions.load(Ordering::SeqCst), 500);
    assert_eq!(metrics.partition_overflow_records.load(Ordering::SeqCst), 76);
    assert_eq!(metrics.partitions_exceeded.load(Ordering::SeqCst), 1);
    handle.flush().await.unwrap();
    assert_eq!(metrics.partitions.load(Ordering::SeqCst), 0);
    assert_eq!(metrics.partitions_exceeded.load(Ordering::SeqCst), 0, "they are free");
    let objects = objects(&world);
    assert_eq!(objects.len(), 501);
    let errors = content(objects.iter().find(|object| object.key.starts_with("err/processing-failed/")).unwrap());
    assert_eq!(errors.lines().count(), 76);
    assert!(
        errors.lines().all(|line| line.contains("\"errorCode\":\"DynamicPartitioning.ActivePartitionsLimitExceeded\""))
    );
    // They are free again.
    for n in 1000..1100 {
        world.engine.produce(format!("{n:08} small\n").as_bytes());
    }
    handle.flush().await.unwrap();
    assert_eq!(metrics.partition_overflow_records.load(Ordering::SeqCst), 76);
    assert_freed(&world);
}

/// Whether its line fits an append or not: none of it is lost.
#[tokio::test(start_paused = true)]
async fn large_records_beyond_the_limit_of_partitions_are_error_output_too() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(100_000));
    let handle = world.start();
    for n in (0..600).filter(|n| !is_poison(*n) && !is_dropped(*n)).take(500) {
        world.engine.produce(format!("{n:08} small\n").as_bytes());
    }
    pass(seconds(10)).await;
    let metrics = handle.metrics();
    assert_eq!(metrics.partitions.load(Ordering::SeqCst), 500);
    let large = [(1000, 5), (1001, 9)].map(|(n, mib)| format!("{n:08} {}", "x".repeat(mib << 20)));
    large.iter().for_each(|record| world.engine.produce(record.as_bytes()));
    pass(seconds(10)).await;
    assert_eq!(metrics.partition_overflow_records.load(Ordering::SeqCst), 2);
    assert_eq!(metrics.lost_records.load(Ordering::SeqCst), 0);
    handle.flush().await.unwrap();
    let objects = objects(&world);
    let errors: Vec<_> = objects.iter().filter(|object| object.key.starts_with("err/processing-failed/")).collect();
    let errors: String = errors.into_iter().map(content).collect();
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines.len(), 2);
    let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(line["errorCode"], "DynamicPartitioning.ActivePartitionsLimitExceeded");
    let raw = base64_simd::STANDARD.decode_to_vec(line["rawData"].as_str().unwrap()).unwrap();
    for (content, record) in [(&raw[..], &large[0]), (lines[1].as_bytes(), &large[1])] {
        assert!(content.starts_with(&record.as_bytes()[..8]), "the record");
        assert!(content.ends_with(&record.as_bytes()[8..]), "all of it");
    }
    assert_freed(&world);
}

/// Partitions 0 and 1 have the only two slots and are cut, but not delivered yet; then others come, and at last these
/// two again. A crash at `step` of that; answers whether the run came so far.
async fn crash_at_in_a_crowd(step: u64) -> bool {
    const NUMBERS: [u64; 22] = [0, 1, 2, 3, 4, 8, 9, 12, 14, 17, 18, 19, 22, 23, 24, 28, 29, 32, 31, 34, 30, 38];
    let mut world = World::new(step);
    world.block = Some(Block { count: 5 + ErrorType::ALL.len() as u32, ..BLOCK });
    let buffering = Buffering { size_mib: 128, interval_s: 60 };
    let config = Config::s3(Bucketing { buffering, ..lake(true) });
    world.config = Config { chain: Some(TestChain::new(5)), ..config };
    world.sink.mood(Mood::Away);
    let handle = world.start();
    let (crowd, first) = (&NUMBERS[2..], &NUMBERS[..2]);
    for n in first {
        world.engine.produce(record(*n).as_bytes());
    }
    pass(seconds(65)).await;
    world.fuse.set(step);
    for n in crowd {
        world.engine.produce(record(*n).as_bytes());
    }
    pass(seconds(10)).await;
    let crashed = world.fuse.is_dead();
    drop(handle);
    world.fuse.disarm();
    world.sink.mood(Mood::Well);
    world.engine.sorting_ms.store(200, Ordering::SeqCst);
    let handle = world.start();
    handle.flush().await.unwrap();
    let mut found = Vec::new();
    for object in objects(&world) {
        for line in content(&object).split_terminator('\n') {
            let overflow = serde_json::from_str::<serde_json::Value>(line).ok();
            let raw = overflow.map(|line| line["rawData"].as_str().map(|raw| raw.as_bytes().to_vec()).unwrap());
            let raw = raw.map(|raw| base64_simd::STANDARD.decode_to_vec(raw).unwrap());
            found.push(number(raw.as_deref().unwrap_or(line.as_bytes())));
        }
    }
    found.sort_unstable();
    let mut wanted = NUMBERS.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "a crash at {step}");
    crashed
}

#[tokio::test(start_paused = true)]
async fn what_was_too_much_before_a_crash_is_too_much_after_it() {
    let mut step = 0;
    while crash_at_in_a_crowd(step).await {
        step += 1;
    }
    assert!(step > 30, "only {step} steps");
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_store_never_takes_hold_up_no_other_partition() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(3));
    world.tuning.parallel_uploads = 2;
    *world.sink.refused_prefix.lock().unwrap() = Some("p=0/");
    let handle = world.start();
    for n in 20..86 {
        world.engine.produce(format!("{n:08} small\n").as_bytes());
        pass(seconds(20)).await;
    }
    pass(seconds(120)).await;
    let found = found(&world, 3);
    for n in (20..86).filter(|n| !is_dropped(*n) && !is_poison(*n)) {
        assert_eq!(found.contains_key(&(Place::Delivered, n)), n % 3 != 0, "record {n}");
    }
    *world.sink.refused_prefix.lock().unwrap() = None;
    handle.flush().await.unwrap();
    assert_freed(&world);
}

/// What stands before and after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    Partitioned,
    /// What was cut is delivered again before the sorter has come so far again.
    SortedSlowly,
    BackedUp,
    /// First plain, then with a chain.
    JustUpdated,
}

impl Scenario {
    fn partitions(self) -> u64 {
        if matches!(self, Self::Partitioned | Self::SortedSlowly) { 3 } else { 0 }
    }

    fn config(self) -> Config {
        let config = processed(TestChain::new(self.partitions()));
        if self == Self::BackedUp { backed_up(config) } else { config }
    }

    /// A run with a crash at `step`; answers whether the run came so far.
    async fn crash_at(self, step: u64) -> bool {
        let mut world = World::new(step);
        world.tuning.snapshot_every = 5;
        world.tuning.parallel_uploads = 2;
        world.config = if self == Self::JustUpdated { Config::s3(lake(false)) } else { self.config() };
        world.fuse.set(step);
        let handle = world.start();
        for n in 0..25 {
            world.engine.produce(record(n).as_bytes());
            if n == 12 && self == Self::JustUpdated {
                pass(Duration::from_millis(75)).await;
                world.config = self.config();
                handle.reconfigure(world.config.clone(), 2, Some(BLOCK));
            }
        }
        pass(seconds(70)).await;
        let crashed = world.fuse.is_dead();
        drop(handle);
        world.fuse.disarm();
        if self == Self::SortedSlowly {
            world.engine.sorting_ms.store(200, Ordering::SeqCst);
        }
        let handle = world.start();
        for n in 25..40 {
            world.engine.produce(record(n).as_bytes());
        }
        handle.flush().await.unwrap();
        if self == Self::JustUpdated {
            assert_once(&world, 40);
        } else {
            assert_processed(&world, 40, self.partitions(), self == Self::BackedUp);
        }
        handle.flush().await.unwrap();
        assert_freed(&world);
        crashed
    }
}

/// Each record once, whether it was processed or not; dropped ones at most once.
fn assert_once(world: &World, count: u64) {
    let mut times = BTreeMap::<u64, u64>::new();
    for object in objects(world) {
        for line in content(&object).split_terminator('\n') {
            *times.entry(number(line.as_bytes())).or_default() += 1;
        }
    }
    for n in 0..count {
        let found = times.remove(&n).unwrap_or_default();
        assert!(found == 1 || found == 0 && is_dropped(n), "record {n}: {found} times");
    }
    assert!(times.is_empty(), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_of_processing_loses_nothing_and_writes_nothing_twice() {
    for scenario in [Scenario::Partitioned, Scenario::SortedSlowly, Scenario::BackedUp, Scenario::JustUpdated] {
        let mut step = 0;
        while scenario.crash_at(step).await {
            step += 1;
        }
        assert!(step > 60, "{scenario:?}: only {step} steps");
    }
}

/// Crashes, unknown outcomes, a store that fails or lies, a chain that is held up, and updates, from a seed.
async fn torment(seed: u64) {
    let mut world = World::new(seed);
    let dice = world.random.fork();
    world.tuning.snapshot_every = 1 + dice.below(8);
    world.tuning.parallel_uploads = 1 + dice.below(4) as usize;
    world.tuning.memory_bytes = 1024 * (1 + dice.below(4096));
    world.tuning.processing_bytes = 1024 * (1 + dice.below(1024));
    let partitions = dice.below(5);
    let plain_too = dice.percent(30);
    let mut produced = 0;
    let config = |n: u64| match n {
        0 if plain_too => Config::s3(lake(false)),
        _ => processed(TestChain::new(partitions)),
    };
    let mut version = 1;
    for _ in 0..12 {
        world.config = config(dice.below(3));
        world.fuse.set(dice.below(120));
        let moods = [Mood::Well, Mood::Well, Mood::Away, Mood::StoresAndFails, Mood::Silent];
        world.sink.mood(moods[dice.below(5) as usize]);
        for _ in 0..dice.below(3) {
            let doubt = if dice.percent(50) { Doubt::AppendedButUnknown } else { Doubt::LostAndUnknown };
            world.engine.doubts.lock().unwrap().push(doubt);
        }
        let handle = world.start();
        for _ in 0..dice.below(20) {
            world.engine.produce(record(produced).as_bytes());
            produced += 1;
            pass(Duration::from_millis(dice.below(3_000))).await;
            if dice.percent(10) {
                version += 1;
                handle.reconfigure(config(dice.below(3)), version, Some(BLOCK));
            }
        }
        pass(seconds(dice.below(100))).await;
        if dice.percent(20) {
            handle.stop(seconds(5)).await;
        }
        drop(handle);
    }
    world.fuse.disarm();
    world.sink.mood(Mood::Well);
    world.engine.doubts.lock().unwrap().clear();
    let handle = world.start();
    handle.flush().await.unwrap();
    if plain_too {
        assert_once(&world, produced);
    } else {
        assert_processed(&world, produced, partitions, false);
    }
    handle.flush().await.unwrap();
    assert_freed(&world);
}

#[tokio::test(start_paused = true)]
async fn torments_of_processing_lose_nothing_and_write_nothing_twice() {
    for seed in 0..60 {
        torment(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_away_for_23_hours_costs_nothing_and_25_hours_are_counted() {
    for (hours, lost) in [(23, false), (26, true)] {
        let mut world = World::new(1);
        world.config = processed(TestChain::new(3));
        let handle = world.start();
        world.sink.mood(Mood::Away);
        for n in 0..hours {
            world.engine.produce(record(n).as_bytes());
            pass(HOUR).await;
        }
        world.sink.mood(Mood::Well);
        handle.flush().await.unwrap();
        let abandoned = handle.metrics().abandoned_records.load(Ordering::SeqCst);
        assert_eq!(abandoned > 0, lost, "{hours} hours: {abandoned}");
        let products = (0..hours).filter(|n| !is_dropped(*n)).count() as u64;
        assert_eq!(found(&world, 3).values().sum::<u64>(), products - abandoned);
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_begins_where_the_records_stand_and_ends_at_once() {
    let world = World::new(1);
    let handle = world.start();
    for n in 0..10 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    handle.reconfigure(backed_up(Config::s3(lake(false))), 2, None);
    for n in 10..20 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    handle.reconfigure(Config::s3(lake(false)), 3, None);
    for n in 20..30 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    let found = found(&world, 0);
    assert!((0..30).all(|n| found.get(&(Place::Delivered, n)) == Some(&1)));
    let backed_up: Vec<u64> = (0..30).filter(|n| found.contains_key(&(Place::Backup, *n))).collect();
    assert_eq!(backed_up, (10..20).collect::<Vec<_>>());
    assert_freed(&world);
}

#[tokio::test(start_paused = true)]
async fn a_backup_bucket_that_is_away_holds_nothing_up_but_the_data_log() {
    let mut world = World::new(1);
    world.config = backed_up(Config::s3(lake(false)));
    world.config.backup.as_mut().unwrap().bucket = "swamp".into();
    *world.sink.swamp.lock().unwrap() = Mood::Away;
    let handle = world.start();
    for n in 0..30 {
        world.engine.produce(record(n).as_bytes());
    }
    pass(seconds(100)).await;
    assert_eq!(handle.metrics().records.load(Ordering::SeqCst), 30);
    assert_eq!(world.engine.start_of(DATA), 0, "what is not backed up is kept");
    assert!(handle.metrics().backup_freshness_ms(u64::MAX) > 0);
    let metrics = handle.metrics();
    assert_eq!(metrics.puts_failed.load(Ordering::SeqCst), 0, "the destination took everything");
    assert!(metrics.backup.failed.load(Ordering::SeqCst) > 0);
    assert_eq!(metrics.failed_puts(), metrics.backup.failed.load(Ordering::SeqCst));
    *world.sink.swamp.lock().unwrap() = Mood::Well;
    handle.flush().await.unwrap();
    assert_eq!(handle.metrics().backup.records.load(Ordering::SeqCst), 30);
    assert_freed(&world);
}

#[tokio::test(start_paused = true)]
async fn an_idle_delivery_stream_with_a_chain_asks_for_nothing() {
    let mut world = World::new(1);
    world.config = backed_up(processed(TestChain::new(3)));
    let handle = world.start();
    for n in 0..30 {
        world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    pass(seconds(100)).await;
    world.fuse.set(0);
    pass(24 * HOUR).await;
    assert!(!world.fuse.is_dead(), "a call to the engine although nothing happened");
}

#[tokio::test(start_paused = true)]
async fn deleting_counts_what_is_in_any_log() {
    // In the data log, in the processed log and the lanes, in open cuts.
    for wait in [0, 1, 30, 100] {
        let mut world = World::new(1);
        world.config = processed(TestChain::new(3));
        world.sink.mood(Mood::Away);
        let handle = world.start();
        for n in 20..26 {
            world.engine.produce(record(n).as_bytes());
        }
        pass(Duration::from_millis(wait * 100)).await;
        assert_eq!(handle.delete().await.records, 6, "after {wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_control_log_stays_short_with_many_partitions() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(400));
    let handle = world.start();
    let mut longest = 0;
    for n in 0..4_000 {
        world.engine.produce(format!("{n:08} small\n").as_bytes());
        if n % 400 == 399 {
            handle.flush().await.unwrap();
            longest = longest.max(world.engine.sizes()[&CONTROL].bytes);
        }
    }
    assert!(longest < 2_000_000, "{longest} bytes");
    let records = world.engine.control();
    assert!(records.len() < 3_000, "{} of 16,000 records", records.len());
    assert_processed(&world, 4_000, 400, false);
}

#[tokio::test(start_paused = true)]
async fn a_zombie_neither_sorts_nor_processes_beside_its_heir() {
    for delay in 0..40 {
        let mut world = World::new(delay);
        world.config = processed(TestChain::new(3));
        let zombie = world.start();
        for n in 0..20 {
            world.engine.produce(record(n).as_bytes());
        }
        pass(Duration::from_millis(delay * 10)).await;
        let heir = world.start();
        for n in 20..40 {
            world.engine.produce(record(n).as_bytes());
            pass(Duration::from_millis(20)).await;
        }
        pass(seconds(100)).await;
        assert!(!heir.is_halted());
        heir.flush().await.unwrap();
        assert_processed(&world, 40, 3, false);
        drop(zombie);
    }
}

#[tokio::test(start_paused = true)]
async fn moving_the_clock_makes_batches_and_lanes_due_or_does_not_hold_them_up() {
    let mut world = World::new(1);
    world.config = processed(TestChain::new(3));
    let handle = world.start();
    world.engine.produce(record(0).as_bytes());
    pass(Duration::from_millis(100)).await;
    world.clock.jump(2_000);
    handle.nudge();
    pass(Duration::from_millis(500)).await;
    world.clock.jump(60_000);
    handle.nudge();
    pass(seconds(1)).await;
    assert_eq!(handle.metrics().records.load(Ordering::SeqCst), 1);
    world.clock.jump(-3_600_000);
    world.engine.produce(record(1).as_bytes());
    handle.nudge();
    pass(seconds(64)).await;
    assert_eq!(handle.metrics().records.load(Ordering::SeqCst), 2);
}
