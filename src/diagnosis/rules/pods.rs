//! What several rules ask about pods: is it before its first start, does a container crash now, and how did it end.
//!
//! Invariant: [`endings`] is the one place that decides whether a container counts as crashing, so that rules exclude each other.

use chrono::TimeDelta;

use super::pattern::Pattern;
use crate::diagnosis::rule::{Facts, Output};
use crate::kinds::events::Event;
use crate::kinds::pods::{ContainerRole, ContainerView, Pod, Terminated};
use crate::kinds::{Condition, KindId, Row};
use crate::text::Time;

/// How a crashing container's last run ended, from the strongest fact to the weakest.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// The runtime could not start it (`StartError`, exit 128): the message tells why.
    StartFailed,
    /// `OOMKilled`.
    OutOfMemory,
    /// The kubelet killed it for a probe; the event that says so, unless events have expired and only the time it lived tells.
    Probe(Option<&'a Event>, ProbeKind),
    /// postStart failed, so the kubelet killed it.
    Hook(&'a Event),
    /// Exit 0.
    Zero,
    /// Any other exit code.
    Code(i32),
}

/// Which probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// Kills.
    Liveness,
    /// Kills, before the first success.
    Startup,
    /// Takes out of Services.
    Readiness,
}

impl ProbeKind {
    /// `Liveness`, as the kubelet's events begin.
    pub fn word(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
        }
    }
}

/// A container that crashes now.
#[derive(Debug, Clone)]
pub struct Ending<'a> {
    /// Which.
    pub view: ContainerView<'a>,
    /// The run that ended.
    pub run: &'a Terminated,
    /// Its field path.
    pub field: String,
    /// How it ended.
    pub end: End<'a>,
    /// True when the ended run's log is the previous one.
    pub previous: bool,
    /// When this episode began: the first failure that objects still tell of, not the last restart.
    pub since: Option<Time>,
}

impl Ending<'_> {
    /// The container's name.
    pub fn name(&self) -> &str {
        &self.view.status.name
    }
}

static LIVENESS: Pattern = Pattern::new(r"failed liveness probe");
static STARTUP: Pattern = Pattern::new(r"failed startup probe");
static HOOK: Pattern = Pattern::new(r"PostStartHook|post ?start");

/// True while no container has been started in this pod, or none since its sandbox was lost (the node was restarted): sandbox,
/// volumes and images come first.
pub fn is_before_start(pod: &Pod) -> bool {
    let sandbox = pod.condition("PodReadyToStartContainers");
    let lost = sandbox.is_some_and(|c| &*c.status == "False");
    pod.node_name.is_some()
        && sandbox.is_none_or(|c| !c.is_true())
        && pod.containers().all(|c| {
            // A container that is created anew after it ran says `ContainerCreating` only when its sandbox is made anew.
            let never = c.status.state.terminated.is_none()
                && (c.status.last_state.terminated.is_none() || c.waiting_reason() == "ContainerCreating");
            c.status.state.running.is_none() && (never || lost)
        })
        && pod.containers().all(|c| matches!(c.waiting_reason(), "" | "ContainerCreating" | "PodInitializing"))
}

/// True when the pod's node is known and not ready: its pods get no card of their own.
pub fn on_dead_node(facts: &Facts<'_>, pod: &Pod) -> bool {
    pod.node_name.as_deref().and_then(|n| facts.snapshot.nodes.named("", n)).is_some_and(|n| !n.is_ready())
}

/// True when a Job owns the pod and has not given up: what fails now may be retried to success.
pub fn is_retried_by_job(facts: &Facts<'_>, pod: &Pod) -> bool {
    let Some(owner) = pod.meta.controller().filter(|o| &*o.kind == "Job") else { return false };
    match facts.snapshot.jobs.named(&pod.meta.namespace, &owner.name) {
        Some(job) => !["Failed", "FailureTarget"]
            .iter()
            .any(|k| Condition::find(&job.status.conditions, k).is_some_and(Condition::is_true)),
        None => false,
    }
}

