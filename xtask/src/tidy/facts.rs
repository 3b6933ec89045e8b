//! `conformance/facts.toml` and the tests: each fact has a test that names it, and no test names a fact that is not there.
//!
//! Python names facts in the marker `fact("id", "id")`, Rust in a comment `// fact: id, id`.

use std::collections::{BTreeMap, BTreeSet};

use super::Tracked;

/// Where the facts stand.
const FACTS: &str = "conformance/facts.toml";

/// Facts without a test, and names of no fact.
pub(crate) fn check(files: &[Tracked]) -> Vec<String> {
    let text = |file: &&Tracked| file.path == FACTS;
    let Some(facts) = files.iter().find(text).and_then(|file| file.text.as_deref()) else {
        return vec![format!("{FACTS}: is gone")];
    };
    let (facts, mut findings) = read(facts);
    let mut named = BTreeSet::new();
    for file in files {
        for (line, id) in names(file) {
            if !facts.contains_key(id) {
                findings.push(format!("{}:{line}: there is no fact {id:?} in {FACTS}", file.path));
            }
            named.insert(id.to_owned());
        }
    }
    for (id, later) in &facts {
        match (named.contains(id), later) {
            (false, false) => findings.push(format!("{FACTS}: no test names the fact {id:?}")),
            (true, true) => findings.push(format!("{FACTS}: the fact {id:?} has a test: take its `later` away")),
            _ => {}
        }
    }
    findings
}

/// The facts, each with whether its test comes later; and the ids that stand twice.
fn read(text: &str) -> (BTreeMap<String, bool>, Vec<String>) {
    let (mut facts, mut findings, mut last) = (BTreeMap::new(), Vec::new(), None);
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("id = \"").and_then(|rest| rest.strip_suffix('"')) {
            if facts.insert(id.to_owned(), false).is_some() {
                findings.push(format!("{FACTS}: the fact {id:?} stands twice"));
            }
            last = Some(id.to_owned());
        } else if line.starts_with("later = ")
            && let Some(later) = last.as_ref().and_then(|id| facts.get_mut(id))
        {
            *later = true;
        }
    }
    (facts, findings)
}

/// The ids that a file's tests name, with the line of the first.
fn names(file: &Tracked) -> Vec<(usize, &str)> {
    let Some(text) = file.text.as_deref() else { return Vec::new() };
    if file.path.ends_with(".rs") {
        let comments = (1..).zip(text.lines().map(str::trim_start));
        return comments
            .filter_map(|(line, text)| Some((line, text.strip_prefix(concat!("// fact", ": "))?)))
            .flat_map(|(line, ids)| ids.split(',').map(move |id| (line, id.trim())))
            .collect();
    }
    let suites = ["conformance/python/", "conformance/destinations/"];
    if !(suites.iter().any(|suite| file.path.starts_with(suite)) && file.path.ends_with(".py")) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("@fact(").map(|at| from + at) {
        let end = text[at..].find(')').map_or(text.len(), |end| at + end);
        let line = text[..at].lines().count() + 1;
        found.extend(text[at..end].split('"').skip(1).step_by(2).map(|id| (line, id)));
        from = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Tracked {
        Tracked { path: path.to_owned(), text: Some(text.to_owned()), bytes: text.len() as u64 }
    }

    #[test]
    fn facts_and_tests_are_held_together() {
        let facts =
            "[[fact]]\nid = \"a\"\nsays = \"x\"\n\n[[fact]]\nid = \"b\"\n\n[[fact]]\nid = \"c\"\nlater = \"why\"\n";
        let python = "@fact(\n    \"a\", \"nothing\",\n)\ndef test_a():\n    pass\n";
        let rust = concat!("    // fact", ": b\n    #[test]\n");
        let all = [file(FACTS, facts), file("conformance/python/test_a.py", python), file("sim/tests/a.rs", rust)];
        assert_eq!(
            check(&all),
            ["conformance/python/test_a.py:1: there is no fact \"nothing\" in conformance/facts.toml"]
        );
        assert_eq!(
            check(&all[..1]),
            ["a", "b"].map(|id| format!("{FACTS}: no test names the fact {id:?}")),
            "c may come later"
        );
        let early = [file(FACTS, facts), file("a.rs", concat!("// fact", ": a, b, c\n"))];
        assert_eq!(check(&early), [format!("{FACTS}: the fact \"c\" has a test: take its `later` away")]);
        let twice = [file(FACTS, "id = \"a\"\nid = \"a\"\n"), file("a.rs", concat!("// fact", ": a\n"))];
        assert_eq!(check(&twice), [format!("{FACTS}: the fact \"a\" stands twice")]);
    }
}
