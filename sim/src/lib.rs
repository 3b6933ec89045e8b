//! A node, its clients and its disk in one thread, all of it a function of one seed.
//!
//! - [`node`]: the embedded engine alone on such a machine, behind a small [`door`].
//! - [`whole`]: the whole node, from its HTTP listener to its journal and its buckets.
//! - [`deliveries`]: the whole node with delivery streams of every kind, a function and an endpoint that misbehave.
//! - [`ledger`]: what the clients were told and what they saw, and whether the disk still holds it.
//! - [`run`], [`whole`]: one simulation: clients append and read while the node loses power, is killed, has its clock moved,
//!   and comes back.
//!
//! Architecture invariant: nothing here reads the clock, the file system or the randomness of the machine it runs
//! on. One seed twice gives the same trace, and a test says so (`tests/engine.rs`).

pub mod deliveries;
pub mod door;
pub mod ledger;
pub mod node;
pub mod run;
pub mod whole;
