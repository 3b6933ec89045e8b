//! The protocols at the ladder, on a simulated disk and clock: headers, bodies and refusals of every kind of request in
//! JSON and in CBOR. One row, one answer.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use http_body_util::BodyExt;
use levada::cli::ServeArgs;
use levada::config::Config;
use levada::ladder::descend;
use levada::listener::Accept;
use levada::node::{Environment, Node};
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_log::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const NOW: u64 = 1_795_000_000_123;
const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.1");
const PLAIN: (&str, &str) = ("content-type", "application/json");
const CBOR: (&str, &str) = ("content-type", "application/x-amz-cbor-1.1");
const PUT: (&str, &str) = ("x-amz-target", "Kinesis_20131202.PutRecord");
const BATCH: (&str, &str) = ("x-amz-target", "Firehose_20150804.PutRecordBatch");
const UNKNOWN: (&str, &str) = ("x-amz-target", "Kinesis_20131202.Levitate");
const DATE: (&str, &str) = ("x-amz-date", "20261120T000000Z");
const AUTHORIZATION: (&str, &str) = (
    "authorization",
    "AWS4-HMAC-SHA256 Credential=000000000000/20261120/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0",
);
const SIGNED_QUERY: &str = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=000000000000%2F20261120%2Fus-east-1%2Fkinesis%2Faws4_request\
     &X-Amz-Date=20261120T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0";

/// What came back.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn node() -> Arc<Node> {
    let mut config = Config::new(&ServeArgs::default(), None).unwrap();
    config.free_bytes = 0;
    let env = Environment {
        clock: Arc::new(SimClock::at(NOW)),
        random: Arc::new(SimRandom::new(1)),
        disk: Arc::new(SimDisk::new()),
        log: Options { journal_segment_bytes: 1 << 20, first_journal_segment_bytes: 1 << 18, ..Options::default() },
        client: Arc::new(levada::network::NoNetwork),
        threads: false,
    };
    Node::start(config, env, Path::new("/data")).await.unwrap()
}

async fn send(node: &Arc<Node>, method: Method, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send_over(node, Version::HTTP_11, method, uri, headers, body).await
}

async fn send_over(
    node: &Arc<Node>,
    version: Version,
    method: Method,
    uri: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri.parse().unwrap();
    *request.version_mut() = version;
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    let (head, ()) = request.into_parts();
    let response = descend(node, &head, Bytes::copy_from_slice(body)).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes().to_vec();
    Answer { status, headers, body }
}

/// A signed call of an operation of Kinesis.
async fn kinesis(node: &Arc<Node>, operation: &str, content_type: (&str, &str), body: &[u8]) -> Answer {
    let target = format!("Kinesis_20131202.{operation}");
    let headers = [content_type, ("x-amz-target", target.as_str()), DATE, AUTHORIZATION];
    send(node, Method::POST, "/", &headers, body).await
}

/// Text of CBOR, at most 255 bytes.
fn text(text: &str) -> Vec<u8> {
    let len = text.len() as u8;
    let head = if len < 24 { vec![0x60 | len] } else { vec![0x78, len] };
    [head, text.as_bytes().to_vec()].concat()
}

/// A map of CBOR as the Java SDK writes it; values are encoded already.
fn map(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let members = members.iter().flat_map(|(name, value)| [text(name), value.clone()].concat());
    [0xbf].into_iter().chain(members).chain([0xff]).collect()
}

/// An error's document in CBOR.
fn error(code: &str, message: Option<(&str, &str)>) -> Vec<u8> {
    let message = message.map(|(name, message)| (name, text(message)));
    map(&[("__type", text(code))].into_iter().chain(message).collect::<Vec<_>>())
}

const ACCESS_DENIED: &[u8] = b"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be \
    authorized</Message>\n</AccessDeniedException>\n";

/// Method, target, headers and body; status, content type and document.
type Row<'a> = (Method, &'a [(&'a str, &'a str)], &'a [u8], u16, Option<&'a str>, Vec<u8>);

