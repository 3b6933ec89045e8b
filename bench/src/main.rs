//! The benchmark: a load generator, the yardsticks beside it, and the table that compares them.
//!
//! One slice of load is `load`; what it sends is `record` and `request`; who answers is a child process
//! (`server`), either the `levada` binary or the `null` yardstick. `table` interleaves slices of both, `stats`
//! decides which pairs count, `report` prints. A benchmark is a line in `rows`.
#![allow(clippy::print_stdout, reason = "a command line program's output")]
#![allow(clippy::disallowed_methods, reason = "measures the real clock, the real disk and real processes")]

#[cfg(not(target_os = "linux"))]
compile_error!("the benchmark pins cores and reads /proc: it runs on Linux only");

mod build;
mod client;
mod control;
mod disk;
mod drain;
mod event;
mod fan_out;
mod firehose;
mod load;
mod measured;
mod metrics;
mod null;
mod proc;
mod record;
mod report;
mod request;
mod response;
mod rows;
mod server;
mod soak;
mod stats;
mod stream;
mod subscriber;
mod subscriptions;
mod table;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Anything that ends a run; the text says what.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Measures Levada beside yardsticks taken in the same run.
#[derive(Parser)]
#[command(name = "levada-bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    table: table::TableArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Runs rows and prints the table (the default).
    Table(table::TableArgs),
    /// Reads a stream from its beginning to its end, from cold segments (row 8).
    Drain(drain::DrainArgs),
    /// From a put to its event at a subscriber, at half of what a single put reaches (row 10).
    FanOut(fan_out::FanOutArgs),
    /// Firehose to a bucket with gzip, beside the gzip library alone (row 15); 500 partitions beside one; idle delivery
    /// streams.
    Firehose(firehose::FirehoseArgs),
    /// Operations on a stream of 10,000 shards, one by one.
    Control(control::ControlArgs),
    /// 500 subscriptions at once: memory, heartbeats, and how long a record takes to each.
    Subscriptions(subscriptions::SubscriptionsArgs),
    /// Puts N GiB, restarts the server, drains and compares everything, then lets it expire.
    Soak(soak::SoakArgs),
    /// The null yardstick: a server that answers a canned reply. Started by the table.
    #[command(hide = true)]
    Null(null::NullArgs),
}

/// Which server is measured, where it keeps its data, and which cores are used.
#[derive(Args, Clone, Debug)]
struct Place {
    /// The levada binary; without it, the workspace's release build is made and used.
    #[arg(long, value_name = "PATH")]
    levada: Option<PathBuf>,
    /// Where data directories are made, on the disk to be measured. Default: beside this binary.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Core of the server and all its threads.
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// Core of the load generator.
    #[arg(long, default_value_t = 0)]
    load_core: usize,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => table::run(&cli.table),
        Some(Command::Table(args)) => table::run(&args),
        Some(Command::Drain(args)) => drain::run(&args),
        Some(Command::FanOut(args)) => fan_out::run(&args),
        Some(Command::Firehose(args)) => firehose::run(&args),
        Some(Command::Control(args)) => control::run(&args),
        Some(Command::Subscriptions(args)) => subscriptions::run(&args),
        Some(Command::Soak(args)) => soak::run(&args),
        Some(Command::Null(args)) => null::run(&args).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("levada-bench: {error}");
        ExitCode::FAILURE
    })
}
