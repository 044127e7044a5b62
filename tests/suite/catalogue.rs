//! Every sample text of the failure catalogue (`tests/fixtures/failures-cases.tsv`, lines `T`) in its proper scope: the classifier
//! of that scope must name the cause `causes.md` gives for the entry. What no rule covers yet is listed by name, so that
//! nothing is skipped silently.
// `json!` values are written in place where a reference would only add noise.
#![allow(clippy::needless_pass_by_value)]

use std::collections::{BTreeMap, BTreeSet};

use k3am::diagnosis::rules::api::kubelet;
use k3am::diagnosis::rules::config::{refs, start};
use k3am::diagnosis::rules::image::pull;
use k3am::diagnosis::rules::network::sandbox;
use k3am::diagnosis::rules::nodes::evicted;
use k3am::diagnosis::rules::probes::failure;
use k3am::diagnosis::rules::rollouts::admission;
use k3am::diagnosis::rules::scheduling::unschedulable;
use k3am::diagnosis::rules::volumes::mount;
use k3am::diagnosis::signatures::Signatures;
use serde_json::{Value, json};

/// Entries whose texts no rule reads yet, with the reason.
const NOT_COVERED: &[(&str, &str)] = &[("access-log-5xx", "error-rate-high: access logs are counted, not matched line by line")];

/// Entries that are no incident: their texts alone must find nothing.
const NO_INCIDENT: &[&str] =
    &["img-slow", "pvc-wait-first-consumer", "crash-restart-all", "node-rebooted", "img-pull-secret-missing"];

const NOW: &str = "2026-11-22T20:31:30Z";
const THEN: &str = "2026-11-22T20:00:00Z";

fn object(kind: &str, name: &str, rest: Value) -> Value {
    let mut object =
        json!({"kind": kind, "metadata": {"name": name, "uid": format!("uid-{kind}-{name}"), "creationTimestamp": THEN}});
    if !matches!(kind, "Node" | "Namespace" | "APIService") {
        object["metadata"]["namespace"] = json!("shop");
    }
    for (key, value) in rest.as_object().unwrap() {
        match (key.as_str(), value.as_object()) {
            ("metadata", Some(more)) => object["metadata"].as_object_mut().unwrap().extend(more.clone()),
            _ => object[key] = value.clone(),
        }
    }
    object
}

fn event(about: &Value, reason: &str, text: &str) -> Value {
    let meta = &about["metadata"];
    json!({
        "kind": "Event",
        "metadata": {"name": format!("{}.{reason}", meta["name"].as_str().unwrap()), "namespace": "shop"},
        "involvedObject": {"kind": about["kind"], "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
        "reason": reason, "message": text, "type": "Warning", "count": 5,
        "firstTimestamp": "2026-11-22T20:10:00Z", "lastTimestamp": "2026-11-22T20:30:55Z",
    })
}

/// A pod with one container in that state.
fn pod(status: Value, rest: Value) -> Value {
    let mut pod = object(
        "Pod",
        "web",
        json!({
            "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "a",
                "livenessProbe": {"exec": {"command": ["x"]}}, "readinessProbe": {"exec": {"command": ["x"]}},
                "startupProbe": {"exec": {"command": ["x"]}}}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": THEN}],
                "containerStatuses": [{"name": "app", "image": "a", "started": true, "restartCount": 5, "state": status,
                    "lastState": {"terminated": {"exitCode": 137, "reason": "Error",
                        "startedAt": "2026-11-22T20:30:40Z", "finishedAt": "2026-11-22T20:30:50Z"}}}]},
        }),
    );
    if pod["status"]["containerStatuses"][0]["state"].get("running").is_some() {
        // It has run since it was created.
        pod["status"]["containerStatuses"][0]["lastState"] = json!({});
        pod["status"]["containerStatuses"][0]["restartCount"] = json!(0);
    }
    for (key, value) in rest.as_object().unwrap() {
        pod[key].as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    }
    pod
}

