//! The workload kinds of `apps/v1`: Deployments, ReplicaSets, StatefulSets, DaemonSets, ControllerRevisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::pod_spec::{IntOrText, PodSpec, RawJson};
use super::{Condition, Meta, kind, nullable};
use crate::text::Text;

/// A pod template: what a rollout changes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    #[serde(deserialize_with = "nullable")]
    pub metadata: TemplateMeta,
    /// Spec of the pods, shared.
    #[serde(deserialize_with = "nullable")]
    pub spec: Arc<PodSpec>,
}

/// Labels and annotations of a template.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct TemplateMeta {
    /// Labels.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<Text, Text>,
    /// Annotations; `kubectl.kubernetes.io/restartedAt` is written by `rollout restart`.
    #[serde(deserialize_with = "nullable")]
    pub annotations: BTreeMap<Text, Text>,
}

/// A label selector.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Labels that must be equal.
    #[serde(deserialize_with = "nullable")]
    pub match_labels: BTreeMap<Text, Text>,
    /// Set-based terms.
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Vec<Requirement>,
}

/// A set-based term of a selector.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// Label key.
    pub key: Text,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: Text,
    /// Values.
    #[serde(deserialize_with = "nullable")]
    pub values: Vec<Text>,
}

impl Selector {
    /// True when `labels` satisfy every term; an empty selector matches nothing here (as for Services), callers decide otherwise.
    pub fn matches(&self, labels: &BTreeMap<Text, Text>) -> bool {
        if self.match_labels.is_empty() && self.match_expressions.is_empty() {
            return false;
        }
        self.match_labels.iter().all(|(k, v)| labels.get(k) == Some(v))
            && self.match_expressions.iter().all(|r| {
                let value = labels.get(&r.key);
                match &*r.operator {
                    "In" => value.is_some_and(|v| r.values.contains(v)),
                    "NotIn" => value.is_none_or(|v| !r.values.contains(v)),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
    }
}

/// A Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: DeploymentSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: DeploymentStatus,
}

/// Part of `DeploymentSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentSpec {
    /// Wanted pods; default 1.
    pub replicas: Option<i32>,
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods.
    pub template: PodTemplate,
    /// No rollout happens while true.
    pub paused: Option<bool>,
    /// Seconds without progress before `ProgressDeadlineExceeded`; default 600.
    pub progress_deadline_seconds: Option<i32>,
    /// Old ReplicaSets kept; default 10.
    pub revision_history_limit: Option<i32>,
    /// Seconds a pod must be ready to count as available.
    pub min_ready_seconds: Option<i32>,
    /// How pods are replaced.
    #[serde(deserialize_with = "nullable")]
    pub strategy: Strategy,
}

/// Rollout strategy of a Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strategy {
    /// `RollingUpdate`, `Recreate`, `OnDelete`.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// Parameters.
    pub rolling_update: Option<RollingUpdate>,
}

/// Parameters of a rolling update.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// Pods that may be missing.
    pub max_unavailable: Option<IntOrText>,
    /// Pods that may be too many.
    pub max_surge: Option<IntOrText>,
    /// StatefulSets: ordinals from here on are updated.
    pub partition: Option<i32>,
}

/// Part of `DeploymentStatus`; counts are of pods.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// Generation the controller has seen.
    pub observed_generation: Option<i64>,
    /// All pods.
    pub replicas: i32,
    /// Of the newest template.
    pub updated_replicas: i32,
    /// Ready.
    pub ready_replicas: i32,
    /// Ready for long enough.
    pub available_replicas: i32,
    /// Missing.
    pub unavailable_replicas: i32,
    /// `Available`, `Progressing`, `ReplicaFailure`.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

/// A ReplicaSet: one revision of a Deployment.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ReplicaSet {
    /// `metadata`; annotation `deployment.kubernetes.io/revision` numbers the revision.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: ReplicaSetSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: ReplicaSetStatus,
}

/// Part of `ReplicaSetSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetSpec {
    /// Wanted pods.
    pub replicas: Option<i32>,
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods.
    pub template: PodTemplate,
}

