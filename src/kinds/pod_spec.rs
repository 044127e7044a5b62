//! The pod spec as it stands in a Pod or in a workload's template: what rules, diffs and tables read of it.

use std::collections::BTreeMap;

use serde::Deserialize;

pub use super::probes::{Exec, Grpc, Handler, HttpGet, Lifecycle, Probe, Sleep, TcpSocket};
pub use super::volumes::{ClaimRef, EmptyDir, HostPath, Projected, ProjectedSource, Volume, VolumeMount};
use super::volumes::{mounts, volumes};
use super::{compact, nullable};
use crate::text::Text;

/// Part of `PodSpec`. Equal specs are shared among pods ([`super::Pool::spec`]); `nodeName` is kept outside for that reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Containers in start order.
    #[serde(deserialize_with = "compact")]
    pub containers: Vec<Container>,
    /// Init containers; with `restartPolicy: Always` they are sidecars.
    #[serde(deserialize_with = "compact")]
    pub init_containers: Vec<Container>,
    /// Volumes, without the API access token volume that differs by pod.
    #[serde(deserialize_with = "volumes")]
    pub volumes: Vec<Volume>,
    /// `Always`, `OnFailure` or `Never`.
    pub restart_policy: Option<Text>,
    /// Seconds between SIGTERM and SIGKILL; default 30.
    pub termination_grace_period_seconds: Option<i64>,
    /// For Jobs: seconds after which the pod is failed.
    pub active_deadline_seconds: Option<i64>,
    /// Node labels required.
    #[serde(deserialize_with = "nullable")]
    pub node_selector: BTreeMap<Text, Text>,
    /// Affinity, kept as the raw JSON value for diffs and messages.
    pub affinity: Option<RawJson>,
    /// Tolerations.
    #[serde(deserialize_with = "compact")]
    pub tolerations: Vec<Toleration>,
    /// Service account.
    pub service_account_name: Option<Text>,
    /// Pull secrets by name.
    #[serde(deserialize_with = "compact")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// The pod uses the node's network.
    pub host_network: Option<bool>,
    /// Scheduler's name.
    pub scheduler_name: Option<Text>,
    /// Priority class.
    pub priority_class_name: Option<Text>,
    /// Readiness gates.
    #[serde(deserialize_with = "compact")]
    pub readiness_gates: Vec<ReadinessGate>,
    /// Scheduling gates.
    #[serde(deserialize_with = "compact")]
    pub scheduling_gates: Vec<LocalObjectReference>,
    /// Only while decoding: moved to [`super::pods::Pod::node_name`], so that specs stay equal across nodes.
    pub(super) node_name: Option<Text>,
    /// Runtime class.
    pub runtime_class_name: Option<Text>,
    /// Pod-level security context.
    pub security_context: Option<SecurityContext>,
}

impl PodSpec {
    /// Init containers, then containers.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }

    /// The container of that name, of either list.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.all_containers().find(|c| &*c.name == name)
    }

    /// Index path of a container for evidence, e.g. `spec.initContainers[0]`.
    pub fn container_path(&self, name: &str) -> String {
        let find = |list: &[Container]| list.iter().position(|c| &*c.name == name);
        match (find(&self.containers), find(&self.init_containers)) {
            (Some(i), _) => format!("spec.containers[{i}]"),
            (None, Some(i)) => format!("spec.initContainers[{i}]"),
            (None, None) => format!("spec.containers[{name}]"),
        }
    }
}

/// Part of `Container`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Unique in the pod.
    pub name: Text,
    /// Image reference as written.
    pub image: Text,
    /// `Always`, `IfNotPresent`, `Never`.
    pub image_pull_policy: Option<Text>,
    /// Entrypoint override.
    #[serde(deserialize_with = "compact")]
    pub command: Vec<Text>,
    /// Arguments.
    #[serde(deserialize_with = "compact")]
    pub args: Vec<Text>,
    /// Working directory.
    pub working_dir: Option<Text>,
    /// Environment variables. Plain values may hold passwords: never print without `redact`.
    #[serde(deserialize_with = "compact")]
    pub env: Vec<EnvVar>,
    /// Whole ConfigMaps or Secrets as environment.
    #[serde(deserialize_with = "compact")]
    pub env_from: Vec<EnvFrom>,
    /// Declared ports.
    #[serde(deserialize_with = "compact")]
    pub ports: Vec<ContainerPort>,
    /// Requests and limits.
    #[serde(deserialize_with = "nullable")]
    pub resources: Resources,
    /// Kills the container when it fails.
    pub liveness_probe: Option<Probe>,
    /// Takes the pod out of Services when it fails.
    pub readiness_probe: Option<Probe>,
    /// Holds the other two back until it succeeds.
    pub startup_probe: Option<Probe>,
    /// Hooks.
    pub lifecycle: Option<Lifecycle>,
    /// Mounts, without the API access token's.
    #[serde(deserialize_with = "mounts")]
    pub volume_mounts: Vec<VolumeMount>,
    /// `Always` makes an init container a sidecar.
    pub restart_policy: Option<Text>,
    /// Container-level security context.
    pub security_context: Option<SecurityContext>,
}

