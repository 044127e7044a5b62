//! Grouping, suppression and ranking: many findings in, few incidents out, one fault one incident.
//!
//! Order of the steps (`failures.md`, part C): drop what a stronger finding on the same subject explains
//! (`correlate/suppress.rs`), fold what a dead node explains, give every workload one root a cause, group by cause and root,
//! fold symptoms under the cause they follow from, measure who feels it (`correlate/blast.rs`), judge, order.
//! Invariant: the result depends on the set of findings only, not on their order.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::cause::{CauseId, Severity};
use super::finding::{Confidence, Evidence, Finding, Root};
use super::incident::{Incident, IncidentId};
use super::rule::{Facts, Rule};
use crate::changes::before;
use crate::kinds::{KindId, ObjectRef};
use crate::text::Text;

mod agents;
mod blast;
mod claims;
mod cron_jobs;
mod dependencies;
mod fixes;
mod judge;
mod memory;
mod suppress;
mod system;
mod words;

pub use blast::backends;
use memory::{Made, Ranked};
pub use memory::{Memory, Touched};

/// Of maps that are looked into for every finding, and never in order.
type Hasher = foldhash::fast::RandomState;

/// A finding with the rule that found it.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What it found.
    pub finding: &'a Finding,
    /// Another finding, or the same in other words, has another number.
    pub serial: u64,
}

/// Findings of one cause and root, with the symptoms folded under them.
#[derive(Debug)]
pub(super) struct Group<'a> {
    id: IncidentId,
    /// Strongest first.
    members: Vec<Found<'a>>,
    /// Folded under it, strongest first.
    symptoms: Vec<Found<'a>>,
}

/// Quotes shown with an incident.
const QUOTES: usize = 6;

/// Merges findings into incidents, worst first. See the module docs. `memory` holds those of the last time, `touched` what changed
/// since then.
pub fn correlate(facts: &Facts<'_>, found: Vec<Found<'_>>, memory: &mut Memory, touched: &Touched) -> Vec<Arc<Incident>> {
    let mut found: Vec<_> = found.into_iter().map(|f| (strength(&f), f)).collect();
    found.sort_by(|(a, f), (b, g)| b.cmp(a).then_with(|| order(f.finding).cmp(&order(g.finding))));
    let mut found: Vec<Found<'_>> = found.into_iter().map(|(_, f)| f).collect();
    found.dedup_by(|a, b| a.finding == b.finding);
    let kept = suppress::explained_on_the_same_subject(&found);
    let (kept, by_node) = suppress::on_dead_nodes(facts.snapshot, kept);
    let (kept, by_namespace) = suppress::in_dying_namespaces(kept);
    let (derived, own): (Vec<_>, Vec<_>) = kept.into_iter().partition(|f| f.finding.derived);
    let mut groups = group(&own);
    for found in by_node {
        fold(&mut groups, found, |group, found| suppress::is_on_node_of(facts.snapshot, group, found.finding));
    }
    for found in by_namespace {
        fold(&mut groups, found, |group, found| suppress::is_in_namespace_of(group, found.finding));
    }
    suppress::generic_under_specific(&mut groups);
    cron_jobs::gather(facts.snapshot, &mut groups);
    system::behind_dns(&mut groups);
    dependencies::behind_dependencies(facts.snapshot, &mut groups);
    agents::behind_agents(facts.snapshot, &mut groups);
    claims::behind_users(facts.snapshot, &mut groups);
    // Symptoms of workloads first: a Service may then fold under what they became.
    let (of_routes, of_workloads): (Vec<_>, Vec<_>) = derived.into_iter().partition(|f| blast::is_route(&f.finding.workload));
    for symptoms in [of_workloads, of_routes] {
        if symptoms.is_empty() {
            continue;
        }
        let mut alone = Vec::new();
        let index = ByWorkload::of(&groups);
        for found in symptoms {
            let mut related = blast::related(facts.snapshot, &found.finding.workload);
            related.extend(cron_jobs::owner(facts.snapshot, &found.finding.workload));
            let behind = |group: &Group<'_>, found: &Found<'_>| {
                (group.takes_things_down() || cron_jobs::says_of_runs(group, found))
                    && group.workloads().chain(group.clients()).any(|w| related.contains(w))
                    || suppress::is_hurt_by_node_of(facts.snapshot, group, &related)
            };
            let candidates = index.about(&related).chain(index.of_nodes.iter().copied()).collect();
            if !fold_among(&mut groups, &candidates, found, behind) {
                alone.push(found);
            }
        }
        groups.extend(group(&alone));
    }
    system::behind_api_services(&mut groups);
    let mut incidents = put_together(facts, &groups, memory, touched);
    judge::rank(&mut incidents);
    incidents.into_iter().map(|ranked| ranked.incident).collect()
}

