//! What the engine knows in memory: its logs, where their records stand, and the segments.
//!
//! One mutex guards all of it. It is held for bookkeeping only: never during I/O, encoding or waking.
//!
//! Architecture invariant: the log thread alone moves the ends of logs, the background thread alone adds extents and
//! segments; everybody may trim.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::task::Waker;

use levada_core::batch::Batch;
use levada_core::engine::{EngineError, Tail};

use crate::frame::{FRAME_HEADER_BYTES, Header, Kind};
use crate::journal::Position;
use crate::oneshot::Wakers;

/// Bytes of memory that a frame costs besides its records: its place in the tail and the allocations' own.
const FRAME_OVERHEAD_BYTES: usize = 144;

/// Adjacent extents of one log are merged until they are so long in bytes; a search inside one reads at most this.
pub(crate) const EXTENT_BYTES: u32 = 1024 * 1024;

/// A run of one log's frames in a segment. It ends where the next one begins, the last one at the log's drained end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Offset of its first record.
    pub(crate) first: u64,
    /// Arrival time of its first record.
    pub(crate) first_arrival: u64,
    /// The segment.
    pub(crate) segment: u32,
    /// Byte offset of its first frame.
    pub(crate) at: u32,
    /// Bytes of its frames.
    pub(crate) len: u32,
    /// Number of its frames.
    pub(crate) frames: u32,
}

impl Extent {
    /// Bytes of its batches.
    fn batch_bytes(&self) -> u64 {
        u64::from(self.len).saturating_sub(u64::from(self.frames) * FRAME_HEADER_BYTES as u64)
    }
}

/// A durable frame that is in the journal but not yet in a segment.
#[derive(Clone, Debug)]
pub(crate) struct TailFrame {
    pub(crate) first: u64,
    pub(crate) arrival: u64,
    pub(crate) batch: Batch,
    pub(crate) crc: u32,
}

impl TailFrame {
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.batch.count())
    }

    /// What it counts against the memory ceiling.
    pub(crate) fn cost(&self) -> usize {
        self.batch.bytes().len() + FRAME_OVERHEAD_BYTES
    }

    pub(crate) fn header(&self, log: u64) -> Header {
        Header {
            kind: Kind::Data,
            len: self.batch.bytes().len() as u32,
            count: self.batch.count(),
            log,
            first: self.first,
            arrival: self.arrival,
        }
    }

    pub(crate) fn frame_len(&self) -> usize {
        FRAME_HEADER_BYTES + self.batch.bytes().len()
    }
}

/// What only a log in use has; an idle one does without.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) tail: VecDeque<TailFrame>,
    pub(crate) watchers: Wakers,
}

/// One log. About 150 bytes without extents, so that ten thousand idle ones are nothing.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) class: u32,
    /// False until the round that creates it is durable.
    pub(crate) born: bool,
    pub(crate) sealed: bool,
    /// Listed in [`State::dirty`].
    pub(crate) dirty: bool,
    /// True from the moment a round is planned that seals it.
    pub(crate) plan_sealed: bool,
    /// True from the moment a round is planned that deletes it.
    pub(crate) plan_deleted: bool,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) last_arrival: u64,
    /// The end and the last arrival as of the round that is being planned.
    pub(crate) plan_end: u64,
    pub(crate) plan_arrival: u64,
    /// Records before this offset are in segments.
    pub(crate) drained: u64,
    /// Bytes of the batches between `start` and `end`, to within a file's granularity.
    pub(crate) bytes: u64,
    pub(crate) extents: Vec<Extent>,
    pub(crate) live: Option<Box<Live>>,
}

impl Log {
    pub(crate) fn new(class: u32, floor: u64) -> Self {
        Self {
            class,
            born: false,
            sealed: false,
            dirty: false,
            plan_sealed: false,
            plan_deleted: false,
            start: 0,
            end: 0,
            last_arrival: floor,
            plan_end: 0,
            plan_arrival: floor,
            drained: 0,
            bytes: 0,
            extents: Vec::new(),
            live: None,
        }
    }

    pub(crate) fn tail(&self) -> Tail {
        let first_arrival = if self.start == self.end {
            None
        } else {
            let in_memory = || self.live.as_ref().and_then(|live| live.tail.front()).map(|frame| frame.arrival);
            self.extents.first().map(|extent| extent.first_arrival).or_else(in_memory)
        };
        let (start, end, sealed, last_arrival) = (self.start, self.end, self.sealed, self.last_arrival);
        Tail { start, end, sealed, last_arrival, first_arrival, bytes: if start == end { 0 } else { self.bytes } }
    }

