//! `docs/CONFIGURATION.md` is held to the program: each key and each flag that there is stands in it, and nothing else.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "a test reads documents of the repository")]

use std::collections::BTreeSet;

use clap::CommandFactory;
use levada::cli::{Cli, ServeArgs};
use levada::config::Config;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
const PAGE: &str = "docs/CONFIGURATION.md";

/// A key that there is not.
const NOT_A_KEY: &str = "not-a-key";
/// What stands for a name that people choose.
const NAME: &str = "NAME";

fn text(document: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}{document}")).unwrap()
}

/// The names in backticks.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What `Config` says of a file.
fn refusal(file: &str) -> String {
    Config::new(&ServeArgs::default(), Some(file)).expect_err(file).to_string()
}

/// The keys below `path`, as the program itself tells them: a table refuses a key that it does not have and names those
/// that it has, a map of names wants a value of its own kind for any, and all else is no table at all.
fn keys(path: &str, found: &mut BTreeSet<String>) {
    let header = if path.is_empty() { String::new() } else { format!("[{path}]") };
    let said = refusal(&format!("{header}\n{NOT_A_KEY} = 0"));
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    if let Some((_, known)) = said.split_once(&format!("unknown field `{NOT_A_KEY}`, expected ")) {
        names(known).for_each(|key| keys(&below(key), found));
    } else if said.starts_with("line 2: expected ") {
        keys(&below(NAME), found);
    } else {
        assert!(said.starts_with("line 1: expected ") || said.contains("unknown variant"), "{path}: {said}");
        assert!(found.insert(path.to_owned()));
    }
}

/// A path as [`keys`] writes it: any name in quotes is one that people choose.
fn plain(path: &str) -> String {
    path.split('"').enumerate().map(|(n, part)| if n % 2 == 0 { part } else { NAME }).collect()
}

/// The keys that the page has: those in the first cells of the tables below the heading of a section.
fn told(page: &str) -> BTreeSet<String> {
    let mut section = None;
    let mut told = BTreeSet::new();
    for line in page.lines() {
        if line.starts_with('#') {
            let name = line.strip_prefix("### `[").and_then(|rest| rest.strip_suffix("]`"));
            section = name.map(plain);
        }
        let cell = line.strip_prefix("| `").and_then(|rest| rest.split(" | ").next());
        if let (Some(section), Some(cell)) = (&section, cell) {
            for key in names(&format!("`{cell}")) {
                assert!(told.insert(format!("{section}.{}", plain(key))), "twice: {line}");
            }
        }
    }
    told
}

#[test]
fn every_key_is_told_of_and_no_other() {
    let mut there_are = BTreeSet::new();
    keys("", &mut there_are);
    assert!(there_are.contains("node.region") && there_are.contains("buckets.NAME.azure.account"), "{there_are:?}");
    let told = told(&text(PAGE));
    let missing: Vec<_> = there_are.difference(&told).collect();
    assert!(missing.is_empty(), "not told: {missing:?}");
    let gone: Vec<_> = told.difference(&there_are).collect();
    assert!(gone.is_empty(), "told, and there are none: {gone:?}");
}

#[test]
fn every_flag_is_told_of() {
    let page = text(PAGE);
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").unwrap();
    let flags = serve.get_arguments().filter_map(|flag| Some((flag.get_long()?, flag.get_env()?.to_str()?)));
    let missing: Vec<_> = flags.filter(|(flag, env)| !page.contains(&format!("| `--{flag}` | `{env}` |"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(serve.get_arguments().count() >= 9);
}

/// Each example of a file is one.
#[test]
fn examples_are_taken() {
    let ca = format!("{ROOT}Cargo.toml");
    for (document, examples) in [(PAGE, 1), ("README.md", 1), ("docs/FIREHOSE.md", 1)] {
        let text = text(document);
        let blocks = text.split("\n```toml").skip(1).filter_map(|rest| rest.split_once('\n')?.1.split("\n```").next());
        let blocks: Vec<_> = blocks.collect();
        assert_eq!(blocks.len(), examples, "{document}");
        for block in blocks {
            // The one file that is read at once.
            let file = block.replace("\"ca.pem\"", &format!("{ca:?}"));
            Config::new(&ServeArgs::default(), Some(&file)).unwrap_or_else(|error| panic!("{document}: {error}"));
        }
    }
}

#[test]
fn what_is_no_key_is_refused_by_name() {
    for section in [
        "",
        "[node]",
        "[limits]",
        "[limits.streams.s]",
        "[limits.delivery_streams.d]",
        "[lifecycle]",
        "[buckets.b]",
        "[buckets.b.google]",
        "[buckets.b.azure]",
        "[lambda.\"arn:aws:lambda:us-east-1:000000000000:function:f\"]",
        "[tls]",
        "[storage]",
    ] {
        let said = refusal(&format!("{section}\n{NOT_A_KEY} = 0"));
        assert!(said.starts_with(&format!("line 2: unknown field `{NOT_A_KEY}`")), "{section}: {said}");
    }
}
