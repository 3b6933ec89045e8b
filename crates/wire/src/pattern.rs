//! The models' patterns, matched as Java's `matches` does: the whole text or nothing.
//!
//! The patterns are written for Java. `regex-lite` understands all but a few of them, for which [`REWRITES`] holds
//! an equivalent; the two of Firehose's tags need Unicode classes and are matched by hand.

use std::sync::OnceLock;

use regex_lite::Regex;

/// A pattern of a model, compiled at its first use.
#[derive(Debug)]
pub struct Pattern {
    text: &'static str,
    matcher: OnceLock<Matcher>,
}

#[derive(Debug)]
enum Matcher {
    Regex(Regex),
    TagText { may_start_with_aws: bool },
    Unsupported,
}

/// Java patterns that `regex-lite` cannot compile, and expressions that match the same texts.
const REWRITES: &[(&str, &str)] = &[
    // "not blank" by lookahead; the dot excludes Java's line terminators.
    (r"^(?!\s*$).+", r".*[^\s\u0085\u2028\u2029].*"),
    // Host labels that neither start nor end with a hyphen, by lookaround.
    (
        r"jdbc:(redshift|postgresql)://((?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+(redshift(-serverless)?)\.([a-zA-Z0-9\.\-]+):\d{1,5}/[a-zA-Z0-9_$-]+",
        r"jdbc:(redshift|postgresql)://([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(redshift(-serverless)?)\.([a-zA-Z0-9.\-]+):\d{1,5}/[a-zA-Z0-9_$-]+",
    ),
];

const TAG_KEY: &str = r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$";
const TAG_VALUE: &str = r"^[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$";

impl Pattern {
    /// A pattern as the model writes it.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { text, matcher: OnceLock::new() }
    }

    /// The model's text.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// True if the whole of `text` matches. A pattern that nothing here can compile matches everything; a test
    /// keeps the tables free of such patterns.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self.matcher() {
            Matcher::Regex(regex) => regex.is_match(text),
            Matcher::TagText { may_start_with_aws } => {
                (*may_start_with_aws || !text.starts_with("aws:")) && text.chars().all(is_tag_char)
            }
            Matcher::Unsupported => true,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_supported(&self) -> bool {
        !matches!(self.matcher(), Matcher::Unsupported)
    }

    fn matcher(&self) -> &Matcher {
        self.matcher.get_or_init(|| match self.text {
            TAG_KEY => Matcher::TagText { may_start_with_aws: false },
            TAG_VALUE => Matcher::TagText { may_start_with_aws: true },
            text => {
                let text = REWRITES.iter().find(|(java, _)| *java == text).map_or(text, |(_, rewrite)| rewrite);
                Regex::new(&format!(r"\A(?:{})\z", java_dots(text))).map_or(Matcher::Unsupported, Matcher::Regex)
            }
        })
    }
}

/// Java's dot matches no line terminator, of which it knows five; `regex-lite`'s knows one.
fn java_dots(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
            }
            '.' if !in_class => out.push_str(r"[^\n\r\u0085\u2028\u2029]"),
            _ => {
                in_class = match c {
                    '[' => true,
                    ']' => false,
                    _ => in_class,
                };
                out.push(c);
            }
        }
    }
    out
}

/// `[\p{L}\p{Z}\p{N}_.:\/=+\-@%]`. The standard library knows "alphabetic" rather than `\p{L}`, which lets a few
/// combining vowel signs pass that AWS refuses.
fn is_tag_char(c: char) -> bool {
    matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@' | '%')
        || c.is_alphabetic()
        || c.is_numeric()
        || (c.is_whitespace() && !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &'static str, text: &str) -> bool {
        let pattern = Pattern::new(pattern);
        assert!(pattern.is_supported(), "{pattern:?}");
        pattern.matches(text)
    }

    #[test]
    fn the_whole_text_matches_as_in_java() {
        let rows: &[(&'static str, &str, bool)] = &[
            ("[a-zA-Z0-9_.-]+", "my-stream_1.x", true),
            ("[a-zA-Z0-9_.-]+", "", false),
            ("[a-zA-Z0-9_.-]+", "a\n", false),
            ("[a-zA-Z0-9_.-]+", "a b", false),
            (r"^(0|([1-9]\d{0,38}))$", "0", true),
            (r"^(0|([1-9]\d{0,38}))$", "00", false),
            (r"^(0|([1-9]\d{0,38}))$", "340282366920938463463374607431768211455", true),
            (r"^(0|([1-9]\d{0,38}))$", "1000000000000000000000000000000000000000", false),
            (r"^(0|([1-9]\d{0,38}))$", "1\n", false),
            (r"^(0|([1-9]\d{0,38}))$", "\u{0661}", false),
            (r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+", "arn:aws:kinesis:eu-west-1:000000000000:stream/s", true),
            (r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+", "arn:aws:kinesis:eu-west-1:1:stream/s", false),
            (r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+", "arn:aws\n:kinesis:e:000000000000:stream/s", false),
            (r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+", "arn:aws\u{2028}:kinesis:e:000000000000:stream/s", false),
            (r"^(?!\s*$).+", " a ", true),
            (r"^(?!\s*$).+", "   ", false),
            (r"^(?!\s*$).+", "", false),
            (r"^(?!\s*$).+", "a\nb", false),
            ("^$|[a-zA-Z/_]+", "", true),
            ("^$|[a-zA-Z/_]+", "Europe/Lisbon", true),
            ("^$|[a-zA-Z/_]+", "UTC+1", false),
            (r"^$|\.[0-9a-z!\-_.*'()]+", ".jsonl", true),
            (r"^$|\.[0-9a-z!\-_.*'()]+", "jsonl", false),
            (TAG_KEY, "cost center/été 1", true),
            (TAG_KEY, "aws:x", false),
            (TAG_KEY, "a\tb", false),
            (TAG_VALUE, "aws:x", true),
            (TAG_VALUE, "", true),
            (TAG_VALUE, "a#b", false),
            (r"[\u0001-\uFFFF]*", "a\u{ffff}", true),
            (r"[\u0001-\uFFFF]*", "a\0", false),
            (REWRITES[1].0, "jdbc:redshift://a-b.c.redshift.amazonaws.com:5439/db", true),
            (REWRITES[1].0, "jdbc:redshift://-a.c.redshift.amazonaws.com:5439/db", false),
            (REWRITES[1].0, "jdbc:redshift://a-.c.redshift.amazonaws.com:5439/db", false),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(matches(pattern, text), *expected, "{pattern} on {text:?}");
        }
    }
}
