//! A world in memory: an engine, a store, and a clock that is tokio's paused one. All of it can die at any step.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use levada_core::batch::{Batch, MAX_BATCH_BYTES};
use levada_core::engine::{
    Append, Appended, BoxFuture, Chunk, Engine, EngineError, Expect, LogId, LogSpec, Millis, Offset, Page, ReadRequest,
    Sealed, Tail,
};
use levada_core::env::Clock;
use levada_core::env::sim::SimRandom;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::worker::Worker;
use crate::{
    Attempt, Block, Blocking, Bucketing, Buffering, Compression, Config, Delimiter, Delivery, Env, Handle, KeyLayout,
    LayoutSpec, Object, Sink, SinkError, Spec, Tuning,
};

pub(crate) const DATA: LogId = LogId(1);
pub(crate) const CONTROL: LogId = LogId(2);
/// Of a second delivery stream, whose bucket is [`SWAMP`].
pub(crate) const SWAMP_DATA: LogId = LogId(3);
const SWAMP_CONTROL: LogId = LogId(4);
/// Logs of further delivery streams have ids that are higher by multiples of this.
const ANOTHER: u64 = 100_000;
pub(crate) const SWAMP: &str = "swamp";

/// Of the first delivery stream.
pub(crate) const BLOCK: Block = Block { first: LogId(100), count: Block::WHOLE, class: 7 };

/// 2026-07-13 14:05:09 UTC
pub(crate) const START: Millis = 1_783_951_509_000;

/// tokio's time, which tests pause, as both clocks; the wall clock can be moved besides.
pub(crate) struct TestClock {
    start: Instant,
    moved_ms: AtomicU64,
}

