//! Tables, the `:` prompt and the pickers: what they show and what keys do to them, through `update`.
//! Screens lie in `tests/fixtures/screens`, as in `screens`.

use chrono::{TimeDelta, TimeZone, Utc};
use k3am::actions::Intent;
use k3am::app::prompt::{self, Command};
use k3am::app::table::pods::status;
use k3am::app::table::{TableView, named};
use k3am::app::{ContextInfo, Effect, Msg, ResourceKind, State, View, update};
use k3am::kinds::pods::Pod;
use k3am::kinds::{KindId, Pool, Row};
use k3am::snapshot::{Delta, Key, Scope};
use k3am::text::Time;
use serde_json::{Value, json};

use super::flows::press;
use super::screens::{connected, text};

fn now() -> Time {
    Utc.with_ymd_and_hms(2026, 1, 10, 2, 47, 0).unwrap()
}

fn ago(minutes: i64) -> String {
    (now() - TimeDelta::minutes(minutes)).to_rfc3339()
}

fn pod(namespace: &str, name: &str, age: i64, restarts: i32, state: &Value) -> Value {
    let ready = state.get("running").is_some();
    let owner = json!([{ "kind": "ReplicaSet", "name": "web-5d", "uid": "rs-1", "controller": true }]);
    json!({
        "metadata": { "name": name, "namespace": namespace, "uid": format!("{namespace}-{name}"),
            "creationTimestamp": ago(age), "labels": { "app": name.split('-').next() },
            "ownerReferences": if name.starts_with("web-") { owner } else { json!([]) } },
        "spec": { "nodeName": "node-2", "containers": [{ "name": "main", "image": "web:1" }] },
        "status": { "phase": "Running", "podIP": "10.0.1.7",
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
            "containerStatuses": [{ "name": "main", "ready": ready, "restartCount": restarts, "state": state }] }
    })
}

fn running() -> Value {
    json!({ "running": { "startedAt": ago(30) } })
}

fn crashing() -> Value {
    json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 5m0s" } })
}

fn upsert(kind: KindId, object: Value) -> Delta {
    Delta::Upsert { scope: Scope::Cluster, row: Row::from_value(kind, object, &Pool::default()).unwrap() }
}

fn deployment(name: &str, ready: i32) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "shop", "uid": format!("d-{name}"), "creationTimestamp": ago(4000) },
        "spec": { "replicas": 3, "selector": {}, "template": { "spec": { "containers": [{ "name": "main", "image": "web:1" }] } } },
        "status": { "replicas": 3, "readyReplicas": ready, "updatedReplicas": 3, "availableReplicas": ready,
            "unavailableReplicas": 3 - ready }
    })
}

fn objects() -> Vec<Delta> {
    let mut deltas: Vec<Delta> =
        KindId::ALL.iter().map(|kind| Delta::ListStarted { kind: *kind, scope: Scope::Cluster }).collect();
    deltas.extend([
        upsert(KindId::Namespace, json!({ "metadata": { "name": "shop" }, "status": { "phase": "Active" } })),
        upsert(KindId::Namespace, json!({ "metadata": { "name": "billing" }, "status": { "phase": "Active" } })),
        upsert(KindId::Deployment, deployment("web", 2)),
        upsert(KindId::Deployment, deployment("orders", 3)),
        upsert(
            KindId::ReplicaSet,
            json!({ "metadata": { "name": "web-5d", "namespace": "shop", "uid": "rs-1",
                "ownerReferences": [{ "kind": "Deployment", "name": "web", "uid": "d-web", "controller": true }] },
                "spec": { "replicas": 3 } }),
        ),
        upsert(KindId::Pod, pod("shop", "web-5d-aaaaa", 300, 0, &running())),
        upsert(KindId::Pod, pod("shop", "web-5d-bbbbb", 20, 12, &crashing())),
        upsert(KindId::Pod, pod("shop", "orders-77-ccccc", 4000, 1, &running())),
        upsert(KindId::Pod, pod("billing", "invoice-1-ddddd", 50, 0, &running())),
    ]);
    deltas
}

