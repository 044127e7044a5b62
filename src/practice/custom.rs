//! Custom resource definitions: accepted, established, and their types served while they exist.
//!
//! Invariant: the types a store serves beside the built-in ones are exactly those of its definitions that are not gone. Types are
//! `'static` like the built-in ones, so each distinct definition is leaked once, however often it is written.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::timestamp;
use super::controllers::{Change, Controller, Key};
use super::json::{at, items, object_mut, remove, set, text};
use super::resources::{CUSTOM_RESOURCE_DEFINITIONS, CustomType, ResourceType, Subresource};
use super::store::{Store, Writer};

pub mod structural;

const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";
const MANAGER: &str = "kube-apiserver";
const RETRY: Duration = Duration::from_secs(2);
const EVERY_VERB: &[&str] = &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const GET_AND_WRITE: &[&str] = &["get", "patch", "update"];

/// The controller of definitions. A key is a definition's name.
pub struct Definitions {
    store: Store,
}

impl Definitions {
    /// A controller over a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    fn publish(&self) {
        let definitions = self.store.list(&CUSTOM_RESOURCE_DEFINITIONS, None);
        self.store.set_custom_types(definitions.iter().flat_map(|definition| types_of(definition)).collect());
    }

    /// Deletes what is left of a type that goes; whether nothing is.
    fn empty(&self, definition: &Value) -> bool {
        let Some(resource) = types_of(definition).first().map(|resource| resource.storage()) else { return true };
        for object in self.store.list(resource, None) {
            if at(&object, "metadata.deletionTimestamp").is_none() {
                let _ = self.store.delete(resource, text(&object, "metadata.namespace"), text(&object, "metadata.name"), None);
            }
        }
        self.store.list(resource, None).is_empty()
    }

    fn accept(&self, name: &str, definition: &Value) {
        if items(definition, "status.conditions").iter().any(|condition| text(condition, "type") == "Established") {
            let stored = storage_version(definition);
            if items(definition, "status.storedVersions").iter().any(|version| version == stored) {
                return;
            }
        }
        let now = timestamp(self.store.clock().now());
        let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now});
        let conditions = json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]);
        let names = at(definition, "spec.names").cloned().unwrap_or_default();
        let stored = storage_version(definition).to_owned();
        let _ = self.store.modify(&CUSTOM_RESOURCE_DEFINITIONS, "", name, Writer::status(MANAGER), |object| {
            set(object, "status.conditions", conditions);
            set(object, "status.acceptedNames", names);
            let mut versions = items(object, "status.storedVersions").to_vec();
            if !versions.contains(&json!(stored)) {
                versions.push(json!(stored));
            }
            set(object, "status.storedVersions", versions);
            let mut finalizers = items(object, "metadata.finalizers").to_vec();
            if !finalizers.contains(&json!(FINALIZER)) {
                finalizers.push(json!(FINALIZER));
            }
            set(object, "metadata.finalizers", finalizers);
        });
    }
}

impl Controller for Definitions {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&CUSTOM_RESOURCE_DEFINITIONS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        vec![(String::new(), text(&change.object, "metadata.name").to_owned())]
    }

    fn reconcile(&mut self, (_, name): &Key) -> Option<Duration> {
        let definition = self.store.get(&CUSTOM_RESOURCE_DEFINITIONS, "", name);
        self.publish();
        let definition = definition?;
        if at(&definition, "metadata.deletionTimestamp").is_none() {
            self.accept(name, &definition);
            return None;
        }
        if !self.empty(&definition) {
            return Some(RETRY);
        }
        let _ = self.store.modify(&CUSTOM_RESOURCE_DEFINITIONS, "", name, Writer::update(MANAGER), |object| {
            let mut finalizers = items(object, "metadata.finalizers").to_vec();
            finalizers.retain(|finalizer| finalizer != FINALIZER);
            if finalizers.is_empty() {
                remove(object, "metadata.finalizers");
            } else {
                set(object, "metadata.finalizers", finalizers);
            }
        });
        None
    }
}

fn storage_version(definition: &Value) -> &str {
    let stored = items(definition, "spec.versions").iter().find(|version| version.get("storage") == Some(&Value::Bool(true)));
    stored.map_or("", |version| text(version, "name"))
}

/// The served types of a definition, made once for each distinct `spec`.
fn types_of(definition: &Value) -> Vec<&'static ResourceType> {
    static KNOWN: OnceLock<Mutex<HashMap<String, Vec<&'static ResourceType>>>> = OnceLock::new();
    let Some(spec) = definition.get("spec") else { return Vec::new() };
    let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(spec.to_string()).or_insert_with(|| make(spec)).clone()
}

fn make(spec: &Value) -> Vec<&'static ResourceType> {
    let versions = items(spec, "versions");
    let stored = versions.iter().find(|version| version.get("storage") == Some(&Value::Bool(true)));
    let Some(stored) = stored else { return Vec::new() };
    let storage: &'static ResourceType = Box::leak(Box::new(version_of(spec, stored, None)));
    let served = versions.iter().filter(|version| version.get("served") == Some(&Value::Bool(true)));
    served
        .map(|version| {
            if version.get("name") == stored.get("name") {
                storage
            } else {
                &*Box::leak(Box::new(version_of(spec, version, Some(storage))))
            }
        })
        .collect()
}

fn version_of(spec: &Value, version: &Value, stored_as: Option<&'static ResourceType>) -> ResourceType {
    let kind = leak(text(spec, "names.kind"));
    let mut subresources = Vec::new();
    if at(version, "subresources.status").is_some() {
        subresources.push(Subresource { name: "status", kind: ("", "", kind), verbs: GET_AND_WRITE });
    }
    let scale = at(version, "subresources.scale").map(|scale| {
        subresources.push(Subresource { name: "scale", kind: ("autoscaling", "v1", "Scale"), verbs: GET_AND_WRITE });
        ["specReplicasPath", "statusReplicasPath", "labelSelectorPath"].map(|path| text(scale, path).to_owned())
    });
    let columns = items(version, "additionalPrinterColumns").iter().map(|column| {
        let priority = at(column, "priority").and_then(Value::as_u64).unwrap_or(0) as u8;
        (text(column, "name").to_owned(), text(column, "type").to_owned(), text(column, "jsonPath").to_owned(), priority)
    });
    let selectable = items(version, "selectableFields").iter();
    let custom = CustomType {
        schema: at(version, "schema.openAPIV3Schema").cloned().unwrap_or_default(),
        columns: columns.collect(),
        scale,
        selectable: selectable.map(|field| text(field, "jsonPath").trim_start_matches('.').to_owned()).collect(),
    };
    let words = |path: &str| -> &'static [&'static str] {
        Box::leak(items(spec, path).iter().filter_map(Value::as_str).map(leak).collect())
    };
    ResourceType {
        group: leak(text(spec, "group")),
        version: leak(text(version, "name")),
        kind,
        plural: leak(text(spec, "names.plural")),
        singular: leak(text(spec, "names.singular")),
        short_names: words("names.shortNames"),
        categories: words("names.categories"),
        namespaced: text(spec, "scope") == "Namespaced",
        verbs: EVERY_VERB,
        subresources: Box::leak(subresources.into_boxed_slice()),
        stored_as,
        custom: Some(Box::leak(Box::new(custom))),
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// Defaults and prunes an object by the schema of its type.
pub fn shape(custom: &CustomType, object: &mut Value) {
    structural::default_and_prune(&custom.schema, object);
    object_mut(object, "metadata");
}
