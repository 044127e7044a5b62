//! `metadata.managedFields`: who owns which field since when, kept as the real server keeps it.
//!
//! An update owns the fields it added or changed and takes them from everyone else; fields that are gone are owned by no one.
//! An apply owns exactly what its configuration names (`apply`).

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::clock::timestamp;
use super::fields::{self, FieldSet};
use super::json::{self, set, text};
use super::store::{Operation, Writer};

/// Metadata the server owns: never in anybody's set.
const SERVER_OWNED: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
];

/// One entry of managedFields.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The version the fields are written in.
    pub api_version: String,
    /// `status`, `scale` or empty.
    pub subresource: String,
    /// When, as written.
    pub time: String,
    /// The owned paths.
    pub fields: FieldSet,
}

impl Entry {
    /// Whether this entry belongs to that writer.
    pub fn is_of(&self, writer: &Writer<'_>) -> bool {
        self.manager == writer.manager
            && self.operation == writer.operation.name()
            && self.subresource == writer.subresource.unwrap_or_default()
    }

    /// The owner as conflict messages name it.
    pub fn described(&self) -> String {
        let verb = if self.operation == "Update" { " using " } else { "" };
        let version = if self.operation == "Update" { self.api_version.as_str() } else { "" };
        let with = if self.subresource.is_empty() { String::new() } else { format!(" with subresource {:?}", self.subresource) };
        format!("{:?}{with}{verb}{version}", self.manager)
    }

    fn to_json(&self) -> Value {
        let mut entry = json!({
            "apiVersion": self.api_version, "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_json(),
            "manager": self.manager, "operation": self.operation, "time": self.time,
        });
        if !self.subresource.is_empty() {
            set(&mut entry, "subresource", self.subresource.as_str());
        }
        entry
    }
}

/// The entries of an object.
pub fn entries(object: &Value) -> Vec<Entry> {
    let decode = |entry: &Value| Entry {
        manager: text(entry, "manager").to_owned(),
        operation: text(entry, "operation").to_owned(),
        api_version: text(entry, "apiVersion").to_owned(),
        subresource: text(entry, "subresource").to_owned(),
        time: text(entry, "time").to_owned(),
        fields: entry.get("fieldsV1").map(FieldSet::from_json).unwrap_or_default(),
    };
    json::items(object, "metadata.managedFields").iter().map(decode).collect()
}

/// Writes entries back, without those that own nothing any more; Apply entries come first, as the server sorts them.
pub fn store_entries(object: &mut Value, mut entries: Vec<Entry>) {
    let bare = bare(object);
    for entry in &mut entries {
        entry.fields.retain_existing(&bare);
    }
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|left, right| left.operation.cmp(&right.operation).then_with(|| left.time.cmp(&right.time)));
    let encoded: Vec<Value> = entries.iter().map(Entry::to_json).collect();
    set(object, "metadata.managedFields", encoded);
}

/// Brings the managedFields of `new` up to date after an Update from `old` (none for a create) by `writer`.
pub fn record_update(old: Option<&Value>, new: &mut Value, writer: &Writer<'_>, now: DateTime<Utc>) {
    // A binding leaves no entry: its writer has no name.
    if writer.manager.is_empty() {
        return;
    }
    let visible = |object: &Value| {
        let mut bare = bare(object);
        if writer.subresource.is_none() {
            // Writes of the object leave its status alone, and own nothing of it.
            json::remove(&mut bare, "status");
            if writer.manager != "kubelet" {
                drop_admitted(text(object, "kind"), &mut bare);
            }
        }
        bare
    };
    let bare_new = visible(new);
    let changed = match old {
        Some(old) => FieldSet::changed(Some(&visible(old)), &bare_new),
        None => fields::created(&bare_new),
    };
    let mut known = old.map(entries).unwrap_or_default();
    if !changed.is_empty() {
        for entry in &mut known {
            if !entry.is_of(writer) {
                entry.fields.subtract(&changed);
            }
        }
        if let Some(entry) = known.iter_mut().find(|entry| entry.is_of(writer)) {
            entry.fields.union(&changed);
            entry.time = timestamp(now);
        } else {
            known.push(new_entry(new, writer, changed, now));
        }
    }
    store_entries(new, known);
}

/// Takes out what admission and allocation fill in after the writer's fields were counted.
fn drop_admitted(kind: &str, bare: &mut Value) {
    match kind {
        "Service" => {
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                json::remove(bare, &format!("spec.{field}"));
            }
        }
        "Pod" => {
            for field in ["priority", "preemptionPolicy", "serviceAccount", "tolerations"] {
                json::remove(bare, &format!("spec.{field}"));
            }
            if text(bare, "spec.serviceAccountName") == "default" {
                json::remove(bare, "spec.serviceAccountName");
            }
            drop_token_volume(bare.get_mut("spec"), "volumes");
            for list in ["containers", "initContainers"] {
                let containers = bare.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten() {
                    drop_token_volume(Some(container), "volumeMounts");
                }
            }
        }
        _ => {}
    }
}

fn drop_token_volume(holder: Option<&mut Value>, list: &str) {
    let Some(holder) = holder else { return };
    let mut kept = json::items(holder, list).to_vec();
    kept.retain(|item| !text(item, "name").starts_with("kube-api-access-"));
    if kept.is_empty() {
        json::remove(holder, list);
    } else {
        set(holder, list, kept);
    }
}

/// A fresh entry for a writer.
pub fn new_entry(object: &Value, writer: &Writer<'_>, fields: FieldSet, now: DateTime<Utc>) -> Entry {
    Entry {
        manager: writer.manager.to_owned(),
        operation: writer.operation.name().to_owned(),
        api_version: text(object, "apiVersion").to_owned(),
        subresource: writer.subresource.unwrap_or_default().to_owned(),
        time: timestamp(now),
        fields,
    }
}

/// The object without what no manager can own.
pub fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    if let Some(map) = bare.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    if let Some(metadata) = bare.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| !SERVER_OWNED.contains(&key.as_str()));
    }
    bare
}

impl Operation {
    /// As managedFields spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Update => "Update",
            Self::Apply => "Apply",
        }
    }
}
