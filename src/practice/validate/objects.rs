//! Validation of kinds that run no pods, of jobs' schedules, and of what may not change.

use serde_json::{Value, json};

use crate::practice::controllers::cron_job::schedule::Schedule;
use crate::practice::hooks;
use crate::practice::json::{at, integer, items, text};
use crate::practice::policies;
use crate::practice::status::Cause;

/// Checks an object of one of the kinds of this file.
pub fn check(plural: &str, object: &Value, causes: &mut Vec<Cause>) {
    match plural {
        "horizontalpodautoscalers" => autoscaler(object, causes),
        "poddisruptionbudgets" => budget(object, causes),
        "ingresses" => ingress(object, causes),
        "persistentvolumeclaims" => claim(object, causes),
        "persistentvolumes" => volume(object, causes),
        "storageclasses" if text(object, "provisioner").is_empty() => causes.push(Cause::required("provisioner", "")),
        "roles" | "clusterroles" => role(object, causes),
        "rolebindings" | "clusterrolebindings" => binding(object, causes),
        "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => webhooks(object, causes),
        "validatingadmissionpolicies" => policy(object, causes),
        "customresourcedefinitions" => definition(object, causes),
        "configmaps" => keys(object, causes),
        "secrets" => {
            keys(object, causes);
            secret(object, causes);
        }
        "cronjobs" => cron_job(object, causes),
        "priorityclasses" if integer(object, "value").unwrap_or(0) > 1_000_000_000 => {
            let detail = "maximum allowed value of a user defined priority is 1000000000";
            causes.push(Cause::forbidden("value", detail));
        }
        _ => {}
    }
}

/// Checks what of a kind of this file may not change.
pub fn immutable(plural: &str, old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let changed = |path: &str| at(old, path) != at(new, path);
    let given = |path: &str| at(new, path).cloned().unwrap_or_default();
    match plural {
        "rolebindings" | "clusterrolebindings" if changed("roleRef") => {
            causes.push(Cause::invalid("roleRef", &given("roleRef"), "cannot change roleRef"));
        }
        "storageclasses" => {
            for field in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
                if changed(field) {
                    causes.push(Cause::forbidden(field, &format!("updates to {field} are forbidden.")));
                }
            }
        }
        "priorityclasses" if changed("value") => causes.push(Cause::forbidden("value", "may not be changed in an update.")),
        "configmaps" | "secrets"
            if at(old, "immutable") == Some(&Value::Bool(true)) && (changed("data") || changed("binaryData")) =>
        {
            causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
        }
        "secrets" if changed("type") => causes.push(Cause::invalid("type", &given("type"), "field is immutable")),
        "statefulsets" => stateful_set(old, new, causes),
        "persistentvolumeclaims" => claim_update(old, new, causes),
        _ => {}
    }
}

fn stateful_set(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    const FREE: &[&str] = &[
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "selector",
    ];
    let fixed = |object: &Value| {
        let mut spec = at(object, "spec").cloned().unwrap_or_default();
        if let Some(map) = spec.as_object_mut() {
            map.retain(|field, _| !FREE.contains(&field.as_str()));
        }
        spec
    };
    if fixed(old) != fixed(new) {
        causes.push(Cause::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn claim_update(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let fixed = |claim: &Value| {
        let mut spec = at(claim, "spec").cloned().unwrap_or_default();
        for free in ["resources", "volumeName", "volumeAttributesClassName"] {
            spec.as_object_mut().and_then(|map| map.remove(free));
        }
        spec
    };
    if at(old, "spec").is_some() && fixed(old) != fixed(new) {
        let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        causes.push(Cause::forbidden("spec", detail));
    }
}

fn autoscaler(object: &Value, causes: &mut Vec<Cause>) {
    let (least, most) = (integer(object, "spec.minReplicas").unwrap_or(1), integer(object, "spec.maxReplicas").unwrap_or(0));
    if least < 1 {
        causes.push(Cause::invalid("spec.minReplicas", &json!(least), "must be greater than or equal to 1"));
    }
    if most < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), "must be greater than 0"));
    } else if most < least {
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), "must be greater than or equal to `minReplicas`"));
    }
    for (index, metric) in items(object, "spec.metrics").iter().enumerate() {
        let source = match text(metric, "type") {
            "Resource" => "resource",
            "ContainerResource" => "containerResource",
            "Pods" => "pods",
            "Object" => "object",
            "External" => "external",
            _ => continue,
        };
        if at(metric, source).is_none() {
            let detail = "must populate information for the given metric source";
            causes.push(Cause::required(format!("spec.metrics[{index}].{source}"), detail));
        }
    }
    for field in ["kind", "name"] {
        if text(object, &format!("spec.scaleTargetRef.{field}")).is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
}

