//! Delivery streams come, change and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Decision, Moment, check_tags};
use crate::catalog::command::NewDeliveryStream;
use crate::catalog::delivery_stream::{
    DeliveryStatus, DeliveryStream, Destination, Encryption, EncryptionKey, EncryptionStatus, KinesisSource, LogBlock,
    Source,
};
use crate::catalog::error::{DeliveryError, DomainError};
use crate::catalog::event::{Event, Transition};
use crate::catalog::scope::{ResourceKey, Scope};
use crate::catalog::settings::History;
use crate::engine::LogId;

pub(super) fn create(moment: Moment<'_>, new: &NewDeliveryStream) -> Decision {
    let (state, scope, name) = (moment.state, &new.scope, &new.name);
    if state.delivery_stream(scope, name).is_ok() {
        return Err(DomainError::DeliveryStreamExists { name: name.clone(), account: scope.account.clone() });
    }
    let tags = &new.tags;
    check_tags(tags, tags.len(), scope, String::new).map_err(|error| tag_error(error, scope, name))?;
    let source = source(moment, &new.source)?;
    let due = moment.due(moment.rules.lifecycle.create);
    let encryption = match (&source, &new.encryption) {
        (Source::DirectPut { .. }, None) => Some(Encryption::default()),
        (Source::DirectPut { .. }, Some(key)) => Some(Encryption::enabling(key.clone(), 0)),
        (Source::Kinesis(_), None) => None,
        (Source::Kinesis(_), Some(_)) => {
            return Err(DeliveryError::EncryptionOfSource { name: name.clone() }.into());
        }
    };
    if let Some(limit) = moment.quotas().map(|quotas| (quotas.delivery_streams)(&scope.region))
        && state.delivery_streams_after(scope, None).count() >= limit
    {
        return Err(DeliveryError::Limit { scope: scope.clone(), limit }.into());
    }
    let first = state.next_log;
    Ok(Some(Event::DeliveryStreamCreated(Arc::new(DeliveryStream {
        incarnation: state.next_incarnation,
        scope: scope.clone(),
        name: name.clone(),
        status: DeliveryStatus::Creating,
        due,
        failure: None,
        created_ms: moment.now,
        updated_ms: None,
        version: 1,
        source,
        destination: new.destination.clone(),
        encryption,
        encryption_changes: Vec::new(),
        data_log: LogId(first),
        control_log: LogId(first + 1),
        block: Some(LogBlock { first: LogId(first + 2), count: LogBlock::COUNT }),
        tags: tags.clone(),
    }))))
}

/// A data stream that is a source has to be there, and is read from this moment on.
fn source(moment: Moment<'_>, source: &Source) -> Result<Source, DomainError> {
    let Source::Kinesis(kinesis) = source else { return Ok(source.clone()) };
    let found = kinesis.stream().and_then(|(scope, name)| moment.state.usable_stream(&scope, name).ok());
    if found.is_none() {
        return Err(DeliveryError::SourceNotFound { arn: kinesis.stream_arn.clone() }.into());
    }
    Ok(Source::Kinesis(KinesisSource { start_ms: moment.now, ..kinesis.clone() }))
}

pub(super) fn update(
    moment: Moment<'_>,
    scope: &Scope,
    name: &Arc<str>,
    version: &str,
    destination: &Destination,
) -> Decision {
    let stream = active(moment, scope, name)?;
    stream.check_version(version)?;
    let (from, to) = (stream.destination.kind(), destination.kind());
    if from != to {
        return Err(DeliveryError::DestinationType { from, to }.into());
    }
    Ok((stream.destination != *destination).then(|| Event::DestinationUpdated {
        key: stream.key(),
        at: moment.now,
        destination: Box::new(destination.clone()),
    }))
}

/// Starts encryption with `key`, or stops it. Each success counts, as AWS counts calls, so each makes an event.
pub(super) fn change_encryption(
    moment: Moment<'_>,
    scope: &Scope,
    name: &Arc<str>,
    key: Option<&EncryptionKey>,
) -> Decision {
    let stream = active(moment, scope, name)?;
    let Some(present) = &stream.encryption else {
        return Err(DeliveryError::EncryptionOfSource { name: name.clone() }.into());
    };
    let account = || scope.account.clone();
    if present.is_changing() {
        let (name, account, status) = (name.clone(), account(), present.status);
        return Err(DeliveryError::EncryptionBusy { name, account, status }.into());
    }
    if let Some(limit) = moment.quotas().map(|quotas| quotas.delivery_encryption_changes)
        && History::recent(&stream.encryption_changes, moment.now) >= limit
    {
        return Err(DeliveryError::EncryptionLimit { name: name.clone(), account: account(), limit }.into());
    }
    let due = moment.due(moment.rules.lifecycle.delivery_encryption);
    let encryption = match key {
        Some(key) => Encryption { was_on: present.is_in_force(), ..Encryption::enabling(key.clone(), due) },
        None => {
            Encryption { status: EncryptionStatus::Disabling, key: present.key.clone(), due, ..Encryption::default() }
        }
    };
    Ok(Some(Event::DeliveryEncryptionStarted { key: stream.key(), at: moment.now, encryption }))
}

