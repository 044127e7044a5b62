//! `volume-mount-failed` for claims: a volume that was to grow and does not.

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::storage::PersistentVolumeClaim;
use crate::kinds::{Condition, KindId, ObjectRef, Row};
use crate::text::{Time, quantity};

/// The rule.
pub static CLAIM_RESIZE: Rule = Rule {
    name: "claim-resize",
    causes: &[CauseId("volume-mount-failed")],
    doc: "\
What it detects
  A PersistentVolumeClaim that asks for more than it has, and whose expansion failed or waits for its pod to be restarted.
Reads
  spec.resources.requests.storage against status.capacity.storage; conditions ControllerResizeError, NodeResizeError,
  FileSystemResizePending, Resizing; status.allocatedResourceStatuses; events VolumeResizeFailed, FileSystemResizeFailed.
Source
  pkg/controller/volume/expand, external-resizer, kubelet's node expansion.
Look-alikes
  An expansion takes minutes: without an error it counts after ten. FileSystemResizePending is normal until the volume is mounted.
Fixes
  Restart the pod for drivers that expand offline; allow expansion in the class; ask for what the storage can give.
",
    subject: KindId::PersistentVolumeClaim,
    needs: &[],
    check,
    fixes,
};

const PATIENCE: TimeDelta = TimeDelta::minutes(10);

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::PersistentVolumeClaim(claim) = row else { return };
    if claim.meta.deletion_timestamp.is_some() || &*claim.status.phase != "Bound" || !wants_more(claim) {
        return;
    }
    let object = ObjectRef::new("PersistentVolumeClaim", &claim.meta.namespace, &claim.meta.name);
    let conditions = &claim.status.conditions;
    let is = |kind: &str| Condition::find(conditions, kind).filter(|c| c.is_true());
    let failed = is("ControllerResizeError").or_else(|| is("NodeResizeError"));
    let events = facts.snapshot.events_of(KindId::PersistentVolumeClaim, &claim.meta);
    let event = events.iter().rev().find(|e| matches!(&*e.reason, "VolumeResizeFailed" | "FileSystemResizeFailed"));
    let infeasible = claim.status.allocated_resource_statuses.get("storage").filter(|s| s.ends_with("Infeasible"));
    let waiting = is("FileSystemResizePending").or_else(|| is("Resizing"));
    let since = failed.or(waiting).and_then(|c| c.last_transition_time).or(event.and_then(|e| e.first_seen()));
    if failed.is_none() && event.is_none() && infeasible.is_none() {
        let Some(due) = waiting.and(since).map(|s| s + PATIENCE) else { return };
        if facts.now < due {
            out.recheck_at(due);
            return;
        }
    }
    let words = failed.map(Condition::message).filter(|m| !m.is_empty()).or(event.map(|e| e.text()));
    let why = match (words, waiting.map(|c| &*c.kind)) {
        (Some(words), _) => crate::text::ellipsis(words.trim_end_matches('.'), 200),
        (None, Some("FileSystemResizePending")) => "the file system grows when its pod is started anew".to_owned(),
        _ => infeasible.map_or_else(|| "the storage has not answered".to_owned(), ToString::to_string),
    };
    let quotes = failed.into_iter().chain(waiting).map(|c| draft::condition(object.clone(), c));
    out.findings.push(found(facts, claim, &why, since, quotes.chain(event.map(|e| draft::event(e))).collect()));
}

fn found(
    facts: &Facts<'_>,
    claim: &PersistentVolumeClaim,
    why: &str,
    since: Option<Time>,
    quotes: Vec<crate::diagnosis::finding::Evidence>,
) -> Finding {
    let object = ObjectRef::new("PersistentVolumeClaim", &claim.meta.namespace, &claim.meta.name);
    let (asked, has) = sizes(claim);
    let size = draft::quote(object, EvidenceSource::Status, "status.capacity.storage", format!("{has}, {asked} asked for"), None);
    Draft::new(facts, "volume-mount-failed", "PersistentVolumeClaim", &claim.meta)
        .says(format!("it asks for {asked} and stays at {has}: {}", why.replace('\n', " ")))
        .severity(Severity::Warning)
        .because_all(quotes)
        .because(size)
        .since(since)
        .done()
}

fn sizes(claim: &PersistentVolumeClaim) -> (String, String) {
    let text = |map: &std::collections::BTreeMap<crate::text::Text, crate::kinds::pod_spec::Quantity>| {
        map.get("storage").map(|q| q.0.to_string()).unwrap_or_default()
    };
    (text(&claim.spec.resources.requests), text(&claim.status.capacity))
}

fn wants_more(claim: &PersistentVolumeClaim) -> bool {
    let (asked, has) = sizes(claim);
    quantity(&asked).zip(quantity(&has)).is_some_and(|(asked, has)| asked > has)
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let claim = &finding.subject;
    let mut fixes = vec![describe(claim, "conditions and events of the expansion")];
    let user = facts.snapshot.pods.in_namespace(&claim.namespace).find(|pod| {
        pod.spec.volumes.iter().any(|v| v.persistent_volume_claim.as_ref().is_some_and(|c| c.claim_name == claim.name))
    });
    if let Some(pod) = user {
        fixes.push(fix(
            format!("Restart the pod {}", pod.meta.name),
            kubectl(&claim.namespace, format!("delete pod {}", quoted(&pod.meta.name))),
            Risk::Disruptive,
            "drivers that expand offline do it while nobody has the volume mounted",
        ));
    }
    fixes.push(fix(
        "See whether the class allows expansion",
        "kubectl get storageclass -o custom-columns=NAME:.metadata.name,EXPANSION:.allowVolumeExpansion",
        Risk::Safe,
        "without it the request is refused",
    ));
    fixes
}
