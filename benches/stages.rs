//! What each stage costs at 10,000 pods: `cargo bench --bench stages` (one of them: `-- diagnose`).
//!
//! The objects are those the practice cluster serves as load, byte for byte: decode, fold, diagnose cold and after one change,
//! draw. Numbers that were measured stand in `docs/performance.md`.
#![allow(missing_docs, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use k3am::app::{ConnectedInfo, Msg, Options, State, update};
use k3am::config::{Config, Sources};
use k3am::diagnosis::engine::Engine;
use k3am::kinds::pods::Pod;
use k3am::kinds::{Encoded, Kind, KindId, Pool, Row};
use k3am::practice::store::Store;
use k3am::practice::{self, PracticeCluster, resources};
use k3am::protobuf::{schema, write};
use k3am::snapshot::{Changed, Delta, Scope, Snapshot, UsageKey};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

const PODS: usize = 10_000;
/// One pod in so many cannot pull its image.
const FAILING: usize = 20;

/// The objects of the load, as text, by kind.
static OBJECTS: LazyLock<Vec<(KindId, String)>> = LazyLock::new(|| {
    let options = practice::Options { pods: PODS, ..practice::Options::default() };
    let cluster = PracticeCluster::start(&options).expect("a practice cluster");
    let texts = |resource, kind| of(cluster.store(), resource).into_iter().map(move |text| (kind, text));
    let mut objects: Vec<(KindId, String)> = texts(&resources::NODES, KindId::Node)
        .chain(texts(&resources::DEPLOYMENTS, KindId::Deployment))
        .chain(texts(&resources::REPLICA_SETS, KindId::ReplicaSet))
        .collect();
    objects.extend(texts(&resources::PODS, KindId::Pod).enumerate().map(|(index, (kind, text))| {
        let text = if index % FAILING == 0 { failing(&text) } else { text };
        (kind, text)
    }));
    objects
});

fn of(store: &Store, resource: &'static resources::ResourceType) -> Vec<String> {
    let (stored, _) = store.list_stored(resource, None);
    stored.iter().map(|stored| String::from_utf8(stored.bytes().to_vec()).expect("JSON is UTF-8")).collect()
}

/// The pod as it stands when its image is not there.
fn failing(pod: &str) -> String {
    let mut pod: serde_json::Value = serde_json::from_str(pod).expect("a pod");
    let waiting = serde_json::json!({"waiting": {"reason": "ImagePullBackOff",
        "message": "Back-off pulling image \"registry.local/service:v2\": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image \"registry.local/service:v2\": failed to resolve reference: registry.local/service:v2: not found"}});
    pod["status"]["phase"] = "Pending".into();
    pod["status"]["containerStatuses"][0]["state"] = waiting;
    pod["status"]["containerStatuses"][0]["ready"] = false.into();
    for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == "Ready" || condition["type"] == "ContainersReady" {
            condition["status"] = "False".into();
        }
    }
    pod.to_string()
}

/// The rows, decoded once.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let pool = Pool::default();
    OBJECTS.iter().map(|(kind, text)| Row::decode(*kind, text, &pool).expect("a row")).collect()
});

fn now() -> DateTime<Utc> {
    let created = ROWS.iter().filter_map(|row| row.meta().creation_timestamp).max();
    created.unwrap_or_default() + TimeDelta::minutes(5)
}

/// What a complete first list of everything says.
fn deltas() -> Vec<Delta> {
    let scope = Scope::Cluster;
    let started = KindId::ALL.iter().map(|&kind| Delta::ListStarted { kind, scope: Scope::Cluster });
    let rows = ROWS.iter().map(|row| Delta::Upsert { scope: scope.clone(), row: row.clone() });
    let listed = KindId::ALL.iter().map(|&kind| Delta::Listed { kind, scope: Scope::Cluster, at: now() });
    started.chain(rows).chain(listed).collect()
}

fn folded() -> (Snapshot, Vec<Changed>) {
    let mut snapshot = Snapshot::default();
    let changed = deltas().into_iter().flat_map(|delta| snapshot.apply(delta)).collect();
    (snapshot, changed)
}

/// The first pod that is well, in another version.
fn changed_pod() -> Delta {
    let (kind, text) = OBJECTS.iter().filter(|(kind, _)| *kind == KindId::Pod).nth(1).expect("a pod");
    let text = failing(text).replacen("\"resourceVersion\":\"", "\"resourceVersion\":\"9", 1);
    Delta::Upsert { scope: Scope::Cluster, row: Row::decode(*kind, &text, &Pool::default()).expect("a row") }
}

/// Every pod of the list, as the watch decodes it.
#[divan::bench(sample_count = 20)]
fn decode(bencher: Bencher<'_, '_>) {
    let pods: Vec<&String> = OBJECTS.iter().filter(|(kind, _)| *kind == KindId::Pod).map(|(_, text)| text).collect();
    let bytes: usize = pods.iter().map(|text| text.len()).sum();
    bencher.counter(ItemsCount::new(pods.len())).counter(BytesCount::new(bytes)).bench_local(|| {
        let pool = Pool::default();
        pods.iter().map(|text| Pod::read(Encoded::Json(text.as_bytes()), &pool).expect("a pod")).collect::<Vec<Pod>>()
    });
}

