//! Object metadata: what k3am keeps of `metadata`, who wrote the object, and references between objects.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Interner, nullable, shared};
use crate::text::{Text, Time};

/// The part of `ObjectMeta` k3am reads. `managedFields` is reduced to [`Writer`]s while decoding.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Object name, unique per kind and namespace.
    #[serde(deserialize_with = "super::shared::own")]
    pub name: Text,
    /// Empty for cluster-scoped objects.
    #[serde(deserialize_with = "super::shared::word")]
    pub namespace: Text,
    /// Unique in time and space; a recreated object of the same name has another.
    #[serde(deserialize_with = "super::shared::own")]
    pub uid: Text,
    /// Opaque version for watches and preconditions.
    #[serde(deserialize_with = "super::shared::own")]
    pub resource_version: Text,
    /// Counts spec changes; compare with `status.observedGeneration`.
    pub generation: Option<i64>,
    /// When it was created.
    #[serde(deserialize_with = "super::shared::time")]
    pub creation_timestamp: Option<Time>,
    /// When it may be removed: request time **plus** grace period, so it lies in the future while the grace period runs.
    #[serde(deserialize_with = "super::shared::time")]
    pub deletion_timestamp: Option<Time>,
    /// Grace period of the deletion, in seconds.
    pub deletion_grace_period_seconds: Option<i64>,
    /// What must be cleared before the object can go.
    #[serde(deserialize_with = "nullable")]
    pub finalizers: Vec<Text>,
    /// Labels, shared among objects with the same ones: replicas.
    #[serde(deserialize_with = "nullable")]
    pub labels: Arc<BTreeMap<Text, Text>>,
    /// Annotations k3am reads (all but `last-applied-configuration`).
    #[serde(deserialize_with = "annotations")]
    pub annotations: BTreeMap<Text, Text>,
    /// Owners, shared among replicas; at most one has `controller: true`.
    #[serde(deserialize_with = "nullable")]
    pub owner_references: Arc<[OwnerReference]>,
    /// Who wrote the object and when, newest last (from `managedFields`, fields themselves dropped).
    #[serde(rename = "managedFields", deserialize_with = "nullable")]
    pub writers: Vec<Writer>,
}

thread_local! {
    static NO_LABELS: Arc<BTreeMap<Text, Text>> = Arc::default();
    static NO_OWNERS: Arc<[OwnerReference]> = Vec::new().into();
}

impl Default for Meta {
    /// Allocates nothing, and shares nothing with other threads: decoding begins with one of these for every object.
    fn default() -> Self {
        Self {
            name: shared::empty(),
            namespace: shared::empty(),
            uid: shared::empty(),
            resource_version: shared::empty(),
            generation: None,
            creation_timestamp: None,
            deletion_timestamp: None,
            deletion_grace_period_seconds: None,
            finalizers: Vec::new(),
            labels: NO_LABELS.with(Arc::clone),
            annotations: BTreeMap::new(),
            owner_references: NO_OWNERS.with(Arc::clone),
            writers: Vec::new(),
        }
    }
}

/// One entry of `managedFields` without its field set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Writer {
    /// The client that wrote: `kubectl-set`, `argocd-controller`, `helm`, `kube-controller-manager`, ...
    pub manager: Text,
    /// `Update` or `Apply`.
    pub operation: Text,
    /// When it last wrote.
    #[serde(deserialize_with = "super::shared::time")]
    pub time: Option<Time>,
    /// `status`, `scale`, ... or `None` for the main resource.
    pub subresource: Option<Text>,
    /// Which parts it owns; all false when the field set was stripped.
    #[serde(rename = "fieldsV1", deserialize_with = "nullable")]
    pub owns: Owned,
}

