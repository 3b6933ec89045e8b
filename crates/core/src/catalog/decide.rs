//! Decisions. Each is made once, against the state of its moment, and recorded as an event.

mod consumer;
mod delivery_stream;
mod reshard;
mod resource;
mod settings;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::{Command, MAX_TAGS, StreamUpdate};
use super::error::{DomainError, SettingError};
use super::event::Event;
use super::rules::{Quotas, Rules};
use super::scope::{ResourceKey, Scope};
use super::state::State;
use super::stream::{Stream, StreamStatus};
use crate::engine::Millis;

/// What a decision comes to.
type Decision = Result<Option<Event>, DomainError>;

/// Decides `command` at `now_ms` by `rules`. `None`: there is nothing to do, because it is so already or has been
/// overtaken.
///
/// A command makes at most one event, and an event is one record, so that none is ever half done.
///
/// # Errors
/// The first refusal in AWS's order of checks.
pub fn decide(state: &State, now_ms: Millis, rules: &Rules, command: &Command) -> Decision {
    let moment = Moment { state, now: now_ms, rules };
    match command {
        Command::CreateStream(stream) => stream::create(moment, stream),
        Command::DeleteStream { scope, name, enforce_consumer_deletion } => {
            stream::delete(moment, scope, name, *enforce_consumer_deletion)
        }
        Command::FinishStream(key) => Ok(stream::finish(moment, key)),
        Command::UpdateStream { scope, name, update } => update_stream(moment, scope, name, update),
        Command::FinishUpdate(key) => Ok(settings::finish(moment, key)),
        Command::AdvanceReshard { stream, left } => Ok(reshard::advance(moment, stream, *left)),
        Command::SealShards { stream, parents } => Ok(reshard::seal(moment, stream, parents)),
        Command::ExpireShards { stream, believed_ms } => Ok(reshard::expire(moment, stream, *believed_ms)),
        Command::ForgetLogs { stream, logs } => Ok(reshard::forget_logs(moment, stream, logs)),
        Command::NotePeak { stream, minute, load } => Ok(reshard::note_peak(moment, stream, *minute, *load)),
        Command::Rescale { stream, generation } => Ok(reshard::rescale(moment, stream, generation)),
        Command::RegisterConsumer { scope, stream, name, tags } => {
            consumer::register(moment, scope, stream, name, tags)
        }
        Command::DeregisterConsumer { scope, stream, name, created_secs } => {
            consumer::deregister(moment, scope, stream, name, *created_secs)
        }
        Command::FinishConsumer { stream, consumer } => Ok(consumer::finish(moment, stream, consumer)),
        Command::Tag { resource, tags } => resource::tag(moment, resource, tags),
        Command::Untag { resource, keys } => resource::untag(moment, resource, keys),
        Command::PutPolicy { resource, policy } => resource::put_policy(moment, resource, policy),
        Command::DeletePolicy { resource } => resource::delete_policy(moment, resource),
        Command::SetCommitment { scope, enabled } => Ok(settings::commitment(moment, scope, *enabled)),
        Command::CreateDeliveryStream(new) => delivery_stream::create(moment, new),
        Command::UpdateDestination { scope, name, version, destination } => {
            delivery_stream::update(moment, scope, name, version, destination)
        }
        Command::StartDeliveryEncryption { scope, name, key } => {
            delivery_stream::change_encryption(moment, scope, name, Some(key))
        }
        Command::StopDeliveryEncryption { scope, name } => {
            delivery_stream::change_encryption(moment, scope, name, None)
        }
        Command::FinishDeliveryEncryption(key) => Ok(delivery_stream::finish_encryption(moment, key)),
        Command::TagDeliveryStream { scope, name, tags } => delivery_stream::tag(moment, scope, name, tags),
        Command::UntagDeliveryStream { scope, name, keys } => delivery_stream::untag(moment, scope, name, keys),
        Command::AssignLogBlock(key) => Ok(delivery_stream::assign_block(moment, key)),
        Command::DeleteDeliveryStream { scope, name } => delivery_stream::delete(moment, scope, name),
        Command::NoteClock => Ok((state.clock_noted != Some(now_ms)).then_some(Event::ClockNoted(now_ms))),
        Command::FinishDeliveryStream(key) => Ok(delivery_stream::finish(moment, key)),
        Command::FailDeliveryStream { key, reason } => Ok(delivery_stream::fail(moment, key, reason)),
    }
}

