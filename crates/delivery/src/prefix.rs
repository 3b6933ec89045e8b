//! The keys of objects: `Prefix`, `ErrorOutputPrefix`, `CustomTimeZone` and `FileExtension`.
//!
//! ```text
//! key       := evaluated(Prefix) date? name extension
//! error key := evaluated(ErrorOutputPrefix) name                            if there is an ErrorOutputPrefix
//!            | Prefix error-output-type "/" date name                       if not: then Prefix has no expressions
//! date      := yyyy/MM/dd/HH/                                               unless Prefix has an expression
//! name      := stream "-" version "-" yyyy-MM-dd-HH-mm-ss "-" uuid
//! ```
//!
//! All times are those of the arrival of the oldest record in the object, in `CustomTimeZone` (UTC by default).
//!
//! Sources: Amazon Data Firehose developer guide, "Understand custom prefixes for Amazon S3 objects", "Configure Amazon
//! S3 object name format" and "Use Amazon S3 bucket prefix to deliver data"; objects seen in buckets of AWS. Of a prefix
//! without a timestamp expression the guide says that the date is appended; seen was that it is not if the prefix has
//! any expression, and the guide's own example of partition keys has none. Values of partition keys are taken as they
//! are: functions are known that make whole paths, with slashes, by one key.

mod error;
mod expression;
mod pattern;
#[cfg(test)]
mod tests;
mod zones;

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use levada_core::engine::Millis;

pub use self::error::{KeyError, Member, PrefixError};
use self::expression::{Part, parse};
use self::pattern::Pattern;
pub(crate) use self::pattern::week_of_year;
use crate::record::{ErrorType, Partition};

/// Longest evaluated prefix in bytes, before the date. The guide says 512 characters; bytes keep the whole key below
/// the 1,024 bytes of S3.
pub const MAX_EVALUATED_BYTES: usize = 512;

/// Length of `!{firehose:random-string}` in characters.
pub const RANDOM_STRING_CHARS: usize = 11;

/// Longest key of S3 in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// What a key has at most behind its prefix: the date, names of 64 characters and versions of 20 digits, and an
/// extension of 128 (the model's `FileExtension`).
const MAX_BEHIND_PREFIX_BYTES: usize = 14 + 64 + 1 + 20 + 1 + 19 + 1 + 36 + 128;
const _: () = assert!(MAX_EVALUATED_BYTES + MAX_BEHIND_PREFIX_BYTES <= MAX_KEY_BYTES);

/// The date that is appended, and the date in an object's name: of nearly all delivery streams, so they share it.
static DATE: LazyLock<Arc<Pattern>> = LazyLock::new(|| known_pattern("yyyy/MM/dd/HH/"));
static NAME_DATE: LazyLock<Arc<Pattern>> = LazyLock::new(|| known_pattern("yyyy-MM-dd-HH-mm-ss"));

/// A day whose names are as long as they get: Wednesday, 27 September 2023.
const LONGEST_DAY: Millis = 1_695_808_800_000;

/// Hours of it at which one pattern or the other is longest: the hour itself, the names of the day's parts, and numbers
/// that count from midnight.
const LONGEST_HOURS: [i8; 3] = [10, 13, 23];

/// What a destination configuration says about keys. `None` and an empty string both mean "not given".
#[derive(Clone, Copy, Debug, Default)]
pub struct LayoutSpec<'a> {
    /// `Prefix`
    pub prefix: Option<&'a str>,
    /// `ErrorOutputPrefix`
    pub error_prefix: Option<&'a str>,
    /// `CustomTimeZone`
    pub time_zone: Option<&'a str>,
    /// `FileExtension`
    pub file_extension: Option<&'a str>,
    /// `DynamicPartitioningConfiguration` and the processors that make partition keys.
    pub partitioning: Partitioning<'a>,
}

