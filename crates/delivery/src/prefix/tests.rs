use super::{KeyError, KeyLayout, LayoutSpec, Member, ObjectOf, PartitionKeys, Partitioning, PrefixError, QueryKeys};
use crate::record::{ErrorType, Partition};

/// 2026-07-13 14:05:09.123 UTC, a Monday.
const TIME: u64 = 1_783_951_509_123;
const SEED: [u8; 16] = [7; 16];
const UUID: &str = "07070707-0707-4707-8707-070707070707";
const ERRORS: &str = "e/!{firehose:error-output-type}/";

fn of<'a>(oldest: u64, extension: &'a str, partition: Option<&'a Partition>) -> ObjectOf<'a> {
    ObjectOf { stream: "orders", version: 3, oldest, extension, seed: SEED, partition }
}

fn key_at(time: u64, prefix: &str, zone: &str, extension: &str, compression: &str) -> String {
    let spec = LayoutSpec {
        prefix: Some(prefix),
        error_prefix: Some(ERRORS),
        time_zone: Some(zone),
        file_extension: Some(extension),
        partitioning: Partitioning::Off,
    };
    KeyLayout::new(&spec).unwrap().key(&of(time, compression, None)).unwrap()
}

/// Expectations of rows with `legacy` and `//` were seen in buckets of AWS.
#[test]
fn whole_keys() {
    let rows = [
        ("", "", "", "", "2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("", "", "", ".gz", "2026/07/13/14/orders-3-2026-07-13-14-05-09-U.gz"),
        ("legacy", "", "", "", "legacy2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("a/b/", "", "", "", "a/b/2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("logs//", "", "", "", "logs//2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("/", "", "", "", "/2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("!x", "", "", "", "!x2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("~ +%é{}/", "", "", "", "~ +%é{}/2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("{year}/", "", "", "", "{year}/2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("dt=!{timestamp:yyyy-MM-dd}/", "", "", "", "dt=2026-07-13/orders-3-2026-07-13-14-05-09-U"),
        ("!{timestamp:yyyy}", "", "", "", "2026orders-3-2026-07-13-14-05-09-U"),
        ("!{timestamp:yyyy'/'MM}/", "", "", "", "2026/07/orders-3-2026-07-13-14-05-09-U"),
        ("", "Asia/Tokyo", "", "", "2026/07/13/23/orders-3-2026-07-13-23-05-09-U"),
        ("p/", "Asia/Calcutta", "", "", "p/2026/07/13/19/orders-3-2026-07-13-19-35-09-U"),
        ("", "UTC", ".json", ".gz", "2026/07/13/14/orders-3-2026-07-13-14-05-09-U.json"),
        ("", "", ".json.gz", "", "2026/07/13/14/orders-3-2026-07-13-14-05-09-U.json.gz"),
    ];
    for (prefix, zone, extension, compression, wanted) in rows {
        let key = key_at(TIME, prefix, zone, extension, compression);
        assert_eq!(key, wanted.replace('U', UUID), "{prefix:?} in {zone:?}, {extension:?}, {compression:?}");
    }
}

/// The guide's table of examples. Its times contradict each other; here they are 10:30 on 27 August 2018, and the two
/// literal prefixes get the date of the guide's own rules, without the slash that its table shows.
#[test]
fn examples_of_the_guide() {
    const EXAMPLE: u64 = 1_535_365_800_000;
    let by_part = "myPrefix/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/";
    let quoted = "myErrorPrefix/!{timestamp:'year='yyyy'/month='MM'/day='dd'/hour='HH}/!{firehose:error-output-type}";
    let rows = [
        (
            "",
            "myFirehoseFailures/!{firehose:error-output-type}/",
            "2018/08/27/10/",
            "myFirehoseFailures/processing-failed/",
        ),
        (
            "myFirehose/DeliveredYear=!{timestamp:yyyy}/anyMonth/rand=!{firehose:random-string}",
            "myFirehoseFailures/!{firehose:error-output-type}/!{timestamp:yyyy}/anyMonth/!{timestamp:dd}",
            "myFirehose/DeliveredYear=2018/anyMonth/rand=RANDOM",
            "myFirehoseFailures/processing-failed/2018/anyMonth/27",
        ),
        (
            by_part,
            quoted,
            "myPrefix/year=2018/month=08/day=27/hour=10/",
            "myErrorPrefix/year=2018/month=08/day=27/hour=10/processing-failed",
        ),
        ("myFirehosePrefix", "", "myFirehosePrefix2018/08/27/10/", "myFirehosePrefixprocessing-failed/2018/08/27/10/"),
        ("my/", "", "my/2018/08/27/10/", "my/processing-failed/2018/08/27/10/"),
        ("", "", "2018/08/27/10/", "processing-failed/2018/08/27/10/"),
        ("", "errors/", "2018/08/27/10/", "errors/"),
    ];
    let name = format!("orders-3-2018-08-27-10-30-00-{UUID}");
    for (prefix, error_prefix, wanted, wanted_error) in rows {
        let spec = LayoutSpec {
            prefix: Some(prefix),
            error_prefix: Some(error_prefix),
            file_extension: Some(".json"),
            ..LayoutSpec::default()
        };
        let layout = KeyLayout::new(&spec).unwrap();
        let object = of(EXAMPLE, ".gz", None);
        let key = layout.key(&object).unwrap();
        let wanted = match key.split_once("rand=") {
            Some((_, rest)) => wanted.replace("RANDOM", &rest[..super::RANDOM_STRING_CHARS]),
            None => wanted.to_owned(),
        };
        assert_eq!(key, format!("{wanted}{name}.json"), "{prefix}");
        assert_eq!(layout.error_key(ErrorType::Processing, &object), format!("{wanted_error}{name}"), "{error_prefix}");
    }
}

/// As it was seen in a bucket of AWS: no extension, a date of the default error prefix.
#[test]
fn error_keys_name_their_type() {
    let spec = LayoutSpec { prefix: Some("retries/"), ..LayoutSpec::default() };
    let layout = KeyLayout::new(&spec).unwrap();
    for kind in ErrorType::ALL {
        let key = layout.error_key(kind, &of(TIME, ".gz", None));
        assert_eq!(key, format!("retries/{}/2026/07/13/14/orders-3-2026-07-13-14-05-09-{UUID}", kind.name()));
    }
}

#[test]
fn random_strings_have_eleven_characters_are_fresh_at_each_use_and_repeat_with_the_seed() {
    let spec = LayoutSpec {
        prefix: Some("!{firehose:random-string}/!{firehose:random-string}/"),
        error_prefix: Some("!{firehose:random-string}/!{firehose:error-output-type}/"),
        ..LayoutSpec::default()
    };
    let layout = KeyLayout::new(&spec).unwrap();
    let object = of(TIME, "", None);
    let key = layout.key(&object).unwrap();
    let parts: Vec<&str> = key.split('/').collect();
    assert_eq!(parts.len(), 2 + 1, "no date is appended to a prefix with an expression: {key}");
    let error_key = layout.error_key(ErrorType::Splunk, &object);
    let random = [parts[0], parts[1], error_key.split('/').next().unwrap()];
    for part in random {
        assert_eq!(part.len(), super::RANDOM_STRING_CHARS);
        assert!(part.bytes().all(|b| b.is_ascii_alphanumeric()), "{part}");
    }
    assert_ne!(parts[0], parts[1]);
    assert_eq!(key, layout.key(&object).unwrap());
    assert_ne!(key, layout.key(&ObjectOf { seed: [8; 16], ..object }).unwrap());
}

fn partitioned(prefix: &str) -> KeyLayout {
    let names: Vec<String> = ["customer_id", "device"].map(String::from).to_vec();
    let used: Vec<String> = names.into_iter().filter(|name| prefix.contains(name.as_str())).collect();
    let query = if used.is_empty() { QueryKeys::None } else { QueryKeys::These(&used) };
    let spec = LayoutSpec {
        prefix: Some(prefix),
        error_prefix: Some("errors/"),
        partitioning: Partitioning::On { query, lambda: true },
        ..LayoutSpec::default()
    };
    KeyLayout::new(&spec).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The first row is the guide's example of partition keys; a value that is a path was seen in AWS's own templates.
#[test]
fn values_of_partition_keys_stand_in_keys_as_they_are() {
    let guide = "customer_id=!{partitionKeyFromQuery:customer_id}/device=!{partitionKeyFromQuery:device}/\
                 year=!{partitionKeyFromLambda:year}/";
    type Keys = [(&'static str, &'static str)];
    let rows: &[(&str, &Keys, &Keys, &str)] = &[
        (
            guide,
            &[("customer_id", "1234567890"), ("device", "mobile")],
            &[("year", "2019")],
            "customer_id=1234567890/device=mobile/year=2019/",
        ),
        (
            "!{partitionKeyFromLambda:path}/",
            &[],
            &[("path", "CloudWatchLogs/1/eu-west-1")],
            "CloudWatchLogs/1/eu-west-1/",
        ),
        ("a=!{partitionKeyFromLambda:a}/", &[], &[("a", "")], "a=/"),
        ("!{partitionKeyFromLambda:a}!{partitionKeyFromLambda:a}/", &[], &[("a", "/")], "///"),
        (
            "a=!{partitionKeyFromLambda:a}/",
            &[],
            &[("b", "no"), ("a", "!{timestamp:yyyy} ~+é\n")],
            "a=!{timestamp:yyyy} ~+é\n/",
        ),
        ("!{partitionKeyFromLambda:a}-!{timestamp:yyyy}/", &[], &[("a", "x")], "x-2026/"),
    ];
    for (prefix, query, lambda, wanted) in rows {
        let layout = partitioned(prefix);
        let partition = Partition { query: pairs(query), lambda: pairs(lambda) };
        layout.check(&partition).unwrap();
        let key = layout.key(&of(TIME, "", Some(&partition))).unwrap();
        assert_eq!(key, format!("{wanted}orders-3-2026-07-13-14-05-09-{UUID}"), "{prefix}");
    }
}

#[test]
fn records_without_a_key_are_told() {
    let layout = partitioned("!{partitionKeyFromQuery:device}/!{partitionKeyFromLambda:a}/!{partitionKeyFromLambda:a}");
    let used = PartitionKeys { query: vec!["device".into()], lambda: vec!["a".into()] };
    assert_eq!(*layout.partition_keys(), used);
    let missing = |namespace, name: &str| Err(KeyError::MissingPartitionKey { namespace, name: name.into() });
    let full = |a: usize| Partition { query: pairs(&[("device", "d")]), lambda: pairs(&[("a", &"y".repeat(a))]) };
    let rows = [
        (Partition::default(), missing("partitionKeyFromQuery", "device")),
        (
            Partition { query: pairs(&[("device", "d")]), lambda: pairs(&[("device", "d")]) },
            missing("partitionKeyFromLambda", "a"),
        ),
        (full(254), Ok(())),
        (full(255), Err(KeyError::TooLong { bytes: 513 })),
    ];
    for (partition, wanted) in rows {
        assert_eq!(layout.check(&partition), wanted, "{partition:?}");
        assert_eq!(layout.key(&of(TIME, "", Some(&partition))).map(drop), wanted, "{partition:?}");
    }
    assert!(layout.key(&of(TIME, "", None)).is_err());
}

/// What Java 17 prints and refuses: `tests/data/Patterns.java`.
#[test]
fn timestamp_patterns_are_javas() {
    let mut rows = 0;
    for line in include_str!("../../tests/data/patterns.tsv").lines() {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap();
        let (time, zone, pattern, wanted) = (next().parse().unwrap(), next(), next(), next());
        let prefix = format!("!{{timestamp:{pattern}}}\u{1}");
        let spec = LayoutSpec {
            prefix: Some(&prefix),
            error_prefix: Some(ERRORS),
            time_zone: Some(zone),
            ..LayoutSpec::default()
        };
        let made = KeyLayout::new(&spec).map(|layout| layout.key(&of(time, "", None)).unwrap());
        match made {
            Ok(key) => assert_eq!(key.split('\u{1}').next(), Some(wanted), "{pattern} at {time} in {zone}"),
            Err(PrefixError::BadValue { .. } | PrefixError::BadExpression { .. }) => {
                assert_eq!(wanted, "(refused)", "{pattern}");
            }
            Err(other) => panic!("{pattern}: {other}"),
        }
        rows += 1;
    }
    assert_eq!(rows, 521);
}

#[test]
fn abbreviations_of_zones_are_those_of_the_database() {
    for (zone, wanted) in [("", "UTC"), ("America/New_York", "EDT"), ("Asia/Tokyo", "JST"), ("Europe/London", "BST")] {
        assert_eq!(key_at(TIME, "!{timestamp:z}|", zone, "", "").split('|').next(), Some(wanted));
    }
}

#[test]
fn refusals() {
    use Member::{ErrorOutputPrefix, Prefix};
    use PrefixError::*;
    let value = |member, value: &str, reason: &str| BadValue { member, value: value.into(), reason: reason.into() };
    let expression = |member, text: &str| BadExpression { member, text: text.into() };
    let nanos = format!("{}!{{timestamp:n}}", "x".repeat(505));
    let long = "x".repeat(513);
    let fits = "x".repeat(512);
    let evaluated = format!("{}!{{firehose:random-string}}", "x".repeat(502));
    let rows: &[(&str, &str, &str, Option<PrefixError>)] = &[
        ("", "", "", None),
        ("literal", "", "", None),
        ("literal", "errors/", "", None),
        ("", "e/!{firehose:error-output-type}/", "", None),
        ("!{timestamp:yyyy}", "errors/", "", None),
        (&fits, "", "", None),
        (&fits, &fits, "", None),
        ("!{timestamp:yyyy}", "", "", Some(ErrorPrefixRequired)),
        ("!{firehose:random-string}", "", "", Some(ErrorPrefixRequired)),
        ("", "e/!{timestamp:yyyy}/", "", Some(ErrorTypeMissing)),
        ("", "e/!{firehose:random-string}/", "", Some(ErrorTypeMissing)),
        ("!{firehose:error-output-type}", "errors/", "", Some(ErrorTypeInPrefix)),
        ("", "!{firehose:error-output-type}/!{partitionKeyFromQuery:a}", "", Some(PartitionKeyInErrorPrefix)),
        ("!{partitionKeyFromQuery:a}/", "errors/", "", Some(PartitioningDisabled)),
        ("!{partitionKeyFromLambda:a}/", "errors/", "", Some(PartitioningDisabled)),
        ("a!{timestamp:yyyy", "errors/", "", Some(expression(Prefix, "a!{timestamp:yyyy"))),
        ("!{}", "errors/", "", Some(expression(Prefix, "!{}"))),
        ("!{year}b", "errors/", "", Some(expression(Prefix, "!{year}b"))),
        ("!{a1:b}", "errors/", "", Some(expression(Prefix, "!{a1:b}"))),
        ("!{!{timestamp:yyyy}}", "errors/", "", Some(expression(Prefix, "!{!{timestamp:yyyy}}"))),
        ("", "x!{", "", Some(expression(ErrorOutputPrefix, "x!{"))),
        ("!{time:yyyy}", "errors/", "", Some(UnknownNamespace { member: Prefix, namespace: "time".into() })),
        ("", "!{Firehose:x}", "", Some(UnknownNamespace { member: ErrorOutputPrefix, namespace: "Firehose".into() })),
        (
            "!{firehose:nothing}",
            "errors/",
            "",
            Some(value(Prefix, "nothing", "the namespace firehose has error-output-type and random-string")),
        ),
        ("!{partitionKeyFromLambda:}", "errors/", "", Some(value(Prefix, "", "empty"))),
        ("!{timestamp:}", "errors/", "", Some(value(Prefix, "", "empty"))),
        ("!{timestamp:yyyy'}", "errors/", "", Some(value(Prefix, "yyyy'", "a quote is not closed"))),
        ("", "!{timestamp:b}", "", Some(value(ErrorOutputPrefix, "b", "the letter b is not supported"))),
        ("!{timestamp:ddd}", "errors/", "", Some(value(Prefix, "ddd", "d cannot stand 3 times"))),
        ("!{timestamp:p-}", "errors/", "", Some(value(Prefix, "p-", "p must stand before a letter"))),
        ("!{timestamp:yyyy]}", "errors/", "", Some(value(Prefix, "yyyy]", "] without ["))),
        ("!{timestamp:yyyy#}", "errors/", "", Some(value(Prefix, "yyyy#", "'#' is reserved"))),
        (&long, "", "", Some(TooLong(Prefix))),
        // The nanosecond has nine digits for most of the second.
        (&nanos, "errors/", "", Some(TooLong(Prefix))),
        (&evaluated, "errors/", "", Some(TooLong(Prefix))),
        ("", &long, "", Some(TooLong(ErrorOutputPrefix))),
        ("", "", "Mars/Olympus", Some(UnknownTimeZone("Mars/Olympus".into()))),
    ];
    for (prefix, error_prefix, zone, wanted) in rows {
        let spec = LayoutSpec {
            prefix: Some(prefix),
            error_prefix: Some(error_prefix),
            time_zone: Some(zone),
            ..LayoutSpec::default()
        };
        assert_eq!(KeyLayout::new(&spec).err(), *wanted, "{prefix:?} {error_prefix:?} {zone:?}");
    }
}

#[test]
fn refusals_of_partitioning() {
    use PrefixError::*;
    let (query, other) = ([String::from("a")], [String::from("a"), String::from("b")]);
    let on = |query, lambda| Partitioning::On { query, lambda };
    let both = "!{partitionKeyFromQuery:a}/!{partitionKeyFromLambda:l}/";
    let rows = [
        ("x/", on(QueryKeys::None, true), Some(PartitionKeyMissing)),
        ("!{timestamp:yyyy}/", on(QueryKeys::These(&query), false), Some(PartitionKeyMissing)),
        (both, on(QueryKeys::These(&query), true), None),
        (both, on(QueryKeys::These(&query), false), Some(NoLambda)),
        (both, on(QueryKeys::None, true), Some(NoQuery)),
        (both, on(QueryKeys::These(&other), true), Some(QueryKeyUnused("b".into()))),
        ("!{partitionKeyFromLambda:l}/", on(QueryKeys::These(&query), true), Some(QueryKeyUnused("a".into()))),
        ("!{partitionKeyFromLambda:l}/", on(QueryKeys::None, true), None),
        ("!{partitionKeyFromQuery:c}/", on(QueryKeys::Any, false), None),
        ("!{partitionKeyFromQuery:c}/", on(QueryKeys::These(&query), true), Some(QueryKeyUnused("a".into()))),
        (
            "!{partitionKeyFromQuery:a}!{partitionKeyFromQuery:c}/",
            on(QueryKeys::These(&query), true),
            Some(QueryKeyUnknown("c".into())),
        ),
    ];
    for (prefix, partitioning, wanted) in rows {
        let spec = LayoutSpec { prefix: Some(prefix), error_prefix: Some("e/"), partitioning, ..LayoutSpec::default() };
        assert_eq!(KeyLayout::new(&spec).err(), wanted, "{prefix:?} {partitioning:?}");
    }
}
