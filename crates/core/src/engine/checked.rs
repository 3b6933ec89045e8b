//! An engine over a log that has no conditional append: the protocol of the Kafka engine, over a simulated cluster.
//!
//! It is for tests. It passes the same suite as the embedded engine, so that the trait is known to suit both homes,
//! and catalog and delivery can be tested over logs whose every append may time out.
//!
//! **Positions and offsets.** The cluster numbers the records that it appended: their *positions*. Each message
//! carries its writer's incarnation, the number of the append, the position at which the writer expects it, the
//! offset of its first record and its arrival time.
//!
//! - A message is **valid** if and only if it stands at the position that it expected, and no valid CLOSE stands
//!   before it. All records of a batch stand contiguously, so all are valid or none.
//! - A record's **offset** is the number of valid records before it; void ones, fences and CLOSE have none. So
//!   offsets have no gaps where positions have.
//! - A writer expects a message at position E only when it has accounted for every position before E. What stands
//!   before E never changes. So whoever wrote a valid message knew the same records before it as its readers, and
//!   `first`, which it carries, equals their count: a reader may start anywhere, and one that counted finds out if
//!   the cluster lost something.
//!
//! **Append.** Send; if the reply is E, the batch is valid. If it is another position, this copy is void: read all
//! positions up to it; if an earlier copy is among them, at E, that one is valid, else send again from the new end.
//! On a time-out send identical bytes again: of all copies that expect E, whoever sent them, one at most stands
//! there. Given up, the outcome is [`Appended::Unknown`], and the next append settles it by taking or finding E.
//!
//! Concurrent appends to one log compete like those of different writers: they expect the same position, one is
//! valid, the others go again. Safety needs no more; a real engine sends one at a time, for speed. No lock is held
//! across a wait, so a future that nobody polls holds nobody up.
//!
//! **Freshness.** The first use of a log appends a fence and reads up to it, so that everything acknowledged
//! before, by any writer, is seen. After that, another writer's records are seen when a read finds them, or at the
//! latest when an append of ours lands after them.

mod account;
#[cfg(test)]
mod tests;
pub mod unreliable;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::account::Account;
use self::unreliable::{Content, Entry, Failure, Message, UnreliableLog};
use super::conformance::drive::{together, yield_now};
use super::{
    Append, Appended, BoxFuture, Engine, EngineError, Expect, LogId, LogSpec, Millis, Offset, Page, ReadRequest,
    Sealed, Tail,
};
use crate::env::Clock;

/// One writer on the cluster. Any number of them may work on the same logs.
pub struct CheckedLog {
    cluster: Arc<UnreliableLog>,
    clock: Arc<dyn Clock>,
    writer: u64,
    attempts: u32,
    batches: AtomicU64,
    shards: Mutex<BTreeMap<LogId, Arc<Shard>>>,
    #[cfg(test)]
    flaw: tests::Flaw,
}

/// A log as this writer knows it.
struct Shard {
    log: LogId,
    account: Mutex<Account>,
    /// True once a fence told where the log ends.
    loaded: AtomicBool,
}

impl Shard {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckedLog {
    /// A writer whose incarnation is `writer`, never used before on this cluster. It gives a message up after so
    /// many `attempts`.
    pub fn new(cluster: Arc<UnreliableLog>, clock: Arc<dyn Clock>, writer: u64, attempts: u32) -> Self {
        Self {
            cluster,
            clock,
            writer,
            attempts,
            batches: AtomicU64::new(0),
            shards: Mutex::default(),
            #[cfg(test)]
            flaw: tests::Flaw::None,
        }
    }

    /// The log, its end known.
    async fn shard(&self, log: LogId) -> Result<Arc<Shard>, Lost> {
        let floor = self.cluster.floor(log)?;
        let shard = {
            let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
            let shard = shards.entry(log).or_insert_with(|| {
                let account = Mutex::new(Account::new(floor));
                Arc::new(Shard { log, account, loaded: AtomicBool::new(false) })
            });
            Arc::clone(shard)
        };
        if !shard.loaded.load(Ordering::SeqCst) {
            self.fence(&shard).await?;
            shard.loaded.store(true, Ordering::SeqCst);
        }
        Ok(shard)
    }

