//! Actions: plans are what kubectl would write (`fixtures/actions/kubectl-patches.json` was recorded from it), refusals are
//! sentences, warnings name who else is concerned.

use k3am::actions::{self, Intent, ObjectRequest, Objects, Plan, WriteVerb};
use k3am::kinds::{KindId, ObjectRef};
use k3am::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::changes::snapshot_of;

/// The full objects and the snapshot of the same items.
fn cluster(items: &[Value]) -> (Objects, Snapshot) {
    let mut objects = Objects::default();
    for item in items {
        objects.insert(item["kind"].as_str().unwrap(), item.clone());
    }
    (objects, snapshot_of(Value::Array(items.to_vec())))
}

fn bad_rollout() -> Vec<Value> {
    let list: Value = serde_json::from_str(include_str!("../fixtures/changes/bad-rollout.json")).unwrap();
    list["items"].as_array().unwrap().clone()
}

fn plan(items: &[Value], intent: &Intent) -> Result<Plan, String> {
    let (objects, snapshot) = cluster(items);
    let now = "2026-11-22T22:43:16Z".parse().unwrap();
    actions::plan(intent, &objects, &snapshot, now).map_err(|refusal| refusal.to_string())
}

fn fastapi() -> ObjectRef {
    ObjectRef::new("Deployment", "fastapi-prod", "fastapi-deployment")
}

fn undo(to_revision: Option<i64>) -> Intent {
    Intent::Undo { workload: fastapi(), to_revision }
}

