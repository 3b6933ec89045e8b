//! How many bytes a delivery stream's data log holds, against its quota.
//!
//! ```text
//! backlog  =  known      what the engine said the log retains, the last time the worker asked
//!          +  settled    appended since then, surely or perhaps
//!          +  open       reserved by calls that have not appended yet
//! ```
//!
//! A batch is counted from before it is appended, so that no number of callers exceeds the quota together and no caller
//! that goes away in the middle is forgotten. The engine may have counted a batch already while its reservation is
//! open; then it counts twice until the worker asks again, which it does a moment after the reservation has ended.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// The three parts, in encoded bytes.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    known: AtomicU64,
    settled: AtomicU64,
    open: AtomicU64,
    /// How often the worker has looked.
    looks: AtomicU64,
    /// The worker was asked to look, and has not yet.
    asked: AtomicBool,
    ask: Notify,
    /// The worker has found something, or never will: until then nothing is known of what an earlier one left.
    is_counted: AtomicBool,
    counted: Notify,
}

/// What was settled before the engine was asked, and is therefore part of its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    settled: u64,
}

impl Backlog {
    pub(crate) fn bytes(&self) -> u64 {
        // In the order in which bytes move, so that none is missed.
        let open = self.open.load(Ordering::SeqCst);
        let settled = self.settled.load(Ordering::SeqCst);
        open.saturating_add(settled).saturating_add(self.known.load(Ordering::SeqCst))
    }

    /// Call before the engine is asked.
    pub(crate) fn look(&self) -> Look {
        self.asked.store(false, Ordering::SeqCst);
        self.looks.fetch_add(1, Ordering::SeqCst);
        Look { settled: self.settled.load(Ordering::SeqCst) }
    }

    /// The engine retains `bytes`, as it said after `look`. One task calls this.
    pub(crate) fn found(&self, look: Look, bytes: u64) {
        self.known.store(bytes, Ordering::SeqCst);
        self.settled.fetch_sub(look.settled, Ordering::SeqCst);
        self.release();
    }

    /// Nobody is to wait for a count any more.
    pub(crate) fn release(&self) {
        if !self.is_counted.swap(true, Ordering::SeqCst) {
            self.counted.notify_waiters();
        }
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.is_counted.load(Ordering::SeqCst)
    }

    /// Waits until it is.
    pub(crate) async fn counted(&self) {
        let counted = self.counted.notified();
        tokio::pin!(counted);
        counted.as_mut().enable();
        if !self.is_counted() {
            counted.await;
        }
    }

    fn ask(&self) {
        if !self.asked.swap(true, Ordering::SeqCst) {
            self.ask.notify_one();
        }
    }

    /// Waits until the worker is asked to look. May be dropped and called again.
    pub(crate) async fn asked(&self) {
        while !self.asked.load(Ordering::SeqCst) {
            self.ask.notified().await;
        }
    }

    /// Counts `bytes` if they fit under `quota`, else asks the worker to look again.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64, quota: u64) -> Option<Reservation> {
        let looks = self.looks.load(Ordering::SeqCst);
        self.open.fetch_add(bytes, Ordering::SeqCst);
        let reservation = Reservation { backlog: Arc::clone(self), bytes, looks, stored: false };
        if self.bytes() <= quota {
            return Some(reservation);
        }
        reservation.refused();
        self.ask();
        None
    }
}

/// Room in a delivery stream's backlog for one batch, from [`crate::Handle::reserve`]. Say what became of the append;
/// dropped without that (the client went away, the append timed out), the batch counts as stored until the worker has
/// asked the engine again.
#[must_use = "dropped, it counts as stored"]
pub struct Reservation {
    backlog: Arc<Backlog>,
    bytes: u64,
    /// How often the worker had looked before.
    looks: u64,
    stored: bool,
}

impl Reservation {
    /// The batch is in the data log.
    pub fn stored(mut self) {
        self.stored = true;
    }

    /// The batch is not in the data log and never will be.
    pub fn refused(mut self) {
        self.backlog.open.fetch_sub(std::mem::take(&mut self.bytes), Ordering::SeqCst);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        self.backlog.settled.fetch_add(self.bytes, Ordering::SeqCst);
        self.backlog.open.fetch_sub(self.bytes, Ordering::SeqCst);
        // The engine may have counted the batch before this, or will never have it.
        if !self.stored || self.backlog.looks.load(Ordering::SeqCst) != self.looks {
            self.backlog.ask();
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
