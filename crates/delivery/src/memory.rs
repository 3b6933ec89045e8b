//! The node's memory for bodies on their way to stores and endpoints, and for records that are being processed.
//!
//! ```text
//! pool ─┬─ quick, small   a quarter   for bodies of at most half of it
//!       ├─ quick, large   a quarter   for the others; one that is larger than all of it goes alone
//!       └─ slow           half        of which one place gets a quarter at most
//! ```
//!
//! There is one pool for uploads and requests, less a sixteenth for what endpoints say of records that they refuse, and
//! one for batches that chains of processors work on.
//!
//! A place is what an attempt waits for: a bucket, an endpoint, a function. An attempt begins with quick memory. It may
//! keep it for its patience, some seconds; after that only until somebody else waits for quick memory. Then what it
//! holds becomes slow memory if there is room; else the attempt is given up, and is made again later. So a place that
//! begins to hang costs those who wait for quick memory some seconds once, however many attempts at it hang, and however
//! long each may take.
//!
//! A place that has let an attempt wait beyond its patience is slow until one ends sooner. Attempts at it take slow
//! memory, or quick memory of which half stays free; else they wait, with the other slow ones only. With slow memory they
//! may run as long as they like. The share of a place keeps a dead one with many delivery streams from taking it all.
//!
//! Work that waits for nobody, like decompression, has no place and keeps its quick memory until it is done.
//!
//! All is given out first come, first served. The bound: the pool, and one body each for the large and the slow share if
//! it is larger than the share.
//!
//! Architecture invariant: memory is given back when the last holder of the body lets go of it, not when somebody stops
//! waiting for the attempt. Sinks, endpoints and functions let go of it soon after their future was dropped.

mod place;
#[cfg(test)]
mod tests;

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use self::place::{Place, Places};

/// Memory is counted in units of this many bytes, because the semaphore's numbers are small.
const MEMORY_UNIT: u64 = 1024;

/// How long an attempt may take before it is in the way: this, and so long for each byte at the rate. Connections that
/// get less are slow.
const PATIENCE: Duration = Duration::from_secs(3);
const SLOW_BYTES_PER_SECOND: u64 = 16 * 1024 * 1024;

/// How often somebody who waits asks one more attempt to make room.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// What a place gets of the slow share at most: this part of it.
const PLACES_SHARE: u32 = 4;

/// What endpoints' reasons get of the uploads' memory: this part of it.
const REASONS_SHARE: u64 = 16;

/// All of it.
#[derive(Debug)]
pub(crate) struct Memory {
    uploads: Arc<Pool>,
    processing: Arc<Pool>,
    reasons: Arc<Semaphore>,
}

#[derive(Debug)]
struct Pool {
    small: Share,
    large: Share,
    slow: Share,
    places: Places,
}

#[derive(Debug)]
struct Share {
    free: Arc<Semaphore>,
    units: u32,
    /// Those who wait for it.
    waiting: AtomicUsize,
    /// Whose turn it is to ask for room.
    asker: Semaphore,
    /// Wakes one attempt that is beyond its patience, the first of them.
    asked: Notify,
}

impl Memory {
    pub(crate) fn new(bytes: u64, processing_bytes: u64) -> Self {
        let reasons = bytes / REASONS_SHARE;
        let [uploads, processing] = [bytes - reasons, processing_bytes].map(|bytes| Arc::new(Pool::new(bytes)));
        Self { uploads, processing, reasons: Arc::new(Semaphore::new(units(reasons) as usize)) }
    }

    /// Waits for memory for an attempt at a place. `None` never happens while the node runs: the semaphores are not
    /// closed.
    pub(crate) async fn acquire(&self, place: &str, bytes: u64) -> Option<Loan> {
        self.uploads.acquire(Some(place), bytes).await
    }

    /// Waits for memory to process records in; the place is that of a function. `None` as for [`Memory::acquire`].
    pub(crate) async fn acquire_processing(&self, place: Option<&str>, bytes: u64) -> Option<Loan> {
        self.processing.acquire(place, bytes).await
    }

    /// Memory for what an endpoint has said, if there is some.
    pub(crate) fn try_acquire_reasons(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.reasons).try_acquire_many_owned(units(bytes)).ok()
    }

    /// What a permit stands for.
    pub(crate) fn bytes_of(permit: &OwnedSemaphorePermit) -> u64 {
        permit.num_permits() as u64 * MEMORY_UNIT
    }
}

/// Counts somebody who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Share {
    fn new(bytes: u64) -> Self {
        let units = units(bytes);
        let free = Arc::new(Semaphore::new(units as usize));
        Self { free, units, waiting: AtomicUsize::new(0), asker: Semaphore::new(1), asked: Notify::new() }
    }

    fn try_acquire(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(units.min(self.units)).ok()
    }

    /// As [`Share::try_acquire`], if half of the share stays free.
    fn try_acquire_spare(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        let needed = units as usize + self.units as usize / 2;
        (self.free.available_permits() >= needed).then(|| self.try_acquire(units)).flatten()
    }

    /// Waits. Of all that wait, one asks those who are in the way, one after the other.
    async fn acquire(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        let queued = Arc::clone(&self.free).acquire_many_owned(units.min(self.units));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        tokio::pin!(queued);
        let _turn = tokio::select! {
            biased;
            permit = &mut queued => return permit.ok(),
            turn = self.asker.acquire() => turn,
        };
        loop {
            tokio::select! {
                biased;
                permit = &mut queued => return permit.ok(),
                () = tokio::time::sleep(ASK_EVERY) => self.asked.notify_one(),
            }
        }
    }

    /// Waits until somebody asks for room.
    async fn wanted(&self) {
        loop {
            self.asked.notified().await;
            // Whoever asked may have got it meanwhile.
            if self.waiting.load(Ordering::SeqCst) > 0 {
                return;
            }
        }
    }
}

