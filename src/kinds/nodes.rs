//! Nodes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pod_spec::Quantity;
use super::{Condition, Meta, kind, nullable};
use crate::text::{Text, Time};

/// A Node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: NodeSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: NodeStatus,
}

/// Part of `NodeSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSpec {
    /// Cordoned.
    pub unschedulable: Option<bool>,
    /// Taints.
    #[serde(deserialize_with = "nullable")]
    pub taints: Vec<Taint>,
    /// The pod range.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<Text>,
}

/// A taint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Taint {
    /// Key.
    pub key: Text,
    /// Value.
    pub value: Option<Text>,
    /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`.
    pub effect: Text,
    /// When it was added.
    #[serde(deserialize_with = "super::shared::time")]
    pub time_added: Option<Time>,
}

/// Part of `NodeStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// Conditions.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    /// What pods may use.
    #[serde(deserialize_with = "nullable")]
    pub allocatable: BTreeMap<Text, Quantity>,
    /// What there is.
    #[serde(deserialize_with = "nullable")]
    pub capacity: BTreeMap<Text, Quantity>,
    /// Versions.
    #[serde(deserialize_with = "nullable")]
    pub node_info: NodeInfo,
}

/// Part of `NodeSystemInfo`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// `amd64`, `arm64`.
    pub architecture: Text,
    /// `v1.36.2`.
    pub kubelet_version: Text,
    /// `containerd://2.1.4`.
    pub container_runtime_version: Text,
}

impl Node {
    /// True when the `Ready` condition is true.
    pub fn is_ready(&self) -> bool {
        Condition::find(&self.status.conditions, "Ready").is_some_and(Condition::is_true)
    }
}

kind!(Node, "" / "v1", "Node", "nodes", namespaced: false, metadata_only: false, |this, pool| {
    Condition::intern(&mut this.status.conditions, pool);
});
