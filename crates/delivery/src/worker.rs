//! The worker of one delivery stream: follow the data log, process, sort, cut, deliver, write down what became of it.
//!
//! ```text
//! loop  first  note finished uploads,            (Done, Abandoned, Release)
//!       then   start uploads of cuts that have none,
//!       then   count one more page of each lane that grew,   (Lost, where records are missing)
//!       then   run the chain, if its batch is due,
//!       then   sort one more page of what the chain made,    (Assign, Sorted)
//!       then   cut the lanes that are due and have an upload free,   (Cut)
//!       then   wait: for a command, an upload, the chain, records, the interval.
//! ```
//!
//! While all uploads are busy nothing is cut: the range grows up to the size hint and waits in the log, so that a
//! destination that is away costs neither memory nor control records. AWS likewise delivers larger objects when a
//! destination lags behind.
//!
//! Architecture invariant: all logs but the data log are written here only, by the one task that holds the control log.

mod concluding;
mod cutting;
mod flush;
mod lane;
mod processing;
mod sorting;
mod stage;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use levada_core::engine::{EngineError, Offset, Tail};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};

use self::flush::Flush;
pub(crate) use self::lane::Route;
use self::lane::{Counts, Kind, Lane};
use self::processing::Run;
use self::sorting::most_partitions;
use self::stage::Stage;
use crate::backlog::Backlog;
use crate::buffer::Limits;
use crate::config::{Block, Config, Spec, Target};
use crate::control::{ControlError, ControlLog, Cut, LaneId, Record, Routed, State};
use crate::delivery::{Dropped, Shared};
use crate::metrics::Metrics;
use crate::past::Past;
use crate::upload::{Finished, PARCEL_RECORDS, Signals, backoff};

/// While a buffer fills, the log is looked at this often, not at each append.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a handle asks of its worker.
pub(crate) enum Command {
    Nudge,
    Flush(oneshot::Sender<()>),
    Reconfigure(Box<(Config, u64, Option<Block>)>),
    Stop(Duration),
    Delete(oneshot::Sender<Dropped>),
}

/// Why a session ended.
enum End {
    /// Stopped or deleted.
    Asked,
    /// Nobody holds the handle any more.
    Abandoned,
}

/// What the worker was woken by.
enum Event {
    Command(Option<Command>),
    Finished(Result<Finished, JoinError>),
    Ran(Result<Result<Run, ControlError>, JoinError>),
    Grown(Result<Tail, EngineError>),
    /// The backlog is not known exactly.
    Asked,
    Again,
}

/// What becomes of the data log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It is cut for the destination.
    Cut,
    /// It is handed to the chain.
    Process,
    /// It should be, but there are no logs for that.
    Blocked,
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    spec: Spec,
    stream: Arc<str>,
    metrics: Arc<Metrics>,
    backlog: Arc<Backlog>,
    commands: mpsc::UnboundedReceiver<Command>,
    flushes: Vec<Flush>,
    past: Arc<Past>,
    /// Of the configuration, for uploads under way.
    target: watch::Sender<Target>,
}

/// One life of the worker between two replays of the control log.
struct Session {
    control: ControlLog,
    /// Main is always there.
    lanes: BTreeMap<LaneId, Box<Lane>>,
    /// The lane that was counted last.
    counted: LaneId,
    /// Where records are processed and sorted, if they ever were.
    stage: Option<Box<Stage>>,
    uploads: JoinSet<Finished>,
    /// Cuts that have no upload yet.
    waiting: VecDeque<Cut>,
    signals: Arc<Signals>,
}

impl Session {
    /// Up to where the data log has been taken, by a cut or by the chain.
    fn position(&self) -> Offset {
        self.control.state().cut_to.max(self.stage.as_deref().map_or(0, |stage| stage.taken))
    }

    /// Bytes that logs other than the data log retain.
    fn staged_bytes(&self) -> u64 {
        self.stage.as_deref().map_or(0, |stage| stage.bytes)
            + self.lanes.values().map(|lane| lane.slot.bytes).sum::<u64>()
    }

