//! Taking a taint off a node, or putting it back: by position, with a test that it is still the one meant.
//!
//! Invariant: taints that a controller keeps are refused. Taking them off helps nobody: they come back, or what they protect from
//! is still there.

use serde_json::{Value, json};

use super::objects::text;
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;

/// Plans [`Intent::Taint`].
pub static PLANNER: Planner = Planner { needs, plan };

/// Keys that controllers keep: kubelet and node controller, cloud providers, autoscalers, network plugins.
const KEPT: &[&str] = &[
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "node.cilium.io/",
    "karpenter.sh/",
    "karpenter.k8s.aws/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "ignore-taint.cluster-autoscaler.kubernetes.io/",
    "startup-taint.cluster-autoscaler.kubernetes.io/",
];

/// True for a taint that a controller keeps.
pub fn is_kept(taint: &str) -> bool {
    KEPT.iter().any(|key| taint.starts_with(key))
}

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::Taint { node, .. } = intent else { return None };
    Some(vec![ObjectRequest::Object(node.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::Taint { node, taint, present } = intent else { return None };
    Some(facts.objects.require_living(node).and_then(|full| build(intent, full, (node, taint), *present)))
}

fn build(intent: &Intent, full: &Value, (node, taint): (&ObjectRef, &str), present: bool) -> Result<Plan, Refusal> {
    if is_kept(taint) {
        return Err(Refusal(format!("{taint} is kept by a controller: it comes back for as long as what it tells of holds")));
    }
    let taints = full.pointer("/spec/taints").and_then(Value::as_array);
    let at = taints.into_iter().flatten().position(|known| written(known) == taint);
    let patch = match (at, present) {
        (None, false) => return Err(Refusal(format!("{node} does not have the taint {taint} any more"))),
        (Some(_), true) => return Err(Refusal(format!("{node} has the taint {taint} already"))),
        (Some(at), false) => removal(full, at),
        (None, true) => addition(taints.is_some(), &parsed(taint)?),
    };
    let suffix = if present { "" } else { "-" };
    let line = Some(taint.to_owned());
    Ok(Plan {
        intent: intent.clone(),
        title: format!("{}  {node}", if present { "Taint" } else { "Remove taint" }),
        kubectl: command::kubectl_named("taint nodes", node, &[format!("{taint}{suffix}")]),
        writes: vec![Write { target: node.clone(), subresource: None, verb: WriteVerb::JsonPatch(patch) }],
        diff: vec![DiffLine {
            field: "taints".to_owned(),
            old: line.clone().filter(|_| !present),
            new: line.filter(|_| present),
        }],
        warnings: vec![if present {
            "pods that do not tolerate it stay off, and with the effect NoExecute are evicted".to_owned()
        } else {
            "whoever set the node aside may still mean it: any pod may be put on it then".to_owned()
        }],
        way_back: Some(Intent::Taint { node: node.clone(), taint: taint.to_owned(), present: !present }),
    })
}

fn removal(full: &Value, at: usize) -> Value {
    let path = format!("/spec/taints/{at}");
    let is = full.pointer(&path).cloned().unwrap_or_default();
    json!([{ "op": "test", "path": path, "value": is }, { "op": "remove", "path": path }])
}

fn addition(has_some: bool, taint: &Value) -> Value {
    if has_some {
        json!([{ "op": "add", "path": "/spec/taints/-", "value": taint }])
    } else {
        json!([{ "op": "add", "path": "/spec/taints", "value": [taint] }])
    }
}

/// A taint as kubectl writes it: `dedicated=database:NoSchedule`.
fn written(taint: &Value) -> String {
    let (key, value, effect) = (text(taint, "/key"), text(taint, "/value"), text(taint, "/effect"));
    if value.is_empty() { format!("{key}:{effect}") } else { format!("{key}={value}:{effect}") }
}

fn parsed(taint: &str) -> Result<Value, Refusal> {
    let (name, effect) = taint.rsplit_once(':').ok_or_else(|| Refusal(format!("{taint} names no effect")))?;
    Ok(match name.split_once('=') {
        Some((key, value)) => json!({ "key": key, "value": value, "effect": effect }),
        None => json!({ "key": name, "effect": effect }),
    })
}
