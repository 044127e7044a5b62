//! What a rule is: a pure function from facts about one subject to findings, with its page of documentation.

use super::cause::CauseId;
use super::finding::{EvidenceRequest, Finding};
use super::incident::Fix;
use crate::kinds::{KindId, Row};
use crate::snapshot::Snapshot;
use crate::text::Time;

/// What a rule may read. There is nothing else: no clock, no I/O.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// The time to judge ages by.
    pub now: Time,
}

/// What a rule says about one subject.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What the rule would like to read before it can say more.
    pub requests: Vec<EvidenceRequest>,
    /// Look again at this time even if nothing changes (a grace period that will have ended, ...).
    pub recheck: Option<Time>,
}

impl Output {
    /// Asks to be run again at `at`, or earlier if something else asked for earlier.
    pub fn recheck_at(&mut self, at: Time) {
        self.recheck = Some(self.recheck.map_or(at, |known| known.min(at)));
    }
}

/// A diagnosis rule. Each is a `pub static` in a file of its own under `rules/`, listed in `rules.rs`.
pub struct Rule {
    /// Kebab-case name, unique: `image-not-found`, `crash-from-log`.
    pub name: &'static str,
    /// The causes it can find.
    pub causes: &'static [CauseId],
    /// Its page, printed by `k3am explain`: what it detects, the exact fields, the source, look-alikes, fixes.
    /// Headings: `What it detects`, `Reads`, `Source`, `Look-alikes`, `Fixes`.
    pub doc: &'static str,
    /// The kind of its subjects.
    pub subject: KindId,
    /// Kinds it needs besides the subject; while one of them is denied or not listed, the report says "not evaluated".
    pub needs: &'static [KindId],
    /// Looks at one subject.
    pub check: fn(&Facts<'_>, &Row, &mut Output),
    /// Fixes for an incident whose strongest finding is this rule's, best first. Undoing a rollout is added by
    /// the engine when the incident is a rollout regression: rules need not repeat it.
    pub fixes: fn(&Facts<'_>, &Finding) -> Vec<Fix>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).finish_non_exhaustive()
    }
}
