//! The live subscriptions of a node: who holds which shard for which consumer, since when, and how much memory the
//! events may take that no client has read yet.
//!
//! One consumer has one subscription to a shard. A new call within five seconds of a successful one is refused, also if
//! the subscription has ended meanwhile; a later one takes the shard over.
//!
//! An event pays for its memory from its subscription's own allowance, which nobody else can use up, or else from the
//! node's, of which one consumer gets a part only. So the readers of one consumer that do not read can slow down neither
//! those of others nor themselves for good. What an event holds it holds until the network has taken it, also when its
//! subscription has ended; so does the subscription's place among those that there may be.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use levada_core::catalog::ConsumerRef;
use levada_core::shard::ShardId;
use levada_wire::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::memory::{Budget, Share};

/// Memory for events that are made and not yet taken by the network, beyond what is each subscription's own.
const BYTES: usize = 256 << 20;

/// What one consumer of a stream may have of it.
const CONSUMER_BYTES: usize = BYTES / 8;

/// What each subscription has for itself.
pub const OWN_BYTES: usize = 32 << 10;

/// Subscriptions that there may be at a time. Each costs a task, and [`OWN_BYTES`] at worst.
pub const MAX_SUBSCRIPTIONS: usize = 10_000;

/// Time that must lie between two successful calls.
const PAUSE: Duration = Duration::from_millis(limits::SUBSCRIPTION_GUARD_MS);

/// What a subscription is to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The stream's incarnation.
    pub stream: u64,
    /// The consumer, in this life of its name.
    pub consumer: ConsumerRef,
    /// The shard.
    pub shard: ShardId,
}

/// Why a shard cannot be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The last successful call was less than five seconds ago.
    #[error("subscribed less than {} s ago", PAUSE.as_secs())]
    TooSoon,
    /// The node has as many subscriptions as it may.
    #[error("there are {MAX_SUBSCRIPTIONS} subscriptions")]
    TooMany,
}

/// The subscriptions of a node.
#[derive(Debug)]
pub struct Subscriptions {
    table: Mutex<Table>,
    places: Arc<Semaphore>,
    memory: Budget,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<Key, Entry>,
    /// Ended ones, until a new call would be welcome again.
    ended: VecDeque<(Key, u64)>,
    next: u64,
    /// What each consumer may have, while anybody holds some of it.
    consumers: BTreeMap<(u64, ConsumerRef), Weak<Budget>>,
    /// At this many of them the forgotten ones are removed.
    crowded: usize,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    since: Duration,
    /// Dropped when another takes over; `None` when it has ended.
    live: Option<oneshot::Sender<()>>,
}

/// A subscription's hold on its shard, given up when dropped.
#[derive(Debug)]
pub struct Seat {
    subscriptions: Arc<Subscriptions>,
    key: Key,
    number: u64,
    lost: oneshot::Receiver<()>,
    purse: Purse,
}

impl Seat {
    /// Resolves when another call has taken over.
    pub async fn lost(&mut self) {
        // The sender is never used, only dropped.
        let _ = (&mut self.lost).await;
    }

    /// What the subscription's events are paid from.
    #[must_use]
    pub fn purse(&self) -> Purse {
        self.purse.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.subscriptions.table().end(&self.key, self.number);
    }
}

/// What a subscription's events are paid from.
#[derive(Clone, Debug)]
pub struct Purse {
    own: Arc<Own>,
    consumer: Arc<Budget>,
    node: Budget,
}

/// What is a subscription's alone. It lasts as long as any of its events.
#[derive(Debug)]
struct Own {
    memory: Budget,
    _place: OwnedSemaphorePermit,
}

impl Purse {
    /// Memory for an event of so many bytes, if it is there.
    #[must_use]
    pub fn pay(&self, bytes: usize) -> Option<Share> {
        if bytes <= OWN_BYTES
            && let Some(share) = self.own.memory.try_take(bytes)
        {
            return Some(share.with(Arc::clone(&self.own) as Arc<_>));
        }
        let consumers = (self.consumer.try_take(bytes)?, Arc::clone(&self.consumer), Arc::clone(&self.own));
        Some(self.node.try_take(bytes)?.with(Arc::new(consumers)))
    }

    /// Waits until there was memory for an event of so many bytes. It is not kept: what is to be sent then is read then.
    pub async fn has(&self, bytes: usize) {
        let own = async {
            if bytes > OWN_BYTES {
                std::future::pending::<()>().await;
            }
            drop(self.own.memory.take(bytes).await);
        };
        let shared = async {
            drop(self.consumer.take(bytes).await);
            drop(self.node.take(bytes).await);
        };
        tokio::select! {
            biased;
            () = own => {}
            () = shared => {}
        }
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(MAX_SUBSCRIPTIONS));
        Self { table: Mutex::default(), places, memory: Budget::of(BYTES) }
    }
}