/// What kubectl sent for that command, nulls dropped (it writes `creationTimestamp: null`).
fn kubectl_sent(command: &str) -> (String, Value) {
    let recorded: Value = serde_json::from_str(include_str!("../fixtures/actions/kubectl-patches.json")).unwrap();
    (recorded[command]["type"].as_str().unwrap().to_owned(), without_nulls(&recorded[command]["body"]))
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn patch(plan: &Plan) -> (String, Value) {
    assert_eq!(plan.writes.len(), 1);
    let (kind, patch) = match &plan.writes[0].verb {
        WriteVerb::JsonPatch(patch) => ("application/json-patch+json", patch),
        WriteVerb::StrategicPatch(patch) => ("application/strategic-merge-patch+json", patch),
        WriteVerb::MergePatch(patch) => ("application/merge-patch+json", patch),
        WriteVerb::Create(_) | WriteVerb::Delete { .. } => panic!("not a patch"),
    };
    (kind.to_owned(), without_nulls(patch))
}

#[test]
fn undoing_a_deployment_writes_what_kubectl_writes() {
    let plan = plan(&bad_rollout(), &undo(None)).unwrap();
    assert_eq!(patch(&plan), kubectl_sent("undo-deployment"));
    assert_eq!(plan.kubectl, "kubectl rollout undo deployment/fastapi-deployment --to-revision=1 -n fastapi-prod");
    assert_eq!(plan.title, "Undo rollout  deployment/fastapi-deployment");
    let lines: Vec<_> = plan.diff.iter().map(k3am::changes::DiffLine::short).collect();
    assert_eq!(lines, ["image 127.0.0.1:5001/yourusername/your-app:v1.0.1 → registry.local/orders:v1"]);
    assert_eq!(plan.warnings, [] as [String; 0]);
    assert_eq!(plan.way_back, Some(undo(Some(2))));
}

#[test]
fn undo_asks_for_the_workload_and_its_history_in_full() {
    let wanted = actions::needs(&undo(None));
    let history = ObjectRequest::OwnedBy { kind: KindId::ReplicaSet, owner: fastapi() };
    assert_eq!(wanted, [ObjectRequest::Object(fastapi()), history]);
}

#[test]
fn undo_refuses_in_sentences() {
    let refused = |change: fn(&mut Vec<Value>), to| {
        let mut items = bad_rollout();
        change(&mut items);
        plan(&items, &undo(to)).unwrap_err()
    };
    let paused = refused(|items| items[0]["spec"]["paused"] = json!(true), None);
    assert_eq!(
        paused,
        "deployment/fastapi-deployment is paused and cannot be undone: first run \
         kubectl rollout resume deployment/fastapi-deployment -n fastapi-prod"
    );
    assert_eq!(refused(|_| (), Some(2)), "deployment/fastapi-deployment already has the template of revision 2");
    assert_eq!(refused(|_| (), Some(7)), "revision 7 of deployment/fastapi-deployment is no longer kept (kept: 2, 1)");
    let only = refused(|items| items.retain(|i| i["metadata"]["name"] != "fastapi-deployment-d9555d578"), None);
    assert_eq!(only, "deployment/fastapi-deployment has only revision 2: there is nothing to go back to");
    let gone = refused(Vec::clear, None);
    assert_eq!(gone, "deployment/fastapi-deployment is not there any more");
    let deleted = refused(|items| items[0]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"), None);
    assert_eq!(deleted, "deployment/fastapi-deployment is being deleted");
    let job = Intent::Undo { workload: ObjectRef::new("Job", "n", "migrate"), to_revision: None };
    assert_eq!(plan(&[], &job).unwrap_err(), "job/migrate has no revisions: only Deployments, StatefulSets and DaemonSets do");
}

#[test]
fn undo_warns_when_the_change_will_not_last() {
    let mut items = bad_rollout();
    items[0]["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] =
        json!("shop:apps/Deployment:fastapi-prod/fastapi-deployment");
    let warnings = plan(&items, &undo(None)).unwrap().warnings;
    assert_eq!(warnings, ["managed by Argo CD (shop): it will put revision 2 back at its next sync"]);
}

fn set(kind: &str) -> Vec<Value> {
    let template = |n: i64| json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": format!("db:v{n}")}]}});
    let revision = |n: i64| {
        let mut data = template(n);
        data["$patch"] = json!("replace");
        json!({"kind": "ControllerRevision", "metadata": {"name": format!("db-{n}"), "namespace": "n",
            "ownerReferences": [{"kind": kind, "name": "db", "uid": "s", "controller": true}]}, "revision": n,
            "data": {"spec": {"template": data}}})
    };
    let pod = json!({"kind": "Pod", "metadata": {"name": "db-0", "namespace": "n", "labels": {"controller-revision-hash": "db-2"},
        "ownerReferences": [{"kind": kind, "name": "db", "uid": "s", "controller": true}]}, "status": {"phase": "Pending"}});
    let set = json!({"kind": kind, "metadata": {"name": "db", "namespace": "n", "uid": "s"}, "spec": {"template": template(2)},
        "status": {"updateRevision": "db-2"}});
    vec![set, revision(1), revision(2), pod]
}

#[test]
fn undoing_a_set_patches_with_the_revisions_data_and_names_the_pod_it_waits_for() {
    let intent = |kind| Intent::Undo { workload: ObjectRef::new(kind, "n", "db"), to_revision: None };
    let stateful = plan(&set("StatefulSet"), &intent("StatefulSet")).unwrap();
    assert_eq!(patch(&stateful), kubectl_sent("undo-statefulset"));
    assert_eq!(stateful.kubectl, "kubectl rollout undo statefulset/db --to-revision=1 -n n");
    let expect = [
        "nothing shows that revision 1 was ever ready",
        "the controller waits for pod/db-0, which is not ready: delete it afterwards (kubectl delete pod/db-0 -n n)",
    ];
    assert_eq!(stateful.warnings, expect);
    let daemon = plan(&set("DaemonSet"), &intent("DaemonSet")).unwrap();
    assert_eq!(patch(&daemon).1, kubectl_sent("undo-statefulset").1);
}

#[test]
fn an_undo_in_the_middle_of_the_bad_rollout_and_one_back_again_both_plan() {
    let mut items = bad_rollout();
    let (objects, snapshot) = cluster(&items);
    let first = actions::plan(&undo(None), &objects, &snapshot, "2026-11-22T22:43:16Z".parse().unwrap()).unwrap();
    let WriteVerb::JsonPatch(patch) = &first.writes[0].verb else { panic!() };
    items[0]["spec"]["template"] = patch[0]["value"].clone();
    let back = plan(&items, &first.way_back.unwrap()).unwrap();
    assert_eq!(back.kubectl, "kubectl rollout undo deployment/fastapi-deployment --to-revision=2 -n fastapi-prod");
}

#[test]
fn restart_image_and_memory_write_what_kubectl_writes() {
    let without_order = |(kind, mut patch): (String, Value)| {
        if let Some(spec) = patch.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut) {
            spec.remove("$setElementOrder/containers");
        }
        (kind, patch)
    };
    let items = bad_rollout();
    let mut restart = kubectl_sent("restart");
    restart.1["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!("2026-11-22T22:43:16Z");
    assert_eq!(patch(&plan(&items, &Intent::Restart { workload: fastapi() }).unwrap()), restart);
    let image = Intent::SetImage { workload: fastapi(), container: "fastapi".to_owned(), image: "x:y".to_owned() };
    let image = plan(&items, &image).unwrap();
    assert_eq!(patch(&image), without_order(kubectl_sent("set-image")));
    assert_eq!(image.kubectl, "kubectl set image deployment/fastapi-deployment fastapi=x:y -n fastapi-prod");
    let memory =
        |limit: &str| Intent::SetMemoryLimit { workload: fastapi(), container: "fastapi".to_owned(), limit: limit.to_owned() };
    let plan_512 = plan(&items, &memory("512Mi")).unwrap();
    assert_eq!(patch(&plan_512), without_order(kubectl_sent("set-memory-limit")));
    assert_eq!(plan_512.diff[0].short(), "fastapi limits.memory 256Mi → 512Mi");
    assert_eq!(plan_512.way_back, Some(memory("256Mi")));
    let refused = |limit| plan(&items, &memory(limit)).unwrap_err();
    assert_eq!(refused("0.25Gi"), "container fastapi of deployment/fastapi-deployment already has the limit 256Mi");
    assert_eq!(refused("32Mi"), "container fastapi requests 64Mi: a limit below its request is not allowed");
    assert_eq!(refused("lots"), "`lots` is not an amount of memory: write 256Mi, 1Gi, ...");
}

#[test]
fn scaling_goes_through_the_scale_subresource_and_names_what_stands_against_it() {
    let mut items = bad_rollout();
    items.push(json!({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "fastapi-prod"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "fastapi-deployment"}}}));
    items.push(json!({"kind": "PodDisruptionBudget", "metadata": {"name": "keep-two", "namespace": "fastapi-prod"},
        "spec": {"selector": {"matchLabels": {"app": "fastapi"}}}, "status": {"desiredHealthy": 2}}));
    let scale = |replicas| plan(&items, &Intent::Scale { workload: fastapi(), replicas });
    let one = scale(1).unwrap();
    assert_eq!(one.writes[0].subresource, Some("scale"));
    assert_eq!(patch(&one).1, json!({"spec": {"replicas": 1}}));
    assert_eq!(one.kubectl, "kubectl scale deployment/fastapi-deployment --replicas=1 -n fastapi-prod");
    let expect = [
        "horizontalpodautoscaler/web sets the replicas: it will change them again within seconds",
        "poddisruptionbudget/keep-two wants 2 healthy pods; 1 would remain",
    ];
    assert_eq!(one.warnings, expect);
    assert_eq!(scale(3).unwrap_err(), "deployment/fastapi-deployment already has 3 replicas");
    assert_eq!(scale(-1).unwrap_err(), "the number of replicas cannot be negative");
}

#[test]
fn a_pod_is_deleted_by_uid_with_what_that_takes_away() {
    let items = bad_rollout();
    let pod = |name: &str| ObjectRef::new("Pod", "fastapi-prod", name);
    let ready = pod("fastapi-deployment-d9555d578-2rl8j");
    let gentle = plan(&items, &Intent::Delete { object: ready.clone(), force: false }).unwrap();
    let uid =
        items.iter().find(|i| i["metadata"]["name"] == *ready.name).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(gentle.writes[0].verb, WriteVerb::Delete { grace_seconds: None, uid: Some(uid) });
    assert_eq!(gentle.warnings, [] as [String; 0], "two more are ready");
    let mut last = items.clone();
    last.retain(|i| {
        !i["metadata"]["name"].as_str().unwrap().ends_with("llrr7") && !i["metadata"]["name"].as_str().unwrap().ends_with("zrjdt")
    });
    let plan_last = plan(&last, &Intent::Delete { object: ready.clone(), force: false }).unwrap();
    assert_eq!(plan_last.warnings, ["it is the only ready pod of deployment/fastapi-deployment"]);
    let forced = plan(&items, &Intent::Delete { object: ready, force: true }).unwrap();
    assert_eq!(forced.kubectl, "kubectl delete pod/fastapi-deployment-d9555d578-2rl8j --grace-period=0 --force -n fastapi-prod");
    assert!(matches!(forced.writes[0].verb, WriteVerb::Delete { grace_seconds: Some(0), .. }));
}

#[test]
fn a_finalizer_is_removed_by_position_only_while_it_is_the_one_meant() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "batch-0", "namespace": "n", "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["a.example/x", "example.com/cleanup"]}});
    let object = ObjectRef::new("Pod", "n", "batch-0");
    let intent = Intent::RemoveFinalizer { object: object.clone(), finalizer: "example.com/cleanup".to_owned() };
    let found = plan(std::slice::from_ref(&pod), &intent).unwrap();
    let expect = json!([
        {"op": "test", "path": "/metadata/finalizers/1", "value": "example.com/cleanup"},
        {"op": "remove", "path": "/metadata/finalizers/1"}
    ]);
    assert_eq!(patch(&found).1, expect);
    assert_eq!(
        found.kubectl,
        r#"kubectl patch pod/batch-0 --type=json '-p=[{"op":"test","path":"/metadata/finalizers/1","value":"example.com/cleanup"},{"op":"remove","path":"/metadata/finalizers/1"}]' -n n"#
    );
    let other = Intent::RemoveFinalizer { object: object.clone(), finalizer: "gone".to_owned() };
    assert_eq!(plan(std::slice::from_ref(&pod), &other).unwrap_err(), "pod/batch-0 does not have the finalizer gone any more");
    let again = Intent::Delete { object, force: false };
    assert_eq!(
        plan(&[pod], &again).unwrap_err(),
        "pod/batch-0 is already being deleted; it waits for a.example/x, example.com/cleanup"
    );
}

