//! The log: a bounded ring of lines of one stream, with filter, search and what of it is visible.

use std::collections::VecDeque;

use crossterm::event::KeyEvent;
use regex::{Regex, RegexBuilder};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::effect::{Effect, LogSpec};
use super::keys;
use super::msg::LogBatch;
use super::state::State;
use super::view::View;
use crate::config::{Action, Hit, Place};
use crate::snapshot::LogLine;

/// Lines kept.
pub const KEEP: usize = 10_000;
/// The ranges of keys 0 to 6: seconds, or none for tail and head.
const RANGES: [Option<i64>; 7] = [None, None, Some(60), Some(300), Some(900), Some(1800), Some(3600)];

/// The log stream and how it is looked at.
#[derive(Debug, Default)]
pub struct Logs {
    /// Which log.
    pub spec: Option<LogSpec>,
    /// Why this one: `the run that crashed`, ...
    pub why: String,
    /// Lines, oldest first.
    pub lines: VecDeque<LogLine>,
    /// Lines that did not fit, or were dropped because we were slow.
    pub dropped: u64,
    /// Why no more will come.
    pub ended: Option<String>,
    /// Lines from the end that are scrolled away; 0 follows.
    pub scrolled: usize,
    /// Show the kubelet's time stamps.
    pub timestamps: bool,
    /// Wrap long lines.
    pub wrap: bool,
    /// The search or filter being typed.
    pub typing: Option<Input>,
    /// What is filtered by.
    pub filter: Option<Filter>,
    stream: u64,
}

/// A filter on lines.
#[derive(Debug, Clone)]
pub struct Filter {
    /// As typed.
    pub text: String,
    /// Lines that do not match are shown.
    pub inverse: bool,
    /// What lines must match; the text itself when it is no regular expression.
    pub regex: Regex,
}

impl Filter {
    /// From what was typed: a regex, or `!regex` for its inverse. Text that is no regex is taken literally.
    pub fn parse(text: &str) -> Option<Self> {
        let (inverse, pattern) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        if pattern.is_empty() {
            return None;
        }
        let build = |p: &str| RegexBuilder::new(p).case_insensitive(true).build().ok();
        let regex = build(pattern).or_else(|| build(&regex::escape(pattern)))?;
        Some(Self { text: text.to_owned(), inverse, regex })
    }

    /// True when a line is shown.
    pub fn shows(&self, line: &str) -> bool {
        self.regex.is_match(line) != self.inverse
    }
}

/// How serious a line says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// ERROR, CRITICAL, FATAL, a traceback's head or its last line.
    Error,
    /// WARN, WARNING.
    Warning,
    /// INFO.
    Info,
    /// DEBUG, TRACE.
    Debug,
    /// It does not say.
    None,
}

/// Reads the level off a line, by the words loggers write.
pub fn level(line: &str) -> Level {
    let head: String = line.chars().take(120).collect();
    let has = |words: &[&str]| words.iter().any(|w| head.contains(w));
    if has(&["ERROR", "CRITICAL", "FATAL", "PANIC", "panic:", "Traceback", "\"level\":\"error\"", "level=error"])
        || is_exception(line)
    {
        Level::Error
    } else if has(&["WARN", "\"level\":\"warn", "level=warn"]) {
        Level::Warning
    } else if has(&["INFO", "\"level\":\"info", "level=info"]) {
        Level::Info
    } else if has(&["DEBUG", "TRACE", "level=debug"]) {
        Level::Debug
    } else {
        Level::None
    }
}

/// `package.SomeError: text`, the line a traceback ends with.
fn is_exception(line: &str) -> bool {
    let Some((name, _)) = line.split_once(':') else { return false };
    (name.ends_with("Error") || name.ends_with("Exception")) && !name.contains(' ')
}

impl Logs {
    /// Follows what the selection wants, unless a log was opened by hand (`automatic` false).
    pub fn follow(&mut self, wanted: Option<&(LogSpec, String)>, automatic: bool) -> Vec<Effect> {
        match wanted {
            _ if !automatic => Vec::new(),
            Some((spec, _)) if self.spec.as_ref() == Some(spec) => Vec::new(),
            Some((spec, why)) => self.open(spec.clone(), why),
            None if self.spec.is_none() => Vec::new(),
            None => {
                self.reset(None, "");
                vec![Effect::StopLog]
            }
        }
    }

    /// Opens a log, dropping the one before.
    pub fn open(&mut self, spec: LogSpec, why: &str) -> Vec<Effect> {
        self.reset(Some(spec.clone()), why);
        vec![Effect::FollowLog { stream: self.stream, spec }]
    }

    fn reset(&mut self, spec: Option<LogSpec>, why: &str) {
        self.stream += 1;
        self.spec = spec;
        why.clone_into(&mut self.why);
        self.lines.clear();
        self.dropped = 0;
        self.ended = None;
        self.scrolled = 0;
    }

