//! What changed, beside what first failed, on one time axis: of the cluster, or of the selection.
//!
//! The entries are a pure function of the snapshot ([`crate::changes::timeline`]), made anew when facts arrived, at most every
//! [`REFRESH_SECONDS`]; the selection stays with its entry.

use crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::cockpit::moved;
use super::effect::Effect;
use super::filter::Filter;
use super::state::{ConnectionState, State};
use super::view::View;
use super::{keys, text_view};
use crate::changes::{self, TimelineEntry, TimelineFilter};
use crate::config::{Action, Hit, Place};
use crate::kinds::ObjectRef;
use crate::text::Time;

/// In a busy cluster something changes all the time; the past does not.
const REFRESH_SECONDS: i64 = 2;

/// The view.
#[derive(Debug, Default)]
pub struct TimelineView {
    /// Workloads of the selection it was opened from.
    pub selection: Vec<ObjectRef>,
    /// Only those; otherwise the whole cluster.
    pub of_selection: bool,
    /// Entries as shown, newest first.
    pub entries: Vec<TimelineEntry>,
    /// Index of the selected one.
    pub selected: usize,
    /// The filter.
    pub filter: Option<Filter>,
    /// The filter being typed.
    pub typing: Option<Input>,
    made: Option<Time>,
}

impl TimelineView {
    /// Places of its keys.
    pub fn places() -> Vec<Place> {
        vec![Place::Timeline]
    }

    /// The selected entry.
    pub fn entry(&self) -> Option<&TimelineEntry> {
        self.entries.get(self.selected)
    }

    /// Pasted text goes to the filter being typed.
    pub fn paste(&mut self, text: &str) {
        if let Some(typing) = &mut self.typing {
            *typing = typing.clone().with_value(format!("{}{text}", typing.value()));
            self.filter = Filter::parse(typing.value());
            self.made = None;
        }
    }
}

/// Opens the timeline: of the cluster, or of these objects' workloads when `of_selection`.
pub fn open(state: &mut State, objects: &[ObjectRef], of_selection: bool) -> Vec<Effect> {
    let mut selection: Vec<ObjectRef> = objects.iter().map(|object| workload_of(state, object)).collect();
    selection.sort();
    selection.dedup();
    let of_selection = of_selection && !selection.is_empty();
    state.open(View::Timeline(Box::new(TimelineView { selection, of_selection, ..TimelineView::default() })));
    refresh(state);
    Vec::new()
}

/// What a person acts on: the top owner of a pod or ReplicaSet, else the object itself.
fn workload_of(state: &State, object: &ObjectRef) -> ObjectRef {
    match state.snapshot.find(object) {
        Some(row) => state.snapshot.top_owner(&object.kind, row.meta()),
        None => object.clone(),
    }
}

/// Makes the entries anew when they may have changed.
pub fn refresh(state: &mut State) {
    let Some(View::Timeline(view)) = state.views.last() else { return };
    let is_old = view.made.is_none_or(|made| (state.now - made).num_seconds() >= REFRESH_SECONDS);
    if !is_old {
        return;
    }
    let namespace = match &state.connection {
        ConnectionState::Connected(info) => match info.namespaces.as_slice() {
            [one] => Some(one.as_str().into()),
            _ => None,
        },
        _ => None,
    };
    let workloads = if view.of_selection { view.selection.clone() } else { Vec::new() };
    let filter = TimelineFilter { workloads, namespace, since: None };
    let mut entries = changes::timeline(&state.snapshot, &filter, state.now);
    if let Some(filter) = &view.filter {
        entries.retain(|entry| filter.keeps(&words(entry)));
    }
    let now = state.now;
    let Some(View::Timeline(view)) = state.views.last_mut() else { return };
    let selected = view.entry().filter(|_| view.selected > 0).cloned();
    let kept = selected.and_then(|old| entries.iter().position(|entry| *entry == old));
    view.selected = kept.unwrap_or(view.selected).min(entries.len().saturating_sub(1));
    state.dirty |= view.entries != entries;
    view.entries = entries;
    view.made = Some(now);
}

