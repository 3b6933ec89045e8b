//! The log thread's work: what waits becomes one round, the round becomes durable, then visible, then acknowledged.
//!
//! Rounds are serial. Everything that a round decides rests on the rounds before it, which are durable, and on what
//! stands before it in the same round; so all answers of a round, refusals too, are given after its sync.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use levada_core::batch::{Batch, MAX_BATCH_BYTES};
use levada_core::engine::{Append, Appended, EngineError, Expect, LogSpec, Sealed};

use crate::frame::{FRAME_HEADER_BYTES, Header, Kind};
use crate::gate::Charge;
use crate::journal::{BLOCK, MAX_ROUND_BYTES, Position, Prepared, ROUND_HEADER_BYTES, RoundBuffer};
use crate::layout::{Passing, passing};
use crate::oneshot::{Sender, lock};
use crate::shared::{Call, Shared, Work};
use crate::state::{Log, State, TailFrame};

/// How often the free space is looked at while appends come in.
const SPACE_CHECK_EVERY: Duration = Duration::from_millis(100);

/// The round buffer's memory is given back above this.
const KEEP_BUFFER_BYTES: usize = 5 * 1024 * 1024;

/// A frame of the round that is being made.
struct Planned {
    header: Header,
    batch: Option<Batch>,
    crc: u32,
}

/// An answer that waits for the round.
enum Answer {
    Append(Vec<Appended>, Sender<Vec<Appended>>, Charge),
    Done(Result<(), EngineError>, Sender<Result<(), EngineError>>),
    Seal(Result<Sealed, EngineError>, Sender<Result<Sealed, EngineError>>),
}

impl Answer {
    fn give(self) {
        match self {
            Self::Append(outcomes, sender, charge) => {
                sender.send(outcomes);
                drop(charge);
            }
            Self::Done(result, sender) => sender.send(result),
            Self::Seal(result, sender) => sender.send(result),
        }
    }
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There may be more to do.
    Worked,
    /// Nothing to do until the signal is set.
    Idle,
    /// Never anything to do again.
    Stopped,
}

/// The journal's writing end, and the round in the making.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    file: Prepared,
    at: u64,
    round: u64,
    buffer: RoundBuffer,
    works: VecDeque<Work>,
    planned: Vec<Planned>,
    planned_bytes: usize,
    /// How many outcomes of the first work, if it is unfinished, rest on this round.
    outcomes_at_risk: usize,
    answers: Vec<Answer>,
    wake: Vec<Waker>,
    space_checked: Option<Duration>,
}

/// What keeps appends out for now.
#[derive(Clone, Copy)]
struct Space {
    /// There is no room in the journal, and none to be had.
    none: bool,
    /// Free space is below the watermark.
    low: bool,
}

impl Space {
    /// What is decided from a log's content (catalog, cuts, checkpoints) is what frees space, so the reserve below the
    /// watermark is its own.
    fn refuses(self, expect: Expect) -> bool {
        self.none || (self.low && expect == Expect::Tail)
    }
}

/// Why what must be written is refused when the journal cannot take it.
fn no_room() -> EngineError {
    EngineError::Unavailable("the disk is too full for another journal file".to_owned())
}

impl Committer {
    /// Goes on with round `round` in a fresh `file`.
    pub(crate) fn new(shared: Arc<Shared>, file: Prepared, round: u64) -> Self {
        Self {
            shared,
            file,
            at: BLOCK,
            round,
            buffer: RoundBuffer::new(64 * 1024),
            works: VecDeque::new(),
            planned: Vec::new(),
            planned_bytes: 0,
            outcomes_at_risk: 0,
            answers: Vec::new(),
            wake: Vec::new(),
            space_checked: None,
        }
    }