fn looping() -> Value {
    json!({"waiting": {"reason": "CrashLoopBackOff"}})
}

fn running() -> Value {
    json!({"running": {"startedAt": THEN}})
}

fn conditioned(kind: &str, condition: &str, status: &str, reason: &str, text: &str) -> Value {
    object(
        kind,
        "x",
        json!({"status": {"conditions": [
        {"type": condition, "status": status, "reason": reason, "message": text, "lastTransitionTime": THEN}]}}),
    )
}

fn claim_with(reason: &str, text: &str) -> Vec<Value> {
    let claim = object("PersistentVolumeClaim", "data", json!({"spec": {}, "status": {"phase": "Pending"}}));
    let message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    let user = object(
        "Pod",
        "web",
        json!({
        "spec": {"containers": [{"name": "app"}], "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]},
        "status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}}),
    );
    vec![event(&claim, reason, text), claim, user]
}

/// Objects that carry the text where a cluster would, and the causes that are right for it.
fn planted(entry: &str, text: &str) -> Option<(Vec<Value>, &'static [&'static str])> {
    let with_event = |about: Value, reason: &str| vec![event(&about, reason, text), about];
    let refused = |kind: &str, rest: Value| with_event(object(kind, "x", rest), "FailedCreate");
    let deleted = || json!({"metadata": {"deletionTimestamp": "2026-11-22T20:20:00Z", "deletionGracePeriodSeconds": 30}});
    let node = |ready: &str, reason: &str, message: &str| {
        object(
            "Node",
            "n1",
            json!({"status": {"conditions": [
            {"type": "Ready", "status": ready, "reason": reason, "message": message, "lastTransitionTime": THEN}]}}),
        )
    };
    let rejected = |reason: &str| {
        vec![object(
            "Pod",
            "web",
            json!({"spec": {"nodeName": "n1"}, "status": {"phase": "Failed", "reason": reason, "message": text}}),
        )]
    };
    let going = |kind: &str| {
        vec![object(
            "Namespace",
            "old",
            json!({"metadata": {"deletionTimestamp": THEN}, "status": {"phase": "Terminating",
            "conditions": [{"type": kind, "status": "True", "message": text}]}}),
        )]
    };
    let before_start = || {
        object(
            "Pod",
            "web",
            json!({"spec": {"nodeName": "n1", "containers": [{"name": "app"}]}, "status": {"phase": "Pending",
            "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}]}}),
        )
    };
    Some(match entry {
        "pvc-provisioning-failed" => (claim_with("ProvisioningFailed", text), &["volume-unbound"]),
        "pvc-no-class-no-pv" => (claim_with("FailedBinding", text), &["volume-unbound"]),
        "pvc-waiting-external" => (claim_with("ExternalProvisioning", text), &["volume-unbound"]),
        "pvc-lost" => {
            let claim = object("PersistentVolumeClaim", "data", json!({"status": {"phase": "Lost"}}));
            (with_event(claim, "ClaimLost"), &["volume-lost"])
        }
        "dra-prepare-failed" => (with_event(before_start(), "FailedPrepareDynamicResources"), &["container-create-failed"]),
        "cni-not-ready" => (with_event(before_start(), "NetworkNotReady"), &["node-network-not-ready"]),
        "hook-poststart" => (
            vec![pod(json!({"waiting": {"reason": "PostStartHookError", "message": text}}), json!({}))],
            &["lifecycle-hook-failed"],
        ),
        "crash-status-unknown" => {
            let mut lost = pod(looping(), json!({}));
            lost["status"]["containerStatuses"][0]["lastState"]["terminated"]["message"] = json!(text);
            lost["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"] = json!("ContainerStatusUnknown");
            (vec![lost], &["app-crash"])
        }
        "probe-http-status" | "probe-conn-refused" | "probe-timeout" | "probe-exec" if text.starts_with("Readiness") => {
            (with_event(pod(running(), json!({})), "Unhealthy"), &["readiness-probe-fails"])
        }
        "probe-http-status" | "probe-conn-refused" | "probe-timeout" | "probe-exec" if text.starts_with("Liveness") => {
            (with_event(pod(looping(), json!({})), "Unhealthy"), &["liveness-probe-kills"])
        }
        "probe-timeout" => {
            let mut starting = pod(running(), json!({}));
            starting["status"]["containerStatuses"][0]["started"] = json!(false);
            (with_event(starting, "Unhealthy"), &["readiness-probe-fails"])
        }
        "probe-liveness-kill" if text.contains("startup") => {
            (with_event(pod(looping(), json!({})), "Killing"), &["startup-probe-kills"])
        }
        "probe-liveness-kill" => (with_event(pod(looping(), json!({})), "Killing"), &["liveness-probe-kills"]),
        "readiness-gate" => {
            let gated = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady",
                "message": text, "lastTransitionTime": THEN}]}});
            (vec![pod(running(), gated)], &["readiness-gate-waiting"])
        }
        "term-prestop-hang" => {
            let late = json!({"metadata": {"deletionTimestamp": "2026-11-22T20:31:20Z", "deletionGracePeriodSeconds": 30}});
            let reason = if text.contains("Hook") { "FailedPreStopHook" } else { "Killing" };
            (with_event(pod(running(), late), reason), &["terminating-prestop-hook", "terminating-ignores-sigterm"])
        }
        "term-kill-fails" => (with_event(pod(running(), deleted()), "FailedKillPod"), &["terminating-slow"]),
        "term-node-down" => {
            let mut objects = with_event(pod(running(), deleted()), "TaintManagerEviction");
            objects.push(node("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."));
            (objects, &["terminating-node-lost"])
        }
        "term-node-gone" => {
            let other = object("Node", "n2", json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}));
            (vec![pod(running(), deleted()), other], &["terminating-node-lost"])
        }
        "term-namespace-discovery" => (going("NamespaceDeletionDiscoveryFailure"), &["namespace-terminating"]),
        "term-namespace-finalizers" => (going("NamespaceFinalizersRemaining"), &["namespace-terminating"]),
        "term-namespace-content-failed" => (going("NamespaceDeletionContentFailure"), &["namespace-terminating"]),
        "term-service-lb" => {
            let held =
                json!({"metadata": {"deletionTimestamp": THEN, "finalizers": ["service.kubernetes.io/load-balancer-cleanup"]}});
            (with_event(object("Service", "web", held), "DeleteLoadBalancerFailed"), &["terminating-finalizer"])
        }
        "svc-lb-pending" => {
            let service = object("Service", "web", json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}));
            (with_event(service, "SyncLoadBalancerFailed"), &["load-balancer-pending"])
        }
        "rollout-stuck" => {
            let mut stuck = conditioned("Deployment", "Progressing", "False", "ProgressDeadlineExceeded", text);
            stuck["spec"] = json!({"replicas": 3});
            (vec![stuck], &["rollout-stuck"])
        }
        "statefulset-blocked" => {
            (refused("StatefulSet", json!({"spec": {"replicas": 3}, "status": {"replicas": 1}})), &["quota-exceeded"])
        }
        "failed-create-name-conflict" => {
            (refused("StatefulSet", json!({"spec": {"replicas": 3}, "status": {"replicas": 1}})), &["rollout-stuck"])
        }
        "job-backoff" => {
            let reason = if text.contains("deadline") { "DeadlineExceeded" } else { "BackoffLimitExceeded" };
            (vec![conditioned("Job", "Failed", "True", reason, text)], &["job-failed", "job-deadline-exceeded"])
        }
        "cronjob-missed" => {
            let cron = object("CronJob", "nightly", json!({"spec": {"schedule": "0 * * * *"}}));
            (with_event(cron, "TooManyMissedTimes"), &["cronjob-failing"])
        }
        "node-not-ready-kubelet" => (vec![node("Unknown", "NodeStatusUnknown", text)], &["node-not-ready"]),
        "node-not-ready-runtime" => (vec![node("False", "KubeletNotReady", text)], &["node-not-ready"]),
        "node-disk-pressure" => {
            let full = object(
                "Node",
                "n1",
                json!({"status": {"conditions": [{"type": "Ready", "status": "True"},
                {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure"}]}}),
            );
            (with_event(full, "FreeDiskSpaceFailed"), &["node-pressure"])
        }
        "node-shutdown" => (rejected(if text.contains("rejected") { "NodeShutdown" } else { "Terminated" }), &["node-not-ready"]),
        "preempted" => (rejected("Preempting"), &["preempted"]),
        "pod-admission-outof" => (rejected("OutOfcpu"), &["pod-rejected-by-node"]),
        "pod-admission-unexpected" => (rejected("UnexpectedAdmissionError"), &["pod-rejected-by-node"]),
        "hpa-metrics-unavailable" | "hpa-missing-requests" => (
            vec![conditioned("HorizontalPodAutoscaler", "ScalingActive", "False", "FailedGetResourceMetric", text)],
            &["hpa-no-metrics"],
        ),
        "hpa-target-missing" => {
            (vec![conditioned("HorizontalPodAutoscaler", "AbleToScale", "False", "FailedGetScale", text)], &["hpa-no-metrics"])
        }
        "hpa-at-max" => {
            let mut pinned = conditioned("HorizontalPodAutoscaler", "ScalingLimited", "True", "TooManyReplicas", text);
            pinned["spec"] = json!({"maxReplicas": 5});
            pinned["status"]["currentReplicas"] = json!(5);
            (vec![pinned], &["hpa-at-maximum"])
        }
        "pdb-blocks-drain" => {
            let budget = object(
                "PodDisruptionBudget",
                "web",
                json!({"spec": {"selector": {"matchLabels": {"app": "web"}}},
                "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}}),
            );
            let mut kept = pod(running(), json!({}));
            kept["metadata"]["labels"] = json!({"app": "web"});
            let drained = object(
                "Node",
                "n1",
                json!({"spec": {"unschedulable": true},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
            );
            (vec![event(&kept, "EvictionBlocked", text), kept, budget, drained], &["disruption-budget-blocks"])
        }
        "sched-gated" | "sched-no-nodes" | "sched-autoscaler-no" => {
            let reason = if entry == "sched-gated" { "SchedulingGated" } else { "Unschedulable" };
            let waiting = object(
                "Pod",
                "web",
                json!({"spec": {"containers": [{"name": "app"}]}, "status": {"phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": reason, "message": text}]}}),
            );
            (vec![waiting], &["scheduling-failed"])
        }
        "oom-node" => {
            let sick = node("True", "KubeletReady", "");
            (
                vec![
                    event(&sick, if text.starts_with("System") { "SystemOOM" } else { "OOMKilling" }, text),
                    sick,
                    pod(looping(), json!({})),
                ],
                &["oom-killed"],
            )
        }
        "svc-ip-exhausted" => {
            let service = object("Service", "web", json!({"spec": {"ports": [{"port": 80}]}}));
            (with_event(service, "FailedCreate"), &["service-ip-exhausted"])
        }
        "dns-config-limits" if text.contains("limits were exceeded") => (with_event(before_start(), "DNSConfigForming"), &[]),
        "dns-config-limits" => (with_event(before_start(), "MissingClusterDNS"), &["dns-failing"]),
        "apiservice-unavailable" => {
            let mut api = conditioned("APIService", "Available", "False", "FailedDiscoveryCheck", text);
            api["spec"] = json!({"service": {"namespace": "kube-system", "name": "metrics-server"}});
            (vec![api], &["api-service-unavailable"])
        }
        "tls-secret-expired" => {
            (vec![conditioned("Certificate", "Ready", "False", "DoesNotExist", text)], &["certificate-expiring"])
        }
        "api-overload" => {
            let service = object("Service", "web", json!({"spec": {"ports": [{"port": 80}]}}));
            (with_event(service, "SyncLoadBalancerFailed"), &["control-plane-overloaded"])
        }
        "daemonset-misscheduled" => {
            let short = json!({"status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 2}});
            (with_event(object("DaemonSet", "cni", short), "FailedDaemonPod"), &["rollout-stuck"])
        }
        "resize-pending" => {
            let waiting = json!({"status": {"conditions": [{"type": "Ready", "status": "True"},
                {"type": "PodResizePending", "status": "True", "reason": "Infeasible", "message": text}]}});
            (vec![pod(running(), waiting)], &["insufficient-resource"])
        }
        "img-slow" | "pvc-wait-first-consumer" | "crash-restart-all" | "node-rebooted" | "img-pull-secret-missing" => {
            let fine = object(
                "Pod",
                "web",
                json!({"spec": {"nodeName": "n1", "containers": [{"name": "app"}]},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [
                    {"name": "app", "ready": true, "state": {"running": {"startedAt": THEN}}}]}}),
            );
            let sound = node("True", "KubeletReady", "");
            (vec![event(&fine, "Pulling", text), event(&sound, "Rebooted", text), fine, sound], &[])
        }
        _ => return None,
    })
}

fn scheduling(text: &str) -> Option<&'static str> {
    let message = k3am::diagnosis::rules::scheduling::message::parse(text)?;
    message.reasons.iter().find_map(|r| unschedulable::classify(&r.text))
}

/// All causes the reasons of a scheduler's message stand for.
fn all_reasons(text: &str) -> BTreeSet<&'static str> {
    k3am::diagnosis::rules::scheduling::message::parse(text)
        .map(|m| m.reasons.iter().filter_map(|r| unschedulable::classify(&r.text)).collect())
        .unwrap_or_default()
}

fn log(text: &str) -> BTreeSet<String> {
    let Some(found) = Signatures::shipped().find(&[text]) else { return BTreeSet::new() };
    [Some(found.signature.cause.clone()), found.signature.otherwise.clone()].into_iter().flatten().collect()
}

fn accepted(entry: &str) -> &'static [&'static str] {
    match entry {
        "db-conn-refused" | "db-restarting" | "db-timeout-lock" => {
            &["database-unreachable", "dependency-unreachable", "migration-failed"]
        }
        "db-dns" => &["database-host-unknown", "dependency-unreachable"],
        "db-auth-failed" => &["database-auth-failed", "dependency-unreachable"],
        "db-too-many-connections" => &["database-too-many-connections", "dependency-unreachable"],
        "db-pool-exhausted" => &["database-pool-exhausted"],
        "db-ssl" => &["database-tls-required"],
        "db-missing-db-or-table" => &["database-auth-failed", "migration-failed"],
        "mq-unavailable" => &["dependency-unreachable"],
        "py-missing-env" => &["setting-missing"],
        "py-import" => &["module-missing"],
        "asgi-startup-failed" | "go-panic" | "unhandled-exception-generic" | "crash-shm" => &["app-crash"],
        "gunicorn-worker-timeout" => &["worker-timeout", "app-crash"],
        "addr-in-use" => &["port-in-use"],
        "perm-port" => &["permission-denied"],
        "perm-fs" => &["permission-denied", "filesystem-read-only"],
        "migration-alembic" => &["migration-failed"],
        "java-startup" => &["app-crash", "setting-missing", "heap-exhausted", "module-missing"],
        "node-startup" => &["app-crash", "module-missing"],
        // nginx' "host not found in upstream" and SQLSTATE lines name their cause more exactly than the table does.
        "rails-php-nginx" => &["app-crash", "dependency-unreachable", "database-unreachable"],
        "tls-cert-runtime" => &["certificate-expiring", "dependency-unreachable"],
        "dns-coredns-down" => &["dns-failing"],
        "rbac-forbidden" => &["api-access-forbidden"],
        "leader-lost" => &["control-plane-overloaded"],
        "oom-in-runtime" => &["heap-exhausted"],
        "crash-segv" | "crash-sigill" => &["native-crash"],
        "vol-full" => &["disk-full"],
        "node-memory-pid-pressure" => &["node-pressure"],
        _ => &[],
    }
}

/// Whether the text is understood in the scope of its entry; `None`: the entry belongs to no scope here.
fn understood(entry: &str, text: &str) -> Option<Result<(), String>> {
    let expect =
        |got: Option<&str>, wanted: &str| if got == Some(wanted) { Ok(()) } else { Err(format!("{got:?}, not {wanted}")) };
    let one_of = |text: &str, wanted: &str| {
        let all = all_reasons(text);
        if all.contains(wanted) { Ok(()) } else { Err(format!("{all:?}, not {wanted} ({:?})", scheduling(text))) }
    };
    let stripped = text.strip_prefix("(combined from similar events): ").unwrap_or(text);
    Some(match entry {
        "sched-insufficient-cpu-memory" | "sched-too-big" => {
            let all = all_reasons(text);
            if all.contains("insufficient-cpu") || all.contains("insufficient-memory") { Ok(()) } else { Err(format!("{all:?}")) }
        }
        "sched-extended-resource" | "sched-too-many-pods" => one_of(text, "insufficient-resource"),
        "sched-taint" => one_of(text, "taint-not-tolerated"),
        "sched-cordoned" => one_of(text, "nodes-unschedulable"),
        "sched-selector-affinity" => one_of(text, "node-selector-unmatched"),
        "sched-pod-affinity" | "sched-topology-spread" => one_of(text, "pod-affinity-unsatisfied"),
        "sched-host-port" => one_of(text, "host-port-conflict"),
        "sched-volume-zone" | "sched-max-volumes" => one_of(text, "volume-zone-conflict"),
        "sched-pvc-unbound" | "sched-pvc-missing" => one_of(text, "volume-unbound"),
        e if e.starts_with("ip-exhausted-") => {
            expect(sandbox::says_exhausted(stripped).then_some("ip-exhausted"), "ip-exhausted")
        }
        "cni-unauthorized" | "cni-agent-down" | "sandbox-runtime" => {
            expect((!sandbox::says_exhausted(stripped)).then_some("other"), "other")
        }
        "img-platform" => expect(Some(pull::classify(text)), "image-platform-mismatch"),
        "img-rate-limit" => expect(Some(pull::classify(text)), "image-rate-limited"),
        "img-dns" | "img-registry-down" => expect(Some(pull::classify(text)), "image-registry-unreachable"),
        "img-tls" | "img-http-https" => expect(Some(pull::classify(text)), "image-tls-untrusted"),
        "img-auth" => expect(Some(pull::classify(text)), "image-auth-denied"),
        "img-not-found" => expect(Some(pull::classify(text)), "image-not-found"),
        "img-invalid-name" => expect(Some(pull::classify(text)), "image-name-invalid"),
        "img-never" => expect(Some(pull::classify(text)), "image-not-on-node"),
        "img-disk-full" => expect(Some(pull::classify(text)), "node-pressure"),
        "img-signature" => expect(Some(pull::classify(text)), "image-pull-failed"),
        "cfg-secret-configmap-missing" => expect(Some(start::classify(text)), "missing-reference"),
        "mount-configmap-secret-missing" => {
            expect((refs::names_reference(text) || text.contains("not registered")).then_some("named"), "named")
        }
        "cfg-run-as-nonroot" => expect(Some(start::classify(text)), "run-as-root-forbidden"),
        "cfg-other" | "start-runtime-other" => {
            let got = start::classify(text);
            if matches!(got, "container-create-failed" | "volume-mount-failed") { Ok(()) } else { Err(got.to_owned()) }
        }
        "start-exec-not-found" => expect(Some(start::classify(text)), "command-not-found"),
        "start-exec-permission" => expect(Some(start::classify(text)), "command-not-executable"),
        "start-exec-format" => expect(Some(start::classify(text)), "exec-format-error"),
        "start-crlf-interpreter" => {
            expect(log(text).contains("exec-format-error").then_some("exec-format-error"), "exec-format-error")
        }
        "start-mount" => expect(Some(start::classify(text)), "volume-mount-failed"),
        "start-oom-init" => expect(Some(start::classify(text)), "oom-killed"),
        "vol-multi-attach" | "vol-attach-failed" => expect(mount::ATTACH.is_match(text).then_some("attach"), "attach"),
        "vol-mount-failed" | "vol-mount-timeout" | "vol-fsgroup-slow" => {
            expect(mount::MOUNTS.is_match(text).then_some("mount"), "mount")
        }
        "rollout-quota" => expect(admission::classify(text), "quota-exceeded"),
        "rollout-limitrange" => expect(admission::classify(text), "limit-range-violated"),
        "rollout-psa" => expect(admission::classify(text), "pod-security-denied"),
        "rollout-serviceaccount" => expect(admission::classify(text), "service-account-missing"),
        "rollout-admission-other" => expect(
            admission::classify(text).filter(|c| matches!(*c, "webhook-denied" | "namespace-terminating")).map(|_| "named"),
            "named",
        ),
        "webhook-unreachable" => expect(admission::classify(text), "webhook-unreachable"),
        "kubelet-cert-csr" => expect(kubelet::UNREACHABLE.is_match(text).then_some("node-not-ready"), "node-not-ready"),
        "evict-ephemeral-limit" => expect(evicted::OWN_LIMIT.is_match(text).then_some("own"), "own"),
        "node-pressure-eviction" => expect((!evicted::OWN_LIMIT.is_match(text)).then_some("node"), "node"),
        _ => {
            let wanted = accepted(entry);
            if wanted.is_empty() {
                return None;
            }
            let got = log(text);
            if got.iter().any(|c| wanted.contains(&c.as_str())) { Ok(()) } else { Err(format!("{got:?}, not one of {wanted:?}")) }
        }
    })
}

fn samples() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/failures-cases.tsv")).unwrap();
    let mut samples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let mut columns = line.splitn(3, '\t');
        let (kind, entry, sample) = (columns.next().unwrap(), columns.next().unwrap(), columns.next().unwrap());
        if kind == "T" {
            samples.entry(entry.to_owned()).or_default().push(sample.to_owned());
        }
    }
    samples
}

