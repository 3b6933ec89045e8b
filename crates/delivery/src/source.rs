//! A Kinesis data stream as source: a *pump* copies the records of its shards into the delivery stream's data log,
//! each exactly once, and all that stands behind it works as for direct put.
//!
//! ```text
//! shard 0 ─┐          plan: these ranges, to stand at E      (position log, durable first)
//! shard 3 ─┼─ gather ─┤
//! shard 4 ─┘          append at E, and nowhere else          (data log)
//! ```
//!
//! Nobody but the pump writes to that data log, and a plan says where its records will stand, so the log's end alone
//! tells whether the last plan was carried out: no crash copies anything twice or leaves anything out. Like a cut, a
//! plan that is found open is carried out again as it stands, before another one is made.
//!
//! A shard is begun when its parents are read to their ends. A new delivery stream begins with what arrives after its
//! creation (`LATEST`) in the shards that take records then ([`Pumps::fix_start`]), and with the beginning of all others
//! that come later.
//!
//! Architecture invariant: nothing here knows the catalog. What a data stream is made of comes through [`Source`].
//!
//! Architecture invariant: an idle shard costs a task that the log wakes; nothing is polled.

mod frontier;
mod positions;
mod pump;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levada_core::engine::{BoxFuture, Engine, EngineError, LogId, LogSpec, Millis};
use levada_core::env::Random;
use levada_core::shard::Shard;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use self::frontier::Frontier;
pub use self::positions::PositionError;
use self::positions::PositionLog;
use crate::backlog::Reservation;
use crate::delivery::Handle;

/// Pumps of a node that may hold records in memory at a time, each up to [`pump::BATCH_BYTES`] or one larger record.
const TURNS: usize = 4;

/// A data stream, as far as a pump knows of it.
pub trait Source: Send + Sync + 'static {
    /// The shards of this life of the stream, by index: all that are listed, closed ones included. `None` if that life
    /// is over.
    fn shards(&self, life: u64) -> Option<Vec<Arc<Shard>>>;

    /// Waits until [`Self::shards`] would answer something else than the last time. May resolve for nothing.
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// Counts a read of a shard against the shard's limits; false if it must wait.
    fn admit(&self, shard: u32) -> bool;

    /// Counts what an admitted read has found: records, bytes of their keys and data, and how far behind the shard's
    /// tip it ended, in ms.
    fn found(&self, shard: u32, records: u64, bytes: u64, behind_ms: u64);

    /// The shortest time between two reads of a shard; zero if there is no limit.
    fn pace(&self) -> Duration;

    /// True while the node takes no records of anybody (its disk is full).
    fn is_held(&self) -> bool;
}

/// Room in the backlog of a delivery stream.
pub trait Room: Send + Sync + 'static {
    /// As [`Handle::reserve`].
    fn reserve(&self, encoded_bytes: u64) -> Option<Reservation>;
}

impl Room for Handle {
    fn reserve(&self, encoded_bytes: u64) -> Option<Reservation> {
        Self::reserve(self, encoded_bytes)
    }
}

/// A delivery stream, as its pump knows it.
#[derive(Clone, Debug)]
pub struct PumpSpec {
    /// Its name, for log lines.
    pub name: String,
    /// The log that the pump, and nobody else, appends to.
    pub data: LogId,
    /// The pump's own log.
    pub positions: LogId,
    /// Class of that log.
    pub class: u32,
}

/// Starts pumps; one for each node.
#[derive(Clone)]
pub struct Pumps {
    engine: Arc<dyn Engine>,
    random: Arc<dyn Random>,
    turns: Arc<Semaphore>,
}

