//! The scheduling causes: which constraint leaves the pod without a node.

use chrono::TimeDelta;

use super::decide::{self, Sick, decisive, untolerated};
use super::message::{self, Message};
use crate::actions::Intent;
use crate::actions::taint::is_kept;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{can_roll_out, edit, fact, fix, kubectl, quoted, set_resource, target, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::network::sandbox;
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::diagnosis::rules::scheduling::claims;
use crate::kinds::pods::Pod;
use crate::kinds::{Condition, KindId, ObjectRef, Row};

/// The rule.
pub static UNSCHEDULABLE: Rule = Rule {
    name: "unschedulable",
    causes: &[
        CauseId("insufficient-cpu"),
        CauseId("insufficient-memory"),
        CauseId("insufficient-resource"),
        CauseId("node-selector-unmatched"),
        CauseId("taint-not-tolerated"),
        CauseId("nodes-unschedulable"),
        CauseId("pod-affinity-unsatisfied"),
        CauseId("host-port-conflict"),
        CauseId("volume-unbound"),
        CauseId("volume-zone-conflict"),
        CauseId("scheduling-failed"),
        CauseId("ip-exhausted"),
        CauseId("node-not-ready"),
        CauseId("node-pressure"),
        CauseId("node-network-not-ready"),
        CauseId("volume-lost"),
        CauseId("volume-attach-failed"),
    ],
    doc: "\
What it detects
  A pod the scheduler finds no node for, and the constraint that decides: requests, selectors, taints, cordons, affinity, ports,
  volumes, gates.
Reads
  status.conditions[PodScheduled] (never truncated), else event FailedScheduling (null lastTimestamp); spec.nodeSelector, affinity,
  tolerations and requests against the Nodes' labels, taints and allocatable; the claims of the pod and their events; event
  NotTriggerScaleUp of the autoscaler.
Source
  pkg/scheduler/framework/plugins; the grammar of framework/types.go.
Look-alikes
  The preemption part repeats the reasons and decides nothing. Recent releases no longer name the taint: it is found by comparing
  the nodes' taints with the pod's tolerations. A cordoned node carries a taint too.
Fixes
  Lower the requests or add capacity; correct selector, toleration or affinity; uncordon; create the storage class or volume.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

/// Wordings of single reasons.
pub static REASONS: [(&str, Pattern); 11] = [
    ("nodes-unschedulable", Pattern::new(r"were unschedulable|node\.kubernetes\.io/unschedulable")),
    (
        "volume-zone-conflict",
        Pattern::new(
            r"volume node affinity conflict|PersistentVolume's node affinity|no available volume zone|exceed max volume count|CSI driver is not installed",
        ),
    ),
    ("volume-attach-failed", Pattern::new(r"ReadWriteOncePod|no available disk")),
    (
        "volume-unbound",
        Pattern::new(
            r#"unbound immediate PersistentVolumeClaims|find available persistent volumes to bind|enough free storage|persistentvolumeclaim "[^"]+" (?:not found|is being deleted|bound to non-existent)|bound to non-existent pv|waiting for ephemeral volume controller|binding volumes: |provisioning failed for PVC|storageclass\S* "[^"]+" not found"#,
        ),
    ),
    ("insufficient-cpu", Pattern::new(r"Insufficient cpu\b")),
    ("insufficient-memory", Pattern::new(r"Insufficient memory\b")),
    (
        "insufficient-resource",
        Pattern::new(
            r"Insufficient \S+|Too many pods|cannot allocate all claims|resourceclaim not available|device class \S+ does not exist",
        ),
    ),
    ("taint-not-tolerated", Pattern::new(r"taint")),
    ("pod-affinity-unsatisfied", Pattern::new(r"pod (?:anti-)?affinity|anti-affinity rules|topology spread")),
    ("host-port-conflict", Pattern::new(r"free ports for the requested pod ports")),
    (
        "node-selector-unmatched",
        Pattern::new(r"node affinity|match node selector|requested node name|NodeAffinity|match Pod's required features"),
    ),
];

static RESOURCE: Pattern = Pattern::new(r"Insufficient (\S+)");

/// The cause one reason stands for.
pub fn classify(reason: &str) -> Option<&'static str> {
    REASONS.iter().find(|(_, p)| p.is_match(reason)).map(|(c, _)| *c)
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pod.node_name.is_some() || pod.is_finished() || &*pod.status.phase != "Pending" {
        return;
    }
    let condition = pod.condition("PodScheduled").filter(|c| !c.is_true());
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    let event = events.iter().rev().find(|e| &*e.reason == "FailedScheduling");
    let text = condition.map(Condition::message).filter(|m| !m.is_empty()).or(event.map(|e| e.text())).unwrap_or_default();
    if condition.is_none() && event.is_none() {
        unseen(facts, pod, out);
        return;
    }
    let since = condition.and_then(|c| c.last_transition_time).or(pod.meta.creation_timestamp);
    let patience = if is_scaling_up(facts, &events) { SCALING } else { PATIENCE };
    if let Some(due) = since.map(|s| s + patience).filter(|due| facts.now < *due) {
        out.recheck_at(due);
        return;
    }
    let scaler = events.iter().rev().find(|e| matches!(&*e.reason, "NotTriggerScaleUp" | "FailedScaleUp"));
    let full = scaler.filter(|e| sandbox::says_exhausted(e.text()));
    let mut draft = if full.is_some() {
        let says = "no node can be added for it: no pod address is left";
        Draft::pod(facts, "ip-exhausted", pod).says(says).rooted_outside("subnet", "cluster")
    } else if condition.is_some_and(|c| c.reason() == "SchedulingGated") {
        Draft::pod(facts, "scheduling-failed", pod).says(format!("the pod is held back by a scheduling gate: {text}"))
    } else {
        explain(facts, pod, text)
    };
    if let Some(condition) = condition {
        draft = draft.because(draft::condition(draft::pod_ref(pod), condition));
    }
    if let Some(event) = event {
        draft = draft.because(draft::event(event));
    }
    if let Some(autoscaler) = scaler {
        draft = draft.because(draft::event(autoscaler));
    }
    out.findings.push(draft.since(since).done());
}

/// A pod waits for a moment after it was made.
const PATIENCE: TimeDelta = TimeDelta::seconds(15);
/// A new node takes minutes.
const SCALING: TimeDelta = TimeDelta::minutes(10);

/// True while the cluster autoscaler has said that it adds a node, and nothing else since.
fn is_scaling_up(facts: &Facts<'_>, events: &[&crate::kinds::events::Event]) -> bool {
    let scaler = events
        .iter()
        .rev()
        .find(|e| matches!(&*e.reason, "TriggeredScaleUp" | "NotTriggerScaleUp" | "FailedScaleUp" | "Nominated"));
    scaler.is_some_and(|e| {
        matches!(&*e.reason, "TriggeredScaleUp" | "Nominated") && pods::is_recent(facts.now, e.last_seen(), SCALING)
    })
}

/// No word from any scheduler: its name may be wrong, or it does not run.
fn unseen(facts: &Facts<'_>, pod: &Pod, out: &mut Output) {
    let due = pod.meta.creation_timestamp.map_or(facts.now, |c| c + TimeDelta::seconds(60));
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    let scheduler = pod.spec.scheduler_name.as_deref().unwrap_or("default-scheduler");
    out.findings.push(
        Draft::pod(facts, "scheduling-failed", pod)
            .says(format!("no scheduler has looked at the pod: does {scheduler} run?"))
            .sure(Confidence::Possible)
            .because(draft::pod_spec(pod, "spec.schedulerName", scheduler))
            .since(pod.meta.creation_timestamp)
            .done(),
    );
}

fn explain(facts: &Facts<'_>, pod: &Pod, text: &str) -> Draft {
    if sandbox::says_exhausted(text) {
        return Draft::pod(facts, "ip-exhausted", pod).says("no pod address is left").rooted_outside("subnet", "cluster");
    }
    let Some(message) = message::parse(text).or_else(|| decide::unheaded(text)) else {
        let says = match text {
            "" => "the scheduler finds no node and does not say why".to_owned(),
            text => format!("the scheduler fails: {}", crate::text::ellipsis(text, 160)),
        };
        return Draft::pod(facts, "scheduling-failed", pod).says(says).sure(Confidence::Likely);
    };
    let decided = decisive(facts, pod, &message);
    if let Some(sick) = decide::sick_node(facts, pod, decided, &message) {
        return behind_node(facts, pod, &sick);
    }
    let cause = if decided == "volume-unbound" && lost_claim(facts, pod).is_some() { "volume-lost" } else { decided };
    let draft = Draft::pod(facts, cause, pod).fact("nodes", &message.nodes.to_string());
    let reasons: Vec<String> = message
        .reasons
        .iter()
        .map(|r| if r.count > 0 { format!("{} of {}: {}", r.count, message.nodes, r.text) } else { r.text.clone() })
        .collect();
    let draft = draft.says(format!("no node fits: {}", reasons.join("; ")));
    let draft = match cause {
        "volume-unbound" | "volume-lost" => claims::say(facts, pod, &message, draft),
        "taint-not-tolerated" => taints(facts, pod, draft),
        "nodes-unschedulable" => cordoned(facts, draft),
        "node-selector-unmatched" => selector(pod, draft),
        c if c.starts_with("insufficient-") => requests(facts, pod, &message, draft),
        _ => draft,
    };
    match shared(cause, pod, &message) {
        Some(reason) if !draft.says_too_big() => draft.rooted_outside("nodes", &reason),
        _ => draft,
    }
}

/// The pod waits for a node that is down or short of something: that node's incident.
fn behind_node(facts: &Facts<'_>, pod: &Pod, sick: &Sick<'_>) -> Draft {
    let name = &sick.node.meta.name;
    let taint = format!("{}:{}", sick.taint.key, sick.taint.effect);
    let object = ObjectRef::new("Node", "", name);
    Draft::pod(facts, sick.cause, pod)
        .says(format!("no node is left for it: node {name} repels pods ({})", sick.taint.key))
        .sure(Confidence::Likely)
        .fact("node", name)
        .rooted_in("Node", "", name)
        .because(draft::quote(object, EvidenceSource::Spec, "spec.taints", taint, sick.taint.time_added))
}

/// A claim of the pod whose volume is gone.
fn lost_claim<'a>(facts: &Facts<'a>, pod: &Pod) -> Option<&'a crate::text::Text> {
    let claims = pod.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref());
    let mut known = claims.filter_map(|c| facts.snapshot.volume_claims.named(&pod.meta.namespace, &c.claim_name));
    known.find(|claim| &*claim.status.phase == "Lost").map(|claim| &claim.meta.name)
}

