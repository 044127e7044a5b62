//! A bundle: the files of a cluster, read instead of the cluster itself.
//!
//! Layouts are recognised by content: any `kubectl get -o json|yaml` output (a List, bare arrays or single objects), the folder or
//! the single stream of `kubectl cluster-info dump`, support bundles of troubleshoot.sh, must-gathers, container logs under every
//! name we know (`log_names.rs`), `/version`, the kubelet's `/stats/summary`, pod metrics. What is broken or unknown is named and
//! skipped, never fatal. The same files give the same snapshot: order does not matter, the same object found twice counts once (the
//! newer resourceVersion, then the copy that says more).
//!
//! Two passes, both streams: objects become rows as they are read, then the ends of logs are kept for the pods now known. What is
//! asked for later (an object in full, a whole log) is read again from its file ([`Store`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::kinds::{KindId, ObjectRef, Row};
use crate::snapshot::{Delta, Identity, Key, LogExcerpt, LogKey, Scope, Snapshot, UsageKey};
use crate::text::Time;

mod archive;
mod documents;
mod encoding;
mod files;
mod log_names;
mod logs;
mod names;
mod objects;
mod refusals;
mod scopes;
mod store;
mod times;
mod usage;

pub use files::BundleError;
pub use logs::excerpt;
pub use store::Store;

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
    /// When to judge ages at: the newest time the objects speak of (logs and metrics count only when no object has any), or a
    /// later one that a file of the bundle names as the time it was taken.
    pub newest: Option<Time>,
    /// Files that were broken or not recognised.
    pub skipped: Vec<Skipped>,
    /// Files that were used.
    pub used: usize,
    taken: Option<Time>,
    objects: BTreeMap<(KindId, Key), Copy>,
    others: BTreeMap<ObjectRef, u32>,
    files: FileNames,
    listed: scopes::Listed,
    single: BTreeSet<KindId>,
    denied: BTreeMap<(KindId, Scope), String>,
    logs: BTreeMap<LogKey, LogExcerpt>,
    log_files: BTreeMap<LogKey, u32>,
    usage: BTreeMap<UsageKey, (Time, f64, f64)>,
    page_cache: BTreeMap<UsageKey, f64>,
    throttling: BTreeMap<UsageKey, (f64, f64)>,
    throttled_at: Option<Time>,
}

/// One copy of an object, and the file it was found in.
#[derive(Debug, Clone)]
struct Copy {
    row: Row,
    size: usize,
    file: u32,
}

impl Copy {
    /// Orders copies of one object. resourceVersions of one server are comparable numbers (KEP-5504).
    fn worth(&self) -> (u128, usize) {
        (self.row.meta().resource_version.parse().unwrap_or_default(), self.size)
    }
}

/// The names of files, each once.
#[derive(Debug, Clone, Default)]
struct FileNames(Vec<String>);

impl FileNames {
    /// The number of the file being read.
    fn number(&mut self, path: &str) -> u32 {
        if self.0.last().is_none_or(|last| last != path) {
            self.0.push(path.to_owned());
        }
        self.0.len() as u32 - 1
    }
}

/// Reads a folder, an archive (`.tar`, `.tgz`, `.zip`) or a single file.
///
/// # Errors
/// The path does not exist or cannot be read, or nothing in it is a Kubernetes object.
pub fn read(path: &Path) -> Result<Bundle, BundleError> {
    let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    let mut bundle = Bundle { name, ..Bundle::default() };
    let mut objects = objects::Reader::new(&mut bundle);
    files::visit(path, &mut objects)?;
    let texts = objects.finish();
    if !texts.is_empty() {
        let mut logs = logs::Reader::new(&mut bundle, texts);
        files::visit(path, &mut logs)?;
        logs.finish();
    }
    bundle.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    if bundle.objects.is_empty() && bundle.listed.is_empty() {
        let first = bundle.skipped.iter().find(|s| s.broken);
        let first = first.map(|s| if s.path.is_empty() { s.why.clone() } else { format!("{}: {}", s.path, s.why) });
        return Err(BundleError::Nothing { path: path.display().to_string(), skipped: bundle.skipped.len(), first });
    }
    // A clock that is a day off is not the cluster's.
    let same_day = |taken: &Time| bundle.newest.is_none_or(|newest| (*taken - newest).abs() < chrono::TimeDelta::days(1));
    bundle.newest = bundle.newest.max(bundle.taken.filter(same_day));
    Ok(bundle)
}

