//! Uploads: started for cuts, and written down when they end.

use std::collections::VecDeque;

use levada_core::engine::{EngineError, LogId, Offset, Tail};
use tokio::task::JoinError;

use super::lane::{Route, log_of, route_of};
use super::{Session, Worker, of_data_log};
use crate::control::{ControlError, Cut, LaneId, ObjectName, Record, Routed};
use crate::metrics::{Delivered, Metrics};
use crate::mutant::Mutant;
use crate::past::Puts;
use crate::upload::{Finished, Outcome, Taken, Upload};

type Joined = Result<Finished, JoinError>;

impl Worker {
    pub(super) fn start_uploads(&self, session: &mut Session) {
        if session.waiting.is_empty() {
            return;
        }
        let most = self.shared.env.tuning.parallel_uploads.max(1);
        let mut running = session.running(&self.past);
        let (mut started, mut waiting) = (Vec::new(), VecDeque::new());
        for cut in &session.waiting {
            let (route, puts) = (route_of(cut.lane, &session.lanes), self.past.puts(cut.id));
            if puts == Puts::FailAlone || running.place(route, cut.bucket()).has_room(most) {
                running.add(route, cut.lane, cut.bucket(), puts);
                started.push(cut.clone());
            } else {
                waiting.push_back(cut.clone());
            }
        }
        session.waiting = waiting;
        for cut in started {
            let upload = Upload {
                shared: self.shared.clone(),
                stream: self.stream.clone(),
                log: log_of(cut.lane, self.spec.data),
                route: route_of(cut.lane, &session.lanes),
                target: self.target.subscribe(),
                metrics: self.metrics.clone(),
                signals: session.signals.clone(),
                past: self.past.clone(),
            };
            session.uploads.spawn(upload.run(cut));
        }
    }

    pub(super) async fn note_finished(&mut self, session: &mut Session) -> Result<(), ControlError> {
        let mut joined = Vec::new();
        while let Some(next) = session.uploads.try_join_next() {
            joined.push(next);
        }
        if joined.is_empty() { Ok(()) } else { self.conclude(session, joined).await }
    }

    /// Writes down what became of cuts, then frees their records.
    pub(super) async fn conclude(&mut self, session: &mut Session, joined: Vec<Joined>) -> Result<(), ControlError> {
        let mut records = Vec::new();
        let mut concluded = Vec::new();
        for joined in joined {
            let finished = joined.map_err(|error| ControlError::Unsettled(format!("an upload ended: {error}")))?;
            let Some(cut) = session.control.state().open.iter().find(|cut| cut.id == finished.id).cloned() else {
                continue;
            };
            match &finished.outcome {
                Outcome::Delivered { lost, .. } | Outcome::Taken { taken: Taken { lost, .. }, .. } => {
                    records.push(Record::Done { id: cut.id, lost: *lost });
                }
                Outcome::Abandoned { records: count, reason, .. } => {
                    records.push(Record::Abandoned { id: cut.id, records: *count, reason: reason.clone() });
                }
                Outcome::Interrupted => continue,
                Outcome::Gone => return Err(ControlError::Gone),
            }
            concluded.push((cut, finished.outcome));
        }
        if records.is_empty() {
            return Ok(());
        }
        let released = releasable(session);
        records.extend(session.releases(&released));
        records.extend(self.sorted_so_far(session));
        session.control.write(records).await?;
        session.forget(&released);
        for (cut, outcome) in &concluded {
            self.past.forget(cut.id);
            self.account(route_of(cut.lane, &session.lanes), cut, outcome);
        }
        self.trim(session, &concluded).await?;
        if session.control.state().open.is_empty() {
            self.release_idle(session).await?;
        }
        self.recount(session).await.map(drop)
    }

    /// Releases slots without waiting for something else that is to be written.
    pub(super) async fn release_idle(&self, session: &mut Session) -> Result<(), ControlError> {
        let released = releasable(session);
        let records = session.releases(&released);
        session.control.write(records).await?;
        session.forget(&released);
        Ok(())
    }

    fn account(&self, route: Route, cut: &Cut, outcome: &Outcome) {
        let stream = &self.stream;
        let metrics = &self.metrics;
        match outcome {
            Outcome::Delivered { records, lost, record_bytes, object_bytes } => {
                Metrics::add(&metrics.lost_records, *lost);
                let puts = if *records > 0 { cut.objects.len() as u64 } else { 0 };
                match route {
                    Route::Destination => {
                        Metrics::add(&metrics.records, *records);
                        Metrics::add(&metrics.record_bytes, *record_bytes);
                        Metrics::add(&metrics.object_bytes, *object_bytes);
                        Metrics::add(&metrics.puts_succeeded, puts);
                    }
                    Route::Backup => metrics.backup.add(puts, *records, *object_bytes),
                    Route::Errors => metrics.errors.add(puts, *records, *object_bytes),
                }
                // Error output is told of where it is written.
                if puts > 0
                    && route != Route::Errors
                    && let Some(ObjectName { bucket, key }) = cut.objects.first()
                {
                    let store = self.shared.env.sink.place(bucket);
                    tracing::info!(
                        delivery_stream = %stream, bucket, store, key, records, bytes = object_bytes, "object delivered"
                    );
                }
            }
            Outcome::Taken { taken, failed, error_bytes } => {
                self.account_taken(taken);
                Metrics::add(&metrics.endpoint_failed_records, *failed);
                if *failed > 0 {
                    metrics.errors.add(1, *failed, *error_bytes);
                }
                let Taken { records, bytes, lost } = taken;
                tracing::debug!(delivery_stream = %stream, cut = cut.id, records, failed, lost, bytes, "delivered");
            }
            Outcome::Abandoned { records, reason, taken } => {
                self.account_taken(taken);
                Metrics::add(&metrics.abandoned_records, *records);
                tracing::error!(delivery_stream = %stream, cut = cut.id, records, reason, "records abandoned");
            }
            Outcome::Interrupted | Outcome::Gone => {}
        }
    }

