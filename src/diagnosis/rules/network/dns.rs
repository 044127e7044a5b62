//! `dns-failing`: names do not resolve in the cluster.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fix, kubectl, target, with_action, workload_log};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::services::endpoints::selected;
use crate::kinds::network::Service;
use crate::kinds::{KindId, ObjectRef, Row};
use crate::snapshot::LogKey;
use crate::snapshot::evidence::LogLine;

/// The rule.
pub static DNS: Rule = Rule {
    name: "cluster-dns",
    causes: &[CauseId("dns-failing")],
    doc: "\
What it detects
  A cluster whose names do not resolve: the cluster DNS Service has no ready pod, or several workloads report that resolution
  fails for now.
Reads
  The Service kube-dns (label k8s-app=kube-dns, or kube-system/kube-dns, coredns, openshift-dns/dns-default), readiness of the pods
  it selects; log lines with the resolver's transient errors (\"Temporary failure in name resolution\", EAI_AGAIN, time-outs of
  lookups) in pods of at least two namespaces or three workloads.
Source
  CoreDNS; getaddrinfo(3): EAI_AGAIN is \"no answer\", EAI_NONAME is \"no such name\".
Look-alikes
  One workload whose database has a wrong name gets \"not known\", and that is its own mistake. Lines that are older than a quarter
  of an hour are history. A NetworkPolicy that forgets port 53 hits the workloads of one namespace.
Fixes
  Bring CoreDNS back; look at what it forwards to.
",
    subject: KindId::Service,
    needs: &[KindId::Pod],
    check,
    fixes,
};

/// The resolver got no answer (as opposed to: there is no such name).
pub static TRANSIENT: Pattern = Pattern::new(
    r"Temporary failure in name resolution|EAI_AGAIN|server misbehaving|lookup \S+ on \S+: (?:read udp \S+: )?(?:\S+ )?i/o timeout|lookup \S+: i/o timeout|Try again \(EAI|Errno -3\]|connection timed out; no servers could be reached|no servers could be reached",
);

/// Unready for a moment while it rolls out is no outage.
const PATIENCE: TimeDelta = TimeDelta::seconds(45);
const RECENT: TimeDelta = TimeDelta::minutes(15);

/// True for the Service of the cluster's DNS.
pub fn is_cluster_dns(service: &Service) -> bool {
    let name = &*service.meta.name;
    match &*service.meta.namespace {
        "kube-system" => {
            matches!(name, "kube-dns" | "coredns" | "rke2-coredns-rke2-coredns")
                || service.meta.label("k8s-app") == Some("kube-dns")
        }
        "openshift-dns" => name == "dns-default",
        _ => false,
    }
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Service(service) = row else { return };
    if !is_cluster_dns(service) || service.spec.selector.is_empty() {
        return;
    }
    let pods = selected(facts, service);
    if pods.iter().any(|pod| pod.is_ready()) {
        out.findings.extend(reported(facts, service));
        return;
    }
    let since = pods.iter().filter_map(|pod| pod.condition("Ready")?.last_transition_time).max();
    let due = since.or(service.meta.creation_timestamp).map_or(facts.now, |s| s + PATIENCE);
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    let object = ObjectRef::new("Service", &service.meta.namespace, &service.meta.name);
    let selector = service.spec.selector.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let says = match pods.len() {
        0 => "the cluster DNS has no pod: no name resolves in the cluster".to_owned(),
        n => format!("none of the {n} pods of the cluster DNS is ready: no name resolves in the cluster"),
    };
    let quote = draft::quote(object, EvidenceSource::Spec, "spec.selector", selector, None);
    let unready = pods.first().and_then(|pod| Some(draft::condition(draft::pod_ref(pod), pod.condition("Ready")?)));
    let mut finding = base(facts, service).says(says).because_all(unready).because(quote).since(since).done();
    finding.workload = workload(facts, service);
    out.findings.push(finding);
}

fn base(facts: &Facts<'_>, service: &Service) -> Draft {
    Draft::new(facts, "dns-failing", "Service", &service.meta).severity(Severity::Critical).rooted_in(
        "Service",
        &service.meta.namespace,
        &service.meta.name,
    )
}

