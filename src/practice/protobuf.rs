//! Request bodies in Kubernetes' protobuf, which kubectl's typed clients send.
//!
//! The server answers in JSON (every client accepts it), so only decoding is needed, and only for the messages listed in
//! [`MESSAGES`]: what `kubectl auth`, `drain`, `autoscale`, `create`, `run` and `debug` send. A body with a field that is not listed is refused
//! rather than half understood.

use chrono::DateTime;
use serde_json::{Map, Value, json};

mod messages;

use messages::{Field, MESSAGES, PODS};

/// Decodes a body that begins with Kubernetes' protobuf magic; none for anything else, or for a kind not in the table.
pub fn decode(body: &[u8]) -> Option<Value> {
    let envelope = message("Unknown", body.strip_prefix(b"k8s\0")?)?;
    let kind = super::json::text(&envelope, "typeMeta.kind").to_owned();
    let raw = super::base64::decode(super::json::text(&envelope, "raw"))?;
    let versioned = format!("{kind} {}", super::json::text(&envelope, "typeMeta.apiVersion"));
    let mut object = message(&versioned, &raw).or_else(|| message(&kind, &raw))?;
    super::json::set(&mut object, "kind", kind);
    super::json::set(&mut object, "apiVersion", super::json::text(&envelope, "typeMeta.apiVersion"));
    Some(object)
}

fn message(name: &str, mut bytes: &[u8]) -> Option<Value> {
    let fields = MESSAGES.iter().chain(PODS).find(|(of, _)| *of == name)?.1;
    let mut object = Map::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let (number, wire) = (tag >> 3, tag & 7);
        let (scalar, data): (u64, &[u8]) = match wire {
            0 => (varint(&mut bytes)?, &[]),
            1 => (0, take(&mut bytes, 8)?),
            2 => {
                let length = varint(&mut bytes)? as usize;
                (0, take(&mut bytes, length)?)
            }
            5 => (0, take(&mut bytes, 4)?),
            _ => return None,
        };
        match fields.iter().find(|(of, _, _)| *of == number) {
            Some((_, name, field)) => put(&mut object, name, *field, scalar, data)?,
            None if is_zero(scalar, data) => {}
            None => return None,
        }
    }
    Some(Value::Object(object))
}

/// Whether an unlisted field says nothing: zero, or messages that are empty all the way down (an unset time, a zero status).
fn is_zero(scalar: u64, data: &[u8]) -> bool {
    scalar == 0 && (data.is_empty() || nested_zero(data).unwrap_or(false))
}

fn nested_zero(mut bytes: &[u8]) -> Option<bool> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let zero = match tag & 7 {
            0 => varint(&mut bytes)? == 0,
            2 => {
                let length = varint(&mut bytes)? as usize;
                is_zero(0, take(&mut bytes, length)?)
            }
            _ => false,
        };
        if !zero {
            return Some(false);
        }
    }
    Some(true)
}

/// Writes one decoded field; empty strings stay out, as JSON's `omitempty` leaves them out.
fn put(object: &mut Map<String, Value>, name: &str, field: Field, scalar: u64, data: &[u8]) -> Option<()> {
    let text = || String::from_utf8_lossy(data).into_owned();
    match field {
        Field::Text if data.is_empty() => {}
        Field::Text => drop(object.insert(name.to_owned(), json!(text()))),
        Field::Bytes => drop(object.insert(name.to_owned(), json!(super::base64::encode(data)))),
        Field::Count | Field::Bool if scalar == 0 => {}
        Field::Integer | Field::Count => drop(object.insert(name.to_owned(), json!(scalar as i64))),
        Field::Bool => drop(object.insert(name.to_owned(), json!(true))),
        Field::Flag => drop(object.insert(name.to_owned(), json!(scalar != 0))),
        Field::Message(kind) => drop(object.insert(name.to_owned(), message(kind, data)?)),
        Field::Texts => push(object, name, json!(text())),
        Field::IntOrText => {
            let either = message("IntOrString", data)?;
            let chosen = either.get("strVal").or_else(|| either.get("intVal")).cloned();
            object.extend(chosen.filter(|value| *value != json!(0)).map(|value| (name.to_owned(), value)));
        }
        Field::Ignored => {}
        Field::Inline(kind) => {
            if let Value::Object(inner) = message(kind, data)? {
                object.extend(inner);
            }
        }
        Field::Time => {
            let seconds = message("Time", data)?.get("seconds").and_then(Value::as_i64).unwrap_or(0);
            let time = DateTime::from_timestamp(seconds, 0).filter(|_| seconds > 0);
            object.extend(time.map(|time| (name.to_owned(), json!(super::clock::timestamp(time)))));
        }
        Field::Quantity => {
            let quantity = message("Quantity", data)?.get("string").cloned();
            object.extend(quantity.map(|quantity| (name.to_owned(), quantity)));
        }
        Field::QuantityMap => {
            let entry = message("QuantityEntry", data)?;
            let key = super::json::text(&entry, "key").to_owned();
            super::json::object_mut(object.entry(name).or_insert(Value::Null), "")
                .insert(key, json!(super::json::text(&entry, "value.string")));
        }
        Field::Messages(kind) => push(object, name, message(kind, data)?),
        Field::TextMap | Field::BytesMap => {
            let kind = if matches!(field, Field::TextMap) { "Entry" } else { "BytesEntry" };
            let entry = message(kind, data)?;
            let key = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = entry.get("value").cloned().unwrap_or_else(|| json!(""));
            if let Value::Object(map) = object.entry(name).or_insert_with(|| json!({})) {
                map.insert(key, value);
            }
        }
    }
    Some(())
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) {
    if let Value::Array(list) = object.entry(name).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}
