//! Request bodies in Kubernetes' protobuf, which kubectl's typed clients send for a few small kinds.
//!
//! The server answers in JSON (every client accepts it), so only decoding is needed, and only for the messages listed in
//! [`MESSAGES`]: what `kubectl auth`, `drain` and `create` send. Field numbers are those of `generated.proto` in `k8s.io/api`. A
//! body with a field that is not listed is refused rather than half understood. To accept another kind: its messages here.

use serde_json::{Map, Value, json};

/// How a field is encoded.
#[derive(Clone, Copy)]
enum Field {
    Text,
    Bytes,
    Integer,
    Bool,
    /// A number that is not sent in JSON when it is 0.
    Count,
    Message(&'static str),
    Texts,
    Messages(&'static str),
    /// `IntOrString`.
    IntOrText,
    /// `map<string, string>`.
    TextMap,
    /// `map<string, bytes>`.
    BytesMap,
}

type Fields = &'static [(u64, &'static str, Field)];

const MESSAGES: &[(&str, Fields)] = &[
    (
        "ObjectMeta",
        &[
            (1, "name", Field::Text),
            (2, "generateName", Field::Text),
            (3, "namespace", Field::Text),
            (5, "uid", Field::Text),
            (6, "resourceVersion", Field::Text),
            (11, "labels", Field::TextMap),
            (12, "annotations", Field::TextMap),
            (14, "finalizers", Field::Texts),
        ],
    ),
    (
        "SelfSubjectAccessReview",
        &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("AccessReviewSpec"))],
    ),
    (
        "AccessReviewSpec",
        &[
            (1, "resourceAttributes", Field::Message("ResourceAttributes")),
            (2, "nonResourceAttributes", Field::Message("NonResourceAttributes")),
        ],
    ),
    (
        "ResourceAttributes",
        &[
            (1, "namespace", Field::Text),
            (2, "verb", Field::Text),
            (3, "group", Field::Text),
            (4, "version", Field::Text),
            (5, "resource", Field::Text),
            (6, "subresource", Field::Text),
            (7, "name", Field::Text),
        ],
    ),
    ("NonResourceAttributes", &[(1, "path", Field::Text), (2, "verb", Field::Text)]),
    ("SelfSubjectRulesReview", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("RulesReviewSpec"))]),
    ("RulesReviewSpec", &[(1, "namespace", Field::Text)]),
    ("SelfSubjectReview", &[(1, "metadata", Field::Message("ObjectMeta"))]),
    ("Eviction", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "deleteOptions", Field::Message("DeleteOptions"))]),
    (
        "DeleteOptions",
        &[
            (1, "gracePeriodSeconds", Field::Integer),
            (2, "preconditions", Field::Message("Preconditions")),
            (3, "orphanDependents", Field::Bool),
            (4, "propagationPolicy", Field::Text),
            (5, "dryRun", Field::Texts),
        ],
    ),
    ("Preconditions", &[(1, "uid", Field::Text), (2, "resourceVersion", Field::Text)]),
    ("Namespace", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("NamespaceSpec"))]),
    ("NamespaceSpec", &[(1, "finalizers", Field::Texts)]),
    ("ServiceAccount", &[(1, "metadata", Field::Message("ObjectMeta"))]),
    (
        "ConfigMap",
        &[
            (1, "metadata", Field::Message("ObjectMeta")),
            (2, "data", Field::TextMap),
            (3, "binaryData", Field::BytesMap),
            (4, "immutable", Field::Bool),
        ],
    ),
    (
        "Secret",
        &[
            (1, "metadata", Field::Message("ObjectMeta")),
            (2, "data", Field::BytesMap),
            (3, "type", Field::Text),
            (4, "stringData", Field::TextMap),
            (5, "immutable", Field::Bool),
        ],
    ),
    ("Binding", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "target", Field::Message("ObjectReference"))]),
    ("ObjectReference", &[(1, "kind", Field::Text), (2, "namespace", Field::Text), (3, "name", Field::Text)]),
    ("Scale", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("ScaleSpec"))]),
    ("ScaleSpec", &[(1, "replicas", Field::Integer)]),
    ("Deployment", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("DeploymentSpec"))]),
    (
        "DeploymentSpec",
        &[
            (1, "replicas", Field::Integer),
            (2, "selector", Field::Message("LabelSelector")),
            (3, "template", Field::Message("PodTemplate")),
            (4, "strategy", Field::Message("Strategy")),
            (5, "minReadySeconds", Field::Count),
            (6, "revisionHistoryLimit", Field::Integer),
            (7, "paused", Field::Bool),
            (9, "progressDeadlineSeconds", Field::Integer),
        ],
    ),
    ("Strategy", &[(1, "type", Field::Text)]),
    ("LabelSelector", &[(1, "matchLabels", Field::TextMap)]),
    ("PodTemplate", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("PodSpec"))]),
    ("Pod", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("PodSpec"))]),
    (
        "PodSpec",
        &[
            (2, "containers", Field::Messages("Container")),
            (3, "restartPolicy", Field::Text),
            (4, "terminationGracePeriodSeconds", Field::Integer),
            (6, "dnsPolicy", Field::Text),
            (7, "nodeSelector", Field::TextMap),
            (8, "serviceAccountName", Field::Text),
            (10, "nodeName", Field::Text),
            (20, "initContainers", Field::Messages("Container")),
        ],
    ),
    (
        "Container",
        &[
            (1, "name", Field::Text),
            (2, "image", Field::Text),
            (3, "command", Field::Texts),
            (4, "args", Field::Texts),
            (5, "workingDir", Field::Text),
            (6, "ports", Field::Messages("ContainerPort")),
            (7, "env", Field::Messages("EnvVar")),
            (8, "resources", Field::Message("Empty")),
            (14, "imagePullPolicy", Field::Text),
        ],
    ),
    (
        "ContainerPort",
        &[
            (1, "name", Field::Text),
            (2, "hostPort", Field::Count),
            (3, "containerPort", Field::Integer),
            (4, "protocol", Field::Text),
        ],
    ),
    ("EnvVar", &[(1, "name", Field::Text), (2, "value", Field::Text)]),
    ("Empty", &[]),
    ("Job", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("JobSpec"))]),
    (
        "JobSpec",
        &[
            (1, "parallelism", Field::Integer),
            (2, "completions", Field::Integer),
            (6, "template", Field::Message("PodTemplate")),
            (7, "backoffLimit", Field::Integer),
        ],
    ),
    ("Service", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("ServiceSpec"))]),
    (
        "ServiceSpec",
        &[
            (1, "ports", Field::Messages("ServicePort")),
            (2, "selector", Field::TextMap),
            (3, "clusterIP", Field::Text),
            (4, "type", Field::Text),
            (10, "externalName", Field::Text),
        ],
    ),
    (
        "ServicePort",
        &[
            (1, "name", Field::Text),
            (2, "protocol", Field::Text),
            (3, "port", Field::Integer),
            (4, "targetPort", Field::IntOrText),
        ],
    ),
    ("IntOrString", &[(1, "type", Field::Integer), (2, "intVal", Field::Integer), (3, "strVal", Field::Text)]),
    ("Unknown", &[(1, "typeMeta", Field::Message("TypeMeta")), (2, "raw", Field::Bytes), (4, "contentType", Field::Text)]),
    ("TypeMeta", &[(1, "apiVersion", Field::Text), (2, "kind", Field::Text)]),
    ("Entry", &[(1, "key", Field::Text), (2, "value", Field::Text)]),
    ("BytesEntry", &[(1, "key", Field::Text), (2, "value", Field::Bytes)]),
];

