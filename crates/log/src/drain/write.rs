//! The segments of a drain: who writes where, and the writing.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use levada_core::env::{DiskFile, Open};

use super::pieces::Target;
use super::{Background, Capture, Share, Written};
use crate::layout::no_retry;
use crate::oneshot::lock;
use crate::segment::{self, SEGMENT_HEADER_BYTES};
use crate::state::{EXTENT_BYTES, Extent, Segment};

/// Busy logs that get a segment of their own in one drain.
const MAX_OWN: usize = 48;

/// Segments that the other logs share in one drain; classes beyond that go together.
const MAX_SHARED: usize = 16;

/// The class of a segment that takes several.
const MIXED_CLASS: u32 = u32::MAX;

/// Whom a segment that still takes frames is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    Log(u64),
    Class(u32),
}

impl Background {
    /// Writes the segments and makes them durable, with their names.
    pub(super) fn write(&mut self, capture: &Capture) -> io::Result<Vec<Written>> {
        let groups = self.group(&capture.shares);
        let mut files: Vec<Arc<dyn DiskFile>> = Vec::new();
        let mut written: Vec<Written> = Vec::new();
        let result = groups.into_iter().try_for_each(|(owner, shares)| {
            let (file, one) = self.write_segment(owner, &shares)?;
            files.push(file);
            written.push(one);
            Ok(())
        });
        if let Err(error) = result {
            self.discard_new(&written);
            return Err(error);
        }
        files.iter().try_for_each(|file| no_retry(file.sync()))?;
        if written.iter().any(|one| one.is_new) {
            no_retry(self.shared.disk.sync_dir(&self.shared.layout.segments))?;
        }
        Ok(written)
    }

    /// Forgets segments that a failed drain began. Their files are removed by the next start at the latest.
    pub(super) fn discard_new(&mut self, written: &[Written]) {
        let new: Vec<u32> = written.iter().filter(|one| one.is_new).map(|one| one.id).collect();
        self.open.retain(|_, id| !new.contains(id));
        let known = lock(&self.shared.state).segments.clone();
        self.open.retain(|_, id| known.contains_key(id));
        for id in new {
            if let Err(error) = self.shared.disk.remove(&self.shared.layout.segment_file(id)) {
                tracing::warn!(segment = id, %error, "an unused segment cannot be removed");
            }
        }
    }

    /// Who writes to which segment: busy logs to their own, the others to one per class.
    fn group<'a>(&self, shares: &'a [Share]) -> BTreeMap<Owner, Vec<&'a Share>> {
        let mut busy: Vec<&Share> =
            shares.iter().filter(|share| share.bytes >= self.shared.options.busy_log_bytes.max(1)).collect();
        busy.sort_by_key(|share| std::cmp::Reverse(share.bytes));
        busy.truncate(MAX_OWN);
        let mut groups: BTreeMap<Owner, Vec<&Share>> =
            busy.iter().map(|share| (Owner::Log(share.log), vec![*share])).collect();
        let mut classes: BTreeMap<u32, usize> = BTreeMap::new();
        let shared =
            || shares.iter().filter(|share| !share.frames.is_empty() && !groups.contains_key(&Owner::Log(share.log)));
        for share in shared() {
            *classes.entry(share.class).or_default() += share.bytes;
        }
        let mut ranked: Vec<(u32, usize)> = classes.into_iter().collect();
        ranked.sort_by_key(|(class, bytes)| (std::cmp::Reverse(*bytes), *class));
        ranked.truncate(MAX_SHARED - 1);
        let in_classes: Vec<(Owner, &Share)> = shared()
            .map(|share| {
                let own = ranked.iter().any(|(class, _)| *class == share.class);
                (Owner::Class(if own { share.class } else { MIXED_CLASS }), share)
            })
            .collect();
        for (owner, share) in in_classes {
            groups.entry(owner).or_default().push(share);
        }
        groups
    }

    /// The segment that takes this owner's frames now: the one in use, or a new one if that is large or old.
    fn segment_for(&mut self, owner: Owner, class: u32) -> (u32, Segment, bool) {
        let now = self.shared.clock.now_ms();
        let known = self.open.get(&owner).and_then(|id| {
            let segment = *lock(&self.shared.state).segments.get(id)?;
            Some((*id, segment))
        });
        if let Some((id, segment)) = known {
            let options = &self.shared.options;
            // A clock that went back makes a segment look young; size still ends it.
            let old = now.saturating_sub(segment.created_ms) >= options.segment_age_ms;
            if !old && u64::from(segment.len) < options.segment_bytes.min(1 << 30) && segment.live > 0 {
                return (id, segment, false);
            }
        }
        let id = self.next_segment;
        self.next_segment += 1;
        self.open.insert(owner, id);
        (id, Segment { class, len: SEGMENT_HEADER_BYTES, created_ms: now, live: 0 }, true)
    }

    fn write_segment(&mut self, owner: Owner, shares: &[&Share]) -> io::Result<(Arc<dyn DiskFile>, Written)> {
        let class = match (owner, shares.first()) {
            (Owner::Log(_), Some(share)) => share.class,
            (Owner::Log(_), None) => MIXED_CLASS,
            (Owner::Class(class), _) => class,
        };
        let (id, mut segment, is_new) = self.segment_for(owner, class);
        let path = self.shared.layout.segment_file(id);
        let buffered = self.shared.disk.open(&path, if is_new { Open::CreateNew } else { Open::Write })?;
        let large = shares.iter().map(|share| share.bytes).sum::<usize>() >= self.shared.options.direct_bytes;
        // Refused for want of a file descriptor, say: then everything goes the other way.
        let direct = if large { self.shared.disk.open(&path, Open::WriteDirect).ok() } else { None };
        let target = Target { buffered, direct };
        let mut pieces = std::mem::take(&mut self.pieces);
        let header = if is_new { segment::header(id, &segment) } else { Vec::new() };
        pieces.begin(u64::from(segment.len) - header.len() as u64);
        let mut extents: Vec<(u64, Extent)> = Vec::new();
        let result = pieces.push(&header, &target).and_then(|()| {
            shares.iter().try_for_each(|share| {
                let mut run: Option<Extent> = None;
                for frame in &share.frames {
                    let len = frame.frame_len() as u32;
                    match &mut run {
                        Some(extent) if extent.len + len <= EXTENT_BYTES => {
                            extent.len += len;
                            extent.frames += 1;
                        }
                        _ => {
                            extents.extend(run.map(|extent| (share.log, extent)));
                            let (first, first_arrival) = (frame.first, frame.arrival);
                            run = Some(Extent { first, first_arrival, segment: id, at: segment.len, len, frames: 1 });
                        }
                    }
                    pieces.push(&frame.header(share.log).with_crc(frame.crc), &target)?;
                    pieces.push(frame.batch.bytes(), &target)?;
                    segment.len += len;
                }
                extents.extend(run.map(|extent| (share.log, extent)));
                Ok(())
            })
        });
        let result = result.and_then(|()| pieces.flush(&target));
        self.pieces = pieces;
        if let Err(error) = result {
            self.discard_new(&[Written { id, segment, is_new, extents: Vec::new() }]);
            return Err(error);
        }
        Ok((target.buffered, Written { id, segment, is_new, extents }))
    }
}
