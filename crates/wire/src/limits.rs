//! Every limit of both services, in one place, each with its source.
//!
//! "Quotas" is the page "Quotas and limits" of the Kinesis Data Streams developer guide; "Firehose quota" that of the
//! Firehose guide; "observed" was seen on AWS in 2026. Where the model bounds a member, the table in `shapes.rs`
//! bounds it, and a test holds the constant to the table.

mod rates;

use std::ops::RangeInclusive;

pub use rates::{Rate, RateScope, control_rate, daily_limit, delivery_control_rate};

/// Bytes in a MiB.
const MIB: usize = 1024 * 1024;

/// Records in a `PutRecords` call (model: `PutRecordsRequestEntryList`).
pub const PUT_RECORDS_RECORDS: usize = 500;
/// Bytes of data and partition keys in a `PutRecords` call (API reference, `PutRecords`; 5 MiB until 2025).
pub const PUT_RECORDS_BYTES: usize = 10 * MIB;
/// Default for the largest record in KiB, data and partition key together (Quotas).
pub const RECORD_KIB_DEFAULT: u32 = 1024;
/// Smallest `MaxRecordSizeInKiB` (model).
pub const RECORD_KIB_MIN: u32 = 1024;
/// Largest `MaxRecordSizeInKiB` (model; API reference, `UpdateMaxRecordSize`).
pub const RECORD_KIB_MAX: u32 = 10 * 1024;
/// Most bytes that any record's data may have, whatever the stream's own limit (model: `Data`).
pub const DATA_BYTES: usize = 10 * MIB;
/// Longest partition key in UTF-16 units (model: `PartitionKey`).
pub const PARTITION_KEY_CHARS: usize = 256;
/// Digits of the largest hash key, 2^128 − 1 (model: `HashKey`).
pub const HASH_KEY_DIGITS: usize = 39;
/// Largest body of a request in bytes: 10 MiB in base64, keys, and JSON around 500 records, rounded up.
pub const REQUEST_BODY_BYTES: usize = 16 * MIB;

/// Records that a `GetRecords` call returns at most (model: `GetRecordsInputLimit`).
pub const GET_RECORDS_RECORDS: u32 = 10_000;
/// Bytes that a `GetRecords` call returns at most (Quotas).
pub const GET_RECORDS_BYTES: usize = 10 * MIB;
/// Bytes per second that a shard takes (Quotas).
pub const SHARD_WRITE_BYTES_PER_SECOND: usize = MIB;
/// Records per second that a shard takes (Quotas).
pub const SHARD_WRITE_RECORDS_PER_SECOND: u32 = 1_000;
/// Bytes per second that a shard gives (Quotas).
pub const SHARD_READ_BYTES_PER_SECOND: usize = 2 * MIB;
/// Life of a shard iterator in milliseconds (API reference, `GetShardIterator`).
pub const SHARD_ITERATOR_LIFE_MS: u64 = 300_000;
/// Longest shard iterator in characters (model: `ShardIterator`).
pub const SHARD_ITERATOR_CHARS: usize = 512;
/// Life of a `NextToken` in milliseconds (API reference, `ListShards`).
pub const NEXT_TOKEN_LIFE_MS: u64 = 300_000;

/// Shards on a `DescribeStream` page, also if `Limit` asks for more (API reference).
pub const DESCRIBE_STREAM_SHARDS: u32 = 100;
/// Shards on a `ListShards` page by default and at most (API reference).
pub const LIST_SHARDS_SHARDS: u32 = 1_000;
/// Streams on a `ListStreams` page by default (API reference).
pub const LIST_STREAMS_DEFAULT: u32 = 100;
/// Streams on a `ListStreams` page at most (model: `ListStreamsInputLimit`).
pub const LIST_STREAMS_MAX: u32 = 10_000;

/// Streams in state CREATING at a time (Quotas).
pub const CREATING_STREAMS: usize = 5;
/// Shards per account in us-east-1, us-west-2 and eu-west-1 (Quotas).
pub const SHARDS_PER_ACCOUNT_MAX: u64 = 20_000;
/// Shards per account in us-east-2 (observed).
pub const SHARDS_PER_ACCOUNT_MEDIUM: u64 = 6_000;
/// Shards per account elsewhere (Quotas: 1,000 or 6,000, without saying where; the lower is taken).
pub const SHARDS_PER_ACCOUNT_MIN: u64 = 1_000;

