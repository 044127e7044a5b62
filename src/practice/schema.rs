//! The little of the schema that merging needs: which lists are maps by key, which maps and lists are atomic.
//!
//! Source: `x-kubernetes-list-map-keys`, `x-kubernetes-patch-merge-key` and `x-kubernetes-map-type` in the published schema of
//! the built-in types. A list is recognised by its field name (and, for `ports`, by its items).

use serde_json::{Value, json};

/// The keys of an associative list for server-side apply and managedFields; none for an atomic list.
pub fn list_map_keys(field: &str, items: &[Value]) -> Option<&'static [&'static str]> {
    let first = items.first();
    let has = |key: &str| first.is_some_and(|item| item.get(key).is_some());
    match field {
        "containers" | "initContainers" | "ephemeralContainers" | "env" | "volumes" | "imagePullSecrets" | "webhooks" => {
            Some(&["name"])
        }
        "ports" if has("containerPort") => Some(&["containerPort", "protocol"]),
        "ports" if has("port") && !has("addressType") => Some(&["port", "protocol"]),
        "volumeMounts" => Some(&["mountPath"]),
        "volumeDevices" => Some(&["devicePath"]),
        "conditions" | "addresses" if has("type") => Some(&["type"]),
        "ownerReferences" => Some(&["uid"]),
        "podIPs" => Some(&["ip"]),
        "topologySpreadConstraints" => Some(&["topologyKey", "whenUnsatisfiable"]),
        _ => None,
    }
}

/// The key by which a strategic merge patch merges a list; none for a list it replaces.
pub fn patch_merge_key(field: &str, items: &[Value]) -> Option<&'static str> {
    let has = |key: &str| items.iter().any(|item| item.get(key).is_some());
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets"
        | "webhooks" => Some("name"),
        "ports" if has("containerPort") => Some("containerPort"),
        "ports" if has("port") => Some("port"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "conditions" | "addresses" if has("type") => Some("type"),
        "taints" => Some("key"),
        "ownerReferences" => Some("uid"),
        "podIPs" | "hostIPs" | "hostAliases" => Some("ip"),
        "topologySpreadConstraints" => Some("topologyKey"),
        _ => None,
    }
}

/// Whether a list of plain values is a set (`finalizers`), merged rather than replaced.
pub fn is_set(field: &str) -> bool {
    field == "finalizers"
}

/// Whether a map is written as a whole, its keys not owned one by one.
pub fn is_atomic_map(field: &str) -> bool {
    matches!(
        field,
        "selector"
            | "nodeSelector"
            | "secretKeyRef"
            | "configMapKeyRef"
            | "fieldRef"
            | "resourceFieldRef"
            | "labelSelector"
            | "namespaceSelector"
            | "podSelector"
            | "involvedObject"
            | "scaleTargetRef"
            | "targetRef"
            | "claimRef"
            | "roleRef"
    )
}

/// The key of an item in an associative list, with the defaults the server fills in before it compares.
pub fn item_key(keys: &[&str], item: &Value) -> Value {
    let pairs = keys.iter().map(|key| {
        let fallback = if *key == "protocol" { json!("TCP") } else { Value::Null };
        ((*key).to_owned(), item.get(*key).cloned().unwrap_or(fallback))
    });
    Value::Object(pairs.collect())
}
