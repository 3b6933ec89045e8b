//! The background thread's work: frames move from the journal into segments, files are prepared and recycled.
//!
//! A drain takes what is published, writes it grouped by log, syncs the segments, and then tells the manifest in one
//! record; only after that is anything forgotten: frames in memory, journal files, dead segments. It is never on the
//! way of an acknowledgement. At most [`MAX_OWN`] + [`MAX_SHARED`] files are written by one drain, because every
//! dirty file costs a sync.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use levada_core::env::{DiskFile, Open};

use crate::commit::Turn;
use crate::journal::Position;
use crate::layout::{Clean, no_retry};
use crate::manifest::{Manifest, Record};
use crate::oneshot::lock;
use crate::segment::{self, SEGMENT_HEADER_BYTES};
use crate::shared::Shared;
use crate::state::{EXTENT_BYTES, Extent, LogMap, Segment, State, TailFrame};

/// Busy logs that get a segment of their own in one drain.
const MAX_OWN: usize = 48;

/// Segments that the other logs share in one drain; classes beyond that go together.
const MAX_SHARED: usize = 16;

/// The class of a segment that takes several.
const MIXED_CLASS: u32 = u32::MAX;

/// Segments are written in pieces of so many bytes.
const WRITE_BYTES: usize = 1024 * 1024;

/// Used journal files from which on a drain is due although memory is not: many small rounds fill blocks with padding.
const MAX_USED_FILES: usize = 3;

/// A new manifest is written in records of about so many bytes, the lock taken once for each.
const RECORD_BYTES: usize = 64 * 1024;

/// Logs looked at while the lock is held once.
const LOGS_AT_ONCE: usize = 512;

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

/// Whom a segment that still takes frames is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Owner {
    Log(u64),
    Class(u32),
}

/// What one drain wrote to one segment.
struct Written {
    id: u32,
    segment: Segment,
    is_new: bool,
    extents: Vec<(u64, Extent)>,
}

/// See the module.
pub(crate) struct Background {
    shared: Arc<Shared>,
    manifest: Manifest,
    open: HashMap<Owner, u32>,
    next_segment: u32,
    /// Bytes of the segment that is being written which the file does not have yet; here to keep the allocation.
    pending: Vec<u8>,
}

