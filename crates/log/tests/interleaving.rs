//! What happens between the steps of a drain, on a disk that refuses, and when a thread ends: orders of events that
//! the random sequences of `power_loss` meet rarely or never.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common::{Stepped, dir, files_in, tiny};
use levada_core::batch::Batch;
use levada_core::engine::conformance::drive::{block_on, poll_once};
use levada_core::engine::{Append, Appended, BoxFuture, Engine, EngineError, Expect, LogId, LogSpec, ReadRequest};
use levada_core::env::sim::{DiskCall, Fault, SimClock, SimDisk, SimRandom};
use levada_core::env::{Clock, DirEntry, Disk, DiskFile, Open};
use levada_log::{EmbeddedLog, Options, check};

const NOW: u64 = 1_700_000_000_000;

fn world() -> (SimDisk, SimClock) {
    (SimDisk::new(), SimClock::at(NOW))
}

fn data(n: u64) -> Vec<u8> {
    format!("record {n} {}", "x".repeat(300)).into_bytes()
}

fn append(log: u64, data: &[u8]) -> Append {
    Append { log: LogId(log), expect: Expect::Tail, batch: Batch::single(b"k", data) }
}

fn fault(call: DiskCall, path: &str, kind: io::ErrorKind) -> Fault {
    Fault { call, path: path.to_owned(), after: 0, times: u64::MAX, kind }
}

/// Nothing is drained by itself below 64 KiB.
fn lazy() -> Options {
    Options { drain_bytes: 64 << 10, drain_bytes_many_logs: 64 << 10, memory_bytes: 256 << 10, ..tiny() }
}

fn died(engine: &Stepped) -> bool {
    let mut died: BoxFuture<'_, String> = Box::pin(engine.log.died());
    matches!(poll_once(&mut died), Poll::Ready(_))
}

/// What befalls log 1 while a drain goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Grows,
    GrowsAndSeals,
    GrowsAndGoes,
    SealsAndGoes,
    TrimmedAndGrows,
}

#[test]
fn a_start_understands_whatever_befell_a_log_during_a_drain() {
    use Event::{Grows, GrowsAndGoes, GrowsAndSeals, SealsAndGoes, TrimmedAndGrows};
    for event in [Grows, GrowsAndSeals, GrowsAndGoes, SealsAndGoes, TrimmedAndGrows] {
        for before in 0..9 {
            for after in 0..9 {
                one_interleaving(event, before, after);
            }
        }
    }
}

fn one_interleaving(event: Event, before: u64, after: u64) {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    engine.create(&[1, 2]);
    // The manifest knows log 1 up to record 10; records 10 to 20 are in the journal only.
    assert_eq!(engine.put(2, &data(0)), Appended::At { first: 0, arrival: NOW });
    let ten = |engine: &Stepped| drop(block_on(engine.append_many((0..10).map(|n| append(1, &data(n))).collect())));
    ten(&engine);
    let drain = |engine: &Stepped| engine.put(2, &[1; 66_000]);
    assert!(matches!(drain(&engine), Appended::At { .. }));
    engine.settle();
    assert_eq!((engine.log.stats().drains, engine.log.stats().undrained_bytes), (1, 0));
    ten(&engine);
    // This one makes the next drain due.
    let mut due = engine.log.append_many(vec![append(2, &[1; 66_000])]);
    for _ in 0..=before {
        engine.step();
    }
    let mut futures: Vec<BoxFuture<'_, ()>> = Vec::new();
    let log = || LogId(1);
    if event == Event::TrimmedAndGrows {
        block_on(engine.log.trim(log(), 15)).unwrap();
    }
    if event != Event::SealsAndGoes {
        let grow = engine.log.append_many((20..30).map(|n| append(1, &data(n))).collect());
        futures.push(Box::pin(async move { drop(grow.await) }));
    }
    if matches!(event, Event::GrowsAndSeals | Event::SealsAndGoes) {
        let seal = engine.log.seal(log());
        futures.push(Box::pin(async move { drop(seal.await) }));
    }
    if matches!(event, Event::GrowsAndGoes | Event::SealsAndGoes) {
        let delete = engine.log.delete(vec![log()]);
        futures.push(Box::pin(async move { delete.await.unwrap() }));
    }
    for _ in 0..=after {
        engine.step();
    }
    assert!(matches!(poll_once(&mut due), Poll::Ready(_)), "the first step commits");
    futures.iter_mut().for_each(|future| assert!(matches!(poll_once(future), Poll::Ready(()))));
    drop((futures, due));
    let disk = disk.kill();
    drop(engine);
    let what = format!("{event:?} after {before} steps, {after} steps before the end");
    assert_eq!(check(&dir(), &disk).unwrap().findings, [], "{what}");
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let tail = block_on(engine.tail(LogId(1)));
    match event {
        Event::Grows => assert_eq!(engine.all(1).0.len(), 30, "{what}"),
        Event::GrowsAndSeals => assert_eq!((engine.all(1).0.len(), tail.unwrap().sealed), (30, true), "{what}"),
        Event::GrowsAndGoes | Event::SealsAndGoes => assert_eq!(tail, Err(EngineError::Missing), "{what}"),
        Event::TrimmedAndGrows => {
            // Trims may be forgotten.
            let (start, end) = tail.map(|tail| (tail.start, tail.end)).unwrap();
            assert!(start <= 15 && end == 30, "{what}: {start} to {end}");
            assert_eq!(engine.all(1).1, None, "{what}");
        }
    }
    assert_eq!(engine.all(2).0.len(), 3, "{what}");
}

