//! An action before it is applied: what changes, the command, the server's opinion. `Enter` does it, `Esc` leaves it.
//!
//! Invariant: nothing is applied that was not shown with its plan. `Enter` before the server's answer waits for a yes.
//! For an undo the revisions are listed; `j` and `k` choose another one, which is planned and checked anew.

use crossterm::event::KeyEvent;

use super::line::Line;
use super::{Effect, Go, Msg, Reply, Screen, World};
use crate::actions::{Check, Intent, Plan};
use crate::changes;
use crate::config::{Action, Hit, Place};
use crate::diagnosis::{Fix, Risk};
use crate::kinds::ObjectRef;

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Shown; nothing is done.
    Shown,
    /// Confirmed before the server had answered: applied when it agrees.
    Confirmed,
    /// On its way to the server.
    Applying,
    /// The server refused, in its words.
    Failed(String),
}

/// The view.
#[derive(Debug)]
pub struct Preview {
    /// What is asked for.
    pub intent: Intent,
    /// Title of the fix it comes from.
    pub title: Option<String>,
    /// How dangerous.
    pub risk: Risk,
    /// The plan, or why there is none; `None` while it is being made.
    pub plan: Option<Result<Plan, String>>,
    /// The server's opinion; `None` while it is asked.
    pub check: Option<Check>,
    /// How far it is.
    pub stage: Stage,
    /// What must be typed, and what was.
    pub typing: Option<(String, Line)>,
    /// For what destroys: true while the harmless answer is focused.
    pub on_cancel: bool,
}

impl Preview {
    /// Previews an intent; `fix` is the suggestion it comes from.
    pub fn open(world: &World, intent: Intent, fix: Option<&Fix>) -> (Self, Vec<Effect>) {
        let intent = with_revision(world, intent);
        let risk = fix.map_or_else(|| risk_of(&intent), |fix| fix.risk);
        let typing = must_type(world, &intent, risk).map(|name| (name, Line::default()));
        let asks = matches!(intent, Intent::Delete { .. });
        let view = Self {
            intent: intent.clone(),
            title: fix.map(|fix| fix.title.clone()),
            risk,
            plan: None,
            check: None,
            stage: Stage::Shown,
            on_cancel: asks && typing.is_none(),
            typing,
        };
        (view, vec![Effect::Plan(intent)])
    }

    /// The workload whose revisions are listed, and the chosen one.
    pub fn undoes(&self) -> Option<(&ObjectRef, Option<i64>)> {
        match &self.intent {
            Intent::Undo { workload, to_revision } => Some((workload, *to_revision)),
            _ => None,
        }
    }

    /// True when what must be typed was typed.
    pub fn is_typed(&self) -> bool {
        self.typing.as_ref().is_none_or(|(wanted, line)| line.text().trim() == wanted)
    }

    /// Why `Enter` would not do it, if so.
    pub fn obstacle(&self, world: &World) -> Option<String> {
        let refused = |check: &Check| check.access.clone().and(check.dry_run.clone()).err();
        match &self.plan {
            None => Some("the plan is still being made".to_owned()),
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(_)) if world.is_read_only() => Some("read-only: nothing is written".to_owned()),
            Some(Ok(_)) if !self.is_typed() => Some("type the name first".to_owned()),
            Some(Ok(_)) => self.check.as_ref().and_then(refused),
        }
    }

    fn confirm(&mut self, world: &World) -> Reply {
        if self.on_cancel {
            return Reply::pop();
        }
        if matches!(self.stage, Stage::Applying | Stage::Confirmed) {
            return Reply::none();
        }
        if let Some(why) = self.obstacle(world) {
            return Reply::notice(why);
        }
        match (&self.plan, &self.check) {
            (Some(Ok(plan)), Some(_)) => {
                self.stage = Stage::Applying;
                Reply::effects(vec![Effect::Apply(Box::new(plan.clone()))])
            }
            _ => {
                self.stage = Stage::Confirmed;
                Reply::none()
            }
        }
    }

    /// Chooses the revision `by` rows further down the list (older).
    fn choose(&mut self, world: &World, by: isize) -> Reply {
        let Intent::Undo { workload, to_revision } = &self.intent else { return Reply::none() };
        if matches!(self.stage, Stage::Applying) {
            return Reply::none();
        }
        let revisions = changes::revisions(&world.snapshot, workload);
        let others: Vec<i64> = revisions.iter().filter(|r| !r.is_current).map(|r| r.number).collect();
        let at = others.iter().position(|n| Some(*n) == *to_revision).unwrap_or(0);
        let next = at.saturating_add_signed(by).min(others.len().saturating_sub(1));
        let Some(number) = others.get(next).filter(|n| Some(**n) != *to_revision) else { return Reply::none() };
        let intent = Intent::Undo { workload: workload.clone(), to_revision: Some(*number) };
        self.intent = intent.clone();
        self.plan = None;
        self.check = None;
        self.stage = Stage::Shown;
        Reply::effects(vec![Effect::Plan(intent)])
    }

    fn on_planned(&mut self, plan: &Result<Plan, crate::actions::Refusal>) -> Reply {
        match plan {
            Ok(plan) => {
                self.plan = Some(Ok(plan.clone()));
                Reply::effects(vec![Effect::Check(Box::new(plan.clone()))])
            }
            Err(refusal) => {
                self.plan = Some(Err(refusal.to_string()));
                Reply::none()
            }
        }
    }

    fn on_checked(&mut self, world: &World, check: &Check) -> Reply {
        self.check = Some(check.clone());
        if self.stage == Stage::Confirmed {
            self.stage = Stage::Shown;
            return self.confirm(world);
        }
        Reply::none()
    }

    fn on_applied(&mut self, result: &Result<(), String>) -> Reply {
        match result {
            Ok(()) => {
                let title = self.plan.as_ref().and_then(|p| p.as_ref().ok()).map_or("", |plan| &plan.title);
                let notice = Some(format!("done: {}", title.split_whitespace().collect::<Vec<_>>().join(" ")));
                Reply { go: vec![Go::Pop], notice, ..Reply::default() }
            }
            Err(why) => {
                self.stage = Stage::Failed(why.clone());
                Reply::none()
            }
        }
    }
}

