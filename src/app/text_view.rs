//! A scrollable text: YAML, a description, help, an explanation. With search.

use crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::cockpit::moved;
use super::effect::Effect;
use super::filter::Filter;
use super::msg::ObjectText;
use super::state::State;
use super::view::View;
use super::{edit, keys};
use crate::config::{Action, Hit, Place};
use crate::diagnosis::{CauseId, rules};
use crate::kinds::ObjectRef;

/// Columns a step to the side moves.
const SIDE_STEP: usize = 20;

/// A text and what of it is visible.
#[derive(Debug, Default)]
pub struct TextView {
    /// Title: what it is, of what.
    pub title: String,
    /// Lines; `None` while they are being fetched.
    pub lines: Option<Result<Vec<String>, String>>,
    /// First visible line.
    pub offset: usize,
    /// Wrap long lines.
    pub wrap: bool,
    /// Columns cut off at the left.
    pub left: usize,
    /// The search being typed.
    pub typing: Option<Input>,
    /// What is searched for.
    pub search: Option<Filter>,
    /// The object shown, for fetches; `None` for help.
    pub object: Option<ObjectRef>,
    /// It is YAML, which knows `reveal`.
    pub is_yaml: bool,
    /// Secret values are shown.
    pub revealed: bool,
}

impl TextView {
    /// Places of its keys.
    pub fn places(&self) -> Vec<Place> {
        if self.is_yaml { vec![Place::Yaml, Place::Text] } else { vec![Place::Text] }
    }

    /// Which text of its object it shows.
    fn shows(&self) -> ObjectText {
        if self.is_yaml { ObjectText::Yaml { revealed: self.revealed } } else { ObjectText::Description }
    }

    /// The values of a Secret that it hides or shows; `None` where there are none.
    pub fn secret_values(&self) -> Option<bool> {
        (self.is_yaml && self.object.as_ref().is_some_and(|object| &*object.kind == "Secret")).then_some(self.revealed)
    }

    /// Pasted text goes to the search being typed.
    pub fn paste(&mut self, text: &str) {
        if let Some(typing) = &mut self.typing {
            *typing = typing.clone().with_value(format!("{}{text}", typing.value()));
        }
    }

