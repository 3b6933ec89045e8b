//! Delivery streams.

use std::sync::Arc;

use super::{Contradiction, contradiction, remove_name};
use crate::catalog::delivery_stream::{DeliveryStatus, DeliveryStream};
use crate::catalog::event::Transition;
use crate::catalog::schedule::Owner;
use crate::catalog::scope::ResourceKey;
use crate::catalog::state::State;

pub(super) fn create(state: &mut State, stream: &Arc<DeliveryStream>) -> Result<(), Contradiction> {
    let logs = [stream.data_log.0, stream.control_log.0];
    let repeats = state.delivery_stream(&stream.scope, &stream.name).is_ok()
        || stream.incarnation < state.next_incarnation
        || logs.iter().any(|&log| log < state.next_log)
        || logs[0] == logs[1];
    if repeats {
        return Err(contradiction("DeliveryStreamCreated", &stream.key()));
    }
    state.schedule.set(Owner::DeliveryStream(stream.key()), stream.next_due());
    state.delivery_streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream.clone());
    state.next_incarnation = stream.incarnation + 1;
    state.next_log = logs[0].max(logs[1]) + 1;
    Ok(())
}

pub(super) fn become_active(state: &mut State, key: &ResourceKey) -> Result<(), Contradiction> {
    change(state, key, "DeliveryStreamBecameActive", &[DeliveryStatus::Creating], |stream| {
        stream.status = DeliveryStatus::Active;
        stream.due = 0;
    })
}

pub(super) fn fail(state: &mut State, key: &ResourceKey, reason: &str) -> Result<(), Contradiction> {
    let from = [DeliveryStatus::Creating, DeliveryStatus::Deleting];
    change(state, key, "DeliveryStreamFailed", &from, |stream| {
        stream.status = match stream.status {
            DeliveryStatus::Creating => DeliveryStatus::CreatingFailed,
            DeliveryStatus::Deleting
            | DeliveryStatus::Active
            | DeliveryStatus::CreatingFailed
            | DeliveryStatus::DeletingFailed => DeliveryStatus::DeletingFailed,
        };
        stream.due = 0;
        stream.failure = Some(reason.to_owned());
    })
}

pub(super) fn start_deletion(state: &mut State, transition: &Transition) -> Result<(), Contradiction> {
    let from = [DeliveryStatus::Active, DeliveryStatus::CreatingFailed, DeliveryStatus::DeletingFailed];
    change(state, &transition.key, "DeliveryStreamDeletionStarted", &from, |stream| {
        stream.status = DeliveryStatus::Deleting;
        stream.due = transition.due;
        stream.failure = None;
    })
}

pub(super) fn remove(state: &mut State, key: &ResourceKey) -> Result<(), Contradiction> {
    change(state, key, "DeliveryStreamGone", &[DeliveryStatus::Deleting], |_| ())?;
    remove_name(&mut state.delivery_streams, &key.scope, &key.name);
    state.schedule.set(Owner::DeliveryStream(key.clone()), None);
    Ok(())
}

fn change(
    state: &mut State,
    key: &ResourceKey,
    what: &'static str,
    from: &[DeliveryStatus],
    change: impl FnOnce(&mut DeliveryStream),
) -> Result<(), Contradiction> {
    let stream = state.delivery_streams.get_mut(&key.scope).and_then(|names| names.get_mut(&key.name));
    let stream = stream.filter(|stream| stream.incarnation == key.incarnation && from.contains(&stream.status));
    let stream = Arc::make_mut(stream.ok_or_else(|| contradiction(what, key))?);
    change(stream);
    let due = stream.next_due();
    state.schedule.set(Owner::DeliveryStream(key.clone()), due);
    Ok(())
}
