//! Counting what lanes hold, and fixing ranges of them.

use levada_core::engine::{EngineError, LogId, Offset, ReadRequest};

use super::lane::{Counts, Kind, Lane, log_of};
use super::{LaneId, Mode, Session, Worker, of_data_log};
use crate::buffer::{Buffer, Counted, Limits, Oldest};
use crate::config::{Bucketing, Compression, Delimiter, Target};
use crate::control::{ControlError, Cut, ObjectName, Record, Routed};
use crate::gap::first_readable;
use crate::metrics::Metrics;
use crate::past::Puts;
use crate::prefix::ObjectOf;
use crate::record::ErrorType;

/// Bytes and records that are counted at a time.
const PAGE_BYTES: u64 = 1024 * 1024;
const PAGE_RECORDS: u32 = 10_000;

/// Lanes that are counted before anything else is looked at.
const LANES_AT_A_TIME: usize = 16;

/// Cuts of slots that may wait for an upload: what one append to the control log fixes, when many partitions are due
/// together.
const AHEAD: usize = 16;

impl Worker {
    /// Counts one more page of some lanes, and answers whether there was one to count.
    pub(super) async fn count(&mut self, session: &mut Session) -> Result<bool, ControlError> {
        let mut wanting: Vec<LaneId> = Vec::new();
        for (id, lane) in &session.lanes {
            if lane.buffer.wants_more(self.limits(lane.kind)) && self.is_read(session, lane.kind) {
                wanting.push(*id);
            }
        }
        // In turn: a lane that fills again and again does not keep others waiting.
        let next = wanting.partition_point(|id| *id <= session.counted);
        wanting.rotate_left(next);
        wanting.truncate(LANES_AT_A_TIME);
        for id in &wanting {
            self.count_lane(session, *id).await?;
            session.counted = *id;
        }
        Ok(!wanting.is_empty())
    }

    async fn count_lane(&mut self, session: &mut Session, id: LaneId) -> Result<(), ControlError> {
        let staged = session.staged_bytes();
        let Some(lane) = session.lanes.get_mut(&id) else { return Ok(()) };
        let (limits, log) = (self.limits(lane.kind), log_of(id, self.spec.data));
        let max_bytes = lane.buffer.room(limits).min(PAGE_BYTES);
        let request = ReadRequest { log, from: lane.buffer.next, max_records: PAGE_RECORDS, max_bytes };
        // Another log's page says nothing of the backlog: whoever asked for a look still waits for it.
        let look = (log == self.spec.data).then(|| self.backlog.look());
        let env = &self.shared.env;
        let (to, reason) = match env.engine.read(request).await {
            Ok(page) => {
                if let Some(look) = look {
                    self.backlog.found(look, page.tail.bytes + staged);
                }
                match lane.buffer.count(&page, limits, env.clock.monotonic()) {
                    Counted::Fine => return Ok(()),
                    Counted::StartsAt(start) => (start, "trimmed before delivery".to_owned()),
                }
            }
            Err(EngineError::Corrupt { file, at }) => {
                (self.after_damage(log, lane.buffer.next).await?, format!("corrupt: {file} at byte {at}"))
            }
            Err(error) => return Err(of_data_log(error)),
        };
        if !lane.buffer.is_empty() {
            lane.buffer.before_gap = true;
            return Ok(());
        }
        let (from, records) = (lane.buffer.next, to - lane.buffer.next);
        lane.buffer = Buffer::starting_at(to);
        session.control.write(vec![Record::Lost { lane: id, from, to, reason: reason.clone() }]).await?;
        Metrics::add(&self.metrics.lost_records, records);
        tracing::error!(delivery_stream = %self.stream, log = log.0, from, to, records, reason, "records lost");
        Ok(())
    }

    /// The first offset that can be read after `from`, which cannot.
    pub(super) async fn after_damage(&self, log: LogId, from: Offset) -> Result<Offset, ControlError> {
        let engine = self.shared.env.engine.as_ref();
        let end = engine.tail(log).await.map_err(of_data_log)?.end;
        first_readable(engine, log, from, end).await.map_err(of_data_log)
    }

    /// Whether a cut of the lane could have an upload.
    pub(super) fn is_cuttable(&self, session: &Session, open: &Counts<'_>, id: LaneId, lane: &Lane) -> bool {
        let bucket = &self.bucketing(lane.kind).bucket;
        let parallel = self.shared.env.tuning.parallel_uploads.max(1);
        let most = if matches!(id, LaneId::Slot(_)) { parallel + AHEAD } else { parallel };
        let is_held_up = || open.lane(id, bucket).holds_up(|| session.is_partition(id), parallel);
        let is_waiting = || session.waiting.iter().any(|cut| cut.lane == id && cut.bucket() == bucket);
        open.place(lane.kind.route(), bucket).has_room(most) && !is_held_up() && !is_waiting()
    }

    /// Where cuts of such lanes go, error output of endpoints included.
    fn bucketing(&self, kind: Kind) -> &Bucketing {
        match (kind, &self.spec.config.backup) {
            (Kind::Backup, Some(backup)) => backup,
            _ => self.spec.config.errors(),
        }
    }

