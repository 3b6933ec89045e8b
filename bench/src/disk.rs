//! The disk yardstick: how often the disk under the data directory commits 4 KiB.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Result;
use crate::proc::pin;
use crate::stats::percentile;

/// Bytes a commit, and the alignment that `O_DIRECT` asks of address, offset and length.
const BLOCK: usize = 4096;
/// Bytes of the file, written in turn.
const FILE_BYTES: u64 = 64 << 20;

/// Commits of one slice.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Commits {
    /// Commits a second.
    pub(crate) per_second: f64,
    /// Half of them took no longer, in microseconds.
    pub(crate) p50_us: f64,
    /// All but one in a hundred took no longer, in microseconds.
    pub(crate) p99_us: f64,
}

/// A file full of zeros, open past the page cache.
pub(crate) struct Disk {
    file: File,
    path: PathBuf,
    at: u64,
}

impl Disk {
    /// Makes the file in `dir`.
    ///
    /// # Errors
    /// Those of the operating system; also if the file system knows no `O_DIRECT`.
    pub(crate) fn create(dir: &Path) -> Result<Self> {
        let path = dir.join("disk-yardstick");
        let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        let file = OpenOptions::new().write(true).create_new(true).custom_flags(flags).open(&path)?;
        let mut zeros = Aligned::new(1 << 20);
        for at in (0..FILE_BYTES).step_by(1 << 20) {
            file.write_all_at(zeros.bytes(), at)?;
        }
        file.sync_all()?;
        Ok(Self { file, path, at: 0 })
    }

    /// Commits one block after the other for `period`, on `core`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn commits(&mut self, core: usize, period: Duration) -> Result<Commits> {
        let measured = std::thread::scope(|scope| {
            let thread = scope.spawn(|| -> Result<(Vec<u32>, Duration)> {
                pin(core)?;
                Ok(self.commit_for(period)?)
            });
            thread.join().unwrap_or_else(|_| Err("the disk yardstick panicked".into()))
        });
        let (mut latencies, elapsed) = measured?;
        let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
        let mut us = |p| percentile(&mut latencies, p).map_or(0.0, |nanos| f64::from(nanos) / 1e3);
        Ok(Commits { per_second, p50_us: us(50.0), p99_us: us(99.0) })
    }

    fn commit_for(&mut self, period: Duration) -> io::Result<(Vec<u32>, Duration)> {
        let mut block = Aligned::new(BLOCK);
        block.bytes().fill(0xA5);
        let mut latencies = Vec::new();
        let start = Instant::now();
        let mut before = start;
        while before - start < period {
            self.file.write_all_at(block.bytes(), self.at)?;
            self.file.sync_data()?;
            self.at = (self.at + BLOCK as u64) % FILE_BYTES;
            let now = Instant::now();
            latencies.push(u32::try_from((now - before).as_nanos()).unwrap_or(u32::MAX));
            before = now;
        }
        Ok((latencies, before - start))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Leaving the file behind costs 64 MiB and no figure.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Zeros whose address is a multiple of [`BLOCK`]: the aligned part of a longer vector.
struct Aligned {
    vec: Vec<u8>,
    len: usize,
}

impl Aligned {
    fn new(len: usize) -> Self {
        Self { vec: vec![0; len + BLOCK], len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        let skip = self.vec.as_ptr().align_offset(BLOCK);
        &mut self.vec[skip..skip + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_bytes_are_aligned() {
        for len in [BLOCK, 1 << 20] {
            let mut aligned = Aligned::new(len);
            let bytes = aligned.bytes();
            assert_eq!((bytes.as_ptr() as usize % BLOCK, bytes.len()), (0, len));
        }
    }
}
