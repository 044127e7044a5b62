//! The change before an incident, whether a rollout is to blame, and what to do about it.

use super::{Found, Group};
use crate::actions::Intent;
use crate::changes::{self, Change, ChangeKind};
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::Facts;
use crate::diagnosis::rules::commands::{fix, kubectl, quoted, template_of, with_action};
use crate::kinds::ObjectRef;
use crate::text::Time;

/// Workloads of one incident that are looked at for changes: a person does not read more.
const LOOKED_AT: usize = 5;
/// Fixes shown.
const FIXES: usize = 6;

/// A rollout that introduced the cause.
#[derive(Debug)]
pub(super) struct Regression {
    workload: ObjectRef,
    back_to: i64,
    change: Change,
}

/// The change that came before, and the regression if a rollout is to blame.
pub(super) fn change_before(
    facts: &Facts<'_>,
    cause: CauseId,
    workloads: &[ObjectRef],
    objects: &[ObjectRef],
    since: Option<Time>,
) -> (Option<Change>, Option<Regression>) {
    let looked_at = workloads.get(..LOOKED_AT).unwrap_or(workloads);
    let regression = looked_at.iter().find_map(|w| regression(facts, w, objects));
    let regression = regression.filter(|r| template_can_cause(cause) || (is_of_registry(cause) && moves_registry(&r.change)));
    let change = match &regression {
        Some(regression) => Some(regression.change.clone()),
        None => changes::before(facts.snapshot, looked_at, since, facts.now),
    };
    (change, regression)
}

/// Causes that no pod template brings about: undoing a rollout would not help.
fn template_can_cause(cause: CauseId) -> bool {
    let family = cause.cause().map_or("", |c| c.family);
    !matches!(family, "Terminating" | "Network")
        && !is_of_registry(cause)
        && !["volume-lost", "node-not-ready", "node-pressure", "nodes-unschedulable"].contains(&cause.0)
        && !cause.0.starts_with("hpa-")
}

/// The registry's own trouble: a template is to blame only if it went to another registry.
fn is_of_registry(cause: CauseId) -> bool {
    ["image-rate-limited", "image-registry-unreachable", "image-tls-untrusted"].contains(&cause.0)
}

/// Whether a rollout took an image from another registry than before.
fn moves_registry(change: &Change) -> bool {
    let host = |image: &str| match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first.to_owned(),
        _ => "docker.io".to_owned(),
    };
    let images = change.diff.iter().filter(|line| line.field == "image" || line.field.ends_with(" image"));
    images.filter_map(|line| line.old.as_deref().zip(line.new.as_deref())).any(|(old, new)| host(old) != host(new))
}

fn regression(facts: &Facts<'_>, workload: &ObjectRef, objects: &[ObjectRef]) -> Option<Regression> {
    let (new, old) = changes::is_regression(facts.snapshot, workload, objects)?;
    let change = changes::before::rollout_of(facts.snapshot, workload, new)?;
    // A restart of the same template cannot have introduced anything.
    (!change.diff.is_empty()).then(|| Regression { workload: workload.clone(), back_to: old, change })
}

/// Undo first when a rollout is to blame, then what the rule of the strongest finding says.
pub(super) fn fixes(facts: &Facts<'_>, group: &Group<'_>, regression: Option<&Regression>, change: Option<&Change>) -> Vec<Fix> {
    let mut fixes: Vec<Fix> = group.members.iter().find_map(|found| replace_old_pod(facts, found.finding)).into_iter().collect();
    fixes.extend(regression.map(|r| undo(facts, r)));
    fixes.extend(change.filter(|_| regression.is_none()).and_then(|change| undo_suspect(group, change)));
    let Some(Found { rule, finding, .. }) = group.members.first() else { return fixes };
    for fix in (rule.fixes)(facts, finding) {
        let undone = regression.is_some() && matches!(fix.action, Some(Intent::Undo { .. }));
        if !undone && !is_already_so(facts, &fix) && !fixes.iter().any(|known| known.command == fix.command) {
            fixes.push(fix);
        }
    }
    fixes.truncate(FIXES);
    fixes
}