/// Which partition keys there are.
#[derive(Clone, Copy, Debug, Default)]
pub enum Partitioning<'a> {
    /// None: dynamic partitioning is not enabled.
    #[default]
    Off,
    /// Dynamic partitioning is enabled.
    On {
        /// What the processor MetadataExtraction makes.
        query: QueryKeys<'a>,
        /// Whether there is a function; it may make keys of any name.
        lambda: bool,
    },
}

/// Names of the partition keys that `MetadataExtractionQuery` makes.
#[derive(Clone, Copy, Debug)]
pub enum QueryKeys<'a> {
    /// There is no such processor.
    None,
    /// Exactly these.
    These(&'a [String]),
    /// Only running it tells.
    Any,
}

/// Names of the partition keys that a prefix contains, each once, in the order of their first use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionKeys {
    /// `!{partitionKeyFromQuery:name}`
    pub query: Vec<String>,
    /// `!{partitionKeyFromLambda:name}`
    pub lambda: Vec<String>,
}

/// What is known of an object when its key is built.
#[derive(Clone, Copy, Debug)]
pub struct ObjectOf<'a> {
    /// Name of the delivery stream.
    pub stream: &'a str,
    /// The configuration's `VersionId`.
    pub version: u64,
    /// Arrival of the oldest record at its source, in ms.
    pub oldest: Millis,
    /// Of the compression, with its dot; `FileExtension` replaces it. Error keys have none.
    pub extension: &'a str,
    /// The UUID and all random strings are functions of it.
    pub seed: [u8; 16],
    /// With dynamic partitioning.
    pub partition: Option<&'a Partition>,
}

/// How the keys of a delivery stream are built. Valid by construction, cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyLayout {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    prefix: Box<[Part]>,
    error_prefix: Box<[Part]>,
    date: Option<Arc<Pattern>>,
    zone: TimeZone,
    extension: Option<String>,
    partition_keys: PartitionKeys,
}

/// What expressions are evaluated with.
struct Values<'a> {
    time: jiff::Zoned,
    random: RandomStrings,
    error_type: &'a str,
    partition: Option<&'a Partition>,
}

