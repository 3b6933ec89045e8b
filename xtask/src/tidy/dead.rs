//! Source files that no crate includes.

use std::collections::{BTreeMap, BTreeSet};

use super::Tracked;

/// Every `.rs` file of a package that no `mod` leads to.
pub(crate) fn check(files: &[Tracked]) -> Vec<String> {
    let sources: BTreeMap<&str, &str> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
        .collect();
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<(String, bool)> =
        sources.keys().filter(|path| is_root(path, files)).map(|path| ((*path).to_owned(), true)).collect();
    while let Some((path, root)) = waiting.pop() {
        let Some(text) = sources.get(path.as_str()) else { continue };
        if reached.insert(path.clone()) {
            waiting.extend(modules(&path, root, text).into_iter().map(|module| (module, false)));
        }
    }
    let dead = sources.keys().filter(|path| !reached.contains(**path));
    dead.map(|path| format!("{path}: no crate includes this file")).collect()
}

/// Files that cargo compiles by their place, or because a manifest names them.
fn is_root(path: &str, files: &[Tracked]) -> bool {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let in_package = |suffix: &str| {
        let package = parent.strip_suffix(suffix).map(|package| package.trim_end_matches('/'));
        package.is_some_and(|package| has_manifest(package, files))
    };
    match path.rsplit('/').next() {
        Some("build.rs") => in_package(""),
        Some("lib.rs" | "main.rs") if in_package("src") => true,
        Some("main.rs") if parent.rsplit_once("/src/bin/").is_some_and(|(package, _)| has_manifest(package, files)) => {
            true
        }
        _ => ["src/bin", "tests", "examples", "benches", "fuzz_targets"].iter().any(|place| in_package(place)),
    }
}

fn has_manifest(package: &str, files: &[Tracked]) -> bool {
    let manifest = if package.is_empty() { "Cargo.toml".to_owned() } else { format!("{package}/Cargo.toml") };
    files.iter().any(|file| file.path == manifest)
}

/// The files that the `mod name;` items of a file may mean.
fn modules(path: &str, root: bool, text: &str) -> Vec<String> {
    let (dir, file) = path.rsplit_once('/').unwrap_or(("", path));
    let own = file.trim_end_matches(".rs");
    let inside = if root || own == "mod" { dir.to_owned() } else { format!("{dir}/{own}") };
    let mut found = Vec::new();
    let mut named: Option<&str> = None;
    for line in text.lines().map(str::trim) {
        if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            named = Some(path);
            continue;
        }
        let Some(name) = line.strip_suffix(';').and_then(module_name) else { continue };
        match named.take() {
            Some(path) => found.push(join(dir, path)),
            None => found.extend([format!("{inside}/{name}.rs"), format!("{inside}/{name}/mod.rs")]),
        }
    }
    found
}

fn module_name(item: &str) -> Option<&str> {
    let (before, name) = item.rsplit_once("mod ")?;
    let visibility = before.trim();
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(name)
}

fn join(dir: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').collect();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Vec<Tracked> {
        files
            .iter()
            .map(|(path, text)| Tracked { path: (*path).to_owned(), text: Some((*text).to_owned()), bytes: 0 })
            .collect()
    }

    #[test]
    fn only_what_no_mod_leads_to_is_dead() {
        let files = tree(&[
            ("crates/a/Cargo.toml", ""),
            (
                "crates/a/src/lib.rs",
                "pub mod one;\nmod two;\n#[cfg(test)]\nmod tests;\n#[path = \"../odd/x.rs\"]\nmod x;\n",
            ),
            ("crates/a/src/one.rs", "pub(crate) mod inner;\n"),
            ("crates/a/src/one/inner.rs", ""),
            ("crates/a/src/two/mod.rs", "mod leaf;\n"),
            ("crates/a/src/two/leaf.rs", ""),
            ("crates/a/src/tests.rs", ""),
            ("crates/a/odd/x.rs", ""),
            ("crates/a/tests/whole.rs", "mod common;\n"),
            ("crates/a/tests/common/mod.rs", ""),
            ("crates/a/src/bin/tool.rs", ""),
            ("crates/a/src/bin/larger/main.rs", "mod part;\n"),
            ("crates/a/src/bin/larger/part.rs", ""),
            ("crates/a/build.rs", ""),
            ("crates/a/src/dead.rs", "mod also_dead;\n"),
            ("crates/a/src/dead/also_dead.rs", ""),
            ("crates/a/src/inner.rs", ""),
        ]);
        let dead: Vec<String> =
            check(&files).iter().filter_map(|found| Some(found.split(':').next()?.to_owned())).collect();
        assert_eq!(dead, ["crates/a/src/dead.rs", "crates/a/src/dead/also_dead.rs", "crates/a/src/inner.rs"]);
    }
}
