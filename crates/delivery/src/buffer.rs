//! What of the data log has been counted but not cut. Nothing is kept of the records but their number and size: the
//! log is the buffer.

use std::time::Duration;

use levada_core::batch::RECORD_HEADER_BYTES;
use levada_core::engine::{Millis, Offset, Page};

use crate::config::Buffering;

/// A contiguous range at the end of what has been cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buffer {
    /// Offset of its first record.
    pub(crate) from: Offset,
    /// Offset after its last record.
    pub(crate) next: Offset,
    /// Bytes of its records' data.
    pub(crate) bytes: u64,
    /// Arrival of its oldest record, and when this worker first saw it by the monotonic clock.
    pub(crate) oldest: Option<(Millis, Duration)>,
    /// Records are missing behind it, so it can only be cut as it is.
    pub(crate) before_gap: bool,
    /// There was nothing more in the log.
    pub(crate) at_end: bool,
}

/// What counting a page has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// The page's records belong to the buffer now.
    Fine,
    /// The log begins only here.
    StartsAt(Offset),
}

impl Buffer {
    pub(crate) fn starting_at(offset: Offset) -> Self {
        Self { from: offset, next: offset, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.next
    }

    /// By the bytes of data, as the size hint is meant; or, where records are smaller than their headers in the log, by
    /// those: without that, empty records would fill no buffer however many they are.
    pub(crate) fn is_full(&self, config: Buffering) -> bool {
        self.bytes.max(self.header_bytes()) >= config.size_bytes()
    }

    fn header_bytes(&self) -> u64 {
        (self.next - self.from) * RECORD_HEADER_BYTES as u64
    }

    /// Bytes to read next: not more than the buffer can take.
    pub(crate) fn room(&self, config: Buffering) -> u64 {
        config.size_bytes().saturating_sub(self.bytes).max(1)
    }

    /// Counts a page that was read from `next`, up to the record with which the buffer is full.
    pub(crate) fn count(&mut self, page: &Page, config: Buffering, now: Duration) -> Counted {
        match page.chunks.first() {
            Some(chunk) if chunk.first > self.next => return Counted::StartsAt(chunk.first),
            None if page.tail.start > self.next => return Counted::StartsAt(page.tail.start),
            _ => {}
        }
        for chunk in &page.chunks {
            for (offset, record) in chunk.records() {
                if self.is_full(config) {
                    return Counted::Fine;
                }
                self.oldest.get_or_insert((chunk.arrival, now));
                self.bytes += record.data.len() as u64;
                self.next = offset + 1;
            }
        }
        self.at_end = self.next >= page.tail.end;
        Counted::Fine
    }

    /// How long until the interval has passed since the oldest record arrived, by the wall clock or by the monotonic
    /// one, whichever says so first: a wall clock that was set back does not hold records up. `None` while empty.
    pub(crate) fn due_in(&self, config: Buffering, wall: Millis, monotonic: Duration) -> Option<Duration> {
        let (arrival, seen) = self.oldest?;
        let interval = Duration::from_secs(u64::from(config.interval_s));
        let by_wall = Duration::from_millis((arrival + interval.as_millis() as u64).saturating_sub(wall));
        Some(by_wall.min((seen + interval).saturating_sub(monotonic)))
    }
}
