//! Preemption: a pod of higher priority that fits nowhere sends others away (`plugins/defaultpreemption`).

use super::super::object;
use super::super::recorder::Said;
use super::super::resources::PODS;
use super::super::store::Writer;
use super::{MANAGER, Scheduler, fit, relations};
use serde_json::{Value, json};
use std::sync::Arc;

impl Scheduler {
    /// Deletes the fewest pods of lower priority that make room for a pod on one node, if that is possible.
    pub(super) fn preempt(&self, pod: &Value, nodes: &[Arc<Value>], placed: &[Arc<Value>]) {
        let priority = |pod: &Value| object::int(pod, "/spec/priority").unwrap_or(0);
        if object::text(pod, "/spec/preemptionPolicy") == "Never" || !placed.iter().any(|other| priority(other) < priority(pod)) {
            return;
        }
        let mut best: Option<(&str, Vec<Arc<Value>>)> = None;
        for node in nodes {
            let mut candidates: Vec<_> = placed
                .iter()
                .filter(|other| object::text(other, "/spec/nodeName") == object::name(node))
                .filter(|other| priority(other) < priority(pod))
                .cloned()
                .collect();
            candidates.sort_by_key(|other| (priority(other), object::name(other).to_owned()));
            if candidates.iter().any(|other| object::is_deleting(other)) {
                // Room is being made here already.
                return;
            }
            let victims = (1..=candidates.len()).map(|count| candidates.iter().take(count).cloned().collect::<Vec<_>>());
            let enough = victims.into_iter().find(|victims| fits_without(pod, node, nodes, placed, victims));
            if let Some(victims) = enough.filter(|victims| best.as_ref().is_none_or(|(_, fewest)| victims.len() < fewest.len())) {
                best = Some((object::name(node), victims));
            }
        }
        let Some((node, victims)) = best else { return };
        for victim in &victims {
            self.evict_for(pod, victim, node);
        }
        let _ = self.store.modify(&PODS, object::namespace(pod), object::name(pod), Writer::status(MANAGER), |pod| {
            object::put(pod, &["status", "nominatedNodeName"], json!(node));
        });
    }

    fn evict_for(&self, pod: &Value, victim: &Value, node: &str) {
        let now = object::stamp(self.clock.now());
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "lastTransitionTime": now,
            "message": "default-scheduler: preempting to accommodate a higher priority pod",
        });
        let (namespace, name) = (object::namespace(victim), object::name(victim));
        let _ = self.store.modify(&PODS, namespace, name, Writer::status(MANAGER), |victim| {
            let mut conditions = object::items(victim, "/status/conditions").to_vec();
            conditions.push(condition);
            object::put(victim, &["status", "conditions"], json!(conditions));
        });
        let message = format!("Preempted by pod {} on node {node}", object::uid(pod));
        self.recorder.record_new_style("default-scheduler", victim, "Preempting", Said::normal("Preempted", &message));
        let _ = self.store.delete(&PODS, namespace, name, None);
    }
}

fn fits_without(pod: &Value, node: &Value, nodes: &[Arc<Value>], placed: &[Arc<Value>], victims: &[Arc<Value>]) -> bool {
    let gone = |other: &Arc<Value>| victims.iter().any(|victim| object::uid(victim) == object::uid(other));
    let left: Vec<_> = placed.iter().filter(|other| !gone(other)).cloned().collect();
    let taken = fit::usage(&left).get(object::name(node)).copied().unwrap_or_default();
    fit::obstacles(pod, node, taken).is_empty() && relations::Neighbours { nodes, pods: &left }.obstacles(pod, node).is_empty()
}
