//! The engine as its callers see it.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use levada_core::engine::{
    Append, Appended, BoxFuture, Engine, EngineError, LogId, LogSpec, Millis, Offset, Page, ReadRequest, Sealed, Tail,
};
use levada_core::env::{Clock, Disk, Random};

use crate::driver::Driver;
use crate::error::OpenError;
use crate::frame::FRAME_HEADER_BYTES;
use crate::gate::Charge;
use crate::oneshot::{Receiver, channel, lock};
use crate::options::Options;
use crate::shared::{Call, Shared, Work};
use crate::{reader, recovery};

/// The embedded engine: one journal with group commit, drained into segments.
///
/// Dropping it ends the engine as a crash would, without its loss: what was acknowledged is found by the next open. Threads
/// end a moment later, and with them the directory's lock; [`shutdown`](Self::shutdown) ends it with order.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
}

/// Numbers for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of journal files that hold rounds which are not drained yet, and so must be read after a crash.
    pub journal_backlog_bytes: u64,
    /// Memory in bytes that undrained records hold.
    pub undrained_bytes: u64,
    /// Number of segment files.
    pub segments: u64,
    /// Their recorded bytes.
    pub segment_bytes: u64,
    /// Number of index entries in memory that say where records stand in segments, 32 bytes each.
    pub extents: u64,
    /// Number of logs.
    pub logs: u64,
    /// Segment files open for reading.
    pub open_files: u64,
    /// Journal rounds since the start.
    pub commits: u64,
    /// Batches in them.
    pub committed_appends: u64,
    /// Time from the beginning of a round's write until it was visible, summed up, in nanoseconds.
    pub commit_nanos_total: u64,
    /// Drains since the start.
    pub drains: u64,
    /// True while appends are refused for want of disk space.
    pub full: bool,
    /// Why the engine gave itself up, if it did.
    pub last_error: Option<String>,
}

impl EmbeddedLog {
    /// Opens a data directory, new or old, and recovers what the last process left. Blocks until that is done;
    /// nothing else happens until the [`Driver`] is set to work.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing has been written if it is `Locked`, `Version` or `Corrupt`, besides the lock file
    /// and missing directories.
    pub fn open(
        dir: &Path,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<(Self, Driver), OpenError> {
        let (shared, committer, background) = recovery::open(dir, disk, clock, random, options)?;
        let driver = Driver::new(Arc::clone(&shared), committer, background);
        Ok((Self { shared }, driver))
    }

    /// Commits what is queued, drains everything into segments, marks the directory as cleanly left and gives its
    /// lock back. All later calls are refused.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] if the engine had stopped already, or could not drain; acknowledged records are
    /// in the journal then.
    pub fn shutdown(&self) -> impl Future<Output = Result<(), EngineError>> + Send + 'static {
        let (sender, receiver) = channel();
        self.shared.submit(Work::Shutdown(sender));
        answered(receiver)
    }

    /// Resolves with the reason when the engine gave itself up after a failed write or sync, which is never tried
    /// again: the process should end then, and recovery decide what is true. Pending for ever otherwise.
    pub fn died(&self) -> impl Future<Output = String> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move { shared.died().await }
    }

    /// True while appends of producers are refused for want of disk space. Costs nothing.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::Relaxed)
    }

    /// Numbers for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let counters = &shared.counters;
        let used = lock(&shared.files).used_bytes();
        let last_error = lock(&shared.death).reason.clone();
        let state = lock(&shared.state);
        Stats {
            journal_backlog_bytes: used + counters.journal_at.load(Ordering::Relaxed),
            undrained_bytes: state.undrained as u64,
            segments: state.segments.len() as u64,
            segment_bytes: state.segments.values().map(|segment| u64::from(segment.len)).sum(),
            extents: state.segments.values().map(|segment| u64::from(segment.live)).sum(),
            logs: state.logs.len() as u64,
            open_files: shared.handles.len() as u64,
            commits: counters.commits.load(Ordering::Relaxed),
            committed_appends: counters.appends.load(Ordering::Relaxed),
            commit_nanos_total: counters.commit_nanos.load(Ordering::Relaxed),
            drains: counters.drains.load(Ordering::Relaxed),
            full: shared.full.load(Ordering::Relaxed),
            last_error,
        }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.shared.stop("the engine was dropped");
        if let Some(pool) = self.shared.pool.get() {
            pool.close();
        }
    }
}

