//! Processors in a row.

use base64_simd::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{ChainSpec, Deaggregation, Query};
use super::lambda::with;
use super::parts::gzip;
use super::{Fake, all_shown, batch, decoded, json_line, ok, replies, run, shown, spec, upper};
use crate::prefix::{KeyLayout, LayoutSpec, Partitioning, QueryKeys};
use crate::record::{Partition, Product};

fn layout(prefix: &str, query: Option<&Query>) -> KeyLayout {
    let query = match query.map(Query::keys) {
        None => QueryKeys::None,
        Some(Some(names)) => QueryKeys::These(names),
        Some(None) => QueryKeys::Any,
    };
    let spec = LayoutSpec {
        prefix: Some(prefix),
        error_prefix: Some("errors/!{firehose:error-output-type}/"),
        partitioning: Partitioning::On { query, lambda: true },
        ..LayoutSpec::default()
    };
    KeyLayout::new(&spec).unwrap()
}

fn partitioned(prefix: &str, query: Option<&str>) -> ChainSpec {
    let query = query.map(|query| Query::new(query).unwrap());
    ChainSpec { partitioning: Some(layout(prefix, query.as_ref())), query, ..spec() }
}

fn partitions(products: &[Product]) -> Vec<Option<Partition>> {
    let partition = |product: &Product| match product {
        Product::Record { partition, .. } => partition.clone(),
        Product::Failed { .. } => None,
    };
    products.iter().map(partition).collect()
}

