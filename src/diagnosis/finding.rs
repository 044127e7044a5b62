//! What a rule finds on one subject: the cause, the evidence, the confidence, and what to group by.

use std::collections::BTreeMap;

use super::cause::{CauseId, Severity};
use crate::kinds::ObjectRef;
use crate::snapshot::LogKey;
use crate::text::{Text, Time};

/// How sure a finding is (`failures.md`, part C, suppression rule 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// Inference by exclusion.
    Possible,
    /// The message says so, or the objects say so, but not both.
    Likely,
    /// The message says so and the objects agree (or the message cannot mean anything else).
    Certain,
}

impl Confidence {
    /// `certain`, `likely`, `possible`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// Where a piece of evidence was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EvidenceSource {
    /// The object's status.
    Status,
    /// The object's spec or metadata.
    Spec,
    /// An event about the object.
    Event,
    /// The container's log.
    Log,
    /// A measured value.
    Metric,
}

impl EvidenceSource {
    /// `status`, `spec`, `event`, `log`, `metric`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Spec => "spec",
            Self::Event => "event",
            Self::Log => "log",
            Self::Metric => "metric",
        }
    }
}

/// A quote from the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Whose status, event, log.
    pub object: ObjectRef,
    /// Where it was read.
    pub from: EvidenceSource,
    /// Exact field (`status.containerStatuses[0].state.waiting.message`), event reason (`Failed ×6`), or `container app, previous`.
    pub field: String,
    /// The text as it stands in the cluster (cleaned when displayed, never rewritten). Never a Secret's value.
    pub text: String,
    /// When it was written, if known.
    pub at: Option<Time>,
}

/// What findings are grouped by: incidents share a cause **and** a root (`failures.md`, part C).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Root {
    /// The workload itself (default): one incident a workload.
    Workload(ObjectRef),
    /// One object behind several workloads: a missing ConfigMap, a Secret, a Node, a quota, a webhook, a claim.
    Object(ObjectRef),
    /// Something outside the API: `registry ghcr.io`, `database postgres:5432`, `subnet 10.88.0.0/27`, `host api.example.com`.
    Outside {
        /// What it is: `registry`, `database`, `subnet`, ...
        what: &'static str,
        /// Which one.
        name: Text,
    },
}

/// What one rule found on one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The cause.
    pub cause: CauseId,
    /// The object the rule looked at, usually a Pod.
    pub subject: ObjectRef,
    /// What a person would act on: the top owner of `subject`.
    pub workload: ObjectRef,
    /// The container concerned.
    pub container: Option<Text>,
    /// How sure.
    pub confidence: Confidence,
    /// `None`: the cause's own severity, raised or lowered by what users feel.
    pub severity: Option<Severity>,
    /// What to group by.
    pub root: Root,
    /// One sentence that names the specifics, every word backed by `evidence`:
    /// `the registry has no tag v1.0.O of yourusername/your-app`. Lower case start, no full stop.
    pub summary: String,
    /// Facts for fixes and titles: `image`, `tag`, `host`, `port`, `configmap`, `key`, `limit`, ...
    pub facts: BTreeMap<&'static str, Text>,
    /// Quotes, strongest first. Never empty.
    pub evidence: Vec<Evidence>,
    /// What looks alike and was excluded, and why: `credentials: the registry answered 404, not 401`.
    pub ruled_out: Vec<String>,
    /// Since when it is so, from the cluster's own times.
    pub since: Option<Time>,
    /// True for symptoms (`rollout-stuck`, `service-no-endpoints`, ...) that fold under another finding of the same workload.
    pub derived: bool,
}

/// Evidence a rule wants before it can say more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EvidenceRequest {
    /// The end of a container's log.
    Log {
        /// Which run of which container.
        key: LogKey,
        /// Its restart count: the answer is stale when this grows.
        restart_count: i32,
    },
    /// The end of the log of a pod that nothing is wrong with, as a sample of what its workload answers. Bounded by the engine.
    Sample {
        /// Which container.
        key: LogKey,
        /// Its restart count.
        restart_count: i32,
        /// Which look at it: asked once a round.
        round: i64,
    },
    /// What a ConfigMap holds, to tell what the next write of it changes.
    Config {
        /// Its namespace.
        namespace: Text,
        /// Its name.
        name: Text,
        /// The `resourceVersion` it has now.
        version: Text,
    },
    /// How often the kernel held a pod's containers back at their CPU limit.
    Throttling {
        /// Pod's namespace.
        namespace: Text,
        /// Pod name.
        pod: Text,
        /// Its node, whose kubelet knows.
        node: Text,
        /// Which look at it: the rate between two looks says more than the total since the start.
        round: i64,
    },
}
