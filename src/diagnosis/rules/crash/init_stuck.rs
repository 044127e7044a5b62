//! Init containers that neither end nor fail: they wait for something that does not come.

use chrono::TimeDelta;

use super::from_log;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::Confidence;
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::logs;
use crate::diagnosis::rules::pods;
use crate::kinds::pods::ContainerRole;
use crate::kinds::{KindId, Row};
use crate::text;

/// The rule.
pub static INIT_STUCK: Rule = Rule {
    name: "init-stuck",
    causes: &[
        CauseId("init-container-failed"),
        CauseId("database-unreachable"),
        CauseId("database-host-unknown"),
        CauseId("database-auth-failed"),
        CauseId("database-tls-required"),
        CauseId("database-too-many-connections"),
        CauseId("dependency-unreachable"),
        CauseId("migration-failed"),
    ],
    doc: "\
What it detects
  An init container that runs for minutes while the pod's containers wait: usually a loop that waits for a dependency, or a
  migration that waits for a lock. Its log names the dependency where it can.
Reads
  status.initContainerStatuses[*].state.running.startedAt, condition Initialized, the init container's current log.
Source
  pkg/kubelet (init containers run one after the other, without a time limit).
Look-alikes
  A sidecar (restartPolicy Always) runs on purpose. An init container that ends with an error crashes, and is told as such.
Fixes
  Repair what it waits for.
",
    subject: KindId::Pod,
    needs: &[],
    check,
    fixes: super::log_fixes::fixes,
};

/// With a log that names the failure, and without one.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);
const LONG_PATIENCE: TimeDelta = TimeDelta::seconds(300);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Some(pod) = pods::live_pod(row) else { return };
    if pod.is_finished() || pods::on_dead_node(facts, pod) || pods::is_retried_by_job(facts, pod) {
        return;
    }
    for view in pod.containers().filter(|v| v.role == ContainerRole::Init && v.status.restart_count == 0) {
        let Some(started) = view.status.state.running.as_ref().and_then(|r| r.started_at) else { continue };
        if facts.now < started + PATIENCE {
            out.recheck_at(started + PATIENCE);
            continue;
        }
        let name = &view.status.name;
        let log = logs::current(facts, pod, name, 0, out);
        let field = format!("{}.state.running", view.path());
        let runs = draft::pod_status(
            pod,
            field,
            format!("init container {name} runs since {}", text::timestamp(started)),
            Some(started),
        );
        if let Some(found) = log.as_ref().and_then(|log| from_log::waits_for(facts, pod, name, log)) {
            out.findings.push(found.because(runs).since(Some(started)).done());
            continue;
        }
        if facts.now < started + LONG_PATIENCE {
            out.recheck_at(started + LONG_PATIENCE);
            continue;
        }
        let last = log.as_ref().and_then(|l| Some(draft::log_line(l.pod.clone(), name, false, l.lines.last()?)));
        out.findings.push(
            Draft::pod(facts, "init-container-failed", pod)
                .container(name)
                .says(format!("init container {name} runs since {} and does not end", text::moment(started, facts.now)))
                .sure(Confidence::Likely)
                .because(runs)
                .because_all(last)
                .not("a crash: it has not ended once")
                .since(Some(started))
                .done(),
        );
    }
}