#[test]
fn a_refusal_that_may_pass_is_tried_again() {
    let kinds = [io::ErrorKind::OutOfMemory, io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    let rows = [
        (DiskCall::Open, "segments", 0),
        (DiskCall::Open, "journal", 0),
        (DiskCall::Open, "manifest.new", 0),
        (DiskCall::Write, "segments", 0),
        // An append to the manifest, or the first or second write of a new one.
        (DiskCall::Write, "manifest", 0),
        (DiskCall::Write, "manifest", 1),
        (DiskCall::Write, "manifest", 2),
        (DiskCall::Write, "manifest", 3),
    ];
    for (call, path, after) in rows {
        for kind in kinds {
            for reused in [false, true] {
                let (disk, clock) = world();
                let engine = Stepped::open(&disk, &clock, Options { manifest_bytes: 64, ..tiny() }).unwrap();
                engine.create(&[1]);
                let mut n = 0;
                let mut put = |engine: &Stepped| {
                    clock.advance(30);
                    match engine.put(1, &data(n)) {
                        Appended::At { first, .. } => {
                            assert_eq!(first, n);
                            n += 1;
                        }
                        Appended::Full => {}
                        other => panic!("{other:?}"),
                    }
                };
                let records = if reused { 150 } else { 1 };
                (0..records).for_each(|_| put(&engine));
                disk.fail(Fault { after, ..fault(call, path, kind) });
                (0..150).for_each(|_| put(&engine));
                let what = format!("{kind:?} of {call:?} of {path} after {after}");
                assert!(!died(&engine), "{what}");
                assert!(!files_in(&disk, "").contains(&dir().join("manifest.new")), "{what}");
                disk.clear_faults();
                let drains = engine.log.stats().drains;
                clock.advance(1_000);
                (0..150).for_each(|_| put(&engine));
                assert!(engine.log.stats().drains > drains + 3, "{what}");
                assert!(n >= 150 + records && !engine.log.stats().full, "{what}: {n}");
                let disk = disk.kill();
                drop(engine);
                assert_eq!(check(&dir(), &disk).unwrap().findings, []);
                let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
                let (records, error) = engine.all(1);
                assert_eq!((records.len() as u64, error), (n, None), "{what}");
            }
        }
    }
}

#[test]
fn on_a_full_disk_trimmed_and_deleted_records_free_their_segments() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, Options { segment_age_ms: 1, ..tiny() }).unwrap();
    engine.create(&[1, 2, 3]);
    for n in 0..150 {
        clock.advance(5);
        let own_segment = vec![n as u8; 3_000];
        assert!(matches!(engine.put(1 + n % 3, &own_segment), Appended::At { .. }));
    }
    disk.fail(fault(DiskCall::Write, "segments", io::ErrorKind::StorageFull));
    let mut n = 50;
    while n < 80 && matches!(engine.put(1, &data(n)), Appended::At { .. }) {
        n += 1;
    }
    assert!(engine.log.stats().full);
    let (segments, drains) = (files_in(&disk, "segments").len(), engine.log.stats().drains);
    block_on(engine.trim(LogId(1), 45)).unwrap();
    engine.settle();
    let trimmed = files_in(&disk, "segments").len();
    assert!(trimmed < segments, "{trimmed} of {segments}");
    block_on(engine.delete(vec![LogId(2)])).unwrap();
    engine.settle();
    let deleted = files_in(&disk, "segments").len();
    assert!(deleted < trimmed, "{deleted} of {trimmed}");
    assert_eq!((engine.log.stats().drains, died(&engine)), (drains, false));
    let disk = disk.kill();
    drop(engine);
    assert_eq!(check(&dir(), &disk).unwrap().findings, []);
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    assert_eq!(block_on(engine.tail(LogId(2))), Err(EngineError::Missing));
    assert_eq!(engine.all(3).0.len(), 50);
    let tail = block_on(engine.tail(LogId(1))).unwrap();
    assert_eq!((tail.end, engine.all(1)), (n, (engine.all(1).0, None)));
    assert!(tail.start >= 30, "{tail:?}");
    assert_eq!(engine.shutdown(), Ok(()));
}

