//! Frames as text, at the sizes people have: a terminal in a panic (40x12), over SSH (80x24), on a laptop, on a desk.
//! Snapshots lie in `tests/fixtures/screens`; `cargo insta review` or `INSTA_UPDATE=always` takes a changed one over.

use std::path::{Path, PathBuf};

use chrono::{TimeDelta, TimeZone, Utc};
use k3am::actions::{Check, Intent, Plan};
use k3am::app::{ConnectFailure, ConnectedInfo, Msg, Options, State, update};
use k3am::config::{Config, Flags, Role, Sources};
use k3am::kinds::{KindId, Row};
use k3am::snapshot::{Delta, Identity, Key, LogBatch, LogLine, Scope};
use k3am::source::bundle;
use k3am::text::Time;
use k3am::ui;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// The sizes every cockpit state is looked at in.
const SIZES: &[(u16, u16)] = &[(40, 12), (80, 24), (120, 40), (200, 60)];

pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// When the capture was taken.
pub fn capture_time() -> Time {
    let text = std::fs::read_to_string(fixture("captures/fastapi-prod/expected.json")).unwrap();
    let answers: serde_json::Value = serde_json::from_str(&text).unwrap();
    answers["observedAt"].as_str().unwrap().parse().unwrap()
}

fn options(theme: &str) -> Options {
    let sources = Sources { flags: Flags { theme: Some(theme.to_owned()), readonly: false }, ..Sources::default() };
    Options { config: Config::build(&sources).0, ascii: false, connecting_to: "prod-eu-1".to_owned() }
}

/// Before anything has arrived.
pub fn fresh(now: Time) -> State {
    State::new(options("dark"), now)
}

fn info() -> ConnectedInfo {
    ConnectedInfo { context: "prod-eu-1".to_owned(), acting_as: None, namespaces: Vec::new(), read_only: false, source: "live" }
}

pub fn connected(now: Time) -> State {
    connect(fresh(now))
}

fn connect(mut state: State) -> State {
    update(&mut state, Msg::Connected(Ok(info())));
    let identity = Identity { name: "prod-eu-1".to_owned(), server_version: Some("v1.36.2".to_owned()) };
    update(&mut state, Msg::Deltas(vec![Delta::Identity(identity)]));
    state
}

/// Marks every kind as listed, with nothing in it that was not said.
pub fn all_listed(now: Time) -> Vec<Delta> {
    let listed = |kind: &KindId| Delta::Listed { kind: *kind, scope: Scope::Cluster, at: now };
    KindId::ALL.iter().map(listed).collect()
}

/// A real cluster with many faults, as it was at 3 a.m.
pub fn capture() -> State {
    let now = capture_time();
    let mut state = connected(now);
    update(&mut state, Msg::Deltas(bundle::read(&fixture("captures/fastapi-prod")).unwrap().deltas()));
    update(&mut state, Msg::Tick(now));
    state
}

/// A rollout to a tag that does not exist, and nothing else.
pub fn bad_rollout() -> State {
    let bundle = bundle::read(&fixture("changes/bad-rollout.json")).unwrap();
    let now = bundle.newest.unwrap() + TimeDelta::seconds(30);
    let mut state = connected(now);
    let mut deltas = bundle.deltas();
    deltas.retain(|delta| matches!(delta, Delta::Upsert { .. }));
    for kind in KindId::ALL {
        let at = deltas.iter().position(|_| true).unwrap_or(0);
        deltas.insert(at, Delta::ListStarted { kind: *kind, scope: Scope::Cluster });
    }
    for delta in &mut deltas {
        if let Delta::Upsert { scope, .. } = delta {
            *scope = Scope::Cluster;
        }
    }
    deltas.extend(all_listed(now));
    update(&mut state, Msg::Deltas(deltas));
    update(&mut state, Msg::Tick(now));
    state
}

/// Draws and returns the whole buffer.
pub fn buffer(state: &mut State, (columns, rows): (u16, u16)) -> Buffer {
    update(state, Msg::Resize(columns, rows));
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| ui::view(state, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// Draws and returns the screen's lines.
pub fn lines(state: &mut State, size: (u16, u16)) -> Vec<String> {
    let buffer = buffer(state, size);
    let row = |y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..size.1).map(row).collect()
}

pub fn text(state: &mut State, size: (u16, u16)) -> String {
    lines(state, size).join("\n")
}

fn snapshot(name: &str, state: &mut State, size: (u16, u16)) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../fixtures/screens");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // A new rule is no news to a screen.
    let count = format!("{} rules over", k3am::diagnosis::rules::ALL.len());
    let frame = text(state, size).replace(&count, "NN rules over");
    settings.bind(|| insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), frame));
}

