//! Consumers with enhanced fan-out.

use super::{StreamText, in_use, invalid, limit_exceeded, not_found};
use crate::error::AwsError;

/// The name is taken on this stream.
#[must_use]
pub fn consumer_exists(consumer: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    in_use(format!("Consumer {consumer} under stream {stream} already exists for account {account}."))
}

/// No such consumer. `created_secs` is the number at the end of its ARN.
#[must_use]
pub fn consumer_not_found(
    consumer: &str,
    created_secs: u64,
    StreamText { stream, account }: StreamText<'_>,
) -> AwsError {
    not_found(format!(
        "Consumer {consumer} with creation timestamp {created_secs} under stream: {stream}, account {account} not found."
    ))
}

/// No consumer of that name, where the request gives no ARN. Unverified, worded like [`consumer_not_found`].
#[must_use]
pub fn consumer_name_not_found(consumer: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    not_found(format!("Consumer {consumer} under stream: {stream}, account {account} not found."))
}

/// `SubscribeToShard` of a consumer that is being created or deleted (seen in 2024,
/// awslabs/kinesis-hot-shard-advisor issue 37).
#[must_use]
pub fn consumer_not_active(
    consumer: &str,
    created_secs: u64,
    StreamText { stream, account }: StreamText<'_>,
) -> AwsError {
    in_use(format!(
        "Consumer {consumer} with creation timestamp {created_secs} under stream: {stream}, account {account} is not \
         in ACTIVE status."
    ))
}

/// A policy or tags of a consumer that is being created or deleted (seen of `PutResourcePolicy` in 2025,
/// aws-cloudformation/cloudformation-coverage-roadmap issue 2442).
#[must_use]
pub fn consumer_resource_not_active(
    consumer: &str,
    created_secs: u64,
    StreamText { stream, account }: StreamText<'_>,
) -> AwsError {
    in_use(format!(
        "Consumer {consumer} with creation timestamp {created_secs} under stream {stream} and account {account} is \
         not in ACTIVE status."
    ))
}

/// `DescribeStreamConsumer`, `DeregisterStreamConsumer`: neither an ARN, nor a stream's ARN and a name. Unverified.
#[must_use]
pub fn consumer_not_named() -> AwsError {
    invalid("Either ConsumerARN or both StreamARN and ConsumerName must be provided.")
}

/// `DescribeStreamConsumer`, `DeregisterStreamConsumer`: the consumer's ARN contradicts the stream's ARN or the name.
/// Unverified.
#[must_use]
pub fn consumer_mismatch() -> AwsError {
    invalid("ConsumerARN does not match the provided StreamARN and ConsumerName.")
}

/// The stream has as many consumers as it may. Unverified.
#[must_use]
pub fn too_many_consumers(StreamText { stream, account }: StreamText<'_>, limit: usize) -> AwsError {
    limit_exceeded(format!(
        "This request would exceed the limit on the number of consumers of stream {stream} under account {account}. \
         Limit: {limit}."
    ))
}

/// Too many consumers of the stream are being created. Unverified, worded like its counterpart for streams.
#[must_use]
pub fn too_many_creating_consumers(StreamText { stream, account }: StreamText<'_>, limit: usize) -> AwsError {
    limit_exceeded(format!(
        "This request would have exceed the limit on the number of consumers that can simultaneously be in CREATING \
         for stream {stream} under account {account}. Limit: {limit}."
    ))
}

/// `SubscribeToShard` within five seconds of a successful call for the same consumer and shard (seen in 2018 and 2023,
/// awslabs/amazon-kinesis-client issue 391, daangn/kinesumer pull request 19).
#[must_use]
pub fn subscription_exists(consumer: &str, shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    in_use(format!("Another active subscription exists for this consumer: {account}:{stream}:{shard_id}:{consumer}"))
}

/// More than one `SubscribeToShard` call a second for the same consumer and shard. Unverified.
#[must_use]
pub fn subscription_rate_exceeded(
    consumer: &str,
    shard_id: &str,
    StreamText { stream, account }: StreamText<'_>,
) -> AwsError {
    limit_exceeded(format!("Rate exceeded for consumer {account}:{stream}:{shard_id}:{consumer}."))
}

/// The node has as many subscriptions as it may. Not an error of AWS, which bounds them by shards and consumers only;
/// its code is that of `SubscribeToShard`'s other limits.
#[must_use]
pub fn too_many_subscriptions(limit: usize) -> AwsError {
    limit_exceeded(format!(
        "This request would exceed the limit on the number of active subscriptions. Limit: {limit}."
    ))
}
