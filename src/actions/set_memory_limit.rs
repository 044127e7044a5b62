//! Setting a container's memory limit.

use serde_json::{Value, json};

use super::objects::text;
use super::set_image::{find_container, patch_container, stays_paused};
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, command, warnings};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;
use crate::snapshot::UsageKey;
use crate::text::{bytes, quantity};

/// Plans [`Intent::SetMemoryLimit`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::SetMemoryLimit { workload, .. } = intent else { return None };
    Some(vec![ObjectRequest::Object(workload.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::SetMemoryLimit { workload, container, limit } = intent else { return None };
    Some(facts.objects.require_living(workload).and_then(|object| build(intent, facts, object, (workload, container, limit))))
}

fn build(
    intent: &Intent,
    facts: &Facts<'_>,
    object: &Value,
    (workload, name, limit): (&ObjectRef, &str, &str),
) -> Result<Plan, Refusal> {
    let Some(wanted) = quantity(limit).filter(|bytes| *bytes > 0.0) else {
        return Err(Refusal(format!("`{limit}` is not an amount of memory: write 256Mi, 1Gi, ...")));
    };
    let (list, container) = find_container(object, workload, name)?;
    let before = text(container, "/resources/limits/memory").to_owned();
    if quantity(&before) == Some(wanted) {
        return Err(Refusal(format!("container {name} of {workload} already has the limit {before}")));
    }
    let request = text(container, "/resources/requests/memory");
    if quantity(request).is_some_and(|request| request > wanted) {
        return Err(Refusal(format!("container {name} requests {request}: a limit below its request is not allowed")));
    }
    let mut notes: Vec<String> =
        warnings::owners(object, if before.is_empty() { "no limit" } else { &before }).into_iter().collect();
    notes.extend(stays_paused(object));
    notes.extend(too_small(facts, workload, name, wanted));
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Set memory limit  {workload}"),
        writes: vec![patch_container(workload, list, &json!({ "name": name, "resources": { "limits": { "memory": limit } } }))],
        kubectl: command::kubectl(
            "set resources",
            workload,
            &[format!("--containers={name}"), format!("--limits=memory={limit}")],
        ),
        diff: vec![DiffLine {
            field: format!("{name} limits.memory"),
            old: Some(before.clone()).filter(|b| !b.is_empty()),
            new: Some(limit.to_owned()),
        }],
        warnings: notes,
        way_back: (!before.is_empty()).then(|| Intent::SetMemoryLimit {
            workload: workload.clone(),
            container: name.to_owned(),
            limit: before,
        }),
    })
}

/// What the container of one of its pods uses now, when that is more than the new limit.
fn too_small(facts: &Facts<'_>, workload: &ObjectRef, container: &str, wanted: f64) -> Option<String> {
    let pods = facts.snapshot.pods_of(workload);
    let used = pods.iter().filter_map(|pod| {
        let key = UsageKey { namespace: pod.meta.namespace.clone(), pod: pod.meta.name.clone(), container: container.into() };
        facts.snapshot.usage.get(&key)?.last().map(|(_, _, memory)| memory)
    });
    let most = used.fold(0.0, f64::max);
    (most > wanted).then(|| format!("a pod uses {} now, more than the new limit", bytes(most)))
}
