//! `assets/report.schema.json`: real reports fit it, and it refuses what is not one.
//!
//! [`problems`] checks the keywords the schema uses and fails on any it does not know, so the schema cannot outgrow it.

use regex::Regex;
use serde_json::{Value, json};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../assets/report.schema.json")).unwrap()
}

/// What is wrong with `document` by the schema in the repository; empty when it fits.
pub fn problems(document: &Value) -> Vec<String> {
    let root = schema();
    let mut found = Vec::new();
    check(&root, &root, document, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let fits = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "properties" => true,
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().trim_start_matches('#')).expect("the $ref leads somewhere");
                check(root, target, value, at, found);
                true
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => match rule {
                Value::Array(types) => types.iter().any(|t| is_of(value, t)),
                one => is_of(value, one),
            },
            "pattern" => value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
            "anyOf" => rule.as_array().unwrap().iter().any(|option| {
                let mut inner = Vec::new();
                check(root, option, value, at, &mut inner);
                inner.is_empty()
            }),
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{n}]"), found);
                }
                true
            }
            "required" => {
                value.as_object().is_none_or(|o| rule.as_array().unwrap().iter().all(|k| o.contains_key(k.as_str().unwrap())))
            }
            "additionalProperties" => {
                assert_eq!(rule, &json!(false));
                value.as_object().is_none_or(|o| o.keys().all(|k| schema["properties"].get(k).is_some()))
            }
            unknown => panic!("teach this test the keyword {unknown}"),
        };
        if !fits {
            found.push(format!("{at}: {keyword} {rule} does not hold for {value}"));
        }
    }
    for (name, rule) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(inner) = value.get(name) {
            check(root, rule, inner, &format!("{at}.{name}"), found);
        }
    }
}

fn is_of(value: &Value, type_name: &Value) -> bool {
    match type_name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "null" => value.is_null(),
        other => panic!("teach this test the type {other}"),
    }
}

#[test]
fn the_schema_refuses_what_is_not_a_report() {
    let object = json!({"kind": "Pod", "namespace": "n", "name": "p"});
    let incident = json!({"cause": "app-crash", "severity": "critical", "title": "it crashes", "since": "2026-11-22T20:31:30Z",
        "workloads": [object], "objects": [object], "change": null, "fixes": [],
        "evidence": [{"object": object, "from": "log", "field": "container app", "text": "boom", "at": null}]});
    let report = json!({"schema": "k3am.dev/report/v1", "observedAt": "2026-11-22T20:31:30Z",
        "source": {"kind": "bundle", "name": "b"}, "complete": true, "missing": [], "incidents": [incident]});
    assert_eq!(problems(&report), [""; 0]);
    for (path, wrong) in [
        ("/schema", json!("k3am.dev/report/v2")),
        ("/observedAt", json!("2026-11-22 20:31")),
        ("/complete", json!("yes")),
        ("/missing", json!([{"what": "pods"}])),
        ("/incidents/0/severity", json!("bad")),
        ("/incidents/0/since", json!("2026-11-22T20:31:30.123456789Z")),
        ("/incidents/0/workloads", json!([])),
        ("/incidents/0/objects/0", json!({"kind": "Pod", "namespace": "n", "name": "p", "uid": "u"})),
        ("/incidents/0/title", json!("two\nlines")),
        ("/incidents/0/evidence/0/from", json!("hearsay")),
        ("/incidents/0/fixes", json!([{"title": "t", "command": "", "risk": "safe", "oneKey": false, "why": ""}])),
        ("/incidents/0/change", json!({"kind": "rollout"})),
    ] {
        let mut broken = report.clone();
        *broken.pointer_mut(path).unwrap() = wrong;
        assert!(!problems(&broken).is_empty(), "{path} may be anything");
    }
}