#[test]
fn every_sample_is_understood_in_its_scope() {
    let samples = samples();
    assert!(samples.len() > 150, "the catalogue has shrunk to {}", samples.len());
    let mut problems = Vec::new();
    for (entry, texts) in &samples {
        if NOT_COVERED.iter().any(|(e, _)| e == entry) {
            continue;
        }
        for text in texts {
            if let Some((objects, right)) = planted(entry, text) {
                let found = crate::rules::causes_of(NOW, objects);
                let is_right = if right.is_empty() { found.is_empty() } else { right.iter().any(|c| found.contains(c)) };
                if !is_right {
                    problems.push(format!("{entry}: found {found:?}, not one of {right:?}: {text}"));
                }
                continue;
            }
            if entry == "svc-port-number-mismatch" {
                if failure::listening_port(text).is_none() {
                    problems.push(format!("{entry}: no port read from: {text}"));
                }
                continue;
            }
            match understood(entry, text) {
                Some(Ok(())) => {}
                Some(Err(got)) => problems.push(format!("{entry}: {got}: {text}")),
                None => problems.push(format!("{entry}: neither covered nor listed")),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_lists_name_only_entries_of_the_catalogue() {
    let samples = samples();
    let listed = NOT_COVERED.iter().map(|(e, _)| *e).chain(NO_INCIDENT.iter().copied());
    let unknown: Vec<&str> = listed.filter(|e| !samples.contains_key(*e)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
