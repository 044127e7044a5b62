//! The persistent volume controller: binds claims to volumes, has volumes provisioned, and says why it cannot.
//!
//! Texts and reasons of `pkg/controller/volume/persistentvolume/pv_controller.go`. The one provisioner that runs here is
//! [`PROVISIONER`]; a class of another one waits for ever, and a class with the parameter `fails` is refused by its backend in
//! that parameter's words. Deleted claims stay while a pod uses them (`pvc_protection_controller`).

use super::super::clock::Clock;
use super::super::object;
use super::super::quantity;
use super::super::recorder::{Recorder, Said, Source};
use super::super::resources::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, ResourceType, STORAGE_CLASSES};
use super::super::store::{Store, Writer};
use super::{Change, Controller, Key};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The provisioner of the practice cluster.
pub const PROVISIONER: &str = "disk.practice.k3am.dev";
/// The annotation in which the scheduler says where the first consumer goes.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const MANAGER: &str = "kube-controller-manager";
const SOURCE: Source<'static> = Source { component: "persistentvolume-controller", host: "" };
/// How often an unbound claim is looked at again.
const RETRY: Duration = Duration::from_secs(15);

/// See the module.
pub struct PersistentVolumeController {
    store: Store,
    clock: Clock,
    recorder: Recorder,
}

impl PersistentVolumeController {
    /// A controller over a store.
    pub fn new(store: Store, clock: Clock, recorder: Recorder) -> Self {
        Self { store, clock, recorder }
    }

    fn edit(&self, claim: &Value, writer: Writer<'_>, edit: impl FnOnce(&mut Value)) {
        let (namespace, name) = (object::namespace(claim), object::name(claim));
        let _ = self.store.modify(&PERSISTENT_VOLUME_CLAIMS, namespace, name, writer, edit);
    }

    /// A bound claim must still have its volume.
    fn check_bound(&self, claim: &Value, volume: &str) {
        let lost = self.store.get(&PERSISTENT_VOLUMES, "", volume).is_none();
        if lost && object::text(claim, "/status/phase") == "Bound" {
            self.edit(claim, Writer::status(MANAGER), |claim| object::put(claim, &["status", "phase"], json!("Lost")));
            let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
            self.recorder.record(SOURCE, claim, Said::warning("ClaimLost", message));
        } else if !lost && object::text(claim, "/status/phase") == "Lost" {
            self.edit(claim, Writer::status(MANAGER), |claim| object::put(claim, &["status", "phase"], json!("Bound")));
        }
    }

    /// An available volume that fits a claim, the smallest first.
    fn fitting_volume(&self, claim: &Value) -> Option<Arc<Value>> {
        let wanted = quantity::parse(object::at(claim, "/spec/resources/requests/storage"));
        let class = object::text(claim, "/spec/storageClassName");
        let size = |volume: &Value| quantity::parse(object::at(volume, "/spec/capacity/storage"));
        let fits = |volume: &Arc<Value>| {
            let reserved = object::text(volume, "/spec/claimRef/name");
            let mine =
                reserved == object::name(claim) && object::text(volume, "/spec/claimRef/namespace") == object::namespace(claim);
            (reserved.is_empty() || mine)
                && object::text(volume, "/spec/storageClassName") == class
                && size(volume) >= wanted
                && object::items(claim, "/spec/accessModes")
                    .iter()
                    .all(|mode| object::items(volume, "/spec/accessModes").contains(mode))
        };
        let mut volumes: Vec<_> = self.store.list(&PERSISTENT_VOLUMES, None).into_iter().filter(fits).collect();
        volumes.sort_by(|left, right| size(left).total_cmp(&size(right)));
        volumes.into_iter().next()
    }

