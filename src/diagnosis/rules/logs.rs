//! Log excerpts as evidence: which run of which container, asked for when missing, borrowed from a sibling when many pods crash.
//!
//! Invariant: `unable to retrieve container logs ...` is the kubelet's word, never the application's.

use chrono::TimeDelta;

use super::pods::Ending;
use crate::diagnosis::finding::EvidenceRequest;
use crate::diagnosis::rule::{Facts, Output};
use crate::kinds::ObjectRef;
use crate::kinds::network::Service;
use crate::kinds::pods::{ContainerView, Pod};
use crate::snapshot::evidence::{LogExcerpt, LogKey, LogLine};

/// A log that can be quoted.
#[derive(Debug, Clone)]
pub struct Quotable<'a> {
    /// Lines, oldest first.
    pub lines: Vec<&'a LogLine>,
    /// Whose: the pod itself, or a sibling that crashes alike.
    pub pod: ObjectRef,
    /// The previous run.
    pub previous: bool,
}

/// At most so many pods of one workload are asked for their logs; the others borrow.
const REPRESENTATIVES: usize = 2;

/// The log of a run that ended: the previous one, or the current one where the container still shows its end.
pub fn of_ending<'a>(facts: &Facts<'a>, pod: &Pod, ending: &Ending<'_>, out: &mut Output) -> Option<Quotable<'a>> {
    let own = [ending.previous, !ending.previous].map(|previous| key(pod, ending.name(), previous));
    for key in &own {
        if let Some(found) = quotable(facts, key) {
            return Some(found);
        }
    }
    let siblings = siblings(facts, pod, ending);
    let rank = siblings.iter().position(|p| p.meta.name == pod.meta.name).unwrap_or(0);
    if rank < REPRESENTATIVES {
        let wanted = own.into_iter().find(|k| {
            facts
                .snapshot
                .logs
                .get(k)
                .is_none_or(|l| l.restart_count < ending.view.status.restart_count && ending.previous == k.previous)
        });
        if let Some(key) = wanted {
            out.requests.push(EvidenceRequest::Log { key, restart_count: ending.view.status.restart_count });
        }
        return None;
    }
    let borrowed = siblings
        .iter()
        .take(REPRESENTATIVES)
        .flat_map(|p| [true, false].map(|previous| key(p, ending.name(), previous)))
        .find_map(|k| quotable(facts, &k));
    if borrowed.is_none() {
        out.recheck_at(facts.now + TimeDelta::seconds(5));
    }
    borrowed
}

/// The current log of a container that runs: only when it has been fetched; asked for when `ask`.
pub fn current<'a>(facts: &Facts<'a>, pod: &Pod, container: &str, restart_count: i32, out: &mut Output) -> Option<Quotable<'a>> {
    let key = key(pod, container, false);
    let found = quotable(facts, &key);
    if found.is_none() && !facts.snapshot.logs.contains_key(&key) {
        out.requests.push(EvidenceRequest::Log { key, restart_count });
    }
    found
}

/// The current log, when it happens to be known.
pub fn known<'a>(facts: &Facts<'a>, pod: &Pod, container: &str) -> Option<Quotable<'a>> {
    quotable(facts, &key(pod, container, false)).or_else(|| quotable(facts, &key(pod, container, true)))
}

/// How often a sampled log is read again, in seconds.
const ROUND: i64 = 300;

/// Asks for the log of a healthy container as a sample of what its workload answers: one ready pod speaks for its controller,
/// and only when a Service leads to it. The engine bounds how many workloads are sampled.
pub fn sample(facts: &Facts<'_>, pod: &Pod, view: &ContainerView<'_>, out: &mut Output) {
    let Some(owner) = pod.meta.controller().filter(|_| pod.is_ready() && view.index == 0) else { return };
    let first = facts.snapshot.pods.controlled_by(&owner.uid).find(|sibling| sibling.is_ready());
    if first.is_none_or(|first| first.meta.name != pod.meta.name) {
        return;
    }
    let leads_here = |service: &Service| {
        !service.spec.selector.is_empty() && service.spec.selector.iter().all(|(k, v)| pod.meta.labels.get(k) == Some(v))
    };
    if !facts.snapshot.services.in_namespace(&pod.meta.namespace).any(leads_here) {
        return;
    }
    let round = facts.now.timestamp().div_euclid(ROUND);
    let (key, restart_count) = (key(pod, &view.status.name, false), view.status.restart_count);
    out.requests.push(EvidenceRequest::Sample { key, restart_count, round });
    out.recheck_at(facts.now + TimeDelta::seconds(ROUND - facts.now.timestamp().rem_euclid(ROUND)));
}

/// The key of a container's log.
pub fn key(pod: &Pod, container: &str, previous: bool) -> LogKey {
    LogKey { namespace: pod.meta.namespace.clone(), pod: pod.meta.name.clone(), container: container.into(), previous }
}

fn quotable<'a>(facts: &Facts<'a>, key: &LogKey) -> Option<Quotable<'a>> {
    let excerpt: &'a LogExcerpt = facts.snapshot.logs.get(key)?;
    if excerpt.unavailable.is_some() {
        return None;
    }
    let lines: Vec<&LogLine> =
        excerpt.lines.iter().filter(|l| !l.text.starts_with("unable to retrieve container logs")).collect();
    if lines.is_empty() {
        return None;
    }
    Some(Quotable { lines, pod: ObjectRef::new("Pod", &key.namespace, &key.pod), previous: key.previous })
}

/// Pods of the same owner whose container of that name crashed with the same exit code, by name.
fn siblings<'a>(facts: &Facts<'a>, pod: &Pod, ending: &Ending<'_>) -> Vec<&'a Pod> {
    let Some(owner) = pod.meta.controller() else { return Vec::new() };
    facts
        .snapshot
        .pods
        .controlled_by(&owner.uid)
        .filter(|p| {
            p.containers().any(|c| {
                &*c.status.name == ending.name()
                    && c.last_terminated().is_some_and(|(run, _)| run.exit_code == ending.run.exit_code)
            })
        })
        .collect()
}
