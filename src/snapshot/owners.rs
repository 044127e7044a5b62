//! From a pod up to what a person would act on, and down again.

use super::{Key, Snapshot};
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, Meta, ObjectRef, Row};

impl Snapshot {
    /// The top owner of an object: Pod → ReplicaSet → Deployment, Pod → Job → CronJob stops at the Job, ... itself without owner.
    ///
    /// A ReplicaSet that is not (yet, or by RBAC) known but whose name ends in the pod's `pod-template-hash` still leads to the
    /// Deployment of the remaining name.
    pub fn top_owner(&self, kind: &str, meta: &Meta) -> ObjectRef {
        let own = ObjectRef::new(kind, &meta.namespace, &meta.name);
        let Some(owner) = meta.controller() else { return own };
        if &*owner.kind == "ReplicaSet" {
            return self.owner_of_replica_set(meta, &owner.name);
        }
        if matches!(&*owner.kind, "Node" | "CronJob") {
            return own;
        }
        ObjectRef::new(&owner.kind, &meta.namespace, &owner.name)
    }

    fn owner_of_replica_set(&self, pod: &Meta, replica_set: &str) -> ObjectRef {
        if let Some(known) = self.replica_sets.named(&pod.namespace, replica_set) {
            return match known.meta.controller() {
                Some(owner) => ObjectRef::new(&owner.kind, &pod.namespace, &owner.name),
                None => ObjectRef::new("ReplicaSet", &pod.namespace, replica_set),
            };
        }
        let deployment = pod
            .label("pod-template-hash")
            .and_then(|hash| replica_set.strip_suffix(hash))
            .and_then(|name| name.strip_suffix('-'));
        match deployment {
            Some(name) => ObjectRef::new("Deployment", &pod.namespace, name),
            None => ObjectRef::new("ReplicaSet", &pod.namespace, replica_set),
        }
    }

    /// The workload of a pod; see [`Snapshot::top_owner`].
    pub fn workload_of(&self, pod: &Pod) -> ObjectRef {
        self.top_owner("Pod", &pod.meta)
    }

    /// The pods of a workload (through its ReplicaSets for a Deployment), sorted by key. For a Pod: itself.
    pub fn pods_of(&self, workload: &ObjectRef) -> Vec<&Pod> {
        let Some(kind) = KindId::from_name(&workload.kind) else { return Vec::new() };
        if kind == KindId::Pod {
            return self.pods.named(&workload.namespace, &workload.name).into_iter().collect();
        }
        let Some(row) = self.row(kind, &Key::new(&workload.namespace, &workload.name)) else {
            return self.pods_said_to_be_of(workload);
        };
        let uid = &row.meta().uid;
        match row {
            Row::Deployment(_) => {
                let mut pods: Vec<_> =
                    self.replica_sets.controlled_by(uid).flat_map(|rs| self.pods.controlled_by(&rs.meta.uid)).collect();
                pods.sort_by(|a, b| a.meta.name.cmp(&b.meta.name));
                pods
            }
            Row::CronJob(_) => self.jobs.controlled_by(uid).flat_map(|job| self.pods.controlled_by(&job.meta.uid)).collect(),
            _ => self.pods.controlled_by(uid).collect(),
        }
    }

    /// The pods whose owner references lead to a workload nobody may see: a person who may only read pods.
    fn pods_said_to_be_of(&self, workload: &ObjectRef) -> Vec<&Pod> {
        let named = |pod: &&Pod| pod.meta.name.starts_with(&*workload.name) && self.workload_of(pod) == *workload;
        self.pods.in_namespace(&workload.namespace).filter(named).collect()
    }
}
