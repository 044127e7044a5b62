//! `POST pods/NAME/eviction`: a delete that respects disruption budgets (`pkg/registry/core/pod/storage/eviction.go`).

use axum::response::Response;
use serde_json::{Value, json};

use super::api::Call;
use super::json::{at, set, text};
use super::object;
use super::reply;
use super::resources::POD_DISRUPTION_BUDGETS;
use super::status::Status;
use super::store::{Write, Writer};
use super::writes;

/// Evicts a pod, or says which budget holds it.
pub fn evict(call: &Call<'_>, body: &Value) -> Result<Response, Status> {
    let target = call.target;
    let pod = call.store.get(target.resource, &target.namespace, &target.name);
    let pod = pod.ok_or_else(|| Status::not_found(target.resource, &target.name))?;
    let options = writes::delete_options(call, at(body, "deleteOptions").unwrap_or(&Value::Null));
    let named = text(body, "metadata.name");
    if !named.is_empty() && named != target.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    if counts(&pod) {
        take_from_budget(call, &pod, options.dry_run)?;
    }
    if !options.dry_run {
        mark(call);
    }
    call.store.delete_with(target.resource, &target.namespace, &target.name, &options)?;
    Ok(reply::json_value(201, &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})))
}

/// Says on the pod who is ending it.
fn mark(call: &Call<'_>) {
    let (target, now) = (call.target, object::stamp(call.store.clock().now()));
    let writer = Writer::status("kube-apiserver");
    let written = call.store.modify(target.resource, &target.namespace, &target.name, writer, |pod| {
        let mut conditions = object::items(pod, "/status/conditions").to_vec();
        conditions.retain(|condition| object::text(condition, "/type") != "DisruptionTarget");
        conditions.push(json!({
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "lastProbeTime": null,
            "message": "Eviction API: evicting", "lastTransitionTime": now,
            "observedGeneration": object::at(pod, "/metadata/generation"),
        }));
        object::put(pod, &["status", "conditions"], json!(conditions));
    });
    drop(written);
}

/// Whether budgets are asked about a pod: not about one that is done, has not begun or is going.
fn counts(pod: &Value) -> bool {
    at(pod, "metadata.deletionTimestamp").is_none() && !matches!(text(pod, "status.phase"), "Succeeded" | "Failed" | "Pending")
}

fn take_from_budget(call: &Call<'_>, pod: &Value, dry_run: bool) -> Result<(), Status> {
    let mut budgets = call.store.list(&POD_DISRUPTION_BUDGETS, Some(&call.target.namespace));
    budgets.retain(|budget| object::selects(object::at(budget, "/spec/selector"), object::at(pod, "/metadata/labels")));
    let budget = match budgets.as_slice() {
        [] => return Ok(()),
        [one] => one,
        _ => {
            let mut status = Status::internal("");
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
                .clone_into(&mut status.message);
            return Err(status);
        }
    };
    let number = |budget: &Value, field: &str| at(budget, &format!("status.{field}")).and_then(Value::as_i64).unwrap_or(0);
    if !object::condition_is_true(pod, "Ready") {
        let always = text(budget, "spec.unhealthyPodEvictionPolicy") == "AlwaysAllow";
        let desired = number(budget, "desiredHealthy");
        if always || (desired > 0 && number(budget, "currentHealthy") >= desired) {
            return Ok(());
        }
    }
    let name = text(budget, "metadata.name");
    let write = if dry_run { Write::DryRun } else { Write::Real };
    let writer = Writer::status("kube-apiserver");
    let (target, key) = (call.target, (call.target.namespace.as_str(), name));
    let taken = call.store.try_modify(&POD_DISRUPTION_BUDGETS, key, writer, write, |budget| {
        let generation = at(budget, "metadata.generation").and_then(Value::as_i64).unwrap_or(0);
        if number(budget, "observedGeneration") < generation {
            return Err(refused(10, &format!("The disruption budget {name} is still being processed by the server.")));
        }
        let allowed = number(budget, "disruptionsAllowed");
        if allowed < 1 {
            let why = object::condition(budget, "DisruptionAllowed").filter(|row| object::text(row, "/status") == "False");
            return Err(refused(0, &why_none(name, number(budget, "desiredHealthy"), number(budget, "currentHealthy"), why)));
        }
        set(budget, "status.disruptionsAllowed", allowed - 1);
        let now = object::stamp(call.store.clock().now());
        object::put(budget, &["status", "disruptedPods", &target.name], json!(now));
        if allowed == 1 {
            object::put(
                budget,
                &["status", "conditions"],
                json!([{"type": "DisruptionAllowed", "status": "False",
                "reason": "InsufficientPods", "message": "", "lastTransitionTime": now, "observedGeneration": generation}]),
            );
        }
        Ok(())
    });
    taken.map(drop)
}

fn why_none(name: &str, desired: i64, healthy: i64, condition: Option<&Value>) -> String {
    let held = format!("The disruption budget {name} does not allow evicting pods currently");
    let said = |row: &Value| (object::text(row, "/reason").to_owned(), object::text(row, "/message").to_owned());
    match condition.map(said).filter(|(_, message)| !message.is_empty()) {
        // Its numbers are not to be trusted then.
        Some((reason, message)) if reason == "SyncFailed" => format!("{held} because it failed sync: {message}"),
        _ if healthy <= desired => {
            format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
        }
        Some((reason, message)) => format!("{held} ({reason}): {message}"),
        None => held,
    }
}

/// 429. Without seconds there is no `Retry-After`, so that the client decides: kubectl says what it waits for.
fn refused(seconds: u32, cause: &str) -> Status {
    let mut status = Status::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", seconds);
    set(&mut status.details, "causes", json!([{"reason": "DisruptionBudget", "message": cause}]));
    status
}
