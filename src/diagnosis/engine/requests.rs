//! Which logs are worth fetching: one representative container per workload, revision and run, each once per restart.
//!
//! A second and third pod are asked only when the answer for the one before could not be had.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Subject;
use crate::diagnosis::finding::EvidenceRequest;
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::{LogKey, Snapshot};
use crate::text::Text;

/// Pods of one workload and revision whose log is tried.
const REPRESENTATIVES: usize = 3;
/// Requests handed out at a time; the rest wait for the next call.
const BATCH: usize = 32;

/// Pods that stand for each other: same workload, revision, container, run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    workload: ObjectRef,
    revision: Text,
    container: Text,
    previous: bool,
}

/// Wanted evidence, deduplicated.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pending: VecDeque<EvidenceRequest>,
    handed_out: BTreeMap<LogKey, i32>,
    groups: BTreeMap<Group, BTreeSet<LogKey>>,
}

impl Requests {
    /// Takes note of what the rules want for `subject` now. What it wanted before and no longer does is forgotten.
    pub fn want(&mut self, snapshot: &Snapshot, subject: &Subject, wanted: Vec<EvidenceRequest>) {
        if subject.0 == KindId::Pod && snapshot.row(subject.0, &subject.1).is_none() {
            self.forget(subject);
        }
        for EvidenceRequest::Log { key, restart_count } in wanted {
            let fresh = snapshot.logs.get(&key).is_some_and(|known| known.restart_count >= restart_count);
            let asked = self.handed_out.get(&key).is_some_and(|at| *at >= restart_count);
            let request = EvidenceRequest::Log { key: key.clone(), restart_count };
            if fresh || asked || self.pending.contains(&request) || !self.represents(snapshot, &key) {
                continue;
            }
            self.pending.retain(|EvidenceRequest::Log { key: pending, .. }| *pending != key);
            self.pending.push_back(request);
        }
    }

    /// The next requests; each is returned once per restart count.
    pub fn take(&mut self) -> Vec<EvidenceRequest> {
        let batch: Vec<_> = self.pending.drain(..self.pending.len().min(BATCH)).collect();
        for EvidenceRequest::Log { key, restart_count } in &batch {
            self.handed_out.insert(key.clone(), *restart_count);
        }
        batch
    }

    /// True when this container should speak for its group: it does already, or those that do had nothing to say.
    fn represents(&mut self, snapshot: &Snapshot, key: &LogKey) -> bool {
        let chosen = self.groups.entry(group(snapshot, key)).or_default();
        if chosen.contains(key) {
            return true;
        }
        let mute = |other: &LogKey| snapshot.logs.get(other).is_some_and(|log| log.lines.is_empty());
        if chosen.len() >= REPRESENTATIVES || !chosen.iter().all(mute) {
            return false;
        }
        chosen.insert(key.clone())
    }

    fn forget(&mut self, subject: &Subject) {
        let of_it = |key: &LogKey| key.namespace == subject.1.namespace && key.pod == subject.1.name;
        self.pending.retain(|EvidenceRequest::Log { key, .. }| !of_it(key));
        self.handed_out.retain(|key, _| !of_it(key));
        self.groups.retain(|_, chosen| {
            chosen.retain(|key| !of_it(key));
            !chosen.is_empty()
        });
    }
}

fn group(snapshot: &Snapshot, key: &LogKey) -> Group {
    let pod = snapshot.pods.named(&key.namespace, &key.pod);
    let workload = pod.map_or_else(|| ObjectRef::new("Pod", &key.namespace, &key.pod), |pod| snapshot.workload_of(pod));
    let label = |name| pod.and_then(|pod| pod.meta.label(name));
    let revision = label("pod-template-hash").or_else(|| label("controller-revision-hash")).unwrap_or_default();
    Group { workload, revision: revision.into(), container: key.container.clone(), previous: key.previous }
}
