//! `ip-exhausted`, `sandbox-network-failed`, `node-network-not-ready`: the pod has no sandbox because of its network.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding, Root};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::agents;
use crate::diagnosis::rules::commands::{cordon, describe, fact, fix, kubectl, pods_on, quoted, target, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::kinds::events::Event;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static SANDBOX: Rule = Rule {
    name: "sandbox-network",
    causes: &[
        CauseId("ip-exhausted"),
        CauseId("sandbox-network-failed"),
        CauseId("node-network-not-ready"),
        CauseId("container-create-failed"),
    ],
    doc: "\
What it detects
  A scheduled pod whose sandbox cannot be created because the network plugin has no address left, is not ready, or fails.
Reads
  Events FailedCreatePodSandBox and NetworkNotReady of the pod, also behind Normal SandboxChanged and behind \"(combined from
  similar events)\"; condition PodReadyToStartContainers; node labels topology.kubernetes.io/zone.
Source
  pkg/kubelet/kuberuntime; amazon-vpc-cni, azure-container-networking, calico, cilium, host-local: their own error texts.
Look-alikes
  ContainerCreating alone says nothing: volumes and images look the same. A Calico \"connection is unauthorized\" is not
  exhaustion. A sandbox image that cannot be pulled is the runtime's problem.
Fixes
  Scale down what took the addresses, or widen the range; restart the network plugin's pod on the node.
",
    subject: KindId::Pod,
    needs: &[KindId::Event],
    check,
    fixes,
};

/// Wordings of an exhausted range, by plugin.
pub static EXHAUSTED: [Pattern; 9] = [
    Pattern::new(r"failed to assign an IP address to container"),
    Pattern::new(
        r"no available IP/Prefix addresses|InsufficientFreeAddressesInSubnet|InsufficientCidrBlocks|PrivateIpAddressLimitExceeded|IpNotEnough|eni ip exhausted",
    ),
    Pattern::new(r"not enough IPs available|No available addresses|NoAvailableAddress|SubnetFull|Could not allocate IP in range"),
    Pattern::new(
        r"no more free affine blocks|no configured Calico pools|failed to request IPv[46] addresses: (?:Assigned 0 out of|.*No IPs available in pools|.*limit of \d+ blocks|.*qualified ippool)",
    ),
    Pattern::new(
        r#"postIpamFailure\s+"?(?:range is full|.*exhausted|.*[Nn]o more IPs)|(?i)no more IPs available|IPAM allocation exhausted"#,
    ),
    Pattern::new(r"no IP addresses available in (?:range set|network|range)|is not available in range set"),
    Pattern::new(r"IP_SPACE_EXHAUSTED|IP space of '[^']*' is exhausted|CIDRNotAvailable"),
    Pattern::new(
        r"(?i)DNSRecord.*(?:cannot be allocated|could not be allocated|failed to allocate|not allocated|exhausted|insufficient)|(?:failed|unable|insufficient|cannot).{0,60}DNSRecord",
    ),
    Pattern::new(
        r"(?i)(?:no|not enough|insufficient|out of) (?:free |available |more )?(?:pod )?(?:IPs?|IP addresses|addresses)\b.{0,40}(?:available|left|free|in (?:the )?(?:pool|range|subnet|network))|(?:subnet|address pool|ip pool|ippool|ipam pool|cidr)\S* .{0,40}(?:exhausted|is full|depleted)|failed to allocate (?:pod )?IP",
    ),
];

