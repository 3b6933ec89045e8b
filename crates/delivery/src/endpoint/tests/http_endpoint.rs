use std::collections::BTreeMap;
use std::io::Read;

use proptest::prelude::*;
use serde_json::json;

use super::super::{BadEndpoint, HttpEndpoint, HttpEndpointSpec};
use super::*;
use crate::http::{BadAddress, Secret};

fn spec() -> HttpEndpointSpec {
    HttpEndpointSpec {
        address: address("https://in.example.com/firehose?key=1"),
        access_key: None,
        common_attributes: Vec::new(),
        gzip: false,
        stream_arn: "arn:aws:firehose:us-east-1:000000000000:deliverystream/s".to_owned(),
        retry_for: Duration::from_secs(300),
    }
}

fn id(request: &HttpRequest) -> String {
    let header = request.headers.iter().find(|(name, _)| name == "x-amz-firehose-request-id");
    header.map(|(_, value)| value.clone()).unwrap()
}

fn success(request: &HttpRequest) -> Answer {
    json(200, json!({"requestId": id(request), "timestamp": 1}).to_string())
}

fn datas(request: &HttpRequest) -> Vec<String> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["records"].as_array().unwrap().iter().map(|record| record["data"].as_str().unwrap().to_owned()).collect()
}

async fn verdict_of(answer: impl Fn(&HttpRequest) -> Answer + Send + Sync + 'static) -> Verdict {
    let client = Scripted::new(move |_, request: &HttpRequest| answer(request));
    let endpoint = HttpEndpoint::new(spec(), client, Blocking::Inline).unwrap();
    let parcel = parcel(["a", "b"]);
    let verdict = Endpoint::attempt(&endpoint, &parcel).await;
    assert_sound(&verdict, 2);
    verdict
}

