//! What each list covered: the whole cluster, or the namespace its place tells.
//!
//! A list whose objects are all in one namespace that a folder or the file is named after (`shop/pods.json`, `pods/shop.json`,
//! `namespaces/shop/core/pods.yaml`) is that namespace's; empty lists in the same place of the same layout are too. Several lists of
//! a kind in one file (`kubectl cluster-info dump` on standard output) are one a namespace.

use std::collections::{BTreeMap, BTreeSet};

use super::names;
use crate::kinds::KindId;
use crate::snapshot::Scope;

/// A list and the namespaces its items are in.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub path: String,
    pub kind: KindId,
    pub namespaces: BTreeSet<String>,
}

/// Which scopes were listed, by kind.
pub(super) type Listed = BTreeMap<KindId, BTreeSet<Scope>>;

/// Where in a layout the namespace stands: first folder, number of segments, index of the namespace.
type Place<'a> = (&'a str, usize, usize);

/// Decides what each list covered, once all of them are known.
pub(super) fn of_lists(lists: &[List]) -> Listed {
    let mut by_file: BTreeMap<&str, Vec<&List>> = BTreeMap::new();
    for list in lists {
        by_file.entry(&list.path).or_default().push(list);
    }
    let places: BTreeSet<Place<'_>> = lists.iter().filter_map(own_place).collect();
    let mut listed = Listed::new();
    for in_file in by_file.values() {
        let most = most_of_a_kind(in_file);
        for list in in_file {
            let scopes = if most > 1 && list.kind.info().namespaced {
                of_stream(in_file, list.kind, most)
            } else {
                vec![of_place(list, &places)]
            };
            listed.entry(list.kind).or_default().extend(scopes);
        }
    }
    listed
}

fn most_of_a_kind(in_file: &[&List]) -> usize {
    let mut counts: BTreeMap<KindId, usize> = BTreeMap::new();
    for list in in_file.iter().filter(|list| list.kind.info().namespaced) {
        *counts.entry(list.kind).or_default() += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

/// In a stream of lists, one a namespace: a kind listed as often as any was listed in every namespace that is seen.
fn of_stream(in_file: &[&List], kind: KindId, most: usize) -> Vec<Scope> {
    let own: Vec<&&List> = in_file.iter().filter(|list| list.kind == kind).collect();
    if own.iter().any(|list| list.namespaces.len() > 1) {
        return vec![Scope::Cluster];
    }
    let seen = if own.len() == most { in_file.to_vec() } else { own.into_iter().copied().collect() };
    seen.iter().flat_map(|list| &list.namespaces).map(|ns| Scope::Namespace(ns.as_str().into())).collect()
}

fn of_place(list: &List, places: &BTreeSet<Place<'_>>) -> Scope {
    let namespace = |segment: &str| Scope::Namespace(segment.into());
    if !list.kind.info().namespaced {
        return Scope::Cluster;
    }
    if let Some((.., index)) = own_place(list) {
        return segment(&list.path, index).map_or(Scope::Cluster, namespace);
    }
    if !list.namespaces.is_empty() {
        return Scope::Cluster;
    }
    let (first, count) = (first(&list.path), segments(&list.path).len());
    let place = places.iter().find(|place| place.0 == first && place.1 == count);
    let index = place.map(|place| place.2).or_else(|| after(&list.path, "namespaces"));
    index.and_then(|index| segment(&list.path, index)).map_or(Scope::Cluster, namespace)
}

fn own_place(list: &List) -> Option<Place<'_>> {
    if !list.kind.info().namespaced || list.namespaces.len() != 1 {
        return None;
    }
    let namespace = list.namespaces.first()?;
    let parts = segments(&list.path);
    let index = parts.iter().rposition(|part| part == namespace)?;
    Some((first(&list.path), parts.len(), index))
}

fn first(path: &str) -> &str {
    // In `NAMESPACE/pods.json` the first folder is the namespace: then it says nothing about the layout.
    if segments(path).len() > 2 { path.split('/').next().unwrap_or_default() } else { "" }
}

/// The segments of a path, the last one without its extension.
fn segments(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.split('/').collect();
    if let Some(last) = parts.last_mut() {
        *last = last.split('.').next().unwrap_or(last);
    }
    parts
}

fn segment(path: &str, index: usize) -> Option<&str> {
    segments(path).get(index).copied()
}

/// The index after the last folder of that name, when it is that of a folder.
fn after(path: &str, folder: &str) -> Option<usize> {
    let parts = segments(path);
    let index = parts.iter().rposition(|part| *part == folder)? + 1;
    (index + 1 < parts.len()).then_some(index)
}

/// Single objects in a folder named after their kind were listed there: `cluster-scoped-resources/core/nodes/NAME.yaml` of a
/// must-gather, `resources/deployments.apps/namespaces/NS/NAME.json` of a Velero backup.
pub(super) fn of_single(path: &str, kind: KindId, namespace: &str) -> Option<Scope> {
    let (folders, _) = path.rsplit_once('/')?;
    let named = |folder: &str| names::kind_of_word(folder.split('.').next().unwrap_or_default()) == Some(kind);
    if !folders.split('/').any(named) {
        return None;
    }
    if !kind.info().namespaced {
        return Some(Scope::Cluster);
    }
    folders.split('/').any(|folder| folder == namespace).then(|| Scope::Namespace(namespace.into()))
}
