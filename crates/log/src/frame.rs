//! Frames: what journal rounds and segments are made of.
//!
//! ```text
//! frame  := header (40 bytes) | body (len bytes)
//! header := crc: u32 | kind: u8 | zero: 3 bytes | len: u32 | count: u32 | log: u64 | first: u64 | arrival: u64
//! ```
//!
//! All numbers are little-endian. `crc` is the CRC-32C of everything after it, body included. A frame names its log
//! and its place, so a segment describes itself.
//!
//! | kind | | body | count | first | arrival |
//! |---|---|---|---|---|---|
//! | 1 | DATA | a batch | its records | offset of the first | of all records |
//! | 2 | CREATE | – | the log's class | 0 | the log's floor |
//! | 3 | SEAL | – | 0 | the log's end | of its last record, or its floor |
//! | 4 | DELETE | – | 0 | 0 | 0 |
//!
//! Segments hold DATA only.

use bytes::Bytes;
use levada_core::batch::{Batch, MAX_BATCH_BYTES};

/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 40;

/// Largest frame in bytes.
pub(crate) const MAX_FRAME_BYTES: usize = FRAME_HEADER_BYTES + MAX_BATCH_BYTES;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    Create,
    Seal,
    Delete,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Create => 2,
            Self::Seal => 3,
            Self::Delete => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Data),
            2 => Some(Self::Create),
            3 => Some(Self::Seal),
            4 => Some(Self::Delete),
            _ => None,
        }
    }
}

/// A frame's header without its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) len: u32,
    pub(crate) count: u32,
    pub(crate) log: u64,
    pub(crate) first: u64,
    pub(crate) arrival: u64,
}

impl Header {
    /// Bytes of the whole frame.
    pub(crate) fn frame_len(&self) -> usize {
        FRAME_HEADER_BYTES + self.len as usize
    }

    /// Offset after the frame's last record.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[4] = self.kind.code();
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.log.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.arrival.to_le_bytes());
        bytes
    }

    /// Encodes the header in front of `body`, with the checksum of both.
    pub(crate) fn seal(&self, body: &[u8]) -> (u32, [u8; FRAME_HEADER_BYTES]) {
        let mut bytes = self.encode();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[4..]), body);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        (crc, bytes)
    }

    /// Encodes the header with a checksum that was computed when the frame was first made.
    pub(crate) fn with_crc(&self, crc: u32) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = self.encode();
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header without its body; nothing is verified beyond the kind and the length.
    pub(crate) fn peek(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        let header = Self {
            kind: Kind::from_code(header[4])?,
            len: u32_at(header, 8)?,
            count: u32_at(header, 12)?,
            log: u64_at(header, 16)?,
            first: u64_at(header, 24)?,
            arrival: u64_at(header, 32)?,
        };
        let sound =
            header.len as usize <= MAX_BATCH_BYTES && header.first.checked_add(u64::from(header.count)).is_some();
        sound.then_some(header)
    }
}

/// A verified frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) crc: u32,
    /// The records of a DATA frame.
    pub(crate) batch: Option<Batch>,
}

/// Verifies the frame at the beginning of `bytes`; the batch shares them. `None` if it is damaged or cut.
pub(crate) fn parse(bytes: &Bytes) -> Option<Frame> {
    let header = Header::peek(bytes)?;
    let frame = bytes.get(..header.frame_len())?;
    let crc = u32_at(frame, 0)?;
    if crc32c::crc32c(&frame[4..]) != crc {
        return None;
    }
    let batch = match header.kind {
        Kind::Data => {
            let batch = Batch::from_bytes(bytes.slice(FRAME_HEADER_BYTES..header.frame_len())).ok()?;
            if batch.count() != header.count {
                return None;
            }
            Some(batch)
        }
        Kind::Create | Kind::Seal | Kind::Delete => {
            if header.len != 0 {
                return None;
            }
            None
        }
    };
    Some(Frame { header, crc, batch })
}

/// The little-endian number at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// The little-endian number at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(batch: &Batch) -> Header {
        Header {
            kind: Kind::Data,
            len: batch.bytes().len() as u32,
            count: batch.count(),
            log: 7,
            first: 40,
            arrival: 1000,
        }
    }

    #[test]
    fn a_frame_reads_back() {
        let batch = Batch::single(b"key", b"data");
        let (crc, header) = data(&batch).seal(batch.bytes());
        assert_eq!(data(&batch).with_crc(crc), header);
        let bytes = Bytes::from([&header[..], batch.bytes(), b"next"].concat());
        let frame = parse(&bytes).unwrap();
        assert_eq!((frame.header, frame.crc, frame.batch), (data(&batch), crc, Some(batch)));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let batch = Batch::single(b"key", b"data");
        let (_, header) = data(&batch).seal(batch.bytes());
        let good = [&header[..], batch.bytes()].concat();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&Bytes::from(bad)).is_none(), "bit {bit}");
        }
        for end in 0..good.len() {
            assert!(parse(&Bytes::from(good[..end].to_vec())).is_none(), "cut at {end}");
        }
    }
}
