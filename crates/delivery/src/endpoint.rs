//! Destinations that take records by request instead of as objects: HTTP endpoints, Splunk, OpenSearch.
//!
//! The worker cuts as for objects; a cut's records make a [`Parcel`]. An [`Endpoint`] makes one attempt and says of
//! each record what became of it. The driver attempts again what is worth it, for as long as the configuration says,
//! and writes the rest to the backup bucket as error output.

mod http_endpoint;
mod line;
mod opensearch;
mod splunk;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_core::engine::{BoxFuture, Millis};

pub use self::http_endpoint::{HttpEndpoint, HttpEndpointSpec};
pub use self::opensearch::{DocumentIds, Flavour, OpenSearch, OpenSearchSpec, Rotation};
pub use self::splunk::{HecKind, Splunk, SplunkSpec};
use crate::blocking::GivenUp as BlockingGivenUp;
use crate::http::{Address, BadAddress, Secret};
use crate::record::{ErrorType, Origin};

/// Records of one cut that are not delivered yet.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Random, derived from the cut: the same in all attempts, after a crash too. As a UUID, the request id.
    pub id: [u8; 16],
    /// When the cut was made, in ms.
    pub created: Millis,
    /// This attempt's moment, in ms.
    pub now: Millis,
    /// The records, in order.
    pub records: Vec<ParcelRecord>,
}

impl Parcel {
    /// The id as a UUID.
    #[must_use]
    pub fn uuid(&self) -> String {
        uuid::Uuid::from_bytes(self.id).to_string()
    }
}

/// A record to be delivered.
#[derive(Clone, Debug)]
pub struct ParcelRecord {
    /// Identifies it within the delivery stream, the same in all attempts: `<sequence number>.<sub-sequence number>`.
    pub id: String,
    /// When it arrived at its source, in ms.
    pub arrival: Millis,
    /// The data stream it was read from; `None` for direct put.
    pub origin: Option<Origin>,
    /// The payload.
    pub data: Bytes,
}

/// What became of a parcel in one attempt. Records that are not named were delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Places in [`Parcel::records`], rising, with the reason. Worth another attempt.
    pub retry: Vec<(usize, Fault)>,
    /// Places in [`Parcel::records`], rising, with the reason. No attempt will help.
    pub refused: Vec<(usize, Fault)>,
    /// Bytes sent, for the metrics.
    pub bytes: u64,
    /// The requests that were made, in order, for the log and the metrics.
    pub requests: Vec<Request>,
    /// All was taken, but whether it is safe is to be asked: [`Endpoint::confirmed`].
    pub receipt: Option<Receipt>,
    /// How long after that a destination said that it is safe.
    pub acknowledged_after: Option<Duration>,
}

/// A request of an attempt. Its places in the parcel stand in the [`Verdict`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What the destination knows it by, or the parcel's id if it is told none.
    pub id: String,
    /// Records in it.
    pub records: usize,
    /// Bytes of its body; 0 if it could not be sent.
    pub bytes: u64,
    /// Records in it that were not taken.
    pub failed: usize,
    /// Why the first of them was not.
    pub fault: Option<Fault>,
}

/// What a destination gave for a parcel that it took, to be asked about it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    number: u64,
    cookies: Option<Secret>,
}

impl Verdict {
    /// Adds a request with what became of it as a whole.
    fn requested(&mut self, id: String, records: usize, bytes: u64, fault: Option<&Fault>) {
        let failed = if fault.is_some() { records } else { 0 };
        self.bytes += bytes;
        self.requests.push(Request { id, records, bytes, failed, fault: fault.cloned() });
    }

    /// Of the last request, the records behind these places of the two lists have failed.
    fn some_failed(&mut self, retry: usize, refused: usize) {
        let failed = || self.retry[retry..].iter().chain(&self.refused[refused..]);
        let (count, fault) = (failed().count(), failed().next().map(|(_, fault)| fault.clone()));
        if let Some(request) = self.requests.last_mut() {
            (request.failed, request.fault) = (count, fault);
        }
    }

    /// The whole parcel of so many records was taken, but is not safe.
    pub(crate) fn unconfirmed(&mut self, records: usize, fault: &Fault) {
        self.retry = (0..records).map(|place| (place, fault.clone())).collect();
        for request in &mut self.requests {
            (request.failed, request.fault) = (request.records, Some(fault.clone()));
        }
    }

    /// The whole parcel failed for one reason that may pass.
    #[must_use]
    pub fn retry_all(parcel: &Parcel, fault: &Fault) -> Self {
        Self { retry: (0..parcel.records.len()).map(|n| (n, fault.clone())).collect(), ..Self::default() }
    }

