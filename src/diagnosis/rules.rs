//! The list of rules. To add one: a file under `rules/<area>/`, a line here, fixtures.

use super::rule::Rule;

pub mod agents;
pub mod api;
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
    &rollouts::admission::DEPLOYMENT,
    &rollouts::admission::REPLICA_SET,
    &rollouts::admission::STATEFUL_SET,
    &rollouts::admission::DAEMON_SET,
    &rollouts::admission::JOB,
    &rollouts::admission::CRON_JOB,
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
    &terminating::objects::DAEMON_SET,
    &terminating::objects::CRON_JOB,
    &terminating::objects::AUTOSCALER,
    &terminating::objects::NETWORK_POLICY,
    &terminating::objects::DISRUPTION_BUDGET,
    &terminating::objects::QUOTA,
    &terminating::objects::CERTIFICATE,
    &terminating::objects::HTTP_ROUTE,
    &terminating::objects::VOLUME,
    &terminating::objects::DEFINITION,
    &terminating::objects::API_SERVICE,
    &terminating::namespace::NAMESPACE_TERMINATING,
    &jobs::job::JOB,
    &jobs::cron::CRON_JOB,
    &nodes::condition::NODE_CONDITION,
    &nodes::evicted::EVICTED,
    &probes::flapping::FLAPPING,
    &volumes::resize::CLAIM_RESIZE,
    &scheduling::resize::RESIZE,
    &rollouts::short::DAEMON_SET,
    &rollouts::short::STATEFUL_SET,
    &network::dns::DNS,
    &network::policy::NETWORK_POLICY,
    &services::route::HTTP_ROUTE,
    &api::service::API_SERVICE,
    &api::certificate::CERTIFICATE,
    &api::certificate::TLS_SECRET,
    &api::events::EVENTS,
    &api::kubelet::KUBELET,
    &api::remarks::REMARKS,
    &scaling::autoscaler::AUTOSCALER,
    &scaling::budget::BUDGET,
    &workload::start::SLOW_START,
    &workload::liveness::LIVENESS_KILLS_ON_DEPENDENCY,
    &workload::migration::MIGRATION,
    &workload::connections::CONNECTION_BUDGET,
    &workload::throttled::CPU_THROTTLED,
    &workload::memory::NEAR_LIMIT,
    &workload::leak::LEAK,
    &workload::worker_timeout::WORKER_TIMEOUT,
    &workload::traffic::TRAFFIC,
];

/// Rules on habits and cost. They say what is unwise, not what is broken: nothing they find is an incident. `X` runs them on the
/// object it is asked about.
pub static ADVICE: &[&Rule] = &[
    &workload::start::START_MARGIN,
    &workload::liveness::LIVENESS_SHARED,
    &workload::plain_password::PLAIN_PASSWORD,
    &workload::memory::OVERSIZED,
];

/// The rules that read what pods use: the only ones to ask when nothing but usage is new.
pub static READ_USAGE: &[&str] = &["oom-killed", "memory-near-limit", "memory-oversized", "cpu-throttled"];

/// The rules whose fixes look at pods or events of others than the finding's subject and workload: what they say may change with
/// any pod of the namespace.
pub static FIXES_READ_NEIGHBOURS: &[&str] = &["claim-resize", "image-pull", "sandbox-network"];

/// Every rule there is, incidents first.
pub fn every() -> impl Iterator<Item = &'static Rule> {
    ALL.iter().chain(ADVICE).copied()
}
