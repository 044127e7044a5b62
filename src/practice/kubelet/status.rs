//! A pod's status as the kubelet writes it: phase, conditions in the real order, container statuses.

use super::super::object;
use super::super::quantity;
use super::container::{Container, Exit, State, go_seconds};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// What the worker knows beside the containers.
pub struct Facts<'a> {
    /// The pod as it is now.
    pub pod: &'a Value,
    /// The node's own address.
    pub host_ip: &'a str,
    /// The pod's address, once it has a sandbox.
    pub pod_ip: Option<String>,
    /// When the kubelet first saw the pod.
    pub start: DateTime<Utc>,
    /// Whether the sandbox is up.
    pub sandbox: bool,
    /// The time of this status.
    pub now: DateTime<Utc>,
    /// The terminal phase, once everything has stopped for good.
    pub ended: Option<&'static str>,
}

/// The whole status.
pub fn compose(facts: &Facts<'_>, init: &mut [Container], main: &mut [Container]) -> Value {
    let waiting = if init.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let phase = facts.ended.unwrap_or_else(|| phase(init, main));
    let mut status = json!({
        "conditions": conditions(facts, init, main, phase),
        "containerStatuses": statuses(main, waiting, facts.pod),
        "hostIP": facts.host_ip, "hostIPs": [{"ip": facts.host_ip}],
        "observedGeneration": object::at(facts.pod, "/metadata/generation"),
        "phase": phase,
        "qosClass": object::at(facts.pod, "/status/qosClass"),
        "resources": totals(main, facts.pod),
        "startTime": object::stamp(facts.start),
    });
    if !init.is_empty() {
        object::put(&mut status, &["initContainerStatuses"], statuses(init, waiting, facts.pod));
    }
    let requests = object::at(&status, "/resources/requests").clone();
    if requests.is_object() && !matches!(phase, "Failed" | "Succeeded") {
        object::put(&mut status, &["allocatedResources"], requests);
    }
    if let Some(ip) = &facts.pod_ip {
        object::put(&mut status, &["podIP"], json!(ip));
        object::put(&mut status, &["podIPs"], json!([{"ip": ip}]));
    }
    status
}

/// Running while anything runs or will run again; Pending until every container has begun.
fn phase(init: &[Container], main: &[Container]) -> &'static str {
    if init.iter().any(|container| container.done().is_none() && !container.is_sidecar()) {
        return "Pending";
    }
    if main.iter().all(|container| container.done().is_some()) {
        let failed = main.iter().filter_map(Container::done).any(|exit| exit.code != 0);
        return if failed { "Failed" } else { "Succeeded" };
    }
    let begun = |container: &Container| {
        container.last.is_some() || matches!(container.state, State::Running(_) | State::Ended { .. } | State::Done(_))
    };
    if main.iter().all(begun) { "Running" } else { "Pending" }
}

/// A condition row: type, status, reason and message (empty when there is none).
type Row = (&'static str, bool, &'static str, String);