pub(super) fn finish_encryption(moment: Moment<'_>, key: &ResourceKey) -> Option<Event> {
    let stream = moment.state.delivery_stream_incarnation(key)?;
    let over = stream.changing_encryption().is_some_and(|encryption| encryption.due <= moment.now);
    over.then(|| Event::DeliveryEncryptionFinished(key.clone()))
}

pub(super) fn tag(moment: Moment<'_>, scope: &Scope, name: &Arc<str>, tags: &BTreeMap<String, String>) -> Decision {
    let stream = moment.state.delivery_stream(scope, name)?;
    let count = stream.tags.len() + tags.keys().filter(|key| !stream.tags.contains_key(*key)).count();
    check_tags(tags, count, scope, String::new).map_err(|error| tag_error(error, scope, name))?;
    let new = tags.iter().any(|(key, value)| stream.tags.get(key) != Some(value));
    Ok(new.then(|| Event::DeliveryStreamTagged { key: stream.key(), tags: tags.clone() }))
}

pub(super) fn untag(moment: Moment<'_>, scope: &Scope, name: &Arc<str>, keys: &BTreeSet<String>) -> Decision {
    let stream = moment.state.delivery_stream(scope, name)?;
    let keys: BTreeSet<_> = keys.iter().filter(|key| stream.tags.contains_key(*key)).cloned().collect();
    Ok((!keys.is_empty()).then(|| Event::DeliveryStreamUntagged { key: stream.key(), keys }))
}

pub(super) fn assign_block(moment: Moment<'_>, key: &ResourceKey) -> Option<Event> {
    let stream = moment.state.delivery_stream_incarnation(key)?;
    let block = LogBlock { first: LogId(moment.state.next_log), count: LogBlock::COUNT };
    stream.block.is_none().then(|| Event::LogBlockAssigned { key: key.clone(), block })
}

/// A delivery stream that can be changed.
fn active<'a>(moment: Moment<'a>, scope: &Scope, name: &Arc<str>) -> Result<&'a Arc<DeliveryStream>, DomainError> {
    let stream = moment.state.delivery_stream(scope, name)?;
    match stream.status {
        DeliveryStatus::Active => Ok(stream),
        status @ (DeliveryStatus::Creating
        | DeliveryStatus::CreatingFailed
        | DeliveryStatus::Deleting
        | DeliveryStatus::DeletingFailed) => {
            Err(DeliveryError::NotActive { name: name.clone(), account: scope.account.clone(), status }.into())
        }
    }
}

/// Too many tags of a delivery stream are refused in other words than those of a stream.
fn tag_error(error: DomainError, scope: &Scope, name: &Arc<str>) -> DomainError {
    match error {
        DomainError::TooManyTags { .. } => {
            DeliveryError::TooManyTags { name: name.clone(), account: scope.account.clone() }.into()
        }
        other => other,
    }
}

pub(super) fn delete(moment: Moment<'_>, scope: &Scope, name: &Arc<str>) -> Decision {
    let stream = moment.state.delivery_stream(scope, name)?;
    match stream.status {
        DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => {
            let due = moment.due(moment.rules.lifecycle.delete);
            Ok(Some(Event::DeliveryStreamDeletionStarted(Transition { key: stream.key(), due })))
        }
        DeliveryStatus::Deleting => Ok(None),
        status @ DeliveryStatus::Creating => {
            Err(DomainError::DeliveryStreamBusy { name: name.clone(), account: scope.account.clone(), status })
        }
    }
}

pub(super) fn finish(moment: Moment<'_>, key: &ResourceKey) -> Option<Event> {
    let stream = moment.state.delivery_stream_incarnation(key).filter(|stream| stream.due <= moment.now)?;
    match stream.status {
        DeliveryStatus::Creating => Some(Event::DeliveryStreamBecameActive(key.clone())),
        DeliveryStatus::Deleting => Some(Event::DeliveryStreamGone(key.clone())),
        DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => None,
    }
}

pub(super) fn fail(moment: Moment<'_>, key: &ResourceKey, reason: &str) -> Option<Event> {
    match moment.state.delivery_stream_incarnation(key)?.status {
        DeliveryStatus::Creating | DeliveryStatus::Deleting => {
            Some(Event::DeliveryStreamFailed { key: key.clone(), reason: reason.to_owned() })
        }
        DeliveryStatus::Active | DeliveryStatus::CreatingFailed | DeliveryStatus::DeletingFailed => None,
    }
}
