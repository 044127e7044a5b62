//! Incidents from one grouping to the next: one is put together anew only when its findings changed, or something that it speaks
//! of. Of hundreds of incidents in a large cluster a changed pod concerns one or two.
//!
//! Invariant: what is remembered is what putting it together anew would say. Pods and events change all the time: they count for
//! the incidents about them or their owners, and for those whose fixes look at neighbours
//! ([`FIXES_READ_NEIGHBOURS`](crate::diagnosis::rules::FIXES_READ_NEIGHBOURS)). Whatever else changes counts for its whole
//! namespace, and what has no namespace for everything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::blast::{self, Down};
use super::{Found, Group, Hasher};
use crate::diagnosis::finding::Root;
use crate::diagnosis::incident::{Fix, Incident, IncidentId};
use crate::diagnosis::rule::Facts;
use crate::diagnosis::rules::FIXES_READ_NEIGHBOURS;
use crate::kinds::{KindId, Meta, ObjectRef, Row};
use crate::snapshot::{Changed, Snapshot};
use crate::text::Text;

/// Owners are followed this far: Pod, ReplicaSet or Job, Deployment or CronJob.
const LONGEST_CHAIN: usize = 4;

/// What changed since the last grouping, as far as an incident may speak of it.
#[derive(Debug, Default)]
pub struct Touched {
    /// Something outside of namespaces, or what can be seen at all.
    pub everything: bool,
    /// Namespaces in which something changed besides pods and events.
    namespaces: HashSet<Text, Hasher>,
    /// Pods that changed, what events are about, and the owners of both.
    objects: HashSet<ObjectRef, Hasher>,
    /// The namespaces of those.
    near: HashSet<Text, Hasher>,
    /// Namespaces in which a pod came, went, or is another to its neighbours.
    stirred: HashSet<Text, Hasher>,
}

impl Touched {
    /// Takes note of a change.
    pub fn note(&mut self, snapshot: &Snapshot, change: &Changed) {
        match change {
            Changed::Object { kind: KindId::Namespace, key, .. } => self.namespace(&key.name),
            Changed::Object { key, .. } if key.namespace.is_empty() => self.everything = true,
            Changed::Object { kind: kind @ (KindId::Pod | KindId::Event), key, before } => {
                let row = snapshot.row(*kind, key);
                if *kind == KindId::Pod && !is_the_same_to_neighbours(before.as_ref(), row.as_ref()) {
                    self.stirred.insert(key.namespace.clone());
                }
                row.iter().chain(before).for_each(|row| self.row(snapshot, row));
            }
            Changed::Object { key, .. } => self.namespace(&key.namespace),
            Changed::Evidence(object) => self.namespace(&object.namespace),
            // No incident quotes a measurement that its findings do not.
            Changed::Usage(_) | Changed::Coverage(_) => {}
        }
    }

    fn row(&mut self, snapshot: &Snapshot, row: &Row) {
        match row {
            Row::Pod(pod) => {
                self.object(ObjectRef::new("Pod", &pod.meta.namespace, &pod.meta.name));
                self.object(snapshot.workload_of(pod));
                self.owners(snapshot, &pod.meta);
            }
            Row::Event(event) => {
                let object = event.object();
                if let Some(row) = snapshot.find(&object) {
                    self.owners(snapshot, row.meta());
                }
                self.object(object);
            }
            _ => self.namespace(&row.meta().namespace),
        }
    }

    fn owners(&mut self, snapshot: &Snapshot, meta: &Meta) {
        let mut owner = meta.controller().cloned();
        for _ in 0..LONGEST_CHAIN {
            let Some(link) = owner.take() else { return };
            let object = ObjectRef { kind: link.kind, namespace: meta.namespace.clone(), name: link.name };
            owner = snapshot.find(&object).and_then(|row| row.meta().controller().cloned());
            self.object(object);
        }
    }

    fn object(&mut self, object: ObjectRef) {
        if !self.near.contains(&object.namespace) {
            self.near.insert(object.namespace.clone());
        }
        self.objects.insert(object);
    }

    fn namespace(&mut self, namespace: &Text) {
        if !self.namespaces.contains(namespace) {
            self.namespaces.insert(namespace.clone());
        }
    }

    /// Namespaces in which something changed, to be asked which Services are down there.
    pub(super) fn is_near(&self, namespace: &Text) -> bool {
        self.everything || self.near.contains(namespace) || self.namespaces.contains(namespace)
    }

    /// True when what changed may be something that the incident speaks of.
    fn concerns(&self, made: &Made, incident: &Incident) -> bool {
        if self.everything || made.namespaces.iter().any(|namespace| self.namespaces.contains(namespace)) {
            return true;
        }
        if !made.namespaces.iter().any(|namespace| self.near.contains(namespace)) {
            return false;
        }
        let mut objects = incident.workloads.iter().chain(&incident.objects);
        objects.any(|object| self.objects.contains(object))
            || incident.evidence.iter().any(|quote| self.objects.contains(&quote.object))
    }
}

