//! Consumers come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Decision, Moment, check_tags, check_usable};
use crate::catalog::consumer::{Consumer, ConsumerRef, ConsumerStatus, MAX_CONSUMERS};
use crate::catalog::error::DomainError;
use crate::catalog::event::Event;
use crate::catalog::scope::{ResourceKey, Scope};
use crate::catalog::stream::{Stream, StreamMode};

/// AWS registers consumers of streams that are ACTIVE or UPDATING.
pub(super) fn register(
    moment: Moment<'_>,
    scope: &Scope,
    stream: &str,
    name: &Arc<str>,
    tags: &BTreeMap<String, String>,
) -> Decision {
    let stream = moment.state.stream(scope, stream)?;
    check_usable(stream)?;
    if stream.consumers.contains_key(name) {
        let (stream, account) = (stream.name.clone(), scope.account.clone());
        return Err(DomainError::ConsumerExists { consumer: name.clone(), stream, account });
    }
    check_quotas(moment, stream)?;
    let first = stream.created_ms / 1000;
    let secs = (moment.now / 1000).max(first).max(stream.last_consumer_secs.saturating_add(1));
    let due = moment.due(moment.rules.lifecycle.consumer_create);
    let consumer = Consumer {
        name: name.clone(),
        created_ms: moment.now.max(secs.saturating_mul(1000)),
        status: if due == 0 { ConsumerStatus::Active } else { ConsumerStatus::Creating },
        due,
        tags: tags.clone(),
        policy: None,
    };
    check_tags(tags, tags.len(), scope, || consumer.arn(stream))?;
    Ok(Some(Event::ConsumerRegistered { key: stream.key(), consumer }))
}

fn check_quotas(moment: Moment<'_>, stream: &Stream) -> Result<(), DomainError> {
    check_count(stream, MAX_CONSUMERS)?;
    let Some(quotas) = moment.quotas() else { return Ok(()) };
    let committed = moment.state.commitment(&stream.scope).is_some_and(|commitment| commitment.holds(moment.now));
    let advantage = stream.mode == StreamMode::OnDemand && committed;
    check_count(stream, if advantage { quotas.advantage_consumers } else { quotas.consumers })?;
    let creating = stream.consumers.values().filter(|consumer| consumer.status == ConsumerStatus::Creating);
    let limit = quotas.creating_consumers;
    if creating.count() >= limit {
        let (name, account) = (stream.name.clone(), stream.scope.account.clone());
        return Err(DomainError::CreatingConsumerLimit { stream: name, account, limit });
    }
    Ok(())
}

fn check_count(stream: &Stream, limit: usize) -> Result<(), DomainError> {
    if stream.consumers.len() < limit {
        return Ok(());
    }
    Err(DomainError::ConsumerLimit { stream: stream.name.clone(), account: stream.scope.account.clone(), limit })
}

/// Once more of one that is DELETING, this has nothing to do.
pub(super) fn deregister(
    moment: Moment<'_>,
    scope: &Scope,
    stream: &str,
    name: &Arc<str>,
    created_secs: Option<u64>,
) -> Decision {
    let stream = moment.state.usable_stream(scope, stream)?;
    let consumer = stream.consumers.get(name);
    let consumer = consumer.filter(|found| created_secs.is_none_or(|secs| secs == found.created_secs()));
    let Some(consumer) = consumer else {
        let (stream, account) = (stream.name.clone(), scope.account.clone());
        return Err(DomainError::ConsumerNotFound { consumer: name.clone(), created_secs, stream, account });
    };
    let (key, reference) = (stream.key(), consumer.reference());
    Ok(match (consumer.status, moment.due(moment.rules.lifecycle.consumer_delete)) {
        (ConsumerStatus::Deleting, _) => None,
        (_, 0) => Some(Event::ConsumerGone { key, consumer: reference }),
        (_, due) => Some(Event::ConsumerDeletionStarted { key, consumer: reference, due }),
    })
}

pub(super) fn finish(moment: Moment<'_>, key: &ResourceKey, consumer: &ConsumerRef) -> Option<Event> {
    let found = moment.usable(key)?.consumer(consumer).filter(|found| found.due <= moment.now)?;
    let (key, consumer) = (key.clone(), consumer.clone());
    match found.status {
        ConsumerStatus::Creating => Some(Event::ConsumerBecameActive { key, consumer }),
        ConsumerStatus::Deleting => Some(Event::ConsumerGone { key, consumer }),
        ConsumerStatus::Active => None,
    }
}
