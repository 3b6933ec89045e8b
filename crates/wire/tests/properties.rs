//! Random requests of every operation in both protocols: nothing panics, every outcome is a request or one of the two
//! refusals, both protocols say the same, and what passes the constraints always becomes a typed request.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod cbor;

use levada_wire::error::MAX_MESSAGE_BYTES;
use levada_wire::firehose::put_record_batch;
use levada_wire::kinesis::put_records;
use levada_wire::model::{Bounds, Kind, Shape};
use levada_wire::operation::{FirehoseOp, KinesisOp, Operation};
use levada_wire::{AwsError, ErrorCode, Protocol, codec, firehose, kinesis};
use serde_json::{Value, json};

/// A small generator (splitmix64): the tests need variety, not quality.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Texts of which at least one matches each pattern of the models.
const SAMPLES: &[&str] = &[
    "a",
    "0",
    "7",
    "name-1.x_y",
    "shardId-000000000000",
    "",
    " ",
    "é \u{1f600}",
    "000000000000",
    "abcdefghij0123456789-abc",
    "arn:aws:kinesis:eu-west-1:000000000000:stream/s",
    "arn:aws:kinesis:eu-west-1:000000000000:stream/s/consumer/c:1",
    "arn:aws:kinesis:eu-west-1:000000000000:channel/c",
    "arn:aws:kinesis:eu-west-1:000000000000:queue/q",
    "arn:aws:s3:::bucket",
    "arn:aws:s3tables:eu-west-1:000000000000:bucket/bucket",
    "arn:aws:iam::000000000000:role/r",
    "arn:aws:glue:eu-west-1:000000000000:schema/r/s",
    "arn:aws:glue:eu-west-1:000000000000:catalog",
    "arn:aws:kms:eu-west-1:000000000000:key/k",
    "arn:aws:es:eu-west-1:000000000000:domain/domain",
    "arn:aws:secretsmanager:eu-west-1:000000000000:secret:s",
    "arn:aws:firehose:eu-west-1:000000000000:deliverystream/d",
    "https://example.com",
    "s3://bucket/prefix",
    "jdbc:redshift://a.b.redshift.amazonaws.com:5439/db",
    "account.snowflakecomputing.com",
    "com.vpce.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdefg",
    "vpce.name.vpce.eu-west-1.vpce-svc-0123456789abcdefg",
    ".json",
    "UTC",
    "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=",
];

fn text(shape: &Shape, dice: &mut Dice) -> String {
    let Kind::String { length, pattern, values } = &shape.kind else { return String::new() };
    if !values.is_empty() {
        return values[dice.roll(values.len() as u64) as usize].to_owned();
    }
    let fits = |text: &str| {
        let len = text.encode_utf16().count() as u32;
        length.min.is_none_or(|min| len >= min)
            && length.max.is_none_or(|max| len <= max)
            && pattern.is_none_or(|pattern| pattern.matches(text))
    };
    let from = dice.roll(SAMPLES.len() as u64) as usize;
    let candidates = SAMPLES.iter().cycle().skip(from).take(SAMPLES.len()).map(|text| (*text).to_owned());
    let long = length.min.map(|min| "a".repeat(min as usize));
    candidates.chain(long).find(|text| fits(text)).unwrap_or_else(|| panic!("no sample for {}", shape.name))
}

fn within(bounds: Bounds<i64>, dice: &mut Dice) -> i64 {
    let (min, max) = (bounds.min.unwrap_or(-10), bounds.max.unwrap_or(1 << 30));
    match dice.roll(3) {
        0 => min,
        1 => max,
        _ => min + dice.roll(max.abs_diff(min) + 1) as i64,
    }
}

/// JSON for a shape; about one value in `wildness` breaks a rule.
fn arbitrary(shape: &'static Shape, wildness: u64, dice: &mut Dice) -> Value {
    if dice.roll(wildness) == 0 {
        let wild = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1e300),
            json!(""),
            json!("\u{0}"),
            json!([null]),
            json!({"k": null}),
        ];
        return wild[dice.roll(8) as usize].clone();
    }
    match &shape.kind {
        Kind::String { .. } => json!(text(shape, dice)),
        Kind::Integer(bounds) | Kind::Long(bounds) => json!(within(*bounds, dice)),
        Kind::Double(_) => json!(dice.roll(101) as f64 / 100.0),
        Kind::Boolean => json!(dice.roll(2) == 0),
        Kind::Timestamp => json!(dice.roll(1 << 40) as f64 / 1000.0),
        Kind::Blob(_) => json!(base64_simd::STANDARD.encode_to_string(vec![7; dice.roll(9) as usize])),
        Kind::List { member, length } => {
            let least = u64::from(length.min.unwrap_or(0));
            let count = least + dice.roll(3).min(u64::from(length.max.unwrap_or(9)) - least);
            (0..count).map(|_| arbitrary(member, wildness, dice)).collect()
        }
        Kind::Map { key, value, length } => {
            let count = u64::from(length.min.unwrap_or(0)) + dice.roll(3);
            (0..count).map(|_| (text(key, dice), arbitrary(value, wildness, dice))).collect()
        }
        Kind::Structure(members) => members
            .iter()
            .filter_map(|member| {
                let present = (member.required && dice.roll(wildness) > 0) || dice.roll(2) == 0;
                present.then(|| (member.name.to_owned(), arbitrary(member.shape, wildness, dice)))
            })
            .collect(),
    }
}

