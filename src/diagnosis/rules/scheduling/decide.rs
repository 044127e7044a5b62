//! Which of the scheduler's reasons decides, and whether a sick node is behind it.
//!
//! The scheduler tries its filters in order and stops at the first that refuses a node: a node that lacks resources has passed the
//! taints and the selector. So what is said of the nodes that came furthest says more than how many never were candidates.

use super::message::{Message, Reason};
use super::unschedulable::{REASONS, classify};
use crate::diagnosis::rule::Facts;
use crate::diagnosis::rules::nodes::condition;
use crate::kinds::nodes::{Node, Taint};
use crate::kinds::pods::Pod;

/// Refused before anything else is looked at: whether a node is a candidate at all.
const CANDIDACY: &[&str] = &["taint-not-tolerated", "node-selector-unmatched"];

/// A message that does not begin with "0/N nodes": of a failed pre-filter or of binding, which volumes alone are known for.
pub fn unheaded(text: &str) -> Option<Message> {
    let own = text.split(" preemption: ").next().unwrap_or(text).split(" (repeated ").next().unwrap_or(text).trim();
    let reasons = vec![Reason { count: 0, text: own.trim_end_matches('.').to_owned() }];
    (classify(own)? == "volume-unbound").then_some(Message { nodes: 0, reasons })
}

/// The reason that rules out the most nodes among those the pod could use; earlier in [`REASONS`] wins a tie.
pub fn decisive(facts: &Facts<'_>, pod: &Pod, message: &Message) -> &'static str {
    let known: Vec<(usize, usize, &'static str)> = message
        .reasons
        .iter()
        .filter_map(|r| {
            let rank = REASONS.iter().position(|(_, p)| p.is_match(&r.text))?;
            let count = if r.count == 0 { message.nodes.max(1) } else { r.count };
            REASONS.get(rank).map(|(cause, _)| (count, rank, *cause))
        })
        .collect();
    let most = |of: &mut dyn Iterator<Item = &(usize, usize, &'static str)>| {
        of.max_by_key(|(count, rank, _)| (*count, std::cmp::Reverse(*rank))).map(|(_, _, cause)| *cause)
    };
    if let Some(late) = most(&mut known.iter().filter(|(_, _, c)| !CANDIDACY.contains(c))) {
        return repelled_by_the_only_fit(facts, pod, message, late).unwrap_or(late);
    }
    // Taints of control-plane and broken nodes are the background of every cluster: another reason says more.
    let background = |cause: &str| cause == "taint-not-tolerated" && reserved_nodes(facts, pod);
    most(&mut known.iter().filter(|(_, _, c)| !background(c)))
        .or_else(|| known.first().map(|k| k.2))
        .unwrap_or("scheduling-failed")
}

/// When no node that tolerates the pod could ever hold it, and one that repels it could: the taint or the cordon, not the size.
fn repelled_by_the_only_fit(facts: &Facts<'_>, pod: &Pod, message: &Message, cause: &str) -> Option<&'static str> {
    if !cause.starts_with("insufficient-") {
        return None;
    }
    let named = message.reasons.iter().find_map(|r| r.text.strip_prefix("Insufficient "))?;
    let wanted: f64 = pod.spec.containers.iter().filter_map(|c| c.resources.request(named)).sum();
    let holds = |node: &Node| {
        let amount = node.status.allocatable.get(named).and_then(|q| crate::text::quantity(&q.0));
        wanted > 0.0 && amount.is_some_and(|amount| amount >= wanted)
    };
    let (repelling, open): (Vec<_>, Vec<_>) = facts.snapshot.nodes.iter().partition(|n| untolerated(n, pod).is_some());
    if open.iter().any(|n| holds(n)) {
        return None;
    }
    let fit = repelling.into_iter().find(|n| holds(n))?;
    let cordoned = fit.spec.unschedulable == Some(true);
    (cordoned || untolerated(fit, pod).is_some_and(|t| !is_background(t))).then_some(if cordoned {
        "nodes-unschedulable"
    } else {
        "taint-not-tolerated"
    })
}

/// True when every taint the pod does not tolerate is a control plane's or a sick node's own.
fn reserved_nodes(facts: &Facts<'_>, pod: &Pod) -> bool {
    let untolerated = || facts.snapshot.nodes.iter().filter_map(|n| untolerated(n, pod));
    facts.snapshot.nodes.len() > 1 && untolerated().next().is_some() && untolerated().all(is_background)
}

fn is_background(taint: &Taint) -> bool {
    taint.key.starts_with("node-role.kubernetes.io/") || taint.key.starts_with("node.kubernetes.io/")
}

/// The first taint of the node that keeps the pod away.
pub fn untolerated<'a>(node: &'a Node, pod: &Pod) -> Option<&'a Taint> {
    node.spec.taints.iter().filter(|t| &*t.effect != "PreferNoSchedule").find(|taint| {
        !pod.spec.tolerations.iter().any(|t| {
            let effect = t.effect.as_deref().is_none_or(|e| e.is_empty() || e == &*taint.effect);
            let key = t.key.as_deref().unwrap_or_default();
            let exists = t.operator.as_deref() == Some("Exists");
            let value = t.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
            effect && (key.is_empty() && exists || key == &*taint.key && (exists || value))
        })
    })
}

/// A node whose own trouble keeps the pod away.
#[derive(Debug)]
pub struct Sick<'a> {
    /// The node.
    pub node: &'a Node,
    /// What repels the pod.
    pub taint: &'a Taint,
    /// The cause of the node's own incident.
    pub cause: &'static str,
}

/// The sick node the pod would run on, when nothing else is in its way: taints are all that is said, or the pod came to be because
/// the node died and the others have no room for it.
pub fn sick_node<'a>(facts: &Facts<'a>, pod: &Pod, decided: &str, message: &Message) -> Option<Sick<'a>> {
    let said = |cause: &str| message.reasons.iter().any(|r| classify(&r.text) == Some(cause));
    if !said("taint-not-tolerated") {
        return None;
    }
    let candidates = facts.snapshot.nodes.iter().filter(|n| matches_selector(n, pod)).filter_map(|node| {
        let taint = untolerated(node, pod).filter(|t| t.key.starts_with("node.kubernetes.io/"))?;
        Some(Sick { node, taint, cause: condition::trouble(node)? })
    });
    let only_taints = CANDIDACY.contains(&decided) && reserved_nodes_or_one(facts, pod);
    let homeless = |sick: &Sick<'_>| {
        let down = sick.cause != "node-pressure" && decided.starts_with("insufficient-");
        let since = condition::down_since(sick.node);
        down && pod.meta.creation_timestamp.zip(since).is_some_and(|(made, since)| made >= since)
    };
    let mut candidates = candidates.filter(|sick| only_taints || homeless(sick));
    candidates.next()
}

fn reserved_nodes_or_one(facts: &Facts<'_>, pod: &Pod) -> bool {
    facts.snapshot.nodes.iter().filter_map(|n| untolerated(n, pod)).all(is_background)
}

/// Whether the node carries the labels of the pod's `nodeSelector`; a required node affinity is not judged and counts as unmatched.
fn matches_selector(node: &Node, pod: &Pod) -> bool {
    let affine = pod.spec.affinity.as_ref().is_some_and(|a| a.0.contains("nodeAffinity"));
    !affine && pod.spec.node_selector.iter().all(|(key, value)| node.meta.label(key) == Some(&**value))
}
