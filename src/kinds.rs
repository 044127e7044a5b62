//! The Kubernetes kinds k3am watches, one file per kind.
//!
//! A row **is** the part of the object we read: partial structs under Kubernetes' own field names, decoded straight from the
//! wire JSON (unknown fields are skipped, missing and `null` ones default), so that a rule's field path is the evidence's
//! field path. Strings that repeat are interned by [`Pool`]. To add a kind: one file here, one line in [`for_each_kind!`].

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::protobuf::{self, Message};
use crate::text::Text;

pub mod autoscaling;
pub mod config;
pub mod events;
pub mod extensions;
pub mod jobs;
pub mod meta;
pub mod namespaces;
pub mod network;
pub mod nodes;
pub mod pod_spec;
pub mod pods;
pub mod policies;
pub mod policy;
mod pool;
pub mod probes;
mod shared;
pub mod storage;
pub mod volumes;
pub mod workloads;
mod written;

pub use meta::{Meta, ObjectRef, OwnerReference, Writer};
pub use pool::{Interner, Pool};

/// The one list of watched kinds: `variant, table field, row type`. Every per-kind table in the program is generated from it.
#[macro_export]
macro_rules! for_each_kind {
    ($macro:path) => {
        $macro! {
            Pod, pods, $crate::kinds::pods::Pod;
            Event, events, $crate::kinds::events::Event;
            Node, nodes, $crate::kinds::nodes::Node;
            Namespace, namespaces, $crate::kinds::namespaces::Namespace;
            Deployment, deployments, $crate::kinds::workloads::Deployment;
            ReplicaSet, replica_sets, $crate::kinds::workloads::ReplicaSet;
            StatefulSet, stateful_sets, $crate::kinds::workloads::StatefulSet;
            DaemonSet, daemon_sets, $crate::kinds::workloads::DaemonSet;
            ControllerRevision, controller_revisions, $crate::kinds::workloads::ControllerRevision;
            Job, jobs, $crate::kinds::jobs::Job;
            CronJob, cron_jobs, $crate::kinds::jobs::CronJob;
            Service, services, $crate::kinds::network::Service;
            EndpointSlice, endpoint_slices, $crate::kinds::network::EndpointSlice;
            Ingress, ingresses, $crate::kinds::network::Ingress;
            ConfigMap, config_maps, $crate::kinds::config::ConfigMap;
            Secret, secrets, $crate::kinds::config::Secret;
            HorizontalPodAutoscaler, autoscalers, $crate::kinds::autoscaling::HorizontalPodAutoscaler;
            PersistentVolumeClaim, volume_claims, $crate::kinds::storage::PersistentVolumeClaim;
            ResourceQuota, resource_quotas, $crate::kinds::policy::ResourceQuota;
            PodDisruptionBudget, disruption_budgets, $crate::kinds::policy::PodDisruptionBudget;
            NetworkPolicy, network_policies, $crate::kinds::policies::NetworkPolicy;
            APIService, api_services, $crate::kinds::extensions::APIService;
            Certificate, certificates, $crate::kinds::extensions::Certificate;
            IngressClass, ingress_classes, $crate::kinds::extensions::IngressClass;
            PersistentVolume, volumes, $crate::kinds::storage::PersistentVolume;
            CustomResourceDefinition, custom_resource_definitions, $crate::kinds::extensions::CustomResourceDefinition;
            HTTPRoute, http_routes, $crate::kinds::extensions::HTTPRoute;
        }
    };
}

