//! `namespace-terminating`: what keeps a namespace.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{fact, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::{Condition, KindId, ObjectRef, Row};
use crate::text;

/// The rule.
pub static NAMESPACE_TERMINATING: Rule = Rule {
    name: "namespace-terminating",
    causes: &[CauseId("namespace-terminating")],
    doc: "\
What it detects
  A namespace that stays Terminating, and what keeps it: objects with finalizers, objects that cannot be deleted, or an
  aggregated API that does not answer (which blocks every namespace of the cluster).
Reads
  status.phase, metadata.deletionTimestamp, status.conditions NamespaceDeletionDiscoveryFailure,
  NamespaceDeletionGroupVersionParsingFailure, NamespaceDeletionContentFailure, NamespaceContentRemaining,
  NamespaceFinalizersRemaining.
Source
  pkg/controller/namespace/deletion/status_condition_utils.go.
Look-alikes
  A namespace whose pods are still within their grace period: content remains for a moment, which is normal.
Fixes
  Repair or delete the broken API service; restore the controller of the finalizers, or remove them from the named objects.
  Removing the namespace's own finalizer through /finalize leaks what is left.
",
    subject: KindId::Namespace,
    needs: &[],
    check,
    fixes,
};

/// Conditions from the most telling to the least.
const CONDITIONS: &[&str] = &[
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
];

static GROUP: Pattern = Pattern::new(r"(?:server APIs: |failing: )([a-z0-9.-]+)/(v[0-9a-z]+)");
static RESOURCE: Pattern = Pattern::new(r"remaining: ([a-z]+(?:\.[a-z0-9.-]*)?) has \d+");
static FINALIZER: Pattern = Pattern::new(r"finalizers remaining: (\S+) in \d+");

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Namespace(namespace) = row else { return };
    let Some(deleted) = namespace.meta.deletion_timestamp else { return };
    let found: Vec<&Condition> =
        CONDITIONS.iter().filter_map(|c| Condition::find(&namespace.status.conditions, c)).filter(|c| c.is_true()).collect();
    let patience = match found.first().map(|c| &*c.kind) {
        Some("NamespaceContentRemaining") | None => TimeDelta::seconds(60),
        Some(_) => TimeDelta::seconds(15),
    };
    if facts.now < deleted + patience {
        out.recheck_at(deleted + patience);
        return;
    }
    let object = ObjectRef::new("Namespace", "", &namespace.meta.name);
    let message = |kind: &str| found.iter().find(|c| &*c.kind == kind).map(|c| c.message()).unwrap_or_default();
    let discovery = message("NamespaceDeletionDiscoveryFailure");
    let group = GROUP.captures(discovery).and_then(|c| Some(format!("{}.{}", c.get(2)?.as_str(), c.get(1)?.as_str())));
    let finalizer = FINALIZER.first_group(message("NamespaceFinalizersRemaining"));
    let resource = RESOURCE.first_group(message("NamespaceContentRemaining")).map(|r| r.trim_end_matches('.'));
    let since = text::moment(deleted, facts.now);
    let summary = match (&group, found.first()) {
        (Some(group), _) => {
            format!("terminating since {since}: the API {group} does not answer, so its content cannot be listed")
        }
        (None, Some(first)) => format!("terminating since {since}: {}", first.message().trim_end_matches('.')),
        (None, None) => format!("terminating since {since}, and the namespace controller has not said why"),
    };
    out.findings.push(
        Draft::new(facts, "namespace-terminating", "Namespace", &namespace.meta)
            .says(summary)
            .maybe("apiService", group.as_deref())
            .maybe("finalizer", finalizer)
            .maybe("resource", resource)
            .because_all(found.iter().map(|c| draft::condition(object.clone(), c)))
            .because(draft::quote(
                object.clone(),
                crate::diagnosis::finding::EvidenceSource::Status,
                "metadata.deletionTimestamp",
                text::timestamp(deleted),
                Some(deleted),
            ))
            .since(Some(deleted))
            .done(),
    );
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let name = &finding.subject.name;
    let mut fixes = Vec::new();
    if let Some(service) = finding.facts.get("apiService") {
        fixes.push(fix(
            "See why the API does not answer",
            format!("kubectl describe apiservice {}", quoted(service)),
            Risk::Safe,
            "it blocks the deletion of every namespace",
        ));
        fixes.push(fix(
            "Delete the dead API service",
            format!("kubectl delete apiservice {}", quoted(service)),
            Risk::Destructive,
            "only when nothing serves it any more",
        ));
    }
    if let Some(resource) = finding.facts.get("resource") {
        fixes.push(fix(
            format!("List the {resource} that are left"),
            kubectl(name, format!("get {} -o custom-columns=NAME:.metadata.name,DELETED:.metadata.deletionTimestamp,FINALIZERS:.metadata.finalizers", quoted(resource))),
            Risk::Safe,
            if fact(finding, "finalizer").is_empty() { "these keep the namespace".to_owned() } else { format!("the finalizer {} holds them", fact(finding, "finalizer")) },
        ));
    }
    fixes.push(fix(
        "List everything that is left",
        format!("kubectl api-resources --verbs=list --namespaced -o name | xargs -n1 kubectl -n {} get --ignore-not-found --show-kind", quoted(name)),
        Risk::Safe,
        "every object that keeps the namespace",
    ));
    fixes
}
