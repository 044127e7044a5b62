//! The cockpit: which pane has the focus, zoom and scrolling, and what keys do there.

use std::cell::Cell;

use crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::edit;
use super::effect::Effect;
use super::filter::Filter;
use super::logs;
use super::preview;
use super::state::State;
use super::text_view;
use super::update::refollow;
use super::view::View;
use crate::config::{Action, Hit, Place};
use crate::kinds::ObjectRef;
use crate::report::{self, Report, SourceKind};

/// What a key says that needs an incident where there is none.
pub const NOTHING: &str = "no incident is selected; : opens tables of everything";

/// The five things on screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pane {
    /// What is broken.
    #[default]
    Incidents,
    /// Why, what changed, what to do.
    Why,
    /// The event tail.
    Events,
    /// The log.
    Logs,
    /// Usage.
    Metrics,
}

impl Pane {
    /// All, in the order `Tab` goes.
    pub const ALL: [Self; 5] = [Self::Incidents, Self::Why, Self::Events, Self::Logs, Self::Metrics];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Incidents => "Incidents",
            Self::Why => "Why",
            Self::Events => "Events",
            Self::Logs => "Logs",
            Self::Metrics => "Metrics",
        }
    }

    fn place(self) -> Place {
        match self {
            Self::Incidents => Place::Incidents,
            Self::Why => Place::Why,
            Self::Events => Place::EventsPane,
            Self::Logs => Place::Logs,
            Self::Metrics => Place::Metrics,
        }
    }

    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|p| *p == self).unwrap_or(0);
        Self::ALL.get((at + by) % Self::ALL.len()).copied().unwrap_or_default()
    }
}

/// Focus, zoom and scrolling.
#[derive(Debug, Default)]
pub struct Cockpit {
    /// The focused pane.
    pub focus: Pane,
    /// The focused pane fills the screen.
    pub zoomed: bool,
    /// First line of the why pane.
    pub why_scroll: usize,
    /// How far the why pane can be scrolled: what the frame drawn last found. A measure of the screen, not a fact.
    pub why_last: Cell<usize>,
    /// First line of the event tail.
    pub events_scroll: usize,
    /// Which events are shown.
    pub events_filter: Option<Filter>,
    /// The filter being typed.
    pub typing: Option<Input>,
}

/// Places of the cockpit's keys, narrowest first.
pub fn places(state: &State) -> Vec<Place> {
    vec![state.cockpit.focus.place(), Place::Cockpit]
}

/// Handles an action in the cockpit.
pub fn on(state: &mut State, hit: Hit) -> Vec<Effect> {
    match hit.action {
        Action::NextPane => focus(state, 1),
        Action::PreviousPane => focus(state, Pane::ALL.len() - 1),
        Action::Zoom => zoom(state),
        Action::Open => open(state),
        Action::Back => back(state),
        Action::Undo | Action::Fix => act(state, hit),
        Action::Dismiss => dismiss(state),
        Action::Timeline => {
            let objects: Vec<ObjectRef> =
                state.incidents.selected().map(|row| row.incident.workloads.clone()).unwrap_or_default();
            super::timeline::open(state, &objects, false)
        }
        Action::Explain => text_view::open_explain(state),
        Action::Logs => open_logs(state, false),
        Action::PreviousLogs => open_logs(state, true),
        Action::Describe => with_object(state, |object| Effect::FetchDescription { object }, "description"),
        Action::Yaml => with_object(state, |object| Effect::FetchYaml { object, reveal: false }, "YAML"),
        Action::Edit => {
            if let Some(object) = selected_object(state) {
                edit::start(state, &object)
            } else {
                state.notify(NOTHING);
                Vec::new()
            }
        }
        Action::Events => {
            state.cockpit.focus = Pane::Events;
            state.cockpit.zoomed = true;
            Vec::new()
        }
        Action::CopyName => copy(state, |o| o.name.to_string()),
        Action::CopyNamespace => copy(state, |o| o.namespace.to_string()),
        Action::Down | Action::Up | Action::Top | Action::Bottom | Action::PageDown | Action::PageUp => scroll(state, hit.action),
        _ if state.cockpit.focus == Pane::Logs => logs::on(state, hit),
        Action::Filter => {
            let filter = filter_of(state).map(|filter| filter.text.clone()).unwrap_or_default();
            state.cockpit.typing = Some(Input::from(filter));
            Vec::new()
        }
        Action::Save => save(state),
        _ => Vec::new(),
    }
}

