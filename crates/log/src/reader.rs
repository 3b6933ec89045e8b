//! Reading: the tail from memory, everything older from segments.
//!
//! A read takes the state's lock for bookkeeping only; segments are read without it, at most about 1 MiB at a time.
//! Where those reads run: on two threads of the engine in production, so that a cold disk holds up neither the log
//! thread nor the caller's executor; inline, with a yield after each piece, when the engine runs as a task.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use bytes::Bytes;
use levada_core::batch::{Batch, RECORD_HEADER_BYTES};
use levada_core::engine::{Chunk, EngineError, Page, ReadRequest, Tail};
use levada_core::env::{DiskFile, Open};

use crate::frame::{self, FRAME_HEADER_BYTES, Header, Kind};
use crate::layout::{passing, segment_name};
use crate::oneshot::{Receiver, YieldOnce, channel, lock};
use crate::shared::{HintMap, Shared};
use crate::state::{EXTENT_BYTES, Log};

/// Smallest piece of a segment that is read at once, in bytes.
const MIN_WINDOW_BYTES: u64 = 64 * 1024;

/// Frames of the tail that are looked at while the lock is held once.
const TAIL_FRAMES_AT_ONCE: usize = 512;

/// Places remembered where a page ended.
const MAX_HINTS: usize = 4096;

/// Open segment files, the longest unused closed first.
pub(crate) struct Handles {
    open: Mutex<HashMap<u32, Handle>>,
    max: usize,
}

struct Handle {
    file: Arc<dyn DiskFile>,
    /// Rises with every use of any handle.
    used: u64,
}

impl Handles {
    pub(crate) fn new(max: usize) -> Self {
        Self { open: Mutex::new(HashMap::new()), max: max.max(1) }
    }

    fn get(&self, shared: &Shared, segment: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = lock(&self.open);
        let now = open.values().map(|handle| handle.used).max().unwrap_or(0) + 1;
        if let Some(handle) = open.get_mut(&segment) {
            handle.used = now;
            return Ok(Arc::clone(&handle.file));
        }
        let file = shared.disk.open(&shared.layout.segment_file(segment), Open::Read)?;
        if open.len() >= self.max
            && let Some(oldest) = open.iter().min_by_key(|(_, handle)| handle.used).map(|(&segment, _)| segment)
        {
            open.remove(&oldest);
        }
        open.insert(segment, Handle { file: Arc::clone(&file), used: now });
        Ok(file)
    }

    /// Closes a file that was removed, so that its space is freed. Nobody can open it again.
    pub(crate) fn close(&self, segment: u32) {
        lock(&self.open).remove(&segment);
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.open).len()
    }
}

/// Where pages ended in the middle of an extent, so that the next page need not search it again.
#[derive(Default)]
pub(crate) struct Hints(Mutex<HintMap>);

impl Hints {
    fn put(&self, log: u64, offset: u64, segment: u32, at: u32) {
        let mut hints = lock(&self.0);
        if hints.len() >= MAX_HINTS {
            hints.clear();
        }
        hints.insert((log, offset), (segment, at));
    }