impl Background {
    pub(crate) fn new(shared: Arc<Shared>, manifest: Manifest, next_segment: u32) -> Self {
        Self { shared, manifest, open: HashMap::new(), next_segment, pending: Vec::new() }
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self) -> Turn {
        if self.shared.stopped() {
            return Turn::Stopped;
        }
        if lock(&self.shared.stopping).is_some() {
            return self.shut_down();
        }
        let mut worked = false;
        if self.shared.prepare_due.load(Ordering::Relaxed) {
            worked = true;
            let mut files = lock(&self.shared.files);
            let prepared = if files.has_ready() { Ok(()) } else { files.prepare(0) };
            drop(files);
            // Only now: while it is set the log thread does not ask for the files' lock, which zeroing holds for long.
            self.shared.prepare_due.store(false, Ordering::Relaxed);
            match prepared {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    self.shared.full.store(true, Ordering::Relaxed);
                }
                Err(error) => {
                    self.shared.poison(&format!("a journal file could not be prepared: {error}"));
                    return Turn::Stopped;
                }
                Ok(()) => {}
            }
        }
        if self.is_due() {
            match self.drain() {
                Ok(true) => worked = true,
                Ok(false) => {}
                // What was written is not recorded anywhere and will be overwritten: a refusal loses nothing.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    tracing::warn!("the disk is full: appends are refused until there is space");
                    self.shared.full.store(true, Ordering::Relaxed);
                    self.shared.log_signal.set();
                }
                Err(error) => {
                    self.shared.poison(&format!("a drain failed: {error}"));
                    return Turn::Stopped;
                }
            }
        }
        if worked { Turn::Worked } else { Turn::Idle }
    }

    fn is_due(&self) -> bool {
        let used = lock(&self.shared.files).used();
        let state = lock(&self.shared.state);
        let room_again = state.undrained > 0 || !state.dirty.is_empty();
        state.undrained >= self.shared.drain_threshold(&state)
            || state.maybe_dead
            || (used >= MAX_USED_FILES && room_again)
    }

    /// Drains everything, marks the directory as cleanly left, and answers the caller of the shutdown.
    fn shut_down(&mut self) -> Turn {
        let ended = self.drain().and_then(|_| {
            let round = lock(&self.shared.state).position.round;
            Clean { round, manifest: self.manifest.number() }.write(&*self.shared.disk, &self.shared.layout)
        });
        match ended {
            Ok(()) => {
                let sender = lock(&self.shared.stopping).take();
                lock(&self.shared.lock).take();
                self.shared.stop("shut down");
                if let Some(sender) = sender {
                    sender.send(Ok(()));
                }
            }
            // Everything acknowledged is in the journal; the next start recovers it.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                lock(&self.shared.lock).take();
                self.shared.stop("shut down, but the disk is too full to drain the journal");
            }
            Err(error) => self.shared.poison(&format!("the shutdown could not drain: {error}")),
        }
        Turn::Stopped
    }

    /// Moves everything that is published. False if there was nothing.
    fn drain(&mut self) -> io::Result<bool> {
        let capture = self.capture();
        if capture.is_empty() {
            return Ok(false);
        }
        match self.write(&capture) {
            Ok(written) => {
                self.finish(&capture, written);
                self.tidy_manifest(capture.position)?;
                Ok(true)
            }
            Err(error) => {
                self.put_back(capture);
                Err(error)
            }
        }
    }

    /// Takes a list of what the manifest does not know. Frames appended later may be in it too; their rounds are
    /// then read again after a crash, and dropped by their offsets.
    fn capture(&self) -> Capture {
        let mut state = lock(&self.shared.state);
        let position = state.position;
        let mut dirty = std::mem::take(&mut state.dirty);
        let deleted = std::mem::take(&mut state.deleted);
        let is_dead = |segment: &Segment| segment.live == 0;
        let dead = if state.maybe_dead {
            state.segments.iter().filter(|(_, segment)| is_dead(segment)).map(|(&id, _)| id).collect()
        } else {
            Vec::new()
        };
        state.maybe_dead = false;
        drop(state);
        dirty.sort_unstable();
        let mut shares = Vec::new();
        for ids in dirty.chunks(LOGS_AT_ONCE) {
            let mut state = lock(&self.shared.state);
            for &id in ids {
                let Some(log) = state.logs.get_mut(&id) else { continue };
                log.dirty = false;
                // Also a log whose undrained frames were all trimmed: the journal will not be asked for its end again.
                if log.end > log.drained {
                    let frames: Vec<_> = log.live.iter().flat_map(|live| live.tail.iter().cloned()).collect();
                    let bytes = frames.iter().map(TailFrame::frame_len).sum();
                    shares.push(Share { log: id, class: log.class, frames, bytes, end: log.end });
                }
            }
        }
        Capture { position, dirty, deleted, dead, shares }
    }

    /// After a drain that wrote nothing that counts.
    fn put_back(&self, capture: Capture) {
        let mut state = lock(&self.shared.state);
        let state = &mut *state;
        for id in capture.dirty {
            if let Some(log) = state.logs.get_mut(&id) {
                State::mark_dirty(&mut state.dirty, id, log);
            }
        }
        state.deleted.extend(capture.deleted);
        state.maybe_dead |= !capture.dead.is_empty();
    }

    /// Writes segments and manifest.
    fn write(&mut self, capture: &Capture) -> io::Result<Vec<Written>> {
        let groups = self.group(&capture.shares);
        let mut files: Vec<Arc<dyn DiskFile>> = Vec::new();
        let mut written: Vec<Written> = Vec::new();
        let result = groups.into_iter().try_for_each(|(owner, shares)| {
            let (file, one) = self.write_segment(owner, &shares)?;
            files.push(file);
            written.push(one);
            Ok(())
        });
        if let Err(error) = result {
            self.discard_new(&written);
            return Err(error);
        }
        files.iter().try_for_each(|file| no_retry(file.sync()))?;
        if written.iter().any(|one| one.is_new) {
            no_retry(self.shared.disk.sync_dir(&self.shared.layout.segments))?;
        }
        let record = self.record(capture, &written);
        if let Err(error) = self.manifest.append(&record) {
            if error.kind() == io::ErrorKind::StorageFull {
                self.discard_new(&written);
            }
            return Err(error);
        }
        self.shared.manifest.store(self.manifest.number(), Ordering::Release);
        Ok(written)
    }

    /// Forgets segments that a failed drain began. Their files are removed by the next start at the latest.
    fn discard_new(&mut self, written: &[Written]) {
        let new: Vec<u32> = written.iter().filter(|one| one.is_new).map(|one| one.id).collect();
        self.open.retain(|_, id| !new.contains(id));
        let known = lock(&self.shared.state).segments.clone();
        self.open.retain(|_, id| known.contains_key(id));
        for id in new {
            if let Err(error) = self.shared.disk.remove(&self.shared.layout.segment_file(id)) {
                tracing::warn!(segment = id, %error, "an unused segment cannot be removed");
            }
        }
    }

    /// Who writes to which segment: busy logs to their own, the others to one per class.
    fn group<'a>(&self, shares: &'a [Share]) -> BTreeMap<Owner, Vec<&'a Share>> {
        let mut busy: Vec<&Share> =
            shares.iter().filter(|share| share.bytes >= self.shared.options.busy_log_bytes.max(1)).collect();
        busy.sort_by_key(|share| std::cmp::Reverse(share.bytes));
        busy.truncate(MAX_OWN);
        let mut groups: BTreeMap<Owner, Vec<&Share>> =
            busy.iter().map(|share| (Owner::Log(share.log), vec![*share])).collect();
        let mut classes: BTreeMap<u32, usize> = BTreeMap::new();
        let shared =
            || shares.iter().filter(|share| !share.frames.is_empty() && !groups.contains_key(&Owner::Log(share.log)));
        for share in shared() {
            *classes.entry(share.class).or_default() += share.bytes;
        }
        let mut ranked: Vec<(u32, usize)> = classes.into_iter().collect();
        ranked.sort_by_key(|(class, bytes)| (std::cmp::Reverse(*bytes), *class));
        ranked.truncate(MAX_SHARED - 1);
        let in_classes: Vec<(Owner, &Share)> = shared()
            .map(|share| {
                let own = ranked.iter().any(|(class, _)| *class == share.class);
                (Owner::Class(if own { share.class } else { MIXED_CLASS }), share)
            })
            .collect();
        for (owner, share) in in_classes {
            groups.entry(owner).or_default().push(share);
        }
        groups
    }

    /// The segment that takes this owner's frames now: the one in use, or a new one if that is large or old.
    fn segment_for(&mut self, owner: Owner, class: u32) -> (u32, Segment, bool) {
        let now = self.shared.clock.now_ms();
        let known = self.open.get(&owner).and_then(|id| {
            let segment = *lock(&self.shared.state).segments.get(id)?;
            Some((*id, segment))
        });
        if let Some((id, segment)) = known {
            let options = &self.shared.options;
            // A clock that went back makes a segment look young; size still ends it.
            let old = now.saturating_sub(segment.created_ms) >= options.segment_age_ms;
            if !old && u64::from(segment.len) < options.segment_bytes.min(1 << 30) && segment.live > 0 {
                return (id, segment, false);
            }
        }
        let id = self.next_segment;
        self.next_segment += 1;
        self.open.insert(owner, id);
        (id, Segment { class, len: SEGMENT_HEADER_BYTES, created_ms: now, live: 0 }, true)
    }

    fn write_segment(&mut self, owner: Owner, shares: &[&Share]) -> io::Result<(Arc<dyn DiskFile>, Written)> {
        let class = match (owner, shares.first()) {
            (Owner::Log(_), Some(share)) => share.class,
            (Owner::Log(_), None) => MIXED_CLASS,
            (Owner::Class(class), _) => class,
        };
        let (id, mut segment, is_new) = self.segment_for(owner, class);
        let path = self.shared.layout.segment_file(id);
        let file = self.shared.disk.open(&path, if is_new { Open::CreateNew } else { Open::Write })?;
        let mut pending = std::mem::take(&mut self.pending);
        pending.clear();
        let mut written_to = segment.len;
        if is_new {
            pending.extend_from_slice(&segment::header(id, &segment));
            written_to = 0;
        }
        let mut extents: Vec<(u64, Extent)> = Vec::new();
        let result = shares.iter().try_for_each(|share| {
            let mut run: Option<Extent> = None;
            for frame in &share.frames {
                let len = frame.frame_len() as u32;
                match &mut run {
                    Some(extent) if extent.len + len <= EXTENT_BYTES => {
                        extent.len += len;
                        extent.frames += 1;
                    }
                    _ => {
                        extents.extend(run.map(|extent| (share.log, extent)));
                        let (first, first_arrival) = (frame.first, frame.arrival);
                        run = Some(Extent { first, first_arrival, segment: id, at: segment.len, len, frames: 1 });
                    }
                }
                pending.extend_from_slice(&frame.header(share.log).with_crc(frame.crc));
                pending.extend_from_slice(frame.batch.bytes());
                segment.len += len;
                if pending.len() >= WRITE_BYTES {
                    file.write_all_at(&pending, u64::from(written_to))?;
                    written_to = segment.len;
                    pending.clear();
                }
            }
            extents.extend(run.map(|extent| (share.log, extent)));
            Ok(())
        });
        let result = result.and_then(|()| {
            if pending.is_empty() { Ok(()) } else { file.write_all_at(&pending, u64::from(written_to)) }
        });
        pending.clear();
        pending.shrink_to(2 * WRITE_BYTES);
        self.pending = pending;
        if let Err(error) = result {
            self.discard_new(&[Written { id, segment, is_new, extents: Vec::new() }]);
            return Err(error);
        }
        Ok((file, Written { id, segment, is_new, extents }))
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
                if let Some(log) = state.logs.get(&id).filter(|log| log.born) {
                    record.log(id, log, ends.get(&id).copied().unwrap_or(log.drained));
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
        self.open.retain(|_, id| !capture.dead.contains(id));
        for &id in &capture.dead {
            self.shared.handles.close(id);
            if let Err(error) = self.shared.disk.remove(&self.shared.layout.segment_file(id)) {
                // The manifest does not name it any more, so the next start removes it.
                tracing::warn!(segment = id, %error, "a segment without readable records cannot be removed");
            }
        }
        self.shared.counters.drains.fetch_add(1, Ordering::Relaxed);
        // Appends may be waiting for memory.
        self.shared.log_signal.set();
    }

    /// Begins a new manifest file when the old one has become long.
    fn tidy_manifest(&mut self, position: Position) -> io::Result<()> {
        if !self.manifest.wants_snapshot(self.shared.options.manifest_bytes) {
            return Ok(());
        }
        self.manifest.snapshot(everything(&self.shared, position))?;
        self.shared.manifest.store(self.manifest.number(), Ordering::Release);
        Ok(())
    }
}

