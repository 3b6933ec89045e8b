//! The data directory: names, format version, clean-shutdown marker.
//!
//! ```text
//! LOCK                    held while a process works here
//! format                  "levada log MAJOR.MINOR\n"
//! manifest                what is in the segments (manifest.rs); manifest.new while a new one is written
//! clean                   only after a clean shutdown: what the next start must find
//! journal/SLOT            journal files, recycled (journal/); SLOT is eight digits and says nothing about order
//! segments/ID             segments (segment.rs); ID is ten digits
//!
//! clean := magic "LVDCLEAN" | round: u64 | manifest: u64 | zero: 4 bytes | crc: u32 (CRC-32C of what stands before)
//! ```
//!
//! `round` is the number that the next round would have had, `manifest` the number of the last manifest record.
//! Names that are not in this list are not ours and are left alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use levada_core::env::{Disk, DiskFile, Open};

use crate::error::{Doing, OpenError};
use crate::frame::{u32_at, u64_at};

/// Major format version: a program refuses a directory with a higher one.
pub(crate) const FORMAT_MAJOR: u32 = 1;
/// Minor format version: a program reads directories with a higher one.
pub(crate) const FORMAT_MINOR: u32 = 0;

pub(crate) const FORMAT: &str = "format";
pub(crate) const MANIFEST: &str = "manifest";
pub(crate) const CLEAN: &str = "clean";
const CLEAN_MAGIC: &[u8; 8] = b"LVDCLEAN";
const CLEAN_BYTES: usize = 32;
const FORMAT_PREFIX: &str = "levada log ";

/// The paths of a data directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) journal: PathBuf,
    pub(crate) segments: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), journal: root.join("journal"), segments: root.join("segments") }
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("LOCK")
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }

    pub(crate) fn journal_file(&self, slot: u32) -> PathBuf {
        self.root.join(journal_name(slot))
    }

    pub(crate) fn segment_file(&self, id: u32) -> PathBuf {
        self.root.join(segment_name(id))
    }
}

/// A journal file's name relative to the data directory.
pub(crate) fn journal_name(slot: u32) -> String {
    format!("journal/{slot:08}")
}

/// A segment's name relative to the data directory.
pub(crate) fn segment_name(id: u32) -> String {
    format!("segments/{id:010}")
}

/// The number in a journal file's or segment's last path component.
pub(crate) fn number(name: &str, digits: usize) -> Option<u32> {
    (name.len() == digits && name.bytes().all(|b| b.is_ascii_digit())).then(|| name.parse().ok()).flatten()
}

/// Reads a whole small file; `None` if there is none.
pub(crate) fn read_file(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, OpenError> {
    match disk.open(path, Open::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).doing("open", path),
        Ok(file) => read_all(&*file).doing("read", path).map(Some),
    }
}

fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; file.len()? as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// A file read from its beginning to its end in large pieces.
pub(crate) struct Window {
    file: Arc<dyn DiskFile>,
    at: u64,
    held: Bytes,
    end: u64,
}

impl Window {
    const BYTES: usize = 1024 * 1024;

    /// The first `end` bytes of a file.
    pub(crate) fn new(file: Arc<dyn DiskFile>, end: u64) -> Self {
        Self { file, at: 0, held: Bytes::new(), end }
    }

    /// At most `len` bytes at `at`; fewer at the end.
    pub(crate) fn at(&mut self, at: u64, len: usize) -> io::Result<Bytes> {
        let left = self.end.saturating_sub(at);
        let len = left.min(len as u64) as usize;
        if let Some(skip) = at.checked_sub(self.at).map(|skip| skip as usize)
            && skip + len <= self.held.len()
        {
            return Ok(self.held.slice(skip..skip + len));
        }
        let mut bytes = vec![0; left.min(Self::BYTES.max(len) as u64) as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], at + filled as u64)? {
                0 => break,
                n => filled += n,
            }
        }
        bytes.truncate(filled);
        (self.at, self.held) = (at, Bytes::from(bytes));
        Ok(self.held.slice(..len.min(filled)))
    }
}

/// What the system may lack now and have later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// Space on the disk, or the user's share of it.
    Full,
    /// File handles or memory.
    Scarce,
}

/// Says whether a refusal may pass by itself. For calls that leave nothing ambiguous when they are refused: opening a
/// file, and writing where nothing is that counts.
pub(crate) fn passing(error: &io::Error) -> Option<Passing> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Passing::Full),
        io::ErrorKind::OutOfMemory => Some(Passing::Scarce),
        // ENFILE and EMFILE, which have no kind; the numbers are the same on Linux, the BSDs and macOS.
        _ => error.raw_os_error().filter(|code| [23, 24].contains(code)).map(|_| Passing::Scarce),
    }
}

/// For a sync, a rename, and a write over what counts: these must never be tried again, whatever the system says is
/// the matter, because nobody knows what they left.
pub(crate) fn no_retry<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| if passing(&error).is_some() { io::Error::other(error) } else { error })
}

