//! Every operation's request becomes its own variant, and every reply reads as AWS writes it.

use super::*;
use crate::codec::Protocol;
use crate::kinesis::Request;
use crate::operation::KinesisOp as Op;
use crate::typed::{StringMap, TimestampMs, TimestampSeconds, WriteMember};

const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/s";
const CONSUMER: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1789779975";

fn decode(op: Op, body: &str) -> Request {
    let body = body.replace("$ARN", ARN).replace("$CONSUMER", CONSUMER);
    crate::kinesis::decode(op, Protocol::Json, body.as_bytes())
        .unwrap_or_else(|error| panic!("{}: {error:?}", op.name()))
}

fn json(reply: &impl WriteMember) -> String {
    String::from_utf8(crate::typed::to_bytes(reply, Protocol::Json)).unwrap()
}

/// A small request of each operation that is served.
const REQUESTS: &[(Op, &str)] = &[
    (Op::AddTagsToStream, r#"{"StreamName":"s","Tags":{"k":"v"}}"#),
    (Op::CreateStream, r#"{"StreamName":"s"}"#),
    (Op::DecreaseStreamRetentionPeriod, r#"{"StreamName":"s","RetentionPeriodHours":24}"#),
    (Op::DeleteResourcePolicy, r#"{"ResourceARN":"$ARN"}"#),
    (Op::DeleteStream, r#"{"StreamName":"s"}"#),
    (Op::DeregisterStreamConsumer, r#"{"ConsumerARN":"$CONSUMER"}"#),
    (Op::DescribeAccountSettings, "{}"),
    (Op::DescribeLimits, "{}"),
    (Op::DescribeStream, r#"{"StreamName":"s"}"#),
    (Op::DescribeStreamConsumer, r#"{"StreamARN":"$ARN","ConsumerName":"c"}"#),
    (Op::DescribeStreamSummary, r#"{"StreamName":"s"}"#),
    (Op::DisableEnhancedMonitoring, r#"{"StreamName":"s","ShardLevelMetrics":["ALL"]}"#),
    (Op::EnableEnhancedMonitoring, r#"{"StreamName":"s","ShardLevelMetrics":["IncomingBytes"]}"#),
    (Op::GetRecords, r#"{"ShardIterator":"i"}"#),
    (Op::GetResourcePolicy, r#"{"ResourceARN":"$CONSUMER"}"#),
    (Op::GetShardIterator, r#"{"StreamName":"s","ShardId":"shardId-0","ShardIteratorType":"LATEST"}"#),
    (Op::IncreaseStreamRetentionPeriod, r#"{"StreamName":"s","RetentionPeriodHours":25}"#),
    (Op::ListShards, r#"{"StreamName":"s"}"#),
    (Op::ListStreamConsumers, r#"{"StreamARN":"$ARN"}"#),
    (Op::ListStreams, "{}"),
    (Op::ListTagsForResource, r#"{"ResourceARN":"$ARN"}"#),
    (Op::ListTagsForStream, r#"{"StreamName":"s"}"#),
    (Op::MergeShards, r#"{"StreamName":"s","ShardToMerge":"shardId-0","AdjacentShardToMerge":"shardId-1"}"#),
    (Op::PutRecord, r#"{"StreamName":"s","Data":""}"#),
    (Op::PutRecords, r#"{"StreamName":"s","Records":[{"Data":""}]}"#),
    (Op::PutResourcePolicy, r#"{"ResourceARN":"$ARN","Policy":"{}"}"#),
    (Op::RegisterStreamConsumer, r#"{"StreamARN":"$ARN","ConsumerName":"c"}"#),
    (Op::RemoveTagsFromStream, r#"{"StreamName":"s","TagKeys":["k"]}"#),
    (Op::SplitShard, r#"{"StreamName":"s","ShardToSplit":"shardId-0","NewStartingHashKey":"5"}"#),
    (Op::StartStreamEncryption, r#"{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}"#),
    (Op::StopStreamEncryption, r#"{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}"#),
    (
        Op::SubscribeToShard,
        r#"{"ConsumerARN":"$CONSUMER","ShardId":"shardId-0","StartingPosition":{"Type":"AT_TIMESTAMP","Timestamp":1.5}}"#,
    ),
    (Op::TagResource, r#"{"ResourceARN":"$CONSUMER","Tags":{"k":"v"}}"#),
    (Op::UntagResource, r#"{"ResourceARN":"$ARN","TagKeys":["k"]}"#),
    (Op::UpdateAccountSettings, r#"{"MinimumThroughputBillingCommitment":{"Status":"ENABLED"}}"#),
    (Op::UpdateMaxRecordSize, r#"{"StreamARN":"$ARN","MaxRecordSizeInKiB":2048}"#),
    (Op::UpdateShardCount, r#"{"StreamName":"s","TargetShardCount":3,"ScalingType":"UNIFORM_SCALING"}"#),
    (Op::UpdateStreamMode, r#"{"StreamARN":"$ARN","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}"#),
    (Op::UpdateStreamRecordDistributionStrategy, r#"{"StreamARN":"$ARN","RecordDistributionStrategy":"AUTO"}"#),
    (Op::UpdateStreamWarmThroughput, r#"{"StreamName":"s","WarmThroughputMiBps":100}"#),
];

#[test]
fn every_operation_has_its_request() {
    assert_eq!(REQUESTS.len(), 40);
    for (op, body) in REQUESTS {
        let request = format!("{:?}", decode(*op, body));
        assert!(request.starts_with(&format!("{0}({0}", op.name())), "{request}");
    }
    for op in Op::ALL.iter().filter(|op| REQUESTS.iter().all(|(served, _)| served != *op)) {
        assert!(op.name().contains("Queue") || op.name().contains("Channel"), "{}", op.name());
    }
}

/// How a decoded request names its stream; `None` if it cannot.
fn stream_of(request: &Request) -> Option<StreamRef<'_>> {
    Some(match request {
        Request::AddTagsToStream(request) => request.stream(),
        Request::DecreaseStreamRetentionPeriod(request) => request.stream(),
        Request::DisableEnhancedMonitoring(request) => request.stream(),
        Request::EnableEnhancedMonitoring(request) => request.stream(),
        Request::IncreaseStreamRetentionPeriod(request) => request.stream(),
        Request::ListStreamConsumers(request) => request.stream(),
        Request::ListTagsForStream(request) => request.stream(),
        Request::MergeShards(request) => request.stream(),
        Request::RegisterStreamConsumer(request) => request.stream(),
        Request::RemoveTagsFromStream(request) => request.stream(),
        Request::SplitShard(request) => request.stream(),
        Request::StartStreamEncryption(request) => request.stream(),
        Request::StopStreamEncryption(request) => request.stream(),
        Request::UpdateMaxRecordSize(request) => request.stream(),
        Request::UpdateShardCount(request) => request.stream(),
        Request::UpdateStreamMode(request) => request.stream(),
        Request::UpdateStreamRecordDistributionStrategy(request) => request.stream(),
        Request::UpdateStreamWarmThroughput(request) => request.stream(),
        _ => return None,
    })
}

#[test]
fn a_stream_is_named_as_the_request_names_it() {
    let mut named = 0;
    for (op, body) in REQUESTS {
        let request = decode(*op, body);
        let Some(stream) = stream_of(&request) else { continue };
        let by_name = body.contains("StreamName");
        let expected = StreamRef { name: by_name.then_some("s"), arn: (!by_name).then_some(ARN), id: None };
        assert_eq!(stream, expected, "{}", op.name());
        named += 1;
    }
    assert_eq!(named, 18);
    let Request::DescribeStreamConsumer(request) =
        decode(Op::DescribeStreamConsumer, r#"{"StreamARN":"$ARN","ConsumerName":"c","ConsumerARN":"$CONSUMER"}"#)
    else {
        panic!("not DescribeStreamConsumer")
    };
    let expected = ConsumerRef { arn: Some(CONSUMER), name: Some("c"), stream_arn: Some(ARN) };
    assert_eq!(request.consumer(), expected);
}

#[test]
fn members_keep_their_values() {
    let Request::SubscribeToShard(request) = decode(
        Op::SubscribeToShard,
        r#"{"ConsumerARN":"$CONSUMER","ShardId":"s-0","StartingPosition":{"Type":"AT_TIMESTAMP","Timestamp":1.5},"DryRun":true}"#,
    ) else {
        panic!("not SubscribeToShard")
    };
    let position = request.starting_position;
    assert_eq!(position.timestamp, Some(TimestampMs(1500)));
    assert_eq!(position.position_type, ShardIteratorType::AtTimestamp);
    assert_eq!((request.shard_id.as_str(), request.dry_run), ("s-0", Some(true)));
    let body = r#"{"StreamName":"s","RetentionPeriodHours":-1}"#;
    let Request::IncreaseStreamRetentionPeriod(request) = decode(Op::IncreaseStreamRetentionPeriod, body) else {
        panic!("not IncreaseStreamRetentionPeriod")
    };
    assert_eq!(request.retention_period_hours, -1);
    let Request::TagResource(request) =
        decode(Op::TagResource, r#"{"ResourceARN":"$CONSUMER","Tags":{"b":"","a":"1"}}"#)
    else {
        panic!("not TagResource")
    };
    assert_eq!(request.tags, StringMap(vec![("a".into(), "1".into()), ("b".into(), String::new())]));
}

#[test]
fn metrics_are_shown_in_their_own_order() {
    use MetricsName as M;
    for (metrics, expected) in [
        (&[][..], &[][..]),
        (&[M::IncomingRecords, M::OutgoingRecords, M::IncomingRecords], &[M::OutgoingRecords, M::IncomingRecords]),
        (&[M::IncomingBytes, M::All], &M::SHOWN),
    ] {
        assert_eq!(M::shown(metrics), expected);
    }
    assert_eq!(
        json(&EnhancedMetrics::of(&[M::IncomingRecords, M::OutgoingRecords])),
        r#"[{"ShardLevelMetrics":["OutgoingRecords","IncomingRecords"]}]"#
    );
    assert_eq!(json(&EnhancedMetrics::none()), r#"[{"ShardLevelMetrics":[]}]"#);
    let mut all: Vec<&str> = M::SHOWN.iter().map(|metric| metric.as_str()).collect();
    let mut model: Vec<&str> =
        M::ALL.iter().filter(|metric| **metric != M::All).map(|metric| metric.as_str()).collect();
    all.sort_unstable();
    model.sort_unstable();
    assert_eq!(all, model);
}

#[test]
fn replies_about_streams_read_as_aws_writes_them() {
    assert_eq!(
        json(&UpdateShardCountReply {
            current_shard_count: 2,
            stream_arn: ARN.into(),
            stream_name: "s".into(),
            target_shard_count: 3,
        }),
        format!(r#"{{"CurrentShardCount":2,"StreamARN":"{ARN}","StreamName":"s","TargetShardCount":3}}"#)
    );
    assert_eq!(
        json(&EnhancedMonitoringReply {
            current_shard_level_metrics: vec![],
            desired_shard_level_metrics: vec![MetricsName::IncomingRecords],
            stream_arn: ARN.into(),
            stream_name: "s".into(),
        }),
        format!(
            r#"{{"CurrentShardLevelMetrics":[],"DesiredShardLevelMetrics":["IncomingRecords"],"StreamARN":"{ARN}","StreamName":"s"}}"#
        )
    );
    assert_eq!(
        json(&UpdateStreamWarmThroughputReply {
            stream_arn: ARN.into(),
            stream_name: "s".into(),
            warm_throughput: WarmThroughput { current_mibps: Some(4), target_mibps: Some(100) },
        }),
        format!(r#"{{"StreamARN":"{ARN}","StreamName":"s","WarmThroughput":{{"CurrentMiBps":4,"TargetMiBps":100}}}}"#)
    );
    let tags = vec![Tag { key: "a".into(), value: Some(String::new()) }];
    assert_eq!(
        json(&ListTagsForStreamReply { has_more_tags: true, tags: tags.clone() }),
        r#"{"HasMoreTags":true,"Tags":[{"Key":"a","Value":""}]}"#
    );
    assert_eq!(json(&ListTagsForResourceReply { tags }), r#"{"Tags":[{"Key":"a","Value":""}]}"#);
    assert_eq!(json(&GetResourcePolicyReply { policy: "{}".into() }), r#"{"Policy":"{}"}"#);
}

#[test]
fn replies_about_consumers_read_as_aws_writes_them() {
    let consumer = Consumer {
        consumer_arn: CONSUMER.into(),
        consumer_creation_timestamp: TimestampSeconds(1_789_779_975_123),
        consumer_name: "c".into(),
        consumer_status: ConsumerStatus::Creating,
    };
    let text = format!(
        r#"{{"ConsumerARN":"{CONSUMER}","ConsumerCreationTimestamp":1.789779975E9,"ConsumerName":"c","ConsumerStatus":"CREATING"}}"#
    );
    assert_eq!(json(&RegisterStreamConsumerReply { consumer: consumer.clone() }), format!(r#"{{"Consumer":{text}}}"#));
    let page = ListStreamConsumersReply { consumers: vec![consumer], next_token: Some("t".into()) };
    assert_eq!(json(&page), format!(r#"{{"Consumers":[{text}],"NextToken":"t"}}"#));
    let none = ListStreamConsumersReply { consumers: vec![], next_token: None };
    assert_eq!(json(&none), r#"{"Consumers":[]}"#);
    let description = ConsumerDescription {
        consumer_arn: CONSUMER.into(),
        consumer_creation_timestamp: TimestampSeconds(1_789_779_975_000),
        consumer_name: "c".into(),
        consumer_status: ConsumerStatus::Active,
        stream_arn: ARN.into(),
    };
    assert_eq!(
        json(&DescribeStreamConsumerReply { consumer_description: description }),
        format!(
            r#"{{"ConsumerDescription":{{"ConsumerARN":"{CONSUMER}","ConsumerCreationTimestamp":1.789779975E9,"ConsumerName":"c","ConsumerStatus":"ACTIVE","StreamARN":"{ARN}"}}}}"#
        )
    );
}

#[test]
fn replies_about_accounts_read_as_aws_writes_them() {
    assert_eq!(
        json(&DescribeLimitsReply {
            channel_count: 0,
            channel_count_limit: 100,
            on_demand_stream_count: 1,
            on_demand_stream_count_limit: 50,
            open_shard_count: 2,
            shard_limit: 20_000,
        }),
        r#"{"ChannelCount":0,"ChannelCountLimit":100,"OnDemandStreamCount":1,"OnDemandStreamCountLimit":50,"OpenShardCount":2,"ShardLimit":20000}"#
    );
    let none = MinimumThroughputBillingCommitmentOutput {
        earliest_allowed_end_at: None,
        ended_at: None,
        started_at: None,
        status: CommitmentStatus::Disabled,
    };
    assert_eq!(
        json(&DescribeAccountSettingsReply { minimum_throughput_billing_commitment: none.clone() }),
        r#"{"MinimumThroughputBillingCommitment":{"Status":"DISABLED"}}"#
    );
    let enabled = MinimumThroughputBillingCommitmentOutput {
        earliest_allowed_end_at: Some(TimestampMs(1_789_866_375_500)),
        started_at: Some(TimestampMs(1_789_779_975_500)),
        status: CommitmentStatus::EnabledUntilEarliestAllowedEnd,
        ..none
    };
    assert_eq!(
        json(&UpdateAccountSettingsReply { minimum_throughput_billing_commitment: enabled }),
        r#"{"MinimumThroughputBillingCommitment":{"EarliestAllowedEndAt":1.7898663755E9,"StartedAt":1.7897799755E9,"Status":"ENABLED_UNTIL_EARLIEST_ALLOWED_END"}}"#
    );
}
