//! The built-in resource types, in the order discovery lists them: verbs, short names, categories and subresources as a real
//! 1.36 server publishes them (`tests/fixtures/practice/*-aggregated.json`; a test compares).
//!
//! To add one: its line here.

use super::{ResourceType, Subresource};

const EVERY_VERB: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const GET_AND_WRITE: &[&str] = &["get", "patch", "update"];
const CREATE: &[&str] = &["create"];
const STREAM_VERBS: &[&str] = &["create", "get"];
const PROXY_VERBS: &[&str] = &["create", "delete", "get", "patch", "update"];
const ALL_CATEGORY: &[&str] = &["all"];
const API_EXTENSIONS: &[&str] = &["api-extensions"];

const fn sub(name: &'static str, kind: &'static str, verbs: &'static [&'static str]) -> Subresource {
    Subresource { name, kind: ("", "", kind), verbs }
}

const fn scale() -> Subresource {
    Subresource { name: "scale", kind: ("autoscaling", "v1", "Scale"), verbs: GET_AND_WRITE }
}

const fn namespaced(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
) -> ResourceType {
    ResourceType {
        group,
        version,
        kind,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        namespaced: true,
        verbs: EVERY_VERB,
        subresources: &[],
        stored_as: None,
        custom: None,
    }
}

const fn cluster(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
) -> ResourceType {
    ResourceType { namespaced: false, ..namespaced(group, version, kind, plural, singular) }
}

macro_rules! resource_types {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub static $name: ResourceType = $value;)*
        /// Every built-in resource type, in the order discovery lists them.
        pub static ALL: &[&ResourceType] = &[$(&$name),*];
    };
}

