//! The job controller: pods until enough have succeeded or too many have failed.
//!
//! Failed pods are replaced after 10 s, 20 s, 40 s ... A suspended Job has no pods and no deadline; a finished one goes when its
//! time to live is over. Not modelled: pod failure and success policies, back-off limits of an index.

mod indexes;

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{JOBS, PODS, ResourceType};
use super::super::store::{DeleteOptions, Store, Writer};
use super::{Change, Controller, Key, Retries};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const MANAGER: &str = "kube-controller-manager";
const SOURCE: Source<'static> = Source { component: "job-controller", host: "" };
const LIMIT: (&str, &str) = ("BackoffLimitExceeded", "Job has reached the specified backoff limit");
const LATE: (&str, &str) = ("DeadlineExceeded", "Job was active longer than specified deadline");
const REACHED: (&str, &str) = ("CompletionsReached", "Reached expected number of succeeded pods");

/// See the module.
pub struct JobController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
    retries: Retries,
}

/// A job's pods, counted.
struct Tally {
    active: Vec<Arc<Value>>,
    ready: usize,
    succeeded: i64,
    failed: i64,
    /// Restarts of containers in pods that restart in place.
    restarts: i64,
    last_failure: Option<DateTime<Utc>>,
    /// The numbers that are done, of an indexed Job.
    done: Option<BTreeSet<i64>>,
}

