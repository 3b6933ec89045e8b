//! Large objects in parts: a small store that keeps uploads as S3 does, and fails where it is told to.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use levada_delivery::{Attempt, Object, S3Bucket, S3Config, Sink, SinkError, StaticKeys};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use wire::{Request, receive};

const MIB: usize = 1024 * 1024;
const KEY: &str = "logs//ü+ ~/big.gz";
const PATH: &str = "/lake/logs//%C3%BC%2B%20~/big.gz";

/// What the store does to a request whose line begins so.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Answers 500.
    Fails,
    /// Says nothing.
    Hangs,
    /// Does what it is asked and closes the connection without an answer.
    Forgets,
    /// A 200 whose content is an error, as only completions can have.
    FailsLate,
}

#[derive(Default)]
struct State {
    requests: Vec<String>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    objects: BTreeMap<String, Vec<u8>>,
    metadata: Vec<(Option<String>, Option<String>)>,
    faults: Vec<(&'static str, Fault)>,
}

#[derive(Clone)]
struct Store {
    state: Arc<Mutex<State>>,
    endpoint: String,
}

impl Store {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let store = Self { state: Arc::default(), endpoint };
        let server = store.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(server.clone().connection(stream));
            }
        });
        store
    }

    async fn connection(self, mut stream: TcpStream) {
        while let Some(request) = receive(&mut stream).await {
            let Some(answer) = self.answer(&request) else { return };
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    /// `None`: the connection ends; an empty text: nothing comes.
    fn answer(&self, request: &Request) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        let target = request.line.split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap();
        let method = request.line.split(' ').next().unwrap();
        let what = format!("{method} {}", query.split('&').next().unwrap());
        state.requests.push(what.clone());
        let fault = state.faults.iter().find(|(line, _)| what.starts_with(line)).map(|(_, fault)| *fault);
        let http = |status: &str, headers: &str, body: &str| {
            Some(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
        };
        let error = "<Error><Code>InternalError</Code><Message>not today</Message></Error>";
        match fault {
            Some(Fault::Fails) => return http("500 Internal Server Error", "", error),
            Some(Fault::FailsLate) => return http("200 OK", "", error),
            Some(Fault::Hangs) => return Some(String::new()),
            Some(Fault::Forgets) | None => {}
        }
        let of = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name).and_then(|pair| pair.strip_prefix('=')))
                .map(str::to_owned)
        };
        let answer = match (method, of("uploadId")) {
            ("GET", _) => {
                assert_eq!(path.trim_end_matches('/'), "/lake");
                let uploads = state.uploads.keys();
                let list: String =
                    uploads.map(|id| format!("<Upload><Key>{KEY}</Key><UploadId>{id}</UploadId></Upload>")).collect();
                let other = "<Upload><Key>logs//ü+ ~/big.gz.other</Key><UploadId>foreign</UploadId></Upload>";
                http("200 OK", "", &format!("<ListMultipartUploadsResult>{list}{other}</ListMultipartUploadsResult>"))
            }
            ("POST", None) => {
                let id = format!("upload-{}", state.requests.len());
                state.uploads.insert(id.clone(), BTreeMap::new());
                let header = |name: &str| request.header(name).map(str::to_owned);
                state.metadata.push((header("content-type"), header("content-encoding")));
                let body =
                    format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
                http("200 OK", "", &body)
            }
            ("PUT", Some(id)) => {
                let number = of("partNumber").unwrap().parse().unwrap();
                // A part that was on its way when its upload was aborted finds none.
                match state.uploads.get_mut(&id) {
                    Some(parts) => {
                        parts.insert(number, request.body.clone());
                        http("200 OK", &format!("ETag: \"tag-{number}\"\r\n"), "")
                    }
                    None => http("404 Not Found", "", "<Error><Code>NoSuchUpload</Code></Error>"),
                }
            }
            ("POST", Some(id)) => match state.uploads.remove(&id) {
                Some(parts) => {
                    let asked = String::from_utf8(request.body.clone()).unwrap();
                    for (number, part) in &parts {
                        assert!(asked.contains(&format!("<PartNumber>{number}</PartNumber>")), "{asked}");
                        assert!(asked.contains(&format!("tag-{number}")), "{asked}");
                        assert!(part.len() >= 5 * MIB || usize::try_from(*number).unwrap() == parts.len());
                    }
                    state.objects.insert(path.to_owned(), parts.into_values().flatten().collect());
                    http("200 OK", "", "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
                }
                None => http("404 Not Found", "", "<Error><Code>NoSuchUpload</Code></Error>"),
            },
            ("DELETE", Some(id)) => match state.uploads.remove(&id) {
                Some(_) => http("204 No Content", "", ""),
                None => http("404 Not Found", "", "<Error><Code>NoSuchUpload</Code></Error>"),
            },
            ("PUT", None) => {
                state.objects.insert(path.to_owned(), request.body.clone());
                http("200 OK", "", "")
            }
            other => panic!("{other:?}"),
        };
        if fault == Some(Fault::Forgets) { None } else { answer }
    }

    fn fault(&self, line: &'static str, fault: Fault) {
        self.state.lock().unwrap().faults.push((line, fault));
    }

    fn well_again(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    fn with<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.state.lock().unwrap())
    }

    fn bucket(&self) -> S3Bucket {
        S3Bucket::new(S3Config {
            endpoint: Some(self.endpoint.clone()),
            region: None,
            keys: Some(StaticKeys {
                access_key_id: "AKIAEXAMPLE".into(),
                secret_access_key: "very-secret".into(),
                session_token: None,
            }),
            extra_ca_pem: None,
        })
    }
}

