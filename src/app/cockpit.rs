//! The cockpit: which pane has the focus, zoom and scrolling, and what keys do there.

use super::effect::Effect;
use super::logs;
use super::preview;
use super::state::State;
use super::text_view;
use super::update::refollow;
use super::view::View;
use crate::config::{Action, Hit, Place};
use crate::kinds::ObjectRef;

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
    /// First line of the event tail.
    pub events_scroll: usize,
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
        Action::Explain => text_view::open_explain(state),
        Action::Logs => open_logs(state, false),
        Action::PreviousLogs => open_logs(state, true),
        Action::Describe => with_object(state, |object| Effect::FetchDescription { object }, "description"),
        Action::Yaml => with_object(state, |object| Effect::FetchYaml { object, reveal: false }, "YAML"),
        Action::Events => {
            state.cockpit.focus = Pane::Events;
            state.cockpit.zoomed = true;
            Vec::new()
        }
        Action::CopyName => copy(state, |o| o.name.to_string()),
        Action::CopyNamespace => copy(state, |o| o.namespace.to_string()),
        Action::Down | Action::Up | Action::Top | Action::Bottom | Action::PageDown | Action::PageUp => scroll(state, hit.action),
        _ if state.cockpit.focus == Pane::Logs => logs::on(state, hit),
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
            state.views.push(View::Logs);
            Vec::new()
        }
        _ => zoom(state),
    }
}

fn back(state: &mut State) -> Vec<Effect> {
    if state.cockpit.zoomed {
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
    state.views.push(View::Logs);
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
    let Some(object) = selected_object(state) else { return Vec::new() };
    text_view::open_object(state, &object, what);
    vec![effect(object)]
}

fn copy(state: &mut State, part: impl Fn(&ObjectRef) -> String) -> Vec<Effect> {
    match selected_object(state) {
        Some(object) => vec![Effect::Copy(part(&object))],
        None => Vec::new(),
    }
}

fn scroll(state: &mut State, action: Action) -> Vec<Effect> {
    let page = usize::from(state.size.1 / 2).max(1);
    match state.cockpit.focus {
        Pane::Incidents => return select(state, action),
        Pane::Why => state.cockpit.why_scroll = moved(state.cockpit.why_scroll, action, page, 500),
        Pane::Events => {
            let last = state.follow.events.len().saturating_sub(1);
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
