//! Incremental evaluation: findings per subject, rerun only for what a change touches, incidents over all of them.
//!
//! Invariant: after [`Engine::update`] with every change of a snapshot, the incidents are those [`diagnose`] would find in it
//! at once. Which subjects a change touches is decided in `engine/affected.rs`, evidence requests in `engine/requests.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::correlate::{self, Found};
use super::finding::{EvidenceRequest, Finding};
use super::incident::Incident;
use super::rule::{Facts, Output, Rule};
use super::rules;
use crate::kinds::KindId;
use crate::snapshot::{Changed, Key, Snapshot};
use crate::text::{Text, Time};

mod affected;
mod gaps;
mod requests;
pub mod trace;

pub use gaps::NotEvaluated;

/// What a rule looks at: a kind and a key.
type Subject = (KindId, Key);

/// Keeps findings per subject and incidents over all.
#[derive(Debug)]
pub struct Engine {
    rules: &'static [&'static Rule],
    by_subject: BTreeMap<KindId, Vec<&'static Rule>>,
    subjects: BTreeMap<Subject, Looked>,
    rechecks: BTreeSet<(Time, Subject)>,
    complete: BTreeMap<KindId, Vec<bool>>,
    requests: requests::Requests,
    incidents: Vec<Incident>,
    /// What the incidents are about: a change of these may change their counts.
    concerned: BTreeSet<Subject>,
    not_evaluated: Vec<NotEvaluated>,
}

/// What the rules said about one subject. Only kept while they said anything.
#[derive(Debug, Default, PartialEq)]
struct Looked {
    findings: Vec<(&'static str, Finding)>,
    recheck: Option<Time>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::with_rules(rules::ALL)
    }
}

/// Everything at once, for bundles and tests: all rules over all subjects with the evidence the snapshot holds.
pub fn diagnose(snapshot: &Snapshot, now: Time) -> (Vec<Incident>, Vec<NotEvaluated>) {
    let mut engine = Engine::default();
    engine.look_at_everything(snapshot, now);
    (engine.incidents, engine.not_evaluated)
}

