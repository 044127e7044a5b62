//! The horizontal pod autoscaler, on processor and memory use as the practice kubelets measure it
//! (`pkg/controller/podautoscaler`). Not modelled: custom and external metrics, scaling policies.

use super::super::clock::Clock;
use super::super::object;
use super::super::quantity;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS, PODS, ResourceType, STATEFUL_SETS};
use super::super::runtime::Runtime;
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const MANAGER: &str = "kube-controller-manager";
const SOURCE: Source<'static> = Source { component: "horizontal-pod-autoscaler", host: "" };
const PERIOD: Duration = Duration::from_secs(15);
/// A size is not reduced below what was wanted within this time.
const STABILISATION_SECONDS: i64 = 300;
const TOLERANCE: f64 = 0.1;

/// See the module.
pub struct Autoscaler {
    store: Store,
    clock: Clock,
    recorder: Recorder,
    runtime: Runtime,
    /// What was wanted lately, by autoscaler.
    wanted: HashMap<Key, Vec<(DateTime<Utc>, i64)>>,
}

/// What a metric says: use in percent of the request, and as an average.
struct Reading {
    percent: i64,
    average: f64,
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
    /// What the second event, that no metric could be read, says.
    summary: Option<String>,
}

/// The size wanted, what was read, and what the condition `ScalingActive` and the event say.
struct Computed {
    size: i64,
    read: Vec<Value>,
    metric: String,
}

/// A condition: type, status, reason, message.
type Condition<'a> = (&'a str, &'a str, &'a str, &'a str);

const ABLE: Condition<'static> =
    ("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");

impl Autoscaler {
    /// A controller over a store and the measurements.
    pub fn new(store: Store, clock: Clock, recorder: Recorder, runtime: Runtime) -> Self {
        Self { store, clock, recorder, runtime, wanted: HashMap::new() }
    }

    fn target(&self, hpa: &Value) -> Result<(Arc<Value>, &'static ResourceType), Trouble> {
        let (kind, name) = (object::text(hpa, "/spec/scaleTargetRef/kind"), object::text(hpa, "/spec/scaleTargetRef/name"));
        let resource = if kind == "StatefulSet" { &STATEFUL_SETS } else { &DEPLOYMENTS };
        let found = self.store.get(resource, object::namespace(hpa), name);
        let missing = || {
            let error = format!("{}.apps {name:?} not found", resource.plural);
            let message = format!("the HPA controller was unable to get the target's current scale: {error}");
            Trouble { kind: "AbleToScale", reason: "FailedGetScale", error, message, summary: None }
        };
        Ok((found.ok_or_else(missing)?, resource))
    }

    /// Reads one resource over the ready pods of the target.
    fn read(&self, hpa: &Value, target: &Value, what: &str) -> Result<Reading, Trouble> {
        let metrics = object::items(hpa, "/spec/metrics").len();
        let trouble = |why: String| {
            let error = format!("failed to get {what} utilization: {why}");
            Trouble {
                kind: "ScalingActive",
                reason: "FailedGetResourceMetric",
                message: format!("the HPA was unable to compute the replica count: {error}"),
                summary: Some(format!(
                    "invalid metrics (1 invalid out of {metrics}), first error is: failed to get {what} resource metric value: {error}"
                )),
                error,
            }
        };
        let selector = object::at(target, "/spec/selector");
        let mut pods = self.store.list(&PODS, Some(object::namespace(hpa)));
        pods.retain(|pod| object::selects(selector, object::at(pod, "/metadata/labels")));
        if !pods.iter().any(|pod| !self.runtime.usage(object::uid(pod)).is_empty()) {
            let why = format!("unable to get metrics for resource {what}: no metrics returned from resource metrics API");
            return Err(trouble(why));
        }
        pods.retain(|pod| object::condition_is_true(pod, "Ready"));
        let (mut used, mut requested, mut measured) = (0.0, 0.0, 0_u32);
        for pod in &pods {
            for container in object::containers(pod, "containers") {
                let request = object::at(container, &format!("/resources/requests/{what}"));
                if request.is_null() {
                    let (name, pod) = (object::text(container, "/name"), object::name(pod));
                    return Err(trouble(format!("missing request for {what} in container {name} of Pod {pod}")));
                }
                requested += quantity::parse(request);
            }
            let usage = self.runtime.usage(object::uid(pod));
            measured += u32::from(!usage.is_empty());
            used += usage.iter().map(|u| if what == "cpu" { u.cpu_cores } else { u.memory_bytes }).sum::<f64>();
        }
        if measured == 0 {
            return Err(trouble("did not receive metrics for targeted pods (pods might be unready)".to_owned()));
        }
        Ok(Reading { percent: (used * 100.0 / requested.max(1e-9)) as i64, average: used / f64::from(measured) })
    }

