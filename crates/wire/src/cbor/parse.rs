//! A pull parser for CBOR: strict, bounded in depth, holding nothing but its place.

use std::borrow::Cow;

use super::BREAK;
use crate::codec::{MAX_DEPTH, Malformed, Number, Pull, Token};

/// What [`Parser::open`] holds for a list or map that ends with a break. No definite one is as long.
const UNTIL_BREAK: u64 = u64::MAX;

/// The length in an initial byte that says "until a break".
const INDEFINITE: u8 = 31;

/// The major types of RFC 8949, section 3.1.
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// Tags of whole numbers of any length, as byte strings (section 3.4.3).
const POSITIVE_BIGNUM: u64 = 2;
const NEGATIVE_BIGNUM: u64 = 3;

pub(crate) struct Parser<'a> {
    body: &'a [u8],
    at: usize,
    depth: usize,
    /// For each open list or map the items or pairs that are still to come, or [`UNTIL_BREAK`].
    open: [u64; MAX_DEPTH],
}

impl<'a> Parser<'a> {
    /// Bytes that are still to be read.
    pub(super) fn remaining(&self) -> usize {
        self.body.len() - self.at
    }

    /// Passes over `text`, a whole text string as it is encoded; false if another one stands here.
    #[inline]
    pub(super) fn accept(&mut self, text: &[u8]) -> bool {
        let stands = self.body[self.at..].starts_with(text);
        self.at += if stands { text.len() } else { 0 };
        stands
    }

    /// The key at which the parser stands.
    pub(super) fn key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let (TEXT, info) = self.initial()? else { return Err(Malformed) };
        self.text(info)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.body.get(self.at).ok_or(Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn take(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(len).map_err(|_| Malformed)?;
        let end = self.at.checked_add(len).ok_or(Malformed)?;
        let bytes = self.body.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(bytes)
    }

    /// The major type and the length of the next initial byte.
    #[inline]
    fn initial(&mut self) -> Result<(u8, u8), Malformed> {
        let byte = self.byte()?;
        Ok((byte >> 5, byte & 31))
    }

    /// The number that an initial byte's length announces.
    #[inline]
    fn argument(&mut self, info: u8) -> Result<u64, Malformed> {
        match info {
            0..=23 => Ok(u64::from(info)),
            24 => self.byte().map(u64::from),
            25 => self.fixed().map(|bytes| u64::from(u16::from_be_bytes(bytes))),
            26 => self.fixed().map(|bytes| u64::from(u32::from_be_bytes(bytes))),
            27 => self.fixed().map(u64::from_be_bytes),
            _ => Err(Malformed),
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = *self.body[self.at..].first_chunk().ok_or(Malformed)?;
        self.at += N;
        Ok(bytes)
    }

    /// A string of the major type `kind`: as it stands in the body, or joined if it comes in pieces.
    #[inline]
    fn string(&mut self, kind: u8, info: u8) -> Result<Cow<'a, [u8]>, Malformed> {
        if info != INDEFINITE {
            let len = self.argument(info)?;
            return self.take(len).map(Cow::Borrowed);
        }
        let mut joined = Vec::new();
        loop {
            let byte = self.byte()?;
            if byte == BREAK {
                return Ok(Cow::Owned(joined));
            }
            // A piece is a string of the same type that does not come in pieces itself.
            if byte >> 5 != kind || byte & 31 == INDEFINITE {
                return Err(Malformed);
            }
            let len = self.argument(byte & 31)?;
            joined.extend_from_slice(self.take(len)?);
        }
    }

    #[inline]
    fn text(&mut self, info: u8) -> Result<Cow<'a, str>, Malformed> {
        match self.string(TEXT, info)? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Malformed),
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Malformed),
        }
    }

    fn enter(&mut self, info: u8, token: Token<'a>) -> Result<Token<'a>, Malformed> {
        let count = match info {
            INDEFINITE => UNTIL_BREAK,
            // Each item takes a byte at least.
            _ => self.argument(info).ok().filter(|count| *count <= self.remaining() as u64).ok_or(Malformed)?,
        };
        *self.open.get_mut(self.depth).ok_or(Malformed)? = count;
        self.depth += 1;
        Ok(token)
    }

    /// True if the innermost list or map goes on; else it has been left.
    #[inline]
    pub(super) fn goes_on(&mut self) -> Result<bool, Malformed> {
        let innermost = self.depth.checked_sub(1).ok_or(Malformed)?;
        let more = match &mut self.open[innermost] {
            &mut UNTIL_BREAK => {
                let ends = *self.body.get(self.at).ok_or(Malformed)? == BREAK;
                self.at += usize::from(ends);
                !ends
            }
            0 => false,
            left => {
                *left -= 1;
                true
            }
        };
        self.depth -= usize::from(!more);
        Ok(more)
    }

    /// A whole number of any length. Beyond `i64` its size is all that matters.
    fn bignum(&mut self, negative: bool) -> Result<Number<'a>, Malformed> {
        let (BYTES, info) = self.initial()? else { return Err(Malformed) };
        let magnitude = self.string(BYTES, info)?;
        let digits = magnitude
            .iter()
            .fold(0_u64, |number, byte| number.checked_mul(256).map_or(u64::MAX, |number| number | u64::from(*byte)));
        Ok(whole(digits, negative))
    }

    fn simple(&mut self, info: u8) -> Result<Token<'a>, Malformed> {
        Ok(match info {
            20 => Token::Boolean(false),
            21 => Token::Boolean(true),
            // Null and "undefined".
            22 | 23 => Token::Null,
            25 => Token::Number(Number::Float(half(self.argument(info)? as u16))),
            26 => Token::Number(Number::Float(f64::from(f32::from_bits(self.argument(info)? as u32)))),
            27 => Token::Number(Number::Float(f64::from_bits(self.argument(info)?))),
            _ => return Err(Malformed),
        })
    }
}

