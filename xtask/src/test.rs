//! `cargo xtask test`: every test of the project, in steps that are timed and named.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::clients::{self, Clients};
use crate::run::{Counts, Ended, cargo, root, shown, target_dir};
use crate::{adapters, destinations, java, suite, tidy};

/// Why a step did not pass.
pub(crate) enum Trouble {
    /// It ran and failed, after so many tests.
    Failed(Counts, String),
    /// This machine lacks something. In CI that is a failure.
    Missing(String),
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self::Failed(Counts::default(), message)
    }
}

/// What a step came to: its tests, or why it did not pass.
pub(crate) type Outcome = Result<Counts, Trouble>;

struct Step {
    name: &'static str,
    about: &'static str,
    nightly_only: bool,
    run: fn(&Options) -> Outcome,
}

const STEPS: &[Step] = &[
    Step {
        name: "tidy",
        about: "rules of the house, licences, documented dependencies",
        nightly_only: false,
        run: tidy_step,
    },
    Step { name: "workspace", about: "cargo test --workspace", nightly_only: false, run: workspace },
    Step { name: "models", about: "the wire's tables against botocore's models", nightly_only: false, run: models },
    Step {
        name: "mutant",
        about: "builds without fdatasync, and with broken deliveries, must fail the crash tests",
        nightly_only: false,
        run: mutant,
    },
    Step { name: "sim", about: "a node in a deterministic simulation", nightly_only: false, run: sim },
    Step { name: "demo", about: "levada demo on the sample", nightly_only: false, run: demo },
    Step {
        name: "node",
        about: "the binary from outside: kill -9, dying destinations, locks, signals, damage",
        nightly_only: false,
        run: node,
    },
    Step {
        name: "python",
        about: "the suite: boto3 and the AWS CLI, all flights",
        nightly_only: false,
        run: |_| suite::python(),
    },
    Step { name: "js", about: "the suite: AWS SDK for JavaScript v3", nightly_only: false, run: |_| adapters::js() },
    Step { name: "go", about: "the suite: AWS SDK for Go v2", nightly_only: false, run: |_| adapters::go() },
    Step { name: "ruby", about: "the suite: Debian's old Ruby SDK", nightly_only: false, run: |_| adapters::ruby() },
    Step { name: "rust", about: "the suite: AWS SDK for Rust", nightly_only: false, run: |_| adapters::rust() },
    Step { name: "java", about: "the suite: AWS SDK for Java v2", nightly_only: false, run: |_| java::java() },
    Step {
        name: "kcl",
        about: "the Kinesis Client Library through a reshard, a worker killed",
        nightly_only: false,
        run: |_| java::kcl(),
    },
    Step {
        name: "flink",
        about: "Flink's Kinesis connector, reading and writing",
        nightly_only: false,
        run: |_| java::flink(),
    },
    Step {
        name: "destinations",
        about: "delivery to real servers: S3 store, OpenTelemetry's receivers, OpenSearch; the examples of docs/FIREHOSE.md",
        nightly_only: false,
        run: |_| destinations::destinations(),
    },
    Step { name: "sdk", about: "the AWS SDK for Rust", nightly_only: false, run: sdk },
    Step {
        name: "matrix",
        about: "COMPATIBILITY.md shows what the suite saw",
        nightly_only: false,
        run: |_| suite::matrix(),
    },
    Step { name: "deny", about: "cargo deny: advisories, sources, licences", nightly_only: true, run: deny },
];

#[derive(Debug, Default)]
struct Options {
    nightly: bool,
    ci: bool,
    only: Vec<String>,
    list: bool,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self { ci: std::env::var("CI").is_ok_and(|value| value == "true"), ..Self::default() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--nightly" => options.nightly = true,
                "--list" => options.list = true,
                "--only" => {
                    let name = args.next().ok_or("--only wants the name of a step")?;
                    if !STEPS.iter().any(|step| step.name == name) {
                        return Err(format!("no step is called {name:?}; cargo xtask test --list names them"));
                    }
                    options.only.push(name.clone());
                }
                other => return Err(format!("unknown argument {other:?}")),
            }
        }
        Ok(options)
    }

    fn wants(&self, step: &Step) -> bool {
        if self.only.is_empty() {
            self.nightly || !step.nightly_only
        } else {
            self.only.iter().any(|name| name == step.name)
        }
    }
}

struct Line {
    name: &'static str,
    took: Duration,
    counts: Counts,
    remark: String,
}

