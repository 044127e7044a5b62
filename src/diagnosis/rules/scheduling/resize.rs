//! `insufficient-resource`: a resize in place that does not fit the node.

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pods;
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static RESIZE: Rule = Rule {
    name: "pod-resize",
    causes: &[CauseId("insufficient-resource")],
    doc: "\
What it detects
  A pod whose resources were changed in place, and whose node cannot give them: never (Infeasible), not now (Deferred), or with an
  error.
Reads
  Conditions PodResizePending (reason Deferred or Infeasible) and PodResizeInProgress (reason Error).
Source
  pkg/kubelet/kuberuntime/kuberuntime_manager.go, pkg/kubelet/allocation; since 1.27, with conditions since 1.33.
Look-alikes
  A resize takes some seconds, and one that is deferred may fit when another pod leaves: it counts after ten minutes.
Fixes
  Ask for less, or let the pod be scheduled anew.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

const DEFERRED: TimeDelta = TimeDelta::minutes(10);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pod.is_finished() {
        return;
    }
    let pending = pod.condition("PodResizePending").filter(|c| c.is_true());
    let failing = pod.condition("PodResizeInProgress").filter(|c| c.is_true() && c.reason() == "Error");
    let Some(condition) = pending.or(failing) else { return };
    let patience = if condition.reason() == "Infeasible" { TimeDelta::zero() } else { DEFERRED };
    let due = condition.last_transition_time.map_or(facts.now, |t| t + patience);
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    let how = match condition.reason() {
        "Infeasible" => "never fits the node",
        "Deferred" => "does not fit the node now",
        _ => "fails",
    };
    out.findings.push(
        Draft::pod(facts, "insufficient-resource", pod)
            .says(format!("its resize in place {how}: {}", condition.message().trim_end_matches('.').replace('\n', " ")))
            .severity(Severity::Warning)
            .because(draft::condition(draft::pod_ref(pod), condition))
            .not("scheduling: the pod runs, with its old resources")
            .since(condition.last_transition_time)
            .done(),
    );
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let pod = facts.snapshot.pods.named(&finding.subject.namespace, &finding.subject.name);
    let mut fixes = Vec::new();
    if let Some(node) = pod.and_then(|p| p.node_name.as_deref()) {
        fixes.push(describe(&ObjectRef::new("Node", "", node), "what its pods request, and what there is"));
    }
    fixes.push(fix(
        "Have the pod scheduled anew",
        kubectl(&finding.subject.namespace, format!("delete pod {}", quoted(&finding.subject.name))),
        Risk::Disruptive,
        "its replacement asks for the resources of the template and may go to another node",
    ));
    fixes
}
