//! `memory-near-limit`, `memory-oversized`: what a container uses against what it was given.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, edit, fact, fix, kubectl, quoted, target, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::kinds::pods::{ContainerRole, ContainerView, Pod};
use crate::kinds::{KindId, Row};
use crate::snapshot::{Usage, UsageKey};
use crate::text::{Time, bytes, duration};

/// The rule.
pub static NEAR_LIMIT: Rule = Rule {
    name: "memory-near-limit",
    causes: &[CauseId("memory-near-limit")],
    doc: "\
What it detects
  A running container whose working set is at 90 % of its memory limit or above, and was above 85 % for the last 5 minutes: the
  next OOM kill. Page cache in it does not count where it was measured. One sample alone counts of a container that has run for
  ten minutes, and the finding says that it is one.
Reads
  spec.containers[*].resources.limits.memory; the working set from metrics-server or the kubelet, every 15 seconds (a bundle
  holds one sample: metrics-resource, stats/summary or PodMetrics); page cache from cAdvisor's metrics or the summary's rssBytes.
Source
  The kernel kills at the limit, and the working set is what it cannot simply drop (kubelet stats: workingSetBytes).
Look-alikes
  A short peak. A container that was OOM-killed already is oom-killed. Active page cache counts as working set, and databases live
  close to their limit by design: without a measure of it one sample of a database says nothing, and this is likely, not certain.
Fixes
  Raise the limit (the request with it) before the kernel decides; look for a leak when it only ever climbs.
",
    subject: KindId::Pod,
    needs: &[],
    check: near_limit,
    fixes: near_limit_fixes,
};

/// Advice, no incident.
pub static OVERSIZED: Rule = Rule {
    name: "memory-oversized",
    causes: &[CauseId("memory-oversized")],
    doc: "\
What it detects
  A memory request of 256 MiB or more of which a container used less than a fifth over at least half an hour: money, not an
  incident. Shown by X on the pod or its workload, never in the list of incidents.
Reads
  spec.containers[*].resources.requests.memory; the working set over the time k3am has watched it.
Source
  The scheduler reserves the request, used or not.
Look-alikes
  A container that is idle now and busy at noon: half an hour is not a day. One sample proves nothing.
Fixes
  Lower the request to about twice the peak, after a look at a whole day.
",
    subject: KindId::Pod,
    needs: &[],
    check: oversized,
    fixes: oversized_fixes,
};

/// How many samples speak for the last five minutes at one in 15 seconds.
const LATELY: usize = 20;
/// Fewer samples are no history.
const FEW: usize = 3;
/// Programs that fill their memory with page cache on purpose.
static DATABASE: Pattern = Pattern::new(
    r"(?i)postgres|mysql|mariadb|percona|mongo|elastic|opensearch|clickhouse|cassandra|scylla|cockroach|timescale|influx|prometheus|victoria|loki|kafka|redpanda|etcd|minio",
);
const WATCHED: TimeDelta = TimeDelta::minutes(30);
const MIN_SAMPLES: usize = 30;
const MIB: f64 = 1024.0 * 1024.0;

/// Running main containers with their usage.
fn used<'a>(facts: &Facts<'a>, pod: &'a Pod) -> impl Iterator<Item = (ContainerView<'a>, &'a Usage)> {
    let snapshot = facts.snapshot;
    pod.containers().filter(|v| v.role != ContainerRole::Ephemeral && v.status.state.running.is_some()).filter_map(move |view| {
        let key =
            UsageKey { namespace: pod.meta.namespace.clone(), pod: pod.meta.name.clone(), container: view.status.name.clone() };
        Some((view, snapshot.usage.get(&key)?))
    })
}

/// A measured memory value as evidence.
fn measured(pod: &Pod, container: &str, value: f64, at: Time) -> crate::diagnosis::finding::Evidence {
    draft::quote(draft::pod_ref(pod), EvidenceSource::Metric, format!("memory of container {container}"), bytes(value), Some(at))
}

