//! Functions behind the Lambda Invoke API, and local commands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use levada_core::engine::BoxFuture;

use super::super::function::{MAX_REPLY_BYTES, TIME_LIMIT};
use super::super::{CommandFunction, Function, FunctionError, HttpFunction, SaidBy};
use crate::http::{Address, HttpClient, HttpError, HttpRequest, HttpResponse, Method};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// Answers one thing, and remembers what it was asked.
#[derive(Debug)]
struct Client {
    answer: Result<HttpResponse, HttpError>,
    asked: Mutex<Vec<HttpRequest>>,
}

impl HttpClient for Client {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        self.asked.lock().unwrap().push(request);
        Box::pin(async { self.answer.clone() })
    }
}

fn address(url: &str) -> Address {
    Address { url: ARN.into(), mapped: Some(url.into()) }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Result<HttpResponse, HttpError> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Ok(HttpResponse { status, headers, body: Bytes::from_static(body.as_bytes()) })
}

async fn invoke(
    url: &str,
    arn: &str,
    answer: Result<HttpResponse, HttpError>,
) -> (HttpRequest, Result<Bytes, FunctionError>) {
    let client = Arc::new(Client { answer, asked: Mutex::default() });
    let function = HttpFunction::new(Arc::clone(&client) as Arc<dyn HttpClient>, address(url), arn);
    let result = function.invoke(Bytes::from_static(b"{\"in\":1}")).await;
    let asked = client.asked.lock().unwrap().remove(0);
    (asked, result)
}

#[tokio::test]
async fn where_a_function_is_called() {
    let path = "/2015-03-31/functions/f/invocations";
    for (url, arn, expected) in [
        ("http://127.0.0.1:3001", ARN, path),
        // The client joins them by one slash.
        ("http://127.0.0.1:3001/", ARN, path),
        ("http://127.0.0.1:3001/lambda", ARN, path),
        ("http://127.0.0.1:3001", "f", path),
        ("http://127.0.0.1:3001", &format!("{ARN}:live"), "/2015-03-31/functions/f/invocations?Qualifier=live"),
        ("http://127.0.0.1:3001", &format!("{ARN}:$LATEST"), "/2015-03-31/functions/f/invocations?Qualifier=%24LATEST"),
        ("http://127.0.0.1:9000/2015-03-31/functions/function/invocations", ARN, ""),
    ] {
        let (request, _) = invoke(url, arn, answer(200, &[], "{}")).await;
        assert_eq!(request.path, expected, "{url} {arn}");
        assert_eq!((request.method, &request.address), (Method::Post, &address(url)));
        assert_eq!((request.timeout, request.max_response_bytes), (TIME_LIMIT, MAX_REPLY_BYTES));
        assert_eq!(request.body, Bytes::from_static(b"{\"in\":1}"));
        assert!(request.headers.contains(&("x-amz-invocation-type".into(), "RequestResponse".into())));
    }
}

#[tokio::test]
async fn what_an_answer_means() {
    let failed = |kind: &str| Err(FunctionError::Failed(kind.into()));
    let unavailable = |why: &str| Err(FunctionError::Unavailable(why.into()));
    for (answer, expected) in [
        (answer(200, &[], "{\"out\":1}"), Ok(Bytes::from_static(b"{\"out\":1}"))),
        (answer(200, &[("x-amz-function-error", "Unhandled")], "{}"), failed("Unhandled")),
        (answer(401, &[], ""), Err(FunctionError::Denied)),
        (answer(403, &[], ""), Err(FunctionError::Denied)),
        (answer(404, &[], ""), Err(FunctionError::NotFound)),
        (answer(429, &[], ""), Err(FunctionError::Throttled)),
        (answer(302, &[], ""), unavailable("status 302")),
        (answer(413, &[], ""), unavailable("status 413")),
        (answer(500, &[], ""), unavailable("status 500")),
        (Err(HttpError::Timeout(TIME_LIMIT)), Err(FunctionError::TimedOut)),
        (Err(HttpError::TooLarge(7)), failed("an answer of more than 7 bytes")),
        (Err(HttpError::Connect("refused".into())), unavailable("cannot connect: refused")),
        (Err(HttpError::Forbidden("x".into())), unavailable("address not permitted: x")),
    ] {
        assert_eq!(invoke("http://127.0.0.1:1", ARN, answer.clone()).await.1, expected, "{answer:?}");
    }
}

