//! The report of `k3am diagnose`: the same incidents as the cockpit's, as text, JSON (`k3am.dev/report/v1`) or Markdown.
//!
//! Pure: the same incidents give the same bytes. What was not seen is part of the report, never left out.

use chrono::TimeDelta;

use crate::changes::{self, TimelineEntry, TimelineFilter};
use crate::diagnosis::engine::NotEvaluated;
use crate::diagnosis::{Incident, Severity};
use crate::kinds::KindId;
use crate::snapshot::{CoverageState, Scope, Snapshot};
use crate::text::{Time, clean};

pub mod json;
pub mod markdown;
pub mod text;

/// Where the facts came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A live cluster.
    Cluster,
    /// Files.
    Bundle,
    /// A recorded session.
    Recording,
}

impl SourceKind {
    /// `cluster`, `bundle`, `recording`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Bundle => "bundle",
            Self::Recording => "recording",
        }
    }
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// `pods in namespace x`.
    pub what: String,
    /// `forbidden: ...`.
    pub why: String,
}

/// A finished diagnosis.
#[derive(Debug, Clone)]
pub struct Report {
    /// The time ages were judged by.
    pub observed_at: Time,
    /// What sort of source.
    pub source: SourceKind,
    /// Context or bundle name.
    pub name: String,
    /// Version of the server, when known.
    pub server_version: Option<String>,
    /// What could not be seen, sorted.
    pub missing: Vec<Missing>,
    /// Worst first.
    pub incidents: Vec<Incident>,
    /// Changes, deletions and first failures around the incidents, oldest first.
    pub timeline: Vec<TimelineEntry>,
}

/// Entries of the timeline kept: the newest.
const ENTRIES: usize = 200;
/// What is older than this is another day's story.
const LOOK_BACK: TimeDelta = TimeDelta::hours(24);

impl Report {
    /// A report on what `diagnosis` said about a snapshot at `now`.
    pub fn new(source: SourceKind, snapshot: &Snapshot, diagnosis: (Vec<Incident>, Vec<NotEvaluated>), now: Time) -> Self {
        let (incidents, not_evaluated) = diagnosis;
        Self {
            observed_at: now,
            source,
            name: snapshot.identity.name.clone(),
            server_version: snapshot.identity.server_version.clone(),
            missing: missing(source, snapshot, &not_evaluated),
            timeline: around(snapshot, &incidents, now),
            incidents,
        }
    }

    /// Keeps what concerns these namespaces; cluster-scoped objects (Nodes, ...) concern all of them.
    pub fn keep_namespaces(&mut self, namespaces: &[String]) {
        let wanted = |namespace: &str| namespace.is_empty() || namespaces.iter().any(|n| n == namespace);
        self.incidents.retain(|i| i.workloads.iter().chain(&i.objects).any(|o| wanted(&o.namespace)));
        self.timeline.retain(|entry| wanted(&entry.object.namespace));
    }

    /// Adds something that could not be seen.
    pub fn add_missing(&mut self, what: &str, why: &str) {
        self.missing.push(Missing { what: clean(what), why: clean(why) });
        self.missing.sort();
    }

    /// True when everything the rules read was there.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// True when an incident is at least as bad as `threshold`.
    pub fn fails(&self, threshold: Option<Severity>) -> bool {
        threshold.is_some_and(|least| self.incidents.iter().any(|i| i.severity >= least))
    }

    /// How many incidents are of `severity`.
    pub fn count(&self, severity: Severity) -> usize {
        self.incidents.iter().filter(|i| i.severity == severity).count()
    }
}

/// What happened from an hour before the first incident on, oldest first.
fn around(snapshot: &Snapshot, incidents: &[Incident], now: Time) -> Vec<TimelineEntry> {
    let first = incidents.iter().filter_map(|i| i.since.min(i.change.as_ref().map(|c| c.at)).or(i.since)).min().unwrap_or(now);
    let since = first.max(now - LOOK_BACK) - changes::before::WINDOW;
    let filter = TimelineFilter { since: Some(since), ..TimelineFilter::default() };
    let mut entries = changes::timeline(snapshot, &filter, now);
    entries.truncate(ENTRIES);
    entries.reverse();
    entries
}

/// Kinds that rules read and that are not completely known, with the rules that did not run for it.
fn missing(source: SourceKind, snapshot: &Snapshot, not_evaluated: &[NotEvaluated]) -> Vec<Missing> {
    let mut found = Vec::new();
    for &kind in KindId::ALL {
        let plural = kind.info().plural;
        let concerned: Vec<&str> = not_evaluated
            .iter()
            .filter(|n| n.why.strip_prefix(plural).is_some_and(|rest| rest.starts_with([':', ' '])))
            .map(|n| n.rule)
            .collect();
        if concerned.is_empty() {
            continue;
        }
        let rules = format!("not evaluated: {}", few(&concerned));
        let states: Vec<_> = snapshot.coverage.iter().filter(|(k, _, _)| *k == kind).collect();
        if states.is_empty() {
            let why = if source == SourceKind::Bundle { "not in the bundle" } else { "not listed" };
            found.push(Missing { what: plural.to_owned(), why: format!("{why} ({rules})") });
        }
        found.extend(
            unseen_scopes(plural, &states)
                .into_iter()
                .map(|(what, why)| Missing { what: clean(&what), why: format!("{} ({rules})", clean(&why)) }),
        );
    }
    found.sort();
    found
}

/// What of a kind is not seen, and why. What holds everywhere is said once, not again for each namespace that was tried.
fn unseen_scopes(plural: &str, states: &[(KindId, &Scope, &CoverageState)]) -> Vec<(String, String)> {
    let seen_somewhere = states.iter().any(|(_, _, state)| reason(state).is_none());
    let unseen: Vec<(&Scope, String)> = states.iter().filter_map(|(_, scope, state)| Some((*scope, reason(state)?))).collect();
    let everywhere = unseen.iter().find(|(scope, _)| **scope == Scope::Cluster).map(|(_, why)| why);
    let named = |place: &str, why: &String| (format!("{plural}{place}"), why.clone());
    match everywhere {
        Some(why) if seen_somewhere => vec![named(" in other namespaces", why)],
        Some(why) => vec![named("", why)],
        None => unseen
            .iter()
            .map(|(scope, why)| match scope {
                Scope::Namespace(namespace) => named(&format!(" in namespace {namespace}"), why),
                Scope::Cluster => named("", why),
            })
            .collect(),
    }
}

fn few(rules: &[&str]) -> String {
    const SHOWN: usize = 4;
    let mut names = rules.to_vec();
    names.dedup();
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more rules", names.get(..SHOWN).unwrap_or_default().join(", ")),
        _ => names.join(", "),
    }
}

fn reason(state: &CoverageState) -> Option<String> {
    match state {
        CoverageState::Synced { .. } | CoverageState::Failing { last_heard: Some(_), .. } => None,
        CoverageState::Syncing { so_far } => Some(format!("still listing, {so_far} so far")),
        CoverageState::Denied { why } => Some(why.clone()),
        CoverageState::Failing { error, .. } => Some(error.clone()),
    }
}
