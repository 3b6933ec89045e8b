//! The world as Levada sees it: clock, randomness, disk. Each has a real implementation elsewhere and a simulated
//! one in `sim`, so that a whole node can run in a deterministic simulation. Network, tasks and timers come from
//! the async runtime, which a library simulates (docs/decisions/0003-simulation.md).
//!
//! Architecture invariant: `std::time::{SystemTime, Instant}::now`, `std::fs` and direct randomness are banned in
//! every crate by `clippy.toml`; the real implementations of these traits carry the only exceptions.

pub mod sim;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time in milliseconds since the Unix epoch. May jump either way.
    fn now_ms(&self) -> u64;
    /// Time since an arbitrary start. Never falls, does not jump when the wall clock is set.
    fn monotonic(&self) -> Duration;
}

/// Where random bits come from.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with unpredictable bits.
    fn fill(&self, bytes: &mut [u8]);

    /// A random number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file for reading.
    Read,
    /// An existing file for reading and writing.
    Write,
    /// A new file for reading and writing; an error if it exists.
    CreateNew,
    /// The same, for its owner alone where files have permissions.
    CreatePrivate,
    /// An existing file for reading and writing past the page cache where the system can (`O_DIRECT`): every
    /// write's offset and length are multiples of [`DIRECT_ALIGN`], and so is the buffer's address.
    WriteDirect,
}

/// Alignment of direct writes in bytes.
pub const DIRECT_ALIGN: usize = 4096;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Its last path component.
    pub name: String,
    /// Length in bytes, 0 for a directory.
    pub len: u64,
    /// True for a directory.
    pub is_dir: bool,
}

/// A file system. Calls block; they are made from threads that may block.
///
/// Obligations: file content is durable after [`DiskFile::sync`]; a created, renamed or removed name is durable
/// after [`Disk::sync_dir`] of its directory, and before that either state may be found after a crash.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// Those of the operating system.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a directory and those above it.
    ///
    /// # Errors
    /// Those of the operating system.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Creates a directory and those above it; where there are permissions, `dir` is its owner's alone if it is new, and
    /// left as it is if not.
    ///
    /// # Errors
    /// Those of the operating system.
    fn create_private_dir(&self, dir: &Path) -> io::Result<()> {
        self.create_dir_all(dir)
    }
    /// Takes a file or directory away from everybody but its owner, where there are permissions and where it is not so
    /// already.
    ///
    /// # Errors
    /// Those of the operating system: who works here need not be the owner, and some file systems have no such thing.
    fn make_private(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
    /// Lists a directory in the order of names.
    ///
    /// # Errors
    /// Those of the operating system.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// Renames a file over whatever stands at `to`, atomically.
    ///
    /// # Errors
    /// Those of the operating system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Those of the operating system.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Those of the operating system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on a file, created if absent, held until the value is dropped or the process dies.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
    /// Bytes that may still be written to the file system that holds `path`.
    ///
    /// # Errors
    /// Those of the operating system.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. All positions are absolute, so that one handle serves many readers.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty")]
pub trait DiskFile: Send + Sync {
    /// Reads at most `into.len()` bytes; 0 at the end of the file.
    ///
    /// # Errors
    /// Those of the operating system.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all bytes.
    ///
    /// # Errors
    /// Those of the operating system. Any prefix may have been written.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Makes content and length durable (`fdatasync`). A failure is never followed by a retry: the file's durable
    /// content is unknown from then on.
    ///
    /// # Errors
    /// Those of the operating system.
    fn sync(&self) -> io::Result<()>;
    /// Length in bytes.
    ///
    /// # Errors
    /// Those of the operating system.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file or extends it with zeros.
    ///
    /// # Errors
    /// Those of the operating system.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reads exactly `into.len()` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file is shorter, else those of the operating system.
    fn read_exact_at(&self, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_at(into, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    into = &mut into[n..];
                    at += n as u64;
                }
            }
        }
        Ok(())
    }
}
