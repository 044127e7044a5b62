//! Whether a rollout introduced a failure: the pods of the new revision fail while those of the one before work, or did.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::revisions::{Revision, revisions, undo_target};
use crate::kinds::events::Event;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::Snapshot;
use crate::text::{Text, Time};

/// From history alone, a failure counts as the rollout's when it began at most this long after it.
const SOON: TimeDelta = TimeDelta::minutes(10);

/// `(new revision, older revision)` when the rollout of the newest revision broke the workload: every failing pod is of it,
/// and an older revision has ready pods now, or is known to have worked while the newest one failed from its beginning.
///
/// `failing` are the failing objects of any kind; what is not a pod of this workload is ignored. Without a failing pod
/// (quota, webhook) the newest revision counts as failing when it should have pods and none is ready.
pub fn is_regression(snapshot: &Snapshot, workload: &ObjectRef, failing: &[ObjectRef]) -> Option<(i64, i64)> {
    let known = revisions(snapshot, workload);
    let current = known.iter().find(|r| r.is_current)?;
    let older = undo_target(&known).filter(|r| r.was_ready() && r.number < current.number)?;
    let wanted: BTreeSet<&ObjectRef> = failing.iter().filter(|object| &*object.kind == "Pod").collect();
    let own: Vec<&Pod> = snapshot
        .pods_of(workload)
        .into_iter()
        .filter(|pod| wanted.contains(&ObjectRef::new("Pod", &pod.meta.namespace, &pod.meta.name)))
        .collect();
    if own.is_empty() && (current.wanted == 0 || current.ready > 0) || !own.iter().all(|pod| is_of(pod, current)) {
        return None;
    }
    // A crashing pod is ready now and then, between two crashes: only ready pods that do not fail speak for the revision.
    let only_failing = usize::try_from(current.ready).is_ok_and(|ready| ready <= own.len());
    let blamed = older.ready > 0 || only_failing && failed_from_the_start(snapshot, current, &own);
    blamed.then_some((current.number, older.number))
}

/// True when the pod runs that revision.
pub fn is_of(pod: &Pod, revision: &Revision) -> bool {
    let owned = pod.meta.controller().is_some_and(|owner| owner.name == revision.name);
    owned || pod.meta.label("controller-revision-hash").is_some_and(|hash| ends_in(&revision.name, hash))
}

fn ends_in(name: &Text, hash: &str) -> bool {
    !hash.is_empty() && (&**name == hash || name.strip_suffix(hash).is_some_and(|rest| rest.ends_with('-')))
}

fn failed_from_the_start(snapshot: &Snapshot, current: &Revision, failing: &[&Pod]) -> bool {
    let Some(at) = current.at else { return false };
    let first = failing.iter().filter_map(|pod| first_failure(snapshot, pod)).min();
    first.is_some_and(|first| first - at <= SOON)
}

/// When a pod is first known to have failed: its first warning event, or the end of a run of one of its containers.
pub fn first_failure(snapshot: &Snapshot, pod: &Pod) -> Option<Time> {
    let warned = snapshot.events_of(KindId::Pod, &pod.meta).into_iter().filter(|e| e.is_warning()).filter_map(Event::first_seen);
    let ended = pod.containers().flat_map(|c| [&c.status.state, &c.status.last_state].map(|s| s.terminated.as_deref().cloned()));
    let ended = ended.flatten().filter(|t| t.exit_code != 0).filter_map(|t| t.finished_at);
    warned.chain(ended).min()
}