    /// Fixes the ranges of all lanes that are due and have an upload free, those first that have waited longest.
    pub(super) async fn cut_due(&mut self, session: &mut Session) -> Result<bool, ControlError> {
        let mut open = Counts::of(session.control.state().open.iter(), &session.lanes, &self.past);
        let mut due = self.due_lanes(session, &open);
        due.sort_unstable();
        let mut cuts: Vec<Cut> = Vec::new();
        let first = session.control.state().next_id;
        for (_, id) in due {
            let Some(lane) = session.lanes.get(&id) else { continue };
            if self.is_cuttable(session, &open, id, lane) {
                let number = first + cuts.len() as u64;
                cuts.extend(self.cut(session, number, id, lane));
                open.add(lane.kind.route(), id, &self.bucketing(lane.kind).bucket, Puts::Fresh);
            }
        }
        if cuts.is_empty() {
            return Ok(false);
        }
        let mut records: Vec<Record> = cuts.iter().cloned().map(Record::Cut).collect();
        records.extend(self.sorted_so_far(session));
        session.control.write(records).await?;
        for cut in &cuts {
            if let Some(lane) = session.lanes.get_mut(&cut.lane) {
                lane.buffer = Buffer { at_end: lane.buffer.at_end, ..Buffer::starting_at(lane.buffer.next) };
            }
        }
        session.waiting.extend(cuts);
        self.trim_processed(session).await?;
        Ok(true)
    }

    /// Lanes that are to be cut, with the moment since when they are.
    fn due_lanes(&self, session: &Session, open: &Counts<'_>) -> Vec<(u64, LaneId)> {
        let mode = self.mode(session);
        let mut due = Vec::new();
        for (id, lane) in &session.lanes {
            let buffer = &lane.buffer;
            let Some(Oldest { arrival, .. }) = buffer.oldest else { continue };
            if lane.kind == Kind::Main && mode != Mode::Cut || !self.is_cuttable(session, open, *id, lane) {
                continue;
            }
            let limits = self.limits(lane.kind);
            if self.is_due(*id, buffer, limits) {
                due.push((arrival.saturating_add(limits.interval.as_millis() as u64), *id));
            }
        }
        due
    }

    /// Whether what a buffer holds waits for no more records and no more time.
    pub(super) fn is_due(&self, id: LaneId, buffer: &Buffer, limits: Limits) -> bool {
        let clock = &self.shared.env.clock;
        let over = || buffer.due_in(limits, clock.now_ms(), clock.monotonic()).is_some_and(|wait| wait.is_zero());
        let flushed = || self.flushes.iter().any(|flush| flush.wants(id, buffer.from));
        buffer.before_gap || buffer.is_full(limits) || buffer.at_end && (over() || flushed())
    }

    fn cut(&self, session: &Session, number: u64, id: LaneId, lane: &Lane) -> Option<Cut> {
        let config = &self.spec.config;
        let routed = match id {
            LaneId::Slot(log) => Some(&session.control.state().slot(log)?.lane),
            LaneId::Main | LaneId::Backup => None,
        };
        let parcel = match (&config.target, lane.kind) {
            (Target::Endpoint { .. }, Kind::Main | Kind::Records) => Some(self.random_bytes()),
            _ => None,
        };
        let bucketing = self.bucketing(lane.kind);
        let Oldest { arrival, source, .. } = lane.buffer.oldest?;
        let kind = match (&config.target, parcel, routed) {
            (Target::Endpoint { endpoint, .. }, Some(_), _) => Some(endpoint.error_type()),
            (_, _, Some(Routed::Error(kind))) => Some(*kind),
            _ => None,
        };
        // Error output is never compressed, whatever the configuration says of objects: so AWS writes it.
        let (compression, delimiter) = match (kind, lane.kind) {
            (Some(_), _) => (Compression::Uncompressed, Delimiter::Lines),
            (None, Kind::Backup) => (bucketing.compression, Delimiter::None),
            (None, _) => (bucketing.compression, bucketing.delimiter.clone()),
        };
        let partition = match routed {
            Some(Routed::Partition(partition)) => Some(partition),
            _ => None,
        };
        let object = ObjectOf {
            stream: &self.spec.name,
            version: self.spec.config_version,
            oldest: source,
            extension: compression.extension(),
            seed: self.random_bytes(),
            partition,
        };
        let (now, buffer) = (self.shared.env.clock.now_ms(), &lane.buffer);
        Some(Cut {
            id: number,
            lane: id,
            from: buffer.from,
            to: buffer.next,
            records: buffer.records,
            bytes: buffer.bytes,
            config_version: self.spec.config_version,
            compression,
            delimiter,
            parcel,
            objects: vec![ObjectName { bucket: bucketing.bucket.clone(), key: key(bucketing, kind, &object) }],
            oldest_arrival: source,
            due: now.min(arrival.saturating_add(self.limits(lane.kind).interval.as_millis() as u64)),
            created: now,
        })
    }

    fn random_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.shared.env.random.fill(&mut bytes);
        bytes
    }
}

/// A partition that the prefix has no place for, because the configuration changed after its records were sorted, is
/// delivered as error output: the records are not lost.
fn key(bucketing: &Bucketing, kind: Option<ErrorType>, object: &ObjectOf<'_>) -> String {
    let layout = &bucketing.layout;
    match kind {
        Some(kind) => layout.error_key(kind, object),
        None => layout.key(object).unwrap_or_else(|_| layout.error_key(ErrorType::Processing, object)),
    }
}
