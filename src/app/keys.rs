//! From a key to an action to what it does: dialogs first, then the visible view, then what works everywhere.

use crossterm::event::KeyEvent;

use super::effect::Effect;
use super::state::{ConnectionState, State};
use super::view::{self, View};
use super::{picker, preview, prompt, table, text_view};
use crate::config::{Action, Hit, Place};

/// Handles one key press.
pub fn on_key(state: &mut State, key: &KeyEvent) -> Vec<Effect> {
    if state.preview.is_some() {
        return preview::on_key(state, key);
    }
    if state.asks_to_quit {
        return on_quit_question(state, key);
    }
    if let Some(effects) = prompt::on_key(state, key).or_else(|| picker::on_key(state, key)) {
        return effects;
    }
    if let Some(effects) = super::cockpit::on_filter_key(state, key) {
        return effects;
    }
    if let Some(effects) = table::keys::on_filter_key(state, key) {
        return effects;
    }
    if let Some(effects) = super::timeline::on_filter_key(state, key) {
        return effects;
    }
    if let Some(effects) = text_view::on_search_key(state, key) {
        return effects;
    }
    if let Some(effects) = super::logs::on_search_key(state, key) {
        return effects;
    }
    if !matches!(state.connection, ConnectionState::Connected(_))
        && let Some(hit) = state.config.keymap.find(&[Place::NoCluster], key)
        && hit.action == Action::StartPractice
        && is_without_cluster(state)
    {
        return vec![Effect::StartPractice];
    }
    let places = view::places(state);
    match state.config.keymap.find(&places, key) {
        Some(hit) => on_action(state, hit),
        None => Vec::new(),
    }
}

/// Pasted text goes to the line being typed, if there is one.
pub fn on_paste(state: &mut State, text: &str) {
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    if let Some(preview) = &mut state.preview {
        preview.paste(&line);
    } else if state.prompt.is_some() {
        prompt::paste(state, &line);
    } else if super::cockpit::paste(state, &line) {
    } else if let Some(View::Table(table)) = state.views.last_mut() {
        table.paste(&line);
    } else if let Some(typing) = &mut state.logs.typing {
        *typing = typing.clone().with_value(format!("{}{line}", typing.value()));
        let text = typing.value().to_owned();
        super::logs::keys::set_filter(state, &text);
    } else if let Some(View::Timeline(view)) = state.views.last_mut() {
        view.paste(&line);
        super::timeline::refresh(state);
    } else if let Some(View::Text(view)) = state.views.last_mut() {
        view.paste(&line);
    }
}

fn is_without_cluster(state: &State) -> bool {
    matches!(&state.connection, ConnectionState::Failed(super::msg::ConnectFailure::NoKubeconfig { .. }))
}

fn on_quit_question(state: &mut State, key: &KeyEvent) -> Vec<Effect> {
    state.asks_to_quit = false;
    let confirmed = state.config.keymap.find(&[Place::Confirm], key).is_some_and(|hit| hit.action == Action::Accept);
    let again =
        state.config.keymap.find(&[Place::Everywhere], key).is_some_and(|hit| matches!(hit.action, Action::Leave | Action::Quit));
    if confirmed || again { vec![Effect::Quit] } else { Vec::new() }
}

/// What works everywhere; the rest goes to the visible view.
pub fn on_action(state: &mut State, hit: Hit) -> Vec<Effect> {
    match hit.action {
        Action::Quit => vec![Effect::Quit],
        Action::Redraw => vec![Effect::ClearScreen],
        Action::Suspend => vec![Effect::Suspend],
        Action::Help => {
            let places = view::places(state);
            text_view::open_help(state, &places);
            Vec::new()
        }
        Action::WayBack => preview::open_way_back(state),
        Action::HistoryForward | Action::LastView if hit.action == Action::HistoryForward || !state.forward.is_empty() => {
            view::forward(state)
        }
        Action::HistoryBack | Action::LastView if state.views.is_empty() => {
            state.notify("there is no earlier view");
            Vec::new()
        }
        Action::Leave | Action::HistoryBack | Action::LastView => leave(state),
        Action::Command => prompt::open(state),
        _ => view::dispatch(state, hit),
    }
}

/// One view back; at the cockpit, ask.
pub fn leave(state: &mut State) -> Vec<Effect> {
    if view::back(state) {
        state.logs.by_hand = None;
        return super::update::refollow(state);
    }
    if state.cockpit.zoomed {
        state.cockpit.zoomed = false;
        return Vec::new();
    }
    state.asks_to_quit = true;
    Vec::new()
}
