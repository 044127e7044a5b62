//! What another finding already explains: the weaker of two on one subject, everything on a dead node, generic findings of a
//! workload whose cause is known from another pod.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Found, Group, Hasher, is_generic};
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::Finding;
use crate::kinds::ObjectRef;
use crate::snapshot::Snapshot;

/// A cause that is a consequence when one of the others holds for the same container.
///
/// One line a consequence: what it looks like, and what may be behind it (a family's name stands for its causes).
const CONSEQUENCES: &[(&str, &[&str])] = &[
    ("readiness-probe-fails", &["Image", "Configuration and start", "Crash"]),
    ("readiness-flapping", &["Crash"]),
    ("readiness-gate-waiting", &["Image", "Configuration and start", "Crash"]),
    ("slow-start", &["Image", "Configuration and start", "Crash", "readiness-probe-fails"]),
    ("migration-failed", &["database-", "setting-missing", "module-missing"]),
    (
        "process-exits",
        &["liveness-probe-kills", "startup-probe-kills", "oom-killed", "database-", "setting-missing", "module-missing"],
    ),
    ("dependency-unreachable", &["database-"]),
    ("volume-mount-failed", &["configmap-missing", "secret-missing", "configmap-key-missing", "secret-key-missing"]),
    ("memory-near-limit", &["oom-killed", "oom-killed-child"]),
    ("oom-killed-child", &["oom-killed"]),
    ("worker-timeout", &["oom-killed", "oom-killed-child", "database-"]),
    ("error-rate-high", &["Crash", "Not ready"]),
    ("latency-high", &["Crash", "Not ready", "cpu-throttled"]),
    ("job-failed", &["Image", "Configuration and start", "Crash"]),
    ("job-deadline-exceeded", &["Image", "Configuration and start", "Crash", "Scheduling"]),
    ("cronjob-failing", &["Image", "Configuration and start", "Crash", "job-failed", "Admission and rollout"]),
    ("database-unreachable", &["network-policy-blocks"]),
    ("database-host-unknown", &["network-policy-blocks"]),
    ("dependency-unreachable", &["network-policy-blocks"]),
    ("job-failed", &["network-policy-blocks"]),
    ("readiness-probe-fails", &["network-policy-blocks"]),
    ("init-container-failed", &["network-policy-blocks"]),
];

/// Drops findings that a stronger one on the same subject explains. `found` is sorted strongest first.
pub(super) fn explained_on_the_same_subject<'a>(found: &[Found<'a>]) -> Vec<Found<'a>> {
    let mut count: HashMap<&ObjectRef, usize, Hasher> = HashMap::default();
    for f in found {
        *count.entry(&f.finding.subject).or_default() += 1;
    }
    // Of most subjects only one thing is said.
    let is_alone = |f: &Found<'a>| count.get(&f.finding.subject) == Some(&1);
    let mut by_subject: HashMap<&ObjectRef, Vec<Found<'a>>, Hasher> = HashMap::default();
    for f in found.iter().filter(|f| !is_alone(f)) {
        by_subject.entry(&f.finding.subject).or_default().push(*f);
    }
    let mut seen: HashSet<(CauseId, &ObjectRef, &Option<crate::text::Text>), Hasher> = HashSet::default();
    found
        .iter()
        .filter(|f| {
            let others = by_subject.get(&f.finding.subject).map(Vec::as_slice).unwrap_or_default();
            !others.iter().any(|other| explains(other.finding, f.finding))
        })
        // Of several rules with the same cause for one subject and root the strongest speaks.
        .filter(|f| is_alone(f) || seen.insert((f.finding.cause, &f.finding.subject, &f.finding.container)))
        .copied()
        .collect()
}

/// True when `cause` on the same subject makes `effect` a consequence that says nothing new.
fn explains(cause: &Finding, effect: &Finding) -> bool {
    let same_place = cause.container.is_none() || effect.container.is_none() || cause.container == effect.container;
    if cause.cause == effect.cause || cause.derived || is_generic(cause) || !same_place {
        return false;
    }
    // Being deleted is another matter than running badly: neither explains the other.
    if family(cause.cause) == "Terminating" || family(effect.cause) == "Terminating" {
        return family(cause.cause) == family(effect.cause) && is_generic(effect);
    }
    is_generic(effect) && severe_enough(cause) || is_consequence(effect.cause, cause.cause)
}

/// Remarks on cost, capacity or health that do not say why something is down.
const REMARKS: &[&str] = &[
    "connection-budget",
    "cpu-throttled",
    "cronjob-failing",
    "disruption-budget-blocks",
    "error-rate-high",
    "hpa-at-maximum",
    "hpa-no-metrics",
    "latency-high",
    "memory-near-limit",
    "memory-oversized",
];

/// True when the cause may be why a workload is down.
pub(super) fn severe_enough(finding: &Finding) -> bool {
    !REMARKS.contains(&finding.cause.0)
}

