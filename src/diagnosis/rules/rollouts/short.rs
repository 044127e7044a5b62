//! `rollout-stuck` for what has no deadline of its own: DaemonSets and StatefulSets that stay short of ready pods, DaemonSets that
//! run where they should not. A symptom unless nothing else explains it.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fix, kubectl, quoted, target, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::pods::Pod;
use crate::kinds::workloads::{DaemonSet, StatefulSet};
use crate::kinds::{KindId, Meta, ObjectRef, Row};
use crate::text::Time;

const CAUSES: &[CauseId] = &[CauseId("rollout-stuck")];

/// DaemonSets.
pub static DAEMON_SET: Rule = Rule {
    name: "daemonset-rollout",
    causes: CAUSES,
    doc: "\
What it detects
  A DaemonSet that stays short of ready pods or whose update does not get on, and one that runs on nodes where it should not.
Reads
  status.{desiredNumberScheduled,currentNumberScheduled,numberReady,updatedNumberScheduled,numberMisscheduled}, its pods, event
  FailedDaemonPod.
Source
  pkg/controller/daemon/daemon_controller.go.
Look-alikes
  A pod that has just been replaced, or a node that has just joined: it counts after ten minutes. The pods' own cause and a node
  that is down explain it; then this folds under that.
Fixes
  Find the nodes without a ready pod.
",
    subject: KindId::DaemonSet,
    needs: &[KindId::Pod],
    check: check_daemon_set,
    fixes,
};

/// StatefulSets.
pub static STATEFUL_SET: Rule = Rule {
    name: "statefulset-rollout",
    causes: CAUSES,
    doc: "\
What it detects
  A StatefulSet that stays short of ready pods: with OrderedReady the first ordinal that is not ready holds up all behind it, also
  after a bad template was taken back.
Reads
  spec.replicas, status.{replicas,readyReplicas,currentRevision,updateRevision}, its pods in the order of their ordinals.
Source
  pkg/controller/statefulset/stateful_set_control.go; \"forced rollback\" in the documentation of StatefulSets.
Look-alikes
  Pods are started one after the other: it counts ten minutes after the last one changed. The pod that holds it up usually has a
  cause of its own; then this folds under that.
Fixes
  Repair or delete the pod that holds up the others.
",
    subject: KindId::StatefulSet,
    needs: &[KindId::Pod],
    check: check_stateful_set,
    fixes,
};

/// As long as a Deployment's progress deadline.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);

fn check_daemon_set(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::DaemonSet(set) = row else { return };
    if set.meta.deletion_timestamp.is_some() || !seen(&set.meta, set.status.observed_generation) {
        return;
    }
    let pods: Vec<&Pod> = facts.snapshot.pods.controlled_by(&set.meta.uid).collect();
    let status = &set.status;
    let short = status.number_ready < status.desired_number_scheduled;
    if !short && status.number_misscheduled == 0 {
        return;
    }
    if !waited(facts, &set.meta, &pods, out) {
        return;
    }
    out.findings.push(of_daemon_set(facts, set, &pods, short));
}

fn of_daemon_set(facts: &Facts<'_>, set: &DaemonSet, pods: &[&Pod], short: bool) -> Finding {
    let s = &set.status;
    let counts = format!(
        "{} of {} ready, {} of the newest template, {} where they should not be",
        s.number_ready, s.desired_number_scheduled, s.updated_number_scheduled, s.number_misscheduled
    );
    let unready: Vec<&str> = pods.iter().filter(|p| !p.is_ready()).filter_map(|p| p.node_name.as_deref()).collect();
    let mut says =
        if short { format!("it stays short of ready pods: {counts}") } else { format!("it runs where it should not: {counts}") };
    if let Some(node) = unready.first() {
        says.push_str(&format!("; not ready on node {node}"));
    }
    let events = facts.snapshot.events_of(KindId::DaemonSet, &set.meta);
    let event = events.iter().rev().find(|e| matches!(&*e.reason, "FailedDaemonPod" | "FailedPlacement" | "SelectingAll"));
    let object = ObjectRef::new("DaemonSet", &set.meta.namespace, &set.meta.name);
    let draft = Draft::new(facts, "rollout-stuck", "DaemonSet", &set.meta)
        .says(says)
        .because(draft::quote(object, EvidenceSource::Status, "status", counts, None))
        .because_all(event.map(|e| draft::event(e)))
        .sure(Confidence::Likely)
        .since(newest(pods));
    let draft = if short { draft } else { draft.severity(Severity::Info) };
    draft.derived().done()
}

