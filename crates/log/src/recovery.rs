//! Opening a data directory: what the last process left becomes what this one serves.
//!
//! 1. The format version is read; a newer one is refused before anything is written.
//! 2. The manifest says what is in the segments. Segments themselves are not read.
//! 3. The journal is read from where the manifest says; what the crash tore is cut, what is damaged is refused.
//! 4. Only now is anything written: what was read is synced, because a killed process leaves bytes that a power loss
//!    would still take: the recovered tail is durable before it is served; a new manifest states everything; writing goes on in another journal file, so that the
//!    remains of a torn round are never taken for a round.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, OnceLock};

use bytes::Bytes;
use levada_core::batch::Batch;
use levada_core::env::{Clock, Disk, Open, Random};

use crate::commit::Committer;
use crate::drain::{Background, everything};
use crate::error::{Doing, OpenError};
use crate::frame::{self, Frame, Kind};
use crate::gate::Gate;
use crate::journal::{self, BLOCK, Files, Position, Round, Scanned};
use crate::layout::{self, Clean, Found, Layout, MANIFEST, segment_name};
use crate::manifest::{self, Manifest};
use crate::oneshot::lock;
use crate::options::Options;
use crate::reader::{Handles, Hints};
use crate::shared::{Counters, Death, Queue, Shared, Signal};
use crate::state::{Log, State, TailFrame};

/// What was read of a directory; nothing has been written yet.
pub(crate) struct Recovered {
    pub(crate) state: State,
    /// Number of the last manifest record; 0 if there is no manifest.
    pub(crate) manifest: u64,
    /// From where the journal was read.
    pub(crate) from: Position,
    pub(crate) scanned: Scanned,
}

/// Reads manifest and journal.
pub(crate) fn read(disk: &dyn Disk, layout: &Layout) -> Result<Recovered, OpenError> {
    let clean = Clean::read(disk, layout)?;
    let (mut state, manifest, len) = match manifest::read(disk, layout)? {
        Some(read) => (read.state, read.number, read.len),
        None => (State::new(Position { round: 1, seq: 0, at: 0 }), 0, 0),
    };
    let from = state.position;
    if manifest == 0 {
        // The manifest comes before the first journal file and the first segment.
        for dir in [&layout.journal, &layout.segments] {
            if !layout::list(disk, dir)?.is_empty() {
                let what = format!("the file is missing although {} has files", dir.display());
                return Err(OpenError::corrupt(MANIFEST, 0, what));
            }
        }
    }
    let mut replay = Replay { state: &mut state, unknown: BTreeSet::new() };
    let mut scanned = journal::scan(disk, layout, from, &mut |round| replay.round(round))?;
    if let Some(log) = replay.unknown.first() {
        return Err(OpenError::corrupt(
            MANIFEST,
            len,
            format!("log {log} has records in the journal, but is not known"),
        ));
    }
    if let Some(clean) = clean {
        scanned.manifest = scanned.manifest.max(clean.manifest);
        if scanned.end.round < clean.round {
            let what =
                format!("the directory was left cleanly with round {} written, which is damaged", clean.round - 1);
            return Err(OpenError::corrupt("journal", scanned.end.at, what));
        }
    }
    if manifest < scanned.manifest {
        let what = format!("record {} had been durable and is damaged or missing", scanned.manifest);
        return Err(OpenError::corrupt(MANIFEST, len, what));
    }
    Ok(Recovered { state, manifest, from, scanned })
}

/// Puts the journal's frames into the state.
struct Replay<'a> {
    state: &'a mut State,
    /// Logs with frames that no manifest record and no CREATE announced. All of them must turn out to be deleted.
    unknown: BTreeSet<u64>,
}

