//! A claim or volume that was deleted while it is in use: one incident with the pods that wait for it, or that it waits for.

use super::suppress::family;
use super::{Group, fold_into};
use crate::diagnosis::finding::Finding;
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::Snapshot;
use crate::text::Text;

/// Puts deletions that wait for pods under what is said of those pods, and volumes under their claims.
pub(super) fn behind_users(snapshot: &Snapshot, groups: &mut Vec<Group<'_>>) {
    // Volumes wait for claims, claims for pods: in this order what is folded takes along what was folded under it.
    for (kind, why) in [
        (KindId::PersistentVolume, is_claim_of as fn(&Snapshot, &Finding, &Finding) -> bool),
        (KindId::PersistentVolumeClaim, is_user_of),
    ] {
        fold_into(groups, |finding| is_held(finding, kind), |root, held| why(snapshot, root, held));
    }
}

fn is_held(finding: &Finding, kind: KindId) -> bool {
    finding.cause.0 == "terminating-finalizer" && &*finding.subject.kind == kind.name()
}

/// True when `root` tells of the claim that the volume is bound to, and that is being deleted.
fn is_claim_of(snapshot: &Snapshot, root: &Finding, volume: &Finding) -> bool {
    let bound = |claim: &ObjectRef| {
        snapshot.volume_claims.named(&claim.namespace, &claim.name).and_then(|claim| claim.spec.volume_name.clone())
    };
    is_held(root, KindId::PersistentVolumeClaim) && bound(&root.subject).as_ref() == Some(&volume.subject.name)
}

/// True when `root` tells of a pod that cannot start because the claim is being deleted, or that uses it and does not go.
fn is_user_of(snapshot: &Snapshot, root: &Finding, claim: &Finding) -> bool {
    let (namespace, name) = (&claim.subject.namespace, &claim.subject.name);
    if &*root.subject.kind != "Pod" || root.subject.namespace != *namespace || !uses(snapshot, &root.subject, name) {
        return false;
    }
    let waits = ["volume-unbound", "volume-mount-failed", "volume-attach-failed"].contains(&root.cause.0)
        && root.evidence.iter().any(|quote| quote.text.contains("is being deleted"));
    waits || family(root.cause) == "Terminating"
}

fn uses(snapshot: &Snapshot, pod: &ObjectRef, claim: &Text) -> bool {
    let pod = snapshot.pods.named(&pod.namespace, &pod.name);
    let mut claims = pod.into_iter().flat_map(|pod| &pod.spec.volumes).filter_map(|v| v.persistent_volume_claim.as_ref());
    claims.any(|used| used.claim_name == *claim)
}