macro_rules! define_kind_id {
    ($($variant:ident, $field:ident, $row:ty;)*) => {
        /// Which kind a row is of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum KindId { $(#[doc = concat!("The kind `", stringify!($variant), "`.")] $variant,)* }

        impl KindId {
            /// Every watched kind, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Where the API serves this kind.
            pub fn info(self) -> &'static KindInfo {
                match self { $(Self::$variant => &<$row as Kind>::INFO,)* }
            }
        }

        /// A row of any watched kind.
        #[derive(Debug, Clone)]
        pub enum Row { $(#[doc = concat!("A `", stringify!($variant), "`.")] $variant(Arc<$row>),)* }

        impl Row {
            /// The kind of this row.
            pub fn kind(&self) -> KindId { match self { $(Self::$variant(_) => KindId::$variant,)* } }

            /// The object's metadata.
            pub fn meta(&self) -> &Meta { match self { $(Self::$variant(row) => &row.meta,)* } }

            /// Decodes one object of `kind` from its JSON text.
            ///
            /// # Errors
            /// The JSON is malformed, or a field k3am reads has another type than Kubernetes gives it.
            pub fn decode(kind: KindId, json: &str, pool: &Pool) -> Result<Self, serde_json::Error> {
                match kind { $(KindId::$variant => {
                    let mut row: $row = serde_json::from_str(json)?;
                    row.intern(&mut pool.interner());
                    Ok(Self::$variant(Arc::new(row)))
                })* }
            }

            /// Decodes one object of `kind` from a parsed JSON value (for bundles).
            ///
            /// # Errors
            /// As [`Row::decode`].
            pub fn from_value(kind: KindId, json: serde_json::Value, pool: &Pool) -> Result<Self, serde_json::Error> {
                match kind { $(KindId::$variant => {
                    let mut row: $row = serde_json::from_value(json)?;
                    row.intern(&mut pool.interner());
                    Ok(Self::$variant(Arc::new(row)))
                })* }
            }
        }

        $(impl From<Arc<$row>> for Row { fn from(row: Arc<$row>) -> Self { Self::$variant(row) } })*
        $(impl IsKind for $row {
            const ID: KindId = KindId::$variant;
        })*
    };
}
for_each_kind!(define_kind_id);

impl KindId {
    /// The kind's name as Kubernetes spells it, e.g. `Deployment`.
    pub fn name(self) -> &'static str {
        self.info().kind
    }

    /// The kind of that name (`Pod`, `ReplicaSet`, ...), as `involvedObject.kind` and `ownerReferences[].kind` give it.
    pub fn from_name(kind: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|k| k.name() == kind)
    }
}

impl fmt::Display for KindId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Ties a row type to its [`KindId`].
pub trait IsKind {
    /// The kind of the rows.
    const ID: KindId;
}

/// Where the API serves a kind.
#[derive(Debug)]
pub struct KindInfo {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version within the group, e.g. `v1`.
    pub version: &'static str,
    /// `Pod`.
    pub kind: &'static str,
    /// `pods`.
    pub plural: &'static str,
    /// False for Nodes and Namespaces.
    pub namespaced: bool,
    /// True when only metadata is ever listed (ConfigMaps and Secrets: their data never enters k3am's memory).
    pub metadata_only: bool,
    /// True when a cluster may well lack its API, or a bundle this kind: then there are none, and nothing is missing.
    pub optional: bool,
    /// False where nobody asks who wrote an object and when.
    pub keeps_writers: bool,
}

/// A kind whose rows k3am keeps.
pub trait Kind: IsKind + DeserializeOwned + fmt::Debug + Clone + Send + Sync + 'static {
    /// Where the API serves it.
    const INFO: KindInfo;

    /// The object's metadata.
    fn meta(&self) -> &Meta;

    /// Replaces repeating strings and templates by shared ones.
    fn intern(&mut self, pool: &mut Interner<'_>);

    /// Decodes an object and interns it, with the pool locked for the latter at most: pages of a list are decoded side by side.
    ///
    /// # Errors
    /// The text is malformed, or a field k3am reads has another type than Kubernetes gives it.
    fn read(object: Encoded<'_>, pool: &Pool) -> Result<Self, Undecodable> {
        let mut row: Self = object.decode()?;
        row.intern(&mut pool.interner());
        Ok(row)
    }

    /// The message of such an object in protobuf, as k3am asks for it; none for a kind without that form.
    fn message() -> Option<&'static Message> {
        let schema = protobuf::schema();
        let message = match Self::INFO {
            KindInfo { metadata_only: true, .. } => schema.message("meta.v1.PartialObjectMetadata")?,
            KindInfo { group, version, kind, .. } => schema.of_kind(group, version, kind)?,
        };
        if Self::INFO.keeps_writers { Some(message) } else { schema.without_writers(message) }
    }
}

/// An object as it came.
#[derive(Debug, Clone, Copy)]
pub enum Encoded<'a> {
    /// Its JSON.
    Json(&'a [u8]),
    /// Its message, and what it is a message of.
    Protobuf(&'static Message, &'a [u8]),
}

