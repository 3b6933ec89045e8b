//! A client of the simulated node: over the network, and past it.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use levada::node::Node;
use serde_json::Value;
use tokio::time::timeout;
use turmoil::net::TcpStream;

use super::PATIENCE;
use crate::node::{HOST, PORT};

/// A connection to the node, made when it is needed.
#[derive(Default)]
pub(crate) struct Client(Option<SendRequest<Full<Bytes>>>);

impl Client {
    /// Makes a call and answers its status and reply. After an error its outcome is open.
    pub(crate) async fn call(&mut self, target: &str, body: &Value) -> Result<(u16, Value), String> {
        match timeout(PATIENCE, self.attempt(target, body)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.0 = None;
                Err(error)
            }
            Err(_) => {
                self.0 = None;
                Err("no answer".to_owned())
            }
        }
    }

    async fn attempt(&mut self, target: &str, body: &Value) -> Result<(u16, Value), String> {
        let error = |error: &dyn std::fmt::Display| error.to_string();
        let mut sender = match self.0.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect((HOST, PORT)).await.map_err(|e| error(&e))?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| error(&e))?;
                tokio::spawn(connection);
                sender
            }
        };
        sender.ready().await.map_err(|e| error(&e))?;
        let response = sender.send_request(request(target, body)).await.map_err(|e| error(&e))?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|e| error(&e))?.to_bytes();
        self.0 = Some(sender);
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).map_err(|e| error(&e))? };
        Ok((status, body))
    }
}

fn request(target: &str, body: &Value) -> Request<Full<Bytes>> {
    let credential = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/kinesis/aws4_request, \
                      SignedHeaders=host, Signature=00";
    let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
    *request.method_mut() = http::Method::POST;
    let headers = request.headers_mut();
    let text = |text: &str| http::HeaderValue::from_str(text).unwrap_or(http::HeaderValue::from_static(""));
    headers.insert("host", text(HOST));
    headers.insert("content-type", text("application/x-amz-json-1.1"));
    headers.insert("x-amz-target", text(target));
    headers.insert("x-amz-date", text("20260101T000000Z"));
    headers.insert("authorization", text(credential));
    request
}

/// Asks the node directly, without a network.
pub(crate) async fn ask(node: &Arc<Node>, target: &str, body: &Value) -> Result<Value, String> {
    let (head, _) = request(target, body).into_parts();
    let response = levada::ladder::descend(node, &head, Bytes::from(body.to_string())).await;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    if !status.is_success() {
        return Err(format!("{target}: {status} {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}
