//! The DaemonSet controller: one pod on every node that may have it (`daemon_controller.go`, rolling updates of `update.go`).

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{DAEMON_SETS, NODES, PODS, ResourceType};
use super::super::scheduler;
use super::super::store::{Store, Writer};
use super::owned::{self, MANAGER};
use super::{Change, Controller, Key, Retries};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SOURCE: Source<'static> = Source { component: "daemonset-controller", host: "" };
/// The taints every daemon pod tolerates.
const TOLERATED: &[(&str, &str)] = &[
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// See the module.
pub struct DaemonSetController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
    retries: Retries,
}

impl DaemonSetController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder, retries: Retries::default() }
    }

    fn create(&self, set: &Value, node: &str, revision: &str) -> Result<(), String> {
        let mut pod = pod_for(set, node, revision);
        object::put(&mut pod, &["metadata", "generateName"], json!(format!("{}-", object::name(set))));
        match self.store.create(&PODS, pod, Writer::update(MANAGER)) {
            Ok(pod) => {
                let message = format!("Created pod: {}", object::name(&pod));
                self.recorder.record(SOURCE, set, Said::normal("SuccessfulCreate", &message));
                Ok(())
            }
            Err(refusal) => {
                let message = format!("Error creating: {}", refusal.message);
                self.recorder.record(SOURCE, set, Said::warning("FailedCreate", &message));
                Err(refusal.message)
            }
        }
    }

    fn delete(&self, set: &Value, pod: &Value) {
        if !object::is_deleting(pod) && self.store.delete(&PODS, object::namespace(pod), object::name(pod), None).is_ok() {
            let message = format!("Deleted pod: {}", object::name(pod));
            self.recorder.record(SOURCE, set, Said::normal("SuccessfulDelete", &message));
        }
    }

    /// Creates and deletes pods, then replaces old ones; the refusal of a creation.
    fn step(
        &self,
        set: &Value,
        nodes: &[Arc<Value>],
        by_node: &BTreeMap<String, Vec<Arc<Value>>>,
        revision: &str,
    ) -> Result<(), String> {
        let mut refusal = Ok(());
        for node in nodes {
            let name = object::name(node);
            let here = by_node.get(name).map_or(&[][..], Vec::as_slice);
            for failed in here.iter().filter(|pod| object::is_finished_pod(pod) && !object::is_deleting(pod)) {
                let whole = format!("{}/{}", object::namespace(failed), object::name(failed));
                let message = format!("Found failed daemon pod {whole} on node {name}, will try to kill it");
                self.recorder.record(SOURCE, set, Said::warning("FailedDaemonPod", &message));
                self.delete(set, failed);
            }
            let (may_start, may_stay) = belongs(set, node);
            if !may_stay {
                for pod in here {
                    self.delete(set, pod);
                }
            } else if may_start && here.is_empty() && refusal.is_ok() {
                refusal = self.create(set, name, revision);
            }
        }
        refusal?;
        self.update(set, by_node, revision);
        Ok(())
    }

    /// Replaces pods of an older template, at most `maxUnavailable` at a time.
    fn update(&self, set: &Value, by_node: &BTreeMap<String, Vec<Arc<Value>>>, revision: &str) {
        if object::text(set, "/spec/updateStrategy/type") == "OnDelete" {
            return;
        }
        let pods: Vec<&Arc<Value>> = by_node.values().flatten().collect();
        let unavailable = pods.iter().filter(|pod| !owned::is_serving(pod)).count() as i64;
        let most = match object::at(set, "/spec/updateStrategy/rollingUpdate/maxUnavailable") {
            Value::Number(number) => number.as_i64().unwrap_or(1),
            Value::String(share) => {
                let share: i64 = share.trim_end_matches('%').parse().unwrap_or(0);
                (pods.len() as i64 * share + 99) / 100
            }
            _ => 1,
        };
        let old = |pod: &&&Arc<Value>| owned::revision_of(pod) != owned::hash_of(revision) && !object::is_deleting(pod);
        // A pod that does not serve anyway is replaced whatever the limit.
        pods.iter().filter(old).filter(|pod| !owned::is_serving(pod)).for_each(|pod| self.delete(set, pod));
        let room = (most - unavailable).max(0) as usize;
        pods.iter().filter(old).filter(|pod| owned::is_serving(pod)).take(room).for_each(|pod| self.delete(set, pod));
    }

    fn write_status(&self, set: &Value, nodes: &[Arc<Value>], revision: &str) {
        let pods = owned::pods_of(&self.store, set);
        let on = |node: &Value| pods.iter().find(|pod| home_of(pod) == object::name(node) && !object::is_finished_pod(pod));
        let (mut desired, mut current, mut ready, mut updated, mut astray) = (0, 0, 0, 0, 0);
        for node in nodes {
            let pod = on(node);
            if !belongs(set, node).0 {
                astray += usize::from(pod.is_some());
                continue;
            }
            desired += 1;
            current += usize::from(pod.is_some());
            ready += usize::from(pod.is_some_and(|pod| owned::is_serving(pod)));
            updated += usize::from(pod.is_some_and(|pod| owned::revision_of(pod) == owned::hash_of(revision)));
        }
        let mut status = json!({
            "observedGeneration": object::at(set, "/metadata/generation"), "desiredNumberScheduled": desired,
            "currentNumberScheduled": current, "numberReady": ready, "numberMisscheduled": astray,
        });
        for (field, count) in
            [("numberAvailable", ready), ("updatedNumberScheduled", updated), ("numberUnavailable", desired - ready)]
        {
            if count > 0 {
                object::put(&mut status, &[field], json!(count));
            }
        }
        let _ = self.store.modify(&DAEMON_SETS, object::namespace(set), object::name(set), Writer::status(MANAGER), |set| {
            object::put(set, &["status"], status);
        });
    }
}

