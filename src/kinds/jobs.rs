//! Jobs and CronJobs.

use serde::Deserialize;

use super::workloads::PodTemplate;
use super::{Condition, Meta, kind, nullable};
use crate::text::{Text, Time};

/// A Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: JobSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: JobStatus,
}

/// Part of `JobSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSpec {
    /// Failures tolerated; default 6.
    pub backoff_limit: Option<i32>,
    /// Seconds the whole Job may take.
    pub active_deadline_seconds: Option<i64>,
    /// Wanted successes.
    pub completions: Option<i32>,
    /// Pods at a time.
    pub parallelism: Option<i32>,
    /// Held back on purpose.
    pub suspend: Option<bool>,
    /// The pods.
    pub template: PodTemplate,
}

/// Part of `JobStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// Running pods.
    pub active: i32,
    /// Succeeded pods.
    pub succeeded: i32,
    /// Failed pods.
    pub failed: i32,
    /// Start.
    pub start_time: Option<Time>,
    /// End of a successful Job.
    pub completion_time: Option<Time>,
    /// `Complete`, `Failed`, `FailureTarget`, `Suspended`.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

/// A CronJob.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CronJob {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: CronJobSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: CronJobStatus,
}

/// Part of `CronJobSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobSpec {
    /// Cron expression.
    pub schedule: Text,
    /// Time zone of the schedule; absent means that of the controller, nearly always UTC.
    pub time_zone: Option<Text>,
    /// Held back on purpose.
    pub suspend: Option<bool>,
    /// Seconds a run may start late.
    pub starting_deadline_seconds: Option<i64>,
    /// `Allow`, `Forbid`, `Replace`.
    pub concurrency_policy: Option<Text>,
}

/// Part of `CronJobStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CronJobStatus {
    /// Last start.
    pub last_schedule_time: Option<Time>,
    /// Last success.
    pub last_successful_time: Option<Time>,
}

kind!(Job, "batch" / "v1", "Job", "jobs", namespaced: true, metadata_only: false, |this, pool| {
    pool.spec(&mut this.spec.template.spec);
    Condition::intern(&mut this.status.conditions, pool);
});
kind!(CronJob, "batch" / "v1", "CronJob", "cronjobs", namespaced: true, metadata_only: false, |_this, _pool| {});
