//! HTTP endpoint destinations: AWS's "HTTP endpoint delivery request and response specifications".
//!
//! ```text
//! POST <url>
//! X-Amz-Firehose-Protocol-Version: 1.0          X-Amz-Firehose-Request-Id: <GUID>
//! X-Amz-Firehose-Source-Arn: <delivery stream>  X-Amz-Firehose-Access-Key, X-Amz-Firehose-Common-Attributes: if set
//!
//! {"requestId":"<GUID>","timestamp":<ms>,"records":[{"data":"<base64>"},…]}
//! ```
//!
//! Delivered is what was answered by 200 and a JSON object that repeats the request's id. A parcel may be more than one
//! request can hold; each request then stands for itself, and its id follows from the records in it, so that no id is
//! ever used with other content: an endpoint that leaves out what it has seen loses nothing.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use levada_core::engine::BoxFuture;
use md5::{Digest, Md5};
use serde::Deserialize;

use super::line::{Object, base64_len, excerpt, put_base64};
use super::{BadEndpoint, Endpoint, Fault, GivenUp, Parcel, ParcelRecord, Verdict, is_header_value};
use crate::blocking::Blocking;
use crate::http::{Address, HttpClient, HttpError, HttpRequest, HttpResponse, Method, Secret};
use crate::record::ErrorType;

/// Records in one request at most, by the schema of the request.
const MAX_RECORDS: usize = 10_000;
/// Bytes of a request's body at most, before compression.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Bytes of an answer at most.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// How long an endpoint may take to answer.
const TIMEOUT: Duration = Duration::from_secs(180);
/// Bytes of an answer that are repeated in error output: as long as an `errorMessage` may be.
const MAX_EXCERPT_BYTES: usize = 1024;

/// What an HTTP endpoint destination is made of.
#[derive(Clone, Debug)]
pub struct HttpEndpointSpec {
    /// The URL, called as it is.
    pub address: Address,
    /// Sent as it is.
    pub access_key: Option<Secret>,
    /// Names and values, in the order they were configured.
    pub common_attributes: Vec<(String, Secret)>,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// Of the delivery stream.
    pub stream_arn: String,
    /// `RetryOptions`.
    pub retry_for: Duration,
}

impl HttpEndpointSpec {
    /// Says what would keep every request from being sent.
    ///
    /// # Errors
    /// See [`BadEndpoint`].
    pub fn check(&self) -> Result<(), BadEndpoint> {
        self.address.check()?;
        if self.access_key.as_ref().is_some_and(|key| !is_header_value(key.reveal())) {
            return Err(BadEndpoint::Header("access key"));
        }
        Ok(())
    }
}

/// An HTTP endpoint destination.
#[derive(Debug)]
pub struct HttpEndpoint {
    spec: HttpEndpointSpec,
    client: Arc<dyn HttpClient>,
    blocking: Blocking,
}

impl HttpEndpoint {
    /// Makes one. Bodies are encoded where blocking work is done.
    ///
    /// # Errors
    /// As [`HttpEndpointSpec::check`].
    pub fn new(spec: HttpEndpointSpec, client: Arc<dyn HttpClient>, blocking: Blocking) -> Result<Self, BadEndpoint> {
        spec.check()?;
        Ok(Self { spec, client, blocking })
    }

    async fn attempt(&self, parcel: &Parcel) -> Verdict {
        let mut verdict = Verdict::default();
        let mut unreachable: Option<Fault> = None;
        for part in parts(&parcel.records) {
            let outcome = match &unreachable {
                Some(fault) => Outcome::Retry(fault.clone()),
                None => self.deliver(parcel, &parcel.records[part.clone()], &mut verdict).await,
            };
            match outcome {
                Outcome::Delivered => {}
                Outcome::Refused(fault) => verdict.refused.extend(part.map(|n| (n, fault.clone()))),
                Outcome::Retry(fault) => verdict.retry.extend(part.map(|n| (n, fault.clone()))),
                Outcome::Unreachable(fault) => {
                    verdict.retry.extend(part.map(|n| (n, fault.clone())));
                    unreachable = Some(fault);
                }
            }
        }
        verdict
    }

    /// Sends what one request can hold.
    async fn deliver(&self, parcel: &Parcel, records: &[ParcelRecord], verdict: &mut Verdict) -> Outcome {
        let id = request_id(parcel, records);
        let datas: Vec<Bytes> = records.iter().map(|record| record.data.clone()).collect();
        let (text, now, is_gzip) = (id.clone(), parcel.now, self.spec.gzip);
        let encode = move || {
            let body = body(&text, now, &datas);
            Bytes::from(if is_gzip { gzip(&body) } else { body })
        };
        let (bytes, outcome) = match self.blocking.run(encode).await {
            Ok(body) => (body.len() as u64, self.send(self.request(&id, body), &id).await),
            Err(given_up) => (0, Outcome::Retry(super::not_prepared(given_up))),
        };
        verdict.requested(id, records.len(), bytes, outcome.fault());
        outcome
    }