fn shop() -> State {
    let mut state = connected(now());
    let mut deltas = objects();
    deltas.extend(KindId::ALL.iter().map(|kind| Delta::Listed { kind: *kind, scope: Scope::Cluster, at: now() }));
    update(&mut state, Msg::Deltas(deltas));
    update(&mut state, Msg::Tick(now()));
    state
}

fn at(script: &str) -> State {
    let mut state = shop();
    press(&mut state, script);
    state
}

fn table(state: &State) -> &TableView {
    match state.views.last() {
        Some(View::Table(table)) => table,
        other => panic!("no table on top: {other:?}"),
    }
}

fn names(state: &State) -> Vec<String> {
    table(state).index.iter().map(|key| key.name.to_string()).collect()
}

#[test]
fn screens_of_the_tables() {
    for (name, script) in [("table-pods", ":po<enter>"), ("table-deployments", ":deploy<enter>")] {
        for (columns, rows) in [(80, 24), (120, 40)] {
            let mut state = at(script);
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true,
                snapshot_path => "../fixtures/screens" },
                { insta::assert_snapshot!(format!("{name}-{columns}x{rows}"), text(&mut state, (columns, rows))); });
        }
    }
}

#[test]
fn columns_stand_under_their_titles() {
    let mut state = at(":po<enter>");
    let screen = text(&mut state, (120, 40));
    let lines: Vec<&str> = screen.lines().collect();
    let column = |line: &str, word: &str| line.find(word).map(|at| line[..at].chars().count());
    let header = lines.iter().find(|line| line.contains("STATUS")).unwrap();
    let broken = lines.iter().find(|line| line.contains("CrashLoopBackOff")).unwrap();
    assert_eq!(column(header, "STATUS"), column(broken, "CrashLoopBackOff"));
}

#[test]
fn wide_shows_the_node_and_nothing_is_cut_without_a_mark() {
    let mut state = at(":po<enter><ctrl-w>");
    assert!(text(&mut state, (160, 24)).contains("node-2"));
    let narrow = text(&mut state, (60, 24));
    assert!(narrow.contains('…'), "{narrow}");
}

#[test]
fn each_filter_keeps_what_it_says() {
    for (filter, kept) in [
        ("web", vec!["web-5d-aaaaa", "web-5d-bbbbb"]),
        ("!web", vec!["invoice-1-ddddd", "orders-77-ccccc"]),
        ("-f invddd", vec!["invoice-1-ddddd"]),
        ("-l app=orders", vec!["orders-77-ccccc"]),
        ("CrashLoop", vec!["web-5d-bbbbb"]),
    ] {
        let mut state = at(":po<enter>");
        press(&mut state, &format!("/{filter}<enter>"));
        assert_eq!(names(&state), kept, "{filter}");
        let title = format!("{} of 4", kept.len());
        assert!(text(&mut state, (120, 24)).contains(&title), "{filter}");
    }
}

#[test]
fn esc_clears_the_filter_and_then_goes_back() {
    let mut state = at(":po<enter>/web<enter>");
    assert_eq!(names(&state).len(), 2);
    press(&mut state, "<esc>");
    assert_eq!(names(&state).len(), 4);
    press(&mut state, "<esc>");
    assert!(state.views.is_empty());
}

#[test]
fn sorts_by_any_column_and_again_the_other_way_round() {
    let mut state = at(":po<enter>");
    press(&mut state, "A");
    assert_eq!(names(&state).first().unwrap(), "web-5d-bbbbb", "the youngest first");
    press(&mut state, "A");
    assert_eq!(names(&state).first().unwrap(), "orders-77-ccccc");
    press(&mut state, "N");
    assert_eq!(names(&state).first().unwrap(), "invoice-1-ddddd");
    press(&mut state, "<shift-right><shift-right><shift-right>");
    assert_eq!(table(&state).column, "RESTARTS");
    press(&mut state, "OO");
    assert_eq!(names(&state).first().unwrap(), "web-5d-bbbbb", "most restarts first");
}