impl Bundle {
    /// Objects without rows that are remembered.
    const MOST_OTHERS: usize = 200_000;

    /// The bundle as the deltas a live source would have sent, in a fixed order.
    pub fn deltas(&self) -> Vec<Delta> {
        let mut deltas = Vec::new();
        self.each_delta(&mut |delta| deltas.push(delta));
        deltas
    }

    /// Everything in one snapshot.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.each_delta(&mut |delta| {
            snapshot.apply(delta);
        });
        snapshot
    }

    /// Everything in one snapshot, moved out of the bundle: what is large is never there twice.
    pub fn take_snapshot(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let at = self.newest.unwrap_or_default();
        for &kind in KindId::ALL {
            self.kind_deltas(kind, at, &mut |delta| {
                snapshot.apply(delta);
            });
            self.objects.retain(|(known, _), _| *known != kind);
        }
        for (key, excerpt) in std::mem::take(&mut self.logs) {
            snapshot.apply(Delta::Log { key, excerpt });
        }
        self.other_deltas(&mut |delta| {
            snapshot.apply(delta);
        });
        snapshot
    }

    fn each_delta(&self, tell: &mut dyn FnMut(Delta)) {
        let at = self.newest.unwrap_or_default();
        for &kind in KindId::ALL {
            self.kind_deltas(kind, at, tell);
        }
        self.other_deltas(tell);
    }

    fn other_deltas(&self, tell: &mut dyn FnMut(Delta)) {
        let at = self.newest.unwrap_or_default();
        tell(Delta::Identity(Identity { name: self.name.clone(), server_version: self.server_version.clone() }));
        for (key, excerpt) in &self.logs {
            tell(Delta::Log { key: key.clone(), excerpt: excerpt.clone() });
        }
        for (key, &(at, cpu, memory)) in &self.usage {
            tell(Delta::Usage { samples: vec![(key.clone(), cpu, memory)], at });
        }
        if !self.page_cache.is_empty() {
            tell(Delta::PageCache { samples: self.page_cache.iter().map(|(key, &bytes)| (key.clone(), bytes)).collect() });
        }
        if !self.throttling.is_empty() {
            let samples = self.throttling.iter().map(|(key, &(periods, held))| (key.clone(), periods, held)).collect();
            tell(Delta::Throttling { samples, at: self.throttled_at.unwrap_or(at) });
        }
    }

    fn kind_deltas(&self, kind: KindId, at: Time, tell: &mut dyn FnMut(Delta)) {
        let scopes = self.scopes(kind);
        for scope in &scopes {
            tell(Delta::ListStarted { kind, scope: scope.clone() });
        }
        let first = (kind, Key::new("", ""));
        for ((_, key), copy) in self.objects.range(first..).take_while(|((k, _), _)| *k == kind) {
            let own = Scope::Namespace(key.namespace.clone());
            let scope = if scopes.binary_search(&own).is_ok() { own } else { Scope::Cluster };
            tell(Delta::Upsert { scope, row: copy.row.clone() });
        }
        for scope in &scopes {
            tell(Delta::Listed { kind, scope: scope.clone(), at });
        }
        let mut denied = false;
        for ((_, scope), why) in self.denied.iter().filter(|((k, scope), _)| *k == kind && !scopes.contains(scope)) {
            tell(Delta::Denied { kind, scope: scope.clone(), why: why.clone() });
            denied = true;
        }
        let here = self.objects.range((kind, Key::new("", ""))..).next().is_some_and(|((k, _), _)| *k == kind);
        if !denied && scopes.is_empty() && here {
            let why = if self.single.contains(&kind) {
                "the bundle holds single objects of this kind, not the whole list"
            } else {
                "the bundle's list of this kind is damaged"
            };
            tell(Delta::Denied { kind, scope: Scope::Cluster, why: why.to_owned() });
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
