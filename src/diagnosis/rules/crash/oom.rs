//! `oom-killed`, `oom-killed-child`: killed for memory.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, fact, fix, kubectl, pods_on, quoted, target, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs;
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods::{self, End, Ending};
use crate::kinds::events::Event;
use crate::kinds::pods::{ContainerRole, Pod};
use crate::kinds::{KindId, ObjectRef, Row};
use crate::text;

/// The rule.
pub static OOM: Rule = Rule {
    name: "oom-killed",
    causes: &[CauseId("oom-killed"), CauseId("oom-killed-child")],
    doc: "\
What it detects
  A container that was killed for memory: its own limit (OOMKilled), the node's memory (SystemOOM), a limit too small to start
  at all, or a process inside it while the container lives on.
Reads
  status.*containerStatuses[*].{lastState,state}.terminated.{reason,exitCode,message,startedAt,finishedAt}; resources.limits.memory
  of the container; event SystemOOM of its node within a minute of the end; log lines of supervisors whose worker was killed.
Source
  containerd internal/cri/server/events.go; runc libcontainer/process_linux.go; pkg/kubelet/oom/oom_watcher_linux.go.
Look-alikes
  Exit 137 without OOMKilled is SIGKILL from somebody else: a probe, the end of a grace period, an eviction. A runtime's own heap
  limit (Java, Node) ends with 1, 3 or 134: that is heap-exhausted.
Fixes
  Raise the memory limit (the request with it), or undo the rollout that made it grow.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

static CANNOT_START: Pattern = Pattern::new(
    r"container init was OOM-killed|possibly OOM-killed|failed to write \S*memory\.(?:max|limit_in_bytes)|minimum memory limit allowed",
);
static WORKER: Pattern = Pattern::new(
    r"was sent SIGKILL! Perhaps out of memory|(?i)^killed$|(?:worker|child|process).{0,40}(?:died|exited|terminated|killed).{0,30}(?:137|signal[: ]*9|SIGKILL)|Memory cgroup out of memory: Killed process",
);
static TIMED_OUT: Pattern = Pattern::new(r"WORKER TIMEOUT \(pid:\s*(\d+)\)");
static WORKER_PID: Pattern = Pattern::new(r"Worker \(pid:\s*(\d+)\)");

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    for ending in pods::endings(facts, pod, out) {
        if let Some(finding) = find(facts, pod, &ending) {
            out.findings.push(finding);
        }
    }
    if out.findings.is_empty() {
        child(facts, pod, out);
    }
}

fn find(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>) -> Option<Finding> {
    let message = ending.run.message.as_deref().unwrap_or_default();
    match ending.end {
        End::OutOfMemory => Some(own_limit(facts, pod, ending)),
        End::StartFailed if CANNOT_START.is_match(message) => Some(
            base(facts, "oom-killed", pod, ending)
                .says(format!(
                    "the memory limit {} of container {} is too small to start it at all",
                    limit(pod, ending.name()),
                    ending.name()
                ))
                .because(draft::pod_status(pod, format!("{}.message", ending.field), message, ending.run.finished_at))
                .done(),
        ),
        End::Code(137) => node_oom(facts, pod, ending).map(|event| {
            let node = pod.node_name.as_deref().unwrap_or_default();
            base(facts, "oom-killed", pod, ending)
                .says(format!("node {node} ran out of memory and the kernel killed container {}", ending.name()))
                .fact("node", node)
                .fact("nodeOom", "true")
                .rooted_in("Node", "", node)
                .sure(Confidence::Likely)
                .because(draft::event(event))
                .done()
        }),
        _ => None,
    }
}

fn limit(pod: &Pod, container: &str) -> String {
    pod.spec
        .container(container)
        .and_then(|c| c.resources.limits.get("memory"))
        .map_or_else(|| "(none)".to_owned(), |q| q.0.to_string())
}

fn base(facts: &Facts<'_>, cause: &'static str, pod: &Pod, ending: &Ending<'_>) -> Draft {
    let run = ending.run;
    let reason = run.reason.as_deref().unwrap_or("Error");
    let limit = limit(pod, ending.name());
    let path = pod.spec.container_path(ending.name());
    Draft::pod(facts, cause, pod)
        .container(ending.name())
        .fact("limit", &limit)
        .because(draft::pod_status(pod, ending.field.clone(), format!("{reason}, exit code {}", run.exit_code), run.finished_at))
        .because(draft::pod_spec(pod, format!("{path}.resources.limits.memory"), limit))
        .because(draft::pod_status(
            pod,
            format!("{}.restartCount", ending.view.path()),
            ending.view.status.restart_count.to_string(),
            None,
        ))
        .since(ending.since)
}

