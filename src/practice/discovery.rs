//! Discovery: `/api`, `/apis` (plain and aggregated), `/version`, `/openapi/v3`.
//!
//! Everything is generated from the types the store serves.

use serde_json::{Value, json};

use super::json::set;
use super::published;
use super::resources::{ResourceType, Subresource};

type Types = [&'static ResourceType];

/// `/version`: the version the captures were taken from.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35", "gitVersion": "v1.36.2", "gitCommit": "0000000000000000000000000000000000000000",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.27.3", "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// The discovery document of a path; none when there is none.
pub fn document(types: &Types, path: &str, aggregated: bool, address: &str) -> Option<Value> {
    match path.trim_end_matches('/') {
        "/api" if aggregated => Some(aggregated_list(types, &[""])),
        "/apis" if aggregated => Some(aggregated_list(types, &groups(types))),
        "/api" => Some(json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})),
        "/apis" => {
            let listed: Vec<Value> = groups(types).iter().map(|group| group_of(types, group)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}))
        }
        other => resource_list(types, other).or_else(|| one_group(types, other)),
    }
}

/// `/openapi/v3` and its documents, and `/openapi/v2`.
pub fn openapi(types: &Types, path: &str) -> Option<Value> {
    if path.trim_end_matches('/') == "/openapi/v2" {
        return Some(openapi_v2(types));
    }
    let versions = group_versions(types);
    let below = path.trim_end_matches('/').strip_prefix("/openapi/v3")?;
    if below.is_empty() {
        let paths: serde_json::Map<String, Value> = versions
            .iter()
            .map(|(group, version)| {
                let path = prefix(group, version);
                let url = format!("/openapi/v3{path}?hash={:X}", hash_of(types, group, version));
                (path.trim_start_matches('/').to_owned(), json!({"serverRelativeURL": url}))
            })
            .collect();
        return Some(json!({"paths": paths}));
    }
    let (group, version) = versions.into_iter().find(|(group, version)| prefix(group, version) == below)?;
    let paths: serde_json::Map<String, Value> = of_version(types, group, version).flat_map(openapi_paths).collect();
    Some(json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.2"}, "paths": paths,
        "components": {"schemas": published::closure(of_version(types, group, version))}}))
}

/// `/openapi/v2` for clients that only read protobuf (`gnostic.openapi.v2.Document`): the version and the title, and no
/// definitions, so that they leave validation to the server, as they do with the whole document.
pub const OPENAPI_V2_PROTOBUF: &[u8] = b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.36.2";

/// Clients keep a document as long as its hash stays: it changes with the custom types of the version.
fn hash_of(types: &Types, group: &str, version: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for resource in of_version(types, group, version) {
        resource.plural.hash(&mut hasher);
        resource.custom.map(|custom| custom.schema.to_string()).hash(&mut hasher);
    }
    hasher.finish()
}

fn openapi_v2(types: &Types) -> Value {
    let definitions = Value::Object(published::closure(types.iter().copied()));
    let definitions = definitions.to_string().replace("#/components/schemas/", "#/definitions/");
    let definitions: Value = serde_json::from_str(&definitions).unwrap_or_default();
    let paths: serde_json::Map<String, Value> = types.iter().copied().flat_map(openapi_paths).collect();
    let paths = Value::Object(paths).to_string().replace("#/components/schemas/", "#/definitions/");
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": serde_json::from_str::<Value>(&paths).unwrap_or_default(), "definitions": definitions})
}

/// The paths of a type: what lists it and what reads and patches one object, each with its kind.
fn openapi_paths(resource: &'static ResourceType) -> Vec<(String, Value)> {
    let middle = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{}{middle}/{}", prefix(resource.group, resource.version), resource.plural);
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
        .collect();
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let schema = published::reference(resource).unwrap_or_else(|| json!({"type": "object"}));
    let operation = |action: &str| {
        json!({"operationId": format!("{action}{}", resource.kind), "parameters": parameters,
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind})
    };
    vec![
        (
            format!("{collection}/{{name}}"),
            json!({"get": operation("get"), "patch": operation("patch"), "put": operation("put")}),
        ),
        (collection, json!({"get": operation("list"), "post": operation("post")})),
    ]
}

fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// The named groups, in the order of the resource list.
fn groups(types: &Types) -> Vec<&'static str> {
    let mut groups: Vec<&'static str> = Vec::new();
    for resource in types.iter().filter(|resource| !resource.group.is_empty()) {
        if !groups.contains(&resource.group) {
            groups.push(resource.group);
        }
    }
    groups
}

fn group_versions(types: &Types) -> Vec<(&'static str, &'static str)> {
    let mut versions: Vec<(&'static str, &'static str)> = Vec::new();
    for resource in types {
        if !versions.contains(&(resource.group, resource.version)) {
            versions.push((resource.group, resource.version));
        }
    }
    versions
}

fn of_version(types: &Types, group: &str, version: &str) -> impl Iterator<Item = &'static ResourceType> {
    types.iter().copied().filter(move |resource| resource.group == group && resource.version == version)
}

fn versions_of(types: &Types, group: &str) -> Vec<&'static str> {
    group_versions(types).into_iter().filter(|(of, _)| *of == group).map(|(_, version)| version).collect()
}

fn group_of(types: &Types, group: &str) -> Value {
    let versions: Vec<Value> = versions_of(types, group)
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "preferredVersion": versions.first(), "versions": versions})
}

fn one_group(types: &Types, path: &str) -> Option<Value> {
    let group = path.strip_prefix("/apis/").filter(|group| groups(types).contains(group))?;
    let mut document = group_of(types, group);
    set(&mut document, "kind", "APIGroup");
    set(&mut document, "apiVersion", "v1");
    Some(document)
}

fn resource_list(types: &Types, path: &str) -> Option<Value> {
    let (group, version) = group_versions(types).into_iter().find(|(group, version)| prefix(group, version) == path)?;
    let mut listed = Vec::new();
    for resource in of_version(types, group, version) {
        let mut entry = json!({"name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": resource.verbs});
        if !resource.short_names.is_empty() {
            set(&mut entry, "shortNames", json!(resource.short_names));
        }
        if !resource.categories.is_empty() {
            set(&mut entry, "categories", json!(resource.categories));
        }
        listed.push(entry);
        listed.extend(resource.subresources.iter().map(|subresource| plain_subresource(resource, subresource)));
    }
    let version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}))
}

fn plain_subresource(resource: &ResourceType, subresource: &Subresource) -> Value {
    let (group, version, kind) = subresource.kind;
    let mut entry = json!({"name": format!("{}/{}", resource.plural, subresource.name), "singularName": "",
        "namespaced": resource.namespaced, "kind": kind, "verbs": subresource.verbs});
    if !version.is_empty() {
        set(&mut entry, "group", group);
        set(&mut entry, "version", version);
    }
    entry
}

fn aggregated_list(types: &Types, groups: &[&str]) -> Value {
    let items: Vec<Value> = groups.iter().map(|group| aggregated_group(types, group)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_group(types: &Types, group: &str) -> Value {
    let versions: Vec<Value> = versions_of(types, group)
        .iter()
        .map(|version| {
            let resources: Vec<Value> = of_version(types, group, version).map(aggregated_resource).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(resource: &'static ResourceType) -> Value {
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        set(&mut entry, "shortNames", json!(resource.short_names));
    }
    if !resource.categories.is_empty() {
        set(&mut entry, "categories", json!(resource.categories));
    }
    if !resource.subresources.is_empty() {
        let listed: Vec<Value> = resource
            .subresources
            .iter()
            .map(|subresource| {
                let (group, version, kind) = subresource.kind;
                json!({"subresource": subresource.name, "verbs": subresource.verbs,
                    "responseKind": {"group": group, "version": version, "kind": kind}})
            })
            .collect();
        set(&mut entry, "subresources", listed);
    }
    entry
}
