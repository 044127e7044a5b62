//! The list of rules. To add one: a file under `rules/<area>/`, a line here, fixtures.

use super::rule::Rule;

pub mod commands;
pub mod config;
pub mod crash;
pub mod draft;
pub mod image;
pub mod jobs;
pub mod logs;
pub mod network;
pub mod nodes;
pub mod pattern;
pub mod pods;
pub mod probes;
pub mod rollouts;
pub mod scaling;
pub mod scheduling;
pub mod services;
pub mod terminating;
pub mod volumes;
pub mod workload;

/// Every rule, in the order of `causes.md`.
pub static ALL: &[&Rule] = &[
    &image::pull::IMAGE_PULL,
    &config::refs::MISSING_REFS,
    &config::start::CONTAINER_START,
    &crash::oom::OOM,
    &probes::kills::PROBE_KILLS,
    &crash::from_log::CRASH_FROM_LOG,
    &crash::init_stuck::INIT_STUCK,
    &probes::readiness::READINESS,
    &volumes::mount::MOUNT,
    &volumes::claim::CLAIM_LOST,
    &scheduling::unschedulable::UNSCHEDULABLE,
    &rollouts::stuck::ROLLOUT,
    &rollouts::admission::REPLICA_SET,
    &rollouts::admission::STATEFUL_SET,
    &rollouts::admission::DAEMON_SET,
    &rollouts::admission::JOB,
    &network::sandbox::SANDBOX,
    &services::endpoints::ENDPOINTS,
    &services::ports::PORTS,
    &services::ingress::INGRESS,
    &terminating::pod::TERMINATING_POD,
    &terminating::objects::CLAIM,
    &terminating::objects::SERVICE,
    &terminating::objects::DEPLOYMENT,
    &terminating::objects::STATEFUL_SET,
    &terminating::objects::JOB,
    &terminating::objects::CONFIG_MAP,
    &terminating::objects::SECRET,
    &terminating::objects::NODE,
    &terminating::objects::INGRESS,
    &terminating::namespace::NAMESPACE_TERMINATING,
    &jobs::job::JOB,
    &jobs::cron::CRON_JOB,
    &nodes::condition::NODE_CONDITION,
    &nodes::evicted::EVICTED,
    &scaling::autoscaler::AUTOSCALER,
    &scaling::budget::BUDGET,
    &workload::worker_timeout::WORKER_TIMEOUT,
    &workload::traffic::TRAFFIC,
];
