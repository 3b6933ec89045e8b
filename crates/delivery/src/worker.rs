//! The worker of one delivery stream: follow the data log, cut, upload, write down what became of it.
//!
//! ```text
//! loop  first  note finished uploads,            (Done, Abandoned)
//!       then   start uploads of cuts that have none,
//!       then   count one more page of the log,   (Lost, where records are missing)
//!       then   cut, if the buffer is due and an upload is free,   (Cut)
//!       then   wait: for a command, an upload, records, the interval.
//! ```
//!
//! While all uploads are busy nothing is cut: the range grows up to the size hint and waits in the log, so that a
//! destination that is away costs neither memory nor control records. AWS likewise delivers larger objects when a
//! destination lags behind.
//!
//! Architecture invariant: the control log is written here only, by the one task that holds it.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use levada_core::engine::{EngineError, Offset, ReadRequest, Tail};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

use crate::backlog::Backlog;
use crate::buffer::{Buffer, Counted};
use crate::config::{Block, Config, Spec};
use crate::control::{ControlError, ControlLog, Cut, ObjectName, Record, State};
use crate::delivery::{Dropped, Shared};
use crate::gap::first_readable;
use crate::metrics::Metrics;
use crate::past::Past;
use crate::prefix::ObjectOf;
use crate::record::ErrorType;
use crate::upload::{Finished, Outcome, Signals, Upload, backoff};

/// Bytes and records that are counted at a time.
const PAGE_BYTES: u64 = 1024 * 1024;
const PAGE_RECORDS: u32 = 10_000;

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
    Grown(Result<Tail, EngineError>),
    /// The backlog is not known exactly.
    Asked,
    Again,
}

/// A flush that waits until everything before `upto` is delivered or abandoned.
struct Flush {
    upto: Offset,
    done: oneshot::Sender<()>,
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
}

