//! RecordDeAggregation: several records that a producer put as one.

use bytes::Bytes;
use serde::de::IgnoredAny;

/// How records are parted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deaggregation {
    /// `SubRecordType` `JSON`: objects one after the other, with or without white space between. An array of objects
    /// is no valid input.
    Json,
    /// `SubRecordType` `DELIMITED`: by these bytes, never empty.
    Delimited(Vec<u8>),
}

/// Most records in one. Source: "Apply dynamic partitioning to aggregated data" of the developer guide. More are not
/// parted (API reference, `PutRecord`: the function is invoked with the whole then).
pub const MAX_PARTS: usize = 500;

impl Deaggregation {
    /// `DELIMITED` by the processor's `Delimiter`, which is base64. `None` if that is malformed or empty.
    #[must_use]
    pub fn delimited(base64: &str) -> Option<Self> {
        let bytes = base64_simd::STANDARD.decode_to_vec(base64).ok()?;
        (!bytes.is_empty()).then_some(Self::Delimited(bytes))
    }

    /// Parts `data`. Nothing between two delimiters is no record; neither is white space around objects. What has more than
    /// [`MAX_PARTS`] stays whole.
    ///
    /// # Errors
    /// Why it cannot be parted: then the record fails as a whole, so that no half of it is delivered.
    pub(super) fn split(&self, data: &Bytes) -> Result<Vec<Bytes>, String> {
        let parts = match self {
            Self::Json => objects(data)?,
            Self::Delimited(delimiter) => delimited(data, delimiter),
        };
        if parts.is_empty() { Err("it is empty".to_owned()) } else { Ok(parts) }
    }
}

fn objects(data: &Bytes) -> Result<Vec<Bytes>, String> {
    let mut parts = Vec::new();
    // Skips without recursion and without allocation, whatever the depth.
    let mut values = serde_json::Deserializer::from_slice(data).into_iter::<IgnoredAny>();
    loop {
        let from = values.byte_offset();
        let spaces = data[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let from = from + spaces;
        if data.get(from).is_some_and(|&byte| byte != b'{') {
            return Err(format!("no JSON object at byte {from}"));
        }
        match values.next() {
            None => return Ok(parts),
            Some(Err(error)) => {
                return Err(format!("malformed JSON at line {}, column {}", error.line(), error.column()));
            }
            Some(Ok(IgnoredAny)) if parts.len() == MAX_PARTS => return Ok(vec![data.clone()]),
            Some(Ok(IgnoredAny)) => parts.push(data.slice(from..values.byte_offset())),
        }
    }
}

fn delimited(data: &Bytes, delimiter: &[u8]) -> Vec<Bytes> {
    let finder = memchr::memmem::Finder::new(delimiter);
    let mut parts = Vec::new();
    let mut from = 0;
    while from < data.len() {
        let len = finder.find(&data[from..]).unwrap_or(data.len() - from);
        if len > 0 {
            if parts.len() == MAX_PARTS {
                return vec![data.clone()];
            }
            parts.push(data.slice(from..from + len));
        }
        from += len + delimiter.len();
    }
    parts
}
