//! Records that the Kinesis Producer Library aggregated.
//!
//! Firehose takes them apart whenever its source is a Kinesis data stream, whatever the destination and without any
//! processor, and before it retains them: source backups hold what was inside, and a function sees the outer record's
//! shard, sequence number and arrival with the inner partition key and its place from 0. So this is called where
//! records are copied from the data stream. What producers put directly is never taken apart.
//!
//! ```text
//! aggregate := F3 89 9A C2 | message | MD5 of message
//! message   := 1: partition key (repeated)  2: explicit hash key (repeated)  3: record (repeated)
//! record    := 1: place of partition key  2: place of hash key  3: data  4: tag (repeated)
//! ```
//!
//! Format: awslabs/amazon-kinesis-producer, `aggregation-format.md`; the message is a protocol buffer, proto2.

use levada_core::batch::MAX_BATCH_BYTES;
use md5::{Digest, Md5};

/// A record out of an aggregate; its subsequence number is its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRecord<'a> {
    /// As the producer gave it.
    pub partition_key: &'a str,
    /// The payload.
    pub data: &'a [u8],
}

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const MD5_BYTES: usize = 16;
/// Longest partition key, in characters, as of any record of a data stream.
const MAX_KEY_CHARS: usize = 256;

/// What all records of an aggregate may take together in an internal log, in bytes: one append, so that an aggregate is
/// there whole or not at all. A record takes 4 bytes of the message at least and names its partition key in one, so that
/// a hostile one could become a hundred times as large. The library makes aggregates of at most 1 MiB, of records that
/// are rarely smaller than some dozen bytes.
pub const MAX_BYTES: usize = MAX_BATCH_BYTES - 64 * 1024;
/// What a record takes besides its data and its partition key: header, arrival, shard id and sequence number.
const RECORD_OVERHEAD: usize = 128;

/// Takes an aggregate apart. `None` if the data is none, or none that can be trusted: a wrong checksum, a malformed
/// message, a record without data or with a key that the table does not have or that is too long, more than
/// [`MAX_BYTES`], or no record at all. Then it is a record like any other.
#[must_use]
pub fn deaggregate(data: &[u8]) -> Option<Vec<UserRecord<'_>>> {
    let (message, sum) = data.strip_prefix(&MAGIC)?.split_last_chunk::<MD5_BYTES>()?;
    if Md5::digest(message).as_slice() != sum {
        return None;
    }
    let (mut keys, mut records) = (Vec::new(), Vec::new());
    let mut fields = Fields(message);
    while !fields.0.is_empty() {
        match fields.next()? {
            (1, Value::Bytes(key)) => keys.push(str::from_utf8(key).ok()?),
            (3, Value::Bytes(record)) => records.push(inner(record)?),
            _ => {}
        }
        if records.len().max(keys.len()) > MAX_BYTES / RECORD_OVERHEAD {
            return None;
        }
    }
    if keys.iter().any(|key| key.chars().count() > MAX_KEY_CHARS) {
        return None;
    }
    let named = |(key, data): (usize, _)| Some(UserRecord { partition_key: keys.get(key)?, data });
    let records = records.into_iter().map(named).collect::<Option<Vec<_>>>()?;
    let bytes = |record: &UserRecord<'_>| RECORD_OVERHEAD + record.partition_key.len() + record.data.len();
    (1..=MAX_BYTES).contains(&records.iter().map(bytes).sum()).then_some(records)
}

/// Place of its partition key, and data.
fn inner(record: &[u8]) -> Option<(usize, &[u8])> {
    let (mut key, mut data) = (None, None);
    let mut fields = Fields(record);
    while !fields.0.is_empty() {
        match fields.next()? {
            (1, Value::Number(place)) => key = Some(usize::try_from(place).ok()?),
            (3, Value::Bytes(bytes)) => data = Some(bytes),
            _ => {}
        }
    }
    Some((key?, data?))
}

/// What is left of a message.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed width; no field of ours is.
    Fixed,
}

impl<'a> Fields<'a> {
    /// Number and value of the next field.
    fn next(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        (tag >> 3 != 0).then_some((tag >> 3, value))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (now, later) = self.0.split_at_checked(len)?;
        self.0 = later;
        Some(now)
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.take(1)? else { return None };
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}
