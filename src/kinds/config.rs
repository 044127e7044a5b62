//! ConfigMaps and Secrets: metadata, and the names of their keys where a bundle shows them. **Never their values.**

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Meta, kind};
use crate::text::{Text, Time};

/// A ConfigMap's metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, from = "Wire")]
pub struct ConfigMap {
    /// `metadata`.
    pub meta: Meta,
    /// Key names of `data` and `binaryData`; `None` when only metadata was listed (live).
    pub keys: Option<Vec<Text>>,
}

/// A Secret's metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, from = "Wire")]
pub struct Secret {
    /// `metadata`.
    pub meta: Meta,
    /// Key names of `data`; `None` when only metadata was listed (live).
    pub keys: Option<Vec<Text>>,
    /// `Opaque`, `kubernetes.io/tls`, ...; `None` when only metadata was listed.
    pub kind: Option<Text>,
    /// When its certificate expires, where the issuer noted it beside it.
    pub not_after: Option<Time>,
}

/// Annotations that hold the end of a certificate's validity.
const EXPIRY: &[&str] = &[
    "auth.openshift.io/certificate-not-after",
    "service.beta.openshift.io/expiry",
    "service.alpha.openshift.io/expiry",
    "cert.gardener.cloud/expiry",
];

/// Values are skipped while parsing: they never exist in memory as strings of ours.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    metadata: Meta,
    kind: Text,
    #[serde(rename = "type")]
    secret_type: Option<Text>,
    data: Option<BTreeMap<Text, IgnoredAny>>,
    binary_data: Option<BTreeMap<Text, IgnoredAny>>,
}

impl Wire {
    /// Unknown when only metadata came. Items of a list need not say their kind: without it, no data may mean either.
    fn keys(&self) -> Option<Vec<Text>> {
        let whole = matches!(&*self.kind, "ConfigMap" | "Secret") || self.data.is_some() || self.binary_data.is_some();
        let keys = || [&self.data, &self.binary_data].into_iter().flatten().flat_map(|data| data.keys().cloned()).collect();
        whole.then(keys)
    }
}

impl From<Wire> for ConfigMap {
    fn from(wire: Wire) -> Self {
        Self { keys: wire.keys(), meta: wire.metadata }
    }
}

impl From<Wire> for Secret {
    fn from(wire: Wire) -> Self {
        let not_after = EXPIRY.iter().find_map(|key| wire.metadata.annotation(key)?.parse().ok());
        Self { keys: wire.keys(), meta: wire.metadata, kind: wire.secret_type, not_after }
    }
}

kind!(ConfigMap, "" / "v1", "ConfigMap", "configmaps", namespaced: true, metadata_only: true, |_this, _pool| {});
kind!(Secret, "" / "v1", "Secret", "secrets", namespaced: true, metadata_only: true, |this, _pool| {
    // Annotations of Secrets may repeat their data (kubectl apply and other tools): keep none.
    this.meta.annotations.clear();
});
