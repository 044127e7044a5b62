//! The reasoning about one object, made when somebody asks: which rules looked, what they found, where each finding went, what
//! was ruled out, and what could not be judged. Nothing of it is kept.
//!
//! Invariant: a trace runs the same rules over the same facts as the engine; it never says more than they do.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, Subject, affected, gaps};
use crate::diagnosis::finding::{EvidenceRequest, Finding};
use crate::diagnosis::incident::Incident;
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules;
use crate::kinds::{KindId, ObjectRef, Row};
use crate::snapshot::{Changed, Key, Snapshot, UsageKey};
use crate::text::Time;

mod words;

/// Pods of a workload that are looked at: their siblings say the same.
const PODS: usize = 20;

/// The reasoning about one object.
#[derive(Debug)]
pub struct Trace {
    /// About what.
    pub object: ObjectRef,
    /// What belongs to it and was looked at too: pods, owners, Services, autoscalers, nodes.
    pub subjects: Vec<ObjectRef>,
    /// Pods that were left out of [`Trace::subjects`].
    pub pods_left_out: usize,
    /// Incidents that name it or its workload, worst first.
    pub incidents: Vec<Incident>,
    /// What each rule said, in the order of the list of rules.
    pub checks: Vec<Check>,
    /// Remarks on habits and cost, which are no incidents.
    pub advice: Vec<Finding>,
    /// What could not be judged, and why.
    pub missing: Vec<String>,
}

/// What one rule said.
#[derive(Debug)]
pub struct Check {
    /// The rule.
    pub rule: &'static Rule,
    /// How many subjects it looked at.
    pub looked_at: usize,
    /// What it found, with what became of it.
    pub found: Vec<(Finding, Fate)>,
    /// Why it could not look at some of them.
    pub blind: Option<String>,
}

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is (part of) the incident of that title.
    Incident(String),
    /// It is told with the incident of that title, which explains it.
    Folded(String),
    /// Something else explains it.
    Dropped,
}

impl Engine {
    /// The reasoning about `object` now.
    pub fn trace(&self, snapshot: &Snapshot, object: &ObjectRef, now: Time) -> Trace {
        let facts = Facts { snapshot, now };
        let (subjects, pods_left_out) = belonging(snapshot, object);
        let names: BTreeSet<ObjectRef> = subjects.iter().map(name_of).chain([object.clone()]).collect();
        let about = |incident: &Incident| incident.objects.iter().chain(&incident.workloads).any(|o| names.contains(o));
        let incidents: Vec<Incident> = self.incidents.iter().filter(|i| about(i)).map(|i| (**i).clone()).collect();
        let mut missing = BTreeSet::new();
        let mut checks: Vec<Check> = Vec::new();
        for rule in self.rules.iter().copied() {
            checks.extend(check(&facts, rule, &subjects, &names, &incidents, &mut missing));
        }
        let advice = rules::ADVICE.iter().filter_map(|rule| check(&facts, rule, &subjects, &names, &[], &mut missing));
        let mut advice: Vec<Finding> = advice.flat_map(|check| check.found).map(|(finding, _)| finding).collect();
        // Pods of one template deserve the same remark once.
        let mut said = BTreeSet::new();
        advice.retain(|f| said.insert((f.cause, f.workload.clone(), f.container.clone())));
        without_usage(snapshot, &subjects, &mut missing);
        Trace {
            object: object.clone(),
            subjects: subjects.iter().map(name_of).filter(|o| o != object).collect(),
            pods_left_out,
            incidents,
            checks,
            advice,
            missing: missing.into_iter().collect(),
        }
    }
}

fn name_of((kind, key): &Subject) -> ObjectRef {
    ObjectRef::new(kind.name(), &key.namespace, &key.name)
}