#[tokio::test]
async fn a_request_is_what_the_specification_says() {
    let client = Scripted::new(|_, request: &HttpRequest| success(request));
    let endpoint = HttpEndpoint::new(spec(), client.clone(), Blocking::Inline).unwrap();
    let verdict = Endpoint::attempt(&endpoint, &parcel(["hello", "", "hello world"])).await;
    let [request] = &client.requests()[..] else { panic!("one request") };
    assert_eq!(verdict, all_taken([(id(request), 3, request.body.len())]));
    assert_eq!((request.address.target(), request.path.as_str()), ("https://in.example.com/firehose?key=1", ""));
    let id = id(request);
    let body = format!(
        "{{\"requestId\":\"{id}\",\"timestamp\":1578090901599,\
         \"records\":[{{\"data\":\"aGVsbG8=\"}},{{\"data\":\"\"}},{{\"data\":\"aGVsbG8gd29ybGQ=\"}}]}}"
    );
    assert_eq!(request.body, body);
    let expected = [
        ("content-type", "application/json"),
        ("user-agent", "Amazon Kinesis Data Firehose Agent/1.0"),
        ("x-amz-firehose-protocol-version", "1.0"),
        ("x-amz-firehose-request-id", &id),
        ("x-amz-firehose-source-arn", "arn:aws:firehose:us-east-1:000000000000:deliverystream/s"),
    ];
    assert_eq!(request.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(request.secret_headers, []);
    assert_eq!((request.timeout, request.max_response_bytes), (Duration::from_secs(180), 1 << 20));
    assert!(uuid::Uuid::parse_str(&id).is_ok());
}

#[tokio::test]
async fn keys_attributes_and_compression_are_sent_as_configured() {
    let client = Scripted::new(|_, request: &HttpRequest| success(request));
    let spec = HttpEndpointSpec {
        access_key: Some(Secret::new("{\"login\": \"a\"}")),
        common_attributes: vec![("z".to_owned(), Secret::new("\u{1F30A}é\"")), ("a".to_owned(), Secret::new(""))],
        gzip: true,
        ..spec()
    };
    let endpoint = HttpEndpoint::new(spec, client.clone(), Blocking::Inline).unwrap();
    Endpoint::attempt(&endpoint, &parcel(["hello"])).await;
    let [request] = &client.requests()[..] else { panic!("one request") };
    let secrets: Vec<_> = request.secret_headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    let attributes = r#"{"commonAttributes":{"z":"\ud83c\udf0a\u00e9\"","a":""}}"#;
    let expected =
        [("x-amz-firehose-access-key", "{\"login\": \"a\"}"), ("x-amz-firehose-common-attributes", attributes)];
    assert_eq!(secrets, expected);
    let read: Value = serde_json::from_str(attributes).unwrap();
    assert_eq!(read["commonAttributes"]["z"], "\u{1F30A}é\"");
    assert!(request.headers.contains(&("content-encoding".to_owned(), "gzip".to_owned())));
    let mut body = String::new();
    flate2::read::GzDecoder::new(&request.body[..]).read_to_string(&mut body).unwrap();
    assert!(body.contains("\"data\":\"aGVsbG8=\""), "{body}");
    let shown = format!("{endpoint:?} {request:?}");
    assert!(!shown.contains("login") && !shown.contains("ud83c"), "{shown}");
}

#[tokio::test]
async fn only_the_answer_of_the_specification_is_a_success() {
    let typed = |answer: Answer, kind: &str| {
        answer.map(|mut answer| {
            answer.headers[0].1 = kind.to_owned();
            answer
        })
    };
    let with = |answer: Answer, name: &str| {
        answer.map(|mut answer| {
            answer.headers.push((name.to_owned(), "gzip".to_owned()));
            answer
        })
    };
    let without_length = |answer: Answer| {
        answer.map(|mut answer| {
            answer.headers.remove(1);
            answer
        })
    };
    let body = |request: &HttpRequest, text: &str| json(200, text.replace("ID", &id(request)));
    assert_eq!(verdict_of(success).await.retry, []);
    for good in [
        r#"{"requestId":"ID","timestamp":1578090903599}"#,
        r#" {"timestamp":1,"requestId":"ID","errorMessage":null} "#,
        r#"{"timestamp":1,"requestId":"ID","errorMessage":"fine"}"#,
    ] {
        assert_eq!(verdict_of(move |request| body(request, good)).await.retry, [], "{good}");
    }
    assert_eq!(verdict_of(move |r| typed(success(r), "Application/JSON; charset=utf-8")).await.retry, []);
    let invalid = ["HttpEndpoint.InvalidResponseFromDestination"; 2];
    for bad in [
        "",
        "{}",
        "null",
        "[]",
        "OK",
        r#"{"requestId":null}"#,
        r#"{"requestId":"ID"}"#,
        r#"{"timestamp":1}"#,
        r#"{"requestId":"ID","timestamp":"1578090903599"}"#,
        r#"{"requestId":"ID","timestamp":null}"#,
        r#"{"requestId":"other","timestamp":1}"#,
        r#"{"requestId":"ID ","timestamp":1}"#,
        r#"{"requestId":"ID","timestamp":1,"more":1}"#,
        r#"{"requestId":"ID","timestamp":1"#,
        r#"{"requestId":"ID","timestamp":1}{}"#,
    ] {
        let verdict = verdict_of(move |request| body(request, bad)).await;
        assert_eq!(codes(&verdict.retry), invalid, "{bad}");
        assert_eq!(verdict.refused, [], "{bad}");
    }
    assert_eq!(codes(&verdict_of(move |r| typed(success(r), "text/plain")).await.retry), invalid);
    assert_eq!(codes(&verdict_of(move |r| typed(success(r), "")).await.retry), invalid);
    assert_eq!(codes(&verdict_of(move |r| with(success(r), "content-encoding")).await.retry), invalid);
    assert_eq!(codes(&verdict_of(move |r| without_length(success(r))).await.retry), invalid);
}

#[tokio::test]
async fn statuses_and_missing_answers_have_their_codes() {
    for status in [100, 201, 204, 206, 301, 302, 307, 400, 401, 403, 404, 409, 412, 414, 429, 500, 502, 503, 504, 599] {
        let answer = move |request: &HttpRequest| success(request).map(|answer| HttpResponse { status, ..answer });
        let verdict = verdict_of(answer).await;
        assert_eq!(codes(&verdict.retry), ["HttpEndpoint.DestinationException"; 2], "{status}");
        assert_eq!(verdict.refused, []);
    }
    let verdict = verdict_of(|_| json(413, "too large")).await;
    assert_eq!(codes(&verdict.refused), ["HttpEndpoint.DestinationException"; 2]);
    assert_eq!(verdict.retry, []);
    assert_eq!(
        &*verdict.refused[0].1.message,
        "The following response was received from the endpoint destination. 413: too large"
    );
    assert!(!verdict.refused[0].1.summary.contains("too large"), "no answer in a log");
    let [(_, first), (_, second)] = &verdict.refused[..] else { panic!("{verdict:?}") };
    assert!(std::sync::Arc::ptr_eq(&first.message, &second.message), "a text for each record");
    let expected = [
        "HttpEndpoint.ConnectionFailed",
        "HttpEndpoint.SSLHandshakeFailure",
        "HttpEndpoint.SSLHandshakeFailure",
        "HttpEndpoint.ConnectionFailed",
        "HttpEndpoint.ConnectionReset",
        "HttpEndpoint.RequestTimeout",
        "HttpEndpoint.ResponseTooLarge",
    ];
    for (error, code) in no_answers().into_iter().zip(expected) {
        let verdict = verdict_of(move |_| Err(error.clone())).await;
        assert_eq!(codes(&verdict.retry), [code; 2]);
    }
}

#[tokio::test]
async fn an_id_is_never_used_with_other_records() {
    // Three requests: two full ones, and the rest.
    let parcel = parcel(vec![Bytes::from_static(b"x"); 20_005]);
    let client = Scripted::new(|n, request: &HttpRequest| if n % 3 == 1 { json(500, "") } else { success(request) });
    let endpoint = HttpEndpoint::new(spec(), client.clone(), Blocking::Inline).unwrap();
    let verdict = Endpoint::attempt(&endpoint, &parcel).await;
    assert_eq!(places(&verdict.retry), (10_000..20_000).collect::<Vec<_>>());
    let failed = "HttpEndpoint.DestinationException";
    assert_eq!(fates(&verdict), [(10_000, 0, ""), (10_000, 10_000, failed), (5, 0, "")]);
    Endpoint::attempt(&endpoint, &remaining(&parcel, &verdict)).await;
    // After a crash all of it comes again.
    Endpoint::attempt(&endpoint, &parcel).await;
    let requests = client.requests();
    let sizes: Vec<usize> = requests.iter().map(|request| datas(request).len()).collect();
    assert_eq!(sizes, [10_000, 10_000, 5, 10_000, 10_000, 10_000, 5]);
    let ids: Vec<String> = requests.iter().map(id).collect();
    assert_eq!(ids[1], ids[3], "the retry");
    assert_eq!(ids[..3], ids[4..], "the attempt after a crash");
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    let other = Parcel { id: [8; 16], ..parcel };
    Endpoint::attempt(&endpoint, &other).await;
    assert!(!ids.contains(&id(&client.requests()[7])), "another parcel");
}

#[tokio::test]
async fn no_body_is_longer_than_64_mib() {
    let client = Scripted::new(|_, request: &HttpRequest| success(request));
    let endpoint = HttpEndpoint::new(spec(), client.clone(), Blocking::Inline).unwrap();
    let record = Bytes::from(vec![b'x'; 1_024_000]);
    let verdict = Endpoint::attempt(&endpoint, &parcel(vec![record; 66])).await;
    let requests = client.requests();
    let sizes: Vec<usize> = requests.iter().map(|request| request.body.len()).collect();
    assert!(sizes.len() == 2 && sizes.iter().all(|len| *len <= 64 << 20), "{sizes:?}");
    assert!(sizes[0] + 1_365_400 > 64 << 20, "as many as fit: {sizes:?}");
    let records = |request: &HttpRequest| datas(request).len();
    assert_eq!(verdict, all_taken(requests.iter().map(|of| (id(of), records(of), of.body.len()))));
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_not_asked_for_each_part() {
    let client = Scripted::new(|_, _: &HttpRequest| Err(HttpError::Connect("refused".to_owned())));
    let endpoint = HttpEndpoint::new(spec(), client.clone(), Blocking::Inline).unwrap();
    let verdict = Endpoint::attempt(&endpoint, &parcel(vec![Bytes::new(); 25_000])).await;
    assert_eq!(client.requests().len(), 1);
    assert_eq!(verdict.retry.len(), 25_000);
    // A slow one may take the other parts.
    let client =
        Scripted::new(
            |n, request: &HttpRequest| {
                if n == 0 { Err(HttpError::Timeout(Duration::from_secs(180))) } else { success(request) }
            },
        );
    let endpoint = HttpEndpoint::new(spec(), client.clone(), Blocking::Inline).unwrap();
    let verdict = Endpoint::attempt(&endpoint, &parcel(vec![Bytes::new(); 25_000])).await;
    assert_eq!(client.requests().len(), 3);
    assert_eq!(places(&verdict.retry), (0..10_000).collect::<Vec<_>>());
}

#[test]
fn an_error_line_has_the_members_of_aws_in_their_order() {
    let endpoint =
        HttpEndpoint::new(spec(), Scripted::new(|_, request: &HttpRequest| success(request)), Blocking::Inline)
            .unwrap();
    let fault = Fault::new("HttpEndpoint.DestinationException", "500: \"x\"");
    let mut parcel = parcel(["sample raw data"]);
    parcel.records[0].id = "49607357361271740811418664280693044274821622880012337186.4".to_owned();
    assert_eq!(
        error_line(&endpoint, &parcel, &fault),
        "{\"attemptsMade\":5,\"arrivalTimestamp\":1456405200000,\"errorCode\":\"HttpEndpoint.DestinationException\",\
         \"errorMessage\":\"500: \\\"x\\\"\",\"attemptEndingTimestamp\":1594266081318,\
         \"rawData\":\"c2FtcGxlIHJhdyBkYXRh\",\"subsequenceNumber\":4,\
         \"dataId\":\"49607357361271740811418664280693044274821622880012337186.4\"}"
    );
    assert_eq!(endpoint.error_type().name(), "http-endpoint-failed");
    assert_eq!((endpoint.metric_name(), endpoint.retry_for()), ("HttpEndpoint", Duration::from_secs(300)));
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let plain = HttpEndpointSpec { address: address("http://in.example.com"), ..spec() };
    assert_eq!(plain.check(), Err(BadEndpoint::Address(BadAddress::NotHttps)));
    let key = HttpEndpointSpec { access_key: Some(Secret::new("a\r\nb: c")), ..spec() };
    assert_eq!(key.check(), Err(BadEndpoint::Header("access key")));
    assert_eq!(spec().check(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is answered, a record is delivered only by the success of a request that held it.
    #[test]
    fn no_record_is_dropped(
        answers in prop::collection::vec(0usize..12, 1..6),
        lens in prop::collection::vec(0usize..40, 0..40),
        copies in 1usize..800,
    ) {
        let records: Vec<Bytes> =
            lens.iter().flat_map(|len| std::iter::repeat_n(Bytes::from(vec![b'x'; *len]), copies)).collect();
        let parcel = parcel(records);
        let script = answers.clone();
        let client = Scripted::new(move |n, request: &HttpRequest| match script[n % script.len()] {
            0..=3 => success(request),
            4 => json(500, ""),
            5 => json(413, ""),
            6 => json(200, "{}"),
            7 => success(request).map(|answer| HttpResponse { status: 302, ..answer }),
            which => Err(no_answers()[(which - 8) % no_answers().len()].clone()),
        });
        let endpoint = HttpEndpoint::new(spec(), client.clone(), Blocking::Inline).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let verdict = runtime.block_on(Endpoint::attempt(&endpoint, &parcel));
        assert_sound(&verdict, parcel.records.len());
        // What the answers alone say: requests take the records in order.
        let mut fates = BTreeMap::new();
        let mut place = 0;
        for (n, request) in client.requests().iter().enumerate() {
            for _ in 0..datas(request).len() {
                fates.insert(place, answers[n % answers.len()]);
                place += 1;
            }
        }
        let (retried, refused) = (set(&verdict.retry), set(&verdict.refused));
        for place in 0..parcel.records.len() {
            let (is_retried, is_refused) = (retried.contains(&place), refused.contains(&place));
            match fates.get(&place) {
                Some(0..=3) => prop_assert!(!is_retried && !is_refused),
                Some(5) => prop_assert!(is_refused),
                _ => prop_assert!(is_retried),
            }
        }
    }
}
