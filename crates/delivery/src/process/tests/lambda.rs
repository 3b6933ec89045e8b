//! Functions: what they are sent, and what becomes of what they say.

use std::time::Duration;

use base64_simd::STANDARD;
use serde_json::{Value, json};

use super::super::{ChainSpec, LambdaSpec, Processors};
use super::{Answer, Fake, NOW, all_shown, batch, decoded, env, json_line, ok, replies, run, shown, spec, upper};
use crate::chain::{Chain, Gather};
use crate::process::FunctionError;
use crate::record::Origin;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

pub(super) fn with(function: &Fake) -> ChainSpec {
    let lambda = LambdaSpec {
        arn: ARN.into(),
        function: std::sync::Arc::new(function.clone()),
        retries: 3,
        buffer_bytes: 1024 * 1024,
        buffer_interval: Duration::from_secs(60),
    };
    ChainSpec { lambda: Some(lambda), ..spec() }
}

#[tokio::test(start_paused = true)]
async fn an_event_has_all_that_aws_sends() {
    let fake = Fake::always(|event| Ok(replies(&event, upper)));
    let outcome = run(with(&fake), batch(&[b"one", b""])).await;
    assert_eq!(all_shown(&outcome), ["ONE", ""]);
    let events = fake.events();
    let [event] = &events[..] else { panic!("{events:?}") };
    let id = event["invocationId"].as_str().unwrap();
    assert_eq!((id.len(), id.matches('-').count()), (36, 4));
    let expected = json!({
        "invocationId": id,
        "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/d",
        "region": "us-east-1",
        "records": [
            {"recordId": format!("{:056}000000", 7), "approximateArrivalTimestamp": NOW - 1000, "data": "b25l"},
            {"recordId": format!("{:056}000000", 8), "approximateArrivalTimestamp": NOW - 990, "data": ""},
        ],
    });
    assert_eq!(*event, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_names_the_kinesis_source() {
    let fake = Fake::always(|event| Ok(replies(&event, upper)));
    let source = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let spec = ChainSpec { source_stream_arn: Some(source.into()), ..with(&fake) };
    let mut records = batch(&[b"x"]);
    records[0].origin = Some(Origin {
        shard_id: "shardId-000000000001".into(),
        sequence_number: "49".into(),
        sub_sequence_number: 2,
        partition_key: "p\"".into(),
    });
    run(spec, records).await;
    let event = &fake.events()[0];
    assert_eq!(event["sourceKinesisStreamArn"], source);
    let metadata = json!({
        "shardId": "shardId-000000000001",
        "partitionKey": "p\"",
        "sequenceNumber": "49",
        "subsequenceNumber": 2,
        "approximateArrivalTimestamp": NOW - 1000,
    });
    assert_eq!(event["records"][0]["kinesisRecordMetadata"], metadata);
}

/// What is said of a record.
type Saying = Box<dyn Fn(&Value) -> Value + Send>;

/// One reply for three records "a", "b", "c"; what becomes of them.
#[tokio::test(start_paused = true)]
async fn what_a_reply_says_of_records() {
    let of = |data: &'static str, what: Value| {
        move |record: &Value| if decoded(record) == data.as_bytes() { what.clone() } else { upper(record) }
    };
    const FAILED: &str = "processing-failed/Lambda.";
    let cases: Vec<(&str, Saying, Vec<String>)> = vec![
        ("dropped", Box::new(of("b", json!({"result": "Dropped"}))), vec!["A".into(), "C".into()]),
        (
            "failed",
            Box::new(of("b", json!({"result": "ProcessingFailed", "data": "x"}))),
            vec!["A".into(), format!("{FAILED}ProcessingFailedStatus"), "C".into()],
        ),
        (
            "null",
            Box::new(of("b", json!({"result": "Ok", "data": null}))),
            vec!["A".into(), format!("{FAILED}InvalidReturnFormat"), "C".into()],
        ),
        (
            "no base64",
            Box::new(of("b", json!({"result": "Ok", "data": "!"}))),
            vec!["A".into(), format!("{FAILED}FunctionError"), "C".into()],
        ),
        (
            "base64 in lines",
            Box::new(of("b", json!({"result": "Ok", "data": "Yn\r\nV0\n"}))),
            vec!["A".into(), "but".into(), "C".into()],
        ),
        (
            "other id",
            Box::new(of("b", json!({"recordId": "other", "result": "Ok", "data": ""}))),
            vec!["A".into(), format!("{FAILED}MissingRecordId"), "C".into()],
        ),
        (
            "no id",
            Box::new(of("b", json!({"recordId": null, "result": "Ok", "data": ""}))),
            vec!["A".into(), format!("{FAILED}MissingRecordId"), "C".into()],
        ),
        (
            "undefined result",
            Box::new(of("b", json!({"result": "OK", "data": ""}))),
            vec![format!("{FAILED}FunctionError"); 3],
        ),
        ("no result", Box::new(of("b", json!({"data": ""}))), vec![format!("{FAILED}FunctionError"); 3]),
        ("empty", Box::new(of("b", ok(""))), vec!["A".into(), String::new(), "C".into()]),
        (
            "more members",
            Box::new(of(
                "b",
                json!({"result": "Ok", "data": "eA==", "metadata": {"otfMetadata": {"operation": "insert"}}, "x": 1}),
            )),
            vec!["A".into(), "x".into(), "C".into()],
        ),
    ];
    for (name, what, expected) in cases {
        let fake = Fake::always(move |event| Ok(replies(&event, &what)));
        let outcome = run(with(&fake), batch(&[b"a", b"b", b"c"])).await;
        assert_eq!(all_shown(&outcome), expected, "{name}");
        assert_eq!((fake.events().len(), outcome.taken), (1, 3), "{name}");
        assert_eq!((outcome.tally.executions, outcome.tally.failed_executions), (1, 0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_whole_replies_say() {
    for (reply, expected) in [
        (json!({}), "MissingRecordId"),
        (json!({"records": null}), "MissingRecordId"),
        (json!({"records": []}), "MissingRecordId"),
        (json!({"records": "x"}), "JsonProcessingException"),
        (json!([]), "JsonProcessingException"),
        (json!("x"), "JsonProcessingException"),
        (json!(null), "JsonProcessingException"),
    ] {
        let answer = reply.clone();
        let fake = Fake::always(move |_| Ok(answer.clone()));
        let outcome = run(with(&fake), batch(&[b"a", b"b"])).await;
        assert_eq!(all_shown(&outcome), vec![format!("processing-failed/Lambda.{expected}"); 2], "{reply}");
        assert_eq!(fake.events().len(), 1, "malformed replies are not tried again: {reply}");
    }
    // The same id twice; the other record is fine.
    let fake = Fake::always(|event| {
        let mut reply = replies(&event, upper);
        let again = reply["records"][0].clone();
        reply["records"].as_array_mut().unwrap().push(again);
        Ok(reply)
    });
    let outcome = run(with(&fake), batch(&[b"a", b"b"])).await;
    assert_eq!(all_shown(&outcome), ["processing-failed/Lambda.DuplicatedRecordId", "B"]);
    // The order of a reply does not matter.
    let fake = Fake::always(|event| {
        let mut reply = replies(&event, upper);
        reply["records"].as_array_mut().unwrap().reverse();
        Ok(reply)
    });
    assert_eq!(all_shown(&run(with(&fake), batch(&[b"a", b"b"])).await), ["A", "B"]);
}

#[tokio::test(start_paused = true)]
async fn attempts_differ_in_their_id_alone() {
    let fail = || -> Answer { Box::new(|_| Err(FunctionError::Throttled)) };
    let fake = Fake::new([fail(), fail(), Box::new(|event| Ok(replies(&event, upper))) as Answer]);
    let outcome = run(with(&fake), batch(&[b"a"])).await;
    assert_eq!(all_shown(&outcome), ["A"]);
    let mut events = fake.events();
    let ids: std::collections::BTreeSet<_> =
        events.iter_mut().map(|event| event["invocationId"].take().as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3);
    assert!(events.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!((outcome.tally.executions, outcome.tally.failed_executions), (3, 2));
    assert_eq!((outcome.tally.succeeded_records, outcome.tally.succeeded_bytes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_up_after_its_retries() {
    for (error, code) in [
        (FunctionError::Failed("Unhandled".into()), "FunctionError"),
        (FunctionError::Throttled, "InvokeLimitExceeded"),
        (FunctionError::Denied, "InvokeAccessDenied"),
        (FunctionError::NotFound, "ResourceNotFound"),
        (FunctionError::TimedOut, "FunctionRequestTimedOut"),
        (FunctionError::Unavailable("connection refused".into()), "InternalServerError"),
    ] {
        for retries in [0, 3] {
            let answer = error.clone();
            let fake = Fake::always(move |_| Err(answer.clone()));
            let mut spec = with(&fake);
            spec.lambda.as_mut().unwrap().retries = retries;
            let outcome = run(spec, batch(&[b"a", b"b"])).await;
            assert_eq!(all_shown(&outcome), vec![format!("processing-failed/Lambda.{code}"); 2]);
            assert_eq!(fake.events().len(), 1 + retries as usize);
            assert_eq!(json_line(&outcome.products[0])["attemptsMade"], 1 + retries);
            assert_eq!(outcome.tally.failed_executions, 1 + u64::from(retries));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_line_has_aws_order_and_the_original() {
    let fake = Fake::always(|event| Ok(replies(&event, |_| json!({"result": "ProcessingFailed", "data": "eA=="}))));
    let outcome = run(with(&fake), batch(&[b"one"])).await;
    let crate::record::Product::Failed { line, arrival, .. } = &outcome.products[0] else { panic!() };
    let expected = format!(
        "{{\"rawData\":\"b25l\",\"errorCode\":\"Lambda.ProcessingFailedStatus\",\"errorMessage\":\"ProcessingFailed status \
         set for record\",\"attemptsMade\":1,\"arrivalTimestamp\":{},\"attemptEndingTimestamp\":{NOW},\"lambdaARN\":\"{ARN}\"}}",
        NOW - 1000
    );
    assert_eq!((String::from_utf8_lossy(line).as_ref(), *arrival), (&*expected, NOW - 1000));
}

#[tokio::test(start_paused = true)]
async fn batches_end_at_the_buffer_and_at_six_megabytes() {
    let fake = Fake::always(|event| Ok(replies(&event, |_| json!({"result": "Dropped"}))));
    let mut spec = with(&fake);
    spec.lambda.as_mut().unwrap().buffer_bytes = 10;
    run(spec.clone(), batch(&[b"123456", b"123456", b"1", b"1234567890", b"1"])).await;
    let sizes = |fake: &Fake| -> Vec<usize> {
        fake.events().iter().map(|event| event["records"].as_array().unwrap().len()).collect()
    };
    assert_eq!(sizes(&fake), [2, 2, 1]);
    // 1,000 KiB are 1,333 KiB in base64: four fit.
    let fake = Fake::always(|event| Ok(replies(&event, |_| json!({"result": "Dropped"}))));
    let mut spec = with(&fake);
    spec.lambda.as_mut().unwrap().buffer_bytes = u64::MAX;
    let large = vec![0; 1000 * 1024];
    run(spec, batch(&[&large[..]; 6])).await;
    assert_eq!(sizes(&fake), [4, 2]);
    for event in fake.events() {
        assert!(serde_json::to_vec(&event).unwrap().len() <= 6 * 1024 * 1024);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_no_invocation_takes_fails_alone() {
    let fake = Fake::always(|event| Ok(replies(&event, upper)));
    let huge = vec![0; 5 * 1024 * 1024];
    let outcome = run(with(&fake), batch(&[b"a", &huge, b"b"])).await;
    assert_eq!(all_shown(&outcome), ["A", "processing-failed/Lambda.RequestTooLarge", "B"]);
    assert_eq!(fake.events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_takes_what_fits_one_append() {
    let fake = Fake::always(|event| Ok(replies(&event, |_| ok(vec![b'x'; 4 * 1024 * 1024]))));
    let mut spec = with(&fake);
    spec.lambda.as_mut().unwrap().buffer_bytes = 1;
    let outcome = run(spec.clone(), batch(&[b"a", b"b", b"c"])).await;
    assert_eq!((outcome.taken, outcome.products.len()), (2, 2));
    // The first is taken whatever it becomes.
    let fake = Fake::always(|event| Ok(replies(&event, |_| ok(vec![b'x'; 12 * 1024 * 1024]))));
    let outcome = run(ChainSpec { lambda: with(&fake).lambda, ..spec }, batch(&[b"a", b"b"])).await;
    assert_eq!(outcome.taken, 1);
    assert_eq!(shown(&outcome.products[0]), "processing-failed/Processing.OutputTooLarge");
    assert_eq!(json_line(&outcome.products[0])["rawData"], STANDARD.encode_to_string("a"));
}

#[test]
fn records_are_gathered_as_the_buffer_says() {
    let fake = Fake::always(Ok);
    let gather = Processors::new(with(&fake), env()).gather();
    assert_eq!(gather, Gather { bytes: 1024 * 1024, wait: Duration::from_secs(60) });
    assert_eq!(Processors::new(spec(), env()).gather().wait, Duration::ZERO);
}
