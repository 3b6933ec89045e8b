//! The sorter: from the processed log to the lanes.
//!
//! Exactly once: each append to a lane's log ends with a mark that says how far the processed log was taken, and is
//! checked to stand where this worker believes the log to end. After a crash the sorter begins at the durable position
//! and passes over, lane by lane, what the lane's mark covers.
//!
//! A record for a partition beyond the limit becomes error output. After a crash the same is decided again: partitions
//! are released only together with the sorter's position, so that behind it their number has only grown.

use std::collections::BTreeMap;

use levada_core::batch::BatchBuilder;
use levada_core::engine::{Append, EngineError, Expect, LogId, Millis, Offset, Page, ReadRequest};

use super::lane::{Kind, Lane, SlotEnd};
use super::processing::{appended, ended_with_mark};
use super::stage::{Stage, log_spec};
use super::{Session, Worker, of_data_log};
use crate::buffer::{Counts, Oldest};
use crate::control::{ControlError, LaneId, Record, Routed};
use crate::metrics::Metrics;
use crate::process::error::{ErrorLine, Failure};
use crate::record::{BadEnvelope, Envelope, ErrorType, Partition, Peek};

/// Active partitions of a delivery stream. Source: the guide's quotas; AWS raises it on request.
const PARTITIONS: u64 = 500;

/// Slots that are not for partitions: records without partition, and each type of error output.
const OTHER_SLOTS: u64 = 1 + ErrorType::ALL.len() as u64;

/// Bytes and records that are sorted at a time.
const PAGE_BYTES: u64 = 1024 * 1024;
const PAGE_RECORDS: u32 = 10_000;

/// Bytes sorted after which the control log says how far, also when nothing is cut: what a restart sorts again at most,
/// and what stands in two logs at most.
const UNWRITTEN_BYTES: u64 = 16 * 1024 * 1024;

/// Seconds of `PerPartitionThroughput`'s window.
const WINDOW_SECONDS: u64 = 60;

/// Records of a page for one lane.
struct Group {
    routed: Routed,
    /// Its slot; `None` until one is assigned.
    log: Option<LogId>,
    /// What its log has already.
    covered: Offset,
    builder: BatchBuilder,
    records: u64,
    bytes: u64,
    /// Earliest arrival at the source.
    oldest: Millis,
}

/// What becomes of the records of a partition.
#[derive(Clone, Copy)]
enum Place {
    Group(usize),
    /// There are too many partitions.
    Overflow,
}

/// A page of the processed log, sorted.
struct Sheet<'a> {
    stage: &'a Stage,
    lanes: &'a BTreeMap<LaneId, Box<Lane>>,
    groups: Vec<Group>,
    by_route: BTreeMap<Routed, usize>,
    by_partition: BTreeMap<Vec<u8>, Place>,
    /// Partitions that get their slot with this page.
    new_partitions: u64,
    overflowed: u64,
    unreadable: u64,
    now: Millis,
}

