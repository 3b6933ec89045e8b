//! Folding: how an event changes the state. The same for an event of this second and one of last year.

mod delivery_stream;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::Event;
use super::scope::{ResourceKey, Scope};
use super::state::{Names, State};

/// An event that cannot follow on this state: the log's order was lost, or two nodes wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {name} (incarnation {incarnation}) does not follow on what was decided before")]
pub struct Contradiction {
    /// The event's kind.
    pub what: &'static str,
    /// The stream or delivery stream.
    pub name: Arc<str>,
    /// Its incarnation in the event.
    pub incarnation: u64,
}

/// Folds `event` into `state`.
///
/// # Errors
/// [`Contradiction`], with the state unchanged. Cannot happen to an event that [`decide`](super::decide) made from
/// this state.
pub fn fold(state: &mut State, event: &Event) -> Result<(), Contradiction> {
    match event {
        Event::StreamCreated(stream) => stream::create(state, stream),
        Event::StreamBecameActive(key) => stream::become_active(state, key),
        Event::StreamDeletionStarted(transition) => stream::start_deletion(state, transition),
        Event::StreamGone(key) => stream::remove(state, key),
        Event::StreamUpdated { key, at, change } => stream::update(state, key, *at, change),
        Event::StreamUpdateStarted { key, update } => stream::start_update(state, key, update),
        Event::StreamUpdateFinished(key) => stream::finish_update(state, key),
        Event::ShardsAdded { key, at, new, next_due } => stream::add_shards(state, key, *at, new, *next_due),
        Event::ShardsSealed { key, parents } => stream::seal(state, key, parents),
        Event::ShardsExpired { key, shards } => stream::expire(state, key, shards),
        Event::LogsForgotten { key, logs } => stream::forget_logs(state, key, logs),
        Event::PeakNoted { key, minute, load } => stream::note_peak(state, key, *minute, *load),
        Event::ConsumerRegistered { key, consumer } => stream::register(state, key, consumer),
        Event::ConsumerBecameActive { key, consumer } => stream::activate_consumer(state, key, consumer),
        Event::ConsumerDeletionStarted { key, consumer, due } => {
            stream::start_consumer_deletion(state, key, consumer, *due)
        }
        Event::ConsumerGone { key, consumer } => stream::remove_consumer(state, key, consumer),
        Event::Tagged { key, consumer, tags } => stream::tag(state, key, consumer.as_ref(), tags),
        Event::Untagged { key, consumer, keys } => stream::untag(state, key, consumer.as_ref(), keys),
        Event::PolicyChanged { key, consumer, policy } => {
            stream::change_policy(state, key, consumer.as_ref(), policy.as_ref())
        }
        Event::CommitmentChanged { scope, commitment } => {
            state.commitments.insert(scope.clone(), *commitment);
            Ok(())
        }
        Event::DeliveryStreamCreated(stream) => delivery_stream::create(state, stream),
        Event::DeliveryStreamBecameActive(key) => delivery_stream::become_active(state, key),
        Event::DeliveryStreamFailed { key, reason } => delivery_stream::fail(state, key, reason),
        Event::DestinationUpdated { key, at, destination } => delivery_stream::update(state, key, *at, destination),
        Event::DeliveryEncryptionStarted { key, at, encryption } => {
            delivery_stream::start_encryption(state, key, *at, encryption)
        }
        Event::DeliveryEncryptionFinished(key) => delivery_stream::finish_encryption(state, key),
        Event::DeliveryStreamTagged { key, tags } => delivery_stream::tag(state, key, tags),
        Event::DeliveryStreamUntagged { key, keys } => delivery_stream::untag(state, key, keys),
        Event::LogBlockAssigned { key, block } => delivery_stream::assign_block(state, key, *block),
        Event::DeliveryStreamDeletionStarted(transition) => delivery_stream::start_deletion(state, transition),
        Event::DeliveryStreamGone(key) => delivery_stream::remove(state, key),
        Event::ClockNoted(at) => {
            state.clock_noted = Some(*at);
            Ok(())
        }
    }
}

/// Removes the name, and the scope if it was the last one, so that equal states compare equal.
fn remove_name<T>(scopes: &mut BTreeMap<Scope, Names<T>>, scope: &Scope, name: &str) -> Option<T> {
    let names = scopes.get_mut(scope)?;
    let removed = names.remove(name);
    if names.is_empty() {
        scopes.remove(scope);
    }
    removed
}

fn contradiction(what: &'static str, key: &ResourceKey) -> Contradiction {
    Contradiction { what, name: key.name.clone(), incarnation: key.incarnation }
}