/// The workload behind it: of its pods, else the one whose template it would select.
fn workload(facts: &Facts<'_>, service: &Service) -> ObjectRef {
    if let Some(pod) = selected(facts, service).first() {
        return facts.snapshot.workload_of(pod);
    }
    let namespace = &service.meta.namespace;
    let fits = |labels: &std::collections::BTreeMap<crate::text::Text, crate::text::Text>| {
        service.spec.selector.iter().all(|(k, v)| labels.get(k) == Some(v))
    };
    let mut deployments = facts.snapshot.deployments.in_namespace(namespace);
    let found = deployments.find(|d| fits(&d.spec.template.metadata.labels));
    found.map_or_else(
        || ObjectRef::new("Service", namespace, &service.meta.name),
        |d| ObjectRef::new("Deployment", namespace, &d.meta.name),
    )
}

/// Workloads that say that nobody answers their lookups, with the line of each.
fn reported(facts: &Facts<'_>, service: &Service) -> Option<Finding> {
    let mut said: Vec<(ObjectRef, &LogKey, &LogLine)> = Vec::new();
    for (key, log) in &facts.snapshot.logs {
        let Some(line) = log.lines.iter().rev().take(100).find(|line| TRANSIENT.is_match(&line.text)) else { continue };
        let Some(pod) = facts.snapshot.pods.named(&key.namespace, &key.pod) else { continue };
        let recent = line.at.is_none_or(|at| at + RECENT >= facts.now);
        let workload = facts.snapshot.workload_of(pod);
        if recent && !pod.is_ready() && !pod.is_finished() && !said.iter().any(|(known, ..)| *known == workload) {
            said.push((workload, key, line));
        }
    }
    let namespaces: BTreeSet<&str> = said.iter().map(|(_, key, _)| &*key.namespace).collect();
    if said.len() < 3 && namespaces.len() < 2 {
        return None;
    }
    let mut draft = base(facts, service)
        .says(format!("{} workloads report that their name lookups get no answer", said.len()))
        .sure(Confidence::Likely)
        .not("a mistyped name: the resolver says that nobody answers, not that there is no such name");
    for (_, key, line) in said.iter().take(3) {
        let pod = ObjectRef::new("Pod", &key.namespace, &key.pod);
        draft = draft.because(draft::log_line(pod, &key.container, key.previous, line));
    }
    let mut finding = draft.since(said.iter().filter_map(|(.., line)| line.at).min()).done();
    finding.workload = workload(facts, service);
    Some(finding)
}

/// What kubeadm installs of CoreDNS (`cmd/kubeadm/app/phases/addons/dns`).
const REPLICAS: i32 = 2;

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let namespace = &workload.namespace;
    let what = ("Read the log of the cluster DNS", "it says what it cannot reach");
    let mut fixes: Vec<Fix> = workload_log(facts, workload, "--tail=100 --prefix", what).into_iter().collect();
    let deployment = facts.snapshot.deployments.named(namespace, &workload.name).filter(|_| &*workload.kind == "Deployment");
    if deployment.is_some_and(|deployment| deployment.spec.replicas == Some(0)) {
        let command = kubectl(namespace, format!("scale {} --replicas={REPLICAS}", target(workload)));
        let scale =
            fix(format!("Scale {workload} to {REPLICAS}"), command, Risk::Safe, "it was scaled to none; installers start two");
        fixes.push(with_action(scale, crate::actions::Intent::Scale { workload: workload.clone(), replicas: REPLICAS }));
    } else if matches!(&*workload.kind, "Deployment" | "DaemonSet") {
        let command = kubectl(namespace, format!("rollout restart {}", target(workload)));
        let restart = fix(format!("Restart {workload}"), command, Risk::Disruptive, "one pod after the other");
        fixes.push(with_action(restart, crate::actions::Intent::Restart { workload: workload.clone() }));
    }
    fixes.push(describe(workload, "replicas, conditions and events"));
    fixes
}
