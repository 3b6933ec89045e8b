//! The shards of a stream: who may be named, who takes the puts, who waits for its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::Millis;
use crate::hash_range::{NotAPartition, Router};
use crate::shard::{Closed, Shard, ShardId};

/// How long a shard lives at least that was split or merged before its own start, in milliseconds.
pub const SHORTEST_LIFE_MS: Millis = 1000;

/// The shards of a stream in the order of their indexes, with gaps where shards have expired. Cheap to clone.
///
/// A shard goes through: listed (its parents are not sealed yet), taking puts, taking puts with a decided end, sealed,
/// expired. Two sets of shards cover all hash keys exactly once at every moment: those that take puts now, to which
/// [`route`](Self::route) leads, and those without a decided end, which a reshard may name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Arc<Shard>>", into = "Vec<Arc<Shard>>")]
pub struct ShardTable {
    all: Arc<[Arc<Shard>]>,
    /// Leads to places in `all`.
    router: Arc<Router>,
    open: usize,
}

/// Shards that cannot be those of one stream, or a change that does not fit them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Those that take puts, or those without an end, do not cover all hash keys exactly once.
    #[error(transparent)]
    NotAPartition(#[from] NotAPartition),
    /// Two shards of one index.
    #[error("shard {0} stands twice in the table")]
    Repeated(u32),
    /// There is no such shard.
    #[error("there is no shard {0}")]
    Unknown(u32),
    /// A new shard's index is not the next one.
    #[error("shard {0} is not the next one")]
    OutOfOrder(u32),
    /// Parent and child disagree about each other, their ranges or their times.
    #[error("shard {0} does not fit its children")]
    Family(u32),
    /// Its end is decided already.
    #[error("the end of shard {0} is decided already")]
    HasEnd(u32),
    /// It cannot be sealed: it has no end, is sealed already, or takes no puts yet.
    #[error("shard {0} is not about to close")]
    NotClosing(u32),
    /// It cannot expire: it is not sealed.
    #[error("shard {0} is not sealed")]
    NotSealed(u32),
}

/// Shards that must be sealed together, and the shards that take their puts from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// One (split), or two (merge).
    pub parents: Vec<u32>,
    /// Two, or one.
    pub children: Vec<u32>,
    /// The parents' last millisecond as planned: to be sealed then, or as soon as possible afterwards.
    pub due: Millis,
}

impl Closing {
    /// The floor of the children's logs, once the parents' logs are sealed and ended with these arrival times: later
    /// than all of them and not before the planned start.
    #[must_use]
    pub fn floor(&self, last_arrivals: impl IntoIterator<Item = Millis>) -> Millis {
        last_arrivals.into_iter().fold(self.due, Millis::max).saturating_add(1)
    }
}

