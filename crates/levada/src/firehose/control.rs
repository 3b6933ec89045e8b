//! The operations that create, change and delete delivery streams.
//!
//! What only a request can say is refused first, then what its destination cannot be, then what the catalog knows: AWS's
//! order is not known across these.

use std::sync::Arc;

use levada_core::catalog::{Command, DeliveryStatus, EncryptionKey, KinesisSource, NewDeliveryStream, Scope, Source};
use levada_wire::error::AwsError;
use levada_wire::firehose::errors;
use levada_wire::firehose::types::{self, DeliveryStreamType};
use levada_wire::limits;

use super::{Caller, destination};
use crate::call::Answer;
use crate::refusal::{not_submitted, refused};

pub(super) async fn create(caller: Caller<'_>, request: &types::CreateDeliveryStream) -> Answer {
    let scope = caller.scope();
    let name = request.delivery_stream_name.as_str();
    let mut destinations = request.destinations();
    let (Some(only), None) = (destinations.next(), destinations.next()) else {
        return Err(errors::not_one_destination());
    };
    let source = source(request, &scope)?;
    let encryption = encryption(request, &source, &scope.region)?;
    let destination = destination::of(only)?;
    destination::check(&scope.region, &destination)?;
    destination::deliverable(caller.node, &scope, name, &source, &destination)?;
    let tags = request.tags.iter().flatten();
    let command = Command::CreateDeliveryStream(NewDeliveryStream {
        scope: scope.clone(),
        name: name.into(),
        source,
        destination,
        encryption,
        tags: tags.map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default())).collect(),
    });
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    let delivery_stream_arn = scope.arn("firehose", &format!("deliverystream/{name}"));
    caller.reply(&types::CreateDeliveryStreamReply { delivery_stream_arn })
}

/// Where records are to come from. Configurations of other sources than that of the type are ignored, as AWS was seen
/// to do beside DirectPut.
fn source(request: &types::CreateDeliveryStream, scope: &Scope) -> Result<Source, AwsError> {
    match request.delivery_stream_type.unwrap_or(DeliveryStreamType::DirectPut) {
        DeliveryStreamType::DirectPut => {
            let hint = request.direct_put_source_configuration.as_ref();
            Ok(Source::DirectPut { throughput_hint_mbs: hint.map(|direct| direct.throughput_hint_in_mbs) })
        }
        DeliveryStreamType::KinesisStreamAsSource => {
            let asked = request.kinesis_stream_source_configuration.as_ref();
            let asked = asked.ok_or_else(errors::stream_source_missing)?;
            let source = KinesisSource {
                stream_arn: asked.kinesis_stream_arn.clone(),
                role_arn: asked.role_arn.clone(),
                // The catalog decides it.
                start_ms: 0,
            };
            match source.stream() {
                Some((other, _)) if other != *scope => Err(errors::source_elsewhere(&source.stream_arn)),
                _ => Ok(Source::Kinesis(source)),
            }
        }
        DeliveryStreamType::MskAsSource if request.msk_source_configuration.is_none() => {
            Err(errors::msk_source_missing())
        }
        other @ (DeliveryStreamType::MskAsSource | DeliveryStreamType::DatabaseAsSource) => {
            Err(errors::unsupported_source(other.as_str()))
        }
    }
}

fn encryption(
    request: &types::CreateDeliveryStream,
    source: &Source,
    region: &str,
) -> Result<Option<EncryptionKey>, AwsError> {
    let asked = request.delivery_stream_encryption_configuration_input.as_ref();
    match (asked, source) {
        (None, _) => Ok(None),
        (Some(_), Source::Kinesis(_)) => Err(errors::encryption_of_source()),
        (Some(_), Source::DirectPut { .. }) => destination::key(asked, region).map(Some),
    }
}

