//! The log: a bounded ring of lines of one stream, with filter, search and what of it is visible.
//!
//! `/` hides what does not match; `n` and `N` bring the rest back and walk from match to match. Lines are numbered for as long
//! as they are kept, so what a search stands on survives what falls out of the ring.

use std::collections::VecDeque;

use crossterm::event::KeyEvent;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::effect::{Effect, LogSpec};
use super::keys;
use super::level::{Level, Levels};
use super::msg::LogBatch;
use super::state::State;
use super::view::View;
use crate::config::{Action, Hit, Place};
use crate::text::{Text, Time};

pub use super::filter::Filter;

/// Lines kept.
pub const KEEP: usize = 10_000;
/// The ranges of keys 0 to 6: seconds, or none for tail and head.
const RANGES: [Option<i64>; 7] = [None, None, Some(60), Some(300), Some(900), Some(1800), Some(3600)];

/// The index of `head` in it.
const HEAD: usize = 1;

/// A line and how bad it is; the level is read once, when it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Time stamp of the kubelet, when known.
    pub at: Option<Time>,
    /// The line, cleaned.
    pub text: Text,
    /// How bad it is.
    pub level: Level,
}

/// The log stream and how it is looked at.
#[derive(Debug, Default)]
pub struct Logs {
    /// Which log.
    pub spec: Option<LogSpec>,
    /// Why this one: `the run that crashed`, ...
    pub why: String,
    /// Lines, oldest first.
    pub lines: VecDeque<Entry>,
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
    /// What is filtered by, or searched for.
    pub filter: Option<Filter>,
    /// Every line is shown, and `n` walks from match to match.
    pub searching: bool,
    /// Number of the line the search stands on.
    pub found: Option<u64>,
    /// What the selection wanted when another log was chosen by hand in the cockpit: kept until it wants another one.
    pub by_hand: Option<LogSpec>,
    stream: u64,
    first: u64,
    levels: Levels,
    first_error: Option<u64>,
}

impl Logs {
    /// Follows what the selection wants, unless a log was opened by hand (`automatic` false).
    pub fn follow(&mut self, wanted: Option<&(LogSpec, String)>, automatic: bool) -> Vec<Effect> {
        let wants = wanted.map(|(spec, _)| spec);
        if self.by_hand.is_some() && self.by_hand.as_ref() == wants {
            return Vec::new();
        }
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

    /// Number of the stream on screen: lines of others are ignored.
    pub fn stream(&self) -> u64 {
        self.stream
    }

    fn reset(&mut self, spec: Option<LogSpec>, why: &str) {
        self.stream += 1;
        self.spec = spec;
        why.clone_into(&mut self.why);
        self.lines.clear();
        self.dropped = 0;
        self.ended = None;
        self.scrolled = 0;
        self.found = None;
        self.by_hand = None;
        self.levels = Levels::default();
        self.first_error = None;
    }

    /// Takes a batch of the current stream; false when it is of an older one.
    pub fn take(&mut self, stream: u64, batch: LogBatch) -> bool {
        if stream != self.stream {
            return false;
        }
        for line in batch.lines {
            let level = self.levels.next(&line.text);
            if level == Level::Error && self.first_error.is_none() {
                self.first_error = Some(self.end());
            }
            self.push(Entry { at: line.at, text: line.text, level });
        }
        self.dropped += batch.dropped;
        self.ended = batch.ended.or(self.ended.take());
        true
    }

    fn push(&mut self, entry: Entry) {
        if self.lines.len() == KEEP {
            self.dropped += 1;
            if self.is_head() {
                return;
            }
            self.lines.pop_front();
            self.first += 1;
        }
        if self.scrolled > 0 && self.shows(&entry) {
            self.scrolled += 1;
        }
        self.lines.push_back(entry);
    }

    /// Asked for the beginning of a log, the first lines stay, else the last ones.
    fn is_head(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.tail.is_none() && spec.since_seconds.is_none())
    }

    fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn shows(&self, entry: &Entry) -> bool {
        self.searching || self.filter.as_ref().is_none_or(|f| f.keeps(&entry.text))
    }

