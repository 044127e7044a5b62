//! `cpu-throttled`: a container that wants more CPU than its limit lets it have.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Evidence, EvidenceRequest, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, edit, fact, fix, kubectl, quoted, set_resource};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pods::ProbeKind;
use crate::diagnosis::rules::probes::failure::{self, Failure};
use crate::diagnosis::rules::{logs, pattern::Pattern, pods};
use crate::kinds::pod_spec::Container;
use crate::kinds::pods::{ContainerRole, ContainerView, Pod};
use crate::kinds::{KindId, Row};
use crate::snapshot::{Throttling, Usage, UsageKey};
use crate::text::cores;

/// The rule.
pub static CPU_THROTTLED: Rule = Rule {
    name: "cpu-throttled",
    causes: &[CauseId("cpu-throttled")],
    doc: "\
What it detects
  A container that was held back at its CPU limit in more than a quarter of the periods in which it wanted to run, over at least
  3000 periods (5 minutes of being busy); without those counters, one that used 95 % of its limit for 5 minutes.
Reads
  spec.containers[*].resources.limits.cpu; container_cpu_cfs_throttled_periods_total and container_cpu_cfs_periods_total of the
  kubelet (GET /api/v1/nodes/NODE/proxy/metrics/cadvisor, needs nodes/proxy), between two looks, else since the container's start.
  They are asked for only for suspected pods (80 % of the limit used, probes that time out, workers that time out), at most six
  pods in five minutes: the answer holds the whole node.
Source
  The kernel's CFS bandwidth control: a period is 100 ms. It strikes at low average use too, when many threads run at once.
Look-alikes
  A busy start-up, which is over before 3000 periods are. A node without free CPU slows pods down without throttling them.
Fixes
  Raise or remove the CPU limit; fewer threads or workers than the limit has cores do not throttle each other.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

const BUSY_PERIODS: f64 = 3000.0;
const SHARE: f64 = 0.25;
/// How often a suspect is looked at again, in seconds.
const ROUND: i64 = 300;
/// Samples of five minutes.
const LATELY: usize = 20;
static WORKERS: Pattern = Pattern::new(r"WORKER TIMEOUT \(pid:");

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row).filter(|pod| pod.spec.containers.iter().any(|c| c.resources.limits.contains_key("cpu")))
    else {
        return;
    };
    let mut suspected = false;
    for view in pod.containers().filter(|v| v.role == ContainerRole::Main && v.status.state.running.is_some()) {
        let name = &*view.status.name;
        let Some(container) = pod.spec.container(name) else { continue };
        let Some(limit) = container.resources.limit("cpu").filter(|limit| *limit > 0.0) else { continue };
        let usage = facts.snapshot.usage.get(&key(pod, name));
        match counters(facts, pod, container).and_then(|counters| counters.share(BUSY_PERIODS)) {
            Some((held, periods)) if periods >= BUSY_PERIODS && held / periods >= SHARE => {
                out.findings.push(throttled(facts, pod, container, (held, periods)));
            }
            Some(_) => {}
            None => out.findings.extend(usage.and_then(|usage| at_limit(facts, pod, container, usage, limit))),
        }
        suspected |= is_suspect(facts, pod, view, usage, limit);
    }
    if let Some(node) = pod.node_name.clone().filter(|_| suspected) {
        let (namespace, name) = (pod.meta.namespace.clone(), pod.meta.name.clone());
        let round = facts.now.timestamp().div_euclid(ROUND);
        out.requests.push(EvidenceRequest::Throttling { namespace, pod: name, node, round });
    }
}

fn key(pod: &Pod, container: &str) -> UsageKey {
    UsageKey { namespace: pod.meta.namespace.clone(), pod: pod.meta.name.clone(), container: container.into() }
}

/// The container's counters; those of the whole pod when it has only this container and the kubelet knows no better.
fn counters<'a>(facts: &Facts<'a>, pod: &Pod, container: &Container) -> Option<&'a Throttling> {
    let known = &facts.snapshot.throttling;
    let alone = pod.spec.containers.len() == 1;
    known.get(&key(pod, &container.name)).or_else(|| known.get(&key(pod, "")).filter(|_| alone))
}

