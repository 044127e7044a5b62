//! Pods: the row most rules read.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::pod_spec::PodSpec;
use super::written::{Cut, KIN, Kin};
use super::{Condition, Encoded, Interner, Kind, Meta, Pool, Undecodable, kind, nullable, shared};
use crate::protobuf::{self, Message, Schema};
use crate::text::{Text, Time};

// Field numbers of `core.v1.Pod`.
const METADATA: u32 = 1;
const SPEC: u32 = 2;
const STATUS: u32 = 3;

/// A Pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, from = "PodWire")]
pub struct Pod {
    /// `metadata`.
    pub meta: Meta,
    /// `spec` without `nodeName`, shared among pods of one template.
    pub spec: Arc<PodSpec>,
    /// `spec.nodeName`; `None` until scheduled.
    pub node_name: Option<Text>,
    /// `status`.
    pub status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodWire {
    metadata: Meta,
    spec: PodSpec,
    #[serde(deserialize_with = "nullable")]
    status: PodStatus,
}

/// A Pod with its spec still as text.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct PodText<'a> {
    metadata: Meta,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(deserialize_with = "nullable")]
    status: PodStatus,
}

/// Decodes a Pod; what another pod had to the letter is taken from there.
fn read(object: Encoded<'_>, pool: &Pool) -> Result<Pod, Undecodable> {
    let parts = match object {
        Encoded::Json(json) => {
            let text: PodText<'_> = serde_json::from_slice(json)?;
            let spec = Encoded::Json(text.spec.map_or("{}", RawValue::get).as_bytes());
            Parts { meta: text.metadata, status: text.status, spec, kin: None }
        }
        Encoded::Protobuf(message, bytes) => Parts::of(message, bytes)?,
    };
    let cut = Cut::of(parts.spec);
    let mut pool = pool.interner();
    let (spec, node_name) = if let Some(spec) = cut.as_ref().and_then(|cut| pool.known_spec(cut)) {
        (spec, cut.and_then(|mut cut| cut.node.take()))
    } else {
        let mut spec: PodSpec = parts.spec.decode()?;
        let node_name = spec.node_name.take();
        let mut spec = Arc::new(spec);
        pool.spec(&mut spec);
        if let Some(cut) = cut {
            pool.repeated().keep_spec(&cut, &spec, node_name.as_ref());
        }
        (spec, node_name)
    };
    let mut pod = Pod { meta: parts.meta, spec, node_name, status: parts.status };
    let known = parts.kin.as_ref().map(|bytes| pool.known_kin(bytes));
    if let (Some(None), Some(bytes)) = (&known, &parts.kin) {
        Kin::read(bytes)?.put(&mut pod.meta);
    }
    pod.intern(&mut pool);
    match (known, parts.kin) {
        (Some(Some(kin)), _) => kin.put(&mut pod.meta),
        (Some(None), Some(bytes)) => pool.repeated().keep_kin(&bytes, Kin::of(&pod.meta)),
        _ => {}
    }
    Ok(pod)
}

/// What a Pod is made of, its spec still as bytes.
struct Parts<'a> {
    meta: Meta,
    status: PodStatus,
    spec: Encoded<'a>,
    /// The bytes of its labels and owners, when `meta` lacks them.
    kin: Option<Cow<'a, [u8]>>,
}

static OWN_META: LazyLock<Option<Message>> = LazyLock::new(|| {
    let meta =
        protobuf::schema().message("core.v1.Pod").and_then(|pod| protobuf::schema().without_writers(pod)?.within(METADATA))?;
    Some(Schema::without(meta, &KIN))
});

impl<'a> Parts<'a> {
    fn of(message: &'static Message, bytes: &'a [u8]) -> Result<Self, Undecodable> {
        let of_spec = message.within(SPEC).unwrap_or(message);
        let spec = Encoded::Protobuf(of_spec, &[]);
        let mut parts = Self { meta: Meta::default(), status: PodStatus::default(), spec, kin: None };
        for (number, data) in protobuf::fields(bytes) {
            match (number, &*OWN_META) {
                (METADATA, Some(own)) => {
                    parts.meta = protobuf::read(own, data)?;
                    parts.kin = Some(Kin::bytes(data));
                }
                (SPEC, _) => parts.spec = Encoded::Protobuf(of_spec, data),
                (STATUS, _) => {
                    if let Some(status) = message.within(STATUS) {
                        parts.status = protobuf::read(status, data)?;
                    }
                }
                _ => {}
            }
        }
        Ok(parts)
    }
}

