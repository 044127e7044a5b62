//! A deployment's status: the counts, `Available`, and `Progressing` with its deadline.
//!
//! A condition keeps its `lastTransitionTime` while its status stays, and is not touched when status and reason both stay:
//! the deadline counts from `lastUpdateTime`, so an idle rewrite would postpone it for ever.

use super::super::super::object;
use super::super::super::resources::DEPLOYMENTS;
use super::{DeploymentController, Rollout, STATUS_WRITER, numbers};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// `spec.progressDeadlineSeconds`, `None` when unlimited.
pub fn deadline(deployment: &Value) -> Option<i64> {
    object::int(deployment, "/spec/progressDeadlineSeconds").filter(|seconds| *seconds != i64::from(i32::MAX))
}

/// Sets a condition as the real controller does; reason and message travel together.
pub fn set(deployment: &mut Value, kind: &str, status: &str, (reason, message): (&str, &str), now: DateTime<Utc>) {
    let present = object::condition(deployment, kind);
    if present.is_some_and(|present| object::text(present, "/status") == status && object::text(present, "/reason") == reason) {
        return;
    }
    let since = present
        .filter(|present| object::text(present, "/status") == status)
        .map_or_else(|| object::stamp(now), |present| object::text(present, "/lastTransitionTime").to_owned());
    let mut conditions: Vec<Value> = object::items(deployment, "/status/conditions").to_vec();
    conditions.retain(|condition| object::text(condition, "/type") != kind);
    conditions.push(json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": object::stamp(now), "lastTransitionTime": since,
    }));
    object::put(deployment, &["status", "conditions"], json!(conditions));
}

/// Whether every wanted pod is of the present template and available.
pub fn is_complete(deployment: &Value, status: &Value) -> bool {
    let wanted = numbers::size(deployment);
    let count = |field: &str| status.get(field).and_then(Value::as_i64).unwrap_or(0);
    count("updatedReplicas") == wanted
        && count("replicas") == wanted
        && count("availableReplicas") == wanted
        && count("observedGeneration") >= object::int(deployment, "/metadata/generation").unwrap_or(0)
}

/// Records that a rollout was paused or resumed. True when the deployment was written.
pub fn note_pause(controller: &DeploymentController, rollout: &Rollout, paused: bool) -> bool {
    let deployment = &rollout.deployment;
    if deadline(deployment).is_none() {
        return false;
    }
    let reason = object::condition(deployment, "Progressing").map_or("", |condition| object::text(condition, "/reason"));
    let said = match (paused, reason) {
        (_, "ProgressDeadlineExceeded") | (true, "DeploymentPaused") => return false,
        (true, _) => ("DeploymentPaused", "Deployment is paused"),
        (false, "DeploymentPaused") => ("DeploymentResumed", "Deployment is resumed"),
        (false, _) => return false,
    };
    let now = controller.clock.now();
    let (namespace, name) = (object::namespace(deployment), object::name(deployment));
    controller
        .store
        .modify(&DEPLOYMENTS, namespace, name, STATUS_WRITER, |deployment| set(deployment, "Progressing", "Unknown", said, now))
        .is_ok()
}

/// Writes counts and conditions; answers when to look again because a deadline runs.
pub fn write_status(controller: &DeploymentController, rollout: &Rollout, before: Option<&Value>) -> Option<Duration> {
    let now = controller.clock.now();
    let deployment = &rollout.deployment;
    let (namespace, name) = (object::namespace(deployment), object::name(deployment));
    let counts = counts(rollout);
    let written = controller
        .store
        .modify(&DEPLOYMENTS, namespace, name, STATUS_WRITER, |deployment| {
            let conditions = object::at(deployment, "/status/conditions").clone();
            object::put(deployment, &["status"], counts.clone());
            if conditions.is_array() {
                object::put(deployment, &["status", "conditions"], conditions);
            }
            set_available(deployment, now);
            if let Some(before) = before.filter(|_| object::at(deployment, "/spec/paused") != &json!(true)) {
                set_progressing(deployment, rollout, before, now);
            }
        })
        .ok()?;
    wake_at_deadline(&written, now)
}

