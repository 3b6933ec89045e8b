//! A disk in memory that loses power.
//!
//! What survives [`SimDisk::crash`]:
//!
//! - Content: everything up to a file's last `sync`. Of the writes after it, each is kept, lost or torn at sectors
//!   of 512 or 4096 bytes, whatever became of the others; a length that grew or shrank may be the old or the new.
//! - Names: everything up to a directory's last `sync_dir`. Of the creations, renames and removals after it, a
//!   prefix for each directory. A file or directory without a surviving name is gone with all its content.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::SimRandom;
use super::content::Volatile;
use crate::env::{DIRECT_ALIGN, DirEntry, Disk, DiskFile, Open};

/// Free space of a disk that nobody gave another: 1 TiB.
const CAPACITY: u64 = 1 << 40;

/// A kind of call that may be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskCall {
    /// [`Disk::open`] and the creating part of [`Disk::lock`].
    Open,
    /// [`DiskFile::read_at`].
    Read,
    /// [`DiskFile::write_all_at`]; half of the bytes are written.
    Write,
    /// [`DiskFile::set_len`].
    SetLen,
    /// [`DiskFile::sync`]; the unsynced changes are dropped from every later sync too, as Linux does.
    Sync,
    /// [`Disk::create_dir_all`].
    CreateDir,
    /// [`Disk::rename`].
    Rename,
    /// [`Disk::remove`].
    Remove,
    /// [`Disk::sync_dir`].
    SyncDir,
}

/// An error to come.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The calls it meets.
    pub call: DiskCall,
    /// Only those on a path that contains this text.
    pub path: String,
    /// So many such calls succeed first.
    pub after: u64,
    /// So many calls then fail; `u64::MAX` for ever.
    pub times: u64,
    /// How.
    pub kind: io::ErrorKind,
}

/// What was asked of a file since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileStats {
    /// Number of writes.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Number of syncs.
    pub syncs: u64,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    powerless: bool,
    held: bool,
    lies: bool,
    capacity: u64,
    calls: u64,
    last_call: Option<u64>,
    faults: Vec<Fault>,
    random: Option<SimRandom>,
    locks: BTreeSet<PathBuf>,
    files: BTreeMap<u64, File>,
    next_file: u64,
    names: Names,
    durable_names: Names,
    unsynced: Vec<NameChange>,
}

#[derive(Debug, Default)]
struct File {
    content: Volatile,
    stats: FileStats,
    handles: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(u64),
    Dir,
}

/// The directories by path; each is a map of names.
#[derive(Clone, Debug, Default)]
struct Names(BTreeMap<PathBuf, BTreeMap<String, Node>>);

#[derive(Clone, Debug)]
enum NameChange {
    Link { dir: PathBuf, name: String, node: Node },
    Unlink { dir: PathBuf, name: String },
    Move { from: (PathBuf, String), to: (PathBuf, String) },
}

impl NameChange {
    fn dirs(&self) -> [&PathBuf; 2] {
        match self {
            Self::Link { dir, .. } | Self::Unlink { dir, .. } => [dir, dir],
            Self::Move { from, to } => [&from.0, &to.0],
        }
    }
}

impl Names {
    fn roots() -> Self {
        Self(["", "/"].map(|root| (PathBuf::from(root), BTreeMap::new())).into())
    }

    fn dir(&self, dir: &Path) -> io::Result<&BTreeMap<String, Node>> {
        self.0.get(dir).ok_or_else(|| not_found(dir))
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        let (dir, name) = split(path)?;
        match self.dir(&dir)?.get(&name) {
            Some(Node::File(id)) => Ok(*id),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(not_found(path)),
        }
    }

    fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Link { dir, name, node } => {
                self.0.entry(dir.clone()).or_default().insert(name.clone(), *node);
                if *node == Node::Dir {
                    self.0.entry(dir.join(name)).or_default();
                }
            }
            NameChange::Unlink { dir, name } => {
                self.0.entry(dir.clone()).or_default().remove(name);
            }
            NameChange::Move { from, to } => {
                if let Some(node) = self.0.entry(from.0.clone()).or_default().remove(&from.1) {
                    self.0.entry(to.0.clone()).or_default().insert(to.1.clone(), node);
                }
            }
        }
    }

    /// Forgets directories that no path from a root leads to.
    fn drop_unreachable(&mut self) {
        let mut reachable = Self::roots();
        let mut todo: Vec<PathBuf> = reachable.0.keys().cloned().collect();
        while let Some(dir) = todo.pop() {
            let names = self.0.remove(&dir).unwrap_or_default();
            todo.extend(names.iter().filter(|(_, node)| **node == Node::Dir).map(|(name, _)| dir.join(name)));
            reachable.0.insert(dir, names);
        }
        *self = reachable;
    }

    fn files(&self) -> impl Iterator<Item = u64> {
        self.0.values().flat_map(BTreeMap::values).filter_map(|node| match node {
            Node::File(id) => Some(*id),
            Node::Dir => None,
        })
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk with the root directory.
    #[must_use]
    pub fn new() -> Self {
        Self::from_state(State {
            capacity: CAPACITY,
            names: Names::roots(),
            durable_names: Names::roots(),
            ..State::default()
        })
    }

    fn from_state(state: State) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(state), released: Condvar::new() }) }
    }

    /// Takes the power away and gives the disk as found afterwards, every choice drawn from `random`. All calls on
    /// this disk and its open files fail from now on. Locks, faults and holds are gone; capacity and lies stay.
    #[must_use]
    pub fn crash(&self, random: &SimRandom) -> Self {
        let mut state = self.take_state();
        let cuts = crash_cuts(&state.unsynced, random);
        let mut names = std::mem::take(&mut state.durable_names);
        for (at, change) in state.unsynced.iter().enumerate() {
            if at < cuts[change.dirs()[0]] {
                names.apply(change);
            }
        }
        names.drop_unreachable();
        let named: BTreeSet<u64> = names.files().collect();
        let survivors = std::mem::take(&mut state.files).into_iter().filter(|(id, _)| named.contains(id));
        let files = survivors
            .map(|(id, file)| (id, File { content: file.content.after_power_loss(random), ..file }))
            .map(|(id, file)| (id, File { handles: 0, ..file }))
            .collect();
        Self::from_state(State {
            lies: state.lies,
            capacity: state.capacity,
            calls: state.calls,
            files,
            next_file: state.next_file,
            durable_names: names.clone(),
            names,
            ..State::default()
        })
    }

    /// Ends the process that uses the disk, not the machine: everything written is still there, if not durable.
    /// All calls on this disk and its open files fail from now on. Locks, faults and holds are gone.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut state = self.take_state();
        for file in state.files.values_mut() {
            file.handles = 0;
        }
        state.locks.clear();
        state.faults.clear();
        (state.held, state.powerless, state.last_call) = (false, false, None);
        state.drop_unused();
        Self::from_state(state)
    }

    fn take_state(&self) -> State {
        let mut state = self.state();
        let taken = std::mem::replace(&mut *state, State { powerless: true, ..State::default() });
        self.shared.released.notify_all();
        taken
    }

    /// Number of calls so far that change something or make it durable, those before a crash included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// After `calls` more calls that change something or make it durable, every call fails. [`crash`](Self::crash)
    /// then gives the disk as of that moment, so that a test can cut the power before each call of a procedure.
    pub fn cut_power_after(&self, calls: u64) {
        let mut state = self.state();
        state.last_call = Some(state.calls + calls);
    }

    /// True once the power that [`cut_power_after`](Self::cut_power_after) promised to cut is cut.
    #[must_use]
    pub fn is_powerless(&self) -> bool {
        self.state().powerless
    }

    /// Adds an error to come.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Withdraws all errors to come.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Sets the size of the disk: lengths of all files together, in bytes.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Makes the disk so small that its files can grow by so many bytes together and no more.
    pub fn fill(&self, room: u64) {
        let mut state = self.state();
        state.capacity = state.used() + room;
    }

    /// Whether `sync` and `sync_dir` only claim to have made anything durable.
    pub fn set_lies(&self, lies: bool) {
        self.state().lies = lies;
    }

    /// While held, each sync of a file blocks its thread until it is released or the power goes.
    pub fn hold_syncs(&self, held: bool) {
        self.state().held = held;
        self.shared.released.notify_all();
    }

    /// Flips a bit (0 to 7) of the byte at `at`, on the medium itself.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn flip_bit(&self, path: &Path, at: u64, bit: u8) -> io::Result<()> {
        let mut state = self.state();
        let id = state.names.file(&clean(path)?)?;
        if let Some(file) = state.files.get_mut(&id) {
            file.content.flip_bit(at, bit);
        }
        Ok(())
    }

    /// What was asked of a file. It keeps its count through renames and crashes.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn stats(&self, path: &Path) -> io::Result<FileStats> {
        let state = self.state();
        let id = state.names.file(&clean(path)?)?;
        Ok(state.files.get(&id).map(|file| file.stats).unwrap_or_default())
    }

    /// All files, in order of their paths.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let state = self.state();
        let dirs = state.names.0.iter();
        dirs.flat_map(|(dir, names)| names.iter().map(move |(name, node)| (dir.join(name), *node)))
            .filter(|(_, node)| *node != Node::Dir)
            .map(|(path, _)| path)
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another test thread leaves no half-made change worth hiding.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, id: u64, path: PathBuf, how: Open) -> Arc<dyn DiskFile> {
        Arc::new(Handle { disk: self.clone(), id, path, how })
    }
}

