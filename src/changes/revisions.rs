//! The revisions of a workload that the cluster still holds, newest first.
//!
//! Deployments keep theirs as ReplicaSets, StatefulSets and DaemonSets as ControllerRevisions. Whether an older one ever
//! worked is said with the evidence for it ([`Revision::proof`]), never assumed.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::Deserialize;

use crate::kinds::pods::Pod;
use crate::kinds::workloads::{ControllerRevision, Deployment, PodTemplate, ReplicaSet};
use crate::kinds::{Condition, Meta, ObjectRef};
use crate::snapshot::Snapshot;
use crate::text::{Text, Time};

/// Where a ReplicaSet keeps the revisions it was before an undo brought it back: `1,3`.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// A writer counts as the author of a revision when it wrote at most this long before or after the revision appeared.
const AUTHOR_WINDOW: TimeDelta = TimeDelta::seconds(10);
/// Managers that can change a workload's main resource but not its template.
const NOT_AUTHORS: &[&str] = &["kubectl-annotate", "kubectl-label", "kube-controller-manager"];

/// One past or present template of a workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Number as `kubectl rollout history` shows it.
    pub number: i64,
    /// Name of the ReplicaSet or ControllerRevision that holds it.
    pub name: Text,
    /// When that object was created.
    pub created: Option<Time>,
    /// When it was last rolled out: `created`, or later when an undo brought it back.
    pub at: Option<Time>,
    /// The manager that wrote the workload then, when `managedFields` still tells.
    pub by: Option<Text>,
    /// Annotation `kubernetes.io/change-cause`.
    pub change_cause: Option<Text>,
    /// Images of its containers, in order.
    pub images: Vec<Text>,
    /// Pods it should have now (for sets: pods it has).
    pub wanted: i32,
    /// Pods of it that are ready now.
    pub ready: i32,
    /// True for the revision the workload's template asks for now.
    pub is_current: bool,
    /// Why it is known to have worked (`3 pods ready now`, `current for 3d before revision 5`); `None` when nothing shows it.
    pub proof: Option<String>,
    /// True for a number it had before an undo brought it back under a new one.
    pub is_past: bool,
    /// The template.
    pub template: Arc<PodTemplate>,
}

impl Revision {
    /// True when it is known to have been ready once, or is now.
    pub fn was_ready(&self) -> bool {
        self.proof.is_some()
    }
}

/// The revisions of a Deployment, StatefulSet or DaemonSet, newest first. Empty for other kinds, or when the objects that
/// hold them are not known (see coverage of ReplicaSets and ControllerRevisions).
pub fn revisions(snapshot: &Snapshot, workload: &ObjectRef) -> Vec<Revision> {
    let mut found = history(snapshot, workload);
    found.retain(|revision| !revision.is_past);
    found
}

/// Like [`revisions`], and each revision that an undo brought back also under the numbers it had before: what was rolled out
/// when. Only the first of those has a time, the creation of its ReplicaSet.
pub fn history(snapshot: &Snapshot, workload: &ObjectRef) -> Vec<Revision> {
    let (namespace, name) = (&workload.namespace, &workload.name);
    let (mut found, deadline) = match &*workload.kind {
        "Deployment" => {
            let Some(deployment) = snapshot.deployments.named(namespace, name) else { return Vec::new() };
            (of_deployment(snapshot, deployment), deployment.spec.progress_deadline_seconds)
        }
        "StatefulSet" => {
            let Some(set) = snapshot.stateful_sets.named(namespace, name) else { return Vec::new() };
            (of_set(snapshot, &set.meta, set.status.update_revision.as_deref()), None)
        }
        "DaemonSet" => {
            let Some(set) = snapshot.daemon_sets.named(namespace, name) else { return Vec::new() };
            (of_set(snapshot, &set.meta, None), None)
        }
        _ => return Vec::new(),
    };
    found.extend(found.iter().flat_map(|revision| past(snapshot, workload, revision)).collect::<Vec<_>>());
    found.sort_by(|a, b| b.number.cmp(&a.number).then_with(|| a.name.cmp(&b.name)));
    prove(&mut found, TimeDelta::seconds(deadline.unwrap_or(600).max(1).into()));
    found
}

