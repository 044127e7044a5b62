//! Rows of configuration, storage and policy kinds.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Columns, age, count, name, text_or};
use crate::practice::json::{at, items, text};

/// The kinds of this file.
pub const COLUMNS: &[Columns] = &[
    Columns {
        plural: "configmaps",
        headings: &[("Name", "string", 0), ("Data", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(keys(object, &["data", "binaryData"])), age(object, now)],
    },
    Columns {
        plural: "secrets",
        headings: &[("Name", "string", 0), ("Type", "string", 0), ("Data", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(text(object, "type")), json!(keys(object, &["data"])), age(object, now)],
    },
    Columns {
        plural: "serviceaccounts",
        headings: &[("Name", "string", 0), ("Secrets", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(items(object, "secrets").len()), age(object, now)],
    },
    Columns {
        plural: "persistentvolumeclaims",
        headings: &[
            ("Name", "string", 0),
            ("Status", "string", 0),
            ("Volume", "string", 0),
            ("Capacity", "string", 0),
            ("Access Modes", "string", 0),
            ("StorageClass", "string", 0),
            ("VolumeAttributesClass", "string", 0),
            ("Age", "string", 0),
            ("VolumeMode", "string", 1),
        ],
        row: claim,
    },
    Columns {
        plural: "persistentvolumes",
        headings: &[
            ("Name", "string", 0),
            ("Capacity", "string", 0),
            ("Access Modes", "string", 0),
            ("Reclaim Policy", "string", 0),
            ("Status", "string", 0),
            ("Claim", "string", 0),
            ("StorageClass", "string", 0),
            ("VolumeAttributesClass", "string", 0),
            ("Reason", "string", 0),
            ("Age", "string", 0),
            ("VolumeMode", "string", 1),
        ],
        row: volume,
    },
    Columns {
        plural: "storageclasses",
        headings: &[
            ("Name", "string", 0),
            ("Provisioner", "string", 0),
            ("ReclaimPolicy", "string", 0),
            ("VolumeBindingMode", "string", 0),
            ("AllowVolumeExpansion", "string", 0),
            ("Age", "string", 0),
        ],
        row: storage_class,
    },
    Columns {
        plural: "resourcequotas",
        headings: &[("Name", "string", 0), ("Request", "string", 0), ("Limit", "string", 0), ("Age", "string", 0)],
        row: quota,
    },
    Columns {
        plural: "leases",
        headings: &[("Name", "string", 0), ("Holder", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(text(object, "spec.holderIdentity")), age(object, now)],
    },
    Columns {
        plural: "priorityclasses",
        headings: &[
            ("Name", "string", 0),
            ("Value", "integer", 0),
            ("Global-Default", "boolean", 0),
            ("Age", "string", 0),
            ("PreemptionPolicy", "string", 0),
        ],
        row: |object, now| {
            vec![
                name(object),
                count(object, "value"),
                json!(object.get("globalDefault") == Some(&Value::Bool(true))),
                age(object, now),
                text_or(object, "preemptionPolicy", "PreemptLowerPriority"),
            ]
        },
    },
    Columns {
        plural: "controllerrevisions",
        headings: &[("Name", "string", 0), ("Controller", "string", 0), ("Revision", "integer", 0), ("Age", "string", 0)],
        row: revision,
    },
];

fn keys(object: &Value, maps: &[&str]) -> String {
    maps.iter().filter_map(|map| object.get(*map)?.as_object()).map(serde_json::Map::len).sum::<usize>().to_string()
}

/// `ReadWriteOnce` as `RWO`.
fn modes(object: &Value, path: &str) -> String {
    let short = |mode: &Value| match mode.as_str().unwrap_or_default() {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "?",
    };
    items(object, path).iter().map(short).collect::<Vec<_>>().join(",")
}

fn claim(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let going = at(object, "metadata.deletionTimestamp").is_some();
    vec![
        name(object),
        json!(if going { "Terminating" } else { text(object, "status.phase") }),
        json!(text(object, "spec.volumeName")),
        json!(text(object, "status.capacity.storage")),
        json!(modes(object, "status.accessModes")),
        json!(text(object, "spec.storageClassName")),
        text_or(object, "spec.volumeAttributesClassName", "<unset>"),
        age(object, now),
        json!(text(object, "spec.volumeMode")),
    ]
}

fn volume(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let claim = text(object, "spec.claimRef.name");
    let claim = if claim.is_empty() { String::new() } else { format!("{}/{claim}", text(object, "spec.claimRef.namespace")) };
    vec![
        name(object),
        json!(text(object, "spec.capacity.storage")),
        json!(modes(object, "spec.accessModes")),
        json!(text(object, "spec.persistentVolumeReclaimPolicy")),
        json!(text(object, "status.phase")),
        json!(claim),
        json!(text(object, "spec.storageClassName")),
        text_or(object, "spec.volumeAttributesClassName", "<unset>"),
        json!(text(object, "status.reason")),
        age(object, now),
        json!(text(object, "spec.volumeMode")),
    ]
}

fn storage_class(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let default = object.pointer("/metadata/annotations/storageclass.kubernetes.io~1is-default-class");
    let mark = if default.is_some_and(|value| value == "true") { " (default)" } else { "" };
    vec![
        json!(format!("{}{mark}", text(object, "metadata.name"))),
        json!(text(object, "provisioner")),
        text_or(object, "reclaimPolicy", "Delete"),
        text_or(object, "volumeBindingMode", "Immediate"),
        json!(object.get("allowVolumeExpansion") == Some(&Value::Bool(true))),
        age(object, now),
    ]
}

fn quota(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let hard = at(object, "status.hard").or_else(|| at(object, "spec.hard")).and_then(Value::as_object);
    let used = |resource: &str| {
        object.pointer("/status/used").and_then(|used| used.get(resource)).and_then(Value::as_str).unwrap_or("0").to_owned()
    };
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, most) in hard.into_iter().flatten() {
        let cell = format!("{resource}: {}/{}", used(resource), most.as_str().unwrap_or_default());
        if resource.starts_with("limits.") { limits.push(cell) } else { requests.push(cell) }
    }
    vec![name(object), json!(requests.join(", ")), json!(limits.join(", ")), age(object, now)]
}

fn revision(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let owner = items(object, "metadata.ownerReferences").first();
    let controller = owner.map_or_else(
        || "<none>".to_owned(),
        |owner| {
            let group = text(owner, "apiVersion").split('/').next().unwrap_or_default();
            format!("{}.{group}/{}", text(owner, "kind").to_lowercase(), text(owner, "name"))
        },
    );
    vec![name(object), json!(controller), count(object, "revision"), age(object, now)]
}
