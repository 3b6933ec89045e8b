use super::types::*;
use super::{Request, decode, errors, get_records, put_records};
use crate::codec::Protocol;
use crate::operation::{KinesisOp, Operation, Service};
use crate::typed::test::{enum_agrees, reply_agrees, request_agrees};
use crate::typed::{StringMap, TimestampMs, TimestampSeconds};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn requests_have_the_model_s_members() {
    request_agrees::<DescribeLimits>();
    request_agrees::<MinimumThroughputBillingCommitmentInput>();
    request_agrees::<DescribeAccountSettings>();
    request_agrees::<UpdateAccountSettings>();
    request_agrees::<RegisterStreamConsumer>();
    request_agrees::<DeregisterStreamConsumer>();
    request_agrees::<DescribeStreamConsumer>();
    request_agrees::<ListStreamConsumers>();
    request_agrees::<StartingPosition>();
    request_agrees::<SubscribeToShard>();
    request_agrees::<PutRecord>();
    request_agrees::<PutRecordsRequestEntry>();
    request_agrees::<PutRecords>();
    request_agrees::<GetShardIterator>();
    request_agrees::<GetRecords>();
    request_agrees::<PutResourcePolicy>();
    request_agrees::<GetResourcePolicy>();
    request_agrees::<DeleteResourcePolicy>();
    request_agrees::<IncreaseStreamRetentionPeriod>();
    request_agrees::<DecreaseStreamRetentionPeriod>();
    request_agrees::<StartStreamEncryption>();
    request_agrees::<StopStreamEncryption>();
    request_agrees::<EnableEnhancedMonitoring>();
    request_agrees::<DisableEnhancedMonitoring>();
    request_agrees::<UpdateMaxRecordSize>();
    request_agrees::<UpdateStreamMode>();
    request_agrees::<UpdateStreamRecordDistributionStrategy>();
    request_agrees::<UpdateStreamWarmThroughput>();
    request_agrees::<ShardFilter>();
    request_agrees::<ListShards>();
    request_agrees::<SplitShard>();
    request_agrees::<MergeShards>();
    request_agrees::<UpdateShardCount>();
    request_agrees::<StreamModeDetails>();
    request_agrees::<CreateStream>();
    request_agrees::<DeleteStream>();
    request_agrees::<DescribeStream>();
    request_agrees::<DescribeStreamSummary>();
    request_agrees::<ListStreams>();
    request_agrees::<AddTagsToStream>();
    request_agrees::<RemoveTagsFromStream>();
    request_agrees::<ListTagsForStream>();
    request_agrees::<TagResource>();
    request_agrees::<UntagResource>();
    request_agrees::<ListTagsForResource>();
}

#[test]
fn replies_have_members_of_the_model() {
    reply_agrees::<DescribeLimitsReply>(&[]);
    reply_agrees::<MinimumThroughputBillingCommitmentOutput>(&[]);
    reply_agrees::<DescribeAccountSettingsReply>(&[]);
    reply_agrees::<UpdateAccountSettingsReply>(&[]);
    reply_agrees::<Consumer>(&[]);
    reply_agrees::<ConsumerDescription>(&[]);
    reply_agrees::<RegisterStreamConsumerReply>(&[]);
    reply_agrees::<DescribeStreamConsumerReply>(&[]);
    reply_agrees::<ListStreamConsumersReply>(&[]);
    reply_agrees::<PutRecordReply>(&[]);
    reply_agrees::<GetShardIteratorReply>(&[]);
    reply_agrees::<GetResourcePolicyReply>(&[]);
    reply_agrees::<EnhancedMonitoringReply>(&[]);
    reply_agrees::<UpdateStreamWarmThroughputReply>(&[]);
    reply_agrees::<HashKeyRange>(&[]);
    reply_agrees::<SequenceNumberRange>(&[]);
    reply_agrees::<Shard>(&[]);
    reply_agrees::<ChildShard>(&[]);
    reply_agrees::<ListShardsReply>(&[]);
    reply_agrees::<UpdateShardCountReply>(&[]);
    reply_agrees::<EnhancedMetrics>(&[]);
    reply_agrees::<StreamDescription>(&[]);
    reply_agrees::<DescribeStreamReply>(&[]);
    reply_agrees::<WarmThroughput>(&[]);
    reply_agrees::<StreamDescriptionSummary>(&["StreamId"]);
    reply_agrees::<DescribeStreamSummaryReply>(&[]);
    reply_agrees::<StreamSummary>(&[]);
    reply_agrees::<ListStreamsReply>(&[]);
    reply_agrees::<Tag>(&[]);
    reply_agrees::<ListTagsForStreamReply>(&[]);
    reply_agrees::<ListTagsForResourceReply>(&[]);
}

