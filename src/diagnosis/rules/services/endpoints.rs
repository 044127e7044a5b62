//! `service-no-endpoints`, `load-balancer-pending`: nobody answers behind the Service.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, edit, fact, fix, kubectl, patched, quoted};
use crate::diagnosis::rules::config::refs::distance;
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::jobs::Job;
use crate::kinds::network::Service;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static ENDPOINTS: Rule = Rule {
    name: "service-endpoints",
    causes: &[CauseId("service-no-endpoints"), CauseId("load-balancer-pending")],
    doc: "\
What it detects
  A Service whose selector matches no pod, or only pods that have ended, or whose pods are all unready; a LoadBalancer that gets
  no address.
Reads
  spec.{type,selector,publishNotReadyAddresses}, the pods' labels and readiness, EndpointSlices, status.loadBalancer, events of the
  service controller.
Source
  pkg/controller/endpointslice; cloud-provider service controller.
Look-alikes
  A headless Service of a Job, and one of a CronJob's runs, are empty between runs. ExternalName and selector-less Services have no
  pods of their own. A workload scaled to zero on purpose leaves its Service empty on purpose. Unready pods have their own cause:
  this finding folds under it.
Fixes
  Correct the selector; repair the pods.
",
    subject: KindId::Service,
    needs: &[KindId::Pod],
    check,
    fixes,
};

/// The pods a Service selects that are not finished.
pub fn selected<'a>(facts: &Facts<'a>, service: &Service) -> Vec<&'a Pod> {
    let namespace = service.meta.namespace.clone();
    let keys = facts.snapshot.pods.keys().filter(|k| k.namespace == namespace);
    keys.filter_map(|k| facts.snapshot.pods.get(k))
        .filter(|p| !p.is_finished() && service.spec.selector.iter().all(|(k, v)| p.meta.labels.get(k) == Some(v)))
        .collect()
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Service(service) = row else { return };
    if service.meta.deletion_timestamp.is_some() || service.spec.kind.as_deref() == Some("ExternalName") {
        return;
    }
    let due = service.meta.creation_timestamp.map_or(facts.now, |c| c + TimeDelta::seconds(120));
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    load_balancer(facts, service, out);
    if service.spec.selector.is_empty() || !facts.snapshot.coverage.is_complete(KindId::Pod, &service.meta.namespace) {
        return;
    }
    let pods = selected(facts, service);
    if pods.is_empty() {
        nothing_selected(facts, service, out);
    } else if pods.iter().all(|p| !p.is_ready()) && service.spec.publish_not_ready_addresses != Some(true) {
        none_ready(facts, service, &pods, out);
    }
}

fn selector_text(service: &Service) -> String {
    service.spec.selector.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

fn reference(service: &Service) -> ObjectRef {
    ObjectRef::new("Service", &service.meta.namespace, &service.meta.name)
}

fn nothing_selected(facts: &Facts<'_>, service: &Service, out: &mut Output) {
    if scaled_to_zero(facts, service) {
        return;
    }
    let selector = selector_text(service);
    let ended = ended(facts, service);
    if !ended.is_empty() {
        out.findings.extend(only_ended(facts, service, &selector, &ended));
        return;
    }
    let mut draft = Draft::new(facts, "service-no-endpoints", "Service", &service.meta)
        .says(format!("its selector {selector} matches no pod in namespace {}", service.meta.namespace))
        .fact("selector", &selector)
        .because(draft::quote(reference(service), EvidenceSource::Spec, "spec.selector", selector.clone(), None))
        .not("unready pods: there is none to be ready");
    if let Some(near) = nearest(facts, service) {
        let labels = near.meta.labels.iter().filter(|(k, _)| service.spec.selector.contains_key(*k));
        let text = labels.map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
        if !text.is_empty() {
            draft = draft.because(draft::quote(draft::pod_ref(near), EvidenceSource::Spec, "metadata.labels", text, None));
        }
    }
    out.findings.push(draft.maybe("meant", meant(facts, service).as_deref()).done());
}

/// The labels the selector was surely meant to have (only those that differ, as JSON of a map): what pods carry that is the
/// selector's value but for a slip of the pen, or the Service's own name. `None` when nothing is that close, or two are:
/// a wrong guess would send the traffic to another application's pods.
fn meant(facts: &Facts<'_>, service: &Service) -> Option<String> {
    let pods = facts.snapshot.pods.in_namespace(&service.meta.namespace).filter(|p| !p.is_finished());
    let all: BTreeSet<BTreeMap<&str, &str>> = pods.filter_map(|pod| corrected(service, pod)).collect();
    let [only] = all.into_iter().collect::<Vec<_>>().try_into().ok()?;
    serde_json::to_string::<BTreeMap<&str, &str>>(&only).ok()
}

fn corrected<'a>(service: &'a Service, pod: &'a Pod) -> Option<BTreeMap<&'a str, &'a str>> {
    let mut changes = BTreeMap::new();
    for (key, wanted) in &service.spec.selector {
        let has = pod.meta.labels.get(key)?;
        if has == wanted {
            continue;
        }
        let slips = distance(wanted, has);
        if **has != *service.meta.name && (slips > 2 || slips * 2 >= has.len()) {
            return None;
        }
        changes.insert(&**key, &**has);
    }
    Some(changes)
}

