//! The conformance suite (`conformance/README.md`): pytest through one client family a step, with what was seen kept for
//! the matrix.

use std::path::PathBuf;
use std::process::Command;

use crate::clients::Clients;
use crate::run::{root, shown, target_dir};
use crate::test::{Outcome, Trouble, build_node, passed};

/// Where the results are, one file for each run of the suite: `target/conformance/<name>.jsonl`.
pub(crate) fn results_dir() -> PathBuf {
    target_dir().join("conformance")
}

/// Removes the results of earlier runs, so that the matrix is made of this one.
pub(crate) fn forget_results() -> Result<(), String> {
    let dir = results_dir();
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))
    } else {
        Ok(())
    }
}

/// boto3 and the AWS CLI: every test, and all flights.
pub(crate) fn python() -> Outcome {
    let clients = Clients::ready()?;
    let mut command = pytest(&clients, "python")?;
    command.env_remove("LEVADA_CLIENTS").env_remove("LEVADA_ADAPTERS");
    command.env("LEVADA_FLIGHTS", clients.flights()?);
    passed(shown(&mut command)?, "the Python clients")
}

/// The tests that go through every client, through one adapter only. `client` is its column in the matrix; `command`
/// starts it in the checkout's root.
///
/// # Errors
/// If a test fails, or Python is not there.
pub(crate) fn through(client: &str, command: &[String]) -> Outcome {
    let clients = Clients::ready()?;
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    let mut command = pytest(&clients, client)?;
    command.env("LEVADA_CLIENTS", "").env("LEVADA_ADAPTERS", format!("{client}={}", words.join(" ")));
    passed(shown(&mut command)?, &format!("the suite through {client}"))
}

/// Holds the matrix of COMPATIBILITY.md to what the steps saw.
pub(crate) fn matrix() -> Outcome {
    let missing = crate::matrix::check()?;
    if missing.is_empty() {
        return Ok(crate::run::Counts::default());
    }
    Err(Trouble::Missing(format!("results of {}", missing.join(", "))))
}

fn pytest(clients: &Clients, name: &str) -> Result<Command, Trouble> {
    let results = results_dir();
    std::fs::create_dir_all(&results).map_err(|error| error.to_string())?;
    let mut command = clients.python();
    command.args(["-m", "pytest", "-p", "no:cacheprovider", "--durations=8", "conformance/python"]);
    command.current_dir(root()).env("LEVADA_BIN", build_node()?);
    command.env("LEVADA_RESULTS", results.join(format!("{name}.jsonl")));
    Ok(command)
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
