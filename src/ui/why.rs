//! Why: the sentence, how sure, the quoted evidence, what changed, what to do, what was ruled out.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::blocks::pane;
use super::paint::Paint;
use super::quiet;
use super::words::{clock, fit, phrase, recovered, short_name, spread, tail_name, wrap};
use crate::app::follow::title;
use crate::app::incidents::{Shown, Standing};
use crate::changes::{Change, ChangeKind, redact};
use crate::config::{Action, Place, Role};
use crate::diagnosis::{Evidence, Fix, Incident};
use crate::text::{age, clean};

/// Lines one quote may take before it is cut with a mark.
const QUOTE_LINES: usize = 4;

/// Draws the pane.
pub fn draw(paint: &Paint<'_>, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    let Some(row) = paint.state.incidents.selected() else {
        let block = pane(paint, "Why", "", focused, area);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        if !paint.state.incidents.all.is_empty() {
            return;
        }
        quiet::draw(paint, inner, frame);
        return;
    };
    let lines = lines(paint, row, usize::from(area.width).saturating_sub(4));
    let height = usize::from(area.height.saturating_sub(2));
    let last = lines.len().saturating_sub(height);
    paint.state.cockpit.why_last.set(last);
    let first = paint.state.cockpit.why_scroll.min(last);
    let below = lines.len().saturating_sub(first + height);
    let arrow = if paint.state.ascii { "v" } else { "↓" };
    let more = if below > 0 { format!("  {arrow}{below} lines more") } else { String::new() };
    let block = pane(paint, "Why", &format!("{}{more}", title(&row.incident)), focused, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let visible: Vec<Line<'_>> = lines
        .into_iter()
        .skip(first)
        .take(height)
        .map(|l| indent(fit(l, usize::from(inner.width).saturating_sub(2)), 1))
        .collect();
    frame.render_widget(Paragraph::new(visible), inner);
}

