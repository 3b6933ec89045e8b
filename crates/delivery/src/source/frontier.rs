//! Which shards are being read, and which are not read yet or not any more. Pure.
//!
//! ```text
//! listed ──▶ reading, from offset 0 ──▶ done ──▶ (not listed any more)
//!            once all its parents are done or gone
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use levada_core::engine::Offset;
use levada_core::shard::Shard;
use serde::{Deserialize, Serialize};

/// How far a data stream is copied. A listed shard that is neither read nor done waits for its parents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Flat", into = "Flat")]
pub(crate) struct Frontier {
    /// By index of the shard: the offset of the first record that is not copied.
    pub(crate) reading: BTreeMap<u32, Offset>,
    /// Shards that are listed and copied to their ends, or that had ended before the delivery stream began.
    pub(crate) done: BTreeSet<u32>,
}

/// The same as a log writes it: JSON has no maps with numbers as keys.
#[derive(Serialize, Deserialize)]
struct Flat {
    reading: Vec<(u32, Offset)>,
    done: Vec<u32>,
}

impl From<Flat> for Frontier {
    fn from(flat: Flat) -> Self {
        Self { reading: flat.reading.into_iter().collect(), done: flat.done.into_iter().collect() }
    }
}

impl From<Frontier> for Flat {
    fn from(frontier: Frontier) -> Self {
        Self { reading: frontier.reading.into_iter().collect(), done: frontier.done.into_iter().collect() }
    }
}

/// The shards of a data stream by index.
pub(crate) type Listed = BTreeMap<u32, Arc<Shard>>;

impl Frontier {
    /// The shards that take records now, all of them from 0 so far, for a delivery stream that begins now. Those that
    /// are closed are done.
    pub(super) fn of(shards: &[Arc<Shard>]) -> Self {
        let done = shards.iter().filter(|shard| shard.is_sealed()).map(|shard| shard.index).collect();
        let mut frontier = Self { reading: BTreeMap::new(), done };
        frontier.adopt(&shards.iter().map(|shard| (shard.index, Arc::clone(shard))).collect());
        frontier
    }

    /// Begins every listed shard whose parents are done or not listed any more, and answers their indexes.
    pub(super) fn adopt(&mut self, listed: &Listed) -> Vec<u32> {
        let known = |index: &u32| self.reading.contains_key(index) || self.done.contains(index);
        let over = |parent: &u32| self.done.contains(parent) || !listed.contains_key(parent);
        let new = listed.values().filter(|shard| !known(&shard.index) && shard.parents.iter().all(over));
        let new: Vec<u32> = new.map(|shard| shard.index).collect();
        self.reading.extend(new.iter().map(|index| (*index, 0)));
        new
    }

    /// Takes out what is not listed any more, and answers those that were not copied to their ends, with how far they
    /// were.
    pub(super) fn expire(&mut self, listed: &Listed) -> Vec<(u32, Offset)> {
        self.done.retain(|index| listed.contains_key(index));
        self.reading.extract_if(.., |index, _| !listed.contains_key(index)).collect()
    }

    /// The shard is copied to its end.
    pub(super) fn finish(&mut self, shard: u32) {
        self.reading.remove(&shard);
        self.done.insert(shard);
    }
}

#[cfg(test)]
mod tests {
    use levada_core::engine::LogId;
    use levada_core::hash_range::HashKeyRange;
    use levada_core::shard::Closed;

    use super::*;

    fn shard(index: u32, parents: &[u32], sealed: bool) -> Arc<Shard> {
        let closed = sealed.then(|| Closed { secs: 1, at_ms: 1_000, children: Vec::new(), sealed });
        Arc::new(Shard {
            index,
            range: HashKeyRange { start: 0, end: u128::MAX },
            parents: parents.to_vec(),
            created_secs: 0,
            log: LogId(u64::from(index)),
            floor: 0,
            closed,
        })
    }

    fn listed(shards: &[Arc<Shard>]) -> Listed {
        shards.iter().map(|shard| (shard.index, Arc::clone(shard))).collect()
    }

    /// 0 was split into 1 and 2; 2 and 3 are to be merged into 4, and 4 to be split into 5 and 6.
    fn family() -> Vec<Arc<Shard>> {
        vec![
            shard(0, &[], true),
            shard(1, &[0], false),
            shard(2, &[0], false),
            shard(3, &[], false),
            shard(4, &[2, 3], false),
            shard(5, &[4], false),
            shard(6, &[4], false),
        ]
    }

    #[test]
    fn a_new_delivery_stream_begins_with_the_shards_that_take_records() {
        let frontier = Frontier { reading: [(1, 0), (2, 0), (3, 0)].into(), done: [0].into() };
        assert_eq!(Frontier::of(&family()), frontier);
    }

    #[test]
    fn a_child_is_begun_when_all_its_parents_are_done() {
        let listed = listed(&family());
        let mut frontier = Frontier { reading: [(1, 9), (2, 8), (3, 7)].into(), done: [0].into() };
        assert!(frontier.adopt(&listed).is_empty());
        frontier.finish(2);
        assert!(frontier.adopt(&listed).is_empty());
        frontier.finish(3);
        assert_eq!(frontier.adopt(&listed), [4]);
        assert!(frontier.adopt(&listed).is_empty());
        frontier.finish(4);
        assert_eq!(frontier.adopt(&listed), [5, 6]);
        assert_eq!(frontier.reading, [(1, 9), (5, 0), (6, 0)].into());
        assert_eq!(frontier.done, [0, 2, 3, 4].into());
    }

    #[test]
    fn what_expires_is_forgotten_and_its_children_are_begun() {
        let mut frontier = Frontier { reading: [(1, 9), (2, 8)].into(), done: [0, 3].into() };
        // 0, 2 and 3 are past retention; 2 had not been read to its end.
        let left: Listed = listed(&family()).into_iter().filter(|(index, _)| ![0, 2, 3].contains(index)).collect();
        assert_eq!(frontier.expire(&left), [(2, 8)]);
        assert_eq!(frontier.adopt(&left), [4]);
        assert_eq!(frontier, Frontier { reading: [(1, 9), (4, 0)].into(), done: [].into() });
    }

    #[test]
    fn of_a_family_whose_middle_has_expired_the_grandchildren_are_begun() {
        let mut frontier = Frontier { reading: [(1, 9), (2, 8), (3, 7)].into(), done: [].into() };
        let left: Listed = listed(&family()).into_iter().filter(|(index, _)| [1, 5, 6].contains(index)).collect();
        assert_eq!(frontier.expire(&left), [(2, 8), (3, 7)]);
        assert_eq!(frontier.adopt(&left), [5, 6]);
    }
}
