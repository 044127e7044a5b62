//! Namespaces: a new one gets its root CA ConfigMap and default service account; a deleted one is emptied, with the conditions
//! that say what still holds it.

use super::super::clock::Clock;
use super::super::object;
use super::super::resources::{CONFIG_MAPS, NAMESPACES, ResourceType, SERVICE_ACCOUNTS};
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const MANAGER: &str = "kube-controller-manager";
/// How often a namespace with remaining content is looked at again.
const RETRY: Duration = Duration::from_secs(5);

/// See the module.
pub struct NamespaceController {
    store: Store,
    clock: Clock,
}

impl NamespaceController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    fn furnish(&self, namespace: &str) {
        if self.store.get(&CONFIG_MAPS, namespace, "kube-root-ca.crt").is_none() {
            let bundle = json!({
                "metadata": {"name": "kube-root-ca.crt", "namespace": namespace, "annotations": {"kubernetes.io/description":
                    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."}},
                "data": {"ca.crt": "-----BEGIN CERTIFICATE-----\npractice\n-----END CERTIFICATE-----\n"},
            });
            let _ = self.store.create(&CONFIG_MAPS, bundle, Writer::update(MANAGER));
        }
        if self.store.get(&SERVICE_ACCOUNTS, namespace, "default").is_none() {
            let account = json!({"metadata": {"name": "default", "namespace": namespace}});
            let _ = self.store.create(&SERVICE_ACCOUNTS, account, Writer::update(MANAGER));
        }
    }

    /// Deletes everything in the namespace; answers the objects that remain by resource, and by finalizer.
    fn empty(&self, namespace: &str) -> (BTreeMap<String, usize>, BTreeMap<String, usize>) {
        let (mut remaining, mut finalizers) = (BTreeMap::new(), BTreeMap::new());
        for kind in self.store.stored_types().into_iter().filter(|kind| kind.namespaced) {
            for object in self.store.list(kind, Some(namespace)) {
                if !object::is_deleting(&object) {
                    let _ = self.store.delete(kind, namespace, object::name(&object), None);
                }
                if let Some(left) = self.store.get(kind, namespace, object::name(&object)) {
                    *remaining.entry(format!("{}.{}", kind.plural, kind.group)).or_insert(0) += 1;
                    for finalizer in object::items(&left, "/metadata/finalizers").iter().filter_map(Value::as_str) {
                        *finalizers.entry(finalizer.to_owned()).or_insert(0) += 1;
                    }
                }
            }
        }
        (remaining, finalizers)
    }

    fn write_conditions(&self, name: &str, remaining: &BTreeMap<String, usize>, finalizers: &BTreeMap<String, usize>) {
        let list = |counts: &BTreeMap<String, usize>, has: &str| {
            let parts: Vec<_> = counts.iter().map(|(what, count)| format!("{what} {has} {count} resource instances")).collect();
            parts.join(", ")
        };
        let remain = format!("Some resources are remaining: {}", list(remaining, "has"));
        let held = format!("Some content in the namespace has finalizers remaining: {}", list(finalizers, "in"));
        let rows = [
            ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            (
                "NamespaceDeletionContentFailure",
                "False",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            if remaining.is_empty() {
                ("NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed")
            } else {
                ("NamespaceContentRemaining", "True", "SomeResourcesRemain", remain.as_str())
            },
            if finalizers.is_empty() {
                ("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")
            } else {
                ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", held.as_str())
            },
        ];
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&NAMESPACES, "", name, Writer::status(MANAGER), |namespace| {
            let conditions: Vec<Value> = rows
                .iter()
                .map(|(kind, status, reason, message)| {
                    let since = object::condition(namespace, kind)
                        .filter(|present| object::text(present, "/status") == *status)
                        .map_or_else(|| now.clone(), |present| object::text(present, "/lastTransitionTime").to_owned());
                    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
                })
                .collect();
            object::put(namespace, &["status", "conditions"], json!(conditions));
        });
    }
}

impl Controller for NamespaceController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&NAMESPACES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        vec![(String::new(), object::name(&change.object).to_owned())]
    }

    fn reconcile(&mut self, (_, name): &Key) -> Option<Duration> {
        let namespace = self.store.get(&NAMESPACES, "", name)?;
        if !object::is_deleting(&namespace) {
            self.furnish(name);
            return None;
        }
        let (remaining, finalizers) = self.empty(name);
        if !remaining.is_empty() {
            self.write_conditions(name, &remaining, &finalizers);
            return Some(RETRY);
        }
        let _ = self.store.modify(&NAMESPACES, "", name, Writer::update(MANAGER), |namespace| {
            object::put(namespace, &["spec", "finalizers"], json!([]));
        });
        None
    }
}
