//! Keys in, screens out: what a person does, step by step, through the real key table; and random messages, which may do
//! anything but panic or lose the selection.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use k3am::app::{Effect, Msg, Pane, State, View, update};
use k3am::kinds::KindId;
use k3am::snapshot::{Delta, Key, LogBatch, LogLine};
use proptest::prelude::*;

use super::screens::{agreed, bad_rollout, buffer, capture, connected, crash_log, feed, lines, plan_and_check, text};

/// `jj<enter>/api<esc><ctrl-d>` as key presses.
pub fn keys(script: &str) -> Vec<KeyEvent> {
    let mut found = Vec::new();
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|r| r.split_once('>')).filter(|(name, _)| name.len() > 1);
        if let Some((name, after)) = named {
            let chord: k3am::config::Chord = name.parse().unwrap();
            found.push(KeyEvent::new(chord.code, chord.modifiers));
            rest = after;
        } else {
            found.push(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// Presses keys; everything they asked for.
pub fn press(state: &mut State, script: &str) -> Vec<Effect> {
    keys(script).into_iter().flat_map(|key| update(state, Msg::Key(key))).collect()
}

#[test]
fn nodes_in_view_are_the_selections_first_then_those_of_other_incidents_and_of_the_table_that_is_open() {
    let mut state = capture();
    let node_of = |state: &State, key: &Key| state.snapshot.pods.get(key).and_then(|pod| pod.node_name.clone());
    let selected: Vec<_> = state.follow.pods.iter().filter_map(|key| node_of(&state, key)).collect();
    let nodes = k3am::app::in_view::nodes(&state);
    assert!(!selected.is_empty() && nodes.first() == selected.first(), "{nodes:?} {selected:?}");
    let mut once = nodes.clone();
    once.dedup();
    assert_eq!(once, nodes);
    press(&mut state, ":no<enter>G");
    let last = state.snapshot.nodes.keys().map(|key| key.name.clone()).max().unwrap();
    assert_eq!(k3am::app::in_view::nodes(&state).first(), Some(&last), "the selected node itself");
}

#[test]
fn the_selection_moves_and_the_strip_follows_it() {
    let mut state = capture();
    let first = state.incidents.selected.clone().unwrap();
    let before = text(&mut state, (120, 40));
    press(&mut state, "j");
    assert_ne!(state.incidents.selected.clone().unwrap(), first);
    assert_ne!(text(&mut state, (120, 40)), before);
    press(&mut state, "k");
    assert_eq!(state.incidents.selected.clone().unwrap(), first);
    press(&mut state, "G");
    assert_eq!(state.incidents.selected_index(), Some(state.incidents.rows.len() - 1));
    press(&mut state, "gk");
    assert_eq!(state.incidents.selected_index(), Some(0));
}

#[test]
fn tab_goes_round_all_panes_and_back() {
    let mut state = capture();
    for pane in Pane::ALL.iter().skip(1).chain([&Pane::Incidents]) {
        press(&mut state, "<tab>");
        assert_eq!(state.cockpit.focus, *pane);
    }
    press(&mut state, "<shift-tab>");
    assert_eq!(state.cockpit.focus, Pane::Metrics);
}

#[test]
fn at_80_columns_every_pane_is_a_tab_away() {
    let mut state = capture();
    for word in ["Incidents", "Why", "Events", "Logs", "Metrics"] {
        let frame = lines(&mut state, (80, 24));
        assert!(frame[1].contains(&format!("[{word}]")), "{}", frame[1]);
        press(&mut state, "<tab>");
    }
}

#[test]
fn enter_on_an_incident_goes_to_its_reason_and_escape_comes_back() {
    let mut state = capture();
    press(&mut state, "<enter>");
    assert_eq!(state.cockpit.focus, Pane::Why);
    press(&mut state, "<enter>");
    assert!(state.cockpit.zoomed);
    press(&mut state, "<esc>");
    assert!(!state.cockpit.zoomed);
    press(&mut state, "<esc>");
    assert_eq!(state.cockpit.focus, Pane::Incidents);
}

#[test]
fn undo_is_one_key_and_one_confirmation() {
    let mut state = bad_rollout();
    let effects = press(&mut state, "u");
    assert!(matches!(effects.as_slice(), [Effect::Plan(_)]), "{effects:?}");
    plan_and_check(&mut state, &effects, agreed());
    let effects = press(&mut state, "<enter>");
    assert!(matches!(effects.as_slice(), [Effect::Apply(_)]), "{effects:?}");
    assert_eq!(press(&mut state, "<enter>"), [], "a second Enter does not apply twice");
}

#[test]
fn enter_before_the_servers_answer_applies_nothing() {
    let mut state = bad_rollout();
    press(&mut state, "u");
    assert_eq!(press(&mut state, "<enter>"), []);
}

#[test]
fn escape_leaves_the_undo_and_nothing_happens() {
    let mut state = bad_rollout();
    let effects = press(&mut state, "u");
    plan_and_check(&mut state, &effects, agreed());
    assert_eq!(press(&mut state, "<esc>"), []);
    assert!(state.preview.is_none());
}

#[test]
fn an_answer_to_a_preview_that_was_left_changes_nothing() {
    let mut state = bad_rollout();
    let effects = press(&mut state, "u");
    let [Effect::Plan(intent)] = effects.as_slice() else { panic!("{effects:?}") };
    press(&mut state, "<esc>");
    let late = Msg::Checked { intent: intent.clone(), check: agreed() };
    assert_eq!(update(&mut state, late), []);
    assert!(state.preview.is_none());
}

#[test]
fn q_asks_before_it_quits_and_ctrl_c_does_not() {
    let mut state = capture();
    assert_eq!(press(&mut state, "q"), []);
    assert_eq!(press(&mut state, "k"), [], "any other key stays");
    assert_eq!(press(&mut state, "q<enter>"), [Effect::Quit]);
    let mut state = capture();
    assert_eq!(press(&mut state, "<ctrl-c>"), [Effect::Quit]);
}

#[test]
fn help_lists_what_keys_really_do_and_escape_leaves_it() {
    let mut state = capture();
    press(&mut state, "?");
    let frame = text(&mut state, (120, 60));
    assert!(frame.contains("undo the rollout"), "{frame}");
    press(&mut state, "<esc>");
    assert!(state.views.is_empty());
}

#[test]
fn a_filter_hides_lines_and_n_keeps_the_context() {
    let mut state = capture();
    press(&mut state, "l");
    feed(&mut state, crash_log());
    press(&mut state, "/operationalerror<enter>");
    let all = state.logs.lines.len();
    let hits = state.logs.shown().count();
    assert!(hits > 0 && hits < all, "{hits} of {all}");
    press(&mut state, "n");
    assert_eq!(state.logs.shown().count(), all, "walking from match to match shows what stands around it");
    let frame = text(&mut state, (80, 24)).to_lowercase();
    assert!(frame.contains("operationalerror"), "{frame}");
    press(&mut state, "<esc>");
    assert!(state.logs.filter.is_none(), "Esc clears the filter first");
    assert!(matches!(state.views.last(), Some(View::Logs)));
    press(&mut state, "<esc>");
    assert!(state.views.is_empty());
}

#[test]
fn an_inverse_filter_and_a_fuzzy_one() {
    let mut state = capture();
    press(&mut state, "l");
    feed(&mut state, crash_log());
    let all = state.logs.lines.len();
    press(&mut state, "/!info<enter>");
    assert_eq!(state.logs.shown().filter(|l| l.text.to_lowercase().contains("info")).count(), 0);
    press(&mut state, "<esc>/-f oprtnlerr<enter>");
    let hits = state.logs.shown().count();
    assert!(hits > 0 && hits < all, "{hits} of {all}");
}

#[test]
fn lines_of_an_older_stream_are_ignored() {
    let mut state = capture();
    press(&mut state, "l");
    let old = state.logs.stream();
    press(&mut state, "p");
    let batch = LogBatch { lines: crash_log(), ..LogBatch::default() };
    update(&mut state, Msg::Log { stream: old, batch });
    assert_eq!(state.logs.lines.len(), 0);
}

#[test]
fn a_long_log_stays_bounded_and_says_what_it_dropped() {
    let mut state = capture();
    press(&mut state, "l");
    for _ in 0..30 {
        feed(&mut state, (0..1_000).map(|n| LogLine { at: None, text: format!("line {n}").into() }).collect());
    }
    assert_eq!(state.logs.lines.len(), k3am::app::logs::KEEP);
    let frame = text(&mut state, (120, 40));
    assert!(frame.contains("20000 older lines dropped"), "{frame}");
}

#[test]
fn a_selection_survives_facts_that_rank_anew() {
    let mut state = capture();
    press(&mut state, "jjj");
    let chosen = state.incidents.selected.clone().unwrap();
    let unrelated: Vec<Key> = state.snapshot.events.keys().take(5).cloned().collect();
    update(&mut state, Msg::Deltas(unrelated.into_iter().map(|key| Delta::Remove { kind: KindId::Event, key }).collect()));
    assert_eq!(state.incidents.selected.as_ref(), Some(&chosen));
}

#[test]
fn at_another_cluster_nothing_of_the_old_one_is_left() {
    let mut state = capture();
    let elsewhere = k3am::app::ConnectedInfo {
        context: "staging".to_owned(),
        acting_as: None,
        namespaces: Vec::new(),
        read_only: true,
        source: "live",
    };
    update(&mut state, Msg::Connected(Ok(elsewhere)));
    assert!(state.incidents.rows.is_empty());
    let frame = text(&mut state, (120, 40));
    assert!(frame.contains("staging") && frame.contains("read-only"), "{frame}");
    assert!(!frame.contains("fastapi"), "{frame}");
}

fn any_key() -> impl Strategy<Value = KeyEvent> {
    let code = prop_oneof![
        8 => proptest::char::range(' ', '~').prop_map(KeyCode::Char),
        1 => Just(KeyCode::Enter),
        1 => Just(KeyCode::Esc),
        1 => Just(KeyCode::Tab),
        1 => Just(KeyCode::Backspace),
        1 => Just(KeyCode::PageUp),
        1 => Just(KeyCode::PageDown),
        1 => Just(KeyCode::Up),
        1 => Just(KeyCode::Down),
        1 => Just(KeyCode::Home),
        1 => Just(KeyCode::End),
    ];
    let modifiers = prop_oneof![6 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL), 1 => Just(KeyModifiers::SHIFT)];
    (code, modifiers).prop_map(|(code, modifiers)| KeyEvent::new(code, modifiers))
}

/// What may happen, as small data that shrinks.
#[derive(Debug, Clone)]
enum Step {
    Key(KeyEvent),
    Resize(u16, u16),
    Paste(String),
    Lines(Vec<String>),
    Tick(i64),
    DropPods(usize),
    DropEvents(usize),
    Forget,
    Draw,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => any_key().prop_map(Step::Key),
        2 => (0u16..200, 0u16..200).prop_map(|(w, h)| Step::Resize(w, h)),
        1 => ".{0,40}".prop_map(Step::Paste),
        1 => proptest::collection::vec(".{0,300}", 0..20).prop_map(Step::Lines),
        1 => (0i64..4_000).prop_map(Step::Tick),
        1 => (0usize..6).prop_map(Step::DropPods),
        1 => (0usize..40).prop_map(Step::DropEvents),
        1 => Just(Step::Forget),
        4 => Just(Step::Draw),
    ]
}

