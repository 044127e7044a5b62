//! The published schema: what `/openapi/v3` and `/openapi/v2` say, and what field validation goes by.
//!
//! The definitions of the built-in types are in `assets/practice/schemas.json.gz`, written by `.ci/schemas` from the
//! `k8s-openapi` crate; those of custom types come from their definitions. Unpacked when first asked for.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use super::resources::ResourceType;
use super::schema;

static PACKED: &[u8] = include_bytes!("../../assets/practice/schemas.json.gz");
const REFERENCE: &str = "#/components/schemas/";

/// Every definition by its published name.
fn definitions() -> &'static Map<String, Value> {
    static DEFINITIONS: OnceLock<Map<String, Value>> = OnceLock::new();
    DEFINITIONS.get_or_init(|| {
        let mut unpacked = String::new();
        if GzDecoder::new(PACKED).read_to_string(&mut unpacked).is_err() {
            return Map::new();
        }
        let mut definitions: Map<String, Value> = serde_json::from_str(&unpacked).unwrap_or_default();
        definitions.values_mut().for_each(mark_lists);
        definitions
    })
}

/// Says of every list how it is merged, which the source of the definitions leaves out.
fn mark_lists(definition: &mut Value) {
    let properties = definition.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        let item = property.pointer("/items/$ref").or_else(|| property.pointer("/items/allOf/0/$ref"));
        let Some(item) = item.and_then(Value::as_str).map(|name| name.trim_start_matches(REFERENCE)) else { continue };
        let sample = if item.ends_with("ContainerPort") {
            json!([{"containerPort": 1}])
        } else if item.ends_with("ServicePort") {
            json!([{"port": 1}])
        } else {
            json!([{"type": ""}])
        };
        let keyed = !matches!((name.as_str(), item.rsplit('.').next()), ("ports", Some("EndpointPort" | "NetworkPolicyPort")));
        if let Some(key) = schema::patch_merge_key(name, sample.as_array().map_or(&[], Vec::as_slice)).filter(|_| keyed)
            && let Some(map) = property.as_object_mut()
        {
            map.insert("x-kubernetes-patch-merge-key".to_owned(), json!(key));
            map.insert("x-kubernetes-patch-strategy".to_owned(), json!("merge"));
        }
    }
}

/// The published name of a built-in type's definition.
fn built_in(resource: &ResourceType) -> Option<&'static str> {
    let package = if resource.group.is_empty() { "core" } else { resource.group.split('.').next()? };
    let tail = format!(".{package}.{}.{}", resource.version, resource.kind);
    definitions().keys().find(|name| name.ends_with(&tail)).map(String::as_str)
}

/// The name a type's definition is published under.
fn name_of(resource: &ResourceType) -> Option<String> {
    if resource.custom.is_some() {
        let group: Vec<&str> = resource.group.split('.').rev().collect();
        return Some(format!("{}.{}.{}", group.join("."), resource.version, resource.kind));
    }
    built_in(resource).map(str::to_owned)
}

/// The definition of a type, its kind named in it.
fn definition_of(resource: &ResourceType) -> Option<(String, Value)> {
    let name = name_of(resource)?;
    let mut definition = match resource.custom {
        Some(custom) => of_custom(&custom.schema),
        None => definitions().get(&name)?.clone(),
    };
    let kind = json!([{"group": resource.group, "version": resource.version, "kind": resource.kind}]);
    super::json::set(&mut definition, "x-kubernetes-group-version-kind", kind);
    Some((name, definition))
}

/// The schema of a custom type as it is published: with the fields every object has.
fn of_custom(schema: &Value) -> Value {
    let mut published = if schema.is_object() { schema.clone() } else { json!({"type": "object"}) };
    let Some(pod) = definitions().get("io.k8s.api.core.v1.Pod") else { return published };
    for field in ["apiVersion", "kind", "metadata"] {
        let known = pod.pointer(&format!("/properties/{field}")).cloned().unwrap_or_default();
        super::json::set(&mut published, &format!("properties.{field}"), known);
    }
    published
}

