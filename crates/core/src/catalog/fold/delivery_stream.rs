//! Delivery streams.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Contradiction, contradiction, remove_name};
use crate::catalog::delivery_stream::{DeliveryStatus, DeliveryStream, Destination, Encryption, LogBlock};
use crate::catalog::event::Transition;
use crate::catalog::schedule::Owner;
use crate::catalog::scope::ResourceKey;
use crate::catalog::settings::History;
use crate::catalog::state::State;
use crate::engine::Millis;

pub(super) fn create(state: &mut State, stream: &Arc<DeliveryStream>) -> Result<(), Contradiction> {
    let logs = [stream.data_log.0, stream.control_log.0];
    let block = stream.block.map(|block| (block.first.0, block.first.0 + u64::from(block.count)));
    let repeats = state.delivery_stream(&stream.scope, &stream.name).is_ok()
        || stream.incarnation < state.next_incarnation
        || logs.iter().any(|&log| log < state.next_log)
        || logs[0] == logs[1]
        || block
            .is_some_and(|(first, end)| first < state.next_log || logs.iter().any(|log| (first..end).contains(log)));
    if repeats {
        return Err(contradiction("DeliveryStreamCreated", &stream.key()));
    }
    state.schedule.set(Owner::DeliveryStream(stream.key()), stream.next_due());
    state.delivery_streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream.clone());
    state.next_incarnation = stream.incarnation + 1;
    state.next_log = (logs[0].max(logs[1]) + 1).max(block.map_or(0, |(_, end)| end));
    Ok(())
}

pub(super) fn become_active(state: &mut State, key: &ResourceKey) -> Result<(), Contradiction> {
    change(state, key, "DeliveryStreamBecameActive", &[DeliveryStatus::Creating], |stream| {
        stream.status = DeliveryStatus::Active;
        stream.due = 0;
        // Encryption that was asked for at creation.
        if let Some(encryption) = &mut stream.encryption {
            encryption.settle();
        }
    })
}

pub(super) fn update(
    state: &mut State,
    key: &ResourceKey,
    at: Millis,
    destination: &Destination,
) -> Result<(), Contradiction> {
    change(state, key, "DestinationUpdated", &[DeliveryStatus::Active], |stream| {
        stream.destination = destination.clone();
        stream.version += 1;
        stream.updated_ms = Some(at);
    })
}

pub(super) fn start_encryption(
    state: &mut State,
    key: &ResourceKey,
    at: Millis,
    encryption: &Encryption,
) -> Result<(), Contradiction> {
    change(state, key, "DeliveryEncryptionStarted", &[DeliveryStatus::Active], |stream| {
        stream.encryption = Some(encryption.clone());
        History::note(&mut stream.encryption_changes, at);
    })
}

pub(super) fn finish_encryption(state: &mut State, key: &ResourceKey) -> Result<(), Contradiction> {
    change(state, key, "DeliveryEncryptionFinished", &[DeliveryStatus::Active], |stream| {
        if let Some(encryption) = &mut stream.encryption {
            encryption.settle();
        }
    })
}

pub(super) fn tag(state: &mut State, key: &ResourceKey, tags: &BTreeMap<String, String>) -> Result<(), Contradiction> {
    change(state, key, "DeliveryStreamTagged", &DeliveryStatus::ALL, |stream| stream.tags.extend(tags.clone()))
}

pub(super) fn untag(state: &mut State, key: &ResourceKey, keys: &BTreeSet<String>) -> Result<(), Contradiction> {
    change(state, key, "DeliveryStreamUntagged", &DeliveryStatus::ALL, |stream| {
        stream.tags.retain(|tag, _| !keys.contains(tag));
    })
}

pub(super) fn assign_block(state: &mut State, key: &ResourceKey, block: LogBlock) -> Result<(), Contradiction> {
    let first = state.delivery_stream_incarnation(key).is_some_and(|stream| stream.block.is_none());
    if !first || block.first.0 < state.next_log {
        return Err(contradiction("LogBlockAssigned", key));
    }
    change(state, key, "LogBlockAssigned", &DeliveryStatus::ALL, |stream| stream.block = Some(block))?;
    state.next_log = block.first.0 + u64::from(block.count);
    Ok(())
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
