//! From changes to the subjects whose rules must run again. Cost follows change: a batch looks once through the services,
//! pods or workloads of the namespaces it touches, never through the cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::{Looked, Subject};
use crate::changes::references::{config_of, template_of};
use crate::diagnosis::rules::network::dns::is_cluster_dns;
use crate::diagnosis::rules::workload::{connections, migration};
use crate::kinds::pod_spec::PodSpec;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, Meta, ObjectRef, Row};
use crate::snapshot::{Changed, Key, Snapshot};
use crate::text::Text;

/// Owners are followed this far: Pod, ReplicaSet or Job, Deployment or CronJob.
const LONGEST_CHAIN: usize = 4;
/// What a batch of changes touches beyond the objects themselves, gathered to be resolved with one pass a namespace.
#[derive(Default)]
struct Touched {
    subjects: BTreeSet<Subject>,
    /// Changed pods by namespace, for Services and budgets that select them.
    pods: BTreeMap<Text, Vec<Row>>,
    /// ConfigMaps, Secrets and claims, for whatever refers to them.
    referenced: BTreeMap<Text, BTreeSet<(KindId, Text)>>,
    /// Workloads, for autoscalers that scale them.
    scaled: BTreeMap<Text, BTreeSet<(Text, Text)>>,
    /// Services, for Ingresses that lead to them.
    services: BTreeMap<Text, BTreeSet<Text>>,
}

/// The subjects that `changed` touches.
pub(super) fn subjects(snapshot: &Snapshot, changed: &[Changed]) -> BTreeSet<Subject> {
    let mut touched = Touched::default();
    for change in changed {
        match change {
            Changed::Object { kind, key, before } => {
                touched.subjects.insert((*kind, key.clone()));
                let row = snapshot.row(*kind, key);
                if row.is_none() {
                    // What events say about an object that is gone counts no more.
                    let about = snapshot.events_about(&ObjectRef::new(kind.name(), &key.namespace, &key.name));
                    touched.subjects.extend(about.into_iter().map(|event| (KindId::Event, Key::of(&event.meta))));
                }
                for row in row.iter().chain(before) {
                    touched.row(snapshot, row);
                    touched.promised(snapshot, row);
                }
            }
            Changed::Evidence(object) => touched.evidence(snapshot, object),
            Changed::Usage(_) | Changed::Coverage(_) => {}
        }
    }
    touched.resolve(snapshot)
}

/// Subjects of which something was said, or may have to be, and that hang on what changed more loosely: the pods of a workload,
/// which are judged by what it wants, and Services that find no pod, which say which pods there are.
pub(super) fn with_what_was_said(
    snapshot: &Snapshot,
    changed: &[Changed],
    said: &BTreeMap<Subject, Looked>,
    dirty: &mut BTreeSet<Subject>,
) {
    let mut namespaces: BTreeSet<&Text> = BTreeSet::new();
    for change in changed {
        let Changed::Object { kind, key, before } = change else { continue };
        if !matches!(
            kind,
            KindId::Pod
                | KindId::Deployment
                | KindId::ReplicaSet
                | KindId::StatefulSet
                | KindId::DaemonSet
                | KindId::Job
                | KindId::CronJob
        ) {
            continue;
        }
        namespaces.insert(&key.namespace);
        let row = snapshot.row(*kind, key);
        // Also where the owners between the pod and its workload are gone, or may not be seen.
        let workloads = row.iter().chain(before).filter_map(|row| if let Row::Pod(pod) = row { Some(pod) } else { None });
        dirty.extend(workloads.map(|pod| snapshot.workload_of(pod)).filter_map(|workload| {
            Some((KindId::from_name(&workload.kind)?, Key { namespace: workload.namespace, name: workload.name }))
        }));
        for pod in row.iter().chain(before).flat_map(|row| pods_below(snapshot, *kind, &row.meta().uid)) {
            let subject = (KindId::Pod, Key::of(&pod.meta));
            if !pod.is_ready() || said.contains_key(&subject) {
                dirty.insert(subject);
            }
        }
    }
    for namespace in namespaces {
        let from = (KindId::Service, Key::new(namespace, ""));
        let here = said.range(from..).take_while(|((kind, key), _)| *kind == KindId::Service && key.namespace == *namespace);
        dirty.extend(here.map(|(subject, _)| subject.clone()));
    }
}

