//! The captured cluster lived again: its manifests are applied to a practice cluster, and what the real objects said (conditions,
//! reasons, the events' words) is looked for in the practice ones. The table of differences is printed; each has its reason here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use k3am::practice::resources::{CONFIG_MAPS, DEPLOYMENTS, EVENTS, NAMESPACES, PODS, ResourceType, SECRETS, SERVICES};
use k3am::practice::store::Writer;
use k3am::practice::{Options, PracticeCluster};
use regex::Regex;
use serde_json::{Value, json};

/// Differences that are meant or known: a part of the line they stand in, and why.
const EXPLAINED: &[(&str, &str)] = &[
    ("fastapi-deployment never", "the capture broke it half-way, after a healthy rollout; applied at once there are no old pods"),
    ("db-too-many never says: pod condition", "in the capture connections were free at first; here all its pods start at once"),
    ("db-too-many never says: deployment condition Progressing", "as above: in the capture all its pods were ready for a moment"),
    ("healthy-web never says: event", "of the autoscaler and the disruption budget of that name, which are not applied here"),
    ("sigterm-deaf never says: event Normal Killing", "the capture deleted its pod"),
    (
        "pending-pvc never says",
        "the scheduler's sentence for a claim that is there; only deployments and configuration are applied",
    ),
    ("module-missing never", "the fault is inside the captured image; here a variable asks for it (assets/scenarios/causes)"),
    ("settings-missing never", "the fault is inside the captured image; here a variable asks for it (assets/scenarios/causes)"),
    ("never-ready never", "the fault is inside the captured image; here a variable asks for it (assets/scenarios/causes)"),
    (
        "image-registry-down never",
        "registries that are down are known by name here (assets/practice/registry.yaml), not by address",
    ),
];

fn captured(kind: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/captures/fastapi-prod/resources/{kind}.json", env!("CARGO_MANIFEST_DIR"));
    let list: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// Names, addresses and numbers that differ between any two clusters, taken out.
fn plain(message: &str) -> String {
    let mut text = message.to_owned();
    for (pattern, by) in [
        (r"in pod \S+", "in pod POD"),
        (r"sha256:[0-9a-f]+", "DIGEST"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\b\d+\.\d+\.\d+\.\d+(:\d+)?", "ADDRESS"),
        (r"-[0-9a-f]{6,10}(-[a-z0-9]{5})?\b", "-HASH"),
        (r"\b[\d.]+(ms|s|m\d+(\.\d+)?s)\b", "TIME"),
        (r"\bnode-?\d+\b", "NODE"),
        (r"\d+", "N"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, by).into_owned();
    }
    text
}

/// What a controller appends to the name of a Deployment: of a ReplicaSet, of a pod.
static SUFFIX: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(-[a-z0-9]{6,10}(-[a-z0-9]{5})?)?$").unwrap());

/// Everything a deployment, its pods and their events say, as lines.
fn facts(name: &str, deployment: &Value, pods: &[Value], events: &[Value]) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    let conditions = |object: &Value, of: &str, facts: &mut BTreeSet<String>| {
        for condition in object["status"]["conditions"].as_array().into_iter().flatten() {
            let word = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
            facts.insert(format!("{of} condition {}={} {}", word("type"), word("status"), word("reason")));
        }
    };
    conditions(deployment, "deployment", &mut facts);
    let mine = |object: &str| object.strip_prefix(name).is_some_and(|rest| SUFFIX.is_match(rest));
    for pod in pods.iter().filter(|pod| mine(pod["metadata"]["name"].as_str().unwrap_or_default())) {
        conditions(pod, "pod", &mut facts);
        for list in ["containerStatuses", "initContainerStatuses"] {
            for status in pod["status"][list].as_array().into_iter().flatten() {
                if let Some(reason) = status["state"]["waiting"]["reason"].as_str() {
                    facts.insert(format!("waiting {reason}"));
                }
                for state in ["state", "lastState"] {
                    if let Some(reason) = status[state]["terminated"]["reason"].as_str() {
                        facts.insert(format!("terminated {reason} {}", status[state]["terminated"]["exitCode"]));
                    }
                }
            }
        }
    }
    for event in events.iter().filter(|event| mine(event["involvedObject"]["name"].as_str().unwrap_or_default())) {
        let word = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        facts.insert(format!("event {} {}: {}", word("type"), word("reason"), plain(&word("message"))));
    }
    facts
}

fn lay(cluster: &PracticeCluster, resource: &'static ResourceType, mut object: Value) {
    for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "ownerReferences"] {
        object["metadata"].as_object_mut().unwrap().remove(field);
    }
    if let Some(spec) = object["spec"].as_object_mut() {
        for field in ["clusterIP", "clusterIPs"] {
            spec.remove(field);
        }
    }
    object.as_object_mut().unwrap().remove("status");
    let _ = cluster.store().create(resource, object, Writer::update("kubectl"));
}

