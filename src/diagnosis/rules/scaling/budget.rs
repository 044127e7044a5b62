//! `disruption-budget-blocks`: a budget that keeps a node from being drained.

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, describe, fact, fix, kubectl, patched, target, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::{Condition, KindId, ObjectRef, Row};

/// The rule.
pub static BUDGET: Rule = Rule {
    name: "disruption-budget",
    causes: &[CauseId("disruption-budget-blocks")],
    doc: "\
What it detects
  A PodDisruptionBudget that allows no disruption while a node with its pods is being drained.
Reads
  status.{disruptionsAllowed,currentHealthy,desiredHealthy,expectedPods}, condition DisruptionAllowed; cordoned nodes; the pods the
  selector matches.
Source
  pkg/registry/core/pod/storage/eviction.go; pkg/controller/disruption.
Look-alikes
  A budget that allows nothing is normal as long as nobody wants to move its pods.
Fixes
  One replica more, a looser budget, or healthy pods.
",
    subject: KindId::PodDisruptionBudget,
    needs: &[KindId::Node],
    check,
    fixes,
};

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::PodDisruptionBudget(budget) = row else { return };
    let status = &budget.status;
    if status.disruptions_allowed > 0 || status.expected_pods == 0 || budget.meta.deletion_timestamp.is_some() {
        return;
    }
    let cordoned = |name: &str| facts.snapshot.nodes.named("", name).is_some_and(|n| n.spec.unschedulable == Some(true));
    let held = facts.snapshot.pods.in_namespace(&budget.meta.namespace).find(|p| {
        !p.is_finished() && budget.spec.selector.matches(&p.meta.labels) && p.node_name.as_deref().is_some_and(cordoned)
    });
    let Some(pod) = held else { return };
    let node = pod.node_name.as_deref().unwrap_or_default();
    let object = ObjectRef::new("PodDisruptionBudget", &budget.meta.namespace, &budget.meta.name);
    let workload = facts.snapshot.workload_of(pod);
    let unhealthy = status.current_healthy < status.desired_healthy;
    let mut draft = Draft::new(facts, "disruption-budget-blocks", "PodDisruptionBudget", &budget.meta)
        .says(format!(
            "it needs {} healthy pods and has {}, so {} cannot be evicted from the cordoned node {node}",
            status.desired_healthy, status.current_healthy, pod.meta.name
        ))
        .fact("workloadKind", &workload.kind)
        .fact("workload", &workload.name)
        .fact("pods", &status.expected_pods.to_string())
        .because(draft::quote(object.clone(), EvidenceSource::Status, "status.disruptionsAllowed", "0", None))
        .because(draft::quote(ObjectRef::new("Node", "", node), EvidenceSource::Spec, "spec.unschedulable", "true", None));
    if let Some(condition) = Condition::find(&status.conditions, "DisruptionAllowed") {
        draft = draft.because(draft::condition(object, condition)).since(condition.last_transition_time);
    }
    if unhealthy {
        draft = draft.derived();
    }
    out.findings.push(draft.done());
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let budget = &finding.subject;
    let workload = ObjectRef::new(fact(finding, "workloadKind"), &budget.namespace, fact(finding, "workload"));
    let mut fixes = Vec::new();
    if let Some(pods) =
        fact(finding, "pods").parse::<i32>().ok().filter(|_| can_roll_out(&workload) && &*workload.kind != "DaemonSet")
    {
        let replicas = pods + 1;
        let command = kubectl(&budget.namespace, format!("scale {} --replicas={replicas}", target(&workload)));
        let plain = fix(
            format!("Scale {workload} to {replicas}"),
            command,
            Risk::Safe,
            "one pod more than the budget needs may then move",
        );
        fixes.push(with_action(plain, Intent::Scale { workload: workload.clone(), replicas }));
    }
    fixes.push(patched(
        "Let one pod be missing",
        budget,
        r#"{"spec":{"maxUnavailable":1,"minAvailable":null}}"#,
        Risk::Disruptive,
        "evictions then go on, one pod at a time: put the budget back when the work on the node is over",
    ));
    fixes.push(describe(budget, "minAvailable or maxUnavailable, and what it counts"));
    fixes
}