/// What is acted on must not move under the fingers.
fn act(state: &mut State, hit: Hit) -> Vec<Effect> {
    state.incidents.touched = true;
    if hit.action == Action::Undo { preview::open_undo(state) } else { preview::open_fix(state, hit.nth) }
}

fn focus(state: &mut State, by: usize) -> Vec<Effect> {
    state.cockpit.focus = state.cockpit.focus.step(by);
    Vec::new()
}

fn zoom(state: &mut State) -> Vec<Effect> {
    state.cockpit.zoomed = !state.cockpit.zoomed;
    Vec::new()
}

/// Enter: from an incident to its why; any other pane zooms; the log opens as a view.
fn open(state: &mut State) -> Vec<Effect> {
    match state.cockpit.focus {
        Pane::Incidents if !state.incidents.rows.is_empty() => {
            state.incidents.touched = true;
            state.cockpit.focus = Pane::Why;
            Vec::new()
        }
        Pane::Logs => {
            state.open(View::Logs);
            Vec::new()
        }
        _ => zoom(state),
    }
}

fn back(state: &mut State) -> Vec<Effect> {
    if state.cockpit.focus == Pane::Logs && state.logs.filter.is_some() {
        state.logs.unfilter();
    } else if filter_of(state).is_some() {
        return set_filter(state, "");
    } else if state.cockpit.zoomed {
        state.cockpit.zoomed = false;
    } else {
        state.cockpit.focus = Pane::Incidents;
    }
    Vec::new()
}

fn dismiss(state: &mut State) -> Vec<Effect> {
    if state.incidents.dismiss() {
        return refollow(state);
    }
    state.notify("only a recovered incident can be dismissed");
    Vec::new()
}

fn open_logs(state: &mut State, previous: bool) -> Vec<Effect> {
    let Some((spec, _)) = &state.follow.log else {
        state.notify("no container of the selection has run yet: there is no log");
        return Vec::new();
    };
    let mut spec = spec.clone();
    if previous {
        (spec.previous, spec.follow) = (true, false);
    }
    state.open(View::Logs);
    if state.logs.spec.as_ref() == Some(&spec) {
        return Vec::new();
    }
    let why = if previous { "the run before" } else { "following" };
    state.logs.open(spec, why)
}

/// The object keys act on: the first failing object of the selected incident.
fn selected_object(state: &State) -> Option<ObjectRef> {
    let incident = &state.incidents.selected()?.incident;
    incident.workloads.first().or(incident.objects.first()).cloned()
}

fn with_object(state: &mut State, effect: impl Fn(ObjectRef) -> Effect, what: &str) -> Vec<Effect> {
    let Some(object) = selected_object(state) else {
        state.notify(NOTHING);
        return Vec::new();
    };
    text_view::open_object(state, &object, what);
    vec![effect(object)]
}

fn copy(state: &mut State, part: impl Fn(&ObjectRef) -> String) -> Vec<Effect> {
    if let Some(object) = selected_object(state) {
        vec![Effect::Copy(part(&object))]
    } else {
        state.notify(NOTHING);
        Vec::new()
    }
}

fn scroll(state: &mut State, action: Action) -> Vec<Effect> {
    let page = usize::from(state.size.1 / 2).max(1);
    match state.cockpit.focus {
        Pane::Incidents => return select(state, action),
        Pane::Why => {
            let last = state.cockpit.why_last.get();
            state.cockpit.why_scroll = moved(state.cockpit.why_scroll.min(last), action, page, last);
        }
        Pane::Events => {
            let last = events(state).count().saturating_sub(1);
            state.cockpit.events_scroll = moved(state.cockpit.events_scroll, action, page, last);
        }
        Pane::Logs => state.logs.scroll(action, page),
        Pane::Metrics => {}
    }
    Vec::new()
}

