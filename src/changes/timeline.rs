//! Everything that changed, beside what first failed, on one time axis.

use chrono::TimeDelta;

use super::{Change, ChangeKind, before, regression, scaling};
use crate::for_each_kind;
use crate::kinds::pods::Pod;
use crate::kinds::{KindId, Meta, ObjectRef};
use crate::snapshot::Snapshot;
use crate::text::{Text, Time};

/// What sort of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimelineKind {
    /// A change.
    Change(ChangeKind),
    /// An object's deletion was asked for.
    Deletion,
    /// The pods of a workload failed for the first time.
    Failure,
}

impl TimelineKind {
    /// `rollout`, `config`, `scale`, `node`, `deletion`, `failure`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Change(kind) => kind.word(),
            Self::Deletion => "deletion",
            Self::Failure => "failure",
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEntry {
    /// When.
    pub at: Time,
    /// What sort.
    pub kind: TimelineKind,
    /// About what.
    pub object: ObjectRef,
    /// One line: `revision 4 → 5`, `written`, `replicas 4 → 10`, `BackOff: ...`. From the cluster: clean before display.
    pub what: String,
    /// By which manager, when known.
    pub by: Option<String>,
    /// The change in full, for changes.
    pub change: Option<Change>,
}

/// What a timeline shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimelineFilter {
    /// Only these workloads with their configuration and nodes; empty is all.
    pub workloads: Vec<ObjectRef>,
    /// Only this namespace (and nodes).
    pub namespace: Option<Text>,
    /// Nothing older.
    pub since: Option<Time>,
}

impl TimelineFilter {
    fn namespace_fits(&self, namespace: &str) -> bool {
        namespace.is_empty() || self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    fn fits(&self, object: &ObjectRef) -> bool {
        self.namespace_fits(&object.namespace) && (self.workloads.is_empty() || self.workloads.contains(object))
    }
}

/// Changes, deletions and first failures up to `now`, newest first, each once.
pub fn timeline(snapshot: &Snapshot, filter: &TimelineFilter, now: Time) -> Vec<TimelineEntry> {
    let mut entries: Vec<TimelineEntry> =
        changes(snapshot, filter).into_iter().map(|change| of_change(snapshot, change)).collect();
    entries.extend(deletions(snapshot, filter));
    entries.extend(failures(snapshot, filter));
    entries.retain(|entry| entry.at <= now && filter.since.is_none_or(|since| entry.at >= since));
    entries.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| (a.kind, &a.object, &a.what).cmp(&(b.kind, &b.object, &b.what))));
    entries.dedup();
    entries
}

fn changes(snapshot: &Snapshot, filter: &TimelineFilter) -> Vec<Change> {
    if !filter.workloads.is_empty() {
        let chosen = filter.workloads.iter().filter(|w| filter.namespace_fits(&w.namespace));
        return chosen.flat_map(|workload| before::changes_of(snapshot, workload)).collect();
    }
    let mut found = Vec::new();
    for workload in workloads(snapshot).iter().filter(|w| filter.fits(w)) {
        found.extend(before::rollouts(snapshot, workload));
        found.extend(scaling::changes(snapshot, workload));
    }
    for kind in [KindId::ConfigMap, KindId::Secret] {
        let keys = snapshot.keys(kind).into_iter().filter(|key| filter.namespace_fits(&key.namespace));
        found.extend(
            keys.filter_map(|key| before::config_write(snapshot, &ObjectRef::new(kind.name(), &key.namespace, &key.name))),
        );
    }
    found.extend(snapshot.nodes.iter().flat_map(|node| before::node_changes(snapshot, &node.meta.name)));
    found
}

fn workloads(snapshot: &Snapshot) -> Vec<ObjectRef> {
    [KindId::Deployment, KindId::StatefulSet, KindId::DaemonSet]
        .into_iter()
        .flat_map(|kind| snapshot.keys(kind).into_iter().map(move |key| ObjectRef::new(kind.name(), &key.namespace, &key.name)))
        .collect()
}