/// Part of `ReplicaSetStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    /// Generation the controller has seen.
    pub observed_generation: Option<i64>,
    /// All pods.
    pub replicas: i32,
    /// Ready.
    pub ready_replicas: i32,
    /// Ready for long enough.
    pub available_replicas: i32,
    /// `ReplicaFailure`.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

impl ReplicaSet {
    /// The revision number from `deployment.kubernetes.io/revision`.
    pub fn revision(&self) -> Option<i64> {
        self.meta.annotation("deployment.kubernetes.io/revision")?.parse().ok()
    }
}

/// A StatefulSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct StatefulSet {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: StatefulSetSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: SetStatus,
}

/// Part of `StatefulSetSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatefulSetSpec {
    /// Wanted pods; default 1.
    pub replicas: Option<i32>,
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods.
    pub template: PodTemplate,
    /// Headless Service.
    pub service_name: Option<Text>,
    /// `OrderedReady` or `Parallel`.
    pub pod_management_policy: Option<Text>,
    /// How pods are replaced.
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: Strategy,
}

/// Status counters of StatefulSets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SetStatus {
    /// Generation the controller has seen.
    pub observed_generation: Option<i64>,
    /// All pods.
    pub replicas: i32,
    /// Ready.
    pub ready_replicas: i32,
    /// Available.
    pub available_replicas: i32,
    /// Of the update revision.
    pub updated_replicas: i32,
    /// Of the current revision.
    pub current_replicas: i32,
    /// Revision most pods have.
    pub current_revision: Option<Text>,
    /// Revision being rolled out.
    pub update_revision: Option<Text>,
}

/// A DaemonSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DaemonSet {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: DaemonSetSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: DaemonSetStatus,
}

/// Part of `DaemonSetSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetSpec {
    /// Which pods are its own.
    pub selector: Selector,
    /// The pods.
    pub template: PodTemplate,
    /// How pods are replaced.
    #[serde(deserialize_with = "nullable")]
    pub update_strategy: Strategy,
}

/// Part of `DaemonSetStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DaemonSetStatus {
    /// Generation the controller has seen.
    pub observed_generation: Option<i64>,
    /// Nodes that should run a pod.
    pub desired_number_scheduled: i32,
    /// Nodes that do.
    pub current_number_scheduled: i32,
    /// Ready pods.
    pub number_ready: i32,
    /// Available pods.
    pub number_available: i32,
    /// Missing.
    pub number_unavailable: i32,
    /// Nodes that run one and should not.
    pub number_misscheduled: i32,
    /// Of the newest template.
    pub updated_number_scheduled: i32,
}

/// A past template of a StatefulSet or DaemonSet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ControllerRevision {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// Number, growing.
    pub revision: i64,
    /// The patch that holds `spec.template`, as canonical JSON text.
    pub data: Option<RawJson>,
}

fn intern_template(template: &mut PodTemplate, pool: &mut super::Interner<'_>) {
    pool.spec(&mut template.spec);
    super::meta::intern_map(&mut template.metadata.labels, pool);
}

kind!(Deployment, "apps" / "v1", "Deployment", "deployments", namespaced: true, metadata_only: false, |this, pool| {
    intern_template(&mut this.spec.template, pool);
    Condition::intern(&mut this.status.conditions, pool);
});
kind!(ReplicaSet, "apps" / "v1", "ReplicaSet", "replicasets", namespaced: true, metadata_only: false, |this, pool| {
    intern_template(&mut this.spec.template, pool);
    Condition::intern(&mut this.status.conditions, pool);
});
kind!(StatefulSet, "apps" / "v1", "StatefulSet", "statefulsets", namespaced: true, metadata_only: false, |this, pool| {
    intern_template(&mut this.spec.template, pool);
});
kind!(DaemonSet, "apps" / "v1", "DaemonSet", "daemonsets", namespaced: true, metadata_only: false, |this, pool| {
    intern_template(&mut this.spec.template, pool);
});
kind!(ControllerRevision, "apps" / "v1", "ControllerRevision", "controllerrevisions", namespaced: true, metadata_only: false,
    |_this, _pool| {});
