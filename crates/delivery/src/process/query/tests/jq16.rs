//! What jq 1.6 answers, asked of itself: `jq -rc '{x:(EXPRESSION)}'`, jq-1.6 of Debian.

use jaq_json::{Num, Val};

use super::super::time;
use super::one;

const RECORD: &str = r#"{"region":"eu","text":"2020-07-17","list":[1,2,3],"one":1,"nested":[[1],2]}"#;
/// What jq 1.6 refuses.
const REFUSED: &str = "!";

#[track_caller]
fn assert_answers(rows: &[(&str, &str)]) {
    let answer = |(expression, _): &(&str, &str)| match one(&format!("{{x:({expression})}}"), RECORD) {
        Ok(keys) => keys.trim_start_matches("x=").to_owned(),
        Err(error) if error.starts_with("The query failed on the record: ") => REFUSED.to_owned(),
        Err(error) => error,
    };
    let wrong: Vec<_> =
        rows.iter().map(|row| (row, answer(row))).filter(|((_, expected), is)| is != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Milliseconds and nanoseconds are taken for seconds easily. jq 1.6 has years beyond 9999, up to where it ends itself.
#[test]
fn times_beyond_all_years_are_refused() {
    let texts = ["%Y", "%s"].map(|text| Val::from(text.to_owned()));
    let whole =
        [i64::MIN, -377_705_116_801, 253_402_300_800, 1_595_000_000_000_000, 1_600_000_000_000_000_000, i64::MAX];
    let whole = whole.map(|seconds| Val::Num(Num::from_integral(seconds)));
    let others = [f64::MIN, -1e300, 1e19, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(Val::from);
    for time in whole.into_iter().chain(others) {
        assert!(time::gmtime(&time).is_err(), "{time}");
        assert!(texts.iter().all(|text| time::strftime(&time, text).is_err()), "{time}");
        for place in 0..8 {
            let parts: Val = (0..8).map(|part| if part == place { time.clone() } else { Val::from(1_usize) }).collect();
            if let Ok(seconds) = time::mktime(&parts) {
                assert_eq!(time::strftime(&parts, &texts[1]).is_ok(), time::strftime(&seconds, &texts[1]).is_ok());
            }
        }
    }
    // jq 1.6 ends itself.
    assert_answers(&[("-1e19%-1", "0"), ("1600000000000000000|todate", REFUSED)]);
}

#[test]
fn texts_are_joined() {
    assert_answers(&[
        (r#"["a",null,1,true]|join("-")"#, "a--1-true"),
        (r#"[.region,.zone]|join("/")"#, "eu/"),
        (r#"["a",null,1.5,false,""]|join("-")"#, "a--1.5-false-"),
        (r#"["a"]|join(1)"#, "a"),
        (r#"["a","b"]|join(1)"#, REFUSED),
        (r#"["a","b"]|join(null)"#, "ab"),
        (r#"["a",[1]]|join("-")"#, REFUSED),
        (r#"["a",{}]|join("-")"#, REFUSED),
        (r#"{"a":"x","b":"y"}|join("-")"#, "x-y"),
        (r#"null|join("-")"#, REFUSED),
        (r#"[["a","b"]|join("-","/")]|tojson"#, r#"["a-b","a/b"]"#),
        (r#"[[]|join("-"),([null]|join("-"))]|tojson"#, r#"["",""]"#),
        (r#"@sh "\(["a b",1])""#, "'a b' 1"),
    ]);
}

#[test]
fn slices() {
    assert_answers(&[
        ("null|.[1:]|tojson", "null"),
        (r#"(null|.[0:4]) // "d""#, "d"),
        (r#".missing[0:4] // "d""#, "d"),
        (r#".missing[:2] // "d""#, "d"),
        (".text[0:4]", "2020"),
        (".text[-2:]", "17"),
        ("{}|.[0:4]", REFUSED),
        ("1|.[0:4]", REFUSED),
        ("[1|.[0:4]?]|tojson", "[]"),
        ("[.missing[0:2]?]|tojson", "[null]"),
        (".list[null:2]|tojson", "[1,2]"),
        (".list[1:null]|tojson", "[2,3]"),
        (".list[.one:]|tojson", "[2,3]"),
        (".list[.one:.list|length]|tojson", "[2,3]"),
        ("[[1,2,3,4]|.[(0,1):(3,4)]]|tojson", "[[1,2,3],[1,2,3,4],[2,3],[2,3,4]]"),
        ("[.missing[(0,1):2]]|tojson", "[null,null]"),
        (r#"(.list[1:] |= ["x"]).list|tojson"#, r#"[1,"x"]"#),
        ("(.list[.one:] |= map(.+1)).list|tojson", "[1,3,4]"),
        (".list[1:][1:]|tojson", "[3]"),
        (".nested[.nested[0][0:1][0]:]|tojson", "[2]"),
    ]);
}

#[test]
fn numbers_in_texts() {
    assert_answers(&[
        (r#""007"|tonumber"#, "7"),
        (".text[5:7]|tonumber", "7"),
        (
            r#"[" 7 ","\t7\n","+5",".5","5.","-007","08","00","1e3","1E+3","0.5e1","-1.5"|tonumber]|tojson"#,
            "[7,7,5,0.5,5,-7,8,0,1000,1000,5,-1.5]",
        ),
        (r#""7 7"|tonumber"#, REFUSED),
        (r#"""|tonumber"#, REFUSED),
        (r#""-"|tonumber"#, REFUSED),
        (r#""."|tonumber"#, REFUSED),
        (r#""1e"|tonumber"#, REFUSED),
        (r#""+-5"|tonumber"#, REFUSED),
        (r#""0x10"|tonumber"#, REFUSED),
        (r#""nan"|tonumber"#, REFUSED),
        (r#""1_000"|tonumber"#, REFUSED),
        (r#""null"|tonumber"#, REFUSED),
        (r#""[1]"|tonumber"#, REFUSED),
        (r#""1,"|tonumber"#, REFUSED),
        ("null|tonumber", REFUSED),
        ("true|tonumber", REFUSED),
        ("[1]|tonumber", REFUSED),
        ("5|tonumber", "5"),
    ]);
}

#[test]
fn times() {
    assert_answers(&[
        ("1595000000.7|todate", "2020-07-17T15:33:20Z"),
        ("1595000000|todateiso8601", "2020-07-17T15:33:20Z"),
        ("1595000000|gmtime|todate", "2020-07-17T15:33:20Z"),
        (r#""2020-07-17"|strptime("%Y-%m-%d")|todate"#, "2020-07-17T00:00:00Z"),
        (r#""2020-07-17"|strptime("%Y-%m-%d")|tojson"#, "[2020,6,17,0,0,0,5,198]"),
        ("1595000000.7|gmtime|tojson", "[2020,6,17,15,33,20.700000047683716,5,198]"),
        ("1595000000|gmtime|tojson", "[2020,6,17,15,33,20,5,198]"),
        ("1595000000.7|gmtime|mktime", "1595000000"),
        ("-1.5|todate", "1969-12-31T23:59:59Z"),
        ("[2020.9,6.9,17.9,15.9,33.9,20.9,5,198]|mktime", "1595000000"),
        ("[2020,12,1,0,0,61,0,0]|mktime", "1609459261"),
        ("[2020,-1,32,25,61,61,0,0]|mktime", "1577930521"),
        ("[2021,25,-40,0,0,0,0,0]|mktime", "1671667200"),
        ("[2000,2,1,0,0,0,0,0]|mktime", "951868800"),
        ("[1900,2,1,0,0,0,0,0]|mktime", "-2203891200"),
        ("[1600,1,29,0,0,0,0,0]|mktime", "-11670998400"),
        ("[1601,0,0,0,0,0,0,0]|mktime", "-11644560000"),
        ("[2020,6,17,15,33,20]|mktime", REFUSED),
        (r#"[2020,6,17,15,33,"a",5,198]|mktime"#, REFUSED),
        ("1595000000|mktime", REFUSED),
        (r#""x"|todate"#, REFUSED),
        ("null|todate", REFUSED),
        (r#""x"|gmtime"#, REFUSED),
        ("[2020,6,17,15,33,20.9,5,198]|todate", "2020-07-17T15:33:20Z"),
        ("253402200000|todate", "9999-12-30T20:00:00Z"),
        (r#"-62135596800|strftime("%s")"#, "-62135596800"),
        (r#""2020-07-17T15:33:20Z"|fromdate"#, "1595000000"),
        (r#""2020-07-17T15:33:20Z"|strptime("%Y-%m-%dT%H:%M:%SZ")|mktime"#, "1595000000"),
        (r#""Fri, 17 Jul 2020 15:33:20 GMT"|strptime("%a, %d %b %Y %T %Z")|mktime"#, "1595000000"),
        (r#""2020-07-17T15:33:20UTC"|strptime("%Y-%m-%dT%H:%M:%S%Z")|mktime"#, "1595000000"),
        (r#""2020-07-17T15:33:20+0200"|strptime("%Y-%m-%dT%H:%M:%S%z")|mktime"#, "1595000000"),
        (r#""Fri Jul 17 15:33:20 2020"|strptime("%c")|mktime"#, "1595000000"),
        (r#""07/17/20 03:33:20 PM"|strptime("%x %r")|mktime"#, "1595000000"),
        (
            r#"1595000000|strftime("%c|%x|%X|%r|%Z|%z|%D|%T|%R|%e|%k|%l|%j|%U|%u|%w|%G-%V|%s|%%c|%h|%C|%p|%P")"#,
            "Fri Jul 17 15:33:20 2020|07/17/20|15:33:20|03:33:20 PM|UTC|+0000|07/17/20|15:33:20|15:33|17|15| 3|199|28|5|5|2020-29|1595000000|%c|Jul|20|PM|pm",
        ),
        (r#"1595000000|strftime("%Ec|%Od|%-d|%_d|%F")"#, "Fri Jul 17 15:33:20 2020|17|17|17|2020-07-17"),
        ("1595000000|localtime|mktime", "1595000000"),
        (r#"1595000000|strflocaltime("%H%z")"#, "15+0000"),
    ]);
}

#[test]
fn remainders() {
    assert_answers(&[
        ("1.5%7", "1"),
        ("5.9%2.9", "1"),
        ("3.7%16", "3"),
        (".text[5:7]|tonumber%2", "1"),
        ("5%0.5", REFUSED),
        ("5%0", REFUSED),
        ("-5%3", "-2"),
        ("5%-3", "2"),
        ("-5.9%3", "-2"),
        ("1e19%7", "-1"),
        ("nan%5", "-3"),
        ("5%nan", "5"),
        (r#""a"%2"#, REFUSED),
        ("null%2", REFUSED),
        (r#"{"a":7.5}|.a%=4|.a"#, "3"),
    ]);
}

#[test]
fn trimmed_texts() {
    assert_answers(&[
        (r#"5|ltrimstr("a")"#, "5"),
        (r#""abc"|ltrimstr(5)"#, "abc"),
        (r#""abc"|rtrimstr(null)"#, "abc"),
        (r#"true|rtrimstr("a")"#, "true"),
        (r#"{"a":1}|rtrimstr("a")|tojson"#, r#"{"a":1}"#),
        (r#""user-17"|ltrimstr("user-")"#, "17"),
        (r#""a-b"|rtrimstr("-b")"#, "a"),
        (r#""aa"|ltrimstr("aa")|length"#, "0"),
        (r#""a"|rtrimstr("ba")"#, "a"),
    ]);
}

#[test]
fn entries() {
    assert_answers(&[
        (r#"[{"Key":"env","Value":"prod"}]|from_entries.env"#, "prod"),
        (
            r#"[{"key":"a","value":1},{"name":"b","value":2},{"Name":"c","Value":3}]|from_entries|tojson"#,
            r#"{"a":1,"b":2,"c":3}"#,
        ),
        (r#"[{"k":"d","v":4}]|from_entries|tojson"#, REFUSED),
        (r#"[{"key":1,"value":2}]|from_entries|tojson"#, REFUSED),
        (r#"[{"key":null,"value":2}]|from_entries|tojson"#, REFUSED),
        (r#"[{"key":false,"name":"n","value":2}]|from_entries|tojson"#, r#"{"n":2}"#),
        (
            r#"[{"Key":"K","Name":"N","value":1},{"Name":"N","name":"n","value":2},{"name":"n","key":"k","value":3}]|from_entries|tojson"#,
            r#"{"K":1,"n":2,"k":3}"#,
        ),
        (r#"[{"key":"a","Value":2}]|from_entries|tojson"#, r#"{"a":2}"#),
        (r#"[{"key":"a","value":null,"Value":2}]|from_entries|tojson"#, r#"{"a":null}"#),
        (r#"[{"key":"a","value":false,"Value":2}]|from_entries|tojson"#, r#"{"a":false}"#),
        (r#"[{"key":"a"}]|from_entries|tojson"#, r#"{"a":null}"#),
        (r#"[{"key":"a","value":1},{"key":"a","value":2}]|from_entries|tojson"#, r#"{"a":2}"#),
        ("[1]|from_entries|tojson", REFUSED),
        ("null|from_entries|tojson", REFUSED),
        ("[]|from_entries|tojson", "{}"),
        (r#"{"x":{"key":"a","value":1}}|from_entries|tojson"#, r#"{"a":1}"#),
        (r#"{"a":1,"b":null}|with_entries(.value|=tostring)|tojson"#, r#"{"a":"1","b":"null"}"#),
    ]);
}
