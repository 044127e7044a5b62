//! `slow-start`: a liveness probe without a startup probe that does not give the application the time it needs to start.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, edit, fact, fix, kubectl, quoted, target, template_of};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs::{self, Quotable};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods::{self, End, ProbeKind};
use crate::diagnosis::rules::probes::failure::{self, Failure};
use crate::kinds::pod_spec::{Container, IntOrText};
use crate::kinds::pods::{ContainerRole, Pod};
use crate::kinds::probes::Probe;
use crate::kinds::{KindId, Row};
use crate::text::{Time, duration};

/// The rule.
pub static SLOW_START: Rule = Rule {
    name: "slow-start",
    causes: &[CauseId("slow-start")],
    doc: "\
What it detects
  A container whose liveness probe kills it while it is still starting: no startup probe, connections refused until the end, and
  a log that was written but never says that the application is ready. It explains liveness-probe-kills and is told with it.
Reads
  spec.containers[*].livenessProbe.{initialDelaySeconds,periodSeconds,failureThreshold}, startupProbe; the run that ended
  (lastState.terminated); events Unhealthy and Killing; the log of that run.
Source
  pkg/kubelet/prober: the first probe comes after initialDelaySeconds, the kill after failureThreshold failures periodSeconds apart.
Look-alikes
  An application that says it is ready and is asked on another port: a wrong port. A pod within its start-up time is no incident.
Fixes
  A startup probe with the same question holds the liveness probe back until it succeeds once; a larger initialDelaySeconds slows
  every restart down.
",
    subject: KindId::Pod,
    needs: &[],
    check: killed_early,
    fixes,
};

/// Advice, no incident.
pub static START_MARGIN: Rule = Rule {
    name: "start-margin",
    causes: &[CauseId("slow-start")],
    doc: "\
What it detects
  A running container that needed more than four fifths of the time its liveness probe gives it to start, and has no startup
  probe: a slower node or a cold cache will have it killed before it is ready. Advice, shown by X, no incident.
Reads
  spec.containers[*].livenessProbe, startupProbe; state.running.startedAt; the line of the log that says the application is ready.
Source
  pkg/kubelet/prober; the words of uvicorn, gunicorn, Spring Boot, Tomcat, Node, Puma and others when they are ready.
Look-alikes
  An application that answers before it says so needs less than it seems.
Fixes
  A startup probe with the same question.
",
    subject: KindId::Pod,
    needs: &[],
    check: margin,
    fixes,
};

static READY: Pattern = Pattern::new(
    r"(?i)application startup complete|uvicorn running on|listening (?:on|at)|booting worker with pid|started \S+ in [\d.]+ seconds|tomcat started on|server (?:is )?(?:started|running|listening)|ready to accept connections|startup (?:is )?complete|now listening|serving (?:on|at)|\* running on http",
);

/// Seconds from the start until the kubelet kills a container that never answers.
fn budget(probe: &Probe) -> i64 {
    let period = probe.period_seconds.unwrap_or(10);
    probe.initial_delay_seconds.unwrap_or(0)
        + period * (probe.failure_threshold.unwrap_or(3) - 1).max(0)
        + probe.timeout_seconds.unwrap_or(1)
}

/// The liveness probe of a container without a startup probe.
fn unguarded(container: &Container) -> Option<&Probe> {
    container.liveness_probe.as_ref().filter(|_| container.startup_probe.is_none())
}

/// A draft about the workload: what its template says is wrong, not its pod.
fn draft_of(facts: &Facts<'_>, pod: &Pod, container: &Container, probe: &Probe) -> Draft {
    let workload = facts.snapshot.workload_of(pod);
    let draft = match facts.snapshot.find(&workload) {
        Some(row) => Draft::new(facts, "slow-start", &workload.kind, row.meta()),
        None => Draft::pod(facts, "slow-start", pod),
    };
    let path = pod.spec.container_path(&container.name);
    let said = format!(
        "initialDelaySeconds {}, periodSeconds {}, failureThreshold {}; no startupProbe",
        probe.initial_delay_seconds.unwrap_or(0),
        probe.period_seconds.unwrap_or(10),
        probe.failure_threshold.unwrap_or(3)
    );
    draft
        .container(&container.name)
        .sure(Confidence::Likely)
        .because(draft::pod_spec(pod, format!("{path}.livenessProbe"), said))
        .derived()
}

