use serde_json::json;
use tokio::time::Instant;

use super::super::{BadEndpoint, HecKind, Splunk, SplunkSpec};
use super::*;
use crate::http::{BadAddress, Secret};

const RAW: &str = "/services/collector/raw";

fn spec() -> SplunkSpec {
    SplunkSpec {
        address: address("https://hec.example.com:8088/"),
        kind: HecKind::Raw,
        token: Secret::new("11111111-2222-3333-4444-555555555555"),
        ack_timeout: Duration::from_secs(180),
        stream_arn: "arn:aws:firehose:us-east-1:000000000000:deliverystream/s".to_owned(),
        retry_for: Duration::from_secs(300),
    }
}

fn taken() -> Answer {
    json(200, json!({"text": "Success", "code": 0, "ackId": 7}).to_string())
}

fn acks(acknowledged: bool) -> Answer {
    json(200, json!({"acks": {"7": acknowledged}}).to_string())
}

/// An attempt, and what is asked afterwards, as the driver does it.
async fn attempt(endpoint: &Splunk, parcel: &Parcel) -> Verdict {
    let mut verdict = Endpoint::attempt(endpoint, parcel).await;
    if let Some(receipt) = verdict.receipt.take()
        && let Err(fault) = endpoint.confirmed(receipt).await
    {
        verdict.unconfirmed(parcel.records.len(), &fault);
    }
    verdict
}