/// Every operation of both services.
fn operations() -> impl Iterator<Item = Operation> {
    let kinesis = KinesisOp::ALL.iter().copied().map(Operation::Kinesis);
    kinesis.chain(FirehoseOp::ALL.iter().copied().map(Operation::Firehose))
}

/// Decodes a body as the handler of its operation does.
fn decode(operation: Operation, protocol: Protocol, body: &[u8]) -> Result<(), AwsError> {
    match operation {
        Operation::Kinesis(KinesisOp::PutRecords) => {
            put_records::decode(protocol, body)?;
        }
        Operation::Firehose(FirehoseOp::PutRecordBatch) => {
            put_record_batch::decode(protocol, body)?;
        }
        Operation::Kinesis(_) | Operation::Firehose(_) => {}
    }
    match operation {
        Operation::Kinesis(op) => kinesis::decode(op, protocol, body).map(|_| ()),
        Operation::Firehose(op) => firehose::decode(op, protocol, body).map(|_| ()),
    }
}

/// True for a request, false for a refusal of its form; nothing else may come.
fn expect_sane(operation: Operation, protocol: Protocol, body: &[u8]) -> bool {
    match decode(operation, protocol, body) {
        Ok(()) => true,
        Err(error) => {
            assert!(
                matches!(error.code, ErrorCode::SerializationException | ErrorCode::ValidationException),
                "{error:?} for {} {protocol:?} {}",
                operation.name(),
                String::from_utf8_lossy(body)
            );
            false
        }
    }
}

/// The same request in both protocols.
fn encoded(operation: Operation, request: &Value, dice: &mut Dice) -> [(Protocol, Vec<u8>); 2] {
    let cbor = cbor::encode(request, Some(operation.input()), dice);
    [(Protocol::Json, request.to_string().into_bytes()), (Protocol::Cbor, cbor)]
}

#[test]
fn requests_within_the_constraints_become_typed() {
    for round in 0..100u64 {
        for operation in operations() {
            let mut dice = Dice(round);
            let request = arbitrary(operation.input(), u64::MAX, &mut dice);
            let [(_, json), (_, cbor)] = encoded(operation, &request, &mut dice);
            for (protocol, body) in [(Protocol::Json, &json), (Protocol::Cbor, &cbor)] {
                assert!(expect_sane(operation, protocol, body), "{} {request}", operation.name());
            }
            let from_json = codec::coerce(Protocol::Json, operation.input(), &json);
            let from_cbor = codec::coerce(Protocol::Cbor, operation.input(), &cbor);
            assert_eq!(from_json, from_cbor, "{} {request}", operation.name());
        }
    }
}

#[test]
fn other_requests_are_refused_and_nothing_panics() {
    let (mut passed, mut refused) = (0, 0);
    for round in 0..300u64 {
        let wildness = 3 + round % 30;
        for operation in operations() {
            let mut dice = Dice(round);
            let request = arbitrary(operation.input(), wildness, &mut dice);
            for (protocol, body) in encoded(operation, &request, &mut dice) {
                *(if expect_sane(operation, protocol, &body) { &mut passed } else { &mut refused }) += 1;
            }
        }
    }
    assert!(passed > 6_000 && refused > 6_000, "{passed} passed, {refused} refused");
}

/// The same request, grown: long texts, long lists, long names of members that maps take for keys.
fn grown(value: Value, dice: &mut Dice) -> Value {
    let long = |dice: &mut Dice| ["x", "\u{1}", "é\u{1f600}"][dice.roll(3) as usize].repeat(20_000);
    match value {
        Value::String(_) if dice.roll(2) == 0 => json!(long(dice)),
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(|item| grown(item, dice)).collect();
            if let (0, Some(last)) = (dice.roll(3), items.last().filter(|last| last.to_string().len() < 500).cloned()) {
                items.resize(3_000, last);
            }
            Value::Array(items)
        }
        Value::Object(members) => {
            let mut members: serde_json::Map<_, _> =
                members.into_iter().map(|(name, value)| (name, grown(value, dice))).collect();
            if dice.roll(3) == 0 {
                members.insert(long(dice), json!(long(dice)));
            }
            Value::Object(members)
        }
        other => other,
    }
}

