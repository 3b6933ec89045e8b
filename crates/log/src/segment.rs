//! Segments: files of frames, written by drains, read by everybody, removed as a whole.
//!
//! ```text
//! segment := header (32 bytes) | frame*
//! header  := magic "LVDSEGM\0" | major: u16 | minor: u16 | id: u32 | class: u32 | crc: u32 | created: u64
//! ```
//!
//! All numbers are little-endian. `crc` is the CRC-32C of the header without magic and itself. Frames stand without
//! gaps up to the length that the manifest records; what follows was never recorded and will be overwritten. One
//! drain writes all frames of a log next to each other.

use crate::frame::{u32_at, u64_at};
use crate::state::Segment;

/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: u32 = 32;

const MAGIC: &[u8; 8] = b"LVDSEGM\0";
const MAJOR: u16 = 1;
const MINOR: u16 = 0;

/// Encodes a segment's header.
pub(crate) fn header(id: u32, segment: &Segment) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&MAJOR.to_le_bytes());
    bytes.extend_from_slice(&MINOR.to_le_bytes());
    bytes.extend_from_slice(&id.to_le_bytes());
    bytes.extend_from_slice(&segment.class.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&segment.created_ms.to_le_bytes());
    let crc = header_crc(&bytes);
    bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// True if `bytes` begin with the header of segment `id`.
pub(crate) fn is_header(bytes: &[u8], id: u32) -> bool {
    let whole = bytes.len() >= SEGMENT_HEADER_BYTES as usize && u64_at(bytes, 24).is_some();
    whole && bytes.starts_with(MAGIC) && u32_at(bytes, 12) == Some(id) && u32_at(bytes, 20) == Some(header_crc(bytes))
}

fn header_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[8..20]), &bytes[24..SEGMENT_HEADER_BYTES as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let mut bytes = header(7, &Segment { class: 24, len: 0, created_ms: 1000, live: 0 });
        assert_eq!(bytes.len(), SEGMENT_HEADER_BYTES as usize);
        assert!(is_header(&bytes, 7) && !is_header(&bytes, 8));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_header(&bytes, 7), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
