//! Services, EndpointSlices, Ingresses.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::pod_spec::IntOrText;
use super::{Meta, kind, nullable};
use crate::text::Text;

/// A Service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: ServiceSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: ServiceStatus,
}

/// Part of `ServiceSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// Pods behind it; empty means endpoints are managed by hand.
    #[serde(deserialize_with = "nullable")]
    pub selector: BTreeMap<Text, Text>,
    /// Ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<ServicePort>,
    /// Address, `None` for headless.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<Text>,
    /// Publish pods before they are ready.
    pub publish_not_ready_addresses: Option<bool>,
    /// `Cluster` or `Local`.
    pub external_traffic_policy: Option<Text>,
}

/// A port of a Service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Port name.
    pub name: Option<Text>,
    /// Port of the Service.
    pub port: u16,
    /// Port of the pod, number or name; defaults to `port`.
    pub target_port: Option<IntOrText>,
    /// `TCP` by default.
    pub protocol: Option<Text>,
}

/// Part of `ServiceStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// Addresses of the load balancer.
    #[serde(deserialize_with = "nullable")]
    pub load_balancer: LoadBalancer,
}

/// `status.loadBalancer`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    /// Addresses.
    #[serde(deserialize_with = "nullable")]
    pub ingress: Vec<LoadBalancerIngress>,
}

/// An address of a load balancer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancerIngress {
    /// IP.
    pub ip: Option<Text>,
    /// Host name.
    pub hostname: Option<Text>,
}

/// An EndpointSlice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EndpointSlice {
    /// `metadata`; label `kubernetes.io/service-name` names the Service.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// Endpoints.
    #[serde(deserialize_with = "nullable")]
    pub endpoints: Vec<Endpoint>,
    /// Ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<EndpointPort>,
}

impl EndpointSlice {
    /// The Service it belongs to.
    pub fn service_name(&self) -> Option<&str> {
        self.meta.label("kubernetes.io/service-name")
    }
}

/// One endpoint.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Addresses.
    #[serde(deserialize_with = "nullable")]
    pub addresses: Vec<Text>,
    /// Conditions; absent means ready.
    #[serde(deserialize_with = "nullable")]
    pub conditions: EndpointConditions,
    /// The pod.
    pub target_ref: Option<TargetRef>,
    /// Node.
    pub node_name: Option<Text>,
}

/// Conditions of an endpoint.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// Gets traffic.
    pub ready: Option<bool>,
    /// Would get traffic but for terminating.
    pub serving: Option<bool>,
    /// Being deleted.
    pub terminating: Option<bool>,
}

/// What an endpoint points to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TargetRef {
    /// `Pod`.
    pub kind: Text,
    /// Pod name.
    pub name: Text,
    /// Pod uid.
    pub uid: Text,
}

/// A port of a slice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    /// Name.
    pub name: Option<Text>,
    /// Number.
    pub port: Option<i64>,
    /// Protocol.
    pub protocol: Option<Text>,
}

/// An Ingress.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ingress {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: IngressSpec,
    /// `status`: the addresses its controller gave it.
    #[serde(deserialize_with = "nullable")]
    pub status: ServiceStatus,
}

/// Part of `IngressSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    /// Class.
    pub ingress_class_name: Option<Text>,
    /// Rules.
    #[serde(deserialize_with = "nullable")]
    pub rules: Vec<IngressRule>,
    /// Where the rest goes.
    pub default_backend: Option<IngressBackend>,
    /// TLS secrets.
    #[serde(deserialize_with = "nullable")]
    pub tls: Vec<IngressTls>,
}

/// A rule of an Ingress.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressRule {
    /// Host name.
    pub host: Option<Text>,
    /// Paths.
    #[serde(deserialize_with = "nullable")]
    pub http: IngressPaths,
}

/// `http` of a rule.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressPaths {
    /// Paths.
    #[serde(deserialize_with = "nullable")]
    pub paths: Vec<IngressPath>,
}

/// A path.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressPath {
    /// URL path.
    pub path: Option<Text>,
    /// Where it goes.
    pub backend: IngressBackend,
}

/// Where a path goes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressBackend {
    /// A Service.
    pub service: Option<IngressService>,
}

/// A Service and port as backend.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressService {
    /// Service name.
    pub name: Text,
    /// Port.
    #[serde(deserialize_with = "nullable")]
    pub port: BackendPort,
}

/// Port by name or number.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BackendPort {
    /// Name.
    pub name: Option<Text>,
    /// Number.
    pub number: Option<i64>,
}

/// A TLS entry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    /// Secret with the certificate.
    pub secret_name: Option<Text>,
}

kind!(Service, "" / "v1", "Service", "services", namespaced: true, metadata_only: false, |_this, _pool| {});
kind!(EndpointSlice, "discovery.k8s.io" / "v1", "EndpointSlice", "endpointslices", namespaced: true, metadata_only: false,
|this, pool| {
    for endpoint in &mut this.endpoints {
        pool.optional(&mut endpoint.node_name);
        if let Some(target) = &mut endpoint.target_ref {
            pool.text(&mut target.kind);
        }
    }
});
kind!(Ingress, "networking.k8s.io" / "v1", "Ingress", "ingresses", namespaced: true, metadata_only: false, |_this, _pool| {});
