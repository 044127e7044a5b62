//! The log, as a pane that follows the selection and as a full view.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::blocks::pane;
use super::paint::Paint;
use super::words::{clock, shifted, short_name, wrap};
use crate::app::level::Level;
use crate::app::logs::{Entry, Logs};
use crate::changes::redact;
use crate::config::Role;
use crate::text::{clean_keeping_indent, ellipsis};

/// Columns of the container where several are merged.
const CONTAINER: usize = 16;
/// Their colours, in the order of the pod.
const CONTAINERS: [Role; 5] = [Role::Accent, Role::Info, Role::Chart, Role::Title, Role::Key];
/// How a log that has an end ends.
const END: &str = "end of the log";

/// Draws the pane.
pub fn draw(paint: &Paint<'_>, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    draw_in(paint, area, focused, frame);
}

/// Draws the full view.
pub fn draw_view(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    draw_in(paint, area, true, frame);
}

fn draw_in(paint: &Paint<'_>, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    let logs = &paint.state.logs;
    let block = pane(paint, "Logs", &title(logs), focused, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut lines = visible(paint, width, height);
    if lines.is_empty() {
        let words = super::words::wrap(&empty(paint), width.saturating_sub(2).max(10));
        lines.extend(words.into_iter().take(height).map(|line| Line::from(paint.span(Role::Dim, format!(" {line}")))));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// From the newest visible line upwards, until the height is full: only visible lines are formatted. Near the beginning of a
/// log newer lines fill what is left.
fn visible(paint: &Paint<'_>, width: usize, height: usize) -> Vec<Line<'static>> {
    let logs = &paint.state.logs;
    let styled = |(number, entry): (u64, &Entry)| {
        let before = logs.level_of(number.wrapping_sub(1));
        let block = format(paint, entry, before, width);
        if logs.found == Some(number) {
            return block.into_iter().map(|line| line.style(paint.style(Role::Selection))).collect();
        }
        block
    };
    let mut lines: Vec<Line<'static>> = Vec::new();
    for numbered in logs.numbered().rev().skip(logs.scrolled) {
        if lines.len() >= height {
            break;
        }
        lines.extend(styled(numbered).into_iter().rev());
    }
    lines.truncate(height);
    lines.reverse();
    if lines.len() < height && logs.scrolled > 0 {
        let newer = logs.shown().count().saturating_sub(logs.scrolled);
        for numbered in logs.numbered().skip(newer) {
            if lines.len() >= height {
                break;
            }
            lines.extend(styled(numbered));
        }
        lines.truncate(height);
    }
    lines
}

fn title(logs: &Logs) -> String {
    let Some(spec) = &logs.spec else { return String::new() };
    let run = if spec.previous { " previous run" } else { "" };
    let containers =
        if logs.also.is_empty() { spec.container.to_string() } else { format!("{} containers", logs.also.len() + 1) };
    let mut title = format!("{} {containers}{run}", short_name(&spec.pod, 30));
    if !logs.why.is_empty() {
        title.push_str(&format!("  {}", logs.why));
    }
    if let Some(filter) = &logs.filter {
        let how = if logs.searching { "n N to walk" } else { "n keeps the context" };
        title.push_str(&format!("  /{}  {how}", filter.text));
    }
    if logs.left > 0 && !logs.wrap {
        title.push_str(&format!("  from column {}", logs.left + 1));
    }
    if logs.scrolled > 0 {
        title.push_str(&format!("  {} newer lines below", logs.scrolled));
    }
    if logs.dropped > 0 {
        title.push_str(&format!("  {} older lines dropped", logs.dropped));
    }
    if let Some(ended) = logs.ended.as_ref().filter(|_| !logs.lines.is_empty()) {
        title.push_str(&format!("  {ended}"));
    }
    title
}

fn empty(paint: &Paint<'_>) -> String {
    let logs = &paint.state.logs;
    match (&logs.spec, &logs.ended) {
        (None, _) => "no container of the selection has written a log yet".to_owned(),
        (Some(_), _) if logs.filter.is_some() && !logs.lines.is_empty() => "no line matches the filter".to_owned(),
        (Some(_), Some(ended)) if ended == END => "the log is empty".to_owned(),
        (Some(_), Some(ended)) => ended.clone(),
        (Some(_), None) => "waiting for the first line".to_owned(),
    }
}

/// One log line as screen lines: a mark for its level, its text, matches highlighted.
fn format(paint: &Paint<'_>, line: &Entry, before: Option<Level>, width: usize) -> Vec<Line<'static>> {
    let logs = &paint.state.logs;
    let (mark, role) = match line.level {
        // One mark a traceback: where it begins.
        Level::Error if before == Some(Level::Error) => (" ", Role::Critical),
        Level::Error => (paint.glyphs.critical, Role::Critical),
        Level::Warning => (paint.glyphs.warning, Role::Warning),
        Level::Info | Level::Plain => (" ", Role::Text),
        Level::Debug => (" ", Role::Dim),
    };
    let stamp = match line.at {
        Some(at) if logs.timestamps || width >= 100 => format!("{} ", clock(at)),
        _ => String::new(),
    };
    let from = container(paint, line);
    let room = width.saturating_sub(stamp.len() + from.content.width() + 2);
    let text = shifted(&redact::text(&clean_keeping_indent(&line.text)), if logs.wrap { 0 } else { logs.left });
    let parts = if logs.wrap { wrap(&text, room) } else { vec![ellipsis(&text, room)] };
    let mut lines = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        let lead = if at == 0 { (stamp.clone(), mark) } else { (" ".repeat(stamp.len()), " ") };
        let mut spans = vec![paint.span(Role::Dim, lead.0), from.clone(), paint.span(role, format!("{} ", lead.1))];
        spans.extend(highlighted(paint, &part, role));
        lines.push(Line::from(spans));
    }
    lines
}

/// Which container wrote a line, where several are merged: a column of its own, each in its colour.
fn container(paint: &Paint<'_>, line: &Entry) -> Span<'static> {
    let logs = &paint.state.logs;
    if logs.also.is_empty() {
        return Span::default();
    }
    let name = line.container.as_deref().unwrap_or("-");
    let names = || logs.spec.iter().map(|spec| &*spec.container).chain(logs.also.iter().map(|name| &**name));
    let widest = names().map(str::len).max().unwrap_or(0).min(CONTAINER);
    let at = names().position(|other| other == name).unwrap_or(0);
    let role = CONTAINERS.get(at % CONTAINERS.len()).copied().unwrap_or(Role::Info);
    paint.span(role, format!("{:<widest$} ", short_name(name, widest)))
}

fn highlighted(paint: &Paint<'_>, text: &str, role: Role) -> Vec<Span<'static>> {
    let Some(filter) = &paint.state.logs.filter else { return vec![paint.span(role, text)] };
    let mut spans = Vec::new();
    let mut rest = 0;
    for found in filter.ranges(text) {
        spans.push(paint.span(role, text.get(rest..found.start).unwrap_or_default()));
        spans.push(paint.span(Role::Match, text.get(found.clone()).unwrap_or_default()));
        rest = found.end;
    }
    spans.push(paint.span(role, text.get(rest..).unwrap_or_default()));
    spans
}
