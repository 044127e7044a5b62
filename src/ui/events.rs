//! The live event tail: newest first, of the selection, or of the whole cluster when nothing is selected.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::blocks::pane;
use super::paint::Paint;
use super::words::{clock, short_object, spread, wrap};
use crate::changes::redact;
use crate::config::Role;
use crate::kinds::events::Event;
use crate::snapshot::CoverageState;
use crate::text::{clean, ellipsis};

/// Draws the pane: only what is visible is built.
pub fn draw(paint: &Paint<'_>, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    let state = paint.state;
    let filter = state.cockpit.events_filter.as_ref().map(|f| format!("  /{}", f.text)).unwrap_or_default();
    let block = pane(paint, "Events", &format!("following {}{filter}", state.follow.title), focused, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width);
    let height = usize::from(inner.height);
    let mut lines = Vec::new();
    for event in crate::app::cockpit::events(state).skip(state.cockpit.events_scroll) {
        if lines.len() >= height {
            break;
        }
        push(paint, event, width, &mut lines);
    }
    if lines.is_empty() {
        let listed = state.snapshot.coverage.is_listed(crate::kinds::KindId::Event);
        let denied = state.snapshot.coverage.of_kind(crate::kinds::KindId::Event).find_map(|state| match state {
            CoverageState::Denied { why } => Some(why),
            _ => None,
        });
        let text = match (listed, state.follow.events.is_empty(), denied) {
            (_, false, _) => "no event matches the filter".to_owned(),
            (true, ..) => "no events; they expire after an hour".to_owned(),
            (false, _, Some(why)) => format!("events are not visible: {why}"),
            (false, _, None) => "loading events".to_owned(),
        };
        let parts = wrap(&text, width.saturating_sub(2));
        lines.extend(parts.into_iter().map(|part| Line::from(paint.span(Role::Dim, format!(" {part}")))));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn push(paint: &Paint<'_>, event: &Event, width: usize, lines: &mut Vec<Line<'static>>) {
    let (glyph, role) = if event.is_warning() { (paint.glyphs.warning, Role::Warning) } else { (" ", Role::Dim) };
    let when = event.last_seen().map(clock).unwrap_or_default();
    let times = if event.times() > 1 { format!(" {}{}", paint.glyphs.times, event.times()) } else { String::new() };
    let reason = format!("{}{times}", clean(&event.reason));
    let room = width.saturating_sub(12 + reason.chars().count() + 2);
    let object = short_object(&event.object(), room.clamp(10, 34));
    let (reason, object) = spread(&reason, &object, width.saturating_sub(12));
    lines.push(Line::from(vec![
        paint.span(Role::Dim, format!("{when:<8} ")),
        paint.span(role, format!("{glyph} ")),
        paint.span(role, reason),
        paint.span(Role::Dim, object),
    ]));
    let text = redact::text(event.text());
    let room = width.saturating_sub(12);
    if paint.state.cockpit.zoomed {
        lines.extend(
            wrap(&text, room).into_iter().map(|part| Line::from(paint.span(Role::Text, format!("{}{part}", " ".repeat(11))))),
        );
    } else {
        lines.push(Line::from(paint.span(Role::Text, format!("{}{}", " ".repeat(11), ellipsis(&clean(&text), room)))));
    }
}