/// An answer does not grow with its request.
#[test]
fn refusals_of_large_requests_are_small() {
    let (mut longest, mut refused) = (0, 0);
    for round in 0..12u64 {
        for operation in operations() {
            let mut dice = Dice(round);
            let request = arbitrary(operation.input(), 3 + 20 * round, &mut dice);
            let request = grown(request, &mut dice);
            for (protocol, body) in encoded(operation, &request, &mut dice) {
                let Err(error) = decode(operation, protocol, &body) else { continue };
                let message = error.message.as_deref().unwrap_or_default();
                assert!(message.len() < MAX_MESSAGE_BYTES, "{} {}", operation.name(), message.len());
                // Control characters are the worst case: six bytes each.
                assert!(error.body(protocol).len() < 6 * MAX_MESSAGE_BYTES);
                (longest, refused) = (message.len().max(longest), refused + u32::from(message.len() > 1_000));
            }
        }
    }
    assert!(longest > 4_096 && refused > 200, "{longest} bytes, {refused} refused at length");
}

/// Part of a document is none, and is refused as such: without a text.
#[test]
fn truncated_bodies_are_malformed() {
    for operation in operations() {
        let mut dice = Dice(7);
        let request = arbitrary(operation.input(), u64::MAX, &mut dice);
        for (protocol, body) in encoded(operation, &request, &mut dice) {
            for len in 0..body.len() {
                let outcome = decode(operation, protocol, &body[..len]);
                assert_eq!(outcome, Err(AwsError::malformed()), "{} {protocol:?} {len}", operation.name());
                assert!(codec::validate(protocol, &body[..len]).is_err());
            }
            assert!(codec::validate(protocol, &body).is_ok());
        }
    }
}

/// Bytes changed, left out, doubled: whatever comes of it, reading in place never takes what the generic way refuses.
#[test]
fn damaged_bodies_are_refused_or_read_alike() {
    let mut scanned = 0;
    for round in 0..150u64 {
        for operation in operations() {
            let mut dice = Dice(round);
            let request = arbitrary(operation.input(), u64::MAX, &mut dice);
            for (protocol, mut body) in encoded(operation, &request, &mut dice) {
                for _ in 0..=dice.roll(2) {
                    let at = dice.roll(body.len() as u64) as usize;
                    match dice.roll(3) {
                        0 => body[at] = dice.roll(256) as u8,
                        1 if body.len() > 1 => drop(body.remove(at)),
                        _ => body.insert(at, body[dice.roll(body.len() as u64) as usize]),
                    }
                }
                expect_sane(operation, protocol, &body);
                scanned += u32::from(scan_agrees(protocol, &body));
            }
        }
    }
    assert!(scanned > 20, "{scanned} scanned");
}

/// True if the body could be read in place. In JSON that leaves base64 for later.
fn scan_agrees(protocol: Protocol, body: &[u8]) -> bool {
    let batch = put_record_batch::scan(protocol, body);
    let records = put_records::scan(protocol, body);
    let scanned = batch.is_some() || records.is_some();
    if let Some(fast) = records.filter(|fast| fast.records.iter().all(|entry| entry.data.decode().is_ok())) {
        assert_eq!(Ok(fast), put_records::decode_strict(protocol, body));
    }
    if let Some(fast) = batch.filter(|fast| fast.records.iter().all(|data| data.decode().is_ok())) {
        assert_eq!(Ok(fast), put_record_batch::decode_strict(protocol, body));
    }
    scanned
}

/// The forms in which the Java SDKs and others write their batches are read in place.
#[test]
fn usual_batches_are_read_in_place() {
    for round in 0..200 {
        let mut dice = Dice(round);
        let records: Vec<Value> = (0..=dice.roll(20))
            .map(|n| json!({"Data": "aGk=", "PartitionKey": format!("é{n}"), "ExplicitHashKey": "170"}))
            .collect();
        let request = json!({"StreamName": "s", "Records": records});
        let body = cbor::encode(&request, Some(KinesisOp::PutRecords.input()), &mut dice);
        let fast = put_records::scan(Protocol::Cbor, &body).unwrap();
        assert_eq!(fast.records.len(), records.len());
        assert!(scan_agrees(Protocol::Cbor, &body));
        let arn = "arn:aws:kinesis:eu-west-1:000000000000:stream/s";
        let request = json!({"StreamARN": arn, "Records": [{"Data": ""}]});
        let body = cbor::encode(&request, Some(KinesisOp::PutRecords.input()), &mut dice);
        assert!(scan_agrees(Protocol::Cbor, &body));
        let request = json!({"DeliveryStreamName": "d", "Records": [{"Data": "aGk="}, {"Data": ""}]});
        let body = cbor::encode(&request, Some(FirehoseOp::PutRecordBatch.input()), &mut dice);
        assert!(scan_agrees(Protocol::Cbor, &body));
    }
}

