//! What stands where there is no incident: connecting, loading, why not connected, or all quiet, and what that rests on.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::blocks::pane;
use super::paint::Paint;
use super::words::wrap;
use crate::app::{ConnectFailure, ConnectionState, State};
use crate::config::{Action, Place, Role};
use crate::kinds::KindId;
use crate::snapshot::CoverageState;
use crate::text::age;

/// True when there is nothing but this to show.
pub fn owns_the_screen(state: &State) -> bool {
    state.is_without_cluster()
}

/// Draws it as the whole body.
pub fn draw_alone(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let block = pane(paint, "k3am", "Kubernetes at 3 a.m.", false, area);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    draw(paint, inner, frame);
}

/// Draws it into a pane.
pub fn draw(paint: &Paint<'_>, area: Rect, frame: &mut Frame<'_>) {
    let width = usize::from(area.width).saturating_sub(4);
    let mut lines = vec![Line::default()];
    for (role, text) in sentences(paint) {
        if text.is_empty() {
            lines.push(Line::default());
            continue;
        }
        lines.extend(wrap(&text, width).into_iter().map(|part| Line::from(paint.span(role, format!("  {part}")))));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn sentences(paint: &Paint<'_>) -> Vec<(Role, String)> {
    let state = paint.state;
    match &state.connection {
        ConnectionState::Connecting { to } => {
            let mut lines = vec![(Role::Text, format!("Connecting to {to} ..."))];
            lines.extend(plugin_says(state));
            lines
        }
        ConnectionState::Failed(ConnectFailure::NoKubeconfig { looked }) => no_kubeconfig(state, looked),
        ConnectionState::Failed(ConnectFailure::Other(why)) => {
            let mut lines = vec![(Role::Critical, format!("{} {why}", paint.glyphs.critical)), (Role::Dim, again(state))];
            lines.extend(plugin_says(state));
            lines
        }
        ConnectionState::Connected(_) if !state.snapshot.coverage.is_listed(KindId::Pod) => not_listed(paint),
        ConnectionState::Connected(_) => quiet(paint),
    }
}

/// That it is tried again, and what a person can do meanwhile.
fn again(state: &State) -> String {
    let command = state.config.keymap.label(&[Place::Everywhere], Action::Command).unwrap_or_default();
    format!("Trying again every few seconds, with the kubeconfig as it is then. {command}ctx NAME connects to another context.")
}

/// A login may ask for something: a page to open, a code to type in there.
fn plugin_says(state: &State) -> Vec<(Role, String)> {
    if state.plugin_says.is_empty() {
        return Vec::new();
    }
    let head = [(Role::Text, String::new()), (Role::Strong, "The credential plugin says:".to_owned())];
    head.into_iter().chain(state.plugin_says.iter().map(|line| (Role::Accent, line.clone()))).collect()
}

fn no_kubeconfig(state: &State, looked: &str) -> Vec<(Role, String)> {
    let key = state.config.keymap.label(&[Place::NoCluster], Action::StartPractice).unwrap_or_default();
    vec![
        (Role::Strong, format!("There is no kubeconfig with a context. Looked at {looked}")),
        (Role::Text, "Set KUBECONFIG, pass --kubeconfig FILE, or put one at ~/.kube/config.".to_owned()),
        (Role::Text, String::new()),
        (
            Role::Accent,
            format!("{}  starts the practice cluster: it fails at night, inside this process", key.replace(' ', " or ")),
        ),
    ]
}

/// Pods are not listed yet, or never will be.
fn not_listed(paint: &Paint<'_>) -> Vec<(Role, String)> {
    let state = paint.state;
    let mut found = Vec::new();
    for coverage in state.snapshot.coverage.of_kind(KindId::Pod) {
        match coverage {
            // The refusal of a namespace says what that of the cluster says.
            CoverageState::Denied { why } if found.is_empty() => {
                found.push((Role::Warning, format!("{} Pods are not visible: {why}", paint.glyphs.warning)));
                let rights = "Look at a namespace you may read with -n NAME or :ns NAME, or ask for the rights of \
                              assets/rbac/read.yaml; they are noticed when they come.";
                found.push((Role::Text, rights.to_owned()));
            }
            CoverageState::Failing { error, .. } => {
                found.push((
                    Role::Critical,
                    format!("{} The server does not answer: {error}. Trying again.", paint.glyphs.critical),
                ));
            }
            CoverageState::Denied { .. } | CoverageState::Syncing { .. } | CoverageState::Synced { .. } => {}
        }
    }
    if found.is_empty() {
        found.push((Role::Text, format!("Loading pods, {} so far ...", state.snapshot.pods.len())));
    }
    found
}

/// Nothing is wrong with what can be seen; what cannot be seen is said.
fn quiet(paint: &Paint<'_>) -> Vec<(Role, String)> {
    let state = paint.state;
    let snapshot = &state.snapshot;
    let loading: Vec<&str> = KindId::ALL
        .iter()
        .filter(|k| snapshot.coverage.of_kind(**k).any(|s| matches!(s, CoverageState::Syncing { .. })))
        .map(|k| k.info().plural)
        .collect();
    if !loading.is_empty() {
        return vec![(Role::Text, format!("No incident so far; still loading {}.", loading.join(", ")))];
    }
    let missing = state.engine.not_evaluated();
    let silent = snapshot.coverage.iter().find_map(|(_, _, coverage)| match coverage {
        CoverageState::Failing { since, .. } => Some(*since),
        _ => None,
    });
    let mut lines = if let Some(since) = silent {
        // Old facts are no proof of a healthy cluster.
        let words = format!("{} No incident when the server last answered, {} ago.", paint.glyphs.warning, age(since, state.now));
        vec![(Role::Warning, words)]
    } else if missing.is_empty() {
        vec![(Role::Ok, format!("{} All quiet.", paint.glyphs.ok))]
    } else {
        vec![(Role::Warning, format!("{} No incident in what can be seen.", paint.glyphs.warning))]
    };
    let rules = crate::diagnosis::rules::ALL.len();
    lines.push((
        Role::Dim,
        format!(
            "{rules} rules over {} pods, {} Deployments, {} events.",
            snapshot.pods.len(),
            snapshot.deployments.len(),
            snapshot.events.len(),
        ),
    ));
    if !missing.is_empty() {
        lines.push((Role::Text, String::new()));
        // One line a reason: what one missing right hides is one fact, however many rules needed it.
        let mut rules_without: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for gap in &missing {
            rules_without.entry(&gap.why).or_default().insert(gap.rule);
        }
        let all: BTreeSet<&str> = missing.iter().map(|gap| gap.rule).collect();
        let key = state.config.keymap.label(&[Place::Cockpit], Action::Explain).unwrap_or_default();
        lines.push((Role::Text, format!("{} of {rules} rules not evaluated; {key} lists them:", all.len())));
        lines.extend(rules_without.iter().map(|(why, rules)| {
            let few = if rules.len() == 1 { "1 rule".to_owned() } else { format!("{} rules", rules.len()) };
            (Role::Dim, format!("{few}: {why}"))
        }));
    }
    lines
}