    /// Makes at most one round.
    pub(crate) fn turn(&mut self) -> Turn {
        if self.works.is_empty() {
            std::mem::swap(&mut self.works, &mut lock(&self.shared.queue).works);
        }
        if self.shared.stopped() {
            let works = std::mem::take(&mut self.works);
            works.into_iter().for_each(|work| work.refuse("the engine stopped"));
            return Turn::Stopped;
        }
        let Some(first) = self.works.front() else { return Turn::Idle };
        if matches!(first, Work::Shutdown(_)) {
            return self.shut_down();
        }
        let first_append = match first {
            Work::Append(call) => call.appends.as_slice().first(),
            Work::Create(..) | Work::Seal(..) | Work::Delete(..) | Work::Shutdown(_) => None,
        };
        let first_frame = first_append.map_or(0, |append| append.batch.bytes().len());
        let first_expect = first_append.map(|append| append.expect);
        self.outcomes_at_risk = 0;
        self.look_at_space();
        let mut space = Space { none: false, low: self.shared.full.load(Ordering::Relaxed) };
        // An append that is refused anyway is no reason to take space for another file.
        if !first_expect.is_some_and(|expect| space.refuses(expect)) {
            match self.make_room(FRAME_HEADER_BYTES + first_frame.min(MAX_BATCH_BYTES)) {
                Ok(has_room) => space.none = !has_room,
                Err(error) => return self.give_up(&format!("the next journal file could not be prepared: {error}")),
            }
        }
        if !self.plan(space) {
            return Turn::Idle;
        }
        if !self.planned.is_empty() {
            let started = self.shared.clock.monotonic();
            if let Err(error) = self.write() {
                return self.give_up(&format!("a write to the journal failed: {error}"));
            }
            self.publish();
            let took = self.shared.clock.monotonic().saturating_sub(started);
            let counters = &self.shared.counters;
            counters.commits.fetch_add(1, Ordering::Relaxed);
            counters.commit_nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
            counters.journal_at.store(self.at, Ordering::Relaxed);
        }
        self.answers.drain(..).for_each(Answer::give);
        self.wake.drain(..).for_each(Waker::wake);
        Turn::Worked
    }

    /// Everything before the shutdown is committed: the background thread does the rest.
    fn shut_down(&mut self) -> Turn {
        if let Some(Work::Shutdown(sender)) = self.works.pop_front() {
            *lock(&self.shared.stopping) = Some(sender);
        }
        let mut works = std::mem::take(&mut self.works);
        {
            let mut queue = lock(&self.shared.queue);
            queue.closed = Some("shutting down".to_owned());
            works.append(&mut queue.works);
        }
        works.into_iter().for_each(|work| work.refuse("shutting down"));
        if self.shared.stopped() {
            // The background thread gave up a moment ago, and may not have seen who waits here.
            self.shared.stop("the engine stopped");
        }
        self.shared.drain_signal.set();
        Turn::Stopped
    }

    fn look_at_space(&mut self) {
        let now = self.shared.clock.monotonic();
        if self.space_checked.is_none_or(|last| now.saturating_sub(last) >= SPACE_CHECK_EVERY) {
            self.space_checked = Some(now);
            self.shared.check_space();
        }
    }

    /// Bytes of frames that a round may still have in this file.
    fn room(&self) -> usize {
        let left = (self.file.size.saturating_sub(self.at)).min(MAX_ROUND_BYTES as u64) as usize;
        left.saturating_sub(ROUND_HEADER_BYTES)
    }

    /// Changes to the next file if a frame of `bytes` does not fit. False if the system refuses one for now.
    fn make_room(&mut self, bytes: usize) -> io::Result<bool> {
        if bytes <= self.room() {
            return Ok(true);
        }
        let mut files = lock(&self.shared.files);
        match files.take((bytes + ROUND_HEADER_BYTES) as u64) {
            Ok(next) => {
                let last = std::mem::replace(&mut self.file, next);
                files.retire(&last);
                self.at = BLOCK;
                Ok(true)
            }
            Err(error) => {
                let why = passing(&error).ok_or(error)?;
                drop(files);
                if why == Passing::Full {
                    self.shared.full.store(true, Ordering::Relaxed);
                }
                // What is drained gives its journal files back.
                self.shared.want_drain();
                Ok(false)
            }
        }
    }

