//! What a trim between two records of a manifest's base leaves.

use std::path::Path;
use std::sync::Arc;

use levada_core::env::sim::{SimClock, SimDisk, SimRandom};

use super::everything;
use crate::journal::Position;
use crate::manifest;
use crate::oneshot::lock;
use crate::options::Options;
use crate::recovery;
use crate::state::{Extent, Log, Segment, State};

#[test]
fn a_trim_between_two_records_of_the_base_leaves_no_hole() {
    let (extents, length) = (5_000, 10);
    for trimmed_to in [5, 10_005, 30_000, 49_995, 50_000] {
        let (disk, clock, random) = (SimDisk::new(), SimClock::at(0), SimRandom::new(1));
        let (disk, clock, random) = (Arc::new(disk), Arc::new(clock), Arc::new(random));
        let opened = recovery::open(Path::new("/data"), disk, clock, random, Options::default());
        let (shared, _committer, _background) = opened.unwrap();
        {
            let mut log = Log::new(1, 0);
            log.born = true;
            // Every second segment, so that none is merged with the one before it.
            log.extents = (0..extents)
                .map(|n| Extent {
                    first: n * length,
                    first_arrival: n,
                    segment: (n % 2) as u32,
                    at: 64,
                    len: 50,
                    frames: 1,
                })
                .collect();
            (log.drained, log.end) = (extents * length, extents * length);
            let mut state = lock(&shared.state);
            state.logs.insert(7, log);
            for id in 0..2 {
                state.segments.insert(id, Segment { class: 1, len: 1 << 20, created_ms: 0, live: 2_500 });
            }
        }
        let position = Position { round: 1, seq: 0, at: 0 };
        let mut read = State::new(position);
        for (index, record) in everything(&shared, position).enumerate() {
            manifest::apply(&mut read, record.ops()).unwrap();
            if index == 1 {
                lock(&shared.state).trim(7, trimmed_to).unwrap();
            }
        }
        read.settle();
        let log = &read.logs[&7];
        assert_eq!(log.start, trimmed_to);
        let firsts: Vec<u64> = log.extents.iter().map(|extent| extent.first).collect();
        let expected: Vec<u64> = (trimmed_to / length..extents).map(|n| n * length).collect();
        assert_eq!(firsts, expected, "trimmed to {trimmed_to}");
    }
}
