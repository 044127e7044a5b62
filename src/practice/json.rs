//! Reading and editing JSON objects by path, without panics: what every part of the practice cluster does all day.

use serde_json::{Map, Value};

/// The value at a dotted path of object keys, such as `metadata.name`; null counts as absent.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let found = path.split('.').try_fold(value, |value, key| value.get(key))?;
    (!found.is_null()).then_some(found)
}

/// The string at a dotted path, or the empty string.
pub fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a dotted path.
pub fn integer(value: &Value, path: &str) -> Option<i64> {
    at(value, path).and_then(Value::as_i64)
}

/// The items of the array at a dotted path; none when it is absent.
pub fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The object at a dotted path, made (with its parents) where it is missing or not an object.
pub fn object_mut<'a>(value: &'a mut Value, path: &str) -> &'a mut Map<String, Value> {
    let mut current = ensure_object(value);
    for key in path.split('.').filter(|key| !key.is_empty()) {
        current = ensure_object(current.entry(key).or_insert(Value::Null));
    }
    current
}

/// Writes `new` at a dotted path, making the objects on the way.
pub fn set(value: &mut Value, path: &str, new: impl Into<Value>) {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    object_mut(value, parent).insert(key.to_owned(), new.into());
}

/// Writes `new` at a dotted path unless something other than null is there.
pub fn set_default(value: &mut Value, path: &str, new: impl Into<Value>) {
    if at(value, path).is_none() {
        set(value, path, new);
    }
}

/// Removes the value at a dotted path, if it is there.
pub fn remove(value: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut current = value;
    for part in parent.split('.').filter(|part| !part.is_empty()) {
        current = current.get_mut(part)?;
    }
    current.as_object_mut()?.remove(key)
}

fn ensure_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object just above"),
    }
}
