//! Usage of the selection's container that is closest to its limit, against request and limit, or why there is none.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::blocks::pane;
use super::paint::Paint;
use super::words::{short_name, wrap};
use crate::config::Role;
use crate::kinds::pod_spec::Resources;
use crate::snapshot::{Usage, UsageKey};
use crate::text::{bytes, cores};

/// Samples in a sparkline.
const SPARK: usize = 20;
/// From this share of a limit on, the number is a warning.
const NEAR: f64 = 0.9;

/// Draws the pane.
pub fn draw(paint: &Paint<'_>, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    let state = paint.state;
    let follow = &state.follow;
    let ready = follow.pods.iter().filter_map(|k| state.snapshot.pods.get(k)).filter(|p| p.is_ready()).count();
    let whose = match &follow.usage {
        Some(key) => {
            let among = match follow.pods.len() {
                0 | 1 => String::new(),
                pods => format!(", the closest to its limit among {pods} pods"),
            };
            format!("{} {}{among}", short_name(&key.pod, 28), key.container)
        }
        None => format!("{}, {ready} of {} pods ready", follow.title, follow.pods.len()),
    };
    let block = pane(paint, "Metrics", &whose, focused, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines(paint, usize::from(inner.width))), inner);
}

fn lines(paint: &Paint<'_>, width: usize) -> Vec<Line<'static>> {
    let state = paint.state;
    let source = match &state.metrics_source {
        Some(Ok(source)) => format!("source {source}"),
        Some(Err(why)) => format!("no metrics: {why}"),
        None => "metrics have not arrived yet".to_owned(),
    };
    let Some((key, usage)) = state.follow.usage.as_ref().and_then(|key| Some((key, state.snapshot.usage.get(key)?))) else {
        // A container that dies within seconds is never sampled: say so instead of nothing.
        let restarts = state.follow.restarts;
        let none = if matches!(state.metrics_source, Some(Ok(_))) {
            format!("no sample of these containers yet, restarts {restarts}, {source}")
        } else {
            format!("restarts {restarts}; {source}")
        };
        return two_lines(paint, &none, width);
    };
    let resources = resources(paint, key);
    let memory = measure(paint, usage, &resources, ("memory", bytes, |s| s.2));
    let cpu = measure(paint, usage, &resources, ("cpu", cores, |s| s.1));
    let restarts = paint.span(Role::Dim, format!("   restarts {}   {source}", state.follow.restarts));
    if width >= 150 {
        let mut line = memory;
        line.push(Span::raw("    "));
        line.extend(cpu);
        line.push(restarts);
        return vec![Line::from(line)];
    }
    let mut second = cpu;
    second.push(restarts);
    vec![Line::from(memory), Line::from(second)]
}

/// Two lines are there: what does not fit on them is cut with a mark.
fn two_lines(paint: &Paint<'_>, text: &str, width: usize) -> Vec<Line<'static>> {
    let mut parts = wrap(text, width.saturating_sub(2));
    if parts.len() > 2 {
        let rest = parts.split_off(1).join(" ");
        parts.push(crate::text::ellipsis(&rest, width.saturating_sub(2)));
    }
    parts.into_iter().map(|part| Line::from(paint.span(Role::Dim, format!(" {part}")))).collect()
}

fn resources(paint: &Paint<'_>, key: &UsageKey) -> Resources {
    let pod = paint.state.snapshot.pods.named(&key.namespace, &key.pod);
    pod.and_then(|p| p.spec.container(&key.container)).map(|c| c.resources.clone()).unwrap_or_default()
}

type Measure = (&'static str, fn(f64) -> String, fn(&(crate::text::Time, f64, f64)) -> f64);

fn measure(paint: &Paint<'_>, usage: &Usage, resources: &Resources, (name, words, pick): Measure) -> Vec<Span<'static>> {
    let values: Vec<f64> = usage.newest_first().take(SPARK).map(|sample| pick(&sample)).collect();
    let now = values.first().copied().unwrap_or_default();
    let limit = resources.limit(name);
    let top = values.iter().copied().fold(limit.unwrap_or(0.0), f64::max);
    let spark: String = values.iter().rev().map(|v| spark(paint, *v, top)).collect();
    let mut spans = vec![paint.span(Role::Title, format!(" {name:<7}")), paint.span(Role::Chart, format!("{spark}  "))];
    spans.push(paint.span(Role::Strong, words(now)));
    match limit {
        Some(limit) if limit > 0.0 => {
            let share = now / limit;
            let role = if share >= NEAR { Role::Warning } else { Role::Text };
            let mark = if share >= NEAR { format!(" {}", paint.glyphs.warning) } else { String::new() };
            spans.push(paint.span(role, format!(" of {} limit  {:.0} %{mark}", words(limit), share * 100.0)));
        }
        _ => spans.push(paint.span(Role::Dim, "  no limit")),
    }
    if let Some(request) = resources.request(name) {
        spans.push(paint.span(Role::Dim, format!("  request {}", words(request))));
    }
    spans
}

fn spark(paint: &Paint<'_>, value: f64, top: f64) -> &'static str {
    let share = if top > 0.0 { value / top } else { 0.0 };
    let index = ((share * 8.0) as usize).min(7);
    paint.glyphs.sparks.get(index).copied().unwrap_or(" ")
}
