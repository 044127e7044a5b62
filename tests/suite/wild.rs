//! Clusters as people break them, one a line of `tests/fixtures/wild/clusters.jsonl`, through the whole diagnosis: every broken
//! object named with an accepted cause, nothing healthy named, no incident about anything else, one incident a root.

use std::collections::{BTreeMap, BTreeSet};

use k3am::diagnosis::Incident;
use k3am::diagnosis::engine::diagnose;
use serde::Deserialize;
use serde_json::{Value, json};

const NOW: &str = "2026-11-22T20:31:30Z";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cluster {
    name: String,
    /// Broken objects, `Kind/namespace/name`, with the causes that count as right.
    expect: BTreeMap<String, Vec<String>>,
    /// Objects no incident may name.
    healthy: Vec<String>,
    /// How many incidents there are to be, where only one number is right.
    incidents: Option<usize>,
    objects: Vec<Value>,
    logs: Vec<(String, String, String, bool, String)>,
}

fn clusters() -> Vec<Cluster> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/wild/clusters.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn named(incident: &Incident) -> BTreeSet<String> {
    let objects = incident.workloads.iter().chain(&incident.objects);
    objects.map(|o| format!("{}/{}/{}", o.kind, o.namespace, o.name)).collect()
}

fn problems(cluster: &Cluster, incidents: &[Incident]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut useful = BTreeSet::new();
    for (object, causes) in &cluster.expect {
        let about: Vec<(usize, &Incident)> = incidents.iter().enumerate().filter(|(_, i)| named(i).contains(object)).collect();
        let right: Vec<usize> = about.iter().filter(|(_, i)| causes.iter().any(|c| c == i.cause.0)).map(|(n, _)| *n).collect();
        if right.is_empty() {
            let said: Vec<&str> = about.iter().map(|(_, i)| i.cause.0).collect();
            problems.push(format!("{object}: {said:?}, not one of {causes:?}"));
        }
        useful.extend(right);
    }
    for (index, incident) in incidents.iter().enumerate() {
        if !useful.contains(&index) {
            problems.push(format!("nobody asked for {}: {}", incident.cause, incident.title));
        }
        for healthy in cluster.healthy.iter().filter(|healthy| named(incident).contains(*healthy)) {
            problems.push(format!("{healthy} is healthy, and {} names it", incident.cause));
        }
    }
    if cluster.incidents.is_some_and(|n| n != incidents.len()) {
        problems.push(format!("{} incidents, not {:?}", incidents.len(), cluster.incidents));
    }
    problems
}

fn problems_of(cluster: &Cluster) -> Vec<String> {
    let snapshot = crate::rules::snapshot_of(NOW, cluster.objects.clone(), cluster.logs.clone());
    let (incidents, _) = diagnose(&snapshot, NOW.parse().unwrap());
    problems(cluster, &incidents).into_iter().map(|problem| format!("{}: {problem}", cluster.name)).collect()
}

#[test]
fn broken_clusters_are_read_as_a_seasoned_engineer_would() {
    let clusters = clusters();
    assert!(clusters.len() > 150, "{} clusters", clusters.len());
    let all: Vec<String> = clusters.iter().flat_map(problems_of).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// What a program wrote before it ended, one a line of `crash_logs.jsonl`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Crash {
    name: String,
    /// Exit code.
    code: i32,
    /// The causes that count as right.
    causes: Vec<String>,
    log: String,
}

/// A Deployment of one pod that crashes again and again and says this.
fn crashing(crash: Crash) -> Cluster {
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "api-5d9c7b-x2x4z", "namespace": "shop", "uid": "p", "labels": {"app": "api"}, "creationTimestamp": "2026-11-22T18:31:30Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api-5d9c7b", "uid": "r", "controller": true}]},
        "spec": {"nodeName": "node1", "restartPolicy": "Always", "containers": [{"name": "app", "image": "registry.example.com/api:7"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-22T20:30:22Z"}],
            "containerStatuses": [{"name": "app", "image": "i", "ready": false, "restartCount": 8,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container=app pod=x"}},
                "lastState": {"terminated": {"exitCode": crash.code, "reason": "Error", "startedAt": "2026-11-22T20:30:19Z", "finishedAt": "2026-11-22T20:30:22Z"}}}]}});
    let replica_set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "api-5d9c7b", "namespace": "shop", "uid": "r",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "d", "controller": true}]},
        "spec": {"replicas": 1}, "status": {"replicas": 1}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api", "namespace": "shop", "uid": "d"},
        "spec": {"replicas": 1}, "status": {"replicas": 1, "unavailableReplicas": 1}});
    Cluster {
        name: crash.name,
        expect: BTreeMap::from([("Deployment/shop/api".to_owned(), crash.causes)]),
        healthy: Vec::new(),
        incidents: Some(1),
        objects: vec![pod, replica_set, deployment],
        logs: vec![("shop".to_owned(), "api-5d9c7b-x2x4z".to_owned(), "app".to_owned(), true, crash.log)],
    }
}

#[test]
fn what_programs_of_every_kind_write_before_they_end_names_the_cause() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/wild/crash_logs.jsonl")).unwrap();
    let crashes: Vec<Crash> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(crashes.len() > 200, "{} logs", crashes.len());
    let all: Vec<String> = crashes.into_iter().map(crashing).flat_map(|cluster| problems_of(&cluster)).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}
