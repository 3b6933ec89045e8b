//! A simulated file's bytes: what is there now, what would survive a power loss, and the changes in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SimRandom;

const PAGE: usize = 4096;

/// Bytes of a file. Pages that are all zero may be absent, so a pre-zeroed file costs nothing; clones share pages.
///
/// Invariant: bytes from `len` on are zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read_at(&self, into: &mut [u8], at: u64) -> usize {
        let wanted = (into.len() as u64).min(self.len.saturating_sub(at)) as usize;
        self.copy_out(&mut into[..wanted], at);
        wanted
    }

    pub(super) fn write_at(&mut self, bytes: &[u8], at: u64) {
        self.copy_in(bytes, at);
        self.len = self.len.max(at + bytes.len() as u64);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.zero_from(len);
        }
        self.len = len;
    }

    pub(super) fn flip_bit(&mut self, at: u64, bit: u8) {
        if at < self.len {
            let mut byte = [0];
            self.copy_out(&mut byte, at);
            self.copy_in(&[byte[0] ^ (1 << (bit % 8))], at);
        }
    }

    fn zero_from(&mut self, at: u64) {
        let within = (at % PAGE as u64) as usize;
        let mut cut = self.pages.split_off(&(at / PAGE as u64));
        if within > 0
            && let Some(mut page) = cut.remove(&(at / PAGE as u64))
        {
            Arc::make_mut(&mut page)[within..].fill(0);
            self.pages.insert(at / PAGE as u64, page);
        }
    }

    fn copy_out(&self, mut into: &mut [u8], mut at: u64) {
        while !into.is_empty() {
            let within = (at % PAGE as u64) as usize;
            let (piece, rest) = into.split_at_mut((PAGE - within).min(into.len()));
            match self.pages.get(&(at / PAGE as u64)) {
                Some(page) => piece.copy_from_slice(&page[within..within + piece.len()]),
                None => piece.fill(0),
            }
            at += piece.len() as u64;
            into = rest;
        }
    }

    fn copy_in(&mut self, mut bytes: &[u8], mut at: u64) {
        while !bytes.is_empty() {
            let number = at / PAGE as u64;
            let within = (at % PAGE as u64) as usize;
            let (piece, rest) = bytes.split_at((PAGE - within).min(bytes.len()));
            if piece.iter().any(|&byte| byte != 0) {
                let page = self.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE]));
                Arc::make_mut(page)[within..within + piece.len()].copy_from_slice(piece);
            } else if piece.len() == PAGE {
                self.pages.remove(&number);
            } else if let Some(page) = self.pages.get_mut(&number) {
                Arc::make_mut(page)[within..within + piece.len()].fill(0);
            }
            at += piece.len() as u64;
            bytes = rest;
        }
    }

    fn copy_range(&mut self, from: &Self, at: u64, len: usize) {
        let mut bytes = vec![0; len];
        from.copy_out(&mut bytes, at);
        self.copy_in(&bytes, at);
    }

    fn share_page(&mut self, from: &Self, number: u64) {
        match from.pages.get(&number) {
            Some(page) => self.pages.insert(number, Arc::clone(page)),
            None => self.pages.remove(&number),
        };
    }
}

#[derive(Debug)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl Change {
    fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { at, bytes } => content.write_at(bytes, *at),
            Self::SetLen(len) => content.set_len(*len),
        }
    }
}

/// A file whose recent changes are not durable yet.
#[derive(Debug, Default)]
pub(super) struct Volatile {
    current: Content,
    durable: Content,
    /// What `unsynced` builds on. `None` means `durable`; after a failed sync it differs from that, because the
    /// changes that the sync dropped are visible but no later sync writes them.
    base: Option<Content>,
    unsynced: Vec<Change>,
}

impl Volatile {
    pub(super) fn current(&self) -> &Content {
        &self.current
    }

    pub(super) fn write_at(&mut self, bytes: &[u8], at: u64) {
        self.change(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.change(Change::SetLen(len));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }

    /// Damages a byte on the medium.
    pub(super) fn flip_bit(&mut self, at: u64, bit: u8) {
        self.current.flip_bit(at, bit);
        self.durable.flip_bit(at, bit);
    }

    pub(super) fn sync(&mut self) {
        if self.base.is_some() {
            self.durable = self.settle(PAGE, |_| true);
            self.base = Some(self.current.clone());
        } else {
            for change in &self.unsynced {
                match change {
                    Change::Write { at, bytes } if !bytes.is_empty() => {
                        let last = (at + bytes.len() as u64 - 1) / PAGE as u64;
                        for number in at / PAGE as u64..=last {
                            self.durable.share_page(&self.current, number);
                        }
                    }
                    Change::Write { .. } => {}
                    Change::SetLen(len) => self.durable.set_len(*len),
                }
            }
            self.durable.len = self.current.len;
        }
        self.unsynced.clear();
    }

    /// A sync that reported an error: some changes reached the medium, and the system forgets that the others
    /// have not.
    pub(super) fn sync_failed(&mut self, random: &SimRandom) {
        self.durable = self.settle_at_random(random);
        self.base = Some(self.current.clone());
        self.unsynced.clear();
    }

    /// The file as found after a power loss.
    pub(super) fn after_power_loss(&self, random: &SimRandom) -> Self {
        let found = self.settle_at_random(random);
        Self { current: found.clone(), durable: found, base: None, unsynced: Vec::new() }
    }

    fn settle_at_random(&self, random: &SimRandom) -> Content {
        let sector = if random.percent(50) { 512 } else { PAGE };
        let mut odds = 50;
        self.settle(sector, |decision| {
            match decision {
                // A third of the changes are kept whole, a third lost whole, a third torn.
                Decision::Change => odds = [0, 50, 100][random.below(3) as usize],
                Decision::Length if odds != 100 => odds = if random.percent(50) { 50 } else { odds },
                Decision::Length | Decision::Sector => {}
            }
            random.percent(odds)
        })
    }

    /// The durable content after some of the unsynced changes reached the medium. A sector that did holds all its
    /// bytes as of that change, because what is written is a page of the cache.
    fn settle(&self, sector: usize, mut kept: impl FnMut(Decision) -> bool) -> Content {
        let mut running = self.base.as_ref().unwrap_or(&self.durable).clone();
        let mut found = self.durable.clone();
        let mut len = found.len;
        for change in &self.unsynced {
            let len_before = running.len;
            change.apply(&mut running);
            let keep_cut = kept(Decision::Change);
            match change {
                Change::Write { at, bytes } => {
                    let mut start = at - at % sector as u64;
                    while start < at + bytes.len() as u64 {
                        if kept(Decision::Sector) {
                            found.copy_range(&running, start, sector);
                        }
                        start += sector as u64;
                    }
                    if running.len != len_before && kept(Decision::Length) {
                        len = running.len;
                    }
                }
                Change::SetLen(to) if keep_cut => {
                    found.zero_from(*to);
                    len = *to;
                }
                Change::SetLen(_) => {}
            }
        }
        found.zero_from(len);
        found.len = len;
        found
    }
}

/// What [`Volatile::settle`] asks about: once for each change, then for its parts.
enum Decision {
    Change,
    Sector,
    Length,
}
