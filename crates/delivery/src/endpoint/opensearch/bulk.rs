//! Answers to `_bulk` requests.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::line::excerpt;
use super::{Fault, Verdict};
use crate::http::{HttpError, HttpResponse};

/// Bytes of an answer or reason that are repeated in error output.
const MAX_EXCERPT_BYTES: usize = 1024;

/// Bytes of an error's type that a log line repeats.
const MAX_KIND_BYTES: usize = 100;

/// What became of a request.
pub(super) enum Outcome {
    /// One for each document, in order.
    Items(Vec<Item>),
    /// It may pass.
    Retry(Fault),
    /// As `Retry`, and no other request would get further.
    Unreachable(Fault),
    /// Fewer documents may pass.
    TooLarge(Fault),
}

/// What became of a document.
#[derive(Deserialize)]
pub(super) struct Item {
    status: u16,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Bulk {
    /// Each has one member, named for its action.
    items: Vec<BTreeMap<String, Item>>,
}

/// Errors of status 400 that say something of the cluster, not of the document.
const MAY_PASS: [&str; 2] = ["index_closed_exception", "validation_exception"];

impl Item {
    pub(super) fn record(self, place: usize, verdict: &mut Verdict) {
        if (200..300).contains(&self.status) {
            return;
        }
        let kind = self.error.get("type").and_then(Value::as_str).unwrap_or_default();
        let refused = matches!(self.status, 400 | 413) && !MAY_PASS.contains(&kind);
        let message = match &self.error {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let fault = Fault {
            code: self.status.to_string(),
            message: excerpt(message.as_bytes(), MAX_EXCERPT_BYTES).into(),
            summary: excerpt(kind.as_bytes(), MAX_KIND_BYTES).into(),
        };
        let fault = (place, fault);
        if refused { verdict.refused.push(fault) } else { verdict.retry.push(fault) }
    }
}

/// Reads the answer to a request with so many documents. What is not understood may pass: sent again, a document takes
/// the place of its first copy.
pub(super) fn outcome(answer: Result<HttpResponse, HttpError>, documents: usize) -> Outcome {
    let response = match answer {
        Ok(response) => response,
        Err(error) => return failed(&error),
    };
    let code = response.status.to_string();
    match response.status {
        200 => {
            let items = serde_json::from_slice::<Bulk>(&response.body).map(items);
            match items {
                Ok(Some(items)) if items.len() == documents => Outcome::Items(items),
                _ => {
                    let summary = "Not the answer to a bulk request".to_owned();
                    Outcome::Retry(Fault::quoting(code, summary, &format!(": {}", said(&response))))
                }
            }
        }
        status => {
            let summary = format!("The request was answered by status {status}");
            let fault = Fault { code, message: said(&response).into(), summary: summary.into() };
            if status == 413 { Outcome::TooLarge(fault) } else { Outcome::Retry(fault) }
        }
    }
}

fn items(bulk: Bulk) -> Option<Vec<Item>> {
    bulk.items
        .into_iter()
        .map(|mut item| if item.len() == 1 { item.pop_first().map(|(_, item)| item) } else { None })
        .collect()
}

fn said(response: &HttpResponse) -> String {
    excerpt(&response.body, MAX_EXCERPT_BYTES)
}

/// AWS's codes where there is no status are unverified.
fn failed(error: &HttpError) -> Outcome {
    let fault = |code: &str| Fault::new(code, error.to_string());
    match error {
        HttpError::Connect(_) | HttpError::Forbidden(_) => Outcome::Unreachable(fault("OS.ConnectionFailed")),
        HttpError::Closed(_) => Outcome::Retry(fault("OS.ConnectionReset")),
        HttpError::Timeout(_) => Outcome::Retry(fault("OS.RequestTimeout")),
        HttpError::TooLarge(_) => Outcome::Retry(fault("OS.ResponseTooLarge")),
    }
}
