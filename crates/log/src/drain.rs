//! The background thread's work: frames move from the journal into segments, files are prepared and recycled.
//!
//! A drain takes what is published, writes it grouped by log, syncs the segments, and then tells the manifest in one
//! record; only after that is anything forgotten: frames in memory, journal files, dead segments. It is never on the
//! way of an acknowledgement. At most 64 files are written by one drain, because every dirty file costs a sync.
//!
//! A drain is several turns. Rounds, trims and deletions go on between them: in production because the log has a
//! thread of its own, in a simulation because its turns come in between.

mod pieces;
#[cfg(test)]
mod tests;
mod whole;
mod write;

use std::collections::HashMap;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use self::pieces::Pieces;
pub(crate) use self::whole::everything;
use self::write::Owner;
use crate::commit::Turn;
use crate::journal::Position;
use crate::layout::{Clean, MANIFEST, Passing, new_name, passing};
use crate::manifest::{Manifest, Record};
use crate::oneshot::lock;
use crate::shared::Shared;
use crate::state::{Extent, LogMap, Segment, State, TailFrame};

/// Used journal files from which on a drain is due although memory is not: many small rounds fill blocks with padding.
const MAX_USED_FILES: usize = 3;

/// Logs looked at while the lock is held once.
const LOGS_AT_ONCE: usize = 512;

/// So long after a drain that the disk refused nobody tries another one, unless something has changed.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What a log adds to its segment.
struct Share {
    log: u64,
    class: u32,
    frames: Vec<TailFrame>,
    bytes: usize,
    end: u64,
}

/// Everything one drain moves.
struct Capture {
    position: Position,
    dirty: Vec<u64>,
    deleted: Vec<u64>,
    dead: Vec<u32>,
    shares: Vec<Share>,
}

impl Capture {
    fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.deleted.is_empty() && self.dead.is_empty()
    }
}

/// What one drain wrote to one segment.
struct Written {
    id: u32,
    segment: Segment,
    is_new: bool,
    extents: Vec<(u64, Extent)>,
}

/// How far the drain has come. Each step is a turn.
enum Stage {
    /// There is none.
    Idle,
    /// The position is taken, and which logs are to be drained.
    Begun(Capture),
    /// Their frames are listed.
    Collected(Capture),
    /// The segments are durable.
    Written(Capture, Vec<Written>),
    /// The manifest knows them.
    Recorded(Capture, Vec<Written>),
    /// What it drained is given back; the manifest may have become long.
    Finished(Position),
}

/// See the module.
pub(crate) struct Background {
    shared: Arc<Shared>,
    manifest: Manifest,
    stage: Stage,
    /// When the disk refused the last drain.
    refused: Option<Duration>,
    open: HashMap<Owner, u32>,
    next_segment: u32,
    /// Bytes of the segment that is being written which the file does not have yet; here to keep the allocation.
    pieces: Pieces,
}

impl Background {
    pub(crate) fn new(shared: Arc<Shared>, manifest: Manifest, next_segment: u32) -> Self {
        let (stage, open, pieces) = (Stage::Idle, HashMap::new(), Pieces::default());
        Self { shared, manifest, stage, refused: None, open, next_segment, pieces }
    }

    /// Does a step of what is due.
    pub(crate) fn turn(&mut self) -> Turn {
        if self.shared.stopped() {
            return Turn::Stopped;
        }
        let prepared = match self.prepare() {
            Ok(prepared) => prepared,
            Err(error) => {
                self.shared.poison(&format!("a journal file could not be prepared: {error}"));
                return Turn::Stopped;
            }
        };
        let turn = match self.advance() {
            Err(error) => self.refused(&error),
            Ok(turn) => turn,
        };
        if prepared && turn == Turn::Idle { Turn::Worked } else { turn }
    }

    /// Gets the next journal file ready if it will be needed soon. False if not.
    fn prepare(&mut self) -> io::Result<bool> {
        if !self.shared.prepare_due.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let mut files = lock(&self.shared.files);
        let prepared = if files.has_ready() { Ok(()) } else { files.prepare(0) };
        drop(files);
        // Only now: while it is set the log thread does not ask for the files' lock, which zeroing holds for long.
        self.shared.prepare_due.store(false, Ordering::Relaxed);
        match prepared {
            Err(error) => match passing(&error) {
                Some(Passing::Full) => {
                    self.shared.full.store(true, Ordering::Relaxed);
                    // A drained journal file may be used again.
                    self.shared.want_drain();
                    Ok(true)
                }
                // The log thread asks again when it needs the file.
                Some(Passing::Scarce) => Ok(true),
                None => Err(error),
            },
            Ok(()) => Ok(true),
        }
    }

