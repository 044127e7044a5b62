//! Tables of resources: which rows in which order, which one is selected, what keys do to it.
//!
//! One file a kind under `table/`. To add a kind: its file with a `pub static TABLE`, and one line in [`ALL`]. The sorted index
//! is recomputed when facts, filter or sort changed ([`refresh`]), never per frame; only visible rows are formatted.

use std::collections::BTreeSet;

use tui_input::Input;

use super::filter::Filter;
use super::state::State;
use super::view::View;
use crate::config::Place;
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::{Changed, Key};

mod autoscalers;
pub mod column;
mod config_maps;
mod cron_jobs;
mod daemon_sets;
mod deployments;
mod endpoint_slices;
mod events;
mod ingresses;
mod jobs;
pub mod keys;
pub mod marks;
mod namespaces;
mod nodes;
pub mod open;
pub mod pods;
mod replica_sets;
pub mod rows;
mod secrets;
mod services;
mod stateful_sets;
mod volume_claims;

pub use column::{Cell, Column, Health, TableSpec};
pub use keys::on;

/// Every table, in the order the prompt offers them.
pub static ALL: &[&TableSpec] = &[
    &pods::TABLE,
    &deployments::TABLE,
    &stateful_sets::TABLE,
    &daemon_sets::TABLE,
    &replica_sets::TABLE,
    &jobs::TABLE,
    &cron_jobs::TABLE,
    &nodes::TABLE,
    &services::TABLE,
    &endpoint_slices::TABLE,
    &events::TABLE,
    &namespaces::TABLE,
    &config_maps::TABLE,
    &secrets::TABLE,
    &autoscalers::TABLE,
    &volume_claims::TABLE,
    &ingresses::TABLE,
];

/// The table of that name or alias, or of that kind's name.
pub fn named(name: &str) -> Option<&'static TableSpec> {
    let name = name.to_lowercase();
    ALL.iter().copied().find(|spec| spec.name == name || spec.aliases.contains(&name.as_str()))
}

/// The table of a kind.
pub fn of_kind(kind: KindId) -> Option<&'static TableSpec> {
    ALL.iter().copied().find(|spec| spec.kind == kind)
}

/// A table as it is looked at.
#[derive(Debug)]
pub struct TableView {
    /// Its kind and columns.
    pub spec: &'static TableSpec,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only what belongs to this object: its pods, or the events about it.
    pub of: Option<ObjectRef>,
    /// The filter.
    pub filter: Option<Filter>,
    /// The filter being typed.
    pub typing: Option<Input>,
    /// Title of the column it is sorted by, and whether downwards.
    pub sort: (&'static str, bool),
    /// Title of the selected column.
    pub column: &'static str,
    /// Only what is not healthy.
    pub faults_only: bool,
    /// With the wide columns.
    pub wide: bool,
    /// The selected row; survives changes.
    pub selected: Option<Key>,
    /// Rows that are marked, for what is done to several at once.
    pub marked: BTreeSet<Key>,
    /// Rows shown, in order.
    pub index: Vec<Key>,
    /// How many there are without filter and "faults only".
    pub total: usize,
    /// Widest name and namespace of the index.
    pub widths: (usize, usize),
    marked_last: Option<Key>,
    at: usize,
    stale: bool,
}

impl TableView {
    /// A table of a kind, unfiltered.
    pub fn new(spec: &'static TableSpec) -> Self {
        Self {
            spec,
            namespace: None,
            of: None,
            filter: None,
            typing: None,
            sort: spec.sort,
            column: spec.sort.0,
            faults_only: false,
            wide: false,
            selected: None,
            marked: BTreeSet::new(),
            marked_last: None,
            index: Vec::new(),
            total: 0,
            widths: (0, 0),
            at: 0,
            stale: true,
        }
    }

