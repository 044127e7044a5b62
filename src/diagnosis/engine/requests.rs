//! Which logs are worth fetching: one representative container per workload, revision and run, each once per restart.
//!
//! A second and third pod are asked only when the answer for the one before could not be had. Samples of logs nothing is wrong
//! with and looks at CPU throttling are bounded in number and come after what is suspected.

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

/// Workloads whose log is sampled although nothing is wrong with them.
const SAMPLED: usize = 32;
/// Pods whose throttling is asked for in one round: the answer holds all containers of the node, some megabytes.
const THROTTLED: usize = 6;

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
    /// Who speaks for a sampled workload, and the last round asked for.
    sampled: BTreeMap<Group, (LogKey, i64)>,
    /// Pods (namespace, name) whose throttling was asked for, and the round.
    throttled: BTreeMap<(Text, Text), i64>,
    /// Samples and looks at throttling, to be handed out when nothing else waits.
    idle: VecDeque<EvidenceRequest>,
}

impl Requests {
    /// Takes note of what the rules want for `subject` now. What it wanted before and no longer does is forgotten.
    pub fn want(&mut self, snapshot: &Snapshot, subject: &Subject, wanted: Vec<EvidenceRequest>) {
        if subject.0 == KindId::Pod && snapshot.row(subject.0, &subject.1).is_none() {
            self.forget(subject);
        }
        for request in wanted {
            let (key, restart_count) = match request {
                EvidenceRequest::Log { key, restart_count } => (key, restart_count),
                EvidenceRequest::Sample { key, restart_count, round } => {
                    self.sample(snapshot, key, restart_count, round);
                    continue;
                }
                EvidenceRequest::Throttling { .. } => {
                    self.throttling(request);
                    continue;
                }
                // No rule reads them: the engine asks by itself (`engine/configs.rs`).
                EvidenceRequest::Config { .. } => continue,
            };
            let fresh = snapshot.logs.get(&key).is_some_and(|known| known.restart_count >= restart_count);
            let asked = self.handed_out.get(&key).is_some_and(|at| *at >= restart_count);
            let request = EvidenceRequest::Log { key: key.clone(), restart_count };
            if fresh || asked || self.pending.contains(&request) || !self.represents(snapshot, &key) {
                continue;
            }
            self.pending.retain(|pending| log_of(pending) != Some(&key));
            self.pending.push_back(request);
        }
    }

    /// The next requests; each is returned once per restart count.
    pub fn take(&mut self) -> Vec<EvidenceRequest> {
        let mut batch: Vec<_> = self.pending.drain(..self.pending.len().min(BATCH)).collect();
        let room = BATCH.saturating_sub(batch.len()).min(self.idle.len());
        batch.extend(self.idle.drain(..room));
        for request in &batch {
            if let EvidenceRequest::Log { key, restart_count } | EvidenceRequest::Sample { key, restart_count, .. } = request {
                self.handed_out.insert(key.clone(), *restart_count);
            }
        }
        batch
    }

    fn sample(&mut self, snapshot: &Snapshot, key: LogKey, restart_count: i32, round: i64) {
        let group = group(snapshot, &key);
        match self.sampled.get(&group) {
            Some((speaker, last)) if *speaker == key && *last >= round => return,
            // Another pod of the workload spoke this round, unless it is gone.
            Some((speaker, last)) if *last >= round && snapshot.pods.named(&speaker.namespace, &speaker.pod).is_some() => return,
            None if self.sampled.len() >= SAMPLED => return,
            _ => {}
        }
        self.sampled.insert(group, (key.clone(), round));
        self.idle.retain(|waiting| log_of(waiting) != Some(&key));
        self.idle.push_back(EvidenceRequest::Sample { key, restart_count, round });
    }

    fn throttling(&mut self, request: EvidenceRequest) {
        let EvidenceRequest::Throttling { namespace, pod, round, .. } = &request else { return };
        let (who, round) = ((namespace.clone(), pod.clone()), *round);
        let asked = self.throttled.get(&who).is_some_and(|last| *last >= round);
        if asked || self.throttled.values().filter(|last| **last >= round).count() >= THROTTLED {
            return;
        }
        self.throttled.insert(who, round);
        self.idle.push_back(request);
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
        self.pending.retain(|request| !log_of(request).is_some_and(of_it));
        self.idle.retain(|request| !log_of(request).is_some_and(of_it));
        self.sampled.retain(|_, (key, _)| !of_it(key));
        self.throttled.remove(&(subject.1.namespace.clone(), subject.1.name.clone()));
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

/// The log a request is about.
fn log_of(request: &EvidenceRequest) -> Option<&LogKey> {
    match request {
        EvidenceRequest::Log { key, .. } | EvidenceRequest::Sample { key, .. } => Some(key),
        EvidenceRequest::Throttling { .. } | EvidenceRequest::Config { .. } => None,
    }
}
