//! One row an error: who makes it, its code, its text to the letter.

use super::*;

const STREAM: StreamText<'static> = StreamText { stream: "s", account: "000000000000" };
const SHARD: &str = "shardId-000000000005";

fn check(rows: &[(AwsError, ErrorCode, &str)]) {
    for (error, code, message) in rows {
        assert_eq!((error.code, error.message.as_deref()), (*code, Some(*message)));
        assert_eq!(error.status(), 400);
    }
}

use ErrorCode::{
    DryRunOperationException as DryRun, ExpiredIteratorException as ExpiredIterator,
    ExpiredNextTokenException as ExpiredToken, InvalidArgumentException as Invalid,
    LimitExceededException as LimitExceeded, ProvisionedThroughputExceededException as Throughput,
    ResourceInUseException as InUse, ResourceNotFoundException as NotFound, ValidationException as Validation,
};

#[test]
fn of_streams() {
    check(&[
        (stream_not_found(STREAM), NotFound, "Stream s under account 000000000000 not found."),
        (stream_exists(STREAM), InUse, "Stream s under account 000000000000 already exists."),
        (
            stream_not_active(STREAM, "UPDATING"),
            InUse,
            "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING",
        ),
        (stream_not_named(), Invalid, "Stream arn and stream name can't be empty at the same time"),
        (
            stream_name_mismatch("a", "b"),
            Invalid,
            "Input stream name a doesn't match the inferred name in stream arn b",
        ),
        (invalid_arn("arn:x"), Invalid, "The ARN 'arn:x' is invalid"),
        (
            arn_of_other_region("arn:aws:kinesis:us-west-2:000000000000:stream/s"),
            Invalid,
            "The region specified in the ARN 'arn:aws:kinesis:us-west-2:000000000000:stream/s' does not match the endpoint region",
        ),
        (control_rate_exceeded(STREAM), LimitExceeded, "Rate exceeded for stream s under account 000000000000."),
        (
            shard_count_missing(),
            Validation,
            "1 validation error detected: Value null at 'shardCount' failed to satisfy constraint: Member must not be null",
        ),
        (shard_count_on_demand(), Validation, "ShardCount must not be specified for a stream in ON_DEMAND mode."),
        (
            consumers_registered(STREAM),
            InUse,
            "Stream s under account 000000000000 has at least one registered consumer; set EnforceConsumerDeletion to delete it.",
        ),
        (token_with_start_stream(), Invalid, "ExclusiveStartStreamName and NextToken cannot be provided together."),
        (invalid_next_token(), Invalid, "Invalid NextToken."),
        (expired_next_token(), ExpiredToken, "The specified NextToken has expired."),
    ]);
}

#[test]
fn of_accounts() {
    check(&[
        (
            shard_limit_exceeded("0", "r", 1, 2, 3),
            LimitExceeded,
            "This request would exceed the shard limit for the account 0 in r. Current shard count for the account: 1. Limit: 2. Number of additional shards that would have resulted from this request: 3. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.",
        ),
        (account_rate_exceeded("0"), LimitExceeded, "Rate exceeded for account 0."),
        (
            too_many_creating_streams("0", 5),
            LimitExceeded,
            "This request would have exceed the limit on the number of streams that can simultaneously be in CREATING or DELETING for the account 0. Limit: 5.",
        ),
        (
            on_demand_limit_exceeded("0", "r", 50, 50),
            LimitExceeded,
            "This request would exceed the on-demand stream limit for the account 0 in r. Current on-demand stream count for the account: 50. Limit: 50.",
        ),
    ]);
}

#[test]
fn of_puts() {
    check(&[
        (
            shard_rate_exceeded(SHARD, STREAM),
            Throughput,
            "Rate exceeded for shard shardId-000000000005 in stream s under account 000000000000.",
        ),
        (
            partition_key_missing(None),
            Validation,
            "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null",
        ),
        (
            partition_key_missing(Some(2)),
            Validation,
            "1 validation error detected: Value null at 'records.2.member.partitionKey' failed to satisfy constraint: Member must not be null",
        ),
        (
            record_too_large("data", 1_048_576),
            Validation,
            "1 validation error detected: Value at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576",
        ),
        (
            batch_record_too_large(3, 1_048_576),
            Validation,
            "1 validation error detected: Value at 'records.3.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576",
        ),
        (records_too_large(), Invalid, "Records size exceeds 10 MB limit"),
        (
            invalid_explicit_hash_key("340282366920938463463374607431768211456"),
            Invalid,
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456",
        ),
        (
            invalid_sequence_number_for_ordering("7", STREAM),
            Invalid,
            "ExclusiveMinimumSequenceNumber 7 used in PutRecord on stream s under account 000000000000 is invalid.",
        ),
    ]);
    let entry = EntryError::rate_exceeded(SHARD, STREAM);
    assert_eq!(Some(entry.message), shard_rate_exceeded(SHARD, STREAM).message);
    assert_eq!(entry.code, Throughput);
    let entry = EntryError::internal_failure();
    assert_eq!((entry.code.name(), entry.message.as_str()), ("InternalFailure", "Internal Service Failure"));
}

