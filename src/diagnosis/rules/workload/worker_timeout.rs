//! `worker-timeout`: an application server that kills its own workers for being too slow, while the container lives on.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{self, fact, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs;
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::kinds::pods::{ContainerRole, ContainerView, Pod};
use crate::kinds::{KindId, Row};
use crate::snapshot::LogLine;

/// The rule.
pub static WORKER_TIMEOUT: Rule = Rule {
    name: "worker-timeout",
    causes: &[CauseId("worker-timeout")],
    doc: "\
What it detects
  gunicorn, uWSGI or Puma kill their own workers because a request takes longer than their time limit. The container does not
  restart and its pod stays ready; callers get 502 or a closed connection.
Reads
  The container's current log (when it is known: suspected pods, and the sample of workloads behind Services): at least two kills
  within 15 minutes. The time limit from --timeout of the command line or GUNICORN_CMD_ARGS.
Source
  gunicorn arbiter.py (WORKER TIMEOUT, then SIGABRT and SIGKILL), uWSGI core (HARAKIRI), puma cluster.rb (Terminating timed out
  worker); failures.md, gunicorn-worker-timeout.
Look-alikes
  `Worker was sent SIGKILL! Perhaps out of memory?` follows a time-out too: without a WORKER TIMEOUT of the same process before it,
  it is oom-killed-child. A database that does not answer makes every worker time out: then that is the cause.
Fixes
  Find what the requests wait for; more workers or threads; a longer time limit only where requests may take that long.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes,
};

static TIMED_OUT: Pattern = Pattern::new(
    r"WORKER TIMEOUT \(pid:\s*\d+\)|HARAKIRI (?:ON WORKER|\[core)|harakiri.{0,20}killing worker|Terminating timed out worker",
);
static LIMIT: Pattern = Pattern::new(r"(?:--timeout[= ]|-t )(\d+)");
const WITHIN: TimeDelta = TimeDelta::minutes(15);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    let running = |v: &ContainerView<'_>| v.role == ContainerRole::Main && v.status.state.running.is_some();
    for view in pod.containers().filter(running) {
        let name = &*view.status.name;
        let Some(log) = logs::known(facts, pod, name).filter(|log| !log.previous) else { continue };
        let recent = |line: &&&LogLine| pods::is_recent(facts.now, line.at, WITHIN);
        let kills: Vec<&LogLine> = log.lines.iter().filter(|l| TIMED_OUT.is_match(&l.text)).filter(recent).copied().collect();
        if let (Some(first), Some(last)) = (kills.first(), kills.last())
            && kills.len() >= 2
        {
            out.findings.push(found(facts, pod, name, kills.len(), (first, last)));
        }
    }
}

fn found(facts: &Facts<'_>, pod: &Pod, name: &str, kills: usize, (first, last): (&LogLine, &LogLine)) -> Finding {
    let limit = pod.spec.container(name).and_then(time_limit);
    let mut draft = Draft::pod(facts, "worker-timeout", pod).container(name);
    let mut after = "its time limit".to_owned();
    if let Some((seconds, field)) = &limit {
        after = format!("{seconds} s");
        draft = draft.fact("seconds", seconds);
        let path = pod.spec.container_path(name);
        draft = draft.because(draft::log_line(draft::pod_ref(pod), name, false, last));
        draft = draft.because(draft::pod_spec(pod, format!("{path}.{field}"), format!("--timeout {seconds}")));
    }
    draft
        .says(format!("container {name} killed {kills} of its own workers because a request took longer than {after}"))
        .because(draft::log_line(draft::pod_ref(pod), name, false, last))
        .because(draft::log_line(draft::pod_ref(pod), name, false, first))
        .not("a crash: the container itself did not restart")
        .since(first.at)
        .done()
}

/// The time limit of the command line or of `GUNICORN_CMD_ARGS`, and the field it stands in.
fn time_limit(container: &crate::kinds::pod_spec::Container) -> Option<(String, &'static str)> {
    let line = |words: &[crate::text::Text]| words.iter().map(|w| &**w).collect::<Vec<_>>().join(" ");
    let from = |text: &str| LIMIT.group(text, 1).map(str::to_owned);
    if let Some(found) = from(&line(&container.command)) {
        return Some((found, "command"));
    }
    if let Some(found) = from(&line(&container.args)) {
        return Some((found, "args"));
    }
    let variable = container.env.iter().find(|v| &*v.name == "GUNICORN_CMD_ARGS")?;
    Some((from(variable.value.as_deref()?)?, "env[GUNICORN_CMD_ARGS]"))
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let pod = &finding.subject;
    let container = quoted(fact(finding, "container"));
    let mut fixes = vec![fix(
        "Read what the workers were doing",
        kubectl(
            &pod.namespace,
            format!("logs {} -c {container} --since=30m | grep -B20 -E 'TIMEOUT|HARAKIRI|timed out'", quoted(&pod.name)),
        ),
        Risk::Safe,
        "the lines before a kill name the request or the call it waits for",
    )];
    let seconds = fact(finding, "seconds").parse::<u32>().ok().filter(|s| *s > 0).unwrap_or(30);
    let longer = format!("GUNICORN_CMD_ARGS=--timeout {}", seconds.saturating_mul(4));
    if fact(finding, "seconds").is_empty() {
        let why = "only when such requests may take that long: it hides the wait, it does not end it";
        fixes.extend(commands::set_env(finding, &longer, why));
    } else {
        fixes.push(commands::edit(
            finding,
            format!("Raise --timeout above {seconds} in its command, or add workers"),
            "only when such requests may take that long: it hides the wait, it does not end it",
        ));
    }
    fixes
}
