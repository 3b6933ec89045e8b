//! What a person repeats. `cargo xtask test` is the one test command; `.ci/run` calls the same.
#![allow(clippy::print_stdout, reason = "a tool that speaks to the person who started it")]
#![allow(clippy::disallowed_methods, reason = "runs beside a node, never inside one: real clock, files and threads")]

mod adapters;
mod clients;
mod destinations;
mod java;
mod matrix;
mod model;
mod run;
mod suite;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask test [--nightly] [--only NAME]...   every test; `--only` picks steps by name, `--list` names them
       cargo xtask matrix [--check]                    the operations × clients of COMPATIBILITY.md, from the last test run
       cargo xtask tidy                                the rules that need no build
       cargo xtask model [--check] KINESIS FIREHOSE    the wire's shape tables from botocore's service-2.json files
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        Some("test") => test::command(&args[1..]),
        Some("tidy") => tidy::command(),
        Some("matrix") => matrix::command(&args[1..]),
        Some("model") => model::run(&args[1..]),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
