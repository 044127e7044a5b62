//! What a program that runs says again and again in its log about the cluster: a missing right, an API server that does not
//! answer, names that do not resolve, an expired certificate.

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::incident::Fix;
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, read_log};
use crate::diagnosis::rules::crash::{from_log, log_fixes};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs::{self, Quotable};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods::{self, ProbeKind};
use crate::diagnosis::rules::probes::failure::{self, Failure};
use crate::diagnosis::signatures::{self, Match, Signatures, Strength};
use crate::kinds::pod_spec::Container;
use crate::kinds::pods::{ContainerRole, ContainerView, Pod};
use crate::kinds::{KindId, Row};

/// The rule.
pub static REMARKS: Rule = Rule {
    name: "log-remarks",
    causes: CAUSES,
    doc: "\
What it detects
  A container that runs and repeats in its log that it lacks a right, that the API server does not answer, or that a certificate is
  expired; or one that counts as ready and keeps complaining that its pool or its database is used up, that it cannot reach or log
  in to what it needs, or that its disk is full; or one that answers its readiness probe with 5xx, and says in its log why.
Reads
  The last 200 lines of the current log where it is at hand (a bundle, a log on screen; asked for when the readiness probe is
  answered with 5xx), against assets/signatures.toml; only
  lines of the last quarter of an hour when they carry times.
Source
  client-go and apiserver error texts; CoreDNS.
Look-alikes
  One such line is a passing thing: three are needed. What it could not reach before it says that it is connected, or answers
  requests well, is past. A container that crashes is told by its crash, one whose readiness probe gets no answer by its probe. A database's own log
  tells of its clients' trouble, not of its own.
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
    CauseId("database-pool-exhausted"),
    CauseId("database-too-many-connections"),
    CauseId("database-unreachable"),
    CauseId("database-host-unknown"),
    CauseId("database-auth-failed"),
    CauseId("database-tls-required"),
    CauseId("dependency-unreachable"),
    CauseId("disk-full"),
];
/// Those of them that only a container which passes for ready is asked about. A limit that is used up stays one while other
/// requests get through; the rest is over once something succeeds.
const LIMITS: &[&str] = &["database-pool-exhausted", "database-too-many-connections", "disk-full"];
const OF_SYSTEM: &[&str] = &["api-access-forbidden", "control-plane-overloaded", "certificate-expiring", "dns-failing"];
/// How `PostgreSQL`, `MySQL` and Redis begin their own lines.
static SERVER_LINE: Pattern =
    Pattern::new(r"^\S+ \S+ \w+ \[\d+\](?: \S+)* (?:FATAL|LOG|ERROR|PANIC):  |\[MY-\d{6}\]|^\d+:[MSCX] \d\d \w{3} ");
/// Servers whose logs hold their clients' failures.
static SERVER: Pattern = Pattern::new(
    r"(?i)postgres|mysql|mariadb|percona|mongo|redis|valkey|kafka|rabbitmq|pgbouncer|pgpool|proxysql|nginx|envoy|haproxy|traefik|coredns|elastic|timescale|istio|fluent|promtail|vector|prometheus|grafana|exporter",
);
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
        let unwell = says_unwell(facts, pod, &view);
        let log = if unwell && speaks(facts, pod) {
            logs::current(facts, pod, name, view.status.restart_count, out)
        } else {
            logs::known(facts, pod, name).filter(|log| !log.previous)
        };
        let Some(log) = log else { continue };
        let tells = (pod.is_ready() || unwell) && pod.spec.container(name).is_some_and(|c| !is_server(pod, c, &log));
        let asked = |cause: &str| OF_SYSTEM.contains(&cause) || tells && CAUSES.iter().any(|c| c.0 == cause);
        let Some(found) = repeated(facts, &log, unwell, asked) else { continue };
        out.findings.push(if OF_SYSTEM.contains(&&*found.signature.cause) {
            find(facts, pod, name, &log, &found)
        } else {
            let at = log.lines.get(found.line).and_then(|line| line.at);
            let told = from_log::spoken(facts, pod, name, &log, &found).sure(Confidence::Likely);
            let told = if unwell { told } else { told.severity(Severity::Warning) };
            told.not("a crash: the container runs").since(at).done()
        });
    }
}

/// True when the program itself answers its readiness probe that it is not well: its log is where it says why.
fn says_unwell(facts: &Facts<'_>, pod: &Pod, view: &ContainerView<'_>) -> bool {
    let Some(started) = view.status.state.running.as_ref().and_then(|r| r.started_at) else { return false };
    if pod.is_ready() || view.status.ready || !pods::endings(facts, pod, &mut Output::default()).is_empty() {
        return false;
    }
    let since = pod.condition("Ready").and_then(|c| c.last_transition_time).map_or(started, |unready| unready.max(started));
    let failed = failure::newest(facts, pod, &view.status.name, ProbeKind::Readiness, Some(since));
    failed.is_some_and(|event| matches!(Failure::parse(event.text()), Failure::Status(500..=599)))
}

/// One pod of a workload that is not ready speaks for the others.
fn speaks(facts: &Facts<'_>, pod: &Pod) -> bool {
    let Some(owner) = pod.meta.controller() else { return true };
    let first = facts.snapshot.pods.controlled_by(&owner.uid).find(|sibling| !sibling.is_ready());
    first.is_none_or(|first| first.meta.name == pod.meta.name)
}

/// True for a program that others connect to: its log holds their failures. By its image, its name, its ports, or how it writes.
fn is_server(pod: &Pod, container: &Container, log: &Quotable<'_>) -> bool {
    let names = [&*container.image, &*container.name, &*pod.meta.name];
    let serves =
        container.ports.iter().any(|p| matches!(p.container_port, 3306 | 5432 | 5672 | 6379 | 6432 | 9092 | 9200 | 27017));
    serves || names.iter().any(|name| SERVER.is_match(name)) || log.lines.iter().any(|line| SERVER_LINE.is_match(&line.text))
}

/// The newest remark that was made often enough.
/// A program that says it is unwell answers other requests all the same.
fn repeated<'s>(facts: &Facts<'_>, log: &Quotable<'_>, unwell: bool, asked: impl Fn(&str) -> bool) -> Option<Match<'s>> {
    let start = log.lines.len().saturating_sub(WINDOW);
    let mut found: Vec<Match<'s>> = Vec::new();
    let mut succeeded = false;
    for (index, line) in log.lines.iter().enumerate().skip(start).rev() {
        if line.at.is_some_and(|at| at + RECENT < facts.now) {
            break;
        }
        succeeded |= signatures::came_up(&line.text) && !(unwell && line.text.contains("HTTP/"));
        let hit = Signatures::shipped().of_line(&line.text, index).filter(|_| !signatures::is_aside(&line.text));
        let Some(hit) = hit else { continue };
        let cause = &*hit.signature.cause;
        let lasts =
            OF_SYSTEM.contains(&cause) || hit.signature.strength == Strength::Strong && (LIMITS.contains(&cause) || !succeeded);
        if asked(cause) && lasts {
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
    let says =
        found.signature.says.replace("{user}", group("user")).replace("{name}", group("name")).replace("{path}", group("path"));
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

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    if !OF_SYSTEM.contains(&finding.cause.0) {
        return log_fixes::fixes(facts, finding);
    }
    let mut fixes = super::events::access(finding);
    fixes.extend(read_log(finding, false));
    fixes.push(describe(&finding.workload, "its service account, image and events"));
    fixes
}
