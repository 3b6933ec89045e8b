//! A request's way down to its handler: first the pages that are ours, then AWS's checks in AWS's order. Every
//! early answer stands where AWS gives it.
//!
//! Architecture invariant: no handler runs without a [`Principal`](crate::call::Principal), and only this module asks
//! for one.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONNECTION, CONTENT_TYPE, ORIGIN,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use levada_core::env::Random;
use levada_wire::codec::{self, Protocol};
use levada_wire::error::{AwsError, XmlError};
use levada_wire::eventstream;
use levada_wire::operation::{FirehoseOp, Operation};
use sha2::{Digest, Sha256};

use crate::authentication::authenticate;
use crate::body::{Body, Chunk, Frames};
use crate::call::Reply;
use crate::node::Node;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ID_2: HeaderName = HeaderName::from_static("x-amz-id-2");

const EVENT_STREAM: HeaderValue = HeaderValue::from_static(eventstream::CONTENT_TYPE);

/// Bytes of the second id, before base64.
const ID_2_BYTES: usize = 72;

/// How long a browser may remember what OPTIONS told it, in seconds.
const CORS_MAX_AGE: HeaderValue = HeaderValue::from_static("172800");

/// Answers a whole request.
pub async fn descend(node: &Arc<Node>, head: &Parts, body: Bytes) -> Response<Body> {
    if let Some(page) = crate::controls::page(node, head, &body).await {
        return page;
    }
    let mut response = descend_aws(node, head, body).await;
    // As AWS does after an error; HTTP/2 has no such header.
    if response.status().as_u16() >= 400 && head.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    identify(response.headers_mut(), node.random.as_ref());
    if head.headers.contains_key(ORIGIN) {
        allow_origin(response.headers_mut(), head);
    }
    response
}

async fn descend_aws(node: &Arc<Node>, head: &Parts, body: Bytes) -> Response<Body> {
    if head.method == Method::OPTIONS && head.headers.contains_key(ORIGIN) {
        return Response::new(Body::default());
    }
    if head.method != Method::POST {
        return xml(XmlError::AccessDenied);
    }
    let target = head.headers.get(TARGET).and_then(|t| t.to_str().ok());
    let operation = target.and_then(Operation::from_target).filter(|operation| operation.is_served());
    if body.is_empty() {
        let error = if operation.is_some() { AwsError::malformed() } else { AwsError::unknown_operation() };
        // To nobody in particular AWS speaks CBOR.
        let protocol = protocol(&head.headers).filter(|protocol| *protocol == Protocol::Json).unwrap_or(Protocol::Cbor);
        return refusal(node, operation, protocol, &error);
    }
    let Some(protocol) = protocol(&head.headers) else {
        // A target of two parts, known or not.
        let named = target.and_then(|t| t.split_once('.')).is_some_and(|(s, o)| !s.is_empty() && !o.is_empty());
        return xml(if named { XmlError::UnknownOperation } else { XmlError::AccessDenied });
    };
    // AWS parses first. A body that passes everything else is parsed by its decoder only, once.
    let parsed = |error: AwsError| if codec::validate(protocol, &body).is_ok() { error } else { AwsError::malformed() };
    let Some(operation) = operation else {
        return refusal(node, None, protocol, &parsed(AwsError::unknown_operation()));
    };
    let answer = match authenticate(&node.config, head).and_then(|p| check_digest(&head.headers, &body).map(|()| p)) {
        Ok(principal) => match operation {
            Operation::Kinesis(op) => crate::kinesis::answer(node, &principal, protocol, op, &body).await,
            Operation::Firehose(op) => crate::firehose::answer(node, &principal, protocol, op, &body).await,
        },
        Err(error) => Err(parsed(error)),
    };
    match answer {
        Ok(reply) => {
            node.metrics.response(operation.name(), "OK");
            let body = match reply {
                Reply::Document(document) => Body::from(document),
                Reply::Reserved(document, share) => Body::of_chunk(Chunk::holding(document, share)),
                Reply::Empty => Body::default(),
                Reply::Events(frames) => return event_stream(frames),
            };
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(protocol.content_type()));
            response
        }
        Err(error) => refusal(node, Some(operation), protocol, &error),
    }
}

/// The protocol that the content type asks for; `None` if it is not one of ours.
fn protocol(headers: &HeaderMap) -> Option<Protocol> {
    headers.get(CONTENT_TYPE)?.to_str().ok().and_then(Protocol::from_content_type)
}

/// Compares the body with the digest that the client signed, if it sent it.
fn check_digest(headers: &HeaderMap, body: &[u8]) -> Result<(), AwsError> {
    let Some(claimed) = headers.get(CONTENT_SHA256) else { return Ok(()) };
    let mut text = [0; 64];
    let digest = Sha256::digest(body);
    for (two, byte) in text.chunks_exact_mut(2).zip(digest) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        two.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    if claimed.as_bytes() == text { Ok(()) } else { Err(levada_wire::signature::does_not_match()) }
}

fn refusal(node: &Node, operation: Option<Operation>, protocol: Protocol, error: &AwsError) -> Response<Body> {
    node.metrics.response(operation.map_or("Unknown", Operation::name), error.code.name());
    // Refused puts of Firehose have lines of their own, which say why.
    let is_put = matches!(operation, Some(Operation::Firehose(FirehoseOp::PutRecord | FirehoseOp::PutRecordBatch)));
    if error.status() >= 500 && !is_put {
        tracing::warn!(operation = operation.map_or("Unknown", Operation::name), code = error.code.name(), "failed");
    }
    let mut response = Response::new(Body::from(error.body(protocol)));
    *response.status_mut() = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(protocol.content_type()));
    response
}

fn event_stream(frames: Frames) -> Response<Body> {
    let mut response = Response::new(Body::of_frames(frames));
    response.headers_mut().insert(CONTENT_TYPE, EVENT_STREAM);
    response
}

fn xml(error: XmlError) -> Response<Body> {
    let mut response = Response::new(Body::from(error.body()));
    *response.status_mut() = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::FORBIDDEN);
    response
}

/// The two ids that AWS puts on every answer (to OPTIONS only the first).
fn identify(headers: &mut HeaderMap, random: &dyn Random) {
    let mut bits = [0; 16 + ID_2_BYTES];
    random.fill(&mut bits);
    let (id, id_2) = bits.split_at(16);
    let mut uuid = [0; 16];
    uuid.copy_from_slice(id);
    let uuid = uuid::Builder::from_random_bytes(uuid).into_uuid().to_string();
    let id_2 = base64_simd::STANDARD.encode_to_string(id_2);
    // Hexadecimal and base64 are always valid header values.
    for (name, value) in [(REQUEST_ID, uuid), (ID_2, id_2)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

fn allow_origin(headers: &mut HeaderMap, head: &Parts) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if head.method == Method::OPTIONS {
        headers.remove(ID_2);
        for (asked, answer) in [
            (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
            (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        ] {
            if let Some(value) = head.headers.get(asked) {
                headers.insert(answer, value.clone());
            }
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, CORS_MAX_AGE);
    } else {
        let exposed = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date";
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
}
