//! The position log: how far each shard is copied, and what is about to be copied.
//!
//! ```text
//! engine record := version: u8 = 1 | JSON of one `Record`       (key empty; docs/FORMAT.md, "Position logs")
//!
//! Start  Open  Plan  Plan  Done  Plan  Open  Snapshot Plan  …
//!                                            ^ what stands before the newest snapshot is trimmed
//! ```
//!
//! A plan names the place in the data log where its records are to stand. The next plan, or the end of the data log,
//! tells whether they do. All appends are checked, so of two pumps the one that writes second is refused.

use std::sync::Arc;

use levada_core::batch::{Batch, BatchBuilder};
use levada_core::engine::{Append, Appended, Engine, Expect, LogId, Offset, ReadRequest};
use serde::{Deserialize, Serialize};

use super::frontier::Frontier;

/// First byte of each record.
const VERSION: u8 = 1;

/// Records read at a time, and their bytes.
const PAGE_RECORDS: u32 = 1_000;
const PAGE_BYTES: u64 = 1024 * 1024;

/// Records and bytes behind a snapshot that call for the next one; of bytes, what the snapshot itself has if that is
/// more, so that writing snapshots at most doubles what is written.
const SNAPSHOT_RECORDS: u64 = 256;
const SNAPSHOT_BYTES: u64 = 256 * 1024;

/// Records of one shard: its index, the first offset, and the one behind the last.
pub(super) type Range = (u32, Offset, Offset);

/// What is to be appended to the data log, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The data log's end before.
    pub(super) at: Offset,
    /// The records, in this order.
    pub(super) ranges: Vec<Range>,
    /// How many records they become, aggregates taken apart.
    pub(super) records: u64,
}

impl Plan {
    /// The data log's end afterwards.
    pub(super) fn end(&self) -> Offset {
        self.at + self.records
    }
}

/// A record of the position log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Record {
    /// Where the delivery stream begins, in this life of its source.
    Start { life: u64, frontier: Frontier },
    /// A pump has begun; whatever an earlier one still wants to write is refused from here on.
    Open { worker: u64 },
    /// About to be appended to the data log.
    Plan(Plan),
    /// These shards are copied to their ends. The data log's end is `at`.
    Done { at: Offset, shards: Vec<u32> },
    /// Everything that the records before say. No plan is open.
    Snapshot { life: u64, worker: u64, frontier: Frontier },
}

/// What the position log says so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The life of the source.
    pub(super) life: u64,
    /// The pump that wrote the newest `Open`.
    worker: u64,
    /// How far the source is copied, without the plan.
    pub(super) frontier: Frontier,
    /// The newest plan, until it is known what became of it.
    pub(super) plan: Option<Plan>,
}

impl State {
    /// The data log ends here, or ended here when the next plan was made: so the last plan was carried out, or never
    /// will be.
    fn settle(&mut self, end: Offset) -> Result<(), PositionError> {
        let Some(plan) = self.plan.take() else { return Ok(()) };
        if end == plan.end() {
            let ranges = plan.ranges.iter();
            self.frontier.reading.extend(ranges.map(|(shard, _, to)| (*shard, *to)));
        } else if end != plan.at {
            let (at, to) = (plan.at, plan.end());
            return Err(PositionError::Unreadable(format!("a plan from {at} to {to}, but the data ends at {end}")));
        }
        Ok(())
    }

    fn fold(&mut self, record: Record) -> Result<(), PositionError> {
        match record {
            Record::Start { life, frontier } => *self = Self { life, frontier, ..Self::default() },
            Record::Open { worker } => self.worker = worker,
            Record::Plan(plan) => {
                self.settle(plan.at)?;
                self.plan = Some(plan);
            }
            Record::Done { at, shards } => {
                self.settle(at)?;
                shards.into_iter().for_each(|shard| self.frontier.finish(shard));
            }
            Record::Snapshot { life, worker, frontier } => *self = Self { life, worker, frontier, plan: None },
        }
        Ok(())
    }
}

/// Why positions could not be read or written. The kinds say what the caller must do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// Another pump serves this delivery stream: stop.
    #[error("another pump has taken over")]
    TakenOver,
    /// A log is gone: the delivery stream was deleted, or a shard of its source with its stream.
    #[error("a log is gone")]
    Gone,
    /// Try again after a while: an append is of unknown outcome, or the engine cannot answer now.
    #[error("{0}")]
    Unsettled(String),
    /// The log says what this version does not understand, or is damaged: stop, a person must look.
    #[error("unreadable positions: {0}")]
    Unreadable(String),
}

/// The position log, held by the pump that wrote its newest `Open`.
pub(super) struct PositionLog {
    engine: Arc<dyn Engine>,
    log: LogId,
    end: Offset,
    state: State,
    /// Behind the newest snapshot.
    records: u64,
    bytes: u64,
    /// Of the newest snapshot.
    snapshot_bytes: u64,
}

impl PositionLog {
    /// Writes the first record, unless there is one.
    pub(super) async fn start(
        engine: &dyn Engine,
        log: LogId,
        life: u64,
        frontier: Frontier,
    ) -> Result<(), PositionError> {
        let batch = encode(&[Record::Start { life, frontier }])?;
        match engine.append_many(vec![Append { log, expect: Expect::End(0), batch }]).await.pop() {
            Some(Appended::At { .. } | Appended::Moved { .. }) => Ok(()),
            other => Err(not_appended(other.as_ref())),
        }
    }

