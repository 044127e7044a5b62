//! What the cluster's own services explain: lookups that fail because the cluster DNS is down, autoscalers and deletions that wait
//! for an aggregated API.

use super::suppress::is_specific_of_pods;
use super::{Found, Group, is_generic};
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::rules::network::dns::TRANSIENT;
use crate::kinds::ObjectRef;

/// Puts what cannot resolve names under the incident of the cluster DNS, and that under its own workload's cause if it has one.
pub(super) fn behind_dns(groups: &mut Vec<Group<'_>>) {
    let says_so = |f: &Found<'_>| f.finding.cause.0 == "dns-failing" && &*f.finding.subject.kind == "Service";
    let Some(at) = groups.iter().position(|g| g.members.iter().any(says_so)) else { return };
    let mut dns = groups.remove(at);
    let servers: Vec<ObjectRef> = dns.workloads().cloned().collect();
    let down = dns.members.iter().any(|f| says_so(f) && f.finding.confidence == Confidence::Certain);
    let mut root: Option<usize> = None;
    for (index, group) in groups.iter_mut().enumerate() {
        let clients = group.members.extract_if(.., |f| is_client(f.finding, down)).collect::<Vec<_>>();
        dns.members.extend(clients);
        let about_servers = |f: &Found<'_>| servers.contains(&f.finding.workload);
        if group.members.iter().any(|f| about_servers(f) && is_specific_of_pods(f.finding)) {
            root = root.or(Some(index));
        } else {
            let vague = |f: &Found<'_>| is_generic(f.finding) || f.finding.cause.0 == "readiness-probe-fails";
            let own = group.members.extract_if(.., |f| about_servers(f) && vague(f)).collect::<Vec<_>>();
            dns.symptoms.extend(own);
        }
    }
    match root.and_then(|index| groups.get_mut(index)) {
        Some(group) => group.symptoms.extend(dns.members.into_iter().chain(dns.symptoms)),
        None => groups.push(dns),
    }
    groups.retain(|group| !group.members.is_empty());
    groups.sort_by(|a, b| a.id.cmp(&b.id));
}

/// True for a lookup that failed: with the DNS down any, else only those that say that nobody answered.
fn is_client(finding: &Finding, down: bool) -> bool {
    let lookup = match finding.cause.0 {
        "database-host-unknown" => true,
        "dependency-unreachable" => finding.summary.contains("does not resolve"),
        _ => false,
    };
    lookup && (down || finding.evidence.iter().any(|quote| TRANSIENT.is_match(&quote.text)))
}

/// Puts autoscalers without metrics and namespaces that wait for an API under the incident that holds that API's failure.
pub(super) fn behind_api_services(groups: &mut Vec<Group<'_>>) {
    let apis: Vec<(usize, String)> = groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| {
            let all = group.members.iter().chain(&group.symptoms);
            let down = all.filter(|f| f.finding.cause.0 == "api-service-unavailable");
            down.map(move |f| (index, f.finding.subject.name.to_string()))
        })
        .collect();
    if apis.is_empty() {
        return;
    }
    let mut moved: Vec<(usize, Found<'_>)> = Vec::new();
    for (index, group) in groups.iter_mut().enumerate() {
        let behind = |f: &Found<'_>| apis.iter().find(|(at, name)| *at != index && waits_for(f.finding, name)).map(|(at, _)| *at);
        group.members.retain(|found| {
            let target = behind(found);
            moved.extend(target.map(|at| (at, *found)));
            target.is_none()
        });
    }
    for (at, found) in moved {
        if let Some(group) = groups.get_mut(at) {
            group.symptoms.push(found);
        }
    }
    groups.retain(|group| !group.members.is_empty());
}

/// True when what the finding says waits for that API, `v1beta1.metrics.k8s.io`.
fn waits_for(finding: &Finding, api: &str) -> bool {
    let Some((_, group)) = api.split_once('.') else { return false };
    match finding.cause.0 {
        "hpa-no-metrics" => {
            let which = match group {
                "metrics.k8s.io" => "resource metrics API",
                "custom.metrics.k8s.io" => "custom metrics API",
                "external.metrics.k8s.io" => "external metrics API",
                _ => return false,
            };
            finding.evidence.iter().any(|quote| quote.text.contains(which))
        }
        "namespace-terminating" => finding.evidence.iter().any(|quote| quote.text.contains(group)),
        _ => false,
    }
}
