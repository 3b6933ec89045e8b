//! When something is due, so that nobody looks through ten thousand idle streams.

use std::collections::{BTreeMap, BTreeSet};

use super::scope::ResourceKey;
use crate::engine::Millis;

/// Whose work it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Stream(ResourceKey),
    DeliveryStream(ResourceKey),
}

impl Owner {
    pub(super) fn incarnation(&self) -> u64 {
        match self {
            Self::Stream(key) | Self::DeliveryStream(key) => key.incarnation,
        }
    }
}

/// The first due time of each resource that has unfinished work. A function of the resources, not part of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Schedule {
    /// By incarnation, which streams and delivery streams share.
    owners: BTreeMap<u64, (Millis, Owner)>,
    times: BTreeSet<(Millis, u64)>,
}

impl Schedule {
    /// The owner's first work is due then; `None`: it has none.
    pub(super) fn set(&mut self, owner: Owner, due: Option<Millis>) {
        let incarnation = owner.incarnation();
        if let Some((before, _)) = self.owners.remove(&incarnation) {
            self.times.remove(&(before, incarnation));
        }
        if let Some(due) = due {
            self.times.insert((due, incarnation));
            self.owners.insert(incarnation, (due, owner));
        }
    }

    /// The owner of this incarnation, if it has work.
    pub(super) fn owner(&self, incarnation: u64) -> Option<&Owner> {
        self.owners.get(&incarnation).map(|(_, owner)| owner)
    }

    /// When the first of all is due.
    pub(super) fn first(&self) -> Option<Millis> {
        self.times.first().map(|&(due, _)| due)
    }

    /// Who has work that is due by `now`, in the order of time.
    pub(super) fn until(&self, now: Millis) -> impl Iterator<Item = &Owner> {
        let due = self.times.range(..=(now, u64::MAX));
        due.filter_map(|(_, incarnation)| self.owners.get(incarnation).map(|(_, owner)| owner))
    }
}
