//! `node-not-ready`, `node-pressure`, `node-network-not-ready`: what the node's conditions say.

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{cordon, describe, fact, fix, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::nodes::Node;
use crate::kinds::{Condition, KindId, ObjectRef, Row};
use crate::text;

/// The rule.
pub static NODE_CONDITION: Rule = Rule {
    name: "node-condition",
    causes: &[CauseId("node-not-ready"), CauseId("node-pressure"), CauseId("node-network-not-ready")],
    doc: "\
What it detects
  A node that is not ready (kubelet silent, container runtime down), has no working pod network, or runs short of memory, disk or
  process ids.
Reads
  status.conditions Ready, MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable, and those of the node problem detector
  (KernelDeadlock, ReadonlyFilesystem, FrequentKubeletRestart, ...); events Rebooted, SystemOOM,
  FreeDiskSpaceFailed of the node; pods by spec.nodeName.
Source
  pkg/kubelet/nodestatus/setters.go; pkg/controller/nodelifecycle.
Look-alikes
  A cordoned node is ready. A node that was just created is not ready for a moment.
Fixes
  Bring kubelet, runtime or network plugin back; cordon and drain what cannot be repaired now.
",
    subject: KindId::Node,
    needs: &[],
    check,
    fixes,
};

/// Conditions of the node problem detector that mean that the node itself is broken.
const PROBLEMS: &[&str] = &[
    "KernelDeadlock",
    "ReadonlyFilesystem",
    "CorruptDockerOverlay2",
    "FrequentKubeletRestart",
    "FrequentContainerdRestart",
    "FrequentDockerRestart",
    "FrequentUnregisterNetDevice",
    "KubeletUnhealthy",
    "ContainerRuntimeUnhealthy",
];

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Node(node) = row else { return };
    let conditions = &node.status.conditions;
    let young = node.meta.creation_timestamp.map(|c| c + chrono::TimeDelta::seconds(120)).filter(|due| facts.now < *due);
    if let Some(ready) = Condition::find(conditions, "Ready").filter(|c| !c.is_true()) {
        if let Some(due) = young {
            out.recheck_at(due);
            return;
        }
        out.findings.push(not_ready(facts, node, ready));
        return;
    }
    for kind in ["MemoryPressure", "DiskPressure", "PIDPressure"] {
        if let Some(pressure) = Condition::find(conditions, kind).filter(|c| c.is_true()) {
            let what = kind.trim_end_matches("Pressure").to_lowercase();
            let what = if what == "pid" { "process ids" } else { &what };
            out.findings.push(
                base(facts, "node-pressure", node, pressure)
                    .says(format!("node {} runs short of {what}", node.meta.name))
                    .fact("resource", what)
                    .done(),
            );
        }
    }
    for condition in conditions.iter().filter(|c| c.is_true() && PROBLEMS.contains(&&*c.kind)) {
        let what = crate::text::ellipsis(condition.message().trim_end_matches('.'), 160).replace('\n', " ");
        out.findings.push(
            base(facts, "node-not-ready", node, condition)
                .says(format!("node {} has a problem of its own ({}): {what}", node.meta.name, condition.kind))
                .severity(Severity::Warning)
                .done(),
        );
    }
    if let Some(network) = Condition::find(conditions, "NetworkUnavailable").filter(|c| c.is_true()) {
        out.findings.push(
            base(facts, "node-network-not-ready", node, network)
                .says(format!("the network of node {} is not set up: {}", node.meta.name, network.reason()))
                .done(),
        );
    }
}

/// The cause the Ready condition stands for when it is not true.
fn unready_cause(ready: &Condition) -> &'static str {
    let network = ready.message().contains("NetworkPluginNotReady") || ready.message().contains("cni plugin not initialized");
    if network { "node-network-not-ready" } else { "node-not-ready" }
}

/// The cause of the incident this node has, if its conditions say that it is in trouble.
pub fn trouble(node: &Node) -> Option<&'static str> {
    let conditions = &node.status.conditions;
    if let Some(ready) = Condition::find(conditions, "Ready").filter(|c| !c.is_true()) {
        return Some(unready_cause(ready));
    }
    let holds = |kind: &str| Condition::find(conditions, kind).is_some_and(Condition::is_true);
    if ["MemoryPressure", "DiskPressure", "PIDPressure"].into_iter().any(holds) {
        return Some("node-pressure");
    }
    holds("NetworkUnavailable").then_some("node-network-not-ready")
}

/// Since when the node is not ready.
pub fn down_since(node: &Node) -> Option<text::Time> {
    Condition::find(&node.status.conditions, "Ready").filter(|c| !c.is_true()).and_then(|c| c.last_transition_time)
}

fn base(facts: &Facts<'_>, cause: &'static str, node: &Node, condition: &Condition) -> Draft {
    let object = ObjectRef::new("Node", "", &node.meta.name);
    Draft::new(facts, cause, "Node", &node.meta)
        .rooted_in("Node", "", &node.meta.name)
        .fact("node", &node.meta.name)
        .because(draft::condition(object, condition))
        .since(condition.last_transition_time)
}

fn not_ready(facts: &Facts<'_>, node: &Node, ready: &Condition) -> Finding {
    // With one namespace in view none may be seen on a node that is full: say nothing then.
    let pods = match facts.snapshot.pods_on(&node.meta.name).filter(|p| !p.is_finished()).count() {
        0 => String::new(),
        1 => "; 1 pod is on it".to_owned(),
        n => format!("; {n} pods are on it"),
    };
    let cause = unready_cause(ready);
    let since = ready.last_transition_time.map(|t| format!(" since {}", text::moment(t, facts.now))).unwrap_or_default();
    let why = if &*ready.status == "Unknown" {
        "its kubelet stopped reporting".to_owned()
    } else {
        ready.message().trim_end_matches('.').to_owned()
    };
    let mut draft = base(facts, cause, node, ready)
        .says(format!("node {} is not ready{since}: {why}{pods}", node.meta.name))
        .severity(Severity::Critical);
    for taint in node
        .spec
        .taints
        .iter()
        .filter(|t| t.key.starts_with("node.kubernetes.io/") || t.key.starts_with("node.cloudprovider.kubernetes.io/"))
    {
        let object = ObjectRef::new("Node", "", &node.meta.name);
        draft = draft.because(draft::quote(
            object,
            crate::diagnosis::finding::EvidenceSource::Spec,
            "spec.taints",
            format!("{}:{}", taint.key, taint.effect),
            taint.time_added,
        ));
    }
    let events = facts.snapshot.events_about(&ObjectRef::new("Node", "", &node.meta.name));
    if let Some(event) = events.iter().rev().find(|e| matches!(&*e.reason, "Rebooted" | "NodeNotReady" | "Shutdown")) {
        draft = draft.because(draft::event(event));
    }
    draft.done()
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let node = fact(finding, "node");
    let object = ObjectRef::new("Node", "", node);
    let quoted = quoted(node);
    let mut fixes = vec![describe(&object, "conditions, leases and events of the node")];
    if finding.cause.0 == "node-not-ready" {
        fixes.push(cordon(node, "Keep new pods off it", "until kubelet and runtime are back"));
        fixes.push(fix(
            "Declare it out of service",
            format!("kubectl taint nodes {quoted} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"),
            Risk::Destructive,
            "moves pods and detaches volumes at once; only when the machine is surely off",
        ));
    } else {
        fixes.push(fix(
            "Move its pods away",
            format!("kubectl drain {quoted} --ignore-daemonsets --delete-emptydir-data"),
            Risk::Disruptive,
            "other nodes take the load",
        ));
    }
    fixes
}
