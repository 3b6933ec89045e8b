//! The engine: what Levada asks of a log, whoever keeps it.
//!
//! The trait speaks of logs, offsets and batches only. Its obligations stand as prose on each method and are held
//! by ONE conformance suite (`conformance`), which every implementation passes.

pub mod checked;
pub mod conformance;

use std::future::Future;
use std::pin::Pin;

use crate::batch::{Batch, RecordView};

/// A boxed future, so that the engine can stay a trait object; one allocation a call, not one a record.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Names a log for ever: never reused, also not after the log was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct LogId(pub u64);

/// Position of a record in its log, from 0, without gaps.
pub type Offset = u64;

/// Milliseconds since the Unix epoch.
pub type Millis = u64;

/// A log to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSpec {
    /// Its name. The catalog hands them out, rising.
    pub id: LogId,
    /// Logs of one class have similar lifetimes (for a stream: its retention in hours); an engine may keep their
    /// small amounts of data in common files.
    pub class: u32,
    /// No record of this log carries an earlier arrival time (a child's records arrive after its parent's last).
    pub floor: Millis,
}

/// Where the writer believes the log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Exactly here: the append is refused with [`Appended::Moved`] if the log ends elsewhere. For writers that
    /// decided something from the log's content (catalog, cuts, checkpoints).
    End(Offset),
    /// Wherever it ends: the engine orders concurrent writers itself. For records of producers, whose content does
    /// not depend on what stands before them. An engine over a log without conditional append keeps the expected
    /// end itself; an append of unknown outcome is settled by the next one, which takes its place or finds it taken.
    Tail,
}

/// One batch for one log.
#[derive(Clone, Debug)]
pub struct Append {
    /// The log.
    pub log: LogId,
    /// The check.
    pub expect: Expect,
    /// The records. All of them are appended, contiguously, or none.
    pub batch: Batch,
}

/// What became of one [`Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// Durable. The batch's records have the offsets `first ..= first + count - 1` and this arrival time.
    At {
        /// Offset of the batch's first record.
        first: Offset,
        /// Arrival time of all its records: max(the log's last, the clock).
        arrival: Millis,
    },
    /// Nothing was appended: the log ends at `end`, not where the writer said. Of a sealed log, `Closed` is said.
    Moved {
        /// The log's real end.
        end: Offset,
    },
    /// Nothing was appended, nothing ever will be: the log was sealed at `end`.
    Closed {
        /// The log's last end.
        end: Offset,
    },
    /// Nothing was appended: there is no such log (any more).
    Missing,
    /// Nothing was appended: a ceiling of the engine (disk watermark) forbids it for now. Appends with
    /// [`Expect::End`] are refused only when there is no room at all: deletions and checkpoints are what makes room.
    Full,
    /// It may or may not have been appended, and may yet appear. The caller must not claim either.
    Unknown,
}

/// What stands where in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Offset of the oldest record that may still be read.
    pub start: Offset,
    /// Offset that the next record will get.
    pub end: Offset,
    /// True after [`Engine::seal`].
    pub sealed: bool,
    /// Arrival time of the newest record ever appended, or the log's floor.
    pub last_arrival: Millis,
    /// Arrival time of the record at `start`; `None` exactly when there is no record. May be earlier than that by the granularity of the
    /// engine's files, never later.
    pub first_arrival: Option<Millis>,
    /// Encoded bytes between `start` and `end`, to within the granularity of the engine's files.
    pub bytes: u64,
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// The log.
    pub log: LogId,
    /// Offset of the first wanted record; a trimmed one means the log's start.
    pub from: Offset,
    /// At most so many records.
    pub max_records: u32,
    /// At most so many bytes of keys and data, but always one record if there is one.
    pub max_bytes: u64,
}

/// A page of records, without gaps.
#[derive(Clone, Debug)]
pub struct Page {
    /// The records, as consecutive pieces of batches.
    pub chunks: Vec<Chunk>,
    /// Offset to continue from: after the last record of `chunks`, or where the page would have begun.
    pub next: Offset,
    /// The log's tail as of this page.
    pub tail: Tail,
}

