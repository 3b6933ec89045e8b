//! `PutRecords` without detours: the request is read in place and its data stay in the body until they go straight into
//! the log's batch; the reply is written as one buffer.
//!
//! Architecture invariant: nothing here words an error. What is not recognised at once goes the generic
//! way, which decides.

use std::borrow::Cow;

use crate::blob::Blob;
use crate::cbor;
use crate::codec::{Protocol, Writer};
use crate::error::AwsError;
use crate::json::push_escaped;
use crate::kinesis::types::{self, EncryptionType, StreamRef};
use crate::kinesis::{Request, decode as decode_generic};
use crate::operation::KinesisOp;
use crate::scan;
use crate::typed::WriteMember;

/// A decoded `PutRecords` request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PutRecordsRequest<'a> {
    /// `DryRun`
    pub dry_run: bool,
    /// `StreamName`
    pub stream_name: Option<Cow<'a, str>>,
    /// `StreamARN`
    pub stream_arn: Option<Cow<'a, str>>,
    /// `StreamId`
    pub stream_id: Option<Cow<'a, str>>,
    /// The records, 1–500, in request order.
    pub records: Vec<Entry<'a>>,
}

/// A record of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The record's data.
    pub data: Blob<'a>,
    /// A decimal number of at most 39 digits, which may still exceed the range of hash keys.
    pub explicit_hash_key: Option<Cow<'a, str>>,
    /// 1–256 UTF-16 units. The model does not require it any more; provisioned streams do.
    pub partition_key: Option<Cow<'a, str>>,
}

impl Entry<'_> {
    /// Bytes of the partition key and the decoded data, which is what AWS's size limits count.
    #[must_use]
    pub fn size(&self) -> usize {
        self.partition_key.as_ref().map_or(0, |key| key.len()) + self.data.decoded_len()
    }
}

impl PutRecordsRequest<'_> {
    /// How the request names its stream.
    #[must_use]
    pub fn stream(&self) -> StreamRef<'_> {
        StreamRef { name: self.stream_name.as_deref(), arn: self.stream_arn.as_deref(), id: self.stream_id.as_deref() }
    }
}

/// Decodes and checks a request: in place if it has the usual form, else the generic way.
///
/// Base64 that the scanner passed over is looked into only when it is decoded. If that fails, call
/// [`decode_strict`], which words the error.
///
/// # Errors
/// `SerializationException` or `ValidationException` in AWS's words.
pub fn decode(protocol: Protocol, body: &[u8]) -> Result<PutRecordsRequest<'_>, AwsError> {
    match scan(protocol, body) {
        Some(request) => Ok(request),
        None => decode_strict(protocol, body),
    }
}

/// Decodes and checks a request the generic way; every blob is [`Blob::Raw`].
///
/// # Errors
/// `SerializationException` or `ValidationException` in AWS's words.
pub fn decode_strict(protocol: Protocol, body: &[u8]) -> Result<PutRecordsRequest<'static>, AwsError> {
    let Request::PutRecords(request) = decode_generic(KinesisOp::PutRecords, protocol, body)? else {
        return Err(AwsError::internal_failure());
    };
    Ok(request.into())
}

/// Scans a request of the usual form: known members, each once, strings without escapes, values well within their
/// constraints. `None` says nothing about the request but that it must go the generic way.
#[must_use]
pub fn scan(protocol: Protocol, body: &[u8]) -> Option<PutRecordsRequest<'_>> {
    match protocol {
        Protocol::Json | Protocol::PlainJson => scan::put_records(body),
        Protocol::Cbor => cbor::put::put_records(body),
    }
}

impl From<types::PutRecords> for PutRecordsRequest<'static> {
    fn from(request: types::PutRecords) -> Self {
        Self {
            dry_run: request.dry_run.unwrap_or(false),
            stream_name: request.stream_name.map(Cow::Owned),
            stream_arn: request.stream_arn.map(Cow::Owned),
            stream_id: request.stream_id.map(Cow::Owned),
            records: request.records.into_iter().map(Entry::from).collect(),
        }
    }
}

impl From<types::PutRecordsRequestEntry> for Entry<'static> {
    fn from(entry: types::PutRecordsRequestEntry) -> Self {
        Self {
            data: Blob::Raw(entry.data),
            explicit_hash_key: entry.explicit_hash_key.map(Cow::Owned),
            partition_key: entry.partition_key.map(Cow::Owned),
        }
    }
}

/// Writes the reply, one call per record in request order.
#[derive(Debug)]
pub struct PutRecordsReply {
    out: Vec<u8>,
    cbor: bool,
    records: usize,
}

/// Bytes of one successful entry: 56 digits, 20 characters of shard id, names and punctuation.
const ENTRY_BYTES: usize = 120;

impl PutRecordsReply {
    /// A reply to `records` records, `failed` of which failed, of a stream that encrypts so; of a plain one it says
    /// nothing. (AWS writes members by name, so all of it has to be known first.)
    #[must_use]
    pub fn new(protocol: Protocol, encryption_type: Option<EncryptionType>, failed: usize, records: usize) -> Self {
        let mut out = Writer::with_capacity(protocol, 96 + records * ENTRY_BYTES);
        out.begin_object();
        if let Some(encryption_type) = encryption_type {
            out.key("EncryptionType");
            encryption_type.write(&mut out);
        }
        out.key("FailedRecordCount");
        out.integer(i64::try_from(failed).unwrap_or(i64::MAX));
        out.key("Records");
        out.begin_array();
        let cbor = matches!(out, Writer::Cbor(_));
        Self { out: out.into_bytes(), cbor, records: 0 }
    }

    /// A stored record: its sequence number in decimal digits and its shard.
    pub fn stored(&mut self, sequence_number: &[u8], shard_id: &str) {
        if self.cbor {
            return self.cbor_entry(&[(b"SequenceNumber", sequence_number), (b"ShardId", shard_id.as_bytes())]);
        }
        self.separate();
        self.out.extend_from_slice(b"{\"SequenceNumber\":\"");
        self.out.extend_from_slice(sequence_number);
        self.out.extend_from_slice(b"\",\"ShardId\":\"");
        self.out.extend_from_slice(shard_id.as_bytes());
        self.out.extend_from_slice(b"\"}");
    }

    /// A record that was not stored (see [`errors::EntryError`](super::errors::EntryError)).
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
