//! Adapters of the conformance suite for the SDKs of JavaScript, Go, Ruby and Rust: built under `target/`, then run through.
//! A registry is needed the first time, and when a pin changes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::on_path;
use crate::run::{cargo, quiet, root, shown, target_dir};
use crate::suite;
use crate::test::{Outcome, Trouble};

/// The oldest Node.js that the SDK for JavaScript runs on, and the oldest Go that the adapter is written for.
const NODE: &[u32] = &[20];
const GO: &[u32] = &[1, 24];
/// Debian 12's release of the SDK for Ruby.
const RUBY_SDK: &str = "1.67.0";

/// The AWS SDK for JavaScript, version 3: `npm ci` beside a copy of the adapter, again only if the lock or Node changed.
pub(crate) fn js() -> Outcome {
    let version = version("node", &["--version"]).filter(|version| at_least(version, NODE) && on_path("npm"));
    let version = version.ok_or_else(|| missing("Node.js 20 or later with npm (nodejs.org; Debian 12's is 18)"))?;
    let sources = sources("js");
    let dir = target_dir().join("clients-js");
    let stamp = format!("{version}{}", read(&sources.join("package-lock.json"))?);
    let stamp_file = dir.join("stamp");
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    for file in ["package.json", "package-lock.json", "adapter.mjs"] {
        std::fs::copy(sources.join(file), dir.join(file)).map_err(|error| format!("{file}: {error}"))?;
    }
    if std::fs::read_to_string(&stamp_file).ok().is_none_or(|kept| kept != stamp) {
        println!("fetching the AWS SDK for JavaScript into {}", dir.display());
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&dir);
        built(&mut npm, "the SDK for JavaScript could not be fetched from the npm registry")?;
        std::fs::write(&stamp_file, stamp).map_err(|error| error.to_string())?;
    }
    suite::through("js", &["node".to_owned(), dir.join("adapter.mjs").display().to_string()])
}

/// The AWS SDK for Go, version 2. Go's own cache keeps the modules and what was compiled.
pub(crate) fn go() -> Outcome {
    needs_go()?;
    let program = target_dir().join("clients-go").join("adapter");
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-mod=readonly", "-o"]).arg(&program).arg(".");
    built(
        go.current_dir(sources("go")),
        "the Go adapter does not build; the first time, the module proxy must be reachable",
    )?;
    suite::through("go", &[program.display().to_string()])
}

/// An error if this machine's Go is too old for what is written in Go here, or is not there.
pub(crate) fn needs_go() -> Result<(), Trouble> {
    let version = version("go", &["env", "GOVERSION"]).filter(|version| at_least(version, GO));
    version.map(drop).ok_or_else(|| missing("Go 1.24 or later (go.dev; Debian 12's is 1.19)"))
}

/// Debian's ruby-aws-sdk of 2015.
pub(crate) fn ruby() -> Outcome {
    let script = r#"require "aws-sdk"; print AWS::VERSION"#;
    let version = version("ruby", &["-e", script]).filter(|version| version == RUBY_SDK);
    version.ok_or_else(|| missing("the AWS SDK for Ruby 1.67.0 (Debian 12: ruby, ruby-aws-sdk)"))?;
    suite::through("ruby", &["ruby".to_owned(), sources("ruby").join("adapter.rb").display().to_string()])
}

/// The AWS SDK for Rust.
pub(crate) fn rust() -> Outcome {
    let mut build = cargo();
    build.args(["build", "--package", "levada-conformance", "--features", "aws-sdk", "--bin", "adapter"]);
    built(&mut build, "the adapter for the AWS SDK for Rust does not build")?;
    suite::through("rust", &[target_dir().join("debug").join("adapter").display().to_string()])
}

fn sources(language: &str) -> PathBuf {
    root().join("conformance").join(language)
}

fn missing(what: &str) -> Trouble {
    Trouble::Missing(what.to_owned())
}

fn built(command: &mut Command, otherwise: &str) -> Result<(), Trouble> {
    if shown(command)?.success { Ok(()) } else { Err(otherwise.to_owned().into()) }
}

/// What a program says of its version; nothing, if it is not there or says so.
fn version(program: &str, args: &[&str]) -> Option<String> {
    let ended = quiet(Command::new(program).args(args)).ok()?;
    ended.success.then(|| ended.stdout.trim().to_owned())
}

/// Whether a version such as `v20.11.1` or `go1.26` is at least this one.
fn at_least(version: &str, wanted: &[u32]) -> bool {
    let numbers = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let parts: Vec<u32> =
        numbers.split('.').map_while(|part| part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect();
    !parts.is_empty() && parts.as_slice() >= wanted
}

fn read(path: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let rows = [
            ("v20.11.1", NODE, true),
            ("v18.19.0", NODE, false),
            ("v100.0.0", NODE, true),
            ("go1.26.8", GO, true),
            ("go1.24", GO, true),
            ("go1.25rc1", GO, true),
            ("go1.9", GO, false),
            ("go1.19.8", GO, false),
            ("devel +abc", GO, false),
            ("", NODE, false),
        ];
        for (version, wanted, expected) in rows {
            assert_eq!(at_least(version, wanted), expected, "{version}");
        }
    }
}