    /// Accounts for everything that was appended before the call.
    async fn fence(&self, shard: &Shard) -> Result<(), Lost> {
        let fence = self.message(shard, Content::Fence, u64::MAX);
        let position = self.send(shard, &fence).await?;
        self.read_up_to(shard, position).await
    }

    fn message(&self, shard: &Shard, content: Content, number: u64) -> Message {
        let account = shard.account();
        Message {
            writer: self.writer,
            batch: number,
            expected: account.next,
            first: account.end,
            arrival: account.last_arrival.max(self.clock.now_ms()),
            content,
        }
    }

    /// Sends identical bytes until there is a reply.
    async fn send(&self, shard: &Shard, message: &Message) -> Result<u64, Lost> {
        for _ in 0..self.attempts {
            yield_now().await;
            match self.cluster.produce(shard.log, message.clone()) {
                Ok(position) => return Ok(position),
                Err(Failure::TimedOut) => {}
                Err(Failure::Missing) => return Err(Lost::Missing),
            }
        }
        Err(Lost::GivenUp)
    }

    /// Accounts for whatever the cluster shows, which may be nothing new.
    fn look(&self, shard: &Shard) -> Result<(), Lost> {
        let mut account = shard.account();
        match self.cluster.fetch(shard.log, account.next) {
            Ok(entries) => entries.iter().for_each(|entry| self.take(&mut account, entry)),
            Err(Failure::TimedOut) => {}
            Err(Failure::Missing) => return Err(Lost::Missing),
        }
        account.damaged.map_or(Ok(()), |at| Err(Lost::Damaged(at)))
    }

    fn take(&self, account: &mut Account, entry: &Entry) {
        #[cfg(test)]
        if let Some(forged) = self.flaw.forge(entry, account) {
            return account.take(&forged);
        }
        account.take(entry);
    }

    /// Accounts for every position up to that of a message that is known to be there, and for that message.
    async fn read_up_to(&self, shard: &Shard, position: u64) -> Result<(), Lost> {
        for _ in 0..self.attempts {
            self.look(shard)?;
            if shard.account().next > position {
                return Ok(());
            }
            yield_now().await;
        }
        Err(Lost::GivenUp)
    }

    /// Appends data, or a CLOSE, which is answered by `Closed`.
    async fn write(&self, shard: &Shard, expect: Expect, content: Content) -> Result<Appended, Lost> {
        let number = self.batches.fetch_add(1, Ordering::SeqCst);
        let mut fenced = false;
        for _ in 0..self.attempts {
            let (sealed, end) = {
                let account = shard.account();
                if let Some(at) = account.damaged {
                    return Err(Lost::Damaged(at));
                }
                (account.sealed, account.end)
            };
            if sealed {
                return Ok(Appended::Closed { end });
            }
            match expect {
                // The caller may know of records of another writer that this one has not seen.
                Expect::End(wanted) if wanted > end && !fenced => {
                    self.fence(shard).await?;
                    fenced = true;
                    continue;
                }
                Expect::End(wanted) if wanted != end => return Ok(Appended::Moved { end }),
                Expect::End(_) | Expect::Tail => {}
            }
            let message = self.message(shard, content.clone(), number);
            if message.first != end {
                continue; // A reader accounted for more in the meantime.
            }
            let position = self.send(shard, &message).await?;
            #[cfg(test)]
            if let Some(answer) = self.flaw.answer(&message, position, &mut shard.account()) {
                return Ok(answer);
            }
            if position < message.expected {
                // The cluster lost what it had acknowledged.
                shard.account().damaged = Some(position);
                return Err(Lost::Damaged(position));
            }
            if position == message.expected {
                self.take(&mut shard.account(), &Entry { position, message: message.clone() });
            } else {
                self.read_up_to(shard, position).await?;
            }
            if let Some(valid) = shard.account().find(&message) {
                return Ok(Appended::At { first: valid.first, arrival: valid.arrival });
            }
        }
        // Other writers were always faster. All copies are void, but for a CLOSE that is no end either.
        Err(Lost::GivenUp)
    }