/// The pod for one node: bound to it by an affinity for its name, as the real controller does.
fn pod_for(set: &Value, node: &str, revision: &str) -> Value {
    let mut pod = owned::pod_of(set, "DaemonSet", revision);
    let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]});
    let path = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
    object::put(&mut pod, &path, json!([term]));
    let mut tolerations = object::items(&pod, "/spec/tolerations").to_vec();
    tolerations.extend(TOLERATED.iter().map(|(key, effect)| json!({"key": key, "operator": "Exists", "effect": effect})));
    object::put(&mut pod, &["spec", "tolerations"], json!(tolerations));
    pod
}

/// The node a daemon pod is for, assigned or not.
fn home_of(pod: &Value) -> &str {
    match object::text(pod, "/spec/nodeName") {
        "" => object::text(
            pod,
            "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0",
        ),
        node => node,
    }
}

/// Whether a pod of the set may start on a node, and whether one that is there may stay.
fn belongs(set: &Value, node: &Value) -> (bool, bool) {
    let pod = pod_for(set, object::name(node), "");
    let labels = object::at(node, "/metadata/labels");
    let selected = object::fields(&pod, "/spec/nodeSelector").all(|(key, want)| labels.get(key) == Some(want));
    let tolerated = |effects: &[&str]| {
        object::items(node, "/spec/taints").iter().filter(|taint| effects.contains(&object::text(taint, "/effect"))).all(
            |taint| object::items(&pod, "/spec/tolerations").iter().any(|toleration| scheduler::tolerates(toleration, taint)),
        )
    };
    (selected && tolerated(&["NoSchedule", "NoExecute"]), selected && tolerated(&["NoExecute"]))
}

impl Controller for DaemonSetController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&DAEMON_SETS, &PODS, &NODES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        match change.resource.kind {
            "DaemonSet" => vec![(namespace, object::name(&change.object).to_owned())],
            "Node" => {
                let placed = |node: &Value| (object::at(node, "/spec").clone(), object::at(node, "/metadata/labels").clone());
                let same = change.previous.as_ref().is_some_and(|before| placed(before) == placed(&change.object));
                let sets = if same { Vec::new() } else { self.store.list(&DAEMON_SETS, None) };
                sets.iter().map(|set| (object::namespace(set).to_owned(), object::name(set).to_owned())).collect()
            }
            _ => {
                let owner = object::controller(&change.object).filter(|owner| object::text(owner, "/kind") == "DaemonSet");
                owner.map(|owner| vec![(namespace, object::text(owner, "/name").to_owned())]).unwrap_or_default()
            }
        }
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let set = self.store.get(&DAEMON_SETS, &key.0, &key.1)?;
        if object::is_deleting(&set) {
            return None;
        }
        let now = self.clock.now();
        let revision = owned::ensure_revision(&self.store, &set, "DaemonSet");
        let nodes = self.store.list(&NODES, None);
        let mut by_node: BTreeMap<String, Vec<Arc<Value>>> = BTreeMap::new();
        for pod in owned::pods_of(&self.store, &set) {
            by_node.entry(home_of(&pod).to_owned()).or_default().push(pod);
        }
        let mut again = self.retries.wait(key, now);
        if again.is_none() {
            match self.step(&set, &nodes, &by_node, &revision) {
                Ok(()) => self.retries.forget(key),
                Err(_) => again = Some(self.retries.refused(key, now)),
            }
        }
        self.write_status(&set, &nodes, &revision);
        again
    }
}
