//! A migration Job that failed, or fails again and again, while the Deployment it belongs to rolls out.

use crate::actions::{Intent, Patch};
use crate::diagnosis::cause::CauseId;
use crate::diagnosis::finding::{Confidence, EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::{Facts, Output, Rule};
use crate::diagnosis::rules::commands::{describe, fact, fix, kubectl, quoted, with_action, workload_log};
use crate::diagnosis::rules::crash::from_log::CRASH_FROM_LOG;
use crate::diagnosis::rules::draft::{self, Draft};
use crate::diagnosis::rules::jobs::job::superseded;
use crate::diagnosis::rules::pattern::Pattern;
use crate::kinds::jobs::Job;
use crate::kinds::pod_spec::PodSpec;
use crate::kinds::workloads::Deployment;
use crate::kinds::{Condition, KindId, ObjectRef, Row};

/// The rule.
pub static MIGRATION: Rule = Rule {
    name: "migration-job",
    causes: &[CauseId("migration-failed")],
    doc: "\
What it detects
  A migration Job that has failed, or whose pods fail while it retries, at the time its Deployment rolls out: the new code meets the
  old schema. When the Job's pods say why they fail, that is the incident and this is told with it.
Reads
  Jobs whose name or command speaks of migrations (migrate, alembic, flyway, liquibase, prisma, goose, sqitch, dbmate): conditions
  and status.failed; Deployments of the namespace with the same instance label, or the same image and first word of the name:
  spec.replicas, status.{updatedReplicas,unavailableReplicas,observedGeneration}.
Source
  apps/v1 DeploymentStatus, batch/v1 JobStatus.
Look-alikes
  A migration that still runs without a failed pod, and a rollout that is complete, are no incident.
Fixes
  Read the Job's log; repair the migration and run it again before the rollout goes on; pause or undo the rollout meanwhile.
",
    subject: KindId::Job,
    needs: &[],
    check,
    fixes,
};

static WORDS: Pattern = Pattern::new(r"(?i)migrat|alembic|flyway|liquibase|\bgoose\b|sqitch|dbmate|db:schema|schema-update");

/// True for Jobs that change a schema, by their name or command.
pub fn is_migration(job: &Job) -> bool {
    let runs =
        || job.spec.template.spec.containers.iter().flat_map(|c| c.command.iter().chain(&c.args)).any(|w| WORDS.is_match(w));
    WORDS.is_match(&job.meta.name) || runs()
}

fn check(facts: &Facts<'_>, row: &Row, out: &mut Output) {
    let Row::Job(job) = row else { return };
    let failed =
        ["Failed", "FailureTarget"].iter().find_map(|k| Condition::find(&job.status.conditions, k)).filter(|c| c.is_true());
    let fails = failed.is_some() || job.status.failed > 0 && job.status.succeeded == 0 && job.status.completion_time.is_none();
    if !fails || job.meta.deletion_timestamp.is_some() || !is_migration(job) || superseded(facts, job) {
        return;
    }
    let deployments = facts.snapshot.deployments.in_namespace(&job.meta.namespace);
    let rolling: Vec<&Deployment> = deployments.filter(|d| belongs(job, d) && is_rolling_out(d)).collect();
    let Some(first) = rolling.first() else { return };
    let names: Vec<&str> = rolling.iter().take(3).map(|d| &*d.meta.name).collect();
    let what = if failed.is_some() { "has failed" } else { "fails again and again" };
    let object = ObjectRef::new("Job", &job.meta.namespace, &job.meta.name);
    let deployment = ObjectRef::new("Deployment", &first.meta.namespace, &first.meta.name);
    let counts = format!(
        "{} of {} updated, {} unavailable",
        first.status.updated_replicas,
        first.spec.replicas.unwrap_or(1),
        first.status.unavailable_replicas
    );
    let pods = || quoted_failures(job);
    let mut draft = Draft::new(facts, "migration-failed", "Job", &job.meta)
        .sure(Confidence::Likely)
        .fact("deployment", &first.meta.name)
        .says(format!("the migration {what} while {} rolls out: new code meets the old schema", names.join(", ")))
        .because(failed.map_or_else(pods, |condition| draft::condition(object, condition)))
        .because(draft::quote(deployment, EvidenceSource::Status, "status.updatedReplicas", counts, None))
        .since(failed.and_then(|c| c.last_transition_time).or(job.status.start_time));
    if pods_say_why(facts, job) {
        draft = draft.derived();
    }
    out.findings.push(draft.done());
}

fn quoted_failures(job: &Job) -> crate::diagnosis::finding::Evidence {
    let object = ObjectRef::new("Job", &job.meta.namespace, &job.meta.name);
    draft::quote(object, EvidenceSource::Status, "status.failed", job.status.failed.to_string(), None)
}

/// True when a pod of the Job names its own cause.
fn pods_say_why(facts: &Facts<'_>, job: &Job) -> bool {
    facts
        .snapshot
        .controlled_by(KindId::Pod, &job.meta.uid)
        .into_iter()
        .filter_map(|key| facts.snapshot.row(KindId::Pod, &key))
        .any(|pod| {
            let mut seen = Output::default();
            (CRASH_FROM_LOG.check)(facts, &pod, &mut seen);
            seen.findings.iter().any(|f| f.cause.cause().is_some_and(|cause| !cause.generic))
        })
}

/// The same release, or the same image under a name that begins alike.
fn belongs(job: &Job, deployment: &Deployment) -> bool {
    let label = |name: &str| job.meta.label(name).zip(deployment.meta.label(name)).is_some_and(|(a, b)| a == b);
    let word = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let images = |spec: &PodSpec| spec.containers.iter().map(|c| repository(&c.image).to_owned()).collect::<Vec<_>>();
    let of_job = images(&job.spec.template.spec);
    label("app.kubernetes.io/instance")
        || word(&job.meta.name) == word(&deployment.meta.name)
            && images(&deployment.spec.template.spec).iter().any(|image| of_job.contains(image))
}

/// An image without its tag or digest.
pub fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}

fn is_rolling_out(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let behind = deployment.status.observed_generation.zip(deployment.meta.generation).is_some_and(|(seen, now)| seen < now);
    wanted > 0 && (behind || deployment.status.updated_replicas < wanted || deployment.status.unavailable_replicas > 0)
}

fn fixes(facts: &Facts<'_>, finding: &Finding) -> Vec<Fix> {
    let job = &finding.subject;
    let deployment = fact(finding, "deployment");
    let log = workload_log(facts, job, "--tail=200", ("Read the migration's log", "the migration says why it stops"));
    let mut fixes: Vec<Fix> = log.into_iter().collect();
    let hold = Intent::Edit {
        object: ObjectRef::new("Deployment", &job.namespace, deployment),
        patch: Patch(r#"{"spec":{"paused":true}}"#.to_owned()),
    };
    fixes.extend([
        with_action(
            fix(
                format!("Hold the rollout of {deployment}"),
                kubectl(&job.namespace, format!("rollout pause deployment/{}", quoted(deployment))),
                Risk::Safe,
                "so that no more pods with the new code start; `kubectl rollout resume` goes on",
            ),
            hold,
        ),
        describe(job, "conditions and events of the migration"),
    ]);
    fixes
}
