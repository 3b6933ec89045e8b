//! What one writer knows of one log: every position before `next`, hence the valid records among them.

use super::unreliable::{Content, Entry, Message};
use crate::batch::Batch;
use crate::engine::{Chunk, Millis, Offset, Page, ReadRequest, Tail};

/// A valid batch.
#[derive(Clone, Debug)]
pub(super) struct Valid {
    pub(super) position: u64,
    pub(super) writer: u64,
    pub(super) number: u64,
    pub(super) first: Offset,
    pub(super) arrival: Millis,
    pub(super) batch: Batch,
}

impl Valid {
    fn end(&self) -> Offset {
        self.first + u64::from(self.batch.count())
    }
}

#[derive(Debug, Default)]
pub(super) struct Account {
    /// Positions before this one are accounted for.
    pub(super) next: u64,
    /// Valid records before `next`.
    pub(super) end: Offset,
    pub(super) last_arrival: Millis,
    pub(super) sealed: bool,
    /// Position at which the log was found to contradict itself; it is neither read nor written past that.
    pub(super) damaged: Option<u64>,
    start: Offset,
    valid: Vec<Valid>,
}

impl Account {
    pub(super) fn new(floor: Millis) -> Self {
        Self { last_arrival: floor, ..Self::default() }
    }

    /// Accounts for a message, if it stands next.
    pub(super) fn take(&mut self, entry: &Entry) {
        let Entry { position, message } = entry;
        if *position != self.next || self.damaged.is_some() {
            return;
        }
        self.next += message.width();
        if message.expected != *position || self.sealed {
            return;
        }
        match &message.content {
            Content::Data(batch) => {
                // The writer had accounted for every position before this one, so it counted the same records.
                if message.first != self.end || message.arrival < self.last_arrival {
                    self.damaged = Some(*position);
                    return;
                }
                self.end += u64::from(batch.count());
                self.last_arrival = message.arrival;
                self.valid.push(Valid {
                    position: *position,
                    writer: message.writer,
                    number: message.batch,
                    first: message.first,
                    arrival: message.arrival,
                    batch: batch.clone(),
                });
            }
            Content::Close => self.sealed = true,
            Content::Fence => {}
        }
    }

    /// The batch of this message, if a copy of it is valid.
    pub(super) fn find(&self, message: &Message) -> Option<&Valid> {
        let at = self.valid.binary_search_by_key(&message.expected, |valid| valid.position).ok()?;
        Some(&self.valid[at]).filter(|valid| (valid.writer, valid.number) == (message.writer, message.batch))
    }

    pub(super) fn trim(&mut self, before: Offset) {
        self.start = self.start.max(before.min(self.end));
    }

    pub(super) fn seek(&self, time: Millis) -> Offset {
        let later = self.valid.partition_point(|valid| valid.arrival < time);
        self.valid.get(later).map_or(self.end, |valid| valid.first.max(self.start))
    }

    pub(super) fn tail(&self) -> Tail {
        let kept = &self.valid[self.valid.partition_point(|valid| valid.end() <= self.start)..];
        Tail {
            start: self.start,
            end: self.end,
            sealed: self.sealed,
            last_arrival: self.last_arrival,
            first_arrival: kept.first().map(|valid| valid.arrival),
            bytes: kept.iter().map(|valid| valid.batch.bytes().len() as u64).sum(),
        }
    }

    pub(super) fn page(&self, request: &ReadRequest) -> Page {
        let mut page = Page { chunks: Vec::new(), next: request.from.max(self.start), tail: self.tail() };
        let (mut records, mut bytes) = (0, 0);
        for valid in &self.valid[self.valid.partition_point(|valid| valid.end() <= page.next)..] {
            let skip = (page.next - valid.first) as u32;
            let mut take = 0;
            for record in valid.batch.records().skip(skip as usize) {
                let more = (record.key.len() + record.data.len()) as u64;
                if records == request.max_records || (records > 0 && bytes + more > request.max_bytes) {
                    break;
                }
                (records, bytes, take) = (records + 1, bytes + more, take + 1);
            }
            if take == 0 {
                break;
            }
            let chunk = Chunk { first: page.next, arrival: valid.arrival, batch: valid.batch.clone(), skip, take };
            page.next += u64::from(take);
            page.chunks.push(chunk);
            if skip + take < valid.batch.count() {
                break;
            }
        }
        page
    }
}