#[test]
fn of_reads() {
    check(&[
        (
            get_records_rate_exceeded(SHARD, STREAM),
            Throughput,
            "Rate exceeded for Shard - 000000000000/s/shardId-000000000005",
        ),
        (
            iterator_type_mismatch("LATEST", true),
            Invalid,
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified LATEST and also a StartingSequenceNumber.",
        ),
        (
            iterator_type_mismatch("AT_SEQUENCE_NUMBER", false),
            Invalid,
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified AT_SEQUENCE_NUMBER and no StartingSequenceNumber.",
        ),
        (
            sequence_number_of_other_stream("7", SHARD, STREAM),
            Invalid,
            "StartingSequenceNumber 7 used in GetShardIterator on shard shardId-000000000005 in stream s under account 000000000000 is invalid because it did not come from this stream.",
        ),
        (
            invalid_sequence_number("7", SHARD, STREAM),
            Invalid,
            "StartingSequenceNumber 7 used in GetShardIterator on shard shardId-000000000005 in stream s under account 000000000000 is invalid.",
        ),
        (
            sequence_number_of_other_shard("shardId-000000000001", SHARD),
            Invalid,
            "Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard with shardId-000000000005",
        ),
        (
            timestamp_missing(),
            Invalid,
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.",
        ),
        (
            timestamp_in_future(2, 1),
            Invalid,
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: 2, currentTimestampInMillis: 1",
        ),
        (invalid_shard_iterator(), Invalid, "Invalid ShardIterator."),
        (
            expired_iterator("A", "B"),
            ExpiredIterator,
            "Iterator expired. The iterator was created at time A while right now it is B which is further in the future than the tolerated delay of 300000 milliseconds.",
        ),
        (
            dry_run("PutRecord"),
            DryRun,
            "DryRunOperation validation succeeded while calling PutRecord operation.: Request would have succeeded, but DryRun flag is set.",
        ),
    ]);
}

#[test]
fn of_shard_lists() {
    check(&[
        (
            shard_not_found(SHARD, STREAM),
            NotFound,
            "Shard shardId-000000000005 in stream s under account 000000000000 does not exist",
        ),
        (
            could_not_find_shard("ABKLFD8", STREAM),
            NotFound,
            "Could not find shard ABKLFD8 in stream s under account 000000000000.",
        ),
        (list_shards_of_nothing(), Invalid, "Either NextToken or StreamName should be provided."),
        (filter_timestamp_too_old(), Invalid, "ShardFilter Timestamp cannot be older than TRIM_HORIZON of the stream."),
        (filter_timestamp_in_future(), Invalid, "ShardFilter Timestamp must not be greater than current time."),
        (filter_shard_id_missing(), Invalid, "ShardId must be provided when the ShardFilter Type is AFTER_SHARD_ID."),
        (
            filter_timestamp_missing("AT_TIMESTAMP"),
            Invalid,
            "Timestamp must be provided when the ShardFilter Type is AT_TIMESTAMP.",
        ),
        (token_with_filter(), Invalid, "NextToken and ShardFilter cannot be provided together."),
        (token_with_creation_time(), Invalid, "NextToken and StreamCreationEpoch cannot be provided together."),
        (token_with_start_shard(), Invalid, "NextToken and ExclusiveStartShardId cannot be provided together."),
        (token_of_other_stream(), Invalid, "NextToken does not match the provided StreamName."),
    ]);
}

#[test]
fn of_resharding() {
    check(&[
        (
            split_key_out_of_range("1", SHARD, STREAM, "0", "113427455640312821154458202477256070484"),
            Invalid,
            "NewStartingHashKey 1 used in SplitShard() on shard shardId-000000000005 in stream s under account 000000000000 is not both greater than one plus the shard's StartingHashKey 0 and less than the shard's EndingHashKey 113427455640312821154458202477256070484.",
        ),
        (
            shard_already_resharded(SHARD, STREAM),
            Invalid,
            "Shard shardId-000000000005 in stream s under account 000000000000 has already been merged or split, and thus is not eligible for merging or splitting.",
        ),
        (
            shards_not_adjacent("shardId-000000000001", "shardId-000000000000", STREAM),
            Invalid,
            "Shards shardId-000000000001 and shardId-000000000000 in stream s under account 000000000000 are not an adjacent pair of shards eligible for merging",
        ),
        (
            stream_on_demand(STREAM),
            Validation,
            "Request is invalid. Stream s under account 000000000000 is in On-Demand mode.",
        ),
        (
            shard_count_over_double(2, 6),
            LimitExceeded,
            "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 2 Target shard count: 6",
        ),
        (
            shard_count_below_half(6, 2),
            LimitExceeded,
            "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 6 Target shard count: 2",
        ),
        (
            shard_count_over_maximum(10_000, 6_000, 10_001),
            LimitExceeded,
            "Target shard count or number of open shards cannot be greater than 10000. Current open shard count: 6000 Target shard count: 10001",
        ),
    ]);
}