/// The groups as incidents, those that nothing changed about as they were.
fn put_together(facts: &Facts<'_>, groups: &[Group<'_>], memory: &mut Memory, touched: &Touched) -> Vec<Ranked> {
    let made: Vec<Made> = groups.iter().map(Made::of).collect();
    let mut namespaces: HashSet<Text, Hasher> = HashSet::default();
    for namespace in made.iter().flat_map(Made::namespaces) {
        if !namespaces.contains(namespace) {
            namespaces.insert(namespace.clone());
        }
    }
    namespaces.extend(groups.iter().flat_map(|group| blast::namespaces_on(facts.snapshot, group)));
    let down = memory.begin(facts.snapshot, namespaces, touched);
    let mut incidents = Vec::with_capacity(groups.len());
    for (group, made) in groups.iter().zip(made) {
        let known = memory.recall(facts, group, &made, (touched, &down)).filter(|_| !group.is_of_a_node());
        let ranked = known.unwrap_or_else(|| {
            let incident = words::redacted(incident(facts, group, &down));
            let ranked = Ranked { down: judge::count_down(facts.snapshot, &incident), incident: Arc::new(incident) };
            memory.keep(facts, group, made, ranked.clone());
            ranked
        });
        incidents.push(ranked);
    }
    memory.end(down);
    incidents
}

/// Puts a finding under the group that best explains it: most certain, then worst, then earliest. False when there is none.
fn fold<'a>(groups: &mut [Group<'a>], found: Found<'a>, explains: impl Fn(&Group<'a>, &Found<'a>) -> bool) -> bool {
    let best = groups
        .iter_mut()
        .filter(|group| explains(group, &found))
        .max_by(|a, b| a.weight().cmp(&b.weight()).then_with(|| b.id.cmp(&a.id)));
    match best {
        Some(group) => group.symptoms.push(found),
        None => return false,
    }
    true
}

/// Moves the members for which `moves` holds under the best group with a member that explains them; with the last of a group goes
/// what was folded under it.
fn fold_into<'a>(groups: &mut Vec<Group<'a>>, moves: impl Fn(&Finding) -> bool, explains: impl Fn(&Finding, &Finding) -> bool) {
    for at in 0..groups.len() {
        let Some(from) = groups.get_mut(at).filter(|group| group.members.iter().any(|f| moves(f.finding))) else { continue };
        let all = std::mem::take(&mut from.members);
        let (mut kept, mut last) = (Vec::new(), None);
        for found in all {
            let why = |group: &Group<'a>, found: &Found<'a>| group.members.iter().any(|f| explains(f.finding, found.finding));
            if moves(found.finding) && fold(groups, found, why) {
                last = Some(found.serial);
            } else {
                kept.push(found);
            }
        }
        let Some(from) = groups.get_mut(at) else { continue };
        from.members = kept;
        let left = if from.members.is_empty() { std::mem::take(&mut from.symptoms) } else { Vec::new() };
        for found in left {
            fold(groups, found, |group, _| group.symptoms.iter().any(|f| Some(f.serial) == last));
        }
    }
    groups.retain(|group| !group.members.is_empty());
}

/// As [`fold`], among these groups only.
fn fold_among<'a>(
    groups: &mut [Group<'a>],
    candidates: &BTreeSet<usize>,
    found: Found<'a>,
    explains: impl Fn(&Group<'a>, &Found<'a>) -> bool,
) -> bool {
    let fit = candidates.iter().filter_map(|at| Some((*at, groups.get(*at)?))).filter(|(_, group)| explains(group, &found));
    let best = fit.max_by(|(_, a), (_, b)| a.weight().cmp(&b.weight()).then_with(|| b.id.cmp(&a.id))).map(|(at, _)| at);
    match best.and_then(|at| groups.get_mut(at)) {
        Some(group) => group.symptoms.push(found),
        None => return false,
    }
    true
}

/// Where the groups about a workload are, so that folding looks at few of many.
#[derive(Debug)]
pub(super) struct ByWorkload<'a> {
    places: HashMap<&'a ObjectRef, Vec<usize>, Hasher>,
    of_nodes: Vec<usize>,
}

