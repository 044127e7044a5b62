//! Protobuf says what JSON says: the same rows come out of both, and `k8s-pb`, generated from Kubernetes' own `.proto` files by
//! others, reads what is written here and writes what is read here.

use std::path::Path;

use k3am::for_each_kind;
use k3am::kinds::{Encoded, Kind, KindId, Pool};
use k3am::protobuf::{self, Frames, Items, ListHead, Message, schema};
use prost::Message as _;
use serde_json::{Value, json};

/// The captured objects, and those of the wild clusters: real ones first.
fn objects() -> Vec<Value> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(fixtures.join("captures/fastapi-prod/resources")).unwrap() {
        let Ok(list) = serde_json::from_slice::<Value>(&std::fs::read(entry.unwrap().path()).unwrap()) else { continue };
        let (kind, version) = (list["kind"].as_str().unwrap_or_default(), list["apiVersion"].clone());
        for item in list["items"].as_array().into_iter().flatten() {
            let mut item = item.clone();
            if item.get("kind").is_none() {
                item["kind"] = json!(kind.trim_end_matches("List"));
                item["apiVersion"] = version.clone();
            }
            objects.push(item);
        }
    }
    assert!(objects.len() > 100, "{} objects", objects.len());
    let wild = std::fs::read_to_string(fixtures.join("wild/clusters.jsonl")).unwrap();
    for line in wild.lines().filter(|line| !line.trim().is_empty()) {
        let cluster: Value = serde_json::from_str(line).unwrap();
        objects.extend(cluster["objects"].as_array().unwrap().iter().cloned());
    }
    objects
}

fn message_of(object: &Value) -> Option<&'static Message> {
    let version = object["apiVersion"].as_str()?;
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    schema().of_kind(group, version, object["kind"].as_str()?)
}

/// Without what protobuf cannot tell from nothing, or writes otherwise: null, zero and empty values, the kind, times in UTC.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| (key.clone(), plain(value)));
            Value::Object(fields.filter(|(_, value)| !is_nothing(value)).collect())
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::String(text) => match chrono::DateTime::parse_from_rfc3339(text) {
            Ok(at) => json!(at.timestamp_micros()),
            Err(_) => value.clone(),
        },
        Value::Number(number) if !number.is_i64() => json!(number.to_string()),
        other => other.clone(),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

