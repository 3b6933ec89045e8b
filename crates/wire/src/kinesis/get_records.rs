//! The reply of `GetRecords`.

use crate::codec::{Protocol, Writer};
use crate::kinesis::records::RecordsWriter;
use crate::kinesis::types::{ChildShard, EncryptionType};
use crate::typed::WriteMember;

pub use crate::kinesis::records::{RECORD_OVERHEAD_BYTES, encoded_bytes};

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
pub struct GetRecordsWriter(RecordsWriter);

impl GetRecordsWriter {
    /// Begins a reply with room for `capacity` bytes of records (see [`encoded_bytes`]).
    #[must_use]
    pub fn new(protocol: Protocol, head: &GetRecordsHead, capacity: usize) -> Self {
        let mut out = Writer::with_capacity(protocol, capacity + 512);
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

    /// The reply's document.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0.finish()
    }
}
