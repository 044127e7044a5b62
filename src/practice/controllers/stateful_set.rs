//! The StatefulSet controller: numbered pods with claims of their own, one after the other (`stateful_set_control.go`).
//!
//! Invariant of `OrderedReady`: nothing is created, deleted or updated while an earlier pod is not ready. That is why a bad template
//! that was taken back still blocks: its pod must be deleted by hand.

use super::super::clock::Clock;
use super::super::object;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS, PODS, ResourceType, STATEFUL_SETS};
use super::super::store::{Store, Writer};
use super::owned::{self, MANAGER};
use super::{Change, Controller, Key, Retries};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const SOURCE: Source<'static> = Source { component: "statefulset-controller", host: "" };

/// See the module.
pub struct StatefulSetController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
    retries: Retries,
}

impl StatefulSetController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder, retries: Retries::default() }
    }

    /// Creates a pod's claims, then the pod; the refusal of either.
    fn create(&self, set: &Value, ordinal: i64, revision: &str) -> Result<(), String> {
        let (namespace, set_name) = (object::namespace(set), object::name(set));
        let name = format!("{set_name}-{ordinal}");
        let mut pod = self.pod_of(set, ordinal, revision);
        object::put(&mut pod, &["metadata", "name"], json!(name));
        object::put(&mut pod, &["metadata", "labels", "statefulset.kubernetes.io/pod-name"], json!(name));
        object::put(&mut pod, &["metadata", "labels", "apps.kubernetes.io/pod-index"], json!(ordinal.to_string()));
        object::put(&mut pod, &["spec", "hostname"], json!(name));
        object::put(&mut pod, &["spec", "subdomain"], object::at(set, "/spec/serviceName").clone());
        let mut volumes = object::items(&pod, "/spec/volumes").to_vec();
        for template in object::items(set, "/spec/volumeClaimTemplates") {
            let claim_name = format!("{}-{name}", object::name(template));
            volumes.push(json!({"name": object::name(template), "persistentVolumeClaim": {"claimName": claim_name}}));
            if self.store.get(&PERSISTENT_VOLUME_CLAIMS, namespace, &claim_name).is_some() {
                continue;
            }
            let labels = object::at(set, "/spec/selector/matchLabels");
            let claim = json!({"metadata": {"name": claim_name, "namespace": namespace, "labels": labels}, "spec": object::at(template, "/spec")});
            if let Err(refusal) = self.store.create(&PERSISTENT_VOLUME_CLAIMS, claim, Writer::update(MANAGER)) {
                let what = format!("Claim {claim_name} for Pod {name}");
                return Err(self.say_refused(set, &what, &refusal.message));
            }
            let message = format!("Create Claim {claim_name} Pod {name} in StatefulSet {set_name} success");
            self.recorder.record(SOURCE, set, Said::normal("SuccessfulCreate", &message));
        }
        if !volumes.is_empty() {
            object::put(&mut pod, &["spec", "volumes"], json!(volumes));
        }
        match self.store.create(&PODS, pod, Writer::update(MANAGER)) {
            Ok(_) => {
                let message = format!("Create Pod {name} in StatefulSet {set_name} successful");
                self.recorder.record(SOURCE, set, Said::normal("SuccessfulCreate", &message));
                Ok(())
            }
            Err(refusal) => Err(self.say_refused(set, &format!("Pod {name}"), &refusal.message)),
        }
    }

    /// A pod of the new template, or of the current one where the partition keeps the ordinal out of the update.
    fn pod_of(&self, set: &Value, ordinal: i64, revision: &str) -> Value {
        let partition = object::int(set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
        let current = object::text(set, "/status/currentRevision");
        if ordinal < partition && !current.is_empty() && current != revision {
            let kept = self.store.get(&CONTROLLER_REVISIONS, object::namespace(set), current);
            if let Some(mut template) = kept.and_then(|kept| kept.pointer("/data/spec/template").cloned()) {
                object::remove(&mut template, &["$patch"]);
                let mut former = set.clone();
                object::put(&mut former, &["spec", "template"], template);
                return owned::pod_of(&former, "StatefulSet", current);
            }
        }
        owned::pod_of(set, "StatefulSet", revision)
    }

    fn say_refused(&self, set: &Value, what: &str, why: &str) -> String {
        let message = format!("Create {what} in StatefulSet {} failed error: {why}", object::name(set));
        self.recorder.record(SOURCE, set, Said::warning("FailedCreate", &message));
        message
    }

    fn delete(&self, set: &Value, pod: &Value) {
        let name = object::name(pod);
        if !object::is_deleting(pod) && self.store.delete(&PODS, object::namespace(pod), name, None).is_ok() {
            let message = format!("Delete Pod {name} in StatefulSet {} successful", object::name(set));
            self.recorder.record(SOURCE, set, Said::normal("SuccessfulDelete", &message));
        }
    }

    /// One step towards the wanted pods; the refusal of a creation.
    fn step(&self, set: &Value, pods: &BTreeMap<i64, Arc<Value>>, revision: &str) -> Result<(), String> {
        let wanted = object::int(set, "/spec/replicas").unwrap_or(1);
        let first = object::int(set, "/spec/ordinals/start").unwrap_or(0);
        let ordered = object::text(set, "/spec/podManagementPolicy") != "Parallel";
        for ordinal in first..first + wanted {
            match pods.get(&ordinal) {
                None => self.create(set, ordinal, revision)?,
                Some(pod) if object::is_finished_pod(pod) && !object::is_deleting(pod) => {
                    let message = format!(
                        "StatefulSet {}/{} is recreating failed Pod {}",
                        object::namespace(set),
                        object::name(set),
                        object::name(pod)
                    );
                    self.recorder.record(SOURCE, set, Said::warning("RecreatingFailedPod", &message));
                    self.delete(set, pod);
                }
                Some(pod) if owned::is_serving(pod) && self.is_available(set, pod) => continue,
                Some(_) => {}
            }
            if ordered {
                return Ok(());
            }
        }
        if let Some((_, last)) = pods.iter().rev().find(|(ordinal, _)| **ordinal >= first + wanted) {
            self.delete(set, last);
            return Ok(());
        }
        self.update(set, pods, revision);
        Ok(())
    }

    /// Replaces pods of an older template, the highest ordinal first, one at a time.
    fn update(&self, set: &Value, pods: &BTreeMap<i64, Arc<Value>>, revision: &str) {
        if object::text(set, "/spec/updateStrategy/type") == "OnDelete" {
            return;
        }
        let partition = object::int(set, "/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0);
        for (_, pod) in pods.iter().rev().filter(|(ordinal, _)| **ordinal >= partition) {
            if owned::revision_of(pod) != owned::hash_of(revision) {
                self.delete(set, pod);
                return;
            }
            if !owned::is_serving(pod) || !self.is_available(set, pod) {
                return;
            }
        }
    }

    /// Whether a pod has been ready for as long as the set wants.
    fn is_available(&self, set: &Value, pod: &Value) -> bool {
        object::condition_is_true(pod, "Ready") && self.until_available(set, pod).is_none()
    }

    /// How long a ready pod has yet to be ready to count as available.
    fn until_available(&self, set: &Value, pod: &Value) -> Option<Duration> {
        let patience = chrono::Duration::seconds(object::int(set, "/spec/minReadySeconds").unwrap_or(0));
        let ready = object::condition(pod, "Ready").filter(|ready| object::text(ready, "/status") == "True")?;
        let since = object::time(ready, "/lastTransitionTime")?;
        (since + patience - self.clock.now()).to_std().ok().filter(|left| !left.is_zero())
    }

    fn write_status(&self, set: &Value, revision: &str) {
        let pods = owned::pods_of(&self.store, set);
        let present: Vec<_> = pods.iter().filter(|pod| !object::is_finished_pod(pod)).collect();
        let staying = || present.iter().filter(|pod| !object::is_deleting(pod));
        let of = |hash: &str| staying().filter(|pod| owned::revision_of(pod) == hash).count();
        let ready = present.iter().filter(|pod| object::condition_is_true(pod, "Ready")).count();
        let available = present.iter().filter(|pod| self.is_available(set, pod));
        let updated = of(owned::hash_of(revision));
        let wanted = object::int(set, "/spec/replicas").unwrap_or(1) as usize;
        let before = match object::text(set, "/status/currentRevision") {
            "" => revision,
            before => before,
        };
        let rolling = object::text(set, "/spec/updateStrategy/type") != "OnDelete";
        let done = rolling && updated == wanted && ready == wanted && present.len() == wanted;
        let current = if done { revision } else { before };
        let status = json!({
            "observedGeneration": object::at(set, "/metadata/generation"), "replicas": present.len(), "readyReplicas": ready,
            "availableReplicas": available.count(), "currentReplicas": of(owned::hash_of(current)), "updatedReplicas": updated,
            "currentRevision": current, "updateRevision": revision, "collisionCount": 0,
        });
        let _ = self.store.modify(&STATEFUL_SETS, object::namespace(set), object::name(set), Writer::status(MANAGER), |set| {
            object::put(set, &["status"], status);
        });
    }
}

fn ordinal_of(pod: &Value) -> Option<i64> {
    object::name(pod).rsplit('-').next()?.parse().ok()
}

impl Controller for StatefulSetController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&STATEFUL_SETS, &PODS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object).to_owned();
        if change.resource == &STATEFUL_SETS {
            return vec![(namespace, object::name(&change.object).to_owned())];
        }
        let owner = object::controller(&change.object).filter(|owner| object::text(owner, "/kind") == "StatefulSet");
        owner.map(|owner| vec![(namespace, object::text(owner, "/name").to_owned())]).unwrap_or_default()
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let set = self.store.get(&STATEFUL_SETS, &key.0, &key.1)?;
        if object::is_deleting(&set) {
            return None;
        }
        let now = self.clock.now();
        let revision = owned::ensure_revision(&self.store, &set, "StatefulSet");
        let pods: BTreeMap<i64, Arc<Value>> =
            owned::pods_of(&self.store, &set).into_iter().filter_map(|pod| Some((ordinal_of(&pod)?, pod))).collect();
        let mut again = self.retries.wait(key, now);
        if again.is_none() {
            match self.step(&set, &pods, &revision) {
                Ok(()) => self.retries.forget(key),
                Err(_) => again = Some(self.retries.refused(key, now)),
            }
        }
        self.write_status(&set, &revision);
        let soonest = pods.values().filter_map(|pod| self.until_available(&set, pod)).min();
        again.into_iter().chain(soonest).min()
    }
}
