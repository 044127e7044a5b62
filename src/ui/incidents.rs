//! The list of incidents: what is broken, worst first; two or three lines each.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::blocks::pane;
use super::paint::Paint;
use super::quiet;
use super::words::{phrase, recovered, spread};
use crate::app::State;
use crate::app::follow::title;
use crate::app::incidents::{Shown, Standing};
use crate::changes::{Change, ChangeKind};
use crate::config::Role;
use crate::diagnosis::{Incident, Severity};
use crate::text::{age, clean};

/// Lines an incident takes in a narrow and in a roomy list.
const LINES: (usize, usize) = (2, 3);

/// Lines the whole list would take at two lines each.
pub fn compact_height(state: &State) -> u16 {
    u16::try_from(state.incidents.rows.len().max(1) * LINES.0).unwrap_or(u16::MAX)
}

/// Draws the pane: only what is visible is built.
pub fn draw(paint: &Paint<'_>, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    let state = paint.state;
    let height = usize::from(area.height.saturating_sub(2));
    let each = if state.size.1 >= 30 { LINES.1 } else { LINES.0 };
    let fits = (height / each).max(1);
    let selected = state.incidents.selected_index().unwrap_or(0);
    let total = state.incidents.rows.len();
    // Keep the selection in sight, in the middle where the list is long.
    let first = selected.saturating_sub(fits / 2).min(total.saturating_sub(fits));
    let more = more(paint, first, total.saturating_sub(first + fits));
    let block = pane(paint, "Incidents", &format!("{}{more}", counts(paint)), focused, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if state.incidents.rows.is_empty() && !state.incidents.all.is_empty() {
        let text = format!(" none of {} incidents matches the filter", state.incidents.all.len());
        frame.render_widget(Paragraph::new(paint.span(Role::Dim, text)), inner);
        return;
    }
    if state.incidents.rows.is_empty() {
        quiet::draw(paint, inner, frame);
        return;
    }
    for (at, row) in state.incidents.rows.iter().enumerate().skip(first).take(height.div_ceil(each)) {
        let y = inner.y + u16::try_from((at - first) * each).unwrap_or(u16::MAX);
        let left = inner.bottom().saturating_sub(y);
        let rect = Rect { y, height: u16::try_from(each).unwrap_or(2).min(left), ..inner };
        if rect.height == 0 {
            break;
        }
        draw_row(paint, row, rect, (at == selected, focused), frame);
    }
}

/// How many are out of sight, above and below.
fn more(paint: &Paint<'_>, above: usize, below: usize) -> String {
    let (up, down) = if paint.state.ascii { ("^", "v") } else { ("↑", "↓") };
    let part = |arrow: &str, n: usize| if n > 0 { format!("  {arrow}{n} more") } else { String::new() };
    format!("{}{}", part(up, above), part(down, below))
}

fn counts(paint: &Paint<'_>) -> String {
    let state = paint.state;
    let open = |severity| {
        state
            .incidents
            .rows
            .iter()
            .filter(|r| !matches!(r.standing, Standing::Recovered { .. }) && r.incident.severity == severity)
            .count()
    };
    let recovered = state.incidents.rows.iter().filter(|r| matches!(r.standing, Standing::Recovered { .. })).count();
    let parts = [
        (open(Severity::Critical), "critical"),
        (open(Severity::Warning), "warning"),
        (open(Severity::Info), "info"),
        (recovered, paint.glyphs.ok),
    ];
    let mut said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if let Some(filter) = &state.incidents.filter {
        said.push(format!("/{}  {} of {}", filter.text, state.incidents.rows.len(), state.incidents.all.len()));
    }
    said.join("  ")
}

fn draw_row(paint: &Paint<'_>, row: &Shown, area: Rect, (selected, focused): (bool, bool), frame: &mut Frame<'_>) {
    let style = match (selected, focused) {
        (true, true) => paint.style(Role::Selection),
        (true, false) => paint.style(Role::SelectionUnfocused),
        (false, _) => paint.style(Role::Text),
    };
    let cursor = if selected { paint.glyphs.cursor } else { " " };
    let width = usize::from(area.width);
    let lines = if area.height >= 3 { three(paint, row, width, cursor) } else { two(paint, row, width, cursor) };
    frame.render_widget(Block::new().style(style), area);
    frame.render_widget(Paragraph::new(lines), area);
}

fn three(paint: &Paint<'_>, row: &Shown, width: usize, cursor: &'static str) -> Vec<Line<'static>> {
    let (glyph, role) = mark(paint, row);
    let inner = width.saturating_sub(4);
    let (name, when) = spread(&clean(&title(&row.incident)), &since(paint.state, row), inner);
    let (what, change) = spread(&cause(row), &change_mark(&row.incident), inner);
    let (blast, _) = spread(&blast(paint, row), "", inner);
    let edge = || paint.span(Role::Accent, cursor);
    vec![
        Line::from(vec![
            edge(),
            paint.span(role, format!("{glyph} ")),
            paint.span(Role::Strong, name),
            paint.span(Role::Dim, when),
        ]),
        Line::from(vec![edge(), Span::raw("  "), paint.span(role, what), paint.span(Role::Accent, change)]),
        Line::from(vec![edge(), Span::raw("  "), paint.span(Role::Dim, blast)]),
    ]
}