fn update_stream(moment: Moment<'_>, scope: &Scope, name: &Arc<str>, update: &StreamUpdate) -> Decision {
    // AWS asks for the account's commitment before it looks for the stream.
    if let StreamUpdate::WarmThroughput(_) = update {
        moment.check_commitment(scope)?;
    }
    let stream = moment.state.stream(scope, name)?;
    match update {
        StreamUpdate::IncreaseRetention(hours) => settings::retention(moment, stream, *hours, true),
        StreamUpdate::DecreaseRetention(hours) => settings::retention(moment, stream, *hours, false),
        StreamUpdate::Mode { mode, warm_mibps } => settings::mode(moment, stream, *mode, *warm_mibps),
        StreamUpdate::StartEncryption { key_id } => settings::start_encryption(moment, stream, key_id),
        StreamUpdate::StopEncryption => settings::stop_encryption(moment, stream),
        StreamUpdate::EnableMonitoring(metrics) => {
            settings::monitoring(moment, stream, stream.monitoring.union(metrics).copied().collect())
        }
        StreamUpdate::DisableMonitoring(metrics) => {
            settings::monitoring(moment, stream, stream.monitoring.difference(metrics).copied().collect())
        }
        StreamUpdate::MaxRecordSize(kib) => settings::max_record_size(moment, stream, *kib),
        StreamUpdate::WarmThroughput(mibps) => settings::warm_throughput(moment, stream, *mibps),
        StreamUpdate::Distribution(distribution) => settings::distribution(moment, stream, *distribution),
        StreamUpdate::Split { shard, new_starting_hash_key } => {
            reshard::split(moment, stream, *shard, new_starting_hash_key)
        }
        StreamUpdate::Merge { shard, adjacent } => reshard::merge(moment, stream, *shard, *adjacent),
        StreamUpdate::ShardCount(target) => reshard::shard_count(moment, stream, *target),
    }
}

/// What a decision is made on.
#[derive(Clone, Copy)]
struct Moment<'a> {
    state: &'a State,
    now: Millis,
    rules: &'a Rules,
}

impl<'a> Moment<'a> {
    /// The end of something that takes `ms`; 0 if it takes no time.
    fn due(self, ms: Millis) -> Millis {
        if ms == 0 { 0 } else { self.now.saturating_add(ms) }
    }

    fn quotas(self) -> Option<&'a Quotas> {
        self.rules.quotas.as_ref()
    }

    fn check_commitment(self, scope: &Scope) -> Result<(), DomainError> {
        let holds = self.state.commitment(scope).is_some_and(|commitment| commitment.holds(self.now));
        if holds { Ok(()) } else { Err(SettingError::NoCommitment { account: scope.account.clone() }.into()) }
    }

    /// Refuses `added` more open shards than the quota leaves room for.
    fn check_shard_quota(self, scope: &Scope, added: u64) -> Result<(), DomainError> {
        let Some(quotas) = self.quotas() else { return Ok(()) };
        let (current, limit) = (self.state.usage(scope).provisioned_shards, (quotas.shards)(&scope.region));
        if current.saturating_add(added) > limit {
            return Err(DomainError::ShardLimit { scope: scope.clone(), current, limit, requested: added });
        }
        Ok(())
    }

    /// Refuses one more on-demand stream than the quota.
    fn check_on_demand_quota(self, scope: &Scope) -> Result<(), DomainError> {
        let Some(quotas) = self.quotas() else { return Ok(()) };
        let (current, limit) = (self.state.usage(scope).on_demand_streams, quotas.on_demand_streams);
        if current >= limit {
            return Err(DomainError::OnDemandStreamLimit { scope: scope.clone(), current, limit });
        }
        Ok(())
    }

    /// The stream of a command that the node submits by itself, while it can be put and read.
    fn usable(self, key: &ResourceKey) -> Option<&'a Arc<Stream>> {
        self.state.stream_incarnation(key).filter(|stream| stream.is_usable())
    }
}

fn not_active(stream: &Stream) -> DomainError {
    let (name, account) = (stream.name.clone(), stream.scope.account.clone());
    DomainError::StreamNotActive { name, account, status: stream.status }
}

/// Refuses unless the stream is ACTIVE.
fn check_active(stream: &Stream) -> Result<(), DomainError> {
    match stream.status {
        StreamStatus::Active => Ok(()),
        StreamStatus::Creating | StreamStatus::Deleting | StreamStatus::Updating => Err(not_active(stream)),
    }
}

/// Refuses unless the stream is ACTIVE or UPDATING.
fn check_usable(stream: &Stream) -> Result<(), DomainError> {
    if stream.is_usable() { Ok(()) } else { Err(not_active(stream)) }
}

/// Refuses system tags, and a resource with more than [`MAX_TAGS`]. `count` is how many it would have.
fn check_tags(
    tags: &BTreeMap<String, String>,
    count: usize,
    scope: &Scope,
    arn: impl FnOnce() -> String,
) -> Result<(), DomainError> {
    if tags.keys().any(|key| key.starts_with("aws:")) {
        return Err(DomainError::SystemTag);
    }
    if count > MAX_TAGS {
        return Err(DomainError::TooManyTags { arn: arn(), account: scope.account.clone() });
    }
    Ok(())
}
