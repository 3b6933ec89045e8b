//! Processors in a row.

use base64_simd::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{ChainSpec, Deaggregation, Query};
use super::lambda::with;
use super::parts::gzip;
use super::{Fake, all_shown, batch, decoded, json_line, ok, replies, run, shown, spec, upper};
use crate::chain::MAX_OUTCOME_BYTES;
use crate::prefix::{KeyLayout, LayoutSpec, Partitioning, QueryKeys};
use crate::process::item::{encoded_bytes, part, prepare};
use crate::record::{ErrorType, Origin, Partition, Product};

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

/// What a Kinesis data stream takes at most, made of anything but JSON or of a JSON object.
fn largest(json: bool) -> Vec<u8> {
    const MOST: usize = 10 * 1024 * 1024;
    if json { format!("{{\"a\":\"{}\"}}", "x".repeat(MOST - 8)).into_bytes() } else { vec![b'x'; MOST] }
}

/// No line of error output holds it, which is no reason to drop it.
#[tokio::test(start_paused = true)]
async fn the_largest_record_of_a_source_is_never_dropped() {
    let upper = || Fake::always(|event| Ok(replies(&event, upper)));
    let prefix = "!{partitionKeyFromQuery:n}/";
    let delimited = || Some(Deaggregation::Delimited(b"\n".to_vec()));
    for (name, spec, json, becomes) in [
        ("no processor", spec(), false, None),
        ("one part", ChainSpec { deaggregation: delimited(), ..spec() }, false, None),
        ("a partition", partitioned(prefix, Some("{n:(.a|length)}")), true, None),
        ("no partition", partitioned(prefix, Some("{n:.n}")), true, Some(ErrorType::Processing)),
        ("a query that fails", partitioned(prefix, Some("{n:.n}")), false, Some(ErrorType::Processing)),
        ("a function", with(&upper()), false, Some(ErrorType::Processing)),
        ("no gzip", ChainSpec { decompression: true, ..spec() }, false, Some(ErrorType::Decompression)),
        (
            "parts that fail",
            ChainSpec { deaggregation: Some(Deaggregation::Json), ..partitioned(prefix, Some("{n:.n}")) },
            true,
            Some(ErrorType::Processing),
        ),
    ] {
        let record = largest(json);
        let mut batch = batch(&[b"{\"n\":1}", &record, b"{\"n\":1}"]);
        for record in &mut batch {
            let (shard_id, sequence_number) = ("shardId-000000000000".into(), "1".repeat(56));
            let partition_key = "\u{10ffff}".repeat(256);
            record.origin = Some(Origin { shard_id, sequence_number, sub_sequence_number: 0, partition_key });
        }
        // What one run does not take the next one does.
        let mut products = Vec::new();
        while !batch.is_empty() {
            let outcome = run(spec.clone(), batch.clone()).await;
            assert!(outcome.products.iter().map(encoded_bytes).sum::<usize>() <= MAX_OUTCOME_BYTES, "{name}");
            products.extend(outcome.products);
            batch.drain(..outcome.taken);
        }
        assert_eq!(products.len(), 3, "{name}");
        let (kind, content) = match &products[1] {
            Product::Record { data, .. } => (None, &data[..]),
            Product::Failed { kind, line, .. } => (Some(*kind), &line[..]),
        };
        assert_eq!(kind, becomes, "{name}");
        assert!(content == record, "{name}: {} bytes", content.len());
    }
}

/// Half a thousand parts of 300 bytes, each of them a quarter of a megabyte of JSON: they are not all held in memory to
/// find that they are too many.
#[tokio::test]
async fn parts_that_become_too_large_together_are_one_failure() {
    let one = gzip(format!("\"{}\"", "a".repeat(250_000)).as_bytes());
    assert!(one.len() < 1000 && !one.contains(&b'|'));
    let record = [&one[..]; 500].join(&b'|');
    let spec =
        ChainSpec { deaggregation: Some(Deaggregation::Delimited(b"|".to_vec())), decompression: true, ..spec() };
    let batch = batch(&[&record, &one]);
    let mut items = Vec::new();
    part(&spec, 0, &batch[0], &mut items);
    assert_eq!(items.len(), 500);
    assert_eq!(prepare(&spec, &mut items, 8 * 1024 * 1024), None);
    let decompressed = items.iter().filter(|item| item.data().is_some_and(|data| data.len() > 1000)).count();
    assert_eq!(decompressed, 8 * 1024 * 1024 / 250_002 + 1);
    let outcome = run(spec, batch).await;
    assert_eq!(shown(&outcome.products[0]), "processing-failed/Processing.OutputTooLarge");
    assert_eq!(json_line(&outcome.products[0])["rawData"], STANDARD.encode_to_string(&record));
    assert_eq!((outcome.products.len(), shown(&outcome.products[1]).len()), (2, 250_002));
}

/// Names of keys that only running the query tells: those that the prefix has not are neither part of the partition nor
/// a reason to fail.
#[tokio::test]
async fn a_query_makes_partitions_of_the_keys_that_the_prefix_has() {
    let prefix = "!{partitionKeyFromQuery:customer}/";
    for query in [".", "with_entries(.)", "{customer:.customer} + {id:.id}"] {
        let records: [&[u8]; 4] = [
            b"{\"customer\":\"a\",\"id\":\"1\"}",
            b"{\"customer\":\"a\",\"id\":\"2\"}",
            b"{\"customer\":\"a\",\"id\":null}",
            b"{\"customer\":null,\"id\":\"3\"}",
        ];
        let outcome = run(partitioned(prefix, Some(query)), batch(&records)).await;
        let a = Some(Partition { query: keys(&[("customer", "a")]), lambda: Vec::new() });
        assert_eq!(partitions(&outcome.products), [a.clone(), a.clone(), a, None], "{query}");
        let why = &json_line(&outcome.products[3])["errorMessage"];
        assert_eq!(why, "partitionKeys values must not be null or empty", "{query}");
    }
}
