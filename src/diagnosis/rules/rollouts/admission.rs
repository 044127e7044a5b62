//! Pods that the API server refuses to create: quota, LimitRange, Pod Security, webhook, service account.

use chrono::TimeDelta;

use crate::diagnosis::cause::{CauseId, Severity};
use crate::diagnosis::finding::{Confidence, Evidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, edit, fact, fix, kubectl, patched, quoted};
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::pattern::Pattern;
use crate::diagnosis::rules::pods;
use crate::kinds::{Condition, KindId, Meta, ObjectRef, Row};
use crate::text::{self, Time};

const CAUSES: &[CauseId] = &[
    CauseId("quota-exceeded"),
    CauseId("limit-range-violated"),
    CauseId("pod-security-denied"),
    CauseId("service-account-missing"),
    CauseId("webhook-denied"),
    CauseId("webhook-unreachable"),
    CauseId("rollout-stuck"),
    CauseId("namespace-terminating"),
];

const DOC: &str = "\
What it detects
  A ReplicaSet, StatefulSet, DaemonSet or Job whose pods the API server refuses, a CronJob whose Jobs it refuses, a Deployment
  whose ReplicaSet it refuses: a quota is used up, a LimitRange, Pod Security or an admission webhook says no, a webhook does not
  answer, the service account does not exist.
Reads
  Condition ReplicaFailure (reason FailedCreate) of the ReplicaSet, and of the Deployment where its ReplicaSets cannot be read;
  its condition Progressing with reason ReplicaSetCreateError; events FailedCreate of the controller object, also behind
  \"(combined from similar events)\".
Source
  resourcequota/controller.go, limitranger/admission.go, pod-security-admission, plugin/pkg/admission/serviceaccount, apiserver
  util/webhook/error.go.
Look-alikes
  An event from before the pods could be created again: the counters must still be short. \"would violate PodSecurity\" is only a
  warning.
Fixes
  Raise the quota or free some of it; correct what the policy names; create the account; repair the webhook's Service.
";

macro_rules! admission_rules {
    ($($name:ident = $text:literal, $kind:ident;)*) => {
        $(#[doc = concat!("Refused pods of `", stringify!($kind), "`.")]
        pub static $name: Rule = Rule { name: $text, causes: CAUSES, doc: DOC, subject: KindId::$kind, needs: &[], check, fixes };)*
    };
}
admission_rules! {
    DEPLOYMENT = "admission-deployment", Deployment;
    REPLICA_SET = "admission-replicaset", ReplicaSet;
    STATEFUL_SET = "admission-statefulset", StatefulSet;
    DAEMON_SET = "admission-daemonset", DaemonSet;
    JOB = "admission-job", Job;
    CRON_JOB = "admission-cronjob", CronJob;
}

