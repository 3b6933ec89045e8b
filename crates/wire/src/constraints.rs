//! The models' constraints, refused in the words of AWS's `ValidationException`.
//!
//! AWS lists violations in an order that follows a hash of its own; here it is the model's order. Lengths of strings
//! are counted in UTF-16 units, as Java's `String.length` does. Values and paths that are longer than
//! [`MAX_QUOTED_BYTES`] are cut, wherever their length is the client's choice.
//!
//! The two services differ: Kinesis repeats the value that it refuses and tells of a pattern before a length, Firehose
//! repeats none and tells of the length first, and of keys and values of maps once at the map. That and the orders of its
//! enumerations were recorded on AWS in September 2026 by the projects floci (issues 2328 and 3235) and cdk-preflight.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::error::{AwsError, ErrorCode, MAX_QUOTED_BYTES, quoted};
use crate::json::Writer;
use crate::model::{Bounds, Kind, Shape};
use crate::operation::Service;
use crate::pattern::Pattern;
use crate::value::{Value, utf16_len};

/// AWS names no more violations than this.
const MAX_VIOLATIONS: usize = 10;

/// Longest text in bytes that is held against a pattern; several times what any bound of the models allows.
const PATTERN_TEXT_BYTES: usize = 64 * 1024;

/// Patterns that AWS tells otherwise than its model has them.
const PATTERN_TEXTS: &[(&str, &str)] = &[("FileExtension", r"^(|\.[0-9a-z!\-_.*'()]+)$")];

/// Enumerations whose order in AWS's texts is known; the others are told in the model's order. From kinesalite's
/// tests and from AWS in 2026.
const ENUM_ORDERS: &[(&str, &[&str])] = &[
    ("EncryptionType", &["KMS", "NONE"]),
    (
        "MetricsName",
        &[
            "ALL",
            "IteratorAgeMilliseconds",
            "IncomingBytes",
            "WriteProvisionedThroughputExceeded",
            "OutgoingRecords",
            "ReadProvisionedThroughputExceeded",
            "IncomingRecords",
            "OutgoingBytes",
        ],
    ),
    ("StreamMode", &["ON_DEMAND", "PROVISIONED"]),
    ("ShardIteratorType", &["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"]),
    ("CompressionFormat", &["ZIP", "HADOOP_SNAPPY", "Snappy", "GZIP", "UNCOMPRESSED"]),
    (
        "ProcessorType",
        &[
            "Decompression",
            "Lambda",
            "RecordDeAggregation",
            "MetadataExtraction",
            "AppendDelimiterToRecord",
            "CloudWatchLogProcessing",
        ],
    ),
    (
        "ProcessorParameterName",
        &[
            "DataMessageExtraction",
            "NumberOfRetries",
            "Delimiter",
            "RoleArn",
            "JsonParsingEngine",
            "SubRecordType",
            "MetadataExtractionQuery",
            "BufferIntervalInSeconds",
            "LambdaArn",
            "BufferSizeInMBs",
            "CompressionFormat",
        ],
    ),
    ("ParquetCompression", &["SNAPPY", "GZIP", "UNCOMPRESSED"]),
    ("OrcCompression", &["ZLIB", "SNAPPY", "NONE"]),
];

/// Checks a structure against its shape.
///
/// # Errors
/// `ValidationException`, naming up to ten violations.
pub fn check(service: Service, shape: &'static Shape, value: &Value) -> Result<(), AwsError> {
    let mut checker = Checker { service, path: String::new(), violations: Vec::new() };
    checker.members(shape, value);
    if checker.violations.is_empty() { Ok(()) } else { Err(refusal(&checker.violations)) }
}

/// A required member is missing, for rules that the model does not state. `path` as AWS writes it (`streamName`,
/// `records.2.member.partitionKey`).
#[must_use]
pub fn missing_member(path: &str) -> AwsError {
    refusal(&[violation("Value null", path, "not be null")])
}