    /// Takes a batch of the current stream; false when it is of an older one.
    pub fn take(&mut self, stream: u64, batch: LogBatch) -> bool {
        if stream != self.stream {
            return false;
        }
        if self.scrolled > 0 {
            self.scrolled += batch.lines.iter().filter(|l| self.filter.as_ref().is_none_or(|f| f.shows(&l.text))).count();
        }
        self.lines.extend(batch.lines);
        while self.lines.len() > KEEP {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.dropped += batch.dropped;
        self.ended = batch.ended.or(self.ended.take());
        true
    }

    /// Lines that the filter shows, oldest first.
    pub fn shown(&self) -> impl DoubleEndedIterator<Item = &LogLine> {
        self.lines.iter().filter(|line| self.filter.as_ref().is_none_or(|f| f.shows(&line.text)))
    }

    /// Moves the visible part.
    pub fn scroll(&mut self, action: Action, page: usize) {
        let last = self.shown().count().saturating_sub(1);
        let to = match action {
            Action::Up => self.scrolled.saturating_add(1),
            Action::Down => self.scrolled.saturating_sub(1),
            Action::PageUp => self.scrolled.saturating_add(page),
            Action::PageDown => self.scrolled.saturating_sub(page),
            Action::Top => last,
            Action::Bottom => 0,
            _ => self.scrolled,
        };
        self.scrolled = to.min(last);
    }

    /// Scrolls to the first error line.
    pub fn to_first_error(&mut self) -> bool {
        let shown: Vec<&LogLine> = self.shown().collect();
        let Some(at) = shown.iter().position(|line| level(&line.text) == Level::Error) else { return false };
        self.scrolled = shown.len().saturating_sub(at + 3);
        true
    }
}

/// Handles an action in the log pane or view.
pub fn on(state: &mut State, hit: Hit) -> Vec<Effect> {
    let page = usize::from(state.size.1).saturating_sub(4).max(1);
    match hit.action {
        Action::Follow => state.logs.scrolled = usize::from(state.logs.scrolled == 0),
        Action::Timestamps => state.logs.timestamps = !state.logs.timestamps,
        Action::Wrap => state.logs.wrap = !state.logs.wrap,
        Action::ClearLog => state.logs.lines.clear(),
        Action::Filter => state.logs.typing = Some(Input::default()),
        Action::FirstError => first_error(state),
        Action::PreviousRun => return change(state, |spec| (spec.previous, spec.follow) = (!spec.previous, spec.previous)),
        Action::ChooseContainer | Action::AllContainers => return next_container(state),
        Action::LogRange => return range(state, hit.nth),
        Action::MarkLine => mark(state),
        Action::CopyName => return state.logs.spec.iter().map(|spec| Effect::Copy(spec.pod.to_string())).collect(),
        Action::Save => return save(state),
        Action::NextMatch => state.logs.scroll(Action::Down, page),
        Action::PreviousMatch => state.logs.scroll(Action::Up, page),
        Action::Back if state.logs.filter.is_some() => state.logs.filter = None,
        Action::Back => return keys::leave(state),
        Action::Down | Action::Up | Action::Top | Action::Bottom | Action::PageDown | Action::PageUp => {
            state.logs.scroll(hit.action, page);
        }
        _ => {}
    }
    Vec::new()
}

fn first_error(state: &mut State) {
    if !state.logs.to_first_error() {
        state.notify("no error line in what is shown");
    }
}

fn mark(state: &mut State) {
    state
        .logs
        .lines
        .push_back(LogLine { at: Some(state.now), text: "──────── mark ────────".into() });
}

fn change(state: &mut State, edit: impl FnOnce(&mut LogSpec)) -> Vec<Effect> {
    let Some(mut spec) = state.logs.spec.clone() else { return Vec::new() };
    edit(&mut spec);
    state.logs.open(spec, "chosen with the key")
}

/// The next container of the pod, init containers included.
fn next_container(state: &mut State) -> Vec<Effect> {
    let Some(spec) = &state.logs.spec else { return Vec::new() };
    let Some(pod) = state.snapshot.pods.named(&spec.namespace, &spec.pod) else { return Vec::new() };
    let names: Vec<_> = pod.spec.all_containers().map(|c| c.name.clone()).collect();
    let at = names.iter().position(|n| *n == spec.container).unwrap_or(0);
    match names.get((at + 1) % names.len().max(1)) {
        Some(next) if *next != spec.container => change(state, |spec| spec.container = next.clone()),
        _ => {
            state.notify("the pod has one container");
            Vec::new()
        }
    }
}

fn range(state: &mut State, nth: usize) -> Vec<Effect> {
    let since = RANGES.get(nth).copied().flatten();
    change(state, |spec| {
        spec.since_seconds = since;
        spec.tail = if nth == 0 { Some(500) } else { None };
    })
}

fn save(state: &mut State) -> Vec<Effect> {
    let Some(spec) = &state.logs.spec else { return Vec::new() };
    let text: String = state.logs.shown().flat_map(|line| [&*line.text, "\n"]).collect();
    vec![Effect::Save { name: format!("{}-{}.log", spec.pod, spec.container), text }]
}

/// Keys while a filter is typed; `None` when none is.
pub fn on_search_key(state: &mut State, key: &KeyEvent) -> Option<Vec<Effect>> {
    let visible =
        matches!(state.views.last(), Some(View::Logs)) || (state.views.is_empty() && state.cockpit.focus == super::Pane::Logs);
    if !visible || state.logs.typing.is_none() {
        return None;
    }
    let hit = state.config.keymap.find(&[Place::Prompt], key);
    match hit.map(|h| h.action) {
        Some(Action::Accept) => state.logs.typing = None,
        Some(Action::Cancel) => (state.logs.typing, state.logs.filter) = (None, None),
        _ => {
            let input = state.logs.typing.as_mut()?;
            input.handle_event(&crossterm::event::Event::Key(*key));
            state.logs.filter = Filter::parse(input.value());
            state.logs.scrolled = 0;
        }
    }
    Some(Vec::new())
}
