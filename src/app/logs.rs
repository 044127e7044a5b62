//! The log: a bounded ring of lines of one stream, with filter, search and what of it is visible.
//!
//! `/` hides what does not match; `n` and `N` bring the rest back and walk from match to match. Lines are numbered for as long
//! as they are kept, so what a search stands on survives what falls out of the ring.

//! Several containers of a pod can be merged: their lines stand in the order of their time stamps, each with its container.

use std::collections::{BTreeMap, VecDeque};

use tui_input::Input;

use super::effect::Effect;
use super::level::{Level, Levels};
use crate::config::Action;
use crate::snapshot::{LogBatch, LogSpec};
use crate::text::{Text, Time};

mod field;
pub mod keys;

pub use super::filter::Filter;
pub use keys::{on, on_search_key};

/// Lines kept.
pub const KEEP: usize = 10_000;
/// Columns a step to the side moves.
const SIDE_STEP: usize = 20;

/// A line and how bad it is; the level is read once, when it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Time stamp of the kubelet, when known.
    pub at: Option<Time>,
    /// The line, cleaned.
    pub text: Text,
    /// How bad it is.
    pub level: Level,
    /// Which container wrote it, where several are merged.
    pub container: Option<Text>,
}

/// What a log view shows: one container, or several of its pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The log.
    pub spec: LogSpec,
    /// Other containers of the pod, merged into it.
    pub also: Vec<Text>,
}

/// The log stream and how it is looked at.
#[derive(Debug, Default)]
pub struct Logs {
    /// Which log.
    pub spec: Option<LogSpec>,
    /// Other containers of the pod, merged into it.
    pub also: Vec<Text>,
    /// Labels of the pod, for a filter that asks for them.
    pub labels: BTreeMap<Text, Text>,
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
    /// Columns cut off at the left.
    pub left: usize,
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
    levels: BTreeMap<Text, Levels>,
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
                self.reset(None, Vec::new(), "");
                vec![Effect::StopLog]
            }
        }
    }

    /// Opens a log, dropping the one before.
    pub fn open(&mut self, spec: LogSpec, why: &str) -> Vec<Effect> {
        self.open_source(Source { spec, also: Vec::new() }, why)
    }

    /// Opens the log of one or several containers, dropping the one before.
    pub fn open_source(&mut self, Source { spec, also }: Source, why: &str) -> Vec<Effect> {
        self.reset(Some(spec.clone()), also.clone(), why);
        vec![Effect::FollowLog { stream: self.stream, spec, also }]
    }

    /// What is shown, to come back to.
    pub fn source(&self) -> Option<Source> {
        Some(Source { spec: self.spec.clone()?, also: self.also.clone() })
    }

    /// Number of the stream on screen: lines of others are ignored.
    pub fn stream(&self) -> u64 {
        self.stream
    }

    fn reset(&mut self, spec: Option<LogSpec>, also: Vec<Text>, why: &str) {
        self.stream += 1;
        (self.spec, self.also, self.left) = (spec, also, 0);
        why.clone_into(&mut self.why);
        self.lines.clear();
        self.dropped = 0;
        self.ended = None;
        self.scrolled = 0;
        self.found = None;
        self.by_hand = None;
        self.levels.clear();
        self.first_error = None;
    }

    /// Takes a batch of the current stream; false when it is of an older one.
    pub fn take(&mut self, stream: u64, batch: LogBatch) -> bool {
        if stream != self.stream {
            return false;
        }
        let container = (!self.also.is_empty()).then(|| batch.container.clone());
        let levels = self.levels.entry(batch.container).or_default();
        let read: Vec<Entry> = batch
            .lines
            .into_iter()
            .map(|line| Entry { level: levels.next(&line.text), at: line.at, text: line.text, container: container.clone() })
            .collect();
        for entry in read {
            self.push(entry);
        }
        self.dropped += batch.dropped;
        self.ended = batch.ended.or(self.ended.take());
        true
    }

    /// Adds a line: at the end, or where its time stamp belongs among those of other containers.
    pub(super) fn push(&mut self, entry: Entry) {
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
        let later = |other: &&Entry| entry.container.is_some() && other.at > entry.at;
        let after = self.lines.iter().rev().take_while(later).count();
        let number = self.end() - after as u64;
        for mark in [&mut self.found, &mut self.first_error].into_iter().flatten() {
            *mark += u64::from(*mark >= number);
        }
        if entry.level == Level::Error && self.first_error.is_none_or(|first| number < first) {
            self.first_error = Some(number);
        }
        self.lines.insert(self.lines.len() - after, entry);
    }

    /// Asked for the beginning of a log, the first lines stay, else the last ones.
    fn is_head(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.tail.is_none() && spec.since_seconds.is_none())
    }

    fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn shows(&self, entry: &Entry) -> bool {
        self.searching || self.filter.as_ref().is_none_or(|filter| self.fits(filter, entry))
    }

    /// `-l k=v` asks the labels of the pod, `container`, and the fields a structured line has (`level=error`, `"level":"error"`).
    fn fits(&self, filter: &Filter, entry: &Entry) -> bool {
        let own = |key: &str| match key {
            "container" => entry.container.as_deref().or(self.spec.as_ref().map(|spec| &*spec.container)),
            "pod" => self.spec.as_ref().map(|spec| &*spec.pod),
            _ => None,
        };
        let label = |key: &str| self.labels.get(key).map(|value| &**value);
        filter.keeps(&entry.text)
            && filter.keeps_labels(|key| own(key).or_else(|| label(key)).or_else(|| field::of(&entry.text, key)))
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
            let mut all = self.numbered().filter(|(_, entry)| self.fits(&filter, entry)).map(|(number, _)| number);
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
    pub(super) fn unfilter(&mut self) {
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
            Action::Left => {
                self.left = self.left.saturating_sub(SIDE_STEP);
                return;
            }
            Action::Right => {
                let widest = self.shown().map(|entry| entry.text.chars().count()).max().unwrap_or(0);
                self.left = if self.left + SIDE_STEP < widest { self.left + SIDE_STEP } else { self.left };
                return;
            }
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
