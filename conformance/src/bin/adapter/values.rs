//! Between the suite's JSON and the SDK's structures, by the SDK's own schemas of them.

use std::collections::HashMap;

use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_smithy_schema::Schema;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeDeserializer, ShapeSerializer};
use aws_smithy_types::{BigDecimal, BigInteger, Document};
use serde_json::{Map, Value, json};

/// Half a millisecond, in ns: times are rounded to ms.
const HALF_MILLI: i128 = 500_000;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// A value of a request, for the SDK to read.
pub(crate) struct Given<'a>(&'a Value);

impl<'a> Given<'a> {
    pub(crate) fn of(value: &'a Value) -> Self {
        Self(value)
    }

    fn fits<T>(&self, schema: &Schema<'_>, value: Option<T>) -> Result<T, SerdeError> {
        let place = schema.member_name().unwrap_or_default();
        value.ok_or_else(|| {
            SerdeError::custom(format!("{place} is a {:?} in this SDK, not {}", schema.shape_type(), self.0))
        })
    }

    fn number<T: TryFrom<i64>>(&self, schema: &Schema<'_>) -> Result<T, SerdeError> {
        self.fits(schema, self.0.as_i64().and_then(|number| T::try_from(number).ok()))
    }

    fn members(&self, schema: &Schema<'_>) -> Result<&'a Map<String, Value>, SerdeError> {
        self.fits(schema, self.0.as_object())
    }
}

/// A type that no Kinesis model has used.
fn unheard_of<T>(what: &str) -> Result<T, SerdeError> {
    Err(SerdeError::unsupported(what))
}

type Consumer<'f, K> = &'f mut dyn FnMut(K, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>;

impl ShapeDeserializer for Given<'_> {
    fn read_struct(
        &mut self,
        schema: &Schema<'_>,
        consumer: &mut dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        for (name, value) in self.members(schema)? {
            match schema.member_schema(name) {
                Some(member) => consumer(member, &mut Given(value))?,
                None => return Err(SerdeError::unknown_member(name)),
            }
        }
        Ok(())
    }

    fn read_list(
        &mut self,
        schema: &Schema<'_>,
        consumer: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let list = self.fits(schema, self.0.as_array())?;
        list.iter().try_for_each(|value| consumer(&mut Given(value)))
    }

    fn read_map(&mut self, schema: &Schema<'_>, consumer: Consumer<'_, String>) -> Result<(), SerdeError> {
        self.members(schema)?.iter().try_for_each(|(key, value)| consumer(key.clone(), &mut Given(value)))
    }

    fn read_boolean(&mut self, schema: &Schema<'_>) -> Result<bool, SerdeError> {
        self.fits(schema, self.0.as_bool())
    }

    fn read_byte(&mut self, schema: &Schema<'_>) -> Result<i8, SerdeError> {
        self.number(schema)
    }

    fn read_short(&mut self, schema: &Schema<'_>) -> Result<i16, SerdeError> {
        self.number(schema)
    }

    fn read_integer(&mut self, schema: &Schema<'_>) -> Result<i32, SerdeError> {
        self.number(schema)
    }

    fn read_long(&mut self, schema: &Schema<'_>) -> Result<i64, SerdeError> {
        self.number(schema)
    }

    fn read_float(&mut self, _schema: &Schema<'_>) -> Result<f32, SerdeError> {
        unheard_of("float")
    }

    fn read_double(&mut self, schema: &Schema<'_>) -> Result<f64, SerdeError> {
        self.fits(schema, self.0.as_f64())
    }

    fn read_big_integer(&mut self, _schema: &Schema<'_>) -> Result<BigInteger, SerdeError> {
        unheard_of("big integer")
    }

    fn read_big_decimal(&mut self, _schema: &Schema<'_>) -> Result<BigDecimal, SerdeError> {
        unheard_of("big decimal")
    }

    fn read_string(&mut self, schema: &Schema<'_>) -> Result<String, SerdeError> {
        self.fits(schema, self.0.as_str().map(str::to_owned))
    }

    fn read_blob(&mut self, schema: &Schema<'_>) -> Result<Blob, SerdeError> {
        let base64 = self.0.get("$bytes").and_then(Value::as_str);
        let bytes = base64.and_then(|text| base64_simd::STANDARD.decode_to_vec(text).ok());
        self.fits(schema, bytes.map(Blob::new))
    }

    fn read_timestamp(&mut self, schema: &Schema<'_>) -> Result<DateTime, SerdeError> {
        self.fits(schema, self.0.get("$ms").and_then(Value::as_i64).map(DateTime::from_millis))
    }

    fn read_document(&mut self, _schema: &Schema<'_>) -> Result<Document, SerdeError> {
        unheard_of("document")
    }

    fn is_null(&self) -> bool {
        self.0.is_null()
    }

    fn container_size(&self) -> Option<usize> {
        None
    }
}

/// The members of a structure of the SDK, without those that it says were not sent.
pub(crate) fn members(structure: &dyn SerializableStruct) -> Result<Value, SerdeError> {
    let mut members = Map::new();
    structure.serialize_members(&mut Writer(&mut |schema, value| {
        members.insert(schema.member_name().unwrap_or_default().to_owned(), value);
    }))?;
    Ok(Value::Object(members))
}

/// Gives what the SDK writes to whatever is around it: a structure, a list, a map.
struct Writer<'a>(&'a mut dyn FnMut(&Schema<'_>, Value));

impl Writer<'_> {
    fn put(&mut self, schema: &Schema<'_>, value: impl Into<Value>) -> Result<(), SerdeError> {
        (self.0)(schema, value.into());
        Ok(())
    }
}

type Elements<'f> = &'f dyn Fn(&mut dyn ShapeSerializer) -> Result<(), SerdeError>;

impl ShapeSerializer for Writer<'_> {
    fn write_struct(&mut self, schema: &Schema<'_>, value: &dyn SerializableStruct) -> Result<(), SerdeError> {
        self.put(schema, members(value)?)
    }

