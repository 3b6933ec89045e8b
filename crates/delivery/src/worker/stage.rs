//! Where records are between the data log and their lanes: the processed log, and who has which slot.

use std::collections::BTreeMap;
use std::time::Duration;

use levada_core::engine::{EngineError, LogId, LogSpec, Offset, ReadRequest, Tail};
use tokio::task::JoinSet;

use super::lane::{Kind, Lane, SlotEnd};
use super::processing::Run;
use super::{Session, Worker, of_data_log};
use crate::config::Block;
use crate::control::{ControlError, LaneId, Routed, Slot};
use crate::gap::last_readable;
use crate::record::Envelope;

/// Of one session, for a delivery stream that has processed records.
pub(super) struct Stage {
    pub(super) block: Block,
    /// End of the processed log.
    pub(super) end: Offset,
    /// What the processed log retains.
    pub(super) bytes: u64,
    /// The data log was taken up to here: the processed log's last mark.
    pub(super) taken: Offset,
    /// The processed log was sorted up to here.
    pub(super) sorted: Offset,
    /// The processed log was trimmed up to here.
    pub(super) trimmed: Offset,
    /// Bytes sorted since then.
    pub(super) unwritten: u64,
    pub(super) routes: BTreeMap<Routed, LogId>,
    /// Those of `routes` that are partitions.
    pub(super) partitions: u64,
    /// Ends of free slots that this session has written to.
    pub(super) ends: BTreeMap<LogId, Offset>,
    /// The chain at work: one at most.
    pub(super) runs: JoinSet<Result<Run, ControlError>>,
    pub(super) held: Option<Hold>,
    /// When the window of `PerPartitionThroughput` began, by the monotonic clock.
    pub(super) window: Duration,
}

/// The chain could not work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) failures: u32,
    /// By the monotonic clock.
    pub(super) until: Duration,
}

impl Stage {
    pub(super) fn processed(&self) -> LogId {
        self.block.first
    }

    /// Ids of slots. The last one of the block belongs to the pump that reads a Kinesis data stream.
    pub(super) fn slots(&self) -> impl Iterator<Item = LogId> + use<> {
        let first = self.block.first.0;
        (first + 1..first + u64::from(self.block.count).saturating_sub(1).max(1)).map(LogId)
    }

    pub(super) fn held_for(&self, monotonic: Duration) -> Duration {
        self.held.map_or(Duration::ZERO, |hold| hold.until.saturating_sub(monotonic))
    }

    pub(super) fn retry_now(&mut self) {
        if let Some(hold) = &mut self.held {
            hold.until = Duration::ZERO;
        }
    }

    pub(super) fn assign(&mut self, routed: Routed, slot: LogId) {
        self.partitions += u64::from(matches!(routed, Routed::Partition(_)));
        self.ends.remove(&slot);
        self.routes.insert(routed, slot);
    }

    /// Of a partition.
    pub(super) fn release(&mut self, slot: LogId, end: Offset) {
        self.routes.retain(|_, log| *log != slot);
        self.partitions = self.partitions.saturating_sub(1);
        self.ends.insert(slot, end);
    }
}

/// A log of the block, empty until now.
pub(super) fn log_spec(block: Block, id: LogId) -> LogSpec {
    LogSpec { id, class: block.class, floor: 0 }
}