/// How many of the changes (as a position in `changes`) survive in each directory. A move between two directories
/// survives in both or in neither.
fn crash_cuts<'a>(changes: &'a [NameChange], random: &SimRandom) -> BTreeMap<&'a PathBuf, usize> {
    let dirs: BTreeSet<&PathBuf> = changes.iter().flat_map(NameChange::dirs).collect();
    let mut cuts: BTreeMap<&PathBuf, usize> =
        dirs.into_iter().map(|dir| (dir, random.below(changes.len() as u64 + 1) as usize)).collect();
    loop {
        let torn = changes.iter().enumerate().find_map(|(at, change)| {
            let [a, b] = change.dirs();
            ((at < cuts[a]) != (at < cuts[b])).then_some((at, a, b))
        });
        let Some((at, a, b)) = torn else { return cuts };
        for dir in [a, b] {
            cuts.insert(dir, at.min(cuts[dir]));
        }
    }
}

impl State {
    /// Admits a call or answers its error: no power, or an injected fault.
    fn admit(&mut self, call: DiskCall, path: &Path) -> io::Result<()> {
        if self.powerless || (call != DiskCall::Read && self.last_call.is_some_and(|last| self.calls >= last)) {
            self.powerless = true;
            return Err(powerless());
        }
        if call != DiskCall::Read {
            self.calls += 1;
        }
        let path = path.to_string_lossy();
        for fault in &mut self.faults {
            if fault.call != call || !path.contains(&fault.path) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return Err(io::Error::new(fault.kind, format!("injected into {call:?} of {path}")));
            }
        }
        Ok(())
    }

    fn change_names(&mut self, change: NameChange) {
        self.names.apply(&change);
        self.unsynced.push(change);
    }

    fn create(&mut self, path: &Path) -> io::Result<u64> {
        let (dir, name) = split(path)?;
        if self.names.dir(&dir)?.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = self.next_file;
        self.next_file += 1;
        self.files.insert(id, File::default());
        self.change_names(NameChange::Link { dir, name, node: Node::File(id) });
        Ok(id)
    }

    fn used(&self) -> u64 {
        self.files.values().map(|file| file.content.current().len()).sum()
    }

    fn room_for(&self, id: u64, len: u64) -> bool {
        let old = self.files.get(&id).map_or(0, |file| file.content.current().len());
        len <= old || len - old <= self.capacity.saturating_sub(self.used())
    }

    /// Frees files without a name, a handle or a name that a crash may bring back.
    fn drop_unused(&mut self) {
        let mut used: BTreeSet<u64> = self.names.files().chain(self.durable_names.files()).collect();
        used.extend(self.unsynced.iter().filter_map(|change| match change {
            NameChange::Link { node: Node::File(id), .. } => Some(*id),
            NameChange::Link { .. } | NameChange::Unlink { .. } | NameChange::Move { .. } => None,
        }));
        self.files.retain(|id, file| file.handles > 0 || used.contains(id));
    }

    /// Makes the names of `dir` durable, and those of other directories as far as a move ties them together.
    fn sync_names(&mut self, dir: &Path) {
        let mut needed: BTreeMap<PathBuf, usize> = [(dir.to_owned(), self.unsynced.len())].into();
        loop {
            let torn = self.unsynced.iter().enumerate().find_map(|(at, change)| {
                let within = change.dirs().map(|dir| needed.get(dir).is_some_and(|&end| at < end));
                (within[0] != within[1]).then(|| (at, change.dirs()[usize::from(within[0])].clone()))
            });
            let Some((at, behind)) = torn else { break };
            needed.insert(behind, at + 1);
        }
        let mut at = 0;
        let durable = &mut self.durable_names;
        self.unsynced.retain(|change| {
            let settled = needed.get(change.dirs()[0]).is_some_and(|&end| at < end);
            at += 1;
            if settled {
                durable.apply(change);
            }
            !settled
        });
        self.drop_unused();
    }
}