/// The definitions of some types and all they refer to.
pub fn closure(resources: impl Iterator<Item = &'static ResourceType>) -> Map<String, Value> {
    let mut found = Map::new();
    let mut wanted = BTreeSet::new();
    for (name, definition) in resources.filter_map(definition_of) {
        references(&definition, &mut wanted);
        found.insert(name, definition);
    }
    while let Some(name) = wanted.pop_first() {
        if found.contains_key(&name) {
            continue;
        }
        if let Some(definition) = definitions().get(&name) {
            references(definition, &mut wanted);
            found.insert(name, definition.clone());
        }
    }
    found
}

/// The reference to a type's definition, for the paths that serve it.
pub fn reference(resource: &ResourceType) -> Option<Value> {
    Some(json!({"$ref": format!("{REFERENCE}{}", name_of(resource)?)}))
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(REFERENCE)) {
                found.insert(name.to_owned());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// What a body has against the schema of its type.
#[derive(Debug, Default, PartialEq)]
pub struct Mistakes {
    /// Fields nobody knows: `unknown field "spec.foo"`.
    pub unknown: Vec<String>,
    /// The first value of the wrong type, in the words of Go's decoder.
    pub wrong_type: Option<String>,
}

/// Checks a body against its schema and drops the fields it does not know, as decoding into Go structs does.
pub fn decode(resource: &ResourceType, body: &mut Value) -> Mistakes {
    let mut mistakes = Mistakes::default();
    let Some((_, definition)) = definition_of(resource) else { return mistakes };
    let walk = Walk { prune: resource.custom.is_none() };
    walk.value(&definition, body, &At { path: "", holder: resource.kind }, &mut mistakes);
    mistakes
}

struct Walk {
    /// Custom resources are pruned by their own schema, with its exceptions.
    prune: bool,
}

/// Where the walk is: the dotted path, and the Go struct that holds the field.
struct At<'a> {
    path: &'a str,
    holder: &'a str,
}

impl Walk {
    fn value(&self, schema: &Value, value: &mut Value, at: &At<'_>, mistakes: &mut Mistakes) {
        let (schema, name) = resolve(schema);
        let holder = name.and_then(|name| name.rsplit('.').next()).unwrap_or(at.holder);
        if let Some(wanted) = wrong_type(schema, name, value) {
            let found = go_type(value);
            let path = at.path;
            mistakes.wrong_type.get_or_insert_with(|| {
                format!("json: cannot unmarshal {found} into Go struct field {}.{path} of type {wanted}", at.holder)
            });
            return;
        }
        if let Some(quantity) = name.filter(|name| name.ends_with(".Quantity")).and(value.as_str())
            && super::validate::quantity(quantity).is_none()
        {
            let sentence = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
            mistakes.wrong_type.get_or_insert_with(|| sentence.to_owned());
        }
        match value {
            Value::Object(map) => self.map(schema, map, &At { path: at.path, holder }, mistakes),
            Value::Array(list) => {
                let Some(of) = schema.get("items") else { return };
                for (index, item) in list.iter_mut().enumerate() {
                    self.value(of, item, &At { path: &format!("{}[{index}]", at.path), holder: at.holder }, mistakes);
                }
            }
            _ => {}
        }
    }

    fn map(&self, schema: &Value, map: &mut Map<String, Value>, at: &At<'_>, mistakes: &mut Mistakes) {
        let below = |name: &str| if at.path.is_empty() { name.to_owned() } else { format!("{}.{name}", at.path) };
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let open = schema.get("x-kubernetes-preserve-unknown-fields").is_some()
                || schema.get("x-kubernetes-embedded-resource").is_some();
            let unknown: Vec<String> = map.keys().filter(|name| !properties.contains_key(*name) && !open).cloned().collect();
            for name in unknown {
                mistakes.unknown.push(format!("unknown field {:?}", below(&name)));
                if self.prune {
                    map.remove(&name);
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(property) = properties.get(name) {
                    self.value(property, value, &At { path: &below(name), holder: at.holder }, mistakes);
                }
            }
        } else if let Some(of) = schema.get("additionalProperties").filter(|of| of.is_object()) {
            for (name, value) in map.iter_mut() {
                self.value(of, value, &At { path: &below(name), holder: at.holder }, mistakes);
            }
        }
    }
}

