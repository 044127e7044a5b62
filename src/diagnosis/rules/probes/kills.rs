//! `liveness-probe-kills`, `startup-probe-kills`, `lifecycle-hook-failed`: the kubelet ends the container.

use std::fmt::Write as _;

use super::failure::{self, Failure};
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, edit, fact, field_set, read_log};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pods::{self, End, Ending, ProbeKind};
use crate::kinds::events::Event;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, Row};

/// The rule.
pub static PROBE_KILLS: Rule = Rule {
    name: "probe-kills",
    causes: &[CauseId("liveness-probe-kills"), CauseId("startup-probe-kills"), CauseId("lifecycle-hook-failed")],
    doc: "\
What it detects
  A container the kubelet kills again and again because its liveness or startup probe fails or its postStart hook fails, and how:
  wrong port, wrong path, refused, too slow, an error status.
Reads
  Event Killing (type Normal!) \"Container X failed liveness probe, will be restarted\" within the run that ended; event Unhealthy
  with the probe's words; spec.containers[*].{liveness,startup}Probe, ports, command; the line of the log that says which port the
  application listens on; waiting reason PostStartHookError.
Source
  pkg/kubelet/kuberuntime/kuberuntime_manager.go, pkg/kubelet/prober/prober.go, pkg/probe/http/http.go, lifecycle/handlers.go.
Look-alikes
  Exit codes 0, 137 and 143 after such a kill are consequences. OOMKilled is memory. A probe that failed once during start-up and
  recovered is nothing.
Fixes
  Correct the probe's port, path or timeout; give a slow start a startupProbe; undo the rollout that changed it.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pods::on_dead_node(facts, pod) {
        return;
    }
    for view in pod.containers().filter(|v| v.waiting_reason() == "PostStartHookError") {
        out.findings.push(
            Draft::pod(facts, "lifecycle-hook-failed", pod)
                .container(&view.status.name)
                .says(format!("the postStart hook of container {} fails, so the kubelet kills it", view.status.name))
                .because(draft::pod_status(pod, format!("{}.state.waiting.message", view.path()), view.waiting_message(), None))
                .done(),
        );
    }
    for ending in pods::endings(facts, pod, out) {
        match ending.end {
            End::Probe(event, kind) => out.findings.push(probe(facts, pod, &ending, event, kind)),
            End::Hook(event) if out.findings.is_empty() => out.findings.push(hook(facts, pod, &ending, event)),
            _ => {}
        }
    }
}

fn ended(pod: &Pod, ending: &Ending<'_>) -> crate::diagnosis::finding::Evidence {
    let text = format!("{}, exit code {}", ending.run.reason.as_deref().unwrap_or("ended"), ending.run.exit_code);
    draft::pod_status(pod, ending.field.clone(), text, ending.run.finished_at)
}

fn lived(pod: &Pod, ending: &Ending<'_>) -> crate::diagnosis::finding::Evidence {
    let run = ending.run;
    let lived = run.started_at.zip(run.finished_at).map(|(a, b)| crate::text::duration(b - a)).unwrap_or_default();
    let text = format!("it lived {lived}, as long as the probe's failures take; {} restarts", ending.view.status.restart_count);
    draft::pod_status(pod, format!("{}.finishedAt", ending.field), text, run.finished_at)
}

fn hook(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>, event: &Event) -> Finding {
    Draft::pod(facts, "lifecycle-hook-failed", pod)
        .container(ending.name())
        .says(format!("the postStart hook of container {} fails, so the kubelet kills it", ending.name()))
        .because(draft::event(event))
        .because(ended(pod, ending))
        .not("memory: the container was killed for its hook, not OOMKilled")
        .since(ending.since)
        .done()
}

