//! Eviction: pods that use more local storage than they may, and pods that go because their node runs short.
//!
//! Sources: `pkg/kubelet/eviction` (thresholds `memory.available<100Mi`, `nodefs.available<10%`; a condition stays for five
//! minutes after the pressure). Victims are ranked by how much they use beyond their request.

use super::super::object;
use super::super::quantity;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{NODES, PODS};
use super::super::store::{Store, Writer};
use super::container::Measured;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

const MEBIBYTE: f64 = 1_048_576.0;
/// What a node needs besides its pods, as the metrics count it.
const OVERHEAD: f64 = 420.0 * MEBIBYTE;
/// `memory.available<100Mi`.
const MEMORY_THRESHOLD: f64 = 100.0 * MEBIBYTE;
/// How long a condition stays after the pressure is over.
const TRANSITION_SECONDS: i64 = 300;

/// What a pod uses, by container.
pub struct Use {
    /// The pod's namespace and name.
    pub key: (String, String),
    /// Its node.
    pub node: String,
    /// Container, what it uses.
    pub containers: Vec<(String, Measured)>,
}

/// Why a pod must go.
pub struct Eviction {
    /// Namespace and name.
    pub key: (String, String),
    /// The message of its status.
    pub message: String,
}

/// Looks at all nodes: writes their conditions, answers which pods must go now (one a node at most, as the kubelet does).
pub fn round(store: &Store, recorder: &Recorder, uses: &[Use], now: DateTime<Utc>) -> Vec<Eviction> {
    let mut evictions: Vec<Eviction> = uses.iter().filter_map(|used| over_limit(store, used)).collect();
    for node in store.list(&NODES, None) {
        let here: Vec<&Use> = uses.iter().filter(|used| used.node == object::name(&node)).collect();
        let used = |pick: fn(&Measured) -> f64| here.iter().flat_map(|used| &used.containers).map(|(_, m)| pick(m)).sum::<f64>();
        let room = |what: &str| quantity::parse(object::at(&node, "/status/capacity").get(what).unwrap_or(&Value::Null));
        let memory = Shortage {
            resource: "memory",
            condition: "MemoryPressure",
            threshold: MEMORY_THRESHOLD,
            available: room("memory") - OVERHEAD - used(|m| m.memory),
        };
        let disk = Shortage {
            resource: "ephemeral-storage",
            condition: "DiskPressure",
            threshold: room("ephemeral-storage") / 10.0,
            available: room("ephemeral-storage") * 0.7 - used(|m| m.disk),
        };
        for shortage in [memory, disk] {
            let short = shortage.available < shortage.threshold;
            write_condition(store, recorder, &node, &shortage, short, now);
            if short {
                evictions.extend(shortage.victim(store, &here));
            }
        }
    }
    evictions
}

struct Shortage {
    resource: &'static str,
    condition: &'static str,
    threshold: f64,
    available: f64,
}

impl Shortage {
    fn used(&self, measured: &Measured) -> f64 {
        if self.resource == "memory" { measured.memory } else { measured.disk }
    }

    /// The pod that uses most beyond its request.
    fn victim(&self, store: &Store, here: &[&Use]) -> Option<Eviction> {
        let beyond = |used: &Use| {
            let pod = store.get(&PODS, &used.key.0, &used.key.1)?;
            let requested = |name: &str| {
                let container =
                    object::containers(&pod, "containers").iter().find(|container| object::text(container, "/name") == name);
                container.map_or(0.0, |c| quantity::parse(object::at(c, &format!("/resources/requests/{}", self.resource))))
            };
            let over: Vec<(String, f64, f64)> = used
                .containers
                .iter()
                .map(|(name, measured)| (name.clone(), self.used(measured), requested(name)))
                .filter(|(_, used, requested)| used > requested)
                .collect();
            let total = over.iter().map(|(_, used, requested)| used - requested).sum::<f64>();
            Some((total, over))
        };
        let (used, (_, over)) =
            here.iter().filter_map(|used| Some((used, beyond(used)?))).max_by(|left, right| left.1.0.total_cmp(&right.1.0))?;
        let mut message = format!(
            "The node was low on resource: {}. Threshold quantity: {}, available: {}. ",
            self.resource,
            kibibytes(self.threshold),
            kibibytes(self.available.max(0.0))
        );
        for (container, used, requested) in over {
            let requested = if requested > 0.0 { quantity::bytes(requested) } else { "0".to_owned() };
            message.push_str(&format!(
                "Container {container} was using {}, request is {requested}, has larger consumption of {}. ",
                kibibytes(used),
                self.resource
            ));
        }
        Some(Eviction { key: used.key.clone(), message })
    }
}

