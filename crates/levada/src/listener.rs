//! Sockets to requests: accepts connections, tells HTTP/1.1 from HTTP/2 with prior knowledge by the first bytes,
//! reads each body up to the ceiling and hands whole requests to the node.
//!
//! Architecture invariant: sockets are opened here and nowhere else; [`Accept`] is the seam at which a simulated
//! network takes their place.
//!
//! What clients can make it hold is bounded: connections, bytes of requests, bytes of answers that they do not read
//! (see [`memory`](crate::memory)), and for how long they may leave them unread ([`progress`]).

pub mod progress;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::progress::{Progress, Watched};
use crate::body::Body;
use crate::memory::Answers;
use crate::node::Node;

/// Largest request body in bytes. The largest valid one is a `PutRecords` of 10 MiB in base64 (13.4 MiB) with its
/// keys and JSON around it.
pub const MAX_BODY_BYTES: usize = 16 << 20;

/// How long a client may take to send a request's head, its first one included.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to send a body, once there is room for it.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Bodies of all requests under way, in units of [`BODY_UNIT`]. Whoever comes when they are taken waits.
const BODY_UNITS: usize = 128 * 1024;

/// Bytes of a body that count as one.
const BODY_UNIT: usize = 1024;

/// Requests that one HTTP/2 connection may have under way.
const STREAMS_PER_CONNECTION: u32 = 128;

/// How often an HTTP/2 connection is asked whether the other side is still there, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long requests in flight may take to finish after SIGTERM.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait after a failed accept (out of file descriptors) before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where connections come from.
pub trait Accept: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection.
    ///
    /// # Errors
    /// Those of the network; the listener goes on after a pause.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

impl Accept for tokio::net::TcpListener {
    type Io = tokio::net::TcpStream;

    async fn accept(&mut self) -> io::Result<Self::Io> {
        let (io, _) = tokio::net::TcpListener::accept(self).await?;
        io.set_nodelay(true)?;
        Ok(io)
    }
}

/// Opens the listening socket.
///
/// # Errors
/// Those of the operating system, e.g. the port is taken.
pub async fn bind(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address).await
}

/// Serves connections until `stop` resolves, then finishes what is in flight.
pub async fn serve(mut accept: impl Accept, node: Arc<Node>, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let bodies = Arc::new(Semaphore::new(BODY_UNITS));
    let mut ceiling = Ceiling::of(node.config.connections);
    let mut stop = pin!(stop);
    loop {
        // In a fixed order, so that a simulation is a function of its seed.
        tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept.accept() => match accepted {
                Ok(io) => {
                    if let Some(place) = ceiling.place() {
                        spawn_connection(io, place, Arc::clone(&node), Arc::clone(&bodies), &graceful);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(accept);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections still busy at the end of the grace period are cut");
    }
}

/// How many connections there may be. One more is closed at once: its client learns that soonest, and can try again,
/// while one that waited in a queue behind idle connections might wait for ever.
struct Ceiling {
    places: Arc<Semaphore>,
    connections: usize,
    /// The operator is told once, until there was room again.
    told: bool,
}

impl Ceiling {
    fn of(connections: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(connections)), connections, told: false }
    }

    /// A place for one more connection, which it holds as long as it lasts.
    fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() && !self.told {
            tracing::warn!(connections = self.connections, "there are as many connections as there may be");
        }
        self.told = place.is_none();
        place
    }
}

