//! Which resources the server offers: for the `:` prompt, and to find the path of any kind.
//!
//! Aggregated discovery (two requests, Kubernetes 1.27 and later), else a request per group and version. Part of the groups
//! failing (an aggregated API whose server is down) never hides the rest.

use futures::stream::{self, StreamExt};
use serde::Deserialize;

use super::http::{Call, collection};
use super::{Connection, Error};
use crate::kinds::KindId;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
     application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
/// Group versions asked for at once, without aggregated discovery.
const AT_ONCE: usize = 8;

/// A resource the server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// The version the server prefers.
    pub version: String,
    /// `Deployment`.
    pub kind: String,
    /// `deployments`.
    pub plural: String,
    /// `deployment`.
    pub singular: String,
    /// `deploy`.
    pub short_names: Vec<String>,
    /// False for cluster-scoped kinds.
    pub namespaced: bool,
}

impl Resource {
    /// True when a person may mean this by `word`: plural, singular, short name, kind or `plural.group`, in any case.
    pub fn is_called(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let full = format!("{}.{}", self.plural, self.group);
        word == self.plural
            || word == self.singular
            || word == self.kind.to_lowercase()
            || (!self.group.is_empty() && word == full)
            || self.short_names.contains(&word)
    }

    /// Where its objects are; `namespace` is ignored for cluster-scoped kinds, none means all.
    pub(super) fn path(&self, namespace: &str) -> String {
        let namespace = Some(namespace).filter(|n| self.namespaced && !n.is_empty());
        collection(&self.group, &self.version, &self.plural, namespace)
    }
}

impl From<KindId> for Resource {
    fn from(kind: KindId) -> Self {
        let info = kind.info();
        Self {
            group: info.group.to_owned(),
            version: info.version.to_owned(),
            kind: info.kind.to_owned(),
            plural: info.plural.to_owned(),
            singular: info.kind.to_lowercase(),
            short_names: Vec::new(),
            namespaced: info.namespaced,
        }
    }
}

impl Connection {
    /// The resources that can be listed, core first, then by group and name. Asked once a connection.
    ///
    /// # Errors
    /// The server does not answer discovery at all.
    pub async fn resources(&self) -> Result<&[Resource], Error> {
        self.resources.get_or_try_init(|| self.discover()).await.map(Vec::as_slice)
    }

    /// The resource of that kind; kinds k3am watches need no discovery.
    ///
    /// # Errors
    /// Discovery fails, or the server has no such kind.
    pub(super) async fn resource_of_kind(&self, kind: &str) -> Result<Resource, Error> {
        if let Some(known) = KindId::from_name(kind) {
            return Ok(known.into());
        }
        let found = self.resources().await?.iter().find(|r| r.kind == kind);
        found.cloned().ok_or_else(|| Error::NoSuchKind(kind.to_owned()))
    }

    /// The resource a person calls `word` (`deploy`, `certificates.cert-manager.io`, ...).
    ///
    /// # Errors
    /// Discovery fails, or the server has nothing of that name.
    pub async fn resource_called(&self, word: &str) -> Result<Resource, Error> {
        let found = self.resources().await?.iter().find(|r| r.is_called(word));
        found.cloned().ok_or_else(|| Error::NoSuchKind(word.to_owned()))
    }

    async fn discover(&self) -> Result<Vec<Resource>, Error> {
        let mut found = Vec::new();
        for root in ["/api", "/apis"] {
            let answer: Root = self.call_json(Call { accept: AGGREGATED, ..Call::get(root) }).await?;
            found.extend(if answer.items.is_empty() { self.plainly(answer).await } else { answer.aggregated() });
        }
        found.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural)));
        Ok(found)
    }

    /// One request per group and version, for servers before 1.27.
    async fn plainly(&self, root: Root) -> Vec<Resource> {
        let core = root.versions.into_iter().take(1).map(|version| (String::new(), version));
        let groups = root
            .groups
            .into_iter()
            .filter_map(|g| Some((g.name, g.preferred_version.or(g.versions.into_iter().next())?.version)));
        stream::iter(core.chain(groups).collect::<Vec<_>>())
            .map(|(group, version)| async move {
                let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
                let list: PlainList = self.get_json(&path).await.unwrap_or_default();
                list.resources.into_iter().filter_map(|r| r.into_resource(&group, &version)).collect::<Vec<_>>()
            })
            .buffered(AT_ONCE)
            .concat()
            .await
    }
}

/// `APIGroupDiscoveryList`, `APIGroupList` or `APIVersions`: whichever the server answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Root {
    items: Vec<AggregatedGroup>,
    groups: Vec<PlainGroup>,
    versions: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AggregatedGroup {
    metadata: GroupName,
    versions: Vec<AggregatedVersion>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GroupName {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AggregatedVersion {
    version: String,
    resources: Vec<AggregatedResource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AggregatedResource {
    resource: String,
    response_kind: Option<ResponseKind>,
    scope: String,
    singular_resource: String,
    short_names: Vec<String>,
    verbs: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseKind {
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PlainGroup {
    name: String,
    preferred_version: Option<PlainVersion>,
    versions: Vec<PlainVersion>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PlainVersion {
    version: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PlainList {
    resources: Vec<PlainResource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PlainResource {
    name: String,
    singular_name: String,
    kind: String,
    namespaced: bool,
    short_names: Vec<String>,
    verbs: Vec<String>,
}

impl Root {
    fn aggregated(self) -> Vec<Resource> {
        let mut found: Vec<Resource> = Vec::new();
        for group in self.items {
            let name = group.metadata.name;
            // Versions come in the order of preference.
            for version in group.versions {
                for resource in version.resources.into_iter().filter(|r| r.verbs.iter().any(|v| v == "list")) {
                    if !found.iter().any(|known| known.group == name && known.plural == resource.resource) {
                        found.extend(resource.into_resource(&name, &version.version));
                    }
                }
            }
        }
        found
    }
}

impl AggregatedResource {
    fn into_resource(self, group: &str, version: &str) -> Option<Resource> {
        let kind = self.response_kind?.kind;
        let singular = Some(self.singular_resource).filter(|s| !s.is_empty()).unwrap_or_else(|| kind.to_lowercase());
        Some(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind,
            plural: self.resource,
            singular,
            short_names: self.short_names,
            namespaced: self.scope == "Namespaced",
        })
    }
}

impl PlainResource {
    fn into_resource(self, group: &str, version: &str) -> Option<Resource> {
        if self.name.contains('/') || !self.verbs.iter().any(|v| v == "list") {
            return None;
        }
        let singular = Some(self.singular_name).filter(|s| !s.is_empty()).unwrap_or_else(|| self.kind.to_lowercase());
        Some(Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: self.kind,
            plural: self.name,
            singular,
            short_names: self.short_names,
            namespaced: self.namespaced,
        })
    }
}