impl Subscriptions {
    /// Takes a shard for a consumer at `now`, a time of the monotonic clock. Who holds it loses it.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn begin(self: &Arc<Self>, key: Key, now: Duration) -> Result<Seat, Denied> {
        let mut table = self.table();
        table.check(&key, now)?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Denied::TooMany)?;
        let consumer = table.consumer(&key);
        let (number, lost) = table.begin(&key, now);
        drop(table);
        let own = Arc::new(Own { memory: Budget::of(OWN_BYTES), _place: place });
        let purse = Purse { own, consumer, node: self.memory.clone() };
        Ok(Seat { subscriptions: Arc::clone(self), key, number, lost, purse })
    }

    /// Number of live subscriptions.
    #[must_use]
    pub fn count(&self) -> usize {
        let table = self.table();
        table.entries.len() - table.ended.len()
    }

    /// The memory for events that all subscriptions share.
    #[must_use]
    pub fn memory(&self) -> &Budget {
        &self.memory
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn check(&mut self, key: &Key, now: Duration) -> Result<(), Denied> {
        self.forget(now);
        let too_soon = self.entries.get(key).is_some_and(|entry| now < entry.since + PAUSE);
        if too_soon { Err(Denied::TooSoon) } else { Ok(()) }
    }

    /// What the consumer of a subscription may have.
    fn consumer(&mut self, key: &Key) -> Arc<Budget> {
        if self.consumers.len() >= self.crowded {
            self.consumers.retain(|_, budget| budget.strong_count() > 0);
            self.crowded = 2 * self.consumers.len() + 16;
        }
        let known = self.consumers.entry((key.stream, key.consumer.clone())).or_default();
        known.upgrade().unwrap_or_else(|| {
            let budget = Arc::new(Budget::of(CONSUMER_BYTES));
            *known = Arc::downgrade(&budget);
            budget
        })
    }

    fn begin(&mut self, key: &Key, now: Duration) -> (u64, oneshot::Receiver<()>) {
        let number = self.next;
        self.next += 1;
        let (live, lost) = oneshot::channel();
        let entry = Entry { number, since: now, live: Some(live) };
        if let Some(before) = self.entries.insert(key.clone(), entry)
            && before.live.is_none()
        {
            self.ended.retain(|(_, ended)| *ended != before.number);
        }
        (number, lost)
    }

    fn end(&mut self, key: &Key, number: u64) {
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.number == number) {
            entry.live = None;
            self.ended.push_back((key.clone(), number));
        }
    }

    /// Forgets ended subscriptions that stand in nobody's way any more. One behind another that is younger waits for
    /// that one, five seconds at most.
    fn forget(&mut self, now: Duration) {
        while let Some((key, _)) = self.ended.front() {
            if self.entries.get(key).is_some_and(|entry| now < entry.since + PAUSE) {
                break;
            }
            self.entries.remove(key);
            self.ended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Do {
        /// At this second, for this consumer and shard: accepted or not, as the call of this number.
        Begin(u64, &'static str, u32, bool),
        /// The call of this number ends by itself.
        End(usize),
        /// Of the calls so far, these have been taken over.
        Lost(&'static [usize]),
        /// So many are live.
        Live(usize),
    }

    fn key(consumer: &str, shard: u32) -> Key {
        Key { stream: 1, consumer: ConsumerRef { name: consumer.into(), created_secs: 100 }, shard: ShardId(shard) }
    }

    #[test]
    fn five_seconds_after_a_success_the_shard_is_taken_over() {
        use Do::{Begin, End, Live, Lost};
        let subscriptions = Arc::new(Subscriptions::default());
        let mut seats: Vec<Option<Seat>> = Vec::new();
        for (row, step) in [
            Begin(10, "a", 0, true),
            // Too soon, for this consumer and this shard only.
            Begin(14, "a", 0, false),
            Begin(14, "b", 0, true),
            Begin(14, "a", 1, true),
            Lost(&[]),
            Live(3),
            // A refused call does not start the time anew.
            Begin(15, "a", 0, true),
            Lost(&[0]),
            Live(3),
            // What was taken over ends without harm to its successor.
            End(0),
            Live(3),
            Begin(19, "a", 0, false),
            // An ended subscription still stands in the way for its five seconds.
            End(3),
            Live(2),
            Begin(19, "a", 0, false),
            Begin(20, "a", 0, true),
            Live(3),
            End(1),
            End(2),
            End(4),
            Live(0),
            Begin(25, "a", 0, true),
            Live(1),
        ]
        .into_iter()
        .enumerate()
        {
            match step {
                Begin(second, consumer, shard, accepted) => {
                    let seat = subscriptions.begin(key(consumer, shard), Duration::from_secs(second));
                    assert_eq!(seat.is_ok(), accepted, "row {row}");
                    seats.extend(seat.ok().map(Some));
                }
                End(number) => seats[number] = None,
                Lost(numbers) => {
                    let lost = |seat: &mut Seat| seat.lost.try_recv() == Err(oneshot::error::TryRecvError::Closed);
                    let found: Vec<_> = (0..seats.len()).filter(|&n| seats[n].as_mut().is_some_and(lost)).collect();
                    assert_eq!(found, numbers, "row {row}");
                }
                Live(count) => assert_eq!(subscriptions.count(), count, "row {row}"),
            }
        }
        // Nothing is kept of those that ended long ago.
        assert_eq!(subscriptions.table().entries.len(), 1);
    }

    fn begin(subscriptions: &Arc<Subscriptions>, consumer: &str, shard: u32) -> Result<Seat, Denied> {
        subscriptions.begin(key(consumer, shard), Duration::from_secs(10))
    }

    #[test]
    fn what_is_its_own_no_other_can_use_up() {
        let subscriptions = Arc::new(Subscriptions::default());
        let (one, other) = (begin(&subscriptions, "a", 0).unwrap(), begin(&subscriptions, "b", 0).unwrap());
        let all = subscriptions.memory().try_take(usize::MAX).unwrap();
        let event = one.purse().pay(OWN_BYTES).unwrap();
        // The first is not read yet, and the node has none.
        assert!(one.purse().pay(OWN_BYTES / 2).is_none() && other.purse().pay(OWN_BYTES + 1024).is_none());
        assert!(other.purse().pay(OWN_BYTES).is_some());
        drop(event);
        assert!(one.purse().pay(OWN_BYTES / 2).is_some());
        drop(all);
        // What does not fit into its own is the node's.
        let events = [one.purse().pay(OWN_BYTES).unwrap(), one.purse().pay(OWN_BYTES).unwrap()];
        assert_eq!(subscriptions.memory().used(), OWN_BYTES);
        drop(events);
        assert_eq!(subscriptions.memory().used(), 0);
    }

    #[test]
    fn one_consumers_readers_cannot_take_all() {
        let subscriptions = Arc::new(Subscriptions::default());
        let mut held = Vec::new();
        let mut seats: Vec<_> = (0..50).map(|shard| begin(&subscriptions, "greedy", shard).unwrap()).collect();
        for seat in &seats {
            held.extend(seat.purse().pay(1 << 20));
        }
        assert_eq!((held.len() << 20, subscriptions.memory().used()), (CONSUMER_BYTES, CONSUMER_BYTES));
        // Not by subscribing again either, while what they were sent is still there.
        seats.clear();
        let again = begin(&subscriptions, "greedy", 99).unwrap();
        assert!(again.purse().pay(1 << 20).is_none());
        assert!(begin(&subscriptions, "modest", 0).unwrap().purse().pay(1 << 20).is_some());
        held.pop();
        assert!(again.purse().pay(1 << 20).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_when_there_is_memory() {
        let subscriptions = Arc::new(Subscriptions::default());
        let seat = begin(&subscriptions, "a", 0).unwrap();
        let patience = Duration::from_secs(1);
        let all = subscriptions.memory().try_take(usize::MAX).unwrap();
        let own = seat.purse().pay(OWN_BYTES).unwrap();
        for bytes in [OWN_BYTES, 1 << 20] {
            assert!(tokio::time::timeout(patience, seat.purse().has(bytes)).await.is_err());
        }
        drop(own);
        seat.purse().has(OWN_BYTES).await;
        assert!(tokio::time::timeout(patience, seat.purse().has(1 << 20)).await.is_err());
        drop(all);
        seat.purse().has(1 << 20).await;
    }

    #[test]
    fn a_place_is_free_again_when_the_last_byte_has_gone() {
        let subscriptions = Arc::new(Subscriptions { places: Arc::new(Semaphore::new(2)), ..Subscriptions::default() });
        let (one, _other) = (begin(&subscriptions, "a", 0).unwrap(), begin(&subscriptions, "a", 1).unwrap());
        assert_eq!(begin(&subscriptions, "a", 2).err(), Some(Denied::TooMany));
        assert_eq!(begin(&subscriptions, "a", 1).err(), Some(Denied::TooSoon));
        let (small, large) = (one.purse().pay(2048).unwrap(), one.purse().pay(1 << 20).unwrap());
        drop(one);
        for event in [small, large] {
            assert_eq!(begin(&subscriptions, "a", 2).err(), Some(Denied::TooMany));
            drop(event);
        }
        assert!(begin(&subscriptions, "a", 2).is_ok());
    }

    #[test]
    fn consumers_without_subscriptions_are_forgotten() {
        let subscriptions = Arc::new(Subscriptions::default());
        for n in 0..1_000 {
            begin(&subscriptions, &n.to_string(), 0).unwrap();
        }
        let known = subscriptions.table().consumers.len();
        assert!(known <= 40, "{known}");
    }
}