#[test]
fn captured_deployments_say_the_same_in_the_practice_cluster() {
    let cluster = PracticeCluster::start(&Options { speed: 40.0, ..Options::default() }).unwrap();
    lay(&cluster, &NAMESPACES, json!({"metadata": {"name": "fastapi-prod"}}));
    for (resource, kind) in [(&CONFIG_MAPS, "configmaps"), (&SECRETS, "secrets"), (&SERVICES, "services")] {
        for object in captured(kind).into_iter().filter(|object| object["metadata"]["namespace"] == "fastapi-prod") {
            lay(&cluster, resource, object);
        }
    }
    let (pods, events) = (captured("pods"), captured("events"));
    let here = |deployment: &Value| deployment["metadata"]["namespace"] == "fastapi-prod";
    // The crowd that uses up a subnet needs the small subnet of its own capture.
    let deployments: Vec<Value> =
        captured("deployments.apps").into_iter().filter(here).filter(|of| of["metadata"]["name"] != "ip-hungry").collect();
    let (mut versions, mut rollouts) = (cluster.store().subscribe(&PODS), cluster.store().subscribe(&DEPLOYMENTS));
    let mut missing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for deployment in &deployments {
        let name = deployment["metadata"]["name"].as_str().unwrap();
        missing.insert(name.to_owned(), facts(name, deployment, &pods, &events));
        lay(&cluster, &DEPLOYMENTS, deployment.clone());
    }
    let total: usize = missing.values().map(BTreeSet::len).sum();
    let owned = |resource| -> Vec<Value> {
        cluster.store().list(resource, Some("fastapi-prod")).iter().map(|object| (**object).clone()).collect()
    };
    let explained = |line: &str| EXPLAINED.iter().find(|(part, _)| line.contains(part));
    let open = |missing: &BTreeMap<String, BTreeSet<String>>| {
        missing.iter().any(|(name, facts)| facts.iter().any(|fact| explained(&format!("{name} never says: {fact}")).is_none()))
    };
    // Every version counts, also one that lasts for a moment; on a busy machine a moment may only come with a later restart.
    let end = Instant::now() + Duration::from_secs(60);
    while open(&missing) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
        let (mut pods, events) = (owned(&PODS), owned(&EVENTS));
        pods.extend(std::iter::from_fn(|| versions.try_recv().ok()).map(|change| (*change.object).clone()));
        let mut deployments = owned(&DEPLOYMENTS);
        deployments.extend(std::iter::from_fn(|| rollouts.try_recv().ok()).map(|change| (*change.object).clone()));
        for deployment in deployments {
            let name = deployment["metadata"]["name"].as_str().unwrap();
            let Some(missing) = missing.get_mut(name).filter(|missing| !missing.is_empty()) else { continue };
            let said = facts(name, &deployment, &pods, &events);
            missing.retain(|fact| !said.contains(fact));
        }
    }
    let mut unexplained = Vec::new();
    for (name, facts) in &missing {
        for fact in facts {
            let line = format!("{name} never says: {fact}");
            match explained(&line) {
                // Not captured by the harness: the table is to be seen.
                Some((_, why)) => drop(writeln!(std::io::stderr(), "{line}\n    {why}")),
                None => unexplained.push(line),
            }
        }
    }
    assert!(total > 200, "{total}");
    assert!(unexplained.is_empty(), "of {total} facts:\n{}", unexplained.join("\n"));
}
