//! The engine as its callers see it.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use levada_core::engine::{
    Append, Appended, BoxFuture, Engine, EngineError, LogId, LogSpec, Millis, Offset, Page, ReadRequest, Sealed, Tail,
};
use levada_core::env::{Clock, Disk, Random};

use crate::driver::Driver;
use crate::error::OpenError;
use crate::oneshot::{channel, lock};
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
        receiver
    }

    /// Resolves with the reason when the engine gave itself up after a failed write or sync, which is never tried
    /// again: the process should end then, and recovery decide what is true. Pending for ever otherwise.
    pub fn died(&self) -> impl Future<Output = String> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move { shared.died().await }
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

impl Engine for EmbeddedLog {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        let (sender, receiver) = channel();
        let outcomes = Vec::with_capacity(appends.len());
        self.shared.submit(Work::Append(Call { appends: appends.into_iter(), outcomes, sender }));
        Box::pin(receiver)
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        Box::pin(reader::read(&self.shared, request))
    }

    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        let tail = lock(&self.shared.state).log(log.0).map(crate::state::Log::tail);
        Box::pin(std::future::ready(tail))
    }

    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(poll_fn(move |context| {
            let mut state = lock(&self.shared.state);
            if let Err(error) = state.log(log.0) {
                return Poll::Ready(Err(error));
            }
            let Some(found) = state.logs.get_mut(&log.0) else { return Poll::Ready(Err(EngineError::Missing)) };
            if found.end > end || found.sealed {
                return Poll::Ready(Ok(found.tail()));
            }
            // A dropped waiter leaves its waker until the log grows; one task leaves one however often it waits.
            let watchers = &mut found.live.get_or_insert_default().watchers;
            if !watchers.iter().any(|waker| waker.will_wake(context.waker())) {
                watchers.push(context.waker().clone());
            }
            Poll::Pending
        }))
    }

    fn seek(&self, log: LogId, time: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        Box::pin(reader::seek(&self.shared, log.0, time))
    }

    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        let (sender, receiver) = channel();
        self.shared.submit(Work::Seal(log, sender));
        Box::pin(receiver)
    }

    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        let trimmed = lock(&self.shared.state).trim(log.0, before);
        let result = trimmed.map(|freed| {
            if freed {
                self.shared.drain_signal.set();
            }
        });
        Box::pin(std::future::ready(result))
    }

    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        let (sender, receiver) = channel();
        self.shared.submit(Work::Create(logs.into_iter(), sender));
        Box::pin(receiver)
    }

    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        let (sender, receiver) = channel();
        self.shared.submit(Work::Delete(logs.into_iter(), sender));
        Box::pin(receiver)
    }
}
