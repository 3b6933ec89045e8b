//! Splunk destinations: the HTTP Event Collector (HEC) with indexer acknowledgement.
//!
//! ```text
//! POST <HECEndpoint>/services/collector/{raw,event}      the records' bytes, one after the other
//!   Authorization: Splunk <token>
//!   X-Splunk-Request-Channel: <GUID>                     ◀── {"text":"Success","code":0,"ackId":7}
//! POST <HECEndpoint>/services/collector/ack?channel=<GUID>
//!   {"acks":[7]}                                         ◀── {"acks":{"7":false}}, later true
//! ```
//!
//! Delivered is what was acknowledged. An indexer may need minutes for that, in which nothing is held of the data. All
//! failures are worth another attempt, AWS says, wrong tokens and formats too: somebody may mend the collector before the
//! retry duration is over.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use levada_core::engine::BoxFuture;
use md5::{Digest, Md5};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::line::{Object, excerpt};
use super::{BadEndpoint, Endpoint, Fault, GivenUp, Parcel, Receipt, Verdict, is_header_value, takes_paths};
use crate::http::{Address, HttpClient, HttpError, HttpRequest, HttpResponse, Method, Secret};
use crate::record::ErrorType;

/// How long the collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(180);
/// How long it may take to say what it has acknowledged.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer at most.
const MAX_RESPONSE_BYTES: usize = 1 << 20;
/// Pause before the first question for an acknowledgement; each is twice the one before, up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause between two questions; indexers acknowledge within seconds.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of an unknown answer that are repeated in error output.
const MAX_EXCERPT_BYTES: usize = 1024;
/// Bytes of cookies that are sent back at most.
const MAX_COOKIE_BYTES: usize = 4096;

/// What the collector makes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HecKind {
    /// Any bytes; the indexer finds the events in them.
    Raw,
    /// JSON objects of HEC's event format.
    Event,
}

/// What a Splunk destination is made of.
#[derive(Clone, Debug)]
pub struct SplunkSpec {
    /// `HECEndpoint`: scheme, host, port.
    pub address: Address,
    /// `HECEndpointType`.
    pub kind: HecKind,
    /// `HECToken`.
    pub token: Secret,
    /// `HECAcknowledgmentTimeoutInSeconds`.
    pub ack_timeout: Duration,
    /// Of the delivery stream; the channel follows from it.
    pub stream_arn: String,
    /// `RetryOptions`.
    pub retry_for: Duration,
}

impl SplunkSpec {
    /// Says what would keep every request from being sent.
    ///
    /// # Errors
    /// See [`BadEndpoint`].
    pub fn check(&self) -> Result<(), BadEndpoint> {
        takes_paths(&self.address)?;
        if is_header_value(self.token.reveal()) { Ok(()) } else { Err(BadEndpoint::Header("HEC token")) }
    }
}

/// A Splunk destination.
#[derive(Debug)]
pub struct Splunk {
    spec: SplunkSpec,
    client: Arc<dyn HttpClient>,
    /// The same for as long as the delivery stream lives: a collector keeps few channels.
    channel: String,
}

/// What a collector answers, to data and to questions.
#[derive(Default, Deserialize)]
struct Answer {
    text: Option<String>,
    code: Option<u64>,
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
}

#[derive(Deserialize)]
struct Acks {
    acks: std::collections::BTreeMap<String, bool>,
}

impl Splunk {
    /// Makes one.
    ///
    /// # Errors
    /// As [`SplunkSpec::check`].
    pub fn new(spec: SplunkSpec, client: Arc<dyn HttpClient>) -> Result<Self, BadEndpoint> {
        spec.check()?;
        let digest = Md5::digest(spec.stream_arn.as_bytes());
        let channel = uuid::Builder::from_md5_bytes(digest.into()).into_uuid().to_string();
        Ok(Self { spec, client, channel })
    }

    async fn attempt(&self, parcel: &Parcel) -> Verdict {
        let len = parcel.records.iter().map(|record| record.data.len()).sum();
        if len == 0 {
            // A collector refuses a request without data, and there is nothing that could be lost.
            return Verdict::default();
        }
        let mut body = BytesMut::with_capacity(len);
        for record in &parcel.records {
            body.extend_from_slice(&record.data);
        }
        let answer = self.deliver(body.freeze()).await;
        let fault = answer.as_ref().err().cloned();
        let mut verdict = match answer {
            Ok(receipt) => Verdict { receipt: Some(receipt), ..Verdict::default() },
            Err(fault) => Verdict::retry_all(parcel, &fault),
        };
        verdict.requested(parcel.uuid(), parcel.records.len(), len as u64, fault.as_ref());
        verdict
    }