fn near_limit(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) =
        pods::live_pod(row).filter(|pod| pod.spec.containers.iter().any(|c| c.resources.limits.contains_key("memory")))
    else {
        return;
    };
    for (view, usage) in used(facts, pod) {
        let name = &*view.status.name;
        let Some(container) = pod.spec.container(name) else { continue };
        let Some(limit) = container.resources.limit("memory").filter(|limit| *limit > 0.0) else { continue };
        let Some((at, _, memory)) = usage.last() else { continue };
        let key =
            UsageKey { namespace: pod.meta.namespace.clone(), pod: pod.meta.name.clone(), container: view.status.name.clone() };
        let cache = facts.snapshot.page_cache.get(&key).copied();
        let lately = usage.newest_first().take(LATELY);
        let held = lately.clone().all(|(_, _, memory)| memory >= limit * 0.85);
        if memory - cache.unwrap_or_default() < limit * 0.9 || !held || at + TimeDelta::minutes(10) < facts.now {
            continue;
        }
        let once = usage.len() < FEW;
        let started = view.status.state.running.as_ref().and_then(|run| run.started_at);
        let settled = started.is_none_or(|started| started + TimeDelta::minutes(10) <= at);
        if once && (!settled || cache.is_none() && DATABASE.is_match(&container.image)) {
            continue;
        }
        let written = container.resources.limits.get("memory").map(|q| q.0.to_string()).unwrap_or_default();
        let since = lately.last().map(|(at, ..)| at);
        out.findings.push(
            Draft::pod(facts, "memory-near-limit", pod)
                .container(name)
                .sure(if once && cache.is_none() { Confidence::Possible } else { Confidence::Likely })
                .says(format!(
                    "container {name} uses {} of its memory limit {written} ({:.0} %{}): the next peak is an OOM kill",
                    bytes(memory),
                    memory / limit * 100.0,
                    if once { ", one sample" } else { "" }
                ))
                .fact("limit", &written)
                .because(measured(pod, name, memory, at))
                .because(draft::pod_spec(pod, format!("{}.resources.limits.memory", pod.spec.container_path(name)), written))
                .not("an OOM kill: none has happened in this run")
                .since(since)
                .done(),
        );
    }
}

/// Half as much again, in whole MiB.
fn raised(limit: &str) -> Option<String> {
    let bytes = crate::text::quantity(limit)?;
    (bytes > 0.0).then(|| format!("{:.0}Mi", (bytes * 1.5 / MIB).ceil().max(64.0)))
}

fn near_limit_fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let container = fact(finding, "container");
    let mut fixes = Vec::new();
    if let Some(limit) = raised(fact(finding, "limit")).filter(|_| can_roll_out(workload)) {
        let command = kubectl(
            &workload.namespace,
            format!("set resources {} -c {} --limits=memory={limit}", target(workload), quoted(container)),
        );
        let why = format!("it is close to {}; the pods are replaced one by one", fact(finding, "limit"));
        let raise = fix(format!("Raise the memory limit of {container} to {limit}"), command, Risk::Disruptive, why);
        let intent = Intent::SetMemoryLimit { workload: workload.clone(), container: container.to_owned(), limit };
        fixes.push(with_action(raise, intent));
    }
    let top = kubectl(&finding.subject.namespace, format!("top pod {} --containers", quoted(&finding.subject.name)));
    fixes.push(fix("Watch its memory", top, Risk::Safe, "a steady climb is a leak: a higher limit only delays it"));
    fixes
}

fn oversized(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    for (view, usage) in used(facts, pod) {
        let name = &*view.status.name;
        let Some(container) = pod.spec.container(name) else { continue };
        let Some(request) = container.resources.request("memory").filter(|request| *request >= 256.0 * MIB) else { continue };
        let (Some((first, ..)), Some((last, ..))) = (usage.first(), usage.last()) else { continue };
        let Some(peak) = usage.newest_first().max_by(|a, b| a.2.total_cmp(&b.2)) else { continue };
        if usage.len() < MIN_SAMPLES || last - first < WATCHED || peak.2 > request * 0.2 {
            continue;
        }
        let written = container.resources.requests.get("memory").map(|q| q.0.to_string()).unwrap_or_default();
        out.findings.push(
            Draft::pod(facts, "memory-oversized", pod)
                .container(name)
                .sure(Confidence::Likely)
                .says(format!(
                    "container {name} requests {written} of memory and used at most {} in {}",
                    bytes(peak.2),
                    duration(last - first)
                ))
                .fact("request", &format!("{:.0}Mi", (peak.2 * 2.0 / MIB).ceil().max(64.0)))
                .because(measured(pod, name, peak.2, peak.0))
                .because(draft::pod_spec(pod, format!("{}.resources.requests.memory", pod.spec.container_path(name)), written))
                .done(),
        );
    }
}

fn oversized_fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    if !can_roll_out(workload) {
        return vec![edit(finding, "Lower its memory request", "after a look at a whole day")];
    }
    let (container, request) = (fact(finding, "container"), fact(finding, "request"));
    let command = kubectl(
        &workload.namespace,
        format!("set resources {} -c {} --requests=memory={request}", target(workload), quoted(container)),
    );
    let why = "twice the peak that was seen; look at a whole day before";
    vec![fix(format!("Lower the memory request of {container} to {request}"), command, Risk::Disruptive, why)]
}
