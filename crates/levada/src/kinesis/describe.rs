//! DescribeStream, DescribeStreamSummary, ListStreams.

use std::sync::Arc;

use levada_core::catalog::{Change, Distribution, Stream, StreamMode, StreamStatus};
use levada_core::iterator::{Listing, NextToken};
use levada_core::shard::Shard;
use levada_wire::error::AwsError;
use levada_wire::kinesis::{errors, types};
use levada_wire::limits;
use levada_wire::typed::TimestampSeconds;

use super::settings::metrics_told;
use super::{Caller, shard_id};
use crate::call::Answer;

pub(super) fn stream(caller: Caller<'_>, request: &types::DescribeStream) -> Answer {
    let stream = caller.stream(request.stream())?;
    let limit = request.limit.unwrap_or(limits::DESCRIBE_STREAM_SHARDS).min(limits::DESCRIBE_STREAM_SHARDS) as usize;
    let shards = match &request.exclusive_start_shard_id {
        Some(given) => stream.shards.after(shard_id(given, &stream)?),
        None => stream.shards.all(),
    };
    // AWS shows the shards of a stream only once it is there.
    let shards = if stream.is_usable() { shards } else { &[] };
    let description = types::StreamDescription {
        encryption_type: Some(encryption_type(&stream)),
        enhanced_monitoring: monitoring(&stream),
        has_more_shards: shards.len() > limit,
        key_id: stream.encryption_key.clone(),
        retention_period_hours: stream.retention_hours,
        shards: shards.iter().take(limit).map(|shard| describe_shard(shard)).collect(),
        stream_arn: stream.arn(),
        stream_creation_timestamp: created(&stream),
        stream_mode_details: Some(mode_details(&stream)),
        stream_name: stream.name.to_string(),
        stream_status: status(stream.status),
    };
    caller.reply(&types::DescribeStreamReply { stream_description: description })
}

pub(super) fn summary(caller: Caller<'_>, request: &types::DescribeStreamSummary) -> Answer {
    let stream = caller.stream(request.stream())?;
    let on_demand = stream.mode == StreamMode::OnDemand;
    let summary = types::StreamDescriptionSummary {
        channel_count: 0,
        consumer_count: u32::try_from(stream.consumers.len()).unwrap_or(u32::MAX),
        encryption_type: encryption_type(&stream),
        enhanced_monitoring: monitoring(&stream),
        key_id: stream.encryption_key.clone(),
        max_record_size_in_kib: stream.max_record_kib,
        // Absent while CREATING or DELETING.
        open_shard_count: stream.is_usable().then(|| u32::try_from(stream.shards.open_count()).unwrap_or(u32::MAX)),
        queue_count: None,
        record_distribution_strategy: on_demand.then(|| distribution(&stream)),
        retention_period_hours: stream.retention_hours,
        stream_arn: stream.arn(),
        stream_creation_timestamp: created(&stream),
        stream_mode_details: Some(mode_details(&stream)),
        stream_name: stream.name.to_string(),
        stream_status: status(stream.status),
        warm_throughput: warm_throughput(&stream),
    };
    caller.reply(&types::DescribeStreamSummaryReply { stream_description_summary: summary })
}

pub(super) fn list(caller: Caller<'_>, request: &types::ListStreams) -> Answer {
    let after = match (&request.exclusive_start_stream_name, &request.next_token) {
        (Some(_), Some(_)) => return Err(errors::token_with_start_stream()),
        (Some(name), None) => Some(Arc::from(name.as_str())),
        (None, Some(token)) => Some(open_list_token(caller, token)?),
        (None, None) => None,
    };
    let limit = request.limit.unwrap_or(limits::LIST_STREAMS_DEFAULT) as usize;
    let scope = caller.scope();
    let mut page: Vec<Arc<Stream>> = {
        let state = caller.node.registry.state();
        state.streams_after(&scope, after.as_deref()).take(limit + 1).cloned().collect()
    };
    let more = page.len() > limit;
    page.truncate(limit);
    let next_token = match page.last() {
        Some(last) if more => Some(seal_list_token(caller, &last.name)),
        _ => None,
    };
    let reply = types::ListStreamsReply {
        has_more_streams: more,
        next_token,
        stream_names: page.iter().map(|stream| stream.name.to_string()).collect(),
        stream_summaries: page.iter().map(|stream| summarize(stream)).collect(),
    };
    caller.reply(&reply)
}

