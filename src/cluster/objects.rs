//! One object of any kind on demand: as JSON, as YAML, described with its events; and tables of kinds without a row.
//!
//! Invariant: a Secret's values leave this module masked unless the caller asks to reveal them. What is text for a screen is
//! cleaned.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde::Deserialize;
use serde_json::Value;

use super::discovery::Resource;
use super::http::{Call, encode};
use super::{Connection, Error};
use crate::kinds::ObjectRef;
use crate::kinds::events::Event;
use crate::text::{self, Text, Time, clean};

mod describe;

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const MASK: &str = "***";

/// Column titles, then rows.
pub type Listing = (Vec<String>, Vec<Vec<String>>);

/// Whether a Secret's values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretValues {
    /// As `***`.
    Masked,
    /// Decoded, because a person asked for it.
    Revealed,
}

impl Connection {
    /// The object as the server has it. The caller must mask it before showing: see [`Connection::yaml`].
    pub(super) async fn object(&self, object: &ObjectRef) -> Result<Value, Error> {
        let resource = self.resource_of_kind(&object.kind).await?;
        self.get_json(&path_of(&resource, object)).await
    }

    /// What a ConfigMap holds: its `resourceVersion`, and the text values by key.
    ///
    /// # Errors
    /// As [`Connection::yaml`].
    pub async fn config_values(&self, namespace: &str, name: &str) -> Result<(Text, BTreeMap<Text, Text>), Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            resource_version: Text,
        }
        #[derive(Deserialize)]
        struct Wire {
            metadata: Metadata,
            data: Option<BTreeMap<Text, Text>>,
        }
        let resource: Resource = crate::kinds::KindId::ConfigMap.into();
        let wire: Wire = self.get_json(&path_of(&resource, &ObjectRef::new("ConfigMap", namespace, name))).await?;
        Ok((wire.metadata.resource_version, wire.data.unwrap_or_default()))
    }

    /// The object as YAML, without `managedFields`.
    ///
    /// # Errors
    /// Not found, not allowed, unreachable.
    pub async fn yaml(&self, object: &ObjectRef, secrets: SecretValues) -> Result<String, Error> {
        let value = presentable(self.object(object).await?, secrets);
        to_yaml(&value).ok_or_else(|| self.garbage("the object cannot be written as YAML"))
    }

    /// The object and its events as text for a person, at `now`.
    ///
    /// # Errors
    /// As [`Connection::yaml`]. Without permission for events their place says so.
    pub async fn describe(&self, object: &ObjectRef, now: Time) -> Result<String, Error> {
        let value = presentable(self.object(object).await?, SecretValues::Masked);
        let events = self.events_about(object, &value).await;
        Ok(describe::describe(object, &value, &events, now))
    }

    async fn events_about(&self, object: &ObjectRef, value: &Value) -> Result<Vec<Event>, Error> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<Event>,
        }
        let uid = value.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        let events: Resource = crate::kinds::KindId::Event.into();
        let mut selector = format!("involvedObject.name={},involvedObject.kind={}", object.name, object.kind);
        // Events about Nodes carry the node's name as uid.
        if !uid.is_empty() && &*object.kind != "Node" {
            selector = format!("{selector},involvedObject.uid={uid}");
        }
        let path = format!("{}?limit=500&fieldSelector={}", events.path(&object.namespace), encode(&selector));
        let mut list: List = self.get_json(&path).await?;
        list.items.sort_by_key(Event::last_seen);
        Ok(list.items)
    }

    /// The objects of a kind as the server's own table; `namespace` none is all.
    ///
    /// # Errors
    /// No such kind, not allowed, unreachable.
    pub async fn listing(&self, called: &str, namespace: Option<&str>) -> Result<Listing, Error> {
        let resource = self.resource_called(called).await?;
        let path = format!("{}?limit=500", resource.path(namespace.unwrap_or_default()));
        let table: Table = self.call_json(Call { accept: TABLE, ..Call::get(&path) }).await?;
        if table.kind != "Table" {
            return Err(self.garbage("no table"));
        }
        Ok(table.into_listing(resource.namespaced && namespace.is_none()))
    }
}

/// An object that was read elsewhere (a bundle) as YAML, as [`Connection::yaml`] shows it.
pub fn yaml_of(object: Value, secrets: SecretValues) -> Option<String> {
    to_yaml(&presentable(object, secrets))
}

/// An object that was read elsewhere, described with its events, as [`Connection::describe`] shows it.
pub fn description_of(object: &ObjectRef, value: Value, events: Vec<Event>, now: Time) -> String {
    describe::describe(object, &presentable(value, SecretValues::Masked), &Ok(events), now)
}

