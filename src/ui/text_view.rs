//! YAML, descriptions, help, explanations.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::blocks::pane;
use super::paint::Paint;
use super::words::wrap;
use crate::app::text_view::TextView;
use crate::config::{Action, Place, Role};
use crate::text::ellipsis;

/// Draws the view: only what is visible is built.
pub fn draw(paint: &Paint<'_>, view: &TextView, area: Rect, frame: &mut Frame<'_>) {
    let total = match &view.lines {
        Some(Ok(lines)) => format!("{} of {} lines", (view.offset + 1).min(lines.len()), lines.len()),
        Some(Err(_)) => String::new(),
        None => "fetching".to_owned(),
    };
    let search = view.search.as_ref().map(|s| format!("  /{}", s.text)).unwrap_or_default();
    let block = pane(paint, &view.title, &format!("{total}{search}{}", secret(paint, view)), true, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (width, height) = (usize::from(inner.width).saturating_sub(1), usize::from(inner.height));
    let mut lines = Vec::new();
    match &view.lines {
        None => lines.push(Line::from(paint.span(Role::Dim, " fetching ..."))),
        Some(Err(why)) => {
            lines.extend(wrap(why, width).into_iter().map(|part| Line::from(paint.span(Role::Critical, format!(" {part}")))));
        }
        Some(Ok(text)) => {
            for line in text.iter().skip(view.offset) {
                if lines.len() >= height {
                    break;
                }
                push(paint, view, line, width, &mut lines);
            }
        }
    }
    lines.truncate(height);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Whether the values of a Secret are shown, and the key that changes it.
fn secret(paint: &Paint<'_>, view: &TextView) -> String {
    let key = paint.state.config.keymap.label(&[Place::Yaml], Action::Reveal).unwrap_or_default();
    match view.secret_values() {
        Some(true) => format!("  decoded values on screen, {key} hides them"),
        Some(false) => format!("  values hidden, {key} shows them"),
        None => String::new(),
    }
}

fn push(paint: &Paint<'_>, view: &TextView, line: &str, width: usize, lines: &mut Vec<Line<'static>>) {
    let lead = line.len() - line.trim_start().len();
    let parts = if view.wrap {
        wrap(line.trim_start(), width.saturating_sub(lead).max(10))
            .into_iter()
            .map(|p| format!("{}{p}", " ".repeat(lead)))
            .collect()
    } else {
        vec![ellipsis(&super::words::shifted(line, view.left), width)]
    };
    lines.extend(parts.into_iter().map(|part| Line::from(spans(paint, view, &part))));
}

fn spans(paint: &Paint<'_>, view: &TextView, text: &str) -> Vec<Span<'static>> {
    let mut spans = vec![Span::raw(" ")];
    let found = view.search.as_ref().and_then(|s| s.ranges(text).into_iter().next());
    match (found, text.split_once(": ").filter(|_| view.is_yaml)) {
        (Some(found), _) => {
            spans.push(paint.span(Role::Text, text.get(..found.start).unwrap_or_default()));
            spans.push(paint.span(Role::Match, text.get(found.clone()).unwrap_or_default()));
            spans.push(paint.span(Role::Text, text.get(found.end..).unwrap_or_default()));
        }
        (None, Some((key, value))) => {
            spans.push(paint.span(Role::Info, format!("{key}: ")));
            spans.push(paint.span(Role::Text, value));
        }
        (None, None) => spans.push(paint.span(Role::Text, text)),
    }
    spans
}
