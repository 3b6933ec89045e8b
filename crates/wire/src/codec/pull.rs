//! What the parsers of both protocols hand out, one value at a time.

use std::borrow::Cow;

/// How deep a document may nest. The deepest input of either model needs 7.
pub const MAX_DEPTH: usize = 32;

/// Bytes that are not the document of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A value, or the beginning of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Null,
    Boolean(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    /// A byte string; CBOR only.
    Bytes(Cow<'a, [u8]>),
    BeginList,
    BeginMap,
}

/// A number as it was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number<'a> {
    /// JSON's text of it, which follows the grammar.
    Text(&'a str),
    /// A whole number of CBOR.
    Whole(i64),
    /// A number of CBOR with a fraction, or beyond `i64`.
    Float(f64),
}

impl Number<'_> {
    /// The whole part, at the ends of `i64` if it lies beyond.
    pub(crate) fn truncate(self) -> i64 {
        match self {
            // The grammar of JSON numbers is part of Rust's.
            Number::Text(text) => text.parse().unwrap_or_else(|_| self.to_double() as i64),
            Number::Whole(number) => number,
            Number::Float(number) => number as i64,
        }
    }

    pub(crate) fn to_double(self) -> f64 {
        match self {
            Number::Text(text) => text.parse().unwrap_or(0.0),
            Number::Whole(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// The point in time that the number means, in milliseconds since the epoch: AWS's CBOR counts whole
    /// milliseconds, everything else counts seconds.
    pub(crate) fn to_timestamp_ms(self) -> i64 {
        match self {
            Number::Whole(ms) => ms,
            // Saturates at the ends of i64, which is what "as" does with doubles.
            Number::Text(_) | Number::Float(_) => (self.to_double() * 1000.0).round() as i64,
        }
    }
}

/// A parser that hands out a document's values in order, strict, bounded in depth, and never ahead of its caller.
pub(crate) trait Pull<'a>: Sized {
    /// True if byte strings are text in base64.
    const BASE64: bool;

    /// Stands before the document.
    fn open(body: &'a [u8]) -> Result<Self, Malformed>;

    /// Reads a scalar, or enters a list or map.
    fn value(&mut self) -> Result<Token<'a>, Malformed>;

    /// True if the list has another item, at which the parser then stands; else the list has been left.
    fn next_item(&mut self, first: bool) -> Result<bool, Malformed>;

    /// The next key of a map, at whose value the parser then stands; `None` if the map has been left.
    fn next_key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, Malformed>;

    /// Checks that nothing follows.
    fn end(&mut self) -> Result<(), Malformed>;

    /// Reads the rest of a value that began with `token`.
    fn skip(&mut self, token: &Token<'a>) -> Result<(), Malformed> {
        let mut first = true;
        match token {
            Token::Null | Token::Boolean(_) | Token::Number(_) | Token::String(_) | Token::Bytes(_) => {}
            Token::BeginList => {
                while self.next_item(first)? {
                    first = false;
                    let token = self.value()?;
                    self.skip(&token)?;
                }
            }
            Token::BeginMap => {
                while self.next_key(first)?.is_some() {
                    first = false;
                    let token = self.value()?;
                    self.skip(&token)?;
                }
            }
        }
        Ok(())
    }

    /// Enters the map that the document has to be.
    fn object(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut parser = Self::open(body)?;
        match parser.value()? {
            Token::BeginMap => Ok(parser),
            Token::Null
            | Token::Boolean(_)
            | Token::Number(_)
            | Token::String(_)
            | Token::Bytes(_)
            | Token::BeginList => Err(Malformed),
        }
    }

    /// Checks that `body` is one whole map.
    fn validate(body: &'a [u8]) -> Result<(), Malformed> {
        let mut parser = Self::object(body)?;
        parser.skip(&Token::BeginMap)?;
        parser.end()
    }
}
