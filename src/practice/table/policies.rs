//! Rows of flow control, admission policies, service addresses and devices.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Column, Columns, age, name, text_or};
use crate::practice::json::{at, items, text};

const NAME_AND_AGE: &[Column] = &[("Name", "string", 0), ("Age", "string", 0)];
const POLICY_BINDING: &[Column] =
    &[("Name", "string", 0), ("PolicyName", "string", 0), ("ParamRef", "string", 0), ("Age", "string", 0)];

/// The kinds of this file.
pub const COLUMNS: &[Columns] = &[
    Columns {
        plural: "flowschemas",
        headings: &[
            ("Name", "string", 0),
            ("PriorityLevel", "string", 0),
            ("MatchingPrecedence", "string", 0),
            ("DistinguisherMethod", "string", 0),
            ("Age", "string", 0),
            ("MissingPL", "string", 0),
        ],
        row: flow_schema,
    },
    Columns {
        plural: "prioritylevelconfigurations",
        headings: &[
            ("Name", "string", 0),
            ("Type", "string", 0),
            ("NominalConcurrencyShares", "string", 0),
            ("Queues", "string", 0),
            ("HandSize", "string", 0),
            ("QueueLengthLimit", "string", 0),
            ("Age", "string", 0),
        ],
        row: priority_level,
    },
    Columns {
        plural: "validatingadmissionpolicies",
        headings: &[("Name", "string", 0), ("Validations", "integer", 0), ("ParamKind", "string", 0), ("Age", "string", 0)],
        row: |object, now| policy(object, "spec.validations", now),
    },
    Columns {
        plural: "mutatingadmissionpolicies",
        headings: &[("Name", "string", 0), ("Mutations", "integer", 0), ("ParamKind", "string", 0), ("Age", "string", 0)],
        row: |object, now| policy(object, "spec.mutations", now),
    },
    Columns { plural: "validatingadmissionpolicybindings", headings: POLICY_BINDING, row: policy_binding },
    Columns { plural: "mutatingadmissionpolicybindings", headings: POLICY_BINDING, row: policy_binding },
    Columns {
        plural: "servicecidrs",
        headings: &[("Name", "string", 0), ("CIDRs", "string", 0), ("Age", "string", 0)],
        row: |object, now| {
            let ranges: Vec<_> = items(object, "spec.cidrs").iter().filter_map(Value::as_str).collect();
            vec![name(object), json!(ranges.join(",")), age(object, now)]
        },
    },
    Columns {
        plural: "ipaddresses",
        headings: &[("Name", "string", 0), ("ParentRef", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(parent(object)), age(object, now)],
    },
    Columns { plural: "deviceclasses", headings: NAME_AND_AGE, row: |object, now| vec![name(object), age(object, now)] },
    Columns { plural: "resourceclaimtemplates", headings: NAME_AND_AGE, row: |object, now| vec![name(object), age(object, now)] },
    Columns {
        plural: "resourceclaims",
        headings: &[("Name", "string", 0), ("State", "string", 0), ("Age", "string", 0)],
        row: |object, now| vec![name(object), json!(claim_state(object)), age(object, now)],
    },
    Columns {
        plural: "resourceslices",
        headings: &[
            ("Name", "string", 0),
            ("Node", "string", 0),
            ("Driver", "string", 0),
            ("Pool", "string", 0),
            ("Age", "string", 0),
        ],
        row: |object, now| {
            let field = |path: &str| json!(text(object, path));
            vec![name(object), field("spec.nodeName"), field("spec.driver"), field("spec.pool.name"), age(object, now)]
        },
    },
];

fn flow_schema(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let dangling = items(object, "status.conditions").iter().find(|condition| text(condition, "type") == "Dangling");
    vec![
        name(object),
        json!(text(object, "spec.priorityLevelConfiguration.name")),
        json!(at(object, "spec.matchingPrecedence").map(Value::to_string).unwrap_or_default()),
        text_or(object, "spec.distinguisherMethod.type", "<none>"),
        age(object, now),
        json!(dangling.map_or("?", |condition| text(condition, "status"))),
    ]
}

fn priority_level(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let number = |path: &str| at(object, path).cloned().unwrap_or_else(|| json!("<none>"));
    let queuing = |field: &str| number(&format!("spec.limited.limitResponse.queuing.{field}"));
    vec![
        name(object),
        json!(text(object, "spec.type")),
        number("spec.limited.nominalConcurrencyShares"),
        queuing("queues"),
        queuing("handSize"),
        queuing("queueLengthLimit"),
        age(object, now),
    ]
}

fn policy(object: &Value, what: &str, now: DateTime<Utc>) -> Vec<Value> {
    let kind = at(object, "spec.paramKind").map_or_else(
        || "<unset>".to_owned(),
        |kind| match text(kind, "apiVersion") {
            "" => text(kind, "kind").to_owned(),
            version => format!("{version}/{}", text(kind, "kind")),
        },
    );
    vec![name(object), json!(items(object, what).len()), json!(kind), age(object, now)]
}

fn policy_binding(object: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let parameter = at(object, "spec.paramRef").map_or_else(
        || "<unset>".to_owned(),
        |reference| {
            let what = match text(reference, "name") {
                "" => super::selector(at(reference, "selector")),
                name => name.to_owned(),
            };
            match text(reference, "namespace") {
                "" => what,
                namespace => format!("{namespace}/{what}"),
            }
        },
    );
    vec![name(object), json!(text(object, "spec.policyName")), json!(parameter), age(object, now)]
}

/// `services/default/kubernetes`.
fn parent(object: &Value) -> String {
    let Some(parent) = at(object, "spec.parentRef") else { return "<none>".to_owned() };
    let mut written = match text(parent, "group") {
        "" => text(parent, "resource").to_owned(),
        group => format!("{}.{group}", text(parent, "resource")),
    };
    for part in [text(parent, "namespace"), text(parent, "name")].into_iter().filter(|part| !part.is_empty()) {
        written.push('/');
        written.push_str(part);
    }
    written
}

fn claim_state(object: &Value) -> String {
    let going = at(object, "metadata.deletionTimestamp").is_some();
    let allocated = at(object, "status.allocation").is_some();
    let mut words = Vec::new();
    if going {
        words.push("deleted");
    }
    if allocated {
        words.push("allocated");
    } else if !going {
        words.push("pending");
    }
    if !items(object, "status.reservedFor").is_empty() {
        words.push("reserved");
    }
    words.join(",")
}