fn kibibytes(bytes: f64) -> String {
    format!("{}Ki", (bytes / 1024.0) as u64)
}

/// A pod beyond its own storage limits, whatever the node has.
fn over_limit(store: &Store, used: &Use) -> Option<Eviction> {
    let pod = store.get(&PODS, &used.key.0, &used.key.1)?;
    for (name, measured) in &used.containers {
        let container =
            object::containers(&pod, "containers").iter().find(|container| object::text(container, "/name") == name)?;
        let limit = object::at(container, "/resources/limits/ephemeral-storage");
        if !limit.is_null() && measured.disk > quantity::parse(limit) {
            let limit = limit.as_str().unwrap_or_default();
            let message = format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". ");
            return Some(Eviction { key: used.key.clone(), message });
        }
        for volume in object::items(&pod, "/spec/volumes") {
            let limit = object::at(volume, "/emptyDir/sizeLimit");
            if !limit.is_null() && measured.disk > quantity::parse(limit) {
                let message = format!(
                    "Usage of EmptyDir volume {:?} exceeds the limit {:?}. ",
                    object::text(volume, "/name"),
                    limit.as_str().unwrap_or_default()
                );
                return Some(Eviction { key: used.key.clone(), message });
            }
        }
    }
    None
}

fn write_condition(store: &Store, recorder: &Recorder, node: &Value, shortage: &Shortage, short: bool, now: DateTime<Utc>) {
    let present = object::condition(node, shortage.condition);
    let is_true = present.is_some_and(|condition| object::text(condition, "/status") == "True");
    let since = present.and_then(|condition| object::time(condition, "/lastHeartbeatTime"));
    let lingers = is_true && since.is_some_and(|since| (now - since).num_seconds() < TRANSITION_SECONDS);
    if is_true == short && !short || (is_true && !short && lingers) {
        return;
    }
    let (status, reason, message, event) = match (shortage.resource, short) {
        ("memory", true) => {
            ("True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available", "NodeHasInsufficientMemory")
        }
        ("memory", false) => {
            ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", "NodeHasSufficientMemory")
        }
        (_, true) => ("True", "KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"),
        (_, false) => ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"),
    };
    let name = object::name(node);
    let stamp = object::stamp(now);
    let _ = store.modify(&NODES, "", name, Writer::status("kubelet"), |node| {
        let conditions = node.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
        for condition in conditions.into_iter().flatten().filter(|c| object::text(c, "/type") == shortage.condition) {
            if object::text(condition, "/status") != status {
                object::put(condition, &["lastTransitionTime"], json!(stamp));
            }
            for (field, value) in [("status", status), ("reason", reason), ("message", message), ("lastHeartbeatTime", &stamp)] {
                object::put(condition, &[field], json!(value));
            }
        }
    });
    if is_true != short {
        let source = Source { component: "kubelet", host: name };
        recorder.record(source, node, Said::normal(event, &format!("Node {name} status is now: {event}")));
        if short {
            let said = format!("Attempting to reclaim {}", shortage.resource);
            recorder.record(source, node, Said::warning("EvictionThresholdMet", &said));
        }
    }
}