impl From<PodWire> for Pod {
    fn from(mut wire: PodWire) -> Self {
        let node_name = wire.spec.node_name.take();
        Self { meta: wire.metadata, node_name, spec: Arc::new(wire.spec), status: wire.status }
    }
}

/// Part of `PodStatus`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`. Stays `Running` during CrashLoopBackOff.
    #[serde(deserialize_with = "super::shared::word")]
    pub phase: Text,
    /// `Evicted`, `OutOfcpu`, `NodeLost`, ...
    pub reason: Option<Text>,
    /// Text of `reason`.
    pub message: Option<Text>,
    /// Conditions.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    /// Containers.
    #[serde(deserialize_with = "nullable")]
    pub container_statuses: Vec<ContainerStatus>,
    /// Init containers and sidecars.
    #[serde(deserialize_with = "nullable")]
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Debug containers.
    #[serde(deserialize_with = "nullable")]
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
    /// The pod's address.
    #[serde(rename = "podIP", deserialize_with = "super::shared::optional_own")]
    pub pod_ip: Option<Text>,
    /// When the kubelet accepted it.
    #[serde(deserialize_with = "super::shared::time")]
    pub start_time: Option<Time>,
    /// `Guaranteed`, `Burstable`, `BestEffort`.
    #[serde(deserialize_with = "super::shared::optional_word")]
    pub qos_class: Option<Text>,
}

impl Default for PodStatus {
    fn default() -> Self {
        Self {
            phase: shared::empty(),
            reason: None,
            message: None,
            conditions: Vec::new(),
            container_statuses: Vec::new(),
            init_container_statuses: Vec::new(),
            ephemeral_container_statuses: Vec::new(),
            pod_ip: None,
            start_time: None,
            qos_class: None,
        }
    }
}

/// Part of `ContainerStatus`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Container name.
    #[serde(deserialize_with = "super::shared::word")]
    pub name: Text,
    /// Image as resolved.
    #[serde(deserialize_with = "super::shared::word")]
    pub image: Text,
    /// Passed its readiness probe.
    pub ready: bool,
    /// Passed its startup probe.
    pub started: Option<bool>,
    /// Restarts since the pod was created.
    pub restart_count: i32,
    /// Current state.
    #[serde(deserialize_with = "nullable")]
    pub state: ContainerState,
    /// The run before the current one.
    #[serde(deserialize_with = "nullable")]
    pub last_state: ContainerState,
}

impl Default for ContainerStatus {
    fn default() -> Self {
        Self {
            name: shared::empty(),
            image: shared::empty(),
            ready: false,
            started: None,
            restart_count: 0,
            state: ContainerState::default(),
            last_state: ContainerState::default(),
        }
    }
}

/// Exactly one is set, or none when the runtime has not said yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Not started.
    pub waiting: Option<Waiting>,
    /// Running.
    pub running: Option<Running>,
    /// Ended.
    pub terminated: Option<Box<Terminated>>,
}

/// Why a container is not running.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// The waiting reason: `CrashLoopBackOff`, `ImagePullBackOff`, ...
    #[serde(deserialize_with = "super::shared::optional_word")]
    pub reason: Option<Text>,
    /// Its text.
    pub message: Option<Text>,
}

/// Since when a container runs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Start of this run.
    #[serde(deserialize_with = "super::shared::time")]
    pub started_at: Option<Time>,
}

