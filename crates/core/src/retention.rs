//! Retention: which records may go, and when the clock is not to be believed about it.

use std::time::Duration;

use crate::engine::Millis;

const HOUR_MS: u64 = 3_600_000;

/// Records that arrived before this time are past their retention.
#[must_use]
pub fn cutoff(now_ms: Millis, retention_hours: u32) -> Millis {
    now_ms.saturating_sub(u64::from(retention_hours) * HOUR_MS)
}

/// How far the wall clock may stray from elapsed time in all. What it strays is forgiven at one hundredth of the
/// elapsed time: NTP slews by at most 0.05 %, and a leap second is one second.
pub const TOLERATED_JUMP: Duration = Duration::from_mins(1);

/// How long a stopped node may have been away before its first look, in milliseconds, without anyone being asked.
///
/// While it was down nothing measured the time, so the wall clock's word is all there is. A week is longer than a
/// repair takes and shorter than the longest error that a dead clock battery or a mistyped year makes.
pub const TOLERATED_ABSENCE_MS: u64 = 7 * 24 * HOUR_MS;

/// Whether records may be trimmed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Trimming {
    /// By this time.
    Allowed {
        /// Wall-clock time in milliseconds.
        now_ms: Millis,
    },
    /// Not until [`RetentionClock::accept`], or until the wall clock is back where elapsed time says it should be.
    Suspended {
        /// By how much the wall clock is off, in milliseconds: ahead if positive.
        jump_ms: i64,
    },
}

/// Watches the wall clock against elapsed time, so that a wrong clock trims nothing.
///
/// Retention reads the wall clock, but believes it only as long as it advances as the monotonic clock does. A wall
/// clock that jumps ahead would make everything look old; deleting on its word cannot be undone, so trimming stops
/// and the operator is told.
#[derive(Clone, Debug)]
pub struct RetentionClock {
    /// Where both clocks stood when they last agreed.
    wall: Millis,
    monotonic: Duration,
    /// How far the wall clock may still stray from there, so that many small jumps count as a large one.
    allowance: Duration,
    jump_ms: i64,
}

impl RetentionClock {
    /// Starts the watch. `last_seen` is the wall-clock time that was last believed before the node stopped
    /// ([`State::clock_noted`](crate::catalog::State::clock_noted)), `None` on a new directory.
    pub fn start(last_seen: Option<Millis>, wall: Millis, monotonic: Duration) -> Self {
        let mut clock = Self { wall, monotonic, allowance: TOLERATED_JUMP, jump_ms: 0 };
        let Some(last_seen) = last_seen else { return clock };
        let away = difference(wall, last_seen);
        if away < -(TOLERATED_JUMP.as_millis() as i64) || away > TOLERATED_ABSENCE_MS as i64 {
            clock.wall = last_seen;
            clock.jump_ms = away;
        }
        clock
    }

    /// Looks at both clocks. To be called every few minutes at least.
    pub fn observe(&mut self, wall: Millis, monotonic: Duration) -> Trimming {
        let elapsed = monotonic.saturating_sub(self.monotonic);
        let expected = self.wall.saturating_add(elapsed.as_millis() as u64);
        let jump_ms = difference(wall, expected);
        let off = Duration::from_millis(jump_ms.unsigned_abs());
        // Never more than the whole allowance, however long ago the jump was: time does not explain it.
        match (self.allowance + elapsed / 100).min(TOLERATED_JUMP).checked_sub(off) {
            Some(allowance) => {
                *self = Self { wall, monotonic, allowance, jump_ms: 0 };
                Trimming::Allowed { now_ms: wall }
            }
            None => {
                self.jump_ms = jump_ms;
                Trimming::Suspended { jump_ms }
            }
        }
    }

    /// By how much the wall clock was off at the last look, in milliseconds; 0 while it is believed.
    #[must_use]
    pub fn jump_ms(&self) -> i64 {
        self.jump_ms
    }

    /// The operator says that the wall clock is right: it is believed again from here.
    pub fn accept(&mut self, wall: Millis, monotonic: Duration) {
        *self = Self { wall, monotonic, allowance: TOLERATED_JUMP, jump_ms: 0 };
    }
}

