//! Every sample text of the failure catalogue (`tests/fixtures/failures-cases.tsv`, lines `T`) in its proper scope: the classifier
//! of that scope must name the cause `causes.md` gives for the entry. What no rule covers yet is listed by name, so that
//! nothing is skipped silently.

use std::collections::{BTreeMap, BTreeSet};

use k3am::diagnosis::rules::config::{refs, start};
use k3am::diagnosis::rules::image::pull;
use k3am::diagnosis::rules::network::sandbox;
use k3am::diagnosis::rules::nodes::evicted;
use k3am::diagnosis::rules::rollouts::admission;
use k3am::diagnosis::rules::scheduling::unschedulable;
use k3am::diagnosis::rules::volumes::mount;
use k3am::diagnosis::signatures::Signatures;

/// Entries whose texts no rule reads yet, with the reason.
const NOT_COVERED: &[(&str, &str)] = &[
    ("svc-ip-exhausted", "service-ip-exhausted: events of the API server's repair loop"),
    ("dns-coredns-down", "dns-failing: CoreDNS' own log"),
    ("dns-config-limits", "dns-failing: DNSConfigForming events"),
    ("apiservice-unavailable", "api-service-unavailable: APIServices are not watched"),
    ("tls-secret-expired", "certificate-expiring: cert-manager objects are not watched"),
    ("kubelet-cert-csr", "seen by the client, not in an object"),
    ("api-overload", "control-plane-overloaded: seen by the client"),
    ("daemonset-misscheduled", "rollout-stuck of DaemonSets"),
    ("resize-pending", "insufficient-resource: PodResizePending"),
    ("vol-resize-stuck", "claim conditions"),
    ("access-log-5xx", "error-rate-high: access logs are not counted"),
];

/// Entries whose texts are read by a rule that matches them by reason and condition, not by wording, or that are no incident:
/// they are tested by fixtures under `tests/fixtures/rules`.
const BY_FIXTURE: &[&str] = &[
    "img-slow",
    "img-pull-secret-missing",
    "pvc-provisioning-failed",
    "pvc-no-class-no-pv",
    "pvc-waiting-external",
    "pvc-wait-first-consumer",
    "pvc-lost",
    "dra-prepare-failed",
    "hook-poststart",
    "crash-status-unknown",
    "crash-restart-all",
    "probe-http-status",
    "probe-conn-refused",
    "probe-timeout",
    "probe-exec",
    "probe-liveness-kill",
    "readiness-gate",
    "term-prestop-hang",
    "term-kill-fails",
    "term-node-down",
    "term-node-gone",
    "term-namespace-discovery",
    "term-namespace-finalizers",
    "term-namespace-content-failed",
    "term-service-lb",
    "svc-lb-pending",
    "rollout-stuck",
    "statefulset-blocked",
    "failed-create-name-conflict",
    "job-backoff",
    "cronjob-missed",
    "node-not-ready-kubelet",
    "node-not-ready-runtime",
    "node-disk-pressure",
    "node-rebooted",
    "node-shutdown",
    "preempted",
    "hpa-metrics-unavailable",
    "hpa-missing-requests",
    "hpa-target-missing",
    "hpa-at-max",
    "pdb-blocks-drain",
    "pod-admission-outof",
    "pod-admission-unexpected",
    "sched-gated",
    "sched-no-nodes",
    "sched-autoscaler-no",
    "svc-port-number-mismatch",
    "cni-not-ready",
    "oom-node",
];

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
        if NOT_COVERED.iter().any(|(e, _)| e == entry) || BY_FIXTURE.contains(&entry.as_str()) {
            continue;
        }
        for text in texts {
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
    let listed = NOT_COVERED.iter().map(|(e, _)| *e).chain(BY_FIXTURE.iter().copied());
    // Entries that are told by fields alone have no sample text.
    let without_text = ["vol-resize-stuck"];
    let unknown: Vec<&str> = listed.filter(|e| !samples.contains_key(*e) && !without_text.contains(e)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
