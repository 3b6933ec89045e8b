//! Levada, the server: the only crate that knows HTTP. A request comes in at the [`listener`], descends the
//! [`ladder`] and reaches a handler in [`kinesis`] or [`firehose`]; handlers decide with the [`registry`] and
//! append to the engine. A library only so that the simulation and the tests can build a [`node::Node`] themselves.

pub mod authentication;
pub mod body;
pub mod buckets;
pub mod call;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controls;
pub mod deliveries;
pub mod demo;
pub mod direct_put;
pub mod firehose;
pub mod kinesis;
pub mod ladder;
pub mod lifecycle;
pub mod listener;
pub mod memory;
pub mod metrics;
pub mod network;
pub mod node;
pub mod rates;
pub mod refusal;
pub mod refused_puts;
pub mod registry;
pub mod retention;
pub mod rules;
mod scaler;
pub mod serve;
pub mod source;
pub mod subscriptions;
pub mod traffic;

use std::net::SocketAddr;

/// Why the server cannot start, or must end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    /// The runtime cannot be built.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    /// Signals cannot be caught.
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    /// The ready line cannot be printed.
    #[error("cannot print the ready line: {0}")]
    Stdout(std::io::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The node cannot start.
    #[error(transparent)]
    Start(#[from] node::StartError),
    /// A write or sync failed: what is durable is not known until recovery has read it.
    #[error("the log is poisoned, the process ends so that recovery can decide what is true: {0}")]
    Poisoned(String),
    /// The log did not end cleanly.
    #[error("the log did not end cleanly, the next start recovers it: {0}")]
    Unclean(String),
    /// The demonstration found something missing or different.
    #[error("the demo failed: {0}")]
    Demo(String),
}
