//! The real disk, clock and randomness.
//!
//! Architecture invariant: the only module of this crate that touches the operating system. Everything else goes
//! through the traits of `levada_core::env`, so that a simulation can take its place.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these are the implementations that the ban names"
)]

use std::cell::RefCell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use levada_core::env::{Clock, DirEntry, Disk, DiskFile, Open, Random};

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The file system.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// Permissions of what is its owner's alone, and those that it does not have.
const PRIVATE_DIR: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
const OF_OTHERS: u32 = 0o077;

struct RealFile(File);

impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            Open::Read => {}
            Open::Write => {
                options.write(true);
            }
            Open::CreateNew => {
                options.write(true).create_new(true);
            }
            Open::CreatePrivate => {
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, PRIVATE_FILE);
            }
            Open::WriteDirect => return open_direct(path).map(|file| Arc::new(RealFile(file)) as Arc<dyn DiskFile>),
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn create_private_dir(&self, dir: &Path) -> io::Result<()> {
        if let Some(parent) = dir.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, PRIVATE_DIR);
        match builder.create(dir) {
            Err(_) if dir.is_dir() => Ok(()),
            other => other,
        }
    }

    #[cfg(unix)]
    fn make_private(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(path)?;
        if metadata.permissions().mode() & OF_OTHERS == 0 {
            return Ok(());
        }
        let mode = if metadata.is_dir() { PRIVATE_DIR } else { PRIVATE_FILE };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // Removed between the two calls: as if it had not been listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                let is_dir = metadata.is_dir();
                entries.push(DirEntry { name, len: if is_dir { 0 } else { metadata.len() }, is_dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        #[cfg(unix)]
        File::open(dir)?.sync_all()?;
        // Elsewhere a directory cannot be opened as a file, and its names are journalled by the file system.
        #[cfg(not(unix))]
        let _ = dir;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        free_bytes(path)
    }
}

#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    match OpenOptions::new().read(true).write(true).custom_flags(direct).open(path) {
        // tmpfs and some network file systems know no direct access; buffered writes with fdatasync promise the same.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
            OpenOptions::new().read(true).write(true).open(path)
        }
        other => other,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_direct(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

impl DiskFile for RealFile {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        loop {
            match self.0.read_at(into, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    start: Instant,
}

impl RealClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now_ms(&self) -> u64 {
        // A clock before 1970 is a clock that was never set.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealRandom;

/// Random bytes that a thread has asked for and not used yet: every answer needs some seventy, and a system call for
/// each is a noticeable part of a small one.
struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
}

const POOL_BYTES: usize = 4096;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES }) };
}

impl Random for RealRandom {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > POOL_BYTES / 8 {
            return fill_from_system(bytes);
        }
        POOL.with_borrow_mut(|pool| {
            if POOL_BYTES - pool.used < bytes.len() {
                fill_from_system(&mut pool.bytes);
                pool.used = 0;
            }
            let taken = &mut pool.bytes[pool.used..pool.used + bytes.len()];
            bytes.copy_from_slice(taken);
            // What was handed out is a secret of whoever has it.
            taken.fill(0);
            pool.used += bytes.len();
        });
    }
}

#[allow(clippy::disallowed_methods, reason = "the real randomness")]
#[allow(clippy::expect_used, reason = "a system without randomness cannot run; every key and salt depends on it")]
fn fill_from_system(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_private_is_its_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let disk = RealDisk::new();
        let (dir, other) = (home.path().join("a/private"), home.path().join("other"));
        disk.create_private_dir(&dir).unwrap();
        assert_eq!(mode(&dir), 0o700);
        let file = dir.join("file");
        drop(disk.open(&file, Open::CreatePrivate).unwrap());
        assert_eq!(mode(&file), 0o600);
        // What is there stays as its owner made it, until it is asked for.
        std::fs::create_dir(&other).unwrap();
        for (path, wide, narrow) in [(&other, 0o755, 0o700), (&file, 0o644, 0o600)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(wide)).unwrap();
            if path.is_dir() {
                disk.create_private_dir(path).unwrap();
            }
            assert_eq!(mode(path), wide);
            disk.make_private(path).unwrap();
            assert_eq!(mode(path), narrow);
        }
        assert!(disk.create_private_dir(&file).is_err(), "a file is no directory");
        assert!(disk.create_private_dir(Path::new(".")).is_ok());
    }
}
