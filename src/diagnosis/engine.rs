//! Incremental evaluation: findings per subject, rerun only for what a change touches, incidents over all of them.
//!
//! Invariant: after [`Engine::update`] with every change of a snapshot, the incidents are those [`diagnose`] would find in it
//! at once. A large change may be worked off in slices ([`Engine::note`], [`Engine::work`]), so that keys and frames come between.
//! Once in [`ROUND`] everything is looked at again: what depends on a change in a way that nobody thought of is not wrong for long.
//! Which subjects a change touches is decided in `engine/affected.rs`, evidence requests in `engine/requests.rs`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::TimeDelta;

use super::correlate::{self, Found, Memory, Touched};
use super::finding::{EvidenceRequest, Finding};
use super::incident::Incident;
use super::rule::{Facts, Output, Rule};
use super::rules;
use crate::kinds::KindId;
use crate::snapshot::{Changed, Key, Snapshot};
use crate::text::{Text, Time};

mod affected;
mod configs;
mod gaps;
mod requests;
pub mod trace;

pub use gaps::NotEvaluated;

/// How often everything is looked at again, in seconds; in a large cluster, after a second for each [`ROUND_SHARE`] subjects.
pub const ROUND: i64 = 60;
/// A few microseconds each: less than a thousandth of a core.
const ROUND_SHARE: usize = 100;

/// What a rule looks at: a kind and a key.
type Subject = (KindId, Key);

/// Keeps findings per subject and incidents over all.
#[derive(Debug)]
pub struct Engine {
    rules: &'static [&'static Rule],
    by_subject: BTreeMap<KindId, Vec<&'static Rule>>,
    subjects: BTreeMap<Subject, Looked>,
    rechecks: BTreeSet<(Time, Subject)>,
    /// When everything is looked at again.
    round: Option<Time>,
    complete: BTreeMap<KindId, Vec<bool>>,
    requests: requests::Requests,
    configs: configs::Configs,
    incidents: Vec<Arc<Incident>>,
    memory: Memory,
    /// What the incidents are about: a change of these may change their counts.
    concerned: HashSet<Subject, foldhash::fast::RandomState>,
    not_evaluated: Vec<NotEvaluated>,
    /// To be looked at.
    dirty: BTreeSet<Subject>,
    /// Pods whose usage was measured: to be looked at if it tells anything.
    measured: Vec<Key>,
    /// Changed since the last grouping.
    touched: Touched,
    /// Findings, or what incidents count, changed since the last grouping.
    ungrouped: bool,
    /// Numbers findings.
    serial: u64,
}

/// What the rules said about one subject. Only kept while they said anything.
#[derive(Debug, Default)]
struct Looked {
    findings: Vec<Known>,
    recheck: Option<Time>,
}

/// A finding as long as it stays the same.
#[derive(Debug)]
struct Known {
    rule: &'static Rule,
    finding: Finding,
    serial: u64,
}

