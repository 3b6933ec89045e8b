//! What reaches Google's and Azure's stores, byte for byte: a TCP server that keeps what it receives.
#![cfg(feature = "clouds")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod wire;

use std::time::Duration;

use bytes::Bytes;
use levada_delivery::http::Secret;
use levada_delivery::{Attempt, AzureConfig, CloudBucket, GoogleConfig, Object, Sink, SinkError};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use wire::{Request, receive};

const OK: &str = "HTTP/1.1 201 Created\r\nETag: \"x\"\r\nLast-Modified: Mon, 13 Jul 2026 14:05:09 GMT\r\n\
                  Content-Length: 0\r\n\r\n";

fn google(endpoint: &str) -> CloudBucket {
    let endpoint = Some(endpoint.to_owned());
    CloudBucket::google(&GoogleConfig {
        bucket: "lake".into(),
        credentials_file: None,
        anonymous: true,
        endpoint,
        extra_ca_pem: None,
    })
    .unwrap()
}

fn azure(endpoint: &str) -> CloudBucket {
    CloudBucket::azure(&AzureConfig {
        account: "account".into(),
        container: "lake".into(),
        access_key: Some(Secret::new("c2VjcmV0")),
        endpoint: Some(format!("{endpoint}/account")),
        extra_ca_pem: None,
    })
    .unwrap()
}

/// Puts an object into a store that answers with `answer`, and tells what the store saw.
async fn put(make: fn(&str) -> CloudBucket, key: &str, answer: &'static str) -> (Request, Result<(), SinkError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = receive(&mut stream).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        request
    };
    let bucket = make(&endpoint);
    let object = Object {
        bucket: "another name".into(),
        key: key.into(),
        content_encoding: Some("hadoop-snappy"),
        body: Bytes::from_static(b"the body"),
        attempt: Attempt::default(),
    };
    let server = tokio::spawn(timeout(Duration::from_secs(20), server));
    let outcome = timeout(Duration::from_secs(20), bucket.put(object)).await.unwrap();
    let request = server.await.unwrap().unwrap_or_else(|_| panic!("no request: {outcome:?}"));
    (request, outcome)
}

/// The name that the store takes from a request's path.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match byte {
            b'%' => (u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap(), &after[2..]),
            _ => (byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn names_arrive_as_they_are() {
    let rows = [
        ("2026/07/13/14/orders-1.gz", "2026/07/13/14/orders-1.gz"),
        ("logs//x", "logs//x"),
        ("logs///x", "logs///x"),
        ("~ a+b%2Fc!*'()é日本/q?x&y#z", "~ a+b%2Fc!*'()é日本/q?x&y#z"),
        ("dt=2026-07-13/h=14/;,:@$\\x", "dt=2026-07-13/h=14/;,:@$\\x"),
        ("a.../b", "a.../b"),
        ("/x", "%2Fx"),
        ("a/../b", "a/%2E%2E/b"),
    ];
    for (key, name) in rows {
        for (make, base) in [(google as fn(&str) -> CloudBucket, "/lake/"), (azure, "/account/lake/")] {
            let (request, answer) = put(make, key, OK).await;
            assert_eq!(answer, Ok(()), "{key:?}");
            let target = request.line.split(' ').nth(1).unwrap();
            let (path, _) = target.split_once('?').unwrap_or((target, ""));
            assert_eq!(decoded(path.strip_prefix(base).unwrap()), name, "{key:?}: {target}");
        }
    }
}

#[tokio::test]
async fn an_object_is_one_put_with_its_type_and_encoding() {
    let rows = [
        (google as fn(&str) -> CloudBucket, "content-type", "content-encoding"),
        (azure, "x-ms-blob-content-type", "x-ms-blob-content-encoding"),
    ];
    for (make, content_type, content_encoding) in rows {
        let (request, _) = put(make, "k", OK).await;
        assert!(request.line.starts_with("PUT "), "{}", request.line);
        assert_eq!(request.header(content_type), Some("application/octet-stream"));
        assert_eq!(request.header(content_encoding), Some("hadoop-snappy"));
        assert_eq!(request.body, b"the body");
    }
    let (request, _) = put(azure, "k", OK).await;
    assert_eq!(request.header("x-ms-blob-type"), Some("BlockBlob"));
    assert!(request.header("authorization").unwrap().starts_with("SharedKey account:"));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let rows = [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno bucket", true),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied", true),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nlater", false),
        ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", false),
        ("", false),
    ];
    for (answer, refused) in rows {
        for make in [google as fn(&str) -> CloudBucket, azure] {
            let (_, outcome) = put(make, "k", answer).await;
            let error = outcome.unwrap_err();
            assert_eq!(matches!(error, SinkError::Refused(_)), refused, "{answer}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_at_once_and_nothing_prints_a_secret() {
    let google = GoogleConfig {
        bucket: "lake".into(),
        credentials_file: Some("/nowhere/key.json".into()),
        anonymous: false,
        endpoint: None,
        extra_ca_pem: None,
    };
    assert!(
        matches!(CloudBucket::google(&google), Err(SinkError::Refused(text)) if text.contains("/nowhere/key.json"))
    );
    let azure = AzureConfig {
        account: "account".into(),
        container: "lake".into(),
        access_key: Some(Secret::new("not base64, and secret")),
        endpoint: None,
        extra_ca_pem: None,
    };
    let Err(SinkError::Refused(text)) = CloudBucket::azure(&azure) else { panic!() };
    assert!(!text.contains("secret") && !format!("{azure:?}").contains("secret"), "{text}");
}
