//! `namespace-terminating`: what keeps a namespace.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Evidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{fact, fix, kubectl, quoted, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::terminating::objects::{finalizer_owner, remove_finalizer};
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
  NamespaceFinalizersRemaining; the finalizers of the objects they speak of, where these are of a kind that is read.
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
static LEFT: Pattern = Pattern::new(r"([a-z0-9]+\.[a-z0-9.-]*) has (\d+) resource instances");
static HELD: Pattern = Pattern::new(r"(\S+) in (\d+) resource instances");
/// Objects named of a resource, and fixes for them.
const NAMED: usize = 3;

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
    let left = counts(&LEFT, message("NamespaceContentRemaining"));
    let held = counts(&HELD, message("NamespaceFinalizersRemaining"));
    let named: Vec<(&str, Vec<ObjectRef>)> =
        left.iter().map(|(resource, _)| (*resource, objects_of(facts, &namespace.meta.name, resource))).collect();
    // What is left changes without the namespace itself being written.
    out.recheck_at(facts.now + TimeDelta::seconds(30));
    let since = text::moment(deleted, facts.now);
    let summary = match (&group, found.first()) {
        (Some(group), _) => {
            format!("terminating since {since}: the API {group} does not answer, so its content cannot be listed")
        }
        (None, Some(first)) if matches!(&*first.kind, "NamespaceFinalizersRemaining" | "NamespaceContentRemaining") => {
            format!("terminating since {since}: {}", what_is_left(&left, &held, &named))
        }
        (None, Some(first)) => format!("terminating since {since}: {}", first.message().trim_end_matches('.')),
        (None, None) => format!("terminating since {since}, and the namespace controller has not said why"),
    };
    out.findings.push(
        Draft::new(facts, "namespace-terminating", "Namespace", &namespace.meta)
            .says(summary)
            .maybe("apiService", group.as_deref())
            .maybe("finalizer", held.first().map(|(finalizer, _)| *finalizer))
            .maybe("resources", Some(&left.iter().map(|(resource, _)| *resource).collect::<Vec<_>>().join(" ")))
            .because_all(named.iter().flat_map(|(_, objects)| objects).filter_map(|object| finalizers_of(facts, object)))
            .because_all(found.iter().map(|c| draft::condition(object.clone(), c)))
            .because(draft::quote(
                object.clone(),
                EvidenceSource::Status,
                "metadata.deletionTimestamp",
                text::timestamp(deleted),
                Some(deleted),
            ))
            .since(Some(deleted))
            .done(),
    );
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let name = &finding.subject.name;
    let mut fixes = Vec::new();
    if let Some(service) = finding.facts.get("apiService") {
        fixes.push(fix(
            "See why the API does not answer",
            format!("kubectl describe apiservice {}", quoted(service)),
            Risk::Safe,
            "it blocks the deletion of every namespace",
        ));
        let plain = fix(
            "Delete the dead API service",
            format!("kubectl delete apiservice {}", quoted(service)),
            Risk::Destructive,
            "only when nothing serves it any more",
        );
        let object = ObjectRef::new("APIService", "", service);
        fixes.push(with_action(plain, Intent::Delete { object, force: false }));
    }
    for resource in fact(finding, "resources").split_whitespace().take(NAMED) {
        fixes.push(list(name, resource, fact(finding, "finalizer")));
    }
    fixes.extend(removals(facts, finding));
    fixes.push(fix(
        "List everything that is left",
        format!("kubectl api-resources --verbs=list --namespaced -o name | xargs -n1 kubectl -n {} get --ignore-not-found --show-kind", quoted(name)),
        Risk::Safe,
        "every object that keeps the namespace",
    ));
    fixes
}

