//! Load: thousands of realistic pods that no kubelet model runs, put straight into the store as bytes.
//!
//! One pod of each deployment is made the ordinary way (defaults, managedFields and all) and printed; its siblings are that
//! text with their own names, uids, nodes and addresses.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::clock::timestamp;
use super::json::set;
use super::resources::{DEPLOYMENTS, NAMESPACES, NODES, PODS, REPLICA_SETS, ResourceType};
use super::store::{Store, Write, Writer};

mod stream;

pub use stream::stream;

/// Pods on one node, pods of one deployment, deployments of one namespace.
const PODS_PER_NODE: usize = 50;
const PODS_PER_DEPLOYMENT: usize = 20;
const DEPLOYMENTS_PER_NAMESPACE: usize = 25;

/// Puts `pods` running pods, with their nodes, namespaces, deployments and replicasets, into the store.
pub fn fill(store: &Store, pods: usize) -> anyhow::Result<()> {
    for index in 0..pods.div_ceil(PODS_PER_NODE) {
        insert(store, &NODES, node(store, index));
    }
    for index in 0..pods.div_ceil(PODS_PER_DEPLOYMENT * DEPLOYMENTS_PER_NAMESPACE) {
        let namespace = json!({"metadata": {"name": format!("load-{index:03}")}});
        store.create(&NAMESPACES, namespace, Writer::update("practice-load"))?;
    }
    for index in 0..pods.div_ceil(PODS_PER_DEPLOYMENT) {
        let first = index * PODS_PER_DEPLOYMENT;
        deployment(store, index, first..pods.min(first + PODS_PER_DEPLOYMENT))?;
    }
    Ok(())
}

/// Inserts a finished object as inert bytes, with its version in it.
fn insert(store: &Store, resource: &'static ResourceType, mut object: Value) {
    let key =
        (super::json::text(&object, "metadata.namespace").to_owned(), super::json::text(&object, "metadata.name").to_owned());
    store.insert_inert(resource, key, |version| {
        set(&mut object, "metadata.resourceVersion", version.to_string());
        object.to_string()
    });
}

fn node(store: &Store, index: usize) -> Value {
    let now = timestamp(store.clock().now());
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now,
            "lastTransitionTime": now})
    };
    let name = format!("load-node-{index:04}");
    let resources = json!({"cpu": "16", "memory": "65536000Ki", "pods": "110", "ephemeral-storage": "103079844Ki"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "uid": uid(index, 1), "creationTimestamp": now,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}},
        "spec": {"podCIDR": format!("10.{}.{}.0/24", 128 + index / 256, index % 256)},
        "status": {"capacity": resources, "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": format!("10.1.{}.{}", index / 250, index % 250 + 1)},
                {"type": "Hostname", "address": name}],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")],
            "nodeInfo": {"kubeletVersion": "v1.36.2", "osImage": "Debian GNU/Linux 13 (trixie)", "kernelVersion": "6.12.0",
                "containerRuntimeVersion": "containerd://2.1.4", "architecture": "amd64", "operatingSystem": "linux"}}
    })
}

fn uid(index: usize, kind: usize) -> String {
    format!("{index:08x}-10ad-4{kind:03x}-8000-{:012x}", index * 7919 + kind)
}

/// One deployment, its replicaset and its pods.
fn deployment(store: &Store, index: usize, pods: std::ops::Range<usize>) -> anyhow::Result<()> {
    let namespace = format!("load-{:03}", index / DEPLOYMENTS_PER_NAMESPACE);
    let name = format!("service-{index:05}");
    let hash = format!("{:010x}", (index as u64 + 1).wrapping_mul(0x9E37_79B9) & 0xff_ffff_ffff);
    let count = pods.len();
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": pod_spec(&name)});
    let counts = json!({"replicas": count, "readyReplicas": count, "availableReplicas": count, "updatedReplicas": count,
        "observedGeneration": 1});
    let owner = |kind: &str, name: &str, uid: String| {
        json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true,
            "blockOwnerDeletion": true}])
    };
    let mut object = draft(
        store,
        &DEPLOYMENTS,
        &json!({"metadata": {"name": name, "namespace": namespace,
            "annotations": {"deployment.kubernetes.io/revision": "1"}, "labels": {"app": name}},
        "spec": {"replicas": count, "selector": {"matchLabels": {"app": name}}, "template": template}}),
    )?;
    set(&mut object, "metadata.uid", uid(index, 2));
    set(&mut object, "status", counts.clone());
    insert(store, &DEPLOYMENTS, object);
    let set_name = format!("{name}-{hash}");
    let labels = json!({"app": name, "pod-template-hash": hash});
    let mut object = draft(
        store,
        &REPLICA_SETS,
        &json!({"metadata": {"name": set_name, "namespace": namespace,
            "annotations": {"deployment.kubernetes.io/revision": "1"}, "labels": labels,
            "ownerReferences": owner("Deployment", &name, uid(index, 2))},
        "spec": {"replicas": count, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(&name)}}}),
    )?;
    set(&mut object, "metadata.uid", uid(index, 3));
    set(&mut object, "status", counts);
    insert(store, &REPLICA_SETS, object);
    let model = draft(
        store,
        &PODS,
        &json!({"metadata": {"name": "@NAME@", "generateName": format!("{set_name}-"),
            "namespace": namespace, "labels": labels, "ownerReferences": owner("ReplicaSet", &set_name, uid(index, 3))},
        "spec": pod_spec(&name)}),
    )?;
    let text = running(model, store.clock().now()).to_string();
    let text = with_own_tokens(&text);
    for pod in pods {
        insert_pod(store, &namespace, &set_name, pod, &text);
    }
    Ok(())
}

