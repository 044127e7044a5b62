//! The messages kubectl's typed clients send: field numbers of `generated.proto` in `k8s.io/api`.
//!
//! To accept another kind: its messages in [`MESSAGES`], under the name of the kind.

mod pods;

pub use pods::PODS;

/// How a field is encoded.
#[derive(Clone, Copy)]
pub enum Field {
    /// A string.
    Text,
    /// Bytes, base64 in JSON.
    Bytes,
    /// A number.
    Integer,
    /// A truth, not sent in JSON when it does not hold.
    Bool,
    /// A truth that is sent either way.
    Flag,
    /// A number that is not sent in JSON when it is 0.
    Count,
    /// Another message.
    Message(&'static str),
    /// A list of strings.
    Texts,
    /// A list of messages.
    Messages(&'static str),
    /// `IntOrString`.
    IntOrText,
    /// `map<string, string>`.
    TextMap,
    /// `map<string, bytes>`.
    BytesMap,
    /// `map<string, Quantity>`.
    QuantityMap,
    /// A message whose fields JSON has in the one around it.
    Inline(&'static str),
    /// A time, as seconds.
    Time,
    /// One quantity.
    Quantity,
    /// What the server keeps itself, whatever is sent.
    Ignored,
}

/// Number, JSON name and encoding of each field.
pub type Fields = &'static [(u64, &'static str, Field)];

/// The messages that can be decoded, beside those of pods ([`PODS`]).
pub const MESSAGES: &[(&str, Fields)] = &[
    (
        "ObjectMeta",
        &[
            (1, "name", Field::Text),
            (2, "generateName", Field::Text),
            (3, "namespace", Field::Text),
            (5, "uid", Field::Text),
            (6, "resourceVersion", Field::Text),
            (11, "labels", Field::TextMap),
            (12, "annotations", Field::TextMap),
            (14, "finalizers", Field::Texts),
            (7, "generation", Field::Count),
            (8, "creationTimestamp", Field::Time),
            (13, "ownerReferences", Field::Messages("OwnerReference")),
            (17, "managedFields", Field::Ignored),
        ],
    ),
    (
        "OwnerReference",
        &[
            (1, "kind", Field::Text),
            (3, "name", Field::Text),
            (4, "uid", Field::Text),
            (5, "apiVersion", Field::Text),
            (6, "controller", Field::Bool),
            (7, "blockOwnerDeletion", Field::Bool),
        ],
    ),
    (
        "SelfSubjectAccessReview",
        &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("AccessReviewSpec"))],
    ),
    (
        "AccessReviewSpec",
        &[
            (1, "resourceAttributes", Field::Message("ResourceAttributes")),
            (2, "nonResourceAttributes", Field::Message("NonResourceAttributes")),
        ],
    ),
    (
        "ResourceAttributes",
        &[
            (1, "namespace", Field::Text),
            (2, "verb", Field::Text),
            (3, "group", Field::Text),
            (4, "version", Field::Text),
            (5, "resource", Field::Text),
            (6, "subresource", Field::Text),
            (7, "name", Field::Text),
        ],
    ),
    ("NonResourceAttributes", &[(1, "path", Field::Text), (2, "verb", Field::Text)]),
    ("SelfSubjectRulesReview", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("RulesReviewSpec"))]),
    ("RulesReviewSpec", &[(1, "namespace", Field::Text)]),
    ("SelfSubjectReview", &[(1, "metadata", Field::Message("ObjectMeta"))]),
    ("Eviction", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "deleteOptions", Field::Message("DeleteOptions"))]),
    (
        "DeleteOptions",
        &[
            (1, "gracePeriodSeconds", Field::Integer),
            (2, "preconditions", Field::Message("Preconditions")),
            (3, "orphanDependents", Field::Bool),
            (4, "propagationPolicy", Field::Text),
            (5, "dryRun", Field::Texts),
        ],
    ),
    ("Preconditions", &[(1, "uid", Field::Text), (2, "resourceVersion", Field::Text)]),
    ("Namespace", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("NamespaceSpec"))]),
    ("NamespaceSpec", &[(1, "finalizers", Field::Texts)]),
    ("ServiceAccount", &[(1, "metadata", Field::Message("ObjectMeta"))]),
    (
        "ConfigMap",
        &[
            (1, "metadata", Field::Message("ObjectMeta")),
            (2, "data", Field::TextMap),
            (3, "binaryData", Field::BytesMap),
            (4, "immutable", Field::Bool),
        ],
    ),
    (
        "Secret",
        &[
            (1, "metadata", Field::Message("ObjectMeta")),
            (2, "data", Field::BytesMap),
            (3, "type", Field::Text),
            (4, "stringData", Field::TextMap),
            (5, "immutable", Field::Bool),
        ],
    ),
    ("Binding", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "target", Field::Message("ObjectReference"))]),
    ("ObjectReference", &[(1, "kind", Field::Text), (2, "namespace", Field::Text), (3, "name", Field::Text)]),
    ("Scale", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("ScaleSpec"))]),
    ("ScaleSpec", &[(1, "replicas", Field::Integer)]),
    ("Deployment", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("DeploymentSpec"))]),
    (
        "DeploymentSpec",
        &[
            (1, "replicas", Field::Integer),
            (2, "selector", Field::Message("LabelSelector")),
            (3, "template", Field::Message("PodTemplate")),
            (4, "strategy", Field::Message("Strategy")),
            (5, "minReadySeconds", Field::Count),
            (6, "revisionHistoryLimit", Field::Integer),
            (7, "paused", Field::Bool),
            (9, "progressDeadlineSeconds", Field::Integer),
        ],
    ),
    ("Strategy", &[(1, "type", Field::Text)]),
    ("PodTemplate", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("PodSpec"))]),
    ("Empty", &[]),
    ("Job", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("JobSpec"))]),
    ("Service", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("ServiceSpec"))]),
    (
        "ServiceSpec",
        &[
            (1, "ports", Field::Messages("ServicePort")),
            (2, "selector", Field::TextMap),
            (3, "clusterIP", Field::Text),
            (4, "type", Field::Text),
            (10, "externalName", Field::Text),
        ],
    ),
    (
        "ServicePort",
        &[
            (1, "name", Field::Text),
            (2, "protocol", Field::Text),
            (3, "port", Field::Integer),
            (4, "targetPort", Field::IntOrText),
        ],
    ),
    ("Resources", &[(1, "limits", Field::QuantityMap), (2, "requests", Field::QuantityMap)]),
    ("Quantity", &[(1, "string", Field::Text)]),
    ("QuantityEntry", &[(1, "key", Field::Text), (2, "value", Field::Message("Quantity"))]),
    ("Time", &[(1, "seconds", Field::Integer), (2, "nanos", Field::Integer)]),
    ("Role", RULES),
    ("ClusterRole", RULES),
    (
        "PolicyRule",
        &[
            (1, "verbs", Field::Texts),
            (2, "apiGroups", Field::Texts),
            (3, "resources", Field::Texts),
            (4, "resourceNames", Field::Texts),
            (5, "nonResourceURLs", Field::Texts),
        ],
    ),
    ("AggregationRule", &[(1, "clusterRoleSelectors", Field::Messages("LabelSelector"))]),
    ("RoleBinding", BINDING),
    ("ClusterRoleBinding", BINDING),
    (
        "Subject",
        &[(1, "kind", Field::Text), (2, "apiGroup", Field::Text), (3, "name", Field::Text), (4, "namespace", Field::Text)],
    ),
    ("RoleRef", &[(1, "apiGroup", Field::Text), (2, "kind", Field::Text), (3, "name", Field::Text)]),
    ("CronJob", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("CronJobSpec"))]),
    (
        "CronJobSpec",
        &[
            (1, "schedule", Field::Text),
            (2, "startingDeadlineSeconds", Field::Integer),
            (3, "concurrencyPolicy", Field::Text),
            (4, "suspend", Field::Bool),
            (5, "jobTemplate", Field::Message("JobTemplate")),
            (6, "successfulJobsHistoryLimit", Field::Integer),
            (7, "failedJobsHistoryLimit", Field::Integer),
            (8, "timeZone", Field::Text),
        ],
    ),
    ("JobTemplate", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("JobSpec"))]),
    ("Ingress", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("IngressSpec"))]),
    (
        "IngressSpec",
        &[
            (1, "defaultBackend", Field::Message("IngressBackend")),
            (2, "tls", Field::Messages("IngressTls")),
            (3, "rules", Field::Messages("IngressRule")),
            (4, "ingressClassName", Field::Text),
        ],
    ),
    ("IngressBackend", &[(4, "service", Field::Message("IngressService"))]),
    ("IngressService", &[(1, "name", Field::Text), (2, "port", Field::Message("IngressPort"))]),
    ("IngressPort", &[(1, "name", Field::Text), (2, "number", Field::Count)]),
    ("IngressTls", &[(1, "hosts", Field::Texts), (2, "secretName", Field::Text)]),
    ("IngressRule", &[(1, "host", Field::Text), (2, "", Field::Inline("IngressRuleValue"))]),
    ("IngressRuleValue", &[(1, "http", Field::Message("IngressPaths"))]),
    ("IngressPaths", &[(1, "paths", Field::Messages("IngressPath"))]),
    ("IngressPath", &[(1, "path", Field::Text), (2, "backend", Field::Message("IngressBackend")), (3, "pathType", Field::Text)]),
    ("PodDisruptionBudget", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("BudgetSpec"))]),
    (
        "BudgetSpec",
        &[
            (1, "minAvailable", Field::IntOrText),
            (2, "selector", Field::Message("LabelSelector")),
            (3, "maxUnavailable", Field::IntOrText),
            (4, "unhealthyPodEvictionPolicy", Field::Text),
        ],
    ),
    (
        "PriorityClass",
        &[
            (1, "metadata", Field::Message("ObjectMeta")),
            (2, "value", Field::Integer),
            (3, "globalDefault", Field::Bool),
            (4, "description", Field::Text),
            (5, "preemptionPolicy", Field::Text),
        ],
    ),
    ("ResourceQuota", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("QuotaSpec"))]),
    ("QuotaSpec", &[(1, "hard", Field::QuantityMap), (2, "scopes", Field::Texts)]),
    ("TokenRequest", &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("TokenRequestSpec"))]),
    ("TokenRequestSpec", &[(1, "audiences", Field::Texts), (4, "expirationSeconds", Field::Integer)]),
    (
        "HorizontalPodAutoscaler",
        &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("AutoscalerSpecV1"))],
    ),
    (
        "AutoscalerSpecV1",
        &[
            (1, "scaleTargetRef", Field::Message("ScaleTarget")),
            (2, "minReplicas", Field::Integer),
            (3, "maxReplicas", Field::Integer),
            (4, "targetCPUUtilizationPercentage", Field::Integer),
        ],
    ),
    // Told from the older form by the version in the envelope.
    (
        "HorizontalPodAutoscaler autoscaling/v2",
        &[(1, "metadata", Field::Message("ObjectMeta")), (2, "spec", Field::Message("AutoscalerSpec"))],
    ),
    (
        "AutoscalerSpec",
        &[
            (1, "scaleTargetRef", Field::Message("ScaleTarget")),
            (2, "minReplicas", Field::Integer),
            (3, "maxReplicas", Field::Integer),
            (4, "metrics", Field::Messages("MetricSpec")),
        ],
    ),
    ("ScaleTarget", &[(1, "kind", Field::Text), (2, "name", Field::Text), (3, "apiVersion", Field::Text)]),
    ("MetricSpec", &[(1, "type", Field::Text), (4, "resource", Field::Message("ResourceMetric"))]),
    ("ResourceMetric", &[(1, "name", Field::Text), (2, "target", Field::Message("MetricTarget"))]),
    (
        "MetricTarget",
        &[
            (1, "type", Field::Text),
            (2, "value", Field::Quantity),
            (3, "averageValue", Field::Quantity),
            (4, "averageUtilization", Field::Integer),
        ],
    ),
    (
        "CertificateSigningRequest",
        &[
            (1, "metadata", Field::Message("ObjectMeta")),
            (2, "spec", Field::Message("SigningSpec")),
            (3, "status", Field::Message("SigningStatus")),
        ],
    ),
    (
        "SigningSpec",
        &[
            (1, "request", Field::Bytes),
            (2, "username", Field::Text),
            (4, "groups", Field::Texts),
            (5, "usages", Field::Texts),
            (7, "signerName", Field::Text),
            (8, "expirationSeconds", Field::Integer),
        ],
    ),
    ("SigningStatus", &[(1, "conditions", Field::Messages("SigningCondition")), (2, "certificate", Field::Bytes)]),
    (
        "SigningCondition",
        &[
            (1, "type", Field::Text),
            (2, "reason", Field::Text),
            (3, "message", Field::Text),
            (4, "lastUpdateTime", Field::Time),
            (5, "lastTransitionTime", Field::Time),
            (6, "status", Field::Text),
        ],
    ),
    ("IntOrString", &[(1, "type", Field::Integer), (2, "intVal", Field::Integer), (3, "strVal", Field::Text)]),
    ("Unknown", &[(1, "typeMeta", Field::Message("TypeMeta")), (2, "raw", Field::Bytes), (4, "contentType", Field::Text)]),
    ("TypeMeta", &[(1, "apiVersion", Field::Text), (2, "kind", Field::Text)]),
    ("Entry", &[(1, "key", Field::Text), (2, "value", Field::Text)]),
    ("BytesEntry", &[(1, "key", Field::Text), (2, "value", Field::Bytes)]),
];

const RULES: Fields = &[
    (1, "metadata", Field::Message("ObjectMeta")),
    (2, "rules", Field::Messages("PolicyRule")),
    (3, "aggregationRule", Field::Message("AggregationRule")),
];
const BINDING: Fields = &[
    (1, "metadata", Field::Message("ObjectMeta")),
    (2, "subjects", Field::Messages("Subject")),
    (3, "roleRef", Field::Message("RoleRef")),
];
