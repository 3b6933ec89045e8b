//! Subscribers (`SubscribeToShard`): a thread that follows shards over HTTP/1.1 or HTTP/2 with hyper's client, and notes
//! when each record came; and the puts that they wait for, each of which carries the time at which it was sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::event::{Frame, Frames};
use crate::load::{Request, Want, Work};
use crate::record::Records;
use crate::request::{Call, Renderer, STREAM, single_body};
use crate::soak::Seen;
use crate::{Result, proc};

/// Longest wait for all subscriptions to stand.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// What an HTTP/2 client lets the server send unasked, in bytes, on each stream and each connection.
const WINDOW: u32 = 4 << 20;

/// What the subscribers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// A connection for each subscription.
    Http1,
    /// A connection for each consumer, with a stream for each shard.
    Http2,
}

impl Version {
    /// As people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }

    fn of_http(self) -> http::Version {
        match self {
            Self::Http1 => http::Version::HTTP_11,
            Self::Http2 => http::Version::HTTP_2,
        }
    }
}

/// A consumer, and the shards that it subscribes to.
pub(crate) struct Consumer {
    /// Its ARN.
    pub(crate) arn: String,
    /// Shard ids.
    pub(crate) shards: Vec<String>,
}

/// What one subscription saw.
#[derive(Default)]
pub(crate) struct Log {
    /// Nanoseconds from each record's send to the moment at which its event was here, at most `u32::MAX`.
    pub(crate) latencies: Vec<u32>,
    /// The records' serial numbers.
    pub(crate) serials: Vec<u64>,
    /// When each event came.
    pub(crate) arrivals: Vec<Arrival>,
}

/// An event.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// Time since the epoch of the run.
    pub(crate) at: Duration,
    /// Records in it; a heartbeat has none.
    pub(crate) records: usize,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<Pushed<'a>>,
}

#[derive(Deserialize)]
struct Pushed<'a> {
    #[serde(rename = "Data")]
    data: &'a str,
}

impl Log {
    fn note(&mut self, at: Duration, frame: Frame<'_>) -> Result<usize> {
        match (frame.header(":message-type"), frame.header(":event-type")) {
            (Some("event"), Some("SubscribeToShardEvent")) => {}
            (Some("event"), Some("initial-response")) => return Ok(0),
            other => return Err(format!("{other:?}: {}", String::from_utf8_lossy(frame.payload)).into()),
        }
        let event: Event<'_> = serde_json::from_slice(frame.payload)?;
        for record in &event.records {
            let data = base64_simd::STANDARD.decode_to_vec(record.data)?;
            let (serial, sent) = read_stamp(&data).ok_or("a record without a stamp")?;
            self.serials.push(serial);
            let nanos = at.saturating_sub(sent).as_nanos();
            self.latencies.push(u32::try_from(nanos).unwrap_or(u32::MAX));
        }
        self.arrivals.push(Arrival { at, records: event.records.len() });
        Ok(event.records.len())
    }
}

/// Subscriptions that stand.
pub(crate) struct Subscribers {
    thread: JoinHandle<Result<Vec<Log>>>,
    stop: watch::Sender<bool>,
    received: Arc<AtomicU64>,
}

/// What the tasks of a run share.
#[derive(Clone)]
struct Common {
    epoch: Instant,
    received: Arc<AtomicU64>,
    ready: mpsc::Sender<std::result::Result<(), String>>,
    stop: watch::Receiver<bool>,
}

