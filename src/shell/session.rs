//! Whom we talk to: connecting in the background, the running source, the practice cluster, the log stream.
//!
//! Invariant: what belongs to a cluster we left (deltas, log lines, late answers) never reaches the cockpit: its channels and
//! tasks go with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::demo::{self, Practice};
use crate::app::Msg;
use crate::app::msg::{ConnectFailure, ConnectedInfo};
use crate::changes::redact;
use crate::cluster::{ConnectOptions, Connection, Door, Error, connect, connect_hearing, logs};
use crate::diagnosis::EvidenceRequest;
use crate::practice;
use crate::snapshot::{Delta, Identity, LogBatch, LogSpec};
use crate::source::bundle::Store;
use crate::source::live::{LiveOptions, LiveSource};
use crate::text::{Text, Time, duration};

/// Batches of deltas in flight; a full queue slows the watches down.
const DELTAS: usize = 64;
/// Clocks that differ by less are not worth a word.
const SKEW_SECONDS: i64 = 30;
/// Batches of log lines in flight.
const LOG_BATCHES: usize = 16;
/// Waits between attempts to connect, the last one again and again.
const RETRY: [Duration; 4] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(15)];

/// The longest wait for a server that is not there: asking costs nothing, and a person watches.
const RETRY_SERVER: Duration = Duration::from_secs(4);

/// What to connect to.
#[derive(Debug, Clone)]
pub enum Target {
    /// The cluster of a kubeconfig.
    Cluster(ConnectOptions),
    /// A practice cluster of our own.
    Practice(practice::Options),
    /// The files of a cluster.
    Bundle(PathBuf),
}

impl Target {
    /// What to call it before it has answered.
    pub fn name(&self) -> String {
        match self {
            Self::Cluster(options) => connect::destination(options),
            Self::Practice(_) => "the practice cluster".to_owned(),
            Self::Bundle(path) => path.display().to_string(),
        }
    }
}

/// A cluster that answered.
pub struct Link {
    connection: Connection,
    identity: Identity,
    practice: Option<Practice>,
}

/// What background work has to say to the loop.
pub enum Report {
    /// For the cockpit as it is.
    Msg(Box<Msg>),
    /// Connecting ended, well or not.
    Linked {
        /// Which attempt; older ones are ignored.
        attempt: u64,
        /// Outcome.
        result: Result<Box<Link>, Error>,
    },
    /// A bundle was read, or not.
    Opened {
        /// Which attempt; older ones are ignored.
        attempt: u64,
        /// Outcome.
        result: Result<Box<Store>, String>,
    },
    /// The objects a planner needs.
    Fetched {
        /// What was asked.
        intent: crate::actions::Intent,
        /// The objects, or why not.
        objects: Result<crate::actions::Objects, Error>,
    },
}

impl From<Msg> for Report {
    fn from(msg: Msg) -> Self {
        Self::Msg(Box::new(msg))
    }
}

/// A task that ends when this is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The connection of the moment.
pub struct Session {
    user: ConnectOptions,
    read_only: bool,
    reports: mpsc::Sender<Report>,
    attempt: u64,
    link: Option<Link>,
    bundle: Option<Arc<Store>>,
    live: Option<LiveSource>,
    deltas: Option<mpsc::Receiver<Vec<Delta>>>,
    connecting: Option<Task>,
    usage: Option<Task>,
    log: Option<Task>,
    skew_told: bool,
}

impl Session {
    /// A session without a connection. `user` is what the command line says about the kubeconfig.
    pub fn new(user: ConnectOptions, read_only: bool, reports: mpsc::Sender<Report>) -> Self {
        let none = (None, None, None);
        let (connecting, usage, log) = none;
        Self {
            user,
            read_only,
            reports,
            attempt: 0,
            link: None,
            bundle: None,
            live: None,
            deltas: None,
            connecting,
            usage,
            log,
            skew_told: false,
        }
    }

    /// What the command line says about the kubeconfig.
    pub fn user(&self) -> &ConnectOptions {
        &self.user
    }

    /// Where background work reports.
    pub fn reports(&self) -> &mpsc::Sender<Report> {
        &self.reports
    }

