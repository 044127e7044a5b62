//! What the pods that are there already forbid: anti-affinity, affinity, topology spread, host ports, and resources besides
//! processor and memory.
//!
//! Reasons as in `pkg/scheduler/framework/plugins/{interpodaffinity,podtopologyspread,nodeports,noderesources}`.

use super::super::object;
use super::super::quantity;
use super::fit::Obstacle;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The nodes, and the pods that count.
pub struct Neighbours<'a> {
    /// Every node.
    pub nodes: &'a [Arc<Value>],
    /// Every pod that is assigned and not finished.
    pub pods: &'a [Arc<Value>],
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

impl Neighbours<'_> {
    /// Why a node does not do for a pod because of who is there.
    pub fn obstacles(&self, pod: &Value, node: &Value) -> Vec<Obstacle> {
        let mut found = Vec::new();
        let lasting = |reason: &str| Obstacle { reason: reason.to_owned(), preemptible: false };
        let passing = |reason: &str| Obstacle { reason: reason.to_owned(), preemptible: true };
        if self.ports_taken(pod, node) {
            found.push(passing("node(s) didn't have free ports for the requested pod ports"));
        }
        let terms = |pod: &Value, field: &str| object::items(pod, &format!("/spec/affinity/{field}/{REQUIRED}")).to_vec();
        if terms(pod, "podAffinity").iter().any(|term| !self.term_holds(pod, term, node) && !self.is_first(pod, term)) {
            found.push(lasting("node(s) didn't match pod affinity rules"));
        }
        if terms(pod, "podAntiAffinity").iter().any(|term| self.term_holds(pod, term, node)) {
            found.push(passing("node(s) didn't match pod anti-affinity rules"));
        }
        let repelled = self.pods.iter().any(|other| {
            let repels = |term: &Value| wants(other, term, pod) && self.same_domain(other, term, node);
            terms(other, "podAntiAffinity").iter().any(repels)
        });
        if repelled {
            found.push(passing("node(s) didn't satisfy existing pods anti-affinity rules"));
        }
        found.extend(
            object::items(pod, "/spec/topologySpreadConstraints")
                .iter()
                .filter_map(|constraint| self.spread(pod, constraint, node)),
        );
        found.extend(self.other_resources(pod, node));
        found
    }

    fn on<'s>(&'s self, node: &'s Value) -> impl Iterator<Item = &'s Arc<Value>> {
        self.pods.iter().filter(move |pod| object::text(pod, "/spec/nodeName") == object::name(node))
    }

    fn ports_taken(&self, pod: &Value, node: &Value) -> bool {
        let wanted = host_ports(pod);
        !wanted.is_empty() && self.on(node).any(|other| host_ports(other).iter().any(|port| wanted.contains(port)))
    }

    /// Whether a pod that the term wants runs in the node's domain.
    fn term_holds(&self, pod: &Value, term: &Value, node: &Value) -> bool {
        self.pods.iter().any(|other| wants(pod, term, other) && self.same_domain(other, term, node))
    }

    /// A pod whose affinity means its own kind may be the first of them.
    fn is_first(&self, pod: &Value, term: &Value) -> bool {
        wants(pod, term, pod) && !self.pods.iter().any(|other| wants(pod, term, other))
    }

    fn same_domain(&self, other: &Value, term: &Value, node: &Value) -> bool {
        let key = object::text(term, "/topologyKey");
        let home = self.nodes.iter().find(|home| object::name(home) == object::text(other, "/spec/nodeName"));
        let domain = |node: &Value| object::at(node, "/metadata/labels").get(key).cloned();
        home.and_then(|home| domain(home)).is_some_and(|theirs| domain(node) == Some(theirs))
    }

    fn spread(&self, pod: &Value, constraint: &Value, node: &Value) -> Option<Obstacle> {
        if object::text(constraint, "/whenUnsatisfiable") != "DoNotSchedule" {
            return None;
        }
        let key = object::text(constraint, "/topologyKey");
        let domain = |node: &Value| object::at(node, "/metadata/labels").get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(here) = domain(node) else {
            let reason = "node(s) didn't match pod topology spread constraints (missing required label)".to_owned();
            return Some(Obstacle { reason, preemptible: false });
        };
        let selector = object::at(constraint, "/labelSelector");
        let counts = |other: &&Arc<Value>| {
            object::namespace(other) == object::namespace(pod) && object::selects(selector, object::at(other, "/metadata/labels"))
        };
        let mut by_domain: BTreeMap<String, i64> =
            self.nodes.iter().filter_map(|node| domain(node)).map(|name| (name, 0)).collect();
        for other in self.pods.iter().filter(counts) {
            let home = self.nodes.iter().find(|home| object::name(home) == object::text(other, "/spec/nodeName"));
            if let Some(count) = home.and_then(|home| domain(home)).and_then(|name| by_domain.get_mut(&name)) {
                *count += 1;
            }
        }
        let least = by_domain.values().min().copied().unwrap_or(0);
        let after = by_domain.get(&here).copied().unwrap_or(0) + 1;
        (after - least > object::int(constraint, "/maxSkew").unwrap_or(1))
            .then(|| Obstacle { reason: "node(s) didn't match pod topology spread constraints".to_owned(), preemptible: true })
    }

    fn other_resources(&self, pod: &Value, node: &Value) -> Vec<Obstacle> {
        let mut found = Vec::new();
        for (what, wanted) in others(pod) {
            let room = object::at(node, "/status/allocatable").get(&what).map_or(0.0, quantity::parse);
            let taken: f64 = self.on(node).filter_map(|other| others(other).get(&what).copied()).sum();
            if wanted > room - taken + 1e-9 {
                found.push(Obstacle { reason: format!("Insufficient {what}"), preemptible: wanted <= room });
            }
        }
        found
    }
}

