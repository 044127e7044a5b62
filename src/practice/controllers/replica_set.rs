//! The ReplicaSet controller: as many active pods as wanted, the least useful ones deleted first.

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{PODS, REPLICA_SETS, ResourceType};
use super::super::store::{Operation, Store, Writer};
use super::{Change, Controller, Key, Retries};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

const SOURCE: Source<'static> = Source { component: "replicaset-controller", host: "" };
const WRITER: Writer<'static> = Writer { manager: "kube-controller-manager", operation: Operation::Update, subresource: None };
const STATUS_WRITER: Writer<'static> =
    Writer { manager: "kube-controller-manager", operation: Operation::Update, subresource: Some("status") };
/// See the module.
pub struct ReplicaSetController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
    retries: Retries,
}

impl ReplicaSetController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder, retries: Retries::default() }
    }

    fn sets_that_select(&self, pod: &Value) -> Vec<Key> {
        let selects = |set: &Arc<Value>| object::selects(object::at(set, "/spec/selector"), object::at(pod, "/metadata/labels"));
        let sets = self.store.list(&REPLICA_SETS, Some(object::namespace(pod))).into_iter().filter(selects);
        sets.map(|set| (object::namespace(&set).to_owned(), object::name(&set).to_owned())).collect()
    }

    fn pods_of(&self, set: &Value) -> Vec<Arc<Value>> {
        let owned = |pod: &Arc<Value>| object::controller_uid(pod) == object::uid(set);
        self.store.list(&PODS, Some(object::namespace(set))).into_iter().filter(owned).collect()
    }

    /// Lets go of owned pods whose labels were changed away, and adopts ownerless ones that match.
    fn claim(&self, set: &Value) {
        for pod in self.store.list(&PODS, Some(object::namespace(set))) {
            let fits = object::selects(object::at(set, "/spec/selector"), object::at(&pod, "/metadata/labels"));
            let owner = object::controller_uid(&pod);
            let release = owner == object::uid(set) && !fits;
            let adopt = owner.is_empty() && fits && object::is_active_pod(&pod);
            if !release && !adopt {
                continue;
            }
            let _ = self.store.modify(&PODS, object::namespace(&pod), object::name(&pod), WRITER, |pod| {
                let mut owners = object::items(pod, "/metadata/ownerReferences").to_vec();
                owners.retain(|reference| object::text(reference, "/uid") != object::uid(set));
                if adopt {
                    owners.push(object::owner_reference(set, "apps/v1", "ReplicaSet"));
                }
                object::put(pod, &["metadata", "ownerReferences"], json!(owners));
            });
        }
    }

    /// Creates missing pods; the error of a refusal.
    fn grow(&self, set: &Value, missing: usize) -> Result<(), String> {
        for _ in 0..missing {
            match self.store.create(&PODS, pod_of(set), WRITER) {
                Ok(pod) => {
                    let message = format!("Created pod: {}", object::name(&pod));
                    self.recorder.record(SOURCE, set, Said::normal("SuccessfulCreate", &message));
                }
                Err(refusal) => {
                    let message = format!("Error creating: {}", refusal.message);
                    self.recorder.record(SOURCE, set, Said::warning("FailedCreate", &message));
                    return Err(refusal.message);
                }
            }
        }
        Ok(())
    }

    fn shrink(&self, set: &Value, mut active: Vec<Arc<Value>>, surplus: usize) {
        let crowding: Vec<String> = active.iter().map(|pod| object::text(pod, "/spec/nodeName").to_owned()).collect();
        active.sort_by_cached_key(|pod| {
            let node = object::text(pod, "/spec/nodeName");
            (usefulness(pod), Reverse(crowding.iter().filter(|other| *other == node).count()), age_rank(pod))
        });
        for pod in active.iter().take(surplus) {
            if self.store.delete(&PODS, object::namespace(pod), object::name(pod), None).is_ok() {
                let message = format!("Deleted pod: {}", object::name(pod));
                self.recorder.record(SOURCE, set, Said::normal("SuccessfulDelete", &message));
            }
        }
    }

    fn write_status(&self, set: &Value, refusal: Option<&str>) -> Option<Duration> {
        let now = self.clock.now();
        let pods = self.pods_of(set);
        let minimum = object::int(set, "/spec/minReadySeconds").unwrap_or(0);
        let active: Vec<_> = pods.iter().filter(|pod| object::is_active_pod(pod)).collect();
        let ready: Vec<_> = active.iter().filter(|pod| object::condition_is_true(pod, "Ready")).collect();
        let waits: Vec<i64> = ready.iter().map(|pod| minimum - ready_seconds(pod, now)).filter(|wait| *wait > 0).collect();
        let terminating = pods.iter().filter(|pod| object::is_deleting(pod) && !object::is_finished_pod(pod)).count();
        let labels = object::at(set, "/spec/template/metadata/labels");
        let labelled =
            active.iter().filter(|pod| object::selects(&json!({"matchLabels": labels}), object::at(pod, "/metadata/labels")));
        let mut status = json!({
            "observedGeneration": object::at(set, "/metadata/generation"),
            "replicas": active.len(), "terminatingReplicas": terminating,
        });
        for (field, count) in [
            ("fullyLabeledReplicas", labelled.count()),
            ("readyReplicas", ready.len()),
            ("availableReplicas", ready.len() - waits.len()),
        ] {
            if count > 0 {
                object::put(&mut status, &[field], json!(count));
            }
        }
        if let Some(message) = refusal {
            // The first refusal stands: a condition of the same status and reason is not written again.
            let condition = object::condition(set, "ReplicaFailure").cloned().unwrap_or_else(|| {
                json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message, "lastTransitionTime": object::stamp(now)})
            });
            object::put(&mut status, &["conditions"], json!([condition]));
        }
        let _ = self.store.modify(&REPLICA_SETS, object::namespace(set), object::name(set), STATUS_WRITER, |set| {
            object::put(set, &["status"], status);
        });
        waits.into_iter().min().map(|seconds| Duration::from_secs(seconds.max(1) as u64))
    }
}

