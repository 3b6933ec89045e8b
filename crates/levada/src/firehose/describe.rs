//! DescribeDeliveryStream and ListDeliveryStreams.

use levada_core::catalog::{DeliveryStatus, DeliveryStream, Encryption, EncryptionKey, EncryptionStatus, Source};
use levada_core::engine::Millis;
use levada_wire::firehose::types;
use levada_wire::limits;
use levada_wire::typed::TimestampMs;

use super::{Caller, destination};
use crate::call::Answer;

/// There is one destination, so `Limit` has nothing to limit; AWS ignores a cursor that it does not know.
pub(super) fn stream(caller: Caller<'_>, request: &types::DescribeDeliveryStream) -> Answer {
    let stream = caller.stream(&request.delivery_stream_name)?;
    let description = types::DeliveryStreamDescription {
        create_timestamp: Some(time(stream.created_ms)),
        delivery_stream_arn: stream.arn(),
        delivery_stream_encryption_configuration: stream.encryption.as_ref().map(encryption),
        delivery_stream_name: stream.name.to_string(),
        delivery_stream_status: status(stream.status),
        delivery_stream_type: match stream.source {
            Source::DirectPut { .. } => types::DeliveryStreamType::DirectPut,
            Source::Kinesis(_) => types::DeliveryStreamType::KinesisStreamAsSource,
        },
        destinations: vec![destination::describe(&stream.destination)],
        failure_description: stream.failure.as_deref().map(failure),
        has_more_destinations: false,
        last_update_timestamp: stream.updated_ms.map(time),
        source: source(&stream),
        version_id: stream.version.to_string(),
    };
    caller.reply(&types::DescribeDeliveryStreamReply { delivery_stream_description: description })
}

pub(super) fn list(caller: Caller<'_>, request: &types::ListDeliveryStreams) -> Answer {
    let limit = request.limit.unwrap_or(limits::LIST_DELIVERY_STREAMS_DEFAULT) as usize;
    let after = request.exclusive_start_delivery_stream_name.as_deref();
    let wanted = request.delivery_stream_type.map(types::DeliveryStreamType::as_str);
    let mut names: Vec<String> = {
        let state = caller.node.registry.state();
        let streams = state.delivery_streams_after(&caller.scope(), after);
        let wanted = streams.filter(|stream| wanted.is_none_or(|kind| kind == stream.source.kind()));
        wanted.take(limit + 1).map(|stream| stream.name.to_string()).collect()
    };
    let more = names.len() > limit;
    names.truncate(limit);
    caller.reply(&types::ListDeliveryStreamsReply { delivery_stream_names: names, has_more_delivery_streams: more })
}

fn time(ms: Millis) -> TimestampMs {
    TimestampMs(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// Direct put without a hint shows no source.
fn source(stream: &DeliveryStream) -> Option<types::SourceDescription> {
    let none =
        types::SourceDescription { direct_put_source_description: None, kinesis_stream_source_description: None };
    match &stream.source {
        Source::DirectPut { throughput_hint_mbs: None } => None,
        Source::DirectPut { throughput_hint_mbs } => {
            let throughput_hint_in_mbs = *throughput_hint_mbs;
            let direct = types::DirectPutSourceDescription { throughput_hint_in_mbs };
            Some(types::SourceDescription { direct_put_source_description: Some(direct), ..none })
        }
        Source::Kinesis(source) => {
            let kinesis = types::KinesisStreamSourceDescription {
                delivery_start_timestamp: Some(time(source.start_ms)),
                kinesis_stream_arn: Some(source.stream_arn.clone()),
                role_arn: Some(source.role_arn.clone()),
            };
            Some(types::SourceDescription { kinesis_stream_source_description: Some(kinesis), ..none })
        }
    }
}

fn encryption(kept: &Encryption) -> types::DeliveryStreamEncryptionConfiguration {
    let key = kept.key.as_ref();
    types::DeliveryStreamEncryptionConfiguration {
        failure_description: kept.failure.as_deref().map(failure),
        key_arn: key.and_then(EncryptionKey::arn).map(str::to_owned),
        key_type: key.map(|key| match key {
            EncryptionKey::AwsOwned => types::KeyType::AwsOwnedCmk,
            EncryptionKey::CustomerManaged(_) => types::KeyType::CustomerManagedCmk,
        }),
        status: Some(match kept.status {
            EncryptionStatus::Enabled => types::DeliveryStreamEncryptionStatus::Enabled,
            EncryptionStatus::Enabling => types::DeliveryStreamEncryptionStatus::Enabling,
            EncryptionStatus::EnablingFailed => types::DeliveryStreamEncryptionStatus::EnablingFailed,
            EncryptionStatus::Disabled => types::DeliveryStreamEncryptionStatus::Disabled,
            EncryptionStatus::Disabling => types::DeliveryStreamEncryptionStatus::Disabling,
            EncryptionStatus::DisablingFailed => types::DeliveryStreamEncryptionStatus::DisablingFailed,
        }),
    }
}

/// AWS's types of failures are those of its own keys and networks; whatever fails here is another.
fn failure(details: &str) -> types::FailureDescription {
    let failure_type = types::DeliveryStreamFailureType::UnknownError;
    types::FailureDescription { details: details.to_owned(), failure_type }
}

fn status(status: DeliveryStatus) -> types::DeliveryStreamStatus {
    match status {
        DeliveryStatus::Creating => types::DeliveryStreamStatus::Creating,
        DeliveryStatus::CreatingFailed => types::DeliveryStreamStatus::CreatingFailed,
        DeliveryStatus::Deleting => types::DeliveryStreamStatus::Deleting,
        DeliveryStatus::DeletingFailed => types::DeliveryStreamStatus::DeletingFailed,
        DeliveryStatus::Active => types::DeliveryStreamStatus::Active,
    }
}
