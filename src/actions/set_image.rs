//! Setting a container's image.

use serde_json::{Value, json};

use super::objects::text;
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command, warnings};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;

/// Plans [`Intent::SetImage`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::SetImage { workload, .. } = intent else { return None };
    Some(vec![ObjectRequest::Object(workload.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::SetImage { workload, container, image } = intent else { return None };
    Some(facts.objects.require_living(workload).and_then(|object| build(intent, object, (workload, container, image))))
}

fn build(intent: &Intent, object: &Value, (workload, name, image): (&ObjectRef, &str, &str)) -> Result<Plan, Refusal> {
    if image.trim().is_empty() || image.contains(char::is_whitespace) {
        return Err(Refusal(format!("`{image}` is not an image reference")));
    }
    let (list, container) = find_container(object, workload, name)?;
    let before = text(container, "/image").to_owned();
    if before == image {
        return Err(Refusal(format!("container {name} of {workload} already has the image {image}")));
    }
    let mut notes: Vec<String> = warnings::owners(object, &before).into_iter().collect();
    notes.extend(stays_paused(object));
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Set image  {workload}"),
        writes: vec![patch_container(workload, list, &json!({ "name": name, "image": image }))],
        kubectl: command::kubectl("set image", workload, &[format!("{name}={image}")]),
        diff: vec![DiffLine { field: format!("{name} image"), old: Some(before.clone()), new: Some(image.to_owned()) }],
        warnings: notes,
        way_back: Some(Intent::SetImage { workload: workload.clone(), container: name.to_owned(), image: before }),
    })
}

/// The container of that name in a workload's template, and the list it is in.
///
/// # Errors
/// There is none, or the kind has no template that can be changed.
pub fn find_container<'a>(object: &'a Value, workload: &ObjectRef, name: &str) -> Result<(&'static str, &'a Value), Refusal> {
    if !matches!(&*workload.kind, "Deployment" | "StatefulSet" | "DaemonSet") {
        return Err(Refusal(format!(
            "the containers of {workload} cannot be changed: only those of Deployments, StatefulSets and DaemonSets can"
        )));
    }
    let find = |list: &'static str| {
        let all = object.pointer(&format!("/spec/template/spec/{list}")).and_then(Value::as_array);
        all.into_iter().flatten().find(|c| c["name"] == name).map(|c| (list, c))
    };
    find("containers").or_else(|| find("initContainers")).ok_or_else(|| Refusal(format!("{workload} has no container {name}")))
}

/// A strategic patch merges lists of containers by name.
pub fn patch_container(workload: &ObjectRef, list: &str, container: &Value) -> Write {
    let patch = json!({ "spec": { "template": { "spec": { list: [container] } } } });
    Write { target: workload.clone(), subresource: None, verb: WriteVerb::StrategicPatch(patch) }
}

/// A note for paused Deployments, which take a new template but do not roll it out.
pub fn stays_paused(object: &Value) -> Option<String> {
    (object.pointer("/spec/paused") == Some(&Value::Bool(true)))
        .then(|| "the Deployment is paused: nothing is rolled out until it is resumed".to_owned())
}