/// Open shards of provisioned streams that an account may have in a region, by default.
#[must_use]
pub fn shards_per_account(region: &str) -> u64 {
    match region {
        "us-east-1" | "us-west-2" | "eu-west-1" => SHARDS_PER_ACCOUNT_MAX,
        "us-east-2" => SHARDS_PER_ACCOUNT_MEDIUM,
        _ => SHARDS_PER_ACCOUNT_MIN,
    }
}

/// Shards that `UpdateShardCount` may bring a stream to (API reference, `UpdateShardCount`).
pub const SHARDS_PER_STREAM: u32 = 10_000;
/// Shards that an on-demand stream starts with (observed).
pub const ON_DEMAND_SHARDS: u32 = 4;
/// On-demand streams per account (Quotas; `DescribeLimits` says so).
pub const ON_DEMAND_STREAMS: usize = 50;
/// Channels per account, as `DescribeLimits` shows it (observed).
pub const CHANNELS_PER_ACCOUNT: u32 = 100;
/// Largest warm throughput of an on-demand stream in MiB/s (API reference, `UpdateStreamWarmThroughput`: 10 GiB/s).
pub const WARM_THROUGHPUT_MIBPS_MAX: u32 = 10 * 1024;
/// Shortest time in milliseconds that an account commits itself to a minimum throughput for (API reference,
/// `MinimumThroughputBillingCommitmentInput`: 24 hours).
pub const COMMITMENT_MS: u64 = 24 * 60 * 60 * 1_000;
/// Retention of a new stream in hours (Quotas).
pub const RETENTION_HOURS_MIN: u32 = 24;
/// Longest retention in hours (Quotas).
pub const RETENTION_HOURS_MAX: u32 = 8_760;
/// Consumers per stream (Quotas; API reference, `RegisterStreamConsumer`).
pub const CONSUMERS_PER_STREAM: usize = 20;
/// Consumers per on-demand stream of an account with a minimum throughput commitment (API reference,
/// `RegisterStreamConsumer`).
pub const CONSUMERS_PER_ADVANTAGE_STREAM: usize = 50;
/// Consumers of a stream in state CREATING at a time (API reference, `RegisterStreamConsumer`).
pub const CREATING_CONSUMERS: usize = 5;
/// Consumers on a `ListStreamConsumers` page by default, and at most whatever `MaxResults` says (API reference).
pub const LIST_STREAM_CONSUMERS: u32 = 100;
/// Bytes per second that a shard gives to each consumer with enhanced fan-out (API reference,
/// `RegisterStreamConsumer`: 2 MiB).
pub const CONSUMER_BYTES_PER_SECOND: usize = 2 * MIB;
/// Life of a subscription in milliseconds (API reference, `SubscribeToShard`).
pub const SUBSCRIPTION_LIFE_MS: u64 = 300_000;
/// Time in milliseconds after a successful `SubscribeToShard` in which another for the same consumer and shard is refused
/// (API reference).
pub const SUBSCRIPTION_GUARD_MS: u64 = 5_000;
/// Time in milliseconds without records after which a subscription carries an empty event (observed).
pub const SUBSCRIPTION_HEARTBEAT_MS: u64 = 5_000;
/// Bytes of a resource policy (developer guide, "Sharing your data stream with another account": 20 KB; unverified).
pub const POLICY_BYTES: usize = 20 * 1024;
/// Tags of a stream or a consumer (Quotas; observed).
pub const TAGS_PER_STREAM: usize = 50;
/// Tags on a `ListTagsForStream` page by default and at most (model: `ListTagsForStreamInputLimit`; observed: all 50
/// without `Limit`).
pub const LIST_TAGS_FOR_STREAM: u32 = 50;

/// Bytes of a Firehose record before base64 (model: `Data`; API reference: 1,000 KiB).
pub const FIREHOSE_RECORD_BYTES: usize = 1_024_000;
/// Records in a `PutRecordBatch` call (model: `PutRecordBatchRequestEntryList`).
pub const FIREHOSE_BATCH_RECORDS: usize = 500;
/// Bytes of data in a `PutRecordBatch` call before base64 (API reference: 4 MiB).
pub const FIREHOSE_BATCH_BYTES: usize = 4 * MIB;
/// Delivery streams on a `ListDeliveryStreams` page by default (API reference).
pub const LIST_DELIVERY_STREAMS_DEFAULT: u32 = 10;
/// Delivery streams on a `ListDeliveryStreams` page at most (model: `ListDeliveryStreamsInputLimit`).
pub const LIST_DELIVERY_STREAMS_MAX: u32 = 10_000;
/// Delivery streams per account, by default, where the quota page says nothing of the region (API reference,
/// `CreateDeliveryStream`).
pub const DELIVERY_STREAMS_PER_ACCOUNT: usize = 5_000;

