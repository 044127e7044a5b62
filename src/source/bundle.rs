//! A bundle: the files of a cluster, read instead of the cluster itself.
//!
//! Layouts are recognised by content: any `kubectl get -o json|yaml` output (a List or single objects), the folder of
//! `kubectl cluster-info dump`, container logs in `NS/POD/CONTAINER[.previous].log`, `/version`, the kubelet's
//! `/stats/summary`, pod metrics. What is broken or unknown is named and skipped, never fatal. The same files give the same
//! snapshot: order does not matter, the same object found twice counts once (the newer resourceVersion).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::kinds::{KindId, Pool, Row};
use crate::snapshot::{Delta, Identity, Key, LogExcerpt, LogKey, Scope, Snapshot, UsageKey};
use crate::text::Time;

mod archive;
mod files;
mod logs;
mod objects;
mod times;
mod usage;

pub use files::BundleError;
pub use logs::excerpt;

/// A file that could not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Path inside the bundle.
    pub path: String,
    /// One line for a person.
    pub why: String,
    /// True when it looked like one of ours and is damaged, so that something is missing; false when it is of no use here.
    pub broken: bool,
}

/// What a bundle holds, ready to be folded into a [`Snapshot`].
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// Name of the folder or archive.
    pub name: String,
    /// `gitVersion` of the server, if `/version` was saved.
    pub server_version: Option<String>,
    /// The newest time the objects speak of (logs and metrics count only when no object has any): when to judge ages at.
    pub newest: Option<Time>,
    /// Files that were broken or not recognised.
    pub skipped: Vec<Skipped>,
    /// Files that were used.
    pub used: usize,
    objects: BTreeMap<(KindId, Key), Row>,
    listed: BTreeMap<KindId, BTreeSet<Scope>>,
    single: BTreeSet<KindId>,
    denied: BTreeMap<KindId, String>,
    logs: BTreeMap<LogKey, LogExcerpt>,
    usage: BTreeMap<UsageKey, (Time, f64, f64)>,
    throttling: BTreeMap<UsageKey, (f64, f64)>,
    throttled_at: Option<Time>,
}

/// Reads a folder, an archive (`.tar`, `.tgz`) or a single file.
///
/// # Errors
/// The path does not exist or cannot be read, or nothing in it is a Kubernetes object.
pub fn read(path: &Path) -> Result<Bundle, BundleError> {
    let (files, skipped) = files::collect(path)?;
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let mut bundle = Bundle { name, skipped, ..Bundle::default() };
    let mut reader = objects::Reader::new(&mut bundle, Pool::default());
    let mut texts = Vec::new();
    for file in files {
        if let Some(text) = reader.file(file) {
            texts.push(text);
        }
    }
    reader.finish();
    logs::attach(&mut bundle, &texts);
    if bundle.objects.is_empty() && bundle.listed.is_empty() {
        return Err(BundleError::Nothing { path: path.display().to_string(), skipped: bundle.skipped.len() });
    }
    bundle.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(bundle)
}

impl Bundle {
    /// The bundle as the deltas a live source would have sent, in a fixed order.
    pub fn deltas(&self) -> Vec<Delta> {
        let at = self.newest.unwrap_or_default();
        let mut deltas = vec![Delta::Identity(Identity { name: self.name.clone(), server_version: self.server_version.clone() })];
        for &kind in KindId::ALL {
            self.kind_deltas(kind, at, &mut deltas);
        }
        deltas.extend(self.logs.iter().map(|(key, excerpt)| Delta::Log { key: key.clone(), excerpt: excerpt.clone() }));
        deltas.extend(
            self.usage.iter().map(|(key, &(at, cpu, memory))| Delta::Usage { samples: vec![(key.clone(), cpu, memory)], at }),
        );
        if !self.throttling.is_empty() {
            let samples = self.throttling.iter().map(|(key, &(periods, held))| (key.clone(), periods, held)).collect();
            deltas.push(Delta::Throttling { samples, at: self.throttled_at.unwrap_or(at) });
        }
        deltas
    }

    /// Everything in one snapshot.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for delta in self.deltas() {
            snapshot.apply(delta);
        }
        snapshot
    }

    fn kind_deltas(&self, kind: KindId, at: Time, deltas: &mut Vec<Delta>) {
        let scopes = self.scopes(kind);
        deltas.extend(scopes.iter().map(|scope| Delta::ListStarted { kind, scope: scope.clone() }));
        let rows = self.objects.iter().filter(|((k, _), _)| *k == kind);
        for ((_, key), row) in rows {
            let scope = scopes.iter().find(|s| s.contains(&key.namespace)).cloned().unwrap_or(Scope::Cluster);
            deltas.push(Delta::Upsert { scope, row: row.clone() });
        }
        deltas.extend(scopes.into_iter().map(|scope| Delta::Listed { kind, scope, at }));
        if let Some(why) = self.denied.get(&kind) {
            deltas.push(Delta::Denied { kind, scope: Scope::Cluster, why: why.clone() });
        } else if self.single.contains(&kind) && !self.listed.contains_key(&kind) {
            let why = "the bundle holds single objects of this kind, not the whole list".to_owned();
            deltas.push(Delta::Denied { kind, scope: Scope::Cluster, why });
        }
    }

    /// Where the kind was listed. One list of the whole cluster covers the lists of its namespaces.
    fn scopes(&self, kind: KindId) -> Vec<Scope> {
        match self.listed.get(&kind) {
            Some(scopes) if scopes.contains(&Scope::Cluster) => vec![Scope::Cluster],
            Some(scopes) => scopes.iter().cloned().collect(),
            None => Vec::new(),
        }
    }
}
