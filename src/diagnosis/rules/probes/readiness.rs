//! `readiness-probe-fails`, `readiness-gate-waiting`: it runs and gets no traffic.

use std::fmt::Write as _;

use chrono::TimeDelta;

use super::failure::{self, Failure};
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, describe, edit, field_set, read_log};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pods::{self, ProbeKind};
use crate::kinds::pods::{ContainerRole, ContainerView, Pod};
use crate::kinds::{KindId, Row};
use crate::text;

/// The rule.
pub static READINESS: Rule = Rule {
    name: "readiness",
    causes: &[CauseId("readiness-probe-fails"), CauseId("readiness-gate-waiting")],
    doc: "\
What it detects
  A pod that runs but is not ready: its readiness probe fails (refused, time-out, status, command), or an external readiness gate
  is not true.
Reads
  status.conditions[Ready]; status.containerStatuses[*].{ready,started,state.running.startedAt}; event Unhealthy \"Readiness probe
  failed\" since the pod was last ready; spec readinessProbe and ports; the log's line that names the listening port.
Source
  pkg/kubelet/prober, pkg/kubelet/status/generate.go.
Look-alikes
  A pod still within its start-up time (initial delay plus a few failed probes) is no incident. A crashing container is not ready
  because it crashes. Failures from before the last time it became ready are history. A pod on a dead node is the node's symptom.
Fixes
  What the probe depends on; its port or path; the revision before.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pod.is_finished() || pod.is_ready() || pods::on_dead_node(facts, pod) || &*pod.status.phase != "Running" {
        return;
    }
    let ready = pod.condition("Ready");
    if ready.is_some_and(|c| c.reason() == "ReadinessGatesNotReady") {
        gate(facts, pod, out);
        return;
    }
    if !pods::endings(facts, pod, &mut Output::default()).is_empty() {
        return;
    }
    for view in pod.containers().filter(|v| matches!(v.role, ContainerRole::Main | ContainerRole::Sidecar) && !v.status.ready) {
        let Some(started) = view.status.state.running.as_ref().and_then(|r| r.started_at) else { continue };
        if let Some(finding) = find(facts, pod, view, started, out) {
            out.findings.push(finding);
        }
    }
}

fn gate(facts: &Facts<'_>, pod: &Pod, out: &mut Output) {
    let Some(ready) = pod.condition("Ready") else { return };
    let since = ready.last_transition_time;
    let due = since.unwrap_or(facts.now) + TimeDelta::seconds(120);
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    out.findings.push(
        Draft::pod(facts, "readiness-gate-waiting", pod)
            .says(format!(
                "the containers are ready, but an external readiness gate is not: {}",
                ready.message().trim_end_matches('.')
            ))
            .because(draft::condition(draft::pod_ref(pod), ready))
            .since(since)
            .done(),
    );
}

fn find(facts: &Facts<'_>, pod: &Pod, view: ContainerView<'_>, started: text::Time, out: &mut Output) -> Option<Finding> {
    let name = &view.status.name;
    let container = pod.spec.container(name)?;
    let starting = container.startup_probe.is_some() && view.status.started != Some(true);
    let kind = if starting { ProbeKind::Startup } else { ProbeKind::Readiness };
    let probe = failure::spec(container, kind)?;
    let period = probe.period_seconds.unwrap_or(10);
    let failures = probe.failure_threshold.unwrap_or(3);
    // Within this time a pod is starting, not failing: its own thresholds, at least half a minute.
    let patience = TimeDelta::seconds((probe.initial_delay_seconds.unwrap_or(0) + period * (failures + 1)).max(30));
    let unready = pod.condition("Ready").and_then(|c| c.last_transition_time).filter(|t| *t > started).unwrap_or(started);
    let due = unready.max(started) + patience;
    if facts.now < due {
        out.recheck_at(due);
        return None;
    }
    let event = failure::newest(facts, pod, name, kind, Some(started));
    let failure = event.map(|e| Failure::parse(e.text()));
    let mut says = format!(
        "container {name} runs since {} and is not ready: {}",
        text::moment(started, facts.now),
        failure::describe(probe)
    );
    match &failure {
        Some(failure) => {
            let _ = write!(says, ", {}", failure.words());
        }
        None => says.push_str(" does not succeed"),
    }
    let mut draft = Draft::pod(facts, "readiness-probe-fails", pod)
        .container(name)
        .fact("probe", if starting { "startupProbe" } else { "readinessProbe" })
        .sure(if event.is_some() { Confidence::Certain } else { Confidence::Likely });
    if let Some(event) = event {
        draft = draft.because(draft::event(event));
    }
    if let Some((port, loopback, line)) = failure::listening(facts, pod, name) {
        if loopback {
            says.push_str("; it listens on the loopback address only");
            draft = draft.because(line);
        } else if failure::port(container, probe).is_some_and(|p| p != port) {
            let _ = write!(says, "; it listens on port {port}");
            draft = draft.fact("listens", &port.to_string()).because(line);
        }
    }
    if let Some(ready) = pod.condition("Ready") {
        draft = draft.because(draft::condition(draft::pod_ref(pod), ready));
    }
    let field = format!("{}.{}", pod.spec.container_path(name), if starting { "startupProbe" } else { "readinessProbe" });
    Some(
        draft
            .says(says)
            .because(draft::pod_spec(pod, field, failure::describe(probe)))
            .not("a crash: the container has not ended")
            .since(Some(unready))
            .done(),
    )
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    if finding.cause.0 == "readiness-gate-waiting" {
        return vec![describe(&finding.subject, "names the gate; the load balancer's controller has to set it")];
    }
    let mut fixes = Vec::new();
    if let (Some(port), Some(path)) = (finding.facts.get("listens"), super::kills::probe_path(facts, finding))
        && can_roll_out(&finding.workload)
    {
        let (field, why) = (format!("{path}/httpGet/port"), "that is where the application listens");
        let on = (&finding.workload, &*field);
        fixes.push(field_set(format!("Probe port {port}"), on, (None, Some(port)), Risk::Disruptive, why));
    }
    fixes.extend(read_log(finding, false));
    fixes.push(edit(finding, "Correct the probe", "when the application is fine and only port, path or timeout is wrong"));
    fixes
}
