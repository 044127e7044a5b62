//! A rollout restart: a new annotation on the pod template makes every pod anew, as the strategy allows.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::objects::text;
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;

/// Plans [`Intent::Restart`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::Restart { workload } = intent else { return None };
    Some(vec![ObjectRequest::Object(workload.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::Restart { workload } = intent else { return None };
    Some(facts.objects.require_living(workload).and_then(|object| build(intent, facts, object, workload)))
}

fn build(intent: &Intent, facts: &Facts<'_>, object: &Value, workload: &ObjectRef) -> Result<Plan, Refusal> {
    if !matches!(&*workload.kind, "Deployment" | "StatefulSet" | "DaemonSet") {
        return Err(Refusal(format!("{workload} cannot be restarted: only Deployments, StatefulSets and DaemonSets can")));
    }
    if object.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        return Err(Refusal(paused(workload, "restarted")));
    }
    let mut notes: Vec<String> = Vec::new();
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        notes.push("its update strategy is OnDelete: pods restart only as they are deleted".to_owned());
    }
    if text(object, "/spec/strategy/type") == "Recreate" {
        notes.push("its strategy is Recreate: all its pods stop before new ones start".to_owned());
    }
    let at = facts.now.to_rfc3339_opts(SecondsFormat::Secs, true);
    let before = text(object, "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt");
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Restart  {workload}"),
        writes: vec![Write {
            target: workload.clone(),
            subresource: None,
            verb: WriteVerb::StrategicPatch(
                json!({ "spec": { "template": { "metadata": { "annotations": { "kubectl.kubernetes.io/restartedAt": at } } } } }),
            ),
        }],
        kubectl: command::kubectl("rollout restart", workload, &[]),
        diff: vec![DiffLine {
            field: "restartedAt".to_owned(),
            old: (!before.is_empty()).then(|| before.to_owned()),
            new: Some(at.clone()),
        }],
        warnings: notes,
        way_back: None,
    })
}

/// Why a paused Deployment cannot be changed, and what to do.
pub fn paused(workload: &ObjectRef, what: &str) -> String {
    format!("{workload} is paused and cannot be {what}: first run {}", command::kubectl("rollout resume", workload, &[]))
}