/// Delivery streams that an account may have in a region (Firehose quota, which lists Canada (Central) twice: the larger
/// number is taken).
#[must_use]
pub fn delivery_streams_per_account(region: &str) -> usize {
    match region {
        "eu-central-1" | "eu-west-2" | "ap-southeast-1" | "ap-southeast-2" | "ap-northeast-2" | "ap-south-1"
        | "us-gov-west-1" | "ca-central-1" => 2_000,
        "eu-west-3" | "eu-south-1" | "eu-north-1" | "ap-east-1" | "ap-northeast-3" | "sa-east-1" | "cn-northwest-1"
        | "cn-north-1" | "me-south-1" | "us-gov-east-1" | "af-south-1" => 500,
        "eu-central-2" | "eu-south-2" | "ap-south-2" | "ap-southeast-3" | "ap-southeast-4" | "ap-southeast-5"
        | "ap-southeast-7" | "me-central-1" | "il-central-1" | "ca-west-1" | "mx-central-1" => 100,
        _ => DELIVERY_STREAMS_PER_ACCOUNT,
    }
}

/// `StartDeliveryStreamEncryption` and `StopDeliveryStreamEncryption` of a delivery stream in 24 hours, together (API
/// reference).
pub const DELIVERY_ENCRYPTION_CHANGES: usize = 25;
/// Reads a second that Firehose makes of each shard of a source stream (Firehose developer guide, "Writing to Firehose
/// using Kinesis Data Streams": once a second, which counts against the shard's overall limit).
pub const FIREHOSE_READS_PER_SHARD_SECOND: u32 = 1;

/// What a delivery stream of type DirectPut takes in a second, by `PutRecord` and `PutRecordBatch` together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectPutRates {
    /// Calls.
    pub requests: u32,
    /// Records.
    pub records: u32,
    /// Bytes of data before base64.
    pub bytes: u64,
}

/// What the API reference of `PutRecord` and `PutRecordBatch` grants to every delivery stream by default: 2,000
/// transactions, 5,000 records and 5 MB a second.
pub const DIRECT_PUT_REFERENCE: DirectPutRates =
    DirectPutRates { requests: 2_000, records: 5_000, bytes: 5 * MIB as u64 };

/// What the quota page of today grants to a delivery stream in a region (Firehose quota).
#[must_use]
pub fn direct_put_quota(region: &str) -> DirectPutRates {
    match region {
        "us-east-1" | "us-west-2" | "eu-west-1" => {
            DirectPutRates { requests: 2_000, records: 500_000, bytes: 5 * MIB as u64 }
        }
        _ => DirectPutRates { requests: 1_000, records: 100_000, bytes: MIB as u64 },
    }
}

