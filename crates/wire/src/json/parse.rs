//! A pull parser for JSON: strict, bounded in depth, holding nothing but its place.

use std::borrow::Cow;

use crate::codec::{MAX_DEPTH, Malformed, Number, Pull, Token};

pub(crate) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Pull<'a> for Parser<'a> {
    const BASE64: bool = true;

    fn open(body: &'a [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body).map_err(|_| Malformed)?;
        Ok(Self { text, at: 0, depth: 0 })
    }

    fn value(&mut self) -> Result<Token<'a>, Malformed> {
        match self.next_byte()? {
            b'"' => self.string().map(Token::String),
            b'{' => self.enter(Token::BeginMap),
            b'[' => self.enter(Token::BeginList),
            b't' => self.word("rue", Token::Boolean(true)),
            b'f' => self.word("alse", Token::Boolean(false)),
            b'n' => self.word("ull", Token::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(Malformed),
        }
    }

    fn next_item(&mut self, first: bool) -> Result<bool, Malformed> {
        match self.next_byte()? {
            b']' => {
                self.depth -= 1;
                Ok(false)
            }
            b',' if !first => Ok(true),
            _ if first => {
                self.at -= 1;
                Ok(true)
            }
            _ => Err(Malformed),
        }
    }

    fn next_key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, Malformed> {
        let mut byte = self.next_byte()?;
        if byte == b'}' {
            self.depth -= 1;
            return Ok(None);
        }
        if !first {
            if byte != b',' {
                return Err(Malformed);
            }
            byte = self.next_byte()?;
        }
        if byte != b'"' {
            return Err(Malformed);
        }
        let key = self.string()?;
        if self.next_byte()? != b':' {
            return Err(Malformed);
        }
        Ok(Some(key))
    }

    fn end(&mut self) -> Result<(), Malformed> {
        match self.next_byte() {
            Ok(_) => Err(Malformed),
            Err(Malformed) => Ok(()),
        }
    }
}

impl<'a> Parser<'a> {
    fn enter(&mut self, token: Token<'a>) -> Result<Token<'a>, Malformed> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Malformed) } else { Ok(token) }
    }

    /// The next byte that is no white space.
    fn next_byte(&mut self) -> Result<u8, Malformed> {
        loop {
            let byte = *self.text.as_bytes().get(self.at).ok_or(Malformed)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(byte);
            }
        }
    }

    fn word(&mut self, rest: &str, token: Token<'a>) -> Result<Token<'a>, Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(rest.as_bytes()) {
            return Err(Malformed);
        }
        self.at += rest.len();
        Ok(token)
    }

    fn number(&mut self) -> Result<Token<'a>, Malformed> {
        let bytes = self.text.as_bytes();
        let from = self.at - 1;
        let mut at = from + usize::from(bytes[from] == b'-');
        let digits = |at: &mut usize| {
            let from = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            if *at == from { Err(Malformed) } else { Ok(()) }
        };
        if bytes.get(at) == Some(&b'0') {
            at += 1;
        } else {
            digits(&mut at)?;
        }
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            digits(&mut at)?;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            digits(&mut at)?;
        }
        self.at = at;
        Ok(Token::Number(Number::Text(&self.text[from..at])))
    }

    /// The rest of a string whose opening quote has been read.
    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let from = self.at;
        let mut owned: Option<String> = None;
        let mut piece = from;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).ok_or(Malformed)?;
            self.at += stop;
            let read = &self.text[piece..self.at];
            match rest[stop] {
                b'"' => {
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(read),
                        Some(owned) => Cow::Owned(owned + read),
                    });
                }
                b'\\' => {
                    let text = owned.get_or_insert_default();
                    text.push_str(read);
                    self.at += 1;
                    let escaped = self.escape()?;
                    owned.get_or_insert_default().push(escaped);
                    piece = self.at;
                }
                _ => return Err(Malformed),
            }
        }
    }

    /// The character of an escape whose backslash has been read.
    fn escape(&mut self) -> Result<char, Malformed> {
        let byte = *self.text.as_bytes().get(self.at).ok_or(Malformed)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4()?;
                let low = if (0xd800..0xdc00).contains(&high) {
                    self.word("\\u", Token::Null)?;
                    self.hex4()?
                } else {
                    0
                };
                // Half of a surrogate pair is no character, and stays none in UTF-8.
                match (high, low) {
                    (0xd800..0xdc00, 0xdc00..0xe000) => {
                        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or(Malformed)?
                    }
                    (0xd800..0xdc00, _) => return Err(Malformed),
                    _ => char::from_u32(high).ok_or(Malformed)?,
                }
            }
            _ => return Err(Malformed),
        })
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(Malformed)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, digit| {
            char::from(*digit).to_digit(16).map(|digit| value * 16 + digit).ok_or(Malformed)
        })
    }
}