/// One life of the worker between two replays of the control log.
struct Session {
    control: ControlLog,
    buffer: Buffer,
    uploads: JoinSet<Finished>,
    /// Cuts that have no upload yet.
    waiting: VecDeque<Cut>,
    signals: Arc<Signals>,
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
        Self { shared, spec, stream, metrics, backlog, commands, flushes: Vec::new(), past: Arc::default() }
    }

    /// Works until told to stop, or until another worker has taken over.
    pub(crate) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let error = match self.session(&mut failures).await {
                Ok(End::Asked | End::Abandoned) => return,
                Err(error) => error,
            };
            match error {
                ControlError::Unsettled(_) => {
                    failures += 1;
                    tracing::warn!(delivery_stream = %self.stream, %error, "the worker begins again");
                    let wait = backoff(&self.shared, failures);
                    if self.attend_idle(Some(wait)).await.is_break() {
                        return;
                    }
                }
                ControlError::TakenOver | ControlError::Gone | ControlError::Unreadable(_) => {
                    tracing::error!(delivery_stream = %self.stream, %error, "the worker has ended");
                    self.metrics.halted.store(1, Ordering::Relaxed);
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
                    let dropped = self.undelivered(&State::default()).await;
                    let _ = done.send(self.report_dropped(dropped));
                    return ControlFlow::Break(());
                }
                Some(Command::Reconfigure(new)) => self.reconfigure(*new),
                // Dropped when the worker has ended for good; else the next session cuts all there is.
                Some(Command::Flush(done)) if wait.is_some() => self.flushes.push(Flush { upto: Offset::MAX, done }),
                Some(Command::Flush(_) | Command::Nudge) => {}
            }
        }
    }

    async fn session(&mut self, failures: &mut u32) -> Result<End, ControlError> {
        let mut session = self.open().await?;
        *failures = 0;
        loop {
            self.note_finished(&mut session).await?;
            self.start_uploads(&mut session);
            let counted = self.count(&mut session).await?;
            let cut = self.cut_if_due(&mut session).await?;
            self.settle_flushes(session.control.state());
            self.show(&session);
            let event = self.wait(&mut session, counted || cut).await;
            match event {
                Event::Command(command) => {
                    if let Some(end) = self.obey(&mut session, command).await? {
                        return Ok(end);
                    }
                }
                Event::Finished(joined) => self.conclude(&mut session, vec![joined]).await?,
                Event::Grown(Ok(tail)) => session.buffer.at_end = tail.end <= session.buffer.next,
                Event::Grown(Err(error)) => return Err(of_data_log(error)),
                Event::Asked => drop(self.recount().await?),
                // A page was counted without waiting for anything: let others run.
                Event::Again => tokio::task::yield_now().await,
            }
        }
    }

    async fn open(&mut self) -> Result<Session, ControlError> {
        let engine = Arc::clone(&self.shared.env.engine);
        let worker = self.shared.env.random.next_u64();
        let every = self.shared.env.tuning.snapshot_every;
        let control = ControlLog::open(engine, self.spec.control, worker, every).await?;
        self.trim(control.state()).await?;
        let tail = self.recount().await?;
        for flush in &mut self.flushes {
            flush.upto = flush.upto.min(tail.end);
        }
        Ok(Session {
            buffer: Buffer::starting_at(control.state().cut_to),
            waiting: control.state().open.clone().into(),
            control,
            uploads: JoinSet::new(),
            signals: Arc::new(Signals::default()),
        })
    }

    /// Waits for something to do; if there is more to do already, only looks whether something came.
    async fn wait(&mut self, session: &mut Session, busy: bool) -> Event {
        let env = &self.shared.env;
        let buffer = session.buffer;
        let follow = buffer.at_end && !buffer.before_gap;
        let look_after = if buffer.is_empty() { Duration::ZERO } else { LOOK_EVERY };
        let grown = async {
            if !look_after.is_zero() {
                tokio::time::sleep(look_after).await;
            }
            env.engine.grown(self.spec.data, buffer.next).await
        };
        let asked = async {
            self.backlog.asked().await;
            tokio::time::sleep(LOOK_EVERY).await;
        };
        // Without a free upload nothing can be cut, and the end of an upload wakes the worker anyway.
        let free = session.uploads.len() < env.tuning.parallel_uploads.max(1);
        let due = buffer
            .due_in(self.spec.config.buffering(), env.clock.now_ms(), env.clock.monotonic())
            .filter(|_| free)
            .map(|wait| wait.max(Duration::from_millis(1)));
        tokio::select! {
            biased;
            command = self.commands.recv() => Event::Command(command),
            Some(joined) = session.uploads.join_next(), if !session.uploads.is_empty() => Event::Finished(joined),
            () = std::future::ready(()), if busy => Event::Again,
            tail = grown, if follow => Event::Grown(tail),
            () = asked => Event::Asked,
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => Event::Again,
        }
    }

    async fn obey(&mut self, session: &mut Session, command: Option<Command>) -> Result<Option<End>, ControlError> {
        match command {
            None => return Ok(Some(End::Abandoned)),
            Some(Command::Nudge) => session.signals.retry_now(),
            Some(Command::Flush(done)) => {
                session.signals.retry_now();
                let upto = self.shared.env.engine.tail(self.spec.data).await.map_err(of_data_log)?.end;
                session.buffer.at_end = upto <= session.buffer.next;
                self.flushes.push(Flush { upto, done });
            }
            Some(Command::Reconfigure(new)) => self.reconfigure(*new),
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
                let dropped = self.undelivered(session.control.state()).await;
                let _ = done.send(self.report_dropped(dropped));
                return Ok(Some(End::Asked));
            }
        }
        Ok(None)
    }

    fn reconfigure(&mut self, (config, version, block): (Config, u64, Option<Block>)) {
        self.spec.config = config;
        self.spec.config_version = version;
        self.spec.block = block;
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

    async fn note_finished(&mut self, session: &mut Session) -> Result<(), ControlError> {
        let mut joined = Vec::new();
        while let Some(next) = session.uploads.try_join_next() {
            joined.push(next);
        }
        self.conclude(session, joined).await
    }

    /// Writes down what became of cuts, then frees their records in the data log.
    async fn conclude(
        &mut self,
        session: &mut Session,
        joined: Vec<Result<Finished, JoinError>>,
    ) -> Result<(), ControlError> {
        let mut records = Vec::new();
        let mut concluded = Vec::new();
        for joined in joined {
            let finished = joined.map_err(|error| ControlError::Unsettled(format!("an upload ended: {error}")))?;
            let Some(cut) = session.control.state().open.iter().find(|cut| cut.id == finished.id).cloned() else {
                continue;
            };
            match &finished.outcome {
                Outcome::Delivered { lost, .. } => records.push(Record::Done { id: cut.id, lost: *lost }),
                Outcome::Abandoned { reason } => {
                    let reason = reason.clone();
                    records.push(Record::Abandoned { id: cut.id, records: cut.records(), reason });
                }
                Outcome::Interrupted => continue,
                Outcome::Gone => return Err(ControlError::Gone),
            }
            concluded.push((cut, finished.outcome));
        }
        if records.is_empty() {
            return Ok(());
        }
        session.control.write(records).await?;
        for (cut, outcome) in concluded {
            self.past.forget(cut.id);
            self.account(&cut, &outcome);
        }
        self.trim(session.control.state()).await?;
        self.recount().await.map(drop)
    }

    fn account(&self, cut: &Cut, outcome: &Outcome) {
        match outcome {
            Outcome::Delivered { records, lost, record_bytes, object_bytes } => {
                Metrics::add(&self.metrics.records, *records);
                Metrics::add(&self.metrics.record_bytes, *record_bytes);
                Metrics::add(&self.metrics.object_bytes, *object_bytes);
                Metrics::add(&self.metrics.lost_records, *lost);
                if *records > 0 {
                    Metrics::add(&self.metrics.puts_succeeded, cut.objects.len() as u64);
                }
                tracing::debug!(delivery_stream = %self.stream, cut = cut.id, records, lost, object_bytes, "delivered");
            }
            Outcome::Abandoned { reason } => {
                let records = cut.records();
                Metrics::add(&self.metrics.abandoned_records, records);
                tracing::error!(delivery_stream = %self.stream, cut = cut.id, records, reason, "records abandoned");
            }
            Outcome::Interrupted | Outcome::Gone => {}
        }
    }

    /// Frees what lies before the checkpoint. Forgotten trims are made up for by the next one, or at the next start.
    async fn trim(&self, state: &State) -> Result<(), ControlError> {
        match self.shared.env.engine.trim(self.spec.data, state.checkpoint()).await {
            Err(EngineError::Missing) => return Err(ControlError::Gone),
            Err(error) => tracing::warn!(delivery_stream = %self.stream, %error, "the data log was not trimmed"),
            Ok(()) => {}
        }
        Ok(())
    }

    fn start_uploads(&self, session: &mut Session) {
        while session.uploads.len() < self.shared.env.tuning.parallel_uploads.max(1) {
            let Some(cut) = session.waiting.pop_front() else { return };
            let upload = Upload {
                shared: Arc::clone(&self.shared),
                stream: Arc::clone(&self.stream),
                data: self.spec.data,
                metrics: Arc::clone(&self.metrics),
                signals: Arc::clone(&session.signals),
                past: Arc::clone(&self.past),
            };
            session.uploads.spawn(upload.run(cut));
        }
    }

    /// Counts one more page, and answers whether there was one to count.
    async fn count(&mut self, session: &mut Session) -> Result<bool, ControlError> {
        let (config, env) = (self.spec.config.buffering(), &self.shared.env);
        let buffer = &mut session.buffer;
        if buffer.at_end || buffer.before_gap || buffer.is_full(config) {
            return Ok(false);
        }
        let max_bytes = buffer.room(config).min(PAGE_BYTES);
        let request = ReadRequest { log: self.spec.data, from: buffer.next, max_records: PAGE_RECORDS, max_bytes };
        let look = self.backlog.look();
        let (to, reason) = match env.engine.read(request).await {
            Ok(page) => {
                self.backlog.found(look, page.tail.bytes);
                match buffer.count(&page, config, env.clock.monotonic()) {
                    Counted::Fine => return Ok(true),
                    Counted::StartsAt(start) => (start, "trimmed before delivery".to_owned()),
                }
            }
            Err(EngineError::Corrupt { file, at }) => {
                let end = env.engine.tail(self.spec.data).await.map_err(of_data_log)?.end;
                let engine = env.engine.as_ref();
                let to = first_readable(engine, self.spec.data, buffer.next, end).await.map_err(of_data_log)?;
                (to, format!("corrupt: {file} at byte {at}"))
            }
            Err(error) => return Err(of_data_log(error)),
        };
        if !buffer.is_empty() {
            buffer.before_gap = true;
            return Ok(true);
        }
        let (from, records) = (buffer.next, to - buffer.next);
        session.control.write(vec![Record::Lost { from, to, reason: reason.clone() }]).await?;
        session.buffer = Buffer::starting_at(to);
        Metrics::add(&self.metrics.lost_records, records);
        tracing::error!(delivery_stream = %self.stream, from, to, records, reason, "records lost");
        Ok(true)
    }

    /// What the log retains is what the quota is about: one old cut that is not done keeps all that stands behind it.
    async fn recount(&self) -> Result<Tail, ControlError> {
        let look = self.backlog.look();
        let tail = self.shared.env.engine.tail(self.spec.data).await.map_err(of_data_log)?;
        self.backlog.found(look, tail.bytes);
        Ok(tail)
    }

    /// Fixes the buffer's range as a cut, if it is due and an upload is free for it.
    async fn cut_if_due(&mut self, session: &mut Session) -> Result<bool, ControlError> {
        let (config, env) = (self.spec.config.buffering(), &self.shared.env);
        let bucketing = self.spec.config.errors();
        let buffer = session.buffer;
        let busy = session.uploads.len() + session.waiting.len() >= env.tuning.parallel_uploads.max(1);
        let Some((oldest_arrival, _)) = buffer.oldest else { return Ok(false) };
        if busy {
            return Ok(false);
        }
        let now = env.clock.now_ms();
        let over = buffer.due_in(config, now, env.clock.monotonic()).is_some_and(|wait| wait.is_zero());
        let flushed = self.flushes.iter().any(|flush| flush.upto > buffer.from);
        if !buffer.before_gap && !buffer.is_full(config) && !(buffer.at_end && (over || flushed)) {
            return Ok(false);
        }
        let mut seed = [0; 16];
        env.random.fill(&mut seed);
        let object = ObjectOf {
            stream: &self.spec.name,
            version: self.spec.config_version,
            oldest: oldest_arrival,
            extension: bucketing.compression.extension(),
            seed,
            partition: None,
        };
        let layout = &bucketing.layout;
        let key = layout.key(&object).unwrap_or_else(|_| layout.error_key(ErrorType::Processing, &object));
        let cut = Cut {
            id: session.control.state().next_id,
            from: buffer.from,
            to: buffer.next,
            bytes: buffer.bytes,
            config_version: self.spec.config_version,
            compression: bucketing.compression,
            objects: vec![ObjectName { bucket: bucketing.bucket.clone(), key }],
            oldest_arrival,
            due: now.min(oldest_arrival + u64::from(config.interval_s) * 1000),
            created: now,
        };
        session.control.write(vec![Record::Cut(cut.clone())]).await?;
        session.waiting.push_back(cut);
        session.buffer = Buffer { at_end: buffer.at_end, ..Buffer::starting_at(buffer.next) };
        Ok(true)
    }

    fn settle_flushes(&mut self, state: &State) {
        let checkpoint = state.checkpoint();
        for flush in self.flushes.extract_if(.., |flush| flush.upto <= checkpoint) {
            let _ = flush.done.send(());
        }
    }

    fn show(&self, session: &Session) {
        let open = session.control.state().open.iter().map(|cut| cut.oldest_arrival);
        let oldest = open.chain(session.buffer.oldest.map(|(arrival, _)| arrival)).min().unwrap_or_default();
        self.metrics.oldest_undelivered.store(oldest, Ordering::Relaxed);
    }

    /// What stands in the data log and is not delivered. Without a known state, all that stands there.
    async fn undelivered(&self, state: &State) -> Dropped {
        let bytes = self.backlog.bytes();
        let open: u64 = state.open.iter().map(Cut::records).sum();
        match self.shared.env.engine.tail(self.spec.data).await {
            Ok(tail) => Dropped { records: open + tail.end.saturating_sub(state.cut_to.max(tail.start)), bytes },
            Err(_) => Dropped { records: open, bytes },
        }
    }

    fn report_dropped(&self, dropped: Dropped) -> Dropped {
        Metrics::add(&self.metrics.dropped_records, dropped.records);
        self.backlog.found(self.backlog.look(), 0);
        if dropped.records > 0 {
            let Dropped { records, bytes } = dropped;
            tracing::error!(delivery_stream = %self.stream, records, bytes, "undelivered records dropped: deleted");
        }
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
