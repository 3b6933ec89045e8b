//! Bounds on the memory that a node holds for its clients: answers that nobody has read yet, events that wait for the
//! network.
//!
//! Who makes something large takes a [`Share`] of a [`Budget`] first. The share goes with the bytes, through the HTTP
//! library's queues, and comes back when the last of them has left for the network or has been dropped.
//!
//! # Why nobody waits for each other
//! There are three budgets, and whoever waits for one holds nothing of those behind it:
//! 1. request bodies (in [`listener`](crate::listener)), held from before a body is read until its answer is made;
//! 2. answers ([`Answers`]), waited for before the request is read (holding nothing), while GetRecords reads (holding
//!    its own body), or with a finished answer (its body is gone);
//! 3. events ([`Subscriptions`](crate::subscriptions::Subscriptions)), waited for by tasks that hold neither.
//!
//! Shares of answers and events wait for a client to read, and for nothing else; a client that does not read is cut off
//! after a while (see [`progress`](crate::listener::progress)). All waits are bounded in time besides.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes that count as one. Less than that is free: it costs no more than what a connection holds anyway.
pub const UNIT: usize = 1024;

/// Answers that are made and not yet taken by the network.
pub const ANSWER_BYTES: usize = 256 << 20;

/// Finished answers that wait for their share of [`ANSWER_BYTES`].
const WAITING_ANSWER_BYTES: usize = 64 << 20;

/// Requests are read only while so many bytes are left for answers.
const ENTRY_BYTES: usize = 1 << 20;

/// How long an answer may wait for memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many bytes of memory, of which [`Share`]s are given out. Clones give out the same bytes.
#[derive(Clone, Debug)]
pub struct Budget {
    free: Arc<Semaphore>,
    units: usize,
}

/// Bytes of a [`Budget`], given back when dropped.
#[derive(Debug, Default)]
pub struct Share {
    permit: Option<OwnedSemaphorePermit>,
    beside: Option<Arc<dyn Any + Send + Sync>>,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let units = bytes / UNIT;
        Self { free: Arc::new(Semaphore::new(units)), units }
    }

    /// So many bytes, if they are there. More than there can be counts as all there is, so that it can ever be had.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Share> {
        match self.units_of(bytes) {
            0 => Some(Share::default()),
            units => Arc::clone(&self.free).try_acquire_many_owned(units).ok().map(Share::of),
        }
    }

    /// Waits for so many bytes; who came first gets them first.
    pub async fn take(&self, bytes: usize) -> Share {
        match self.units_of(bytes) {
            0 => Share::default(),
            // The semaphore is never closed.
            units => Arc::clone(&self.free).acquire_many_owned(units).await.map(Share::of).unwrap_or_default(),
        }
    }

    /// Bytes that are given out.
    #[must_use]
    pub fn used(&self) -> usize {
        (self.units - self.free.available_permits()) * UNIT
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from((bytes / UNIT).min(self.units)).unwrap_or(u32::MAX)
    }
}

