//! Records as jaq's values.

use jaq_json::{Map, Num, Rc, Val};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::bounds::number;

/// Reads one JSON text of at most 128 levels. jaq's own parser takes more than JSON, and makes integers of any size.
///
/// # Errors
/// Where it is malformed.
pub(super) fn read(json: &[u8]) -> Result<Val, serde_json::Error> {
    serde_json::from_slice::<Input>(json).map(|Input(value)| value)
}

struct Input(Val);

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values).map(Self)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
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
        Ok(Val::from(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Val, A::Error> {
        let mut values = Vec::new();
        while let Some(Input(value)) = elements.next_element()? {
            values.push(value);
        }
        Ok(Val::Arr(Rc::new(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Val, A::Error> {
        let mut map = Map::default();
        while let Some((key, Input(value))) = members.next_entry::<String, Input>()? {
            map.insert(Val::from(key), value);
        }
        Ok(Val::obj(map))
    }
}
