//! Defaulting: the fields the real server fills in when nobody set them, and the admission plugins that are always on.
//!
//! Source: `pkg/apis/*/v1/defaults.go` of Kubernetes, seen in the captures. Idempotent: defaulting a defaulted object changes
//! nothing. To add a kind: a line in [`apply`].

use std::collections::HashSet;

use serde_json::{Value, json};

use super::json::{at, object_mut, set, set_default, text};
use super::resources::ResourceType;

mod objects;
mod pods;

/// What picking a cluster IP needs.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Cluster IPs in use.
    pub taken: HashSet<String>,
    /// Where to start looking.
    pub random: u64,
}

/// Fills in what is missing.
pub fn apply(resource: &ResourceType, object: &mut Value, addresses: &Addresses) {
    if let Some(custom) = resource.custom {
        return super::custom::shape(custom, object);
    }
    match resource.plural {
        "pods" => pods::pod(object),
        "services" => service(object, addresses),
        "deployments" => deployment(object),
        "replicasets" => {
            set_default(object, "spec.replicas", 1);
            pods::template(object, "spec.template");
        }
        "statefulsets" => stateful_set(object),
        "daemonsets" => daemon_set(object),
        "jobs" => job(object, "spec"),
        "cronjobs" => cron_job(object),
        "namespaces" => namespace(object),
        "secrets" => secret(object),
        "persistentvolumeclaims" => objects::claim(object),
        "persistentvolumes" => objects::volume(object),
        "storageclasses" => objects::storage_class(object),
        "horizontalpodautoscalers" => objects::autoscaler(object),
        "networkpolicies" => objects::network_policy(object),
        "limitranges" => objects::limit_range(object),
        "rolebindings" | "clusterrolebindings" => objects::binding(object),
        "mutatingwebhookconfigurations" => objects::webhooks(object, true),
        "validatingwebhookconfigurations" => objects::webhooks(object, false),
        "customresourcedefinitions" => objects::definition(object),
        "flowschemas" => set_default(object, "spec.matchingPrecedence", 1000),
        "prioritylevelconfigurations" => objects::priority_level(object),
        "validatingadmissionpolicies" | "mutatingadmissionpolicies" => objects::policy(object),
        "validatingadmissionpolicybindings" | "mutatingadmissionpolicybindings" => {
            objects::match_resources(object, "spec.matchResources");
        }
        "resourceclaims" => objects::claim_requests(object, "/spec/devices/requests"),
        "resourceclaimtemplates" => objects::claim_requests(object, "/spec/spec/devices/requests"),
        "csidrivers" => objects::driver(object),
        "priorityclasses" => set_default(object, "preemptionPolicy", "PreemptLowerPriority"),
        "podtemplates" => pods::template(object, "template"),
        "replicationcontrollers" => replication_controller(object),
        _ => {}
    }
}

fn deployment(object: &mut Value) {
    set_default(object, "spec.replicas", 1);
    set_default(object, "spec.revisionHistoryLimit", 10);
    set_default(object, "spec.progressDeadlineSeconds", 600);
    set_default(object, "spec.strategy.type", "RollingUpdate");
    if text(object, "spec.strategy.type") == "RollingUpdate" {
        set_default(object, "spec.strategy.rollingUpdate.maxSurge", "25%");
        set_default(object, "spec.strategy.rollingUpdate.maxUnavailable", "25%");
    }
    pods::template(object, "spec.template");
    object_mut(object, "status");
}

fn stateful_set(object: &mut Value) {
    set_default(object, "spec.replicas", 1);
    set_default(object, "spec.revisionHistoryLimit", 10);
    set_default(object, "spec.podManagementPolicy", "OrderedReady");
    set_default(object, "spec.updateStrategy.type", "RollingUpdate");
    if text(object, "spec.updateStrategy.type") == "RollingUpdate" {
        set_default(object, "spec.updateStrategy.rollingUpdate.partition", 0);
    }
    set_default(object, "spec.persistentVolumeClaimRetentionPolicy", json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
    pods::template(object, "spec.template");
    for claim in object.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
        set_default(claim, "apiVersion", "v1");
        set_default(claim, "kind", "PersistentVolumeClaim");
        objects::claim(claim);
    }
    set_default(object, "status.replicas", 0);
    set_default(object, "status.availableReplicas", 0);
}

fn replication_controller(object: &mut Value) {
    set_default(object, "spec.replicas", 1);
    if let Some(labels) = at(object, "spec.template.metadata.labels").cloned() {
        set_default(object, "spec.selector", labels);
    }
    pods::template(object, "spec.template");
    set_default(object, "status.replicas", 0);
}