/// Whether a term of `pod` means another pod: its labels, in the term's namespaces or the pod's own.
fn wants(pod: &Value, term: &Value, other: &Value) -> bool {
    let named = object::items(term, "/namespaces");
    let namespace = if named.is_empty() {
        object::namespace(other) == object::namespace(pod)
    } else {
        named.contains(&json!(object::namespace(other)))
    };
    namespace && object::selects(object::at(term, "/labelSelector"), object::at(other, "/metadata/labels"))
}

fn host_ports(pod: &Value) -> Vec<i64> {
    let ports = object::containers(pod, "containers").iter().flat_map(|container| object::items(container, "/ports"));
    ports.filter_map(|port| object::int(port, "/hostPort")).filter(|port| *port > 0).collect()
}

/// Requests besides processor and memory: ephemeral storage, devices.
fn others(pod: &Value) -> BTreeMap<String, f64> {
    let mut sum = BTreeMap::new();
    for container in object::containers(pod, "containers") {
        for (what, amount) in object::fields(container, "/resources/requests") {
            if !matches!(what.as_str(), "cpu" | "memory") {
                *sum.entry(what.clone()).or_insert(0.0) += quantity::parse(amount);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, zone: &str) -> Arc<Value> {
        Arc::new(json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": zone}}, "status": {}}))
    }

    fn pod(node: &str, spec: &Value) -> Arc<Value> {
        let mut pod = json!({"metadata": {"namespace": "prod", "labels": {"app": "web"}}, "spec": spec});
        object::put(&mut pod, &["spec", "nodeName"], json!(node));
        Arc::new(pod)
    }

    #[test]
    fn neighbours_forbid_what_they_must() {
        let nodes = [node("a", "z1"), node("b", "z2")];
        let selector = json!({"matchLabels": {"app": "web"}});
        let apart = json!({"affinity": {"podAntiAffinity": {REQUIRED: [{"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}]}}});
        let ports = json!({"containers": [{"ports": [{"hostPort": 80}]}]});
        let spread = json!({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}]});
        let gpu = json!({"containers": [{"resources": {"requests": {"nvidia.com/gpu": "1"}}}]});
        for (spec, reason) in [
            (&apart, "node(s) didn't match pod anti-affinity rules"),
            (&ports, "node(s) didn't have free ports for the requested pod ports"),
            (&spread, "node(s) didn't match pod topology spread constraints"),
            (&gpu, "Insufficient nvidia.com/gpu"),
        ] {
            let placed = [pod("a", spec)];
            let neighbours = Neighbours { nodes: &nodes, pods: &placed };
            let found = neighbours.obstacles(&pod("", spec), &nodes[0]);
            assert!(found.iter().any(|obstacle| obstacle.reason == reason), "{reason}");
        }
        let placed = [pod("a", &apart)];
        assert!(Neighbours { nodes: &nodes, pods: &placed }.obstacles(&pod("", &apart), &nodes[1]).is_empty());
    }
}
