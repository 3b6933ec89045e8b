//! A request's content between the codec and the typed request: what was sent, in the model's types.

use bytes::Bytes;

/// A value of some shape. Members that are null or unknown have been dropped already.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A null among the items of a list or the values of a map, which the constraints refuse.
    Null,
    /// Text.
    String(String),
    /// A whole number, of an `integer` or a `long` shape.
    Integer(i64),
    /// A double.
    Double(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes, decoded.
    Blob(Bytes),
    /// Milliseconds since the Unix epoch.
    Timestamp(i64),
    /// A list.
    List(Vec<Value>),
    /// A map, sorted by key.
    Map(Vec<(String, Value)>),
    /// A structure: the present members, in the model's order.
    Structure(Vec<(&'static str, Value)>),
}

impl Value {
    /// The member of a structure; `None` if it is absent or this is no structure.
    #[must_use]
    pub fn get(&self, member: &str) -> Option<&Value> {
        match self {
            Value::Structure(members) => members.iter().find(|(name, _)| *name == member).map(|(_, value)| value),
            Value::Null
            | Value::String(_)
            | Value::Integer(_)
            | Value::Double(_)
            | Value::Boolean(_)
            | Value::Blob(_)
            | Value::Timestamp(_)
            | Value::List(_)
            | Value::Map(_) => None,
        }
    }
}

/// A text's length in UTF-16 units, as Java's `String.length` counts.
pub(crate) fn utf16_len(text: &str) -> usize {
    // Most texts are ASCII, and that is quick to see.
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}
