//! The stable vocabulary of causes. An id names the **cause**, never the symptom; ids may be added, never renamed.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// How bad: `critical` = users are affected or a workload has no ready pod; `warning` = degraded, at risk, or a change is
/// blocked; `info` = worth knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Degraded, at risk, or a change is blocked.
    Warning,
    /// Users are affected, or a workload has no ready pod.
    Critical,
}

impl Severity {
    /// `critical`, `warning`, `info`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A cause's stable id, e.g. `image-not-found`. Only ids of [`CAUSES`] exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CauseId(pub &'static str);

impl CauseId {
    /// The entry of the vocabulary.
    pub fn cause(self) -> Option<&'static Cause> {
        BY_ID.get(self.0).copied()
    }

    /// The id of that name, if it is in the vocabulary.
    pub fn parse(name: &str) -> Option<Self> {
        CAUSES.iter().find(|c| c.id == name).map(|c| Self(c.id))
    }
}

impl fmt::Display for CauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One entry of the vocabulary.
#[derive(Debug)]
pub struct Cause {
    /// Stable id.
    pub id: &'static str,
    /// Family, as a heading.
    pub family: &'static str,
    /// Usual severity; the correlation raises or lowers it by what users feel.
    pub severity: Severity,
    /// True when the id only says "don't know yet": a specific finding on the same subject replaces it.
    pub generic: bool,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

const fn cause(id: &'static str, family: &'static str, severity: Severity, generic: bool, meaning: &'static str) -> Cause {
    Cause { id, family, severity, generic, meaning }
}

/// Asked several times for each finding.
static BY_ID: LazyLock<HashMap<&'static str, &'static Cause, foldhash::fast::RandomState>> =
    LazyLock::new(|| CAUSES.iter().map(|cause| (cause.id, cause)).collect());

/// Every cause k3am can name, a line each.
#[rustfmt::skip]
pub static CAUSES: &[Cause] = &[
    cause("image-not-found", "Image", Severity::Critical, false, "the registry answered: no such repository, tag or digest (a typo is the usual reason)"),
    cause("image-auth-denied", "Image", Severity::Critical, false, "401/403: pull secret missing, wrong, expired, or no right to the repository"),
    cause("image-rate-limited", "Image", Severity::Warning, false, "429 / toomanyrequests"),
    cause("image-registry-unreachable", "Image", Severity::Critical, false, "DNS failure, refused, reset, timeout, 5xx between node and registry"),
    cause("image-tls-untrusted", "Image", Severity::Critical, false, "the registry's certificate is not trusted by the node, or expired"),
    cause("image-name-invalid", "Image", Severity::Critical, false, "the reference cannot be parsed (`InvalidImageName`)"),
    cause("image-not-on-node", "Image", Severity::Critical, false, "pull policy `Never` and the image is not present"),
    cause("image-platform-mismatch", "Image", Severity::Critical, false, "no manifest for the node's platform"),
    cause("image-pull-failed", "Image", Severity::Critical, true, "no more specific cause of this family is known"),
    cause("configmap-missing", "Configuration and start", Severity::Critical, false, "a referenced object does not exist (env, envFrom or volume)"),
    cause("secret-missing", "Configuration and start", Severity::Critical, false, "a referenced object does not exist (env, envFrom or volume)"),
    cause("configmap-key-missing", "Configuration and start", Severity::Critical, false, "it exists, the key does not"),
    cause("secret-key-missing", "Configuration and start", Severity::Critical, false, "it exists, the key does not"),
    cause("service-account-missing", "Configuration and start", Severity::Critical, false, "the ReplicaSet/Job cannot create pods: no such service account"),
    cause("run-as-root-forbidden", "Configuration and start", Severity::Critical, false, "`runAsNonRoot` and the image runs as root (or a non-numeric user)"),
    cause("command-not-found", "Configuration and start", Severity::Critical, false, "the entrypoint does not exist in the image (create error, or exit 127 from a shell)"),
    cause("command-not-executable", "Configuration and start", Severity::Critical, false, "permission denied on the entrypoint (create error, or exit 126)"),
    cause("exec-format-error", "Configuration and start", Severity::Critical, false, "wrong architecture, or a script without an interpreter line"),
    cause("volume-mount-failed", "Configuration and start", Severity::Critical, false, "a volume cannot be mounted (hostPath type, NFS, CSI) and none of the ids above fits"),
    cause("volume-attach-failed", "Configuration and start", Severity::Critical, false, "it cannot be attached (Multi-Attach, cloud error, driver missing)"),
    cause("volume-lost", "Configuration and start", Severity::Critical, false, "the claim's volume is gone"),
    cause("container-create-failed", "Configuration and start", Severity::Critical, true, "no more specific cause of this family is known"),
    cause("oom-killed", "Crash", Severity::Critical, false, "the container exceeded its memory limit (`OOMKilled`), or the node killed it for memory"),
    cause("oom-killed-child", "Crash", Severity::Warning, false, "a process inside the container was OOM-killed while the container lives on"),
    cause("database-unreachable", "Crash", Severity::Critical, false, "the app cannot connect: refused, timed out, no route"),
    cause("database-host-unknown", "Crash", Severity::Critical, false, "the database's name does not resolve"),
    cause("database-auth-failed", "Crash", Severity::Critical, false, "the database refused the user or password, or has no such database/role"),
    cause("database-tls-required", "Crash", Severity::Critical, false, "TLS demanded by one side, not offered by the other"),
    cause("database-too-many-connections", "Crash", Severity::Critical, false, "the server's connection limit is used up"),
    cause("database-pool-exhausted", "Crash", Severity::Critical, false, "the app's own pool timed out"),
    cause("dependency-unreachable", "Crash", Severity::Critical, false, "as above for another dependency (Redis, Kafka, RabbitMQ, MongoDB, an HTTP API)"),
    cause("setting-missing", "Crash", Severity::Critical, false, "a required environment variable or setting is absent or invalid"),
    cause("module-missing", "Crash", Severity::Critical, false, "import or library not in the image"),
    cause("migration-failed", "Crash", Severity::Critical, false, "a schema migration failed (missing revision, multiple heads, locked)"),
    cause("port-in-use", "Crash", Severity::Critical, false, "the address is already in use"),
    cause("permission-denied", "Crash", Severity::Critical, false, "the process lacks a right it needs (file, socket, port below 1024)"),
    cause("filesystem-read-only", "Crash", Severity::Critical, false, "it writes to a read-only file system"),
    cause("disk-full", "Crash", Severity::Critical, false, "no space left on device"),
    cause("heap-exhausted", "Crash", Severity::Critical, false, "the runtime's own heap limit (JVM, Node), not the container's"),
    cause("native-crash", "Crash", Severity::Critical, false, "SIGSEGV, SIGBUS, SIGILL, SIGABRT (exit 139, 135, 132, 134)"),
    cause("liveness-probe-kills", "Crash", Severity::Critical, false, "the kubelet kills it because the liveness probe fails; the finding says which: wrong port, wrong path, refused, timeout, 5xx"),
    cause("startup-probe-kills", "Crash", Severity::Critical, false, "the same for the startup probe"),
    cause("lifecycle-hook-failed", "Crash", Severity::Critical, false, "postStart failed"),
    cause("process-exits", "Crash", Severity::Critical, false, "it exits 0 although it is meant to keep running"),
    cause("init-container-failed", "Crash", Severity::Critical, true, "no more specific cause of this family is known for an init container whose own cause is unknown"),
    cause("app-crash", "Crash", Severity::Critical, true, "exits non-zero; the finding quotes exit code and last error line"),
    cause("readiness-probe-fails", "Not ready", Severity::Critical, false, "running, never ready; says which kind of failure"),
    cause("readiness-flapping", "Not ready", Severity::Warning, false, "ready and unready in turns"),
    cause("readiness-gate-waiting", "Not ready", Severity::Warning, false, "an external readiness gate has not turned true"),
    cause("slow-start", "Not ready", Severity::Info, false, "still within its start-up time; not an incident until it is not"),
    cause("insufficient-cpu", "Scheduling", Severity::Critical, false, "requests do not fit (the last: pods, ephemeral-storage, extended resources)"),
    cause("insufficient-memory", "Scheduling", Severity::Critical, false, "requests do not fit (the last: pods, ephemeral-storage, extended resources)"),
    cause("insufficient-resource", "Scheduling", Severity::Critical, false, "requests do not fit (the last: pods, ephemeral-storage, extended resources)"),
    cause("node-selector-unmatched", "Scheduling", Severity::Critical, false, "node selector or node affinity fits no node"),
    cause("taint-not-tolerated", "Scheduling", Severity::Critical, false, "every fitting node has an untolerated taint"),
    cause("nodes-unschedulable", "Scheduling", Severity::Critical, false, "nodes are cordoned"),
    cause("pod-affinity-unsatisfied", "Scheduling", Severity::Critical, false, "affinity, anti-affinity or topology spread"),
    cause("host-port-conflict", "Scheduling", Severity::Critical, false, "the host port is taken on every fitting node"),
    cause("volume-unbound", "Scheduling", Severity::Critical, false, "its PersistentVolumeClaim is not bound (the finding says why: no such storage class, no volume, provisioning failed, waiting for consumer)"),
    cause("volume-zone-conflict", "Scheduling", Severity::Critical, false, "the volume is in another zone, or at the node's volume limit"),
    cause("scheduling-failed", "Scheduling", Severity::Critical, true, "also: gated, no nodes, no scheduler, the autoscaler says no"),
    cause("pod-rejected-by-node", "Scheduling", Severity::Warning, false, "the kubelet refused it at admission (`OutOfcpu`, `UnexpectedAdmissionError`, `NodeAffinity` ...)"),
    cause("quota-exceeded", "Admission and rollout", Severity::Critical, false, "namespace limits reject the pods"),
    cause("limit-range-violated", "Admission and rollout", Severity::Critical, false, "namespace limits reject the pods"),
    cause("pod-security-denied", "Admission and rollout", Severity::Critical, false, "Pod Security admission (or SCC/PSP) rejects the pods"),
    cause("webhook-denied", "Admission and rollout", Severity::Critical, false, "an admission webhook said no, or did not answer"),
    cause("webhook-unreachable", "Admission and rollout", Severity::Critical, false, "an admission webhook said no, or did not answer"),
    cause("rollout-stuck", "Admission and rollout", Severity::Warning, true, "the rollout made no progress and no other cause explains it"),
    cause("rollout-paused", "Admission and rollout", Severity::Warning, false, "paused on purpose, and forgotten"),
    cause("rollout-regression", "Admission and rollout", Severity::Info, false, "not a cause of its own: the mark, with revision and diff, that a rollout introduced the cause"),
    cause("ip-exhausted", "Network", Severity::Critical, false, "no pod IP left in the range, subnet or ENI (every CNI's wording; includes a node-local `DNSRecord` that cannot be allocated: a network problem, not a resource problem)"),
    cause("sandbox-network-failed", "Network", Severity::Critical, true, "the CNI plugin failed for another reason"),
    cause("dns-failing", "Network", Severity::Critical, false, "names do not resolve in the cluster (CoreDNS down, or many workloads report resolution failures)"),
    cause("service-no-endpoints", "Network", Severity::Critical, false, "the selector matches no pod, or none is ready (says which)"),
    cause("service-port-mismatch", "Network", Severity::Critical, false, "the target port is not one the container declares or listens on, or a named port does not exist"),
    cause("ingress-backend-missing", "Network", Severity::Critical, false, "an Ingress or route names a Service, port or class that does not exist"),
    cause("load-balancer-pending", "Network", Severity::Warning, false, "a LoadBalancer Service gets no address"),
    cause("service-ip-exhausted", "Network", Severity::Critical, false, "no ClusterIP left in the service range"),
    cause("node-network-not-ready", "Network", Severity::Critical, false, "the CNI or kube-proxy is not ready on a node"),
    cause("network-policy-blocks", "Network", Severity::Warning, false, "a NetworkPolicy selects the pod and allows nothing that matches (possible, never certain)"),
    cause("terminating-finalizer", "Terminating", Severity::Warning, false, "a finalizer holds the object; names it and its likely owner"),
    cause("terminating-node-lost", "Terminating", Severity::Warning, false, "its node is gone or not ready, so nobody confirms the kill"),
    cause("terminating-ignores-sigterm", "Terminating", Severity::Warning, false, "past SIGTERM, waiting for the grace period to end"),
    cause("terminating-prestop-hook", "Terminating", Severity::Warning, false, "a preStop hook is still running"),
    cause("terminating-volume", "Terminating", Severity::Warning, false, "volumes are still mounted or attached"),
    cause("terminating-slow", "Terminating", Severity::Warning, true, "past its grace period and none of the above"),
    cause("namespace-terminating", "Terminating", Severity::Warning, false, "what keeps a namespace: remaining objects, finalizers, or an unavailable API service"),
    cause("job-failed", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "backoff limit reached (with the pods' own cause when known)"),
    cause("job-deadline-exceeded", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "ran longer than `activeDeadlineSeconds`"),
    cause("cronjob-failing", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "its last runs failed, or it missed its schedule"),
    cause("node-not-ready", "Jobs, nodes, scaling, capacity", Severity::Critical, false, "kubelet or node down (carries every pod it hurts)"),
    cause("node-pressure", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "memory, disk or PID pressure; the evictions it caused"),
    cause("evicted-storage", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "the pod used more local storage than its limit"),
    cause("evicted-node-pressure", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "evicted because the node ran short"),
    cause("preempted", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "evicted for a pod of higher priority"),
    cause("hpa-no-metrics", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "the autoscaler cannot read its metric"),
    cause("hpa-at-maximum", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "pinned at maxReplicas with the target still exceeded"),
    cause("disruption-budget-blocks", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "a PodDisruptionBudget allows no disruption and blocks a drain or rollout"),
    cause("cpu-throttled", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "the CPU limit throttles the container (share of periods)"),
    cause("memory-near-limit", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "working set close to its limit: the next OOM kill"),
    cause("connection-budget", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "replicas (or the autoscaler's maximum) x pool size exceeds the database's limit"),
    cause("memory-oversized", "Jobs, nodes, scaling, capacity", Severity::Info, false, "limit or request many times the usage: money, not an incident"),
    cause("worker-timeout", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "the app server kills its own workers for being too slow (gunicorn)"),
    cause("error-rate-high", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "more than 1 % of requests fail, read from access logs"),
    cause("latency-high", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "responses above 500 ms, where the logs carry a duration"),
    cause("api-access-forbidden", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "the app's service account lacks a right it uses"),
    cause("api-service-unavailable", "Jobs, nodes, scaling, capacity", Severity::Critical, false, "an aggregated API does not answer (metrics, custom)"),
    cause("control-plane-overloaded", "Jobs, nodes, scaling, capacity", Severity::Critical, false, "leases lost, 429s, time-outs of the API server itself"),
    cause("certificate-expiring", "Jobs, nodes, scaling, capacity", Severity::Warning, false, "a TLS secret or serving certificate is expired or about to be"),
    cause("liveness-too-strict", "Habits", Severity::Info, false, "the liveness probe asks what only readiness should ask: a dependency at fault restarts the pods"),
    cause("password-in-environment", "Habits", Severity::Info, false, "a password stands in a plain environment variable (named, never shown)"),
];
