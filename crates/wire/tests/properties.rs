//! Random requests of every operation: nothing panics, every outcome is a request or one of the two refusals, and
//! what passes the constraints always becomes a typed request.

use levada_wire::model::{Bounds, Kind, Shape};
use levada_wire::operation::{FirehoseOp, KinesisOp};
use levada_wire::{AwsError, ErrorCode, Protocol, firehose, kinesis};
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

fn expect_sane<T>(outcome: Result<T, AwsError>, body: &str) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) => {
            assert!(
                matches!(error.code, ErrorCode::SerializationException | ErrorCode::ValidationException),
                "{error:?} for {body}"
            );
            false
        }
    }
}

#[test]
fn requests_within_the_constraints_become_typed() {
    for round in 0..100u64 {
        for op in KinesisOp::ALL {
            let body = arbitrary(op.input(), u64::MAX, &mut Dice(round)).to_string();
            assert!(expect_sane(kinesis::decode(*op, Protocol::Json, body.as_bytes()), &body), "{} {body}", op.name());
        }
        for op in FirehoseOp::ALL {
            let body = arbitrary(op.input(), u64::MAX, &mut Dice(round)).to_string();
            assert!(expect_sane(firehose::decode(*op, Protocol::Json, body.as_bytes()), &body), "{} {body}", op.name());
        }
    }
}

#[test]
fn other_requests_are_refused_and_nothing_panics() {
    let (mut passed, mut refused) = (0, 0);
    for round in 0..300u64 {
        let wildness = 3 + round % 30;
        for op in KinesisOp::ALL {
            let body = arbitrary(op.input(), wildness, &mut Dice(round)).to_string();
            *(if expect_sane(kinesis::decode(*op, Protocol::Json, body.as_bytes()), &body) {
                &mut passed
            } else {
                &mut refused
            }) += 1;
        }
        for op in FirehoseOp::ALL {
            let body = arbitrary(op.input(), wildness, &mut Dice(round)).to_string();
            *(if expect_sane(firehose::decode(*op, Protocol::Json, body.as_bytes()), &body) {
                &mut passed
            } else {
                &mut refused
            }) += 1;
        }
    }
    assert!(passed > 3_000 && refused > 3_000, "{passed} passed, {refused} refused");
}
