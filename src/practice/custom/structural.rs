//! Structural schemas of custom resources: defaulting, pruning of unknown fields, validation in the words of the real server.
//!
//! Source: `apiextensions-apiserver/pkg/apiserver/schema` and `kube-openapi/pkg/validation/errors`.

use serde_json::{Map, Value, json};

use crate::practice::json::{integer, items, text};
use crate::practice::status::Cause;

/// Fields of every object that no schema lists.
const ROOT: &[&str] = &["apiVersion", "kind", "metadata"];

fn preserves(schema: &Value) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
        || schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true))
}

/// Fills in the defaults of a schema and drops what it does not know.
pub fn default_and_prune(schema: &Value, object: &mut Value) {
    if schema.is_object() {
        walk(schema, object, true);
    }
}

fn walk(schema: &Value, value: &mut Value, root: bool) {
    match value {
        Value::Object(map) => walk_map(schema, map, root),
        Value::Array(list) => {
            if let Some(of) = schema.get("items") {
                for item in list {
                    walk(of, item, false);
                }
            }
        }
        _ => {}
    }
}

fn walk_map(schema: &Value, map: &mut Map<String, Value>, root: bool) {
    if let Some(of) = schema.get("additionalProperties").filter(|of| of.is_object()) {
        map.values_mut().for_each(|value| walk(of, value, false));
        return;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        if !preserves(schema) && schema.get("type") == Some(&json!("object")) && schema.get("additionalProperties").is_none() {
            map.retain(|key, _| root && ROOT.contains(&key.as_str()));
        }
        return;
    };
    for (name, property) in properties {
        if let Some(default) = property.get("default")
            && map.get(name).is_none_or(|value| value.is_null() && property.get("nullable") != Some(&Value::Bool(true)))
        {
            map.insert(name.clone(), default.clone());
        }
    }
    if !preserves(schema) {
        map.retain(|key, _| properties.contains_key(key) || (root && ROOT.contains(&key.as_str())));
    }
    for (name, value) in map.iter_mut() {
        if let Some(property) = properties.get(name).filter(|_| !(root && name == "metadata")) {
            walk(property, value, false);
        }
    }
}

/// Checks an object against its schema.
pub fn validate(schema: &Value, object: &Value, causes: &mut Vec<Cause>) {
    if schema.is_object() {
        check(schema, object, "", causes);
    }
}

fn check(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let field = if path.is_empty() { "<nil>" } else { path };
    if value.is_null() {
        if schema.get("nullable") != Some(&Value::Bool(true)) && !path.is_empty() {
            let wanted = text(schema, "type");
            causes.push(wrong(field, &json!("null"), &format!("must be of type {wanted}: \"null\"")));
        }
        return;
    }
    if let Some(found) = wrong_type(schema, value) {
        let wanted = text(schema, "type");
        causes.push(wrong(field, &json!(found), &format!("must be of type {wanted}: \"{found}\"")));
        return;
    }
    let allowed = items(schema, "enum");
    if !allowed.is_empty() && !allowed.contains(value) {
        let names: Vec<String> = allowed.iter().map(plain).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        causes.push(Cause::unsupported(field, &plain(value), &names));
    }
    match value {
        Value::Object(map) => check_map(schema, map, path, causes),
        Value::Array(list) => check_list(schema, list, path, causes),
        Value::Number(_) => check_number(schema, value, field, causes),
        Value::String(given) => check_text(schema, given, field, causes),
        _ => {}
    }
}

fn wrong(field: &str, value: &Value, what: &str) -> Cause {
    Cause::invalid(field, value, &format!("{field} in body {what}"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The type a value has, when it is not the one the schema wants.
fn wrong_type(schema: &Value, value: &Value) -> Option<&'static str> {
    let found = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return (!matches!(found, "integer" | "string")).then_some(found);
    }
    let wanted = text(schema, "type");
    let fits = wanted.is_empty() || wanted == found || (wanted == "number" && found == "integer");
    (!fits).then_some(found)
}

fn check_map(schema: &Value, map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for name in items(schema, "required").iter().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            causes.push(Cause::required(below(name), ""));
        }
    }
    let properties = schema.get("properties");
    let further = schema.get("additionalProperties").filter(|of| of.is_object());
    for (name, value) in map {
        if path.is_empty() && ROOT.contains(&name.as_str()) {
            continue;
        }
        if let Some(property) = properties.and_then(|properties| properties.get(name)).or(further) {
            check(property, value, &below(name), causes);
        }
    }
}

fn check_list(schema: &Value, list: &[Value], path: &str, causes: &mut Vec<Cause>) {
    if let Some(least) = integer(schema, "minItems").filter(|least| (list.len() as i64) < *least) {
        causes.push(wrong(path, &json!(list.len()), &format!("should have at least {least} items")));
    }
    if let Some(most) = integer(schema, "maxItems").filter(|most| (list.len() as i64) > *most) {
        let message = format!("Too many: {}: must have at most {most} items", list.len());
        causes.push(Cause { field: path.to_owned(), reason: "FieldValueTooMany", message });
    }
    let Some(of) = schema.get("items") else { return };
    for (index, item) in list.iter().enumerate() {
        check(of, item, &format!("{path}[{index}]"), causes);
    }
}

fn check_number(schema: &Value, value: &Value, field: &str, causes: &mut Vec<Cause>) {
    let Some(given) = value.as_f64() else { return };
    if let Some(least) = schema.get("minimum").filter(|least| least.as_f64().is_some_and(|least| given < least)) {
        causes.push(wrong(field, value, &format!("should be greater than or equal to {least}")));
    }
    if let Some(most) = schema.get("maximum").filter(|most| most.as_f64().is_some_and(|most| given > most)) {
        causes.push(wrong(field, value, &format!("should be less than or equal to {most}")));
    }
}

fn check_text(schema: &Value, given: &str, field: &str, causes: &mut Vec<Cause>) {
    let length = given.chars().count() as i64;
    if let Some(least) = integer(schema, "minLength").filter(|least| length < *least) {
        causes.push(wrong(field, &json!(given), &format!("should be at least {least} chars long")));
    }
    if let Some(most) = integer(schema, "maxLength").filter(|most| length > *most) {
        let message = format!("Too long: may not be more than {most} bytes");
        causes.push(Cause { field: field.to_owned(), reason: "FieldValueTooLong", message });
    }
    let pattern = text(schema, "pattern");
    if !pattern.is_empty() && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(given)) {
        causes.push(wrong(field, &json!(given), &format!("should match '{pattern}'")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_defaults_prunes_and_says_what_is_wrong() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1}, "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}});
        let mut object = json!({"metadata": {"name": "x"}, "spec": {"size": 2, "extra": 1, "free": {"any": 1}}, "odd": 1});
        default_and_prune(&schema, &mut object);
        assert_eq!(object, json!({"metadata": {"name": "x"}, "spec": {"size": 2, "mode": "a", "free": {"any": 1}}}));
        let messages = |object: Value| {
            let mut causes = Vec::new();
            validate(&schema, &object, &mut causes);
            causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
        };
        assert_eq!(messages(json!({"spec": {}})), ["spec.size: Required value"]);
        assert_eq!(
            messages(json!({"spec": {"size": "2"}})),
            ["spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\""]
        );
        assert_eq!(
            messages(json!({"spec": {"size": 0, "mode": "c"}})),
            [
                "spec.mode: Unsupported value: \"c\": supported values: \"a\", \"b\"",
                "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"
            ]
        );
    }
}
