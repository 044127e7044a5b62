//! Defaults of everything that runs no pods: storage, policy, access control, webhooks, autoscaling.

use serde_json::{Value, json};

use crate::practice::json::{at, items, object_mut, set, set_default, text};

/// A claim, or one of a stateful set's templates.
pub fn claim(object: &mut Value) {
    set_default(object, "spec.volumeMode", "Filesystem");
    set_default(object, "status.phase", "Pending");
}

/// A volume.
pub fn volume(object: &mut Value) {
    set_default(object, "spec.volumeMode", "Filesystem");
    set_default(object, "spec.persistentVolumeReclaimPolicy", "Retain");
    set_default(object, "status.phase", "Pending");
    if at(object, "spec.hostPath").is_some() {
        set_default(object, "spec.hostPath.type", "");
    }
}

/// A storage class.
pub fn storage_class(object: &mut Value) {
    set_default(object, "reclaimPolicy", "Delete");
    set_default(object, "volumeBindingMode", "Immediate");
}

/// An autoscaler: without metrics it aims at 80 % of the requested CPU.
pub fn autoscaler(object: &mut Value) {
    set_default(object, "spec.minReplicas", 1);
    if items(object, "spec.metrics").is_empty() {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        set(object, "spec.metrics", json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]));
    }
    let directions: &[&str] =
        if at(object, "spec.behavior").is_some_and(Value::is_object) { &["scaleUp", "scaleDown"] } else { &[] };
    for direction in directions {
        let up = *direction == "scaleUp";
        let rules = object_mut(object, "spec.behavior").entry(*direction).or_insert_with(|| json!({}));
        set_default(rules, "selectPolicy", "Max");
        let all = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        set_default(rules, "policies", if up { json!([four, all]) } else { json!([all]) });
        if up {
            set_default(rules, "stabilizationWindowSeconds", 0);
        }
    }
    set_default(object, "status.desiredReplicas", 0);
    object_mut(object, "status").entry("currentMetrics").or_insert(Value::Null);
}

/// A network policy restricts ingress, and egress when it says anything about it.
pub fn network_policy(object: &mut Value) {
    let egress = !items(object, "spec.egress").is_empty();
    set_default(object, "spec.policyTypes", if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    for rules in ["ingress", "egress"] {
        let listed = object.pointer_mut(&format!("/spec/{rules}")).and_then(Value::as_array_mut);
        for port in listed.into_iter().flatten().filter_map(|rule| rule.get_mut("ports")?.as_array_mut()).flatten() {
            set_default(port, "protocol", "TCP");
        }
    }
}

/// A limit range: of a container, the limit is the default limit, and that the default request.
pub fn limit_range(object: &mut Value) {
    for limit in object.pointer_mut("/spec/limits").and_then(Value::as_array_mut).into_iter().flatten() {
        if text(limit, "type") != "Container" {
            continue;
        }
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let Some(source) = at(limit, from).and_then(Value::as_object).cloned() else { continue };
            let target = object_mut(limit, to);
            for (name, quantity) in source {
                target.entry(name).or_insert(quantity);
            }
        }
    }
}

/// A role binding: users and groups are of the RBAC group, as is the role.
pub fn binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    set_default(object, "roleRef.apiGroup", GROUP);
    let namespace = text(object, "metadata.namespace").to_owned();
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        match text(subject, "kind") {
            "User" | "Group" => set_default(subject, "apiGroup", GROUP),
            "ServiceAccount" if !namespace.is_empty() => set_default(subject, "namespace", namespace.as_str()),
            _ => {}
        }
    }
}

/// The webhooks of a configuration.
pub fn webhooks(object: &mut Value, mutating: bool) {
    for webhook in object.get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten() {
        set_default(webhook, "failurePolicy", "Fail");
        set_default(webhook, "matchPolicy", "Equivalent");
        set_default(webhook, "timeoutSeconds", 10);
        object_mut(webhook, "namespaceSelector");
        object_mut(webhook, "objectSelector");
        if mutating {
            set_default(webhook, "reinvocationPolicy", "Never");
        }
        if at(webhook, "clientConfig.service").is_some() {
            set_default(webhook, "clientConfig.service.port", 443);
        }
        for rule in webhook.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten() {
            set_default(rule, "scope", "*");
        }
    }
}

/// A priority level: the shares and queues that are not said.
pub fn priority_level(object: &mut Value) {
    let own = if text(object, "spec.type") == "Exempt" { ("exempt", 0) } else { ("limited", 30) };
    set_default(object, &format!("spec.{}.nominalConcurrencyShares", own.0), own.1);
    set_default(object, &format!("spec.{}.lendablePercent", own.0), 0);
    if text(object, "spec.limited.limitResponse.type") == "Queue" {
        for (field, value) in [("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)] {
            set_default(object, &format!("spec.limited.limitResponse.queuing.{field}"), value);
        }
    }
}

/// An admission policy.
pub fn policy(object: &mut Value) {
    set_default(object, "spec.failurePolicy", "Fail");
    match_resources(object, "spec.matchConstraints");
}

/// What a claim asks for, itself or in a template.
pub fn claim_requests(object: &mut Value, path: &str) {
    for request in object.pointer_mut(path).and_then(Value::as_array_mut).into_iter().flatten() {
        if at(request, "exactly").is_none() {
            continue;
        }
        set_default(request, "exactly.allocationMode", "ExactCount");
        if text(request, "exactly.allocationMode") == "ExactCount" {
            set_default(request, "exactly.count", 1);
        }
    }
}

/// What a policy or its binding is about, where it says so.
pub fn match_resources(object: &mut Value, path: &str) {
    if at(object, path).is_none() {
        return;
    }
    set_default(object, &format!("{path}.matchPolicy"), "Equivalent");
    object_mut(object, &format!("{path}.namespaceSelector"));
    object_mut(object, &format!("{path}.objectSelector"));
    let pointer = format!("/{}/resourceRules", path.replace('.', "/"));
    for rule in object.pointer_mut(&pointer).and_then(Value::as_array_mut).into_iter().flatten() {
        set_default(rule, "scope", "*");
    }
}

/// A custom resource definition: the names that follow from the kind.
pub fn definition(object: &mut Value) {
    let kind = text(object, "spec.names.kind").to_owned();
    set_default(object, "spec.names.singular", kind.to_lowercase());
    set_default(object, "spec.names.listKind", format!("{kind}List"));
    set_default(object, "spec.conversion.strategy", "None");
}

/// A driver of storage.
pub fn driver(object: &mut Value) {
    set_default(object, "spec.attachRequired", true);
    set_default(object, "spec.podInfoOnMount", false);
    set_default(object, "spec.storageCapacity", false);
    set_default(object, "spec.requiresRepublish", false);
    set_default(object, "spec.seLinuxMount", false);
    set_default(object, "spec.fsGroupPolicy", "ReadWriteOnceWithFSType");
    set_default(object, "spec.volumeLifecycleModes", json!(["Persistent"]));
}
