//! What a person should know before a write: who else owns the object, what protects it, what it would take away.

use serde_json::Value;

use super::objects::meta_of;
use crate::changes::{autoscaler_of, managed_by};
use crate::kinds::pods::Pod;
use crate::kinds::workloads::PodTemplate;
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::{CoverageState, Snapshot};

/// `managed by Argo CD (shop): it will put IT back at its next sync`.
pub fn owners(object: &Value, what: &str) -> Option<String> {
    let manager = managed_by(&meta_of(object))?;
    Some(if manager.reverts {
        format!("managed by {manager}: it will put {what} back at its next sync")
    } else {
        format!("installed by {manager}: its next upgrade will put {what} back")
    })
}

/// `autoscaler web sets the replicas: ...`.
pub fn autoscaler(snapshot: &Snapshot, workload: &ObjectRef) -> Option<String> {
    let name = autoscaler_of(snapshot, workload)?;
    Some(format!("horizontalpodautoscaler/{name} sets the replicas: it will change them again within seconds"))
}

/// Configuration a template reads that does not exist (any more), where k3am would know it.
pub fn missing_config(snapshot: &Snapshot, namespace: &str, template: &PodTemplate) -> Vec<String> {
    let known = |kind| matches!(snapshot.coverage.of(kind, namespace), Some(CoverageState::Synced { .. }));
    let (config_maps, secrets) = (known(KindId::ConfigMap), known(KindId::Secret));
    crate::changes::references::required_config_of(&template.spec, namespace)
        .into_iter()
        .filter(|object| if &*object.kind == "ConfigMap" { config_maps } else { secrets })
        .filter(|object| snapshot.find(object).is_none())
        .map(|object| format!("it reads {object}, which does not exist: its pods will not start"))
        .collect()
}

/// Disruption budgets that protect pods of a workload and want more healthy ones than will remain.
pub fn budgets(snapshot: &Snapshot, workload: &ObjectRef, remaining: i32) -> Vec<String> {
    let pods = snapshot.pods_of(workload);
    snapshot
        .disruption_budgets
        .in_namespace(&workload.namespace)
        .filter(|budget| pods.iter().any(|pod| budget.spec.selector.matches(&pod.meta.labels)))
        .filter(|budget| remaining < budget.status.desired_healthy)
        .map(|b| {
            format!(
                "poddisruptionbudget/{} wants {} healthy pods; {remaining} would remain",
                b.meta.name, b.status.desired_healthy
            )
        })
        .collect()
}

/// What deleting a pod takes away from its workload.
pub fn losing_pod(snapshot: &Snapshot, pod: &Pod) -> Vec<String> {
    let workload = snapshot.workload_of(pod);
    if &*workload.kind == "Pod" {
        return vec!["no controller owns this pod: nothing will replace it".to_owned()];
    }
    let ready = snapshot.pods_of(&workload).into_iter().filter(|other| other.is_ready()).count();
    let mut found = Vec::new();
    if pod.is_ready() && ready == 1 {
        found.push(format!("it is the only ready pod of {workload}"));
    }
    if pod.is_ready() {
        let remaining = i32::try_from(ready).unwrap_or(i32::MAX).saturating_sub(1);
        found.extend(budgets(snapshot, &workload, remaining));
    }
    found
}
