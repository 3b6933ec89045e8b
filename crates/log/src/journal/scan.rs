//! Reading the journal after a start: which rounds are there, and whether anything that was durable is missing.
//!
//! Rounds are accepted in the order of their numbers. Where the next one is not sound, the question is whether it
//! was torn by the crash (it is cut: nobody was told of it) or damaged later (nothing may be served). Since a round is
//! written only when the one before it is durable, a sound later round proves damage; so do a manifest position and a
//! clean-shutdown marker that lie further on. Without such a proof the damaged round was the last, and whether its
//! bits flipped before or after the crash cannot be told.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use levada_core::env::{Disk, DiskFile, Open};

use super::{
    BLOCK, FILE_MAJOR, FileHeader, MAX_ROUND_BYTES, Position, ROUND_HEADER_BYTES, ROUND_MAGIC, Round, RoundHeader, Salt,
};
use crate::error::{Doing, OpenError};
use crate::layout::{self, Layout};

/// Bytes read at once.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// What a scan found.
pub(crate) struct Scanned {
    /// The place after the last sound round.
    pub(crate) end: Position,
    /// Highest manifest number that a round or the marker vouches for.
    pub(crate) manifest: u64,
    /// The files, in no particular order.
    pub(crate) files: Vec<Found>,
    /// Number of rounds visited.
    pub(crate) rounds: u64,
    /// Bytes of the rounds visited.
    pub(crate) bytes: u64,
}

/// A journal file.
pub(crate) struct Found {
    pub(crate) slot: u32,
    pub(crate) size: u64,
    /// From its header, if that is sound.
    pub(crate) seq: Option<u64>,
    /// True if it holds rounds that were visited.
    pub(crate) needed: bool,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// Candidates in the order of writing.
struct Candidate {
    found: usize,
    header: FileHeader,
    name: String,
    /// Number of the round in its first block, if that is sound.
    first_round: Option<u64>,
}

/// Visits all rounds from `from` on.
///
/// # Errors
/// [`OpenError::Corrupt`] where a round that had been durable is damaged; what `visit` answers; those of the disk.
pub(crate) fn scan(
    disk: &dyn Disk,
    layout: &Layout,
    from: Position,
    visit: &mut dyn FnMut(&Round) -> Result<(), OpenError>,
) -> Result<Scanned, OpenError> {
    let mut scanned = Scanned { end: from, manifest: 0, files: Vec::new(), rounds: 0, bytes: 0 };
    let candidates = candidates(disk, layout, from, &mut scanned.files)?;
    if from.at > 0 && candidates.first().is_none_or(|first| first.header.seq != from.seq) {
        let what = format!("the journal file with sequence number {} is missing or its header is damaged", from.seq);
        return Err(OpenError::corrupt("journal", 0, what));
    }
    for (index, candidate) in candidates.iter().enumerate() {
        let later = &candidates[index + 1..];
        let successor = later.iter().find_map(|later| later.first_round);
        let mut file = Window::new(&scanned.files[candidate.found], candidate.header.salt, &candidate.name);
        let mut at = if candidate.header.seq == from.seq && from.at > 0 { from.at } else { BLOCK };
        while successor.is_none_or(|first| scanned.end.round < first) {
            let Some(round) = file.round(at)?.filter(|round| round.header.round == scanned.end.round) else { break };
            visit(&round)?;
            at += round.header.padded_len();
            scanned.end = Position { round: round.header.round + 1, seq: candidate.header.seq, at };
            scanned.manifest = scanned.manifest.max(round.header.manifest);
            scanned.rounds += 1;
            scanned.bytes += round.header.padded_len();
            scanned.files[candidate.found].needed = true;
        }
        let expected = scanned.end.round;
        let proof = match successor {
            Some(first) if first == expected => continue,
            Some(first) => Some(first),
            None => later_round(&mut file, at, expected, later, &scanned.files)?,
        };
        if let Some(proof) = proof {
            let what = format!("round {expected} is damaged or missing, although round {proof} is there");
            return Err(OpenError::corrupt(candidate.name.as_str(), at, what));
        }
    }
    Ok(scanned)
}

/// Opens all files; fills `files` and answers those that may hold rounds from `from` on, in the order of writing.
fn candidates(
    disk: &dyn Disk,
    layout: &Layout,
    from: Position,
    files: &mut Vec<Found>,
) -> Result<Vec<Candidate>, OpenError> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for name in layout::list(disk, &layout.journal)? {
        let Some(slot) = layout::number(&name, 8) else { continue };
        let name = layout::journal_name(slot);
        let path = layout.journal_file(slot);
        let file = disk.open(&path, Open::Read).doing("open", &path)?;
        let size = file.len().doing("measure", &path)?;
        let mut found = Found { slot, size, seq: None, needed: false, file };
        let mut window = Window::new(&found, Salt::default(), &name);
        window.reads = 2 * BLOCK as usize;
        let block = window.bytes(0, BLOCK as usize)?;
        match FileHeader::decode(&block) {
            Some(header) => {
                if header.major > FILE_MAJOR {
                    return Err(OpenError::Version { found: u32::from(header.major), known: u32::from(FILE_MAJOR) });
                }
                found.seq = Some(header.seq);
                window.salt = header.salt;
                let first_round = window.round(BLOCK)?.map(|round| round.header.round);
                if header.seq >= from.seq {
                    candidates.push(Candidate { found: files.len(), header, name, first_round });
                }
            }
            // Only a crash while a file was being prepared leaves a damaged header without a round behind it that
            // is still needed: the header is durable before the first round is written.
            None => {
                window.any_salt = true;
                if window.round(BLOCK)?.is_some_and(|round| round.header.round >= from.round) {
                    return Err(OpenError::corrupt(name, 0, "the header of a journal file that is needed is damaged"));
                }
            }
        }
        files.push(found);
    }
    candidates.sort_by_key(|candidate| candidate.header.seq);
    if let Some(pair) = candidates.windows(2).find(|pair| pair[0].header.seq == pair[1].header.seq) {
        let what = format!("sequence number {} also stands in {}", pair[0].header.seq, pair[0].name);
        return Err(OpenError::corrupt(pair[1].name.as_str(), 0, what));
    }
    Ok(candidates)
}

