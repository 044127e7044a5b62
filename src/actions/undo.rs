//! Undoing a rollout: the template of an earlier revision put back, exactly as `kubectl rollout undo` writes it.
//!
//! Works while the bad rollout is half done. Source: `kubectl/pkg/polymorphichelpers/rollback.go`: for Deployments a JSON patch
//! of `/spec/template` (without `pod-template-hash`) and `/metadata/annotations`; for StatefulSets and DaemonSets the
//! `ControllerRevision`'s data as a strategic patch.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::objects::{number, text};
use super::restart::paused;
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command, warnings};
use crate::changes::{self, DiffLine};
use crate::kinds::workloads::PodTemplate;
use crate::kinds::{KindId, ObjectRef};

/// Plans [`Intent::Undo`].
pub static PLANNER: Planner = Planner { needs, plan };

const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotations that stay the Deployment's own; all others become the ReplicaSet's.
const KEPT: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

fn history_kind(workload: &ObjectRef) -> Option<KindId> {
    match &*workload.kind {
        "Deployment" => Some(KindId::ReplicaSet),
        "StatefulSet" | "DaemonSet" => Some(KindId::ControllerRevision),
        _ => None,
    }
}

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::Undo { workload, .. } = intent else { return None };
    let mut wanted = vec![ObjectRequest::Object(workload.clone())];
    wanted.extend(history_kind(workload).map(|kind| ObjectRequest::OwnedBy { kind, owner: workload.clone() }));
    Some(wanted)
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::Undo { workload, to_revision } = intent else { return None };
    Some(build(intent, facts, workload, *to_revision))
}

/// A revision in full: its number, the object that holds it, its template without hash.
struct Held<'a> {
    number: i64,
    object: &'a Value,
    template: Value,
}

fn build(intent: &Intent, facts: &Facts<'_>, workload: &ObjectRef, to_revision: Option<i64>) -> Result<Plan, Refusal> {
    let Some(kind) = history_kind(workload) else {
        return Err(Refusal(format!("{workload} has no revisions: only Deployments, StatefulSets and DaemonSets do")));
    };
    let object = facts.objects.require_living(workload)?;
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Err(Refusal(paused(workload, "undone")));
    }
    let mut held: Vec<Held<'_>> =
        facts.objects.controlled_by(kind, text(object, "/metadata/uid")).filter_map(|o| hold(kind, o)).collect();
    held.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    let now = without_hash(object.pointer("/spec/template").cloned().unwrap_or_default());
    let current = held.iter().find(|revision| same(&revision.template, &now)).map(|revision| revision.number);
    let target = choose(facts, workload, (&held, current), to_revision)?;
    if same(&target.template, &now) {
        return Err(Refusal(format!("{workload} already has the template of revision {}", target.number)));
    }
    let verb = match kind {
        KindId::ReplicaSet => deployment_patch(object, target),
        _ => WriteVerb::StrategicPatch(target.object.get("data").cloned().unwrap_or_default()),
    };
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Undo rollout  {workload}"),
        writes: vec![Write { target: workload.clone(), subresource: None, verb }],
        kubectl: command::kubectl("rollout undo", workload, &[format!("--to-revision={}", target.number)]),
        diff: diff(&now, &target.template),
        warnings: notes(facts, workload, object, (target, current)),
        way_back: current.map(|current| Intent::Undo { workload: workload.clone(), to_revision: Some(current) }),
    })
}

fn hold(kind: KindId, object: &Value) -> Option<Held<'_>> {
    let (number, template) = if kind == KindId::ReplicaSet {
        let annotations = object.pointer("/metadata/annotations")?;
        (annotations.get(REVISION)?.as_str()?.parse().ok()?, object.pointer("/spec/template")?.clone())
    } else {
        (number(object, "/revision")?, object.pointer("/data/spec/template")?.clone())
    };
    Some(Held { number, object, template: without_hash(template) })
}

