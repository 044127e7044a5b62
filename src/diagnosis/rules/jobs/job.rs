//! `job-failed`, `job-deadline-exceeded`: the Job gave up.

use chrono::TimeDelta;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::Finding;
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fix, quoted, workload_log};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::workload::migration::repository;
use crate::kinds::jobs::Job;
use crate::kinds::pods::ContainerRole;
use crate::kinds::{Condition, KindId, ObjectRef, Row};

/// The rule.
pub static JOB: Rule = Rule {
    name: "job",
    causes: &[CauseId("job-failed"), CauseId("job-deadline-exceeded")],
    doc: "\
What it detects
  A Job that has given up: its back-off limit is reached, its deadline has passed, or its failure policy said so. A Job whose work
  is done while a sidecar in a plain container keeps its pod alive.
Reads
  status.conditions[Failed] (and FailureTarget before it) with reason and message; status.failed; the pods' exit codes.
Source
  pkg/controller/job/job_controller.go.
Look-alikes
  A Job that still retries has not failed. A suspended or completed one is fine. A failed one is history once a later run of its
  CronJob, or a later Job that does the same, has succeeded. The pods' own cause, where their log tells it,
  replaces this finding.
Fixes
  Repair the cause and create the Job again.
",
    subject: KindId::Job,
    needs: &[],
    check,
    fixes,
};

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Job(job) = row else { return };
    let failed =
        ["Failed", "FailureTarget"].iter().find_map(|k| Condition::find(&job.status.conditions, k)).filter(|c| c.is_true());
    let Some(failed) = failed.filter(|_| job.meta.deletion_timestamp.is_none()) else {
        held_open(facts, job, out);
        return;
    };
    if superseded(facts, job) {
        return;
    }
    let object = ObjectRef::new("Job", &job.meta.namespace, &job.meta.name);
    let late = failed.reason() == "DeadlineExceeded";
    let cause = if late { "job-deadline-exceeded" } else { "job-failed" };
    let says = if late {
        job.spec
            .active_deadline_seconds
            .map_or_else(|| "it ran longer than its deadline".to_owned(), |s| format!("it ran longer than its deadline of {s} s"))
    } else {
        let pods = if job.status.failed == 1 { "1 failed pod".to_owned() } else { format!("{} failed pods", job.status.failed) };
        format!("it has given up after {pods}: {}", failed.message().trim_end_matches('.'))
    };
    let mut draft = Draft::new(facts, cause, "Job", &job.meta)
        .says(says)
        .because(draft::condition(object, failed))
        .since(failed.last_transition_time);
    if !late {
        draft = draft.derived();
    }
    let ended = facts.snapshot.pods.controlled_by(&job.meta.uid).find_map(|p| {
        let view = p
            .containers()
            .find(|v| v.role != ContainerRole::Ephemeral && v.last_terminated().is_some_and(|(t, _)| t.exit_code != 0))?;
        let (run, field) = view.last_terminated()?;
        Some(draft::pod_status(
            p,
            field,
            format!("{}, exit code {}", run.reason.as_deref().unwrap_or("ended"), run.exit_code),
            run.finished_at,
        ))
    });
    out.findings.push(draft.because_all(ended).done());
}

/// Whether a pod is of a Job that counts no more, because a later run of the same has succeeded.
pub fn is_of_superseded(facts: &Facts<'_>, pod: &crate::kinds::pods::Pod) -> bool {
    let Some(owner) = pod.meta.controller().filter(|o| &*o.kind == "Job") else { return false };
    facts.snapshot.jobs.named(&pod.meta.namespace, &owner.name).is_some_and(|job| superseded(facts, job))
}