    /// The size the metrics ask for, and what they read.
    fn compute(&self, hpa: &Value, target: &Value, current: i64) -> Result<Computed, Trouble> {
        let (mut wanted, mut read, mut metric_name) = (0, Vec::new(), String::new());
        for metric in object::items(hpa, "/spec/metrics").iter().filter(|metric| object::text(metric, "/type") == "Resource") {
            let what = object::text(metric, "/resource/name");
            let reading = self.read(hpa, target, what)?;
            let goal = object::int(metric, "/resource/target/averageUtilization").unwrap_or(80).max(1);
            let ratio = reading.percent as f64 / goal as f64;
            let size = if (ratio - 1.0).abs() <= TOLERANCE { current } else { (ratio * current as f64).ceil() as i64 };
            if size > wanted {
                wanted = size;
                metric_name = format!("{what} resource utilization (percentage of request)");
            }
            let average = if what == "cpu" { quantity::cores(reading.average) } else { quantity::bytes(reading.average.round()) };
            read.push(json!({"type": "Resource", "resource": {"name": what, "current": {"averageUtilization": reading.percent, "averageValue": average}}}));
        }
        Ok(Computed { size: wanted, read, metric: metric_name })
    }

    fn resize(&self, hpa: &Value, (target, resource): (&Value, &'static ResourceType), size: i64, why: &str) {
        let writer = Writer { subresource: Some("scale"), ..Writer::update(MANAGER) };
        let (namespace, name) = (object::namespace(target), object::name(target));
        if self
            .store
            .modify(resource, namespace, name, writer, |target| object::put(target, &["spec", "replicas"], json!(size)))
            .is_ok()
        {
            let message = format!("New size: {size}; reason: {why}");
            self.recorder.record(SOURCE, hpa, Said::normal("SuccessfulRescale", &message));
        }
    }

    /// Writes a status; conditions that are not named stay as they were.
    fn write(&self, hpa: &Value, status: Value, conditions: &[Condition<'_>]) {
        let now = object::stamp(self.clock.now());
        let named = |known: &&Value| conditions.iter().any(|of| of.0 == object::text(known, "/type"));
        let kept = object::items(hpa, "/status/conditions").iter().filter(|known| !named(known)).cloned();
        let mut rows: Vec<Value> = conditions
            .iter()
            .map(|(kind, status, reason, message)| {
                let since = object::condition(hpa, kind)
                    .filter(|present| object::text(present, "/status") == *status)
                    .map_or_else(|| now.clone(), |present| object::text(present, "/lastTransitionTime").to_owned());
                json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
            })
            .collect();
        rows.extend(kept);
        let (namespace, name) = (object::namespace(hpa), object::name(hpa));
        let _ = self.store.modify(&HORIZONTAL_POD_AUTOSCALERS, namespace, name, Writer::status(MANAGER), |hpa| {
            object::put(hpa, &["status"], status);
            object::put(hpa, &["status", "conditions"], json!(rows));
        });
    }

    fn report_trouble(&self, hpa: &Value, current: i64, trouble: &Trouble) {
        self.recorder.record(SOURCE, hpa, Said::warning(trouble.reason, &trouble.error));
        if let Some(summary) = &trouble.summary {
            self.recorder.record(SOURCE, hpa, Said::warning("FailedComputeMetricsReplicas", summary));
        }
        let status = json!({"currentReplicas": current, "desiredReplicas": object::int(hpa, "/status/desiredReplicas").unwrap_or(0), "currentMetrics": null});
        let row = (trouble.kind, "False", trouble.reason, trouble.message.as_str());
        let rows = if trouble.kind == "AbleToScale" { vec![row] } else { vec![ABLE, row] };
        self.write(hpa, status, &rows);
    }

    /// The highest size wanted within the stabilisation time.
    fn stabilised(&mut self, key: &Key, wanted: i64, current: i64) -> i64 {
        let now = self.clock.now();
        let lately = self.wanted.entry(key.clone()).or_insert_with(|| vec![(now, current)]);
        lately.retain(|(at, _)| (now - *at).num_seconds() <= STABILISATION_SECONDS);
        lately.push((now, wanted));
        if wanted >= current { wanted } else { lately.iter().map(|(_, size)| *size).max().unwrap_or(wanted).min(current) }
    }
}

impl Controller for Autoscaler {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&HORIZONTAL_POD_AUTOSCALERS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        // Its own status is no news: the period is kept.
        if change.previous.as_ref().is_some_and(|before| object::at(before, "/spec") == object::at(&change.object, "/spec")) {
            return Vec::new();
        }
        vec![(object::namespace(&change.object).to_owned(), object::name(&change.object).to_owned())]
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let hpa = self.store.get(&HORIZONTAL_POD_AUTOSCALERS, &key.0, &key.1)?;
        let (target, resource) = match self.target(&hpa) {
            Ok(found) => found,
            Err(trouble) => {
                self.report_trouble(&hpa, 0, &trouble);
                return Some(PERIOD);
            }
        };
        let current = object::int(&target, "/spec/replicas").unwrap_or(1);
        if current == 0 {
            let why = "scaling is disabled since the replica count of the target is zero";
            let off = ("ScalingActive", "False", "ScalingDisabled", why);
            self.write(&hpa, json!({"currentReplicas": 0, "desiredReplicas": 0}), &[ABLE, off]);
            return Some(PERIOD);
        }
        let limits = Limits::of(&hpa);
        if let Some((size, why)) = limits.brings_back(current) {
            self.finish(&hpa, (&target, resource), (current, size), &Decision { why: why.to_owned(), ..Decision::default() });
            return Some(PERIOD);
        }
        let computed = match self.compute(&hpa, &target, current) {
            Ok(computed) => computed,
            Err(trouble) => {
                self.report_trouble(&hpa, current, &trouble);
                return Some(PERIOD);
            }
        };
        let wanted = self.stabilised(key, computed.size, current);
        let (size, limited) = limits.apply(wanted, current);
        let why =
            if size > current { format!("{} above target", computed.metric) } else { "All metrics below target".to_owned() };
        let decision = Decision { computed: Some(computed), limited: Some(limited), stabilised: wanted, why };
        self.finish(&hpa, (&target, resource), (current, size), &decision);
        Some(PERIOD)
    }
}

/// How a size came about.
#[derive(Default)]
struct Decision {
    computed: Option<Computed>,
    limited: Option<Condition<'static>>,
    /// The size before the limits.
    stabilised: i64,
    why: String,
}

/// The fewest and the most replicas.
struct Limits {
    least: i64,
    most: i64,
}

impl Limits {
    fn of(hpa: &Value) -> Self {
        let least = object::int(hpa, "/spec/minReplicas").unwrap_or(1);
        Self { least, most: object::int(hpa, "/spec/maxReplicas").unwrap_or(1).max(least) }
    }