fn powerless() -> io::Error {
    io::Error::other("the simulated disk has no power")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

/// The path without `.` components.
fn clean(path: &Path) -> io::Result<PathBuf> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| match part {
            Component::Normal(_) | Component::RootDir => Ok(part.as_os_str()),
            Component::Prefix(_) | Component::CurDir | Component::ParentDir => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not a plain path", path.display())))
            }
        })
        .collect()
}

fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    Ok((dir.to_owned(), name.to_string_lossy().into_owned()))
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let path = clean(path)?;
        let mut state = self.state();
        state.admit(DiskCall::Open, &path)?;
        let id = match how {
            Open::CreateNew | Open::CreatePrivate => state.create(&path)?,
            Open::Read | Open::Write | Open::WriteDirect => state.names.file(&path)?,
        };
        if let Some(file) = state.files.get_mut(&id) {
            file.handles += 1;
        }
        drop(state);
        Ok(self.handle(id, path, how))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let dir = clean(dir)?;
        let mut state = self.state();
        state.admit(DiskCall::CreateDir, &dir)?;
        let mut above: Vec<&Path> = dir.ancestors().collect();
        above.reverse();
        for path in above {
            if state.names.0.contains_key(path) {
                continue;
            }
            let (parent, name) = split(path)?;
            if state.names.dir(&parent)?.contains_key(&name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.change_names(NameChange::Link { dir: parent, name, node: Node::Dir });
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.state();
        state.admit(DiskCall::Read, dir)?;
        let names = state.names.dir(&clean(dir)?)?;
        let entry = |(name, node): (&String, &Node)| {
            let (len, is_dir) = match node {
                Node::File(id) => (state.files.get(id).map_or(0, |file| file.content.current().len()), false),
                Node::Dir => (0, true),
            };
            DirEntry { name: name.clone(), len, is_dir }
        };
        Ok(names.iter().map(entry).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (clean(from)?, clean(to)?);
        let mut state = self.state();
        state.admit(DiskCall::Rename, &from)?;
        state.names.file(&from)?;
        let (from, to) = (split(&from)?, split(&to)?);
        if state.names.dir(&to.0)?.get(&to.1) == Some(&Node::Dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        state.change_names(NameChange::Move { from, to });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = clean(path)?;
        let mut state = self.state();
        state.admit(DiskCall::Remove, &path)?;
        state.names.file(&path)?;
        let (dir, name) = split(&path)?;
        state.change_names(NameChange::Unlink { dir, name });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = clean(dir)?;
        let mut state = self.state();
        state.admit(DiskCall::SyncDir, &dir)?;
        state.names.dir(&dir)?;
        if !state.lies {
            state.sync_names(&dir);
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let path = clean(path)?;
        let mut state = self.state();
        state.admit(DiskCall::Open, &path)?;
        if let Err(error) = state.names.file(&path) {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            state.create(&path)?;
        }
        if !state.locks.insert(path.clone()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        drop(state);
        Ok(Box::new(Lock { disk: self.clone(), path }))
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.state();
        state.admit(DiskCall::Read, path)?;
        Ok(state.capacity.saturating_sub(state.used()))
    }
}

struct Lock {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

struct Handle {
    disk: SimDisk,
    id: u64,
    path: PathBuf,
    how: Open,
}

impl Handle {
    fn writable(&self) -> io::Result<()> {
        match self.how {
            Open::Read => Err(io::ErrorKind::PermissionDenied.into()),
            Open::Write | Open::CreateNew | Open::CreatePrivate | Open::WriteDirect => Ok(()),
        }
    }

    fn with<T>(
        &self,
        call: DiskCall,
        action: impl FnOnce(&mut State, io::Result<()>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.state();
        let admitted = state.admit(call, &self.path);
        if state.powerless {
            return Err(powerless());
        }
        action(&mut state, admitted)
    }
}

impl State {
    fn file(&mut self, id: u64) -> io::Result<&mut File> {
        self.files.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl DiskFile for Handle {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.with(DiskCall::Read, |state, admitted| {
            admitted?;
            Ok(state.file(self.id)?.content.current().read_at(into, at))
        })
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.writable()?;
        if self.how == Open::WriteDirect {
            // A program that does this fails on every real disk, so it is no fault to be handled.
            let aligned = [at as usize, bytes.len(), bytes.as_ptr() as usize].map(|n| n % DIRECT_ALIGN == 0);
            assert_eq!(aligned, [true; 3], "direct write to {}: offset, length, address", self.path.display());
        }
        self.with(DiskCall::Write, |state, admitted| {
            let mut written = bytes;
            if admitted.is_err() {
                written = &bytes[..bytes.len() / 2];
            }
            let full = !state.room_for(self.id, at + written.len() as u64);
            let file = state.file(self.id)?;
            if full {
                let room = file.content.current().len().saturating_sub(at);
                written = &written[..written.len().min(room as usize)];
            }
            file.stats.writes += 1;
            file.stats.written_bytes += written.len() as u64;
            file.content.write_at(written, at);
            admitted?;
            if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        while state.held && !state.powerless {
            state = self.disk.shared.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.with(DiskCall::Sync, |state, admitted| {
            let random = state.random.get_or_insert_with(|| SimRandom::new(0)).clone();
            let lies = state.lies;
            let file = state.file(self.id)?;
            file.stats.syncs += 1;
            match &admitted {
                Ok(()) if lies => {}
                Ok(()) => file.content.sync(),
                Err(_) => file.content.sync_failed(&random),
            }
            admitted
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(DiskCall::Read, |state, admitted| {
            admitted?;
            Ok(state.file(self.id)?.content.current().len())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?;
        self.with(DiskCall::SetLen, |state, admitted| {
            admitted?;
            if !state.room_for(self.id, len) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.file(self.id)?.content.set_len(len);
            Ok(())
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if let Some(file) = state.files.get_mut(&self.id) {
            file.handles = file.handles.saturating_sub(1);
            if file.handles == 0 {
                state.drop_unused();
            }
        }
    }
}
