//! The resource types the practice server knows: one static each, as discovery names them.
//!
//! To add one: a static here and its line in [`ALL`]; it is then listed, watched, stored, patched and discovered. Default
//! table columns and defaulting are optional extras (`table`, `defaults`).

/// A resource type: its names, verbs and subresources, as `/apis/GROUP/VERSION` lists them.
#[derive(Debug, PartialEq, Eq)]
pub struct ResourceType {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The served version.
    pub version: &'static str,
    /// The kind of one object.
    pub kind: &'static str,
    /// The name in paths.
    pub plural: &'static str,
    /// The name for people, one object.
    pub singular: &'static str,
    /// What kubectl users type.
    pub short_names: &'static [&'static str],
    /// `all` for those `kubectl get all` shows.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// The verbs of the resource itself.
    pub verbs: &'static [&'static str],
    /// What hangs below one object.
    pub subresources: &'static [Subresource],
}

/// A subresource, such as `pods/log`.
#[derive(Debug, PartialEq, Eq)]
pub struct Subresource {
    /// The last path segment.
    pub name: &'static str,
    /// Group, version and kind of the body; an empty version means the parent's own.
    pub kind: (&'static str, &'static str, &'static str),
    /// The verbs of the subresource.
    pub verbs: &'static [&'static str],
}

const EVERY_VERB: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const GET_AND_WRITE: &[&str] = &["get", "patch", "update"];
const CREATE: &[&str] = &["create"];
const ALL_CATEGORY: &[&str] = &["all"];
const PROXY_VERBS: &[&str] = &["create", "delete", "get", "patch", "update"];

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

impl ResourceType {
    /// `apps/v1`, or `v1` for the core group: the `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, or `pods` for the core group: how errors name the resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Deployment.apps`, or `Pod` for the core group: how validation errors name the kind.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// The subresource of that name, if the type has it.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// Whether the server counts changes of the desired state in `metadata.generation` for this type.
    pub fn has_generation(&self) -> bool {
        matches!(
            self.plural,
            "pods"
                | "deployments"
                | "replicasets"
                | "statefulsets"
                | "daemonsets"
                | "jobs"
                | "cronjobs"
                | "ingresses"
                | "networkpolicies"
                | "poddisruptionbudgets"
                | "endpointslices"
                | "replicationcontrollers"
                | "priorityclasses"
                | "ingressclasses"
        )
    }
}

/// The type served at that group, version and plural.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static ResourceType> {
    ALL.iter().copied().find(|resource| resource.group == group && resource.version == version && resource.plural == plural)
}

/// The type of a kind in a group (any version), as owner references and scale targets name it.
pub fn by_kind(group: &str, kind: &str) -> Option<&'static ResourceType> {
    ALL.iter().copied().find(|resource| resource.group == group && resource.kind == kind)
}

macro_rules! resource_types {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub static $name: ResourceType = $value;)*
        /// Every resource type, in the order discovery lists them.
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
    LIMIT_RANGES =
        ResourceType { short_names: &["limits"], ..namespaced("", "v1", "LimitRange", "limitranges", "limitrange") };
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
            sub("binding", "Binding", CREATE),
            Subresource { name: "eviction", kind: ("policy", "v1", "Eviction"), verbs: CREATE },
            sub("log", "Pod", &["get"]),
            sub("status", "Pod", GET_AND_WRITE),
        ],
        ..namespaced("", "v1", "Pod", "pods", "pod")
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
        ..namespaced("", "v1", "ServiceAccount", "serviceaccounts", "serviceaccount")
    };
    /// `v1/services`.
    SERVICES = ResourceType {
        short_names: &["svc"],
        categories: ALL_CATEGORY,
        subresources: &[sub("status", "Service", GET_AND_WRITE)],
        ..namespaced("", "v1", "Service", "services", "service")
    };
    /// `apps/v1/controllerrevisions`.
    CONTROLLER_REVISIONS =
        namespaced("apps", "v1", "ControllerRevision", "controllerrevisions", "controllerrevision");
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
    /// `authentication.k8s.io/v1/selfsubjectreviews`.
    SELF_SUBJECT_REVIEWS = ResourceType {
        verbs: CREATE,
        ..cluster("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview")
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
        ..cluster(
            "authorization.k8s.io",
            "v1",
            "SelfSubjectRulesReview",
            "selfsubjectrulesreviews",
            "selfsubjectrulesreview",
        )
    };
    /// `autoscaling/v2/horizontalpodautoscalers`.
    HORIZONTAL_POD_AUTOSCALERS = ResourceType {
        short_names: &["hpa"],
        categories: ALL_CATEGORY,
        subresources: &[sub("status", "HorizontalPodAutoscaler", GET_AND_WRITE)],
        ..namespaced("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler")
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
    /// `networking.k8s.io/v1/ingressclasses`.
    INGRESS_CLASSES = cluster("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "ingressclass");
    /// `networking.k8s.io/v1/ingresses`.
    INGRESSES = ResourceType {
        short_names: &["ing"],
        subresources: &[sub("status", "Ingress", GET_AND_WRITE)],
        ..namespaced("networking.k8s.io", "v1", "Ingress", "ingresses", "ingress")
    };
    /// `networking.k8s.io/v1/networkpolicies`.
    NETWORK_POLICIES = ResourceType {
        short_names: &["netpol"],
        ..namespaced("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "networkpolicy")
    };
    /// `policy/v1/poddisruptionbudgets`.
    POD_DISRUPTION_BUDGETS = ResourceType {
        short_names: &["pdb"],
        subresources: &[sub("status", "PodDisruptionBudget", GET_AND_WRITE)],
        ..namespaced("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget")
    };
    /// `storage.k8s.io/v1/storageclasses`.
    STORAGE_CLASSES = ResourceType {
        short_names: &["sc"],
        ..cluster("storage.k8s.io", "v1", "StorageClass", "storageclasses", "storageclass")
    };
    /// `scheduling.k8s.io/v1/priorityclasses`.
    PRIORITY_CLASSES = ResourceType {
        short_names: &["pc"],
        ..cluster("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "priorityclass")
    };
    /// `coordination.k8s.io/v1/leases`.
    LEASES = namespaced("coordination.k8s.io", "v1", "Lease", "leases", "lease");
    /// `discovery.k8s.io/v1/endpointslices`.
    ENDPOINT_SLICES = namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice");
    /// `metrics.k8s.io/v1beta1/nodes`, computed, never stored.
    NODE_METRICS = ResourceType {
        verbs: &["get", "list"],
        ..cluster("metrics.k8s.io", "v1beta1", "NodeMetrics", "nodes", "")
    };
    /// `metrics.k8s.io/v1beta1/pods`, computed, never stored.
    POD_METRICS = ResourceType {
        verbs: &["get", "list"],
        ..namespaced("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", "")
    };
}