/// Plugins that take addresses from the cloud's subnet, not from a range of the node.
static CLOUD: Pattern = Pattern::new(r#"type="(?:aws-cni|azure-vnet|terway)|Subnet|InsufficientCidr|IpNotEnough|Azure CNS"#);

/// The plugin is there but not ready.
static NOT_READY: Pattern = Pattern::new(
    r"NetworkPluginNotReady|cni plugin not initialized|cni config uninitialized|[Nn]o CNI configuration file|network is not ready",
);
static RANGE: Pattern = Pattern::new(r"range set: (\S+)|in pools: \[([^\]]+)\]|subnetworks/([\w.-]+)");
static NETWORK_WORDS: Pattern = Pattern::new(
    r"(?i)failed to set ?up (?:network|sandbox container|pod)|cni|plugin type=|network for sandbox|pod network|ClusterInformation|ipam",
);
static SETUP: Pattern = Pattern::new(r#"failed to set ?up network for sandbox "[0-9a-f]+": (.+)$"#);
static WRAPPER: Pattern = Pattern::new(r"^Failed (?:to )?create pod sandbox: (?:rpc error: code = \w+ desc = )?(.*)$");

/// True when the text says that addresses have run out.
pub fn says_exhausted(text: &str) -> bool {
    EXHAUSTED.iter().any(|p| p.is_match(text))
}

/// True when the text speaks of the pod's network, not of the runtime.
pub fn says_network(text: &str) -> bool {
    NETWORK_WORDS.is_match(text) || NOT_READY.is_match(text)
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Pod(pod) = row else { return };
    if pod.is_finished() || pod.meta.deletion_timestamp.is_some() || !pods::is_before_start(pod) {
        return;
    }
    let events = facts.snapshot.events_of(KindId::Pod, &pod.meta);
    let Some(event) = newest_failure(&events, pod) else {
        silent(facts, pod, &events, out);
        return;
    };
    out.findings.push(find(facts, pod, event));
}

/// After this long without a word something is wrong: the events that told have expired.
const SILENCE: TimeDelta = TimeDelta::minutes(10);

/// A pod that has no sandbox for long, and nobody says why any more.
fn silent(facts: &Facts<'_>, pod: &Pod, events: &[&Event], out: &mut Output) {
    let no_sandbox = match pod.condition("PodReadyToStartContainers") {
        Some(condition) => !condition.is_true(),
        None => pod.status.pod_ip.is_none(),
    };
    if !no_sandbox || events.iter().any(|e| e.is_warning()) || pods::on_dead_node(facts, pod) {
        return;
    }
    let scheduled = pod.condition("PodScheduled").and_then(|c| c.last_transition_time).or(pod.meta.creation_timestamp);
    let due = scheduled.map_or(facts.now, |s| s + SILENCE);
    if facts.now < due {
        out.recheck_at(due);
        return;
    }
    let claims = pod.spec.volumes.iter().any(|v| v.persistent_volume_claim.is_some());
    let cause = if claims { "container-create-failed" } else { "sandbox-network-failed" };
    let what = if claims { "its volumes or its network are not set up" } else { "its network is not set up" };
    let node = pod.node_name.as_deref().unwrap_or_default();
    let phase = draft::pod_status(pod, "status.phase", &*pod.status.phase, scheduled);
    let waiting = pod.condition("PodReadyToStartContainers").map(|c| draft::condition(draft::pod_ref(pod), c));
    out.findings.push(
        Draft::pod(facts, cause, pod)
            .says(format!(
                "it waits on node {node} for its sandbox since {}: {what}, and the events that say why have expired",
                crate::text::moment(scheduled.unwrap_or(facts.now), facts.now)
            ))
            .fact("node", node)
            .sure(Confidence::Possible)
            .because_all(waiting)
            .because(phase)
            .not("its image: images are pulled after the sandbox is there")
            .since(scheduled)
            .done(),
    );
}

/// The newest failing sandbox, unless a later step was reached since.
fn newest_failure<'e>(events: &[&'e Event], _pod: &Pod) -> Option<&'e Event> {
    let failure = events.iter().rev().find(|e| matches!(&*e.reason, "FailedCreatePodSandBox" | "NetworkNotReady"))?;
    let passed = events.iter().any(|e| {
        matches!(&*e.reason, "Pulling" | "Pulled" | "Created" | "Started" | "FailedMount" | "FailedAttachVolume")
            && e.last_seen() > failure.last_seen()
    });
    (!passed).then_some(*failure)
}

fn find(facts: &Facts<'_>, pod: &Pod, event: &Event) -> Finding {
    let text = event.text();
    let node = pod.node_name.as_deref().unwrap_or_default();
    if says_exhausted(text) {
        return exhausted(facts, pod, event, node);
    }
    if &*event.reason == "NetworkNotReady" || NOT_READY.is_match(text) {
        return Draft::pod(facts, "node-network-not-ready", pod)
            .says(format!("the network plugin of node {node} is not ready"))
            .fact("node", node)
            .rooted_in("Node", "", node)
            .because(draft::event(event))
            .since(event.first_seen())
            .done();
    }
    let own = SETUP.first_group(text).or_else(|| WRAPPER.first_group(text)).unwrap_or(text);
    let network = NETWORK_WORDS.is_match(text);
    let what = if network { "the network plugin" } else { "the runtime" };
    Draft::pod(facts, "sandbox-network-failed", pod)
        .says(format!("{what} on node {node} cannot set up the pod's sandbox: {}", crate::text::ellipsis(own, 160)))
        .fact("node", node)
        .rooted_in("Node", "", node)
        .sure(if network { Confidence::Certain } else { Confidence::Likely })
        .because(draft::event(event))
        .not("address exhaustion: the plugin does not say that addresses ran out")
        .since(event.first_seen())
        .done()
}

