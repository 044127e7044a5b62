//! An incident: findings of one cause and one root, with what changed before and how to fix it.

use super::cause::{CauseId, Severity};
use super::finding::{Confidence, Evidence, Root};
use crate::actions::Intent;
use crate::changes::{Change, Sureness};
use crate::kinds::ObjectRef;
use crate::text::Time;

/// Stable over time while cause and root stay: selections and recoveries follow it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IncidentId {
    /// The cause.
    pub cause: CauseId,
    /// The root.
    pub root: Root,
}

/// One thing that is broken.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Identity.
    pub id: IncidentId,
    /// The cause.
    pub cause: CauseId,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// `fastapi-deployment cannot pull yourusername/your-app:v1.0.1: the tag does not exist`.
    pub title: String,
    /// One or two sentences of specifics (the representative finding's summary, made a sentence).
    pub summary: String,
    /// Since when.
    pub since: Option<Time>,
    /// What a person would act on, sorted.
    pub workloads: Vec<ObjectRef>,
    /// Every subject concerned, sorted.
    pub objects: Vec<ObjectRef>,
    /// Quotes, strongest first; at most a handful, of different fields.
    pub evidence: Vec<Evidence>,
    /// The change that came just before, when one did.
    pub change: Option<Change>,
    /// How sure it is that this change is why.
    pub sureness: Option<Sureness>,
    /// True when a rollout introduced the cause: pods of the older revision are fine (`rollout-regression`).
    pub regression: bool,
    /// What to do, best first.
    pub fixes: Vec<Fix>,
    /// What was excluded and why.
    pub ruled_out: Vec<String>,
    /// Who feels it.
    pub blast: BlastRadius,
    /// Symptoms folded under it, one line each: `rollout is stuck: 1 of 4 updated`.
    pub symptoms: Vec<String>,
}

/// Who feels an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlastRadius {
    /// Pods with the cause.
    pub pods: usize,
    /// Pods of the workloads in all.
    pub pods_total: usize,
    /// Ready pods of the workloads.
    pub pods_ready: usize,
    /// Services whose endpoints are all gone.
    pub services_without_endpoints: Vec<ObjectRef>,
    /// Ingress hosts behind those.
    pub hosts: Vec<String>,
}

/// How dangerous a fix is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Risk {
    /// Reversible, restarts nothing that works.
    Safe,
    /// Restarts or moves pods.
    Disruptive,
    /// May lose data or break security.
    Destructive,
}

impl Risk {
    /// `safe`, `disruptive`, `destructive`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Disruptive => "disruptive",
            Self::Destructive => "destructive",
        }
    }
}

/// Something a person can do about an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Fix {
    /// `Undo the rollout (back to revision 1)`.
    pub title: String,
    /// Complete command, ready to paste; names are shell-quoted when they need it.
    pub command: String,
    /// How dangerous.
    pub risk: Risk,
    /// Why this helps, from the facts: `revision 1 still has 3 ready pods`.
    pub why: String,
    /// What one key previews and one more applies; `None` when k3am only shows the command.
    pub action: Option<Intent>,
}
