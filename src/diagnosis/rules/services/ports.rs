//! `service-port-mismatch`: the Service sends traffic to a port nobody serves.

use std::collections::BTreeMap;

use super::endpoints::selected;
use super::wrong_pods;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, field_set};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs;
use crate::diagnosis::rules::probes::failure;
use crate::kinds::network::{Service, ServicePort};
use crate::kinds::pod_spec::IntOrText;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static PORTS: Rule = Rule {
    name: "service-ports",
    causes: &[CauseId("service-port-mismatch")],
    doc: "\
What it detects
  A Service whose target port no selected container declares or listens on, or whose named target port does not exist (its
  EndpointSlice then has endpoints but no port).
Reads
  spec.ports[].targetPort; containers[].ports of the selected pods; ports of their working probes; --port and similar arguments;
  the log line that names the listening port.
Source
  pkg/controller/util/endpoint (FindPort fails silently); Kubernetes never checks numeric target ports.
Look-alikes
  A Service that selects pods of several workloads is right when one of them serves the port. One that selects another workload
  while the one of its own name serves the port has a wrong selector. Declaring containerPorts is optional: a pod that declares
  none is only suspected when its command, probe or log names another port. A port among several may belong to another container
  of the pod, or to a second listener of the application; webhooks of operators listen on 9443 without declaring it.
Fixes
  Point the Service at the port that is served, or its selector at the workload that serves it.
",
    subject: KindId::Service,
    needs: &[KindId::Pod],
    check,
    fixes,
};

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Service(service) = row else { return };
    if service.spec.selector.is_empty() || service.meta.deletion_timestamp.is_some() {
        return;
    }
    let pods = one_a_workload(facts, selected(facts, service));
    for (index, port) in service.spec.ports.iter().enumerate() {
        if port.protocol.as_deref().is_some_and(|p| p != "TCP") {
            continue;
        }
        // The endpoints that do serve it get the traffic: all have to be wrong.
        let wrong: Option<Vec<Finding>> = pods.iter().map(|pod| mismatch(facts, service, (index, port), pod, out)).collect();
        if let Some(first) = wrong.and_then(|wrong| wrong.into_iter().next()) {
            out.findings.push(wrong_pods::said(facts, (service, port), &pods, first));
            return;
        }
    }
}

/// Of every workload one pod, a ready one if there is; those with a ready one first.
fn one_a_workload<'a>(facts: &Facts<'_>, pods: Vec<&'a Pod>) -> Vec<&'a Pod> {
    let mut by_workload: BTreeMap<ObjectRef, &Pod> = BTreeMap::new();
    for pod in pods {
        let known = by_workload.entry(facts.snapshot.workload_of(pod)).or_insert(pod);
        if pod.is_ready() && !known.is_ready() {
            *known = pod;
        }
    }
    let mut pods: Vec<&Pod> = by_workload.into_values().collect();
    pods.sort_by_key(|pod| !pod.is_ready());
    pods
}

fn mismatch(
    facts: &Facts<'_>,
    service: &Service,
    (index, port): (usize, &ServicePort),
    pod: &Pod,
    out: &mut Output,
) -> Option<Finding> {
    let containers = || pod.spec.all_containers();
    let declared: Vec<u16> = containers().flat_map(|c| &c.ports).map(|p| p.container_port).collect();
    let target = match port.target_port.clone().unwrap_or(IntOrText::Int(i64::from(port.port))) {
        IntOrText::Text(name) if name.parse::<u16>().is_err() => {
            let exists = containers().flat_map(|c| &c.ports).any(|p| p.name.as_deref() == Some(&*name));
            return (!exists).then(|| {
                let names: Vec<&str> = containers().flat_map(|c| &c.ports).filter_map(|p| p.name.as_deref()).collect();
                base(facts, service, index, &name)
                    .says(format!("its target port is called {name}, and no container of the pods has a port of that name"))
                    .maybe("serves", declared.first().map(u16::to_string).as_deref())
                    .because(draft::pod_spec(
                        pod,
                        "spec.containers[*].ports[*].name",
                        if names.is_empty() { "(none)".to_owned() } else { names.join(", ") },
                    ))
                    .done()
            });
        }
        other => other.to_string().parse::<u16>().ok()?,
    };
    if declared.contains(&target) && pod.spec.containers.len() > 1 {
        return None;
    }
    let (served, quotes, heard) = served(facts, pod, target, &declared, out)?;
    // Where another port of the Service leads to what is served, this one may lead to a second listener that nothing tells of.
    let others = service.spec.ports.iter().enumerate().filter(|(other, _)| *other != index);
    if others.filter_map(|(_, other)| number(pod, other)).any(|other| other == served) || (target == WEBHOOK && !heard) {
        return None;
    }
    let mut draft = base(facts, service, index, &target.to_string())
        .says(format!("it sends traffic to port {target}, but the pods serve port {served}"))
        .fact("serves", &served.to_string())
        .sure(if heard { Confidence::Certain } else { Confidence::Likely })
        .because_all(quotes)
        .not("missing endpoints: the pods are selected");
    if !declared.is_empty() {
        let list = declared.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        draft = draft.because(draft::pod_spec(pod, "spec.containers[*].ports[*].containerPort", list));
    }
    Some(draft.done())
}

