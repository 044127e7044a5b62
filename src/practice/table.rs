//! `Table` output: the rows `kubectl get` prints, with the real columns.
//!
//! Source: `pkg/printers/internalversion/printers.go`. To add a kind: an entry in one of the lists of `table::*`; a kind
//! without one gets Name and Created At, as the server does for types it knows nothing about.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::json::{at, items, set, text};
use super::reply::{self, Shape};
use super::resources::ResourceType;
use super::views;

mod cluster;
mod config;
mod custom;
mod pods;
mod policies;
mod services;
mod workloads;

/// A column: name, type, and 1 for those only `-o wide` shows.
pub type Column = (&'static str, &'static str, u8);

/// The columns of a kind and how a row is made.
pub struct Columns {
    /// The resource's plural.
    pub plural: &'static str,
    /// Name, type and priority of each.
    pub headings: &'static [Column],
    /// The cells of an object, measured at a time.
    pub row: fn(&Value, DateTime<Utc>) -> Vec<Value>,
}

/// What of the object travels beside the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Its metadata: the default.
    Metadata,
    /// All of it.
    Object,
    /// Nothing.
    None,
}

impl Include {
    /// The `includeObject` parameter.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            Some("Object") => Self::Object,
            Some("None") => Self::None,
            _ => Self::Metadata,
        }
    }
}

const PLAIN: Columns = Columns {
    plural: "",
    headings: &[("Name", "string", 0), ("Created At", "date", 0)],
    row: |object, _| vec![name(object), json!(text(object, "metadata.creationTimestamp"))],
};

/// The table of some objects; `header` says whether the column definitions are in it.
pub fn of_objects(resource: &ResourceType, objects: &[&Value], shape: Shape, header: bool) -> Value {
    if let Some(custom) = &resource.custom {
        return custom::of_objects(custom, objects, shape, header);
    }
    let every = [pods::COLUMNS, workloads::COLUMNS, services::COLUMNS, config::COLUMNS, cluster::COLUMNS, policies::COLUMNS];
    let found = every.iter().flat_map(|list| list.iter()).find(|columns| columns.plural == resource.plural);
    let columns = found.unwrap_or(&PLAIN);
    let rows: Vec<Value> = objects.iter().map(|object| row(&(columns.row)(object, shape.now), object, shape)).collect();
    let definitions: Vec<Value> = if header { columns.headings.iter().map(definition).collect() } else { Vec::new() };
    assemble(&definitions, &rows, objects)
}

fn assemble(definitions: &[Value], rows: &[Value], objects: &[&Value]) -> Value {
    let version = match objects {
        [only] => text(only, "metadata.resourceVersion"),
        _ => "",
    };
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": version},
        "columnDefinitions": definitions, "rows": rows})
}

fn row(cells: &[Value], object: &Value, shape: Shape) -> Value {
    let mut row = json!({"cells": cells});
    match shape.include {
        Include::Metadata => set(&mut row, "object", reply::metadata_only(object)),
        Include::Object => set(&mut row, "object", views::to_served(shape.served, object)),
        Include::None => {}
    }
    row
}

fn definition((name, kind, priority): &Column) -> Value {
    let format = if *name == "Name" { "name" } else { "" };
    json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
}

fn name(object: &Value) -> Value {
    json!(text(object, "metadata.name"))
}

/// The age of the object, as kubectl writes ages.
fn age(object: &Value, now: DateTime<Utc>) -> Value {
    json!(since(text(object, "metadata.creationTimestamp"), now))
}

/// How long ago a written time was; `<unknown>` when there is none.
fn since(written: &str, now: DateTime<Utc>) -> String {
    match DateTime::parse_from_rfc3339(written) {
        Ok(time) => human_duration((now - time.with_timezone(&Utc)).num_seconds()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// `k8s.io/apimachinery/pkg/util/duration.HumanDuration`.
fn human_duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |whole: i64, unit: &str, rest: i64, small: &str| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{small}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// The names or images of the containers of a pod spec, comma separated.
fn container_list(object: &Value, spec: &str, field: &str) -> String {
    let containers = items(object, &format!("{spec}.containers"));
    containers.iter().map(|container| text(container, field)).collect::<Vec<_>>().join(",")
}

/// A label selector as `a=b,c in (d,e)`; `<none>` when empty.
pub(super) fn selector(value: Option<&Value>) -> String {
    let Some(value) = value else { return "<none>".to_owned() };
    let labels = at(value, "matchLabels").or_else(|| (value.get("matchExpressions").is_none()).then_some(value));
    let mut terms: Vec<String> = labels.and_then(Value::as_object).map(pairs).unwrap_or_default();
    for expression in items(value, "matchExpressions") {
        let values = items(expression, "values").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
        terms.push(match text(expression, "operator") {
            "In" => format!("{} in ({values})", text(expression, "key")),
            "NotIn" => format!("{} notin ({values})", text(expression, "key")),
            "Exists" => text(expression, "key").to_owned(),
            _ => format!("!{}", text(expression, "key")),
        });
    }
    if terms.is_empty() { "<none>".to_owned() } else { terms.join(",") }
}

fn pairs(map: &serde_json::Map<String, Value>) -> Vec<String> {
    map.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect()
}

/// A number at a path as a cell; 0 when absent.
fn count(object: &Value, path: &str) -> Value {
    at(object, path).cloned().unwrap_or_else(|| json!(0))
}

/// The text at a path, or something else when it is empty.
fn text_or(object: &Value, path: &str, otherwise: &str) -> Value {
    let found = text(object, path);
    json!(if found.is_empty() { otherwise } else { found })
}
