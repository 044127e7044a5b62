//! Pods: the columns of `kubectl get pods -o wide`, and usage.

use super::column::{AGE, Cell, Column, Health, NAME, NAMESPACE, TableSpec, cell, health};
use crate::kinds::KindId;
use crate::kinds::pods::{ContainerStatus, Pod, Terminated};
use crate::snapshot::{Snapshot, UsageKey};
use crate::text::{age, bytes, cores};

/// The table.
pub static TABLE: TableSpec = TableSpec {
    name: "pods",
    aliases: &["po", "pod"],
    kind: KindId::Pod,
    columns: &[
        NAMESPACE,
        NAME,
        Column::new("READY", 5, cell!(Pod, |_s, pod, _now| Cell::ratio(ready(pod), total(pod)))).right(),
        Column::new("STATUS", 16, cell!(Pod, |_s, pod, _now| Cell::text(status(pod)))),
        Column::new("RESTARTS", 8, cell!(Pod, |_s, pod, now| restarts(pod, now))).right(),
        AGE,
        Column::new("CPU", 5, cell!(Pod, |s, pod, _now| usage(s, pod, |sample| sample.1, cores))).right().wide(),
        Column::new("MEMORY", 7, cell!(Pod, |s, pod, _now| usage(s, pod, |sample| sample.2, bytes))).right().wide(),
        Column::new("IP", 11, cell!(Pod, |_s, pod, _now| Cell::or_dash(pod.status.pod_ip.as_ref()))).wide(),
        Column::new("NODE", 8, cell!(Pod, |_s, pod, _now| Cell::or_dash(pod.node_name.as_ref()))).wide().flexible(),
    ],
    sort: ("NAMESPACE", false),
    health: health!(Pod, |pod| health_of(pod)),
};

fn ready(pod: &Pod) -> i32 {
    let up = |c: &&ContainerStatus| c.ready && c.state.running.is_some();
    let sidecars = pod.status.init_container_statuses.iter().filter(|c| is_sidecar(pod, c)).filter(up).count();
    i32::try_from(pod.status.container_statuses.iter().filter(up).count() + sidecars).unwrap_or(i32::MAX)
}

fn total(pod: &Pod) -> i32 {
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always")).count();
    i32::try_from(pod.spec.containers.len() + sidecars).unwrap_or(i32::MAX)
}

fn is_sidecar(pod: &Pod, status: &ContainerStatus) -> bool {
    pod.spec.init_containers.iter().any(|c| c.name == status.name && c.restart_policy.as_deref() == Some("Always"))
}

fn restarts(pod: &Pod, now: crate::text::Time) -> Cell {
    let count = pod.restarts();
    let last = pod.containers().filter_map(|c| c.status.last_state.terminated.as_deref()?.finished_at).max();
    match last.filter(|_| count > 0) {
        Some(last) => Cell::sorted(format!("{count} ({} ago)", age(last, now)), f64::from(count)),
        None => Cell::count(count),
    }
}

/// The `STATUS` column of `kubectl get pods`; the rules are those of its printer (`printPod`).
pub fn status(pod: &Pod) -> String {
    let lost = pod.status.reason.as_deref() == Some("NodeLost");
    if pod.meta.deletion_timestamp.is_some() {
        if lost {
            return "Unknown".to_owned();
        }
        if !pod.is_finished() {
            return "Terminating".to_owned();
        }
    }
    init_status(pod).unwrap_or_else(|| main_status(pod))
}

/// What the init containers hold the pod up with; `None` when they are done.
fn init_status(pod: &Pod) -> Option<String> {
    for (index, status) in pod.status.init_container_statuses.iter().enumerate() {
        if let Some(ended) = &status.state.terminated {
            if ended.exit_code == 0 {
                continue;
            }
            return Some(format!("Init:{}", end(ended)));
        }
        if is_sidecar(pod, status) && status.started == Some(true) {
            continue;
        }
        let waiting = status.state.waiting.as_ref().and_then(|w| w.reason.as_deref());
        return Some(match waiting.filter(|reason| !reason.is_empty() && *reason != "PodInitializing") {
            Some(reason) => format!("Init:{reason}"),
            None => format!("Init:{index}/{}", pod.spec.init_containers.len()),
        });
    }
    None
}

fn main_status(pod: &Pod) -> String {
    let gated = pod.condition("PodScheduled").is_some_and(|c| c.reason() == "SchedulingGated");
    let mut reason = match pod.status.reason.as_deref().filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.to_owned(),
        None if gated => "SchedulingGated".to_owned(),
        None => pod.status.phase.to_string(),
    };
    let mut running = false;
    for status in pod.status.container_statuses.iter().rev() {
        let waiting = status.state.waiting.as_ref().and_then(|w| w.reason.as_deref()).filter(|r| !r.is_empty());
        if let Some(waiting) = waiting {
            waiting.clone_into(&mut reason);
        } else if let Some(ended) = &status.state.terminated {
            reason = end(ended);
        } else if status.ready && status.state.running.is_some() {
            running = true;
        }
    }
    if reason == "Completed" && running {
        return if pod.is_ready() { "Running" } else { "NotReady" }.to_owned();
    }
    reason
}

fn end(ended: &Terminated) -> String {
    match (ended.reason.as_deref().filter(|r| !r.is_empty()), ended.signal.unwrap_or(0)) {
        (Some(reason), _) => reason.to_owned(),
        (None, 0) => format!("ExitCode:{}", ended.exit_code),
        (None, signal) => format!("Signal:{signal}"),
    }
}

/// Sum over the containers of the newest samples; `-` where nothing is measured.
fn usage(snapshot: &Snapshot, pod: &Pod, part: fn((crate::text::Time, f64, f64)) -> f64, show: fn(f64) -> String) -> Cell {
    let samples = pod.spec.containers.iter().filter_map(|container| {
        let key =
            UsageKey { namespace: pod.meta.namespace.clone(), pod: pod.meta.name.clone(), container: container.name.clone() };
        snapshot.usage.get(&key)?.last().map(part)
    });
    let samples: Vec<f64> = samples.collect();
    if samples.is_empty() {
        return Cell::sorted("-", -1.0);
    }
    let sum = samples.iter().sum();
    Cell::sorted(show(sum), sum)
}

fn health_of(pod: &Pod) -> Health {
    match &*pod.status.phase {
        _ if pod.meta.deletion_timestamp.is_some() => Health::Warning,
        "Succeeded" => Health::Done,
        "Failed" => Health::Broken,
        _ if pod.is_ready() => Health::Healthy,
        _ => match status(pod).as_str() {
            "Running" | "Pending" | "ContainerCreating" | "PodInitializing" | "NotReady" => Health::Warning,
            other if other.starts_with("Init:") && other.contains('/') => Health::Warning,
            _ => Health::Broken,
        },
    }
}
