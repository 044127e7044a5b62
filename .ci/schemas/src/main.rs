//! Prints the OpenAPI definitions of the built-in types the practice cluster serves, made from the `k8s-openapi` crate:
//! `cargo run --manifest-path .ci/schemas/Cargo.toml | gzip -9n > assets/practice/schemas.json.gz`. Run after a new version of the crate.
use k8s_openapi::api as k;
use schemars::generate::SchemaSettings;

macro_rules! include {
    ($generator:expr, $($kind:ty),* $(,)?) => { $( $generator.subschema_for::<$kind>(); )* };
}

fn main() {
    let mut settings = SchemaSettings::openapi3();
    settings.inline_subschemas = false;
    let mut generator = settings.into_generator();
    include!(
        generator,
        k::core::v1::Binding, k::core::v1::ConfigMap, k::core::v1::Endpoints, k::core::v1::Event, k::core::v1::LimitRange,
        k::core::v1::Namespace, k::core::v1::Node, k::core::v1::PersistentVolumeClaim, k::core::v1::PersistentVolume,
        k::core::v1::Pod, k::core::v1::PodTemplate, k::core::v1::ReplicationController, k::core::v1::ResourceQuota,
        k::core::v1::Secret, k::core::v1::ServiceAccount, k::core::v1::Service,
        k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService,
        k::apps::v1::ControllerRevision, k::apps::v1::DaemonSet, k::apps::v1::Deployment, k::apps::v1::ReplicaSet,
        k::apps::v1::StatefulSet, k::events::v1::Event,
        k::authentication::v1::SelfSubjectReview, k::authentication::v1::TokenReview, k::authentication::v1::TokenRequest,
        k::authorization::v1::LocalSubjectAccessReview, k::authorization::v1::SelfSubjectAccessReview,
        k::authorization::v1::SelfSubjectRulesReview, k::authorization::v1::SubjectAccessReview,
        k::autoscaling::v1::HorizontalPodAutoscaler, k::autoscaling::v2::HorizontalPodAutoscaler, k::autoscaling::v1::Scale,
        k::batch::v1::CronJob, k::batch::v1::Job, k::certificates::v1::CertificateSigningRequest,
        k::networking::v1::IngressClass, k::networking::v1::Ingress, k::networking::v1::NetworkPolicy,
        k::policy::v1::PodDisruptionBudget, k::policy::v1::Eviction,
        k::rbac::v1::ClusterRole, k::rbac::v1::ClusterRoleBinding, k::rbac::v1::Role, k::rbac::v1::RoleBinding,
        k::storage::v1::CSIDriver, k::storage::v1::CSINode, k::storage::v1::CSIStorageCapacity, k::storage::v1::StorageClass,
        k::storage::v1::VolumeAttachment, k::storage::v1::VolumeAttributesClass,
        k::admissionregistration::v1::MutatingWebhookConfiguration, k::admissionregistration::v1::ValidatingWebhookConfiguration,
        k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
        k::scheduling::v1::PriorityClass, k::coordination::v1::Lease, k::node::v1::RuntimeClass, k::discovery::v1::EndpointSlice,
        k::networking::v1::IPAddress, k::networking::v1::ServiceCIDR,
        k::admissionregistration::v1::MutatingAdmissionPolicy, k::admissionregistration::v1::MutatingAdmissionPolicyBinding,
        k::admissionregistration::v1::ValidatingAdmissionPolicy, k::admissionregistration::v1::ValidatingAdmissionPolicyBinding,
        k::resource::v1::DeviceClass, k::resource::v1::ResourceClaim, k::resource::v1::ResourceClaimTemplate,
        k::resource::v1::ResourceSlice, k::flowcontrol::v1::FlowSchema, k::flowcontrol::v1::PriorityLevelConfiguration,
        k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions,
    );
    let definitions = generator.take_definitions(true);
    println!("{}", serde_json::to_string(&definitions).unwrap());
}
