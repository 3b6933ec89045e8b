//! Shards split, merge, close and expire.
//!
//! A reshard is planned once ([`crate::reshard`]) and kept as the stream's update; then its generations come one by
//! one. Each gets its indexes, logs and times when it comes.

use super::settings::check_history;
use super::{Decision, Moment, check_active};
use crate::catalog::command::MAX_TARGET_SHARDS;
use crate::catalog::error::DomainError;
use crate::catalog::event::Event;
use crate::catalog::scope::ResourceKey;
use crate::catalog::settings::{Change, PendingUpdate};
use crate::catalog::stream::{Stream, StreamMode, StreamStatus};
use crate::engine::{LogId, Millis};
use crate::reshard::{self, Generation, ReshardError};
use crate::scaling::Load;
use crate::shard::ShardId;

fn refusal(stream: &Stream, error: ReshardError) -> DomainError {
    DomainError::Reshard { name: stream.name.clone(), account: stream.scope.account.clone(), error }
}

/// The shards of an on-demand stream are not the owner's to change.
fn check_provisioned(stream: &Stream) -> Result<(), DomainError> {
    match stream.mode {
        StreamMode::Provisioned => Ok(()),
        StreamMode::OnDemand => {
            Err(DomainError::OnDemand { name: stream.name.clone(), account: stream.scope.account.clone() })
        }
    }
}

fn start(moment: Moment<'_>, stream: &Stream, generations: Vec<Generation>, counts: bool) -> Event {
    let due = moment.now.saturating_add(moment.rules.lifecycle.reshard_step);
    let change = Change::Reshard { generations, counts };
    Event::StreamUpdateStarted { key: stream.key(), update: PendingUpdate { since: moment.now, due, change } }
}

pub(super) fn split(moment: Moment<'_>, stream: &Stream, shard: ShardId, new_starting_hash_key: &str) -> Decision {
    check_provisioned(stream)?;
    let refused = |error| refusal(stream, error);
    reshard::find(&stream.shards, shard).map_err(refused)?;
    moment.check_shard_quota(&stream.scope, 1)?;
    let generation = reshard::split(&stream.shards, shard, new_starting_hash_key).map_err(refused)?;
    check_active(stream)?;
    Ok(Some(start(moment, stream, vec![generation], false)))
}

pub(super) fn merge(moment: Moment<'_>, stream: &Stream, shard: ShardId, adjacent: ShardId) -> Decision {
    check_provisioned(stream)?;
    let generation = reshard::merge(&stream.shards, shard, adjacent).map_err(|error| refusal(stream, error))?;
    check_active(stream)?;
    Ok(Some(start(moment, stream, vec![generation], false)))
}

pub(super) fn shard_count(moment: Moment<'_>, stream: &Stream, target: u32) -> Decision {
    check_provisioned(stream)?;
    check_active(stream)?;
    let current = u32::try_from(stream.shards.open_count()).unwrap_or(u32::MAX);
    if target > MAX_TARGET_SHARDS && target != current {
        return Err(DomainError::ScaleTooLarge { current, target });
    }
    let generations = reshard::update_shard_count(&stream.shards, target).map_err(|error| refusal(stream, error))?;
    if generations.is_empty() {
        return Ok(None);
    }
    let times = &stream.history.shard_count_updates;
    check_history(moment, stream, times, moment.quotas().map(|quotas| quotas.shard_count_updates))?;
    moment.check_shard_quota(&stream.scope, u64::from(target.saturating_sub(current)))?;
    Ok(Some(start(moment, stream, generations, true)))
}

pub(super) fn rescale(moment: Moment<'_>, key: &ResourceKey, generation: &Generation) -> Option<Event> {
    let stream = moment.usable(key)?;
    if stream.status != StreamStatus::Active || stream.mode != StreamMode::OnDemand {
        return None;
    }
    let fits = generation.decide(&stream.shards, moment.now, 0, LogId(moment.state.next_log)).is_ok();
    (fits && !generation.pieces.is_empty()).then(|| start(moment, stream, vec![generation.clone()], false))
}

/// The next generation comes. The parents' end is counted from the generation's decision, as AWS was seen to do, but
/// is never in the past. A plan that no longer fits, which no history here leads to, is given up.
pub(super) fn advance(moment: Moment<'_>, key: &ResourceKey, left: usize) -> Option<Event> {
    let stream = moment.usable(key)?;
    let update = stream.update.as_ref().filter(|update| update.due <= moment.now)?;
    let Change::Reshard { generations, .. } = &update.change else { return None };
    if generations.len() != left {
        return None;
    }
    let lifecycle = &moment.rules.lifecycle;
    let gap = update.since.saturating_add(lifecycle.close_gap).saturating_sub(moment.now);
    let next_log = LogId(moment.state.next_log);
    let new = generations.first().and_then(|first| first.decide(&stream.shards, moment.now, gap, next_log).ok());
    let Some(new) = new else { return Some(Event::StreamUpdateFinished(key.clone())) };
    let next_due = (generations.len() > 1).then(|| moment.now.saturating_add(lifecycle.reshard_step));
    Some(Event::ShardsAdded { key: key.clone(), at: moment.now, new, next_due })
}

pub(super) fn seal(moment: Moment<'_>, key: &ResourceKey, parents: &[(u32, Millis)]) -> Option<Event> {
    let stream = moment.usable(key)?;
    let closing = |index| {
        let shard = stream.shards.get(ShardId(index));
        shard.is_some_and(|shard| !shard.is_open() && stream.shards.takes_puts(shard))
    };
    let parents: Vec<_> = parents.iter().copied().filter(|&(index, _)| closing(index)).collect();
    let follows = !parents.is_empty() && stream.shards.seal(&parents).is_ok();
    follows.then(|| Event::ShardsSealed { key: key.clone(), parents })
}

pub(super) fn expire(moment: Moment<'_>, key: &ResourceKey, believed: Millis) -> Option<Event> {
    let stream = moment.usable(key)?;
    let shards = stream.shards.expired(stream.horizon(believed.min(moment.now)));
    let follows = !shards.is_empty() && stream.shards.expire(&shards).is_ok();
    follows.then(|| Event::ShardsExpired { key: key.clone(), shards })
}

pub(super) fn forget_logs(moment: Moment<'_>, key: &ResourceKey, logs: &[LogId]) -> Option<Event> {
    let stream = moment.usable(key)?;
    let logs: Vec<_> = stream.retired_logs.iter().copied().filter(|log| logs.contains(log)).collect();
    (!logs.is_empty()).then(|| Event::LogsForgotten { key: key.clone(), logs })
}

/// Notes what raises the hour's peak. Only the peaks of on-demand streams are asked for.
pub(super) fn note_peak(moment: Moment<'_>, key: &ResourceKey, minute: u64, load: Load) -> Option<Event> {
    let stream = moment.usable(key).filter(|stream| stream.mode == StreamMode::OnDemand)?;
    let known = stream.peaks.hour(minute / 60);
    let raised = known.is_none_or(|known| load.bytes > known.bytes || load.records > known.records);
    raised.then(|| Event::PeakNoted { key: key.clone(), minute, load })
}
