//! The live source against the practice cluster: what a server may do to us, and what we still know afterwards.

use std::time::Duration;

use futures::StreamExt;
use k3am::cluster::{ConnectOptions, Connection, connect, logs};
use k3am::diagnosis::finding::EvidenceRequest;
use k3am::kinds::KindId;
use k3am::practice::access::Role;
use k3am::practice::faults::Answer;
use k3am::practice::{Options, PracticeCluster};
use k3am::snapshot::{CoverageState, Delta, LogKey, LogSpec, Scope, Snapshot};
use k3am::source::live::{LiveOptions, LiveSource};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// A practice cluster and where its kubeconfigs lie.
pub struct Practice {
    pub cluster: PracticeCluster,
    pub dir: tempfile::TempDir,
}

pub fn practice(pods: usize) -> Practice {
    let cluster = PracticeCluster::start(&Options { pods, speed: 20.0, ..Options::default() }).unwrap();
    Practice { cluster, dir: tempfile::tempdir().unwrap() }
}

impl Practice {
    pub fn options(&self, kubeconfig: &str) -> ConnectOptions {
        let path = self.dir.path().join("config");
        std::fs::write(&path, kubeconfig).unwrap();
        ConnectOptions { kubeconfig: Some(path), ..ConnectOptions::default() }
    }

    pub async fn admin(&self) -> Connection {
        connect(&self.options(&self.cluster.kubeconfig())).await.unwrap()
    }

    pub async fn user(&self, name: &str, role: Role) -> Connection {
        connect(&self.options(&self.cluster.kubeconfig_for(name, role))).await.unwrap()
    }
}

/// A source and the snapshot it feeds.
pub struct Live {
    pub source: LiveSource,
    pub snapshot: Snapshot,
    rx: mpsc::Receiver<Vec<Delta>>,
}

impl Live {
    pub fn start(connection: &Connection) -> Self {
        let (tx, rx) = mpsc::channel(64);
        let source = LiveSource::start(connection, &LiveOptions::default(), &tx);
        Self { source, snapshot: Snapshot::default(), rx }
    }

    /// Folds deltas until `done`, or fails after 60 s naming `what`.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Snapshot) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !done(&self.snapshot) {
            let batch = tokio::time::timeout_at(end, self.rx.recv()).await;
            let Ok(Some(batch)) = batch else {
                panic!("{what}: not within 60 s; coverage: {:#?}", self.snapshot.coverage.iter().collect::<Vec<_>>());
            };
            for delta in batch {
                self.snapshot.apply(delta);
            }
        }
    }
}

fn all_listed(snapshot: &Snapshot) -> bool {
    KindId::ALL.iter().all(|kind| snapshot.coverage.is_listed(*kind))
}

/// A raw request of the test itself, past k3am's own code.
pub async fn raw(kubeconfig: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let config: kube::config::Kubeconfig = kube::config::Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    let client = kube::Client::try_from(config).unwrap();
    let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type)
        .body(kube::client::Body::from(bytes));
    let response = client.send(request.unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let chunks: Vec<_> = http_body_util::BodyExt::into_data_stream(response.into_body()).collect().await;
    let bytes: Vec<u8> = chunks.into_iter().flat_map(|c| c.unwrap().to_vec()).collect();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

pub fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"password": "hunter2-in-a-configmap"}})
}

