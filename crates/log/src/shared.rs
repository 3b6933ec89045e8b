//! What the callers, the log thread and the background thread share.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::vec::IntoIter;

use levada_core::engine::{Append, Appended, EngineError, LogId, LogSpec, Sealed};
use levada_core::env::{Clock, Disk};

use crate::gate::{Charge, Gate};
use crate::journal::Files;
use crate::layout::Layout;
use crate::oneshot::{Sender, lock};
use crate::options::Options;
use crate::reader::{Handles, Hints, Pool};
use crate::state::State;

/// Wakes one worker, be it a thread or a task. Signals sent while it works are kept, any number as one.
pub(crate) struct Signal {
    set: AtomicBool,
    sleeper: Mutex<Option<Waker>>,
    thread: Condvar,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self { set: AtomicBool::new(false), sleeper: Mutex::new(None), thread: Condvar::new() }
    }

    pub(crate) fn set(&self) {
        // A worker that has not looked yet will find what this signal is about: no system call for it.
        if self.set.swap(true, Ordering::SeqCst) {
            return;
        }
        let waker = {
            let mut sleeper = lock(&self.sleeper);
            self.thread.notify_one();
            sleeper.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Blocks the thread until the signal is set.
    pub(crate) fn wait(&self) {
        let mut sleeper = lock(&self.sleeper);
        while !self.set.swap(false, Ordering::SeqCst) {
            sleeper = self.thread.wait(sleeper).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ready when the signal is set.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut sleeper = lock(&self.sleeper);
        if self.set.swap(false, Ordering::SeqCst) {
            return Poll::Ready(());
        }
        *sleeper = Some(context.waker().clone());
        Poll::Pending
    }
}

/// An `append_many` on its way.
pub(crate) struct Call {
    pub(crate) appends: IntoIter<Append>,
    pub(crate) outcomes: Vec<Appended>,
    pub(crate) sender: Sender<Vec<Appended>>,
    /// Counts it against what may wait, until it is answered.
    pub(crate) charge: Charge,
}

impl Call {
    /// Answers that nothing is known of what was not settled.
    pub(crate) fn give_up(self, planned_in_round: usize) {
        let Self { appends, mut outcomes, sender, charge: _charge } = self;
        let settled = outcomes.len() - planned_in_round.min(outcomes.len());
        outcomes[settled..].fill(Appended::Unknown);
        outcomes.extend(appends.map(|_| Appended::Unknown));
        sender.send(outcomes);
    }
}

/// What a caller may ask of the log thread.
pub(crate) enum Work {
    Append(Call),
    Create(IntoIter<LogSpec>, Sender<Result<(), EngineError>>),
    Seal(LogId, Sender<Result<Sealed, EngineError>>),
    Delete(IntoIter<LogId>, Sender<Result<(), EngineError>>),
    Shutdown(Sender<Result<(), EngineError>>),
}

impl Work {
    /// Answers a caller whom the engine cannot serve any more.
    pub(crate) fn refuse(self, reason: &str) {
        let unavailable = || EngineError::Unavailable(reason.to_owned());
        match self {
            Self::Append(call) => {
                let outcomes = call.outcomes.len();
                call.give_up(outcomes);
            }
            Self::Create(_, sender) | Self::Delete(_, sender) | Self::Shutdown(sender) => {
                sender.send(Err(unavailable()));
            }
            Self::Seal(_, sender) => sender.send(Err(unavailable())),
        }
    }
}

/// Work that the log thread has not looked at yet.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) works: VecDeque<Work>,
    /// Why nothing is taken any more.
    pub(crate) closed: Option<String>,
}

/// Numbers for metrics.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) appends: AtomicU64,
    pub(crate) commit_nanos: AtomicU64,
    pub(crate) drains: AtomicU64,
    /// Bytes of the journal file being written that hold rounds.
    pub(crate) journal_at: AtomicU64,
}

