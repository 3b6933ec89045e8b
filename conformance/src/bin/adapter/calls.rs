//! The operations, one row each: this SDK has no way to call one by its name.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation as op;
use aws_sdk_kinesis::types::SubscribeToShardEventStream;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, timeout_at};

use crate::values::{Given, members};

/// The HTTP status under which a stream of events runs, and fails.
const STREAMING: u16 = 200;

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The SDK does not have the operation, or a member of the request.
    Unknown(String),
    /// The service refused.
    Refused { code: String, message: String, status: u16 },
    /// Anything else.
    Client(String),
}

/// `$sdk:`, then `$operation $Input $method { $set: $member, … }` for every operation whose answer is one document.
macro_rules! operations {
    ($sdk:ident: $($operation:ident $input:ident $method:ident { $($set:ident: $member:ident),* $(,)? })*) => {
        /// Calls an operation by its name and answers the members of its result.
        pub(crate) async fn call(client: &$sdk::Client, operation: &str, given: &Value) -> Result<Value, Failure> {
            match operation {
                $(stringify!($operation) => {
                    let input = $sdk::operation::$method::$input::deserialize(&mut Given::of(given)).map_err(|e| unfit(operation, e))?;
                    let call = client.$method()$(.$set(input.$member.clone()))*;
                    // A member of a newer SDK, which the row here does not set yet, must not get lost.
                    if !call.as_input().clone().build().is_ok_and(|set| set == input) {
                        return Err(Failure::Client(format!("{operation}: the adapter does not pass on every member")));
                    }
                    members(&call.send().await.map_err(failure)?).map_err(|e| unfit(operation, e))
                })*
                _ => Err(Failure::Unknown(format!("the SDK has no operation {operation}"))),
            }
        }
    };
}

pub(crate) use operations;