/// Runs the steps that `args` ask for and prints the summary.
///
/// # Errors
/// If an argument is unknown, or anything failed.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    let options = Options::parse(args)?;
    if options.list {
        for step in STEPS {
            println!("{:<13} {}{}", step.name, step.about, if step.nightly_only { " (nightly)" } else { "" });
        }
        return Ok(());
    }
    if options.only.is_empty() {
        suite::forget_results()?;
    }
    let lines: Vec<Line> =
        STEPS.iter().filter(|step| options.wants(step)).map(|step| run_step(step, &options)).collect();
    let (table, total) = summary(&lines);
    println!("{table}");
    if total.failed > 0 { Err("cargo xtask test: failed".to_owned()) } else { Ok(()) }
}

fn run_step(step: &Step, options: &Options) -> Line {
    println!("\n=== {}: {} ===", step.name, step.about);
    let started = Instant::now();
    let outcome = (step.run)(options);
    let took = started.elapsed();
    let (counts, remark) = judge(outcome, options.ci);
    if !remark.is_empty() {
        println!("--- {}: {remark}", step.name);
    }
    Line { name: step.name, took, counts, remark }
}

/// A step's counts and, if it did not simply pass, what to say about it.
fn judge(outcome: Outcome, ci: bool) -> (Counts, String) {
    match outcome {
        Ok(counts) if counts.failed == 0 && counts.skipped > 0 && ci => {
            let counts = Counts { failed: counts.skipped, skipped: 0, ..counts };
            (counts, "FAILED: nothing may be skipped in CI".to_owned())
        }
        Ok(counts) if counts.skipped > 0 => (counts, "NOT ALL RUN: see the skipped tests above".to_owned()),
        Ok(counts) => (Counts { passed: counts.passed.max(u32::from(counts.total() == 0)), ..counts }, String::new()),
        Err(Trouble::Failed(counts, message)) => {
            (Counts { failed: counts.failed.max(1), ..counts }, format!("FAILED: {message}"))
        }
        Err(Trouble::Missing(message)) if ci => {
            (Counts { failed: 1, ..Counts::default() }, format!("FAILED: nothing may be skipped in CI: {message}"))
        }
        Err(Trouble::Missing(message)) => {
            (Counts { skipped: 1, ..Counts::default() }, format!("NOT RUN, this machine lacks something: {message}"))
        }
    }
}

fn summary(lines: &[Line]) -> (String, Counts) {
    let mut total = Counts::default();
    let mut table = format!("\n{:<13} {:>8} {:>7} {:>7} {:>8}\n", "step", "seconds", "passed", "failed", "skipped");
    for line in lines {
        total.add(line.counts);
        let Counts { passed, failed, skipped } = line.counts;
        let seconds = line.took.as_secs_f64();
        let row = format!("{:<13} {seconds:>8.1} {passed:>7} {failed:>7} {skipped:>8}  {}", line.name, line.remark);
        table.push_str(row.trim_end());
        table.push('\n');
    }
    let seconds: f64 = lines.iter().map(|line| line.took.as_secs_f64()).sum();
    table.push_str(&format!("{:<13} {seconds:>8.1}\n", "all"));
    table.push_str(&format!("{} passed, {} failed", total.passed, total.failed));
    if total.skipped > 0 {
        table.push_str(&format!(", {} skipped", total.skipped));
    }
    (table, total)
}

/// Success means: the program said so, and no test that it reported failed.
pub(crate) fn passed(ended: Ended, what: &str) -> Outcome {
    if ended.success && ended.counts.failed == 0 {
        Ok(ended.counts)
    } else {
        Err(Trouble::Failed(ended.counts, format!("{what} failed")))
    }
}

fn tidy_step(_: &Options) -> Outcome {
    let findings = tidy::findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(Counts::default()),
        n => Err(Trouble::Failed(Counts::default(), format!("{n} findings"))),
    }
}

fn workspace(options: &Options) -> Outcome {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if options.nightly {
        command.env("PROPTEST_CASES", "20000").env("LEVADA_CRASH_SEQUENCES", "1000000");
    }
    passed(shown(&mut command)?, "cargo test --workspace")
}

fn models(_: &Options) -> Outcome {
    let clients = Clients::ready()?;
    let dir = clients.models()?;
    // The tables are generated from the pinned botocore, so they agree with it to the byte or are stale.
    let model = |name: &str| dir.join(name).display().to_string();
    crate::model::run(&["--check".to_owned(), model("kinesis.json"), model("firehose.json")])?;
    let mut command = cargo();
    command.args(["test", "--package", "levada-wire", "--no-fail-fast"]).env("LEVADA_API_MODELS", &dir);
    passed(shown(&mut command)?, "levada-wire against botocore's models")
}

