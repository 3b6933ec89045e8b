//! What is said of an attempt: a line in the log for each request and for each object of error output, and the counters.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::Upload;
use crate::control::{Cut, ObjectName};
use crate::endpoint::{Endpoint, Fault, Request, Verdict};
use crate::metrics::Metrics;

/// Lines of error output by their `errorCode`.
pub(crate) type Codes = BTreeMap<String, u64>;

impl Upload {
    /// Counts an attempt at so many records and says what became of its requests.
    pub(super) fn report(&self, endpoint: &dyn Endpoint, cut: &Cut, verdict: &Verdict, records: u64, attempts: u32) {
        let metrics = &self.metrics;
        let failed = (verdict.retry.len() + verdict.refused.len()) as u64;
        let sent = || verdict.requests.iter().filter(|request| request.bytes > 0);
        let (succeeded, failed) = if endpoint.success_is_of_records() {
            (records.saturating_sub(failed), failed)
        } else {
            let (good, bad): (Vec<_>, Vec<_>) = sent().partition(|request| request.failed == 0);
            (good.len() as u64, bad.len() as u64)
        };
        Metrics::add(&metrics.endpoint.succeeded, succeeded);
        Metrics::add(&metrics.endpoint.failed, failed);
        Metrics::add(&metrics.attempted_bytes, verdict.bytes);
        Metrics::add(&metrics.attempted_records, sent().map(|request| request.records as u64).sum());
        if let Some(after) = verdict.acknowledged_after {
            Metrics::add(&metrics.acknowledgements, 1);
            Metrics::add(&metrics.acknowledgement_us, u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        }
        let met = |of: fn(u16) -> bool| {
            let faults = verdict.retry.iter().chain(&verdict.refused);
            u64::from(faults.filter_map(|(_, fault)| fault.status()).any(of))
        };
        metrics.auth_failure.store(met(is_unauthorized), Ordering::Relaxed);
        metrics.delivery_rejected.store(met(|status| !is_unauthorized(status)), Ordering::Relaxed);
        let url = endpoint.origin();
        for request in &verdict.requests {
            self.report_request(cut, &url, request, attempts);
        }
    }

    fn report_request(&self, cut: &Cut, url: &str, request: &Request, attempts: u32) {
        let Request { id: request_id, records, bytes, failed, fault } = request;
        let (stream, cut) = (&self.stream, cut.id);
        match fault {
            None => {
                tracing::info!(
                    delivery_stream = %stream, cut, request_id, url, records, bytes, attempts, "request delivered"
                );
            }
            Some(Fault { code, summary, .. }) => {
                let what = if *bytes > 0 { "request failed" } else { "records not sent" };
                tracing::warn!(
                    delivery_stream = %stream, cut, request_id, url, records, bytes, attempts, failed, code,
                    reason = &**summary, "{what}"
                );
            }
        }
    }

    /// Says that an object of error output is durable. Who looks for the records looks for this line.
    pub(super) fn report_errors(&self, name: &ObjectName, records: u64, bytes: u64, codes: &Codes) {
        let ObjectName { bucket, key } = name;
        let store = self.shared.env.sink.place(bucket);
        tracing::warn!(delivery_stream = %self.stream, bucket, store, key, records, bytes, ?codes, "error output written");
    }
}

/// What a cluster answers to who may not write there.
fn is_unauthorized(status: u16) -> bool {
    matches!(status, 401 | 403)
}
