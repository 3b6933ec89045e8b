//! The AWS SDK for Java, version 2, as an adapter of the conformance suite, and the applications on top of it: built by Maven
//! into `target/clients-java/` when their sources change.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{Clients, on_path};
use crate::run::{Counts, quiet, root, shown, target_dir};
use crate::suite;
use crate::test::{Outcome, Trouble, build_node, passed};

/// Each column of the matrix, and which of the SDK's clients it is.
const CLIENTS: [(&str, &str); 2] = [("java", "async-cbor"), ("java-json", "sync-json")];
/// A small JVM that starts quickly: one collector thread, no second compiler.
const JVM: [&str; 3] = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// The AWS SDK for Java: the asynchronous client with CBOR, and the synchronous one with JSON.
pub(crate) fn java() -> Outcome {
    let module = built()?.join("adapter");
    let path = format!("{}:{}", module.join("classes").display(), module.join("lib").join("*").display());
    let mut counts = Counts::default();
    for (column, client) in CLIENTS {
        let main = ["-cp", &path, "levada.conformance.adapter.Adapter", client];
        let command: Vec<String> = ["java"].iter().chain(&JVM).chain(&main).map(|&word| word.to_owned()).collect();
        counts.add(suite::through(column, &command)?);
    }
    Ok(counts)
}

/// An application on the Kinesis Client Library.
pub(crate) fn kcl() -> Outcome {
    application("test_kcl.py", "the Kinesis Client Library")
}

/// A job on Flink's Kinesis connector.
pub(crate) fn flink() -> Outcome {
    application("test_flink.py", "Flink's Kinesis connector")
}

fn application(test: &str, what: &str) -> Outcome {
    let classes = built()?;
    let mut command = Clients::ready()?.python();
    command.args(["-m", "pytest", "-p", "no:cacheprovider", "--durations=4"]).arg(sources().join("tests").join(test));
    command.current_dir(root()).env("LEVADA_BIN", build_node()?).env("LEVADA_JAVA", classes);
    command.env("PYTHONPATH", root().join("conformance").join("python"));
    passed(shown(&mut command)?, what)
}

fn sources() -> PathBuf {
    root().join("conformance").join("java")
}

/// The directory of the built modules, built first if the sources or the JDK have changed since.
pub(crate) fn built() -> Result<PathBuf, Trouble> {
    if !on_path("mvn") || !on_path("javac") {
        return Err(Trouble::Missing("a JDK and Maven (Debian: openjdk-17-jdk-headless, maven)".to_owned()));
    }
    let dir = target_dir().join("clients-java");
    let stamp = stamp()?;
    let stamp_file = dir.join("stamp");
    if std::fs::read_to_string(&stamp_file).is_ok_and(|kept| kept == stamp) {
        return Ok(dir);
    }
    println!("building the Java clients in {}", dir.display());
    // Libraries of an older pin must not stay beside those of the new one.
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(|error| error.to_string())?;
    }
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--no-transfer-progress", "--quiet"]).arg(format!("-Dclients={}", dir.display()));
    maven.arg("process-classes").current_dir(sources()).env("MAVEN_OPTS", JVM.join(" "));
    if !shown(&mut maven)?.success {
        return Err("the Java clients do not build; the first time, Maven Central must be reachable".to_owned().into());
    }
    std::fs::write(&stamp_file, stamp).map_err(|error| error.to_string())?;
    Ok(dir)
}

/// Everything that the built classes depend on.
fn stamp() -> Result<String, Trouble> {
    let compiler = quiet(Command::new("javac").arg("-version"))?;
    let mut files = Vec::new();
    files_under(&sources(), &mut files)?;
    files.sort();
    let mut stamp = compiler.stdout;
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        stamp.push_str(&format!("{}\n{text}", file.display()));
    }
    Ok(stamp)
}

/// The sources below `dir`: what Maven reads, without what it writes and without the tests.
fn files_under(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("tests") {
                files_under(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}
