//! What keys do in the log.

use crossterm::event::KeyEvent;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::{Entry, Filter, Source};
use crate::app::effect::Effect;
use crate::app::keys;
use crate::app::level::Level;
use crate::app::state::State;
use crate::app::view::View;
use crate::changes::redact;
use crate::config::{Action, Hit, Place};
use crate::snapshot::LogSpec;
use crate::text::Text;

/// The ranges of keys 0 to 6: seconds, or none for tail and head.
const RANGES: [Option<i64>; 7] = [None, None, Some(60), Some(300), Some(900), Some(1800), Some(3600)];

/// The index of `head` in it.
const HEAD: usize = 1;

/// Handles an action in the log pane or view.
pub fn on(state: &mut State, hit: Hit) -> Vec<Effect> {
    let page = usize::from(state.size.1).saturating_sub(4).max(1);
    match hit.action {
        Action::Follow => state.logs.scrolled = usize::from(state.logs.scrolled == 0),
        Action::Timestamps => state.logs.timestamps = !state.logs.timestamps,
        Action::Wrap => state.logs.wrap = !state.logs.wrap,
        Action::ClearLog => state.logs.clear(),
        Action::Filter => {
            let text = state.logs.filter.as_ref().map(|f| f.text.clone()).unwrap_or_default();
            state.logs.typing = Some(Input::new(text));
        }
        Action::FirstError => first_error(state, page),
        Action::PreviousRun => return change(state, |spec| (spec.previous, spec.follow) = (!spec.previous, spec.previous)),
        Action::ChooseContainer => return next_container(state),
        Action::AllContainers => return all_containers(state),
        Action::LogRange => return range(state, hit.nth),
        Action::MarkLine => mark(state),
        Action::CopyName => return state.logs.spec.iter().map(|spec| Effect::Copy(spec.pod.to_string())).collect(),
        Action::Save => return save(state),
        Action::NextMatch => search(state, true, page),
        Action::PreviousMatch => search(state, false, page),
        Action::Zoom if state.views.is_empty() => state.cockpit.zoomed = !state.cockpit.zoomed,
        Action::Back if state.logs.filter.is_some() => state.logs.unfilter(),
        Action::Zoom | Action::Back => return keys::leave(state),
        Action::Down
        | Action::Up
        | Action::Top
        | Action::Bottom
        | Action::PageDown
        | Action::PageUp
        | Action::Left
        | Action::Right => {
            state.logs.scroll(hit.action, page);
        }
        _ => {}
    }
    Vec::new()
}

fn first_error(state: &mut State, page: usize) {
    if !state.logs.to_first_error(page) {
        state.notify("no error line in what was read");
    }
}

fn search(state: &mut State, forward: bool, page: usize) {
    if state.logs.filter.is_none() {
        state.notify("nothing to search for yet: / and what to look for, then n and N");
    } else if !state.logs.walk(forward, page) {
        state.notify(if forward { "no match below" } else { "no match above" });
    }
}

fn mark(state: &mut State) {
    let line = if state.ascii { "-------- mark --------" } else { "──────── mark ────────" };
    state.logs.push(Entry { at: Some(state.now), text: line.into(), level: Level::Plain, container: None });
}

fn change(state: &mut State, edit: impl FnOnce(&mut LogSpec)) -> Vec<Effect> {
    let Some(mut source) = state.logs.source() else { return Vec::new() };
    edit(&mut source.spec);
    change_source(state, source)
}

fn change_source(state: &mut State, source: Source) -> Vec<Effect> {
    let by_hand = state.follow.log.as_ref().map(|(spec, _)| spec.clone());
    let effects = state.logs.open_source(source, "chosen by key");
    state.logs.by_hand = by_hand;
    effects
}

/// Names of the containers of the log's pod, init containers first, if it is still there.
fn containers(state: &State) -> Vec<Text> {
    let pod = state.logs.spec.as_ref().and_then(|spec| state.snapshot.pods.named(&spec.namespace, &spec.pod));
    pod.map(|pod| pod.spec.all_containers().map(|c| c.name.clone()).collect()).unwrap_or_default()
}

/// The next container of the pod, init containers included; alone, if several were merged.
fn next_container(state: &mut State) -> Vec<Effect> {
    let names = containers(state);
    let Some(Source { mut spec, .. }) = state.logs.source() else { return Vec::new() };
    let at = names.iter().position(|n| *n == spec.container).unwrap_or(0);
    match names.get((at + 1) % names.len().max(1)) {
        Some(next) if *next != spec.container => {
            spec.container = next.clone();
            change_source(state, Source { spec, also: Vec::new() })
        }
        _ => {
            state.notify("the pod has one container");
            Vec::new()
        }
    }
}

/// All containers of the pod in one log, and back to one.
fn all_containers(state: &mut State) -> Vec<Effect> {
    let names = containers(state);
    let Some(Source { spec, also }) = state.logs.source() else { return Vec::new() };
    if !also.is_empty() {
        return change_source(state, Source { spec, also: Vec::new() });
    }
    let also: Vec<Text> = names.into_iter().filter(|name| *name != spec.container).collect();
    if also.is_empty() {
        state.notify("the pod has one container");
        return Vec::new();
    }
    change_source(state, Source { spec, also })
}

/// Takes another filter; what it may ask of the pod's labels is looked up once.
pub fn set_filter(state: &mut State, text: &str) {
    let pod = state.logs.spec.as_ref().and_then(|spec| state.snapshot.pods.named(&spec.namespace, &spec.pod));
    state.logs.labels = pod.map(|pod| pod.meta.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap_or_default();
    state.logs.filter = Filter::parse(text);
    (state.logs.searching, state.logs.found, state.logs.scrolled) = (false, None, 0);
}

fn range(state: &mut State, nth: usize) -> Vec<Effect> {
    let since = RANGES.get(nth).copied().flatten();
    change(state, |spec| {
        spec.since_seconds = since;
        spec.tail = if nth == 0 { Some(500) } else { None };
        spec.follow = !spec.previous && nth != HEAD;
    })
}

fn save(state: &mut State) -> Vec<Effect> {
    let Some(spec) = &state.logs.spec else { return Vec::new() };
    let text: String = state.logs.shown().map(saved).collect();
    vec![Effect::Save { name: format!("{}-{}.log", spec.pod, spec.container), text }]
}

/// A line as it is saved: with its time, and its container where several are merged.
fn saved(line: &Entry) -> String {
    let at = line.at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true) + " ").unwrap_or_default();
    let container = line.container.as_ref().map(|name| format!("[{name}] ")).unwrap_or_default();
    format!("{at}{container}{}\n", redact::text(&line.text))
}

/// Keys while a filter is typed; `None` when none is.
pub fn on_search_key(state: &mut State, key: &KeyEvent) -> Option<Vec<Effect>> {
    let visible = matches!(state.views.last(), Some(View::Logs))
        || (state.views.is_empty() && state.cockpit.focus == crate::app::Pane::Logs);
    if !visible || state.logs.typing.is_none() {
        return None;
    }
    let hit = state.config.keymap.find(&[Place::Prompt], key);
    match hit.map(|h| h.action) {
        Some(Action::Accept) => state.logs.typing = None,
        Some(Action::Cancel) => {
            state.logs.typing = None;
            state.logs.unfilter();
        }
        _ => {
            let input = state.logs.typing.as_mut()?;
            input.handle_event(&crossterm::event::Event::Key(*key));
            let text = input.value().to_owned();
            set_filter(state, &text);
        }
    }
    Some(Vec::new())
}