/// What makes pods of several workloads wait for the same thing: the reasons without their counts, and which nodes they ask for.
/// `None` for reasons that a workload brings about by itself: affinity to pods, ports, volumes.
fn shared(cause: &str, pod: &Pod, message: &Message) -> Option<String> {
    let common = ["insufficient-cpu", "insufficient-memory", "insufficient-resource"].contains(&cause)
        || ["node-selector-unmatched", "taint-not-tolerated", "nodes-unschedulable"].contains(&cause);
    if !common {
        return None;
    }
    let mut reasons: Vec<&str> = message.reasons.iter().map(|reason| reason.text.trim_end_matches('.')).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let wants = pod.spec.node_selector.iter().map(|(key, value)| format!("{key}={value}"));
    let affinity = pod.spec.affinity.as_ref().and_then(|affinity| node_affinity(&affinity.0));
    let wants: Vec<String> = wants.chain(affinity).collect();
    Some(format!("{} [{}]", reasons.join("; "), wants.join(", ")))
}

/// What the affinity demands of nodes; affinity to pods is each workload's own.
fn node_affinity(affinity: &str) -> Option<String> {
    let affinity: serde_json::Value = serde_json::from_str(affinity).ok()?;
    Some(affinity.pointer("/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution")?.to_string())
}