/// The pods that hang on the workload of that uid, through its ReplicaSets or Jobs.
fn pods_below<'a>(snapshot: &'a Snapshot, kind: KindId, uid: &str) -> Vec<&'a Pod> {
    match kind {
        KindId::Pod => Vec::new(),
        KindId::Deployment => {
            snapshot.replica_sets.controlled_by(uid).flat_map(|set| snapshot.pods.controlled_by(&set.meta.uid)).collect()
        }
        KindId::CronJob => snapshot.jobs.controlled_by(uid).flat_map(|job| snapshot.pods.controlled_by(&job.meta.uid)).collect(),
        _ => snapshot.pods.controlled_by(uid).collect(),
    }
}

impl Touched {
    fn row(&mut self, snapshot: &Snapshot, row: &Row) {
        let meta = row.meta();
        self.owners(snapshot, meta);
        let namespace = meta.namespace.clone();
        match row {
            Row::Event(event) => self.object(snapshot, &event.object()),
            Row::Pod(pod) => {
                self.subjects.extend(pod.node_name.iter().map(|node| (KindId::Node, Key::new("", node))));
                let claims = pod.spec.volumes.iter().filter_map(|v| v.persistent_volume_claim.as_ref());
                self.subjects.extend(claims.map(|claim| {
                    (KindId::PersistentVolumeClaim, Key { namespace: namespace.clone(), name: claim.claim_name.clone() })
                }));
                self.pods.entry(namespace).or_default().push(row.clone());
            }
            Row::Node(node) => {
                self.pods_on(snapshot, &node.meta.name);
                // Labels, taints and room of any node decide about pods that wait for one, and a dead one may hold their volume.
                let waiting = snapshot.pods.iter().filter(|pod| pod.node_name.is_none() || &*pod.status.phase == "Pending");
                self.subjects.extend(waiting.map(|pod| (KindId::Pod, Key::of(&pod.meta))));
            }
            Row::ConfigMap(_) | Row::Secret(_) | Row::PersistentVolumeClaim(_) => {
                self.referenced.entry(namespace).or_default().insert((row.kind(), meta.name.clone()));
            }
            Row::EndpointSlice(slice) => {
                let Some(service) = slice.service_name() else { return };
                self.subjects.insert((KindId::Service, Key::new(&namespace, service)));
                self.services.entry(namespace).or_default().insert(service.into());
            }
            Row::Service(service) => {
                self.services.entry(namespace).or_default().insert(service.meta.name.clone());
            }
            Row::Deployment(_) | Row::StatefulSet(_) | Row::ReplicaSet(_) => {
                self.databases(snapshot, row);
                self.scaled.entry(namespace).or_default().insert((row.kind().name().into(), meta.name.clone()));
            }
            Row::IngressClass(_) => {
                self.subjects.extend(snapshot.keys(KindId::Ingress).into_iter().map(|key| (KindId::Ingress, key)));
            }
            // A policy decides about connections of any pod of its namespace.
            Row::NetworkPolicy(_) => {
                let pods = snapshot.pods.in_namespace(&namespace);
                self.subjects.extend(pods.map(|pod| (KindId::Pod, Key::of(&pod.meta))));
            }
            Row::Namespace(own) => self.deleted_in(snapshot, &own.meta),
            Row::Job(job) => self.runs(snapshot, &job.meta),
            Row::HorizontalPodAutoscaler(scaler) => {
                let target = &scaler.spec.scale_target_ref;
                if let Some(row) = snapshot.find(&ObjectRef::new(&target.kind, &namespace, &target.name)) {
                    self.databases(snapshot, &row);
                }
            }
            Row::APIService(_)
            | Row::Certificate(_)
            | Row::HTTPRoute(_)
            | Row::PersistentVolume(_)
            | Row::CustomResourceDefinition(_)
            | Row::DaemonSet(_)
            | Row::ControllerRevision(_)
            | Row::CronJob(_)
            | Row::Ingress(_)
            | Row::ResourceQuota(_)
            | Row::PodDisruptionBudget(_) => {}
        }
    }

    /// The database Services a workload points to, since how many connections they are asked for depends on it, and the
    /// migrations that a rollout should wait for.
    fn databases(&mut self, snapshot: &Snapshot, row: &Row) {
        let (meta, spec) = match row {
            Row::Deployment(d) => (&d.meta, &d.spec.template.spec),
            Row::StatefulSet(s) => (&s.meta, &s.spec.template.spec),
            _ => return,
        };
        let services = connections::databases_of(snapshot, &meta.namespace, spec);
        self.subjects.extend(services.into_iter().map(|service| (KindId::Service, Key::of(&service.meta))));
        let jobs = snapshot.jobs.in_namespace(&meta.namespace).filter(|job| migration::is_migration(job));
        self.subjects.extend(jobs.map(|job| (KindId::Job, Key::of(&job.meta))));
    }

