//! On wide screens: the pods of the selected incident's workloads, beside why.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::blocks::pane;
use super::paint::Paint;
use super::words::short_name;
use crate::config::Role;
use crate::kinds::pods::Pod;
use crate::text::{age, clean, ellipsis};

/// Draws the pane: only visible pods are built.
pub fn draw(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let state = paint.state;
    let pods = &state.follow.pods;
    let block = pane(paint, "Pods", &format!("{} of {}", pods.len(), state.follow.title), false, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inner.width);
    let name = width.saturating_sub(40).max(10);
    let head = format!(" {:<name$} {:<5} {:<18} {:>4} {:>7}", "NAME", "READY", "STATUS", "RST", "AGE");
    let mut lines = vec![Line::from(paint.span(Role::Column, ellipsis(&head, width)))];
    let visible = usize::from(inner.height).saturating_sub(1);
    for pod in pods.iter().filter_map(|key| state.snapshot.pods.get(key)).take(visible) {
        lines.push(row(paint, pod, name, width));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn row(paint: &Paint<'_>, pod: &Pod, name: usize, width: usize) -> Line<'static> {
    let ready = pod.status.container_statuses.iter().filter(|c| c.ready).count();
    let status = status(pod);
    let role = if pod.is_ready() || &*pod.status.phase == "Succeeded" { Role::Text } else { Role::Warning };
    let since = pod.meta.creation_timestamp.map(|at| age(at, paint.state.now)).unwrap_or_default();
    let text = format!(
        " {:<name$} {:<5} {:<18} {:>4} {since:>7}",
        short_name(&pod.meta.name, name),
        format!("{ready}/{}", pod.spec.containers.len()),
        ellipsis(&clean(&status), 18),
        pod.restarts(),
    );
    Line::from(paint.span(role, ellipsis(&text, width)))
}

/// The first reason that says more than the phase.
fn status(pod: &Pod) -> String {
    if pod.meta.deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let waiting = pod.containers().map(|c| c.waiting_reason().to_owned()).find(|r| !r.is_empty());
    waiting.or_else(|| pod.status.reason.as_deref().map(str::to_owned)).unwrap_or_else(|| pod.status.phase.to_string())
}
