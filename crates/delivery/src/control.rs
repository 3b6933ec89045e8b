//! The control log of a delivery stream: what was cut, and what became of it.
//!
//! ```text
//! engine record := version: u8 = 2 | JSON of one `Record`          (key empty; docs/FORMAT.md, "Delivery control logs")
//!
//! Open  Cut 0  Cut 1  Done 1  Done 0  Snapshot  Cut 2 …
//!                                     ^ what stands before the newest snapshot is trimmed
//! ```
//!
//! The log is folded, never interpreted anew: each record says what was decided. All appends are checked
//! ([`Expect::End`]), so of two workers of one delivery stream the one that writes second is refused; `Open` tells it
//! whether it met another worker or its own append of unknown outcome.
//!
//! Architecture invariant: nothing here uploads or reads another log.

mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use levada_core::batch::{Batch, BatchBuilder};
use levada_core::engine::{Append, Appended, Engine, EngineError, Expect, LogId, Offset, ReadRequest};
use serde::{Deserialize, Serialize};

pub(crate) use self::state::{Cut, LaneId, ObjectName, Routed, Slot, State};
use crate::mutant::Mutant;

/// First byte of each record. Records of version 1 have no lanes; they are read.
const VERSION: u8 = 2;
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=VERSION;

/// Records read from a control log at a time, and their bytes.
const PAGE_RECORDS: u32 = 1_000;
const PAGE_BYTES: u64 = 1024 * 1024;

/// A record of the control log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Record {
    /// A worker has begun; whatever an earlier one still wants to write is refused from here on.
    Open { worker: u64 },
    /// A range of a lane was fixed, and the keys of what is made of it.
    Cut(Cut),
    /// All that the cut was made for is durable at its destination. `lost` of its records could not be read any more.
    Done { id: u64, lost: u64 },
    /// The cut was given up.
    Abandoned { id: u64, records: u64, reason: String },
    /// A range of a lane that was never cut, because it could not be read.
    Lost {
        #[serde(default, skip_serializing_if = "LaneId::is_main")]
        lane: LaneId,
        from: Offset,
        to: Offset,
        reason: String,
    },
    /// The log `slot` takes records for `lane` from offset `from` on.
    Assign { slot: LogId, lane: Routed, from: Offset },
    /// The log is free again: all its records are delivered, and they came from before `sorted`.
    Release { slot: LogId, sorted: Offset },
    /// All records of the processed log before this offset are in their lanes.
    Sorted { to: Offset },
    /// The backup of all source records begins at this offset of the data log, or ends.
    Backup { from: Option<Offset> },
    /// Everything that the records before say.
    Snapshot(State),
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
    /// Another log of the worker does not end where it left it: [`ControlLog::who_moved_it`] tells.
    #[error("a log has moved")]
    Moved,
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
    since_snapshot: Growth,
    /// Of the newest snapshot.
    snapshot_bytes: u64,
    snapshot_every: u64,
}

/// What was written since the newest snapshot.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    records: u64,
    bytes: u64,
}

impl Growth {
    fn add(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
    }
}

impl ControlLog {
    /// Replays the log and takes it over as `worker`, a number that no other worker has.
    pub(crate) async fn open(
        engine: Arc<dyn Engine>,
        log: LogId,
        worker: u64,
        snapshot_every: u64,
    ) -> Result<Self, ControlError> {
        let (state, since_snapshot, snapshot_bytes) = (State::default(), Growth::default(), 0);
        let mut control = Self { engine, log, end: 0, state, since_snapshot, snapshot_bytes, snapshot_every };
        control.replay().await?;
        let open = control.write(vec![Record::Open { worker }]).await;
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
    ///
    /// A snapshot comes with it when enough records have been written since the last one, and as many bytes as that one
    /// had: a large state is not written again and again for small changes.
    pub(crate) async fn write(&mut self, mut records: Vec<Record>) -> Result<(), ControlError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut snapshot_at = None;
        let grown = self.since_snapshot;
        if grown.records + records.len() as u64 >= self.snapshot_every && grown.bytes >= self.snapshot_bytes {
            let mut state = self.state.clone();
            records.iter().cloned().for_each(|record| state.fold(record));
            snapshot_at = Some(self.end + records.len() as u64);
            records.push(Record::Snapshot(state));
        }
        let bytes = self.append(records).await?;
        if let Some(at) = snapshot_at {
            self.since_snapshot = Growth::default();
            self.snapshot_bytes = bytes;
            // A trim that fails is made up for by the one after the next snapshot.
            if let Err(error) = self.engine.trim(self.log, at).await {
                tracing::warn!(log = self.log.0, %error, "the control log was not trimmed");
            }
        }
        Ok(())
    }

    /// Appends and folds; answers the bytes of the last record.
    async fn append(&mut self, records: Vec<Record>) -> Result<u64, ControlError> {
        let count = records.len() as u64;
        if Mutant::VolatileCut.is_on() && records.iter().any(|record| matches!(record, Record::Cut(_))) {
            records.into_iter().for_each(|record| self.state.fold(record));
            return Ok(0);
        }
        let (batch, last) = encode(&records)?;
        let Some(batch) = batch else { return Ok(0) };
        let bytes = batch.bytes().len() as u64;
        let append = Append { log: self.log, expect: Expect::End(self.end), batch };
        match self.engine.append_many(vec![append]).await.pop() {
            Some(Appended::At { .. }) => {
                self.end += count;
                self.since_snapshot.add(count, bytes);
                records.into_iter().for_each(|record| self.state.fold(record));
                Ok(last)
            }
            Some(Appended::Moved { .. }) => Err(self.who_moved_it().await),
            Some(Appended::Closed { .. } | Appended::Missing) => Err(ControlError::Gone),
            Some(Appended::Full) => Err(ControlError::Unsettled("the engine takes no more data for now".into())),
            Some(Appended::Unknown) | None => Err(ControlError::Unsettled("an append of unknown outcome".into())),
        }
    }

    /// A log does not end where this worker left it: either another worker wrote, or an own append of unknown outcome
    /// has appeared after all.
    pub(crate) async fn who_moved_it(&mut self) -> ControlError {
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
                    let bytes = record.data.len() as u64;
                    let record = decode(record.data)?;
                    if matches!(record, Record::Snapshot(_)) {
                        (self.since_snapshot, self.snapshot_bytes) = (Growth::default(), bytes);
                    } else {
                        self.since_snapshot.add(1, bytes);
                    }
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

/// The batch, and the bytes of its last record.
fn encode(records: &[Record]) -> Result<(Option<Batch>, u64), ControlError> {
    let mut builder = BatchBuilder::default();
    let mut last = 0;
    for record in records {
        let json = serde_json::to_vec(record).map_err(|error| ControlError::Unreadable(error.to_string()))?;
        last = json.len() as u64;
        builder.push_with(&[], |bytes| {
            bytes.push(VERSION);
            bytes.extend_from_slice(&json);
        });
    }
    Ok((builder.finish(), last))
}

fn decode(bytes: &[u8]) -> Result<Record, ControlError> {
    match bytes.split_first() {
        Some((version, json)) if VERSIONS.contains(version) => {
            serde_json::from_slice(json).map_err(|error| ControlError::Unreadable(error.to_string()))
        }
        Some((version, _)) => Err(ControlError::Unreadable(format!("a record of version {version}"))),
        None => Err(ControlError::Unreadable("an empty record".into())),
    }
}
