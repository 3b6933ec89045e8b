//! The control log of a delivery stream: what was cut, and what became of it.
//!
//! ```text
//! engine record := version: u8 = 1 | JSON of one `Record`          (key empty; docs/FORMAT.md, "Delivery control logs")
//!
//! Open  Cut 0  Cut 1  Done 1  Done 0  Snapshot  Cut 2 …
//!                                     ^ what stands before the newest snapshot is trimmed
//! ```
//!
//! The log is folded, never interpreted anew: each record says what was decided. All appends are checked
//! ([`Expect::End`]), so of two workers of one delivery stream the one that writes second is refused; `Open` tells it
//! whether it met another worker or its own append of unknown outcome.
//!
//! Architecture invariant: nothing here uploads or reads the data log.

use std::sync::Arc;

use levada_core::batch::{Batch, BatchBuilder};
use levada_core::engine::{Append, Appended, Engine, EngineError, Expect, LogId, Millis, Offset, ReadRequest};
use serde::{Deserialize, Serialize};

use crate::config::Compression;

/// First byte of each record.
const VERSION: u8 = 1;

/// Records read from a control log at a time, and their bytes.
const PAGE_RECORDS: u32 = 1_000;
const PAGE_BYTES: u64 = 1024 * 1024;

/// A record of the control log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Record {
    /// A worker has begun; whatever an earlier one still wants to write is refused from here on.
    Open { worker: u64 },
    /// A range of the data log was fixed, and the keys of what is made of it.
    Cut(Cut),
    /// All objects of the cut are durable in their bucket. `lost` of its records could not be read any more.
    Done { id: u64, lost: u64 },
    /// The cut was given up.
    Abandoned { id: u64, records: u64, reason: String },
    /// A range of the data log that was never cut, because it could not be read.
    Lost { from: Offset, to: Offset, reason: String },
    /// Everything that the records before say.
    Snapshot(State),
}

/// A range of the data log and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// Rising by 1 in each delivery stream, from 0.
    pub(crate) id: u64,
    /// Offset of its first record.
    pub(crate) from: Offset,
    /// Offset after its last record.
    pub(crate) to: Offset,
    /// Bytes of its records' data.
    pub(crate) bytes: u64,
    /// The configuration in force.
    pub(crate) config_version: u64,
    /// Of that configuration: fixes the objects' bytes.
    pub(crate) compression: Compression,
    /// Where they go.
    pub(crate) objects: Vec<ObjectName>,
    /// Arrival of its first record.
    pub(crate) oldest_arrival: Millis,
    /// Arrival of its oldest record plus the interval, or the moment of the cut if that was earlier: abandoning
    /// counts from here, so that waiting for a free upload does not prolong it.
    pub(crate) due: Millis,
    /// When it was cut.
    pub(crate) created: Millis,
}

impl Cut {
    /// Number of records in the range.
    pub(crate) fn records(&self) -> u64 {
        self.to - self.from
    }

    /// Bytes of the range in the data log, encoded.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.bytes + self.records() * levada_core::batch::RECORD_HEADER_BYTES as u64
    }
}

/// Bucket and key of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectName {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// What the control log says so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Id of the next cut.
    pub(crate) next_id: u64,
    /// Everything in the data log before this offset has been cut or is lost.
    pub(crate) cut_to: Offset,
    /// Cuts that are neither done nor abandoned, in the order of their ids.
    pub(crate) open: Vec<Cut>,
    /// The worker that wrote the newest `Open`.
    pub(crate) worker: u64,
}

impl State {
    /// Nothing before this offset of the data log is needed any more: the lowest unfinished cut.
    pub(crate) fn checkpoint(&self) -> Offset {
        self.open.first().map_or(self.cut_to, |cut| cut.from)
    }

    fn fold(&mut self, record: Record) {
        match record {
            Record::Open { worker } => self.worker = worker,
            Record::Cut(cut) => {
                self.next_id = cut.id + 1;
                self.cut_to = cut.to;
                self.open.push(cut);
            }
            Record::Done { id, .. } | Record::Abandoned { id, .. } => self.open.retain(|cut| cut.id != id),
            Record::Lost { to, .. } => self.cut_to = to,
            Record::Snapshot(state) => *self = state,
        }
    }
}

/// Why the control log could not be read or written. The kinds say what the worker must do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ControlError {
    /// Another worker serves this delivery stream: stop.
    #[error("another worker has taken over")]
    TakenOver,
    /// The log is gone: stop, the delivery stream was deleted.
    #[error("the control log is gone")]
    Gone,
    /// Read the log again after a while: an append is of unknown outcome, or the engine cannot answer now.
    #[error("{0}")]
    Unsettled(String),
    /// The log says what this version does not understand, or is damaged: stop, a person must look.
    #[error("unreadable control log: {0}")]
    Unreadable(String),
}

