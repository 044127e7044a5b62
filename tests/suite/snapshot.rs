//! The snapshot: folding, indexes, coverage, relists.

use std::sync::Arc;

use chrono::{TimeZone, Utc};
use k3am::kinds::{KindId, ObjectRef, Pool, Row};
use k3am::snapshot::{Changed, CoverageState, Delta, Key, LogExcerpt, LogKey, Scope, Snapshot};
use k3am::text::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

fn at(second: u32) -> Time {
    Utc.with_ymd_and_hms(2026, 11, 22, 3, 0, second).unwrap()
}

fn row(kind: KindId, object: Value) -> Row {
    Row::from_value(kind, object, &Pool::default()).unwrap()
}

fn pod(name: &str, version: &str, node: Option<&str>, owner: Option<&str>) -> Row {
    let owners = owner.map(|uid| json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("rs-{uid}"), "uid": uid, "controller": true}]));
    row(
        KindId::Pod,
        json!({
            "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": version, "ownerReferences": owners},
            "spec": {"nodeName": node, "containers": [{"name": "app", "image": "shop:1"}]},
            "status": {"phase": "Running", "containerStatuses": null},
        }),
    )
}

fn upsert(row: Row) -> Delta {
    Delta::Upsert { scope: Scope::Cluster, row }
}

#[test]
fn a_pod_is_found_by_key_node_and_owner_and_moves_between_them() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(upsert(pod("a", "1", Some("node-1"), Some("rs1"))));
    assert_eq!(snapshot.pods_on("node-1").count(), 1);
    assert_eq!(snapshot.pods.controlled_by("rs1").count(), 1);

    let changed = snapshot.apply(upsert(pod("a", "2", Some("node-2"), Some("rs2"))));
    assert!(matches!(&changed[..], [Changed::Object { kind: KindId::Pod, before: Some(_), .. }]));
    assert_eq!((snapshot.pods_on("node-1").count(), snapshot.pods_on("node-2").count()), (0, 1));
    assert_eq!((snapshot.pods.controlled_by("rs1").count(), snapshot.pods.controlled_by("rs2").count()), (0, 1));

    snapshot.apply(Delta::Remove { kind: KindId::Pod, key: Key::new("shop", "a") });
    assert_eq!((snapshot.pods_on("node-2").count(), snapshot.pods.len()), (0, 0));
}

#[test]
fn an_unchanged_object_changes_nothing() {
    let mut snapshot = Snapshot::default();
    assert_eq!(snapshot.apply(upsert(pod("a", "7", None, None))).len(), 1);
    assert!(snapshot.apply(upsert(pod("a", "7", None, None))).is_empty());
}

#[test]
fn a_relist_keeps_old_rows_until_it_completes_and_then_drops_what_it_did_not_name() {
    let mut snapshot = Snapshot::default();
    for name in ["gone", "stays"] {
        snapshot.apply(upsert(pod(name, "1", None, None)));
    }
    snapshot.apply(Delta::ListStarted { kind: KindId::Pod, scope: Scope::Cluster });
    snapshot.apply(upsert(pod("stays", "1", None, None)));
    assert_eq!(snapshot.pods.len(), 2, "nothing vanishes while the list is under way");
    snapshot.apply(Delta::Listed { kind: KindId::Pod, scope: Scope::Cluster, at: at(1) });
    assert_eq!(snapshot.keys(KindId::Pod), [Key::new("shop", "stays")]);
}

#[test]
fn a_list_of_one_namespace_does_not_touch_another() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(upsert(pod("a", "1", None, None)));
    let elsewhere = Scope::Namespace("other".into());
    snapshot.apply(Delta::ListStarted { kind: KindId::Pod, scope: elsewhere.clone() });
    snapshot.apply(Delta::Listed { kind: KindId::Pod, scope: elsewhere, at: at(1) });
    assert_eq!(snapshot.pods.len(), 1);
}

#[test]
fn absence_is_only_known_where_the_list_completed() {
    let mut snapshot = Snapshot::default();
    let (kind, scope) = (KindId::ConfigMap, Scope::Namespace("shop".into()));
    assert!(!snapshot.coverage.is_complete(kind, "shop"));
    snapshot.apply(Delta::ListStarted { kind, scope: scope.clone() });
    assert!(!snapshot.coverage.is_complete(kind, "shop"), "still listing");
    snapshot.apply(Delta::Listed { kind, scope: scope.clone(), at: at(1) });
    assert!(snapshot.coverage.is_complete(kind, "shop"));
    assert!(!snapshot.coverage.is_complete(kind, "other"), "never asked");

    snapshot.apply(Delta::Failing { kind, scope: scope.clone(), since: at(5), error: "connection refused".into() });
    assert!(snapshot.coverage.is_complete(kind, "shop"), "old data counts, with its age");
    assert_eq!(snapshot.coverage.oldest_feed(), Some(at(1)));
    snapshot.apply(Delta::Heard { kind, scope: scope.clone(), at: at(9) });
    assert_eq!(snapshot.coverage.of(kind, "shop"), Some(&CoverageState::Synced { heard: at(9) }));

    snapshot.apply(Delta::Denied { kind, scope, why: "forbidden".into() });
    assert!(!snapshot.coverage.is_complete(kind, "shop"));
}

#[test]
fn a_namespace_list_covers_what_the_cluster_list_was_denied() {
    let mut snapshot = Snapshot::default();
    let kind = KindId::Pod;
    snapshot.apply(Delta::Denied { kind, scope: Scope::Cluster, why: "forbidden".into() });
    snapshot.apply(Delta::ListStarted { kind, scope: Scope::Namespace("shop".into()) });
    snapshot.apply(Delta::Listed { kind, scope: Scope::Namespace("shop".into()), at: at(2) });
    assert!(snapshot.coverage.is_complete(kind, "shop"));
    assert!(!snapshot.coverage.is_complete(kind, "other"));
}