/// Consecutive records of one batch.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Offset of the first record of this chunk.
    pub first: Offset,
    /// Arrival time of all its records.
    pub arrival: Millis,
    /// The batch that holds them.
    pub batch: Batch,
    /// How many records of `batch` stand before the chunk.
    pub skip: u32,
    /// How many records of `batch` belong to the chunk, at least 1.
    pub take: u32,
}

impl Chunk {
    /// The records with their offsets.
    pub fn records(&self) -> impl Iterator<Item = (Offset, RecordView<'_>)> {
        (self.first..).zip(self.batch.records().skip(self.skip as usize).take(self.take as usize))
    }
}

/// Why a log could not be read or managed. The kinds say what the caller must do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is no such log (any more): treat the resource as gone.
    #[error("no such log")]
    Missing,
    /// The log's bytes are damaged here and no retry will help; other logs are not affected.
    #[error("corrupt: {file} at byte {at}")]
    Corrupt {
        /// The damaged file.
        file: String,
        /// Byte offset of the damaged frame in it.
        at: u64,
    },
    /// The engine cannot answer now (stopped, poisoned, disconnected): answer 500.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// What became of a [`Engine::seal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Sealed {
    /// The log's last end.
    pub end: Offset,
    /// Arrival time of its last record, or its floor.
    pub last_arrival: Millis,
}

/// A set of logs with checked appends.
///
/// Obligations that no single method can state:
///
/// - **Durable before visible.** A record is returned by [`read`](Self::read), counted by [`tail`](Self::tail) or
///   acknowledged by [`append_many`](Self::append_many) only when no crash can take it back.
/// - **Order.** Offsets of a log start at 0 and have no gaps. Arrival times never fall along a log. Two appends of
///   one caller, the second started after the first one's answer, stand in that order.
/// - **Independence.** An error on one log says nothing about another; one slow or damaged log blocks no other.
/// - **Recovery.** After any crash the engine holds every acknowledged append exactly once, in its place, and of
///   an unacknowledged batch all records or none.
/// - **Cancellation.** Dropping a future leaves the operation's outcome open, and nothing else. A future that
///   nobody polls holds nobody up.
/// - **Freshness.** Where several engines share logs, only an append is a barrier: `read`, `tail` and `seek` may miss
///   what another engine has acknowledged since. Within one engine they never do.
pub trait Engine: Send + Sync + 'static {
    /// Appends each batch to its log, and answers for each in the order of `appends`.
    ///
    /// Each append stands alone: some may succeed while others are refused. Several appends to one log in one call
    /// are applied in order. The engine answers only when every outcome is settled or given up as
    /// [`Appended::Unknown`].
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>>;

    /// Reads durable records from `request.from` on, oldest first, without waiting for new ones.
    ///
    /// A position past the end gives an empty page whose `next` is that position. A position before the start
    /// reads from the start.
    ///
    /// # Errors
    /// See [`EngineError`]; records before a damaged place are returned first.
    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>>;

    /// Where the log starts and ends now.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>>;

    /// Waits until the log ends past `end`, or is sealed, and answers its tail.
    ///
    /// # Errors
    /// [`EngineError::Missing`] also when the log is deleted during the wait.
    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>>;

    /// Offset of the first readable record that arrived at `time` or later; the end if there is none.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn seek(&self, log: LogId, time: Millis) -> BoxFuture<'_, Result<Offset, EngineError>>;

    /// Closes the log for appends, durably. Sealing a sealed log answers the same again. Appends that were
    /// acknowledged are before the end; all others answer [`Appended::Closed`] or [`Appended::Unknown`] and are
    /// not in the log if `Closed`.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>>;

    /// Makes records before `before` unreadable at once, also in the middle of a batch; their space is freed in time. Never moves the start back, never
    /// past the end. May be forgotten by a crash, so callers repeat it.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Creates logs, empty and durable. A log that exists already is left as it is, so that a caller who does not
    /// know whether it had created one may create it again. A deleted log's id is never passed again.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Deletes logs durably. Missing ones are passed over. Their space is freed in time.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>>;
}