#[test]
fn of_settings() {
    check(&[
        (
            retention_too_short(23),
            Invalid,
            "Minimum allowed retention period is 24 hours. Requested retention period (23 hours) is too short.",
        ),
        (
            retention_too_short(-1),
            Invalid,
            "Minimum allowed retention period is 24 hours. Requested retention period (-1 hours) is too short.",
        ),
        (
            retention_too_long(8761),
            Invalid,
            "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long.",
        ),
        (
            retention_not_decreased(26, "s", 25),
            Invalid,
            "Requested retention period (26 hours) for stream s can not be longer than existing retention period (25 hours). Use IncreaseRetentionPeriod API.",
        ),
        (
            retention_not_increased(24, "s", 25),
            Invalid,
            "Requested retention period (24 hours) for stream s can not be shorter than existing retention period (25 hours). Use DecreaseRetentionPeriod API.",
        ),
        (not_encrypted(), Invalid, "Cannot stop encrypting an unencrypted stream."),
        (encryption_type_not_supported(), Invalid, "The only valid EncryptionType is KMS."),
        (
            distribution_needs_on_demand(),
            Invalid,
            "RecordDistributionStrategy AUTO is only supported for streams in ON_DEMAND mode.",
        ),
        (
            no_throughput_commitment("000000000000"),
            Validation,
            "Account 000000000000 is not enabled for minimum throughput billing commitment",
        ),
        (
            warm_throughput_needs_on_demand(),
            Validation,
            "Warm throughput is only supported for streams in ON_DEMAND mode.",
        ),
        (
            warm_throughput_too_high(10_241),
            LimitExceeded,
            "Requested warm throughput (10241 MiBps) exceeds the limit of 10240 MiBps.",
        ),
    ]);
}

#[test]
fn of_consumers() {
    check(&[
        (consumer_exists("c", STREAM), InUse, "Consumer c under stream s already exists for account 000000000000."),
        (
            consumer_not_found("c", 1_789_779_975, STREAM),
            NotFound,
            "Consumer c with creation timestamp 1789779975 under stream: s, account 000000000000 not found.",
        ),
        (consumer_name_not_found("c", STREAM), NotFound, "Consumer c under stream: s, account 000000000000 not found."),
        (
            consumer_not_active("c", 1_731_291_806, STREAM),
            InUse,
            "Consumer c with creation timestamp 1731291806 under stream: s, account 000000000000 is not in ACTIVE status.",
        ),
        (
            consumer_resource_not_active("c", 1_731_291_806, STREAM),
            InUse,
            "Consumer c with creation timestamp 1731291806 under stream s and account 000000000000 is not in ACTIVE status.",
        ),
        (consumer_not_named(), Invalid, "Either ConsumerARN or both StreamARN and ConsumerName must be provided."),
        (consumer_mismatch(), Invalid, "ConsumerARN does not match the provided StreamARN and ConsumerName."),
        (
            too_many_consumers(STREAM, 20),
            LimitExceeded,
            "This request would exceed the limit on the number of consumers of stream s under account 000000000000. Limit: 20.",
        ),
        (
            too_many_creating_consumers(STREAM, 5),
            LimitExceeded,
            "This request would have exceed the limit on the number of consumers that can simultaneously be in CREATING for stream s under account 000000000000. Limit: 5.",
        ),
        (
            subscription_exists("c", SHARD, STREAM),
            InUse,
            "Another active subscription exists for this consumer: 000000000000:s:shardId-000000000005:c",
        ),
        (
            subscription_rate_exceeded("c", SHARD, STREAM),
            LimitExceeded,
            "Rate exceeded for consumer 000000000000:s:shardId-000000000005:c.",
        ),
    ]);
}

#[test]
fn of_tags_and_policies() {
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    check(&[
        (
            too_many_tags(arn, "000000000000"),
            Invalid,
            "Failed to add tags to resource arn:aws:kinesis:us-east-1:000000000000:stream/s under account 000000000000 because a given resource cannot have more than 50 tags associated with it.",
        ),
        (system_tag(), Invalid, "Some tag keys in the request started with 'aws:'. System tags cannot be modified."),
        (
            invalid_tag_characters(),
            Invalid,
            "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @ :.",
        ),
        (
            policy_not_found(arn),
            NotFound,
            "No resource policy found for resource ARN arn:aws:kinesis:us-east-1:000000000000:stream/s.",
        ),
        (policy_not_json(), Invalid, "Policy validation error: This policy contains invalid Json"),
        (policy_lacks("Principal"), Invalid, "Policy validation error: Missing required field Principal"),
        (policy_element_invalid("Effect"), Invalid, "Policy validation error: Invalid value of field Effect"),
    ]);
}