/// Through the real client, to a server that reads a request and answers it.
#[cfg(feature = "http")]
#[tokio::test]
async fn a_function_over_the_network() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{\"in\":1}") {
            socket.read_buf(&mut request).await.unwrap();
        }
        let reply = "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Handled\r\nContent-Length: 2\r\n\r\n{}";
        socket.write_all(reply.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let client = crate::http::client::Client::new(&crate::http::client::ClientConfig::default()).unwrap();
    let function = HttpFunction::new(Arc::new(client), address(&url), ARN);
    let payload = Bytes::from_static(b"{\"in\":1}");
    assert_eq!(function.invoke(payload.clone()).await, Err(FunctionError::Failed("Handled".into())));
    let request = server.await.unwrap();
    assert!(request.starts_with("POST /2015-03-31/functions/f/invocations HTTP/1.1\r\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains("x-amz-invocation-type: requestresponse\r\n"), "{request}");
    // Nobody listens any more.
    assert!(matches!(function.invoke(payload).await, Err(FunctionError::Unavailable(_))));
}

fn shell(script: &str) -> CommandFunction {
    CommandFunction::new(&["sh".into(), "-c".into(), script.into()], None, SaidBy::default()).unwrap()
}

#[tokio::test]
async fn a_command_reads_the_event_and_writes_the_reply() {
    let payload = Bytes::from(vec![b'x'; 3 * 1024 * 1024]);
    assert_eq!(shell("cat").invoke(payload.clone()).await, Ok(payload.clone()));
    // It need not read.
    assert_eq!(shell("echo '{}'").invoke(payload.clone()).await, Ok(Bytes::from_static(b"{}\n")));
    // Nor wait with its reply until it has read.
    let early = "head -c 1000000 /dev/zero; cat > /dev/null";
    assert_eq!(shell(early).invoke(payload).await.map(|reply| reply.len()), Ok(1_000_000));
}

#[tokio::test]
async fn what_the_end_of_a_command_means() {
    let failed = |result: Result<Bytes, FunctionError>| match result {
        Err(FunctionError::Failed(why)) => why,
        other => panic!("{other:?}"),
    };
    let invoke = async |script: &str| shell(script).invoke(Bytes::from_static(b"{}")).await;
    assert!(failed(invoke("echo '{}'; exit 3").await).contains('3'));
    assert!(failed(invoke("kill -9 $$").await).contains('9'));
    assert!(failed(invoke("head -c 7000000 /dev/zero").await).contains("6291556"));
    let nothing = CommandFunction::new(&["/no/such/program".into()], None, SaidBy::default()).unwrap();
    assert!(matches!(nothing.invoke(Bytes::new()).await, Err(FunctionError::Unavailable(_))));
    assert!(CommandFunction::new(&[], None, SaidBy::default()).is_none());
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let script = format!("exec 2>&-; sleep 1; echo late > {}", trace.display());
    let function = shell(&script).with_time_limit(Duration::from_millis(100));
    assert_eq!(function.invoke(Bytes::new()).await, Err(FunctionError::TimedOut));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!trace.exists(), "it went on");
    // One that does not read, with more than a pipe holds.
    let function = shell("sleep 5").with_time_limit(Duration::from_millis(100));
    assert_eq!(function.invoke(Bytes::from(vec![0; 1 << 20])).await, Err(FunctionError::TimedOut));
}

/// However much it says, and to the last word; what it has started and left behind holds nothing up.
#[tokio::test]
async fn what_a_command_says_on_the_side_is_read() {
    let much = "head -c 1000000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; echo '{}'";
    assert_eq!(shell(much).invoke(Bytes::new()).await, Ok(Bytes::from_static(b"{}\n")));
    let child = "sleep 5 >/dev/null </dev/null & echo '{}'";
    let began = tokio::time::Instant::now();
    assert_eq!(shell(child).invoke(Bytes::new()).await, Ok(Bytes::from_static(b"{}\n")));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "a file of the test")]
async fn a_command_runs_in_the_directory_of_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("reply.json"), "{\"from\":\"here\"}").unwrap();
    let command = ["cat".to_owned(), "reply.json".to_owned()];
    let function = CommandFunction::new(&command, Some(directory.path()), SaidBy::default()).unwrap();
    assert_eq!(function.invoke(Bytes::new()).await, Ok(Bytes::from_static(b"{\"from\":\"here\"}")));
    let nowhere = CommandFunction::new(&["./none".to_owned()], Some(directory.path()), SaidBy::default()).unwrap();
    let Err(FunctionError::Unavailable(why)) = nowhere.invoke(Bytes::new()).await else { panic!("there is none") };
    assert!(why.contains(&directory.path().display().to_string()), "{why}");
}
