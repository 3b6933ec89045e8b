//! What goes through each shard: how much it may still take and give now, and how much it took and gave.
//!
//! **Writing.** A shard has three buckets. Each record takes one from `write_records` (1,000/s) and its bytes from
//! `write_burst` (which holds ten seconds of the rate, 10 MiB); an ordinary record, of 1 MiB at most, takes its bytes
//! from `write_bytes` too (which holds one second, 1 MiB). So ordinary records never exceed the rate by more than one
//! second of it, and a larger one, on streams whose `MaxRecordSizeInKiB` admits it, may go ahead of the rate by what the
//! shard has not used in the last ten seconds. Afterwards the shard takes ordinary records as fast as the burst comes
//! back. That is how AWS describes large records (developer guide, "Handle large records": a tank that refills at the
//! shard's rate, bursts up to 10 MiB, 1 MiB/s on average); how far the two are coupled there is not known.
//!
//! Records of one call are admitted in request order, each for itself: one that is refused takes nothing, and a smaller
//! one after it may still fit. AWS promises no more (API reference, `PutRecords`: a failed record does not stop those
//! after it, and order is not guaranteed).
//!
//! What was admitted stays taken if the append fails afterwards: the shard was asked to do the work, and a disk that
//! fails is not helped by more of it.
//!
//! **Reading.** A `GetRecords` call takes one of 5 calls a second, and is refused while the shard's bytes are in debt:
//! what a call returns is known only when it has been read, and becomes debt that the next calls wait for. After
//! 10 MiB that is 5 s, as the API reference of `GetRecords` says. Calls that run at the same time may all add to it.
//!
//! **Counting.** Totals and minutes serve enhanced monitoring and on-demand scaling. With `--limits open` only streams
//! that use one of them are counted: nothing else would read it, and other streams' puts must cost no more than a branch.
//! Of on-demand streams what was offered is counted, too, by parts of the shards' ranges, whether or not it was taken.
//!
//! A shard has no state here before its first call.

mod offered;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use levada_core::catalog::{Stream, StreamMode};
use levada_core::env::Clock;
use levada_core::scaling::Sample;
use levada_core::shard::ShardId;
use levada_core::throttle::{Bucket, Limit};

use self::offered::Offered;
use crate::config::{Limits, ORDINARY_RECORD_BYTES, ShardLimits};

/// Complete minutes with traffic that a shard remembers.
const MINUTES: usize = 8;

/// The traffic of a node.
pub struct Traffic {
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// Time since the Unix epoch when the monotonic clock stood at zero, as it seemed at the start.
    epoch: Duration,
    streams: RwLock<HashMap<u64, Arc<Shards>>>,
}

/// The shards of one stream.
#[derive(Default)]
struct Shards {
    /// Those that have been used.
    used: RwLock<BTreeMap<ShardId, Mutex<ShardTraffic>>>,
    /// Which comes next where the service chooses.
    turn: AtomicU64,
}

/// Records that want to go to one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    records: u64,
    ordinary_bytes: u64,
    large_bytes: u64,
}

impl Demand {
    /// One record of so many bytes, its key included.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let mut demand = Self::default();
        demand.add(bytes);
        demand
    }

    /// Adds a record of so many bytes, its key included.
    pub fn add(&mut self, bytes: u64) {
        self.records += 1;
        if bytes <= ORDINARY_RECORD_BYTES {
            self.ordinary_bytes += bytes;
        } else {
            self.large_bytes += bytes;
        }
    }

    /// Bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ordinary_bytes + self.large_bytes
    }

    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }
}

/// Which records of a call a shard takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// All of them.
    All,
    /// Those for which this is true, in request order; at least one is not.
    Some(Vec<bool>),
}

