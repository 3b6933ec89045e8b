//! Folding: how an event changes the state. The same for an event of this second and one of last year.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::delivery_stream::{DeliveryStatus, DeliveryStream};
use super::event::Event;
use super::scope::{ResourceKey, Scope};
use super::state::{Names, State};
use super::stream::{Stream, StreamStatus};

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
        Event::StreamCreated(stream) => create_stream(state, stream),
        Event::StreamBecameActive(key) => {
            let stream = stream_in(state, key, "StreamBecameActive", &[StreamStatus::Creating])?;
            Arc::make_mut(stream).status = StreamStatus::Active;
            Ok(())
        }
        Event::StreamDeletionStarted(key) => {
            let from = [StreamStatus::Active, StreamStatus::Updating];
            let stream = stream_in(state, key, "StreamDeletionStarted", &from)?;
            Arc::make_mut(stream).status = StreamStatus::Deleting;
            Ok(())
        }
        Event::StreamGone(key) => {
            stream_in(state, key, "StreamGone", &[StreamStatus::Deleting])?;
            remove(&mut state.streams, key);
            Ok(())
        }
        Event::DeliveryStreamCreated(stream) => create_delivery_stream(state, stream),
        Event::DeliveryStreamBecameActive(key) => {
            let from = [DeliveryStatus::Creating];
            let stream = delivery_stream_in(state, key, "DeliveryStreamBecameActive", &from)?;
            Arc::make_mut(stream).status = DeliveryStatus::Active;
            Ok(())
        }
        Event::DeliveryStreamFailed { key, reason } => {
            let from = [DeliveryStatus::Creating, DeliveryStatus::Deleting];
            let stream = Arc::make_mut(delivery_stream_in(state, key, "DeliveryStreamFailed", &from)?);
            stream.status = match stream.status {
                DeliveryStatus::Creating => DeliveryStatus::CreatingFailed,
                _ => DeliveryStatus::DeletingFailed,
            };
            stream.failure = Some(reason.clone());
            Ok(())
        }
        Event::DeliveryStreamDeletionStarted(key) => {
            let from = [DeliveryStatus::Active, DeliveryStatus::CreatingFailed, DeliveryStatus::DeletingFailed];
            let stream = Arc::make_mut(delivery_stream_in(state, key, "DeliveryStreamDeletionStarted", &from)?);
            stream.status = DeliveryStatus::Deleting;
            stream.failure = None;
            Ok(())
        }
        Event::DeliveryStreamGone(key) => {
            delivery_stream_in(state, key, "DeliveryStreamGone", &[DeliveryStatus::Deleting])?;
            remove(&mut state.delivery_streams, key);
            Ok(())
        }
        Event::ClockNoted(at) => {
            state.clock_noted = Some(*at);
            Ok(())
        }
    }
}

fn create_stream(state: &mut State, stream: &Arc<Stream>) -> Result<(), Contradiction> {
    let refuse = || contradiction("StreamCreated", &stream.key());
    let logs = || stream.shards.all().iter().map(|shard| shard.log.0);
    let secs = || stream.shards.all().iter().map(|shard| shard.created_secs);
    let last = state.last_created_secs.get(&stream.scope).and_then(|names| names.get(&stream.name));
    let (Some(first_log), Some(last_log)) = (logs().min(), logs().max()) else { return Err(refuse()) };
    let (Some(first_secs), Some(last_secs)) = (secs().min(), secs().max()) else { return Err(refuse()) };
    let repeats = state.stream(&stream.scope, &stream.name).is_ok()
        || stream.incarnation < state.next_incarnation
        || first_log < state.next_log
        || last.is_some_and(|&last| first_secs <= last);
    if repeats {
        return Err(refuse());
    }
    state.streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream.clone());
    state.next_incarnation = stream.incarnation + 1;
    state.next_log = last_log + 1;
    state.last_created_secs.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), last_secs);
    Ok(())
}

fn create_delivery_stream(state: &mut State, stream: &Arc<DeliveryStream>) -> Result<(), Contradiction> {
    let logs = [stream.data_log.0, stream.control_log.0];
    let repeats = state.delivery_stream(&stream.scope, &stream.name).is_ok()
        || stream.incarnation < state.next_incarnation
        || logs.iter().any(|&log| log < state.next_log)
        || logs[0] == logs[1];
    if repeats {
        return Err(contradiction("DeliveryStreamCreated", &stream.key()));
    }
    state.delivery_streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream.clone());
    state.next_incarnation = stream.incarnation + 1;
    state.next_log = logs[0].max(logs[1]) + 1;
    Ok(())
}

fn stream_in<'a>(
    state: &'a mut State,
    key: &ResourceKey,
    what: &'static str,
    from: &[StreamStatus],
) -> Result<&'a mut Arc<Stream>, Contradiction> {
    let stream = state.streams.get_mut(&key.scope).and_then(|names| names.get_mut(&key.name));
    let stream = stream.filter(|stream| stream.incarnation == key.incarnation && from.contains(&stream.status));
    stream.ok_or_else(|| contradiction(what, key))
}

fn delivery_stream_in<'a>(
    state: &'a mut State,
    key: &ResourceKey,
    what: &'static str,
    from: &[DeliveryStatus],
) -> Result<&'a mut Arc<DeliveryStream>, Contradiction> {
    let stream = state.delivery_streams.get_mut(&key.scope).and_then(|names| names.get_mut(&key.name));
    let stream = stream.filter(|stream| stream.incarnation == key.incarnation && from.contains(&stream.status));
    stream.ok_or_else(|| contradiction(what, key))
}

/// Removes the name, and the scope if it was the last one, so that equal states compare equal.
fn remove<T>(scopes: &mut BTreeMap<Scope, Names<T>>, key: &ResourceKey) {
    if let Some(names) = scopes.get_mut(&key.scope) {
        names.remove(&key.name);
        if names.is_empty() {
            scopes.remove(&key.scope);
        }
    }
}

fn contradiction(what: &'static str, key: &ResourceKey) -> Contradiction {
    Contradiction { what, name: key.name.clone(), incarnation: key.incarnation }
}
