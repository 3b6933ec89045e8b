//! Commit rate, throughput and recovery time of the embedded engine on a real disk.
//!
//! `cargo run --release -p levada-log --example rates -- [DIRECTORY] [SECONDS]`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods, reason = "a tool that measures")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use levada_core::batch::{Batch, BatchBuilder};
use levada_core::engine::conformance::drive::block_on;
use levada_core::engine::{Append, Appended, Engine, Expect, LogId, LogSpec, ReadRequest};
use levada_core::env::{Disk, Open};
use levada_log::{EmbeddedLog, Options, RealClock, RealDisk, RealRandom};

fn open(dir: &Path) -> Arc<EmbeddedLog> {
    let (log, driver) = EmbeddedLog::open(
        dir,
        Arc::new(RealDisk::new()),
        Arc::new(RealClock::new()),
        Arc::new(RealRandom),
        Options::default(),
    )
    .unwrap();
    driver.spawn_threads().unwrap();
    Arc::new(log)
}

fn batch(records: usize, data: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    for n in 0..records {
        builder.push(format!("key-{n:04}").as_bytes(), &vec![b'x'; data]);
    }
    builder.finish().unwrap()
}

/// User and system time of this process in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// The same of one of the engine's threads, in nanoseconds.
fn thread_cpu(name: &str) -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let named =
        tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    let times = named.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    times.filter_map(|times| times.split_whitespace().next()?.parse::<f64>().ok()).sum()
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Writers append `batch` to logs of their own for `time`; answers appends, and their latencies.
fn load(log: &Arc<EmbeddedLog>, writers: u64, logs: u64, batch: &Batch, time: Duration) {
    let (started, used) = (Instant::now(), cpu());
    let (log_used, drain_used) = (thread_cpu("levada-log"), thread_cpu("levada-drain"));
    let before = log.stats();
    let threads: Vec<_> = (0..writers)
        .map(|writer| {
            let (log, batch) = (Arc::clone(log), batch.clone());
            std::thread::spawn(move || {
                let mut latencies = Vec::new();
                let mut n = writer;
                while started.elapsed() < time {
                    let append = Append { log: LogId(n % logs), expect: Expect::Tail, batch: batch.clone() };
                    n += writers;
                    let began = Instant::now();
                    let answer = block_on(log.append_many(vec![append])).remove(0);
                    latencies.push(began.elapsed());
                    assert!(matches!(answer, Appended::At { .. }), "{answer:?}");
                }
                latencies
            })
        })
        .collect();
    let mut latencies: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    latencies.sort();
    let seconds = started.elapsed().as_secs_f64();
    let after = log.stats();
    let count = latencies.len();
    let commits = after.commits - before.commits;
    println!(
        "{writers:3} writers, {logs:5} logs, {:7} B: {:8.0} appends/s, {:8.0} commits/s, {:6.1} MiB/s, p50 {:?}, p99 {:?}, commit mean {:.1} us, cpu us/append: {:.1} log thread, {:.1} drain, {:.1} all, backlog {} MiB, rss {} MiB",
        batch.bytes().len(),
        count as f64 / seconds,
        commits as f64 / seconds,
        (count * batch.bytes().len()) as f64 / seconds / 1048576.0,
        latencies[count / 2],
        latencies[count * 99 / 100],
        (after.commit_nanos_total - before.commit_nanos_total) as f64 / 1000.0 / commits.max(1) as f64,
        (thread_cpu("levada-log") - log_used) / 1e3 / count as f64,
        (thread_cpu("levada-drain") - drain_used) / 1e3 / count as f64,
        (cpu() - used) * 1e6 / count as f64,
        after.journal_backlog_bytes / 1048576,
        rss_mib(),
    );
}

