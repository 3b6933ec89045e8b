//! From a document to the model's types, with the texts of AWS's `SerializationException`. They were seen in answers to
//! JSON; that CBOR is answered in the same words is unverified.
//!
//! A wrong type is remembered and the document is read to its end, because a document that cannot be parsed is
//! refused without a text, whatever stands before the place.

use bytes::Bytes;

use super::pull::{Malformed, Pull, Token};
use crate::blob::decode_append;
use crate::error::{AwsError, ErrorCode, quoted};
use crate::model::{Kind, Member, Shape};
use crate::value::{Value, utf16_len};

/// Values that one request may hold. It bounds the memory of a hostile list (`[{},{},…]`); the largest list that a
/// constraint lets pass has 10,000 items.
const MAX_VALUES: usize = 1 << 18;

const LIST_UNEXPECTED: &str = "Start of list found where not expected";
const MAP_UNEXPECTED: &str = "Start of structure or map found where not expected.";
const NUMBER: &str = "com.amazon.coral.value.json.numbers.TruncatingBigNumber";

/// Reads a document with the parser of its protocol; see [`coerce`](super::coerce).
pub(crate) fn coerce<'a, P: Pull<'a>>(shape: &'static Shape, body: &'a [u8]) -> Result<Value, AwsError> {
    read::<P>(shape, body)
        .map_err(|Malformed| AwsError::malformed())?
        .map_err(|message| AwsError::new(ErrorCode::SerializationException, message))
}

fn read<'a, P: Pull<'a>>(shape: &'static Shape, body: &'a [u8]) -> Result<Result<Value, String>, Malformed> {
    let mut reader = Reader { parser: P::object(body)?, wrong: None, values: 0 };
    let value = reader.structure(shape.members())?;
    reader.parser.end()?;
    Ok(match reader.wrong {
        Some(message) => Err(message),
        None => Ok(value),
    })
}

struct Reader<P> {
    parser: P,
    /// The first value of a wrong type.
    wrong: Option<String>,
    values: usize,
}

impl<'a, P: Pull<'a>> Reader<P> {
    /// The value at which the parser stands, [`Value::Null`] for a null or a wrong type.
    fn value(&mut self, shape: &'static Shape) -> Result<Value, Malformed> {
        let token = self.parser.value()?;
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Malformed);
        }
        if self.wrong.is_some() || token == Token::Null {
            self.parser.skip(&token)?;
            return Ok(Value::Null);
        }
        match (&shape.kind, &token) {
            (Kind::Structure(members), Token::BeginMap) => return self.structure(members),
            (Kind::List { member, .. }, Token::BeginList) => return self.list(member),
            (Kind::Map { value, .. }, Token::BeginMap) => return self.map(value),
            _ => {}
        }
        match scalar(shape, &token, P::BASE64) {
            Ok(value) => Ok(value),
            Err(message) => {
                self.wrong = Some(message);
                self.parser.skip(&token)?;
                Ok(Value::Null)
            }
        }
    }

    fn structure(&mut self, members: &'static [Member]) -> Result<Value, Malformed> {
        let mut slots: Vec<Option<Value>> = Vec::new();
        slots.resize_with(members.len(), || None);
        let mut first = true;
        while let Some(key) = self.parser.next_key(first)? {
            first = false;
            match members.iter().position(|member| member.name == key) {
                Some(i) => {
                    slots[i] = match self.value(members[i].shape)? {
                        Value::Null => None,
                        value => Some(value),
                    };
                }
                None => {
                    let token = self.parser.value()?;
                    self.parser.skip(&token)?;
                }
            }
        }
        let present = members.iter().zip(slots).filter_map(|(member, slot)| Some((member.name, slot?)));
        Ok(Value::Structure(present.collect()))
    }

    fn list(&mut self, shape: &'static Shape) -> Result<Value, Malformed> {
        let mut items = Vec::new();
        let mut first = true;
        while self.parser.next_item(first)? {
            first = false;
            let item = self.value(shape)?;
            if self.wrong.is_none() {
                items.push(item);
            }
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, shape: &'static Shape) -> Result<Value, Malformed> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        let mut first = true;
        while let Some(key) = self.parser.next_key(first)? {
            first = false;
            let value = self.value(shape)?;
            if self.wrong.is_none() {
                entries.push((key.into_owned(), value));
            }
        }
        // Stable, so that of equal keys the last stays last; it is the one to keep.
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.reverse();
        entries.dedup_by(|(a, _), (b, _)| a == b);
        entries.reverse();
        Ok(Value::Map(entries))
    }
}

