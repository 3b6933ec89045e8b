//! `levada check`: verifies a data directory offline and reports; changes nothing.

use std::path::Path;
use std::process::ExitCode;

use levada_log::{RealDisk, Report};

/// Verifies the directory and prints the report: exit code 0 if nothing is wrong.
#[must_use]
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the report is the command's output")]
pub fn run(data_dir: &Path) -> ExitCode {
    let report = match levada_log::check(data_dir, &RealDisk::new()) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{}: {error}", data_dir.display());
            return ExitCode::FAILURE;
        }
    };
    let Report { rounds, manifest_records, frames, bytes, findings, .. } = &report;
    println!(
        "{}: {rounds} journal rounds, {manifest_records} manifest records, {frames} segment frames, {bytes} bytes verified",
        data_dir.display()
    );
    for finding in findings {
        let logs: Vec<String> = finding.logs.iter().map(|log| log.0.to_string()).collect();
        let logs = if logs.is_empty() { String::new() } else { format!(" (logs {})", logs.join(", ")) };
        println!("{} at byte {}: {}{logs}", finding.file, finding.at, finding.what);
    }
    if findings.is_empty() {
        println!("clean");
        ExitCode::SUCCESS
    } else {
        println!("{} findings", findings.len());
        ExitCode::FAILURE
    }
}
