//! PersistentVolumeClaims, and of the volumes themselves what a deletion needs.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pod_spec::Quantity;
use super::{Condition, Meta, kind, nullable};
use crate::text::Text;

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolumeClaim {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: ClaimSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: ClaimStatus,
}

/// Part of its spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// Storage class; absent means the default one.
    pub storage_class_name: Option<Text>,
    /// The bound volume.
    pub volume_name: Option<Text>,
    /// What is asked for.
    #[serde(deserialize_with = "nullable")]
    pub resources: ClaimResources,
}

/// Part of `VolumeResourceRequirements`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClaimResources {
    /// `storage`.
    #[serde(deserialize_with = "nullable")]
    pub requests: BTreeMap<Text, Quantity>,
}

/// Part of its status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimStatus {
    /// `Pending`, `Bound`, `Lost`.
    pub phase: Text,
    /// Resize conditions.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    /// What there is.
    #[serde(deserialize_with = "nullable")]
    pub capacity: BTreeMap<Text, Quantity>,
    /// How far a resize is: `ControllerResizeInfeasible`, `NodeResizePending`, ...
    #[serde(deserialize_with = "nullable")]
    pub allocated_resource_statuses: BTreeMap<Text, Text>,
}

/// A PersistentVolume: its metadata only.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
}

kind!(PersistentVolume, "" / "v1", "PersistentVolume", "persistentvolumes", namespaced: false, metadata_only: true,
    optional: true, |_this, _pool| {});
kind!(PersistentVolumeClaim, "" / "v1", "PersistentVolumeClaim", "persistentvolumeclaims", namespaced: true,
    metadata_only: false, |this, pool| { Condition::intern(&mut this.status.conditions, pool); });