fn difference(a: Millis, b: Millis) -> i64 {
    i64::try_from(i128::from(a) - i128::from(b)).unwrap_or(if a > b { i64::MAX } else { i64::MIN })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn allowed(trimming: Trimming) -> bool {
        matches!(trimming, Trimming::Allowed { .. })
    }

    #[test]
    fn the_cutoff_is_so_many_hours_ago() {
        assert_eq!(cutoff(100 * HOUR_MS, 24), 76 * HOUR_MS);
        assert_eq!(cutoff(HOUR_MS, 24), 0);
    }

    #[test]
    fn a_jump_suspends_trimming() {
        // (wall advances by ms, monotonic advances by ms, may trim)
        let rows: [(i64, u64, bool); 9] = [
            (0, 0, true),
            (MINUTE as i64, MINUTE, true),
            (MINUTE as i64, 0, true),
            (MINUTE as i64 + 1, 0, false),
            (-(MINUTE as i64) - 1, 0, false),
            (100 * HOUR_MS as i64 + 60_000, 100 * HOUR_MS, true),
            (100 * HOUR_MS as i64 + 60_001, 100 * HOUR_MS, false),
            (60_000, 2 * MINUTE, true),
            (0, 2 * MINUTE, false),
        ];
        let (wall, monotonic) = (1_000_000 * MINUTE, Duration::from_secs(5));
        for (wall_step, step, may) in rows {
            let mut clock = RetentionClock::start(None, wall, monotonic);
            let trimming =
                clock.observe(wall.saturating_add_signed(wall_step), monotonic + Duration::from_millis(step));
            assert_eq!(allowed(trimming), may, "{wall_step} against {step}");
        }
    }

    #[test]
    fn trimming_resumes_when_the_clock_is_put_right_or_the_operator_accepts_it() {
        let start = 1_000_000 * MINUTE;
        let seconds = Duration::from_secs;
        let mut clock = RetentionClock::start(None, start, seconds(0));
        let ahead = start + HOUR_MS;
        assert_eq!(clock.observe(ahead, seconds(0)), Trimming::Suspended { jump_ms: HOUR_MS as i64 });
        assert_eq!(clock.observe(ahead + 10_000, seconds(10)), Trimming::Suspended { jump_ms: HOUR_MS as i64 });
        assert_eq!(clock.observe(start + 20_000, seconds(20)), Trimming::Allowed { now_ms: start + 20_000 });
        assert!(!allowed(clock.observe(ahead + 30_000, seconds(30))));
        clock.accept(ahead + 30_000, seconds(30));
        assert!(allowed(clock.observe(ahead + 40_000, seconds(40))));
        assert_eq!(clock.jump_ms(), 0);
    }

    #[test]
    fn a_slewed_clock_is_believed_and_a_racing_one_is_not() {
        // (milliseconds of wall clock in a second, seconds until trimming is suspended)
        let rows = [(1_001, None), (1_010, None), (999, None), (2_000, Some(61)), (61_000, Some(2)), (0, Some(61))];
        for (step, suspended) in rows {
            let mut clock = RetentionClock::start(None, 0, Duration::ZERO);
            let first =
                (1..100_000).find(|&second| !allowed(clock.observe(second * step, Duration::from_secs(second))));
            assert_eq!(first, suspended, "{step} ms a second");
        }
    }

    #[test]
    fn waiting_does_not_explain_a_jump() {
        let mut clock = RetentionClock::start(None, 0, Duration::ZERO);
        for hour in 1..1_000 {
            let monotonic = Duration::from_millis(hour * HOUR_MS);
            assert!(!allowed(clock.observe((hour + 1) * HOUR_MS, monotonic)));
        }
    }

    #[test]
    fn at_start_only_a_plausible_absence_is_believed() {
        let seen = 1_000_000 * MINUTE;
        let rows = [
            (seen, true),
            (seen + TOLERATED_ABSENCE_MS, true),
            (seen + TOLERATED_ABSENCE_MS + 1, false),
            (seen - MINUTE, true),
            (seen - MINUTE - 1, false),
            (0, false),
            (u64::MAX, false),
        ];
        for (wall, may) in rows {
            let mut clock = RetentionClock::start(Some(seen), wall, Duration::from_secs(9));
            assert_eq!(allowed(clock.observe(wall, Duration::from_secs(9))), may, "{wall}");
        }
    }
}