/// The object the server would make of a request, without storing it.
fn draft(store: &Store, resource: &'static ResourceType, object: &Value) -> anyhow::Result<Value> {
    let made = store.create_with(resource, object.clone(), Writer::update("kube-controller-manager"), Write::DryRun)?;
    Ok((*made).clone())
}

fn insert_pod(store: &Store, namespace: &str, set_name: &str, index: usize, text: &str) {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let letter = |place: usize| {
        let digit = index / ALPHABET.len().pow(place as u32) % ALPHABET.len();
        ALPHABET.get(digit).map_or('x', |byte| char::from(*byte))
    };
    let name: String = format!("{set_name}-{}", (0..5).map(letter).collect::<String>());
    let address = format!("10.{}.{}.{}", 128 + index / 62_500, index / 250 % 250, index % 250 + 2);
    let node = format!("load-node-{:04}", index / PODS_PER_NODE);
    let uid = uid(index, 4);
    store.insert_inert(&PODS, (namespace.to_owned(), name.clone()), |version| {
        text.replace("@NAME@", &name)
            .replace("@UID@", &uid)
            .replace("@NODE@", &node)
            .replace("@IP@", &address)
            .replace("@VERSION@", &version.to_string())
            .replace("@TOKN@", uid.get(3..8).unwrap_or("00000"))
    });
}

/// Each pod has an access token volume with a random name: replicas differ by that.
fn with_own_tokens(text: &str) -> String {
    const NAME: &str = "kube-api-access-";
    let mut parts = text.split(NAME);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(NAME);
        out.push_str("@TOKN@");
        out.push_str(part.get(5..).unwrap_or_default());
    }
    out
}

/// What the pods of the load use: steady, and never near their limits.
pub fn usage(store: &Store, namespace: Option<&str>, now: DateTime<Utc>) -> Vec<Value> {
    let (pods, _) = store.list_stored(&PODS, namespace);
    let at = timestamp(now);
    let load = pods.iter().filter(|pod| pod.is_load()).enumerate();
    load.map(|(index, pod)| {
        let (cpu, memory) = (3_000_000 + (index * 7_919 + now.timestamp() as usize) % 20_000_000, 40_960 + index * 31 % 40_960);
        json!({"metadata": {"name": pod.key.1, "namespace": pod.key.0, "creationTimestamp": at}, "timestamp": at,
            "window": "15.02s",
            "containers": [{"name": "app", "usage": {"cpu": format!("{cpu}n"), "memory": format!("{memory}Ki")}}]})
    })
    .collect()
}

fn pod_spec(name: &str) -> Value {
    let env: Vec<Value> =
        (0..12).map(|index| json!({"name": format!("SETTING_{index:02}"), "value": format!("value-{index}")})).collect();
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": 8000}, "periodSeconds": 10});
    json!({"containers": [{
        "name": "app", "image": format!("registry.local/{name}:v1"), "env": env,
        "ports": [{"containerPort": 8000, "name": "http"}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "livenessProbe": probe("/health"), "readinessProbe": probe("/ready"),
    }]})
}

/// The model pod as its kubelet would report it running.
fn running(mut pod: Value, time: DateTime<Utc>) -> Value {
    let now = timestamp(time);
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": now, "observedGeneration": 1});
    let kinds = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let image = super::json::items(&pod, "spec.containers").first().map(|app| super::json::text(app, "image").to_owned());
    let conditions: Vec<Value> = kinds.iter().map(|kind| condition(kind)).collect();
    let container = json!({"name": "app", "image": image, "imageID": format!("{}@sha256:{:064x}", image.clone().unwrap_or_default(), 7),
        "containerID": format!("containerd://{:064x}", 11), "ready": true, "started": true, "restartCount": 0, "lastState": {},
        "state": {"running": {"startedAt": now}}});
    set(&mut pod, "metadata.uid", "@UID@");
    set(&mut pod, "metadata.resourceVersion", "@VERSION@");
    set(&mut pod, "spec.nodeName", "@NODE@");
    set(
        &mut pod,
        "status",
        json!({"phase": "Running", "qosClass": "Burstable", "hostIP": "10.1.0.1", "podIP": "@IP@",
        "podIPs": [{"ip": "@IP@"}], "startTime": now, "observedGeneration": 1, "conditions": conditions,
        "containerStatuses": [container]}),
    );
    let reported = pod.clone();
    if let Some(before) = pod.as_object_mut() {
        before.remove("status");
    }
    let mut reported = reported;
    super::managed::record_update(Some(&pod), &mut reported, &Writer::status("kubelet"), time);
    reported
}
