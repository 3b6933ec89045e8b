//! What expressions say, and what they cannot do.

mod jq16;

use std::sync::Arc;

use bytes::Bytes;
use levada_core::env::sim::SimClock;
use proptest::prelude::*;
use tokio::time::Instant;

use super::{Interpreters, Query, QueryError};
use crate::blocking::Blocking;

/// The clock stands still, so that no wall time ends an evaluation.
fn run(query: &Query, inputs: Vec<Bytes>, blocking: Blocking) -> Vec<Result<String, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (clock, interpreters) = (Arc::new(SimClock::at(1_565_382_027_000)), Interpreters::default());
    let results = runtime.block_on(query.evaluate(inputs, clock, blocking, &interpreters)).unwrap();
    let shown = |(name, value): &(String, String)| format!("{name}={value}");
    results.into_iter().map(|result| Ok(result?.iter().map(shown).collect::<Vec<_>>().join(" "))).collect()
}

fn evaluate(query: &str, inputs: &[&str]) -> Vec<Result<String, String>> {
    let inputs = inputs.iter().map(|input| Bytes::copy_from_slice(input.as_bytes())).collect();
    run(&Query::new(query).unwrap(), inputs, Blocking::Pool)
}

fn one(query: &str, input: &str) -> Result<String, String> {
    evaluate(query, &[input]).remove(0)
}

