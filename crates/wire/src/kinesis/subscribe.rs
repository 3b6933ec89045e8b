//! An event of `SubscribeToShard`.

use crate::codec::{Protocol, Writer};
use crate::kinesis::records::RecordsWriter;
use crate::kinesis::types::{ChildShard, EncryptionType};
use crate::typed::WriteMember;

pub use crate::kinesis::records::{RECORD_OVERHEAD_BYTES, encoded_bytes};

/// The event's name on the wire, for [`eventstream::event`](crate::eventstream::event).
pub const EVENT: &str = "SubscribeToShardEvent";

/// What an event says beside its records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventHead {
    /// The children of a shard whose end is reached; AWS sends no `ContinuationSequenceNumber` with them, and the KCL
    /// accepts neither both nor none.
    pub child_shards: Option<Vec<ChildShard>>,
    /// Where a new subscription goes on, in decimal digits.
    pub continuation_sequence_number: Option<String>,
    /// How far the event's end is behind the tip of the shard, in milliseconds.
    pub millis_behind_latest: u64,
}

/// Writes the event's payload.
#[derive(Debug)]
pub struct EventWriter(RecordsWriter);

impl EventWriter {
    /// Begins an event with room for `capacity` bytes of records (see [`encoded_bytes`]).
    #[must_use]
    pub fn new(protocol: Protocol, head: &EventHead, capacity: usize) -> Self {
        let mut out = Writer::with_capacity(protocol, capacity + 256);
        out.begin_object();
        if let Some(children) = &head.child_shards {
            out.key("ChildShards");
            children.write(&mut out);
        }
        if let Some(number) = &head.continuation_sequence_number {
            out.key("ContinuationSequenceNumber");
            out.string(number);
        }
        out.key("MillisBehindLatest");
        out.integer(i64::try_from(head.millis_behind_latest).unwrap_or(i64::MAX));
        Self(RecordsWriter::after(out))
    }

    /// What the records that follow say of their encryption; plain ones, and those before the first call, say nothing.
    pub fn encryption(&mut self, encryption: Option<EncryptionType>) {
        self.0.encryption(encryption);
    }

    /// Appends a record: its arrival in milliseconds since the epoch, its data, its partition key in UTF-8 (empty
    /// if it has none) and its sequence number in decimal digits.
    pub fn record(&mut self, arrival_ms: u64, data: &[u8], partition_key: &[u8], sequence_number: &[u8]) {
        self.0.record(arrival_ms, data, partition_key, sequence_number);
    }

    /// Number of records so far.
    #[must_use]
    pub fn records(&self) -> usize {
        self.0.records()
    }

    /// The event's payload.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.finish()
    }
}
