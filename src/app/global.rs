//! What keys do wherever no screen says otherwise: leaving, and what concerns the selected object of any screen.
//!
//! To add one: a line in [`GLOBAL`].

use super::confirm::Confirm;
use super::logs::Logs;
use super::preview::Preview;
use super::{Effect, Reply, State, View};
use crate::actions::Intent;
use crate::config::{Action, Hit};
use crate::kinds::{KindId, ObjectRef};

/// What an action does to the whole state.
type Handler = fn(&mut State, Hit) -> Vec<Effect>;

/// Actions that any screen may leave to this table.
pub static GLOBAL: &[(Action, Handler)] = &[
    (Action::Quit, |_, _| vec![Effect::Quit]),
    (Action::Leave, |state, _| leave(state)),
    (Action::Back, |state, _| back(state)),
    (Action::HistoryBack, |state, _| history_back(state)),
    (Action::HistoryForward, |state, _| history_forward(state)),
    (Action::LastView, |state, _| if state.views.is_empty() { history_forward(state) } else { history_back(state) }),
    (Action::Redraw, |_, _| vec![Effect::ClearScreen]),
    (Action::Suspend, |_, _| vec![Effect::Suspend]),
    (Action::StartPractice, |state, _| start_practice(state)),
    (Action::Undo, |state, _| undo(state)),
    (Action::Logs, |state, _| logs(state, Run::Best)),
    (Action::PreviousLogs, |state, _| logs(state, Run::Previous)),
    (Action::CopyName, |state, _| copy(state, |object| object.name.to_string())),
    (Action::CopyNamespace, |state, _| copy(state, |object| object.namespace.to_string())),
];

/// Does what no screen did. Actions without a line in the table do nothing.
pub fn act(state: &mut State, hit: Hit) -> Vec<Effect> {
    match GLOBAL.iter().find(|(action, _)| *action == hit.action) {
        Some((_, handler)) => handler(state, hit),
        None => Vec::new(),
    }
}

/// `q`: back; at the root asks before it quits.
fn leave(state: &mut State) -> Vec<Effect> {
    if state.views.is_empty() {
        let question = Confirm::new("Leave k3am?", "leave", Reply::effects(vec![Effect::Quit]));
        return state.carry_out(Reply::push(View::from(question), Vec::new()));
    }
    history_back(state)
}

fn back(state: &mut State) -> Vec<Effect> {
    if state.views.is_empty() { Vec::new() } else { history_back(state) }
}

fn history_back(state: &mut State) -> Vec<Effect> {
    if let Some(view) = state.views.pop()
        && !view.screen().is_overlay()
    {
        state.forward.push(view);
    }
    state.refresh()
}

fn history_forward(state: &mut State) -> Vec<Effect> {
    let Some(view) = state.forward.pop() else { return Vec::new() };
    state.views.push(view);
    Vec::new()
}

fn start_practice(state: &mut State) -> Vec<Effect> {
    state.world.link = super::Link::Connecting;
    vec![Effect::StartPractice]
}

/// The object the keys are about now.
pub fn selected(state: &State) -> Option<ObjectRef> {
    state.top().selected(&state.world)
}

fn with_selected(state: &mut State, work: impl FnOnce(&mut State, ObjectRef) -> Vec<Effect>) -> Vec<Effect> {
    match selected(state) {
        Some(object) => work(state, object),
        None => {
            state.world.notice("nothing is selected");
            Vec::new()
        }
    }
}

fn undo(state: &mut State) -> Vec<Effect> {
    with_selected(state, |state, object| {
        let workload = match state.world.snapshot.find(&object) {
            Some(row) if row.kind() == KindId::Pod => state.world.snapshot.top_owner("Pod", row.meta()),
            _ => object,
        };
        let (view, effects) = Preview::open(&state.world, Intent::Undo { workload, to_revision: None }, None);
        state.carry_out(Reply::push(view.into(), effects))
    })
}

enum Run {
    Best,
    Previous,
}

fn logs(state: &mut State, run: Run) -> Vec<Effect> {
    let choice = match (state.views.is_empty(), state.cockpit.log_choice()) {
        (true, Some(choice)) => Some(choice.clone()),
        _ => selected(state).and_then(|object| super::log_choice::for_object(&state.world.snapshot, &object)),
    };
    let Some(mut choice) = choice else {
        state.world.notice("there is no container here whose log could be read");
        return Vec::new();
    };
    if matches!(run, Run::Previous) {
        choice.previous = true;
    }
    state.carry_out(Reply::push(Logs::new(choice).into(), Vec::new()))
}

fn copy(state: &mut State, what: fn(&ObjectRef) -> String) -> Vec<Effect> {
    with_selected(state, |_, object| vec![Effect::Copy(what(&object))])
}
