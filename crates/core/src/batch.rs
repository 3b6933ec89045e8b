//! A batch: records of one log, encoded once by the handler and never re-encoded on their way to the disk.
//!
//! ```text
//! batch   := record*
//! record  := data_len: u32 LE | key_len: u16 LE | key: key_len bytes | data: data_len bytes
//! ```
//!
//! The journal, the segments and the tail in memory all hold exactly these bytes (docs/FORMAT.md, version 1). The
//! offset, the arrival time and the checksum belong to the frame around a batch, because only the engine knows them.

use bytes::Bytes;

/// Bytes in front of each record's key: a `u32` data length and a `u16` key length.
pub const RECORD_HEADER_BYTES: usize = 6;

/// Longest key in bytes. A Kinesis record's has at most 1,024: 256 characters of four UTF-8 bytes (`PartitionKey` in the
/// model). Records of delivery streams carry such a key inside their own, with the values of partition keys.
pub const MAX_KEY_BYTES: usize = 4096;

/// Largest encoded batch in bytes: a `PutRecords` call of 10 MiB including keys, all to one shard, plus its 500
/// record headers, rounded up. An engine accepts any batch up to here.
pub const MAX_BATCH_BYTES: usize = 11 * 1024 * 1024;

/// One or more encoded records. Cheap to clone; the bytes are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    bytes: Bytes,
    count: u32,
}

/// A record inside a batch, borrowed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// The partition key for a Kinesis record; empty for internal logs.
    pub key: &'a [u8],
    /// The record's data, exactly as the producer sent it.
    pub data: &'a [u8],
}

/// Bytes that are not a batch: a record reaches past the end, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a batch of whole records")]
pub struct MalformedBatch;

impl Batch {
    /// Checks that `bytes` are whole records and counts them.
    ///
    /// # Errors
    /// [`MalformedBatch`] if they are not, or if there is no record at all.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, MalformedBatch> {
        let mut rest = &bytes[..];
        let mut count = 0u32;
        while !rest.is_empty() {
            rest = split_record(rest).ok_or(MalformedBatch)?.1;
            count += 1;
        }
        if count == 0 {
            return Err(MalformedBatch);
        }
        Ok(Self { bytes, count })
    }

    /// A batch of one record.
    #[must_use]
    pub fn single(key: &[u8], data: &[u8]) -> Self {
        let mut builder = BatchBuilder::with_capacity(RECORD_HEADER_BYTES + key.len() + data.len());
        builder.push(key, data);
        builder.finish_nonempty()
    }

    /// The encoded records.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Number of records, at least 1.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The records in order.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records { rest: &self.bytes }
    }
}

/// Iterator over the records of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    fn next(&mut self) -> Option<RecordView<'a>> {
        let (record, rest) = split_record(self.rest)?;
        self.rest = rest;
        Some(record)
    }
}

fn split_record(bytes: &[u8]) -> Option<(RecordView<'_>, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>()?;
    let [a, b, c, d, e, f] = *header;
    let data_len = u32::from_le_bytes([a, b, c, d]) as usize;
    let key_len = usize::from(u16::from_le_bytes([e, f]));
    let (key, rest) = rest.split_at_checked(key_len)?;
    let (data, rest) = rest.split_at_checked(data_len)?;
    Some((RecordView { key, data }, rest))
}

/// Encodes records into one batch.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    count: u32,
}

impl BatchBuilder {
    /// An empty builder with room for `bytes` encoded bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Appends a record. `key` is at most [`MAX_KEY_BYTES`] long and `data` below 4 GiB; the wire layer has refused
    /// anything larger.
    pub fn push(&mut self, key: &[u8], data: &[u8]) {
        self.push_with(key, |bytes| bytes.extend_from_slice(data));
    }

    /// Appends a record whose data `write` appends in place, so that base64 is decoded straight into the batch.
    pub fn push_with(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(key.len() <= MAX_KEY_BYTES);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(key);
        let data_at = self.bytes.len();
        write(&mut self.bytes);
        let data_len = (self.bytes.len() - data_at) as u32;
        self.bytes[at..at + 4].copy_from_slice(&data_len.to_le_bytes());
        self.count += 1;
    }

    /// Number of records so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Encoded bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True while no record has been pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The batch, or `None` if no record was pushed.
    #[must_use]
    pub fn finish(self) -> Option<Batch> {
        (self.count > 0).then(|| self.finish_nonempty())
    }

    fn finish_nonempty(self) -> Batch {
        Batch { bytes: Bytes::from(self.bytes), count: self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let mut builder = BatchBuilder::default();
        builder.push(b"key", b"data");
        builder.push(b"", b"");
        builder.push_with(b"k", |bytes| bytes.extend_from_slice(b"written in place"));
        let batch = builder.finish().unwrap();
        let again = Batch::from_bytes(batch.bytes().clone()).unwrap();
        assert_eq!(again, batch);
        let records: Vec<_> = again.records().map(|r| (r.key, r.data)).collect();
        assert_eq!(records, [(&b"key"[..], &b"data"[..]), (b"", b""), (b"k", b"written in place")]);
    }

    #[test]
    fn every_proper_prefix_that_cuts_a_record_is_refused() {
        let batch = Batch::single(b"key", b"data");
        for end in 0..batch.bytes().len() {
            assert_eq!(Batch::from_bytes(batch.bytes().slice(..end)), Err(MalformedBatch), "prefix of {end} bytes");
        }
    }
}