/// The object and what belongs to it: what the engine looks at again when one of them changes.
fn belonging(snapshot: &Snapshot, object: &ObjectRef) -> (BTreeSet<Subject>, usize) {
    let Some(kind) = KindId::from_name(&object.kind) else { return (BTreeSet::new(), 0) };
    let key = Key { namespace: object.namespace.clone(), name: object.name.clone() };
    let pods = if kind == KindId::Pod { Vec::new() } else { snapshot.pods_of(object) };
    let left_out = pods.len().saturating_sub(PODS);
    // Other pods of the node are looked at again when one of it changes; they are another story than this one.
    let own: BTreeSet<Key> =
        pods.iter().map(|pod| Key::of(&pod.meta)).chain((kind == KindId::Pod).then(|| key.clone())).collect();
    let mut changed = vec![Changed::Object { kind, key, before: None }];
    changed.extend(pods.into_iter().take(PODS).map(|pod| Changed::Object {
        kind: KindId::Pod,
        key: Key::of(&pod.meta),
        before: None,
    }));
    let mut subjects = affected::subjects(snapshot, &changed);
    // Budgets of the namespace are looked at for any pod: only those that have to do with these pods belong here.
    let mine: Vec<_> = subjects.iter().filter(|(k, _)| *k == KindId::Pod).filter_map(|(_, k)| snapshot.pods.get(k)).collect();
    subjects.retain(|(kind, key)| match snapshot.row(*kind, key) {
        Some(Row::Pod(_)) => own.is_empty() || own.contains(key),
        Some(Row::PodDisruptionBudget(budget)) => mine.iter().any(|pod| budget.spec.selector.matches(&pod.meta.labels)),
        // Migrations are looked at again when any Deployment of the namespace changes; they are another story than this one.
        Some(Row::Job(_)) => matches!(&*object.kind, "Pod" | "Job" | "CronJob"),
        Some(_) => true,
        None => false,
    });
    (subjects, left_out)
}

/// What `rule` says about those subjects that are of its kind; `None` when none is.
fn check(
    facts: &Facts<'_>,
    rule: &'static Rule,
    subjects: &BTreeSet<Subject>,
    names: &BTreeSet<ObjectRef>,
    incidents: &[Incident],
    missing: &mut BTreeSet<String>,
) -> Option<Check> {
    let mut check = Check { rule, looked_at: 0, found: Vec::new(), blind: None };
    for (kind, key) in subjects.iter().filter(|(kind, _)| *kind == rule.subject) {
        let Some(row) = facts.snapshot.row(*kind, key) else { continue };
        if let Some(need) = gaps::missing_need(rule, facts.snapshot, &key.namespace) {
            check.blind = Some(format!("{} are not all known", need.info().plural));
            continue;
        }
        check.looked_at += 1;
        let mut output = Output::default();
        (rule.check)(facts, &row, &mut output);
        missing.extend(output.requests.iter().filter_map(|request| unanswered(facts.snapshot, request)));
        let mine = output.findings.into_iter().filter(|f| names.contains(&f.subject) || names.contains(&f.workload));
        check.found.extend(mine.map(|finding| {
            let fate = fate(&finding, incidents);
            (finding, fate)
        }));
    }
    (check.looked_at > 0 || check.blind.is_some()).then_some(check)
}

fn fate(finding: &Finding, incidents: &[Incident]) -> Fate {
    let names =
        |incident: &&Incident| incident.objects.contains(&finding.subject) || incident.workloads.contains(&finding.workload);
    let same = incidents.iter().filter(names).find(|incident| incident.cause == finding.cause);
    if let Some(incident) = same {
        return Fate::Incident(incident.title.clone());
    }
    let told = |incident: &&Incident| incident.symptoms.iter().any(|symptom| symptom.contains(finding.summary.as_str()));
    match incidents.iter().find(told).or_else(|| incidents.iter().find(names)) {
        Some(incident) => Fate::Folded(incident.title.clone()),
        None => Fate::Dropped,
    }
}

/// Why a log the rule wants cannot be read; `None` when it is there.
fn unanswered(snapshot: &Snapshot, request: &EvidenceRequest) -> Option<String> {
    let EvidenceRequest::Log { key, .. } = request else { return None };
    let run = if key.previous { "the previous run" } else { "the current run" };
    let what = format!("the log of {run} of container {} of pod {}", key.container, key.pod);
    match snapshot.logs.get(key) {
        None => Some(format!("{what}: not read yet")),
        Some(log) => log.unavailable.as_ref().map(|why| format!("{what}: {why}")),
    }
}

/// Pods whose containers nobody measures.
fn without_usage(snapshot: &Snapshot, subjects: &BTreeSet<Subject>, missing: &mut BTreeSet<String>) {
    let mut unmeasured: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, key) in subjects.iter().filter(|(kind, _)| *kind == KindId::Pod) {
        let Some(pod) = snapshot.pods.get(key) else { continue };
        let running = pod.containers().filter(|c| c.status.state.running.is_some());
        let known = |container: &crate::text::Text| {
            let (namespace, pod) = (key.namespace.clone(), key.name.clone());
            snapshot.usage.contains_key(&UsageKey { namespace, pod, container: container.clone() })
        };
        if running.into_iter().any(|c| !known(&c.status.name)) {
            *unmeasured.entry("pods").or_default() += 1;
        }
    }
    if let Some(count) = unmeasured.get("pods") {
        missing.insert(format!(
            "CPU and memory of {count} pods: nobody measures them (memory-near-limit, cpu-throttled cannot be told)"
        ));
    }
}