/// Follows a reference to its definition and name.
fn resolve(schema: &Value) -> (&Value, Option<&str>) {
    let reference = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref")).and_then(Value::as_str);
    match reference.and_then(|name| name.strip_prefix(REFERENCE)) {
        // Go decodes these by hand: any JSON will do.
        Some(name) if name.contains(".apiextensions.v1.JSON") && !name.ends_with(".JSONSchemaProps") => {
            (&Value::Null, Some(name))
        }
        Some(name) => (definitions().get(name).unwrap_or(&Value::Null), Some(name)),
        None => (schema, None),
    }
}

/// The Go type a value should have had, when it cannot be decoded.
fn wrong_type(schema: &Value, name: Option<&str>, value: &Value) -> Option<String> {
    if schema.get("x-kubernetes-int-or-string").is_some() || value.is_null() {
        return None;
    }
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    let (fits, go) = match schema.get("type").and_then(Value::as_str)? {
        "integer" => (value.is_i64() || value.is_u64(), if format.is_empty() { "int64" } else { format }),
        "number" => (value.is_number(), "float64"),
        "boolean" => (value.is_boolean(), "bool"),
        "string" => (value.is_string(), "string"),
        "array" => (value.is_array(), "[]"),
        "object" => (value.is_object(), ""),
        _ => return None,
    };
    let go = match (go, name) {
        ("", Some(name)) => name.trim_start_matches("io.k8s.api.").trim_start_matches("io.k8s.apimachinery.pkg.apis.").to_owned(),
        ("", None) => "map[string]string".to_owned(),
        ("[]", _) => {
            let item = schema.get("items").map(resolve).and_then(|(_, name)| name).unwrap_or("string");
            format!("[]{}", item.trim_start_matches("io.k8s.api."))
        }
        (go, _) => go.to_owned(),
    };
    (!fits).then_some(go)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::resources::{ALL, DEPLOYMENTS};

    #[test]
    fn every_stored_built_in_type_is_published() {
        let missing: Vec<&str> = ALL
            .iter()
            .filter(|resource| resource.group != "metrics.k8s.io" && built_in(resource).is_none())
            .map(|resource| resource.kind)
            .collect();
        assert_eq!(missing, Vec::<&str>::new());
        let closed = closure([&DEPLOYMENTS].into_iter());
        assert!(
            closed.contains_key("io.k8s.api.core.v1.Container")
                && closed.contains_key("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        );
        let containers = &closed["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_found_as_go_finds_them() {
        let mut body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "labels": {"any": "x"}},
            "spec": {"replicas": 1, "colour": "red", "template": {"spec": {"containers": [{"name": "a", "imag": "x",
                "resources": {"limits": {"memory": "1Gi"}}}]}}}});
        let mistakes = decode(&DEPLOYMENTS, &mut body);
        let wanted = ["unknown field \"spec.colour\"", "unknown field \"spec.template.spec.containers[0].imag\""];
        assert_eq!((mistakes.unknown.as_slice(), mistakes.wrong_type), (wanted.map(str::to_owned).as_slice(), None));
        assert!(body["spec"].get("colour").is_none(), "what Go does not know it does not keep");
        let wrong = |spec: Value| decode(&DEPLOYMENTS, &mut json!({"spec": spec})).wrong_type.unwrap();
        assert_eq!(
            wrong(json!({"replicas": "3"})),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
        let limits = json!({"containers": [{"resources": {"limits": {"memory": "lots"}}}]});
        assert!(wrong(json!({"template": {"spec": limits}})).starts_with("quantities must match the regular expression"));
    }
}
