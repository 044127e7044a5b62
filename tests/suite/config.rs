//! Settings: the default keymap is sound, every binding can be changed, mistakes are named by their line.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use k3am::config::{Action, Chord, Config, Flags, Place, Role, Sources, Theme, theme};
use proptest::prelude::*;

const PODS: &[Place] = &[Place::Pods, Place::Tables, Place::Everywhere];
const INCIDENTS: &[Place] = &[Place::Incidents, Place::Cockpit, Place::Everywhere];
const LOGS: &[Place] = &[Place::Logs, Place::Cockpit, Place::Everywhere];

fn with_file(text: &str) -> (Config, Vec<String>) {
    let (config, problems) =
        Config::build(&Sources { file: Some(("config.toml".to_owned(), text.to_owned())), ..Sources::default() });
    (config, problems.iter().map(ToString::to_string).collect())
}

fn does(config: &Config, places: &[Place], chord: &str) -> Option<(Action, usize)> {
    config.keymap.find_chord(places, chord.parse().unwrap()).map(|hit| (hit.action, hit.nth))
}

#[test]
fn the_defaults_have_no_problem_and_every_action_has_a_key() {
    let (config, problems) = Config::build(&Sources::default());
    assert_eq!(problems, []);
    let unbound: Vec<_> =
        Action::ALL.iter().filter(|action| !config.keymap.binds().iter().any(|b| b.action == **action)).collect();
    assert_eq!(unbound, [] as [&Action; 0]);
    assert!(config.keymap.binds().iter().all(|bind| !bind.does.is_empty() && !bind.group.is_empty()));
}

#[test]
fn keys_mean_what_the_narrowest_place_says() {
    let config = Config::defaults();
    assert_eq!(does(&config, INCIDENTS, "u"), Some((Action::Undo, 0)));
    assert_eq!(does(&config, INCIDENTS, "3"), Some((Action::Fix, 2)));
    assert_eq!(does(&config, PODS, "0"), Some((Action::Namespace, 0)));
    assert_eq!(does(&config, LOGS, "2"), Some((Action::LogRange, 2)));
    assert_eq!(does(&config, LOGS, "p"), Some((Action::PreviousRun, 0)));
    assert_eq!(does(&config, PODS, "ctrl-z"), Some((Action::FaultsOnly, 0)));
    assert_eq!(does(&config, INCIDENTS, "ctrl-z"), Some((Action::Suspend, 0)));
    assert_eq!(does(&config, &[Place::Prompt], "q"), None, "a letter in the prompt is text");
    assert_eq!(does(&config, &[Place::Preview], "enter"), Some((Action::Apply, 0)));
}

#[test]
fn key_events_of_every_terminal_protocol_find_their_chord() {
    let config = Config::defaults();
    let press = |code, modifiers| config.keymap.find(PODS, &KeyEvent::new(code, modifiers)).map(|hit| hit.action);
    assert_eq!(press(KeyCode::Char('N'), KeyModifiers::SHIFT), Some(Action::SortByName));
    assert_eq!(press(KeyCode::Char('N'), KeyModifiers::NONE), Some(Action::SortByName));
    assert_eq!(press(KeyCode::Char('?'), KeyModifiers::SHIFT), Some(Action::Help));
    let back = config.keymap.find(INCIDENTS, &KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT)).map(|hit| hit.action);
    assert_eq!(back, Some(Action::PreviousPane));
    assert_eq!(press(KeyCode::Char('d'), KeyModifiers::CONTROL), Some(Action::Delete));
    let chord = |text: &str| text.parse::<Chord>().unwrap();
    assert_eq!(Chord::of(&KeyEvent::new(KeyCode::Char('4'), KeyModifiers::CONTROL)), chord("ctrl-\\"));
    assert_eq!(Chord::of(&KeyEvent::new(KeyCode::Char(' '), KeyModifiers::CONTROL)), chord("ctrl-space"));
    assert_eq!(chord("shift-n"), chord("N"));
    assert_eq!(chord("-").label(), "-");
    assert_eq!(chord("ctrl--").to_string(), "ctrl--");
}

#[test]
fn a_chord_the_terminal_cannot_send_is_refused_with_the_reason() {
    let refused = |text: &str| text.parse::<Chord>().unwrap_err().to_string();
    assert_eq!(refused("ctrl-i"), "`ctrl-i` cannot be bound: a terminal sends the same for it as for tab");
    assert!(refused("ctlr-d").starts_with("`ctlr-d` is not a key: write a character, space,"));
    assert!(refused("f13").contains("f1-f12"));
}

