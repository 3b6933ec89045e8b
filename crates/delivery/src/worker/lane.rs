//! Lanes: logs that are cut.
//!
//! Lanes Main and Backup read the data log, each with positions of its own; all others read a slot, which the sorter
//! fills. A slot's log ends with a mark that says how far the processed log was taken for it.

use std::collections::BTreeMap;

use levada_core::engine::{LogId, Offset};

use crate::buffer::Buffer;
use crate::control::{Cut, LaneId, Routed};
use crate::past::{Past, Puts};

/// What a lane holds, as far as it decides how it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The data log: cut for the destination, or handed to the chain.
    Main,
    /// The data log: cut for the backup bucket.
    Backup,
    /// Records that the chain made.
    Records,
    /// Lines of error output.
    Errors,
}

/// Where cuts go, as far as they wait for each other: a destination that is away holds up no other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    Destination,
    Backup,
    Errors,
}

impl Kind {
    pub(super) fn of(routed: &Routed) -> Self {
        match routed {
            Routed::Plain | Routed::Partition(_) => Self::Records,
            Routed::Error(_) => Self::Errors,
        }
    }

    pub(super) fn route(self) -> Route {
        match self {
            Self::Main | Self::Records => Route::Destination,
            Self::Backup => Route::Backup,
            Self::Errors => Route::Errors,
        }
    }
}

/// One lane.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) kind: Kind,
    pub(super) buffer: Buffer,
    /// What only slots have.
    pub(super) slot: SlotEnd,
}

/// How far a slot's log goes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlotEnd {
    /// Offset that the next record will get.
    pub(super) end: Offset,
    /// Records of the processed log before this offset are in it, as far as they belong there: its last mark.
    pub(super) covered: Offset,
    /// Bytes that the log retains.
    pub(super) bytes: u64,
    /// Bytes of records appended since the window of `PerPartitionThroughput` began.
    pub(super) window_bytes: u64,
}

impl Lane {
    /// Boxed: most delivery streams have one lane, and a node of a map has room for eleven.
    pub(super) fn new(kind: Kind, from: Offset) -> Box<Self> {
        Box::new(Self { kind, buffer: Buffer::starting_at(from), slot: SlotEnd::default() })
    }

    /// Whether nothing stands in it that was not cut.
    pub(super) fn is_drained(&self) -> bool {
        self.buffer.at_end && self.buffer.is_empty()
    }
}

/// Open cuts of each route and bucket: a bucket that was replaced by an update may be away for ever.
#[derive(Debug, Default)]
pub(super) struct Counts<'a> {
    places: BTreeMap<(Route, &'a str), Count>,
    lanes: BTreeMap<(LaneId, &'a str), Count>,
}

/// Open cuts of one place, by how their puts went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    fresh: usize,
    failing: usize,
    alone: usize,
}

impl Count {
    /// Cuts of a lane without partition that may be open beside those that count, because they alone fail.
    const ALONE: usize = 64;

    fn add(&mut self, puts: Puts) {
        match puts {
            Puts::Fresh => self.fresh += 1,
            Puts::Fail => self.failing += 1,
            Puts::FailAlone => self.alone += 1,
        }
    }

    /// Whether one more cut has room beside `most`. Those that fail take room, but never all of it: however many they
    /// are, one more may show whether the place is away or refuses just these. One that fails alone takes none.
    pub(super) fn has_room(self, most: usize) -> bool {
        self.fresh < most.saturating_sub(self.failing).max(1)
    }

    /// Whether so many cuts of a lane fail that it waits for them: what bounds the control log.
    ///
    /// The keys of a partition are much alike. What the store refuses of one is tried with one cut, and holds up nothing
    /// but its partition.
    pub(super) fn holds_up(self, is_partition: impl FnOnce() -> bool, parallel: usize) -> bool {
        let fails = self.failing + self.alone > 0;
        fails && (self.failing > parallel || self.alone >= Self::ALONE || is_partition())
    }
}

impl<'a> Counts<'a> {
    pub(super) fn of(cuts: impl Iterator<Item = &'a Cut>, lanes: &BTreeMap<LaneId, Box<Lane>>, past: &Past) -> Self {
        let mut counts = Self::default();
        for cut in cuts {
            counts.add(route_of(cut.lane, lanes), cut.lane, cut.bucket(), past.puts(cut.id));
        }
        counts
    }

    /// One more cut of a lane, on its way to a bucket.
    pub(super) fn add(&mut self, route: Route, lane: LaneId, bucket: &'a str, puts: Puts) {
        self.places.entry((route, bucket)).or_default().add(puts);
        self.lanes.entry((lane, bucket)).or_default().add(puts);
    }

    /// All cuts for a bucket.
    pub(super) fn place(&self, route: Route, bucket: &str) -> Count {
        self.places.get(&(route, bucket)).copied().unwrap_or_default()
    }

    /// Those of one lane.
    pub(super) fn lane(&self, lane: LaneId, bucket: &str) -> Count {
        self.lanes.get(&(lane, bucket)).copied().unwrap_or_default()
    }
}

/// A lane with open cuts exists, or it was the backup's.
pub(super) fn route_of(lane: LaneId, lanes: &BTreeMap<LaneId, Box<Lane>>) -> Route {
    match (lane, lanes.get(&lane)) {
        (LaneId::Backup, _) => Route::Backup,
        (_, Some(lane)) => lane.kind.route(),
        (LaneId::Main | LaneId::Slot(_), None) => Route::Destination,
    }
}

/// The log that a lane reads.
pub(super) fn log_of(lane: LaneId, data: LogId) -> LogId {
    match lane {
        LaneId::Main | LaneId::Backup => data,
        LaneId::Slot(log) => log,
    }
}
