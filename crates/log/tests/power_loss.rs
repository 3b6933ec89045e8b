//! Power losses, kills and interrupted recoveries on a simulated disk; recovery is compared with what callers were
//! told. `LEVADA_CRASH_SEQUENCES` sets how many sequences of eight lives each are played.
//!
//! With the feature `mutant-no-fdatasync` this binary must fail.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use levada_core::engine::Engine;
use levada_core::engine::conformance::crash::{End, play};
use levada_core::env::sim::{SimClock, SimDisk};
use levada_log::Options;

fn open(disk: &SimDisk, clock: &SimClock) -> Result<Arc<dyn Engine>, String> {
    // Options may change from life to life; the number of calls so far is as good as a draw.
    let tiny = common::tiny();
    let options = match disk.calls() % 4 {
        0 => tiny,
        1 => Options { drain_bytes: 1024, drain_bytes_many_logs: 1024, ..tiny },
        2 => Options { journal_segment_bytes: 16 * 1024, segment_bytes: 4096, ..tiny },
        _ => Options { drain_bytes: 48 * 1024, drain_bytes_many_logs: 48 * 1024, ..tiny },
    };
    let open = || common::Stepped::open(disk, clock, options.clone()).map_err(|error| error.to_string());
    if disk.calls().is_multiple_of(5) {
        // A life that only starts and stops, in order.
        open()?.shutdown().map_err(|error| error.to_string())?;
    }
    Ok(Arc::new(open()?))
}

levada_core::engine_crash_conformance!(open);

#[test]
fn power_loss_in_many_sequences() {
    let sequences = std::env::var("LEVADA_CRASH_SEQUENCES").ok().and_then(|count| count.parse().ok()).unwrap_or(600);
    let ends = [End::PowerLoss, End::PowerLoss, End::Kill, End::Drop];
    for seed in 0..sequences {
        let played = std::panic::catch_unwind(|| play(&open, 1_000_000 + seed, &ends, seed % 3 == 0));
        assert!(played.is_ok(), "sequence {seed}; its panic stands above");
    }
}
