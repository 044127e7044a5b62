//! What every cluster has: nodes, the four namespaces, the `kubernetes` Service with its addresses.

use super::super::controllers::node_lifecycle::LEASE_NAMESPACE;
use super::super::kubelet::node::HEALTHY;
use super::super::object;
use super::super::resources::{ENDPOINT_SLICES, ENDPOINTS, LEASES, NAMESPACES, NODES, SERVICE_CIDRS, SERVICES};
use super::super::store::{Store, Writer};
use super::Scenario;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The address of the API server, outside the nodes.
const SERVER: &str = "192.0.2.10";
/// How old the cluster is, in days.
const AGE_DAYS: i64 = 41;

/// Lays the base down, unless the store already has nodes.
pub fn lay(store: &Store, scenario: Option<&Scenario>) {
    if !store.list(&NODES, None).is_empty() {
        return;
    }
    let now = store.clock().now();
    let past = store.dated(now - chrono::Duration::days(AGE_DAYS));
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        let _ = past.create(&NAMESPACES, json!({"metadata": {"name": name}}), Writer::update("kube-apiserver"));
    }
    let service = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "type": "ClusterIP",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]},
    });
    let _ = past.create(&SERVICES, service, Writer::update("kube-apiserver"));
    own_addresses(&past);
    let quiet = Scenario::find("quiet").ok();
    let nodes = scenario.or(quiet.as_ref()).map(Scenario::nodes).unwrap_or_default();
    for (index, spec) in nodes.iter().enumerate() {
        let node = node(spec, index, past.clock().now(), now);
        let status = object::at(&node, "/status").clone();
        let name = object::name(&node).to_owned();
        let _ = past.create(&NODES, node, Writer::update("kubelet"));
        let lease = json!({"metadata": {"name": name, "namespace": LEASE_NAMESPACE},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": object::micro_stamp(now)}});
        let _ = past.create(&LEASES, lease, Writer::update("kubelet"));
        let recent = store.dated(now - chrono::Duration::seconds(70));
        let _ = recent.modify(&NODES, "", &name, Writer::status("kubelet"), |node| object::put(node, &["status"], status));
    }
}

/// Where the server itself is reached, which it writes down itself, and the range of cluster IPs.
fn own_addresses(past: &Store) {
    let writer = || Writer::update("kube-apiserver");
    let slice = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4", "endpoints": [{"addresses": [SERVER], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    });
    let _ = past.create(&ENDPOINT_SLICES, slice, writer());
    let endpoints = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": SERVER}], "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}]}],
    });
    let _ = past.create(&ENDPOINTS, endpoints, writer());
    let range = json!({"metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
        "spec": {"cidrs": ["10.96.0.0/16"]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": object::stamp(past.clock().now())}]}});
    let _ = past.create(&SERVICE_CIDRS, range, writer());
}

fn node(spec: &Value, index: usize, born: DateTime<Utc>, now: DateTime<Utc>) -> Value {
    let name = object::text(spec, "/name");
    let machine = format!("{:032x}", index + 1);
    let mut labels = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "topology.kubernetes.io/zone": object::text(spec, "/zone"),
    });
    for (key, value) in object::fields(spec, "/labels") {
        object::put(&mut labels, &[key], value.clone());
    }
    let beat = object::stamp(now - chrono::Duration::seconds(70));
    let conditions: Vec<Value> = HEALTHY
        .iter()
        .map(|(kind, status, reason, message)| {
            json!({"type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": beat, "lastTransitionTime": object::stamp(born)})
        })
        .collect();
    let (cpu, memory) = (object::at(spec, "/cpu"), object::at(spec, "/memory"));
    let room = |memory: &Value| json!({"cpu": cpu, "memory": memory, "ephemeral-storage": "101430960Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0", "pods": "110"});
    let cidr = object::text(spec, "/podCIDR");
    json!({
        "metadata": {"name": name, "labels": labels, "annotations": {
            "node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr], "taints": object::at(spec, "/taints")},
        "status": {
            "addresses": [{"type": "InternalIP", "address": object::text(spec, "/address")}, {"type": "Hostname", "address": name}],
            "capacity": room(memory), "allocatable": room(memory), "conditions": conditions,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": [{"names": ["docker.io/library/busybox:1.36"], "sizeBytes": 2_407_080}],
            "nodeInfo": {
                "architecture": "amd64", "bootID": "00000000-0000-4000-8000-000000000001", "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.12.48", "kubeProxyVersion": "", "kubeletVersion": "v1.36.2", "machineID": machine,
                "operatingSystem": "linux", "osImage": "Debian GNU/Linux 12 (bookworm)", "systemUUID": machine,
            },
        },
    })
}