/// The incidents of one grouping, and what each was made of.
#[derive(Debug, Default)]
pub struct Memory {
    incidents: HashMap<IncidentId, Kept, Hasher>,
    /// The Services that were down in the namespaces they speak of.
    down: Down,
    /// Counts groupings.
    round: u64,
}

#[derive(Debug)]
struct Kept {
    made: Made,
    ranked: Ranked,
    /// What the rule's fixes were, where they read neighbours.
    fixes: Vec<Fix>,
    /// The last grouping it was in.
    round: u64,
}

/// An incident, with what its rank hangs on besides itself.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    pub(super) incident: Arc<Incident>,
    /// Workloads without a ready pod.
    pub(super) down: usize,
}

/// What an incident is made of: the serial numbers of its findings, and the namespaces they speak of.
#[derive(Debug, PartialEq)]
pub(super) struct Made {
    members: Vec<u64>,
    symptoms: Vec<u64>,
    namespaces: Vec<Text>,
}

impl Made {
    pub(super) fn of(group: &Group<'_>) -> Self {
        let serials = |found: &[Found<'_>]| found.iter().map(|f| f.serial).collect();
        let mut namespaces: Vec<Text> = Vec::new();
        for found in group.members.iter().chain(&group.symptoms) {
            for object in objects(found) {
                // Mostly one, or a few: a list is faster than a set.
                if !namespaces.iter().any(|known| Arc::ptr_eq(known, &object.namespace) || *known == object.namespace) {
                    namespaces.push(object.namespace.clone());
                }
            }
        }
        Self { members: serials(&group.members), symptoms: serials(&group.symptoms), namespaces }
    }

    pub(super) fn namespaces(&self) -> impl Iterator<Item = &Text> {
        self.namespaces.iter()
    }
}

fn objects<'a>(found: &Found<'a>) -> impl Iterator<Item = &'a ObjectRef> {
    let finding = found.finding;
    let root = match &finding.root {
        Root::Workload(object) | Root::Object(object) => Some(object),
        Root::Outside { .. } => None,
    };
    [&finding.workload, &finding.subject].into_iter().chain(root).chain(finding.evidence.iter().map(|quote| &quote.object))
}

impl Memory {
    /// Begins a grouping: the Services that are down in these namespaces, looked for anew where something changed.
    pub(super) fn begin(&mut self, snapshot: &Snapshot, namespaces: HashSet<Text, Hasher>, touched: &Touched) -> Down {
        self.round += 1;
        let find = |namespace: Text| {
            let known = self.down.get(&namespace).filter(|_| !touched.is_near(&namespace)).map(Arc::clone);
            let down = known.unwrap_or_else(|| Arc::new(blast::down_in(snapshot, &namespace)));
            (namespace, down)
        };
        namespaces.into_iter().map(find).collect()
    }

    /// The incident of that group as it was, if it still is so.
    pub(super) fn recall(&mut self, facts: &Facts<'_>, group: &Group<'_>, made: &Made, now: (&Touched, &Down)) -> Option<Ranked> {
        let (touched, down) = now;
        let kept = self.incidents.get_mut(&group.id)?;
        let unchanged = |namespace: &Text| match (self.down.get(namespace), down.get(namespace)) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now) || before == now,
            _ => false,
        };
        let same = kept.made == *made
            && !touched.concerns(made, &kept.ranked.incident)
            && made.namespaces.iter().all(unchanged)
            && (!made.namespaces.iter().any(|namespace| touched.stirred.contains(namespace))
                || kept.fixes == neighbourly_fixes(facts, group));
        if !same {
            return None;
        }
        kept.round = self.round;
        Some(kept.ranked.clone())
    }

    /// Remembers an incident that was put together in this grouping.
    pub(super) fn keep(&mut self, facts: &Facts<'_>, group: &Group<'_>, made: Made, ranked: Ranked) {
        let fixes = neighbourly_fixes(facts, group);
        self.incidents.insert(group.id.clone(), Kept { made, ranked, fixes, round: self.round });
    }

    /// Ends a grouping: what was not in it is forgotten.
    pub(super) fn end(&mut self, down: Down) {
        let round = self.round;
        self.incidents.retain(|_, kept| kept.round == round);
        self.down = down;
    }
}

/// What others may read of a pod: what it is made of, where it is and whether it is ready.
fn is_the_same_to_neighbours(before: Option<&Row>, now: Option<&Row>) -> bool {
    let (Some(Row::Pod(before)), Some(Row::Pod(now))) = (before, now) else { return false };
    Arc::ptr_eq(&before.spec, &now.spec)
        && before.is_ready() == now.is_ready()
        && before.is_finished() == now.is_finished()
        && before.node_name == now.node_name
        && before.meta.uid == now.meta.uid
        && before.meta.labels == now.meta.labels
        && before.meta.deletion_timestamp == now.meta.deletion_timestamp
}

/// What the rule of the strongest finding would do, where that depends on pods besides its own; else nothing.
fn neighbourly_fixes(facts: &Facts<'_>, group: &Group<'_>) -> Vec<Fix> {
    let Some(found) = group.members.first() else { return Vec::new() };
    if FIXES_READ_NEIGHBOURS.contains(&found.rule.name) { (found.rule.fixes)(facts, found.finding) } else { Vec::new() }
}
