//! A container that is OOM-killed in regular intervals and runs well in between: a leak, found between two kills.

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::Fix;
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::{crash, pods};
use crate::kinds::pods::{ContainerRole, ContainerView, Pod};
use crate::kinds::{KindId, Row};
use crate::text::duration;

/// The rule.
pub static LEAK: Rule = Rule {
    name: "memory-leak",
    causes: &[CauseId("oom-killed")],
    doc: "\
What it detects
  A container that runs now, was OOM-killed last, has restarted at least three times, and whose restarts come in even intervals of
  ten minutes or more: it fills its memory at a steady pace, which is what a leak looks like.
Reads
  status.containerStatuses[*].{restartCount,state.running.startedAt,lastState.terminated}; status.startTime;
  resources.limits.memory.
Source
  Only the last run is kept in the status: its length is compared with the pod's age by its restarts (within a factor of two).
Look-alikes
  A container that is killed minutes after each start has too small a limit: oom-killed finds it while it crashes. One kill at a
  peak is no leak. A kill of more than a day ago is history.
Fixes
  Raise the limit to win time, restart in a quiet hour, and find what grows: compare a heap dump after the start with one later.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

/// Shorter runs are a limit that is too small.
const SHORTEST: TimeDelta = TimeDelta::minutes(10);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row).filter(|pod| !pod.is_finished()) else { return };
    let candidate = |v: &ContainerView<'_>| {
        v.role != ContainerRole::Ephemeral
            && v.status.restart_count >= 3
            && v.status.state.running.is_some()
            && v.status.last_state.terminated.as_ref().is_some_and(|t| t.reason.as_deref() == Some("OOMKilled"))
    };
    if !pod.containers().any(|v| candidate(&v)) {
        return;
    }
    let crashing: Vec<String> = pods::endings(facts, pod, out).iter().map(|e| e.name().to_owned()).collect();
    for view in pod.containers().filter(candidate).filter(|v| !crashing.iter().any(|c| **c == *v.status.name)) {
        out.findings.extend(find(facts, pod, view));
    }
}

fn find(facts: &Facts<'_>, pod: &Pod, view: ContainerView<'_>) -> Option<Finding> {
    let run = view.status.last_state.terminated.as_deref()?;
    let (began, ended) = (run.started_at?, run.finished_at?);
    let (restarts, lived) = (view.status.restart_count, ended - began);
    let mean = (ended - pod.status.start_time?) / restarts;
    let even = lived * 2 >= mean && lived <= mean * 2;
    if lived < SHORTEST || !even || ended + TimeDelta::days(1) < facts.now {
        return None;
    }
    let name = &*view.status.name;
    let limit = pod.spec.container(name)?.resources.limits.get("memory")?.0.to_string();
    let path = view.path();
    let text = format!("OOMKilled, exit code {} after {}", run.exit_code, duration(lived));
    Some(
        Draft::pod(facts, "oom-killed", pod)
            .container(name)
            .severity(Severity::Warning)
            .sure(Confidence::Likely)
            .fact("limit", &limit)
            .says(format!(
                "container {name} fills its memory limit {limit} about every {} and is killed ({restarts} times so far): that looks like a leak",
                duration(mean)
            ))
            .because(draft::pod_status(pod, format!("{path}.lastState.terminated"), text, Some(ended)))
            .because(draft::pod_status(pod, format!("{path}.restartCount"), restarts.to_string(), None))
            .because(draft::pod_spec(pod, format!("{}.resources.limits.memory", pod.spec.container_path(name)), limit))
            .not("a limit that is too small to work with: it runs well in between")
            .since(Some(ended))
            .done(),
    )
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let mut fixes = (crash::oom::OOM.fixes)(facts, finding);
    fixes.extend(crate::diagnosis::rules::commands::restart(finding, "empties its memory now, at a time of your choice"));
    fixes
}
