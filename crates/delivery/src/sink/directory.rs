//! A bucket that is a directory.
//!
//! ```text
//! <dir>/<escaped key>       an object; see `escape`
//! <dir>/.%tmp/<run>-<n>     being written, then renamed; what other runs of the process have left there is removed
//!                           before the first write
//! ```
//!
//! An object is written beside the keys (`.%tmp` is no key's path), synced, renamed to its place, and its directory
//! synced: it appears whole or not at all, also after a loss of power.
//!
//! Architecture invariants: all calls of [`Disk`] happen in [`Blocking::run`]. A call that hangs holds a piece of the
//! object, not the object: what is not written when nobody waits for it any more will never be.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use levada_core::engine::BoxFuture;
use levada_core::env::{Disk, DiskFile, Open};
use tokio::sync::Semaphore;

use super::escape::escape;
use super::{Attempt, Object, Sink, SinkError};
use crate::blocking::Blocking;

/// Holds what is being written.
const TEMPORARY: &str = ".%tmp";

/// Directories whose names are known to be durable; beyond so many they are found out again.
const MOST_KNOWN: usize = 1_024;

/// Objects written to one directory at a time. Each takes a thread that may block, and if the file system hangs, does
/// not give it back.
const MOST_WRITES: usize = 16;

/// Bytes written at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// A directory that holds the objects of one bucket, or of several.
pub struct DirectoryBucket {
    inner: Arc<Inner>,
    blocking: Blocking,
    writes: Arc<Semaphore>,
}

struct Inner {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    swept: AtomicBool,
    durable: Mutex<HashSet<PathBuf>>,
}

impl DirectoryBucket {
    /// The bucket in `dir`, which is created with the first object.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, blocking: Blocking, dir: PathBuf) -> Self {
        let inner = Inner { disk, dir, swept: AtomicBool::new(false), durable: Mutex::new(HashSet::new()) };
        Self { inner: Arc::new(inner), blocking, writes: Arc::new(Semaphore::new(MOST_WRITES)) }
    }
}

impl Sink for DirectoryBucket {
    fn put(&self, object: Object) -> BoxFuture<'_, Result<(), SinkError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let Object { key, body, attempt, .. } = object;
            let write = Arc::clone(&self.writes).acquire_owned().await;
            // It goes with this future, whatever the work is doing then.
            let body = Arc::new(body);
            let rest = Arc::downgrade(&body);
            let work = move || {
                let _until_done = write;
                inner.put(&key, &rest, attempt)
            };
            match self.blocking.run(work).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(SinkError::Unavailable(format!("{}: {error}", self.inner.dir.display()))),
                Err(error) => Err(SinkError::Unavailable(error.to_string())),
            }
        })
    }

    fn place(&self, _bucket: &str) -> String {
        format!("dir:{}", self.inner.dir.display())
    }
}

/// What the names of a run's temporary files begin with.
fn prefix(attempt: Attempt) -> String {
    format!("{:016x}-", attempt.run)
}

/// Writes what somebody still waits for. Each piece is a copy, so that a call that hangs holds no more.
fn write_pieces(file: &dyn DiskFile, body: &Weak<Bytes>) -> io::Result<()> {
    let mut at = 0;
    let mut piece = Vec::new();
    loop {
        let body = body.upgrade().ok_or_else(|| io::Error::other("given up"))?;
        let rest = body.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        piece.clear();
        piece.extend_from_slice(rest.get(..PIECE_BYTES).unwrap_or(rest));
        drop(body);
        file.write_all_at(&piece, at as u64)?;
        at += piece.len();
    }
}

impl Inner {
    fn put(&self, key: &str, body: &Weak<Bytes>, attempt: Attempt) -> io::Result<()> {
        let names = escape(key);
        let path = names.iter().fold(self.dir.clone(), |path, name| path.join(name));
        let parent = path.parent().unwrap_or(&self.dir).to_owned();
        self.sweep(attempt)?;
        self.make_durable(&parent)?;
        // A name of its own for each attempt: an earlier attempt that was given up may still be writing, and several
        // buckets may share a directory.
        let name = format!("{}{:016x}", prefix(attempt), attempt.number);
        let temporary = self.dir.join(TEMPORARY).join(name);
        let written = self.write(&temporary, &path, body);
        if written.is_err() {
            // Somebody may have removed directories: the next attempt looks again.
            self.durable.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let _ = self.disk.create_dir_all(&self.dir.join(TEMPORARY));
        }
        written?;
        self.disk.sync_dir(&parent)
    }

    fn write(&self, temporary: &Path, path: &Path, body: &Weak<Bytes>) -> io::Result<()> {
        let file = self.disk.open(temporary, Open::CreateNew)?;
        let written = write_pieces(file.as_ref(), body).and_then(|()| file.sync());
        let renamed = written.and_then(|()| self.disk.rename(temporary, path));
        if renamed.is_err() {
            let _ = self.disk.remove(temporary);
        }
        renamed
    }

    /// Once: what an earlier run of the process left unfinished goes, and the bucket's own directory becomes durable.
    /// A file of another process that writes to the same directory may go too; then its rename fails, and it tries
    /// again.
    fn sweep(&self, attempt: Attempt) -> io::Result<()> {
        if self.swept.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if self.swept.load(Ordering::Acquire) {
            return Ok(());
        }
        let temporary = self.dir.join(TEMPORARY);
        self.disk.create_dir_all(&temporary)?;
        for entry in self.disk.list(&temporary)? {
            if entry.is_dir || entry.name.starts_with(&prefix(attempt)) {
                continue;
            }
            match self.disk.remove(&temporary.join(&entry.name)) {
                // Another bucket of the same directory sweeps too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        for above in self.dir.ancestors().skip(1) {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            match self.disk.sync_dir(above) {
                // Not ours, so not made by us.
                Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {
                    break;
                }
                other => other?,
            }
        }
        durable.insert(self.dir.clone());
        self.swept.store(true, Ordering::Release);
        Ok(())
    }

    /// Creates a directory, and makes its name and those on the way to it durable.
    fn make_durable(&self, dir: &Path) -> io::Result<()> {
        if self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(dir) {
            return Ok(());
        }
        self.disk.create_dir_all(dir)?;
        for above in dir.ancestors().skip(1).take_while(|above| above.starts_with(&self.dir)) {
            self.disk.sync_dir(above)?;
        }
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.len() >= MOST_KNOWN {
            durable.clear();
        }
        durable.insert(dir.to_owned());
        Ok(())
    }
}