    /// Cuts under way, by route.
    fn running(&self, past: &Past) -> Counts<'_> {
        let started = self.control.state().open.iter().filter(|cut| !self.is_waiting(cut.id));
        Counts::of(started, &self.lanes, past)
    }

    fn is_waiting(&self, id: u64) -> bool {
        self.waiting.iter().any(|cut| cut.id == id)
    }

    /// Whether the lane's keys are those of one partition.
    fn is_partition(&self, id: LaneId) -> bool {
        match id {
            LaneId::Slot(log) => {
                let slot = self.control.state().slot(log);
                slot.is_some_and(|slot| matches!(slot.lane, Routed::Partition(_)))
            }
            LaneId::Main | LaneId::Backup => false,
        }
    }

    /// Tries at once what waits for its next attempt.
    fn retry_now(&mut self) {
        self.signals.retry_now();
        if let Some(stage) = &mut self.stage {
            stage.retry_now();
        }
    }

    /// Whether the chain has a batch of the data log.
    fn is_running(&self) -> bool {
        self.stage.as_deref().is_some_and(|stage| !stage.runs.is_empty())
    }
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        spec: Spec,
        metrics: Arc<Metrics>,
        backlog: Arc<Backlog>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let stream = Arc::from(spec.name.as_str());
        let target = watch::Sender::new(spec.config.target.clone());
        let (flushes, past) = (Vec::new(), Arc::default());
        Self { shared, spec, stream, metrics, backlog, commands, flushes, past, target }
    }

    /// Works until told to stop, or until another worker has taken over.
    pub(crate) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let began = self.shared.env.clock.monotonic();
            let error = match self.session().await {
                Ok(End::Asked | End::Abandoned) => return,
                Err(error) => error,
            };
            match error {
                ControlError::Unsettled(_) | ControlError::Moved => {
                    let lasted = self.shared.env.clock.monotonic().saturating_sub(began);
                    // One that lasted has worked. One that was opened only has not.
                    let has_worked = lasted >= Duration::from_millis(self.shared.env.tuning.backoff_most_ms);
                    failures = if has_worked { 1 } else { failures + 1 };
                    tracing::warn!(delivery_stream = %self.stream, %error, "the worker begins again");
                    let wait = backoff(&self.shared, failures);
                    if self.attend_idle(Some(wait)).await.is_break() {
                        return;
                    }
                }
                ControlError::TakenOver | ControlError::Gone | ControlError::Unreadable(_) => {
                    tracing::error!(delivery_stream = %self.stream, %error, "the worker has ended");
                    self.metrics.halted.store(1, Ordering::Relaxed);
                    self.backlog.release();
                    // Who waits for a flush is told; a deletion must still be answered.
                    self.flushes.clear();
                    let _ = self.attend_idle(None).await;
                    return;
                }
            }
        }
    }

    /// Answers commands while there is no session: for `wait`, or until the end.
    async fn attend_idle(&mut self, wait: Option<Duration>) -> ControlFlow<()> {
        let over = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            let command = tokio::select! {
                biased;
                command = self.commands.recv() => command,
                () = &mut over => return ControlFlow::Continue(()),
            };
            match command {
                None | Some(Command::Stop(_)) => return ControlFlow::Break(()),
                Some(Command::Delete(done)) => {
                    let dropped = self.undelivered(&State::default(), 0, 0).await;
                    let _ = done.send(self.report_dropped(dropped));
                    return ControlFlow::Break(());
                }
                Some(Command::Reconfigure(new)) => self.reconfigure(*new),
                // Dropped when the worker has ended for good; else the next session cuts all there is.
                Some(Command::Flush(done)) if wait.is_some() => self.flushes.push(Flush::new(Offset::MAX, done)),
                Some(Command::Flush(_) | Command::Nudge) => {}
            }
        }
    }

    async fn session(&mut self) -> Result<End, ControlError> {
        let mut session = Box::pin(self.open()).await?;
        match self.serve(&mut session).await {
            Err(ControlError::Moved) => Err(session.control.who_moved_it().await),
            ended => ended,
        }
    }

    async fn serve(&mut self, session: &mut Session) -> Result<End, ControlError> {
        loop {
            self.note_finished(session).await?;
            self.start_uploads(session);
            // What an idle worker does not do is boxed: the worker is as large as the largest of it.
            let mut busy = Box::pin(self.count(session)).await?;
            busy |= self.process(session).await?;
            if session.stage.is_some() {
                busy |= Box::pin(self.sort(session)).await?;
            }
            busy |= self.cut_due(session).await?;
            self.settle_flushes(session);
            self.show(session);
            match self.wait(session, busy).await {
                Event::Command(command) => {
                    if let Some(end) = Box::pin(self.obey(session, command)).await? {
                        return Ok(end);
                    }
                }
                Event::Finished(joined) => self.conclude(session, vec![joined]).await?,
                Event::Ran(joined) => self.finish_run(session, joined).await?,
                Event::Grown(tail) => {
                    let end = tail.map_err(of_data_log)?.end;
                    for id in [LaneId::Main, LaneId::Backup] {
                        if let Some(lane) = session.lanes.get_mut(&id) {
                            lane.buffer.at_end = end <= lane.buffer.next;
                        }
                    }
                }
                Event::Asked => drop(self.recount(session).await?),
                // Something was done without waiting for anything: let others run.
                Event::Again => tokio::task::yield_now().await,
            }
        }
    }

    async fn open(&mut self) -> Result<Session, ControlError> {
        let engine = Arc::clone(&self.shared.env.engine);
        let worker = self.shared.env.random.next_u64();
        let every = self.shared.env.tuning.snapshot_every;
        let control = ControlLog::open(engine, self.spec.control, worker, every).await?;
        let mut session = Session {
            lanes: BTreeMap::from([(LaneId::Main, Lane::new(Kind::Main, control.state().cut_to))]),
            counted: LaneId::Main,
            stage: None,
            waiting: control.state().open.clone().into(),
            control,
            uploads: JoinSet::new(),
            signals: Arc::new(Signals::default()),
        };
        self.adapt(&mut session).await?;
        self.trim_data(&session).await?;
        let tail = self.recount(&session).await?;
        for flush in &mut self.flushes {
            flush.restart(tail.end);
        }
        Ok(session)
    }

    /// Makes the session do what the configuration says. What was cut stays as it was cut; what the chain has under
    /// way is begun again.
    async fn adapt(&self, session: &mut Session) -> Result<(), ControlError> {
        if session.stage.is_none()
            && let Some(block) = self.spec.block
        {
            self.open_stage(session, block).await?;
        }
        if let Some(stage) = &mut session.stage {
            stage.runs.abort_all();
            while stage.runs.join_next().await.is_some() {}
            stage.held = None;
        }
        if self.mode(session) == Mode::Blocked {
            tracing::error!(delivery_stream = %self.stream, "no logs for processing: nothing is delivered");
        }
        let position = session.position();
        session.lanes.insert(LaneId::Main, Lane::new(Kind::Main, position));
        let wanted = self.spec.config.backup.is_some();
        if wanted != session.control.state().backup.is_some() {
            // From what was not taken yet on, so that nothing is missing.
            session.control.write(vec![Record::Backup { from: wanted.then_some(position) }]).await?;
        }
        match session.control.state().backup {
            Some(from) => drop(session.lanes.insert(LaneId::Backup, Lane::new(Kind::Backup, from))),
            None => drop(session.lanes.remove(&LaneId::Backup)),
        }
        Ok(())
    }

    fn mode(&self, session: &Session) -> Mode {
        match (&self.spec.config.chain, &session.stage) {
            (None, _) => Mode::Cut,
            (Some(_), Some(_)) => Mode::Process,
            (Some(_), None) => Mode::Blocked,
        }
    }

    /// When a lane's buffer is full, and when it is due.
    fn limits(&self, kind: Kind) -> Limits {
        let config = &self.spec.config;
        match (kind, &config.chain, &config.backup) {
            (Kind::Main, Some(chain), _) => chain.gather().into(),
            (Kind::Main, None, _) | (Kind::Records, ..) => {
                let limits = Limits::from(config.buffering());
                let records = match &config.target {
                    Target::Endpoint { .. } => PARCEL_RECORDS,
                    // A delimiter may be longer than the records, and is not counted among their bytes.
                    Target::S3(bucketing) => match bucketing.delimiter.bytes() {
                        0 => limits.records,
                        bytes => (limits.bytes / bytes).max(1),
                    },
                };
                Limits { records, ..limits }
            }
            (Kind::Backup, _, Some(backup)) => backup.buffering.into(),
            (Kind::Backup, _, None) | (Kind::Errors, ..) => config.errors().buffering.into(),
        }
    }

    /// Whether the lane is read at all now.
    fn is_read(&self, session: &Session, kind: Kind) -> bool {
        kind != Kind::Main
            || match self.mode(session) {
                Mode::Cut => true,
                Mode::Process => !session.is_running(),
                // Only to know how old its oldest record is.
                Mode::Blocked => true,
            }
    }

    /// Waits for something to do; if there is more to do already, only looks whether something came.
    async fn wait(&mut self, session: &mut Session, busy: bool) -> Event {
        let env = &self.shared.env;
        let followed = [LaneId::Main, LaneId::Backup]
            .iter()
            .filter_map(|id| session.lanes.get(id))
            .filter(|lane| lane.buffer.at_end && !lane.buffer.before_gap && self.is_read(session, lane.kind));
        let (mut follow, mut filling) = (None, false);
        for lane in followed {
            follow = Some(follow.map_or(lane.buffer.next, |next: Offset| next.min(lane.buffer.next)));
            filling |= !lane.buffer.is_empty();
        }
        let data = self.spec.data;
        let grown = async {
            if filling {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            env.engine.grown(data, follow.unwrap_or_default()).await
        };
        let asked = async {
            self.backlog.asked().await;
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let due = self.next_due(session);
        let Session { uploads, stage, .. } = session;
        let ran = async {
            match stage.as_deref_mut() {
                Some(stage) if !stage.runs.is_empty() => stage.runs.join_next().await,
                _ => None,
            }
        };
        tokio::select! {
            biased;
            command = self.commands.recv() => Event::Command(command),
            Some(joined) = uploads.join_next(), if !uploads.is_empty() => Event::Finished(joined),
            Some(joined) = ran => Event::Ran(joined),
            () = std::future::ready(()), if busy => Event::Again,
            tail = grown, if follow.is_some() => Event::Grown(tail),
            () = asked => Event::Asked,
            // Another cut may have room now.
            () = self.past.learned() => Event::Again,
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => Event::Again,
        }
    }

    /// How long until the interval of a lane is over that could be cut then, or until the chain is run again.
    fn next_due(&self, session: &Session) -> Option<Duration> {
        let env = &self.shared.env;
        let (wall, monotonic) = (env.clock.now_ms(), env.clock.monotonic());
        let mode = self.mode(session);
        let open = Counts::of(session.control.state().open.iter(), &session.lanes, &self.past);
        let mut next: Option<Duration> = None;
        for (id, lane) in &session.lanes {
            // Without a free upload nothing can be cut, and the end of an upload wakes the worker anyway.
            let wait = match (lane.kind, mode) {
                (Kind::Main, Mode::Blocked) => None,
                (Kind::Main, Mode::Process) => session.stage.as_deref().and_then(|stage| {
                    let due = lane.buffer.due_in(self.limits(lane.kind), wall, monotonic)?;
                    let due = if self.is_due(*id, &lane.buffer, self.limits(lane.kind)) { Duration::ZERO } else { due };
                    (!session.is_running()).then(|| due.max(stage.held_for(monotonic)))
                }),
                _ if self.is_cuttable(session, &open, *id, lane) => {
                    lane.buffer.due_in(self.limits(lane.kind), wall, monotonic)
                }
                _ => None,
            };
            if let Some(wait) = wait {
                let wait = wait.max(Duration::from_millis(1));
                next = Some(next.map_or(wait, |next| next.min(wait)));
            }
        }
        next
    }

    async fn obey(&mut self, session: &mut Session, command: Option<Command>) -> Result<Option<End>, ControlError> {
        match command {
            None => return Ok(Some(End::Abandoned)),
            Some(Command::Nudge) => session.retry_now(),
            Some(Command::Flush(done)) => {
                session.retry_now();
                let upto = self.shared.env.engine.tail(self.spec.data).await.map_err(of_data_log)?.end;
                for id in [LaneId::Main, LaneId::Backup] {
                    if let Some(lane) = session.lanes.get_mut(&id) {
                        lane.buffer.at_end = upto <= lane.buffer.next;
                    }
                }
                self.flushes.push(Flush::new(upto, done));
            }
            Some(Command::Reconfigure(new)) if self.knows(&new) => {}
            Some(Command::Reconfigure(new)) => {
                self.reconfigure(*new);
                self.adapt(session).await?;
                for flush in &mut self.flushes {
                    flush.restart(Offset::MAX);
                }
                // What failed may be mended.
                session.retry_now();
            }
            Some(Command::Stop(grace)) => {
                // What cannot be written down now is done again by the next worker.
                if let Err(error) = self.drain(session, grace).await {
                    tracing::warn!(delivery_stream = %self.stream, %error, "stopped with uploads open");
                }
                return Ok(Some(End::Asked));
            }
            Some(Command::Delete(done)) => {
                // What cannot be written down any more counts as dropped.
                if let Err(error) = self.note_finished(session).await {
                    tracing::warn!(delivery_stream = %self.stream, %error, "deleted with uploads open");
                }
                session.uploads.shutdown().await;
                let staged = self.staged_records(session);
                let dropped = self.undelivered(session.control.state(), session.position(), staged).await;
                let _ = done.send(self.report_dropped(dropped));
                return Ok(Some(End::Asked));
            }
        }
        Ok(None)
    }

    /// Whether a configuration is the one in force: a chain that is at work goes on.
    fn knows(&self, (_, version, block): &(Config, u64, Option<Block>)) -> bool {
        *version == self.spec.config_version && (block.is_none() || self.spec.block.is_some())
    }

    fn reconfigure(&mut self, (config, version, block): (Config, u64, Option<Block>)) {
        self.target.send_replace(config.target.clone());
        self.spec.config = config;
        self.spec.config_version = version;
        self.spec.block = self.spec.block.or(block);
    }

    /// Lets uploads in flight end for `grace`.
    async fn drain(&mut self, session: &mut Session, grace: Duration) -> Result<(), ControlError> {
        session.signals.close();
        let over = tokio::time::sleep(grace);
        tokio::pin!(over);
        loop {
            let joined = tokio::select! {
                biased;
                joined = session.uploads.join_next() => joined,
                () = &mut over => return Ok(()),
            };
            match joined {
                Some(joined) => self.conclude(session, vec![joined]).await?,
                None => return Ok(()),
            }
        }
    }

    fn show(&self, session: &Session) {
        let oldest = |backup: bool| {
            let open = session.control.state().open.iter().filter(|cut| (cut.lane == LaneId::Backup) == backup);
            let lanes = session.lanes.values().filter(|lane| (lane.kind == Kind::Backup) == backup);
            let filling = lanes.filter_map(|lane| lane.buffer.oldest.map(|oldest| oldest.source));
            open.map(|cut| cut.oldest_arrival).chain(filling).min().unwrap_or_default()
        };
        if let Some(stage) = session.stage.as_deref() {
            self.metrics.partitions.store(stage.partitions, Ordering::Relaxed);
            if stage.partitions < most_partitions(stage) {
                self.metrics.partitions_exceeded.store(0, Ordering::Relaxed);
            }
        }
        self.metrics.oldest_undelivered.store(oldest(false), Ordering::Relaxed);
        self.metrics.oldest_not_backed_up.store(oldest(true), Ordering::Relaxed);
    }

    /// What stands between the data log and the lanes' cuts, as far as that is known.
    fn staged_records(&self, session: &Session) -> u64 {
        let unsorted = session.stage.as_deref().map_or(0, |stage| stage.end - stage.sorted);
        let uncut = session.lanes.values().filter(|lane| matches!(lane.kind, Kind::Records | Kind::Errors));
        unsorted + uncut.map(|lane| lane.buffer.records + (lane.slot.end - lane.buffer.next)).sum::<u64>()
    }

    /// What is not delivered. Without a known state, all that stands in the data log.
    async fn undelivered(&self, state: &State, position: Offset, staged: u64) -> Dropped {
        let bytes = self.backlog.bytes();
        let open = state.open.iter().filter(|cut| cut.lane != LaneId::Backup);
        let records = open.map(Cut::records).sum::<u64>() + staged;
        match self.shared.env.engine.tail(self.spec.data).await {
            Ok(tail) => Dropped { records: records + tail.end.saturating_sub(position.max(tail.start)), bytes },
            Err(_) => Dropped { records, bytes },
        }
    }

    fn report_dropped(&self, dropped: Dropped) -> Dropped {
        Metrics::add(&self.metrics.dropped_records, dropped.records);
        self.backlog.found(self.backlog.look(), 0);
        dropped
    }
}

/// Damage in the data log is found, counted and passed over by reading; where it comes up otherwise, the worker begins
/// again and reads.
fn of_data_log(error: EngineError) -> ControlError {
    match error {
        EngineError::Missing => ControlError::Gone,
        EngineError::Corrupt { .. } | EngineError::Unavailable(_) => ControlError::Unsettled(error.to_string()),
    }
}