/// What of an object a [`Writer`] owns, as far as k3am asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, from = "OwnedWire")]
pub struct Owned {
    /// Something in `spec.template`.
    pub template: bool,
    /// `spec.replicas`.
    pub replicas: bool,
    /// Key names in `data` (ConfigMaps, Secrets). Names only: no field set holds a value.
    pub data: Box<[Text]>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OwnedWire {
    #[serde(rename = "f:spec", deserialize_with = "nullable")]
    spec: BTreeMap<Text, serde::de::IgnoredAny>,
    #[serde(rename = "f:data", deserialize_with = "nullable")]
    data: BTreeMap<Text, serde::de::IgnoredAny>,
}

impl From<OwnedWire> for Owned {
    fn from(wire: OwnedWire) -> Self {
        let has = |field| wire.spec.contains_key(field);
        let keys = wire.data.keys().filter_map(|key| key.strip_prefix("f:"));
        Self { template: has("f:template"), replicas: has("f:replicas"), data: keys.map(Text::from).collect() }
    }
}

/// A link to an owning object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `apps/v1`.
    #[serde(deserialize_with = "super::shared::word")]
    pub api_version: Text,
    /// `ReplicaSet`.
    #[serde(deserialize_with = "super::shared::word")]
    pub kind: Text,
    /// Owner's name.
    #[serde(deserialize_with = "super::shared::word")]
    pub name: Text,
    /// Owner's uid.
    #[serde(deserialize_with = "super::shared::word")]
    pub uid: Text,
    /// True for the managing controller.
    pub controller: Option<bool>,
}

/// Kind, namespace and name: how reports, incidents and actions point at an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ObjectRef {
    /// `Deployment`, `Pod`, ... any kind, watched or not.
    pub kind: Text,
    /// Empty for cluster-scoped kinds.
    pub namespace: Text,
    /// Object name.
    pub name: Text,
}

impl ObjectRef {
    /// A reference from its three parts.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectRef {
    /// `deployment/name` as kubectl writes it (no namespace).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_lowercase(), self.name)
    }
}

impl Meta {
    /// The controlling owner, if any.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().find(|o| o.controller == Some(true))
    }

    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(|v| &**v)
    }

    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(|v| &**v)
    }

    /// The newest writer of the main resource (spec, data), not of `status` or another subresource.
    pub fn last_writer(&self) -> Option<&Writer> {
        self.writers.iter().filter(|w| w.subresource.is_none()).max_by_key(|w| w.time)
    }

    pub(crate) fn intern(&mut self, pool: &mut Interner<'_>) {
        // Decoding grows vectors to four elements or more; most hold one or two.
        self.writers.shrink_to_fit();
        self.finalizers.shrink_to_fit();
        pool.text(&mut self.namespace);
        // Unique until a replica shares them, whose texts then are interned already.
        for o in Arc::get_mut(&mut self.owner_references).into_iter().flatten() {
            pool.text(&mut o.api_version);
            pool.text(&mut o.kind);
            pool.text(&mut o.name);
            pool.text(&mut o.uid);
        }
        for w in &mut self.writers {
            pool.text(&mut w.manager);
            pool.text(&mut w.operation);
            pool.optional(&mut w.subresource);
            w.owns.data.iter_mut().for_each(|key| pool.text(key));
        }
        for f in &mut self.finalizers {
            pool.text(f);
        }
        pool.labels(&mut self.labels);
        intern_map(&mut self.annotations, pool);
    }
}

/// Interns keys and values of a label-like map.
pub(crate) fn intern_map(map: &mut BTreeMap<Text, Text>, pool: &mut Interner<'_>) {
    if map.is_empty() {
        return;
    }
    *map = std::mem::take(map)
        .into_iter()
        .map(|(mut k, mut v)| {
            pool.text(&mut k);
            pool.text(&mut v);
            (k, v)
        })
        .collect();
}

/// Drops the annotation that repeats the whole object (and, for Secrets applied by kubectl, would repeat their data).
fn annotations<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Text, Text>, D::Error> {
    let mut map: BTreeMap<Text, Text> = nullable(deserializer)?;
    map.remove("kubectl.kubernetes.io/last-applied-configuration");
    Ok(map)
}
