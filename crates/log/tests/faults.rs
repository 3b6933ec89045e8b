//! Disks that fail, fill up or rot: what the engine says, and what it still serves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io;
use std::path::PathBuf;
use std::task::Poll;

use common::{Stepped, dir, files_in, tiny};
use levada_core::batch::Batch;
use levada_core::engine::conformance::drive::{block_on, poll_once};
use levada_core::engine::{Append, Appended, BoxFuture, Engine, EngineError, Expect, LogId};
use levada_core::env::sim::{DiskCall, Fault, SimClock, SimDisk};
use levada_core::env::{Disk, Open};
use levada_log::{OpenError, Options, check};

const NOW: u64 = 1_700_000_000_000;

fn world() -> (SimDisk, SimClock) {
    (SimDisk::new(), SimClock::at(NOW))
}

fn fault(call: DiskCall, path: &str, kind: io::ErrorKind) -> Fault {
    Fault { call, path: path.to_owned(), after: 0, times: u64::MAX, kind }
}

/// Nothing is drained by itself.
fn lazy() -> Options {
    Options { drain_bytes: 1 << 20, drain_bytes_many_logs: 1 << 20, memory_bytes: 1 << 21, ..tiny() }
}

fn data(n: u64) -> Vec<u8> {
    format!("record {n} {}", "x".repeat(300)).into_bytes()
}

fn died(engine: &Stepped) -> bool {
    let mut died: BoxFuture<'_, String> = Box::pin(engine.log.died());
    matches!(poll_once(&mut died), Poll::Ready(_))
}

#[test]
fn a_failed_write_or_sync_ends_the_engine_and_loses_nothing_acknowledged() {
    // What fails, where, and after how many acknowledged records.
    let rows = [
        (DiskCall::Write, "journal", 0),
        (DiskCall::Write, "journal", 5),
        (DiskCall::Sync, "journal", 0),
        (DiskCall::Sync, "journal", 5),
        (DiskCall::Write, "segments", 5),
        (DiskCall::Sync, "segments", 5),
        (DiskCall::SyncDir, "segments", 5),
        (DiskCall::Sync, "manifest", 5),
        (DiskCall::Rename, "manifest", 5),
    ];
    let passing = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::OutOfMemory];
    let kinds = [io::ErrorKind::Other, passing[0], passing[1], passing[2]];
    let rows = rows.into_iter().flat_map(|row| kinds.map(|kind| (row.0, row.1, row.2, kind)));
    for (call, path, before, kind) in rows {
        // A write that is refused for now is another test's matter.
        if call == DiskCall::Write && passing.contains(&kind) {
            continue;
        }
        let (disk, clock) = world();
        let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
        engine.create(&[1]);
        for n in 0..before {
            assert!(matches!(engine.put(1, &data(n)), Appended::At { .. }));
        }
        assert!(!died(&engine));
        disk.fail(fault(call, path, kind));
        let mut acknowledged = before;
        let unknown = (before..200).find(|&n| match engine.put(1, &data(n)) {
            Appended::At { .. } => {
                acknowledged = n + 1;
                false
            }
            Appended::Unknown => true,
            other => panic!("{other:?}"),
        });
        assert!(unknown.is_some() && died(&engine), "{call:?} of {path}");
        assert!(matches!(block_on(engine.tail(LogId(1))), Err(EngineError::Unavailable(_))));
        assert!(engine.log.stats().last_error.is_some());
        let disk = disk.crash(&levada_core::env::sim::SimRandom::new(before));
        drop(engine);
        let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
        let (records, error) = engine.all(1);
        assert_eq!(error, None);
        assert!(records.len() as u64 >= acknowledged, "{call:?} of {path}: {} of {acknowledged}", records.len());
        assert!(records.iter().zip(0..).all(|(found, n)| *found == data(n)));
    }
}

