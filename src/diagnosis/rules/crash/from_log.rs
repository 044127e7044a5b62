//! Causes that only the application's own words tell: database, dependency, setting, module, migration and the rest.

use super::context::{self, Endpoint};
use super::log_fixes;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, Finding};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::jobs;
use crate::diagnosis::rules::logs::{self, Quotable};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods::{self, End, Ending};
use crate::diagnosis::rules::workload::environment;
use crate::diagnosis::signatures::{Match, Signatures, Strength};
use crate::kinds::pods::{ContainerRole, Pod};
use crate::kinds::{KindId, Row};
use crate::snapshot::evidence::LogLine;
use crate::text;

/// The rule.
pub static CRASH_FROM_LOG: Rule = Rule {
    name: "crash-from-log",
    causes: &[
        CauseId("database-unreachable"),
        CauseId("database-host-unknown"),
        CauseId("database-auth-failed"),
        CauseId("database-tls-required"),
        CauseId("database-too-many-connections"),
        CauseId("database-pool-exhausted"),
        CauseId("dependency-unreachable"),
        CauseId("setting-missing"),
        CauseId("module-missing"),
        CauseId("migration-failed"),
        CauseId("port-in-use"),
        CauseId("permission-denied"),
        CauseId("filesystem-read-only"),
        CauseId("disk-full"),
        CauseId("heap-exhausted"),
        CauseId("native-crash"),
        CauseId("exec-format-error"),
        CauseId("command-not-found"),
        CauseId("command-not-executable"),
        CauseId("process-exits"),
        CauseId("api-access-forbidden"),
        CauseId("certificate-expiring"),
        CauseId("control-plane-overloaded"),
        CauseId("worker-timeout"),
        CauseId("node-pressure"),
        CauseId("dns-failing"),
        CauseId("init-container-failed"),
        CauseId("app-crash"),
    ],
    doc: "\
What it detects
  Why a container that crashes again and again ended: from the last lines of its log (the previous run's first), else from its
  termination message, else from its exit code alone.
Reads
  status.*containerStatuses[*].{state,lastState}.terminated.{exitCode,reason,message,startedAt,finishedAt}, restartCount; the log
  signatures of assets/signatures.toml over the last 300 lines, from the last line upwards; plain environment variables for the
  host and port of a database (never its password).
Source
  Wordings of psycopg2/3, asyncpg, SQLAlchemy, Django, node-postgres, JDBC, pq, pgx, MySQL, Redis, Kafka, AMQP, pydantic, alembic,
  uvicorn, gunicorn, the JVM, Node and Go, produced by running them (failures.md, B7); exit codes of runc and the shells.
Look-alikes
  \"unable to retrieve container logs\" is the kubelet's word. Exit 0 or 143 after a failed liveness probe is the probe's doing.
  Exit 137 without OOMKilled is no memory problem. Connection refused is said by Redis clients as by database drivers: the
  driver, the port and the variable that holds the host tell them apart. A full database answers before it looks at a password.
Fixes
  The dependency's state, its address in the environment, the missing setting, or the revision before.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes: log_fixes::fixes,
};

static FIELD: Pattern = Pattern::new(r"(?i)^\s+field required");
static FIELD_NAME: Pattern = Pattern::new(r"^[A-Za-z_][\w.]*$");
static UNHANDLED: Pattern = Pattern::new(r"^Unhandled [Ee]xception");
static ERROR_LINE: Pattern = Pattern::new(r"(?i)error|exception|fatal|panic|fail|cannot|could not|unable|denied|refused");

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pods::on_dead_node(facts, pod) || jobs::job::is_of_superseded(facts, pod) {
        return;
    }
    for ending in pods::endings(facts, pod, out) {
        let finding = match ending.end {
            End::Zero => Some(exits(facts, pod, &ending)),
            End::Code(code) => by_code(facts, pod, &ending, code, out),
            End::StartFailed | End::OutOfMemory | End::Probe(..) | End::Hook(_) => None,
        };
        out.findings.extend(finding);
    }
}

