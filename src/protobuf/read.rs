//! A serde deserializer over a message: it looks like the JSON object the message stands for.
//!
//! Fields that are not read are skipped by their length. Zero values of what is no pointer in Go are left out, as `omitempty` leaves
//! them out of JSON. Invariant: nothing is copied but what the reader keeps.

use std::fmt;

use base64::Engine as _;
use serde::de::{self, Deserialize, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::schema::{Field, FieldKind, Form, Message, schema};
use super::values;
use super::wire::{self, Malformed, Raw};

/// The bytes are no such message, or a field is not what the reader expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Self("a message is cut off".to_owned())
    }
}

/// Reads a message as a type that serde reads from the JSON object it stands for.
///
/// # Errors
/// The bytes are cut off, or a field is not of the type the reader expects.
pub fn read<'de, T: Deserialize<'de>>(message: &'static Message, bytes: &'de [u8]) -> Result<T, Error> {
    T::deserialize(Value::Message(message, bytes))
}

/// The name of a new type by which a reader says that it takes a time as microseconds since 1970.
pub const TIME: &str = "k3am::Time";

/// A value, still as bytes.
#[derive(Clone, Copy)]
enum Value<'de> {
    Message(&'static Message, &'de [u8]),
    /// Fields of one number in a row, and how many.
    Several(&'static Field, &'de [u8], usize),
    One(&'static Field, Raw<'de>),
}

fn text(data: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(data).map_err(|_| Error("text that is not UTF-8".to_owned()))
}

fn message(place: usize) -> Result<&'static Message, Error> {
    schema().at(place).ok_or_else(|| Error("no such message".to_owned()))
}

/// The field of that number in a small message.
fn field(mut bytes: &[u8], number: u32) -> Result<Option<Raw<'_>>, Malformed> {
    let mut found = None;
    while let Some(raw) = wire::next(&mut bytes)? {
        if raw.number == number {
            found = Some(raw);
        }
    }
    Ok(found)
}

impl<'de> Value<'de> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Message(message, rest) => visitor.visit_map(Fields { message, rest, outer: Vec::new(), value: None }),
            Self::Several(field, rest, _) if field.form == Form::Map => visitor.visit_map(Entries { field, rest, value: &[] }),
            Self::Several(field, rest, left) => visitor.visit_seq(Elements { field, rest, left }),
            Self::One(field, raw) => one(field.kind, raw, visitor),
        }
    }
}

fn one<'de, V: Visitor<'de>>(kind: FieldKind, raw: Raw<'de>, visitor: V) -> Result<V::Value, Error> {
    match kind {
        FieldKind::Text => visitor.visit_borrowed_str(text(raw.data)?),
        FieldKind::Bytes => visitor.visit_string(base64::engine::general_purpose::STANDARD.encode(raw.data)),
        FieldKind::Bool => visitor.visit_bool(raw.scalar != 0),
        FieldKind::Int => visitor.visit_i64(raw.scalar.cast_signed()),
        FieldKind::Time => match values::time(raw.data) {
            Some(at) => visitor.visit_str(values::seconds_text(at, &mut [0; 20]).unwrap_or_default()),
            None => visitor.visit_unit(),
        },
        FieldKind::MicroTime => match values::time(raw.data) {
            Some(at) => visitor.visit_string(values::micros_text(at)),
            None => visitor.visit_unit(),
        },
        FieldKind::Quantity => visitor.visit_borrowed_str(text(field(raw.data, 1)?.map_or(&[], |raw| raw.data))?),
        FieldKind::IntOrText => match field(raw.data, 1)?.map_or(0, |raw| raw.scalar) {
            0 => visitor.visit_i64(field(raw.data, 2)?.map_or(0, |raw| raw.scalar).cast_signed()),
            _ => visitor.visit_borrowed_str(text(field(raw.data, 3)?.map_or(&[], |raw| raw.data))?),
        },
        FieldKind::Json => {
            let json = field(raw.data, 1)?.map_or(&[] as &[u8], |raw| raw.data);
            if json.is_empty() {
                return visitor.visit_unit();
            }
            let mut inner = serde_json::Deserializer::from_slice(json);
            de::Deserializer::deserialize_any(&mut inner, visitor).map_err(de::Error::custom)
        }
        FieldKind::Texts => visitor.visit_seq(Texts { rest: raw.data }),
        FieldKind::Message(place) => Value::Message(message(place)?, raw.data).visit(visitor),
    }
}

