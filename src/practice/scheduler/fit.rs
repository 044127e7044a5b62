//! Whether a pod fits a node, and the sentence when it fits none.

use super::super::object;
use super::super::quantity;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What pods on a node have asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests {
    cpu: f64,
    memory: f64,
    pods: f64,
}

impl Requests {
    /// Counts one more pod.
    pub fn add(&mut self, pod: &Value) {
        let wanted = Self::of(pod);
        self.cpu += wanted.cpu;
        self.memory += wanted.memory;
        self.pods += 1.0;
    }

    /// The sum over containers, or the largest init container if that is more.
    fn of(pod: &Value) -> Self {
        let request = |container: &Value, what: &str| {
            quantity::parse(object::at(container, "/resources/requests").get(what).unwrap_or(&Value::Null))
        };
        let sum =
            |what: &str| object::containers(pod, "containers").iter().map(|container| request(container, what)).sum::<f64>();
        let init = |what: &str| {
            object::containers(pod, "initContainers").iter().map(|container| request(container, what)).fold(0.0, f64::max)
        };
        Self { cpu: sum("cpu").max(init("cpu")), memory: sum("memory").max(init("memory")), pods: 1.0 }
    }
}

/// A resource a node has too little of for a pod: cores in thousandths, memory in bytes, as the kubelet counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// `cpu`, `memory` or `pods`.
    pub resource: &'static str,
    /// What the pod asks for.
    pub requested: i64,
    /// What others have asked for.
    pub used: i64,
    /// What the node can give.
    pub capacity: i64,
}

/// The first resource of which a node has too little left.
pub fn lack(pod: &Value, node: &Value, taken: Requests) -> Option<Lack> {
    let wanted = Requests::of(pod);
    let room = |what: &str| quantity::parse(object::at(node, "/status/allocatable").get(what).unwrap_or(&Value::Null));
    let rows =
        [("pods", 1.0, taken.pods, 1.0), ("cpu", wanted.cpu, taken.cpu, 1000.0), ("memory", wanted.memory, taken.memory, 1.0)];
    rows.into_iter().filter(|(_, wanted, ..)| *wanted > 0.0).find_map(|(resource, wanted, used, unit)| {
        let count = |amount: f64| (amount * unit).round() as i64;
        let (requested, used, capacity) = (count(wanted), count(used), count(room(resource)));
        (requested > capacity - used).then_some(Lack { resource, requested, used, capacity })
    })
}

/// What the pods of each node have asked for.
pub fn usage(placed: &[Arc<Value>]) -> BTreeMap<String, Requests> {
    let mut used: BTreeMap<String, Requests> = BTreeMap::new();
    for pod in placed {
        used.entry(object::text(pod, "/spec/nodeName").to_owned()).or_default().add(pod);
    }
    used
}

/// Why a node does not do, and whether evicting someone could change that.
pub struct Obstacle {
    /// In the scheduler's words.
    pub reason: String,
    /// Whether evicting a pod could change it.
    pub preemptible: bool,
}

/// The best node's name, or the scheduler's sentence. `others` finds what else a node lacks.
pub fn choose(
    pod: &Value,
    nodes: &[Arc<Value>],
    used: &BTreeMap<String, Requests>,
    others: &dyn Fn(&Value) -> Vec<Obstacle>,
) -> Result<String, String> {
    if nodes.is_empty() {
        return Err("no nodes available to schedule pods".to_owned());
    }
    let mut best: Option<(i64, &str)> = None;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut helpless = 0;
    for node in nodes {
        let taken = used.get(object::name(node)).copied().unwrap_or_default();
        let mut obstacles = obstacles(pod, node, taken);
        if obstacles.iter().all(|obstacle| obstacle.preemptible) {
            obstacles.extend(others(node));
        }
        if obstacles.is_empty() {
            let score = score(pod, node, taken);
            if best.is_none_or(|(top, _)| score > top) {
                best = Some((score, object::name(node)));
            }
            continue;
        }
        if obstacles.iter().any(|obstacle| !obstacle.preemptible) {
            helpless += 1;
        }
        for obstacle in obstacles {
            *reasons.entry(obstacle.reason).or_default() += 1;
        }
    }
    best.map(|(_, name)| name.to_owned()).ok_or_else(|| sentence(nodes.len(), &reasons, helpless))
}

fn sentence(nodes: usize, reasons: &BTreeMap<String, usize>, helpless: usize) -> String {
    let mut parts: Vec<_> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    let mut preemption = Vec::new();
    if nodes > helpless {
        preemption.push(format!("{} No preemption victims found for incoming pod", nodes - helpless));
    }
    if helpless > 0 {
        preemption.push(format!("{helpless} Preemption is not helpful for scheduling"));
    }
    preemption.sort();
    format!(
        "0/{nodes} nodes are available: {}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {}.",
        parts.join(", "),
        preemption.join(", ")
    )
}