impl TestClock {
    pub(crate) fn jump(&self, ms: i64) {
        self.moved_ms.fetch_add(ms as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        (START + self.monotonic().as_millis() as u64).wrapping_add(self.moved_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A moment of delivery at which a crash matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failpoint {
    /// The cut is durable, its destination has got nothing.
    BeforeUpload,
    /// The destination has everything, and nobody knows.
    AfterUpload,
    /// The worker knows, but has not written it down.
    BeforeCheckpoint,
}

/// Counts steps; at the chosen one, or at a failpoint, everything stands still for ever, as in a process that was
/// killed.
#[derive(Default)]
pub(crate) struct Fuse {
    steps: AtomicU64,
    burns_at: AtomicU64,
    /// The failpoint that burns it, and how often it is passed before.
    failpoint: Mutex<Option<(Failpoint, u64)>>,
    dead: AtomicBool,
}

impl Fuse {
    pub(crate) fn set(&self, steps: u64) {
        self.steps.store(0, Ordering::SeqCst);
        self.burns_at.store(steps, Ordering::SeqCst);
        *self.failpoint.lock().unwrap() = None;
        self.dead.store(false, Ordering::SeqCst);
    }

    /// Burns at this failpoint when it has been passed so often.
    pub(crate) fn set_at(&self, failpoint: Failpoint, passed: u64) {
        self.disarm();
        *self.failpoint.lock().unwrap() = Some((failpoint, passed));
    }

    pub(crate) async fn at(&self, here: Failpoint) {
        if let Some((failpoint, passes)) = self.failpoint.lock().unwrap().as_mut()
            && *failpoint == here
        {
            match passes.checked_sub(1) {
                Some(left) => *passes = left,
                None => self.dead.store(true, Ordering::SeqCst),
            }
        }
        if self.is_dead() {
            std::future::pending().await
        }
    }

    pub(crate) fn disarm(&self) {
        self.set(u64::MAX);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(crate) async fn step(&self) {
        if self.steps.fetch_add(1, Ordering::SeqCst) >= self.burns_at.load(Ordering::SeqCst) {
            self.dead.store(true, Ordering::SeqCst);
        }
        if self.is_dead() {
            std::future::pending().await
        }
    }
}

#[derive(Clone)]
struct Stored {
    arrival: Millis,
    key: Vec<u8>,
    data: Vec<u8>,
}

#[derive(Default)]
struct Log {
    start: Offset,
    records: Vec<Stored>,
    corrupt: Vec<Offset>,
}

impl Log {
    fn end(&self) -> Offset {
        self.records.len() as Offset
    }

    fn tail(&self) -> Tail {
        let retained = self.records[self.start as usize..].iter();
        let bytes = retained.map(|record| (record.key.len() + record.data.len() + 6) as u64).sum();
        Tail {
            start: self.start,
            end: self.end(),
            sealed: false,
            last_arrival: self.records.last().map_or(0, |record| record.arrival),
            first_arrival: self.records.get(self.start as usize).map(|record| record.arrival),
            bytes,
        }
    }
}

/// What the next append to the control log does besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    AppendedButUnknown,
    LostAndUnknown,
}

pub(crate) struct TestEngine {
    logs: Mutex<HashMap<LogId, Log>>,
    changes: watch::Sender<u64>,
    clock: Arc<TestClock>,
    fuse: Arc<Fuse>,
    pub(crate) doubts: Mutex<Vec<Doubt>>,
    /// Records in the largest page that was read.
    pub(crate) largest_page: AtomicU64,
    /// Milliseconds that a page of the processed log takes.
    pub(crate) sorting_ms: AtomicU64,
    /// The tail of the data log cannot be had.
    pub(crate) is_away: AtomicBool,
    /// What is trimmed stays, as if the engine had crashed before it was durable.
    pub(crate) forgets_trims: AtomicBool,
}

impl TestEngine {
    fn with<T>(&self, log: LogId, f: impl FnOnce(&mut Log) -> T) -> Result<T, EngineError> {
        self.logs.lock().unwrap().get_mut(&log).map(f).ok_or(EngineError::Missing)
    }

    /// A producer's record.
    pub(crate) fn produce(&self, data: &[u8]) {
        self.produce_to(DATA, data);
    }

    pub(crate) fn produce_to(&self, log: LogId, data: &[u8]) {
        let now = self.clock.now_ms();
        self.with(log, |log| {
            let arrival = log.tail().last_arrival.max(now);
            log.records.push(Stored { arrival, key: Vec::new(), data: data.to_vec() });
        })
        .unwrap();
        self.changes.send_modify(|n| *n += 1);
    }

    /// The same record, many times at once.
    pub(crate) fn produce_many(&self, count: u64, data: &[u8]) {
        let now = self.clock.now_ms();
        let record = Stored { arrival: now, key: Vec::new(), data: data.to_vec() };
        self.with(DATA, |log| log.records.extend((0..count).map(|_| record.clone()))).unwrap();
        self.changes.send_modify(|n| *n += 1);
    }

    pub(crate) fn lose_before(&self, offset: Offset) {
        self.with(DATA, |log| log.start = log.start.max(offset)).unwrap();
    }

    pub(crate) fn corrupt(&self, offsets: impl IntoIterator<Item = Offset>) {
        self.corrupt_in(DATA, offsets);
    }

    pub(crate) fn corrupt_in(&self, log: LogId, offsets: impl IntoIterator<Item = Offset>) {
        self.with(log, |log| log.corrupt.extend(offsets)).unwrap();
    }

    /// Damages what the last append to a log wrote.
    pub(crate) fn corrupt_end(&self, log: LogId) {
        let is_mark = |record: &Stored| crate::record::Envelope::is_mark(&record.key);
        let last = self.with(log, |log| {
            let before = log.records.iter().rev().skip(1).position(is_mark);
            before.map_or(0, |place| log.end() - 1 - place as Offset)..log.end()
        });
        self.corrupt_in(log, last.unwrap());
    }

    pub(crate) fn start_of(&self, log: LogId) -> Offset {
        self.with(log, |log| log.start).unwrap()
    }

    /// All logs, and what they hold.
    pub(crate) fn sizes(&self) -> BTreeMap<LogId, Tail> {
        self.logs.lock().unwrap().iter().map(|(id, log)| (*id, log.tail())).collect()
    }

    /// The control log's records, as JSON.
    pub(crate) fn control(&self) -> Vec<serde_json::Value> {
        self.with(CONTROL, |log| {
            log.records[log.start as usize..]
                .iter()
                .map(|record| {
                    assert_eq!(record.data[0], 2, "the version");
                    serde_json::from_slice(&record.data[1..]).unwrap()
                })
                .collect()
        })
        .unwrap()
    }

    fn append(&self, append: Append) -> Appended {
        assert!(append.batch.bytes().len() <= MAX_BATCH_BYTES, "no engine takes it");
        let now = self.clock.now_ms();
        let mut doubt = None;
        if append.log == CONTROL || append.log >= BLOCK.first {
            doubt = self.doubts.lock().unwrap().pop();
        }
        if doubt == Some(Doubt::LostAndUnknown) {
            return Appended::Unknown;
        }
        let appended = self.with(append.log, |log| {
            if let Expect::End(end) = append.expect
                && end != log.end()
            {
                return Appended::Moved { end: log.end() };
            }
            let first = log.end();
            let arrival = log.tail().last_arrival.max(now);
            log.records.extend(append.batch.records().map(|record| Stored {
                arrival,
                key: record.key.to_vec(),
                data: record.data.to_vec(),
            }));
            Appended::At { first, arrival }
        });
        self.changes.send_modify(|n| *n += 1);
        match doubt {
            Some(_) => Appended::Unknown,
            None => appended.unwrap_or(Appended::Missing),
        }
    }

    fn page(&self, request: ReadRequest) -> Result<Page, EngineError> {
        self.with(request.log, |log| {
            let mut next = request.from.max(log.start);
            let (mut chunks, mut bytes) = (Vec::new(), 0);
            while let Some(Stored { arrival, key, data }) = log.records.get(next as usize) {
                bytes += (key.len() + data.len()) as u64;
                let full = chunks.len() as u32 >= request.max_records || bytes > request.max_bytes;
                if !chunks.is_empty() && full {
                    break;
                }
                if log.corrupt.contains(&next) {
                    if chunks.is_empty() {
                        return Err(EngineError::Corrupt { file: "segment".into(), at: next });
                    }
                    break;
                }
                let batch = Batch::single(key, data);
                chunks.push(Chunk { first: next, arrival: *arrival, batch, skip: 0, take: 1 });
                next += 1;
            }
            self.largest_page.fetch_max(chunks.len() as u64, Ordering::SeqCst);
            Ok(Page { chunks, next, tail: log.tail() })
        })?
    }
}

impl Engine for TestEngine {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for append in appends {
                // Each stands for itself: a crash may come between two.
                self.fuse.step().await;
                if append.log == CONTROL && is_checkpoint(&append.batch) {
                    self.fuse.at(Failpoint::BeforeCheckpoint).await;
                }
                answers.push(self.append(append));
            }
            self.fuse.step().await;
            answers
        })
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        Box::pin(async move {
            self.fuse.step().await;
            if request.log == BLOCK.first {
                tokio::time::sleep(Duration::from_millis(self.sorting_ms.load(Ordering::SeqCst))).await;
            }
            self.page(request)
        })
    }

    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(async move {
            self.fuse.step().await;
            if log == DATA && self.is_away.load(Ordering::SeqCst) {
                return Err(EngineError::Unavailable("away".into()));
            }
            self.with(log, |log| log.tail())
        })
    }

    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(async move {
            let mut changes = self.changes.subscribe();
            loop {
                let tail = self.with(log, |log| log.tail())?;
                if tail.end > end {
                    return Ok(tail);
                }
                changes.changed().await.unwrap();
            }
        })
    }

    fn seek(&self, _: LogId, _: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        unreachable!("delivery never seeks")
    }

    fn seal(&self, _: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        unreachable!("delivery never seals")
    }

    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.fuse.step().await;
            if !self.forgets_trims.load(Ordering::SeqCst) {
                self.with(log, |log| log.start = log.start.max(before.min(log.end())))?;
            }
            self.fuse.step().await;
            Ok(())
        })
    }

    fn create(&self, specs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.fuse.step().await;
            for LogSpec { id, .. } in specs {
                let of_block = BLOCK.first.0..BLOCK.first.0 + u64::from(BLOCK.count) - 1;
                assert!(of_block.contains(&(id.0 % ANOTHER)), "{id:?}");
                self.logs.lock().unwrap().entry(id).or_default();
            }
            self.fuse.step().await;
            Ok(())
        })
    }

    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            logs.iter().for_each(|log| drop(self.logs.lock().unwrap().remove(log)));
            self.changes.send_modify(|n| *n += 1);
            Ok(())
        })
    }
}

