//! Streams, their shards and their consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Contradiction, contradiction, remove_name};
use crate::catalog::consumer::{Consumer, ConsumerRef, ConsumerStatus};
use crate::catalog::event::Transition;
use crate::catalog::schedule::Owner;
use crate::catalog::scope::ResourceKey;
use crate::catalog::settings::{Change, PendingUpdate};
use crate::catalog::state::State;
use crate::catalog::stream::{Stream, StreamStatus};
use crate::engine::{LogId, Millis};
use crate::reshard::NewShards;
use crate::scaling::Load;

const USABLE: [StreamStatus; 2] = [StreamStatus::Active, StreamStatus::Updating];

/// Changes the stream if it is in one of these statuses and `change` agrees; else leaves all as it was.
fn change(
    state: &mut State,
    key: &ResourceKey,
    what: &'static str,
    from: &[StreamStatus],
    change: impl FnOnce(&mut Stream) -> Option<()>,
) -> Result<(), Contradiction> {
    let refuse = || contradiction(what, key);
    let found = state.streams.get_mut(&key.scope).and_then(|names| names.get_mut(&key.name));
    let found = found.filter(|stream| stream.incarnation == key.incarnation && from.contains(&stream.status));
    let found = found.ok_or_else(refuse)?;
    let mut stream = Stream::clone(found);
    change(&mut stream).ok_or_else(refuse)?;
    let due = stream.next_due();
    *found = Arc::new(stream);
    state.schedule.set(Owner::Stream(key.clone()), due);
    Ok(())
}

pub(super) fn create(state: &mut State, stream: &Arc<Stream>) -> Result<(), Contradiction> {
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
    state.schedule.set(Owner::Stream(stream.key()), stream.next_due());
    remove_name(&mut state.past_mode_switches, &stream.scope, &stream.name);
    state.streams.entry(stream.scope.clone()).or_default().insert(stream.name.clone(), stream.clone());
    state.next_incarnation = stream.incarnation + 1;
    state.next_log = last_log + 1;
    note_second(state, &stream.key(), last_secs);
    Ok(())
}

/// A shard or consumer of the stream was created in this second.
fn note_second(state: &mut State, key: &ResourceKey, secs: u64) {
    let last = state.last_created_secs.entry(key.scope.clone()).or_default().entry(key.name.clone()).or_default();
    *last = secs.max(*last);
}

pub(super) fn become_active(state: &mut State, key: &ResourceKey) -> Result<(), Contradiction> {
    change(state, key, "StreamBecameActive", &[StreamStatus::Creating], |stream| {
        stream.status = StreamStatus::Active;
        stream.due = 0;
        Some(())
    })
}

pub(super) fn start_deletion(state: &mut State, transition: &Transition) -> Result<(), Contradiction> {
    change(state, &transition.key, "StreamDeletionStarted", &USABLE, |stream| {
        stream.status = StreamStatus::Deleting;
        stream.due = transition.due;
        stream.update = None;
        Some(())
    })
}

pub(super) fn remove(state: &mut State, key: &ResourceKey) -> Result<(), Contradiction> {
    change(state, key, "StreamGone", &[StreamStatus::Deleting], |_| Some(()))?;
    state.schedule.set(Owner::Stream(key.clone()), None);
    let Some(stream) = remove_name(&mut state.streams, &key.scope, &key.name) else { return Ok(()) };
    let consumers = stream.consumers.values().map(|consumer| consumer.created_secs());
    note_second(state, key, consumers.fold(stream.last_consumer_secs, u64::max));
    if !stream.history.mode_switches.is_empty() {
        let names = state.past_mode_switches.entry(key.scope.clone()).or_default();
        names.insert(key.name.clone(), stream.history.mode_switches.clone());
    }
    Ok(())
}

pub(super) fn update(state: &mut State, key: &ResourceKey, at: Millis, decided: &Change) -> Result<(), Contradiction> {
    change(state, key, "StreamUpdated", &[StreamStatus::Active], |stream| {
        decided.note(stream, at);
        decided.clone().apply(stream, at);
        Some(())
    })
}