#[test]
fn every_write_says_what_it_must_be_allowed() {
    let plan = plan(&bad_rollout(), &Intent::Scale { workload: fastapi(), replicas: 5 }).unwrap();
    let access = actions::access(&plan.writes[0]).unwrap();
    assert_eq!((access.verb, &*access.group, &*access.resource), ("patch", "apps", "deployments"));
    assert_eq!((access.subresource, &*access.namespace, &*access.name), (Some("scale"), "fastapi-prod", "fastapi-deployment"));
}

#[test]
fn printing_a_plan_for_a_log_never_prints_the_template() {
    let mut items = bad_rollout();
    items[2]["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "DATABASE_URL", "value": "postgres://app:hunter2@db/app"}]);
    let found = plan(&items, &undo(None)).unwrap();
    assert!(patch(&found).1.to_string().contains("hunter2"), "it is written");
    assert!(!format!("{found:?}").contains("hunter2"));
    assert!(!format!("{:?}", cluster(&items).0).contains("hunter2"));
}

#[test]
fn one_field_in_a_list_is_set_with_tests_that_it_is_still_the_one_that_was_seen() {
    let mut items = bad_rollout();
    let probe = json!({"httpGet": {"path": "/health", "port": 9000}});
    items[0]["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = probe;
    let at = |field: &str, from: Option<&str>, to: Option<&str>| Intent::SetField {
        object: fastapi(),
        field: format!("/spec/template/spec/containers/0/{field}"),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    let port = plan(&items, &at("livenessProbe/httpGet/port", Some("9000"), Some("8000"))).unwrap();
    let WriteVerb::JsonPatch(patch) = &port.writes[0].verb else { panic!("{:?}", port.writes) };
    let path = "/spec/template/spec/containers/0/livenessProbe/httpGet/port";
    assert_eq!(
        *patch,
        json!([{"op": "test", "path": "/spec/template/spec/containers/0/name", "value": "fastapi"},
            {"op": "test", "path": path, "value": 9000}, {"op": "replace", "path": path, "value": 8000}])
    );
    assert_eq!(port.diff[0].short(), "fastapi livenessProbe.httpGet.port 9000 → 8000");
    assert_eq!(port.way_back, Some(at("livenessProbe/httpGet/port", Some("8000"), Some("9000"))));
    assert!(port.kubectl.starts_with("kubectl patch deployment/fastapi-deployment --type=json '-p=["), "{}", port.kubectl);
    let refused = |intent| plan(&items, &intent).unwrap_err();
    assert_eq!(
        refused(at("livenessProbe/httpGet/port", Some("9001"), Some("8000"))),
        "fastapi livenessProbe.httpGet.port of deployment/fastapi-deployment is 9000 by now: it was changed meanwhile"
    );
    assert!(refused(at("livenessProbe/httpGet/port", None, Some("9000"))).ends_with("is already like that"));
    assert!(refused(at("startupProbe", None, None)).ends_with("is already like that"), "there is none to remove");
    let delay = plan(&items, &at("livenessProbe/timeoutSeconds", Some(""), Some("5"))).unwrap();
    assert!(matches!(&delay.writes[0].verb, WriteVerb::JsonPatch(patch) if patch[1]["op"] == "add"), "{:?}", delay.writes);
    let gone = plan(&items, &at("livenessProbe", None, None)).unwrap();
    assert!(matches!(&gone.writes[0].verb, WriteVerb::JsonPatch(patch) if patch[2]["op"] == "remove"), "{:?}", gone.writes);
    assert!(gone.diff[0].new.is_none());
}

#[test]
fn every_intent_has_a_planner() {
    let (workload, object) = (fastapi(), fastapi());
    let container = "fastapi".to_owned();
    let intents = [
        undo(None),
        Intent::Scale { workload: workload.clone(), replicas: 1 },
        Intent::Restart { workload: workload.clone() },
        Intent::Delete { object: object.clone(), force: false },
        Intent::ShortenGrace { pod: object.clone(), seconds: 30 },
        Intent::RemoveFinalizer { object, finalizer: "x".to_owned() },
        Intent::SetMemoryLimit { workload: workload.clone(), container: container.clone(), limit: "1Gi".to_owned() },
        Intent::SetImage { workload: workload.clone(), container, image: "x:y".to_owned() },
        Intent::Cordon { node: workload.clone(), cordon: true },
        Intent::Taint { node: workload.clone(), taint: "a:NoSchedule".to_owned(), present: false },
        Intent::Drain { node: workload.clone() },
        Intent::Edit { object: workload.clone(), patch: actions::Patch("{}".to_owned()) },
        Intent::SetField { object: workload.clone(), field: "/spec/x".to_owned(), from: None, to: None },
        Intent::Trigger { cron_job: workload.clone() },
        Intent::Suspend { cron_job: workload, suspend: true },
    ];
    for intent in intents {
        assert!(!actions::needs(&intent).is_empty(), "{intent:?}");
        let owners = actions::PLANNERS.iter().filter(|planner| (planner.needs)(&intent).is_some()).count();
        assert_eq!(owners, 1, "{intent:?}");
        assert_ne!(plan(&[], &intent).unwrap_err(), "nothing plans this action");
    }
}

fn node_with_pods() -> Vec<Value> {
    let meta = |name: &str, owner: &str| {
        let owners = json!([{"kind": owner, "name": "o", "uid": "u", "controller": true, "apiVersion": "apps/v1"}]);
        let owners = if owner.is_empty() { json!([]) } else { owners };
        json!({"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1", "ownerReferences": owners})
    };
    let pod = |name: &str, owner: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta(name, owner), "spec": {"nodeName": "n1", "containers": []},
            "status": {"phase": "Running"}})
    };
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "n1", "resourceVersion": "1"}});
    vec![node, pod("web-1", "ReplicaSet"), pod("logger", "DaemonSet")]
}