pub fn press(state: &mut State, keys: &str) -> Vec<k3am::app::Effect> {
    super::flows::press(state, keys)
}

#[test]
fn the_cockpit_of_a_failing_cluster() {
    let mut state = capture();
    for size in SIZES {
        snapshot("capture", &mut state, *size);
    }
}

#[test]
fn the_cockpit_of_a_bad_rollout() {
    let mut state = bad_rollout();
    for size in SIZES {
        snapshot("rollout", &mut state, *size);
    }
}

#[test]
fn the_screen_without_a_kubeconfig_offers_the_practice_cluster() {
    let mut state = fresh(Utc.with_ymd_and_hms(2026, 7, 21, 2, 47, 13).unwrap());
    update(&mut state, Msg::Connected(Err(ConnectFailure::NoKubeconfig { looked: "/home/me/.kube/config".to_owned() })));
    snapshot("no-kubeconfig", &mut state, (80, 24));
    assert_eq!(press(&mut state, "p"), [k3am::app::Effect::StartPractice]);
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let mut state = fresh(Utc.with_ymd_and_hms(2026, 7, 21, 2, 47, 13).unwrap());
    let why = "prod-eu-1: https://10.0.0.1:6443 does not answer (connection refused)".to_owned();
    update(&mut state, Msg::Connected(Err(ConnectFailure::Other(why))));
    snapshot("unreachable", &mut state, (80, 24));
}

fn pods_so_far(state: &mut State, count: usize) {
    let pool = k3am::kinds::Pool::default();
    let pod = |n: usize| {
        let json = serde_json::json!({"metadata": {"name": format!("web-{n}"), "namespace": "shop", "resourceVersion": "1"}});
        Row::from_value(KindId::Pod, json, &pool).unwrap()
    };
    let mut deltas = vec![Delta::ListStarted { kind: KindId::Pod, scope: Scope::Cluster }];
    deltas.extend((0..count).map(pod).map(|row| Delta::Upsert { scope: Scope::Cluster, row }));
    update(state, Msg::Deltas(deltas));
}

#[test]
fn while_lists_come_in_the_screen_says_how_far_they_are() {
    let mut state = connected(Utc.with_ymd_and_hms(2026, 7, 21, 2, 47, 13).unwrap());
    pods_so_far(&mut state, 1_500);
    let frame = text(&mut state, (80, 24));
    assert!(frame.contains("1500 so far"), "{frame}");
    assert!(!frame.contains("quiet") && !frame.contains("no resources"), "{frame}");
    snapshot("loading", &mut state, (80, 24));
}

#[test]
fn a_healthy_cluster_is_all_quiet_and_says_what_that_rests_on() {
    let now = Utc.with_ymd_and_hms(2026, 7, 21, 2, 47, 13).unwrap();
    let mut state = connected(now);
    update(&mut state, Msg::Deltas(all_listed(now)));
    snapshot("quiet", &mut state, (80, 24));
}

#[test]
fn a_user_of_one_namespace_reads_in_the_header_that_it_is_one() {
    let now = Utc.with_ymd_and_hms(2026, 7, 21, 2, 47, 13).unwrap();
    let mut state = connected(now);
    let refused = |kind: KindId, scope: Scope| Delta::Denied { kind, scope, why: "forbidden".to_owned() };
    let mut deltas: Vec<Delta> = KindId::ALL.iter().map(|kind| refused(*kind, Scope::Cluster)).collect();
    update(&mut state, Msg::Deltas(deltas.clone()));
    let nothing = lines(&mut state, (100, 24)).remove(0);
    assert!(nothing.contains("nothing visible") && nothing.contains("kinds hidden"), "{nothing}");
    deltas.clear();
    for kind in [KindId::Pod, KindId::Event] {
        let scope = Scope::Namespace("shop".into());
        deltas.push(Delta::ListStarted { kind, scope: scope.clone() });
        deltas.push(Delta::Listed { kind, scope, at: now });
    }
    update(&mut state, Msg::Deltas(deltas));
    for size in [(80, 24), (100, 30), (160, 40)] {
        let header = lines(&mut state, size).remove(0);
        assert!(header.contains("shop only") && header.contains("kinds hidden"), "{size:?}: {header}");
        assert!(!header.contains("all namespaces") && !header.contains("▸ all"), "{header}");
    }
}