#[test]
fn enumerations_have_the_model_s_values() {
    use super::shapes;
    enum_agrees(&shapes::SHARD_ITERATOR_TYPE, ShardIteratorType::ALL, ShardIteratorType::as_str);
    enum_agrees(&shapes::SHARD_FILTER_TYPE, ShardFilterType::ALL, ShardFilterType::as_str);
    enum_agrees(&shapes::CONSUMER_STATUS, ConsumerStatus::ALL, ConsumerStatus::as_str);
    enum_agrees(&shapes::SCALING_TYPE, ScalingType::ALL, ScalingType::as_str);
    let wished = &shapes::MINIMUM_THROUGHPUT_BILLING_COMMITMENT_INPUT_STATUS;
    enum_agrees(wished, CommitmentRequest::ALL, CommitmentRequest::as_str);
    let there = &shapes::MINIMUM_THROUGHPUT_BILLING_COMMITMENT_OUTPUT_STATUS;
    enum_agrees(there, CommitmentStatus::ALL, CommitmentStatus::as_str);
    enum_agrees(&shapes::STREAM_MODE, StreamMode::ALL, StreamMode::as_str);
    enum_agrees(&shapes::STREAM_STATUS, StreamStatus::ALL, StreamStatus::as_str);
    enum_agrees(&shapes::ENCRYPTION_TYPE, EncryptionType::ALL, EncryptionType::as_str);
    enum_agrees(&shapes::METRICS_NAME, MetricsName::ALL, MetricsName::as_str);
    let strategy = &shapes::RECORD_DISTRIBUTION_STRATEGY;
    enum_agrees(strategy, RecordDistributionStrategy::ALL, RecordDistributionStrategy::as_str);
}

#[test]
fn targets_name_operations() {
    assert_eq!(KinesisOp::ALL.len(), 57);
    for op in KinesisOp::ALL {
        let target = format!("{}.{}", Service::Kinesis.target_prefix(), op.name());
        assert_eq!(Operation::from_target(&target), Some(Operation::Kinesis(*op)));
        assert_eq!(op.input().name, format!("{}Input", op.name()));
    }
    for target in [
        "",
        "Kinesis_20131202",
        "Kinesis_20131202.",
        "Kinesis_20131202.putRecord",
        "Kinesis_20131203.PutRecord",
        "Firehose_20150804.PutRecords",
        "Kinesis_20131202.PutRecord.",
        "PutRecord",
    ] {
        assert_eq!(Operation::from_target(target), None, "{target}");
    }
}

