//! The bottom line: a notice, a question, a line being typed, or the keys that matter now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::paint::Paint;
use crate::app::{State, View, view};
use crate::config::{Action, Place, Role};
use crate::text::{clean, ellipsis};

/// Draws the line.
pub fn draw(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let width = usize::from(area.width);
    let state = paint.state;
    let line = if state.asks_to_quit {
        Line::from(paint.span(Role::Warning, ellipsis(" quit k3am?  Enter or q: yes   any other key: no", width)))
    } else if let Some(typed) = typed(state) {
        Line::from(paint.span(Role::Input, ellipsis(&format!(" /{typed}▏"), width)))
    } else if let Some((notice, _)) = &state.notice {
        Line::from(paint.span(Role::Warning, ellipsis(&format!(" {}", clean(notice)), width)))
    } else {
        hints(paint, width)
    };
    frame.render_widget(line.style(paint.style(Role::Footer)), area);
}

fn typed(state: &State) -> Option<String> {
    let input = match state.views.last() {
        Some(View::Text(text)) => text.typing.as_ref(),
        Some(View::Table(table)) => table.typing.as_ref(),
        Some(View::Timeline(view)) => view.typing.as_ref(),
        Some(View::Logs) => state.logs.typing.as_ref(),
        None => state.logs.typing.as_ref().or(state.cockpit.typing.as_ref()),
    }?;
    Some(clean(input.value()))
}

/// Keys and words from the key table; what does not fit is left out whole, help last of all.
fn hints(paint: &Paint<'_>, width: usize) -> Line<'static> {
    let state = paint.state;
    let keymap = &state.config.keymap;
    let places = if state.preview.is_some() { vec![Place::Preview] } else { view::places(state) };
    let help = keymap.label(&places, Action::Help).map(|key| (key, "help".to_owned()));
    let mut pairs = keymap.hints(&places);
    pairs.retain(|(_, word)| word != "help");
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 1;
    let reserve = help.as_ref().map_or(0, |(key, word)| key.width() + word.width() + 4);
    for (key, word) in pairs {
        let wide = key.width() + word.width() + 4;
        if used + wide + reserve > width {
            continue;
        }
        used += wide;
        push(paint, &mut spans, &key, &word);
    }
    if let Some((key, word)) = help {
        push(paint, &mut spans, &key, &word);
    }
    Line::from(spans)
}

fn push(paint: &Paint<'_>, spans: &mut Vec<Span<'static>>, key: &str, word: &str) {
    spans.push(paint.span(Role::Key, format!(" {key}")));
    spans.push(paint.span(Role::Footer, format!(" {word}  ")));
}
