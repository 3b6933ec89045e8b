//! What of a lane has been counted but not cut. Nothing is kept of the records but their number and size: the log is
//! the buffer.

use std::time::Duration;

use levada_core::batch::RECORD_HEADER_BYTES;
use levada_core::engine::{Millis, Offset, Page};

use crate::chain::Gather;
use crate::config::Buffering;
use crate::record::{Envelope, Peek};

/// When a buffer is full, and when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of data; or of the headers, where records are smaller than those: without that, empty records would fill
    /// no buffer however many they are.
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    /// Since the oldest record arrived in the lane.
    pub(crate) interval: Duration,
}

impl From<Buffering> for Limits {
    fn from(hints: Buffering) -> Self {
        let interval = Duration::from_secs(u64::from(hints.interval_s));
        Self { bytes: hints.size_bytes(), records: u64::MAX, interval }
    }
}

impl From<Gather> for Limits {
    fn from(gather: Gather) -> Self {
        /// Records that one run of a chain is given at most: bytes alone bound nothing, because records may be empty.
        const RECORDS: u64 = 10_000;
        Self { bytes: gather.bytes.max(1), records: RECORDS, interval: gather.wait }
    }
}

/// A contiguous range at the end of what has been cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buffer {
    /// Offset of its first record.
    pub(crate) from: Offset,
    /// Offset after its last record.
    pub(crate) next: Offset,
    /// Its records, marks not counted.
    pub(crate) records: u64,
    /// Bytes of its records' data.
    pub(crate) bytes: u64,
    /// Of its oldest record.
    pub(crate) oldest: Option<Oldest>,
    /// Records are missing behind it, so it can only be cut as it is.
    pub(crate) before_gap: bool,
    /// There was nothing more in the log.
    pub(crate) at_end: bool,
}

/// What decides when a buffer is due, and the times in its objects' keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Oldest {
    /// When the first record arrived in the lane.
    pub(crate) arrival: Millis,
    /// When this worker first saw it, by the monotonic clock.
    pub(crate) seen: Duration,
    /// The earliest arrival of a record at its source.
    pub(crate) source: Millis,
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
        self.records == 0
    }

    pub(crate) fn is_full(&self, limits: Limits) -> bool {
        self.bytes.max(self.header_bytes()) >= limits.bytes || self.records >= limits.records
    }

    fn header_bytes(&self) -> u64 {
        self.records * RECORD_HEADER_BYTES as u64
    }

    /// Whether a page can be counted.
    pub(crate) fn wants_more(&self, limits: Limits) -> bool {
        !self.at_end && !self.before_gap && !self.is_full(limits)
    }

    /// Bytes to read next: not more than the buffer can take.
    pub(crate) fn room(&self, limits: Limits) -> u64 {
        limits.bytes.saturating_sub(self.bytes).max(1)
    }

    /// Counts a page that was read from `next`, up to the record with which the buffer is full.
    pub(crate) fn count(&mut self, page: &Page, limits: Limits, now: Duration) -> Counted {
        match page.chunks.first() {
            Some(chunk) if chunk.first > self.next => return Counted::StartsAt(chunk.first),
            None if page.tail.start > self.next => return Counted::StartsAt(page.tail.start),
            _ => {}
        }
        for chunk in &page.chunks {
            for (offset, record) in chunk.records() {
                if self.is_full(limits) {
                    return Counted::Fine;
                }
                if !Envelope::is_mark(record.key) {
                    let source = Peek::arrival(record.key).unwrap_or(chunk.arrival);
                    self.add(1, record.data.len() as u64, Oldest { arrival: chunk.arrival, seen: now, source });
                }
                self.next = offset + 1;
                self.pass_marks();
            }
        }
        self.at_end = self.next >= page.tail.end;
        Counted::Fine
    }

    fn add(&mut self, records: u64, bytes: u64, oldest: Oldest) {
        let first = self.oldest.get_or_insert(oldest);
        first.source = first.source.min(oldest.source);
        self.records += records;
        self.bytes += bytes;
    }

    /// What has no records before it is not part of a cut.
    fn pass_marks(&mut self) {
        if self.is_empty() {
            self.from = self.next;
        }
    }

    /// Counts what was just appended at `first ..end`, if the buffer is at the end and does not become full with it;
    /// else it is to be read.
    pub(crate) fn extend(&mut self, first: Offset, end: Offset, appended: Counts, limits: Limits) {
        let mut longer = *self;
        longer.add(appended.records, appended.bytes, appended.oldest);
        longer.next = end;
        if self.at_end && self.next == first && !longer.is_full(limits) {
            *self = longer;
        } else {
            self.at_end = false;
        }
    }

    /// How long until the interval has passed since the oldest record arrived, by the wall clock or by the monotonic
    /// one, whichever says so first: a wall clock that was set back does not hold records up. `None` while empty.
    pub(crate) fn due_in(&self, limits: Limits, wall: Millis, monotonic: Duration) -> Option<Duration> {
        let Oldest { arrival, seen, .. } = self.oldest?;
        let by_wall = Duration::from_millis((arrival + limits.interval.as_millis() as u64).saturating_sub(wall));
        Some(by_wall.min((seen + limits.interval).saturating_sub(monotonic)))
    }
}

/// Records of one append.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// At least 1.
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) oldest: Oldest,
}