/// Wordings in the order they must be tried.
pub static CLASSES: [(&str, Pattern); 8] = [
    ("webhook-unreachable", Pattern::new(r#"failed calling webhook "([^"]+)""#)),
    (
        "quota-exceeded",
        Pattern::new(
            r"exceeded quota: ([^,]+), requested|failed quota: ([^:]+): must specify|insufficient quota to (?:consume|match)",
        ),
    ),
    (
        "limit-range-violated",
        Pattern::new(
            r"(?:maximum|minimum) \S+ usage per (?:Container|Pod|PersistentVolumeClaim) is|max limit to request ratio per",
        ),
    ),
    (
        "pod-security-denied",
        Pattern::new(
            r#"violates PodSecurity "([^"]+)"|unable to validate against any (?:security context constraint|pod security policy)|unable to admit pod"#,
        ),
    ),
    (
        "service-account-missing",
        Pattern::new(
            r#"error looking up service account [^\s/]+/([^:\s]+):|no service account specified for pod|serviceaccounts? "([\w.-]+)" not found"#,
        ),
    ),
    ("namespace-terminating", Pattern::new(r"because it is being terminated")),
    (
        "webhook-denied",
        Pattern::new(
            r#"admission webhook "([^"]+)" denied the request|ValidatingAdmissionPolicy '([^']+)'.*denied request|no PriorityClass with name (\S+) was found|RuntimeClass "([^"]+)" not found|image policy webhook backend denied one or more images|conflicts? with its namespace (?:node label selector|whitelist)"#,
        ),
    ),
    (
        "rollout-stuck",
        Pattern::new(
            r"already exists|Invalid value: |may not be specified when|spec\.\S+: (?:Forbidden|Required value|Invalid value)|is forbidden|is invalid",
        ),
    ),
];

/// The cause of an admission error's text.
pub fn classify(text: &str) -> Option<&'static str> {
    CLASSES.iter().find(|(_, p)| p.is_match(text)).map(|(c, _)| *c)
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let meta = row.meta();
    if meta.deletion_timestamp.is_some() || !is_short(facts, row) {
        return;
    }
    let kind = row.kind();
    let object = ObjectRef::new(kind.name(), &meta.namespace, &meta.name);
    let failure = failure(row);
    let events = facts.snapshot.events_of(kind, meta);
    let passed = last_created(facts, row);
    let event = events.iter().rev().find(|e| {
        matches!(&*e.reason, "FailedCreate" | "ReplicaSetCreateError")
            && pods::is_recent(facts.now, e.last_seen(), TimeDelta::hours(1))
            && !(passed.is_some() && e.last_seen() < passed)
    });
    let mut quotes = Vec::new();
    quotes.extend(failure.map(|f| draft::condition(object, f)));
    quotes.extend(event.map(|e| draft::event(e)));
    let text = failure.map(Condition::message).or(event.map(|e| e.text())).unwrap_or_default();
    let since = failure.and_then(|f| f.last_transition_time).or(event.and_then(|e| e.first_seen()));
    // What names no reason of its own stays with the rule of CronJobs.
    let own = |cause: &&str| kind != KindId::CronJob || *cause != "rollout-stuck";
    if let Some(cause) = classify(text).filter(own) {
        out.findings.push(find(facts, (kind, meta), cause, text, (quotes, since)));
    }
}

/// The condition that says so.
fn failure(row: &Row) -> Option<&Condition> {
    let conditions = match row {
        Row::ReplicaSet(rs) => &rs.status.conditions,
        Row::Deployment(d) => &d.status.conditions,
        _ => return None,
    };
    let no_set = || Condition::find(conditions, "Progressing").filter(|c| c.reason() == "ReplicaSetCreateError");
    Condition::find(conditions, "ReplicaFailure").filter(|c| c.is_true()).or_else(no_set)
}

/// When something was created all the same, where counters do not tell: what was refused before is over.
fn last_created(facts: &Facts<'_>, row: &Row) -> Option<Time> {
    match row {
        Row::Job(job) => facts.snapshot.pods.controlled_by(&job.meta.uid).filter_map(|pod| pod.meta.creation_timestamp).max(),
        Row::CronJob(cron) => {
            let created = facts.snapshot.jobs.controlled_by(&cron.meta.uid).filter_map(|job| job.meta.creation_timestamp).max();
            created.max(cron.status.last_schedule_time)
        }
        _ => None,
    }
}

/// True while the controller has fewer pods (or Jobs) than it wants.
fn is_short(facts: &Facts<'_>, row: &Row) -> bool {
    match row {
        // A ReplicaSet that is there speaks for itself.
        Row::Deployment(d) => {
            let read = facts.snapshot.replica_sets.controlled_by(&d.meta.uid).any(|rs| failure_of(&rs.status.conditions));
            !read && d.status.updated_replicas < d.spec.replicas.unwrap_or(1)
        }
        Row::ReplicaSet(rs) => rs.status.replicas < rs.spec.replicas.unwrap_or(1),
        Row::StatefulSet(s) => s.status.replicas < s.spec.replicas.unwrap_or(1),
        Row::DaemonSet(d) => d.status.current_number_scheduled < d.status.desired_number_scheduled,
        Row::Job(j) => {
            let at_once = j.spec.parallelism.unwrap_or(1);
            let wanted = j.spec.completions.map_or(at_once, |all| at_once.min(all - j.status.succeeded));
            let ended = j.status.completion_time.is_some()
                || j.status.conditions.iter().any(|c| matches!(&*c.kind, "Failed" | "Complete") && c.is_true());
            j.status.active < wanted && j.spec.suspend != Some(true) && !ended
        }
        Row::CronJob(c) => c.spec.suspend != Some(true),
        _ => false,
    }
}

fn failure_of(conditions: &[Condition]) -> bool {
    Condition::find(conditions, "ReplicaFailure").is_some_and(Condition::is_true)
}

fn find(
    facts: &Facts<'_>,
    (kind, meta): (KindId, &Meta),
    cause: &'static str,
    message: &str,
    (quotes, since): (Vec<Evidence>, Option<Time>),
) -> Finding {
    let pattern = CLASSES.iter().find(|(c, _)| *c == cause).map(|(_, p)| p);
    let name = pattern.and_then(|p| p.first_group(message)).unwrap_or_default().to_owned();
    let own = message.split_once("is forbidden: ").map_or(message, |(_, rest)| rest);
    let own = text::ellipsis(own.strip_prefix("Error creating: ").unwrap_or(own), 200);
    let what = refused(kind, message);
    let says = match cause {
        "quota-exceeded" if name.is_empty() => format!("a quota refuses the {what}: {own}"),
        "quota-exceeded" => format!("the quota {name} refuses the {what}: {own}"),
        "service-account-missing" => format!("the service account {name} does not exist in namespace {}", meta.namespace),
        "webhook-unreachable" => format!("the admission webhook {name} does not answer, so the {what} cannot be created: {own}"),
        "webhook-denied" => format!("admission refuses the {what}: {own}"),
        "pod-security-denied" => format!("Pod Security refuses the {what}: {own}"),
        "limit-range-violated" => format!("a LimitRange refuses the {what}: {own}"),
        _ => format!("the {what} cannot be created: {own}"),
    };
    let draft = Draft::new(facts, cause, kind.name(), meta)
        .says(says)
        .maybe("name", Some(&name))
        .because_all(quotes)
        .sure(if cause == "rollout-stuck" { Confidence::Likely } else { Confidence::Certain })
        .not(format!("the {what} themselves: they were never created"))
        .since(since);
    // No user waits for a run as they wait for an answer.
    let draft = if kind == KindId::CronJob { draft.severity(Severity::Warning) } else { draft };
    let draft = match cause {
        "quota-exceeded" if !name.is_empty() => quota(facts, meta, &name, draft),
        "service-account-missing" if !name.is_empty() => draft.rooted_in("ServiceAccount", &meta.namespace, &name),
        "webhook-denied" | "webhook-unreachable" if !name.is_empty() => draft.rooted_outside("webhook", &name),
        "namespace-terminating" => draft.rooted_in("Namespace", "", &meta.namespace).derived(),
        _ => draft,
    };
    draft.done()
}

/// What could not be created.
fn refused(kind: KindId, message: &str) -> &'static str {
    if message.contains("persistentvolumeclaims \"") {
        return "claims";
    }
    match kind {
        KindId::CronJob => "Jobs",
        KindId::Deployment if message.contains("replicasets") => "ReplicaSets",
        _ => "pods",
    }
}

