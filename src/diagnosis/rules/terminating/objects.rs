//! `terminating-finalizer` of everything but pods, and what finalizers mean.

use chrono::TimeDelta;

use crate::actions::Intent;
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{fact, fix, kubectl, quoted, target, with_action};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::kinds::{KindId, Meta, ObjectRef, Row};
use crate::text;

const DOC: &str = "\
What it detects
  An object that was deleted and is held by a finalizer: a claim still used by pods, a load balancer that cannot be cleaned up, a
  custom controller that is gone.
Reads
  metadata.{deletionTimestamp,finalizers}; for claims the pods that mount them; for Services the events of the cloud controller.
Source
  apiserver registry (an object goes when its last finalizer does); pkg/controller/volume/pvcprotection; cloud-provider service
  controller.
Look-alikes
  A deletion that was asked for seconds ago: controllers need a moment, so nothing is said in the first minute.
Fixes
  Restore the controller that owns the finalizer, delete the pods that use the claim, or as a last resort remove the finalizer:
  what it protected is then left behind.
";

macro_rules! finalizer_rules {
    ($($name:ident = $text:literal, $kind:ident;)*) => {
        $(#[doc = concat!("Finalizers of `", stringify!($kind), "`.")]
        pub static $name: Rule = Rule {
            name: $text,
            causes: &[CauseId("terminating-finalizer")],
            doc: DOC,
            subject: KindId::$kind,
            needs: &[],
            check,
            fixes,
        };)*
        /// One rule a kind.
        pub static ALL: &[&Rule] = &[$(&$name,)*];
    };
}
finalizer_rules! {
    CLAIM = "terminating-claim", PersistentVolumeClaim;
    SERVICE = "terminating-service", Service;
    DEPLOYMENT = "terminating-deployment", Deployment;
    STATEFUL_SET = "terminating-statefulset", StatefulSet;
    JOB = "terminating-job", Job;
    CONFIG_MAP = "terminating-configmap", ConfigMap;
    SECRET = "terminating-secret", Secret;
    NODE = "terminating-node", Node;
    INGRESS = "terminating-ingress", Ingress;
    DAEMON_SET = "terminating-daemonset", DaemonSet;
    CRON_JOB = "terminating-cronjob", CronJob;
    AUTOSCALER = "terminating-autoscaler", HorizontalPodAutoscaler;
    NETWORK_POLICY = "terminating-networkpolicy", NetworkPolicy;
    DISRUPTION_BUDGET = "terminating-disruptionbudget", PodDisruptionBudget;
    QUOTA = "terminating-resourcequota", ResourceQuota;
    CERTIFICATE = "terminating-certificate", Certificate;
    HTTP_ROUTE = "terminating-httproute", HTTPRoute;
    VOLUME = "terminating-persistentvolume", PersistentVolume;
    DEFINITION = "terminating-definition", CustomResourceDefinition;
    API_SERVICE = "terminating-apiservice", APIService;
}

/// Controllers may take this long before a finalizer counts as stuck.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);

/// Well-known finalizers and who clears them (`failures.md`, part E).
const OWNERS: &[(&str, &str)] = &[
    ("kubernetes.io/pvc-protection", "pods still use the claim"),
    ("kubernetes.io/pv-protection", "a claim is still bound to the volume"),
    ("customresourcecleanup.apiextensions.k8s.io", "objects of this kind still exist, with finalizers of their own"),
    ("batch.kubernetes.io/job-tracking", "the Job controller has to count the pod first"),
    ("foregroundDeletion", "dependents that block the owner's deletion still exist"),
    ("orphan", "the garbage collector has to orphan the dependents first"),
    ("service.kubernetes.io/load-balancer-cleanup", "the cloud load balancer is not removed yet"),
    ("service.k8s.aws/resources", "the AWS load balancer controller has to clean up"),
    ("ingress.k8s.aws/resources", "the AWS load balancer controller has to clean up"),
    ("elbv2.k8s.aws/resources", "the AWS load balancer controller has to clean up"),
    ("resource.kubernetes.io/delete-protection", "a resource claim is still in use"),
    ("external-provisioner.volume.kubernetes.io/finalizer", "the CSI provisioner has to clean up"),
    ("external-attacher/", "the CSI attacher has to detach the volume"),
    ("karpenter.sh/termination", "Karpenter drains the node first"),
    ("finalizer.acme.cert-manager.io", "cert-manager has to clean up its challenge"),
    ("resources-finalizer.argocd.argoproj.io", "Argo CD has to remove what the application owns"),
    ("finalizers.fluxcd.io", "Flux has to remove what it applied"),
    ("controller.cattle.io/", "Rancher has to clean up"),
    ("networking.gke.io/", "the GKE controllers have to clean up"),
    ("snapshot.storage.kubernetes.io/", "the snapshot controller has to clean up"),
];

