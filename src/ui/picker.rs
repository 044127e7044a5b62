//! A list to choose from, in the middle of the screen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph};

use super::blocks::pane;
use super::paint::Paint;
use super::words::spread;
use crate::app::picker::{Picker, What, lines, may_be_typed};
use crate::config::Role;
use crate::text::clean;

/// Widest the list gets.
const WIDTH: u16 = 64;

/// Draws the list.
pub fn draw(paint: &Paint<'_>, picker: &Picker, body: Rect, frame: &mut Frame<'_>) {
    let found = lines(paint.state, picker);
    let width = WIDTH.min(body.width);
    let wanted = u16::try_from(found.len().max(1) + 4).unwrap_or(u16::MAX);
    let height = wanted.min(body.height);
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    let title = match picker.what {
        What::Context => "Contexts",
        What::Namespace => "Namespaces",
    };
    let block = pane(paint, title, &found.len().to_string(), true, area).style(paint.style(Role::Text));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let cursor = if paint.state.ascii { "_" } else { "▏" };
    let mut shown = vec![Line::from(vec![
        paint.span(Role::Dim, " type to narrow: "),
        paint.span(Role::Input, format!("{}{cursor}", clean(picker.input.value()))),
    ])];
    let room = usize::from(inner.height).saturating_sub(2).max(1);
    let first = picker.at.saturating_sub(room / 2).min(found.len().saturating_sub(room));
    for (at, line) in found.iter().enumerate().skip(first).take(room) {
        let chosen = at == picker.at;
        let mark = if chosen { paint.glyphs.cursor } else { " " };
        let in_use = if line.current { format!("{}  in use", line.about) } else { line.about.clone() };
        let (left, right) = spread(&clean(&line.name), &clean(&in_use), usize::from(inner.width).saturating_sub(3));
        let drawn = Line::from(vec![
            paint.span(Role::Accent, format!("{mark} ")),
            paint.span(if line.current { Role::Strong } else { Role::Text }, left),
            paint.span(Role::Dim, right),
        ]);
        shown.push(if chosen { drawn.style(paint.style(Role::Selection)) } else { drawn });
    }
    if found.is_empty() {
        let words = match picker.input.value().is_empty() {
            true => " none known",
            false if may_be_typed(paint.state, picker.what) => " namespaces may not be listed: this one is taken as typed",
            false => " none matches",
        };
        shown.push(Line::from(paint.span(Role::Dim, words)));
    }
    shown.push(Line::from(paint.span(Role::Dim, " Enter takes it, Esc leaves")));
    frame.render_widget(Paragraph::new(shown), inner);
}
