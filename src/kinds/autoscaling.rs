//! HorizontalPodAutoscalers.

use serde::Deserialize;

use super::{Condition, Meta, kind, nullable};
use crate::text::Text;

/// A HorizontalPodAutoscaler (`autoscaling/v2`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct HorizontalPodAutoscaler {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: AutoscalerSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: AutoscalerStatus,
}

/// Part of its spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerSpec {
    /// What it scales.
    pub scale_target_ref: ScaleTarget,
    /// At least this many pods.
    pub min_replicas: Option<i32>,
    /// At most this many pods.
    pub max_replicas: i32,
}

/// What an autoscaler scales.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ScaleTarget {
    /// `Deployment`.
    pub kind: Text,
    /// Its name.
    pub name: Text,
}

/// Part of its status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerStatus {
    /// Pods now.
    pub current_replicas: Option<i32>,
    /// Pods wanted.
    pub desired_replicas: i32,
    /// `AbleToScale`, `ScalingActive`, `ScalingLimited`.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

kind!(HorizontalPodAutoscaler, "autoscaling" / "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced: true,
    metadata_only: false, |this, pool| { Condition::intern(&mut this.status.conditions, pool); });
