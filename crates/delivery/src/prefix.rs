//! The keys of objects: `Prefix`, `ErrorOutputPrefix`, `CustomTimeZone` and `FileExtension`.
//!
//! ```text
//! key    := prefix stream "-" version "-" yyyy-MM-dd-HH-mm-ss "-" uuid extension
//! prefix := what Prefix evaluates to, then yyyy/MM/dd/HH/ unless Prefix has a timestamp expression
//! ```
//!
//! All times are those of the arrival of the oldest record in the object, in `CustomTimeZone` (UTC by default).
//! Source: Amazon Data Firehose developer guide, "Understand custom prefixes for Amazon S3 objects" and "Configure
//! Amazon S3 object name format". Of a prefix whose only expressions are random strings the guide says that the date
//! is appended; an observation of AWS says that it is not. Here the guide is followed.

mod pattern;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use levada_core::engine::Millis;

use self::pattern::Pattern;

/// Longest evaluated prefix in bytes, before the implicit date. The guide says 512 characters; bytes keep the whole
/// key below the 1,024 bytes of S3.
pub const MAX_EVALUATED_BYTES: usize = 512;

/// Length of `!{firehose:random-string}` in characters.
pub const RANDOM_STRING_CHARS: usize = 11;

/// The implicit date, and the date in an object's name.
const DATE: &str = "yyyy/MM/dd/HH/";
const SUFFIX_DATE: &str = "yyyy-MM-dd-HH-mm-ss";

/// An hour whose names are as long as they get: 10:00 on Wednesday, 27 September 2023.
const LONGEST_TIME: Millis = 1_695_808_800_000;

/// Why a combination of `Prefix`, `ErrorOutputPrefix` and `CustomTimeZone` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// `!{` without `}`.
    #[error("the expression that begins at {0:?} is not closed")]
    Unclosed(String),
    /// An expression that is none of `timestamp:…`, `firehose:…` or `partitionKeyFrom…:…`.
    #[error("unknown expression {0:?}")]
    UnknownExpression(String),
    /// A timestamp pattern that Java's `DateTimeFormatter` would refuse, or that is not supported.
    #[error("invalid timestamp pattern {pattern:?}: {reason}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Expressions in `Prefix` and no `ErrorOutputPrefix`.
    #[error("ErrorOutputPrefix cannot be empty when Prefix contains expressions")]
    ErrorPrefixRequired,
    /// Expressions in `ErrorOutputPrefix`, none of them `!{firehose:error-output-type}`.
    #[error("ErrorOutputPrefix with expressions must contain !{{firehose:error-output-type}}")]
    ErrorTypeMissing,
    /// `!{firehose:error-output-type}` in `Prefix`.
    #[error("Prefix cannot contain !{{firehose:error-output-type}}")]
    ErrorTypeInPrefix,
    /// A partition key in `ErrorOutputPrefix`.
    #[error("ErrorOutputPrefix cannot contain partition keys")]
    PartitionKeyInErrorPrefix,
    /// A partition key in `Prefix`, while dynamic partitioning is not enabled.
    #[error("Prefix cannot contain partition keys when dynamic partitioning is disabled")]
    PartitioningDisabled,
    /// Too long once evaluated.
    #[error("{member} is longer than {MAX_EVALUATED_BYTES} bytes once evaluated")]
    TooLong {
        /// `Prefix` or `ErrorOutputPrefix`.
        member: &'static str,
    },
    /// No such time zone.
    #[error("unknown time zone {0:?}")]
    UnknownTimeZone(String),
}

/// How the keys of a delivery stream are built. Valid by construction.
#[derive(Clone, Debug)]
pub struct KeyLayout {
    pieces: Vec<Piece>,
    date: Option<Pattern>,
    suffix_date: Pattern,
    zone: TimeZone,
    extension: Option<String>,
}

/// A part of a delivered object's prefix.
#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    Timestamp(Pattern),
    RandomString,
}

/// A part of either prefix as it was written.
enum Expression {
    Literal(String),
    Timestamp(Pattern),
    RandomString,
    ErrorOutputType,
    PartitionKey,
}

/// Checks what a destination configuration says about keys.
///
/// # Errors
/// The first thing that is wrong.
pub fn validate(prefix: Option<&str>, error_prefix: Option<&str>, time_zone: Option<&str>) -> Result<(), PrefixError> {
    KeyLayout::new(prefix, error_prefix, time_zone, None).map(drop)
}

impl KeyLayout {
    /// The layout of these settings; `None` and an empty string both mean "not given".
    ///
    /// # Errors
    /// See [`PrefixError`].
    pub fn new(
        prefix: Option<&str>,
        error_prefix: Option<&str>,
        time_zone: Option<&str>,
        file_extension: Option<&str>,
    ) -> Result<Self, PrefixError> {
        let zone = zone(time_zone.unwrap_or_default())?;
        let expressions = parse(prefix.unwrap_or_default())?;
        check_error_prefix(parse(error_prefix.unwrap_or_default())?, &expressions, &zone)?;
        let mut pieces = Vec::new();
        for expression in expressions {
            pieces.push(match expression {
                Expression::Literal(text) => Piece::Literal(text),
                Expression::Timestamp(pattern) => Piece::Timestamp(pattern),
                Expression::RandomString => Piece::RandomString,
                Expression::ErrorOutputType => return Err(PrefixError::ErrorTypeInPrefix),
                Expression::PartitionKey => return Err(PrefixError::PartitioningDisabled),
            });
        }
        let dated = pieces.iter().any(|piece| matches!(piece, Piece::Timestamp(_)));
        let layout = Self {
            pieces,
            date: if dated { None } else { Some(Pattern::parse(DATE)?) },
            suffix_date: Pattern::parse(SUFFIX_DATE)?,
            zone,
            extension: file_extension.filter(|extension| !extension.is_empty()).map(str::to_owned),
        };
        let mut evaluated = String::new();
        layout.write_prefix(&mut evaluated, &instant(LONGEST_TIME, &layout.zone), &mut RandomStrings::new([0; 16]));
        if evaluated.len() > MAX_EVALUATED_BYTES {
            return Err(PrefixError::TooLong { member: "Prefix" });
        }
        Ok(layout)
    }

