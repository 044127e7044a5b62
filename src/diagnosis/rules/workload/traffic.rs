//! `error-rate-high`, `latency-high`: what access logs say about the requests of the last minutes.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::access_log::{self, Request};
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{self, fact, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs;
use crate::diagnosis::rules::pods;
use crate::kinds::pod_spec::Container;
use crate::kinds::pods::{ContainerRole, ContainerView, Pod};
use crate::kinds::{KindId, Row};
use crate::snapshot::LogLine;
use crate::text::duration;

/// The rule.
pub static TRAFFIC: Rule = Rule {
    name: "traffic",
    causes: &[CauseId("error-rate-high"), CauseId("latency-high")],
    doc: "\
What it detects
  A running container whose access log of the last 5 minutes shows more than 1 % of requests answered 5xx, or more than 5 % of
  those that carry a duration above 500 ms (or 5 lines that complain of slow requests above that, and of more than 10 %).
Reads
  The log of one pod of each workload that stands behind a Service (a sample of at most 32 workloads, again every 5 minutes),
  and of pods that are looked at for other reasons: lines of uvicorn, gunicorn, nginx, Apache, Envoy, Traefik, Caddy, gin,
  morgan, Rails and JSON loggers. Probe paths of the container and user agents of probes, load balancers and scrapers do not count.
Source
  The formats' documentation and lines produced by running them (failures.md, access-log-5xx). Default lines of uvicorn, gunicorn
  and nginx carry no duration: none is guessed.
Look-alikes
  A few requests: 1 % counts from 100 requests on, below that 5 errors and 5 % are needed. 4xx is the caller's doing. A readiness
  probe that answers 503 is readiness-probe-fails. While the container crashes, the crash is the cause.
Fixes
  The failing path's own error in the log; the dependency it names; undo the rollout that brought it.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

/// How far back requests count.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// A log whose last line is older says nothing about now.
const FRESH: TimeDelta = TimeDelta::minutes(10);
/// Responses above this are slow, in milliseconds.
const SLOW_MS: f64 = 500.0;

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row).filter(|pod| &*pod.status.phase == "Running") else { return };
    let running = |v: &ContainerView<'_>| v.role == ContainerRole::Main && v.status.state.running.is_some();
    for view in pod.containers().filter(running) {
        let name = &*view.status.name;
        let Some(container) = pod.spec.container(name) else { continue };
        logs::sample(facts, pod, &view, out);
        let Some(log) = logs::known(facts, pod, name).filter(|log| !log.previous) else { continue };
        let requests = recent(facts, container, &log.lines);
        out.findings.extend(errors(facts, pod, name, &requests));
        out.findings.extend(slowness(facts, pod, name, &requests));
    }
}

/// Requests of the last minutes with their lines, without those of probes.
fn recent<'a>(facts: &Facts<'_>, container: &Container, lines: &[&'a LogLine]) -> Vec<(&'a LogLine, Request)> {
    let newest = lines.iter().rev().find_map(|line| line.at);
    if newest.is_some_and(|newest| newest + FRESH < facts.now) {
        return Vec::new();
    }
    let probes: Vec<String> = [&container.liveness_probe, &container.readiness_probe, &container.startup_probe]
        .into_iter()
        .filter_map(|probe| probe.as_ref()?.http_get.as_ref())
        .filter_map(|get| Some(format!("GET {}", get.path.as_deref()?.split('?').next()?)))
        .filter(|what| what != "GET /")
        .collect();
    let in_window = |line: &&&LogLine| line.at.zip(newest).is_none_or(|(at, newest)| at + WINDOW >= newest);
    lines
        .iter()
        .filter(in_window)
        .filter_map(|line| Some((*line, access_log::parse(&line.text)?)))
        .filter(|(_, request)| !request.is_check && !probes.contains(&request.what))
        .collect()
}

fn errors(facts: &Facts<'_>, pod: &Pod, container: &str, requests: &[(&LogLine, Request)]) -> Option<Finding> {
    let answered: Vec<_> = requests.iter().filter_map(|(line, r)| Some((*line, r, r.status?))).collect();
    let failed: Vec<_> = answered.iter().filter(|(_, _, status)| *status >= 500).collect();
    let share = failed.len() as f64 / answered.len().max(1) as f64;
    let enough = if answered.len() >= 100 { failed.len() >= 3 && share > 0.01 } else { failed.len() >= 5 && share >= 0.05 };
    if !enough {
        return None;
    }
    let mostly = most(failed.iter().map(|(_, request, status)| format!("{status} on {}", request.what)));
    let (first, last) = (failed.first()?, failed.last()?);
    let counted = format!("{} of {} requests answered 5xx{}", failed.len(), answered.len(), span(requests));
    Some(
        Draft::pod(facts, "error-rate-high", pod)
            .container(container)
            .sure(Confidence::Certain)
            .says(format!("{} of its requests fail: {counted}, mostly {mostly}", percent(share)))
            .fact("grep", "\" 5[0-9][0-9]")
            .because(draft::log_line(draft::pod_ref(pod), container, false, last.0))
            .because(counts(pod, container, counted, last.0))
            .not("the probes: their requests are not counted")
            .since(first.0.at)
            .done(),
    )
}

