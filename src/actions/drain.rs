//! Draining a node, as `kubectl drain --ignore-daemonsets` does: cordon it, then evict its pods, which their disruption
//! budgets may refuse.

use serde_json::json;

use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command, cordon};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;
use crate::kinds::pods::Pod;

/// Plans [`Intent::Drain`].
pub static PLANNER: Planner = Planner { needs, plan };

/// The annotation of a pod that a kubelet made from a file: the API server cannot end it.
const MIRROR: &str = "kubernetes.io/config.mirror";

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::Drain { node } = intent else { return None };
    Some(vec![ObjectRequest::Object(node.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::Drain { node } = intent else { return None };
    Some(build(intent, facts, node))
}

fn build(intent: &Intent, facts: &Facts<'_>, node: &ObjectRef) -> Result<Plan, Refusal> {
    let object = facts.objects.require_living(node)?;
    let stays = |pod: &&Pod| pod.meta.annotation(MIRROR).is_some() || owner_kind(pod) == Some("DaemonSet") || pod.is_finished();
    let (staying, leaving): (Vec<&Pod>, Vec<&Pod>) = facts.snapshot.pods_on(&node.name).partition(stays);
    if let Some(bare) = leaving.iter().find(|pod| pod.meta.controller().is_none()) {
        let pod = ObjectRef::new("Pod", &bare.meta.namespace, &bare.meta.name);
        return Err(Refusal(format!(
            "{pod} of namespace {} has no controller and would be gone for good: delete it first, if it may go",
            pod.namespace
        )));
    }
    let was_cordoned = cordon::is_cordoned(object);
    let mut writes: Vec<Write> = if was_cordoned { Vec::new() } else { vec![cordon::patch(node, true)] };
    writes.extend(leaving.iter().map(|pod| eviction(pod)));
    if writes.is_empty() {
        return Err(Refusal(format!("{node} is cordoned and empty: there is nothing to drain")));
    }
    let mut warnings = Vec::new();
    if leaving.iter().any(|pod| pod.spec.volumes.iter().any(|volume| volume.empty_dir.is_some())) {
        warnings.push("pods with an emptyDir lose what is in it".to_owned());
    }
    if !staying.is_empty() {
        warnings.push(format!("{} stay: finished, of a DaemonSet, or made by the kubelet", pods(staying.len())));
    }
    if leaving.iter().any(|pod| pod.meta.deletion_timestamp.is_some()) {
        warnings.push("some of its pods are being deleted already".to_owned());
    }
    let mut diff =
        vec![DiffLine { field: "unschedulable".to_owned(), old: Some(was_cordoned.to_string()), new: Some("true".to_owned()) }];
    diff.extend(leaving.iter().map(|pod| DiffLine {
        field: "evict".to_owned(),
        old: Some(format!("{}/{}", pod.meta.namespace, pod.meta.name)),
        new: None,
    }));
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Drain  {node}: {} leave", pods(leaving.len())),
        writes,
        kubectl: command::kubectl_named("drain", node, &["--ignore-daemonsets".to_owned(), "--delete-emptydir-data".to_owned()]),
        diff,
        warnings,
        way_back: (!was_cordoned).then(|| Intent::Cordon { node: node.clone(), cordon: false }),
    })
}

fn owner_kind(pod: &Pod) -> Option<&str> {
    pod.meta.controller().map(|owner| &*owner.kind)
}

fn eviction(pod: &Pod) -> Write {
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": &*pod.meta.name, "namespace": &*pod.meta.namespace },
    });
    let target = ObjectRef::new("Pod", &pod.meta.namespace, &pod.meta.name);
    Write { target, subresource: Some("eviction"), verb: WriteVerb::Create(body) }
}

fn pods(count: usize) -> String {
    if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") }
}
