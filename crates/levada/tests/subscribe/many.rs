//! Many subscriptions over real HTTP, the network in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use levada::listener::serve;
use serde_json::{Value, json};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::world::{Network, World, head, take_frame};

/// Subscriptions on one node, half of them over each protocol.
const SUBSCRIPTIONS: usize = 500;
/// Those of one HTTP/2 connection.
const PER_CONNECTION: usize = 100;
/// Longer than a request's head may take, and than an HTTP/2 connection may be silent.
const WATCHED: Duration = Duration::from_secs(66);
const BEATS: usize = 13;

/// What one client saw until it had watched long enough, or until its stream ended.
struct Seen {
    /// When each frame came.
    times: Vec<Instant>,
    ended: bool,
    /// Held until everybody has been counted.
    _body: Incoming,
}

fn request(consumer: &str, shard: usize) -> Request<Full<Bytes>> {
    let body = json!({
        "ConsumerARN": consumer, "ShardId": format!("shardId-{shard:012}"), "StartingPosition": {"Type": "LATEST"},
    });
    let mut request = Request::from_parts(head("SubscribeToShard"), Full::new(Bytes::from(body.to_string())));
    *request.uri_mut() = "http://levada/".parse().unwrap();
    request.headers_mut().insert("host", "levada".parse().unwrap());
    request
}

/// Follows an event stream for so long.
async fn watch(mut body: Incoming, watched: Duration) -> Seen {
    let until = Instant::now() + watched;
    let (mut bytes, mut times, mut ended) = (Vec::new(), vec![Instant::now()], false);
    let mut last = String::new();
    while let Ok(frame) = tokio::time::timeout_at(until, body.frame()).await {
        let Some(frame) = frame else {
            ended = true;
            break;
        };
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap());
        let mut rest = &bytes[..];
        while let Some((kind, payload)) = take_frame(&mut rest) {
            times.push(Instant::now());
            let number = payload.get("ContinuationSequenceNumber").and_then(Value::as_str).unwrap_or_default();
            assert!(kind == "initial-response" || number > last.as_str(), "{number} after {last}");
            number.clone_into(&mut last);
        }
        bytes.drain(..bytes.len() - rest.len());
    }
    Seen { times, ended, _body: body }
}

/// Connects, subscribes and watches; answers when it has watched long enough.
async fn clients(network: &mpsc::Sender<DuplexStream>, consumer: &str, watched: Duration) -> Vec<Seen> {
    let mut tasks = Vec::new();
    let half = SUBSCRIPTIONS / 2;
    for shard in 0..half {
        let (near, far) = duplex(64 << 10);
        network.send(far).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        let request = request(consumer, shard);
        tasks.push(tokio::spawn(async move {
            tokio::spawn(connection);
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["transfer-encoding"], "chunked");
            watch(response.into_body(), watched).await
        }));
    }
    for first in (half..SUBSCRIPTIONS).step_by(PER_CONNECTION) {
        let (near, far) = duplex(64 << 10);
        network.send(far).await.unwrap();
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(near));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        for shard in first..SUBSCRIPTIONS.min(first + PER_CONNECTION) {
            let (mut sender, request) = (sender.clone(), request(consumer, shard));
            tasks.push(tokio::spawn(async move {
                let response = sender.send_request(request).await.unwrap();
                assert_eq!(response.status(), 200);
                watch(response.into_body(), watched).await
            }));
        }
    }
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap());
    }
    seen
}

/// 500 subscriptions on one node: none is silent for more than six seconds, a client that goes away leaves nothing
/// behind at once, and SIGTERM ends all of them at once and cleanly.
#[tokio::test(start_paused = true)]
async fn five_hundred_subscriptions_beat() {
    let world = World::with_stream(SUBSCRIPTIONS as u32).await;
    let consumer = world.register("c").await;
    let (network, accepted) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(Network(accepted), Arc::clone(&world.node), async {
        let _ = stopped.await;
    }));
    let seen = clients(&network, &consumer, WATCHED).await;
    assert_eq!((seen.len(), world.node.subscriptions.count()), (SUBSCRIPTIONS, SUBSCRIPTIONS));
    for (n, Seen { times, ended, .. }) in seen.iter().enumerate() {
        assert!(!ended, "{n} ended early");
        // The head, the initial response and the heartbeats.
        assert_eq!(times.len(), 2 + BEATS, "{n}");
        let silent = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(silent < Duration::from_secs(6), "{n} was silent for {silent:?}");
    }
    let left = Instant::now();
    drop(seen);
    while world.node.subscriptions.count() > 0 {
        assert!(left.elapsed() < Duration::from_millis(100), "{} are left", world.node.subscriptions.count());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ending = {
        let (network, consumer) = (network.clone(), consumer.clone());
        tokio::spawn(async move { clients(&network, &consumer, Duration::from_secs(60)).await })
    };
    while world.node.subscriptions.count() < SUBSCRIPTIONS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let told = Instant::now();
    world.node.not_ready();
    stop.send(()).unwrap();
    for (n, Seen { ended, .. }) in ending.await.unwrap().iter().enumerate() {
        assert!(ended, "{n} did not end");
    }
    served.await.unwrap();
    assert!(told.elapsed() < Duration::from_millis(100), "{:?}", told.elapsed());
}