fn keys(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn without_processors_nothing_happens() {
    let outcome = run(spec(), batch(&[b"a", b"", b"\xff"])).await;
    assert_eq!((outcome.taken, outcome.tally), (3, Default::default()));
    let data = outcome.products.iter().map(|product| match product {
        Product::Record { data, partition: None, origin: None, .. } => data.to_vec(),
        other => panic!("{other:?}"),
    });
    assert_eq!(data.collect::<Vec<_>>(), [&b"a"[..], b"", b"\xff"]);
}

#[tokio::test]
async fn a_record_becomes_many_and_each_is_its_own() {
    let spec = ChainSpec {
        deaggregation: Some(Deaggregation::Json),
        ..partitioned("!{partitionKeyFromQuery:a}/", Some("{a:.a}"))
    };
    let outcome = run(spec, batch(&[b"{\"a\":1}{\"a\":2}{}\n{\"a\":\"x\"}", b"[]", b"{\"a\":3}"])).await;
    assert_eq!(outcome.taken, 3);
    assert_eq!(
        all_shown(&outcome),
        [
            "{\"a\":1}",
            "{\"a\":2}",
            "processing-failed/DynamicPartitioning.MetadataExtractionFailed",
            "{\"a\":\"x\"}",
            "processing-failed/RecordDeAggregation.Failed",
            "{\"a\":3}",
        ]
    );
    let of = |value: &str| Some(Partition { query: keys(&[("a", value)]), lambda: Vec::new() });
    assert_eq!(partitions(&outcome.products), [of("1"), of("2"), None, of("x"), None, of("3")]);
    assert_eq!(json_line(&outcome.products[2])["rawData"], STANDARD.encode_to_string("{}"));
    assert_eq!(json_line(&outcome.products[2])["errorMessage"], "partitionKeys values must not be null or empty");
    assert_eq!(json_line(&outcome.products[2]).get("lambdaARN"), None);
    assert_eq!(outcome.tally.queries, 5);
}

#[tokio::test(start_paused = true)]
async fn all_processors_in_aws_order() {
    let log = |message: &str| {
        let events = json!([{"id": "1", "timestamp": 1, "message": message}]);
        gzip(json!({"messageType": "DATA_MESSAGE", "logEvents": events}).to_string().as_bytes())
    };
    let fake = Fake::always(|event| {
        Ok(replies(&event, |record| {
            let data = String::from_utf8(decoded(record)).unwrap();
            let mut reply = ok(format!("{{\"line\":\"{}\"}}", data.trim_end()));
            reply["metadata"] = json!({"partitionKeys": {"first": data.get(..1), "unused": data}});
            reply
        }))
    });
    let prefix = "!{partitionKeyFromLambda:first}/!{partitionKeyFromQuery:line}/";
    let spec = ChainSpec {
        decompression: true,
        extraction: true,
        lambda: with(&fake).lambda,
        ..partitioned(prefix, Some("{line:.line}"))
    };
    let bad = gzip(b"{}");
    let (hello, empty) = (log("hello"), log(""));
    let outcome = run(spec, batch(&[&hello, b"plain", &bad, &empty])).await;
    assert_eq!(
        all_shown(&outcome),
        [
            "{\"line\":\"hello\"}",
            "decompression-failed/Decompression failed.",
            "decompression-failed/Decompression failed.",
            "processing-failed/DynamicPartitioning.MetadataExtractionFailed",
        ]
    );
    let expected = Partition { query: keys(&[("line", "hello")]), lambda: keys(&[("first", "h")]) };
    assert_eq!(partitions(&outcome.products)[0], Some(expected));
    // What failed behind decompression is written as it was before.
    assert_eq!(json_line(&outcome.products[3])["rawData"], STANDARD.encode_to_string(&empty));
    assert_eq!(json_line(&outcome.products[1])["rawData"], STANDARD.encode_to_string("plain"));
    let seen: Vec<_> = fake.events()[0]["records"].as_array().unwrap().iter().map(decoded).collect();
    assert_eq!(seen, [&b"hello\n"[..], b"\n"]);
    assert_eq!(outcome.tally.succeeded_bytes, (hello.len() + empty.len()) as u64);
}

#[tokio::test(start_paused = true)]
async fn values_of_partition_keys_from_a_function() {
    for (value, expected) in [
        (json!("x"), Some("x")),
        (json!(7), Some("7")),
        (json!(true), Some("true")),
        (json!(""), None),
        (json!(null), None),
        (json!(["x"]), None),
        (json!({"x": 1}), None),
        (json!("x".repeat(3000)), None),
    ] {
        let given = value.clone();
        let fake = Fake::always(move |event| {
            Ok(replies(&event, |record| {
                let mut reply = upper(record);
                reply["metadata"] = json!({"partitionKeys": {"k": given.clone()}});
                reply
            }))
        });
        let spec = ChainSpec { lambda: with(&fake).lambda, ..partitioned("!{partitionKeyFromLambda:k}/", None) };
        let outcome = run(spec, batch(&[b"a"])).await;
        let expected = expected.map(|value| Partition { query: Vec::new(), lambda: keys(&[("k", value)]) });
        assert_eq!(partitions(&outcome.products), std::slice::from_ref(&expected), "{value}");
        if expected.is_none() {
            let code = "processing-failed/DynamicPartitioning.MetadataExtractionFailed";
            assert_eq!(shown(&outcome.products[0]), code);
        }
    }
    for metadata in [json!(null), json!({}), json!({"partitionKeys": null}), json!({"partitionKeys": {"other": "x"}})] {
        let given = metadata.clone();
        let fake = Fake::always(move |event| {
            Ok(replies(&event, |record| {
                let mut reply = upper(record);
                reply["metadata"] = given.clone();
                reply
            }))
        });
        let keyed = ChainSpec { lambda: with(&fake).lambda, ..partitioned("!{partitionKeyFromLambda:k}/", None) };
        let outcome = run(keyed, batch(&[b"a"])).await;
        assert_eq!(partitions(&outcome.products), [None], "{metadata}");
        let plain = ChainSpec { lambda: with(&fake).lambda, ..spec() };
        assert_eq!(all_shown(&run(plain, batch(&[b"a"])).await), ["A"], "{metadata}");
    }
}

#[tokio::test]
async fn decompression_takes_what_memory_is_given_to() {
    let spec = ChainSpec { decompression: true, ..spec() };
    let text = (0..700_000).map(|n| format!("{n:06}")).collect::<String>();
    let large = gzip(format!("\"{text}\"").as_bytes());
    let outcome = run(spec.clone(), batch(&[&large[..]; 5])).await;
    assert_eq!((outcome.taken, outcome.products.len()), (2, 2));
    let small = gzip(b"1");
    assert_eq!(run(spec, batch(&[&small[..]; 5])).await.taken, 5);
}

fn small_record() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        Just(b"{\"a\":1}{\"a\":\"b\"}".to_vec()),
        Just(gzip(b"{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{\"message\":\"{}\"}]}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes in and whatever a function says: all records are taken, and each is delivered, dropped by the
    /// function, or written as it was.
    #[test]
    fn nothing_is_lost(
        records in prop::collection::vec(small_record(), 1..8),
        deaggregation in any::<bool>(),
        decompression in any::<bool>(),
        query in any::<bool>(),
        verdicts in prop::option::of(prop::collection::vec(0..4u8, 1..8)),
    ) {
        let fake = Fake::always(move |event| {
            let verdicts = verdicts.clone().unwrap_or_else(|| vec![0]);
            let place = std::cell::Cell::new(0);
            Ok(replies(&event, |record| {
                place.set(place.get() + 1);
                match verdicts[place.get() % verdicts.len()] {
                    0 => upper(record),
                    1 => json!({"result": "ProcessingFailed"}),
                    2 => json!({"recordId": "none", "result": "Ok", "data": ""}),
                    _ => json!({"result": "Ok", "data": "???"}),
                }
            }))
        });
        let base = if query { partitioned("!{partitionKeyFromQuery:a}/", Some("{a:.A}")) } else { spec() };
        let spec = ChainSpec {
            deaggregation: deaggregation.then_some(Deaggregation::Json),
            decompression,
            lambda: with(&fake).lambda,
            ..base
        };
        let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let outcome = runtime.block_on(run(spec, batch(&slices)));
        prop_assert_eq!(outcome.taken, records.len());
        prop_assert!(outcome.products.len() >= records.len());
        for product in &outcome.products {
            if let Product::Failed { line, .. } = product {
                let line: Value = serde_json::from_slice(line).unwrap();
                let raw = STANDARD.decode_to_vec(line["rawData"].as_str().unwrap()).unwrap();
                prop_assert!(records.iter().any(|record| record.windows(raw.len().max(1)).any(|part| part == raw) || raw.is_empty()));
            }
        }
    }
}
