//! A Service whose selector finds the pods of another application: those serve another port, and the workload of the Service's
//! own name serves the one it wants.

use std::collections::BTreeMap;

use crate::diagnosis::finding::{EvidenceSource, Finding};
use crate::diagnosis::incident::{Fix, Risk};
use crate::diagnosis::rule::Facts;
use crate::diagnosis::rules::commands::patched;
use crate::diagnosis::rules::draft;
use crate::kinds::network::{Service, ServicePort};
use crate::kinds::pod_spec::{ContainerPort, IntOrText};
use crate::kinds::pods::Pod;
use crate::kinds::workloads::PodTemplate;
use crate::kinds::{KindId, ObjectRef};

/// The finding about a port that none of `pods` (one a workload) serves: of the selector, where that is what is wrong.
pub(super) fn said(facts: &Facts<'_>, (service, port): (&Service, &ServicePort), pods: &[&Pod], mut finding: Finding) -> Finding {
    let selected: Vec<ObjectRef> = pods.iter().map(|pod| facts.snapshot.workload_of(pod)).collect();
    let Some((meant, template)) = of_its_name(facts, service).filter(|(meant, _)| !selected.contains(meant)) else {
        return finding;
    };
    let target = port.target_port.clone().unwrap_or(IntOrText::Int(i64::from(port.port))).to_string();
    let serves = |p: &ContainerPort| p.container_port.to_string() == target || p.name.as_deref() == Some(&*target);
    let Some(patch) = patch(service, template).filter(|_| ports(template).any(serves)) else { return finding };
    let selector = service.spec.selector.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let of = selected.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let not = match finding.facts.get("serves") {
        Some(port) => format!("serve port {port}, not {target}"),
        None => format!("do not serve port {target}"),
    };
    finding.summary = format!("its selector {selector} matches only pods of {of}, which {not}; {meant} serves it");
    let labels = template.metadata.labels.iter().filter(|(key, _)| service.spec.selector.contains_key(*key));
    let labels = labels.map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let object = ObjectRef::new("Service", &service.meta.namespace, &service.meta.name);
    finding.evidence.push(draft::quote(object, EvidenceSource::Spec, "spec.selector", selector, None));
    finding.evidence.push(draft::quote(meant.clone(), EvidenceSource::Spec, "spec.template.metadata.labels", labels, None));
    finding.facts.insert("meant", patch.as_str().into());
    finding.facts.insert("workload", meant.to_string().as_str().into());
    finding
}

/// Puts the selector right, for a finding of the selector.
pub(super) fn fix(finding: &Finding) -> Option<Fix> {
    let (meant, workload) = (finding.facts.get("meant")?, finding.facts.get("workload")?);
    let patch = format!(r#"{{"spec":{{"selector":{meant}}}}}"#);
    Some(patched(
        format!("Select the pods of {workload}"),
        &finding.subject,
        &patch,
        Risk::Safe,
        "they serve the port, and it has the Service's name",
    ))
}

/// The workload that is called like the Service.
fn of_its_name<'a>(facts: &Facts<'a>, service: &Service) -> Option<(ObjectRef, &'a PodTemplate)> {
    let (namespace, name) = (&service.meta.namespace, &service.meta.name);
    let templates = [
        (KindId::Deployment, facts.snapshot.deployments.named(namespace, name).map(|d| &d.spec.template)),
        (KindId::StatefulSet, facts.snapshot.stateful_sets.named(namespace, name).map(|s| &s.spec.template)),
        (KindId::DaemonSet, facts.snapshot.daemon_sets.named(namespace, name).map(|d| &d.spec.template)),
    ];
    let mut known =
        templates.into_iter().filter_map(|(kind, template)| Some((ObjectRef::new(kind.name(), namespace, name), template?)));
    let first = known.next()?;
    known.next().is_none().then_some(first)
}

fn ports(template: &PodTemplate) -> impl Iterator<Item = &ContainerPort> {
    template.spec.all_containers().flat_map(|container| &container.ports)
}

/// What of the selector has to change for it to be the template's, as JSON of a map; `None` when nothing would be left of it.
fn patch(service: &Service, template: &PodTemplate) -> Option<String> {
    let labels = &template.metadata.labels;
    let wrong = service.spec.selector.iter().filter(|(key, has)| labels.get(*key) != Some(*has));
    let changes: BTreeMap<&str, Option<&str>> = wrong.map(|(key, _)| (&**key, labels.get(key).map(|label| &**label))).collect();
    let some = changes.values().any(Option::is_some);
    some.then(|| serde_json::to_string(&changes).ok()).flatten()
}
