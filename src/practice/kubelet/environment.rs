//! A container's environment, and what it mounts: resolved from ConfigMaps, Secrets and fields, or the kubelet's complaint.

use super::super::base64;
use super::super::object;
use super::super::resources::{CONFIG_MAPS, SECRETS};
use super::super::store::Store;
use serde_json::Value;
use std::collections::BTreeMap;

/// The variables of a container, or the text of `CreateContainerConfigError`.
pub fn resolve(store: &Store, pod: &Value, container: &Value) -> Result<BTreeMap<String, String>, String> {
    let namespace = object::namespace(pod);
    let mut variables = BTreeMap::new();
    for source in object::items(container, "/envFrom") {
        let prefix = object::text(source, "/prefix");
        for (kind, reference) in
            [(Kind::ConfigMap, object::at(source, "/configMapRef")), (Kind::Secret, object::at(source, "/secretRef"))]
        {
            if !reference.is_object() {
                continue;
            }
            match all_of(store, kind, namespace, object::text(reference, "/name")) {
                Some(found) => variables.extend(found.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value))),
                None if object::at(reference, "/optional") == &Value::Bool(true) => {}
                None => return Err(missing(kind, object::text(reference, "/name"))),
            }
        }
    }
    for variable in object::items(container, "/env") {
        let name = object::text(variable, "/name").to_owned();
        if let Some(value) = value_of(store, pod, variable)? {
            let value = expand(&value, &variables);
            variables.insert(name, value);
        }
    }
    Ok(variables)
}

fn value_of(store: &Store, pod: &Value, variable: &Value) -> Result<Option<String>, String> {
    for (kind, pointer) in [(Kind::ConfigMap, "/valueFrom/configMapKeyRef"), (Kind::Secret, "/valueFrom/secretKeyRef")] {
        let reference = object::at(variable, pointer);
        if reference.is_object() {
            return from_key(store, kind, object::namespace(pod), reference);
        }
    }
    let field = object::text(variable, "/valueFrom/fieldRef/fieldPath");
    if !field.is_empty() {
        return Ok(Some(own_field(pod, field).to_owned()));
    }
    Ok(Some(object::text(variable, "/value").to_owned()))
}

/// A field of the pod; `metadata.labels['KEY']` and `metadata.annotations['KEY']` name one of many.
fn own_field<'a>(pod: &'a Value, field: &str) -> &'a str {
    let Some((of, key)) = field.split_once("['").and_then(|(of, rest)| Some((of, rest.strip_suffix("']")?))) else {
        return object::text(pod, &format!("/{}", field.replace('.', "/")));
    };
    let all = object::at(pod, &format!("/{}", of.replace('.', "/")));
    all.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn from_key(store: &Store, kind: Kind, namespace: &str, reference: &Value) -> Result<Option<String>, String> {
    let (name, key) = (object::text(reference, "/name"), object::text(reference, "/key"));
    let optional = object::at(reference, "/optional") == &Value::Bool(true);
    match all_of(store, kind, namespace, name) {
        None if optional => Ok(None),
        None => Err(missing(kind, name)),
        Some(found) => match found.get(key) {
            Some(value) => Ok(Some(value.clone())),
            None if optional => Ok(None),
            None => Err(format!("couldn't find key {key} in {} {namespace}/{name}", kind.title())),
        },
    }
}

/// The first volume whose ConfigMap or Secret does not exist: the text of `FailedMount`.
pub fn missing_volume(store: &Store, pod: &Value) -> Option<String> {
    let namespace = object::namespace(pod);
    object::items(pod, "/spec/volumes").iter().find_map(|volume| {
        for (kind, source, field) in [(Kind::ConfigMap, "/configMap", "/name"), (Kind::Secret, "/secret", "/secretName")] {
            let source = object::at(volume, source);
            let optional = object::at(source, "/optional") == &Value::Bool(true);
            if !source.is_object() || optional {
                continue;
            }
            let why = match all_of(store, kind, namespace, object::text(source, field)) {
                None => Some(missing(kind, object::text(source, field))),
                Some(found) => object::items(source, "/items")
                    .iter()
                    .map(|item| object::text(item, "/key"))
                    .find(|key| !found.contains_key(*key))
                    .map(|key| missing_key(kind, key)),
            };
            if let Some(why) = why {
                return Some(format!("MountVolume.SetUp failed for volume \"{}\" : {why}", object::text(volume, "/name")));
            }
        }
        None
    })
}

#[derive(Clone, Copy)]
enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

fn missing(kind: Kind, name: &str) -> String {
    format!("{} \"{name}\" not found", kind.title().to_lowercase())
}

/// The volume plugins' complaint about a key (`pkg/volume/{secret,configmap}`).
fn missing_key(kind: Kind, key: &str) -> String {
    match kind {
        Kind::Secret => format!("references non-existent secret key: {key}"),
        Kind::ConfigMap => format!("configmap references non-existent config key: {key}"),
    }
}

fn all_of(store: &Store, kind: Kind, namespace: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let resource = match kind {
        Kind::ConfigMap => &CONFIG_MAPS,
        Kind::Secret => &SECRETS,
    };
    let object = store.get(resource, namespace, name)?;
    let plain = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in object::fields(&object, "/data") {
        let text = match kind {
            Kind::ConfigMap => plain(value),
            Kind::Secret => {
                base64::decode(&plain(value)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
            }
        };
        found.insert(key.clone(), text);
    }
    Some(found)
}

/// `$(NAME)` with the variables known so far; an unknown one stays as written.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = text.to_owned();
    for (name, value) in variables {
        out = out.replace(&format!("$({name})"), value);
    }
    out
}
