//! A world in memory: logs on a cluster that may have bad days, a data stream that can be split and merged, and a pump
//! that can die at any step. Time is tokio's, which tests pause.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use levada_core::batch::BatchBuilder;
use levada_core::engine::checked::CheckedLog;
use levada_core::engine::checked::unreliable::{Faults, UnreliableLog};
use levada_core::engine::{
    Append, Appended, BoxFuture, Engine, EngineError, Expect, LogId, LogSpec, Millis, Offset, Page, ReadRequest,
    Sealed, Tail,
};
use levada_core::env::Clock;
use levada_core::env::sim::SimRandom;
use levada_core::hash_range::HashKeyRange;
use levada_core::shard::{Closed, Shard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backlog::{Backlog, Reservation};
use crate::process::tests::kpl::aggregate;
use crate::record::{Envelope, Origin};
use crate::source::{Pump, PumpSpec, Pumps, Room, Source};

const DATA: LogId = LogId(1);
const POSITIONS: LogId = LogId(2);
/// Shard 0's log; the others follow.
const SHARDS: u64 = 100;
pub(super) const LIFE: u64 = 7;
const START: Millis = 1_783_951_509_000;

/// tokio's time.
struct TestClock(Instant);

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        START + self.monotonic().as_millis() as u64
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Counts the steps of one pump's engine; at the chosen one everything stands still, as in a process that was killed.
#[derive(Default)]
pub(super) struct Fuse {
    pub(super) steps: AtomicU64,
    burns_at: u64,
    pub(super) burnt: AtomicBool,
    /// Each step takes a while.
    lag: Option<SimRandom>,
}

/// The engine of one pump.
struct Fused {
    inner: CheckedLog,
    fuse: Arc<Fuse>,
}

impl Fused {
    async fn step(&self) {
        if self.fuse.steps.fetch_add(1, Ordering::SeqCst) >= self.fuse.burns_at {
            self.fuse.burnt.store(true, Ordering::SeqCst);
            std::future::pending().await
        }
        if let Some(lag) = &self.fuse.lag {
            tokio::time::sleep(Duration::from_millis(lag.below(60))).await;
        }
    }
}

impl Engine for Fused {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        Box::pin(async move {
            self.step().await;
            let appended = self.inner.append_many(appends).await;
            self.step().await;
            appended
        })
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        Box::pin(async move {
            self.step().await;
            self.inner.read(request).await
        })
    }

    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(async move {
            self.step().await;
            self.inner.tail(log).await
        })
    }

    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        self.inner.grown(log, end)
    }

    fn seek(&self, _: LogId, _: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        unreachable!("a pump never seeks")
    }

    fn seal(&self, _: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        unreachable!("a pump never seals")
    }

    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.step().await;
            self.inner.trim(log, before).await
        })
    }

    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        self.inner.create(logs)
    }

    fn delete(&self, _: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        unreachable!("a pump never deletes")
    }
}

/// The data stream as the pump sees it.
#[derive(Default)]
pub(super) struct Stream {
    /// `None` once it is deleted.
    shards: Mutex<Option<Vec<Arc<Shard>>>>,
    changed: Notify,
    /// One read of so many is refused; 0 for none.
    pub(super) refuses: AtomicU32,
    asked: AtomicU32,
    pub(super) pace_ms: AtomicU64,
    pub(super) held: AtomicBool,
    /// When each shard was read, in ms.
    pub(super) reads: Mutex<Vec<(u32, u128)>>,
    pub(super) found: AtomicU64,
    start: Mutex<Option<Instant>>,
}

impl Stream {
    fn with<T>(&self, change: impl FnOnce(&mut Vec<Arc<Shard>>) -> T) -> T {
        let changed = change(self.shards.lock().unwrap().as_mut().unwrap());
        self.changed.notify_waiters();
        changed
    }

    pub(super) fn delete(&self) {
        *self.shards.lock().unwrap() = None;
        self.changed.notify_waiters();
    }

