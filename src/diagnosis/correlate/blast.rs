//! Who feels an incident: pods, Services left without endpoints, the hosts that lead to them; and which workloads stand
//! behind a Service, an Ingress or an autoscaler.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnosis::incident::BlastRadius;
use crate::kinds::network::{Ingress, Service};
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
    matches!(&*object.kind, "Service" | "Ingress" | "HorizontalPodAutoscaler" | "PodDisruptionBudget" | "CronJob")
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

/// Counts pods and finds the Services and hosts that an incident takes down.
pub(super) fn measure(snapshot: &Snapshot, workloads: &[ObjectRef], objects: &[ObjectRef]) -> BlastRadius {
    let mut blast = BlastRadius { pods: objects.iter().filter(|o| &*o.kind == "Pod").count(), ..BlastRadius::default() };
    let concerned: BTreeSet<&ObjectRef> = workloads.iter().collect();
    for workload in workloads {
        let pods = snapshot.pods_of(workload);
        let living = || pods.iter().filter(|pod| !pod.is_finished());
        blast.pods_total += living().count();
        blast.pods_ready += living().filter(|pod| pod.is_ready()).count();
    }
    let namespaces: BTreeSet<&Text> = workloads.iter().map(|w| &w.namespace).filter(|n| !n.is_empty()).collect();
    for namespace in namespaces {
        services(snapshot, namespace, &concerned, &mut blast);
    }
    blast
}

fn services(snapshot: &Snapshot, namespace: &str, concerned: &BTreeSet<&ObjectRef>, blast: &mut BlastRadius) {
    for service in snapshot.services.in_namespace(namespace) {
        let own = ObjectRef::new("Service", namespace, &service.meta.name);
        if !is_down(snapshot, service)
            || !related(snapshot, &own).iter().any(|w| concerned.contains(w))
            || service.spec.selector.is_empty()
        {
            continue;
        }
        for ingress in snapshot.ingresses.in_namespace(namespace) {
            let leads_here = |name: &Text| *name == service.meta.name;
            for rule in ingress
                .spec
                .rules
                .iter()
                .filter(|r| r.http.paths.iter().filter_map(|p| p.backend.service.as_ref()).any(|s| leads_here(&s.name)))
            {
                blast.hosts.extend(rule.host.iter().map(ToString::to_string));
            }
        }
        blast.services_without_endpoints.push(own);
    }
    blast.hosts.sort();
    blast.hosts.dedup();
}

/// True when no endpoint of the Service gets traffic, as far as the slices (or, without them, the pods) tell.
fn is_down(snapshot: &Snapshot, service: &Service) -> bool {
    let namespace = &service.meta.namespace;
    if service.spec.publish_not_ready_addresses == Some(true) || service.spec.kind.as_deref() == Some("ExternalName") {
        return false;
    }
    if snapshot.coverage.is_complete(KindId::EndpointSlice, namespace) {
        let own = snapshot.endpoint_slices.in_namespace(namespace).filter(|s| s.service_name() == Some(&service.meta.name));
        return !own.flat_map(|slice| &slice.endpoints).any(|endpoint| endpoint.conditions.ready != Some(false));
    }
    snapshot.coverage.is_complete(KindId::Pod, namespace)
        && !snapshot.pods.in_namespace(namespace).any(|pod| selects(&service.spec.selector, pod) && pod.is_ready())
}
