//! API services: one for each version the server has itself, and those that people register for a service of their own, which
//! nobody answers for.

use std::time::Duration;

use serde_json::{Value, json};

use super::clock::timestamp;
use super::controllers::{Change, Controller, Key};
use super::json::{at, integer, items, set, text};
use super::resources::{ALL, API_SERVICES, ENDPOINT_SLICES, ResourceType, SERVICES};
use super::status::Status;
use super::store::{Store, Writer};
use super::webhooks;

const MANAGER: &str = "kube-apiserver";
const METRICS: &str = "v1beta1.metrics.k8s.io";

/// Registers the versions every cluster serves.
pub fn bootstrap(store: &Store) {
    let mut known: Vec<String> = Vec::new();
    for resource in ALL {
        let name = format!("{}.{}", resource.version, resource.group);
        if known.contains(&name) {
            continue;
        }
        let mut spec = json!({"version": resource.version, "groupPriorityMinimum": 17_000, "versionPriority": 15});
        if resource.group.is_empty() {
            set(&mut spec, "groupPriorityMinimum", 18_000);
        } else {
            set(&mut spec, "group", resource.group);
        }
        let mut metadata = json!({"name": name, "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}});
        if name == METRICS {
            metadata = json!({"name": name, "labels": {"k8s-app": "metrics-server"}});
            set(&mut spec, "service", json!({"name": "metrics-server", "namespace": "kube-system", "port": 443}));
            set(&mut spec, "insecureSkipTLSVerify", true);
        }
        let _ = store.create(&API_SERVICES, json!({"metadata": metadata, "spec": spec}), Writer::update(MANAGER));
        known.push(name);
    }
}

/// 503 for a version that is registered for a service which nobody answers for.
pub fn check_path(store: &Store, path: &str) -> Result<(), Status> {
    let mut parts = path.trim_start_matches("/apis/").split('/');
    let (group, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let registered = store.get(&API_SERVICES, "", &format!("{version}.{group}"));
    match registered.filter(|_| path.starts_with("/apis/")).and_then(|service| service.pointer("/spec/service").cloned()) {
        Some(_) => Err(Status::unavailable()),
        None => Ok(()),
    }
}

/// The versions registered for a service nobody answers for: group and version.
fn dead(store: &Store) -> Vec<(String, String)> {
    let registered = store.list(&API_SERVICES, None);
    let dead = registered.iter().filter(|of| at(of, "spec.service").is_some() && text(of, "metadata.name") != METRICS);
    dead.map(|of| (text(of, "spec.group").to_owned(), text(of, "spec.version").to_owned())).collect()
}

/// `/apis/GROUP` of such a group, which the aggregator answers itself.
pub fn group(store: &Store, path: &str) -> Option<Value> {
    let wanted = path.strip_prefix("/apis/")?;
    let (group, version) = dead(store).into_iter().find(|(group, _)| group == wanted)?;
    let mut document = group_of(&group, &version);
    set(&mut document, "kind", "APIGroup");
    set(&mut document, "apiVersion", "v1");
    Some(document)
}

fn group_of(group: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

/// Says of every registered version whether it is available. A key is its name.
pub struct Availability {
    store: Store,
}

impl Availability {
    /// A controller over a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Status, reason and message of `Available`.
    fn of(&self, name: &str, registered: &Value) -> (&'static str, &'static str, String) {
        let (namespace, service) = (text(registered, "spec.service.namespace"), text(registered, "spec.service.name"));
        let port = integer(registered, "spec.service.port").unwrap_or(443);
        if service.is_empty() {
            return ("True", "Local", "Local APIServices are always available".to_owned());
        }
        if name == METRICS {
            return ("True", "Passed", "all checks passed".to_owned());
        }
        let reached = webhooks::reach(&self.store, namespace, service, port);
        let why = reached.err().unwrap_or_default();
        if why.ends_with("not found") {
            return ("False", "ServiceNotFound", format!("service/{service} in {namespace:?} is not present"));
        }
        if why.starts_with("no service port") {
            return ("False", "ServicePortError", format!("service/{service} in {namespace:?} is not listening on port {port}"));
        }
        if why.starts_with("no endpoints") {
            let message = format!("endpoints for service/{service} in {namespace:?} have no addresses with port name \"https\"");
            return ("False", "MissingEndpoints", message);
        }
        let group = text(registered, "spec.group");
        let url = format!("https://{service}.{namespace}.svc:{port}/apis/{group}/{}", text(registered, "spec.version"));
        // What listens there is no API server.
        let why = if why.is_empty() { format!("bad status from {url}: 404") } else { format!("Get \"{url}\": {why}") };
        ("False", "FailedDiscoveryCheck", format!("failing or missing response from {url}: {why}"))
    }
}

impl Controller for Availability {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&API_SERVICES, &SERVICES, &ENDPOINT_SLICES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        if change.resource == &API_SERVICES {
            return vec![(String::new(), text(&change.object, "metadata.name").to_owned())];
        }
        let namespace = text(&change.object, "metadata.namespace");
        let here = |registered: &&std::sync::Arc<Value>| text(registered, "spec.service.namespace") == namespace;
        let registered = self.store.list(&API_SERVICES, None);
        registered.iter().filter(here).map(|found| (String::new(), text(found, "metadata.name").to_owned())).collect()
    }

    fn reconcile(&mut self, (_, name): &Key) -> Option<Duration> {
        let registered = self.store.get(&API_SERVICES, "", name)?;
        let (status, reason, message) = self.of(name, &registered);
        let before = items(&registered, "status.conditions").first();
        let same = |field: &str, now: &str| before.is_some_and(|before| text(before, field) == now);
        if same("status", status) && same("reason", reason) && same("message", &message) {
            return None;
        }
        let mut condition = json!({"type": "Available", "status": status, "reason": reason, "message": message,
            "lastTransitionTime": timestamp(self.store.clock().now())});
        if same("status", status)
            && let Some(since) = before.and_then(|before| at(before, "lastTransitionTime"))
        {
            set(&mut condition, "lastTransitionTime", since.clone());
        }
        let _ = self.store.modify(&API_SERVICES, "", name, Writer::status(MANAGER), |object| {
            set(object, "status.conditions", json!([condition]));
        });
        None
    }
}