    fn request(&self, id: &str, body: Bytes) -> HttpRequest {
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            // As AWS sends it: receivers look at it.
            ("user-agent".to_owned(), "Amazon Kinesis Data Firehose Agent/1.0".to_owned()),
            ("x-amz-firehose-protocol-version".to_owned(), "1.0".to_owned()),
            ("x-amz-firehose-request-id".to_owned(), id.to_owned()),
            ("x-amz-firehose-source-arn".to_owned(), self.spec.stream_arn.clone()),
        ];
        if self.spec.gzip {
            headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
        }
        let mut secret_headers = Vec::new();
        if let Some(key) = self.spec.access_key.as_ref().filter(|key| !key.reveal().is_empty()) {
            secret_headers.push(("x-amz-firehose-access-key".to_owned(), key.clone()));
        }
        if !self.spec.common_attributes.is_empty() {
            // Names and values are sensitive in AWS's model.
            let attributes = Secret::new(common_attributes(&self.spec.common_attributes));
            secret_headers.push(("x-amz-firehose-common-attributes".to_owned(), attributes));
        }
        HttpRequest {
            method: Method::Post,
            address: self.spec.address.clone(),
            path: String::new(),
            headers,
            secret_headers,
            body,
            timeout: TIMEOUT,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }

    async fn send(&self, request: HttpRequest, id: &str) -> Outcome {
        match self.client.send(request).await {
            Ok(response) => judge(&response, id),
            Err(error) => {
                let fault = fault_of(&error);
                match error {
                    HttpError::Connect(_) | HttpError::Forbidden(_) => Outcome::Unreachable(fault),
                    HttpError::Closed(_) | HttpError::Timeout(_) | HttpError::TooLarge(_) => Outcome::Retry(fault),
                }
            }
        }
    }
}

/// What became of one request.
enum Outcome {
    Delivered,
    Retry(Fault),
    /// As `Retry`, and no other request would get further.
    Unreachable(Fault),
    Refused(Fault),
}

impl Outcome {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Delivered => None,
            Self::Retry(fault) | Self::Unreachable(fault) | Self::Refused(fault) => Some(fault),
        }
    }
}

/// Cuts records into what one request can hold: as many as fit, at least one.
fn parts(records: &[ParcelRecord]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, FRAME_BYTES);
    for (n, record) in records.iter().enumerate() {
        let len = RECORD_BYTES + base64_len(record.data.len());
        if n > start && (n - start == MAX_RECORDS || bytes + len > MAX_BODY_BYTES) {
            parts.push(start..n);
            (start, bytes) = (n, FRAME_BYTES);
        }
        bytes += len;
    }
    if start < records.len() {
        parts.push(start..records.len());
    }
    parts
}

/// `{"requestId":"…","timestamp":…,"records":[]}` with a GUID and the longest number.
const FRAME_BYTES: usize = 100;
/// `{"data":""},`
const RECORD_BYTES: usize = 12;

/// The id of a request: as random as the parcel's, and bound to the records in it.
fn request_id(parcel: &Parcel, records: &[ParcelRecord]) -> String {
    let mut digest = Md5::new();
    digest.update(parcel.id);
    for record in records {
        digest.update((record.id.len() as u64).to_le_bytes());
        digest.update(&record.id);
    }
    uuid::Builder::from_md5_bytes(digest.finalize().into()).into_uuid().to_string()
}