/// The revision to go back to: the one asked for, else the last that was ready.
fn choose<'a>(
    facts: &Facts<'_>,
    workload: &ObjectRef,
    (held, current): (&'a [Held<'a>], Option<i64>),
    to_revision: Option<i64>,
) -> Result<&'a Held<'a>, Refusal> {
    let find = |number: i64| held.iter().find(|revision| revision.number == number);
    if let Some(number) = to_revision {
        let kept: Vec<String> = held.iter().map(|revision| revision.number.to_string()).collect();
        let kept = if kept.is_empty() { "none is".to_owned() } else { format!("kept: {}", kept.join(", ")) };
        return find(number).ok_or_else(|| Refusal(format!("revision {number} of {workload} is no longer kept ({kept})")));
    }
    let known = changes::revisions(facts.snapshot, workload);
    let ready = changes::undo_target(&known).and_then(|revision| find(revision.number));
    let older = || held.iter().find(|revision| current.is_none_or(|current| revision.number < current));
    ready.filter(|revision| Some(revision.number) != current).or_else(older).ok_or_else(|| {
        let only = current.map_or_else(|| "no revision".to_owned(), |number| format!("only revision {number}"));
        let limit = facts.objects.get(workload).and_then(number_of_kept);
        let why = if limit == Some(0) { " (its revisionHistoryLimit is 0)" } else { "" };
        Refusal(format!("{workload} has {only}{why}: there is nothing to go back to"))
    })
}

fn number_of_kept(object: &Value) -> Option<i64> {
    number(object, "/spec/revisionHistoryLimit")
}

fn deployment_patch(deployment: &Value, target: &Held<'_>) -> WriteVerb {
    let of = |object: &Value| object.pointer("/metadata/annotations").and_then(Value::as_object).cloned();
    let before = of(deployment);
    let mut annotations: Map<String, Value> = before.clone().unwrap_or_default();
    annotations.retain(|key, _| KEPT.contains(&&**key));
    annotations.extend(of(target.object).unwrap_or_default().into_iter().filter(|(key, _)| !KEPT.contains(&&**key)));
    // kubectl replaces; a Deployment its controller has not seen yet has no annotations to replace.
    let operation = if before.is_some() { "replace" } else { "add" };
    WriteVerb::JsonPatch(json!([
        { "op": "replace", "path": "/spec/template", "value": target.template },
        { "op": operation, "path": "/metadata/annotations", "value": annotations },
    ]))
}

/// The template without what its controller and the patch format add to it.
fn without_hash(mut template: Value) -> Value {
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    template
}

/// Equal but for nulls and empty values, which servers of different versions write or leave out.
fn same(a: &Value, b: &Value) -> bool {
    bare(a) == bare(b)
}

fn bare(value: &Value) -> Value {
    let empty = |v: &Value| v.is_null() || v.as_object().is_some_and(Map::is_empty) || v.as_array().is_some_and(Vec::is_empty);
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(k, v)| (k.clone(), bare(v))).filter(|(_, v)| !empty(v)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        other => other.clone(),
    }
}

fn partial(template: &Value) -> PodTemplate {
    PodTemplate::deserialize(template).unwrap_or_default()
}

/// The fields k3am reads; when only others differ, their paths.
fn diff(now: &Value, then: &Value) -> Vec<DiffLine> {
    let lines = changes::diff(&partial(now), &partial(then));
    if lines.is_empty() { changes::template::raw_diff(&bare(now), &bare(then)) } else { lines }
}

fn notes(facts: &Facts<'_>, workload: &ObjectRef, object: &Value, (target, current): (&Held<'_>, Option<i64>)) -> Vec<String> {
    let what = current.map_or_else(|| "its own template".to_owned(), |current| format!("revision {current}"));
    let mut notes: Vec<String> = warnings::owners(object, &what).into_iter().collect();
    let known = changes::revisions(facts.snapshot, workload);
    if known.iter().any(|revision| revision.number == target.number && !revision.was_ready()) {
        notes.push(format!("nothing shows that revision {} was ever ready", target.number));
    }
    notes.extend(warnings::missing_config(facts.snapshot, &workload.namespace, &partial(&target.template)));
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        notes.push("its update strategy is OnDelete: pods change only as they are deleted".to_owned());
    }
    if &*workload.kind == "StatefulSet" && text(object, "/spec/podManagementPolicy") != "Parallel" {
        notes.extend(stuck_pod(facts, workload));
    }
    notes
}

/// A StatefulSet with `OrderedReady` waits for its broken pod for ever: documented as "Forced rollback".
fn stuck_pod(facts: &Facts<'_>, workload: &ObjectRef) -> Option<String> {
    let known = changes::revisions(facts.snapshot, workload);
    let current = known.iter().find(|revision| revision.is_current)?;
    let pods = facts.snapshot.pods_of(workload);
    let stuck = pods.into_iter().find(|pod| !pod.is_ready() && changes::regression::is_of(pod, current))?;
    let pod = ObjectRef::new("Pod", &stuck.meta.namespace, &stuck.meta.name);
    Some(format!(
        "the controller waits for {pod}, which is not ready: delete it afterwards ({})",
        command::kubectl("delete", &pod, &[])
    ))
}
