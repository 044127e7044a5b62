//! The timeline view, and what is said about the change before a failure.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use k3am::app::{Effect, Msg, State, View, update};

use crate::screens::{bad_rollout, capture, text};

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            key => KeyCode::Char(key),
        };
        effects = update(state, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
    effects
}

fn entries(state: &State) -> usize {
    match state.views.last() {
        Some(View::Timeline(view)) => view.entries.len(),
        _ => panic!("the timeline is not open"),
    }
}

#[test]
fn the_timeline_shows_the_rollout_below_the_failure_it_brought() {
    let mut state = bad_rollout();
    press(&mut state, "T");
    let screen = text(&mut state, (120, 30));
    let at = |word: &str| screen.lines().position(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word}: {screen}"));
    assert!(at("failure") < at("rollout"), "newest first: {screen}");
    press(&mut state, "/rollout\n");
    let screen = text(&mut state, (80, 24));
    assert!(!screen.contains("failure") && screen.contains("image"), "the diff of the rollout is below: {screen}");
}

#[test]
fn the_timeline_turns_from_the_cluster_to_the_selection_and_opens_objects() {
    let mut state = capture();
    press(&mut state, "T");
    let all = entries(&state);
    press(&mut state, "T");
    let own = entries(&state);
    assert!(own > 0 && own < all, "{own} of {all}");
    press(&mut state, "T");
    assert_eq!(entries(&state), all);
    let effects = press(&mut state, "j\n");
    assert!(matches!(effects.as_slice(), [Effect::FetchDescription { .. }]), "{effects:?}");
    press(&mut state, "\u{1b}\u{1b}");
    assert!(state.views.is_empty());
}

#[test]
fn the_timeline_fits_every_screen() {
    for size in [(80, 24), (120, 40), (200, 60), (40, 10)] {
        let mut state = capture();
        press(&mut state, "TG");
        let screen = text(&mut state, size);
        assert!(screen.contains("Timeline"), "{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= size.0 as usize));
        assert!(screen.contains('▌'), "the last entry is visible at {size:?}: {screen}");
    }
}