/// True when something about it looks as if CPU were short.
fn is_suspect(facts: &Facts<'_>, pod: &Pod, view: ContainerView<'_>, usage: Option<&Usage>, limit: f64) -> bool {
    let name = &*view.status.name;
    let busy = usage.and_then(Usage::last).is_some_and(|(_, cpu, _)| cpu >= limit * 0.8);
    let since = facts.now - TimeDelta::minutes(10);
    let slow_probe = || {
        [ProbeKind::Liveness, ProbeKind::Readiness]
            .into_iter()
            .filter_map(|kind| failure::newest(facts, pod, name, kind, Some(since)))
            .any(|event| Failure::parse(event.text()) == Failure::Timeout)
    };
    let slow_workers = || {
        let log = logs::known(facts, pod, name).filter(|log| !log.previous);
        log.is_some_and(|log| log.lines.iter().any(|l| WORKERS.is_match(&l.text)))
    };
    busy || slow_probe() || slow_workers()
}

fn base(facts: &Facts<'_>, pod: &Pod, container: &Container) -> Draft {
    let limit = written(container);
    Draft::pod(facts, "cpu-throttled", pod).container(&container.name).fact("limit", &limit)
}

fn written(container: &Container) -> String {
    container.resources.limits.get("cpu").map(|q| q.0.to_string()).unwrap_or_default()
}

fn limit_quote(pod: &Pod, container: &Container) -> Evidence {
    let path = pod.spec.container_path(&container.name);
    draft::pod_spec(pod, format!("{path}.resources.limits.cpu"), written(container))
}

fn throttled(facts: &Facts<'_>, pod: &Pod, container: &Container, (held, periods): (f64, f64)) -> Finding {
    let at = counters(facts, pod, container).and_then(|c| c.last).map(|(at, ..)| at);
    let counted = format!("{held:.0} of {periods:.0} periods throttled");
    base(facts, pod, container)
        .says(format!(
            "container {} is held back at its CPU limit {} in {:.0} % of its periods",
            container.name,
            written(container),
            held / periods * 100.0
        ))
        .because(draft::quote(
            draft::pod_ref(pod),
            EvidenceSource::Metric,
            format!("container_cpu_cfs_throttled_periods_total of container {}", container.name),
            counted,
            at,
        ))
        .because(limit_quote(pod, container))
        .not("a node short of CPU: throttling is the container's own limit")
        .done()
}

/// Without counters: at its limit for five minutes.
fn at_limit(facts: &Facts<'_>, pod: &Pod, container: &Container, usage: &Usage, limit: f64) -> Option<Finding> {
    let lately = usage.newest_first().take(LATELY);
    if usage.len() < LATELY || !lately.clone().all(|(_, cpu, _)| cpu >= limit * 0.95) {
        return None;
    }
    let (at, cpu, _) = usage.last()?;
    let field = format!("CPU of container {}", container.name);
    Some(
        base(facts, pod, container)
            .sure(Confidence::Likely)
            .says(format!("container {} has used all of its CPU limit {} for 5 minutes", container.name, written(container)))
            .because(draft::quote(draft::pod_ref(pod), EvidenceSource::Metric, field, cores(cpu), Some(at)))
            .because(limit_quote(pod, container))
            .since(lately.last().map(|(at, ..)| at))
            .done(),
    )
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let (container, limit) = (fact(finding, "container"), fact(finding, "limit"));
    let mut fixes = Vec::new();
    if let Some(now) = crate::text::quantity(limit).filter(|_| can_roll_out(workload)) {
        let more = format!("{:.0}m", (now * 2000.0).ceil());
        let why = format!("it wants more than {limit}; the pods are replaced one by one");
        let title = format!("Raise the CPU limit of {container} to {more}");
        fixes.push(set_resource(facts, (workload, container), ("limits", "cpu"), &more, (title, why)));
    } else {
        fixes.push(edit(finding, "Raise its CPU limit", format!("it wants more than {limit}")));
    }
    let top = kubectl(&finding.subject.namespace, format!("top pod {} --containers", quoted(&finding.subject.name)));
    fixes.push(fix("Watch its CPU", top, Risk::Safe, "throttling strikes below the limit too, when many threads run at once"));
    fixes
}
