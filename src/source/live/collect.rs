//! One look at a live cluster, for headless reports: everything listed once, the evidence rules ask for fetched.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{LiveOptions, LiveSource};
use crate::cluster::Connection;
use crate::diagnosis::engine::Engine;
use crate::diagnosis::finding::EvidenceRequest;
use crate::kinds::KindId;
use crate::snapshot::{Changed, CoverageState, Delta, LogKey, Snapshot};

/// Batches in flight.
const QUEUE: usize = 64;
/// Nothing new for this long after everything has settled: done.
const QUIET: Duration = Duration::from_millis(300);
/// Everything has settled, but changes keep coming: done after this long all the same.
const MOMENT: Duration = Duration::from_secs(1);
/// How often the rules may ask for more: a container that restarts all the time would have them ask for ever.
const ROUNDS: usize = 4;
/// A kind that fails at once gets this long to recover.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one look found.
#[derive(Debug)]
pub struct Collected {
    /// The cluster.
    pub snapshot: Snapshot,
    /// The engine that has seen all of it.
    pub engine: Engine,
}

/// Lists every kind once, runs the engine, serves its evidence requests until it asks for nothing more, or until `limit`.
///
/// What was denied, fails or did not arrive in time is in the snapshot's coverage; nothing here is fatal. Call
/// [`Connection::identify`] first to tell a wrong address or expired credentials from an empty cluster.
pub async fn collect(connection: &Connection, limit: Duration) -> Collected {
    let (tx, mut rx) = mpsc::channel(QUEUE);
    let (told, _usage) = mpsc::unbounded_channel();
    let source = LiveSource::start(connection, &LiveOptions { usage: Some(told), ..LiveOptions::default() }, &tx);
    let mut look =
        Look { snapshot: Snapshot::default(), changed: Vec::new(), logs: HashSet::new(), answers: 0, started: Instant::now() };
    let deadline = look.started + limit;
    look.list_everything(&mut rx, deadline).await;
    let mut engine = Engine::default();
    for _ in 0..ROUNDS {
        engine.update(&look.snapshot, &std::mem::take(&mut look.changed), connection.now());
        let requests = engine.take_requests();
        if requests.is_empty() || Instant::now() >= deadline {
            break;
        }
        look.fetch(requests, &source, &mut rx, deadline).await;
    }
    engine.update(&look.snapshot, &std::mem::take(&mut look.changed), connection.now());
    Collected { snapshot: look.snapshot, engine }
}

struct Look {
    snapshot: Snapshot,
    changed: Vec<Changed>,
    /// Logs asked for and not yet here.
    logs: HashSet<LogKey>,
    /// Other answers that are still to come.
    answers: usize,
    started: Instant,
}

impl Look {
    async fn list_everything(&mut self, rx: &mut mpsc::Receiver<Vec<Delta>>, deadline: Instant) {
        let mut settled: Option<Instant> = None;
        loop {
            if settled.is_none() && self.is_settled() {
                settled = Some(Instant::now());
            }
            // A busy cluster is never quiet: what changes after everything was listed is waited for a moment, not for ever.
            let wait = match settled {
                Some(at) => (Instant::now() + QUIET).min(at + MOMENT),
                None => Instant::now() + PATIENCE,
            };
            match timeout_at(wait.min(deadline), rx.recv()).await {
                Ok(Some(batch)) => self.take(batch),
                Ok(None) => return,
                Err(_) if settled.is_some() || Instant::now() >= deadline => return,
                Err(_) => {}
            }
            if settled.is_some_and(|at| at.elapsed() >= MOMENT) {
                return;
            }
        }
    }

    async fn fetch(
        &mut self,
        requests: Vec<EvidenceRequest>,
        source: &LiveSource,
        rx: &mut mpsc::Receiver<Vec<Delta>>,
        deadline: Instant,
    ) {
        for request in requests {
            match &request {
                EvidenceRequest::Log { key, .. } | EvidenceRequest::Sample { key, .. } => {
                    self.logs.insert(key.clone());
                }
                EvidenceRequest::Throttling { .. } => self.answers += 1,
                // One look sees no write.
                EvidenceRequest::Config { .. } => continue,
            }
            source.request(request);
        }
        while !self.logs.is_empty() || self.answers > 0 {
            let Ok(Some(batch)) = timeout_at(deadline, rx.recv()).await else { return };
            self.take(batch);
        }
    }

    fn take(&mut self, batch: Vec<Delta>) {
        for delta in batch {
            match &delta {
                Delta::Log { key, .. } => {
                    self.logs.remove(key);
                }
                Delta::Throttling { .. } => self.answers = self.answers.saturating_sub(1),
                _ => {}
            }
            self.changed.extend(self.snapshot.apply(delta));
        }
    }

    /// True when every kind has an answer of some sort; failures get some patience first.
    fn is_settled(&self) -> bool {
        let patient = self.started.elapsed() < PATIENCE;
        let coverage = &self.snapshot.coverage;
        KindId::ALL.iter().all(|kind| coverage.of_kind(*kind).next().is_some())
            && coverage.iter().all(|(_, _, state)| match state {
                CoverageState::Syncing { .. } => false,
                CoverageState::Failing { last_heard, .. } => last_heard.is_some() || !patient,
                CoverageState::Synced { .. } | CoverageState::Denied { .. } => true,
            })
    }
}