/// The containers of the pod that crash now, with how they ended. Asks for a later look where time alone will settle it.
pub fn endings<'a>(facts: &Facts<'a>, pod: &'a Pod, out: &mut Output) -> Vec<Ending<'a>> {
    let has_ended =
        |view: ContainerView<'_>| view.status.state.terminated.is_some() || view.status.last_state.terminated.is_some();
    if !pod.containers().any(has_ended) {
        return Vec::new();
    }
    if pod.meta.deletion_timestamp.is_some() || &*pod.status.phase == "Succeeded" || is_retried_by_job(facts, pod) {
        return Vec::new();
    }
    if pod.status.reason.as_deref().is_some_and(|r| r != "BackoffLimitExceeded") && &*pod.status.phase == "Failed" {
        return Vec::new(); // Evicted, rejected, shut down: other rules.
    }
    if !pod.is_finished() && is_before_start(pod) {
        return Vec::new(); // It ended with its sandbox, and waits for a new one: its network and volumes come first.
    }
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    pod.containers()
        .filter(|view| view.role != ContainerRole::Ephemeral)
        .filter_map(|view| ending(facts, pod, view, &events, out))
        .collect()
}

fn ending<'a>(
    facts: &Facts<'a>,
    pod: &'a Pod,
    view: ContainerView<'a>,
    events: &[&'a Event],
    out: &mut Output,
) -> Option<Ending<'a>> {
    let status = view.status;
    let previous = status.state.terminated.is_none();
    let (run, field) = match (status.state.terminated.as_deref(), status.last_state.terminated.as_deref()) {
        (Some(now), _) => (now, format!("{}.state.terminated", view.path())),
        (None, Some(last)) => (last, format!("{}.lastState.terminated", view.path())),
        (None, None) => return None,
    };
    let end = how(pod, view, run, events);
    if !is_crashing(facts, pod, view, run, end, out) {
        return None;
    }
    let since = first_failure(pod, view, run, events);
    Some(Ending { view, run, field, end, previous, since })
}

/// The earliest of: the end of the last run, the first back-off event of the container, and, for one that was restarted, the
/// moment since which its pod has not been ready. Events of an aggregated series keep the time of its first.
fn first_failure(pod: &Pod, view: ContainerView<'_>, run: &Terminated, events: &[&Event]) -> Option<Time> {
    let back_off = events
        .iter()
        .filter(|e| &*e.reason == "BackOff" && e.container() == Some(&*view.status.name))
        .filter(|e| e.text().contains("restarting failed container"))
        .filter_map(|e| e.first_seen())
        .min();
    let unready = pod.condition("Ready").filter(|c| !c.is_true() && view.status.restart_count > 0);
    [run.finished_at, back_off, unready.and_then(|c| c.last_transition_time)].into_iter().flatten().min()
}

