//! The live source against an API server of a few lines inside the test, with the clock stopped: what the practice cluster
//! does not do (hang, lack APIs, refuse single verbs), and how long things take.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use k3am::cluster::Connection;
use k3am::kinds::KindId;
use k3am::protobuf;
use k3am::snapshot::{CoverageState, Delta, Snapshot};
use k3am::source::live::{LiveOptions, LiveSource};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What the fake server answers.
enum Reply {
    /// A whole body.
    Json(u16, Value),
    /// These events, then silence for ever.
    Hang(Vec<Value>),
    /// These events, then the end.
    End(Vec<Value>),
    /// A body that is not JSON.
    Plain(String),
    /// A body that says it is protobuf, then silence for ever where it is a watch.
    Protobuf(Vec<u8>, bool),
}

/// The requests so far, as `GET /path?query`.
type Seen = Arc<Mutex<Vec<String>>>;

/// A connection to a server that answers by `reply`, which is told the request and how many there were before.
fn server(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> (Connection, Seen) {
    let seen = Seen::default();
    let (log, reply) = (Arc::clone(&seen), Arc::new(reply));
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let line = request.uri().path_and_query().unwrap().as_str().to_owned();
        let before = {
            let mut log = log.lock().unwrap();
            log.push(line.clone());
            log.len() - 1
        };
        let reply = Arc::clone(&reply);
        async move { Ok::<_, Infallible>(respond(reply(&line, before))) }
    });
    (Connection::with_client(kube::Client::new(service, "shop"), "fake"), seen)
}

fn respond(reply: Reply) -> Response<Body> {
    let lines = |events: Vec<Value>| events.into_iter().map(|e| Ok::<_, Infallible>(Bytes::from(format!("{e}\n"))));
    let is_protobuf = matches!(reply, Reply::Protobuf(..));
    let (code, body) = match reply {
        Reply::Protobuf(bytes, false) => (200, Body::from(bytes)),
        Reply::Protobuf(bytes, true) => {
            let first = futures::stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))]);
            (200, Body::from_stream(first.chain(futures::stream::pending())))
        }
        Reply::Json(code, value) => (code, Body::from(value.to_string())),
        Reply::Hang(events) => (200, Body::from_stream(futures::stream::iter(lines(events)).chain(futures::stream::pending()))),
        Reply::Plain(text) => (200, Body::from(text)),
        Reply::End(events) => (200, Body::from_stream(futures::stream::iter(lines(events)))),
    };
    let media = if is_protobuf { protobuf::MEDIA_TYPE } else { "application/json" };
    Response::builder().status(code).header("content-type", media).body(body).unwrap()
}

fn status(code: u16, reason: &str, message: &str) -> Reply {
    Reply::Json(code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}))
}

fn pod(name: &str, version: u32) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version.to_string()}})
}

fn list(version: u32, more: &str, items: &[Value]) -> Reply {
    Reply::Json(
        200,
        json!({"kind": "PodList", "metadata": {"resourceVersion": version.to_string(), "continue": more}, "items": items}),
    )
}

struct Live {
    _source: LiveSource,
    rx: mpsc::Receiver<Vec<Delta>>,
    snapshot: Snapshot,
}

const PODS: &[KindId] = &[KindId::Pod];

impl Live {
    fn start(connection: &Connection, kinds: &'static [KindId]) -> Self {
        let (tx, rx) = mpsc::channel(16);
        let source = LiveSource::start(connection, &LiveOptions { kinds, usage: None }, &tx);
        Self { _source: source, rx, snapshot: Snapshot::default() }
    }

    /// Folds deltas until `done`; returns how long that took on the (stopped) clock.
    async fn until(&mut self, what: &str, done: impl Fn(&Snapshot) -> bool) -> Duration {
        let started = Instant::now();
        while !done(&self.snapshot) {
            let batch = tokio::time::timeout(Duration::from_secs(900), self.rx.recv()).await;
            let Ok(Some(batch)) = batch else { panic!("{what}: {:#?}", self.snapshot.coverage) };
            for delta in batch {
                self.snapshot.apply(delta);
            }
        }
        started.elapsed()
    }
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.pods.iter().map(|p| &*p.meta.name).collect()
}

fn pods_are(state: impl Fn(&CoverageState) -> bool) -> impl Fn(&Snapshot) -> bool {
    move |s| s.coverage.of_kind(KindId::Pod).any(&state)
}

