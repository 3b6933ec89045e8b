//! Streams come and go.

use std::sync::Arc;

use super::settings::check_warm;
use super::{Decision, Moment, check_tags, not_active};
use crate::catalog::command::{MAX_SHARDS_PER_STREAM, NewStream};
use crate::catalog::error::{DomainError, SettingError};
use crate::catalog::event::{Event, Transition};
use crate::catalog::scope::{ResourceKey, Scope};
use crate::catalog::settings::{Distribution, History};
use crate::catalog::shard_table::ShardTable;
use crate::catalog::stream::{Stream, StreamMode, StreamStatus};
use crate::engine::LogId;
use crate::hash_range::even_ranges;
use crate::shard::Shard;

pub(super) fn create(moment: Moment<'_>, new: &NewStream) -> Decision {
    let NewStream { scope, name, tags, .. } = new;
    let mode = new.mode.unwrap_or(StreamMode::Provisioned);
    let count = shards_of_new_stream(moment, new, mode)?;
    let distribution = new.distribution.unwrap_or_default();
    if mode == StreamMode::Provisioned && new.warm_mibps.is_some() {
        return Err(SettingError::WarmThroughputNeedsOnDemand.into());
    }
    if mode == StreamMode::Provisioned && distribution == Distribution::Auto {
        return Err(SettingError::DistributionNeedsOnDemand.into());
    }
    let created_secs = first_second(moment, scope, name);
    let stream = Stream {
        incarnation: moment.state.next_incarnation,
        scope: scope.clone(),
        name: name.clone(),
        status: StreamStatus::Creating,
        due: moment.due(moment.rules.lifecycle.create),
        mode,
        retention_hours: Stream::DEFAULT_RETENTION_HOURS,
        kept_from: 0,
        max_record_kib: new.max_record_kib.unwrap_or(Stream::DEFAULT_MAX_RECORD_KIB),
        warm_mibps: new.warm_mibps,
        distribution,
        encryption_key: None,
        encrypted: Vec::new(),
        monitoring: Default::default(),
        tags: tags.clone(),
        policy: None,
        created_ms: moment.now,
        update: None,
        history: History { mode_switches: moment.state.past_mode_switches(scope, name), ..History::default() },
        peaks: Arc::default(),
        consumers: Default::default(),
        // Consumers of an earlier stream of the name were registered before its shards' second.
        last_consumer_secs: if created_secs > moment.now / 1000 { created_secs - 1 } else { 0 },
        retired_logs: Vec::new(),
        shards: new_shards(moment, created_secs, count),
    };
    check_tags(tags, tags.len(), scope, || stream.arn())?;
    Ok(Some(Event::StreamCreated(Arc::new(stream))))
}

fn shards_of_new_stream(moment: Moment<'_>, new: &NewStream, mode: StreamMode) -> Result<u32, DomainError> {
    let NewStream { scope, name, shard_count, .. } = new;
    if let Some(mibps) = new.warm_mibps {
        moment.check_commitment(scope)?;
        check_warm(mibps)?;
    }
    if moment.state.stream(scope, name).is_ok() {
        return Err(DomainError::StreamExists { name: name.clone(), account: scope.account.clone() });
    }
    let shards = match (mode, *shard_count) {
        (StreamMode::Provisioned, None) => return Err(DomainError::ShardCountMissing),
        (StreamMode::Provisioned, Some(0)) => return Err(DomainError::ShardCountZero),
        (StreamMode::Provisioned, Some(shards)) => shards,
        (StreamMode::OnDemand, None) => StreamMode::ON_DEMAND_SHARDS,
        (StreamMode::OnDemand, Some(_)) => return Err(DomainError::ShardCountOnDemand),
    };
    if shards > MAX_SHARDS_PER_STREAM {
        return Err(DomainError::ShardLimit {
            scope: scope.clone(),
            current: moment.state.open_shards(scope),
            limit: MAX_SHARDS_PER_STREAM.into(),
            requested: shards.into(),
        });
    }
    if let Some(quotas) = moment.quotas()
        && moment.state.usage(scope).creating_streams >= quotas.creating_streams
    {
        let (account, limit) = (scope.account.clone(), quotas.creating_streams);
        return Err(DomainError::CreatingStreamLimit { account, limit });
    }
    match mode {
        StreamMode::Provisioned => moment.check_shard_quota(scope, shards.into())?,
        StreamMode::OnDemand => moment.check_on_demand_quota(scope)?,
    }
    Ok(shards)
}

/// The second of creation of a new stream's shards: after all of every earlier stream of the name.
fn first_second(moment: Moment<'_>, scope: &Scope, name: &Arc<str>) -> u64 {
    let last = moment.state.last_created_secs.get(scope).and_then(|names| names.get(name));
    (moment.now / 1000).max(last.map_or(0, |last| last + 1))
}

fn new_shards(moment: Moment<'_>, created_secs: u64, count: u32) -> ShardTable {
    let shard = |(index, range)| {
        Arc::new(Shard {
            index,
            range,
            parents: Vec::new(),
            created_secs,
            log: LogId(moment.state.next_log + u64::from(index)),
            floor: moment.now,
            closed: None,
        })
    };
    ShardTable::of_even_ranges((0..).zip(even_ranges(count)).map(shard).collect())
}

pub(super) fn delete(moment: Moment<'_>, scope: &Scope, name: &Arc<str>, with_consumers: bool) -> Decision {
    let stream = moment.state.stream(scope, name)?;
    match stream.status {
        StreamStatus::Active | StreamStatus::Updating if !stream.consumers.is_empty() && !with_consumers => {
            Err(DomainError::ConsumersRegistered { name: name.clone(), account: scope.account.clone() })
        }
        StreamStatus::Active | StreamStatus::Updating => {
            let due = moment.due(moment.rules.lifecycle.delete);
            Ok(Some(Event::StreamDeletionStarted(Transition { key: stream.key(), due })))
        }
        StreamStatus::Creating | StreamStatus::Deleting => Err(not_active(stream)),
    }
}

pub(super) fn finish(moment: Moment<'_>, key: &ResourceKey) -> Option<Event> {
    let stream = moment.state.stream_incarnation(key).filter(|stream| stream.due <= moment.now)?;
    match stream.status {
        StreamStatus::Creating => Some(Event::StreamBecameActive(key.clone())),
        StreamStatus::Deleting => Some(Event::StreamGone(key.clone())),
        StreamStatus::Active | StreamStatus::Updating => None,
    }
}
