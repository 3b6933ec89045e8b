//! The pump: wait for records, gather them, write the plan, append them.
//!
//! ```text
//! loop  first  note shards that have grown, or were read to their ends,
//!       then   begin shards whose parents are done,
//!       then   wait: for the end, other shards, records, the time of the next round;
//! round        read shards whose turn it is into one batch, write the plan, append the batch.
//! ```
//!
//! As AWS's, the pump reads each shard at most once a second and counts against the shard's limits
//! ([`Source::pace`](super::Source::pace), [`Source::admit`](super::Source::admit)); without limits as fast as it can.
//! Unlike AWS's it does not read shards that have nothing new.
//!
//! Aggregates of the Kinesis Producer Library are taken apart here, before anything is kept, as AWS does it: source
//! backups, functions and destinations see the records that were in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levada_core::batch::{Batch, BatchBuilder, MAX_BATCH_BYTES, RECORD_HEADER_BYTES};
use levada_core::engine::{
    Append, Appended, Chunk, Engine, EngineError, Expect, Millis, Offset, Page, ReadRequest, Tail,
};
use levada_core::env::Random;
use levada_core::shard::Shard;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::frontier::Listed;
use super::positions::{Plan, PositionError, PositionLog, Range};
use super::{PumpSpec, Room, Source, SourceMetrics};
use crate::gap::first_readable;
use crate::process::kpl;
use crate::record::{Envelope, Origin};

/// Encoded bytes that are copied at a time; one record may be larger.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Records that are copied at a time.
const BATCH_RECORDS: u32 = 10_000;
// The largest record of a data stream, its key, and what is known of it.
const _: () = assert!(10 * 1024 * 1024 + 8 * 1024 <= MAX_BATCH_BYTES && BATCH_BYTES <= MAX_BATCH_BYTES);
const _: () = assert!(kpl::MAX_BYTES <= MAX_BATCH_BYTES);

/// Time between two rounds, unless there is more to copy than one could take: what arrives meanwhile shares a batch.
const ROUND: Duration = Duration::from_millis(100);
/// How long to wait when there is no room, or a shard's limits forbid a read.
const HOLD: Duration = Duration::from_secs(1);
/// Longest wait before the logs are opened again.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What a pump works with.
pub(super) struct World {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) random: Arc<dyn Random>,
    pub(super) turns: Arc<Semaphore>,
    pub(super) source: Arc<dyn Source>,
    pub(super) room: Arc<dyn Room>,
    pub(super) metrics: Arc<SourceMetrics>,
    pub(super) spec: PumpSpec,
}

/// Why a session ended without an error.
enum End {
    Stopped,
    SourceGone,
}

/// One life of the pump between two replays of its positions.
struct Session<'w> {
    world: &'w World,
    positions: PositionLog,
    /// Where the data log ends.
    end: Offset,
    listed: Listed,
    /// Shards with records to be copied, by when they may be read.
    due: BTreeSet<(Instant, u32)>,
    /// Shards whose copied end is the shard's: each waits for records.
    waiting: JoinSet<(u32, Result<Tail, EngineError>)>,
    /// Shards read to their ends, not written down yet.
    finished: Vec<u32>,
    behind: BTreeMap<u32, Behind>,
    next_round: Instant,
}

/// A shard with records that are not copied.
struct Behind {
    /// Arrival of the last record that was copied, or of the first that was not.
    since: Millis,
    /// Where the shard ended when that was last seen.
    end: Offset,
}

/// Records of some shards on their way into the data log.
#[derive(Default)]
struct Gathered {
    batch: BatchBuilder,
    ranges: Vec<Range>,
    taken: Vec<Taken>,
    full: bool,
}

/// What was taken of one shard.
struct Taken {
    shard: u32,
    to: Offset,
    tail: Tail,
    /// Arrival of the last record.
    last: Option<Millis>,
    records: u64,
    bytes: u64,
    data_bytes: u64,
}

