//! Editing an object as text: what was changed, as a merge patch on the version that was read; refused if it changed meanwhile.

use serde_json::{Map, Value};

use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command, warnings};
use crate::changes::{DiffLine, redact};
use crate::kinds::ObjectRef;

/// Plans [`Intent::Edit`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::Edit { object, .. } = intent else { return None };
    Some(vec![ObjectRequest::Object(object.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::Edit { object, patch } = intent else { return None };
    Some(facts.objects.require_living(object).and_then(|full| build(intent, full, object, &patch.0)))
}

fn build(intent: &Intent, full: &Value, object: &ObjectRef, patch: &str) -> Result<Plan, Refusal> {
    let patch: Value = serde_json::from_str(patch).map_err(|error| Refusal(format!("the change cannot be read: {error}")))?;
    let mut after = full.clone();
    merge(&mut after, &patch);
    let mut diff = Vec::new();
    differences("", full, &after, &mut diff);
    diff.retain(|line| line.field != "metadata.resourceVersion");
    if diff.is_empty() {
        return Err(Refusal(format!("{object} is already like that")));
    }
    let kubectl = equivalent(object, &patch);
    let back = difference(&after, full).map(strip_version);
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Edit  {object}"),
        writes: vec![Write { target: object.clone(), subresource: None, verb: WriteVerb::MergePatch(patch) }],
        kubectl,
        diff,
        warnings: warnings::owners(full, "it").into_iter().collect(),
        way_back: back.map(|patch| Intent::Edit { object: object.clone(), patch: super::Patch(patch.to_string()) }),
    })
}

/// The patch as a command where it is short, of maps only and shows nothing that is hidden elsewhere; else `kubectl edit`.
fn equivalent(object: &ObjectRef, patch: &Value) -> String {
    let text = patch.to_string();
    if text.len() > 200 || !is_plain("", patch) {
        return command::kubectl("edit", object, &[]);
    }
    command::kubectl("patch", object, &["--type=merge".to_owned(), "-p".to_owned(), text])
}

fn is_plain(key: &str, value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().all(|(key, value)| is_plain(key, value)),
        Value::Array(_) => false,
        Value::String(text) => shown(key, value).as_deref() == Some(text) && key != "resourceVersion",
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn strip_version(mut patch: Value) -> Value {
    if let Some(meta) = patch.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        meta.remove("resourceVersion");
    }
    patch
}

/// What an editor changed in an object's YAML, as JSON of a merge patch that holds for the version that was read only.
/// `None`: nothing was changed.
///
/// # Errors
/// One sentence: it is no YAML any more, or is of another object.
pub fn patch_of(before: &str, after: &str) -> Result<Option<String>, String> {
    // The lines after the first draw the place; here there is one line.
    let read = |text: &str| {
        serde_saphyr::from_str::<Value>(text).map_err(|error| {
            let error = error.to_string();
            let why = error.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("what was written is no YAML ({why})")
        })
    };
    let (before, after) = (read(before)?, read(after)?);
    for field in ["/kind", "/apiVersion", "/metadata/name", "/metadata/namespace"] {
        if before.pointer(field) != after.pointer(field) {
            return Err(format!(
                "{} cannot be changed: that would be another object",
                field.trim_start_matches('/').replace('/', ".")
            ));
        }
    }
    let Some(mut patch) = difference(&before, &after) else { return Ok(None) };
    if let (Some(version), Some(patch)) = (before.pointer("/metadata/resourceVersion"), patch.as_object_mut()) {
        let meta = patch.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        meta["resourceVersion"] = version.clone();
    }
    Ok(Some(patch.to_string()))
}

/// The merge patch (RFC 7396) that makes `after` of `before`; `None` when they are equal.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        match old.get(key) {
            Some(was) => {
                if let Some(change) = difference(was, value) {
                    patch.insert(key.clone(), change);
                }
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    Some(Value::Object(patch))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// A line for each leaf that differs, list items by their place; passwords are not shown.
fn differences(path: &str, old: &Value, new: &Value, lines: &mut Vec<DiffLine>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
            for key in keys {
                let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(&at, before.get(key).unwrap_or(&Value::Null), after.get(key).unwrap_or(&Value::Null), lines);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for at in 0..before.len().max(after.len()) {
                let item = |list: &[Value]| list.get(at).cloned().unwrap_or(Value::Null);
                differences(&format!("{path}[{at}]"), &item(before), &item(after), lines);
            }
        }
        _ => lines.push(DiffLine { field: path.to_owned(), old: shown(path, old), new: shown(path, new) }),
    }
}

fn shown(path: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(redact::value(path.rsplit('.').next().unwrap_or(path), &redact::text(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str =
        "kind: Deployment\nmetadata:\n  name: web\n  resourceVersion: '7'\n  labels: {a: x, b: y}\nspec:\n  replicas: 3\n";

    #[test]
    fn only_what_was_changed_is_written_and_only_to_the_version_that_was_read() {
        let after = BEFORE.replace("replicas: 3", "replicas: 4").replace(", b: y", "");
        let patch: Value = serde_json::from_str(&patch_of(BEFORE, &after).unwrap().unwrap()).unwrap();
        let expected = serde_json::json!({"metadata": {"labels": {"b": null}, "resourceVersion": "7"}, "spec": {"replicas": 4}});
        assert_eq!(patch, expected);
        assert_eq!(patch_of(BEFORE, BEFORE), Ok(None));
    }

    #[test]
    fn another_object_and_no_yaml_are_refused() {
        assert!(patch_of(BEFORE, &BEFORE.replace("name: web", "name: api")).unwrap_err().starts_with("metadata.name cannot"));
        assert!(patch_of(BEFORE, "kind: [").unwrap_err().starts_with("what was written is no YAML"));
    }

    #[test]
    fn a_patch_and_its_way_back_cancel_out_and_the_diff_names_leaves() {
        let before = serde_json::json!({"spec": {"a": 1, "gone": true, "list": [{"image": "x"}, {"image": "y"}]}});
        let after = serde_json::json!({"spec": {"a": 2, "new": "z", "list": [{"image": "x"}, {"image": "z"}]}});
        let mut value = before.clone();
        merge(&mut value, &difference(&before, &after).unwrap());
        assert_eq!(value, after);
        merge(&mut value, &difference(&after, &before).unwrap());
        assert_eq!(value, before);
        let mut lines = Vec::new();
        differences("", &before, &after, &mut lines);
        let fields: Vec<&str> = lines.iter().map(|line| &*line.field).collect();
        assert_eq!(fields, ["spec.a", "spec.gone", "spec.list[1].image", "spec.new"]);
    }
}