#[test]
fn a_journal_without_room_is_drained_although_little_is_in_it() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    engine.create(&[1]);
    disk.fail(fault(DiskCall::Write, "journal/00000002", io::ErrorKind::StorageFull));
    disk.fail(fault(DiskCall::Write, "journal/00000003", io::ErrorKind::StorageFull));
    let mut n = 0;
    while matches!(engine.put(1, &data(n)), Appended::At { .. }) {
        n += 1;
    }
    engine.settle();
    let stats = engine.log.stats();
    assert_eq!((stats.drains, stats.undrained_bytes, died(&engine)), (1, 0, false), "{stats:?}");
    assert!(stats.extents > 0);
}

#[test]
fn deletions_alone_make_a_drain_due_too() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    let ids: Vec<u64> = (0..200).collect();
    engine.create(&ids);
    assert_eq!(engine.shutdown(), Ok(()));
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    for id in ids {
        block_on(engine.delete(vec![LogId(id)])).unwrap();
    }
    assert!(engine.log.stats().drains > 0, "{:?} {:?}", engine.log.stats(), files_in(&disk, "journal"));
    assert!(files_in(&disk, "journal").len() <= 6);
}

#[test]
fn an_append_that_is_refused_takes_no_space() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, Options { disk_watermark_bytes: 1 << 20, ..tiny() }).unwrap();
    engine.create(&[1]);
    disk.set_capacity(1 << 20);
    clock.advance(1_000);
    let large = vec![7; 200_000];
    let calls = disk.calls();
    assert_eq!(engine.put(1, &large), Appended::Full);
    assert_eq!(engine.put(1, &large), Appended::Full);
    assert_eq!(disk.calls(), calls);
    assert!(matches!(engine.put_at(1, Expect::End(0), &large), Appended::At { .. }));
}

#[test]
fn recovered_records_have_memory_of_their_own() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    engine.create(&[1]);
    drop(block_on(engine.append_many((0..8).map(|n| append(1, &data(n))).collect())));
    let disk = disk.kill();
    drop(engine);
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    let request = ReadRequest { log: LogId(1), from: 0, max_records: 100, max_bytes: 1 << 20 };
    let page = block_on(engine.read(request)).unwrap();
    let places: Vec<(usize, usize)> =
        page.chunks.iter().map(|chunk| (chunk.batch.bytes().as_ptr() as usize, chunk.batch.bytes().len())).collect();
    assert_eq!(places.len(), 8);
    // In the journal a frame's header of 40 bytes stands between two batches.
    assert!(places.windows(2).all(|pair| pair[0].0 + pair[0].1 + 40 != pair[1].0), "{places:?}");
}