/// What went through a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes of keys and data put (`IncomingBytes`).
    pub bytes_in: u64,
    /// Records put (`IncomingRecords`).
    pub records_in: u64,
    /// Bytes of keys and data that `GetRecords` returned (`OutgoingBytes`).
    pub bytes_out: u64,
    /// Records that `GetRecords` returned (`OutgoingRecords`).
    pub records_out: u64,
    /// Records refused because of the shard's rate (`WriteProvisionedThroughputExceeded`).
    pub writes_refused: u64,
    /// `GetRecords` calls refused because of the shard's rate (`ReadProvisionedThroughputExceeded`).
    pub reads_refused: u64,
}

/// What went through a shard in one minute; puts whether or not their append failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Minutes since the Unix epoch at its beginning.
    pub minute: u64,
    /// The traffic.
    pub load: Load,
}

/// One shard's traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardLoad {
    /// The shard.
    pub shard: ShardId,
    /// Since the node started.
    pub total: Load,
    /// The last complete minutes with traffic, oldest first.
    pub minutes: Vec<Minute>,
    /// How far behind the shard's tip the last `GetRecords` call ended, in ms (`IteratorAgeMilliseconds`).
    pub iterator_age_ms: Option<u64>,
}

impl Traffic {
    /// No traffic yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let epoch = Duration::from_millis(clock.now_ms()).saturating_sub(clock.monotonic());
        Self { clock, limits, epoch, streams: RwLock::default() }
    }

    /// The way through a stream's shards. `None` if everything may pass and nobody counts it.
    #[must_use]
    pub fn of(&self, stream: &Stream) -> Option<StreamTraffic<'_>> {
        let limits = self.limits.of(&stream.name);
        if limits.is_none() && stream.mode == StreamMode::Provisioned && stream.monitoring.is_empty() {
            return None;
        }
        let found = self.streams.read().unwrap_or_else(PoisonError::into_inner).get(&stream.incarnation).cloned();
        let shards = found.unwrap_or_else(|| {
            let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(streams.entry(stream.incarnation).or_default())
        });
        Some(StreamTraffic { traffic: self, limits, shards })
    }

    /// How fast each consumer with enhanced fan-out is served from each shard of a stream, in bytes of keys and data;
    /// `None` is as fast as it can be.
    #[must_use]
    pub fn fan_out(&self, stream: &Stream) -> Option<Limit> {
        self.limits.of(&stream.name).map(|limits| limits.fan_out_bytes)
    }

    /// What went through the shards of a stream, in their order; those without traffic since the start are left out.
    #[must_use]
    pub fn loads(&self, stream: &Stream) -> Vec<ShardLoad> {
        let found = self.streams.read().unwrap_or_else(PoisonError::into_inner).get(&stream.incarnation).cloned();
        let Some(shards) = found else { return Vec::new() };
        let now = self.minute(self.clock.monotonic());
        let shards = shards.used.read().unwrap_or_else(PoisonError::into_inner);
        let load = |(&shard, traffic): (&ShardId, &Mutex<ShardTraffic>)| {
            let traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
            let current = Some(traffic.current).filter(|minute| minute.minute < now && minute.load != Load::default());
            let minutes = traffic.past.iter().copied().chain(current).collect();
            ShardLoad { shard, total: traffic.total, minutes, iterator_age_ms: traffic.iterator_age_ms }
        };
        shards.iter().map(load).collect()
    }

    /// What the shards of an on-demand stream were offered in each complete minute with traffic from `from` on (minutes
    /// since the Unix epoch), by index of the shard. The last 8 of each shard are known.
    #[must_use]
    pub fn offered(&self, stream: &Stream, from: u64) -> BTreeMap<u64, BTreeMap<u32, Sample>> {
        let found = self.streams.read().unwrap_or_else(PoisonError::into_inner).get(&stream.incarnation).cloned();
        let mut minutes: BTreeMap<u64, BTreeMap<u32, Sample>> = BTreeMap::new();
        let Some(shards) = found else { return minutes };
        let now = self.minute(self.clock.monotonic());
        for (shard, traffic) in shards.used.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
            for (minute, sample) in traffic.offered.iter().flat_map(|offered| offered.between(from, now)) {
                minutes.entry(minute).or_default().insert(shard.0, sample);
            }
        }
        minutes
    }

    /// The time by which minutes are counted here: milliseconds since the Unix epoch, if nobody has set the wall clock
    /// since the start.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from((self.epoch + self.clock.monotonic()).as_millis()).unwrap_or(u64::MAX)
    }

    /// Forgets a deleted stream.
    pub fn forget(&self, incarnation: u64) {
        self.streams.write().unwrap_or_else(PoisonError::into_inner).remove(&incarnation);
    }

    /// Forgets what is not in these streams: expired shards, and deleted streams that a last call brought back.
    pub fn retain<'a>(&self, existing: impl Iterator<Item = &'a Arc<Stream>>) {
        let existing: HashMap<u64, &Stream> = existing.map(|stream| (stream.incarnation, stream.as_ref())).collect();
        self.streams.write().unwrap_or_else(PoisonError::into_inner).retain(|incarnation, shards| {
            let Some(stream) = existing.get(incarnation) else { return false };
            let mut shards = shards.used.write().unwrap_or_else(PoisonError::into_inner);
            shards.retain(|&shard, _| stream.shards.get(shard).is_some());
            true
        });
    }

    fn minute(&self, now: Duration) -> u64 {
        (self.epoch + now).as_secs() / 60
    }
}

