//! Usage in a bundle: the kubelet's `/stats/summary`, `/metrics/resource` and `/metrics/cadvisor`, or `PodMetrics` of
//! metrics.k8s.io.

use std::io::BufRead;

use serde_json::Value;

use super::{Bundle, times};
use crate::cluster::metrics::exposition::{self, Sample, Throttling};
use crate::snapshot::UsageKey;
use crate::text::quantity;

/// Takes the samples of a kubelet summary or of one `PodMetrics`. False when `value` is neither.
pub(super) fn take(bundle: &mut Bundle, value: &Value) -> bool {
    if value.get("node").is_some() && value.pointer("/pods").is_some_and(Value::is_array) {
        for pod in array(value, "pods") {
            summary_pod(bundle, pod);
        }
        return true;
    }
    take_item(bundle, value.get("kind").and_then(Value::as_str).unwrap_or_default(), value)
}

/// Takes one object of that kind. False when it holds no usage.
pub(super) fn take_item(bundle: &mut Bundle, kind: &str, value: &Value) -> bool {
    if kind == "PodMetrics" {
        metrics_pod(bundle, value);
    }
    kind == "PodMetrics"
}

fn array<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn key(pod: &Value, meta: &str, container: &Value) -> UsageKey {
    UsageKey {
        namespace: text(pod, &format!("/{meta}/namespace")).into(),
        pod: text(pod, &format!("/{meta}/name")).into(),
        container: text(container, "/name").into(),
    }
}

fn summary_pod(bundle: &mut Bundle, pod: &Value) {
    for container in array(pod, "containers") {
        let number = |pointer: &str| container.pointer(pointer).and_then(Value::as_f64);
        let (Some(memory), Some(at)) = (number("/memory/workingSetBytes"), times::parse(text(container, "/memory/time"))) else {
            continue;
        };
        let cpu = number("/cpu/usageNanoCores").unwrap_or_default() / 1e9;
        let key = key(pod, "podRef", container);
        // Everything but anonymous memory; cAdvisor's metrics say it more exactly.
        if let Some(resident) = number("/memory/rssBytes") {
            bundle.page_cache.entry(key.clone()).or_insert((memory - resident).max(0.0));
        }
        bundle.usage.insert(key, (at, cpu, memory));
    }
}

fn metrics_pod(bundle: &mut Bundle, pod: &Value) {
    let Some(at) = times::parse(text(pod, "/timestamp")) else { return };
    for container in array(pod, "containers") {
        let amount = |pointer: &str| quantity(text(container, pointer));
        if let (Some(cpu), Some(memory)) = (amount("/usage/cpu"), amount("/usage/memory")) {
            bundle.usage.insert(key(pod, "metadata", container), (at, cpu, memory));
        }
    }
}

/// Takes the memory of containers and their CPU throttling out of a kubelet's metrics. CPU is a counter there, which a single
/// look cannot turn into cores: only memory counts, and what a summary says counts more. False when there is neither.
pub(super) fn take_exposition(bundle: &mut Bundle, content: &mut dyn BufRead) -> bool {
    let mut counters = Throttling::default();
    let mut known = false;
    for line in content.lines().map_while(Result::ok) {
        let line = line.as_str();
        counters.line(line, |_| true);
        match exposition::parse(line) {
            Some(Sample::Memory(key, bytes)) if !key.container.is_empty() => {
                if let Some(at) = stamp(line) {
                    known = true;
                    bundle.usage.entry(key).or_insert((at, 0.0, bytes));
                }
            }
            Some(Sample::ActiveFile(key, bytes)) if !key.container.is_empty() => {
                bundle.page_cache.insert(key, bytes);
            }
            _ => {}
        }
        if line.starts_with("container_cpu_cfs_periods_total") {
            known = true;
            bundle.throttled_at = bundle.throttled_at.max(stamp(line));
        }
    }
    bundle.throttling.extend(counters.samples().into_iter().map(|(key, periods, throttled)| (key, (periods, throttled))));
    known
}

/// The time stamp behind a value, in milliseconds.
fn stamp(line: &str) -> Option<crate::text::Time> {
    let millis = line.rsplit_once('}')?.1.split_whitespace().nth(1)?.parse().ok()?;
    chrono::DateTime::from_timestamp_millis(millis)
}