impl Pumps {
    /// For one node.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, random: Arc<dyn Random>) -> Self {
        Self { engine, random, turns: Arc::new(Semaphore::new(TURNS)) }
    }

    /// Fixes durably where the pump of a new delivery stream will begin: at the end of each shard that takes records
    /// now. Does nothing if that was done before.
    ///
    /// By offset and not by time: a clock that was set back has left records that say they are yet to come.
    ///
    /// # Errors
    /// [`PositionError`]. Of unknown outcome if it is [`PositionError::Unsettled`]: call it again.
    pub async fn fix_start(&self, spec: &PumpSpec, life: u64, shards: &[Arc<Shard>]) -> Result<(), PositionError> {
        let log = LogSpec { id: spec.positions, class: spec.class, floor: 0 };
        self.engine.create(vec![log]).await?;
        if self.engine.tail(spec.positions).await?.end > 0 {
            return Ok(());
        }
        let mut frontier = Frontier::of(shards);
        for shard in shards {
            if let Some(from) = frontier.reading.get_mut(&shard.index) {
                *from = self.engine.tail(shard.log).await?.end;
            }
        }
        PositionLog::start(self.engine.as_ref(), spec.positions, life, frontier).await
    }

    /// Starts the pump of a delivery stream whose start is fixed. At most one makes progress: a later one takes over
    /// from an earlier one.
    ///
    /// Called within a tokio runtime.
    #[must_use]
    pub fn start(&self, spec: PumpSpec, source: Arc<dyn Source>, room: Arc<dyn Room>) -> Pump {
        let metrics = Arc::new(SourceMetrics::default());
        let (stop, stopped) = watch::channel(false);
        let world = pump::World {
            engine: Arc::clone(&self.engine),
            random: Arc::clone(&self.random),
            turns: Arc::clone(&self.turns),
            source,
            room,
            metrics: Arc::clone(&metrics),
            spec,
        };
        Pump { metrics, stop, task: tokio::spawn(pump::run(world, stopped)) }
    }
}

impl fmt::Debug for Pumps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pumps").finish_non_exhaustive()
    }
}

/// A running pump. Dropped, it ends at once, as in a crash.
#[derive(Debug)]
pub struct Pump {
    metrics: Arc<SourceMetrics>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Pump {
    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &SourceMetrics {
        &self.metrics
    }

    /// Ends the pump when what it is copying is copied, at the latest after `grace`. What is not copied then is copied
    /// by the next pump.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counters since the process started. AWS's names (`AWS/Firehose`, dimension `DeliveryStreamName`) stand at the fields
/// that have one.
#[derive(Debug, Default)]
pub struct SourceMetrics {
    /// `DataReadFromKinesisStream.Bytes`: bytes of the data of copied records.
    pub bytes: AtomicU64,
    /// `DataReadFromKinesisStream.Records`: copied records.
    pub records: AtomicU64,
    /// `ThrottledGetRecords`: reads that waited for a shard's limits.
    pub throttled_reads: AtomicU64,
    /// Records that were gone, past their retention or damaged, before they were copied. At least so many: those of
    /// a shard that has expired as a whole are counted as far as they had been seen.
    pub lost_records: AtomicU64,
    /// Arrival time of the last record taken from the shard that is furthest behind, in ms; 0 if none is behind.
    pub oldest_unread: AtomicU64,
    /// 1 while the backlog's quota or a full disk holds the pump back.
    pub held: AtomicU64,
    /// 1 once the data stream was deleted. Another stream of its name is another stream: nothing is read any more.
    pub source_gone: AtomicU64,
    /// 1 once the pump has ended by itself, because another took over or its own log is unreadable.
    pub halted: AtomicU64,
}

impl SourceMetrics {
    /// `KinesisMillisBehindLatest`: how far behind the tip of its shard the reader is that is furthest behind.
    #[must_use]
    pub fn millis_behind(&self, now: Millis) -> u64 {
        match self.oldest_unread.load(Ordering::Relaxed) {
            0 => 0,
            arrival => now.saturating_sub(arrival),
        }
    }
}

impl From<EngineError> for PositionError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Missing => Self::Gone,
            EngineError::Corrupt { .. } => Self::Unreadable(error.to_string()),
            EngineError::Unavailable(_) => Self::Unsettled(error.to_string()),
        }
    }
}