/// True when a workload whose pods the Service would select wants no pods, or its pods could not be created.
fn scaled_to_zero(facts: &Facts<'_>, service: &Service) -> bool {
    let namespace = &service.meta.namespace;
    let fits = |labels: &BTreeMap<crate::text::Text, crate::text::Text>| {
        service.spec.selector.iter().all(|(k, v)| labels.get(k) == Some(v))
    };
    facts.snapshot.deployments.in_namespace(namespace).any(|d| fits(&d.spec.template.metadata.labels))
        || facts.snapshot.stateful_sets.in_namespace(namespace).any(|s| fits(&s.spec.template.metadata.labels))
        || facts.snapshot.daemon_sets.in_namespace(namespace).any(|d| fits(&d.spec.template.metadata.labels))
        || facts.snapshot.jobs.in_namespace(namespace).any(|j| fits(&j.spec.template.metadata.labels) && !has_ended(j))
}

fn has_ended(job: &Job) -> bool {
    job.status.conditions.iter().any(|c| matches!(&*c.kind, "Complete" | "Failed") && c.is_true())
}

/// The pods a Service selects that have ended.
fn ended<'a>(facts: &Facts<'a>, service: &Service) -> Vec<&'a Pod> {
    let fits = |p: &&Pod| p.is_finished() && service.spec.selector.iter().all(|(k, v)| p.meta.labels.get(k) == Some(v));
    facts.snapshot.pods.in_namespace(&service.meta.namespace).filter(fits).collect()
}

/// What to say of a Service that selects none but those. Nothing where it is in order: a headless Service goes with a Job (its
/// pods find each other by it), and the runs of a CronJob come again.
fn only_ended(facts: &Facts<'_>, service: &Service, selector: &str, ended: &[&Pod]) -> Option<Finding> {
    let first = ended.first()?;
    let of_cron_job = |pod: &&Pod| {
        let job = pod.meta.controller().filter(|owner| &*owner.kind == "Job");
        let job = job.and_then(|job| facts.snapshot.jobs.named(&pod.meta.namespace, &job.name));
        job.is_some_and(|job| job.meta.controller().is_some())
    };
    let headless = service.spec.cluster_ip.as_deref() == Some("None");
    if headless || service.meta.controller().is_some() || ended.iter().any(of_cron_job) {
        return None;
    }
    let of: BTreeSet<String> = ended.iter().map(|pod| facts.snapshot.workload_of(pod).to_string()).collect();
    let of = of.into_iter().collect::<Vec<_>>().join(", ");
    let mut draft = Draft::new(facts, "service-no-endpoints", "Service", &service.meta)
        .says(format!("its selector {selector} matches only pods that have ended ({of}): nothing answers"))
        .fact("selector", selector)
        .severity(Severity::Warning)
        .sure(Confidence::Likely)
        .because(draft::quote(reference(service), EvidenceSource::Spec, "spec.selector", selector, None))
        .because(draft::pod_status(first, "status.phase", &*first.status.phase, None))
        .not("unready pods: those it selects do not run any more");
    if let Some(meant) = meant(facts, service) {
        draft = draft.fact("meant", &meant);
    }
    Some(draft.done())
}

