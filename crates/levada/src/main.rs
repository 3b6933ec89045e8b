//! The `levada` command.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use levada::cli::{AuthMode, Cli, Command, LifecycleMode};
use levada::config::Config;
use tracing_subscriber::EnvFilter;

/// A small put allocates some hundred times, on one thread, and frees on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A server's log is for machines too; the other commands talk to the person who started them.
    let serves = matches!(cli.command, Command::Serve(_));
    start_logging(if serves { "info" } else { "warn" });
    let result = match cli.command {
        Command::Check(args) => return levada::check::run(&args.data_dir),
        Command::Serve(args) => Config::load(&args).map_err(Into::into).and_then(|config| {
            if args.auth == Some(AuthMode::None) {
                tracing::warn!(listen = %config.listen, "--auth none: anybody who reaches this address is served");
            }
            if config.lifecycle == LifecycleMode::Aws {
                tracing::info!("CREATING and DELETING last as long as at AWS");
            }
            runtime()?.block_on(levada::serve::run(config))
        }),
        Command::Demo(args) => runtime().and_then(|runtime| runtime.block_on(levada::demo::run(&args))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if serves {
                tracing::error!("{error}");
            } else {
                report(&error);
            }
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, levada::ServeError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(levada::ServeError::Runtime)
}

#[allow(clippy::print_stderr, reason = "the command's own words")]
fn report(error: &levada::ServeError) {
    eprintln!("{error}");
}

/// Structured logs to stderr: for people on a terminal, JSON otherwise. `LEVADA_LOG` filters as `RUST_LOG` does.
fn start_logging(default: &str) {
    let filter = EnvFilter::try_from_env("LEVADA_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().init();
    }
}
