//! A token bucket: how fast something may be taken, and how much at once.
//!
//! All arithmetic is in whole numbers. A rate is so many thousandths of a token in so many seconds, and a level counts
//! grains, of which a token has as many that the rate brings a whole number of them in each nanosecond. So nothing is
//! rounded and nothing drifts, however often a bucket is asked, and an amount becomes available in the very nanosecond
//! in which it should.
//!
//! Architecture invariant: nothing here reads a clock. Times are those of
//! [`Clock::monotonic`](crate::env::Clock::monotonic), and one that is older than the last seen counts as the last seen,
//! since callers read the clock before they hold the bucket.

use std::num::NonZeroU32;
use std::time::Duration;

/// Tokens in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Thousandths of a token.
    milli: u64,
    /// Seconds in which they come.
    seconds: NonZeroU32,
}

impl Rate {
    /// `tokens` per second. Saturates at 1.8 × 10¹⁶.
    #[must_use]
    pub const fn per_second(tokens: u64) -> Self {
        Self::per(tokens, NonZeroU32::MIN)
    }

    /// `tokens` in `seconds`.
    #[must_use]
    pub const fn per(tokens: u64, seconds: NonZeroU32) -> Self {
        Self { milli: tokens.saturating_mul(1_000), seconds }
    }

    /// Whole tokens a second, rounded down.
    #[must_use]
    pub const fn whole_per_second(self) -> u64 {
        self.milli / 1_000 / self.seconds.get() as u64
    }

    /// This rate times `multiple`; exact if it was a whole number of tokens.
    #[must_use]
    pub const fn times(self, multiple: Multiple) -> Self {
        let milli = self.milli as u128 * multiple.milli as u128 / 1_000;
        let milli = if milli > u64::MAX as u128 { u64::MAX } else { milli as u64 };
        Self { milli, seconds: self.seconds }
    }

    /// Grains in a token: one thousandth is one grain in each nanosecond of the rate's seconds.
    fn token(self) -> i128 {
        1_000 * 1_000_000_000 * i128::from(self.seconds.get())
    }

    /// Grains that come in this time.
    fn in_time(self, time: Duration) -> i128 {
        let (milli, nanos) = (i128::from(self.milli), i128::try_from(time.as_nanos()).unwrap_or(i128::MAX));
        milli.saturating_mul(nanos)
    }
}

/// What a rate is multiplied by: more than nothing, with three decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Multiple {
    milli: u64,
}

impl Multiple {
    /// No change.
    pub const ONE: Self = Self { milli: 1_000 };

    /// Largest multiple.
    pub const MAX: u64 = 1_000_000;

    /// The multiple with this value. `None` unless it lies in `0.001..=1_000_000` and has three decimals at most.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        let milli = value * 1_000.0;
        let whole = milli.round();
        // 2.3 × 1,000 is not exactly 2,300 in binary.
        let close = (milli - whole).abs() <= whole.abs() * 1e-9;
        (close && whole >= 1.0 && whole <= (Self::MAX * 1_000) as f64).then_some(Self { milli: whole as u64 })
    }
}

/// A bucket's rule: how fast it fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    rate: Rate,
    /// In grains.
    capacity: i128,
}

impl Limit {
    /// A bucket that holds what comes in `seconds`, but never less than `least` tokens: what may be asked for at once
    /// must fit, or it could never be granted.
    #[must_use]
    pub fn new(rate: Rate, seconds: u64, least: u64) -> Self {
        let capacity = rate.in_time(Duration::from_secs(seconds));
        Self { rate, capacity: capacity.max(i128::from(least) * rate.token()) }
    }

    /// How fast it fills.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// How much it holds, in whole tokens, rounded down.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::try_from(self.capacity / self.rate.token()).unwrap_or(u64::MAX)
    }

    fn grains(&self, tokens: u64) -> i128 {
        i128::from(tokens).saturating_mul(self.rate.token())
    }
}

/// A token bucket. New ones are full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    limit: Limit,
    /// In grains; negative while there is debt.
    level: i128,
    /// When `level` was true.
    at: Duration,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub const fn full(limit: Limit, now: Duration) -> Self {
        Self { limit, level: limit.capacity, at: now }
    }

    /// True if `tokens` can be taken.
    pub fn has(&mut self, tokens: u64, now: Duration) -> bool {
        self.fill(now);
        self.level >= self.limit.grains(tokens)
    }

    /// Takes `tokens` if they are there, else nothing.
    pub fn take(&mut self, tokens: u64, now: Duration) -> bool {
        let granted = self.has(tokens, now);
        if granted {
            self.level -= self.limit.grains(tokens);
        }
        granted
    }

    /// Takes `tokens` in any case: what is not there becomes debt. For an amount that is known only when it has been
    /// taken; ask [`Self::in_debt`] before. An amount that no bucket of this capacity could hold is paid for from
    /// nothing: from then on it takes as long as it takes to fill in, whatever was there.
    pub fn take_in_debt(&mut self, tokens: u64, now: Duration) {
        self.fill(now);
        let amount = self.limit.grains(tokens);
        if amount > self.limit.capacity {
            self.level = self.level.min(0);
        }
        self.level = self.level.saturating_sub(amount);
    }

    /// True while debt is being paid off.
    pub fn in_debt(&mut self, now: Duration) -> bool {
        self.fill(now);
        self.level < 0
    }

    /// When debt will be paid off: `now`, if there is none.
    pub fn paid_off(&mut self, now: Duration) -> Duration {
        if !self.in_debt(now) {
            return now;
        }
        // Rounded up to the nanosecond in which it is true. A rate of nothing pays nothing off.
        let per_nano = i128::from(self.limit.rate.milli);
        let nanos = if per_nano == 0 { i128::MAX } else { (-self.level + per_nano - 1) / per_nano };
        let secs = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        self.at.saturating_add(Duration::new(secs, (nanos % 1_000_000_000) as u32))
    }

    /// True if nothing would be lost by forgetting this bucket.
    pub fn is_full(&mut self, now: Duration) -> bool {
        self.fill(now);
        self.level == self.limit.capacity
    }

    fn fill(&mut self, now: Duration) {
        let Some(passed) = now.checked_sub(self.at).filter(|passed| !passed.is_zero()) else { return };
        self.at = now;
        self.level = self.level.saturating_add(self.limit.rate.in_time(passed)).min(self.limit.capacity);
    }
}

#[cfg(test)]
mod tests;
