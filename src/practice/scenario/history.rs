//! Laying down the past: each entry's writes are dated, and the real controllers run at that moment until nothing changes.
//!
//! So the ReplicaSets, revisions, conditions and managedFields of history are the controllers' own work, only their events are
//! left out (an hour has passed). Pods become ready at once; the kubelet model takes them up afterwards.

use super::super::clock::Clock;
use super::super::controllers::daemon_set::DaemonSetController;
use super::super::controllers::deployment::DeploymentController;
use super::super::controllers::endpoint_slice::EndpointSliceController;
use super::super::controllers::namespace::NamespaceController;
use super::super::controllers::persistent_volume::PersistentVolumeController;
use super::super::controllers::replica_set::ReplicaSetController;
use super::super::controllers::stateful_set::StatefulSetController;
use super::super::controllers::{Controller, Key};
use super::super::object;
use super::super::recorder::Recorder;
use super::super::resources::{
    DAEMON_SETS, DEPLOYMENTS, NAMESPACES, PERSISTENT_VOLUME_CLAIMS, PODS, REPLICA_SETS, ResourceType, SERVICES, STATEFUL_SETS,
};
use super::super::scheduler::Scheduler;
use super::super::store::{Store, Writer};
use super::{Scenario, seconds, step};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

/// A bound on the rounds of one entry; a rollout of a dozen pods takes about ten.
const ROUNDS: usize = 60;

/// Plays the history of a scenario.
pub fn lay(store: &Store, scenario: &Scenario) {
    let now = store.clock().now();
    let mut entries: Vec<&Value> = scenario.history().iter().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(seconds(entry.get("ago"))));
    for entry in entries {
        let moment = now - chrono::Duration::seconds(seconds(entry.get("ago")));
        let then = store.dated(moment);
        step::write(entry, &then);
        settle_at(store, moment);
    }
}

/// Brings EndpointSlices in line once pods have their addresses; each is as old as its Service.
pub fn settle(store: &Store) {
    for service in store.list(&SERVICES, None) {
        let born = object::time(&service, "/metadata/creationTimestamp").unwrap_or_else(|| store.clock().now());
        let then = store.dated(born + chrono::Duration::seconds(1));
        EndpointSliceController::new(then.clone(), then.clock().clone()).reconcile(&key(&service));
    }
}

fn settle_at(store: &Store, moment: DateTime<Utc>) {
    let mut later = moment;
    for _ in 0..ROUNDS {
        later += chrono::Duration::seconds(1);
        let then = store.dated(later);
        let clock: Clock = then.clock().clone();
        let recorder = Recorder::silent(then.clone());
        let before = then.version();
        reconcile(&NAMESPACES, &then, &mut NamespaceController::new(then.clone(), clock.clone()));
        reconcile(&DEPLOYMENTS, &then, &mut DeploymentController::new(then.clone(), clock.clone(), recorder.clone()));
        reconcile(&REPLICA_SETS, &then, &mut ReplicaSetController::new(then.clone(), clock.clone(), recorder.clone()));
        reconcile(&STATEFUL_SETS, &then, &mut StatefulSetController::new(then.clone(), clock.clone(), recorder.clone()));
        reconcile(&DAEMON_SETS, &then, &mut DaemonSetController::new(then.clone(), clock.clone(), recorder.clone()));
        let mut volumes = PersistentVolumeController::new(then.clone(), clock.clone(), recorder.clone());
        reconcile(&PERSISTENT_VOLUME_CLAIMS, &then, &mut volumes);
        reconcile(&PODS, &then, &mut Scheduler::new(then.clone(), clock, recorder));
        run_pods(&then, later);
        if then.version() == before {
            return;
        }
    }
}

fn reconcile(kind: &'static ResourceType, store: &Store, controller: &mut impl Controller) {
    for object in store.list(kind, None) {
        controller.reconcile(&key(&object));
    }
}

/// Every assigned pod is running and ready; every deleted one is gone.
fn run_pods(store: &Store, now: DateTime<Utc>) {
    for pod in store.list(&PODS, None) {
        let (namespace, name) = (object::namespace(&pod), object::name(&pod));
        if object::is_deleting(&pod) {
            let _ = store.delete(&PODS, namespace, name, Some(0));
        } else if !object::text(&pod, "/spec/nodeName").is_empty() && object::text(&pod, "/status/startTime").is_empty() {
            let stamp = object::stamp(now);
            let _ = store.modify(&PODS, namespace, name, Writer::status("kubelet"), |pod| {
                let mut conditions = object::items(pod, "/status/conditions").to_vec();
                conditions.push(json!({"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": stamp}));
                object::put(pod, &["status", "conditions"], json!(conditions));
                object::put(pod, &["status", "phase"], json!("Running"));
                object::put(pod, &["status", "startTime"], json!(stamp));
            });
        }
    }
}

fn key(object: &Arc<Value>) -> Key {
    (object::namespace(object).to_owned(), object::name(object).to_owned())
}
