//! `network-policy-blocks`: a connection times out, and a NetworkPolicy between the two ends allows nothing that matches.

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Evidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, quoted};
use crate::diagnosis::rules::crash::context;
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs;
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::diagnosis::rules::services::endpoints::selected;
use crate::diagnosis::signatures::Signatures;
use crate::kinds::network::Service;
use crate::kinds::pod_spec::IntOrText;
use crate::kinds::pods::Pod;
use crate::kinds::policies::{NetworkPolicy, PolicyRule};
use crate::kinds::workloads::Selector;
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static NETWORK_POLICY: Rule = Rule {
    name: "network-policy",
    causes: &[CauseId("network-policy-blocks")],
    doc: "\
What it detects
  A pod that fails or is not ready because its connections time out, while a NetworkPolicy isolates one of the two ends and allows
  nothing that matches: the server's ingress, the client's egress, or the client's way to the cluster DNS.
Reads
  The log line that names the host and says that it timed out; the Service of that host and its ready pods; NetworkPolicies with
  podSelector, policyTypes, peers and ports; namespace labels.
Source
  networking.k8s.io/v1: a pod that any policy selects in a direction may only do what some policy of that direction allows.
Look-alikes
  A refused connection is answered: no policy drops it. A server without a ready pod is down. Allowances by address range may
  match: then nothing is said. What the network plugin enforces is not visible, so this is possible, never certain.
Fixes
  Allow the connection in the policy.
",
    subject: KindId::Pod,
    needs: &[KindId::NetworkPolicy],
    check,
    fixes,
};

static TIMED_OUT: Pattern = Pattern::new(
    r"(?i)timed? ?out|ETIMEDOUT|i/o timeout|deadline exceeded|timeout expired|Temporary failure in name resolution|EAI_AGAIN|Errno -3\]|server misbehaving",
);

/// What a line says about a connection that got no answer.
struct Silence {
    host: String,
    port: Option<u16>,
    quote: Evidence,
    container: String,
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pod.is_finished() || pod.is_ready() || facts.snapshot.network_policies.is_empty() || pods::on_dead_node(facts, pod) {
        return;
    }
    let Some(silence) = silence(facts, pod) else { return };
    // The other end and its namespace may change without touching this pod.
    out.recheck_at(facts.now + chrono::TimeDelta::seconds(15));
    if let Some(finding) = by_name(facts, pod, &silence).or_else(|| by_service(facts, pod, &silence)) {
        out.findings.push(finding);
    }
}

fn silence(facts: &Facts<'_>, pod: &Pod) -> Option<Silence> {
    pod.containers().find_map(|view| {
        let name = &view.status.name;
        let log = logs::known(facts, pod, name)?;
        let lines: Vec<&str> = log.lines.iter().map(|l| &*l.text).collect();
        let found = Signatures::shipped().find(&lines)?;
        let text = log.lines.get(found.line)?;
        let reaching = ["database-unreachable", "database-host-unknown", "dependency-unreachable"];
        if !reaching.contains(&found.signature.cause.as_str()) || !TIMED_OUT.is_match(&text.text) {
            return None;
        }
        let known = pod.spec.container(name).and_then(context::database_of);
        let host = found
            .group("host")
            .map(|h| h.trim_matches(['[', ']']).to_owned())
            .or_else(|| known.as_ref().map(|e| e.host.clone()))?;
        let port = found.group("port").map(str::to_owned).or_else(|| known.and_then(|e| e.port));
        let quote = draft::log_line(log.pod.clone(), name, log.previous, text);
        Some(Silence { host, port: port.and_then(|p| p.parse().ok()), quote, container: name.to_string() })
    })
}

/// The lookup itself got no answer, and the pod may not ask the cluster DNS.
fn by_name(facts: &Facts<'_>, pod: &Pod, silence: &Silence) -> Option<Finding> {
    if !super::dns::TRANSIENT.is_match(&silence.quote.text) {
        return None;
    }
    let dns = facts.snapshot.services.iter().find(|s| super::dns::is_cluster_dns(s))?;
    let servers = selected(facts, dns);
    let server = servers.iter().find(|p| p.is_ready())?;
    let policies = isolating(facts, pod, "Egress");
    let blocks =
        !policies.is_empty() && !policies.iter().any(|p| p.spec.egress.iter().any(|r| allows(facts, p, r, server, Some(53))));
    blocks.then(|| find(facts, pod, &policies, silence, "egress", "does not allow it to ask the cluster DNS (port 53)"))
}

