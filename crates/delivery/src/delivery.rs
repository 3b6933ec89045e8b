//! The module's face: [`Delivery`] once for each node, a [`Handle`] for each delivery stream.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use levada_core::engine::Engine;
use levada_core::env::{Clock, Random};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::backlog::{Backlog, Reservation};
use crate::blocking::Blocking;
use crate::config::{Block, Config, Spec, Tuning};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::sink::Sink;
use crate::worker::{Command, Worker};

/// The world of the workers.
#[derive(Clone)]
pub struct Env {
    /// Holds data logs and control logs.
    pub engine: Arc<dyn Engine>,
    /// Decides when an interval or the time for retries is over.
    pub clock: Arc<dyn Clock>,
    /// For UUIDs in keys and for jitter.
    pub random: Arc<dyn Random>,
    /// All buckets; see [`crate::Buckets`].
    pub sink: Arc<dyn Sink>,
    /// Where objects are compressed.
    pub blocking: Blocking,
    /// Knobs.
    pub tuning: Tuning,
}

/// What all workers of a node share.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) memory: Memory,
    /// A random number of this process, part of what names an attempt.
    pub(crate) run: u64,
}

/// Starts workers.
#[derive(Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

impl Delivery {
    /// For one node.
    #[must_use]
    pub fn new(env: Env) -> Self {
        let memory = Memory::new(env.tuning.memory_bytes, env.tuning.processing_bytes);
        let run = env.random.next_u64();
        Self { shared: Arc::new(Shared { env, memory, run }) }
    }

    /// Starts the worker of a delivery stream, whose two logs exist. Unfinished cuts of an earlier worker are taken
    /// up first. At most one worker of a delivery stream makes progress: a later one takes over from an earlier one.
    ///
    /// Called within a tokio runtime.
    #[must_use]
    pub fn start(&self, spec: Spec) -> Handle {
        let metrics = Arc::new(Metrics::default());
        let (send, receive) = mpsc::unbounded_channel();
        let quota = spec.backlog_quota_bytes;
        let backlog = Arc::new(Backlog::default());
        let worker = Worker::new(Arc::clone(&self.shared), spec, Arc::clone(&metrics), Arc::clone(&backlog), receive);
        let task = tokio::spawn(worker.run());
        Handle { inner: Arc::new(Inner { commands: send, metrics, backlog, quota, task }) }
    }
}

#[cfg(test)]
impl Delivery {
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

/// The worker has ended: stopped, deleted, or taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the delivery stream's worker has ended")]
pub struct Stopped;

/// What stood undelivered when a delivery stream was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Records.
    pub records: u64,
    /// Bytes in the data log from the oldest of them on, encoded: an estimate, with what was delivered behind it.
    pub bytes: u64,
}

/// A running worker. When the last clone is dropped, the worker ends at once, as in a crash.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    commands: mpsc::UnboundedSender<Command>,
    metrics: Arc<Metrics>,
    backlog: Arc<Backlog>,
    quota: u64,
    task: JoinHandle<()>,
}

impl Handle {
    /// Room in the backlog for a batch that is to be appended to the data log, of so many encoded bytes; the caller
    /// says what became of it. `None`: the quota is reached or the worker has halted, answer `Slow down.`. A few
    /// atomic operations.
    #[must_use]
    pub fn reserve(&self, encoded_bytes: u64) -> Option<Reservation> {
        if self.is_halted() {
            return None;
        }
        self.inner.backlog.reserve(encoded_bytes, self.inner.quota)
    }

    /// Whether the worker has counted what an earlier one left: before that, [`Handle::reserve`] has only new bytes to
    /// compare with the quota. True too if the worker has ended.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.inner.backlog.is_counted()
    }

    /// Waits until [`Handle::is_counted`], which is soon after the start if the engine answers.
    pub async fn counted(&self) {
        self.inner.backlog.counted().await;
    }

    /// Bytes that the data log retains from the oldest undelivered record on, encoded, with what is about to be
    /// appended. An estimate, set right by the engine whenever the worker does something.
    #[must_use]
    pub fn backlog_bytes(&self) -> u64 {
        self.inner.backlog.bytes()
    }

    /// Whether the worker has ended by itself, so that nothing is delivered until the node starts again: another
    /// worker took over, its logs are gone, or its control log is unreadable.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.inner.metrics.halted.load(Ordering::Relaxed) != 0
    }

    /// The counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Says that the clock was moved: sleeping workers read it again, and uploads that wait are tried at once.
    pub fn nudge(&self) {
        let _ = self.inner.commands.send(Command::Nudge);
    }

    /// Cuts all that is appended now and tries waiting uploads at once. The future is over when everything is delivered
    /// or abandoned; while the store is away that is long.
    ///
    /// # Errors
    /// [`Stopped`] if the worker ends before.
    pub fn flush(&self) -> impl Future<Output = Result<(), Stopped>> + use<> {
        let (done, flushed) = oneshot::channel();
        // Without a worker the sender goes with the command, and the receiver says so.
        let _ = self.inner.commands.send(Command::Flush(done));
        async { flushed.await.map_err(|_| Stopped) }
    }

    /// Changes the configuration: what is cut from now on follows it. `block` as in [`Spec`].
    pub fn reconfigure(&self, config: Config, config_version: u64, block: Option<Block>) {
        let _ = self.inner.commands.send(Command::Reconfigure(Box::new((config, config_version, block))));
    }

    /// Stops: nothing more is cut, and uploads in flight get `grace` to end. What does not end is done again by the
    /// next worker, under the same keys. Returns when the worker has ended; one that hangs in the engine is cancelled
    /// after twice the grace.
    pub async fn stop(&self, grace: Duration) {
        let _ = self.inner.commands.send(Command::Stop(grace));
        if tokio::time::timeout(grace * 2, self.ended()).await.is_err() {
            self.inner.task.abort();
        }
    }

    /// Stops for ever: uploads are cancelled (one that is under way may still appear in the bucket), what is
    /// undelivered is counted, logged and dropped. The caller then deletes both logs. 0 if the worker had ended
    /// before.
    pub async fn delete(&self) -> Dropped {
        let (done, dropped) = oneshot::channel();
        let _ = self.inner.commands.send(Command::Delete(done));
        let dropped = dropped.await.unwrap_or_default();
        self.ended().await;
        dropped
    }

    /// The worker's end of the channel goes when its task is over.
    async fn ended(&self) {
        self.inner.commands.closed().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("metrics", &self.inner.metrics).finish_non_exhaustive()
    }
}