/// The name of a file that is to become `name`.
pub(crate) fn new_name(name: &str) -> String {
    format!("{name}.new")
}

/// Puts a file in place so that after a crash either the old one or the whole new one stands there.
pub(crate) fn replace(disk: &dyn Disk, root: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    replace_with(disk, root, name, |file| file.write_all_at(bytes, 0)).map(drop)
}

/// As [`replace`], with content that `write` writes.
///
/// # Errors
/// Those of the disk. If one is [`passing`], the old file is still in place and the new one is not.
pub(crate) fn replace_with(
    disk: &dyn Disk,
    root: &Path,
    name: &str,
    write: impl FnOnce(&dyn DiskFile) -> io::Result<()>,
) -> io::Result<Arc<dyn DiskFile>> {
    let new = root.join(new_name(name));
    match disk.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.open(&new, Open::CreateNew)?;
    if let Err(error) = write(&*file) {
        // A full disk needs the space. If it cannot be removed, the next one to write the file does it.
        let _ = disk.remove(&new);
        return Err(error);
    }
    no_retry(file.sync())?;
    no_retry(disk.rename(&new, &root.join(name)))?;
    no_retry(disk.sync_dir(root))?;
    Ok(file)
}

/// What a look at the format file tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No format file, and nothing else of ours.
    Empty,
    /// A directory that this program reads.
    Known,
}

/// Reads the format version, before anything is written.
pub(crate) fn read_format(disk: &dyn Disk, layout: &Layout) -> Result<Found, OpenError> {
    let path = layout.root.join(FORMAT);
    let Some(bytes) = read_file(disk, &path)? else {
        for entry in list(disk, &layout.root)? {
            if [MANIFEST, CLEAN, "journal", "segments"].contains(&entry.as_str()) {
                return Err(OpenError::corrupt(FORMAT, 0, format!("the file is missing although {entry} exists")));
            }
        }
        return Ok(Found::Empty);
    };
    let version = std::str::from_utf8(&bytes).ok().and_then(|text| {
        let (major, minor) = text.strip_prefix(FORMAT_PREFIX)?.strip_suffix('\n')?.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    match version {
        None => Err(OpenError::corrupt(FORMAT, 0, "not a format version")),
        Some((found, _)) if found > FORMAT_MAJOR => Err(OpenError::Version { found, known: FORMAT_MAJOR }),
        Some(_) => Ok(Found::Known),
    }
}

/// Marks an empty directory as ours.
pub(crate) fn write_format(disk: &dyn Disk, layout: &Layout) -> Result<(), OpenError> {
    let text = format!("{FORMAT_PREFIX}{FORMAT_MAJOR}.{FORMAT_MINOR}\n");
    replace(disk, &layout.root, FORMAT, text.as_bytes()).doing("write the format version in", &layout.root)
}

/// The names in a directory; none if it does not exist.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, OpenError> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => Ok(other.doing("list", dir)?.into_iter().map(|entry| entry.name).collect()),
    }
}

/// What a clean shutdown left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clean {
    /// Number of the next round.
    pub(crate) round: u64,
    /// Number of the last manifest record.
    pub(crate) manifest: u64,
}

impl Clean {
    /// The marker, if there is one.
    pub(crate) fn read(disk: &dyn Disk, layout: &Layout) -> Result<Option<Self>, OpenError> {
        let Some(bytes) = read_file(disk, &layout.root.join(CLEAN))? else {
            return Ok(None);
        };
        let clean = Self::decode(&bytes);
        clean.map(Some).ok_or_else(|| OpenError::corrupt(CLEAN, 0, "not a clean-shutdown marker"))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let sound = bytes.len() == CLEAN_BYTES
            && bytes.starts_with(CLEAN_MAGIC)
            && u32_at(bytes, CLEAN_BYTES - 4)? == crc32c::crc32c(&bytes[..CLEAN_BYTES - 4]);
        sound.then_some(Self { round: u64_at(bytes, 8)?, manifest: u64_at(bytes, 16)? })
    }

    /// Writes the marker; the last thing a clean shutdown does.
    pub(crate) fn write(self, disk: &dyn Disk, layout: &Layout) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(CLEAN_BYTES);
        bytes.extend_from_slice(CLEAN_MAGIC);
        bytes.extend_from_slice(&self.round.to_le_bytes());
        bytes.extend_from_slice(&self.manifest.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        replace(disk, &layout.root, CLEAN, &bytes)
    }

    /// Removes the marker durably, before anything is written that it does not know of.
    pub(crate) fn remove(disk: &dyn Disk, layout: &Layout) -> Result<(), OpenError> {
        let path = layout.root.join(CLEAN);
        match disk.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.doing("remove", &path)?,
        }
        disk.sync_dir(&layout.root).doing("sync", &layout.root)
    }
}
