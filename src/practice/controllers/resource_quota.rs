//! The resource quota controller: keeps `status` of quotas in line with what is there (admission counts for itself).

use super::super::admission::quota;
use super::super::object;
use super::super::resources::{
    CONFIG_MAPS, DEPLOYMENTS, JOBS, PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, ResourceType, SECRETS, SERVICES,
};
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use serde_json::json;
use std::time::Duration;

/// See the module.
pub struct ResourceQuotaController {
    store: Store,
}

impl ResourceQuotaController {
    /// A controller over a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Controller for ResourceQuotaController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&RESOURCE_QUOTAS, &PODS, &PERSISTENT_VOLUME_CLAIMS, &SERVICES, &CONFIG_MAPS, &SECRETS, &DEPLOYMENTS, &JOBS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        if change.resource == &RESOURCE_QUOTAS {
            return vec![(namespace, object::name(&change.object).to_owned())];
        }
        // Only what comes, goes or ends changes a count.
        let ended = change
            .previous
            .as_ref()
            .is_some_and(|before| object::is_finished_pod(before) != object::is_finished_pod(&change.object));
        if !(change.is_added() || change.is_deleted() || ended) {
            return Vec::new();
        }
        let quotas = self.store.list(&RESOURCE_QUOTAS, Some(&namespace));
        quotas.iter().map(|quota| (namespace.clone(), object::name(quota).to_owned())).collect()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let quota = self.store.get(&RESOURCE_QUOTAS, &key.0, &key.1)?;
        let status =
            json!({"hard": object::at(&quota, "/spec/hard"), "used": quota::rendered(&quota::used(&self.store, &quota))});
        let writer = Writer::status("kube-controller-manager");
        let _ = self.store.modify(&RESOURCE_QUOTAS, &key.0, &key.1, writer, |quota| object::put(quota, &["status"], status));
        None
    }
}
