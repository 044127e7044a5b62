//! Which ConfigMaps and Secrets a pod spec reads.

use std::collections::BTreeSet;

use crate::kinds::pod_spec::{KeyRef, OptionalRef, PodSpec};
use crate::kinds::workloads::PodTemplate;
use crate::kinds::{ObjectRef, Row};
use crate::text::Text;

/// The template of a workload, or the spec of a Pod.
pub fn spec_of(row: &Row) -> Option<&PodSpec> {
    match row {
        Row::Pod(pod) => Some(&pod.spec),
        _ => template_of(row).map(|template| &*template.spec),
    }
}

/// `spec.template` of a workload (`spec.jobTemplate.spec.template` of a CronJob is not one: its pods are its Jobs').
pub fn template_of(row: &Row) -> Option<&PodTemplate> {
    match row {
        Row::Deployment(d) => Some(&d.spec.template),
        Row::ReplicaSet(r) => Some(&r.spec.template),
        Row::StatefulSet(s) => Some(&s.spec.template),
        Row::DaemonSet(d) => Some(&d.spec.template),
        Row::Job(j) => Some(&j.spec.template),
        _ => None,
    }
}

/// ConfigMaps and Secrets that pods of this spec read, through variables or volumes (not pull secrets), sorted.
pub fn config_of(spec: &PodSpec, namespace: &str) -> BTreeSet<ObjectRef> {
    references(spec, namespace, |_| true)
}

/// As [`config_of`], without what the spec calls optional.
pub fn required_config_of(spec: &PodSpec, namespace: &str) -> BTreeSet<ObjectRef> {
    references(spec, namespace, |optional| optional != Some(true))
}

fn references(spec: &PodSpec, namespace: &str, take: impl Fn(Option<bool>) -> bool) -> BTreeSet<ObjectRef> {
    let mut names: BTreeSet<(&'static str, &Text)> = BTreeSet::new();
    let whole = |r: &&OptionalRef| take(r.optional);
    let key = |r: &&KeyRef| take(r.optional);
    for container in spec.all_containers() {
        for from in &container.env_from {
            names.extend(from.config_map_ref.iter().filter(whole).map(|r| ("ConfigMap", &r.name)));
            names.extend(from.secret_ref.iter().filter(whole).map(|r| ("Secret", &r.name)));
        }
        for source in container.env.iter().filter_map(|v| v.value_from.as_ref()) {
            names.extend(source.config_map_key_ref.iter().filter(key).map(|r| ("ConfigMap", &r.name)));
            names.extend(source.secret_key_ref.iter().filter(key).map(|r| ("Secret", &r.name)));
        }
    }
    for volume in &spec.volumes {
        let projected = volume.projected.iter().flat_map(|p| &p.sources);
        names.extend(volume.config_map.iter().filter(whole).map(|r| ("ConfigMap", &r.name)));
        names.extend(volume.secret.iter().filter(whole).map(|r| ("Secret", &r.name)));
        for source in projected {
            names.extend(source.config_map.iter().filter(whole).map(|r| ("ConfigMap", &r.name)));
            names.extend(source.secret.iter().filter(whole).map(|r| ("Secret", &r.name)));
        }
    }
    names
        .into_iter()
        // Every namespace has this one and pods mount it by default: its writes are never the cause.
        .filter(|(_, name)| &***name != "kube-root-ca.crt")
        .map(|(kind, name)| ObjectRef::new(kind, namespace, name))
        .collect()
}