impl KeyLayout {
    /// The layout of these settings.
    ///
    /// # Errors
    /// The first thing that is wrong. AWS's order of checks is not known.
    pub fn new(spec: &LayoutSpec<'_>) -> Result<Self, PrefixError> {
        let zone = zones::find(spec.time_zone.unwrap_or_default())?;
        let prefix = parse(Member::Prefix, spec.prefix.unwrap_or_default())?;
        let error_prefix = parse(Member::ErrorOutputPrefix, spec.error_prefix.unwrap_or_default())?;
        check_types(&prefix, &error_prefix)?;
        let partition_keys = partition_keys(&prefix);
        check_partitioning(&spec.partitioning, &partition_keys)?;
        for (member, parts) in [(Member::Prefix, &prefix), (Member::ErrorOutputPrefix, &error_prefix)] {
            if longest(parts, &zone) > MAX_EVALUATED_BYTES {
                return Err(PrefixError::TooLong(member));
            }
        }
        let error_prefix = if error_prefix.is_empty() {
            let default = [Part::ErrorOutputType, Part::Literal("/".to_owned()), Part::Timestamp(Arc::clone(&DATE))];
            prefix.iter().cloned().chain(default).collect()
        } else {
            error_prefix
        };
        let inner = Inner {
            date: (!prefix.iter().any(Part::is_expression)).then(|| Arc::clone(&DATE)),
            prefix: prefix.into(),
            error_prefix: error_prefix.into(),
            zone,
            extension: spec.file_extension.filter(|extension| !extension.is_empty()).map(str::to_owned),
            partition_keys,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The key of an object of delivered records.
    ///
    /// # Errors
    /// [`KeyError`], only if the prefix has partition keys. What [`KeyLayout::check`] has accepted is an error only
    /// under another configuration.
    pub fn key(&self, object: &ObjectOf<'_>) -> Result<String, KeyError> {
        let mut values = self.values(object, "");
        let mut key = evaluated(&self.inner.prefix, &mut values)?;
        if let Some(date) = &self.inner.date {
            date.write(&mut key, &values.time);
        }
        self.write_name(&mut key, object, &values.time);
        key.push_str(self.inner.extension.as_deref().unwrap_or(object.extension));
        Ok(key)
    }

    /// The key of an object of error output. It has no extension, whatever the compression and `FileExtension` are.
    #[must_use]
    pub fn error_key(&self, kind: ErrorType, object: &ObjectOf<'_>) -> String {
        let mut values = self.values(object, kind.name());
        let mut key = String::new();
        for part in &self.inner.error_prefix {
            // An error prefix has no partition keys, so nothing can be missing.
            let _ = write(part, &mut key, &mut values);
        }
        self.write_name(&mut key, object, &values.time);
        key
    }

    /// Names of the partition keys that `Prefix` contains. Each record needs a value for all of them.
    #[must_use]
    pub fn partition_keys(&self) -> &PartitionKeys {
        &self.inner.partition_keys
    }

    /// Whether records of this partition can have a key, whenever they arrived.
    ///
    /// # Errors
    /// [`KeyError`]: they belong into the error output.
    pub fn check(&self, partition: &Partition) -> Result<(), KeyError> {
        longest_times(&self.inner.zone).try_for_each(|time| {
            let random = RandomStrings::new([0; 16]);
            let mut values = Values { time, random, error_type: "", partition: Some(partition) };
            evaluated(&self.inner.prefix, &mut values).map(drop)
        })
    }

    fn values<'a>(&self, object: &ObjectOf<'a>, error_type: &'a str) -> Values<'a> {
        let time = instant(object.oldest, &self.inner.zone);
        Values { time, random: RandomStrings::new(object.seed), error_type, partition: object.partition }
    }

    fn write_name(&self, key: &mut String, object: &ObjectOf<'_>, time: &jiff::Zoned) {
        key.push_str(object.stream);
        key.push('-');
        key.push_str(&object.version.to_string());
        key.push('-');
        NAME_DATE.write(key, time);
        key.push('-');
        key.push_str(&uuid::Builder::from_random_bytes(object.seed).into_uuid().hyphenated().to_string());
    }
}

fn evaluated(parts: &[Part], values: &mut Values<'_>) -> Result<String, KeyError> {
    let mut out = String::new();
    for part in parts {
        write(part, &mut out, values)?;
    }
    if out.len() > MAX_EVALUATED_BYTES { Err(KeyError::TooLong { bytes: out.len() }) } else { Ok(out) }
}

fn write(part: &Part, out: &mut String, values: &mut Values<'_>) -> Result<(), KeyError> {
    match part {
        Part::Literal(text) => out.push_str(text),
        Part::Timestamp(pattern) => pattern.write(out, &values.time),
        Part::RandomString => values.random.write(out),
        Part::ErrorOutputType => out.push_str(values.error_type),
        Part::QueryKey(name) => {
            let keys = values.partition.map(|partition| partition.query.as_slice());
            out.push_str(find(keys, "partitionKeyFromQuery", name)?);
        }
        Part::LambdaKey(name) => {
            let keys = values.partition.map(|partition| partition.lambda.as_slice());
            out.push_str(find(keys, "partitionKeyFromLambda", name)?);
        }
    }
    Ok(())
}

fn find<'a>(keys: Option<&'a [(String, String)]>, namespace: &'static str, wanted: &str) -> Result<&'a str, KeyError> {
    let found = keys.unwrap_or_default().iter().find(|(name, _)| name == wanted);
    let missing = || KeyError::MissingPartitionKey { namespace, name: wanted.to_owned() };
    found.map(|(_, value)| value.as_str()).ok_or_else(missing)
}

/// Rules about which expressions may stand where.
fn check_types(prefix: &[Part], error_prefix: &[Part]) -> Result<(), PrefixError> {
    if prefix.contains(&Part::ErrorOutputType) {
        return Err(PrefixError::ErrorTypeInPrefix);
    }
    if error_prefix.iter().any(Part::is_partition_key) {
        return Err(PrefixError::PartitionKeyInErrorPrefix);
    }
    if error_prefix.is_empty() && prefix.iter().any(Part::is_expression) {
        return Err(PrefixError::ErrorPrefixRequired);
    }
    if error_prefix.iter().any(Part::is_expression) && !error_prefix.contains(&Part::ErrorOutputType) {
        return Err(PrefixError::ErrorTypeMissing);
    }
    Ok(())
}

fn check_partitioning(partitioning: &Partitioning<'_>, used: &PartitionKeys) -> Result<(), PrefixError> {
    let none_used = used.query.is_empty() && used.lambda.is_empty();
    let (query, lambda) = match partitioning {
        Partitioning::Off if none_used => return Ok(()),
        Partitioning::Off => return Err(PrefixError::PartitioningDisabled),
        Partitioning::On { .. } if none_used => return Err(PrefixError::PartitionKeyMissing),
        Partitioning::On { query, lambda } => (query, lambda),
    };
    if !used.lambda.is_empty() && !lambda {
        return Err(PrefixError::NoLambda);
    }
    let made = match query {
        QueryKeys::None if !used.query.is_empty() => return Err(PrefixError::NoQuery),
        QueryKeys::None | QueryKeys::Any => return Ok(()),
        QueryKeys::These(made) => made,
    };
    // In this order: AWS was seen to tell of the former where both were so.
    if let Some(name) = made.iter().find(|name| !used.query.contains(name)) {
        return Err(PrefixError::QueryKeyUnused(name.clone()));
    }
    match used.query.iter().find(|name| !made.contains(name)) {
        Some(name) => Err(PrefixError::QueryKeyUnknown(name.clone())),
        None => Ok(()),
    }
}

fn partition_keys(parts: &[Part]) -> PartitionKeys {
    let mut keys = PartitionKeys::default();
    for part in parts {
        let (names, name) = match part {
            Part::QueryKey(name) => (&mut keys.query, name),
            Part::LambdaKey(name) => (&mut keys.lambda, name),
            Part::Literal(_) | Part::Timestamp(_) | Part::RandomString | Part::ErrorOutputType => continue,
        };
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    keys
}

/// Length of the evaluated parts at their longest, the values of partition keys not counted.
fn longest(parts: &[Part], zone: &TimeZone) -> usize {
    let longest_type = ErrorType::ALL.map(|kind| kind.name()).into_iter().max_by_key(|name| name.len());
    let length = |time| {
        let random = RandomStrings::new([0; 16]);
        let mut values = Values { time, random, error_type: longest_type.unwrap_or_default(), partition: None };
        let mut out = String::new();
        for part in parts.iter().filter(|part| !part.is_partition_key()) {
            // Only partition keys can be missing.
            let _ = write(part, &mut out, &mut values);
        }
        out.len()
    };
    longest_times(zone).map(length).max().unwrap_or_default()
}

/// Times at which keys are as long as they get.
fn longest_times(zone: &TimeZone) -> impl Iterator<Item = jiff::Zoned> {
    let day = instant(LONGEST_DAY, zone);
    LONGEST_HOURS.into_iter().map(move |hour| {
        let end_of_hour = day.with().hour(hour).minute(59).second(59).subsec_nanosecond(999_000_000).build();
        end_of_hour.unwrap_or_else(|_| day.clone())
    })
}

#[allow(clippy::expect_used, reason = "a pattern of this file, which every test parses")]
fn known_pattern(pattern: &str) -> Arc<Pattern> {
    Arc::new(Pattern::parse(pattern).expect("a known pattern"))
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
    /// AWS's documentation shows letters of both cases and digits.
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

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
            key.push(char::from(Self::ALPHABET[(bits % 62) as usize]));
            bits /= 62;
        }
    }
}
