//! Pods a node threw out or refused: `evicted-*`, `preempted`, `pod-rejected-by-node`.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{edit, fact, fix, kubectl, quoted, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::nodes::condition;
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static EVICTED: Rule = Rule {
    name: "evicted",
    causes: &[
        CauseId("evicted-storage"),
        CauseId("evicted-node-pressure"),
        CauseId("preempted"),
        CauseId("pod-rejected-by-node"),
        CauseId("node-not-ready"),
        CauseId("node-pressure"),
    ],
    doc: "\
What it detects
  A failed pod that a node evicted (its own storage limit, or the node ran short), refused at admission, or gave up for a pod of
  higher priority.
Reads
  status.{phase,reason,message}, condition DisruptionTarget, event Preempted.
Source
  pkg/kubelet/eviction/helpers.go; pkg/kubelet/lifecycle/predicate.go; pkg/kubelet/preemption; pkg/kubelet/nodeshutdown.
Look-alikes
  The evicted pod is the victim, seldom the offender. Such pods never restart in place: their controller makes new ones, so an old
  one whose workload is complete again is history.
Fixes
  Raise the pod's own limit, set requests so that others are evicted first, delete the leftovers.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

/// The pod's own storage limits.
pub static OWN_LIMIT: Pattern = Pattern::new(
    r"ephemeral local storage usage exceeds the total limit|exceeded its local ephemeral storage limit|Usage of EmptyDir volume",
);
static RESOURCE: Pattern = Pattern::new(r"low on resource: ([\w-]+)|had condition: \[([^\]]*)\]");

/// Admission reasons of the kubelet.
const REJECTED: &[&str] = &[
    "NodeAffinity",
    "NodeName",
    "NodePorts",
    "TaintToleration",
    "UnexpectedAdmissionError",
    "TopologyAffinityError",
    "SysctlForbidden",
    "AppArmor",
    "PodOSNotSupported",
    "PodOSSelectorNodeLabelDoesNotMatch",
    "InvalidNodeInfo",
    "PodFeatureUnsupported",
    "PodLevelResourcesNotSupported",
    "SupplementalGroupsPolicyNotSupported",
    "VolumeAttachmentLimitExceeded",
    "UnknownReason",
    "UnexpectedPredicateFailureType",
    "InitContainerRestartPolicyForbidden",
    "NodeSelectorMismatching",
];

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Pod(pod) = row else { return };
    if &*pod.status.phase != "Failed" || pod.meta.deletion_timestamp.is_some() || recovered(facts, pod) {
        return;
    }
    let (reason, message) = (pod.status.reason.as_deref().unwrap_or_default(), pod.status.message.as_deref().unwrap_or_default());
    let node = pod.node_name.as_deref().unwrap_or("(none)");
    let (cause, says) = match reason {
        "Evicted" if OWN_LIMIT.is_match(message) => {
            ("evicted-storage", "the pod used more local storage than its own limit and was evicted".to_owned())
        }
        // What the node still suffers of is the matter; its evictions are what it costs. A pod that nobody makes anew is one of its own.
        "Evicted" => (
            if under_pressure(facts, node) && pod.meta.controller().is_some() {
                "node-pressure"
            } else {
                "evicted-node-pressure"
            },
            format!(
                "the pod was evicted because node {node} ran short of {}",
                RESOURCE.first_group(message).unwrap_or("a resource")
            ),
        ),
        "Preempting" => ("preempted", format!("the pod was removed from node {node} for a critical pod")),
        "Terminated" | "NodeShutdown" => ("node-not-ready", format!("node {node} was shut down")),
        r if r.starts_with("OutOf") || REJECTED.contains(&r) || message.starts_with("Pod was rejected") => {
            ("pod-rejected-by-node", format!("node {node} refused the pod: {}", message.trim_start_matches("Pod was rejected: ")))
        }
        _ => return,
    };
    let mut draft = Draft::pod(facts, cause, pod)
        .says(says)
        .fact("node", node)
        .because(draft::pod_status(pod, "status.reason", reason, None))
        .because(draft::pod_status(pod, "status.message", message, None))
        .since(
            pod.condition("DisruptionTarget")
                .or_else(|| pod.condition("Ready"))
                .and_then(|c| c.last_transition_time)
                .or(pod.status.start_time),
        );
    if cause == "node-pressure" {
        draft = draft.sure(Confidence::Likely);
    }
    if matches!(cause, "node-pressure" | "evicted-node-pressure" | "node-not-ready" | "pod-rejected-by-node") {
        draft = draft.rooted_in("Node", "", node);
    }
    if let Some(target) = pod.condition("DisruptionTarget") {
        draft = draft.because(draft::condition(draft::pod_ref(pod), target));
    }
    out.findings.push(draft.done());
}