fn own_limit(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>) -> Finding {
    let run = ending.run;
    let lived = run.started_at.zip(run.finished_at).map(|(a, b)| text::duration(b - a)).unwrap_or_default();
    let limit = limit(pod, ending.name());
    let child = run.exit_code != 137 && run.exit_code != 0;
    let summary = if limit == "(none)" {
        format!(
            "container {} was killed for memory after {lived} though it has no limit of its own: the pod's or the node's was reached",
            ending.name()
        )
    } else if child {
        format!(
            "a process of container {} was killed at the memory limit {limit}, and the container ended with {}",
            ending.name(),
            run.exit_code
        )
    } else {
        format!("container {} was killed at its memory limit {limit} after {lived}", ending.name())
    };
    let key = crate::snapshot::UsageKey {
        namespace: pod.meta.namespace.clone(),
        pod: pod.meta.name.clone(),
        container: ending.name().into(),
    };
    let mut draft = base(facts, "oom-killed", pod, ending).says(summary).not("a probe: the runtime itself says OOMKilled");
    if let Some((at, _, memory)) = facts.snapshot.usage.get(&key).and_then(crate::snapshot::Usage::last) {
        let quote = draft::quote(
            draft::pod_ref(pod),
            EvidenceSource::Metric,
            format!("memory of container {}", ending.name()),
            text::bytes(memory),
            Some(at),
        );
        draft = draft.because(quote);
    }
    draft.done()
}

/// A `SystemOOM` of the pod's node within a minute of the end.
pub fn node_oom<'a>(facts: &Facts<'a>, pod: &Pod, ending: &Ending<'_>) -> Option<&'a Event> {
    let node = ObjectRef::new("Node", "", pod.node_name.as_deref()?);
    let finished = ending.run.finished_at?;
    facts.snapshot.events_about(&node).into_iter().rev().find(|e| {
        matches!(&*e.reason, "SystemOOM" | "OOMKilling")
            && e.last_seen().is_some_and(|t| (t - finished).abs() <= TimeDelta::seconds(60))
    })
}

/// Workers killed inside a container that lives on: only its log, or a node event, shows it.
fn child(facts: &Facts<'_>, pod: &Pod, out: &mut Output) {
    for view in pod.containers().filter(|c| c.role == ContainerRole::Main && c.status.state.running.is_some()) {
        let Some(log) = logs::known(facts, pod, &view.status.name).filter(|l| !l.previous) else { continue };
        let recent = |l: &&&crate::snapshot::evidence::LogLine| pods::is_recent(facts.now, l.at, TimeDelta::minutes(10));
        let timed_out: Vec<&str> = log.lines.iter().filter_map(|l| TIMED_OUT.group(&l.text, 1)).collect();
        // gunicorn kills a worker that timed out and wonders about memory all the same.
        let by_time =
            |l: &&&crate::snapshot::evidence::LogLine| WORKER_PID.group(&l.text, 1).is_some_and(|pid| timed_out.contains(&pid));
        let hits: Vec<_> = log.lines.iter().filter(|l| WORKER.is_match(&l.text)).filter(recent).filter(|l| !by_time(l)).collect();
        let Some(last) = hits.last().filter(|_| hits.len() >= 2) else { continue };
        let has_limit = limit(pod, &view.status.name);
        if has_limit == "(none)" {
            continue;
        }
        out.findings.push(
            Draft::pod(facts, "oom-killed-child", pod)
                .container(&view.status.name)
                .sure(Confidence::Likely)
                .fact("limit", &has_limit)
                .says(format!(
                    "processes inside container {} are killed again and again while it lives on; its memory limit is {has_limit}",
                    view.status.name
                ))
                .because(draft::log_line(log.pod.clone(), &view.status.name, log.previous, last))
                .because(draft::pod_spec(
                    pod,
                    format!("{}.resources.limits.memory", pod.spec.container_path(&view.status.name)),
                    has_limit,
                ))
                .since(hits.first().and_then(|l| l.at))
                .done(),
        );
    }
}

/// Twice the limit, as a quantity.
fn doubled(limit: &str) -> Option<String> {
    let bytes = text::quantity(limit)?;
    (bytes > 0.0).then(|| format!("{}Mi", (bytes * 2.0 / 1024f64.powi(2)).ceil().max(64.0)))
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let container = fact(finding, "container");
    let mut fixes = Vec::new();
    if finding.facts.contains_key("nodeOom") {
        let node = fact(finding, "node");
        fixes.push(pods_on(node, "top", ("See what fills the node", "the victim is seldom the offender")));
    } else if let Some(limit) = doubled(fact(finding, "limit")).filter(|_| can_roll_out(workload)) {
        let command = kubectl(
            &workload.namespace,
            format!("set resources {} -c {} --limits=memory={limit}", target(workload), quoted(container)),
        );
        let raise = fix(
            format!("Raise the memory limit of {container} to {limit}"),
            command,
            Risk::Disruptive,
            format!("it was killed at {}", fact(finding, "limit")),
        );
        let intent = Intent::SetMemoryLimit { workload: workload.clone(), container: container.to_owned(), limit };
        fixes.push(with_action(raise, intent));
    }
    if &*finding.subject.kind == "Pod" {
        let command = kubectl(&finding.subject.namespace, format!("top pod {} --containers", quoted(&finding.subject.name)));
        fixes.push(fix("Watch its memory", command, Risk::Safe, "a steady climb is a leak: a higher limit only delays it"));
    }
    fixes
}