/// True for an image that the template has already: only a pod of an older template is without it.
fn is_already_so(facts: &Facts<'_>, fix: &Fix) -> bool {
    let Some(Intent::SetImage { workload, container, image }) = &fix.action else { return false };
    let template = template_of(facts, workload);
    template.and_then(|spec| spec.container(container).map(|c| *c.image == **image)).unwrap_or(false)
}

/// A pod of an older template that holds up its StatefulSet: with `OrderedReady` the controller waits for it to be ready and does
/// not replace it, also when the template was put right ("forced rollback" in the documentation of StatefulSets).
fn replace_old_pod(facts: &Facts<'_>, finding: &Finding) -> Option<Fix> {
    let namespace = &finding.workload.namespace;
    let set = facts
        .snapshot
        .stateful_sets
        .named(namespace, &finding.workload.name)
        .filter(|_| &*finding.workload.kind == "StatefulSet")?;
    let name = if &*finding.subject.kind == "Pod" { &finding.subject.name } else { finding.facts.get("pod")? };
    let pod =
        facts.snapshot.pods.named(namespace, name).filter(|pod| !pod.is_ready() && pod.meta.deletion_timestamp.is_none())?;
    let (newest, own) = (set.status.update_revision.as_deref()?, pod.meta.label("controller-revision-hash")?);
    let is_newest = newest == own || newest.strip_suffix(own).is_some_and(|rest| rest.ends_with('-'));
    let ordered = set.spec.pod_management_policy.as_deref() != Some("Parallel");
    let rolls = set.spec.update_strategy.kind.as_deref() != Some("OnDelete");
    let partition = set.spec.update_strategy.rolling_update.as_ref().and_then(|update| update.partition).unwrap_or(0);
    let ordinal: i32 = name.rsplit('-').next()?.parse().ok()?;
    let seen = set.meta.generation.is_none() || set.status.observed_generation >= set.meta.generation;
    if is_newest || !ordered || !rolls || !seen || ordinal < partition {
        return None;
    }
    let plain = fix(
        format!("Delete {name}, which is of an older template"),
        kubectl(namespace, format!("delete pod {}", quoted(name))),
        Risk::Disruptive,
        "the template was changed since; the controller waits for this pod and does not replace it by itself",
    );
    Some(with_action(plain, Intent::Delete { object: ObjectRef::new("Pod", namespace, name), force: false }))
}

/// A release that serves, and serves badly, has no older pods left to compare with: what rolled out just before is suspected.
fn undo_suspect(group: &Group<'_>, change: &Change) -> Option<Fix> {
    let finding = group.members.first().map(|found| found.finding)?;
    let previous = change.previous_revision?;
    let serves_badly = ["error-rate-high", "latency-high", "worker-timeout"].contains(&finding.cause.0);
    if !serves_badly || change.kind != ChangeKind::Rollout || change.diff.is_empty() {
        return None;
    }
    let workload = &change.object;
    Some(Fix {
        title: format!("Undo the rollout (back to revision {previous})"),
        command: format!("kubectl rollout undo {workload} -n {} --to-revision={previous}", workload.namespace),
        risk: Risk::Disruptive,
        why: "it began after this rollout".to_owned(),
        action: Some(Intent::Undo { workload: workload.clone(), to_revision: Some(previous) }),
    })
}

fn undo(facts: &Facts<'_>, regression: &Regression) -> Fix {
    let Regression { workload, back_to, .. } = regression;
    let known = changes::revisions(facts.snapshot, workload);
    let target = known.iter().find(|r| r.number == *back_to);
    let why = match target {
        Some(r) if r.ready == 1 => format!("revision {back_to} still has 1 ready pod"),
        Some(r) if r.ready > 1 => format!("revision {back_to} still has {} ready pods", r.ready),
        Some(r) => r.proof.as_ref().map_or_else(String::new, |proof| format!("revision {back_to} worked: {proof}")),
        None => String::new(),
    };
    let why = if why.is_empty() { format!("revision {back_to} worked before") } else { why };
    Fix {
        title: format!("Undo the rollout (back to revision {back_to})"),
        command: format!("kubectl rollout undo {workload} -n {} --to-revision={back_to}", workload.namespace),
        risk: Risk::Safe,
        why,
        action: Some(Intent::Undo { workload: workload.clone(), to_revision: Some(*back_to) }),
    }
}
