//! Removing one finalizer: by position, with a test that it is still the one meant.

use serde_json::{Value, json};

use super::objects::text;
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;

/// Plans [`Intent::RemoveFinalizer`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::RemoveFinalizer { object, .. } = intent else { return None };
    Some(vec![ObjectRequest::Object(object.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::RemoveFinalizer { object, finalizer } = intent else { return None };
    Some(facts.objects.require(object).and_then(|full| build(intent, full, object, finalizer)))
}

fn build(intent: &Intent, full: &Value, object: &ObjectRef, finalizer: &str) -> Result<Plan, Refusal> {
    let present = full.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(at) = present.iter().position(|f| f == finalizer) else {
        return Err(Refusal(format!("{object} does not have the finalizer {finalizer} any more")));
    };
    let path = format!("/metadata/finalizers/{at}");
    let patch = json!([{ "op": "test", "path": path, "value": finalizer }, { "op": "remove", "path": path }]);
    let mut warnings =
        vec![format!("what {finalizer} was to clean up stays behind: make sure that its controller will never do it")];
    if text(full, "/metadata/deletionTimestamp").is_empty() {
        warnings.push(format!("{object} is not being deleted: its finalizer holds nothing back"));
    }
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Remove finalizer  {object}"),
        kubectl: command::kubectl("patch", object, &["--type=json".to_owned(), format!("-p={patch}")]),
        writes: vec![Write { target: object.clone(), subresource: None, verb: WriteVerb::JsonPatch(patch) }],
        diff: vec![DiffLine { field: "finalizers".to_owned(), old: Some(finalizer.to_owned()), new: None }],
        warnings,
        way_back: None,
    })
}
