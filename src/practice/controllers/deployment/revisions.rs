//! Which `ReplicaSet` carries the present template, and the revision numbers that `kubectl rollout` reads.

use super::super::super::object;
use super::super::super::recorder::{Said, Source};
use super::super::super::resources::{DEPLOYMENTS, REPLICA_SETS};
use super::super::super::template_hash;
use super::{DeploymentController, Rollout, STATUS_WRITER, WRITER, conditions, numbers};
use serde_json::{Value, json};
use std::sync::Arc;

/// The annotation that numbers templates.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Annotations of a Deployment that are not copied to its `ReplicaSets`.
const OWN: &[&str] = &["kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAXIMUM];

/// The oldest `ReplicaSet` whose template equals the deployment's.
pub fn matching(deployment: &Value, sets: &[Arc<Value>]) -> Option<Arc<Value>> {
    let wanted = template_hash::of(object::at(deployment, "/spec/template"));
    sets.iter().find(|set| template_hash::of(object::at(set, "/spec/template")) == wanted).cloned()
}

/// The revision of a `ReplicaSet`, 0 when it has none.
pub fn number(set: &Value) -> i64 {
    object::annotation(set, REVISION).parse().unwrap_or(0)
}

/// The size `annotations` by which the controller notices a later change of `spec.replicas`.
pub fn annotate_sizes(set: &mut Value, desired: i64, surge: i64) {
    object::put(set, &["metadata", "annotations", DESIRED], json!(desired.to_string()));
    object::put(set, &["metadata", "annotations", MAXIMUM], json!((desired + surge).to_string()));
}

/// The size last written by [`annotate_sizes`].
pub fn desired_then(set: &Value) -> Option<i64> {
    object::annotation(set, DESIRED).parse().ok()
}

/// Creates the new `ReplicaSet` or renews the revision of the one that matches. True when it was created: look again.
pub fn ensure_new(controller: &DeploymentController, rollout: &Rollout) -> bool {
    if rollout.new.is_some() {
        renew(controller, rollout);
        return false;
    }
    let deployment = &rollout.deployment;
    let revision = (rollout.old.iter().map(|set| number(set)).max().unwrap_or(0) + 1).to_string();
    let all: i64 = rollout.old.iter().map(|set| numbers::size(set)).sum();
    let room = numbers::size(deployment) + numbers::surge(deployment) - all;
    let size = match object::text(deployment, "/spec/strategy/type") {
        "Recreate" => 0,
        _ => room.clamp(0, numbers::size(deployment)),
    };
    let mut set = blank(deployment);
    object::put(&mut set, &["spec", "replicas"], json!(size));
    object::put(&mut set, &["metadata", "annotations", REVISION], json!(revision));
    annotate_sizes(&mut set, numbers::size(deployment), numbers::surge(deployment));
    let set_name = object::name(&set).to_owned();
    if controller.store.create(&REPLICA_SETS, set, WRITER).is_err() {
        return false;
    }
    if size > 0 {
        let message = format!("Scaled up replica set {set_name} from 0 to {size}");
        let source = Source { component: "deployment-controller", host: "" };
        controller.recorder.record(source, deployment, Said::normal("ScalingReplicaSet", &message));
    }
    let message = format!("Created new replica set \"{set_name}\"");
    write_revision(controller, deployment, &revision, Some(("NewReplicaSetCreated", &message)));
    true
}

/// A `ReplicaSet` for the deployment's template, without size and revision.
pub fn blank(deployment: &Value) -> Value {
    let hash = template_hash::of(object::at(deployment, "/spec/template"));
    let mut template = template_hash::bare(object::at(deployment, "/spec/template"));
    object::put(&mut template, &["metadata", "labels", template_hash::LABEL], json!(hash));
    let mut selector = object::at(deployment, "/spec/selector").clone();
    object::put(&mut selector, &["matchLabels", template_hash::LABEL], json!(hash));
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", object::name(deployment)), "namespace": object::namespace(deployment),
            "labels": object::at(&template, "/metadata/labels"),
            "ownerReferences": [object::owner_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": {"selector": selector, "template": template},
        "status": {"replicas": 0},
    });
    copy_annotations(deployment, &mut set);
    if let Some(seconds) = object::int(deployment, "/spec/minReadySeconds").filter(|seconds| *seconds > 0) {
        object::put(&mut set, &["spec", "minReadySeconds"], json!(seconds));
    }
    set
}

fn copy_annotations(deployment: &Value, set: &mut Value) {
    for (key, value) in object::fields(deployment, "/metadata/annotations") {
        if !OWN.contains(&key.as_str()) {
            object::put(set, &["metadata", "annotations", key], value.clone());
        }
    }
}

/// Gives the matching `ReplicaSet` the newest revision number, and the deployment the same.
pub fn renew(controller: &DeploymentController, rollout: &Rollout) {
    let Some(new) = &rollout.new else { return };
    let newest = rollout.old.iter().map(|set| number(set)).max().unwrap_or(0) + 1;
    let before = number(new);
    let revision = before.max(newest).to_string();
    let deployment = &rollout.deployment;
    let _ = controller.store.modify(&REPLICA_SETS, object::namespace(new), object::name(new), WRITER, |set| {
        copy_annotations(deployment, set);
        if before < newest {
            if before > 0 {
                let past = match object::annotation(set, HISTORY) {
                    "" => before.to_string(),
                    history => format!("{history},{before}"),
                };
                object::put(set, &["metadata", "annotations", HISTORY], json!(past));
            }
            object::put(set, &["metadata", "annotations", REVISION], json!(revision));
        }
    });
    let found = format!("Found new replica set \"{}\"", object::name(new));
    let progress = object::condition(deployment, "Progressing").is_none();
    write_revision(controller, deployment, &revision, progress.then_some(("FoundNewReplicaSet", found.as_str())));
}

fn write_revision(controller: &DeploymentController, deployment: &Value, revision: &str, progress: Option<(&str, &str)>) {
    let (namespace, name) = (object::namespace(deployment), object::name(deployment));
    let now = controller.clock.now();
    let has_deadline = conditions::deadline(deployment).is_some();
    let _ = controller.store.modify(&DEPLOYMENTS, namespace, name, STATUS_WRITER, |deployment| {
        object::put(deployment, &["metadata", "annotations", REVISION], json!(revision));
        if let Some((reason, message)) = progress.filter(|_| has_deadline) {
            conditions::set(deployment, "Progressing", "True", (reason, message), now);
        }
    });
}

/// Deletes the oldest empty `ReplicaSets` beyond `revisionHistoryLimit`, once the rollout is complete.
pub fn prune(controller: &DeploymentController, rollout: &Rollout) {
    if !conditions::is_complete(&rollout.deployment, object::at(&rollout.deployment, "/status")) {
        return;
    }
    let limit = object::int(&rollout.deployment, "/spec/revisionHistoryLimit").unwrap_or(10).max(0) as usize;
    let mut empty: Vec<_> = rollout
        .old
        .iter()
        .filter(|set| numbers::size(set) == 0 && numbers::reported(set, "replicas") == 0 && !object::is_deleting(set))
        .collect();
    empty.sort_by_key(|set| number(set));
    for set in empty.iter().take(empty.len().saturating_sub(limit)) {
        let _ = controller.store.delete(&REPLICA_SETS, object::namespace(set), object::name(set), Some(0));
    }
}
