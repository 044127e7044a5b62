//! Server-side apply: merging a configuration into an object, ownership and conflicts.
//!
//! Source: `sigs.k8s.io/structured-merge-diff`. The applier owns exactly what the configuration names; what it owned before and
//! no longer names is removed, unless somebody else owns it too; a field somebody else owns with another value is a conflict.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::fields::FieldSet;
use super::json::set;
use super::managed::{self, Entry};
use super::schema;
use super::status::Status;
use super::store::Writer;

/// Applies `config` to `live` (none for an object that does not exist yet): the merged object with its managedFields, or 409.
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    writer: &Writer<'_>,
    force: bool,
    now: DateTime<Utc>,
) -> Result<Value, Status> {
    let bare = managed::bare(config);
    let wanted = FieldSet::of(&bare);
    let Some(live) = live else {
        let mut object = config.clone();
        let entry = managed::new_entry(&object, writer, wanted, now);
        managed::store_entries(&mut object, vec![entry]);
        return Ok(object);
    };
    let mut merged = live.clone();
    merge(&mut merged, &bare, "");
    let changed = FieldSet::changed(Some(&managed::bare(live)), &managed::bare(&merged));
    let mut entries = managed::entries(live);
    let mut contested = changed.intersection(&wanted);
    if writer.manager == "kubectl" {
        contested.subtract(&last_applied(live));
    }
    let conflicts = conflicts(&entries, writer, &contested);
    if !conflicts.is_empty() && !force {
        return Err(Status::apply_conflict(&conflicts));
    }
    let before = entries.iter().position(|entry| entry.is_of(writer)).map(|position| entries.remove(position));
    for entry in &mut entries {
        entry.fields.subtract(&changed);
    }
    if let Some(before) = &before {
        let mut abandoned = before.fields.clone();
        abandoned.subtract(&wanted);
        for entry in &entries {
            abandoned.subtract(&entry.fields);
        }
        abandoned.remove_from(&mut merged);
    }
    let mut entry = managed::new_entry(&merged, writer, wanted, now);
    if let Some(before) = before.filter(|before| before.fields == entry.fields && changed.is_empty()) {
        entry.time = before.time;
    }
    entries.push(entry);
    managed::store_entries(&mut merged, entries);
    Ok(merged)
}

/// The fields that `kubectl apply` set without server-side apply: kubectl takes those over without a conflict, so that people
/// can move from the one to the other (`fieldmanager/lastappliedmanager.go`).
fn last_applied(live: &Value) -> FieldSet {
    let annotations = live.pointer("/metadata/annotations");
    let written = annotations.and_then(|all| all.get("kubectl.kubernetes.io/last-applied-configuration")?.as_str());
    let config: Option<Value> = written.and_then(|written| serde_json::from_str(written).ok());
    config.map_or_else(FieldSet::default, |config| FieldSet::of(&managed::bare(&config)))
}

fn conflicts(entries: &[Entry], writer: &Writer<'_>, changed: &FieldSet) -> Vec<(String, String)> {
    let others = entries.iter().filter(|entry| entry.manager != writer.manager);
    others
        .flat_map(|entry| {
            let described = entry.described();
            let paths = entry.fields.intersection(changed).leaves();
            paths.into_iter().map(move |path| (path, described.clone()))
        })
        .collect()
}

/// Merges by schema: maps key by key, associative lists item by item, everything else replaced.
fn merge(target: &mut Value, config: &Value, field: &str) {
    match config {
        Value::Object(map) if !schema::is_atomic_map(field) && target.is_object() => {
            let Some(target) = target.as_object_mut() else { return };
            for (key, value) in map {
                merge(target.entry(key).or_insert(Value::Null), value, key);
            }
        }
        Value::Array(items) if target.is_array() && schema::is_set(field) => {
            if let Some(target) = target.as_array_mut() {
                let new: Vec<Value> = items.iter().filter(|item| !target.contains(item)).cloned().collect();
                target.extend(new);
            }
        }
        Value::Array(items) if target.is_array() => match schema::list_map_keys(field, items) {
            Some(keys) => merge_items(target, keys, items),
            None => *target = config.clone(),
        },
        _ => *target = config.clone(),
    }
}

fn merge_items(target: &mut Value, keys: &[&str], items: &[Value]) {
    let Some(list) = target.as_array_mut() else { return };
    for item in items {
        let key = schema::item_key(keys, item);
        match list.iter_mut().find(|present| schema::item_key(keys, present) == key) {
            Some(present) => merge(present, item, ""),
            None => list.push(item.clone()),
        }
    }
}

/// The configuration with the kind and version of the request, so that managedFields name the right version.
pub fn prepare(mut config: Value, api_version: &str, kind: &str, name: &str) -> Value {
    set(&mut config, "apiVersion", api_version);
    set(&mut config, "kind", kind);
    set(&mut config, "metadata.name", json!(name));
    config
}