    /// The whole parcel failed for good.
    #[must_use]
    pub fn refuse_all(parcel: &Parcel, fault: &Fault) -> Self {
        Self { refused: (0..parcel.records.len()).map(|n| (n, fault.clone())).collect(), ..Self::default() }
    }
}

#[cfg(test)]
impl Receipt {
    pub(crate) fn numbered(number: u64) -> Self {
        Self { number, cookies: None }
    }
}

/// Why a record was not taken, as it stands in error output. Cheap to clone: all records of a request that failed have
/// the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `errorCode`.
    pub code: String,
    /// `errorMessage`.
    pub message: Arc<str>,
    /// What a log line may say: the message without what the destination sent, which may repeat records and secrets.
    pub summary: Arc<str>,
}

impl Fault {
    /// A reason of our own words.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let message: Arc<str> = message.into().into();
        Self { code: code.into(), summary: Arc::clone(&message), message }
    }

    /// The status of HTTP that is the code, as it is with OpenSearch.
    pub(crate) fn status(&self) -> Option<u16> {
        self.code.parse().ok()
    }

    /// A reason that goes on with the destination's words.
    fn quoting(code: impl Into<String>, summary: String, quoted: &str) -> Self {
        Self { code: code.into(), message: format!("{summary}{quoted}").into(), summary: summary.into() }
    }
}

/// What is known of a record that was given up, for its line of error output.
#[derive(Clone, Debug)]
pub struct GivenUp<'a> {
    /// The record.
    pub record: &'a ParcelRecord,
    /// The last reason.
    pub fault: &'a Fault,
    /// Attempts of this process that included it.
    pub attempts: u32,
    /// When the last one ended, in ms.
    pub ended: Millis,
}

/// A destination that takes requests.
pub trait Endpoint: Send + Sync + std::fmt::Debug + 'static {
    /// One attempt at all records of the parcel. Must end by itself: each request in it has a time limit. What it holds
    /// of them is let go of soon after the future was dropped; the attempt may then have been made, or not.
    fn attempt<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Verdict>;

    /// Asks about a parcel that was taken until it is safe. Holds nothing of it. Ends by itself.
    ///
    /// # Errors
    /// Why the whole parcel is worth another attempt.
    fn confirmed(&self, receipt: Receipt) -> BoxFuture<'_, Result<(), Fault>> {
        drop(receipt);
        Box::pin(std::future::ready(Ok(())))
    }

    /// What an attempt waits for, by a name that tells it from other endpoints: the address that is called.
    fn place(&self) -> &str;

    /// How long failed records are tried again, counted from the end of the first attempt that failed,
    /// unless [`Endpoint::retry_includes_attempts`].
    fn retry_for(&self) -> Duration;

    /// Where given-up records go under the error prefix.
    fn error_type(&self) -> ErrorType;

    /// The line of error output of a record that was given up: a JSON object in AWS's order, without a newline.
    fn error_line(&self, given_up: &GivenUp<'_>) -> Vec<u8>;

    /// Whether the retry duration includes the attempts themselves. Otherwise it is that of the waits between them.
    fn retry_includes_attempts(&self) -> bool {
        false
    }

    /// Whether `….Success` counts the records of attempts; otherwise it counts requests.
    fn success_is_of_records(&self) -> bool {
        true
    }

    /// Where requests go, for log lines: [`Address::origin`].
    fn origin(&self) -> String;

    /// The AWS metric's middle part: `HttpEndpoint`, `Splunk`, `AmazonOpenSearchService` …
    fn metric_name(&self) -> &'static str;
}

/// Why no endpoint can be made of a specification. The texts are for the caller of the API; they hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// Nothing can be sent there.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// Paths are appended to this URL, which a query or fragment prevents.
    #[error("The URL must not have a query or a fragment.")]
    Query,
    /// A header cannot carry it.
    #[error("The {0} has characters that an HTTP header cannot carry.")]
    Header(&'static str),
}

/// Checks an address that paths are appended to.
fn takes_paths(address: &Address) -> Result<(), BadEndpoint> {
    address.check()?;
    if address.target().contains(['?', '#']) { Err(BadEndpoint::Query) } else { Ok(()) }
}

/// Whether a header can carry a text (RFC 9110: visible characters, spaces and tabs).
fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

/// The content of a request could not be made, which says nothing of the records: AWS's code for its own errors.
fn not_prepared(reason: BlockingGivenUp) -> Fault {
    Fault::new("InternalError", reason.to_string())
}
