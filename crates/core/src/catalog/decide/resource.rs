//! Tags and policies, of streams and their consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Decision, Moment, check_tags, check_usable};
use crate::catalog::command::Resource;
use crate::catalog::consumer::{Consumer, ConsumerStatus};
use crate::catalog::error::DomainError;
use crate::catalog::event::Event;
use crate::catalog::stream::Stream;

/// The stream, and the consumer if it is one.
type Found<'a> = (&'a Arc<Stream>, Option<&'a Consumer>);

/// AWS lets no tag or policy be changed before a stream is ACTIVE.
fn find<'a>(moment: Moment<'a>, resource: &Resource) -> Result<Found<'a>, DomainError> {
    let stream = moment.state.stream(&resource.scope, &resource.stream)?;
    let Some(reference) = &resource.consumer else {
        check_usable(stream)?;
        return Ok((stream, None));
    };
    // A stream that is going takes its consumers with it, and AWS then says so of the stream.
    check_usable(stream)?;
    let account = || stream.scope.account.clone();
    let consumer = stream.consumer(reference).ok_or_else(|| DomainError::ConsumerNotFound {
        consumer: reference.name.clone(),
        created_secs: Some(reference.created_secs),
        stream: stream.name.clone(),
        account: account(),
    })?;
    match consumer.status {
        ConsumerStatus::Active => Ok((stream, Some(consumer))),
        ConsumerStatus::Creating | ConsumerStatus::Deleting => Err(DomainError::ConsumerNotActive {
            consumer: consumer.name.clone(),
            created_secs: consumer.created_secs(),
            stream: stream.name.clone(),
            account: account(),
        }),
    }
}

fn arn((stream, consumer): Found<'_>) -> String {
    consumer.map_or_else(|| stream.arn(), |consumer| consumer.arn(stream))
}

fn tags_of<'a>((stream, consumer): Found<'a>) -> &'a BTreeMap<String, String> {
    consumer.map_or(&stream.tags, |consumer| &consumer.tags)
}

fn policy_of<'a>((stream, consumer): Found<'a>) -> Option<&'a str> {
    consumer.map_or(&stream.policy, |consumer| &consumer.policy).as_deref()
}

pub(super) fn tag(moment: Moment<'_>, resource: &Resource, tags: &BTreeMap<String, String>) -> Decision {
    let found = find(moment, resource)?;
    let present = tags_of(found);
    let count = present.len() + tags.keys().filter(|key| !present.contains_key(*key)).count();
    check_tags(tags, count, &resource.scope, || arn(found))?;
    let new = tags.iter().any(|(key, value)| present.get(key) != Some(value));
    let consumer = resource.consumer.clone();
    Ok(new.then(|| Event::Tagged { key: found.0.key(), consumer, tags: tags.clone() }))
}

pub(super) fn untag(moment: Moment<'_>, resource: &Resource, keys: &BTreeSet<String>) -> Decision {
    let found = find(moment, resource)?;
    if keys.iter().any(|key| key.starts_with("aws:")) {
        return Err(DomainError::SystemTag);
    }
    let present = tags_of(found);
    let keys: BTreeSet<_> = keys.iter().filter(|key| present.contains_key(*key)).cloned().collect();
    let consumer = resource.consumer.clone();
    Ok((!keys.is_empty()).then(|| Event::Untagged { key: found.0.key(), consumer, keys }))
}

pub(super) fn put_policy(moment: Moment<'_>, resource: &Resource, policy: &str) -> Decision {
    let found = find(moment, resource)?;
    Ok((policy_of(found) != Some(policy)).then(|| Event::PolicyChanged {
        key: found.0.key(),
        consumer: resource.consumer.clone(),
        policy: Some(policy.to_owned()),
    }))
}

pub(super) fn delete_policy(moment: Moment<'_>, resource: &Resource) -> Decision {
    let found = find(moment, resource)?;
    if policy_of(found).is_none() {
        return Err(DomainError::PolicyNotFound { arn: arn(found) });
    }
    Ok(Some(Event::PolicyChanged { key: found.0.key(), consumer: resource.consumer.clone(), policy: None }))
}