impl<'a> ByWorkload<'a> {
    fn of(groups: &[Group<'a>]) -> Self {
        let mut places: HashMap<&'a ObjectRef, Vec<usize>, Hasher> = HashMap::default();
        let mut of_nodes = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            for workload in group.workloads().chain(group.clients()) {
                let known = places.entry(workload).or_default();
                if known.last() != Some(&at) {
                    known.push(at);
                }
            }
            if group.workloads().any(|workload| &*workload.kind == "Node") {
                of_nodes.push(at);
            }
        }
        Self { places, of_nodes }
    }

    fn about<'s>(&'s self, workloads: &'s BTreeSet<ObjectRef>) -> impl Iterator<Item = usize> + 's {
        workloads.iter().filter_map(|workload| self.places.get(workload)).flatten().copied()
    }
}

impl<'a> Group<'a> {
    fn workloads(&self) -> impl Iterator<Item = &'a ObjectRef> + use<'_, 'a> {
        self.members.iter().map(|f| &f.finding.workload)
    }

    /// What fails for want of these workloads and was folded under them.
    fn clients(&self) -> impl Iterator<Item = &'a ObjectRef> + use<'_, 'a> {
        self.symptoms.iter().filter(|f| self.brings(f.finding)).map(|f| &f.finding.workload)
    }

    /// True for what was folded under it and takes its workload down with it.
    fn brings(&self, finding: &Finding) -> bool {
        dependencies::is_client(finding) || !self.is_of_a_node() && agents::is_stranded(finding)
    }

    /// True when it says that a node is down: it speaks of all that ran there, in whatever namespace.
    fn is_of_a_node(&self) -> bool {
        self.id.cause.0 == "node-not-ready"
    }

    /// False for remarks on cost or capacity: they explain no symptom.
    fn takes_things_down(&self) -> bool {
        self.members.iter().any(|f| suppress::severe_enough(f.finding) && severity(f.finding) > Severity::Info)
    }

    /// How well it explains symptoms.
    fn weight(&self) -> (Confidence, Severity) {
        let confidence = self.members.iter().map(|f| f.finding.confidence).max().unwrap_or(Confidence::Possible);
        let severity = self.members.iter().map(|f| severity(f.finding)).max().unwrap_or(Severity::Info);
        (confidence, severity)
    }
}

/// Groups by cause and root. A workload has one root a cause: the one most of its peers share.
fn group<'a>(found: &[Found<'a>]) -> Vec<Group<'a>> {
    let mut root_of: HashMap<(CauseId, &ObjectRef), &Root, Hasher> = HashMap::default();
    let mut torn: HashSet<(CauseId, &ObjectRef), Hasher> = HashSet::default();
    for Found { finding, .. } in found {
        let root = root_of.entry((finding.cause, &finding.workload)).or_insert(&finding.root);
        if **root != finding.root {
            torn.insert((finding.cause, &finding.workload));
        }
    }
    if !torn.is_empty() {
        let peers = peers(found);
        let size = |cause, root| peers.get(&(cause, root)).map_or(0, HashSet::len);
        for Found { finding, .. } in found.iter().filter(|f| torn.contains(&(f.finding.cause, &f.finding.workload))) {
            let root = root_of.entry((finding.cause, &finding.workload)).or_insert(&finding.root);
            let better = size(finding.cause, &finding.root).cmp(&size(finding.cause, root));
            if better.then_with(|| (*root).cmp(&finding.root)).is_gt() {
                *root = &finding.root;
            }
        }
    }
    let mut at: HashMap<(CauseId, &Root), usize, Hasher> = HashMap::default();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for f in found {
        let cause = f.finding.cause;
        let root = root_of.get(&(cause, &f.finding.workload)).map_or(&f.finding.root, |root| *root);
        let at = *at.entry((cause, root)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.members.push(*f),
            None => {
                groups.push(Group { id: IncidentId { cause, root: root.clone() }, members: vec![*f], symptoms: Vec::new() });
            }
        }
    }
    groups.sort_by(|a, b| a.id.cmp(&b.id));
    groups
}

/// The workloads that share a cause and a root.
type Peers<'a> = HashMap<(CauseId, &'a Root), HashSet<&'a ObjectRef, Hasher>, Hasher>;

fn peers<'a>(found: &[Found<'a>]) -> Peers<'a> {
    let mut peers = Peers::default();
    for f in found {
        peers.entry((f.finding.cause, &f.finding.root)).or_default().insert(&f.finding.workload);
    }
    peers
}

