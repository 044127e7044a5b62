//! Agents that run one pod a node and that other pods cannot start without: network plugins, storage drivers, device plugins
//! (`failures.md`, C2).
//!
//! To add a network plugin: a line in [`NETWORK`].

use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::pod_spec::Container;
use crate::kinds::pods::Pod;
use crate::snapshot::Snapshot;

/// Network plugins: how the pods of their DaemonSet are named, and what their errors say of them.
const NETWORK: &[(&str, &[&str])] = &[
    ("calico-node", &["calico", "ClusterInformation"]),
    ("canal", &["calico", "flannel", "ClusterInformation"]),
    ("aws-node", &["aws-cni", "aws-node", "127.0.0.1:50051"]),
    ("cilium", &["cilium"]),
    ("kube-flannel", &["flannel"]),
    ("weave-net", &["weave"]),
    ("kindnet", &["kindnet"]),
    ("antrea-agent", &["antrea"]),
    ("azure-cns", &["azure-vnet", "azure-cns", "Azure CNS"]),
    ("ovnkube-node", &["ovn-k8s", "ovnkube"]),
    ("kube-router", &["kube-router"]),
    ("kube-multus", &["multus"]),
];

/// A driver that the kubelet was asked for and does not know, or that does not answer.
static DRIVER: Pattern = Pattern::new(
    r"driver name ([a-z0-9][\w.-]*) not found in the list of registered CSI drivers|CSINode \S+ does not contain driver ([a-z0-9][\w.-]*)|/plugins(?:_registry)?/([a-z0-9][\w.-]*)/csi(?:\w*)\.sock",
);
/// A resource that a device plugin offers: `nvidia.com/gpu`.
static DEVICE: Pattern = Pattern::new(
    r"(?:Insufficient|unhealthy devices|healthy devices for|requesting|Requested) ([a-z0-9-]+(?:\.[a-z0-9-]+)+/[\w.-]+)",
);
/// The node a DaemonSet's pod is meant for, in its affinity, while it has none.
static MEANT_FOR: Pattern = Pattern::new(r#""key":"metadata\.name","operator":"In","values":\["([^"]+)"\]"#);
/// Parts of a driver's or resource's name that say nothing of which.
const COMMON: &[&str] = &[
    "csi",
    "com",
    "org",
    "net",
    "dev",
    "aws",
    "amazon",
    "amazonaws",
    "cloud",
    "google",
    "gke",
    "storage",
    "kubernetes",
    "driver",
    "example",
];

/// What a pod was refused that an agent of its node gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The network, with the plugin's words (empty when nobody said any).
    Network(String),
    /// A CSI driver, by its name: `ebs.csi.aws.com`.
    Driver(String),
    /// A resource that a device plugin offers: `nvidia.com/gpu`.
    Device(String),
}

impl Need {
    /// The CSI driver a mount or attach error names.
    pub fn of_driver(text: &str) -> Option<Self> {
        DRIVER.first_group(text).map(|driver| Self::Driver(driver.trim_end_matches('.').to_owned()))
    }

    /// The device a refusal names.
    pub fn of_device(text: &str) -> Option<Self> {
        DEVICE.first_group(text).map(|device| Self::Device(device.trim_end_matches('.').to_owned()))
    }

    /// True when the pod is of an agent that gives it.
    pub fn is_given_by(&self, pod: &Pod) -> bool {
        match self {
            Self::Network(text) => network_plugin(pod).is_some_and(|words| names(text, words)),
            Self::Driver(driver) => mentions(pod, driver) || pod.meta.name.contains("csi") && is_called_after(pod, driver),
            Self::Device(device) => {
                let plugs =
                    |text: &str| text.contains("device-plugin") || text.contains("deviceplugin") || text.contains("gpu-driver");
                let vendor = device.split('/').next().unwrap_or_default();
                (plugs(&pod.meta.name) || pod.spec.containers.iter().any(|c| plugs(&c.image))) && is_called_after(pod, vendor)
            }
        }
    }
}

/// The network plugin's pod on that node.
pub fn network_agent<'s>(snapshot: &'s Snapshot, node: &str) -> Option<&'s Pod> {
    snapshot.pods_on(node).find(|pod| network_plugin(pod).is_some())
}

/// The node that the pod is on, or that its DaemonSet meant it for.
pub fn node_of(pod: &Pod) -> Option<&str> {
    let meant = || MEANT_FOR.first_group(&pod.spec.affinity.as_ref()?.0);
    pod.node_name.as_deref().or_else(meant)
}

/// What the errors of the network plugin call it, if the pod is of one.
fn network_plugin(pod: &Pod) -> Option<&'static [&'static str]> {
    let owner = pod.meta.controller().filter(|owner| &*owner.kind == "DaemonSet")?;
    NETWORK.iter().find(|(name, _)| owner.name.starts_with(name)).map(|(_, words)| *words)
}

/// True when the text names one of these, or none that is known.
fn names(text: &str, words: &[&str]) -> bool {
    let has = |word: &&str| text.contains(*word);
    words.iter().any(has) || !NETWORK.iter().flat_map(|(_, words)| *words).any(has)
}

/// True when the pod's containers are told that name: `--kubelet-registration-path=/var/lib/kubelet/plugins/NAME/csi.sock`.
fn mentions(pod: &Pod, name: &str) -> bool {
    let told = |c: &Container| {
        let env = c.env.iter().filter_map(|env| env.value.as_ref());
        c.command.iter().chain(&c.args).chain(env).any(|word| word.contains(name))
    };
    pod.spec.all_containers().any(told)
}

/// True when what tells `name` apart is in the name of the pod's DaemonSet or of an image: `ebs` of `ebs.csi.aws.com`.
fn is_called_after(pod: &Pod, name: &str) -> bool {
    let owner = pod.meta.controller().map(|owner| &*owner.name).unwrap_or_default();
    let mut parts = name.split(['.', '-', '/']).filter(|part| part.len() > 2 && !COMMON.contains(part));
    parts.any(|part| owner.contains(part) || pod.spec.containers.iter().any(|c| c.image.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_driver_or_device_it_waits_for() {
        let driver = |text| Need::of_driver(text);
        let ebs = Some(Need::Driver("ebs.csi.aws.com".to_owned()));
        assert_eq!(driver("driver name ebs.csi.aws.com not found in the list of registered CSI drivers"), ebs);
        assert_eq!(
            driver("AttachVolume.Attach failed for volume \"p\" : CSINode node2 does not contain driver ebs.csi.aws.com"),
            ebs
        );
        assert_eq!(driver("dial unix /var/lib/kubelet/plugins/ebs.csi.aws.com/csi.sock: connect: connection refused"), ebs);
        assert_eq!(driver("mount.nfs: access denied by server"), None);
        let gpu = Some(Need::Device("nvidia.com/gpu".to_owned()));
        assert_eq!(Need::of_device("0/2 nodes are available: 2 Insufficient nvidia.com/gpu."), gpu);
        assert_eq!(
            Need::of_device(
                "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu, which is unexpected"
            ),
            gpu
        );
        assert_eq!(Need::of_device("0/2 nodes are available: 2 Insufficient memory."), None);
    }

    #[test]
    fn an_error_of_one_network_plugin_is_not_anothers() {
        assert!(names("cni plugin not initialized", &["calico"]));
        assert!(names("plugin type=\"calico\" failed (add)", &["calico"]));
        assert!(!names("open /run/flannel/subnet.env: no such file or directory", &["calico"]));
    }
}
