//! Node lifecycle: a node that stops reporting becomes `Unknown` after the grace period, is tainted, and its pods are marked
//! not ready, later deleted when their toleration runs out; declared out of service, its Terminating pods are forced away.
//!
//! Sources: `pkg/controller/nodelifecycle` and `tainteviction` (50 s grace, 300 s default tolerations, texts),
//! `pkg/controller/podgc` (`gcTerminating`).

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{LEASES, NODES, PODS, ResourceType};
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const GRACE_SECONDS: i64 = 50;
const MONITOR: Duration = Duration::from_secs(5);
const MANAGER: &str = "kube-controller-manager";
const SOURCE: Source<'static> = Source { component: "node-controller", host: "" };
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const MEMORY_PRESSURE: &str = "node.kubernetes.io/memory-pressure";
const DISK_PRESSURE: &str = "node.kubernetes.io/disk-pressure";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Where node leases live.
pub const LEASE_NAMESPACE: &str = "kube-node-lease";

/// See the module. A key is a node.
pub struct NodeLifecycle {
    store: Store,
    clock: Clock,
    recorder: Recorder,
}

impl NodeLifecycle {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder }
    }

    fn last_heard(&self, node: &Value) -> Option<DateTime<Utc>> {
        let lease = self.store.get(&LEASES, LEASE_NAMESPACE, object::name(node));
        let renewed = lease.and_then(|lease| object::time(&lease, "/spec/renewTime"));
        let posted = object::condition(node, "Ready").and_then(|ready| object::time(ready, "/lastHeartbeatTime"));
        renewed.max(posted)
    }

    fn mark_unknown(&self, node: &Value) {
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&NODES, "", object::name(node), Writer::status(MANAGER), |node| {
            let Some(conditions) = node.pointer_mut("/status/conditions").and_then(Value::as_array_mut) else { return };
            for condition in conditions.iter_mut() {
                object::put(condition, &["status"], json!("Unknown"));
                object::put(condition, &["reason"], json!("NodeStatusUnknown"));
                object::put(condition, &["message"], json!("Kubelet stopped posting node status."));
                object::put(condition, &["lastTransitionTime"], json!(now));
            }
        });
        let message = format!("Node {0} status is now: NodeNotReady", object::name(node));
        self.recorder.record(SOURCE, node, Said::normal("NodeNotReady", &message));
        for pod in self.pods_on(node) {
            self.mark_pod_not_ready(&pod);
        }
    }

    fn mark_pod_not_ready(&self, pod: &Value) {
        if !object::condition_is_true(pod, "Ready") {
            return;
        }
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&PODS, object::namespace(pod), object::name(pod), Writer::status(MANAGER), |pod| {
            let conditions = pod.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
            for condition in conditions.into_iter().flatten().filter(|condition| object::text(condition, "/type") == "Ready") {
                object::put(condition, &["status"], json!("False"));
                object::put(condition, &["lastTransitionTime"], json!(now));
            }
        });
        self.recorder.record(SOURCE, pod, Said::warning("NodeNotReady", "Node is not ready"));
    }

    fn pods_on(&self, node: &Value) -> Vec<Arc<Value>> {
        let here = |pod: &Arc<Value>| object::text(pod, "/spec/nodeName") == object::name(node);
        self.store.list(&PODS, None).into_iter().filter(here).collect()
    }

    /// Makes the taints agree with the node: unreachable (both effects, the second stamped) and unschedulable.
    fn set_taints(&self, node: &Value, unreachable: bool) {
        let now = object::stamp(self.clock.now());
        let cordoned = object::at(node, "/spec/unschedulable") == &json!(true);
        let short = |condition: &str| object::condition_is_true(node, condition);
        let _ = self.store.modify(&NODES, "", object::name(node), Writer::update(MANAGER), |node| {
            let present = object::items(node, "/spec/taints").to_vec();
            let mut taints: Vec<Value> = present.clone();
            let ours = |taint: &Value| match object::text(taint, "/key") {
                UNREACHABLE => !unreachable,
                UNSCHEDULABLE => !cordoned,
                MEMORY_PRESSURE => !short("MemoryPressure"),
                DISK_PRESSURE => !short("DiskPressure"),
                _ => false,
            };
            taints.retain(|taint| !ours(taint));
            let wanted = [
                (unreachable, UNREACHABLE, "NoSchedule"),
                (unreachable, UNREACHABLE, "NoExecute"),
                (cordoned, UNSCHEDULABLE, "NoSchedule"),
                (short("MemoryPressure"), MEMORY_PRESSURE, "NoSchedule"),
                (short("DiskPressure"), DISK_PRESSURE, "NoSchedule"),
            ];
            for (wanted, key, effect) in wanted {
                let has =
                    taints.iter().any(|taint| object::text(taint, "/key") == key && object::text(taint, "/effect") == effect);
                if wanted && !has {
                    taints.push(json!({"key": key, "effect": effect, "timeAdded": now}));
                }
            }
            if taints.is_empty() {
                object::remove(node, &["spec", "taints"]);
            } else if taints != present {
                object::put(node, &["spec", "taints"], json!(taints));
            }
        });
    }

    /// Deletes pods whose toleration of a `NoExecute` taint has run out; answers when the next one does.
    fn evict(&self, node: &Value) -> Option<Duration> {
        let now = self.clock.now();
        let executing: Vec<_> =
            object::items(node, "/spec/taints").iter().filter(|taint| object::text(taint, "/effect") == "NoExecute").collect();
        let mut next = None;
        if executing.is_empty() {
            return None;
        }
        for pod in self.pods_on(node).iter().filter(|pod| !object::is_deleting(pod)) {
            let due = executing.iter().filter_map(|taint| eviction_time(pod, taint, now)).min();
            let Some(due) = due else { continue };
            if due <= now {
                self.delete_by_taint(pod);
            } else {
                let wait = (due - now).to_std().unwrap_or_default();
                next = Some(next.map_or(wait, |next: Duration| next.min(wait)));
            }
        }
        next
    }

    /// The pod garbage collector's part: a node that is not ready and declared out of service loses its Terminating pods at once.
    fn collect_terminating(&self, node: &Value) {
        let declared = object::items(node, "/spec/taints").iter().any(|taint| object::text(taint, "/key") == OUT_OF_SERVICE);
        if !declared || object::condition_is_true(node, "Ready") {
            return;
        }
        for pod in self.pods_on(node).iter().filter(|pod| object::is_deleting(pod)) {
            let _ = self.store.delete(&PODS, object::namespace(pod), object::name(pod), Some(0));
        }
    }

    fn delete_by_taint(&self, pod: &Value) {
        let (namespace, name) = (object::namespace(pod), object::name(pod));
        let message = format!("Marking for deletion Pod {namespace}/{name}");
        self.recorder.record(
            Source { component: "taint-eviction-controller", host: "" },
            pod,
            Said::normal("TaintManagerEviction", &message),
        );
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&PODS, namespace, name, Writer::status(MANAGER), |pod| {
            let mut conditions = object::items(pod, "/status/conditions").to_vec();
            conditions.push(json!({
                "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "lastProbeTime": null,
                "message": "Taint manager: deleting due to NoExecute taint", "lastTransitionTime": now,
                "observedGeneration": object::at(pod, "/metadata/generation"),
            }));
            object::put(pod, &["status", "conditions"], json!(conditions));
        });
        let _ = self.store.delete(&PODS, namespace, name, None);
    }
}