/// What a filter looks at: everything a line and its detail say.
fn words(entry: &TimelineEntry) -> String {
    let object = &entry.object;
    let by = entry.by.as_deref().unwrap_or_default();
    let diff: Vec<String> = entry.change.iter().flat_map(|change| &change.diff).map(changes::DiffLine::short).collect();
    let place = format!("{}/{} {}", object.kind.to_lowercase(), object.name, object.namespace);
    format!("{} {} {place} {} {by} {}", entry.at.to_rfc3339(), entry.kind.word(), entry.what, diff.join(" "))
}

/// Handles an action in the timeline.
pub fn on(state: &mut State, hit: Hit) -> Vec<Effect> {
    let page = usize::from(state.size.1 / 2).max(1);
    let Some(View::Timeline(view)) = state.views.last_mut() else { return Vec::new() };
    let last = view.entries.len().saturating_sub(1);
    match hit.action {
        Action::Down | Action::Up | Action::Top | Action::Bottom | Action::PageDown | Action::PageUp => {
            view.selected = moved(view.selected, hit.action, page, last);
        }
        Action::Filter => {
            let text = view.filter.as_ref().map(|filter| filter.text.clone()).unwrap_or_default();
            view.typing = Some(Input::from(text));
        }
        Action::Timeline => return turn(state),
        Action::Back if view.filter.is_some() => set_filter(state, ""),
        Action::Back => return keys::leave(state),
        Action::Save => return save(state),
        action => {
            let Some(object) = view.entry().map(|entry| entry.object.clone()) else { return Vec::new() };
            return on_object(state, action, object);
        }
    }
    Vec::new()
}

/// From the cluster to the selection and back.
fn turn(state: &mut State) -> Vec<Effect> {
    let Some(View::Timeline(view)) = state.views.last_mut() else { return Vec::new() };
    if view.selection.is_empty() {
        state.notify("nothing was selected: this is the timeline of the cluster");
        return Vec::new();
    }
    (view.of_selection, view.selected, view.made) = (!view.of_selection, 0, None);
    refresh(state);
    Vec::new()
}

fn on_object(state: &mut State, action: Action, object: ObjectRef) -> Vec<Effect> {
    match action {
        Action::Open | Action::Describe => {
            text_view::open_object(state, &object, "description");
            vec![Effect::FetchDescription { object }]
        }
        Action::Yaml => {
            text_view::open_object(state, &object, "YAML");
            vec![Effect::FetchYaml { object, reveal: false }]
        }
        Action::CopyName => vec![Effect::Copy(object.name.to_string())],
        Action::CopyNamespace if !object.namespace.is_empty() => vec![Effect::Copy(object.namespace.to_string())],
        _ => Vec::new(),
    }
}

fn save(state: &State) -> Vec<Effect> {
    let Some(View::Timeline(view)) = state.views.last() else { return Vec::new() };
    let lines: Vec<String> = view.entries.iter().map(|entry| crate::text::clean(&words(entry))).collect();
    vec![Effect::Save { name: "timeline.txt".to_owned(), text: lines.join("\n") }]
}

fn set_filter(state: &mut State, text: &str) {
    if let Some(View::Timeline(view)) = state.views.last_mut() {
        (view.filter, view.made) = (Filter::parse(text), None);
    }
    refresh(state);
}

/// Keys while a filter is typed; `None` when none is.
pub fn on_filter_key(state: &mut State, key: &KeyEvent) -> Option<Vec<Effect>> {
    let hit = state.config.keymap.find(&[Place::Prompt], key).map(|h| h.action);
    let Some(View::Timeline(view)) = state.views.last_mut() else { return None };
    let typing = view.typing.as_mut()?;
    match hit {
        Some(Action::Accept) => view.typing = None,
        Some(Action::Cancel) => {
            view.typing = None;
            set_filter(state, "");
        }
        _ => {
            typing.handle_event(&Event::Key(*key));
            let text = typing.value().to_owned();
            set_filter(state, &text);
        }
    }
    Some(Vec::new())
}
