//! The disruption controller: how many pods of a PodDisruptionBudget may go (`pkg/controller/disruption`).

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, ResourceType, STATEFUL_SETS};
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const SOURCE: Source<'static> = Source { component: "controllermanager", host: "" };

/// See the module.
pub struct DisruptionController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
}

impl DisruptionController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder }
    }

    /// The replicas the pods' controllers want, each controller once.
    fn expected(&self, pods: &[Arc<Value>]) -> i64 {
        let mut seen: Vec<String> = Vec::new();
        let mut expected = 0;
        for pod in pods {
            // Pods nobody manages have no wanted number.
            let Some(owner) = object::controller(pod) else { continue };
            let (namespace, name) = (object::namespace(pod), object::text(owner, "/name"));
            let scaled = match object::text(owner, "/kind") {
                "ReplicaSet" => self.store.get(&REPLICA_SETS, namespace, name).map(|set| {
                    let deployment = object::controller(&set).map(|owner| object::text(owner, "/name").to_owned());
                    deployment.and_then(|name| self.store.get(&DEPLOYMENTS, namespace, &name)).unwrap_or(set)
                }),
                "StatefulSet" => self.store.get(&STATEFUL_SETS, namespace, name),
                _ => None,
            };
            let uid = scaled.as_ref().map_or_else(|| object::uid(pod), |scaled| object::uid(scaled)).to_owned();
            if !seen.contains(&uid) {
                expected += scaled.map_or(1, |scaled| object::int(&scaled, "/spec/replicas").unwrap_or(1));
                seen.push(uid);
            }
        }
        expected
    }
}

/// A number, or a percentage of a whole, rounded up.
fn share(amount: &Value, whole: i64) -> Option<i64> {
    match amount {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
            Some((whole * percent + 99) / 100)
        }
        _ => None,
    }
}

impl Controller for DisruptionController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&POD_DISRUPTION_BUDGETS, &PODS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        if change.resource == &POD_DISRUPTION_BUDGETS {
            return vec![(namespace, object::name(&change.object).to_owned())];
        }
        let budgets = self.store.list(&POD_DISRUPTION_BUDGETS, Some(&namespace));
        let selects = |budget: &&Arc<Value>| {
            object::selects(object::at(budget, "/spec/selector"), object::at(&change.object, "/metadata/labels"))
        };
        budgets.iter().filter(selects).map(|budget| (namespace.clone(), object::name(budget).to_owned())).collect()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let budget = self.store.get(&POD_DISRUPTION_BUDGETS, &key.0, &key.1)?;
        let mut pods = self.store.list(&PODS, Some(&key.0));
        pods.retain(|pod| {
            object::selects(object::at(&budget, "/spec/selector"), object::at(pod, "/metadata/labels"))
                && object::is_active_pod(pod)
        });
        let healthy = pods.iter().filter(|pod| object::condition_is_true(pod, "Ready")).count() as i64;
        let counted = object::at(&budget, "/spec/minAvailable").is_number();
        let expected = if counted { pods.len() as i64 } else { self.expected(&pods) };
        if pods.is_empty() {
            self.recorder.record(SOURCE, &budget, Said::normal("NoPods", "No matching pods found"));
        }
        let desired = match share(object::at(&budget, "/spec/maxUnavailable"), expected) {
            Some(unavailable) => (expected - unavailable).max(0),
            None => share(object::at(&budget, "/spec/minAvailable"), expected).unwrap_or(0),
        };
        let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
        let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
        let since = object::condition(&budget, "DisruptionAllowed")
            .filter(|present| object::text(present, "/status") == status)
            .map_or_else(|| object::stamp(self.clock.now()), |present| object::text(present, "/lastTransitionTime").to_owned());
        let status = json!({
            "observedGeneration": object::at(&budget, "/metadata/generation"), "currentHealthy": healthy, "desiredHealthy": desired,
            "disruptionsAllowed": allowed, "expectedPods": expected,
            "conditions": [{"type": "DisruptionAllowed", "status": status, "reason": reason, "message": "", "lastTransitionTime": since,
                "observedGeneration": object::at(&budget, "/metadata/generation")}],
        });
        let writer = Writer::status("kube-controller-manager");
        let _ =
            self.store.modify(&POD_DISRUPTION_BUDGETS, &key.0, &key.1, writer, |budget| object::put(budget, &["status"], status));
        None
    }
}
