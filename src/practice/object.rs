//! Reading and writing API objects as plain JSON, with the few Kubernetes notions every controller needs.
//!
//! Invariant: nothing here panics on an odd object; a missing field reads as empty. Add a helper here when two controllers need it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// The value at a JSON pointer, `null` when absent.
pub fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&Value::Null)
}

/// The string at a JSON pointer, empty when absent.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).as_str().unwrap_or_default()
}

/// The integer at a JSON pointer.
pub fn int(object: &Value, pointer: &str) -> Option<i64> {
    at(object, pointer).as_i64()
}

/// The array at a JSON pointer, empty when absent.
pub fn items<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    at(object, pointer).as_array().map_or(&[], Vec::as_slice)
}

/// The object at a JSON pointer, empty when absent.
pub fn fields<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    at(object, pointer).as_object().into_iter().flatten()
}

/// The RFC 3339 time at a JSON pointer.
pub fn time(object: &Value, pointer: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text(object, pointer)).ok().map(|time| time.with_timezone(&Utc))
}

/// A time as the API server writes it: whole seconds, `Z`.
pub fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time with microseconds, as new-style events and leases carry it.
pub fn micro_stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`, empty for cluster-scoped objects.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether deletion has been asked for.
pub fn is_deleting(object: &Value) -> bool {
    at(object, "/metadata/deletionTimestamp").is_string()
}

/// An annotation, empty when absent.
pub fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    at(object, "/metadata/annotations").get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The controlling owner reference (`controller: true`).
pub fn controller(object: &Value) -> Option<&Value> {
    items(object, "/metadata/ownerReferences").iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

/// The uid of the controlling owner, empty when there is none.
pub fn controller_uid(object: &Value) -> &str {
    controller(object).map_or("", |owner| text(owner, "/uid"))
}

/// A controller's owner reference to `owner`, as kube-controller-manager writes it.
pub fn owner_reference(owner: &Value, api_version: &str, kind: &str) -> Value {
    json!({
        "apiVersion": api_version, "blockOwnerDeletion": true, "controller": true,
        "kind": kind, "name": name(owner), "uid": uid(owner),
    })
}

/// Writes `new` at a path of keys, making the objects on the way.
pub fn put(object: &mut Value, path: &[&str], new: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut here = object;
    for key in parents {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Some(map) = here.as_object_mut() else { return };
        here = map.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new()));
    }
    if !here.is_object() {
        *here = Value::Object(Map::new());
    }
    if let Some(map) = here.as_object_mut() {
        map.insert((*last).to_owned(), new);
    }
}

/// Removes the value at a path of keys.
pub fn remove(object: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    let mut here = object;
    for key in parents {
        here = here.get_mut(*key)?;
    }
    here.as_object_mut()?.remove(*last)
}

/// Whether a label selector (`matchLabels`, `matchExpressions`) selects these labels. An empty selector selects everything.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    fields(selector, "/matchLabels").all(|(key, want)| labels.get(key) == Some(want))
        && items(selector, "/matchExpressions").iter().all(|expression| expression_holds(expression, labels))
}

/// One `matchExpressions` entry against labels (node selectors use the same shape).
pub fn expression_holds(expression: &Value, labels: &Value) -> bool {
    let value = labels.get(text(expression, "/key"));
    let listed = value.is_some_and(|value| items(expression, "/values").contains(value));
    match text(expression, "/operator") {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

/// The condition of that type in `status.conditions`.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    items(object, "/status/conditions").iter().find(|condition| text(condition, "/type") == kind)
}

/// Whether the condition of that type is `True`.
pub fn condition_is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| text(condition, "/status") == "True")
}

/// Neither finished nor being deleted: what controllers call an active pod.
pub fn is_active_pod(pod: &Value) -> bool {
    !is_finished_pod(pod) && !is_deleting(pod)
}

/// A pod's readiness gates, each with the status of its condition, if there is one.
pub fn gates(pod: &Value) -> impl Iterator<Item = (&str, Option<&str>)> {
    items(pod, "/spec/readinessGates").iter().map(|gate| {
        let kind = text(gate, "/conditionType");
        (kind, condition(pod, kind).map(|present| text(present, "/status")))
    })
}

/// `Succeeded` or `Failed`.
pub fn is_finished_pod(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Every container of a pod spec's list (`containers` or `initContainers`).
pub fn containers<'a>(pod: &'a Value, list: &str) -> &'a [Value] {
    at(pod, "/spec").get(list).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