    /// Index of the extent that holds `offset`, which is not before the first extent and not drained later.
    pub(crate) fn extent_of(&self, offset: u64) -> Option<usize> {
        self.extents.partition_point(|extent| extent.first <= offset).checked_sub(1).filter(|_| offset < self.drained)
    }

    /// Adds drained frames, merging them with what stands right before them. True if an extent was added.
    pub(crate) fn add_extent(&mut self, extent: Extent) -> bool {
        if let Some(last) = self.extents.last_mut()
            && last.segment == extent.segment
            && last.at + last.len == extent.at
            && last.len + extent.len <= EXTENT_BYTES
            // Frames that were trimmed before they were drained leave a gap; then all that stands before is trimmed too.
            && extent.first > self.start
        {
            last.len += extent.len;
            last.frames += extent.frames;
            return false;
        }
        if self.extents.len() == self.extents.capacity() {
            // Ten thousand logs with an extent per drain: doubling would leave half of their memory unused.
            self.extents.reserve_exact(1 + self.extents.len() / 8);
        }
        self.extents.push(extent);
        true
    }

    /// Takes out the extents that end at or before the start.
    fn dead_extents(&mut self) -> Vec<Extent> {
        let (start, drained) = (self.start, self.drained);
        let mut dead = self.extents.partition_point(|extent| extent.first < start);
        // The one before the boundary may reach past it.
        if dead > 0 && self.extents.get(dead).map_or(drained, |next| next.first) > start {
            dead -= 1;
        }
        if dead == 0 {
            return Vec::new();
        }
        self.extents.drain(..dead).collect()
    }

    /// Counts the bytes of what can be read anew.
    pub(crate) fn recount(&mut self) {
        let in_memory = self.live.iter().flat_map(|live| &live.tail).map(|frame| frame.batch.bytes().len() as u64);
        self.bytes = self.extents.iter().map(Extent::batch_bytes).sum::<u64>() + in_memory.sum::<u64>();
    }

    /// Gives back what only a log in use has.
    pub(crate) fn settle(&mut self) {
        if self.live.as_ref().is_some_and(|live| live.tail.is_empty() && live.watchers.is_empty()) {
            self.live = None;
        }
    }
}

/// A segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The class of the logs in it.
    pub(crate) class: u32,
    /// Bytes of header and frames; what stands beyond was never recorded.
    pub(crate) len: u32,
    /// Wall-clock time of its creation in milliseconds.
    pub(crate) created_ms: u64,
    /// Number of extents in it.
    pub(crate) live: u32,
}

/// Hashes log ids. They are handed out by the catalog, so no caller can choose colliding ones; and unlike the standard
/// hasher it gives the same order in every run, on which a simulation depends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, id: u64) {
        // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, 6.4), folded so that the low bits
        // depend on all of the id.
        let product = (self.0 ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

/// A map by log id.
pub(crate) type LogMap<T> = HashMap<u64, T, BuildHasherDefault<IdHasher>>;

/// Everything under the one mutex.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) logs: LogMap<Log>,
    /// Logs with something that the manifest does not know.
    pub(crate) dirty: Vec<u64>,
    /// Logs that were deleted since the manifest was last told.
    pub(crate) deleted: Vec<u64>,
    pub(crate) segments: BTreeMap<u32, Segment>,
    /// True if a segment may have lost its last extent.
    pub(crate) maybe_dead: bool,
    /// Memory that undrained frames hold.
    pub(crate) undrained: usize,
    /// The place in the journal after the newest published round.
    pub(crate) position: Position,
    /// Why the engine answers no more.
    pub(crate) stopped: Option<String>,
}

