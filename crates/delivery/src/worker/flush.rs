//! Flushes: what a caller waits for, through all logs.
//!
//! ```text
//! data log to `upto` ─▶ processed log to its end then ─▶ each lane to its end then
//! ```

use levada_core::engine::Offset;
use tokio::sync::oneshot;

use super::{Mode, Session, Worker};
use crate::control::LaneId;

/// A flush that waits until everything before `upto` of the data log is delivered or abandoned.
pub(super) struct Flush {
    pub(super) upto: Offset,
    step: Step,
    done: oneshot::Sender<()>,
}

enum Step {
    /// The chain has to take the data log up to `upto`.
    Process,
    /// The sorter has to take the processed log up to here.
    Sort(Offset),
    /// These lanes have to be delivered up to here.
    Deliver(Vec<(LaneId, Offset)>),
}

impl Flush {
    pub(super) fn new(upto: Offset, done: oneshot::Sender<()>) -> Self {
        Self { upto, step: Step::Process, done }
    }

    /// Begins again, after the logs were read again or records go another way.
    pub(super) fn restart(&mut self, end: Offset) {
        self.upto = self.upto.min(end);
        self.step = Step::Process;
    }

    /// Whether what stands in the lane from `from` on is not to wait for more.
    pub(super) fn wants(&self, lane: LaneId, from: Offset) -> bool {
        match (lane, &self.step) {
            (LaneId::Main | LaneId::Backup, _) => self.upto > from,
            (LaneId::Slot(_), Step::Deliver(lanes)) => lanes.iter().any(|(id, upto)| *id == lane && *upto > from),
            (LaneId::Slot(_), Step::Process | Step::Sort(_)) => false,
        }
    }

    /// Goes on as far as possible; answers whether it is done.
    fn advance(&mut self, session: &Session, mode: Mode) -> bool {
        let Some(stage) = session.stage.as_deref() else {
            return mode == Mode::Cut && self.is_delivered_from_data(session);
        };
        if matches!(self.step, Step::Process) && (mode == Mode::Cut || session.position() >= self.upto) {
            self.step = Step::Sort(stage.end);
        }
        if matches!(self.step, Step::Sort(end) if stage.sorted >= end) {
            let slots = session.lanes.iter().filter(|(id, _)| matches!(id, LaneId::Slot(_)));
            self.step = Step::Deliver(slots.map(|(id, lane)| (*id, lane.slot.end)).collect());
        }
        let Step::Deliver(lanes) = &mut self.step else { return false };
        lanes.retain(|(lane, upto)| !session.is_delivered(*lane, *upto));
        lanes.is_empty() && self.is_delivered_from_data(session)
    }

    /// What the chain has taken is delivered from the data log as well, also if some of it was cut there before the
    /// chain was switched on.
    fn is_delivered_from_data(&self, session: &Session) -> bool {
        [LaneId::Main, LaneId::Backup].iter().all(|lane| session.is_delivered(*lane, self.upto))
    }
}

impl Session {
    /// Whether all that stands in the lane before `upto` is delivered or given up. A lane that is not there is empty.
    fn is_delivered(&self, lane: LaneId, upto: Offset) -> bool {
        let uncut = self.lanes.get(&lane).map_or(upto, |lane| lane.buffer.from);
        self.control.state().checkpoint(lane, uncut) >= upto
    }
}

impl Worker {
    pub(super) fn settle_flushes(&mut self, session: &Session) {
        let mode = self.mode(session);
        for flush in self.flushes.extract_if(.., |flush| flush.advance(session, mode)) {
            let _ = flush.done.send(());
        }
    }
}