fn quota(facts: &Facts<'_>, meta: &Meta, name: &str, draft: Draft) -> Draft {
    let mut draft = draft.rooted_in("ResourceQuota", &meta.namespace, name);
    let Some(quota) = facts.snapshot.resource_quotas.named(&meta.namespace, name) else { return draft };
    let object = ObjectRef::new("ResourceQuota", &meta.namespace, name);
    for (resource, hard) in &quota.status.hard {
        let used = quota.status.used.get(resource).map(|q| q.0.to_string()).unwrap_or_default();
        let is_full = text::quantity(&used).zip(text::quantity(&hard.0)).is_some_and(|(u, h)| u >= h);
        if is_full {
            let field = format!("status.used[{resource}]");
            let quote = draft::quote(object.clone(), EvidenceSource::Status, field, format!("{used} of {}", hard.0), None);
            draft = draft.because(quote).fact("resource", resource).fact("hard", &hard.0);
        }
    }
    draft
}

fn fixes(_facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let namespace = &finding.workload.namespace;
    let name = fact(finding, "name");
    match finding.cause.0 {
        "quota-exceeded" => quota_fixes(finding, namespace, name),
        "service-account-missing" => vec![fix(
            format!("Create the service account {name}"),
            kubectl(namespace, format!("create serviceaccount {}", quoted(name))),
            Risk::Safe,
            "the controller retries by itself",
        )],
        "webhook-unreachable" => vec![fix(
            "Find the webhook's configuration",
            "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -o wide",
            Risk::Safe,
            format!("{name} names a Service that does not answer"),
        )],
        _ => vec![
            edit(finding, "Correct the pod template", "as the refusal says"),
            describe(&finding.subject, "the refusal in full"),
        ],
    }
}

fn quota_fixes(finding: &Finding, namespace: &str, name: &str) -> Vec<Fix> {
    let look = kubectl(namespace, format!("describe resourcequota {}", quoted(name)));
    let mut fixes =
        vec![fix(format!("See what uses the quota {name}"), look, Risk::Safe, "scaling something else down frees it")];
    let hard = finding.facts.get("hard").and_then(|h| text::quantity(h));
    if let (Some(resource), Some(hard)) = (finding.facts.get("resource"), hard) {
        let more = if hard < 1024.0 { format!("{}", (hard * 2.0).ceil()) } else { text::bytes(hard * 2.0) };
        let patch = format!(r#"{{"spec":{{"hard":{{"{resource}":"{more}"}}}}}}"#);
        let quota = ObjectRef::new("ResourceQuota", namespace, name);
        fixes.push(patched(
            format!("Raise {resource} to {more}"),
            &quota,
            &patch,
            Risk::Safe,
            "when the namespace may have more",
        ));
    }
    fixes
}