/// Number of a sound round after the place where `expected` should be: within a round's length in this file, or in
/// the files after it.
fn later_round(
    file: &mut Window<'_>,
    at: u64,
    expected: u64,
    later: &[Candidate],
    files: &[Found],
) -> Result<Option<u64>, OpenError> {
    if let Some(round) = file.find_after(at, expected)? {
        return Ok(Some(round));
    }
    for candidate in later {
        let mut file = Window::new(&files[candidate.found], candidate.header.salt, &candidate.name);
        if let Some(round) = file.find_after(BLOCK, expected)? {
            return Ok(Some(round));
        }
    }
    Ok(None)
}

/// A file read in large pieces.
struct Window<'a> {
    file: Arc<dyn DiskFile>,
    size: u64,
    salt: Salt,
    any_salt: bool,
    name: &'a str,
    at: u64,
    held: Bytes,
    reads: usize,
}

impl<'a> Window<'a> {
    fn new(found: &Found, salt: Salt, name: &'a str) -> Self {
        let (file, size) = (Arc::clone(&found.file), found.size);
        Self { file, size, salt, any_salt: false, name, at: 0, held: Bytes::new(), reads: WINDOW_BYTES }
    }

    /// At most `len` bytes at `at`; fewer at the end of the file.
    fn bytes(&mut self, at: u64, len: usize) -> Result<Bytes, OpenError> {
        let len = self.size.saturating_sub(at).min(len as u64) as usize;
        let held = at.checked_sub(self.at).map(|skip| skip as usize);
        if let Some(skip) = held.filter(|skip| skip + len <= self.held.len()) {
            return Ok(self.held.slice(skip..skip + len));
        }
        let want = self.size.saturating_sub(at).min(self.reads.max(len) as u64) as usize;
        let mut bytes = vec![0; want];
        match self.file.read_exact_at(&mut bytes, at) {
            Err(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(OpenError::Io { what: format!("read {}", self.name), source });
            }
            _ => {}
        }
        self.at = at;
        self.held = Bytes::from(bytes);
        Ok(self.held.slice(..len))
    }

    /// The round at `at`, if one of this use of the file stands there and is sound.
    fn round(&mut self, at: u64) -> Result<Option<Round>, OpenError> {
        let Some(header) = RoundHeader::decode(&self.bytes(at, ROUND_HEADER_BYTES)?) else { return Ok(None) };
        if header.salt != self.salt && !self.any_salt {
            return Ok(None);
        }
        let end = ROUND_HEADER_BYTES + header.len as usize;
        let bytes = self.bytes(at, end)?;
        let Some(payload) = (bytes.len() == end).then(|| bytes.slice(ROUND_HEADER_BYTES..)) else { return Ok(None) };
        if crc32c::crc32c(&payload) != header.payload_crc {
            return Ok(None);
        }
        Ok(Some(Round { header, payload, file: self.name.to_owned(), at }))
    }

    /// Number of a sound round after `expected` that starts after `at`, at most a round's length further on.
    fn find_after(&mut self, at: u64, expected: u64) -> Result<Option<u64>, OpenError> {
        let mut block = at;
        while block < self.size && block - at <= MAX_ROUND_BYTES as u64 {
            if self.bytes(block, ROUND_HEADER_BYTES)?.starts_with(ROUND_MAGIC)
                && let Some(round) = self.round(block)?
                && round.header.round > expected
            {
                return Ok(Some(round.header.round));
            }
            block += BLOCK;
        }
        Ok(None)
    }
}
