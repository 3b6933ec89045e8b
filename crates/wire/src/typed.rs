//! From values to typed requests and from typed replies to documents: one macro row per member.
//!
//! A structure is declared once, with the names and the order of its model shape, and serves in both directions; a
//! test holds every declaration to the model's table. Adding an operation means declaring its structures and a
//! variant.

use std::fmt;

use bytes::Bytes;

use crate::codec::{Protocol, Writer};
use crate::error::AwsError;
use crate::model::Shape;
use crate::value::Value;

/// A value that its constraints should have refused. It is a mistake of ours, never the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

impl From<Mismatch> for AwsError {
    fn from(_: Mismatch) -> Self {
        AwsError::internal_failure()
    }
}

/// Milliseconds since the Unix epoch, on the wire exact to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimestampMs(pub i64);

/// A point in time on the wire as whole seconds; held in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimestampSeconds(pub i64);

/// What can be a member of a request.
pub trait FromMember: Sized {
    /// The member's value, `None` if it is absent.
    ///
    /// # Errors
    /// [`Mismatch`] if the value is not of the member's shape.
    fn from_member(value: Option<Value>) -> Result<Self, Mismatch>;
}

/// What can be a member of a reply.
pub trait WriteMember {
    /// True if the member is left out.
    fn is_absent(&self) -> bool {
        false
    }
    /// Writes the value.
    fn write(&self, out: &mut Writer);
}

/// A structure of the model.
pub trait Structure: Sized {
    /// Its shape in the model.
    fn shape() -> &'static Shape;
    /// The wire names of its members, in the order in which they are written.
    const MEMBERS: &'static [&'static str];
}

/// The document of a reply.
pub fn to_bytes(reply: &impl WriteMember, protocol: Protocol) -> Vec<u8> {
    let mut out = Writer::new(protocol);
    reply.write(&mut out);
    out.into_bytes()
}