proptest! {
    #[test]
    fn chords_round_trip_through_their_text(
        key in prop_oneof!["[ -~]".prop_map(|s| s), "space|enter|esc|tab|del|home|end|pgup|pgdn|up|down|left|right|f[1-9]|f1[0-2]"],
        modifiers in "(ctrl-)?(alt-)?(shift-)?",
    ) {
        if let Ok(chord) = format!("{modifiers}{key}").parse::<Chord>() {
            prop_assert_eq!(chord.to_string().parse::<Chord>().unwrap(), chord);
            let event = KeyEvent::new(chord.code, chord.modifiers);
            prop_assert_eq!(Chord::of(&event), chord);
        }
    }

    #[test]
    fn no_file_breaks_the_keymap(text in "\\PC{0,200}") {
        let (config, _) = with_file(&text);
        prop_assert!(does(&config, PODS, "ctrl-c").is_some());
    }
}

#[test]
fn a_user_binding_replaces_the_actions_keys_and_takes_the_chord() {
    let (config, problems) = with_file(
        "[[bind]]\nkeys = [\"ctrl-u\", \"5\"]\naction = \"undo\"\nwhere = [\"cockpit\"]\n\n[[bind]]\nkeys = []\naction = \"describe\"\n",
    );
    assert_eq!(problems, [] as [String; 0]);
    assert_eq!(does(&config, INCIDENTS, "ctrl-u"), Some((Action::Undo, 0)));
    assert_eq!(does(&config, INCIDENTS, "5"), Some((Action::Undo, 1)));
    assert_eq!(does(&config, INCIDENTS, "6"), Some((Action::Fix, 5)), "the others keep their numbers");
    assert_eq!(does(&config, INCIDENTS, "u"), None);
    assert_eq!(does(&config, PODS, "u"), Some((Action::Undo, 0)), "other places keep theirs");
    assert_eq!(does(&config, PODS, "d"), None);
}

#[test]
fn mistakes_are_named_with_their_line_and_what_is_allowed() {
    let (config, problems) = with_file(
        "theme = \"dark\"\n\n[[bind]]\nkeys = [\"ctlr-u\"]\naction = \"undo\"\n\n[[bind]]\nkeys = [\"z\"]\naction = \"undoo\"\nwhere = [\"podz\"]\n",
    );
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems[0].starts_with("config.toml line 4: `ctlr-u` is not a key: write "), "{}", problems[0]);
    assert!(
        problems[1].starts_with("config.toml line 9: there is no action `undoo`, did you mean `undo`?; allowed: undo, fix,"),
        "{}",
        problems[1]
    );
    assert!(problems[2].starts_with("config.toml line 10: there is no place `podz`"), "{}", problems[2]);
    assert_eq!(does(&config, PODS, "u"), Some((Action::Undo, 0)), "a bad entry changes nothing");
}

#[test]
fn a_broken_file_is_a_problem_with_its_line_and_the_defaults_stay() {
    let (config, problems) = with_file("theme = \"dark\"\nreadonly = maybe\n");
    assert!(problems[0].starts_with("config.toml line 2: "), "{problems:?}");
    assert_eq!(does(&config, PODS, "u"), Some((Action::Undo, 0)));
    let (_, problems) = with_file("colour = 1\n");
    assert!(problems[0].contains("unknown field `colour`, expected one of `theme`"), "{problems:?}");
}

#[test]
fn two_bindings_of_the_user_for_one_chord_are_a_conflict() {
    let (_, problems) =
        with_file("[[bind]]\nkeys = [\"z\"]\naction = \"wide\"\n[[bind]]\nkeys = [\"z\"]\naction = \"faults-only\"\n");
    assert_eq!(problems, ["config.toml line 5: `z` already does `wide` in `tables`: give one of them another key"]);
}

#[test]
fn there_is_always_a_way_out() {
    let (config, problems) = with_file("[[bind]]\nkeys = []\naction = \"quit\"\n");
    assert_eq!(problems, ["config.toml: there would be no way out of `everywhere`: `quit` keeps its keys there"]);
    assert_eq!(does(&config, PODS, "ctrl-c"), Some((Action::Quit, 0)));
    let (config, problems) = with_file("[[bind]]\nkeys = [\"z\"]\naction = \"cancel\"\n");
    assert_eq!(problems, ["config.toml: there would be no way out of `prompt`: `cancel` keeps its keys there"]);
    assert_eq!(does(&config, &[Place::Prompt], "z"), None, "a letter in the prompt is text");
    assert_eq!(does(&config, &[Place::Prompt], "esc"), Some((Action::Cancel, 0)));
    assert_eq!(does(&config, &[Place::Preview], "z"), Some((Action::Cancel, 0)));
}