/// Decodes and encodes with `k8s-pb`, which keeps nothing it has no number for.
fn through_k8s_pb(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    macro_rules! through {
        ($($name:literal => $message:path,)*) => {
            match name {
                $($name => Some(<$message>::decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}")).encode_to_vec()),)*
                _ => None,
            }
        };
    }
    use k8s_pb::api;
    through! {
        "core.v1.Pod" => api::core::v1::Pod,
        "core.v1.Event" => api::core::v1::Event,
        "core.v1.Node" => api::core::v1::Node,
        "core.v1.Namespace" => api::core::v1::Namespace,
        "core.v1.Service" => api::core::v1::Service,
        "core.v1.ConfigMap" => api::core::v1::ConfigMap,
        "core.v1.Secret" => api::core::v1::Secret,
        "core.v1.Endpoints" => api::core::v1::Endpoints,
        "core.v1.PersistentVolume" => api::core::v1::PersistentVolume,
        "core.v1.PersistentVolumeClaim" => api::core::v1::PersistentVolumeClaim,
        "core.v1.ResourceQuota" => api::core::v1::ResourceQuota,
        "core.v1.LimitRange" => api::core::v1::LimitRange,
        "core.v1.ServiceAccount" => api::core::v1::ServiceAccount,
        "apps.v1.Deployment" => api::apps::v1::Deployment,
        "apps.v1.ReplicaSet" => api::apps::v1::ReplicaSet,
        "apps.v1.StatefulSet" => api::apps::v1::StatefulSet,
        "apps.v1.DaemonSet" => api::apps::v1::DaemonSet,
        "apps.v1.ControllerRevision" => api::apps::v1::ControllerRevision,
        "batch.v1.Job" => api::batch::v1::Job,
        "batch.v1.CronJob" => api::batch::v1::CronJob,
        "discovery.v1.EndpointSlice" => api::discovery::v1::EndpointSlice,
        "networking.v1.Ingress" => api::networking::v1::Ingress,
        "networking.v1.IngressClass" => api::networking::v1::IngressClass,
        "networking.v1.NetworkPolicy" => api::networking::v1::NetworkPolicy,
        "autoscaling.v2.HorizontalPodAutoscaler" => api::autoscaling::v2::HorizontalPodAutoscaler,
        "policy.v1.PodDisruptionBudget" => api::policy::v1::PodDisruptionBudget,
        "storage.v1.StorageClass" => api::storage::v1::StorageClass,
        "storage.v1.VolumeAttachment" => api::storage::v1::VolumeAttachment,
        "storage.v1.CSINode" => api::storage::v1::CSINode,
        "scheduling.v1.PriorityClass" => api::scheduling::v1::PriorityClass,
        "coordination.v1.Lease" => api::coordination::v1::Lease,
    }
}

#[test]
fn what_k8s_pb_reads_and_writes_is_what_the_json_says() {
    let mut compared = std::collections::BTreeMap::<&str, usize>::new();
    for object in objects() {
        let Some(message) = message_of(&object) else { continue };
        let written = protobuf::write(message, &object);
        let Some(bytes) = through_k8s_pb(message.name, &written) else { continue };
        let mut back: Value = protobuf::read(message, &bytes).unwrap();
        let mut object = object;
        for value in [&mut object, &mut back] {
            value.as_object_mut().unwrap().remove("kind");
            value.as_object_mut().unwrap().remove("apiVersion");
        }
        assert_eq!(plain(&back), plain(&object), "{}", message.name);
        *compared.entry(message.name).or_default() += 1;
    }
    println!("{compared:?}");
    assert!(compared.len() >= 20, "{compared:?}");
}

macro_rules! define_rows {
    ($($variant:ident, $field:ident, $row:ty;)*) => {
        /// The row of an object from its JSON, and from its protobuf as the server would send it.
        fn rows(kind: KindId, object: &Value) -> Option<(String, String)> {
            match kind {
                $(KindId::$variant => {
                    let message = <$row as Kind>::message()?;
                    let pool = Pool::default();
                    let json = object.to_string();
                    let from_json = <$row as Kind>::read(Encoded::Json(json.as_bytes()), &pool).ok()?;
                    let bytes = protobuf::write(message_of(object)?, object);
                    let from_protobuf = <$row as Kind>::read(Encoded::Protobuf(message, &bytes), &pool).unwrap();
                    Some((format!("{from_json:#?}"), format!("{from_protobuf:#?}")))
                })*
            }
        }
    };
}
for_each_kind!(define_rows);

#[test]
fn a_row_is_the_same_from_either_encoding() {
    let mut compared = 0;
    let empty = regex::Regex::new(r#"Some\(\s*"",\s*\)"#).unwrap();
    for mut object in objects() {
        // `int32` with `omitempty`: no server sends it as 0, only a fixture written by hand.
        if let Some(status) = object["status"].as_object_mut() {
            status.retain(|field, value| field != "currentReplicas" || value != 0);
        }
        let Some(kind) = object["kind"].as_str().and_then(KindId::from_name) else { continue };
        if kind.info().metadata_only {
            continue;
        }
        let Some((json, protobuf)) = rows(kind, &object) else { continue };
        // A text that is empty in JSON says as little as one that is not there.
        let [json, protobuf] = [json, protobuf].map(|row| empty.replace_all(&row, "None").into_owned());
        assert!(json == protobuf, "{}:\n{}", object["metadata"], differences(&json, &protobuf));
        compared += 1;
    }
    assert!(compared > 1_000, "{compared}");
}

fn differences(left: &str, right: &str) -> String {
    let first = left.lines().zip(right.lines()).position(|(left, right)| left != right).unwrap_or(0);
    let around = |text: &str| text.lines().skip(first.saturating_sub(4)).take(9).collect::<Vec<_>>().join("\n");
    format!("{}\n---- protobuf:\n{}", around(left), around(right))
}

#[test]
fn a_list_and_a_watch_are_cut_into_objects_at_any_chunk_size() {
    let message = schema().of_kind("", "v1", "ConfigMap").unwrap();
    let item = |name: &str| protobuf::write(message, &json!({"metadata": {"name": name}, "data": {"a": "b".repeat(200)}}));
    let items = [item("one"), item("two"), item("three")];
    let head = ListHead { resource_version: "77".to_owned(), more: "token".to_owned(), remaining: Some(3) };
    let (mut body, tail) = protobuf::list_envelope("v1", "ConfigMapList", &head.write(), &items);
    for item in &items {
        protobuf::list_item(&mut body, item);
    }
    body.extend(tail);
    let event = protobuf::event_frame("ADDED", &protobuf::envelope("v1", "ConfigMap", &items[1]));
    let stream = [&*event, &event, &event].concat();
    for chunk in 1..body.len() {
        let (mut list, mut found) = (Items::default(), Vec::new());
        for part in body.chunks(chunk) {
            list.feed(part, &mut |item| found.push(item.to_vec())).unwrap();
        }
        assert_eq!(found, items, "chunks of {chunk}");
        let read = list.finish().unwrap();
        assert_eq!((&*read.resource_version, &*read.more), ("77", "token"));
        let (mut frames, mut events) = (Frames::default(), 0);
        for part in stream.chunks(chunk) {
            frames
                .feed(part, &mut |frame| {
                    let (kind, body) = protobuf::open_event(frame).unwrap();
                    let (version, of, raw) = protobuf::open_envelope(body).unwrap();
                    assert_eq!((&*kind, &*version, &*of, raw), ("ADDED", "v1", "ConfigMap", &*items[1]));
                    events += 1;
                })
                .unwrap();
        }
        assert_eq!((events, frames.is_inside_a_frame()), (3, false), "chunks of {chunk}");
    }
    for cut in [0, 3, 20, 60, body.len() / 2] {
        let mut list = Items::default();
        list.feed(&body[..cut], &mut |_| {}).unwrap();
        assert!(list.finish().is_err(), "cut at {cut}");
    }
    assert!(Items::default().feed(b"{\"kind\":\"List\"}", &mut |_| {}).is_err());
}

#[test]
fn bytes_of_any_kind_are_an_error_and_never_a_panic() {
    let message = schema().of_kind("", "v1", "Pod").unwrap();
    let pod = objects().into_iter().find(|object| object["kind"] == "Pod").unwrap();
    let bytes = protobuf::write(message, &pod);
    for place in 0..bytes.len() {
        for change in [0_u8, 0x7f, 0x80, 0xff] {
            let mut odd = bytes.clone();
            odd[place] = change;
            drop(protobuf::read::<Value>(message, &odd));
            drop(protobuf::read::<Value>(message, &odd[..place]));
        }
    }
}