/// Whether it says that a cut is done.
fn is_checkpoint(batch: &Batch) -> bool {
    let kind = |data: &[u8]| serde_json::from_slice::<serde_json::Value>(&data[1..]).unwrap()["type"].clone();
    batch.records().any(|record| kind(record.data) == "Done")
}

/// How the store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Refuses at once.
    Away,
    /// Keeps the object, but says that it did not.
    StoresAndFails,
    /// Never answers.
    Silent,
    /// Never answers, and keeps what it was given, as a blocking call does that hangs.
    Stuck,
}

pub(crate) struct TestSink {
    /// All contents that were ever put under a key.
    pub(crate) puts: Mutex<BTreeMap<String, Vec<Object>>>,
    pub(crate) attempts: AtomicU64,
    mood: Mutex<Mood>,
    /// Of the bucket [`SWAMP`].
    pub(crate) swamp: Mutex<Mood>,
    /// Keys and lengths of what puts that hang keep.
    pub(crate) stuck: Arc<Mutex<Vec<(String, usize)>>>,
    release: watch::Sender<()>,
    /// Set to the first key that is put; that one is refused from then on.
    refused: Mutex<Option<String>>,
    /// Keys that begin so are never taken.
    pub(crate) refused_prefix: Mutex<Option<&'static str>>,
    refuses_first: AtomicBool,
    fuse: Arc<Fuse>,
    in_flight: AtomicU64,
    pub(crate) most_in_flight: AtomicU64,
    /// Puts that somebody waits for although no answer will come.
    waiting: AtomicU64,
    pub(crate) most_waiting: AtomicU64,
}

