//! An object and its events as text for a person: what `kubectl describe` is for, the same for every kind.

use std::fmt::Write;

use serde_json::Value;

use super::to_yaml;
use crate::cluster::Error;
use crate::kinds::ObjectRef;
use crate::kinds::events::Event;
use crate::text::{Time, age, clean};

/// Annotations longer than this are cut.
const LONGEST_ANNOTATION: usize = 200;

pub(super) fn describe(object: &ObjectRef, value: &Value, events: &Result<Vec<Event>, Error>, now: Time) -> String {
    let mut out = String::new();
    header(&mut out, object, value, now);
    for (title, field) in [("Labels", "/metadata/labels"), ("Annotations", "/metadata/annotations")] {
        pairs(&mut out, title, value.pointer(field));
    }
    owners(&mut out, value);
    conditions(&mut out, value);
    for (title, field) in [("Data", "data"), ("Spec", "spec"), ("Status", "status")] {
        if let Some(part) = value.get(field) {
            section(&mut out, title, part);
        }
    }
    for (name, part) in value.as_object().into_iter().flatten() {
        if !matches!(&**name, "apiVersion" | "kind" | "metadata" | "data" | "spec" | "status") {
            section(&mut out, name, part);
        }
    }
    event_list(&mut out, events, now);
    out
}

fn header(out: &mut String, object: &ObjectRef, value: &Value, now: Time) {
    let _ = writeln!(out, "Name:       {}", clean(&object.name));
    if !object.namespace.is_empty() {
        let _ = writeln!(out, "Namespace:  {}", clean(&object.namespace));
    }
    let _ = writeln!(out, "Kind:       {}", clean(&object.kind));
    for (title, field) in [("Created: ", "creationTimestamp"), ("Deleting:", "deletionTimestamp")] {
        let at = value.pointer(&format!("/metadata/{field}")).and_then(Value::as_str);
        if let Some(at) = at.and_then(|at| at.parse::<Time>().ok()) {
            let _ = writeln!(out, "{title}   {} ({} ago)", at.format("%Y-%m-%d %H:%M:%S UTC"), age(at, now));
        }
    }
    if let Some(finalizers) = value.pointer("/metadata/finalizers").and_then(Value::as_array) {
        let names: Vec<String> = finalizers.iter().filter_map(Value::as_str).map(clean).collect();
        let _ = writeln!(out, "Finalizers: {}", names.join(", "));
    }
}

fn pairs(out: &mut String, title: &str, map: Option<&Value>) {
    let Some(map) = map.and_then(Value::as_object).filter(|map| !map.is_empty()) else { return };
    let _ = writeln!(out, "\n{title}:");
    for (key, value) in map {
        let value = crate::text::ellipsis(&clean(value.as_str().unwrap_or_default()), LONGEST_ANNOTATION);
        let _ = writeln!(out, "  {}={value}", clean(key));
    }
}

fn owners(out: &mut String, value: &Value) {
    for owner in value.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten() {
        let text = |field| clean(owner.get(field).and_then(Value::as_str).unwrap_or_default());
        let _ = writeln!(out, "\nOwned by:   {}/{}", text("kind"), text("name"));
    }
}

fn conditions(out: &mut String, value: &Value) {
    let Some(list) = value.pointer("/status/conditions").and_then(Value::as_array).filter(|list| !list.is_empty()) else {
        return;
    };
    out.push_str("\nConditions:\n");
    for condition in list {
        let text = |field| clean(condition.get(field).and_then(Value::as_str).unwrap_or_default());
        let line = format!("  {:<28} {:<8} {:<28} {}", text("type"), text("status"), text("reason"), text("message"));
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn section(out: &mut String, title: &str, part: &Value) {
    let mut part = part.clone();
    if let Some(map) = part.as_object_mut() {
        map.remove("conditions");
    }
    let empty = part.as_object().is_some_and(serde_json::Map::is_empty);
    let Some(yaml) = to_yaml(&part).filter(|_| !empty) else { return };
    let _ = writeln!(out, "\n{}:", clean(title));
    for line in yaml.lines() {
        let _ = writeln!(out, "  {line}");
    }
}

fn event_list(out: &mut String, events: &Result<Vec<Event>, Error>, now: Time) {
    out.push_str("\nEvents:\n");
    match events {
        Err(error) => {
            let _ = writeln!(out, "  not known: {error}");
        }
        Ok(events) if events.is_empty() => out.push_str("  none (events are kept for about an hour)\n"),
        Ok(events) => {
            for event in events {
                let last = event.last_seen().map_or_else(String::new, |at| age(at, now));
                let times = if event.times() > 1 { format!(" ×{}", event.times()) } else { String::new() };
                let what = format!("{}{times}", clean(&event.reason));
                let _ = writeln!(out, "  {last:>7}  {:<8} {what:<24} {}", clean(&event.kind), clean(event.text()));
            }
        }
    }
}
