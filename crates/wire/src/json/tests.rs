use proptest::prelude::*;

use super::*;
use crate::codec::Protocol;
use crate::error::{AwsError, ErrorCode};
use crate::operation::{FirehoseOp, KinesisOp};
use crate::value::Value;

fn put_record(body: &str) -> Result<Value, AwsError> {
    coerce(KinesisOp::PutRecord.input(), body.as_bytes())
}

#[test]
fn wrong_types_are_told_as_aws_does() {
    let number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to";
    let list = "Start of list found where not expected";
    let map = "Start of structure or map found where not expected.";
    let rows: &[(KinesisOp, &str, String)] = &[
        (KinesisOp::PutRecord, r#"{"StreamName":1}"#, format!("{number} an String")),
        (
            KinesisOp::PutRecord,
            r#"{"StreamName":true}"#,
            "class java.lang.Boolean can not be converted to an String".into(),
        ),
        (KinesisOp::PutRecord, r#"{"StreamName":[]}"#, list.into()),
        (KinesisOp::PutRecord, r#"{"StreamName":{}}"#, map.into()),
        (KinesisOp::PutRecord, r#"{"Data":1.5}"#, format!("{number} a Blob")),
        (KinesisOp::PutRecord, r#"{"Data":false}"#, "class java.lang.Boolean can not be converted to a Blob".into()),
        (
            KinesisOp::PutRecord,
            r#"{"Data":"23456"}"#,
            "'23456' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but \
             found: 5"
                .into(),
        ),
        (
            KinesisOp::PutRecord,
            r#"{"Data":"=+/="}"#,
            "'=+/=' can not be converted to a Blob: Invalid Base64 character: '='".into(),
        ),
        (
            KinesisOp::PutRecord,
            r#"{"Data":"a-b_"}"#,
            "'a-b_' can not be converted to a Blob: Invalid Base64 character: '-'".into(),
        ),
        (
            KinesisOp::PutRecord,
            r#"{"Data":"+/+="}"#,
            "'+/+=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected".into(),
        ),
        (
            KinesisOp::CreateStream,
            r#"{"ShardCount":"2"}"#,
            "class java.lang.String can not be converted to an Integer".into(),
        ),
        (
            KinesisOp::CreateStream,
            r#"{"ShardCount":true}"#,
            "class java.lang.Boolean can not be converted to an Integer".into(),
        ),
        (KinesisOp::CreateStream, r#"{"Tags":[]}"#, list.into()),
        (KinesisOp::CreateStream, r#"{"Tags":1}"#, "Expected map or null".into()),
        (KinesisOp::CreateStream, r#"{"Tags":{"a":1}}"#, format!("{number} an String")),
        (KinesisOp::CreateStream, r#"{"StreamModeDetails":"x"}"#, "Expected null".into()),
        (KinesisOp::CreateStream, r#"{"StreamModeDetails":[]}"#, list.into()),
        (KinesisOp::PutRecords, r#"{"Records":{}}"#, map.into()),
        (KinesisOp::PutRecords, r#"{"Records":"x"}"#, "Expected list or null".into()),
        (KinesisOp::PutRecords, r#"{"Records":[1]}"#, "Expected null".into()),
        (
            KinesisOp::DeleteStream,
            r#"{"EnforceConsumerDeletion":"23"}"#,
            "'23' can not be converted to an Boolean".into(),
        ),
        (KinesisOp::DeleteStream, r#"{"EnforceConsumerDeletion":1}"#, format!("{number} an Boolean")),
        // The first in the document, not in the model.
        (KinesisOp::PutRecord, r#"{"StreamName":[],"Data":true}"#, list.into()),
    ];
    for (op, body, expected) in rows {
        let error = coerce(op.input(), body.as_bytes()).unwrap_err();
        assert_eq!(error, AwsError::new(ErrorCode::SerializationException, expected.as_str()), "{body}");
    }
}

#[test]
fn what_cannot_be_parsed_is_refused_without_a_text() {
    let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(32), "]".repeat(32));
    let broken = [
        "",
        " ",
        "null",
        "[]",
        "1",
        "\"a\"",
        "{",
        "{}x",
        "{}{}",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":01}"#,
        r#"{"a":.5}"#,
        r#"{"a":1.}"#,
        r#"{"a":1e}"#,
        r#"{"a":+1}"#,
        r#"{"a":-}"#,
        r#"{"a":tru}"#,
        r#"{'a':1}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":"\udc00"}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":[1 2]}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a" 1}"#,
        "{\"a\":\"",
        "\u{feff}{}",
        r#"{"StreamName":[],"Data":"#,
        deep.as_str(),
    ];
    for body in broken {
        assert_eq!(put_record(body), Err(AwsError::malformed()), "{body:?}");
        assert_eq!(validate(body.as_bytes()), Err(Malformed), "{body:?}");
    }
    assert_eq!(validate(b"{\"a\":\"\xff\"}"), Err(Malformed));
    let nearly = format!(r#"{{"x":{}1{}}}"#, "[".repeat(31), "]".repeat(31));
    assert_eq!(put_record(&nearly), Ok(Value::Structure(vec![])));
}

#[test]
fn values_take_the_model_s_types() {
    let text = |text: &str| Value::String(text.to_owned());
    let body = r#" { "Unknown":{"a":[1,{"b":null}]}, "StreamName":null, "PartitionKey":"a\u00e9\ud83d\ude00\n\/",
        "PartitionKey":"last", "Data":"aGk=", "DryRun":"TRUE" } "#;
    let expected = Value::Structure(vec![
        ("Data", Value::Blob("hi".into())),
        ("DryRun", Value::Boolean(true)),
        ("PartitionKey", text("last")),
    ]);
    assert_eq!(put_record(body), Ok(expected));
    assert_eq!(
        put_record(r#"{"PartitionKey":"a\u00e9\ud83d\ude00\n\/"}"#).unwrap().get("PartitionKey"),
        Some(&text("a\u{e9}\u{1f600}\n/"))
    );
    for (number, expected) in [
        ("1", 1),
        ("1.9", 1),
        ("-1.9", -1),
        ("1e3", 1000),
        ("0.1E1", 1),
        ("99999999999999999999", i64::from(i32::MAX)),
        ("-1e400", i64::from(i32::MIN)),
    ] {
        let value = coerce(KinesisOp::CreateStream.input(), format!(r#"{{"ShardCount":{number}}}"#).as_bytes());
        assert_eq!(value.unwrap().get("ShardCount"), Some(&Value::Integer(expected)), "{number}");
    }
    for (number, expected) in
        [("1789779944.662", 1_789_779_944_662), ("1.789779944662E9", 1_789_779_944_662), ("0", 0), ("-0.5", -500)]
    {
        let value = coerce(KinesisOp::GetShardIterator.input(), format!(r#"{{"Timestamp":{number}}}"#).as_bytes());
        assert_eq!(value.unwrap().get("Timestamp"), Some(&Value::Timestamp(expected)), "{number}");
    }
}

#[test]
fn maps_are_sorted_and_keep_the_last_of_equal_keys() {
    let body = br#"{"Tags":{"b":"1","a":"2","b":"3"}}"#;
    let text = |text: &str| Value::String(text.to_owned());
    assert_eq!(
        coerce(KinesisOp::CreateStream.input(), body).unwrap().get("Tags"),
        Some(&Value::Map(vec![("a".into(), text("2")), ("b".into(), text("3"))]))
    );
}

#[test]
fn a_hostile_list_does_not_fill_the_memory() {
    let body = format!(r#"{{"Records":[{}{{}}]}}"#, "{},".repeat(1 << 18));
    assert_eq!(coerce(FirehoseOp::PutRecordBatch.input(), body.as_bytes()), Err(AwsError::malformed()));
}

/// A document, now and then damaged.
fn documents() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        (-1e30..1e30).prop_map(serde_json::Value::from),
        ".*".prop_map(serde_json::Value::from),
    ];
    let tree = leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::hash_map("StreamName|Records|Data|Tags|Limit|.{0,3}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    let damage = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (tree, any::<bool>(), damage).prop_map(|(tree, pretty, damage)| {
        let mut text = if pretty { serde_json::to_vec_pretty(&tree) } else { serde_json::to_vec(&tree) }.unwrap();
        if let Some((at, byte)) = damage {
            let at = at.index(text.len());
            text[at] = byte;
        }
        text
    })
}

/// So many cases, unless `PROPTEST_CASES` asks for another number.
fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    /// The judge is another parser: both accept the same objects.
    #[test]
    fn an_object_is_what_serde_json_takes_for_one(body in documents()) {
        let judged = serde_json::from_slice(&body);
        // The grammar knows no range, which is the other parser's own concern.
        prop_assume!(!judged.as_ref().is_err_and(|error: &serde_json::Error| error.to_string().contains("out of range")));
        let expected = std::str::from_utf8(&body).is_ok() && matches!(judged, Ok(serde_json::Value::Object(_)));
        prop_assert_eq!(validate(&body).is_ok(), expected, "{:?}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = validate(&body);
        for op in KinesisOp::ALL {
            let _ = crate::kinesis::decode(*op, Protocol::Json, &body);
        }
    }

    /// Strings, numbers and booleans that serde_json reads are read the same here.
    #[test]
    fn strings_are_read_as_serde_json_reads_them(text in ".*") {
        let body = serde_json::to_vec(&serde_json::json!({ "PartitionKey": text })).unwrap();
        let value = coerce(KinesisOp::PutRecord.input(), &body).unwrap();
        prop_assert_eq!(value.get("PartitionKey"), Some(&Value::String(text)));
    }
}