    /// Decides what the round holds. False if it must wait for the drain.
    fn plan(&mut self, space: Space) -> bool {
        let shared = Arc::clone(&self.shared);
        let now = shared.clock.now_ms();
        let room = if space.none { 0 } else { self.room() };
        self.planned_bytes = 0;
        self.outcomes_at_risk = 0;
        let mut state = lock(&shared.state);
        if state.undrained >= shared.options.memory_bytes && !space.none && !space.low {
            shared.drain_signal.set();
            return false;
        }
        while let Some(mut work) = self.works.pop_front() {
            let finished = match &mut work {
                Work::Append(call) => self.plan_call(&mut state, call, room, now, space),
                Work::Create(specs, _) => self.plan_create(&mut state, specs, room),
                Work::Delete(logs, _) => {
                    while self.fits(FRAME_HEADER_BYTES, room) {
                        let Some(log) = logs.next() else { break };
                        self.plan_delete(&mut state, log.0);
                    }
                    logs.len() == 0
                }
                Work::Seal(..) => self.fits(FRAME_HEADER_BYTES, room),
                Work::Shutdown(_) => false,
            };
            if !finished && (!space.none || matches!(work, Work::Shutdown(_))) {
                self.works.push_front(work);
                break;
            }
            let answer = match work {
                Work::Append(call) => Answer::Append(call.outcomes, call.sender, call.charge),
                Work::Create(_, sender) | Work::Delete(_, sender) => {
                    Answer::Done(if finished { Ok(()) } else { Err(no_room()) }, sender)
                }
                Work::Seal(log, sender) => {
                    Answer::Seal(if finished { self.plan_seal(&mut state, log.0) } else { Err(no_room()) }, sender)
                }
                Work::Shutdown(_) => continue,
            };
            self.answers.push(answer);
        }
        true
    }

    /// True if a frame of `bytes` may be added to the round.
    fn fits(&self, bytes: usize, room: usize) -> bool {
        let with = self.planned_bytes + bytes;
        with <= room && (with <= self.shared.options.round_bytes || self.planned.is_empty())
    }

    fn push(&mut self, header: Header, batch: Option<Batch>) {
        self.planned_bytes += header.frame_len();
        self.planned.push(Planned { header, batch, crc: 0 });
    }

    /// True if the whole call is planned.
    fn plan_call(&mut self, state: &mut State, call: &mut Call, room: usize, now: u64, space: Space) -> bool {
        let before = call.outcomes.len();
        while let Some(append) = call.appends.as_slice().first() {
            let full = space.refuses(append.expect);
            if !full && !self.fits(FRAME_HEADER_BYTES + append.batch.bytes().len().min(MAX_BATCH_BYTES), room) {
                self.outcomes_at_risk = call.outcomes.len() - before;
                return false;
            }
            if let Some(append) = call.appends.next() {
                let outcome = self.plan_append(state, append, now, full);
                call.outcomes.push(outcome);
            }
        }
        true
    }

    fn plan_append(&mut self, state: &mut State, append: Append, now: u64, full: bool) -> Appended {
        let Append { log: id, expect, batch } = append;
        let Some(log) = state.logs.get_mut(&id.0).filter(|log| !log.plan_deleted) else { return Appended::Missing };
        if log.plan_sealed {
            return Appended::Closed { end: log.plan_end };
        }
        if let Expect::End(end) = expect
            && end != log.plan_end
        {
            return Appended::Moved { end: log.plan_end };
        }
        // A batch above the contract's limit could not be read back, so it is refused by the only word for "not now".
        if full || batch.bytes().len() > MAX_BATCH_BYTES {
            return Appended::Full;
        }
        let (first, arrival) = (log.plan_end, log.plan_arrival.max(now));
        (log.plan_end, log.plan_arrival) = (first + u64::from(batch.count()), arrival);
        let (len, count) = (batch.bytes().len() as u32, batch.count());
        self.push(Header { kind: Kind::Data, len, count, log: id.0, first, arrival }, Some(batch));
        Appended::At { first, arrival }
    }

    fn plan_create(&mut self, state: &mut State, specs: &mut std::vec::IntoIter<LogSpec>, room: usize) -> bool {
        while self.fits(FRAME_HEADER_BYTES, room) {
            let Some(spec) = specs.next() else { break };
            let id = spec.id.0;
            if state.logs.contains_key(&id) {
                continue;
            }
            state.logs.insert(id, Log::new(spec.class, spec.floor));
            let (count, arrival) = (spec.class, spec.floor);
            self.push(Header { kind: Kind::Create, len: 0, count, log: id, first: 0, arrival }, None);
        }
        specs.len() == 0
    }

    fn plan_delete(&mut self, state: &mut State, id: u64) {
        if let Some(log) = state.logs.get_mut(&id).filter(|log| !log.plan_deleted) {
            log.plan_deleted = true;
            self.push(Header { kind: Kind::Delete, len: 0, count: 0, log: id, first: 0, arrival: 0 }, None);
        }
    }

