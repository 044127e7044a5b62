//! What a pod that was not placed says of its claim: missing, not bound, or being deleted.

use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::Facts;
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::scheduling::message::Message;
use crate::diagnosis::rules::terminating::objects::users_of;
use crate::kinds::pods::Pod;
use crate::kinds::storage::PersistentVolumeClaim;
use crate::kinds::{KindId, ObjectRef};
use crate::text::{Time, timestamp};

static CLAIM: Pattern = Pattern::new(r#"(?:persistentvolumeclaim|PVC) "([^"]+)""#);

/// What is wrong with the claim that the pod waits for.
pub(super) fn say(facts: &Facts<'_>, pod: &Pod, message: &Message, draft: Draft) -> Draft {
    let named = message.reasons.iter().find_map(|r| CLAIM.first_group(&r.text).map(str::to_owned));
    let of_pod = pod.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref()).map(|c| c.claim_name.to_string());
    let unbound = of_pod
        .into_iter()
        .find(|name| facts.snapshot.volume_claims.named(&pod.meta.namespace, name).is_none_or(|c| &*c.status.phase != "Bound"));
    let Some(name) = named.or(unbound) else { return draft };
    let namespace = &pod.meta.namespace;
    let object = ObjectRef::new("PersistentVolumeClaim", namespace, &name);
    let draft = draft.fact("claim", &name).rooted_in("PersistentVolumeClaim", namespace, &name);
    let Some(claim) = facts.snapshot.volume_claims.named(namespace, &name) else {
        if !facts.snapshot.coverage.is_complete(KindId::PersistentVolumeClaim, namespace) {
            return draft;
        }
        return draft.says(format!("the claim {name} does not exist")).because(draft::quote(
            object,
            EvidenceSource::Status,
            "PersistentVolumeClaim",
            "no object of this name is listed",
            None,
        ));
    };
    let class = claim.spec.storage_class_name.as_deref().unwrap_or_default();
    let events = facts.snapshot.events_of(KindId::PersistentVolumeClaim, &claim.meta);
    let draft = draft.maybe("class", Some(class)).because(draft::quote(
        object,
        EvidenceSource::Status,
        "status.phase",
        &*claim.status.phase,
        None,
    ));
    if let Some(deleted) = claim.meta.deletion_timestamp {
        return being_deleted(facts, claim, deleted, draft);
    }
    let why = events.iter().rev().find(|e| {
        matches!(&*e.reason, "ProvisioningFailed" | "FailedBinding" | "ExternalProvisioning" | "VolumeMismatch" | "ClaimLost")
    });
    match why {
        Some(event) => draft
            .says(format!("the claim {name} is not bound: {}", crate::text::ellipsis(event.text().trim_end_matches('.'), 160)))
            .because(draft::event(event)),
        None => {
            draft.says(format!("the claim {name} is not bound (storage class {})", if class.is_empty() { "none" } else { class }))
        }
    }
}

/// A claim that was deleted while pods use it stays until they have gone, and takes no new ones.
fn being_deleted(facts: &Facts<'_>, claim: &PersistentVolumeClaim, deleted: Time, draft: Draft) -> Draft {
    let name = &claim.meta.name;
    let users = users_of(facts, &claim.meta);
    let waits = match users.as_slice() {
        [] => "it takes no new pods".to_owned(),
        users => format!("it takes no new pods, and goes when {} lets go of it", users.join(", ")),
    };
    let object = ObjectRef::new("PersistentVolumeClaim", &claim.meta.namespace, name);
    let at = draft::quote(object, EvidenceSource::Status, "metadata.deletionTimestamp", timestamp(deleted), Some(deleted));
    draft
        .says(format!("the claim {name} is being deleted: {waits}"))
        .fact("deleted", "true")
        .maybe("user", users.first().map(String::as_str))
        .because(at)
        .not("a storage class or a provisioner: the claim was bound before")
}

/// What to do about it.
pub(super) fn fixes(finding: &Finding) -> Vec<Fix> {
    let claim = fact(finding, "claim");
    let class = fact(finding, "class");
    let look = if claim.is_empty() {
        "get persistentvolumeclaims".to_owned()
    } else {
        format!("describe persistentvolumeclaim {}", quoted(claim))
    };
    if !fact(finding, "deleted").is_empty() {
        return deleted_fixes(finding, claim);
    }
    vec![
        fix(
            "See why the claim is not bound",
            kubectl(&finding.workload.namespace, look),
            Risk::Safe,
            "its events name the storage class or the provisioner",
        ),
        fix(
            "List the storage classes there are",
            "kubectl get storageclasses",
            Risk::Safe,
            format!("the claim asks for {}", if class.is_empty() { "the default one" } else { class }),
        ),
    ]
}

fn deleted_fixes(finding: &Finding, claim: &str) -> Vec<Fix> {
    let namespace = &finding.workload.namespace;
    let mut fixes = vec![describe(
        &ObjectRef::new("PersistentVolumeClaim", namespace, claim),
        "who uses it, and its volume: save the data before the claim goes, its reclaim policy may delete it",
    )];
    let user = fact(finding, "user");
    if !user.is_empty() {
        let why = match &*finding.workload.kind {
            "StatefulSet" => "the claim then goes, and the StatefulSet makes a new, empty one",
            _ => "the claim then goes, and has to be created anew",
        };
        let command = kubectl(namespace, format!("delete pod {}", quoted(user)));
        fixes.push(fix(format!("Delete the pod {user} that still uses it"), command, Risk::Destructive, why));
    }
    fixes
}
