//! Decisions. Each is made once, against the state of its moment, and recorded as an event.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::{Command, DomainError, MAX_SHARDS_PER_STREAM, MAX_TAGS};
use super::delivery_stream::{DeliveryStatus, DeliveryStream, S3Destination};
use super::event::Event;
use super::scope::{ResourceKey, Scope};
use super::shard_table::ShardTable;
use super::state::State;
use super::stream::{Stream, StreamMode, StreamStatus};
use crate::engine::{LogId, Millis};
use crate::hash_range::even_ranges;
use crate::shard::Shard;

/// Decides `command` at `now_ms`. `None`: there is nothing to do, because it is so already or has been overtaken.
///
/// A command makes at most one event, and an event is one record, so that none is ever half done.
///
/// # Errors
/// The first refusal in AWS's order of checks.
pub fn decide(state: &State, now_ms: Millis, command: &Command) -> Result<Option<Event>, DomainError> {
    match command {
        Command::CreateStream { scope, name, mode, shard_count, max_record_kib, tags } => {
            let mode = mode.unwrap_or(StreamMode::Provisioned);
            let shards = shards_of_new_stream(state, scope, name, mode, *shard_count)?;
            let stream = Stream {
                incarnation: state.next_incarnation,
                scope: scope.clone(),
                name: name.clone(),
                status: StreamStatus::Creating,
                mode,
                retention_hours: Stream::DEFAULT_RETENTION_HOURS,
                max_record_kib: max_record_kib.unwrap_or(Stream::DEFAULT_MAX_RECORD_KIB),
                tags: tags.clone(),
                created_ms: now_ms,
                shards: new_shards(state, now_ms, scope, name, shards),
            };
            check_tags(tags, scope, || stream.arn())?;
            Ok(Some(Event::StreamCreated(Arc::new(stream))))
        }
        Command::DeleteStream { scope, name } => delete_stream(state, scope, name),
        Command::FinishStream(key) => Ok(finish_stream(state, key)),
        Command::CreateDeliveryStream { scope, name, destination, tags } => {
            create_delivery_stream(state, now_ms, scope, name, destination, tags)
        }
        Command::DeleteDeliveryStream { scope, name } => delete_delivery_stream(state, scope, name),
        Command::NoteClock => Ok((state.clock_noted != Some(now_ms)).then_some(Event::ClockNoted(now_ms))),
        Command::FinishDeliveryStream(key) => Ok(finish_delivery_stream(state, key)),
        Command::FailDeliveryStream { key, reason } => Ok(fail_delivery_stream(state, key, reason)),
    }
}

fn shards_of_new_stream(
    state: &State,
    scope: &Scope,
    name: &Arc<str>,
    mode: StreamMode,
    shard_count: Option<u32>,
) -> Result<u32, DomainError> {
    if state.stream(scope, name).is_ok() {
        return Err(DomainError::StreamExists { name: name.clone(), account: scope.account.clone() });
    }
    let shards = match (mode, shard_count) {
        (StreamMode::Provisioned, None | Some(0)) => return Err(DomainError::ShardCountMissing),
        (StreamMode::Provisioned, Some(shards)) => shards,
        (StreamMode::OnDemand, None) => StreamMode::ON_DEMAND_SHARDS,
        (StreamMode::OnDemand, Some(_)) => return Err(DomainError::ShardCountOnDemand),
    };
    if shards > MAX_SHARDS_PER_STREAM {
        return Err(DomainError::ShardLimit {
            scope: scope.clone(),
            current: state.open_shards(scope),
            limit: MAX_SHARDS_PER_STREAM.into(),
            requested: shards.into(),
        });
    }
    Ok(shards)
}