impl Pool {
    fn new(bytes: u64) -> Self {
        let [small, large] = [Share::new(bytes / 4), Share::new(bytes / 4)];
        let slow = Share::new(bytes / 2);
        let places = Places::new((slow.units / PLACES_SHARE).max(1));
        Self { small, large, slow, places }
    }

    /// The quick share for a body.
    fn quick(&self, units: u32) -> &Share {
        if units <= self.small.units / 2 { &self.small } else { &self.large }
    }

    async fn acquire(self: &Arc<Self>, place: Option<&str>, bytes: u64) -> Option<Loan> {
        let (units, place) = (units(bytes), place.map(|name| self.places.get(name)));
        let permits = loop {
            let Some(place) = &place else { break Permits::quick(self.quick(units).acquire(units).await?) };
            let is_slow = place.is_slow();
            tokio::select! {
                biased;
                permits = self.permits(place, is_slow, units) => break permits?,
                // It waits in the wrong queue.
                () = place.becomes(!is_slow) => {}
            }
        };
        Some(Loan { pool: Arc::clone(self), place, units, permits: Mutex::new(permits) })
    }

    async fn permits(&self, place: &Place, is_slow: bool, units: u32) -> Option<Permits> {
        if !is_slow {
            return self.quick(units).acquire(units).await.map(Permits::quick);
        }
        if let Some(permits) = self.try_slow(place, units) {
            return Some(permits);
        }
        if let Some(memory) = self.quick(units).try_acquire_spare(units) {
            return Some(Permits::quick(memory));
        }
        let of_place = place.acquire(units).await?;
        let memory = self.slow.acquire(units).await?;
        Some(Permits { memory, of_place: Some(of_place) })
    }

    fn try_slow(&self, place: &Place, units: u32) -> Option<Permits> {
        let of_place = place.try_acquire(units)?;
        let memory = self.slow.try_acquire(units)?;
        Some(Permits { memory, of_place: Some(of_place) })
    }
}

/// Memory that was taken, until it is dropped.
#[derive(Debug)]
pub(crate) struct Loan {
    pool: Arc<Pool>,
    place: Option<Arc<Place>>,
    /// It was taken for so many.
    units: u32,
    permits: Mutex<Permits>,
}

#[derive(Debug)]
struct Permits {
    memory: OwnedSemaphorePermit,
    /// Slow memory's.
    of_place: Option<OwnedSemaphorePermit>,
}

impl Permits {
    fn quick(memory: OwnedSemaphorePermit) -> Self {
        Self { memory, of_place: None }
    }

    fn units(&self) -> u32 {
        u32::try_from(self.memory.num_permits()).unwrap_or(u32::MAX)
    }
}

impl Loan {
    /// Makes the attempt that the memory was taken for. `None`: it took longer than its patience, and others wait for
    /// the memory.
    pub(crate) async fn attempt<T>(&self, attempt: impl Future<Output = T>) -> Option<T> {
        let Some(place) = &self.place else { return Some(attempt.await) };
        tokio::pin!(attempt);
        tokio::select! {
            biased;
            answer = &mut attempt => {
                place.set_slow(false);
                return Some(answer);
            }
            () = tokio::time::sleep(self.patience()) => place.set_slow(true),
        }
        tokio::select! {
            biased;
            answer = attempt => Some(answer),
            () = self.no_room(place) => None,
        }
    }

    /// How long its attempt may take before it is in the way.
    pub(crate) fn patience(&self) -> Duration {
        PATIENCE + Duration::from_millis(u64::from(self.units) * MEMORY_UNIT * 1000 / SLOW_BYTES_PER_SECOND)
    }

    /// Waits until the memory is wanted, and there is no room for it among the slow.
    async fn no_room(&self, place: &Place) {
        let is_slow = self.with(|permits| permits.of_place.is_some());
        if !is_slow {
            self.pool.quick(self.units).wanted().await;
            let moved = self.with(|permits| {
                let moved = self.pool.try_slow(place, permits.units());
                moved.map(|moved| *permits = moved).is_some()
            });
            if !moved {
                return;
            }
        }
        pending().await
    }

    /// Gives back what a body of so many bytes does not need.
    fn shrink(&self, bytes: u64) {
        self.with(|Permits { memory, of_place }| {
            for permit in [memory].into_iter().chain(of_place) {
                let spare = permit.num_permits().saturating_sub(units(bytes) as usize);
                drop(permit.split(spare));
            }
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut Permits) -> T) -> T {
        f(&mut self.permits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a body holds until it is gone: its memory, and its cut's turn.
#[derive(Debug)]
pub(crate) struct Hold {
    memory: Loan,
    _turn: OwnedSemaphorePermit,
}

impl Hold {
    /// Gives back what of `memory` a body of so many bytes does not need.
    pub(crate) fn new(memory: Loan, turn: OwnedSemaphorePermit, bytes: usize) -> Arc<Self> {
        memory.shrink(bytes as u64);
        Arc::new(Self { memory, _turn: turn })
    }

    /// The body's memory.
    pub(crate) fn memory(&self) -> &Loan {
        &self.memory
    }

    /// Bytes that hold it until their last clone is dropped.
    pub(crate) fn by(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Held { bytes, _hold: Arc::clone(self) })
    }
}

struct Held {
    bytes: Vec<u8>,
    _hold: Arc<Hold>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX).max(1)
}