/// Decodes a body that begins with Kubernetes' protobuf magic; none for anything else, or for a kind not in the table.
pub fn decode(body: &[u8]) -> Option<Value> {
    let envelope = message("Unknown", body.strip_prefix(b"k8s\0")?)?;
    let kind = super::json::text(&envelope, "typeMeta.kind").to_owned();
    let raw = super::base64::decode(super::json::text(&envelope, "raw"))?;
    let mut object = message(&kind, &raw)?;
    super::json::set(&mut object, "kind", kind);
    super::json::set(&mut object, "apiVersion", super::json::text(&envelope, "typeMeta.apiVersion"));
    Some(object)
}

fn message(name: &str, mut bytes: &[u8]) -> Option<Value> {
    let fields = MESSAGES.iter().find(|(of, _)| *of == name)?.1;
    let mut object = Map::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let (number, wire) = (tag >> 3, tag & 7);
        let (scalar, data): (u64, &[u8]) = match wire {
            0 => (varint(&mut bytes)?, &[]),
            1 => (0, take(&mut bytes, 8)?),
            2 => {
                let length = varint(&mut bytes)? as usize;
                (0, take(&mut bytes, length)?)
            }
            5 => (0, take(&mut bytes, 4)?),
            _ => return None,
        };
        match fields.iter().find(|(of, _, _)| *of == number) {
            Some((_, name, field)) => put(&mut object, name, *field, scalar, data)?,
            None if is_zero(scalar, data) => {}
            None => return None,
        }
    }
    Some(Value::Object(object))
}