fn killed_early(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row).filter(|pod| pod.spec.containers.iter().any(|c| unguarded(c).is_some())) else { return };
    for ending in pods::endings(facts, pod, out) {
        let (End::Probe(event, ProbeKind::Liveness), Some(container)) = (ending.end, pod.spec.container(ending.name())) else {
            continue;
        };
        let (Some(probe), Some(log)) = (unguarded(container), logs::of_ending(facts, pod, &ending, out)) else { continue };
        let unhealthy = failure::newest(facts, pod, ending.name(), ProbeKind::Liveness, None);
        let refused = unhealthy.is_some_and(|e| Failure::parse(e.text()) == Failure::Refused);
        let lived = ending.run.started_at.zip(ending.run.finished_at).map(|(began, ended)| ended - began);
        let Some(lived) = lived.filter(|lived| lived.num_seconds() <= budget(probe) * 2 + grace(pod)) else { continue };
        if !refused || log.lines.iter().any(|line| READY.is_match(&line.text)) {
            continue;
        }
        let Some(last) = log.lines.last() else { continue };
        out.findings.push(
            draft_of(facts, pod, container, probe)
                .fact("seconds", &lived.num_seconds().to_string())
                .says(format!(
                    "its container {} is killed {} after each start, before it ever says that it is ready: the liveness probe gives it {} s and there is no startup probe",
                    container.name,
                    duration(lived),
                    budget(probe)
                ))
                .because(draft::log_line(log.pod.clone(), &container.name, log.previous, last))
                .because_all(event.map(draft::event))
                .since(ending.run.finished_at)
                .done(),
        );
    }
}

fn grace(pod: &Pod) -> i64 {
    pod.spec.termination_grace_period_seconds.unwrap_or(30)
}

fn margin(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    for view in pod.containers().filter(|v| v.role == ContainerRole::Main) {
        let Some(container) = pod.spec.container(&view.status.name) else { continue };
        let (Some(probe), Some(log)) = (unguarded(container), logs::known(facts, pod, &container.name)) else { continue };
        let Some(started) = view.status.state.running.as_ref().and_then(|r| r.started_at).filter(|_| !log.previous) else {
            continue;
        };
        let Some((need, line)) = needed(&log, started) else { continue };
        let (given, need_s) = (budget(probe), need.num_seconds());
        if need_s * 5 < given * 4 || need_s < 5 || need_s > given + probe.period_seconds.unwrap_or(10) {
            continue;
        }
        out.findings.push(
            draft_of(facts, pod, container, probe)
                .fact("seconds", &need_s.to_string())
                .says(format!(
                    "its container {} needed {} to start, and its liveness probe gives it {given} s before it is killed",
                    container.name,
                    duration(need)
                ))
                .because(draft::log_line(log.pod.clone(), &container.name, false, line))
                .done(),
        );
    }
}

/// How long the application took to say that it is ready, and the line.
fn needed<'a>(log: &Quotable<'a>, started: Time) -> Option<(TimeDelta, &'a crate::snapshot::LogLine)> {
    let line = log.lines.iter().find(|line| READY.is_match(&line.text))?;
    let need = line.at? - started;
    (need > TimeDelta::zero()).then_some((need, *line))
}

/// The question a probe asks, as it stands in a manifest.
fn question(probe: &Probe) -> Option<(&'static str, Value)> {
    let port = |port: &IntOrText| match port {
        IntOrText::Int(n) => json!(n),
        IntOrText::Text(name) | IntOrText::Float(name) => json!(&**name),
    };
    if let Some(get) = &probe.http_get {
        return Some(("httpGet", json!({"path": get.path.as_deref().unwrap_or("/"), "port": port(&get.port)})));
    }
    if let Some(tcp) = &probe.tcp_socket {
        return Some(("tcpSocket", json!({"port": port(&tcp.port)})));
    }
    probe.exec.as_ref().map(|exec| ("exec", json!({"command": exec.command.iter().map(|c| &**c).collect::<Vec<_>>()})))
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let name = fact(finding, "container");
    let why = "it holds the liveness probe back until it succeeds once; the pods are replaced one by one";
    let seconds: i64 = fact(finding, "seconds").parse().unwrap_or(60);
    let spec = template_of(facts, workload);
    let asked = spec.as_ref().and_then(|spec| question(spec.container(name)?.liveness_probe.as_ref()?));
    let Some((handler, question)) = asked.filter(|_| can_roll_out(workload)) else {
        return vec![edit(finding, "Add a startup probe", why)];
    };
    let attempts = (seconds * 4 / 5).clamp(12, 120);
    let probe = json!({handler: question, "periodSeconds": 5, "failureThreshold": attempts});
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": name, "startupProbe": probe}]}}}});
    let command = kubectl(&workload.namespace, format!("patch {} -p {}", target(workload), quoted(&patch.to_string())));
    vec![fix(format!("Add a startup probe that waits up to {} s", attempts * 5), command, Risk::Disruptive, why)]
}
