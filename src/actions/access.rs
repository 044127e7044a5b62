//! What a write needs to be allowed, as an access review asks it.

use super::{Write, WriteVerb};
use crate::kinds::{KindId, ObjectRef};
use crate::text::Text;

/// The questions of a `SelfSubjectAccessReview`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `patch`, `create` or `delete`.
    pub verb: &'static str,
    /// API group; empty for core.
    pub group: Text,
    /// Plural of the kind.
    pub resource: Text,
    /// `scale`, ... or none.
    pub subresource: Option<&'static str>,
    /// Empty for cluster-scoped kinds.
    pub namespace: Text,
    /// Object name.
    pub name: Text,
}

/// The review a write needs; `None` for a kind k3am does not watch: discovery must say its group and plural.
pub fn access(write: &Write) -> Option<Access> {
    let info = KindId::from_name(&write.target.kind)?.info();
    Some(access_as(write, info.group, info.plural))
}

/// The review a write needs, for a kind served as `plural` of `group`.
pub fn access_as(write: &Write, group: &str, plural: &str) -> Access {
    let ObjectRef { namespace, name, .. } = write.target.clone();
    Access {
        verb: write.verb.word(),
        group: group.into(),
        resource: plural.into(),
        subresource: write.subresource,
        namespace,
        name,
    }
}

impl WriteVerb {
    /// RBAC's word for it: `patch` or `delete`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::MergePatch(_) | Self::StrategicPatch(_) | Self::JsonPatch(_) => "patch",
            Self::Create(_) => "create",
            Self::Delete { .. } => "delete",
        }
    }
}