/// Whether and why the engine gave itself up.
#[derive(Default)]
pub(crate) struct Death {
    pub(crate) reason: Option<String>,
    pub(crate) watchers: Vec<Waker>,
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) layout: Layout,
    pub(crate) options: Options,
    pub(crate) state: Mutex<State>,
    pub(crate) queue: Mutex<Queue>,
    pub(crate) log_signal: Signal,
    pub(crate) drain_signal: Signal,
    /// What may wait for the log thread.
    pub(crate) gate: Arc<Gate>,
    /// True if a drain is to begin although none is due by the numbers, because it may give room.
    pub(crate) drain_wanted: AtomicBool,
    pub(crate) files: Mutex<Files>,
    pub(crate) handles: Handles,
    pub(crate) hints: Hints,
    pub(crate) pool: OnceLock<Pool>,
    /// Number of the newest durable manifest record.
    pub(crate) manifest: AtomicU64,
    /// True while appends are refused for want of disk space.
    pub(crate) full: AtomicBool,
    /// True when half of the journal file in use is written and none is ready to follow.
    pub(crate) prepare_due: AtomicBool,
    /// The caller of a shutdown whose work before it has been committed.
    pub(crate) stopping: Mutex<Option<Sender<Result<(), EngineError>>>>,
    pub(crate) counters: Counters,
    pub(crate) death: Mutex<Death>,
    /// The directory's lock; given back by a clean shutdown or with the last reference.
    pub(crate) lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl Shared {
    /// Gives work to the log thread, or refuses it.
    pub(crate) fn submit(&self, work: Work) {
        let refused = {
            let mut queue = lock(&self.queue);
            match queue.closed.clone() {
                None => {
                    queue.works.push_back(work);
                    None
                }
                Some(reason) => Some((work, reason)),
            }
        };
        match refused {
            None => self.log_signal.set(),
            Some((work, reason)) => work.refuse(&reason),
        }
    }

    /// Undrained bytes from which on a drain is due.
    pub(crate) fn drain_threshold(&self, state: &State) -> usize {
        let options = &self.options;
        let many = state.dirty.len() > options.many_logs;
        let threshold = if many { options.drain_bytes_many_logs } else { options.drain_bytes };
        threshold.min(options.memory_bytes)
    }

    /// Answers nothing any more: refuses all that waits and all that comes.
    pub(crate) fn stop(&self, reason: &str) {
        let works = {
            let mut queue = lock(&self.queue);
            queue.closed.get_or_insert_with(|| reason.to_owned());
            std::mem::take(&mut queue.works)
        };
        let mut wake = Vec::new();
        {
            let mut state = lock(&self.state);
            state.stopped.get_or_insert_with(|| reason.to_owned());
            for log in state.logs.values_mut() {
                if let Some(live) = &mut log.live {
                    live.watchers.take(&mut wake);
                }
            }
        }
        let stopping = lock(&self.stopping).take();
        if let Some(sender) = stopping {
            sender.send(Err(EngineError::Unavailable(reason.to_owned())));
        }
        works.into_iter().for_each(|work| work.refuse(reason));
        wake.into_iter().for_each(Waker::wake);
        self.gate.open();
        self.log_signal.set();
        self.drain_signal.set();
    }

    /// Has the background thread drain soon, whatever is due.
    pub(crate) fn want_drain(&self) {
        self.drain_wanted.store(true, Ordering::Relaxed);
        self.drain_signal.set();
    }

    /// Gives the engine up after a failure that nobody may retry. The process is expected to end.
    pub(crate) fn poison(&self, reason: &str) {
        tracing::error!(reason, "the log gives up; recovery decides what is true");
        let watchers = {
            let mut death = lock(&self.death);
            death.reason.get_or_insert_with(|| reason.to_owned());
            std::mem::take(&mut death.watchers)
        };
        self.stop(reason);
        watchers.into_iter().for_each(Waker::wake);
    }

    /// True once the engine answers no more.
    pub(crate) fn stopped(&self) -> bool {
        lock(&self.state).stopped.is_some()
    }

    /// Resolves with the reason when the engine gave itself up.
    pub(crate) async fn died(&self) -> String {
        poll_fn(|context| {
            let mut death = lock(&self.death);
            match &death.reason {
                Some(reason) => Poll::Ready(reason.clone()),
                None => {
                    death.watchers.retain(|waker| !waker.will_wake(context.waker()));
                    death.watchers.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Compares the free space with the watermark.
    pub(crate) fn check_space(&self) {
        let full = match self.disk.free_bytes(&self.layout.root) {
            Ok(free) => free < self.options.disk_watermark_bytes,
            // Not knowing is no reason to refuse: a full disk shows itself at the next write.
            Err(error) => {
                tracing::warn!(%error, "cannot ask for free space");
                return;
            }
        };
        if self.full.swap(full, Ordering::Relaxed) != full {
            tracing::warn!(full, "free space crossed the watermark");
        }
        if !full {
            self.drain_signal.set();
        }
    }
}

/// A map from a place in a log to the byte where its frame begins.
pub(crate) type HintMap = HashMap<(u64, u64), (u32, u32)>;
