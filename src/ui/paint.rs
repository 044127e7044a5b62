//! What every drawing function needs: the state, its theme, its glyphs.

use ratatui::style::Style;
use ratatui::text::Span;

use super::glyphs::{ASCII, Glyphs, UNICODE};
use crate::app::State;
use crate::config::Role;
use crate::diagnosis::Severity;

/// State, theme, glyphs.
pub struct Paint<'a> {
    /// What is drawn.
    pub state: &'a State,
    /// Marks.
    pub glyphs: &'static Glyphs,
}

impl<'a> Paint<'a> {
    /// For that state.
    pub fn new(state: &'a State) -> Self {
        Self { state, glyphs: if state.ascii { &ASCII } else { &UNICODE } }
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.state.config.theme.style(role)
    }

    /// A piece of a line in the style of a role.
    pub fn span(&self, role: Role, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.style(role))
    }

    /// Glyph and role of a severity.
    pub fn severity(&self, severity: Severity) -> (&'static str, Role) {
        match severity {
            Severity::Critical => (self.glyphs.critical, Role::Critical),
            Severity::Warning => (self.glyphs.warning, Role::Warning),
            Severity::Info => (self.glyphs.info, Role::Info),
        }
    }
}
