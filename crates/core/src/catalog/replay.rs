//! From the catalog's log to its state: snapshots and replay.
//!
//! A snapshot is the whole state, cut into parts that stand in consecutive records. The writer appends its batches
//! in order, each with `Expect::End` where the one before ended, and trims the log before the first part only when
//! the last one is durable. So of all crashes:
//!
//! - before the last part: the events in front are still there, and the parts mean nothing. The next event or the
//!   next snapshot's part 0 makes that final;
//! - after the last part, with or without the trim: replay reaches the snapshot, which takes the place of whatever
//!   was replayed before it. A log that was trimmed only in part begins anywhere in front of the snapshot; records
//!   before the first complete snapshot are then passed over.

use crate::batch::{Batch, BatchBuilder, MAX_BATCH_BYTES, RECORD_HEADER_BYTES};
use crate::engine::{Millis, Offset};

use super::event::{Content, Part, Unreadable, decode, encode_part};
use super::fold::{Contradiction, fold};
use super::state::State;

/// Bytes of the state in one part of a snapshot.
pub const SNAPSHOT_PART_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of events after which a snapshot is due, if the last one was not larger.
const SNAPSHOT_AFTER_BYTES: u64 = 4 * 1024 * 1024;

/// Longest head of a part, see `event`.
const HEAD_BYTES: usize = 256;

const PARTS_PER_BATCH: usize = MAX_BATCH_BYTES / (SNAPSHOT_PART_BYTES + HEAD_BYTES + RECORD_HEADER_BYTES);
const _: () = assert!(PARTS_PER_BATCH >= 1);

/// A snapshot of `state` as batches for the catalog's log, usually one.
///
/// Append them in order, each with `Expect::End`. If one is not appended, leave it and begin a new snapshot later.
/// When all are durable, trim the log before the first record of the first, and start a new [`Growth`] with
/// [`Growth::after_snapshot`].
#[must_use]
pub fn snapshot_batches(state: &State, at: Millis) -> Vec<Batch> {
    #[expect(clippy::expect_used, reason = "all keys are strings and nothing fails while it is written to memory")]
    let bytes = serde_json::to_vec(state).expect("serialising to memory");
    let pieces: Vec<_> = bytes.chunks(SNAPSHOT_PART_BYTES).collect();
    let parts = pieces.len() as u32;
    let mut records = (0..).zip(pieces).map(|(part, raw)| encode_part(at, Part { part, parts }, raw)).peekable();
    let mut batches = Vec::new();
    while records.peek().is_some() {
        let mut builder = BatchBuilder::default();
        records.by_ref().take(PARTS_PER_BATCH).for_each(|data| builder.push(b"", &data));
        batches.extend(builder.finish());
    }
    batches
}

/// How much the log has grown since the last snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Events since then.
    pub events: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Bytes of the snapshot.
    pub snapshot_bytes: u64,
}

impl Growth {
    /// After a snapshot with this many bytes in its batches.
    #[must_use]
    pub fn after_snapshot(bytes: u64) -> Self {
        Self { events: 0, bytes: 0, snapshot_bytes: bytes }
    }

    /// Counts an event's record.
    pub fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
    }

    /// Whether a snapshot pays: replay reads no more events than four MiB or the state's own size, and writing
    /// snapshots costs no more than writing the events did.
    #[must_use]
    pub fn snapshot_due(&self) -> bool {
        self.bytes >= SNAPSHOT_AFTER_BYTES.max(self.snapshot_bytes)
    }
}

