//! An event of `SubscribeToShard`.

use crate::codec::{Protocol, Writer};
use crate::kinesis::records::RecordsWriter;
use crate::kinesis::types::ChildShard;
use crate::typed::WriteMember;

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

impl EventHead {
    /// Begins the event's payload, with room for `capacity` bytes of records (see
    /// [`encoded_bytes`](super::records::encoded_bytes)).
    #[must_use]
    pub fn begin(&self, protocol: Protocol, capacity: usize) -> RecordsWriter {
        let mut out = Writer::with_capacity(protocol, capacity + 256);
        out.begin_object();
        if let Some(children) = &self.child_shards {
            out.key("ChildShards");
            children.write(&mut out);
        }
        if let Some(number) = &self.continuation_sequence_number {
            out.key("ContinuationSequenceNumber");
            out.string(number);
        }
        out.key("MillisBehindLatest");
        out.integer(i64::try_from(self.millis_behind_latest).unwrap_or(i64::MAX));
        RecordsWriter::after(out)
    }
}