/// What a node lacks by its taints, labels and room.
pub fn obstacles(pod: &Value, node: &Value, taken: Requests) -> Vec<Obstacle> {
    let lasting = |reason: &str| vec![Obstacle { reason: reason.to_owned(), preemptible: false }];
    let taints = object::items(node, "/spec/taints");
    let tolerated = |taint: &Value| object::items(pod, "/spec/tolerations").iter().any(|toleration| tolerates(toleration, taint));
    if object::at(node, "/spec/unschedulable") == &Value::Bool(true) {
        return lasting("node(s) were unschedulable");
    }
    if taints.iter().any(|taint| matches!(object::text(taint, "/effect"), "NoSchedule" | "NoExecute") && !tolerated(taint)) {
        return lasting("node(s) had untolerated taint(s)");
    }
    if !selected(pod, node) {
        return lasting("node(s) didn't match Pod's node affinity/selector");
    }
    let wanted = Requests::of(pod);
    let room = |what: &str| quantity::parse(object::at(node, "/status/allocatable").get(what).unwrap_or(&Value::Null));
    let mut found = Vec::new();
    for (name, wanted, taken) in [("cpu", wanted.cpu, taken.cpu), ("memory", wanted.memory, taken.memory)] {
        if wanted > 0.0 && wanted > room(name) - taken + 1e-9 {
            found.push(Obstacle { reason: format!("Insufficient {name}"), preemptible: wanted <= room(name) });
        }
    }
    if taken.pods + 1.0 > room("pods") {
        found.push(Obstacle { reason: "Too many pods".to_owned(), preemptible: true });
    }
    found
}

/// `nodeSelector` and required node affinity.
fn selected(pod: &Value, node: &Value) -> bool {
    let labels = object::at(node, "/metadata/labels");
    let by_selector = object::fields(pod, "/spec/nodeSelector").all(|(key, want)| labels.get(key) == Some(want));
    let terms =
        object::items(pod, "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
    let holds = |term: &Value| {
        let named = json!({"metadata.name": object::name(node)});
        object::items(term, "/matchExpressions").iter().all(|expression| object::expression_holds(expression, labels))
            && object::items(term, "/matchFields").iter().all(|expression| object::expression_holds(expression, &named))
    };
    by_selector && (terms.is_empty() || terms.iter().any(holds))
}

/// Whether a toleration covers a taint.
pub fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let effect = object::text(toleration, "/effect");
    let key = object::text(toleration, "/key");
    let exists = object::text(toleration, "/operator") == "Exists";
    (effect.is_empty() || effect == object::text(taint, "/effect"))
        && if key.is_empty() {
            exists
        } else {
            key == object::text(taint, "/key") && (exists || object::text(toleration, "/value") == object::text(taint, "/value"))
        }
}

/// Least allocated wins; a node that already runs a pod of the same controller counts less (spreading).
fn score(pod: &Value, node: &Value, taken: Requests) -> i64 {
    let wanted = Requests::of(pod);
    let free = |what: &str, used: f64| {
        let room = quantity::parse(object::at(node, "/status/allocatable").get(what).unwrap_or(&Value::Null));
        if room > 0.0 { (room - used) / room } else { 0.0 }
    };
    let least = f64::midpoint(free("cpu", taken.cpu + wanted.cpu), free("memory", taken.memory + wanted.memory));
    ((least + free("pods", taken.pods)) * 1000.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, cpu: &str, taints: &Value) -> Arc<Value> {
        Arc::new(json!({"metadata": {"name": name, "labels": {"pool": "a"}}, "spec": {"taints": taints},
            "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "10"}}}))
    }

    fn pod(cpu: &str) -> Value {
        json!({"spec": {"containers": [{"resources": {"requests": {"cpu": cpu, "memory": "16Mi"}}}]}})
    }

    #[test]
    fn a_request_no_node_can_hold_is_refused_in_the_words_of_1_36() {
        let refused = choose(&pod("16"), &[node("node1", "2", &json!([]))], &BTreeMap::new(), &|_| Vec::new());
        let expected = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
        assert_eq!(refused.unwrap_err(), expected);
    }

    #[test]
    fn reasons_are_counted_over_nodes_and_sorted_as_text() {
        let tainted = json!([{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]);
        let nodes = [node("a", "1", &json!([])), node("b", "4", &tainted)];
        let mut used = BTreeMap::new();
        let mut full = Requests::default();
        full.add(&pod("900m"));
        used.insert("a".to_owned(), full);
        let message = choose(&pod("500m"), &nodes, &used, &|_| Vec::new()).unwrap_err();
        assert!(
            message.starts_with("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)."),
            "{message}"
        );
        assert!(
            message.ends_with("1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."),
            "{message}"
        );
    }

    #[test]
    fn the_emptier_node_is_chosen() {
        let mut used = BTreeMap::new();
        let mut busy = Requests::default();
        busy.add(&pod("1"));
        used.insert("a".to_owned(), busy);
        let chosen = choose(&pod("100m"), &[node("a", "2", &json!([])), node("b", "2", &json!([]))], &used, &|_| Vec::new());
        assert_eq!(chosen.unwrap(), "b");
    }
}
