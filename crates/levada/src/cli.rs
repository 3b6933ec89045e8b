//! The command line. Every flag of `serve` is also an environment variable (`LEVADA_…`) and, where it has a lasting
//! meaning, a key of the configuration file; flags win over the environment, the environment over the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Amazon Kinesis Data Streams and Amazon Data Firehose, self-hosted.
#[derive(Debug, Parser)]
#[command(name = "levada", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves Kinesis and Firehose until SIGTERM or SIGINT.
    Serve(ServeArgs),
    /// Puts a data set through a node of its own, reads it back, compares, and shows what was delivered.
    Demo(DemoArgs),
    /// Verifies a data directory while no server runs on it; changes nothing.
    Check(CheckArgs),
}

/// Which of AWS's limits hold. Sizes and counts (500 records, 1 MiB, …) hold in every mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitsMode {
    /// The shards' throughput, with partial failures.
    Shards,
    /// Also control-plane rates, account quotas and the throughput of direct puts.
    Strict,
    /// No rates, no quotas.
    Open,
}

/// How long CREATING, UPDATING and DELETING last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LifecycleMode {
    /// As long as the work.
    Instant,
    /// As long as at AWS.
    Aws,
}

/// Whether requests must be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Serves any address without keys.
    None,
}

/// Flags of `levada serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// Address and port to listen on [default: 127.0.0.1:4567]; port 0 takes a free one.
    #[arg(long, env = "LEVADA_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Where everything is kept [default: ./levada-data].
    #[arg(long, env = "LEVADA_DATA_DIR", conflicts_with = "ephemeral")]
    pub data_dir: Option<PathBuf>,
    /// Keeps everything in a temporary directory that is removed at the end.
    #[arg(long, env = "LEVADA_EPHEMERAL")]
    pub ephemeral: bool,
    /// Configuration file.
    #[arg(long, env = "LEVADA_CONFIG")]
    pub config: Option<PathBuf>,
    /// Which of AWS's limits hold [default: shards].
    #[arg(long, env = "LEVADA_LIMITS")]
    pub limits: Option<LimitsMode>,
    /// How long CREATING, UPDATING and DELETING last [default: instant].
    #[arg(long, env = "LEVADA_LIFECYCLE")]
    pub lifecycle: Option<LifecycleMode>,
    /// Account of callers whose access key id is not itself a 12-digit account [default: 000000000000].
    #[arg(long, env = "LEVADA_ACCOUNT")]
    pub account: Option<String>,
    /// `none` serves any address without keys.
    #[arg(long, env = "LEVADA_AUTH")]
    pub auth: Option<AuthMode>,
    /// Believes the clock although it is more than a week ahead of what the data directory last saw (or behind it), so
    /// that retention goes on.
    #[arg(long, env = "LEVADA_TRUST_CLOCK")]
    pub trust_clock: bool,
    /// Offers POST /_levada/clock and /_levada/flush.
    #[arg(long, env = "LEVADA_TEST_CONTROLS")]
    pub test_controls: bool,
}

/// Flags of `levada demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// A file of lines to put, each a record [default: the flights that ship with Levada].
    pub file: Option<PathBuf>,
}

/// Flags of `levada check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The data directory.
    #[arg(long, env = "LEVADA_DATA_DIR", default_value = "./levada-data")]
    pub data_dir: PathBuf,
}
