//! Real clients against a Levada (or AWS) endpoint: what the tests in `tests/` share. The Python clients are in
//! `python/`; `cargo xtask test` runs all of them.
//!
//! Architecture invariant: nothing here depends on another crate of the workspace. What a test expects comes from
//! AWS's documentation and the clients, never from the code under test.
#![allow(
    clippy::disallowed_methods,
    reason = "clients run beside a node, never inside one: real clock, files and threads"
)]

pub mod http;
pub mod random;
#[cfg(feature = "receiver")]
pub mod receiver;
pub mod server;