fn base(facts: &Facts<'_>, cause: &'static str, pod: &Pod, ending: &Ending<'_>) -> Draft {
    let run = ending.run;
    Draft::pod(facts, cause, pod).container(ending.name()).fact("exitCode", &run.exit_code.to_string()).since(ending.since)
}

fn ended(pod: &Pod, ending: &Ending<'_>) -> crate::diagnosis::finding::Evidence {
    let run = ending.run;
    let lived = run.started_at.zip(run.finished_at).map(|(a, b)| format!(" after {}", text::duration(b - a))).unwrap_or_default();
    let reason = run.reason.as_deref().unwrap_or("ended");
    let restarts = ending.view.status.restart_count;
    draft::pod_status(
        pod,
        ending.field.clone(),
        format!("{reason}, exit code {}{lived}, {restarts} restarts", run.exit_code),
        run.finished_at,
    )
}

fn exits(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>) -> Finding {
    base(facts, "process-exits", pod, ending)
        .says(format!(
            "container {} ends by itself with exit code 0, and a {} restarts it each time",
            ending.name(),
            facts.snapshot.workload_of(pod).kind
        ))
        .because(ended(pod, ending))
        .not("a liveness probe: the kubelet did not kill it")
        .done()
}

fn by_code(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>, code: i32, out: &mut Output) -> Option<Finding> {
    let killed = matches!(code, 137 | 143);
    let log = logs::of_ending(facts, pod, ending, out);
    if code == 137 && super::oom::node_oom(facts, pod, ending).is_some() {
        return None; // oom-killed names the node.
    }
    if let Some(log) = &log {
        let lines: Vec<&str> = log.lines.iter().map(|l| &*l.text).collect();
        // A Go panic prints the signal of a nil pointer: the program's own mistake, not one of native code.
        let panics = lines.iter().any(|line| line.starts_with("panic: "));
        let found = Signatures::shipped().find(&lines).filter(|m| !(panics && m.signature.id == "native"));
        if let Some(found) = found.filter(|m| !killed && m.signature.strength > Strength::Weak) {
            return Some(signed(facts, pod, ending, log, &found));
        }
        return Some(unsigned(facts, pod, ending, code, Some(log)));
    }
    if let Some(line) = message_lines(pod, ending)
        && !killed
        && let Some(found) = Signatures::shipped().find(&line.lines().collect::<Vec<_>>())
        && found.signature.strength > Strength::Weak
    {
        let lines: Vec<LogLine> = line.lines().map(|l| LogLine { at: ending.run.finished_at, text: l.into() }).collect();
        let quotable = Quotable { lines: lines.iter().collect(), pod: draft::pod_ref(pod), previous: ending.previous };
        return Some(signed(facts, pod, ending, &quotable, &found));
    }
    if !killed && let Some(finding) = without_words(facts, pod, ending) {
        return Some(finding);
    }
    Some(unsigned(facts, pod, ending, code, None))
}

/// No log and no message: a database address in the environment that names a Service which does not exist is the best guess.
fn without_words(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>) -> Option<Finding> {
    let container = pod.spec.container(ending.name())?;
    let endpoint = context::database_of(container)?;
    let mut labels = endpoint.host.split('.');
    let (name, namespace) = (labels.next()?, labels.next().unwrap_or(&pod.meta.namespace));
    let within = matches!(labels.next(), None | Some("svc")) && endpoint.host.parse::<std::net::IpAddr>().is_err();
    // Two labels may as well be a domain of the outside world.
    let within = within && (!endpoint.host.contains('.') || facts.snapshot.namespaces.named("", namespace).is_some());
    let all_known = facts.snapshot.coverage.is_complete(KindId::Service, namespace);
    if !within || !all_known || name == "localhost" || facts.snapshot.services.named(namespace, name).is_some() {
        return None;
    }
    let variable = endpoint.variable.clone().unwrap_or_default();
    let field = format!("{}.env[{variable}]", pod.spec.container_path(ending.name()));
    Some(
        base(facts, "database-host-unknown", pod, ending)
            .says(format!("its log is not at hand, and {variable} names the host {}, which no Service has", endpoint.host))
            .sure(Confidence::Possible)
            .fact("host", &endpoint.host)
            .fact("variable", &variable)
            .rooted_outside("database", &context::root_of(pod, "database-host-unknown", &endpoint).unwrap_or_default())
            .because(ended(pod, ending))
            .because(draft::pod_spec(pod, field, format!("host {}", endpoint.host)))
            .done(),
    )
}

