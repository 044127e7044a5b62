//! Rows of workloads: deployments, replicasets, statefulsets, daemonsets, jobs, cronjobs.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Columns, age, container_list, count, human_duration, name, pairs, selector, since, text_or};
use crate::practice::json::{at, integer, items, text};

/// The kinds of this file.
pub const COLUMNS: &[Columns] = &[
    Columns {
        plural: "deployments",
        headings: &[
            ("Name", "string", 0),
            ("Ready", "string", 0),
            ("Up-to-date", "string", 0),
            ("Available", "string", 0),
            ("Age", "string", 0),
            ("Containers", "string", 1),
            ("Images", "string", 1),
            ("Selector", "string", 1),
        ],
        row: |object, now| {
            let head = vec![
                name(object),
                of_wanted(object, "status.readyReplicas"),
                count(object, "status.updatedReplicas"),
                count(object, "status.availableReplicas"),
                age(object, now),
            ];
            with_template(head, object, true)
        },
    },
    Columns {
        plural: "replicasets",
        headings: &[
            ("Name", "string", 0),
            ("Desired", "integer", 0),
            ("Current", "integer", 0),
            ("Ready", "integer", 0),
            ("Age", "string", 0),
            ("Containers", "string", 1),
            ("Images", "string", 1),
            ("Selector", "string", 1),
        ],
        row: |object, now| {
            let head = vec![
                name(object),
                count(object, "spec.replicas"),
                count(object, "status.replicas"),
                count(object, "status.readyReplicas"),
                age(object, now),
            ];
            with_template(head, object, true)
        },
    },
    Columns {
        plural: "statefulsets",
        headings: &[
            ("Name", "string", 0),
            ("Ready", "string", 0),
            ("Age", "string", 0),
            ("Containers", "string", 1),
            ("Images", "string", 1),
        ],
        row: |object, now| {
            let head = vec![name(object), of_wanted(object, "status.readyReplicas"), age(object, now)];
            with_template(head, object, false)
        },
    },
    Columns {
        plural: "daemonsets",
        headings: &[
            ("Name", "string", 0),
            ("Desired", "integer", 0),
            ("Current", "integer", 0),
            ("Ready", "integer", 0),
            ("Up-to-date", "integer", 0),
            ("Available", "integer", 0),
            ("Node Selector", "string", 0),
            ("Age", "string", 0),
            ("Containers", "string", 1),
            ("Images", "string", 1),
            ("Selector", "string", 1),
        ],
        row: daemon_set,
    },
    Columns {
        plural: "jobs",
        headings: &[
            ("Name", "string", 0),
            ("Status", "string", 0),
            ("Completions", "string", 0),
            ("Duration", "string", 0),
            ("Age", "string", 0),
            ("Containers", "string", 1),
            ("Images", "string", 1),
            ("Selector", "string", 1),
        ],
        row: job,
    },
    Columns {
        plural: "cronjobs",
        headings: &[
            ("Name", "string", 0),
            ("Schedule", "string", 0),
            ("Timezone", "string", 0),
            ("Suspend", "boolean", 0),
            ("Active", "integer", 0),
            ("Last Schedule", "string", 0),
            ("Age", "string", 0),
        ],
        row: cron_job,
    },
];

fn of_wanted(object: &Value, ready: &str) -> Value {
    let wanted = integer(object, "spec.replicas").unwrap_or(0);
    json!(format!("{}/{wanted}", integer(object, ready).unwrap_or(0)))
}

fn with_template(mut cells: Vec<Value>, object: &Value, with_selector: bool) -> Vec<Value> {
    cells.push(json!(container_list(object, "spec.template.spec", "name")));
    cells.push(json!(container_list(object, "spec.template.spec", "image")));
    if with_selector {
        cells.push(json!(selector(at(object, "spec.selector"))));
    }
    cells
}

fn daemon_set(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let node_selector = at(object, "spec.template.spec.nodeSelector").and_then(Value::as_object).map(pairs).unwrap_or_default();
    let head = vec![
        name(object),
        count(object, "status.desiredNumberScheduled"),
        count(object, "status.currentNumberScheduled"),
        count(object, "status.numberReady"),
        count(object, "status.updatedNumberScheduled"),
        count(object, "status.numberAvailable"),
        json!(if node_selector.is_empty() { "<none>".to_owned() } else { node_selector.join(",") }),
        age(object, now),
    ];
    with_template(head, object, true)
}

fn job(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let holds = |kind: &str| {
        items(object, "status.conditions")
            .iter()
            .any(|condition| text(condition, "type") == kind && text(condition, "status") == "True")
    };
    let status = match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if at(object, "metadata.deletionTimestamp").is_some() => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () => "Running",
    };
    let wanted = match (integer(object, "spec.completions"), integer(object, "spec.parallelism").unwrap_or(0)) {
        (Some(wanted), _) => wanted.to_string(),
        (None, parallel) if parallel > 1 => format!("1 of {parallel}"),
        (None, _) => "1".to_owned(),
    };
    let done = integer(object, "status.succeeded").unwrap_or(0);
    let time = |path: &str| DateTime::parse_from_rfc3339(text(object, path)).ok().map(|time| time.with_timezone(&Utc));
    let duration = time("status.startTime").map(|start| {
        let end = time("status.completionTime").unwrap_or(now);
        human_duration((end - start).num_seconds())
    });
    let head = vec![
        name(object),
        json!(status),
        json!(format!("{done}/{wanted}")),
        json!(duration.unwrap_or_default()),
        age(object, now),
    ];
    with_template(head, object, true)
}

fn cron_job(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let last = text(object, "status.lastScheduleTime");
    vec![
        name(object),
        json!(text(object, "spec.schedule")),
        text_or(object, "spec.timeZone", "<none>"),
        json!(if at(object, "spec.suspend") == Some(&Value::Bool(true)) { "True" } else { "False" }),
        json!(items(object, "status.active").len()),
        json!(if last.is_empty() { "<none>".to_owned() } else { since(last, now) }),
        age(object, now),
    ]
}
