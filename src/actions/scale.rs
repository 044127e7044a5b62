//! Setting the number of replicas, through the `scale` subresource as `kubectl scale` does.

use serde_json::{Value, json};

use super::objects::number;
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command, warnings};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;

/// Plans [`Intent::Scale`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::Scale { workload, .. } = intent else { return None };
    Some(vec![ObjectRequest::Object(workload.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::Scale { workload, replicas } = intent else { return None };
    Some(facts.objects.require_living(workload).and_then(|object| build(intent, facts, object, (workload, *replicas))))
}

fn build(intent: &Intent, facts: &Facts<'_>, object: &Value, (workload, replicas): (&ObjectRef, i32)) -> Result<Plan, Refusal> {
    if !matches!(&*workload.kind, "Deployment" | "StatefulSet" | "ReplicaSet") {
        return Err(Refusal(format!("{workload} has no number of replicas to set")));
    }
    if replicas < 0 {
        return Err(Refusal::new("the number of replicas cannot be negative"));
    }
    let now = number(object, "/spec/replicas").and_then(|n| i32::try_from(n).ok()).unwrap_or(1);
    if now == replicas {
        return Err(Refusal(format!("{workload} already has {}", count(replicas))));
    }
    let mut notes: Vec<String> = Vec::new();
    notes.extend(warnings::autoscaler(facts.snapshot, workload));
    notes.extend(warnings::owners(object, &count(now)));
    if &*workload.kind == "ReplicaSet" && object.pointer("/metadata/ownerReferences/0").is_some() {
        notes.push("its Deployment sets its replicas: scale that instead".to_owned());
    }
    if replicas < now {
        notes.extend(warnings::budgets(facts.snapshot, workload, replicas));
    }
    if replicas == 0 {
        notes.push("all its pods will stop".to_owned());
    }
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Scale  {workload}"),
        writes: vec![Write {
            target: workload.clone(),
            subresource: Some("scale"),
            verb: WriteVerb::MergePatch(json!({ "spec": { "replicas": replicas } })),
        }],
        kubectl: command::kubectl("scale", workload, &[format!("--replicas={replicas}")]),
        diff: vec![DiffLine { field: "replicas".to_owned(), old: Some(now.to_string()), new: Some(replicas.to_string()) }],
        warnings: notes,
        way_back: Some(Intent::Scale { workload: workload.clone(), replicas: now }),
    })
}

fn count(replicas: i32) -> String {
    if replicas == 1 { "1 replica".to_owned() } else { format!("{replicas} replicas") }
}
