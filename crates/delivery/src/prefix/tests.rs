use super::{KeyLayout, PrefixError, validate};

/// 2026-07-13 14:05:09.123 UTC, a Monday.
const TIME: u64 = 1_783_951_509_123;
const SEED: [u8; 16] = [7; 16];
const UUID: &str = "07070707-0707-4707-8707-070707070707";
const ERRORS: Option<&str> = Some("e/!{firehose:error-output-type}/");

fn key_at(time: u64, prefix: &str, zone: &str, extension: &str, compression: &str) -> String {
    let layout = KeyLayout::new(Some(prefix), ERRORS, Some(zone), Some(extension)).unwrap();
    layout.key("orders", 3, time, compression, SEED)
}

#[test]
fn whole_keys() {
    let rows = [
        ("", "", "", "", "2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("", "", "", ".gz", "2026/07/13/14/orders-3-2026-07-13-14-05-09-U.gz"),
        ("legacy", "", "", "", "legacy2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("a/b/", "", "", "", "a/b/2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("/", "", "", "", "/2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("!x", "", "", "", "!x2026/07/13/14/orders-3-2026-07-13-14-05-09-U"),
        ("dt=!{timestamp:yyyy-MM-dd}/", "", "", "", "dt=2026-07-13/orders-3-2026-07-13-14-05-09-U"),
        ("!{timestamp:yyyy}", "", "", "", "2026orders-3-2026-07-13-14-05-09-U"),
        ("!{timestamp:yyyy'/'MM}/", "", "", "", "2026/07/orders-3-2026-07-13-14-05-09-U"),
        ("", "Asia/Tokyo", "", "", "2026/07/13/23/orders-3-2026-07-13-23-05-09-U"),
        ("p/", "Asia/Kolkata", "", "", "p/2026/07/13/19/orders-3-2026-07-13-19-35-09-U"),
        ("", "UTC", ".json", ".gz", "2026/07/13/14/orders-3-2026-07-13-14-05-09-U.json"),
        ("", "", ".json.gz", "", "2026/07/13/14/orders-3-2026-07-13-14-05-09-U.json.gz"),
    ];
    for (prefix, zone, extension, compression, wanted) in rows {
        let key = key_at(TIME, prefix, zone, extension, compression);
        assert_eq!(key, wanted.replace('U', UUID), "{prefix:?} in {zone:?}, {extension:?}, {compression:?}");
    }
}

#[test]
fn random_strings_have_eleven_characters_are_fresh_at_each_use_and_repeat_with_the_seed() {
    let layout =
        KeyLayout::new(Some("!{firehose:random-string}/!{firehose:random-string}/"), ERRORS, None, None).unwrap();
    let key = layout.key("s", 1, TIME, "", SEED);
    let parts: Vec<&str> = key.split('/').collect();
    assert_eq!(parts.len(), 2 + 4 + 1, "the guide: without a timestamp expression the date is appended: {key}");
    assert_eq!(parts[2..6], ["2026", "07", "13", "14"]);
    for part in &parts[..2] {
        assert_eq!(part.len(), super::RANDOM_STRING_CHARS);
        assert!(part.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{part}");
    }
    assert_ne!(parts[0], parts[1]);
    assert_eq!(key, layout.key("s", 1, TIME, "", SEED));
    assert_ne!(key, layout.key("s", 1, TIME, "", [8; 16]));
}

/// One row, one pattern; expectations follow the documentation of Java 8's DateTimeFormatter, locale en-US.
#[test]
fn timestamp_patterns() {
    let rows = [
        ("yyyy", "2026"),
        ("yy", "26"),
        ("y", "2026"),
        ("uuuuu", "02026"),
        ("M MM MMM MMMM MMMMM", "7 07 Jul July J"),
        ("L LL LLL", "7 07 Jul"),
        ("Q QQ QQQ QQQQ", "3 03 Q3 3rd quarter"),
        ("d dd", "13 13"),
        ("D DDD", "194 194"),
        ("E EEE EEEE EEEEE", "Mon Mon Monday M"),
        ("e ee c", "2 02 2"),
        ("w ww W F", "29 29 3 6"),
        ("YYYY", "2026"),
        ("H HH k K h hh a", "14 14 14 2 2 02 PM"),
        ("m mm s ss", "5 05 9 09"),
        ("S SSS SSSSSSSSS", "1 123 123000000"),
        ("n A N", "123000000 50709123 50709123000000"),
        ("G GGGG", "AD Anno Domini"),
        ("VV z", "UTC UTC"),
        ("X XXX x xx xxx Z ZZZZ ZZZZZ O", "Z Z +00 +0000 +00:00 +0000 GMT Z GMT"),
        ("'year='yyyy", "year=2026"),
        ("yyyy''MM", "2026'07"),
        ("'it''s'", "it's"),
        ("yyyy[/MM]", "2026/07"),
        ("yyyy_MM=dd:HH", "2026_07=13:14"),
        ("yyyy年", "2026年"),
    ];
    for (pattern, wanted) in rows {
        let key = key_at(TIME, &format!("!{{timestamp:{pattern}}}|"), "", "", "");
        assert_eq!(key.split('|').next(), Some(wanted), "{pattern}");
    }
}

#[test]
fn patterns_at_other_times_and_places() {
    let rows = [
        // Weeks: 2026-12-31 is a Thursday, so its week holds 1 January 2027.
        (1_798_675_200_000, "", "YYYY-ww uuuu", "2027-01 2026"),
        // 2026-12-26 is the Saturday before.
        (1_798_243_200_000, "", "YYYY-ww", "2026-52"),
        // 2023-01-01 is a Sunday: first day of week 1.
        (1_672_531_200_000, "", "YYYY-w e", "2023-1 1"),
        // 2022-01-01 is a Saturday: week 1; the next day is week 2.
        (1_640_995_200_000, "", "YYYY-w e W", "2022-1 7 1"),
        (1_641_081_600_000, "", "YYYY-w e W", "2022-2 1 2"),
        // Midnight on both clocks.
        (1_640_995_200_000, "", "H k K h a", "0 24 0 12 AM"),
        (
            TIME,
            "Asia/Kolkata",
            "X XX XXX x Z ZZZZ O OOOO",
            "+0530 +0530 +05:30 +0530 +0530 GMT+05:30 GMT+5:30 GMT+05:30",
        ),
        (TIME, "America/New_York", "X x O z VV", "-04 -04 GMT-4 EDT America/New_York"),
    ];
    for (time, zone, pattern, wanted) in rows {
        let key = key_at(time, &format!("!{{timestamp:{pattern}}}|"), zone, "", "");
        assert_eq!(key.split('|').next(), Some(wanted), "{pattern} at {time} in {zone:?}");
    }
}

#[test]
fn refusals() {
    use PrefixError::*;
    let bad = |pattern: &str, reason: &str| BadPattern { pattern: pattern.into(), reason: reason.into() };
    let long = "x".repeat(513);
    let fits = "x".repeat(512);
    let rows: &[(&str, &str, &str, Option<PrefixError>)] = &[
        ("", "", "", None),
        ("literal", "", "", None),
        ("literal", "errors/", "", None),
        ("", "e/!{firehose:error-output-type}/", "", None),
        ("!{timestamp:yyyy}", "errors/", "", None),
        (&fits, "", "", None),
        ("!{timestamp:yyyy}", "", "", Some(ErrorPrefixRequired)),
        ("!{firehose:random-string}", "", "", Some(ErrorPrefixRequired)),
        ("", "e/!{timestamp:yyyy}/", "", Some(ErrorTypeMissing)),
        ("!{firehose:error-output-type}", "errors/", "", Some(ErrorTypeInPrefix)),
        ("", "!{firehose:error-output-type}/!{partitionKeyFromQuery:a}", "", Some(PartitionKeyInErrorPrefix)),
        ("!{partitionKeyFromQuery:a}/", "errors/", "", Some(PartitioningDisabled)),
        ("!{partitionKeyFromLambda:a}/", "errors/", "", Some(PartitioningDisabled)),
        ("a!{timestamp:yyyy", "errors/", "", Some(Unclosed("!{timestamp:yyyy".into()))),
        ("!{}", "errors/", "", Some(UnknownExpression(String::new()))),
        ("!{year}", "errors/", "", Some(UnknownExpression("year".into()))),
        ("!{time:yyyy}", "errors/", "", Some(UnknownExpression("time:yyyy".into()))),
        ("!{firehose:nothing}", "errors/", "", Some(UnknownExpression("firehose:nothing".into()))),
        ("!{timestamp:}", "errors/", "", Some(bad("", "empty"))),
        ("!{timestamp:yyyy'}", "errors/", "", Some(bad("yyyy'", "a quote is not closed"))),
        ("!{timestamp:b}", "errors/", "", Some(bad("b", "the letter b is not supported"))),
        ("!{timestamp:ddd}", "errors/", "", Some(bad("ddd", "d cannot stand 3 times"))),
        ("!{timestamp:HHH}", "errors/", "", Some(bad("HHH", "H cannot stand 3 times"))),
        ("!{timestamp:yyyy]}", "errors/", "", Some(bad("yyyy]", "] without ["))),
        ("!{timestamp:yyyy#}", "errors/", "", Some(bad("yyyy#", "'#' is reserved"))),
        (&long, "", "", Some(TooLong { member: "Prefix" })),
        ("", &long, "", Some(TooLong { member: "ErrorOutputPrefix" })),
        ("", "", "Mars/Olympus", Some(UnknownTimeZone("Mars/Olympus".into()))),
    ];
    for (prefix, error_prefix, zone, wanted) in rows {
        let got = validate(Some(prefix), Some(error_prefix), Some(zone)).err();
        assert_eq!(got, *wanted, "{prefix:?} {error_prefix:?} {zone:?}");
    }
}