#[test]
fn garbage_is_refused() {
    for round in 0..1_000u64 {
        let mut dice = Dice(round);
        // Half of it begins as an object does, or nothing would get past the first byte.
        let mut body: Vec<u8> = (0..dice.roll(60)).map(|_| dice.roll(256) as u8).collect();
        if round % 2 == 0 {
            body.splice(0..0, [[b'{', b'"'], [0xbf, 0x64], [0xa4, 0x7f]][dice.roll(3) as usize]);
        }
        for operation in operations() {
            for protocol in Protocol::ALL {
                expect_sane(operation, protocol, &body);
            }
        }
    }
}

/// However deep a body nests, reading it stays shallow.
#[test]
fn deep_bodies_are_malformed() {
    for operation in operations() {
        let Some(member) = operation.input().members().first() else { continue };
        for depth in [codec::MAX_DEPTH, 100_000] {
            let json = format!(r#"{{"{}":{}"#, member.name, "[".repeat(depth)).into_bytes();
            let maps = format!(r#"{{"{}":{}"#, member.name, r#"{"k":"#.repeat(depth)).into_bytes();
            let key = [&[0xbf, 0x78, member.name.len() as u8], member.name.as_bytes()].concat();
            let nested = |piece: &[u8]| [key.clone(), piece.repeat(depth)].concat();
            for (protocol, body) in [
                (Protocol::Json, json),
                (Protocol::Json, maps),
                (Protocol::Cbor, nested(&[0x81])),
                (Protocol::Cbor, nested(&[0x9f])),
                (Protocol::Cbor, nested(&[0xbf, 0x61, b'k'])),
            ] {
                assert_eq!(decode(operation, protocol, &body), Err(AwsError::malformed()), "{}", operation.name());
            }
        }
    }
}

/// A value of each wrong type in every member that a request can have, at any depth.
#[test]
fn wrong_types_are_refused_in_every_member() {
    let mut members = 0;
    for operation in operations() {
        with_each_wrong_type(operation.input(), &mut |wrong| {
            members += 1;
            for (protocol, body) in encoded(operation, wrong, &mut Dice(members)) {
                let error = decode(operation, protocol, &body).expect_err("a value of a wrong type");
                assert_eq!(error.code, ErrorCode::SerializationException, "{} {wrong}", operation.name());
                assert!(error.message.is_some(), "{} {wrong} {protocol:?}", operation.name());
            }
        });
    }
    assert!(members > 3_000, "{members} tried");
}

/// Calls `visit` with documents of `shape` that consist of one wrong value and the way to it.
fn with_each_wrong_type(shape: &'static Shape, visit: &mut dyn FnMut(&Value)) {
    match &shape.kind {
        Kind::Structure(members) => {
            for member in *members {
                let mut below = |value: &Value| visit(&json!({ member.name: value }));
                wrong_values(member.shape).iter().for_each(&mut below);
                with_each_wrong_type(member.shape, &mut below);
            }
        }
        Kind::List { member, .. } => {
            let mut below = |value: &Value| visit(&json!([value]));
            wrong_values(member).iter().for_each(&mut below);
            with_each_wrong_type(member, &mut below);
        }
        Kind::Map { value: member, .. } => {
            let mut below = |value: &Value| visit(&json!({ "k": value }));
            wrong_values(member).iter().for_each(&mut below);
            with_each_wrong_type(member, &mut below);
        }
        Kind::String { .. }
        | Kind::Integer(_)
        | Kind::Long(_)
        | Kind::Double(_)
        | Kind::Boolean
        | Kind::Timestamp
        | Kind::Blob(_) => {}
    }
}

fn wrong_values(shape: &Shape) -> Vec<Value> {
    let (text, number, truth, list, map) = (json!("x"), json!(1.5), json!(true), json!([]), json!({}));
    match &shape.kind {
        Kind::String { .. } => vec![number, truth, list, map],
        Kind::Integer(_) | Kind::Long(_) | Kind::Double(_) | Kind::Timestamp => vec![text, truth, list, map],
        Kind::Boolean => vec![text, number, list, map],
        // No base64.
        Kind::Blob(_) => vec![text, number, truth, list, map],
        Kind::List { .. } => vec![text, number, truth, map],
        Kind::Map { .. } | Kind::Structure(_) => vec![text, number, truth, list],
    }
}