impl<'de> de::Deserializer<'de> for Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(visitor)
    }

    /// What is written is there, but for a time that is not set.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::One(Field { kind: FieldKind::Time | FieldKind::MicroTime, .. }, Raw { data: [], .. }) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// A reader that asks for [`TIME`] gets a time as microseconds, not as JSON's text.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == TIME
            && let Self::One(Field { kind: FieldKind::Time | FieldKind::MicroTime, .. }, raw) = self
            && let Some(at) = values::time(raw.data)
        {
            return visitor.visit_i64(at.timestamp_micros());
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::One(Field { kind: FieldKind::Text, .. }, raw) => visitor.visit_enum(text(raw.data)?.into_deserializer()),
            _ => Err(de::Error::custom("not a text")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

/// A message as a map by the names of JSON.
struct Fields<'de> {
    message: &'static Message,
    rest: &'de [u8],
    /// The messages around an inline one.
    outer: Vec<(&'static Message, &'de [u8])>,
    value: Option<Value<'de>>,
}

impl<'de> Fields<'de> {
    /// The next field that says something.
    fn advance(&mut self) -> Result<Option<(&'static Field, Value<'de>)>, Error> {
        loop {
            let before = self.rest;
            let Some(raw) = wire::next(&mut self.rest)? else {
                let Some((message, rest)) = self.outer.pop() else { return Ok(None) };
                (self.message, self.rest) = (message, rest);
                continue;
            };
            let Some(field) = self.message.field(raw.number) else { continue };
            if field.form != Form::One {
                let (run, many) = self.run(before, raw.number)?;
                return Ok(Some((field, Value::Several(field, run, many))));
            }
            match field.kind {
                FieldKind::Message(place) if field.is_inline => {
                    self.outer.push((self.message, self.rest));
                    (self.message, self.rest) = (message(place)?, raw.data);
                }
                FieldKind::Text if raw.data.is_empty() && !field.keeps_zero => {}
                FieldKind::Bool | FieldKind::Int if raw.scalar == 0 && !field.keeps_zero => {}
                FieldKind::Time | FieldKind::MicroTime | FieldKind::Json if raw.data.is_empty() => {}
                _ => return Ok(Some((field, Value::One(field, raw)))),
            }
        }
    }

    /// The bytes from `before` to the end of the fields of that number that follow each other, and how many they are.
    fn run(&mut self, before: &'de [u8], number: u32) -> Result<(&'de [u8], usize), Error> {
        let mut many = 1;
        loop {
            let mut ahead = self.rest;
            match wire::next(&mut ahead)? {
                Some(raw) if raw.number == number => self.rest = ahead,
                _ => break,
            }
            many += 1;
        }
        Ok((before.get(..before.len() - self.rest.len()).unwrap_or_default(), many))
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((field, value)) = self.advance()? else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(de::value::BorrowedStrDeserializer::new(field.name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().ok_or_else(|| Error("a value without a name".to_owned()))?;
        seed.deserialize(value)
    }
}

/// A list.
struct Elements<'de> {
    field: &'static Field,
    rest: &'de [u8],
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(raw) = wire::next(&mut self.rest)? else { return Ok(None) };
        self.left = self.left.saturating_sub(1);
        seed.deserialize(Value::One(self.field, raw)).map(Some)
    }

    /// So that a list is allocated once.
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A list of strings in a message of its own.
struct Texts<'de> {
    rest: &'de [u8],
}

impl<'de> SeqAccess<'de> for Texts<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(raw) = wire::next(&mut self.rest)? else { return Ok(None) };
        seed.deserialize(de::value::BorrowedStrDeserializer::new(text(raw.data)?)).map(Some)
    }
}

/// A map: entries of a key and a value.
struct Entries<'de> {
    field: &'static Field,
    rest: &'de [u8],
    value: &'de [u8],
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(entry) = wire::next(&mut self.rest)? else { return Ok(None) };
        let key = field(entry.data, 1)?.map_or(&[] as &[u8], |raw| raw.data);
        self.value = field(entry.data, 2)?.map_or(&[], |raw| raw.data);
        seed.deserialize(de::value::BorrowedStrDeserializer::new(text(key)?)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Value::One(self.field, Raw { number: 2, scalar: 0, data: self.value }))
    }
}