/// Records that state together everything which is drained, for a journal that is to be read from `position` on.
pub(crate) fn everything(shared: &Shared, position: Position) -> impl Iterator<Item = Record> + '_ {
    let mut first = Record::default();
    first.position(position);
    let mut ids: Vec<u64> = {
        let state = lock(&shared.state);
        state.segments.iter().for_each(|(&id, segment)| first.segment(id, segment));
        state.logs.keys().copied().collect()
    };
    ids.sort_unstable();
    let mut rest = Rest { shared, ids, next: 0, stated: None };
    std::iter::once(first).chain(std::iter::from_fn(move || rest.record()))
}

/// What is still to be stated. Only the background thread adds extents, so they stand still meanwhile, but for trims.
struct Rest<'a> {
    shared: &'a Shared,
    ids: Vec<u64>,
    next: usize,
    /// First offset of the last extent that was stated of the log `next`, whose LOG op has been written.
    stated: Option<Option<u64>>,
}

impl Rest<'_> {
    fn record(&mut self) -> Option<Record> {
        let mut record = Record::default();
        let state = lock(&self.shared.state);
        while let Some(&id) = self.ids.get(self.next) {
            if let Some(log) = state.logs.get(&id).filter(|log| log.born) {
                if self.stated.is_none() {
                    record.log(id, log, log.drained);
                }
                let after = self.stated.flatten();
                let from = log.extents.partition_point(|extent| after.is_some_and(|after| extent.first <= after));
                for extent in &log.extents[from..] {
                    if record.len() >= RECORD_BYTES {
                        self.stated = Some(self.stated.flatten());
                        return Some(record);
                    }
                    record.extent(id, extent);
                    self.stated = Some(Some(extent.first));
                }
            }
            self.next += 1;
            self.stated = None;
            if record.len() >= RECORD_BYTES {
                break;
            }
        }
        (record.len() > 0).then_some(record)
    }
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