    fn account_taken(&self, taken: &Taken) {
        Metrics::add(&self.metrics.lost_records, taken.lost);
        Metrics::add(&self.metrics.endpoint.records, taken.records);
        Metrics::add(&self.metrics.endpoint.bytes, taken.bytes);
    }

    /// Frees what lies before the checkpoints. Forgotten trims are made up for by the next one, or at the next start.
    async fn trim(&self, session: &mut Session, concluded: &[(Cut, Outcome)]) -> Result<(), ControlError> {
        self.trim_data(session).await?;
        self.trim_processed(session).await?;
        for (cut, _) in concluded {
            if let LaneId::Slot(log) = cut.lane {
                self.trim_slot(session, log).await?;
            }
        }
        Ok(())
    }

    /// Frees what of a slot is delivered, but for the mark at its end, which says how far the sorter had come.
    pub(super) async fn trim_slot(&self, session: &mut Session, log: LogId) -> Result<(), ControlError> {
        let id = LaneId::Slot(log);
        let state = session.control.state();
        let (Some(lane), Some(slot)) = (session.lanes.get_mut(&id), state.slot(log)) else { return Ok(()) };
        let mark = lane.slot.end.saturating_sub(1);
        let before = state.checkpoint(id, slot.cut_to).min(mark);
        self.trim_log(log, before).await?;
        lane.slot.bytes = self.retained(log, before == mark).await?;
        Ok(())
    }

    /// Bytes that a log retains. A mark alone counts for nothing, though the engine may keep the append it came with.
    pub(super) async fn retained(&self, log: LogId, is_mark_alone: bool) -> Result<u64, ControlError> {
        if is_mark_alone {
            return Ok(0);
        }
        Ok(self.shared.env.engine.tail(log).await.map_err(of_data_log)?.bytes)
    }

    pub(super) async fn trim_data(&self, session: &Session) -> Result<(), ControlError> {
        let state = session.control.state();
        let mut main = state.checkpoint(LaneId::Main, session.position());
        if Mutant::EarlyTrim.is_on() {
            main = session.position();
        }
        let backup = state.checkpoint(LaneId::Backup, state.backup.unwrap_or(Offset::MAX));
        self.trim_log(self.spec.data, main.min(backup)).await
    }

    pub(super) async fn trim_log(&self, log: LogId, before: Offset) -> Result<(), ControlError> {
        match self.shared.env.engine.trim(log, before).await {
            Err(EngineError::Missing) => return Err(ControlError::Gone),
            Err(error) => {
                tracing::warn!(delivery_stream = %self.stream, log = log.0, %error, "the log was not trimmed");
            }
            Ok(()) => {}
        }
        Ok(())
    }

    /// What the logs retain is what the quota is about: one old cut that is not done keeps all that stands behind it.
    /// Answers the tail of the data log.
    pub(super) async fn recount(&self, session: &Session) -> Result<Tail, ControlError> {
        let look = self.backlog.look();
        let tail = self.shared.env.engine.tail(self.spec.data).await.map_err(of_data_log)?;
        self.backlog.found(look, tail.bytes + session.staged_bytes());
        Ok(tail)
    }
}

/// Slots of partitions whose records are all delivered and trimmed.
///
/// None as long as the sorter is behind where an earlier session of the worker had come, in any lane: what was too many
/// partitions for that one has to be too many again, or a record would be decided on twice.
///
/// What a crash left untrimmed is trimmed at the next start because the slot is still assigned then: it is released only
/// after that.
fn releasable(session: &Session) -> Vec<LogId> {
    let Some(stage) = session.stage.as_deref() else { return Vec::new() };
    if session.lanes.values().any(|lane| lane.slot.covered > stage.sorted) {
        return Vec::new();
    }
    let state = session.control.state();
    let mut released = Vec::new();
    for slot in &state.slots {
        let id = LaneId::Slot(slot.log);
        let Some(lane) = session.lanes.get(&id) else { continue };
        if matches!(slot.lane, Routed::Partition(_)) && lane.is_drained() && state.open.iter().all(|cut| cut.lane != id)
        {
            released.push(slot.log);
        }
    }
    released
}

impl Session {
    fn releases(&self, slots: &[LogId]) -> Vec<Record> {
        let sorted = self.stage.as_deref().map_or(0, |stage| stage.sorted);
        slots.iter().map(|slot| Record::Release { slot: *slot, sorted }).collect()
    }

    /// The slots are free: the control log says so.
    fn forget(&mut self, slots: &[LogId]) {
        for slot in slots {
            let Some(lane) = self.lanes.remove(&LaneId::Slot(*slot)) else { continue };
            if let Some(stage) = &mut self.stage {
                stage.release(*slot, lane.slot.end);
            }
        }
    }
}

impl Delivered {
    fn add(&self, succeeded: u64, records: u64, bytes: u64) {
        Metrics::add(&self.succeeded, succeeded);
        Metrics::add(&self.records, records);
        Metrics::add(&self.bytes, bytes);
    }
}