#[test]
fn a_drain_cordons_and_evicts_what_a_controller_makes_again_and_refuses_what_would_be_lost() {
    let node = ObjectRef::new("Node", "", "n1");
    let found = plan(&node_with_pods(), &Intent::Drain { node: node.clone() }).unwrap();
    let writes: Vec<(&str, Option<&str>)> = found.writes.iter().map(|w| (&*w.target.name, w.subresource)).collect();
    assert_eq!(writes, [("n1", None), ("web-1", Some("eviction"))]);
    assert_eq!(found.kubectl, "kubectl drain n1 --ignore-daemonsets --delete-emptydir-data");
    assert_eq!(actions::access(&found.writes[1]).unwrap().verb, "create");
    let mut items = node_with_pods();
    items[1]["metadata"]["ownerReferences"] = json!([]);
    let refusal = plan(&items, &Intent::Drain { node }).unwrap_err();
    assert!(refusal.contains("would be gone for good"), "{refusal}");
}

#[test]
fn a_cordon_is_what_kubectl_patches_and_its_way_back_is_the_opposite() {
    let node = ObjectRef::new("Node", "", "n1");
    let found = plan(&node_with_pods(), &Intent::Cordon { node: node.clone(), cordon: true }).unwrap();
    assert_eq!(patch(&found).1, json!({"spec": {"unschedulable": true}}));
    assert_eq!(found.way_back, Some(Intent::Cordon { node: node.clone(), cordon: false }));
    let refusal = plan(&node_with_pods(), &Intent::Cordon { node, cordon: false }).unwrap_err();
    assert!(refusal.ends_with("is open for new pods already"), "{refusal}");
}

