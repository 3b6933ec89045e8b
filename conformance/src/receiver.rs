//! A destination that misbehaves when it is told to: HTTP endpoint, Splunk's HEC with acknowledgements, and `_bulk`.
//!
//! ```text
//! POST /services/collector/raw|event|ack    Splunk's HTTP Event Collector
//! POST …/_bulk                              OpenSearch
//! POST anything else                        AWS's HTTP endpoint protocol
//!
//! POST /_control/plan      a Plan: what goes wrong from now on
//! GET  /_control/requests  a JSON line for each request there was (a Request)
//! GET  /_control/records   a JSON line for each record that was taken (a Record)
//! POST /_control/reset     forgets all, plan included
//! ```
//!
//! The receiver takes a request's records even if its answer says otherwise, where the plan says so: that is how
//! duplicates come about. What it has taken stays in memory.

mod bulk;
mod faults;
mod hec;
mod http_endpoint;
mod reply;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::faults::{Fault, Plan, RandomFaults};
use self::hec::Acks;
use self::reply::{Broken, Reply};

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `http`, `hec`, `ack` or `bulk`.
    pub protocol: String,
    /// With its query.
    pub path: String,
    /// Names in lower case; of a repeated one the last.
    pub headers: BTreeMap<String, String>,
    /// Bytes of the body as they came.
    pub bytes: usize,
    /// The request id of an HTTP endpoint request, the acknowledgement id of Splunk, or empty.
    pub id: String,
    /// What went wrong with it.
    pub fault: Option<Fault>,
    /// How many records of it were taken.
    pub taken: usize,
}

/// A record that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which request brought it, from 0.
    pub request: usize,
    /// In base64. Of Splunk the whole body, as the receiver looks for no events.
    pub data: String,
    /// The index of a document.
    pub index: Option<String>,
    /// The id of a document.
    pub id: Option<String>,
}

impl Record {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        base64_simd::STANDARD.decode_to_vec(&self.data).unwrap_or_default()
    }
}

/// What there was so far.
#[derive(Default)]
struct State {
    plan: Plan,
    requests: Vec<Request>,
    records: Vec<Record>,
    acks: Acks,
}

/// A running receiver. Dropping it ends it.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Shared,
    work: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<State>>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Starts one within the current runtime.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn start(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = Shared::default();
        let work = tokio::spawn(serve(listener, state.clone()));
        Ok(Self { address, state, work })
    }

    /// `http://HOST:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says what goes wrong from now on.
    pub fn plan(&self, plan: Plan) {
        self.state.lock().plan = plan;
    }

    /// The requests there were.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }

    /// The records that were taken.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.state.lock().records.clone()
    }

    /// Ends it, with its connections.
    pub fn stop(self) {}
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn serve(listener: TcpListener, state: Shared) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| handle(state.clone(), request));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn handle(state: Shared, request: HttpRequest<Incoming>) -> Result<Response<Reply>, Broken> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if let Some(command) = path.strip_prefix("/_control/") {
        return Ok(control(&state, &head.method, command, &body));
    }
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: BTreeMap<_, _> =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let is_gzip = headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let content = if is_gzip { gunzip(&body).ok_or(Broken)? } else { body.clone() };
    let protocol = match head.uri.path() {
        path if path.ends_with("/_bulk") => "bulk",
        path if path.ends_with("/services/collector/ack") => "ack",
        path if path.contains("/services/collector/") => "hec",
        _ => "http",
    };
    let protocol = protocol.to_owned();
    let request = Request { protocol, path, headers, bytes: body.len(), id: String::new(), fault: None, taken: 0 };
    answer(&state, request, &content).await
}

/// Takes a request, or not, and answers it, or not.
async fn answer(state: &Shared, mut request: Request, content: &[u8]) -> Result<Response<Reply>, Broken> {
    let fault = state.lock().plan.next(request.protocol == "ack");
    request.fault.clone_from(&fault);
    let take = |request: Request| {
        let mut state = state.lock();
        match request.protocol.as_str() {
            "bulk" => bulk::take(&mut state, request, content),
            "ack" => hec::question(&mut state, request, content),
            "hec" => hec::take(&mut state, request, content),
            _ => http_endpoint::take(&mut state, request, content),
        }
    };
    let leave = |request: Request| state.lock().requests.push(request);
    match fault {
        Some(Fault::Status { status, body }) => {
            leave(request);
            Ok(reply::whole(status, Bytes::from(body.unwrap_or_default())))
        }
        Some(Fault::Cut) => {
            leave(request);
            Err(Broken)
        }
        Some(Fault::Hang) => {
            leave(request);
            std::future::pending().await
        }
        Some(Fault::Garbage) => {
            leave(request);
            Ok(reply::whole(200, Bytes::from_static(b"<html>It works!</html>")))
        }
        Some(Fault::Slow { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            let (status, body) = take(request);
            Ok(reply::whole(status, body))
        }
        Some(Fault::CutAfter) => {
            let _ = take(request);
            Err(Broken)
        }
        Some(Fault::HalfAnswer) => {
            let (status, body) = take(request);
            Ok(reply::half(status, &body))
        }
        Some(Fault::NoLength) => {
            let (status, body) = take(request);
            Ok(reply::chunked(status, body))
        }
        Some(Fault::WrongType) => {
            let (status, body) = take(request);
            Ok(reply::typed(status, body, "text/plain"))
        }
        Some(Fault::LargeAnswer { bytes }) => {
            let (status, body) = take(request);
            Ok(reply::whole(status, Bytes::from([&body[..], &vec![b' '; bytes]].concat())))
        }
        // The rest shows in what the protocols say.
        _ => {
            let (status, body) = take(request);
            Ok(reply::whole(status, body))
        }
    }
}

fn control(state: &Shared, method: &Method, command: &str, body: &[u8]) -> Response<Reply> {
    let mut state = state.lock();
    match (method, command) {
        (&Method::POST, "plan") => match serde_json::from_slice(body) {
            Ok(plan) => {
                state.plan = plan;
                reply::whole(200, Bytes::from_static(b"{}"))
            }
            Err(error) => reply::whole(400, Bytes::from(error.to_string())),
        },
        (&Method::POST, "reset") => {
            *state = State::default();
            reply::whole(200, Bytes::from_static(b"{}"))
        }
        (&Method::GET, "requests") => reply::whole(200, lines(&state.requests)),
        (&Method::GET, "records") => reply::whole(200, lines(&state.records)),
        _ => reply::whole(404, Bytes::from_static(b"{}")),
    }
}

fn lines(all: &[impl Serialize]) -> Bytes {
    let mut lines = Vec::new();
    for one in all {
        // Structs of texts and numbers always have a JSON form.
        let _ = serde_json::to_writer(&mut lines, one);
        lines.push(b'\n');
    }
    Bytes::from(lines)
}

fn gunzip(body: &[u8]) -> Option<Bytes> {
    let mut content = Vec::new();
    GzDecoder::new(body).read_to_end(&mut content).ok()?;
    Some(Bytes::from(content))
}

impl State {
    /// Notes a request whose records are taken.
    fn taken(&mut self, mut request: Request, records: impl IntoIterator<Item = Record>) {
        let before = self.records.len();
        self.records.extend(records);
        request.taken = self.records.len() - before;
        self.requests.push(request);
    }

    /// The place of the request that is being taken.
    fn place(&self) -> usize {
        self.requests.len()
    }
}
