//! A log service in memory that behaves like a Kafka-protocol cluster on a bad day.
//!
//! It appends wherever its log ends: there is no conditional append. A request may be lost, delayed past its
//! time-out and past later requests, or executed twice; a reply may be lost; a read may be old. What it never does,
//! because the settings that Levada requires forbid it: change or forget what it has appended.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::batch::Batch;
use crate::engine::{LogId, Millis, Offset};
use crate::env::sim::SimRandom;

/// What a writer sends. Headers and content; a cluster would keep the headers on every record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Incarnation of the writer, unique for ever.
    pub writer: u64,
    /// Number of the append, unique for its writer.
    pub batch: u64,
    /// Position of the first record if the message is valid.
    pub expected: u64,
    /// Offset of the first record if the message is valid: the valid records before `expected`.
    pub first: Offset,
    /// Arrival time of the records if the message is valid.
    pub arrival: Millis,
    /// The content.
    pub content: Content,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Records of the log.
    Data(Batch),
    /// The log ends here, if this is valid.
    Close,
    /// Nothing. Its position tells the writer what was appended before.
    Fence,
}

impl Message {
    /// How many positions of the log it takes.
    #[must_use]
    pub fn width(&self) -> u64 {
        match &self.content {
            Content::Data(batch) => u64::from(batch.count()),
            Content::Close | Content::Fence => 1,
        }
    }
}

/// A message with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position of its first record.
    pub position: u64,
    /// The message.
    pub message: Message,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may have happened or not, or may happen later.
    TimedOut,
    /// There is no such log (any more).
    Missing,
}

/// How often what goes wrong, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// An append is not executed and not answered.
    pub request_lost: u64,
    /// An append is executed but not answered.
    pub reply_lost: u64,
    /// An append is not answered, and executed after other calls.
    pub delayed: u64,
    /// An append is executed once more after other calls.
    pub duplicated: u64,
    /// A read misses the newest messages, or all.
    pub stale: u64,
}

impl Faults {
    /// Much of everything.
    pub const HARSH: Self = Self { request_lost: 10, reply_lost: 12, delayed: 12, duplicated: 12, stale: 30 };
}

/// The service. All writers of a test share one.
#[derive(Debug)]
pub struct UnreliableLog {
    faults: Faults,
    random: SimRandom,
    topics: Mutex<BTreeMap<LogId, Topic>>,
}

#[derive(Debug, Default)]
struct Topic {
    floor: Millis,
    entries: Vec<Entry>,
    end: u64,
    in_flight: Vec<Message>,
    waiting: Vec<Waker>,
}

impl Topic {
    fn append(&mut self, message: Message) -> u64 {
        let position = self.end;
        self.end += message.width();
        self.entries.push(Entry { position, message });
        self.waiting.drain(..).for_each(Waker::wake);
        position
    }

    /// Time passes: some of what is in flight arrives, in any order.
    fn pass(&mut self, random: &SimRandom) {
        while !self.in_flight.is_empty() && random.percent(40) {
            let which = random.below(self.in_flight.len() as u64) as usize;
            let message = self.in_flight.swap_remove(which);
            self.append(message);
        }
    }
}

impl UnreliableLog {
    /// A service without logs, whose faults are drawn from `seed`.
    #[must_use]
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, random: SimRandom::new(seed), topics: Mutex::default() }
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<LogId, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, log: LogId, action: impl FnOnce(&mut Topic) -> Result<T, Failure>) -> Result<T, Failure> {
        self.topics().get_mut(&log).map_or(Err(Failure::Missing), action)
    }

    /// Creates a log unless it exists.
    pub fn create(&self, log: LogId, floor: Millis) {
        self.topics().entry(log).or_insert_with(|| Topic { floor, ..Topic::default() });
    }

    /// Deletes a log if it exists.
    pub fn delete(&self, log: LogId) {
        if let Some(topic) = self.topics().remove(&log) {
            topic.waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// The floor with which a log was created.
    ///
    /// # Errors
    /// [`Failure::Missing`].
    pub fn floor(&self, log: LogId) -> Result<Millis, Failure> {
        self.with(log, |topic| Ok(topic.floor))
    }

    /// Appends a message and answers its position.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn produce(&self, log: LogId, message: Message) -> Result<u64, Failure> {
        self.with(log, |topic| {
            topic.pass(&self.random);
            if self.random.percent(self.faults.request_lost) {
                return Err(Failure::TimedOut);
            }
            if self.random.percent(self.faults.delayed) {
                topic.in_flight.push(message);
                return Err(Failure::TimedOut);
            }
            if self.random.percent(self.faults.duplicated) {
                topic.in_flight.push(message.clone());
            }
            let position = topic.append(message);
            topic.pass(&self.random);
            if self.random.percent(self.faults.reply_lost) { Err(Failure::TimedOut) } else { Ok(position) }
        })
    }

    /// Reads messages from a position on; at most the newest are missing.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn fetch(&self, log: LogId, from: u64) -> Result<Vec<Entry>, Failure> {
        self.with(log, |topic| {
            topic.pass(&self.random);
            let start = topic.entries.partition_point(|entry| entry.position < from);
            let mut found = topic.entries[start..].to_vec();
            if self.random.percent(self.faults.stale) {
                found.truncate(self.random.below(found.len() as u64 + 1) as usize);
            }
            Ok(found)
        })
    }

    /// Waits until the log ends past a position, or is deleted.
    pub async fn wait_past(&self, log: LogId, position: u64) {
        poll_fn(|context| match self.topics().get_mut(&log) {
            Some(topic) if topic.end <= position => {
                topic.waiting.push(context.waker().clone());
                Poll::Pending
            }
            Some(_) | None => Poll::Ready(()),
        })
        .await;
    }

    /// Forgets everything from a position on, as a cluster does that elected an unclean leader.
    pub fn truncate(&self, log: LogId, position: u64) {
        let forgotten = self.with(log, |topic| {
            topic.entries.retain(|entry| entry.position < position);
            topic.end = topic.end.min(position);
            Ok(())
        });
        debug_assert_eq!(forgotten, Ok(()));
    }
}
