//! The disruption controller: how many pods of a PodDisruptionBudget may go (`pkg/controller/disruption`).
//!
//! A share is of what the pods' controllers want, a number of the pods there are. Where a controller says no number the budget
//! allows nothing and its condition says why.

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, ResourceType};
use super::super::scale;
use super::super::selectors;
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SOURCE: Source<'static> = Source { component: "controllermanager", host: "" };
/// How long an evicted pod may take to be deleted before it counts as healthy again (`DeletionTimeout`).
const DELETION_TIMEOUT: chrono::Duration = chrono::Duration::minutes(2);

/// See the module.
pub struct DisruptionController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
}

/// What a budget reckons with.
struct Reckoning {
    expected: i64,
    desired: i64,
    /// Some pods have no controller, and a share of them cannot be known.
    unmanaged: bool,
}

impl DisruptionController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder }
    }

    /// The replicas the pods' controllers want, each controller once, and whether a pod has none; why they cannot be known.
    fn expected(&self, pods: &[Arc<Value>]) -> Result<(i64, bool), String> {
        let (mut scales, mut unmanaged) = (BTreeMap::new(), false);
        for pod in pods {
            let Some(owner) = object::controller(pod) else {
                unmanaged = true;
                continue;
            };
            let found = self.scaled(object::namespace(pod), owner)?;
            let (uid, replicas) = found.ok_or_else(|| format!("found no controllers for pod {:?}", object::name(pod)))?;
            scales.insert(uid, replicas);
        }
        Ok((scales.values().sum(), unmanaged))
    }

    /// Who decides the number of an owner's pods, by uid, and the number; none when it is gone.
    fn scaled(&self, namespace: &str, owner: &Value) -> Result<Option<(String, i64)>, String> {
        let (version, kind, name) =
            (object::text(owner, "/apiVersion"), object::text(owner, "/kind"), object::text(owner, "/name"));
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let is = |resource: &&'static ResourceType| resource.group == group && resource.kind == kind;
        let resource = self.store.served_types().into_iter().find(is).map(ResourceType::storage);
        let resource = resource.ok_or_else(|| format!("no matches for kind {kind:?} in version {version:?}"))?;
        if resource.subresource("scale").is_none() {
            return Err(format!("{} does not implement the scale subresource", resource.qualified()));
        }
        let same = |found: &Arc<Value>, reference: &Value| object::uid(found) == object::text(reference, "/uid");
        let Some(mut found) = self.store.get(resource, namespace, name).filter(|found| same(found, owner)) else {
            return Ok(None);
        };
        let mut of = resource;
        if let Some(above) = object::controller(&found).filter(|above| object::text(above, "/kind") == "Deployment") {
            let deployment = self.store.get(&DEPLOYMENTS, namespace, object::text(above, "/name"));
            if let Some(deployment) = deployment.filter(|deployment| same(deployment, above)) {
                (found, of) = (deployment, &DEPLOYMENTS);
            }
        }
        let replicas = object::int(&scale::of(of, &found), "/spec/replicas").unwrap_or(0);
        Ok(Some((object::uid(&found).to_owned(), replicas)))
    }

    fn reckon(&self, budget: &Value, pods: &[Arc<Value>]) -> Result<Reckoning, String> {
        let (most, least) = (object::at(budget, "/spec/maxUnavailable"), object::at(budget, "/spec/minAvailable"));
        if let (Value::Null, Some(desired)) = (most, least.as_i64()) {
            return Ok(Reckoning { expected: pods.len() as i64, desired, unmanaged: false });
        }
        if most.is_null() && least.is_null() {
            return Ok(Reckoning { expected: 0, desired: 0, unmanaged: false });
        }
        let (expected, unmanaged) = self.expected(pods)?;
        let desired = if most.is_null() { share(least, expected)? } else { (expected - share(most, expected)?).max(0) };
        Ok(Reckoning { expected, desired, unmanaged })
    }

    /// The budget's status before it changes, with one condition set.
    fn with_condition(&self, budget: &Value, generation: &Value, (status, reason, message): (&str, &str, &str)) -> Value {
        let since = object::condition(budget, "DisruptionAllowed")
            .filter(|present| object::text(present, "/status") == status)
            .map_or_else(|| object::stamp(self.clock.now()), |present| object::text(present, "/lastTransitionTime").to_owned());
        let mut condition = json!({"type": "DisruptionAllowed", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": since});
        if !generation.is_null() {
            object::put(&mut condition, &["observedGeneration"], generation.clone());
        }
        json!([condition])
    }

    fn write(&self, key: &Key, status: Value) {
        let writer = Writer::status("kube-controller-manager");
        let written = self.store.modify(&POD_DISRUPTION_BUDGETS, &key.0, &key.1, writer, |budget| {
            object::put(budget, &["status"], status);
        });
        drop(written);
    }

    /// Nothing may go while the status cannot be known.
    fn fail_safe(&self, key: &Key, budget: &Value, why: &str) {
        let message = format!("Failed to calculate the number of expected pods: {why}");
        self.recorder.record(SOURCE, budget, Said::warning("CalculateExpectedPodCountFailed", &message));
        let mut status = object::at(budget, "/status").clone();
        let observed = object::at(budget, "/status/observedGeneration").clone();
        for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
            let value = if field == "disruptionsAllowed" { 0 } else { object::int(&status, &format!("/{field}")).unwrap_or(0) };
            object::put(&mut status, &[field], json!(value));
        }
        let conditions = self.with_condition(budget, &observed, ("False", "SyncFailed", why));
        object::put(&mut status, &["conditions"], conditions);
        self.write(key, status);
    }

    /// The pods evicted of late that are still there, with when; those that should be gone by now are told of.
    fn disrupted(&self, budget: &Value, pods: &[Arc<Value>], now: DateTime<Utc>) -> BTreeMap<String, DateTime<Utc>> {
        let mut disrupted = BTreeMap::new();
        for pod in pods.iter().filter(|pod| !object::is_deleting(pod)) {
            let name = object::name(pod);
            let noted = object::at(budget, "/status/disruptedPods").get(name).and_then(Value::as_str);
            let Some(at) = noted.and_then(|at| at.parse::<DateTime<Utc>>().ok()) else { continue };
            if at + DELETION_TIMEOUT < now {
                let namespace = object::namespace(budget);
                // The real controller names the namespace twice.
                let message = format!("Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't");
                self.recorder.record(SOURCE, pod, Said::warning("NotDeleted", &message));
            } else {
                disrupted.insert(name.to_owned(), at);
            }
        }
        disrupted
    }
}