fn daemon_set(object: &mut Value) {
    set_default(object, "spec.revisionHistoryLimit", 10);
    set_default(object, "spec.updateStrategy.type", "RollingUpdate");
    if text(object, "spec.updateStrategy.type") == "RollingUpdate" {
        set_default(object, "spec.updateStrategy.rollingUpdate", json!({"maxSurge": 0, "maxUnavailable": 1}));
    }
    pods::template(object, "spec.template");
    for field in ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"] {
        set_default(object, &format!("status.{field}"), 0);
    }
}

fn job(object: &mut Value, spec: &str) {
    // Who names a parallelism alone wants a queue of work, which has no number of completions.
    let is_queue = at(object, &format!("{spec}.parallelism")).is_some_and(|number| !number.is_null());
    for (field, value) in [
        ("parallelism", json!(1)),
        ("completions", if is_queue { Value::Null } else { json!(1) }),
        ("backoffLimit", json!(6)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("manualSelector", Value::Null),
        ("podReplacementPolicy", json!("TerminatingOrFailed")),
    ] {
        if !value.is_null() {
            set_default(object, &format!("{spec}.{field}"), value);
        }
    }
    if spec == "spec" {
        let uid = text(object, "metadata.uid").to_owned();
        let name = text(object, "metadata.name").to_owned();
        set_default(object, "spec.selector.matchLabels", json!({"batch.kubernetes.io/controller-uid": uid}));
        let labels = object_mut(object, "spec.template.metadata.labels");
        for (key, value) in [("controller-uid", &uid), ("job-name", &name)] {
            labels.entry(format!("batch.kubernetes.io/{key}")).or_insert_with(|| json!(value));
            labels.entry(key).or_insert_with(|| json!(value));
        }
    }
    pods::template(object, &format!("{spec}.template"));
}

fn cron_job(object: &mut Value) {
    set_default(object, "spec.concurrencyPolicy", "Allow");
    set_default(object, "spec.suspend", false);
    set_default(object, "spec.successfulJobsHistoryLimit", 3);
    set_default(object, "spec.failedJobsHistoryLimit", 1);
    pods::template(object, "spec.jobTemplate.spec.template");
    object_mut(object, "status");
}

fn namespace(object: &mut Value) {
    let name = text(object, "metadata.name").to_owned();
    object_mut(object, "metadata.labels").entry("kubernetes.io/metadata.name").or_insert_with(|| json!(name));
    if at(object, "metadata.deletionTimestamp").is_none() {
        set_default(object, "spec.finalizers", json!(["kubernetes"]));
        set_default(object, "status.phase", "Active");
    }
}

/// `stringData` is written to `data`, as the server does on every write.
fn secret(object: &mut Value) {
    set_default(object, "type", "Opaque");
    let Some(Value::Object(plain)) = object.as_object_mut().and_then(|map| map.remove("stringData")) else { return };
    let data = object_mut(object, "data");
    for (key, value) in plain {
        data.insert(key, json!(super::base64::encode(value.as_str().unwrap_or_default().as_bytes())));
    }
}

fn service(object: &mut Value, addresses: &Addresses) {
    set_default(object, "spec.type", "ClusterIP");
    set_default(object, "spec.sessionAffinity", "None");
    set_default(object, "status.loadBalancer", json!({}));
    if text(object, "spec.type") == "ExternalName" {
        return;
    }
    set_default(object, "spec.internalTrafficPolicy", "Cluster");
    set_default(object, "spec.ipFamilies", json!(["IPv4"]));
    set_default(object, "spec.ipFamilyPolicy", "SingleStack");
    if text(object, "spec.clusterIP").is_empty() {
        set(object, "spec.clusterIP", free_address(addresses));
    }
    let address = text(object, "spec.clusterIP").to_owned();
    set_default(object, "spec.clusterIPs", json!([address]));
    let exposed = matches!(text(object, "spec.type"), "NodePort" | "LoadBalancer");
    if exposed {
        set_default(object, "spec.externalTrafficPolicy", "Cluster");
    }
    let Some(ports) = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut) else { return };
    for (index, port) in ports.iter_mut().enumerate() {
        set_default(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or_default();
        set_default(port, "targetPort", number);
        if exposed {
            set_default(port, "nodePort", 30_000 + ((addresses.random as usize + index) % 2_767));
        }
    }
}

fn free_address(addresses: &Addresses) -> String {
    (0..65_000_u64)
        .map(|step| (addresses.random % 65_000 + step) % 65_000 + 10)
        .map(|host| format!("10.96.{}.{}", host / 256 % 256, host % 256))
        .find(|address| !addresses.taken.contains(address))
        .unwrap_or_else(|| "10.96.255.254".to_owned())
}