impl Subscribers {
    /// Subscribes to all shards of all consumers at `LATEST`, on a thread of its own on `core`, and waits until the server has
    /// accepted every subscription. Times count from `epoch`.
    ///
    /// # Errors
    /// If a subscription does not come about.
    pub(crate) fn start(
        addr: SocketAddr,
        core: usize,
        version: Version,
        consumers: Vec<Consumer>,
        epoch: Instant,
    ) -> Result<Self> {
        let expected: usize = consumers.iter().map(|consumer| consumer.shards.len()).sum();
        let (stop, stopped) = watch::channel(false);
        let (ready, accepted) = mpsc::channel();
        let received = Arc::new(AtomicU64::new(0));
        let common = Common { epoch, received: Arc::clone(&received), ready, stop: stopped };
        let thread = std::thread::spawn(move || {
            proc::pin(core)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            runtime.block_on(follow_all(addr, version, consumers, common))
        });
        let subscribers = Self { thread, stop, received };
        for _ in 0..expected {
            match accepted.recv_timeout(READY_WITHIN) {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return Err(why.into()),
                Err(_) => return Err("a subscription is not accepted in time".into()),
            }
        }
        Ok(subscribers)
    }

    /// Records received so far, all subscriptions together.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Waits until so many records have come, or `within` is over; says whether they have.
    pub(crate) fn wait(&self, records: u64, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.received() < records {
            if Instant::now() > deadline || self.thread.is_finished() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Ends all subscriptions and answers what each saw, in the order of the consumers and their shards.
    ///
    /// # Errors
    /// If one of them ended by itself.
    pub(crate) fn stop(self) -> Result<Vec<Log>> {
        // The thread may have ended already, with an error that is told below.
        let _ = self.stop.send(true);
        self.thread.join().map_err(|_| "the subscribers panicked")?
    }
}

async fn follow_all(addr: SocketAddr, version: Version, consumers: Vec<Consumer>, common: Common) -> Result<Vec<Log>> {
    let renderer = Renderer::new(addr.to_string())?;
    let mut tasks = Vec::new();
    for consumer in consumers {
        let mut shared = None;
        for shard in &consumer.shards {
            let body = json!({
                "ConsumerARN": consumer.arn, "ShardId": shard, "StartingPosition": { "Type": "LATEST" },
            });
            let call = renderer.call("SubscribeToShard", body.to_string().into_bytes(), version.of_http())?;
            let mut client = match shared.take() {
                Some(client) => client,
                None => connect(addr, version).await?,
            };
            if let Client::Http2(sender) = &client {
                shared = Some(Client::Http2(sender.clone()));
            }
            let common = common.clone();
            tasks.push(tokio::spawn(async move {
                let followed = follow(&mut client, call, &common).await;
                if let Err(error) = &followed {
                    // Nobody listens any more once all subscriptions stood; then `stop` tells.
                    let _ = common.ready.send(Err(error.to_string()));
                }
                followed
            }));
        }
    }
    let mut logs = Vec::with_capacity(tasks.len());
    for task in tasks {
        logs.push(task.await??);
    }
    Ok(logs)
}

/// A connection.
enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

async fn connect(addr: SocketAddr, version: Version) -> Result<Client> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let io = TokioIo::new(stream);
    // A connection that breaks ends its requests with an error; that is where it is told.
    Ok(match version {
        Version::Http1 => {
            let (sender, connection) = http1::handshake(io).await?;
            tokio::spawn(async move { drop(connection.await) });
            Client::Http1(sender)
        }
        Version::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let (sender, connection) = builder.handshake(io).await?;
            tokio::spawn(async move { drop(connection.await) });
            Client::Http2(sender)
        }
    })
}

async fn follow(client: &mut Client, call: Call, common: &Common) -> Result<Log> {
    let response = match client {
        Client::Http1(sender) => sender.send_request(call).await?,
        Client::Http2(sender) => sender.send_request(call).await?,
    };
    let status = response.status();
    let mut body = response.into_body();
    if status != http::StatusCode::OK {
        let body = body.collect().await?.to_bytes();
        return Err(format!("SubscribeToShard is answered with {status}: {}", String::from_utf8_lossy(&body)).into());
    }
    let mut stop = common.stop.clone();
    let (mut frames, mut log, mut stood) = (Frames::default(), Log::default(), false);
    loop {
        let piece = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return Ok(log),
            piece = body.frame() => piece.ok_or("a subscription ended")??,
        };
        let Ok(bytes) = piece.into_data() else { continue };
        let at = common.epoch.elapsed();
        frames.push(&bytes);
        while let Some(frame) = frames.take()? {
            let records = log.note(at, frame)?;
            common.received.fetch_add(records as u64, Ordering::Relaxed);
            if !stood {
                stood = true;
                // Whoever waited for it may have given up.
                let _ = common.ready.send(Ok(()));
            }
        }
    }
}

