//! The top line: where we are, how much we see, how old it is, what may be done.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::paint::Paint;
use super::words::clock;
use crate::app::{ConnectFailure, ConnectionState, State};
use crate::config::Role;
use crate::kinds::KindId;
use crate::snapshot::{CoverageState, Scope};
use crate::text::{Time, age, clean, ellipsis};

/// Feeds older than this many seconds are said to be stale.
const STALE_SECONDS: i64 = 90;

/// Draws the line: what matters less is left out first when it is narrow.
pub fn draw(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let state = paint.state;
    let width = usize::from(area.width);
    let wide = |spans: &[Span<'_>]| -> usize { spans.iter().map(|span| span.content.width()).sum() };
    // The long words to the right give way before how many pods are not ready does.
    let needed: usize =
        left_side(state).iter().take_while(|(role, _)| *role != Role::Dim).map(|(_, text)| text.width() + 2).sum();
    let mut right = right_side(paint, true);
    if 6 + needed + wide(&right) > width {
        right = right_side(paint, false);
    }
    let right_width = wide(&right);
    let mut left = vec![paint.span(Role::Accent, " k3am ")];
    let mut used = 6;
    for (role, text) in left_side(state) {
        let room = width.saturating_sub(right_width + used + 2);
        if room < 6 {
            break;
        }
        let text = clean(&text);
        // What matters less is left out whole; only where we are and what is wrong are cut.
        if matches!(role, Role::Text | Role::Dim) && text.width() + 2 > room {
            break;
        }
        let text = format!(" {} ", ellipsis(&text, room.saturating_sub(2)));
        used += text.width();
        left.push(paint.span(role, text));
    }
    let gap = width.saturating_sub(used + right_width);
    left.push(Span::raw(" ".repeat(gap)));
    left.extend(right);
    frame.render_widget(Line::from(left).style(paint.style(Role::Header)), area);
}

/// Parts from left to right, most important first.
fn left_side(state: &State) -> Vec<(Role, String)> {
    let mut parts = vec![(Role::Strong, place(state))];
    match &state.connection {
        ConnectionState::Connecting { .. } => return parts,
        ConnectionState::Failed(failure) => {
            parts.push((Role::Critical, failure_words(failure)));
            if state.snapshot.pods.is_empty() {
                return parts;
            }
        }
        ConnectionState::Connected(_) => {}
    }
    parts.extend(trouble(state));
    parts.push((Role::Text, pods(state)));
    parts.push((Role::Text, nodes(state)));
    if let Some(version) = &state.snapshot.identity.server_version {
        parts.push((Role::Dim, version.clone()));
    }
    parts.retain(|(_, text)| !text.is_empty());
    parts
}

fn failure_words(failure: &ConnectFailure) -> String {
    match failure {
        ConnectFailure::NoKubeconfig { .. } => "no cluster".to_owned(),
        ConnectFailure::Other(_) => "not connected".to_owned(),
    }
}

fn place(state: &State) -> String {
    match &state.connection {
        ConnectionState::Connecting { to } => format!("connecting to {to}"),
        ConnectionState::Connected(info) => {
            let namespaces = match info.namespaces.as_slice() {
                [] if narrowed(state).is_some() => narrowed(state).unwrap_or_default(),
                [] if state.size.0 < 100 => "all".to_owned(),
                [] => "all namespaces".to_owned(),
                some => some.join(","),
            };
            // A cloud's context name can be as long as the line.
            let context = ellipsis(&info.context, usize::from(state.size.0 / 4).max(12));
            let acting = info.acting_as.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
            format!("{context}{acting} {} {namespaces}", if state.ascii { ">" } else { "▸" })
        }
        ConnectionState::Failed(_) => state.snapshot.identity.name.clone(),
    }
}

/// Which namespaces there is something to see of, when RBAC hides the pods of the cluster as a whole: `shop only`.
fn narrowed(state: &State) -> Option<String> {
    let (mut denied, mut seen) = (false, Vec::new());
    for (_, scope, coverage) in state.snapshot.coverage.iter().filter(|(kind, ..)| *kind == KindId::Pod) {
        match (scope, coverage) {
            (Scope::Cluster, CoverageState::Denied { .. }) => denied = true,
            (Scope::Namespace(_), CoverageState::Denied { .. }) | (Scope::Cluster, _) => {}
            (Scope::Namespace(name), _) => seen.push(name.to_string()),
        }
    }
    match seen.as_slice() {
        _ if !denied => None,
        [] => Some("nothing visible".to_owned()),
        [one] => Some(format!("{one} only")),
        many => Some(format!("{} namespaces only", many.len())),
    }
}

/// `pods 47, 9 not ready`, or how far the list is.
fn pods(state: &State) -> String {
    let snapshot = &state.snapshot;
    let total = snapshot.pods.len();
    if !snapshot.coverage.is_listed(KindId::Pod) {
        // What is denied does not load; the trouble beside it says so.
        if total == 0 && narrowed(state).is_some() {
            return String::new();
        }
        return if total == 0 { "loading pods".to_owned() } else { format!("loading, pods {total} so far") };
    }
    let not_ready = snapshot.pods_not_ready();
    if not_ready == 0 { format!("pods {total}") } else { format!("pods {total}, {not_ready} not ready") }
}

fn nodes(state: &State) -> String {
    let nodes = &state.snapshot.nodes;
    if nodes.is_empty() {
        return String::new();
    }
    format!("nodes {}/{}", nodes.iter().filter(|n| n.is_ready()).count(), nodes.len())
}

/// What does not work just now, although it did or should.
struct Failing<'a> {
    error: &'a str,
    since: Time,
    /// The kinds it is about; empty: all that matters.
    kinds: Vec<&'static str>,
}

