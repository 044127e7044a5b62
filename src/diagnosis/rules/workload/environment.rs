//! A container's environment with what ConfigMaps add to it, where their content is known (a bundle).
//!
//! Invariant: nothing of a Secret, and no credentials: `kinds::config` keeps neither.

use std::borrow::Cow;

use crate::diagnosis::finding::{Evidence, EvidenceSource};
use crate::diagnosis::rules::draft;
use crate::kinds::ObjectRef;
use crate::kinds::pod_spec::{Container, EnvVar};
use crate::snapshot::Snapshot;
use crate::text::Text;

/// Where a value stands: a ConfigMap's name and the key in it.
type Origin = (Text, Text);

/// Variables that come from ConfigMaps, weakest first: `envFrom` in its order, then `valueFrom`.
fn from_config_maps(snapshot: &Snapshot, namespace: &str, container: &Container) -> Vec<(Text, Text, Origin)> {
    let settings =
        |name: &str| snapshot.config_maps.named(namespace, name).map(|map| map.settings.as_slice()).unwrap_or_default();
    let whole = container.env_from.iter().filter_map(|from| Some((from.prefix.clone(), &from.config_map_ref.as_ref()?.name)));
    let mut found: Vec<(Text, Text, Origin)> = whole
        .flat_map(|(prefix, map)| {
            let prefix = prefix.unwrap_or_default();
            settings(map)
                .iter()
                .map(move |(key, value)| (format!("{prefix}{key}").into(), value.clone(), (map.clone(), key.clone())))
        })
        .collect();
    for variable in &container.env {
        let Some(reference) = variable.value_from.as_ref().and_then(|source| source.config_map_key_ref.as_ref()) else {
            continue;
        };
        if let Some((key, value)) = settings(&reference.name).iter().find(|(key, _)| *key == reference.key) {
            found.push((variable.name.clone(), value.clone(), (reference.name.clone(), key.clone())));
        }
    }
    found
}

/// The container with those variables as if they were written in its spec; what is written there wins.
pub fn resolved<'a>(snapshot: &Snapshot, namespace: &str, container: &'a Container) -> Cow<'a, Container> {
    let taken = from_config_maps(snapshot, namespace, container);
    if taken.is_empty() {
        return Cow::Borrowed(container);
    }
    let mut whole = container.clone();
    for (name, value, _) in taken {
        match whole.env.iter_mut().find(|variable| variable.name == name) {
            Some(variable) if variable.value_from.is_some() => variable.value = Some(value),
            Some(_) => {}
            None => whole.env.push(EnvVar { name, value: Some(value), value_from: None }),
        }
    }
    Cow::Owned(whole)
}

/// The quote of a variable that a ConfigMap holds; `None` when the spec itself does.
pub fn quoted(snapshot: &Snapshot, namespace: &str, container: &Container, name: &str, text: &str) -> Option<Evidence> {
    if container.env.iter().any(|variable| &*variable.name == name && variable.value.is_some()) {
        return None;
    }
    let (_, _, (map, key)) = from_config_maps(snapshot, namespace, container).into_iter().rev().find(|(n, ..)| &**n == name)?;
    let object = ObjectRef::new("ConfigMap", namespace, &map);
    Some(draft::quote(object, EvidenceSource::Spec, format!("data[{key}]"), text.to_owned(), None))
}
