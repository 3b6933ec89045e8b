//! A manifest's base: everything that is drained, stated in records of moderate size.

use crate::journal::Position;
use crate::manifest::Record;
use crate::oneshot::lock;
use crate::shared::Shared;

/// A new manifest is written in records of about so many bytes, the lock taken once for each.
const RECORD_BYTES: usize = 64 * 1024;

/// Records that state together everything which is drained, for a journal that is to be read from `position` on.
pub(crate) fn everything(shared: &Shared, position: Position) -> impl Iterator<Item = Record> + '_ {
    let mut first = Record::default();
    first.position(position);
    let mut ids: Vec<u64> = {
        let state = lock(&shared.state);
        state.segments.iter().for_each(|(&id, segment)| first.segment(id, segment));
        state.logs.keys().copied().collect()
    };
    ids.sort_unstable();
    let mut rest = Rest { shared, ids, next: 0, stated: None };
    std::iter::once(first).chain(std::iter::from_fn(move || rest.record()))
}

/// What is still to be stated. Only the background thread adds extents, so they stand still meanwhile, but for trims.
struct Rest<'a> {
    shared: &'a Shared,
    ids: Vec<u64>,
    next: usize,
    /// Of the log `next`, if its LOG op has been written: the start in it, and the first offset of the last extent that
    /// was stated.
    stated: Option<(u64, Option<u64>)>,
}

impl Rest<'_> {
    fn record(&mut self) -> Option<Record> {
        let mut record = Record::default();
        let state = lock(&self.shared.state);
        while let Some(&id) = self.ids.get(self.next) {
            if let Some(log) = state.logs.get(&id).filter(|log| log.born) {
                if self.stated.is_none() {
                    record.log(id, log, log.drained);
                }
                let (start, mut after) = self.stated.unwrap_or((log.start, None));
                let from = log.extents.partition_point(|extent| after.is_some_and(|after| extent.first <= after));
                for extent in &log.extents[from..] {
                    if record.len() >= RECORD_BYTES {
                        self.stated = Some((start, after));
                        return Some(record);
                    }
                    record.extent(id, extent);
                    after = Some(extent.first);
                }
                // A trim since then took extents out that were not stated yet: what was stated before them must not
                // seem to reach over the hole.
                if start != log.start {
                    record.log(id, log, log.drained);
                }
            }
            self.next += 1;
            self.stated = None;
            if record.len() >= RECORD_BYTES {
                break;
            }
        }
        (record.len() > 0).then_some(record)
    }
}
