//! LimitRange: fills in default requests and limits of containers, and refuses containers, pods and claims outside of its bounds
//! (`plugin/pkg/admission/limitranger`).

use super::super::object;
use super::super::quantity;
use super::super::resources::{LIMIT_RANGES, PERSISTENT_VOLUME_CLAIMS, PODS, ResourceType};
use super::super::store::Store;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What was filled in is said here.
const FILLED_IN: &str = "kubernetes.io/limit-ranger";

/// See the module.
pub(super) fn check(store: &Store, resource: &'static ResourceType, object: &mut Value) -> Result<(), String> {
    if resource != &PODS && resource != &PERSISTENT_VOLUME_CLAIMS {
        return Ok(());
    }
    let ranges = store.list(&LIMIT_RANGES, Some(object::namespace(object)));
    if resource == &PODS {
        for range in &ranges {
            fill_in_pod(object, range);
        }
    }
    for range in &ranges {
        let mut refusals = Vec::new();
        for item in object::items(range, "/spec/limits") {
            match (object::text(item, "/type"), resource == &PODS) {
                ("Container", true) => {
                    let containers = object::containers(object, "containers").iter();
                    for container in containers.chain(object::containers(object, "initContainers")) {
                        refusals.extend(Bounds::of(item, object::at(container, "/resources")).refusals());
                    }
                }
                ("Pod", true) => refusals.extend(Bounds::of(item, &whole(object)).refusals()),
                ("PersistentVolumeClaim", false) => {
                    refusals.extend(Bounds::of(item, object::at(object, "/spec/resources")).of_claim());
                }
                _ => {}
            }
        }
        match refusals.as_slice() {
            [] => {}
            [one] => return Err(one.clone()),
            many => return Err(format!("[{}]", many.join(", "))),
        }
    }
    Ok(())
}

/// Fills in what a range has as defaults, and says so in an annotation.
fn fill_in_pod(pod: &mut Value, range: &Value) {
    let items: Vec<&Value> =
        object::items(range, "/spec/limits").iter().filter(|item| object::text(item, "/type") == "Container").collect();
    let mut said = Vec::new();
    for (list, kind) in [("containers", "container"), ("initContainers", "init container")] {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            for (from, to, word) in [("defaultRequest", "requests", "request"), ("default", "limits", "limit")] {
                let mut filled = BTreeSet::new();
                for (what, amount) in items.iter().flat_map(|item| object::fields(item, &format!("/{from}"))) {
                    let has = |list: &str| own(object::at(container, "/resources"), list, what).is_some();
                    // A container with a limit and no request asks for its limit, not for the default.
                    if !(has(to) || to == "requests" && has("limits")) {
                        object::put(container, &["resources", to, what], amount.clone());
                        filled.insert(what.as_str());
                    }
                }
                if !filled.is_empty() {
                    let names = filled.into_iter().collect::<Vec<_>>().join(", ");
                    said.push(format!("{names} {word} for {kind} {}", object::text(container, "/name")));
                }
            }
        }
    }
    if !said.is_empty() {
        let value = format!("LimitRanger plugin set: {}", said.join("; "));
        object::put(pod, &["metadata", "annotations", FILLED_IN], json!(value));
    }
}

fn own<'a>(resources: &'a Value, list: &str, what: &str) -> Option<&'a Value> {
    resources.get(list)?.get(what)
}

/// A list of resources; a limit stands for a request that is not there.
fn asked(resources: &Value, list: &str) -> Value {
    let mut listed: BTreeMap<&String, &Value> = BTreeMap::new();
    if list == "requests" {
        listed.extend(object::fields(resources, "/limits"));
    }
    listed.extend(object::fields(resources, &format!("/{list}")));
    json!(listed)
}

/// The requests and limits of a pod: what all its containers ask for together, or one that runs before them asks for alone.
fn whole(pod: &Value) -> Value {
    let mut resources = json!({});
    for list in ["requests", "limits"] {
        let of = |container: &Value| asked(object::at(container, "/resources"), list);
        let containers: Vec<Value> = object::containers(pod, "containers").iter().map(of).collect();
        let mut sums: BTreeMap<String, (f64, Value)> = BTreeMap::new();
        for (what, _) in containers.iter().flat_map(|listed| object::fields(listed, "")) {
            // A sum is known only where every container says its part.
            let parts: Option<Vec<f64>> = containers.iter().map(|listed| Some(quantity::parse(listed.get(what)?))).collect();
            if let Some(sum) = parts.map(|parts| parts.iter().sum::<f64>()) {
                sums.insert(what.clone(), (sum, json!(quantity::decimal((sum * 1000.0).round() as i64))));
            }
        }
        for before in object::containers(pod, "initContainers").iter().map(of) {
            for (what, amount) in object::fields(&before, "") {
                let asked = quantity::parse(amount);
                if sums.get(what).is_none_or(|(sum, _)| asked > *sum) {
                    sums.insert(what.clone(), (asked, amount.clone()));
                }
            }
        }
        let listed: serde_json::Map<String, Value> = sums.into_iter().map(|(what, (_, amount))| (what, amount)).collect();
        object::put(&mut resources, &[list], Value::Object(listed));
    }
    resources
}

/// An entry of a LimitRange, and the resources it bounds.
struct Bounds<'a> {
    item: &'a Value,
    kind: &'a str,
    resources: &'a Value,
}

impl<'a> Bounds<'a> {
    fn of(item: &'a Value, resources: &'a Value) -> Self {
        Self { item, kind: object::text(item, "/type"), resources }
    }

