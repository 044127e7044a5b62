//! Setting one field that stands in a list, where a merge patch would replace the list: by JSON patch, with tests that what is
//! replaced is still what was seen.

use serde_json::{Value, json};

use super::objects::text;
use super::set_image::stays_paused;
use super::{Facts, Intent, ObjectRequest, Plan, Planner, Refusal, Write, WriteVerb, command, warnings};
use crate::changes::DiffLine;
use crate::kinds::ObjectRef;
use crate::text::ellipsis;

/// Longest value in a diff.
const SHOWN: usize = 120;

/// Plans [`Intent::SetField`].
pub static PLANNER: Planner = Planner { needs, plan };

fn needs(intent: &Intent) -> Option<Vec<ObjectRequest>> {
    let Intent::SetField { object, .. } = intent else { return None };
    Some(vec![ObjectRequest::Object(object.clone())])
}

fn plan(intent: &Intent, facts: &Facts<'_>) -> Option<Result<Plan, Refusal>> {
    let Intent::SetField { object, field, from, to } = intent else { return None };
    let build = |full| build(intent, full, (object, field), (from.as_deref(), to.as_deref()));
    Some(facts.objects.require_living(object).and_then(build))
}

fn build(
    intent: &Intent,
    full: &Value,
    (object, field): (&ObjectRef, &str),
    (from, to): (Option<&str>, Option<&str>),
) -> Result<Plan, Refusal> {
    let name = readable(full, field);
    let present = full.pointer(field);
    let shown = present.map(plain);
    if from.is_some_and(|from| shown.as_deref().unwrap_or_default() != from) {
        let now = shown.map_or_else(|| "not set".to_owned(), |now| ellipsis(&now, SHOWN));
        return Err(Refusal(format!("{name} of {object} is {now} by now: it was changed meanwhile")));
    }
    let wanted = to.map(serde_json::from_str::<Value>).transpose();
    let wanted = wanted.map_err(|error| Refusal(format!("the value for {name} cannot be read: {error}")))?;
    if present == wanted.as_ref() {
        return Err(Refusal(format!("{name} of {object} is already like that")));
    }
    let patch = Value::Array(operations(full, field, present, wanted.as_ref()));
    let mut notes: Vec<String> = warnings::owners(full, shown.as_deref().unwrap_or("what was there")).into_iter().collect();
    notes.extend(stays_paused(full));
    Ok(Plan {
        intent: intent.clone(),
        title: format!("Set {name}  {object}"),
        kubectl: command::kubectl("patch", object, &["--type=json".to_owned(), format!("-p={patch}")]),
        writes: vec![Write { target: object.clone(), subresource: None, verb: WriteVerb::JsonPatch(patch) }],
        diff: vec![DiffLine {
            field: name,
            old: shown.as_deref().map(|old| ellipsis(old, SHOWN)),
            new: wanted.as_ref().map(|new| ellipsis(&plain(new), SHOWN)),
        }],
        warnings: notes,
        way_back: Some(Intent::SetField {
            object: object.clone(),
            field: field.to_owned(),
            from: Some(wanted.as_ref().map(plain).unwrap_or_default()),
            to: present.map(Value::to_string),
        }),
    })
}

/// Whose list entry it is, and what stands there, are tested by the server when it writes.
fn operations(full: &Value, field: &str, present: Option<&Value>, wanted: Option<&Value>) -> Vec<Value> {
    let mut operations = Vec::new();
    if let Some(entry) = entry(field)
        && let Some(name) = full.pointer(&format!("{entry}/name"))
    {
        operations.push(json!({ "op": "test", "path": format!("{entry}/name"), "value": name }));
    }
    if let Some(present) = present {
        operations.push(json!({ "op": "test", "path": field, "value": present }));
    }
    operations.push(match (present, wanted) {
        (Some(_), Some(wanted)) => json!({ "op": "replace", "path": field, "value": wanted }),
        (None, Some(wanted)) => json!({ "op": "add", "path": field, "value": wanted }),
        (_, None) => json!({ "op": "remove", "path": field }),
    });
    operations
}

/// The list entry a field is of: `/spec/template/spec/containers/0`.
fn entry(field: &str) -> Option<&str> {
    let mut at = 0;
    for part in field.split('/').skip(1) {
        at += part.len() + 1;
        if part.parse::<usize>().is_ok() {
            return field.get(..at);
        }
    }
    None
}

/// A field for people: `app livenessProbe.httpGet.port`, `ports[0].targetPort`.
fn readable(full: &Value, field: &str) -> String {
    let short = field.trim_start_matches("/spec/template").trim_start_matches("/spec").trim_start_matches('/');
    let named = entry(field).filter(|entry| entry.contains("ontainers/")).and_then(|entry| {
        let rest = field.strip_prefix(entry)?.trim_start_matches('/').replace('/', ".");
        Some(format!("{} {rest}", text(full, &format!("{entry}/name"))))
    });
    let part = |part: &str| if part.parse::<usize>().is_ok() { format!("[{part}]") } else { format!(".{part}") };
    named.unwrap_or_else(|| short.split('/').map(part).collect::<String>().trim_start_matches('.').to_owned())
}

/// A value as people write it: a text without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
