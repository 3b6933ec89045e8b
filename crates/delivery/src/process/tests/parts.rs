//! De-aggregation, decompression, extraction, the delimiter's parameter.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::json;

use super::super::logs::{decompress, extract};
use super::super::{Deaggregation, MAX_PARTS, delimiter};

pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn split(how: &Deaggregation, data: &str) -> Result<Vec<String>, String> {
    let parts = how.split(&Bytes::copy_from_slice(data.as_bytes()))?;
    Ok(parts.iter().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect())
}

#[test]
fn objects_one_after_the_other() {
    for (data, parts) in [
        (r#"{"a":1}"#, &[r#"{"a":1}"#][..]),
        (r#"{"a":1}{"a":2}"#, &[r#"{"a":1}"#, r#"{"a":2}"#]),
        ("{\"a\":1}\n{\"a\":2}\n", &[r#"{"a":1}"#, r#"{"a":2}"#]),
        (" {\"a\": {\"b\": \"}{\"}} \r\n\t{}", &["{\"a\": {\"b\": \"}{\"}}", "{}"]),
        ("{\n  \"a\": [1,\n2]\n}", &["{\n  \"a\": [1,\n2]\n}"]),
    ] {
        assert_eq!(
            split(&Deaggregation::Json, data),
            Ok(parts.iter().map(|part| (*part).to_owned()).collect()),
            "{data}"
        );
    }
    for data in [
        "",
        " \n",
        "[{\"a\":1},{\"a\":2}]",
        "{\"a\":1}x",
        "{\"a\":1}{\"a\":",
        "1",
        "\"a\"",
        "{\"a\":1},{\"a\":2}",
        "{'a':1}",
    ] {
        assert!(split(&Deaggregation::Json, data).is_err(), "{data}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(400_000), "]".repeat(400_000));
    assert_eq!(split(&Deaggregation::Json, &deep).unwrap().len(), 1);
}

#[test]
fn parts_between_delimiters() {
    let hashes = Deaggregation::delimited("IyMjIw==").unwrap();
    assert_eq!(hashes, Deaggregation::Delimited(b"####".to_vec()));
    for (data, parts) in [
        ("a", &["a"][..]),
        ("a####b", &["a", "b"]),
        ("a####b####", &["a", "b"]),
        ("####a########b", &["a", "b"]),
        ("a###b", &["a###b"]),
        ("a#####b", &["a", "#b"]),
    ] {
        assert_eq!(split(&hashes, data), Ok(parts.iter().map(|part| (*part).to_owned()).collect()), "{data}");
    }
    for data in ["", "####"] {
        assert!(split(&hashes, data).is_err(), "{data}");
    }
    for base64 in ["", "#", "IyM", "a b"] {
        assert_eq!(Deaggregation::delimited(base64), None, "{base64}");
    }
}

#[test]
fn five_hundred_parts_and_no_more() {
    for (how, part) in [(Deaggregation::Json, "{}"), (Deaggregation::delimited("Cg==").unwrap(), "x\n")] {
        assert_eq!(split(&how, &part.repeat(MAX_PARTS)).unwrap().len(), 500);
        let more = part.repeat(MAX_PARTS + 1);
        assert_eq!(split(&how, &more), Ok(vec![more]));
    }
}

proptest! {
    #[test]
    fn nothing_but_delimiters_is_lost(data in "[ab#]{0,60}", delimiter in "[#a]{1,3}") {
        let expected: Vec<_> = data.split(&delimiter).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        match split(&Deaggregation::Delimited(delimiter.clone().into_bytes()), &data) {
            Ok(parts) => prop_assert_eq!(parts, expected),
            Err(_) => prop_assert!(expected.is_empty()),
        }
    }

    #[test]
    fn any_bytes_are_parted_or_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let data = Bytes::from(data);
        if let Ok(parts) = Deaggregation::Json.split(&data) {
            prop_assert!(parts.iter().all(|part| serde_json::from_slice::<serde::de::IgnoredAny>(part).is_ok()));
        }
        let _ = decompress(&data);
        let _ = extract(&data);
    }

    #[test]
    fn any_damage_to_gzip_is_seen(at in 10usize..40, bit in 0u8..8) {
        let mut data = gzip(br#"{"some":"json that is long enough"}"#);
        data[at] ^= 1 << bit;
        prop_assert!(decompress(&data).is_err());
    }
}

#[test]
fn gzip_of_json() {
    let json = br#"{"a": [1, 2]}"#;
    assert_eq!(decompress(&gzip(json)).as_deref(), Ok(&json[..]));
    let members = [gzip(b"{\"a\":"), gzip(b"1}")].concat();
    assert_eq!(decompress(&members).as_deref(), Ok(&b"{\"a\":1}"[..]));
    let whole = gzip(json);
    for (why, data) in [
        ("empty", Vec::new()),
        ("plain", json.to_vec()),
        ("cut", whole[..whole.len() - 1].to_vec()),
        ("more behind", [&whole[..], b"x"].concat()),
        ("no JSON", gzip(b"hello")),
        ("nothing", gzip(b"")),
        ("two texts", gzip(b"{}{}")),
    ] {
        assert!(decompress(&data).is_err(), "{why}");
    }
}

#[test]
fn gzip_does_not_explode() {
    let spaces = |bytes: usize| gzip(format!("1{}", " ".repeat(bytes - 1)).as_bytes());
    assert!(decompress(&spaces(256 * 1024)).is_ok());
    assert!(decompress(&spaces(8 * 1024 * 1024)).unwrap_err().contains("more than"));
    // Hardly compressible, and too much all the same.
    let mut random = 1u64;
    let mut noise = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + (random >> 60) as u8)
    };
    let mut text = |bytes: usize| gzip(format!("\"{}\"", (0..bytes).map(|_| noise()).collect::<String>()).as_bytes());
    assert!(decompress(&text(5 * 1024 * 1024)).is_ok());
    assert!(decompress(&text(7 * 1024 * 1024)).is_err());
}

#[test]
fn messages_of_log_events() {
    let envelope = |kind: &str, messages: &[&str]| {
        let events: Vec<_> = messages.iter().map(|text| json!({"id": "3", "timestamp": 1, "message": text})).collect();
        json!({"messageType": kind, "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"], "logEvents": events}).to_string()
    };
    for (content, messages) in [
        (envelope("DATA_MESSAGE", &["one", "", "t\"w\u{e9}\n"]), "one\n\nt\"w\u{e9}\n\n"),
        (envelope("DATA_MESSAGE", &[]), ""),
        (envelope("CONTROL_MESSAGE", &["CWL CONTROL MESSAGE: Checking health of destination Firehose."]), ""),
    ] {
        assert_eq!(extract(content.as_bytes()).as_deref(), Ok(messages.as_bytes()), "{content}");
    }
    for content in
        ["{}", "[]", r#"{"messageType":"DATA_MESSAGE"}"#, r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1"}]}"#]
    {
        assert!(extract(content.as_bytes()).is_err(), "{content}");
    }
}

#[test]
fn what_the_delimiter_parameter_means() {
    for (parameter, meant) in [
        (None, "\n"),
        (Some("\\n"), "\n"),
        (Some("\n"), "\n"),
        (Some("|\\t\\r"), "|\t\r"),
        (Some("\\\\n"), "\\n"),
        (Some("\\x"), "\\x"),
    ] {
        assert_eq!(delimiter(parameter), meant, "{parameter:?}");
    }
}