/// Whether an unlisted field says nothing: zero, or messages that are empty all the way down (an unset time, a zero status).
fn is_zero(scalar: u64, data: &[u8]) -> bool {
    scalar == 0 && (data.is_empty() || nested_zero(data).unwrap_or(false))
}

fn nested_zero(mut bytes: &[u8]) -> Option<bool> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let zero = match tag & 7 {
            0 => varint(&mut bytes)? == 0,
            2 => {
                let length = varint(&mut bytes)? as usize;
                is_zero(0, take(&mut bytes, length)?)
            }
            _ => false,
        };
        if !zero {
            return Some(false);
        }
    }
    Some(true)
}

/// Writes one decoded field; empty strings stay out, as JSON's `omitempty` leaves them out.
fn put(object: &mut Map<String, Value>, name: &str, field: Field, scalar: u64, data: &[u8]) -> Option<()> {
    let text = || String::from_utf8_lossy(data).into_owned();
    match field {
        Field::Text if data.is_empty() => {}
        Field::Text => drop(object.insert(name.to_owned(), json!(text()))),
        Field::Bytes => drop(object.insert(name.to_owned(), json!(super::base64::encode(data)))),
        Field::Count | Field::Bool if scalar == 0 => {}
        Field::Integer | Field::Count => drop(object.insert(name.to_owned(), json!(scalar as i64))),
        Field::Bool => drop(object.insert(name.to_owned(), json!(true))),
        Field::Message(kind) => drop(object.insert(name.to_owned(), message(kind, data)?)),
        Field::Texts => push(object, name, json!(text())),
        Field::IntOrText => {
            let either = message("IntOrString", data)?;
            let chosen = either.get("strVal").or_else(|| either.get("intVal")).cloned();
            object.extend(chosen.filter(|value| *value != json!(0)).map(|value| (name.to_owned(), value)));
        }
        Field::Messages(kind) => push(object, name, message(kind, data)?),
        Field::TextMap | Field::BytesMap => {
            let kind = if matches!(field, Field::TextMap) { "Entry" } else { "BytesEntry" };
            let entry = message(kind, data)?;
            let key = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = entry.get("value").cloned().unwrap_or_else(|| json!(""));
            if let Value::Object(map) = object.entry(name).or_insert_with(|| json!({})) {
                map.insert(key, value);
            }
        }
    }
    Some(())
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) {
    if let Value::Array(list) = object.entry(name).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}
