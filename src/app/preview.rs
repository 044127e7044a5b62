//! The preview of an action: what it will do, what the server says to it, one key to do it.
//!
//! Undo shows the revisions and lets one choose. Nothing is applied that the access review or the dry run refused, and a
//! destructive plan asks for the name to be typed.

use crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::effect::Effect;
use super::state::State;
use crate::actions::{Check, Intent, Plan, Refusal};
use crate::changes::{self, revisions::Revision};
use crate::config::{Action, Place};
use crate::diagnosis::{IncidentId, Risk};
use crate::kinds::ObjectRef;
use crate::text::Time;

/// What is being previewed.
#[derive(Debug)]
pub struct Preview {
    /// What was asked.
    pub intent: Intent,
    /// The incident it is for.
    pub incident: Option<IncidentId>,
    /// How dangerous.
    pub risk: Risk,
    /// For undo: the revisions, newest first.
    pub revisions: Vec<Revision>,
    /// Index of the chosen revision.
    pub chosen: usize,
    /// The plan, once there is one.
    pub plan: Option<Result<Plan, Refusal>>,
    /// What the server says to it.
    pub check: Option<Check>,
    /// It was confirmed and is under way.
    pub applying: bool,
    /// Applying failed: the server's words.
    pub failed: Option<String>,
    /// The name being typed, for destructive plans and protected contexts.
    pub typed: Option<Input>,
    /// What must be typed.
    pub must_type: Option<String>,
    /// The focus is on leaving it: `Enter` does nothing but close. What destroys begins like that.
    pub cancel_focused: bool,
}

/// What takes the last applied plan back.
#[derive(Debug, Clone, PartialEq)]
pub struct WayBack {
    /// The plan's opposite.
    pub intent: Intent,
    /// The incident the plan was for.
    pub incident: Option<IncidentId>,
}

impl Preview {
    /// True when `Enter` would apply.
    pub fn is_ready(&self) -> bool {
        let accepted = self.check.as_ref().is_some_and(|c| c.access.is_ok() && c.dry_run.is_ok());
        let typed = self.must_type.as_ref().is_none_or(|name| self.typed.as_ref().is_some_and(|t| t.value() == name));
        matches!(self.plan, Some(Ok(_))) && accepted && typed && !self.applying
    }

    /// Pasted text goes to the name being typed.
    pub fn paste(&mut self, text: &str) {
        if let Some(typed) = &mut self.typed {
            *typed = typed.clone().with_value(format!("{}{text}", typed.value()));
        }
    }
}

/// `u`: undo the rollout of the selected incident's workload.
pub fn open_undo(state: &mut State) -> Vec<Effect> {
    let Some(row) = state.incidents.selected() else {
        state.notify("nothing is selected: there is nothing to undo");
        return Vec::new();
    };
    let id = row.incident.id.clone();
    let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
    let workload = row.incident.workloads.iter().find(|w| kinds.contains(&&*w.kind)).cloned();
    let Some(workload) = workload else {
        state.notify("only Deployments, StatefulSets and DaemonSets have rollouts to undo");
        return Vec::new();
    };
    open_undo_of(state, &workload, Some(id))
}

/// Undo the rollout of that workload.
pub fn open_undo_of(state: &mut State, workload: &ObjectRef, incident: Option<IncidentId>) -> Vec<Effect> {
    let target = changes::undo_target(&changes::revisions(&state.snapshot, workload)).map(|r| r.number);
    let choice = chosen(state, workload, target);
    let intent = Intent::Undo { workload: workload.clone(), to_revision: target };
    open(state, intent, incident, Risk::Safe, choice)
}

/// `1`..`9`: preview that fix of the selected incident.
pub fn open_fix(state: &mut State, nth: usize) -> Vec<Effect> {
    let Some(row) = state.incidents.selected() else {
        state.notify(super::cockpit::NOTHING);
        return Vec::new();
    };
    let Some(fix) = row.incident.fixes.get(nth) else {
        state.notify(format!("there is no fix {}", nth + 1));
        return Vec::new();
    };
    let (id, risk, command) = (row.incident.id.clone(), fix.risk, fix.command.clone());
    match fix.action.clone() {
        Some(Intent::Undo { workload, .. }) => open_undo_of(state, &workload, Some(id)),
        Some(intent) => open(state, intent, Some(id), risk, (Vec::new(), 0)),
        None => {
            state.notify("k3am only shows this one: its command was copied to paste into a shell");
            vec![Effect::Copy(command)]
        }
    }
}