/// The way through one stream's shards.
pub struct StreamTraffic<'t> {
    traffic: &'t Traffic,
    limits: Option<&'t ShardLimits>,
    shards: Arc<Shards>,
}

impl StreamTraffic<'_> {
    /// Admits the records of one call to one shard. `sizes` tells the bytes of each, in request order; it is asked only
    /// if they do not all fit.
    pub fn put(&self, shard: ShardId, demand: &Demand, sizes: impl FnOnce() -> Vec<u64>) -> Admitted {
        self.with(shard, |traffic, now| traffic.put(demand, now, sizes))
    }

    /// Admits one record of so many bytes to a shard.
    #[must_use]
    pub fn put_one(&self, shard: ShardId, bytes: u64) -> bool {
        self.put(shard, &Demand::of(bytes), Vec::new) == Admitted::All
    }

    /// Counts what an on-demand stream's shard was offered, taken or not.
    pub fn offered(&self, shard: ShardId, sample: &Sample) {
        let minute = self.traffic.minute(self.traffic.clock.monotonic());
        self.with(shard, |traffic, _| traffic.offered.get_or_insert_default().add(minute, sample));
    }

    /// A number that is one more each time: whose turn it is, where the service chooses the shard.
    #[must_use]
    pub fn turn(&self) -> u64 {
        self.shards.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts admitted records as not put after all: their append failed.
    pub fn failed(&self, shard: ShardId, records: u64, bytes: u64) {
        self.with(shard, |traffic, _| {
            let total = &mut traffic.total;
            total.records_in = total.records_in.saturating_sub(records);
            total.bytes_in = total.bytes_in.saturating_sub(bytes);
        });
    }

    /// Admits a `GetRecords` call.
    #[must_use]
    pub fn get(&self, shard: ShardId) -> bool {
        self.with(shard, |traffic, now| {
            let admitted = match &mut traffic.gate {
                Some(gate) => !gate.read_bytes.in_debt(now) && gate.read_calls.take(1, now),
                None => true,
            };
            if !admitted {
                traffic.count(|load| load.reads_refused += 1);
            }
            admitted
        })
    }

    /// Counts what an admitted `GetRecords` call returned, and takes it from the shard's bytes. It ended `behind_ms`
    /// behind the tip.
    pub fn got(&self, shard: ShardId, records: u64, bytes: u64, behind_ms: u64) {
        self.with(shard, |traffic, now| {
            traffic.iterator_age_ms = Some(behind_ms);
            if records == 0 {
                return;
            }
            if let Some(gate) = &mut traffic.gate {
                gate.read_bytes.take_in_debt(bytes, now);
            }
            traffic.count(|load| {
                load.records_out += records;
                load.bytes_out += bytes;
            });
        });
    }

    /// Admits a `GetShardIterator` call.
    #[must_use]
    pub fn iterator(&self, shard: ShardId) -> bool {
        self.with(shard, |traffic, now| traffic.gate.as_mut().is_none_or(|gate| gate.iterators.take(1, now)))
    }

    /// Does something with a shard's traffic as of now.
    fn with<R>(&self, shard: ShardId, then: impl FnOnce(&mut ShardTraffic, Duration) -> R) -> R {
        let now = self.traffic.clock.monotonic();
        let minute = self.traffic.minute(now);
        {
            let shards = self.shards.used.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(traffic) = shards.get(&shard) {
                let mut traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
                traffic.turn(minute);
                return then(&mut traffic, now);
            }
        }
        let mut shards = self.shards.used.write().unwrap_or_else(PoisonError::into_inner);
        let traffic = shards.entry(shard).or_insert_with(|| Mutex::new(ShardTraffic::new(self.limits, now)));
        let traffic = traffic.get_mut().unwrap_or_else(PoisonError::into_inner);
        traffic.turn(minute);
        then(traffic, now)
    }
}