#[test]
fn a_taint_is_taken_off_by_position_only_while_it_is_the_one_meant_and_never_when_a_controller_keeps_it() {
    let full = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "uid": "n1", "resourceVersion": "1"},
        "spec": {"taints": [{"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"},
            {"key": "dedicated", "value": "database", "effect": "NoSchedule"}]}});
    let taint = |taint: &str, present| Intent::Taint { node: ObjectRef::new("Node", "", "n1"), taint: taint.to_owned(), present };
    let items = [full];
    let off = plan(&items, &taint("dedicated=database:NoSchedule", false)).unwrap();
    assert_eq!(off.kubectl, "kubectl taint nodes n1 dedicated=database:NoSchedule-");
    let WriteVerb::JsonPatch(patch) = &off.writes[0].verb else { panic!("{:?}", off.writes) };
    let is = json!({"key": "dedicated", "value": "database", "effect": "NoSchedule"});
    assert_eq!(
        *patch,
        json!([{"op": "test", "path": "/spec/taints/1", "value": is}, {"op": "remove", "path": "/spec/taints/1"}])
    );
    assert_eq!(off.way_back, Some(taint("dedicated=database:NoSchedule", true)));
    let refused = |intent| plan(&items, &intent).unwrap_err();
    assert!(
        refused(taint("dedicated=web:NoSchedule", false)).ends_with("does not have the taint dedicated=web:NoSchedule any more")
    );
    assert!(refused(taint("node.kubernetes.io/disk-pressure:NoSchedule", false)).contains("kept by a controller"));
    assert!(refused(taint("dedicated=database:NoSchedule", true)).ends_with("already"));
    let on = plan(&items, &taint("gpu:NoExecute", true)).unwrap();
    let WriteVerb::JsonPatch(patch) = &on.writes[0].verb else { panic!("{:?}", on.writes) };
    assert_eq!(*patch, json!([{"op": "add", "path": "/spec/taints/-", "value": {"key": "gpu", "effect": "NoExecute"}}]));
}

