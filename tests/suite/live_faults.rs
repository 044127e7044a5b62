//! Faults on demand, asked for as `k3am demo --serve --control` takes them, and what a person sees meanwhile: the age within
//! seconds, the old data dimmed but there, recovery alone, nothing lost, nothing invented.

use std::sync::Arc;
use std::time::Duration;

use k3am::app::{ConnectedInfo, Effect, Msg, State, update};
use k3am::cluster::Connection;
use k3am::kinds::KindId;
use k3am::practice::access::Role;
use k3am::practice::{Options, PracticeCluster, control};
use k3am::snapshot::{CoverageState, Delta};
use k3am::source::live::{LiveOptions, LiveSource};
use k3am::text::Time;
use ratatui::style::Modifier;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::live::{CONFIG_MAPS, config_map, raw};
use super::screens::{buffer, fresh, text};

const SIZE: (u16, u16) = (120, 40);
/// As soon as a person wonders (as `until` counts).
const SOON: Duration = Duration::from_secs(7);
/// The most that one turn of [`Watched::until`] counts.
const TURN: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(40);

/// A cluster and the cockpit on it, without a terminal.
struct Watched {
    cluster: Arc<PracticeCluster>,
    connection: Connection,
    source: LiveSource,
    state: State,
    rx: mpsc::Receiver<Vec<Delta>>,
    _dir: tempfile::TempDir,
}

async fn watched_as(user: Option<(&str, Role)>, options: &Options) -> Watched {
    watch(PracticeCluster::start(options).unwrap(), user).await
}

async fn watch(cluster: PracticeCluster, user: Option<(&str, Role)>) -> Watched {
    let cluster = Arc::new(cluster);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let text = user.map_or_else(|| cluster.kubeconfig(), |(name, role)| cluster.kubeconfig_for(name, role));
    std::fs::write(&path, text).unwrap();
    let options = k3am::cluster::ConnectOptions { kubeconfig: Some(path), ..Default::default() };
    let connection = k3am::cluster::connect(&options).await.unwrap();
    connection.identify().await.unwrap();
    let (tx, rx) = mpsc::channel(64);
    let source = LiveSource::start(&connection, &LiveOptions::default(), &tx);
    let mut state = fresh(connection.now());
    let info = ConnectedInfo {
        context: "practice".to_owned(),
        acting_as: None,
        namespaces: Vec::new(),
        read_only: false,
        source: "live",
    };
    update(&mut state, Msg::Connected(Ok(info)));
    Watched { cluster, connection, source, state, rx, _dir: dir }
}

async fn watched() -> Watched {
    let mut seen = watched_as(None, &Options { pods: 30, ..Options::default() }).await;
    seen.until("everything", LONG, |s| s.everything_is_fresh()).await;
    seen
}

impl Watched {
    fn order(&self, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        control::perform(&self.cluster, &words).unwrap();
    }

    fn fold(&mut self, batch: Vec<Delta>) {
        update(&mut self.state, Msg::Tick(self.connection.now()));
        for effect in update(&mut self.state, Msg::Deltas(batch)) {
            if let Effect::Fetch(request) = effect {
                self.source.request(request);
            }
        }
    }

    /// Lives until `done`; how long that took, of which a turn counts no more than [`TURN`]: a machine that stood still, or had
    /// others to serve, is not what is measured.
    async fn until(&mut self, what: &str, limit: Duration, done: impl Fn(&mut Self) -> bool) -> Duration {
        let mut lived = Duration::ZERO;
        loop {
            let turn = Instant::now();
            if done(self) {
                return lived;
            }
            assert!(lived < limit, "{what}: not within {limit:?}:\n{}", self.screen());
            match timeout(Duration::from_millis(100), self.rx.recv()).await {
                Ok(Some(batch)) => self.fold(batch),
                Ok(None) => panic!("the source ended"),
                Err(_) => self.fold(Vec::new()),
            }
            lived += turn.elapsed().min(TURN);
        }
    }

    fn screen(&mut self) -> String {
        text(&mut self.state, SIZE)
    }

    fn header(&mut self) -> String {
        self.screen().lines().next().unwrap().to_owned()
    }

    /// The header says that what is seen is old.
    fn says_old(&mut self) -> bool {
        let header = self.header();
        header.contains("no answer for ") || header.contains("no news for ")
    }

    fn everything_is_fresh(&self) -> bool {
        KindId::ALL.iter().all(|kind| self.state.snapshot.coverage.of_kind(*kind).next().is_some())
            && self.state.snapshot.coverage.iter().all(|(_, _, state)| matches!(state, CoverageState::Synced { .. }))
    }

    fn is_failing(&self) -> bool {
        self.state.snapshot.coverage.of_kind(KindId::Pod).any(|state| matches!(state, CoverageState::Failing { .. }))
    }