/// One shard's buckets and counters.
struct ShardTraffic {
    /// `None` if nothing is limited.
    gate: Option<Gate>,
    total: Load,
    current: Minute,
    /// Complete minutes, oldest first.
    past: VecDeque<Minute>,
    /// Of an on-demand stream's shard.
    offered: Option<Box<Offered>>,
    iterator_age_ms: Option<u64>,
}

struct Gate {
    write_bytes: Bucket,
    write_burst: Bucket,
    write_records: Bucket,
    read_bytes: Bucket,
    read_calls: Bucket,
    iterators: Bucket,
}

impl ShardTraffic {
    fn new(limits: Option<&ShardLimits>, now: Duration) -> Self {
        let full = |limit| Bucket::full(limit, now);
        let gate = limits.map(|limits| Gate {
            write_bytes: full(limits.write_bytes),
            write_burst: full(limits.write_burst),
            write_records: full(limits.write_records),
            read_bytes: full(limits.read_bytes),
            read_calls: full(limits.read_calls),
            iterators: full(limits.iterators),
        });
        let (total, current, past) = (Load::default(), Minute::default(), VecDeque::new());
        Self { gate, total, current, past, offered: None, iterator_age_ms: None }
    }

    fn put(&mut self, demand: &Demand, now: Duration, sizes: impl FnOnce() -> Vec<u64>) -> Admitted {
        if self.admit(demand, now) {
            return Admitted::All;
        }
        if demand.records == 1 {
            return Admitted::Some(vec![false]);
        }
        Admitted::Some(sizes().into_iter().map(|bytes| self.admit(&Demand::of(bytes), now)).collect())
    }

    /// Takes what records need, all or nothing, and counts it; a refused single record is counted as refused.
    fn admit(&mut self, demand: &Demand, now: Duration) -> bool {
        let (records, bytes) = (demand.records, demand.bytes());
        let fits = self.gate.as_mut().is_none_or(|gate| {
            let fits = gate.write_records.has(records, now)
                && gate.write_bytes.has(demand.ordinary_bytes, now)
                && gate.write_burst.has(bytes, now);
            if fits {
                gate.write_records.take(records, now);
                gate.write_bytes.take(demand.ordinary_bytes, now);
                gate.write_burst.take(bytes, now);
            }
            fits
        });
        if fits {
            self.count(|load| {
                load.records_in += records;
                load.bytes_in += bytes;
            });
        } else if records == 1 {
            self.count(|load| load.writes_refused += 1);
        }
        fits
    }

    fn count(&mut self, add: impl Fn(&mut Load)) {
        add(&mut self.total);
        add(&mut self.current.load);
    }

    /// Begins a new minute if it is time.
    fn turn(&mut self, minute: u64) {
        if self.current.minute >= minute {
            return;
        }
        if self.current.load != Load::default() {
            if self.past.len() == MINUTES {
                self.past.pop_front();
            }
            self.past.push_back(self.current);
        }
        self.current = Minute { minute, load: Load::default() };
    }
}

#[cfg(test)]
mod tests;
