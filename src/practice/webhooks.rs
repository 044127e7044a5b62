//! Admission webhooks. Nothing in the practice cluster answers an admission review, so what counts is whether the server can reach
//! the webhook: one it reaches is taken to agree, unless its configuration's annotation [`DENIES`] says what it answers instead; one it cannot reach refuses the request in the API server's words with
//! `failurePolicy: Fail`, and lets it pass with `Ignore`.
//!
//! Source: `apiserver/pkg/admission/plugin/webhook`. The webhook configurations themselves are never sent to a webhook. Not
//! modelled: `matchConditions`.

use serde_json::{Value, json};

use super::json::{at, integer, items, text};
use super::object;
use super::resources::{
    MUTATING_WEBHOOK_CONFIGURATIONS, NAMESPACES, PODS, ResourceType, SERVICES, VALIDATING_WEBHOOK_CONFIGURATIONS,
};
use super::selectors::match_labels;
use super::status::Status;
use super::store::Store;

/// The annotation of a configuration by which scenarios make its webhooks answer no: the sentence they answer with.
pub const DENIES: &str = "practice.k3am.dev/denies";

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
                if !concerns(store, webhook, request) {
                    continue;
                }
                let reached = reach_webhook(store, webhook);
                let denies = object::annotation(&configuration, DENIES);
                if reached.is_ok() && !denies.is_empty() {
                    return Err(Status::denied(text(webhook, "name"), denies));
                }
                if text(webhook, "failurePolicy") != "Ignore" {
                    reached?;
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

fn reach_webhook(store: &Store, webhook: &Value) -> Result<(), Status> {
    let seconds = integer(webhook, "timeoutSeconds").unwrap_or(10);
    let (service, namespace) = (text(webhook, "clientConfig.service.name"), text(webhook, "clientConfig.service.namespace"));
    let port = integer(webhook, "clientConfig.service.port").unwrap_or(443);
    let (address, reached) = if service.is_empty() {
        let url = text(webhook, "clientConfig.url").to_owned();
        let why = outside(&url);
        (url, Err(why))
    } else {
        let url = format!("https://{service}.{namespace}.svc:{port}{}", text(webhook, "clientConfig.service.path"));
        (url, reach(store, namespace, service, port))
    };
    let name = text(webhook, "name");
    reached.map_err(|why| {
        Status::internal(format!(
            "failed calling webhook {name:?}: failed to call webhook: Post \"{address}?timeout={seconds}s\": {why}"
        ))
    })
}

/// Why nobody answers outside the cluster: no name is known there, and no packet comes back from an address.
fn outside(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    match host.parse::<std::net::Ipv4Addr>() {
        Ok(_) => "context deadline exceeded".to_owned(),
        Err(_) => format!("dial tcp: lookup {host} on 10.96.0.10:53: no such host"),
    }
}

/// Whether anything listens behind a port of a service; the error is why not, as the API server's dialler says it.
pub fn reach(store: &Store, namespace: &str, service: &str, port: i64) -> Result<(), String> {
    let Some(found) = store.get(&SERVICES, namespace, service) else { return Err(format!("service {service:?} not found")) };
    let Some(wanted) = items(&found, "spec.ports").iter().find(|of| integer(of, "port") == Some(port)) else {
        return Err(format!("no service port {port} found for service {service:?}"));
    };
    let pods = store.list(&PODS, Some(namespace));
    let ready: Vec<_> = pods
        .iter()
        .filter(|pod| match_labels(at(&found, "spec.selector"), pod) && object::condition_is_true(pod, "Ready"))
        .collect();
    if ready.is_empty() {
        return Err(format!("no endpoints available for service {service:?}"));
    }
    let target = at(wanted, "targetPort").cloned().unwrap_or_else(|| json!(port));
    let listens = |of: &Value| at(of, "containerPort") == Some(&target) || at(of, "name") == Some(&target);
    let mut containers = ready.iter().flat_map(|pod| items(pod, "spec.containers"));
    if containers.any(|container| items(container, "ports").iter().any(listens)) {
        return Ok(());
    }
    Err(format!("dial tcp {}:{port}: connect: connection refused", text(&found, "spec.clusterIP")))
}
