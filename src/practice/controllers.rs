//! The controllers of the practice cluster, and the loop that drives them.
//!
//! Every controller is level-triggered: a change only names a key, and `reconcile` reads the present state from the store.
//! Invariant: a reconcile never waits; what must happen later is asked for by the duration it returns. Nothing polls.
//! To add one: a file in `controllers/`, `impl Controller`, one line in `simulation::start`.

pub mod autoscaler;
pub mod certificate_signing;
pub mod cron_job;
pub mod daemon_set;
pub mod deployment;
pub mod disruption;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event_expiry;
pub mod garbage_collector;
pub mod ip_address;
pub mod job;
pub mod namespace;
pub mod node_lifecycle;
mod owned;
pub mod persistent_volume;
pub mod replica_set;
pub mod resource_quota;
pub mod stateful_set;

use super::clock::Clock;
use super::resources::ResourceType;
use super::store::{ChangeKind, Store};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::select_all;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// Namespace (empty for cluster-scoped) and name.
pub type Key = (String, String);

/// How long a controller sleeps when nothing is due; only a bound, changes wake it at once.
const IDLE: Duration = Duration::from_secs(3600);

/// A change, or an object that was there before the controller.
pub struct Change {
    /// Its type.
    pub resource: &'static ResourceType,
    /// The object after the change, or its last state.
    pub object: Arc<Value>,
    /// The object before it was modified.
    pub previous: Option<Arc<Value>>,
    kind: ChangeKind,
}

impl Change {
    /// Whether the object is gone.
    pub fn is_deleted(&self) -> bool {
        self.kind == ChangeKind::Deleted
    }

    /// Whether the object is new to the controller.
    pub fn is_added(&self) -> bool {
        self.kind == ChangeKind::Added
    }
}

/// One control loop.
pub trait Controller: Send + 'static {
    /// The kinds whose changes can matter. All their present objects are reported once at the start.
    fn watches(&self) -> Vec<&'static ResourceType>;

    /// The keys a change may concern.
    fn keys(&mut self, change: &Change) -> Vec<Key>;

    /// Brings one key closer to what it should be; `Some(after)` to be called again then.
    fn reconcile(&mut self, key: &Key) -> Option<Duration>;
}

/// Keys by the time they are due; the earliest time asked for wins.
#[derive(Default)]
struct Queue {
    by_time: BTreeSet<(DateTime<Utc>, Key)>,
    by_key: BTreeMap<Key, DateTime<Utc>>,
}

impl Queue {
    fn add(&mut self, key: Key, due: DateTime<Utc>) {
        if let Some(present) = self.by_key.get(&key) {
            if *present <= due {
                return;
            }
            self.by_time.remove(&(*present, key.clone()));
        }
        self.by_key.insert(key.clone(), due);
        self.by_time.insert((due, key));
    }

    fn next_due(&self) -> Option<DateTime<Utc>> {
        self.by_time.first().map(|(due, _)| *due)
    }

    fn pop(&mut self, now: DateTime<Utc>) -> Option<Key> {
        if self.next_due()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }
}

/// How long refused creations wait before they are tried again: 5 ms doubled each time, at most 1000 s, as client-go's queues do.
#[derive(Default)]
pub struct Retries(BTreeMap<Key, (u32, DateTime<Utc>)>);

impl Retries {
    /// What is left to wait for a key; none when it may be tried.
    pub fn wait(&self, key: &Key, now: DateTime<Utc>) -> Option<Duration> {
        let (_, due) = self.0.get(key)?;
        (*due - now).to_std().ok().filter(|wait| !wait.is_zero())
    }

    /// A refusal: answers how long to wait.
    pub fn refused(&mut self, key: &Key, now: DateTime<Utc>) -> Duration {
        let (times, due) = self.0.entry(key.clone()).or_insert((0, now));
        let wait = Duration::from_millis(5_u64 << (*times).min(18)).min(Duration::from_secs(1000));
        *times += 1;
        *due = now + wait;
        wait
    }

    /// It worked.
    pub fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

/// Runs a controller until its task is aborted.
pub async fn drive(mut controller: impl Controller, store: Store, clock: Clock) {
    let mut changes =
        select_all(controller.watches().into_iter().map(|kind| UnboundedReceiverStream::new(store.subscribe(kind))));
    let mut queue = Queue::default();
    for kind in controller.watches() {
        for object in store.list(kind, None) {
            note(
                &mut controller,
                &mut queue,
                &clock,
                &Change { resource: kind, object, previous: None, kind: ChangeKind::Added },
            );
        }
    }
    loop {
        let now = clock.now();
        let mut served = 0_u32;
        while let Some(key) = queue.pop(now) {
            if let Some(after) = controller.reconcile(&key) {
                queue.add(key, clock.now() + after);
            }
            served += 1;
            if served.is_multiple_of(64) {
                tokio::task::yield_now().await;
            }
        }
        let wait = queue.next_due().map_or(IDLE, |due| (due - clock.now()).to_std().unwrap_or_default());
        tokio::select! {
            change = changes.next() => match change {
                Some(change) => note(&mut controller, &mut queue, &clock, &seen(&change)),
                None => return,
            },
            () = clock.sleep(wait) => {}
        }
        // Everything that has arrived is noted before anything is served: one reconcile then covers a burst.
        while let Some(Some(change)) = futures::FutureExt::now_or_never(changes.next()) {
            note(&mut controller, &mut queue, &clock, &seen(&change));
        }
    }
}

fn seen(change: &super::store::Change) -> Change {
    Change { resource: change.resource, object: change.object.clone(), previous: change.previous.clone(), kind: change.kind }
}

fn note(controller: &mut impl Controller, queue: &mut Queue, clock: &Clock, change: &Change) {
    for key in controller.keys(change) {
        queue.add(key, clock.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_time_asked_for_a_key_wins() {
        let mut queue = Queue::default();
        let key: Key = ("ns".into(), "a".into());
        let start = DateTime::<Utc>::UNIX_EPOCH;
        queue.add(key.clone(), start + Duration::from_secs(10));
        queue.add(key.clone(), start + Duration::from_secs(2));
        queue.add(key.clone(), start + Duration::from_secs(30));
        assert_eq!(queue.next_due(), Some(start + Duration::from_secs(2)));
        assert_eq!(queue.pop(start), None);
        assert_eq!(queue.pop(start + Duration::from_secs(2)), Some(key));
        assert_eq!(queue.next_due(), None);
    }
}
