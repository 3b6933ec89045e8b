//! The clock that `--test-controls` can advance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levada_core::env::Clock;

/// The real clock, plus what a test has added to it. Both of its readings move together, so that an advance looks
/// like time that has passed, not like a clock that was set. It only moves forward.
pub struct MovableClock {
    real: Arc<dyn Clock>,
    advanced_ms: AtomicU64,
}

impl MovableClock {
    /// A clock that agrees with `real` until it is advanced.
    #[must_use]
    pub fn new(real: Arc<dyn Clock>) -> Self {
        Self { real, advanced_ms: AtomicU64::new(0) }
    }

    /// Adds milliseconds for good. Saturates at 10,000 years, so that dates stay printable.
    pub fn advance(&self, ms: u64) {
        const LIMIT: u64 = 10_000 * 366 * 24 * 3_600 * 1_000;
        let add = |now: u64| Some(now.saturating_add(ms).min(LIMIT));
        let _ = self.advanced_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    }
}

impl Clock for MovableClock {
    fn now_ms(&self) -> u64 {
        self.real.now_ms() + self.advanced_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic() + Duration::from_millis(self.advanced_ms.load(Ordering::SeqCst))
    }
}