/// How a run ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// 128 + signal when killed.
    pub exit_code: i32,
    /// Usually 0 from containerd: do not rely on it.
    pub signal: Option<i32>,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, ...
    #[serde(deserialize_with = "super::shared::optional_word")]
    pub reason: Option<Text>,
    /// Termination message, or the runtime's start error.
    pub message: Option<Text>,
    /// Start.
    #[serde(deserialize_with = "super::shared::time")]
    pub started_at: Option<Time>,
    /// End.
    #[serde(deserialize_with = "super::shared::time")]
    pub finished_at: Option<Time>,
}

/// Which of the three status lists a container is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerRole {
    /// `spec.initContainers` without `restartPolicy: Always`.
    Init,
    /// `spec.initContainers` with `restartPolicy: Always`.
    Sidecar,
    /// `spec.containers`.
    Main,
    /// `spec.ephemeralContainers`.
    Ephemeral,
}

/// A container's status with its place in the pod, for evidence paths.
#[derive(Debug, Clone, Copy)]
pub struct ContainerView<'a> {
    /// Its status.
    pub status: &'a ContainerStatus,
    /// Its role.
    pub role: ContainerRole,
    /// Its index in its status list.
    pub index: usize,
}

impl ContainerView<'_> {
    /// `status.initContainerStatuses[1]`, the prefix of a field path.
    pub fn path(&self) -> String {
        let list = match self.role {
            ContainerRole::Init | ContainerRole::Sidecar => "initContainerStatuses",
            ContainerRole::Main => "containerStatuses",
            ContainerRole::Ephemeral => "ephemeralContainerStatuses",
        };
        format!("status.{list}[{}]", self.index)
    }

    /// The current waiting reason, or the empty string.
    pub fn waiting_reason(&self) -> &str {
        self.status.state.waiting.as_ref().and_then(|w| w.reason.as_deref()).unwrap_or_default()
    }

    /// The current waiting message, or the empty string.
    pub fn waiting_message(&self) -> &str {
        self.status.state.waiting.as_ref().and_then(|w| w.message.as_deref()).unwrap_or_default()
    }

    /// The newest ended run with its field path: the current state's, else the last state's.
    pub fn last_terminated(&self) -> Option<(&Terminated, String)> {
        let current = self.status.state.terminated.as_deref().map(|t| (t, format!("{}.state.terminated", self.path())));
        let last = || self.status.last_state.terminated.as_deref().map(|t| (t, format!("{}.lastState.terminated", self.path())));
        current.or_else(last)
    }
}

impl Pod {
    /// Every container status of the pod: init, sidecar, main, ephemeral.
    pub fn containers(&self) -> impl Iterator<Item = ContainerView<'_>> {
        let init = self.status.init_container_statuses.iter().enumerate().map(|(index, status)| {
            let sidecar =
                self.spec.init_containers.iter().any(|c| c.name == status.name && c.restart_policy.as_deref() == Some("Always"));
            let role = if sidecar { ContainerRole::Sidecar } else { ContainerRole::Init };
            ContainerView { status, role, index }
        });
        let of = |role| move |(index, status)| ContainerView { status, role, index };
        init.chain(self.status.container_statuses.iter().enumerate().map(of(ContainerRole::Main)))
            .chain(self.status.ephemeral_container_statuses.iter().enumerate().map(of(ContainerRole::Ephemeral)))
    }

    /// The condition of that type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        Condition::find(&self.status.conditions, kind)
    }

    /// True when the `Ready` condition is true.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(Condition::is_true)
    }

    /// True in phase `Succeeded` or `Failed`: it will not run again.
    pub fn is_finished(&self) -> bool {
        matches!(&*self.status.phase, "Succeeded" | "Failed")
    }

    /// Restarts over all containers.
    pub fn restarts(&self) -> i32 {
        self.containers().map(|c| c.status.restart_count).sum()
    }
}

fn intern_statuses(statuses: &mut [ContainerStatus], pool: &mut Interner<'_>) {
    for status in statuses {
        pool.text(&mut status.name);
        pool.text(&mut status.image);
        for state in [&mut status.state, &mut status.last_state] {
            if let Some(waiting) = &mut state.waiting {
                pool.optional(&mut waiting.reason);
            }
            if let Some(terminated) = &mut state.terminated {
                pool.optional(&mut terminated.reason);
                pool.optional(&mut terminated.message);
            }
        }
    }
}

