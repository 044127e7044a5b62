//! Regular expressions as statics: compiled once, never a panic.
//!
//! A pattern that does not compile matches nothing; the unit test of each list of patterns says so.

use std::sync::OnceLock;

use regex::{Captures, Regex};

use crate::text;

/// A regular expression, compiled at first use.
#[derive(Debug)]
pub struct Pattern {
    text: &'static str,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// A pattern of the `regex` crate's syntax, read by [`text::pattern::compile`].
    pub const fn new(text: &'static str) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    /// The compiled expression; `None` when the text is not one.
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| text::pattern::compile(self.text)).as_ref()
    }

    /// True when it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex().is_some_and(|r| r.is_match(text))
    }

    /// The groups of the first match.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex()?.captures(text)
    }

    /// What the first group that took part in the first match holds.
    pub fn first_group<'t>(&self, text: &'t str) -> Option<&'t str> {
        let captures = self.captures(text)?;
        captures.iter().skip(1).flatten().map(|m| m.as_str()).next()
    }

    /// What that group of the first match holds.
    pub fn group<'t>(&self, text: &'t str, group: usize) -> Option<&'t str> {
        self.captures(text)?.get(group).map(|m| m.as_str())
    }
}
