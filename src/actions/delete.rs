//! Deleting an object: this incarnation only (uid precondition), with its own grace period or, forced, without.

use serde_json::Value;

use super::objects::{number, text};
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command, warnings};
use crate::changes::DiffLine;
use crate::kinds::{ObjectRef, Row};

/// Plans [`Intent::Delete`] and [`Intent::ShortenGrace`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let (Intent::Delete { object, .. } | Intent::ShortenGrace { pod: object, .. }) = intent else { return None };
    Some(vec![ObjectRequest::Object(object.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    if let Intent::ShortenGrace { pod, seconds } = intent {
        return Some(facts.objects.require(pod).and_then(|full| shortened(intent, (full, pod), *seconds)));
    }
    let Intent::Delete { object, force } = intent else { return None };
    let found = facts.objects.require(object);
    Some(found.and_then(|full| if *force { forced(intent, facts, full, object) } else { gentle(intent, facts, full, object) }))
}

fn gentle(intent: &Intent, facts: &Facts<'_>, full: &Value, object: &ObjectRef) -> Result<Plan, Refusal> {
    let finalizers = finalizers(full);
    if !text(full, "/metadata/deletionTimestamp").is_empty() {
        let waits = if finalizers.is_empty() { String::new() } else { format!("; it waits for {}", finalizers.join(", ")) };
        return Err(Refusal(format!("{object} is already being deleted{waits}")));
    }
    let arguments: Vec<String> = Vec::new();
    Ok(build(intent, (full, object), None, &arguments, notes(facts, full, object)))
}

fn forced(intent: &Intent, facts: &Facts<'_>, full: &Value, object: &ObjectRef) -> Result<Plan, Refusal> {
    if &*object.kind != "Pod" {
        return Err(Refusal(format!("{object} has no grace period to skip: delete it without force")));
    }
    let mut notes = notes(facts, full, object);
    notes.push("the kubelet is not asked: on a node that is cut off its processes may run on".to_owned());
    if let Some(Row::Pod(pod)) = facts.snapshot.find(object)
        && &*facts.snapshot.workload_of(&pod).kind == "StatefulSet"
    {
        notes.push("it is of a StatefulSet: a second pod of the same name may write to the same volume".to_owned());
    }
    let arguments = ["--grace-period=0".to_owned(), "--force".to_owned()];
    Ok(build(intent, (full, object), Some(0), &arguments, notes))
}

/// Asks once more for the deletion of what is being deleted, with less time: more is never given.
fn shortened(intent: &Intent, (full, pod): (&Value, &ObjectRef), seconds: u32) -> Result<Plan, Refusal> {
    if text(full, "/metadata/deletionTimestamp").is_empty() {
        return Err(Refusal(format!("{pod} is not being deleted")));
    }
    let now = number(full, "/metadata/deletionGracePeriodSeconds").unwrap_or_default();
    if now <= i64::from(seconds) {
        return Err(Refusal(format!("{pod} has no more than {now} seconds to stop as it is")));
    }
    let note = format!("what has not stopped {seconds} seconds after it was asked to is killed: work under way is lost");
    let plan = build(intent, (full, pod), Some(seconds), &[format!("--grace-period={seconds}")], vec![note]);
    Ok(Plan {
        title: format!("Shorten grace period  {pod}"),
        diff: vec![DiffLine {
            field: "grace period".to_owned(),
            old: Some(format!("{now} s")),
            new: Some(format!("{seconds} s")),
        }],
        ..plan
    })
}

fn notes(facts: &Facts<'_>, full: &Value, object: &ObjectRef) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(Row::Pod(pod)) = facts.snapshot.find(object) {
        notes.extend(warnings::losing_pod(facts.snapshot, &pod));
    } else {
        notes.extend(warnings::owners(full, "it").filter(|w| w.starts_with("managed")));
        if &*object.kind == "Namespace" {
            notes.push("everything in it is deleted with it".to_owned());
        }
        let pods = facts.snapshot.pods_of(object).len();
        if pods > 0 && &*object.kind != "Node" {
            notes.push(format!("its {pods} pods go with it"));
        }
    }
    let finalizers = finalizers(full);
    if !finalizers.is_empty() {
        notes.push(format!("it stays until its finalizers are cleared: {}", finalizers.join(", ")));
    }
    notes
}

fn finalizers(full: &Value) -> Vec<&str> {
    full.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn build(
    intent: &Intent,
    (full, object): (&Value, &ObjectRef),
    grace_seconds: Option<u32>,
    arguments: &[String],
    warnings: Vec<String>,
) -> Plan {
    let uid = Some(text(full, "/metadata/uid").to_owned()).filter(|uid| !uid.is_empty());
    let what = if grace_seconds == Some(0) { "Kill" } else { "Delete" };
    Plan {
        intent: intent.clone(),
        title: format!("{what}  {object}"),
        writes: vec![Write { target: object.clone(), subresource: None, verb: WriteVerb::Delete { grace_seconds, uid } }],
        kubectl: command::kubectl("delete", object, arguments),
        diff: Vec::new(),
        warnings,
        way_back: None,
    }
}