const SYNCED: fn(&CoverageState) -> bool = |s| matches!(s, CoverageState::Synced { .. });
const FAILING: fn(&CoverageState) -> bool = |s| matches!(s, CoverageState::Failing { .. });
const DENIED: fn(&CoverageState) -> bool = |s| matches!(s, CoverageState::Denied { .. });

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_silently_is_noticed_within_about_a_minute() {
    let (connection, _) = server(|line, _| match line {
        l if l.contains("watch=1") => Reply::Hang(Vec::new()),
        _ => list(5, "", &[pod("a", 3)]),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("synced", pods_are(SYNCED)).await;
    let took = live.until("failing", pods_are(FAILING)).await;
    assert!(took <= Duration::from_secs(65), "{took:?}");
    assert_eq!(names(&live.snapshot), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_still_shows_signs_of_life_within_a_minute() {
    let bookmark = || json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "77"}}});
    let (connection, seen) = server(move |line, _| match line {
        l if l.contains("watch=1") => Reply::End(vec![bookmark()]),
        _ => list(5, "", &[]),
    });
    let mut live = Live::start(&connection, PODS);
    let heard = |s: &Snapshot| {
        s.coverage.of_kind(KindId::Pod).find_map(|s| if let CoverageState::Synced { heard } = s { Some(*heard) } else { None })
    };
    live.until("synced", |s| heard(s).is_some()).await;
    let first = heard(&live.snapshot);
    live.until("heard again", |s| heard(s) > first).await;
    assert!(seen.lock().unwrap().iter().any(|l| l.contains("resourceVersion=77")), "it resumes from the bookmark");
}

