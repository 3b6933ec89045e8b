//! Clients that do not read, and too many of them, over real HTTP on a network in memory and in paused time: what they
//! make a node hold is bounded, and does not last.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "subscribe/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use levada::cli::LimitsMode;
use levada::ladder::descend;
use levada::listener::progress::STALL;
use levada::listener::serve;
use levada::memory::ANSWER_BYTES;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use self::world::{Network, SHARD, Setting, World, head};

const MIB: usize = 1 << 20;

/// When a client that does not read is cut off at the latest.
const CUT_OFF: Duration = Duration::from_secs(STALL.as_secs() + 11);

/// A node that listens, with a stream `s` of one shard and no limits on its traffic.
struct Server {
    world: World,
    network: mpsc::Sender<DuplexStream>,
}

impl Server {
    async fn new() -> Self {
        Self::with_connections(None).await
    }

    async fn with_connections(connections: Option<usize>) -> Self {
        let world = World::new(Setting { limits: Some(LimitsMode::Open), connections, ..Setting::default() }).await;
        world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
        let (network, accepted) = mpsc::channel(1);
        tokio::spawn(serve(Network(accepted), Arc::clone(&world.node), std::future::pending()));
        Self { world, network }
    }

    async fn connect(&self) -> DuplexStream {
        let (near, far) = duplex(64 << 10);
        self.network.send(far).await.unwrap();
        near
    }

    async fn http1(&self) -> http1::SendRequest<Full<Bytes>> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// A connection whose streams may not send anything before the client reads, which it never does. The rest of it
    /// works: it answers pings.
    async fn http2_shut(&self) -> http2::SendRequest<Full<Bytes>> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).initial_stream_window_size(0);
        let (sender, connection) = builder.handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Puts records of a MiB less a little, and answers an iterator at the first.
    async fn filled(&self, records: usize) -> Value {
        let blob = "x".repeat(MIB - 1024);
        for _ in 0..records {
            self.world.put(&blob).await;
        }
        self.world.iterator(SHARD).await
    }

    fn answer_bytes(&self) -> usize {
        self.world.node.answers.used()
    }

    fn event_bytes(&self) -> usize {
        self.world.node.subscriptions.memory().used()
    }

    /// Waits until nothing is held any more, and tells how long that took.
    async fn until_nothing_is_held(&self) -> Duration {
        let begun = Instant::now();
        while self.answer_bytes() + self.event_bytes() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(begun.elapsed() < 2 * CUT_OFF, "{} and {} bytes", self.answer_bytes(), self.event_bytes());
        }
        begun.elapsed()
    }
}

fn request(operation: &str, body: &Value) -> Request<Full<Bytes>> {
    let mut request = Request::from_parts(head(operation), Full::new(Bytes::from(body.to_string())));
    *request.uri_mut() = "http://levada/".parse().unwrap();
    request.headers_mut().insert("host", "levada".parse().unwrap());
    request
}

fn get_records(iterator: &Value) -> Request<Full<Bytes>> {
    request("GetRecords", &json!({"ShardIterator": iterator}))
}

async fn body(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// A page is held until it is read, and no longer; a client that goes on reading slowly is not cut off.
#[tokio::test(start_paused = true)]
async fn an_answer_holds_memory_until_it_has_been_read() {
    let server = Server::new().await;
    let iterator = server.filled(4).await;
    let response = server.http1().await.send_request(get_records(&iterator)).await.unwrap();
    server.world.settle().await;
    let held = server.answer_bytes();
    assert!((5 * MIB..6 * MIB).contains(&held), "{held}");
    let mut body = response.into_body();
    let (mut read, begun) = (0, Instant::now());
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len();
        tokio::time::sleep(Duration::from_secs(5)).await;
        // The socket's buffer is the network's.
        if read < 4 * MIB {
            assert_eq!(server.answer_bytes(), held);
        }
    }
    assert!(read > 5 * MIB && begun.elapsed() > 4 * CUT_OFF, "{read} {:?}", begun.elapsed());
    assert_eq!(server.answer_bytes(), 0);
}