    fn plan_seal(&mut self, state: &mut State, id: u64) -> Result<Sealed, EngineError> {
        let log = state.logs.get_mut(&id).filter(|log| !log.plan_deleted).ok_or(EngineError::Missing)?;
        let sealed = Sealed { end: log.plan_end, last_arrival: log.plan_arrival };
        if !log.plan_sealed {
            log.plan_sealed = true;
            let (first, arrival) = (sealed.end, sealed.last_arrival);
            self.push(Header { kind: Kind::Seal, len: 0, count: 0, log: id, first, arrival }, None);
        }
        Ok(sealed)
    }

    fn write(&mut self) -> io::Result<()> {
        let bytes = (ROUND_HEADER_BYTES + self.planned_bytes).next_multiple_of(BLOCK as usize);
        self.buffer.clear(bytes);
        for planned in &mut self.planned {
            let body = planned.batch.as_ref().map_or(&[][..], |batch| &batch.bytes()[..]);
            let (crc, header) = planned.header.seal(body);
            planned.crc = crc;
            self.buffer.extend(&header);
            self.buffer.extend(body);
        }
        let manifest = self.shared.manifest.load(Ordering::Acquire);
        let round = self.buffer.finish(self.file.salt, self.round, manifest);
        self.file.file.write_all_at(round, self.at)?;
        if !cfg!(feature = "mutant-no-fdatasync") {
            self.file.file.sync()?;
        }
        self.at += bytes as u64;
        self.round += 1;
        self.buffer.shrink(KEEP_BUFFER_BYTES);
        Ok(())
    }

    /// Makes the durable round visible.
    fn publish(&mut self) {
        let shared = &self.shared;
        let mut state = lock(&shared.state);
        let mut appends = 0;
        let had_dead = state.maybe_dead;
        for Planned { header, batch, crc } in self.planned.drain(..) {
            let id = header.log;
            match (header.kind, batch) {
                (Kind::Data, Some(batch)) => {
                    appends += 1;
                    let frame = TailFrame { first: header.first, arrival: header.arrival, batch, crc };
                    state.publish(id, frame, &mut self.wake);
                }
                (Kind::Delete, _) => state.remove_log(id, &mut self.wake),
                (Kind::Create | Kind::Seal | Kind::Data, _) => {
                    let state = &mut *state;
                    if let Some(log) = state.logs.get_mut(&id) {
                        log.born = true;
                        log.sealed = log.plan_sealed && header.kind == Kind::Seal;
                        State::mark_dirty(&mut state.dirty, id, log);
                        if let Some(live) = &mut log.live {
                            live.watchers.take(&mut self.wake);
                        }
                    }
                }
            }
        }
        state.position = Position { round: self.round, seq: self.file.seq, at: self.at };
        let freed = state.maybe_dead && !had_dead;
        let drain_due = state.undrained >= shared.drain_threshold(&state);
        drop(state);
        shared.counters.appends.fetch_add(appends, Ordering::Relaxed);
        let half_full = self.at > self.file.size / 2;
        let prepare_due = half_full && !shared.prepare_due.load(Ordering::Relaxed) && !lock(&shared.files).has_ready();
        if prepare_due {
            shared.prepare_due.store(true, Ordering::Relaxed);
        }
        if freed {
            shared.want_drain();
        } else if drain_due || prepare_due {
            shared.drain_signal.set();
        }
    }

    /// After a failed write or sync nobody knows what is durable: no retry, and no answer claims anything.
    fn give_up(&mut self, reason: &str) -> Turn {
        for answer in self.answers.drain(..) {
            let unavailable = EngineError::Unavailable(reason.to_owned());
            match answer {
                Answer::Append(outcomes, sender, _) => sender.send(vec![Appended::Unknown; outcomes.len()]),
                Answer::Done(_, sender) => sender.send(Err(unavailable)),
                Answer::Seal(_, sender) => sender.send(Err(unavailable)),
            }
        }
        if matches!(self.works.front(), Some(Work::Append(_)))
            && let Some(Work::Append(call)) = self.works.pop_front()
        {
            call.give_up(self.outcomes_at_risk);
        }
        self.works.drain(..).for_each(|work| work.refuse(reason));
        self.planned.clear();
        self.shared.poison(reason);
        Turn::Stopped
    }
}
