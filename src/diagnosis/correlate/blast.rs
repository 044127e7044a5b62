//! Who feels an incident: pods, Services left without endpoints, the hosts that lead to them; and which workloads stand
//! behind a Service, an Ingress or an autoscaler.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::diagnosis::cause::CauseId;
use crate::diagnosis::incident::BlastRadius;
use crate::kinds::network::{EndpointSlice, Ingress, IngressRule, Service};
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::Snapshot;
use crate::text::Text;

/// The names of the Services an Ingress leads to.
pub fn backends(ingress: &Ingress) -> impl Iterator<Item = &Text> {
    let paths = ingress.spec.rules.iter().flat_map(|rule| &rule.http.paths).map(|path| &path.backend);
    ingress.spec.default_backend.iter().chain(paths).filter_map(|backend| backend.service.as_ref()).map(|service| &service.name)
}

/// True for kinds that only lead to workloads: their symptoms follow from those.
pub(super) fn is_route(object: &ObjectRef) -> bool {
    matches!(&*object.kind, "Service" | "Ingress" | "HorizontalPodAutoscaler" | "PodDisruptionBudget" | "CronJob" | "APIService")
}

/// The object itself, and the workloads and Services behind it.
pub(super) fn related(snapshot: &Snapshot, object: &ObjectRef) -> BTreeSet<ObjectRef> {
    let mut related = BTreeSet::from([object.clone()]);
    let (namespace, name) = (&object.namespace, &object.name);
    match &*object.kind {
        "Service" => related.extend(behind_service(snapshot, namespace, name)),
        "Ingress" => {
            let ingress = snapshot.ingresses.named(namespace, name);
            for service in ingress.into_iter().flat_map(backends) {
                related.insert(ObjectRef::new("Service", namespace, service));
                related.extend(behind_service(snapshot, namespace, service));
            }
        }
        "HorizontalPodAutoscaler" => {
            let target = snapshot.autoscalers.named(namespace, name).map(|scaler| &scaler.spec.scale_target_ref);
            related.extend(target.map(|t| ObjectRef::new(&t.kind, namespace, &t.name)));
        }
        "PodDisruptionBudget" => {
            let selector = snapshot.disruption_budgets.named(namespace, name).map(|budget| &budget.spec.selector.match_labels);
            let pods = snapshot.pods.in_namespace(namespace);
            related.extend(pods.filter(|pod| selector.is_some_and(|s| selects(s, pod))).map(|pod| snapshot.workload_of(pod)));
        }
        "APIService" => {
            let service = snapshot.api_services.named("", name).and_then(|api| api.spec.service.as_ref());
            if let Some(service) = service {
                related.insert(ObjectRef::new("Service", &service.namespace, &service.name));
                related.extend(behind_service(snapshot, &service.namespace, &service.name));
            }
        }
        "CronJob" => {
            let uid = snapshot.cron_jobs.named(namespace, name).map(|cron| cron.meta.uid.clone()).unwrap_or_default();
            related.extend(snapshot.jobs.controlled_by(&uid).map(|job| ObjectRef::new("Job", namespace, &job.meta.name)));
        }
        _ => {}
    }
    related
}

fn behind_service(snapshot: &Snapshot, namespace: &str, name: &str) -> BTreeSet<ObjectRef> {
    let Some(service) = snapshot.services.named(namespace, name) else { return BTreeSet::new() };
    let selector = &service.spec.selector;
    let mut found: BTreeSet<ObjectRef> =
        snapshot.pods.in_namespace(namespace).filter(|pod| selects(selector, pod)).map(|pod| snapshot.workload_of(pod)).collect();
    // A workload whose pods cannot even be created is behind it too.
    let deployments = snapshot.deployments.in_namespace(namespace);
    let matching = deployments.filter(|d| !selector.is_empty() && covers(selector, &d.spec.template.metadata.labels));
    found.extend(matching.map(|d| ObjectRef::new("Deployment", namespace, &d.meta.name)));
    let sets = snapshot.stateful_sets.in_namespace(namespace);
    let matching = sets.filter(|s| !selector.is_empty() && covers(selector, &s.spec.template.metadata.labels));
    found.extend(matching.map(|s| ObjectRef::new("StatefulSet", namespace, &s.meta.name)));
    found
}