    fn amount(&self, list: &str, what: &str) -> Option<(f64, String)> {
        let amount = asked(self.resources, list).get(what)?.clone();
        Some((quantity::parse(&amount), said(&amount)))
    }

    /// What lies outside, in the plugin's words; the two spaces before "No" are in the original.
    fn refusals(&self) -> Vec<String> {
        let mut refusals = self.too_little();
        let kind = self.kind;
        for (what, most) in object::fields(self.item, "/max") {
            let (bound, head) = (quantity::parse(most), format!("maximum {what} usage per {kind} is {}", said(most)));
            match (self.amount("limits", what), self.amount("requests", what)) {
                (None, _) => refusals.push(format!("{head}.  No limit is specified")),
                (Some((limit, said)), _) if limit > bound => refusals.push(format!("{head}, but limit is {said}")),
                (_, Some((request, said))) if request > bound => refusals.push(format!("{head}, but request is {said}")),
                _ => {}
            }
        }
        for (what, most) in object::fields(self.item, "/maxLimitRequestRatio") {
            let head = format!("{what} max limit to request ratio per {kind} is {}", said(most));
            let over = |list: &str| self.amount(list, what).filter(|(amount, _)| *amount > 0.0);
            match (over("requests"), over("limits")) {
                (None, _) => refusals.push(format!("{head}, but no request is specified or request is 0")),
                (_, None) => refusals.push(format!("{head}, but no limit is specified or limit is 0")),
                (Some((request, _)), Some((limit, _))) if limit / request > quantity::parse(most) => {
                    refusals.push(format!("{head}, but provided ratio is {:.6}", limit / request));
                }
                _ => {}
            }
        }
        refusals
    }

    /// A claim has no limits: its request is held against both bounds.
    fn of_claim(&self) -> Vec<String> {
        let mut refusals = self.too_little();
        for (what, most) in object::fields(self.item, "/max") {
            let head = format!("maximum {what} usage per {} is {}", self.kind, said(most));
            match self.amount("requests", what) {
                None => refusals.push(format!("{head}.  No request is specified")),
                Some((request, said)) if request > quantity::parse(most) => {
                    refusals.push(format!("{head}, but request is {said}"));
                }
                Some(_) => {}
            }
        }
        refusals
    }

    fn too_little(&self) -> Vec<String> {
        let mut refusals = Vec::new();
        for (what, least) in object::fields(self.item, "/min") {
            let (bound, head) = (quantity::parse(least), format!("minimum {what} usage per {} is {}", self.kind, said(least)));
            match (self.amount("requests", what), self.amount("limits", what)) {
                (None, _) => refusals.push(format!("{head}.  No request is specified")),
                (Some((request, said)), _) if request < bound => refusals.push(format!("{head}, but request is {said}")),
                (_, Some((limit, said))) if limit < bound => refusals.push(format!("{head}, but limit is {said}")),
                _ => {}
            }
        }
        refusals
    }
}

fn said(amount: &Value) -> String {
    amount.as_str().map_or_else(|| amount.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(item: &Value, resources: &Value) -> Vec<String> {
        Bounds::of(item, resources).refusals()
    }

    #[test]
    fn defaults_are_filled_in_and_said() {
        let range = json!({"spec": {"limits": [{"type": "Container", "default": {"memory": "256Mi"},
            "defaultRequest": {"cpu": "100m", "memory": "128Mi"}}]}});
        let mut pod = json!({"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "1"}}}]}});
        fill_in_pod(&mut pod, &range);
        let resources = &pod["spec"]["containers"][0]["resources"];
        assert_eq!(resources, &json!({"limits": {"memory": "256Mi"}, "requests": {"cpu": "1", "memory": "128Mi"}}));
        let said = "LimitRanger plugin set: memory request for container app; memory limit for container app";
        assert_eq!(pod["metadata"]["annotations"][FILLED_IN], said);
    }

    #[test]
    fn extremes_are_refused_in_the_words_of_the_plugin() {
        let item = json!({"type": "Container", "max": {"memory": "512Mi"}, "min": {"cpu": "100m"}});
        let none = json!({});
        assert_eq!(
            refused(&item, &none),
            [
                "minimum cpu usage per Container is 100m.  No request is specified",
                "maximum memory usage per Container is 512Mi.  No limit is specified"
            ]
        );
        let large = json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}});
        assert_eq!(refused(&item, &large), ["maximum memory usage per Container is 512Mi, but limit is 1Gi"]);
        let ratio = json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}});
        let wide = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}});
        assert_eq!(refused(&ratio, &wide), ["cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000"]);
        let claim = json!({"type": "PersistentVolumeClaim", "max": {"storage": "5Gi"}});
        let bounds = json!({"requests": {"storage": "10Gi"}});
        assert_eq!(
            Bounds::of(&claim, &bounds).of_claim(),
            ["maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi"]
        );
    }

    #[test]
    fn a_pod_is_the_sum_of_its_containers() {
        let container = |cpu: &str| json!({"name": "c", "resources": {"limits": {"cpu": cpu, "memory": "1Gi"}}});
        let pod = json!({"spec": {"containers": [container("500m"), container("1")], "initContainers": [container("2")]}});
        let item = json!({"type": "Pod", "max": {"cpu": "1", "memory": "2Gi"}});
        assert_eq!(refused(&item, &whole(&pod)), ["maximum cpu usage per Pod is 1, but limit is 2"]);
        let item = json!({"type": "Pod", "max": {"memory": "1Gi"}});
        assert_eq!(refused(&item, &whole(&pod)), ["maximum memory usage per Pod is 1Gi, but limit is 2147483648"]);
    }
}