    /// The size and the reason where a person scaled past the limits: no metric is asked then.
    fn brings_back(&self, current: i64) -> Option<(i64, &'static str)> {
        if current > self.most {
            return Some((self.most, "Current number of replicas above Spec.MaxReplicas"));
        }
        (current < self.least).then_some((self.least, "Current number of replicas below Spec.MinReplicas"))
    }

    /// The size within the limits, and at most twice the size or four more in a period, with the condition that says so.
    fn apply(&self, wanted: i64, current: i64) -> (i64, Condition<'static>) {
        let fastest = (2 * current).max(current + 4);
        if wanted > fastest.min(self.most) {
            let (reason, message) = if fastest < self.most {
                ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
            } else {
                ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
            };
            return (fastest.min(self.most), ("ScalingLimited", "True", reason, message));
        }
        if wanted < self.least {
            let message = "the desired replica count is less than the minimum replica count";
            return (self.least, ("ScalingLimited", "True", "TooFewReplicas", message));
        }
        (wanted, ("ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range"))
    }
}

impl Autoscaler {
    /// Scales where the size is another, and writes the status.
    fn finish(&self, hpa: &Value, target: (&Value, &'static ResourceType), sizes: (i64, i64), decision: &Decision) {
        let (current, size) = sizes;
        if size != current {
            self.resize(hpa, target, size, &decision.why);
        }
        let rescaled = format!("the HPA controller was able to update the target scale to {size}");
        let asked = decision.computed.as_ref().map_or(size, |computed| computed.size);
        let able = if size != current {
            ("AbleToScale", "True", "SucceededRescale", rescaled.as_str())
        } else if asked < decision.stabilised {
            let why = "recent recommendations were higher than current one, applying the highest recent recommendation";
            ("AbleToScale", "True", "ScaleDownStabilized", why)
        } else {
            ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
        };
        let mut rows = vec![able];
        let message = decision
            .computed
            .as_ref()
            .map(|computed| format!("the HPA was able to successfully calculate a replica count from {}", computed.metric));
        rows.extend(message.as_ref().map(|message| ("ScalingActive", "True", "ValidMetricFound", message.as_str())));
        rows.extend(decision.limited);
        let mut status = json!({"observedGeneration": object::at(hpa, "/metadata/generation"), "currentReplicas": current, "desiredReplicas": size,
            "currentMetrics": decision.computed.as_ref().map(|computed| &computed.read)});
        if size != current {
            object::put(&mut status, &["lastScaleTime"], json!(object::stamp(self.clock.now())));
        } else if let Some(last) = hpa.pointer("/status/lastScaleTime") {
            object::put(&mut status, &["lastScaleTime"], last.clone());
        }
        self.write(hpa, status, &rows);
    }
}
