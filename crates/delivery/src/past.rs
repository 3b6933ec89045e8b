//! What this process remembers of cuts that have failed, over all sessions of a worker.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// When each unfinished cut failed first, by the monotonic clock. Each cut has its own time: a success of another one
/// says nothing about a cut that the store refuses.
#[derive(Debug, Default)]
pub(crate) struct Past {
    failing_since: Mutex<BTreeMap<u64, Duration>>,
}

impl Past {
    /// Notes that the cut has failed at `now`.
    pub(crate) fn failed(&self, cut: u64, now: Duration) {
        self.with(|cuts| *cuts.entry(cut).or_insert(now));
    }

    /// For how long the cut has failed; 0 if it has not.
    pub(crate) fn failing_for(&self, cut: u64, now: Duration) -> Duration {
        self.with(|cuts| cuts.get(&cut).map_or(Duration::ZERO, |since| now.saturating_sub(*since)))
    }

    /// The cut is finished.
    pub(crate) fn forget(&self, cut: u64) {
        self.with(|cuts| cuts.remove(&cut));
    }

    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<u64, Duration>) -> T) -> T {
        f(&mut self.failing_since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
