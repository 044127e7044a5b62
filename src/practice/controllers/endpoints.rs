//! The Endpoints controller: the older list of what stands behind a Service, which `kubectl get endpoints` still shows.
//!
//! It copies what the EndpointSlice says, so the two cannot differ. Source: `pkg/controller/endpoint` of Kubernetes.

use super::super::object;
use super::super::resources::{ENDPOINT_SLICES, ENDPOINTS, ResourceType, SERVICES};
use super::super::store::{DeleteOptions, Operation, Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::time::Duration;

const WRITER: Writer<'static> = Writer { manager: "kube-controller-manager", operation: Operation::Update, subresource: None };
const SERVICE_NAME: &str = "/metadata/labels/kubernetes.io~1service-name";
const MANAGED: &str = "/metadata/labels/endpoints.kubernetes.io~1managed-by";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

/// See the module.
pub struct EndpointsController {
    store: Store,
}

impl EndpointsController {
    /// A controller over a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Controller for EndpointsController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&SERVICES, &ENDPOINT_SLICES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let name = match change.resource.kind {
            "Service" => object::name(&change.object),
            _ => object::text(&change.object, SERVICE_NAME),
        };
        vec![(object::namespace(&change.object).to_owned(), name.to_owned())]
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let present = self.store.get(&ENDPOINTS, &key.0, &key.1);
        let Some(service) = self.store.get(&SERVICES, &key.0, &key.1) else {
            let managed = present.is_some_and(|present| !object::text(&present, MANAGED).is_empty());
            if managed {
                let _ = self.store.delete_with(&ENDPOINTS, &key.0, &key.1, &DeleteOptions::default());
            }
            return None;
        };
        if !object::at(&service, "/spec/selector").is_object() {
            return None;
        }
        let slices = self.store.list(&ENDPOINT_SLICES, Some(&key.0));
        let slice = slices.into_iter().find(|slice| object::text(slice, SERVICE_NAME) == key.1)?;
        let subsets = subsets(&slice);
        if let Some(present) = present {
            if object::items(&present, "/subsets") != subsets.as_slice() {
                let _ = self.store.modify(&ENDPOINTS, &key.0, &key.1, WRITER, |endpoints| {
                    object::put(endpoints, &["subsets"], json!(subsets));
                });
            }
            return None;
        }
        let mut labels = object::at(&service, "/metadata/labels").clone();
        object::put(&mut labels, &[MANAGED_BY], json!("endpoint-controller"));
        let mut endpoints = json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": key.1, "namespace": key.0, "labels": labels},
        });
        if !subsets.is_empty() {
            object::put(&mut endpoints, &["subsets"], json!(subsets));
        }
        let _ = self.store.create(&ENDPOINTS, endpoints, WRITER);
        None
    }
}

/// The addresses of a slice, those that are ready apart from those that are not; none when nobody is there.
fn subsets(slice: &Value) -> Vec<Value> {
    let (mut ready, mut waiting) = (Vec::new(), Vec::new());
    for endpoint in object::items(slice, "/endpoints") {
        let address = json!({
            "ip": object::text(endpoint, "/addresses/0"), "nodeName": object::at(endpoint, "/nodeName"),
            "targetRef": object::at(endpoint, "/targetRef"),
        });
        let condition = |name: &str| object::at(endpoint, name).as_bool().unwrap_or(false);
        if condition("/conditions/ready") {
            ready.push(address);
        } else if !condition("/conditions/terminating") {
            waiting.push(address);
        }
    }
    if ready.is_empty() && waiting.is_empty() {
        return Vec::new();
    }
    let mut subset = json!({});
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", waiting)] {
        if !addresses.is_empty() {
            object::put(&mut subset, &[field], json!(addresses));
        }
    }
    let ports: Vec<Value> = object::items(slice, "/ports").iter().map(without_empty_name).collect();
    object::put(&mut subset, &["ports"], json!(ports));
    vec![subset]
}

fn without_empty_name(port: &Value) -> Value {
    let fields = port.as_object().into_iter().flatten().filter(|(_, value)| **value != json!(""));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}
