//! The kubelet's own admission: a pod bound to a node by name has passed by the scheduler, and may find no room there.
//!
//! Sources: `pkg/kubelet/lifecycle/predicate.go` (refusals, reason `OutOf<resource>`), `pkg/kubelet/preemption` (a critical pod
//! sends others away). Invariant: pods that the scheduler has placed are not counted again.

use super::super::object;
use super::super::recorder::{Said, Source};
use super::super::resources::{NODES, PODS};
use super::super::scheduler::fit::{self, Lack};
use super::super::store::Writer;
use super::{Kubelets, worker};
use serde_json::{Value, json};
use std::sync::Arc;

/// The lowest priority of a critical pod (`SystemCriticalPriority`).
const CRITICAL: i64 = 2_000_000_000;

impl Kubelets {
    /// Whether a pod new to its node may start there; one that may not is marked as failed.
    pub(super) fn admits(&mut self, pod: &Value) -> bool {
        let bound_by_name = object::condition(pod, "PodScheduled").is_none() && object::text(pod, "/status/startTime").is_empty();
        let Some(node) = self.store.get(&NODES, "", object::text(pod, "/spec/nodeName")).filter(|_| bound_by_name) else {
            return true;
        };
        let here = |other: &Arc<Value>| {
            object::text(other, "/spec/nodeName") == object::name(&node)
                && object::uid(other) != object::uid(pod)
                && object::is_active_pod(other)
        };
        let mut others: Vec<Arc<Value>> = self.store.list(&PODS, None).into_iter().filter(here).collect();
        let Some(lack) = lack(pod, &node, &others) else { return true };
        if priority(pod) >= CRITICAL {
            others.sort_by_key(|other| (std::cmp::Reverse(priority(other)), object::name(other).to_owned()));
            return self.make_room(pod, &node, others);
        }
        self.refuse(pod, &node, &lack);
        false
    }

    /// Stops pods of lower priority, the least important first, until a critical pod fits.
    fn make_room(&mut self, pod: &Value, node: &Value, mut others: Vec<Arc<Value>>) -> bool {
        let mut victims = Vec::new();
        while let Some(lack) = lack(pod, node, &others) {
            let Some(victim) = others.pop().filter(|last| priority(last) < CRITICAL) else {
                self.refuse(pod, node, &lack);
                return false;
            };
            victims.push(victim);
        }
        for victim in victims {
            let key = (object::namespace(&victim).to_owned(), object::name(&victim).to_owned());
            self.stop_for_good(&key, "Preempting", "Preempted in order to admit critical pod");
        }
        true
    }

    fn refuse(&self, pod: &Value, node: &Value, lack: &Lack) {
        let reason = format!("OutOf{}", lack.resource);
        let message = format!(
            "Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}",
            lack.resource, lack.requested, lack.used, lack.capacity
        );
        let source = Source { component: "kubelet", host: object::name(node) };
        self.recorder.record(source, pod, Said::warning(&reason, &message));
        let now = object::stamp(self.clock.now());
        let writer = Writer::status(worker::MANAGER);
        let _ = self.store.modify(&PODS, object::namespace(pod), object::name(pod), writer, |pod| {
            let status = json!({
                "phase": "Failed", "reason": reason, "message": format!("Pod was rejected: {message}"), "startTime": now,
                "observedGeneration": object::at(pod, "/metadata/generation"), "qosClass": object::at(pod, "/status/qosClass"),
            });
            object::put(pod, &["status"], status);
        });
    }
}

fn lack(pod: &Value, node: &Value, others: &[Arc<Value>]) -> Option<Lack> {
    fit::lack(pod, node, fit::usage(others).get(object::name(node)).copied().unwrap_or_default())
}

fn priority(pod: &Value) -> i64 {
    object::int(pod, "/spec/priority").unwrap_or(0)
}