/// A number, or a percentage of a whole, rounded up.
fn share(amount: &Value, whole: i64) -> Result<i64, String> {
    let refused = |why: String| format!("invalid value for IntOrString: {why}");
    match amount {
        Value::Number(number) => Ok(number.as_i64().unwrap_or(0)),
        Value::String(text) => {
            let digits = text.strip_suffix('%').ok_or_else(|| refused("invalid type: string is not a percentage".to_owned()))?;
            let percent: i64 = digits
                .parse()
                .map_err(|_| refused(format!("invalid value {text:?}: strconv.Atoi: parsing {digits:?}: invalid syntax")))?;
            Ok((whole * percent + 99) / 100)
        }
        _ => Ok(0),
    }
}

/// Whether a budget selects a pod: without a selector none, with an empty one all.
fn selects(budget: &Value, pod: &Value) -> bool {
    let selector = object::at(budget, "/spec/selector");
    selector.is_object() && object::selects(selector, object::at(pod, "/metadata/labels"))
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
        let concerned = budgets.iter().filter(|budget| selects(budget, &change.object));
        concerned.map(|budget| (namespace.clone(), object::name(budget).to_owned())).collect()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let budget = self.store.get(&POD_DISRUPTION_BUDGETS, &key.0, &key.1)?;
        let mut pods = self.store.list(&PODS, Some(&key.0));
        pods.retain(|pod| selects(&budget, pod));
        if pods.is_empty() {
            self.recorder.record(SOURCE, &budget, Said::normal("NoPods", "No matching pods found"));
        }
        let reckoning = match self.reckon(&budget, &pods) {
            Ok(reckoning) => reckoning,
            Err(why) => {
                self.fail_safe(key, &budget, &why);
                return None;
            }
        };
        if reckoning.unmanaged {
            let selector = selectors::in_go(object::at(&budget, "/spec/selector"));
            let message = format!(
                "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value."
            );
            self.recorder.record(SOURCE, &budget, Said::warning("UnmanagedPods", &message));
        }
        let now = self.clock.now();
        let disrupted = self.disrupted(&budget, &pods, now);
        let healthy = pods.iter().filter(|pod| {
            !object::is_deleting(pod) && !disrupted.contains_key(object::name(pod)) && object::condition_is_true(pod, "Ready")
        });
        let (healthy, Reckoning { expected, desired, .. }) = (healthy.count() as i64, reckoning);
        let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
        let row = if allowed > 0 { ("True", "SufficientPods", "") } else { ("False", "InsufficientPods", "") };
        let generation = object::at(&budget, "/metadata/generation");
        let mut status = json!({
            "observedGeneration": generation, "currentHealthy": healthy, "desiredHealthy": desired,
            "disruptionsAllowed": allowed, "expectedPods": expected,
            "conditions": self.with_condition(&budget, generation, row),
        });
        for (name, at) in &disrupted {
            object::put(&mut status, &["disruptedPods", name], json!(object::stamp(*at)));
        }
        self.write(key, status);
        let recheck = disrupted.values().min().map(|at| *at + DELETION_TIMEOUT - now)?;
        Some(recheck.to_std().unwrap_or_default() + Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_a_word_refused() {
        assert_eq!(share(&json!("50%"), 3), Ok(2));
        assert_eq!(share(&json!(1), 9), Ok(1));
        let why = "invalid value for IntOrString: invalid type: string is not a percentage";
        assert_eq!(share(&json!("half"), 3), Err(why.to_owned()));
    }
}
