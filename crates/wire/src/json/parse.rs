//! A pull parser for JSON: strict, bounded in depth, holding nothing but its place.

use std::borrow::Cow;

/// How deep a document may nest. The deepest input of either model needs 7.
pub const MAX_DEPTH: usize = 32;

/// Text that is not the JSON document of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Checks that `body` is one whole JSON object, nested no deeper than [`MAX_DEPTH`], in constant memory.
///
/// # Errors
/// [`Malformed`] if it is not.
pub fn validate(body: &[u8]) -> Result<(), Malformed> {
    let mut parser = Parser::new(body)?;
    match parser.value()? {
        Token::BeginMap => parser.skip(&Token::BeginMap)?,
        Token::Null | Token::Boolean(_) | Token::Number(_) | Token::String(_) | Token::BeginList => {
            return Err(Malformed);
        }
    }
    parser.end()
}

/// A value, or the beginning of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Null,
    Boolean(bool),
    /// The text of a number, which follows the grammar.
    Number(&'a str),
    String(Cow<'a, str>),
    BeginList,
    BeginMap,
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body).map_err(|_| Malformed)?;
        Ok(Self { text, at: 0, depth: 0 })
    }

    /// Reads a scalar, or enters a list or map.
    pub(crate) fn value(&mut self) -> Result<Token<'a>, Malformed> {
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

    /// True if the list has another item, at which the parser then stands; else the list has been left.
    pub(crate) fn next_item(&mut self, first: bool) -> Result<bool, Malformed> {
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

    /// The next key of a map, at whose value the parser then stands; `None` if the map has been left.
    pub(crate) fn next_key(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, Malformed> {
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

    /// Reads the rest of a value that began with `token`.
    pub(crate) fn skip(&mut self, token: &Token<'a>) -> Result<(), Malformed> {
        let mut first = true;
        match token {
            Token::Null | Token::Boolean(_) | Token::Number(_) | Token::String(_) => {}
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

    /// Checks that nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        match self.next_byte() {
            Ok(_) => Err(Malformed),
            Err(Malformed) => Ok(()),
        }
    }

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
        Ok(Token::Number(&self.text[from..at]))
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
