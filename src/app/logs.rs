//! The log of one container, full screen: follow, range, filter, search with context, marks. Lines live in [`super::feed`].
//!
//! `/` filters; `n` and `N` keep the context and walk from match to match of the same expression.

use crossterm::event::KeyEvent;

use super::feed::{Entry, Feed, FeedChange};
use super::filter::Filter;
use super::line::Line;
use super::log_choice::{LogChoice, TAIL};
use super::{Effect, Go, LogSpec, Reply, Screen, World};
use crate::config::{Action, Hit, Place};
use crate::kinds::ObjectRef;
use crate::text::Text;

/// How far back a log is read: keys 0 to 6.
pub const RANGES: &[(&str, Option<i64>)] = &[
    ("tail", None),
    ("head", None),
    ("1m", Some(60)),
    ("5m", Some(300)),
    ("15m", Some(900)),
    ("30m", Some(1_800)),
    ("1h", Some(3_600)),
];
const HEAD: usize = 1;

/// What the expression of `/` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Only lines it keeps are shown.
    Hide,
    /// Every line is shown; `n` and `N` walk from match to match.
    Search,
}

/// The view.
#[derive(Debug)]
pub struct Logs {
    /// Which container's run.
    pub choice: LogChoice,
    /// Index in [`RANGES`].
    pub range: usize,
    /// Time stamps are shown.
    pub timestamps: bool,
    /// Long lines wrap instead of being cut.
    pub wrap: bool,
    /// The lowest line shown; `None` follows the end.
    pub bottom: Option<u64>,
    /// The line the search stands on.
    pub found: Option<u64>,
    /// The expression, and what it does.
    pub filter: Option<(Filter, Use)>,
    /// The expression being typed.
    pub typing: Option<Line>,
    /// Why what is typed is not an expression.
    pub problem: Option<String>,
}

impl Logs {
    /// The view of that container's log.
    pub fn new(choice: LogChoice) -> Self {
        Self {
            choice,
            range: 0,
            timestamps: false,
            wrap: true,
            bottom: None,
            found: None,
            filter: None,
            typing: None,
            problem: None,
        }
    }

    /// The view with the filter line open.
    #[must_use]
    pub fn with_filter_open(mut self) -> Self {
        self.typing = Some(Line::default());
        self
    }

    /// The stream it shows.
    pub fn spec(&self) -> LogSpec {
        let (_, since_seconds) = RANGES.get(self.range).copied().unwrap_or(("tail", None));
        let from_end = since_seconds.is_none() && self.range != HEAD;
        let spec = self.choice.spec();
        let follow = spec.follow && self.range != HEAD;
        LogSpec { since_seconds, follow, tail: from_end.then_some(TAIL), ..spec }
    }

    /// True for lines that are shown.
    pub fn shows(&self, entry: &Entry) -> bool {
        match (&self.filter, entry) {
            (Some((filter, Use::Hide)), Entry::Line { line, .. }) => filter.keeps(&line.text),
            _ => true,
        }
    }

    /// The nearest shown line before `from`, going back.
    pub fn shown_before(&self, feed: &Feed, from: u64) -> Option<u64> {
        (feed.first()..from).rev().find(|number| feed.get(*number).is_some_and(|entry| self.shows(entry)))
    }

    /// The nearest shown line at or after `from`.
    pub fn shown_from(&self, feed: &Feed, from: u64) -> Option<u64> {
        (from.max(feed.first())..feed.end()).find(|number| feed.get(*number).is_some_and(|entry| self.shows(entry)))
    }

    fn page(world: &World) -> usize {
        usize::from(world.size.1.saturating_sub(6)).max(1)
    }

    fn up(&mut self, feed: &Feed, lines: usize) {
        let mut at = self.bottom.unwrap_or_else(|| feed.end().saturating_sub(1));
        for _ in 0..lines {
            let Some(before) = self.shown_before(feed, at) else { break };
            at = before;
        }
        self.bottom = Some(at.max(feed.first()));
    }

    fn down(&mut self, feed: &Feed, lines: usize) {
        let Some(mut at) = self.bottom else { return };
        for _ in 0..lines {
            match self.shown_from(feed, at + 1) {
                Some(next) => at = next,
                None => {
                    self.bottom = None;
                    return;
                }
            }
        }
        self.bottom = Some(at);
    }

    /// Shows `number` a third down the screen.
    fn show(&mut self, world: &World, number: u64) {
        self.bottom = Some((number + Self::page(world) as u64 * 2 / 3).min(world.feed.end().saturating_sub(1)));
        self.found = Some(number);
    }

    fn search(&mut self, world: &World, forward: bool) -> Reply {
        let Some((filter, how)) = self.filter.as_mut() else { return Reply::notice("nothing to search for: / first") };
        *how = Use::Search;
        let filter = filter.clone();
        let feed = &world.feed;
        let keeps =
            |n: &u64| matches!(feed.get(*n), Some(Entry::Line { line, .. }) if filter.keeps(&line.text) && !line.text.is_empty());
        let next = match (forward, self.found) {
            (true, Some(at)) => (at + 1..feed.end()).find(keeps),
            (true, None) => (feed.first()..feed.end()).find(keeps),
            (false, at) => (feed.first()..at.unwrap_or(feed.end())).rev().find(keeps),
        };
        match next {
            Some(number) => {
                self.show(world, number);
                Reply::none()
            }
            None => Reply::notice(if forward { "no match below" } else { "no match above" }),
        }
    }