    async fn deliver(&self, body: Bytes) -> Result<Receipt, Fault> {
        let (path, content_type) = match self.spec.kind {
            HecKind::Raw => ("/services/collector/raw", "text/plain"),
            HecKind::Event => ("/services/collector/event", "application/json"),
        };
        let request = self.request(path.to_owned(), content_type, body, TIMEOUT);
        let response = self.client.send(request).await.map_err(|error| fault_of(&error))?;
        let answer = answer(&response);
        if response.status != 200 || answer.code != Some(0) {
            return Err(refusal(&response, &answer));
        }
        let number = answer.ack_id.ok_or_else(|| fault("Splunk.DisabledAck"))?;
        Ok(Receipt { number, cookies: cookies(&response) })
    }

    /// Asks until the time-out whether the data were indexed.
    async fn acknowledged(&self, receipt: Receipt) -> Result<(), Fault> {
        let Receipt { number: ack_id, cookies } = receipt;
        let deadline = Instant::now() + self.spec.ack_timeout;
        let mut pause = MIN_PAUSE;
        loop {
            sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = MAX_PAUSE.min(pause * 2);
            let path = format!("/services/collector/ack?channel={}", self.channel);
            let question = Bytes::from(format!("{{\"acks\":[{ack_id}]}}"));
            let mut request = self.request(path, "application/json", question, POLL_TIMEOUT);
            request.secret_headers.extend(cookies.clone().map(|cookies| ("cookie".to_owned(), cookies)));
            // What cannot be asked now is asked again: the data may long be indexed.
            if let Ok(response) = self.client.send(request).await
                && is_acknowledged(&response, ack_id)?
            {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(fault("Splunk.AckTimeout"));
            }
        }
    }