fn body(id: &str, now: u64, datas: &[Bytes]) -> Vec<u8> {
    let len: usize = datas.iter().map(|data| RECORD_BYTES + base64_len(data.len())).sum();
    let mut body = Vec::with_capacity(FRAME_BYTES + len);
    body.extend_from_slice(format!("{{\"requestId\":\"{id}\",\"timestamp\":{now},\"records\":[").as_bytes());
    for (n, data) in datas.iter().enumerate() {
        body.extend_from_slice(if n == 0 { b"{\"data\":" } else { b",{\"data\":" });
        put_base64(&mut body, data);
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

/// The header's JSON, in ASCII: characters beyond are escaped, as a header cannot carry them.
fn common_attributes(attributes: &[(String, Secret)]) -> String {
    let mut json = Object::new();
    for (name, value) in attributes {
        json = json.text(name, value.reveal());
    }
    let json = Object::new().object("commonAttributes", json).end();
    let mut ascii = String::with_capacity(json.len());
    for c in String::from_utf8_lossy(&json).chars() {
        if c.is_ascii() && !c.is_ascii_control() {
            ascii.push(c);
        } else {
            ascii.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    ascii
}

/// The answer of an endpoint. A member beyond these makes it invalid, AWS says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer {
    request_id: Option<String>,
    timestamp: Option<serde_json::Number>,
    #[serde(default, rename = "errorMessage")]
    _error_message: Option<String>,
}

fn judge(response: &HttpResponse, id: &str) -> Outcome {
    let body = excerpt(&response.body, MAX_EXCERPT_BYTES);
    match response.status {
        200 => match invalid(response, id) {
            None => Outcome::Delivered,
            Some(reason) => Outcome::Retry(Fault::quoting(
                "HttpEndpoint.InvalidResponseFromDestination",
                format!(
                    "The response received from the specified endpoint is invalid. Contact the owner of the endpoint \
                     to resolve the issue. Response for request {id} {reason}."
                ),
                &format!(" Raw response received: 200 {body}"),
            )),
        },
        status => {
            let received = format!("The following response was received from the endpoint destination. {status}");
            let fault = Fault::quoting("HttpEndpoint.DestinationException", received, &format!(": {body}"));
            if status == 413 { Outcome::Refused(fault) } else { Outcome::Retry(fault) }
        }
    }
}

/// What is wrong with an answer of status 200.
fn invalid(response: &HttpResponse, id: &str) -> Option<&'static str> {
    let content_type = response.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    if !content_type.trim().eq_ignore_ascii_case("application/json") {
        return Some("does not have a content-type: application/json header");
    }
    if response.header("content-encoding").is_some() {
        return Some("is content-encoded");
    }
    if response.header("content-length").is_none() {
        return Some("does not have a content-length header");
    }
    match serde_json::from_slice::<Answer>(&response.body) {
        Err(_) | Ok(Answer { request_id: None, timestamp: None, .. }) => {
            Some("is not recognized as valid JSON or has unexpected fields")
        }
        Ok(Answer { request_id: None, .. }) => Some("does not contain a requestId"),
        Ok(Answer { request_id: Some(answered), .. }) if answered != id => {
            Some("contains a requestId that does not match")
        }
        Ok(Answer { timestamp: None, .. }) => Some("does not contain a timestamp"),
        Ok(_) => None,
    }
}

/// Codes and texts of AWS's table "HTTPS endpoint data delivery errors".
fn fault_of(error: &HttpError) -> Fault {
    let (code, text) = match error {
        HttpError::Connect(reason) if HttpError::is_tls(reason) => {
            ("HttpEndpoint.SSLHandshakeFailure", "Unable to complete an SSL handshake with the endpoint.")
        }
        HttpError::Connect(_) | HttpError::Forbidden(_) => (
            "HttpEndpoint.ConnectionFailed",
            "Unable to connect to the destination endpoint. Contact the owner of the endpoint to resolve this issue.",
        ),
        HttpError::Closed(_) => (
            "HttpEndpoint.ConnectionReset",
            "Unable to maintain connection with the endpoint. Contact the owner of the endpoint to resolve this issue.",
        ),
        HttpError::Timeout(_) => (
            "HttpEndpoint.RequestTimeout",
            "The delivery timed out before a response was received and will be retried.",
        ),
        HttpError::TooLarge(_) => (
            "HttpEndpoint.ResponseTooLarge",
            "The response received from the endpoint is too large. Contact the owner of the endpoint to resolve this \
             issue.",
        ),
    };
    Fault::new(code, format!("{text} ({error})"))
}

impl Endpoint for HttpEndpoint {
    fn attempt<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Verdict> {
        Box::pin(self.attempt(parcel))
    }

    fn place(&self) -> &str {
        self.spec.address.target()
    }

    fn retry_for(&self) -> Duration {
        self.spec.retry_for
    }

    fn error_type(&self) -> ErrorType {
        ErrorType::HttpEndpoint
    }

    fn error_line(&self, given_up: &GivenUp<'_>) -> Vec<u8> {
        let record = given_up.record;
        let sub = record.id.rsplit_once('.').and_then(|(_, sub)| sub.parse().ok()).unwrap_or(0);
        Object::new()
            .number("attemptsMade", given_up.attempts.into())
            .number("arrivalTimestamp", record.arrival)
            .text("errorCode", &given_up.fault.code)
            .text("errorMessage", &given_up.fault.message)
            .number("attemptEndingTimestamp", given_up.ended)
            .base64("rawData", &record.data)
            .number("subsequenceNumber", sub)
            .text("dataId", &record.id)
            .end()
    }

    /// "The sum of all successful data delivery requests" (the guide's table of metrics).
    fn success_is_of_records(&self) -> bool {
        false
    }

    fn origin(&self) -> String {
        self.spec.address.origin()
    }

    fn metric_name(&self) -> &'static str {
        "HttpEndpoint"
    }
}
