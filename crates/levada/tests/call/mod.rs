//! A call as a client makes it, straight into the ladder.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use levada::ladder::descend;
use levada::node::Node;
use serde_json::Value;

/// The status and the document that the node answers.
pub(crate) async fn call(node: &Arc<Node>, target: &str, body: &Value) -> (u16, Value) {
    let (head, ()) = Request::builder()
        .method(Method::POST)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .header("x-amz-date", "20261120T000000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=000000000000/20261120/us-east-1/kinesis/aws4_request, \
             SignedHeaders=host, Signature=0",
        )
        .body(())
        .unwrap()
        .into_parts();
    let response = descend(node, &head, Bytes::from(body.to_string())).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
}