/// Gives appends to the log thread at once; the future waits for the answer.
fn append(shared: &Shared, appends: Vec<Append>, charge: Charge) -> impl Future<Output = Vec<Appended>> + use<> {
    let (sender, receiver) = channel();
    let count = appends.len();
    let outcomes = Vec::with_capacity(count);
    shared.submit(Work::Append(Call { appends: appends.into_iter(), outcomes, sender, charge }));
    async move { receiver.await.unwrap_or_else(|| vec![Appended::Unknown; count]) }
}

/// The answer, or that there is none because its thread ended.
async fn answered<T>(receiver: Receiver<Result<T, EngineError>>) -> Result<T, EngineError> {
    receiver.await.unwrap_or_else(|| Err(EngineError::Unavailable("the engine stopped".to_owned())))
}

/// See [`Engine::grown`].
struct Grown<'a> {
    shared: &'a Shared,
    log: u64,
    end: Offset,
    key: Option<u64>,
}

impl Future for Grown<'_> {
    type Output = Result<Tail, EngineError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (id, end) = (self.log, self.end);
        let mut state = lock(&self.shared.state);
        if let Err(error) = state.log(id) {
            return Poll::Ready(Err(error));
        }
        let Some(log) = state.logs.get_mut(&id) else { return Poll::Ready(Err(EngineError::Missing)) };
        if log.end > end || log.sealed {
            return Poll::Ready(Ok(log.tail()));
        }
        log.live.get_or_insert_default().watchers.register(&mut self.key, context.waker());
        Poll::Pending
    }
}

impl Drop for Grown<'_> {
    fn drop(&mut self) {
        if self.key.is_none() {
            return;
        }
        let mut state = lock(&self.shared.state);
        if let Some(log) = state.logs.get_mut(&self.log)
            && let Some(live) = &mut log.live
        {
            live.watchers.remove(self.key);
            log.settle();
        }
    }
}

impl Engine for EmbeddedLog {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        let bytes = appends.iter().map(|append| FRAME_HEADER_BYTES + append.batch.bytes().len()).sum();
        match self.shared.gate.enter(bytes) {
            Some(charge) => Box::pin(append(&self.shared, appends, charge)),
            None => Box::pin(async move {
                let charge = self.shared.gate.wait(bytes).await;
                append(&self.shared, appends, charge).await
            }),
        }
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        Box::pin(reader::read(&self.shared, request))
    }

    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        let tail = lock(&self.shared.state).log(log.0).map(crate::state::Log::tail);
        Box::pin(std::future::ready(tail))
    }

    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(Grown { shared: &self.shared, log: log.0, end, key: None })
    }

    fn seek(&self, log: LogId, time: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        Box::pin(reader::seek(&self.shared, log.0, time))
    }

    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        let (sender, receiver) = channel();
        self.shared.submit(Work::Seal(log, sender));
        Box::pin(answered(receiver))
    }

    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        let memory = self.shared.options.memory_bytes;
        let (trimmed, relieved) = {
            let mut state = lock(&self.shared.state);
            let was_full = state.undrained >= memory;
            (state.trim(log.0, before), was_full && state.undrained < memory)
        };
        if relieved {
            // It may wait for a drain that is not due any more.
            self.shared.log_signal.set();
        }
        let result = trimmed.map(|freed| {
            if freed {
                self.shared.want_drain();
            }
        });
        Box::pin(std::future::ready(result))
    }

    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        let (sender, receiver) = channel();
        self.shared.submit(Work::Create(logs.into_iter(), sender));
        Box::pin(answered(receiver))
    }

    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        let (sender, receiver) = channel();
        self.shared.submit(Work::Delete(logs.into_iter(), sender));
        Box::pin(answered(receiver))
    }
}
