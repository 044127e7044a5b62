//! Admission webhooks. Nothing in the practice cluster serves one, so a matching webhook can only fail, as one whose service is
//! gone fails: with `failurePolicy: Fail` the request is refused in the API server's words, with `Ignore` it goes on.
//!
//! Source: `apiserver/pkg/admission/plugin/webhook`. The webhook configurations themselves are never sent to a webhook.

use serde_json::Value;

use super::json::{at, integer, items, text};
use super::object;
use super::resources::{
    ENDPOINT_SLICES, MUTATING_WEBHOOK_CONFIGURATIONS, NAMESPACES, ResourceType, SERVICES, VALIDATING_WEBHOOK_CONFIGURATIONS,
};
use super::status::Status;
use super::store::Store;

/// A request on its way to admission.
pub struct Request<'a> {
    /// The type.
    pub resource: &'static ResourceType,
    /// The subresource; empty for none.
    pub subresource: &'a str,
    /// `CREATE`, `UPDATE` or `DELETE`.
    pub operation: &'a str,
    /// The namespace; empty for none.
    pub namespace: &'a str,
    /// The object, for its labels.
    pub object: &'a Value,
}

/// 500 when a webhook that must be asked cannot be.
pub fn admit(store: &Store, request: &Request<'_>) -> Result<(), Status> {
    if request.resource.group == "admissionregistration.k8s.io" {
        return Ok(());
    }
    for kind in [&MUTATING_WEBHOOK_CONFIGURATIONS, &VALIDATING_WEBHOOK_CONFIGURATIONS] {
        for configuration in store.list(kind, None) {
            for webhook in items(&configuration, "webhooks") {
                if text(webhook, "failurePolicy") != "Ignore" && concerns(store, webhook, request) {
                    return Err(failure(store, webhook));
                }
            }
        }
    }
    Ok(())
}

fn concerns(store: &Store, webhook: &Value, request: &Request<'_>) -> bool {
    let selects = |path: &str, labels: &Value| at(webhook, path).is_none_or(|selector| object::selects(selector, labels));
    let labels_of = |object: &Value| at(object, "metadata.labels").cloned().unwrap_or_default();
    let namespace =
        if request.resource.plural == "namespaces" { text(request.object, "metadata.name") } else { request.namespace };
    let in_namespace = namespace.is_empty()
        || store.get(&NAMESPACES, "", namespace).is_none_or(|of| selects("namespaceSelector", &labels_of(&of)));
    in_namespace
        && selects("objectSelector", &labels_of(request.object))
        && items(webhook, "rules").iter().any(|rule| covers(rule, request))
}

fn covers(rule: &Value, request: &Request<'_>) -> bool {
    let any = |field: &str, wanted: &str| items(rule, field).iter().any(|item| item == "*" || item == wanted);
    let resource = match request.subresource {
        "" => request.resource.plural.to_owned(),
        below => format!("{}/{below}", request.resource.plural),
    };
    let all_below = items(rule, "resources").iter().any(|item| item == "*/*");
    let scope = match text(rule, "scope") {
        "Namespaced" => request.resource.namespaced,
        "Cluster" => !request.resource.namespaced,
        _ => true,
    };
    let resources = items(rule, "resources");
    let named = resources.iter().any(|item| *item == resource) || (request.subresource.is_empty() && any("resources", "*"));
    scope
        && (named || all_below)
        && any("operations", request.operation)
        && any("apiGroups", request.resource.group)
        && any("apiVersions", request.resource.version)
}

fn failure(store: &Store, webhook: &Value) -> Status {
    let seconds = integer(webhook, "timeoutSeconds").unwrap_or(10);
    let (service, namespace) = (text(webhook, "clientConfig.service.name"), text(webhook, "clientConfig.service.namespace"));
    let port = integer(webhook, "clientConfig.service.port").unwrap_or(443);
    let (address, why) = if service.is_empty() {
        let url = text(webhook, "clientConfig.url").to_owned();
        let host = url.split("://").nth(1).unwrap_or_default().split(['/', ':']).next().unwrap_or_default().to_owned();
        (url, format!("dial tcp: lookup {host} on 10.96.0.10:53: no such host"))
    } else {
        let url = format!("https://{service}.{namespace}.svc:{port}{}", text(webhook, "clientConfig.service.path"));
        (url, unreachable_service(store, namespace, service, port))
    };
    let name = text(webhook, "name");
    Status::internal(format!(
        "failed calling webhook {name:?}: failed to call webhook: Post \"{address}?timeout={seconds}s\": {why}"
    ))
}

/// Why nobody answers at a service.
pub fn unreachable_service(store: &Store, namespace: &str, service: &str, port: i64) -> String {
    let Some(found) = store.get(&SERVICES, namespace, service) else { return format!("service {service:?} not found") };
    let ready = store.list(&ENDPOINT_SLICES, Some(namespace)).iter().any(|slice| {
        slice.pointer("/metadata/labels/kubernetes.io~1service-name").is_some_and(|of| of == service)
            && items(slice, "endpoints").iter().any(|endpoint| at(endpoint, "conditions.ready") == Some(&Value::Bool(true)))
    });
    if !ready {
        return format!("no endpoints available for service {service:?}");
    }
    format!("dial tcp {}:{port}: connect: connection refused", text(&found, "spec.clusterIP"))
}
