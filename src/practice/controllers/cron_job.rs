//! The CronJob controller: Jobs on a schedule, by its concurrency policy, and the old ones cleared away
//! (`pkg/controller/cronjob`). Schedules are in UTC.

pub mod schedule;

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{CRON_JOBS, JOBS, ResourceType};
use super::super::store::{DeleteOptions, Store, Writer};
use super::{Change, Controller, Key};
use chrono::{DateTime, Utc};
use schedule::Schedule;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const MANAGER: &str = "kube-controller-manager";
const SOURCE: Source<'static> = Source { component: "cronjob-controller", host: "" };
const TOO_MANY: usize = 100;
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// See the module.
pub struct CronJobController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
    /// The schedules as they were last seen.
    schedules: HashMap<Key, String>,
}

impl CronJobController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder, schedules: HashMap::new() }
    }

    fn jobs_of(&self, cron: &Value) -> Vec<Arc<Value>> {
        let mut jobs = self.store.list(&JOBS, Some(object::namespace(cron)));
        jobs.retain(|job| object::controller_uid(job) == object::uid(cron));
        jobs.sort_by_key(|job| object::text(job, "/metadata/creationTimestamp").to_owned());
        jobs
    }

    /// Starts the run of a time, unless the policy says otherwise.
    fn start(&self, cron: &Value, active: &[&Arc<Value>], due: DateTime<Utc>) {
        let policy = object::text(cron, "/spec/concurrencyPolicy");
        if policy == "Forbid" && !active.is_empty() {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.recorder.record(SOURCE, cron, Said::normal("JobAlreadyActive", message));
            return;
        }
        if policy == "Replace" {
            for job in active {
                self.delete(cron, job);
            }
        }
        let template = object::at(cron, "/spec/jobTemplate");
        let mut metadata = json!({
            "name": format!("{}-{}", object::name(cron), due.timestamp() / 60), "namespace": object::namespace(cron),
            "ownerReferences": [object::owner_reference(cron, "batch/v1", "CronJob")],
        });
        for of in ["labels", "annotations"] {
            for (key, value) in object::fields(template, &format!("/metadata/{of}")) {
                object::put(&mut metadata, &[of, key], value.clone());
            }
        }
        object::put(&mut metadata, &["annotations", SCHEDULED], json!(object::stamp(due)));
        match self.store.create(
            &JOBS,
            json!({"metadata": metadata, "spec": object::at(template, "/spec")}),
            Writer::update(MANAGER),
        ) {
            Ok(job) => {
                let message = format!("Created job {}", object::name(&job));
                self.recorder.record(SOURCE, cron, Said::normal("SuccessfulCreate", &message));
            }
            Err(refusal) if refusal.code == 409 => {}
            Err(refusal) => {
                let message = format!("Error creating job: {}", refusal.message);
                self.recorder.record(SOURCE, cron, Said::warning("FailedCreate", &message));
            }
        }
    }

    fn delete(&self, cron: &Value, job: &Value) {
        let options = DeleteOptions { propagation: Some("Background".to_owned()), ..DeleteOptions::default() };
        match self.store.delete_with(&JOBS, object::namespace(job), object::name(job), &options) {
            Ok(_) => {
                let message = format!("Deleted job {}", object::name(job));
                self.recorder.record(SOURCE, cron, Said::normal("SuccessfulDelete", &message));
            }
            Err(refusal) => {
                let message = format!("Deleted job: {}", refusal.message);
                self.recorder.record(SOURCE, cron, Said::warning("FailedDelete", &message));
            }
        }
    }

    /// Says of new ends of runs, and keeps only as many finished Jobs as wanted.
    fn tidy(&self, cron: &Value, jobs: &[Arc<Value>]) {
        for job in jobs.iter().filter(|job| outcome(job).is_none() && !is_scheduled(job)) {
            let message = format!("Saw a job that the controller did not create or forgot: {}", object::name(job));
            self.recorder.record(SOURCE, cron, Said::warning("UnexpectedJob", &message));
        }
        for gone in object::items(cron, "/status/active") {
            if !jobs.iter().any(|job| object::uid(job) == object::text(gone, "/uid")) {
                let message = format!("Active job went missing: {}", object::text(gone, "/name"));
                self.recorder.record(SOURCE, cron, Said::normal("MissingJob", &message));
            }
        }
        for job in jobs.iter().filter(|job| outcome(job).is_some()) {
            let listed =
                object::items(cron, "/status/active").iter().any(|known| object::text(known, "/uid") == object::uid(job));
            if listed {
                let message =
                    format!("Saw completed job: {}, condition: {}", object::name(job), outcome(job).unwrap_or_default());
                self.recorder.record(SOURCE, cron, Said::normal("SawCompletedJob", &message));
            }
        }
        for (kind, field, default) in
            [("Complete", "/spec/successfulJobsHistoryLimit", 3), ("Failed", "/spec/failedJobsHistoryLimit", 1)]
        {
            let ended: Vec<_> = jobs.iter().filter(|job| outcome(job) == Some(kind)).collect();
            let kept = object::int(cron, field).unwrap_or(default).max(0) as usize;
            for job in ended.iter().take(ended.len().saturating_sub(kept)) {
                self.delete(cron, job);
            }
        }
    }

    fn write_status(&self, cron: &Value, scheduled: Option<DateTime<Utc>>) {
        let jobs = self.jobs_of(cron);
        let active: Vec<Value> = jobs
            .iter()
            .filter(|job| outcome(job).is_none() && is_scheduled(job))
            .map(|job| {
                json!({"apiVersion": "batch/v1", "kind": "Job", "name": object::name(job), "namespace": object::namespace(job),
                    "uid": object::uid(job), "resourceVersion": object::text(job, "/metadata/resourceVersion")})
            })
            .collect();
        let succeeded = jobs.iter().filter_map(|job| object::time(job, "/status/completionTime")).max();
        let (namespace, name) = (object::namespace(cron), object::name(cron));
        let _ = self.store.modify(&CRON_JOBS, namespace, name, Writer::status(MANAGER), |cron| {
            let known = |field: &str| object::time(cron, &format!("/status/{field}"));
            let (last, success) = (scheduled.or(known("lastScheduleTime")), succeeded.max(known("lastSuccessfulTime")));
            let mut status = json!({});
            if !active.is_empty() {
                object::put(&mut status, &["active"], json!(active));
            }
            for (field, time) in [("lastScheduleTime", last), ("lastSuccessfulTime", success)] {
                if let Some(time) = time {
                    object::put(&mut status, &[field], json!(object::stamp(time)));
                }
            }
            object::put(cron, &["status"], status);
        });
    }
}