/// The verdict on one record, the requests, and how long it took in simulated time.
async fn run(
    answer: impl Fn(usize, &HttpRequest) -> Answer + Send + Sync + 'static,
) -> (Verdict, Vec<HttpRequest>, Duration) {
    let client = Scripted::new(answer);
    let endpoint = Splunk::new(spec(), client.clone()).unwrap();
    let start = Instant::now();
    let parcel = parcel(["hello\n", "world\n"]);
    let verdict = attempt(&endpoint, &parcel).await;
    assert_sound(&verdict, 2);
    assert_eq!(verdict.refused, [], "all failures are retried");
    (verdict, client.requests(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn bytes_are_concatenated_and_the_acknowledgement_is_awaited() {
    let (verdict, requests, time) = run(|n, _| if n == 0 { taken() } else { acks(n == 3) }).await;
    assert_eq!(verdict, all_taken([(parcel([""]).uuid(), 2, 12)]));
    let [data, questions @ ..] = &requests[..] else { panic!("no request") };
    assert_eq!((data.path.as_str(), &data.body[..]), (RAW, &b"hello\nworld\n"[..]));
    let token = ("authorization".to_owned(), Secret::new("Splunk 11111111-2222-3333-4444-555555555555"));
    assert_eq!(data.secret_headers, std::slice::from_ref(&token));
    let channel = data.headers.iter().find(|(name, _)| name == "x-splunk-request-channel").unwrap().1.clone();
    assert!(uuid::Uuid::parse_str(&channel).is_ok());
    assert_eq!(questions.len(), 3);
    for question in questions {
        assert_eq!(question.path, format!("/services/collector/ack?channel={channel}"));
        assert_eq!(&question.body[..], b"{\"acks\":[7]}");
        assert_eq!(question.secret_headers, std::slice::from_ref(&token));
    }
    assert_eq!(time, Duration::from_millis(250 + 500 + 1000));
    let shown = format!("{data:?}");
    assert!(!shown.contains("11111111"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn events_have_their_own_path_and_each_stream_its_channel() {
    let client = Scripted::new(|n, _: &HttpRequest| if n % 2 == 0 { taken() } else { acks(true) });
    let event = SplunkSpec { kind: HecKind::Event, ..spec() };
    let other = SplunkSpec { stream_arn: "arn:aws:firehose:us-east-1:000000000000:deliverystream/t".into(), ..spec() };
    for spec in [event, spec(), other] {
        attempt(&Splunk::new(spec, client.clone()).unwrap(), &parcel(["{}"])).await;
    }
    let data: Vec<HttpRequest> = client.requests().into_iter().step_by(2).collect();
    let paths: Vec<&str> = data.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/services/collector/event", RAW, RAW]);
    let channel = |n: usize| data[n].headers[1].clone();
    assert_eq!(channel(0), channel(1), "it survives updates and restarts");
    assert_ne!(channel(0), channel(2));
}

#[tokio::test(start_paused = true)]
async fn a_sticky_proxy_sees_its_cookie_again() {
    let (_, requests, _) = run(|n, _| {
        if n > 0 {
            return acks(true);
        }
        taken().map(|mut answer| {
            for cookie in ["AWSELB=abc; Path=/; Secure", "b=2"] {
                answer.headers.push(("set-cookie".to_owned(), cookie.to_owned()));
            }
            answer
        })
    })
    .await;
    assert!(requests[1].secret_headers.contains(&("cookie".to_owned(), Secret::new("AWSELB=abc; b=2"))));
    assert!(!requests[0].secret_headers.iter().any(|(name, _)| name == "cookie"));
}

#[tokio::test(start_paused = true)]
async fn without_an_acknowledgement_nothing_is_delivered() {
    let (verdict, requests, time) = run(|n, _| if n == 0 { taken() } else { acks(false) }).await;
    assert_eq!(codes(&verdict.retry), ["Splunk.AckTimeout"; 2]);
    assert_eq!(fates(&verdict), [(2, 2, "Splunk.AckTimeout")]);
    assert_eq!(time, Duration::from_secs(180));
    assert!((20..30).contains(&requests.len()), "few questions: {}", requests.len());
    // Whatever the questions meet.
    let answers: Vec<Answer> =
        vec![json(503, ""), json(200, "OK"), json(200, "{}"), json(200, "{\"acks\":{\"8\":true}}"), json(500, "{}")];
    let answers = answers.into_iter().chain(no_answers().into_iter().map(Err));
    for wrong in answers {
        let shown = format!("{wrong:?}");
        let (verdict, _, time) = run(move |n, _| if n == 0 { taken() } else { wrong.clone() }).await;
        assert_eq!(codes(&verdict.retry), ["Splunk.AckTimeout"; 2], "{shown}");
        assert_eq!(time, Duration::from_secs(180));
    }
    // A question that could not be asked is asked again.
    let (verdict, ..) = run(|n, _| match n {
        0 => taken(),
        1 => Err(HttpError::Closed("reset".to_owned())),
        _ => acks(true),
    })
    .await;
    assert_eq!(verdict.retry, []);
}

#[tokio::test(start_paused = true)]
async fn refusals_have_the_codes_of_aws() {
    let hec = |code: u64| json!({"text": "no", "code": code}).to_string();
    let table: Vec<(u16, String, &str)> = vec![
        (403, hec(1), "Splunk.DisabledToken"),
        (401, hec(2), "Splunk.InvalidToken"),
        (401, hec(3), "Splunk.InvalidToken"),
        (403, hec(4), "Splunk.InvalidToken"),
        (400, hec(5), "Splunk.InvalidDataFormat"),
        (400, hec(6), "Splunk.InvalidDataFormat"),
        (400, hec(7), "Splunk.InvalidIndex"),
        (500, hec(8), "Splunk.ServerError"),
        (503, hec(9), "Splunk.IndexerBusy"),
        (400, hec(11), "Splunk.InvalidDataFormat"),
        (400, hec(12), "Splunk.InvalidDataFormat"),
        (400, hec(14), "Splunk.DisabledAck"),
        (400, hec(15), "Splunk.InvalidDataFormat"),
        (429, hec(26), "Splunk.IndexerBusy"),
        (503, hec(23), "Splunk.ServerError"),
        (401, "Unauthorized".into(), "Splunk.InvalidToken"),
        (429, String::new(), "Splunk.IndexerBusy"),
        (413, String::new(), "Splunk.ServerError"),
        (302, String::new(), "Splunk.ServerError"),
        (500, "<html>".into(), "Splunk.ServerError"),
        (200, "OK".into(), "Splunk.ServerError"),
        (200, hec(9), "Splunk.IndexerBusy"),
        (201, json!({"text": "Success", "code": 0, "ackId": 7}).to_string(), "Splunk.ServerError"),
        (200, hec(0), "Splunk.DisabledAck"),
    ];
    for (status, body, code) in table {
        let answer = body.clone();
        let (verdict, requests, _) = run(move |_, _| json(status, answer.clone())).await;
        assert_eq!(codes(&verdict.retry), [code; 2], "{status} {body}");
        assert_eq!(requests.len(), 1);
    }
    let expected = [
        "Splunk.InvalidEndpoint",
        "Splunk.SSLHandshake",
        "Splunk.SSLUnverified",
        "Splunk.InvalidEndpoint",
        "Splunk.ConnectionClosed",
        "Splunk.ConnectionTimeout",
        "Splunk.ServerError",
    ];
    for (error, code) in no_answers().into_iter().zip(expected) {
        let (verdict, ..) = run(move |_, _| Err(error.clone())).await;
        assert_eq!(codes(&verdict.retry), [code; 2]);
    }
    for (code, expected) in [
        (10, "Splunk.ProxyWithoutStickySessions"),
        (11, "Splunk.ProxyWithoutStickySessions"),
        (14, "Splunk.DisabledAck"),
    ] {
        let (verdict, ..) = run(move |n, _| if n == 0 { taken() } else { json(400, hec(code)) }).await;
        assert_eq!(codes(&verdict.retry), [expected; 2]);
    }
}

#[tokio::test]
async fn nothing_is_sent_for_records_without_bytes() {
    let client = Scripted::new(|_, _: &HttpRequest| taken());
    let endpoint = Splunk::new(spec(), client.clone()).unwrap();
    assert_eq!(attempt(&endpoint, &parcel(["", ""])).await, Verdict::default());
    assert_eq!(client.requests(), []);
}

#[test]
fn an_error_line_has_the_members_of_aws_in_their_order() {
    let endpoint = Splunk::new(spec(), Scripted::new(|_, _: &HttpRequest| taken())).unwrap();
    let fault = Fault::new("Splunk.AckTimeout", "Did not");
    assert_eq!(
        error_line(&endpoint, &parcel(["hello"]), &fault),
        format!(
            "{{\"attemptsMade\":5,\"arrivalTimestamp\":1456405200000,\"errorCode\":\"Splunk.AckTimeout\",\
             \"errorMessage\":\"Did not\",\"attemptEndingTimestamp\":1594266081318,\"rawData\":\"aGVsbG8=\",\
             \"EventId\":\"{:056}.0\"}}",
            0
        )
    );
    assert_eq!((endpoint.error_type().name(), endpoint.metric_name()), ("splunk-failed", "Splunk"));
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let with = |url: &str| SplunkSpec { address: address(url), ..spec() }.check();
    assert_eq!(with("http://hec.example.com"), Err(BadEndpoint::Address(BadAddress::NotHttps)));
    assert_eq!(with("https://hec.example.com?a"), Err(BadEndpoint::Query));
    assert_eq!(with("https://hec.example.com#a"), Err(BadEndpoint::Query));
    let token = SplunkSpec { token: Secret::new("a\nb"), ..spec() };
    assert_eq!(token.check(), Err(BadEndpoint::Header("HEC token")));
    assert_eq!(spec().check(), Ok(()));
}