impl Sheet<'_> {
    fn take(&mut self, page: &Page) {
        for chunk in &page.chunks {
            for (offset, record) in chunk.records() {
                if let Err(BadEnvelope) = self.take_one(offset, record.key, record.data) {
                    self.unreadable += 1;
                }
            }
        }
    }

    fn take_one(&mut self, offset: Offset, key: &[u8], data: &[u8]) -> Result<(), BadEnvelope> {
        let place = match Peek::of(key)? {
            Peek::Mark => return Ok(()),
            Peek::Source => return Err(BadEnvelope),
            Peek::Output([]) => Place::Group(self.group(Routed::Plain)),
            Peek::Failed(kind) => Place::Group(self.group(Routed::Error(kind))),
            Peek::Output(json) => self.partition(json)?,
        };
        let arrival = Peek::arrival(key).ok_or(BadEnvelope)?;
        match place {
            Place::Group(at) => self.groups[at].push(offset, arrival, key, data),
            Place::Overflow => {
                let failure = Failure::active_partitions();
                let (attempts, ended, lambda_arn) = (1, self.now, None);
                let line = ErrorLine { raw: data, failure: &failure, attempts, arrival, ended, lambda_arn }.to_bytes();
                let kind = ErrorType::Processing;
                let at = self.group(Routed::Error(kind));
                // It fits an append: a page is one record, or so few bytes that they do even as lines.
                let pushed = self.groups[at].records;
                self.groups[at].push(offset, arrival, &Envelope::Failed { arrival, kind }.encode(), &line);
                self.overflowed += self.groups[at].records - pushed;
            }
        }
        Ok(())
    }

    fn partition(&mut self, json: &[u8]) -> Result<Place, BadEnvelope> {
        if let Some(place) = self.by_partition.get(json) {
            return Ok(*place);
        }
        let partition: Partition = serde_json::from_slice(json).map_err(|_| BadEnvelope)?;
        let routed = Routed::Partition(partition);
        let is_new = !self.stage.routes.contains_key(&routed);
        let place = if is_new && self.stage.partitions + self.new_partitions >= most_partitions(self.stage) {
            Place::Overflow
        } else {
            self.new_partitions += u64::from(is_new);
            Place::Group(self.group(routed))
        };
        self.by_partition.insert(json.to_vec(), place);
        Ok(place)
    }

    fn group(&mut self, routed: Routed) -> usize {
        if let Some(at) = self.by_route.get(&routed) {
            return *at;
        }
        let log = self.stage.routes.get(&routed).copied();
        let lane = log.and_then(|log| self.lanes.get(&LaneId::Slot(log)));
        let covered = lane.map_or(0, |lane| lane.slot.covered);
        self.by_route.insert(routed.clone(), self.groups.len());
        let builder = BatchBuilder::default();
        self.groups.push(Group { routed, log, covered, builder, records: 0, bytes: 0, oldest: Millis::MAX });
        self.groups.len() - 1
    }
}

pub(super) fn most_partitions(stage: &Stage) -> u64 {
    PARTITIONS.min((stage.slots().count() as u64).saturating_sub(OTHER_SLOTS))
}

impl Group {
    fn push(&mut self, offset: Offset, arrival: Millis, key: &[u8], data: &[u8]) {
        if offset < self.covered {
            return;
        }
        self.builder.push(key, data);
        self.records += 1;
        self.bytes += data.len() as u64;
        self.oldest = self.oldest.min(arrival);
    }
}

impl Worker {
    /// Sorts one more page of the processed log, and answers whether there was one.
    pub(super) async fn sort(&mut self, session: &mut Session) -> Result<bool, ControlError> {
        let Some(stage) = session.stage.as_deref() else { return Ok(false) };
        if stage.sorted >= stage.end {
            return Ok(false);
        }
        if stage.partitions >= most_partitions(stage) {
            self.release_idle(session).await?;
        }
        let Some(stage) = session.stage.as_deref() else { return Ok(false) };
        let (log, from) = (stage.processed(), stage.sorted);
        let request = ReadRequest { log, from, max_records: PAGE_RECORDS, max_bytes: PAGE_BYTES };
        let page = match self.shared.env.engine.read(request).await {
            Ok(page) => page,
            Err(EngineError::Corrupt { file, at }) => {
                let to = self.after_damage(log, from).await?;
                tracing::error!(delivery_stream = %self.stream, log = log.0, from, to, file, at, "records lost: corrupt");
                Metrics::add(&self.metrics.lost_records, to - from);
                return self.sorted_to(session, to, UNWRITTEN_BYTES).await.map(|()| true);
            }
            Err(error) => return Err(of_data_log(error)),
        };
        let start = page.chunks.first().map_or(page.tail.start, |chunk| chunk.first);
        if start > from {
            tracing::error!(delivery_stream = %self.stream, log = log.0, from, to = start, "records lost: trimmed");
            Metrics::add(&self.metrics.lost_records, start - from);
        }
        let mut sheet = Sheet {
            stage,
            lanes: &session.lanes,
            groups: Vec::new(),
            by_route: BTreeMap::new(),
            by_partition: BTreeMap::new(),
            new_partitions: 0,
            overflowed: 0,
            unreadable: 0,
            now: self.shared.env.clock.now_ms(),
        };
        sheet.take(&page);
        let Sheet { groups, overflowed, unreadable, .. } = sheet;
        self.note_sheet(overflowed, unreadable);
        let groups: Vec<Group> = groups.into_iter().filter(|group| group.records > 0).collect();
        let bytes = groups.iter().map(|group| group.bytes).sum();
        let (to, groups) = (page.next.max(start), self.assign_slots(session, groups).await?);
        self.append_groups(session, groups, to).await?;
        self.sorted_to(session, to, bytes).await?;
        Ok(true)
    }

