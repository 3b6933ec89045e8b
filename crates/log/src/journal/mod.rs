//! The journal: rounds of frames, written serially into pre-zeroed, recycled files.
//!
//! ```text
//! file   := header block (4 KiB) | round* | remains of an earlier use or zeros
//! header := magic "LVDJRNL\0" | major: u16 | minor: u16 | crc: u32 | salt: 16 bytes | seq: u64 | size: u64 | zeros
//! round  := round header (64 bytes) | frame* | zeros up to the next 4 KiB boundary
//! round header := magic "LVRD" | crc: u32 | salt: 16 bytes | round: u64 | manifest: u64 | len: u32 | payload crc: u32
//!                 | zero: 16 bytes
//! ```
//!
//! All numbers are little-endian, all checksums CRC-32C; a header's covers the whole header but the magic and
//! itself. `seq` orders the files: it rises with every use of a file, whatever its name. `round` rises by one per
//! round, across files. `manifest` is the number of the newest durable manifest record, so that a manifest that lost
//! its end is noticed. `salt` is drawn anew for every use of a file: neither the rounds of an earlier use nor bytes
//! that a producer chose can pass for a round of this one.
//!
//! A round is written when the one before it is durable, starts on a block that has not been written since the file
//! was taken into use, and is never rewritten. Hence only the newest round can be torn by a crash.

mod files;
mod scan;

pub(crate) use self::files::{Files, Prepared};
pub(crate) use self::scan::{Scanned, scan};

use bytes::Bytes;
use levada_core::env::DIRECT_ALIGN;

use crate::frame::{MAX_FRAME_BYTES, u32_at, u64_at};

/// Unit of the journal in bytes.
pub(crate) const BLOCK: u64 = DIRECT_ALIGN as u64;

/// Bytes of a round's header.
pub(crate) const ROUND_HEADER_BYTES: usize = 64;

/// Largest round in bytes, padding included: one frame of the largest batch fits.
pub(crate) const MAX_ROUND_BYTES: usize = 12 * 1024 * 1024;
const _: () = assert!(MAX_FRAME_BYTES + ROUND_HEADER_BYTES + DIRECT_ALIGN < MAX_ROUND_BYTES);

const FILE_MAGIC: &[u8; 8] = b"LVDJRNL\0";
const FILE_MAJOR: u16 = 1;
const FILE_MINOR: u16 = 0;
const FILE_HEADER_BYTES: usize = 48;
const ROUND_MAGIC: &[u8; 4] = b"LVRD";

/// Random bytes of one use of a journal file.
pub(crate) type Salt = [u8; 16];

/// A place between two rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Number of the next round.
    pub(crate) round: u64,
    /// The next round is in this file or one with a higher `seq`.
    pub(crate) seq: u64,
    /// Byte offset in the file `seq` where the next round stands if it is in that file; 0 if that file need not
    /// exist.
    pub(crate) at: u64,
}

/// A journal file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) major: u16,
    pub(crate) salt: Salt,
    pub(crate) seq: u64,
    pub(crate) size: u64,
}

impl FileHeader {
    /// Writes the header block's beginning; the rest of the block is the caller's zeros.
    fn encode(&self, block: &mut [u8]) {
        block[..8].copy_from_slice(FILE_MAGIC);
        block[8..10].copy_from_slice(&self.major.to_le_bytes());
        block[10..12].copy_from_slice(&FILE_MINOR.to_le_bytes());
        block[16..32].copy_from_slice(&self.salt);
        block[32..40].copy_from_slice(&self.seq.to_le_bytes());
        block[40..48].copy_from_slice(&self.size.to_le_bytes());
        let crc = header_crc(&block[8..12], &block[16..FILE_HEADER_BYTES]);
        block[12..16].copy_from_slice(&crc.to_le_bytes());
    }

    fn decode(block: &[u8]) -> Option<Self> {
        let sound = block.starts_with(FILE_MAGIC)
            && u32_at(block, 12)? == header_crc(block.get(8..12)?, block.get(16..FILE_HEADER_BYTES)?);
        let major = u16::from_le_bytes(*block.get(8..)?.first_chunk()?);
        sound.then_some(Self { major, salt: salt_at(block, 16)?, seq: u64_at(block, 32)?, size: u64_at(block, 40)? })
    }
}

fn header_crc(before: &[u8], after: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(before), after)
}

fn salt_at(bytes: &[u8], at: usize) -> Option<Salt> {
    bytes.get(at..)?.first_chunk::<16>().copied()
}

/// A round's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RoundHeader {
    pub(crate) salt: Salt,
    pub(crate) round: u64,
    pub(crate) manifest: u64,
    len: u32,
    payload_crc: u32,
}

