//! The conformance suite against the embedded engine on a simulated disk, with files so small that all of them roll.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use levada_core::engine::Engine;
use levada_core::env::sim::{SimClock, SimDisk};

fn start(clock: &SimClock) -> Arc<dyn Engine> {
    Arc::new(common::Stepped::open(&SimDisk::new(), clock, common::tiny()).unwrap())
}

levada_core::engine_conformance!(start);