/// Whether the controller made a Job itself; others it owns (`kubectl create job --from`) are none of its active ones.
fn is_scheduled(job: &Value) -> bool {
    !object::annotation(job, SCHEDULED).is_empty()
}

/// `Complete` or `Failed`; none while it runs.
fn outcome(job: &Value) -> Option<&'static str> {
    ["Complete", "Failed"].into_iter().find(|kind| object::condition_is_true(job, kind))
}

impl Controller for CronJobController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&CRON_JOBS, &JOBS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        if change.resource == &CRON_JOBS {
            return vec![(namespace, object::name(&change.object).to_owned())];
        }
        let owner = object::controller(&change.object).filter(|owner| object::text(owner, "/kind") == "CronJob");
        owner.map(|owner| vec![(namespace, object::text(owner, "/name").to_owned())]).unwrap_or_default()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let cron = self.store.get(&CRON_JOBS, &key.0, &key.1)?;
        let jobs = self.jobs_of(&cron);
        self.tidy(&cron, &jobs);
        if object::is_deleting(&cron) || object::at(&cron, "/spec/suspend") == &json!(true) {
            self.write_status(&cron, None);
            return None;
        }
        let written = object::text(&cron, "/spec/schedule");
        let schedule = match Schedule::parse(written) {
            Ok(schedule) => schedule,
            Err(why) => {
                let message = format!("unparseable schedule: {written:?} : {why}");
                self.recorder.record(SOURCE, &cron, Said::warning("UnparseableSchedule", &message));
                return None;
            }
        };
        let now = self.clock.now();
        let before = self.schedules.insert(key.clone(), object::text(&cron, "/spec/schedule").to_owned());
        if before.is_some_and(|before| before != object::text(&cron, "/spec/schedule")) {
            // What the new schedule would have missed waits for its next time.
            self.write_status(&cron, None);
            return until(&schedule, now);
        }
        let since =
            object::time(&cron, "/status/lastScheduleTime").or_else(|| object::time(&cron, "/metadata/creationTimestamp"));
        let deadline =
            object::int(&cron, "/spec/startingDeadlineSeconds").map(|seconds| now - chrono::Duration::seconds(seconds));
        let from = since.into_iter().chain(deadline).max().unwrap_or(now);
        let (missed, latest) = schedule.missed(from, now);
        if missed > TOO_MANY {
            let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.recorder.record(SOURCE, &cron, Said::warning("TooManyMissedTimes", message));
        }
        let active: Vec<_> = jobs.iter().filter(|job| outcome(job).is_none() && is_scheduled(job)).collect();
        let mut scheduled = None;
        if let Some(due) = latest {
            self.start(&cron, &active, due);
            let held = object::text(&cron, "/spec/concurrencyPolicy") == "Forbid" && !active.is_empty();
            scheduled = (!held).then_some(due);
        }
        self.write_status(&cron, scheduled);
        until(&schedule, now)
    }
}

/// How long until the next time, and a little more for clocks that differ.
fn until(schedule: &Schedule, now: DateTime<Utc>) -> Option<Duration> {
    let next = schedule.after(now)?;
    Some((next - now).to_std().unwrap_or_default() + Duration::from_millis(100))
}