#[test]
fn faults_only_shows_what_is_not_healthy() {
    assert_eq!(names(&at(":po<enter><ctrl-z>")), ["web-5d-bbbbb"]);
    assert_eq!(names(&at(":dp<enter><ctrl-z>")), ["web"]);
    assert_eq!(names(&at(":po<enter><ctrl-z><ctrl-z>")).len(), 4);
}

#[test]
fn the_selection_stays_on_its_row_when_others_come_and_go() {
    let mut state = at(":po<enter>jj");
    let chosen = table(&state).selected.clone().unwrap();
    update(&mut state, Msg::Deltas(vec![upsert(KindId::Pod, pod("billing", "aaa-new", 1, 0, &running()))]));
    assert_eq!(table(&state).selected.clone().unwrap(), chosen);
    assert_eq!(table(&state).index[table(&state).position()], chosen);
    update(&mut state, Msg::Deltas(vec![Delta::Remove { kind: KindId::Pod, key: chosen.clone() }]));
    assert_eq!(table(&state).index.len(), 4);
    assert_ne!(table(&state).selected.clone().unwrap(), chosen, "its neighbour is selected");
}

#[test]
fn enter_drills_down_to_the_pods_and_to_their_log() {
    let mut state = at(":deploy<enter>/web<enter>");
    press(&mut state, "<enter>");
    assert_eq!(names(&state), ["web-5d-aaaaa", "web-5d-bbbbb"]);
    press(&mut state, "/bbbbb<enter>");
    let effects = press(&mut state, "<enter>");
    let [Effect::FollowLog { spec, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(spec.previous, "a crashed container's log is the run that crashed");
    assert_eq!(&*spec.pod, "web-5d-bbbbb");
}

#[test]
fn actions_open_their_previews_on_the_right_object() {
    let mut state = at(":po<enter>/bbbbb<enter>");
    let effects = press(&mut state, "u");
    assert!(matches!(&effects[..], [Effect::Plan(Intent::Undo { workload, .. })] if &*workload.name == "web"), "{effects:?}");
    let mut state = at(":deploy<enter>/web<enter>");
    let effects = press(&mut state, "r");
    assert!(matches!(&effects[..], [Effect::Plan(Intent::Restart { workload })] if &*workload.name == "web"), "{effects:?}");
    let mut state = at(":po<enter>");
    let effects = press(&mut state, "<ctrl-k>");
    assert!(matches!(&effects[..], [Effect::Plan(Intent::Delete { force: true, .. })]), "{effects:?}");
    assert!(state.preview.as_ref().unwrap().cancel_focused, "killing asks, Cancel focused");
    assert_eq!(press(&mut state, "<enter>"), [], "Enter on Cancel leaves it");
    assert!(state.preview.is_none());
    let mut state = at(":deploy<enter>/web<enter>");
    press(&mut state, "<ctrl-d>");
    assert_eq!(state.preview.as_ref().unwrap().must_type.as_deref(), Some("web"), "a workload's name must be typed");
}

#[test]
fn scale_asks_for_the_number_and_previews_it() {
    let mut state = at(":deploy<enter>s");
    assert!(state.prompt.as_ref().unwrap().label().ends_with(", now 3, to: "));
    press(&mut state, "x<enter>");
    assert!(state.prompt.as_ref().unwrap().error.is_some(), "x is no number");
    let effects = press(&mut state, "<backspace>5<enter>");
    assert!(matches!(&effects[..], [Effect::Plan(Intent::Scale { replicas: 5, .. })]), "{effects:?}");
}

#[test]
fn jumps_to_the_owner_and_back() {
    let mut state = at(":po<enter>/bbbbb<enter>J");
    assert_eq!(table(&state).spec.name, "deployments");
    assert_eq!(table(&state).selected, Some(Key::new("shop", "web")));
    press(&mut state, "-");
    assert_eq!(table(&state).spec.name, "pods");
}

#[test]
fn digits_choose_namespaces() {
    let mut state = at(":po<enter>1");
    assert_eq!(table(&state).namespace.as_deref(), Some("billing"));
    assert_eq!(names(&state), ["invoice-1-ddddd"]);
    press(&mut state, "0");
    assert_eq!(names(&state).len(), 4);
}

#[test]
fn nothing_is_said_to_be_missing_before_the_list_is_complete() {
    let mut state = connected(now());
    press(&mut state, ":svc<enter>");
    assert!(text(&mut state, (80, 24)).contains("loading services"));
    update(&mut state, Msg::Deltas(objects()));
    press(&mut state, ":po<enter>");
    assert!(text(&mut state, (120, 24)).contains("loading pods, 4 so far"));
    update(
        &mut state,
        Msg::Deltas(vec![Delta::Denied { kind: KindId::Secret, scope: Scope::Cluster, why: "secrets is forbidden".to_owned() }]),
    );
    press(&mut state, ":sec<enter>");
    assert!(text(&mut state, (80, 24)).contains("secrets are not visible: secrets is forbidden"));
    let mut state = at(":svc shop<enter>");
    assert!(text(&mut state, (80, 24)).contains("no services in namespace shop"));
}

#[test]
fn a_line_means_a_table_a_listing_or_a_command() {
    let mut state = shop();
    update(
        &mut state,
        Msg::Resources(vec![ResourceKind {
            plural: "poddisruptionbudgets".to_owned(),
            singular: "poddisruptionbudget".to_owned(),
            short_names: vec!["pdb".to_owned()],
            kind: "PodDisruptionBudget".to_owned(),
            group: "policy".to_owned(),
            namespaced: true,
        }]),
    );
    let parse = |line: &str| prompt::parse(&state, line);
    for name in ["po", "dp", "deploy", "sts", "ds", "rs", "svc", "no", "cm", "sec", "pvc", "ing", "hpa", "jo", "cj", "ev", "Pod"]
    {
        assert!(matches!(parse(name), Ok(Command::Table { .. })), "{name}");
        assert!(named(name).is_some(), "{name}");
    }
    assert!(
        matches!(parse("pods shop /web .*1"), Ok(Command::Table { namespace: Some(ns), filter: Some(f), .. }) if ns == "shop" && f == "web .*1")
    );
    assert!(matches!(parse("pdb shop"), Ok(Command::Listing { plural, namespace: Some(_) }) if plural == "poddisruptionbudgets"));
    assert!(matches!(parse("ctx"), Ok(Command::Context(None))));
    assert!(matches!(parse("ctx prod"), Ok(Command::Context(Some(name))) if name == "prod"));
    assert!(matches!(parse("ns shop"), Ok(Command::Namespace(Some(name))) if name == "shop"));
    assert!(matches!(parse("q"), Ok(Command::Quit)));
    assert!(parse("nonsense").unwrap_err().contains("`nonsense`"));
    assert!(parse("pods a b").is_err());
}

#[test]
fn the_prompt_suggests_completes_and_runs() {
    let mut state = at(":dep");
    assert_eq!(state.prompt.as_ref().unwrap().suggestions[0].line, "deployments");
    press(&mut state, "<tab>");
    assert_eq!(state.prompt.as_ref().unwrap().input.value(), "deployments ");
    press(&mut state, "sho<tab><enter>");
    assert_eq!((table(&state).spec.name, table(&state).namespace.as_deref()), ("deployments", Some("shop")));
    press(&mut state, ":zzz<enter>");
    assert!(text(&mut state, (80, 24)).contains("`zzz` is no resource"));
    press(&mut state, "<esc>");
    assert!(state.prompt.is_none());
    assert_eq!(press(&mut state, ":ns shop<enter>").last(), Some(&Effect::SwitchNamespaces(vec!["shop".to_owned()])));
}

#[test]
fn the_pickers_choose_a_context_and_a_namespace() {
    let mut state = shop();
    let context = |name: &str| ContextInfo { name: name.to_owned(), cluster: "c".to_owned(), namespace: None, current: false };
    assert!(press(&mut state, ":ctx<enter>").contains(&Effect::ListContexts));
    update(&mut state, Msg::Contexts(vec![context("prod-eu-1"), context("staging")]));
    assert!(text(&mut state, (80, 24)).contains("prod-eu-1"));
    assert_eq!(press(&mut state, "stag<enter>"), [Effect::SwitchContext("staging".to_owned())]);
    assert!(state.picker.is_none());
    press(&mut state, ":ns<enter>");
    assert!(text(&mut state, (80, 24)).contains("billing"));
    assert_eq!(press(&mut state, "<down><enter>"), [Effect::SwitchNamespaces(vec!["billing".to_owned()])]);
    press(&mut state, ":pods<enter>:ns<enter>zzz");
    assert!(press(&mut state, "<enter>").is_empty() && state.picker.is_some(), "where nothing matches, Enter opens nothing");
    state.snapshot.namespaces = k3am::snapshot::Table::default();
    assert!(text(&mut state, (80, 24)).contains("taken as typed"));
    assert_eq!(press(&mut state, "<enter>"), [Effect::SwitchNamespaces(vec!["zzz".to_owned()])]);
}

#[test]
fn the_status_is_the_one_kubectl_prints() {
    let status_of = |change: fn(&mut Value)| {
        let mut object = pod("shop", "p", 1, 0, &running());
        change(&mut object);
        status(&serde_json::from_value::<Pod>(object).unwrap())
    };
    assert_eq!(status_of(|_| ()), "Running");
    assert_eq!(status_of(|p| p["metadata"]["deletionTimestamp"] = json!(ago(1))), "Terminating");
    assert_eq!(status_of(|p| p["status"]["containerStatuses"][0]["state"] = crashing()), "CrashLoopBackOff");
    assert_eq!(
        status_of(|p| p["status"]["containerStatuses"][0]["state"] = json!({ "terminated": { "exitCode": 137, "signal": 9 } })),
        "Signal:9"
    );
    assert_eq!(status_of(|p| p["status"] = json!({ "phase": "Failed", "reason": "Evicted" })), "Evicted");
    let init = |p: &mut Value, state: Value| {
        p["spec"]["initContainers"] = json!([{ "name": "wait" }, { "name": "migrate" }]);
        p["status"]["initContainerStatuses"] = json!([{ "name": "wait", "state": state }]);
    };
    let mut waiting = pod("shop", "p", 1, 0, &running());
    init(&mut waiting, json!({ "running": {} }));
    assert_eq!(status(&serde_json::from_value::<Pod>(waiting).unwrap()), "Init:0/2");
    let mut failed = pod("shop", "p", 1, 0, &running());
    init(&mut failed, json!({ "terminated": { "exitCode": 1, "reason": "Error" } }));
    assert_eq!(status(&serde_json::from_value::<Pod>(failed).unwrap()), "Init:Error");
}

#[test]
fn marked_rows_are_deleted_together_after_one_preview() {
    let mut state = at(":po<enter>/web<enter>");
    press(&mut state, "<space><space>");
    let screen = text(&mut state, (120, 40));
    assert!(screen.contains("2 marked"), "{screen}");
    assert_eq!(screen.lines().filter(|line| line.contains('●') || line.contains('◆')).count(), 2, "{screen}");
    let effects = press(&mut state, "<ctrl-d>");
    let [Effect::Plan(Intent::Several(each))] = effects.as_slice() else { panic!("{effects:?}") };
    let name = |intent: &Intent| match intent {
        Intent::Delete { object, force: false } => object.name.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(each.iter().map(name).collect::<Vec<_>>(), ["web-5d-aaaaa", "web-5d-bbbbb"]);
    let preview = state.preview.as_ref().unwrap();
    assert!(preview.cancel_focused && preview.must_type.is_none(), "pods that come back: asked, Cancel focused");
    let screen = text(&mut state, (120, 40));
    assert!(screen.contains("2 objects"), "{screen}");
    press(&mut state, "<esc><ctrl-k>");
    assert_eq!(state.preview.as_ref().unwrap().must_type.as_deref(), Some("2"), "without grace: how many must be typed");
}

#[test]
fn a_filter_protects_marked_rows_and_escape_clears_the_marks_first() {
    let mut state = at(":po<enter>");
    press(&mut state, "g<ctrl-space>G<ctrl-space>/web<enter>");
    assert_eq!(table(&state).marked.len(), 4);
    let effects = press(&mut state, "<ctrl-d>");
    assert!(matches!(&effects[..], [Effect::Plan(Intent::Several(each))] if each.len() == 2), "{effects:?}");
    press(&mut state, "<esc><esc>");
    assert!(table(&state).marked.is_empty() && table(&state).filter.is_some());
    let effects = press(&mut state, "<ctrl-d>");
    assert!(matches!(&effects[..], [Effect::Plan(Intent::Delete { .. })]), "unmarked: the selected one alone: {effects:?}");
}

#[test]
fn a_shell_opens_in_a_running_container_and_nowhere_else() {
    let mut state = at(":po<enter>/aaaaa<enter>");
    let effects = press(&mut state, "s");
    assert!(matches!(&effects[..], [Effect::Shell { pod, container }] if &*pod.name == "web-5d-aaaaa" && container == "main"));
    press(&mut state, "<esc>/bbbbb<enter>");
    assert_eq!(press(&mut state, "s"), []);
    assert!(state.notice.as_ref().unwrap().0.contains("none of its containers runs"), "{:?}", state.notice);
    let mut state = at(":po<enter>/aaaaa<enter>");
    state.config.readonly = true;
    assert_eq!(press(&mut state, "s"), []);
    assert!(state.notice.as_ref().unwrap().0.contains("read-only"), "{:?}", state.notice);
}

#[test]
fn who_may_only_read_pods_sees_whose_pods_they_are_and_what_is_not_visible() {
    let mut state = connected(now());
    let mut owned = pod("shop", "web-5d-aaaaa", 300, 0, &crashing());
    owned["metadata"]["labels"]["pod-template-hash"] = json!("5d");
    let denied = |kind| Delta::Denied { kind, scope: Scope::Cluster, why: "you may not list them".to_owned() };
    let mut deltas = vec![Delta::ListStarted { kind: KindId::Pod, scope: Scope::Cluster }, upsert(KindId::Pod, owned)];
    deltas.push(Delta::Listed { kind: KindId::Pod, scope: Scope::Cluster, at: now() });
    deltas.extend(KindId::ALL.iter().filter(|kind| **kind != KindId::Pod).map(|kind| denied(*kind)));
    update(&mut state, Msg::Deltas(deltas));
    let web = k3am::kinds::ObjectRef::new("Deployment", "shop", "web");
    assert_eq!(state.snapshot.pods_of(&web).len(), 1);
    let screen = text(&mut state, (120, 40));
    assert!(screen.contains("events are not visible: you may not list"), "{screen}");
}

#[test]
fn the_header_says_as_whom_one_acts() {
    let mut state = shop();
    let k3am::app::ConnectionState::Connected(info) = &mut state.connection else { panic!("not connected") };
    info.acting_as = Some("jane".to_owned());
    let screen = text(&mut state, (120, 40));
    assert!(screen.lines().next().unwrap().contains("as jane"), "{screen}");
}