impl TestSink {
    pub(crate) fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Puts that hang end now.
    pub(crate) fn release(&self) {
        self.release.send_replace(());
    }

    async fn wait_in_vain(&self) -> Result<(), SinkError> {
        struct Waiting<'a>(&'a AtomicU64);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let now = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_waiting.fetch_max(now, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        std::future::pending().await
    }

    fn keep(&self, object: Object) {
        self.stuck.lock().unwrap().push((object.key.clone(), object.body.len()));
        let (stuck, mut released) = (Arc::clone(&self.stuck), self.release.subscribe());
        tokio::spawn(async move {
            // All of it, the body too.
            let object = object;
            let _ = released.changed().await;
            stuck.lock().unwrap().retain(|(key, _)| *key != object.key);
        });
    }

    fn mood_for(&self, object: &Object) -> Mood {
        match object.bucket.as_str() {
            SWAMP => *self.swamp.lock().unwrap(),
            _ if self.is_refused(&object.key) => Mood::Away,
            _ => *self.mood.lock().unwrap(),
        }
    }

    /// The next key that is put is never taken.
    pub(crate) fn refuse_first_key(&self) {
        self.refuses_first.store(true, Ordering::SeqCst);
    }

    fn is_refused(&self, key: &str) -> bool {
        if self.refused_prefix.lock().unwrap().is_some_and(|prefix| key.starts_with(prefix)) {
            return true;
        }
        self.refuses_first.load(Ordering::SeqCst)
            && self.refused.lock().unwrap().get_or_insert_with(|| key.to_owned()) == key
    }
}

