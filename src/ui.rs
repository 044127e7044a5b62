//! From state to frame: one file a screen, the same names as in `app/`. Nothing here changes the state or reads a clock.

use ratatui::Frame;

use crate::app::State;

/// Draws the whole screen.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    let _ = (state, frame);
}