/// The workload has all the ready pods it wants again, and the eviction is not fresh: a leftover, not an incident.
fn recovered(facts: &Facts<'_>, pod: &Pod) -> bool {
    let workload = facts.snapshot.workload_of(pod);
    let complete = match facts.snapshot.find(&workload) {
        Some(Row::Deployment(d)) => d.status.ready_replicas >= d.spec.replicas.unwrap_or(1),
        Some(Row::StatefulSet(s)) => s.status.ready_replicas >= s.spec.replicas.unwrap_or(1),
        Some(Row::DaemonSet(d)) => d.status.number_ready >= d.status.desired_number_scheduled,
        Some(Row::ReplicaSet(r)) => r.status.ready_replicas >= r.spec.replicas.unwrap_or(1),
        Some(Row::Job(j)) => j.status.completion_time.is_some(),
        _ => false,
    };
    let at = pod.condition("DisruptionTarget").and_then(|c| c.last_transition_time).or(pod.status.start_time);
    complete && at.is_none_or(|t| t + TimeDelta::minutes(10) < facts.now)
}

fn under_pressure(facts: &Facts<'_>, node: &str) -> bool {
    facts.snapshot.nodes.named("", node).and_then(|n| condition::trouble(n)) == Some("node-pressure")
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let namespace = &finding.subject.namespace;
    let mut fixes = Vec::new();
    match finding.cause.0 {
        "evicted-storage" => fixes.push(edit(
            finding,
            "Raise its ephemeral-storage limit or sizeLimit",
            "a new pod of the same template will be evicted again",
        )),
        "evicted-node-pressure" => fixes.push(edit(
            finding,
            "Set requests that match its use",
            format!("pods above their requests are evicted first on {}", fact(finding, "node")),
        )),
        _ => {}
    }
    if &*finding.workload.kind == "Pod" {
        let command = kubectl(namespace, format!("delete pod {}", quoted(&finding.subject.name)));
        fixes.push(fix(
            "Delete the failed pod",
            command,
            Risk::Disruptive,
            "nothing owns it: it must be created anew by hand once it fits",
        ));
        return fixes;
    }
    fixes.extend(delete_leftovers(facts, finding));
    fixes
}

/// Deletes what has failed of the workload's pods. A Job counts them, and their logs say why it failed: its own are left alone.
fn delete_leftovers(facts: &Facts<'_>, finding: &Finding) -> Option<Fix> {
    let (namespace, workload) = (&finding.subject.namespace, &finding.workload);
    let pods = facts.snapshot.pods_of(workload);
    let failed = pods.iter().filter(|pod| &*pod.status.phase == "Failed" && pod.meta.deletion_timestamp.is_none());
    let names: Vec<&str> = failed.map(|pod| &*pod.meta.name).take(AT_ONCE).collect();
    if names.is_empty() || &*workload.kind == "Job" {
        return None;
    }
    let words: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let plain = fix(
        if names.len() == 1 {
            "Delete the failed leftover".to_owned()
        } else {
            format!("Delete {} failed leftovers", names.len())
        },
        kubectl(namespace, format!("delete pod {}", words.join(" "))),
        Risk::Safe,
        "they never run again, and their controller has made new pods",
    );
    let mut each: Vec<Intent> =
        names.iter().map(|name| Intent::Delete { object: ObjectRef::new("Pod", namespace, name), force: false }).collect();
    let action = if each.len() == 1 { each.pop()? } else { Intent::Several(each) };
    Some(with_action(plain, action))
}

/// Leftovers deleted with one key.
const AT_ONCE: usize = 20;