#[test]
fn what_rbac_hides_never_looks_healthy() {
    let now = Utc.with_ymd_and_hms(2026, 7, 21, 2, 47, 13).unwrap();
    let mut state = connected(now);
    let mut deltas = all_listed(now);
    deltas.retain(|delta| !matches!(delta, Delta::Listed { kind: KindId::Event | KindId::Node, .. }));
    let why = "events is forbidden: User \"dev\" cannot list resource \"events\" in API group \"\" at the cluster scope";
    for kind in [KindId::Event, KindId::Node] {
        deltas.push(Delta::Denied { kind, scope: Scope::Cluster, why: why.to_owned() });
    }
    update(&mut state, Msg::Deltas(deltas));
    let frame = text(&mut state, (80, 24));
    assert!(!frame.contains("All quiet"), "{frame}");
    assert!(frame.contains("not evaluated"), "{frame}");
    snapshot("denied", &mut state, (80, 24));
}

pub fn undo_plan(intent: &Intent) -> Plan {
    let to = if let Intent::Undo { to_revision: Some(to), .. } = intent { *to } else { 0 };
    Plan {
        intent: intent.clone(),
        title: "Undo rollout  deployment/fastapi-deployment".to_owned(),
        writes: Vec::new(),
        kubectl: format!("kubectl rollout undo deployment/fastapi-deployment -n fastapi-prod --to-revision={to}"),
        diff: vec![k3am::changes::DiffLine {
            field: "image".to_owned(),
            old: Some("yourusername/your-app:v1.0.O".to_owned()),
            new: Some("yourusername/your-app:v1.0.0".to_owned()),
        }],
        warnings: vec!["managed by Argo CD: it will put revision 2 back at its next sync".to_owned()],
        way_back: None,
    }
}

/// Answers what an open preview asked for.
pub fn plan_and_check(state: &mut State, effects: &[k3am::app::Effect], check: Check) {
    let [k3am::app::Effect::Plan(intent)] = effects else { panic!("a plan was not asked for: {effects:?}") };
    let plan = undo_plan(intent);
    let asked = update(state, Msg::Planned { intent: intent.clone(), plan: Box::new(Ok(plan.clone())) });
    assert_eq!(asked, [k3am::app::Effect::Check(Box::new(plan))], "the server is asked before anything is applied");
    update(state, Msg::Checked { intent: intent.clone(), check });
}

pub fn agreed() -> Check {
    Check { access: Ok(()), dry_run: Ok(()) }
}

#[test]
fn the_undo_dialog_shows_revisions_diff_command_and_the_servers_word() {
    let mut state = bad_rollout();
    let effects = press(&mut state, "u");
    plan_and_check(&mut state, &effects, agreed());
    for size in [(80, 24), (120, 40)] {
        snapshot("undo", &mut state, size);
    }
}

#[test]
fn a_refused_dry_run_is_said_in_the_servers_words() {
    let mut state = bad_rollout();
    let effects = press(&mut state, "u");
    let access = Err("deployments.apps is forbidden: User \"dev\" cannot patch resource \"deployments\"".to_owned());
    plan_and_check(&mut state, &effects, Check { access, dry_run: Err("forbidden".to_owned()) });
    snapshot("undo-refused", &mut state, (80, 24));
    assert_eq!(press(&mut state, "<enter>"), [], "what the server refuses is not applied");
}

/// Log lines of a service that dies at its database.
pub fn crash_log() -> Vec<LogLine> {
    let start = Utc.with_ymd_and_hms(2026, 7, 21, 2, 46, 0).unwrap();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/practice/sqlalchemy-traceback.txt"));
    let before = ["INFO:     Started server process [1]", "INFO:     Waiting for application startup.", "WARNING:  slow start"];
    let text = text.unwrap();
    let all = before.into_iter().chain(text.lines());
    let line = |(n, text): (usize, &str)| LogLine { at: Some(start + TimeDelta::milliseconds(n as i64 * 40)), text: text.into() };
    all.enumerate().map(line).collect()
}

/// Feeds the log that is being followed.
pub fn feed(state: &mut State, lines: Vec<LogLine>) {
    let stream = state.logs.stream();
    update(state, Msg::Log { stream, batch: LogBatch { lines, ..LogBatch::default() } });
}

#[test]
fn the_log_view_marks_levels_and_finds_the_first_error() {
    let mut state = capture();
    press(&mut state, "l");
    feed(&mut state, crash_log());
    snapshot("logs", &mut state, (80, 24));
    press(&mut state, "e");
    snapshot("logs-first-error", &mut state, (80, 24));
}

#[test]
fn the_selection_and_severities_have_their_styles() {
    let mut state = bad_rollout();
    let buffer = buffer(&mut state, (120, 40));
    let theme = state.config.theme.clone();
    let find = |symbol: &str| {
        let found = buffer.area.positions().find(|at| buffer[*at].symbol() == symbol);
        &buffer[found.unwrap_or_else(|| panic!("{symbol} is on the screen"))]
    };
    assert_eq!(find("▌").bg, theme.style(Role::Selection).bg.unwrap(), "the selected line is marked by more than its glyph");
    let severity = find("▲");
    assert_eq!(severity.fg, theme.style(Role::Warning).fg.unwrap());
}