impl JobController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder, retries: Retries::default() }
    }

    fn tally(&self, job: &Value) -> Tally {
        let owned = |pod: &Arc<Value>| object::controller_uid(pod) == object::uid(job);
        let pods: Vec<_> = self.store.list(&PODS, Some(object::namespace(job))).into_iter().filter(owned).collect();
        let ended = |phase: &str| pods.iter().filter(|pod| object::text(pod, "/status/phase") == phase).count() as i64;
        let failures = pods.iter().filter(|pod| object::text(pod, "/status/phase") == "Failed");
        let last_failure = failures.filter_map(|pod| object::time(object::condition(pod, "Ready")?, "/lastTransitionTime")).max();
        let (mut succeeded, failed) = (ended("Succeeded"), ended("Failed"));
        let done = indexes::is_indexed(job).then(|| {
            let mut done = indexes::read(object::text(job, "/status/completedIndexes"));
            done.extend(indexes::done(&pods));
            done
        });
        succeeded = done.as_ref().map_or(succeeded, |done| done.len() as i64);
        let active: Vec<_> = pods.into_iter().filter(|pod| object::is_active_pod(pod)).collect();
        let ready = active.iter().filter(|pod| object::condition_is_true(pod, "Ready")).count();
        let restarts = match object::text(job, "/spec/template/spec/restartPolicy") {
            "OnFailure" => active.iter().map(|pod| restarts_of(pod)).sum(),
            _ => 0,
        };
        Tally { active, ready, succeeded, failed, restarts, last_failure, done }
    }

    /// Creates a pod, of a number where the Job is indexed; false when it was refused.
    fn create_pod(&self, job: &Value, index: Option<i64>) -> bool {
        let mut pod = json!({
            "metadata": {
                "generateName": format!("{}-", object::name(job)), "namespace": object::namespace(job),
                "labels": object::at(job, "/spec/template/metadata/labels"),
                "ownerReferences": [object::owner_reference(job, "batch/v1", "Job")],
            },
            "spec": object::at(job, "/spec/template/spec"),
        });
        let annotations = object::at(job, "/spec/template/metadata/annotations");
        if annotations.is_object() {
            object::put(&mut pod, &["metadata", "annotations"], annotations.clone());
        }
        if let Some(index) = index {
            indexes::number(&mut pod, object::name(job), index);
        }
        let created = self.store.create(&PODS, pod, Writer::update(MANAGER));
        match &created {
            Ok(pod) => {
                let message = format!("Created pod: {}", object::name(pod));
                self.recorder.record(SOURCE, job, Said::normal("SuccessfulCreate", &message));
            }
            Err(refusal) => {
                let message = format!("Error creating: {}", refusal.message);
                self.recorder.record(SOURCE, job, Said::warning("FailedCreate", &message));
            }
        }
        created.is_ok()
    }

    fn write_status(&self, job: &Value, tally: &Tally, outcome: Option<(bool, (&str, &str))>) {
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&JOBS, object::namespace(job), object::name(job), Writer::status(MANAGER), |job| {
            let conditions = object::at(job, "/status/conditions").clone();
            let mut status = json!({"ready": tally.ready, "terminating": 0, "uncountedTerminatedPods": {}});
            match object::text(job, "/status/startTime") {
                "" if is_suspended(job) => {}
                "" => object::put(&mut status, &["startTime"], json!(now)),
                started => object::put(&mut status, &["startTime"], json!(started)),
            }
            if conditions.is_array() {
                object::put(&mut status, &["conditions"], conditions);
            }
            if let Some(done) = tally.done.as_ref().filter(|done| !done.is_empty()) {
                object::put(&mut status, &["completedIndexes"], json!(indexes::written(done)));
            }
            let active = if outcome.is_some() { 0 } else { tally.active.len() as i64 };
            for (field, count) in [("active", active), ("succeeded", tally.succeeded), ("failed", tally.failed)] {
                if count > 0 {
                    object::put(&mut status, &[field], json!(count));
                }
            }
            if let Some((success, (reason, message))) = outcome {
                let kinds = if success { ["SuccessCriteriaMet", "Complete"] } else { ["FailureTarget", "Failed"] };
                let condition = |kind: &str| {
                    json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastProbeTime": now, "lastTransitionTime": now})
                };
                let mut rows = object::items(&status, "/conditions").to_vec();
                rows.extend(kinds.map(condition));
                object::put(&mut status, &["conditions"], json!(rows));
                object::put(&mut status, &["ready"], json!(0));
                if success {
                    object::put(&mut status, &["completionTime"], json!(now));
                }
            }
            object::put(job, &["status"], status);
        });
    }

    fn stop(&self, job: &Value, pods: &[Arc<Value>]) {
        for pod in pods {
            if self.store.delete(&PODS, object::namespace(pod), object::name(pod), None).is_ok() {
                let message = format!("Deleted pod: {}", object::name(pod));
                self.recorder.record(SOURCE, job, Said::normal("SuccessfulDelete", &message));
            }
        }
    }

    /// Sets the condition `Suspended` where it changes, and says so; a Job that was never suspended has none.
    fn note_suspension(&self, job: &Value) {
        let suspended = is_suspended(job);
        let present = object::condition(job, "Suspended").map(|row| object::text(row, "/status") == "True");
        if present.unwrap_or(false) == suspended {
            return;
        }
        let (status, reason, said, message) = if suspended {
            ("True", "JobSuspended", "Suspended", "Job suspended")
        } else {
            ("False", "JobResumed", "Resumed", "Job resumed")
        };
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&JOBS, object::namespace(job), object::name(job), Writer::status(MANAGER), |job| {
            let mut rows = object::items(job, "/status/conditions").to_vec();
            rows.retain(|row| object::text(row, "/type") != "Suspended");
            rows.push(json!({"type": "Suspended", "status": status, "reason": reason, "message": message,
                "lastProbeTime": now, "lastTransitionTime": now}));
            object::put(job, &["status", "conditions"], json!(rows));
            if !suspended {
                object::put(job, &["status", "startTime"], json!(now));
            }
        });
        self.recorder.record(SOURCE, job, Said::normal(said, message));
    }

    /// Deletes a finished Job when its time to live is over; answers how long that is off.
    fn outlive(&self, job: &Value) -> Option<Duration> {
        let seconds = object::int(job, "/spec/ttlSecondsAfterFinished")?;
        let finished = ["Complete", "Failed"].into_iter().filter_map(|kind| object::condition(job, kind));
        let since = finished.filter_map(|row| object::time(row, "/lastTransitionTime")).max()?;
        let left = since + chrono::Duration::seconds(seconds) - self.clock.now();
        if let Some(wait) = left.to_std().ok().filter(|wait| !wait.is_zero()) {
            return Some(wait);
        }
        let options = DeleteOptions { propagation: Some("Foreground".to_owned()), ..DeleteOptions::default() };
        let gone = self.store.delete_with(&JOBS, object::namespace(job), object::name(job), &options);
        drop(gone);
        None
    }

    fn conclude(&self, job: &Value, mut tally: Tally, success: bool, why: (&str, &str)) {
        self.stop(job, &tally.active);
        if !success {
            // What a Job stops when it gives up counts as failed.
            tally.failed += tally.active.len() as i64;
        }
        self.write_status(job, &tally, Some((success, why)));
        let said = if success { Said::normal("Completed", "Job completed") } else { Said::warning(why.0, why.1) };
        self.recorder.record(SOURCE, job, said);
    }
}