fn open(
    state: &mut State,
    intent: Intent,
    incident: Option<IncidentId>,
    risk: Risk,
    (revisions, chosen): (Vec<Revision>, usize),
) -> Vec<Effect> {
    let protected = state.config.is_protected(&state.snapshot.identity.name);
    let Some(object) = target(&intent) else { return Vec::new() };
    // A single pod is asked about, Cancel focused; what takes more with it, its name must be typed.
    let several = if let Intent::Several(each) = &intent { each.len() } else { 1 };
    let one_pod = several == 1 && incident.is_none() && &*object.kind == "Pod";
    let weighty = matches!(&*object.kind, "Node" | "Namespace");
    let must_type = (risk == Risk::Destructive && !one_pod || protected || weighty).then(|| {
        // Of several, how many there are.
        if several > 1 { several.to_string() } else { object.name.to_string() }
    });
    let destroys = risk == Risk::Destructive || matches!(intent, Intent::Delete { .. } | Intent::Several(_));
    state.preview = Some(Preview {
        typed: must_type.as_ref().map(|_| Input::default()),
        cancel_focused: must_type.is_none() && destroys,
        must_type,
        intent: intent.clone(),
        incident,
        risk,
        revisions,
        chosen,
        plan: None,
        check: None,
        applying: false,
        failed: None,
    });
    vec![Effect::Plan(intent)]
}

/// Undo to that revision of the workload.
pub fn open_undo_to(state: &mut State, workload: &ObjectRef, revision: i64) -> Vec<Effect> {
    let choice = chosen(state, workload, Some(revision));
    let intent = Intent::Undo { workload: workload.clone(), to_revision: Some(revision) };
    open(state, intent, None, Risk::Safe, choice)
}

/// The revisions of a workload, and the index of one.
fn chosen(state: &State, workload: &ObjectRef, revision: Option<i64>) -> (Vec<Revision>, usize) {
    let revisions = changes::revisions(&state.snapshot, workload);
    let at = revision.and_then(|n| revisions.iter().position(|r| r.number == n)).unwrap_or(0);
    (revisions, at)
}

/// Takes the last applied plan back, through a preview like any other.
pub fn open_way_back(state: &mut State) -> Vec<Effect> {
    let Some(WayBack { intent, incident }) = state.way_back.clone() else {
        state.notify("nothing was applied here that can be taken back");
        return Vec::new();
    };
    match &intent {
        Intent::Undo { workload, to_revision } => {
            let choice = chosen(state, workload, *to_revision);
            open(state, intent, incident, Risk::Disruptive, choice)
        }
        _ => open(state, intent, incident, Risk::Disruptive, (Vec::new(), 0)),
    }
}

/// Previews an action on an object of a table: no incident follows it.
pub fn open_intent(state: &mut State, intent: Intent, risk: Risk) -> Vec<Effect> {
    open(state, intent, None, risk, (Vec::new(), 0))
}

/// The object an intent is about; of several, the first.
pub fn target(intent: &Intent) -> Option<&ObjectRef> {
    Some(match intent {
        Intent::Several(each) => return each.first().and_then(target),
        Intent::Undo { workload, .. }
        | Intent::Scale { workload, .. }
        | Intent::Restart { workload }
        | Intent::SetMemoryLimit { workload, .. }
        | Intent::SetImage { workload, .. } => workload,
        Intent::Delete { object, .. }
        | Intent::RemoveFinalizer { object, .. }
        | Intent::SetField { object, .. }
        | Intent::Edit { object, .. } => object,
        Intent::ShortenGrace { pod, .. } => pod,
        Intent::Cordon { node, .. } | Intent::Taint { node, .. } | Intent::Drain { node } => node,
        Intent::Trigger { cron_job } | Intent::Suspend { cron_job, .. } => cron_job,
    })
}

/// Keys while a preview is open.
pub fn on_key(state: &mut State, key: &KeyEvent) -> Vec<Effect> {
    let keymap = &state.config.keymap;
    let modal = keymap.find(&[Place::Preview], key).map(|h| h.action);
    let everywhere = keymap.find(&[Place::Everywhere], key).map(|h| h.action);
    let Some(preview) = &mut state.preview else { return Vec::new() };
    let typing = preview.typed.is_some();
    match (modal, everywhere) {
        (Some(Action::Apply), _) if preview.cancel_focused => {
            state.preview = None;
            Vec::new()
        }
        (Some(Action::Apply), _) => apply(state),
        (Some(Action::OtherChoice), _) if !typing => {
            preview.cancel_focused = !preview.cancel_focused;
            Vec::new()
        }
        (Some(Action::Cancel), _) if !typing || key.code == crossterm::event::KeyCode::Esc => {
            state.preview = None;
            Vec::new()
        }
        (_, Some(Action::Quit)) => vec![Effect::Quit],
        _ if typing => {
            if let Some(typed) = &mut preview.typed {
                typed.handle_event(&Event::Key(*key));
            }
            Vec::new()
        }
        (_, Some(Action::Down)) => choose(state, 1),
        (_, Some(Action::Up)) => choose(state, -1),
        _ => Vec::new(),
    }
}