    fn has(&self, name: &str) -> bool {
        self.state.snapshot.config_maps.named("default", name).is_some()
    }

    /// Words of the body (not the lines of keys, of the header and of what is wrong) that are drawn dim.
    fn is_dimmed(&mut self) -> bool {
        let buffer = buffer(&mut self.state, SIZE);
        (3..SIZE.1 - 1)
            .flat_map(|y| (0..SIZE.0).map(move |x| (x, y)))
            .filter(|at| buffer[*at].symbol().chars().all(char::is_alphanumeric))
            .all(|at| buffer[at].modifier.contains(Modifier::DIM))
    }

    async fn make(&self, name: &str) {
        assert_eq!(raw(&self.cluster.kubeconfig(), "POST", CONFIG_MAPS, Some(config_map(name))).await.0, 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_server_is_said_within_seconds_with_the_old_data_dimmed_and_is_back_alone() {
    let mut seen = watched().await;
    let pods = seen.state.snapshot.pods.len();
    assert!(!seen.is_dimmed());
    let ordered = Instant::now();
    seen.order("hang");
    seen.until("silence is said", SOON, |s| s.header().contains("no answer for ")).await;
    assert!(ordered.elapsed() > Duration::from_secs(1), "a moment's quiet is no outage: {:?}", ordered.elapsed());
    seen.until("pods say so", SOON, |s| s.is_failing()).await;
    seen.until("everything says so", SOON, |s| {
        s.state.snapshot.coverage.iter().all(|(_, _, state)| matches!(state, CoverageState::Failing { .. }))
    })
    .await;
    assert_eq!(seen.state.snapshot.pods.len(), pods, "nothing is forgotten");
    assert!(seen.is_dimmed(), "what is old looks old");
    // The age counts from the last word of the server, on every line that shows it.
    sleep(Duration::from_secs(3)).await;
    seen.fold(Vec::new());
    let header = seen.header();
    let seconds: u64 = header.split("no answer for ").nth(1).unwrap().split('s').next().unwrap().parse().unwrap();
    // It may have been quiet for a while before; the server speaks at least every few seconds.
    let hung = ordered.elapsed().as_secs();
    assert!((5..hung + 15).contains(&seconds), "{header} after {hung} s");
    seen.order("clear");
    seen.until("recovery", SOON, |s| s.everything_is_fresh()).await;
    seen.make("after").await;
    seen.until("news", SOON, |s| s.has("after")).await;
    assert!(!seen.is_dimmed() && !seen.says_old());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_invents_nothing_and_is_over_within_seconds() {
    let mut seen = watched().await;
    seen.make("doomed").await;
    seen.until("the object", SOON, |s| s.has("doomed")).await;
    let pods = seen.state.snapshot.pods.len();
    seen.order("restart 6");
    // Which of the two words it is depends on whether a request was under way when the server went.
    let words = |screen: &str| screen.contains("connection refused") || screen.contains("it closed the connection");
    let said = |s: &mut Watched| s.header().contains("no answer for ") && words(&s.screen());
    seen.until("the outage", SOON, |s| said(s) && s.is_failing()).await;
    assert!(seen.has("doomed") && seen.state.snapshot.pods.len() == pods && seen.is_dimmed());
    let took = seen.until("the server", LONG, |s| s.everything_is_fresh() && !s.says_old()).await;
    assert!(took < Duration::from_secs(14), "back within seconds of the server: {took:?}");
    assert_eq!(raw(&seen.cluster.kubeconfig(), "DELETE", &format!("{CONFIG_MAPS}/doomed"), None).await.0, 200);
    seen.make("fresh").await;
    seen.until("both changes", SOON, |s| s.has("fresh") && !s.has("doomed")).await;
    assert_eq!(seen.state.snapshot.pods.len(), pods);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_watches_and_expired_versions_are_not_worth_a_word() {
    let mut seen = watched().await;
    for (order, name) in [("drop-watches", "one"), ("expire-versions", "two")] {
        seen.order(order);
        seen.make(name).await;
        let started = Instant::now();
        while !(seen.has(name) && seen.everything_is_fresh()) {
            assert!(started.elapsed() < LONG, "{order}: {}", seen.screen());
            assert!(!seen.says_old(), "{order} is no outage: {}", seen.header());
            if let Ok(Some(batch)) = timeout(Duration::from_millis(100), seen.rx.recv()).await {
                seen.fold(batch);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_are_named_and_survived() {
    let mut seen = watched().await;
    let pods = seen.state.snapshot.pods.len();
    let spoken = [
        ("answer 429 3", "too many requests"),
        ("answer 500 3", "practice fault"),
        ("answer 503 3", "unable to handle the request"),
        ("truncate 3", "did not answer as a Kubernetes server does"),
        ("garbage 3", "did not answer as a Kubernetes server does"),
        ("answer 401 3", "does not accept the credentials"),
    ];
    for (order, words) in spoken {
        seen.order(order);
        seen.until(order, SOON, |s| {
            s.state.snapshot.coverage.of_kind(KindId::Pod).any(|state| {
                matches!(state, CoverageState::Failing { error, .. } if error.to_lowercase().contains(&words.to_lowercase()))
            })
        })
        .await;
        let (header, sentence) = (seen.header(), seen.screen().lines().nth(1).unwrap().to_lowercase());
        assert!(header.contains("no news for ") && seen.is_dimmed(), "{order}: {header}");
        assert!(sentence.contains(&words.to_lowercase()), "the whole sentence has a line of its own: {order}: {sentence}");
        assert_eq!(seen.state.snapshot.pods.len(), pods, "{order} loses nothing and invents nothing");
        let took = seen.until("recovery", LONG, |s| s.everything_is_fresh()).await;
        assert!(took < Duration::from_secs(10), "{order}: over within seconds of the fault's end: {took:?}");
        assert_eq!(seen.state.snapshot.pods.len(), pods);
        assert!(!seen.says_old(), "{}", seen.header());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_in_between_hides_its_kind_and_nothing_else() {
    let mut seen = watched().await;
    let pods = seen.state.snapshot.pods.len();
    seen.order("refuse * nodes");
    seen.order("drop-watches");
    seen.until("the refusal", LONG, |s| s.screen().contains("not visible: nodes")).await;
    assert_eq!(seen.state.snapshot.pods.len(), pods);
    assert!(!seen.is_dimmed(), "the rest is as fresh as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_is_slow_and_nothing_else() {
    let mut seen = watched().await;
    seen.order("delay 1500");
    seen.order("drop-watches");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(8) {
        seen.until("a moment", SOON, |_| started.elapsed().as_millis() % 500 < 250).await;
        sleep(Duration::from_millis(250)).await;
        assert!(!seen.says_old(), "{}", seen.header());
    }
    seen.order("clear");
    seen.make("late").await;
    seen.until("news", SOON, |s| s.has("late")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_verb_is_said_and_costs_one_kind() {
    let cluster = PracticeCluster::start(&Options { pods: 30, ..Options::default() }).unwrap();
    cluster.faults().refuse("list", "nodes", None);
    let mut seen = watch(cluster, None).await;
    seen.until("the refusal", LONG, |s| s.header().contains("not visible: nodes")).await;
    seen.until("the rest", LONG, |s| s.state.snapshot.coverage.is_complete(KindId::Pod, "default")).await;
    assert!(!seen.screen().contains("All quiet"), "{}", seen.screen());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_says_to_log_in_again_and_keeps_what_was_seen() {
    let mut seen = watched_as(Some(("tired", Role::Reader)), &Options { pods: 30, ..Options::default() }).await;
    seen.until("everything", LONG, |s| s.everything_is_fresh()).await;
    let pods = seen.state.snapshot.pods.len();
    seen.order("expire-token tired");
    seen.until("the sentence", SOON, |s| s.is_failing()).await;
    let failing = seen.state.snapshot.coverage.of_kind(KindId::Pod).next().cloned();
    assert!(matches!(&failing, Some(CoverageState::Failing { error, .. }) if error.contains("Log in again")), "{failing:?}");
    assert_eq!(seen.state.snapshot.pods.len(), pods);
    // A new login (here: the token is valid again) is noticed alone.
    seen.cluster.kubeconfig_for("tired", Role::Reader);
    seen.until("recovery", LONG, |s| s.everything_is_fresh()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_clock_is_the_time() {
    let fast = Options { pods: 5, speed: 600.0, ..Options::default() };
    let mut seen = watched_as(None, &fast).await;
    sleep(Duration::from_millis(500)).await;
    let asked = Instant::now();
    seen.connection.identify().await.unwrap();
    let ours: Time = chrono::Utc::now();
    let off = (seen.connection.now() - seen.cluster.clock().now()).num_seconds().unsigned_abs();
    // Between the server's word and this comparison its clock went on, by no more than this.
    let meanwhile = 600 * asked.elapsed().as_millis() as u64 / 1000;
    assert!(seen.connection.now() - ours > chrono::Duration::seconds(200), "{:?}", seen.connection.clock_skew());
    assert!(off < 60 + meanwhile, "{off} s off at 600 times the speed");
    seen.until("everything", LONG, |s| s.everything_is_fresh()).await;
    let same = watched_as(None, &Options { pods: 1, ..Options::default() }).await;
    let started = Instant::now();
    // A stall between the server's word and our clock reads as a difference: the next answer has none.
    while same.connection.clock_skew() != chrono::Duration::zero() {
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", same.connection.clock_skew());
        same.connection.identify().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_survives_a_restart_of_the_server_without_loss_or_doubling() {
    let options = Options { scenario: Some("night-shift".to_owned()), speed: 5.0, ..Options::default() };
    let mut seen = watched_as(None, &options).await;
    let busy = |s: &mut Watched| {
        let pod = s.state.snapshot.pods.iter().find(|p| p.is_ready() && &*p.meta.namespace == "fastapi-prod")?;
        Some((pod.meta.name.clone(), pod.spec.containers[0].name.clone()))
    };
    seen.until("a ready pod", LONG, |s| busy(s).is_some()).await;
    let (pod, container) = busy(&mut seen).unwrap();
    let (namespace, previous, follow) = ("fastapi-prod".into(), false, true);
    let spec =
        k3am::snapshot::LogSpec { namespace, pod: pod.clone(), container, previous, follow, tail: Some(1), since_seconds: None };
    let (tx, mut rx) = mpsc::channel(8);
    tokio::spawn(k3am::cluster::logs::follow(seen.connection.clone(), spec, tx));
    let mut got: Vec<String> = Vec::new();
    let started = Instant::now();
    let mut restarted = None;
    // Long enough to see the end of the restart, and lines from after it.
    let enough = |got: &Vec<String>, restarted: Option<usize>| restarted.is_some_and(|before| got.len() > before + 5);
    while started.elapsed() < Duration::from_secs(14) || !enough(&got, restarted) {
        assert!(started.elapsed() < Duration::from_secs(90), "the service says too little: {restarted:?} {got:?}");
        if got.len() > 5 && restarted.is_none() {
            restarted = Some(got.len());
            seen.order("restart 2");
        }
        if let Ok(Some(batch)) = timeout(Duration::from_millis(100), rx.recv()).await {
            assert_eq!((batch.ended, batch.dropped), (None, 0));
            got.extend(batch.lines.iter().map(|line| format!("{:?} {}", line.at, line.text)));
        }
        seen.fold(Vec::new());
    }
    let whole = seen.cluster.kubeconfig();
    let text = lines_of(&whole, &format!("/api/v1/namespaces/fastapi-prod/pods/{pod}/log?timestamps=true")).await;
    let written: Vec<String> = text.lines().map(|line| line.split_once(' ').unwrap_or((line, "")).1.trim().to_owned()).collect();
    let told: Vec<String> = got.iter().map(|line| line.split_once(") ").unwrap().1.trim().to_owned()).collect();
    let first = written.iter().position(|line| *line == told[0]).expect("the first line is one of the log's");
    let expected = &written[first..];
    let same = told.iter().zip(expected).take_while(|(a, b)| a == b).count();
    assert_eq!(same, told.len(), "line {same}: {:?} for {:?}", told.get(same), expected.get(same));
}

/// A body as text, past k3am's own code.
async fn lines_of(kubeconfig: &str, path: &str) -> String {
    let config = kube::config::Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    client.request_text(http::Request::get(path).body(Vec::new()).unwrap()).await.unwrap()
}

#[test]
fn orders_that_make_no_sense_say_how_to_give_them() {
    let cluster = Arc::new(PracticeCluster::start(&Options::default()).unwrap());
    for wrong in ["", "explode", "answer", "answer 200", "delay soon", "refuse list", "expire-token"] {
        let words: Vec<&str> = wrong.split(' ').filter(|w| !w.is_empty()).collect();
        let why = control::perform(&cluster, &words).unwrap_err();
        assert!(why.contains("usage: ") || why.contains("POST one of these"), "{wrong}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_port_takes_orders_over_http() {
    let cluster = Arc::new(PracticeCluster::start(&Options::default()).unwrap());
    let (address, orders) = control::listen(Arc::clone(&cluster), 0).await.unwrap();
    tokio::spawn(orders);
    let port = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {{server: \"http://{address}\"}}\n\
         contexts:\n- name: c\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user: {{}}\n"
    );
    assert_eq!(raw(&port, "GET", "/", None).await.0, 200);
    assert_eq!(raw(&port, "POST", "/nonsense", None).await.0, 400);
    assert_eq!(raw(&port, "POST", "/answer/503", None).await.0, 200);
    assert_eq!(raw(&cluster.kubeconfig(), "GET", "/api/v1/nodes", None).await.0, 503);
    assert_eq!(raw(&port, "POST", "/clear", None).await.0, 200);
    assert_eq!(raw(&cluster.kubeconfig(), "GET", "/api/v1/nodes", None).await.0, 200);
}