/// A number is below `minimum`, for limits that are stricter than the model's.
#[must_use]
pub fn number_too_small(path: &str, number: i64, minimum: i64) -> AwsError {
    let constraint = format!("have value greater than or equal to {minimum}");
    refusal(&[violation(&format!("Value '{number}'"), path, &constraint)])
}

/// A blob is longer than `limit` bytes, for limits that are stricter than the model's.
#[must_use]
pub fn blob_too_long(path: &str, limit: usize) -> AwsError {
    refusal(&[violation("Value", path, &format!("have length less than or equal to {limit}"))])
}

fn refusal(violations: &[String]) -> AwsError {
    let count = violations.len();
    let errors = if count == 1 { "error" } else { "errors" };
    AwsError::new(
        ErrorCode::ValidationException,
        format!("{count} validation {errors} detected: {}", violations.join("; ")),
    )
}

fn violation(subject: &str, path: &str, constraint: &str) -> String {
    violation_of(subject, path, &format!("Member must {constraint}"))
}

fn violation_of(subject: &str, path: &str, constraint: &str) -> String {
    let path = quoted(path);
    format!("{subject} at '{path}' failed to satisfy constraint: {constraint}")
}

/// Whether a text matches its pattern, in bounded time: a text far too long is refused for its length if that is
/// bounded, and else for the pattern, because patterns without a bound beside them match short texts only.
fn fits(pattern: &Pattern, length: Bounds<u32>, text: &str) -> bool {
    if text.len() > PATTERN_TEXT_BYTES { length.max.is_some() } else { pattern.matches(text) }
}

fn pattern_text(shape: &Shape, pattern: &Pattern) -> String {
    let told = PATTERN_TEXTS.iter().find(|(name, _)| *name == shape.name).map(|(_, text)| *text);
    format!("satisfy regular expression pattern: {}", told.unwrap_or(pattern.text()))
}

fn enumeration(shape: &Shape, values: &[&str]) -> String {
    let order = ENUM_ORDERS.iter().find(|(name, _)| *name == shape.name).map_or(values, |(_, order)| *order);
    format!("satisfy enum value set: [{}]", order.join(", "))
}

const fn is_scalar(shape: &Shape) -> bool {
    !matches!(shape.kind, Kind::List { .. } | Kind::Map { .. } | Kind::Structure(_))
}

/// All constraints of a scalar in the order in which AWS lists them for the items of a list: from kinesalite's tests,
/// and for pattern and enumeration from other services of AWS.
fn all_constraints(shape: &Shape) -> Vec<String> {
    let mut all = Vec::new();
    let mut bounds = |what: &str, min: Option<String>, max: Option<String>| {
        all.extend(max.map(|max| format!("Member must have {what} less than or equal to {max}")));
        all.extend(min.map(|min| format!("Member must have {what} greater than or equal to {min}")));
    };
    match &shape.kind {
        Kind::String { length, .. } | Kind::Blob(length) => {
            bounds("length", length.min.map(|n| n.to_string()), length.max.map(|n| n.to_string()));
        }
        Kind::Integer(range) | Kind::Long(range) => {
            bounds("value", range.min.map(|n| n.to_string()), range.max.map(|n| n.to_string()));
        }
        Kind::Double(range) => bounds("value", range.min.map(|n| n.to_string()), range.max.map(|n| n.to_string())),
        Kind::Boolean | Kind::Timestamp | Kind::List { .. } | Kind::Map { .. } | Kind::Structure(_) => {}
    }
    if let Kind::String { pattern, values, .. } = &shape.kind {
        all.extend(pattern.map(|pattern| format!("Member must {}", pattern_text(shape, pattern))));
        all.extend((!values.is_empty()).then(|| format!("Member must {}", enumeration(shape, values))));
    }
    all
}

struct Checker {
    service: Service,
    path: String,
    violations: Vec<String>,
}