fn exhausted(facts: &Facts<'_>, pod: &Pod, event: &Event, node: &str) -> Finding {
    let text = event.text();
    let range = RANGE.first_group(text).map(str::to_owned);
    let per_node = text.contains("blocks reached for this node");
    let cidr = facts.snapshot.nodes.named("", node).and_then(|n| n.spec.pod_cidr.clone());
    let zone = facts.snapshot.nodes.named("", node).and_then(|n| n.meta.label("topology.kubernetes.io/zone").map(str::to_owned));
    let root = match (&range, per_node, &zone) {
        (Some(range), false, _) => Root::Outside { what: "subnet", name: range.as_str().into() },
        (None, false, None) if CLOUD.is_match(text) => Root::Outside { what: "subnet", name: "cluster".into() },
        (None, false, Some(zone)) => Root::Outside { what: "subnet", name: zone.as_str().into() },
        _ => Root::Object(ObjectRef::new("Node", "", node)),
    };
    let place = range.clone().unwrap_or_else(|| format!("node {node}"));
    let on_node = facts.snapshot.pods_on(node).filter(|p| p.status.pod_ip.is_some() && p.spec.host_network != Some(true)).count();
    let mut draft = Draft::pod(facts, "ip-exhausted", pod)
        .says(format!("no pod address is left in {place} ({on_node} pods on {node} hold one)"))
        .fact("node", node)
        .maybe("range", range.as_deref())
        .root(root)
        .because(draft::event(event))
        .not("cpu, memory and volumes: the pod is scheduled and only its network is missing")
        .since(event.first_seen());
    if let Some(ready) = pod.condition("PodReadyToStartContainers") {
        draft = draft.because(draft::condition(draft::pod_ref(pod), ready));
    }
    if let Some(cidr) = cidr {
        let object = ObjectRef::new("Node", "", node);
        draft =
            draft.because(draft::quote(object, crate::diagnosis::finding::EvidenceSource::Spec, "spec.podCIDR", &*cidr, None));
    }
    draft.done()
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    match finding.cause.0 {
        "ip-exhausted" => addresses(facts, finding),
        _ => agent(facts, finding),
    }
}

fn addresses(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let workload = &finding.workload;
    let mut fixes = Vec::new();
    let started = facts.snapshot.pods_of(workload).iter().filter(|p| p.is_ready()).count();
    // None: all of them wait, or the pods of the workload cannot be told; either way nobody is helped by none at all.
    if started > 0 && matches!(&*workload.kind, "Deployment" | "StatefulSet" | "ReplicaSet") {
        let command = kubectl(&workload.namespace, format!("scale {} --replicas={started}", target(workload)));
        let plain = fix(
            format!("Scale {workload} to the {started} pods that got an address"),
            command,
            Risk::Safe,
            "the pods that wait cannot start, and keep trying for addresses others may need",
        );
        let replicas = i32::try_from(started).unwrap_or(0);
        fixes.push(with_action(plain, Intent::Scale { workload: workload.clone(), replicas }));
    }
    let node = fact(finding, "node");
    let why = "finished pods and forgotten workloads hold addresses too; far fewer pods than addresses means leaked leases under /var/lib/cni/networks";
    fixes.push(pods_on(node, "get", ("See who holds the addresses", why)));
    let why = "new pods then go where addresses are left, if the range is this node's own";
    fixes.push(cordon(node, "Let the scheduler use other nodes", why));
    fixes
}

fn agent(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let node = fact(finding, "node");
    let mut fixes = Vec::new();
    if let Some(pod) = agents::network_agent(facts.snapshot, node) {
        let plain = fix(
            format!("Restart the network agent {}", pod.meta.name),
            kubectl(&pod.meta.namespace, format!("delete pod {}", quoted(&pod.meta.name))),
            Risk::Disruptive,
            format!("it serves the network of node {node}"),
        );
        fixes.push(with_action(plain, Intent::Delete { object: draft::pod_ref(pod), force: false }));
    }
    fixes.push(describe(&ObjectRef::new("Node", "", node), "conditions and pods of the node"));
    fixes
}
