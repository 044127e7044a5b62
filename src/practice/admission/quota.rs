//! ResourceQuota: what a namespace may have in all, what it has, and the refusal of more.
//!
//! Sources: `apiserver/.../resourcequota/controller.go`, `pkg/quota/v1/evaluator/core`. Finished pods do not count. Not modelled:
//! scopes.

use super::super::object;
use super::super::quantity;
use super::super::resources::{ALL, PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, ResourceType};
use super::super::store::Store;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Amounts by the name a quota gives them.
pub type Amounts = BTreeMap<String, f64>;

/// Refuses what would exceed a quota of its namespace.
pub(super) fn check(store: &Store, resource: &'static ResourceType, new: &mut Value) -> Result<(), String> {
    for quota in store.list(&RESOURCE_QUOTAS, Some(object::namespace(new))) {
        let name = object::name(&quota);
        let wanted = amounts(resource, new);
        if resource == &PODS {
            must_specify(&quota, new).map_err(|missing| format!("failed quota: {name}: must specify {missing}"))?;
        }
        let used = used(store, &quota);
        let mut said: [Vec<String>; 3] = Default::default();
        for (what, hard) in object::fields(&quota, "/spec/hard") {
            let (more, has) = (wanted.get(what).copied().unwrap_or(0.0), used.get(what).copied().unwrap_or(0.0));
            if more > 0.0 && has + more > quantity::parse(hard) + 1e-9 {
                let limit = hard.as_str().map_or_else(|| hard.to_string(), str::to_owned);
                for (list, amount) in said.iter_mut().zip([written(what, more), written(what, has), limit]) {
                    list.push(format!("{what}={amount}"));
                }
            }
        }
        let [requested, used, limited] = said.map(|list| list.join(","));
        if !requested.is_empty() {
            return Err(format!("exceeded quota: {name}, requested: {requested}, used: {used}, limited: {limited}"));
        }
    }
    Ok(())
}

/// What the namespace of a quota has of everything the quota limits.
pub fn used(store: &Store, quota: &Value) -> Amounts {
    let namespace = object::namespace(quota);
    let hard: Vec<&String> = object::fields(quota, "/spec/hard").map(|(what, _)| what).collect();
    let mut sum = Amounts::new();
    let counted = ALL.iter().copied().filter(|kind| kind.namespaced && hard.iter().any(|what| limits(what, kind)));
    for kind in counted {
        for present in store.list(kind, Some(namespace)).iter().filter(|present| !object::is_finished_pod(present)) {
            for (what, amount) in amounts(kind, present) {
                *sum.entry(what).or_default() += amount;
            }
        }
    }
    hard.into_iter().map(|what| (what.clone(), sum.get(what).copied().unwrap_or(0.0))).collect()
}

/// Amounts as `status.used` writes them.
pub fn rendered(amounts: &Amounts) -> Value {
    Value::Object(amounts.iter().map(|(what, amount)| (what.clone(), json!(written(what, *amount)))).collect::<Map<_, _>>())
}

/// Whether a quota's entry limits objects of a type.
fn limits(what: &str, kind: &ResourceType) -> bool {
    match kind.plural {
        "pods" => {
            ["pods", "cpu", "memory"].contains(&what)
                || what.starts_with("limits.")
                || (what.starts_with("requests.") && what != "requests.storage")
                || what == "count/pods"
        }
        "persistentvolumeclaims" => {
            ["persistentvolumeclaims", "requests.storage", "count/persistentvolumeclaims"].contains(&what)
        }
        plural => what == plural || what == counter(kind),
    }
}

/// `count/deployments.apps`, `count/services`.
fn counter(kind: &ResourceType) -> String {
    if kind.group.is_empty() { format!("count/{}", kind.plural) } else { format!("count/{}.{}", kind.plural, kind.group) }
}