#[test]
fn a_full_disk_refuses_appends_serves_reads_and_recovers_without_a_restart() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, Options { disk_watermark_bytes: 64 * 1024, ..tiny() }).unwrap();
    engine.create(&[1]);
    disk.set_capacity(512 * 1024);
    let mut written = 0;
    while matches!(engine.put(1, &data(written)), Appended::At { .. }) {
        written += 1;
        clock.advance(50);
        assert!(written < 10_000, "the disk never fills");
    }
    assert_eq!(engine.put(1, &data(written)), Appended::Full);
    assert!(engine.log.stats().full && !died(&engine));
    // What is decided from a log's content may free space, so it has the reserve for itself.
    assert!(matches!(engine.put_at(1, Expect::End(written), &data(written)), Appended::At { .. }));
    written += 1;
    assert_eq!(engine.all(1).0.len() as u64, written);
    disk.set_capacity(1 << 30);
    clock.advance(1_000);
    assert!(matches!(engine.put(1, &data(written)), Appended::At { first, .. } if first == written));
    assert!(!engine.log.stats().full);
    assert_eq!(engine.shutdown(), Ok(()));
}

#[test]
fn without_a_watermark_storage_full_is_survived_too() {
    for capacity in [100, 150, 200, 250, 300] {
        let (disk, clock) = world();
        let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
        engine.create(&[1, 2]);
        disk.set_capacity(capacity * 1024);
        let mut written = 0;
        while matches!(engine.put(1, &data(written)), Appended::At { .. }) {
            written += 1;
            assert!(written < 10_000, "the disk never fills");
        }
        assert!(!died(&engine), "{:?}", engine.log.stats());
        assert_eq!(engine.all(1).0.len() as u64, written);
        disk.set_capacity(1 << 30);
        clock.advance(1_000);
        for n in written..written + 100 {
            assert!(matches!(engine.put(1, &data(n)), Appended::At { first, .. } if first == n), "{capacity} KiB");
        }
        let disk = disk.kill();
        drop(engine);
        let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
        assert_eq!(engine.all(1).0.len() as u64, written + 100);
    }
}

#[test]
fn a_second_process_is_refused() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    assert!(matches!(Stepped::open(&disk, &clock, tiny()), Err(OpenError::Locked)));
    assert!(matches!(check(&dir(), &disk), Err(OpenError::Locked)));
    assert_eq!(engine.shutdown(), Ok(()));
    assert!(Stepped::open(&disk, &clock, tiny()).is_ok());
}

#[test]
fn a_newer_format_is_refused_before_any_write() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    assert_eq!(engine.shutdown(), Ok(()));
    let format = disk.open(&dir().join("format"), Open::Write).unwrap();
    format.write_all_at(b"levada log 2.0\n", 0).unwrap();
    let calls = disk.calls();
    assert!(matches!(Stepped::open(&disk, &clock, tiny()), Err(OpenError::Version { found: 2, known: 1 })));
    // The lock's file is opened; nothing else may have happened.
    assert!(disk.calls() <= calls + 3, "{} calls", disk.calls() - calls);
}

/// Writes records without draining, ends without a clean shutdown, and answers the disk with the one journal file
/// that holds rounds.
fn crashed_with_rounds(records: u64) -> (SimDisk, SimClock, PathBuf) {
    let (disk, clock) = world();
    let options = Options { first_journal_segment_bytes: 1 << 20, ..lazy() };
    let engine = Stepped::open(&disk, &clock, options).unwrap();
    engine.create(&[1]);
    for n in 0..records {
        assert!(matches!(engine.put(1, &data(n)), Appended::At { .. }));
    }
    let disk = disk.kill();
    drop(engine);
    let file = files_in(&disk, "journal").remove(0);
    (disk, clock, file)
}

#[test]
fn a_flip_in_a_round_with_a_successor_is_refused_and_named() {
    // Block 0 is the file's header, round 1 (block 1) created the log, round n + 2 wrote record n.
    for (block, byte) in [(1, 0), (1, 70), (2, 9), (4, 100), (5, 30)] {
        let (disk, clock, file) = crashed_with_rounds(6);
        let at = block * 4096 + byte;
        disk.flip_bit(&file, at, 3).unwrap();
        match Stepped::open(&disk, &clock, lazy()) {
            Err(OpenError::Corrupt { file: named, at: found, .. }) => {
                assert_eq!((dir().join(named), found), (file, block * 4096));
            }
            other => panic!("flip at {at}: {:?}", other.err()),
        }
        let report = check(&dir(), &disk).unwrap();
        assert_eq!(report.findings.len(), 1, "{report:?}");
        assert_eq!(report.findings[0].at, block * 4096);
    }
}

