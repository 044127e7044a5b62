//! The garbage collector: what lost its last owner goes too (background cascade); the `foregroundDeletion` and `orphan`
//! finalizers are taken off when their work is done.
//!
//! Owners are compared by uid. An owner of a kind that is not kept here is taken as alive: never collect on a guess.

use super::super::object;
use super::super::resources::{
    CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, ENDPOINT_SLICES, JOBS, PODS, REPLICA_SETS, ResourceType, SERVICES, STATEFUL_SETS,
};
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Kinds that can be owned.
static DEPENDENTS: &[&ResourceType] = &[&REPLICA_SETS, &PODS, &ENDPOINT_SLICES];
/// Kinds that can own them.
static OWNERS: &[&ResourceType] =
    &[&DEPLOYMENTS, &REPLICA_SETS, &SERVICES, &STATEFUL_SETS, &DAEMON_SETS, &CRON_JOBS, &JOBS, &PODS];
const MANAGER: &str = "kube-controller-manager";

/// See the module. A key is `(uid of an owner, namespace)`.
pub struct GarbageCollector {
    store: Store,
}

impl GarbageCollector {
    /// A collector over a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    fn dependents(&self, owner: &str, namespace: &str) -> Vec<(&'static ResourceType, Arc<Value>)> {
        let mut found = Vec::new();
        for kind in DEPENDENTS.iter().copied() {
            let owned = |object: &Arc<Value>| {
                object::items(object, "/metadata/ownerReferences")
                    .iter()
                    .any(|reference| object::text(reference, "/uid") == owner)
            };
            found.extend(self.store.list(kind, Some(namespace)).into_iter().filter(owned).map(|object| (kind, object)));
        }
        found
    }

    fn owner(&self, uid: &str, namespace: &str) -> Option<(&'static ResourceType, Arc<Value>)> {
        OWNERS.iter().copied().find_map(|kind| {
            let mut listed = self.store.list(kind, Some(namespace)).into_iter();
            listed.find(|object| object::uid(object) == uid).map(|object| (kind, object))
        })
    }

    fn has_other_owner(&self, dependent: &Value, gone: &str) -> bool {
        let namespace = object::namespace(dependent);
        object::items(dependent, "/metadata/ownerReferences").iter().filter(|owner| object::text(owner, "/uid") != gone).any(
            |owner| {
                let kept = OWNERS.iter().copied().find(|kind| kind.kind == object::text(owner, "/kind"));
                kept.is_none_or(|kind| {
                    let present = self.store.get(kind, namespace, object::text(owner, "/name"));
                    present.is_some_and(|present| object::uid(&present) == object::text(owner, "/uid"))
                })
            },
        )
    }

    /// Foreground deletion waits for the dependents; orphaning cuts them loose.
    fn finalize(&self, kind: &'static ResourceType, owner: &Value) {
        let dependents = self.dependents(object::uid(owner), object::namespace(owner));
        if has_finalizer(owner, "orphan") {
            for (kind, dependent) in &dependents {
                self.disown(kind, dependent, object::uid(owner));
            }
            self.take_off(kind, owner, "orphan");
        }
        if has_finalizer(owner, "foregroundDeletion") {
            for (kind, dependent) in dependents.iter().filter(|(_, dependent)| !object::is_deleting(dependent)) {
                let _ = self.store.delete(kind, object::namespace(dependent), object::name(dependent), None);
            }
            if dependents.is_empty() {
                self.take_off(kind, owner, "foregroundDeletion");
            }
        }
    }

    fn disown(&self, kind: &'static ResourceType, dependent: &Value, owner: &str) {
        let _ = self.store.modify(
            kind,
            object::namespace(dependent),
            object::name(dependent),
            Writer::update(MANAGER),
            |dependent| {
                let mut references = object::items(dependent, "/metadata/ownerReferences").to_vec();
                references.retain(|reference| object::text(reference, "/uid") != owner);
                object::put(dependent, &["metadata", "ownerReferences"], json!(references));
            },
        );
    }

    fn take_off(&self, kind: &'static ResourceType, owner: &Value, finalizer: &str) {
        let _ = self.store.modify(kind, object::namespace(owner), object::name(owner), Writer::update(MANAGER), |owner| {
            let mut finalizers = object::items(owner, "/metadata/finalizers").to_vec();
            finalizers.retain(|present| present != finalizer);
            object::put(owner, &["metadata", "finalizers"], json!(finalizers));
        });
    }
}

impl Controller for GarbageCollector {
    fn watches(&self) -> Vec<&'static ResourceType> {
        OWNERS.to_vec()
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        let mut keys = Vec::new();
        if change.is_deleted() || object::is_deleting(&change.object) {
            keys.push((object::uid(&change.object).to_owned(), namespace.clone()));
        }
        // A dependent that is gone may be the last one a foreground deletion waits for; a new one may have come too late.
        if change.is_added() || change.is_deleted() {
            keys.extend(object::controller(&change.object).map(|owner| (object::text(owner, "/uid").to_owned(), namespace)));
        }
        keys
    }

    fn reconcile(&mut self, (uid, namespace): &Key) -> Option<Duration> {
        if let Some((kind, owner)) = self.owner(uid, namespace) {
            if object::is_deleting(&owner) {
                self.finalize(kind, &owner);
            }
            return None;
        }
        for (kind, dependent) in self.dependents(uid, namespace) {
            if self.has_other_owner(&dependent, uid) || !is_owner_of_kept_kind(&dependent, uid) {
                continue;
            }
            if !object::is_deleting(&dependent) {
                let _ = self.store.delete(kind, namespace, object::name(&dependent), None);
            }
        }
        None
    }
}

fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    object::items(object, "/metadata/finalizers").iter().any(|present| present == finalizer)
}

fn is_owner_of_kept_kind(dependent: &Value, uid: &str) -> bool {
    object::items(dependent, "/metadata/ownerReferences")
        .iter()
        .filter(|owner| object::text(owner, "/uid") == uid)
        .all(|owner| OWNERS.iter().any(|kind| kind.kind == object::text(owner, "/kind")))
}
