use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::codec::Protocol;
use crate::firehose::put_record_batch;
use crate::kinesis::put_records;

/// Compares a scan with the generic way: whatever the scan accepts, the other accepts too, with the same content,
/// unless base64 is wrong, which shows when it is decoded.
fn agree(body: &[u8]) -> Result<bool, TestCaseError> {
    let text = String::from_utf8_lossy(body).into_owned();
    let mut accepted = false;
    if let Some(fast) = put_records::scan(Protocol::Json, body) {
        accepted = true;
        let decodes = fast.records.iter().all(|entry| entry.data.decode().is_ok());
        match put_records::decode_strict(Protocol::Json, body) {
            Ok(strict) => {
                prop_assert!(decodes, "{text}");
                for (fast, strict) in fast.records.iter().zip(&strict.records) {
                    prop_assert_eq!(fast.data.decoded_len(), strict.data.decoded_len());
                    prop_assert_eq!(fast.size(), strict.size());
                }
                prop_assert_eq!(fast, strict, "{}", text);
            }
            Err(error) => prop_assert!(!decodes, "accepted {text}, but {error:?}"),
        }
    }
    if let Some(fast) = put_record_batch::scan(Protocol::Json, body) {
        accepted = true;
        let decodes = fast.records.iter().all(|data| data.decode().is_ok());
        match put_record_batch::decode_strict(Protocol::Json, body) {
            Ok(strict) => {
                prop_assert!(decodes, "{text}");
                prop_assert_eq!(fast, strict, "{}", text);
            }
            Err(error) => prop_assert!(!decodes, "accepted {text}, but {error:?}"),
        }
    }
    Ok(accepted)
}