pub(super) async fn update(caller: Caller<'_>, request: &types::UpdateDestination) -> Answer {
    let stream = caller.stream(&request.delivery_stream_name)?;
    let (name, account) = (&stream.name, stream.scope.account.as_str());
    if stream.status != DeliveryStatus::Active {
        return Err(errors::not_changeable(name, account, stream.status.name()));
    }
    let version = &request.current_delivery_stream_version_id;
    if *version != stream.version.to_string() {
        return Err(errors::version_mismatch(name, stream.version, version));
    }
    if request.destination_id != stream.destination_id() {
        return Err(errors::destination_not_found(&request.destination_id));
    }
    let update = destination::update(request, &stream.destination)?;
    let merged = stream.updated(version, update).map_err(|e| refused(&e))?;
    destination::check(&stream.scope.region, &merged)?;
    destination::check_change(&stream.destination, &merged)?;
    destination::deliverable(caller.node, &stream.scope, name, &stream.source, &merged)?;
    let (scope, name) = (stream.scope.clone(), stream.name.clone());
    let command = Command::UpdateDestination { scope, name, version: version.clone(), destination: merged };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    caller.reply(&types::UpdateDestinationReply {})
}

/// `AllowForceDelete` is about grants of KMS, of which there are none.
pub(super) async fn delete(caller: Caller<'_>, request: &types::DeleteDeliveryStream) -> Answer {
    let name: Arc<str> = request.delivery_stream_name.as_str().into();
    let command = Command::DeleteDeliveryStream { scope: caller.scope(), name };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    caller.reply(&types::DeleteDeliveryStreamReply {})
}

pub(super) async fn start_encryption(caller: Caller<'_>, request: &types::StartDeliveryStreamEncryption) -> Answer {
    let scope = caller.scope();
    let name: Arc<str> = request.delivery_stream_name.as_str().into();
    let asked = request.delivery_stream_encryption_configuration_input.as_ref();
    let key = destination::key(asked, &scope.region)?;
    let command = Command::StartDeliveryEncryption { scope, name, key };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    caller.reply(&types::StartDeliveryStreamEncryptionReply {})
}

pub(super) async fn stop_encryption(caller: Caller<'_>, request: &types::StopDeliveryStreamEncryption) -> Answer {
    let name: Arc<str> = request.delivery_stream_name.as_str().into();
    let command = Command::StopDeliveryEncryption { scope: caller.scope(), name };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    caller.reply(&types::StopDeliveryStreamEncryptionReply {})
}

pub(super) async fn tag(caller: Caller<'_>, request: &types::TagDeliveryStream) -> Answer {
    let name: Arc<str> = request.delivery_stream_name.as_str().into();
    let tags = request.tags.iter();
    let tags = tags.map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default())).collect();
    let command = Command::TagDeliveryStream { scope: caller.scope(), name, tags };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    caller.reply(&types::TagDeliveryStreamReply {})
}

pub(super) async fn untag(caller: Caller<'_>, request: &types::UntagDeliveryStream) -> Answer {
    let name: Arc<str> = request.delivery_stream_name.as_str().into();
    let keys = request.tag_keys.iter().cloned().collect();
    let command = Command::UntagDeliveryStream { scope: caller.scope(), name, keys };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    caller.reply(&types::UntagDeliveryStreamReply {})
}

pub(super) fn list_tags(caller: Caller<'_>, request: &types::ListTagsForDeliveryStream) -> Answer {
    let stream = caller.stream(&request.delivery_stream_name)?;
    let limit = request.limit.unwrap_or(limits::LIST_TAGS_FOR_DELIVERY_STREAM) as usize;
    let after = request.exclusive_start_tag_key.as_deref();
    let mut rest = stream.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let tag = |(key, value): (&String, &String)| types::Tag { key: key.clone(), value: Some(value.clone()) };
    let tags = rest.by_ref().take(limit).map(tag).collect();
    caller.reply(&types::ListTagsForDeliveryStreamReply { has_more_tags: rest.next().is_some(), tags })
}
