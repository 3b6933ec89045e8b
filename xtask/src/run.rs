//! Running other programs: their output passes through to the terminal, and test counts are read out of it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many tests a program reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed.
    pub failed: u32,
    /// Tests that were not run: ignored, or for want of something on this machine.
    pub skipped: u32,
}

impl Counts {
    /// Adds `other`'s tests.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Tests of any outcome.
    pub(crate) fn total(self) -> u32 {
        self.passed + self.failed + self.skipped
    }
}

/// A program that ended.
pub(crate) struct Ended {
    /// True if it exited with 0.
    pub success: bool,
    /// What its output says about tests.
    pub counts: Counts,
    /// Its standard output.
    pub stdout: String,
}

/// Runs `command` with its output on the terminal, and counts the tests that it reports.
pub(crate) fn shown(command: &mut Command) -> Result<Ended, String> {
    run(command, true)
}

/// Runs `command` and keeps its standard output off the terminal.
pub(crate) fn quiet(command: &mut Command) -> Result<Ended, String> {
    run(command, false)
}

fn run(command: &mut Command, show: bool) -> Result<Ended, String> {
    let name = format!("{command:?}");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| format!("{name}: {error}"))?;
    let output = child.stdout.take().ok_or_else(|| format!("{name}: no output"))?;
    let mut counts = Counts::default();
    let mut stdout = String::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|error| format!("{name}: {error}"))?;
        let line = String::from_utf8_lossy(&line);
        if show {
            println!("{line}");
            let _ = std::io::stdout().flush();
        }
        if let Some(reported) = counts_in(&line) {
            counts.add(reported);
        }
        stdout.push_str(&line);
        stdout.push('\n');
    }
    let status = child.wait().map_err(|error| format!("{name}: {error}"))?;
    Ok(Ended { success: status.success(), counts, stdout })
}

/// Reads the closing line of one test binary (libtest) or of a pytest run.
fn counts_in(line: &str) -> Option<Counts> {
    let libtest = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")).map(|(_, rest)| rest);
    let pytest =
        || line.strip_prefix("==").map(|rest| rest.trim_matches(['=', ' '])).filter(|rest| rest.contains(" in "));
    let summary = libtest.or_else(pytest)?;
    let mut counts = Counts::default();
    for part in summary.split([';', ',']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        match what {
            "passed" => counts.passed += number,
            "failed" | "error" | "errors" => counts.failed += number,
            "skipped" | "ignored" | "xfailed" => counts.skipped += number,
            _ => {}
        }
    }
    (counts.total() > 0).then_some(counts)
}

/// The checkout's root.
pub(crate) fn root() -> PathBuf {
    // Cargo tells it at run time too, and that is the one to believe: checkouts that share a target directory share
    // binaries, and this one may have been built in another.
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Where cargo builds, and where the clients' libraries are kept.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that runs this tool, in the checkout's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_closing_lines_only() {
        type Row = (&'static str, Option<(u32, u32, u32)>);
        let rows: &[Row] = &[
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.05s",
                Some((12, 0, 1)),
            ),
            (
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.0s",
                Some((1, 2, 0)),
            ),
            ("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s", None),
            ("==== 3 passed in 0.12s ====", Some((3, 0, 0))),
            ("=== 1 failed, 30 passed, 2 skipped, 1 error in 75.31s (0:01:15) ===", Some((30, 2, 2))),
            ("==== FAILURES ====", None),
            ("=========== short test summary info ===========", None),
            ("test puts::a_record ... ok", None),
            ("7 passed", None),
        ];
        for (line, expected) in rows {
            let counted = counts_in(line).map(|counts| (counts.passed, counts.failed, counts.skipped));
            assert_eq!(counted, *expected, "{line}");
        }
    }

    #[test]
    fn a_program_that_fails_is_seen_to_fail() {
        let ended =
            quiet(Command::new("sh").args(["-c", "echo 'test result: ok. 2 passed; 0 failed'; exit 3"])).unwrap();
        assert!(!ended.success);
        assert_eq!(ended.counts, Counts { passed: 2, failed: 0, skipped: 0 });
        assert!(quiet(&mut Command::new("no-such-program-anywhere")).is_err());
    }
}
