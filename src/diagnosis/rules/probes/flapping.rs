//! `readiness-flapping`: ready and unready in turns.

use chrono::TimeDelta;

use super::failure::{self, Failure};
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{edit, fix, kubectl, quoted, read_log};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pods::{self, ProbeKind};
use crate::kinds::events::Event;
use crate::kinds::pods::{ContainerRole, ContainerView, Pod};
use crate::kinds::{KindId, Row};
use crate::text::{self, Time};

/// The rule.
pub static FLAPPING: Rule = Rule {
    name: "readiness-flapping",
    causes: &[CauseId("readiness-flapping")],
    doc: "\
What it detects
  A pod whose readiness probe fails and succeeds in turns without a restart: it leaves its Services and comes back, and clients see
  errors each time.
Reads
  Events Unhealthy \"Readiness probe failed\" since the container started: how often, from when to when; lastTransitionTime of the
  condition Ready; the probe's period and failureThreshold.
Source
  pkg/kubelet/prober/worker.go: failureThreshold failures in a row make it unready, one success (successThreshold) ready again.
Look-alikes
  A probe that fails from the start until the application is up, or in one stretch until it recovered, fails once every period:
  flapping has gaps. A single failure now and then takes no pod out of its Service.
Fixes
  Give the probe more time, the application more room; do not ask a dependency in the probe.
",
    subject: KindId::Pod,
    needs: &[KindId::Event],
    check,
    fixes,
};

/// A pod that has been quiet for this long has settled.
const SETTLED: TimeDelta = TimeDelta::minutes(10);
/// Shorter spans cannot tell flapping from one outage.
const SPAN: TimeDelta = TimeDelta::minutes(2);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pod.is_finished() || pods::on_dead_node(facts, pod) || !pods::endings(facts, pod, &mut Output::default()).is_empty() {
        return;
    }
    for view in pod.containers().filter(|v| matches!(v.role, ContainerRole::Main | ContainerRole::Sidecar)) {
        let Some(started) = view.status.state.running.as_ref().and_then(|r| r.started_at) else { continue };
        if let Some(finding) = find(facts, pod, view, started, out) {
            out.findings.push(finding);
        }
    }
}

/// Failures of the readiness probe since the container started.
struct Failures<'a> {
    newest: &'a Event,
    times: i32,
    first: Time,
    last: Time,
}

fn failures<'a>(facts: &Facts<'a>, pod: &Pod, container: &str, started: Time) -> Option<Failures<'a>> {
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    let failed: Vec<&Event> = events
        .into_iter()
        .filter(|e| {
            matches!(&*e.reason, "Unhealthy" | "ProbeError")
                && e.container().is_none_or(|c| c == container)
                && e.text().starts_with(ProbeKind::Readiness.word())
                && e.first_seen().is_none_or(|t| t >= started)
        })
        .collect();
    let newest = failed.last().copied()?;
    let first = failed.iter().filter_map(|e| e.first_seen()).min()?;
    Some(Failures { newest, times: failed.iter().map(|e| e.times()).sum(), first, last: newest.last_seen()? })
}

fn find(facts: &Facts<'_>, pod: &Pod, view: ContainerView<'_>, started: Time, out: &mut Output) -> Option<Finding> {
    let name = &view.status.name;
    let container = pod.spec.container(name)?;
    let probe = failure::spec(container, ProbeKind::Readiness)?;
    let failed = failures(facts, pod, name, started)?;
    let turned = pod.condition("Ready")?.last_transition_time?;
    if facts.now > failed.last.max(turned) + SETTLED {
        return None;
    }
    out.recheck_at(failed.last.max(turned) + SETTLED);
    let period = TimeDelta::seconds(probe.period_seconds.unwrap_or(10).max(1));
    let threshold = i32::try_from(probe.failure_threshold.unwrap_or(3).max(1)).unwrap_or(i32::MAX);
    let span = failed.last - failed.first;
    // It must have been out of service at least twice: once before it last turned.
    if failed.times < threshold.saturating_mul(2) || span < SPAN || failed.first + period >= turned || turned <= started {
        return None;
    }
    // In one long outage every probe of the span fails.
    let probes = span.num_seconds() / period.num_seconds() + 1;
    if i64::from(failed.times) * 10 > probes * 7 {
        return None;
    }
    // Unready now for as long as its thresholds take: it fails, it does not flap.
    if !view.status.ready && facts.now > turned + period * (threshold + 1) {
        return None;
    }
    let what = Failure::parse(failed.newest.text()).words();
    let field = format!("{}.readinessProbe", pod.spec.container_path(name));
    Some(
        Draft::pod(facts, "readiness-flapping", pod)
            .container(name)
            .says(format!(
                "container {name} is ready and unready in turns: its readiness probe failed {} times in {}, {what}",
                failed.times,
                text::duration(span)
            ))
            .sure(Confidence::Likely)
            .fact("timeout", &probe.timeout_seconds.unwrap_or(1).to_string())
            .because(draft::event(failed.newest))
            .because_all(pod.condition("Ready").map(|c| draft::condition(draft::pod_ref(pod), c)))
            .because(draft::pod_spec(pod, field, failure::describe(probe)))
            .not("one outage: the probe succeeded in between")
            .since(Some(failed.first))
            .done(),
    )
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let mut fixes = Vec::from_iter(read_log(finding, false));
    let look = kubectl(&finding.subject.namespace, format!("top pod {} --containers", quoted(&finding.subject.name)));
    fixes.push(fix("See how much CPU and memory it uses", look, Risk::Safe, "a saturated container answers its probe too late"));
    let why = "when the application is only slow now and then: a longer timeout or a higher failureThreshold";
    fixes.push(edit(finding, "Give the readiness probe more time", why));
    fixes
}
