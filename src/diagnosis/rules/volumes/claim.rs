//! `volume-lost`: the claim's volume is gone.

use crate::diagnosis::cause::CauseId;
use chrono::TimeDelta;

use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pods;
use crate::kinds::storage::PersistentVolumeClaim;
use crate::kinds::{KindId, ObjectRef, Row};

/// The rule.
pub static CLAIM_LOST: Rule = Rule {
    name: "claim-lost",
    causes: &[CauseId("volume-lost"), CauseId("volume-unbound")],
    doc: "\
What it detects
  A PersistentVolumeClaim whose volume is gone, or is bound to another claim; one that nobody provisions a volume for.
Reads
  status.phase Lost or Pending; events ClaimLost, ClaimMisbound, VolumeMismatch, ProvisioningFailed, FailedBinding,
  ExternalProvisioning.
Source
  pkg/controller/volume/persistentvolume/pv_controller.go.
Look-alikes
  A claim that waits for its first consumer rests: nothing is wrong until a pod uses it.
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
    match &*claim.status.phase {
        "Lost" => lost(facts, claim, out),
        "Pending" if claim.meta.deletion_timestamp.is_none() => unbound(facts, claim, out),
        _ => {}
    }
}

/// Provisioners retry; what is said for this long is no hiccup.
const PATIENCE: TimeDelta = TimeDelta::minutes(2);
/// Creating a volume may take this long where the provisioner works.
const CREATION: TimeDelta = TimeDelta::minutes(10);

fn unbound(facts: &Facts<'_>, claim: &PersistentVolumeClaim, out: &mut Output) {
    let events = facts.snapshot.events_of(KindId::PersistentVolumeClaim, &claim.meta);
    // The newest says how it stands: a claim that came to wait for a consumer does not fail.
    let told = |e: &&&crate::kinds::events::Event| {
        matches!(
            &*e.reason,
            "ProvisioningFailed" | "FailedBinding" | "VolumeMismatch" | "ExternalProvisioning" | "WaitForFirstConsumer"
        )
    };
    let Some(event) = events.iter().rev().find(told).filter(|e| &*e.reason != "WaitForFirstConsumer") else { return };
    // A pod that waits for it says so itself: one incident, of the workload.
    let waits = |pod: &&crate::kinds::pods::Pod| {
        let uses = |v: &crate::kinds::volumes::Volume| {
            v.persistent_volume_claim.as_ref().is_some_and(|c| c.claim_name == claim.meta.name)
        };
        !pod.is_finished() && pod.spec.volumes.iter().any(uses)
    };
    let mut pods_here = facts.snapshot.pods.in_namespace(&claim.meta.namespace);
    if !pods::is_recent(facts.now, event.last_seen(), TimeDelta::hours(1)) || pods_here.any(|pod| waits(&pod)) {
        return;
    }
    let patience = if &*event.reason == "ExternalProvisioning" { CREATION } else { PATIENCE };
    if let Some(due) = claim.meta.creation_timestamp.map(|made| made + patience).filter(|due| facts.now < *due) {
        out.recheck_at(due);
        return;
    }
    let (namespace, name) = (&claim.meta.namespace, &claim.meta.name);
    let object = ObjectRef::new("PersistentVolumeClaim", namespace, name);
    out.findings.push(
        Draft::new(facts, "volume-unbound", "PersistentVolumeClaim", &claim.meta)
            .says(format!("it is not bound: {}", crate::text::ellipsis(event.text().trim_end_matches('.'), 160)))
            .sure(Confidence::Likely)
            .maybe("class", claim.spec.storage_class_name.as_deref())
            .rooted_in("PersistentVolumeClaim", namespace, name)
            .because(draft::event(event))
            .because(draft::quote(object, EvidenceSource::Status, "status.phase", "Pending", None))
            .since(claim.meta.creation_timestamp)
            .done(),
    );
}

fn lost(facts: &Facts<'_>, claim: &PersistentVolumeClaim, out: &mut Output) {
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
    if finding.cause.0 == "volume-unbound" {
        let class = fact(finding, "class");
        return vec![
            describe(&finding.subject, "its events name the storage class or the provisioner"),
            fix(
                "List the storage classes there are",
                "kubectl get storageclasses",
                Risk::Safe,
                format!("the claim asks for {}", if class.is_empty() { "the default one" } else { class }),
            ),
        ];
    }
    vec![describe(&finding.subject, "names the volume that is gone; its data must come from a backup or the storage system")]
}
