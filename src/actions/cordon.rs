//! Cordoning and uncordoning a node: whether new pods may be put on it.

use serde_json::{Value, json};

use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;

/// Plans [`Intent::Cordon`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::Cordon { node, .. } = intent else { return None };
    Some(vec![ObjectRequest::Object(node.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::Cordon { node, cordon } = intent else { return None };
    Some(facts.objects.require_living(node).and_then(|object| build(intent, object, (node, *cordon))))
}

fn build(intent: &Intent, object: &Value, (node, cordon): (&ObjectRef, bool)) -> Result<Plan, Refusal> {
    if is_cordoned(object) == cordon {
        return Err(Refusal(format!("{node} is {} already", if cordon { "cordoned" } else { "open for new pods" })));
    }
    let verb = if cordon { "cordon" } else { "uncordon" };
    let warnings =
        if cordon { vec!["its pods stay; new ones go elsewhere, or wait if there is no room".to_owned()] } else { Vec::new() };
    Ok(Plan {
        intent: intent.clone(),
        title: format!("{}  {node}", if cordon { "Cordon" } else { "Uncordon" }),
        writes: vec![patch(node, cordon)],
        kubectl: command::kubectl_named(verb, node, &[]),
        diff: vec![DiffLine {
            field: "unschedulable".to_owned(),
            old: Some((!cordon).to_string()),
            new: Some(cordon.to_string()),
        }],
        warnings,
        way_back: Some(Intent::Cordon { node: node.clone(), cordon: !cordon }),
    })
}

/// True when no new pods are put on the node.
pub fn is_cordoned(node: &Value) -> bool {
    node.pointer("/spec/unschedulable") == Some(&Value::Bool(true))
}

/// The write that cordons or uncordons.
pub fn patch(node: &ObjectRef, cordon: bool) -> Write {
    let unschedulable = if cordon { Value::Bool(true) } else { Value::Null };
    let patch = json!({ "spec": { "unschedulable": unschedulable } });
    Write { target: node.clone(), subresource: None, verb: WriteVerb::StrategicPatch(patch) }
}