    fn widest(&self) -> usize {
        match &self.lines {
            Some(Ok(lines)) => lines.iter().map(|line| line.chars().count()).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn len(&self) -> usize {
        match &self.lines {
            Some(Ok(lines)) => lines.len(),
            _ => 0,
        }
    }

    /// Moves to the next or previous line that matches.
    fn seek_match(&mut self, forward: bool) -> bool {
        let (Some(search), Some(Ok(lines))) = (&self.search, &self.lines) else { return false };
        let matches = |(_, line): &(usize, &String)| search.keeps(line);
        let found = if forward {
            lines.iter().enumerate().skip(self.offset + 1).find(matches)
        } else {
            lines.iter().enumerate().take(self.offset).rev().find(matches)
        };
        let Some((at, _)) = found else { return false };
        self.offset = at;
        true
    }
}

/// Opens an empty text for an object; its lines follow.
pub fn open_object(state: &mut State, object: &ObjectRef, what: &str) {
    let title = format!("{what}  {object}  {}", object.namespace);
    let view = TextView { title, object: Some(object.clone()), is_yaml: what == "YAML", ..TextView::default() };
    state.open(View::Text(Box::new(view)));
}

/// Opens the help of these places, generated from the key table.
pub fn open_help(state: &mut State, places: &[Place]) {
    let mut lines = Vec::new();
    for group in state.config.keymap.help(places) {
        lines.push(group.title.to_uppercase());
        let width = group.lines.iter().map(|(keys, _)| keys.chars().count()).max().unwrap_or(0);
        lines.extend(group.lines.iter().map(|(keys, does)| format!("  {keys:<width$}  {does}")));
        lines.push(String::new());
    }
    lines.push("Every key can be changed in config.toml; `k3am keys` prints this table.".to_owned());
    let view = TextView { title: "Help".to_owned(), lines: Some(Ok(lines)), ..TextView::default() };
    state.open(View::Text(Box::new(view)));
}

/// Opens the reasoning about the selected incident: what was checked, what matched, what was ruled out, what is unknown; then
/// the page of every rule that finds its cause.
pub fn open_explain(state: &mut State) -> Vec<Effect> {
    let Some(row) = state.incidents.selected() else {
        let lines = not_evaluated(state);
        if lines.is_empty() {
            state.notify(super::cockpit::NOTHING);
        } else {
            let title = "What could not be evaluated".to_owned();
            state.open(View::Text(Box::new(TextView { title, lines: Some(Ok(lines)), wrap: true, ..TextView::default() })));
        }
        return Vec::new();
    };
    let cause = row.incident.cause;
    let Some(object) = row.incident.workloads.first().or(row.incident.objects.first()).cloned() else { return Vec::new() };
    open_trace(state, &object, Some(cause))
}

/// Opens the reasoning about an object, with the pages of the rules that find `cause`.
pub fn open_trace(state: &mut State, object: &ObjectRef, cause: Option<CauseId>) -> Vec<Effect> {
    let mut lines = state.engine.trace(&state.snapshot, object, state.now).lines();
    for rule in rules::every().filter(|r| cause.is_some_and(|cause| r.causes.contains(&cause))) {
        lines.push(String::new());
        lines.push(format!("Rule {}", rule.name));
        lines.extend(rule.doc.lines().map(|line| format!("  {}", line.trim())));
    }
    lines.extend(not_evaluated(state));
    let what = cause.map_or_else(|| object.to_string(), |cause| cause.to_string());
    let view = TextView { title: format!("Explain  {what}"), lines: Some(Ok(lines)), wrap: true, ..TextView::default() };
    state.open(View::Text(Box::new(view)));
    Vec::new()
}

/// Rules that did not run, a line each; nothing when all did.
fn not_evaluated(state: &State) -> Vec<String> {
    let gaps = state.engine.not_evaluated();
    let heading = (!gaps.is_empty()).then(|| "Not evaluated".to_owned());
    heading.into_iter().chain(gaps.iter().map(|n| format!("  {}: {}", n.rule, n.why))).collect()
}

/// The text of an object arrived.
pub fn on_text(state: &mut State, object: &ObjectRef, which: ObjectText, text: Result<String, String>) -> Vec<Effect> {
    state.dirty = true;
    let views = state.views.iter_mut().rev().filter_map(|view| match view {
        View::Text(text) => Some(text),
        View::Logs | View::Table(_) | View::Timeline(_) => None,
    });
    if let Some(view) = views.into_iter().find(|v| v.object.as_ref() == Some(object) && v.shows() == which) {
        view.lines = Some(text.map(|text| text.lines().map(crate::text::clean_keeping_indent).collect()));
    }
    Vec::new()
}

/// A listing of a kind without a row arrived: shown as an aligned text.
pub fn on_listing(state: &mut State, plural: &str, table: Result<(Vec<String>, Vec<Vec<String>>), String>) -> Vec<Effect> {
    state.dirty = true;
    let lines = table.map(|(columns, rows)| aligned(&columns, &rows));
    let view = TextView { title: plural.to_owned(), lines: Some(lines), ..TextView::default() };
    state.open(View::Text(Box::new(view)));
    Vec::new()
}

/// Titles and rows in columns as wide as what stands in them.
pub fn aligned(columns: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = columns.iter().map(|c| c.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{:<width$}", crate::text::clean(cell)))
            .collect::<Vec<_>>()
            .join("  ")
    };
    std::iter::once(line(columns)).chain(rows.iter().map(|row| line(row))).collect()
}

/// Handles an action in a text.
pub fn on(state: &mut State, hit: Hit) -> Vec<Effect> {
    let page = usize::from(state.size.1).saturating_sub(4).max(1);
    let Some(View::Text(view)) = state.views.last_mut() else { return Vec::new() };
    match hit.action {
        Action::Down | Action::Up | Action::Top | Action::Bottom | Action::PageDown | Action::PageUp => {
            // Wrapped lines take more room than is known here: their last one can be brought to the top.
            let last = view.len().saturating_sub(if view.wrap { 1 } else { page });
            view.offset = moved(view.offset, hit.action, page, last);
        }
        Action::Left => view.left = view.left.saturating_sub(SIDE_STEP),
        Action::Right if view.left + SIDE_STEP < view.widest() => view.left += SIDE_STEP,
        Action::Wrap => view.wrap = !view.wrap,
        Action::Filter => view.typing = Some(Input::default()),
        Action::NextMatch => {
            view.seek_match(true);
        }
        Action::PreviousMatch => {
            view.seek_match(false);
        }
        Action::Edit => return view.object.clone().map(|object| edit::start(state, &object)).unwrap_or_default(),
        Action::Reveal => return reveal(state),
        Action::CopyName => {
            return vec![Effect::Copy(view.object.as_ref().map_or_else(|| view.title.clone(), |o| o.name.to_string()))];
        }
        Action::Save => return save(view),
        Action::Back if view.search.is_some() => view.search = None,
        Action::Back => return keys::leave(state),
        _ => {}
    }
    Vec::new()
}

fn reveal(state: &mut State) -> Vec<Effect> {
    let Some(View::Text(view)) = state.views.last_mut() else { return Vec::new() };
    let Some(object) = view.object.clone().filter(|_| view.secret_values().is_some()) else {
        state.notify("only a Secret has values to show or hide");
        return Vec::new();
    };
    view.revealed = !view.revealed;
    view.lines = None;
    vec![Effect::FetchYaml { object, reveal: view.revealed }]
}

/// What is revealed is never written to a file.
fn save(view: &TextView) -> Vec<Effect> {
    let Some(Ok(lines)) = view.lines.as_ref().filter(|_| !view.revealed) else { return Vec::new() };
    let name =
        view.object.as_ref().map_or_else(|| "text.txt".to_owned(), |o| format!("{}-{}.txt", o.kind.to_lowercase(), o.name));
    vec![Effect::Save { name, text: lines.join("\n") }]
}

/// Keys while a search is typed; `None` when none is.
pub fn on_search_key(state: &mut State, key: &KeyEvent) -> Option<Vec<Effect>> {
    let hit = state.config.keymap.find(&[Place::Prompt], key).map(|h| h.action);
    let Some(View::Text(view)) = state.views.last_mut() else { return None };
    let typing = view.typing.as_mut()?;
    match hit {
        Some(Action::Accept) => view.typing = None,
        Some(Action::Cancel) => (view.typing, view.search) = (None, None),
        _ => {
            typing.handle_event(&Event::Key(*key));
            view.search = Filter::parse(typing.value());
            view.offset = view.offset.saturating_sub(1);
            view.seek_match(true);
        }
    }
    Some(Vec::new())
}