/// The same from protobuf, which a server sends when it can.
#[divan::bench(sample_count = 20)]
fn decode_protobuf(bencher: Bencher<'_, '_>) {
    let of_pod = schema().of_kind("", "v1", "Pod").expect("a message");
    let message = Pod::message().expect("a message");
    let texts = OBJECTS.iter().filter(|(kind, _)| *kind == KindId::Pod).map(|(_, text)| text);
    let pods: Vec<Vec<u8>> = texts.map(|text| write(of_pod, &serde_json::from_str(text).expect("JSON"))).collect();
    let bytes: usize = pods.iter().map(Vec::len).sum();
    bencher.counter(ItemsCount::new(pods.len())).counter(BytesCount::new(bytes)).bench_local(|| {
        let pool = Pool::default();
        pods.iter().map(|pod| Pod::read(Encoded::Protobuf(message, pod), &pool).expect("a pod")).collect::<Vec<Pod>>()
    });
}

/// Rows into an empty snapshot.
#[divan::bench(sample_count = 20)]
fn fold(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(deltas).counter(ItemsCount::new(ROWS.len())).bench_local_values(|deltas| {
        let mut snapshot = Snapshot::default();
        let changed: Vec<Changed> = deltas.into_iter().flat_map(|delta| snapshot.apply(delta)).collect();
        (snapshot, changed)
    });
}

/// All rules over everything, for the first time.
#[divan::bench(sample_count = 10)]
fn diagnose_cold(bencher: Bencher<'_, '_>) {
    let (snapshot, changed) = folded();
    bencher.bench_local(|| {
        let mut engine = Engine::default();
        engine.update(&snapshot, &changed, now());
        assert!(!engine.incidents().is_empty(), "5 % of the pods cannot pull their image");
        engine
    });
}

/// One pod breaks: fold, rules, grouping.
#[divan::bench(sample_count = 50)]
fn diagnose_one_pod(bencher: Bencher<'_, '_>) {
    let (snapshot, changed) = folded();
    let now = now();
    let change = changed_pod();
    bencher
        .with_inputs(|| {
            let mut engine = Engine::default();
            engine.update(&snapshot, &changed, now);
            (snapshot.clone(), engine, change.clone())
        })
        .bench_local_values(|(mut snapshot, mut engine, delta)| {
            let changed = snapshot.apply(delta);
            engine.update(&snapshot, &changed, now);
            (snapshot, engine)
        });
}

/// A measurement of every container arrives and says nothing.
#[divan::bench(sample_count = 20)]
fn diagnose_usage(bencher: Bencher<'_, '_>) {
    let (mut snapshot, changed) = folded();
    let mut engine = Engine::default();
    engine.update(&snapshot, &changed, now());
    let key = |pod: &Pod| UsageKey { namespace: pod.meta.namespace.clone(), pod: pod.meta.name.clone(), container: "app".into() };
    let samples: Vec<(UsageKey, f64, f64)> = snapshot.pods.iter().map(|pod| (key(pod), 0.01, 50e6)).collect();
    let mut at = now();
    bencher.bench_local(|| {
        at += TimeDelta::seconds(15);
        let changed = snapshot.apply(Delta::Usage { samples: samples.clone(), at });
        engine.update(&snapshot, &changed, at)
    });
}

fn state() -> State {
    // The default configuration as a person has it, key bindings included.
    let options = Options { config: Config::build(&Sources::default()).0, ..Options::default() };
    let mut state = State::new(options, now());
    update(&mut state, Msg::Resize(120, 40));
    let info =
        ConnectedInfo { context: "bench".to_owned(), acting_as: None, namespaces: Vec::new(), read_only: false, source: "live" };
    update(&mut state, Msg::Connected(Ok(info)));
    update(&mut state, Msg::Deltas(deltas()));
    state
}

fn draw(bencher: Bencher<'_, '_>, state: &State) {
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).expect("a terminal");
    bencher.bench_local(|| terminal.draw(|frame| k3am::ui::view(state, frame)).map(|frame| frame.area));
}

/// A frame of the cockpit.
#[divan::bench(sample_count = 100)]
fn draw_cockpit(bencher: Bencher<'_, '_>) {
    draw(bencher, &state());
}

/// A frame of the table of pods.
#[divan::bench(sample_count = 100)]
fn draw_pods(bencher: Bencher<'_, '_>) {
    let mut state = state();
    for key in ":pods\n".chars() {
        let code = if key == '\n' { crossterm::event::KeyCode::Enter } else { crossterm::event::KeyCode::Char(key) };
        update(&mut state, Msg::Key(crossterm::event::KeyEvent::from(code)));
    }
    assert_eq!(state.views.len(), 1, "the table is open");
    draw(bencher, &state);
}

fn main() {
    divan::main();
}