/// An environment variable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    /// Name.
    pub name: Text,
    /// Plain value, if not taken from elsewhere.
    pub value: Option<Text>,
    /// Reference to a key or field.
    pub value_from: Option<EnvSource>,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvSource {
    /// A ConfigMap's key.
    pub config_map_key_ref: Option<KeyRef>,
    /// A Secret's key.
    pub secret_key_ref: Option<KeyRef>,
}

/// A key of a ConfigMap or Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyRef {
    /// Object name.
    pub name: Text,
    /// Key in its data.
    pub key: Text,
    /// The container starts without it.
    pub optional: Option<bool>,
}

/// `envFrom`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvFrom {
    /// A whole ConfigMap.
    pub config_map_ref: Option<OptionalRef>,
    /// A whole Secret.
    pub secret_ref: Option<OptionalRef>,
    /// Prefix of the variables' names.
    pub prefix: Option<Text>,
}

/// A reference by name that may be optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OptionalRef {
    /// Object name (volumes of Secrets say `secretName`).
    #[serde(alias = "secretName")]
    pub name: Text,
    /// May be absent.
    pub optional: Option<bool>,
    /// Keys projected, for volumes.
    #[serde(deserialize_with = "compact")]
    pub items: Vec<KeyToPath>,
}

/// A projected key of a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyToPath {
    /// Key in the data.
    pub key: Text,
    /// File name.
    pub path: Text,
}

/// A reference by name in the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct LocalObjectReference {
    /// Object name.
    pub name: Text,
}

/// A declared container port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Port name, if any.
    pub name: Option<Text>,
    /// Port number.
    pub container_port: u16,
    /// `TCP` by default.
    pub protocol: Option<Text>,
    /// Port on the node.
    pub host_port: Option<u16>,
}

/// Requests and limits, as quantities in text (`128Mi`, `250m`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// What the scheduler reserves.
    #[serde(deserialize_with = "nullable")]
    pub requests: BTreeMap<Text, Quantity>,
    /// What the kernel enforces.
    #[serde(deserialize_with = "nullable")]
    pub limits: BTreeMap<Text, Quantity>,
}

impl Resources {
    /// The limit of `resource` in plain units (bytes, cores).
    pub fn limit(&self, resource: &str) -> Option<f64> {
        self.limits.get(resource).and_then(|q| crate::text::quantity(&q.0))
    }

    /// The request of `resource` in plain units (bytes, cores).
    pub fn request(&self, resource: &str) -> Option<f64> {
        self.requests.get(resource).and_then(|q| crate::text::quantity(&q.0))
    }
}

/// A quantity as written; accepts JSON numbers too, as YAML manifests hold them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Quantity(pub Text);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(IntOrText::deserialize(deserializer)?.to_string().into()))
    }
}

/// A toleration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    /// Taint key; none tolerates all.
    pub key: Option<Text>,
    /// `Equal` or `Exists`.
    pub operator: Option<Text>,
    /// Taint value.
    pub value: Option<Text>,
    /// Effect; none is all.
    pub effect: Option<Text>,
    /// For `NoExecute`: how long.
    pub toleration_seconds: Option<i64>,
}

/// A readiness gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadinessGate {
    /// Condition type that must be true.
    pub condition_type: Text,
}

/// The parts of a security context that stop containers from starting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecurityContext {
    /// Refuse root.
    pub run_as_non_root: Option<bool>,
    /// Numeric user.
    pub run_as_user: Option<i64>,
    /// Root file system read-only.
    pub read_only_root_filesystem: Option<bool>,
    /// Group of volumes.
    pub fs_group: Option<i64>,
}

/// A number or a name, as ports are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub enum IntOrText {
    /// A number.
    Int(i64),
    /// A name.
    Text(Text),
    /// A number with a fraction (quantities in YAML manifests), kept as its text.
    #[serde(deserialize_with = "float_text")]
    Float(Text),
}

impl Default for IntOrText {
    fn default() -> Self {
        Self::Int(0)
    }
}

impl std::fmt::Display for IntOrText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::Text(t) | Self::Float(t) => f.write_str(t),
        }
    }
}

fn float_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
    Ok(f64::deserialize(deserializer)?.to_string().into())
}

/// Any JSON, kept as canonical text: comparable, hashable, printable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RawJson(pub Text);

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(serde_json::Value::deserialize(deserializer)?.to_string().into()))
    }
}
