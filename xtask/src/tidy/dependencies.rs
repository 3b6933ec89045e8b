//! Rules about packages: inherited lints, permitted licences, and a reason for every dependency.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::Tracked;
use crate::run::{cargo, quiet};

/// The table `crate | why | weighed` of direct dependencies.
const DECISIONS: &str = "docs/decisions/0002-dependencies.md";

/// What is wrong with the workspace's packages.
///
/// # Errors
/// If cargo cannot resolve the workspace.
pub(crate) fn check(root: &Path, files: &[Tracked]) -> Result<Vec<String>, String> {
    let metadata = metadata(root)?;
    let text = |path: &str| files.iter().find(|file| file.path == path).and_then(|file| file.text.as_deref());
    let mut findings = manifests(files);
    let allowed = allowed_licences(text("deny.toml").ok_or("deny.toml is missing")?);
    findings.extend(licences(&metadata, &allowed));
    match text(DECISIONS) {
        None => findings.push(format!("{DECISIONS}: missing; it gives the reason for each direct dependency")),
        Some(table) => findings.extend(undocumented(&metadata, table)),
    }
    Ok(findings)
}

fn metadata(root: &Path) -> Result<Value, String> {
    let mut command = cargo();
    command.current_dir(root).args(["metadata", "--format-version", "1", "--all-features"]);
    let ended = quiet(&mut command)?;
    if !ended.success {
        return Err("cargo metadata failed".to_owned());
    }
    serde_json::from_str(&ended.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// Every package of the workspace takes its lints from the workspace.
fn manifests(files: &[Tracked]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        let Some(text) = file.text.as_deref().filter(|_| file.path.ends_with("Cargo.toml")) else { continue };
        let mut lines = text.lines().map(str::trim);
        let is_package = text.lines().any(|line| line.trim() == "[package]");
        let own_workspace = text.lines().any(|line| line.trim() == "[workspace]");
        if !is_package || own_workspace {
            continue;
        }
        let inherits = lines.by_ref().any(|line| line == "[lints]")
            && lines.take_while(|line| !line.starts_with('[')).any(|line| line.replace(' ', "") == "workspace=true");
        if !inherits {
            findings.push(format!("{}: wants `[lints]` with `workspace = true`", file.path));
        }
    }
    findings
}

/// The identifiers in the `allow` list of `deny.toml`, so that there is one list.
fn allowed_licences(deny: &str) -> BTreeSet<String> {
    let list = deny.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

fn licences(metadata: &Value, allowed: &BTreeSet<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for package in array(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or("?");
        let version = package["version"].as_str().unwrap_or("?");
        match package["license"].as_str() {
            Some(expression) if permits(expression, allowed) => {}
            Some(expression) => {
                findings.push(format!("{name} {version}: licence {expression:?} is not permitted (deny.toml)"))
            }
            None => findings.push(format!("{name} {version}: names no licence")),
        }
    }
    findings
}

/// True if a choice of the SPDX expression consists of allowed licences only.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // `MIT/Apache-2.0` is how OR was written before SPDX expressions.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let permitted = any_of(&words, &mut at, allowed);
    permitted && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut permitted = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        permitted |= all_of(words, at, allowed);
    }
    permitted
}

fn all_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut permitted = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        permitted &= one(words, at, allowed);
    }
    permitted
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let permitted = any_of(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return permitted && closed;
    }
    if words.get(*at) == Some(&"WITH") {
        let name = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
        return allowed.contains(&name);
    }
    allowed.contains(*word)
}

/// Direct dependencies without a row in the table.
fn undocumented(metadata: &Value, table: &str) -> Vec<String> {
    let rows: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .flat_map(|cell| cell.split(','))
        .filter_map(|cell| Some(cell.split_whitespace().next()?.trim_matches('`')))
        .collect();
    let members: BTreeSet<&str> = array(&metadata["workspace_members"]).iter().filter_map(Value::as_str).collect();
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in array(&metadata["packages"]) {
        if !package["id"].as_str().is_some_and(|id| members.contains(id)) {
            continue;
        }
        for dependency in array(&package["dependencies"]) {
            if let (Some(name), Some(user), true) =
                (dependency["name"].as_str(), package["name"].as_str(), dependency["path"].is_null())
            {
                users.entry(name).or_default().insert(user);
            }
        }
    }
    let missing = users.iter().filter(|(name, _)| !rows.contains(**name));
    missing
        .map(|(name, users)| {
            let users: Vec<&str> = users.iter().copied().collect();
            format!("{DECISIONS}: no row for `{name}` (used by {})", users.join(", "))
        })
        .collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_permitted_if_one_choice_of_it_is() {
        let deny = "[licenses]\nallow = [\n  \"MIT\",\n \"Apache-2.0\", \"Unicode-3.0\",\n \"Apache-2.0 WITH LLVM-exception\",\n]\n";
        let allowed = allowed_licences(deny);
        assert_eq!(allowed.len(), 4);
        let rows: &[(&str, bool)] = &[
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0 OR MIT", true),
            ("MIT AND GPL-3.0", false),
            ("MIT/Apache-2.0", true),
            ("GPL-2.0 / LGPL-2.1", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0", false),
            ("GPL-3.0 OR (MIT AND Unicode-3.0)", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
            ("Apache-2.0 WITH Other-exception", false),
            ("(MIT", false),
            ("MIT OR", true),
            ("", false),
        ];
        for (expression, expected) in rows {
            assert_eq!(permits(expression, &allowed), *expected, "{expression}");
        }
    }

    #[test]
    fn every_direct_dependency_wants_a_row() {
        let metadata = serde_json::json!({
            "workspace_members": ["a 0.1.0"],
            "packages": [
                { "id": "a 0.1.0", "name": "a", "dependencies": [
                    { "name": "bytes", "path": null }, { "name": "toml", "path": null }, { "name": "flate2", "path": null },
                    { "name": "b", "path": "crates/b" } ] },
                { "id": "bytes 1", "name": "bytes", "dependencies": [{ "name": "loom", "path": null }] },
            ],
        });
        let table = "| crate | why | weighed |\n|---|---|---|\n| `bytes`, toml (parse) | buffers | `Arc<[u8]>` |\n";
        let found = undocumented(&metadata, table);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("flate2") && found[0].contains("used by a"), "{found:?}");
    }

    #[test]
    fn a_package_that_forgets_the_lints_is_found() {
        let file = |path: &str, text: &str| Tracked { path: path.to_owned(), text: Some(text.to_owned()), bytes: 0 };
        let files = [
            file("a/Cargo.toml", "[package]\nname = \"a\"\n[lints]\nworkspace = true\n"),
            file("b/Cargo.toml", "[package]\nname = \"b\"\n"),
            file(
                "c/Cargo.toml",
                "[package]\nname = \"c\"\n[lints]\n[dependencies]\nx.workspace = true\nworkspace = true\n",
            ),
            file("sim/Cargo.toml", "[workspace]\n[package]\nname = \"sim\"\n"),
            file("Cargo.toml", "[workspace]\nmembers = []\n"),
        ];
        let found = manifests(&files);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
