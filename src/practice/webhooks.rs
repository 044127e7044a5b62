//! Admission webhooks. Nothing in the practice cluster answers an admission review, so what counts is whether the server can reach
//! the webhook: one it reaches is taken to agree, unless its configuration's annotation [`DENIES`] says what it answers instead; one it cannot reach refuses the request in the API server's words with
//! `failurePolicy: Fail`, and lets it pass with `Ignore`.
//!
//! Source: `apiserver/pkg/admission/plugin/webhook`. The webhook configurations themselves are never sent to a webhook.

use serde_json::{Value, json};

use super::hooks::{self, Conditions, Facts, Subject};
use super::json::{at, integer, items, text};
use super::object;
use super::resources::{MUTATING_WEBHOOK_CONFIGURATIONS, PODS, ResourceType, SERVICES, VALIDATING_WEBHOOK_CONFIGURATIONS};
use super::selectors::match_labels;
use super::status::Status;
use super::store::Store;

/// The annotation of a configuration by which scenarios make its webhooks answer no: the sentence they answer with.
pub const DENIES: &str = "practice.k3am.dev/denies";

/// A webhook that may have to be asked about a write.
pub struct Hook {
    resource: &'static ResourceType,
    name: String,
    selector: Value,
    conditions: Conditions,
    fails: bool,
    reached: Result<(), Status>,
    denies: String,
}

/// The webhooks whose rules cover a write.
pub fn gather(store: &Store, subject: &Subject<'_>, namespace: &Value) -> Vec<Hook> {
    let mut found = Vec::new();
    for kind in [&MUTATING_WEBHOOK_CONFIGURATIONS, &VALIDATING_WEBHOOK_CONFIGURATIONS] {
        for configuration in store.list(kind, None) {
            for webhook in items(&configuration, "webhooks") {
                let covered = hooks::covered(items(webhook, "rules"), subject);
                if covered && hooks::in_namespace(at(webhook, "namespaceSelector"), namespace) {
                    found.push(Hook {
                        resource: subject.resource,
                        name: text(webhook, "name").to_owned(),
                        selector: at(webhook, "objectSelector").cloned().unwrap_or_default(),
                        conditions: Conditions::of(items(webhook, "matchConditions"), hooks::WEBHOOK_NAMES),
                        fails: text(webhook, "failurePolicy") != "Ignore",
                        reached: reach_webhook(store, webhook),
                        denies: object::annotation(&configuration, DENIES).to_owned(),
                    });
                }
            }
        }
    }
    found
}

impl Hook {
    /// 500 when a webhook that must be asked cannot be, 403 when it says no, or cannot tell whether it is to be asked.
    pub fn ask(&self, facts: &Facts<'_>) -> Result<(), Status> {
        if !facts.selected(&self.selector) {
            return Ok(());
        }
        let names = [("object", facts.object), ("oldObject", facts.old), ("request", facts.request)];
        match self.conditions.hold(&names) {
            Ok(true) => {}
            Err(why) if self.fails => return Err(Status::forbidden(self.resource, facts.name(), &why)),
            Ok(false) | Err(_) => return Ok(()),
        }
        if self.reached.is_ok() && !self.denies.is_empty() {
            return Err(Status::denied(&self.name, &self.denies));
        }
        if self.fails { self.reached.clone() } else { Ok(()) }
    }
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