fn select(state: &mut State, action: Action) -> Vec<Effect> {
    let last = state.incidents.rows.len().saturating_sub(1);
    let page = usize::from(state.size.1 / 6).max(1);
    let index = moved(state.incidents.selected_index().unwrap_or(0), action, page, last);
    state.incidents.select(index);
    state.incidents.touched = true;
    state.cockpit.why_scroll = 0;
    state.cockpit.events_scroll = 0;
    refollow(state)
}

/// Events the pane shows, newest first.
pub fn events(state: &State) -> impl Iterator<Item = &crate::kinds::events::Event> {
    let filter = state.cockpit.events_filter.as_ref();
    let found = state.follow.events.iter().filter_map(|key| state.snapshot.events.get(key));
    found.filter(move |event| filter.is_none_or(|filter| fits(filter, event)))
}

/// Text filters look at reason, object and message; `-l` asks `reason`, `type`, `kind`, `name`, `namespace`, or a label.
fn fits(filter: &Filter, event: &crate::kinds::events::Event) -> bool {
    let object = event.object();
    let text = format!("{}  {object}  {}", event.reason, event.text());
    let kind = if event.is_warning() { "Warning" } else { "Normal" };
    filter.keeps(&text)
        && filter.keeps_labels(|key| match key {
            "reason" => Some(&*event.reason),
            "type" => Some(kind),
            "kind" => Some(&*object.kind),
            "name" => Some(&*object.name),
            "namespace" => Some(&*object.namespace),
            _ => event.meta.label(key),
        })
}

/// The filter of the focused pane: its own for the events, the incidents' for the others.
fn filter_of(state: &State) -> Option<&Filter> {
    match state.cockpit.focus {
        Pane::Events => state.cockpit.events_filter.as_ref(),
        _ => state.incidents.filter.as_ref(),
    }
}

fn set_filter(state: &mut State, text: &str) -> Vec<Effect> {
    if state.cockpit.focus == Pane::Events {
        state.cockpit.events_filter = Filter::parse(text);
        state.cockpit.events_scroll = 0;
        return Vec::new();
    }
    state.incidents.set_filter(text);
    state.cockpit.why_scroll = 0;
    refollow(state)
}

/// Pasted text goes to the filter being typed.
pub fn paste(state: &mut State, text: &str) -> bool {
    let Some(typing) = state.cockpit.typing.as_mut().filter(|_| state.views.is_empty()) else { return false };
    *typing = typing.clone().with_value(format!("{}{text}", typing.value()));
    let text = typing.value().to_owned();
    set_filter(state, &text);
    true
}

/// Keys while a filter is typed; `None` when none is.
pub fn on_filter_key(state: &mut State, key: &KeyEvent) -> Option<Vec<Effect>> {
    let hit = state.config.keymap.find(&[Place::Prompt], key).map(|h| h.action);
    let typing = state.cockpit.typing.as_mut().filter(|_| state.views.is_empty())?;
    Some(match hit {
        Some(Action::Accept) => {
            state.cockpit.typing = None;
            Vec::new()
        }
        Some(Action::Cancel) => {
            state.cockpit.typing = None;
            set_filter(state, "")
        }
        _ => {
            typing.handle_event(&Event::Key(*key));
            let text = typing.value().to_owned();
            set_filter(state, &text)
        }
    })
}

/// What is broken, as `k3am diagnose` prints it.
fn save(state: &State) -> Vec<Effect> {
    let incidents = state.engine.incidents().iter().map(|incident| (**incident).clone()).collect();
    let diagnosis = (incidents, state.engine.not_evaluated());
    let report = Report::new(SourceKind::Cluster, &state.snapshot, diagnosis, state.now);
    let name = format!("incidents-{}.txt", state.now.format("%Y%m%dT%H%M%SZ"));
    vec![Effect::Save { name, text: report::text::render(&report) }]
}

/// A position after a movement, between 0 and `last`.
pub fn moved(at: usize, action: Action, page: usize, last: usize) -> usize {
    let to = match action {
        Action::Down => at.saturating_add(1),
        Action::Up => at.saturating_sub(1),
        Action::PageDown => at.saturating_add(page),
        Action::PageUp => at.saturating_sub(page),
        Action::Top => 0,
        Action::Bottom => last,
        _ => at,
    };
    to.min(last)
}