impl Sink for TestSink {
    fn put(&self, object: Object) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            self.fuse.step().await;
            self.fuse.at(Failpoint::BeforeUpload).await;
            self.attempts.fetch_add(1, Ordering::SeqCst);
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_in_flight.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            let mood = self.mood_for(&object);
            if matches!(mood, Mood::Well | Mood::StoresAndFails) {
                // A copy, because what holds the body holds its memory.
                let body = bytes::Bytes::copy_from_slice(&object.body);
                let kept = Object { body, attempt: Attempt::default(), ..object };
                self.puts.lock().unwrap().entry(kept.key.clone()).or_default().push(kept);
            } else if mood == Mood::Stuck {
                self.keep(object);
            }
            self.fuse.at(Failpoint::AfterUpload).await;
            self.fuse.step().await;
            match mood {
                Mood::Well => Ok(()),
                Mood::Silent | Mood::Stuck => self.wait_in_vain().await,
                Mood::Away | Mood::StoresAndFails => Err(SinkError::Unavailable("down".into())),
            }
        })
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) engine: Arc<TestEngine>,
    pub(crate) sink: Arc<TestSink>,
    pub(crate) fuse: Arc<Fuse>,
    pub(crate) random: SimRandom,
    pub(crate) tuning: Tuning,
    pub(crate) config: Config,
    pub(crate) config_version: u64,
    pub(crate) block: Option<Block>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Arc::new(TestClock { start: Instant::now(), moved_ms: AtomicU64::new(0) });
        let fuse = Arc::new(Fuse::default());
        fuse.disarm();
        let engine = TestEngine {
            logs: Mutex::new([DATA, CONTROL, SWAMP_DATA, SWAMP_CONTROL].map(|log| (log, Log::default())).into()),
            changes: watch::channel(0).0,
            clock: Arc::clone(&clock),
            fuse: Arc::clone(&fuse),
            doubts: Mutex::default(),
            largest_page: AtomicU64::new(0),
            sorting_ms: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            forgets_trims: AtomicBool::new(false),
        };
        let sink = TestSink {
            puts: Mutex::default(),
            attempts: AtomicU64::new(0),
            mood: Mutex::new(Mood::Well),
            swamp: Mutex::new(Mood::Silent),
            stuck: Arc::default(),
            release: watch::channel(()).0,
            refused: Mutex::default(),
            refused_prefix: Mutex::default(),
            refuses_first: AtomicBool::new(false),
            fuse: Arc::clone(&fuse),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            most_waiting: AtomicU64::new(0),
        };
        Self {
            clock,
            engine: Arc::new(engine),
            sink: Arc::new(sink),
            fuse,
            random: SimRandom::new(seed),
            tuning: Tuning::default(),
            config: config(1, 60),
            config_version: 1,
            block: Some(BLOCK),
        }
    }

    pub(crate) fn delivery(&self) -> Delivery {
        Delivery::new(Env {
            engine: Arc::clone(&self.engine) as Arc<dyn Engine>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            random: Arc::new(self.random.clone()),
            sink: Arc::clone(&self.sink) as Arc<dyn Sink>,
            blocking: Blocking::Inline,
            tuning: self.tuning.clone(),
        })
    }

    fn spec(&self) -> Spec {
        Spec {
            name: "orders".into(),
            data: DATA,
            control: CONTROL,
            block: self.block,
            config: self.config.clone(),
            config_version: self.config_version,
            backlog_quota_bytes: 10_000,
        }
    }

    /// Both delivery streams, on one node.
    pub(crate) fn start_with_swamp(&self) -> (Handle, Handle) {
        let delivery = self.delivery();
        let config = Config::s3(Bucketing { bucket: SWAMP.into(), ..bucketing(&self.config) });
        let swamp =
            Spec { name: SWAMP.into(), data: SWAMP_DATA, control: SWAMP_CONTROL, block: None, config, ..self.spec() };
        (delivery.start(self.spec()), delivery.start(swamp))
    }

    pub(crate) fn start(&self) -> Handle {
        self.delivery().start(self.spec())
    }

    /// One of many delivery streams of a node, from 1 on, with its data log.
    pub(crate) fn start_another(&self, delivery: &Delivery, n: u64, config: Config) -> (Handle, LogId) {
        let log = |log: LogId| LogId(log.0 + n * ANOTHER);
        let (data, control) = (log(DATA), log(CONTROL));
        self.engine.logs.lock().unwrap().extend([data, control].map(|log| (log, Log::default())));
        let block = Some(Block { first: log(BLOCK.first), ..BLOCK });
        let name = format!("stream-{n}").into();
        (delivery.start(Spec { name, data, control, block, config, ..self.spec() }), data)
    }

    /// Size of the future that a worker is.
    pub(crate) fn worker_bytes(&self) -> usize {
        let (_, commands) = tokio::sync::mpsc::unbounded_channel();
        let worker = Worker::new(self.delivery().shared(), self.spec(), Arc::default(), Arc::default(), commands);
        size_of_val(&worker.run())
    }

    /// What stands in the bucket, in the order of cuts as far as the records tell: by first record. Fails if an
    /// object was ever rewritten with other bytes.
    pub(crate) fn objects(&self) -> Vec<String> {
        let mut objects = Vec::new();
        for (key, puts) in self.sink.puts.lock().unwrap().iter() {
            assert!(puts.iter().all(|put| *put == puts[0]), "{key} was rewritten with other content");
            objects.push(content(&puts[0]));
        }
        objects.sort();
        objects
    }

    /// Fails unless the bucket holds exactly the records `0..count` of [`record`], each once.
    pub(crate) fn assert_delivered(&self, count: u64) {
        let wanted: String = (0..count).map(record).collect();
        let got = self.objects().concat();
        let numbers = |text: &str| text.split_terminator('\n').map(|r| r[..8].to_owned()).collect::<Vec<_>>();
        assert_eq!(numbers(&got), numbers(&wanted));
        assert!(got == wanted, "same numbers, other bytes");
    }
}