impl ShardTable {
    /// Sorts the shards and checks that they can be those of one stream.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn new(mut shards: Vec<Arc<Shard>>) -> Result<Self, TableError> {
        shards.sort_unstable_by_key(|shard| shard.index);
        if let Some(pair) = shards.windows(2).find(|pair| pair[0].index == pair[1].index) {
            return Err(TableError::Repeated(pair[0].index));
        }
        for shard in &shards {
            check_family(&shards, shard)?;
        }
        let open = shards.iter().filter(|shard| shard.is_open()).map(|shard| (shard.range, shard.index));
        let open = Router::new(open)?.len();
        let taking = (0..).zip(&shards).filter(|(_, shard)| takes_puts(&shards, shard));
        let router = Router::new(taking.map(|(place, shard)| (shard.range, place)))?;
        Ok(Self { all: shards.into(), router: Arc::new(router), open })
    }

    /// Of a new stream, whose ranges [`even_ranges`](crate::hash_range::even_ranges) has made.
    #[expect(clippy::expect_used, reason = "even ranges of one or more shards cover all hash keys once")]
    pub(super) fn of_even_ranges(shards: Vec<Arc<Shard>>) -> Self {
        Self::new(shards).expect("even ranges")
    }

    /// All shards: closed ones, and those that do not take puts yet, included.
    #[must_use]
    pub fn all(&self) -> &[Arc<Shard>] {
        &self.all
    }

    /// Number of shards whose end is not decided: OpenShardCount.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open
    }

    /// Shards whose end is not decided: those that a reshard may name.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.all.iter().filter(|shard| shard.is_open())
    }

    /// The shard that takes a record with this hash key now: a parent until it is sealed, a child from then on.
    #[must_use]
    pub fn route(&self, hash: u128) -> &Arc<Shard> {
        &self.all[self.place(hash)]
    }

    /// The place in [`Self::all`] of the shard to which [`Self::route`] leads.
    #[must_use]
    pub fn place(&self, hash: u128) -> usize {
        self.router.route(hash) as usize
    }

    /// The shards that take puts now, one by one in the order of their hash keys, round and round.
    #[must_use]
    pub fn in_turn(&self, turn: u64) -> &Arc<Shard> {
        &self.all[self.router.nth(turn) as usize]
    }

    /// Number of shards that take puts now, at least 1.
    #[must_use]
    pub fn taking_count(&self) -> usize {
        self.router.len()
    }

    /// Whether it takes puts now.
    #[must_use]
    pub fn takes_puts(&self, shard: &Shard) -> bool {
        takes_puts(&self.all, shard)
    }

    /// The shard with this id.
    #[must_use]
    pub fn get(&self, id: ShardId) -> Option<&Arc<Shard>> {
        find(&self.all, id.0)
    }

    /// The shards behind this id.
    #[must_use]
    pub fn after(&self, id: ShardId) -> &[Arc<Shard>] {
        &self.all[self.all.partition_point(|shard| shard.index <= id.0)..]
    }

    /// The index of the next shard. Never one that was used before: a shard with the highest index has no children,
    /// so it has no end and does not expire.
    #[must_use]
    pub fn next_index(&self) -> u32 {
        self.all.last().map_or(0, |last| last.index + 1)
    }

    /// From when on the shard's hash keys are its own. A shard that continues none of this table, because it is of the
    /// first ones or its parents have expired, counts as having been there always.
    #[must_use]
    pub fn since(&self, shard: &Shard) -> Millis {
        if parents(&self.all, shard).next().is_some() { shard.floor } else { 0 }
    }

    /// What waits to be sealed, in the order of its time. Shards whose own parents are not sealed yet follow later.
    #[must_use]
    pub fn unsealed(&self) -> Vec<Closing> {
        let mut closings: Vec<_> = self.all.iter().filter_map(|shard| self.closing(shard)).collect();
        closings.sort_by_key(|closing| closing.due);
        closings
    }

    /// The closing of which `shard` is the first parent.
    fn closing(&self, shard: &Shard) -> Option<Closing> {
        let closed = shard.closed.as_ref().filter(|closed| !closed.sealed)?;
        let child = find(&self.all, *closed.children.first()?)?;
        let first = child.parents.first() == Some(&shard.index);
        let ready = parents(&self.all, child).all(|parent| self.takes_puts(parent));
        (first && ready).then(|| Closing {
            parents: child.parents.clone(),
            children: closed.children.clone(),
            due: closed.at_ms,
        })
    }

    /// The shards that are sealed and ended before `horizon_ms`: all their records are past retention.
    #[must_use]
    pub fn expired(&self, horizon_ms: Millis) -> Vec<u32> {
        let gone = |closed: &Closed| closed.sealed && closed.at_ms < horizon_ms;
        let expired = self.all.iter().filter(|shard| shard.closed.as_ref().is_some_and(gone));
        expired.map(|shard| shard.index).collect()
    }

    /// With the decided ends of some shards and the children that they get.
    ///
    /// # Errors
    /// [`TableError`] if they do not fit.
    pub fn add_generation(&self, closing: &[(u32, Closed)], children: &[Arc<Shard>]) -> Result<Self, TableError> {
        let mut shards = self.all.to_vec();
        for (index, closed) in closing {
            let shard = find_mut(&mut shards, *index)?;
            if shard.closed.is_some() || closed.sealed {
                return Err(TableError::HasEnd(*index));
            }
            Arc::make_mut(shard).closed = Some(closed.clone());
        }
        for (next, child) in (self.next_index()..).zip(children) {
            if child.index != next {
                return Err(TableError::OutOfOrder(child.index));
            }
            shards.push(Arc::clone(child));
        }
        Self::new(shards)
    }

    /// With these shards sealed, given the arrival time of each one's last record (or its log's floor). From now on
    /// their children take the puts. Real ends push what was planned behind them: the children's floors, and the ends
    /// of children that were themselves to close before they have lived [`SHORTEST_LIFE_MS`].
    ///
    /// # Errors
    /// [`TableError`] unless all of them take puts and have an end, and both parents of a merge are among them.
    pub fn seal(&self, last_arrivals: &[(u32, Millis)]) -> Result<Self, TableError> {
        let mut shards = self.all.to_vec();
        for &(index, last) in last_arrivals {
            let shard = find_mut(&mut shards, index)?;
            if !self.takes_puts(shard) {
                return Err(TableError::NotClosing(index));
            }
            match &mut Arc::make_mut(shard).closed {
                Some(closed) if !closed.sealed => {
                    closed.at_ms = closed.at_ms.max(last);
                    closed.sealed = true;
                }
                _ => return Err(TableError::NotClosing(index)),
            }
        }
        settle(&mut shards)?;
        Self::new(shards)
    }

    /// Without these shards, whose records are past retention.
    ///
    /// # Errors
    /// [`TableError`] unless all of them are sealed, and their ancestors go with them.
    pub fn expire(&self, indexes: &[u32]) -> Result<Self, TableError> {
        let indexes: BTreeSet<u32> = indexes.iter().copied().collect();
        for &index in &indexes {
            let shard = find(&self.all, index).ok_or(TableError::Unknown(index))?;
            if !shard.is_sealed() {
                return Err(TableError::NotSealed(index));
            }
        }
        Self::new(self.all.iter().filter(|shard| !indexes.contains(&shard.index)).cloned().collect())
    }
}