fn taints(facts: &Facts<'_>, pod: &Pod, draft: Draft) -> Draft {
    let found = facts.snapshot.nodes.iter().filter_map(|n| untolerated(n, pod).map(|t| (n, t)));
    found.take(3).fold(draft, |draft, (node, taint)| {
        let text = match taint.value.as_deref().filter(|v| !v.is_empty()) {
            Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
            None => format!("{}:{}", taint.key, taint.effect),
        };
        let object = ObjectRef::new("Node", "", &node.meta.name);
        draft.fact("taint", &text).fact("node", &node.meta.name).because(draft::quote(
            object,
            EvidenceSource::Spec,
            "spec.taints",
            text,
            taint.time_added,
        ))
    })
}

fn cordoned(facts: &Facts<'_>, draft: Draft) -> Draft {
    facts.snapshot.nodes.iter().filter(|n| n.spec.unschedulable == Some(true)).take(5).fold(draft, |draft, node| {
        let object = ObjectRef::new("Node", "", &node.meta.name);
        draft.fact("node", &node.meta.name).because(draft::quote(
            object,
            EvidenceSource::Spec,
            "spec.unschedulable",
            "true",
            None,
        ))
    })
}

fn selector(pod: &Pod, draft: Draft) -> Draft {
    let pairs: Vec<String> = pod.spec.node_selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let draft = if pairs.is_empty() {
        draft
    } else {
        draft.fact("selector", &pairs.join(",")).because(draft::pod_spec(pod, "spec.nodeSelector", pairs.join(", ")))
    };
    match &pod.spec.affinity {
        Some(affinity) => draft.because(draft::pod_spec(pod, "spec.affinity", crate::text::ellipsis(&affinity.0, 300))),
        None => draft,
    }
}