#[tokio::test(start_paused = true)]
async fn an_error_event_410_relists_and_what_the_list_does_not_name_is_gone() {
    let gone = || json!({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}});
    let (connection, _) = server(move |line, before| match line {
        l if l.contains("resourceVersion=5") => Reply::Hang(vec![json!({"type": "ADDED", "object": pod("c", 6)}), gone()]),
        l if l.contains("watch=1") => Reply::Hang(Vec::new()),
        _ if before < 3 => list(5, "", &[pod("a", 3), pod("b", 4)]),
        _ => list(9, "", &[pod("b", 4)]),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("the first list and the event", |s| names(s) == ["a", "b", "c"]).await;
    live.until("the second list", |s| names(s) == ["b"]).await;
    assert!(pods_are(SYNCED)(&live.snapshot), "a relist is no failure");
}

/// A list of pods as its message.
fn protobuf_list(items: &[Vec<u8>]) -> Vec<u8> {
    let head = protobuf::ListHead { resource_version: "5".to_owned(), ..protobuf::ListHead::default() };
    let (mut body, tail) = protobuf::list_envelope("v1", "PodList", &head.write(), items);
    for item in items {
        protobuf::list_item(&mut body, item);
    }
    body.extend(tail);
    body
}

fn protobuf_pod(name: &str, version: u32) -> Vec<u8> {
    protobuf::write(protobuf::schema().message("core.v1.Pod").unwrap(), &pod(name, version))
}

#[tokio::test(start_paused = true)]
async fn lists_watches_and_errors_in_protobuf_are_read() {
    let event = |kind: &str, of: &str, raw: &[u8]| protobuf::event_frame(kind, &protobuf::envelope("v1", of, raw));
    let gone = json!({"code": 410, "reason": "Expired", "message": "too old"});
    let gone = protobuf::write(protobuf::schema().message("meta.v1.Status").unwrap(), &gone);
    let events = [event("ADDED", "Pod", &protobuf_pod("b", 6)), event("DELETED", "Pod", &protobuf_pod("a", 7))].concat();
    let expired = event("ERROR", "Status", &gone);
    let (connection, seen) = server(move |line, _| match line {
        l if l.contains("resourceVersion=5") => Reply::Protobuf(events.clone(), true),
        l if l.contains("resourceVersion=7") => Reply::Protobuf(expired.clone(), true),
        _ => Reply::Protobuf(protobuf_list(&[protobuf_pod("a", 3), protobuf_pod("c", 4)]), false),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("the list", |s| names(s) == ["a", "c"]).await;
    live.until("the events", |s| names(s) == ["b", "c"]).await;
    live.until("the list after 410", |s| names(s) == ["a", "c"]).await;
    assert!(seen.lock().unwrap().iter().any(|line| line.contains("resourceVersion=7")), "it resumes after what it saw");
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_protobuf_cannot_be_read_is_asked_for_json() {
    for odd in [b"k8s\0garbage".to_vec(), b"{}".to_vec(), protobuf_list(&[vec![0x0a, 0x7f, 1]])] {
        let (connection, _) = server(move |line, before| match line {
            l if l.contains("watch=1") => Reply::Hang(Vec::new()),
            _ if before == 0 => Reply::Protobuf(odd.clone(), false),
            _ => list(5, "", &[pod("a", 3)]),
        });
        let mut live = Live::start(&connection, PODS);
        let took = live.until("the list", |s| names(s) == ["a"]).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(pods_are(SYNCED)(&live.snapshot) || !pods_are(FAILING)(&live.snapshot), "it is no failure");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_in_protobuf_that_cannot_be_read_is_not_lost() {
    let odd = protobuf::event_frame("ADDED", &protobuf::envelope("v1", "Pod", &[0x0a, 0x7f, 1]));
    let (connection, _) = server(move |line, before| match line {
        l if l.contains("watch=1") && before < 2 => Reply::Protobuf(odd.clone(), true),
        l if l.contains("watch=1") => Reply::Hang(Vec::new()),
        _ if before == 0 => Reply::Protobuf(protobuf_list(&[protobuf_pod("a", 3)]), false),
        _ => list(9, "", &[pod("a", 3), pod("b", 8)]),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("the list as JSON", |s| names(s) == ["a", "b"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_continue_token_starts_the_list_again_and_keeps_the_first_page() {
    let (connection, _) = server(|line, before| match line {
        l if l.contains("watch=1") => Reply::Hang(Vec::new()),
        l if l.contains("continue=tok%2Fen") && before < 4 => {
            status(410, "Expired", "The provided continue parameter is too old")
        }
        l if l.contains("continue=") => list(5, "", &[pod("b", 4)]),
        _ => list(5, "tok/en", &[pod("a", 3)]),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("the first page", |s| names(s) == ["a"]).await;
    assert!(!live.snapshot.coverage.is_complete(KindId::Pod, "shop"), "half a list is not complete");
    live.until("all of it", |s| s.coverage.is_complete(KindId::Pod, "shop")).await;
    assert_eq!(names(&live.snapshot), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn an_api_the_server_lacks_is_denied_in_words_not_failing() {
    let (connection, _) = server(|_, _| Reply::Json(404, json!("404 page not found")));
    let mut live = Live::start(&connection, &[KindId::HorizontalPodAutoscaler]);
    live.until("denied", |s| s.coverage.of_kind(KindId::HorizontalPodAutoscaler).any(DENIED)).await;
    let state = live.snapshot.coverage.of_kind(KindId::HorizontalPodAutoscaler).next();
    assert!(
        matches!(state, Some(CoverageState::Denied { why }) if why == "the server has no horizontalpodautoscalers (autoscaling/v2)"),
        "{state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_the_watch_verb_a_kind_is_listed_again_and_again() {
    let (connection, seen) = server(|line, before| match line {
        l if l.contains("watch=1") => status(403, "Forbidden", "cannot watch resource \"pods\""),
        _ if before < 4 => list(5, "", &[pod("a", 3)]),
        _ => list(6, "", &[pod("b", 4)]),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("the first list", |s| names(s) == ["a"]).await;
    let took = live.until("a later list", |s| names(s) == ["b"]).await;
    assert!(took >= Duration::from_secs(20), "polls every half minute, not at once: {took:?}");
    assert_eq!(seen.lock().unwrap().iter().filter(|l| l.contains("watch=1")).count(), 1, "it does not insist");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_wide_refusal_narrows_to_the_namespaces_that_can_be_listed() {
    let (connection, _) = server(|line, _| match line {
        l if l.starts_with("/api/v1/pods") => status(403, "Forbidden", "pods is forbidden at the cluster scope"),
        l if l.starts_with("/api/v1/namespaces?") => {
            list(5, "", &[json!({"metadata": {"name": "shop"}}), json!({"metadata": {"name": "vault"}})])
        }
        l if l.contains("watch=1") => Reply::Hang(Vec::new()),
        l if l.starts_with("/api/v1/namespaces/shop/pods") => list(5, "", &[pod("a", 3)]),
        _ => status(403, "Forbidden", "pods is forbidden in the namespace \"vault\""),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("both answers", |s| {
        s.coverage.is_complete(KindId::Pod, "shop")
            && matches!(s.coverage.of(KindId::Pod, "vault"), Some(CoverageState::Denied { .. }))
            && s.coverage.of_kind(KindId::Pod).count() == 3
    })
    .await;
    assert_eq!(names(&live.snapshot), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_comes_and_rights_that_come_are_noticed_within_two_minutes() {
    let (namespaces, allowed) = (Arc::new(Mutex::new(vec!["shop"])), Arc::new(Mutex::new(false)));
    let (known, may) = (Arc::clone(&namespaces), Arc::clone(&allowed));
    let (connection, _) = server(move |line, _| match line {
        l if l.contains("watch=1") => Reply::Hang(Vec::new()),
        l if l.starts_with("/api/v1/pods") && !*may.lock().unwrap() => status(403, "Forbidden", "pods is forbidden"),
        l if l.starts_with("/api/v1/pods") => list(9, "", &[pod("a", 3), pod("everywhere", 4)]),
        l if l.starts_with("/api/v1/namespaces?") => {
            let names: Vec<Value> = known.lock().unwrap().iter().map(|name| json!({"metadata": {"name": name}})).collect();
            list(5, "", &names)
        }
        l if l.starts_with("/api/v1/namespaces/shop/pods") => list(5, "", &[pod("a", 3)]),
        l if l.starts_with("/api/v1/namespaces/new/pods") => list(5, "", &[]),
        _ => Reply::Json(200, json!({"gitVersion": "v1"})),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("its own", |s| s.coverage.is_complete(KindId::Pod, "shop")).await;
    namespaces.lock().unwrap().push("new");
    let took = live.until("the new one", |s| s.coverage.is_complete(KindId::Pod, "new")).await;
    assert!(took < Duration::from_secs(120), "{took:?}");
    *allowed.lock().unwrap() = true;
    let took = live.until("everything", |s| s.coverage.is_complete(KindId::Pod, "elsewhere")).await;
    assert!(took < Duration::from_secs(120), "{took:?}");
    assert_eq!(names(&live.snapshot), ["a", "everywhere"]);
    assert_eq!(live.snapshot.coverage.of_kind(KindId::Pod).count(), 1, "one scope is left: the cluster");
}

#[tokio::test(start_paused = true)]
async fn namespaces_beyond_thirty_are_counted_aloud() {
    let (connection, _) = server(move |line, _| match line {
        l if l.contains("watch=1") => Reply::Hang(Vec::new()),
        l if l.starts_with("/api/v1/pods") => status(403, "Forbidden", "pods is forbidden"),
        l if l.starts_with("/api/v1/namespaces?") => {
            let names: Vec<Value> = (0..40).map(|n| json!({"metadata": {"name": format!("ns-{n}")}})).collect();
            list(5, "", &names)
        }
        _ => list(5, "", &[]),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("the count", |s| {
        let said = "pods is forbidden; 11 more namespaces are not looked at: name them with -n or :ns";
        s.coverage.of_kind(KindId::Pod).any(|state| matches!(state, CoverageState::Denied { why } if why == said))
    })
    .await;
    live.until("thirty", |s| s.coverage.of_kind(KindId::Pod).filter(|s| matches!(s, CoverageState::Synced { .. })).count() == 30)
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_undecodable_object_costs_one_row() {
    let (connection, _) = server(|line, _| match line {
        l if l.contains("watch=1") => Reply::Hang(vec![
            json!({"type": "ADDED", "object": {"metadata": {"name": ["not", "a", "name"]}}}),
            json!({"type": "ADDED", "object": pod("c", 7)}),
        ]),
        _ => list(5, "", &[pod("a", 3), json!({"metadata": {"name": 7}, "spec": "x"}), pod("b", 4)]),
    });
    let mut live = Live::start(&connection, PODS);
    live.until("the others", |s| names(s) == ["a", "b", "c"]).await;
    assert!(pods_are(SYNCED)(&live.snapshot));
}

#[tokio::test(start_paused = true)]
async fn a_server_under_load_is_left_alone_for_as_long_as_it_asks() {
    let (connection, seen) = server(|_, _| Reply::Json(429, json!({"kind": "Status", "message": "slow down", "code": 429})));
    let mut live = Live::start(&connection, PODS);
    live.until("failing", pods_are(FAILING)).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let asked = seen.lock().unwrap().iter().filter(|l| l.contains("/pods")).count();
    assert!((4..=12).contains(&asked), "{asked} requests in two minutes");
}

#[tokio::test(start_paused = true)]
async fn discovery_works_without_the_aggregated_form_and_survives_a_dead_group() {
    let (connection, _) = server(|line, _| {
        Reply::Json(
            200,
            match line {
                "/api" => json!({"kind": "APIVersions", "versions": ["v1"]}),
                "/apis" => json!({"kind": "APIGroupList", "groups": [
                {"name": "apps", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}},
                {"name": "dead.example.com", "versions": [{"version": "v1"}]}]}),
                "/api/v1" => json!({"resources": [
                {"name": "pods", "singularName": "pod", "kind": "Pod", "namespaced": true, "shortNames": ["po"], "verbs": ["list"]},
                {"name": "pods/log", "kind": "Pod", "namespaced": true, "verbs": ["get"]}]}),
                "/apis/apps/v1" => json!({"resources": [
                {"name": "deployments", "singularName": "", "kind": "Deployment", "namespaced": true, "verbs": ["list"]}]}),
                _ => return status(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
            },
        )
    });
    let found: Vec<_> = connection.resources().await.unwrap().iter().map(|r| (&*r.plural, &*r.singular)).collect();
    assert_eq!(found, [("pods", "pod"), ("deployments", "deployment")]);
}

/// A cluster of 120 nodes without metrics-server: the kubelet of `n7` is dead, those of the others measure one pod each.
fn kubelets(line: &str, before: usize) -> Reply {
    if line.starts_with("/api/v1/nodes?") {
        let nodes: Vec<Value> = (0..120).map(|n| json!({"metadata": {"name": format!("n{n}")}})).collect();
        return list(1, "", &nodes);
    }
    let Some(node) = line.strip_prefix("/api/v1/nodes/").and_then(|rest| rest.strip_suffix("/proxy/metrics/resource")) else {
        return status(404, "NotFound", "the server could not find the requested resource");
    };
    if node == "n7" {
        return status(503, "ServiceUnavailable", "error trying to reach service: dial tcp: i/o timeout");
    }
    let of = format!("{{container=\"web\",namespace=\"shop\",pod=\"on-{node}\"}}");
    let (seconds, at) = (before as f64, 1_700_000_000_000_u64 + before as u64 * 1000);
    Reply::Plain(format!(
        "container_cpu_usage_seconds_total{of} {seconds} {at}\ncontainer_memory_working_set_bytes{of} 1000 {at}\n"
    ))
}

#[tokio::test(start_paused = true)]
async fn of_many_kubelets_those_of_what_is_looked_at_are_read_and_the_rest_is_counted_aloud() {
    let (connection, seen) = server(kubelets);
    let (tx, mut rx) = mpsc::channel(64);
    let (told, mut source) = mpsc::unbounded_channel();
    let (preferred, nodes) = tokio::sync::watch::channel(vec!["n110".into(), "gone".into()]);
    tokio::spawn(k3am::cluster::metrics::poll(connection, tx, told, nodes));
    let name = source.recv().await.unwrap().unwrap();
    assert_eq!(name, "kubelet, 49 of 120 nodes, those of what is shown first");
    let mut measured = async |pod: &str| {
        for _ in 0..20 {
            let Some(batch) = rx.recv().await else { break };
            let Delta::Usage { samples, .. } = &batch[0] else { continue };
            if samples.iter().any(|(key, ..)| &*key.pod == pod) {
                return samples.len();
            }
        }
        panic!("{pod} was never measured");
    };
    assert_eq!(measured("on-n110").await, 49);
    assert_eq!(measured("on-n110").await, 50, "the one that does not answer is left alone, and another is read instead");
    let (started, known) = (Instant::now(), seen.lock().unwrap().len());
    preferred.send(vec!["n119".into()]).unwrap();
    measured("on-n119").await;
    assert!(started.elapsed() < Duration::from_secs(40), "within two polls: {:?}", started.elapsed());
    let lists = seen.lock().unwrap().iter().skip(known).filter(|line| line.starts_with("/api/v1/nodes?")).count();
    assert_eq!(lists, 0, "which nodes there are is not asked for each time");
}
