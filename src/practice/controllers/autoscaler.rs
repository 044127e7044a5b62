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

/// Why there is nothing to compute with: condition type, reason, message.
type Trouble = (&'static str, &'static str, String);

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
            let why = format!(
                "the HPA controller was unable to get the target's current scale: {}.apps {name:?} not found",
                resource.plural
            );
            ("AbleToScale", "FailedGetScale", why)
        };
        Ok((found.ok_or_else(missing)?, resource))
    }

    /// Reads one resource over the ready pods of the target.
    fn read(&self, hpa: &Value, target: &Value, what: &str) -> Result<Reading, Trouble> {
        let trouble = |why: String| {
            let message = format!("the HPA was unable to compute the replica count: failed to get {what} utilization: {why}");
            ("ScalingActive", "FailedGetResourceMetric", message)
        };
        let selector = object::at(target, "/spec/selector");
        let mut pods = self.store.list(&PODS, Some(object::namespace(hpa)));
        pods.retain(|pod| {
            object::selects(selector, object::at(pod, "/metadata/labels")) && object::condition_is_true(pod, "Ready")
        });
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
    fn compute(&self, hpa: &Value, target: &Value, current: i64) -> Result<(i64, Vec<Value>, String), Trouble> {
        let (mut wanted, mut read, mut reason) = (0, Vec::new(), String::new());
        for metric in object::items(hpa, "/spec/metrics").iter().filter(|metric| object::text(metric, "/type") == "Resource") {
            let what = object::text(metric, "/resource/name");
            let reading = self.read(hpa, target, what)?;
            let goal = object::int(metric, "/resource/target/averageUtilization").unwrap_or(80).max(1);
            let ratio = reading.percent as f64 / goal as f64;
            let size = if (ratio - 1.0).abs() <= TOLERANCE { current } else { (ratio * current as f64).ceil() as i64 };
            if size > wanted {
                wanted = size;
                reason = format!("{what} resource utilization (percentage of request)");
            }
            let average = if what == "cpu" { quantity::cores(reading.average) } else { quantity::bytes(reading.average.round()) };
            read.push(json!({"type": "Resource", "resource": {"name": what, "current": {"averageUtilization": reading.percent, "averageValue": average}}}));
        }
        Ok((wanted, read, reason))
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

    fn write(&self, hpa: &Value, status: Value, conditions: &[(&str, &str, &str, &str)]) {
        let now = object::stamp(self.clock.now());
        let rows: Vec<Value> = conditions
            .iter()
            .map(|(kind, status, reason, message)| {
                let since = object::condition(hpa, kind)
                    .filter(|present| object::text(present, "/status") == *status)
                    .map_or_else(|| now.clone(), |present| object::text(present, "/lastTransitionTime").to_owned());
                json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
            })
            .collect();
        let (namespace, name) = (object::namespace(hpa), object::name(hpa));
        let _ = self.store.modify(&HORIZONTAL_POD_AUTOSCALERS, namespace, name, Writer::status(MANAGER), |hpa| {
            object::put(hpa, &["status"], status);
            object::put(hpa, &["status", "conditions"], json!(rows));
        });
    }

    fn report_trouble(&self, hpa: &Value, current: i64, (kind, reason, message): Trouble) {
        self.recorder.record(SOURCE, hpa, Said::warning(reason, &message));
        let status = json!({"currentReplicas": current, "desiredReplicas": object::int(hpa, "/status/desiredReplicas").unwrap_or(0), "currentMetrics": null});
        let able = ("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale");
        let trouble = (kind, "False", reason, message.as_str());
        let rows = if kind == "AbleToScale" { vec![trouble] } else { vec![able, trouble] };
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
                self.report_trouble(&hpa, 0, trouble);
                return Some(PERIOD);
            }
        };
        let current = object::int(&target, "/spec/replicas").unwrap_or(1);
        if current == 0 {
            let off = (
                "ScalingActive",
                "False",
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            );
            self.write(&hpa, json!({"currentReplicas": 0, "desiredReplicas": 0}), &[off]);
            return Some(PERIOD);
        }
        let (asked, read, why) = match self.compute(&hpa, &target, current) {
            Ok(computed) => computed,
            Err(trouble) => {
                self.report_trouble(&hpa, current, trouble);
                return Some(PERIOD);
            }
        };
        let wanted = self.stabilised(key, asked, current);
        let (least, most) =
            (object::int(&hpa, "/spec/minReplicas").unwrap_or(1), object::int(&hpa, "/spec/maxReplicas").unwrap_or(1));
        let limited = if wanted > most {
            ("ScalingLimited", "True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
        } else if wanted < least {
            ("ScalingLimited", "True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
        } else {
            ("ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range")
        };
        let size = wanted.clamp(least, most.max(least));
        if size != current {
            let direction = if size > current { format!("{why} above target") } else { "All metrics below target".to_owned() };
            self.resize(&hpa, (&target, resource), size, &direction);
        }
        let able = if size == current {
            ("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
        } else {
            ("AbleToScale", "True", "SucceededRescale", "the HPA controller was able to update the target scale")
        };
        let message = format!("the HPA was able to successfully calculate a replica count from {why}");
        let active = ("ScalingActive", "True", "ValidMetricFound", message.as_str());
        let mut status = json!({"observedGeneration": object::at(&hpa, "/metadata/generation"), "currentReplicas": current, "desiredReplicas": size, "currentMetrics": read});
        if size != current {
            object::put(&mut status, &["lastScaleTime"], json!(object::stamp(self.clock.now())));
        } else if let Some(last) = hpa.pointer("/status/lastScaleTime") {
            object::put(&mut status, &["lastScaleTime"], last.clone());
        }
        self.write(&hpa, status, &[able, active, limited]);
        Some(PERIOD)
    }
}
