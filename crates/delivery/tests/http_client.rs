//! The HTTP client against servers of its own.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "a server of TLS in a thread of its own")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use levada_conformance::receiver::{Fault, Plan, Receiver};
use levada_delivery::http::client::{Client, ClientConfig, ClientError};
use levada_delivery::http::{Address, HttpClient, HttpError, HttpRequest, Method, Secret};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const CA: &[u8] = include_bytes!("tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/localhost.pem");
/// Of no use beyond these tests.
const KEY: &[u8] = include_bytes!("tls/localhost.key");

fn client() -> Client {
    Client::new(&ClientConfig::default()).unwrap()
}

fn request(url: &str, mapped: Option<&str>) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        address: Address { url: url.to_owned(), mapped: mapped.map(str::to_owned) },
        path: String::new(),
        headers: Vec::new(),
        secret_headers: Vec::new(),
        body: Bytes::from_static(b"hello"),
        timeout: Duration::from_secs(5),
        max_response_bytes: 1 << 20,
    }
}

async fn receiver(fault: Fault) -> Receiver {
    let receiver = Receiver::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    receiver.plan(Plan { always: Some(fault), ..Plan::default() });
    receiver
}

#[tokio::test]
async fn nothing_local_is_reached_without_a_mapping() {
    let receiver = receiver(Fault::None).await;
    let port = receiver.url().rsplit_once(':').unwrap().1.to_owned();
    let client = client();
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "①②⑦.⓪.⓪.①",
        "example.com@127.0.0.1",
    ] {
        let answer = client.send(request(&format!("https://{host}:{port}/"), None)).await;
        assert!(matches!(answer, Err(HttpError::Forbidden(_))), "{host}: {answer:?}");
    }
    for url in ["http://example.com/", "ftp://example.com/", "file:///etc/passwd", "", "arn:aws:es:x"] {
        let answer = client.send(request(url, None)).await;
        assert!(matches!(answer, Err(HttpError::Forbidden(_))), "{url}: {answer:?}");
    }
    assert_eq!(receiver.requests(), []);
    // The same address, mapped.
    let answer = client.send(request("https://example.com", Some(&receiver.url()))).await.unwrap();
    assert_eq!(answer.status, 400, "reached, though it is no endpoint's request");
}

#[tokio::test]
async fn the_target_of_a_mapping_and_the_path_make_the_url() {
    let receiver = receiver(Fault::None).await;
    for (target, path) in [("", ""), ("/", ""), ("/a", ""), ("/a?x=%20y", ""), ("", "/_bulk"), ("/a/", "/_bulk?q=1")] {
        let mapped = format!("{}{target}", receiver.url());
        let request = HttpRequest { path: path.to_owned(), ..request("https://example.com", Some(&mapped)) };
        client().send(request).await.unwrap();
    }
    let paths: Vec<String> = receiver.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/", "/", "/a", "/a?x=%20y", "/_bulk", "/a/_bulk?q=1"]);
}

#[tokio::test]
async fn redirects_are_answers_and_time_and_size_are_bounded() {
    let send = async |fault: Fault, max_response_bytes: usize| {
        let receiver = receiver(fault).await;
        let timeout = Duration::from_millis(500);
        let request = request("https://example.com", Some(&receiver.url()));
        let answer = client().send(HttpRequest { timeout, max_response_bytes, ..request }).await;
        assert_eq!(receiver.requests().len(), 1);
        answer
    };
    let redirect = send(Fault::Status { status: 307, body: None }, 0).await.unwrap();
    assert_eq!((redirect.status, redirect.header("location")), (307, Some("/followed")));
    assert_eq!(send(Fault::Hang, 1000).await, Err(HttpError::Timeout(Duration::from_millis(500))));
    assert_eq!(send(Fault::LargeAnswer { bytes: 1000 }, 1000).await, Err(HttpError::TooLarge(1000)));
    assert!(matches!(send(Fault::Cut, 1000).await, Err(HttpError::Closed(_))));
    assert!(matches!(send(Fault::HalfAnswer, 1000).await, Err(HttpError::Closed(_))));
    let chunked = send(Fault::NoLength, 10).await;
    assert_eq!(chunked, Err(HttpError::TooLarge(10)), "without a length too");
}