fn is_suspended(job: &Value) -> bool {
    object::at(job, "/spec/suspend") == &json!(true)
}

/// How often the kubelet restarted what is in a pod (`pastBackoffLimitOnFailure` of the job controller).
fn restarts_of(pod: &Value) -> i64 {
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"].into_iter();
    lists.flat_map(|list| object::items(pod, list)).filter_map(|status| object::int(status, "/restartCount")).sum()
}

impl Controller for JobController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&JOBS, &PODS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        if change.resource.kind == "Job" {
            return vec![(namespace, object::name(&change.object).to_owned())];
        }
        let owner = object::controller(&change.object).filter(|owner| object::text(owner, "/kind") == "Job");
        owner.map(|owner| vec![(namespace, object::text(owner, "/name").to_owned())]).unwrap_or_default()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let job = self.store.get(&JOBS, &key.0, &key.1)?;
        if object::is_deleting(&job) {
            return None;
        }
        if object::condition_is_true(&job, "Complete") || object::condition_is_true(&job, "Failed") {
            return self.outlive(&job);
        }
        self.note_suspension(&job);
        let job = self.store.get(&JOBS, &key.0, &key.1)?;
        let now = self.clock.now();
        let tally = self.tally(&job);
        if is_suspended(&job) {
            self.stop(&job, &tally.active);
            self.write_status(&job, &self.tally(&job), None);
            return None;
        }
        let completions = object::int(&job, "/spec/completions");
        let deadline = object::int(&job, "/spec/activeDeadlineSeconds")
            .map(|seconds| object::time(&job, "/status/startTime").unwrap_or(now) + chrono::Duration::seconds(seconds));
        let limit = object::int(&job, "/spec/backoffLimit").unwrap_or(6);
        if tally.failed > limit || tally.restarts > 0 && tally.restarts >= limit {
            self.conclude(&job, tally, false, LIMIT);
            return None;
        }
        // Without a number of completions the pods share a queue: it is empty when one says so and all have ended.
        let reached = match completions {
            Some(wanted) => tally.succeeded >= wanted,
            None => tally.succeeded > 0 && tally.active.is_empty(),
        };
        if reached {
            self.conclude(&job, tally, true, REACHED);
            return self.store.get(&JOBS, &key.0, &key.1).and_then(|job| self.outlive(&job));
        }
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.conclude(&job, tally, false, LATE);
            return None;
        }
        let back_off = chrono::Duration::seconds(10_i64 << (tally.failed - 1).clamp(0, 5));
        let resume = tally.last_failure.map(|failure| failure + back_off).filter(|resume| *resume > now);
        let parallel = object::int(&job, "/spec/parallelism").unwrap_or(1);
        let most = match completions {
            Some(wanted) => wanted - tally.succeeded,
            None if tally.succeeded > 0 => tally.active.len() as i64,
            None => parallel,
        };
        let missing = (parallel.min(most) - tally.active.len() as i64).max(0);
        let mut numbers = match (&tally.done, completions) {
            (Some(done), Some(completions)) => indexes::wanted(completions, done, &tally.active).into_iter().map(Some).collect(),
            _ => vec![None; missing as usize],
        };
        numbers.truncate(missing as usize);
        let mut resume = resume.or_else(|| Some(now + self.retries.wait(key, now)?));
        if resume.is_none() && !numbers.into_iter().all(|index| self.create_pod(&job, index)) {
            resume = Some(now + self.retries.refused(key, now));
        }
        self.write_status(&job, &self.tally(&job), None);
        let due = [resume.filter(|_| missing > 0), deadline].into_iter().flatten().min()?;
        Some((due - now).to_std().unwrap_or_default())
    }
}