/// Rows 2 to 6 of the order of checks.
#[tokio::test]
async fn refusals_before_authentication() {
    let node = node().await;
    let (json, plain, cbor) = (Some(JSON.1), Some(PLAIN.1), Some(CBOR.1));
    let in_json = |code: &str| format!(r#"{{"__type":"{code}"}}"#).into_bytes();
    let wrapped = |code: &str| {
        format!(r#"{{"Output":{{"__type":"com.amazon.coral.service#{code}"}},"Version":"1.0"}}"#).into_bytes()
    };
    let (broken, unknown) = ("SerializationException", "UnknownOperationException");
    let post = Method::POST;
    let rows: Vec<Row> = vec![
        // 2: not POST, whatever else is there.
        (Method::GET, &[CBOR, PUT, AUTHORIZATION, DATE], b"\xbf\xff", 403, None, ACCESS_DENIED.into()),
        (Method::PUT, &[], b"", 403, None, ACCESS_DENIED.into()),
        (Method::DELETE, &[JSON], b"{}", 403, None, ACCESS_DENIED.into()),
        (Method::HEAD, &[], b"", 403, None, ACCESS_DENIED.into()),
        // OPTIONS without an Origin is no question of CORS.
        (Method::OPTIONS, &[], b"", 403, None, ACCESS_DENIED.into()),
        // 3: empty body, also before authentication; in CBOR unless JSON was asked for.
        (post.clone(), &[JSON, PUT], b"", 400, json, in_json(broken)),
        (post.clone(), &[JSON, BATCH], b"", 400, json, in_json(broken)),
        (post.clone(), &[JSON, UNKNOWN], b"", 400, json, in_json(unknown)),
        (post.clone(), &[JSON], b"", 400, json, in_json(unknown)),
        (post.clone(), &[CBOR, PUT], b"", 400, cbor, error(broken, None)),
        (post.clone(), &[CBOR, UNKNOWN], b"", 400, cbor, error(unknown, None)),
        (post.clone(), &[PUT], b"", 400, cbor, error(broken, None)),
        (post.clone(), &[], b"", 400, cbor, error(unknown, None)),
        (post.clone(), &[PLAIN, PUT], b"", 400, cbor, error(broken, None)),
        (post.clone(), &[("content-type", "text/plain")], b"", 400, cbor, error(unknown, None)),
        // 4: unknown content type.
        (post.clone(), &[], b"{}", 403, None, ACCESS_DENIED.into()),
        (post.clone(), &[("content-type", "application/cbor")], b"\xa0", 403, None, ACCESS_DENIED.into()),
        (post.clone(), &[("x-amz-target", "PutRecord")], b"{}", 403, None, ACCESS_DENIED.into()),
        (post.clone(), &[PUT], b"{}", 404, None, b"<UnknownOperationException/>\n".into()),
        (post.clone(), &[UNKNOWN], b"{}", 404, None, b"<UnknownOperationException/>\n".into()),
        (
            post.clone(),
            &[PUT, ("content-type", "application/x-amz-json-1.0"), AUTHORIZATION, DATE],
            b"{}",
            404,
            None,
            b"<UnknownOperationException/>\n".into(),
        ),
        // 5: no document, or none of an object; before the operation and the signature are looked at.
        (post.clone(), &[JSON, PUT], b"{", 400, json, in_json(broken)),
        (post.clone(), &[JSON, UNKNOWN], b"[]", 400, json, in_json(broken)),
        (post.clone(), &[JSON, PUT, AUTHORIZATION, DATE], b"\xbf\xff", 400, json, in_json(broken)),
        (post.clone(), &[PLAIN, PUT], b"null", 400, plain, wrapped(broken)),
        (post.clone(), &[CBOR, PUT], b"\xbf", 400, cbor, error(broken, None)),
        (post.clone(), &[CBOR, UNKNOWN], b"\x9f\xff", 400, cbor, error(broken, None)),
        (post.clone(), &[CBOR, PUT, AUTHORIZATION, DATE], b"{}", 400, cbor, error(broken, None)),
        // 6: unknown operation.
        (post.clone(), &[JSON, UNKNOWN], b"{}", 400, json, in_json(unknown)),
        (post.clone(), &[JSON], b"{}", 400, json, in_json(unknown)),
        (post.clone(), &[PLAIN, UNKNOWN, AUTHORIZATION, DATE], b"{}", 400, plain, wrapped(unknown)),
        (post.clone(), &[CBOR, UNKNOWN], b"\xa0", 400, cbor, error(unknown, None)),
        (post, &[CBOR, ("x-amz-target", "Kinesis_20131203.PutRecord")], b"\xa0", 400, cbor, error(unknown, None)),
    ];
    for (method, headers, body, status, content_type, document) in rows {
        let answer = send(&node, method.clone(), "/", headers, body).await;
        let row = format!("{method} {headers:?} {}", String::from_utf8_lossy(body));
        assert_eq!(answer.status, status, "{row}");
        assert_eq!(answer.header("content-type"), content_type, "{row}");
        assert_eq!(answer.body, document, "{row}: {}", String::from_utf8_lossy(&answer.body));
    }
}

/// A URI and headers beside content type and target; code and message.
type SignatureRow<'a> = (String, Vec<(&'a str, &'a str)>, &'a str, String);

/// Row 7 of the order of checks: how a request is signed, or not.
#[tokio::test]
async fn refusals_of_signatures() {
    let node = node().await;
    let twice = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.";
    let in_query = |missing: &[&str]| {
        let sentences = missing.iter().map(|name| format!("AWS query-string parameters must include '{name}'. "));
        format!("{}Re-examine the query-string parameters.", sentences.collect::<String>())
    };
    let in_header = |missing: &[&str], undated: bool, value: &str| {
        let sentences = missing.iter().map(|name| format!("Authorization header requires '{name}' parameter. "));
        let date = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
        let date = if undated { date } else { "" };
        format!("{}{date}Authorization={value}", sentences.collect::<String>())
    };
    let without = |name: &str| {
        let kept = SIGNED_QUERY.trim_start_matches("/?").split('&').filter(|pair| !pair.starts_with(name));
        format!("/?{}", kept.collect::<Vec<_>>().join("&"))
    };
    let header = |value: &'static str| ("authorization", value);
    let (missing, incomplete, invalid) =
        ("MissingAuthenticationTokenException", "IncompleteSignatureException", "InvalidSignatureException");
    let rows: Vec<SignatureRow<'_>> = vec![
        ("/".into(), vec![], missing, "Missing Authentication Token".into()),
        ("/?a=b".into(), vec![DATE], missing, "Missing Authentication Token".into()),
        (SIGNED_QUERY.into(), vec![AUTHORIZATION, DATE], invalid, twice.into()),
        ("/?X-Amz-Algorithm".into(), vec![AUTHORIZATION, DATE], invalid, twice.into()),
        (without("X-Amz-Credential"), vec![], incomplete, in_query(&["X-Amz-Credential"])),
        (without("X-Amz-SignedHeaders"), vec![], incomplete, in_query(&["X-Amz-SignedHeaders"])),
        (
            "/?X-Amz-Algorithm=".into(),
            vec![],
            incomplete,
            in_query(&["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"]),
        ),
        ("/".into(), vec![AUTHORIZATION], incomplete, in_header(&[], true, AUTHORIZATION.1)),
        (
            "/".into(),
            vec![header("AWS4-HMAC-SHA256 Signature=0"), DATE],
            incomplete,
            in_header(&["Credential", "SignedHeaders"], false, "AWS4-HMAC-SHA256 Signature=0"),
        ),
        (
            "/".into(),
            vec![header("AWS4-HMAC-SHA256")],
            incomplete,
            in_header(&["Credential", "Signature", "SignedHeaders"], true, "AWS4-HMAC-SHA256"),
        ),
        // The first word is the algorithm, whatever it says.
        (
            "/".into(),
            vec![header("Credential=k,Signature=0,SignedHeaders="), DATE],
            incomplete,
            in_header(&["Credential", "SignedHeaders"], false, "Credential=k,Signature=0,SignedHeaders="),
        ),
    ];
    for (uri, headers, code, message) in rows {
        let in_json = [&[JSON, PUT], headers.as_slice()].concat();
        let answer = send(&node, Method::POST, &uri, &in_json, b"{}").await;
        let document = serde_json::json!({"__type": code, "message": message});
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap(), document, "{uri} {headers:?}");
        assert_eq!((answer.status, answer.header("content-type")), (400, Some(JSON.1)));
        let in_cbor = [&[CBOR, PUT], headers.as_slice()].concat();
        let answer = send(&node, Method::POST, &uri, &in_cbor, b"\xa0").await;
        let says = answer.body.windows(message.len()).any(|window| window == message.as_bytes());
        assert!(says, "{uri} {headers:?} {}", String::from_utf8_lossy(&answer.body));
        assert_eq!((answer.status, answer.header("content-type")), (400, Some(CBOR.1)));
    }
    // Signed in either way, the request comes to what it asks for.
    for (uri, headers) in
        [(SIGNED_QUERY, vec![]), ("/", vec![AUTHORIZATION, DATE]), ("/?a=b", vec![AUTHORIZATION, DATE])]
    {
        let headers = [vec![CBOR, PUT], headers].concat();
        let answer = send(&node, Method::POST, uri, &headers, b"\xa0").await;
        assert!(answer.body.starts_with(&map(&[("__type", text("ValidationException"))])[..27]), "{uri}");
    }
}

