//! Records as jaq's values.

use std::cell::Cell;

use jaq_json::{Map, Num, Rc, Val};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::bounds::number;

/// Units of one record, of 32 bytes each. A number takes 16 bytes where JSON needs two, a list or an object a hundred
/// where JSON needs two; so a record takes 64 MiB at most, whatever its text.
const UNITS: u64 = 2 * 1024 * 1024;
/// Of a text, of a list, and of the name of a member: each is an allocation of its own.
const UNITS_PER_TEXT: u64 = 3;
const UNITS_PER_OBJECT: u64 = 4;

/// Why there is no value.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is no JSON, or has more than 128 levels.
    Malformed(serde_json::Error),
    /// It would take more than a value may.
    TooLarge,
}

/// Reads one JSON text of at most 128 levels, and says how many units its values take. jaq's own parser takes more than
/// JSON, and makes integers of any size.
///
/// # Errors
/// [`ReadError`].
pub(super) fn read(json: &[u8]) -> Result<(Val, u64), ReadError> {
    let taken = Cell::new(0);
    let mut json = serde_json::Deserializer::from_slice(json);
    let value = Values(&taken).deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match value {
        Ok(value) => Ok((value, taken.get())),
        Err(_) if taken.get() > UNITS => Err(ReadError::TooLarge),
        Err(error) => Err(ReadError::Malformed(error)),
    }
}

/// With the units that were taken.
#[derive(Clone, Copy)]
struct Values<'a>(&'a Cell<u64>);

impl Values<'_> {
    fn take<E: Error>(self, units: u64) -> Result<(), E> {
        self.0.set(self.0.get() + units);
        if self.0.get() > UNITS { Err(E::custom("it takes too much memory")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        self.take(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = Val;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Val, E> {
        Ok(Val::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Val, E> {
        Ok(Val::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Val, E> {
        Ok(Val::Num(Num::from_integral(value)))
    }

    #[expect(clippy::cast_precision_loss, reason = "as jq 1.6 has it")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Val, E> {
        Ok(i64::try_from(value).map_or(Val::Num(Num::Float(value as f64)), |value| Val::Num(Num::from_integral(value))))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Val, E> {
        Ok(number(Val::Num(Num::Float(value))))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Val, E> {
        self.take(UNITS_PER_TEXT)?;
        Ok(Val::from(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Val, A::Error> {
        self.take(UNITS_PER_TEXT)?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Val::Arr(Rc::new(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Val, A::Error> {
        self.take(UNITS_PER_OBJECT)?;
        let mut map = Map::default();
        while let Some(key) = members.next_key::<String>()? {
            self.take(UNITS_PER_TEXT)?;
            map.insert(Val::from(key), members.next_value_seed(self)?);
        }
        Ok(Val::obj(map))
    }
}
