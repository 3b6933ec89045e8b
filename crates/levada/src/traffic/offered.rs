//! What an on-demand stream's shard was offered, minute by minute: what [`levada_core::scaling`] decides by.

use std::collections::VecDeque;

use levada_core::scaling::Sample;

use super::MINUTES;

/// The samples of a shard.
#[derive(Debug, Default)]
pub(super) struct Offered {
    /// Its minute since the Unix epoch, and what came in it so far.
    current: (u64, Sample),
    /// Complete minutes with traffic, oldest first.
    past: VecDeque<(u64, Sample)>,
}

impl Offered {
    /// Adds what came in this minute, or later than it: a minute that was turned is not taken up again.
    pub(super) fn add(&mut self, minute: u64, sample: &Sample) {
        if self.current.0 < minute {
            if self.current.1.load.records > 0 {
                if self.past.len() == MINUTES {
                    self.past.pop_front();
                }
                self.past.push_back(self.current);
            }
            self.current = (minute, Sample::default());
        }
        self.current.1.add(sample);
    }

    /// The minutes with traffic from `from` on that were over when `now` began.
    pub(super) fn between(&self, from: u64, now: u64) -> impl Iterator<Item = (u64, Sample)> {
        let all = self.past.iter().chain(std::iter::once(&self.current)).copied();
        all.filter(move |(minute, sample)| (from..now).contains(minute) && sample.load.records > 0)
    }
}