    fn first_error(&mut self, world: &World) -> Reply {
        match world.feed.first_error() {
            Some(number) => {
                self.show(world, number);
                Reply::none()
            }
            None => Reply::notice("no error in what was read"),
        }
    }

    fn next_container(&mut self, world: &World) -> Reply {
        let Some(pod) = world.snapshot.pods.named(&self.choice.namespace, &self.choice.pod) else {
            return Reply::notice("the pod is gone");
        };
        let names: Vec<&Text> = pod.spec.all_containers().map(|c| &c.name).collect();
        let at = names.iter().position(|name| **name == self.choice.container).unwrap_or(0);
        match names.get((at + 1) % names.len().max(1)) {
            Some(name) if names.len() > 1 => {
                self.choice.container = (*name).clone();
                self.choice.note = None;
                self.restart()
            }
            _ => Reply::notice("the pod has one container"),
        }
    }

    /// Reads anew: another container, run or range.
    fn restart(&mut self) -> Reply {
        self.bottom = None;
        self.found = None;
        Reply::none()
    }

    fn typed(&mut self) {
        let Some(line) = &self.typing else { return };
        match Filter::parse(line.text()) {
            Ok(filter) => {
                self.problem = None;
                self.filter = filter.map(|filter| (filter, Use::Hide));
            }
            Err(problem) => self.problem = Some(problem),
        }
    }

    fn on_typing(&mut self, hit: Hit) -> Option<Reply> {
        match hit.action {
            Action::Accept => {
                self.typed();
                if self.problem.is_none() {
                    self.typing = None;
                }
            }
            Action::Cancel => {
                self.typing = None;
                self.problem = None;
                self.filter = None;
            }
            _ => return None,
        }
        Some(Reply::none())
    }

    fn scroll(&mut self, world: &World, action: Action) -> bool {
        let feed = &world.feed;
        match action {
            Action::Down => self.down(feed, 1),
            Action::Up => self.up(feed, 1),
            Action::PageDown => self.down(feed, Self::page(world)),
            Action::PageUp => self.up(feed, Self::page(world)),
            Action::Top => self.bottom = Some(feed.first()),
            Action::Bottom => self.bottom = None,
            _ => return false,
        }
        true
    }
}

impl Screen for Logs {
    fn places(&self, _world: &World) -> Vec<Place> {
        if self.typing.is_some() { vec![Place::Prompt] } else { vec![Place::Logs] }
    }

    fn on_action(&mut self, world: &World, hit: Hit) -> Option<Reply> {
        if self.typing.is_some() {
            return self.on_typing(hit);
        }
        if self.scroll(world, hit.action) {
            return Some(Reply::none());
        }
        let reply = match hit.action {
            Action::LogRange => {
                self.range = hit.nth.min(RANGES.len() - 1);
                let reply = self.restart();
                self.bottom = (self.range == HEAD).then_some(0);
                reply
            }
            Action::Follow => {
                self.bottom = if self.bottom.is_some() { None } else { Some(world.feed.end().saturating_sub(1)) };
                Reply::none()
            }
            Action::PreviousRun => {
                self.choice.previous = !self.choice.previous;
                self.choice.note = None;
                self.restart()
            }
            Action::ChooseContainer | Action::AllContainers => self.next_container(world),
            Action::FirstError => self.first_error(world),
            Action::Timestamps => {
                self.timestamps = !self.timestamps;
                Reply::none()
            }
            Action::Wrap => {
                self.wrap = !self.wrap;
                Reply::none()
            }
            Action::MarkLine => Reply { feed: Some(FeedChange::Mark), ..Reply::default() },
            Action::ClearLog => Reply { feed: Some(FeedChange::Clear), ..Reply::default() },
            Action::NextMatch => self.search(world, true),
            Action::PreviousMatch => self.search(world, false),
            Action::Filter => {
                self.typing = Some(Line::new(self.filter.as_ref().map_or("", |(filter, _)| &filter.text)));
                Reply::none()
            }
            Action::Back if self.filter.is_some() => {
                self.filter = None;
                self.found = None;
                Reply::none()
            }
            Action::Zoom => Reply { go: vec![Go::Pop], ..Reply::default() },
            Action::Save => Reply::effects(vec![save(world, &self.choice)]),
            _ => return None,
        };
        Some(reply)
    }

    fn on_key(&mut self, _world: &World, key: KeyEvent) -> Reply {
        if self.typing.as_mut().is_some_and(|line| line.key(key)) {
            self.typed();
        }
        Reply::none()
    }

    fn on_paste(&mut self, _world: &World, text: &str) -> Reply {
        if let Some(line) = &mut self.typing {
            line.paste(text);
            self.typed();
        }
        Reply::none()
    }

    fn selected(&self, _world: &World) -> Option<ObjectRef> {
        Some(ObjectRef::new("Pod", &self.choice.namespace, &self.choice.pod))
    }

    fn log_spec(&self) -> Option<LogSpec> {
        Some(self.spec())
    }
}

fn save(world: &World, choice: &LogChoice) -> Effect {
    let feed = &world.feed;
    let mut text = String::new();
    for number in feed.first()..feed.end() {
        if let Some(Entry::Line { line, .. }) = feed.get(number) {
            if let Some(at) = line.at {
                text.push_str(&at.to_rfc3339());
                text.push(' ');
            }
            text.push_str(&line.text);
            text.push('\n');
        }
    }
    Effect::Save { name: format!("{}-{}.log", choice.pod, choice.container), text }
}