fn scalar(shape: &'static Shape, token: &Token<'_>, base64: bool) -> Result<Value, String> {
    match &shape.kind {
        Kind::String { .. } => match token {
            Token::String(text) => Ok(Value::String(text.clone().into_owned())),
            _ => Err(not_convertible(token, "an String")),
        },
        Kind::Integer(_) => match token {
            Token::Number(number) => {
                Ok(Value::Integer(number.truncate().clamp(i64::from(i32::MIN), i64::from(i32::MAX))))
            }
            _ => Err(not_convertible(token, "an Integer")),
        },
        Kind::Long(_) => match token {
            Token::Number(number) => Ok(Value::Integer(number.truncate())),
            _ => Err(not_convertible(token, "an Long")),
        },
        Kind::Double(_) => match token {
            Token::Number(number) => Ok(Value::Double(number.to_double())),
            _ => Err(not_convertible(token, "an Double")),
        },
        Kind::Boolean => match token {
            Token::Boolean(truth) => Ok(Value::Boolean(*truth)),
            Token::String(text) if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Token::String(text) if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Token::String(text) => Err(format!("'{}' can not be converted to an Boolean", quoted(text))),
            _ => Err(not_convertible(token, "an Boolean")),
        },
        Kind::Timestamp => match token {
            Token::Number(number) => Ok(Value::Timestamp(number.to_timestamp_ms())),
            _ => Err(not_convertible(token, "milliseconds since epoch")),
        },
        Kind::Blob(_) => match token {
            Token::String(text) if base64 => blob(text),
            Token::Bytes(bytes) => Ok(Value::Blob(Bytes::copy_from_slice(bytes))),
            _ => Err(not_convertible(token, "a Blob")),
        },
        Kind::List { .. } => Err(match token {
            Token::BeginMap => MAP_UNEXPECTED.to_owned(),
            _ => "Expected list or null".to_owned(),
        }),
        Kind::Map { .. } => Err(match token {
            Token::BeginList => LIST_UNEXPECTED.to_owned(),
            _ => "Expected map or null".to_owned(),
        }),
        Kind::Structure(_) => Err(match token {
            Token::BeginList => LIST_UNEXPECTED.to_owned(),
            _ => "Expected null".to_owned(),
        }),
    }
}

fn not_convertible(token: &Token<'_>, target: &str) -> String {
    let class = match token {
        Token::BeginList => return LIST_UNEXPECTED.to_owned(),
        Token::BeginMap => return MAP_UNEXPECTED.to_owned(),
        Token::Null => "null",
        Token::Boolean(_) => "java.lang.Boolean",
        Token::Number(_) => NUMBER,
        Token::String(_) => "java.lang.String",
        // Unverified.
        Token::Bytes(_) => "java.nio.HeapByteBuffer",
    };
    format!("class {class} can not be converted to {target}")
}

fn blob(text: &str) -> Result<Value, String> {
    let length = utf16_len(text);
    if !length.is_multiple_of(4) {
        return Err(format!(
            "'{}' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: \
             {length}",
            quoted(text)
        ));
    }
    let mut decoded = Vec::new();
    if decode_append(text.as_bytes(), &mut decoded).is_ok() {
        return Ok(Value::Blob(decoded.into()));
    }
    let given = quoted(text);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let stray_padding = c == '=' && chars.peek().is_some_and(|next| *next != '=');
        if stray_padding || !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')) {
            return Err(format!("'{given}' can not be converted to a Blob: Invalid Base64 character: '{c}'"));
        }
    }
    // "dectected" is how AWS spells it.
    Err(format!("'{given}' can not be converted to a Blob: Invalid last non-pad Base64 character dectected"))
}
