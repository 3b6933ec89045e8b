//! The log of puts that a delivery stream refuses: the client is told AWS's words, which are the same for all reasons.
//!
//! A producer that is refused comes again at once, so a line says what was refused since the last one: the first record
//! is said at once, the others once a [`QUIET`]; and when for so long none was refused, that records are taken again, with what
//! was refused since the last line.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use levada_core::catalog::DeliveryStream;
use levada_core::env::Clock;

/// Between two lines about the same thing.
pub const QUIET: Duration = Duration::from_secs(60);

/// Why records are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// More than it may take in a second.
    Throughput,
    /// Its undelivered records are at the ceiling.
    Backlog,
    /// The file system has no room but what is to stay free.
    Disk,
    /// Its worker has ended by itself.
    Halted,
    /// This node cannot deliver it.
    Undeliverable,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throughput => "over the limits of its producers (direct_put)",
            Self::Backlog => "undelivered records at their ceiling (backlog_bytes)",
            Self::Halted => "its worker has ended (levada_delivery_halted)",
            Self::Disk => "too little of the disk is free (free_bytes)",
            Self::Undeliverable => "this node cannot deliver this delivery stream",
        })
    }
}

/// What is refused at present.
pub struct RefusedPuts {
    clock: Arc<dyn Clock>,
    /// How many there are of `ongoing`, for whoever is taken and wants no lock.
    count: AtomicUsize,
    ongoing: Mutex<BTreeMap<(u64, Reason), Ongoing>>,
}

struct Ongoing {
    said: Duration,
    last: Duration,
    /// Records since it was said.
    unsaid: u64,
}

impl RefusedPuts {
    /// Nothing is refused yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, count: AtomicUsize::new(0), ongoing: Mutex::default() }
    }

    /// Records of a call were refused. `detail` is for the log only.
    pub fn refused(&self, stream: &DeliveryStream, reason: Reason, records: u64, detail: Option<&str>) {
        if let Some(records) = self.to_say(stream.incarnation, reason, records) {
            let detail = detail.unwrap_or_default();
            tracing::warn!(delivery_stream = %stream.name, arn = stream.arn(), %reason, detail, records, "puts refused");
        }
    }

    /// A call was taken.
    pub fn taken(&self, stream: &DeliveryStream) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        for (reason, records) in self.over(stream.incarnation) {
            tracing::info!(delivery_stream = %stream.name, arn = stream.arn(), %reason, records, "puts are taken again");
        }
    }

    /// Forgets a deleted delivery stream.
    pub fn forget(&self, incarnation: u64) {
        self.retain(|(of, _), _| *of != incarnation);
    }

    /// How many records to say that were refused, if it is time to say so.
    fn to_say(&self, incarnation: u64, reason: Reason, records: u64) -> Option<u64> {
        let now = self.clock.monotonic();
        let mut ongoing = self.ongoing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = ongoing.get_mut(&(incarnation, reason)) else {
            ongoing.insert((incarnation, reason), Ongoing { said: now, last: now, unsaid: 0 });
            self.count.store(ongoing.len(), Ordering::Relaxed);
            return Some(records);
        };
        found.last = now;
        found.unsaid += records;
        if now.saturating_sub(found.said) < QUIET {
            return None;
        }
        found.said = now;
        Some(std::mem::take(&mut found.unsaid))
    }

    /// For which reasons nothing is refused any more, and how many records were since that was said last.
    fn over(&self, incarnation: u64) -> Vec<(Reason, u64)> {
        let now = self.clock.monotonic();
        let mut over = Vec::new();
        self.retain(|(of, reason), ongoing| {
            let is_over = *of == incarnation && now.saturating_sub(ongoing.last) >= QUIET;
            if is_over {
                over.push((*reason, ongoing.unsaid));
            }
            !is_over
        });
        over
    }

    fn retain(&self, mut keep: impl FnMut(&(u64, Reason), &Ongoing) -> bool) {
        let mut ongoing = self.ongoing.lock().unwrap_or_else(PoisonError::into_inner);
        ongoing.retain(|key, value| keep(key, value));
        self.count.store(ongoing.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use levada_core::env::sim::SimClock;

    use super::*;

    #[test]
    fn each_reason_is_said_at_once_then_once_a_minute_and_when_it_is_over() {
        let clock = SimClock::at(0);
        let refused = RefusedPuts::new(Arc::new(clock.clone()));
        assert_eq!(refused.to_say(1, Reason::Backlog, 5), Some(5));
        assert_eq!(refused.to_say(1, Reason::Backlog, 7), None);
        assert_eq!(refused.to_say(1, Reason::Disk, 1), Some(1), "another reason");
        assert_eq!(refused.to_say(2, Reason::Backlog, 1), Some(1), "another delivery stream");
        clock.advance(59_000);
        assert_eq!(refused.to_say(1, Reason::Backlog, 2), None);
        clock.advance(1_000);
        assert_eq!(refused.over(1), [(Reason::Disk, 0)], "the last was 60 s ago, that of the backlog 1 s");
        assert_eq!(refused.to_say(1, Reason::Backlog, 3), Some(12), "what was not said");
        clock.advance(60_000);
        assert_eq!(refused.to_say(1, Reason::Backlog, 4), Some(4));
        assert_eq!(refused.to_say(1, Reason::Backlog, 6), None);
        clock.advance(60_000);
        assert_eq!(refused.over(1), [(Reason::Backlog, 6)], "what no line has said");
        assert_eq!(refused.over(1), []);
        assert_eq!(refused.count.load(Ordering::Relaxed), 1);
        refused.forget(2);
        assert_eq!(refused.count.load(Ordering::Relaxed), 0);
        assert_eq!(refused.to_say(1, Reason::Backlog, 1), Some(1), "begins anew");
    }
}