/// Members of a structure, taken one by one.
#[derive(Debug)]
pub struct Members(Vec<(&'static str, Value)>);

impl Members {
    /// The members of a structure.
    ///
    /// # Errors
    /// [`Mismatch`] if it is none.
    pub fn of(value: Option<Value>) -> Result<Self, Mismatch> {
        match value {
            Some(Value::Structure(members)) => Ok(Self(members)),
            _ => Err(Mismatch),
        }
    }

    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(member, _)| *member == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

macro_rules! members_of_one_variant {
    ($($type:ty = $variant:ident($value:ident) => $from:expr;)+) => {$(
        impl FromMember for $type {
            fn from_member(value: Option<Value>) -> Result<Self, Mismatch> {
                match value {
                    Some(Value::$variant($value)) => Ok($from),
                    _ => Err(Mismatch),
                }
            }
        }
    )+};
}

members_of_one_variant! {
    String = String(text) => text;
    i64 = Integer(number) => number;
    u32 = Integer(number) => u32::try_from(number).map_err(|_| Mismatch)?;
    f64 = Double(number) => number;
    Bytes = Blob(bytes) => bytes;
    TimestampMs = Timestamp(ms) => TimestampMs(ms);
    bool = Boolean(truth) => truth;
}

impl<T: FromMember> FromMember for Option<T> {
    fn from_member(value: Option<Value>) -> Result<Self, Mismatch> {
        value.map(|value| T::from_member(Some(value))).transpose()
    }
}

impl<T: FromMember> FromMember for Vec<T> {
    fn from_member(value: Option<Value>) -> Result<Self, Mismatch> {
        match value {
            Some(Value::List(items)) => items.into_iter().map(|item| T::from_member(Some(item))).collect(),
            _ => Err(Mismatch),
        }
    }
}

/// Text that does not print: access keys and tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Keeps a text secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for what has to send or store it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl FromMember for SecretText {
    fn from_member(value: Option<Value>) -> Result<Self, Mismatch> {
        String::from_member(value).map(Self)
    }
}

impl WriteMember for SecretText {
    fn write(&self, out: &mut Writer) {
        out.string(&self.0);
    }
}

/// A member that was sent, of a feature that is not served: it passed its constraints, and only that it was there is
/// kept. What it said may hold passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence;

impl FromMember for Presence {
    fn from_member(value: Option<Value>) -> Result<Self, Mismatch> {
        value.map(|_| Self).ok_or(Mismatch)
    }
}

/// A map from strings, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StringMap(pub Vec<(String, String)>);

impl FromMember for StringMap {
    fn from_member(value: Option<Value>) -> Result<Self, Mismatch> {
        match value {
            Some(Value::Map(entries)) => entries
                .into_iter()
                .map(|(key, value)| Ok((key, String::from_member(Some(value))?)))
                .collect::<Result<_, _>>()
                .map(Self),
            _ => Err(Mismatch),
        }
    }
}

impl WriteMember for StringMap {
    fn write(&self, out: &mut Writer) {
        out.begin_object();
        for (key, value) in &self.0 {
            out.dynamic_key(key);
            out.string(value);
        }
        out.end_object();
    }
}

impl WriteMember for String {
    fn write(&self, out: &mut Writer) {
        out.string(self);
    }
}

impl WriteMember for i64 {
    fn write(&self, out: &mut Writer) {
        out.integer(*self);
    }
}

impl WriteMember for u32 {
    fn write(&self, out: &mut Writer) {
        out.integer(i64::from(*self));
    }
}

impl WriteMember for f64 {
    fn write(&self, out: &mut Writer) {
        out.double(*self);
    }
}

impl WriteMember for bool {
    fn write(&self, out: &mut Writer) {
        out.boolean(*self);
    }
}

impl WriteMember for Bytes {
    fn write(&self, out: &mut Writer) {
        out.blob(self);
    }
}

impl WriteMember for TimestampMs {
    fn write(&self, out: &mut Writer) {
        out.timestamp_ms(self.0);
    }
}

impl WriteMember for TimestampSeconds {
    fn write(&self, out: &mut Writer) {
        out.timestamp_ms(self.0.div_euclid(1000) * 1000);
    }
}

impl<T: WriteMember> WriteMember for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
    fn write(&self, out: &mut Writer) {
        if let Some(value) = self {
            value.write(out);
        }
    }
}

impl<T: WriteMember> WriteMember for Vec<T> {
    fn write(&self, out: &mut Writer) {
        out.begin_array();
        for item in self {
            item.write(out);
        }
        out.end_array();
    }
}

/// Declares an enumeration of the model: the variants with their texts.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant),+
        }

        impl $name {
            /// All of them, in the model's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of that text.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl $crate::typed::FromMember for $name {
            fn from_member(value: Option<$crate::value::Value>) -> Result<Self, $crate::typed::Mismatch> {
                match value {
                    Some($crate::value::Value::String(text)) => {
                        Self::from_text(&text).ok_or($crate::typed::Mismatch)
                    }
                    _ => Err($crate::typed::Mismatch),
                }
            }
        }

        impl $crate::typed::WriteMember for $name {
            fn write(&self, out: &mut $crate::codec::Writer) {
                out.string(self.as_str());
            }
        }
    };
}

/// Declares the Rust structure of a model shape, without conversions.
macro_rules! wire_struct {
    ($(#[$doc:meta])* $name:ident = $service:ident :: $shape:ident {
        $($field:ident: $type:ty = $wire:literal),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[doc = concat!("`", $wire, "`")] pub $field: $type),*
        }

        impl $crate::typed::Structure for $name {
            fn shape() -> &'static $crate::model::Shape {
                &$crate::$service::shapes::$shape
            }
            const MEMBERS: &'static [&'static str] = &[$($wire),*];
        }
    };
}

