//! The pages that are ours, not AWS's: health, metrics, and with `--test-controls` the clock and the flush.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use levada_core::env::Clock;
use serde::Deserialize;
use serde_json::json;

use crate::body::Body;
use crate::node::Node;

/// The OpenMetrics text form.
const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers if the path is one of ours.
pub async fn page(node: &Arc<Node>, head: &Parts, body: &Bytes) -> Option<Response<Body>> {
    let path = head.uri.path();
    if head.method == Method::GET {
        return match path {
            "/livez" => Some(text(StatusCode::OK, "ok\n")),
            "/readyz" if node.is_ready() => Some(text(StatusCode::OK, "ok\n")),
            "/readyz" => Some(text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
            "/metrics" => {
                let mut response = Response::new(Body::from(node.metrics.page(node.samples())));
                response.headers_mut().insert(CONTENT_TYPE, METRICS_TYPE);
                Some(response)
            }
            _ => None,
        };
    }
    if head.method != Method::POST || !path.starts_with("/_levada/") {
        return None;
    }
    if !node.config.test_controls {
        return Some(text(StatusCode::NOT_FOUND, "start levada with --test-controls\n"));
    }
    Some(match path {
        "/_levada/clock" => advance(node, body),
        "/_levada/flush" => flush(node, body).await,
        _ => text(StatusCode::NOT_FOUND, "no such control\n"),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

fn advance(node: &Node, body: &[u8]) -> Response<Body> {
    match serde_json::from_slice::<Advance>(body) {
        Ok(Advance { advance_ms }) => {
            node.advance_clock(advance_ms);
            text(StatusCode::OK, &format!("{}\n", json!({"now_ms": node.clock.now_ms()})))
        }
        Err(error) => text(StatusCode::BAD_REQUEST, &format!("{{\"advance_ms\": n}} is wanted: {error}\n")),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flush {
    /// The delivery streams of this name; all of the node if absent.
    delivery_stream: Option<String>,
}

/// Cuts what is buffered and answers when it is delivered.
async fn flush(node: &Arc<Node>, body: &[u8]) -> Response<Body> {
    let wanted = if body.is_empty() { Ok(Flush::default()) } else { serde_json::from_slice(body) };
    let Flush { delivery_stream } = match wanted {
        Ok(wanted) => wanted,
        Err(error) => {
            return text(StatusCode::BAD_REQUEST, &format!("{{\"delivery_stream\": …}} is wanted: {error}\n"));
        }
    };
    let incarnations: Vec<u64> = {
        let state = node.registry.state();
        let named = |name: &str| delivery_stream.as_deref().is_none_or(|wanted| wanted == name);
        state.all_delivery_streams().filter(|s| named(&s.name)).map(|s| s.incarnation).collect()
    };
    if incarnations.is_empty() && delivery_stream.is_some() {
        return text(StatusCode::NOT_FOUND, "no such delivery stream\n");
    }
    let handles = incarnations.into_iter().filter_map(|incarnation| node.delivery(incarnation));
    // All are told before any is waited for: one whose destination is away must not keep the others.
    let flushes: Vec<_> = handles.map(|handle| handle.flush()).collect();
    for flushed in flushes {
        if flushed.await.is_err() {
            return text(StatusCode::CONFLICT, "a delivery stream was stopped meanwhile\n");
        }
    }
    text(StatusCode::OK, "{}\n")
}

fn text(status: StatusCode, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    response
}
