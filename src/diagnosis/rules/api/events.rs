//! Causes that events name by themselves, whatever they are about: no Service address left, the API server or etcd too slow, a
//! right that is missing, a certificate that ended.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::events::Event;
use crate::kinds::{KindId, Meta, Row};

/// The rule.
pub static EVENTS: Rule = Rule {
    name: "said-by-events",
    causes: &[
        CauseId("service-ip-exhausted"),
        CauseId("control-plane-overloaded"),
        CauseId("api-access-forbidden"),
        CauseId("certificate-expiring"),
        CauseId("dns-failing"),
    ],
    doc: "\
What it detects
  What a component of the cluster says in an event and no status repeats: the Service address range is full, the API server or
  etcd does not keep up, a controller may not do what it wants, a certificate is expired, a pod was given no cluster DNS.
Reads
  Message and reason of events of the last hour (ServiceCIDRFull, FailedCreate, SyncLoadBalancerFailed, CertificateExpired,
  MissingClusterDNS, ...), of any object that still exists.
Source
  pkg/registry/core/service/ipallocator/controller/repair.go; apiserver error texts; apiserver RBAC authorizer;
  pkg/kubelet/network/dns; podcertificatemanager.go.
Look-alikes
  A single time-out is retried and heals: the API server counts as overloaded when it is said three times. DNSConfigForming is said
  on most clusters without harm. Events expire after an hour, so their absence proves nothing.
Fixes
  Add a ServiceCIDR or delete unused Services; relieve the API server; grant the right; renew the certificate.
",
    subject: KindId::Event,
    needs: &[],
    check,
    fixes,
};