/// Calls of 500 appends, one record each, spread over `logs` logs: what PutRecords with random keys comes to.
fn spread(log: &Arc<EmbeddedLog>, logs: u64, record: &Batch, time: Duration) {
    let (started, log_used, drain_used) = (Instant::now(), thread_cpu("levada-log"), thread_cpu("levada-drain"));
    let threads: Vec<_> = (0..8u64)
        .map(|writer| {
            let (log, record) = (Arc::clone(log), record.clone());
            std::thread::spawn(move || {
                let (mut calls, mut id) = (0u64, writer);
                while started.elapsed() < time {
                    let mut next = || {
                        id = id.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        Append { log: LogId((id >> 33) % logs), expect: Expect::Tail, batch: record.clone() }
                    };
                    let appends = (0..500).map(|_| next()).collect();
                    let answers = block_on(log.append_many(appends));
                    assert!(answers.iter().all(|answer| matches!(answer, Appended::At { .. })));
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let calls: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let stats = log.stats();
    println!(
        "  8 writers, {logs:5} logs, 500 x {} B: {:.0} records/s, cpu us/call: {:.0} log thread, {:.0} drain, {} drains, {} MiB in segments, rss {} MiB",
        record.bytes().len(),
        (calls * 500) as f64 / started.elapsed().as_secs_f64(),
        (thread_cpu("levada-log") - log_used) / 1e3 / calls as f64,
        (thread_cpu("levada-drain") - drain_used) / 1e3 / calls as f64,
        stats.drains,
        stats.segment_bytes >> 20,
        rss_mib(),
    );
}

/// The yardstick: 4 KiB direct writes with a sync each, on a pre-zeroed file.
fn yardstick(dir: &Path, time: Duration) {
    let disk = RealDisk::new();
    let path = dir.join("yardstick");
    let file = disk.open(&path, Open::CreateNew).unwrap();
    file.write_all_at(&vec![0; 16 << 20], 0).unwrap();
    file.sync().unwrap();
    let file = disk.open(&path, Open::WriteDirect).unwrap();
    let bytes = vec![1; 8192];
    let start = bytes.as_ptr().align_offset(4096);
    let started = Instant::now();
    let mut latencies = Vec::new();
    while started.elapsed() < time {
        let began = Instant::now();
        file.write_all_at(&bytes[start..start + 4096], (latencies.len() as u64 * 4096) % (16 << 20)).unwrap();
        file.sync().unwrap();
        latencies.push(began.elapsed());
    }
    latencies.sort();
    let count = latencies.len();
    println!(
        "disk yardstick: {:.0} commits/s, p50 {:?}, p99 {:?}",
        count as f64 / started.elapsed().as_secs_f64(),
        latencies[count / 2],
        latencies[count * 99 / 100]
    );
    disk.remove(&path).unwrap();
}

fn read_all(log: &EmbeddedLog, logs: u64) {
    let (started, used) = (Instant::now(), cpu());
    let (mut records, mut bytes, mut pages) = (0u64, 0u64, 0u64);
    for id in 0..logs {
        let mut from = 0;
        loop {
            let request = ReadRequest { log: LogId(id), from, max_records: 10_000, max_bytes: 10 << 20 };
            let page = block_on(log.read(request)).unwrap();
            if page.chunks.is_empty() {
                break;
            }
            pages += 1;
            records += page.next - from;
            bytes += page.chunks.iter().map(|chunk| chunk.batch.bytes().len() as u64).sum::<u64>();
            from = page.next;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "read all: {records} records, {pages} pages, {:.0} MiB/s, {:.0} us/page, cpu {:.0} us/page",
        bytes as f64 / seconds / 1048576.0,
        seconds * 1e6 / pages.max(1) as f64,
        (cpu() - used) * 1e6 / pages.max(1) as f64
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let time = Duration::from_secs(arguments.next().and_then(|n| n.parse().ok()).unwrap_or(3));
    let dir = tempfile::tempdir_in(root).unwrap();
    yardstick(dir.path(), time);
    let data = dir.path().join("data");
    let started = Instant::now();
    let log = open(&data);
    println!("open of an empty directory: {:?}", started.elapsed());
    let specs = |logs: std::ops::Range<u64>| logs.map(|id| LogSpec { id: LogId(id), class: 24, floor: 0 }).collect();
    block_on(log.create(specs(0..8))).unwrap();
    load(&log, 1, 1, &batch(1, 100), time);
    load(&log, 64, 8, &batch(1, 100), time);
    load(&log, 8, 8, &batch(500, 100), time);
    load(&log, 8, 8, &batch(64, 1000), time);
    load(&log, 8, 8, &batch(500, 1000), time);
    read_all(&log, 8);
    block_on(log.create(specs(8..10_008))).unwrap();
    println!("10,000 more logs: rss {} MiB", rss_mib());
    spread(&log, 8, &batch(1, 100), time);
    spread(&log, 10_000, &batch(1, 100), time * 3);
    spread(&log, 10_000, &batch(1, 1000), time * 3);
    println!("{:?}", log.stats());
    let backlog = log.stats().journal_backlog_bytes;
    drop(log);
    std::thread::sleep(Duration::from_secs(2));
    let started = Instant::now();
    let log = open(&data);
    println!("open after a crash with {} MiB of journal: {:?}", backlog / 1048576, started.elapsed());
    block_on(log.shutdown()).unwrap();
    drop(log);
    let started = Instant::now();
    let log = open(&data);
    println!("open after a clean shutdown, {} segments: {:?}", log.stats().segments, started.elapsed());
    block_on(log.shutdown()).unwrap();
}