fn take(state: &mut State, step: Step, size: &mut (u16, u16)) {
    let removed = |kind, keys: Vec<Key>| keys.into_iter().map(|key| Delta::Remove { kind, key }).collect::<Vec<_>>();
    match step {
        Step::Key(key) => {
            update(state, Msg::Key(key));
        }
        Step::Resize(columns, rows) => *size = (columns, rows),
        Step::Paste(text) => {
            update(state, Msg::Paste(text));
        }
        Step::Lines(lines) => feed(state, lines.into_iter().map(|l| LogLine { at: None, text: l.into() }).collect()),
        Step::Tick(seconds) => {
            let now = state.now + chrono::TimeDelta::seconds(seconds);
            update(state, Msg::Tick(now));
        }
        Step::DropPods(count) => {
            let keys = state.snapshot.pods.keys().take(count).cloned().collect();
            update(state, Msg::Deltas(removed(KindId::Pod, keys)));
        }
        Step::DropEvents(count) => {
            let keys = state.snapshot.events.keys().take(count).cloned().collect();
            update(state, Msg::Deltas(removed(KindId::Event, keys)));
        }
        Step::Forget => {
            update(state, Msg::Notice("…".repeat(300)));
        }
        Step::Draw => {
            buffer(state, *size);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_happens_panics_or_loses_the_selection(steps in proptest::collection::vec(any_step(), 1..60)) {
        let mut state = capture();
        let mut size = (120, 40);
        for step in steps {
            take(&mut state, step, &mut size);
            let selected = state.incidents.selected_index();
            prop_assert_eq!(selected.is_none(), state.incidents.rows.is_empty());
        }
        buffer(&mut state, size);
    }
}

#[test]
fn a_screen_of_any_size_can_be_drawn() {
    let mut failing = capture();
    let mut empty = connected(super::screens::capture_time());
    for columns in (0..=200).step_by(7) {
        for rows in (0..=90).step_by(6) {
            buffer(&mut failing, (columns, rows));
            buffer(&mut empty, (columns, rows));
        }
    }
}

#[test]
fn other_namespaces_start_from_nothing_and_the_same_ones_keep_what_is_known() {
    let info = k3am::app::ConnectedInfo {
        context: "prod".into(),
        acting_as: None,
        namespaces: Vec::new(),
        read_only: false,
        source: "live",
    };
    let mut state = capture_connected(info.clone());
    let pods = state.snapshot.pods.len();
    assert!(pods > 0);
    update(&mut state, Msg::Connected(Ok(info.clone())));
    assert_eq!(state.snapshot.pods.len(), pods, "a reconnect keeps the old data on screen");
    update(&mut state, Msg::Connected(Ok(k3am::app::ConnectedInfo { namespaces: vec!["shop".into()], ..info })));
    assert!(state.snapshot.pods.is_empty() && state.incidents.rows.is_empty(), "what is no longer watched must not stay");
}

/// The capture, seen through that connection.
fn capture_connected(info: k3am::app::ConnectedInfo) -> State {
    let mut state = capture();
    state.connection = k3am::app::ConnectionState::Connected(info);
    state
}
