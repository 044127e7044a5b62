//! The one function that changes the state. Dispatch only: each arm is a call.

use super::effect::Effect;
use super::follow::Follow;
use super::msg::{ConnectFailure, ConnectedInfo, Msg};
use super::state::{ConnectionState, State};
use super::{edit, keys, preview, table, text_view, timeline};
use crate::diagnosis::engine::Engine;
use crate::snapshot::{Changed, Delta, LogBatch, Snapshot};
use crate::text::Time;

/// Seconds a notice stays.
const NOTICE_SECONDS: i64 = 8;
/// Subjects whose rules run, and changes that are followed, between two looks at the keyboard: some milliseconds.
const SLICE: usize = 500;

/// Folds one message into the state and says what to do about it.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    // What flows in between two diagnoses must not sort a table of thousands each time.
    let settled = !matches!(msg, Msg::Facts(_));
    let effects = fold(state, msg);
    if settled {
        table::refresh(state);
        timeline::refresh(state);
    }
    effects
}

fn fold(state: &mut State, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(key) => {
            state.dirty = true;
            keys::on_key(state, &key)
        }
        Msg::Paste(text) => {
            state.dirty = true;
            keys::on_paste(state, &text);
            Vec::new()
        }
        Msg::Resize(columns, rows) => {
            state.size = (columns, rows);
            state.dirty = true;
            Vec::new()
        }
        Msg::Tick(now) => on_tick(state, now),
        Msg::Heard(at) => on_heard(state, at),
        Msg::Deltas(deltas) => {
            on_facts(state, deltas);
            on_diagnose(state, usize::MAX)
        }
        Msg::Facts(deltas) => {
            on_facts(state, deltas);
            Vec::new()
        }
        Msg::Diagnose => on_diagnose(state, SLICE),
        Msg::Log { stream, batch } => on_log(state, stream, batch),
        Msg::MetricsSource(source) => {
            state.metrics_source = Some(source);
            state.dirty = true;
            Vec::new()
        }
        Msg::ObjectText { object, which, text } => text_view::on_text(state, &object, which, text),
        Msg::EditText { object, text } => edit::on_text(state, object, text),
        Msg::Edited { object, patch } => edit::on_edited(state, object, patch),
        Msg::Planned { intent, plan } => preview::on_planned(state, &intent, *plan),
        Msg::Checked { intent, check } => preview::on_checked(state, &intent, check),
        Msg::Applied { intent, at, result } => preview::on_applied(state, &intent, at, result),
        Msg::Resources(resources) => {
            state.resources = resources;
            Vec::new()
        }
        Msg::Listing { plural, table } => text_view::on_listing(state, &plural, table),
        Msg::Contexts(contexts) => {
            state.contexts = contexts;
            state.dirty = true;
            Vec::new()
        }
        Msg::Connected(result) => on_connected(state, result),
        Msg::PluginSays(line) => on_plugin_says(state, line),
        Msg::Notice(line) => {
            state.notify(line);
            Vec::new()
        }
        Msg::Redraw => {
            state.dirty = true;
            Vec::new()
        }
    }
}

fn on_tick(state: &mut State, now: Time) -> Vec<Effect> {
    state.now = now;
    state.dirty = true;
    if state.notice.as_ref().is_some_and(|(_, since)| (now - *since).num_seconds() >= NOTICE_SECONDS) {
        state.notice = None;
    }
    if state.engine.next_recheck().is_some_and(|at| at <= now) { diagnose(state, &[], SLICE) } else { Vec::new() }
}

fn on_heard(state: &mut State, at: Time) -> Vec<Effect> {
    state.heard = Some(at);
    Vec::new()
}

fn on_facts(state: &mut State, deltas: Vec<Delta>) {
    let was_listing = state.is_listing();
    for delta in deltas {
        state.unjudged.extend(state.snapshot.apply(delta));
    }
    // The header counts what arrives, and says when it is all; after that, what is seen changes with the diagnosis.
    state.dirty |= was_listing || state.is_listing();
}

/// Judges the facts folded in so far, at most `at_most` changes and subjects; see [`State::is_behind`].
fn on_diagnose(state: &mut State, at_most: usize) -> Vec<Effect> {
    let changed: Vec<Changed> = state.unjudged.drain(..at_most.min(state.unjudged.len())).collect();
    state.dirty = true;
    table::mark_stale(state, &changed);
    if changed.is_empty() && !state.engine.is_behind() { Vec::new() } else { diagnose(state, &changed, at_most) }
}

/// Reruns the rules for what changed and everything on screen that hangs on them.
fn diagnose(state: &mut State, changed: &[Changed], at_most: usize) -> Vec<Effect> {
    state.engine.note(&state.snapshot, changed, state.now);
    state.engine.work(&state.snapshot, state.now, at_most);
    let mut effects: Vec<Effect> = state.engine.take_requests().into_iter().map(Effect::Fetch).collect();
    if !state.is_behind() {
        state.incidents.refresh(state.engine.incidents(), &state.snapshot, state.now);
        effects.extend(refollow(state));
    }
    effects
}

/// Points events, logs and metrics at the selection. Call after the selection or the facts changed.
pub fn refollow(state: &mut State) -> Vec<Effect> {
    state.follow = Follow::of(&state.snapshot, &state.incidents);
    state.logs.follow(state.follow.log.as_ref(), state.views.is_empty())
}

fn on_log(state: &mut State, stream: u64, batch: LogBatch) -> Vec<Effect> {
    if state.logs.take(stream, batch) {
        state.dirty = true;
    }
    Vec::new()
}

/// Another cluster or other namespaces: nothing of what was watched before may stay, or it would age unseen.
fn start_over(state: &mut State, same_cluster: bool) {
    let identity = std::mem::take(&mut state.snapshot.identity);
    state.snapshot = Snapshot::default();
    state.engine = Engine::default();
    state.unjudged.clear();
    state.heard = None;
    state.incidents = super::incidents::Incidents::default();
    state.way_back = None;
    if same_cluster {
        state.snapshot.identity = identity;
    } else {
        state.views.clear();
        state.forward.clear();
    }
}

/// The last words of a plugin that are kept.
const PLUGIN_LINES: usize = 6;

/// While connecting they have the screen; later, when the plugin runs again, the status line.
fn on_plugin_says(state: &mut State, line: String) -> Vec<Effect> {
    if matches!(state.connection, ConnectionState::Connected(_)) {
        state.notify(format!("the credential plugin says: {line}"));
    } else {
        state.plugin_says.push(line);
        let over = state.plugin_says.len().saturating_sub(PLUGIN_LINES);
        state.plugin_says.drain(..over);
        state.dirty = true;
    }
    Vec::new()
}

fn on_connected(state: &mut State, result: Result<ConnectedInfo, ConnectFailure>) -> Vec<Effect> {
    state.dirty = true;
    match result {
        Ok(info) => {
            if let ConnectionState::Connected(old) = &state.connection {
                let same_cluster = old.context == info.context;
                if !same_cluster || old.namespaces != info.namespaces {
                    start_over(state, same_cluster);
                }
            }
            state.connection = ConnectionState::Connected(info);
            let mut effects = vec![Effect::Discover];
            effects.extend(refollow(state));
            effects
        }
        Err(failure) => {
            state.connection = ConnectionState::Failed(failure);
            Vec::new()
        }
    }
}
