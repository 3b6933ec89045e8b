//! Replies in CBOR, read by another implementation: they say what the replies in JSON say, in the same order, in maps
//! and lists of indefinite length.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use levada_wire::firehose::put_record_batch::PutRecordBatchReply;
use levada_wire::kinesis::get_records::GetRecordsHead;
use levada_wire::kinesis::put_records::PutRecordsReply;
use levada_wire::kinesis::subscribe::EventHead;
use levada_wire::kinesis::types::{
    ChildShard, EncryptionType, EnhancedMetrics, HashKeyRange, ListStreamsReply, PutRecordReply, StreamDescription,
    StreamMode, StreamModeDetails, StreamStatus, StreamSummary,
};
use levada_wire::typed::TimestampSeconds;
use levada_wire::{AwsError, ErrorCode, Protocol};
use serde_json::{Value, json};

/// What JSON says of a CBOR document: base64 for bytes, seconds for points in time.
fn as_json(value: &ciborium::Value) -> Value {
    match value {
        ciborium::Value::Null => Value::Null,
        ciborium::Value::Bool(truth) => json!(truth),
        ciborium::Value::Integer(number) => json!(i64::try_from(*number).unwrap()),
        ciborium::Value::Float(number) => json!(number),
        ciborium::Value::Text(text) => json!(text),
        ciborium::Value::Bytes(bytes) => json!(base64_simd::STANDARD.encode_to_string(bytes)),
        ciborium::Value::Tag(1, ms) => json!(i64::try_from(ms.as_integer().unwrap()).unwrap() as f64 / 1000.0),
        ciborium::Value::Array(items) => items.iter().map(as_json).collect(),
        ciborium::Value::Map(entries) => {
            let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_text().unwrap()).collect();
            assert!(names.is_sorted(), "members are written by name: {names:?}");
            names.into_iter().map(str::to_owned).zip(entries.iter().map(|(_, value)| as_json(value))).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Compares a document in both protocols and answers the one in JSON.
fn agree(write: impl Fn(Protocol) -> Vec<u8>) -> Value {
    let cbor = write(Protocol::Cbor);
    assert_eq!((cbor.first(), cbor.last()), (Some(&0xbf), Some(&0xff)));
    let mut rest = cbor.as_slice();
    let read: ciborium::Value = ciborium::from_reader(&mut rest).unwrap();
    assert!(rest.is_empty());
    let json: Value = serde_json::from_slice(&write(Protocol::Json)).unwrap();
    assert_eq!(as_json(&read), json);
    assert_eq!(write(Protocol::Json), write(Protocol::PlainJson));
    json
}

fn child() -> ChildShard {
    ChildShard {
        hash_key_range: HashKeyRange { ending_hash_key: "9".into(), starting_hash_key: "0".into() },
        parent_shards: vec!["p".into(), "q".into()],
        shard_id: "c".into(),
    }
}

#[test]
fn structures_say_the_same_in_both() {
    agree(|protocol| {
        PutRecordReply { encryption_type: None, sequence_number: "4".into(), shard_id: "s".into() }.to_bytes(protocol)
    });
    let mode = || Some(StreamModeDetails { stream_mode: StreamMode::OnDemand });
    let described = agree(|protocol| {
        StreamDescription {
            encryption_type: Some(EncryptionType::Kms),
            enhanced_monitoring: EnhancedMetrics::none(),
            has_more_shards: false,
            key_id: Some("é\"\n".into()),
            retention_period_hours: 8_760,
            shards: vec![],
            stream_arn: "a".repeat(300),
            stream_creation_timestamp: TimestampSeconds(1_789_779_944_662),
            stream_mode_details: mode(),
            stream_name: "s".into(),
            stream_status: StreamStatus::Active,
        }
        .to_bytes(protocol)
    });
    assert_eq!(described["StreamCreationTimestamp"], json!(1_789_779_944.0));
    agree(|protocol| {
        let summary = StreamSummary {
            stream_arn: "a".into(),
            stream_creation_timestamp: TimestampSeconds(0),
            stream_mode_details: mode(),
            stream_name: "s".into(),
            stream_status: StreamStatus::Creating,
        };
        ListStreamsReply {
            has_more_streams: true,
            next_token: Some("t".into()),
            stream_names: vec!["s".into()],
            stream_summaries: vec![summary],
        }
        .to_bytes(protocol)
    });
}

#[test]
fn put_replies_say_the_same_in_both() {
    let reply = agree(|protocol| {
        let mut reply = PutRecordsReply::new(protocol, Some(EncryptionType::Kms), 1, 2);
        reply.stored(&[b'4'; 56], "shardId-000000000000");
        reply.failed("InternalFailure", "Internal \"Service\" Failure");
        reply.finish()
    });
    assert_eq!(
        reply,
        json!({"EncryptionType": "KMS", "FailedRecordCount": 1, "Records": [
            {"SequenceNumber": "4".repeat(56), "ShardId": "shardId-000000000000"},
            {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal \"Service\" Failure"},
        ]})
    );
    agree(|protocol| PutRecordsReply::new(protocol, None, 0, 0).finish());
    agree(|protocol| {
        let mut reply = PutRecordBatchReply::new(protocol, true, 300, 2);
        reply.accepted(&"r".repeat(200));
        reply.failed("ServiceUnavailableException", "Slow down.");
        reply.finish()
    });
}

#[test]
fn pages_of_records_say_the_same_in_both() {
    for encryption_type in [None, Some(EncryptionType::Kms)] {
        let page = agree(|protocol| {
            let head = GetRecordsHead {
                child_shards: Some(vec![child()]),
                millis_behind_latest: 5_000,
                next_shard_iterator: Some("i".into()),
            };
            let mut page = head.begin(protocol, 10);
            page.record(1_789_779_944_662, b"hi", "k\"é".as_bytes(), b"49");
            page.encryption(encryption_type);
            page.record(1_789_779_944_662, &[0; 300], b"", b"50");
            page.record(1_789_779_945_001, b"", b"\xff", b"51");
            assert_eq!(page.records(), 3);
            page.finish()
        });
        assert_eq!(page["Records"][0]["ApproximateArrivalTimestamp"], json!(1_789_779_944.662));
        assert!(page["Records"][0]["EncryptionType"].is_null());
        assert_eq!(page["Records"][1]["EncryptionType"].as_str(), encryption_type.map(EncryptionType::as_str));
        assert_eq!(page["Records"][2]["PartitionKey"], "\u{fffd}");
    }
    agree(|protocol| GetRecordsHead::default().begin(protocol, 0).finish());
}

/// The members of the two kinds of events: data with a number to go on from, and the end with the children.
#[test]
fn events_say_the_same_in_both() {
    let names = |event: &Value| event.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let event = agree(|protocol| {
        let head = EventHead { continuation_sequence_number: Some("49".into()), ..EventHead::default() };
        let mut event = head.begin(protocol, 0);
        event.record(1, b"hi", b"k", b"49");
        assert_eq!(event.records(), 1);
        event.finish()
    });
    assert_eq!(names(&event), ["ContinuationSequenceNumber", "MillisBehindLatest", "Records"]);
    let end = agree(|protocol| {
        let head = EventHead { child_shards: Some(vec![child()]), ..EventHead::default() };
        head.begin(protocol, 0).finish()
    });
    assert_eq!(names(&end), ["ChildShards", "MillisBehindLatest", "Records"]);
    let text = |head: &EventHead| String::from_utf8(head.begin(Protocol::Json, 0).finish()).unwrap();
    let head = EventHead { continuation_sequence_number: Some("49".into()), ..EventHead::default() };
    assert_eq!(text(&head), r#"{"ContinuationSequenceNumber":"49","MillisBehindLatest":0,"Records":[]}"#);
}

/// One row, one error: what the answer in CBOR consists of, byte by byte.
#[test]
fn errors_are_maps_of_two() {
    for (error, expected) in [
        (AwsError::malformed(), b"\xbf\x66__type\x76SerializationException\xff".to_vec()),
        (AwsError::unknown_operation(), b"\xbf\x66__type\x78\x19UnknownOperationException\xff".to_vec()),
        (
            AwsError::new(ErrorCode::ValidationException, "x"),
            b"\xbf\x66__type\x73ValidationException\x67message\x61x\xff".to_vec(),
        ),
        (
            AwsError::new(ErrorCode::SerializationException, "x"),
            b"\xbf\x66__type\x76SerializationException\x67Message\x61x\xff".to_vec(),
        ),
    ] {
        assert_eq!(error.body(Protocol::Cbor), expected, "{error:?}");
    }
}
