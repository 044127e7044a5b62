//! LimitRange: fills in default requests and limits, and refuses what is outside (`plugin/pkg/admission/limitranger`).

use super::super::object;
use super::super::quantity;
use super::super::resources::{LIMIT_RANGES, PODS, ResourceType};
use super::super::store::Store;
use serde_json::Value;

/// See the module.
pub(super) fn check(store: &Store, resource: &'static ResourceType, pod: &mut Value) -> Result<(), String> {
    if resource != &PODS {
        return Ok(());
    }
    let ranges = store.list(&LIMIT_RANGES, Some(object::namespace(pod)));
    let items: Vec<&Value> = ranges.iter().flat_map(|range| object::items(range, "/spec/limits")).collect();
    let of_containers: Vec<&&Value> = items.iter().filter(|item| object::text(item, "/type") == "Container").collect();
    for list in ["containers", "initContainers"] {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            for item in &of_containers {
                fill_in(container, item);
            }
        }
    }
    let mut refusals = Vec::new();
    for container in object::containers(pod, "containers").iter().chain(object::containers(pod, "initContainers")) {
        for item in &of_containers {
            refusals.extend(outside(container, item));
        }
    }
    match refusals.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}

fn fill_in(container: &mut Value, item: &Value) {
    for (from, list) in [("default", "limits"), ("defaultRequest", "requests")] {
        for (what, amount) in object::fields(item, &format!("/{from}")) {
            let present = container.pointer(&format!("/resources/{list}")).and_then(|listed| listed.get(what)).is_some();
            let limited = container.pointer("/resources/limits").and_then(|listed| listed.get(what)).is_some();
            // A container with a limit and no request asks for its limit, not for the default.
            let own_limit = list == "requests" && limited && object::at(item, "/default").get(what).is_none();
            if !present && !own_limit {
                object::put(container, &["resources", list, what], amount.clone());
            }
        }
    }
}

/// What of a container lies outside a LimitRange entry, in its words; two spaces before "No" are in the original.
fn outside(container: &Value, item: &Value) -> Vec<String> {
    let mut refusals = Vec::new();
    let own = |list: &str, what: &str| container.pointer(&format!("/resources/{list}")).and_then(|listed| listed.get(what));
    let said = |amount: &Value| amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
    for (what, least) in object::fields(item, "/min") {
        match own("requests", what).or_else(|| own("limits", what)) {
            None => refusals.push(format!("minimum {what} usage per Container is {}.  No request is specified", said(least))),
            Some(request) if quantity::parse(request) < quantity::parse(least) => {
                refusals.push(format!("minimum {what} usage per Container is {}, but request is {}", said(least), said(request)));
            }
            Some(_) => {}
        }
    }
    for (what, most) in object::fields(item, "/max") {
        match own("limits", what) {
            None => refusals.push(format!("maximum {what} usage per Container is {}.  No limit is specified", said(most))),
            Some(limit) if quantity::parse(limit) > quantity::parse(most) => {
                refusals.push(format!("maximum {what} usage per Container is {}, but limit is {}", said(most), said(limit)));
            }
            Some(_) => {}
        }
    }
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_filled_in_and_extremes_refused() {
        let item =
            json!({"type": "Container", "default": {"memory": "256Mi"}, "max": {"memory": "512Mi"}, "min": {"cpu": "100m"}});
        let mut container = json!({"name": "app"});
        fill_in(&mut container, &item);
        assert_eq!(container["resources"]["limits"]["memory"], "256Mi");
        assert_eq!(outside(&container, &item), ["minimum cpu usage per Container is 100m.  No request is specified"]);
        let large = json!({"resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}});
        assert_eq!(outside(&large, &item), ["maximum memory usage per Container is 512Mi, but limit is 1Gi"]);
    }
}