    /// The cluster's time, as far as it is known: the practice cluster has a clock of its own, others tell theirs in answers.
    pub fn now(&self) -> Time {
        match (&self.bundle, &self.link) {
            (Some(store), _) => store.time(),
            (None, Some(Link { practice: Some(practice), .. })) => practice.cluster.clock().now(),
            (None, Some(link)) => link.connection.now(),
            (None, None) => Utc::now(),
        }
    }

    /// How the cluster of the moment is reached: what kubectl must be told to reach the same.
    pub fn reached_by(&self) -> Option<ConnectOptions> {
        self.link.as_ref().map(|link| link.practice.as_ref().map_or_else(|| self.user.clone(), Practice::connect_options))
    }

    fn practice(&self) -> Option<&Practice> {
        self.link.as_ref()?.practice.as_ref()
    }

    /// Said once a connection: the clocks of this machine and the cluster differ so much that it matters.
    pub fn clock_words(&mut self) -> Option<String> {
        let ahead = self.link.as_ref().filter(|link| link.practice.is_none())?.connection.clock_skew();
        if ahead.abs().num_seconds() < SKEW_SECONDS || std::mem::replace(&mut self.skew_told, true) {
            return None;
        }
        let (by, which) = (duration(ahead.abs()), if ahead > chrono::Duration::zero() { "behind" } else { "ahead of" });
        Some(format!("this machine's clock is {by} {which} the cluster's; times and ages here are the cluster's"))
    }

    /// The connection, once there is one.
    pub fn connection(&self) -> Option<&Connection> {
        self.link.as_ref().map(|link| &link.connection)
    }

    /// The one way to write, once there is a connection.
    pub fn door(&self) -> Option<Door> {
        let shut = self.read_only.then(|| "k3am was started with --readonly, or its config file says so".to_owned());
        Some(Door::new(self.connection()?.clone(), shut))
    }

    /// Connects in the background, again and again until it works. The connection of before stays until then.
    pub fn connect(&mut self, target: Target) {
        self.attempt += 1;
        if let Target::Bundle(path) = target {
            self.connecting = Some(Task(tokio::spawn(super::bundle::open(path, self.attempt, self.reports.clone()))));
            return;
        }
        let work = connect_until_it_works(target, self.attempt, self.reports.clone());
        self.connecting = Some(Task(tokio::spawn(work)));
    }

    /// Another context of the user's kubeconfig.
    pub fn switch_context(&mut self, context: String) {
        self.connect(Target::Cluster(ConnectOptions { context: Some(context), namespaces: Vec::new(), ..self.user.clone() }));
    }

    /// The practice cluster with its default scenario.
    pub fn start_practice(&mut self) {
        self.connect(Target::Practice(demo::default_options()));
    }

    /// Watches other namespaces of the same cluster.
    pub fn switch_namespaces(&mut self, namespaces: Vec<String>) -> Option<Msg> {
        if let Some(store) = self.bundle.clone() {
            return Some(self.show(store, namespaces));
        }
        let mut link = self.link.take()?;
        link.connection = link.connection.narrowed_to(namespaces);
        Some(self.go_live(link))
    }

    /// Takes the outcome of connecting; what to tell the cockpit.
    pub fn linked(&mut self, attempt: u64, result: Result<Box<Link>, Error>) -> Option<Msg> {
        if attempt != self.attempt {
            return None;
        }
        match &result {
            Ok(link) => {
                let connection = &link.connection;
                tracing::info!(context = connection.context, namespaces = ?connection.namespaces, "connected");
            }
            Err(error) => tracing::warn!(error = redact::text(&error.to_string()), "cannot connect"),
        }
        match result {
            Ok(link) => {
                self.connecting = None;
                Some(self.go_live(*link))
            }
            Err(error) if self.link.is_some() || self.bundle.is_some() => {
                self.connecting = None;
                Some(Msg::Notice(format!("still here, the switch failed: {error}")))
            }
            Err(Error::NoKubeconfig { looked }) => Some(Msg::Connected(Err(ConnectFailure::NoKubeconfig { looked }))),
            Err(error) => Some(Msg::Connected(Err(ConnectFailure::Other(error.to_string())))),
        }
    }

