//! From state to frame: one file a screen, the same names as in `app/`. Nothing here changes the state or reads a clock.

mod ascii;
mod blocks;
mod cockpit;
mod events;
mod footer;
mod glyphs;
mod header;
mod incidents;
mod logs;
mod metrics;
mod paint;
mod picker;
mod pods;
mod preview;
mod prompt;
mod quiet;
mod table;
mod text_view;
mod timeline;
mod why;
pub mod words;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::Modifier;
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Wrap};

use crate::app::{State, View};
use crate::config::Role;
use crate::kinds::KindId;
use crate::snapshot::CoverageState;
use paint::Paint;

/// Most rows for what does not work just now.
const MOST_TROUBLE: usize = 2;
/// Smallest screen that is drawn; below it only a sentence is.
const SMALLEST: (u16, u16) = (30, 8);

/// True when the pods on the screen are what they were when the server last answered.
fn is_old(state: &State) -> bool {
    state
        .snapshot
        .coverage
        .of_kind(KindId::Pod)
        .any(|coverage| matches!(coverage, CoverageState::Failing { last_heard: Some(_), .. }))
}

/// Draws the whole screen.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    let paint = Paint::new(state);
    frame.render_widget(Block::new().style(paint.style(Role::Text)), area);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        if !area.is_empty() {
            // Short enough for what is too small.
            frame.render_widget(Paragraph::new("k3am: too small").wrap(Wrap { trim: true }), area);
        }
        return;
    }
    let width = usize::from(area.width) - 2;
    let mut trouble = header::sentence(&paint).map_or_else(Vec::new, |said| words::wrap(&said, width));
    if trouble.len() > MOST_TROUBLE {
        let rest = trouble.split_off(MOST_TROUBLE - 1).join(" ");
        trouble.push(crate::text::ellipsis(&rest, width));
    }
    let said = trouble.len() as u16;
    let rows = [Constraint::Length(1), Constraint::Length(said), Constraint::Fill(1), Constraint::Length(1)];
    let [top, banner, body, bottom] = area.layout(&Layout::vertical(rows));
    header::draw(&paint, top, frame);
    let lines: Vec<Line<'_>> =
        trouble.into_iter().map(|line| Line::from(paint.span(Role::Critical, format!(" {line}")))).collect();
    frame.render_widget(Paragraph::new(lines), banner);
    match state.views.last() {
        None => cockpit::draw(&paint, body, frame),
        Some(View::Logs) => logs::draw_view(&paint, body, frame),
        Some(View::Text(text)) => text_view::draw(&paint, text, body, frame),
        Some(View::Timeline(view)) => timeline::draw(&paint, view, body, frame),
        Some(View::Table(table)) => table::draw(&paint, table, body, frame),
    }
    if is_old(state) {
        frame.buffer_mut().set_style(body, Modifier::DIM);
    }
    if let Some(open) = &state.preview {
        preview::draw(&paint, open, body, frame);
    }
    if let Some(open) = &state.picker {
        picker::draw(&paint, open, body, frame);
    }
    footer::draw(&paint, bottom, frame);
    if let Some(open) = &state.prompt {
        prompt::draw(&paint, open, (body, bottom), frame);
    }
    if state.ascii {
        ascii::translate(frame.buffer_mut());
    }
}