impl Engine {
    /// An engine with another list of rules (for tests).
    pub fn with_rules(rules: &'static [&'static Rule]) -> Self {
        let mut by_subject: BTreeMap<KindId, Vec<&'static Rule>> = BTreeMap::new();
        for rule in rules {
            by_subject.entry(rule.subject).or_default().push(rule);
        }
        Self {
            rules,
            by_subject,
            subjects: BTreeMap::new(),
            rechecks: BTreeSet::new(),
            complete: BTreeMap::new(),
            requests: requests::Requests::default(),
            incidents: Vec::new(),
            concerned: BTreeSet::new(),
            not_evaluated: Vec::new(),
        }
    }

    /// Reruns the rules for what `changed` touches (or what is due by `now`) and regroups. Returns true when incidents changed.
    pub fn update(&mut self, snapshot: &Snapshot, changed: &[Changed], now: Time) -> bool {
        let mut dirty = affected::subjects(snapshot, changed);
        while let Some((at, subject)) = self.rechecks.first().cloned()
            && at <= now
        {
            self.rechecks.remove(&(at, subject.clone()));
            dirty.insert(subject);
        }
        let coverage_changed = self.note_coverage(snapshot, changed, &mut dirty);
        if coverage_changed {
            self.not_evaluated = gaps::not_evaluated(self.rules, snapshot);
        }
        self.with_same_scope(changed, &mut dirty);
        self.with_telling_usage(snapshot, changed, now, &mut dirty);
        let findings_changed = self.look_at(snapshot, &dirty, now);
        if !findings_changed && !self.touches_incidents(changed, &dirty) {
            return false;
        }
        self.regroup(snapshot, now)
    }

    /// The incidents, worst first.
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// Evidence wanted and not yet handed out; each is returned once (again when its restart count grows).
    pub fn take_requests(&mut self) -> Vec<EvidenceRequest> {
        self.requests.take()
    }

    /// When `update` should run again even if nothing changes.
    pub fn next_recheck(&self) -> Option<Time> {
        self.rechecks.first().map(|(at, _)| *at)
    }

    /// Rules that could not look, and why.
    pub fn not_evaluated(&self) -> Vec<NotEvaluated> {
        self.not_evaluated.clone()
    }

    fn look_at_everything(&mut self, snapshot: &Snapshot, now: Time) {
        let kinds: Vec<KindId> = self.by_subject.keys().copied().collect();
        let all = kinds.into_iter().flat_map(|kind| snapshot.keys(kind).into_iter().map(move |key| (kind, key))).collect();
        self.look_at(snapshot, &all, now);
        self.not_evaluated = gaps::not_evaluated(self.rules, snapshot);
        self.regroup(snapshot, now);
    }

    /// Runs every rule for each subject. True when any subject's findings are others than before.
    fn look_at(&mut self, snapshot: &Snapshot, subjects: &BTreeSet<Subject>, now: Time) -> bool {
        let facts = Facts { snapshot, now };
        let mut any = false;
        for subject in subjects {
            if !self.by_subject.contains_key(&subject.0) {
                continue;
            }
            let (looked, wanted) = self.look(&facts, subject);
            self.requests.want(snapshot, subject, wanted);
            let before = self.subjects.remove(subject).unwrap_or_default();
            if let Some(at) = before.recheck {
                self.rechecks.remove(&(at, subject.clone()));
            }
            if let Some(at) = looked.recheck {
                self.rechecks.insert((at, subject.clone()));
            }
            any |= before.findings != looked.findings;
            if looked != Looked::default() {
                self.subjects.insert(subject.clone(), looked);
            }
        }
        any
    }

    fn look(&self, facts: &Facts<'_>, subject: &Subject) -> (Looked, Vec<EvidenceRequest>) {
        let (kind, key) = subject;
        let mut looked = Looked::default();
        let mut wanted = Vec::new();
        let Some(row) = facts.snapshot.row(*kind, key) else { return (looked, wanted) };
        for rule in self.by_subject.get(kind).into_iter().flatten() {
            if gaps::missing_need(rule, facts.snapshot, &key.namespace).is_some() {
                continue;
            }
            let mut output = Output::default();
            (rule.check)(facts, &row, &mut output);
            looked.findings.extend(output.findings.into_iter().map(|finding| (rule.name, finding)));
            wanted.extend(output.requests);
            // A time that has passed would have the engine spin: the rule has just looked.
            if let Some(at) = output.recheck.filter(|at| *at > facts.now) {
                looked.recheck = Some(looked.recheck.map_or(at, |known| known.min(at)));
            }
        }
        (looked, wanted)
    }

    /// Notes which lists are complete now. When that changed for a kind that rules need, their subjects are dirty.
    fn note_coverage(&mut self, snapshot: &Snapshot, changed: &[Changed], dirty: &mut BTreeSet<Subject>) -> bool {
        let kinds: BTreeSet<KindId> =
            changed.iter().filter_map(|c| if let Changed::Coverage(kind) = c { Some(*kind) } else { None }).collect();
        for kind in &kinds {
            let complete = gaps::completeness(snapshot, *kind);
            if self.complete.insert(*kind, complete.clone()).is_none_or(|before| before != complete) {
                let touched: BTreeSet<KindId> =
                    self.rules.iter().filter(|rule| rule.needs.contains(kind)).map(|rule| rule.subject).collect();
                dirty.extend(touched.into_iter().flat_map(|k| snapshot.keys(k).into_iter().map(move |key| (k, key))));
                // Rules also say "no such object" where a list they can do without happens to be complete.
                dirty.extend(self.subjects.keys().cloned());
                let waiting = snapshot.pods.iter().filter(|pod| !pod.is_finished() && !pod.is_ready());
                dirty.extend(waiting.map(|pod| (KindId::Pod, Key::of(&pod.meta))));
            }
        }
        !kinds.is_empty()
    }

    /// Quotas, budgets and namespaces concern whatever has findings in their namespace.
    fn with_same_scope(&self, changed: &[Changed], dirty: &mut BTreeSet<Subject>) {
        let namespaces: BTreeSet<&Text> = changed
            .iter()
            .filter_map(|c| match c {
                Changed::Object { kind: KindId::ResourceQuota | KindId::PodDisruptionBudget, key, .. } => Some(&key.namespace),
                Changed::Object { kind: KindId::Namespace, key, .. } => Some(&key.name),
                Changed::Object { .. } | Changed::Evidence(_) | Changed::Usage(_) | Changed::Coverage(_) => None,
            })
            .collect();
        if !namespaces.is_empty() {
            dirty.extend(self.subjects.keys().filter(|(_, key)| namespaces.contains(&key.namespace)).cloned());
        }
    }

    /// Usage is measured of every pod every few seconds and seldom says anything: only the rules that read it are asked, and the
    /// pods they say something about, or did, are looked at.
    fn with_telling_usage(&self, snapshot: &Snapshot, changed: &[Changed], now: Time, dirty: &mut BTreeSet<Subject>) {
        let facts = Facts { snapshot, now };
        let reads: Vec<&&Rule> = self.rules.iter().filter(|rule| rules::READ_USAGE.contains(&rule.name)).collect();
        let measured = changed.iter().filter_map(|c| if let Changed::Usage(pods) = c { Some(pods) } else { None });
        for key in measured.flatten() {
            let Some(pod) = snapshot.pods.get_arc(key) else { continue };
            let subject = (KindId::Pod, key.clone());
            let said = self.subjects.get(&subject).is_some_and(|looked| !looked.findings.is_empty());
            let row = crate::kinds::Row::Pod(std::sync::Arc::clone(pod));
            let mut output = Output::default();
            if !said {
                reads.iter().for_each(|rule| (rule.check)(&facts, &row, &mut output));
            }
            if said || output != Output::default() {
                dirty.insert(subject);
            }
        }
    }

    /// True when an incident's counts (ready pods, endpoints) may have changed though no finding did.
    fn touches_incidents(&self, changed: &[Changed], dirty: &BTreeSet<Subject>) -> bool {
        let rerouted = changed.iter().any(|change| match change {
            Changed::Object { kind: KindId::Service | KindId::EndpointSlice | KindId::Ingress, key, .. } => {
                self.concerned.iter().any(|(_, known)| known.namespace == key.namespace)
            }
            Changed::Object { .. } | Changed::Evidence(_) | Changed::Usage(_) | Changed::Coverage(_) => false,
        });
        rerouted || dirty.iter().any(|subject| self.concerned.contains(subject))
    }

    fn regroup(&mut self, snapshot: &Snapshot, now: Time) -> bool {
        let found: Vec<Found<'_>> = self
            .subjects
            .values()
            .flat_map(|looked| &looked.findings)
            .filter_map(|(name, finding)| Some(Found { rule: self.rules.iter().find(|r| r.name == *name)?, finding }))
            .collect();
        let incidents = correlate::correlate(&Facts { snapshot, now }, &found);
        let changed = incidents != self.incidents;
        self.incidents = incidents;
        self.concerned = self.incidents.iter().flat_map(concerned).collect();
        changed
    }
}

/// The objects of watched kinds that an incident is about.
fn concerned(incident: &Incident) -> impl Iterator<Item = Subject> {
    let objects = incident.workloads.iter().chain(&incident.objects).chain(&incident.blast.services_without_endpoints);
    objects.filter_map(|object| {
        let key = Key { namespace: object.namespace.clone(), name: object.name.clone() };
        Some((KindId::from_name(&object.kind)?, key))
    })
}