impl<'a> Failing<'a> {
    /// Of pods first: without them everything is old.
    fn of(state: &'a State) -> Option<Self> {
        let mut found: Option<Self> = None;
        for (kind, _, coverage) in state.snapshot.coverage.iter() {
            let CoverageState::Failing { error, since, .. } = coverage else { continue };
            if kind == KindId::Pod {
                return Some(Self { error, since: *since, kinds: Vec::new() });
            }
            let failing = found.get_or_insert_with(|| Self { error, since: *since, kinds: Vec::new() });
            failing.since = failing.since.min(*since);
            failing.kinds.push(kind.info().plural);
        }
        if let Some(failing) = &mut found {
            failing.kinds.dedup();
        }
        found
    }

    /// For the header: `no answer for 12s`, or that what it answers is of no use.
    fn in_short(&self, state: &State) -> String {
        let silent = self.error.starts_with("cannot reach ") || self.error.starts_with("no answer from ");
        let what = if silent { "no answer" } else { "no news" };
        let whom = match self.kinds.as_slice() {
            [] => String::new(),
            [one] => format!(" about {one}"),
            many => format!(" about {} kinds", many.len()),
        };
        format!("{what}{whom} for {}", age(self.since, state.now))
    }
}

/// The whole sentence on what does not work, for a line of its own; `None` while all works, or where the body says it.
pub fn sentence(paint: &Paint<'_>) -> Option<String> {
    let state = paint.state;
    let body_says_it = state.views.is_empty() && !state.snapshot.coverage.is_listed(KindId::Pod);
    if body_says_it || !matches!(state.connection, ConnectionState::Connected(_)) {
        return None;
    }
    let failing = Failing::of(state)?;
    let whom = if failing.kinds.is_empty() { String::new() } else { format!("{}: ", failing.kinds.join(", ")) };
    Some(format!("{} {whom}{}", paint.glyphs.critical, clean(failing.error)))
}

/// What is failing or hidden, in few words; the quiet screen and `X` say it in full.
fn trouble(state: &State) -> Vec<(Role, String)> {
    let mut denied = Vec::new();
    for (kind, _, coverage) in state.snapshot.coverage.iter() {
        match coverage {
            CoverageState::Denied { .. } if !state.snapshot.coverage.is_listed(kind) => denied.push(kind.info().plural),
            _ => {}
        }
    }
    let mut parts = Vec::new();
    if let Some(failing) = Failing::of(state) {
        parts.push((Role::Warning, failing.in_short(state)));
    }
    denied.dedup();
    if !denied.is_empty() {
        let named = if denied.len() > 2 {
            format!("{} kinds hidden", denied.len())
        } else {
            format!("not visible: {}", denied.join(", "))
        };
        parts.push((Role::Warning, named));
    }
    parts
}

/// How old what is seen is, what may be done, and the time; in few words unless `long`.
fn right_side(paint: &Paint<'_>, long: bool) -> Vec<Span<'static>> {
    let state = paint.state;
    let mut spans = Vec::new();
    if let ConnectionState::Connected(info) = &state.connection {
        let feed = state.snapshot.coverage.oldest_feed();
        let stale = feed.is_some_and(|at| (state.now - at).num_seconds() > STALE_SECONDS);
        // A watch that is quiet and not overdue is as fresh as the server's last word.
        let fails = state.snapshot.coverage.iter().any(|(_, _, s)| matches!(s, CoverageState::Failing { .. }));
        let feed = feed.map(|at| state.heard.filter(|_| !stale && !fails).map_or(at, |heard| heard.max(at)));
        let text = match feed {
            Some(at) if info.source != "bundle" => match state.size.0 {
                ..60 => format!("{} ago  ", age(at, state.now)),
                _ if long => format!("{}, heard {} ago  ", info.source, age(at, state.now)),
                _ => format!("{}, {} ago  ", info.source, age(at, state.now)),
            },
            Some(at) if state.size.0 >= 60 => format!("bundle of {}  ", at.format("%Y-%m-%d %H:%M")),
            Some(_) | None => format!("{}  ", info.source),
        };
        spans.push(paint.span(if stale { Role::Warning } else { Role::Dim }, text));
        let (role, mode) = if state.is_read_only() { (Role::Ok, "read-only  ") } else { (Role::Text, "read-write  ") };
        if long || state.is_read_only() {
            spans.push(paint.span(role, mode));
        }
    }
    // Every time on the screen is UTC, as in the objects and the logs; here it is said.
    let zone = if state.size.0 < 60 { "Z" } else { " UTC" };
    spans.push(paint.span(Role::Strong, format!("{}{zone} ", clock(state.now))));
    spans
}