/// Copies until it is stopped, or until it cannot go on for good.
pub(super) async fn run(world: World, mut stopped: watch::Receiver<bool>) {
    let (name, metrics) = (&world.spec.name, &world.metrics);
    let mut failures = 0;
    loop {
        let error = match session(&world, &mut stopped, &mut failures).await {
            Ok(End::Stopped) => return,
            Ok(End::SourceGone) => {
                tracing::error!(delivery_stream = %name, "the source stream was deleted: nothing is read any more");
                metrics.source_gone.store(1, Ordering::Relaxed);
                metrics.oldest_unread.store(0, Ordering::Relaxed);
                return;
            }
            Err(error) => error,
        };
        match error {
            PositionError::Unsettled(_) => {
                tracing::warn!(delivery_stream = %name, %error, "the source is opened again");
                let wait = LONGEST_BACKOFF.min(HOLD * (1 << failures.min(6)));
                failures += 1;
                tokio::select! {
                    biased;
                    () = asked_to_stop(&mut stopped) => return,
                    () = sleep(wait) => {}
                }
            }
            // The delivery stream was deleted.
            PositionError::Gone => return,
            PositionError::TakenOver | PositionError::Unreadable(_) => {
                tracing::error!(delivery_stream = %name, %error, "the source is not read any more");
                metrics.halted.store(1, Ordering::Relaxed);
                return;
            }
        }
    }
}

async fn asked_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn session(world: &World, stopped: &mut watch::Receiver<bool>, failures: &mut u32) -> Result<End, PositionError> {
    let Some(mut session) = Session::open(world).await? else { return Ok(End::SourceGone) };
    loop {
        while let Some(joined) = session.waiting.try_join_next() {
            session.note(joined)?;
        }
        session.settle_shards().await?;
        session.show();
        let round = session.due.first().map(|(at, _)| (*at).max(session.next_round));
        tokio::select! {
            biased;
            () = asked_to_stop(stopped) => return Ok(End::Stopped),
            () = world.source.changed() => {
                if !session.relist() {
                    return Ok(End::SourceGone);
                }
            }
            Some(joined) = session.waiting.join_next(), if !session.waiting.is_empty() => session.note(joined)?,
            () = sleep_until(round.unwrap_or_else(Instant::now)), if round.is_some() => {
                session.round().await?;
                *failures = 0;
            }
        }
    }
}

impl<'w> Session<'w> {
    /// `None` if the source is gone.
    async fn open(world: &'w World) -> Result<Option<Self>, PositionError> {
        let worker = world.random.next_u64();
        let positions = PositionLog::open(Arc::clone(&world.engine), world.spec.positions, worker).await?;
        let end = world.engine.tail(world.spec.data).await?.end;
        let mut session = Self {
            world,
            positions,
            end,
            listed: Listed::new(),
            due: BTreeSet::new(),
            waiting: JoinSet::new(),
            finished: Vec::new(),
            behind: BTreeMap::new(),
            next_round: Instant::now(),
        };
        let listed = session.list();
        session.settle_plan().await?;
        if !listed {
            return Ok(None);
        }
        // All at once: a shard that is watched twice is copied twice.
        session.positions.frontier().adopt(&session.listed);
        let reading: Vec<u32> = session.positions.state().frontier.reading.keys().copied().collect();
        for shard in reading {
            session.watch(shard, Duration::ZERO);
        }
        Ok(Some(session))
    }

    /// Finds out what became of the last plan, and carries it out if nobody did. Between its being written and now
    /// its records can have expired: then it is given up, and what is left of them is planned anew.
    async fn settle_plan(&mut self) -> Result<(), PositionError> {
        let open = self.positions.state().plan.clone().filter(|plan| plan.at == self.end);
        let Some(plan) = open else { return self.positions.settle(self.end) };
        let _turn = self.world.turns.acquire().await;
        match self.collect(&plan).await? {
            Some(batch) => self.append(batch, plan.end()).await,
            None => {
                let (from, to) = (plan.at, plan.end());
                tracing::warn!(delivery_stream = %self.world.spec.name, from, to, "records of a plan have expired");
                self.positions.settle(self.end)
            }
        }
    }

