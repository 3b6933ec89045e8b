//! Delivery over the embedded engine, into a directory of the same simulated disk, which loses power at any call.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use levada_core::batch::BatchBuilder;
use levada_core::engine::{Append, Appended, BoxFuture, Engine, Expect, LogId, LogSpec};
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_core::env::{Disk, Open};
use levada_delivery::chain::{Chain, Gather, Held, Outcome};
use levada_delivery::record::{Partition, Product, SourceRecord};
use levada_delivery::{
    Block, Blocking, Bucketing, Buckets, Buffering, Compression, Config, Delimiter, Delivery, Env, Handle, KeyLayout,
    LayoutSpec, MIB, Partitioning, QueryKeys, Spec, Tuning,
};
use levada_log::{EmbeddedLog, Options};
use tokio::task::JoinHandle;

const DATA: LogId = LogId(1);
const CONTROL: LogId = LogId(2);
const BUCKETS: &str = "/data/buckets";

/// Sizes so small that the records of a test are drained into segments.
fn options() -> Options {
    Options {
        journal_segment_bytes: 512 * 1024,
        first_journal_segment_bytes: 64 * 1024,
        drain_bytes: 64 * 1024,
        segment_bytes: 256 * 1024,
        disk_watermark_bytes: 0,
        ..Options::default()
    }
}

struct Node {
    log: Arc<EmbeddedLog>,
    handle: Handle,
    work: JoinHandle<()>,
}

impl Node {
    async fn start(disk: &SimDisk, clock: &SimClock, random: &SimRandom, processed: bool) -> Option<Self> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let clock = Arc::new(clock.clone());
        let dir = PathBuf::from("/data/levada");
        let opened = EmbeddedLog::open(&dir, Arc::clone(&disk), clock.clone(), Arc::new(random.fork()), options());
        let (log, driver) = opened.ok()?;
        let (log, work) = (Arc::new(log), tokio::spawn(driver.run()));
        let missing = |id| LogSpec { id, class: 0, floor: 0 };
        for id in [DATA, CONTROL] {
            if log.tail(id).await.is_err() && log.create(vec![missing(id)]).await.is_err() {
                work.abort();
                return None;
            }
        }
        let mut buckets = Buckets::new();
        buckets.unmapped_in(disk, Blocking::Inline, PathBuf::from(BUCKETS));
        let delivery = Delivery::new(Env {
            engine: Arc::clone(&log) as Arc<dyn Engine>,
            clock,
            random: Arc::new(random.fork()),
            sink: Arc::new(buckets),
            blocking: Blocking::Inline,
            tuning: Tuning { memory_bytes: MIB, snapshot_every: 7, ..Tuning::default() },
        });
        let (names, mut layout) = (["p".to_owned()], LayoutSpec::default());
        if processed {
            layout.prefix = Some("p=!{partitionKeyFromQuery:p}/");
            layout.error_prefix = Some("err/!{firehose:error-output-type}/");
            layout.partitioning = Partitioning::On { query: QueryKeys::These(&names), lambda: false };
        }
        let mut config = Config::s3(Bucketing {
            bucket: "lake".into(),
            layout: KeyLayout::new(&layout).unwrap(),
            compression: Compression::Uncompressed,
            delimiter: Delimiter::None,
            buffering: Buffering { size_mib: 1, interval_s: 0 },
        });
        config.chain = processed.then(|| Arc::new(ByNumber(random.fork())) as Arc<dyn Chain>);
        let spec = Spec {
            name: "orders".into(),
            data: DATA,
            control: CONTROL,
            block: Some(Block { first: LogId(100), count: 16, class: 0 }),
            config,
            config_version: 1,
            backlog_quota_bytes: 64 * MIB,
        };
        Some(Self { log, handle: delivery.start(spec), work })
    }

    /// Appends records `first ..` and answers whether they are acknowledged.
    async fn put(&self, first: u64, count: u64, dice: &SimRandom) -> bool {
        let mut batch = BatchBuilder::default();
        for n in first..first + count {
            batch.push(b"", record(n, dice).as_bytes());
        }
        let reservation = self.handle.reserve(batch.len() as u64).unwrap();
        let append = Append { log: DATA, expect: Expect::Tail, batch: batch.finish().unwrap() };
        let acknowledged = matches!(self.log.append_many(vec![append]).await.pop(), Some(Appended::At { .. }));
        if acknowledged {
            reservation.stored();
        }
        acknowledged
    }
}

