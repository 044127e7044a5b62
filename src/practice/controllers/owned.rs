//! What StatefulSets and DaemonSets share: their pods, and the ControllerRevisions that hold their templates.

use super::super::object;
use super::super::resources::{CONTROLLER_REVISIONS, PODS};
use super::super::store::{Store, Writer};
use super::super::template_hash;
use serde_json::{Value, json};
use std::sync::Arc;

/// The manager in managedFields.
pub const MANAGER: &str = "kube-controller-manager";
/// The label that ties a pod to its revision.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// The pods an object controls, in the order of their names.
pub fn pods_of(store: &Store, owner: &Value) -> Vec<Arc<Value>> {
    let owned = |pod: &Arc<Value>| object::controller_uid(pod) == object::uid(owner);
    store.list(&PODS, Some(object::namespace(owner))).into_iter().filter(owned).collect()
}

/// The revision hash of a pod.
pub fn revision_of(pod: &Value) -> &str {
    object::at(pod, "/metadata/labels").get(REVISION_LABEL).and_then(Value::as_str).unwrap_or_default()
}

/// The name of the ControllerRevision of an owner's present template, made or numbered anew when it has to be; the hash follows
/// the last dash.
pub fn ensure_revision(store: &Store, owner: &Value, kind: &str) -> String {
    let template = object::at(owner, "/spec/template");
    let hash = template_hash::of(template);
    let name = format!("{}-{hash}", object::name(owner));
    let namespace = object::namespace(owner);
    let mine = |revision: &&Arc<Value>| object::controller_uid(revision) == object::uid(owner);
    let revisions = store.list(&CONTROLLER_REVISIONS, Some(namespace));
    let newest = revisions.iter().filter(mine).filter_map(|revision| object::int(revision, "/revision")).max().unwrap_or(0);
    match revisions.iter().filter(mine).find(|revision| object::name(revision) == name) {
        Some(known) if object::int(known, "/revision") == Some(newest) => {}
        Some(_) => {
            let _ = store.modify(&CONTROLLER_REVISIONS, namespace, &name, Writer::update(MANAGER), |revision| {
                object::put(revision, &["revision"], json!(newest + 1));
            });
        }
        None => {
            let mut data = template.clone();
            object::put(&mut data, &["$patch"], json!("replace"));
            let mut labels = object::at(template, "/metadata/labels").clone();
            object::put(&mut labels, &[REVISION_LABEL], json!(hash));
            let revision = json!({
                "metadata": {"name": name, "namespace": namespace, "labels": labels,
                    "ownerReferences": [object::owner_reference(owner, "apps/v1", kind)]},
                "data": {"spec": {"template": data}}, "revision": newest + 1,
            });
            let _ = store.create(&CONTROLLER_REVISIONS, revision, Writer::update(MANAGER));
        }
    }
    name
}

/// The hash at the end of a revision's name.
pub fn hash_of(revision: &str) -> &str {
    revision.rsplit('-').next().unwrap_or_default()
}

/// A pod of an owner's template, with the revision's label.
pub fn pod_of(owner: &Value, kind: &str, revision: &str) -> Value {
    let template = object::at(owner, "/spec/template");
    let mut labels = object::at(template, "/metadata/labels").clone();
    object::put(&mut labels, &[REVISION_LABEL], json!(hash_of(revision)));
    let mut metadata = json!({
        "namespace": object::namespace(owner), "labels": labels,
        "ownerReferences": [object::owner_reference(owner, "apps/v1", kind)],
    });
    let annotations = object::at(template, "/metadata/annotations");
    if annotations.is_object() {
        object::put(&mut metadata, &["annotations"], annotations.clone());
    }
    json!({"metadata": metadata, "spec": object::at(template, "/spec")})
}

/// Whether a pod is ready and stays.
pub fn is_serving(pod: &Value) -> bool {
    object::condition_is_true(pod, "Ready") && object::is_active_pod(pod)
}