pub const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(flavor = "multi_thread")]
async fn list_and_watch_converge_over_pages() {
    let practice = practice(1200);
    let mut live = Live::start(&practice.admin().await);
    live.until("all kinds listed", all_listed).await;
    assert!(live.snapshot.count(KindId::Pod) >= 1200, "{} pods", live.snapshot.count(KindId::Pod));
    assert!(live.snapshot.identity.server_version.is_some() || live.snapshot.count(KindId::Node) > 0);
    let admin = practice.cluster.kubeconfig();
    assert_eq!(raw(&admin, "POST", CONFIG_MAPS, Some(config_map("fresh"))).await.0, 201);
    live.until("the new object", |s| s.config_maps.named("default", "fresh").is_some()).await;
    assert_eq!(raw(&admin, "DELETE", &format!("{CONFIG_MAPS}/fresh"), None).await.0, 200);
    live.until("its deletion", |s| s.config_maps.named("default", "fresh").is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_version_relists_and_removes_what_vanished_meanwhile() {
    let practice = practice(0);
    let admin = practice.cluster.kubeconfig();
    raw(&admin, "POST", CONFIG_MAPS, Some(config_map("doomed"))).await;
    let mut live = Live::start(&practice.admin().await);
    live.until("the object", |s| s.config_maps.named("default", "doomed").is_some() && all_listed(s)).await;
    practice.cluster.stop_serving();
    live.until("failing", |s| matches!(s.coverage.of(KindId::ConfigMap, "default"), Some(CoverageState::Failing { .. }))).await;
    assert!(live.snapshot.config_maps.named("default", "doomed").is_some(), "old data stays while the server is down");
    assert!(live.snapshot.coverage.is_complete(KindId::ConfigMap, "default"), "and still counts as complete");
    practice.cluster.resume_serving().unwrap();
    raw(&admin, "DELETE", &format!("{CONFIG_MAPS}/doomed"), None).await;
    practice.cluster.expire_versions();
    live.until("recovery", |s| {
        s.config_maps.named("default", "doomed").is_none()
            && matches!(s.coverage.of(KindId::ConfigMap, "default"), Some(CoverageState::Synced { .. }))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_reader_sees_its_namespace_and_is_told_what_it_does_not_see() {
    let practice = practice(40);
    let (_, pods) = raw(&practice.cluster.kubeconfig(), "GET", "/api/v1/pods?limit=1", None).await;
    let namespace = pods["items"][0]["metadata"]["namespace"].as_str().unwrap().to_owned();
    let mut live = Live::start(&practice.user("reader", Role::NamespaceReader(namespace.clone())).await);
    live.until("pods of the namespace", |s| s.coverage.is_complete(KindId::Pod, &namespace)).await;
    assert!(live.snapshot.pods.in_namespace(&namespace).count() > 0);
    live.until("what is denied", |s| {
        s.coverage.iter().any(|(kind, scope, state)| {
            kind == KindId::Node && *scope == Scope::Cluster && matches!(state, CoverageState::Denied { .. })
        })
    })
    .await;
    let denied = live.snapshot.coverage.of(KindId::Node, "");
    assert!(matches!(denied, Some(CoverageState::Denied { why }) if why.contains("nodes is forbidden")), "{denied:?}");
    assert!(!live.snapshot.coverage.is_complete(KindId::Pod, "elsewhere"));
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_asked_for_limit_namespaced_kinds_from_the_start() {
    let practice = practice(40);
    let connection = practice.admin().await.narrowed_to(vec!["default".to_owned(), "kube-system".to_owned()]);
    let mut live = Live::start(&connection);
    live.until("both namespaces", |s| {
        s.coverage.is_complete(KindId::Pod, "default")
            && s.coverage.is_complete(KindId::Pod, "kube-system")
            && s.coverage.is_complete(KindId::Node, "")
    })
    .await;
    assert!(!live.snapshot.coverage.is_complete(KindId::Pod, "elsewhere"));
    assert!(live.snapshot.pods.iter().all(|p| matches!(&*p.meta.namespace, "default" | "kube-system")));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_refusals_and_errors_never_end_a_feed() {
    let practice = practice(5);
    let mut live = Live::start(&practice.admin().await);
    live.until("all kinds listed", all_listed).await;
    for answer in [Answer::Garbage, Answer::Truncated, Answer::TooManyRequests(1), Answer::Code(500), Answer::Code(401)] {
        practice.cluster.faults().answer(answer, usize::MAX);
        practice.cluster.faults().drop_watches();
        live.until("failing", |s| {
            s.coverage
                .of_kind(KindId::Pod)
                .any(|state| matches!(state, CoverageState::Failing { error, .. } if !error.is_empty()))
        })
        .await;
        assert!(live.snapshot.count(KindId::Pod) >= 5, "{answer:?} must not lose data");
        practice.cluster.faults().clear();
        live.until("recovered", |s| s.coverage.of_kind(KindId::Pod).all(|state| matches!(state, CoverageState::Synced { .. })))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_secrets_and_config_maps_never_arrive() {
    let practice = practice(0);
    let admin = practice.cluster.kubeconfig();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "hunter2"}});
    assert_eq!(raw(&admin, "POST", "/api/v1/namespaces/default/secrets", Some(secret)).await.0, 201);
    raw(&admin, "POST", CONFIG_MAPS, Some(config_map("settings"))).await;
    let mut live = Live::start(&practice.admin().await);
    live.until("both", |s| s.secrets.named("default", "db").is_some() && s.config_maps.named("default", "settings").is_some())
        .await;
    assert_eq!(live.snapshot.secrets.named("default", "db").unwrap().keys, None, "key names are unknown, not empty");
    assert_eq!(live.snapshot.config_maps.named("default", "settings").unwrap().keys, None);
    let everything = format!("{:?}", live.snapshot);
    assert!(!everything.contains("hunter2") && !everything.contains("aHVudGVyMg"));
    // A change arrives by the watch, as metadata too.
    let patch = json!({"metadata": {"labels": {"touched": "yes"}}, "stringData": {"password": "hunter2-new"}});
    raw(&admin, "PATCH", "/api/v1/namespaces/default/secrets/db", Some(patch)).await;
    live.until("the change", |s| s.secrets.named("default", "db").unwrap().meta.label("touched") == Some("yes")).await;
    assert_eq!(live.snapshot.secrets.named("default", "db").unwrap().keys, None);
    assert!(!format!("{:?}", live.snapshot).contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_source_ends_its_tasks() {
    let practice = practice(1);
    let connection = practice.admin().await;
    let (tx, mut rx) = mpsc::channel(1);
    let source = LiveSource::start(&connection, &LiveOptions::default(), &tx);
    assert!(source.tasks() > KindId::ALL.len());
    drop((source, tx));
    let drained = timeout(Duration::from_secs(60), async { while rx.recv().await.is_some() {} }).await;
    assert!(drained.is_ok(), "a task still holds the channel");
}

/// The night shift, some simulated minutes in.
fn night_shift() -> Practice {
    let options = Options { scenario: Some("night-shift".to_owned()), speed: 20.0, ..Options::default() };
    Practice { cluster: PracticeCluster::start(&options).unwrap(), dir: tempfile::tempdir().unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_and_log_streams_of_a_failing_service() {
    let practice = night_shift();
    let connection = practice.admin().await;
    let mut live = Live::start(&connection);
    let crashed = |s: &Snapshot| {
        let pod = s
            .pods
            .iter()
            .find(|p| p.containers().any(|c| c.status.restart_count > 0 && c.status.last_state.terminated.is_some()))?;
        let container = pod.containers().find(|c| c.status.restart_count > 0)?;
        let key = LogKey {
            namespace: pod.meta.namespace.clone(),
            pod: pod.meta.name.clone(),
            container: container.status.name.clone(),
            previous: true,
        };
        Some((key, container.status.restart_count))
    };
    live.until("a crash", |s| crashed(s).is_some()).await;
    let (key, restart_count) = crashed(&live.snapshot).unwrap();
    let request = EvidenceRequest::Log { key: key.clone(), restart_count };
    live.source.request(request.clone());
    live.source.request(request);
    live.until("its previous log", |s| s.logs.contains_key(&key)).await;
    let excerpt = &live.snapshot.logs[&key];
    assert!(excerpt.unavailable.is_some() || excerpt.lines.iter().all(|l| l.at.is_some()), "{excerpt:?}");
    assert_eq!(excerpt.restart_count, restart_count);

    let running = live.snapshot.pods.iter().find(|p| p.is_ready() && &*p.meta.namespace == "fastapi-prod").unwrap();
    let spec = LogSpec {
        namespace: running.meta.namespace.clone(),
        pod: running.meta.name.clone(),
        container: running.spec.containers[0].name.clone(),
        previous: false,
        follow: true,
        tail: Some(5),
        since_seconds: None,
    };
    let (tx, mut lines) = mpsc::channel(8);
    let following = tokio::spawn(logs::follow(connection.clone(), spec.clone(), tx));
    let mut got = Vec::new();
    while got.len() < 8 {
        let batch = timeout(Duration::from_secs(60), lines.recv()).await.expect("lines of a service with traffic").unwrap();
        assert_eq!(batch.ended, None);
        got.extend(batch.lines);
    }
    assert!(got.windows(2).all(|w| w[0].at <= w[1].at), "in order, none twice");
    drop(lines);
    timeout(Duration::from_secs(60), following).await.expect("ends when nobody listens").unwrap();

    let (tx, mut lines) = mpsc::channel(8);
    logs::follow(connection, LogSpec { pod: "no-such-pod".into(), ..spec }, tx).await;
    assert!(lines.recv().await.unwrap().ended.unwrap().contains("not found"));
}

fn nobody_looks() -> k3am::cluster::metrics::Preferred {
    tokio::sync::watch::channel(Vec::new()).1
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_arrives_and_says_where_it_is_from() {
    let practice = night_shift();
    let (tx, mut rx) = mpsc::channel(64);
    let (told, mut source) = mpsc::unbounded_channel();
    tokio::spawn(k3am::cluster::metrics::poll(practice.admin().await, tx, told, nobody_looks()));
    assert_eq!(timeout(Duration::from_secs(60), source.recv()).await.unwrap(), Some(Ok("metrics-server".to_owned())));
    let batch = timeout(Duration::from_secs(60), rx.recv()).await.unwrap().unwrap();
    assert!(matches!(&batch[0], Delta::Usage { samples, .. } if samples.iter().any(|(_, _, memory)| *memory > 0.0)), "{batch:?}");
    let (tx, _rx) = mpsc::channel(64);
    let (told, mut source) = mpsc::unbounded_channel();
    tokio::spawn(k3am::cluster::metrics::poll(practice.user("nobody", Role::Nothing).await, tx, told, nobody_looks()));
    let why = timeout(Duration::from_secs(60), source.recv()).await.unwrap().unwrap().unwrap_err();
    assert!(why.contains("forbidden"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_lists_everything_and_finds_what_is_broken() {
    let practice = night_shift();
    let connection = practice.admin().await;
    let mut live = Live::start(&connection);
    live.until("something waits for its image", |s| {
        s.pods
            .iter()
            .any(|p| p.containers().any(|c| c.waiting_reason().contains("Image") || c.waiting_reason() == "CrashLoopBackOff"))
    })
    .await;
    let started = Instant::now();
    let collected = k3am::source::live::collect(&connection, Duration::from_secs(300)).await;
    assert!(started.elapsed() < Duration::from_secs(150), "it ends when it has seen all: {:?}", started.elapsed());
    assert!(all_listed(&collected.snapshot));
    assert!(!collected.engine.incidents().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_list_nothing_is_told_so_with_status_two_and_not_that_all_is_well() {
    use clap::Parser;
    let practice = practice(5);
    let options = practice.options(&practice.cluster.kubeconfig_for("nobody", Role::Nothing));
    let path = options.kubeconfig.unwrap();
    let cli = k3am::cli::Cli::parse_from(["k3am", "diagnose", "--kubeconfig", path.to_str().unwrap()]);
    let Some(k3am::cli::Command::Diagnose(args)) = &cli.command else { panic!("not diagnose") };
    let outcome = k3am::commands::diagnose_cluster(&cli.global, args).await;
    assert_eq!((outcome.status, &*outcome.out), (2, ""), "{outcome:?}");
    assert!(matches!(&*outcome.notes, [one] if one.contains("you may not list anything here") && one.contains("ask for")));
}