#[test]
fn without_colour_nothing_has_a_colour_and_the_text_is_the_same() {
    let mut colourful = capture();
    let with = text(&mut colourful, (120, 40));
    let now = capture_time();
    let mut plain = connect(State::new(options("no-colour"), now));
    update(&mut plain, Msg::Deltas(bundle::read(&fixture("captures/fastapi-prod")).unwrap().deltas()));
    update(&mut plain, Msg::Tick(now));
    assert_eq!(text(&mut plain, (120, 40)), with);
    let buffer = buffer(&mut plain, (120, 40));
    let plain = ratatui::style::Color::Reset;
    assert!(buffer.content.iter().all(|cell| cell.fg == plain && cell.bg == plain));
}

#[test]
fn ascii_means_ascii() {
    let now = capture_time();
    let mut state = connect(State::new(Options { ascii: true, ..options("no-colour") }, now));
    update(&mut state, Msg::Deltas(bundle::read(&fixture("captures/fastapi-prod")).unwrap().deltas()));
    update(&mut state, Msg::Tick(now));
    for size in SIZES {
        let frame = text(&mut state, *size);
        let odd: Vec<char> = frame.chars().filter(|c| !c.is_ascii()).collect();
        assert!(odd.is_empty(), "{}x{}: {odd:?}\n{frame}", size.0, size.1);
    }
}

#[test]
fn what_comes_from_the_cluster_cannot_move_the_cursor_or_turn_the_text() {
    let mut state = capture();
    let hostile = "\u{1b}[2J\u{1b}]0;pwned\u{7}ERROR \u{202e}evil\u{9b}31m end";
    feed(&mut state, vec![LogLine { at: None, text: hostile.into() }]);
    let frame = text(&mut state, (120, 40));
    assert!(!frame.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7}']), "{frame}");
    assert!(!frame.contains("pwned"), "{frame}");
}

#[test]
fn an_incident_tells_its_recovery_and_stays_until_dismissed() {
    let mut state = bad_rollout();
    let effects = press(&mut state, "u");
    plan_and_check(&mut state, &effects, agreed());
    let applied = press(&mut state, "<enter>");
    let [k3am::app::Effect::Apply(plan)] = applied.as_slice() else { panic!("{applied:?}") };
    let at = state.now;
    update(&mut state, Msg::Applied { intent: plan.intent.clone(), at, result: Ok(()) });
    let frame = text(&mut state, (120, 40));
    assert!(frame.contains("↻ ") && frame.contains("undoing: "), "{frame}");
    snapshot("undoing", &mut state, (120, 40));

    heal(&mut state);
    update(&mut state, Msg::Tick(at + TimeDelta::seconds(41)));
    let frame = text(&mut state, (120, 40));
    assert!(frame.contains("✔") && frame.contains("recovered after"), "{frame}");
    press(&mut state, "x");
    assert!(state.incidents.rows.is_empty(), "a recovered incident can be dismissed");
}

/// What the cluster does after the undo: the new pods go, the Deployment is complete.
fn heal(state: &mut State) {
    let now = state.now + TimeDelta::seconds(40);
    update(state, Msg::Tick(now));
    let failing: Vec<Key> = state.snapshot.pods.iter().filter(|p| !p.is_ready()).map(|p| Key::of(&p.meta)).collect();
    let mut deltas: Vec<Delta> = failing.into_iter().map(|key| Delta::Remove { kind: KindId::Pod, key }).collect();
    for deployment in state.snapshot.deployments.iter_arcs() {
        let mut healed = (**deployment).clone();
        let wanted = healed.spec.replicas.unwrap_or(1);
        healed.meta.resource_version = "999999".into();
        healed.status.updated_replicas = wanted;
        healed.status.replicas = wanted;
        healed.status.ready_replicas = wanted;
        healed.status.available_replicas = wanted;
        healed.status.unavailable_replicas = 0;
        healed.status.observed_generation = healed.meta.generation;
        for condition in &mut healed.status.conditions {
            condition.status = "True".into();
            condition.reason = Some("NewReplicaSetAvailable".into());
        }
        deltas.push(Delta::Upsert { scope: Scope::Cluster, row: Row::from(std::sync::Arc::new(healed)) });
    }
    update(state, Msg::Deltas(deltas));
}

#[test]
fn no_line_is_wider_than_the_screen() {
    let mut state = capture();
    for size in SIZES {
        for line in lines(&mut state, *size) {
            assert!(line.chars().count() <= usize::from(size.0), "{line}");
        }
    }
}
