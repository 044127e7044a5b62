//! The scheduler: picks a node by requests, taints, selectors, neighbours and volumes, or says why there is none.
//!
//! The sentences follow `pkg/scheduler/framework/types.go` as of 1.36: reasons sorted as text, counts of nodes, then whether
//! preemption could help. Placement is least-allocated with ties broken by name, so that one seed places alike.

pub mod fit;
mod preemption;
mod relations;
mod volumes;

use super::clock::Clock;
use super::controllers::{Change, Controller, Key};
use super::object;
use super::recorder::{Recorder, Said};
use super::resources::{NODES, PERSISTENT_VOLUME_CLAIMS, PODS, ResourceType};
use super::store::{Store, Writer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub use fit::tolerates;

const MANAGER: &str = "kube-scheduler";
/// Unschedulable pods are retried at least this often, as the real queue flushes.
const RETRY: Duration = Duration::from_secs(60);

/// See the module.
pub struct Scheduler {
    store: Store,
    clock: Clock,
    recorder: Recorder,
}

impl Scheduler {
    /// A scheduler over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder }
    }

    fn bind(&self, pod: &Value, node: &str) {
        let (namespace, name) = (object::namespace(pod), object::name(pod));
        let now = object::stamp(self.clock.now());
        // The real binding leaves no trace in managedFields; see `Store::modify` for what an unnamed manager means.
        let bound = self.store.modify(&PODS, namespace, name, Writer::update(""), |pod| {
            object::put(pod, &["spec", "nodeName"], json!(node));
            let condition = json!({
                "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
                "observedGeneration": object::at(pod, "/metadata/generation"),
            });
            object::put(pod, &["status", "conditions"], json!([condition]));
        });
        if bound.is_ok() {
            let message = format!("Successfully assigned {namespace}/{name} to {node}");
            self.recorder.record_new_style("default-scheduler", pod, "Binding", Said::normal("Scheduled", &message));
        }
    }

    fn refuse(&self, pod: &Value, message: &str) {
        let before = object::condition(pod, "PodScheduled").map_or("", |condition| object::text(condition, "/message"));
        if before == message {
            return;
        }
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&PODS, object::namespace(pod), object::name(pod), Writer::status(MANAGER), |pod| {
            let since = object::condition(pod, "PodScheduled")
                .filter(|present| object::text(present, "/status") == "False")
                .map_or_else(|| now.clone(), |present| object::text(present, "/lastTransitionTime").to_owned());
            let condition = json!({
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastProbeTime": null,
                "lastTransitionTime": since, "observedGeneration": object::at(pod, "/metadata/generation"),
            });
            object::put(pod, &["status", "conditions"], json!([condition]));
        });
        self.recorder.record_new_style("default-scheduler", pod, "Scheduling", Said::warning("FailedScheduling", message));
    }

    /// What the API server writes when it takes a gated pod in.
    fn say_gated(&self, pod: &Value) {
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "lastProbeTime": null,
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastTransitionTime": object::at(pod, "/metadata/creationTimestamp"),
        });
        let _ = self.store.modify(&PODS, object::namespace(pod), object::name(pod), Writer::update(""), |pod| {
            object::put(pod, &["status", "conditions"], json!([condition]));
        });
    }

    fn waiting(&self) -> Vec<Key> {
        let unassigned = |pod: &Arc<Value>| object::text(pod, "/spec/nodeName").is_empty() && object::is_active_pod(pod);
        let waiting = self.store.list(&PODS, None).into_iter().filter(unassigned);
        waiting.map(|pod| (object::namespace(&pod).to_owned(), object::name(&pod).to_owned())).collect()
    }
}

impl Controller for Scheduler {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&PODS, &NODES, &PERSISTENT_VOLUME_CLAIMS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        if change.resource.kind != "Pod" {
            return self.waiting();
        }
        if change.is_deleted() || object::is_finished_pod(&change.object) {
            // Room was made: whoever waits may fit now.
            return self.waiting();
        }
        if object::text(&change.object, "/spec/nodeName").is_empty() {
            return vec![(object::namespace(&change.object).to_owned(), object::name(&change.object).to_owned())];
        }
        Vec::new()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let pod = self.store.get(&PODS, &key.0, &key.1)?;
        if !object::text(&pod, "/spec/nodeName").is_empty() || !object::is_active_pod(&pod) {
            return None;
        }
        if !object::items(&pod, "/spec/schedulingGates").is_empty() {
            self.say_gated(&pod);
            return None;
        }
        self.place(&pod)
    }
}

impl Scheduler {
    /// Finds a node for a pod; answers when to try again.
    fn place(&self, pod: &Value) -> Option<Duration> {
        let nodes = self.store.list(&NODES, None);
        let mut placed = self.store.list(&PODS, None);
        placed.retain(|other| !object::is_finished_pod(other) && !object::text(other, "/spec/nodeName").is_empty());
        let claims = match volumes::Claims::of(&self.store, pod) {
            Ok(claims) => claims,
            Err(why) => {
                self.refuse(pod, &format!("0/{} nodes are available: {why}", nodes.len()));
                return Some(RETRY);
            }
        };
        let neighbours = relations::Neighbours { nodes: &nodes, pods: &placed };
        let others = |node: &Value| {
            let mut found = neighbours.obstacles(pod, node);
            if !claims.reach(node) {
                let reason = "node(s) didn't match PersistentVolume's node affinity".to_owned();
                found.push(fit::Obstacle { reason, preemptible: false });
            }
            found
        };
        match fit::choose(pod, &nodes, &fit::usage(&placed), &others) {
            Ok(node) if claims.select(&self.store, &node) => Some(Duration::from_secs(1)),
            Ok(node) => {
                self.bind(pod, &node);
                None
            }
            Err(message) => {
                self.refuse(pod, &message);
                self.preempt(pod, &nodes, &placed);
                Some(RETRY)
            }
        }
    }
}