/// A finding's own severity, else its cause's.
fn severity(finding: &Finding) -> Severity {
    finding.severity.or_else(|| finding.cause.cause().map(|c| c.severity)).unwrap_or(Severity::Warning)
}

fn is_generic(finding: &Finding) -> bool {
    finding.cause.cause().is_some_and(|cause| cause.generic)
}

fn strength(found: &Found<'_>) -> (bool, Confidence, Severity, usize) {
    let f = found.finding;
    (!is_generic(f), f.confidence, severity(f), f.evidence.len())
}

/// A total order that does not depend on where findings came from.
fn order(finding: &Finding) -> (CauseId, &ObjectRef, Option<&str>, &str) {
    (finding.cause, &finding.subject, finding.container.as_deref(), &finding.summary)
}

fn incident(facts: &Facts<'_>, group: &Group<'_>, down: &blast::Down) -> Incident {
    let members: Vec<&Finding> = group.members.iter().map(|f| f.finding).collect();
    let folded = || group.symptoms.iter().map(|f| f.finding);
    let mut workloads: BTreeSet<ObjectRef> = members.iter().map(|f| f.workload.clone()).collect();
    workloads.extend(cron_jobs::owners(facts.snapshot, &workloads));
    // A claim stands for itself only where nobody waits for it.
    let is_claim = |object: &ObjectRef| &*object.kind == KindId::PersistentVolumeClaim.name();
    if !workloads.iter().all(is_claim) {
        workloads.retain(|workload| !is_claim(workload));
    }
    let mut objects: BTreeSet<ObjectRef> = members.iter().copied().chain(folded()).map(|f| f.subject.clone()).collect();
    objects.extend(blast::hurt(facts.snapshot, group.id.cause, &workloads));
    objects.extend(folded().filter(|f| group.brings(f)).map(|f| f.workload.clone()));
    let workloads: Vec<ObjectRef> = workloads.into_iter().collect();
    let objects: Vec<ObjectRef> = objects.into_iter().collect();
    let blast = blast::measure(facts.snapshot, down, &workloads, &objects);
    let since = members.iter().filter_map(|f| f.since).min();
    let (change, regression) = fixes::change_before(facts, group.id.cause, &workloads, &objects, since);
    let stranded = folded().filter(|f| group.brings(f));
    let base = members.iter().copied().chain(stranded).map(severity).max().unwrap_or(Severity::Warning);
    let mut symptoms: Vec<String> = folded().map(|f| words::symptom(f, &workloads)).collect();
    symptoms.sort();
    symptoms.dedup();
    Incident {
        id: group.id.clone(),
        cause: group.id.cause,
        severity: judge::severity(facts.snapshot, group, base, &blast, regression.is_some()),
        confidence: members.iter().map(|f| f.confidence).max().unwrap_or(Confidence::Possible),
        title: words::title(&members, &workloads),
        summary: members.first().map(|f| words::sentence(&f.summary)).unwrap_or_default(),
        since,
        evidence: evidence(&members, folded().collect()),
        fixes: fixes::fixes(facts, group, regression.as_ref(), change.as_ref()),
        sureness: change.as_ref().map(|change| before::sureness(facts.snapshot, change)),
        change,
        regression: regression.is_some(),
        ruled_out: ruled_out(&members),
        workloads,
        objects,
        blast,
        symptoms,
    }
}

/// The strongest finding's quotes in full, then what others add: at most [`QUOTES`], no two alike.
fn evidence(members: &[&Finding], symptoms: Vec<&Finding>) -> Vec<Evidence> {
    let mut quotes: Vec<Evidence> = Vec::new();
    for (rank, finding) in members.iter().copied().chain(symptoms).enumerate() {
        for quote in &finding.evidence {
            let known = quotes.iter().any(|q| q.from == quote.from && alike(&q.text, &quote.text));
            if (rank == 0 || !known) && quotes.len() < QUOTES {
                quotes.push(quote.clone());
            }
        }
    }
    quotes
}

/// True when two quotes differ at most in what makes pods differ: digits and hexadecimal hashes.
fn alike(a: &str, b: &str) -> bool {
    let shape = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.contains(|c: char| c.is_ascii_digit()));
        words.collect::<Vec<_>>().join(" ")
    };
    a == b || shape(a) == shape(b)
}

fn ruled_out(members: &[&Finding]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in members.iter().flat_map(|f| &f.ruled_out) {
        if !out.contains(line) {
            out.push(line.clone());
        }
    }
    out.truncate(QUOTES);
    out
}