#[test]
fn calls_above_the_queue_s_ceiling_wait_and_are_served_in_their_turn() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, Options { queue_bytes: 24 * 1024, ..tiny() }).unwrap();
    engine.create(&[1]);
    let mut calls: Vec<_> = (0..8).map(|n| engine.log.append_many(vec![append(1, &[n; 10_000])])).collect();
    for call in &mut calls {
        assert!(matches!(poll_once(call), Poll::Pending));
    }
    engine.settle();
    assert_eq!(block_on(engine.tail(LogId(1))).unwrap().end, 3);
    // One of those who wait goes away, and holds nobody up.
    drop(calls.remove(4));
    for _ in 0..8 {
        calls.retain_mut(|call| matches!(poll_once(call), Poll::Pending));
        engine.settle();
    }
    assert!(calls.is_empty());
    let firsts: Vec<u8> = engine.all(1).0.iter().map(|record| record[0]).collect();
    assert_eq!(firsts, [0, 1, 2, 3, 5, 6, 7]);
    // Nor does anybody wait for an engine that stopped.
    let waiting: Vec<_> = (0..8).map(|n| engine.log.append_many(vec![append(1, &[n; 10_000])])).collect();
    drop(engine.shutdown());
    for (n, call) in waiting.into_iter().enumerate() {
        let answer = block_on(call).remove(0);
        assert!(if n < 3 { matches!(answer, Appended::At { .. }) } else { answer == Appended::Unknown }, "{answer:?}");
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waiter_that_goes_away_is_forgotten() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    engine.create(&[1]);
    let nobody = Arc::new(Nobody);
    for _ in 0..100 {
        let waker = Waker::from(Arc::clone(&nobody));
        let mut grown = engine.log.grown(LogId(1), 0);
        assert!(grown.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(Arc::strong_count(&nobody), 1);
    // Those who stay are woken, also beside one who left.
    let mut stays = engine.log.grown(LogId(1), 0);
    let mut goes = engine.log.grown(LogId(1), 0);
    assert!(matches!((poll_once(&mut stays), poll_once(&mut goes)), (Poll::Pending, Poll::Pending)));
    drop(goes);
    assert!(matches!(engine.put(1, b"x"), Appended::At { .. }));
    assert_eq!(block_on(stays).unwrap().end, 1);
}

#[test]
fn journal_files_of_any_length_are_taken_over() {
    for len in [1, 4_095, 5_000, 12_288, 41_000] {
        let (disk, clock) = world();
        let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
        engine.create(&[1]);
        assert_eq!(engine.shutdown(), Ok(()));
        for slot in 90..93 {
            let file = disk.open(&dir().join(format!("journal/{slot:08}")), Open::CreateNew).unwrap();
            file.write_all_at(&vec![0; len], 0).unwrap();
        }
        for life in 0..3 {
            let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
            for n in life * 40..life * 40 + 40 {
                // Needs two blocks, but would fit in what is left behind the last whole one of 41,000 bytes.
                assert!(matches!(engine.put(1, &[n as u8; 4_000]), Appended::At { first, .. } if first == n), "{len}");
                for slot in 90..93 {
                    let path = dir().join(format!("journal/{slot:08}"));
                    let found = disk.open(&path, Open::Read).map_or(0, |file| file.len().unwrap());
                    assert!(found <= len as u64, "{path:?} has grown from {len} to {found} bytes");
                }
            }
            assert_eq!(engine.all(1).0.len() as u64, life * 40 + 40);
            assert_eq!(engine.shutdown(), Ok(()));
        }
    }
}

/// A clock and a disk on which the engine's threads panic when told to.
#[derive(Clone)]
struct Panicking {
    disk: SimDisk,
    clock: SimClock,
    now: Arc<AtomicBool>,
}

impl Panicking {
    fn perhaps(&self, thread: &str) {
        let here = std::thread::current().name().is_some_and(|name| name.starts_with(thread));
        assert!(!(here && self.now.load(Ordering::SeqCst)), "as the test wants it");
    }
}

impl Clock for Panicking {
    fn now_ms(&self) -> u64 {
        self.perhaps("levada-log");
        self.clock.now_ms()
    }
    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

impl Disk for Panicking {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        self.perhaps("levada-read");
        self.disk.open(path, how)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_bytes(path)
    }
}

#[test]
fn a_thread_that_panics_leaves_nobody_waiting() {
    for reading in [false, true] {
        let (disk, clock) = world();
        let drained = Stepped::open(&disk, &clock, tiny()).unwrap();
        drained.create(&[1]);
        assert!(matches!(drained.put(1, &data(0)), Appended::At { .. }));
        assert_eq!(drained.shutdown(), Ok(()));
        let world = Panicking { disk, clock, now: Arc::default() };
        let random = Arc::new(SimRandom::new(3));
        let (disk, clock) = (Arc::new(world.clone()), Arc::new(world.clone()));
        let (log, driver) = EmbeddedLog::open(&dir(), disk, clock, random, tiny()).unwrap();
        driver.spawn_threads().unwrap();
        block_on(log.create(vec![LogSpec { id: LogId(2), class: 1, floor: 0 }])).unwrap();
        world.now.store(true, Ordering::SeqCst);
        if reading {
            let request = ReadRequest { log: LogId(1), from: 0, max_records: 1, max_bytes: 1 };
            assert!(matches!(block_on(log.read(request)), Err(EngineError::Unavailable(_))));
        } else {
            assert_eq!(block_on(log.append_many(vec![append(1, b"x")])), [Appended::Unknown]);
        }
        assert!(block_on(Box::pin(log.died())).contains("panicked"));
        assert!(matches!(block_on(log.seal(LogId(1))), Err(EngineError::Unavailable(_))));
        assert_eq!(block_on(log.append_many(vec![append(1, b"x")])), [Appended::Unknown]);
    }
}
