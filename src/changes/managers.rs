//! Who else owns an object and may put back what we change: Argo CD, Flux, Helm, operators, an autoscaler.

use std::fmt;

use crate::kinds::{Meta, ObjectRef};
use crate::snapshot::Snapshot;
use crate::text::Text;

/// A tool that manages an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// `Argo CD`, `Flux`, `Helm`, or the operator's kind.
    pub tool: &'static str,
    /// Application, Kustomization, release or owner, when its name is known.
    pub name: Option<Text>,
    /// True when it puts its own state back by itself (`GitOps`, operators), false when only its next run does (Helm).
    pub reverts: bool,
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} ({name})", self.tool),
            None => f.write_str(self.tool),
        }
    }
}

/// Labels and annotations by which tools mark what they manage: tool, key, whether it reverts. In order of strength:
/// what Argo CD or Flux rendered from a Helm chart is theirs, not Helm's.
const MARKS: &[(&str, &str, bool)] = &[
    ("Argo CD", "argocd.argoproj.io/tracking-id", true),
    ("Argo CD", "argocd.argoproj.io/instance", true),
    ("Flux", "kustomize.toolkit.fluxcd.io/name", true),
    ("Flux", "helm.toolkit.fluxcd.io/name", true),
    ("Rancher Fleet", "objectset.rio.cattle.io/id", true),
    ("Config Sync", "configsync.gke.io/resource-id", true),
    ("OLM", "olm.owner", true),
    ("Helm", "meta.helm.sh/release-name", false),
];

/// First characters of `managedFields` managers that belong to such a tool.
const WRITERS: &[(&str, &str, bool)] = &[
    ("Argo CD", "argocd-", true),
    ("Flux", "kustomize-controller", true),
    ("Flux", "helm-controller", true),
    ("Helm", "helm", false),
];

/// The tool that manages the object, from its labels, annotations and `managedFields`.
pub fn managed_by(meta: &Meta) -> Option<Manager> {
    let marked = MARKS.iter().find_map(|(tool, key, reverts)| {
        let value = meta.label(key).or_else(|| meta.annotation(key))?;
        // An Argo CD tracking id is `APPLICATION:GROUP/KIND:NAMESPACE/NAME`.
        let name = value.split(':').next().filter(|name| !name.is_empty()).map(Text::from);
        Some(Manager { tool, name, reverts: *reverts })
    });
    let written = || {
        WRITERS.iter().find_map(|(tool, prefix, reverts)| {
            let mut own = meta.writers.iter().filter(|w| w.subresource.is_none());
            own.any(|w| w.manager.starts_with(prefix)).then_some(Manager { tool, name: None, reverts: *reverts })
        })
    };
    let labelled = || {
        let helm = meta.label("app.kubernetes.io/managed-by") == Some("Helm");
        helm.then(|| Manager { tool: "Helm", name: meta.label("app.kubernetes.io/instance").map(Text::from), reverts: false })
    };
    let owned = || {
        let owner = meta.controller()?;
        let builtin = matches!(owner.api_version.split('/').next(), Some("apps" | "batch" | "v1"));
        let name = format!("{} {}", owner.kind, owner.name);
        (!builtin).then(|| Manager { tool: "an operator", name: Some(name.into()), reverts: true })
    };
    marked.or_else(written).or_else(labelled).or_else(owned)
}

/// The name of the HorizontalPodAutoscaler that sets the workload's replicas.
pub fn autoscaler_of(snapshot: &Snapshot, workload: &ObjectRef) -> Option<Text> {
    snapshot
        .autoscalers
        .in_namespace(&workload.namespace)
        .find(|hpa| hpa.spec.scale_target_ref.kind == workload.kind && hpa.spec.scale_target_ref.name == workload.name)
        .map(|hpa| hpa.meta.name.clone())
}
