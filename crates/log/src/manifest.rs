//! The manifest: what is in the segments, and from where on the journal is still needed.
//!
//! ```text
//! manifest := header (24 bytes) | record*
//! header   := magic "LVDMANI\0" | base: u64 | major: u16 | minor: u16 | crc: u32 (CRC-32C of the 20 bytes before)
//! record   := len: u32 | crc: u32 | number: u64 | op*        (len bytes of ops; crc of len, number and ops)
//! op       := 1 POSITION  round: u64 | seq: u64 | at: u64
//!           | 2 LOG       id: u64 | class: u32 | sealed: u8 | start: u64 | drained: u64 | last arrival: u64
//!           | 3 EXTENT    log: u64 | first: u64 | first arrival: u64 | segment: u32 | at: u32 | len: u32
//!                         | frames: u32
//!           | 4 DROP LOG  id: u64
//!           | 5 SEGMENT   id: u32 | class: u32 | len: u32 | created: u64
//!           | 6 DROP SEGMENT  id: u32
//! ```
//!
//! All numbers are little-endian. Records are appended and synced one at a time, their numbers rise by one. A record
//! takes effect as a whole. The records up to byte `base` state everything together; the file was synced with them
//! before it got its name, so damage there is never a tear. A damaged last record is a tear, unless a journal round or the
//! clean-shutdown marker vouches for its number.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use levada_core::env::{Disk, DiskFile, Open};

use crate::error::{Doing, OpenError};
use crate::frame::{u32_at, u64_at};
use crate::journal::Position;
use crate::layout::{self, Layout, MANIFEST, Window};
use crate::state::{Extent, Log, Segment, State};

const MAGIC: &[u8; 8] = b"LVDMANI\0";
const MAJOR: u16 = 1;
const MINOR: u16 = 0;
const HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;

/// The ops of one record, encoded.
#[derive(Debug, Default)]
pub(crate) struct Record {
    ops: Vec<u8>,
}

impl Record {
    /// Its ops.
    #[cfg(test)]
    pub(crate) fn ops(&self) -> &[u8] {
        &self.ops
    }