impl Checker {
    fn members(&mut self, shape: &'static Shape, value: &Value) {
        let nested = !self.path.is_empty();
        for member in shape.members() {
            if self.violations.len() >= MAX_VIOLATIONS {
                return;
            }
            let mark = self.path.len();
            if nested {
                self.path.push('.');
            }
            let mut chars = member.name.chars();
            self.path.extend(chars.next().map(|first| first.to_ascii_lowercase()));
            self.path.push_str(chars.as_str());
            match value.get(member.name) {
                Some(value) => self.value(member.shape, value),
                None if member.required => self.refuse(&Value::Null, member.shape, "not be null"),
                None => {}
            }
            self.path.truncate(mark);
        }
    }

    fn value(&mut self, shape: &'static Shape, value: &Value) {
        match (&shape.kind, value) {
            (_, Value::Null) => self.refuse(value, shape, "not be null"),
            (Kind::String { length, pattern, values }, Value::String(text)) => {
                let pattern = pattern.filter(|pattern| !fits(pattern, *length, text));
                let pattern = pattern.map(|pattern| pattern_text(shape, pattern));
                let length_first = self.service == Service::Firehose;
                if length_first {
                    self.length(*length, utf16_len(text), shape, value);
                }
                if let Some(constraint) = pattern {
                    self.refuse(value, shape, &constraint);
                }
                if !length_first {
                    self.length(*length, utf16_len(text), shape, value);
                }
                if !values.is_empty() && !values.contains(&text.as_str()) {
                    self.refuse(value, shape, &enumeration(shape, values));
                }
            }
            (Kind::Integer(bounds) | Kind::Long(bounds), Value::Integer(number)) => {
                self.range(*bounds, *number, shape, value);
            }
            (Kind::Double(bounds), Value::Double(number)) => self.range(*bounds, *number, shape, value),
            (Kind::Blob(length), Value::Blob(bytes)) => self.length(*length, bytes.len(), shape, value),
            (Kind::List { member, length }, Value::List(items)) => {
                self.length(*length, items.len(), shape, value);
                self.scalars(member, items, shape, value);
                for (i, item) in items.iter().enumerate() {
                    // Of an item that is no structure only its absence is told at its own place.
                    if is_scalar(member) && *item != Value::Null {
                        continue;
                    }
                    self.below(&format!(".{}.member", i + 1), member, item);
                }
            }
            (Kind::Map { key, value: shape_of_value, length }, Value::Map(entries)) => {
                self.length(*length, entries.len(), shape, value);
                if self.service == Service::Firehose {
                    return self.entries(key, shape_of_value, entries);
                }
                for (name, item) in entries {
                    let path = format!(".{}.member", quoted(name));
                    self.below(&path, key, &Value::String(name.clone()));
                    self.below(&path, shape_of_value, item);
                }
            }
            (Kind::Structure(_), Value::Structure(_)) => self.members(shape, value),
            // Without constraints, or of a type that coercion never gives this shape.
            _ => {}
        }
    }

    /// Items of a list that are no structures are told of once, at the list, with all that its items must satisfy.
    fn scalars(&mut self, member: &'static Shape, items: &[Value], shape: &'static Shape, value: &Value) {
        let mut checker = Checker { service: self.service, path: String::new(), violations: Vec::new() };
        let mut present = items.iter().filter(|item| is_scalar(member) && **item != Value::Null);
        let violated = present.any(|item| {
            checker.value(member, item);
            !checker.violations.is_empty()
        });
        if violated {
            self.refuse(value, shape, &format!("satisfy constraint: [{}]", all_constraints(member).join(", ")));
        }
    }