impl Replay<'_> {
    fn round(&mut self, round: &Round) -> Result<(), OpenError> {
        let mut rest: Bytes = round.payload.clone();
        let mut at = round.at + journal::ROUND_HEADER_BYTES as u64;
        while !rest.is_empty() {
            let corrupt = |what: &str| OpenError::corrupt(round.file.as_str(), at, what);
            let frame = frame::parse(&rest).ok_or_else(|| corrupt("a round's checksum holds, a frame's does not"))?;
            let len = frame.header.frame_len();
            self.frame(frame).map_err(|what| corrupt(&what))?;
            rest = rest.slice(len..);
            at += len as u64;
        }
        Ok(())
    }

    fn frame(&mut self, frame: Frame) -> Result<(), String> {
        let Frame { header, crc, batch } = frame;
        let id = header.log;
        let state = &mut *self.state;
        if header.kind == Kind::Create {
            let log = state.logs.entry(id).or_insert_with(|| Log::new(header.count, header.arrival));
            log.born = true;
            State::mark_dirty(&mut state.dirty, id, log);
            return Ok(());
        }
        let Some(log) = state.logs.get_mut(&id) else {
            match header.kind {
                Kind::Delete => self.unknown.remove(&id),
                Kind::Data | Kind::Create | Kind::Seal => self.unknown.insert(id),
            };
            return Ok(());
        };
        match (header.kind, batch) {
            (Kind::Delete, _) => state.remove_log(id, &mut Vec::new()),
            (Kind::Seal, _) => {
                if header.first != log.end {
                    return Err(format!("log {id} is sealed at {}, but ends at {}", header.first, log.end));
                }
                (log.sealed, log.plan_sealed) = (true, true);
                State::mark_dirty(&mut state.dirty, id, log);
            }
            (_, Some(batch)) => {
                // Drained already; the journal file had not been recycled yet.
                if header.end() <= log.end {
                    return Ok(());
                }
                if header.first != log.end {
                    return Err(format!("log {id} ends at {}, the next record is {}", log.end, header.first));
                }
                // Memory of its own: what the journal is read into is larger, and nobody would count it.
                let bytes = Bytes::copy_from_slice(batch.bytes());
                let batch = Batch::from_bytes(bytes).map_err(|error| format!("log {id}: {error}"))?;
                let arrival = header.arrival.max(log.last_arrival);
                (log.plan_end, log.plan_arrival) = (header.end(), arrival);
                let frame = TailFrame { first: header.first, arrival: header.arrival, batch, crc };
                state.publish(id, frame, &mut Vec::new());
                if let Some(log) = state.logs.get_mut(&id) {
                    log.last_arrival = arrival;
                }
            }
            (Kind::Data | Kind::Create, None) => {}
        }
        Ok(())
    }
}

/// Opens a directory for work.
pub(crate) fn open(
    dir: &Path,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    options: Options,
) -> Result<(Arc<Shared>, Committer, Background), OpenError> {
    let layout = Layout::new(dir);
    disk.create_private_dir(dir).doing("create", dir)?;
    let held = take_lock(&*disk, &layout)?;
    let found = layout::read_format(&*disk, &layout)?;
    if found == Found::Empty {
        sync_way_to(&*disk, dir);
        layout::write_format(&*disk, &layout)?;
    }
    for part in [&layout.journal, &layout.segments] {
        disk.create_private_dir(part).doing("create", part)?;
        // Records are here, and in the catalog's log the keys of destinations.
        if let Err(error) = disk.make_private(part) {
            tracing::warn!(dir = %part.display(), %error, "others may be able to read this");
        }
    }
    // Names that a killed process created and never synced are taken over below.
    for part in [dir, &layout.journal, &layout.segments] {
        disk.sync_dir(part).doing("sync", part)?;
    }
    let recovered = read(&*disk, &layout)?;
    if recovered.manifest > 0 {
        // Its last record may be what a killed process wrote and never synced; files are recycled on its word.
        let path = layout.manifest();
        disk.open(&path, Open::Read).and_then(|file| file.sync()).doing("sync", &path)?;
    }
    for found in recovered.scanned.files.iter().filter(|found| found.needed) {
        let path = layout.journal_file(found.slot);
        found.file.sync().doing("sync", &path)?;
    }
    Clean::remove(&*disk, &layout)?;
    start(disk, clock, random, options, layout, held, recovered)
}

/// Makes the names that lead to a new data directory durable, or a power loss could take it whole. The format file is
/// written after this, so its presence says that it was done.
fn sync_way_to(disk: &dyn Disk, dir: &Path) {
    for parent in dir.ancestors().skip(1) {
        // A directory that is not ours to open is not one that we created a name in.
        if let Err(error) = disk.sync_dir(parent) {
            tracing::debug!(parent = %parent.display(), %error, "a directory above the data directory cannot be synced");
            return;
        }
    }
}