    /// The next step of the drain, or the first one if it is due.
    fn advance(&mut self) -> io::Result<Turn> {
        match mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle => return self.begin_if_due(),
            Stage::Begun(mut capture) => {
                self.collect(&mut capture);
                self.stage = Stage::Collected(capture);
            }
            Stage::Collected(capture) => match self.write(&capture) {
                Ok(written) => self.stage = Stage::Written(capture, written),
                Err(error) => {
                    self.put_back(capture);
                    return Err(error);
                }
            },
            Stage::Written(capture, written) => {
                let record = self.record(&capture, &written);
                if let Err(error) = self.manifest.append(&record) {
                    if passing(&error).is_some() {
                        self.discard_new(&written);
                    }
                    self.put_back(capture);
                    return Err(error);
                }
                self.shared.manifest.store(self.manifest.number(), Ordering::Release);
                self.stage = Stage::Recorded(capture, written);
            }
            Stage::Recorded(capture, written) => {
                self.finish(&capture, written);
                self.stage = Stage::Finished(capture.position);
            }
            Stage::Finished(position) => self.tidy_manifest(position)?,
        }
        Ok(Turn::Worked)
    }

    fn begin_if_due(&mut self) -> io::Result<Turn> {
        let stopping = lock(&self.shared.stopping).is_some();
        let wanted = self.shared.drain_wanted.swap(false, Ordering::Relaxed);
        if !stopping && !self.is_due(wanted) {
            return Ok(Turn::Idle);
        }
        let capture = self.begin();
        if !capture.is_empty() {
            self.stage = Stage::Begun(capture);
            return Ok(Turn::Worked);
        }
        if stopping {
            return self.leave();
        }
        if wanted {
            // Who wanted it may be waiting.
            self.shared.log_signal.set();
        }
        Ok(Turn::Idle)
    }

    fn is_due(&self, wanted: bool) -> bool {
        let used = lock(&self.shared.files).used();
        let now = self.shared.clock.monotonic();
        let state = lock(&self.shared.state);
        let refused = self.refused.is_some_and(|at| now.saturating_sub(at) < RETRY_AFTER);
        let waited_for =
            state.undrained >= self.shared.options.memory_bytes && !self.shared.full.load(Ordering::Relaxed);
        if refused && !wanted && !waited_for {
            return false;
        }
        let room_again = state.undrained > 0 || !state.dirty.is_empty() || !state.deleted.is_empty();
        wanted
            || state.undrained >= self.shared.drain_threshold(&state)
            || state.maybe_dead
            || (used >= MAX_USED_FILES && room_again)
    }

    /// Everything is drained: marks the directory as cleanly left, and answers the caller of the shutdown.
    fn leave(&mut self) -> io::Result<Turn> {
        let round = lock(&self.shared.state).position.round;
        Clean { round, manifest: self.manifest.number() }.write(&*self.shared.disk, &self.shared.layout)?;
        let sender = lock(&self.shared.stopping).take();
        lock(&self.shared.lock).take();
        self.shared.stop("shut down");
        if let Some(sender) = sender {
            sender.send(Ok(()));
        }
        Ok(Turn::Stopped)
    }

    /// After an error. Where nobody can know what was written, or what is durable, the engine gives itself up; where
    /// the disk plainly refused, nothing is recorded of what the drain wrote, and it is tried again later.
    fn refused(&mut self, error: &io::Error) -> Turn {
        let Some(why) = passing(error) else {
            self.shared.poison(&format!("a drain failed: {error}"));
            return Turn::Stopped;
        };
        tracing::warn!(%error, "the disk refused a drain; it is tried again");
        if why == Passing::Full {
            match self.make_way() {
                Ok(true) => {
                    self.shared.drain_wanted.store(true, Ordering::Relaxed);
                    return Turn::Worked;
                }
                Ok(false) => {}
                Err(error) => {
                    self.shared.poison(&format!("the manifest could not be written: {error}"));
                    return Turn::Stopped;
                }
            }
        }
        if lock(&self.shared.stopping).is_some() {
            // Everything acknowledged is in the journal; the next start recovers it.
            lock(&self.shared.lock).take();
            self.shared.stop(&format!("shut down, but the journal could not be drained: {error}"));
            return Turn::Stopped;
        }
        self.refused = Some(self.shared.clock.monotonic());
        let memory_full = lock(&self.shared.state).undrained >= self.shared.options.memory_bytes;
        if why == Passing::Full || memory_full {
            // Appends wait for memory no longer, but are refused.
            let newly = !self.shared.full.swap(true, Ordering::Relaxed);
            self.shared.log_signal.set();
            if newly {
                return Turn::Worked;
            }
        }
        Turn::Idle
    }

    /// The way out of a full disk: removes what nobody needs, and lets trimmed and deleted records free their segments
    /// although nothing can be drained. True if that gave space.
    fn make_way(&mut self) -> io::Result<bool> {
        let spares = lock(&self.shared.files).remove_spares();
        let begun = self.shared.disk.remove(&self.shared.layout.root.join(new_name(MANIFEST))).is_ok();
        Ok(self.drop_dead()? || spares || begun)
    }

    /// A manifest record that only drops. True if a segment went.
    ///
    /// # Errors
    /// Those after which the engine must be given up.
    fn drop_dead(&mut self) -> io::Result<bool> {
        let (dead, deleted, dirty) = {
            let mut state = lock(&self.shared.state);
            state.maybe_dead = false;
            (dead_segments(&state), mem::take(&mut state.deleted), state.dirty.clone())
        };
        let mut record = Record::default();
        // What was trimmed is dirty: the starts must be known before the segments go.
        for ids in dirty.chunks(LOGS_AT_ONCE) {
            let state = lock(&self.shared.state);
            for &id in ids {
                match state.logs.get(&id) {
                    Some(log) if log.born && log.start > 0 => record.log(id, log, log.drained),
                    Some(_) => {}
                    None => record.drop_log(id),
                }
            }
        }
        deleted.iter().for_each(|&id| record.drop_log(id));
        dead.iter().for_each(|&id| record.drop_segment(id));
        let appended = if dead.is_empty() { Ok(false) } else { self.manifest.append(&record).map(|()| true) };
        if let Ok(true) = appended {
            self.shared.manifest.store(self.manifest.number(), Ordering::Release);
            let mut state = lock(&self.shared.state);
            state.segments.retain(|id, _| !dead.contains(id));
            drop(state);
            self.remove_segments(&dead);
            return appended;
        }
        let mut state = lock(&self.shared.state);
        state.deleted.extend(deleted);
        state.maybe_dead |= !dead.is_empty();
        appended.or_else(|error| if passing(&error).is_some() { Ok(false) } else { Err(error) })
    }

    /// Takes the position and a list of what the manifest does not know. Frames appended later may be drained too; their
    /// rounds are then read again after a crash, and dropped by their offsets.
    fn begin(&self) -> Capture {
        let mut state = lock(&self.shared.state);
        let position = state.position;
        let mut dirty = mem::take(&mut state.dirty);
        let deleted = mem::take(&mut state.deleted);
        let dead = if state.maybe_dead { dead_segments(&state) } else { Vec::new() };
        state.maybe_dead = false;
        drop(state);
        dirty.sort_unstable();
        Capture { position, dirty, deleted, dead, shares: Vec::new() }
    }

    fn collect(&self, capture: &mut Capture) {
        for ids in capture.dirty.chunks(LOGS_AT_ONCE) {
            let mut state = lock(&self.shared.state);
            for &id in ids {
                let Some(log) = state.logs.get_mut(&id) else { continue };
                log.dirty = false;
                // Also a log whose undrained frames were all trimmed: the journal will not be asked for its end again.
                if log.end > log.drained {
                    let frames: Vec<_> = log.live.iter().flat_map(|live| live.tail.iter().cloned()).collect();
                    let bytes = frames.iter().map(TailFrame::frame_len).sum();
                    capture.shares.push(Share { log: id, class: log.class, frames, bytes, end: log.end });
                }
            }
        }
    }

    /// After a drain that wrote nothing that counts.
    fn put_back(&self, capture: Capture) {
        let mut state = lock(&self.shared.state);
        let state = &mut *state;
        for id in capture.dirty {
            match state.logs.get_mut(&id) {
                Some(log) => State::mark_dirty(&mut state.dirty, id, log),
                None => state.deleted.push(id),
            }
        }
        state.deleted.extend(capture.deleted);
        state.maybe_dead |= !capture.dead.is_empty();
    }

    fn record(&self, capture: &Capture, written: &[Written]) -> Record {
        let mut record = Record::default();
        record.position(capture.position);
        for one in written {
            record.segment(one.id, &one.segment);
        }
        let ends: LogMap<u64> = capture.shares.iter().map(|share| (share.log, share.end)).collect();
        for ids in capture.dirty.chunks(LOGS_AT_ONCE) {
            let state = lock(&self.shared.state);
            for &id in ids {
                match state.logs.get(&id) {
                    Some(log) if log.born => record.log(id, log, ends.get(&id).copied().unwrap_or(log.drained)),
                    Some(_) => {}
                    // Deleted since the position was taken. What the manifest knows of it ends before the frames that
                    // were drained in vain: without this the journal from here on would seem to have a hole.
                    None => record.drop_log(id),
                }
            }
        }
        let state = lock(&self.shared.state);
        for (log, extent) in written.iter().flat_map(|one| &one.extents) {
            if state.logs.contains_key(log) {
                record.extent(*log, extent);
            }
        }
        drop(state);
        capture.deleted.iter().for_each(|&id| record.drop_log(id));
        capture.dead.iter().for_each(|&id| record.drop_segment(id));
        record
    }

    /// The manifest knows: memory, journal files and dead segments are given back.
    fn finish(&mut self, capture: &Capture, written: Vec<Written>) {
        {
            let mut state = lock(&self.shared.state);
            for one in &written {
                let live = state.segments.get(&one.id).map_or(0, |segment| segment.live);
                state.segments.insert(one.id, Segment { live, ..one.segment });
            }
            for id in &capture.dead {
                state.segments.remove(id);
            }
        }
        let mut extents: LogMap<Vec<Extent>> = LogMap::default();
        for (log, extent) in written.into_iter().flat_map(|one| one.extents) {
            extents.entry(log).or_default().push(extent);
        }
        for shares in capture.shares.chunks(LOGS_AT_ONCE) {
            let mut state = lock(&self.shared.state);
            for share in shares {
                settle_share(&mut state, share, extents.get(&share.log).map_or(&[][..], Vec::as_slice));
            }
        }
        {
            let mut state = lock(&self.shared.state);
            state.maybe_dead |= state.segments.values().any(|segment| segment.live == 0);
        }
        lock(&self.shared.files).recycle(capture.position.seq);
        self.remove_segments(&capture.dead);
        self.refused = None;
        self.shared.counters.drains.fetch_add(1, Ordering::Relaxed);
        // Appends may be waiting for memory.
        self.shared.log_signal.set();
    }

    /// Removes segments that the manifest does not name any more.
    fn remove_segments(&mut self, dead: &[u32]) {
        self.open.retain(|_, id| !dead.contains(id));
        for &id in dead {
            if let Err(error) = self.shared.disk.remove(&self.shared.layout.segment_file(id)) {
                // The next start removes it.
                tracing::warn!(segment = id, %error, "a segment without readable records cannot be removed");
            }
            // After that: a reader on its way could open it again before.
            self.shared.handles.close(id);
        }
    }

    /// Begins a new manifest file when the old one has become long. The old one goes on if the disk refuses.
    fn tidy_manifest(&mut self, position: Position) -> io::Result<()> {
        if !self.manifest.wants_snapshot(self.shared.options.manifest_bytes) {
            return Ok(());
        }
        match self.manifest.snapshot(everything(&self.shared, position)) {
            Err(error) if passing(&error).is_some() => {
                tracing::warn!(%error, "the manifest cannot be written anew; it grows until it can");
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => {
                self.shared.manifest.store(self.manifest.number(), Ordering::Release);
                Ok(())
            }
        }
    }
}

/// Segments without a readable record.
fn dead_segments(state: &State) -> Vec<u32> {
    state.segments.iter().filter(|(_, segment)| segment.live == 0).map(|(&id, _)| id).collect()
}

/// The log's frames are in segments now: their memory is given back.
fn settle_share(state: &mut State, share: &Share, extents: &[Extent]) {
    let Some(log) = state.logs.get_mut(&share.log) else { return };
    for (index, extent) in extents.iter().enumerate() {
        let end = extents.get(index + 1).map_or(share.end, |next| next.first);
        if end > log.start
            && log.add_extent(*extent)
            && let Some(segment) = state.segments.get_mut(&extent.segment)
        {
            segment.live += 1;
        }
    }
    log.drained = share.end;
    if let Some(live) = &mut log.live {
        while live.tail.front().is_some_and(|frame| frame.first < share.end) {
            if let Some(frame) = live.tail.pop_front() {
                state.undrained -= frame.cost();
            }
        }
        live.tail.shrink_to(8);
    }
    // A trim during the drain took frames out of the count that the extent beginning with them has brought back.
    if share.frames.first().is_some_and(|frame| frame.first < log.start) {
        log.recount();
    }
    log.settle();
}
