//! Defaults of pods and pod templates, and the service account, priority and toleration admission plugins.

use serde_json::{Value, json};

use crate::practice::json::{at, items, object_mut, set, set_default, text};

/// A pod: spec defaults, admission, quality of service.
pub fn pod(object: &mut Value) {
    spec_defaults(object, "spec");
    object_mut(object, "spec");
    set_default(object, "spec.enableServiceLinks", true);
    set_default(object, "spec.serviceAccountName", "default");
    let account = text(object, "spec.serviceAccountName").to_owned();
    set_default(object, "spec.serviceAccount", account);
    set_default(object, "spec.priority", 0);
    set_default(object, "spec.preemptionPolicy", "PreemptLowerPriority");
    tolerations(object);
    service_account_volume(object);
    set_default(object, "status.phase", "Pending");
    let class = qos_class(object);
    set_default(object, "status.qosClass", class);
}

/// A pod template at `path`: the spec defaults only.
pub fn template(object: &mut Value, path: &str) {
    if at(object, path).is_some() {
        let metadata = object_mut(object, &format!("{path}.metadata"));
        // What a Go client writes for a time that is not set.
        metadata.retain(|_, value| !value.is_null());
        spec_defaults(object, &format!("{path}.spec"));
    }
}

fn spec_defaults(object: &mut Value, spec: &str) {
    set_default(object, &format!("{spec}.restartPolicy"), "Always");
    set_default(object, &format!("{spec}.dnsPolicy"), "ClusterFirst");
    set_default(object, &format!("{spec}.schedulerName"), "default-scheduler");
    set_default(object, &format!("{spec}.terminationGracePeriodSeconds"), 30);
    object_mut(object, &format!("{spec}.securityContext"));
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let pointer = format!("/{}/{list}", spec.replace('.', "/"));
        for container in object.pointer_mut(&pointer).and_then(Value::as_array_mut).into_iter().flatten() {
            container_defaults(container);
        }
    }
    let pointer = format!("/{}/volumes", spec.replace('.', "/"));
    for volume in object.pointer_mut(&pointer).and_then(Value::as_array_mut).into_iter().flatten() {
        for source in ["configMap", "secret", "projected", "downwardAPI"] {
            if volume.get(source).is_some() {
                set_default(volume, &format!("{source}.defaultMode"), 420);
            }
        }
    }
}

fn container_defaults(container: &mut Value) {
    if !container.is_object() {
        return;
    }
    let image = text(container, "image");
    let tag = image.rsplit('/').next().unwrap_or_default();
    let policy = if tag.ends_with(":latest") || !tag.contains([':', '@']) { "Always" } else { "IfNotPresent" };
    set_default(container, "imagePullPolicy", policy);
    set_default(container, "terminationMessagePath", "/dev/termination-log");
    set_default(container, "terminationMessagePolicy", "File");
    object_mut(container, "resources");
    default_requests(container);
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        set_default(port, "protocol", "TCP");
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if at(container, probe).is_some() {
            probe_defaults(container, probe);
        }
    }
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        if variable.pointer("/valueFrom/fieldRef").is_some() {
            set_default(variable, "valueFrom.fieldRef.apiVersion", "v1");
        }
    }
}

/// A limit without a request is the request.
fn default_requests(container: &mut Value) {
    let Some(limits) = at(container, "resources.limits").and_then(Value::as_object).cloned() else { return };
    let requests = object_mut(container, "resources.requests");
    for (name, limit) in limits {
        requests.entry(name).or_insert(limit);
    }
}

fn probe_defaults(container: &mut Value, probe: &str) {
    for (field, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)] {
        set_default(container, &format!("{probe}.{field}"), value);
    }
    if at(container, &format!("{probe}.httpGet")).is_some() {
        set_default(container, &format!("{probe}.httpGet.path"), "/");
        set_default(container, &format!("{probe}.httpGet.scheme"), "HTTP");
    }
}

/// The `DefaultTolerationSeconds` admission plugin: five minutes on a node that is not ready or unreachable.
fn tolerations(object: &mut Value) {
    let mut listed = items(object, "spec.tolerations").to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = listed.iter().any(|toleration| {
            let of = text(toleration, "key");
            (of == key || of.is_empty()) && matches!(text(toleration, "effect"), "" | "NoExecute")
        });
        if !tolerated {
            listed.push(json!({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300}));
        }
    }
    set(object, "spec.tolerations", listed);
}

/// The `ServiceAccount` admission plugin: the token volume and its mount in every container.
fn service_account_volume(object: &mut Value) {
    const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    if at(object, "spec.automountServiceAccountToken") == Some(&Value::Bool(false)) || at(object, "spec.containers").is_none() {
        return;
    }
    let mut volumes = items(object, "spec.volumes").to_vec();
    let present = volumes.iter().map(|volume| text(volume, "name")).find(|name| name.starts_with("kube-api-access-"));
    let name = if let Some(name) = present {
        name.to_owned()
    } else {
        let uid = text(object, "metadata.uid");
        let suffix: String = uid.chars().filter(char::is_ascii_alphanumeric).take(5).collect();
        let name = format!("kube-api-access-{suffix}");
        volumes.push(token_volume(&name));
        set(object, "spec.volumes", volumes);
        name
    };
    for list in ["initContainers", "containers"] {
        let containers = object.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter(|container| container.is_object()) {
            let mut mounts = items(container, "volumeMounts").to_vec();
            if !mounts.iter().any(|mount| text(mount, "mountPath") == MOUNT_PATH) {
                mounts.push(json!({"mountPath": MOUNT_PATH, "name": name, "readOnly": true}));
                set(container, "volumeMounts", mounts);
            }
        }
    }
}

fn token_volume(name: &str) -> Value {
    json!({"name": name, "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [
            {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}]}},
    ]}})
}

/// Guaranteed when every container limits CPU and memory to its requests, `BestEffort` when none says anything.
fn qos_class(object: &Value) -> &'static str {
    let containers = [items(object, "spec.initContainers"), items(object, "spec.containers")].concat();
    let said = |container: &Value, kind: &str, name: &str| container.pointer(&format!("/resources/{kind}/{name}")).cloned();
    let silent = |container: &Value| {
        ["limits", "requests"].iter().all(|kind| ["cpu", "memory"].iter().all(|name| said(container, kind, name).is_none()))
    };
    let guaranteed = |container: &Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = said(container, "limits", name);
            limit.is_some() && limit == said(container, "requests", name)
        })
    };
    if containers.iter().all(silent) {
        "BestEffort"
    } else if containers.iter().all(guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
