//! The log, as a pane that follows the selection and as a full view.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::blocks::pane;
use super::paint::Paint;
use super::words::{clock, shifted, short_name};
use crate::app::level::Level;
use crate::app::logs::{Entry, Logs};
use crate::changes::redact;
use crate::config::Role;
use crate::text::{clean_keeping_indent, ellipsis};

/// Columns of the container where several are merged.
const CONTAINER: usize = 16;
/// Their colours, in the order of the pod.
const CONTAINERS: [Role; 5] = [Role::Accent, Role::Info, Role::Chart, Role::Title, Role::Key];
/// Rows an error may take where lines are not wrapped.
const ERROR_ROWS: usize = 3;
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
        // One mark for an error that goes on over several lines: where it begins.
        Level::Error if before == Some(Level::Error) => (" ", Role::Critical),
        Level::Error => (paint.glyphs.critical, Role::Critical),
        Level::Warning => (paint.glyphs.warning, Role::Warning),
        Level::Info | Level::Plain => (" ", Role::Text),
        Level::Debug | Level::Frame => (" ", Role::Dim),
    };
    let stamp = match line.at {
        Some(at) if logs.timestamps || width >= 100 => format!("{} ", clock(at)),
        _ => String::new(),
    };
    let from = container(paint, line);
    let room = width.saturating_sub(stamp.len() + from.content.width() + 2);
    let text = shifted(&redact::text(&clean_keeping_indent(&line.text)), if logs.wrap { 0 } else { logs.left });
    let parts = parts(line.level, &text, room, logs);
    let mut lines = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        let lead = if at == 0 { (stamp.clone(), mark) } else { (" ".repeat(stamp.len()), " ") };
        let mut spans = vec![paint.span(Role::Dim, lead.0), from.clone(), paint.span(role, format!("{} ", lead.1))];
        spans.extend(highlighted(paint, &part, role));
        lines.push(Line::from(spans));
    }
    lines
}

/// A line as rows. What an error says is what was looked for, so it is not cut after one row even where lines are not wrapped.
fn parts(level: Level, text: &str, room: usize, logs: &Logs) -> Vec<String> {
    let most = match level {
        _ if logs.wrap => usize::MAX,
        Level::Error if logs.left == 0 => ERROR_ROWS,
        _ => 1,
    };
    let mut rows = Vec::new();
    let mut rest = text;
    while rows.len() + 1 < most && rest.width() > room.max(1) {
        let (row, more) = rest.split_at(row_end(rest, room.max(1)));
        rows.push(row.trim_end().to_owned());
        rest = more.trim_start();
    }
    if !rest.is_empty() || rows.is_empty() {
        rows.push(ellipsis(rest, room));
    }
    rows
}

/// Where to break a line that is too wide: after the last space that is not its indent, else where the row is full.
fn row_end(text: &str, width: usize) -> usize {
    let mut columns = 0;
    let full = text.char_indices().find(|(_, c)| {
        columns += c.width().unwrap_or(0);
        columns > width
    });
    let full = full.map_or(text.len(), |(at, _)| at).max(text.chars().next().map_or(0, char::len_utf8));
    let row = text.get(..full).unwrap_or(text);
    let indent = row.len() - row.trim_start().len();
    row.rfind(' ').filter(|at| *at > indent && at * 2 > full).map_or(full, |at| at + 1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_takes_up_to_three_rows_and_other_lines_one_unless_wrapped() {
        let text =
            "  OperationalError: could not translate host name \"postgres\" to address: Name or service not known, and so on";
        let mut logs = Logs::default();
        let rows = parts(Level::Error, text, 30, &logs);
        assert_eq!(rows.len(), 3);
        assert!(rows[0].starts_with("  OperationalError: could") && rows[2].ends_with('…'), "{rows:?}");
        assert!(rows.iter().all(|row| row.width() <= 30), "{rows:?}");
        assert_eq!(parts(Level::Info, text, 30, &logs).len(), 1);
        logs.wrap = true;
        let rows = parts(Level::Info, text, 30, &logs);
        assert_eq!(rows.join(" ").split_whitespace().collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn a_word_wider_than_the_row_is_broken_where_the_row_is_full() {
        let mut logs = Logs::default();
        logs.wrap = true;
        assert_eq!(parts(Level::Plain, &"x".repeat(25), 10, &logs), ["x".repeat(10), "x".repeat(10), "x".repeat(5)]);
        assert_eq!(parts(Level::Plain, "日本語日本語", 4, &logs), ["日本", "語日", "本語"]);
        assert_eq!(parts(Level::Plain, "日本", 1, &logs).len(), 2, "never a row without an end");
    }
}