    fn note_sheet(&self, overflowed: u64, unreadable: u64) {
        self.metrics.partitions_exceeded.store(u64::from(overflowed > 0), std::sync::atomic::Ordering::Relaxed);
        Metrics::add(&self.metrics.partition_overflow_records, overflowed);
        if unreadable > 0 {
            Metrics::add(&self.metrics.lost_records, unreadable);
            tracing::error!(delivery_stream = %self.stream, records = unreadable, "records lost: unreadable");
        }
    }

    /// Gives each group a log. An assignment is durable before anything is appended for it.
    async fn assign_slots(
        &self,
        session: &mut Session,
        groups: Vec<Group>,
    ) -> Result<Vec<(LogId, Group)>, ControlError> {
        let wanted = groups.iter().filter(|group| group.log.is_none()).count();
        let free = self.free_slots(session, wanted).await?;
        let mut free = free.into_iter();
        let (mut assigned, mut records) = (Vec::new(), Vec::new());
        for group in groups {
            let slot = match group.log {
                Some(log) => log,
                None => {
                    let (slot, from) =
                        free.next().ok_or_else(|| ControlError::Unsettled("no slot is free for a lane".into()))?;
                    records.push(Record::Assign { slot, lane: group.routed.clone(), from });
                    slot
                }
            };
            assigned.push((slot, group));
        }
        session.control.write(records.clone()).await?;
        for record in records {
            let Record::Assign { slot, lane, from } = record else { continue };
            let mut new = Lane::new(Kind::of(&lane), from);
            new.slot = SlotEnd { end: from, ..SlotEnd::default() };
            new.buffer.at_end = true;
            session.lanes.insert(LaneId::Slot(slot), new);
            if let Some(stage) = session.stage.as_deref_mut() {
                stage.assign(lane, slot);
            }
        }
        Ok(assigned)
    }

    /// Free slots, with the ends of their logs.
    ///
    /// A log that an earlier session wrote to gets a mark first: should that session's worker still be alive somewhere,
    /// it cannot append there any more what it believes the log to be for.
    async fn free_slots(&self, session: &mut Session, wanted: usize) -> Result<Vec<(LogId, Offset)>, ControlError> {
        let Some(stage) = session.stage.as_deref_mut() else { return Ok(Vec::new()) };
        let engine = &self.shared.env.engine;
        let state = session.control.state();
        let ids: Vec<LogId> = stage.slots().filter(|log| state.slot(*log).is_none()).take(wanted).collect();
        let (mut free, mut missing, mut fences) = (Vec::new(), Vec::new(), Vec::new());
        for id in ids {
            let end = match stage.ends.get(&id) {
                Some(end) => *end,
                None => match engine.tail(id).await {
                    Ok(tail) if tail.end == 0 => 0,
                    Ok(tail) => {
                        let batch = ended_with_mark(BatchBuilder::default(), stage.sorted);
                        fences.push(Append { log: id, expect: Expect::End(tail.end), batch });
                        tail.end + 1
                    }
                    Err(EngineError::Missing) => {
                        missing.push(log_spec(stage.block, id));
                        0
                    }
                    Err(error) => return Err(of_data_log(error)),
                },
            };
            free.push((id, end));
        }
        if !missing.is_empty() {
            engine.create(missing).await.map_err(of_data_log)?;
        }
        if !fences.is_empty() {
            for answer in engine.append_many(fences).await {
                appended(Some(answer))?;
            }
        }
        Ok(free)
    }