operations! {
    aws_sdk_kinesis:
    AddTagsToStream AddTagsToStreamInput add_tags_to_stream {
        set_stream_name: stream_name, set_tags: tags, set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    CreateStream CreateStreamInput create_stream {
        set_stream_name: stream_name, set_shard_count: shard_count, set_stream_mode_details: stream_mode_details,
        set_tags: tags, set_warm_throughput_mibps: warm_throughput_mibps,
        set_max_record_size_in_kib: max_record_size_in_kib,
        set_record_distribution_strategy: record_distribution_strategy,
    }
    DecreaseStreamRetentionPeriod DecreaseStreamRetentionPeriodInput decrease_stream_retention_period {
        set_stream_name: stream_name, set_retention_period_hours: retention_period_hours, set_stream_arn: stream_arn,
        set_stream_id: stream_id,
    }
    DeleteResourcePolicy DeleteResourcePolicyInput delete_resource_policy {
        set_resource_arn: resource_arn, set_stream_id: stream_id,
    }
    DeleteStream DeleteStreamInput delete_stream {
        set_stream_name: stream_name, set_enforce_consumer_deletion: enforce_consumer_deletion,
        set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    DeregisterStreamConsumer DeregisterStreamConsumerInput deregister_stream_consumer {
        set_stream_arn: stream_arn, set_consumer_name: consumer_name, set_consumer_arn: consumer_arn,
        set_stream_id: stream_id,
    }
    DescribeAccountSettings DescribeAccountSettingsInput describe_account_settings {}
    DescribeLimits DescribeLimitsInput describe_limits {}
    DescribeStream DescribeStreamInput describe_stream {
        set_stream_name: stream_name, set_limit: limit, set_exclusive_start_shard_id: exclusive_start_shard_id,
        set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    DescribeStreamConsumer DescribeStreamConsumerInput describe_stream_consumer {
        set_stream_arn: stream_arn, set_consumer_name: consumer_name, set_consumer_arn: consumer_arn,
        set_stream_id: stream_id,
    }
    DescribeStreamSummary DescribeStreamSummaryInput describe_stream_summary {
        set_stream_name: stream_name, set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    DisableEnhancedMonitoring DisableEnhancedMonitoringInput disable_enhanced_monitoring {
        set_stream_name: stream_name, set_shard_level_metrics: shard_level_metrics, set_stream_arn: stream_arn,
        set_stream_id: stream_id,
    }
    EnableEnhancedMonitoring EnableEnhancedMonitoringInput enable_enhanced_monitoring {
        set_stream_name: stream_name, set_shard_level_metrics: shard_level_metrics, set_stream_arn: stream_arn,
        set_stream_id: stream_id,
    }
    GetRecords GetRecordsInput get_records {
        set_shard_iterator: shard_iterator, set_limit: limit, set_stream_arn: stream_arn, set_stream_id: stream_id,
        set_dry_run: dry_run,
    }
    GetResourcePolicy GetResourcePolicyInput get_resource_policy {
        set_resource_arn: resource_arn, set_stream_id: stream_id,
    }
    GetShardIterator GetShardIteratorInput get_shard_iterator {
        set_stream_name: stream_name, set_shard_id: shard_id, set_shard_iterator_type: shard_iterator_type,
        set_starting_sequence_number: starting_sequence_number, set_timestamp: timestamp, set_stream_arn: stream_arn,
        set_stream_id: stream_id, set_dry_run: dry_run,
    }
    IncreaseStreamRetentionPeriod IncreaseStreamRetentionPeriodInput increase_stream_retention_period {
        set_stream_name: stream_name, set_retention_period_hours: retention_period_hours, set_stream_arn: stream_arn,
        set_stream_id: stream_id,
    }
    ListShards ListShardsInput list_shards {
        set_stream_name: stream_name, set_next_token: next_token,
        set_exclusive_start_shard_id: exclusive_start_shard_id, set_max_results: max_results,
        set_stream_creation_timestamp: stream_creation_timestamp, set_shard_filter: shard_filter,
        set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    ListStreamConsumers ListStreamConsumersInput list_stream_consumers {
        set_stream_arn: stream_arn, set_next_token: next_token, set_max_results: max_results,
        set_stream_creation_timestamp: stream_creation_timestamp, set_stream_id: stream_id,
    }
    ListStreams ListStreamsInput list_streams {
        set_limit: limit, set_exclusive_start_stream_name: exclusive_start_stream_name, set_next_token: next_token,
    }
    ListTagsForResource ListTagsForResourceInput list_tags_for_resource {
        set_resource_arn: resource_arn, set_stream_id: stream_id,
    }
    ListTagsForStream ListTagsForStreamInput list_tags_for_stream {
        set_stream_name: stream_name, set_exclusive_start_tag_key: exclusive_start_tag_key, set_limit: limit,
        set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    MergeShards MergeShardsInput merge_shards {
        set_stream_name: stream_name, set_shard_to_merge: shard_to_merge,
        set_adjacent_shard_to_merge: adjacent_shard_to_merge, set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    PutRecord PutRecordInput put_record {
        set_stream_name: stream_name, set_data: data, set_partition_key: partition_key,
        set_explicit_hash_key: explicit_hash_key, set_sequence_number_for_ordering: sequence_number_for_ordering,
        set_stream_arn: stream_arn, set_stream_id: stream_id, set_dry_run: dry_run,
    }
    PutRecords PutRecordsInput put_records {
        set_records: records, set_stream_name: stream_name, set_stream_arn: stream_arn, set_stream_id: stream_id,
        set_dry_run: dry_run,
    }
    PutResourcePolicy PutResourcePolicyInput put_resource_policy {
        set_resource_arn: resource_arn, set_stream_id: stream_id, set_policy: policy,
    }
    RegisterStreamConsumer RegisterStreamConsumerInput register_stream_consumer {
        set_stream_arn: stream_arn, set_consumer_name: consumer_name, set_stream_id: stream_id, set_tags: tags,
    }
    RemoveTagsFromStream RemoveTagsFromStreamInput remove_tags_from_stream {
        set_stream_name: stream_name, set_tag_keys: tag_keys, set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    SplitShard SplitShardInput split_shard {
        set_stream_name: stream_name, set_shard_to_split: shard_to_split,
        set_new_starting_hash_key: new_starting_hash_key, set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    StartStreamEncryption StartStreamEncryptionInput start_stream_encryption {
        set_stream_name: stream_name, set_encryption_type: encryption_type, set_key_id: key_id,
        set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    StopStreamEncryption StopStreamEncryptionInput stop_stream_encryption {
        set_stream_name: stream_name, set_encryption_type: encryption_type, set_key_id: key_id,
        set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    TagResource TagResourceInput tag_resource {
        set_tags: tags, set_resource_arn: resource_arn, set_stream_id: stream_id,
    }
    UntagResource UntagResourceInput untag_resource {
        set_tag_keys: tag_keys, set_resource_arn: resource_arn, set_stream_id: stream_id,
    }
    UpdateAccountSettings UpdateAccountSettingsInput update_account_settings {
        set_minimum_throughput_billing_commitment: minimum_throughput_billing_commitment,
    }
    UpdateMaxRecordSize UpdateMaxRecordSizeInput update_max_record_size {
        set_stream_arn: stream_arn, set_stream_id: stream_id, set_max_record_size_in_kib: max_record_size_in_kib,
    }
    UpdateShardCount UpdateShardCountInput update_shard_count {
        set_stream_name: stream_name, set_target_shard_count: target_shard_count, set_scaling_type: scaling_type,
        set_stream_arn: stream_arn, set_stream_id: stream_id,
    }
    UpdateStreamMode UpdateStreamModeInput update_stream_mode {
        set_stream_arn: stream_arn, set_stream_id: stream_id, set_stream_mode_details: stream_mode_details,
        set_warm_throughput_mibps: warm_throughput_mibps,
    }
    UpdateStreamRecordDistributionStrategy UpdateStreamRecordDistributionStrategyInput update_stream_record_distribution_strategy {
        set_stream_arn: stream_arn, set_stream_id: stream_id,
        set_record_distribution_strategy: record_distribution_strategy,
    }
    UpdateStreamWarmThroughput UpdateStreamWarmThroughputInput update_stream_warm_throughput {
        set_stream_arn: stream_arn, set_stream_name: stream_name, set_stream_id: stream_id,
        set_warm_throughput_mibps: warm_throughput_mibps,
    }
}

/// Subscribes and reads until there are `wanted` events, `seconds` are over, or the service ends the stream.
pub(crate) async fn subscribe(client: &Client, given: &Value, wanted: usize, seconds: f64) -> Result<Value, Failure> {
    const OPERATION: &str = "SubscribeToShard";
    let input = op::subscribe_to_shard::SubscribeToShardInput::deserialize(&mut Given::of(given))
        .map_err(|error| unfit(OPERATION, error))?;
    let call = client.subscribe_to_shard().set_consumer_arn(input.consumer_arn).set_shard_id(input.shard_id);
    let call = call.set_starting_position(input.starting_position);
    let call = call.set_stream_id(input.stream_id).set_dry_run(input.dry_run);
    let mut stream = call.send().await.map_err(failure)?.event_stream;
    let end = Instant::now() + Duration::try_from_secs_f64(seconds).map_err(|e| Failure::Client(e.to_string()))?;
    let mut events = Vec::new();
    let mut ended = false;
    let mut broken = None;
    while events.len() < wanted && !ended {
        match timeout_at(end, stream.recv()).await {
            Err(_late) => break,
            Ok(Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)))) => {
                events.push(members(&event).map_err(|error| unfit(OPERATION, error))?);
            }
            Ok(Ok(Some(_newer))) => {}
            Ok(Ok(None)) => ended = true,
            Ok(Err(error)) => {
                ended = true;
                broken = Some(refusal(&error, STREAMING));
            }
        }
    }
    let mut out = json!({ "events": events, "ended": ended });
    match broken {
        Some(Failure::Refused { code, message, .. }) => out["error"] = json!({ "code": code, "message": message }),
        Some(Failure::Client(what) | Failure::Unknown(what)) => {
            out["error"] = json!({ "code": crate::NOT_THE_SERVICE, "message": what });
        }
        None => {}
    }
    Ok(out)
}

pub(crate) fn unfit(operation: &str, error: aws_smithy_schema::serde::SerdeError) -> Failure {
    match error {
        aws_smithy_schema::serde::SerdeError::UnknownMember { member_name, .. } => {
            Failure::Unknown(format!("{operation} has no member {member_name}"))
        }
        other => Failure::Client(format!("{operation}: {other}")),
    }
}

pub(crate) fn failure<E>(error: SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    refusal(&error, status)
}

/// What the service said; `status` is that of its answer.
fn refusal<E, R>(error: &SdkError<E, R>, status: u16) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let service = error.as_service_error();
    match service.and_then(|refused| refused.code().map(|code| (code, refused.message().unwrap_or_default()))) {
        Some((code, message)) => Failure::Refused { code: code.to_owned(), message: message.to_owned(), status },
        None => Failure::Client(DisplayErrorContext(error).to_string()),
    }
}
