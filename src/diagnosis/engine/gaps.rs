//! What could not be judged: rules whose kinds were denied, have not arrived, or were never listed.

use crate::diagnosis::rule::Rule;
use crate::kinds::KindId;
use crate::snapshot::{CoverageState, Scope, Snapshot};

/// A rule that could not be evaluated, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotEvaluated {
    /// Rule name.
    pub rule: &'static str,
    /// `pods in namespace x: forbidden: ...`.
    pub why: String,
}

/// The first kind `rule` needs that is not completely known in `namespace`.
pub(super) fn missing_need(rule: &Rule, snapshot: &Snapshot, namespace: &str) -> Option<KindId> {
    rule.needs.iter().copied().find(|kind| !snapshot.coverage.is_complete(*kind, namespace))
}

/// For each scope of `kind`, whether its list is complete.
pub(super) fn completeness(snapshot: &Snapshot, kind: KindId) -> Vec<bool> {
    snapshot.coverage.of_kind(kind).map(is_complete).collect()
}

/// Rules that cannot look everywhere, by rule and reason.
pub(super) fn not_evaluated(rules: &[&'static Rule], snapshot: &Snapshot) -> Vec<NotEvaluated> {
    let mut found: Vec<NotEvaluated> = rules
        .iter()
        .flat_map(|rule| {
            let kinds = std::iter::once(rule.subject).chain(rule.needs.iter().copied());
            kinds.flat_map(|kind| reasons(snapshot, kind)).map(|why| NotEvaluated { rule: rule.name, why })
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Why objects of `kind` are not all known; empty when they are.
fn reasons(snapshot: &Snapshot, kind: KindId) -> Vec<String> {
    let states: Vec<(&Scope, &CoverageState)> =
        snapshot.coverage.iter().filter(|(k, _, _)| *k == kind).map(|(_, scope, state)| (scope, state)).collect();
    let plural = kind.info().plural;
    if states.is_empty() {
        if kind.info().optional {
            return Vec::new();
        }
        return vec![format!("{plural}: not listed")];
    }
    if states.iter().any(|(scope, state)| **scope == Scope::Cluster && is_complete(state)) {
        return Vec::new();
    }
    let narrowed = states.iter().any(|(scope, state)| **scope != Scope::Cluster && is_complete(state));
    states
        .into_iter()
        .filter(|(_, state)| !is_complete(state))
        .map(|(scope, state)| {
            let place = match scope {
                Scope::Namespace(namespace) => format!("{plural} in namespace {namespace}"),
                Scope::Cluster if narrowed && kind.info().namespaced => format!("{plural} in other namespaces"),
                Scope::Cluster => plural.to_owned(),
            };
            format!("{place}: {}", why(state))
        })
        .collect()
}

fn is_complete(state: &CoverageState) -> bool {
    match state {
        CoverageState::Synced { .. } => true,
        CoverageState::Failing { last_heard, .. } => last_heard.is_some(),
        CoverageState::Syncing { .. } | CoverageState::Denied { .. } => false,
    }
}

fn why(state: &CoverageState) -> String {
    match state {
        CoverageState::Syncing { so_far } => format!("still listing, {so_far} so far"),
        CoverageState::Synced { .. } => "complete".to_owned(),
        CoverageState::Denied { why } => why.clone(),
        CoverageState::Failing { error, .. } => error.clone(),
    }
}
