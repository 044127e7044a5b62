//! Every key the table binds does something where it is bound: a state for each place in which each of its keys either asks
//! for something or changes what is on the screen. A notice alone ("nothing to ...") does not count.

use k3am::app::{ConnectFailure, Effect, Msg, ObjectText, State, update};
use k3am::config::{Action, Chord, Place};
use k3am::kinds::{KindId, Pool, Row};
use k3am::snapshot::{Delta, LogLine, Scope};
use serde_json::json;

use super::flows::press;
use super::screens::{agreed, all_listed, bad_rollout, capture_time, connected, crash_log, feed, fresh, plan_and_check};

/// Places with the keys that lead there.
const WAYS: &[(Place, &str)] = &[
    (Place::Everywhere, ":po<enter>j"),
    (Place::Cockpit, "j"),
    (Place::Incidents, "j"),
    (Place::Why, "j<enter>"),
    (Place::EventsPane, "<tab><tab>j"),
    (Place::Metrics, "<shift-tab>"),
    (Place::Tables, ":po<enter>/crash-two<enter>"),
    (Place::Pods, ":po<enter>/crash<enter>"),
    (Place::Workloads, ":deploy<enter>j"),
    (Place::ReplicaSets, ":rs<enter>/rs-two<enter>"),
    (Place::Jobs, ":jobs<enter>"),
    (Place::CronJobs, ":cj<enter>"),
    (Place::Services, ":svc<enter>j"),
    (Place::Nodes, ":no<enter>"),
    (Place::Timeline, "Tjj"),
];

fn add(state: &mut State, kind: KindId, object: serde_json::Value) {
    let row = Row::from_value(kind, object, &Pool::default()).unwrap();
    update(state, Msg::Deltas(vec![Delta::Upsert { scope: Scope::Cluster, row }]));
}

