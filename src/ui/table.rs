//! A table of resources: only the visible rows are formatted.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::blocks::pane;
use super::paint::Paint;
use super::words::{short_name, wrap};
use crate::app::table::{Column, Health, TableView, rows};
use crate::config::Role;
use crate::kinds::Row;
use crate::snapshot::Key;
use crate::text::{clean, ellipsis};

/// Blanks between columns.
const GAP: usize = 2;
/// No column that can be cut gets narrower than this.
const NARROWEST: usize = 8;

/// Draws the table.
pub fn draw(paint: &Paint<'_>, table: &TableView, area: Rect, frame: &mut Frame<'_>) {
    let block = pane(paint, &title(table), &about(paint, table), true, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (width, height) = (usize::from(inner.width).saturating_sub(2), usize::from(inner.height));
    if table.index.is_empty() {
        let lines = wrap(&clean(&rows::nothing(&paint.state.snapshot, table)), width);
        let lines: Vec<Line<'static>> = lines.into_iter().map(|l| Line::from(paint.span(Role::Dim, format!(" {l}")))).collect();
        frame.render_widget(Paragraph::new(lines), inner);
        return;
    }
    let room = height.saturating_sub(1).max(1);
    let first = table.position().saturating_sub(room / 2).min(table.index.len().saturating_sub(room));
    let grid = Grid::new(paint, table, (first, room), width);
    let mut lines = vec![grid.header(paint, table)];
    for (at, row) in grid.rows.iter().enumerate() {
        lines.push(grid.line(paint, row, first + at == table.position(), usize::from(inner.width)));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// The kind in the plural, written as Kubernetes writes it: `StatefulSets`, `Ingresses`.
fn title(table: &TableView) -> String {
    let kind = table.spec.kind.name();
    let mut title = match table.spec.name.strip_prefix(&kind.to_lowercase()) {
        Some(ending) => format!("{kind}{ending}"),
        None => format!("{}ies", kind.strip_suffix('y').unwrap_or(kind)),
    };
    if let Some(owner) = &table.of {
        title.push_str(&format!(" of {}", clean(&owner.to_string())));
    }
    title
}

/// `12 of 47`, where, what filters it, how it is sorted, how much of it is known.
fn about(paint: &Paint<'_>, table: &TableView) -> String {
    let shown = table.index.len();
    let mut parts = vec![if shown == table.total { shown.to_string() } else { format!("{shown} of {}", table.total) }];
    if table.spec.kind.info().namespaced && table.of.is_none() {
        parts.push(table.namespace.clone().unwrap_or_else(|| "all namespaces".to_owned()));
    }
    if let Some(filter) = &table.filter {
        parts.push(format!("/{}", filter.text));
    }
    if !table.marked.is_empty() {
        parts.push(format!("{} marked", table.marked_objects().len()));
    }
    if table.faults_only {
        parts.push("faults only".to_owned());
    }
    if table.column != table.sort.0 {
        parts.push(format!("column {}", table.column));
    }
    if let Some(words) = rows::unfinished(&paint.state.snapshot, table).filter(|_| shown > 0) {
        parts.push(words);
    }
    parts.join("  ")
}

/// A visible row, formatted.
struct Formatted {
    cells: Vec<String>,
    health: Health,
    marked: bool,
}

/// The visible part, formatted, with the width of each column.
struct Grid {
    columns: Vec<&'static Column>,
    widths: Vec<usize>,
    rows: Vec<Formatted>,
}

impl Grid {
    fn new(paint: &Paint<'_>, table: &TableView, (first, room): (usize, usize), width: usize) -> Self {
        let snapshot = &paint.state.snapshot;
        let one_namespace = table.namespace.is_some() || table.of.as_ref().is_some_and(|of| !of.namespace.is_empty());
        let columns: Vec<&'static Column> = table.spec.columns(table.wide, !one_namespace).collect();
        let format = |row: &Row| Formatted {
            cells: columns.iter().map(|column| (column.cell)(snapshot, row, paint.state.now).text).collect(),
            health: (table.spec.health)(snapshot, row),
            marked: table.marked.contains(&Key::of(row.meta())),
        };
        let visible = table.index.iter().skip(first).take(room);
        let rows: Vec<Formatted> = visible.filter_map(|key| snapshot.row(table.spec.kind, key)).map(|row| format(&row)).collect();
        let widest = |at: usize, column: &Column| {
            let seen = rows.iter().filter_map(|row| row.cells.get(at)).map(|cell| cell.width()).max().unwrap_or(0);
            // Over all rows, not only the visible ones: scrolling must not move the columns.
            let known = match column.title {
                "NAME" => table.widths.0,
                "NAMESPACE" => table.widths.1,
                _ => 0,
            };
            let mark = usize::from(column.title == table.sort.0);
            seen.max(known).max(column.width).max(column.title.width() + mark)
        };
        let mut widths: Vec<usize> = columns.iter().enumerate().map(|(at, column)| widest(at, column)).collect();
        shrink(&columns, &mut widths, width);
        Self { columns, widths, rows }
    }

    fn header(&self, paint: &Paint<'_>, table: &TableView) -> Line<'static> {
        let mut spans = vec![Span::raw(" ")];
        for (column, width) in self.columns.iter().zip(&self.widths) {
            let sorted = column.title == table.sort.0;
            let mark = match (sorted, table.sort.1, paint.state.ascii) {
                (false, ..) => "",
                (true, false, false) => "↑",
                (true, true, false) => "↓",
                (true, false, true) => "^",
                (true, true, true) => "v",
            };
            let role = if column.title == table.column { Role::Accent } else { Role::Column };
            spans.push(paint.span(role, aligned(&format!("{}{mark}", column.title), *width, column.right)));
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        Line::from(spans)
    }

    fn line(&self, paint: &Paint<'_>, row: &Formatted, selected: bool, width: usize) -> Line<'static> {
        let base = match row.health {
            Health::Healthy => Role::Text,
            Health::Done => Role::Dim,
            Health::Warning => Role::Warning,
            Health::Broken => Role::Critical,
        };
        let cursor = match (row.marked, selected) {
            (true, false) => paint.glyphs.marked,
            (true, true) => paint.glyphs.marked_cursor,
            (false, true) => paint.glyphs.cursor,
            (false, false) => " ",
        };
        let mut spans = vec![paint.span(Role::Accent, cursor)];
        let mut used = 1;
        for ((column, wide), cell) in self.columns.iter().zip(&self.widths).zip(&row.cells) {
            let text = if column.title == "NAME" { short_name(cell, *wide) } else { cell.clone() };
            let text = aligned(&text, *wide, column.right);
            used += text.width() + GAP;
            let role = if column.title == "AGE" && base == Role::Text { Role::Dim } else { base };
            spans.push(paint.span(role, text));
            spans.push(Span::raw(" ".repeat(GAP)));
        }
        spans.push(Span::raw(" ".repeat(width.saturating_sub(used))));
        let line = Line::from(spans);
        if selected { line.style(paint.style(Role::Selection)) } else { line }
    }
}

/// Takes what is too much from the widest column that may be cut, until the line fits.
fn shrink(columns: &[&Column], widths: &mut [usize], room: usize) {
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    while total(widths) > room {
        let widest = columns.iter().zip(widths.iter()).enumerate().filter(|(_, (c, w))| c.flexible && **w > NARROWEST);
        let Some(at) = widest.max_by_key(|(_, (_, w))| **w).map(|(at, _)| at) else { return };
        if let Some(width) = widths.get_mut(at) {
            *width -= 1;
        }
    }
}

fn aligned(text: &str, width: usize, right: bool) -> String {
    let text = ellipsis(text, width);
    let pad = " ".repeat(width.saturating_sub(text.width()));
    if right { format!("{pad}{text}") } else { format!("{text}{pad}") }
}