/// Rows 8 to 10 of the order of checks.
#[tokio::test]
async fn refusals_after_authentication() {
    let node = node().await;
    let put = |data: Vec<u8>| map(&[("StreamName", text("none")), ("Data", data), ("PartitionKey", text("k"))]);
    let validation = "1 validation error detected: Value null at 'streamName' failed to satisfy constraint: Member must \
                      not be null";
    let blob = "class java.lang.String can not be converted to a Blob";
    let missing = "Stream none under account 000000000000 not found.";
    for (operation, body, document) in [
        ("PutRecord", put(text("aGk=")), error("SerializationException", Some(("Message", blob)))),
        ("DeleteResourcePolicy", vec![0xbf], error("SerializationException", None)),
        ("CreateStream", vec![0xa0], error("ValidationException", Some(("message", validation)))),
        ("PutRecord", put(vec![0x40]), error("ResourceNotFoundException", Some(("message", missing)))),
    ] {
        let answer = kinesis(&node, operation, CBOR, &body).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, Some(CBOR.1)), "{operation}");
        assert_eq!(answer.body, document, "{operation}: {}", String::from_utf8_lossy(&answer.body));
    }
}

/// Version, headers and body; status and the `Connection` header.
type HeaderRow<'a> = (Version, &'a [(&'a str, &'a str)], &'a [u8], u16, Option<&'a str>);