/// The work is done and a sidecar that does not know it keeps the pod, and so the Job, alive.
fn held_open(facts: &Facts<'_>, job: &Job, out: &mut Output) {
    if job.status.completion_time.is_some() || job.meta.deletion_timestamp.is_some() {
        return;
    }
    for pod in facts.snapshot.pods.controlled_by(&job.meta.uid).filter(|p| &*p.status.phase == "Running") {
        let main = || pod.containers().filter(|v| v.role == ContainerRole::Main);
        let ended = main().filter_map(|v| v.status.state.terminated.as_deref().map(|run| (v, run)));
        let Some((done, run)) = ended.filter(|(_, run)| run.exit_code == 0).max_by_key(|(_, run)| run.finished_at) else {
            continue;
        };
        let Some(running) = main().find(|v| v.status.state.running.is_some()) else { continue };
        let due = run.finished_at.map_or(facts.now, |t| t + HELD_OPEN);
        if facts.now < due {
            out.recheck_at(due);
            continue;
        }
        let (name, sidecar) = (&done.status.name, &running.status.name);
        let text = format!("{}, exit code 0", run.reason.as_deref().unwrap_or("Completed"));
        out.findings.push(
            Draft::new(facts, "job-failed", "Job", &job.meta)
                .says(format!("container {name} is done, and container {sidecar} keeps the Job from completing"))
                .severity(crate::diagnosis::cause::Severity::Warning)
                .because(draft::pod_status(pod, format!("{}.state.terminated", done.path()), text, run.finished_at))
                .because(draft::pod_status(pod, format!("{}.state.running", running.path()), format!("{sidecar} runs"), None))
                .since(run.finished_at)
                .done(),
        );
        return;
    }
}

/// A sidecar that follows its container takes some seconds.
const HELD_OPEN: TimeDelta = TimeDelta::minutes(5);

/// A later Job that does the same has succeeded: of the same CronJob, or the next release's run of the same command. History.
pub fn superseded(facts: &Facts<'_>, job: &Job) -> bool {
    let succeeded_later = |other: &&Job| {
        other.meta.creation_timestamp > job.meta.creation_timestamp
            && other.status.completion_time.is_some_and(|t| t <= facts.now + TimeDelta::seconds(60))
    };
    match job.meta.controller() {
        Some(owner) if &*owner.kind == "CronJob" => {
            facts.snapshot.jobs.controlled_by(&owner.uid).any(|j| succeeded_later(&j)) || retired(facts, job, &owner.name)
        }
        Some(_) => false,
        None => {
            facts.snapshot.jobs.in_namespace(&job.meta.namespace).filter(|j| does_the_same(job, j)).any(|j| succeeded_later(&j))
        }
    }
}

/// A run of a CronJob that was suspended since, and that nobody has looked at for a day.
fn retired(facts: &Facts<'_>, job: &Job, cron_job: &str) -> bool {
    let cron_job = facts.snapshot.cron_jobs.named(&job.meta.namespace, cron_job);
    let old = job.meta.creation_timestamp.is_some_and(|made| made + TimeDelta::days(1) < facts.now);
    old && cron_job.is_some_and(|cron| cron.spec.suspend == Some(true))
}

/// The same containers run the same commands out of the same images, whatever their tags.
fn does_the_same(one: &Job, other: &Job) -> bool {
    let work = |job: &Job| {
        let containers = &job.spec.template.spec.containers;
        containers
            .iter()
            .map(|c| (c.name.clone(), c.command.clone(), c.args.clone(), repository(&c.image).to_owned()))
            .collect::<Vec<_>>()
    };
    other.meta.controller().is_none() && work(one) == work(other)
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let job = &finding.subject;
    let name = quoted(&job.name);
    let recreate = format!(
        "kubectl -n {ns} get job {name} -o json | jq 'del(.spec.selector, .spec.template.metadata.labels, .metadata.uid, .metadata.resourceVersion, .status)' | kubectl -n {ns} replace --force -f -",
        ns = quoted(&job.namespace)
    );
    let mut fixes: Vec<Fix> =
        workload_log(facts, job, "--tail=200", ("Read its log", "the pods' own words")).into_iter().collect();
    fixes.push(fix(
        "Run it again",
        recreate,
        Risk::Disruptive,
        "once the cause is repaired: a Job that has failed never retries by itself",
    ));
    fixes.push(describe(job, "conditions and events"));
    fixes
}
