//! Rows of access control, extension and remaining kinds.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Columns, age, container_list, count, name, pairs, selector, text_or};
use crate::practice::json::{at, items, text};

const NAME_AND_CREATED: &[super::Column] = &[("Name", "string", 0), ("Created At", "string", 0)];
const BINDING: &[super::Column] = &[
    ("Name", "string", 0),
    ("Role", "string", 0),
    ("Age", "string", 0),
    ("Users", "string", 1),
    ("Groups", "string", 1),
    ("ServiceAccounts", "string", 1),
];
const WEBHOOKS: &[super::Column] = &[("Name", "string", 0), ("Webhooks", "integer", 0), ("Age", "string", 0)];

/// The kinds of this file.
pub const COLUMNS: &[Columns] = &[
    Columns { plural: "roles", headings: NAME_AND_CREATED, row: created },
    Columns { plural: "clusterroles", headings: NAME_AND_CREATED, row: created },
    Columns { plural: "limitranges", headings: NAME_AND_CREATED, row: created },
    Columns { plural: "customresourcedefinitions", headings: NAME_AND_CREATED, row: created },
    Columns { plural: "rolebindings", headings: BINDING, row: binding },
    Columns { plural: "clusterrolebindings", headings: BINDING, row: binding },
    Columns { plural: "mutatingwebhookconfigurations", headings: WEBHOOKS, row: webhooks },
    Columns { plural: "validatingwebhookconfigurations", headings: WEBHOOKS, row: webhooks },
    Columns {
        plural: "apiservices",
        headings: &[("Name", "string", 0), ("Service", "string", 0), ("Available", "string", 0), ("Age", "date", 0)],
        row: api_service,
    },
    Columns {
        plural: "certificatesigningrequests",
        headings: &[
            ("Name", "string", 0),
            ("Age", "string", 0),
            ("SignerName", "string", 0),
            ("Requestor", "string", 0),
            ("RequestedDuration", "string", 0),
            ("Condition", "string", 0),
        ],
        row: signing_request,
    },
    Columns {
        plural: "ingressclasses",
        headings: &[("Name", "string", 0), ("Controller", "string", 0), ("Parameters", "string", 0), ("Age", "string", 0)],
        row: |object, now| {
            let kind = text(object, "spec.parameters.kind");
            let parameters =
                format!("{kind}.{}/{}", text(object, "spec.parameters.apiGroup"), text(object, "spec.parameters.name"));
            let parameters = if kind.is_empty() { "<none>".to_owned() } else { parameters };
            vec![name(object), json!(text(object, "spec.controller")), json!(parameters), age(object, now)]
        },
    },
    Columns {
        plural: "runtimeclasses",
        headings: &[("Name", "string", 0), ("Handler", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(text(object, "handler")), age(object, now)],
    },
    Columns {
        plural: "csinodes",
        headings: &[("Name", "string", 0), ("Drivers", "integer", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(items(object, "spec.drivers").len()), age(object, now)],
    },
    Columns {
        plural: "csidrivers",
        headings: &[
            ("Name", "string", 0),
            ("AttachRequired", "boolean", 0),
            ("PodInfoOnMount", "boolean", 0),
            ("StorageCapacity", "boolean", 0),
            ("TokenRequests", "string", 0),
            ("RequiresRepublish", "boolean", 0),
            ("Modes", "string", 0),
            ("Age", "string", 0),
        ],
        row: driver,
    },
    Columns {
        plural: "volumeattachments",
        headings: &[
            ("Name", "string", 0),
            ("Attacher", "string", 0),
            ("PV", "string", 0),
            ("Node", "string", 0),
            ("Attached", "boolean", 0),
            ("Age", "string", 0),
        ],
        row: |object, now| {
            vec![
                name(object),
                json!(text(object, "spec.attacher")),
                json!(text(object, "spec.source.persistentVolumeName")),
                json!(text(object, "spec.nodeName")),
                json!(is_true(object, "status.attached")),
                age(object, now),
            ]
        },
    },
    Columns {
        plural: "volumeattributesclasses",
        headings: &[("Name", "string", 0), ("DriverName", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(text(object, "driverName")), age(object, now)],
    },
    Columns {
        plural: "podtemplates",
        headings: &[("Name", "string", 0), ("Containers", "string", 0), ("Images", "string", 0), ("Pod Labels", "string", 0)],
        row: |object, _| {
            let labels = at(object, "template.metadata.labels").and_then(Value::as_object).map(pairs).unwrap_or_default();
            vec![
                name(object),
                json!(container_list(object, "template.spec", "name")),
                json!(container_list(object, "template.spec", "image")),
                json!(if labels.is_empty() { "<none>".to_owned() } else { labels.join(",") }),
            ]
        },
    },
    Columns {
        plural: "replicationcontrollers",
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
            vec![
                name(object),
                count(object, "spec.replicas"),
                count(object, "status.replicas"),
                count(object, "status.readyReplicas"),
                age(object, now),
                json!(container_list(object, "spec.template.spec", "name")),
                json!(container_list(object, "spec.template.spec", "image")),
                json!(selector(at(object, "spec.selector"))),
            ]
        },
    },
];

fn is_true(object: &Value, path: &str) -> bool {
    at(object, path) == Some(&Value::Bool(true))
}

fn created(object: &Value, _: DateTime<Utc>) -> Vec<Value> {
    vec![name(object), json!(text(object, "metadata.creationTimestamp"))]
}

fn webhooks(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    vec![name(object), json!(items(object, "webhooks").len()), age(object, now)]
}

fn binding(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let of = |kind: &str| {
        let subjects = items(object, "subjects").iter().filter(|subject| text(subject, "kind") == kind);
        let named = subjects.map(|subject| match text(subject, "namespace") {
            "" => text(subject, "name").to_owned(),
            namespace => format!("{namespace}/{}", text(subject, "name")),
        });
        json!(named.collect::<Vec<_>>().join(", "))
    };
    vec![
        name(object),
        json!(format!("{}/{}", text(object, "roleRef.kind"), text(object, "roleRef.name"))),
        age(object, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

fn api_service(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let service = text(object, "spec.service.name");
    let service =
        if service.is_empty() { "Local".to_owned() } else { format!("{}/{service}", text(object, "spec.service.namespace")) };
    let available = items(object, "status.conditions").iter().find(|condition| text(condition, "type") == "Available");
    let available = available.map_or_else(
        || "Unknown".to_owned(),
        |condition| match text(condition, "status") {
            "True" => "True".to_owned(),
            other => format!("{other} ({})", text(condition, "reason")),
        },
    );
    vec![name(object), json!(service), json!(available), age(object, now)]
}

fn signing_request(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let holds = |kind: &str| items(object, "status.conditions").iter().any(|condition| text(condition, "type") == kind);
    let mut state = match () {
        () if holds("Denied") => "Denied",
        () if holds("Approved") => "Approved",
        () => "Pending",
    }
    .to_owned();
    if holds("Failed") {
        state.push_str(",Failed");
    }
    if !text(object, "status.certificate").is_empty() {
        state.push_str(",Issued");
    }
    vec![
        name(object),
        age(object, now),
        text_or(object, "spec.signerName", "<none>"),
        json!(text(object, "spec.username")),
        at(object, "spec.expirationSeconds").map_or_else(|| json!("<none>"), |seconds| json!(format!("{seconds}s"))),
        json!(state),
    ]
}

fn driver(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let modes = items(object, "spec.volumeLifecycleModes").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
    vec![
        name(object),
        json!(is_true(object, "spec.attachRequired")),
        json!(is_true(object, "spec.podInfoOnMount")),
        json!(is_true(object, "spec.storageCapacity")),
        json!("<unset>"),
        json!(is_true(object, "spec.requiresRepublish")),
        json!(modes),
        age(object, now),
    ]
}
