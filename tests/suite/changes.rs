//! What changed, on a real bad rollout (`fixtures/changes/bad-rollout.json`, from a live cluster) and on small made-up workloads.

use k3am::changes::{self, ChangeKind, DiffLine, TimelineFilter, TimelineKind};
use k3am::kinds::{KindId, ObjectRef, Pool, Row};
use k3am::snapshot::{Delta, Scope, Snapshot};
use k3am::text::Time;
use serde_json::{Value, json};

/// A snapshot of the objects of a `List`, or of an array.
pub fn snapshot_of(objects: Value) -> Snapshot {
    let items = match objects {
        Value::Array(items) => items,
        mut list => list["items"].take().as_array().cloned().unwrap_or_default(),
    };
    let (mut snapshot, pool) = (Snapshot::default(), Pool::default());
    for item in items {
        let kind = KindId::from_name(item["kind"].as_str().unwrap()).unwrap();
        let row = Row::from_value(kind, item, &pool).unwrap();
        snapshot.apply(Delta::Upsert { scope: Scope::Cluster, row });
    }
    snapshot
}

fn bad_rollout() -> Snapshot {
    snapshot_of(serde_json::from_str(include_str!("../fixtures/changes/bad-rollout.json")).unwrap())
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn fastapi() -> ObjectRef {
    ObjectRef::new("Deployment", "fastapi-prod", "fastapi-deployment")
}

fn pod(name: &str) -> ObjectRef {
    ObjectRef::new("Pod", "fastapi-prod", name)
}

#[test]
fn revisions_of_a_deployment_are_newest_first_with_author_and_pods() {
    let found = changes::revisions(&bad_rollout(), &fastapi());
    let [new, old] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((new.number, new.is_current, new.wanted, new.ready), (2, true, 1, 0));
    assert_eq!(new.by.as_deref(), Some("kubectl-set"));
    assert_eq!(new.change_cause.as_deref(), Some("release v1.0.1"));
    assert_eq!(new.images.iter().map(|i| &**i).collect::<Vec<_>>(), ["127.0.0.1:5001/yourusername/your-app:v1.0.1"]);
    assert_eq!(new.proof, None);
    assert_eq!((old.number, old.is_current, old.wanted, old.ready), (1, false, 3, 3));
    assert_eq!(old.by.as_deref(), Some("kubectl-client-side-apply"));
    assert_eq!(old.proof.as_deref(), Some("3 pods ready now"));
    assert_eq!(changes::undo_target(&found).map(|r| r.number), Some(1));
}

#[test]
fn the_change_before_a_bad_rollouts_failure_is_the_rollout_with_its_diff() {
    let snapshot = bad_rollout();
    let change =
        changes::before(&snapshot, &[fastapi()], Some(time("2026-11-22T20:23:56Z")), time("2026-11-22T20:32:00Z")).unwrap();
    assert_eq!((change.kind, change.revision, change.previous_revision), (ChangeKind::Rollout, Some(2), Some(1)));
    assert_eq!(change.by.as_deref(), Some("kubectl-set"));
    let image = DiffLine {
        field: "image".to_owned(),
        old: Some("registry.local/orders:v1".to_owned()),
        new: Some("127.0.0.1:5001/yourusername/your-app:v1.0.1".to_owned()),
    };
    assert_eq!(change.diff, [image]);
}

#[test]
fn nothing_is_blamed_that_came_after_the_failure_or_long_before() {
    let snapshot = bad_rollout();
    let at = |since: &str| changes::before(&snapshot, &[fastapi()], Some(time(since)), time("2026-11-23T00:00:00Z"));
    assert_eq!(at("2026-11-22T20:21:00Z"), None);
    assert_eq!(at("2026-11-22T23:59:00Z"), None);
}

#[test]
fn failing_pods_of_the_new_revision_beside_ready_old_ones_are_a_regression() {
    let snapshot = bad_rollout();
    let new = pod("fastapi-deployment-6d8db7655b-dl9x7");
    let old = pod("fastapi-deployment-d9555d578-2rl8j");
    assert_eq!(changes::is_regression(&snapshot, &fastapi(), std::slice::from_ref(&new)), Some((2, 1)));
    assert_eq!(
        changes::is_regression(&snapshot, &fastapi(), &[]),
        Some((2, 1)),
        "no pod named: the newest revision has none ready"
    );
    assert_eq!(changes::is_regression(&snapshot, &fastapi(), &[new, old]), None, "an old pod fails too: not the rollout");
}

#[test]
fn the_timeline_joins_rollouts_and_the_first_failure_newest_first() {
    let now = time("2026-11-22T20:32:00Z");
    let filter = TimelineFilter { workloads: vec![fastapi()], ..TimelineFilter::default() };
    let entries = changes::timeline(&bad_rollout(), &filter, now);
    let shown: Vec<_> = entries.iter().map(|e| (e.kind.word(), e.what.split(':').next().unwrap().to_owned())).collect();
    let expect = [("failure", "Failed"), ("rollout", "revision 1 → 2"), ("rollout", "revision 1")];
    assert_eq!(shown, expect.map(|(kind, what)| (kind, what.to_owned())));
    assert!(entries.iter().all(|e| e.kind != TimelineKind::Failure || e.object == fastapi()));
    let later = TimelineFilter { since: Some(now), ..filter };
    assert_eq!(changes::timeline(&bad_rollout(), &later, now), []);
}

/// A Deployment `app` whose newest revision is the last of `revisions`: (number, created, wanted, ready).
fn history(revisions: &[(i64, &str, i32, i32)]) -> Vec<Value> {
    let newest = revisions.iter().map(|r| r.0).max().unwrap();
    let template = |n: i64| json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": format!("app:v{n}")}]}});
    let mut objects =
        vec![json!({"kind": "Deployment", "metadata": {"name": "app", "namespace": "n", "uid": "d", "generation": newest,
        "annotations": {"deployment.kubernetes.io/revision": newest.to_string()}},
        "spec": {"replicas": 2, "template": template(newest)}, "status": {"observedGeneration": newest}})];
    for (n, created, wanted, ready) in revisions {
        objects.push(
            json!({"kind": "ReplicaSet", "metadata": {"name": format!("app-{n}"), "namespace": "n", "uid": format!("r{n}"),
            "creationTimestamp": created, "annotations": {"deployment.kubernetes.io/revision": n.to_string()},
            "ownerReferences": [{"kind": "Deployment", "name": "app", "uid": "d", "controller": true}]},
            "spec": {"replicas": wanted, "template": template(*n)}, "status": {"replicas": wanted, "readyReplicas": ready}}),
        );
    }
    objects
}

fn crashing_pod(revision: i64, finished: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"name": "app-x", "namespace": "n", "uid": "p",
        "ownerReferences": [{"kind": "ReplicaSet", "name": format!("app-{revision}"), "uid": format!("r{revision}"), "controller": true}]},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "app", "restartCount": 1,
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": finished}}}]}})
}