    async fn append_groups(
        &self,
        session: &mut Session,
        groups: Vec<(LogId, Group)>,
        to: Offset,
    ) -> Result<(), ControlError> {
        let (mut appends, mut counts) = (Vec::new(), Vec::new());
        for (log, group) in groups {
            let Some(lane) = session.lanes.get(&LaneId::Slot(log)) else { continue };
            let Group { builder, records, bytes, oldest, .. } = group;
            let batch = ended_with_mark(builder, to);
            counts.push((log, records, bytes, oldest, batch.bytes().len() as u64));
            appends.push(Append { log, expect: Expect::End(lane.slot.end), batch });
        }
        if appends.is_empty() {
            return Ok(());
        }
        let answers = self.shared.env.engine.append_many(appends).await;
        let (seen, now) = (self.shared.env.clock.monotonic(), self.shared.env.clock.now_ms());
        let mut answers = answers.into_iter();
        for (log, records, bytes, source, encoded) in counts {
            let arrival = match answers.next() {
                Some(levada_core::engine::Appended::At { arrival, .. }) => arrival,
                other => {
                    appended(other)?;
                    now
                }
            };
            let Some(lane) = session.lanes.get_mut(&LaneId::Slot(log)) else { continue };
            let first = lane.slot.end;
            lane.slot.end += records + 1;
            lane.slot.covered = to;
            lane.slot.bytes += encoded;
            lane.slot.window_bytes += bytes;
            let oldest = Oldest { arrival, seen, source };
            let limits = self.limits(lane.kind);
            lane.buffer.extend(first, lane.slot.end, Counts { records, bytes, oldest }, limits);
        }
        Ok(())
    }

    /// Everything before `to` is in its lane.
    async fn sorted_to(&self, session: &mut Session, to: Offset, bytes: u64) -> Result<(), ControlError> {
        let Some(stage) = session.stage.as_deref_mut() else { return Ok(()) };
        stage.sorted = to;
        stage.unwritten += bytes;
        let unwritten = stage.unwritten;
        self.show_throughput(session);
        if unwritten >= UNWRITTEN_BYTES
            && let Some(record) = self.sorted_so_far(session)
        {
            session.control.write(vec![record]).await?;
            self.trim_processed(session).await?;
        }
        Ok(())
    }

    /// What the control log is to be told of the sorter, whenever it is written to.
    pub(super) fn sorted_so_far(&self, session: &Session) -> Option<Record> {
        let to = session.stage.as_deref()?.sorted;
        (to > session.control.state().sorted).then_some(Record::Sorted { to })
    }

    /// Frees what the control log says is sorted, but for the mark at the end.
    pub(super) async fn trim_processed(&self, session: &mut Session) -> Result<(), ControlError> {
        let sorted = session.control.state().sorted;
        let Some(stage) = session.stage.as_deref_mut() else { return Ok(()) };
        let mark = stage.end.saturating_sub(1);
        let before = sorted.min(mark);
        if before <= stage.trimmed && before < mark {
            return Ok(());
        }
        if before > stage.trimmed {
            (stage.trimmed, stage.unwritten) = (before, 0);
            self.trim_log(stage.processed(), before).await?;
        }
        stage.bytes = self.retained(stage.processed(), before == mark).await?;
        Ok(())
    }

    fn show_throughput(&self, session: &mut Session) {
        let Some(stage) = session.stage.as_deref_mut() else { return };
        let now = self.shared.env.clock.monotonic();
        let seconds = now.saturating_sub(stage.window).as_secs();
        if seconds < WINDOW_SECONDS {
            return;
        }
        stage.window = now;
        let mut most = 0;
        for lane in session.lanes.values_mut() {
            most = most.max(std::mem::take(&mut lane.slot.window_bytes));
        }
        self.metrics.partition_throughput.store(most / seconds, std::sync::atomic::Ordering::Relaxed);
    }
}