impl<'a> Pull<'a> for Parser<'a> {
    const BASE64: bool = false;

    fn open(body: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { body, at: 0, depth: 0, open: [0; MAX_DEPTH] })
    }

    fn value(&mut self) -> Result<Token<'a>, Malformed> {
        loop {
            let (major, info) = self.initial()?;
            return match major {
                UNSIGNED => Ok(Token::Number(whole(self.argument(info)?, false))),
                NEGATIVE => Ok(Token::Number(whole(self.argument(info)?, true))),
                BYTES => self.string(BYTES, info).map(Token::Bytes),
                TEXT => self.text(info).map(Token::String),
                LIST => self.enter(info, Token::BeginList),
                MAP => self.enter(info, Token::BeginMap),
                TAG => match self.argument(info)? {
                    POSITIVE_BIGNUM => self.bignum(false).map(Token::Number),
                    NEGATIVE_BIGNUM => self.bignum(true).map(Token::Number),
                    // What a tag adds, the model says better: a point in time is one with or without its tag.
                    _ => continue,
                },
                _ => self.simple(info),
            };
        }
    }

    fn next_item(&mut self, _: bool) -> Result<bool, Malformed> {
        self.goes_on()
    }

    fn next_key(&mut self, _: bool) -> Result<Option<Cow<'a, str>>, Malformed> {
        if !self.goes_on()? {
            return Ok(None);
        }
        self.key().map(Some)
    }

    fn end(&mut self) -> Result<(), Malformed> {
        if self.at == self.body.len() { Ok(()) } else { Err(Malformed) }
    }
}

/// `magnitude`, or -1 - `magnitude`.
fn whole(magnitude: u64, negative: bool) -> Number<'static> {
    match (i64::try_from(magnitude), negative) {
        (Ok(number), false) => Number::Whole(number),
        (Ok(number), true) => Number::Whole(-1 - number),
        (Err(_), false) => Number::Float(magnitude as f64),
        (Err(_), true) => Number::Float(-(magnitude as f64)),
    }
}

/// The value of a half-precision float.
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}
