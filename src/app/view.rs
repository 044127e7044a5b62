//! The views that lie on top of the cockpit.

use super::effect::Effect;
use super::msg::ConnectFailure;
use super::state::{ConnectionState, State};
use super::table::{self, TableView};
use super::text_view::{self, TextView};
use super::timeline::{self, TimelineView};
use super::{cockpit, logs};
use crate::config::{Hit, Place};

/// A full view; the cockpit is what is left when there is none.
#[derive(Debug)]
pub enum View {
    /// The log stream, full screen.
    Logs,
    /// YAML, a description, help.
    Text(Box<TextView>),
    /// What changed, beside what failed.
    Timeline(Box<TimelineView>),
    /// A table of resources.
    Table(Box<TableView>),
}

/// A view that was left, and what it takes to come back to it.
#[derive(Debug)]
pub struct Left {
    view: View,
    log: Option<super::logs::Source>,
}

/// One view back; what was left waits for [`forward`]. False when there is none to leave.
pub fn back(state: &mut State) -> bool {
    let Some(view) = state.views.pop() else { return false };
    let log = matches!(view, View::Logs).then(|| state.logs.source()).flatten();
    state.forward.push(Left { view, log });
    true
}

/// Back to the view that was left last.
pub fn forward(state: &mut State) -> Vec<Effect> {
    let Some(Left { view, log }) = state.forward.pop() else {
        state.notify("there is no later view");
        return Vec::new();
    };
    state.views.push(view);
    match log {
        Some(source) => state.logs.open_source(source, "chosen with the key"),
        None => Vec::new(),
    }
}

/// Which keys count where we are, narrowest place first.
pub fn places(state: &State) -> Vec<Place> {
    if state.views.is_empty() && matches!(state.connection, ConnectionState::Failed(ConnectFailure::NoKubeconfig { .. })) {
        return vec![Place::NoCluster, Place::NotConnected, Place::Everywhere];
    }
    if state.views.is_empty() && state.is_without_cluster() {
        return vec![Place::NotConnected, Place::Everywhere];
    }
    let mut places = match state.views.last() {
        None => cockpit::places(state),
        Some(View::Logs) => vec![Place::Logs],
        Some(View::Timeline(_)) => TimelineView::places(),
        Some(View::Text(text)) => text.places(),
        Some(View::Table(table)) => table.places(),
    };
    places.push(Place::Everywhere);
    places
}

/// Sends an action to the view that is visible.
pub fn dispatch(state: &mut State, hit: Hit) -> Vec<Effect> {
    match state.views.last() {
        None => cockpit::on(state, hit),
        Some(View::Logs) => logs::on(state, hit),
        Some(View::Timeline(_)) => timeline::on(state, hit),
        Some(View::Text(_)) => text_view::on(state, hit),
        Some(View::Table(_)) => table::on(state, hit),
    }
}