/// The termination message, when the application or the kubelet's fallback wrote one.
fn message_lines<'a>(_pod: &Pod, ending: &Ending<'a>) -> Option<&'a str> {
    ending.run.message.as_deref().filter(|m| !m.trim().is_empty())
}

/// Names of the fields a settings model misses: the line before each `field required`.
fn missing_fields(log: &Quotable<'_>) -> Vec<String> {
    let pairs = log.lines.iter().zip(log.lines.iter().skip(1));
    pairs
        .filter(|(name, required)| FIELD.is_match(&required.text) && FIELD_NAME.is_match(name.text.trim()))
        .map(|(name, _)| name.text.trim().to_uppercase())
        .collect()
}

/// A crash whose log carries a signature.
fn signed(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>, log: &Quotable<'_>, found: &Match<'_>) -> Finding {
    let code = ending.run.exit_code.to_string();
    let draft = spoken(facts, pod, ending.name(), log, found).fact("exitCode", &code).because(ended(pod, ending));
    draft.since(ending.since).done()
}

/// What a container that still runs waits for, when its log names it.
pub fn waits_for(facts: &Facts<'_>, pod: &Pod, name: &str, log: &Quotable<'_>) -> Option<Draft> {
    let lines: Vec<&str> = log.lines.iter().map(|l| &*l.text).collect();
    let found = Signatures::shipped().find(&lines)?;
    let waiting = ["database-", "dependency-", "migration-"].iter().any(|family| found.signature.cause.starts_with(family));
    (waiting && found.signature.strength > Strength::Weak).then(|| spoken(facts, pod, name, log, &found))
}

/// The cause a signature stands for, with the line it was read from.
pub fn spoken(facts: &Facts<'_>, pod: &Pod, name_of: &str, log: &Quotable<'_>, found: &Match<'_>) -> Draft {
    let container = pod.spec.container(name_of).map(|c| environment::resolved(facts.snapshot, &pod.meta.namespace, c));
    let container = container.as_deref();
    let host = found.group("host").map(|h| h.trim_matches(['[', ']']));
    let port = found.group("port");
    let mut cause: &str = &found.signature.cause;
    if let Some(otherwise) = &found.signature.otherwise
        && !context::is_database(log, found.line, port, host, container).unwrap_or(false)
    {
        cause = otherwise;
    }
    let cause = CauseId::parse(cause).map_or("app-crash", |c| c.0);
    let mut draft = Draft::pod(facts, cause, pod)
        .container(name_of)
        .maybe("host", host)
        .maybe("port", port)
        .maybe("user", found.group("user"))
        .maybe("database", found.group("database"))
        .maybe("path", found.group("path"));
    let fields = if cause == "setting-missing" { missing_fields(log) } else { Vec::new() };
    let name = fields.first().map(String::as_str).or_else(|| found.group("name"));
    draft = draft.maybe("name", name);
    let endpoint = endpoint(facts, pod, container, cause, (host, port));
    if let Some(endpoint) = &endpoint {
        let what = if cause.starts_with("database-") { "database" } else { "dependency" };
        if let Some(root) = context::root_of(pod, cause, endpoint) {
            draft = draft.rooted_outside(what, &root);
        }
        draft = draft.maybe("variable", endpoint.variable.as_deref()).fact("endpoint", &endpoint.at());
    }
    if cause == "control-plane-overloaded" {
        draft = draft.rooted_outside("control plane", "API server");
    }
    if cause == "node-pressure" {
        draft = draft.rooted_in("Node", "", pod.node_name.as_deref().unwrap_or_default());
    }
    let at = host.map(|h| port.map_or_else(|| h.to_owned(), |p| format!("{h}:{p}"))).or_else(|| endpoint.map(|e| e.at()));
    let says = sentence(found, at.as_deref(), &fields);
    if let Some(line) = log.lines.get(found.line) {
        draft = draft.because(draft::log_line(log.pod.clone(), name_of, log.previous, line));
    }
    let sure = if found.signature.strength == Strength::Strong { Confidence::Certain } else { Confidence::Likely };
    draft.says(says).sure(sure).not(excluded(cause))
}

