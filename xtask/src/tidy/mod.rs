//! Rules of the house that need no compiler: what reviewers would otherwise have to keep in mind.

mod dead;
mod dependencies;
mod facts;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{quiet, root};

/// Largest tracked file in bytes.
const MAX_TRACKED_BYTES: u64 = 2 * 1024 * 1024;

/// A file of the checkout.
struct Tracked {
    /// Path from the root, with `/`.
    path: String,
    /// Content, if it is UTF-8.
    text: Option<String>,
    bytes: u64,
}

/// Checks every rule and prints what is found.
///
/// # Errors
/// If anything is found, or the checkout cannot be read.
pub(crate) fn command() -> Result<(), String> {
    let findings = findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        n => Err(format!("tidy: {n} findings")),
    }
}

/// Checks every rule.
///
/// # Errors
/// If the checkout cannot be read.
pub(crate) fn findings() -> Result<Vec<String>, String> {
    let root = root();
    let files = tracked(&root)?;
    let mut findings = Vec::new();
    for file in &files {
        if file.bytes > MAX_TRACKED_BYTES {
            findings.push(format!("{}: {} bytes; at most {MAX_TRACKED_BYTES} may be tracked", file.path, file.bytes));
        }
        if let Some(text) = &file.text {
            findings.extend(source::check(&file.path, text).into_iter().map(|found| format!("{}:{found}", file.path)));
        }
    }
    findings.extend(dead::check(&files));
    findings.extend(facts::check(&files));
    findings.extend(dependencies::check(&root, &files)?);
    Ok(findings)
}

/// What git tracks or would track; `target/` and what else is ignored stays out.
fn tracked(root: &Path) -> Result<Vec<Tracked>, String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let ended = quiet(&mut git)?;
    if !ended.success {
        return Err("git ls-files failed: tidy wants a checkout".to_owned());
    }
    let mut files = Vec::new();
    for path in ended.stdout.lines() {
        let full: PathBuf = root.join(path);
        // Deleted, and the deletion not committed yet.
        let Ok(bytes) = std::fs::read(&full) else { continue };
        let length = bytes.len() as u64;
        files.push(Tracked { path: path.to_owned(), text: String::from_utf8(bytes).ok(), bytes: length });
    }
    Ok(files)
}