impl RoundHeader {
    fn encode(&self) -> [u8; ROUND_HEADER_BYTES] {
        let mut bytes = [0; ROUND_HEADER_BYTES];
        bytes[..4].copy_from_slice(ROUND_MAGIC);
        bytes[8..24].copy_from_slice(&self.salt);
        bytes[24..32].copy_from_slice(&self.round.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.manifest.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.len.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<ROUND_HEADER_BYTES>()?;
        if !bytes.starts_with(ROUND_MAGIC) || u32_at(bytes, 4)? != crc32c::crc32c(&bytes[8..]) {
            return None;
        }
        let len = u32_at(bytes, 40)?;
        let sound = ROUND_HEADER_BYTES + len as usize <= MAX_ROUND_BYTES;
        sound.then_some(Self {
            salt: salt_at(bytes, 8)?,
            round: u64_at(bytes, 24)?,
            manifest: u64_at(bytes, 32)?,
            len,
            payload_crc: u32_at(bytes, 44)?,
        })
    }

    /// Bytes of the round in the file, padding included.
    fn padded_len(&self) -> u64 {
        (ROUND_HEADER_BYTES as u64 + u64::from(self.len)).next_multiple_of(BLOCK)
    }
}

/// A verified round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) header: RoundHeader,
    /// Its frames, one after the other.
    pub(crate) payload: Bytes,
    /// The file and the byte offset of its header.
    pub(crate) file: String,
    pub(crate) at: u64,
}

/// A buffer for one round at an address that direct writes accept, without `unsafe`: allocated too large, used from the
/// first aligned byte on.
pub(crate) struct RoundBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl RoundBuffer {
    /// Room for a round of `bytes`, padding included.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut buffer = Self { bytes: Vec::new(), start: 0 };
        buffer.clear(bytes);
        buffer
    }

    /// Begins a round of at most `bytes`, padding included. Reuses the allocation if it is large enough.
    pub(crate) fn clear(&mut self, bytes: usize) {
        let need = bytes + DIRECT_ALIGN;
        if self.bytes.capacity() < need {
            self.bytes = Vec::with_capacity(need);
        }
        self.start = self.bytes.as_ptr().align_offset(DIRECT_ALIGN);
        self.bytes.clear();
        self.bytes.resize(self.start + ROUND_HEADER_BYTES, 0);
    }

    /// Appends to the payload.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        debug_assert!(self.bytes.len() + bytes.len() <= self.bytes.capacity(), "growing would move the aligned start");
        self.bytes.extend_from_slice(bytes);
    }

    /// Completes the header and the padding, and lends the bytes to write.
    pub(crate) fn finish(&mut self, salt: Salt, round: u64, manifest: u64) -> &[u8] {
        let payload = &self.bytes[self.start + ROUND_HEADER_BYTES..];
        let header =
            RoundHeader { salt, round, manifest, len: payload.len() as u32, payload_crc: crc32c::crc32c(payload) };
        self.bytes[self.start..self.start + ROUND_HEADER_BYTES].copy_from_slice(&header.encode());
        let padded = self.start + header.padded_len() as usize;
        self.bytes.resize(padded, 0);
        &self.bytes[self.start..]
    }

    /// Gives back memory that a large round needed.
    pub(crate) fn shrink(&mut self, keep: usize) {
        if self.bytes.capacity() > keep + DIRECT_ALIGN {
            self.bytes = Vec::new();
            self.start = 0;
        }
    }
}

/// Zeros at an aligned address.
fn zeros(len: usize) -> (Vec<u8>, usize) {
    let bytes = vec![0; len + DIRECT_ALIGN];
    let start = bytes.as_ptr().align_offset(DIRECT_ALIGN);
    (bytes, start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_aligned_padded_and_reads_back() {
        let mut buffer = RoundBuffer::new(3 * DIRECT_ALIGN);
        for len in [0, 1, DIRECT_ALIGN - ROUND_HEADER_BYTES, DIRECT_ALIGN, 2 * DIRECT_ALIGN] {
            buffer.clear(3 * DIRECT_ALIGN);
            buffer.extend(&vec![7; len]);
            let bytes = buffer.finish([9; 16], 42, 3);
            assert_eq!(bytes.as_ptr().align_offset(DIRECT_ALIGN), 0);
            assert_eq!(bytes.len() % DIRECT_ALIGN, 0);
            let header = RoundHeader::decode(bytes).unwrap();
            assert_eq!((header.salt, header.round, header.manifest, header.len), ([9; 16], 42, 3, len as u32));
            assert_eq!(header.padded_len(), bytes.len() as u64);
            assert!(bytes[ROUND_HEADER_BYTES + len..].iter().all(|&b| b == 0));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let file = FileHeader { major: FILE_MAJOR, salt: [5; 16], seq: 17, size: 1 << 20 };
        let mut block = vec![0; 64];
        file.encode(&mut block);
        assert_eq!(FileHeader::decode(&block), Some(file));
        let round = RoundHeader { salt: [5; 16], round: 1, manifest: 2, len: 3, payload_crc: 4 };
        assert_eq!(RoundHeader::decode(&round.encode()), Some(round));
        for bit in 0..FILE_HEADER_BYTES * 8 {
            block[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FileHeader::decode(&block), None, "file header, bit {bit}");
            block[bit / 8] ^= 1 << (bit % 8);
        }
        for bit in 0..ROUND_HEADER_BYTES * 8 {
            let mut bytes = round.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RoundHeader::decode(&bytes), None, "round header, bit {bit}");
        }
    }
}
