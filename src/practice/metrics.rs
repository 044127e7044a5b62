//! Resource use: `metrics.k8s.io/v1beta1`, and the kubelet's `/metrics/resource` through the node proxy.

use std::fmt::Write;

use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::api::{Api, Call};
use super::clock::timestamp;
use super::json::{at, items, set, text};
use super::list::namespace_of;
use super::load;
use super::reply;
use super::request::Format;
use super::resources::{NODES, PODS};
use super::runtime::Usage;
use super::selectors::Selector;
use super::status::Status;
use super::table::Include;

/// What a node uses besides its pods: kubelet, runtime, kernel.
const NODE_OVERHEAD: (f64, f64) = (0.06, 420.0 * 1024.0 * 1024.0);

/// Serves pod and node metrics; 404 for what has no sample yet, as metrics-server answers.
pub fn serve(api: &Api, call: &Call<'_>) -> Result<Response, Status> {
    let target = call.target;
    let selector = Selector::parse(&PODS, call.query)?;
    let now = api.clock.now();
    let of_pods = target.resource.plural == "pods";
    let measured: Vec<Value> = if of_pods {
        let pods = api.store.list(&PODS, namespace_of(target));
        let mut measured: Vec<Value> =
            pods.iter().filter(|pod| selector.matches(&PODS, pod)).filter_map(|pod| pod_metrics(api, pod)).collect();
        if selector.is_everything() {
            measured.extend(load::usage(&api.store, namespace_of(target), now));
        }
        measured
    } else {
        let nodes = api.store.list(&NODES, None);
        nodes.iter().filter(|node| selector.matches(&NODES, node)).filter_map(|node| node_metrics(api, node, now)).collect()
    };
    if call.shape.format == Format::Table {
        let named = |metrics: &&Value| target.name.is_empty() || text(metrics, "metadata.name") == target.name;
        let shown: Vec<&Value> = measured.iter().filter(named).collect();
        if shown.is_empty() && !target.name.is_empty() {
            return Err(Status::not_found(target.resource, &target.name));
        }
        return Ok(reply::json_value(200, &table_of(&shown, call)));
    }
    if target.name.is_empty() {
        let list = json!({"kind": format!("{}List", target.resource.kind), "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": {}, "items": measured});
        return Ok(reply::json_value(200, &list));
    }
    let one = measured.into_iter().find(|metrics| text(metrics, "metadata.name") == target.name);
    let mut one = one.ok_or_else(|| Status::not_found(target.resource, &target.name))?;
    set(&mut one, "kind", target.resource.kind);
    set(&mut one, "apiVersion", "metrics.k8s.io/v1beta1");
    Ok(reply::json_value(200, &one))
}

