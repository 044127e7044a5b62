//! The inverse of [`super::read`]: the JSON object as its message, as the API server writes it.
//!
//! Numbers, truths and texts that are no pointers in Go are written even when they are zero, because Go writes them. What the schema
//! has no number for is left out.

use base64::Engine as _;
use chrono::DateTime;
use serde_json::Value;

use super::schema::{Field, FieldKind, Form, Message, schema};
use super::wire::{put_data, put_message, put_number};

/// The JSON object as bytes of `message`.
pub fn write(message: &Message, object: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    put_fields(&mut out, message, object);
    out
}

fn put_fields(out: &mut Vec<u8>, message: &Message, object: &Value) {
    for field in &message.fields {
        if field.is_inline {
            put_one(out, field.number, field, object);
            continue;
        }
        match (field.form, object.get(field.name)) {
            (Form::One, None | Some(Value::Null)) => put_zero(out, field),
            (Form::One, Some(value)) => put_one(out, field.number, field, value),
            (Form::List, value) => {
                for element in value.and_then(Value::as_array).into_iter().flatten() {
                    put_one(out, field.number, field, element);
                }
            }
            (Form::Map, value) => {
                for (key, value) in value.and_then(Value::as_object).into_iter().flatten() {
                    put_message(out, field.number, |out| {
                        put_data(out, 1, key.as_bytes());
                        put_one(out, 2, field, value);
                    });
                }
            }
        }
    }
}

/// What Go writes for a value that is not there and is no pointer.
fn put_zero(out: &mut Vec<u8>, field: &Field) {
    match field.kind {
        _ if field.keeps_zero => {}
        FieldKind::Text => put_data(out, field.number, b""),
        FieldKind::Bool | FieldKind::Int => put_number(out, field.number, 0),
        _ => {}
    }
}

fn put_one(out: &mut Vec<u8>, number: u32, field: &Field, value: &Value) {
    let text = || value.as_str().unwrap_or_default();
    match field.kind {
        FieldKind::Text => put_data(out, number, text().as_bytes()),
        FieldKind::Bytes => {
            put_data(out, number, &base64::engine::general_purpose::STANDARD.decode(text()).unwrap_or_default());
        }
        FieldKind::Bool => put_number(out, number, u64::from(value.as_bool().unwrap_or_default())),
        FieldKind::Int => put_number(out, number, integer(value).cast_unsigned()),
        FieldKind::Time | FieldKind::MicroTime => put_message(out, number, |out| put_time(out, text())),
        FieldKind::Quantity => {
            let plain = || value.as_number().map(ToString::to_string).unwrap_or_default();
            let written = value.as_str().map_or_else(plain, str::to_owned);
            put_message(out, number, |out| put_data(out, 1, written.as_bytes()));
        }
        FieldKind::IntOrText => put_message(out, number, |out| {
            put_number(out, 1, u64::from(value.is_string()));
            put_number(out, 2, integer(value).cast_unsigned());
            put_data(out, 3, text().as_bytes());
        }),
        FieldKind::Json => put_message(out, number, |out| put_data(out, 1, value.to_string().as_bytes())),
        FieldKind::Texts => put_message(out, number, |out| {
            for element in value.as_array().into_iter().flatten() {
                put_data(out, 1, element.as_str().unwrap_or_default().as_bytes());
            }
        }),
        FieldKind::Message(place) => put_message(out, number, |out| {
            if let Some(message) = schema().at(place) {
                put_fields(out, message, value);
            }
        }),
    }
}

fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn put_time(out: &mut Vec<u8>, text: &str) {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        put_number(out, 1, at.timestamp().cast_unsigned());
        put_number(out, 2, u64::from(at.timestamp_subsec_nanos()));
    }
}