pub(super) fn start_update(state: &mut State, key: &ResourceKey, update: &PendingUpdate) -> Result<(), Contradiction> {
    change(state, key, "StreamUpdateStarted", &[StreamStatus::Active], |stream| {
        update.change.note(stream, update.since);
        stream.status = StreamStatus::Updating;
        stream.update = Some(update.clone());
        Some(())
    })
}

pub(super) fn finish_update(state: &mut State, key: &ResourceKey) -> Result<(), Contradiction> {
    change(state, key, "StreamUpdateFinished", &[StreamStatus::Updating], |stream| {
        let update = stream.update.take()?;
        stream.status = StreamStatus::Active;
        update.change.apply(stream, update.due);
        Some(())
    })
}

pub(super) fn add_shards(
    state: &mut State,
    key: &ResourceKey,
    at: Millis,
    new: &NewShards,
    next_due: Option<Millis>,
) -> Result<(), Contradiction> {
    let refuse = || contradiction("ShardsAdded", key);
    let logs: BTreeSet<u64> = new.shards.iter().map(|shard| shard.log.0).collect();
    let (Some(&first_log), Some(&last_log)) = (logs.first(), logs.last()) else { return Err(refuse()) };
    if first_log < state.next_log || logs.len() != new.shards.len() {
        return Err(refuse());
    }
    change(state, key, "ShardsAdded", &[StreamStatus::Updating], |stream| {
        let update = stream.update.as_mut()?;
        let Change::Reshard { generations, .. } = &mut update.change else { return None };
        generations.drain(..1.min(generations.len()));
        stream.shards = stream.shards.add_generation(&new.closed, &new.shards).ok()?;
        match next_due {
            Some(due) if !generations.is_empty() => (update.since, update.due) = (at, due),
            None if generations.is_empty() => {
                stream.status = StreamStatus::Active;
                stream.update = None;
            }
            _ => return None,
        }
        Some(())
    })?;
    state.next_log = last_log + 1;
    note_second(state, key, new.shards.iter().map(|shard| shard.created_secs).fold(0, u64::max));
    Ok(())
}

pub(super) fn seal(state: &mut State, key: &ResourceKey, parents: &[(u32, Millis)]) -> Result<(), Contradiction> {
    change(state, key, "ShardsSealed", &USABLE, |stream| {
        stream.shards = stream.shards.seal(parents).ok()?;
        Some(())
    })
}

pub(super) fn expire(state: &mut State, key: &ResourceKey, shards: &[u32]) -> Result<(), Contradiction> {
    change(state, key, "ShardsExpired", &USABLE, |stream| {
        let gone: BTreeSet<_> = shards.iter().copied().collect();
        let left = stream.shards.expire(shards).ok()?;
        let logs = stream.shards.all().iter().filter(|shard| gone.contains(&shard.index)).map(|shard| shard.log);
        stream.retired_logs.extend(logs);
        stream.shards = left;
        Some(())
    })
}

pub(super) fn forget_logs(state: &mut State, key: &ResourceKey, logs: &[LogId]) -> Result<(), Contradiction> {
    change(state, key, "LogsForgotten", &USABLE, |stream| {
        let before = stream.retired_logs.len();
        stream.retired_logs.retain(|log| !logs.contains(log));
        (stream.retired_logs.len() < before).then_some(())
    })
}

pub(super) fn note_peak(state: &mut State, key: &ResourceKey, minute: u64, load: Load) -> Result<(), Contradiction> {
    change(state, key, "PeakNoted", &USABLE, |stream| {
        Arc::make_mut(&mut stream.peaks).note(minute, load);
        Some(())
    })
}

pub(super) fn register(state: &mut State, key: &ResourceKey, consumer: &Consumer) -> Result<(), Contradiction> {
    change(state, key, "ConsumerRegistered", &USABLE, |stream| {
        let free = !stream.consumers.contains_key(&consumer.name)
            && (stream.last_consumer_secs == 0 || consumer.created_secs() > stream.last_consumer_secs);
        free.then(|| stream.consumers.insert(consumer.name.clone(), Arc::new(consumer.clone())))?;
        Some(())
    })
}

