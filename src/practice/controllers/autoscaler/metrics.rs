//! What each metric of an autoscaler asks for, and what the controller says when it cannot be read.
//!
//! Only resource use is measured here: custom and external metrics answer as in a cluster without an adapter for them.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::usage::{self, Goal, Question, Sample, Tolerance};
use super::{Autoscaler, Trouble};
use crate::practice::object;
use crate::practice::quantity;
use crate::practice::selectors;
use std::sync::Arc;

/// What one metric asks for: the size, the name in conditions and events, what was read.
pub struct Proposal {
    /// The size.
    pub size: i64,
    /// `cpu resource utilization (percentage of request)`.
    pub name: String,
    /// The entry of `status.currentMetrics`.
    pub read: Value,
}

/// Why one metric asks for nothing: what its event says, and how the summary of all metrics quotes it.
pub struct Unread {
    /// What the event and the condition say.
    pub trouble: Trouble,
    /// With the name of the metric before it.
    pub quoted: String,
}

impl Unread {
    fn new(reason: &'static str, error: String, quoted: String) -> Self {
        let message = format!("the HPA was unable to compute the replica count: {error}");
        Self { trouble: Trouble { kind: "ScalingActive", reason, error, message }, quoted }
    }
}

impl Autoscaler {
    /// Reads one metric over the pods of a target.
    pub(super) fn propose(&self, hpa: &Value, metric: &Value, pods: &[Arc<Value>], current: i64) -> Result<Proposal, Unread> {
        let namespace = object::namespace(hpa);
        match object::text(metric, "/type") {
            "Resource" => self.resource(hpa, object::at(metric, "/resource"), pods, current),
            "ContainerResource" => self.resource(hpa, object::at(metric, "/containerResource"), pods, current),
            "Pods" => {
                let name = object::text(metric, "/pods/metric/name");
                let error = format!("unable to get metric {name}: {NO_CUSTOM}");
                Err(Unread::new("FailedGetPodsMetric", error.clone(), format!("failed to get pods metric value: {error}")))
            }
            "Object" => {
                let of = object::at(metric, "/object/describedObject");
                let (kind, of) = (object::text(of, "/kind"), object::text(of, "/name"));
                let name = object::text(metric, "/object/metric/name");
                // The real controller mixes up the order of its words here.
                let error = format!("unable to get metric {name}: {kind} on {namespace} {of}/{NO_CUSTOM}");
                let averaged = object::text(metric, "/object/target/type") == "AverageValue";
                let inner = if averaged { format!("failed to get {name} object metric: {error}") } else { error.clone() };
                Err(Unread::new("FailedGetObjectMetric", error, format!("failed to get object metric value: {inner}")))
            }
            "External" => {
                let name = object::text(metric, "/external/metric/name");
                let selector = selectors::in_go(object::at(metric, "/external/metric/selector"));
                let error = format!(
                    "unable to get external metric {namespace}/{name}/{selector}: unable to fetch metrics from external metrics API: the server could not find the requested resource (get {name}.external.metrics.k8s.io)"
                );
                let averaged = object::text(metric, "/external/target/type") == "AverageValue";
                let inner = if averaged { format!("{name} external metric") } else { format!("external metric {name}") };
                let quoted = format!("failed to get {name} external metric value: failed to get {inner}: {error}");
                Err(Unread::new("FailedGetExternalMetric", error, quoted))
            }
            other => {
                let error = format!("unknown metric source type {other:?}");
                Err(Unread::new("InvalidMetricSourceType", error.clone(), error))
            }
        }
    }

    /// Reads processor or memory use, of all containers or of one.
    fn resource(&self, hpa: &Value, source: &Value, pods: &[Arc<Value>], current: i64) -> Result<Proposal, Unread> {
        let (what, container) = (object::text(source, "/name"), object::text(source, "/container"));
        let (field, kind, reason) = if container.is_empty() {
            ("resource", "resource metric", "FailedGetResourceMetric")
        } else {
            ("containerResource", "container metric", "FailedGetContainerResourceMetric")
        };
        let average = object::at(source, "/target/averageValue");
        let goal = if average.is_null() {
            Goal::Utilisation(object::int(source, "/target/averageUtilization").unwrap_or(0))
        } else {
            Goal::Average(usage::milli(average))
        };
        let (noun, name) = match goal {
            Goal::Utilisation(_) => ("utilization", format!("{what} resource utilization (percentage of request)")),
            Goal::Average(_) => ("usage", format!("{what} resource")),
        };
        let asked = self.samples(what, container, pods).and_then(|samples| {
            let tolerance = tolerance(object::at(hpa, "/spec/behavior"));
            let pods: Vec<&Value> = pods.iter().map(AsRef::as_ref).collect();
            Question { what, container, goal, tolerance, current, now: self.clock.now() }.answer(&pods, &samples)
        });
        let asked = asked.map_err(|why| {
            let error = format!("failed to get {what} {noun}: {why}");
            Unread::new(reason, error.clone(), format!("failed to get {what} {kind} value: {error}"))
        })?;
        let mut read = json!({"type": if container.is_empty() { "Resource" } else { "ContainerResource" }});
        object::put(&mut read, &[field, "name"], json!(what));
        if !container.is_empty() {
            object::put(&mut read, &[field, "container"], json!(container));
        }
        if let Some(percent) = asked.percent {
            object::put(&mut read, &[field, "current", "averageUtilization"], json!(percent));
        }
        object::put(&mut read, &[field, "current", "averageValue"], json!(quantity::decimal(asked.average)));
        Ok(Proposal { size: asked.replicas, name, read })
    }

    /// The samples of pods by name, as the resource metrics API has them.
    fn samples(&self, what: &str, container: &str, pods: &[Arc<Value>]) -> Result<BTreeMap<String, Sample>, String> {
        let mut samples = BTreeMap::new();
        for pod in pods {
            let measured = self.runtime.usage(object::uid(pod));
            let Some(at) = measured.iter().map(|usage| usage.at).max() else { continue };
            let counted: Vec<_> = measured.iter().filter(|of| container.is_empty() || of.container == container).collect();
            let (name, namespace) = (object::name(pod), object::namespace(pod));
            if counted.is_empty() {
                return Err(format!(
                    "unable to get metrics for resource {what}: failed to get container metrics: container {container} not present in metrics for pod {namespace}/{name}"
                ));
            }
            let used = counted.iter().map(|of| if what == "cpu" { of.cpu_cores } else { of.memory_bytes }).sum::<f64>();
            samples.insert(name.to_owned(), Sample { milli: (used * 1000.0).ceil() as i64, at });
        }
        if samples.is_empty() {
            return Err(format!("unable to get metrics for resource {what}: no metrics returned from resource metrics API"));
        }
        Ok(samples)
    }
}

const NO_CUSTOM: &str =
    "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";

/// `--horizontal-pod-autoscaler-tolerance`, or what `spec.behavior` says instead.
fn tolerance(behavior: &Value) -> Tolerance {
    let of = |direction: &str| {
        let own = object::at(behavior, &format!("/{direction}/tolerance"));
        if own.is_null() { 0.1 } else { quantity::parse(own) }
    };
    Tolerance { down: of("scaleDown"), up: of("scaleUp") }
}