#[test]
fn a_request_becomes_typed() {
    let body =
        br#"{"StreamName":"s","ShardCount":2.0,"StreamModeDetails":{"StreamMode":"ON_DEMAND"},"Tags":{"k":"v"}}"#;
    assert_eq!(
        decode(KinesisOp::CreateStream, Protocol::Json, body),
        Ok(Request::CreateStream(CreateStream {
            max_record_size_in_kib: None,
            record_distribution_strategy: None,
            shard_count: Some(2),
            stream_mode_details: Some(StreamModeDetails { stream_mode: StreamMode::OnDemand }),
            stream_name: "s".into(),
            tags: Some(StringMap(vec![("k".into(), "v".into())])),
            warm_throughput_mibps: None,
        }))
    );
    let body = br#"{"ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1.5},"StreamARN":"arn:aws:kinesis:r:000000000000:stream/s"}"#;
    let Ok(Request::ListShards(request)) = decode(KinesisOp::ListShards, Protocol::Json, body) else {
        panic!("not ListShards")
    };
    assert_eq!(request.shard_filter.as_ref().unwrap().timestamp, Some(TimestampMs(1500)));
    assert_eq!(request.stream().arn, Some("arn:aws:kinesis:r:000000000000:stream/s"));
    for (op, body) in [
        (KinesisOp::PutRecord, r#"{"DryRun":true,"Data":"","StreamName":"s"}"#),
        (KinesisOp::PutRecords, r#"{"DryRun":true,"Records":[{"Data":""}],"StreamName":"s"}"#),
        (KinesisOp::GetRecords, r#"{"DryRun":true,"ShardIterator":"i"}"#),
        (KinesisOp::GetShardIterator, r#"{"DryRun":true,"ShardId":"s-0","ShardIteratorType":"LATEST"}"#),
    ] {
        let dry_run = match decode(op, Protocol::Json, body.as_bytes()).unwrap() {
            Request::PutRecord(request) => request.dry_run,
            Request::PutRecords(request) => request.dry_run,
            Request::GetRecords(request) => request.dry_run,
            Request::GetShardIterator(request) => request.dry_run,
            other => panic!("{other:?}"),
        };
        assert_eq!(dry_run, Some(true));
    }
    let body = br#"{"StreamName":"s","ShardToSplit":"shardId-0","NewStartingHashKey":"5"}"#;
    let Ok(Request::SplitShard(request)) = decode(KinesisOp::SplitShard, Protocol::Json, body) else {
        panic!("not SplitShard")
    };
    assert_eq!((request.shard_to_split.as_str(), request.new_starting_hash_key.as_str()), ("shardId-0", "5"));
}

#[test]
fn shard_ids_are_normalised() {
    for (id, expected) in [
        ("shardId-000000000001", Some("shardId-000000000001")),
        ("foo-1", Some("shardId-000000000001")),
        ("a-b-7", Some("shardId-000000000007")),
        ("-00002147483647", Some("shardId-002147483647")),
        ("2147483647", Some("shardId-002147483647")),
        ("2147483648", None),
        ("shardId-002147483648", None),
        ("shardId-", None),
        ("ABKLFD8", None),
        ("2.14E4", None),
        ("shardId-+1", None),
        ("shardId-\u{661}", None),
        ("", None),
    ] {
        assert_eq!(normalize_shard_id(id).as_deref(), expected, "{id}");
    }
}

fn shard(closed: bool) -> Shard {
    Shard {
        adjacent_parent_shard_id: None,
        hash_key_range: HashKeyRange { ending_hash_key: "9".into(), starting_hash_key: "0".into() },
        parent_shard_id: closed.then(|| "shardId-000000000000".to_owned()),
        sequence_number_range: SequenceNumberRange {
            ending_sequence_number: closed.then(|| "22".to_owned()),
            starting_sequence_number: "11".into(),
        },
        shard_id: "shardId-000000000001".into(),
    }
}

#[test]
fn describe_stream_is_written_as_aws_writes_it() {
    let reply = DescribeStreamReply {
        stream_description: StreamDescription {
            encryption_type: None,
            enhanced_monitoring: EnhancedMetrics::none(),
            has_more_shards: false,
            key_id: None,
            retention_period_hours: 24,
            shards: vec![shard(false), shard(true)],
            stream_arn: "arn".into(),
            stream_creation_timestamp: TimestampSeconds(1_789_779_944_662),
            stream_mode_details: Some(StreamModeDetails { stream_mode: StreamMode::Provisioned }),
            stream_name: "s".into(),
            stream_status: StreamStatus::Active,
        },
    };
    assert_eq!(
        text(reply.to_bytes(Protocol::Json)),
        concat!(
            r#"{"StreamDescription":{"EnhancedMonitoring":[{"ShardLevelMetrics":[]}],"HasMoreShards":false,"#,
            r#""RetentionPeriodHours":24,"Shards":[{"HashKeyRange":{"EndingHashKey":"9","StartingHashKey":"0"},"#,
            r#""SequenceNumberRange":{"StartingSequenceNumber":"11"},"ShardId":"shardId-000000000001"},"#,
            r#"{"HashKeyRange":{"EndingHashKey":"9","StartingHashKey":"0"},"ParentShardId":"shardId-000000000000","#,
            r#""SequenceNumberRange":{"EndingSequenceNumber":"22","StartingSequenceNumber":"11"},"#,
            r#""ShardId":"shardId-000000000001"}],"StreamARN":"arn","StreamCreationTimestamp":1.789779944E9,"#,
            r#""StreamModeDetails":{"StreamMode":"PROVISIONED"},"StreamName":"s","StreamStatus":"ACTIVE"}}"#,
        )
    );
}

#[test]
fn describe_stream_summary_always_shows_its_constants() {
    let reply = DescribeStreamSummaryReply {
        stream_description_summary: StreamDescriptionSummary {
            channel_count: 0,
            consumer_count: 0,
            encryption_type: EncryptionType::None,
            enhanced_monitoring: EnhancedMetrics::none(),
            key_id: None,
            max_record_size_in_kib: 1024,
            open_shard_count: None,
            queue_count: None,
            record_distribution_strategy: None,
            retention_period_hours: 24,
            stream_arn: "arn".into(),
            stream_creation_timestamp: TimestampSeconds(1_700_000_000_000),
            stream_mode_details: None,
            stream_name: "s".into(),
            stream_status: StreamStatus::Creating,
            warm_throughput: None,
        },
    };
    assert_eq!(
        text(reply.to_bytes(Protocol::Json)),
        concat!(
            r#"{"StreamDescriptionSummary":{"ChannelCount":0,"ConsumerCount":0,"EncryptionType":"NONE","#,
            r#""EnhancedMonitoring":[{"ShardLevelMetrics":[]}],"MaxRecordSizeInKiB":1024,"RetentionPeriodHours":24,"#,
            r#""StreamARN":"arn","StreamCreationTimestamp":1.7E9,"StreamName":"s","StreamStatus":"CREATING"}}"#,
        )
    );
}

#[test]
fn put_records_replies_in_one_buffer() {
    let error = errors::EntryError::rate_exceeded("shardId-0", errors::StreamText { stream: "s", account: "0" });
    let mut reply = put_records::PutRecordsReply::new(Protocol::Json, None, 1, 2);
    reply.stored(b"49", "shardId-000000000000");
    reply.failed(error.code.name(), &error.message);
    assert_eq!(
        text(reply.finish()),
        concat!(
            r#"{"FailedRecordCount":1,"Records":[{"SequenceNumber":"49","ShardId":"shardId-000000000000"},"#,
            r#"{"ErrorCode":"ProvisionedThroughputExceededException","#,
            r#""ErrorMessage":"Rate exceeded for shard shardId-0 in stream s under account 0."}]}"#,
        )
    );
    assert_eq!(
        text(put_records::PutRecordsReply::new(Protocol::Json, None, 0, 0).finish()),
        r#"{"FailedRecordCount":0,"Records":[]}"#
    );
}

#[test]
fn get_records_replies_as_it_reads() {
    let head = get_records::GetRecordsHead {
        child_shards: None,
        millis_behind_latest: 0,
        next_shard_iterator: Some("it".into()),
    };
    let mut reply = head.begin(Protocol::Json, 100);
    reply.record(1_789_779_944_662, b"hi", "k\"é".as_bytes(), b"49");
    reply.record(1_789_779_944_662, b"", b"", b"50");
    reply.record(1_789_779_945_000, b"a", b"\xff", b"51");
    assert_eq!(reply.records(), 3);
    assert_eq!(
        text(reply.finish()),
        concat!(
            r#"{"MillisBehindLatest":0,"NextShardIterator":"it","Records":["#,
            r#"{"ApproximateArrivalTimestamp":1.789779944662E9,"Data":"aGk=","PartitionKey":"k\"é","SequenceNumber":"49"},"#,
            r#"{"ApproximateArrivalTimestamp":1.789779944662E9,"Data":"","SequenceNumber":"50"},"#,
            "{\"ApproximateArrivalTimestamp\":1.789779945E9,\"Data\":\"YQ==\",\"PartitionKey\":\"\u{fffd}\",\"SequenceNumber\":\"51\"}]}",
        )
    );
    let head = get_records::GetRecordsHead {
        child_shards: Some(vec![ChildShard {
            hash_key_range: HashKeyRange { ending_hash_key: "9".into(), starting_hash_key: "0".into() },
            parent_shards: vec!["p".into()],
            shard_id: "c".into(),
        }]),
        millis_behind_latest: 1000,
        next_shard_iterator: None,
    };
    assert_eq!(
        text(head.begin(Protocol::Json, 0).finish()),
        concat!(
            r#"{"ChildShards":[{"HashKeyRange":{"EndingHashKey":"9","StartingHashKey":"0"},"ParentShards":["p"],"#,
            r#""ShardId":"c"}],"MillisBehindLatest":1000,"Records":[]}"#
        )
    );
}