    fn request(&self, path: String, content_type: &str, body: Bytes, timeout: Duration) -> HttpRequest {
        let authorization = Secret::new(format!("Splunk {}", self.spec.token.reveal()));
        HttpRequest {
            method: Method::Post,
            address: self.spec.address.clone(),
            path,
            headers: vec![
                ("content-type".to_owned(), content_type.to_owned()),
                ("x-splunk-request-channel".to_owned(), self.channel.clone()),
            ],
            secret_headers: vec![("authorization".to_owned(), authorization)],
            body,
            timeout,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

/// What a proxy wants to see again, to bring the question to the indexer that has the data.
fn cookies(response: &HttpResponse) -> Option<Secret> {
    let set = response.headers.iter().filter(|(name, _)| name == "set-cookie");
    let pairs: Vec<&str> = set.filter_map(|(_, value)| value.split(';').next()).map(str::trim).collect();
    let cookies = pairs.join("; ");
    (!cookies.is_empty() && cookies.len() <= MAX_COOKIE_BYTES && is_header_value(&cookies))
        .then(|| Secret::new(cookies))
}

fn answer(response: &HttpResponse) -> Answer {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// Whether the indexer has it. Answers that may be others the next time count as no.
fn is_acknowledged(response: &HttpResponse, ack_id: u64) -> Result<bool, Fault> {
    if response.status == 200 {
        let acks = serde_json::from_slice::<Acks>(&response.body).map(|answer| answer.acks).unwrap_or_default();
        return Ok(acks.get(&ack_id.to_string()) == Some(&true));
    }
    match answer(response).code {
        // Asked of an indexer that does not know the channel: not the one that has the data.
        Some(10 | 11) => Err(fault("Splunk.ProxyWithoutStickySessions")),
        Some(14) => Err(fault("Splunk.DisabledAck")),
        _ => Ok(false),
    }
}

/// The code of AWS for an answer that is no success, from the codes of Splunk ("Troubleshoot HTTP Event Collector").
fn refusal(response: &HttpResponse, answer: &Answer) -> Fault {
    let code = match (answer.code, response.status) {
        (Some(1), _) => "Splunk.DisabledToken",
        (Some(2..=4 | 16), _) | (None, 401 | 403) => "Splunk.InvalidToken",
        (Some(5 | 6 | 10..=13 | 15), _) => "Splunk.InvalidDataFormat",
        (Some(7), _) => "Splunk.InvalidIndex",
        (Some(9 | 18 | 20 | 26 | 27), _) | (None, 429) => "Splunk.IndexerBusy",
        (Some(14), _) => "Splunk.DisabledAck",
        _ => "Splunk.ServerError",
    };
    let said = match &answer.text {
        Some(text) => excerpt(text.as_bytes(), MAX_EXCERPT_BYTES),
        None => excerpt(&response.body, MAX_EXCERPT_BYTES),
    };
    let splunk = answer.code.map(|code| format!(" code {code}")).unwrap_or_default();
    let summary = format!("{} (status {}{splunk})", text_of(code), response.status);
    Fault::quoting(code, summary, &format!(": {said}"))
}

fn fault_of(error: &HttpError) -> Fault {
    let code = match error {
        HttpError::Connect(reason) if reason.contains("NotValidForName") => "Splunk.SSLUnverified",
        HttpError::Connect(reason) if HttpError::is_tls(reason) => "Splunk.SSLHandshake",
        HttpError::Connect(_) | HttpError::Forbidden(_) => "Splunk.InvalidEndpoint",
        HttpError::Closed(_) => "Splunk.ConnectionClosed",
        HttpError::Timeout(_) => "Splunk.ConnectionTimeout",
        HttpError::TooLarge(_) => "Splunk.ServerError",
    };
    Fault::new(code, format!("{} ({error})", text_of(code)))
}

fn fault(code: &str) -> Fault {
    Fault::new(code, text_of(code))
}

/// Codes of AWS's table "Splunk data delivery errors". `Splunk.IndexerBusy` is not in it, but is sent.
fn text_of(code: &str) -> &'static str {
    match code {
        "Splunk.AckTimeout" => {
            "Did not receive an acknowledgement from HEC before the HEC acknowledgement timeout expired. Despite the \
             acknowledgement timeout, it's possible the data was indexed successfully in Splunk."
        }
        "Splunk.ConnectionClosed" => "Unable to send data to Splunk due to a connection failure.",
        "Splunk.ConnectionTimeout" => "The connection to Splunk timed out.",
        "Splunk.DisabledAck" => "Indexer acknowledgement is disabled for the HEC token.",
        "Splunk.DisabledToken" => "The HEC token is disabled.",
        "Splunk.IndexerBusy" => "The HEC node has no room for more data at the moment.",
        "Splunk.InvalidDataFormat" => "The data is not formatted correctly.",
        "Splunk.InvalidEndpoint" => "Could not connect to the HEC endpoint.",
        "Splunk.InvalidIndex" => "The HEC token or input is configured with an invalid index.",
        "Splunk.InvalidToken" => "The HEC token is invalid.",
        "Splunk.ProxyWithoutStickySessions" => {
            "If you have a proxy (ELB or other) between the delivery stream and the HEC node, you must enable sticky \
             sessions to support HEC ACKs."
        }
        "Splunk.SSLHandshake" | "Splunk.SSLUnverified" => {
            "Could not connect to the HEC endpoint. Make sure that the certificate and the host are valid."
        }
        _ => "Data delivery to Splunk failed due to a server error from the HEC node.",
    }
}

impl Endpoint for Splunk {
    fn attempt<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Verdict> {
        Box::pin(self.attempt(parcel))
    }

    fn confirmed(&self, receipt: Receipt) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(self.acknowledged(receipt))
    }

    fn place(&self) -> &str {
        self.spec.address.target()
    }

    fn retry_for(&self) -> Duration {
        self.spec.retry_for
    }

    fn error_type(&self) -> ErrorType {
        ErrorType::Splunk
    }

    fn error_line(&self, given_up: &GivenUp<'_>) -> Vec<u8> {
        Object::new()
            .number("attemptsMade", given_up.attempts.into())
            .number("arrivalTimestamp", given_up.record.arrival)
            .text("errorCode", &given_up.fault.code)
            .text("errorMessage", &given_up.fault.message)
            .number("attemptEndingTimestamp", given_up.ended)
            .base64("rawData", &given_up.record.data)
            .text("EventId", &given_up.record.id)
            .end()
    }

    fn origin(&self) -> String {
        self.spec.address.origin()
    }

    fn metric_name(&self) -> &'static str {
        "Splunk"
    }
}
