//! The job controller: pods until enough have succeeded or too many have failed.
//!
//! Failed pods are replaced after 10 s, 20 s, 40 s ... Not modelled: indexed completion, pod failure policies.

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{JOBS, PODS, ResourceType};
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key, Retries};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
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
        let (succeeded, failed) = (ended("Succeeded"), ended("Failed"));
        let active: Vec<_> = pods.into_iter().filter(|pod| object::is_active_pod(pod)).collect();
        let ready = active.iter().filter(|pod| object::condition_is_true(pod, "Ready")).count();
        let restarts = match object::text(job, "/spec/template/spec/restartPolicy") {
            "OnFailure" => active.iter().map(|pod| restarts_of(pod)).sum(),
            _ => 0,
        };
        Tally { active, ready, succeeded, failed, restarts, last_failure }
    }

    /// Creates a pod; false when it was refused.
    fn create_pod(&self, job: &Value) -> bool {
        let pod = json!({
            "metadata": {
                "generateName": format!("{}-", object::name(job)), "namespace": object::namespace(job),
                "labels": object::at(job, "/spec/template/metadata/labels"),
                "ownerReferences": [object::owner_reference(job, "batch/v1", "Job")],
            },
            "spec": object::at(job, "/spec/template/spec"),
        });
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
            let started = match object::text(job, "/status/startTime") {
                "" => now.clone(),
                started => started.to_owned(),
            };
            let mut status = json!({"ready": tally.ready, "startTime": started, "terminating": 0, "uncountedTerminatedPods": {}});
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
                object::put(&mut status, &["conditions"], json!(kinds.map(condition)));
                object::put(&mut status, &["ready"], json!(0));
                if success {
                    object::put(&mut status, &["completionTime"], json!(now));
                }
            }
            object::put(job, &["status"], status);
        });
    }

    fn conclude(&self, job: &Value, mut tally: Tally, success: bool, why: (&str, &str)) {
        for pod in &tally.active {
            let _ = self.store.delete(&PODS, object::namespace(pod), object::name(pod), None);
        }
        if !success {
            // What a Job stops when it gives up counts as failed.
            tally.failed += tally.active.len() as i64;
        }
        self.write_status(job, &tally, Some((success, why)));
        let said = if success { Said::normal("Completed", "Job completed") } else { Said::warning(why.0, why.1) };
        self.recorder.record(SOURCE, job, said);
    }
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
        let over = object::condition_is_true(&job, "Complete") || object::condition_is_true(&job, "Failed");
        if over || object::is_deleting(&job) || object::at(&job, "/spec/suspend") == &json!(true) {
            return None;
        }
        let now = self.clock.now();
        let tally = self.tally(&job);
        let wanted = object::int(&job, "/spec/completions").unwrap_or(1);
        let deadline = object::int(&job, "/spec/activeDeadlineSeconds")
            .map(|seconds| object::time(&job, "/status/startTime").unwrap_or(now) + chrono::Duration::seconds(seconds));
        let limit = object::int(&job, "/spec/backoffLimit").unwrap_or(6);
        if tally.failed > limit || tally.restarts > 0 && tally.restarts >= limit {
            self.conclude(&job, tally, false, LIMIT);
            return None;
        }
        if tally.succeeded >= wanted {
            self.conclude(&job, tally, true, REACHED);
            return None;
        }
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.conclude(&job, tally, false, LATE);
            return None;
        }
        let back_off = chrono::Duration::seconds(10_i64 << (tally.failed - 1).clamp(0, 5));
        let resume = tally.last_failure.map(|failure| failure + back_off).filter(|resume| *resume > now);
        let parallel = object::int(&job, "/spec/parallelism").unwrap_or(1).min(wanted - tally.succeeded);
        let missing = (parallel - tally.active.len() as i64).max(0);
        let mut resume = resume.or_else(|| Some(now + self.retries.wait(key, now)?));
        if resume.is_none() && !(0..missing).all(|_| self.create_pod(&job)) {
            resume = Some(now + self.retries.refused(key, now));
        }
        self.write_status(&job, &self.tally(&job), None);
        let due = [resume.filter(|_| missing > 0), deadline].into_iter().flatten().min()?;
        Some((due - now).to_std().unwrap_or_default())
    }
}