impl From<EngineError> for ControlError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Missing => Self::Gone,
            EngineError::Corrupt { .. } => Self::Unreadable(error.to_string()),
            EngineError::Unavailable(_) => Self::Unsettled(error.to_string()),
        }
    }
}

/// The control log, held by the worker that wrote its newest `Open`.
pub(crate) struct ControlLog {
    engine: Arc<dyn Engine>,
    log: LogId,
    end: Offset,
    state: State,
    since_snapshot: u64,
    snapshot_every: u64,
}

impl ControlLog {
    /// Replays the log and takes it over as `worker`, a number that no other worker has.
    pub(crate) async fn open(
        engine: Arc<dyn Engine>,
        log: LogId,
        worker: u64,
        snapshot_every: u64,
    ) -> Result<Self, ControlError> {
        let mut control = Self { engine, log, end: 0, state: State::default(), since_snapshot: 0, snapshot_every };
        control.replay().await?;
        let open = control.append(vec![Record::Open { worker }]).await;
        // Two workers begin at once: the log decides, and the other one sees this one's `Open`. Begin again.
        if matches!(open, Err(ControlError::TakenOver)) {
            return Err(ControlError::Unsettled("another worker began at the same time".into()));
        }
        open?;
        Ok(control)
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Writes what was decided. When this returns `Ok`, it is durable and part of [`ControlLog::state`].
    pub(crate) async fn write(&mut self, mut records: Vec<Record>) -> Result<(), ControlError> {
        let mut snapshot_at = None;
        if self.since_snapshot + records.len() as u64 >= self.snapshot_every {
            let mut state = self.state.clone();
            records.iter().cloned().for_each(|record| state.fold(record));
            snapshot_at = Some(self.end + records.len() as u64);
            records.push(Record::Snapshot(state));
        }
        self.append(records).await?;
        if let Some(at) = snapshot_at {
            self.since_snapshot = 0;
            // A trim that fails is made up for by the one after the next snapshot.
            if let Err(error) = self.engine.trim(self.log, at).await {
                tracing::warn!(log = self.log.0, %error, "the control log was not trimmed");
            }
        }
        Ok(())
    }

    async fn append(&mut self, records: Vec<Record>) -> Result<(), ControlError> {
        let count = records.len() as u64;
        let Some(batch) = encode(&records)? else { return Ok(()) };
        let append = Append { log: self.log, expect: Expect::End(self.end), batch };
        match self.engine.append_many(vec![append]).await.pop() {
            Some(Appended::At { .. }) => {
                self.end += count;
                self.since_snapshot += count;
                records.into_iter().for_each(|record| self.state.fold(record));
                Ok(())
            }
            Some(Appended::Moved { .. }) => Err(self.who_moved_it().await),
            Some(Appended::Closed { .. } | Appended::Missing) => Err(ControlError::Gone),
            Some(Appended::Full) => Err(ControlError::Unsettled("the engine takes no more data for now".into())),
            Some(Appended::Unknown) | None => Err(ControlError::Unsettled("an append of unknown outcome".into())),
        }
    }

    /// The log does not end where this worker left it: either another worker wrote, or an own append of unknown
    /// outcome has appeared after all.
    async fn who_moved_it(&mut self) -> ControlError {
        let mine = self.state.worker;
        match self.replay().await {
            Ok(()) if self.state.worker == mine => ControlError::Unsettled("an earlier append has appeared".into()),
            Ok(()) => ControlError::TakenOver,
            Err(error) => error,
        }
    }

    /// Folds what stands after `end`.
    async fn replay(&mut self) -> Result<(), ControlError> {
        loop {
            let request =
                ReadRequest { log: self.log, from: self.end, max_records: PAGE_RECORDS, max_bytes: PAGE_BYTES };
            let page = self.engine.read(request).await?;
            for chunk in &page.chunks {
                for (_, record) in chunk.records() {
                    let record = decode(record.data)?;
                    self.since_snapshot =
                        if matches!(record, Record::Snapshot(_)) { 0 } else { self.since_snapshot + 1 };
                    self.state.fold(record);
                }
            }
            // A trimmed start is fine: a snapshot is the first thing that stands behind it.
            if page.next <= self.end {
                return Ok(());
            }
            self.end = page.next;
        }
    }
}

fn encode(records: &[Record]) -> Result<Option<Batch>, ControlError> {
    let mut builder = BatchBuilder::default();
    for record in records {
        let json = serde_json::to_vec(record).map_err(|error| ControlError::Unreadable(error.to_string()))?;
        builder.push_with(&[], |bytes| {
            bytes.push(VERSION);
            bytes.extend_from_slice(&json);
        });
    }
    Ok(builder.finish())
}

fn decode(bytes: &[u8]) -> Result<Record, ControlError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => {
            serde_json::from_slice(json).map_err(|error| ControlError::Unreadable(error.to_string()))
        }
        Some((version, _)) => Err(ControlError::Unreadable(format!("a record of version {version}"))),
        None => Err(ControlError::Unreadable("an empty record".into())),
    }
}