#[test]
fn the_whole_table_can_be_printed_for_the_readme() {
    let table = Config::defaults().keymap.markdown();
    assert!(table.contains("| `u` | undo the rollout: preview, then Enter | cockpit, pods, workloads, replicasets |"), "{table}");
    assert!(table.contains("| `1-9` | preview that fix, then Enter | cockpit |"), "{table}");
}

#[test]
fn the_help_lists_only_what_a_key_there_does() {
    let help = Config::defaults().keymap.help(LOGS);
    let line = |action: &str| {
        help.iter().flat_map(|g| &g.lines).find(|(_, does)| does.starts_with(action)).map(|(keys, _)| keys.clone())
    };
    assert_eq!(line("tail, head").as_deref(), Some("0-6"));
    assert_eq!(line("down").as_deref(), Some("j ↓"));
    assert_eq!(line("preview that fix").as_deref(), Some("7-9"), "1-6 are log ranges here");
    assert_eq!(line("sort by name"), None);
    let hints = Config::defaults().keymap.hints(INCIDENTS);
    assert_eq!(hints.first(), Some(&("u".to_owned(), "undo".to_owned())));
    assert_eq!(hints.get(1), Some(&("1-9".to_owned(), "fix".to_owned())));
}

#[test]
fn later_sources_go_over_earlier_ones() {
    let file = Some((
        "f".to_owned(),
        "theme = \"light\"\nfavourite_namespaces = [\"a\"]\nprotected_contexts = [\"prod-*\"]\n".to_owned(),
    ));
    let variables =
        vec![("K3AM_READONLY".to_owned(), "true".to_owned()), ("K3AM_FAVOURITE_NAMESPACES".to_owned(), "b, c".to_owned())];
    let (config, problems) =
        Config::build(&Sources { file: file.clone(), variables: variables.clone(), flags: Flags::default() });
    assert_eq!(problems, []);
    assert_eq!((config.theme.name.as_str(), config.readonly), ("light", true));
    assert_eq!(config.favourite_namespaces, ["b", "c"]);
    assert!(config.is_protected("prod-eu-1") && !config.is_protected("dev-prod-1"));
    let flags = Flags { theme: Some("16-colour".to_owned()), readonly: false };
    let (config, _) = Config::build(&Sources { file, variables, flags });
    assert_eq!(config.theme.name, "16-colour");
    assert!(config.readonly, "a flag that was not given leaves the variable alone");
}

#[test]
fn the_theme_follows_the_terminal_and_no_color() {
    let chosen = |variables: &[(&str, &str)], theme: Option<&str>| {
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let flags = Flags { theme: theme.map(str::to_owned), readonly: false };
        Config::build(&Sources { file: None, variables, flags })
    };
    assert_eq!(chosen(&[("TERM", "xterm-256color")], None).0.theme.name, "dark");
    assert_eq!(chosen(&[("TERM", "xterm-256color"), ("COLORFGBG", "0;15")], None).0.theme.name, "light");
    assert_eq!(chosen(&[("TERM", "linux")], None).0.theme.name, "16-colour");
    assert_eq!(chosen(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], None).0.theme.name, "no-colour");
    assert_eq!(chosen(&[("NO_COLOR", "1")], Some("light")).0.theme.name, "light", "a theme asked for by name goes first");
    assert_eq!(chosen(&[("NO_COLOR", "")], None).0.theme.name, "dark");
    let (config, problems) = chosen(&[], Some("neon"));
    assert_eq!(config.theme.name, "dark");
    assert_eq!(problems[0].to_string(), "theme: there is no theme `neon`: choose auto, dark, light, 16-colour, no-colour");
}

#[test]
fn every_theme_has_every_role_and_no_colour_has_no_colour() {
    for name in theme::names() {
        assert!(Theme::named(name).is_some(), "{name}");
    }
    let plain = Theme::named("no-colour").unwrap();
    assert!(Role::ALL.iter().all(|role| plain.style(*role).fg.is_none() && plain.style(*role).bg.is_none()));
    assert_eq!(Theme::parse("x", "text = {}").unwrap_err(), "role `dim` is missing");
    assert_eq!(Theme::parse("x", "txet = {}").unwrap_err(), "`txet` is not a role");
}