fn conditions(facts: &Facts<'_>, init: &[Container], main: &[Container], phase: &str) -> Vec<Value> {
    let unready: Vec<_> = main.iter().filter(|container| !container.ready).map(|container| container.name.as_str()).collect();
    let incomplete: Vec<_> = init
        .iter()
        .filter(|container| container.done().is_none_or(|exit| exit.code != 0) && !(container.is_sidecar() && container.started))
        .map(|container| container.name.as_str())
        .collect();
    let initialized = if incomplete.is_empty() || facts.ended.is_some() {
        ("Initialized", true, "", String::new())
    } else {
        (
            "Initialized",
            false,
            "ContainersNotInitialized",
            format!("containers with incomplete status: [{}]", incomplete.join(" ")),
        )
    };
    let readiness = |kind: &'static str| match phase {
        "Failed" => (kind, false, "PodFailed", String::new()),
        "Succeeded" => (kind, false, "PodCompleted", String::new()),
        _ if unready.is_empty() => (kind, true, "", String::new()),
        _ => (kind, false, "ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))),
    };
    let initialized = if phase == "Succeeded" { ("Initialized", true, "PodCompleted", String::new()) } else { initialized };
    let sandbox = ("PodReadyToStartContainers", facts.sandbox && !matches!(phase, "Failed" | "Succeeded"), "", String::new());
    let mut ready = readiness("Ready");
    if let Some(why) = gates(facts.pod).filter(|_| ready.1) {
        ready = ("Ready", false, "ReadinessGatesNotReady", why);
    }
    let mut rows: Vec<Value> =
        [sandbox, initialized, ready, readiness("ContainersReady")].into_iter().map(|row| condition(facts, row)).collect();
    let generation = object::at(facts.pod, "/metadata/generation");
    for (gate, _) in object::gates(facts.pod) {
        // Somebody else's: kept as it is.
        rows.extend(object::condition(facts.pod, gate).cloned());
    }
    for kept in ["PodScheduled", "DisruptionTarget"] {
        if let Some(present) = object::condition(facts.pod, kept) {
            let mut present = present.clone();
            object::put(&mut present, &["observedGeneration"], generation.clone());
            rows.push(present);
        } else if kept == "PodScheduled" {
            rows.push(condition(facts, ("PodScheduled", true, "", String::new())));
        }
    }
    rows
}

/// Why the readiness gates hold a pod back (`GeneratePodReadyCondition`).
fn gates(pod: &Value) -> Option<String> {
    let waiting: Vec<String> = object::gates(pod)
        .filter_map(|(gate, status)| match status {
            None => Some(format!("corresponding condition of pod readiness gate \"{gate}\" does not exist.")),
            Some("True") => None,
            Some(_) => Some(format!("the status of pod readiness gate \"{gate}\" is not \"True\", but False")),
        })
        .collect();
    (!waiting.is_empty()).then(|| waiting.join(", "))
}

fn condition(facts: &Facts<'_>, (kind, holds, reason, message): Row) -> Value {
    let status = if holds { "True" } else { "False" };
    let since = object::condition(facts.pod, kind)
        .filter(|present| object::text(present, "/status") == status)
        .map_or_else(|| object::stamp(facts.now), |present| object::text(present, "/lastTransitionTime").to_owned());
    let mut condition = json!({
        "lastProbeTime": null, "lastTransitionTime": since,
        "observedGeneration": object::at(facts.pod, "/metadata/generation"), "status": status, "type": kind,
    });
    for (field, text) in [("reason", reason), ("message", message.as_str())] {
        if !text.is_empty() {
            object::put(&mut condition, &[field], json!(text));
        }
    }
    condition
}

/// Adds the statuses of ephemeral containers, which say nothing of having started.
pub fn put_ephemeral(status: &mut Value, ephemeral: &mut [Container], pod: &Value) {
    if ephemeral.is_empty() {
        return;
    }
    let mut listed = statuses(ephemeral, "ContainerCreating", pod);
    for one in listed.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        one.remove("started");
    }
    object::put(status, &["ephemeralContainerStatuses"], listed);
}

fn statuses(containers: &mut [Container], waiting: &str, pod: &Value) -> Value {
    let mut listed: Vec<Value> = containers.iter_mut().map(|container| status_of(container, waiting, pod)).collect();
    listed.sort_by(|left, right| object::text(left, "/name").cmp(object::text(right, "/name")));
    json!(listed)
}

