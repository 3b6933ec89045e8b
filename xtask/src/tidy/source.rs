//! Rules about the text of one file.

/// Longest source file in lines, outside tests and generated tables.
const MAX_FILE_LINES: usize = 800;

/// Longest function in lines, from its signature to its closing brace, outside tests.
const MAX_FUNCTION_LINES: usize = 70;

/// Leftovers. Split so that this file does not contain them.
const BANNED: &[(&str, &str)] = &[
    (concat!("to", "do!"), "finish it, or leave it out"),
    (concat!("unimpl", "emented!"), "finish it, or leave it out"),
    (concat!("FIX", "ME"), "fix it, or file an issue"),
    (concat!("// XX", "X"), "say what is meant, or file an issue"),
    (concat!("HA", "CK"), "say what is meant, or file an issue"),
    (concat!("db", "g!"), "use tracing"),
];

/// A path of somebody's machine has no meaning on another.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("C:\\", "Users")];

/// What is wrong with a file, each as `line: what`.
pub(crate) fn check(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let verbatim = path == "LICENSE" || path.ends_with(".csv") || path.ends_with(".lock");
    if !verbatim {
        findings.extend(lines(path, text));
    }
    if path.ends_with(".rs") && !is_test(path) {
        findings.extend(lengths(text));
    }
    findings
}

/// True for files that hold only tests: they may be as long as they need.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests" || part == "fuzz" || part == "benches")
}

fn lines(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(format!("{number}: trailing white space"));
        }
        for (word, instead) in BANNED {
            if path.ends_with(".rs") && has_word(line, word) {
                findings.push(format!("{number}: `{word}`: {instead}"));
            }
        }
        for machine in MACHINE_PATHS {
            if line.contains(machine) {
                findings.push(format!("{number}: a path of one machine ({machine})"));
            }
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(format!("{}: no newline at the end", text.lines().count()));
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && (word.ends_with('!') || !after.is_some_and(is_part))
    })
}

/// File and function length. Relies on rustfmt: a function's closing brace stands under its first line.
fn lengths(text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    // An inline test module is the last item of its file.
    let end = lines.iter().position(|line| line.trim() == "#[cfg(test)]").map_or(lines.len(), |at| {
        if lines.get(at + 1).is_some_and(|next| next.trim_end().ends_with('{')) { at } else { lines.len() }
    });
    let generated = lines.iter().take(5).any(|line| line.contains("@generated"));
    if end > MAX_FILE_LINES && !generated {
        findings.push(format!("1: {end} lines; at most {MAX_FILE_LINES} outside tests: find the joint"));
    }
    for (at, line) in lines[..end].iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if !starts_function(line.trim_start()) {
            continue;
        }
        let closing = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[at..end].iter().position(|line| *line == closing) else { continue };
        // A declaration without a body, or a body on its own line, ends before any brace.
        let bodiless = lines[at..=at + length].iter().skip(1).any(|line| {
            line.len() - line.trim_start().len() == indent && !line.trim().is_empty() && !closes_signature(line.trim())
        });
        if !bodiless && length + 1 > MAX_FUNCTION_LINES {
            findings.push(format!("{}: a function of {} lines; at most {MAX_FUNCTION_LINES}", at + 1, length + 1));
        }
    }
    findings
}

fn starts_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    loop {
        match words.next() {
            Some("fn") => return true,
            Some("pub" | "async" | "const" | "unsafe" | "extern" | "\"C\"") => {}
            Some(word) if word.starts_with("pub(") => {}
            // `pub(in path)` is two words.
            Some(word) if word.ends_with(')') && !word.contains('(') => {}
            _ => return false,
        }
    }
}

/// Lines at a function's own indentation that belong to it: the end of its signature and its closing brace.
fn closes_signature(line: &str) -> bool {
    line.starts_with(')') || line.starts_with('}') || line == "{" || line == "where" || line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_found_as_words_only() {
        let rows: &[(&str, usize)] = &[
            (concat!("    to", "do!()\n"), 1),
            (concat!("    std::to", "do!(\"later\")\n"), 1),
            (concat!("// FIX", "ME: later\n"), 1),
            (concat!("let xx = \"XX", "X is a pattern of Java\";\n"), 0),
            (concat!("// XX", "X: later\n"), 1),
            (concat!("// HA", "CKNEY carriage\n"), 0),
            (concat!("db", "g!(x);\n"), 1),
            ("let todo = 1;\n", 0),
            ("ends with a blank \n", 1),
            ("no newline", 1),
            (concat!("let p = \"/ho", "me/somebody/x\";\n"), 1),
        ];
        for (text, expected) in rows {
            assert_eq!(check("src/a.rs", text).len(), *expected, "{text:?}: {:?}", check("src/a.rs", text));
        }
        assert_eq!(check("docs/a.md", concat!("FIX", "ME\n")).len(), 0, "prose may name the words");
        assert_eq!(check("data/a.csv", "blank \n").len(), 0, "data is verbatim");
    }

    fn function(lines: usize, indent: &str) -> String {
        let body: String = (0..lines - 2).map(|n| format!("{indent}    let a{n} = {n};\n")).collect();
        format!("{indent}pub(crate) async fn long(\n{indent}    x: u8,\n{indent}) {{\n{body}{indent}}}\n")
    }

    #[test]
    fn long_functions_and_files_are_found() {
        assert_eq!(check("src/a.rs", &function(68, "")).len(), 0);
        assert_eq!(check("src/a.rs", &function(71, "")).len(), 1);
        let method = format!("impl X {{\n{}}}\n", function(90, "    "));
        assert_eq!(check("src/a.rs", &method).len(), 1);
        assert_eq!(check("tests/a.rs", &method).len(), 0, "tests may be long");
        assert_eq!(check("src/tests.rs", &method).len(), 0, "tests may be long");
        let in_tests = format!("fn a() {{}}\n\n#[cfg(test)]\nmod tests {{\n{}}}\n", function(90, "    "));
        assert_eq!(check("src/a.rs", &in_tests).len(), 0, "tests may be long");
        let declared = format!("trait T {{\n    fn a(&self);\n{}}}\n", "    fn b(&self);\n".repeat(90));
        assert_eq!(check("src/a.rs", &declared).len(), 0, "declarations have no length");
        assert_eq!(check("src/a.rs", &"// line\n".repeat(801)).len(), 1);
        let generated = format!("// @generated by cargo xtask model\n{}", "// line\n".repeat(801));
        assert_eq!(check("src/a.rs", &generated).len(), 0);
    }
}