/// A real cluster with faults, and one of each kind whose tables have keys of their own.
fn cluster() -> State {
    let mut state = bad_rollout();
    let meta = |name: &str, uid: &str, owner: Option<(&str, &str, &str)>| {
        let owners: Vec<_> = owner
            .iter()
            .map(|(kind, name, uid)| json!({"kind": kind, "name": name, "uid": uid, "controller": true, "apiVersion": "x/v1"}))
            .collect();
        json!({"name": name, "namespace": "fastapi-prod", "uid": uid, "resourceVersion": "1", "ownerReferences": owners,
            "labels": {"app": name}, "creationTimestamp": "2026-01-01T00:00:00Z"})
    };
    let container = |name: &str| json!({"name": name, "image": "app:1", "resources": {}});
    let ran = |name: &str| {
        json!({"name": name, "ready": false, "restartCount": 2, "image": "app:1",
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z"}}})
    };
    add(&mut state, KindId::CronJob, json!({"metadata": meta("nightly", "c1", None), "spec": {"schedule": "* * * * *"}}));
    let job = json!({"metadata": meta("nightly-1", "j1", Some(("CronJob", "nightly", "c1"))), "spec": {"backoffLimit": 1},
        "status": {"failed": 2, "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    add(&mut state, KindId::Job, job);
    for (pod, owner) in [("nightly-1-x", Some(("Job", "nightly-1", "j1"))), ("crash-two", Some(("ReplicaSet", "rs-two", "r2")))] {
        let spec = json!({"nodeName": "n1", "containers": [container("web"), container("side")]});
        let status = json!({"phase": "Running", "containerStatuses": [ran("web"), ran("side")]});
        add(&mut state, KindId::Pod, json!({"metadata": meta(pod, pod, owner), "spec": spec, "status": status}));
    }
    let template = json!({"metadata": {"labels": {"app": "two"}}, "spec": {"containers": [container("web")]}});
    let mut set = meta("rs-two", "r2", Some(("Deployment", "two", "d2")));
    set["annotations"] = json!({"deployment.kubernetes.io/revision": "3"});
    add(&mut state, KindId::ReplicaSet, json!({"metadata": set, "spec": {"replicas": 1, "template": template}}));
    let spec = json!({"replicas": 1, "template": template});
    add(&mut state, KindId::Deployment, json!({"metadata": meta("two", "d2", None), "spec": spec}));
    let service = json!({"metadata": meta("two", "s2", None), "spec": {"selector": {"app": "crash-two"}}});
    add(&mut state, KindId::Service, service);
    add(&mut state, KindId::Namespace, json!({"metadata": {"name": "fastapi-prod", "uid": "ns", "resourceVersion": "1"}}));
    add(&mut state, KindId::Secret, json!({"metadata": meta("keys", "k1", None)}));
    add(&mut state, KindId::Node, json!({"metadata": {"name": "n1", "uid": "n1", "resourceVersion": "1"}}));
    update(&mut state, Msg::Resize(120, 30));
    state
}

/// The place, reached; with a view to come back to and one to go forward to.
fn at(place: Place) -> State {
    let mut state = cluster();
    match place {
        Place::Logs => {
            press(&mut state, ":po<enter>/crash-two<enter>l");
            for n in 0..20 {
                let lines: Vec<LogLine> = crash_log();
                feed(&mut state, lines.into_iter().skip(n % 2).collect());
            }
            press(&mut state, "/a<enter>nnk");
        }
        Place::Text | Place::Yaml => {
            let asked = press(&mut state, ":po<enter>y");
            let [.., Effect::FetchYaml { object, .. }] = asked.as_slice() else { panic!("{asked:?}") };
            let text = format!("spec:\n{}", format!("  line: {}\n", "long ".repeat(60)).repeat(90));
            update(
                &mut state,
                Msg::ObjectText { object: object.clone(), which: ObjectText::Yaml { revealed: false }, text: Ok(text) },
            );
            press(&mut state, "jj/line<enter>n<right>");
        }
        Place::Preview => {
            state = bad_rollout();
            let effects = press(&mut state, "u");
            plan_and_check(&mut state, &effects, agreed());
        }
        Place::Confirm => {
            press(&mut state, "q");
        }
        Place::Prompt => {
            press(&mut state, ":po");
        }
        Place::NoCluster | Place::NotConnected => {
            state = fresh(capture_time());
            update(&mut state, Msg::Connected(Err(ConnectFailure::NoKubeconfig { looked: "/home/me/.kube/config".to_owned() })));
        }
        other => {
            let way = WAYS.iter().find(|(place, _)| *place == other).unwrap_or_else(|| panic!("no way to {}", other.name()));
            press(&mut state, way.1);
        }
    }
    state
}

/// What is seen and remembered, without what says that nothing happened.
fn shape(state: &mut State) -> String {
    state.notice = None;
    state.dirty = false;
    format!("{state:?}")
}

/// Keys that need more than the place to have something to do: how to give it to them.
fn prepared(place: Place, action: Action, state: &mut State) {
    let more = match (action, place) {
        (Action::HistoryForward, _) => "d[",
        (Action::HistoryBack | Action::LastView, Place::Everywhere) => "d",
        // From the middle there is a way up and a way down.
        (Action::SortByName, _) => "A",
        (Action::Namespace, _) => "1",
        (Action::Left, _) => "<right>",
        (Action::ClearMarks, _) => "<space>",
        // Its shell needs a container that runs.
        (Action::Shell, _) => "<esc>/fastapi.*Running<enter>",
        (Action::Reveal, _) => "qq:secrets<enter>y",
        _ => "",
    };
    press(state, more);
    if action == Action::Dismiss {
        let row = state.incidents.all.first_mut().unwrap();
        row.standing = k3am::app::incidents::Standing::Recovered { at: state.now, after: chrono::TimeDelta::seconds(4) };
        let row = row.clone();
        state.incidents.rows[0] = row;
        press(state, "g");
    }
    if action == Action::WayBack {
        let workload = k3am::kinds::ObjectRef::new("Deployment", "fastapi-prod", "two");
        let intent = k3am::actions::Intent::Scale { workload, replicas: 1 };
        state.way_back = Some(k3am::app::preview::WayBack { intent, incident: None });
    }
}

#[test]
fn every_bound_key_does_something_in_its_place() {
    let keymap = cluster().config.keymap;
    let mut dead = Vec::new();
    for bind in keymap.binds() {
        for place in &bind.places {
            // One key of an entry stands for all; numbers have a target of their own each.
            let Some(key) = bind.keys.first() else { continue };
            let mut state = at(*place);
            prepared(*place, bind.action, &mut state);
            let tries = match bind.action {
                // Where one end is reached the other way still works.
                Action::Up | Action::PageUp | Action::Top => vec!["", "<down><down>", "<end>"],
                Action::Down | Action::PageDown | Action::Bottom => vec!["", "<home>"],
                Action::PreviousMatch => vec!["nn"],
                Action::NextMatch => vec!["<home>"],
                Action::PreviousColumn => vec!["<right>"],
                _ => vec![""],
            };
            let works = tries.into_iter().any(|before| {
                press(&mut state, before);
                let was = shape(&mut state);
                let effects = press(&mut state, &written(key.chord));
                !effects.is_empty() || shape(&mut state) != was
            });
            if !works {
                dead.push(format!("{} {} in {}", key.chord.label(), bind.action.name(), place.name()));
            }
        }
    }
    assert_eq!(dead, [] as [String; 0], "keys that do nothing");
}

fn written(chord: Chord) -> String {
    let text = chord.to_string();
    if text.chars().count() == 1 { text } else { format!("<{text}>") }
}

#[test]
fn a_key_of_a_quiet_cluster_says_why_it_does_nothing() {
    let mut state = connected(capture_time());
    update(&mut state, Msg::Deltas(all_listed(capture_time())));
    for key in ["u", "1", "U", "]", "[", "l", "d", "y", "X", "c"] {
        state.notice = None;
        press(&mut state, key);
        assert!(state.notice.is_some(), "{key}");
    }
}
