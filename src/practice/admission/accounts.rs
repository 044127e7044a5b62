//! Service accounts and priority classes that pods name must exist.

use super::super::object;
use super::super::resources::{PODS, PRIORITY_CLASSES, ResourceType, SERVICE_ACCOUNTS};
use super::super::store::{Store, Writer};
use serde_json::{Value, json};

/// The classes every server has, their values, and what they are for (`pkg/apis/scheduling/v1/helpers.go`).
const SYSTEM: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    ("system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."),
];

/// Lays down the priority classes every server has.
pub fn bootstrap(store: &Store) {
    for (name, value, description) in SYSTEM {
        let class = json!({"metadata": {"name": name}, "value": value, "description": description,
            "preemptionPolicy": "PreemptLowerPriority"});
        let _ = store.create(&PRIORITY_CLASSES, class, Writer::update("kube-apiserver"));
    }
}

/// The named service account must exist (`plugin/pkg/admission/serviceaccount`). The default one is made with its namespace and
/// never missed here.
pub(super) fn service_account(store: &Store, resource: &'static ResourceType, pod: &mut Value) -> Result<(), String> {
    let (namespace, name) = (object::namespace(pod), object::text(pod, "/spec/serviceAccountName"));
    if resource != &PODS || matches!(name, "" | "default") || store.get(&SERVICE_ACCOUNTS, namespace, name).is_some() {
        return Ok(());
    }
    Err(format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"))
}

/// A named priority class must exist, and gives its value (`plugin/pkg/admission/priority`).
pub(super) fn priority_class(store: &Store, resource: &'static ResourceType, pod: &mut Value) -> Result<(), String> {
    let name = object::text(pod, "/spec/priorityClassName").to_owned();
    if resource != &PODS || name.is_empty() {
        return Ok(());
    }
    let value = if let Some(class) = SYSTEM.iter().find(|class| class.0 == name) {
        class.1
    } else {
        let class = store.get(&PRIORITY_CLASSES, "", &name);
        let class = class.ok_or_else(|| format!("no PriorityClass with name {name} was found"))?;
        object::int(&class, "/value").unwrap_or(0)
    };
    object::put(pod, &["spec", "priority"], json!(value));
    Ok(())
}