/// Neither a socket that takes nothing nor a shut HTTP/2 window keeps a page in memory for good, and both share one
/// bound: when it is reached, others wait a while and are refused.
#[tokio::test(start_paused = true)]
async fn clients_that_do_not_read_are_cut_off() {
    for version in [1, 2] {
        let server = Server::new().await;
        let iterator = server.filled(2).await;
        // As if others held most of it: room for few pages of two records.
        let others = server.world.node.answers.try_reserve(ANSWER_BYTES - 20 * MIB).unwrap();
        let mut clients = Vec::new();
        let mut multiplexed = server.http2_shut().await;
        let begun = Instant::now();
        for _ in 0..30 {
            let request = get_records(&iterator);
            clients.push(match version {
                1 => {
                    let mut sender = server.http1().await;
                    tokio::spawn(async move { sender.send_request(request).await })
                }
                _ => tokio::spawn(multiplexed.send_request(request)),
            });
            server.world.settle().await;
            assert!(server.answer_bytes() <= ANSWER_BYTES);
        }
        let (mut answered, mut refused) = (Vec::new(), 0);
        for client in clients {
            match client.await.unwrap().unwrap() {
                response if response.status() == 200 => answered.push(response),
                response => {
                    assert!(response.status().is_server_error(), "{}", response.status());
                    refused += 1;
                }
            }
        }
        assert!(answered.len() >= 7 && refused >= 7, "{} and {refused} by HTTP/{version}", answered.len());
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
        drop(others);
        assert!(server.answer_bytes() > 15 * MIB, "{}", server.answer_bytes());
        let took = server.until_nothing_is_held().await;
        assert!(STALL / 2 < took && took < CUT_OFF, "{took:?}");
        for response in answered {
            assert!(response.into_body().collect().await.is_err(), "cut off");
        }
    }
}

/// What a request repeats of itself is not worth an attack.
#[tokio::test(start_paused = true)]
async fn a_large_request_makes_no_large_answer() {
    let server = Server::new().await;
    let mut client = server.http2_shut().await;
    let body = json!({"ExclusiveStartStreamName": "x".repeat(4 * MIB)});
    let mut responses = Vec::new();
    for _ in 0..20 {
        let sent = tokio::spawn(client.send_request(request("ListStreams", &body)));
        responses.push(sent.await.unwrap().unwrap());
    }
    assert!(responses.iter().all(|response| response.status() == 400));
    server.world.settle().await;
    let held = server.answer_bytes();
    assert!((20 << 10..160 << 10).contains(&held), "{held} bytes");
    server.until_nothing_is_held().await;
}

/// While there is no room for answers nothing is done whose outcome could not be told, and the pages of health answer.
#[tokio::test(start_paused = true)]
async fn without_room_for_answers_requests_are_refused() {
    let server = Server::new().await;
    let iterator = server.filled(1).await;
    let all = server.world.node.answers.try_reserve(usize::MAX).unwrap();
    let put = request("PutRecord", &json!({"StreamName": "s", "PartitionKey": "k", "Data": "AA=="}));
    let begun = Instant::now();
    let response = server.http1().await.send_request(put).await.unwrap();
    assert_eq!((response.status().as_u16(), begun.elapsed().as_secs()), (503, 10));
    let live = Request::builder().method(Method::GET).uri("/livez").header("host", "levada");
    let response = server.http1().await.send_request(live.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!((response.status().as_u16(), begun.elapsed().as_secs()), (200, 10));
    let (status, refused) = server.world.call("GetRecords", &json!({"ShardIterator": iterator})).await;
    assert_eq!((status, &refused["__type"]), (500, &json!("InternalFailure")));
    drop(all);
    let page = body(server.http1().await.send_request(get_records(&iterator)).await.unwrap()).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 1);
    assert_eq!(server.answer_bytes(), 0);
}