/// Says another thing in each run.
struct ByNumber(SimRandom);

impl std::fmt::Debug for ByNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ByNumber")
    }
}

impl Chain for ByNumber {
    fn gather(&self) -> Gather {
        Gather { bytes: 100_000, wait: Duration::from_millis(150) }
    }

    fn run(&self, batch: Vec<SourceRecord>) -> BoxFuture<'_, Result<Outcome, Held>> {
        let salt = self.0.below(1_000);
        let products = batch.iter().map(|SourceRecord { arrival, origin, data, .. }| {
            let text = std::str::from_utf8(data).unwrap();
            let n: u64 = text[..8].parse().unwrap();
            let partition = Partition { query: vec![("p".into(), (n % 3).to_string())], lambda: Vec::new() };
            let data = format!("{n:08} {salt} {}", &text[8..]).into();
            Product::Record { arrival: *arrival, origin: origin.clone(), partition: Some(partition), data }
        });
        let outcome = Outcome { taken: batch.len(), products: products.collect(), ..Outcome::default() };
        Box::pin(std::future::ready(Ok(outcome)))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.work.abort();
    }
}

fn record(n: u64, dice: &SimRandom) -> String {
    format!("{n:08}{}\n", "x".repeat(dice.below(20_000) as usize))
}

/// The numbers of the records in the bucket, by object and within each in order.
fn delivered(disk: &SimDisk) -> Vec<u64> {
    let mut objects = Vec::new();
    for path in disk.files() {
        let Ok(below) = path.strip_prefix(BUCKETS) else { continue };
        assert!(!below.starts_with("lake/.%tmp"), "left over: {below:?}");
        let file = disk.open(&path, Open::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        objects.push(text.lines().map(|line| line[..8].parse().unwrap()).collect::<Vec<u64>>());
    }
    objects.sort();
    objects.concat()
}

/// Puts batches until `calls` more calls of the disk have been made and the power goes; then starts again and delivers
/// all. Answers whether the power went.
async fn lose_power_after(calls: u64, processed: bool) -> bool {
    let random = SimRandom::new(calls);
    let (disk, clock) = (SimDisk::new(), SimClock::at(1_783_951_509_000));
    disk.create_dir_all(&PathBuf::from("/data")).unwrap();
    disk.sync_dir(&PathBuf::from("/")).unwrap();
    disk.cut_power_after(calls);
    let mut acknowledged = Vec::new();
    let mut next = 0;
    if let Some(node) = Node::start(&disk, &clock, &random, processed).await {
        for _ in 0..20 {
            let count = 1 + random.below(10);
            if node.put(next, count, &random).await {
                acknowledged.extend(next..next + count);
            }
            next += count;
            clock.advance(100);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let lost = disk.is_powerless();
    let disk = disk.crash(&random);
    let node = Node::start(&disk, &clock, &random, processed).await.unwrap();
    // An object more, so that the bucket is swept.
    assert!(node.put(next, 1, &random).await);
    acknowledged.push(next);
    node.handle.flush().await.unwrap();
    let mut found = delivered(&disk);
    if processed {
        // In order within each partition only, which `delivered` does not tell apart.
        found.sort_unstable();
    }
    assert!(found.is_sorted_by(|a, b| a < b), "twice, or out of order, after call {calls}: {found:?}");
    let missing: Vec<_> = acknowledged.iter().filter(|n| found.binary_search(n).is_err()).collect();
    assert!(missing.is_empty(), "acknowledged but not delivered, after call {calls}: {missing:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.handle.backlog_bytes(), 0, "after call {calls}");
    let tail = node.log.tail(DATA).await.unwrap();
    assert_eq!(tail.start, tail.end, "what is delivered is trimmed");
    lost
}

#[tokio::test(start_paused = true)]
async fn power_may_go_at_any_call_of_the_disk() {
    let mut calls = 0;
    while lose_power_after(calls, false).await {
        calls += 3;
    }
    assert!(calls > 200, "only {calls} calls: the scenario does too little");
}

#[tokio::test(start_paused = true)]
async fn power_may_go_at_any_call_of_the_disk_while_records_are_processed() {
    let mut calls = 0;
    while lose_power_after(calls, true).await {
        calls += 7;
    }
    assert!(calls > 400, "only {calls} calls: the scenario does too little");
}