fn consumer_in<'a>(
    stream: &'a mut Stream,
    consumer: &ConsumerRef,
    from: &[ConsumerStatus],
) -> Option<&'a mut Consumer> {
    let found = stream.consumers.get_mut(&consumer.name);
    let found = found.filter(|found| found.created_secs() == consumer.created_secs && from.contains(&found.status));
    found.map(Arc::make_mut)
}

pub(super) fn activate_consumer(
    state: &mut State,
    key: &ResourceKey,
    consumer: &ConsumerRef,
) -> Result<(), Contradiction> {
    change(state, key, "ConsumerBecameActive", &USABLE, |stream| {
        let consumer = consumer_in(stream, consumer, &[ConsumerStatus::Creating])?;
        consumer.status = ConsumerStatus::Active;
        consumer.due = 0;
        Some(())
    })
}

pub(super) fn start_consumer_deletion(
    state: &mut State,
    key: &ResourceKey,
    consumer: &ConsumerRef,
    due: Millis,
) -> Result<(), Contradiction> {
    change(state, key, "ConsumerDeletionStarted", &USABLE, |stream| {
        let from = [ConsumerStatus::Creating, ConsumerStatus::Active];
        let consumer = consumer_in(stream, consumer, &from)?;
        consumer.status = ConsumerStatus::Deleting;
        consumer.due = due;
        Some(())
    })
}

pub(super) fn remove_consumer(
    state: &mut State,
    key: &ResourceKey,
    consumer: &ConsumerRef,
) -> Result<(), Contradiction> {
    change(state, key, "ConsumerGone", &USABLE, |stream| {
        let any = [ConsumerStatus::Creating, ConsumerStatus::Active, ConsumerStatus::Deleting];
        consumer_in(stream, consumer, &any)?;
        stream.consumers.remove(&consumer.name);
        stream.last_consumer_secs = stream.last_consumer_secs.max(consumer.created_secs);
        Some(())
    })
}

/// The tags and the policy of the stream or its consumer.
fn tags_and_policy<'a>(
    stream: &'a mut Stream,
    consumer: Option<&ConsumerRef>,
) -> Option<(&'a mut BTreeMap<String, String>, &'a mut Option<String>)> {
    let Some(consumer) = consumer else { return Some((&mut stream.tags, &mut stream.policy)) };
    let any = [ConsumerStatus::Creating, ConsumerStatus::Active, ConsumerStatus::Deleting];
    let consumer = consumer_in(stream, consumer, &any)?;
    Some((&mut consumer.tags, &mut consumer.policy))
}

pub(super) fn tag(
    state: &mut State,
    key: &ResourceKey,
    consumer: Option<&ConsumerRef>,
    tags: &BTreeMap<String, String>,
) -> Result<(), Contradiction> {
    change(state, key, "Tagged", &USABLE, |stream| {
        let (present, _) = tags_and_policy(stream, consumer)?;
        present.extend(tags.clone());
        Some(())
    })
}

pub(super) fn untag(
    state: &mut State,
    key: &ResourceKey,
    consumer: Option<&ConsumerRef>,
    keys: &BTreeSet<String>,
) -> Result<(), Contradiction> {
    change(state, key, "Untagged", &USABLE, |stream| {
        let (present, _) = tags_and_policy(stream, consumer)?;
        present.retain(|key, _| !keys.contains(key));
        Some(())
    })
}

pub(super) fn change_policy(
    state: &mut State,
    key: &ResourceKey,
    consumer: Option<&ConsumerRef>,
    policy: Option<&String>,
) -> Result<(), Contradiction> {
    change(state, key, "PolicyChanged", &USABLE, |stream| {
        *tags_and_policy(stream, consumer)?.1 = policy.cloned();
        Some(())
    })
}