#[test]
fn a_flip_in_a_journal_header_is_refused() {
    let (disk, clock, file) = crashed_with_rounds(3);
    disk.flip_bit(&file, 33, 0).unwrap();
    assert!(matches!(Stepped::open(&disk, &clock, lazy()), Err(OpenError::Corrupt { .. })));
}

#[test]
fn a_flip_in_the_last_round_is_cut_and_never_comes_back() {
    let (disk, clock, file) = crashed_with_rounds(6);
    let last = 7 * 4096;
    disk.flip_bit(&file, last + 80, 1).unwrap();
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    assert_eq!(engine.all(1).0.len(), 5);
    assert!(matches!(engine.put(1, b"instead"), Appended::At { first: 5, .. }));
    let disk = disk.kill();
    drop(engine);
    // The old round is whole again, as if the disk had found its bytes; a round with its number stands elsewhere.
    disk.flip_bit(&file, last + 80, 1).unwrap();
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    let (records, error) = engine.all(1);
    assert_eq!((records.len(), error), (6, None));
    assert_eq!(records[5], b"instead");
}

#[test]
fn after_a_clean_shutdown_a_damaged_manifest_end_is_refused() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    engine.create(&[1]);
    for n in 0..60 {
        assert!(matches!(engine.put(1, &data(n)), Appended::At { .. }));
    }
    assert_eq!(engine.shutdown(), Ok(()));
    let manifest = dir().join("manifest");
    let len = common::bytes_of(&disk, &manifest).len() as u64;
    for at in [0, 9, 17, 40, len / 2, len - 1] {
        disk.flip_bit(&manifest, at, 5).unwrap();
        match Stepped::open(&disk, &clock, tiny()) {
            Err(OpenError::Corrupt { file, .. }) => assert_eq!(file, "manifest", "flip at {at}"),
            other => panic!("flip at {at}: {:?}", other.err()),
        }
        assert_eq!(check(&dir(), &disk).unwrap().findings.len(), 1);
        disk.flip_bit(&manifest, at, 5).unwrap();
    }
    assert_eq!(check(&dir(), &disk).unwrap().findings, []);
    assert_eq!(Stepped::open(&disk, &clock, tiny()).unwrap().all(1).0.len(), 60);
}

#[test]
fn a_manifest_that_lost_its_end_is_refused_because_the_journal_knows() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    engine.create(&[1]);
    let mut n = 0;
    while engine.log.stats().drains < 2 {
        assert!(matches!(engine.put(1, &data(n)), Appended::At { .. }));
        n += 1;
    }
    engine.settle();
    assert!(matches!(engine.put(1, &data(n)), Appended::At { .. }));
    let disk = disk.kill();
    drop(engine);
    let manifest = dir().join("manifest");
    let len = common::bytes_of(&disk, &manifest).len() as u64;
    disk.flip_bit(&manifest, len - 1, 0).unwrap();
    assert!(matches!(Stepped::open(&disk, &clock, tiny()), Err(OpenError::Corrupt { .. })));
}

/// Two logs with own segments and two that share one, all drained.
fn drained() -> (SimDisk, SimClock) {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    engine.create(&[1, 2, 3, 4]);
    for n in 0..40 {
        for log in [1, 2, 3, 4] {
            if log <= 2 || n < 3 {
                assert!(matches!(engine.put(log, &data(n)), Appended::At { .. }));
            }
        }
    }
    assert_eq!(engine.shutdown(), Ok(()));
    (disk, clock)
}

#[test]
fn a_flip_in_a_segment_fails_its_log_only() {
    let (disk, clock) = drained();
    let segments = files_in(&disk, "segments");
    assert_eq!(segments.len(), 3, "{segments:?}");
    let mut failed = Vec::new();
    for segment in &segments {
        let len = common::bytes_of(&disk, segment).len() as u64;
        for at in [40, len / 2, len - 1] {
            disk.flip_bit(segment, at, 2).unwrap();
            let report = check(&dir(), &disk).unwrap();
            let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
            let broken: Vec<_> = (1..=4).filter(|&log| engine.all(log).1.is_some()).collect();
            assert_eq!(broken.len(), 1, "{segment:?} at {at}: {broken:?}");
            assert_eq!(report.findings.len(), 1, "{report:?}");
            assert_eq!(report.findings[0].logs, [LogId(broken[0])]);
            assert_eq!(dir().join(&report.findings[0].file), *segment);
            let (before, error) = engine.all(broken[0]);
            assert!(before.iter().zip(0..).all(|(found, n)| *found == data(n)), "what stands before is served");
            match error {
                Some(EngineError::Corrupt { file, at }) => {
                    assert_eq!((dir().join(file), at), (segment.clone(), report.findings[0].at));
                }
                other => panic!("{other:?}"),
            }
            assert!(matches!(engine.put(broken[0], b"still takes records"), Appended::At { .. }));
            failed.push(broken[0]);
            assert_eq!(engine.shutdown(), Ok(()));
            disk.flip_bit(segment, at, 2).unwrap();
        }
    }
    failed.sort_unstable();
    failed.dedup();
    assert_eq!(failed, [1, 2, 3, 4]);
}