fn probe(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>, event: Option<&Event>, kind: ProbeKind) -> Finding {
    let cause = if kind == ProbeKind::Startup { "startup-probe-kills" } else { "liveness-probe-kills" };
    let name = ending.name();
    let container = pod.spec.container(name);
    let spec = container.and_then(|c| failure::spec(c, kind));
    let unhealthy = failure::newest(facts, pod, name, kind, None);
    let failure = unhealthy.map(|e| Failure::parse(e.text()));
    let asked = container.zip(spec).and_then(|(c, p)| failure::port(c, p));
    let listening = failure::listening(facts, pod, name);
    let mut says = format!("the {} probe", kind.word().to_lowercase());
    if let Some(spec) = spec {
        let _ = write!(says, " ({})", failure::describe(spec));
    }
    says.push_str(" fails");
    if let Some(failure) = &failure {
        let _ = write!(says, " ({})", failure.words());
    }
    let _ = write!(says, ", so the kubelet kills container {name}");
    let mut draft = Draft::pod(facts, cause, pod)
        .container(name)
        .fact("probe", if kind == ProbeKind::Startup { "startupProbe" } else { "livenessProbe" })
        .sure(if was_killed(facts, pod, name) { Confidence::Certain } else { Confidence::Likely })
        .because_all(event.map(draft::event));
    if event.is_none() {
        // Its events have expired: the time it lives is what tells.
        draft = draft.because(lived(pod, ending));
    }
    if let Some(unhealthy) = unhealthy {
        draft = draft.because(draft::event(unhealthy));
    }
    let killing = facts.snapshot.events_of(KindId::Pod, &pod.meta).into_iter().rev().find(|e| &*e.reason == "Killing");
    draft = draft.because_all(killing.map(draft::event));
    let (tail, facts_drafted) = served(draft, (asked, &failure), listening, container);
    says.push_str(&tail);
    draft = facts_drafted;
    if let Some(spec) = spec {
        let field = format!(
            "{}.{}",
            pod.spec.container_path(name),
            if kind == ProbeKind::Startup { "startupProbe" } else { "livenessProbe" }
        );
        draft = draft.because(draft::pod_spec(pod, field, failure::describe(spec)));
        draft = draft.fact("timeout", &spec.timeout_seconds.unwrap_or(1).to_string());
    }
    draft
        .maybe(
            "failure",
            failure.as_ref().map(|f| match f {
                Failure::Refused => "refused",
                Failure::Timeout => "timeout",
                Failure::Status(_) => "status",
                Failure::Other(_) => "other",
            }),
        )
        .says(says)
        .because(ended(pod, ending))
        .not(format!("the application's own end: exit code {} follows from the kill", ending.run.exit_code))
        .not("memory: it was not OOMKilled")
        .since(ending.since)
        .done()
}

/// What the application listens on instead of the probed port, as the end of the sentence.
fn served(
    mut draft: Draft,
    (asked, failure): (Option<u16>, &Option<Failure>),
    listening: Option<(u16, bool, crate::diagnosis::finding::Evidence)>,
    container: Option<&crate::kinds::pod_spec::Container>,
) -> (String, Draft) {
    let mut says = String::new();
    if let Some((port, loopback, line)) = listening {
        if loopback {
            says.push_str("; it listens on the loopback address only");
            draft = draft.fact("loopback", "true");
        } else if asked.is_some_and(|a| a != port) {
            let _ = write!(says, "; it listens on port {port}");
            draft = draft.fact("listens", &port.to_string());
        }
        draft = draft.because(line);
    } else if let (Some(Failure::Refused), Some(asked), Some(container)) = (failure, asked, container) {
        let other = failure::commanded_port(container)
            .or_else(|| container.ports.first().map(|p| p.container_port))
            .filter(|p| *p != asked);
        draft = draft.maybe("listens", other.map(|p| p.to_string()).as_deref());
    }
    (says, draft)
}

/// True when the kubelet said about any run of the container that it kills it for a probe.
fn was_killed(facts: &Facts<'_>, pod: &Pod, container: &str) -> bool {
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    events.iter().any(|e| &*e.reason == "Killing" && e.container().is_none_or(|c| c == container) && e.text().contains(" probe"))
}

/// JSON pointer to a container's probe in a workload.
pub fn probe_path(facts: &Facts<'_>, finding: &Finding) -> Option<String> {
    let template = crate::diagnosis::rules::commands::template_of(facts, &finding.workload)?;
    let name = fact(finding, "container");
    let index = template.containers.iter().position(|c| &*c.name == name)?;
    Some(format!("/spec/template/spec/containers/{index}/{}", fact(finding, "probe")))
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    if finding.cause.0 == "lifecycle-hook-failed" {
        return vec![edit(finding, "Repair or remove the postStart hook", "the container is killed each time the hook fails")];
    }
    let (mut fixes, workload) = (Vec::new(), &finding.workload);
    let template = crate::diagnosis::rules::commands::template_of(facts, workload);
    let spec = template.as_ref().and_then(|t| t.container(fact(finding, "container"))).and_then(|c| {
        failure::spec(c, if finding.cause.0 == "startup-probe-kills" { ProbeKind::Startup } else { ProbeKind::Liveness })
    });
    if let Some(path) = probe_path(facts, finding).filter(|_| can_roll_out(&finding.workload)) {
        let handler = if spec.is_some_and(|s| s.tcp_socket.is_some()) { "tcpSocket" } else { "httpGet" };
        if let Some(port) = finding.facts.get("listens") {
            let field = format!("{path}/{handler}/port");
            let why = "that is where the application listens";
            fixes.push(field_set(format!("Probe port {port}"), (workload, &field), (None, Some(port)), Risk::Disruptive, why));
        } else if fact(finding, "failure") == "timeout" {
            let field = format!("{path}/timeoutSeconds");
            let why = format!("it waits {} s now", fact(finding, "timeout"));
            fixes.push(field_set("Give the probe 5 seconds", (workload, &field), (None, Some("5")), Risk::Disruptive, why));
        } else {
            let why = "the application itself may be fine; put a correct probe back afterwards";
            fixes.push(field_set("Take the probe away for now", (workload, &path), (None, None), Risk::Disruptive, why));
        }
    }
    fixes.push(edit(finding, "Correct the probe", "port, path, timeout, or a startupProbe for a slow start"));
    fixes.extend(read_log(finding, true));
    fixes
}
