//! `liveness-too-strict`: a liveness probe that asks what only readiness should ask.

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::Fix;
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::edit;
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pods::{self, End, ProbeKind};
use crate::diagnosis::rules::{crash, logs, probes::failure};
use crate::kinds::pod_spec::Container;
use crate::kinds::pods::Pod;
use crate::kinds::probes::Probe;
use crate::kinds::{KindId, Row};

/// The rule.
pub static LIVENESS_KILLS_ON_DEPENDENCY: Rule = Rule {
    name: "liveness-on-dependency",
    causes: &[CauseId("liveness-too-strict")],
    doc: "\
What it detects
  A container that its liveness probe kills although only a dependency is at fault: the probe asks the very endpoint the readiness
  probe asks, or the log of the killed run shows that the database or another dependency did not answer. Told with the incident it
  makes worse.
Reads
  spec.containers[*].{livenessProbe,readinessProbe}; the kill's event; the log of the killed run.
Source
  The documentation of probes: a restart cures a process that hangs, it does not cure its database.
Look-alikes
  A shared endpoint that only says that the process lives is fine for both, which is why nothing is said before it kills.
Fixes
  A liveness endpoint that answers without looking at anything else; the readiness probe keeps the question.
",
    subject: KindId::Pod,
    needs: &[],
    check: killing,
    fixes,
};

/// Advice, no incident.
pub static LIVENESS_SHARED: Rule = Rule {
    name: "liveness-shared",
    causes: &[CauseId("liveness-too-strict")],
    doc: "\
What it detects
  Liveness and readiness probe of a container ask the same question. Advice, shown by X: when that endpoint ever looks at the
  database, a slow database restarts every pod at once.
Reads
  spec.containers[*].{livenessProbe,readinessProbe}.
Source
  The documentation of probes.
Look-alikes
  An endpoint that looks at nothing but the process itself may be shared.
Fixes
  A liveness endpoint of its own.
",
    subject: KindId::Pod,
    needs: &[],
    check: shared,
    fixes,
};

/// True when both probes ask the same.
fn is_shared(container: &Container) -> Option<&Probe> {
    let (liveness, readiness) = (container.liveness_probe.as_ref()?, container.readiness_probe.as_ref()?);
    let asks = |probe: &Probe| (probe.http_get.clone(), probe.tcp_socket.clone(), probe.exec.clone(), probe.grpc.clone());
    // An open port says that the process listens, nothing about what stands behind it.
    (asks(liveness) == asks(readiness) && liveness.tcp_socket.is_none()).then_some(liveness)
}

fn draft_of(facts: &Facts<'_>, pod: &Pod, container: &Container) -> Draft {
    let workload = facts.snapshot.workload_of(pod);
    let draft = match facts.snapshot.find(&workload) {
        Some(row) => Draft::new(facts, "liveness-too-strict", &workload.kind, row.meta()),
        None => Draft::pod(facts, "liveness-too-strict", pod),
    };
    draft.container(&container.name).derived()
}

fn probe_quote(pod: &Pod, container: &Container, probe: &Probe) -> crate::diagnosis::finding::Evidence {
    let path = pod.spec.container_path(&container.name);
    draft::pod_spec(pod, format!("{path}.livenessProbe"), failure::describe(probe))
}

fn killing(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row).filter(|pod| pod.spec.containers.iter().any(|c| c.liveness_probe.is_some())) else {
        return;
    };
    for ending in pods::endings(facts, pod, out) {
        let (End::Probe(event, ProbeKind::Liveness), Some(container)) = (ending.end, pod.spec.container(ending.name())) else {
            continue;
        };
        let Some(probe) = &container.liveness_probe else { continue };
        let waits = logs::of_ending(facts, pod, &ending, out)
            .and_then(|log| crash::from_log::waits_for(facts, pod, ending.name(), &log))
            .map(Draft::done);
        let draft = draft_of(facts, pod, container);
        let finding = match (&waits, is_shared(container)) {
            (Some(waits), _) => draft
                .says(format!("the liveness probe kills it although only a dependency is at fault: {}", waits.summary))
                .because_all(waits.evidence.iter().cloned()),
            (None, Some(_)) => draft
                .sure(Confidence::Possible)
                .says(format!("the liveness probe asks what the readiness probe asks ({})", failure::describe(probe))),
            (None, None) => continue,
        };
        let finding = finding.because(probe_quote(pod, container, probe)).because_all(event.map(draft::event));
        out.findings.push(finding.since(ending.run.finished_at).done());
    }
}

fn shared(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    for container in &pod.spec.containers {
        let Some(probe) = is_shared(container) else { continue };
        out.findings.push(
            draft_of(facts, pod, container)
                .sure(Confidence::Possible)
                .says(format!(
                    "liveness and readiness of container {} ask the same ({}): a dependency behind it would restart the pods",
                    container.name,
                    failure::describe(probe)
                ))
                .because(probe_quote(pod, container, probe))
                .done(),
        );
    }
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let why = "an endpoint that answers without looking at anything else; the readiness probe keeps the question";
    vec![edit(finding, "Give the liveness probe an endpoint of its own", why)]
}
