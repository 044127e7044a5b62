//! `cronjob-failing`: its last runs failed, or it misses its schedule.

use chrono::TimeDelta;

use super::schedule::Schedule;
use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, quoted, with_action, workload_log};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pods;
use crate::diagnosis::rules::rollouts::admission::classify;
use crate::kinds::jobs::{CronJob, Job};
use crate::kinds::{Condition, KindId, ObjectRef, Row};
use crate::text;

/// The rule.
pub static CRON_JOB: Rule = Rule {
    name: "cronjob",
    causes: &[CauseId("cronjob-failing")],
    doc: "\
What it detects
  A CronJob whose last two runs failed, or that cannot start its runs: too many missed times, a schedule or time zone that does
  not parse, an older run that never ends under concurrencyPolicy Forbid.
Reads
  The Jobs it owns and their Failed conditions, status.lastSuccessfulTime; events TooManyMissedTimes, MissSchedule,
  UnparseableSchedule, UnknownTimeZone, JobAlreadyActive, FailedCreate; spec.schedule against status.lastScheduleTime.
Source
  pkg/controller/cronjob/cronjob_controllerv2.go.
Look-alikes
  A suspended CronJob rests on purpose. Jobs that a quota or a webhook refuses are that cause. One failed run followed by a good one is history. Under concurrencyPolicy Forbid a run
  that takes longer than the interval skips a few on purpose.
Fixes
  Repair the Job's cause, delete the run that hangs, correct the schedule.
",
    subject: KindId::CronJob,
    needs: &[],
    check,
    fixes,
};

/// True for a refusal that the rules of admission understand.
fn says_why(text: &str) -> bool {
    classify(text).is_some_and(|cause| cause != "rollout-stuck")
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::CronJob(cron) = row else { return };
    if cron.spec.suspend == Some(true) || cron.meta.deletion_timestamp.is_some() {
        return;
    }
    let object = ObjectRef::new("CronJob", &cron.meta.namespace, &cron.meta.name);
    let mut jobs: Vec<&Job> = facts.snapshot.jobs.controlled_by(&cron.meta.uid).collect();
    jobs.sort_by_key(|j| std::cmp::Reverse(j.meta.creation_timestamp));
    let failed = |j: &&&Job| Condition::find(&j.status.conditions, "Failed").is_some_and(Condition::is_true);
    let streak: Vec<&Job> = jobs.iter().filter(|j| j.status.active == 0).take_while(failed).copied().collect();
    if let [first, _, ..] = streak.as_slice() {
        let condition = Condition::find(&first.status.conditions, "Failed");
        let job = ObjectRef::new("Job", &first.meta.namespace, &first.meta.name);
        out.findings.push(
            Draft::new(facts, "cronjob-failing", "CronJob", &cron.meta)
                .says(format!("its last {} runs failed", streak.len()))
                .fact("job", &first.meta.name)
                .because_all(condition.map(|c| draft::condition(job, c)))
                .since(condition.and_then(|c| c.last_transition_time))
                .done(),
        );
        return;
    }
    let events = facts.snapshot.events_of(KindId::CronJob, &cron.meta);
    let blocked = events.iter().rev().find(|e| {
        matches!(
            &*e.reason,
            "TooManyMissedTimes"
                | "UnparseableSchedule"
                | "UnParseableCronJobSchedule"
                | "InvalidSchedule"
                | "UnknownTimeZone"
                | "JobAlreadyActive"
                | "MissSchedule"
                | "FailedCreate"
        ) && pods::is_recent(facts.now, e.last_seen(), TimeDelta::hours(1))
            && cron.status.last_schedule_time.is_none_or(|t| e.last_seen().is_none_or(|seen| seen > t))
            // A refusal that names its reason is a cause of its own.
            && !(&*e.reason == "FailedCreate" && says_why(e.text()))
    });
    let active = jobs.iter().find(|j| j.status.active > 0);
    let skipped = skipped(facts, cron);
    let Some(event) = blocked.filter(|e| &*e.reason != "JobAlreadyActive" || skipped.is_some()) else {
        out.recheck_at(facts.now + LATE);
        if let Some(skipped) = skipped {
            out.findings.push(silent(facts, cron, skipped, active.copied()));
        }
        return;
    };
    out.findings.push(
        Draft::new(facts, "cronjob-failing", "CronJob", &cron.meta)
            .says(format!("it cannot start its runs: {}", event.text().trim_end_matches('.')))
            .maybe("active", active.map(|j| &*j.meta.name))
            .because(draft::event(event))
            .because(draft::quote(object, EvidenceSource::Spec, "spec.schedule", &*cron.spec.schedule, None))
            .since(event.first_seen())
            .done(),
    );
}

