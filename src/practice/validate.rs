//! Validation: the 400s and 422s kubectl users meet, in the words of the real server.
//!
//! Source: `pkg/apis/*/validation`. To add a check: push a [`Cause`] in the function of its kind.

use serde_json::Value;

use super::json::{at, integer, items, text};
use super::resources::ResourceType;
use super::selectors;
use super::status::{Cause, Status};

mod objects;
mod pods;
mod quantity;

pub(super) use quantity::parse as quantity;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
    start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
pub(super) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
    '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
    start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Checks a new object (already defaulted or not); 422 with every cause.
pub fn create(resource: &ResourceType, object: &Value) -> Result<(), Status> {
    let mut causes = Vec::new();
    name(resource, object, &mut causes);
    common(resource, object, &mut causes);
    finish(resource, object, &causes)
}

/// Checks an object against what it was; 422 with every cause.
pub fn update(resource: &ResourceType, old: &Value, new: &Value) -> Result<(), Status> {
    let mut causes = Vec::new();
    common(resource, new, &mut causes);
    immutable(resource, old, new, &mut causes);
    finish(resource, old, &causes)
}

fn finish(resource: &ResourceType, object: &Value, causes: &[Cause]) -> Result<(), Status> {
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(resource, text(object, "metadata.name"), causes)) }
}

fn name(resource: &ResourceType, object: &Value, causes: &mut Vec<Cause>) {
    let name = text(object, "metadata.name");
    if name.is_empty() {
        if text(object, "metadata.generateName").is_empty() {
            causes.push(Cause::required("metadata.name", "name or generateName is required"));
        }
        return;
    }
    let given = at(object, "metadata.name").cloned().unwrap_or_default();
    match resource.plural {
        "services" if !is_label(name) || !name.starts_with(|first: char| first.is_ascii_lowercase()) => {
            causes.push(Cause::invalid("metadata.name", &given, SERVICE_LABEL));
        }
        "namespaces" if !is_label(name) => causes.push(Cause::invalid("metadata.name", &given, LABEL)),
        _ if name.len() > 253 || !name.split('.').all(is_label_long) => {
            causes.push(Cause::invalid("metadata.name", &given, SUBDOMAIN));
        }
        _ => {}
    }
}

fn common(resource: &ResourceType, object: &Value, causes: &mut Vec<Cause>) {
    label_values(object, "metadata.labels", causes);
    if let Some(custom) = resource.custom {
        return super::custom::structural::validate(&custom.schema, object, causes);
    }
    match resource.plural {
        "pods" => pods::spec(object, "spec", causes),
        "deployments" | "replicasets" | "statefulsets" | "daemonsets" => workload(object, causes),
        "jobs" => {
            pods::spec(object, "spec.template.spec", causes);
            let policy = text(object, "spec.template.spec.restartPolicy");
            if matches!(policy, "" | "Always") {
                let field = "spec.template.spec.restartPolicy";
                causes.push(Cause::unsupported(field, policy, &["OnFailure", "Never"]));
            }
        }
        "cronjobs" => {
            if text(object, "spec.schedule").is_empty() {
                causes.push(Cause::required("spec.schedule", ""));
            }
            pods::spec(object, "spec.jobTemplate.spec.template.spec", causes);
        }
        "services" => service(object, causes),
        _ => {}
    }
    if resource.custom.is_none() {
        objects::check(resource.plural, object, causes);
    }
}

fn label_values(object: &Value, path: &str, causes: &mut Vec<Cause>) {
    for value in at(object, path).and_then(Value::as_object).into_iter().flat_map(|labels| labels.values()) {
        let legal = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        let edge = |character: char| character.is_ascii_alphanumeric();
        let good = value.as_str().is_some_and(|value| {
            value.is_empty()
                || (value.len() <= 63 && value.chars().all(legal) && value.starts_with(edge) && value.ends_with(edge))
        });
        if !good {
            causes.push(Cause::invalid(path, value, LABEL_VALUE));
        }
    }
}

fn workload(object: &Value, causes: &mut Vec<Cause>) {
    if let Some(replicas) = at(object, "spec.replicas").filter(|replicas| replicas.as_i64().is_some_and(|count| count < 0)) {
        causes.push(Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
    let selector = at(object, "spec.selector");
    if selector.is_none() {
        causes.push(Cause::required("spec.selector", ""));
    }
    let template = at(object, "spec.template").cloned().unwrap_or_default();
    let expressions = !items(object, "spec.selector.matchExpressions").is_empty();
    if selector.is_some() && !expressions && !selectors::match_labels(at(object, "spec.selector.matchLabels"), &template) {
        let labels = at(&template, "metadata.labels").cloned().unwrap_or_default();
        let detail = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &labels, detail));
    }
    pods::spec(object, "spec.template.spec", causes);
    let policy = text(object, "spec.template.spec.restartPolicy");
    if !policy.is_empty() && policy != "Always" {
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
}

fn service(object: &Value, causes: &mut Vec<Cause>) {
    let ports = items(object, "spec.ports");
    let kind = text(object, "spec.type");
    if ports.is_empty() && kind != "ExternalName" && text(object, "spec.clusterIP") != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let number = integer(port, "port").unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            let given = at(port, "port").cloned().unwrap_or_else(|| 0.into());
            causes.push(Cause::invalid(format!("spec.ports[{index}].port"), &given, "must be between 1 and 65535, inclusive"));
        }
        if ports.len() > 1 && text(port, "name").is_empty() {
            causes.push(Cause::required(format!("spec.ports[{index}].name"), ""));
        }
    }
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !kind.is_empty() && !kinds.contains(&kind) {
        causes.push(Cause::unsupported("spec.type", kind, &kinds));
    }
}

fn immutable(resource: &ResourceType, old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    match resource.plural {
        "deployments" | "replicasets" | "daemonsets" | "jobs" | "statefulsets"
            if at(old, "spec.selector") != at(new, "spec.selector") =>
        {
            let given = at(new, "spec.selector").cloned().unwrap_or_default();
            causes.push(Cause::invalid("spec.selector", &given, "field is immutable"));
        }
        "pods" => pods::update(old, new, causes),
        "services" if !text(new, "spec.clusterIP").is_empty() && text(old, "spec.clusterIP") != text(new, "spec.clusterIP") => {
            let given = at(new, "spec.clusterIP").cloned().unwrap_or_default();
            causes.push(Cause::invalid("spec.clusterIPs[0]", &given, "may not change once set"));
        }
        "configmaps" | "secrets" if old.get("immutable") == Some(&Value::Bool(true)) && old.get("data") != new.get("data") => {
            causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
        }
        _ => {}
    }
    if resource.custom.is_none() {
        objects::immutable(resource.plural, old, new, causes);
    }
    if resource.plural == "jobs" && at(old, "spec.template") != at(new, "spec.template") {
        let given = at(new, "spec.template").cloned().unwrap_or_default();
        causes.push(Cause::invalid("spec.template", &given, "field is immutable"));
    }
}

pub(super) fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_label_long(text)
}

fn is_label_long(text: &str) -> bool {
    let edge = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    text.chars().all(|character| edge(character) || character == '-') && text.starts_with(edge) && text.ends_with(edge)
}
