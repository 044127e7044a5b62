//! What the pods behind a Service explain: clients of a database, broker or webhook whose own pods fail (`failures.md`, C8 and C15).
//!
//! Folded only when everything agrees: the client's error names a Service of this cluster, no pod behind it is ready, those pods
//! have a cause of their own that says why, and that began no later than the client's trouble.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::suppress::is_specific_of_pods;
use super::{ByWorkload, Found, Group, blast};
use crate::diagnosis::finding::Finding;
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::ObjectRef;
use crate::snapshot::Snapshot;

/// Causes that a dependency which does not run brings about.
const CLIENTS: &[&str] = &["database-unreachable", "dependency-unreachable", "webhook-unreachable"];
/// How much later than its effect a cause may have been noticed.
const SLACK: TimeDelta = TimeDelta::seconds(60);

/// `Post "https://NAME.NAMESPACE.svc:443/...`.
static WEBHOOK: Pattern = Pattern::new(r"https://([a-z0-9-]+\.[a-z0-9-]+)\.svc[:/]");

/// True for what fails for want of something else.
pub(super) fn is_client(finding: &Finding) -> bool {
    CLIENTS.contains(&finding.cause.0)
}

/// Puts clients under the incident of what they need.
pub(super) fn behind_dependencies(snapshot: &Snapshot, groups: &mut Vec<Group<'_>>) {
    let clients = |group: &Group<'_>| group.members.iter().all(|f| is_client(f.finding));
    if !groups.iter().any(clients) {
        return;
    }
    let mut moves: BTreeMap<usize, usize> = BTreeMap::new();
    let index = ByWorkload::of(groups);
    for (at, group) in groups.iter().enumerate() {
        if !clients(group) {
            continue;
        }
        let mut roots: BTreeSet<Option<usize>> =
            group.members.iter().map(|f| root_of(snapshot, (groups, &index), at, f.finding)).collect();
        // One client that fails for another reason keeps the incident of its own.
        if let (1, Some(Some(root))) = (roots.len(), roots.pop_first()) {
            moves.insert(at, root);
        }
    }
    let mut moved: Vec<(usize, Vec<Found<'_>>)> = Vec::new();
    for (at, root) in &moves {
        // What fails behind what fails: the deepest is the root.
        let deepest = deepest(*root, &moves);
        if let Some(group) = groups.get_mut(*at).filter(|_| deepest != *at) {
            let mut all = std::mem::take(&mut group.members);
            all.append(&mut group.symptoms);
            moved.push((deepest, all));
        }
    }
    for (at, found) in moved {
        if let Some(group) = groups.get_mut(at) {
            group.symptoms.extend(found);
        }
    }
    groups.retain(|group| !group.members.is_empty());
}

/// Follows the moves to a group that stays; groups that wait for each other end where the circle is entered.
fn deepest(start: usize, moves: &BTreeMap<usize, usize>) -> usize {
    let mut seen = BTreeSet::from([start]);
    let mut at = start;
    while let Some(next) = moves.get(&at) {
        if !seen.insert(*next) {
            return *seen.first().unwrap_or(&start);
        }
        at = *next;
    }
    at
}

/// The group that says why the Service this finding names does not answer.
fn root_of(
    snapshot: &Snapshot,
    (groups, index): (&[Group<'_>], &ByWorkload<'_>),
    own: usize,
    finding: &Finding,
) -> Option<usize> {
    let service = service_of(snapshot, finding)?;
    let behind = blast::related(snapshot, &service);
    let pods: Vec<_> = behind.iter().flat_map(|workload| snapshot.pods_of(workload)).collect();
    if behind.contains(&finding.workload) || pods.iter().any(|pod| pod.is_ready() && !pod.is_finished()) {
        return None;
    }
    let explains = |group: &Group<'_>| {
        let why = |f: &Found<'_>| {
            behind.contains(&f.finding.workload)
                && (is_specific_of_pods(f.finding) || is_refused(f.finding) || is_client(f.finding))
        };
        let earlier = |f: &Found<'_>| match (f.finding.since, finding.since) {
            (Some(cause), Some(effect)) => cause <= effect + SLACK,
            _ => true,
        };
        group.members.iter().any(|f| why(f) && earlier(f))
    };
    let about = index.about(&behind).filter_map(|at| Some((at, groups.get(at)?)));
    let found = about.filter(|(at, group)| *at != own && group.takes_things_down() && explains(group));
    found.max_by(|(_, a), (_, b)| a.weight().cmp(&b.weight()).then_with(|| b.id.cmp(&a.id))).map(|(at, _)| at)
}

/// Pods that may not even be created.
pub(super) fn is_refused(finding: &Finding) -> bool {
    ["quota-exceeded", "limit-range-violated", "pod-security-denied", "webhook-denied", "service-account-missing"]
        .contains(&finding.cause.0)
}

/// The Service of this cluster that the finding's address or message names.
fn service_of(snapshot: &Snapshot, finding: &Finding) -> Option<ObjectRef> {
    let host = if finding.cause.0 == "webhook-unreachable" {
        finding.evidence.iter().find_map(|quote| WEBHOOK.first_group(&quote.text))?
    } else {
        let endpoint = finding.facts.get("endpoint").or_else(|| finding.facts.get("host"))?;
        endpoint.split(['/', ':']).next()?
    };
    let mut labels = host.split('.');
    let name = labels.next().filter(|name| !name.is_empty())?;
    let namespace = labels.next().unwrap_or(&finding.workload.namespace);
    let within = matches!(labels.next(), None | Some("svc"));
    snapshot.services.named(namespace, name).filter(|_| within)?;
    Some(ObjectRef::new("Service", namespace, name))
}