    fn bind(&self, claim: &Value, volume: &Value) {
        let name = object::name(volume).to_owned();
        let reference = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": object::namespace(claim),
            "name": object::name(claim), "uid": object::uid(claim),
            "resourceVersion": object::text(claim, "/metadata/resourceVersion"),
        });
        let now = object::stamp(self.clock.now());
        let _ = self.store.modify(&PERSISTENT_VOLUMES, "", &name, Writer::update(MANAGER), |volume| {
            object::put(volume, &["spec", "claimRef"], reference);
            object::put(volume, &["status"], json!({"phase": "Bound", "lastPhaseTransitionTime": now}));
        });
        self.edit(claim, Writer::update(MANAGER), |claim| {
            object::put(claim, &["spec", "volumeName"], json!(name));
            for key in ["pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"] {
                object::put(claim, &["metadata", "annotations", key], json!("yes"));
            }
        });
        self.edit(claim, Writer::status(MANAGER), |claim| {
            let status = json!({"phase": "Bound", "accessModes": object::at(volume, "/spec/accessModes"),
                "capacity": {"storage": object::at(volume, "/spec/capacity/storage")}});
            object::put(claim, &["status"], status);
        });
    }

    /// Asks the class's provisioner for a volume.
    fn provision(&self, claim: &Value) {
        let name = object::text(claim, "/spec/storageClassName").to_owned();
        if name.is_empty() {
            let message = "no persistent volumes available for this claim and no storage class is set";
            self.recorder.record(SOURCE, claim, Said::normal("FailedBinding", message));
            return;
        }
        let Some(class) = self.store.get(&STORAGE_CLASSES, "", &name) else {
            let message = format!("storageclass.storage.k8s.io {name:?} not found");
            self.recorder.record(SOURCE, claim, Said::warning("ProvisioningFailed", &message));
            return;
        };
        if waits_for_consumer(&class) && object::annotation(claim, SELECTED_NODE).is_empty() {
            let message = "waiting for first consumer to be created before binding";
            self.recorder.record(SOURCE, claim, Said::normal("WaitForFirstConsumer", message));
            return;
        }
        let provisioner = object::text(&class, "/provisioner").to_owned();
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
        );
        self.recorder.record(SOURCE, claim, Said::normal("ExternalProvisioning", &message));
        if provisioner == PROVISIONER {
            self.create_volume(claim, &class);
        }
    }

    fn create_volume(&self, claim: &Value, class: &Value) {
        let source = Source { component: PROVISIONER, host: "" };
        let whole = format!("{}/{}", object::namespace(claim), object::name(claim));
        let said = format!("External provisioner is provisioning volume for claim {whole:?}");
        self.recorder.record(source, claim, Said::normal("Provisioning", &said));
        let failure = object::text(class, "/parameters/fails");
        if !failure.is_empty() {
            let message = format!("failed to provision volume with StorageClass {:?}: {failure}", object::name(class));
            self.recorder.record(source, claim, Said::warning("ProvisioningFailed", &message));
            return;
        }
        let name = format!("pvc-{}", object::uid(claim));
        let volume = json!({
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {
                "accessModes": object::at(claim, "/spec/accessModes"), "storageClassName": object::name(class),
                "capacity": {"storage": object::at(claim, "/spec/resources/requests/storage")},
                "csi": {"driver": PROVISIONER, "volumeHandle": object::uid(claim)},
                "persistentVolumeReclaimPolicy": match object::text(class, "/reclaimPolicy") { "" => "Delete", policy => policy },
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Available"},
        });
        if let Ok(volume) = self.store.create(&PERSISTENT_VOLUMES, volume, Writer::update("csi-provisioner")) {
            let message = format!("Successfully provisioned volume {name}");
            self.recorder.record(source, claim, Said::normal("ProvisioningSucceeded", &message));
            self.bind(claim, &volume);
        }
    }

    /// A deleted claim goes when no pod uses it, and its volume with it.
    fn release(&self, claim: &Value) {
        let name = object::name(claim);
        let uses = |pod: &Arc<Value>| !object::is_finished_pod(pod) && claims_of(pod).any(|claimed| claimed == name);
        if self.store.list(&PODS, Some(object::namespace(claim))).iter().any(uses) {
            return;
        }
        let volume = object::text(claim, "/spec/volumeName").to_owned();
        self.edit(claim, Writer::update(MANAGER), |claim| {
            let mut finalizers = object::items(claim, "/metadata/finalizers").to_vec();
            finalizers.retain(|finalizer| finalizer != "kubernetes.io/pvc-protection");
            object::put(claim, &["metadata", "finalizers"], json!(finalizers));
        });
        let Some(present) = self.store.get(&PERSISTENT_VOLUMES, "", &volume) else { return };
        let deletes = object::text(&present, "/spec/persistentVolumeReclaimPolicy") == "Delete";
        let _ = self.store.modify(&PERSISTENT_VOLUMES, "", &volume, Writer::status(MANAGER), |volume| {
            object::put(volume, &["status", "phase"], json!("Released"));
            if deletes {
                object::put(volume, &["metadata", "finalizers"], json!([]));
            }
        });
        if deletes {
            let _ = self.store.delete(&PERSISTENT_VOLUMES, "", &volume, None);
        }
    }
}

/// Whether volumes of a class are made only where a pod wants them.
pub fn waits_for_consumer(class: &Value) -> bool {
    object::text(class, "/volumeBindingMode") == "WaitForFirstConsumer"
}

/// The claims a pod uses.
pub fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    let claims = object::items(pod, "/spec/volumes").iter();
    claims.map(|volume| object::text(volume, "/persistentVolumeClaim/claimName")).filter(|name| !name.is_empty())
}

impl Controller for PersistentVolumeController {
    fn watches(&self) -> Vec<&'static ResourceType> {
        vec![&PERSISTENT_VOLUME_CLAIMS, &PERSISTENT_VOLUMES, &STORAGE_CLASSES, &PODS]
    }

    fn keys(&mut self, change: &Change) -> Vec<Key> {
        let namespace = object::namespace(&change.object);
        match change.resource.kind {
            "PersistentVolumeClaim" => vec![(namespace.to_owned(), object::name(&change.object).to_owned())],
            "Pod" if change.is_deleted() || object::is_finished_pod(&change.object) => {
                claims_of(&change.object).map(|claim| (namespace.to_owned(), claim.to_owned())).collect()
            }
            "Pod" => Vec::new(),
            _ => {
                let claims = self.store.list(&PERSISTENT_VOLUME_CLAIMS, None);
                claims.iter().map(|claim| (object::namespace(claim).to_owned(), object::name(claim).to_owned())).collect()
            }
        }
    }

    fn reconcile(&mut self, key: &Key) -> Option<Duration> {
        let claim = self.store.get(&PERSISTENT_VOLUME_CLAIMS, &key.0, &key.1)?;
        if object::is_deleting(&claim) {
            self.release(&claim);
            return None;
        }
        let volume = object::text(&claim, "/spec/volumeName");
        if !volume.is_empty() && object::text(&claim, "/status/phase") != "Pending" {
            self.check_bound(&claim, volume);
            return None;
        }
        match self.fitting_volume(&claim) {
            Some(volume) => self.bind(&claim, &volume),
            None => self.provision(&claim),
        }
        let bound = self.store.get(&PERSISTENT_VOLUME_CLAIMS, &key.0, &key.1);
        bound.filter(|claim| object::text(claim, "/status/phase") == "Pending").map(|_| RETRY)
    }
}
