//! Volumes and mounts: the sources rules follow to ConfigMaps, Secrets and claims.

use serde::Deserialize;

use super::pod_spec::{OptionalRef, Quantity};
use super::{compact, nullable};
use crate::text::Text;

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VolumeMount {
    /// Volume name.
    pub name: Text,
    /// Where.
    pub mount_path: Text,
    /// One entry of the volume.
    pub sub_path: Option<Text>,
    /// Read-only.
    pub read_only: Option<bool>,
}

/// Part of `Volume`: the sources rules follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    /// Volume name.
    pub name: Text,
    /// ConfigMap.
    pub config_map: Option<OptionalRef>,
    /// Secret.
    pub secret: Option<OptionalRef>,
    /// Claim.
    pub persistent_volume_claim: Option<ClaimRef>,
    /// Several sources in one.
    pub projected: Option<Projected>,
    /// Path on the node.
    pub host_path: Option<HostPath>,
    /// Scratch space.
    pub empty_dir: Option<EmptyDir>,
}

/// A claim reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimRef {
    /// PersistentVolumeClaim name.
    pub claim_name: Text,
}

/// `projected`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Projected {
    /// Sources.
    #[serde(deserialize_with = "compact")]
    pub sources: Vec<ProjectedSource>,
}

/// One source of a projected volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectedSource {
    /// ConfigMap.
    pub config_map: Option<OptionalRef>,
    /// Secret.
    pub secret: Option<OptionalRef>,
}

/// `hostPath`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct HostPath {
    /// Path on the node.
    pub path: Text,
    /// Expected type.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
}

/// `emptyDir`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmptyDir {
    /// Size limit.
    pub size_limit: Option<Quantity>,
    /// `Memory` or empty.
    pub medium: Option<Text>,
}

/// How the volume begins through which a pod gets its API access token; the rest is random.
pub(super) const ACCESS_TOKEN: &str = "kube-api-access-";

/// Drops the `kube-api-access-xxxxx` volume, whose random name would make every pod's spec unique.
pub(super) fn volumes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Volume>, D::Error> {
    let mut volumes: Vec<Volume> = nullable(deserializer)?;
    volumes.retain(|v| !v.name.starts_with(ACCESS_TOKEN));
    volumes.shrink_to_fit();
    Ok(volumes)
}

pub(super) fn mounts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<VolumeMount>, D::Error> {
    let mut mounts: Vec<VolumeMount> = nullable(deserializer)?;
    mounts.retain(|m| !m.name.starts_with(ACCESS_TOKEN));
    mounts.shrink_to_fit();
    Ok(mounts)
}
