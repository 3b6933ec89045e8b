//! Verifying a data directory offline: every journal round that is still needed, every manifest record, every frame of
//! every segment. Reads only; the lock file is the one thing it may create.

use std::io;
use std::path::Path;

use levada_core::engine::LogId;
use levada_core::env::Disk;

use crate::error::OpenError;
use crate::frame::{self, FRAME_HEADER_BYTES, Header, Kind};
use crate::layout::{self, Layout, Window, segment_name};
use crate::recovery;
use crate::segment::{SEGMENT_HEADER_BYTES, is_header};
use crate::state::{Segment, State};
use crate::{journal, manifest};

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Journal rounds verified.
    pub rounds: u64,
    /// Manifest records verified.
    pub manifest_records: u64,
    /// Frames verified in segments.
    pub frames: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong; empty if nothing is.
    pub findings: Vec<Finding>,
}

/// A damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the data directory.
    pub file: String,
    /// Byte offset of the damage in it.
    pub at: u64,
    /// The logs that cannot be read completely; empty where that cannot be told, because all may be affected.
    pub logs: Vec<LogId>,
    /// What is wrong.
    pub what: String,
}

/// Verifies the data directory `dir`, which no process may be using. Changes nothing.
///
/// After an unclean stop the newest journal round may be torn; that is no finding, because nobody was told of it.
///
/// # Errors
/// [`OpenError::Locked`], [`OpenError::Version`] and those of the disk. Damage is a finding, not an error.
pub fn check(dir: &Path, disk: &dyn Disk) -> Result<Report, OpenError> {
    let layout = Layout::new(dir);
    let _held = recovery::take_lock(disk, &layout)?;
    let mut report = Report::default();
    if let Some(state) = found(&mut report, check_manifest_and_journal(disk, &layout))? {
        report.rounds = state.rounds;
        report.manifest_records = state.manifest_records;
        report.bytes = state.bytes;
        for (&id, segment) in &state.state.segments {
            check_segment(disk, &layout, id, segment, &state.state, &mut report)?;
        }
    }
    Ok(report)
}

/// Turns damage into a finding.
fn found<T>(report: &mut Report, result: Result<T, OpenError>) -> Result<Option<T>, OpenError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(OpenError::Corrupt { file, at, what }) => {
            report.findings.push(Finding { file, at, logs: Vec::new(), what });
            Ok(None)
        }
        Err(other @ (OpenError::Locked | OpenError::Version { .. } | OpenError::Io { .. })) => Err(other),
    }
}

struct Known {
    state: State,
    rounds: u64,
    manifest_records: u64,
    bytes: u64,
}

fn check_manifest_and_journal(disk: &dyn Disk, layout: &Layout) -> Result<Known, OpenError> {
    layout::read_format(disk, layout)?;
    let (manifest_records, len) = manifest::read(disk, layout)?.map_or((0, 0), |read| (read.records, read.len));
    let recovered = recovery::read(disk, layout)?;
    let journal::Scanned { rounds, bytes, .. } = recovered.scanned;
    Ok(Known { state: recovered.state, rounds, manifest_records, bytes: len + bytes })
}

fn check_segment(
    disk: &dyn Disk,
    layout: &Layout,
    id: u32,
    segment: &Segment,
    state: &State,
    report: &mut Report,
) -> Result<(), OpenError> {
    let io_error = |source| OpenError::Io { what: format!("read {}", segment_name(id)), source };
    let file = match disk.open(&layout.segment_file(id), levada_core::env::Open::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            report.findings.push(finding(state, id, 0, u64::from(segment.len), "the file is missing"));
            return Ok(());
        }
        other => other.map_err(io_error)?,
    };
    let mut window = Window::new(file, u64::from(segment.len));
    let header = window.at(0, SEGMENT_HEADER_BYTES as usize).map_err(io_error)?;
    if !is_header(&header, id) {
        report.findings.push(finding(state, id, 0, 1, "the header is damaged; its frames are read all the same"));
    }
    let (mut at, end) = (u64::from(SEGMENT_HEADER_BYTES), u64::from(segment.len));
    while at < end {
        let bytes = window.at(at, FRAME_HEADER_BYTES).map_err(io_error)?;
        let header = Header::peek(&bytes).filter(|header| header.kind == Kind::Data);
        let frame = match header {
            Some(header) => frame::parse(&window.at(at, header.frame_len()).map_err(io_error)?),
            None => None,
        };
        if let Some(frame) = frame {
            report.frames += 1;
            at += frame.header.frame_len() as u64;
            continue;
        }
        // Extents say where readable frames begin again; only what they cover can be missed.
        let next = next_extent(state, id, at).unwrap_or(end);
        report.findings.push(finding(state, id, at, next, "a frame is damaged"));
        at = next;
    }
    report.bytes += end;
    Ok(())
}

/// Where the next extent in segment `id` begins after byte `at`.
fn next_extent(state: &State, id: u32, at: u64) -> Option<u64> {
    let extents = state.logs.values().flat_map(|log| &log.extents).filter(|extent| extent.segment == id);
    extents.map(|extent| u64::from(extent.at)).filter(|begin| *begin > at).min()
}

/// A finding about the bytes `from..to` of a segment, with the logs that have records there.
fn finding(state: &State, id: u32, from: u64, to: u64, what: &str) -> Finding {
    let overlaps = |extent: &crate::state::Extent| {
        let (begin, end) = (u64::from(extent.at), u64::from(extent.at) + u64::from(extent.len));
        extent.segment == id && begin < to && from < end
    };
    let affected = state.logs.iter().filter(|(_, log)| log.extents.iter().any(overlaps));
    let mut logs: Vec<LogId> = affected.map(|(&log, _)| LogId(log)).collect();
    logs.sort_unstable();
    Finding { file: segment_name(id), at: from, logs, what: what.to_owned() }
}