/// Runs start within seconds; this late, nobody starts them.
const LATE: TimeDelta = TimeDelta::minutes(10);
/// A schedule in a time zone of its own is read as UTC: no zone is further away.
const ZONES: TimeDelta = TimeDelta::hours(15);
/// More are not counted.
const MOST: usize = 100;

/// How many runs were due and did not start, when that is more than a run that takes its time explains.
fn skipped(facts: &Facts<'_>, cron: &CronJob) -> Option<usize> {
    let schedule = Schedule::parse(&cron.spec.schedule)?;
    let last = cron.status.last_schedule_time.or(cron.meta.creation_timestamp)?;
    let zone = cron.spec.time_zone.as_deref().is_some_and(|zone| !matches!(zone, "" | "UTC" | "Etc/UTC"));
    let until = facts.now - LATE - if zone { ZONES } else { TimeDelta::zero() };
    let skipped = schedule.due_between(last, until, MOST);
    let long = facts.now - last > TimeDelta::hours(12);
    (skipped >= 3 && facts.now - last > TimeDelta::minutes(30) || skipped >= 2 && long).then_some(skipped)
}

/// It starts no runs, and no event says why.
fn silent(facts: &Facts<'_>, cron: &CronJob, skipped: usize, active: Option<&Job>) -> Finding {
    let object = ObjectRef::new("CronJob", &cron.meta.namespace, &cron.meta.name);
    let last = cron.status.last_schedule_time;
    let more = if skipped == MOST { " or more" } else { "" };
    let says = match (active, last) {
        (Some(job), _) => format!("it has skipped {skipped}{more} runs: {} has not ended", job.meta.name),
        (None, Some(last)) => {
            format!("it has started no run since {}, though {skipped}{more} were due", text::moment(last, facts.now))
        }
        (None, None) => format!("it has never started a run, though {skipped}{more} were due"),
    };
    Draft::new(facts, "cronjob-failing", "CronJob", &cron.meta)
        .says(says)
        .sure(Confidence::Likely)
        .maybe("active", active.map(|j| &*j.meta.name))
        .because(draft::quote(
            object.clone(),
            EvidenceSource::Status,
            "status.lastScheduleTime",
            last.map_or_else(|| "(none)".to_owned(), text::timestamp),
            last,
        ))
        .because(draft::quote(object, EvidenceSource::Spec, "spec.schedule", &*cron.spec.schedule, None))
        .not("a suspended schedule: spec.suspend is not set")
        .since(last)
        .done()
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let cron = &finding.subject;
    let mut fixes = Vec::new();
    if let Some(active) = finding.facts.get("active") {
        let plain = fix(
            format!("Delete the run {active} that hangs"),
            kubectl(&cron.namespace, format!("delete job {}", quoted(active))),
            Risk::Disruptive,
            "it keeps the next runs from starting",
        );
        let object = ObjectRef::new("Job", &cron.namespace, active);
        fixes.push(with_action(plain, Intent::Delete { object, force: false }));
    }
    if !fact(finding, "job").is_empty() {
        let run = ObjectRef::new("Job", &cron.namespace, fact(finding, "job"));
        fixes.extend(workload_log(facts, &run, "--tail=200", ("Read the last run's log", "the run's own words")));
    }
    let again = format!("create job {} --from=cronjob/{}", quoted(&format!("{}-retry", cron.name)), quoted(&cron.name));
    let plain = fix(
        "Run it once now",
        kubectl(&cron.namespace, again),
        Risk::Disruptive,
        "shows whether the repair works before the next schedule",
    );
    fixes.push(with_action(plain, Intent::Trigger { cron_job: cron.clone() }));
    fixes.push(describe(cron, "schedule, policy and events"));
    fixes
}
