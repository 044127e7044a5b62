//! CronJobs: starting one now, as `kubectl create job --from` does, and holding it back or letting it go on.

use serde_json::{Value, json};

use super::objects::text;
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;

/// Plans [`Intent::Trigger`] and [`Intent::Suspend`].
pub static PLANNER: Planner = Planner { needs, plan };

/// A Job's name may be this long: its pods' names are longer.
const LONGEST_NAME: usize = 52;

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    match intent {
        Intent::Trigger { cron_job } | Intent::Suspend { cron_job, .. } => Some(vec![ObjectRequest::Object(cron_job.clone())]),
        _ => None,
    }
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    match intent {
        Intent::Trigger { cron_job } => {
            Some(facts.objects.require_living(cron_job).and_then(|object| trigger(intent, facts, object, cron_job)))
        }
        Intent::Suspend { cron_job, suspend } => {
            Some(facts.objects.require_living(cron_job).and_then(|object| hold(intent, object, cron_job, *suspend)))
        }
        _ => None,
    }
}

fn trigger(intent: &Intent, facts: &Facts<'_>, object: &Value, cron_job: &ObjectRef) -> Result<Plan, Refusal> {
    let Some(spec) = object.pointer("/spec/jobTemplate/spec") else {
        return Err(Refusal(format!("{cron_job} has no Job template")));
    };
    let stem: String = cron_job.name.chars().take(LONGEST_NAME - 14).collect();
    let name = format!("{}-manual-{}", stem.trim_end_matches(['-', '.']), facts.now.format("%H%M%S"));
    let job = ObjectRef::new("Job", &cron_job.namespace, &name);
    let labels = object.pointer("/spec/jobTemplate/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    let mut annotations = object.pointer("/spec/jobTemplate/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), json!("manual"));
    }
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "name": &*cron_job.name, "uid": text(object, "/metadata/uid"), "controller": true,
    });
    let body = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name, "namespace": &*cron_job.namespace, "labels": labels, "annotations": annotations, "ownerReferences": [owner],
        },
        "spec": spec,
    });
    let mut warnings = Vec::new();
    if text(object, "/spec/concurrencyPolicy") == "Forbid" && object.pointer("/status/active/0").is_some() {
        warnings.push("a run is under way, and its policy forbids two at a time: by hand it is not asked".to_owned());
    }
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Trigger  {cron_job}"),
        kubectl: command::kubectl_named("create job", &job, &[format!("--from=cronjob/{}", cron_job.name)]),
        writes: vec![Write { target: job.clone(), subresource: None, verb: WriteVerb::Create(body) }],
        diff: vec![DiffLine { field: "job".to_owned(), old: None, new: Some(name) }],
        warnings,
        way_back: Some(Intent::Delete { object: job, force: false }),
    })
}

fn hold(intent: &Intent, object: &Value, cron_job: &ObjectRef, suspend: bool) -> Result<Plan, Refusal> {
    let now = object.pointer("/spec/suspend") == Some(&Value::Bool(true));
    if now == suspend {
        return Err(Refusal(format!("{cron_job} is {} already", if suspend { "suspended" } else { "running on schedule" })));
    }
    let patch = json!({ "spec": { "suspend": suspend } });
    let as_json = serde_json::to_string(&patch).unwrap_or_default();
    Ok(Plan {
        intent: intent.clone(),
        title: format!("{}  {cron_job}", if suspend { "Suspend" } else { "Resume" }),
        writes: vec![Write { target: cron_job.clone(), subresource: None, verb: WriteVerb::MergePatch(patch) }],
        kubectl: command::kubectl("patch", cron_job, &["--type=merge".to_owned(), format!("--patch={as_json}")]),
        diff: vec![DiffLine { field: "suspend".to_owned(), old: Some(now.to_string()), new: Some(suspend.to_string()) }],
        warnings: if suspend { vec!["a run that is under way goes on".to_owned()] } else { Vec::new() },
        way_back: Some(Intent::Suspend { cron_job: cron_job.clone(), suspend: now }),
    })
}
