//! What a control log says so far.

use levada_core::engine::{LogId, Millis, Offset};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::config::{Compression, Delimiter};
use crate::record::{ErrorType, Partition};

/// A log that is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum LaneId {
    /// The data log, on its way to the destination.
    #[default]
    Main,
    /// The data log, on its way to the backup bucket.
    Backup,
    /// A log that the sorter fills.
    Slot(LogId),
}

impl LaneId {
    pub(crate) fn is_main(&self) -> bool {
        *self == Self::Main
    }
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Routed {
    /// Records without partition.
    Plain,
    /// Records of one partition.
    Partition(Partition),
    /// Lines of error output.
    Error(ErrorType),
}

/// A log that was given to a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) log: LogId,
    pub(crate) lane: Routed,
    /// Everything in it before this offset has been cut or is lost.
    pub(crate) cut_to: Offset,
}

/// A range of a lane and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// Rising by 1 in each delivery stream, from 0.
    pub(crate) id: u64,
    #[serde(default, skip_serializing_if = "LaneId::is_main")]
    pub(crate) lane: LaneId,
    /// Offset of its first record.
    pub(crate) from: Offset,
    /// Offset after its last record.
    pub(crate) to: Offset,
    /// Records in the range, marks not counted. 0 in cuts of version 1, which have no marks.
    #[serde(default)]
    pub(crate) records: u64,
    /// Bytes of its records' data.
    pub(crate) bytes: u64,
    /// The configuration in force.
    pub(crate) config_version: u64,
    /// Of that configuration: fixes the objects' bytes.
    pub(crate) compression: Compression,
    /// Likewise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) delimiter: Delimiter,
    /// The request's id, if the records go to an endpoint; then `objects` names the error output of those it does not
    /// take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parcel: Option<[u8; 16]>,
    /// Where they go.
    pub(crate) objects: Vec<ObjectName>,
    /// Oldest arrival of its records at their source.
    pub(crate) oldest_arrival: Millis,
    /// Arrival of its oldest record in the lane plus the interval, or the moment of the cut if that was earlier:
    /// abandoning counts from here, so that waiting for a free upload does not prolong it.
    pub(crate) due: Millis,
    /// When it was cut.
    pub(crate) created: Millis,
}

fn is_default(delimiter: &Delimiter) -> bool {
    *delimiter == Delimiter::None
}

impl Cut {
    /// Where its objects go; for an endpoint's, the error output.
    pub(crate) fn bucket(&self) -> &str {
        self.objects.first().map_or("", |name| &name.bucket)
    }

    /// Number of records in the range.
    pub(crate) fn records(&self) -> u64 {
        if self.records == 0 { self.to - self.from } else { self.records }
    }

    /// Bytes of the range's records in the log, encoded, their keys not counted.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.bytes + self.records() * levada_core::batch::RECORD_HEADER_BYTES as u64
    }
}

/// Bucket and key of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectName {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// What the control log says so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Id of the next cut.
    pub(crate) next_id: u64,
    /// Everything in the data log before this offset has been cut for the destination, or is lost. The processor may
    /// have taken more: that stands in the processed log.
    pub(crate) cut_to: Offset,
    /// Cuts that are neither done nor abandoned, in the order of their ids.
    pub(crate) open: Vec<Cut>,
    /// The worker that wrote the newest `Open`.
    pub(crate) worker: u64,
    /// While all source records are backed up: everything in the data log before this offset has been cut for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<Offset>,
    /// Everything in the processed log before this offset is in its lane.
    #[serde(default)]
    pub(crate) sorted: Offset,
    /// In the order of their logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) slots: Vec<Slot>,
}

impl State {
    /// Nothing of the lane before this offset is needed for it any more: its lowest unfinished cut, or `else_to`.
    pub(crate) fn checkpoint(&self, lane: LaneId, else_to: Offset) -> Offset {
        self.open.iter().filter(|cut| cut.lane == lane).map(|cut| cut.from).min().unwrap_or(else_to)
    }

    pub(crate) fn slot(&self, log: LogId) -> Option<&Slot> {
        self.place(log).ok().and_then(|place| self.slots.get(place))
    }

    fn place(&self, log: LogId) -> Result<usize, usize> {
        self.slots.binary_search_by_key(&log, |slot| slot.log)
    }

    fn set_cut_to(&mut self, lane: LaneId, to: Offset) {
        match lane {
            LaneId::Main => self.cut_to = to,
            // A cut of a backup that has ended is still to be delivered, but begins nothing.
            LaneId::Backup => self.backup = self.backup.map(|_| to),
            LaneId::Slot(log) => {
                if let Ok(place) = self.place(log) {
                    self.slots[place].cut_to = to;
                }
            }
        }
    }

    pub(super) fn fold(&mut self, record: Record) {
        match record {
            Record::Open { worker } => self.worker = worker,
            Record::Cut(cut) => {
                self.next_id = cut.id + 1;
                self.set_cut_to(cut.lane, cut.to);
                self.open.push(cut);
            }
            Record::Done { id, .. } | Record::Abandoned { id, .. } => self.open.retain(|cut| cut.id != id),
            Record::Lost { lane, to, .. } => self.set_cut_to(lane, to),
            Record::Assign { slot, lane, from } => {
                let new = Slot { log: slot, lane, cut_to: from };
                match self.place(slot) {
                    Ok(place) => self.slots[place] = new,
                    Err(place) => self.slots.insert(place, new),
                }
            }
            Record::Release { slot, sorted } => {
                if let Ok(place) = self.place(slot) {
                    self.slots.remove(place);
                }
                self.sorted = self.sorted.max(sorted);
            }
            Record::Sorted { to } => self.sorted = self.sorted.max(to),
            Record::Backup { from } => self.backup = from,
            Record::Snapshot(state) => *self = state,
        }
    }
}
