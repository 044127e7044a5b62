//! What changed and what first failed, newest first, on one axis; below it the selected entry in full.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

use super::blocks::pane;
use super::paint::Paint;
use super::words::{clock, wrap};
use crate::app::timeline::TimelineView;
use crate::changes::{self, ChangeKind, TimelineEntry, TimelineKind};
use crate::config::Role;
use crate::text::{age, clean, ellipsis};

/// Between entries further apart than this, the axis says how far.
const GAP_SECONDS: i64 = 300;
/// Most lines of the detail.
const DETAIL: u16 = 12;

/// Draws the view: only what is visible is built.
pub fn draw(paint: &Paint<'_>, view: &TimelineView, area: Rect, frame: &mut Frame<'_>) {
    let detail = detail(paint, view, usize::from(area.width).saturating_sub(3));
    let tall = (detail.len() as u16 + 2).min(DETAIL).min(area.height / 2);
    let [top, bottom] = area.layout(&Layout::vertical([Constraint::Fill(1), Constraint::Length(tall)]));
    let of = match view.selection.as_slice() {
        [one] if view.of_selection => one.to_string(),
        [_, ..] if view.of_selection => format!("{} workloads", view.selection.len()),
        _ => "the cluster".to_owned(),
    };
    let filter = view.filter.as_ref().map(|filter| format!("  /{}", filter.text)).unwrap_or_default();
    let turn = match view.selection.as_slice() {
        [] => String::new(),
        _ if view.of_selection => "  T  the cluster".to_owned(),
        [one] => format!("  T  only {one}"),
        [_, ..] => "  T  only the selection".to_owned(),
    };
    let title = format!("{of}  {} of {}{filter}{turn}", (view.selected + 1).min(view.entries.len()), view.entries.len());
    let block = pane(paint, "Timeline", &title, true, top);
    let inner = block.inner(top);
    frame.render_widget(block, top);
    frame.render_widget(Paragraph::new(axis(paint, view, inner)), inner);
    let block = pane(paint, "Entry", "", false, bottom);
    let inner = block.inner(bottom);
    frame.render_widget(block, bottom);
    frame.render_widget(Paragraph::new(detail), inner);
}

/// The visible lines, so that the selected one is among them.
fn axis(paint: &Paint<'_>, view: &TimelineView, area: Rect) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height).max(1));
    if view.entries.is_empty() {
        let words = match &view.filter {
            Some(_) => " nothing fits the filter",
            None => " nothing is known to have changed or failed here",
        };
        return vec![Line::from(paint.span(Role::Dim, words))];
    }
    // At most two lines an entry: start where the selected one certainly fits.
    let mut first = view.selected;
    let mut used = 1;
    while let Some(before) = first.checked_sub(1) {
        let more = 1 + usize::from(gap(view, before).is_some());
        if used + more > height.div_ceil(2) {
            break;
        }
        (first, used) = (before, used + more);
    }
    let mut lines = Vec::new();
    for (index, entry) in view.entries.iter().enumerate().skip(first) {
        if lines.len() >= height {
            break;
        }
        lines.push(line(paint, entry, index == view.selected, width));
        if let Some(seconds) = gap(view, index) {
            let earlier = age(entry.at - chrono::TimeDelta::seconds(seconds), entry.at);
            lines.push(Line::from(paint.span(Role::Dim, format!("             {} {earlier} earlier", bar(paint)))));
        }
    }
    lines.truncate(height);
    lines
}

