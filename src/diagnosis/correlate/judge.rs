//! How bad an incident is, and which comes first.

use std::cmp::Reverse;

use super::{Group, Ranked};
use crate::changes::replicas;
use crate::diagnosis::cause::Severity;
use crate::diagnosis::incident::{BlastRadius, Incident};
use crate::kinds::{ObjectRef, Row};
use crate::snapshot::Snapshot;

/// The cause's severity, raised when a workload has no ready pod or a Service no endpoint left, lowered when every pod of a
/// workload that fails never started while others serve (a scale-up that waits; not a broken rollout).
pub(super) fn severity(
    snapshot: &Snapshot,
    group: &Group<'_>,
    base: Severity,
    blast: &BlastRadius,
    regression: bool,
) -> Severity {
    let family = group.id.cause.cause().map_or("", |c| c.family);
    if base == Severity::Info || family == "Terminating" || !group.members.iter().any(|f| is_pod_trouble(&f.finding.subject)) {
        return base;
    }
    if !blast.services_without_endpoints.is_empty() || group.workloads().any(|w| is_down(snapshot, w)) {
        return Severity::Critical;
    }
    let waiting = group.members.iter().all(|f| never_started(snapshot, &f.finding.subject));
    if base == Severity::Critical && waiting && !regression && blast.pods_ready > 0 {
        return Severity::Warning;
    }
    base
}

/// Findings about autoscalers, budgets, claims say nothing about whether pods serve.
fn is_pod_trouble(subject: &ObjectRef) -> bool {
    matches!(&*subject.kind, "Pod" | "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Service")
}

/// True for a workload that wants pods and has no ready one.
fn is_down(snapshot: &Snapshot, workload: &ObjectRef) -> bool {
    let Some(row) = snapshot.find(workload) else { return false };
    match &row {
        Row::Deployment(d) => replicas(&row).unwrap_or(1) > 0 && d.status.ready_replicas == 0,
        Row::StatefulSet(s) => replicas(&row).unwrap_or(1) > 0 && s.status.ready_replicas == 0,
        Row::ReplicaSet(r) => replicas(&row).unwrap_or(1) > 0 && r.status.ready_replicas == 0,
        Row::DaemonSet(d) => d.status.desired_number_scheduled > 0 && d.status.number_ready == 0,
        _ => false,
    }
}

fn never_started(snapshot: &Snapshot, subject: &ObjectRef) -> bool {
    match &*subject.kind {
        "Pod" => {
            let pod = snapshot.pods.named(&subject.namespace, &subject.name);
            pod.is_none_or(|pod| &*pod.status.phase == "Pending" && pod.restarts() == 0)
        }
        // A set that cannot create pods.
        "ReplicaSet" | "Deployment" | "StatefulSet" => true,
        _ => false,
    }
}

/// How many of its workloads want pods and have no ready one.
pub(super) fn count_down(snapshot: &Snapshot, incident: &Incident) -> usize {
    incident.workloads.iter().filter(|workload| is_down(snapshot, workload)).count()
}

/// Worst first: severity, Services down, workloads without a ready pod, how many workloads and pods, newest, then by name.
pub(super) fn rank(incidents: &mut [Ranked]) {
    let place = |ranked: &Ranked| {
        let i = &ranked.incident;
        let blast = (i.blast.services_without_endpoints.len(), ranked.down, i.workloads.len(), i.blast.pods);
        (Reverse(i.severity), Reverse(blast), Reverse(i.since))
    };
    incidents.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.incident.id.cmp(&b.incident.id)));
}
