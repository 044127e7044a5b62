//! Actions: pure planners from an [`Intent`] and the objects it needs to a [`Plan`], which is data with its kubectl equivalent.
//!
//! Nothing here talks to a cluster: `cluster::door` fetches what [`needs`] names, asks for a [`plan`], executes it. One file an
//! action. To add an action: one file here, one line in [`Intent`] and in [`PLANNERS`], one in the keymap.

use std::fmt;

use serde_json::Value;

use crate::kinds::ObjectRef;
use crate::snapshot::Snapshot;
use crate::text::Time;

pub mod access;
pub mod command;
pub mod cordon;
pub mod cron_job;
pub mod delete;
pub mod drain;
pub mod edit;
pub mod objects;
pub mod remove_finalizer;
pub mod restart;
pub mod scale;
pub mod set_field;
pub mod set_image;
pub mod set_memory_limit;
pub mod several;
pub mod taint;
pub mod undo;
pub mod warnings;

pub use access::{Access, access};
pub use objects::{ObjectRequest, Objects};

/// What a person asks for, before it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Intent {
    /// Put a workload back to an earlier revision; `None`: the last that was ready.
    Undo {
        /// Deployment, StatefulSet or DaemonSet.
        workload: ObjectRef,
        /// Revision to go back to.
        to_revision: Option<i64>,
    },
    /// Set the number of replicas.
    Scale {
        /// Deployment, StatefulSet or ReplicaSet.
        workload: ObjectRef,
        /// Wanted pods.
        replicas: i32,
    },
    /// `kubectl rollout restart`.
    Restart {
        /// Deployment, StatefulSet or DaemonSet.
        workload: ObjectRef,
    },
    /// Delete an object; `force` is grace period 0.
    Delete {
        /// What.
        object: ObjectRef,
        /// Without waiting for the kubelet.
        force: bool,
    },
    /// Let a pod that is being deleted have less time to stop.
    ShortenGrace {
        /// The pod.
        pod: ObjectRef,
        /// Seconds from when it was asked to stop.
        seconds: u32,
    },
    /// Remove one finalizer of an object.
    RemoveFinalizer {
        /// From what.
        object: ObjectRef,
        /// Which.
        finalizer: String,
    },
    /// Set a container's memory limit.
    SetMemoryLimit {
        /// Deployment, StatefulSet or DaemonSet.
        workload: ObjectRef,
        /// Container name.
        container: String,
        /// Quantity, e.g. `256Mi`.
        limit: String,
    },
    /// Set a container's image.
    SetImage {
        /// Deployment, StatefulSet or DaemonSet.
        workload: ObjectRef,
        /// Container name.
        container: String,
        /// Image reference.
        image: String,
    },
    /// Keep new pods off a node, or let them on it again.
    Cordon {
        /// The node.
        node: ObjectRef,
        /// True keeps them off.
        cordon: bool,
    },
    /// Take a taint off a node, or put it back.
    Taint {
        /// The node.
        node: ObjectRef,
        /// As kubectl writes it: `dedicated=database:NoSchedule`.
        taint: String,
        /// True puts it on.
        present: bool,
    },
    /// Cordon a node and evict its pods.
    Drain {
        /// The node.
        node: ObjectRef,
    },
    /// Change an object as a person edited it.
    Edit {
        /// Which.
        object: ObjectRef,
        /// What changes.
        patch: Patch,
    },
    /// Set, add or remove one field.
    SetField {
        /// Of which object.
        object: ObjectRef,
        /// As a JSON pointer: `/spec/ports/0/targetPort`.
        field: String,
        /// What is expected to stand there, a text without quotes, empty for nothing; `None`: whatever does.
        from: Option<String>,
        /// The value as JSON; `None` removes the field.
        to: Option<String>,
    },
    /// Start a CronJob's Job now.
    Trigger {
        /// The CronJob.
        cron_job: ObjectRef,
    },
    /// Several of the above, on the rows that were marked.
    Several(Vec<Self>),
    /// Hold a CronJob back, or let it go on.
    Suspend {
        /// The CronJob.
        cron_job: ObjectRef,
        /// True holds it back.
        suspend: bool,
    },
}

/// JSON of a merge patch. Its `Debug` hides it: templates may hold passwords.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Patch(pub String);

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Patch(..)")
    }
}

/// One write to the API server.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// What it writes to.
    pub target: ObjectRef,
    /// `scale`, `status`, ... or `None`.
    pub subresource: Option<&'static str>,
    /// How.
    pub verb: WriteVerb,
}

/// How a [`Write`] writes. Its `Debug` hides the patch: templates may hold passwords.
#[derive(Clone, PartialEq)]
pub enum WriteVerb {
    /// `application/merge-patch+json`.
    MergePatch(Value),
    /// `application/strategic-merge-patch+json`.
    StrategicPatch(Value),
    /// `application/json-patch+json`.
    JsonPatch(Value),
    /// POST of a new object, or of a subresource such as `eviction`.
    Create(Value),
    /// DELETE with a grace period.
    Delete {
        /// Seconds; `None` is the object's own.
        grace_seconds: Option<u32>,
        /// Only this incarnation.
        uid: Option<String>,
    },
}