#[test]
fn values_of_keys() {
    let record = r#"{"type":{"device":"mobile"},"id":"1","time":1565382027,"n":1.0,"f":1.5,"yes":true,"no":false,
        "list":[3,1,2],"long":9007199254740993,"huge":123456789012345678901234567890,"text":"a-b-c","nested":"{\"x\":7}"}"#;
    for (query, expected) in [
        ("{id:.id}", "id=1"),
        ("{b:.id, a:.type.device}", "a=mobile b=1"),
        (r#"{year:(.time|strftime("%Y")), month:.time|strftime("%m")}"#, "month=08 year=2019"),
        (r#"{day:.time|strftime("%Y-%m-%dT%H:%M:%SZ")}"#, "day=2019-08-09T20:20:27Z"),
        ("{date:.time|todate}", "date=2019-08-09T20:20:27Z"),
        ("{now:now|floor}", "now=1565382027"),
        ("{n:.n, f:.f, yes:.yes, no:.no}", "f=1.5 n=1 no=false yes=true"),
        ("{long:.long}", "long=9007199254740993"),
        (
            "{half:(1/2), whole:(4/2), text:(4/2|tostring), big:(.long*.long|. > 8e31)}",
            "big=true half=0.5 text=2 whole=2",
        ),
        ("{sorted:.list|sort|map(tostring)|join(\"\")}", "sorted=123"),
        ("{sum:.list|add, n:.list|length, last:.list[-1], slice:.list[1:]|length}", "last=2 n=3 slice=2 sum=6"),
        ("{up:.id|tostring|ascii_upcase, part:.text|split(\"-\")|.[1]}", "part=b up=1"),
        (
            "{sub:.text|gsub(\"-\";\"/\"), ok:.text|test(\"^A\";\"i\"), x:.text|capture(\"(?<h>[a-z])\").h}",
            "ok=true sub=a/b/c x=a",
        ),
        ("{x:.nested|fromjson.x}", "x=7"),
        ("{x:(.missing // \"none\"), y:(if .yes then \"y\" else \"n\" end)}", "x=none y=y"),
        ("def f(x): x + 1; {x:f(.list[0])}", "x=4"),
        ("{x:(.list|map(select(. > 1))|length), y:[limit(2;.list[])]|length, z:first(range(10))}", "x=2 y=2 z=0"),
        ("{x:([.. | numbers] | length), y:[paths] | length}", "x=8 y=16"),
        (
            "{x:(.type.device |= ascii_upcase).type.device, y:(.n += 2).n, z:(.list[1:] |= []).list|length}",
            "x=MOBILE y=3 z=1",
        ),
        ("{x:(try error(\"a\") catch .), y:(.id|tonumber + 1), z:@base64 \"\\(.id)\"}", "x=a y=2 z=MQ=="),
        ("{x:(\"ab\" * 2), y:([1,2,3] - [2])|length, z:(.text|ltrimstr(\"a-\"))}", "x=abab y=2 z=b-c"),
        ("{x:reduce .list[] as $n (0; . + $n), y:(.list as [$a] | $a), z:(label $out | 1, break $out)}", "x=6 y=3 z=1"),
        ("{id}", "id=1"),
        (".id as $id | {$id}", "id=1"),
        ("{huge:.huge|tostring|length > 3}", "huge=true"),
        ("with_entries(select(.key == \"id\"))", "id=1"),
        ("[1,[2]] | walk(if type == \"number\" then . + 1 else . end) | {x: .[1][0]}", "x=3"),
        ("{x:[10,20]|to_entries|map(.key)|add, y:({a:1,b:2}|del(.a)|keys[0]), z:([3,1]|min)}", "x=1 y=b z=1"),
    ] {
        assert_eq!(one(query, record), Ok(expected.to_owned()), "{query}");
    }
}

#[test]
fn what_makes_no_keys() {
    let null = "partitionKeys values must not be null or empty";
    for (query, record, error) in [
        ("{id:.id}", "no JSON", "The record is no JSON."),
        ("{id:.id}", "", "The record is no JSON."),
        ("{id:.id}", r#"{"id":"1"}{"id":"2"}"#, "The record is no JSON."),
        ("{id:.id}", "{}", null),
        ("{id:.id}", r#"{"id":null}"#, null),
        ("{id:.id}", r#"{"id":""}"#, null),
        ("{id:.id}", r#"{"id":[1]}"#, null),
        ("{id:.id}", r#"{"id":{}}"#, null),
        ("{id:nan}", "{}", null),
        ("{id:.id}", "[1]", "The query failed on the record: cannot index [1] with \"id\""),
        ("{id:(.id|strftime(\"%Y\"))}", r#"{"id":"x"}"#, "The query failed on the record: cannot use \"x\" as number"),
        ("{id:(.id|error(\"no \\(.) here\"))}", r#"{"id":"x"}"#, "The query failed on the record: \"no x here\""),
        ("{id:.[]}", "[1,2]", "The query has more than one result."),
        ("{id:.[]}", "[]", "The query has no result."),
        (".id", r#"{"id":1}"#, "The result of the query is no object."),
        ("[range(51)|{key:tostring,value:.}]|from_entries", "{}", "The query has more than 50 partition keys."),
    ] {
        assert_eq!(one(query, record), Err(error.to_owned()), "{query} {record}");
    }
}

/// However much there is.
#[test]
fn a_failure_is_told_in_short() {
    let record = format!("[{:?}]", "é".repeat(100_000));
    let Err(error) = one("{id:.id}", &record) else { panic!("an array has no such member") };
    assert!(error.starts_with("The query failed on the record: cannot index [\"é"), "{error}");
    assert!(error.ends_with("é…") && error.len() < 300, "{error}");
}

#[test]
fn a_poison_record_leaves_its_neighbours_alone() {
    let results =
        evaluate("{n:(if .bad then [range(1e12)]|length else .n end)}", &["{\"n\":1}", "{\"bad\":1}", "{\"n\":2}"]);
    assert_eq!(results[0], Ok("n=1".to_owned()));
    assert_eq!(results[1], Err("The query took too many steps.".to_owned()));
    assert_eq!(results[2], Ok("n=2".to_owned()));
}

/// No step of an evaluation is without its price, so each of these ends with an error, whatever it tries to catch.
fn assert_spent(cases: &[(&str, &str)]) {
    for (query, input) in cases {
        let started = Instant::now();
        let result = one(query, input);
        assert!(result.is_err(), "{query}: {result:?}");
        // Hardly a second if it has a core for itself, without optimisation.
        assert!(started.elapsed().as_secs() < 30, "{query} took {:?}", started.elapsed());
    }
}

#[test]
fn endless_expressions_end() {
    assert_spent(&[
        ("def f: f; f", "{}"),
        ("def f: 1 + f; f", "{}"),
        ("def f: f, f; f", "{}"),
        ("def f: f?, f?; f", "{}"),
        ("def f: try f catch f; f", "{}"),
        ("def f: f // f; f", "{}"),
        ("def f(x): f(x|x); f(.)", "{}"),
        ("def f: def g: f; g; f", "{}"),
        ("def f: .a |= f; f", "{}"),
        ("path(def f: f; f)", "{}"),
        ("(def f: f; f) |= 1", "{}"),
        ("[range(1e12)]", "{}"),
        ("range(1e12) // 1 | empty", "{}"),
        ("(range(1e12)|error(.)) // 1", "{}"),
        ("(range(1e12)|error(.))?", "{}"),
        ("[range(1e12)|error(.)?]", "{}"),
        ("range(0;1;0)|empty", "{}"),
        ("reduce range(1e12) as $x (0; . + 1)", "{}"),
        ("foreach range(1e12) as $x (0; . + 1; empty)", "{}"),
        ("last(repeat(1))", "{}"),
        ("[limit(1e12; repeat(1))]", "{}"),
        ("first(repeat(1)|select(. > 1))", "{}"),
        ("isempty(repeat(empty))", "{}"),
        ("until(false; .)", "{}"),
        ("while(true; .)|empty", "{}"),
        ("[recurse(.)]", "{}"),
        ("[recurse(.+1; true)]", "1"),
        ("[range(1000)] as $a | [range(1000)] - $a | [range(1e7)|$a - $a]", "{}"),
        ("[range(1e5)|tostring]|[.[] as $a|.[] as $b|$a+$b]", "{}"),
        ("def f($n): if $n == 0 then 0 else 1 + f($n - 1) end; f(1e6)", "{}"),
        ("def f($n): if $n == 0 then [] else [f($n - 1)] end; f(1e6)", "{}"),
    ]);
}

#[test]
fn values_do_not_grow_without_end() {
    assert_spent(&[
        ("reduce range(64) as $x (\"a\"; . + .)", "{}"),
        ("reduce range(64) as $x ([1]; . + .)", "{}"),
        ("reduce range(64) as $x (1; [., .])|tojson", "{}"),
        ("reduce range(64) as $x (1; {a:., b:.})|tojson", "{}"),
        ("reduce range(64) as $x (1; [., .])|. == .", "{}"),
        ("reduce range(64) as $x (\"a\"; \"\\(.)\\(.)\")", "{}"),
        ("reduce range(1e6) as $x (0; [.])", "{}"),
        ("reduce range(1e6) as $x (0; {a:.})", "{}"),
        ("reduce range(1e6) as $x (0; {a:.})|tojson", "{}"),
        ("reduce range(1e6) as $x (null; .[0] = [.])", "{}"),
        ("\"x\" * 1e12", "{}"),
        ("1e12 * \"x\"", "{}"),
        ("\"x\" as $x | {a:1e9} | .a |= $x * .", "{}"),
        ("{a:\"x\"} | .a *= 1e12", "{}"),
        ("[combinations(1e6)]", "[1,2]"),
        ("reduce range(100) as $i (10; . * .)|[range(1e7)]", "{}"),
        ("\"[\"*100000|fromjson", "{}"),
        ("\"1\"*1000000|fromjson|[range(1e7)]", "{}"),
        ("{a:1}|[..|=[.]]|[range(1e7)]", "{}"),
        ("[limit(3; def f: ., f; f)]|[range(1e7)]", "{}"),
        ("\"\\([range(1e7)])\"", "{}"),
        ("[range(1e4)|\"x\" * 1e5]|join(\"\")", "{}"),
        ("(\"x\" * 1e6) as $x | [range(1e4)|$x]|join(\"\")", "{}"),
        ("(\"x\" * 1e6) as $x | [range(1e4)|\"\"]|join($x)", "{}"),
        ("{\"\\([range(1e7)])\":1}", "{}"),
        ("{a:1} as {\"\\([range(1e7)])\":$x} | $x", "{}"),
        ("[1|strftime(\"%255Y%255Y\" * 10000)]|[range(1e7)]", "{}"),
        ("1|strftime(\"%c\" * 1000000)", "{}"),
    ]);
}

#[test]
fn large_inputs_are_not_looked_at_without_end() {
    let list = format!("[{}]", vec!["1"; 200_000].join(","));
    let text = format!("\"{}\"", "a".repeat(1_000_000));
    assert_spent(&[
        ("reduce .[] as $x (0; [.])", &list),
        (". - [range(1e6)]", &list),
        (". as $l | [range(1e6)|$l - [1]]", &list),
        ("indices([1,1,1,1,2])|[range(1e6)]", &list),
        (". as $l | .[$l]", &list),
        ("indices(.)", &list),
        ("contains([range(100000)])", &list),
        ("[.,.]|combinations|[range(1e6)]", &list),
        ("test(\"(a*)*(a*)*(a*)*b\")", &text),
        ("[match(\"a*[^a]|a\";\"g\")]", &text),
        ("gsub(\"a\";\"bb\")", &text),
        ("test(\"((((a{100}){100}){100}){100})\")", &text),
        ("test(\"(?:a{500}){500}b\")", &text),
        ("test(\"(?: a{5 00} ){ 500 }b\";\"x\")", &text),
        ("test(\"(?x: (?: a{5 00} ){ 500 }b)\")", &text),
        ("[range(1e5)|(\"a\"|test(\"(?:a{500}){500}\"))]", "{}"),
        ("test(\"()\" * 10000)", "\"\""),
        ("[range(1e7) as $i | length]", &text),
        (". as $x | [range(1e7)|$x|length]", &text),
        (". as $x | [range(1e7)|$x|startswith(\"b\")]", &text),
        (". as $x | [range(1e7)|$x == $x]", &text),
        (". as $x | [range(1e6)|first($x[])]", &list),
        (". as $x | [range(1e6)|$x[1:]]", &list),
        (". as $x | [range(1e6)|$x|sort]", &list),
        (". as $x | [range(1e6)|$x|.[0] = 1]", &list),
        ("[splits(\"\")]|[range(1e7)]", &text),
        ("explode|implode|explode|[range(1e7)]", &text),
        ("[.[]|[range(1e6)]]", &list),
        ("[paths]|[range(1e7)]", &list),
    ]);
}

#[test]
fn regular_expressions_weigh_what_they_become() {
    let digits = "(?<year>[0-9]{4})-(?P<month>[0-9]{2})-([0-9]{2})T[0-9:]{8}(\\.[0-9]+)?Z";
    for (text, states, captures) in [
        ("", 0..10, 1),
        ("abc", 3..10, 1),
        (digits, 30..200, 5),
        // A name, a class, an escape, flags, an alternative: none of them hides what is repeated.
        ("(?:a{500}){500}", 250_000..300_000, 1),
        ("(?<a[>(?:a{500}){500})", 250_000..327_681, 2),
        ("(?:[)]a{500}){500}", 250_000..327_681, 1),
        ("(?:[]()]a{500}){500}", 250_000..327_681, 1),
        ("(?:[^])]a{500}){500}", 250_000..327_681, 1),
        ("(?:[[:alpha:])]a{500}){500}", 250_000..327_681, 1),
        ("(?:[\\])]a{500}){500}", 250_000..327_681, 1),
        ("(?:\\)a{500}){500}", 250_000..327_681, 1),
        ("(?:a{500})(?i){500}", 250_000..300_000, 1),
        ("a{500}{ 500 }", 250_000..300_000, 1),
        ("(?:b|a{0, 500}){500,}", 250_000..327_681, 1),
        ("(?:\\x{41}{500}){500}", 250_000..300_000, 1),
        ("(?:a{500}){500}b{4000000000}", 327_680..327_681, 1),
        ("\\b{start}a{3}\\b{end-half}", 10..60, 1),
        // Whatever this is, it is not refused by being too light.
        ("a{", 1..10, 1),
        ("[a", 1..10, 1),
        ("(", 1..10, 2),
        (")(?", 1..10, 1),
        ("a\\", 1..10, 1),
    ] {
        let weight = super::regex::weight(text.as_bytes(), false);
        assert!(states.contains(&weight.states) && weight.captures == captures, "{text}: {weight:?}");
    }
    let extended = super::regex::weight(b"(a # {\n)", true);
    assert_eq!((extended.states, extended.captures), (327_680, 2));
    // What a record of an access log is parted by costs a thousandth of what there is.
    let weight = super::regex::weight(digits.as_bytes(), false);
    assert!(weight.to_compile() + 2000 * weight.to_search() as u64 / 16 < 40_000, "{weight:?}");
}

#[test]
fn records_take_memory_and_not_only_text() {
    let large = |one: &str, times: usize| format!("[{one}{}]", format!(",{one}").repeat(times - 1));
    let query = "{n:length}";
    let spent = Err("The query took too many steps.".to_owned());
    for (one_of, fits, too_many) in
        [("1", 2_000_000, 2_200_000), ("{}", 400_000, 450_000), ("\"\"", 500_000, 600_000), ("[]", 500_000, 600_000)]
    {
        assert_eq!(one(query, &large(one_of, fits)), Ok(format!("n={fits}")), "{one_of}");
        assert_eq!(one(query, &large(one_of, too_many)), spent, "{one_of}");
    }
    let members: Vec<_> = (0..500_000).map(|n| format!("\"{n}\":1")).collect();
    assert_eq!(one(query, &format!("{{{}}}", members.join(","))), Ok("n=500000".to_owned()));
    let members: Vec<_> = (0..550_000).map(|n| format!("\"{n}\":1")).collect();
    assert_eq!(one(query, &format!("{{{}}}", members.join(","))), spent);
    // JSON within JSON counts as what it becomes, however often, and no `try` hides it.
    let text = serde_json::json!({ "text": large("{}", 150_000) }).to_string();
    assert_eq!(one("{n:(.text|fromjson|length)}", &text), Ok("n=150000".to_owned()));
    assert_eq!(one("{n:([.text|fromjson,fromjson,fromjson]|length)}", &text), spent);
    assert_eq!(
        one("{n:(try (.text|fromjson|length) catch 0)}", &text.replace("{}", "[{}]")),
        Ok("n=150000".to_owned())
    );
    let text = serde_json::json!({ "text": large("{}", 450_000) }).to_string();
    assert_eq!(one("{n:(try (.text|fromjson|length) catch 0)}", &text), spent);
}

#[test]
fn texts_that_are_no_expressions() {
    for query in [
        "",
        "{",
        "{a:.b",
        "}",
        "{a:}",
        ".a.",
        "{a:.b}}",
        "\"",
        "if . then 1",
        "import \"a\" as a; 1",
        "include \"a\"; 1",
    ] {
        assert!(matches!(Query::new(query), Err(QueryError::Syntax(_))), "{query}: {:?}", Query::new(query));
    }
    for (query, name) in [
        ("{a:foo}", "foo/0"),
        ("{a:map}", "map/0"),
        ("{a:input}", "input/0"),
        ("{a:env.PATH}", "env/0"),
        ("{a:$ENV.PATH}", "$ENV"),
        ("{a:$x}", "$x"),
        ("{a:halt}", "halt/0"),
        ("{a:debug}", "debug/0"),
        ("{a:(.a|trim)}", "trim/0"),
        ("{a:levada_program}", "levada_program/0"),
        ("{a:@csv \"x\"}", "@csv/0"),
        ("def f: 1; {a:(def g: 2; f) + g}", "g/0"),
    ] {
        match Query::new(query) {
            Err(QueryError::Undefined(undefined)) => {
                assert!(undefined.starts_with(name.trim_end_matches("/0")), "{undefined}")
            }
            other => panic!("{query}: {other:?}"),
        }
    }
    assert_eq!(Query::new(&" ".repeat(5121)).unwrap_err(), QueryError::TooLong);
    let many: Vec<_> = (0..51).map(|n| format!("k{n}:1")).collect();
    assert_eq!(Query::new(&format!("{{{}}}", many.join(","))).unwrap_err(), QueryError::TooManyKeys);
}

#[test]
fn nesting_does_not_overflow_the_stack() {
    for (open, middle, close) in [
        ("(", ".", ")"),
        ("[", ".", "]"),
        ("{a:", "1", "}"),
        ("-", "1", ""),
        ("try ", ".", ""),
        (".|", ".", ""),
        (".,", ".", ""),
        ("1+", "1", ""),
        ("def f:", "1", ";1"),
        (".[", "0", "]"),
        ("\"\\(", "1", ")\""),
        (".a as $x|", "1", ""),
        (".a?//", "1", ""),
        ("label $x|", "1", ""),
        (".a=", "1", ""),
    ] {
        let times = (5000 - middle.len()) / (open.len() + close.len());
        let query = format!("{}{middle}{}", open.repeat(times), close.repeat(times));
        if let Ok(query) = Query::new(&query) {
            assert!(run(&query, vec![Bytes::from_static(b"1")], Blocking::Pool)[0].is_err(), "{open}");
        }
    }
}

#[test]
fn deep_records_are_no_json() {
    for depth in [100, 100_000] {
        let record = format!("{{\"id\":1,\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(one("{id:.id}", &record).is_ok(), depth == 100);
    }
}

#[test]
fn names_of_keys() {
    for (query, keys) in [
        ("{a:.x, \"b\":.y, c:1}", Some(vec!["a", "b", "c"])),
        ("{}", Some(vec![])),
        ("{a}", Some(vec!["a"])),
        ("{(.k):1}", None),
        ("{\"a\\(.k)\":1}", None),
        ("{a:1}|.", None),
        (".", None),
    ] {
        let keys = keys.map(|keys| keys.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(Query::new(query).unwrap().keys(), keys.as_deref(), "{query}");
    }
}

#[test]
fn a_simulation_evaluates_on_its_own_thread() {
    for (query, result) in
        [("{id:.id}", Ok("id=7".to_owned())), ("def f: 1 + f; {x:f}", Err("The query recursed too deep.".to_owned()))]
    {
        let inputs = vec![Bytes::from_static(b"{\"id\":7}")];
        assert_eq!(run(&Query::new(query).unwrap(), inputs, Blocking::Inline), [result]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_and_no_record_is_too_much(query in "[a-z.|,:(){}\\[\\]$\" 0-9+*/-]{0,40}", record in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(query) = Query::new(&query) {
            prop_assert_eq!(run(&query, vec![record.into()], Blocking::Pool).len(), 1);
        }
    }
}
