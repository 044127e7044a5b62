//! What extends the API and its certificates: aggregated APIs, certificates of cert-manager, classes of
//! Ingresses, routes of the Gateway API. Clusters may lack the APIs of the last three.

use serde::Deserialize;

use super::{Condition, Meta, kind, nullable};
use crate::text::{Text, Time};

/// An aggregated API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct APIService {
    /// `metadata`; the name is `VERSION.GROUP`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: APIServiceSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: ConditionsOnly,
}

/// Part of `APIServiceSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct APIServiceSpec {
    /// API group.
    #[serde(deserialize_with = "nullable")]
    pub group: Text,
    /// Who answers; absent for what the API server answers itself.
    pub service: Option<ServiceReference>,
}

/// Where an aggregated API lives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ServiceReference {
    /// Namespace of the Service.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
}

/// A status of which only conditions are read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ConditionsOnly {
    /// Conditions.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

/// A Certificate of cert-manager.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Certificate {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `spec`.
    #[serde(deserialize_with = "nullable")]
    pub spec: CertificateSpec,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: CertificateStatus,
}

/// Part of `CertificateSpec`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateSpec {
    /// The Secret that holds it.
    #[serde(deserialize_with = "nullable")]
    pub secret_name: Text,
}

/// Part of `CertificateStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateStatus {
    /// `Ready`, `Issuing`.
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    /// When it expires.
    pub not_after: Option<Time>,
    /// When it should be renewed.
    pub renewal_time: Option<Time>,
}

/// An `IngressClass`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressClass {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
}

/// A CustomResourceDefinition: its metadata only.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CustomResourceDefinition {
    /// `metadata`; the name is `PLURAL.GROUP`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
}

/// An `HTTPRoute` of the Gateway API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct HTTPRoute {
    /// `metadata`.
    #[serde(rename = "metadata")]
    pub meta: Meta,
    /// `status`.
    #[serde(deserialize_with = "nullable")]
    pub status: RouteStatus,
}

/// `RouteStatus`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RouteStatus {
    /// What each gateway says.
    #[serde(deserialize_with = "nullable")]
    pub parents: Vec<ConditionsOnly>,
}

kind!(CustomResourceDefinition, "apiextensions.k8s.io" / "v1", "CustomResourceDefinition", "customresourcedefinitions",
    namespaced: false, metadata_only: true, optional: true, |_this, _pool| {});
kind!(APIService, "apiregistration.k8s.io" / "v1", "APIService", "apiservices", namespaced: false, metadata_only: false,
    optional: true, |this, pool| { Condition::intern(&mut this.status.conditions, pool); });
kind!(Certificate, "cert-manager.io" / "v1", "Certificate", "certificates", namespaced: true, metadata_only: false,
    optional: true, |this, pool| { Condition::intern(&mut this.status.conditions, pool); });
kind!(IngressClass, "networking.k8s.io" / "v1", "IngressClass", "ingressclasses", namespaced: false, metadata_only: false,
    optional: true, |_this, _pool| {});
kind!(HTTPRoute, "gateway.networking.k8s.io" / "v1", "HTTPRoute", "httproutes", namespaced: true, metadata_only: false,
    optional: true, |_this, _pool| {});