    /// The key of an object of delivery stream `stream` under configuration `version`, whose oldest record arrived
    /// at `oldest`. `extension` is that of the compression. The UUID and the random strings are functions of `seed`.
    #[must_use]
    pub fn key(&self, stream: &str, version: u64, oldest: Millis, extension: &str, seed: [u8; 16]) -> String {
        let time = instant(oldest, &self.zone);
        let mut key = String::new();
        self.write_prefix(&mut key, &time, &mut RandomStrings::new(seed));
        if let Some(date) = &self.date {
            date.write(&mut key, &time);
        }
        key.push_str(stream);
        key.push('-');
        key.push_str(&version.to_string());
        key.push('-');
        self.suffix_date.write(&mut key, &time);
        key.push('-');
        key.push_str(&uuid::Builder::from_random_bytes(seed).into_uuid().hyphenated().to_string());
        key.push_str(self.extension.as_deref().unwrap_or(extension));
        key
    }

    fn write_prefix(&self, key: &mut String, time: &jiff::Zoned, random: &mut RandomStrings) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => key.push_str(text),
                Piece::Timestamp(pattern) => pattern.write(key, time),
                Piece::RandomString => random.write(key),
            }
        }
    }
}

fn check_error_prefix(error: Vec<Expression>, prefix: &[Expression], zone: &TimeZone) -> Result<(), PrefixError> {
    let is_expression = |piece: &Expression| !matches!(piece, Expression::Literal(_));
    if error.is_empty() && prefix.iter().any(is_expression) {
        return Err(PrefixError::ErrorPrefixRequired);
    }
    if error.iter().any(|piece| matches!(piece, Expression::PartitionKey)) {
        return Err(PrefixError::PartitionKeyInErrorPrefix);
    }
    let typed = error.iter().any(|piece| matches!(piece, Expression::ErrorOutputType));
    if error.iter().any(is_expression) && !typed {
        return Err(PrefixError::ErrorTypeMissing);
    }
    // The longest of the error types that AWS lists.
    let longest_type = "AmazonOpenSearchService-failed".len();
    let time = instant(LONGEST_TIME, zone);
    let evaluated: usize = error
        .iter()
        .map(|piece| match piece {
            Expression::Literal(text) => text.len(),
            Expression::Timestamp(pattern) => {
                let mut text = String::new();
                pattern.write(&mut text, &time);
                text.len()
            }
            Expression::RandomString => RANDOM_STRING_CHARS,
            Expression::ErrorOutputType => longest_type,
            Expression::PartitionKey => 0,
        })
        .sum();
    if evaluated > MAX_EVALUATED_BYTES { Err(PrefixError::TooLong { member: "ErrorOutputPrefix" }) } else { Ok(()) }
}

fn parse(mut text: &str) -> Result<Vec<Expression>, PrefixError> {
    let mut expressions = Vec::new();
    while let Some((literal, rest)) = text.split_once("!{") {
        if !literal.is_empty() {
            expressions.push(Expression::Literal(literal.to_owned()));
        }
        let (inner, after) =
            rest.split_once('}').ok_or_else(|| PrefixError::Unclosed(text[literal.len()..].to_owned()))?;
        expressions.push(expression(inner)?);
        text = after;
    }
    if !text.is_empty() {
        expressions.push(Expression::Literal(text.to_owned()));
    }
    Ok(expressions)
}

fn expression(inner: &str) -> Result<Expression, PrefixError> {
    match inner.split_once(':') {
        Some(("timestamp", pattern)) => Ok(Expression::Timestamp(Pattern::parse(pattern)?)),
        Some(("firehose", "random-string")) => Ok(Expression::RandomString),
        Some(("firehose", "error-output-type")) => Ok(Expression::ErrorOutputType),
        Some(("partitionKeyFromQuery" | "partitionKeyFromLambda", _)) => Ok(Expression::PartitionKey),
        _ => Err(PrefixError::UnknownExpression(inner.to_owned())),
    }
}

/// From the bundled data, so that a key does not depend on the machine.
fn zone(name: &str) -> Result<TimeZone, PrefixError> {
    if name.is_empty() || name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).map_err(|_| PrefixError::UnknownTimeZone(name.to_owned()))
}

/// `at` in `zone`; a time beyond the year 9999 counts as its end.
fn instant(at: Millis, zone: &TimeZone) -> jiff::Zoned {
    let time = i64::try_from(at).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.unwrap_or(Timestamp::MAX).to_zoned(zone.clone())
}

/// The random strings of one key, each different (SplitMix64 from the cut's seed).
struct RandomStrings {
    state: u64,
}

impl RandomStrings {
    fn new(seed: [u8; 16]) -> Self {
        let seed = u128::from_le_bytes(seed);
        Self { state: (seed as u64) ^ ((seed >> 64) as u64).rotate_left(32) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn write(&mut self, key: &mut String) {
        let mut bits = self.next();
        for _ in 0..RANDOM_STRING_CHARS {
            let digit = (bits % 36) as u8;
            key.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
            bits /= 36;
        }
    }
}