    pub(super) fn expire(&self, gone: &[u32]) {
        self.with(|shards| shards.retain(|shard| !gone.contains(&shard.index)));
    }
}

impl Source for Stream {
    fn shards(&self, life: u64) -> Option<Vec<Arc<Shard>>> {
        self.shards.lock().unwrap().clone().filter(|_| life == LIFE)
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // Between two calls something may have changed.
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
            }
        })
    }

    fn admit(&self, shard: u32) -> bool {
        let start = *self.start.lock().unwrap().get_or_insert_with(Instant::now);
        let every = self.refuses.load(Ordering::SeqCst);
        let admitted = every == 0 || !self.asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(every);
        if admitted {
            self.reads.lock().unwrap().push((shard, start.elapsed().as_millis()));
        }
        admitted
    }

    fn found(&self, _: u32, records: u64, _: u64, _: u64) {
        self.found.fetch_add(records, Ordering::SeqCst);
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(self.pace_ms.load(Ordering::SeqCst))
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }
}

/// A backlog whose worker never looks.
pub(super) struct Quota {
    backlog: Arc<Backlog>,
    pub(super) bytes: AtomicU64,
}

impl Room for Quota {
    fn reserve(&self, encoded_bytes: u64) -> Option<Reservation> {
        self.backlog.reserve(encoded_bytes, self.bytes.load(Ordering::SeqCst))
    }
}

pub(super) struct World {
    seed: u64,
    /// Whether each step of the pumps that are started takes a while.
    pub(super) lags: bool,
    cluster: Arc<UnreliableLog>,
    clock: Arc<TestClock>,
    pub(super) random: SimRandom,
    pub(super) stream: Arc<Stream>,
    pub(super) quota: Arc<Quota>,
    /// The producers' engine, which never gives up.
    pub(super) producer: Arc<CheckedLog>,
    writers: AtomicU64,
    /// What was put into each shard since the delivery stream began.
    pub(super) put: BTreeMap<u32, Vec<String>>,
    records: u64,
}

impl World {
    /// A data stream of so many shards, each with some records.
    pub(super) async fn new(seed: u64, faults: Faults, shards: u32) -> Self {
        let cluster = Arc::new(UnreliableLog::new(faults, seed));
        let clock = Arc::new(TestClock(Instant::now()));
        let producer = CheckedLog::new(Arc::clone(&cluster), Arc::clone(&clock) as Arc<dyn Clock>, 1, 500);
        let quota = Quota { backlog: Arc::default(), bytes: AtomicU64::new(u64::MAX) };
        let mut world = Self {
            seed,
            lags: false,
            cluster,
            clock,
            random: SimRandom::new(seed),
            stream: Arc::default(),
            quota: Arc::new(quota),
            producer: Arc::new(producer),
            writers: AtomicU64::new(1),
            put: BTreeMap::new(),
            records: 0,
        };
        *world.stream.shards.lock().unwrap() = Some(Vec::new());
        world.create(vec![DATA]).await;
        for index in 0..shards {
            world.list(index, &[]).await;
            world.create(vec![world.log(index)]).await;
            world.put(index, 2).await;
        }
        world
    }

    pub(super) fn log(&self, shard: u32) -> LogId {
        LogId(SHARDS + u64::from(shard))
    }

    pub(super) async fn create(&self, logs: Vec<LogId>) {
        let spec = |id| LogSpec { id, class: 0, floor: 0 };
        self.producer.create(logs.into_iter().map(spec).collect()).await.unwrap();
    }

    /// Lists a shard; its log is not there yet.
    pub(super) async fn list(&self, index: u32, parents: &[u32]) {
        let shard = Shard {
            index,
            range: HashKeyRange { start: 0, end: u128::MAX },
            parents: parents.to_vec(),
            created_secs: START / 1000,
            log: self.log(index),
            floor: 0,
            closed: None,
        };
        self.stream.with(|shards| shards.push(Arc::new(shard)));
    }

