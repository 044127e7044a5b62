//! Pod Security: the namespace's label `pod-security.kubernetes.io/enforce` decides (`k8s.io/pod-security-admission/policy`).

use super::super::object;
use super::super::resources::{NAMESPACES, PODS, ResourceType};
use super::super::store::Store;
use serde_json::{Value, json};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// See the module.
pub(super) fn check(store: &Store, resource: &'static ResourceType, pod: &mut Value) -> Result<(), String> {
    if resource != &PODS {
        return Ok(());
    }
    let namespace = store.get(&NAMESPACES, "", object::namespace(pod));
    let label = |key: &str| {
        let labels = namespace.as_ref().map_or(&Value::Null, |namespace| object::at(namespace, "/metadata/labels"));
        labels.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let level = label(ENFORCE);
    if !matches!(level.as_str(), "baseline" | "restricted") {
        return Ok(());
    }
    let version = match label(&format!("{ENFORCE}-version")) {
        version if version.is_empty() => "latest".to_owned(),
        version => version,
    };
    let mut violations = baseline(pod);
    if level == "restricted" {
        violations.extend(restricted(pod));
    }
    if violations.is_empty() {
        return Ok(());
    }
    Err(format!("violates PodSecurity \"{level}:{version}\": {}", violations.join(", ")))
}

fn all(pod: &Value) -> impl Iterator<Item = &Value> {
    object::containers(pod, "initContainers").iter().chain(object::containers(pod, "containers"))
}

/// `container "a" must`, `containers "a", "b" must`.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("{} {}", if names.len() == 1 { "container" } else { "containers" }, quoted.join(", "))
}

/// A violation by the containers for which `wrong` holds.
fn by_container(pod: &Value, wrong: impl Fn(&Value) -> bool, say: impl Fn(String) -> String) -> Option<String> {
    let names: Vec<&str> =
        all(pod).filter(|container| wrong(container)).map(|container| object::text(container, "/name")).collect();
    (!names.is_empty()).then(|| say(listed(&names)))
}

fn baseline(pod: &Value) -> Vec<String> {
    let on = |field: &str| object::at(pod, &format!("/spec/{field}")) == &json!(true);
    let shared: Vec<String> =
        ["hostNetwork", "hostPID", "hostIPC"].iter().filter(|field| on(field)).map(|field| format!("{field}=true")).collect();
    let paths: Vec<String> = object::items(pod, "/spec/volumes")
        .iter()
        .filter(|volume| volume.get("hostPath").is_some())
        .map(|volume| format!("{:?}", object::text(volume, "/name")))
        .collect();
    let host_port =
        |container: &Value| object::items(container, "/ports").iter().any(|port| object::int(port, "/hostPort").unwrap_or(0) > 0);
    [
        (!shared.is_empty()).then(|| format!("host namespaces ({})", shared.join(", "))),
        (!paths.is_empty())
            .then(|| format!("hostPath volumes ({} {})", if paths.len() == 1 { "volume" } else { "volumes" }, paths.join(", "))),
        by_container(
            pod,
            |container| object::at(container, "/securityContext/privileged") == &json!(true),
            |who| format!("privileged ({who} must not set securityContext.privileged=true)"),
        ),
        by_container(pod, host_port, |who| format!("hostPort ({who} uses hostPort)")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn restricted(pod: &Value) -> Vec<String> {
    let of_pod = |field: &str| object::at(pod, &format!("/spec/securityContext/{field}"));
    let drops_all = |container: &Value| object::items(container, "/securityContext/capabilities/drop").contains(&json!("ALL"));
    let may_be_root = |container: &Value| {
        let own = object::at(container, "/securityContext/runAsNonRoot");
        (if own.is_null() { of_pod("runAsNonRoot") } else { own }) != &json!(true)
    };
    let unconfined = |container: &Value| {
        let own = object::text(container, "/securityContext/seccompProfile/type");
        let inherited = object::text(pod, "/spec/securityContext/seccompProfile/type");
        !matches!(if own.is_empty() { inherited } else { own }, "RuntimeDefault" | "Localhost")
    };
    [
        by_container(
            pod,
            |container| object::at(container, "/securityContext/allowPrivilegeEscalation") != &json!(false),
            |who| format!("allowPrivilegeEscalation != false ({who} must set securityContext.allowPrivilegeEscalation=false)"),
        ),
        by_container(
            pod,
            |container| !drops_all(container),
            |who| format!("unrestricted capabilities ({who} must set securityContext.capabilities.drop=[\"ALL\"])"),
        ),
        by_container(pod, may_be_root, |who| {
            format!("runAsNonRoot != true (pod or {who} must set securityContext.runAsNonRoot=true)")
        }),
        by_container(pod, unconfined, |who| {
            format!("seccompProfile (pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")")
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_pod_violates_restricted_in_four_ways_and_baseline_in_none() {
        let pod = json!({"spec": {"containers": [{"name": "app"}]}});
        assert!(baseline(&pod).is_empty());
        let found = restricted(&pod);
        assert_eq!(found.len(), 4);
        let first =
            "allowPrivilegeEscalation != false (container \"app\" must set securityContext.allowPrivilegeEscalation=false)";
        assert_eq!(found.first().map(String::as_str), Some(first));
    }
}
