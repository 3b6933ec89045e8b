//! Delivery streams come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Decision, Moment, check_tags};
use crate::catalog::delivery_stream::{DeliveryStatus, DeliveryStream, S3Destination};
use crate::catalog::error::DomainError;
use crate::catalog::event::{Event, Transition};
use crate::catalog::scope::{ResourceKey, Scope};
use crate::engine::LogId;

pub(super) fn create(
    moment: Moment<'_>,
    scope: &Scope,
    name: &Arc<str>,
    destination: &S3Destination,
    tags: &BTreeMap<String, String>,
) -> Decision {
    let state = moment.state;
    if state.delivery_stream(scope, name).is_ok() {
        return Err(DomainError::DeliveryStreamExists { name: name.clone(), account: scope.account.clone() });
    }
    let stream = DeliveryStream {
        incarnation: state.next_incarnation,
        scope: scope.clone(),
        name: name.clone(),
        status: DeliveryStatus::Creating,
        due: moment.due(moment.rules.lifecycle.create),
        failure: None,
        created_ms: moment.now,
        updated_ms: None,
        version: 1,
        destination: destination.clone(),
        data_log: LogId(state.next_log),
        control_log: LogId(state.next_log + 1),
        tags: tags.clone(),
    };
    check_tags(tags, tags.len(), scope, || stream.arn())?;
    Ok(Some(Event::DeliveryStreamCreated(Arc::new(stream))))
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