/// The default target of an undo: the newest older revision with ready pods, else the newest known to have worked, else the
/// newest older one (which is what `kubectl rollout undo` takes).
pub fn undo_target(revisions: &[Revision]) -> Option<&Revision> {
    let older = || revisions.iter().filter(|r| !r.is_current);
    older().find(|r| r.ready > 0).or_else(|| older().find(|r| r.was_ready())).or_else(|| older().next())
}

fn of_deployment(snapshot: &Snapshot, deployment: &Deployment) -> Vec<Revision> {
    let current = deployment.meta.annotation("deployment.kubernetes.io/revision").and_then(|n| n.parse::<i64>().ok());
    let known: Vec<&ReplicaSet> = snapshot.replica_sets.controlled_by(&deployment.meta.uid).collect();
    // Between a template's change and the controller's next step, no ReplicaSet is current yet.
    let caught_up = deployment.status.observed_generation >= deployment.meta.generation;
    known
        .iter()
        .filter_map(|set| {
            let number = set.revision()?;
            let is_current = caught_up && current == Some(number);
            let at = rolled_out_at(snapshot, deployment, set, is_current);
            Some(Revision {
                number,
                name: set.meta.name.clone(),
                created: set.meta.creation_timestamp,
                at,
                by: author(&deployment.meta, at),
                change_cause: set.meta.annotation("kubernetes.io/change-cause").map(Text::from),
                images: images(&set.spec.template),
                wanted: set.spec.replicas.unwrap_or(1),
                ready: set.status.ready_replicas,
                is_current,
                is_past: false,
                proof: is_current.then(|| completed(deployment, set)).flatten(),
                template: Arc::new(set.spec.template.clone()),
            })
        })
        .collect()
}

/// The revision under the numbers it had before, which its ReplicaSet keeps (`getRevisionHistory` in
/// pkg/controller/deployment/util).
fn past(snapshot: &Snapshot, workload: &ObjectRef, revision: &Revision) -> Vec<Revision> {
    let set = snapshot.replica_sets.named(&workload.namespace, &revision.name).filter(|_| &*workload.kind == "Deployment");
    let numbers = set.and_then(|set| set.meta.annotation(HISTORY)).unwrap_or_default();
    let numbers = numbers.split(',').filter_map(|number| number.trim().parse::<i64>().ok());
    let of = |(at, number)| Revision {
        number,
        at: revision.created.filter(|_| at == 0),
        by: None,
        change_cause: None,
        is_current: false,
        is_past: true,
        proof: None,
        ..revision.clone()
    };
    numbers.enumerate().map(of).collect()
}

/// A ReplicaSet that an undo brought back is older than its rollout; its scaling event, or the Deployment's last writer, knows.
fn rolled_out_at(snapshot: &Snapshot, deployment: &Deployment, set: &ReplicaSet, is_current: bool) -> Option<Time> {
    let created = set.meta.creation_timestamp;
    if set.meta.annotation(HISTORY).is_none() {
        return created;
    }
    let object = ObjectRef::new("Deployment", &deployment.meta.namespace, &deployment.meta.name);
    let scaled =
        super::scaling::scalings(snapshot, &object).into_iter().filter(|s| s.replica_set == set.meta.name && s.from == Some(0));
    let written = || is_current.then(|| authors(&deployment.meta).filter_map(|w| w.time).max()).flatten();
    scaled.map(|s| s.at).max().or_else(written).or(created)
}

/// The Deployment controller's own word that this ReplicaSet was rolled out completely.
fn completed(deployment: &Deployment, set: &ReplicaSet) -> Option<String> {
    let progressing = Condition::find(&deployment.status.conditions, "Progressing")?;
    (progressing.reason() == "NewReplicaSetAvailable" && progressing.message().contains(&*set.meta.name))
        .then(|| "its rollout was completed".to_owned())
}