fn check_stateful_set(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::StatefulSet(set) = row else { return };
    let wanted = set.spec.replicas.unwrap_or(1);
    if set.meta.deletion_timestamp.is_some()
        || !seen(&set.meta, set.status.observed_generation)
        || set.status.ready_replicas >= wanted
    {
        return;
    }
    let mut pods: Vec<&Pod> = facts.snapshot.pods.controlled_by(&set.meta.uid).collect();
    pods.sort_by_key(|p| ordinal(p));
    if !waited(facts, &set.meta, &pods, out) {
        return;
    }
    out.findings.push(of_stateful_set(facts, set, &pods, wanted));
}

fn of_stateful_set(facts: &Facts<'_>, set: &StatefulSet, pods: &[&Pod], wanted: i32) -> Finding {
    let holding = pods.iter().find(|p| !p.is_ready());
    let counts = format!("{} of {wanted} ready, {} created", set.status.ready_replicas, pods.len());
    let says = match holding {
        Some(pod) => format!("it stays short of ready pods ({counts}): {} holds up the rest", pod.meta.name),
        None => format!("it stays short of pods: {counts}"),
    };
    let object = ObjectRef::new("StatefulSet", &set.meta.namespace, &set.meta.name);
    let unready = holding.and_then(|p| Some(draft::condition(draft::pod_ref(p), p.condition("Ready")?)));
    Draft::new(facts, "rollout-stuck", "StatefulSet", &set.meta)
        .says(says)
        .maybe("pod", holding.map(|p| &*p.meta.name))
        .because(draft::quote(object, EvidenceSource::Status, "status", counts, None))
        .because_all(unready)
        .sure(Confidence::Likely)
        .since(newest(pods))
        .derived()
        .done()
}

fn seen(meta: &Meta, observed: Option<i64>) -> bool {
    meta.generation.is_none() || observed >= meta.generation
}

fn ordinal(pod: &Pod) -> usize {
    pod.meta.name.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
}

/// The last time one of its pods was made or turned.
fn newest(pods: &[&Pod]) -> Option<Time> {
    pods.iter()
        .flat_map(|p| [p.meta.creation_timestamp, p.condition("Ready").and_then(|c| c.last_transition_time)])
        .flatten()
        .max()
}

/// True when nothing has moved for as long as a rollout may take.
fn waited(facts: &Facts<'_>, meta: &Meta, pods: &[&Pod], out: &mut Output) -> bool {
    let changed = meta.last_writer().and_then(|w| w.time);
    let Some(last) = newest(pods).max(changed).or(meta.creation_timestamp) else { return true };
    if facts.now < last + PATIENCE {
        out.recheck_at(last + PATIENCE);
        return false;
    }
    true
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let namespace = &workload.namespace;
    let mut fixes = Vec::new();
    if let Some(pod) = finding.facts.get("pod") {
        fixes.push(describe(&ObjectRef::new("Pod", namespace, pod), "why it is not ready"));
        let plain = fix(
            format!("Delete {pod}"),
            kubectl(namespace, format!("delete pod {}", quoted(pod))),
            Risk::Disruptive,
            "it is made anew; after a template was taken back, the pod of the bad revision must be deleted by hand",
        );
        let object = ObjectRef::new("Pod", namespace, pod);
        fixes.push(with_action(plain, Intent::Delete { object, force: false }));
    }
    fixes.push(describe(workload, "counts and events"));
    fixes.push(fix(
        "See how far it is",
        kubectl(namespace, format!("rollout status {} --timeout=5s", target(workload))),
        Risk::Safe,
        "names what the rollout waits for",
    ));
    fixes
}
