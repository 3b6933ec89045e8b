//! `PutRecordBatch` without detours, like [`put_records`](crate::kinesis::put_records).

use std::borrow::Cow;

use crate::blob::Blob;
use crate::cbor;
use crate::codec::{Protocol, Writer};
use crate::error::AwsError;
use crate::firehose::{Request, decode as decode_generic, types};
use crate::json::push_escaped;
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

/// Decodes and checks a request: in place if it has the usual form, else the generic way.
///
/// Base64 that the scanner passed over is looked into only when it is decoded. If that fails, call
/// [`decode_strict`], which words the error.
///
/// # Errors
/// `SerializationException` or `ValidationException` in AWS's words.
pub fn decode(protocol: Protocol, body: &[u8]) -> Result<PutRecordBatchRequest<'_>, AwsError> {
    match scan(protocol, body) {
        Some(request) => Ok(request),
        None => decode_strict(protocol, body),
    }
}

/// Decodes and checks a request the generic way; every blob is [`Blob::Raw`].
///
/// # Errors
/// `SerializationException` or `ValidationException` in AWS's words.
pub fn decode_strict(protocol: Protocol, body: &[u8]) -> Result<PutRecordBatchRequest<'static>, AwsError> {
    let Request::PutRecordBatch(request) = decode_generic(FirehoseOp::PutRecordBatch, protocol, body)? else {
        return Err(AwsError::internal_failure());
    };
    Ok(request.into())
}

/// Scans a request of the usual form. `None` says nothing about the request but that it must go the generic way.
#[must_use]
pub fn scan(protocol: Protocol, body: &[u8]) -> Option<PutRecordBatchRequest<'_>> {
    match protocol {
        Protocol::Json | Protocol::PlainJson => scan::put_record_batch(body),
        Protocol::Cbor => cbor::put::put_record_batch(body),
    }
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
    cbor: bool,
    records: usize,
}

impl PutRecordBatchReply {
    /// A reply to `records` records, `failed` of which failed; `encrypted` if those that did not were encrypted.
    #[must_use]
    pub fn new(protocol: Protocol, encrypted: bool, failed: usize, records: usize) -> Self {
        let mut out = Writer::with_capacity(protocol, 80 + records * 240);
        out.begin_object();
        out.key("Encrypted");
        out.boolean(encrypted);
        out.key("FailedPutCount");
        out.integer(i64::try_from(failed).unwrap_or(i64::MAX));
        out.key("RequestResponses");
        out.begin_array();
        let cbor = matches!(out, Writer::Cbor(_));
        Self { out: out.into_bytes(), cbor, records: 0 }
    }

    /// An accepted record. The id is opaque and needs no escaping.
    pub fn accepted(&mut self, record_id: &str) {
        if self.cbor {
            return self.cbor_entry(&[(b"RecordId", record_id.as_bytes())]);
        }
        self.separate();
        self.out.extend_from_slice(b"{\"RecordId\":\"");
        push_escaped(&mut self.out, record_id.as_bytes());
        self.out.extend_from_slice(b"\"}");
    }

    /// A record that was not accepted.
    pub fn failed(&mut self, code: &str, message: &str) {
        if self.cbor {
            return self.cbor_entry(&[(b"ErrorCode", code.as_bytes()), (b"ErrorMessage", message.as_bytes())]);
        }
        self.separate();
        self.out.extend_from_slice(b"{\"ErrorCode\":\"");
        push_escaped(&mut self.out, code.as_bytes());
        self.out.extend_from_slice(b"\",\"ErrorMessage\":\"");
        push_escaped(&mut self.out, message.as_bytes());
        self.out.extend_from_slice(b"\"}");
    }

    /// The reply's document.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(if self.cbor { &[cbor::BREAK, cbor::BREAK] } else { b"]}" });
        self.out
    }

    fn separate(&mut self) {
        if self.records > 0 {
            self.out.push(b',');
        }
        self.records += 1;
    }

    fn cbor_entry(&mut self, members: &[(&[u8], &[u8])]) {
        self.out.push(cbor::BEGIN_MAP);
        for (name, text) in members {
            cbor::push_text(&mut self.out, name);
            cbor::push_text(&mut self.out, text);
        }
        self.out.push(cbor::BREAK);
    }
}