resource_types! {
    /// `v1/bindings`.
    BINDINGS = ResourceType { verbs: CREATE, ..namespaced("", "v1", "Binding", "bindings", "binding") };
    /// `v1/configmaps`.
    CONFIG_MAPS = ResourceType { short_names: &["cm"], ..namespaced("", "v1", "ConfigMap", "configmaps", "configmap") };
    /// `v1/endpoints`.
    ENDPOINTS = ResourceType { short_names: &["ep"], ..namespaced("", "v1", "Endpoints", "endpoints", "endpoints") };
    /// `v1/events`.
    EVENTS = ResourceType { short_names: &["ev"], ..namespaced("", "v1", "Event", "events", "event") };
    /// `v1/limitranges`.
    LIMIT_RANGES = ResourceType { short_names: &["limits"], ..namespaced("", "v1", "LimitRange", "limitranges", "limitrange") };
    /// `v1/namespaces`.
    NAMESPACES = ResourceType {
        short_names: &["ns"],
        verbs: &["create", "delete", "get", "list", "patch", "update", "watch"],
        subresources: &[sub("finalize", "Namespace", &["update"]), sub("status", "Namespace", GET_AND_WRITE)],
        ..cluster("", "v1", "Namespace", "namespaces", "namespace")
    };
    /// `v1/nodes`.
    NODES = ResourceType {
        short_names: &["no"],
        subresources: &[sub("proxy", "NodeProxyOptions", PROXY_VERBS), sub("status", "Node", GET_AND_WRITE)],
        ..cluster("", "v1", "Node", "nodes", "node")
    };
    /// `v1/persistentvolumeclaims`.
    PERSISTENT_VOLUME_CLAIMS = ResourceType {
        short_names: &["pvc"],
        subresources: &[sub("status", "PersistentVolumeClaim", GET_AND_WRITE)],
        ..namespaced("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim")
    };
    /// `v1/persistentvolumes`.
    PERSISTENT_VOLUMES = ResourceType {
        short_names: &["pv"],
        subresources: &[sub("status", "PersistentVolume", GET_AND_WRITE)],
        ..cluster("", "v1", "PersistentVolume", "persistentvolumes", "persistentvolume")
    };
    /// `v1/pods`.
    PODS = ResourceType {
        short_names: &["po"],
        categories: ALL_CATEGORY,
        subresources: &[
            sub("attach", "PodAttachOptions", STREAM_VERBS),
            sub("binding", "Binding", CREATE),
            sub("ephemeralcontainers", "Pod", GET_AND_WRITE),
            Subresource { name: "eviction", kind: ("policy", "v1", "Eviction"), verbs: CREATE },
            sub("exec", "PodExecOptions", STREAM_VERBS),
            sub("log", "Pod", &["get"]),
            sub("portforward", "PodPortForwardOptions", STREAM_VERBS),
            sub("resize", "Pod", GET_AND_WRITE),
            sub("status", "Pod", GET_AND_WRITE),
        ],
        ..namespaced("", "v1", "Pod", "pods", "pod")
    };
    /// `v1/podtemplates`.
    POD_TEMPLATES = namespaced("", "v1", "PodTemplate", "podtemplates", "podtemplate");
    /// `v1/replicationcontrollers`.
    REPLICATION_CONTROLLERS = ResourceType {
        short_names: &["rc"],
        categories: ALL_CATEGORY,
        subresources: &[scale(), sub("status", "ReplicationController", GET_AND_WRITE)],
        ..namespaced("", "v1", "ReplicationController", "replicationcontrollers", "replicationcontroller")
    };
    /// `v1/resourcequotas`.
    RESOURCE_QUOTAS = ResourceType {
        short_names: &["quota"],
        subresources: &[sub("status", "ResourceQuota", GET_AND_WRITE)],
        ..namespaced("", "v1", "ResourceQuota", "resourcequotas", "resourcequota")
    };
    /// `v1/secrets`.
    SECRETS = namespaced("", "v1", "Secret", "secrets", "secret");
    /// `v1/serviceaccounts`.
    SERVICE_ACCOUNTS = ResourceType {
        short_names: &["sa"],
        subresources: &[Subresource { name: "token", kind: ("authentication.k8s.io", "v1", "TokenRequest"), verbs: CREATE }],
        ..namespaced("", "v1", "ServiceAccount", "serviceaccounts", "serviceaccount")
    };
    /// `v1/services`.
    SERVICES = ResourceType {
        short_names: &["svc"],
        categories: ALL_CATEGORY,
        subresources: &[sub("status", "Service", GET_AND_WRITE)],
        ..namespaced("", "v1", "Service", "services", "service")
    };
    /// `apiregistration.k8s.io/v1/apiservices`.
    API_SERVICES = ResourceType {
        categories: API_EXTENSIONS,
        subresources: &[sub("status", "APIService", GET_AND_WRITE)],
        ..cluster("apiregistration.k8s.io", "v1", "APIService", "apiservices", "apiservice")
    };
    /// `apps/v1/controllerrevisions`.
    CONTROLLER_REVISIONS = namespaced("apps", "v1", "ControllerRevision", "controllerrevisions", "controllerrevision");
    /// `apps/v1/daemonsets`.
    DAEMON_SETS = ResourceType {
        short_names: &["ds"],
        categories: ALL_CATEGORY,
        subresources: &[sub("status", "DaemonSet", GET_AND_WRITE)],
        ..namespaced("apps", "v1", "DaemonSet", "daemonsets", "daemonset")
    };
    /// `apps/v1/deployments`.
    DEPLOYMENTS = ResourceType {
        short_names: &["deploy"],
        categories: ALL_CATEGORY,
        subresources: &[scale(), sub("status", "Deployment", GET_AND_WRITE)],
        ..namespaced("apps", "v1", "Deployment", "deployments", "deployment")
    };
    /// `apps/v1/replicasets`.
    REPLICA_SETS = ResourceType {
        short_names: &["rs"],
        categories: ALL_CATEGORY,
        subresources: &[scale(), sub("status", "ReplicaSet", GET_AND_WRITE)],
        ..namespaced("apps", "v1", "ReplicaSet", "replicasets", "replicaset")
    };
    /// `apps/v1/statefulsets`.
    STATEFUL_SETS = ResourceType {
        short_names: &["sts"],
        categories: ALL_CATEGORY,
        subresources: &[scale(), sub("status", "StatefulSet", GET_AND_WRITE)],
        ..namespaced("apps", "v1", "StatefulSet", "statefulsets", "statefulset")
    };
    /// `events.k8s.io/v1/events`: the core events in their newer form (`views`).
    NEW_EVENTS = ResourceType {
        short_names: &["ev"],
        stored_as: Some(&EVENTS),
        ..namespaced("events.k8s.io", "v1", "Event", "events", "event")
    };
    /// `authentication.k8s.io/v1/selfsubjectreviews`.
    SELF_SUBJECT_REVIEWS = ResourceType {
        verbs: CREATE,
        ..cluster("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview")
    };
    /// `authentication.k8s.io/v1/tokenreviews`.
    TOKEN_REVIEWS = ResourceType {
        verbs: CREATE,
        ..cluster("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", "tokenreview")
    };
    /// `authorization.k8s.io/v1/localsubjectaccessreviews`.
    LOCAL_SUBJECT_ACCESS_REVIEWS = ResourceType {
        verbs: CREATE,
        ..namespaced(
            "authorization.k8s.io",
            "v1",
            "LocalSubjectAccessReview",
            "localsubjectaccessreviews",
            "localsubjectaccessreview",
        )
    };
    /// `authorization.k8s.io/v1/selfsubjectaccessreviews`.
    SELF_SUBJECT_ACCESS_REVIEWS = ResourceType {
        verbs: CREATE,
        ..cluster(
            "authorization.k8s.io",
            "v1",
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            "selfsubjectaccessreview",
        )
    };
    /// `authorization.k8s.io/v1/selfsubjectrulesreviews`.
    SELF_SUBJECT_RULES_REVIEWS = ResourceType {
        verbs: CREATE,
        ..cluster("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview")
    };
    /// `authorization.k8s.io/v1/subjectaccessreviews`.
    SUBJECT_ACCESS_REVIEWS = ResourceType {
        verbs: CREATE,
        ..cluster("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview")
    };
    /// `autoscaling/v2/horizontalpodautoscalers`.
    HORIZONTAL_POD_AUTOSCALERS = ResourceType {
        short_names: &["hpa"],
        categories: ALL_CATEGORY,
        subresources: &[sub("status", "HorizontalPodAutoscaler", GET_AND_WRITE)],
        ..namespaced("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler")
    };
    /// `autoscaling/v1/horizontalpodautoscalers`: the `v2` objects in their older form (`views`).
    HORIZONTAL_POD_AUTOSCALERS_V1 = ResourceType {
        short_names: &["hpa"],
        categories: ALL_CATEGORY,
        subresources: &[sub("status", "HorizontalPodAutoscaler", GET_AND_WRITE)],
        stored_as: Some(&HORIZONTAL_POD_AUTOSCALERS),
        ..namespaced("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler")
    };
    /// `batch/v1/cronjobs`.
    CRON_JOBS = ResourceType {
        short_names: &["cj"],
        categories: ALL_CATEGORY,
        subresources: &[sub("status", "CronJob", GET_AND_WRITE)],
        ..namespaced("batch", "v1", "CronJob", "cronjobs", "cronjob")
    };
    /// `batch/v1/jobs`.
    JOBS = ResourceType {
        categories: ALL_CATEGORY,
        subresources: &[sub("status", "Job", GET_AND_WRITE)],
        ..namespaced("batch", "v1", "Job", "jobs", "job")
    };
    /// `certificates.k8s.io/v1/certificatesigningrequests`.
    CERTIFICATE_SIGNING_REQUESTS = ResourceType {
        short_names: &["csr"],
        subresources: &[
            sub("approval", "CertificateSigningRequest", GET_AND_WRITE),
            sub("status", "CertificateSigningRequest", GET_AND_WRITE),
        ],
        ..cluster(
            "certificates.k8s.io",
            "v1",
            "CertificateSigningRequest",
            "certificatesigningrequests",
            "certificatesigningrequest",
        )
    };
    /// `networking.k8s.io/v1/ingressclasses`.
    INGRESS_CLASSES = cluster("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "ingressclass");
    /// `networking.k8s.io/v1/ingresses`.
    INGRESSES = ResourceType {
        short_names: &["ing"],
        subresources: &[sub("status", "Ingress", GET_AND_WRITE)],
        ..namespaced("networking.k8s.io", "v1", "Ingress", "ingresses", "ingress")
    };
    /// `networking.k8s.io/v1/ipaddresses`: one for each cluster IP (`controllers::ip_address`).
    IP_ADDRESSES = ResourceType {
        short_names: &["ip"],
        ..cluster("networking.k8s.io", "v1", "IPAddress", "ipaddresses", "ipaddress")
    };
    /// `networking.k8s.io/v1/networkpolicies`.
    NETWORK_POLICIES = ResourceType {
        short_names: &["netpol"],
        ..namespaced("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "networkpolicy")
    };
    /// `networking.k8s.io/v1/servicecidrs`.
    SERVICE_CIDRS = ResourceType {
        subresources: &[sub("status", "ServiceCIDR", GET_AND_WRITE)],
        ..cluster("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", "servicecidr")
    };
    /// `policy/v1/poddisruptionbudgets`.
    POD_DISRUPTION_BUDGETS = ResourceType {
        short_names: &["pdb"],
        subresources: &[sub("status", "PodDisruptionBudget", GET_AND_WRITE)],
        ..namespaced("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget")
    };
    /// `rbac.authorization.k8s.io/v1/clusterrolebindings`.
    CLUSTER_ROLE_BINDINGS =
        cluster("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", "clusterrolebinding");
    /// `rbac.authorization.k8s.io/v1/clusterroles`.
    CLUSTER_ROLES = cluster("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "clusterrole");
    /// `rbac.authorization.k8s.io/v1/rolebindings`.
    ROLE_BINDINGS = namespaced("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "rolebinding");
    /// `rbac.authorization.k8s.io/v1/roles`.
    ROLES = namespaced("rbac.authorization.k8s.io", "v1", "Role", "roles", "role");
    /// `storage.k8s.io/v1/csidrivers`.
    CSI_DRIVERS = cluster("storage.k8s.io", "v1", "CSIDriver", "csidrivers", "csidriver");
    /// `storage.k8s.io/v1/csinodes`.
    CSI_NODES = cluster("storage.k8s.io", "v1", "CSINode", "csinodes", "csinode");
    /// `storage.k8s.io/v1/csistoragecapacities`.
    CSI_STORAGE_CAPACITIES =
        namespaced("storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", "csistoragecapacity");
    /// `storage.k8s.io/v1/storageclasses`.
    STORAGE_CLASSES = ResourceType {
        short_names: &["sc"],
        ..cluster("storage.k8s.io", "v1", "StorageClass", "storageclasses", "storageclass")
    };
    /// `storage.k8s.io/v1/volumeattachments`.
    VOLUME_ATTACHMENTS = ResourceType {
        subresources: &[sub("status", "VolumeAttachment", GET_AND_WRITE)],
        ..cluster("storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", "volumeattachment")
    };
    /// `storage.k8s.io/v1/volumeattributesclasses`.
    VOLUME_ATTRIBUTES_CLASSES = ResourceType {
        short_names: &["vac"],
        ..cluster("storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", "volumeattributesclass")
    };
    /// `admissionregistration.k8s.io/v1/mutatingadmissionpolicies`: kept, never evaluated.
    MUTATING_ADMISSION_POLICIES = ResourceType {
        categories: API_EXTENSIONS,
        ..cluster("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", "mutatingadmissionpolicy")
    };
    /// `admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings`: kept, never evaluated.
    MUTATING_ADMISSION_POLICY_BINDINGS = ResourceType {
        categories: API_EXTENSIONS,
        ..cluster("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding")
    };
    /// `admissionregistration.k8s.io/v1/mutatingwebhookconfigurations`.
    MUTATING_WEBHOOK_CONFIGURATIONS = ResourceType {
        categories: API_EXTENSIONS,
        ..cluster(
            "admissionregistration.k8s.io",
            "v1",
            "MutatingWebhookConfiguration",
            "mutatingwebhookconfigurations",
            "mutatingwebhookconfiguration",
        )
    };
    /// `admissionregistration.k8s.io/v1/validatingadmissionpolicies`: kept, never evaluated.
    VALIDATING_ADMISSION_POLICIES = ResourceType {
        categories: API_EXTENSIONS,
        subresources: &[sub("status", "ValidatingAdmissionPolicy", GET_AND_WRITE)],
        ..cluster("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "validatingadmissionpolicy")
    };
    /// `admissionregistration.k8s.io/v1/validatingadmissionpolicybindings`: kept, never evaluated.
    VALIDATING_ADMISSION_POLICY_BINDINGS = ResourceType {
        categories: API_EXTENSIONS,
        ..cluster("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "validatingadmissionpolicybinding")
    };
    /// `admissionregistration.k8s.io/v1/validatingwebhookconfigurations`.
    VALIDATING_WEBHOOK_CONFIGURATIONS = ResourceType {
        categories: API_EXTENSIONS,
        ..cluster(
            "admissionregistration.k8s.io",
            "v1",
            "ValidatingWebhookConfiguration",
            "validatingwebhookconfigurations",
            "validatingwebhookconfiguration",
        )
    };
    /// `apiextensions.k8s.io/v1/customresourcedefinitions`.
    CUSTOM_RESOURCE_DEFINITIONS = ResourceType {
        short_names: &["crd", "crds"],
        categories: API_EXTENSIONS,
        subresources: &[sub("status", "CustomResourceDefinition", GET_AND_WRITE)],
        ..cluster(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            "customresourcedefinition",
        )
    };
    /// `scheduling.k8s.io/v1/priorityclasses`.
    PRIORITY_CLASSES = ResourceType {
        short_names: &["pc"],
        ..cluster("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "priorityclass")
    };
    /// `coordination.k8s.io/v1/leases`.
    LEASES = namespaced("coordination.k8s.io", "v1", "Lease", "leases", "lease");
    /// `node.k8s.io/v1/runtimeclasses`.
    RUNTIME_CLASSES = cluster("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", "runtimeclass");
    /// `discovery.k8s.io/v1/endpointslices`.
    ENDPOINT_SLICES = namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice");
    /// `resource.k8s.io/v1/deviceclasses`.
    DEVICE_CLASSES = cluster("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", "deviceclass");
    /// `resource.k8s.io/v1/resourceclaims`: kept, never allocated.
    RESOURCE_CLAIMS = ResourceType {
        subresources: &[sub("status", "ResourceClaim", GET_AND_WRITE)],
        ..namespaced("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims", "resourceclaim")
    };
    /// `resource.k8s.io/v1/resourceclaimtemplates`.
    RESOURCE_CLAIM_TEMPLATES =
        namespaced("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates", "resourceclaimtemplate");
    /// `resource.k8s.io/v1/resourceslices`.
    RESOURCE_SLICES = cluster("resource.k8s.io", "v1", "ResourceSlice", "resourceslices", "resourceslice");
    /// `flowcontrol.apiserver.k8s.io/v1/flowschemas`.
    FLOW_SCHEMAS = ResourceType {
        subresources: &[sub("status", "FlowSchema", GET_AND_WRITE)],
        ..cluster("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", "flowschema")
    };
    /// `flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations`.
    PRIORITY_LEVEL_CONFIGURATIONS = ResourceType {
        subresources: &[sub("status", "PriorityLevelConfiguration", GET_AND_WRITE)],
        ..cluster(
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "PriorityLevelConfiguration",
            "prioritylevelconfigurations",
            "prioritylevelconfiguration",
        )
    };
    /// `metrics.k8s.io/v1beta1/nodes`, computed, never stored.
    NODE_METRICS =
        ResourceType { verbs: &["get", "list"], ..cluster("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", "") };
    /// `metrics.k8s.io/v1beta1/pods`, computed, never stored.
    POD_METRICS =
        ResourceType { verbs: &["get", "list"], ..namespaced("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", "") };
}
