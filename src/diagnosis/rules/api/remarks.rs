//! What a program that runs says again and again in its log about the cluster: a missing right, an API server that does not
//! answer, names that do not resolve, an expired certificate.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::Fix;
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, read_log};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs::{self, Quotable};
use crate::diagnosis::rules::pods;
use crate::diagnosis::signatures::{Match, Signatures};
use crate::kinds::pods::{ContainerRole, Pod};
use crate::kinds::{KindId, Row};

/// The rule.
pub static REMARKS: Rule = Rule {
    name: "log-remarks",
    causes: CAUSES,
    doc: "\
What it detects
  A container that runs and repeats in its log that it lacks a right, that the API server does not answer, or that a certificate is
  expired.
Reads
  The last 200 lines of the current log where it is at hand (a bundle, or a log on screen), against assets/signatures.toml; only
  lines of the last quarter of an hour when they carry times.
Source
  client-go and apiserver error texts; CoreDNS.
Look-alikes
  One such line is a passing thing: three are needed. A container that crashes is told by its crash. Clients that cannot resolve a
  name are not what is broken.
Fixes
  Grant the right; repair the API server; renew the certificate.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

const CAUSES: &[CauseId] = &[
    CauseId("api-access-forbidden"),
    CauseId("control-plane-overloaded"),
    CauseId("certificate-expiring"),
    CauseId("dns-failing"),
];
/// Lines looked at.
const WINDOW: usize = 200;
/// Lines of one kind that are more than a passing thing.
const REPEATED: usize = 3;
const RECENT: TimeDelta = TimeDelta::minutes(15);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if facts.snapshot.logs.is_empty() || pod.is_finished() || pods::on_dead_node(facts, pod) {
        return;
    }
    for view in pod.containers().filter(|v| matches!(v.role, ContainerRole::Main | ContainerRole::Sidecar)) {
        if view.status.state.running.is_none() {
            continue;
        }
        let name = &view.status.name;
        let Some(log) = logs::known(facts, pod, name).filter(|log| !log.previous) else { continue };
        out.findings.extend(repeated(facts, &log).map(|found| find(facts, pod, name, &log, &found)));
    }
}

/// The newest remark that was made often enough.
fn repeated<'s>(facts: &Facts<'_>, log: &Quotable<'_>) -> Option<Match<'s>> {
    let start = log.lines.len().saturating_sub(WINDOW);
    let mut found: Vec<Match<'s>> = Vec::new();
    for (index, line) in log.lines.iter().enumerate().skip(start).rev() {
        if line.at.is_some_and(|at| at + RECENT < facts.now) {
            break;
        }
        let Some(hit) = Signatures::shipped().of_line(&line.text, index) else { continue };
        if CAUSES.iter().any(|c| c.0 == hit.signature.cause) {
            found.push(hit);
        }
    }
    let cause = &found.first()?.signature.cause;
    let often = found.iter().filter(|m| m.signature.cause == *cause).count() >= REPEATED;
    often.then(|| found.first().cloned()).flatten()
}

fn find(facts: &Facts<'_>, pod: &Pod, container: &str, log: &Quotable<'_>, found: &Match<'_>) -> Finding {
    let cause = CauseId::parse(&found.signature.cause).map_or("app-crash", |c| c.0);
    let group = |name: &str| found.group(name).unwrap_or_default();
    let says = found.signature.says.replace("{user}", group("user")).replace("{name}", group("name"));
    let line = log.lines.get(found.line).map(|line| draft::log_line(log.pod.clone(), container, log.previous, line));
    let draft = Draft::pod(facts, cause, pod);
    let draft = if cause == "control-plane-overloaded" { draft.rooted_outside("control plane", "API server") } else { draft };
    draft
        .container(container)
        .says(crate::text::clean(&says))
        .maybe("user", found.group("user"))
        .sure(Confidence::Likely)
        .because_all(line)
        .not("a crash: the container runs")
        .since(log.lines.get(found.line).and_then(|line| line.at))
        .done()
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let mut fixes = super::events::access(finding);
    fixes.extend(read_log(finding, false));
    fixes.push(describe(&finding.workload, "its service account, image and events"));
    fixes
}
