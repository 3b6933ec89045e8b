//! The live subscriptions of a node: who holds which shard for which consumer, since when, and how much memory the
//! events may take that no client has read yet.
//!
//! One consumer has one subscription to a shard. A new call within five seconds of a successful one is refused, also if
//! the subscription has ended meanwhile; a later one takes the shard over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use levada_core::catalog::ConsumerRef;
use levada_core::shard::ShardId;
use levada_wire::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Memory for large events that are made and not yet taken by the network, in units of [`UNIT`].
const UNITS: usize = 256 * 1024;

/// Bytes that count as one.
const UNIT: usize = 1024;

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

/// The last successful call was less than five seconds ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("subscribed less than {} s ago", PAUSE.as_secs())]
pub struct TooSoon;

/// The subscriptions of a node.
#[derive(Debug)]
pub struct Subscriptions {
    table: Mutex<Table>,
    memory: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<Key, Entry>,
    /// Ended ones, until a new call would be welcome again.
    ended: VecDeque<(Key, u64)>,
    next: u64,
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
}

impl Seat {
    /// Resolves when another call has taken over.
    pub async fn lost(&mut self) {
        // The sender is never used, only dropped.
        let _ = (&mut self.lost).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.subscriptions.table().end(&self.key, self.number);
    }
}

/// Memory for an event, given back when the event has left for the network.
#[derive(Debug)]
pub struct Memory(#[allow(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Memory {
    /// An event that holds its memory for as long as its bytes live.
    #[must_use]
    pub fn hold(self, event: Vec<u8>) -> Bytes {
        Bytes::from_owner(Held { event, _memory: self })
    }
}

struct Held {
    event: Vec<u8>,
    _memory: Memory,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.event
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { table: Mutex::default(), memory: Arc::new(Semaphore::new(UNITS)) }
    }
}

impl Subscriptions {
    /// Takes a shard for a consumer at `now`, a time of the monotonic clock. Who holds it loses it.
    ///
    /// # Errors
    /// [`TooSoon`].
    pub fn begin(self: &Arc<Self>, key: Key, now: Duration) -> Result<Seat, TooSoon> {
        let (number, lost) = self.table().begin(&key, now)?;
        Ok(Seat { subscriptions: Arc::clone(self), key, number, lost })
    }

    /// Number of live subscriptions.
    #[must_use]
    pub fn count(&self) -> usize {
        let table = self.table();
        table.entries.len() - table.ended.len()
    }

    /// Memory for an event of so many bytes, if it is there.
    #[must_use]
    pub fn memory(&self, bytes: usize) -> Option<Memory> {
        Arc::clone(&self.memory).try_acquire_many_owned(units(bytes)).ok().map(Memory)
    }

    /// Waits until there was memory for an event of so many bytes. It is not kept: what is to be sent then is read then.
    pub async fn memory_free(&self, bytes: usize) {
        let _ = self.memory.acquire_many(units(bytes)).await;
    }

    /// Bytes of large events that wait for the network.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        (UNITS - self.memory.available_permits()) * UNIT
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn units(bytes: usize) -> u32 {
    bytes.div_ceil(UNIT).min(UNITS) as u32
}

impl Table {
    fn begin(&mut self, key: &Key, now: Duration) -> Result<(u64, oneshot::Receiver<()>), TooSoon> {
        self.forget(now);
        if self.entries.get(key).is_some_and(|entry| now < entry.since + PAUSE) {
            return Err(TooSoon);
        }
        let number = self.next;
        self.next += 1;
        let (live, lost) = oneshot::channel();
        let entry = Entry { number, since: now, live: Some(live) };
        if let Some(before) = self.entries.insert(key.clone(), entry)
            && before.live.is_none()
        {
            self.ended.retain(|(_, ended)| *ended != before.number);
        }
        Ok((number, lost))
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

    #[test]
    fn memory_comes_back_with_the_last_byte() {
        let subscriptions = Subscriptions::default();
        let memory = subscriptions.memory(UNIT * (UNITS - 1)).unwrap();
        assert!(subscriptions.memory(2 * UNIT).is_none());
        let event = memory.hold(b"event".to_vec());
        let rest = event.slice(3..);
        drop(event);
        assert_eq!((&rest[..], subscriptions.memory_used()), (&b"nt"[..], UNIT * (UNITS - 1)));
        drop(rest);
        assert_eq!(subscriptions.memory_used(), 0);
        // More than there is counts as all there is, so that it can ever be had.
        assert!(subscriptions.memory(usize::MAX).is_some());
    }
}