fn app() -> ObjectRef {
    ObjectRef::new("Deployment", "n", "app")
}

#[test]
fn a_revision_that_never_replaced_the_one_before_is_not_the_undo_target() {
    let objects =
        history(&[(3, "2026-01-01T00:00:00Z", 2, 2), (4, "2026-01-02T00:00:00Z", 0, 0), (5, "2026-01-03T00:00:00Z", 1, 0)]);
    let found = changes::revisions(&snapshot_of(Value::Array(objects)), &app());
    let proofs: Vec<_> = found.iter().map(|r| (r.number, r.proof.is_some())).collect();
    assert_eq!(proofs, [(5, false), (4, false), (3, true)]);
    assert_eq!(changes::undo_target(&found).map(|r| r.number), Some(3));
}

#[test]
fn history_alone_shows_a_regression_when_the_failure_began_with_the_rollout() {
    let with = |finished| {
        let mut objects = history(&[(1, "2026-01-01T00:00:00Z", 0, 0), (2, "2026-01-02T00:00:00Z", 1, 0)]);
        objects.push(crashing_pod(2, finished));
        changes::is_regression(&snapshot_of(Value::Array(objects)), &app(), &[ObjectRef::new("Pod", "n", "app-x")])
    };
    assert_eq!(with("2026-01-02T00:01:00Z"), Some((2, 1)));
    assert_eq!(with("2026-01-02T09:00:00Z"), None, "it had worked for hours: not the rollout");
}