fn by_service(facts: &Facts<'_>, pod: &Pod, silence: &Silence) -> Option<Finding> {
    let endpoint = context::service_of(facts, &pod.meta.namespace, &silence.host)?;
    let (name, namespace) = endpoint.host.split_once('.').unwrap_or((&endpoint.host, &pod.meta.namespace));
    let service = facts.snapshot.services.named(namespace, name)?;
    let servers = selected(facts, service);
    let server = servers.iter().find(|p| p.is_ready())?;
    let port = target_port(service, silence.port);
    let incoming = isolating(facts, server, "Ingress");
    if !incoming.is_empty() && !incoming.iter().any(|p| p.spec.ingress.iter().any(|r| allows(facts, p, r, pod, port))) {
        let what = format!("allows no connection from it to {name}");
        return Some(find(facts, pod, &incoming, silence, "ingress", &what));
    }
    let outgoing = isolating(facts, pod, "Egress");
    if !outgoing.is_empty() && !outgoing.iter().any(|p| p.spec.egress.iter().any(|r| allows(facts, p, r, server, port))) {
        return Some(find(facts, pod, &outgoing, silence, "egress", &format!("does not allow it to connect to {name}")));
    }
    None
}

/// The pod's port behind a Service's port; `None` when it is a name or unknown.
fn target_port(service: &Service, port: Option<u16>) -> Option<u16> {
    let own = service.spec.ports.iter().find(|p| port.is_none_or(|wanted| p.port == wanted))?;
    match &own.target_port {
        None => Some(own.port),
        Some(IntOrText::Int(n)) => u16::try_from(*n).ok(),
        Some(IntOrText::Text(_) | IntOrText::Float(_)) => None,
    }
}

/// The policies that isolate the pod in that direction.
fn isolating<'a>(facts: &Facts<'a>, pod: &Pod, direction: &str) -> Vec<&'a NetworkPolicy> {
    let namespace = pod.meta.namespace.clone();
    let all = facts.snapshot.network_policies.iter().filter(move |p| p.meta.namespace == namespace);
    all.filter(|p| p.spec.isolates(direction) && covers(&p.spec.pod_selector, &pod.meta.labels)).collect()
}

/// As NetworkPolicies select: an empty selector is everything.
fn covers(selector: &Selector, labels: &std::collections::BTreeMap<crate::text::Text, crate::text::Text>) -> bool {
    selector.match_labels.is_empty() && selector.match_expressions.is_empty() || selector.matches(labels)
}

/// True when the rule may let the peer's traffic through; in doubt (address ranges, named ports) it does.
fn allows(facts: &Facts<'_>, policy: &NetworkPolicy, rule: &PolicyRule, peer: &Pod, port: Option<u16>) -> bool {
    let port_fits = rule.ports.is_empty()
        || rule.ports.iter().any(|p| match (&p.port, port) {
            (Some(IntOrText::Int(from)), Some(port)) => (*from..=p.end_port.unwrap_or(*from)).contains(&i64::from(port)),
            _ => true,
        });
    let peer_fits = rule.peers.is_empty()
        || rule.peers.iter().any(|p| {
            if p.ip_block.is_some() {
                return true;
            }
            let namespace_fits = match &p.namespace_selector {
                None => policy.meta.namespace == peer.meta.namespace,
                Some(selector) => {
                    let namespace = facts.snapshot.namespaces.named("", &peer.meta.namespace);
                    namespace.is_none_or(|n| covers(selector, &n.meta.labels))
                }
            };
            namespace_fits && p.pod_selector.as_ref().is_none_or(|s| covers(s, &peer.meta.labels))
        });
    port_fits && peer_fits
}

fn find(
    facts: &Facts<'_>,
    pod: &Pod,
    policies: &[&NetworkPolicy],
    silence: &Silence,
    direction: &'static str,
    what: &str,
) -> Finding {
    let names: Vec<&str> = policies.iter().map(|p| &*p.meta.name).collect();
    let first = policies.first().copied();
    let namespace = first.map(|p| &*p.meta.namespace).unwrap_or_default();
    let object = ObjectRef::new("NetworkPolicy", namespace, names.first().copied().unwrap_or_default());
    let selector = first.map(|p| &p.spec.pod_selector.match_labels).into_iter().flatten();
    let selector = selector.map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let selector = if selector.is_empty() { "(all pods of the namespace)".to_owned() } else { selector };
    Draft::pod(facts, "network-policy-blocks", pod)
        .container(&silence.container)
        .says(format!("its connections to {} get no answer, and NetworkPolicy {} {what}", silence.host, names.join(", ")))
        .sure(Confidence::Possible)
        .fact("policy", &object.name)
        .fact("policyNamespace", namespace)
        .fact("direction", direction)
        .root(crate::diagnosis::finding::Root::Object(object.clone()))
        .because(silence.quote.clone())
        .because(draft::quote(object, EvidenceSource::Spec, "spec.podSelector", selector, None))
        .not("a refused connection: nothing answers at all")
        .since(silence.quote.at)
        .done()
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let namespace = fact(finding, "policyNamespace");
    let policy = quoted(fact(finding, "policy"));
    let direction = fact(finding, "direction");
    vec![
        describe(&ObjectRef::new("NetworkPolicy", namespace, fact(finding, "policy")), "what it allows, in words"),
        fix(
            "Allow the connection",
            kubectl(namespace, format!("edit networkpolicy {policy}")),
            Risk::Disruptive,
            format!("its {direction} rules must name the other end and the port"),
        ),
    ]
}
