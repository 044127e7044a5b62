//! Lists to choose from: contexts, namespaces. What is typed narrows the list, Enter takes the chosen line.

use crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::effect::Effect;
use super::prompt;
use super::state::{ConnectionState, State};
use crate::config::{Action, Place};

/// What is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A context of the kubeconfig.
    Context,
    /// A namespace, or all.
    Namespace,
}

/// An open list.
#[derive(Debug)]
pub struct Picker {
    /// What is chosen.
    pub what: What,
    /// What narrows it.
    pub input: Input,
    /// Position of the chosen line among [`lines`].
    pub at: usize,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What is taken.
    pub name: String,
    /// What is said beside it.
    pub about: String,
    /// The one in use.
    pub current: bool,
}

impl Picker {
    /// Opens a list, with the one in use chosen.
    pub fn open(state: &mut State, what: What) -> Vec<Effect> {
        let mut picker = Self { what, input: Input::default(), at: 0 };
        picker.at = lines(state, &picker).iter().position(|line| line.current).unwrap_or(0);
        state.picker = Some(picker);
        match what {
            What::Context => vec![Effect::ListContexts],
            What::Namespace => Vec::new(),
        }
    }
}

/// The lines that fit what is typed.
pub fn lines(state: &State, picker: &Picker) -> Vec<Line> {
    let typed = picker.input.value().to_lowercase();
    let all = match picker.what {
        What::Context => contexts(state),
        What::Namespace => namespaces(state),
    };
    all.into_iter().filter(|line| line.name.to_lowercase().contains(&typed)).collect()
}

fn contexts(state: &State) -> Vec<Line> {
    let in_use = match &state.connection {
        ConnectionState::Connected(info) => Some(info.context.as_str()),
        _ => None,
    };
    let line = |c: &super::msg::ContextInfo| Line {
        name: c.name.clone(),
        about: match &c.namespace {
            Some(namespace) => format!("{}  {namespace}", c.cluster),
            None => c.cluster.clone(),
        },
        current: in_use.map_or(c.current, |name| name == c.name),
    };
    state.contexts.iter().map(line).collect()
}

fn namespaces(state: &State) -> Vec<Line> {
    let watched: &[String] = match &state.connection {
        ConnectionState::Connected(info) => &info.namespaces,
        _ => &[],
    };
    let all = Line { name: "all".to_owned(), about: "all namespaces".to_owned(), current: watched.is_empty() };
    let mut names: Vec<String> = state.snapshot.namespaces.keys().map(|key| key.name.to_string()).collect();
    // Who may not list namespaces still gets the ones that were asked for, and the favourites.
    for name in watched.iter().chain(&state.config.favourite_namespaces) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let line = |name: String| {
        let pods = state.snapshot.pods.in_namespace(&name).count();
        Line { about: if pods == 0 { String::new() } else { format!("{pods} pods") }, current: watched.contains(&name), name }
    };
    std::iter::once(all).chain(names.into_iter().map(line)).collect()
}

/// Who may not list namespaces can still say which one to look at.
pub fn may_be_typed(state: &State, what: What) -> bool {
    what == What::Namespace && state.snapshot.namespaces.is_empty()
}

/// Keys while a list is open; `None` when none is.
pub fn on_key(state: &mut State, key: &KeyEvent) -> Option<Vec<Effect>> {
    let hit = state.config.keymap.find(&[Place::Prompt], key).map(|h| h.action);
    let found = lines(state, state.picker.as_ref()?);
    let picker = state.picker.as_mut()?;
    let last = found.len().saturating_sub(1);
    match hit {
        Some(Action::Cancel) => state.picker = None,
        Some(Action::NextSuggestion | Action::Complete) => picker.at = if picker.at >= last { 0 } else { picker.at + 1 },
        Some(Action::PreviousSuggestion) => picker.at = if picker.at == 0 { last } else { picker.at - 1 },
        Some(Action::Accept) => {
            let what = picker.what;
            let typed = picker.input.value().trim().to_owned();
            let named = found.get(picker.at.min(last)).map(|line| line.name.clone());
            let Some(name) = named.or_else(|| may_be_typed(state, what).then_some(typed).filter(|name| !name.is_empty())) else {
                return Some(Vec::new());
            };
            state.picker = None;
            return Some(match what {
                What::Context => vec![Effect::SwitchContext(name)],
                What::Namespace => prompt::switch_namespace(state, &name),
            });
        }
        _ => {
            picker.input.handle_event(&Event::Key(*key));
            picker.at = 0;
        }
    }
    Some(Vec::new())
}
