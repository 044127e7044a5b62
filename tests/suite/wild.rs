//! Clusters as people break them, one a line of `tests/fixtures/wild/clusters.jsonl`, through the whole diagnosis: every broken
//! object named with an accepted cause, nothing healthy named, no incident about anything else, one incident a root.

use std::collections::{BTreeMap, BTreeSet};

use k3am::diagnosis::Incident;
use k3am::diagnosis::engine::diagnose;
use serde::Deserialize;
use serde_json::Value;

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

#[test]
fn broken_clusters_are_read_as_a_seasoned_engineer_would() {
    let mut all = Vec::new();
    let clusters = clusters();
    assert!(clusters.len() > 150, "{} clusters", clusters.len());
    for cluster in &clusters {
        let snapshot = crate::rules::snapshot_of(NOW, cluster.objects.clone(), cluster.logs.clone());
        let (incidents, _) = diagnose(&snapshot, NOW.parse().unwrap());
        all.extend(problems(cluster, &incidents).into_iter().map(|problem| format!("{}: {problem}", cluster.name)));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}