fn covers(selector: &BTreeMap<Text, Text>, labels: &BTreeMap<Text, Text>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn selects(selector: &BTreeMap<Text, Text>, pod: &Pod) -> bool {
    !selector.is_empty() && covers(selector, &pod.meta.labels)
}

/// A Service no endpoint of which gets traffic.
#[derive(Debug, PartialEq)]
pub(super) struct DownService {
    service: ObjectRef,
    /// The Service and the workloads behind it.
    related: BTreeSet<ObjectRef>,
    /// Ingress hosts that lead to it.
    hosts: Vec<String>,
}

/// The Services that are down, by namespace: found once for all incidents.
pub(super) type Down = HashMap<Text, Arc<Vec<DownService>>, super::Hasher>;

/// The Services of a namespace that are down.
pub(super) fn down_in(snapshot: &Snapshot, namespace: &str) -> Vec<DownService> {
    let sliced = snapshot.coverage.is_complete(KindId::EndpointSlice, namespace);
    let gets_traffic = |slice: &&EndpointSlice| slice.endpoints.iter().any(|e| e.conditions.ready != Some(false));
    let served: BTreeSet<&str> =
        snapshot.endpoint_slices.in_namespace(namespace).filter(gets_traffic).filter_map(EndpointSlice::service_name).collect();
    let is_served = |service: &Service| {
        if sliced {
            return served.contains(&*service.meta.name);
        }
        // Without slices the pods tell; without all pods nobody does, and nothing is claimed.
        !snapshot.coverage.is_complete(KindId::Pod, namespace)
            || snapshot.pods.in_namespace(namespace).any(|pod| selects(&service.spec.selector, pod) && pod.is_ready())
    };
    let wants_pods = |service: &&Service| {
        !service.spec.selector.is_empty()
            && service.spec.publish_not_ready_addresses != Some(true)
            && service.spec.kind.as_deref() != Some("ExternalName")
    };
    let down = snapshot.services.in_namespace(namespace).filter(wants_pods).filter(|service| !is_served(service));
    down.map(|service| {
        let own = ObjectRef::new("Service", namespace, &service.meta.name);
        DownService { related: related(snapshot, &own), hosts: hosts_of(snapshot, namespace, &service.meta.name), service: own }
    })
    .collect()
}

fn hosts_of(snapshot: &Snapshot, namespace: &str, service: &Text) -> Vec<String> {
    let leads_here =
        |rule: &&IngressRule| rule.http.paths.iter().filter_map(|p| p.backend.service.as_ref()).any(|s| s.name == *service);
    let rules = snapshot.ingresses.in_namespace(namespace).flat_map(|ingress| &ingress.spec.rules);
    rules.filter(leads_here).filter_map(|rule| rule.host.as_ref()).map(ToString::to_string).collect()
}

/// The namespaces whose pods a node that is down takes with it.
pub(super) fn namespaces_on<'a>(snapshot: &'a Snapshot, group: &'a super::Group<'_>) -> impl Iterator<Item = Text> + 'a {
    let nodes = group.workloads().filter(|w| group.is_of_a_node() && &*w.kind == "Node");
    nodes.flat_map(|node| snapshot.pods_on(&node.name)).map(|pod| pod.meta.namespace.clone())
}

/// What a node that is down takes with it: its pods, and the workloads that have no ready pod left.
pub(super) fn hurt(snapshot: &Snapshot, cause: CauseId, workloads: &BTreeSet<ObjectRef>) -> BTreeSet<ObjectRef> {
    let mut hurt = BTreeSet::new();
    if cause.0 != "node-not-ready" {
        return hurt;
    }
    let is_down = |name: &str| snapshot.nodes.named("", name).is_some_and(|node| !node.is_ready());
    for node in workloads.iter().filter(|w| &*w.kind == "Node" && is_down(&w.name)) {
        for pod in snapshot.pods_on(&node.name).filter(|pod| !pod.is_finished() && !pod.is_ready()) {
            hurt.insert(ObjectRef::new("Pod", &pod.meta.namespace, &pod.meta.name));
            let workload = snapshot.workload_of(pod);
            let serves = || snapshot.pods_of(&workload).iter().any(|p| p.is_ready());
            if !hurt.contains(&workload) && !serves() {
                hurt.insert(workload);
            }
        }
    }
    hurt
}

/// Counts pods and finds the Services and hosts that an incident takes down.
pub(super) fn measure(snapshot: &Snapshot, down: &Down, workloads: &[ObjectRef], objects: &[ObjectRef]) -> BlastRadius {
    let mut blast = BlastRadius { pods: objects.iter().filter(|o| &*o.kind == "Pod").count(), ..BlastRadius::default() };
    for workload in workloads {
        let pods = snapshot.pods_of(workload);
        let living = || pods.iter().filter(|pod| !pod.is_finished());
        blast.pods_total += living().count();
        blast.pods_ready += living().filter(|pod| pod.is_ready()).count();
    }
    // A node has no Services of its own: the workloads it takes down do.
    let concerned = || workloads.iter().chain(objects.iter().filter(|o| !matches!(&*o.kind, "Pod" | "Service")));
    let namespaces: BTreeSet<&Text> = concerned().map(|w| &w.namespace).collect();
    for service in namespaces.into_iter().filter_map(|namespace| down.get(namespace)).flat_map(|services| services.iter()) {
        if concerned().any(|workload| service.related.contains(workload)) {
            blast.hosts.extend(service.hosts.iter().cloned());
            blast.services_without_endpoints.push(service.service.clone());
        }
    }
    blast.hosts.sort();
    blast.hosts.dedup();
    blast
}
