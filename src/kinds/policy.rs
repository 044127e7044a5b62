//! ResourceQuotas and PodDisruptionBudgets.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pod_spec::Quantity;
use super::workloads::Selector;
use super::{Condition, Meta, kind, nullable};
use crate::text::Text;

/// A ResourceQuota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ResourceQuota {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: QuotaStatus,
}

/// Its status: limits and use by resource name (`pods`, `requests.cpu`, ...).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    /// Enforced.
    #[serde(deserialize_with = "nullable")]
    pub hard: BTreeMap<Text, Quantity>,
    /// Used.
    #[serde(deserialize_with = "nullable")]
    pub used: BTreeMap<Text, Quantity>,
}

/// A PodDisruptionBudget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodDisruptionBudget {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: BudgetSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: BudgetStatus,
}

/// Part of its spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BudgetSpec {
    /// Pods it protects.
    pub selector: Selector,
}

/// Part of its status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BudgetStatus {
    /// Evictions allowed now.
    pub disruptions_allowed: i32,
    /// Healthy pods.
    pub current_healthy: i32,
    /// Healthy pods needed.
    pub desired_healthy: i32,
    /// Pods it counts.
    pub expected_pods: i32,
    /// `DisruptionAllowed`.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

kind!(ResourceQuota, "" / "v1", "ResourceQuota", "resourcequotas", namespaced: true, metadata_only: false, |_this, _pool| {});
kind!(PodDisruptionBudget, "policy" / "v1", "PodDisruptionBudget", "poddisruptionbudgets", namespaced: true,
    metadata_only: false, |this, pool| { Condition::intern(&mut this.status.conditions, pool); });