fn excluded(cause: &str) -> &'static str {
    match cause {
        "database-too-many-connections" => "a wrong password: the server refused before looking at it (it may still be wrong)",
        "database-host-unknown" => "a refused connection: the name did not even resolve",
        "database-auth-failed" => "the network: the database answered",
        _ => "a probe or the memory limit: the process ended by itself",
    }
}

fn sentence(found: &Match<'_>, at: Option<&str>, fields: &[String]) -> String {
    let mut says = found.signature.says.clone();
    let name = if fields.is_empty() { found.group("name").map(str::to_owned) } else { Some(fields.join(", ")) };
    let values = [
        ("{at}", at.map(str::to_owned)),
        ("{name}", name),
        ("{host}", found.group("host").map(str::to_owned)),
        ("{user}", found.group("user").map(|u| format!("user {u}"))),
        ("{database}", found.group("database").map(str::to_owned)),
        ("{path}", found.group("path").map(str::to_owned)),
    ];
    for (slot, value) in values {
        says = match value.filter(|v| !v.is_empty()) {
            Some(value) => says.replace(slot, text::ellipsis(value.trim(), 100).trim_end_matches('.')),
            None => {
                [": ", " of ", " "].iter().fold(says, |says, word| says.replace(&format!("{word}{slot}"), "")).replace(slot, "")
            }
        };
    }
    text::clean(says.trim())
}

/// Where the finding's dependency lives, under one name for every pod that uses it.
fn endpoint(
    facts: &Facts<'_>,
    pod: &Pod,
    container: Option<&crate::kinds::pod_spec::Container>,
    cause: &str,
    (host, port): (Option<&str>, Option<&str>),
) -> Option<Endpoint> {
    let is_database = cause.starts_with("database-") && cause != "database-pool-exhausted";
    if !is_database && cause != "dependency-unreachable" {
        return None;
    }
    let named = host.map(|h| Endpoint { host: h.to_owned(), port: port.map(str::to_owned), variable: None });
    let from_env = if is_database { container.and_then(context::database_of) } else { None };
    let mut endpoint = match (named, from_env) {
        (Some(mut named), env) => {
            named.variable =
                env.filter(|e| e.host == named.host || named.host.parse::<std::net::IpAddr>().is_ok()).and_then(|e| e.variable);
            named
        }
        (None, Some(env)) => env,
        (None, None) if is_database => the_only_database(facts, pod)?,
        (None, None) => return None,
    };
    if let Some(service) = context::service_of(facts, &pod.meta.namespace, &endpoint.host) {
        endpoint.port = endpoint.port.or(service.port);
        endpoint.host = service.host;
    }
    Some(endpoint)
}

