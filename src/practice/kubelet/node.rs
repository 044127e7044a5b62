//! Nodes reporting in: leases every ten seconds' worth, status every few minutes, and the ones that fell silent.

use super::super::clock::Clock;
use super::super::controllers::node_lifecycle::LEASE_NAMESPACE;
use super::super::controllers::{Change, Controller, Key};
use super::super::object;
use super::super::resources::{LEASES, NODES, ResourceType};
use super::super::store::{Store, Writer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A kubelet renews its lease this often (the real one every 10 s; 20 s keeps within the grace period at half the writes).
const RENEW: Duration = Duration::from_secs(20);
/// And writes its status this often when nothing changes.
const REPORT_SECONDS: i64 = 300;

/// The nodes that have stopped reporting. Clones share the set.
#[derive(Clone, Default)]
pub struct DeadNodes(Arc<Mutex<BTreeSet<String>>>);

impl DeadNodes {
    /// Whether a node is silent.
    pub fn contains(&self, node: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(node)
    }

    /// Silences a node.
    pub fn kill(&self, node: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node.to_owned());
    }

    /// Brings a node back.
    pub fn revive(&self, node: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}

/// The reporting of all nodes.
pub struct NodeReports {
    store: Store,
    clock: Clock,
    dead: DeadNodes,
}

impl NodeReports {
    /// Reports for the nodes of a store.
    pub fn new(store: Store, dead: DeadNodes) -> Self {
        let clock = store.clock().clone();
        Self { store, clock, dead }
    }

    fn renew_lease(&self, name: &str) {
        let now = object::micro_stamp(self.clock.now());
        if self.store.get(&LEASES, LEASE_NAMESPACE, name).is_none() {
            let lease = json!({"metadata": {"name": name, "namespace": LEASE_NAMESPACE},
                "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now}});
            let _ = self.store.create(&LEASES, lease, Writer::update("kubelet"));
            return;
        }
        let _ = self.store.modify(&LEASES, LEASE_NAMESPACE, name, Writer::update("kubelet"), |lease| {
            object::put(lease, &["spec", "renewTime"], json!(now));
        });
    }

    fn report(&self, node: &Value) {
        let now = self.clock.now();
        let beat = object::condition(node, "Ready").and_then(|ready| object::time(ready, "/lastHeartbeatTime"));
        let unknown = object::condition(node, "Ready").is_some_and(|ready| object::text(ready, "/status") == "Unknown");
        if !unknown && beat.is_some_and(|beat| (now - beat).num_seconds() < REPORT_SECONDS) {
            return;
        }
        let _ = self.store.modify(&NODES, "", object::name(node), Writer::status("kubelet"), |node| {
            let conditions = node.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
            for condition in conditions.into_iter().flatten() {
                let kind = object::text(condition, "/type").to_owned();
                let Some((_, status, reason, message)) = HEALTHY.iter().find(|row| row.0 == kind) else { continue };
                if object::text(condition, "/status") == "True" && kind != "Ready" {
                    continue; // `pressure` says when it is over.
                }
                if object::text(condition, "/status") != *status {
                    object::put(condition, &["lastTransitionTime"], json!(object::stamp(now)));
                }
                object::put(condition, &["status"], json!(status));
                object::put(condition, &["reason"], json!(reason));
                object::put(condition, &["message"], json!(message));
                object::put(condition, &["lastHeartbeatTime"], json!(object::stamp(now)));
            }
        });
    }
}

/// The conditions of a healthy node: type, status, reason, message.
pub const HEALTHY: [(&str, &str, &str, &str); 4] = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
];

impl Controller for NodeReports {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&NODES]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        if change.is_added() { vec![(String::new(), object::name(&change.object).to_owned())] } else { Vec::new() }
    }

    fn reconcile(&mut self, (_, name): &Key) -> Option<Duration> {
        let node = self.store.get(&NODES, "", name)?;
        if !self.dead.contains(name) {
            self.renew_lease(name);
            self.report(&node);
        }
        Some(RENEW)
    }
}