    fn get(&self, log: u64, offset: u64) -> Option<(u32, u32)> {
        lock(&self.0).get(&(log, offset)).copied()
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that read segments.
pub(crate) struct Pool {
    jobs: Mutex<(VecDeque<Job>, bool)>,
    thread: Condvar,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self { jobs: Mutex::new((VecDeque::new(), true)), thread: Condvar::new() }
    }

    /// Works until [`close`](Self::close).
    pub(crate) fn work(&self) {
        let mut jobs = lock(&self.jobs);
        loop {
            if let Some(job) = jobs.0.pop_front() {
                drop(jobs);
                job();
                jobs = lock(&self.jobs);
            } else if !jobs.1 {
                return;
            } else {
                jobs = self.thread.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Lets the threads end once nothing waits any more.
    pub(crate) fn close(&self) {
        lock(&self.jobs).1 = false;
        self.thread.notify_all();
    }

    /// Ends the work and forgets what waits, whose callers are told so.
    pub(crate) fn give_up(&self) {
        let jobs = {
            let mut jobs = lock(&self.jobs);
            jobs.1 = false;
            std::mem::take(&mut jobs.0)
        };
        drop(jobs);
        self.thread.notify_all();
    }

    /// Runs `read` on a thread, or at once if there are none any more.
    fn run<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
        let (sender, receiver) = channel();
        let job: Job = Box::new(move || sender.send(read()));
        let mut jobs = lock(&self.jobs);
        if jobs.1 {
            jobs.0.push_back(job);
            drop(jobs);
            self.thread.notify_one();
        } else {
            drop(jobs);
            job();
        }
        receiver
    }
}

/// A piece of a segment in which to look for `from`.
#[derive(Clone, Copy, Debug)]
struct Piece {
    log: u64,
    segment: u32,
    /// Where to begin, at a frame.
    at: u32,
    /// Offset of the frame at `at`.
    first: u64,
    /// Where the extent ends.
    limit: u32,
    /// About how many bytes to read.
    window: u64,
}

/// Frames read from a piece.
struct Found {
    frames: Vec<FoundFrame>,
    /// A damaged frame follows the last of `frames`.
    damaged_at: Option<u64>,
}

struct FoundFrame {
    header: Header,
    batch: Batch,
    /// Where the next frame begins.
    next_at: u32,
}

/// Reads the frames of a piece from the one on that `wanted` accepts; those before it are only walked over.
fn read_piece(shared: &Shared, piece: Piece, wanted: impl Fn(&Header) -> bool) -> io::Result<Found> {
    let file = shared.handles.get(shared, piece.segment)?;
    let mut found = Found { frames: Vec::new(), damaged_at: None };
    let (mut at, mut first) = (piece.at, piece.first);
    let mut window = read_bytes(&*file, at, piece.window.min(u64::from(piece.limit - at)))?;
    let mut skip = 0;
    while at < piece.limit {
        let rest = window.slice(skip..);
        let header = Header::peek(&rest).filter(|header| {
            (header.kind, header.log, header.first) == (Kind::Data, piece.log, first)
                && header.frame_len() as u64 <= u64::from(piece.limit - at)
        });
        let whole = header.is_some_and(|header| header.frame_len() <= rest.len());
        if !whole && rest.len() as u64 != u64::from(piece.limit - at) {
            // The window ends within this frame. What was found is a page's worth already; else read on from here.
            if !found.frames.is_empty() {
                return Ok(found);
            }
            if let Some(header) = header {
                window = read_bytes(
                    &*file,
                    at,
                    piece.window.max(header.frame_len() as u64).min(u64::from(piece.limit - at)),
                )?;
                skip = 0;
                continue;
            }
            if rest.len() < FRAME_HEADER_BYTES {
                window = read_bytes(&*file, at, piece.window.min(u64::from(piece.limit - at)))?;
                skip = 0;
                continue;
            }
        }
        let Some(header) = header.filter(|_| whole) else {
            found.damaged_at = Some(u64::from(at));
            return Ok(found);
        };
        at += header.frame_len() as u32;
        if !found.frames.is_empty() || wanted(&header) {
            let Some(batch) = frame::parse(&rest).and_then(|frame| frame.batch) else {
                found.damaged_at = Some(u64::from(at) - header.frame_len() as u64);
                return Ok(found);
            };
            found.frames.push(FoundFrame { header, batch, next_at: at });
        }
        skip += header.frame_len();
        first = header.end();
    }
    Ok(found)
}

fn read_bytes(file: &dyn DiskFile, at: u32, len: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, u64::from(at))?;
    Ok(Bytes::from(bytes))
}

/// A page in the making.
struct Budget {
    records: u32,
    bytes: u64,
    chunks: Vec<Chunk>,
    next: u64,
}

impl Budget {
    fn new(request: &ReadRequest) -> Self {
        Self { records: request.max_records.max(1), bytes: request.max_bytes, chunks: Vec::new(), next: request.from }
    }

    /// Adds what fits of a batch's records from `next` on. False once the page is full.
    fn add(&mut self, first: u64, arrival: u64, batch: &Batch) -> bool {
        let skip = (self.next - first) as u32;
        let left = batch.count() - skip;
        let all_bytes = (batch.bytes().len() - RECORD_HEADER_BYTES * batch.count() as usize) as u64;
        let (mut take, mut bytes) = (left, all_bytes);
        if skip > 0 || left > self.records || all_bytes > self.bytes {
            (take, bytes) = (0, 0);
            for record in batch.records().skip(skip as usize) {
                let with = bytes + (record.key.len() + record.data.len()) as u64;
                let always = take == 0 && self.chunks.is_empty();
                if take == self.records || (with > self.bytes && !always) {
                    break;
                }
                (take, bytes) = (take + 1, with);
            }
        }
        if take > 0 {
            self.chunks.push(Chunk { first: self.next, arrival, batch: batch.clone(), skip, take });
            self.next += u64::from(take);
            self.records -= take;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        take == left && self.records > 0 && self.bytes > 0
    }
}

/// Where the next records of a page are.
enum Step {
    /// The page is complete.
    Done(Tail),
    /// More frames of the tail than are looked at at once.
    Again,
    Piece(Piece),
}

fn step(shared: &Shared, id: u64, page: &mut Budget) -> Result<Step, EngineError> {
    let state = lock(&shared.state);
    let log = state.log(id)?;
    page.next = page.next.max(if page.chunks.is_empty() { log.start } else { 0 });
    if page.next < log.start || page.next >= log.end {
        // Trimmed or at its end while the page was made: what there is stands without a gap.
        return Ok(Step::Done(log.tail()));
    }
    if let Some(piece) = piece(shared, id, log, page) {
        return Ok(Step::Piece(piece));
    }
    let Some(live) = &log.live else { return Ok(Step::Done(log.tail())) };
    let from = live.tail.partition_point(|frame| frame.end() <= page.next);
    for (looked, frame) in live.tail.range(from..).enumerate() {
        if looked == TAIL_FRAMES_AT_ONCE {
            return Ok(Step::Again);
        }
        if !page.add(frame.first, frame.arrival, &frame.batch) {
            break;
        }
    }
    Ok(Step::Done(log.tail()))
}

/// The piece of a segment that holds `page.next`, if it was drained.
fn piece(shared: &Shared, id: u64, log: &Log, page: &Budget) -> Option<Piece> {
    let index = log.extent_of(page.next)?;
    let extent = log.extents[index];
    let (mut at, mut first) = (extent.at, extent.first);
    let limit = extent.at + extent.len;
    if page.next != extent.first
        && let Some((segment, hinted)) = shared.hints.get(id, page.next)
        && segment == extent.segment
        && (extent.at..limit).contains(&hinted)
    {
        (at, first) = (hinted, page.next);
    }
    let records = u64::from(page.records) * RECORD_HEADER_BYTES as u64;
    let window = page.bytes.saturating_add(page.bytes / 8).saturating_add(records);
    let window = window.clamp(MIN_WINDOW_BYTES, u64::from(EXTENT_BYTES));
    Some(Piece { log: id, segment: extent.segment, at, first, limit, window })
}

/// See [`Engine::read`](levada_core::engine::Engine::read).
pub(crate) async fn read(shared: &Arc<Shared>, request: ReadRequest) -> Result<Page, EngineError> {
    let id = request.log.0;
    let mut page = Budget::new(&request);
    let tail = loop {
        let piece = match step(shared, id, &mut page)? {
            Step::Done(tail) => break tail,
            Step::Again => {
                YieldOnce::new().await;
                continue;
            }
            Step::Piece(piece) => piece,
        };
        let from = page.next;
        let found = fetch(shared, piece, move |header| header.end() > from).await?;
        let (found, damage) = settle(found, piece)?;
        // The extent says that the record is here.
        let nothing = || EngineError::Corrupt { file: segment_name(piece.segment), at: u64::from(piece.at) };
        let damage = damage.or_else(|| found.is_empty().then(nothing));
        let mut room = true;
        let mut frames = found.into_iter();
        while room && let Some(frame) = frames.next() {
            room = page.add(frame.header.first, frame.header.arrival, &frame.batch);
            if page.next == frame.header.end() && frame.next_at < piece.limit {
                shared.hints.put(id, page.next, piece.segment, frame.next_at);
            }
        }
        if !room {
            break lock(&shared.state).log(id)?.tail();
        }
        let Some(damage) = damage else { continue };
        if page.chunks.is_empty() {
            // A trim removes files under a reader; only what is still to be read can be damaged.
            if lock(&shared.state).log(id)?.start > page.next {
                continue;
            }
            return Err(damage);
        }
        break lock(&shared.state).log(id)?.tail();
    };
    Ok(Page { chunks: page.chunks, next: page.next, tail })
}

/// Separates what was found from why there is not more.
fn settle(found: io::Result<Found>, piece: Piece) -> Result<(Vec<FoundFrame>, Option<EngineError>), EngineError> {
    let corrupt = |at| EngineError::Corrupt { file: segment_name(piece.segment), at };
    match found {
        Ok(found) => Ok((found.frames, found.damaged_at.map(corrupt))),
        // The process has no file handle or memory left; the bytes may be fine.
        Err(error) if passing(&error).is_some() => {
            Err(EngineError::Unavailable(format!("{}: {error}", segment_name(piece.segment))))
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
                Ok((Vec::new(), Some(corrupt(u64::from(piece.at)))))
            }
            _ => {
                tracing::error!(segment = piece.segment, at = piece.at, %error, "a segment cannot be read");
                Ok((Vec::new(), Some(corrupt(u64::from(piece.at)))))
            }
        },
    }
}

async fn fetch(
    shared: &Arc<Shared>,
    piece: Piece,
    wanted: impl Fn(&Header) -> bool + Send + 'static,
) -> Result<io::Result<Found>, EngineError> {
    match shared.pool.get() {
        Some(pool) => {
            let shared = Arc::clone(shared);
            let found = pool.run(move || read_piece(&shared, piece, wanted)).await;
            found.ok_or_else(|| EngineError::Unavailable("the engine stopped".to_owned()))
        }
        None => {
            YieldOnce::new().await;
            Ok(read_piece(shared, piece, wanted))
        }
    }
}

/// See [`Engine::seek`](levada_core::engine::Engine::seek).
pub(crate) async fn seek(shared: &Arc<Shared>, id: u64, time: u64) -> Result<u64, EngineError> {
    let (mut piece, mut after) = {
        let state = lock(&shared.state);
        let log = state.log(id)?;
        let later = log.extents.partition_point(|extent| extent.first_arrival < time);
        let after = log.extents.get(later).map(|extent| extent.first).or_else(|| {
            let tail = &log.live.as_ref()?.tail;
            tail.get(tail.partition_point(|frame| frame.arrival < time)).map(|frame| frame.first)
        });
        let after = after.unwrap_or(log.end).max(log.start);
        let Some(extent) = later.checked_sub(1).map(|index| log.extents[index]) else { return Ok(after) };
        let (segment, at, first) = (extent.segment, extent.at, extent.first);
        (Piece { log: id, segment, at, first, limit: at + extent.len, window: MIN_WINDOW_BYTES }, after)
    };
    // The record may stand in the last extent that begins before the time.
    piece.window = u64::from(EXTENT_BYTES);
    let found = fetch(shared, piece, move |header| header.arrival >= time).await?;
    let (frames, damage) = settle(found, piece)?;
    let log_start = lock(&shared.state).log(id)?.start;
    if let Some(frame) = frames.first() {
        after = frame.header.first;
    } else if let Some(damage) = damage
        && log_start < after
    {
        return Err(damage);
    }
    Ok(after.max(log_start))
}
