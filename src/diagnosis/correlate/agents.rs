//! An agent that fails on a node and what it strands there: one incident, the agent's (`failures.md`, C2).
//!
//! Folded only when everything agrees: the refusal names the network plugin, the CSI driver or the device, a DaemonSet that gives
//! it has a finding of its own on that node, and no ready pod there.

use super::suppress::severe_enough;
use super::{Group, fold_into};
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::rules::agents::{self, Need};
use crate::diagnosis::rules::network::sandbox;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::Snapshot;
use crate::text;

/// Puts what waits for an agent of its node under the incident of that agent.
pub(super) fn behind_agents(snapshot: &Snapshot, groups: &mut Vec<Group<'_>>) {
    if groups.iter().any(|group| group.members.iter().any(|f| is_of_daemon_set(f.finding))) {
        fold_into(groups, is_stranded, |agent, finding| strands(snapshot, agent, finding));
    }
}

/// Causes that an agent of the node brings about. What they say is read only when it has to be: there may be hundreds.
const STRANDED: &[&str] = &[
    "sandbox-network-failed",
    "node-network-not-ready",
    "terminating-slow",
    "volume-mount-failed",
    "volume-attach-failed",
    "terminating-volume",
    "insufficient-resource",
    "pod-rejected-by-node",
];

/// True for what an agent of its node may have stranded: folded under that, its workload belongs to the incident.
pub(super) fn is_stranded(finding: &Finding) -> bool {
    STRANDED.contains(&finding.cause.0)
}

fn is_of_daemon_set(finding: &Finding) -> bool {
    &*finding.workload.kind == KindId::DaemonSet.name() && severe_enough(finding)
}

/// What the finding says was refused.
fn need(finding: &Finding) -> Option<Need> {
    let said = || finding.evidence.iter().map(|quote| &*quote.text);
    match finding.cause.0 {
        "sandbox-network-failed" | "node-network-not-ready" => {
            let events = finding.evidence.iter().filter(|quote| quote.from == EvidenceSource::Event);
            let text = events.map(|quote| &*quote.text).next().unwrap_or_default();
            let network = finding.cause.0 == "node-network-not-ready" || text.is_empty() || sandbox::says_network(text);
            network.then(|| Need::Network(text.to_owned()))
        }
        "terminating-slow" => said().find(|text| sandbox::says_network(text)).map(|text| Need::Network(text.to_owned())),
        "volume-mount-failed" | "volume-attach-failed" | "terminating-volume" => said().find_map(Need::of_driver),
        "insufficient-resource" | "pod-rejected-by-node" => said().find_map(Need::of_device),
        _ => None,
    }
}

/// True when `agent` is what a DaemonSet fails of that should have given what `finding` lacks, on its node.
fn strands(snapshot: &Snapshot, agent: &Finding, finding: &Finding) -> bool {
    if !is_of_daemon_set(agent) || agent.workload == finding.workload {
        return false;
    }
    let Some(need) = need(finding) else { return false };
    let pods = snapshot.pods_of(&agent.workload);
    let down = |node: &str| is_down_on(&pods, &agent.subject, node) && !still_offers(snapshot, node, &need);
    pods.iter().any(|pod| need.is_given_by(pod))
        && match &*finding.subject.kind {
            "Node" => down(&finding.subject.name),
            _ => match super::suppress::node_of(snapshot, &finding.subject) {
                Some(node) => down(&node),
                // A pod that found no node: any node would do that lacks the device for want of its plugin.
                None => matches!(need, Need::Device(_)) && snapshot.nodes.iter().any(|node| down(&node.meta.name)),
            },
        }
}

/// True when what is said of the DaemonSet holds on that node, and no pod of it is ready there.
fn is_down_on(pods: &[&Pod], subject: &ObjectRef, node: &str) -> bool {
    let mut here = pods.iter().filter(|pod| agents::node_of(pod) == Some(node));
    match &*subject.kind {
        "Pod" => here.clone().any(|pod| pod.meta.name == subject.name) && !here.any(|pod| pod.is_ready()),
        // Its pods could not be created.
        _ => !here.any(|pod| pod.is_ready()),
    }
}

/// True when the node has the device all the same.
fn still_offers(snapshot: &Snapshot, node: &str, need: &Need) -> bool {
    let Need::Device(device) = need else { return false };
    let offered = snapshot.nodes.named("", node).and_then(|node| node.status.allocatable.get(device.as_str()));
    offered.and_then(|amount| text::quantity(&amount.0)).is_some_and(|amount| amount > 0.0)
}