/// A pod that carries one of the selector's keys with another value.
fn nearest<'a>(facts: &Facts<'a>, service: &'a Service) -> Option<&'a Pod> {
    let pods = facts.snapshot.pods.in_namespace(&service.meta.namespace).filter(|p| !p.is_finished());
    pods.filter(|p| service.spec.selector.keys().any(|k| p.meta.labels.contains_key(k)))
        .max_by_key(|p| service.spec.selector.iter().filter(|(k, v)| p.meta.labels.get(*k) == Some(*v)).count())
}

fn none_ready(facts: &Facts<'_>, service: &Service, pods: &[&Pod], out: &mut Output) {
    let Some(first) = pods.first() else { return };
    let unready = first.condition("Ready");
    let since = unready.and_then(|c| c.last_transition_time);
    let due = since.map_or(facts.now, |s| s + TimeDelta::seconds(30));
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    let mut draft = Draft::new(facts, "service-no-endpoints", "Service", &service.meta)
        .says(format!("none of the {} pods it selects is ready", pods.len()))
        .fact("selector", &selector_text(service))
        .since(since)
        .derived();
    if let Some(unready) = unready {
        draft = draft.because(draft::condition(draft::pod_ref(first), unready));
    }
    // What a person would act on is the workload of the pods: the finding folds under its cause.
    let mut finding = draft
        .because(draft::quote(reference(service), EvidenceSource::Spec, "spec.selector", selector_text(service), None))
        .done();
    finding.workload = facts.snapshot.workload_of(first);
    out.findings.push(finding);
}

fn load_balancer(facts: &Facts<'_>, service: &Service, out: &mut Output) {
    if service.spec.kind.as_deref() != Some("LoadBalancer") || !service.status.load_balancer.ingress.is_empty() {
        return;
    }
    let events = facts.snapshot.events_of(KindId::Service, &service.meta);
    let event = events
        .iter()
        .rev()
        .find(|e| matches!(&*e.reason, "SyncLoadBalancerFailed" | "UnAvailableLoadBalancer" | "CreatingLoadBalancerFailed"));
    let says = event.map_or_else(
        || "no load balancer controller has given it an address".to_owned(),
        |e| e.text().trim_end_matches('.').to_owned(),
    );
    let mut draft = Draft::new(facts, "load-balancer-pending", "Service", &service.meta)
        .says(says)
        .because(draft::quote(reference(service), EvidenceSource::Status, "status.loadBalancer.ingress", "(empty)", None))
        .since(service.meta.creation_timestamp);
    if let Some(event) = event {
        draft = draft.because(draft::event(event));
    }
    out.findings.push(draft.done());
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let service = &finding.subject;
    let mut fixes = Vec::new();
    let meant = fact(finding, "meant");
    if !meant.is_empty() {
        fixes.push(patched(
            format!("Select {}", meant.trim_matches(['{', '}']).replace('"', "").replace(':', "=")),
            service,
            &format!(r#"{{"spec":{{"selector":{meant}}}}}"#),
            Risk::Safe,
            "only these pods' labels are so close to the selector",
        ));
    }
    let selector = fact(finding, "selector");
    if !selector.is_empty() {
        let command = kubectl(&service.namespace, format!("get pods -l {}", quoted(selector)));
        fixes.push(fix("List the pods it selects", command, Risk::Safe, "their own state is the cause, or there is none"));
    }
    fixes.push(describe(service, "selector, endpoints and events"));
    if finding.cause.0 == "service-no-endpoints" && !finding.derived {
        fixes.push(edit(finding, "Correct the selector", format!("it is {selector} now")));
    }
    fixes
}
