//! Types that are another form of a stored type: `events.k8s.io/v1` of the core events, `autoscaling/v1` of the `v2` autoscalers,
//! and the further versions of a custom resource.
//!
//! Invariant: the store holds one form only; bodies are converted on their way in, answers on their way out. To add one: a
//! `stored_as` in `resources` and, where more than the version differs, an entry in [`CONVERSIONS`].

use serde_json::{Map, Value, json};

use super::json::{at, integer, items, object_mut, remove, set, text};
use super::resources::{HORIZONTAL_POD_AUTOSCALERS_V1, NEW_EVENTS, ResourceType};

struct Conversion {
    served: &'static ResourceType,
    into_stored: fn(&mut Value),
    into_served: fn(&mut Value),
}

static CONVERSIONS: &[Conversion] = &[
    Conversion { served: &NEW_EVENTS, into_stored: event_in, into_served: event_out },
    Conversion { served: &HORIZONTAL_POD_AUTOSCALERS_V1, into_stored: autoscaler_in, into_served: autoscaler_out },
];

/// Names of an event's fields: core, then `events.k8s.io/v1`.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];
const METRICS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// The stored form of a body sent to a served type.
pub fn to_stored(served: &'static ResourceType, mut body: Value) -> Value {
    if served.stored_as.is_none() {
        return body;
    }
    if let Some(conversion) = conversion(served) {
        (conversion.into_stored)(&mut body);
    }
    name(served.storage(), &mut body);
    body
}

/// The form a served type shows of a stored object.
pub fn to_served(served: &'static ResourceType, stored: &Value) -> Value {
    let mut shown = stored.clone();
    if served.stored_as.is_some() {
        if let Some(conversion) = conversion(served) {
            (conversion.into_served)(&mut shown);
        }
        name(served, &mut shown);
    }
    shown
}

/// The stored name of a field a selector names.
pub fn stored_field(served: &ResourceType, path: &str) -> String {
    if served != &NEW_EVENTS {
        return path.to_owned();
    }
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let core = EVENT_FIELDS.iter().find(|(_, new)| *new == head).map_or(head, |(core, _)| core);
    if rest.is_empty() { core.to_owned() } else { format!("{core}.{rest}") }
}

fn conversion(served: &'static ResourceType) -> Option<&'static Conversion> {
    CONVERSIONS.iter().find(|conversion| std::ptr::eq(conversion.served, served))
}

fn name(resource: &ResourceType, object: &mut Value) {
    set(object, "apiVersion", resource.api_version());
    set(object, "kind", resource.kind);
}

fn rename(object: &mut Value, from: &str, to: &str) {
    if let Some(value) = remove(object, from) {
        set(object, to, value);
    }
}

fn event_in(event: &mut Value) {
    for (core, new) in EVENT_FIELDS {
        rename(event, new, core);
    }
}

fn event_out(event: &mut Value) {
    for (core, new) in EVENT_FIELDS {
        rename(event, core, new);
    }
    if at(event, "eventTime").is_none() {
        set(event, "eventTime", Value::Null);
    }
}

fn autoscaler_in(object: &mut Value) {
    let mut metrics: Vec<Value> = take_annotation(object, METRICS_ANNOTATION);
    if let Some(percentage) = remove(object, "spec.targetCPUUtilizationPercentage").filter(|value| !value.is_null()) {
        let target = json!({"type": "Utilization", "averageUtilization": percentage});
        metrics.insert(0, json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
    }
    if !metrics.is_empty() {
        set(object, "spec.metrics", metrics);
    }
    let mut current: Vec<Value> = take_annotation(object, CURRENT_ANNOTATION);
    if let Some(used) = remove(object, "status.currentCPUUtilizationPercentage").filter(|value| !value.is_null()) {
        current.insert(
            0,
            json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used, "averageValue": "0"}}}),
        );
    }
    if !current.is_empty() {
        set(object, "status.currentMetrics", current);
    }
    let conditions: Vec<Value> = take_annotation(object, CONDITIONS_ANNOTATION);
    if !conditions.is_empty() {
        set(object, "status.conditions", conditions);
    }
}

fn autoscaler_out(object: &mut Value) {
    let is_cpu = |metric: &Value, form: &str| {
        text(metric, "type") == "Resource"
            && text(metric, "resource.name") == "cpu"
            && integer(metric, &format!("resource.{form}.averageUtilization")).is_some()
    };
    let (cpu, others): (Vec<Value>, Vec<Value>) =
        items(object, "spec.metrics").to_vec().into_iter().partition(|metric| is_cpu(metric, "target"));
    remove(object, "spec.metrics");
    remove(object, "spec.behavior");
    if let Some(percentage) = cpu.first().and_then(|metric| integer(metric, "resource.target.averageUtilization")) {
        set(object, "spec.targetCPUUtilizationPercentage", percentage);
    }
    put_annotation(object, METRICS_ANNOTATION, &others);
    let current = items(object, "status.currentMetrics").to_vec();
    remove(object, "status.currentMetrics");
    let used = current.iter().find(|metric| is_cpu(metric, "current"));
    if let Some(used) = used.and_then(|metric| integer(metric, "resource.current.averageUtilization")) {
        set(object, "status.currentCPUUtilizationPercentage", used);
    }
    put_annotation(object, CURRENT_ANNOTATION, &current);
    let conditions = items(object, "status.conditions").to_vec();
    remove(object, "status.conditions");
    put_annotation(object, CONDITIONS_ANNOTATION, &conditions);
}

fn take_annotation(object: &mut Value, key: &str) -> Vec<Value> {
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return Vec::new() };
    let kept = annotations.remove(key);
    kept.and_then(|value| serde_json::from_str(value.as_str()?).ok()).unwrap_or_default()
}

fn put_annotation(object: &mut Value, key: &str, values: &[Value]) {
    if !values.is_empty() {
        let annotations: &mut Map<String, Value> = object_mut(object, "metadata.annotations");
        annotations.insert(key.to_owned(), json!(json!(values).to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::resources::{EVENTS, HORIZONTAL_POD_AUTOSCALERS};

    #[test]
    fn an_event_and_an_autoscaler_survive_the_way_out_and_in() {
        let event = json!({"apiVersion": "v1", "kind": "Event", "message": "m", "involvedObject": {"name": "p"}, "count": 3,
            "source": {"component": "kubelet"}, "reportingComponent": "kubelet", "eventTime": null});
        let shown = to_served(&NEW_EVENTS, &event);
        assert_eq!((&shown["note"], &shown["regarding"]["name"]), (&json!("m"), &json!("p")));
        assert_eq!(to_stored(&NEW_EVENTS, shown), event);
        assert_eq!(stored_field(&NEW_EVENTS, "regarding.kind"), "involvedObject.kind");
        assert_eq!(stored_field(&EVENTS, "involvedObject.kind"), "involvedObject.kind");
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization",
            "averageUtilization": 60}}});
        let memory = json!({"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue",
            "averageValue": "1Gi"}}});
        let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a", "annotations": {}}, "spec": {"maxReplicas": 3, "metrics": [metric, memory]}});
        let shown = to_served(&HORIZONTAL_POD_AUTOSCALERS_V1, &scaler);
        assert_eq!(shown["spec"]["targetCPUUtilizationPercentage"], 60);
        assert_eq!(shown["apiVersion"], "autoscaling/v1");
        assert_eq!(to_stored(&HORIZONTAL_POD_AUTOSCALERS_V1, shown)["spec"], scaler["spec"]);
        assert_eq!(to_served(&HORIZONTAL_POD_AUTOSCALERS, &scaler), scaler);
    }
}
