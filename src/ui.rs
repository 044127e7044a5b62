//! Views: `view(&State, &mut Frame)`, pure. One file a screen, named as in `app`; shared pieces in `ui/pane.rs`, `ui/spans.rs`.
//!
//! Invariants: text of the cluster is cleaned before it is drawn; every cut ends in `…`; colour only repeats what a glyph or a
//! word says. To add a view: a file here and a line in [`draw_view`].

use ratatui::Frame;

use crate::app::State;

/// Draws one frame.
pub fn view(_state: &State, _frame: &mut Frame<'_>) {}