fn spawn_connection<I>(
    io: I,
    place: OwnedSemaphorePermit,
    node: Arc<Node>,
    bodies: Arc<Semaphore>,
    graceful: &GracefulShutdown,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .adaptive_window(true)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let spoken = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&spoken);
    let progress = Arc::new(Progress::default());
    let io = Watched::new(io, Arc::clone(&progress));
    let taken = Arc::clone(&progress);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (node, bodies, progress) = (Arc::clone(&node), Arc::clone(&bodies), Arc::clone(&taken));
        heard.store(true, Ordering::Relaxed);
        async move {
            let response = respond(&node, &bodies, request).await;
            Ok::<_, std::convert::Infallible>(response.map(|body| body.over(&progress)))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(io), service).into_owned();
    let connection = graceful.watch(connection);
    // Nothing else watches a connection that never says which protocol it speaks.
    let silent = async move {
        tokio::time::sleep(HEADER_TIMEOUT).await;
        if spoken.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::spawn(async move {
        let _place = place;
        tokio::select! {
            biased;
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
            }
            () = silent => tracing::debug!("a connection that said nothing is closed"),
            () = progress.stalled() => tracing::debug!("a connection whose client does not read is closed"),
        }
    });
}

/// Reads a request's body and answers it.
async fn respond<B>(node: &Arc<Node>, bodies: &Semaphore, request: Request<B>) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    // The pages of health and metrics are told also when there is little room.
    if head.method == Method::POST && !node.answers.have_room().await {
        return refuse(StatusCode::SERVICE_UNAVAILABLE);
    }
    let declared = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    // A body of unknown length may become the largest. A GET has none that matters.
    let expected = declared.unwrap_or(if head.method == Method::POST { MAX_BODY_BYTES } else { 0 });
    let units = expected.min(MAX_BODY_BYTES).div_ceil(BODY_UNIT) as u32;
    let Ok(room) = bodies.acquire_many(units).await else { return refuse(StatusCode::SERVICE_UNAVAILABLE) };
    let body = match tokio::time::timeout(BODY_TIMEOUT, read_body(body, declared)).await {
        Ok(body) => body,
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    };
    let response = match body {
        Ok(body) => crate::ladder::descend(node, &head, body).await,
        Err(status) => refuse(status),
    };
    // The request's body is gone, and its answer must not wait while it holds room that other requests need.
    drop(room);
    pay(&node.answers, response).await
}

/// The response, with its share of the memory for answers; or none, if there is no room for it.
async fn pay(answers: &Answers, mut response: Response<Body>) -> Response<Body> {
    match response.body().unpaid() {
        0 => response,
        bytes => match answers.admit(bytes).await {
            Some(share) => {
                response.body_mut().hold(share);
                response
            }
            None => refuse(StatusCode::SERVICE_UNAVAILABLE),
        },
    }
}

fn refuse(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn read_body<B>(mut body: B, declared: Option<usize>) -> Result<Bytes, StatusCode>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    if declared.is_some_and(|n| n > MAX_BODY_BYTES) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    loop {
        let frame = match body.frame().await {
            None => break,
            Some(Err(_)) => return Err(StatusCode::BAD_REQUEST),
            Some(Ok(frame)) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        // Most bodies arrive in one piece and are never copied; others are joined into a buffer of the right size.
        if first.is_empty() && joined.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.reserve(declared.unwrap_or(0).max(first.len() + data.len()));
            joined.extend_from_slice(&first);
        }
        if joined.len() + data.len() > MAX_BODY_BYTES {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    struct Pieces(VecDeque<&'static [u8]>);

    impl hyper::body::Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(Bytes::from_static(piece)))))
        }
    }

    #[tokio::test]
    async fn bodies_are_joined_in_order() {
        for pieces in [vec![], vec![&b"one"[..]], vec![b"one", b"two", b"three"]] {
            let whole = pieces.concat();
            let body = read_body(Pieces(pieces.into()), Some(whole.len())).await.unwrap();
            assert_eq!(body, whole);
        }
    }

    #[tokio::test]
    async fn a_body_over_the_ceiling_is_refused_whether_declared_or_not() {
        static MIB: [u8; 1 << 20] = [b' '; 1 << 20];
        let refused = Err(StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read_body(Pieces(VecDeque::new()), Some(MAX_BODY_BYTES + 1)).await, refused);
        let endless = std::iter::repeat_n(&MIB[..], 17).collect();
        assert_eq!(read_body(Pieces(endless), None).await, refused);
    }
}