#[test]
fn a_missing_segment_fails_its_logs_only() {
    let (disk, clock) = drained();
    let segments = files_in(&disk, "segments");
    disk.remove(&segments[2]).unwrap();
    let report = check(&dir(), &disk).unwrap();
    assert_eq!(report.findings.len(), 1);
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    let broken: Vec<_> = (1..=4).filter(|&log| engine.all(log).1.is_some()).map(LogId).collect();
    assert_eq!(report.findings[0].logs, broken);
    assert!(!broken.is_empty() && broken.len() < 4);
}

#[test]
fn a_manifest_of_many_records_reads_back_and_damage_anywhere_in_its_base_is_refused() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    let ids: Vec<u64> = (1..=3000).collect();
    engine.create(&ids);
    let appends = |n| {
        let append = |&id| Append { log: LogId(id), expect: Expect::Tail, batch: Batch::single(b"", &[n, id as u8]) };
        ids.iter().map(append).collect()
    };
    for n in 0..3 {
        assert!(block_on(engine.append_many(appends(n))).iter().all(|answer| matches!(answer, Appended::At { .. })));
    }
    assert_eq!(engine.shutdown(), Ok(()));
    // The start writes the base anew, and a second one reads it.
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    assert_eq!(engine.shutdown(), Ok(()));
    let report = check(&dir(), &disk).unwrap();
    assert!(report.manifest_records > 3 && report.findings.is_empty() && report.frames == 9000, "{report:?}");
    let manifest = dir().join("manifest");
    let len = common::bytes_of(&disk, &manifest).len() as u64;
    disk.remove(&dir().join("clean")).unwrap();
    for at in (0..len).step_by(len as usize / 50) {
        disk.flip_bit(&manifest, at, 6).unwrap();
        assert!(matches!(Stepped::open(&disk, &clock, lazy()), Err(OpenError::Corrupt { .. })), "flip at {at}");
        disk.flip_bit(&manifest, at, 6).unwrap();
    }
    let engine = Stepped::open(&disk, &clock, lazy()).unwrap();
    for &id in &ids {
        let tail = block_on(engine.tail(LogId(id))).unwrap();
        assert_eq!((tail.start, tail.end, tail.bytes), (0, 3, 24), "log {id}");
    }
    assert_eq!(engine.all(3000).0, [[0, 184], [1, 184], [2, 184]]);
}

#[test]
fn retention_frees_segments_and_deleting_frees_all() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    engine.create(&[1, 2]);
    for n in 0..600 {
        clock.advance(20);
        assert!(matches!(engine.put(1 + n % 2, &data(n)), Appended::At { .. }));
        if n >= 100 {
            for log in [1, 2] {
                block_on(engine.trim(LogId(log), (n - 100) / 2)).unwrap();
            }
        }
    }
    engine.settle();
    let used = files_in(&disk, "segments").len();
    assert!((1..20).contains(&used), "{used} segments for a hundred records");
    let tail = block_on(engine.tail(LogId(1))).unwrap();
    assert_eq!((tail.start, tail.end), (249, 300));
    block_on(engine.delete(vec![LogId(1), LogId(2)])).unwrap();
    engine.settle();
    assert_eq!(files_in(&disk, "segments").len(), 0);
    assert!(files_in(&disk, "journal").len() <= 6);
    assert_eq!(engine.shutdown(), Ok(()));
    assert_eq!(check(&dir(), &disk).unwrap().findings, []);
}