    /// Takes a bundle that was read; what to tell the cockpit.
    pub fn opened(&mut self, attempt: u64, result: Result<Box<Store>, String>) -> Option<Msg> {
        if attempt != self.attempt {
            return None;
        }
        match result {
            Ok(store) => Some(self.show(Arc::from(store), self.user.namespaces.clone())),
            Err(why) => Some(Msg::Connected(Err(ConnectFailure::Other(why)))),
        }
    }

    /// Shows a bundle instead of a cluster.
    fn show(&mut self, store: Arc<Store>, namespaces: Vec<String>) -> Msg {
        let (tx, rx) = mpsc::channel(DELTAS);
        (self.link, self.live, self.usage, self.log) = (None, None, None, None);
        self.connecting =
            Some(Task(tokio::spawn(super::bundle::tell(Arc::clone(&store), namespaces.clone(), tx, self.reports.clone()))));
        self.deltas = Some(rx);
        let info =
            ConnectedInfo { context: store.name().to_owned(), acting_as: None, namespaces, read_only: true, source: "bundle" };
        self.bundle = Some(store);
        Msg::Connected(Ok(info))
    }

    /// The bundle on show, if it is one.
    pub fn bundle(&self) -> Option<&Arc<Store>> {
        self.bundle.as_ref()
    }

    fn go_live(&mut self, link: Link) -> Msg {
        self.bundle = None;
        let (tx, rx) = mpsc::channel(DELTAS);
        let (told, usage) = mpsc::unbounded_channel();
        self.log = None;
        self.skew_told = false;
        self.live = Some(LiveSource::start(&link.connection, &LiveOptions { usage: Some(told), ..LiveOptions::default() }, &tx));
        self.usage = Some(Task(tokio::spawn(forward_usage(usage, self.reports.clone()))));
        self.deltas = Some(rx);
        let source = if link.practice.is_some() { "practice" } else { "live" };
        let info = ConnectedInfo {
            context: link.identity.name.clone(),
            namespaces: link.connection.namespaces.clone(),
            read_only: self.read_only,
            source,
            acting_as: self.user.impersonate.clone().filter(|_| link.practice.is_none()),
        };
        self.link = Some(link);
        Msg::Connected(Ok(info))
    }