    /// Says that a shard's log is sealed.
    pub(super) fn say_closed(&self, index: u32) {
        self.stream.with(|shards| {
            let shard = shards.iter_mut().find(|shard| shard.index == index).unwrap();
            let at_ms = self.clock.now_ms();
            let closed = Closed { secs: at_ms / 1000, at_ms, children: Vec::new(), sealed: true };
            Arc::make_mut(shard).closed = Some(closed);
        });
    }

    /// Puts `count` records into a shard.
    pub(super) async fn put(&mut self, shard: u32, count: u64) {
        let mut batch = BatchBuilder::default();
        for _ in 0..count {
            let filler = "x".repeat(self.random.below(200) as usize);
            let data = format!("{} {filler}", self.records);
            self.records += 1;
            batch.push(format!("key {}", self.records).as_bytes(), data.as_bytes());
            self.put.entry(shard).or_default().push(data);
        }
        self.append(shard, batch).await;
    }

    /// Puts a record that is an aggregate of `count`.
    pub(super) async fn put_aggregate(&mut self, shard: u32, count: u64) {
        let data: Vec<_> = (0..count).map(|place| format!("{} inner", self.records + place)).collect();
        self.records += count;
        let records: Vec<_> = data.iter().map(|data| (data.as_str(), data.as_bytes())).collect();
        let mut batch = BatchBuilder::default();
        batch.push(b"a", &aggregate(&records));
        self.put.entry(shard).or_default().extend(data);
        self.append(shard, batch).await;
    }

    /// Puts a record of so many bytes.
    pub(super) async fn put_large(&mut self, shard: u32, bytes: usize) {
        let data = format!("{:08} {}", self.records, "y".repeat(bytes));
        self.records += 1;
        let mut batch = BatchBuilder::default();
        batch.push(b"large", data.as_bytes());
        self.put.entry(shard).or_default().push(data);
        self.append(shard, batch).await;
    }

    async fn append(&self, shard: u32, batch: BatchBuilder) {
        let append = Append { log: self.log(shard), expect: Expect::Tail, batch: batch.finish().unwrap() };
        let outcome = self.producer.append_many(vec![append]).await.pop();
        assert!(matches!(outcome, Some(Appended::At { .. })), "{outcome:?}");
    }

    /// Seals parents, with pauses, and lets children take over, in the order in which a node does it.
    pub(super) async fn reshard(&mut self, parents: &[u32], children: &[u32]) {
        for child in children {
            self.list(*child, parents).await;
        }
        self.pause().await;
        for parent in parents {
            let _ = self.producer.seal(self.log(*parent)).await.unwrap();
            self.pause().await;
        }
        self.create(children.iter().map(|child| self.log(*child)).collect()).await;
        self.pause().await;
        parents.iter().for_each(|parent| self.say_closed(*parent));
    }

