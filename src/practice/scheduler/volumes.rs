//! A pod's claims before it is placed (`pkg/scheduler/framework/plugins/volumebinding`).

use super::super::controllers::persistent_volume::{SELECTED_NODE, claims_of, waits_for_consumer};
use super::super::object;
use super::super::resources::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES};
use super::super::store::{Store, Writer};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a pod's claims ask of the scheduler.
#[derive(Default)]
pub struct Claims {
    /// Bound volumes: a node must be where they are.
    volumes: Vec<Arc<Value>>,
    /// Claims that are bound where the pod goes, and not yet bound.
    waiting: Vec<Arc<Value>>,
}

impl Claims {
    /// Looks at a pod's claims; the error is the scheduler's reason why no node can do.
    pub fn of(store: &Store, pod: &Value) -> Result<Self, String> {
        let mut claims = Self::default();
        for name in claims_of(pod) {
            let Some(claim) = store.get(&PERSISTENT_VOLUME_CLAIMS, object::namespace(pod), name) else {
                return Err(format!("persistentvolumeclaim {name:?} not found"));
            };
            if object::is_deleting(&claim) {
                return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
            }
            let volume = object::text(&claim, "/spec/volumeName");
            if !volume.is_empty() {
                let present = store.get(&PERSISTENT_VOLUMES, "", volume);
                let gone = || format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}");
                claims.volumes.push(present.ok_or_else(gone)?);
                continue;
            }
            let class = store.get(&STORAGE_CLASSES, "", object::text(&claim, "/spec/storageClassName"));
            if !class.is_some_and(|class| waits_for_consumer(&class)) {
                // The words of 1.36, as captured.
                return Err("pod has unbound immediate PersistentVolumeClaims. not found".to_owned());
            }
            claims.waiting.push(claim);
        }
        Ok(claims)
    }

    /// Whether a node is where the bound volumes are.
    pub fn reach(&self, node: &Value) -> bool {
        let labels = object::at(node, "/metadata/labels");
        self.volumes.iter().all(|volume| {
            let terms = object::items(volume, "/spec/nodeAffinity/required/nodeSelectorTerms");
            let holds =
                |term: &Value| object::items(term, "/matchExpressions").iter().all(|e| object::expression_holds(e, labels));
            terms.is_empty() || terms.iter().any(holds)
        })
    }

    /// Tells the provisioners where the pod will go; true when that has to be waited for.
    pub fn select(&self, store: &Store, node: &str) -> bool {
        for claim in &self.waiting {
            let (namespace, name) = (object::namespace(claim), object::name(claim));
            let _ = store.modify(&PERSISTENT_VOLUME_CLAIMS, namespace, name, Writer::update("kube-scheduler"), |claim| {
                object::put(claim, &["metadata", "annotations", SELECTED_NODE], json!(node));
            });
        }
        !self.waiting.is_empty()
    }
}
