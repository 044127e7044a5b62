//! The resource types the practice server knows: one static each (`builtin`), as discovery names them, and those that custom
//! resource definitions add while it runs (`custom`).
//!
//! To add one: its line in `builtin`; it is then listed, watched, stored, patched and discovered. Table columns, defaulting and
//! validation are optional extras (`table`, `defaults`, `validate`).

mod builtin;

pub use builtin::*;

use crate::protobuf::{self, Message};

/// A resource type: its names, verbs and subresources, as `/apis/GROUP/VERSION` lists them.
#[derive(Debug, PartialEq, Eq)]
pub struct ResourceType {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The served version.
    pub version: &'static str,
    /// The kind of one object.
    pub kind: &'static str,
    /// The name in paths.
    pub plural: &'static str,
    /// The name for people, one object.
    pub singular: &'static str,
    /// What kubectl users type.
    pub short_names: &'static [&'static str],
    /// `all` for those `kubectl get all` shows.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// The verbs of the resource itself.
    pub verbs: &'static [&'static str],
    /// What hangs below one object.
    pub subresources: &'static [Subresource],
    /// The type whose objects these are, for a type that is only another form of it (`views`).
    pub stored_as: Option<&'static Self>,
    /// What the definition of a custom resource says beside the names; none for a built-in type.
    pub custom: Option<&'static CustomType>,
}

/// The extras of a custom resource's version.
#[derive(Debug, PartialEq, Eq)]
pub struct CustomType {
    /// The structural schema (`openAPIV3Schema`), null for none.
    pub schema: serde_json::Value,
    /// Extra columns of `kubectl get`: name, type, JSON path, priority.
    pub columns: Vec<(String, String, String, u8)>,
    /// Where the scale subresource reads: replicas of the spec and of the status, and the label selector.
    pub scale: Option<[String; 3]>,
    /// Fields `kubectl get --field-selector` may name, as dotted paths.
    pub selectable: Vec<String>,
}

/// A subresource, such as `pods/log`.
#[derive(Debug, PartialEq, Eq)]
pub struct Subresource {
    /// The last path segment.
    pub name: &'static str,
    /// Group, version and kind of the body; an empty version means the parent's own.
    pub kind: (&'static str, &'static str, &'static str),
    /// The verbs of the subresource.
    pub verbs: &'static [&'static str],
}

impl ResourceType {
    /// `apps/v1`, or `v1` for the core group: the `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// What its objects are in protobuf; none for custom resources and what else has no such form.
    pub fn message(&self) -> Option<&'static Message> {
        let own = self.custom.is_none();
        own.then(|| protobuf::schema().of_kind(self.group, self.version, self.kind)).flatten()
    }

    /// `deployments.apps`, or `pods` for the core group: how errors name the resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Deployment.apps`, or `Pod` for the core group: how validation errors name the kind.
    pub fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// The subresource of that name, if the type has it.
    pub fn subresource(&self, name: &str) -> Option<&'static Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// The type its objects are stored as: itself, but for a type that is another form of it.
    pub fn storage(&'static self) -> &'static Self {
        self.stored_as.unwrap_or(self)
    }

    /// Whether the server counts changes of the desired state in `metadata.generation` for this type.
    pub fn has_generation(&self) -> bool {
        if self.custom.is_some() {
            return true;
        }
        matches!(
            self.plural,
            "pods"
                | "deployments"
                | "replicasets"
                | "statefulsets"
                | "daemonsets"
                | "jobs"
                | "cronjobs"
                | "ingresses"
                | "networkpolicies"
                | "poddisruptionbudgets"
                | "endpointslices"
                | "replicationcontrollers"
                | "customresourcedefinitions"
                | "mutatingwebhookconfigurations"
                | "validatingwebhookconfigurations"
                | "priorityclasses"
                | "ingressclasses"
                | "flowschemas"
                | "prioritylevelconfigurations"
                | "validatingadmissionpolicies"
                | "validatingadmissionpolicybindings"
                | "mutatingadmissionpolicies"
                | "mutatingadmissionpolicybindings"
                | "deviceclasses"
                | "resourceslices"
        )
    }
}

/// The type of a kind in a group (any version), as owner references and scale targets name it.
pub fn by_kind(group: &str, kind: &str) -> Option<&'static ResourceType> {
    ALL.iter().copied().find(|resource| resource.group == group && resource.kind == kind)
}