/// Least `BufferingHints.SizeInMBs` with dynamic partitioning or conversion (observed).
pub const PARTITIONED_BUFFER_MB_MIN: u32 = 64;
/// Least `BufferingHints.IntervalInSeconds` with dynamic partitioning (observed).
pub const PARTITIONED_INTERVAL_S_MIN: u32 = 60;
/// Default of `BufferingHints.SizeInMBs` with dynamic partitioning. Observed with conversion; unverified for
/// partitioning, where the guide says so.
pub const PARTITIONED_BUFFER_MB_DEFAULT: u32 = 128;
/// Default of `RetryOptions.DurationInSeconds` of OpenSearch (API reference), of dynamic partitioning (recorded in 2022
/// by LocalStack's tests on AWS), and, unverified, of HTTP endpoints and Splunk.
pub const RETRY_S_DEFAULT: u32 = 300;
/// Default of `HECAcknowledgmentTimeoutInSeconds`: the least that the model allows. Unverified.
pub const HEC_ACK_TIMEOUT_S_DEFAULT: u32 = 180;
/// Longest `Prefix` or `ErrorOutputPrefix` once evaluated (observed).
pub const EVALUATED_PREFIX: usize = 512;
/// Processors of a processing that is enabled (observed).
pub const PROCESSORS: RangeInclusive<usize> = 1..=5;
/// `NumberOfRetries` of a function (observed).
pub const FUNCTION_RETRIES: RangeInclusive<u32> = 0..=300;
/// Default of `NumberOfRetries` (developer guide).
pub const FUNCTION_RETRIES_DEFAULT: &str = "3";
/// `BufferSizeInMBs` of a function; the bounds are exact (observed).
pub const FUNCTION_BUFFER_MB: RangeInclusive<f64> = 0.2..=3.0;
/// Default of a function's `BufferSizeInMBs` (developer guide).
pub const FUNCTION_BUFFER_MB_DEFAULT: &str = "1";
/// The same for Splunk: 256 KB (developer guide).
pub const SPLUNK_FUNCTION_BUFFER_MB_DEFAULT: &str = "0.25";
/// `BufferIntervalInSeconds` of a function (observed).
pub const FUNCTION_BUFFER_INTERVAL_S: RangeInclusive<u32> = 0..=900;
/// Default of a function's `BufferIntervalInSeconds` (developer guide).
pub const FUNCTION_BUFFER_INTERVAL_S_DEFAULT: &str = "60";
/// Tags on a `ListTagsForDeliveryStream` page, by default and at most (model: `ListTagsForDeliveryStreamInputLimit`).
pub const LIST_TAGS_FOR_DELIVERY_STREAM: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bounds, Kind, Shape};
    use crate::{firehose, kinesis};

    fn bounds(shape: &Shape) -> (Option<i64>, Option<i64>) {
        let wide = |length: &Bounds<u32>| (length.min.map(i64::from), length.max.map(i64::from));
        match &shape.kind {
            Kind::String { length, .. } | Kind::Blob(length) | Kind::List { length, .. } | Kind::Map { length, .. } => {
                wide(length)
            }
            Kind::Integer(bounds) | Kind::Long(bounds) => (bounds.min, bounds.max),
            Kind::Double(_) | Kind::Boolean | Kind::Timestamp | Kind::Structure(_) => (None, None),
        }
    }

    #[test]
    fn constants_are_the_model_s_where_it_has_them() {
        for (shape, max) in [
            (&kinesis::shapes::PUT_RECORDS_REQUEST_ENTRY_LIST, PUT_RECORDS_RECORDS),
            (&kinesis::shapes::DATA, DATA_BYTES),
            (&kinesis::shapes::PARTITION_KEY, PARTITION_KEY_CHARS),
            (&kinesis::shapes::GET_RECORDS_INPUT_LIMIT, GET_RECORDS_RECORDS as usize),
            (&kinesis::shapes::SHARD_ITERATOR, SHARD_ITERATOR_CHARS),
            (&kinesis::shapes::LIST_STREAMS_INPUT_LIMIT, LIST_STREAMS_MAX as usize),
            (&kinesis::shapes::MAX_RECORD_SIZE_IN_KI_B, RECORD_KIB_MAX as usize),
            (&kinesis::shapes::LIST_TAGS_FOR_STREAM_INPUT_LIMIT, LIST_TAGS_FOR_STREAM as usize),
            (&firehose::shapes::DATA, FIREHOSE_RECORD_BYTES),
            (&firehose::shapes::PUT_RECORD_BATCH_REQUEST_ENTRY_LIST, FIREHOSE_BATCH_RECORDS),
            (&firehose::shapes::LIST_DELIVERY_STREAMS_INPUT_LIMIT, LIST_DELIVERY_STREAMS_MAX as usize),
        ] {
            assert_eq!(bounds(shape).1, Some(max as i64), "{}", shape.name);
        }
        assert_eq!(bounds(&kinesis::shapes::MAX_RECORD_SIZE_IN_KI_B).0, Some(i64::from(RECORD_KIB_MIN)));
        assert_eq!(RECORD_KIB_MAX as usize * 1024, DATA_BYTES);
    }

    #[test]
    fn delivery_streams_of_an_account_depend_on_its_region() {
        for (region, streams) in [
            ("us-east-1", 5_000),
            ("ap-northeast-1", 5_000),
            ("us-west-1", 5_000),
            ("eu-central-1", 2_000),
            ("ca-central-1", 2_000),
            ("eu-north-1", 500),
            ("ca-west-1", 100),
        ] {
            assert_eq!(delivery_streams_per_account(region), streams, "{region}");
        }
    }

    #[test]
    fn shards_of_an_account_depend_on_its_region() {
        for (region, shards) in [
            ("us-east-1", 20_000),
            ("us-west-2", 20_000),
            ("eu-west-1", 20_000),
            ("us-east-2", 6_000),
            ("moon-1", 1_000),
        ] {
            assert_eq!(shards_per_account(region), shards, "{region}");
        }
    }
}
