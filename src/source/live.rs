//! A live cluster as a source: watches, evidence on request, usage, identity. Dropping the handle ends all of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::cluster::watch::Deltas;
use crate::cluster::{Connection, logs, metrics};
use crate::diagnosis::finding::EvidenceRequest;
use crate::kinds::KindId;
use crate::snapshot::{Delta, Key};
use crate::text::Text;

mod collect;

pub use collect::{Collected, collect};

/// Evidence fetched at once.
const FETCHES: usize = 4;
/// How long to wait before asking again who the server is.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Where usage comes from (`metrics-server`, `kubelet`), or why there is none.
pub type UsageSource = Result<String, String>;

/// What a live source watches.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// Kinds to watch.
    pub kinds: &'static [KindId],
    /// Told whenever the source of usage, or the reason why there is none, changes. `None`: usage is not polled.
    pub usage: Option<mpsc::UnboundedSender<UsageSource>>,
}

impl Default for LiveOptions {
    /// Every kind, without usage.
    fn default() -> Self {
        Self { kinds: KindId::ALL, usage: None }
    }
}

/// A running live source.
#[derive(Debug)]
pub struct LiveSource {
    tasks: JoinSet<()>,
    requests: mpsc::UnboundedSender<EvidenceRequest>,
    preferred: watch::Sender<Vec<Text>>,
}

impl LiveSource {
    /// Starts watching. Deltas arrive at `tx` in batches; a slow reader slows the watches down, it loses nothing.
    pub fn start(connection: &Connection, options: &LiveOptions, tx: &Deltas) -> Self {
        let mut tasks = JoinSet::new();
        let (requests, wanted) = mpsc::unbounded_channel();
        let (preferred, nodes) = watch::channel(Vec::new());
        crate::cluster::watch::spawn(connection, options.kinds, tx, &mut tasks);
        tasks.spawn(connection.clone().listen_to_the_heart());
        tasks.spawn(identify(connection.clone(), tx.clone()));
        tasks.spawn(fetch_evidence(connection.clone(), wanted, tx.clone()));
        if let Some(told) = &options.usage {
            tasks.spawn(metrics::poll(connection.clone(), tx.clone(), told.clone(), nodes));
        }
        Self { tasks, requests, preferred }
    }

    /// Fetches evidence; the answer is a [`Delta::Log`]. Asking again for what is under way does nothing.
    pub fn request(&self, request: EvidenceRequest) {
        let _ = self.requests.send(request);
    }

    /// Says which nodes matter most just now, best first: of a large cluster without metrics-server only some are measured.
    pub fn prefer_nodes(&self, nodes: Vec<Text>) {
        self.preferred.send_if_modified(|known| {
            let differs = *known != nodes;
            *known = nodes;
            differs
        });
    }

    /// How many tasks run, for tests.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }
}

/// Tells what the cluster calls itself, as soon as it can be asked.
async fn identify(connection: Connection, tx: Deltas) {
    loop {
        match connection.identify().await {
            Ok(identity) => {
                let _ = tx.send(vec![Delta::Identity(identity)]).await;
                return;
            }
            Err(_) if tx.is_closed() => return,
            Err(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

async fn fetch_evidence(connection: Connection, mut wanted: mpsc::UnboundedReceiver<EvidenceRequest>, tx: Deltas) {
    let slots = Arc::new(Semaphore::new(FETCHES));
    let mut under_way: HashSet<EvidenceRequest> = HashSet::new();
    let mut fetches: JoinSet<EvidenceRequest> = JoinSet::new();
    loop {
        tokio::select! {
            request = wanted.recv() => {
                let Some(request) = request else { return };
                if under_way.insert(request.clone()) {
                    fetches.spawn(fetch(connection.clone(), request, tx.clone(), Arc::clone(&slots)));
                }
            }
            Some(done) = fetches.join_next() => {
                if let Ok(request) = done {
                    under_way.remove(&request);
                }
            }
        }
    }
}

async fn fetch(connection: Connection, request: EvidenceRequest, tx: Deltas, slots: Arc<Semaphore>) -> EvidenceRequest {
    let _slot = slots.acquire().await;
    match &request {
        EvidenceRequest::Log { key, restart_count } | EvidenceRequest::Sample { key, restart_count, .. } => {
            let excerpt = logs::excerpt(&connection, key, *restart_count).await;
            let _ = tx.send(vec![Delta::Log { key: key.clone(), excerpt }]).await;
        }
        EvidenceRequest::Throttling { namespace, pod, node, .. } => {
            // Without the right to read the kubelet's metrics there is nothing to tell: an empty answer ends the wait.
            let samples = metrics::throttling(&connection, node, namespace, pod).await.unwrap_or_default();
            let _ = tx.send(vec![Delta::Throttling { samples, at: chrono::Utc::now() }]).await;
        }
        EvidenceRequest::Config { namespace, name, .. } => {
            let key = Key { namespace: namespace.clone(), name: name.clone() };
            let content = match connection.config_values(namespace, name).await {
                Ok(content) => Some(content),
                Err(error) if error.is_forbidden() => None,
                // Gone meanwhile, or not reachable: its next write is asked for again.
                Err(_) => return request,
            };
            let _ = tx.send(vec![Delta::Config { key, content }]).await;
        }
    }
    request
}