impl Controller for NodeLifecycle {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&NODES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        vec![(String::new(), object::name(&change.object).to_owned())]
    }

    fn reconcile(&mut self, (_, name): &Key) -> Option<Duration> {
        let node = self.store.get(&NODES, "", name)?;
        let now = self.clock.now();
        let silent = self.last_heard(&node).is_some_and(|heard| (now - heard).num_seconds() > GRACE_SECONDS);
        let ready = object::condition(&node, "Ready").map_or("", |ready| object::text(ready, "/status"));
        if silent && ready != "Unknown" {
            self.mark_unknown(&node);
        }
        self.set_taints(&node, silent);
        let eviction = self.store.get(&NODES, "", name).and_then(|node| {
            let next = self.evict(&node);
            self.collect_terminating(&node);
            next
        });
        let heard = self.last_heard(&node).unwrap_or(now);
        let expiry = (heard + chrono::Duration::seconds(GRACE_SECONDS + 1) - now).to_std().unwrap_or(MONITOR);
        Some(eviction.map_or(expiry, |wait| wait.min(expiry)).max(Duration::from_millis(200)))
    }
}

/// When this taint ends the pod's stay; `None` when it is tolerated for ever.
fn eviction_time(pod: &Value, taint: &Value, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let since = object::time(taint, "/timeAdded").unwrap_or(now);
    let tolerations =
        object::items(pod, "/spec/tolerations").iter().filter(|toleration| super::super::scheduler::tolerates(toleration, taint));
    let mut shortest: Option<Option<i64>> = None;
    for toleration in tolerations {
        let seconds = object::int(toleration, "/tolerationSeconds");
        shortest = Some(match (shortest.flatten(), seconds) {
            (Some(before), Some(seconds)) => Some(before.min(seconds)),
            (before, seconds) => before.or(seconds),
        });
    }
    match shortest {
        None => Some(now),
        Some(seconds) => seconds.map(|seconds| since + chrono::Duration::seconds(seconds)),
    }
}