/// The rows of metrics-server (`pkg/api/table.go`): the name, each resource, the window; no columns without a row.
fn table_of(measured: &[&Value], call: &Call<'_>) -> Value {
    let column =
        |name: &str, format: &str| json!({"name": name, "type": "string", "format": format, "description": "", "priority": 0});
    let columns = match measured {
        [] => Vec::new(),
        _ => vec![column("Name", "name"), column("cpu", "quantity"), column("memory", "quantity"), column("Window", "duration")],
    };
    let rows: Vec<Value> = measured
        .iter()
        .map(|metrics| {
            let containers = items(metrics, "containers");
            let used = |what: &str| match containers {
                [] => text(metrics, &format!("usage.{what}")).to_owned(),
                _ => total(containers, what),
            };
            let mut row =
                json!({"cells": [text(metrics, "metadata.name"), used("cpu"), used("memory"), text(metrics, "window")]});
            match call.shape.include {
                Include::Metadata => set(&mut row, "object", reply::metadata_only(metrics)),
                Include::Object => set(&mut row, "object", (*metrics).clone()),
                Include::None => {}
            }
            row
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": columns, "rows": rows})
}

/// The containers' use together, in the unit each of them has.
fn total(containers: &[Value], what: &str) -> String {
    let written = || containers.iter().map(|container| text(container, &format!("usage.{what}")));
    let unit: String = written().next().unwrap_or_default().chars().filter(|character| !character.is_ascii_digit()).collect();
    let sum: u64 = written().filter_map(|amount| amount.trim_end_matches(&unit).parse::<u64>().ok()).sum();
    format!("{sum}{unit}")
}

fn pod_metrics(api: &Api, pod: &Value) -> Option<Value> {
    let usage = api.runtime.usage(text(pod, "metadata.uid"));
    let newest = usage.iter().map(|usage| usage.at).max()?;
    let containers: Vec<Value> = usage
        .iter()
        .map(|usage| json!({"name": usage.container, "usage": quantities(usage.cpu_cores, usage.memory_bytes)}))
        .collect();
    Some(json!({
        "metadata": {"name": text(pod, "metadata.name"), "namespace": text(pod, "metadata.namespace"),
            "creationTimestamp": timestamp(newest), "labels": at(pod, "metadata.labels")},
        "timestamp": timestamp(newest), "window": "15.02s", "containers": containers,
    }))
}

fn node_metrics(api: &Api, node: &Value, now: DateTime<Utc>) -> Option<Value> {
    let ready = items(node, "status.conditions")
        .iter()
        .any(|condition| text(condition, "type") == "Ready" && text(condition, "status") != "Unknown");
    if !ready {
        return None;
    }
    let usages = usages_on(api, text(node, "metadata.name"));
    let all = usages.iter().flat_map(|(_, usages)| usages);
    let (cpu, memory) = all.fold(NODE_OVERHEAD, |(cpu, memory), usage| (cpu + usage.cpu_cores, memory + usage.memory_bytes));
    Some(json!({
        "metadata": {"name": text(node, "metadata.name"), "creationTimestamp": timestamp(now),
            "labels": at(node, "metadata.labels")},
        "timestamp": timestamp(now), "window": "20.06s", "usage": quantities(cpu, memory),
    }))
}

fn quantities(cpu_cores: f64, memory_bytes: f64) -> Value {
    json!({"cpu": format!("{}n", (cpu_cores * 1e9) as u64), "memory": format!("{}Ki", (memory_bytes / 1024.0) as u64)})
}

/// The measured pods of a node, as `(pod, its containers)`.
fn usages_on(api: &Api, node: &str) -> Vec<(std::sync::Arc<Value>, Vec<Usage>)> {
    let pods = api.store.list(&PODS, None);
    let here = pods.into_iter().filter(|pod| text(pod, "spec.nodeName") == node);
    here.map(|pod| {
        let usage = api.runtime.usage(text(&pod, "metadata.uid"));
        (pod, usage)
    })
    .filter(|(_, usage)| !usage.is_empty())
    .collect()
}

/// `nodes/NAME/proxy/...`: the kubelet's own endpoints.
pub fn node_proxy(api: &Api, call: &Call<'_>) -> Result<Response, Status> {
    let target = call.target;
    let name = target.name.split(':').next().unwrap_or_default();
    let node = api.store.get(&NODES, "", name).ok_or_else(|| Status::not_found(&NODES, name))?;
    if node_metrics(api, &node, api.clock.now()).is_none() {
        let mut status = Status::internal(format!("dial tcp {name}:10250: connect: no route to host"));
        (status.code, status.reason) = (503, "ServiceUnavailable");
        return Err(status);
    }
    match target.rest.as_str() {
        "metrics/resource" => Ok(reply::with_type(200, "text/plain; version=0.0.4", prometheus(api, name))),
        "metrics/cadvisor" => Ok(reply::with_type(200, "text/plain; version=0.0.4", cadvisor(api, name))),
        "healthz" => Ok(reply::with_type(200, "text/plain", "ok")),
        _ => Err(Status::unknown_path()),
    }
}

/// The part of `/metrics/cadvisor` that says how often containers were held back at their CPU limit.
fn cadvisor(api: &Api, node: &str) -> String {
    let pods = usages_on(api, node);
    let mut out = String::new();
    let periods: Read = |usage| usage.periods.map_or(0.0, |(all, _)| all);
    let held_back: Read = |usage| usage.periods.map_or(0.0, |(_, held_back)| held_back);
    for (name, help, read) in [
        ("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.", periods),
        ("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.", held_back),
    ] {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
        for (pod, usages) in &pods {
            let (namespace, pod_name, uid) =
                (text(pod, "metadata.namespace"), text(pod, "metadata.name"), text(pod, "metadata.uid"));
            for usage in usages.iter().filter(|usage| usage.periods.is_some()) {
                let labels = format!(
                    "container={:?},id=\"/kubepods/burstable/pod{uid}/{}\",image=\"\",name=\"\",namespace={namespace:?},pod={pod_name:?}",
                    usage.container, usage.container
                );
                sample(&mut out, &format!("{name}{{{labels}}}"), read(usage).round(), usage.at);
            }
        }
    }
    out
}

type Read = fn(&Usage) -> f64;

fn prometheus(api: &Api, node: &str) -> String {
    let now = api.clock.now();
    let pods = usages_on(api, node);
    let mut text_format = String::new();
    let current_seconds: Read = |usage| usage.cpu_seconds;
    let series: [(&str, &str, &str, Read); 2] = [
        (
            "container_cpu_usage_seconds_total",
            "Cumulative cpu time consumed by the container in core-seconds",
            "counter",
            current_seconds,
        ),
        ("container_memory_working_set_bytes", "Current working set of the container in bytes", "gauge", |usage| {
            usage.memory_bytes
        }),
    ];
    for (name, help, kind, read) in series {
        header(&mut text_format, name, help, kind);
        for (pod, usages) in &pods {
            let (namespace, pod_name) = (text(pod, "metadata.namespace"), text(pod, "metadata.name"));
            for usage in usages {
                let labels = format!("container={:?},namespace={namespace:?},pod={pod_name:?}", usage.container);
                sample(&mut text_format, &format!("{name}{{{labels}}}"), read(usage), usage.at);
            }
        }
    }
    let totals = |read: Read| pods.iter().flat_map(|(_, usages)| usages).map(read).sum::<f64>();
    header(
        &mut text_format,
        "node_cpu_usage_seconds_total",
        "Cumulative cpu time consumed by the node in core-seconds",
        "counter",
    );
    let uptime = (now.timestamp() % 1_000_000) as f64 * NODE_OVERHEAD.0;
    sample(&mut text_format, "node_cpu_usage_seconds_total", totals(current_seconds) + uptime, now);
    header(&mut text_format, "node_memory_working_set_bytes", "Current working set of the node in bytes", "gauge");
    sample(&mut text_format, "node_memory_working_set_bytes", totals(|usage| usage.memory_bytes) + NODE_OVERHEAD.1, now);
    for (name, read) in
        [("pod_cpu_usage_seconds_total", current_seconds), ("pod_memory_working_set_bytes", |usage: &Usage| usage.memory_bytes)]
    {
        let kind = if name.ends_with("total") { "counter" } else { "gauge" };
        header(&mut text_format, name, "Use of the pod", kind);
        for (pod, usages) in &pods {
            let (namespace, pod_name) = (text(pod, "metadata.namespace"), text(pod, "metadata.name"));
            let labelled = format!("{name}{{namespace={namespace:?},pod={pod_name:?}}}");
            sample(&mut text_format, &labelled, usages.iter().map(read).sum(), now);
        }
    }
    text_format
}

fn header(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} [STABLE] {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, series: &str, value: f64, at: DateTime<Utc>) {
    let _ = writeln!(out, "{series} {value} {}", at.timestamp_millis());
}