/// Where a record's send time stands, behind its serial number.
const STAMP: std::ops::Range<usize> = 8..16;

fn read_stamp(data: &[u8]) -> Option<(u64, Duration)> {
    let serial = u64::from_be_bytes(*data.first_chunk()?);
    let nanos = u64::from_be_bytes(*data.get(STAMP)?.first_chunk()?);
    Some((serial, Duration::from_nanos(nanos)))
}

/// Puts one record a request, which carries its serial number and the time at which its request was begun; signing it is
/// part of its latency, some microseconds.
pub(crate) struct Stamped {
    renderer: Renderer,
    records: Records,
    epoch: Instant,
    /// Records sent so far, which is the next serial number.
    pub(crate) sent: u64,
}

impl Stamped {
    /// For the server at `addr`; times count from `epoch`.
    ///
    /// # Errors
    /// As [`Renderer::new`].
    pub(crate) fn new(addr: SocketAddr, records: Records, epoch: Instant) -> Result<Self> {
        Ok(Self { renderer: Renderer::new(addr.to_string())?, records, epoch, sent: 0 })
    }

    fn body(&self) -> Vec<u8> {
        let mut record = self.records.get(self.sent);
        let nanos = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        record.data[STAMP].copy_from_slice(&nanos.to_be_bytes());
        single_body(STREAM, &record)
    }
}

impl Work for Stamped {
    fn next(&mut self) -> Result<Option<(u64, Request)>> {
        let body = self.body();
        let serial = self.sent;
        self.sent += 1;
        Ok(Some((serial, Request::Memory(self.renderer.kinesis("PutRecord", &body)?))))
    }

    fn wants(&mut self, _: u64) -> Want {
        Want::Nothing
    }

    fn answered(&mut self, _: u64, status: u16, body: Option<&[u8]>) -> Result<()> {
        match status {
            200 => Ok(()),
            _ => {
                Err(format!("a put is answered with {status}: {}", String::from_utf8_lossy(body.unwrap_or(b""))).into())
            }
        }
    }
}

/// Requires every serial number below `total` exactly once among these logs.
///
/// # Errors
/// If one is missing, or there twice.
pub(crate) fn each_once<'a>(logs: impl IntoIterator<Item = &'a Log>, total: u64) -> Result<()> {
    let mut seen = Seen::new(total);
    for serial in logs.into_iter().flat_map(|log| &log.serials) {
        seen.note(*serial)?;
    }
    if seen.count == total { Ok(()) } else { Err(format!("{} of {total} records came", seen.count).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_record_tells_its_number_and_its_time() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let epoch = Instant::now();
        let mut stamped = Stamped::new(addr, Records { seed: 1, data_bytes: 100 }, epoch).unwrap();
        stamped.sent = 77;
        let before = epoch.elapsed();
        let body: serde_json::Value = serde_json::from_slice(&stamped.body()).unwrap();
        let data = base64_simd::STANDARD.decode_to_vec(body["Data"].as_str().unwrap()).unwrap();
        let (serial, sent) = read_stamp(&data).unwrap();
        assert_eq!((serial, data.len()), (77, 100));
        assert!((before..=epoch.elapsed()).contains(&sent));
        assert_eq!(read_stamp(&data[..15]), None);
    }

    #[test]
    fn every_record_is_to_come_once() {
        let log = |serials: &[u64]| Log { serials: serials.to_vec(), ..Log::default() };
        assert!(each_once(&[log(&[2, 0]), log(&[1])], 3).is_ok());
        for (logs, expected) in [
            ([log(&[0, 1]), log(&[1])], "twice"),
            ([log(&[0]), log(&[])], "1 of 3"),
            ([log(&[0]), log(&[3])], "never put"),
        ] {
            let error = each_once(&logs, 3).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