/// When nothing names the database but the namespace has exactly one Service on a database port, it is that one.
fn the_only_database(facts: &Facts<'_>, pod: &Pod) -> Option<Endpoint> {
    let mut found = facts.snapshot.services.in_namespace(&pod.meta.namespace).filter_map(|s| {
        let port = s.spec.ports.iter().find(|p| matches!(p.port, 5432 | 6432 | 3306 | 1433 | 1521))?;
        Some(Endpoint { host: s.meta.name.to_string(), port: Some(port.port.to_string()), variable: None })
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Without a signature: the exit code, and the last line that looks like an error.
fn unsigned(facts: &Facts<'_>, pod: &Pod, ending: &Ending<'_>, code: i32, log: Option<&Quotable<'_>>) -> Finding {
    let name = ending.name();
    let is_init = ending.view.role == ContainerRole::Init;
    let (cause, what) = match code {
        126 => ("command-not-executable", "its command is not executable (exit code 126)".to_owned()),
        127 => ("command-not-found", "its command was not found (exit code 127)".to_owned()),
        132 => ("native-crash", "SIGILL (exit code 132): built for another CPU".to_owned()),
        // The .NET runtime aborts after an exception nobody caught: the program's own mistake.
        134 if log.is_some_and(|l| l.lines.iter().any(|line| UNHANDLED.is_match(&line.text))) => {
            ("app-crash", "an exception that nobody caught (exit code 134)".to_owned())
        }
        134 => ("native-crash", "SIGABRT (exit code 134)".to_owned()),
        135 => ("native-crash", "SIGBUS (exit code 135), often a full /dev/shm".to_owned()),
        136 => ("native-crash", "SIGFPE (exit code 136)".to_owned()),
        139 => ("native-crash", "SIGSEGV (exit code 139)".to_owned()),
        137 => ("app-crash", "it was killed with SIGKILL (exit code 137), not for its memory limit".to_owned()),
        143 => ("app-crash", "it was stopped with SIGTERM (exit code 143)".to_owned()),
        code if is_init => ("init-container-failed", format!("the init container exits with {code}")),
        code => ("app-crash", format!("it exits with {code}")),
    };
    let line = log.and_then(last_error);
    let mut draft = base(facts, cause, pod, ending).because(ended(pod, ending));
    let says = match &line {
        Some(line) => format!(
            "container {name} crashes: {what}; its last words: {}",
            text::ellipsis(text::clean(line.text.trim()).as_str(), 140)
        ),
        None => format!("container {name} crashes: {what}"),
    };
    if let (Some(line), Some(log)) = (line, log) {
        draft = draft.because(draft::log_line(log.pod.clone(), name, log.previous, line));
    }
    if let Some(message) = message_lines(pod, ending) {
        draft =
            draft.because(draft::pod_status(pod, format!("{}.message", ending.field), message.trim(), ending.run.finished_at));
    }
    let sure = if cause == "app-crash" || is_init || log.is_none() { Confidence::Likely } else { Confidence::Certain };
    draft.says(says).sure(sure).not("the memory limit: the runtime does not say OOMKilled").done()
}

/// The last line that looks like an error, else the last line that says anything.
fn last_error<'a>(log: &Quotable<'a>) -> Option<&'a LogLine> {
    let said = || log.lines.iter().rev().filter(|l| l.text.trim().len() > 2);
    // Rust says where it panics, and why on the next line.
    let panic = log.lines.iter().rposition(|l| l.text.contains("panicked at ") && l.text.trim_end().ends_with(':'));
    if let Some(why) = panic.and_then(|at| log.lines.get(at + 1)).filter(|why| !why.text.trim().is_empty()) {
        return Some(*why);
    }
    let weak = Signatures::shipped();
    said()
        .find(|l| {
            ERROR_LINE.is_match(&l.text) && weak.of_line(&l.text, 0).is_some() && !l.text.contains("Application startup failed")
        })
        .or_else(|| said().find(|l| ERROR_LINE.is_match(&l.text)))
        .or_else(|| said().next())
        .copied()
}
