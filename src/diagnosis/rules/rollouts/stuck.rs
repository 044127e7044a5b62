//! `rollout-stuck` (a symptom unless nothing else explains it) and `rollout-paused`.

use chrono::TimeDelta;

use crate::actions::{Intent, Patch};
use crate::changes;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fix, kubectl, target, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::workloads::Deployment;
use crate::kinds::{Condition, KindId, ObjectRef, Row};
use crate::text;

/// The rule.
pub static ROLLOUT: Rule = Rule {
    name: "rollout",
    causes: &[CauseId("rollout-stuck"), CauseId("rollout-paused")],
    doc: "\
What it detects
  A Deployment whose rollout made no progress within its deadline, or that was paused with a change pending and forgotten.
Reads
  status.conditions[Progressing] with reason ProgressDeadlineExceeded or DeploymentPaused, status.{updated,ready,}replicas,
  spec.paused, metadata.generation against status.observedGeneration.
Source
  pkg/controller/deployment/progress.go.
Look-alikes
  A rollout still inside its deadline is progressing. The condition is a consequence: the new pods' own cause explains it, and this
  finding folds under that.
Fixes
  Undo the rollout, or resume it.
",
    subject: KindId::Deployment,
    needs: &[],
    check,
    fixes,
};

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Deployment(d) = row else { return };
    if d.meta.deletion_timestamp.is_some() || d.spec.replicas == Some(0) {
        return;
    }
    let object = ObjectRef::new("Deployment", &d.meta.namespace, &d.meta.name);
    let Some(progressing) = Condition::find(&d.status.conditions, "Progressing") else { return };
    if d.spec.paused == Some(true) {
        paused(facts, d, progressing, out);
        return;
    }
    let seen = d.meta.generation.is_none() || d.status.observed_generation >= d.meta.generation;
    if progressing.reason() != "ProgressDeadlineExceeded" || !seen {
        return;
    }
    let wanted = d.spec.replicas.unwrap_or(1);
    let status = &d.status;
    let counts = format!(
        "{} of {wanted} updated, {} ready, {} unavailable",
        status.updated_replicas, status.ready_replicas, status.unavailable_replicas
    );
    out.findings.push(
        Draft::new(facts, "rollout-stuck", "Deployment", &d.meta)
            .says(format!("the rollout made no progress within its deadline: {counts}"))
            .because(draft::condition(object.clone(), progressing))
            .because(draft::quote(object, EvidenceSource::Status, "status", counts, None))
            .since(progressing.last_transition_time)
            .derived()
            .done(),
    );
}

/// A pause counts as forgotten after an hour, when a change waits behind it.
fn paused(facts: &Facts<'_>, d: &Deployment, progressing: &Condition, out: &mut Output) {
    let wanted = d.spec.replicas.unwrap_or(1);
    let is_pending = d.status.updated_replicas < wanted;
    let since = if progressing.reason() == "DeploymentPaused" {
        progressing.last_update_time.or(progressing.last_transition_time)
    } else {
        None
    };
    let due = since.map_or(facts.now, |s| s + TimeDelta::hours(1));
    if !is_pending {
        return;
    }
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    let object = ObjectRef::new("Deployment", &d.meta.namespace, &d.meta.name);
    let since_when = since.map(|s| format!(", since {}", text::moment(s, facts.now))).unwrap_or_default();
    out.findings.push(
        Draft::new(facts, "rollout-paused", "Deployment", &d.meta)
            .says(format!(
                "paused with a change pending: {} of {wanted} pods are of the newest template{since_when}",
                d.status.updated_replicas
            ))
            .sure(Confidence::Likely)
            .because(draft::quote(object.clone(), EvidenceSource::Spec, "spec.paused", "true", None))
            .because(draft::condition(object, progressing))
            .since(since)
            .done(),
    );
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let namespace = &workload.namespace;
    if finding.cause.0 == "rollout-paused" {
        let command = kubectl(namespace, format!("rollout resume {}", target(workload)));
        let resume = fix("Resume the rollout", command, Risk::Disruptive, "the waiting change then rolls out");
        let patch = Patch(r#"{"spec":{"paused":null}}"#.to_owned());
        return vec![with_action(resume, Intent::Edit { object: workload.clone(), patch })];
    }
    let mut fixes: Vec<Fix> = undo(facts, workload).into_iter().collect();
    fixes.push(describe(workload, "shows the ReplicaSets and what their pods wait for"));
    fixes
}

/// Back to the newest earlier revision known to have worked. Where none is known to, to the one before, and it says so; where
/// there is none before (or it cannot be seen), nothing is offered.
fn undo(facts: &Facts<'_>, workload: &ObjectRef) -> Option<Fix> {
    let known = changes::revisions(facts.snapshot, workload);
    let current = known.iter().find(|revision| revision.is_current)?.number;
    let mut earlier = known.iter().filter(|revision| revision.number < current);
    let proven = earlier.clone().find(|revision| revision.proof.is_some());
    let to = proven.or_else(|| earlier.next())?;
    let (risk, why) = match &to.proof {
        Some(proof) => (Risk::Safe, format!("revision {} worked: {proof}", to.number)),
        None => (Risk::Disruptive, format!("whether revision {} ever worked is not known", to.number)),
    };
    let command = kubectl(&workload.namespace, format!("rollout undo {} --to-revision={}", target(workload), to.number));
    let undo = fix(format!("Undo the rollout (back to revision {})", to.number), command, risk, why);
    Some(with_action(undo, Intent::Undo { workload: workload.clone(), to_revision: Some(to.number) }))
}
