use proptest::prelude::*;
use serde_json::json;

use super::super::{BadEndpoint, DocumentIds, Flavour, OpenSearch, OpenSearchSpec, Rotation};
use super::*;
use crate::http::BadAddress;

fn spec() -> OpenSearchSpec {
    OpenSearchSpec {
        address: address("https://search.example.com"),
        flavour: Flavour::Domain,
        index: "logs".to_owned(),
        rotation: Rotation::Day,
        type_name: None,
        document_ids: DocumentIds::Firehose,
        scope: "arn:aws:firehose:us-east-1:000000000000:deliverystream/s@1".to_owned(),
        retry_for: Duration::from_secs(300),
    }
}

fn lines(request: &HttpRequest) -> Vec<Value> {
    let text = std::str::from_utf8(&request.body).unwrap().strip_suffix('\n').unwrap();
    text.split('\n').map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An answer whose items have these statuses, in turn.
fn items(request: &HttpRequest, statuses: &[u16]) -> Answer {
    let items: Vec<Value> = (0..lines(request).len() / 2)
        .map(|n| match statuses[n % statuses.len()] {
            status @ 200..300 => json!({"index": {"status": status}}),
            status => json!({"index": {"status": status, "error": {"type": "some_exception", "reason": "no"}}}),
        })
        .collect();
    json(200, json!({"took": 1, "errors": true, "items": items}).to_string())
}

async fn run(
    spec: OpenSearchSpec,
    parcel: &Parcel,
    answer: impl Fn(usize, &HttpRequest) -> Answer + Send + Sync + 'static,
) -> (Verdict, Vec<HttpRequest>) {
    let client = Scripted::new(answer);
    let endpoint = OpenSearch::new(spec, client.clone(), Blocking::Inline).unwrap();
    let verdict = Endpoint::attempt(&endpoint, parcel).await;
    assert_sound(&verdict, parcel.records.len());
    (verdict, client.requests())
}

#[tokio::test]
async fn a_request_is_what_bulk_takes() {
    let two = parcel(["{\"a\":1}\n", "{\n\"b\":2}"]);
    let (verdict, requests) = run(spec(), &two, |_, request| items(request, &[201, 200])).await;
    let [request] = &requests[..] else { panic!("one request") };
    assert_eq!(verdict, all_taken([(two.uuid(), 2, request.body.len())]));
    assert_eq!(request.path, "/_bulk");
    assert_eq!(request.headers, [("content-type".to_owned(), "application/x-ndjson".to_owned())]);
    let sent = lines(request);
    let (_, scope) = sent[0]["index"]["_id"].as_str().unwrap().rsplit_once('-').unwrap();
    assert!(scope.len() == 16 && scope.bytes().all(|byte| byte.is_ascii_hexdigit()), "{scope}");
    let expected = format!(
        "{{\"index\":{{\"_index\":\"logs-2016-02-25\",\"_id\":\"{:056}.0-{scope}\"}}}}\n{{\"a\":1}}\n\
         {{\"index\":{{\"_index\":\"logs-2016-02-25\",\"_id\":\"{:056}.1-{scope}\"}}}}\n{{ \"b\":2}}\n",
        0, 1
    );
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn types_ids_and_indices_are_as_configured() {
    let action = |spec: OpenSearchSpec| async {
        let (_, requests) = run(spec, &parcel(["{}"]), |_, request| items(request, &[201])).await;
        lines(&requests[0])[0].clone()
    };
    let id = action(spec()).await["index"]["_id"].clone();
    assert!(id.is_string());
    let none = OpenSearchSpec { document_ids: DocumentIds::None, rotation: Rotation::None, ..spec() };
    assert_eq!(action(none.clone()).await, json!({"index": {"_index": "logs"}}));
    let typed = OpenSearchSpec { type_name: Some("event".to_owned()), ..none.clone() };
    assert_eq!(action(typed).await, json!({"index": {"_index": "logs", "_type": "event"}}));
    let untyped = OpenSearchSpec { type_name: Some(String::new()), ..none };
    assert_eq!(action(untyped).await, json!({"index": {"_index": "logs"}}));
    let serverless = OpenSearchSpec {
        flavour: Flavour::Serverless,
        type_name: Some("event".to_owned()),
        rotation: Rotation::None,
        ..spec()
    };
    assert_eq!(action(serverless).await, json!({"index": {"_index": "logs"}}));
    // A stream that was deleted and made again writes other documents, though its records are counted from 0 again.
    let again = OpenSearchSpec { scope: "arn:aws:firehose:us-east-1:000000000000:deliverystream/s@2".into(), ..spec() };
    assert_ne!(action(again).await["index"]["_id"], id);
    assert_eq!(action(spec()).await["index"]["_id"], id);
}

#[tokio::test]
async fn each_document_has_its_own_fate() {
    let statuses = [201, 400, 429, 413, 503, 200, 403, 404, 409, 500];
    let (verdict, _) = run(spec(), &parcel(vec!["{}"; 10]), move |_, request| items(request, &statuses)).await;
    assert_eq!(places(&verdict.refused), [1, 3]);
    assert_eq!(codes(&verdict.refused), ["400", "413"]);
    let told: serde_json::Value = serde_json::from_str(&verdict.refused[0].1.message).unwrap();
    assert_eq!(told, json!({"reason": "no", "type": "some_exception"}));
    assert_eq!(&*verdict.refused[0].1.summary, "some_exception", "no reason in a log: it may repeat the record");
    assert_eq!(places(&verdict.retry), [2, 4, 6, 7, 8, 9]);
    assert_eq!(codes(&verdict.retry), ["429", "503", "403", "404", "409", "500"]);
    assert_eq!(fates(&verdict), [(10, 8, "429")]);
    // Of status 400, but not the document's fault.
    for (error, is_refused) in [
        (json!({"type": "mapper_parsing_exception"}), true),
        (json!({"type": "index_closed_exception"}), false),
        (json!({"type": "validation_exception"}), false),
        (json!("MapperParsingException[no]"), true),
        (Value::Null, true),
    ] {
        let body = json!({"items": [{"index": {"status": 400, "error": error}}]}).to_string();
        let (verdict, _) = run(spec(), &parcel(["{}"]), move |_, _| json(200, body.clone())).await;
        assert_eq!((verdict.refused.len(), verdict.retry.len()), if is_refused { (1, 0) } else { (0, 1) }, "{error}");
    }
}

#[tokio::test]
async fn a_poison_record_is_refused_and_its_neighbours_are_delivered() {
    let mixed = parcel(["{}", "hello", "{\"a\":1}", "{}{}", "[]", "", "{}"]);
    let (verdict, requests) = run(spec(), &mixed, |_, request| items(request, &[201])).await;
    assert_eq!(places(&verdict.refused), [1, 3, 4, 5]);
    assert_eq!(codes(&verdict.refused), ["400"; 4]);
    assert_eq!(verdict.retry, []);
    assert_eq!(lines(&requests[0]).len(), 6);
    // Of nothing but poison there is no request.
    let (verdict, requests) = run(spec(), &parcel(["x"]), |_, _| json(500, "")).await;
    assert_eq!((verdict.refused.len(), requests.len()), (1, 0));
}

#[tokio::test]
async fn whole_requests_that_fail_are_retried() {
    let whole: Vec<(Answer, &str)> = vec![
        (json(429, "busy"), "429"),
        (json(500, ""), "500"),
        (json(503, ""), "503"),
        (json(400, "{\"error\":{}}"), "400"),
        (json(401, "Unauthorized"), "401"),
        (json(403, ""), "403"),
        (json(302, ""), "302"),
        (json(200, ""), "200"),
        (json(200, "<html>"), "200"),
        (json(200, "{}"), "200"),
        (json(200, "{\"items\":[]}"), "200"),
        (json(200, "{\"items\":[{\"index\":{\"status\":201}}]}"), "200"),
        (json(200, "{\"items\":[{\"index\":{\"status\":201}},{}]}"), "200"),
        (json(200, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{}}]}"), "200"),
        (json(201, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]}"), "201"),
    ];
    for (answer, code) in whole {
        let shown = format!("{answer:?}");
        let (verdict, _) = run(spec(), &parcel(["{}", "{}"]), move |_, _| answer.clone()).await;
        assert_eq!(codes(&verdict.retry), [code; 2], "{shown}");
        assert_eq!(verdict.refused, [], "{shown}");
    }
    let expected = [
        "OS.ConnectionFailed",
        "OS.ConnectionFailed",
        "OS.ConnectionFailed",
        "OS.ConnectionFailed",
        "OS.ConnectionReset",
        "OS.RequestTimeout",
        "OS.ResponseTooLarge",
    ];
    for (error, code) in no_answers().into_iter().zip(expected) {
        let (verdict, _) = run(spec(), &parcel(["{}", "{}"]), move |_, _| Err(error.clone())).await;
        assert_eq!(codes(&verdict.retry), [code; 2]);
    }
}

#[tokio::test]
async fn requests_are_bounded_and_fall_to_what_the_cluster_takes() {
    let document = format!("{{\"a\":\"{}\"}}", "x".repeat(900_000));
    let large = parcel(vec![document; 25]);
    // As nginx does it by default: no request of more than 1 MiB.
    let limit = |request: &HttpRequest| {
        if request.body.len() > 1 << 20 { json(413, "too large") } else { items(request, &[201]) }
    };
    let client = Scripted::new(move |_, request: &HttpRequest| limit(request));
    let endpoint = OpenSearch::new(spec(), client.clone(), Blocking::Inline).unwrap();
    let verdict = Endpoint::attempt(&endpoint, &large).await;
    assert_eq!((verdict.retry.len(), verdict.refused.len()), (0, 0));
    let requests = client.requests();
    assert!(requests.iter().all(|request| request.body.len() <= 10_000_000));
    assert!(requests.len() < 40, "{}", requests.len());
    // It remembers.
    Endpoint::attempt(&endpoint, &large).await;
    assert_eq!(client.requests().len() - requests.len(), 25);
    // A document that no request can carry is refused alone.
    let client = Scripted::new(move |_, request: &HttpRequest| limit(request));
    let endpoint = OpenSearch::new(spec(), client.clone(), Blocking::Inline).unwrap();
    let giant = format!("{{\"a\":\"{}\"}}", "x".repeat(2_000_000));
    let verdict = Endpoint::attempt(&endpoint, &parcel(["{}".to_owned(), giant, "{}".to_owned()])).await;
    assert_eq!((places(&verdict.refused), codes(&verdict.refused)), (vec![1], vec!["413"]));
    assert_eq!(verdict.retry, []);
    let taken: usize = fates(&verdict).iter().filter(|(_, failed, _)| *failed == 0).map(|(records, ..)| records).sum();
    assert_eq!(taken, 2, "{:?}", fates(&verdict));
    // A cluster that takes nothing is not asked for ever.
    let (verdict, requests) = run(spec(), &large, |_, _| json(413, "")).await;
    assert_eq!(verdict.refused.len(), 25);
    assert!(requests.len() < 80, "{}", requests.len());
}

#[tokio::test]
async fn a_cluster_that_is_away_is_asked_once() {
    let many = parcel(vec!["{}"; 12_000]);
    let (verdict, requests) = run(spec(), &many, |_, _| Err(HttpError::Connect("refused".to_owned()))).await;
    assert_eq!((verdict.retry.len(), requests.len()), (12_000, 1));
    let (verdict, requests) = run(spec(), &many, |_, request| items(request, &[201])).await;
    assert_eq!((verdict.retry.len(), requests.len()), (0, 3));
    assert!(requests.iter().all(|request| lines(request).len() <= 10_000));
}

#[test]
fn an_error_line_has_the_members_of_aws_in_their_order() {
    let fault = Fault::new("400", "{\"type\":\"x\"}");
    let line = |spec: OpenSearchSpec| {
        let endpoint =
            OpenSearch::new(spec, Scripted::new(|_, _: &HttpRequest| json(500, "")), Blocking::Inline).unwrap();
        (error_line(&endpoint, &parcel(["hello"]), &fault), endpoint.metric_name(), endpoint.error_type().name())
    };
    let start = "{\"attemptsMade\":5,\"arrivalTimestamp\":1456405200000,\"errorCode\":\"400\",\
                 \"errorMessage\":\"{\\\"type\\\":\\\"x\\\"}\",\"attemptEndingTimestamp\":1594266081318,";
    let none = OpenSearchSpec { document_ids: DocumentIds::None, ..spec() };
    let domain = format!(
        "{start}\"esDocumentId\":\"\",\"esIndexName\":\"logs-2016-02-25\",\"esTypeName\":\"\",\"rawData\":\"aGVsbG8=\"}}"
    );
    assert_eq!(line(none), (domain, "AmazonOpenSearchService", "AmazonOpenSearchService-failed"));
    let typed = OpenSearchSpec { type_name: Some("event".to_owned()), ..spec() };
    let (domain, ..) = line(typed);
    let read: Value = serde_json::from_str(&domain).unwrap();
    assert_eq!(read["esTypeName"], "event");
    assert!(read["esDocumentId"].as_str().unwrap().starts_with(&format!("{:056}.0-", 0)));
    let serverless = OpenSearchSpec { flavour: Flavour::Serverless, ..spec() };
    let collection =
        format!("{start}\"osDocumentId\":\"\",\"osIndexName\":\"logs-2016-02-25\",\"rawData\":\"aGVsbG8=\"}}");
    assert_eq!(line(serverless), (collection, "AmazonOpenSearchServerless", "AmazonOpenSearchService-failed"));
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let with = |url: &str| OpenSearchSpec { address: address(url), ..spec() }.check();
    assert_eq!(with("https://search.example.com/"), Ok(()));
    let arn = "arn:aws:es:us-east-1:000000000000:domain/logs";
    assert_eq!(with(arn), Err(BadEndpoint::Address(BadAddress::NotMapped)));
    let mapped = Address { url: arn.to_owned(), mapped: Some("http://127.0.0.1:9200".to_owned()) };
    assert_eq!(OpenSearchSpec { address: mapped, ..spec() }.check(), Ok(()));
    assert_eq!(with("https://search.example.com?a"), Err(BadEndpoint::Query));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is answered, a document is delivered only by a success of its own.
    #[test]
    fn no_record_is_dropped(
        answers in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![201u16, 200, 400, 429, 503, 413, 0]), 1..7), 1..5),
        kinds in prop::collection::vec(0u8..5, 0..60),
        copies in 1usize..120,
    ) {
        let data = |kind: &u8| if *kind == 0 { "no document".to_owned() } else { format!("{{\"n\":{kind}}}") };
        let datas: Vec<String> = kinds.iter().flat_map(|kind| std::iter::repeat_n(data(kind), copies)).collect();
        let parcel = parcel(datas.clone());
        let script = answers.clone();
        let client = Scripted::new(move |n, request: &HttpRequest| match &script[n % script.len()][..] {
            [0, ..] => Err(HttpError::Closed("reset".to_owned())),
            // One item less than there are documents.
            [.., 0] => items(request, &[201]).map(|answer| {
                let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
                body["items"].as_array_mut().unwrap().pop();
                HttpResponse { body: body.to_string().into(), ..answer }
            }),
            statuses => items(request, statuses),
        });
        let endpoint = OpenSearch::new(spec(), client.clone(), Blocking::Inline).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let verdict = runtime.block_on(Endpoint::attempt(&endpoint, &parcel));
        assert_sound(&verdict, parcel.records.len());
        let (retried, refused) = (set(&verdict.retry), set(&verdict.refused));
        let mut places = (0..datas.len()).filter(|n| datas[*n].starts_with('{'));
        for (n, request) in client.requests().iter().enumerate() {
            let statuses = &answers[n % answers.len()];
            for place_in_request in 0..lines(request).len() / 2 {
                let place = places.next().unwrap();
                let (is_retried, is_refused) = (retried.contains(&place), refused.contains(&place));
                let whole = statuses[0] == 0 || *statuses.last().unwrap() == 0;
                match statuses[place_in_request % statuses.len()] {
                    _ if whole => prop_assert!(is_retried),
                    200 | 201 => prop_assert!(!is_retried && !is_refused),
                    400 | 413 => prop_assert!(is_refused),
                    _ => prop_assert!(is_retried),
                }
            }
        }
        prop_assert_eq!(places.next(), None);
        let poison = datas.iter().filter(|data| !data.starts_with('{')).count();
        prop_assert!(verdict.refused.len() >= poison);
    }
}
