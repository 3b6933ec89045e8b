//! The state that the events add up to, and the questions that it answers.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::FIRST_LOG;
use super::delivery_stream::DeliveryStream;
use super::error::DomainError;
use super::schedule::{Owner, Schedule};
use super::scope::{ResourceKey, Scope};
use super::settings::Commitment;
use super::stream::{Stream, StreamMode, StreamStatus};
use super::unfinished::Unfinished;
use crate::engine::Millis;

pub(super) type Names<T> = BTreeMap<Arc<str>, T>;

/// All that the catalog knows. Streams are shared, so a reader takes an `Arc` and lets go of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Flat", into = "Flat")]
pub struct State {
    pub(super) streams: BTreeMap<Scope, Names<Arc<Stream>>>,
    pub(super) delivery_streams: BTreeMap<Scope, Names<Arc<DeliveryStream>>>,
    /// For every name that ever was a stream: the last second in which one of its shards was created. Kept for ever,
    /// so that a stream which is created again, even after the clock was set back, repeats no sequence number.
    pub(super) last_created_secs: BTreeMap<Scope, Names<u64>>,
    /// Mode switches of streams that are gone: AWS counts them on when the name is created again.
    pub(super) past_mode_switches: BTreeMap<Scope, Names<Vec<Millis>>>,
    pub(super) commitments: BTreeMap<Scope, Commitment>,
    pub(super) next_log: u64,
    pub(super) next_incarnation: u64,
    pub(super) clock_noted: Option<Millis>,
    pub(super) schedule: Schedule,
}

/// What an account has in a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Shards without an end, of all its streams.
    pub open_shards: u64,
    /// Those of provisioned streams, which the quota counts.
    pub provisioned_shards: u64,
    /// On-demand streams.
    pub on_demand_streams: usize,
    /// Streams in status CREATING.
    pub creating_streams: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            streams: BTreeMap::new(),
            delivery_streams: BTreeMap::new(),
            last_created_secs: BTreeMap::new(),
            past_mode_switches: BTreeMap::new(),
            commitments: BTreeMap::new(),
            next_log: FIRST_LOG,
            next_incarnation: 1,
            clock_noted: None,
            schedule: Schedule::default(),
        }
    }
}

/// The state as a snapshot writes it: JSON has no maps with structured keys.
#[derive(Serialize, Deserialize)]
struct Flat {
    next_log: u64,
    next_incarnation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock_noted: Option<Millis>,
    last_created_secs: Vec<(Scope, Names<u64>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    past_mode_switches: Vec<(Scope, Names<Vec<Millis>>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commitments: Vec<(Scope, Commitment)>,
    streams: Vec<Arc<Stream>>,
    delivery_streams: Vec<Arc<DeliveryStream>>,
}

impl From<State> for Flat {
    fn from(state: State) -> Self {
        Self {
            next_log: state.next_log,
            next_incarnation: state.next_incarnation,
            clock_noted: state.clock_noted,
            streams: state.all_streams().cloned().collect(),
            delivery_streams: state.all_delivery_streams().cloned().collect(),
            last_created_secs: state.last_created_secs.into_iter().collect(),
            past_mode_switches: state.past_mode_switches.into_iter().collect(),
            commitments: state.commitments.into_iter().collect(),
        }
    }
}

impl From<Flat> for State {
    fn from(flat: Flat) -> Self {
        let mut state = Self {
            next_log: flat.next_log,
            next_incarnation: flat.next_incarnation,
            clock_noted: flat.clock_noted,
            last_created_secs: flat.last_created_secs.into_iter().collect(),
            past_mode_switches: flat.past_mode_switches.into_iter().collect(),
            commitments: flat.commitments.into_iter().collect(),
            ..Self::default()
        };
        for stream in flat.streams {
            state.schedule.set(Owner::Stream(stream.key()), stream.next_due());
            state.streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream);
        }
        for stream in flat.delivery_streams {
            state.schedule.set(Owner::DeliveryStream(stream.key()), stream.next_due());
            state.delivery_streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream);
        }
        state
    }
}

impl State {
    /// The stream of this name, whatever its status.
    ///
    /// # Errors
    /// [`DomainError::StreamNotFound`].
    pub fn stream(&self, scope: &Scope, name: &str) -> Result<&Arc<Stream>, DomainError> {
        let stream = self.streams.get(scope).and_then(|names| names.get(name));
        stream.ok_or_else(|| DomainError::StreamNotFound { name: name.into(), account: scope.account.clone() })
    }

    /// The stream of this name for calls that put or read: one that is being created or deleted is not found.
    ///
    /// # Errors
    /// [`DomainError::StreamNotFound`].
    pub fn usable_stream(&self, scope: &Scope, name: &str) -> Result<&Arc<Stream>, DomainError> {
        match self.stream(scope, name)? {
            stream if stream.is_usable() => Ok(stream),
            stream => Err(DomainError::StreamNotFound { name: stream.name.clone(), account: scope.account.clone() }),
        }
    }

    /// The stream of this name, if it is still in the life that an iterator or token was made in.
    #[must_use]
    pub fn stream_incarnation(&self, key: &ResourceKey) -> Option<&Arc<Stream>> {
        let stream = self.streams.get(&key.scope)?.get(&key.name)?;
        (stream.incarnation == key.incarnation).then_some(stream)
    }