    /// Replays the log and takes it over as `worker`, a number that no other pump has.
    pub(super) async fn open(engine: Arc<dyn Engine>, log: LogId, worker: u64) -> Result<Self, PositionError> {
        let state = State::default();
        let mut positions = Self { engine, log, end: 0, state, records: 0, bytes: 0, snapshot_bytes: 0 };
        positions.replay().await?;
        if positions.end == 0 {
            return Err(PositionError::Unreadable("no start was fixed".to_owned()));
        }
        match positions.append(vec![Record::Open { worker }]).await {
            // Two begin at once: the log decides, and the other one sees this one's `Open`. Begin again.
            Err(PositionError::TakenOver) => {
                Err(PositionError::Unsettled("another pump began at the same time".to_owned()))
            }
            opened => opened.map(|()| positions),
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Where shards are read as of now. The caller notes what follows from the source alone: shards that are begun or
    /// gone, records that are gone. It is durable with the next snapshot, and follows again from the source until then.
    pub(super) fn frontier(&mut self) -> &mut Frontier {
        &mut self.state.frontier
    }

    /// Writes a plan, after which the data log may be written. The one before must be settled.
    pub(super) async fn plan(&mut self, plan: Plan) -> Result<(), PositionError> {
        let due = self.records >= SNAPSHOT_RECORDS || self.bytes >= SNAPSHOT_BYTES.max(self.snapshot_bytes);
        if !due {
            return self.append(vec![Record::Plan(plan)]).await;
        }
        let State { life, worker, ref frontier, .. } = self.state;
        let snapshot = Record::Snapshot { life, worker, frontier: frontier.clone() };
        let at = self.end;
        self.append(vec![snapshot, Record::Plan(plan)]).await?;
        // A trim that fails is made up for by the one after the next snapshot.
        if let Err(error) = self.engine.trim(self.log, at).await {
            tracing::warn!(log = self.log.0, %error, "the position log was not trimmed");
        }
        Ok(())
    }

    /// Writes that shards are copied to their ends.
    pub(super) async fn done(&mut self, at: Offset, shards: Vec<u32>) -> Result<(), PositionError> {
        self.append(vec![Record::Done { at, shards }]).await
    }

    /// Somebody else wrote to the data log: another pump, if all is well.
    pub(super) async fn who_wrote(&mut self) -> PositionError {
        match self.who_moved_it().await {
            PositionError::Unsettled(_) => PositionError::Unreadable("the data log was written by others".to_owned()),
            error => error,
        }
    }

    /// The data log ends here now, so it is known what became of the plan.
    pub(super) fn settle(&mut self, end: Offset) -> Result<(), PositionError> {
        self.state.settle(end)
    }

    async fn append(&mut self, records: Vec<Record>) -> Result<(), PositionError> {
        let batch = encode(&records)?;
        let sizes: Vec<u64> = batch.records().map(|record| record.data.len() as u64).collect();
        let append = Append { log: self.log, expect: Expect::End(self.end), batch };
        match self.engine.append_many(vec![append]).await.pop() {
            Some(Appended::At { .. }) => {
                self.end += records.len() as u64;
                records.into_iter().zip(sizes).try_for_each(|(record, bytes)| self.fold(record, bytes))
            }
            Some(Appended::Moved { .. }) => Err(self.who_moved_it().await),
            other => Err(not_appended(other.as_ref())),
        }
    }

    /// The log does not end where this pump left it: either another one wrote, or an own append of unknown outcome has
    /// appeared after all.
    async fn who_moved_it(&mut self) -> PositionError {
        let mine = self.state.worker;
        match self.replay().await {
            Ok(()) if self.state.worker == mine => {
                PositionError::Unsettled("an earlier append has appeared".to_owned())
            }
            Ok(()) => PositionError::TakenOver,
            Err(error) => error,
        }
    }

    /// Folds what stands after `end`.
    async fn replay(&mut self) -> Result<(), PositionError> {
        loop {
            let request =
                ReadRequest { log: self.log, from: self.end, max_records: PAGE_RECORDS, max_bytes: PAGE_BYTES };
            let page = self.engine.read(request).await?;
            for chunk in &page.chunks {
                for (_, record) in chunk.records() {
                    self.fold(decode(record.data)?, record.data.len() as u64)?;
                }
            }
            // A trimmed start is fine: a snapshot is the first thing that stands behind it.
            if page.next <= self.end {
                return Ok(());
            }
            self.end = page.next;
        }
    }

    fn fold(&mut self, record: Record, bytes: u64) -> Result<(), PositionError> {
        if matches!(record, Record::Snapshot { .. } | Record::Start { .. }) {
            (self.records, self.bytes, self.snapshot_bytes) = (0, 0, bytes);
        } else {
            self.records += 1;
            self.bytes += bytes;
        }
        self.state.fold(record)
    }
}

fn not_appended(outcome: Option<&Appended>) -> PositionError {
    match outcome {
        Some(Appended::Closed { .. } | Appended::Missing) => PositionError::Gone,
        Some(Appended::Full) => PositionError::Unsettled("the engine takes no more data for now".to_owned()),
        _ => PositionError::Unsettled("an append of unknown outcome".to_owned()),
    }
}

fn encode(records: &[Record]) -> Result<Batch, PositionError> {
    let mut builder = BatchBuilder::default();
    for record in records {
        let json = serde_json::to_vec(record).map_err(|error| PositionError::Unreadable(error.to_string()))?;
        builder.push_with(&[], |bytes| {
            bytes.push(VERSION);
            bytes.extend_from_slice(&json);
        });
    }
    builder.finish().ok_or_else(|| PositionError::Unreadable("nothing to write".to_owned()))
}

fn decode(bytes: &[u8]) -> Result<Record, PositionError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => {
            serde_json::from_slice(json).map_err(|error| PositionError::Unreadable(error.to_string()))
        }
        Some((version, _)) => Err(PositionError::Unreadable(format!("a record of version {version}"))),
        None => Err(PositionError::Unreadable("an empty record".to_owned())),
    }
}