    /// The next batch of facts; never ready without a connection.
    pub async fn next_deltas(&mut self) -> Vec<Delta> {
        loop {
            match &mut self.deltas {
                Some(deltas) => match deltas.recv().await {
                    Some(batch) => return batch,
                    None => self.deltas = None,
                },
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// Adds what else is queued to `batch`, up to about `most`, and puts it on the cluster's clock.
    pub fn drain(&mut self, batch: &mut Vec<Delta>, most: usize) {
        while batch.len() < most {
            let Some(Ok(more)) = self.deltas.as_mut().map(mpsc::Receiver::try_recv) else { break };
            batch.extend(more);
        }
        if self.practice().is_some() {
            let now = self.now();
            for delta in batch {
                restamp(delta, now);
            }
        }
    }

    /// Fetches evidence for the diagnosis.
    pub fn request(&self, request: EvidenceRequest) {
        if let Some(live) = &self.live {
            live.request(request);
        }
    }

    /// Says which nodes are measured first, where not all can be.
    pub fn prefer_nodes(&self, nodes: Vec<Text>) {
        if let Some(live) = &self.live {
            live.prefer_nodes(nodes);
        }
    }

    /// Streams a log, merged with those of other containers of the pod; the stream before it ends.
    pub fn follow_log(&mut self, stream: u64, spec: LogSpec, also: Vec<Text>) {
        self.log = None;
        if let Some(store) = self.bundle.clone() {
            self.log = Some(Task(tokio::spawn(super::bundle::log(store, stream, (spec, also), self.reports.clone()))));
            return;
        }
        let Some(connection) = self.connection().cloned() else { return };
        let others: Vec<LogSpec> = also.into_iter().map(|container| LogSpec { container, ..spec.clone() }).collect();
        let specs = std::iter::once(spec).chain(others).collect();
        self.log = Some(Task(tokio::spawn(follow(connection, stream, specs, self.reports.clone()))));
    }

    /// Ends the log stream.
    pub fn stop_log(&mut self) {
        self.log = None;
    }
}

/// Signs of life carry our own time; under a fast practice clock that would look old.
fn restamp(delta: &mut Delta, now: Time) {
    match delta {
        Delta::Heard { at, .. } | Delta::Listed { at, .. } => *at = now,
        Delta::Failing { since, .. } => *since = now,
        _ => {}
    }
}

async fn connect_until_it_works(target: Target, attempt: u64, reports: mpsc::Sender<Report>) {
    let last = RETRY.last().copied().unwrap_or_default();
    for wait in RETRY.into_iter().chain(std::iter::repeat(last)) {
        let result = link(&target, &reports).await;
        let ends = matches!(result, Ok(_) | Err(Error::NoKubeconfig { .. }));
        let is_away = matches!(result, Err(Error::Unreachable { .. } | Error::TimedOut { .. }));
        let wait = if is_away { wait.min(RETRY_SERVER) } else { wait };
        if reports.send(Report::Linked { attempt, result: result.map(Box::new) }).await.is_err() || ends {
            return;
        }
        tokio::time::sleep(wait).await;
    }
}

async fn link(target: &Target, reports: &mpsc::Sender<Report>) -> Result<Link, Error> {
    let (options, practice) = match target {
        Target::Bundle(path) => {
            let why = format!("{} is a bundle", path.display());
            return Err(Error::BadContext { context: "bundle".to_owned(), why });
        }
        Target::Cluster(options) => (options.clone(), None),
        Target::Practice(options) => {
            let practice = start_practice(options.clone()).await?;
            (practice.connect_options(), Some(practice))
        }
    };
    let (says, said) = mpsc::unbounded_channel();
    tokio::spawn(forward_words(said, reports.clone()));
    let connection = connect_hearing(&options, Some(says)).await?;
    let identity = connection.identify().await?;
    Ok(Link { connection, identity, practice })
}

/// Ends with the connection whose plugin speaks.
async fn forward_words(mut said: mpsc::UnboundedReceiver<String>, reports: mpsc::Sender<Report>) {
    while let Some(line) = said.recv().await {
        if reports.send(Msg::PluginSays(line).into()).await.is_err() {
            return;
        }
    }
}

async fn start_practice(options: practice::Options) -> Result<Practice, Error> {
    let cannot = |why: String| Error::BadContext { context: "practice".to_owned(), why };
    match tokio::task::spawn_blocking(move || Practice::start(&options)).await {
        Ok(Ok(practice)) => Ok(practice),
        Ok(Err(error)) => Err(cannot(format!("{error:#}"))),
        Err(error) => Err(cannot(error.to_string())),
    }
}

async fn forward_usage(mut usage: mpsc::UnboundedReceiver<Result<String, String>>, reports: mpsc::Sender<Report>) {
    while let Some(source) = usage.recv().await {
        if reports.send(Msg::MetricsSource(source).into()).await.is_err() {
            return;
        }
    }
}

/// Streams all logs at once. The end is told when the last of them has ended.
async fn follow(connection: Connection, stream: u64, specs: Vec<LogSpec>, reports: mpsc::Sender<Report>) {
    let open = std::sync::atomic::AtomicUsize::new(specs.len());
    let (open, connection, reports) = (&open, &connection, &reports);
    let one = |spec: LogSpec| async move {
        let (tx, mut rx) = mpsc::channel::<LogBatch>(LOG_BATCHES);
        let forward = async {
            while let Some(mut batch) = rx.recv().await {
                if batch.ended.is_some() {
                    let left = open.fetch_sub(1, Ordering::Relaxed) - 1;
                    batch.ended = batch.ended.filter(|_| left == 0);
                }
                if reports.send(Msg::Log { stream, batch }.into()).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(logs::follow(connection.clone(), spec, tx), forward);
    };
    futures::future::join_all(specs.into_iter().map(one)).await;
}
