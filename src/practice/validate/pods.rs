//! Validation of pod specs and pod updates.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::quantity;
use super::{LABEL, is_label};
use crate::practice::json::{at, items, remove, set, text};
use crate::practice::status::Cause;

/// Checks the pod spec at a dotted path.
pub fn spec(object: &Value, path: &str, causes: &mut Vec<Cause>) {
    let containers = items(object, &format!("{path}.containers"));
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut volumes = HashSet::new();
    for (index, volume) in items(object, &format!("{path}.volumes")).iter().enumerate() {
        let name = text(volume, "name");
        if name.is_empty() {
            causes.push(Cause::required(format!("{path}.volumes[{index}].name"), ""));
        } else if !volumes.insert(name) {
            causes.push(Cause::duplicate(format!("{path}.volumes[{index}].name"), name));
        }
    }
    let mut names = HashSet::new();
    for list in ["containers", "initContainers"] {
        for (index, container) in items(object, &format!("{path}.{list}")).iter().enumerate() {
            let field = format!("{path}.{list}[{index}]");
            let name = text(container, "name");
            if name.is_empty() {
                causes.push(Cause::required(format!("{field}.name"), ""));
            } else if !is_label(name) {
                causes.push(Cause::invalid(format!("{field}.name"), &json!(name), LABEL));
            } else if !names.insert(name) {
                causes.push(Cause::duplicate(format!("{field}.name"), name));
            }
            self::container(container, &field, &volumes, causes);
        }
    }
    let policy = text(object, &format!("{path}.restartPolicy"));
    let policies = ["Always", "OnFailure", "Never"];
    if !policy.is_empty() && !policies.contains(&policy) {
        causes.push(Cause::unsupported(format!("{path}.restartPolicy"), policy, &policies));
    }
}

fn container(container: &Value, field: &str, volumes: &HashSet<&str>, causes: &mut Vec<Cause>) {
    let image = text(container, "image");
    if image.is_empty() {
        causes.push(Cause::required(format!("{field}.image"), ""));
    } else if image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(format!("{field}.image"), &json!(image), detail));
    }
    let policy = text(container, "imagePullPolicy");
    let policies = ["Always", "IfNotPresent", "Never"];
    if !policy.is_empty() && !policies.contains(&policy) {
        causes.push(Cause::unsupported(format!("{field}.imagePullPolicy"), policy, &policies));
    }
    for (index, port) in items(container, "ports").iter().enumerate() {
        let number = port.get("containerPort").and_then(Value::as_i64).unwrap_or(0);
        let path = format!("{field}.ports[{index}].containerPort");
        if number == 0 {
            causes.push(Cause::required(path, ""));
        } else if !(1..=65_535).contains(&number) {
            causes.push(Cause::invalid(path, &json!(number), "must be between 1 and 65535, inclusive"));
        }
    }
    let mut names = HashSet::new();
    for (index, port) in items(container, "ports").iter().enumerate() {
        let name = text(port, "name");
        let path = format!("{field}.ports[{index}].name");
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.chars().all(legal) {
            let detail = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
            causes.push(Cause::invalid(path, &json!(name), detail));
        } else if name.len() > 15 {
            causes.push(Cause::invalid(path, &json!(name), "must be no more than 15 characters"));
        } else if !name.is_empty() && !names.insert(name) {
            causes.push(Cause::duplicate(path, name));
        }
    }
    for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
        let name = text(mount, "name");
        if !volumes.contains(name) && !name.starts_with("kube-api-access-") {
            let path = format!("{field}.volumeMounts[{index}].name");
            causes.push(Cause { field: path, reason: "FieldValueNotFound", message: format!("Not found: {name:?}") });
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(checks) = at(container, probe).and_then(Value::as_object) else { continue };
        let handlers = ["exec", "httpGet", "tcpSocket", "grpc"].into_iter().filter(|handler| checks.contains_key(*handler));
        let path = format!("{field}.{probe}");
        match handlers.collect::<Vec<_>>().as_slice() {
            [] => causes.push(Cause::required(path, "must specify a handler type")),
            [_, more @ ..] => {
                let twice = more
                    .iter()
                    .map(|handler| Cause::forbidden(format!("{path}.{handler}"), "may not specify more than 1 handler type"));
                causes.extend(twice);
            }
        }
    }
    resources(container, field, causes);
}

fn resources(container: &Value, field: &str, causes: &mut Vec<Cause>) {
    let Some(requests) = at(container, "resources.requests").and_then(Value::as_object) else { return };
    for (name, request) in requests {
        let limit = container.pointer(&format!("/resources/limits/{name}"));
        let (Some(request_text), Some(limit_text)) = (request.as_str(), limit.and_then(Value::as_str)) else { continue };
        let (Some(asked), Some(limit)) = (quantity::parse(request_text), quantity::parse(limit_text)) else { continue };
        if asked > limit {
            let detail = format!("must be less than or equal to {name} limit of {limit_text}");
            causes.push(Cause::invalid(format!("{field}.resources.requests"), request, &detail));
        }
    }
}

/// A pod that exists may only change its images, its deadline and its tolerations.
pub fn update(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let fixed = |pod: &Value| {
        let mut spec = at(pod, "spec").cloned().unwrap_or_default();
        for list in ["containers", "initContainers", "ephemeralContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                set(container, "image", "");
                set(container, "imagePullPolicy", "");
            }
        }
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "schedulingGates"] {
            remove(&mut spec, field);
        }
        spec
    };
    if at(old, "spec").is_some() && fixed(old) != fixed(new) {
        causes.push(Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
             `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}