fn requests(facts: &Facts<'_>, pod: &Pod, message: &Message, draft: Draft) -> Draft {
    let named = message.reasons.iter().find_map(|r| RESOURCE.first_group(&r.text)).unwrap_or("pods");
    let mut draft = draft.fact("resource", named);
    for container in &pod.spec.containers {
        if let Some(request) = container.resources.requests.get(named) {
            let field = format!("{}.resources.requests.{named}", pod.spec.container_path(&container.name));
            draft = draft.fact("request", &request.0).fact("container", &container.name).because(draft::pod_spec(
                pod,
                field,
                &*request.0,
            ));
        }
    }
    let largest = facts.snapshot.nodes.iter().filter_map(|n| {
        let quantity = n.status.allocatable.get(named)?;
        Some((crate::text::quantity(&quantity.0)?, n, quantity))
    });
    if let Some((amount, node, quantity)) = largest.max_by(|a, b| a.0.total_cmp(&b.0)) {
        let object = ObjectRef::new("Node", "", &node.meta.name);
        let wanted: f64 = pod.spec.containers.iter().filter_map(|c| c.resources.request(named)).sum();
        draft = draft.because(draft::quote(
            object,
            EvidenceSource::Status,
            format!("status.allocatable.{named}"),
            &*quantity.0,
            None,
        ));
        if wanted > amount {
            draft = draft.fact("tooBig", "true").not("other pods: even an empty node is too small for this request");
        }
    }
    draft
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let node = fact(finding, "node");
    let mut fixes = Vec::new();
    match finding.cause.0 {
        "nodes-unschedulable" if !node.is_empty() => {
            let plain = fix(
                format!("Let {node} take pods again"),
                format!("kubectl uncordon {}", quoted(node)),
                Risk::Safe,
                "it is cordoned: when the work on it is over",
            );
            fixes.push(with_action(plain, Intent::Cordon { node: ObjectRef::new("Node", "", node), cordon: false }));
        }
        "taint-not-tolerated" if !node.is_empty() => {
            let taint = fact(finding, "taint");
            fixes.push(edit(finding, "Add the toleration", format!("the pods do not tolerate {taint}")));
            fixes.extend(remove_taint(node, taint));
        }
        "volume-unbound" => fixes.extend(claims::fixes(finding)),
        "insufficient-cpu"
        | "insufficient-memory"
        | "insufficient-resource"
        | "pod-affinity-unsatisfied"
        | "host-port-conflict" => {
            fixes.extend(room(facts, finding));
        }
        _ => {}
    }
    fixes.push(edit(finding, "Correct requests, selector, affinity or volumes", "they decide which nodes fit"));
    fixes.push(fix(
        "See what the nodes offer",
        "kubectl describe nodes",
        Risk::Safe,
        "labels, taints, allocatable and what is already requested",
    ));
    fixes
}

/// A taint that a controller keeps comes back: of those nothing is offered. That of a control plane is a person's to take off.
fn remove_taint(node: &str, taint: &str) -> Option<Fix> {
    if is_kept(taint) {
        return None;
    }
    let plain = fix(
        format!("Remove the taint from {node}"),
        format!("kubectl taint nodes {} {}", quoted(node), quoted(&format!("{taint}-"))),
        Risk::Disruptive,
        "only when nobody relies on it",
    );
    let own = !taint.starts_with("node-role.kubernetes.io/");
    let intent = Intent::Taint { node: ObjectRef::new("Node", "", node), taint: taint.to_owned(), present: false };
    Some(if own { with_action(plain, intent) } else { plain })
}

fn room(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let (resource, container) = (fact(finding, "resource"), fact(finding, "container"));
    let mut fixes = Vec::new();
    let ready = facts.snapshot.pods_of(workload).iter().filter(|p| p.is_ready()).count();
    if ready > 0 && matches!(&*workload.kind, "Deployment" | "StatefulSet" | "ReplicaSet") {
        let replicas = i32::try_from(ready).unwrap_or(1);
        let command = kubectl(&workload.namespace, format!("scale {} --replicas={replicas}", target(workload)));
        let plain = fix(format!("Scale {workload} to the {ready} pods that fit"), command, Risk::Safe, "the others find no room");
        fixes.push(with_action(plain, Intent::Scale { workload: workload.clone(), replicas }));
    }
    if can_roll_out(workload)
        && !container.is_empty()
        && let Some(amount) = crate::text::quantity(fact(finding, "request"))
        && matches!(resource, "cpu" | "memory")
    {
        let half = if resource == "cpu" { crate::text::cores(amount / 2.0) } else { crate::text::bytes(amount / 2.0) };
        let what = (format!("Request {half} of {resource} instead"), format!("it requests {} now", fact(finding, "request")));
        fixes.push(set_resource(facts, (workload, container), ("requests", resource), &half, what));
    }
    fixes
}