    /// Places of its keys, narrowest first.
    pub fn places(&self) -> Vec<Place> {
        let own = match self.spec.kind {
            KindId::Pod => Some(Place::Pods),
            KindId::Deployment | KindId::StatefulSet | KindId::DaemonSet => Some(Place::Workloads),
            KindId::ReplicaSet => Some(Place::ReplicaSets),
            KindId::Job => Some(Place::Jobs),
            KindId::CronJob => Some(Place::CronJobs),
            KindId::Service => Some(Place::Services),
            KindId::Node => Some(Place::Nodes),
            _ => None,
        };
        own.into_iter().chain([Place::Tables]).collect()
    }

    /// Position of the selected row in the index.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Selects a row by its position.
    pub fn select(&mut self, at: usize) {
        self.at = at.min(self.index.len().saturating_sub(1));
        self.selected = self.index.get(self.at).cloned();
    }

    /// The selected object.
    pub fn object(&self) -> Option<ObjectRef> {
        let key = self.selected.as_ref()?;
        Some(ObjectRef::new(self.spec.kind.name(), &key.namespace, &key.name))
    }

    /// Sorts by that column; again: the other way round.
    fn sort_by(&mut self, title: &'static str) {
        self.sort = if self.sort.0 == title { (title, !self.sort.1) } else { (title, false) };
        self.column = title;
        self.stale = true;
    }

    /// Takes another filter text.
    pub fn set_filter(&mut self, text: &str) {
        self.filter = Filter::parse(text);
        self.stale = true;
    }

    /// Pasted text goes to the filter being typed.
    pub fn paste(&mut self, text: &str) {
        if let Some(typing) = &mut self.typing {
            *typing = typing.clone().with_value(format!("{}{text}", typing.value()));
            self.filter = Filter::parse(typing.value());
            self.stale = true;
        }
    }

    /// Puts the selection back on its row; where that is gone, on the row now in its place.
    fn keep_selection(&mut self) {
        let at = self.selected.as_ref().and_then(|key| self.index.iter().position(|other| other == key));
        self.select(at.unwrap_or(self.at));
    }
}

/// Says which tables must be computed anew. Call with what [`crate::snapshot::Snapshot::apply`] returned.
pub fn mark_stale(state: &mut State, changed: &[Changed]) {
    for view in &mut state.views {
        let View::Table(table) = view else { continue };
        table.stale |= changed.iter().any(|change| match change {
            Changed::Object { kind, .. } => concerns(table, *kind),
            Changed::Coverage(kind) => *kind == table.spec.kind,
            // Usage and logs: only a table sorted by usage hangs on them.
            Changed::Evidence(_) | Changed::Usage(_) => matches!(table.sort.0, "CPU" | "MEMORY"),
        });
    }
}

/// Rows of `kind` show in that table, or decide which rows do.
fn concerns(table: &TableView, kind: KindId) -> bool {
    kind == table.spec.kind
        || table.of.is_some() && matches!(kind, KindId::Pod | KindId::ReplicaSet | KindId::Job)
        || matches!((table.spec.kind, kind), (KindId::Service, KindId::EndpointSlice) | (KindId::Node, KindId::Pod))
}

/// Computes the visible table anew when it must be.
pub fn refresh(state: &mut State) {
    let Some(View::Table(table)) = state.views.last_mut() else { return };
    if !table.stale {
        return;
    }
    table.stale = false;
    let found = rows::index(&state.snapshot, table, state.now);
    (table.index, table.total) = (found.keys, found.total);
    let widest = |part: fn(&Key) -> &str| table.index.iter().map(|key| part(key).chars().count()).max().unwrap_or(0);
    table.widths = (widest(|key| &key.name), widest(|key| &key.namespace));
    table.keep_selection();
    let (marked, snapshot, kind) = (&mut table.marked, &state.snapshot, table.spec.kind);
    marked.retain(|key| snapshot.row(kind, key).is_some());
    state.dirty = true;
}

/// Other namespaces are watched now: tables show what is watched.
pub fn follow_namespaces(state: &mut State, namespaces: &[String]) {
    for view in &mut state.views {
        let View::Table(table) = view else { continue };
        table.namespace = match namespaces {
            [one] => Some(one.clone()),
            _ => None,
        };
        table.of = None;
        table.stale = true;
    }
}