kind!(Pod, "" / "v1", "Pod", "pods", namespaced: true, metadata_only: false, keeps_writers: false, read: read, |this, pool| {
    pool.spec(&mut this.spec);
    pool.optional(&mut this.node_name);
    // Decoding grows vectors to four elements or more: a third of a pod's memory, unused.
    this.status.conditions.shrink_to_fit();
    this.status.container_statuses.shrink_to_fit();
    this.status.init_container_statuses.shrink_to_fit();
    this.status.ephemeral_container_statuses.shrink_to_fit();
    pool.optional(&mut this.status.reason);
    Condition::intern(&mut this.status.conditions, pool);
    intern_statuses(&mut this.status.container_statuses, pool);
    intern_statuses(&mut this.status.init_container_statuses, pool);
    intern_statuses(&mut this.status.ephemeral_container_statuses, pool);
});

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(node: &str, token: &str, config: &str) -> String {
        format!(
            r#"{{"metadata":{{"name":"p"}},"spec":{{"volumes":[{{"name":"kube-api-access-{token}","projected":{{}}}}],"containers":[{{"name":"c","envFrom":[{{"configMapRef":{{"name":"{config}"}}}}],"volumeMounts":[{{"name":"kube-api-access-{token}","mountPath":"/t"}}]}}],"nodeName":"{node}"}}}}"#
        )
    }

    /// The pod from its JSON, and from its protobuf.
    fn read_both(json: &str, pools: &[Pool; 2]) -> [Pod; 2] {
        let message = <Pod as Kind>::message().unwrap();
        let bytes = protobuf::write(message, &serde_json::from_str(json).unwrap());
        let [of_json, of_protobuf] = pools;
        [read(Encoded::Json(json.as_bytes()), of_json).unwrap(), read(Encoded::Protobuf(message, &bytes), of_protobuf).unwrap()]
    }

    #[test]
    fn replicas_share_a_spec_and_keep_their_nodes() {
        let pools = Default::default();
        let ones = read_both(&spec("n1", "aaaaa", "x"), &pools);
        let twos = read_both(&spec("n22", "bbbbb", "x"), &pools);
        for (one, two) in ones.iter().zip(&twos) {
            assert!(Arc::ptr_eq(&one.spec, &two.spec));
            assert_eq!((one.node_name.as_deref(), two.node_name.as_deref()), (Some("n1"), Some("n22")));
        }
        for pool in &pools {
            assert_eq!(pool.interner().repeated().specs(), 1, "the second was not decoded");
        }
    }

    #[test]
    fn what_only_looks_like_a_node_or_a_token_is_never_shared() {
        let pools = Default::default();
        let config = |pod: &Pod| pod.spec.containers[0].env_from[0].config_map_ref.clone().unwrap().name;
        let ones = read_both(&spec("n", "aaaaa", "kube-api-access-11111"), &pools);
        let twos = read_both(&spec("n", "aaaaa", "kube-api-access-22222"), &pools);
        for (one, two) in ones.iter().zip(&twos) {
            assert_eq!((&*config(one), &*config(two)), ("kube-api-access-11111", "kube-api-access-22222"));
        }
        for name in ["a", "b"] {
            let json = format!(r#"{{"metadata":{{"name":"p"}},"spec":{{"nodeSelector":{{"nodeName":"{name}"}}}}}}"#);
            for pod in read_both(&json, &pools) {
                assert_eq!((pod.spec.node_selector.get("nodeName").map(|v| &**v), pod.node_name), (Some(name), None));
            }
        }
    }

    #[test]
    fn a_pod_reads_the_same_by_text_and_by_structure() {
        let json = spec("n1", "aaaaa", "x");
        let pools = Default::default();
        let plain: Pod = serde_json::from_str(&json).unwrap();
        for pod in [read_both(&json, &pools), read_both(&json, &pools)].into_iter().flatten() {
            assert_eq!((&*pod.spec, &pod.node_name), (&*plain.spec, &plain.node_name));
        }
    }
}