/// The crash tests must be able to fail: with the acknowledgement no longer resting on `fdatasync`, they have to.
fn mutant(_: &Options) -> Outcome {
    const FEATURE: [&str; 2] = ["--features", "mutant-no-fdatasync"];
    let mut log = cargo();
    log.args(["test", "--package", "levada-log", "--test", "power_loss"]).args(FEATURE);
    must_fail(log, "the log's power-loss test", "fdatasync is missing")?;
    if !root().join(SIM).exists() {
        return Err(Trouble::Missing(format!("there is no {SIM} in this checkout")));
    }
    for (test, what) in [("engine", "the simulation of the engine"), ("whole", "the simulation of the whole node")] {
        let mut sim = sim_tests();
        sim.args(["--test", test]).args(FEATURE);
        must_fail(sim, what, "fdatasync is missing")?;
    }
    Ok(Counts { passed: 3 + deliveries_mutants()?, ..Counts::default() })
}

/// The crash tests of deliveries likewise, with one thing broken at a time. Answers how often that was noticed.
fn deliveries_mutants() -> Result<u32, Trouble> {
    /// In crates/delivery/src/mutant.rs.
    const MUTANTS: [&str; 4] = ["CheckpointFirst", "VolatileCut", "StaleMark", "EarlyTrim"];
    let crashes = || {
        let mut command = cargo();
        command.args(["test", "--package", "levada-delivery", "--lib", "--features", "mutants", "crash"]);
        command
    };
    let simulation = || {
        let mut command = sim_tests();
        command.args(["--test", "deliveries", "--features", "mutants"]);
        command
    };
    let tests: [(&str, &dyn Fn() -> Command); 2] =
        [("crashes of the worker", &crashes), ("the simulation of deliveries", &simulation)];
    let mut noticed = 0;
    for (what, test) in tests {
        // What fails without a mutant notices none.
        passed(shown(&mut test())?, what)?;
        for mutant in MUTANTS {
            let mut command = test();
            command.env("LEVADA_MUTANT", mutant);
            must_fail(command, what, mutant)?;
            noticed += 1;
        }
    }
    Ok(noticed)
}

/// Builds and runs tests of which at least one must fail.
fn must_fail(mut command: Command, what: &str, broken: &str) -> Result<(), Trouble> {
    let mut build = Command::new(command.get_program());
    build.args(command.get_args()).arg("--no-run").current_dir(root());
    if !shown(&mut build)?.success {
        return Err(format!("{what}: the mutant does not build").into());
    }
    let ended = crate::run::quiet(&mut command)?;
    if ended.success || ended.counts.failed == 0 {
        println!("{}", ended.stdout);
        return Err(format!("{what} did not notice: {broken}").into());
    }
    println!("{what} noticed: {broken}; {} of its tests failed, as they must", ended.counts.failed);
    Ok(())
}

const SIM: &str = "sim/Cargo.toml";

fn sim_tests() -> Command {
    let mut command = cargo();
    command.args(["test", "--manifest-path", SIM, "--no-fail-fast", "--target-dir"]).arg(target_dir());
    command
}

fn sim(options: &Options) -> Outcome {
    if !root().join(SIM).exists() {
        return Err(Trouble::Missing(format!("there is no {SIM} in this checkout")));
    }
    let mut command = sim_tests();
    if options.nightly {
        command.env("LEVADA_SIM_SEEDS", "5000");
    }
    passed(shown(&mut command)?, "the simulation")
}

/// Builds the binary that the steps from outside start.
pub(crate) fn build_node() -> Result<std::path::PathBuf, Trouble> {
    if !shown(cargo().args(["build", "--package", "levada"]))?.success {
        return Err("levada does not build".to_owned().into());
    }
    Ok(target_dir().join("debug").join("levada"))
}

fn demo(_: &Options) -> Outcome {
    let binary = build_node()?;
    let mut command = Command::new(&binary);
    passed(shown(command.arg("demo").current_dir(root()))?, "levada demo")?;
    let file = target_dir().join("demo-lines.txt");
    let lines = b"a line\n\nthe line before was empty\n  spaces  \n\xff\xfe is not UTF-8\nno newline at the end";
    std::fs::write(&file, lines).map_err(|error| error.to_string())?;
    let mut command = Command::new(&binary);
    passed(shown(command.arg("demo").arg(&file))?, "levada demo with a file of its own")?;
    let mut command = Command::new(&binary);
    if shown(command.arg("demo").arg(target_dir().join("no-such-file")))?.success {
        return Err("levada demo succeeded on a file that does not exist".to_owned().into());
    }
    Ok(Counts { passed: 3, ..Counts::default() })
}

