//! A bucket that is a directory.
//!
//! ```text
//! <dir>/<escaped key>       an object; see `escape`
//! <dir>/.%tmp/<n>           being written, then renamed; removed when the process begins to write to the bucket
//! ```
//!
//! An object is written beside the keys (`.%tmp` is no key's path), synced, renamed to its place, and its directory
//! synced: it appears whole or not at all, also after a loss of power.
//!
//! Architecture invariant: all calls of [`Disk`] happen in [`Blocking::run`].

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use levada_core::engine::BoxFuture;
use levada_core::env::{Disk, Open};

use super::escape::escape;
use super::{Object, Sink, SinkError};
use crate::blocking::Blocking;

/// Holds what is being written.
const TEMPORARY: &str = ".%tmp";

/// Directories whose names are known to be durable; beyond so many they are found out again.
const MOST_KNOWN: usize = 1_024;

/// A directory that holds one bucket's objects. One value for each directory in a process.
pub struct DirectoryBucket {
    inner: Arc<Inner>,
    blocking: Blocking,
}

struct Inner {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    next: AtomicU64,
    swept: AtomicBool,
    durable: Mutex<HashSet<PathBuf>>,
}

impl DirectoryBucket {
    /// The bucket in `dir`, which is created with the first object.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, blocking: Blocking, dir: PathBuf) -> Self {
        let inner = Inner {
            disk,
            dir,
            next: AtomicU64::new(0),
            swept: AtomicBool::new(false),
            durable: Mutex::new(HashSet::new()),
        };
        Self { inner: Arc::new(inner), blocking }
    }
}

impl Sink for DirectoryBucket {
    fn put(&self, object: Object) -> BoxFuture<'_, Result<(), SinkError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            match self.blocking.run(move || inner.put(&object)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(SinkError::Unavailable(error.to_string())),
                Err(error) => Err(SinkError::Unavailable(error.to_string())),
            }
        })
    }
}

impl Inner {
    fn put(&self, object: &Object) -> io::Result<()> {
        let names = escape(&object.key);
        let path = names.iter().fold(self.dir.clone(), |path, name| path.join(name));
        let parent = path.parent().unwrap_or(&self.dir).to_owned();
        self.sweep()?;
        self.make_durable(&parent)?;
        // A name of its own for each attempt: an earlier attempt that was given up may still be writing.
        let temporary = self.dir.join(TEMPORARY).join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let written = self.write(&temporary, &object.body).and_then(|()| self.disk.rename(&temporary, &path));
        if written.is_err() {
            let _ = self.disk.remove(&temporary);
            // Somebody may have removed directories: the next attempt looks again.
            self.durable.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let _ = self.disk.create_dir_all(&self.dir.join(TEMPORARY));
        }
        written?;
        self.disk.sync_dir(&parent)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.disk.open(path, Open::CreateNew)?;
        file.write_all_at(bytes, 0)?;
        file.sync()
    }

    /// Once in a process: what an earlier one left unfinished goes, and the bucket's own directory becomes durable.
    fn sweep(&self) -> io::Result<()> {
        if self.swept.load(Ordering::Acquire) {
            return Ok(());
        }
        // Whoever comes while another sweeps waits for it, lest a new file be swept too.
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if self.swept.load(Ordering::Acquire) {
            return Ok(());
        }
        let temporary = self.dir.join(TEMPORARY);
        self.disk.create_dir_all(&temporary)?;
        for entry in self.disk.list(&temporary)? {
            self.disk.remove(&temporary.join(&entry.name))?;
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
