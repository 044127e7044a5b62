//! NetworkPolicies.

use serde::Deserialize;

use super::pod_spec::IntOrText;
use super::workloads::Selector;
use super::{Meta, kind, nullable};
use crate::text::Text;

/// A NetworkPolicy.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NetworkPolicy {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: NetworkPolicySpec,
}

/// `NetworkPolicySpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    /// The pods it isolates; an empty selector is all of the namespace.
    pub pod_selector: Selector,
    /// `Ingress`, `Egress`; absent means `Ingress`, and `Egress` too when there are egress rules.
    #[serde(deserialize_with = "nullable")]
    pub policy_types: Vec<Text>,
    /// What may come in.
    #[serde(deserialize_with = "nullable")]
    pub ingress: Vec<PolicyRule>,
    /// What may go out.
    #[serde(deserialize_with = "nullable")]
    pub egress: Vec<PolicyRule>,
}

/// One allowance. No peers: any peer. No ports: any port.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PolicyRule {
    /// Peers of an ingress rule (`from`) or an egress rule (`to`).
    #[serde(alias = "from", alias = "to", deserialize_with = "nullable")]
    pub peers: Vec<PolicyPeer>,
    /// Ports of the selected pod (ingress) or of the peer (egress).
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<PolicyPort>,
}

/// A peer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyPeer {
    /// Pods, of the policy's namespace unless `namespace_selector` is given.
    pub pod_selector: Option<Selector>,
    /// Namespaces by label.
    pub namespace_selector: Option<Selector>,
    /// Addresses.
    pub ip_block: Option<IpBlock>,
}

/// A range of addresses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IpBlock {
    /// `10.0.0.0/8`.
    pub cidr: Text,
}

/// A port.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyPort {
    /// Number or name; absent means all.
    pub port: Option<IntOrText>,
    /// Last of a range that begins with `port`.
    pub end_port: Option<i64>,
    /// `TCP` by default.
    pub protocol: Option<Text>,
}

impl NetworkPolicySpec {
    /// True when it isolates its pods in that direction (`Ingress`, `Egress`).
    pub fn isolates(&self, direction: &str) -> bool {
        if self.policy_types.is_empty() {
            return direction == "Ingress" || !self.egress.is_empty();
        }
        self.policy_types.iter().any(|t| &**t == direction)
    }
}

kind!(NetworkPolicy, "networking.k8s.io" / "v1", "NetworkPolicy", "networkpolicies", namespaced: true, metadata_only: false,
    optional: true, |_this, _pool| {});
