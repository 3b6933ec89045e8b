//! The list of records in a reply of `GetRecords` or an event of `SubscribeToShard`, written as it is read: a record
//! goes from the log's bytes straight into the document.

use base64_simd::STANDARD;

use crate::codec::{Protocol, Writer};
use crate::json::{push_escaped, push_timestamp_ms};
use crate::kinesis::types::EncryptionType;
use crate::typed::WriteMember;
use crate::{cbor, json};

/// Bytes around a record's data and partition key: names, punctuation, sequence number, time.
pub const RECORD_OVERHEAD_BYTES: usize = 170;

/// About as many bytes as `records` records with `bytes` bytes of keys and data take in a document.
#[must_use]
pub const fn encoded_bytes(protocol: Protocol, records: usize, bytes: usize) -> usize {
    let bytes = match protocol {
        Protocol::Json | Protocol::PlainJson => bytes * 4 / 3,
        Protocol::Cbor => bytes,
    };
    bytes + records * RECORD_OVERHEAD_BYTES
}

/// Writes the records of a reply or an event after all other members: AWS writes members by name, and `Records` is the
/// last. [`GetRecordsHead`](super::get_records::GetRecordsHead) and [`EventHead`](super::subscribe::EventHead) begin it.
#[derive(Debug)]
pub struct RecordsWriter {
    out: Vec<u8>,
    /// The last arrival time and its text: records of one batch share it.
    arrival: Option<(u64, Vec<u8>)>,
    /// What the next record says of its encryption.
    encryption: Option<EncryptionType>,
    /// `,"EncryptionType":"…"` or its like in CBOR; empty for plain records.
    encryption_member: Vec<u8>,
    cbor: bool,
    records: usize,
}

impl RecordsWriter {
    /// Goes on behind the other members, the structure still open.
    pub(super) fn after(mut members: Writer) -> Self {
        members.key("Records");
        members.begin_array();
        let cbor = matches!(members, Writer::Cbor(_));
        let out = members.into_bytes();
        Self { out, arrival: None, encryption: None, encryption_member: Vec::new(), cbor, records: 0 }
    }

    /// What the records that follow say of their encryption; plain ones, and those before the first call, say nothing.
    pub fn encryption(&mut self, encryption: Option<EncryptionType>) {
        if self.encryption != encryption {
            self.encryption = encryption;
            self.encryption_member = encryption.map_or_else(Vec::new, |kind| encryption_member(self.cbor, kind));
        }
    }

    /// Appends a record: its arrival in milliseconds since the epoch, its data, its partition key in UTF-8 (empty
    /// if it has none) and its sequence number in decimal digits.
    pub fn record(&mut self, arrival_ms: u64, data: &[u8], partition_key: &[u8], sequence_number: &[u8]) {
        if self.cbor {
            self.cbor_record(arrival_ms, data, partition_key, sequence_number);
        } else {
            self.json_record(arrival_ms, data, partition_key, sequence_number);
        }
        self.records += 1;
    }

    fn json_record(&mut self, arrival_ms: u64, data: &[u8], partition_key: &[u8], sequence_number: &[u8]) {
        if self.records > 0 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"ApproximateArrivalTimestamp\":");
        self.push_arrival(arrival_ms);
        self.out.extend_from_slice(b",\"Data\":\"");
        STANDARD.encode_append(data, &mut self.out);
        self.out.push(b'"');
        self.out.extend_from_slice(&self.encryption_member);
        if !partition_key.is_empty() {
            self.out.extend_from_slice(b",\"PartitionKey\":\"");
            match std::str::from_utf8(partition_key) {
                Ok(_) => push_escaped(&mut self.out, partition_key),
                Err(_) => push_escaped(&mut self.out, String::from_utf8_lossy(partition_key).as_bytes()),
            }
            self.out.push(b'"');
        }
        self.out.extend_from_slice(b",\"SequenceNumber\":\"");
        self.out.extend_from_slice(sequence_number);
        self.out.extend_from_slice(b"\"}");
    }

    fn cbor_record(&mut self, arrival_ms: u64, data: &[u8], partition_key: &[u8], sequence_number: &[u8]) {
        let Self { out, encryption_member, .. } = self;
        out.push(cbor::BEGIN_MAP);
        cbor::push_text(out, b"ApproximateArrivalTimestamp");
        cbor::push_timestamp_ms(out, i64::try_from(arrival_ms).unwrap_or(i64::MAX));
        cbor::push_text(out, b"Data");
        cbor::push_bytes(out, data);
        out.extend_from_slice(encryption_member);
        if !partition_key.is_empty() {
            cbor::push_text(out, b"PartitionKey");
            match std::str::from_utf8(partition_key) {
                Ok(_) => cbor::push_text(out, partition_key),
                Err(_) => cbor::push_text(out, String::from_utf8_lossy(partition_key).as_bytes()),
            }
        }
        cbor::push_text(out, b"SequenceNumber");
        cbor::push_text(out, sequence_number);
        out.push(cbor::BREAK);
    }

    /// Number of records so far.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// The document.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(if self.cbor { &[cbor::BREAK, cbor::BREAK] } else { b"]}" });
        self.out
    }

    fn push_arrival(&mut self, ms: u64) {
        let Self { out, arrival, .. } = self;
        let stale = arrival.as_ref().is_none_or(|(known, _)| *known != ms);
        if stale {
            let mut text = Vec::with_capacity(20);
            push_timestamp_ms(&mut text, i64::try_from(ms).unwrap_or(i64::MAX));
            *arrival = Some((ms, text));
        }
        if let Some((_, text)) = arrival {
            out.extend_from_slice(text);
        }
    }
}

/// The member as it stands in each record, between `Data` and `PartitionKey`.
fn encryption_member(cbor: bool, encryption: EncryptionType) -> Vec<u8> {
    if cbor {
        let mut out = Writer::Cbor(cbor::Writer::new());
        out.key("EncryptionType");
        encryption.write(&mut out);
        return out.into_bytes();
    }
    let mut out = Writer::Json(json::Writer::new());
    out.key("EncryptionType");
    encryption.write(&mut out);
    let mut member = vec![b','];
    member.extend(out.into_bytes());
    member
}
