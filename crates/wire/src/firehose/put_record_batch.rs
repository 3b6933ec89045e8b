//! `PutRecordBatch` without detours, like [`put_records`](crate::kinesis::put_records).

use std::borrow::Cow;

use crate::blob::Blob;
use crate::error::AwsError;
use crate::firehose::{Request, decode as decode_generic, types};
use crate::json::{push_escaped, push_integer};
use crate::operation::FirehoseOp;
use crate::scan;

/// A decoded `PutRecordBatch` request.
#[derive(Clone, Debug, PartialEq)]
pub struct PutRecordBatchRequest<'a> {
    /// `DeliveryStreamName`
    pub delivery_stream_name: Cow<'a, str>,
    /// The records' data, 1–500, in request order.
    pub records: Vec<Blob<'a>>,
}

/// Decodes and checks a request: by the scanner if it has the usual form, else the generic way.
///
/// Base64 that the scanner passed over is looked into only when it is decoded. If that fails, call
/// [`decode_strict`], which words the error.
///
/// # Errors
/// `SerializationException` or `ValidationException` in AWS's words.
pub fn decode(body: &[u8]) -> Result<PutRecordBatchRequest<'_>, AwsError> {
    match scan(body) {
        Some(request) => Ok(request),
        None => decode_strict(body),
    }
}

/// Decodes and checks a request the generic way; every blob is [`Blob::Raw`].
///
/// # Errors
/// `SerializationException` or `ValidationException` in AWS's words.
pub fn decode_strict(body: &[u8]) -> Result<PutRecordBatchRequest<'static>, AwsError> {
    match decode_generic(FirehoseOp::PutRecordBatch, body)? {
        Request::PutRecordBatch(request) => Ok(request.into()),
        _ => Err(AwsError::internal_failure()),
    }
}

/// Scans a request of the usual form. `None` says nothing about the request but that it must go the generic way.
#[must_use]
pub fn scan(body: &[u8]) -> Option<PutRecordBatchRequest<'_>> {
    scan::put_record_batch(body)
}

impl From<types::PutRecordBatch> for PutRecordBatchRequest<'static> {
    fn from(request: types::PutRecordBatch) -> Self {
        Self {
            delivery_stream_name: Cow::Owned(request.delivery_stream_name),
            records: request.records.into_iter().map(|record| Blob::Raw(record.data)).collect(),
        }
    }
}

/// Writes the reply, one call per record in request order.
#[derive(Debug)]
pub struct PutRecordBatchReply {
    out: Vec<u8>,
    records: usize,
}

impl PutRecordBatchReply {
    /// A reply to `records` records, `failed` of which failed.
    #[must_use]
    pub fn new(failed: usize, records: usize) -> Self {
        let mut out = Vec::with_capacity(80 + records * 240);
        out.extend_from_slice(b"{\"Encrypted\":false,\"FailedPutCount\":");
        push_integer(&mut out, i64::try_from(failed).unwrap_or(i64::MAX));
        out.extend_from_slice(b",\"RequestResponses\":[");
        Self { out, records: 0 }
    }

    /// An accepted record. The id is opaque and needs no escaping.
    pub fn accepted(&mut self, record_id: &str) {
        self.separate();
        self.out.extend_from_slice(b"{\"RecordId\":\"");
        push_escaped(&mut self.out, record_id.as_bytes());
        self.out.extend_from_slice(b"\"}");
    }

    /// A record that was not accepted.
    pub fn failed(&mut self, code: &str, message: &str) {
        self.separate();
        self.out.extend_from_slice(b"{\"ErrorCode\":\"");
        push_escaped(&mut self.out, code.as_bytes());
        self.out.extend_from_slice(b"\",\"ErrorMessage\":\"");
        push_escaped(&mut self.out, message.as_bytes());
        self.out.extend_from_slice(b"\"}");
    }

    /// The reply's JSON document.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"]}");
        self.out
    }

    fn separate(&mut self) {
        if self.records > 0 {
            self.out.push(b',');
        }
        self.records += 1;
    }
}