fn apply(state: &mut State) -> Vec<Effect> {
    let Some(preview) = &mut state.preview else { return Vec::new() };
    if !preview.is_ready() {
        let why = not_ready(preview);
        state.notify(why);
        return Vec::new();
    }
    let Some(Ok(plan)) = &preview.plan else { return Vec::new() };
    let plan = Box::new(plan.clone());
    preview.applying = true;
    preview.failed = None;
    vec![Effect::Apply(plan)]
}

fn not_ready(preview: &Preview) -> String {
    match (&preview.plan, &preview.check) {
        (None, _) => "still planning".to_owned(),
        (Some(Err(refusal)), _) => refusal.to_string(),
        (Some(Ok(_)), None) => "the server has not answered the dry run yet".to_owned(),
        (Some(Ok(_)), Some(check)) => match (&check.access, &check.dry_run, &preview.must_type) {
            (Err(why), ..) => format!("not allowed: {why}"),
            (_, Err(why), _) => format!("the server refused the dry run: {why}"),
            (_, _, Some(name)) => format!("type {name} to confirm"),
            _ => "it is already under way".to_owned(),
        },
    }
}

/// Chooses another revision and plans again.
fn choose(state: &mut State, by: isize) -> Vec<Effect> {
    let Some(preview) = &mut state.preview else { return Vec::new() };
    let Intent::Undo { workload, .. } = &preview.intent else { return Vec::new() };
    let last = preview.revisions.len().saturating_sub(1);
    let chosen = preview.chosen.saturating_add_signed(by).min(last);
    if chosen == preview.chosen || preview.applying {
        return Vec::new();
    }
    preview.chosen = chosen;
    let to_revision = preview.revisions.get(chosen).map(|r| r.number);
    preview.intent = Intent::Undo { workload: workload.clone(), to_revision };
    (preview.plan, preview.check, preview.failed) = (None, None, None);
    vec![Effect::Plan(preview.intent.clone())]
}

/// A plan arrived.
pub fn on_planned(state: &mut State, intent: &Intent, plan: Result<Plan, Refusal>) -> Vec<Effect> {
    state.dirty = true;
    let Some(preview) = state.preview.as_mut().filter(|p| p.intent == *intent) else { return Vec::new() };
    preview.plan = Some(plan);
    match &preview.plan {
        Some(Ok(plan)) => vec![Effect::Check(Box::new(plan.clone()))],
        _ => Vec::new(),
    }
}

/// The server's answers arrived.
pub fn on_checked(state: &mut State, intent: &Intent, check: Check) -> Vec<Effect> {
    state.dirty = true;
    if let Some(preview) = state.preview.as_mut().filter(|p| p.intent == *intent) {
        preview.check = Some(check);
    }
    Vec::new()
}

/// The outcome of applying arrived.
pub fn on_applied(state: &mut State, intent: &Intent, at: Time, result: Result<(), String>) -> Vec<Effect> {
    state.dirty = true;
    let Some(preview) = state.preview.as_mut().filter(|p| p.intent == *intent) else {
        if let Err(why) = result {
            state.notify(format!("failed: {why}"));
        }
        return Vec::new();
    };
    match result {
        Ok(()) => {
            let id = preview.incident.take();
            let back = preview.plan.take().and_then(Result::ok).and_then(|plan| plan.way_back);
            state.preview = None;
            state.way_back = back.map(|intent| WayBack { intent, incident: id.clone() });
            let follows = if id.is_some() { "; the incident follows the recovery" } else { "" };
            if let Some(id) = id {
                state.incidents.applied(id, intent, at);
            }
            state.incidents.refresh(state.engine.incidents(), &state.snapshot, state.now);
            let key = state.config.keymap.label(&[Place::Everywhere], Action::WayBack).unwrap_or_default();
            let back = if state.way_back.is_some() { format!("; {key} takes it back") } else { String::new() };
            state.notify(format!("applied{follows}{back}"));
        }
        Err(why) => {
            preview.applying = false;
            preview.failed = Some(why);
        }
    }
    Vec::new()
}