    /// Bytes of its ops.
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(crate) fn position(&mut self, position: Position) {
        self.ops.push(1);
        for number in [position.round, position.seq, position.at] {
            self.ops.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(crate) fn log(&mut self, id: u64, log: &Log, drained: u64) {
        self.ops.push(2);
        self.ops.extend_from_slice(&id.to_le_bytes());
        self.ops.extend_from_slice(&log.class.to_le_bytes());
        self.ops.push(u8::from(log.sealed));
        // A start among undrained records is forgotten: it may stand within a frame that the journal still holds.
        for number in [log.start.min(drained), drained, log.last_arrival] {
            self.ops.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(crate) fn extent(&mut self, log: u64, extent: &Extent) {
        self.ops.push(3);
        for number in [log, extent.first, extent.first_arrival] {
            self.ops.extend_from_slice(&number.to_le_bytes());
        }
        for number in [extent.segment, extent.at, extent.len, extent.frames] {
            self.ops.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(crate) fn drop_log(&mut self, id: u64) {
        self.ops.push(4);
        self.ops.extend_from_slice(&id.to_le_bytes());
    }

    pub(crate) fn segment(&mut self, id: u32, segment: &Segment) {
        self.ops.push(5);
        for number in [id, segment.class, segment.len] {
            self.ops.extend_from_slice(&number.to_le_bytes());
        }
        self.ops.extend_from_slice(&segment.created_ms.to_le_bytes());
    }

    pub(crate) fn drop_segment(&mut self, id: u32) {
        self.ops.push(6);
        self.ops.extend_from_slice(&id.to_le_bytes());
    }

    fn encode(&self, number: u64, into: &mut Vec<u8>) {
        let len = (self.ops.len() as u32).to_le_bytes();
        let number = number.to_le_bytes();
        into.extend_from_slice(&len);
        into.extend_from_slice(&record_crc(&len, &number, &self.ops).to_le_bytes());
        into.extend_from_slice(&number);
        into.extend_from_slice(&self.ops);
    }
}

fn record_crc(len: &[u8], number: &[u8], ops: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(len), number), ops)
}

/// The open manifest.
pub(crate) struct Manifest {
    disk: Arc<dyn Disk>,
    layout: Layout,
    file: Arc<dyn DiskFile>,
    len: u64,
    base: u64,
    number: u64,
}

impl Manifest {
    /// Replaces the manifest by one whose base is `everything`; its records are numbered from `number` on.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        layout: Layout,
        number: u64,
        everything: impl Iterator<Item = Record>,
    ) -> io::Result<Self> {
        let (mut len, mut next) = (HEADER_BYTES as u64, number);
        let file = layout::replace_with(&*disk, &layout.root, MANIFEST, |file| {
            let mut bytes = Vec::new();
            for record in everything {
                bytes.clear();
                record.encode(next, &mut bytes);
                file.write_all_at(&bytes, len)?;
                len += bytes.len() as u64;
                next += 1;
            }
            file.write_all_at(&header(len), 0)
        })?;
        Ok(Self { disk, layout, file, len, base: len, number: next - 1 })
    }

    /// Number of the newest durable record.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Appends a record and makes it durable.
    ///
    /// # Errors
    /// Those of the disk. One that is [`passing`](layout::passing) may be tried again, also with another record: what
    /// stands after the last record is overwritten. After others this file must never be written again.
    pub(crate) fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(RECORD_HEADER_BYTES + record.ops.len());
        record.encode(self.number + 1, &mut bytes);
        self.file.write_all_at(&bytes, self.len)?;
        layout::no_retry(self.file.sync())?;
        self.len += bytes.len() as u64;
        self.number += 1;
        Ok(())
    }

    /// True if the records after the base hold more than `bytes`, and a new file would be much shorter.
    pub(crate) fn wants_snapshot(&self, bytes: u64) -> bool {
        self.len - self.base > bytes.max(2 * self.base)
    }

    /// Begins a new file with `everything`.
    ///
    /// # Errors
    /// Those of the disk. After one that is [`passing`](layout::passing) the old file stays in use; after others neither
    /// may be written again, because nobody knows which of them has the name.
    pub(crate) fn snapshot(&mut self, everything: impl Iterator<Item = Record>) -> io::Result<()> {
        *self = Self::create(Arc::clone(&self.disk), self.layout.clone(), self.number + 1, everything)?;
        Ok(())
    }
}

fn header(base: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&base.to_le_bytes());
    bytes.extend_from_slice(&MAJOR.to_le_bytes());
    bytes.extend_from_slice(&MINOR.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// What reading a manifest found.
pub(crate) struct Read {
    /// Logs without undrained records, segments, and where the journal is to be read from.
    pub(crate) state: State,
    /// Number of the last sound record.
    pub(crate) number: u64,
    /// Number of sound records.
    pub(crate) records: u64,
    /// Bytes of the file up to the end of the last sound record.
    pub(crate) len: u64,
}

/// Reads the manifest; `None` if there is none.
///
/// # Errors
/// [`OpenError::Corrupt`] if a record that had been durable is damaged.
pub(crate) fn read(disk: &dyn Disk, layout: &Layout) -> Result<Option<Read>, OpenError> {
    let path = layout.manifest();
    let file = match disk.open(&path, Open::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.doing("open", &path)?,
    };
    let end = file.len().doing("measure", &path)?;
    let mut window = Window::new(file, end);
    let base = read_header(&window.at(0, HEADER_BYTES).doing("read", &path)?)?;
    let mut state = State::new(Position { round: 1, seq: 0, at: 0 });
    let (mut at, mut number, mut records) = (HEADER_BYTES as u64, 0, 0);
    while let Some((found, ops)) = record_at(&mut window, at, end).doing("read", &path)? {
        if records > 0 && found != number + 1 {
            break;
        }
        apply(&mut state, &ops).map_err(|what| OpenError::corrupt(MANIFEST, at, what))?;
        at += (RECORD_HEADER_BYTES + ops.len()) as u64;
        number = found;
        records += 1;
    }
    if at < base || records == 0 {
        return Err(OpenError::corrupt(
            MANIFEST,
            at,
            "a record is damaged that was durable before the file got its name",
        ));
    }
    let rest = window.at(at, (end - at) as usize).doing("read", &path)?;
    if let Some(later) = later_record(&rest, number) {
        let what = format!("record {} is damaged, although record {later} is there", number + 1);
        return Err(OpenError::corrupt(MANIFEST, at, what));
    }
    state.settle();
    Ok(Some(Read { state, number, records, len: at }))
}

/// Verifies the header and answers the base.
fn read_header(bytes: &[u8]) -> Result<u64, OpenError> {
    let damaged = || OpenError::corrupt(MANIFEST, 0, "the header is damaged");
    let crc = bytes.get(..20).map(crc32c::crc32c);
    if !bytes.starts_with(MAGIC) || crc.is_none() || u32_at(bytes, 20) != crc {
        return Err(damaged());
    }
    let major = u16::from_le_bytes([bytes[16], bytes[17]]);
    if major > MAJOR {
        return Err(OpenError::Version { found: u32::from(major), known: u32::from(MAJOR) });
    }
    u64_at(bytes, 8).ok_or_else(damaged)
}

/// The number and the ops of the record at `at`, if it is sound.
fn record_at(window: &mut Window, at: u64, end: u64) -> io::Result<Option<(u64, Bytes)>> {
    let header = window.at(at, RECORD_HEADER_BYTES)?;
    let Some(len) = u32_at(&header, 0).map(|len| RECORD_HEADER_BYTES + len as usize) else { return Ok(None) };
    if len as u64 > end - at {
        return Ok(None);
    }
    let record = window.at(at, len)?;
    Ok(sound_record(&record).map(|number| (number, record.slice(RECORD_HEADER_BYTES..))))
}

/// The number of the record at the beginning of `bytes`, if it is sound.
fn sound_record(bytes: &[u8]) -> Option<u64> {
    let len = u32_at(bytes, 0)? as usize;
    let number = u64_at(bytes, 8)?;
    let ops = bytes.get(RECORD_HEADER_BYTES..)?.get(..len)?;
    (record_crc(&bytes[..4], &bytes[8..16], ops) == u32_at(bytes, 4)?).then_some(number)
}

/// A sound record after the damaged one at the beginning of `rest`, wherever it begins: the damaged one's length cannot
/// be trusted.
fn later_record(rest: &[u8], number: u64) -> Option<u64> {
    (1..rest.len().saturating_sub(RECORD_HEADER_BYTES)).find_map(|at| {
        // Cheap tests first: a record's number is close to the last one's, and it has an op.
        let near = u64_at(rest, at + 8).is_some_and(|found| found > number && found - number <= 1 << 20);
        let some = near && u32_at(rest, at).is_some_and(|len| len > 0);
        some.then(|| sound_record(&rest[at..])).flatten()
    })
}

/// Takes numbers off the front of a record's ops.
struct Ops<'a>(&'a [u8]);

impl Ops<'_> {
    fn u8(&mut self) -> Result<u8, &'static str> {
        let (first, rest) = self.0.split_first().ok_or("a record ends within an op")?;
        self.0 = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        let (first, rest) = self.0.split_first_chunk().ok_or("a record ends within an op")?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*first))
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        let (first, rest) = self.0.split_first_chunk().ok_or("a record ends within an op")?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*first))
    }
}