/// Why a catalog's log yields no state. The node must not start on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Written by a later release.
    #[error("the catalog's record {offset} has version {version}, which this release does not know")]
    Version {
        /// The record.
        offset: Offset,
        /// Its version.
        version: u32,
    },
    /// Not a record of a catalog.
    #[error("the catalog's record {offset} cannot be read: {reason}")]
    Malformed {
        /// The record.
        offset: Offset,
        /// What is wrong.
        reason: String,
    },
    /// An event that does not follow on those before.
    #[error("the catalog's record {offset}: {contradiction}")]
    Contradiction {
        /// The record.
        offset: Offset,
        /// What does not follow.
        contradiction: Contradiction,
    },
    /// Records were left out.
    #[error("the catalog's record {offset} came where {expected} was due")]
    Gap {
        /// The record that came.
        offset: Offset,
        /// The record that was due.
        expected: Offset,
    },
    /// The log does not begin at its first record and holds no complete snapshot.
    #[error("the catalog's log begins at record {start} without a snapshot")]
    NoBeginning {
        /// Its first record.
        start: Offset,
    },
}

/// The outcome of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The state.
    pub state: State,
    /// Where the next event goes.
    pub next: Offset,
    /// What has come since the last snapshot.
    pub growth: Growth,
    /// When the newest event or snapshot was decided, 0 if there is none: a wall-clock time that the node has seen.
    pub last_at: Millis,
}

/// Takes the records of the catalog's log in order, from the oldest readable one on.
#[derive(Debug)]
pub struct Replayer {
    start: Offset,
    next: Offset,
    /// `None` until the history has a beginning.
    state: Option<State>,
    pending: Option<Pending>,
    growth: Growth,
    last_at: Millis,
}

/// A snapshot of which some parts have been seen.
#[derive(Debug)]
struct Pending {
    at: Millis,
    next: Part,
    bytes: Vec<u8>,
}

impl Replayer {
    /// For a log whose oldest readable record, or whose end if it is empty, is at `start`.
    #[must_use]
    pub fn new(start: Offset) -> Self {
        let state = (start == 0).then(State::default);
        Self { start, next: start, state, pending: None, growth: Growth::default(), last_at: 0 }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// [`ReplayError`], which is final.
    pub fn record(&mut self, offset: Offset, data: &[u8]) -> Result<(), ReplayError> {
        if offset != self.next {
            return Err(ReplayError::Gap { offset, expected: self.next });
        }
        self.next += 1;
        let (at, content) = decode(data).map_err(|unreadable| match unreadable {
            Unreadable::Version(version) => ReplayError::Version { offset, version },
            Unreadable::Malformed(reason) => ReplayError::Malformed { offset, reason },
        })?;
        self.last_at = self.last_at.max(at);
        match content {
            Content::Event(event) => {
                self.pending = None;
                self.growth.add(data.len());
                let Some(state) = &mut self.state else { return Ok(()) };
                fold(state, &event).map_err(|contradiction| ReplayError::Contradiction { offset, contradiction })
            }
            Content::Snapshot(part, raw) => self.part(offset, at, part, raw),
        }
    }

    fn part(&mut self, offset: Offset, at: Millis, part: Part, raw: &[u8]) -> Result<(), ReplayError> {
        if part.part == 0 {
            self.pending = Some(Pending { at, next: part, bytes: Vec::new() });
        }
        let continues = |pending: &Pending| pending.at == at && pending.next == part;
        // A part without those before it belongs to a snapshot that was begun before the log's start.
        let Some(mut pending) = self.pending.take().filter(continues) else { return Ok(()) };
        pending.bytes.extend_from_slice(raw);
        pending.next.part += 1;
        if pending.next.part < part.parts {
            self.pending = Some(pending);
            return Ok(());
        }
        let state = serde_json::from_slice(&pending.bytes);
        self.state = Some(state.map_err(|error| ReplayError::Malformed { offset, reason: error.to_string() })?);
        self.growth = Growth::after_snapshot(pending.bytes.len() as u64);
        Ok(())
    }

    /// Ends the replay at the end of the log.
    ///
    /// # Errors
    /// [`ReplayError::NoBeginning`].
    pub fn finish(self) -> Result<Replayed, ReplayError> {
        let Self { start, next, growth, last_at, .. } = self;
        let state = self.state.ok_or(ReplayError::NoBeginning { start })?;
        Ok(Replayed { state, next, growth, last_at })
    }
}
