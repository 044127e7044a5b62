//! Rows of pods, nodes, namespaces and events.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Columns, age, count, name, since, text_or};
use crate::practice::json::{at, integer, items, text};

/// The kinds of this file.
pub const COLUMNS: &[Columns] = &[
    Columns {
        plural: "pods",
        headings: &[
            ("Name", "string", 0),
            ("Ready", "string", 0),
            ("Status", "string", 0),
            ("Restarts", "string", 0),
            ("Age", "string", 0),
            ("IP", "string", 1),
            ("Node", "string", 1),
            ("Nominated Node", "string", 1),
            ("Readiness Gates", "string", 1),
        ],
        row: pod,
    },
    Columns {
        plural: "nodes",
        headings: &[
            ("Name", "string", 0),
            ("Status", "string", 0),
            ("Roles", "string", 0),
            ("Age", "string", 0),
            ("Version", "string", 0),
            ("Internal-IP", "string", 1),
            ("External-IP", "string", 1),
            ("OS-Image", "string", 1),
            ("Kernel-Version", "string", 1),
            ("Container-Runtime", "string", 1),
        ],
        row: node,
    },
    Columns {
        plural: "namespaces",
        headings: &[("Name", "string", 0), ("Status", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(text(object, "status.phase")), age(object, now)],
    },
    Columns {
        plural: "events",
        headings: &[
            ("Last Seen", "string", 0),
            ("Type", "string", 0),
            ("Reason", "string", 0),
            ("Object", "string", 0),
            ("Subobject", "string", 1),
            ("Source", "string", 1),
            ("Message", "string", 0),
            ("First Seen", "string", 1),
            ("Count", "string", 1),
            ("Name", "string", 1),
        ],
        row: event,
    },
];

fn pod(pod: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let total = items(pod, "spec.containers").len();
    let statuses = items(pod, "status.containerStatuses");
    let ready = statuses.iter().filter(|status| is_ready(status)).count();
    let (init_reason, init_restarts) = init_reason(pod);
    let restarts: i64 = if init_reason.is_some() {
        init_restarts
    } else {
        statuses.iter().filter_map(|status| integer(status, "restartCount")).sum()
    };
    let mut reason = init_reason.unwrap_or_else(|| main_reason(pod, statuses));
    if at(pod, "metadata.deletionTimestamp").is_some() {
        if text(pod, "status.reason") == "NodeLost" {
            "Unknown".clone_into(&mut reason);
        } else if !matches!(text(pod, "status.phase"), "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut reason);
        }
    }
    let last_end = statuses.iter().map(|status| text(status, "lastState.terminated.finishedAt")).max().unwrap_or_default();
    let restarts = if restarts > 0 && !last_end.is_empty() {
        format!("{restarts} ({} ago)", since(last_end, now))
    } else {
        restarts.to_string()
    };
    vec![
        name(pod),
        json!(format!("{ready}/{total}")),
        json!(reason),
        json!(restarts),
        age(pod, now),
        text_or(pod, "status.podIP", "<none>"),
        text_or(pod, "spec.nodeName", "<none>"),
        text_or(pod, "status.nominatedNodeName", "<none>"),
        json!("<none>"),
    ]
}

fn is_ready(status: &Value) -> bool {
    status.get("ready") == Some(&Value::Bool(true)) && at(status, "state.running").is_some()
}

fn main_reason(pod: &Value, statuses: &[Value]) -> String {
    let mut reason = text(pod, "status.phase").to_owned();
    if !text(pod, "status.reason").is_empty() {
        text(pod, "status.reason").clone_into(&mut reason);
    }
    let mut running = false;
    for status in statuses.iter().rev() {
        let waiting = text(status, "state.waiting.reason");
        if !waiting.is_empty() {
            waiting.clone_into(&mut reason);
        } else if let Some(terminated) = at(status, "state.terminated") {
            reason = ended(terminated);
        } else {
            running |= is_ready(status);
        }
    }
    if reason == "Completed" && running {
        let ready = items(pod, "status.conditions")
            .iter()
            .any(|condition| text(condition, "type") == "Ready" && text(condition, "status") == "True");
        return if ready { "Running" } else { "NotReady" }.to_owned();
    }
    reason
}

fn ended(terminated: &Value) -> String {
    let reason = text(terminated, "reason");
    match (reason.is_empty(), integer(terminated, "signal").unwrap_or(0)) {
        (false, _) => reason.to_owned(),
        (true, 0) => format!("ExitCode:{}", integer(terminated, "exitCode").unwrap_or(0)),
        (true, signal) => format!("Signal:{signal}"),
    }
}

/// The reason while init containers are at work, and their restarts; none when they are done.
fn init_reason(pod: &Value) -> (Option<String>, i64) {
    let total = items(pod, "spec.initContainers").len();
    let mut restarts = 0;
    for (index, status) in items(pod, "status.initContainerStatuses").iter().enumerate() {
        restarts += integer(status, "restartCount").unwrap_or(0);
        if let Some(terminated) = at(status, "state.terminated") {
            if integer(terminated, "exitCode") == Some(0) {
                continue;
            }
            return (Some(format!("Init:{}", ended(terminated))), restarts);
        }
        if status.get("started") == Some(&Value::Bool(true)) && at(status, "state.running").is_some() {
            let sidecar =
                items(pod, "spec.initContainers").get(index).is_some_and(|spec| text(spec, "restartPolicy") == "Always");
            if sidecar {
                continue;
            }
        }
        let waiting = text(status, "state.waiting.reason");
        if !waiting.is_empty() && waiting != "PodInitializing" {
            return (Some(format!("Init:{waiting}")), restarts);
        }
        return (Some(format!("Init:{index}/{total}")), restarts);
    }
    (None, restarts)
}

fn node(node: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let ready = items(node, "status.conditions").iter().find(|condition| text(condition, "type") == "Ready");
    let mut status = match ready.map(|condition| text(condition, "status")) {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if at(node, "spec.unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    let labels = at(node, "metadata.labels").and_then(Value::as_object);
    let mut roles: Vec<&str> =
        labels.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/")).collect();
    roles.sort_unstable();
    let address = |kind: &str| {
        let found = items(node, "status.addresses").iter().find(|address| text(address, "type") == kind);
        json!(found.map_or("<none>", |address| text(address, "address")))
    };
    vec![
        name(node),
        json!(status),
        json!(if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }),
        age(node, now),
        json!(text(node, "status.nodeInfo.kubeletVersion")),
        address("InternalIP"),
        address("ExternalIP"),
        text_or(node, "status.nodeInfo.osImage", "<unknown>"),
        text_or(node, "status.nodeInfo.kernelVersion", "<unknown>"),
        text_or(node, "status.nodeInfo.containerRuntimeVersion", "<unknown>"),
    ]
}

fn event(event: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let first_of = |paths: &[&str]| paths.iter().map(|path| text(event, path)).find(|time| !time.is_empty()).unwrap_or_default();
    let first = since(first_of(&["firstTimestamp", "eventTime", "metadata.creationTimestamp"]), now);
    let last = since(first_of(&["series.lastObservedTime", "lastTimestamp", "eventTime", "metadata.creationTimestamp"]), now);
    let kind = text(event, "involvedObject.kind").to_lowercase();
    let source = [text(event, "source.component"), text(event, "source.host")];
    let reporter = if source.iter().all(|part| part.is_empty()) { text(event, "reportingComponent") } else { source[0] };
    let host = if source[1].is_empty() { String::new() } else { format!(", {}", source[1]) };
    let count_of = at(event, "series.count").cloned().unwrap_or_else(|| count(event, "count"));
    vec![
        json!(last),
        json!(text(event, "type")),
        json!(text(event, "reason")),
        json!(format!("{kind}/{}", text(event, "involvedObject.name"))),
        json!(text(event, "involvedObject.fieldPath")),
        json!(format!("{reporter}{host}")),
        json!(text(event, "message").trim()),
        json!(first),
        json!(if count_of == json!(0) { "1".to_owned() } else { count_of.to_string() }),
        name(event),
    ]
}