    async fn append_in_order(&self, log: LogId, appends: Vec<(usize, Expect, Content)>) -> Vec<(usize, Appended)> {
        let mut answers = Vec::with_capacity(appends.len());
        for (place, expect, content) in appends {
            let answer = match self.shard(log).await {
                Ok(shard) => self.write(&shard, expect, content).await,
                Err(lost) => Err(lost),
            };
            let lost = |lost| match lost {
                Lost::Missing => Appended::Missing,
                Lost::GivenUp | Lost::Damaged(_) => Appended::Unknown,
            };
            answers.push((place, answer.unwrap_or_else(lost)));
        }
        answers
    }

    async fn with<T>(&self, log: LogId, action: impl FnOnce(&mut Account) -> T) -> Result<T, EngineError> {
        let answer = async {
            let shard = self.shard(log).await?;
            self.look(&shard)?;
            let answer = action(&mut shard.account());
            Ok(answer)
        };
        answer.await.map_err(|lost: Lost| lost.into_error(log))
    }
}

/// Why an operation came to no end.
enum Lost {
    GivenUp,
    Missing,
    Damaged(u64),
}

impl From<Failure> for Lost {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TimedOut => Self::GivenUp,
            Failure::Missing => Self::Missing,
        }
    }
}

impl Lost {
    fn into_error(self, log: LogId) -> EngineError {
        match self {
            Self::GivenUp => EngineError::Unavailable("the cluster does not answer".to_owned()),
            Self::Missing => EngineError::Missing,
            Self::Damaged(at) => EngineError::Corrupt { file: format!("topic of log {}", log.0), at },
        }
    }
}

impl Engine for CheckedLog {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        Box::pin(async move {
            let mut by_log: BTreeMap<LogId, Vec<_>> = BTreeMap::new();
            for (place, Append { log, expect, batch }) in appends.into_iter().enumerate() {
                by_log.entry(log).or_default().push((place, expect, Content::Data(batch)));
            }
            let logs = by_log.into_iter();
            let mut answers: Vec<_> =
                together(logs.map(|(log, appends)| self.append_in_order(log, appends)).collect()).await.concat();
            answers.sort_unstable_by_key(|(place, _)| *place);
            answers.into_iter().map(|(_, answer)| answer).collect()
        })
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        Box::pin(async move {
            let answer = async {
                let shard = self.shard(request.log).await?;
                let looked = self.look(&shard);
                let page = shard.account().page(&request);
                match looked {
                    // What stands before the damage is sound, and is returned first.
                    Err(Lost::Damaged(_)) if !page.chunks.is_empty() => Ok(page),
                    looked => looked.map(|()| page),
                }
            };
            answer.await.map_err(|lost: Lost| lost.into_error(request.log))
        })
    }

    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(self.with(log, |account| account.tail()))
    }

    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        Box::pin(async move {
            loop {
                let (tail, next) = self.with(log, |account| (account.tail(), account.next)).await?;
                if tail.end > end || tail.sealed {
                    return Ok(tail);
                }
                self.cluster.wait_past(log, next).await;
            }
        })
    }

    fn seek(&self, log: LogId, time: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        Box::pin(self.with(log, move |account| account.seek(time)))
    }

    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        Box::pin(async move {
            let closed = async {
                let shard = self.shard(log).await?;
                let _ = self.write(&shard, Expect::Tail, Content::Close).await?;
                let account = shard.account();
                Ok(Sealed { end: account.end, last_arrival: account.last_arrival })
            };
            closed.await.map_err(|lost: Lost| lost.into_error(log))
        })
    }

    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.with(log, move |account| account.trim(before)))
    }

    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            logs.into_iter().for_each(|spec| self.cluster.create(spec.id, spec.floor));
            Ok(())
        })
    }

    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            for log in logs {
                self.cluster.delete(log);
                self.shards.lock().unwrap_or_else(PoisonError::into_inner).remove(&log);
            }
            Ok(())
        })
    }
}
