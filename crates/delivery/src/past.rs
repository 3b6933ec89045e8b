//! What this process remembers of a delivery stream's uploads, over all sessions of its worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Cuts that fail alone at a store and are tried again at a time.
const ALONE_AT_A_TIME: usize = 4;

/// How a store has answered last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Store {
    /// It took an object, or was not asked yet.
    #[default]
    Well,
    /// It did not. It is probed with one upload at a time.
    Failing,
}

/// How the puts of a cut went so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Puts {
    /// None has failed.
    Fresh,
    /// All have failed; perhaps the store is away.
    Fail,
    /// All have failed, though the store has taken another cut since the first one: it may refuse just this one's key.
    FailAlone,
}

/// Of one worker.
///
/// Architecture invariant: what a cut that fails alone meets says nothing of its store. A store that answers is not
/// taken for dead because it refuses some objects for good, and their attempts take no other object's turn.
#[derive(Debug, Default)]
pub(crate) struct Past {
    inner: Mutex<Inner>,
    learned: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// By bucket.
    stores: BTreeMap<String, StorePast>,
    cuts: BTreeMap<u64, CutPast>,
}

#[derive(Debug)]
struct StorePast {
    store: Store,
    probe: Arc<Semaphore>,
    /// For cuts that fail alone.
    alone: Arc<Semaphore>,
}

#[derive(Debug)]
struct CutPast {
    /// When it failed first, by the monotonic clock. Each cut has its own time: a success of another one says nothing
    /// about a cut that the store refuses.
    failing_since: Option<Duration>,
    /// Its store has taken another cut since then.
    is_alone: bool,
    /// Where it failed.
    store: String,
    /// How long it waited between attempts at an endpoint; what becomes of its error output has its own time.
    waited: Duration,
    /// Taken as long as an attempt's body is held by anyone.
    turn: Arc<Semaphore>,
}

impl Default for StorePast {
    fn default() -> Self {
        let (probe, alone) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(ALONE_AT_A_TIME)));
        Self { store: Store::Well, probe, alone }
    }
}

impl Default for CutPast {
    fn default() -> Self {
        let turn = Arc::new(Semaphore::new(1));
        let (store, waited) = (String::new(), Duration::ZERO);
        Self { failing_since: None, is_alone: false, store, waited, turn }
    }
}

impl Past {
    pub(crate) fn store(&self, name: &str) -> Store {
        self.with(|inner| inner.stores.get(name).map(|past| past.store).unwrap_or_default())
    }

    /// The store has taken an object. One that is well is not remembered.
    pub(crate) fn succeeded(&self, name: &str) {
        let mut learned = false;
        self.with(|inner| {
            if let Some(past) = inner.stores.get_mut(name) {
                past.store = Store::Well;
            }
            for cut in inner.cuts.values_mut() {
                if cut.failing_since.is_some() && !cut.is_alone && cut.store == name {
                    (cut.is_alone, learned) = (true, true);
                }
            }
        });
        if learned {
            self.learned.notify_one();
        }
    }

    /// An attempt has failed.
    pub(crate) fn store_failed(&self, name: &str) {
        self.with(|inner| inner.stores.entry(name.to_owned()).or_default().store = Store::Failing);
    }

    /// A put of the cut has failed at `now`.
    pub(crate) fn failed(&self, cut: u64, store: &str, now: Duration) {
        let is_news = self.with(|inner| {
            let past = inner.cuts.entry(cut).or_default();
            let is_news = past.failing_since.is_none();
            if is_news {
                (past.failing_since, past.store) = (Some(now), store.to_owned());
            }
            is_news
        });
        if self.puts(cut) != Puts::FailAlone {
            self.store_failed(store);
        }
        if is_news {
            self.learned.notify_one();
        }
    }

    /// How the puts of a cut went so far.
    pub(crate) fn puts(&self, cut: u64) -> Puts {
        self.with(|inner| match inner.cuts.get(&cut) {
            Some(CutPast { failing_since: Some(_), is_alone: true, .. }) => Puts::FailAlone,
            Some(CutPast { failing_since: Some(_), .. }) => Puts::Fail,
            _ => Puts::Fresh,
        })
    }

    /// Waits until [`Past::puts`] says something else of some cut. May be dropped and called again.
    pub(crate) async fn learned(&self) {
        self.learned.notified().await;
    }

    /// For how long the cut has failed; 0 if it has not.
    pub(crate) fn failing_for(&self, cut: u64, now: Duration) -> Duration {
        let since = self.with(|inner| inner.cuts.get(&cut).and_then(|cut| cut.failing_since));
        since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// The cut has waited between two attempts at an endpoint; answers for how long altogether.
    pub(crate) fn waited(&self, cut: u64, time: Duration) -> Duration {
        self.with(|inner| {
            let waited = &mut inner.cuts.entry(cut).or_default().waited;
            *waited += time;
            *waited
        })
    }

    /// Waits until no earlier attempt at the cut is running any more, and takes the turn. `None` never happens: the
    /// semaphore is not closed.
    pub(crate) async fn turn(&self, cut: u64) -> Option<OwnedSemaphorePermit> {
        let turn = self.with(|inner| Arc::clone(&inner.cuts.entry(cut).or_default().turn));
        turn.acquire_owned().await.ok()
    }

    /// Waits to be the one upload that tries whether the store is well again. `None` never happens.
    pub(crate) async fn probe(&self, name: &str) -> Option<OwnedSemaphorePermit> {
        let probe = self.with(|inner| Arc::clone(&inner.stores.entry(name.to_owned()).or_default().probe));
        probe.acquire_owned().await.ok()
    }

    /// Waits for the turn of a cut that fails alone. `None` never happens: the semaphore is not closed.
    pub(crate) async fn turn_alone(&self, name: &str) -> Option<OwnedSemaphorePermit> {
        let alone = self.with(|inner| Arc::clone(&inner.stores.entry(name.to_owned()).or_default().alone));
        alone.acquire_owned().await.ok()
    }

    /// The cut is finished.
    pub(crate) fn forget(&self, cut: u64) {
        self.with(|inner| inner.cuts.remove(&cut));
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_that_fails_alone_says_nothing_of_its_store() {
        let past = Past::default();
        let late = Duration::from_secs(60);
        past.failed(1, "lake", Duration::ZERO);
        assert_eq!((past.store("lake"), past.puts(1)), (Store::Failing, Puts::Fail));
        past.succeeded("lake");
        assert_eq!((past.store("lake"), past.puts(1)), (Store::Well, Puts::FailAlone));
        past.failed(1, "lake", late);
        assert_eq!(past.store("lake"), Store::Well);
        past.failed(2, "lake", late);
        assert_eq!((past.store("lake"), past.puts(2)), (Store::Failing, Puts::Fail), "one that may not be alone");
        assert_eq!(past.failing_for(1, late), late, "each has its own time");
    }
}
