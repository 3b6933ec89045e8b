//! The state that the events add up to, and the questions that it answers.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::FIRST_LOG;
use super::command::{Command, DomainError};
use super::delivery_stream::DeliveryStream;
use super::scope::{ResourceKey, Scope};
use super::stream::Stream;
use crate::engine::{LogId, LogSpec, Millis};

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
    pub(super) next_log: u64,
    pub(super) next_incarnation: u64,
    pub(super) clock_noted: Option<Millis>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            streams: BTreeMap::new(),
            delivery_streams: BTreeMap::new(),
            last_created_secs: BTreeMap::new(),
            next_log: FIRST_LOG,
            next_incarnation: 1,
            clock_noted: None,
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
            ..Self::default()
        };
        for stream in flat.streams {
            state.streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream);
        }
        for stream in flat.delivery_streams {
            state.delivery_streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream);
        }
        state
    }
}

/// What must be done in the engine before a status changes: do it (again, if need be), then submit the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// Create these logs.
    CreateLogs {
        /// To be submitted when they exist.
        command: Command,
        /// The logs.
        logs: Vec<LogSpec>,
    },
    /// Delete these logs.
    DeleteLogs {
        /// To be submitted when they are gone.
        command: Command,
        /// The logs.
        logs: Vec<LogId>,
    },
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
        self.streams_after(scope, None).map(|stream| stream.shards.open_count() as u64).sum()
    }

    /// When the wall clock was last believed to be right, `None` in a new catalog: what
    /// [`RetentionClock::start`](crate::retention::RetentionClock::start) wants to know.
    #[must_use]
    pub fn clock_noted(&self) -> Option<Millis> {
        self.clock_noted
    }

    /// All that a restart must take up again.
    #[must_use]
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let streams = self.all_streams().filter_map(|stream| stream.unfinished());
        streams.chain(self.all_delivery_streams().filter_map(|stream| stream.unfinished())).collect()
    }
}

fn names_after<'a, T>(names: Option<&'a Names<T>>, after: Option<&str>) -> impl Iterator<Item = &'a T> + use<'a, T> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = names.map(|names| names.range::<str, _>((start, Bound::Unbounded)));
    range.into_iter().flatten().map(|(_, value)| value)
}