    /// The records of a plan; `None` if not all of them can be read any more.
    async fn collect(&self, plan: &Plan) -> Result<Option<Batch>, PositionError> {
        let mut batch = BatchBuilder::default();
        for &(index, mut from, to) in &plan.ranges {
            let Some(shard) = self.listed.get(&index) else { return Ok(None) };
            while from < to {
                let max_records = u32::try_from(to - from).unwrap_or(BATCH_RECORDS).min(BATCH_RECORDS);
                let max_bytes = BATCH_BYTES as u64;
                let request = ReadRequest { log: shard.log, from, max_records, max_bytes };
                let page = match self.world.engine.read(request).await {
                    Ok(page) if page.chunks.first().is_some_and(|chunk| chunk.first == from) => page,
                    Ok(_) | Err(EngineError::Missing | EngineError::Corrupt { .. }) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                let pushed = push(&mut batch, shard, &page, usize::MAX);
                from = pushed.to;
            }
        }
        Ok(batch.finish())
    }

    /// Begins what the source has new. False if it is gone.
    fn relist(&mut self) -> bool {
        if !self.list() {
            return false;
        }
        self.adopt();
        true
    }

    /// What the source is made of now. False if it is gone.
    fn list(&mut self) -> bool {
        let Some(shards) = self.world.source.shards(self.positions.state().life) else { return false };
        self.listed = shards.into_iter().map(|shard| (shard.index, shard)).collect();
        for (shard, from) in self.positions.frontier().expire(&self.listed) {
            let end = self.behind.remove(&shard).map_or(from, |behind| behind.end);
            self.lost(shard, from, end, "the shard has expired");
        }
        true
    }

    fn adopt(&mut self) {
        for shard in self.positions.frontier().adopt(&self.listed) {
            self.watch(shard, Duration::ZERO);
        }
    }

    /// Waits for records of a shard, from `after` now on.
    fn watch(&mut self, index: u32, after: Duration) {
        let from = self.positions.state().frontier.reading.get(&index).copied();
        let (Some(from), Some(shard)) = (from, self.listed.get(&index)) else { return };
        let (engine, log) = (Arc::clone(&self.world.engine), shard.log);
        self.waiting.spawn(async move {
            if !after.is_zero() {
                sleep(after).await;
            }
            (index, engine.grown(log, from).await)
        });
    }

    /// A shard has grown, or was closed, or cannot be watched.
    fn note(&mut self, joined: Result<(u32, Result<Tail, EngineError>), JoinError>) -> Result<(), PositionError> {
        let (shard, tail) = joined.map_err(|error| PositionError::Unsettled(format!("a watch ended: {error}")))?;
        let Some(&from) = self.positions.state().frontier.reading.get(&shard) else { return Ok(()) };
        match tail {
            Ok(tail) if tail.end > from => {
                self.behind.insert(shard, Behind { since: tail.last_arrival, end: tail.end });
                self.due.insert((Instant::now(), shard));
            }
            Ok(tail) if tail.sealed => self.finished.push(shard),
            // Cannot be: it neither grew nor was it closed.
            Ok(_) => self.watch(shard, HOLD),
            // Not there yet, or not any more: the listing will say so.
            Err(EngineError::Missing) => self.watch(shard, HOLD),
            // Reading it finds out more.
            Err(EngineError::Corrupt { .. }) => drop(self.due.insert((Instant::now(), shard))),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Writes down which shards are read to their ends, and begins their children.
    async fn settle_shards(&mut self) -> Result<(), PositionError> {
        if self.finished.is_empty() {
            return Ok(());
        }
        let finished = std::mem::take(&mut self.finished);
        self.positions.done(self.end, finished).await?;
        self.adopt();
        Ok(())
    }

    async fn round(&mut self) -> Result<(), PositionError> {
        let world = self.world;
        self.next_round = Instant::now() + ROUND;
        // Asked before anything is read: while there is no room, nothing is read in vain.
        let room = if world.source.is_held() { None } else { world.room.reserve(1) };
        let Some(room) = room else {
            self.hold();
            return Ok(());
        };
        room.refused();
        let _turn = world.turns.acquire().await;
        let mut gathered = self.gather().await?;
        let ranges = std::mem::take(&mut gathered.ranges);
        let records = gathered.batch.count().into();
        if let Some(batch) = std::mem::take(&mut gathered.batch).finish() {
            let Some(room) = world.room.reserve(batch.bytes().len() as u64) else {
                let now = Instant::now();
                self.due.extend(gathered.taken.iter().map(|taken| (now, taken.shard)));
                self.hold();
                return Ok(());
            };
            let plan = Plan { at: self.end, ranges, records };
            let end = plan.end();
            if let Err(error) = self.positions.plan(plan).await {
                room.refused();
                return Err(error);
            }
            // If this fails, the reservation is dropped: what may be stored counts as stored.
            self.append(batch, end).await?;
            room.stored();
        }
        world.metrics.held.store(0, Ordering::Relaxed);
        if gathered.full {
            self.next_round = Instant::now();
        }
        gathered.taken.iter().for_each(|taken| self.took(taken));
        Ok(())
    }

    fn hold(&mut self) {
        self.world.metrics.held.store(1, Ordering::Relaxed);
        self.next_round = Instant::now() + HOLD;
    }

    /// Appends what the plan names; afterwards the data log ends at `end`.
    async fn append(&mut self, batch: Batch, end: Offset) -> Result<(), PositionError> {
        let append = Append { log: self.world.spec.data, expect: Expect::End(self.end), batch };
        match self.world.engine.append_many(vec![append]).await.pop() {
            Some(Appended::At { .. }) => {}
            // By an earlier attempt.
            Some(Appended::Moved { end: found }) if found == end => {}
            Some(Appended::Moved { .. }) => return Err(self.positions.who_wrote().await),
            Some(Appended::Closed { .. } | Appended::Missing) => return Err(PositionError::Gone),
            Some(Appended::Full | Appended::Unknown) | None => {
                return Err(PositionError::Unsettled("records may or may not have been copied".to_owned()));
            }
        }
        self.end = end;
        self.positions.settle(end)
    }

    /// Reads shards whose turn it is until the batch is full.
    async fn gather(&mut self) -> Result<Gathered, PositionError> {
        let (now, mut gathered) = (Instant::now(), Gathered::default());
        while let Some(&(at, index)) = self.due.first() {
            gathered.full |= gathered.batch.len() >= BATCH_BYTES || gathered.batch.count() >= BATCH_RECORDS;
            if at > now || gathered.full {
                break;
            }
            self.due.pop_first();
            let from = self.positions.state().frontier.reading.get(&index).copied();
            let (Some(from), Some(shard)) = (from, self.listed.get(&index).cloned()) else { continue };
            if !self.world.source.admit(index) {
                self.world.metrics.throttled_reads.fetch_add(1, Ordering::Relaxed);
                self.due.insert((now + HOLD, index));
                continue;
            }
            let request = ReadRequest {
                log: shard.log,
                from,
                max_records: BATCH_RECORDS - gathered.batch.count(),
                max_bytes: (BATCH_BYTES - gathered.batch.len()) as u64,
            };
            match self.world.engine.read(request).await {
                Ok(page) => self.take(&shard, from, &page, &mut gathered),
                Err(EngineError::Missing) => self.watch(index, HOLD),
                Err(EngineError::Corrupt { file, at }) => {
                    self.pass_over(&shard, from, &format!("corrupt: {file} at byte {at}")).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(gathered)
    }

    fn take(&mut self, shard: &Shard, from: Offset, page: &Page, gathered: &mut Gathered) {
        let first = page.chunks.first().map_or(page.next, |chunk| chunk.first).max(from);
        if first > from {
            self.lost(shard.index, from, first, "past retention before they were copied");
            self.positions.frontier().reading.insert(shard.index, first);
        }
        let pushed = push(&mut gathered.batch, shard, page, BATCH_BYTES);
        let to = pushed.to.max(first);
        if pushed.records == 0 && !page.chunks.is_empty() {
            // It fits into none but an empty batch.
            gathered.full = true;
            self.due.insert((Instant::now(), shard.index));
            return;
        }
        if pushed.records > 0 {
            gathered.ranges.push((shard.index, first, to));
        }
        gathered.taken.push(Taken {
            shard: shard.index,
            to,
            tail: page.tail,
            last: pushed.last,
            records: pushed.records,
            bytes: pushed.bytes,
            data_bytes: pushed.data_bytes,
        });
    }

    /// Goes on behind records that cannot be read.
    async fn pass_over(&mut self, shard: &Shard, from: Offset, reason: &str) -> Result<(), PositionError> {
        let engine = self.world.engine.as_ref();
        let to = match engine.tail(shard.log).await {
            Ok(tail) => first_readable(engine, shard.log, from, tail.end).await,
            Err(error) => Err(error),
        };
        match to {
            Ok(to) => {
                self.lost(shard.index, from, to, reason);
                self.positions.frontier().reading.insert(shard.index, to);
                self.watch(shard.index, Duration::ZERO);
            }
            Err(EngineError::Missing) => self.watch(shard.index, HOLD),
            Err(error) => return Err(PositionError::Unsettled(error.to_string())),
        }
        Ok(())
    }

    /// What was taken of a shard is in the data log.
    fn took(&mut self, taken: &Taken) {
        let (source, metrics) = (&self.world.source, &self.world.metrics);
        let at_end = taken.to >= taken.tail.end;
        let behind_ms = match taken.last {
            Some(last) if !at_end => taken.tail.last_arrival.saturating_sub(last),
            _ => 0,
        };
        source.found(taken.shard, taken.records, taken.bytes, behind_ms);
        metrics.records.fetch_add(taken.records, Ordering::Relaxed);
        metrics.bytes.fetch_add(taken.data_bytes, Ordering::Relaxed);
        let pace = source.pace();
        if !at_end {
            let since = taken.last.or(taken.tail.first_arrival).unwrap_or(taken.tail.last_arrival);
            self.behind.insert(taken.shard, Behind { since, end: taken.tail.end });
            self.due.insert((Instant::now() + pace, taken.shard));
            return;
        }
        self.behind.remove(&taken.shard);
        if taken.tail.sealed {
            self.finished.push(taken.shard);
        } else {
            self.watch(taken.shard, pace);
        }
    }

    fn lost(&self, shard: u32, from: Offset, to: Offset, reason: &str) {
        let (stream, records) = (&self.world.spec.name, to - from);
        self.world.metrics.lost_records.fetch_add(records, Ordering::Relaxed);
        tracing::error!(delivery_stream = %stream, shard, from, to, records, reason, "records lost at the source");
    }

    fn show(&self) {
        let oldest: &AtomicU64 = &self.world.metrics.oldest_unread;
        oldest.store(self.behind.values().map(|behind| behind.since).min().unwrap_or_default(), Ordering::Relaxed);
    }
}

/// What [`push`] has done.
#[derive(Default)]
struct Pushed {
    /// Offset behind the last record; 0 if there was none.
    to: Offset,
    last: Option<Millis>,
    records: u64,
    /// Of keys and data.
    bytes: u64,
    data_bytes: u64,
}

/// Appends the page's records with their envelopes, aggregates taken apart, as many as fit into a batch of `most` bytes;
/// the first always. All that stood in one record of the shard goes into one batch.
fn push(batch: &mut BatchBuilder, shard: &Shard, page: &Page, most: usize) -> Pushed {
    let mut pushed = Pushed::default();
    let space = shard.space();
    let mut origin = Origin { shard_id: shard.id().to_string(), ..Origin::default() };
    let mut records = Vec::new();
    for chunk in &page.chunks {
        let Chunk { first, arrival, .. } = *chunk;
        for ((offset, record), digits) in chunk.records().zip(space.digits_from(first, arrival)) {
            origin.sequence_number = String::from_utf8_lossy(&digits).into_owned();
            origin.partition_key = String::from_utf8_lossy(record.key).into_owned();
            apart(&origin, arrival, record.data, &mut records);
            let bytes: usize = records.iter().map(|(key, data)| RECORD_HEADER_BYTES + key.len() + data.len()).sum();
            if !batch.is_empty() && batch.len() + bytes > most {
                return pushed;
            }
            records.iter().for_each(|(key, data)| batch.push(key, data));
            pushed.to = offset + 1;
            pushed.last = Some(arrival);
            pushed.records += 1;
            pushed.bytes += (record.key.len() + record.data.len()) as u64;
            pushed.data_bytes += record.data.len() as u64;
        }
    }
    pushed
}

/// What stands in a record of the shard, with envelopes: the record itself, or, of an aggregate, the records in it.
fn apart<'r>(origin: &Origin, arrival: Millis, data: &'r [u8], records: &mut Vec<(Vec<u8>, &'r [u8])>) {
    records.clear();
    let envelope = |origin: Origin| Envelope::Source { arrival, origin }.encode();
    match kpl::deaggregate(data) {
        None => records.push((envelope(origin.clone()), data)),
        Some(inner) => records.extend(inner.into_iter().zip(0..).map(|(record, sub_sequence_number)| {
            let partition_key = record.partition_key.to_owned();
            (envelope(Origin { partition_key, sub_sequence_number, ..origin.clone() }), record.data)
        })),
    }
}