/// Takes the directory's lock.
pub(crate) fn take_lock(disk: &dyn Disk, layout: &Layout) -> Result<Box<dyn Send + Sync>, OpenError> {
    let path = layout.lock();
    match disk.lock(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(OpenError::Locked),
        other => other.doing("lock", &path),
    }
}

/// Makes what was read durable, and everything ready to go on.
fn start(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    options: Options,
    layout: Layout,
    held: Box<dyn Send + Sync>,
    recovered: Recovered,
) -> Result<(Arc<Shared>, Committer, Background), OpenError> {
    let Recovered { state, manifest, from, scanned } = recovered;
    let sizes = (options.first_journal_segment_bytes, options.journal_segment_bytes);
    let mut files = Files::new(Arc::clone(&disk), random, layout.clone(), sizes);
    let mut found: Vec<_> = scanned.files.iter().collect();
    found.sort_by_key(|found| found.seq);
    for found in found {
        // The file that the present manifest names must stay until the next one is durable.
        let named = from.at > 0 && found.seq == Some(from.seq);
        files.adopt(found.slot, found.size, found.seq, found.needed || named);
    }
    files.continue_after(from.seq);
    let next_segment = remove_orphans(&*disk, &layout, &state)?;
    let shared = Arc::new(Shared {
        clock,
        state: Mutex::new(state),
        queue: Mutex::new(Queue::default()),
        log_signal: Signal::new(),
        drain_signal: Signal::new(),
        gate: Arc::new(Gate::new(options.queue_bytes)),
        drain_wanted: AtomicBool::new(false),
        files: Mutex::new(files),
        handles: Handles::new(options.max_open_files),
        hints: Hints::default(),
        pool: OnceLock::new(),
        manifest: AtomicU64::new(0),
        full: AtomicBool::new(false),
        prepare_due: AtomicBool::new(false),
        stopping: Mutex::new(None),
        counters: Counters::default(),
        death: Mutex::new(Death::default()),
        lock: Mutex::new(Some(held)),
        disk: Arc::clone(&disk),
        layout: layout.clone(),
        options,
    });
    // A new directory gets its manifest before its first journal file; else a journal file would accuse it.
    if manifest == 0 {
        let everything = everything(&shared, from);
        Manifest::create(Arc::clone(&disk), layout.clone(), 1, everything).doing("write", &layout.manifest())?;
    }
    let file = lock(&shared.files).take(0).doing("prepare a file in", &layout.journal)?;
    let next = Position { round: scanned.end.round, seq: file.seq, at: BLOCK };
    let kept = if scanned.rounds > 0 { from } else { next };
    let everything = everything(&shared, kept);
    let manifest =
        Manifest::create(disk, layout.clone(), manifest.max(1) + 1, everything).doing("write", &layout.manifest())?;
    shared.manifest.store(manifest.number(), std::sync::atomic::Ordering::Release);
    lock(&shared.files).recycle(kept.seq);
    lock(&shared.state).position = next;
    let committer = Committer::new(Arc::clone(&shared), file, next.round);
    let background = Background::new(Arc::clone(&shared), manifest, next_segment);
    // Recovered records may fill the memory already.
    shared.drain_signal.set();
    Ok((shared, committer, background))
}

/// Removes segments that the manifest does not name, and reports named ones that are not there. Answers the next
/// segment's number.
fn remove_orphans(disk: &dyn Disk, layout: &Layout, state: &State) -> Result<u32, OpenError> {
    let mut there = HashSet::new();
    let mut next = state.segments.keys().next_back().map_or(1, |last| last + 1);
    for name in layout::list(disk, &layout.segments)? {
        let Some(id) = layout::number(&name, 10) else { continue };
        next = next.max(id + 1);
        if state.segments.contains_key(&id) {
            there.insert(id);
        } else {
            let path = layout.segment_file(id);
            disk.remove(&path).doing("remove", &path)?;
        }
    }
    for id in state.segments.keys().filter(|id| !there.contains(id)) {
        tracing::error!(segment = segment_name(*id), "a segment is missing: its logs cannot be read completely");
    }
    Ok(next)
}