#[tokio::test]
async fn headers_that_cannot_be_sent_are_refused_and_not_shown() {
    let receiver = receiver(Fault::None).await;
    let url = receiver.url();
    let bad = HttpRequest {
        secret_headers: vec![("x-key".to_owned(), Secret::new("hush\r\nx-more: 1"))],
        ..request("https://example.com", Some(&url))
    };
    let refused = client().send(bad).await;
    assert_eq!(refused, Err(HttpError::Forbidden("the header x-key cannot be sent".to_owned())));
    assert_eq!(receiver.requests(), []);
}

#[tokio::test]
async fn errors_do_not_name_the_url() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let mapped = format!("http://user:word@{address}/token");
    let answer = client().send(request("https://example.com/secret", Some(&mapped))).await;
    let Err(HttpError::Connect(reason)) = answer else { panic!("{answer:?}") };
    assert!(
        !reason.is_empty() && !["user", "word", "token", "secret"].iter().any(|part| reason.contains(part)),
        "{reason}"
    );
}

/// Answers every request by 200 and keeps its connections; the heads of requests, by connection.
fn keeping_server() -> (SocketAddr, Arc<Mutex<Vec<Vec<String>>>>) {
    let heads: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let seen = Arc::clone(&heads);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let seen = Arc::clone(&seen);
            let connection = {
                let mut seen = seen.lock().unwrap();
                seen.push(Vec::new());
                seen.len() - 1
            };
            std::thread::spawn(move || {
                let mut text = String::new();
                let mut bytes = [0; 4096];
                while let Ok(len @ 1..) = socket.read(&mut bytes) {
                    text.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
                    if let Some((head, "hello")) = text.split_once("\r\n\r\n") {
                        seen.lock().unwrap()[connection].push(head.to_owned());
                        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                        text.clear();
                    }
                }
            });
        }
    });
    (address, heads)
}

/// A server may close a kept connection just as a request is sent on it; those of many do so after a few seconds.
#[tokio::test]
async fn a_connection_is_kept_for_a_backlog_and_not_for_long() {
    let (address, heads) = keeping_server();
    let (client, url) = (client(), format!("http://{address}"));
    let send = || client.send(request("https://example.com", Some(&url)));
    for _ in 0..3 {
        assert_eq!(send().await.unwrap().status, 200);
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(send().await.unwrap().status, 200);
    let requests: Vec<usize> = heads.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(requests, [3, 1]);
}

#[tokio::test]
async fn names_of_headers_are_spelled_as_aws_does() {
    let (address, heads) = keeping_server();
    let mut request = request("https://example.com", Some(&format!("http://{address}")));
    request.headers = vec![("x-amz-firehose-request-id".to_owned(), "1".to_owned())];
    request.secret_headers = vec![("x-amz-firehose-access-key".to_owned(), Secret::new("Key"))];
    assert_eq!(client().send(request).await.unwrap().status, 200);
    let head = heads.lock().unwrap()[0][0].clone();
    for line in ["X-Amz-Firehose-Request-Id: 1", "X-Amz-Firehose-Access-Key: Key", "Content-Length: 5"] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
}

/// Answers each connection's first request by 200, over TLS; the port.
fn tls_server() -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::Stream::new(&mut session, &mut socket);
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok_and(|len| len > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK");
                let _ = stream.flush();
            }
        }
    });
    port
}

#[tokio::test]
async fn certificates_are_checked_and_further_ones_may_be_trusted() {
    let port = tls_server();
    let to = |host: &str| request("https://example.com", Some(&format!("https://{host}:{port}/")));
    let trusting = Client::new(&ClientConfig { extra_ca: Some(CA.to_vec()) }).unwrap();
    assert_eq!(trusting.send(to("localhost")).await.unwrap().body, "OK");
    for (client, host, expected) in
        [(client(), "localhost", "UnknownIssuer"), (trusting, "127.0.0.1", "NotValidForName")]
    {
        let answer = client.send(to(host)).await;
        let Err(HttpError::Connect(reason)) = answer else { panic!("{host}: {answer:?}") };
        assert!(HttpError::is_tls(&reason) && reason.contains(expected), "{reason}");
    }
    for (pem, expected) in [("", "no certificate"), ("hello", "no certificate")] {
        let refused = Client::new(&ClientConfig { extra_ca: Some(pem.into()) });
        let Err(ClientError::ExtraCa(reason)) = refused else { panic!("{refused:?}") };
        assert!(reason.contains(expected), "{reason}");
    }
}
