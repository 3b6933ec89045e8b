//! A destination that misbehaves when it is told to: HTTP endpoint, Splunk's HEC with acknowledgements, `_bulk`, and an
//! S3-compatible store; also a function that transforms records.
//!
//! ```text
//! POST /services/collector/raw|event|ack    Splunk's HTTP Event Collector
//! POST …/_bulk                              OpenSearch
//! POST /2015-03-31/functions/…              a function, by Lambda's Invoke API
//! POST anything else                        AWS's HTTP endpoint protocol
//! PUT  /BUCKET/KEY                          an S3-compatible store
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
mod function;
mod hec;
mod http_endpoint;
mod store;
mod wire;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub use self::faults::{Fault, Plan, RandomFaults};
use self::hec::Acks;
use self::wire::{Answer, Connection, Form, Incoming};

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `http`, `hec`, `ack`, `bulk`, `function` or `s3`.
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

/// A record that was taken; of a function, one that it dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which request brought it, from 0.
    pub request: usize,
    /// In base64. Of Splunk and of a store the whole body, as the receiver looks for no events.
    pub data: String,
    /// The index of a document.
    pub index: Option<String>,
    /// The id of a document; of an object bucket and key, as in the path.
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
    /// `None` while it is dead.
    work: Option<JoinHandle<()>>,
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
        Ok(Self { address, state, work: Some(work) })
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

    /// Ends its connections and refuses others. What it has taken is not forgotten.
    pub async fn die(&mut self) {
        if let Some(work) = self.work.take() {
            work.abort();
            // That it was aborted is all it can say.
            let _ = work.await;
        }
    }

    /// Listens again, at the same address.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn revive(&mut self) -> io::Result<()> {
        self.die().await;
        let listener = TcpListener::bind(self.address).await?;
        self.work = Some(tokio::spawn(serve(listener, self.state.clone())));
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            work.abort();
        }
    }
}

async fn serve(listener: TcpListener, state: Shared) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let state = state.clone();
        // An error is the client's end of the connection.
        connections.spawn(async move { converse(&state, stream).await.unwrap_or_default() });
    }
}

/// Answers until the client or the plan ends the connection.
async fn converse(state: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    while let Some(incoming) = connection.read().await? {
        let Some(answer) = answer(state, incoming).await else { break };
        if !connection.write(&answer).await? {
            break;
        }
    }
    Ok(())
}

/// What a request speaks.
fn protocol(method: &str, path: &str) -> &'static str {
    match path.split('?').next().unwrap_or_default() {
        _ if method == "PUT" => "s3",
        path if path.ends_with("/_bulk") => "bulk",
        path if path.ends_with("/services/collector/ack") => "ack",
        path if path.contains("/services/collector/") => "hec",
        path if path.contains("/2015-03-31/functions/") => "function",
        _ => "http",
    }
}

/// The answer to a request; `None` if the connection is to be closed instead.
async fn answer(state: &Shared, incoming: Incoming) -> Option<Answer> {
    if let Some(command) = incoming.path.strip_prefix("/_control/") {
        return Some(control(state, &incoming.method, command, &incoming.body));
    }
    let is_gzip = incoming.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let bytes = incoming.body.len();
    let content = if is_gzip { gunzip(&incoming.body)? } else { incoming.body };
    let protocol = protocol(&incoming.method, &incoming.path);
    let fault = state.lock().plan.next(protocol == "ack");
    let request = Request {
        protocol: protocol.to_owned(),
        path: incoming.path,
        headers: incoming.headers,
        bytes,
        id: String::new(),
        fault: fault.clone(),
        taken: 0,
    };
    let take = |request: Request| {
        let mut state = state.lock();
        match protocol {
            "bulk" => bulk::take(&mut state, request, &content),
            "ack" => hec::question(&mut state, request, &content),
            "hec" => hec::take(&mut state, request, &content),
            "function" => function::invoke(&mut state, request, &content),
            "s3" => store::put(&mut state, request, &content),
            _ => http_endpoint::take(&mut state, request, &content),
        }
    };
    let leave = |request: Request| state.lock().requests.push(request);
    match fault {
        Some(Fault::Status { status, body }) => {
            leave(request);
            Some(Answer::json(status, body.unwrap_or_default()))
        }
        Some(Fault::Garbage) => {
            leave(request);
            Some(Answer::json(200, "<html>It works!</html>"))
        }
        Some(Fault::Cut) => {
            leave(request);
            None
        }
        Some(Fault::Hang) => {
            leave(request);
            std::future::pending().await
        }
        Some(Fault::Slow { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Some(take(request))
        }
        Some(Fault::CutAfter) => {
            take(request);
            None
        }
        Some(Fault::HalfAnswer) => Some(Answer { form: Form::Half, ..take(request) }),
        Some(Fault::NoLength) => Some(Answer { form: Form::Chunked, ..take(request) }),
        Some(Fault::WrongType) => Some(Answer { kind: "text/plain", ..take(request) }),
        Some(Fault::LargeAnswer { bytes }) => {
            let mut answer = take(request);
            answer.body.resize(answer.body.len() + bytes, b' ');
            Some(answer)
        }
        // The rest shows in what the protocols say.
        _ => Some(take(request)),
    }
}

fn control(state: &Shared, method: &str, command: &str, body: &[u8]) -> Answer {
    let mut state = state.lock();
    match (method, command) {
        ("POST", "plan") => match serde_json::from_slice(body) {
            Ok(plan) => {
                state.plan = plan;
                Answer::json(200, "{}")
            }
            Err(error) => Answer::json(400, error.to_string()),
        },
        ("POST", "reset") => {
            *state = State::default();
            Answer::json(200, "{}")
        }
        ("GET", "requests") => Answer::json(200, lines(&state.requests)),
        ("GET", "records") => Answer::json(200, lines(&state.records)),
        _ => Answer::json(404, "{}"),
    }
}

fn lines(all: &[impl Serialize]) -> Vec<u8> {
    let mut lines = Vec::new();
    for one in all {
        // Structs of texts and numbers always have a JSON form.
        let _ = serde_json::to_writer(&mut lines, one);
        lines.push(b'\n');
    }
    lines
}

fn gunzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(body).read_to_end(&mut content).ok()?;
    Some(content)
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
