//! What remains to be done, and from when on.

use std::collections::BTreeMap;

use super::command::Command;
use super::scope::ResourceKey;
use super::shard_table::Closing;
use crate::engine::{LogId, LogSpec, Millis};

/// Something that a durable decision left to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Not before this time; 0: at once.
    pub due: Millis,
    /// What.
    pub work: Work,
}

/// What the node does when it is due: first in the engine, then with the catalog. All of it may be done twice, and a
/// command that has been overtaken does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Create these logs.
    CreateLogs {
        /// The logs.
        logs: Vec<LogSpec>,
        /// To be submitted when they exist.
        then: Command,
    },
    /// Delete these logs. Some may never have existed.
    DeleteLogs {
        /// The logs.
        logs: Vec<LogId>,
        /// To be submitted when they are gone.
        then: Command,
    },
    /// Hand over from parents to children.
    Seal(Seal),
    /// Only time had to pass.
    Nothing {
        /// To be submitted now.
        then: Command,
    },
}

/// The hand-over from shards to their children: seal the parents' logs, create the logs that [`Self::after`] names, and
/// submit its command. Until that is durable, puts go to the parents; so a node does what is overdue before it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The stream.
    pub stream: ResourceKey,
    /// Indexes of the parents, and their logs.
    pub parents: Vec<(u32, LogId)>,
    /// What is handed over.
    pub closings: Vec<(Closing, Vec<LogSpec>)>,
}

impl Seal {
    /// What follows when the parents' logs are sealed: the children's logs, and the command to submit once they exist.
    ///
    /// `last` holds each parent's last arrival in the order of [`Self::parents`] (an empty log's is its floor). A
    /// child's records are all later than its parents'.
    #[must_use]
    pub fn after(&self, last: &[Millis]) -> (Vec<LogSpec>, Command) {
        let parents: Vec<_> = self.parents.iter().zip(last).map(|(&(index, _), &last)| (index, last)).collect();
        let arrivals: BTreeMap<_, _> = parents.iter().copied().collect();
        let logs = |(closing, logs): &(Closing, Vec<LogSpec>)| {
            let floor = closing.floor(closing.parents.iter().filter_map(|parent| arrivals.get(parent).copied()));
            logs.iter().map(|log| LogSpec { floor, ..log.clone() }).collect::<Vec<_>>()
        };
        let logs = self.closings.iter().flat_map(logs).collect();
        (logs, Command::SealShards { stream: self.stream.clone(), parents })
    }
}