impl Controller for ReplicaSetController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&REPLICA_SETS, &PODS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        if change.resource.kind == "ReplicaSet" {
            return vec![(namespace, object::name(&change.object).to_owned())];
        }
        let controller = object::controller(&change.object);
        if controller.is_none() && change.is_added() {
            return self.sets_that_select(&change.object);
        }
        controller
            .filter(|owner| object::text(owner, "/kind") == "ReplicaSet")
            .map(|owner| vec![(namespace, object::text(owner, "/name").to_owned())])
            .unwrap_or_default()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let set = self.store.get(&REPLICA_SETS, &key.0, &key.1)?;
        if object::is_deleting(&set) {
            return self.write_status(&set, None);
        }
        self.claim(&set);
        let active: Vec<_> = self.pods_of(&set).into_iter().filter(|pod| object::is_active_pod(pod)).collect();
        let wanted = object::int(&set, "/spec/replicas").unwrap_or(1).max(0) as usize;
        let now = self.clock.now();
        let mut refusal = None;
        let mut again = None;
        if active.len() < wanted {
            again = self.retries.wait(key, now);
            refusal = if again.is_some() { Some(String::new()) } else { self.grow(&set, wanted - active.len()).err() };
            if refusal.is_some() && again.is_none() {
                again = Some(self.retries.refused(key, now));
            }
        } else if active.len() > wanted {
            let surplus = active.len() - wanted;
            self.shrink(&set, active, surplus);
        }
        if refusal.is_none() {
            self.retries.forget(key);
        }
        let ready = self.write_status(&set, refusal.as_deref());
        [again, ready].into_iter().flatten().min()
    }
}

/// A pod from the template, as the controller posts it.
fn pod_of(set: &Value) -> Value {
    let mut metadata = json!({
        "generateName": format!("{}-", object::name(set)), "namespace": object::namespace(set),
        "labels": object::at(set, "/spec/template/metadata/labels"),
        "ownerReferences": [object::owner_reference(set, "apps/v1", "ReplicaSet")],
    });
    for list in ["annotations", "finalizers"] {
        let value = object::at(set, "/spec/template/metadata").get(list).cloned().unwrap_or(Value::Null);
        if !value.is_null() {
            object::put(&mut metadata, &[list], value);
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": object::at(set, "/spec/template/spec")})
}

/// Less useful pods sort first: unassigned, then pending, then not ready, then the cheap ones to delete.
fn usefulness(pod: &Value) -> (bool, u8, bool, i64) {
    let phase = match object::text(pod, "/status/phase") {
        "Pending" | "" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let cost = object::annotation(pod, "controller.kubernetes.io/pod-deletion-cost").parse().unwrap_or(0);
    (!object::text(pod, "/spec/nodeName").is_empty(), phase, object::condition_is_true(pod, "Ready"), cost)
}

/// Among equals: more restarts first, then the youngest.
fn age_rank(pod: &Value) -> (Reverse<i64>, Reverse<String>) {
    let restarts =
        object::items(pod, "/status/containerStatuses").iter().filter_map(|status| object::int(status, "/restartCount")).max();
    (Reverse(restarts.unwrap_or(0)), Reverse(object::text(pod, "/metadata/creationTimestamp").to_owned()))
}

fn ready_seconds(pod: &Value, now: DateTime<Utc>) -> i64 {
    object::condition(pod, "Ready")
        .and_then(|ready| object::time(ready, "/lastTransitionTime"))
        .map_or(0, |since| (now - since).num_seconds())
}
