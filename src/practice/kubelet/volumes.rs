//! Attaching and mounting a pod's volumes: what keeps a pod from its sandbox, in the words of the kubelet and the attach
//! controller.

use super::super::controllers::persistent_volume::claims_of;
use super::super::object;
use super::super::recorder::{Said, Source};
use super::super::resources::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS};
use super::environment;
use super::host::Host;
use serde_json::Value;

/// Says what is wrong with the first volume that is; true when something is.
pub fn complain(host: &Host<'_>) -> bool {
    if let Some(message) = attach_complaint(host) {
        let source = Source { component: "attachdetach-controller", host: "" };
        host.recorder.record(source, host.pod, Said::warning("FailedAttachVolume", &message));
        return true;
    }
    let complaint = environment::missing_volume(host.store, host.pod).or_else(|| host_path(host.pod)).or_else(|| mount(host));
    if let Some(complaint) = &complaint {
        host.warn("", "FailedMount", complaint);
    }
    complaint.is_some()
}

/// The volumes a pod's claims are bound to.
fn volumes_of(host: &Host<'_>, pod: &Value) -> Vec<std::sync::Arc<Value>> {
    let namespace = object::namespace(pod);
    let claims = claims_of(pod).filter_map(|claim| host.store.get(&PERSISTENT_VOLUME_CLAIMS, namespace, claim));
    claims.filter_map(|claim| host.store.get(&PERSISTENT_VOLUMES, "", object::text(&claim, "/spec/volumeName"))).collect()
}

/// A volume for one node is held by a pod on another; or the storage system refuses to attach it.
fn attach_complaint(host: &Host<'_>) -> Option<String> {
    for volume in volumes_of(host, host.pod) {
        let name = object::name(&volume);
        let failure = object::text(&volume, "/spec/csi/volumeAttributes/attachFails");
        if !failure.is_empty() {
            return Some(format!("AttachVolume.Attach failed for volume {name:?} : {failure}"));
        }
        if !object::items(&volume, "/spec/accessModes").iter().all(|mode| mode == "ReadWriteOnce") {
            continue;
        }
        let elsewhere = |pod: &Value| {
            let node = object::text(pod, "/spec/nodeName");
            !node.is_empty() && node != host.node && !object::is_finished_pod(pod)
        };
        let pods = host.store.list(&PODS, Some(object::namespace(host.pod)));
        let holders: Vec<&str> = pods
            .iter()
            .filter(|pod| object::uid(pod) != object::uid(host.pod) && elsewhere(pod))
            .filter(|pod| volumes_of(host, pod).iter().any(|held| object::name(held) == name))
            .filter(|pod| object::condition_is_true(pod, "PodReadyToStartContainers"))
            .map(|pod| object::name(pod))
            .collect();
        if !holders.is_empty() {
            return Some(format!(
                "Multi-Attach error for volume {name:?} Volume is already used by pod(s) {}",
                holders.join(", ")
            ));
        }
    }
    None
}

/// A directory of the node that is not there (the practice nodes have none whose name says so).
fn host_path(pod: &Value) -> Option<String> {
    object::items(pod, "/spec/volumes").iter().find_map(|volume| {
        let (path, kind) = (object::text(volume, "/hostPath/path"), object::text(volume, "/hostPath/type"));
        let what = match kind {
            "Directory" => "directory",
            "File" => "file",
            "Socket" => "socket file",
            _ => return None,
        };
        path.contains("missing").then(|| {
            let name = object::text(volume, "/name");
            format!("MountVolume.SetUp failed for volume \"{name}\" : hostPath type check failed: {path} is not a {what}")
        })
    })
}

fn mount(host: &Host<'_>) -> Option<String> {
    volumes_of(host, host.pod).iter().find_map(|volume| {
        let failure = object::text(volume, "/spec/csi/volumeAttributes/mountFails");
        (!failure.is_empty()).then(|| format!("MountVolume.MountDevice failed for volume {:?} : {failure}", object::name(volume)))
    })
}