/// True when it says why the pods themselves do not work, in particular.
pub(super) fn is_specific_of_pods(finding: &Finding) -> bool {
    let behind = ["Image", "Configuration and start", "Crash", "Scheduling"];
    let of_node = ["node-not-ready", "node-network-not-ready", "node-pressure", "ip-exhausted"].contains(&finding.cause.0);
    !is_generic(finding)
        && !finding.derived
        && (behind.contains(&family(finding.cause)) || of_node && &*finding.subject.kind == "Pod")
}

fn is_consequence(effect: CauseId, cause: CauseId) -> bool {
    CONSEQUENCES
        .iter()
        .filter(|(id, _)| *id == effect.0)
        .flat_map(|(_, behind)| *behind)
        .any(|behind| cause.0 == *behind || family(cause) == *behind || (behind.ends_with('-') && cause.0.starts_with(behind)))
}

/// The family of a cause.
pub(super) fn family(cause: CauseId) -> &'static str {
    cause.cause().map_or("", |c| c.family)
}

/// Splits off what pods on a node that is down suffer. Deletions stay: they need their own fix.
pub(super) fn on_dead_nodes<'a>(snapshot: &Snapshot, found: Vec<Found<'a>>) -> (Vec<Found<'a>>, Vec<Found<'a>>) {
    let dead: BTreeSet<&str> =
        found.iter().filter(|f| f.finding.cause.0 == "node-not-ready").map(|f| &*f.finding.workload.name).collect();
    if dead.is_empty() {
        return (found, Vec::new());
    }
    found.into_iter().partition(|f| {
        let node = node_of(snapshot, &f.finding.subject);
        let lost = node.is_some_and(|node| dead.contains(&*node));
        !lost || family(f.finding.cause) == "Terminating"
    })
}

/// Splits off deletions that are held up inside a namespace that is itself being deleted: they are why it lingers.
pub(super) fn in_dying_namespaces(found: Vec<Found<'_>>) -> (Vec<Found<'_>>, Vec<Found<'_>>) {
    let dying: BTreeSet<&str> =
        found.iter().filter(|f| f.finding.cause.0 == "namespace-terminating").map(|f| &*f.finding.workload.name).collect();
    found.into_iter().partition(|f| family(f.finding.cause) != "Terminating" || !dying.contains(&*f.finding.subject.namespace))
}

/// True when `group` says that the namespace of `finding` is being deleted.
pub(super) fn is_in_namespace_of(group: &Group<'_>, finding: &Finding) -> bool {
    group.id.cause.0 == "namespace-terminating" && group.workloads().any(|w| w.name == finding.subject.namespace)
}

/// True when `finding` is about a pod on the node that `group` says is down.
pub(super) fn is_on_node_of(snapshot: &Snapshot, group: &Group<'_>, finding: &Finding) -> bool {
    let node = node_of(snapshot, &finding.subject);
    group.id.cause.0 == "node-not-ready" && group.workloads().any(|w| node.as_deref() == Some(&w.name))
}

/// True when everything that is not ready behind the workload is on the node that `group` says is down.
pub(super) fn is_hurt_by_node_of(snapshot: &Snapshot, group: &Group<'_>, related: &BTreeSet<ObjectRef>) -> bool {
    if group.id.cause.0 != "node-not-ready" && group.id.cause.0 != "node-network-not-ready" {
        return false;
    }
    let nodes: Vec<&crate::text::Text> = group.workloads().filter(|w| &*w.kind == "Node").map(|w| &w.name).collect();
    let mut unready = related.iter().flat_map(|w| snapshot.pods_of(w)).filter(|p| !p.is_finished() && !p.is_ready()).peekable();
    unready.peek().is_some() && unready.all(|pod| pod.node_name.as_ref().is_some_and(|node| nodes.contains(&node)))
}

/// The node of a pod.
pub(super) fn node_of(snapshot: &Snapshot, subject: &ObjectRef) -> Option<crate::text::Text> {
    if &*subject.kind != "Pod" {
        return None;
    }
    snapshot.pods.named(&subject.namespace, &subject.name)?.node_name.clone()
}

/// Moves generic findings (log not read yet, log of another pod not fetched) under the specific incident of the same workload.
pub(super) fn generic_under_specific(groups: &mut Vec<Group<'_>>) {
    let (generic, mut specific): (Vec<_>, Vec<_>) =
        std::mem::take(groups).into_iter().partition(|g| g.members.first().is_some_and(|f| is_generic(f.finding)));
    for mut group in generic {
        group.members.retain(|found| {
            let behind = |other: &Group<'_>| {
                other.members.iter().any(|o| {
                    o.finding.workload == found.finding.workload
                        && family(o.finding.cause) == family(found.finding.cause)
                        && (o.finding.container == found.finding.container
                            || o.finding.container.is_none()
                            || found.finding.container.is_none())
                })
            };
            let best = specific
                .iter_mut()
                .filter(|g| behind(g))
                .max_by(|a, b| a.weight().cmp(&b.weight()).then_with(|| b.id.cmp(&a.id)));
            match best {
                Some(best) => best.members.push(*found),
                None => return true,
            }
            false
        });
        if !group.members.is_empty() {
            specific.push(group);
        }
    }
    specific.sort_by(|a, b| a.id.cmp(&b.id));
    *groups = specific;
}