pub(crate) fn apply(state: &mut State, ops: &[u8]) -> Result<(), &'static str> {
    let mut ops = Ops(ops);
    while !ops.0.is_empty() {
        match ops.u8()? {
            1 => state.position = Position { round: ops.u64()?, seq: ops.u64()?, at: ops.u64()? },
            2 => {
                let (id, class, sealed) = (ops.u64()?, ops.u32()?, ops.u8()? != 0);
                let (start, drained, last_arrival) = (ops.u64()?, ops.u64()?, ops.u64()?);
                let log = state.logs.entry(id).or_insert_with(|| Log::new(class, 0));
                (log.born, log.class) = (true, class);
                (log.sealed, log.plan_sealed) = (sealed, sealed);
                (log.start, log.drained) = (start, drained);
                (log.end, log.plan_end) = (drained, drained);
                (log.last_arrival, log.plan_arrival) = (last_arrival, last_arrival);
            }
            3 => {
                let (id, first, first_arrival) = (ops.u64()?, ops.u64()?, ops.u64()?);
                let (segment, at, len, frames) = (ops.u32()?, ops.u32()?, ops.u32()?, ops.u32()?);
                let extent = Extent { first, first_arrival, segment, at, len, frames };
                let log = state.logs.get_mut(&id).ok_or("an extent of an unknown log")?;
                if log.extents.last().is_some_and(|last| last.first >= first) || first >= log.drained {
                    return Err("extents out of order");
                }
                log.add_extent(extent);
            }
            4 => {
                let id = ops.u64()?;
                state.logs.remove(&id);
            }
            5 => {
                let (id, class, len, created_ms) = (ops.u32()?, ops.u32()?, ops.u32()?, ops.u64()?);
                state.segments.insert(id, Segment { class, len, created_ms, live: 0 });
            }
            6 => {
                let id = ops.u32()?;
                state.segments.remove(&id);
            }
            _ => return Err("an unknown op"),
        }
    }
    Ok(())
}
