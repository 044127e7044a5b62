//! `volume-lost`: the claim's volume is gone.

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::Fix;
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::describe;
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static CLAIM_LOST: Rule = Rule {
    name: "claim-lost",
    causes: &[CauseId("volume-lost")],
    doc: "\
What it detects
  A PersistentVolumeClaim whose volume is gone, or is bound to another claim.
Reads
  status.phase Lost; events ClaimLost, ClaimMisbound, VolumeMismatch.
Source
  pkg/controller/volume/persistentvolume/pv_controller.go.
Look-alikes
  A Pending claim was never bound: volume-unbound.
Fixes
  Restore the volume, or free it from its stale claim.
",
    subject: KindId::PersistentVolumeClaim,
    needs: &[],
    check,
    fixes,
};

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::PersistentVolumeClaim(claim) = row else { return };
    if &*claim.status.phase != "Lost" {
        return;
    }
    let object = ObjectRef::new("PersistentVolumeClaim", &claim.meta.namespace, &claim.meta.name);
    let events = facts.snapshot.events_of(KindId::PersistentVolumeClaim, &claim.meta);
    let event = events.iter().rev().find(|e| matches!(&*e.reason, "ClaimLost" | "ClaimMisbound" | "VolumeMismatch"));
    let volume = claim.spec.volume_name.as_deref().unwrap_or("(unknown)");
    out.findings.push(
        Draft::new(facts, "volume-lost", "PersistentVolumeClaim", &claim.meta)
            .says(format!("its volume {volume} is gone"))
            .rooted_in("PersistentVolumeClaim", &claim.meta.namespace, &claim.meta.name)
            .fact("volume", volume)
            .because(draft::quote(object, EvidenceSource::Status, "status.phase", "Lost", None))
            .because_all(event.map(|e| draft::event(e)))
            .since(event.and_then(|e| e.first_seen()))
            .done(),
    );
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    vec![describe(&finding.subject, "names the volume that is gone; its data must come from a backup or the storage system")]
}
