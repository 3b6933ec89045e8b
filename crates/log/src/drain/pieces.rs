//! A segment's bytes on their way to the file: whole blocks past the page cache, the ragged ends through it.
//!
//! A busy log writes hundreds of megabytes a second twice. Copying the second time into pages that nobody reads, and
//! finding those pages, was a fifth of the work of a put. The bytes in the file are the same either way.

use std::io;
use std::sync::Arc;

use levada_core::env::{DIRECT_ALIGN, DiskFile};

/// Segments are written in pieces of so many bytes.
const PIECE_BYTES: usize = 1024 * 1024;

/// Where the pieces go: two handles of one file.
pub(super) struct Target {
    /// Takes anything, and is synced for both.
    pub(super) buffered: Arc<dyn DiskFile>,
    /// Takes whole blocks from aligned memory. `None` where that does not pay.
    pub(super) direct: Option<Arc<dyn DiskFile>>,
}

/// A piece being filled. Reused from drain to drain.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// `bytes[start + n]` belongs at `n` bytes behind the last block boundary at or before `from`, so that aligned
    /// places of the file stand at aligned addresses.
    bytes: Vec<u8>,
    start: usize,
    from: u64,
}

impl Pieces {
    /// Begins to write at this place of a file.
    pub(super) fn begin(&mut self, at: u64) {
        let need = PIECE_BYTES + DIRECT_ALIGN;
        if self.bytes.capacity() < need {
            self.bytes = Vec::with_capacity(need);
        }
        self.start = self.bytes.as_ptr().align_offset(DIRECT_ALIGN);
        self.from = at;
        self.bytes.clear();
        self.bytes.resize(self.start + lead(at), 0);
    }

    /// Adds bytes; writes whenever a piece is full.
    pub(super) fn push(&mut self, mut bytes: &[u8], target: &Target) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.start + PIECE_BYTES - self.bytes.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            // Within the capacity: growing would move the aligned start.
            self.bytes.extend_from_slice(now);
            if now.len() == room {
                self.flush(target)?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Writes what was added since the last piece.
    pub(super) fn flush(&mut self, target: &Target) -> io::Result<()> {
        let content = &self.bytes[self.start + lead(self.from)..];
        if content.is_empty() {
            return Ok(());
        }
        let head = (lead(self.from).wrapping_neg() % DIRECT_ALIGN).min(content.len());
        let blocks = (content.len() - head) / DIRECT_ALIGN * DIRECT_ALIGN;
        match &target.direct {
            Some(direct) if blocks > 0 => {
                let (ragged, rest) = content.split_at(head);
                let (blocks, tail) = rest.split_at(blocks);
                let aligned = self.from + head as u64;
                write(&target.buffered, ragged, self.from)?;
                write(direct, blocks, aligned)?;
                write(&target.buffered, tail, aligned + blocks.len() as u64)?;
            }
            _ => write(&target.buffered, content, self.from)?,
        }
        let next = self.from + content.len() as u64;
        self.begin(next);
        Ok(())
    }
}

fn write(file: &Arc<dyn DiskFile>, bytes: &[u8], at: u64) -> io::Result<()> {
    if bytes.is_empty() { Ok(()) } else { file.write_all_at(bytes, at) }
}

/// Bytes between the last block boundary and this place.
fn lead(at: u64) -> usize {
    (at % DIRECT_ALIGN as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use levada_core::env::sim::SimDisk;
    use levada_core::env::{Disk, Open};

    use super::*;

    /// Whatever the sizes, the file holds what was pushed, in place. The simulated disk refuses direct writes that are
    /// not aligned in offset, length and memory.
    #[test]
    fn the_bytes_are_the_same_whichever_way_they_go() {
        let sizes =
            [1, 31, 4064, 4096, 5000, 100_000, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 4097, 3 * PIECE_BYTES];
        for direct in [false, true] {
            for at in [0u64, 32, 4095, 4096, 5001] {
                let disk = SimDisk::new();
                let path = Path::new("/segment");
                let buffered = disk.open(path, Open::CreateNew).unwrap();
                buffered.set_len(at).unwrap();
                let direct = direct.then(|| disk.open(path, Open::WriteDirect).unwrap());
                let target = Target { buffered, direct };
                let mut pieces = Pieces::default();
                pieces.begin(at);
                let mut expected = vec![0; at as usize];
                for (n, size) in sizes.into_iter().enumerate() {
                    let bytes: Vec<u8> = (0..size).map(|i| (i * 7 + n) as u8).collect();
                    pieces.push(&bytes, &target).unwrap();
                    expected.extend(bytes);
                    if n % 3 == 2 {
                        pieces.flush(&target).unwrap();
                    }
                }
                pieces.flush(&target).unwrap();
                assert_eq!(target.buffered.len().unwrap(), expected.len() as u64);
                let mut found = vec![0; expected.len()];
                target.buffered.read_exact_at(&mut found, 0).unwrap();
                assert!(found == expected, "from {at}");
            }
        }
    }
}