#[test]
fn what_was_queued_before_a_shutdown_is_kept_and_later_calls_are_refused() {
    let (disk, clock) = world();
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    engine.create(&[1]);
    let append = |n| vec![Append { log: LogId(1), expect: Expect::Tail, batch: Batch::single(b"k", &data(n)) }];
    let queued = engine.log.append_many(append(0));
    let shutdown = engine.log.shutdown();
    let late = engine.log.append_many(append(1));
    engine.settle();
    assert!(matches!(block_on(queued)[..], [Appended::At { first: 0, .. }]));
    assert_eq!(block_on(shutdown), Ok(()));
    assert_eq!(block_on(late), [Appended::Unknown]);
    assert!(matches!(block_on(engine.log.shutdown()), Err(EngineError::Unavailable(_))));
    assert!(!died(&engine));
    let engine = Stepped::open(&disk, &clock, tiny()).unwrap();
    assert_eq!(engine.all(1).0, [data(0)]);
}

#[test]
fn writers_faster_than_the_drain_wait_and_lose_nothing() {
    use std::sync::Arc;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { memory_bytes: 96 * 1024, disk_watermark_bytes: 0, ..tiny() };
    let memory = options.memory_bytes as u64;
    let disk = Arc::new(levada_log::RealDisk::new());
    let random = Arc::new(levada_log::RealRandom);
    let clock = Arc::new(levada_log::RealClock::new());
    let (log, driver) = levada_log::EmbeddedLog::open(dir.path(), disk, clock, random, options).unwrap();
    driver.spawn_threads().unwrap();
    let specs = (0..4).map(|id| levada_core::engine::LogSpec { id: LogId(id), class: 1, floor: 0 }).collect();
    block_on(log.create(specs)).unwrap();
    std::thread::scope(|scope| {
        for id in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..60 {
                    let batch = Batch::single(b"k", &[n; 3_000]);
                    let append = Append { log: LogId(id), expect: Expect::Tail, batch };
                    let answer = block_on(log.append_many(vec![append; 8]));
                    assert!(answer.iter().all(|one| matches!(one, Appended::At { .. })), "{answer:?}");
                    // One round may be taken above the ceiling.
                    assert!(log.stats().undrained_bytes < memory + 64 * 1024);
                }
            });
        }
    });
    for id in 0..4 {
        assert_eq!(block_on(log.tail(LogId(id))).unwrap().end, 480);
    }
    block_on(log.shutdown()).unwrap();
    assert!(log.stats().drains > 10);
}

#[test]
fn the_same_calls_write_the_same_bytes() {
    let life = || {
        let (disk, clock) = world();
        let random = levada_core::env::sim::SimRandom::new(11);
        let ids: Vec<u64> = (0..20).collect();
        for round in 0..3 {
            let engine = Stepped::open_with(&disk, &clock, tiny(), random.clone()).unwrap();
            engine.create(&ids);
            for n in 0..200 {
                clock.advance(7);
                assert!(matches!(engine.put(n * 7 % 20, &data(n)), Appended::At { .. }));
            }
            block_on(engine.trim(LogId(round), 8)).unwrap();
            assert_eq!(engine.shutdown(), Ok(()));
        }
        let files = disk.files();
        files.into_iter().map(|path| (path.clone(), common::bytes_of(&disk, &path))).collect::<Vec<_>>()
    };
    assert!(life() == life(), "two runs of one simulation differ");
}

#[test]
fn a_task_drives_the_engine_as_well_as_threads_do() {
    use std::sync::Arc;
    let (disk, clock) = world();
    let random = Arc::new(levada_core::env::sim::SimRandom::new(7));
    let (log, driver) = levada_log::EmbeddedLog::open(&dir(), Arc::new(disk), Arc::new(clock), random, tiny()).unwrap();
    let log = Arc::new(log);
    let user = Arc::clone(&log);
    let work: BoxFuture<'_, ()> = Box::pin(driver.run());
    let calls: BoxFuture<'_, ()> = Box::pin(async move {
        user.create(vec![levada_core::engine::LogSpec { id: LogId(1), class: 1, floor: 0 }]).await.unwrap();
        for n in 0..100 {
            let append = Append { log: LogId(1), expect: Expect::End(n), batch: Batch::single(b"", &data(n)) };
            assert!(matches!(user.append_many(vec![append]).await[..], [Appended::At { .. }]));
        }
        user.shutdown().await.unwrap();
    });
    levada_core::engine::conformance::drive::join_all(vec![work, calls]);
}