fn find(all: &[Arc<Shard>], index: u32) -> Option<&Arc<Shard>> {
    place(all, index).map(|place| &all[place])
}

fn find_mut(all: &mut [Arc<Shard>], index: u32) -> Result<&mut Arc<Shard>, TableError> {
    let place = place(all, index).ok_or(TableError::Unknown(index))?;
    Ok(&mut all[place])
}

fn place(all: &[Arc<Shard>], index: u32) -> Option<usize> {
    // Shards expire from the front, so there are few gaps behind the first that is left.
    let guess = index.checked_sub(all.first()?.index)? as usize;
    if all.get(guess).is_some_and(|shard| shard.index == index) {
        return Some(guess);
    }
    all.binary_search_by_key(&index, |shard| shard.index).ok()
}

/// The parents that are still in the table.
fn parents<'a>(all: &'a [Arc<Shard>], shard: &Shard) -> impl Iterator<Item = &'a Arc<Shard>> {
    shard.parents.iter().filter_map(|&parent| find(all, parent))
}

fn takes_puts(all: &[Arc<Shard>], shard: &Shard) -> bool {
    !shard.is_sealed() && parents(all, shard).all(|parent| parent.is_sealed())
}

/// Checks a shard against its children, and that its parents know it.
fn check_family(all: &[Arc<Shard>], shard: &Shard) -> Result<(), TableError> {
    let torn = TableError::Family(shard.index);
    let known = |parent: &Arc<Shard>| parent.closed.as_ref().is_some_and(|c| c.children.contains(&shard.index));
    if !parents(all, shard).all(known) {
        return Err(torn);
    }
    let Some(closed) = &shard.closed else { return Ok(()) };
    let children: Option<Vec<_>> = closed.children.iter().map(|&child| find(all, child)).collect();
    let children = children.ok_or(torn)?;
    let later = |child: &&Arc<Shard>| {
        child.parents.contains(&shard.index)
            && child.index > shard.index
            && child.created_secs > shard.created_secs.max(closed.secs)
            && Some(child.floor) == closed.at_ms.checked_add(1)
    };
    let ranges_fit = match children.as_slice() {
        [merged] => {
            merged.range.start <= shard.range.start && shard.range.end <= merged.range.end && merged.parents.len() == 2
        }
        [lower, upper] => {
            lower.range.start == shard.range.start
                && lower.range.end.checked_add(1) == Some(upper.range.start)
                && upper.range.end == shard.range.end
                && lower.parents.len() == 1
                && upper.parents.len() == 1
        }
        _ => false,
    };
    if ranges_fit && closed.at_ms >= shard.floor && children.iter().all(later) { Ok(()) } else { Err(torn) }
}

/// Lets all times follow on the real ends: both parents of a merge end together, children start behind them.
fn settle(shards: &mut [Arc<Shard>]) -> Result<(), TableError> {
    // Parents stand before their children, so that one pass carries a shift through all generations.
    for place in 0..shards.len() {
        let ends = parents(shards, &shards[place]).filter_map(|parent| parent.closed.as_ref());
        let Some(end) = ends.map(|closed| closed.at_ms).max() else { continue };
        for parent in shards[place].parents.clone() {
            let parent = find_mut(shards, parent)?;
            if parent.closed.as_ref().is_some_and(|closed| closed.at_ms != end)
                && let Some(closed) = &mut Arc::make_mut(parent).closed
            {
                closed.at_ms = end;
            }
        }
        let floor = end.saturating_add(1);
        if shards[place].floor != floor {
            let shard = Arc::make_mut(&mut shards[place]);
            shard.floor = floor;
            if let Some(closed) = &mut shard.closed {
                closed.at_ms = closed.at_ms.max(floor.saturating_add(SHORTEST_LIFE_MS));
            }
        }
    }
    Ok(())
}

impl TryFrom<Vec<Arc<Shard>>> for ShardTable {
    type Error = TableError;

    fn try_from(shards: Vec<Arc<Shard>>) -> Result<Self, TableError> {
        Self::new(shards)
    }
}

impl From<ShardTable> for Vec<Arc<Shard>> {
    fn from(table: ShardTable) -> Self {
        table.all.to_vec()
    }
}

#[cfg(test)]
mod tests;
