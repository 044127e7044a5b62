//! The line being typed at the bottom, with what it could mean above it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph};

use super::blocks::pane;
use super::paint::Paint;
use super::words::{fit, spread};
use crate::app::prompt::{Prompt, SHOWN};
use crate::config::Role;
use crate::text::{clean, ellipsis};

/// Widest the suggestions get.
const WIDTH: u16 = 56;

/// Draws the line over the footer and the suggestions above it.
pub fn draw(paint: &Paint<'_>, prompt: &Prompt, (body, bottom): (Rect, Rect), frame: &mut Frame<'_>) {
    let width = usize::from(bottom.width);
    let line = match &prompt.error {
        Some(why) => Line::from(paint.span(
            Role::Warning,
            ellipsis(&format!(" {}{}  {}", prompt.label(), clean(prompt.input.value()), clean(why)), width),
        )),
        None => typed(paint, prompt, width),
    };
    frame.render_widget(Clear, bottom);
    frame.render_widget(line.style(paint.style(Role::Footer)), bottom);
    suggestions(paint, prompt, body, frame);
}

fn typed(paint: &Paint<'_>, prompt: &Prompt, width: usize) -> Line<'static> {
    let value = clean(prompt.input.value());
    let cursor = if paint.state.ascii { "_" } else { "▏" };
    let mut chars = value.chars();
    let before: String = chars.by_ref().take(prompt.input.cursor()).collect();
    let after: String = chars.collect();
    let line = Line::from(paint.span(Role::Input, format!(" {}{before}{cursor}{after}", clean(&prompt.label()))));
    fit(line, width)
}

fn suggestions(paint: &Paint<'_>, prompt: &Prompt, body: Rect, frame: &mut Frame<'_>) {
    let shown = prompt.suggestions.len().min(SHOWN).min(usize::from(body.height).saturating_sub(2));
    if shown == 0 {
        return;
    }
    let height = u16::try_from(shown + 2).unwrap_or(body.height);
    let width = WIDTH.min(body.width);
    let area = Rect { x: body.x, y: body.bottom().saturating_sub(height), width, height };
    frame.render_widget(Clear, area);
    let more = prompt.suggestions.len() - shown;
    let rest = if more > 0 { format!("{more} more") } else { String::new() };
    let block = pane(paint, "Suggestions", &rest, false, area).style(paint.style(Role::Text));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = prompt.suggestions.iter().take(shown).enumerate().map(|(at, suggestion)| {
        let chosen = prompt.chosen == Some(at);
        let cursor = if chosen { paint.glyphs.cursor } else { " " };
        let room = usize::from(inner.width).saturating_sub(3);
        let (left, right) = spread(&clean(&suggestion.line), &clean(&suggestion.about), room);
        let role = if chosen { Role::Strong } else { Role::Text };
        let line = Line::from(vec![
            paint.span(Role::Accent, format!("{cursor} ")),
            paint.span(role, left),
            paint.span(Role::Dim, right),
        ]);
        if chosen { line.style(paint.style(Role::Selection)) } else { line }
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}