#[test]
fn an_undo_in_progress_counts_the_replica_set_brought_back_by_its_new_number() {
    let mut objects = history(&[(1, "2026-01-01T00:00:00Z", 0, 0), (2, "2026-01-02T00:00:00Z", 1, 0)]);
    objects[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("3");
    objects[1]["metadata"]["annotations"] =
        json!({"deployment.kubernetes.io/revision": "3", "deployment.kubernetes.io/revision-history": "1"});
    objects.push(json!({"kind": "Event", "metadata": {"name": "e", "namespace": "n"}, "reason": "ScalingReplicaSet",
        "involvedObject": {"kind": "Deployment", "namespace": "n", "name": "app"}, "lastTimestamp": "2026-01-03T00:00:00Z",
        "message": "Scaled up replica set app-1 from 0 to 1"}));
    let found = changes::revisions(&snapshot_of(Value::Array(objects)), &app());
    assert_eq!(found.iter().map(|r| (r.number, r.is_current)).collect::<Vec<_>>(), [(3, true), (2, false)]);
    assert_eq!(found[0].at, Some(time("2026-01-03T00:00:00Z")));
}

#[test]
fn after_an_undo_the_revision_brought_back_still_counts_under_its_old_number() {
    let mut objects =
        history(&[(1, "2026-01-01T00:00:00Z", 0, 0), (2, "2026-01-02T00:00:00Z", 0, 0), (4, "2026-01-20T00:00:00Z", 0, 0)]);
    objects[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("5");
    let brought_back = &mut objects[2];
    brought_back["metadata"]["annotations"] =
        json!({"deployment.kubernetes.io/revision": "5", "deployment.kubernetes.io/revision-history": "3"});
    brought_back["metadata"]["creationTimestamp"] = json!("2026-01-10T00:00:00Z");
    brought_back["spec"]["replicas"] = json!(3);
    brought_back["status"] = json!({"replicas": 3, "readyReplicas": 3});
    let snapshot = snapshot_of(Value::Array(objects));
    let found = changes::revisions(&snapshot, &app());
    assert_eq!(found.iter().map(|r| r.number).collect::<Vec<_>>(), [5, 4, 1]);
    assert_eq!(found[2].proof.as_deref(), Some("current for 9d before revision 3"), "not up to revision 4");
    let rollouts = changes::before::rollouts(&snapshot, &app());
    let numbers: Vec<_> = rollouts.iter().map(|change| (change.revision, change.previous_revision)).collect();
    assert_eq!(numbers, [(Some(5), Some(4)), (Some(4), Some(3)), (Some(3), Some(1)), (Some(1), None)]);
    assert_eq!(changes::before::sureness(&snapshot, &rollouts[1]).to_string(), "likely: revision 3 worked, 3 pods ready now");
}

#[test]
fn sets_keep_their_revisions_in_controller_revisions() {
    let revision = |n: i64, hash: &str, owner: &str| {
        json!({"kind": "ControllerRevision", "metadata": {"name": format!("db-{hash}"), "namespace": "n",
            "creationTimestamp": format!("2026-01-0{n}T00:00:00Z"),
            "ownerReferences": [{"kind": owner, "name": "db", "uid": "s", "controller": true}]}, "revision": n,
            "data": {"spec": {"template": {"$patch": "replace", "spec": {"containers": [{"name": "db", "image": format!("db:v{n}")}]}}}}})
    };
    let pod = |name: &str, hash: &str, owner: &str, ready: &str| {
        json!({"kind": "Pod", "metadata": {"name": name, "namespace": "n", "labels": {"controller-revision-hash": hash},
            "ownerReferences": [{"kind": owner, "name": "db", "uid": "s", "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    };
    for (kind, new, old) in [("StatefulSet", "db-bb", "db-aa"), ("DaemonSet", "bb", "aa")] {
        let set = json!({"kind": kind, "metadata": {"name": "db", "namespace": "n", "uid": "s"}, "status": {"updateRevision": "db-bb"}});
        let snapshot = snapshot_of(json!([
            set,
            revision(1, "aa", kind),
            revision(2, "bb", kind),
            pod("db-0", old, kind, "True"),
            pod("db-1", new, kind, "False")
        ]));
        let object = ObjectRef::new(kind, "n", "db");
        let found = changes::revisions(&snapshot, &object);
        let shown: Vec<_> = found.iter().map(|r| (r.number, &*r.images[0], r.wanted, r.ready, r.is_current)).collect();
        assert_eq!(shown, [(2, "db:v2", 1, 0, true), (1, "db:v1", 1, 1, false)], "{kind}");
        assert_eq!(changes::is_regression(&snapshot, &object, &[ObjectRef::new("Pod", "n", "db-1")]), Some((2, 1)), "{kind}");
    }
}

fn template(spec: &Value) -> k3am::kinds::workloads::PodTemplate {
    serde_json::from_value(json!({ "spec": spec })).unwrap()
}

fn shown(lines: &[DiffLine]) -> Vec<(&str, Option<&str>, Option<&str>)> {
    lines.iter().map(|l| (&*l.field, l.old.as_deref(), l.new.as_deref())).collect()
}

#[test]
fn a_template_diff_names_each_field_and_hides_secrets() {
    let old = template(&json!({"containers": [{"name": "app", "image": "a:v1", "args": ["--workers", "2"],
        "env": [{"name": "DATABASE_URL", "value": "postgresql://app:one@postgres:5432/app"}, {"name": "API_TOKEN", "value": "t1"},
            {"name": "LOG_LEVEL", "value": "info"}, {"name": "SIGNING_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "resources": {"limits": {"memory": "256Mi"}}, "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 5}}]}));
    let new = template(&json!({"containers": [{"name": "app", "image": "a:v2", "args": ["--workers", "4"],
        "env": [{"name": "DATABASE_URL", "value": "postgresql://app:two@postgres:5432/app"}, {"name": "API_TOKEN", "value": "t2"},
            {"name": "NEW", "value": "x"}, {"name": "SIGNING_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "other"}}}],
        "resources": {"limits": {"memory": "128Mi"}}, "readinessProbe": {"httpGet": {"path": "/live", "port": 8000}, "periodSeconds": 9}}]}));
    let lines = changes::diff(&old, &new);
    let expect = [
        ("image", Some("a:v1"), Some("a:v2")),
        ("args", Some("--workers 2"), Some("--workers 4")),
        (
            "env DATABASE_URL",
            Some("postgresql://app:***@postgres:5432/app"),
            Some("postgresql://app:***@postgres:5432/app (another value)"),
        ),
        ("env API_TOKEN", Some("***"), Some("*** (another value)")),
        ("env NEW", None, Some("x")),
        ("env SIGNING_KEY", Some("secret/s key k"), Some("secret/s key other")),
        ("env LOG_LEVEL", Some("info"), None),
        ("limits.memory", Some("256Mi"), Some("128Mi")),
        ("readinessProbe.check", Some("GET /ready :8000"), Some("GET /live :8000")),
        ("readinessProbe.periodSeconds", Some("5"), Some("9")),
    ];
    assert_eq!(shown(&lines), expect);
    assert_eq!(changes::diff(&old, &old), []);
}

#[test]
fn with_several_containers_a_field_says_whose_it_is() {
    let old = template(&json!({"containers": [{"name": "app", "image": "a:1"}, {"name": "proxy", "image": "p:1"}]}));
    let new =
        template(&json!({"containers": [{"name": "app", "image": "a:2"}], "initContainers": [{"name": "init", "image": "i"}]}));
    let expect =
        [("container init", None, Some("i")), ("app image", Some("a:1"), Some("a:2")), ("container proxy", Some("p:1"), None)];
    assert_eq!(shown(&changes::diff(&old, &new)), expect);
}

#[test]
fn a_config_write_scaling_and_a_dead_node_are_changes_of_the_workload() {
    let node = json!({"kind": "Node", "metadata": {"name": "node-1", "creationTimestamp": "2025-01-01T00:00:00Z"}, "status": {"conditions": [
        {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": "2026-01-02T03:00:00Z"},
        {"type": "MemoryPressure", "status": "Unknown", "lastTransitionTime": "2026-01-02T03:00:00Z"}]}});
    let config = json!({"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "n", "managedFields": [
        {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T02:00:00Z", "fieldsV1": {"f:data": {"f:URL": {}}}}]}});
    let mut objects = history(&[(1, "2026-01-01T00:00:00Z", 4, 3)]);
    objects[0]["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "settings"}}]);
    objects[0]["spec"]["replicas"] = json!(4);
    objects[0]["metadata"]["managedFields"] = json!([{"manager": "kubectl", "operation": "Update", "time": "2026-01-02T01:00:00Z", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
    objects.push(json!({"kind": "Event", "metadata": {"name": "e", "namespace": "n"}, "reason": "ScalingReplicaSet",
        "involvedObject": {"kind": "Deployment", "namespace": "n", "name": "app"}, "lastTimestamp": "2026-01-02T01:00:01Z",
        "message": "Scaled up replica set app-1 from 2 to 4"}));
    let mut pod = crashing_pod(1, "2026-01-02T03:00:00Z");
    pod["spec"]["nodeName"] = json!("node-1");
    objects.extend([pod, node, config]);
    let snapshot = snapshot_of(Value::Array(objects));
    let at = |since: &str| changes::before(&snapshot, &[app()], Some(time(since)), time("2026-01-03T00:00:00Z")).unwrap();
    let scale = at("2026-01-02T01:30:00Z");
    assert_eq!((scale.kind, scale.by.as_deref()), (ChangeKind::Scale, Some("kubectl")));
    assert_eq!(shown(&scale.diff), [("replicas", Some("2"), Some("4"))]);
    let config = at("2026-01-02T02:30:00Z");
    assert_eq!(
        (config.kind, config.by.as_deref(), config.object.name.as_ref()),
        (ChangeKind::Config, Some("kubectl-edit"), "settings")
    );
    let node = at("2026-01-02T03:00:00Z");
    assert_eq!((node.kind, node.object.name.as_ref()), (ChangeKind::Node, "node-1"));
    assert_eq!(shown(&node.diff), [("Ready", Some("True"), Some("Unknown (NodeStatusUnknown)"))]);
    for (kind, namespace, name) in [("Node", "", "node-1"), ("ConfigMap", "n", "settings")] {
        let own = TimelineFilter { workloads: vec![ObjectRef::new(kind, namespace, name)], ..TimelineFilter::default() };
        let entries = changes::timeline(&snapshot, &own, time("2026-01-03T00:00:00Z"));
        let objects: Vec<&str> = entries.iter().map(|entry| &*entry.object.name).collect();
        assert_eq!(objects, [name], "the timeline of a {kind} alone");
    }
}

#[test]
fn gitops_tools_are_known_by_their_marks() {
    let managed = |meta: Value| {
        let meta: k3am::kinds::Meta = serde_json::from_value(meta).unwrap();
        changes::managed_by(&meta).map(|m| (m.to_string(), m.reverts))
    };
    let argo = json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:n/app", "meta.helm.sh/release-name": "x"}});
    assert_eq!(managed(argo), Some(("Argo CD (shop)".to_owned(), true)));
    let flux = json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}});
    assert_eq!(managed(flux), Some(("Flux (apps)".to_owned(), true)));
    let helm = json!({"annotations": {"meta.helm.sh/release-name": "web"}});
    assert_eq!(managed(helm), Some(("Helm (web)".to_owned(), false)));
    assert_eq!(managed(json!({"managedFields": [{"manager": "kubectl-set"}]})), None);
}

#[test]
fn a_config_written_while_it_was_watched_shows_what_changed_and_no_secret() {
    let mut snapshot = Snapshot::default();
    let pool = k3am::kinds::Pool::default();
    let key = k3am::snapshot::Key::new("n", "settings");
    let put = |snapshot: &mut Snapshot, version: &str, at: &str| {
        let row = json!({"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "n", "resourceVersion": version, "managedFields": [
            {"manager": "kubectl-edit", "operation": "Update", "time": at, "fieldsV1": {"f:data": {".": {}, "f:LOG_LEVEL": {}, "f:app.yaml": {}}}}]}});
        let row = k3am::kinds::Row::from_value(k3am::kinds::KindId::ConfigMap, row, &pool).unwrap();
        snapshot.apply(k3am::snapshot::Delta::Upsert { scope: k3am::snapshot::Scope::Cluster, row });
    };
    let content = |snapshot: &mut Snapshot, version: &str, values: &[(&str, &str)]| {
        let values = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        snapshot.apply(k3am::snapshot::Delta::Config { key: key.clone(), content: Some((version.into(), values)) })
    };
    let object = ObjectRef::new("ConfigMap", "n", "settings");
    let change = |snapshot: &Snapshot| k3am::changes::before::config_write(snapshot, &object).unwrap();
    let sure = |snapshot: &Snapshot| k3am::changes::before::sureness(snapshot, &change(snapshot)).to_string();

    put(&mut snapshot, "1", "2026-01-02T02:00:00Z");
    assert!(sure(&snapshot).starts_with("possible: ") && sure(&snapshot).contains("LOG_LEVEL, app.yaml"), "{}", sure(&snapshot));
    let before = [
        ("LOG_LEVEL", "info"),
        ("app.yaml", "port: 80\ndb:\n  password: hunter2\n  pool: 5\n"),
        ("API_KEY", "abc"),
        ("old", "x"),
    ];
    assert!(content(&mut snapshot, "1", &before).is_empty(), "the first look tells no change");
    assert!(change(&snapshot).diff.is_empty());

    put(&mut snapshot, "2", "2026-01-02T03:00:00Z");
    assert!(change(&snapshot).diff.is_empty(), "not read yet");
    let after = [("LOG_LEVEL", "debug"), ("app.yaml", "port: 80\ndb:\n  password: hunter3\n  pool: 50\n"), ("API_KEY", "def")];
    assert_eq!(content(&mut snapshot, "2", &after).len(), 1, "what hangs on it is looked at again");
    let change = change(&snapshot);
    let lines: Vec<String> = change.diff.iter().map(DiffLine::short).collect();
    let expected = ["API_KEY *** → ***", "LOG_LEVEL info → debug", "app.yaml:4 pool: 5 → pool: 50", "old x removed"];
    assert_eq!(lines, expected);
    assert!(sure(&snapshot).starts_with("likely: "), "{}", sure(&snapshot));

    put(&mut snapshot, "3", "2026-01-02T04:00:00Z");
    content(&mut snapshot, "3", &after);
    assert!(sure(&snapshot).contains("its data stayed the same"));
}
