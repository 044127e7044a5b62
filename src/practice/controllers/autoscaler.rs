//! The horizontal pod autoscaler, on processor and memory use as the practice kubelets measure it
//! (`pkg/controller/podautoscaler`).
//!
//! Every autoscaler is looked at 15 s after it appears and every 15 s from then on, whatever happens to it. What a metric asks for
//! is in `metrics` and `usage`, what becomes of it in `limits`; here is the order of things, and what is written.

mod limits;
mod metrics;
mod usage;

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{HORIZONTAL_POD_AUTOSCALERS, PODS, ResourceType};
use super::super::runtime::Runtime;
use super::super::scale;
use super::super::selectors::Selector;
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use chrono::{DateTime, Utc};
use limits::{History, Sizes};
use metrics::{Proposal, Unread};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const MANAGER: &str = "kube-controller-manager";
const SOURCE: Source<'static> = Source { component: "horizontal-pod-autoscaler", host: "" };
const PERIOD: Duration = Duration::from_secs(15);

/// See the module.
pub struct Autoscaler {
    store: Store,
    clock: Clock,
    recorder: Recorder,
    runtime: Runtime,
    seen: HashMap<Key, Seen>,
}

/// What is remembered of an autoscaler: when it is looked at next, and its past.
struct Seen {
    due: DateTime<Utc>,
    history: History,
}

/// Why there is nothing to compute with.
struct Trouble {
    /// The type of the condition that becomes false.
    kind: &'static str,
    reason: &'static str,
    /// What the event says.
    error: String,
    /// What the condition says.
    message: String,
}

/// A condition: type, status, reason, message.
type Condition<'a> = (&'a str, &'a str, &'a str, &'a str);

/// What is scaled.
struct Target {
    resource: &'static ResourceType,
    scale: Value,
}

impl Target {
    fn replicas(&self) -> i64 {
        object::int(&self.scale, "/spec/replicas").unwrap_or(0)
    }
}

const ABLE: Condition<'static> =
    ("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");

impl Autoscaler {
    /// A controller over a store and the measurements.
    pub fn new(store: Store, clock: Clock, recorder: Recorder, runtime: Runtime) -> Self {
        Self { store, clock, recorder, runtime, seen: HashMap::new() }
    }

    fn target(&self, hpa: &Value) -> Result<Target, String> {
        let reference = object::at(hpa, "/spec/scaleTargetRef");
        let (version, kind, name) =
            (object::text(reference, "/apiVersion"), object::text(reference, "/kind"), object::text(reference, "/name"));
        if version.matches('/').count() > 1 {
            return Err(format!("unexpected GroupVersion string: {version}"));
        }
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let is = |resource: &&'static ResourceType| resource.group == group && resource.kind == kind;
        let resource = self
            .store
            .served_types()
            .into_iter()
            .find(is)
            .map(ResourceType::storage)
            .ok_or_else(|| format!("no matches for kind {kind:?} in group {group:?}"))?;
        if resource.subresource("scale").is_none() {
            return Err("the server could not find the requested resource".to_owned());
        }
        let object = self.store.get(resource, object::namespace(hpa), name);
        let object = object.ok_or_else(|| format!("{} {name:?} not found", resource.qualified()))?;
        Ok(Target { resource, scale: scale::of(resource, &object) })
    }

    /// The pods of a target; the trouble with its selector.
    fn pods(&self, hpa: &Value, target: &Target) -> Result<Vec<Arc<Value>>, Trouble> {
        let trouble = |reason, error: String, message: &str| Trouble {
            kind: "ScalingActive",
            reason,
            message: if message.is_empty() { error.clone() } else { message.to_owned() },
            error,
        };
        let written = object::text(&target.scale, "/status/selector");
        if written.is_empty() {
            let missing = "the HPA target's scale is missing a selector";
            return Err(trouble("SelectorRequired", "selector is required".to_owned(), missing));
        }
        let selector = Selector::of_labels(written).map_err(|why| {
            let error = format!("couldn't convert selector into a corresponding internal selector object: {}", why.message);
            trouble("InvalidSelector", error, "")
        })?;
        let mut pods = self.store.list(&PODS, Some(object::namespace(hpa)));
        pods.retain(|pod| selector.matches(&PODS, pod));
        let rivals = self.rivals(hpa, &pods);
        if rivals.len() > 1 {
            let error = format!("pods by selector {written} are controlled by multiple HPAs: [{}]", rivals.join(" "));
            return Err(trouble("AmbiguousSelector", error, ""));
        }
        Ok(pods)
    }