/// An undo without a revision goes to the last that was ready.
fn with_revision(world: &World, intent: Intent) -> Intent {
    match intent {
        Intent::Undo { workload, to_revision: None } => {
            let revisions = changes::revisions(&world.snapshot, &workload);
            let to_revision = changes::undo_target(&revisions).map(|revision| revision.number);
            Intent::Undo { workload, to_revision }
        }
        other => other,
    }
}

fn risk_of(intent: &Intent) -> Risk {
    match intent {
        Intent::Undo { .. } | Intent::Scale { .. } => Risk::Safe,
        Intent::Restart { .. } | Intent::SetMemoryLimit { .. } | Intent::SetImage { .. } => Risk::Disruptive,
        Intent::Delete { force, object } => {
            if *force || matches!(&*object.kind, "Namespace" | "Node") { Risk::Destructive } else { Risk::Disruptive }
        }
        Intent::RemoveFinalizer { .. } => Risk::Destructive,
    }
}

/// The name that must be typed: the context's where contexts are protected, the object's for what destroys.
fn must_type(world: &World, intent: &Intent, risk: Risk) -> Option<String> {
    let context = world.connected().map(|info| &info.context).filter(|context| world.config.is_protected(context));
    match context {
        Some(context) => Some(context.clone()),
        None => (risk == Risk::Destructive).then(|| super::follow_up::object_of(intent).name.to_string()),
    }
}

impl Screen for Preview {
    fn places(&self, _world: &World) -> Vec<Place> {
        if self.typing.is_some() {
            vec![Place::Prompt]
        } else if matches!(self.intent, Intent::Delete { .. }) {
            vec![Place::Confirm]
        } else {
            vec![Place::Preview]
        }
    }

    fn on_action(&mut self, world: &World, hit: Hit) -> Option<Reply> {
        match hit.action {
            Action::Apply | Action::Accept => Some(self.confirm(world)),
            Action::Cancel => Some(Reply::pop()),
            Action::NextSuggestion => Some(self.choose(world, 1)),
            Action::PreviousSuggestion => Some(self.choose(world, -1)),
            Action::OtherChoice => {
                self.on_cancel = !self.on_cancel;
                Some(Reply::none())
            }
            _ => None,
        }
    }

    /// `j` and `k` are not in the table for dialogs, where nothing else moves.
    fn on_key(&mut self, world: &World, key: KeyEvent) -> Reply {
        if let Some((_, line)) = &mut self.typing {
            line.key(key);
            return Reply::none();
        }
        let moved = world.config.keymap.find(&[Place::Everywhere], &key).map(|hit| hit.action);
        match moved {
            Some(Action::Down) => self.choose(world, 1),
            Some(Action::Up) => self.choose(world, -1),
            Some(Action::Quit) => Reply::effects(vec![Effect::Quit]),
            _ => Reply::none(),
        }
    }

    fn on_paste(&mut self, _world: &World, text: &str) -> Reply {
        if let Some((_, line)) = &mut self.typing {
            line.paste(text);
        }
        Reply::none()
    }

    fn on_msg(&mut self, world: &World, msg: &Msg) -> Reply {
        match msg {
            Msg::Planned { intent, plan } if *intent == self.intent => self.on_planned(plan),
            Msg::Checked { intent, check } if *intent == self.intent => self.on_checked(world, check),
            Msg::Applied { intent, result, .. } if *intent == self.intent => self.on_applied(result),
            _ => Reply::none(),
        }
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