/// Why an object could not be decoded: where or what, never the object's text.
#[derive(Debug)]
pub enum Undecodable {
    /// As JSON.
    Json(serde_json::Error),
    /// As protobuf.
    Protobuf(protobuf::Error),
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "line {} column {}", error.line(), error.column()),
            Self::Protobuf(_) => f.write_str("not the expected message"),
        }
    }
}

impl From<serde_json::Error> for Undecodable {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl From<protobuf::Error> for Undecodable {
    fn from(error: protobuf::Error) -> Self {
        Self::Protobuf(error)
    }
}

impl<'a> Encoded<'a> {
    /// As a type that reads the JSON of such an object.
    ///
    /// # Errors
    /// As [`Kind::read`].
    pub fn decode<T: Deserialize<'a>>(self) -> Result<T, Undecodable> {
        Ok(match self {
            Self::Json(json) => serde_json::from_slice(json)?,
            Self::Protobuf(message, bytes) => protobuf::read(message, bytes)?,
        })
    }
}

/// `#[serde(deserialize_with)]` for collections that some servers and clients write as `null`.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// As [`nullable`], for vectors that stay: decoding grows them to four elements or more, most hold one or two.
pub(crate) fn compact<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut vector: Vec<T> = nullable(deserializer)?;
    vector.shrink_to_fit();
    Ok(vector)
}

/// A status condition, of any object that has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// `Ready`, `Progressing`, ...
    #[serde(rename = "type")]
    #[serde(deserialize_with = "shared::word")]
    pub kind: Text,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "shared::word")]
    pub status: Text,
    /// CamelCase reason.
    #[serde(deserialize_with = "shared::optional_word")]
    pub reason: Option<Text>,
    /// Human-readable text, untruncated.
    #[serde(deserialize_with = "shared::optional_word")]
    pub message: Option<Text>,
    /// When `status` last changed.
    #[serde(deserialize_with = "shared::time")]
    pub last_transition_time: Option<crate::text::Time>,
    /// When a Deployment controller last touched it.
    #[serde(deserialize_with = "shared::time")]
    pub last_update_time: Option<crate::text::Time>,
}

impl Default for Condition {
    fn default() -> Self {
        let (kind, status) = (shared::empty(), shared::empty());
        Self { kind, status, reason: None, message: None, last_transition_time: None, last_update_time: None }
    }
}

impl Condition {
    /// The condition of type `kind` in `conditions`.
    pub fn find<'a>(conditions: &'a [Self], kind: &str) -> Option<&'a Self> {
        conditions.iter().find(|c| &*c.kind == kind)
    }

    /// True when `status` is `True`.
    pub fn is_true(&self) -> bool {
        &*self.status == "True"
    }

    /// The reason, or the empty string.
    pub fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// The message, or the empty string.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    pub(crate) fn intern(conditions: &mut [Self], pool: &mut Interner<'_>) {
        // The other words are those of the thread that decoded them: few, and counted by nobody else.
        for c in conditions {
            pool.optional(&mut c.message);
        }
    }
}

/// Implements [`Kind`] for a row struct with a `meta` field; the closure-like body interns the rest.
macro_rules! kind {
    ($row:ty, $group:literal / $version:literal, $kind:literal, $plural:literal, namespaced: $namespaced:literal,
     metadata_only: $metadata_only:literal, $(optional: $optional:literal,)? $(keeps_writers: $keeps:literal,)? $(read: $read:path,)?
     |$this:ident, $pool:ident| $intern:block) => {
        impl $crate::kinds::Kind for $row {
            const INFO: $crate::kinds::KindInfo = $crate::kinds::KindInfo {
                group: $group,
                version: $version,
                kind: $kind,
                plural: $plural,
                namespaced: $namespaced,
                metadata_only: $metadata_only,
                optional: false $(|| $optional)?,
                keeps_writers: true $(&& $keeps)?,
            };

            fn meta(&self) -> &$crate::kinds::Meta {
                &self.meta
            }

            fn intern(&mut self, $pool: &mut $crate::kinds::Interner<'_>) {
                if !Self::INFO.keeps_writers {
                    self.meta.writers = Vec::new();
                }
                self.meta.intern($pool);
                let $this = self;
                $intern
            }

            $(fn read(
                object: $crate::kinds::Encoded<'_>,
                pool: &$crate::kinds::Pool,
            ) -> Result<Self, $crate::kinds::Undecodable> {
                $read(object, pool)
            })?
        }
    };
}
pub(crate) use kind;