/// Wordings, each with its cause and how often it must have been said.
pub static SAID: [(&str, i32, Pattern); 5] = [
    (
        "service-ip-exhausted",
        1,
        Pattern::new(
            r"failed to allocate (?:IP|a serviceIP|a nodePort).*range is full|Service CIDR \S+ is full|failed to allocate a? ?(?:cluster|service) ?IP.*(?:full|exhausted|no (?:more|available))|[Nn]ode ?[Pp]ort range \S* ?is full",
        ),
    ),
    (
        "control-plane-overloaded",
        3,
        Pattern::new(
            r"the server has received too many requests and has asked us to try again later|etcdserver: (?:request timed out|leader changed|mvcc: database space exceeded|too many requests|no leader)|net/http: TLS handshake timeout|client rate limiter Wait returned an error|Timeout: request did not complete within requested timeout|the server was unable to return a response in the time allotted|leader ?election lost|stopped leading",
        ),
    ),
    (
        "api-access-forbidden",
        1,
        Pattern::new(r#"is forbidden: User "system:serviceaccount:([^"]+)" cannot (\w+ resource "[^"]+")"#),
    ),
    (
        "certificate-expiring",
        1,
        Pattern::new(
            r"certificate (?:has expired|is expired)|Certificate (?:expired on|is expired|will expire)|x509: certificate has expired|certificate request has failed to complete and will be retried",
        ),
    ),
    (
        "dns-failing",
        1,
        Pattern::new(r#"kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy"#),
    ),
];

/// Older ones may be another story.
const RECENT: TimeDelta = TimeDelta::hours(1);

/// The cause an event's text names, whatever it is about, if it was said often enough.
pub fn classify(text: &str, times: i32) -> Option<&'static str> {
    SAID.iter().find(|(_, least, pattern)| times >= *least && pattern.is_match(text)).map(|(cause, ..)| *cause)
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Event(event) = row else { return };
    let reason_alone = match &*event.reason {
        "ServiceCIDRFull" | "PortRangeFull" => Some("service-ip-exhausted"),
        "CertificateExpired" | "CertificateOverdueForRefresh" => Some("certificate-expiring"),
        _ => None,
    };
    if event.last_seen().is_some_and(|seen| seen + RECENT < facts.now) || is_of_a_pod_start(event) {
        return;
    }
    let Some(cause) = reason_alone.or_else(|| classify(event.text(), event.times())) else { return };
    // Admission, image and webhook errors about pods carry such texts too and are told by their own rules.
    let Some((kind, meta)) = subject(facts, event) else { return };
    if let Some(seen) = event.last_seen() {
        out.recheck_at(seen + RECENT + TimeDelta::seconds(1));
    }
    out.findings.push(find(facts, event, cause, (&kind, &meta)));
}

/// True for a step of a pod's start: image, sandbox, volume and webhook errors carry texts of other systems and are told by their own rules.
fn is_of_a_pod_start(event: &Event) -> bool {
    match &*event.reason {
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" | "FailedCreatePodSandBox" | "Unhealthy" => true,
        "Failed" => event.text().starts_with("Failed to pull image"),
        _ => event.text().contains("failed calling webhook"),
    }
}

/// What it is about, if that still exists as far as anyone knows.
fn subject(facts: &Facts<'_>, event: &Event) -> Option<(String, Meta)> {
    let object = event.object();
    let bare = || Meta { name: object.name.clone(), namespace: object.namespace.clone(), ..Meta::default() };
    let Some(kind) = KindId::from_name(&object.kind) else { return Some((object.kind.to_string(), bare())) };
    if let Some(found) = facts.snapshot.find(&object) {
        let meta = found.meta();
        let gone = !event.involved_object.uid.is_empty() && !meta.uid.is_empty() && event.involved_object.uid != meta.uid;
        return (!gone && meta.deletion_timestamp.is_none()).then(|| (object.kind.to_string(), meta.clone()));
    }
    (!facts.snapshot.coverage.is_complete(kind, &object.namespace)).then(|| (object.kind.to_string(), bare()))
}

fn find(facts: &Facts<'_>, event: &Event, cause: &'static str, (kind, meta): (&str, &Meta)) -> Finding {
    let own = crate::text::ellipsis(event.text().trim_end_matches('.'), 200);
    let forbidden = SAID.iter().find(|(c, ..)| *c == "api-access-forbidden").and_then(|(.., p)| p.captures(event.text()));
    let says = match (cause, &forbidden) {
        ("service-ip-exhausted", _) => format!("no Service address is left: {own}"),
        ("control-plane-overloaded", _) => format!("the API server does not keep up: {own}"),
        ("api-access-forbidden", Some(c)) => {
            format!("the service account {} may not {}", c.get(1).map_or("", |m| m.as_str()), c.get(2).map_or("", |m| m.as_str()))
        }
        ("dns-failing", _) => "its kubelet has no cluster DNS address, so cluster names do not resolve in it".to_owned(),
        _ => own,
    };
    let draft = Draft::new(facts, cause, kind, meta)
        .says(says.replace('\n', " "))
        .maybe("user", forbidden.as_ref().and_then(|c| c.get(1)).map(|m| m.as_str()))
        .because(draft::event(event))
        .sure(Confidence::Likely)
        .since(event.first_seen());
    match cause {
        "service-ip-exhausted" => draft.rooted_outside("service range", "cluster").done(),
        "control-plane-overloaded" => draft.rooted_outside("control plane", "API server").done(),
        _ => draft.done(),
    }
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let mut fixes = match finding.cause.0 {
        "service-ip-exhausted" => vec![fix(
            "See the ranges and who uses them",
            "kubectl get servicecidrs,ipaddresses",
            Risk::Safe,
            "since 1.33 a second ServiceCIDR object widens the range; deleting unused Services frees addresses",
        )],
        "control-plane-overloaded" => vec![fix(
            "Ask the API server how it is",
            "kubectl get --raw '/readyz?verbose'",
            Risk::Safe,
            "names the part that fails, etcd first of all",
        )],
        "api-access-forbidden" => access(finding),
        _ => Vec::new(),
    };
    fixes.push(describe(&finding.subject, "its events in full"));
    fixes
}

/// What to do about a right that is missing.
pub fn access(finding: &Finding) -> Vec<Fix> {
    let user = fact(finding, "user");
    let Some((namespace, account)) = user.split_once(':') else { return Vec::new() };
    let binding = format!("create rolebinding {account}-view --clusterrole=view --serviceaccount={namespace}:{account}");
    vec![
        fix(
            "See what the service account may do",
            kubectl(namespace, format!("auth can-i --list --as={}", quoted(&format!("system:serviceaccount:{user}")))),
            Risk::Safe,
            "the list shows what is missing",
        ),
        fix(
            "Let it read the namespace",
            kubectl(namespace, binding),
            Risk::Destructive,
            "widens its rights: only when it is meant to have them",
        ),
    ]
}
