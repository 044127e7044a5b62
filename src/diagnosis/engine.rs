//! Incremental evaluation.

use super::finding::EvidenceRequest;
use super::incident::Incident;
use crate::snapshot::{Changed, Snapshot};
use crate::text::Time;

/// Keeps findings per subject and incidents over all.
#[derive(Debug, Default)]
pub struct Engine {}

/// A rule that could not be evaluated, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotEvaluated {
    /// Rule name.
    pub rule: &'static str,
    /// `pods in namespace x: forbidden: ...`.
    pub why: String,
}

impl Engine {
    /// Reruns the rules for what `changed` touches (or what is due by `now`) and regroups. Returns true when incidents changed.
    pub fn update(&mut self, _snapshot: &Snapshot, _changed: &[Changed], _now: Time) -> bool {
        false
    }

    /// The incidents, worst first.
    pub fn incidents(&self) -> &[Incident] {
        &[]
    }

    /// Evidence wanted and not yet handed out; each is returned once (again when its restart count grows).
    pub fn take_requests(&mut self) -> Vec<EvidenceRequest> {
        Vec::new()
    }

    /// When `update` should run again even if nothing changes.
    pub fn next_recheck(&self) -> Option<Time> {
        None
    }

    /// Rules that could not look, and why.
    pub fn not_evaluated(&self) -> Vec<NotEvaluated> {
        Vec::new()
    }
}