fn new_shards(state: &State, now_ms: Millis, scope: &Scope, name: &Arc<str>, count: u32) -> ShardTable {
    let last = state.last_created_secs.get(scope).and_then(|names| names.get(name));
    let created_secs = (now_ms / 1000).max(last.map_or(0, |last| last + 1));
    let shard = |(index, range)| {
        Arc::new(Shard {
            index,
            range,
            parents: Vec::new(),
            created_secs,
            log: LogId(state.next_log + u64::from(index)),
            floor: now_ms,
            closed: None,
        })
    };
    ShardTable::of_even_ranges((0..).zip(even_ranges(count)).map(shard).collect())
}

fn delete_stream(state: &State, scope: &Scope, name: &Arc<str>) -> Result<Option<Event>, DomainError> {
    let stream = state.stream(scope, name)?;
    match stream.status {
        StreamStatus::Active | StreamStatus::Updating => Ok(Some(Event::StreamDeletionStarted(stream.key()))),
        status @ (StreamStatus::Creating | StreamStatus::Deleting) => {
            Err(DomainError::StreamNotActive { name: name.clone(), account: scope.account.clone(), status })
        }
    }
}

fn finish_stream(state: &State, key: &ResourceKey) -> Option<Event> {
    match state.stream_incarnation(key)?.status {
        StreamStatus::Creating => Some(Event::StreamBecameActive(key.clone())),
        StreamStatus::Deleting => Some(Event::StreamGone(key.clone())),
        StreamStatus::Active | StreamStatus::Updating => None,
    }
}

fn check_tags(tags: &BTreeMap<String, String>, scope: &Scope, arn: impl FnOnce() -> String) -> Result<(), DomainError> {
    if tags.keys().any(|key| key.starts_with("aws:")) {
        return Err(DomainError::SystemTag);
    }
    if tags.len() > MAX_TAGS {
        return Err(DomainError::TooManyTags { arn: arn(), account: scope.account.clone() });
    }
    Ok(())
}

fn create_delivery_stream(
    state: &State,
    now_ms: Millis,
    scope: &Scope,
    name: &Arc<str>,
    destination: &S3Destination,
    tags: &BTreeMap<String, String>,
) -> Result<Option<Event>, DomainError> {
    if state.delivery_stream(scope, name).is_ok() {
        return Err(DomainError::DeliveryStreamExists { name: name.clone(), account: scope.account.clone() });
    }
    let stream = DeliveryStream {
        incarnation: state.next_incarnation,
        scope: scope.clone(),
        name: name.clone(),
        status: DeliveryStatus::Creating,
        failure: None,
        created_ms: now_ms,
        updated_ms: None,
        version: 1,
        destination: destination.clone(),
        data_log: LogId(state.next_log),
        control_log: LogId(state.next_log + 1),
        tags: tags.clone(),
    };
    check_tags(tags, scope, || stream.arn())?;
    Ok(Some(Event::DeliveryStreamCreated(Arc::new(stream))))
}

fn delete_delivery_stream(state: &State, scope: &Scope, name: &Arc<str>) -> Result<Option<Event>, DomainError> {
    let stream = state.delivery_stream(scope, name)?;
    match stream.status {
        DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => {
            Ok(Some(Event::DeliveryStreamDeletionStarted(stream.key())))
        }
        DeliveryStatus::Deleting => Ok(None),
        status @ DeliveryStatus::Creating => {
            Err(DomainError::DeliveryStreamBusy { name: name.clone(), account: scope.account.clone(), status })
        }
    }
}

fn finish_delivery_stream(state: &State, key: &ResourceKey) -> Option<Event> {
    match state.delivery_stream_incarnation(key)?.status {
        DeliveryStatus::Creating => Some(Event::DeliveryStreamBecameActive(key.clone())),
        DeliveryStatus::Deleting => Some(Event::DeliveryStreamGone(key.clone())),
        DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => None,
    }
}

fn fail_delivery_stream(state: &State, key: &ResourceKey, reason: &str) -> Option<Event> {
    match state.delivery_stream_incarnation(key)?.status {
        DeliveryStatus::Creating | DeliveryStatus::Deleting => {
            Some(Event::DeliveryStreamFailed { key: key.clone(), reason: reason.to_owned() })
        }
        DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => None,
    }
}
