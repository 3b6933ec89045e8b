//! What reaches an S3-compatible store, byte for byte: a TCP server that keeps what it receives.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod wire;

use bytes::Bytes;
use levada_delivery::{Attempt, Object, S3Bucket, S3Config, Sink, SinkError, StaticKeys};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use wire::{Request, receive};

/// Puts an object into a store that answers with `answer`, and tells what the store saw.
async fn put(key: &str, encoding: Option<&'static str>, answer: &'static str) -> (Request, Result<(), SinkError>) {
    put_below("", key, encoding, answer).await
}

/// The same, into a store whose endpoint has this path.
async fn put_below(
    path: &str,
    key: &str,
    encoding: Option<&'static str>,
    answer: &'static str,
) -> (Request, Result<(), SinkError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}{path}", listener.local_addr().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = receive(&mut stream).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    };
    let bucket = bucket(endpoint);
    let body = Bytes::from_static(b"the body");
    let object = Object {
        bucket: "my.bucket".into(),
        key: key.into(),
        content_encoding: encoding,
        body,
        attempt: Attempt::default(),
    };
    tokio::join!(server, bucket.put(object))
}

fn bucket(endpoint: String) -> S3Bucket {
    S3Bucket::new(S3Config {
        endpoint: Some(endpoint),
        region: None,
        keys: Some(StaticKeys {
            access_key_id: "AKIAEXAMPLE".into(),
            secret_access_key: "very-secret".into(),
            session_token: None,
        }),
        extra_ca_pem: None,
    })
}

const OK: &str = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn keys_arrive_as_they_are() {
    let rows = [
        ("2026/07/13/14/orders-1", "2026/07/13/14/orders-1"),
        ("a//b", "a//b"),
        ("/leading", "/leading"),
        ("//", "//"),
        ("trailing/", "trailing/"),
        ("a/../b", "a/../b"),
        ("../up", "../up"),
        ("..", ".."),
        (".", "."),
        ("./a/./b", "./a/./b"),
        ("a b", "a%20b"),
        ("a+b", "a%2Bb"),
        ("a%2Fb", "a%252Fb"),
        ("100%", "100%25"),
        ("dt=2026-07-13/h=14/", "dt%3D2026-07-13/h%3D14/"),
        ("q?x&y#z", "q%3Fx%26y%23z"),
        ("日本/é", "%E6%97%A5%E6%9C%AC/%C3%A9"),
        ("a\\b:c;d@e", "a%5Cb%3Ac%3Bd%40e"),
        ("~-_.", "~-_."),
        ("!*'()", "%21%2A%27%28%29"),
        ("\u{1}\n", "%01%0A"),
    ];
    for (key, path) in rows {
        let (request, answer) = put(key, None, OK).await;
        assert_eq!(answer, Ok(()), "{key:?}");
        let target = request.line.split(' ').nth(1).unwrap();
        let (target, query) = target.split_once('?').unwrap_or((target, ""));
        assert_eq!(target, format!("/my.bucket/{path}"), "{key:?}");
        assert!(query.is_empty() || query == "x-id=PutObject", "{query}");
    }
}

/// A store behind a reverse proxy.
#[tokio::test]
async fn an_endpoint_keeps_its_path() {
    for (path, wanted) in [
        ("", "/my.bucket/k"),
        ("/", "/my.bucket/k"),
        ("/minio", "/minio/my.bucket/k"),
        ("/minio/", "/minio/my.bucket/k"),
        ("/storage/v1/s3", "/storage/v1/s3/my.bucket/k"),
    ] {
        let (request, answer) = put_below(path, "k", None, OK).await;
        assert_eq!(answer, Ok(()), "{path:?}");
        let target = request.line.split([' ', '?']).nth(1).unwrap();
        assert_eq!(target, wanted, "{path:?}");
    }
}

#[test]
fn the_log_is_told_where_without_who() {
    for (endpoint, place) in [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("https://user:word@store.example.com/a@b", "https://store.example.com/a@b"),
    ] {
        assert_eq!(bucket(endpoint.into()).place("lake"), place);
    }
}

#[tokio::test]
async fn an_object_is_one_signed_put_with_its_type_and_encoding() {
    let (request, answer) = put("k", Some("gzip"), OK).await;
    assert_eq!(answer, Ok(()));
    assert!(request.line.starts_with("PUT "), "{}", request.line);
    assert_eq!(request.header("content-type"), Some("application/octet-stream"));
    assert_eq!(request.header("content-encoding"), Some("gzip"), "no aws-chunked");
    assert_eq!(request.body, b"the body");
    let sha256 = "fa8242e99f48966ca514092b4233b446851f42b57ad5031bf133e1dd76787f3e";
    assert_eq!(request.header("x-amz-content-sha256"), Some(sha256), "the body is signed");
    let authorization = request.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/us-east-1/s3/aws4_request"), "{authorization}");
    let (request, _) = put("k", None, OK).await;
    assert_eq!(request.header("content-encoding"), None);
}

#[tokio::test]
async fn what_the_store_says_is_told_apart() {
    let denied = "HTTP/1.1 403 Forbidden\r\nContent-Length: 78\r\n\r\n\
                  <Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>      ";
    let (_, answer) = put("k", None, denied).await;
    assert_eq!(answer, Err(SinkError::Refused("HTTP 403 AccessDenied Access Denied".into())));
    for status in ["500 Oops", "503 Slow Down", "429 Too Many Requests"] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let (_, answer) = put("k", None, text.leak()).await;
        assert!(matches!(answer, Err(SinkError::Unavailable(_))), "{answer:?}");
    }
    let nobody = bucket("http://127.0.0.1:1".into());
    let object = Object {
        bucket: "b".into(),
        key: "k".into(),
        content_encoding: None,
        body: Bytes::new(),
        attempt: Attempt::default(),
    };
    let Err(SinkError::Unavailable(text)) = nobody.put(object).await else { panic!("nobody listens there") };
    assert!(!text.contains("very-secret"), "{text}");
    // For people: no structures, what the system says at the end.
    assert!(text.contains("Connection refused") && !text.contains('{') && !text.contains('\n'), "{text}");
    assert!(!format!("{nobody:?}").contains("very-secret"));
}