impl Worker {
    /// Reads where processing stands. Without a chain, logs that do not exist yet are not needed.
    pub(super) async fn open_stage(&self, session: &mut Session, block: Block) -> Result<(), ControlError> {
        let engine = &self.shared.env.engine;
        let tail = match engine.tail(block.first).await {
            Ok(tail) => tail,
            Err(EngineError::Missing) if self.spec.config.chain.is_none() => return Ok(()),
            Err(EngineError::Missing) => {
                engine.create(vec![log_spec(block, block.first)]).await.map_err(of_data_log)?;
                engine.tail(block.first).await.map_err(of_data_log)?
            }
            Err(error) => return Err(of_data_log(error)),
        };
        let mark = self.last_mark(block.first, &tail).await?;
        let mut taken = mark.to;
        if mark.is_damaged {
            // What the data log does not have any more was taken, whatever became of it.
            taken = taken.max(engine.tail(self.spec.data).await.map_err(of_data_log)?.start);
        }
        let state = session.control.state();
        let mut stage = Stage {
            block,
            end: tail.end,
            bytes: tail.bytes,
            taken,
            sorted: state.sorted,
            trimmed: 0,
            unwritten: 0,
            routes: BTreeMap::new(),
            partitions: 0,
            ends: BTreeMap::new(),
            runs: JoinSet::new(),
            held: None,
            window: self.shared.env.clock.monotonic(),
        };
        for Slot { log, lane, cut_to } in &state.slots {
            let tail = engine.tail(*log).await.map_err(of_data_log)?;
            // Of a slot whose end is damaged the sorter appends again what the processed log still has. None of it was
            // cut: a cut comes with the sorter's position.
            let covered = self.last_mark(*log, &tail).await?.to;
            let mut known = Lane::new(Kind::of(lane), *cut_to);
            known.slot = SlotEnd { end: tail.end, covered, bytes: tail.bytes, window_bytes: 0 };
            stage.assign(lane.clone(), *log);
            session.lanes.insert(LaneId::Slot(*log), known);
        }
        session.stage = Some(Box::new(stage));
        // What a crash forgot.
        let slots: Vec<LogId> = session.control.state().slots.iter().map(|slot| slot.log).collect();
        for slot in slots {
            self.trim_slot(session, slot).await?;
        }
        self.trim_free_slots(session).await?;
        self.trim_processed(session).await
    }

    /// Frees what stands in logs that are no lane's any more, but for the mark at their ends.
    async fn trim_free_slots(&self, session: &Session) -> Result<(), ControlError> {
        let Some(stage) = session.stage.as_deref() else { return Ok(()) };
        for log in stage.slots().filter(|log| session.control.state().slot(*log).is_none()) {
            match self.shared.env.engine.tail(log).await {
                Ok(tail) if tail.end - tail.start > 1 => self.trim_log(log, tail.end - 1).await?,
                Ok(_) => {}
                // Logs are created in the order of their ids.
                Err(EngineError::Missing) => return Ok(()),
                Err(error) => return Err(of_data_log(error)),
            }
        }
        Ok(())
    }

    /// What the mark at the end of a log says; 0 if nothing was ever appended. Every append to such a log ends with
    /// one, and trims leave it.
    async fn last_mark(&self, log: LogId, tail: &Tail) -> Result<Mark, ControlError> {
        let Some(last) = tail.end.checked_sub(1) else { return Ok(Mark::default()) };
        match self.mark_at(log, last).await {
            Err(EngineError::Corrupt { file, at }) => {
                tracing::error!(delivery_stream = %self.stream, log = log.0, file, at, "the end of a log is damaged");
                let engine = self.shared.env.engine.as_ref();
                // What can be read right before what cannot ends another append.
                let before = last_readable(engine, log, last, tail.start).await.map_err(of_data_log)?;
                let to = match before {
                    Some(before) => self.mark_at(log, before).await.map_err(of_data_log)??,
                    None => 0,
                };
                Ok(Mark { to, is_damaged: true })
            }
            other => Ok(Mark { to: other.map_err(of_data_log)??, is_damaged: false }),
        }
    }

    async fn mark_at(&self, log: LogId, at: Offset) -> Result<Result<Offset, ControlError>, EngineError> {
        let request = ReadRequest { log, from: at, max_records: 1, max_bytes: 1 };
        let page = self.shared.env.engine.read(request).await?;
        let record = page.chunks.last().and_then(|chunk| chunk.records().last());
        let mark = record.filter(|(_, record)| Envelope::is_mark(record.key));
        let value = mark.and_then(|(_, record)| Some(Offset::from_le_bytes(record.data.try_into().ok()?)));
        let no_mark = || ControlError::Unreadable(format!("log {} has no mark at {at}", log.0));
        Ok(value.ok_or_else(no_mark))
    }
}

/// The last mark of a log.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// How far an earlier log was taken for it.
    to: Offset,
    /// The last append cannot be read, and this is the mark of the one before.
    is_damaged: bool,
}
