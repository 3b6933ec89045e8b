//! The simulated world: a clock that a test moves, randomness from a seed, and a disk that loses power.
//!
//! Always compiled, not behind a feature: it has no dependencies, the linker drops what a binary does not use, and
//! a feature would make cargo build this crate twice for every test run.
//!
//! Architecture invariant: everything here is a function of its seed and of the calls made. The same calls with
//! the same seed give the same bytes.

mod content;
mod disk;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use self::disk::{DiskCall, Fault, FileStats, SimDisk};
use super::{Clock, Random};

/// A clock that stands still until a test moves it. Clones share the time.
#[derive(Clone, Debug)]
pub struct SimClock {
    hands: Arc<Hands>,
}

#[derive(Debug)]
struct Hands {
    wall_ms: AtomicU64,
    monotonic_ms: AtomicU64,
}

impl SimClock {
    /// A clock whose wall time is `wall_ms` milliseconds since the Unix epoch.
    #[must_use]
    pub fn at(wall_ms: u64) -> Self {
        Self { hands: Arc::new(Hands { wall_ms: AtomicU64::new(wall_ms), monotonic_ms: AtomicU64::new(0) }) }
    }

    /// Lets `ms` milliseconds pass on both clocks.
    pub fn advance(&self, ms: u64) {
        self.hands.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.hands.monotonic_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, forward or back, while no time passes.
    pub fn jump_wall(&self, wall_ms: u64) {
        self.hands.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        self.hands.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.hands.monotonic_ms.load(Ordering::SeqCst))
    }
}

/// Pseudo-random bits from a seed (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", 2014). Clones continue the same sequence.
#[derive(Clone, Debug)]
pub struct SimRandom {
    state: Arc<AtomicU64>,
}

impl SimRandom {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: Arc::new(AtomicU64::new(seed)) }
    }

    /// A sequence of its own, which depends on this one's position.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::new(self.next_u64())
    }

    /// A number from `0..bound`; 0 if `bound` is 0. The bias is below `bound / 2^64`.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True in `percent` of 100 cases.
    #[must_use]
    pub fn percent(&self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

impl Random for SimRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.next_u64().to_le_bytes()[..piece.len()]);
        }
    }

    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut word = self.state.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}