/// Who is expected to clear a finalizer, in words.
pub fn finalizer_owner(finalizer: &str) -> String {
    if let Some((_, who)) = OWNERS.iter().find(|(prefix, _)| finalizer.starts_with(prefix)) {
        return (*who).to_owned();
    }
    match finalizer.split_once('/') {
        Some((domain, _)) => format!("the controller of {domain} has to clear it: does it run?"),
        None => "the controller that added it has to clear it: does it run?".to_owned(),
    }
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let meta = row.meta();
    let (Some(deleted), Some(first)) = (meta.deletion_timestamp, meta.finalizers.first()) else { return };
    if facts.now < deleted + PATIENCE {
        out.recheck_at(deleted + PATIENCE);
        return;
    }
    // A namespace that is going names its own remaining finalizers: one incident, not one an object.
    if facts.snapshot.namespaces.named("", &meta.namespace).is_some_and(|n| n.meta.deletion_timestamp.is_some()) {
        return;
    }
    let kind = row.kind();
    let object = ObjectRef::new(kind.name(), &meta.namespace, &meta.name);
    let names = meta.finalizers.iter().map(|f| &**f).collect::<Vec<_>>().join(", ");
    let mut draft = Draft::new(facts, "terminating-finalizer", kind.name(), meta)
        .fact("finalizer", first)
        .because(draft::quote(object.clone(), EvidenceSource::Spec, "metadata.finalizers", names.clone(), None))
        .because(draft::quote(
            object,
            EvidenceSource::Status,
            "metadata.deletionTimestamp",
            text::timestamp(deleted),
            Some(deleted),
        ))
        .since(Some(deleted));
    let mut who = finalizer_owner(first);
    if kind == KindId::PersistentVolumeClaim {
        let users = users_of(facts, meta);
        if let Some(user) = users.first() {
            who = format!("used by {}", users.join(", "));
            draft = draft.fact("user", user);
        }
    }
    let events = facts.snapshot.events_of(kind, meta);
    if let Some(failed) = events.iter().rev().find(|e| e.is_warning()) {
        draft = draft.because(draft::event(failed));
    }
    out.findings.push(draft.says(format!("the finalizer {names} holds it: {who}")).done());
}

/// The pods that hold a claim: those not yet placed do not (pkg/controller/volume/pvcprotection).
pub fn users_of(facts: &Facts<'_>, claim: &Meta) -> Vec<String> {
    let uses = |p: &&crate::kinds::pods::Pod| {
        !p.is_finished()
            && p.node_name.is_some()
            && p.spec.volumes.iter().any(|v| v.persistent_volume_claim.as_ref().is_some_and(|c| c.claim_name == claim.name))
    };
    facts.snapshot.pods.in_namespace(&claim.namespace).filter(uses).map(|p| p.meta.name.to_string()).collect()
}

/// The fixes for anything a finalizer holds.
pub fn finalizer_fixes(finding: &Finding) -> Vec<Fix> {
    let object = &finding.subject;
    let finalizer = fact(finding, "finalizer");
    let mut fixes = Vec::new();
    if let Some(user) = finding.facts.get("user") {
        fixes.push(fix(
            format!("Delete the pod {user} that uses it"),
            kubectl(&object.namespace, format!("delete pod {}", quoted(user))),
            Risk::Disruptive,
            "the claim goes by itself when no pod uses it",
        ));
    }
    if let Some((resources, _)) = object.name.split_once('.').filter(|_| &*object.kind == "CustomResourceDefinition") {
        fixes.push(fix(
            format!("See which {resources} are left"),
            format!("kubectl get {} -A", quoted(&object.name)),
            Risk::Safe,
            "the definition goes by itself when the last of them is gone",
        ));
    }
    fixes.push(fix(
        "See who wrote the finalizer",
        kubectl(&object.namespace, format!("get {} -o yaml --show-managed-fields", target(object))),
        Risk::Safe,
        finalizer_owner(finalizer),
    ));
    if finalizer.starts_with("external-attacher/") {
        fixes.push(fix(
            "See where it is attached",
            "kubectl get volumeattachments -o custom-columns=NAME:.metadata.name,VOLUME:.spec.source.persistentVolumeName,NODE:.spec.nodeName,DELETED:.metadata.deletionTimestamp",
            Risk::Safe,
            "a VolumeAttachment that does not go, on a node that is gone, holds the volume",
        ));
    }
    fixes.push(remove_finalizer(object, finalizer));
    fixes
}

/// Taking a finalizer off, with one key.
pub fn remove_finalizer(object: &ObjectRef, finalizer: &str) -> Fix {
    // The first of them, and only while it is this one: others may still be cleaned up after.
    let path = "/metadata/finalizers/0";
    let patch = serde_json::json!([{"op": "test", "path": path, "value": finalizer}, {"op": "remove", "path": path}]);
    let command = kubectl(&object.namespace, format!("patch {} --type=json -p {}", target(object), quoted(&patch.to_string())));
    let remove = fix(
        format!("Remove the finalizer {finalizer}"),
        command,
        Risk::Destructive,
        "last resort: whatever its controller would have cleaned up is left behind",
    );
    with_action(remove, Intent::RemoveFinalizer { object: object.clone(), finalizer: finalizer.to_owned() })
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    finalizer_fixes(finding)
}
