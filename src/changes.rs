//! What changed, read from the cluster itself: revisions and template diffs, config edits, scaling, node transitions.
//!
//! Pure over a [`crate::snapshot::Snapshot`]; needs no history of our own (ReplicaSets hold past templates,
//! `managedFields` who wrote when, events the scaling).

use crate::kinds::ObjectRef;
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