/// What stands on every answer, and what on none.
#[tokio::test]
async fn headers_are_those_of_aws() {
    let node = node().await;
    let charset = ("content-type", "application/x-amz-json-1.1; charset=UTF-8");
    let list = ("x-amz-target", "Kinesis_20131202.ListStreams");
    let ok: &[(&str, &str)] = &[CBOR, list, AUTHORIZATION, DATE];
    let with_charset: &[(&str, &str)] = &[charset, list, AUTHORIZATION, DATE];
    let rows: [HeaderRow<'_>; 6] = [
        (Version::HTTP_11, ok, b"\xa0", 200, None),
        (Version::HTTP_11, with_charset, b"{}", 200, None),
        (Version::HTTP_11, &[CBOR, list], b"\xa0", 400, Some("close")),
        (Version::HTTP_11, &[], b"{}", 403, Some("close")),
        // HTTP/2 has no such header.
        (Version::HTTP_2, &[JSON, list], b"{}", 400, None),
        (Version::HTTP_2, &[], b"{}", 403, None),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for (version, headers, body, status, connection) in rows {
        let answer = send_over(&node, version, Method::POST, "/any/path", headers, body).await;
        assert_eq!((answer.status, answer.header("connection")), (status, connection), "{headers:?}");
        let id = answer.header("x-amzn-requestid").unwrap();
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{id}");
        let id_2 = base64_simd::STANDARD.decode_to_vec(answer.header("x-amz-id-2").unwrap()).unwrap();
        assert!(id_2.len() >= 72);
        assert!(ids.insert(id.to_owned()), "an id comes once");
        for never in ["x-amz-crc32", "x-amzn-errortype", "access-control-allow-origin"] {
            assert_eq!(answer.header(never), None, "{never}");
        }
        if status == 200 {
            let expected = if headers[0] == CBOR { CBOR.1 } else { JSON.1 };
            assert_eq!(answer.header("content-type"), Some(expected), "{headers:?}");
        }
    }
}

/// A network of one connection.
struct Wire(Option<DuplexStream>);

impl Accept for Wire {
    type Io = DuplexStream;

    async fn accept(&mut self) -> std::io::Result<DuplexStream> {
        match self.0.take() {
            Some(io) => Ok(io),
            None => std::future::pending().await,
        }
    }
}

/// What HTTP itself adds: lengths, also of nothing, and the date; after an error the connection ends.
#[tokio::test]
async fn answers_have_a_length_and_a_date() {
    let node = node().await;
    let (mut client, server) = tokio::io::duplex(1 << 16);
    tokio::spawn(levada::listener::serve(Wire(Some(server)), node, std::future::pending()));
    let request = |operation: &str, body: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\nX-Amz-Target: Kinesis_20131202.{operation}\r\n\
             X-Amz-Date: {}\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n{body}",
            JSON.1,
            DATE.1,
            AUTHORIZATION.1,
            body.len()
        )
    };
    for (operation, body) in [("CreateStream", r#"{"StreamName":"s","ShardCount":1}"#), ("CreateStream", "{}")] {
        client.write_all(request(operation, body).as_bytes()).await.unwrap();
    }
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    let (void, refused) = answers.split_once("\r\n\r\n").unwrap();
    assert!(
        void.starts_with("HTTP/1.1 200 OK\r\n") && refused.starts_with("HTTP/1.1 400 Bad Request\r\n"),
        "{answers}"
    );
    let has = |head: &str, line: &str| head.lines().any(|l| l.starts_with(line));
    assert!(has(void, "content-length: 0") && has(void, "date: ") && !has(void, "connection: "), "{void}");
    assert!(has(void, "x-amzn-requestid: ") && has(void, "content-type: application/x-amz-json-1.1"), "{void}");
    let (head, document) = refused.split_once("\r\n\r\n").unwrap();
    assert!(has(head, &format!("content-length: {}", document.len())) && has(head, "connection: close"), "{head}");
    assert!(document.starts_with(r#"{"__type":"ValidationException""#), "{document}");
}

#[tokio::test]
async fn browsers_may_ask() {
    let node = node().await;
    let origin = ("origin", "http://localhost");
    let asked = [
        origin,
        ("access-control-request-headers", "x-amz-target,authorization"),
        ("access-control-request-method", "POST"),
    ];
    let answer = send(&node, Method::OPTIONS, "/", &asked, b"").await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    for (name, value) in [
        ("access-control-allow-origin", Some("*")),
        ("access-control-allow-headers", Some("x-amz-target,authorization")),
        ("access-control-allow-methods", Some("POST")),
        ("access-control-max-age", Some("172800")),
        ("access-control-expose-headers", None),
        ("x-amz-id-2", None),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("x-amzn-requestid").is_some());
    let unasked = send(&node, Method::OPTIONS, "/", &[origin], b"").await;
    assert_eq!(unasked.header("access-control-allow-headers"), None);
    assert_eq!(unasked.header("access-control-allow-methods"), None);
    // Every other answer to a page says the same, refusals too.
    let exposed = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date";
    for (method, headers) in [(Method::GET, vec![origin]), (Method::POST, vec![origin, CBOR, PUT])] {
        let answer = send(&node, method, "/", &headers, b"").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-expose-headers"), Some(exposed));
        assert_eq!(answer.header("access-control-max-age"), None);
        assert!(answer.header("x-amz-id-2").is_some());
    }
}

/// A stream's life in CBOR: void answers are empty, points in time come as they went, what one protocol puts the other
/// gets.
#[tokio::test]
async fn records_go_through_cbor() {
    let node = node().await;
    let create = map(&[("StreamName", text("s")), ("ShardCount", vec![1])]);
    let created = kinesis(&node, "CreateStream", CBOR, &create).await;
    assert_eq!((created.status, created.body.len(), created.header("content-type")), (200, 0, Some(CBOR.1)));

    let entry = |data: &[u8]| {
        let data = [vec![0x40 | data.len() as u8], data.to_vec()].concat();
        map(&[("Data", data), ("PartitionKey", text("ключ"))])
    };
    let records = [vec![0x9f], entry(b"\x00\xff"), entry(b""), vec![0xff]].concat();
    let put = kinesis(&node, "PutRecords", CBOR, &map(&[("Records", records), ("StreamName", text("s"))])).await;
    assert_eq!(put.status, 200);
    assert!(put.body.starts_with(b"\xbf\x71FailedRecordCount\x00\x67Records\x9f\xbf\x6eSequenceNumber\x78\x38"));
    assert!(put.body.ends_with(b"\x67ShardId\x74shardId-000000000000\xff\xff\xff"));

    let at = [vec![0xc1, 0x1b], NOW.to_be_bytes().to_vec()].concat();
    let iterator = map(&[
        ("StreamName", text("s")),
        ("ShardId", text("shardId-000000000000")),
        ("ShardIteratorType", text("AT_TIMESTAMP")),
        ("Timestamp", at.clone()),
    ]);
    let iterator = kinesis(&node, "GetShardIterator", CBOR, &iterator).await;
    let iterator = &iterator.body[b"\xbf\x6dShardIterator".len()..iterator.body.len() - 1];
    let page = kinesis(&node, "GetRecords", CBOR, &map(&[("ShardIterator", iterator.to_vec())])).await;
    let arrival = [&text("ApproximateArrivalTimestamp"), &at].map(Vec::as_slice).concat();
    assert_eq!(page.body.windows(arrival.len()).filter(|window| *window == arrival).count(), 2);
    let record =
        [b"\x64Data\x42\x00\xff".to_vec(), text("PartitionKey"), text("ключ"), text("SequenceNumber")].concat();
    assert!(page.body.windows(record.len()).any(|window| window == record));

    // The text of the iterator follows its length, which takes three bytes.
    let iterator = std::str::from_utf8(&iterator[3..]).unwrap();
    let page = kinesis(&node, "GetRecords", JSON, format!(r#"{{"ShardIterator":"{iterator}"}}"#).as_bytes()).await;
    let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
    assert_eq!(page["Records"][0]["Data"], "AP8=");
    assert_eq!(page["Records"][0]["ApproximateArrivalTimestamp"], 1_795_000_000.123);
    assert_eq!(page["Records"][1]["PartitionKey"], "ключ");
    let described = kinesis(&node, "DescribeStreamSummary", CBOR, &map(&[("StreamName", text("s"))])).await;
    let whole_second = [text("StreamCreationTimestamp"), vec![0xc1, 0x1b], (NOW / 1000 * 1000).to_be_bytes().into()];
    let whole_second = whole_second.concat();
    assert!(described.body.windows(whole_second.len()).any(|window| window == whole_second));
    let deleted = kinesis(&node, "DeleteStream", CBOR, &map(&[("StreamName", text("s"))])).await;
    assert_eq!((deleted.status, deleted.body.len()), (200, 0));
}