/// Declares a structure of requests.
macro_rules! request_struct {
    ($(#[$doc:meta])* $name:ident = $service:ident :: $shape:ident {
        $($field:ident: $type:ty = $wire:literal),* $(,)?
    }) => {
        $crate::typed::wire_struct! {
            $(#[$doc])* $name = $service::$shape { $($field: $type = $wire),* }
        }
        $crate::typed::from_value! { $name { $($field = $wire),* } }
    };
}

/// Declares a structure of replies.
macro_rules! reply_struct {
    ($(#[$doc:meta])* $name:ident = $service:ident :: $shape:ident {
        $($field:ident: $type:ty = $wire:literal),* $(,)?
    }) => {
        $crate::typed::wire_struct! {
            $(#[$doc])* $name = $service::$shape { $($field: $type = $wire),* }
        }
        $crate::typed::write_value! { $name { $($field = $wire),* } }
    };
}

/// Declares a structure that requests send and replies repeat.
macro_rules! shared_struct {
    ($(#[$doc:meta])* $name:ident = $service:ident :: $shape:ident {
        $($field:ident: $type:ty = $wire:literal),* $(,)?
    }) => {
        $crate::typed::wire_struct! {
            $(#[$doc])* $name = $service::$shape { $($field: $type = $wire),* }
        }
        $crate::typed::from_value! { $name { $($field = $wire),* } }
        $crate::typed::write_value! { $name { $($field = $wire),* } }
    };
}

macro_rules! from_value {
    ($name:ident { $($field:ident = $wire:literal),* }) => {
        impl $crate::typed::FromMember for $name {
            #[allow(unused_mut, unused_variables)]
            fn from_member(value: Option<$crate::value::Value>) -> Result<Self, $crate::typed::Mismatch> {
                let mut members = $crate::typed::Members::of(value)?;
                Ok(Self { $($field: $crate::typed::FromMember::from_member(members.take($wire))?),* })
            }
        }

        impl $name {
            /// From a value that passed its shape's constraints.
            ///
            /// # Errors
            /// [`Mismatch`](crate::typed::Mismatch) if it did not pass them.
            pub fn from_value(value: $crate::value::Value) -> Result<Self, $crate::typed::Mismatch> {
                $crate::typed::FromMember::from_member(Some(value))
            }
        }
    };
}

macro_rules! write_value {
    ($name:ident { $($field:ident = $wire:literal),* }) => {
        impl $crate::typed::WriteMember for $name {
            fn write(&self, out: &mut $crate::codec::Writer) {
                out.begin_object();
                $(if !$crate::typed::WriteMember::is_absent(&self.$field) {
                    out.key($wire);
                    $crate::typed::WriteMember::write(&self.$field, out);
                })*
                out.end_object();
            }
        }

        impl $name {
            /// Its document.
            #[must_use]
            pub fn to_bytes(&self, protocol: $crate::codec::Protocol) -> Vec<u8> {
                $crate::typed::to_bytes(self, protocol)
            }
        }
    };
}

pub(crate) use {from_value, reply_struct, request_struct, shared_struct, wire_enum, wire_struct, write_value};

#[cfg(test)]
pub(crate) mod test {
    use super::Structure;
    use crate::model::{Kind, Shape};

    /// A request has all members of its shape, in its order.
    pub(crate) fn request_agrees<T: Structure>() {
        reply_agrees::<T>(&[]);
    }

    /// A reply has the members of its shape in its order, but for those that are `left_out`.
    pub(crate) fn reply_agrees<T: Structure>(left_out: &[&str]) {
        let shape = T::shape();
        let names: Vec<&str> = shape.members().iter().map(|member| member.name).collect();
        let expected: Vec<&str> = names.iter().copied().filter(|name| !left_out.contains(name)).collect();
        assert_eq!(T::MEMBERS, expected, "{}", shape.name);
        assert_eq!(names.len(), expected.len() + left_out.len(), "{}", shape.name);
    }

    pub(crate) fn enum_agrees<T: Copy>(shape: &Shape, all: &[T], text: impl Fn(T) -> &'static str) {
        let Kind::String { values, .. } = &shape.kind else { panic!("{} is no string", shape.name) };
        assert_eq!(all.iter().map(|value| text(*value)).collect::<Vec<_>>(), *values, "{}", shape.name);
    }
}