fn budget(object: &Value, causes: &mut Vec<Cause>) {
    if at(object, "spec.minAvailable").is_some() && at(object, "spec.maxUnavailable").is_some() {
        let given = at(object, "spec").cloned().unwrap_or_default();
        causes.push(Cause::invalid("spec", &given, "minAvailable and maxUnavailable cannot be both set"));
    }
}

fn ingress(object: &Value, causes: &mut Vec<Cause>) {
    let rules = items(object, "spec.rules");
    if rules.is_empty() && at(object, "spec.defaultBackend").is_none() {
        let given = at(object, "spec.rules").cloned().unwrap_or_else(|| json!([]));
        causes.push(Cause::invalid("spec", &given, "either `defaultBackend` or `rules` must be specified"));
    }
    for (rule_index, rule) in rules.iter().enumerate() {
        for (index, path) in items(rule, "http.paths").iter().enumerate() {
            let field = format!("spec.rules[{rule_index}].http.paths[{index}]");
            let kind = text(path, "pathType");
            if kind.is_empty() {
                causes.push(Cause::required(format!("{field}.pathType"), "pathType must be specified"));
            } else if !["Exact", "Prefix", "ImplementationSpecific"].contains(&kind) {
                let kinds = ["Exact", "ImplementationSpecific", "Prefix"];
                causes.push(Cause::unsupported(format!("{field}.pathType"), kind, &kinds));
            }
            let given = text(path, "path");
            if matches!(kind, "Exact" | "Prefix") && !given.starts_with('/') {
                causes.push(Cause::invalid(format!("{field}.path"), &json!(given), "must be an absolute path"));
            }
            let has_port = at(path, "backend.service.port")
                .is_some_and(|port| !text(port, "name").is_empty() || integer(port, "number").is_some());
            if !has_port && at(path, "backend.resource").is_none() {
                causes.push(Cause::required(format!("{field}.backend"), "port name or number is required"));
            }
        }
    }
}

