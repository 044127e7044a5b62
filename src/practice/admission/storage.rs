//! Claims get their protection, and the default storage class when they name none.

use super::super::object;
use super::super::resources::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, ResourceType, STORAGE_CLASSES};
use super::super::store::Store;
use serde_json::{Value, json};

const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

#[allow(clippy::unnecessary_wraps, reason = "the shape of every plugin")]
/// See the module (`storageobjectinuseprotection`, `storage/storageclass/setdefault`).
pub(super) fn check(store: &Store, resource: &'static ResourceType, new: &mut Value) -> Result<(), String> {
    let finalizer = if resource == &PERSISTENT_VOLUME_CLAIMS {
        "kubernetes.io/pvc-protection"
    } else if resource == &PERSISTENT_VOLUMES {
        "kubernetes.io/pv-protection"
    } else {
        return Ok(());
    };
    let mut finalizers = object::items(new, "/metadata/finalizers").to_vec();
    if !finalizers.contains(&json!(finalizer)) {
        finalizers.push(json!(finalizer));
        object::put(new, &["metadata", "finalizers"], json!(finalizers));
    }
    if resource == &PERSISTENT_VOLUME_CLAIMS && object::at(new, "/spec/storageClassName").is_null() {
        let classes = store.list(&STORAGE_CLASSES, None);
        if let Some(class) = classes.iter().find(|class| object::annotation(class, DEFAULT) == "true") {
            object::put(new, &["spec", "storageClassName"], json!(object::name(class)));
        }
    }
    if object::at(new, "/spec/volumeMode").is_null() {
        object::put(new, &["spec", "volumeMode"], json!("Filesystem"));
    }
    if object::text(new, "/status/phase").is_empty() {
        object::put(new, &["status", "phase"], json!("Pending"));
    }
    Ok(())
}
