//! One entry of a scenario: objects to create or change, things to delete, a node to fail.
//!
//! `by` is the field manager of the writes. `apply` creates or merges whole manifests, `set` writes values at JSON pointers,
//! `delete`, `failNode` and `reviveNode` do what they say.

use super::super::controllers::node_lifecycle::LEASE_NAMESPACE;
use super::super::kubelet::node::DeadNodes;
use super::super::object;
use super::super::resources::{ALL, LEASES, NODES, PODS, ResourceType};
use super::super::store::{Operation, Store, Writer};
use super::seconds;
use serde_json::{Value, json};

/// Performs a step of the present.
pub fn perform(step: &Value, store: &Store, dead: &DeadNodes) {
    write(step, store);
    for node in object::items(step, "/failNode") {
        fail_node(node, store, dead);
    }
    for node in object::items(step, "/reviveNode") {
        dead.revive(object::text(node, "/name"));
    }
}

/// Performs the writes of an entry with the date of the store handle.
pub fn write(entry: &Value, store: &Store) {
    let by = match object::text(entry, "/by") {
        "" => "kubectl-client-side-apply",
        by => by,
    };
    let writer = Writer { manager: by, operation: Operation::Update, subresource: None };
    for manifest in object::items(entry, "/apply") {
        apply(manifest, store, writer);
    }
    for change in object::items(entry, "/set") {
        set(change, store, writer);
    }
    for target in object::items(entry, "/delete") {
        for (kind, namespace, name) in targets(target, store) {
            let _ = store.delete(kind, &namespace, &name, object::int(target, "/grace"));
        }
    }
}

fn apply(manifest: &Value, store: &Store, writer: Writer<'_>) {
    let Some(kind) = kind_of(object::text(manifest, "/kind")) else { return };
    let (namespace, name) = (object::namespace(manifest), object::name(manifest));
    if store.get(kind, namespace, name).is_none() {
        let _ = store.create(kind, manifest.clone(), writer);
        return;
    }
    let _ = store.modify(kind, namespace, name, writer, |present| merge(present, manifest));
}

/// A JSON merge patch (RFC 7386) without deletions by null, which manifests do not have.
fn merge(into: &mut Value, from: &Value) {
    match (into.as_object_mut(), from.as_object()) {
        (Some(into), Some(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        _ => *into = from.clone(),
    }
}

fn set(change: &Value, store: &Store, writer: Writer<'_>) {
    for (kind, namespace, name) in targets(change, store) {
        let _ = store.modify(kind, &namespace, &name, writer, |present| {
            for (pointer, value) in object::fields(change, "/values") {
                put_at(present, pointer, value.clone());
            }
        });
    }
}

/// Writes at a JSON pointer, making objects (not list entries) on the way.
fn put_at(object: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = object.pointer_mut(pointer) {
        *place = value;
        return;
    }
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let key = last.replace("~1", "/").replace("~0", "~");
    if object.pointer(parent).is_none() {
        put_at(object, parent, json!({}));
    }
    if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.insert(key, value);
    }
}

/// The objects an entry means: by name, or for pods by node and name prefix (their names are not known in advance).
fn targets(entry: &Value, store: &Store) -> Vec<(&'static ResourceType, String, String)> {
    let Some(kind) = kind_of(object::text(entry, "/kind")) else { return Vec::new() };
    let namespace = object::text(entry, "/namespace");
    let name = object::text(entry, "/name");
    if !name.is_empty() {
        return vec![(kind, namespace.to_owned(), name.to_owned())];
    }
    let (prefix, node) = (object::text(entry, "/prefix"), object::text(entry, "/node"));
    let fits =
        |pod: &Value| object::name(pod).starts_with(prefix) && (node.is_empty() || object::text(pod, "/spec/nodeName") == node);
    let pods = store.list(&PODS, Some(namespace));
    pods.iter().filter(|pod| fits(pod)).map(|pod| (kind, namespace.to_owned(), object::name(pod).to_owned())).collect()
}

fn kind_of(kind: &str) -> Option<&'static ResourceType> {
    ALL.iter().copied().find(|resource| resource.kind == kind && resource.stored_as.is_none())
}

/// The node falls silent; `silentFor` says since when.
fn fail_node(entry: &Value, store: &Store, dead: &DeadNodes) {
    let name = object::text(entry, "/name");
    dead.kill(name);
    let since = store.clock().now() - chrono::Duration::seconds(seconds(entry.get("silentFor")));
    let _ = store.modify(&LEASES, LEASE_NAMESPACE, name, Writer::update("kubelet"), |lease| {
        object::put(lease, &["spec", "renewTime"], json!(object::micro_stamp(since)));
    });
    let _ = store.modify(&NODES, "", name, Writer::status("kubelet"), |node| {
        let conditions = node.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
        for condition in conditions.into_iter().flatten() {
            object::put(condition, &["lastHeartbeatTime"], json!(object::stamp(since)));
        }
    });
}
