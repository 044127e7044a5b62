//! What changed, read from the cluster itself: revisions and template diffs, config edits, scaling, node transitions.
//!
//! Pure over a [`crate::snapshot::Snapshot`]; needs no history of our own (ReplicaSets hold past templates,
//! `managedFields` who wrote when, events the scaling). To add a sort of change: a variant of [`ChangeKind`], a file that finds
//! it, one line in [`before::changes_of`].

pub mod before;
pub mod config;
pub mod managers;
pub mod redact;
pub mod references;
pub mod regression;
pub mod revisions;
pub mod scaling;
pub mod template;
pub mod timeline;

pub use before::{Sureness, before};
pub use managers::{Manager, autoscaler_of, managed_by};
pub use regression::is_regression;
pub use revisions::{Revision, revisions, undo_target};
pub use template::diff;
pub use timeline::{TimelineEntry, TimelineFilter, TimelineKind, timeline};

use crate::kinds::{ObjectRef, Row};
use crate::text::Time;

/// What sort of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// A new pod template.
    Rollout,
    /// A ConfigMap or Secret was written.
    Config,
    /// The number of replicas changed.
    Scale,
    /// A node's condition changed.
    Node,
}

impl ChangeKind {
    /// `rollout`, `config`, `scale`, `node`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rollout => "rollout",
            Self::Config => "config",
            Self::Scale => "scale",
            Self::Node => "node",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What sort.
    pub kind: ChangeKind,
    /// What changed.
    pub object: ObjectRef,
    /// When.
    pub at: Time,
    /// By which manager (`managedFields`), when known.
    pub by: Option<String>,
    /// For rollouts: the new revision and, when known, the one before.
    pub revision: Option<i64>,
    /// For rollouts: the revision before.
    pub previous_revision: Option<i64>,
    /// `image: a:v1 -> a:v2`, one line a field; values of variables that look secret are masked.
    pub diff: Vec<DiffLine>,
}

/// One changed field of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// `image`, `env DATABASE_URL`, `limits.memory`, `readinessProbe`; prefixed by the container's name when there are several.
    pub field: String,
    /// Old value; `None` when added.
    pub old: Option<String>,
    /// New value; `None` when removed.
    pub new: Option<String>,
}

/// `spec.replicas` of a workload that has them (default 1).
pub fn replicas(workload: &Row) -> Option<i32> {
    match workload {
        Row::Deployment(d) => Some(d.spec.replicas.unwrap_or(1)),
        Row::StatefulSet(s) => Some(s.spec.replicas.unwrap_or(1)),
        Row::ReplicaSet(r) => Some(r.spec.replicas.unwrap_or(1)),
        _ => None,
    }
}

impl DiffLine {
    /// On one line: `image a → b`, `env X added`, `env X removed`.
    pub fn short(&self) -> String {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => format!("{} {old} → {new}", self.field),
            (None, Some(new)) => format!("{} {new}", self.field),
            (Some(old), None) => format!("{} {old} removed", self.field),
            (None, None) => self.field.clone(),
        }
    }
}