    /// Services that would select the pods of a workload: without pods it hangs on the workload what is said of them.
    fn promised(&mut self, snapshot: &Snapshot, workload: &Row) {
        let Some(template) = template_of(workload) else { return };
        let namespace = &workload.meta().namespace;
        let selecting = snapshot.services.in_namespace(namespace).filter(|service| {
            let mut selector = service.spec.selector.iter().peekable();
            selector.peek().is_some() && selector.all(|(key, value)| template.metadata.labels.get(key) == Some(value))
        });
        self.subjects.extend(selecting.map(|service| (KindId::Service, Key::of(&service.meta))));
    }

    /// What is being deleted in a namespace is told with the namespace while that is being deleted, too.
    fn deleted_in(&mut self, snapshot: &Snapshot, namespace: &Meta) {
        if namespace.deletion_timestamp.is_none() {
            return;
        }
        for kind in KindId::ALL.iter().filter(|kind| kind.info().namespaced) {
            let own = snapshot.keys(*kind).into_iter().filter(|key| key.namespace == namespace.name);
            let deleted = own.filter(|key| snapshot.row(*kind, key).is_some_and(|row| row.meta().deletion_timestamp.is_some()));
            self.subjects.extend(deleted.map(|key| (*kind, key)));
        }
    }

    /// A run that succeeds settles the failed runs of the same CronJob before it.
    fn runs(&mut self, snapshot: &Snapshot, job: &Meta) {
        let cron = job.controller().filter(|owner| &*owner.kind == "CronJob");
        for run in cron.into_iter().flat_map(|cron| snapshot.jobs.controlled_by(&cron.uid)) {
            self.subjects.insert((KindId::Job, Key::of(&run.meta)));
            let pods = snapshot.pods.controlled_by(&run.meta.uid);
            self.subjects.extend(pods.map(|pod| (KindId::Pod, Key::of(&pod.meta))));
        }
    }

    /// An object that something was said about: itself and its owners.
    fn object(&mut self, snapshot: &Snapshot, object: &ObjectRef) {
        let Some(kind) = KindId::from_name(&object.kind) else { return };
        // Events about Nodes carry no namespace, whatever namespace they lie in.
        let namespace = if kind.info().namespaced { &*object.namespace } else { "" };
        let key = Key::new(namespace, &object.name);
        if let Some(row) = snapshot.row(kind, &key) {
            self.owners(snapshot, row.meta());
        }
        if kind == KindId::PersistentVolumeClaim {
            // Its events say why the pods that use it wait.
            self.referenced.entry(key.namespace.clone()).or_default().insert((kind, key.name.clone()));
        }
        self.subjects.insert((kind, key));
    }

    /// A pod's log or usage: also the Services that select the pod, whose ports it may speak of.
    fn evidence(&mut self, snapshot: &Snapshot, object: &ObjectRef) {
        self.object(snapshot, object);
        let dns = snapshot.services.in_namespace("kube-system").chain(snapshot.services.in_namespace("openshift-dns"));
        self.subjects.extend(dns.filter(|s| is_cluster_dns(s)).map(|s| (KindId::Service, Key::of(&s.meta))));
        if let Some(row @ Row::Pod(_)) = snapshot.find(object) {
            self.node_of(&row);
            self.pods.entry(object.namespace.clone()).or_default().push(row);
        }
    }

    /// What the kubelet answers about logs speaks of its node.
    fn node_of(&mut self, row: &Row) {
        if let Row::Pod(pod) = row {
            self.subjects.extend(pod.node_name.iter().map(|node| (KindId::Node, Key::new("", node))));
        }
    }

    fn owners(&mut self, snapshot: &Snapshot, meta: &Meta) {
        let namespace = meta.namespace.clone();
        let mut owner = meta.controller().cloned();
        for _ in 0..LONGEST_CHAIN {
            let Some(link) = owner.take() else { return };
            let Some(kind) = KindId::from_name(&link.kind) else { return };
            let key = Key { namespace: namespace.clone(), name: link.name };
            owner = snapshot.row(kind, &key).and_then(|row| row.meta().controller().cloned());
            self.subjects.insert((kind, key));
        }
    }

    fn pods_on(&mut self, snapshot: &Snapshot, node: &str) {
        self.subjects.extend(snapshot.pods_on(node).map(|pod| (KindId::Pod, Key::of(&pod.meta))));
    }