    pub(super) async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(self.random.below(400))).await;
    }

    fn spec(&self) -> PumpSpec {
        PumpSpec { name: "orders".into(), data: DATA, positions: POSITIONS, class: 0 }
    }

    fn pumps(&self, burns_at: u64, attempts: u32) -> (Pumps, Arc<Fuse>) {
        let writer = self.writers.fetch_add(1, Ordering::SeqCst) + 1;
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let inner = CheckedLog::new(Arc::clone(&self.cluster), clock, writer, attempts);
        let lag = self.lags.then(|| self.random.fork());
        let fuse = Arc::new(Fuse { burns_at, lag, ..Fuse::default() });
        let engine = Fused { inner, fuse: Arc::clone(&fuse) };
        (Pumps::new(Arc::new(engine), Arc::new(self.random.fork())), fuse)
    }

    /// The delivery stream begins here.
    pub(super) async fn begin(&mut self) {
        let (pumps, _) = self.pumps(u64::MAX, 500);
        let shards = self.stream.shards(LIFE).unwrap();
        pumps.fix_start(&self.spec(), LIFE, &shards).await.unwrap();
        self.put.clear();
    }

    /// A pump in a process of its own, which dies at a step of its engine.
    pub(super) fn start(&self, burns_at: u64, attempts: u32) -> (Pump, Arc<Fuse>) {
        let (pumps, fuse) = self.pumps(burns_at, attempts);
        let source: Arc<dyn Source> = Arc::clone(&self.stream) as Arc<_>;
        (pumps.start(self.spec(), source, Arc::clone(&self.quota) as Arc<_>), fuse)
    }

    pub(super) fn start_well(&self) -> Pump {
        self.start(u64::MAX, 500).0
    }

    /// What stands in the data log, in its order.
    pub(super) async fn copied(&self) -> Vec<(Millis, Origin, String)> {
        self.settle(DATA).await;
        let request = ReadRequest { log: DATA, from: 0, max_records: u32::MAX, max_bytes: u64::MAX };
        let page = self.producer.read(request).await.unwrap();
        let mut copied = Vec::new();
        for chunk in &page.chunks {
            for (_, record) in chunk.records() {
                let Ok(Envelope::Source { arrival, origin }) = Envelope::decode(record.key) else { panic!() };
                copied.push((arrival, origin, String::from_utf8(record.data.to_vec()).unwrap()));
            }
        }
        copied
    }

    /// A reader that wrote nothing may see an old state; one that begins anew does not.
    async fn settle(&self, log: LogId) {
        for _ in 0..20 {
            let _ = self.producer.tail(log).await.unwrap();
        }
    }

    pub(super) async fn positions_bytes(&self) -> u64 {
        self.settle(POSITIONS).await;
        self.producer.tail(POSITIONS).await.unwrap().end
    }

    /// How many records were put since the beginning.
    pub(super) fn put_count(&self) -> usize {
        self.put.values().map(Vec::len).sum()
    }

    /// Waits until as many records are copied as were put.
    pub(super) async fn wait_until_copied(&self) {
        for _ in 0..1_000 {
            if self.copied().await.len() >= self.put_count() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let (copied, put) = (self.copied().await.len(), self.put_count());
        panic!("seed {}: {copied} records of {put} were copied", self.seed);
    }

    /// Each record that was put stands in the data log once, in the order of its shard, behind all of the shard's
    /// parents, with its own arrival and number.
    pub(super) async fn assert_copied(&self, parents: &BTreeMap<u32, Vec<u32>>) {
        let copied = self.copied().await;
        let mut by_shard: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        let mut last: BTreeMap<u32, (Millis, (String, u64))> = BTreeMap::new();
        let mut ended: BTreeSet<u32> = BTreeSet::new();
        for (arrival, origin, data) in copied {
            let shard: u32 = origin.shard_id.strip_prefix("shardId-").unwrap().parse().unwrap();
            assert!(!ended.contains(&shard), "shard {shard} goes on behind its child");
            ended.extend(parents.get(&shard).into_iter().flatten());
            let number = (origin.sequence_number.clone(), origin.sub_sequence_number);
            let before = last.insert(shard, (arrival, number.clone()));
            if let Some((was, before)) = before {
                assert!(
                    was <= arrival && before < number,
                    "seed {} shard {shard}: {was} {before:?} {arrival} {number:?} {data}",
                    self.seed
                );
            }
            if data.ends_with("inner") {
                assert_eq!(origin.partition_key, data, "of the aggregate's own");
            } else {
                assert_eq!(origin.sub_sequence_number, 0);
            }
            by_shard.entry(shard).or_default().push(data);
        }
        let put: BTreeMap<_, _> = self.put.iter().filter(|(_, put)| !put.is_empty()).collect();
        assert_eq!(by_shard.keys().collect::<Vec<_>>(), put.keys().copied().collect::<Vec<_>>());
        for (shard, put) in put {
            let short = |text: &String| text.chars().take(12).collect::<String>();
            let (got, wanted): (Vec<_>, Vec<_>) =
                (by_shard[shard].iter().map(short).collect(), put.iter().map(short).collect());
            assert_eq!(got, wanted, "shard {shard}, seed {}", self.seed);
            assert!(by_shard[shard] == *put, "shard {shard}: same numbers, other bytes");
        }
    }
}
