//! Writing CBOR: lists and maps of indefinite length, numbers in as few bytes as they need, as AWS does.

use super::{BEGIN_LIST, BEGIN_MAP, BREAK};

/// The high three bits of an initial byte, and the tag of a point in time.
const UNSIGNED: u8 = 0x00;
const NEGATIVE: u8 = 0x20;
const BYTES: u8 = 0x40;
const TEXT: u8 = 0x60;
const TIME: u8 = 0xc1;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const DOUBLE: u8 = 0xfb;

/// Appends a CBOR document to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty document.
    #[must_use]
    pub const fn new() -> Self {
        Self { out: Vec::new() }
    }

    /// An empty document with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// The document.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Opens a map.
    pub fn begin_object(&mut self) {
        self.out.push(BEGIN_MAP);
    }

    /// Closes the map.
    pub fn end_object(&mut self) {
        self.out.push(BREAK);
    }

    /// Opens a list.
    pub fn begin_array(&mut self) {
        self.out.push(BEGIN_LIST);
    }

    /// Closes the list.
    pub fn end_array(&mut self) {
        self.out.push(BREAK);
    }

    /// A member's name.
    pub fn key(&mut self, name: &'static str) {
        push_text(&mut self.out, name.as_bytes());
    }

    /// A map's key.
    pub fn dynamic_key(&mut self, name: &str) {
        push_text(&mut self.out, name.as_bytes());
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        push_text(&mut self.out, text.as_bytes());
    }

    /// A whole number.
    pub fn integer(&mut self, number: i64) {
        push_integer(&mut self.out, number);
    }

    /// A double. What is not finite is written as 0, as in JSON.
    pub fn double(&mut self, number: f64) {
        let number = if number.is_finite() { number } else { 0.0 };
        self.out.push(DOUBLE);
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    /// True or false.
    pub fn boolean(&mut self, truth: bool) {
        self.out.push(if truth { TRUE } else { FALSE });
    }

    /// Bytes.
    pub fn blob(&mut self, bytes: &[u8]) {
        push_bytes(&mut self.out, bytes);
    }

    /// A point in time, from milliseconds since the epoch, as whole milliseconds.
    pub fn timestamp_ms(&mut self, ms: i64) {
        push_timestamp_ms(&mut self.out, ms);
    }
}

/// An initial byte with its number.
fn push_head(out: &mut Vec<u8>, major: u8, number: u64) {
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => out.push(major | number as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, number as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

/// A text string; `text` is UTF-8.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    push_head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text);
}

pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_head(out, BYTES, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn push_integer(out: &mut Vec<u8>, number: i64) {
    match u64::try_from(number) {
        Ok(number) => push_head(out, UNSIGNED, number),
        Err(_) => push_head(out, NEGATIVE, !number as u64),
    }
}

pub(crate) fn push_timestamp_ms(out: &mut Vec<u8>, ms: i64) {
    out.push(TIME);
    push_integer(out, ms);
}