fn bar(paint: &Paint<'_>) -> &'static str {
    if paint.state.ascii { "|" } else { "┊" }
}

/// Seconds to the next older entry, when they are many.
fn gap(view: &TimelineView, index: usize) -> Option<i64> {
    let (entry, older) = (view.entries.get(index)?, view.entries.get(index + 1)?);
    Some((entry.at - older.at).num_seconds()).filter(|seconds| *seconds >= GAP_SECONDS)
}

/// `20:31:07  3m ✖ failure   deployment/web  shop  BackOff: ...  by kubectl`.
fn line(paint: &Paint<'_>, entry: &TimelineEntry, selected: bool, width: usize) -> Line<'static> {
    let now = paint.state.now;
    let time =
        if entry.at.date_naive() == now.date_naive() { clock(entry.at) } else { entry.at.format("%m-%d %H:%M").to_string() };
    let (mark, role) = mark(paint, entry.kind);
    let cursor = if selected { paint.glyphs.cursor } else { " " };
    let head = format!("{cursor}{time:>11} ");
    let what = format!("{:<9}", entry.kind.word());
    let namespace =
        if width >= 100 && !entry.object.namespace.is_empty() { format!("  {}", entry.object.namespace) } else { String::new() };
    let by = entry.by.as_deref().filter(|_| width >= 70).map(|by| format!("  by {}", clean(by))).unwrap_or_default();
    let used = head.width() + mark.width() + what.width() + 2;
    let object_room = (width.saturating_sub(used) / 2).max(12);
    let object = ellipsis(&clean(&entry.object.to_string()), object_room);
    let rest = clean(&format!("{namespace}  {}{by}", entry.what));
    let rest = ellipsis(&rest, width.saturating_sub(used + object.width()));
    let line = Line::from(vec![
        paint.span(Role::Dim, head),
        paint.span(role, format!("{mark} {what} ")),
        paint.span(Role::Strong, object),
        Span::raw(rest),
    ]);
    if selected { line.style(paint.style(Role::Selection)) } else { line }
}

fn mark(paint: &Paint<'_>, kind: TimelineKind) -> (&'static str, Role) {
    match kind {
        TimelineKind::Failure => (paint.glyphs.critical, Role::Critical),
        TimelineKind::Change(ChangeKind::Node) | TimelineKind::Deletion => (paint.glyphs.warning, Role::Warning),
        TimelineKind::Change(_) => (paint.glyphs.info, Role::Accent),
    }
}

/// The selected entry in full: who, when, the diff; for a failure the change that came before it.
fn detail(paint: &Paint<'_>, view: &TimelineView, width: usize) -> Vec<Line<'static>> {
    let Some(entry) = view.entry() else { return Vec::new() };
    let state = paint.state;
    let by = entry.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
    let place = if entry.object.namespace.is_empty() { String::new() } else { format!(" in {}", entry.object.namespace) };
    let at = entry.at.format("%Y-%m-%d %H:%M:%S");
    let head = format!("{} of {}{place}, {at} UTC ({} ago){by}", entry.kind.word(), entry.object, age(entry.at, state.now));
    let mut lines: Vec<Line<'static>> =
        wrap(&head, width).into_iter().map(|l| Line::from(paint.span(Role::Strong, format!(" {l}")))).collect();
    let mut plain =
        |text: &str| lines.extend(wrap(text, width.saturating_sub(2)).into_iter().map(|l| Line::from(format!("   {l}"))));
    match (&entry.change, entry.kind) {
        (Some(change), _) if !change.diff.is_empty() => change.diff.iter().for_each(|line| plain(&line.short())),
        (Some(change), _) if change.kind == ChangeKind::Config => {
            plain("the cluster does not keep what was written before: see its YAML for what it says now");
        }
        (Some(change), _) if change.previous_revision.is_none() => plain("the first revision the cluster still knows"),
        (_, TimelineKind::Failure) => {
            plain(&entry.what);
            plain(&cause(paint, entry));
        }
        _ => plain(&entry.what),
    }
    lines
}

/// The change before a failure, and how sure that is.
fn cause(paint: &Paint<'_>, entry: &TimelineEntry) -> String {
    let state = paint.state;
    let workloads = std::slice::from_ref(&entry.object);
    match changes::before(&state.snapshot, workloads, Some(entry.at), state.now) {
        Some(change) => {
            let sure = changes::before::sureness(&state.snapshot, &change);
            format!(
                "before it, {} earlier: {} of {} ({sure})",
                age(change.at.min(entry.at), entry.at),
                change.kind.word(),
                change.object
            )
        }
        None => "no change of it, of its configuration or of its nodes is known in the hour before".to_owned(),
    }
}
