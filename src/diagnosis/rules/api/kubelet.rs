//! `node-not-ready` seen by the client: the kubelet's own port does not answer for logs, so its serving certificate or the way
//! to it is broken.

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fix};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::{KindId, Row};

/// The rule.
pub static KUBELET: Rule = Rule {
    name: "kubelet-serving",
    causes: &[CauseId("node-not-ready")],
    doc: "\
What it detects
  A kubelet that the API server cannot talk to: logs and exec fail for every pod of one node although the node reports as ready.
Reads
  What the API server answered instead of a log: \"tls: internal error\", an expired certificate of port 10250, no serving
  certificate.
Source
  pkg/kubelet/certificate; kubernetes.io/kubelet-serving CSRs are not approved by themselves.
Look-alikes
  \"unable to retrieve container logs\" comes from a kubelet that answers. A node that is not ready has its own finding.
Fixes
  Approve the kubelet's pending certificate signing request.
",
    subject: KindId::Node,
    needs: &[],
    check,
    fixes,
};

/// The API server's words about a kubelet port that does not work.
pub static UNREACHABLE: Pattern = Pattern::new(
    r"remote error: tls: internal error|x509: certificate has expired or is not yet valid.*:10250|:10250/.*x509: certificate has expired|no serving certificate available for the kubelet|dial tcp \S+:10250: (?:connect: connection refused|i/o timeout|connect: no route to host)",
);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Node(node) = row else { return };
    if !node.is_ready() {
        return;
    }
    let logs = &facts.snapshot.logs;
    if logs.is_empty() {
        return;
    }
    let mut refused = facts.snapshot.pods_on(&node.meta.name).flat_map(|pod| {
        let from = crate::snapshot::LogKey {
            namespace: pod.meta.namespace.clone(),
            pod: pod.meta.name.clone(),
            container: "".into(),
            previous: false,
        };
        let own = logs.range(from..).take_while(|(k, _)| k.namespace == pod.meta.namespace && k.pod == pod.meta.name);
        own.filter_map(move |(_, log)| Some((pod, log.unavailable.as_deref()?)))
    });
    let Some((pod, words)) = refused.find(|(_, words)| UNREACHABLE.is_match(words)) else { return };
    out.findings.push(
        Draft::new(facts, "node-not-ready", "Node", &node.meta)
            .rooted_in("Node", "", &node.meta.name)
            .says(format!(
                "the kubelet of node {} cannot be asked for logs: its serving certificate or port is broken",
                node.meta.name
            ))
            .severity(Severity::Warning)
            .sure(Confidence::Likely)
            .fact("node", &node.meta.name)
            .because(draft::quote(draft::pod_ref(pod), EvidenceSource::Log, "answer to the request for the log", words, None))
            .done(),
    );
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    vec![
        fix(
            "List the kubelets' certificate requests",
            "kubectl get csr --field-selector spec.signerName=kubernetes.io/kubelet-serving",
            Risk::Safe,
            "a pending one of this node waits to be approved",
        ),
        describe(&finding.subject, "addresses and conditions of the node"),
    ]
}