    /// Lines that are shown, oldest first, with their numbers.
    pub fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &Entry)> {
        let first = self.first;
        self.lines.iter().enumerate().map(move |(at, entry)| (first + at as u64, entry)).filter(|(_, entry)| self.shows(entry))
    }

    /// Lines that are shown, oldest first.
    pub fn shown(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.lines.iter().filter(|entry| self.shows(entry))
    }

    /// The level of the line of that number, while it is kept.
    pub fn level_of(&self, number: u64) -> Option<Level> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.lines.get(at).map(|entry| entry.level)
    }

    /// Scrolls so that line `number` stands in the upper third of a page.
    fn show(&mut self, number: u64, page: usize) {
        let below = self.numbered().rev().take_while(|(n, _)| *n > number).count();
        self.scrolled = below.saturating_sub(page * 2 / 3);
        self.found = Some(number);
    }

    /// Goes to the next or previous match, with everything around it shown. False when there is none.
    fn walk(&mut self, forward: bool, page: usize) -> bool {
        let Some(filter) = self.filter.clone() else { return false };
        self.searching = true;
        let found = self.found;
        let next = {
            let mut all = self.numbered().filter(|(_, entry)| filter.keeps(&entry.text)).map(|(number, _)| number);
            match (forward, found) {
                (true, Some(at)) => all.find(|number| *number > at),
                (true, None) => all.next(),
                (false, Some(at)) => all.take_while(|number| *number < at).last(),
                (false, None) => all.next_back(),
            }
        };
        let Some(number) = next else { return false };
        self.show(number, page);
        true
    }

    /// Shows everything again; the line the search stood on stays in sight.
    fn unfilter(&mut self) {
        (self.filter, self.searching, self.found) = (None, false, None);
    }

    /// Forgets what is shown; the stream goes on.
    fn clear(&mut self) {
        self.first = self.end();
        self.lines.clear();
        (self.scrolled, self.found, self.first_error) = (0, None, None);
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

    /// Scrolls to the first error of the run, while it is kept.
    pub fn to_first_error(&mut self, page: usize) -> bool {
        let Some(number) = self.first_error.filter(|number| *number >= self.first) else { return false };
        if !self.searching {
            self.filter = None;
        }
        self.show(number, page);
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
        Action::ClearLog => state.logs.clear(),
        Action::Filter => {
            let text = state.logs.filter.as_ref().map(|f| f.text.clone()).unwrap_or_default();
            state.logs.typing = Some(Input::new(text));
        }
        Action::FirstError => first_error(state, page),
        Action::PreviousRun => return change(state, |spec| (spec.previous, spec.follow) = (!spec.previous, spec.previous)),
        Action::ChooseContainer | Action::AllContainers => return next_container(state),
        Action::LogRange => return range(state, hit.nth),
        Action::MarkLine => mark(state),
        Action::CopyName => return state.logs.spec.iter().map(|spec| Effect::Copy(spec.pod.to_string())).collect(),
        Action::Save => return save(state),
        Action::NextMatch => search(state, true, page),
        Action::PreviousMatch => search(state, false, page),
        Action::Zoom if state.views.is_empty() => state.cockpit.zoomed = !state.cockpit.zoomed,
        Action::Back if state.logs.filter.is_some() => state.logs.unfilter(),
        Action::Zoom | Action::Back => return keys::leave(state),
        Action::Down | Action::Up | Action::Top | Action::Bottom | Action::PageDown | Action::PageUp => {
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
    state.logs.push(Entry { at: Some(state.now), text: line.into(), level: Level::Plain });
}

fn change(state: &mut State, edit: impl FnOnce(&mut LogSpec)) -> Vec<Effect> {
    let Some(mut spec) = state.logs.spec.clone() else { return Vec::new() };
    edit(&mut spec);
    let by_hand = state.follow.log.as_ref().map(|(spec, _)| spec.clone());
    let effects = state.logs.open(spec, "chosen by key");
    state.logs.by_hand = by_hand;
    effects
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
        spec.follow = !spec.previous && nth != HEAD;
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
        Some(Action::Cancel) => {
            state.logs.typing = None;
            state.logs.unfilter();
        }
        _ => {
            let input = state.logs.typing.as_mut()?;
            input.handle_event(&crossterm::event::Event::Key(*key));
            state.logs.filter = Filter::parse(input.value());
            (state.logs.searching, state.logs.found, state.logs.scrolled) = (false, None, 0);
        }
    }
    Some(Vec::new())
}