#[test]
fn the_usual_forms_are_scanned() {
    let arn = "arn:aws:kinesis:eu-west-1:000000000000:stream/s";
    for body in [
        r#"{"Records":[{"Data":"aGk=","PartitionKey":"k"}],"StreamName":"s"}"#.to_owned(),
        // As botocore and the Java SDK write them.
        r#"{"Records": [{"Data": "aGk=", "PartitionKey": "k"}, {"Data": "", "PartitionKey": "k 2"}], "StreamName": "s"}"#
            .to_owned(),
        r#"{"StreamName":"s","Records":[{"PartitionKey":"k","ExplicitHashKey":"0","Data":"aGk="}]}"#.to_owned(),
        format!(r#"{{"Records":[{{"Data":"aGk="}}],"StreamARN":"{arn}"}}"#),
        format!(r#"{{"Records":[{{"Data":"aGk="}}],"StreamARN":"{arn}","StreamName":"s"}}"#),
        " {\r\n\t\"Records\" : [ { \"Data\" : \"aGk=\" , \"PartitionKey\" : \"k\" } ] } ".to_owned(),
        r#"{"DeliveryStreamName":"d","Records":[{"Data":"aGk="},{"Data":"aGkK"}]}"#.to_owned(),
    ] {
        assert!(agree(body.as_bytes()).unwrap(), "{body}");
    }
}

#[test]
fn the_unusual_goes_the_generic_way() {
    let key = "k".repeat(257);
    let digits = "1".repeat(40);
    let many = vec![r#"{"Data":""}"#; 501].join(",");
    for body in [
        r#"{"Records":[],"StreamName":"s"}"#,
        r#"{"StreamName":"s"}"#,
        r#"{"Records":[{"PartitionKey":"k"}]}"#,
        r#"{"Records":[{"Data":"aGk","PartitionKey":"k"}]}"#,
        r#"{"Records":[{"Data":"aGk=","PartitionKey":""}]}"#,
        r#"{"Records":[{"Data":"aGk=","PartitionKey":"é"}]}"#,
        r#"{"Records":[{"Data":"aGk=","PartitionKey":"\n"}]}"#,
        r#"{"Records":[{"Data":"aG\/=","PartitionKey":"k"}]}"#,
        r#"{"Records":[{"Data":"aGk=","PartitionKey":null}]}"#,
        r#"{"Records":[{"Data":"aGk=","Data":"aGk="}]}"#,
        r#"{"Records":[{"Data":"aGk=","PartitionKey":"k","PartitionKey":"k"}]}"#,
        r#"{"Records":[{"Data":"aGk=","ExplicitHashKey":"1","ExplicitHashKey":"1"}]}"#,
        r#"{"Records":[{"Data":"aGk=","More":1}]}"#,
        r#"{"Records":[{"Data":"aGk=","ExplicitHashKey":"01"}]}"#,
        &format!(r#"{{"Records":[{{"Data":"aGk=","ExplicitHashKey":"{digits}"}}]}}"#),
        &format!(r#"{{"Records":[{{"Data":"aGk=","PartitionKey":"{key}"}}]}}"#),
        &format!(r#"{{"Records":[{many}]}}"#),
        r#"{"Records":[{"Data":"aGk="}],"Records":[{"Data":"aGk="}]}"#,
        r#"{"Records":[{"Data":"aGk="}],"StreamName":"s","StreamName":"s"}"#,
        r#"{"Records":[{"Data":"aGk="}],"StreamName":"a b"}"#,
        r#"{"Records":[{"Data":"aGk="}],"StreamARN":"arn"}"#,
        r#"{"Records":[{"Data":"aGk="}],"DryRun":true}"#,
        r#"{"Records":[{"Data":"aGk="}]}x"#,
        r#"{"Records":[{"Data":"aGk="}]"#,
        r#"{"Records":[{"Data":"aGk="},]}"#,
        "",
    ] {
        assert_eq!(put_records::scan(Protocol::Json, body.as_bytes()), None, "{body}");
    }
}

#[test]
fn the_largest_call_is_scanned() {
    let data = base64_simd::STANDARD.encode_to_string(vec![7u8; crate::limits::DATA_BYTES]);
    let body = format!(r#"{{"Records":[{{"Data":"{data}"}}],"StreamName":"s"}}"#);
    let request = put_records::scan(Protocol::Json, body.as_bytes()).unwrap();
    assert_eq!(request.records[0].size(), crate::limits::DATA_BYTES);
    let body = format!(r#"{{"Records":[{{"Data":"AAAA{data}"}}],"StreamName":"s"}}"#);
    assert_eq!(put_records::scan(Protocol::Json, body.as_bytes()), None);
}

#[test]
fn plain_text_is_measured_exactly() {
    for stop in (0..=255u8).filter(|byte| !matches!(byte, 0x20..0x80) || matches!(byte, b'"' | b'\\')) {
        for len in 0..20 {
            for after in [0u8, b'a', b'"', 0x21, 0xff] {
                let mut text = vec![b'!'; len];
                text.push(stop);
                text.extend([after; 9]);
                assert_eq!(super::plain_len(&text), len, "{stop:#x} at {len}, then {after:#x}");
            }
        }
    }
    let all: Vec<u8> = (0x20..0x80).filter(|byte| !matches!(byte, b'"' | b'\\')).collect();
    assert_eq!(super::plain_len(&all), all.len());
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let data = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|data| base64_simd::STANDARD.encode_to_string(data)),
        1 => "[A-Za-z0-9+/=]{0,12}",
    ];
    let key = prop_oneof![8 => "[ !#-\\[\\]-~]{1,20}", 1 => ".{0,6}", 1 => "k{250,260}"];
    let hash = prop_oneof![8 => "0|[1-9][0-9]{0,38}", 1 => "[0-9]{0,42}"];
    let entry = (data, prop::option::of(key), prop::option::of(hash)).prop_map(|(data, key, hash)| {
        let mut entry = serde_json::Map::new();
        entry.insert("Data".into(), data.into());
        entry.extend(key.map(|key| ("PartitionKey".to_owned(), key.into())));
        entry.extend(hash.map(|hash| ("ExplicitHashKey".to_owned(), hash.into())));
        serde_json::Value::Object(entry)
    });
    let name = prop_oneof![6 => "[a-zA-Z0-9_.-]{1,20}", 1 => "[ -~]{0,20}"];
    let arn = "arn:aws(-cn)?:kinesis:[a-z0-9-]{0,12}:[0-9]{11,12}:stream/[a-zA-Z0-9_.-]{0,10}";
    let which = prop_oneof![8 => Just("StreamName"), 8 => Just("DeliveryStreamName"), 1 => Just("Other")];
    let parts = (
        prop::collection::vec(entry, 0..6),
        prop::option::of((which, name)),
        prop::option::of(arn),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 0..2),
    );
    parts.prop_map(|(records, name, arn, pretty, firehose, damage)| {
        let mut body = serde_json::Map::new();
        let records = records.into_iter().map(|mut record| {
            if firehose && let Some(record) = record.as_object_mut() {
                record.retain(|key, _| key == "Data");
            }
            record
        });
        body.insert("Records".into(), records.collect());
        body.extend(name.map(|(which, name)| {
            (if firehose && which == "StreamName" { "DeliveryStreamName" } else { which }.to_owned(), name.into())
        }));
        body.extend(arn.filter(|_| !firehose).map(|arn| ("StreamARN".to_owned(), arn.into())));
        let body = serde_json::Value::Object(body);
        let text = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) };
        damaged(text.unwrap(), &damage)
    })
}

/// Removes, replaces, inserts or repeats single bytes.
fn damaged(mut text: Vec<u8>, damage: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (at, how, byte) in damage {
        let at = at.index(text.len());
        let byte = if byte % 2 == 0 { b"\"\\{}[],: =0"[usize::from(byte / 2) % 11] } else { *byte };
        match how {
            0 => drop(text.remove(at)),
            1 => text[at] = byte,
            2 => text.insert(at, byte),
            _ => text.insert(at, text[at]),
        }
        if text.is_empty() {
            break;
        }
    }
    text
}

/// So many cases, unless `PROPTEST_CASES` asks for another number.
fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

proptest! {
    #![proptest_config(cases(6000))]

    #[test]
    fn the_scan_never_accepts_what_the_generic_way_refuses(body in bodies()) {
        agree(&body)?;
    }
}

/// The property above says nothing if the bodies are so odd that hardly any is scanned.
#[test]
fn a_good_part_of_the_generated_bodies_is_scanned() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut scanned = 0;
    for _ in 0..1000 {
        let body = bodies().new_tree(&mut runner).unwrap().current();
        scanned += usize::from(agree(&body).unwrap());
    }
    assert!((150..950).contains(&scanned), "{scanned} of 1000");
}
