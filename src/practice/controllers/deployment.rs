//! The deployment controller: one ReplicaSet a template, a revision number each, and a rollout from the old to the new.
//!
//! Mirrors kube-controller-manager's order of work: find or create the new ReplicaSet, move replicas within surge and
//! unavailability, then write the status with the reason a person reads. A template that equals an old ReplicaSet's reuses it
//! under a new revision number: that is what an undo is.

mod conditions;
mod numbers;
mod revisions;
mod rollout;

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{DEPLOYMENTS, PODS, REPLICA_SETS, ResourceType};
use super::super::store::{Operation, Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const SOURCE: Source<'static> = Source { component: "deployment-controller", host: "" };

/// kube-controller-manager writing specs and metadata.
const WRITER: Writer<'static> = Writer { manager: "kube-controller-manager", operation: Operation::Update, subresource: None };

/// kube-controller-manager writing a status.
const STATUS_WRITER: Writer<'static> =
    Writer { manager: "kube-controller-manager", operation: Operation::Update, subresource: Some("status") };

/// See the module.
pub struct DeploymentController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
}

/// A deployment with its `ReplicaSets` as of this reconcile.
struct Rollout {
    deployment: Arc<Value>,
    new: Option<Arc<Value>>,
    /// Every other `ReplicaSet`, oldest first.
    old: Vec<Arc<Value>>,
}

impl Rollout {
    fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.old.iter().chain(self.new.as_ref())
    }
}

impl DeploymentController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder }
    }

    /// The deployment and its `ReplicaSets`, sorted into new and old.
    fn observe(&self, key: &Key) -> Option<Rollout> {
        let deployment = self.store.get(&DEPLOYMENTS, &key.0, &key.1)?;
        let owned = |set: &Arc<Value>| object::controller_uid(set) == object::uid(&deployment);
        let mut sets: Vec<_> = self.store.list(&REPLICA_SETS, Some(&key.0)).into_iter().filter(owned).collect();
        sets.sort_by_key(|set| (object::text(set, "/metadata/creationTimestamp").to_owned(), object::name(set).to_owned()));
        let new = revisions::matching(&deployment, &sets);
        let old = sets.into_iter().filter(|set| new.as_ref().is_none_or(|new| object::uid(new) != object::uid(set))).collect();
        Some(Rollout { deployment, new, old })
    }

    /// A `ReplicaSet` as it is now, after an earlier write of this reconcile.
    fn current(&self, set: &Value) -> Option<Arc<Value>> {
        self.store.get(&REPLICA_SETS, object::namespace(set), object::name(set))
    }

    /// Sets a `ReplicaSet`'s size with its bookkeeping annotations and says so in an event.
    fn scale(&self, deployment: &Value, set: &Value, size: i64) {
        let from = numbers::size(set);
        let desired = numbers::size(deployment);
        let changed = self.store.modify(&REPLICA_SETS, object::namespace(set), object::name(set), WRITER, |set| {
            object::put(set, &["spec", "replicas"], json!(size));
            revisions::annotate_sizes(set, desired, numbers::surge(deployment));
        });
        if changed.is_ok() && from != size {
            let direction = if size > from { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {} from {from} to {size}", object::name(set));
            self.recorder.record(SOURCE, deployment, Said::normal("ScalingReplicaSet", &message));
        }
    }
}

impl Controller for DeploymentController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&DEPLOYMENTS, &REPLICA_SETS, &PODS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        if change.resource.kind == "Deployment" {
            return vec![(namespace, object::name(&change.object).to_owned())];
        }
        let owner = object::controller(&change.object);
        match (change.resource.kind, owner) {
            ("ReplicaSet", Some(owner)) if object::text(owner, "/kind") == "Deployment" => {
                vec![(namespace, object::text(owner, "/name").to_owned())]
            }
            // A Recreate rollout waits for pods to be gone, which no ReplicaSet status tells.
            ("Pod", Some(owner)) if change.is_deleted() && object::text(owner, "/kind") == "ReplicaSet" => self
                .store
                .get(&REPLICA_SETS, &namespace, object::text(owner, "/name"))
                .and_then(|set| object::controller(&set).map(|owner| object::text(owner, "/name").to_owned()))
                .map(|name| vec![(namespace, name)])
                .unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let rollout = self.observe(key)?;
        if object::is_deleting(&rollout.deployment) {
            return conditions::write_status(self, &rollout, None);
        }
        let paused = object::at(&rollout.deployment, "/spec/paused") == &json!(true);
        if conditions::note_pause(self, &rollout, paused) {
            return Some(Duration::ZERO);
        }
        let before = object::at(&rollout.deployment, "/status").clone();
        if paused {
            rollout::scale_in_proportion(self, &rollout);
        } else if rollout::needs_scaling(&rollout) {
            revisions::renew(self, &rollout);
            rollout::scale_in_proportion(self, &rollout);
        } else {
            if revisions::ensure_new(self, &rollout) {
                return Some(Duration::ZERO);
            }
            match object::text(&rollout.deployment, "/spec/strategy/type") {
                "Recreate" => rollout::recreate(self, &rollout),
                _ => rollout::roll(self, &rollout),
            }
        }
        let after = self.observe(key)?;
        let wake = conditions::write_status(self, &after, Some(&before));
        revisions::prune(self, &after);
        wake
    }
}