impl State {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            logs: LogMap::default(),
            dirty: Vec::new(),
            deleted: Vec::new(),
            segments: BTreeMap::new(),
            maybe_dead: false,
            undrained: 0,
            position,
            stopped: None,
        }
    }

    /// Refuses once the engine has stopped.
    pub(crate) fn running(&self) -> Result<(), EngineError> {
        self.stopped.as_ref().map_or(Ok(()), |reason| Err(EngineError::Unavailable(reason.clone())))
    }

    /// A log that exists durably.
    pub(crate) fn log(&self, id: u64) -> Result<&Log, EngineError> {
        self.running()?;
        self.logs.get(&id).filter(|log| log.born).ok_or(EngineError::Missing)
    }

    /// Notes that the manifest does not know something about a log.
    pub(crate) fn mark_dirty(dirty: &mut Vec<u64>, id: u64, log: &mut Log) {
        if !log.dirty {
            log.dirty = true;
            dirty.push(id);
        }
    }

    /// Makes a durable batch visible. Answers who waited for it.
    pub(crate) fn publish(&mut self, id: u64, frame: TailFrame, wake: &mut Vec<Waker>) {
        let Some(log) = self.logs.get_mut(&id) else { return };
        log.end = frame.end();
        log.last_arrival = frame.arrival;
        log.bytes += frame.batch.bytes().len() as u64;
        self.undrained += frame.cost();
        Self::mark_dirty(&mut self.dirty, id, log);
        let live = log.live.get_or_insert_default();
        live.tail.push_back(frame);
        live.watchers.take(wake);
    }

    /// Forgets a log. Answers who waited for it.
    pub(crate) fn remove_log(&mut self, id: u64, wake: &mut Vec<Waker>) {
        let Some(mut log) = self.logs.remove(&id) else { return };
        self.deleted.push(id);
        if let Some(mut live) = log.live.take() {
            self.undrained -= live.tail.iter().map(TailFrame::cost).sum::<usize>();
            live.watchers.take(wake);
        }
        self.release(&log.extents);
    }

    /// Moves a log's start. True if that may have freed a segment.
    pub(crate) fn trim(&mut self, id: u64, before: u64) -> Result<bool, EngineError> {
        self.log(id)?;
        let log = self.logs.get_mut(&id).ok_or(EngineError::Missing)?;
        let start = before.min(log.end);
        if start <= log.start {
            return Ok(false);
        }
        log.start = start;
        let dead = log.dead_extents();
        log.bytes -= dead.iter().map(Extent::batch_bytes).sum::<u64>().min(log.bytes);
        if let Some(live) = &mut log.live {
            while live.tail.front().is_some_and(|frame| frame.end() <= start) {
                if let Some(frame) = live.tail.pop_front() {
                    self.undrained -= frame.cost();
                    log.bytes -= (frame.batch.bytes().len() as u64).min(log.bytes);
                }
            }
        }
        Self::mark_dirty(&mut self.dirty, id, log);
        self.release(&dead);
        Ok(self.maybe_dead)
    }

    /// Counts extents out of their segments.
    pub(crate) fn release(&mut self, extents: &[Extent]) {
        for extent in extents {
            if let Some(segment) = self.segments.get_mut(&extent.segment) {
                segment.live = segment.live.saturating_sub(1);
                self.maybe_dead |= segment.live == 0;
            }
        }
    }

    /// Drops what stands before each log's start and counts what is left; for a state that was just read.
    pub(crate) fn settle(&mut self) {
        for segment in self.segments.values_mut() {
            segment.live = 0;
        }
        for log in self.logs.values_mut() {
            log.dead_extents();
            log.recount();
            for extent in &log.extents {
                if let Some(segment) = self.segments.get_mut(&extent.segment) {
                    segment.live += 1;
                }
            }
        }
        self.maybe_dead = self.segments.values().any(|segment| segment.live == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_with(firsts: &[u64], drained: u64) -> Log {
        let mut log = Log::new(0, 0);
        log.extents = firsts
            .iter()
            .map(|&first| Extent {
                first,
                first_arrival: first,
                segment: 1,
                at: first as u32 * 100,
                len: 50,
                frames: 1,
            })
            .collect();
        (log.drained, log.end) = (drained, drained);
        log
    }

    #[test]
    fn extents_are_found() {
        let log = log_with(&[0, 10, 20], 30);
        let rows = [(0, Some(0)), (9, Some(0)), (10, Some(1)), (29, Some(2)), (30, None)];
        for (offset, extent) in rows {
            assert_eq!(log.extent_of(offset), extent, "offset {offset}");
        }
    }

    #[test]
    fn trimming_drops_only_extents_that_are_wholly_before_the_start() {
        let rows = [(0, 0), (9, 0), (10, 1), (11, 1), (20, 2), (29, 2), (30, 3)];
        for (start, dropped) in rows {
            let mut log = log_with(&[0, 10, 20], 30);
            log.start = start;
            assert_eq!(log.dead_extents().len(), dropped, "start {start}");
        }
    }

    #[test]
    fn adjacent_extents_merge_up_to_the_limit() {
        let mut log = Log::new(0, 0);
        let extent = |first, at, len| Extent { first, first_arrival: 0, segment: 1, at, len, frames: 1 };
        assert!(log.add_extent(extent(0, 64, 100)));
        assert!(!log.add_extent(extent(1, 164, 100)));
        assert!(log.add_extent(extent(2, 300, 100)), "a hole");
        assert!(log.add_extent(extent(3, 400, EXTENT_BYTES)), "too long");
        assert_eq!(log.extents.iter().map(|e| e.len).collect::<Vec<_>>(), [200, 100, EXTENT_BYTES]);
    }

    #[test]
    fn an_idle_log_is_small() {
        assert!(size_of::<Log>() <= 160, "{} bytes", size_of::<Log>());
        assert_eq!(size_of::<Extent>(), 32);
    }
}