fn content(bytes: usize) -> Bytes {
    (0..bytes).map(|n| (n % 251) as u8).collect::<Vec<_>>().into()
}

fn object(body: Bytes) -> Object {
    Object { bucket: "lake".into(), key: KEY.into(), content_encoding: Some("gzip"), body, attempt: Attempt::default() }
}

#[tokio::test]
async fn objects_of_more_than_16_mib_go_in_parts_of_8_mib() {
    let rows = [
        (16 * MIB, &["PUT x-id=PutObject"][..]),
        (
            16 * MIB + 1,
            &[
                "GET uploads",
                "POST uploads",
                "PUT x-id=UploadPart",
                "PUT x-id=UploadPart",
                "PUT x-id=UploadPart",
                "POST uploadId=upload-2",
            ],
        ),
    ];
    for (bytes, requests) in rows {
        let store = Store::start().await;
        let body = content(bytes);
        assert_eq!(store.bucket().put(object(body.clone())).await, Ok(()));
        store.with(|state| {
            assert_eq!(state.requests, requests);
            assert!(state.objects[PATH] == body, "the content of {bytes} bytes");
            assert_eq!(state.objects.len(), 1);
            assert!(state.uploads.is_empty());
            let wanted = (Some("application/octet-stream".to_owned()), Some("gzip".to_owned()));
            assert!(state.metadata.iter().all(|metadata| *metadata == wanted), "{:?}", state.metadata);
        });
    }
}

/// One row, one failure: the object is not there, no upload stays, and the next attempt succeeds.
#[tokio::test]
async fn a_failure_leaves_nothing_behind() {
    let rows = [
        ("POST uploads", Fault::Fails),
        ("PUT x-id=UploadPart", Fault::Fails),
        ("PUT x-id=UploadPart", Fault::Forgets),
        ("POST uploadId", Fault::Fails),
        ("POST uploadId", Fault::FailsLate),
    ];
    for (line, fault) in rows {
        let store = Store::start().await;
        store.fault(line, fault);
        let bucket = store.bucket();
        let answer = bucket.put(object(content(16 * MIB + 1))).await;
        assert!(matches!(answer, Err(SinkError::Unavailable(_))), "{line}: {answer:?}");
        store.with(|state| {
            assert!(state.objects.is_empty(), "{line}");
            assert!(state.uploads.is_empty(), "{line}: {:?}", state.requests);
        });
        store.well_again();
        assert_eq!(bucket.put(object(content(16 * MIB + 1))).await, Ok(()), "{line}");
        store.with(|state| assert_eq!((state.objects.len(), state.uploads.len()), (1, 0), "{line}"));
    }
}

#[tokio::test]
async fn a_store_that_cannot_list_uploads_gets_the_object_all_the_same() {
    let store = Store::start().await;
    store.fault("GET uploads", Fault::Fails);
    assert_eq!(store.bucket().put(object(content(17 * MIB))).await, Ok(()));
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_is_aborted() {
    let store = Store::start().await;
    store.fault("PUT x-id=UploadPart", Fault::Hangs);
    let bucket = store.bucket();
    let put = bucket.put(object(content(16 * MIB + 1)));
    assert!(timeout(Duration::from_secs(2), put).await.is_err(), "it hangs");
    timeout(Duration::from_secs(20), async {
        while !store
            .with(|state| state.uploads.is_empty() && state.requests.iter().any(|line| line.starts_with("DELETE")))
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_a_process_left_that_died_is_aborted_before_the_next_attempt() {
    let store = Store::start().await;
    store.state.lock().unwrap().uploads.insert("of-the-dead".into(), BTreeMap::new());
    assert_eq!(store.bucket().put(object(content(17 * MIB))).await, Ok(()));
    store.with(|state| {
        assert!(state.uploads.is_empty());
        let aborted: Vec<_> = state.requests.iter().filter(|line| line.starts_with("DELETE")).collect();
        assert_eq!(aborted.len(), 1, "the upload of another key is not ours: {aborted:?}");
    });
}