fn counts(rollout: &Rollout) -> Value {
    let sum = |field: &str| rollout.all().map(|set| numbers::reported(set, field)).sum::<i64>();
    let total = sum("replicas");
    let available = sum("availableReplicas");
    let wanted: i64 = rollout.all().map(|set| numbers::size(set)).sum();
    let mut status = json!({
        "observedGeneration": object::at(&rollout.deployment, "/metadata/generation"),
        "terminatingReplicas": sum("terminatingReplicas"),
    });
    for (field, count) in [
        ("replicas", total),
        ("updatedReplicas", rollout.new.as_ref().map_or(0, |new| numbers::reported(new, "replicas"))),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (wanted - available).max(0)),
    ] {
        if count > 0 {
            object::put(&mut status, &[field], json!(count));
        }
    }
    status
}

fn set_available(deployment: &mut Value, now: DateTime<Utc>) {
    let minimum = numbers::size(deployment) - numbers::unavailable(deployment);
    if object::int(deployment, "/status/availableReplicas").unwrap_or(0) >= minimum {
        set(deployment, "Available", "True", ("MinimumReplicasAvailable", "Deployment has minimum availability."), now);
    } else {
        let why = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
        set(deployment, "Available", "False", why, now);
    }
}

fn set_progressing(deployment: &mut Value, rollout: &Rollout, before: &Value, now: DateTime<Utc>) {
    let Some(seconds) = deadline(deployment) else { return };
    let reason =
        object::condition(deployment, "Progressing").map_or("", |condition| object::text(condition, "/reason")).to_owned();
    let status = object::at(deployment, "/status").clone();
    let count = |status: &Value, field: &str| status.get(field).and_then(Value::as_i64).unwrap_or(0);
    if reason == "NewReplicaSetAvailable" && count(&status, "replicas") == count(&status, "updatedReplicas") {
        return;
    }
    let subject = rollout.new.as_ref().map_or_else(
        || format!("Deployment \"{}\"", object::name(deployment)),
        |new| format!("ReplicaSet \"{}\"", object::name(new)),
    );
    if is_complete(deployment, &status) {
        let message = format!("{subject} has successfully progressed.");
        set(deployment, "Progressing", "True", ("NewReplicaSetAvailable", &message), now);
    } else if has_progressed(before, &status) {
        let message = format!("{subject} is progressing.");
        renew(deployment, ("ReplicaSetUpdated", &message), now);
    } else if overdue(deployment, &reason, seconds, now) {
        let message = format!("{subject} has timed out progressing.");
        set(deployment, "Progressing", "False", ("ProgressDeadlineExceeded", &message), now);
    }
}

/// Progress restarts the deadline even when the reason stays the same.
fn renew(deployment: &mut Value, said: (&str, &str), now: DateTime<Utc>) {
    let unchanged =
        object::condition(deployment, "Progressing").is_some_and(|present| object::text(present, "/reason") == said.0);
    set(deployment, "Progressing", "True", said, now);
    if unchanged && let Some(conditions) = deployment.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        for condition in conditions.iter_mut().filter(|condition| object::text(condition, "/type") == "Progressing") {
            object::put(condition, &["lastUpdateTime"], json!(object::stamp(now)));
            object::put(condition, &["message"], json!(said.1));
        }
    }
}

fn has_progressed(before: &Value, after: &Value) -> bool {
    let count = |status: &Value, field: &str| status.get(field).and_then(Value::as_i64).unwrap_or(0);
    let old = |status: &Value| count(status, "replicas") - count(status, "updatedReplicas");
    count(after, "updatedReplicas") > count(before, "updatedReplicas")
        || old(after) < old(before)
        || count(after, "readyReplicas") > count(before, "readyReplicas")
        || count(after, "availableReplicas") > count(before, "availableReplicas")
}

fn overdue(deployment: &Value, reason: &str, seconds: i64, now: DateTime<Utc>) -> bool {
    match reason {
        "" | "NewReplicaSetAvailable" => false,
        "ProgressDeadlineExceeded" => true,
        _ => last_progress(deployment).is_some_and(|since| (now - since).num_seconds() >= seconds),
    }
}

fn last_progress(deployment: &Value) -> Option<DateTime<Utc>> {
    object::time(object::condition(deployment, "Progressing")?, "/lastUpdateTime")
}

fn wake_at_deadline(deployment: &Value, now: DateTime<Utc>) -> Option<Duration> {
    let seconds = deadline(deployment)?;
    let reason = object::text(object::condition(deployment, "Progressing")?, "/reason");
    if matches!(reason, "NewReplicaSetAvailable" | "ProgressDeadlineExceeded" | "DeploymentPaused") {
        return None;
    }
    let due = last_progress(deployment)? + chrono::Duration::seconds(seconds + 1);
    Some((due - now).to_std().unwrap_or(Duration::from_secs(1)))
}