pub(crate) fn config(size_mib: u32, interval_s: u32) -> Config {
    let layout = KeyLayout::new(&LayoutSpec::default()).unwrap();
    let compression = Compression::Uncompressed;
    let (bucket, delimiter) = ("lake".into(), Delimiter::None);
    Config::s3(Bucketing { bucket, layout, compression, delimiter, buffering: Buffering { size_mib, interval_s } })
}

pub(crate) fn bucketing(config: &Config) -> Bucketing {
    config.errors().clone()
}

/// The same, compressed.
pub(crate) fn compressed(config: &Config, compression: Compression) -> Config {
    Config::s3(Bucketing { compression, ..bucketing(config) })
}

/// A record that says its number and ends with a newline; 50 to 150 KiB long, so that about ten make a mebibyte.
pub(crate) fn record(n: u64) -> String {
    let filler = "abcdefghij".repeat(5_000 + (n as usize * 7_919) % 10_000);
    format!("{n:08} {filler}\n")
}

pub(crate) fn content(object: &Object) -> String {
    use std::io::Read;
    let mut text = String::new();
    match object.content_encoding {
        None => text = String::from_utf8(object.body.to_vec()).unwrap(),
        Some(encoding) => {
            assert_eq!(encoding, "gzip");
            flate2::read::GzDecoder::new(&object.body[..]).read_to_string(&mut text).unwrap();
        }
    }
    text
}