    /// Keys of a map, then its values, each told of once.
    fn entries(&mut self, key: &'static Shape, value: &'static Shape, entries: &[(String, Value)]) {
        let violates = |shape: &'static Shape, item: &Value| {
            let mut checker = Checker { service: self.service, path: String::new(), violations: Vec::new() };
            checker.value(shape, item);
            !checker.violations.is_empty()
        };
        let keys = entries.iter().any(|(name, _)| violates(key, &Value::String(name.clone())));
        let values = entries.iter().any(|(_, item)| violates(value, item));
        for (of, shape, violated) in [("Map keys", key, keys), ("Map value", value, values)] {
            if violated && self.violations.len() < MAX_VIOLATIONS {
                let constraint = format!("{of} must satisfy constraint: [{}]", all_constraints(shape).join(", "));
                self.violations.push(violation_of("Value", &self.path, &constraint));
            }
        }
    }

    fn below(&mut self, path: &str, shape: &'static Shape, value: &Value) {
        if self.violations.len() >= MAX_VIOLATIONS {
            return;
        }
        let mark = self.path.len();
        self.path.push_str(path);
        self.value(shape, value);
        self.path.truncate(mark);
    }

    fn length(&mut self, bounds: Bounds<u32>, length: usize, shape: &'static Shape, value: &Value) {
        let length = length as u64;
        if let Some(min) = bounds.min.filter(|min| length < u64::from(*min)) {
            self.refuse(value, shape, &format!("have length greater than or equal to {min}"));
        }
        if let Some(max) = bounds.max.filter(|max| length > u64::from(*max)) {
            self.refuse(value, shape, &format!("have length less than or equal to {max}"));
        }
    }

    fn range<T: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        bounds: Bounds<T>,
        number: T,
        shape: &'static Shape,
        value: &Value,
    ) {
        // NaN, which CBOR can write, is within no bounds, and AWS tells both.
        if let Some(max) = bounds.max.filter(|max| number.partial_cmp(max).is_none_or(Ordering::is_gt)) {
            self.refuse(value, shape, &format!("have value less than or equal to {max}"));
        }
        if let Some(min) = bounds.min.filter(|min| number.partial_cmp(min).is_none_or(Ordering::is_lt)) {
            self.refuse(value, shape, &format!("have value greater than or equal to {min}"));
        }
    }

    fn refuse(&mut self, value: &Value, shape: &'static Shape, constraint: &str) {
        if self.violations.len() >= MAX_VIOLATIONS {
            return;
        }
        let subject = match value {
            _ if self.service == Service::Firehose => "Value".to_owned(),
            Value::Null => "Value null".to_owned(),
            // AWS used to print Java's name of the buffer; it leaves blobs out now.
            Value::Blob(_) => "Value".to_owned(),
            _ => {
                let mut shown = String::new();
                self.render(shape, value, &mut shown);
                format!("Value '{}'", quoted(&shown))
            }
        };
        self.violations.push(violation(&subject, &self.path, constraint));
    }

    /// As Java's `toString` shows it, up to little more than is quoted. Of Kinesis only.
    fn render(&self, shape: &'static Shape, value: &Value, out: &mut String) {
        if out.len() > MAX_QUOTED_BYTES {
            return;
        }
        match value {
            Value::Null => out.push_str("null"),
            Value::String(text) => out.push_str(&quoted(text)),
            Value::Integer(number) => {
                let _ = write!(out, "{number}");
            }
            Value::Double(number) => {
                let mut text = Writer::new();
                text.double(*number);
                out.push_str(&String::from_utf8_lossy(&text.into_bytes()));
            }
            Value::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Value::Timestamp(ms) => {
                let _ = write!(out, "{ms}");
            }
            Value::Blob(_) => out.push_str("java.nio.HeapByteBuffer"),
            Value::List(items) => {
                let Kind::List { member, .. } = &shape.kind else { return };
                out.push('[');
                for (i, item) in items.iter().enumerate().take(MAX_QUOTED_BYTES) {
                    out.push_str(if i == 0 { "" } else { ", " });
                    self.render(member, item, out);
                }
                out.push(']');
            }
            Value::Map(entries) => {
                let Kind::Map { value: shape, .. } = &shape.kind else { return };
                out.push('{');
                for (i, (name, item)) in entries.iter().enumerate().take(MAX_QUOTED_BYTES) {
                    let _ = write!(out, "{}{}=", if i == 0 { "" } else { ", " }, quoted(name));
                    if out.len() > MAX_QUOTED_BYTES {
                        return;
                    }
                    self.render(shape, item, out);
                }
                out.push('}');
            }
            Value::Structure(_) => {
                // Java's default: the class and its hash, which was this one in AWS's texts whatever the content.
                let _ = write!(out, "com.amazonaws.kinesis.v20131202.{}@c965e310", shape.name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