fn list(namespace: &str, resource: &str, finalizer: &str) -> Fix {
    let columns = "custom-columns=NAME:.metadata.name,DELETED:.metadata.deletionTimestamp,FINALIZERS:.metadata.finalizers";
    fix(
        format!("List the {resource} that are left"),
        kubectl(namespace, format!("get {} -o {columns}", quoted(resource))),
        Risk::Safe,
        if finalizer.is_empty() {
            "these keep the namespace".to_owned()
        } else {
            format!("the finalizer {finalizer} holds them")
        },
    )
}

/// Taking off the finalizers of the objects that are seen to hold the namespace.
fn removals(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let resources = fact(finding, "resources").split_whitespace();
    let objects = resources.flat_map(|resource| objects_of(facts, &finding.subject.name, resource));
    let held = objects.filter_map(|object| Some((finalizer_of(facts, &object)?, object))).take(NAMED);
    held.map(|(finalizer, object)| {
        let remove = remove_finalizer(&object, &finalizer);
        Fix { title: format!("{} from {object}", remove.title), ..remove }
    })
    .collect()
}

/// The names and numbers of a list: `pods. has 2 resource instances`, core resources without their dot.
fn counts<'t>(pattern: &Pattern, text: &'t str) -> Vec<(&'t str, &'t str)> {
    let Some(regex) = pattern.regex() else { return Vec::new() };
    let found = regex.captures_iter(text).filter_map(|c| Some((c.get(1)?.as_str(), c.get(2)?.as_str())));
    found.map(|(what, count)| (what.trim_end_matches('.'), count)).collect()
}

/// `2 pods (web-1, web-2) and 1 certificaterequests.cert-manager.io are left; finalizers: a in 1, b in 3`.
fn what_is_left(left: &[(&str, &str)], held: &[(&str, &str)], named: &[(&str, Vec<ObjectRef>)]) -> String {
    let one = |(resource, count): &(&str, &str)| {
        let names = named.iter().find(|(of, _)| of == resource).map(|(_, objects)| objects.as_slice()).unwrap_or_default();
        let names: Vec<&str> = names.iter().take(NAMED).map(|object| &*object.name).collect();
        if names.is_empty() { format!("{count} {resource}") } else { format!("{count} {resource} ({})", names.join(", ")) }
    };
    let left = left.iter().map(one).collect::<Vec<_>>().join(", ");
    let held: Vec<String> = held.iter().map(|(finalizer, _)| format!("{finalizer} ({})", finalizer_owner(finalizer))).collect();
    match (left.is_empty(), held.is_empty()) {
        (true, _) => format!("finalizers remain: {}", held.join(", ")),
        (false, true) => format!("left in it: {left}"),
        (false, false) => format!("left in it: {left}; held by the finalizer {}", held.join(", ")),
    }
}

/// The objects of a resource (`pods`, `certificates.cert-manager.io`) that are left in the namespace, of a kind that is read.
fn objects_of(facts: &Facts<'_>, namespace: &str, resource: &str) -> Vec<ObjectRef> {
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let kind = KindId::ALL.iter().copied().find(|kind| kind.info().plural == plural && kind.info().group == group);
    let keys = kind.into_iter().flat_map(|kind| facts.snapshot.keys(kind).into_iter().map(move |key| (kind, key)));
    let here = keys.filter(|(_, key)| &*key.namespace == namespace);
    here.map(|(kind, key)| ObjectRef::new(kind.name(), &key.namespace, &key.name)).collect()
}

fn finalizer_of(facts: &Facts<'_>, object: &ObjectRef) -> Option<String> {
    facts.snapshot.find(object)?.meta().finalizers.first().map(ToString::to_string)
}

fn finalizers_of(facts: &Facts<'_>, object: &ObjectRef) -> Option<Evidence> {
    let row = facts.snapshot.find(object)?;
    let names: Vec<&str> = row.meta().finalizers.iter().map(|finalizer| &**finalizer).collect();
    let quote = draft::quote(object.clone(), EvidenceSource::Spec, "metadata.finalizers", names.join(", "), None);
    (!names.is_empty()).then_some(quote)
}
