//! The EndpointSlice controller: which pods stand behind a Service, and whether they are ready.

use super::super::clock::Clock;
use super::super::object;
use super::super::resources::{ENDPOINT_SLICES, PODS, ResourceType, SERVICES};
use super::super::store::{Operation, Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const WRITER: Writer<'static> = Writer { manager: "kube-controller-manager", operation: Operation::Update, subresource: None };
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// See the module.
pub struct EndpointSliceController {
    store: Store,
    clock: Clock,
}

impl EndpointSliceController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    fn slice_of(&self, service: &Value) -> Option<Arc<Value>> {
        let mine = |slice: &Arc<Value>| object::controller_uid(slice) == object::uid(service);
        self.store.list(&ENDPOINT_SLICES, Some(object::namespace(service))).into_iter().find(mine)
    }

    fn endpoints(&self, service: &Value) -> (Vec<Value>, Vec<Value>) {
        let selector = json!({"matchLabels": object::at(service, "/spec/selector")});
        let behind = |pod: &Arc<Value>| {
            object::selects(&selector, object::at(pod, "/metadata/labels"))
                && !object::text(pod, "/status/podIP").is_empty()
                && !object::is_finished_pod(pod)
        };
        let mut pods: Vec<_> = self.store.list(&PODS, Some(object::namespace(service))).into_iter().filter(behind).collect();
        pods.sort_by(|left, right| object::name(left).cmp(object::name(right)));
        let ports = object::items(service, "/spec/ports").iter().filter_map(|port| slice_port(port, &pods)).collect();
        (pods.iter().map(|pod| endpoint(pod)).collect(), ports)
    }

    fn create(&self, service: &Value, endpoints: &[Value], ports: &[Value]) {
        let mut labels = object::at(service, "/metadata/labels").clone();
        object::put(&mut labels, &["endpointslice.kubernetes.io/managed-by"], json!("endpointslice-controller.k8s.io"));
        object::put(&mut labels, &[SERVICE_NAME], json!(object::name(service)));
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "generateName": format!("{}-", object::name(service)), "namespace": object::namespace(service), "labels": labels,
                "annotations": {TRIGGER: object::stamp(self.clock.now())},
                "ownerReferences": [object::owner_reference(service, "v1", "Service")],
            },
            "endpoints": endpoints, "ports": ports,
        });
        let _ = self.store.create(&ENDPOINT_SLICES, slice, WRITER);
    }
}

impl Controller for EndpointSliceController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&SERVICES, &PODS, &ENDPOINT_SLICES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object);
        let named = |name: &str| vec![(namespace.to_owned(), name.to_owned())];
        match change.resource.kind {
            "Service" => named(object::name(&change.object)),
            "EndpointSlice" if change.is_deleted() => {
                object::controller(&change.object).map(|owner| named(object::text(owner, "/name"))).unwrap_or_default()
            }
            "Pod" => {
                let labels = object::at(&change.object, "/metadata/labels");
                let before = change.previous.as_ref().map_or(labels, |previous| object::at(previous, "/metadata/labels"));
                let selects = |service: &Arc<Value>| {
                    let selector = json!({"matchLabels": object::at(service, "/spec/selector")});
                    object::at(service, "/spec/selector").is_object()
                        && (object::selects(&selector, labels) || object::selects(&selector, before))
                };
                let services = self.store.list(&SERVICES, Some(namespace)).into_iter().filter(selects);
                services.map(|service| (namespace.to_owned(), object::name(&service).to_owned())).collect()
            }
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let service = self.store.get(&SERVICES, &key.0, &key.1)?;
        if !object::at(&service, "/spec/selector").is_object() || object::is_deleting(&service) {
            return None;
        }
        let (endpoints, ports) = self.endpoints(&service);
        let Some(slice) = self.slice_of(&service) else {
            self.create(&service, &endpoints, &ports);
            return None;
        };
        if object::items(&slice, "/endpoints") != endpoints.as_slice() || object::items(&slice, "/ports") != ports.as_slice() {
            let now = self.clock.now();
            let _ = self.store.modify(&ENDPOINT_SLICES, object::namespace(&slice), object::name(&slice), WRITER, |slice| {
                object::put(slice, &["endpoints"], json!(endpoints));
                object::put(slice, &["ports"], json!(ports));
                object::put(slice, &["metadata", "annotations", TRIGGER], json!(object::stamp(now)));
            });
        }
        None
    }
}

fn endpoint(pod: &Value) -> Value {
    let serving = object::condition_is_true(pod, "Ready");
    let terminating = object::is_deleting(pod);
    json!({
        "addresses": [object::text(pod, "/status/podIP")],
        "conditions": {"ready": serving && !terminating, "serving": serving, "terminating": terminating},
        "nodeName": object::text(pod, "/spec/nodeName"),
        "targetRef": {"kind": "Pod", "name": object::name(pod), "namespace": object::namespace(pod), "uid": object::uid(pod)},
    })
}

/// A service port as a slice lists it: the container's port, a named one looked up in the pods.
fn slice_port(port: &Value, pods: &[Arc<Value>]) -> Option<Value> {
    let number = target_port(port, pods.first().map(|pod| &**pod))?;
    let protocol = match object::text(port, "/protocol") {
        "" => "TCP",
        protocol => protocol,
    };
    Some(json!({"name": object::text(port, "/name"), "port": number, "protocol": protocol}))
}

/// The number a service port leads to in a pod.
pub fn target_port(port: &Value, pod: Option<&Value>) -> Option<i64> {
    match object::at(port, "/targetPort") {
        Value::Number(number) => number.as_i64(),
        Value::String(name) => object::containers(pod?, "containers")
            .iter()
            .flat_map(|container| object::items(container, "/ports"))
            .find(|port| object::text(port, "/name") == name)
            .and_then(|port| object::int(port, "/containerPort")),
        _ => object::int(port, "/port"),
    }
}
