//! DescribeDeliveryStream and ListDeliveryStreams.

use levada_core::catalog::{DeliveryStatus, Destination};
use levada_wire::firehose::types;
use levada_wire::limits;
use levada_wire::typed::TimestampMs;

use super::{Caller, destination};
use crate::call::Answer;

pub(super) fn stream(caller: Caller<'_>, request: &types::DescribeDeliveryStream) -> Answer {
    let stream = caller.stream(&request.delivery_stream_name)?;
    let time = |ms| TimestampMs(i64::try_from(ms).unwrap_or(i64::MAX));
    let failure = stream.failure.as_ref().map(|details| types::FailureDescription {
        details: details.clone(),
        failure_type: "UNKNOWN_ERROR".to_owned(),
    });
    let destinations = match &stream.destination {
        Destination::S3(s3) => vec![types::DestinationDescription::s3(&destination::to_wire(s3))],
        // No request makes one yet.
        Destination::HttpEndpoint(_) | Destination::Splunk(_) | Destination::OpenSearch(_) => Vec::new(),
    };
    let description = types::DeliveryStreamDescription {
        create_timestamp: Some(time(stream.created_ms)),
        delivery_stream_arn: stream.arn(),
        delivery_stream_encryption_configuration: Some(types::DeliveryStreamEncryptionConfiguration::disabled()),
        delivery_stream_name: stream.name.to_string(),
        delivery_stream_status: status(stream.status),
        delivery_stream_type: types::DeliveryStreamType::DirectPut,
        destinations,
        failure_description: failure,
        has_more_destinations: false,
        last_update_timestamp: stream.updated_ms.map(time),
        source: None,
        version_id: stream.version.to_string(),
    };
    caller.reply(&types::DescribeDeliveryStreamReply { delivery_stream_description: description })
}

pub(super) fn list(caller: Caller<'_>, request: &types::ListDeliveryStreams) -> Answer {
    let limit = request.limit.unwrap_or(limits::LIST_DELIVERY_STREAMS_DEFAULT) as usize;
    let after = request.exclusive_start_delivery_stream_name.as_deref();
    // Direct put is the only source there is.
    let wanted = request.delivery_stream_type.is_none_or(|t| t == types::DeliveryStreamType::DirectPut);
    let mut names: Vec<String> = {
        let state = caller.node.registry.state();
        let streams = state.delivery_streams_after(&caller.scope(), after).filter(|_| wanted);
        streams.take(limit + 1).map(|stream| stream.name.to_string()).collect()
    };
    let more = names.len() > limit;
    names.truncate(limit);
    caller.reply(&types::ListDeliveryStreamsReply { delivery_stream_names: names, has_more_delivery_streams: more })
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
