//! Moving replicas from the old `ReplicaSets` to the new one, and keeping proportions when only the size changes.

use super::super::super::object;
use super::super::super::resources::PODS;
use super::{DeploymentController, Rollout, numbers, revisions};
use serde_json::Value;
use std::sync::Arc;

/// Whether `spec.replicas` changed since the `ReplicaSets` were last sized.
pub fn needs_scaling(rollout: &Rollout) -> bool {
    let wanted = numbers::size(&rollout.deployment);
    rollout.all().any(|set| numbers::size(set) > 0 && revisions::desired_then(set).is_some_and(|then| then != wanted))
}

/// A step of a rolling update: first the new one up, otherwise the old ones down.
pub fn roll(controller: &DeploymentController, rollout: &Rollout) {
    let Some(new) = &rollout.new else { return };
    let (wanted, size) = (numbers::size(&rollout.deployment), numbers::size(new));
    if size > wanted {
        controller.scale(&rollout.deployment, new, wanted);
        return;
    }
    if size < wanted {
        let total: i64 = rollout.all().map(|set| numbers::size(set)).sum();
        let room = wanted + numbers::surge(&rollout.deployment) - total;
        if room > 0 {
            controller.scale(&rollout.deployment, new, size + room.min(wanted - size));
            return;
        }
    }
    scale_old_down(controller, rollout, new);
}

/// Takes from the old `ReplicaSets` what availability allows: pods that are not available anyway first.
fn scale_old_down(controller: &DeploymentController, rollout: &Rollout, new: &Value) {
    let deployment = &rollout.deployment;
    let old: Vec<_> = rollout.old.iter().filter(|set| numbers::size(set) > 0).collect();
    if old.is_empty() {
        return;
    }
    let total: i64 = rollout.all().map(|set| numbers::size(set)).sum();
    let minimum = numbers::size(deployment) - numbers::unavailable(deployment);
    let new_missing = numbers::size(new) - numbers::reported(new, "availableReplicas");
    let mut allowance = total - minimum - new_missing;
    if allowance <= 0 {
        return;
    }
    let mut sizes: Vec<i64> = old.iter().map(|set| numbers::size(set)).collect();
    for (set, size) in old.iter().zip(&mut sizes) {
        let broken = (*size - numbers::reported(set, "availableReplicas")).max(0);
        let drop = broken.min(allowance);
        *size -= drop;
        allowance -= drop;
    }
    let available: i64 = rollout.all().map(|set| numbers::reported(set, "availableReplicas")).sum();
    let mut spare = (available - minimum).max(0);
    for size in &mut sizes {
        let drop = (*size).min(spare);
        *size -= drop;
        spare -= drop;
    }
    for (set, size) in old.iter().zip(sizes) {
        if size != numbers::size(set) {
            controller.scale(deployment, set, size);
        }
    }
}

/// `Recreate`: everything old goes, and only when its pods are gone the new ones come.
pub fn recreate(controller: &DeploymentController, rollout: &Rollout) {
    let mut waiting = false;
    for set in rollout.old.iter().filter(|set| numbers::size(set) > 0) {
        controller.scale(&rollout.deployment, set, 0);
        waiting = true;
    }
    if waiting || old_pods_remain(controller, &rollout.old) {
        return;
    }
    if let Some(new) = rollout.new.as_ref().filter(|new| numbers::size(new) != numbers::size(&rollout.deployment)) {
        controller.scale(&rollout.deployment, new, numbers::size(&rollout.deployment));
    }
}

fn old_pods_remain(controller: &DeploymentController, old: &[Arc<Value>]) -> bool {
    old.first().is_some_and(|first| {
        controller
            .store
            .list(&PODS, Some(object::namespace(first)))
            .iter()
            .any(|pod| !object::is_finished_pod(pod) && old.iter().any(|set| object::uid(set) == object::controller_uid(pod)))
    })
}

/// The size of a deployment changed: the active `ReplicaSet` follows; in the middle of a rollout all keep their proportions.
pub fn scale_in_proportion(controller: &DeploymentController, rollout: &Rollout) {
    let deployment = &rollout.deployment;
    let wanted = numbers::size(deployment);
    let active: Vec<_> = rollout.all().filter(|set| numbers::size(set) > 0).cloned().collect();
    let newest = rollout.new.clone().or_else(|| rollout.old.last().cloned());
    if active.len() <= 1 {
        if let Some(set) = active.first().cloned().or(newest) {
            controller.scale(deployment, &set, wanted);
        }
        return;
    }
    if rollout.new.as_ref().is_some_and(|new| is_saturated(new, wanted)) {
        for set in rollout.old.iter().filter(|set| numbers::size(set) > 0) {
            controller.scale(deployment, set, 0);
        }
        return;
    }
    let total: i64 = active.iter().map(|set| numbers::size(set)).sum();
    let target = if wanted > 0 { wanted + numbers::surge(deployment) } else { 0 };
    let mut left = target - total;
    for set in &active {
        let size = numbers::size(set);
        let part = if total > 0 { (size * (target - total)) / total } else { 0 };
        let part = if part.abs() > left.abs() { left } else { part };
        left -= part;
        controller.scale(deployment, set, (size + part).max(0));
    }
    if let Some(set) = newest.filter(|_| left != 0)
        && let Some(now) = controller.current(&set)
    {
        controller.scale(deployment, &now, (numbers::size(&now) + left).max(0));
    }
}

fn is_saturated(set: &Value, wanted: i64) -> bool {
    numbers::size(set) == wanted
        && revisions::desired_then(set) == Some(wanted)
        && numbers::reported(set, "availableReplicas") == wanted
}
