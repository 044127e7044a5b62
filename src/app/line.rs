//! A line being typed: filters, names, commands.

use crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use crate::text;

/// Longest line anyone types on purpose.
const LONGEST: usize = 1_000;

/// A line being typed.
#[derive(Debug, Clone, Default)]
pub struct Line {
    input: Input,
}

impl Line {
    /// A line that starts with that text, the cursor at its end.
    pub fn new(text: &str) -> Self {
        Self { input: Input::new(text.to_owned()) }
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Columns before the cursor.
    pub fn cursor(&self) -> usize {
        self.input.visual_cursor()
    }

    /// A key. True when the text changed.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        if self.input.value().len() >= LONGEST && matches!(key.code, crossterm::event::KeyCode::Char(_)) {
            return false;
        }
        self.input.handle_event(&Event::Key(key)).is_some_and(|change| change.value)
    }

    /// Pasted text: goes in at the cursor, on one line.
    pub fn paste(&mut self, pasted: &str) {
        for c in text::clean(pasted).trim().chars().take(LONGEST) {
            self.input.handle(tui_input::InputRequest::InsertChar(c));
        }
    }
}