/// While there is room for small pages only, pages are small; a record is whole in any of them.
#[tokio::test(start_paused = true)]
async fn pages_become_small_when_memory_is_short() {
    let server = Server::new().await;
    let limit = json!({"StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "MaxRecordSizeInKiB": 10_240});
    server.world.kinesis("UpdateMaxRecordSize", limit).await;
    let blobs = ["s".repeat(300 << 10), "s".repeat(300 << 10), "l".repeat(4 * MIB), "s".repeat(300 << 10)];
    for blob in &blobs {
        server.world.put(blob).await;
    }
    let _others = server.world.node.answers.try_reserve(ANSWER_BYTES - 8 * MIB).unwrap();
    let mut iterator = server.world.iterator(SHARD).await;
    let mut met = Vec::new();
    for records in [2, 1, 1, 0] {
        let call = Bytes::from(json!({"ShardIterator": iterator}).to_string());
        let response = descend(&server.world.node, &head("GetRecords"), call).await;
        let held = server.answer_bytes() - (ANSWER_BYTES - 8 * MIB);
        let reply = response.into_body().collect().await.unwrap().to_bytes();
        // What is reserved is what the reply takes, but for its head.
        assert!(held + 1024 >= reply.len() && held <= reply.len() + 1024, "{held} for {}", reply.len());
        let page: Value = serde_json::from_slice(&reply).unwrap();
        met.extend(world::data(&page));
        assert_eq!(page["Records"].as_array().unwrap().len(), records, "{} met", met.len());
        assert_eq!(page["MillisBehindLatest"] == 0, met.len() == blobs.len());
        iterator = page["NextShardIterator"].clone();
    }
    assert!(met == blobs, "lost, repeated or out of order");
}

/// The connection of a subscriber that does not read ends although heartbeats are made for it, and with it everything
/// that its events hold.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_is_cut_off() {
    for version in [1, 2] {
        let server = Server::new().await;
        server.filled(6).await;
        let consumer = server.world.register("c").await;
        let position = json!({"Type": "TRIM_HORIZON"});
        let call = json!({"ConsumerARN": consumer, "ShardId": SHARD, "StartingPosition": position});
        let request = request("SubscribeToShard", &call);
        let response = match version {
            1 => server.http1().await.send_request(request).await.unwrap(),
            _ => server.http2_shut().await.send_request(request).await.unwrap(),
        };
        server.world.settle().await;
        let subscriptions = &server.world.node.subscriptions;
        assert!((1..=8 * MIB).contains(&server.event_bytes()), "{} bytes", server.event_bytes());
        assert_eq!(subscriptions.count(), 1);
        let took = server.until_nothing_is_held().await;
        assert!(STALL <= took && took < CUT_OFF, "{took:?} by HTTP/{version}");
        server.world.settle().await;
        assert_eq!(subscriptions.count(), 0);
        drop(response);
    }
}

/// One connection more than there may be is closed at once; a place that becomes free is taken again.
#[tokio::test(start_paused = true)]
async fn connections_have_a_ceiling() {
    let server = Server::with_connections(Some(2)).await;
    let list = || request("ListStreams", &json!({}));
    let (mut one, mut other) = (server.http1().await, server.http1().await);
    for sender in [&mut one, &mut other] {
        assert_eq!(sender.send_request(list()).await.unwrap().status(), 200);
    }
    for _ in 0..2 {
        let mut refused = server.connect().await;
        let closed = timeout(Duration::from_secs(1), refused.read(&mut [0; 1])).await.unwrap();
        assert!(matches!(closed, Ok(0)), "{closed:?}");
        assert!(refused.write_all(b"GET /livez HTTP/1.1\r\n").await.is_err());
    }
    drop(other);
    server.world.settle().await;
    assert_eq!(server.http1().await.send_request(list()).await.unwrap().status(), 200);
    assert_eq!(one.send_request(list()).await.unwrap().status(), 200);
}
