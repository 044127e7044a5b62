//! What became of incidents: fixes under way, recoveries, until they are dismissed.
//!
//! Invariant: `recovered` is said only when the cause is gone **and** its workloads have every pod they should have.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::{Incident, IncidentId, Severity};
use crate::kinds::{ObjectRef, Row};
use crate::snapshot::Snapshot;
use crate::text::Time;

/// A fix that was applied is followed for this long.
const FOLLOWED: TimeDelta = TimeDelta::minutes(15);

/// An incident whose cause is no longer seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// As it was last.
    pub incident: Incident,
    /// When the cause was last seen.
    pub gone: Time,
    /// When its workloads had all their pods again.
    pub recovered: Option<Time>,
}

/// A plan that was applied.
#[derive(Debug, Clone, PartialEq)]
struct Work {
    intent: Intent,
    object: ObjectRef,
    at: Time,
}

/// How an incident fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// As it is.
    Open,
    /// Something is being done, or its workloads are coming back.
    UnderWay {
        /// `undoing`, `scaling`, `recovering`.
        word: &'static str,
        /// Pods ready and wanted, when that can be counted.
        ready: Option<(i32, i32)>,
        /// For how long.
        since: TimeDelta,
    },
    /// Over.
    Recovered {
        /// From the fix (or the first sight of the incident) to the last pod ready.
        after: TimeDelta,
    },
}

/// What became of incidents.
#[derive(Debug, Default)]
pub struct FollowUp {
    current: Vec<Incident>,
    past: Vec<Past>,
    works: Vec<Work>,
}

impl FollowUp {
    /// Incidents whose cause is gone, newest first.
    pub fn recovered(&self) -> impl Iterator<Item = &Past> {
        self.past.iter().rev()
    }

    /// A plan was applied.
    pub fn applied(&mut self, intent: &Intent, at: Time) {
        let object = object_of(intent).clone();
        self.works.retain(|work| work.object != object);
        self.works.push(Work { intent: intent.clone(), object, at });
    }

    /// Takes a past incident off the screen. False when it still is current.
    pub fn dismiss(&mut self, id: &IncidentId) -> bool {
        let before = self.past.len();
        self.past.retain(|past| past.incident.id != *id);
        before != self.past.len()
    }

    /// Compares the incidents of now with those of before.
    pub fn watch(&mut self, snapshot: &Snapshot, incidents: &[Incident], now: Time) {
        self.works.retain(|work| now - work.at < FOLLOWED);
        if self.current != incidents {
            let is_current = |id: &IncidentId| incidents.iter().any(|incident| incident.id == *id);
            self.past.retain(|past| !is_current(&past.incident.id));
            let before = std::mem::replace(&mut self.current, incidents.to_vec());
            let gone = before.into_iter().filter(|incident| !is_current(&incident.id));
            self.past.extend(gone.map(|incident| Past { incident, gone: now, recovered: None }));
        }
        let works = &self.works;
        self.past.retain(|past| past.recovered.is_some() || !replaced(&past.incident, incidents, works));
        for past in self.past.iter_mut().filter(|past| past.recovered.is_none()) {
            if past.incident.workloads.iter().all(|workload| progress(snapshot, workload).is_none_or(|p| p.complete)) {
                past.recovered = Some(now);
            }
        }
    }

    /// How that incident fares at `now`.
    pub fn fate(&self, snapshot: &Snapshot, incident: &Incident, now: Time) -> Fate {
        let work = self.works.iter().rev().find(|work| concerns(incident, work));
        let past = self.past.iter().find(|past| past.incident.id == incident.id);
        if let Some(recovered) = past.and_then(|past| past.recovered) {
            let start = work.map(|work| work.at).or(incident.since).unwrap_or(recovered);
            return Fate::Recovered { after: recovered - start };
        }
        let ready = || {
            let all: Vec<Progress> = incident.workloads.iter().filter_map(|w| progress(snapshot, w)).collect();
            (!all.is_empty()).then(|| all.iter().fold((0, 0), |(r, w), p| (r + p.ready, w + p.wanted)))
        };
        match (work, past) {
            (Some(work), _) => Fate::UnderWay { word: word(&work.intent), ready: ready(), since: now - work.at },
            (None, Some(past)) => Fate::UnderWay { word: "recovering", ready: ready(), since: now - past.gone },
            (None, None) => Fate::Open,
        }
    }
}

/// True when another cause took the incident's place: that is not a recovery.
fn replaced(past: &Incident, incidents: &[Incident], works: &[Work]) -> bool {
    !works.iter().any(|work| concerns(past, work))
        && incidents
            .iter()
            .any(|incident| incident.severity > Severity::Info && incident.workloads.iter().any(|w| past.workloads.contains(w)))
}

fn concerns(incident: &Incident, work: &Work) -> bool {
    incident.workloads.contains(&work.object) || incident.objects.contains(&work.object)
}

/// What the intent writes to.
pub fn object_of(intent: &Intent) -> &ObjectRef {
    match intent {
        Intent::Undo { workload, .. }
        | Intent::Scale { workload, .. }
        | Intent::Restart { workload }
        | Intent::SetMemoryLimit { workload, .. }
        | Intent::SetImage { workload, .. } => workload,
        Intent::Delete { object, .. } | Intent::RemoveFinalizer { object, .. } => object,
    }
}

fn word(intent: &Intent) -> &'static str {
    match intent {
        Intent::Undo { .. } => "undoing",
        Intent::Scale { .. } => "scaling",
        Intent::Restart { .. } => "restarting",
        Intent::SetMemoryLimit { .. } | Intent::SetImage { .. } => "updating",
        Intent::Delete { .. } => "deleting",
        Intent::RemoveFinalizer { .. } => "releasing",
    }
}

/// How far a workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Ready pods, at most as many as wanted.
    pub ready: i32,
    /// Wanted pods.
    pub wanted: i32,
    /// Every pod is of the current template and available.
    pub complete: bool,
}

/// How far a workload is; `None` when it is gone or has no pods to count.
pub fn progress(snapshot: &Snapshot, workload: &ObjectRef) -> Option<Progress> {
    let of = |wanted: i32, ready: i32, complete: bool| Progress { ready: ready.clamp(0, wanted.max(0)), wanted, complete };
    match snapshot.find(workload)? {
        Row::Deployment(d) => {
            let (wanted, s) = (d.spec.replicas.unwrap_or(1), &d.status);
            let settled = s.observed_generation >= d.meta.generation && s.updated_replicas == wanted && s.replicas == wanted;
            Some(of(wanted, s.ready_replicas, settled && s.available_replicas == wanted))
        }
        Row::StatefulSet(s) => {
            let wanted = s.spec.replicas.unwrap_or(1);
            let settled = s.status.observed_generation >= s.meta.generation;
            Some(of(wanted, s.status.ready_replicas, settled && s.status.ready_replicas == wanted))
        }
        Row::DaemonSet(d) => {
            let wanted = d.status.desired_number_scheduled;
            let settled = d.status.observed_generation >= d.meta.generation;
            Some(of(wanted, d.status.number_ready, settled && d.status.number_ready == wanted))
        }
        Row::Pod(pod) => Some(of(1, i32::from(pod.is_ready()), pod.is_ready() || pod.is_finished())),
        _ => None,
    }
}