impl Looked {
    fn says_what(&self, other: &Self) -> bool {
        let alike = |(a, b): (&Known, &Known)| a.rule.name == b.rule.name && a.finding == b.finding;
        self.findings.len() == other.findings.len() && self.findings.iter().zip(&other.findings).all(alike)
    }
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
    engine.memory = Memory::default();
    (engine.incidents.into_iter().map(Arc::unwrap_or_clone).collect(), engine.not_evaluated)
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
            round: None,
            complete: BTreeMap::new(),
            requests: requests::Requests::default(),
            configs: configs::Configs::default(),
            incidents: Vec::new(),
            memory: Memory::default(),
            concerned: HashSet::default(),
            not_evaluated: Vec::new(),
            dirty: BTreeSet::new(),
            measured: Vec::new(),
            touched: Touched::default(),
            ungrouped: false,
            serial: 0,
        }
    }

    /// Reruns the rules for what `changed` touches (or what is due by `now`) and regroups. Returns true when incidents changed.
    pub fn update(&mut self, snapshot: &Snapshot, changed: &[Changed], now: Time) -> bool {
        self.note(snapshot, changed, now);
        self.work(snapshot, now, usize::MAX)
    }

    /// Notes what `changed` touches, and what is due by `now`, for [`Engine::work`].
    pub fn note(&mut self, snapshot: &Snapshot, changed: &[Changed], now: Time) {
        self.configs.note(snapshot, changed);
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
        self.with_same_subnet(snapshot, changed, &mut dirty);
        affected::with_what_was_said(snapshot, changed, &self.subjects, &mut dirty);
        self.ungrouped |= self.touches_incidents(changed, &dirty);
        self.touch(snapshot, changed, coverage_changed);
        self.dirty.append(&mut dirty);
        if self.round.is_none_or(|at| at <= now) {
            if self.round.is_some() {
                self.doubt_everything(snapshot);
            }
            let long = i64::try_from(self.dirty.len() / ROUND_SHARE).unwrap_or(i64::MAX);
            self.round = Some(now + TimeDelta::seconds(long.clamp(ROUND, 60 * ROUND)));
        }
    }

    /// Everything is to be looked at, and put together, as if for the first time.
    fn doubt_everything(&mut self, snapshot: &Snapshot) {
        let kinds = self.by_subject.keys().copied();
        self.dirty.extend(kinds.flat_map(|kind| snapshot.keys(kind).into_iter().map(move |key| (kind, key))));
        self.dirty.extend(self.subjects.keys().cloned());
        self.touched.everything = true;
        self.ungrouped = true;
    }

    /// Looks at what was noted, at most at so many subjects, and regroups when none is left. True when incidents changed.
    pub fn work(&mut self, snapshot: &Snapshot, now: Time, at_most: usize) -> bool {
        let mut room = at_most;
        self.look_at(snapshot, now, &mut room);
        self.look_at_measured(snapshot, now, &mut room);
        if self.is_behind() {
            return false;
        }
        std::mem::take(&mut self.ungrouped) && self.regroup(snapshot, now)
    }

    /// True when [`Engine::work`] has something left to look at.
    pub fn is_behind(&self) -> bool {
        !self.dirty.is_empty() || !self.measured.is_empty()
    }

    /// The incidents, worst first.
    pub fn incidents(&self) -> &[Arc<Incident>] {
        &self.incidents
    }

    /// Evidence wanted and not yet handed out; each is returned once (again when its restart count grows).
    pub fn take_requests(&mut self) -> Vec<EvidenceRequest> {
        let mut wanted = self.requests.take();
        wanted.extend(self.configs.take());
        wanted
    }

    /// When `update` should run again even if nothing changes.
    pub fn next_recheck(&self) -> Option<Time> {
        self.rechecks.first().map(|(at, _)| *at).into_iter().chain(self.round).min()
    }

    /// Rules that could not look, and why.
    pub fn not_evaluated(&self) -> Vec<NotEvaluated> {
        self.not_evaluated.clone()
    }

    fn look_at_everything(&mut self, snapshot: &Snapshot, now: Time) {
        self.doubt_everything(snapshot);
        self.look_at(snapshot, now, &mut { usize::MAX });
        self.not_evaluated = gaps::not_evaluated(self.rules, snapshot);
        self.regroup(snapshot, now);
    }

    /// Runs every rule for subjects that wait, at most `room` of them.
    fn look_at(&mut self, snapshot: &Snapshot, now: Time, room: &mut usize) {
        let facts = Facts { snapshot, now };
        while *room > 0
            && let Some(subject) = self.dirty.pop_first()
        {
            if !self.by_subject.contains_key(&subject.0) {
                continue;
            }
            *room -= 1;
            let (mut looked, wanted) = self.look(&facts, &subject);
            self.requests.want(snapshot, &subject, wanted);
            let before = self.subjects.remove(&subject).unwrap_or_default();
            if let Some(at) = before.recheck {
                self.rechecks.remove(&(at, subject.clone()));
            }
            if let Some(at) = looked.recheck {
                self.rechecks.insert((at, subject.clone()));
            }
            if before.says_what(&looked) {
                looked.findings = before.findings;
            } else {
                self.ungrouped = true;
                for known in &mut looked.findings {
                    self.serial += 1;
                    known.serial = self.serial;
                }
            }
            if !looked.findings.is_empty() || looked.recheck.is_some() {
                self.subjects.insert(subject, looked);
            }
        }
    }

    /// Usage is measured of every pod every few seconds and seldom says anything: only the rules that read it are asked, and the
    /// pods of which they say something else than before are looked at.
    fn look_at_measured(&mut self, snapshot: &Snapshot, now: Time, room: &mut usize) {
        let facts = Facts { snapshot, now };
        let reads: Vec<&'static Rule> =
            self.rules.iter().copied().filter(|rule| rules::READ_USAGE.contains(&rule.name)).collect();
        while *room > 0
            && let Some(key) = self.measured.pop()
        {
            *room -= 1;
            let Some(pod) = snapshot.pods.get_arc(&key) else { continue };
            let subject = (KindId::Pod, key);
            let row = crate::kinds::Row::Pod(Arc::clone(pod));
            let said = self.subjects.get(&subject).map_or(&[][..], |looked| &looked.findings);
            let tells = reads.iter().any(|rule| {
                let mut output = Output::default();
                (rule.check)(&facts, &row, &mut output);
                let before = said.iter().filter(|known| known.rule.name == rule.name).map(|known| &known.finding);
                !output.requests.is_empty() || output.recheck.is_some() || !output.findings.iter().eq(before)
            });
            if tells {
                self.dirty.insert(subject);
            }
        }
        self.look_at(snapshot, now, room);
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
            looked.findings.extend(output.findings.into_iter().map(|finding| Known { rule, finding, serial: 0 }));
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
        let mut any = false;
        for kind in &kinds {
            let complete = gaps::completeness(snapshot, *kind);
            if self.complete.insert(*kind, complete.clone()).is_none_or(|before| before != complete) {
                any = true;
                let touched: BTreeSet<KindId> =
                    self.rules.iter().filter(|rule| rule.needs.contains(kind)).map(|rule| rule.subject).collect();
                dirty.extend(touched.into_iter().flat_map(|k| snapshot.keys(k).into_iter().map(move |key| (k, key))));
            }
        }
        if any {
            // Rules also say "no such object" where a list they can do without happens to be complete.
            dirty.extend(self.subjects.keys().cloned());
            let waiting = snapshot.pods.iter().filter(|pod| !pod.is_finished() && !pod.is_ready());
            dirty.extend(waiting.map(|pod| (KindId::Pod, Key::of(&pod.meta))));
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

    /// How many pods of a node hold an address is told of those that wait for one there.
    fn with_same_subnet(&self, snapshot: &Snapshot, changed: &[Changed], dirty: &mut BTreeSet<Subject>) {
        let waits = |looked: &Looked| looked.findings.iter().any(|known| known.finding.cause.0 == "ip-exhausted");
        let pods = self.subjects.range((KindId::Pod, Key::new("", ""))..).take_while(|((kind, _), _)| *kind == KindId::Pod);
        let waiting: Vec<&Subject> = pods.filter(|(_, looked)| waits(looked)).map(|(subject, _)| subject).collect();
        if waiting.is_empty() {
            return;
        }
        let pods = |change: &Changed| match change {
            Changed::Object { kind: KindId::Pod, key, before } => {
                snapshot.row(KindId::Pod, key).into_iter().chain(before.clone()).collect()
            }
            _ => Vec::new(),
        };
        let node_of = |row: crate::kinds::Row| if let crate::kinds::Row::Pod(pod) = row { pod.node_name.clone() } else { None };
        let nodes: BTreeSet<Text> = changed.iter().flat_map(pods).filter_map(node_of).collect();
        let is_there =
            |key: &Key| snapshot.pods.get(key).and_then(|pod| pod.node_name.as_ref()).is_some_and(|n| nodes.contains(n));
        dirty.extend(waiting.into_iter().filter(|(_, key)| is_there(key)).cloned());
    }

    /// Notes what incidents may speak of that changed.
    fn touch(&mut self, snapshot: &Snapshot, changed: &[Changed], coverage_changed: bool) {
        self.touched.everything |= coverage_changed;
        for change in changed {
            self.touched.note(snapshot, change);
            if let Changed::Usage(pods) = change {
                self.measured.extend(pods.iter().cloned());
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
        let known = self.subjects.values().flat_map(|looked| &looked.findings);
        let found = known.map(|known| Found { rule: known.rule, finding: &known.finding, serial: known.serial }).collect();
        let touched = std::mem::take(&mut self.touched);
        let incidents = correlate::correlate(&Facts { snapshot, now }, found, &mut self.memory, &touched);
        let same = |(new, old): (&Arc<Incident>, &Arc<Incident>)| Arc::ptr_eq(new, old) || new == old;
        if incidents.len() == self.incidents.len() && incidents.iter().zip(&self.incidents).all(same) {
            return false;
        }
        self.incidents = incidents;
        self.concerned = self.incidents.iter().flat_map(|incident| concerned(incident)).collect();
        true
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