fn seal_list_token(caller: Caller<'_>, after: &str) -> String {
    let token = NextToken {
        scope: caller.scope(),
        listing: Listing::Streams { after: after.into() },
        created_ms: caller.now(),
    };
    caller.seal(&token)
}

/// The name behind which the page begins.
fn open_list_token(caller: Caller<'_>, token: &str) -> Result<Arc<str>, AwsError> {
    let token = caller.open_token(token)?;
    match token.listing {
        Listing::Streams { after } if token.scope == caller.scope() => Ok(after),
        Listing::Streams { .. } | Listing::Shards { .. } | Listing::Consumers { .. } => {
            Err(errors::invalid_next_token())
        }
    }
}

/// Every operation tells the mode of encryption; AWS prints `NONE` for a plain stream.
fn encryption_type(stream: &Stream) -> types::EncryptionType {
    match stream.encryption_key {
        Some(_) => types::EncryptionType::Kms,
        None => types::EncryptionType::None,
    }
}

fn monitoring(stream: &Stream) -> Vec<types::EnhancedMetrics> {
    types::EnhancedMetrics::of(&metrics_told(&stream.monitoring))
}

fn distribution(stream: &Stream) -> types::RecordDistributionStrategy {
    match stream.distribution {
        Distribution::Auto => types::RecordDistributionStrategy::Auto,
        Distribution::UserPartitionKey => types::RecordDistributionStrategy::UserPartitionKey,
    }
}

/// Absent unless it was asked for; the target is what an UPDATING stream is on its way to.
fn warm_throughput(stream: &Stream) -> Option<types::WarmThroughput> {
    let mut target = stream.warm_mibps;
    if let Some(Change::WarmThroughput(new)) = stream.update.as_ref().map(|update| &update.change) {
        target = Some(*new);
    }
    target.map(|target| types::WarmThroughput { current_mibps: stream.warm_mibps, target_mibps: Some(target) })
}

fn summarize(stream: &Stream) -> types::StreamSummary {
    types::StreamSummary {
        stream_arn: stream.arn(),
        stream_creation_timestamp: created(stream),
        stream_mode_details: Some(mode_details(stream)),
        stream_name: stream.name.to_string(),
        stream_status: status(stream.status),
    }
}

fn created(stream: &Stream) -> TimestampSeconds {
    TimestampSeconds(i64::try_from(stream.created_ms).unwrap_or(i64::MAX))
}

fn mode_details(stream: &Stream) -> types::StreamModeDetails {
    let stream_mode = match stream.mode {
        StreamMode::Provisioned => types::StreamMode::Provisioned,
        StreamMode::OnDemand => types::StreamMode::OnDemand,
    };
    types::StreamModeDetails { stream_mode }
}

fn status(status: StreamStatus) -> types::StreamStatus {
    match status {
        StreamStatus::Creating => types::StreamStatus::Creating,
        StreamStatus::Deleting => types::StreamStatus::Deleting,
        StreamStatus::Active => types::StreamStatus::Active,
        StreamStatus::Updating => types::StreamStatus::Updating,
    }
}

pub(super) fn hash_key_range(shard: &Shard) -> types::HashKeyRange {
    types::HashKeyRange {
        ending_hash_key: shard.range.end.to_string(),
        starting_hash_key: shard.range.start.to_string(),
    }
}

pub(super) fn describe_shard(shard: &Shard) -> types::Shard {
    types::Shard {
        adjacent_parent_shard_id: shard.adjacent_parent().map(|id| id.to_string()),
        hash_key_range: hash_key_range(shard),
        parent_shard_id: shard.parent().map(|id| id.to_string()),
        sequence_number_range: types::SequenceNumberRange {
            ending_sequence_number: shard.ending_number().map(|number| number.to_string()),
            starting_sequence_number: shard.starting_number().to_string(),
        },
        shard_id: shard.id().to_string(),
    }
}
