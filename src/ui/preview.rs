//! The preview of an action, over the dimmed cockpit.

mod revisions;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::blocks::pane;
use super::paint::Paint;
use super::why::push_diff;
use super::words::{spread, wrap};
use crate::actions::Intent;
use crate::app::preview::{Preview, target};
use crate::config::Role;
use crate::diagnosis::Risk;
use crate::text::{clean, ellipsis};

/// Widest the dialog gets.
const WIDTH: u16 = 100;

/// Draws the dialog in the middle of `area`.
pub fn draw(paint: &Paint<'_>, preview: &Preview, area: Rect, frame: &mut Frame<'_>) {
    dim(paint, area, frame);
    let width = area.width.min(WIDTH);
    let body = lines(paint, preview, usize::from(width).saturating_sub(4));
    let buttons = buttons(paint, preview, usize::from(width).saturating_sub(4));
    let wanted = u16::try_from(body.len() + buttons.len() + 3).unwrap_or(u16::MAX);
    let height = wanted.min(area.height);
    let dialog = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, dialog);
    let whom = match (&preview.intent, target(&preview.intent)) {
        (Intent::Several(each), _) => format!("{} objects", each.len()),
        (_, Some(object)) => format!("{object}  {}", object.namespace),
        (_, None) => String::new(),
    };
    let block = pane(paint, &heading(&preview.intent), &whom, true, dialog).style(paint.style(Role::Text));
    let inner = block.inner(dialog);
    frame.render_widget(block, dialog);
    // The buttons are always in sight; the rest is cut with a mark.
    let room = usize::from(inner.height).saturating_sub(buttons.len());
    let mut shown: Vec<Line<'static>> = body;
    if shown.len() > room {
        shown.truncate(room.saturating_sub(1));
        shown.push(Line::from(paint.span(Role::Dim, "  … more than fits: enlarge the terminal to see it all")));
    }
    while shown.len() < room {
        shown.push(Line::default());
    }
    shown.extend(buttons);
    let padded = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    frame.render_widget(Paragraph::new(shown), padded);
}

/// What lies under the dialog keeps its place but not its colours.
fn dim(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let style = paint.style(Role::Overlay);
    for position in area.positions() {
        if let Some(cell) = frame.buffer_mut().cell_mut(position) {
            cell.set_style(Style::reset().patch(style));
        }
    }
}

fn heading(intent: &Intent) -> String {
    match intent {
        Intent::Several(each) => return each.first().map(heading).unwrap_or_default(),
        Intent::Undo { .. } => "Undo rollout",
        Intent::Scale { .. } => "Scale",
        Intent::Restart { .. } => "Restart",
        Intent::Delete { force: true, .. } => "Delete at once",
        Intent::Delete { .. } => "Delete",
        Intent::ShortenGrace { .. } => "Shorten grace period",
        Intent::RemoveFinalizer { .. } => "Remove finalizer",
        Intent::SetMemoryLimit { .. } => "Set memory limit",
        Intent::SetField { .. } => "Set one field",
        Intent::SetImage { .. } => "Set image",
        Intent::Cordon { cordon: true, .. } => "Cordon",
        Intent::Cordon { cordon: false, .. } => "Uncordon",
        Intent::Taint { present: true, .. } => "Taint",
        Intent::Taint { present: false, .. } => "Remove taint",
        Intent::Drain { .. } => "Drain",
        Intent::Edit { .. } => "Edit",
        Intent::Trigger { .. } => "Trigger",
        Intent::Suspend { suspend: true, .. } => "Suspend",
        Intent::Suspend { suspend: false, .. } => "Resume",
    }
    .to_owned()
}