fn of_set(snapshot: &Snapshot, set: &Meta, update_revision: Option<&str>) -> Vec<Revision> {
    let known: Vec<&ControllerRevision> = snapshot.controller_revisions.controlled_by(&set.uid).collect();
    let newest = known.iter().map(|r| r.revision).max();
    let pods: Vec<&Pod> = snapshot.pods.controlled_by(&set.uid).collect();
    known
        .iter()
        .map(|revision| {
            let name = &revision.meta.name;
            let own: Vec<&&Pod> = pods.iter().filter(|pod| is_of(pod, set, name)).collect();
            let template = template_of(revision);
            let is_current = update_revision.map_or(Some(revision.revision) == newest, |update| *update == **name);
            let created = revision.meta.creation_timestamp;
            // Bringing a revision back renumbers the same object, so its creation is not its rollout.
            let written = || authors(set).filter_map(|w| w.time).max();
            let at = if is_current && known.iter().any(|r| r.meta.creation_timestamp > created) {
                written().or(created)
            } else {
                created
            };
            Revision {
                number: revision.revision,
                name: name.clone(),
                created,
                at,
                by: author(set, at),
                change_cause: revision.meta.annotation("kubernetes.io/change-cause").map(Text::from),
                images: images(&template),
                wanted: count(own.len()),
                ready: count(own.iter().filter(|pod| pod.is_ready()).count()),
                is_current,
                is_past: false,
                proof: None,
                template: Arc::new(template),
            }
        })
        .collect()
}

/// StatefulSets label their pods with the ControllerRevision's name, DaemonSets with the hash at its end.
fn is_of(pod: &Pod, set: &Meta, revision: &str) -> bool {
    let Some(hash) = pod.meta.label("controller-revision-hash") else { return false };
    hash == revision || revision.strip_prefix(&*set.name).and_then(|r| r.strip_prefix('-')) == Some(hash)
}

/// `data` holds `{"spec":{"template":{...,"$patch":"replace"}}}`.
fn template_of(revision: &ControllerRevision) -> PodTemplate {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Data {
        spec: Spec,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Spec {
        template: PodTemplate,
    }
    revision.data.as_ref().and_then(|json| serde_json::from_str::<Data>(&json.0).ok()).unwrap_or_default().spec.template
}

fn images(template: &PodTemplate) -> Vec<Text> {
    template.spec.containers.iter().map(|c| c.image.clone()).collect()
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn authors(meta: &Meta) -> impl Iterator<Item = &crate::kinds::Writer> {
    meta.writers.iter().filter(|w| w.subresource.is_none() && !NOT_AUTHORS.contains(&&*w.manager))
}

/// The manager whose last write of the workload lies nearest to `at`, within [`AUTHOR_WINDOW`]; one that owns part of the
/// template first.
fn author(workload: &Meta, at: Option<Time>) -> Option<Text> {
    let at = at?;
    authors(workload)
        .filter_map(|w| Some(((w.time? - at).abs(), w)))
        .filter(|(away, _)| *away <= AUTHOR_WINDOW)
        .min_by_key(|(away, w)| (!w.owns.template, *away))
        .map(|(_, w)| w.manager.clone())
}

/// Fills in why each revision is known to have worked. `revisions` is sorted newest first.
///
/// A rolling update takes the pods of the revision before away only as its own become available. So a revision without
/// pods that was current for longer than the progress deadline worked, unless an older one still had to keep its pods.
fn prove(revisions: &mut [Revision], deadline: TimeDelta) {
    let mut older_keeps_pods = false;
    let nexts: Vec<Option<(i64, Option<Time>)>> =
        std::iter::once(None).chain(revisions.iter().map(|r| Some((r.number, r.at)))).collect();
    for (revision, next) in revisions.iter_mut().zip(nexts).rev() {
        if revision.ready > 0 {
            let pods = if revision.ready == 1 { "pod" } else { "pods" };
            revision.proof = Some(format!("{} {pods} ready now", revision.ready));
        } else if revision.proof.is_none()
            && !older_keeps_pods
            && let (Some(at), Some((number, Some(until)))) = (revision.at, next)
            && until - at > deadline
        {
            revision.proof = Some(format!("current for {} before revision {number}", crate::text::duration(until - at)));
        }
        older_keeps_pods |= revision.wanted > 0;
    }
}
