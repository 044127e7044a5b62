//! Which rows a table shows, in which order; and what it says when it shows none.

use std::collections::BTreeSet;

use super::TableView;
use super::column::Cell;
use crate::kinds::{KindId, ObjectRef, Row};
use crate::snapshot::{CoverageState, Key, Snapshot};
use crate::text::Time;

/// Rows in order, and how many there were before filter and "faults only".
#[derive(Debug, Default)]
pub struct Index {
    /// Keys, sorted.
    pub keys: Vec<Key>,
    /// How many there are in all.
    pub total: usize,
}

/// Computes the index of a table.
pub fn index(snapshot: &Snapshot, table: &TableView, now: Time) -> Index {
    let spec = table.spec;
    let candidates = candidates(snapshot, table);
    let total = candidates.len();
    let sort = spec.column(table.sort.0);
    let rows = candidates.into_iter().filter_map(|key| snapshot.row(spec.kind, &key).map(|row| (key, row)));
    let mut found: Vec<(Cell, Key)> = rows
        .filter(|(_, row)| !table.faults_only || (spec.health)(snapshot, row).is_fault())
        .filter(|(_, row)| keeps(snapshot, table, row, now))
        .map(|(key, row)| (sort.map(|column| (column.cell)(snapshot, &row, now)).unwrap_or_default(), key))
        .collect();
    // Rows that tie keep the order of their names in both directions.
    let downwards = table.sort.1;
    found.sort_by(|a, b| {
        let order = a.0.order(&b.0);
        (if downwards { order.reverse() } else { order }).then_with(|| a.1.cmp(&b.1))
    });
    Index { keys: found.into_iter().map(|(_, key)| key).collect(), total }
}

fn keeps(snapshot: &Snapshot, table: &TableView, row: &Row, now: Time) -> bool {
    let Some(filter) = &table.filter else { return true };
    if !filter.keeps_labels(|key| row.meta().label(key)) {
        return false;
    }
    let mut text = String::new();
    for column in table.spec.columns(table.wide, true) {
        text.push_str(&(column.cell)(snapshot, row, now).text);
        text.push_str("  ");
    }
    filter.keeps(text.trim_end())
}

fn candidates(snapshot: &Snapshot, table: &TableView) -> Vec<Key> {
    let mut keys = match &table.of {
        Some(owner) => belonging(snapshot, table.spec.kind, owner),
        None => snapshot.keys(table.spec.kind),
    };
    if let Some(namespace) = table.namespace.as_deref().filter(|_| table.spec.kind.info().namespaced) {
        keys.retain(|key| &*key.namespace == namespace);
    }
    keys
}

/// Rows of `kind` that belong to an object: pods of a workload, node or Service, events about it and what it owns, what it controls.
fn belonging(snapshot: &Snapshot, kind: KindId, owner: &ObjectRef) -> Vec<Key> {
    match kind {
        KindId::Pod => pods_of(snapshot, owner),
        KindId::Event => events_of(snapshot, owner),
        _ => snapshot.find(owner).map(|row| snapshot.controlled_by(kind, &row.meta().uid)).unwrap_or_default(),
    }
}

/// Pods of a workload, node or Service; of a pod, itself.
pub fn pods_of(snapshot: &Snapshot, owner: &ObjectRef) -> Vec<Key> {
    match snapshot.find(owner) {
        Some(Row::Node(node)) => snapshot.pods_on(&node.meta.name).map(|pod| Key::of(&pod.meta)).collect(),
        Some(Row::Service(service)) => {
            let selector = &service.spec.selector;
            let selects = |labels: &std::collections::BTreeMap<_, _>| {
                !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            };
            let pods = snapshot.pods.in_namespace(&service.meta.namespace);
            pods.filter(|pod| selects(&pod.meta.labels)).map(|pod| Key::of(&pod.meta)).collect()
        }
        _ => snapshot.pods_of(owner).into_iter().map(|pod| Key::of(&pod.meta)).collect(),
    }
}

fn events_of(snapshot: &Snapshot, owner: &ObjectRef) -> Vec<Key> {
    let mut objects = BTreeSet::from([owner.clone()]);
    if !matches!(&*owner.kind, "Node" | "Service" | "Pod") {
        for pod in snapshot.pods_of(owner) {
            objects.insert(ObjectRef::new("Pod", &pod.meta.namespace, &pod.meta.name));
            if let Some(controller) = pod.meta.controller() {
                objects.insert(ObjectRef::new(&controller.kind, &pod.meta.namespace, &controller.name));
            }
        }
    }
    let events = objects.iter().flat_map(|object| snapshot.events_about(object));
    events.map(|event| Key::of(&event.meta)).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The whole table as a text: titles and rows in columns as wide as what stands in them.
pub fn as_text(snapshot: &Snapshot, table: &TableView, now: Time) -> String {
    let columns: Vec<_> = table.spec.columns(table.wide, true).collect();
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    let rows = table.index.iter().filter_map(|key| snapshot.row(table.spec.kind, key));
    let cells = rows.map(|row| columns.iter().map(|column| (column.cell)(snapshot, &row, now).text).collect());
    let lines = crate::app::text_view::aligned(&titles, &cells.collect::<Vec<_>>());
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// How much of the table is known, in words; `None` when all of it is.
pub fn unfinished(snapshot: &Snapshot, table: &TableView) -> Option<String> {
    let kind = table.spec.kind;
    let name = table.spec.name;
    let states: Vec<&CoverageState> = match &table.namespace {
        Some(namespace) if kind.info().namespaced => snapshot.coverage.of(kind, namespace).into_iter().collect(),
        _ => snapshot.coverage.of_kind(kind).collect(),
    };
    if states.is_empty() {
        return Some(format!("loading {name}"));
    }
    for state in &states {
        match state {
            CoverageState::Syncing { so_far: 0 } => return Some(format!("loading {name}")),
            CoverageState::Syncing { so_far } => return Some(format!("loading {name}, {so_far} so far")),
            CoverageState::Failing { error, last_heard: None, .. } => {
                return Some(format!("{name} could not be listed yet: {error}"));
            }
            _ => {}
        }
    }
    // A list denied for the cluster but granted for namespaces is complete where it was granted.
    let denied = states.iter().find_map(|state| match state {
        CoverageState::Denied { why } => Some(why),
        _ => None,
    });
    denied.filter(|_| !snapshot.coverage.is_listed(kind)).map(|why| format!("{name} are not visible: {why}"))
}

/// What to say instead of rows.
pub fn nothing(snapshot: &Snapshot, table: &TableView) -> String {
    if let Some(words) = unfinished(snapshot, table) {
        return words;
    }
    let name = table.spec.name;
    if table.total > 0 {
        return match (&table.filter, table.faults_only) {
            (Some(_), _) => format!("none of {} {name} matches the filter", table.total),
            (None, true) => format!("all {} {name} are healthy", table.total),
            (None, false) => format!("no {name}"),
        };
    }
    match (&table.of, &table.namespace) {
        (Some(owner), _) => format!("no {name} of {owner}"),
        (None, Some(namespace)) if table.spec.kind.info().namespaced => format!("no {name} in namespace {namespace}"),
        _ => format!("no {name}"),
    }
}