fn status_of(container: &mut Container, waiting: &str, pod: &Value) -> Value {
    let between = matches!(container.state, State::Idle | State::Pulling { .. } | State::Creating { .. });
    if between && !container.shown.is_null() {
        // On the way to another run the kubelet has nothing new to say.
        return container.shown.clone();
    }
    let mut status = json!({
        "image": object::text(container.spec(), "/image"), "imageID": "", "lastState": {}, "name": container.name,
        "ready": container.ready, "restartCount": container.restarts, "started": container.started, "state": state_of(container, waiting, pod),
    });
    let created = container.last.is_some() || matches!(container.state, State::Running(_) | State::Ended { .. } | State::Done(_));
    if let Some(identity) = container.identity.as_ref().filter(|_| created) {
        let id = match (&container.state, &container.last) {
            (State::BackingOff { .. }, Some(exit)) => &exit.id,
            _ => &identity.id,
        };
        object::put(&mut status, &["containerID"], json!(id));
        object::put(&mut status, &["image"], json!(identity.image));
        object::put(&mut status, &["imageID"], json!(identity.image_id));
        let resources = object::at(container.spec(), "/resources").clone();
        if let Some(requests) = resources.get("requests").filter(|_| container.done().is_none()) {
            object::put(&mut status, &["allocatedResources"], requests.clone());
        }
        object::put(&mut status, &["resources"], if resources.is_object() { resources } else { json!({}) });
    }
    if let Some(last) = &container.last {
        object::put(&mut status, &["lastState"], terminated(last));
    }
    let mounts = mounts(container.spec());
    if !mounts.is_empty() {
        object::put(&mut status, &["volumeMounts"], json!(mounts));
    }
    container.shown = status.clone();
    status
}

fn state_of(container: &Container, waiting: &str, pod: &Value) -> Value {
    let said = |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    match &container.state {
        State::Idle | State::Pulling { .. } | State::Creating { .. } => json!({"waiting": {"reason": waiting}}),
        State::Refused { reason, message, .. } => said(reason, message),
        State::PullFailed { error, shown_as_back_off, .. } if *shown_as_back_off == DateTime::<Utc>::MIN_UTC => {
            let image = object::text(container.spec(), "/image");
            said("ImagePullBackOff", &format!("Back-off pulling image \"{image}\": ErrImagePull: {error}"))
        }
        State::PullFailed { error, .. } => said("ErrImagePull", error),
        State::Running(run) => json!({"running": {"startedAt": object::stamp(run.since)}}),
        State::Ended { exit, .. } | State::Done(exit) => terminated(exit),
        State::BackingOff { delay, .. } => {
            let whole = format!("{}_{}({})", object::name(pod), object::namespace(pod), object::uid(pod));
            said(
                "CrashLoopBackOff",
                &format!("back-off {} restarting failed container={} pod={whole}", go_seconds(*delay), container.name),
            )
        }
    }
}

fn terminated(exit: &Exit) -> Value {
    let mut ended = json!({
        "containerID": exit.id, "exitCode": exit.code, "finishedAt": object::stamp(exit.finished), "reason": exit.reason,
        "startedAt": object::stamp(exit.started),
    });
    if let Some(message) = &exit.message {
        object::put(&mut ended, &["message"], json!(message));
    }
    json!({"terminated": ended})
}

fn mounts(spec: &Value) -> Vec<Value> {
    object::items(spec, "/volumeMounts")
        .iter()
        .map(|mount| {
            let mut shown = json!({"mountPath": object::text(mount, "/mountPath"), "name": object::text(mount, "/name")});
            if object::at(mount, "/readOnly") == &json!(true) {
                object::put(&mut shown, &["readOnly"], json!(true));
                object::put(&mut shown, &["recursiveReadOnly"], json!("Disabled"));
            }
            shown
        })
        .collect()
}

/// The pod's resources: the sums over its containers, as written when there is one.
fn totals(main: &[Container], _pod: &Value) -> Value {
    let mut totals = Map::new();
    for list in ["limits", "requests"] {
        let mut sums = Map::new();
        for what in ["cpu", "memory"] {
            let present: Vec<_> =
                main.iter().filter_map(|container| container.spec().pointer(&format!("/resources/{list}/{what}"))).collect();
            let sum = match present.as_slice() {
                [] => continue,
                [one] => (*one).clone(),
                many => {
                    let amount = many.iter().map(|quantity| quantity::parse(quantity)).sum();
                    json!(if what == "cpu" { quantity::cores(amount) } else { quantity::bytes(amount) })
                }
            };
            sums.insert(what.to_owned(), sum);
        }
        if !sums.is_empty() {
            totals.insert(list.to_owned(), Value::Object(sums));
        }
    }
    Value::Object(totals)
}
