//! The one log stream: a bounded ring of lines with their levels. Cockpit pane and full view show the same feed.
//!
//! Invariant: a line keeps its number for as long as it is kept, so positions survive what falls out of the ring.

use std::collections::VecDeque;

use super::level::{Level, Levels};
use super::{Effect, LogBatch, LogSpec};
use crate::snapshot::LogLine;
use crate::text::Time;

/// Lines kept.
pub const KEPT: usize = 10_000;

/// One line of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A line of the log.
    Line {
        /// The line.
        line: LogLine,
        /// How bad it is.
        level: Level,
    },
    /// A mark a person set.
    Mark(Time),
}

/// What a screen may do to the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedChange {
    /// Mark this moment.
    Mark,
    /// Forget what is shown.
    Clear,
}

/// The log stream on the screen.
#[derive(Debug, Default)]
pub struct Feed {
    stream: u64,
    spec: Option<LogSpec>,
    entries: VecDeque<Entry>,
    first: u64,
    levels: Levels,
    first_error: Option<u64>,
    answered: bool,
    /// Lines the reader dropped because it was slow.
    pub dropped: u64,
    /// Why the stream ended, once it has.
    pub ended: Option<String>,
}

impl Feed {
    /// An empty feed whose stream numbers go on, so that lines of streams before are not taken for new ones.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self { stream: self.stream + 1, ..Self::default() }
    }

    /// What is streamed.
    pub fn spec(&self) -> Option<&LogSpec> {
        self.spec.as_ref()
    }

    /// Streams that log from now on, unless it is streamed already.
    pub fn follow(&mut self, spec: LogSpec) -> Vec<Effect> {
        if self.spec.as_ref() == Some(&spec) {
            return Vec::new();
        }
        let stream = self.stream + 1;
        *self = Self { stream, spec: Some(spec.clone()), ..Self::default() };
        vec![Effect::FollowLog { stream, spec }]
    }

    /// Streams nothing from now on.
    pub fn stop(&mut self) -> Vec<Effect> {
        if self.spec.is_none() {
            return Vec::new();
        }
        *self = Self { stream: self.stream + 1, ..Self::default() };
        vec![Effect::StopLog]
    }

    /// Takes lines of stream number `stream`; those of older streams are ignored.
    pub fn take(&mut self, stream: u64, batch: LogBatch) {
        if stream != self.stream {
            return;
        }
        self.answered = true;
        self.dropped += batch.dropped;
        if batch.ended.is_some() {
            self.ended = batch.ended;
        }
        for line in batch.lines {
            let level = self.levels.next(&line.text);
            if level == Level::Error && self.first_error.is_none() {
                self.first_error = Some(self.end());
            }
            self.push(Entry::Line { line, level });
        }
    }

    /// Does what a screen asked for.
    pub fn change(&mut self, change: FeedChange, now: Time) {
        match change {
            FeedChange::Mark => self.push(Entry::Mark(now)),
            FeedChange::Clear => {
                self.first = self.end();
                self.entries.clear();
                self.first_error = None;
            }
        }
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == KEPT {
            if self.reads_the_head() {
                return;
            }
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(entry);
    }

    /// Asked for the beginning of a log, the first lines stay, else the last ones.
    fn reads_the_head(&self) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.tail.is_none() && spec.since_seconds.is_none())
    }

    /// Number of the oldest line kept.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number the next line will have.
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The line of that number.
    pub fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Lines kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without lines.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True before the first answer.
    pub fn is_waiting(&self) -> bool {
        self.spec.is_some() && !self.answered
    }

    /// The first line that is an error, while it is kept.
    pub fn first_error(&self) -> Option<u64> {
        self.first_error.filter(|number| *number >= self.first)
    }
}