fn two(paint: &Paint<'_>, row: &Shown, width: usize, cursor: &'static str) -> Vec<Line<'static>> {
    let (glyph, role) = mark(paint, row);
    let inner = width.saturating_sub(4);
    let head = format!("{}  {}", clean(&title(&row.incident)), cause(row));
    let (head, when) = spread(&head, &since(paint.state, row), inner);
    let (blast, change) = spread(&blast(paint, row), &change_mark(&row.incident), inner);
    let edge = || paint.span(Role::Accent, cursor);
    vec![
        Line::from(vec![
            edge(),
            paint.span(role, format!("{glyph} ")),
            paint.span(Role::Strong, head),
            paint.span(Role::Dim, when),
        ]),
        Line::from(vec![edge(), Span::raw("  "), paint.span(Role::Dim, blast), paint.span(Role::Accent, change)]),
    ]
}

fn mark(paint: &Paint<'_>, row: &Shown) -> (&'static str, Role) {
    match row.standing {
        Standing::Open => paint.severity(row.incident.severity),
        Standing::Recovering { .. } => (paint.glyphs.working, Role::Warning),
        Standing::Recovered { .. } => (paint.glyphs.ok, Role::Ok),
    }
}

fn since(state: &State, row: &Shown) -> String {
    match row.standing {
        Standing::Open => row.incident.since.map(|at| age(at, state.now)).unwrap_or_default(),
        Standing::Recovering { since, .. } => age(since, state.now),
        Standing::Recovered { at, .. } => format!("{} ago", age(at, state.now)),
    }
}

/// The cause in words, or how the recovery goes.
fn cause(row: &Shown) -> String {
    match &row.standing {
        Standing::Open => phrase(row.incident.cause.0),
        Standing::Recovering { doing, ready: (_, 0), .. } => (*doing).to_owned(),
        Standing::Recovering { doing, ready: (ready, wanted), .. } => format!("{doing}: {ready} of {wanted} ready"),
        Standing::Recovered { after, .. } => recovered(*after),
    }
}

/// `rollout r5`, `config edit`, `scale`, `node`: the change that came before.
fn change_mark(incident: &Incident) -> String {
    incident.change.as_ref().map(mark_of).unwrap_or_default()
}

fn mark_of(change: &Change) -> String {
    match (change.kind, change.revision) {
        // The first rollout of a workload changed nothing that had worked.
        (ChangeKind::Rollout, Some(1)) if change.previous_revision.is_none() => "first rollout".to_owned(),
        (ChangeKind::Rollout, Some(revision)) => format!("rollout r{revision}"),
        (ChangeKind::Rollout, None) => "rollout".to_owned(),
        (ChangeKind::Config, _) => "config edit".to_owned(),
        (ChangeKind::Scale, _) => match change.diff.iter().find(|d| d.field.contains("replicas")) {
            Some(line) => format!("scale {}→{}", line.old.as_deref().unwrap_or("?"), line.new.as_deref().unwrap_or("?")),
            None => "scale".to_owned(),
        },
        (ChangeKind::Node, _) => "node change".to_owned(),
    }
}

/// `1 of 4 pods · 3 old pods still serve · Service orders: no endpoint`.
fn blast(paint: &Paint<'_>, row: &Shown) -> String {
    let incident = &row.incident;
    if let Standing::Recovered { .. } = row.standing {
        return format!("was: {}", phrase(incident.cause.0));
    }
    let blast = &incident.blast;
    let mut parts = Vec::new();
    if blast.pods_total > 0 {
        let within =
            if incident.workloads.len() > 1 { format!(" in {} workloads", incident.workloads.len()) } else { String::new() };
        parts.push(format!("{} of {} pods{within}", blast.pods, blast.pods_total));
    } else if let Some(node) = incident.workloads.first().filter(|w| &*w.kind == "Node") {
        parts.push(match paint.state.snapshot.pods_on(&node.name).count() {
            1 => "Node, 1 pod on it".to_owned(),
            count => format!("Node, {count} pods on it"),
        });
    } else if let Some(object) = incident.workloads.first() {
        parts.push(format!(
            "{} in {}",
            clean(&object.kind),
            if object.namespace.is_empty() { "the cluster" } else { &*object.namespace }
        ));
    }
    if incident.regression && blast.pods_ready > 0 {
        parts.push(format!("{} old pods still serve", blast.pods_ready));
    }
    if let Some(service) = blast.services_without_endpoints.first() {
        parts.push(format!("Service {}: no endpoint", clean(&service.name)));
    }
    parts.join(&format!(" {} ", paint.glyphs.dot))
}
