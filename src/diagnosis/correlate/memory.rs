//! Incidents from one grouping to the next: one is put together anew only when its findings changed, or something in a namespace
//! it speaks of. Of hundreds of incidents in a large cluster a changed pod concerns one or two.
//!
//! Invariant: what is remembered is what putting it together anew would say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Found, Group};
use crate::diagnosis::finding::Root;
use crate::diagnosis::incident::{Incident, IncidentId};
use crate::kinds::ObjectRef;
use crate::text::Text;

/// What changed since the last grouping, as far as an incident may speak of it.
#[derive(Debug, Default)]
pub struct Touched {
    /// Something outside of namespaces, or measured of every pod.
    pub everything: bool,
    /// Objects of these.
    pub namespaces: BTreeSet<Text>,
}

impl Touched {
    /// Everything, as for a first look.
    pub fn everything() -> Self {
        Self { everything: true, namespaces: BTreeSet::new() }
    }
}

/// The incidents of one grouping, and what each was made of.
#[derive(Debug, Default)]
pub struct Memory(BTreeMap<IncidentId, (Made, Arc<Incident>)>);

/// What an incident is made of: the serial numbers of its findings, and the namespaces they speak of.
#[derive(Debug, PartialEq)]
pub(super) struct Made {
    members: Vec<u64>,
    symptoms: Vec<u64>,
    namespaces: BTreeSet<Text>,
}

impl Made {
    pub(super) fn of(group: &Group<'_>) -> Self {
        let serials = |found: &[Found<'_>]| found.iter().map(|f| f.serial).collect();
        let mut namespaces = BTreeSet::new();
        // Sorted sets do not notice the same text again and again; comparing with the last saves most look-ups.
        let mut last: Option<&Text> = None;
        for found in group.members.iter().chain(&group.symptoms) {
            for object in objects(found) {
                if last != Some(&object.namespace) {
                    namespaces.insert(object.namespace.clone());
                    last = Some(&object.namespace);
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
    /// The incident of that group as it was, if it still is so.
    pub(super) fn recall(&mut self, id: &IncidentId, made: &Made, touched: &Touched) -> Option<Arc<Incident>> {
        let (before, incident) = self.0.remove(id)?;
        let same = !touched.everything && before == *made && made.namespaces.is_disjoint(&touched.namespaces);
        same.then_some(incident)
    }

    pub(super) fn keep(&mut self, id: IncidentId, made: Made, incident: &Arc<Incident>) {
        self.0.insert(id, (made, Arc::clone(incident)));
    }
}
