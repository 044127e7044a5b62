//! Strategic merge patch: the patch format of `kubectl apply`, `edit`, `set` and `rollout undo` for built-in types.
//!
//! Lists with a patch merge key (`schema`) are merged by key, sets of plain values united; `$patch: delete|replace`,
//! `$deleteFromPrimitiveList/...`, `$retainKeys` and `$setElementOrder/...` are honoured.

use serde_json::{Map, Value};

use super::schema;

/// Merges `patch` into `target`.
pub fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    merge_map(target, patch);
}

fn merge_map(target: &mut Value, patch: &Map<String, Value>) {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("delete") => {
            *target = Value::Null;
            return;
        }
        Some("replace") => {
            *target = without_directives(patch);
            return;
        }
        _ => {}
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return };
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|key, _| keep.iter().any(|kept| kept == key.as_str()));
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            delete_primitives(map.get_mut(field), value);
        } else if !key.starts_with('$') {
            merge_field(map, key, value);
        }
    }
    for (key, order) in patch {
        if let Some(field) = key.strip_prefix("$setElementOrder/")
            && let (Some(list), Some(order)) = (map.get_mut(field).and_then(Value::as_array_mut), order.as_array())
        {
            reorder(field, list, order);
        }
    }
}

fn merge_field(map: &mut Map<String, Value>, key: &str, value: &Value) {
    match value {
        Value::Null => {
            map.remove(key);
        }
        Value::Object(inner) => {
            let slot = map.entry(key).or_insert(Value::Null);
            merge_map(slot, inner);
            if slot.is_null() {
                map.remove(key);
            }
        }
        Value::Array(items) => {
            let slot = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            merge_list(key, slot, items);
        }
        plain => {
            map.insert(key.to_owned(), plain.clone());
        }
    }
}

fn merge_list(field: &str, target: &mut Value, items: &[Value]) {
    let Some(list) = target.as_array_mut() else {
        *target = Value::Array(items.to_vec());
        return;
    };
    if schema::is_set(field) {
        for item in items {
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
        return;
    }
    let replace = items.iter().any(|item| item.get("$patch").is_some_and(|directive| directive == "replace"));
    let merge_key = schema::patch_merge_key(field, items).or_else(|| schema::patch_merge_key(field, list));
    let Some(merge_key) = merge_key.filter(|_| !replace) else {
        *list = items.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
        return;
    };
    for item in items {
        let found =
            list.iter().position(|present| present.get(merge_key).is_some() && present.get(merge_key) == item.get(merge_key));
        let deleting = item.get("$patch").is_some_and(|directive| directive == "delete");
        match (found, deleting) {
            (Some(position), true) => {
                list.remove(position);
            }
            (Some(position), false) => {
                if let (Some(present), Some(patch)) = (list.get_mut(position), item.as_object()) {
                    merge_map(present, patch);
                }
            }
            (None, true) => {}
            (None, false) => list.push(item.as_object().map_or_else(|| item.clone(), fresh)),
        }
    }
}

/// A patch that has nothing to merge with, as an object: nulls and directives dropped.
fn fresh(patch: &Map<String, Value>) -> Value {
    let mut target = Value::Object(Map::new());
    merge_map(&mut target, patch);
    target
}

fn without_directives(patch: &Map<String, Value>) -> Value {
    let kept = patch.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn delete_primitives(list: Option<&mut Value>, gone: &Value) {
    if let (Some(list), Some(gone)) = (list.and_then(Value::as_array_mut), gone.as_array()) {
        list.retain(|item| !gone.contains(item));
    }
}

/// Puts the ordered items first, in that order; what the order does not name keeps its place behind them.
fn reorder(field: &str, list: &mut [Value], order: &[Value]) {
    let merge_key = schema::patch_merge_key(field, list);
    let rank = |item: &Value| {
        let same = |wanted: &Value| match merge_key {
            Some(key) => wanted.get(key).is_some() && wanted.get(key) == item.get(key),
            None => wanted == item,
        };
        order.iter().position(same).unwrap_or(usize::MAX)
    };
    list.sort_by_key(rank);
}