/// Where the webhook server of controller-runtime listens (`webhook.DefaultPort`), which operators seldom declare.
const WEBHOOK: u16 = 9443;

/// The number of a Service's target port, by the name of a container's port if it is one.
fn number(pod: &Pod, port: &ServicePort) -> Option<u16> {
    match port.target_port.clone().unwrap_or(IntOrText::Int(i64::from(port.port))) {
        IntOrText::Text(name) if name.parse::<u16>().is_err() => {
            pod.spec.all_containers().flat_map(|c| &c.ports).find(|p| p.name.as_deref() == Some(&*name)).map(|p| p.container_port)
        }
        other => other.to_string().parse().ok(),
    }
}

/// The port the pod serves instead of `target`, with evidence, and whether the application itself said so.
fn served(
    facts: &Facts<'_>,
    pod: &Pod,
    target: u16,
    declared: &[u16],
    out: &mut Output,
) -> Option<(u16, Vec<crate::diagnosis::finding::Evidence>, bool)> {
    let running = pod
        .spec
        .containers
        .iter()
        .filter(|c| pod.containers().any(|v| v.status.name == c.name && v.status.state.running.is_some()));
    let containers: Vec<_> = running.collect();
    let said: Vec<_> = containers.iter().filter_map(|c| failure::listening(facts, pod, &c.name)).collect();
    if said.iter().any(|(port, ..)| *port == target) {
        return None;
    }
    if let (Some((port, _, quote)), 1) = (said.first(), pod.spec.containers.len()) {
        return Some((*port, vec![quote.clone()], true));
    }
    let commanded = containers.iter().find_map(|c| failure::commanded_port(c).map(|p| (p, c)));
    let probed = containers.iter().find_map(|c| {
        let probe = c.readiness_probe.as_ref().or(c.liveness_probe.as_ref())?;
        failure::port(c, probe).filter(|_| pod.is_ready()).map(|p| (p, c))
    });
    let commands_target = commanded.is_some_and(|(p, _)| p == target) || probed.is_some_and(|(p, _)| p == target);
    if commands_target || pod.spec.containers.len() != 1 {
        return None;
    }
    if let Some((port, container)) = commanded.filter(|(p, _)| *p != target) {
        let line = container.command.iter().chain(&container.args).map(|w| &**w).collect::<Vec<_>>().join(" ");
        let field = format!("{}.command", pod.spec.container_path(&container.name));
        let text = if line.is_empty() { format!("PORT={port}") } else { line };
        return Some((port, vec![draft::pod_spec(pod, field, text)], false));
    }
    if declared.contains(&target) {
        return None;
    }
    // Nothing but the declaration (or a probe) speaks against it: worth reading the log before saying so.
    let suspect = probed.map(|(p, _)| p).or(declared.first().copied())?;
    if let Some(container) = containers.first() {
        let restarts = pod.restarts();
        logs::current(facts, pod, &container.name, restarts, out);
    }
    Some((
        suspect,
        vec![draft::pod_spec(
            pod,
            "spec.containers[*].ports[*].containerPort",
            declared.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
        )],
        false,
    ))
}

fn base(facts: &Facts<'_>, service: &Service, index: usize, target: &str) -> Draft {
    let object = ObjectRef::new("Service", &service.meta.namespace, &service.meta.name);
    Draft::new(facts, "service-port-mismatch", "Service", &service.meta)
        .fact("index", &index.to_string())
        .fact("target", target)
        .because(draft::quote(object, EvidenceSource::Spec, format!("spec.ports[{index}].targetPort"), target, None))
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let service = &finding.subject;
    let mut fixes = Vec::new();
    fixes.extend(wrong_pods::fix(finding));
    if let Some(port) = finding.facts.get("serves").filter(|_| fixes.is_empty()) {
        let (field, target) = (format!("/spec/ports/{}/targetPort", fact(finding, "index")), fact(finding, "target"));
        fixes.push(field_set(
            format!("Send traffic to port {port}"),
            (service, &field),
            (Some(target), Some(port)),
            Risk::Safe,
            format!("it goes to {target} now"),
        ));
    }
    fixes.push(describe(service, "ports and endpoints"));
    fixes
}