    fn resolve(mut self, snapshot: &Snapshot) -> BTreeSet<Subject> {
        self.selecting(snapshot);
        self.referring(snapshot);
        for (namespace, targets) in std::mem::take(&mut self.scaled) {
            let scalers = snapshot.autoscalers.in_namespace(&namespace).filter(|scaler| {
                let target = &scaler.spec.scale_target_ref;
                targets.contains(&(target.kind.clone(), target.name.clone()))
            });
            self.subjects.extend(scalers.map(|scaler| (KindId::HorizontalPodAutoscaler, Key::of(&scaler.meta))));
        }
        for (namespace, services) in std::mem::take(&mut self.services) {
            let leading = snapshot
                .ingresses
                .in_namespace(&namespace)
                .filter(|ingress| crate::diagnosis::correlate::backends(ingress).any(|service| services.contains(service)));
            self.subjects.extend(leading.map(|ingress| (KindId::Ingress, Key::of(&ingress.meta))));
        }
        self.subjects
    }

    /// Services and budgets that select a changed pod, by its labels now or before.
    fn selecting(&mut self, snapshot: &Snapshot) {
        for (namespace, rows) in std::mem::take(&mut self.pods) {
            let pods: Vec<&Pod> =
                rows.iter().filter_map(|row| if let Row::Pod(pod) = row { Some(&**pod) } else { None }).collect();
            for service in snapshot.services.in_namespace(&namespace) {
                let selector = &service.spec.selector;
                if !selector.is_empty() && pods.iter().any(|pod| selector.iter().all(|(k, v)| pod.meta.label(k) == Some(v))) {
                    self.subjects.insert((KindId::Service, Key::of(&service.meta)));
                    self.services.entry(namespace.clone()).or_default().insert(service.meta.name.clone());
                }
            }
            let budgets = snapshot.disruption_budgets.in_namespace(&namespace);
            self.subjects.extend(budgets.map(|budget| (KindId::PodDisruptionBudget, Key::of(&budget.meta))));
        }
    }

    /// Pods and workloads whose spec refers to a changed ConfigMap, Secret or claim.
    fn referring(&mut self, snapshot: &Snapshot) {
        for (namespace, objects) in std::mem::take(&mut self.referenced) {
            let mut known: BTreeMap<*const PodSpec, bool> = BTreeMap::new();
            for pod in snapshot.pods.in_namespace(&namespace) {
                // Pods of one template share one spec: look into it once.
                let refers =
                    known.entry(std::sync::Arc::as_ptr(&pod.spec)).or_insert_with(|| refers(&pod.spec, &namespace, &objects));
                if *refers {
                    self.subjects.insert((KindId::Pod, Key::of(&pod.meta)));
                }
            }
            for (kind, meta, spec) in templates(snapshot, &namespace) {
                if refers(spec, &namespace, &objects) {
                    self.subjects.insert((kind, Key::of(meta)));
                }
            }
        }
    }
}

/// The workloads of a namespace with their pod specs.
fn templates<'a>(snapshot: &'a Snapshot, namespace: &'a str) -> impl Iterator<Item = (KindId, &'a Meta, &'a PodSpec)> {
    let deployments = snapshot.deployments.in_namespace(namespace);
    let sets = snapshot.stateful_sets.in_namespace(namespace);
    let daemons = snapshot.daemon_sets.in_namespace(namespace);
    let jobs = snapshot.jobs.in_namespace(namespace);
    deployments
        .map(|d| (KindId::Deployment, &d.meta, &*d.spec.template.spec))
        .chain(sets.map(|s| (KindId::StatefulSet, &s.meta, &*s.spec.template.spec)))
        .chain(daemons.map(|d| (KindId::DaemonSet, &d.meta, &*d.spec.template.spec)))
        .chain(jobs.map(|j| (KindId::Job, &j.meta, &*j.spec.template.spec)))
}

fn refers(spec: &PodSpec, namespace: &str, objects: &BTreeSet<(KindId, Text)>) -> bool {
    let config = config_of(spec, namespace);
    let has = |kind: KindId, name: &Text| objects.contains(&(kind, name.clone()));
    config.iter().any(|c| KindId::from_name(&c.kind).is_some_and(|kind| has(kind, &c.name)))
        || spec.image_pull_secrets.iter().any(|s| has(KindId::Secret, &s.name))
        || spec
            .volumes
            .iter()
            .filter_map(|v| v.persistent_volume_claim.as_ref())
            .any(|claim| has(KindId::PersistentVolumeClaim, &claim.claim_name))
}
