//! The journal's files: prepared ahead, used in the order of their `seq`, recycled when drained.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use levada_core::env::{Disk, DiskFile, Open, Random};

use super::{BLOCK, FILE_MAJOR, FileHeader, Salt, zeros};
use crate::layout::{Layout, no_retry, passing};

/// How much larger the next new file is than the last, up to the maximum.
const GROWTH: u64 = 8;

/// Drained files that are kept for another use; more are removed.
const MAX_SPARE: usize = 3;

/// Zeros are written in pieces of so many bytes.
const ZEROS_BYTES: u64 = 1024 * 1024;

/// A file that is ready to take rounds from its first block on: header and zeros are durable.
pub(crate) struct Prepared {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) salt: Salt,
    pub(crate) seq: u64,
    pub(crate) size: u64,
    slot: u32,
}

/// A file that has a name but no content that anybody needs.
#[derive(Clone, Copy, Debug)]
struct Spare {
    slot: u32,
    size: u64,
}

/// A file whose rounds are not all drained, or were not when last looked at.
#[derive(Clone, Copy, Debug)]
struct Used {
    seq: u64,
    spare: Spare,
}

/// All files but the one that is being written.
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    random: Arc<dyn Random>,
    layout: Layout,
    first_size: u64,
    max_size: u64,
    last_size: u64,
    next_seq: u64,
    next_slot: u32,
    ready: VecDeque<Prepared>,
    used: VecDeque<Used>,
    spare: Vec<Spare>,
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, random: Arc<dyn Random>, layout: Layout, sizes: (u64, u64)) -> Self {
        let first_size = sizes.0.next_multiple_of(BLOCK).max(2 * BLOCK);
        let max_size = sizes.1.next_multiple_of(BLOCK).max(first_size);
        Self {
            disk,
            random,
            layout,
            first_size,
            max_size,
            last_size: 0,
            next_seq: 1,
            next_slot: 1,
            ready: VecDeque::new(),
            used: VecDeque::new(),
            spare: Vec::new(),
        }
    }

    /// Takes a file over that recovery found. `seq` is that of its header if the header is sound; `needed` says
    /// that it holds rounds that are not drained.
    pub(crate) fn adopt(&mut self, slot: u32, size: u64, seq: Option<u64>, needed: bool) {
        self.next_slot = self.next_slot.max(slot + 1);
        // A crash while the file was zeroed leaves any length.
        let spare = Spare { slot, size: size / BLOCK * BLOCK };
        match seq {
            Some(seq) if needed => self.used.push_back(Used { seq, spare }),
            _ => self.keep(spare),
        }
        self.next_seq = self.next_seq.max(seq.map_or(0, |seq| seq + 1));
    }

    /// Keeps a file that nobody needs for another use, if it can hold a round.
    fn keep(&mut self, spare: Spare) {
        if spare.size >= 2 * BLOCK {
            self.spare.push(spare);
        } else {
            self.remove(spare);
        }
    }

    fn remove(&self, spare: Spare) {
        if let Err(error) = self.disk.remove(&self.layout.journal_file(spare.slot)) {
            // Its number says that it is not needed, so the next start takes it over.
            tracing::warn!(slot = spare.slot, %error, "an unused journal file cannot be removed");
        }
    }

    /// Removes the files that nobody needs, for the disk is full. True if there were any.
    pub(crate) fn remove_spares(&mut self) -> bool {
        let spares = std::mem::take(&mut self.spare);
        spares.iter().for_each(|&spare| self.remove(spare));
        !spares.is_empty()
    }

    /// The files after `seq` get higher numbers than it.
    pub(crate) fn continue_after(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq + 1);
    }

    /// Size in bytes that the next new file should have.
    fn wanted_size(&self) -> u64 {
        if self.last_size == 0 { self.first_size } else { (self.last_size * GROWTH).min(self.max_size) }
    }

    /// True if a file is ready.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Number of files whose rounds are not all drained, without the one being written.
    pub(crate) fn used(&self) -> usize {
        self.used.len()
    }

    /// Gets a file ready whose rounds may be `min_round` bytes long.
    ///
    /// # Errors
    /// Those of the disk. After one that is [`passing`] nothing is left behind; after others the journal is to be given
    /// up.
    pub(crate) fn prepare(&mut self, min_round: u64) -> io::Result<()> {
        let least = min_round.next_multiple_of(BLOCK) + BLOCK;
        let first_use = self.last_size == 0;
        let wanted = self.wanted_size().max(least);
        self.spare.sort_by_key(|spare| spare.size);
        // At the start any file will do; later the small ones make way for larger ones.
        let fits = |spare: &Spare| if first_use { spare.size >= least } else { spare.size >= wanted };
        let spare = self.spare.iter().rposition(fits).map(|found| self.spare.remove(found));
        let (slot, size, is_new) = match spare {
            Some(spare) => (spare.slot, spare.size, false),
            None => (self.next_slot, wanted, true),
        };
        let opened = if is_new {
            self.next_slot += 1;
            self.create(slot, size)
        } else {
            self.disk.open(&self.layout.journal_file(slot), Open::WriteDirect)
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                if let Some(spare) = spare {
                    self.spare.push(spare);
                } else if passing(&error).is_some() {
                    // It may not even be there.
                    let _ = self.disk.remove(&self.layout.journal_file(slot));
                }
                return Err(error);
            }
        };
        let mut salt = Salt::default();
        self.random.fill(&mut salt);
        let header = FileHeader { major: FILE_MAJOR, salt, seq: self.next_seq, size };
        // Before it is written: whatever becomes of that, no other file gets this number.
        self.next_seq += 1;
        let (mut block, start) = zeros(BLOCK as usize);
        header.encode(&mut block[start..]);
        // The blocks are the file's already: no failure from here on is about space.
        no_retry(file.write_all_at(&block[start..start + BLOCK as usize], 0))?;
        no_retry(file.sync())?;
        if is_new {
            no_retry(self.disk.sync_dir(&self.layout.journal))?;
        }
        self.last_size = size;
        self.ready.push_back(Prepared { file, salt, seq: header.seq, size, slot });
        self.drop_small_spares(wanted);
        Ok(())
    }

    fn create(&self, slot: u32, size: u64) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.layout.journal_file(slot);
        drop(self.disk.open(&path, Open::CreateNew)?);
        let file = self.disk.open(&path, Open::WriteDirect)?;
        let piece = ZEROS_BYTES.min(size);
        let (bytes, start) = zeros(piece as usize);
        let mut at = 0;
        while at < size {
            let len = piece.min(size - at);
            file.write_all_at(&bytes[start..start + len as usize], at)?;
            at += len;
        }
        // The zeros need no sync of their own: the header's makes them durable, and a header is believed only then.
        Ok(file)
    }

    fn drop_small_spares(&mut self, wanted: u64) {
        while self.spare.first().is_some_and(|spare| spare.size < wanted) || self.spare.len() > MAX_SPARE {
            let spare = self.spare.remove(0);
            self.remove(spare);
        }
    }

    /// The next file to write, at least `min_round` bytes large besides its header.
    ///
    /// # Errors
    /// See [`prepare`](Self::prepare).
    pub(crate) fn take(&mut self, min_round: u64) -> io::Result<Prepared> {
        while let Some(ready) = self.ready.pop_front() {
            if ready.size - BLOCK >= min_round {
                return Ok(ready);
            }
            // Too small for this round, and its place in the order is past after the next file's.
            self.spare.push(Spare { slot: ready.slot, size: ready.size });
        }
        self.prepare(min_round)?;
        self.ready.pop_back().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A file was written to its end.
    pub(crate) fn retire(&mut self, file: &Prepared) {
        self.used.push_back(Used { seq: file.seq, spare: Spare { slot: file.slot, size: file.size } });
    }

    /// Everything before file `seq` is durably drained.
    pub(crate) fn recycle(&mut self, seq: u64) {
        while self.used.front().is_some_and(|used| used.seq < seq) {
            if let Some(used) = self.used.pop_front() {
                self.keep(used.spare);
            }
        }
    }

    /// Bytes of journal files whose rounds are not all drained, without the one being written.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used.iter().map(|used| used.spare.size).sum()
    }
}
