//! An `IPAddress` object for each cluster IP of a Service, as the API server's allocator keeps them
//! (`pkg/registry/core/service/ipallocator`).

use super::super::object;
use super::super::resources::{IP_ADDRESSES, ResourceType, SERVICES};
use super::super::store::{DeleteOptions, Operation, Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

const WRITER: Writer<'static> = Writer { manager: "kube-apiserver", operation: Operation::Update, subresource: None };

/// See the module.
pub struct IpAddresses {
    store: Store,
    /// The addresses of each Service, to be given back when it goes.
    held: HashMap<Key, Vec<String>>,
}

impl IpAddresses {
    /// A controller over a store.
    pub fn new(store: Store) -> Self {
        Self { store, held: HashMap::new() }
    }
}

fn addresses(service: &Value) -> Vec<String> {
    let listed = object::items(service, "/spec/clusterIPs").iter().filter_map(Value::as_str);
    listed.filter(|address| !matches!(*address, "" | "None")).map(str::to_owned).collect()
}

/// The name of an address's object: IPv4 as it is, IPv6 with dashes.
fn name_of(address: &str) -> String {
    address.replace(':', "-")
}

impl Controller for IpAddresses {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&SERVICES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        vec![(object::namespace(&change.object).to_owned(), object::name(&change.object).to_owned())]
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let wanted = self.store.get(&SERVICES, &key.0, &key.1).map(|service| addresses(&service)).unwrap_or_default();
        let before = self.held.remove(key).unwrap_or_default();
        for gone in before.iter().filter(|address| !wanted.contains(address)) {
            let _ = self.store.delete_with(&IP_ADDRESSES, "", &name_of(gone), &DeleteOptions::default());
        }
        for new in wanted.iter().filter(|address| !before.contains(address)) {
            let family = if new.contains(':') { "IPv6" } else { "IPv4" };
            let address = json!({
                "metadata": {"name": name_of(new), "labels": {
                    "ipaddress.kubernetes.io/ip-family": family, "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}},
                "spec": {"parentRef": {"group": "", "resource": "services", "namespace": key.0, "name": key.1}},
            });
            let _ = self.store.create(&IP_ADDRESSES, address, WRITER);
        }
        if !wanted.is_empty() {
            self.held.insert(key.clone(), wanted);
        }
        None
    }
}