    fn write_list(&mut self, schema: &Schema<'_>, write_elements: Elements<'_>) -> Result<(), SerdeError> {
        let mut list = Vec::new();
        write_elements(&mut Writer(&mut |_, value| list.push(value)))?;
        self.put(schema, list)
    }

    fn write_map(&mut self, schema: &Schema<'_>, write_entries: Elements<'_>) -> Result<(), SerdeError> {
        // Keys and values come in turn.
        let mut written = Vec::new();
        write_entries(&mut Writer(&mut |_, value| written.push(value)))?;
        let entries: HashMap<&str, &Value> =
            written.chunks_exact(2).filter_map(|entry| Some((entry.first()?.as_str()?, entry.last()?))).collect();
        self.put(schema, json!(entries))
    }

    fn write_boolean(&mut self, schema: &Schema<'_>, value: bool) -> Result<(), SerdeError> {
        self.put(schema, value)
    }

    fn write_byte(&mut self, schema: &Schema<'_>, value: i8) -> Result<(), SerdeError> {
        self.put(schema, value)
    }

    fn write_short(&mut self, schema: &Schema<'_>, value: i16) -> Result<(), SerdeError> {
        self.put(schema, value)
    }

    fn write_integer(&mut self, schema: &Schema<'_>, value: i32) -> Result<(), SerdeError> {
        self.put(schema, value)
    }

    fn write_long(&mut self, schema: &Schema<'_>, value: i64) -> Result<(), SerdeError> {
        self.put(schema, value)
    }

    fn write_float(&mut self, _schema: &Schema<'_>, _value: f32) -> Result<(), SerdeError> {
        unheard_of("float")
    }

    fn write_double(&mut self, schema: &Schema<'_>, value: f64) -> Result<(), SerdeError> {
        self.put(schema, value)
    }

    fn write_big_integer(&mut self, _schema: &Schema<'_>, _value: &BigInteger) -> Result<(), SerdeError> {
        unheard_of("big integer")
    }

    fn write_big_decimal(&mut self, _schema: &Schema<'_>, _value: &BigDecimal) -> Result<(), SerdeError> {
        unheard_of("big decimal")
    }

    fn write_string(&mut self, schema: &Schema<'_>, value: &str) -> Result<(), SerdeError> {
        self.put(schema, value)
    }

    fn write_blob(&mut self, schema: &Schema<'_>, value: Blob) -> Result<(), SerdeError> {
        self.put(schema, json!({ "$bytes": base64_simd::STANDARD.encode_to_string(value.as_ref()) }))
    }

    fn write_timestamp(&mut self, schema: &Schema<'_>, value: &DateTime) -> Result<(), SerdeError> {
        let ms = (value.as_nanos() + HALF_MILLI).div_euclid(NANOS_PER_MILLI);
        let ms = i64::try_from(ms).map_err(|error| SerdeError::custom(error.to_string()))?;
        self.put(schema, json!({ "$ms": ms }))
    }

    fn write_document(&mut self, _schema: &Schema<'_>, _value: &Document) -> Result<(), SerdeError> {
        unheard_of("document")
    }

    fn write_null(&mut self, schema: &Schema<'_>) -> Result<(), SerdeError> {
        self.put(schema, Value::Null)
    }
}