/// The path of one object.
pub(super) fn path_of(resource: &Resource, object: &ObjectRef) -> String {
    format!("{}/{}", resource.path(&object.namespace), encode(&object.name))
}

/// Takes off what nobody reads, and masks what nobody should.
fn presentable(mut value: Value, secrets: SecretValues) -> Value {
    let is_secret = value.get("kind").and_then(Value::as_str) == Some("Secret");
    if let Some(meta) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
    if !is_secret {
        return value;
    }
    if secrets == SecretValues::Revealed {
        for (_, value) in value.get_mut("data").and_then(Value::as_object_mut).into_iter().flatten() {
            *value = decoded(value);
        }
        return value;
    }
    for field in ["data", "stringData"] {
        for (_, value) in value.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
            *value = Value::from(MASK);
        }
    }
    // kubectl apply and other tools repeat the data in annotations.
    for (key, value) in value.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut).into_iter().flatten() {
        if key == LAST_APPLIED || value.as_str().is_some_and(|v| v.trim_start().starts_with('{')) {
            *value = Value::from(MASK);
        }
    }
    value
}

/// A value of a Secret's `data` as the application gets it; what is no text by its length.
fn decoded(value: &Value) -> Value {
    let Ok(ByteString(bytes)) = ByteString::deserialize(value) else { return value.clone() };
    let length = bytes.len();
    String::from_utf8(bytes).map_or_else(|_| Value::from(format!("({length} bytes that are no text)")), Value::from)
}

fn to_yaml(value: &Value) -> Option<String> {
    let yaml = serde_saphyr::to_string(value).ok()?;
    Some(clean_lines(&yaml))
}

fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(line) + "\n").collect()
}

/// `meta.k8s.io/v1` `Table`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    kind: String,
    #[serde(default)]
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    #[serde(default)]
    priority: i32,
}

#[derive(Debug, Deserialize)]
struct Row {
    cells: Vec<Value>,
    #[serde(default)]
    object: Value,
}

impl Table {
    fn into_listing(self, with_namespace: bool) -> Listing {
        let shown: Vec<bool> = self.column_definitions.iter().map(|c| c.priority == 0).collect();
        let mut columns: Vec<String> =
            self.column_definitions.iter().filter(|c| c.priority == 0).map(|c| clean(&c.name).to_uppercase()).collect();
        let rows = self.rows.into_iter().map(|row| {
            let namespace = row.object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
            let cells = row.cells.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell_text(cell));
            with_namespace.then_some(clean(&namespace)).into_iter().chain(cells).collect()
        });
        let rows = rows.collect();
        if with_namespace {
            columns.insert(0, "NAMESPACE".to_owned());
        }
        (columns, rows)
    }
}

fn cell_text(cell: &Value) -> String {
    match cell {
        Value::String(text) => clean(text),
        Value::Null => String::new(),
        other => text::clean(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_everywhere_they_could_show() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "db", "managedFields": [{"manager": "x"}],
            "annotations": {LAST_APPLIED: "{\"stringData\":{\"p\":\"hunter2\"}}", "backup": "{\"p\":\"hunter2\"}", "team": "shop"}},
            "data": {"p": "aHVudGVyMg==", "key": "/wA=", "odd": "%"}, "stringData": {"q": "hunter2"}});
        let masked = to_yaml(&presentable(secret.clone(), SecretValues::Masked)).unwrap();
        assert!(!masked.contains("hunter2") && !masked.contains("aHVudGVyMg"), "{masked}");
        assert!(masked.contains("shop") && masked.contains(MASK) && !masked.contains("managedFields"));
        let revealed = to_yaml(&presentable(secret, SecretValues::Revealed)).unwrap();
        assert!(revealed.contains("p: hunter2") && revealed.contains("key: (2 bytes that are no text)"), "{revealed}");
        assert!(revealed.contains("odd: ") && revealed.contains('%'), "what cannot be decoded stays: {revealed}");
    }

    #[test]
    fn hidden_columns_stay_hidden_and_cells_are_cleaned() {
        let table: Table = serde_json::from_value(json!({"kind": "Table",
            "columnDefinitions": [{"name": "Name"}, {"name": "Wide", "priority": 1}, {"name": "Age"}],
            "rows": [{"cells": ["a\u{1b}[31mb", "x", 3], "object": {"metadata": {"namespace": "shop"}}}]}))
        .unwrap();
        let (columns, rows) = table.into_listing(true);
        assert_eq!(columns, ["NAMESPACE", "NAME", "AGE"]);
        assert_eq!(rows, [["shop", "ab", "3"]]);
    }
}
