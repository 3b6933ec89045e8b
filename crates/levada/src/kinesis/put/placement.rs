//! The hash key that decides a record's shard.
//!
//! With distribution `AUTO` nobody gives one, or what is given is ignored, and the service chooses (model,
//! `UpdateStreamRecordDistributionStrategy`: evenly across shards). AWS does not say how; here shards take turns. A call's
//! records are divided into runs that follow each other, one for each shard, as long as a run is worth an append: so a
//! large call loads all shards alike, and a small one is one append, to the next shard. What is chosen is a hash key,
//! which stands for the one that the producer might have given: everything behind it is as with any record.

use levada_core::catalog::{Distribution, Stream};
use levada_core::scaling::slice_start;
use levada_wire::error::AwsError;

use super::hash;
use crate::traffic::StreamTraffic;

/// What a record weighs beside its bytes: a thousand of any size fill a shard as a MiB does.
const RECORD_WEIGHT: usize = 1024;

/// Runs are no lighter, unless the call is.
const RUN_WEIGHT: usize = 32 * 1024;

/// True if the service chooses the shards of a stream's records. They need no partition key then.
pub(super) fn is_auto(stream: &Stream) -> bool {
    stream.distribution == Distribution::Auto
}

/// Gives the records of one call their hash keys, in request order.
pub(super) struct Placement<'a> {
    /// `None` if producers choose.
    turns: Option<Turns<'a>>,
}

struct Turns<'a> {
    stream: &'a Stream,
    traffic: &'a StreamTraffic<'a>,
    /// What a run weighs at least.
    run: usize,
    /// What the present run may still take.
    left: usize,
    hash: u128,
}

impl<'a> Placement<'a> {
    /// Of the records of one call, of these sizes.
    pub(super) fn new(
        stream: &'a Stream,
        traffic: Option<&'a StreamTraffic<'a>>,
        sizes: impl Iterator<Item = usize>,
    ) -> Self {
        let turns = traffic.filter(|_| is_auto(stream)).map(|traffic| {
            let weight: usize = sizes.map(|bytes| bytes + RECORD_WEIGHT).sum();
            let run = weight.div_ceil(stream.shards.taking_count()).max(RUN_WEIGHT);
            Turns { stream, traffic, run, left: 0, hash: 0 }
        });
        Self { turns }
    }

    /// The hash key of the next record, which has so many bytes.
    ///
    /// # Errors
    /// If producers choose and the explicit hash key is none.
    pub(super) fn next(&mut self, key: &str, explicit: Option<&str>, bytes: usize) -> Result<u128, AwsError> {
        match &mut self.turns {
            None => hash(key, explicit),
            Some(turns) => Ok(turns.next(bytes)),
        }
    }
}

impl Turns<'_> {
    fn next(&mut self, bytes: usize) -> u128 {
        if self.left == 0 {
            let (turn, shards) = (self.traffic.turn(), &self.stream.shards);
            // Round after round through the slices of each shard, so that none looks hotter than it is.
            let round = turn / shards.taking_count() as u64;
            self.hash = slice_start(shards.in_turn(turn).range, usize::try_from(round).unwrap_or(0));
            self.left = self.run;
        }
        self.left = self.left.saturating_sub(bytes + RECORD_WEIGHT);
        self.hash
    }
}