fn indent(mut line: Line<'_>, by: usize) -> Line<'_> {
    line.spans.insert(0, Span::raw(" ".repeat(by)));
    line
}

fn lines(paint: &Paint<'_>, row: &Shown, width: usize) -> Vec<Line<'static>> {
    let incident = &row.incident;
    let mut lines = Vec::new();
    headline(paint, row, width, &mut lines);
    // What has recovered needs no fix.
    let offered = !incident.fixes.is_empty() && !matches!(row.standing, Standing::Recovered { .. });
    let offer = |lines: &mut Vec<Line<'static>>| {
        heading(paint, "Fixes", offered, lines);
        if offered {
            fixes(paint, incident, width, lines);
        }
    };
    // On a small screen what to press comes before the proof; on a large one both are in sight, in the order one reads.
    let compact = paint.state.size.1 < 30;
    if compact {
        offer(&mut lines);
    }
    evidence(paint, incident, width, &mut lines);
    change(paint, incident, width, &mut lines);
    if !compact {
        offer(&mut lines);
    }
    list(paint, "Also seen, from the same cause", &incident.symptoms, width, &mut lines);
    list(paint, "Ruled out", &incident.ruled_out, width, &mut lines);
    lines
}

fn heading(paint: &Paint<'_>, text: &'static str, shown: bool, lines: &mut Vec<Line<'static>>) {
    if shown {
        lines.push(Line::default());
        lines.push(Line::from(paint.span(Role::Title, text)));
    }
}

fn headline(paint: &Paint<'_>, row: &Shown, width: usize, lines: &mut Vec<Line<'static>>) {
    let incident = &row.incident;
    let dismiss = paint.state.config.keymap.label(&[Place::Cockpit], Action::Dismiss).unwrap_or_default();
    let state = match &row.standing {
        Standing::Open => None,
        Standing::Recovering { doing, ready, .. } => {
            Some((Role::Warning, format!("{} {doing}: {} of {} ready", paint.glyphs.working, ready.0, ready.1)))
        }
        Standing::Recovered { after, .. } => {
            Some((Role::Ok, format!("{} {}; {dismiss} dismisses it. It was:", paint.glyphs.ok, recovered(*after))))
        }
    };
    if let Some((role, text)) = state {
        lines.extend(wrap(&text, width).into_iter().map(|part| Line::from(paint.span(role, part))));
    }
    let app = paint.state;
    if let Some(back) = app.way_back.as_ref().filter(|back| back.incident.as_ref() == Some(&incident.id)) {
        let key = app.config.keymap.label(&[Place::Everywhere], Action::WayBack).unwrap_or_default();
        let does = format!("takes what was done back: {}", back.intent);
        let text = wrap(&does, width.saturating_sub(key.len() + 2));
        let lead = |at: usize| if at == 0 { format!("{key}  ") } else { " ".repeat(key.len() + 2) };
        lines.extend(
            text.into_iter()
                .enumerate()
                .map(|(at, part)| Line::from(vec![paint.span(Role::Key, lead(at)), paint.span(Role::Text, part)])),
        );
    }
    let (_, role) = paint.severity(incident.severity);
    for line in wrap(&redact::text(&incident.summary), width) {
        lines.push(Line::from(paint.span(Role::Strong, line)));
    }
    let mut facts = vec![
        paint.span(role, incident.severity.word()),
        Span::raw(format!(" {} ", paint.glyphs.dot)),
        paint.span(Role::Text, format!("{}, {}", phrase(incident.cause.0), incident.confidence.word())),
    ];
    let mut more = Vec::new();
    if let Some(since) = incident.since {
        more.push(paint.span(Role::Dim, format!("since {}, {} ago", clock(since), age(since, paint.state.now))));
    }
    if incident.regression {
        let dot = if more.is_empty() { String::new() } else { format!(" {} ", paint.glyphs.dot) };
        more.push(paint.span(Role::Accent, format!("{dot}a rollout brought it")));
    }
    // On a narrow pane the list beside or above it says both: the room is for evidence and fixes.
    let wide = facts.iter().chain(&more).map(Span::width).sum::<usize>() + 3;
    if !more.is_empty() && wide <= width {
        facts.push(Span::raw(format!(" {} ", paint.glyphs.dot)));
        facts.extend(more);
    }
    lines.push(Line::from(facts));
}

fn evidence(paint: &Paint<'_>, incident: &Incident, width: usize, lines: &mut Vec<Line<'static>>) {
    heading(paint, "Evidence", !incident.evidence.is_empty(), lines);
    for item in &incident.evidence {
        one_evidence(paint, item, width, lines);
    }
}

/// Where it was read, then the quote, then when.
fn one_evidence(paint: &Paint<'_>, item: &Evidence, width: usize, lines: &mut Vec<Line<'static>>) {
    let when = item.at.map(clock).unwrap_or_default();
    let object = format!("{} {}", clean(&item.object.kind).to_lowercase(), tail_name(&item.object.name));
    let word = item.from.word();
    // `status.phase` says where it was read by itself.
    let source = if item.field.starts_with(word) { String::new() } else { format!("{word} ") };
    let room = width.saturating_sub(object.chars().count() + source.len() + when.len() + 6);
    let from = format!("  {object}  {source}{}", short_name(&item.field, room));
    let (from, when) = spread(&from, &when, width);
    lines.push(Line::from(vec![paint.span(Role::Dim, from), paint.span(Role::Dim, when)]));
    let mut quote = wrap(&format!("\"{}\"", redact::text(&item.text)), width.saturating_sub(5));
    if quote.len() > QUOTE_LINES {
        quote.truncate(QUOTE_LINES);
        if let Some(last) = quote.last_mut() {
            last.push('…');
        }
    }
    lines.extend(quote.into_iter().map(|line| Line::from(paint.span(Role::Text, format!("     {line}")))));
}

fn change(paint: &Paint<'_>, incident: &Incident, width: usize, lines: &mut Vec<Line<'static>>) {
    let Some(change) = &incident.change else { return };
    heading(paint, "What changed just before", true, lines);
    let (head, _) = spread(&format!("  {}  {}", clock(change.at), change_words(change, paint)), "", width);
    lines.push(Line::from(paint.span(Role::Text, head)));
    let sure = crate::changes::before::sureness(&paint.state.snapshot, change).to_string();
    for part in wrap(&sure, width.saturating_sub(4)) {
        lines.push(Line::from(paint.span(Role::Dim, format!("    {part}"))));
    }
    for line in &change.diff {
        if let Some(old) = &line.old {
            push_diff(paint, Role::Removed, '-', (&line.field, old), width, lines);
        }
        if let Some(new) = &line.new {
            push_diff(paint, Role::Added, '+', (&line.field, new), width, lines);
        }
    }
}

/// `- image: app:v1` in the role's style, wrapped under itself. Also used by the preview.
pub fn push_diff(
    paint: &Paint<'_>,
    role: Role,
    sign: char,
    (field, value): (&str, &str),
    width: usize,
    lines: &mut Vec<Line<'static>>,
) {
    for (at, part) in wrap(&format!("{field}: {value}"), width.saturating_sub(6)).into_iter().enumerate() {
        let lead = if at == 0 { format!("    {sign} ") } else { "      ".to_owned() };
        lines.push(Line::from(paint.span(role, format!("{lead}{part}"))));
    }
}

fn change_words(change: &Change, paint: &Paint<'_>) -> String {
    // A node changes by itself: "node of node/x" says nothing.
    let what = if change.kind == ChangeKind::Node { "change" } else { change.kind.word() };
    let mut words = format!("{what} of {}", change.object);
    match (change.previous_revision, change.revision) {
        (Some(old), Some(new)) => words.push_str(&format!(", revision {old} {} {new}", paint.glyphs.arrow)),
        (None, Some(new)) => words.push_str(&format!(", revision {new}")),
        _ => {}
    }
    if let Some(by) = &change.by {
        words.push_str(&format!(", by {}", clean(by)));
    }
    words
}

fn fixes(paint: &Paint<'_>, incident: &Incident, width: usize, lines: &mut Vec<Line<'static>>) {
    let undo = paint.state.config.keymap.label(&[Place::Cockpit], Action::Undo).unwrap_or_default();
    for (at, fix) in incident.fixes.iter().enumerate().take(9) {
        let is_undo = matches!(fix.action, Some(crate::actions::Intent::Undo { .. }));
        let key = if is_undo { format!("{undo},{}", at + 1) } else { (at + 1).to_string() };
        one_fix(paint, fix, &key, width, lines);
    }
}

fn one_fix(paint: &Paint<'_>, fix: &Fix, key: &str, width: usize, lines: &mut Vec<Line<'static>>) {
    let how = if fix.action.is_some() { fix.risk.word().to_owned() } else { format!("{}, copies the command", fix.risk.word()) };
    let room = width.saturating_sub(8);
    for (at, part) in wrap(&format!("{}  [{how}]", fix.title), room).into_iter().enumerate() {
        let lead = if at == 0 { format!("  {key:<4} ") } else { " ".repeat(7) };
        lines.push(Line::from(vec![paint.span(Role::Key, lead), paint.span(Role::Text, part)]));
    }
    let mut detail = wrap(&fix.why, room);
    detail.extend(wrap(&redact::text(&fix.command), room));
    lines.extend(detail.into_iter().map(|part| Line::from(paint.span(Role::Dim, format!("{}{part}", " ".repeat(7))))));
}

fn list(paint: &Paint<'_>, title: &'static str, items: &[String], width: usize, lines: &mut Vec<Line<'static>>) {
    heading(paint, title, !items.is_empty(), lines);
    for item in items {
        for part in wrap(item, width.saturating_sub(2)) {
            lines.push(Line::from(paint.span(Role::Dim, format!("  {part}"))));
        }
    }
}