/// What was written, else at least whose keys.
fn written(snapshot: &Snapshot, change: &Change) -> String {
    if let [only] = change.diff.as_slice() {
        return format!("written: {}", only.short());
    }
    if !change.diff.is_empty() {
        let fields: Vec<&str> = change.diff.iter().map(|line| line.field.as_str()).collect();
        return format!("written: {}", fields.join(", "));
    }
    super::config::keys_of_writer(snapshot, &change.object)
        .map_or_else(|| "written".to_owned(), |keys| format!("written: keys {keys}"))
}

fn of_change(snapshot: &Snapshot, change: Change) -> TimelineEntry {
    let what = match (change.kind, change.revision, change.previous_revision) {
        (ChangeKind::Rollout, Some(new), Some(old)) => format!("revision {old} → {new}"),
        (ChangeKind::Rollout, Some(new), None) => format!("revision {new}"),
        (ChangeKind::Rollout, None, _) => "rolled out".to_owned(),
        (ChangeKind::Config, ..) => written(snapshot, &change),
        (ChangeKind::Scale | ChangeKind::Node, ..) => {
            change.diff.iter().map(super::DiffLine::short).collect::<Vec<_>>().join(", ")
        }
    };
    TimelineEntry {
        at: change.at,
        kind: TimelineKind::Change(change.kind),
        object: change.object.clone(),
        what,
        by: change.by.clone(),
        change: Some(change),
    }
}

macro_rules! define_deleted {
    ($($variant:ident, $field:ident, $row:ty;)*) => {
        /// Objects whose deletion was asked for and is not done.
        fn deleted(snapshot: &Snapshot) -> Vec<(ObjectRef, &Meta)> {
            let mut found: Vec<(ObjectRef, &Meta)> = Vec::new();
            $(found.extend(snapshot.$field.iter().filter(|row| row.meta.deletion_timestamp.is_some()).map(|row| {
                (ObjectRef::new(KindId::$variant.name(), &row.meta.namespace, &row.meta.name), &row.meta)
            }));)*
            found
        }
    };
}
for_each_kind!(define_deleted);

fn deletions<'a>(snapshot: &'a Snapshot, filter: &'a TimelineFilter) -> impl Iterator<Item = TimelineEntry> + 'a {
    deleted(snapshot).into_iter().filter_map(move |(object, meta)| {
        let about = snapshot.top_owner(&object.kind, meta);
        if !filter.fits(&object) && !filter.fits(&about) {
            return None;
        }
        let grace = TimeDelta::seconds(meta.deletion_grace_period_seconds.unwrap_or(0));
        let finalizers =
            if meta.finalizers.is_empty() { String::new() } else { format!(", waits for {}", meta.finalizers.join(", ")) };
        let what = format!("deletion asked for{finalizers}");
        Some(TimelineEntry {
            at: meta.deletion_timestamp? - grace,
            kind: TimelineKind::Deletion,
            object,
            what,
            by: None,
            change: None,
        })
    })
}

/// One entry a workload: the first failure of a pod of it that is not ready now.
fn failures(snapshot: &Snapshot, filter: &TimelineFilter) -> Vec<TimelineEntry> {
    let mut first: std::collections::BTreeMap<ObjectRef, (Time, &Pod)> = std::collections::BTreeMap::new();
    // A pod that is being deleted does not fail, it is stopped.
    let fails = |pod: &&Pod| !pod.is_ready() && &*pod.status.phase != "Succeeded" && pod.meta.deletion_timestamp.is_none();
    for pod in snapshot.pods.iter().filter(fails) {
        let workload = snapshot.workload_of(pod);
        let Some(at) = regression::first_failure(snapshot, pod).filter(|_| filter.fits(&workload)) else { continue };
        let known = first.entry(workload).or_insert((at, pod));
        if at < known.0 {
            *known = (at, pod);
        }
    }
    first.into_iter().map(|(object, (at, pod))| failure(snapshot, object, at, pod)).collect()
}

fn failure(snapshot: &Snapshot, object: ObjectRef, at: Time, pod: &Pod) -> TimelineEntry {
    let event = snapshot.events_of(KindId::Pod, &pod.meta).into_iter().find(|e| e.is_warning() && e.first_seen() == Some(at));
    let what = event.map_or_else(
        || format!("pod {} failed", pod.meta.name),
        |event| format!("{}: {}", event.reason, super::redact::text(event.text())),
    );
    TimelineEntry { at, kind: TimelineKind::Failure, object, what, by: None, change: None }
}
