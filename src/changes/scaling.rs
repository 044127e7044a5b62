//! Scaling of workloads, read from the Deployment controller's events and from who wrote the `scale` subresource.

use chrono::TimeDelta;

use crate::kinds::{KindId, Meta, ObjectRef};
use crate::snapshot::Snapshot;
use crate::text::{Text, Time};

use super::{Change, ChangeKind, DiffLine};

/// Scaling events of several ReplicaSets within this time belong to a rollout, not to a change of `replicas`.
const ROLLOUT: TimeDelta = TimeDelta::minutes(10);

/// One step of a ReplicaSet, from a `ScalingReplicaSet` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaling {
    /// Which ReplicaSet.
    pub replica_set: Text,
    /// Pods before; older servers do not say.
    pub from: Option<i32>,
    /// Pods after.
    pub to: i32,
    /// When last.
    pub at: Time,
}

/// Steps of a Deployment's ReplicaSets, oldest first.
pub fn scalings(snapshot: &Snapshot, deployment: &ObjectRef) -> Vec<Scaling> {
    let events = snapshot.events_about(deployment).into_iter().filter(|e| &*e.reason == "ScalingReplicaSet");
    events.filter_map(|e| parse(e.text(), e.last_seen()?)).collect()
}

/// `Scaled up replica set x-1 from 0 to 3` (1.27 and later), `Scaled down replica set x-1 to 0 from 3` (1.25, 1.26),
/// `Scaled up replica set x-1 to 3` (before). Source: `pkg/controller/deployment/sync.go`, `scaleReplicaSet`.
fn parse(message: &str, at: Time) -> Option<Scaling> {
    let rest = message.strip_prefix("Scaled up replica set ").or_else(|| message.strip_prefix("Scaled down replica set "))?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let after = |word: &str| words.iter().skip_while(|w| **w != word).nth(1).and_then(|n| n.parse().ok());
    Some(Scaling { replica_set: (*words.first()?).into(), from: after("from"), to: after("to")?, at })
}

/// Changes of the number of replicas of a workload that were not steps of a rollout.
pub fn changes(snapshot: &Snapshot, workload: &ObjectRef) -> Vec<Change> {
    let Some(row) = snapshot.find(workload) else { return Vec::new() };
    let meta = row.meta();
    let mut found = if &*workload.kind == "Deployment" { from_events(snapshot, workload, meta) } else { Vec::new() };
    for writer in meta.writers.iter().filter(|w| w.subresource.as_deref() == Some("scale")) {
        let Some(at) = writer.time else { continue };
        let by = author(snapshot, workload, &writer.manager);
        if let Some(known) = found.iter_mut().find(|c| (c.at - at).abs() <= TimeDelta::seconds(5)) {
            known.by = Some(by);
        } else {
            let replicas = super::replicas(&row).map(|n| n.to_string());
            let line = DiffLine { field: "replicas".to_owned(), old: None, new: replicas };
            found.push(change(workload, at, Some(by), line));
        }
    }
    found
}

fn from_events(snapshot: &Snapshot, workload: &ObjectRef, meta: &Meta) -> Vec<Change> {
    let steps = scalings(snapshot, workload);
    let part_of_rollout = |step: &Scaling| {
        step.from == Some(0) && created_near(snapshot, workload, step)
            || steps.iter().any(|other| other.replica_set != step.replica_set && (other.at - step.at).abs() <= ROLLOUT)
    };
    steps
        .iter()
        .filter(|step| !part_of_rollout(step))
        .map(|step| {
            let by = meta.writers.iter().find(|w| w.time.is_some_and(|t| (t - step.at).abs() <= TimeDelta::seconds(5)));
            let line =
                DiffLine { field: "replicas".to_owned(), old: step.from.map(|n| n.to_string()), new: Some(step.to.to_string()) };
            change(workload, step.at, by.map(|w| w.manager.to_string()), line)
        })
        .collect()
}

/// The first step of a new ReplicaSet is its rollout.
fn created_near(snapshot: &Snapshot, workload: &ObjectRef, step: &Scaling) -> bool {
    let created = snapshot.replica_sets.named(&workload.namespace, &step.replica_set).and_then(|rs| rs.meta.creation_timestamp);
    created.is_none_or(|created| (created - step.at).abs() <= ROLLOUT)
}

fn change(workload: &ObjectRef, at: Time, by: Option<String>, line: DiffLine) -> Change {
    Change {
        kind: ChangeKind::Scale,
        object: workload.clone(),
        at,
        by,
        revision: None,
        previous_revision: None,
        diff: vec![line],
    }
}

/// The controller manager writes `scale` only for an autoscaler.
fn author(snapshot: &Snapshot, workload: &ObjectRef, manager: &str) -> String {
    match super::autoscaler_of(snapshot, workload) {
        Some(name) if manager == "kube-controller-manager" => {
            format!("{}/{name}", KindId::HorizontalPodAutoscaler.name().to_lowercase())
        }
        _ => manager.to_owned(),
    }
}
