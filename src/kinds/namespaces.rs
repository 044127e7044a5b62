//! Namespaces.

use serde::Deserialize;

use super::{Condition, Meta, kind, nullable};
use crate::text::Text;

/// A Namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: NamespaceSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: NamespaceStatus,
}

/// Part of `NamespaceSpec`: finalizers here (not in metadata) hold a namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceSpec {
    /// Usually `kubernetes`.
    #[serde(deserialize_with = "nullable")]
    pub finalizers: Vec<Text>,
}

/// `NamespaceStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceStatus {
    /// `Active` or `Terminating`.
    pub phase: Text,
    /// `NamespaceDeletionContentFailure`, `NamespaceContentRemaining`, ...
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

kind!(Namespace, "" / "v1", "Namespace", "namespaces", namespaced: false, metadata_only: false, |this, pool| {
    Condition::intern(&mut this.status.conditions, pool);
});