    /// The streams of the scope in the order of their names, behind `after`. Costs what is taken.
    pub fn streams_after<'a>(
        &'a self,
        scope: &Scope,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<Stream>> + use<'a> {
        names_after(self.streams.get(scope), after)
    }

    /// The delivery stream of this name, whatever its status.
    ///
    /// # Errors
    /// [`DomainError::DeliveryStreamNotFound`].
    pub fn delivery_stream(&self, scope: &Scope, name: &str) -> Result<&Arc<DeliveryStream>, DomainError> {
        let stream = self.delivery_streams.get(scope).and_then(|names| names.get(name));
        stream.ok_or_else(|| DomainError::DeliveryStreamNotFound { name: name.into(), account: scope.account.clone() })
    }

    /// The delivery stream of this name, if it is still in this life.
    #[must_use]
    pub fn delivery_stream_incarnation(&self, key: &ResourceKey) -> Option<&Arc<DeliveryStream>> {
        let stream = self.delivery_streams.get(&key.scope)?.get(&key.name)?;
        (stream.incarnation == key.incarnation).then_some(stream)
    }

    /// The delivery streams of the scope in the order of their names, behind `after`. Costs what is taken.
    pub fn delivery_streams_after<'a>(
        &'a self,
        scope: &Scope,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<DeliveryStream>> + use<'a> {
        names_after(self.delivery_streams.get(scope), after)
    }

    /// All streams of all scopes.
    pub fn all_streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.streams.values().flat_map(BTreeMap::values)
    }

    /// All delivery streams of all scopes.
    pub fn all_delivery_streams(&self) -> impl Iterator<Item = &Arc<DeliveryStream>> {
        self.delivery_streams.values().flat_map(BTreeMap::values)
    }

    /// Open shards of the scope.
    #[must_use]
    pub fn open_shards(&self, scope: &Scope) -> u64 {
        self.usage(scope).open_shards
    }

    /// What the account has in the region. Costs a look at each of its streams, whatever their size.
    #[must_use]
    pub fn usage(&self, scope: &Scope) -> Usage {
        let mut usage = Usage::default();
        for stream in self.streams_after(scope, None) {
            let open = stream.shards.open_count() as u64;
            usage.open_shards += open;
            match stream.mode {
                StreamMode::Provisioned => usage.provisioned_shards += open,
                StreamMode::OnDemand => usage.on_demand_streams += 1,
            }
            usage.creating_streams += usize::from(stream.status == StreamStatus::Creating);
        }
        usage
    }

    /// The account's minimum throughput billing commitment, if it ever gave one.
    #[must_use]
    pub fn commitment(&self, scope: &Scope) -> Option<&Commitment> {
        self.commitments.get(scope)
    }

    /// Mode switches of the last stream of this name, which is gone.
    pub(super) fn past_mode_switches(&self, scope: &Scope, name: &str) -> Vec<Millis> {
        let names = self.past_mode_switches.get(scope);
        names.and_then(|names| names.get(name)).cloned().unwrap_or_default()
    }

    /// When the wall clock was last believed to be right, `None` in a new catalog: what
    /// [`RetentionClock::start`](crate::retention::RetentionClock::start) wants to know.
    #[must_use]
    pub fn clock_noted(&self) -> Option<Millis> {
        self.clock_noted
    }

    /// All that is still to be done, the earliest first. Costs what there is.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Unfinished> {
        self.unfinished_by(Millis::MAX)
    }

    /// What is due by `now`, the earliest first. Costs what there is.
    #[must_use]
    pub fn unfinished_by(&self, now: Millis) -> Vec<Unfinished> {
        let mut all: Vec<_> = self.schedule.until(now).flat_map(|owner| self.unfinished_of(owner)).collect();
        all.retain(|unfinished| unfinished.due <= now);
        all.sort_by_key(|unfinished| unfinished.due);
        all
    }

    fn unfinished_of(&self, owner: &Owner) -> Vec<Unfinished> {
        match owner {
            Owner::Stream(key) => self.stream_incarnation(key).map(|stream| stream.unfinished()).unwrap_or_default(),
            Owner::DeliveryStream(key) => {
                self.delivery_stream_incarnation(key).map(|stream| stream.unfinished()).unwrap_or_default()
            }
        }
    }

    /// The incarnations of the streams and delivery streams that have something due by `now`, in the order of time.
    #[must_use]
    pub fn due_by(&self, now: Millis) -> Vec<u64> {
        self.schedule.until(now).map(Owner::incarnation).collect()
    }

    /// What the stream or delivery stream of this incarnation has to do by `now`, the earliest first.
    #[must_use]
    pub fn unfinished_in(&self, incarnation: u64, now: Millis) -> Vec<Unfinished> {
        let mut all = self.schedule.owner(incarnation).map(|owner| self.unfinished_of(owner)).unwrap_or_default();
        all.retain(|unfinished| unfinished.due <= now);
        all.sort_by_key(|unfinished| unfinished.due);
        all
    }

    /// When the first of [`Self::unfinished`] is due. Costs nothing.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.schedule.first()
    }
}

fn names_after<'a, T>(names: Option<&'a Names<T>>, after: Option<&str>) -> impl Iterator<Item = &'a T> + use<'a, T> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = names.map(|names| names.range::<str, _>((start, Bound::Unbounded)));
    range.into_iter().flatten().map(|(_, value)| value)
}