#[test]
fn a_grace_period_is_only_ever_shortened() {
    let pod = ObjectRef::new("Pod", "shop", "importer");
    let shorten = |seconds| Intent::ShortenGrace { pod: pod.clone(), seconds };
    let mut full = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "importer", "namespace": "shop", "uid": "u1", "resourceVersion": "1"},
        "spec": {"containers": []}, "status": {"phase": "Running"}});
    assert!(plan(&[full.clone()], &shorten(30)).unwrap_err().ends_with("is not being deleted"));
    full["metadata"]["deletionTimestamp"] = json!("2026-11-22T21:00:00Z");
    full["metadata"]["deletionGracePeriodSeconds"] = json!(3600);
    let found = plan(&[full.clone()], &shorten(30)).unwrap();
    let WriteVerb::Delete { grace_seconds, uid } = &found.writes[0].verb else { panic!("{:?}", found.writes) };
    assert_eq!((*grace_seconds, uid.as_deref()), (Some(30), Some("u1")));
    assert_eq!(found.kubectl, "kubectl delete pod/importer --grace-period=30 -n shop");
    assert_eq!(found.diff[0].short(), "grace period 3600 s → 30 s");
    full["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    assert!(plan(&[full], &shorten(30)).unwrap_err().contains("no more than 30 seconds"));
}

#[test]
fn a_triggered_job_is_the_cron_jobs_template_owned_by_it() {
    let spec = json!({"schedule": "@daily", "jobTemplate": {"metadata": {"labels": {"app": "x"}}, "spec": {"backoffLimit": 2}}});
    let meta = json!({"name": "nightly", "namespace": "shop", "uid": "c1", "resourceVersion": "1"});
    let items = [json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": spec})];
    let cron_job = ObjectRef::new("CronJob", "shop", "nightly");
    let found = plan(&items, &Intent::Trigger { cron_job: cron_job.clone() }).unwrap();
    let WriteVerb::Create(job) = &found.writes[0].verb else { panic!("{found:?}") };
    assert_eq!(job["spec"], json!({"backoffLimit": 2}));
    assert_eq!(job["metadata"]["name"], "nightly-manual-224316");
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "c1");
    assert_eq!(job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"], "manual");
    let held = plan(&items, &Intent::Suspend { cron_job, suspend: true }).unwrap();
    assert_eq!(patch(&held).1, json!({"spec": {"suspend": true}}));
}