/// What one object counts for.
fn amounts(kind: &ResourceType, counted: &Value) -> Amounts {
    let mut amounts = Amounts::from([(kind.plural.to_owned(), 1.0), (counter(kind), 1.0)]);
    if kind == &PODS {
        for list in ["requests", "limits"] {
            for what in ["cpu", "memory", "ephemeral-storage"] {
                let amount = of_pod(counted, list, what);
                amounts.insert(format!("{list}.{what}"), amount);
                if list == "requests" {
                    amounts.insert(what.to_owned(), amount);
                }
            }
        }
    } else if kind == &PERSISTENT_VOLUME_CLAIMS {
        amounts.insert("requests.storage".to_owned(), quantity::parse(object::at(counted, "/spec/resources/requests/storage")));
    }
    amounts
}

/// A container's own amount; a limit stands for a request that is not there.
fn of_container<'a>(container: &'a Value, list: &str, what: &str) -> Option<&'a Value> {
    let listed = |list: &str| container.pointer(&format!("/resources/{list}")).and_then(|listed| listed.get(what));
    listed(list).or_else(|| if list == "requests" { listed("limits") } else { None })
}

fn of_pod(pod: &Value, list: &str, what: &str) -> f64 {
    let amount = |container: &Value| of_container(container, list, what).map_or(0.0, quantity::parse);
    let sum: f64 = object::containers(pod, "containers").iter().map(amount).sum();
    object::containers(pod, "initContainers").iter().map(amount).fold(sum, f64::max)
}

/// What every container must say because the quota limits it: `limits.cpu for: app; limits.memory for: app`.
fn must_specify(quota: &Value, pod: &Value) -> Result<(), String> {
    let mut missing = Vec::new();
    for (entry, _) in object::fields(quota, "/spec/hard") {
        let (list, what) = match entry.split_once('.') {
            Some((list @ ("requests" | "limits"), what @ ("cpu" | "memory"))) => (list, what),
            None if ["cpu", "memory"].contains(&entry.as_str()) => ("requests", entry.as_str()),
            _ => continue,
        };
        let silent = object::containers(pod, "containers").iter().filter(|c| of_container(c, list, what).is_none());
        let names: Vec<&str> = silent.map(|container| object::text(container, "/name")).collect();
        if !names.is_empty() {
            missing.push(format!("{entry} for: {}", names.join(",")));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
}

fn written(what: &str, amount: f64) -> String {
    if what.ends_with("cpu") {
        quantity::cores(amount)
    } else if what.ends_with("memory") || what.ends_with("storage") {
        quantity::bytes(amount)
    } else {
        format!("{amount:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::clock::Clock;
    use super::super::super::store::Writer;
    use super::*;

    #[test]
    fn a_second_pod_is_refused_in_the_words_of_the_capture() {
        let store = Store::new(Clock::new(1.0), 1);
        let writer = Writer::update("test");
        let quota =
            json!({"metadata": {"name": "small", "namespace": "prod"}, "spec": {"hard": {"pods": "1", "requests.cpu": "10m"}}});
        store.create(&RESOURCE_QUOTAS, quota.clone(), writer).unwrap();
        let pod = |name: &str, cpu: &str| {
            json!({"metadata": {"name": name, "namespace": "prod"},
                "spec": {"containers": [{"name": "app", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}]}})
        };
        store.create(&PODS, pod("one", "5m"), writer).unwrap();
        let refused = store.create(&PODS, pod("two", "5m"), writer).unwrap_err();
        assert_eq!(refused.code, 403);
        assert_eq!(
            refused.message,
            "pods \"two\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"
        );
        assert_eq!(rendered(&used(&store, &quota)), json!({"pods": "1", "requests.cpu": "5m"}));
        let silent =
            json!({"metadata": {"name": "x", "namespace": "prod"}, "spec": {"containers": [{"name": "app", "image": "nginx"}]}});
        let refused = store.create(&PODS, silent, writer).unwrap_err();
        assert!(refused.message.ends_with("failed quota: small: must specify requests.cpu for: app"), "{}", refused.message);
    }
}