#[test]
fn replicas_of_one_template_share_their_spec() {
    let pool = Pool::default();
    let decode = |name: &str, node: &str, token: &str| {
        let text = json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"nodeName": node, "containers": [{"name": "app", "volumeMounts": [{"name": token, "mountPath": "/var/run/secrets"}]}], "volumes": [{"name": token}]},
        })
        .to_string();
        match Row::decode(KindId::Pod, &text, &pool).unwrap() {
            Row::Pod(pod) => pod,
            other => panic!("{other:?}"),
        }
    };
    let (a, b) = (decode("a", "node-1", "kube-api-access-aaaaa"), decode("b", "node-2", "kube-api-access-bbbbb"));
    assert!(Arc::ptr_eq(&a.spec, &b.spec));
    assert_ne!(a.node_name, b.node_name);
}

#[test]
fn secret_values_and_last_applied_configurations_are_not_kept() {
    let secret = row(
        KindId::Secret,
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "db", "namespace": "shop", "annotations": {"x": "hunter2"}},
            "data": {"password": "aHVudGVyMg=="},
        }),
    );
    let shown = format!("{secret:?}");
    assert!(shown.contains("password") && !shown.contains("aHVudGVyMg") && !shown.contains("hunter2"), "{shown}");
    let applied = row(
        KindId::ConfigMap,
        json!({"metadata": {"name": "c", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":1}"}}}),
    );
    assert!(applied.meta().annotations.is_empty());
}

#[test]
fn evidence_of_a_pod_goes_with_the_pod() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(upsert(pod("a", "1", None, None)));
    let key = LogKey { namespace: "shop".into(), pod: "a".into(), container: "app".into(), previous: true };
    snapshot.apply(Delta::Log { key, excerpt: LogExcerpt::default() });
    assert_eq!(snapshot.logs.len(), 1);
    snapshot.apply(Delta::Remove { kind: KindId::Pod, key: Key::new("shop", "a") });
    assert!(snapshot.logs.is_empty());
}

#[test]
fn the_owner_of_a_pod_is_known_even_when_its_replica_set_is_not() {
    let orphan = row(
        KindId::Pod,
        json!({
            "metadata": {"name": "api-5d9f-x", "namespace": "shop", "labels": {"pod-template-hash": "5d9f"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "api-5d9f", "uid": "u", "controller": true}]},
        }),
    );
    let snapshot = Snapshot::default();
    assert_eq!(snapshot.top_owner("Pod", orphan.meta()), ObjectRef::new("Deployment", "shop", "api"));
}

#[test]
fn an_event_is_filed_under_its_object_and_incarnation() {
    let event = |name: &str, uid: &str| {
        row(
            KindId::Event,
            json!({
                "metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-11-22T03:00:00Z"},
                "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "a", "uid": uid, "fieldPath": "spec.containers{app}"},
                "reason": "BackOff", "message": "(combined from similar events): Back-off", "type": "Warning", "lastTimestamp": null, "count": null,
                "eventTime": "2026-11-22T03:00:01.123456Z", "series": {"count": 7, "lastObservedTime": "2026-11-22T03:00:09.000000Z"},
            }),
        )
    };
    let mut snapshot = Snapshot::default();
    snapshot.apply(upsert(pod("a", "1", None, None)));
    snapshot.apply(upsert(event("mine", "uid-a")));
    snapshot.apply(upsert(event("older", "uid-before")));
    let meta = snapshot.pods.named("shop", "a").unwrap().meta.clone();
    let mine = snapshot.events_of(KindId::Pod, &meta);
    assert_eq!(mine.iter().map(|e| &*e.meta.name).collect::<Vec<_>>(), ["mine"]);
    assert_eq!(
        (mine[0].times(), mine[0].text(), mine[0].container(), mine[0].last_seen()),
        (7, "Back-off", Some("app"), Some(at(9)))
    );
    assert_eq!(snapshot.events_about(&ObjectRef::new("Pod", "shop", "a")).len(), 2);
}

proptest! {
    /// Whatever the order of upserts and removals, indexes agree with the rows.
    #[test]
    fn indexes_agree_with_rows(steps in prop::collection::vec((0_usize..6, prop::option::of(0_usize..3), prop::option::of(0_usize..3), any::<bool>()), 0..60)) {
        let mut snapshot = Snapshot::default();
        for (version, (name, node, owner, remove)) in steps.into_iter().enumerate() {
            let name = format!("pod-{name}");
            if remove {
                snapshot.apply(Delta::Remove { kind: KindId::Pod, key: Key::new("shop", &name) });
            } else {
                let (node, owner) = (node.map(|n| format!("node-{n}")), owner.map(|o| format!("rs{o}")));
                snapshot.apply(upsert(pod(&name, &version.to_string(), node.as_deref(), owner.as_deref())));
            }
        }
        for n in 0..3 {
            let (node, uid) = (format!("node-{n}"), format!("rs{n}"));
            let by_scan = snapshot.pods.iter().filter(|p| p.node_name.as_deref() == Some(&*node)).count();
            prop_assert_eq!(snapshot.pods_on(&node).count(), by_scan);
            let by_scan = snapshot.pods.iter().filter(|p| p.meta.controller().is_some_and(|o| *o.uid == *uid)).count();
            prop_assert_eq!(snapshot.pods.controlled_by(&uid).count(), by_scan);
        }
    }
}