fn slowness(facts: &Facts<'_>, pod: &Pod, container: &str, requests: &[(&LogLine, Request)]) -> Option<Finding> {
    let timed: Vec<_> = requests.iter().filter_map(|(line, r)| Some((*line, r, r.millis?))).collect();
    let slow: Vec<_> = timed.iter().filter(|(_, _, millis)| *millis > SLOW_MS).collect();
    let complaints = slow.iter().filter(|(_, request, _)| request.status.is_none()).count();
    let share = slow.len() as f64 / timed.len().max(1) as f64;
    let all_timed = timed.iter().filter(|(_, request, _)| request.status.is_some()).count() >= 20;
    // A slow request that is complained of has an access line of its own, without a duration.
    let answered = requests.iter().filter(|(_, request)| request.status.is_some()).count();
    let often = complaints >= 5 && complaints as f64 > answered as f64 * 0.1;
    if !(all_timed && share > 0.05 || often) {
        return None;
    }
    let mostly = most(slow.iter().map(|(_, request, _)| request.what.clone()));
    let slowest = slow.iter().max_by(|a, b| a.2.total_cmp(&b.2))?;
    let worst = format!("{:.1} s", slowest.2 / 1000.0);
    let counted = if all_timed {
        format!("{} of {} requests took longer than 500 ms{}", slow.len(), timed.len(), span(requests))
    } else {
        let of = if answered > 0 { format!("of {answered} requests {complaints}") } else { format!("{complaints} requests") };
        format!("{of} are complained of as slow{}", span(requests))
    };
    Some(
        Draft::pod(facts, "latency-high", pod)
            .container(container)
            .sure(Confidence::Certain)
            .says(format!("it answers slowly: {counted}, mostly {mostly}, up to {worst}"))
            .because(draft::log_line(draft::pod_ref(pod), container, false, slowest.0))
            .because(counts(pod, container, counted, slow.last()?.0))
            .since(slow.first()?.0.at)
            .done(),
    )
}

/// What was counted over the lines, as evidence of its own.
fn counts(pod: &Pod, container: &str, counted: String, last: &LogLine) -> crate::diagnosis::finding::Evidence {
    draft::quote(draft::pod_ref(pod), EvidenceSource::Log, format!("container {container}, current, counted"), counted, last.at)
}

fn span(requests: &[(&LogLine, Request)]) -> String {
    let times = || requests.iter().filter_map(|(line, _)| line.at);
    match times().min().zip(times().max()) {
        Some((first, last)) if last - first >= TimeDelta::seconds(1) => format!(" within {}", duration(last - first)),
        _ => String::new(),
    }
}

/// The most frequent of the names; of equals the first by name.
fn most(names: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    let best = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    best.map(|(name, _)| crate::text::ellipsis(&name, 80)).unwrap_or_default()
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let mut fixes = Vec::new();
    let pod = &finding.subject;
    let container = quoted(fact(finding, "container"));
    let errors = finding.cause.0 == "error-rate-high";
    let wanted = if errors { r#"'" 5[0-9][0-9]|rror|xception'"# } else { "'slow|took|[0-9] ?ms|rt='" };
    fixes.push(fix(
        "Read what happens around them",
        kubectl(&pod.namespace, format!("logs {} -c {container} --since=10m | grep -E -B5 {wanted}", quoted(&pod.name))),
        Risk::Safe,
        if errors {
            "the error behind a 5xx stands in front of its access line"
        } else {
            "which paths are slow tells what they wait for"
        },
    ));
    if !errors {
        let top = kubectl(&pod.namespace, format!("top pod {} --containers", quoted(&pod.name)));
        fixes.push(fix("See whether it is short of CPU", top, Risk::Safe, "a container at its CPU limit answers late"));
    }
    fixes.extend(commands::restart(finding, "only when the log shows a state that a fresh start cures"));
    fixes
}
