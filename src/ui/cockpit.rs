//! The cockpit's layout: five panes where there is room, tabs where there is not.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect, Spacing};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use super::paint::Paint;
use super::{events, incidents, logs, metrics, pods, quiet, why};
use crate::app::Pane;
use crate::config::Role;

/// From this width and height on all five panes are on screen.
const ROOMY: (u16, u16) = (104, 30);
/// From this width on a table of the selection's pods stands beside them.
const WIDE: u16 = 180;
/// Rows of the metrics pane, borders included.
const METRICS: u16 = 4;

/// Draws the cockpit.
pub fn draw(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let state = paint.state;
    if state.incidents.all.is_empty() && quiet::owns_the_screen(state) {
        quiet::draw_alone(paint, area, frame);
        return;
    }
    if area.width < ROOMY.0 || area.height < ROOMY.1 {
        compact(paint, area, frame);
    } else if state.cockpit.zoomed {
        pane(paint, state.cockpit.focus, area, frame);
    } else {
        roomy(paint, area, frame);
    }
}

fn roomy(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let strip = (area.height / 4).clamp(8, 16);
    let rows = Layout::vertical([Constraint::Fill(1), Constraint::Length(strip), Constraint::Length(METRICS)]);
    let [top, middle, bottom] = area.layout(&rows.spacing(Spacing::Overlap(1)));
    let halves = |left: u16, rect: Rect| -> [Rect; 2] {
        rect.layout(&Layout::horizontal([Constraint::Percentage(left), Constraint::Fill(1)]).spacing(Spacing::Overlap(1)))
    };
    if state_is_quiet(paint) {
        incidents::draw(paint, top, true, frame);
    } else if area.width >= WIDE {
        let columns = Layout::horizontal([Constraint::Percentage(26), Constraint::Fill(1), Constraint::Percentage(34)]);
        let [left, centre, right] = top.layout(&columns.spacing(Spacing::Overlap(1)));
        pane(paint, Pane::Incidents, left, frame);
        pane(paint, Pane::Why, centre, frame);
        pods::draw(paint, right, frame);
    } else {
        let [left, right] = halves(40, top);
        pane(paint, Pane::Incidents, left, frame);
        pane(paint, Pane::Why, right, frame);
    }
    let [left, right] = halves(40, middle);
    pane(paint, Pane::Events, left, frame);
    pane(paint, Pane::Logs, right, frame);
    pane(paint, Pane::Metrics, bottom, frame);
}

/// Tabs; incidents and why share the height.
fn compact(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let state = paint.state;
    let [tabs, body] = area.layout(&Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]));
    frame.render_widget(tab_line(paint), tabs);
    let shared = matches!(state.cockpit.focus, Pane::Incidents | Pane::Why);
    if shared && state_is_quiet(paint) {
        incidents::draw(paint, body, true, frame);
        return;
    }
    if !shared || state.cockpit.zoomed || body.height < 12 {
        pane(paint, state.cockpit.focus, body, frame);
        return;
    }
    // The list gets what it needs, up to a half; the reason gets the rest.
    let wanted = incidents::compact_height(state).saturating_add(2);
    let list = wanted.clamp(4, body.height * 2 / 5);
    let rows = Layout::vertical([Constraint::Length(list), Constraint::Fill(1)]).spacing(Spacing::Overlap(1));
    let [top, bottom] = body.layout(&rows);
    pane(paint, Pane::Incidents, top, frame);
    pane(paint, Pane::Why, bottom, frame);
}

/// Without an incident there is nothing to explain: what is quiet, and why, gets the room of both panes.
fn state_is_quiet(paint: &Paint<'_>) -> bool {
    paint.state.incidents.all.is_empty()
}

fn tab_line(paint: &Paint<'_>) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for pane in Pane::ALL {
        let here = pane == paint.state.cockpit.focus;
        let title = if here { format!("[{}]", pane.title()) } else { format!(" {} ", pane.title()) };
        spans.push(paint.span(if here { Role::Accent } else { Role::Dim }, title));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

fn pane(paint: &Paint<'_>, pane: Pane, area: Rect, frame: &mut Frame<'_>) {
    let focused = paint.state.cockpit.focus == pane;
    if paint.state.cockpit.zoomed {
        frame.render_widget(Clear, area);
    }
    match pane {
        Pane::Incidents => incidents::draw(paint, area, focused, frame),
        Pane::Why => why::draw(paint, area, focused, frame),
        Pane::Events => events::draw(paint, area, focused, frame),
        Pane::Logs => logs::draw(paint, area, focused, frame),
        Pane::Metrics => metrics::draw(paint, area, focused, frame),
    }
}