impl Share {
    fn of(permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Some(permit), beside: None }
    }

    /// Bytes that need no larger share than this one.
    #[must_use]
    pub fn suffices_for(&self, bytes: usize) -> bool {
        bytes / UNIT <= self.units()
    }

    /// Gives back what is more than so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let excess = self.units().saturating_sub(bytes / UNIT);
        drop(self.permit.as_mut().and_then(|permit| permit.split(excess)));
    }

    /// Holds `beside` for as long as the share.
    #[must_use]
    pub fn with(mut self, beside: Arc<dyn Any + Send + Sync>) -> Self {
        self.beside = Some(beside);
        self
    }

    fn units(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// The memory of a node for answers.
#[derive(Debug)]
pub struct Answers {
    room: Budget,
    waiting: Budget,
}

impl Default for Answers {
    fn default() -> Self {
        Self::of(ANSWER_BYTES, WAITING_ANSWER_BYTES)
    }
}

impl Answers {
    fn of(room: usize, waiting: usize) -> Self {
        Self { room: Budget::of(room), waiting: Budget::of(waiting) }
    }

    /// Waits until an answer of usual size is likely to find room, so that nothing is done whose outcome could not be
    /// told. False if that takes too long.
    pub async fn have_room(&self) -> bool {
        let free = (self.room.units - ENTRY_BYTES / UNIT) * UNIT;
        self.room.used() <= free || timeout(PATIENCE, self.room.take(ENTRY_BYTES)).await.is_ok()
    }

    /// Room for an answer that is to be made, if it is there.
    #[must_use]
    pub fn try_reserve(&self, bytes: usize) -> Option<Share> {
        self.room.try_take(bytes)
    }

    /// Room for an answer that is to be made. `None` if it cannot be had in time.
    pub async fn reserve(&self, bytes: usize) -> Option<Share> {
        timeout(PATIENCE, self.room.take(bytes)).await.ok()
    }

    /// Room for an answer that is there. `None` if it cannot be had in time, or if too many wait already: then the
    /// answer must go.
    pub async fn admit(&self, bytes: usize) -> Option<Share> {
        if let Some(share) = self.room.try_take(bytes) {
            return Some(share);
        }
        let _waiting = self.waiting.try_take(bytes)?;
        self.reserve(bytes).await
    }

    /// Bytes of answers that wait for the network, and room reserved for those being made.
    #[must_use]
    pub fn used(&self) -> usize {
        self.room.used()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shares_come_back_when_dropped() {
        let budget = Budget::of(10 * UNIT);
        let mut share = budget.try_take(8 * UNIT).unwrap();
        assert!(budget.try_take(3 * UNIT).is_none());
        assert!(share.suffices_for(9 * UNIT - 1) && !share.suffices_for(9 * UNIT));
        share.shrink_to(2 * UNIT);
        assert_eq!(budget.used(), 2 * UNIT);
        // It never grows.
        share.shrink_to(5 * UNIT);
        assert_eq!(budget.used(), 2 * UNIT);
        let other = budget.take(3 * UNIT).await;
        assert_eq!(budget.used(), 5 * UNIT);
        drop((share, other));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn less_than_a_unit_is_free_and_more_than_all_is_all() {
        let budget = Budget::of(10 * UNIT);
        let all = budget.try_take(usize::MAX).unwrap();
        assert_eq!(budget.used(), 10 * UNIT);
        assert!(budget.try_take(UNIT - 1).is_some() && budget.try_take(UNIT).is_none());
        drop(all);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_share_holds_what_was_put_beside_it() {
        let (budget, beside) = (Budget::of(UNIT), Arc::new(()));
        let share = budget.try_take(UNIT).unwrap().with(Arc::clone(&beside) as Arc<_>);
        assert_eq!(Arc::strong_count(&beside), 2);
        drop(share);
        assert_eq!(Arc::strong_count(&beside), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_wait_for_room_and_not_for_ever() {
        let answers = Arc::new(Answers::of(2 << 20, 64 << 10));
        assert!(answers.have_room().await);
        let all = answers.try_reserve(2 << 20).unwrap();
        let begun = tokio::time::Instant::now();
        assert!(!answers.have_room().await && answers.admit(2 * UNIT).await.is_none());
        assert_eq!(begun.elapsed(), 2 * PATIENCE);
        // Who waits with a finished answer holds memory too, and that is bounded as well.
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let answers = Arc::clone(&answers);
                tokio::spawn(async move { answers.admit(40 << 10).await })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(all);
        let mut admitted = Vec::new();
        for waiting in waiting {
            admitted.push(waiting.await.unwrap().is_some());
        }
        assert_eq!(admitted, [true, false]);
        assert_eq!((begun.elapsed(), answers.used()), (2 * PATIENCE, 0));
    }
}