    /// The autoscalers of the namespace whose targets select one of these pods.
    fn rivals(&self, hpa: &Value, pods: &[Arc<Value>]) -> Vec<String> {
        let all = self.store.list(&HORIZONTAL_POD_AUTOSCALERS, Some(object::namespace(hpa)));
        if all.len() < 2 {
            return Vec::new();
        }
        let selects = |other: &&Arc<Value>| {
            let target = self.target(other).ok();
            let selector = target.and_then(|target| Selector::of_labels(object::text(&target.scale, "/status/selector")).ok());
            selector.is_some_and(|selector| !selector.is_everything() && pods.iter().any(|pod| selector.matches(&PODS, pod)))
        };
        all.iter().filter(selects).map(|other| format!("{}/{}", object::namespace(other), object::name(other))).collect()
    }

    fn resize(&self, hpa: &Value, target: &Target, size: i64, why: &str) -> Result<(), String> {
        let writer = Writer { subresource: Some("scale"), ..Writer::update(MANAGER) };
        let (namespace, name) = (object::namespace(hpa), object::name(&target.scale));
        let written = self.store.modify(target.resource, namespace, name, writer, |object| {
            scale::set_replicas(target.resource, object, size);
        });
        match written {
            Ok(_) => {
                let message = format!("New size: {size}; reason: {why}");
                self.recorder.record(SOURCE, hpa, Said::normal("SuccessfulRescale", &message));
                Ok(())
            }
            Err(refusal) => {
                let message = format!("New size: {size}; reason: {why}; error: {}", refusal.message);
                self.recorder.record(SOURCE, hpa, Said::warning("FailedRescale", &message));
                Err(format!("the HPA controller was unable to update the target scale: {}", refusal.message))
            }
        }
    }

    /// Writes conditions, and what else `change` sets of the status; conditions that are not named stay as they were.
    fn write(&self, hpa: &Value, conditions: &[Condition<'_>], change: impl FnOnce(&mut Value)) {
        let now = object::stamp(self.clock.now());
        let mut rows = object::items(hpa, "/status/conditions").to_vec();
        for (kind, status, reason, message) in conditions {
            let present = rows.iter_mut().find(|row| object::text(row, "/type") == *kind);
            let since = match &present {
                Some(row) if object::text(row, "/status") == *status => object::text(row, "/lastTransitionTime").to_owned(),
                _ => now.clone(),
            };
            let row = json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since});
            match present {
                Some(present) => *present = row,
                None => rows.push(row),
            }
        }
        let (namespace, name) = (object::namespace(hpa), object::name(hpa));
        let _ = self.store.modify(&HORIZONTAL_POD_AUTOSCALERS, namespace, name, Writer::status(MANAGER), |hpa| {
            change(hpa);
            object::put(hpa, &["status", "conditions"], json!(rows));
        });
    }

    /// Says what keeps the metrics from being read, and keeps the size.
    fn give_up(&self, hpa: &Value, current: i64, (first, summary): (&Trouble, &str), read: &[Value]) {
        let condition_reason = if first.reason == "SelectorRequired" { "InvalidSelector" } else { first.reason };
        let row = (first.kind, "False", condition_reason, first.message.as_str());
        self.write(hpa, &[ABLE, row], |hpa| {
            object::put(hpa, &["status", "currentReplicas"], json!(current));
            object::put(hpa, &["status", "currentMetrics"], if read.is_empty() { Value::Null } else { json!(read) });
        });
        self.recorder.record(SOURCE, hpa, Said::warning("FailedComputeMetricsReplicas", summary));
    }

    /// Brings the target to the size its metrics ask for.
    fn scale(&mut self, key: &Key, hpa: &Value, target: &Target) {
        let current = target.replicas();
        let (least, most) =
            (object::int(hpa, "/spec/minReplicas").unwrap_or(1), object::int(hpa, "/spec/maxReplicas").unwrap_or(1));
        if current == 0 && least != 0 {
            let why = "scaling is disabled since the replica count of the target is zero";
            let off = ("ScalingActive", "False", "ScalingDisabled", why);
            return self.finish(hpa, target, 0, Decision { conditions: vec![ABLE, off], ..Decision::default() });
        }
        if current > most || current < least {
            let (size, side) = if current > most { (most, "above Spec.MaxReplicas") } else { (least, "below Spec.MinReplicas") };
            let why = format!("Current number of replicas {side}");
            return self.finish(hpa, target, size, Decision { why, conditions: vec![ABLE], ..Decision::default() });
        }
        let pods = match self.pods(hpa, target) {
            Ok(pods) => pods,
            Err(trouble) => {
                self.recorder.record(SOURCE, hpa, Said::warning(trouble.reason, &trouble.error));
                return self.give_up(hpa, current, (&trouble, &trouble.error), &[]);
            }
        };
        let outcomes: Vec<Result<Proposal, Unread>> =
            object::items(hpa, "/spec/metrics").iter().map(|metric| self.propose(hpa, metric, &pods, current)).collect();
        for unread in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            self.recorder.record(SOURCE, hpa, Said::warning(unread.trouble.reason, &unread.trouble.error));
        }
        let unread: Vec<&Unread> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        let read: Vec<Value> = outcomes
            .iter()
            .map(|outcome| outcome.as_ref().map_or_else(|_| json!({"type": ""}), |asked| asked.read.clone()))
            .collect();
        let mut best: Option<&Proposal> = None;
        for asked in outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()) {
            best = best.filter(|best| best.size >= asked.size).or(Some(asked));
        }
        // What could not be read may need more: a size is then not reduced.
        let best = best.filter(|best| unread.is_empty() || best.size >= current);
        let Some(best) = best else {
            let Some(first) = unread.first() else { return };
            let (bad, all) = (unread.len(), outcomes.len());
            let summary = format!("invalid metrics ({bad} invalid out of {all}), first error is: {}", first.quoted);
            return self.give_up(hpa, current, (&first.trouble, &summary), &read);
        };
        let now = self.clock.now();
        let Some(seen) = self.seen.get_mut(key) else { return };
        let chosen =
            seen.history.choose(now, Sizes { current, asked: best.size, least, most }, object::at(hpa, "/spec/behavior"));
        let why = if best.size > current { format!("{} above target", best.name) } else { "All metrics below target".to_owned() };
        let message = format!("the HPA was able to successfully calculate a replica count from {}", best.name);
        let [able, limited] = chosen.conditions;
        let conditions = vec![able, ("ScalingActive", "True", "ValidMetricFound", message.as_str()), limited];
        self.finish(hpa, target, chosen.size, Decision { why, conditions, read });
        if let Some(seen) = self.seen.get_mut(key).filter(|_| chosen.size != current) {
            seen.history.changed(now, chosen.size - current);
        }
    }

    /// Scales where the size is another, and writes the status.
    fn finish(&self, hpa: &Value, target: &Target, size: i64, decision: Decision<'_>) {
        let current = target.replicas();
        let mut conditions = decision.conditions;
        let outcome = if size == current { Ok(()) } else { self.resize(hpa, target, size, &decision.why) };
        let rescaled = format!("the HPA controller was able to update the target scale to {size}");
        let able = match &outcome {
            Ok(()) => ("AbleToScale", "True", "SucceededRescale", rescaled.as_str()),
            Err(message) => ("AbleToScale", "False", "FailedUpdateScale", message.as_str()),
        };
        if size != current {
            conditions.retain(|condition| condition.0 != able.0);
            conditions.insert(0, able);
        }
        let now = object::stamp(self.clock.now());
        self.write(hpa, &conditions, |hpa| {
            object::put(hpa, &["status", "currentReplicas"], json!(current));
            if outcome.is_err() {
                return;
            }
            object::put(hpa, &["status", "desiredReplicas"], json!(size));
            object::put(
                hpa,
                &["status", "currentMetrics"],
                if decision.read.is_empty() { Value::Null } else { json!(decision.read) },
            );
            if size != current {
                object::put(hpa, &["status", "lastScaleTime"], json!(now));
            }
        });
    }
}

