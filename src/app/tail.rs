//! The live event tail: the newest events about a set of objects, or of the whole view when nothing is selected.
//!
//! Looks again only when events came or went or the selection changed, and at most four times a second.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::World;
use crate::diagnosis::{Incident, IncidentId};
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::{Key, Snapshot};
use crate::text::Time;

/// Events kept for the pane.
const KEPT: usize = 200;
/// Objects of one incident looked at: 200 pods of one workload say the same.
const OBJECTS: usize = 60;
/// Least time between two looks while events pour in.
const PAUSE: TimeDelta = TimeDelta::milliseconds(250);

/// The tail.
#[derive(Debug, Default)]
pub struct Tail {
    /// Newest first.
    pub keys: Vec<Key>,
    about: Option<IncidentId>,
    version: u64,
    looked: Option<Time>,
}

impl Tail {
    /// Brings the tail up to date for that incident; `None` is everything.
    pub fn follow(&mut self, world: &World, incident: Option<&Incident>) {
        let same = self.about.as_ref() == incident.map(|i| &i.id);
        let due = self.looked.is_none_or(|at| (world.now - at).abs() >= PAUSE);
        if self.looked.is_some() && same && (self.version == world.events_version || !due) {
            return;
        }
        self.about = incident.map(|i| i.id.clone());
        self.version = world.events_version;
        self.looked = Some(world.now);
        self.keys = match incident {
            Some(incident) => newest(about(&world.snapshot, incident)),
            None => newest(world.snapshot.events.iter().map(|e| (e.last_seen(), Key::of(&e.meta)))),
        };
    }
}

fn about<'a>(snapshot: &'a Snapshot, incident: &Incident) -> impl Iterator<Item = (Option<Time>, Key)> + 'a {
    objects(snapshot, incident).into_iter().flat_map(|object| {
        snapshot.events_about(&object).into_iter().map(|e| (e.last_seen(), Key::of(&e.meta))).collect::<Vec<_>>()
    })
}

/// The incident's objects, its workloads, their ReplicaSets and pods.
fn objects(snapshot: &Snapshot, incident: &Incident) -> BTreeSet<ObjectRef> {
    let mut found: BTreeSet<ObjectRef> = incident.workloads.iter().cloned().collect();
    found.extend(incident.objects.iter().take(OBJECTS).cloned());
    for workload in incident.workloads.iter().take(OBJECTS) {
        if let Some(row) = snapshot.find(workload) {
            let sets = snapshot.controlled_by(KindId::ReplicaSet, &row.meta().uid);
            found.extend(sets.iter().map(|key| ObjectRef::new("ReplicaSet", &key.namespace, &key.name)));
        }
        let pods = snapshot.pods_of(workload);
        found.extend(pods.iter().take(OBJECTS).map(|pod| ObjectRef::new("Pod", &pod.meta.namespace, &pod.meta.name)));
    }
    found
}

fn newest(events: impl Iterator<Item = (Option<Time>, Key)>) -> Vec<Key> {
    let mut all: Vec<(Option<Time>, Key)> = events.collect();
    let order = |a: &(Option<Time>, Key), b: &(Option<Time>, Key)| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1));
    if all.len() > KEPT {
        all.select_nth_unstable_by(KEPT, order);
        all.truncate(KEPT);
    }
    all.sort_by(order);
    all.into_iter().map(|(_, key)| key).collect()
}