fn access_modes(object: &Value, causes: &mut Vec<Cause>) {
    let modes = items(object, "spec.accessModes");
    if modes.is_empty() {
        causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    let known = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    for mode in modes.iter().filter_map(Value::as_str).filter(|mode| !known.contains(mode)) {
        causes.push(Cause::unsupported("spec.accessModes", mode, &known));
    }
}

fn claim(object: &Value, causes: &mut Vec<Cause>) {
    access_modes(object, causes);
    if at(object, "spec.resources.requests.storage").is_none() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
}

fn volume(object: &Value, causes: &mut Vec<Cause>) {
    access_modes(object, causes);
    if at(object, "spec.capacity").is_none() {
        causes.push(Cause::required("spec.capacity", ""));
    }
    let sources = ["hostPath", "csi", "nfs", "local", "iscsi", "fc"];
    if !sources.iter().any(|source| at(object, &format!("spec.{source}")).is_some()) {
        causes.push(Cause::required("spec", "must specify a volume type"));
    }
}

fn role(object: &Value, causes: &mut Vec<Cause>) {
    for (index, rule) in items(object, "rules").iter().enumerate() {
        let paths = !items(rule, "nonResourceURLs").is_empty();
        if items(rule, "verbs").is_empty() {
            causes.push(Cause::required(format!("rules[{index}].verbs"), "verbs must contain at least one value"));
        }
        if !paths && items(rule, "apiGroups").is_empty() {
            let detail = "resource rules must supply at least one api group";
            causes.push(Cause::required(format!("rules[{index}].apiGroups"), detail));
        }
        if !paths && items(rule, "resources").is_empty() {
            let detail = "resource rules must supply at least one resource";
            causes.push(Cause::required(format!("rules[{index}].resources"), detail));
        }
    }
}

fn binding(object: &Value, causes: &mut Vec<Cause>) {
    let kind = text(object, "roleRef.kind");
    if !["Role", "ClusterRole"].contains(&kind) {
        causes.push(Cause::unsupported("roleRef.kind", kind, &["Role", "ClusterRole"]));
    }
    if text(object, "roleRef.name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (index, subject) in items(object, "subjects").iter().enumerate() {
        if text(subject, "name").is_empty() {
            causes.push(Cause::required(format!("subjects[{index}].name"), ""));
        }
    }
}

fn webhooks(object: &Value, causes: &mut Vec<Cause>) {
    for (index, webhook) in items(object, "webhooks").iter().enumerate() {
        let field = format!("webhooks[{index}]");
        let name = text(webhook, "name");
        if name.split('.').count() < 3 {
            let detail = "should be a domain with at least three segments separated by dots";
            causes.push(Cause::invalid(format!("{field}.name"), &json!(name), detail));
        }
        if text(webhook, "sideEffects").is_empty() {
            let detail = "must specify one of None, NoneOnDryRun";
            causes.push(Cause::required(format!("{field}.sideEffects"), detail));
        }
        if items(webhook, "admissionReviewVersions").is_empty() {
            let detail = "must specify one of v1, v1beta1";
            causes.push(Cause::required(format!("{field}.admissionReviewVersions"), detail));
        }
        if at(webhook, "clientConfig.url").is_some() == at(webhook, "clientConfig.service").is_some() {
            let detail = "exactly one of url or service is required";
            causes.push(Cause::required(format!("{field}.clientConfig"), detail));
        }
        expressions((webhook, "matchConditions"), &["expression"], (&field, hooks::WEBHOOK_NAMES), causes);
    }
}

/// Checks that the expressions of a list compile.
fn expressions((of, list): (&Value, &str), fields: &[&str], (path, names): (&str, &[&str]), causes: &mut Vec<Cause>) {
    for (index, entry) in items(of, list).iter().enumerate() {
        for field in fields {
            if let Some(why) = hooks::uncompiled(entry, field, names) {
                let given = at(entry, field).cloned().unwrap_or_default();
                causes.push(Cause::invalid(format!("{path}.{list}[{index}].{field}"), &given, &why));
            }
        }
    }
}

fn policy(object: &Value, causes: &mut Vec<Cause>) {
    let Some(spec) = object.get("spec") else { return };
    for list in ["matchConditions", "variables", "validations"] {
        expressions((spec, list), &["expression", "messageExpression"], ("spec", policies::NAMES), causes);
    }
}

fn definition(object: &Value, causes: &mut Vec<Cause>) {
    let wanted = format!("{}.{}", text(object, "spec.names.plural"), text(object, "spec.group"));
    let name = text(object, "metadata.name");
    if name != wanted {
        causes.push(Cause::invalid("metadata.name", &json!(name), "must be spec.names.plural+\".\"+spec.group"));
    }
    let versions = items(object, "spec.versions");
    let stored = versions.iter().filter(|version| version.get("storage") == Some(&Value::Bool(true))).count();
    if stored != 1 {
        let given = at(object, "spec.versions").cloned().unwrap_or_default();
        causes.push(Cause::invalid("spec.versions", &given, "must have exactly one version marked as storage version"));
    }
    for (index, version) in versions.iter().enumerate() {
        if at(version, "schema.openAPIV3Schema").is_none() {
            let detail = "schemas are required";
            causes.push(Cause::required(format!("spec.versions[{index}].schema.openAPIV3Schema"), detail));
        }
    }
}

fn keys(object: &Value, causes: &mut Vec<Cause>) {
    const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
        'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    for field in ["data", "binaryData"] {
        for key in at(object, field).and_then(Value::as_object).into_iter().flat_map(|map| map.keys()) {
            let legal = |character: char| character.is_ascii_alphanumeric() || "-._".contains(character);
            if key.is_empty() || !key.chars().all(legal) {
                causes.push(Cause::invalid(format!("{field}[{key}]"), &json!(key), KEY));
            }
        }
    }
}

/// What a Secret of a type must hold.
fn secret(object: &Value, causes: &mut Vec<Cause>) {
    let wanted: &[&str] = match text(object, "type") {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in wanted {
        let has = |field: &str| object.get(field).is_some_and(|held| held.get(key).is_some());
        if !has("data") && !has("stringData") {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }
}

fn cron_job(object: &Value, causes: &mut Vec<Cause>) {
    let schedule = text(object, "spec.schedule");
    let parsed = if schedule.is_empty() { None } else { Schedule::parse(schedule).err() };
    if let Some(why) = parsed {
        causes.push(Cause::invalid("spec.schedule", &json!(schedule), &why));
    }
    let policy = text(object, "spec.concurrencyPolicy");
    let policies = ["Allow", "Forbid", "Replace"];
    if !policy.is_empty() && !policies.contains(&policy) {
        causes.push(Cause::unsupported("spec.concurrencyPolicy", policy, &policies));
    }
}
