//! The reply of `GetRecords`.

use crate::codec::{Protocol, Writer};
use crate::kinesis::records::RecordsWriter;
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

impl GetRecordsHead {
    /// Begins the reply, with room for `capacity` bytes of records (see [`encoded_bytes`](super::records::encoded_bytes)).
    #[must_use]
    pub fn begin(&self, protocol: Protocol, capacity: usize) -> RecordsWriter {
        let mut out = Writer::with_capacity(protocol, capacity + 512);
        out.begin_object();
        if let Some(children) = &self.child_shards {
            out.key("ChildShards");
            children.write(&mut out);
        }
        out.key("MillisBehindLatest");
        out.integer(i64::try_from(self.millis_behind_latest).unwrap_or(i64::MAX));
        if let Some(iterator) = &self.next_shard_iterator {
            out.key("NextShardIterator");
            out.string(iterator);
        }
        RecordsWriter::after(out)
    }
}