impl fmt::Debug for WriteVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MergePatch(_) => f.write_str("MergePatch(..)"),
            Self::StrategicPatch(_) => f.write_str("StrategicPatch(..)"),
            Self::JsonPatch(_) => f.write_str("JsonPatch(..)"),
            Self::Create(_) => f.write_str("Create(..)"),
            Self::Delete { grace_seconds, uid } => write!(f, "Delete(grace {grace_seconds:?}, uid {uid:?})"),
        }
    }
}

/// What will be done: shown in full before anything happens, executed only by `cluster::door`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What was asked.
    pub intent: Intent,
    /// `Undo rollout  deployment/fastapi-deployment`.
    pub title: String,
    /// The writes, in order (all of one intent; usually one).
    pub writes: Vec<Write>,
    /// The equivalent command.
    pub kubectl: String,
    /// What changes, for the preview.
    pub diff: Vec<crate::changes::DiffLine>,
    /// `managed by Argo CD: it will put revision 5 back at its next sync`.
    pub warnings: Vec<String>,
    /// What takes it back afterwards, when something does.
    pub way_back: Option<Intent>,
}

/// Why an intent cannot be planned, as a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// What the server said to a plan before it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Access review: `Ok(())`, or why not.
    pub access: Result<(), String>,
    /// Server dry run: `Ok(())`, or the server's words.
    pub dry_run: Result<(), String>,
}

/// What a planner may read. There is nothing else: no clock, no I/O.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The objects [`needs`] named, in full, just fetched.
    pub objects: &'a Objects,
    /// The cluster around them, for warnings and for which revision was ready.
    pub snapshot: &'a Snapshot,
    /// The time to write into the objects that ask for one.
    pub now: Time,
}

/// Plans one sort of intent. Each is a `pub static` in a file of its own, listed in [`PLANNERS`].
#[derive(Debug)]
pub struct Planner {
    /// What must be fetched first; `None`: not its sort of intent.
    pub needs: fn(&Intent) -> Option<Vec<ObjectRequest>>,
    /// The plan, or why there is none; `None`: not its sort of intent.
    pub plan: fn(&Intent, &Facts<'_>) -> Option<Result<Plan, Refusal>>,
}

/// Every planner.
pub static PLANNERS: &[&Planner] = &[
    &undo::PLANNER,
    &scale::PLANNER,
    &restart::PLANNER,
    &delete::PLANNER,
    &remove_finalizer::PLANNER,
    &set_memory_limit::PLANNER,
    &set_image::PLANNER,
    &cordon::PLANNER,
    &taint::PLANNER,
    &drain::PLANNER,
    &cron_job::PLANNER,
    &edit::PLANNER,
    &set_field::PLANNER,
    &several::PLANNER,
];

/// The objects that must be fetched in full before the intent can be planned.
pub fn needs(intent: &Intent) -> Vec<ObjectRequest> {
    PLANNERS.iter().find_map(|planner| (planner.needs)(intent)).unwrap_or_default()
}

/// Plans what was asked. Pure: shows what would be written, writes nothing.
///
/// # Errors
/// A sentence that says why it cannot be done.
pub fn plan(intent: &Intent, objects: &Objects, snapshot: &Snapshot, now: Time) -> Result<Plan, Refusal> {
    let facts = Facts { objects, snapshot, now };
    let unknown = || Err(Refusal("nothing plans this action".to_owned()));
    PLANNERS.iter().find_map(|planner| (planner.plan)(intent, &facts)).unwrap_or_else(unknown)
}

impl Refusal {
    /// A refusal from its sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Intent {
    /// `scale deployment/web to 4`: what it would do, for a line that offers it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undo { workload, to_revision: Some(to) } => write!(f, "{workload} to revision {to}"),
            Self::Undo { workload, to_revision: None } => write!(f, "{workload} to its last revision"),
            Self::Scale { workload, replicas } => write!(f, "{workload} to {replicas} replicas"),
            Self::Restart { workload } => write!(f, "restart {workload}"),
            Self::Delete { object, .. } => write!(f, "delete {object}"),
            Self::ShortenGrace { pod, seconds } => write!(f, "{seconds} s for {pod} to stop"),
            Self::RemoveFinalizer { object, finalizer } => write!(f, "finalizer {finalizer} off {object}"),
            Self::SetMemoryLimit { workload, container, limit } => write!(f, "{workload} {container} memory limit {limit}"),
            Self::SetImage { workload, container, image } => write!(f, "{workload} {container}={image}"),
            Self::Cordon { node, cordon: true } => write!(f, "cordon {node}"),
            Self::Cordon { node, cordon: false } => write!(f, "uncordon {node}"),
            Self::Taint { node, taint, present: true } => write!(f, "taint {node} {taint}"),
            Self::Taint { node, taint, present: false } => write!(f, "taint {taint} off {node}"),
            Self::Drain { node } => write!(f, "drain {node}"),
            Self::Edit { object, .. } => write!(f, "put {object} back as it was"),
            Self::SetField { object, field, .. } => write!(f, "{object} {field}"),
            Self::Several(each) => write!(f, "{} actions", each.len()),
            Self::Trigger { cron_job } => write!(f, "trigger {cron_job}"),
            Self::Suspend { cron_job, suspend: true } => write!(f, "suspend {cron_job}"),
            Self::Suspend { cron_job, suspend: false } => write!(f, "resume {cron_job}"),
        }
    }
}