fn how<'a>(pod: &Pod, view: ContainerView<'a>, run: &Terminated, events: &[&'a Event]) -> End<'a> {
    let reason = run.reason.as_deref().unwrap_or_default();
    if matches!(reason, "StartError" | "ContainerCannotRun") || (run.exit_code == 128 && run.message.is_some()) {
        return End::StartFailed;
    }
    if reason == "OOMKilled" {
        return End::OutOfMemory;
    }
    let killing = events.iter().rev().find(|e| {
        matches!(&*e.reason, "Killing" | "FailedPostStartHook")
            && e.container().is_none_or(|c| c == &*view.status.name)
            && (LIVENESS.is_match(e.text()) || STARTUP.is_match(e.text()) || HOOK.is_match(e.text()))
            && happened_in(e, run)
    });
    if let Some(event) = killing {
        return if LIVENESS.is_match(event.text()) {
            End::Probe(Some(event), ProbeKind::Liveness)
        } else if STARTUP.is_match(event.text()) {
            End::Probe(Some(event), ProbeKind::Startup)
        } else {
            End::Hook(event)
        };
    }
    // The kill's own event may be dropped or expired: a process that was stopped while its liveness probe failed was stopped by it.
    let failing = events.iter().rev().find(|e| {
        &*e.reason == "Unhealthy"
            && e.container().is_none_or(|c| c == &*view.status.name)
            && (e.text().starts_with("Liveness probe") || e.text().starts_with("Startup probe"))
            && e.times() >= 2
            && happened_in(e, run)
    });
    if matches!(run.exit_code, 0 | 137 | 143) {
        if let Some(event) = failing {
            let kind = if event.text().starts_with("Startup") { ProbeKind::Startup } else { ProbeKind::Liveness };
            return End::Probe(Some(event), kind);
        }
        if let Some(kind) = by_lifetime(pod, view, run, events) {
            return End::Probe(None, kind);
        }
    }
    if run.exit_code == 0 { End::Zero } else { End::Code(run.exit_code) }
}

/// Without any event about its probes (they expire after an hour): a container that is stopped again and again just when its
/// probe has failed often enough is stopped by it.
fn by_lifetime(pod: &Pod, view: ContainerView<'_>, run: &Terminated, events: &[&Event]) -> Option<ProbeKind> {
    let heard = events.iter().any(|e| matches!(&*e.reason, "Unhealthy" | "Killing" | "BackOff" | "Started"));
    if heard || view.status.restart_count < 3 {
        return None;
    }
    let lived = (run.finished_at? - run.started_at?).num_seconds();
    let container = pod.spec.container(&view.status.name)?;
    let probes = [(ProbeKind::Startup, &container.startup_probe), (ProbeKind::Liveness, &container.liveness_probe)];
    let (kind, probe) = probes.into_iter().find_map(|(kind, probe)| Some((kind, probe.as_ref()?)))?;
    let (delay, period) = (probe.initial_delay_seconds.unwrap_or(0), probe.period_seconds.unwrap_or(10));
    let failures = probe.failure_threshold.unwrap_or(3);
    // A process that obeys SIGTERM is gone at once; one that does not is killed after its grace period.
    let grace = if run.exit_code == 137 { pod.spec.termination_grace_period_seconds.unwrap_or(30) } else { 0 };
    let least = delay + period * (failures - 1) + grace;
    let most = delay + period * (failures + 1) + probe.timeout_seconds.unwrap_or(1) + grace + 3;
    (least..=most).contains(&lived).then_some(kind)
}

/// True when the event's time falls in the run (or its times are unknown): an older kill says nothing about this end.
fn happened_in(event: &Event, run: &Terminated) -> bool {
    match (event.last_seen(), run.started_at) {
        (Some(seen), Some(started)) => seen + TimeDelta::seconds(2) >= started,
        _ => true,
    }
}

fn is_crashing(facts: &Facts<'_>, pod: &Pod, view: ContainerView<'_>, run: &Terminated, end: End<'_>, out: &mut Output) -> bool {
    let status = view.status;
    let ended_well = run.exit_code == 0 && matches!(end, End::Zero);
    if view.waiting_reason() == "CrashLoopBackOff" {
        return true;
    }
    if status.state.waiting.is_some() {
        // Create and start errors between two attempts have their own rule; anything else counts by its last run.
        return matches!(end, End::StartFailed) || status.restart_count >= 2 && !ended_well && view.waiting_reason().is_empty();
    }
    if status.state.terminated.is_some() {
        let one_shot = view.role == ContainerRole::Init || pod.spec.restart_policy.as_deref().is_some_and(|p| p != "Always");
        return if ended_well { !one_shot && status.restart_count >= 2 } else { true };
    }
    runs_again(facts, view, run, end, out)
}

/// A container that runs again counts until it has proved itself: longer than twice its last run (1 to 10 minutes).
fn runs_again(facts: &Facts<'_>, view: ContainerView<'_>, run: &Terminated, end: End<'_>, out: &mut Output) -> bool {
    let status = view.status;
    let enough = match end {
        End::OutOfMemory => 1,
        _ => 2,
    };
    let Some(started) = status.state.running.as_ref().and_then(|r| r.started_at) else { return false };
    let (Some(began), Some(finished)) = (run.started_at, run.finished_at) else { return false };
    if status.restart_count < enough || run.exit_code == 0 && matches!(end, End::Zero) {
        return false;
    }
    let trial = ((finished - began) * 2).clamp(TimeDelta::seconds(60), TimeDelta::seconds(600));
    // Not ready although it runs: it has not proved anything, but an old crash is no news either.
    let settled = if status.ready { started + trial } else { finished + TimeDelta::seconds(600) };
    if facts.now < settled {
        out.recheck_at(settled);
    }
    facts.now < settled
}

/// True when the last run's end was not so long ago that it may be another story.
pub fn is_recent(now: Time, then: Option<Time>, within: TimeDelta) -> bool {
    then.is_none_or(|t| t + within >= now)
}

/// The pod a row holds, if it may be looked at for faults at all.
pub fn live_pod(row: &Row) -> Option<&Pod> {
    let Row::Pod(pod) = row else { return None };
    (pod.meta.deletion_timestamp.is_none()).then_some(&**pod)
}