/// How a size came about.
#[derive(Default)]
struct Decision<'a> {
    why: String,
    conditions: Vec<Condition<'a>>,
    read: Vec<Value>,
}

impl Controller for Autoscaler {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&HORIZONTAL_POD_AUTOSCALERS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let key = (object::namespace(&change.object).to_owned(), object::name(&change.object).to_owned());
        if change.is_deleted() {
            self.seen.remove(&key);
            return Vec::new();
        }
        if self.seen.contains_key(&key) {
            return Vec::new();
        }
        self.seen.insert(key.clone(), Seen { due: self.clock.now() + PERIOD, history: History::default() });
        vec![key]
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let hpa = self.store.get(&HORIZONTAL_POD_AUTOSCALERS, &key.0, &key.1)?;
        let now = self.clock.now();
        let seen = self.seen.get_mut(key)?;
        if let Some(wait) = (seen.due - now).to_std().ok().filter(|wait| !wait.is_zero()) {
            return Some(wait);
        }
        seen.due = now + PERIOD;
        match self.target(&hpa) {
            Ok(target) => {
                if let Some(seen) = self.seen.get_mut(key) {
                    seen.history.first_seen(now, target.replicas());
                }
                self.scale(key, &hpa, &target);
            }
            Err(error) => {
                self.recorder.record(SOURCE, &hpa, Said::warning("FailedGetScale", &error));
                let message = format!("the HPA controller was unable to get the target's current scale: {error}");
                self.write(&hpa, &[("AbleToScale", "False", "FailedGetScale", &message)], |_| {});
            }
        }
        Some(PERIOD)
    }
}
