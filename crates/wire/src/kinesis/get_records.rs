//! The reply of `GetRecords`, written as it is read: the records go from the log's bytes straight into the reply.

use base64_simd::STANDARD;

use crate::json::{Writer, push_escaped, push_timestamp_ms};
use crate::kinesis::types::ChildShard;
use crate::typed::WriteMember;

/// What the reply says beside its records. AWS writes members by name, so all of it stands before the records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GetRecordsHead {
    /// The children of a shard that has been read to its end; absent otherwise.
    pub child_shards: Option<Vec<ChildShard>>,
    /// How far the page's end is behind the tip of the shard, in milliseconds. AWS tells whole seconds.
    pub millis_behind_latest: u64,
    /// Where to go on; absent at the end of a closed shard.
    pub next_shard_iterator: Option<String>,
}

/// Writes the reply.
#[derive(Debug)]
pub struct GetRecordsWriter {
    out: Vec<u8>,
    /// The last arrival time and its text: records of one batch share it.
    arrival: Option<(u64, Vec<u8>)>,
    records: usize,
}

/// Bytes around a record's data and partition key: names, punctuation, sequence number, time.
pub const RECORD_OVERHEAD_BYTES: usize = 170;

impl GetRecordsWriter {
    /// Begins a reply with room for `capacity` bytes of records in JSON (per record about
    /// [`RECORD_OVERHEAD_BYTES`], its partition key, and 4/3 of its data).
    #[must_use]
    pub fn new(head: &GetRecordsHead, capacity: usize) -> Self {
        let mut out = Writer::with_capacity(capacity + 512);
        out.begin_object();
        if let Some(children) = &head.child_shards {
            out.key("ChildShards");
            children.write(&mut out);
        }
        out.key("MillisBehindLatest");
        out.integer(i64::try_from(head.millis_behind_latest).unwrap_or(i64::MAX));
        if let Some(iterator) = &head.next_shard_iterator {
            out.key("NextShardIterator");
            out.string(iterator);
        }
        out.key("Records");
        out.begin_array();
        Self { out: out.into_bytes(), arrival: None, records: 0 }
    }

    /// Appends a record: its arrival in milliseconds since the epoch, its data, its partition key in UTF-8 (empty
    /// if it has none) and its sequence number in decimal digits.
    pub fn record(&mut self, arrival_ms: u64, data: &[u8], partition_key: &[u8], sequence_number: &[u8]) {
        if self.records > 0 {
            self.out.push(b',');
        }
        self.records += 1;
        self.out.extend_from_slice(b"{\"ApproximateArrivalTimestamp\":");
        self.push_arrival(arrival_ms);
        self.out.extend_from_slice(b",\"Data\":\"");
        STANDARD.encode_append(data, &mut self.out);
        if !partition_key.is_empty() {
            self.out.extend_from_slice(b"\",\"PartitionKey\":\"");
            match std::str::from_utf8(partition_key) {
                Ok(_) => push_escaped(&mut self.out, partition_key),
                Err(_) => push_escaped(&mut self.out, String::from_utf8_lossy(partition_key).as_bytes()),
            }
        }
        self.out.extend_from_slice(b"\",\"SequenceNumber\":\"");
        self.out.extend_from_slice(sequence_number);
        self.out.extend_from_slice(b"\"}");
    }

    /// Number of records so far.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// The reply's JSON document.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"]}");
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