fn lines(paint: &Paint<'_>, preview: &Preview, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    revisions::push(paint, preview, width, &mut lines);
    match &preview.plan {
        None => lines.push(Line::from(paint.span(Role::Dim, "planning ..."))),
        Some(Err(refusal)) => {
            for part in wrap(&refusal.to_string(), width) {
                lines.push(Line::from(paint.span(Role::Critical, part)));
            }
        }
        Some(Ok(plan)) => {
            let title = match (&preview.intent, preview.revisions.iter().find(|r| r.is_current)) {
                (Intent::Undo { to_revision: Some(to), .. }, Some(current)) => {
                    format!("template  {} {} {to}", current.number, paint.glyphs.arrow)
                }
                _ => clean(&plan.title),
            };
            lines.push(Line::from(paint.span(Role::Title, title)));
            for line in &plan.diff {
                if let Some(old) = &line.old {
                    push_diff(paint, Role::Removed, '-', (&line.field, old), width, &mut lines);
                }
                if let Some(new) = &line.new {
                    push_diff(paint, Role::Added, '+', (&line.field, new), width, &mut lines);
                }
            }
            lines.push(Line::default());
            lines.extend(wrap(&plan.kubectl, width).into_iter().map(|part| Line::from(paint.span(Role::Strong, part))));
            server(paint, preview, width, &mut lines);
            for warning in &plan.warnings {
                for part in wrap(&format!("{} {warning}", paint.glyphs.warning), width) {
                    lines.push(Line::from(paint.span(Role::Warning, part)));
                }
            }
        }
    }
    if let Some(why) = &preview.failed {
        for part in wrap(&format!("{} failed: {why}", paint.glyphs.critical), width) {
            lines.push(Line::from(paint.span(Role::Critical, part)));
        }
    }
    lines
}

/// The access review and the dry run, in words.
fn server(paint: &Paint<'_>, preview: &Preview, width: usize, lines: &mut Vec<Line<'static>>) {
    let Some(check) = &preview.check else {
        lines.push(Line::from(paint.span(Role::Dim, "server dry run: waiting for the answer ...")));
        return;
    };
    let words = |result: &Result<(), String>, yes: &str| match result {
        Ok(()) => (Role::Ok, yes.to_owned()),
        Err(why) => (Role::Critical, why.clone()),
    };
    for (what, (role, text)) in
        [("server dry run", words(&check.dry_run, "accepted")), ("access", words(&check.access, "you may do this"))]
    {
        let glyph = if role == Role::Ok { paint.glyphs.ok } else { paint.glyphs.critical };
        for part in wrap(&format!("{glyph} {what}: {text}"), width) {
            lines.push(Line::from(paint.span(role, part)));
        }
    }
}

/// Cancel has the focus: `Enter` leaves it, another key goes to the one that destroys.
fn two_buttons(paint: &Paint<'_>, does: &str, width: usize) -> Vec<Line<'static>> {
    let cancel = "[ Enter  leave it ]";
    let (other, hint) = spread(&format!("  {does}  "), "Tab  the other button", width.saturating_sub(cancel.len() + 4));
    vec![Line::from(vec![
        paint.span(Role::Accent, cancel),
        Span::raw("    "),
        paint.span(Role::Text, other),
        paint.span(Role::Dim, hint),
    ])]
}

fn buttons(paint: &Paint<'_>, preview: &Preview, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let (Some(name), Some(typed)) = (&preview.must_type, &preview.typed) {
        let text = format!("type {} to confirm: {}▏", clean(name), clean(typed.value()));
        lines.push(Line::from(paint.span(Role::Input, ellipsis(&text, width))));
    }
    let does = match &preview.intent {
        Intent::Undo { to_revision: Some(to), .. } => format!("undo to revision {to}"),
        Intent::Several(each) => format!("{} {}", heading(&preview.intent).to_lowercase(), each.len()),
        _ => heading(&preview.intent).to_lowercase(),
    };
    let enter = if preview.applying {
        paint.span(Role::Warning, format!("{} applying ...", paint.glyphs.working))
    } else if preview.is_ready() {
        let destroys = preview.risk == Risk::Destructive
            || matches!(preview.intent, Intent::Delete { .. } | Intent::Drain { .. } | Intent::Several(_));
        let role = if destroys { Role::Danger } else { Role::Accent };
        if preview.cancel_focused {
            return two_buttons(paint, &does, width);
        }
        paint.span(role, format!("[ Enter  {does} ]"))
    } else {
        paint.span(Role::Dim, format!("( Enter  {does}: not yet )"))
    };
    let choose = if preview.revisions.len() > 1 { "j k  another revision" } else { "" };
    let room = width.saturating_sub(enter.content.chars().count() + 4 + "Esc  leave it".len() + 2);
    let choose = if choose.len() <= room { choose } else { "" };
    let (left, right) = spread(choose, "Esc  leave it", width.saturating_sub(enter.content.chars().count() + 4));
    lines.push(Line::from(vec![enter, Span::raw("    "), paint.span(Role::Dim, left), paint.span(Role::Text, right)]));
    lines
}
