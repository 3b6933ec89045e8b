//! The models' patterns, matched as Java's `matches` does: the whole text or nothing.
//!
//! The patterns are written for Java. `regex-lite` understands all but a few of them, for which `REWRITES` holds
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
    /// The pattern of most names, which stands in every request.
    Name,
    /// The pattern of stream ARNs: the usual ones are known at sight, the rest is left to the expression.
    StreamArn(Regex),
    TagText {
        may_start_with_aws: bool,
    },
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

const NAME: &str = "[a-zA-Z0-9_.-]+";
const STREAM_ARN: &str = r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+";
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
            Matcher::Name => !text.is_empty() && text.bytes().all(is_name_byte),
            Matcher::StreamArn(regex) => is_plain_stream_arn(text) || regex.is_match(text),
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
            NAME => Matcher::Name,
            TAG_KEY => Matcher::TagText { may_start_with_aws: false },
            TAG_VALUE => Matcher::TagText { may_start_with_aws: true },
            text => {
                let text = REWRITES.iter().find(|(java, _)| *java == text).map_or(text, |(_, rewrite)| rewrite);
                match Regex::new(&format!(r"\A(?:{})\z", java_dots(text))) {
                    Ok(regex) if self.text == STREAM_ARN => Matcher::StreamArn(regex),
                    Ok(regex) => Matcher::Regex(regex),
                    Err(_) => Matcher::Unsupported,
                }
            }
        })
    }
}

/// `[a-zA-Z0-9_.-]`
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// The ARNs that AWS hands out, a part of what the model's pattern lets pass.
pub(crate) fn is_plain_stream_arn(arn: &str) -> bool {
    let mut parts = arn.split(':');
    let mut next = || parts.next().unwrap_or_default();
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let (scheme, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
    scheme == "arn"
        && partition.starts_with("aws")
        && plain(partition)
        && service == "kinesis"
        && plain(region)
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource
            .strip_prefix("stream/")
            .is_some_and(|name| (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(is_name_byte))
        && parts.next().is_none()
}

/// Longest name of a stream (model: `StreamName`).
const MAX_NAME_CHARS: usize = 128;

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

    /// The short cuts say what the expressions say.
    #[test]
    fn short_cuts_agree_with_the_expressions() {
        let expression = |java: &str| Regex::new(&format!(r"\A(?:{})\z", java_dots(java))).unwrap();
        let (name, arn) = (expression(NAME), expression(STREAM_ARN));
        for c in (0..0x250).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            assert_eq!(matches(NAME, &text), name.is_match(&text), "{text:?}");
        }
        for (text, plain) in [
            ("arn:aws:kinesis:eu-west-1:000000000000:stream/s", true),
            ("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a_b.c-d", true),
            ("arn:aws:kinesis::123456789012:stream/s", true),
            ("arn:aws:kinesis:eu-west-1:00000000000:stream/s", false),
            ("arn:aws:kinesis:eu-west-1:000000000000:stream/", false),
            ("arn:aws:kinesis:eu-west-1:000000000000:stream/s/consumer/c:1", false),
            ("arn:aws:kinesis:eu-west-1:000000000000:stream/s:x", false),
            ("arn:gcp:kinesis:eu-west-1:000000000000:stream/s", false),
        ] {
            assert_eq!(is_plain_stream_arn(text), plain, "{text}");
            assert!(!plain || arn.is_match(text), "{text}");
            assert_eq!(matches(STREAM_ARN, text), arn.is_match(text), "{text}");
        }
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