fn node(options: &Options) -> Outcome {
    let binary = build_node()?;
    let mut command = cargo();
    command.args(["test", "--package", "levada-conformance", "--features", "node,receiver", "--no-fail-fast"]);
    command.args(["--", "--nocapture"]).env("LEVADA_BIN", binary);
    if options.nightly {
        command.env("LEVADA_KILL_ROUNDS", "1500").env("LEVADA_DELIVERY_SECONDS", "900");
    }
    passed(shown(&mut command)?, "the tests from outside")
}

fn sdk(_: &Options) -> Outcome {
    let binary = build_node()?;
    let mut command = cargo();
    command.args(["test", "--package", "levada-conformance", "--features", "aws-sdk", "--test", "aws_sdk"]);
    passed(shown(command.arg("--no-fail-fast").env("LEVADA_BIN", binary))?, "the AWS SDK for Rust")
}

fn deny(_: &Options) -> Outcome {
    let tools = target_dir().join("tools");
    let binary = tools.join("bin").join("cargo-deny");
    if !binary.exists() && !clients::on_path("cargo-deny") {
        let mut install = cargo();
        install.args(["install", "--locked", "cargo-deny", "--root"]).arg(&tools);
        if !shown(&mut install)?.success {
            return Err(Trouble::Missing("cargo-deny could not be installed".to_owned()));
        }
    }
    let mut command = if binary.exists() { Command::new(binary) } else { Command::new("cargo-deny") };
    passed(shown(command.args(["--workspace", "check"]).current_dir(root()))?, "cargo deny")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u32, failed: u32, skipped: u32) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn a_step_is_judged_by_its_worst_news() {
        let missing = || Err(Trouble::Missing("python3".to_owned()));
        let rows: Vec<(Outcome, bool, Counts, &str)> = vec![
            (Ok(counts(3, 0, 0)), true, counts(3, 0, 0), ""),
            (Ok(counts(0, 0, 0)), false, counts(1, 0, 0), ""),
            (Ok(counts(3, 0, 1)), false, counts(3, 0, 1), "NOT ALL RUN"),
            (Ok(counts(3, 0, 1)), true, counts(3, 1, 0), "FAILED"),
            (missing(), false, counts(0, 0, 1), "NOT RUN"),
            (missing(), true, counts(0, 1, 0), "FAILED"),
            (Err(Trouble::Failed(counts(5, 0, 0), "did not build".to_owned())), false, counts(5, 1, 0), "FAILED"),
            (Err(Trouble::Failed(counts(5, 2, 0), "tests".to_owned())), false, counts(5, 2, 0), "FAILED"),
        ];
        for (outcome, ci, expected, begins) in rows {
            let (counted, remark) = judge(outcome, ci);
            assert_eq!(counted, expected, "{remark}");
            assert!(remark.starts_with(begins) && remark.is_empty() == begins.is_empty(), "{remark:?}");
        }
    }

    #[test]
    fn the_last_line_is_plain() {
        let line = |counts| Line { name: "x", took: Duration::from_secs(1), counts, remark: String::new() };
        let (table, _) = summary(&[line(counts(2, 0, 0)), line(counts(3, 1, 0))]);
        assert_eq!(table.lines().last(), Some("5 passed, 1 failed"));
        let (table, _) = summary(&[line(counts(2, 0, 4))]);
        assert_eq!(table.lines().last(), Some("2 passed, 0 failed, 4 skipped"));
    }

    #[test]
    fn unknown_steps_and_flags_are_refused() {
        for bad in [vec!["--only", "nothing"], vec!["--only"], vec!["--fast"]] {
            let args: Vec<String> = bad.iter().map(|&arg| arg.to_owned()).collect();
            assert!(Options::parse(&args).is_err(), "{bad:?}");
        }
        let args = ["--only", "tidy", "--only", "deny"].map(str::to_owned);
        let options = Options::parse(&args).unwrap();
        let wanted: Vec<&str> = STEPS.iter().filter(|step| options.wants(step)).map(|step| step.name).collect();
        assert_eq!(wanted, ["tidy", "deny"]);
        assert!(!Options::default().wants(STEPS.last().unwrap()), "deny is for the night");
    }
}
