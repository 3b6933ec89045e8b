//! Places that attempts wait for, and how fast they have answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Places that are remembered. Beyond so many those that nobody waits for are forgotten, quick ones first: one that is
/// slow is found out again.
const MOST_KNOWN: usize = 1024;

/// All of the node.
#[derive(Debug)]
pub(super) struct Places {
    known: Mutex<BTreeMap<String, Arc<Place>>>,
    /// Of slow memory, for each.
    units: u32,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Place {
    /// An attempt has taken longer than its patience, and none that ended since has taken less.
    is_slow: watch::Sender<bool>,
    /// No attempt was given up since one ended.
    may_borrow: AtomicBool,
    free: Arc<Semaphore>,
    units: u32,
}

impl Places {
    pub(super) fn new(units: u32) -> Self {
        Self { known: Mutex::default(), units }
    }

    pub(super) fn get(&self, name: &str) -> Arc<Place> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.get(name) {
            return Arc::clone(place);
        }
        for keeps_slow in [true, false] {
            if known.len() >= MOST_KNOWN {
                known.retain(|_, place| Arc::strong_count(place) > 1 || keeps_slow && place.is_slow());
            }
        }
        let free = Arc::new(Semaphore::new(self.units as usize));
        let place = Arc::new(Place {
            is_slow: watch::Sender::new(false),
            may_borrow: AtomicBool::new(true),
            free,
            units: self.units,
        });
        known.insert(name.to_owned(), Arc::clone(&place));
        place
    }
}

impl Place {
    pub(super) fn is_slow(&self) -> bool {
        *self.is_slow.borrow()
    }

    pub(super) fn set_slow(&self, is_slow: bool) {
        self.is_slow.send_if_modified(|was| std::mem::replace(was, is_slow) != is_slow);
    }

    /// Whether it may have quick memory though it is slow.
    pub(super) fn may_borrow(&self) -> bool {
        self.may_borrow.load(Ordering::SeqCst)
    }

    pub(super) fn set_may_borrow(&self, may_borrow: bool) {
        self.may_borrow.store(may_borrow, Ordering::SeqCst);
    }

    /// Waits until [`Place::is_slow`] says so.
    pub(super) async fn becomes(&self, is_slow: bool) {
        // Fails when the sender is gone, which is `self`.
        let _ = self.is_slow.subscribe().wait_for(|now| *now == is_slow).await;
    }

    /// Waits for so much of its part of the slow share, or all of it.
    pub(super) async fn acquire(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_many_owned(units.min(self.units)).await.ok()
    }

    pub(super) fn try_acquire(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(units.min(self.units)).ok()
    }
}
