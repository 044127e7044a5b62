//! The change that came before an incident.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::revisions::history;
use super::{Change, ChangeKind, DiffLine, config, references, scaling, template};
use crate::kinds::{Condition, KindId, ObjectRef, Row};
use crate::snapshot::{Key, Snapshot};
use crate::text::Time;

/// How long before the first failure a change is still named with it.
pub const WINDOW: TimeDelta = TimeDelta::hours(1);
/// A cluster's times have whole seconds and come from several clocks: a change may seem this much later than its effect.
const SKEW: TimeDelta = TimeDelta::seconds(5);

/// The newest change of these workloads, their configuration or their nodes in the hour before `since` (the first failure;
/// `None`: before `now`). Of two at once: a rollout before config, scaling, nodes.
pub fn before(snapshot: &Snapshot, workloads: &[ObjectRef], since: Option<Time>, now: Time) -> Option<Change> {
    let until = since.map_or(now, |since| since + SKEW);
    workloads
        .iter()
        .flat_map(|workload| changes_of(snapshot, workload))
        .filter(|change| change.at <= until && until - change.at <= WINDOW + SKEW)
        .max_by_key(|change| (change.at, std::cmp::Reverse(change.kind)))
}

/// How sure it is that a change explains a failure that followed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sureness {
    /// True for `likely`: something besides the times speaks for it. Else `possible`.
    pub likely: bool,
    /// What it rests on: `revision 1 worked, 3 of its pods are ready`.
    pub why: String,
}

impl Sureness {
    /// `likely`, `possible`.
    pub fn word(&self) -> &'static str {
        if self.likely { "likely" } else { "possible" }
    }
}

impl std::fmt::Display for Sureness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.word(), self.why)
    }
}

/// How sure it is that a change explains a failure that followed it, for a person. Times alone prove nothing.
pub fn sureness(snapshot: &Snapshot, change: &Change) -> Sureness {
    let (likely, why) = match change.kind {
        ChangeKind::Rollout => match change.previous_revision {
            None if snapshot.pods_of(&change.object).iter().any(|pod| pod.is_ready()) => {
                (false, "no revision before it is known, and pods of it are ready".to_owned())
            }
            None => (true, "it has not worked since its first revision".to_owned()),
            Some(previous) => {
                let known = history(snapshot, &change.object);
                let proof = known.iter().find(|r| r.number == previous).and_then(|r| r.proof.clone());
                match proof {
                    Some(proof) => (true, format!("revision {previous} worked, {proof}")),
                    None => (false, format!("nothing shows that revision {previous} worked")),
                }
            }
        },
        ChangeKind::Config => match config::diff(snapshot, &change.object) {
            Some(diff) if diff.is_empty() => (false, "its pods read it, but its data stayed the same".to_owned()),
            Some(_) => (true, "its pods read it, and what they read changed".to_owned()),
            None => (false, read_but_unseen(snapshot, &change.object)),
        },
        ChangeKind::Scale => (false, "only the times fit".to_owned()),
        ChangeKind::Node => (false, "its pods are there".to_owned()),
    };
    Sureness { likely, why }
}

fn read_but_unseen(snapshot: &Snapshot, object: &ObjectRef) -> String {
    let unseen = "what stood there before is not known";
    match config::keys_of_writer(snapshot, object) {
        Some(keys) => format!("its pods read it; the keys of its last writer are {keys}; {unseen}"),
        None => format!("its pods read it; {unseen}"),
    }
}

/// Everything that is known to have changed about a workload (or a node, a ConfigMap, a Secret), in no order.
pub fn changes_of(snapshot: &Snapshot, workload: &ObjectRef) -> Vec<Change> {
    match KindId::from_name(&workload.kind) {
        Some(KindId::Node) => return node_changes(snapshot, &workload.name),
        Some(KindId::ConfigMap | KindId::Secret) => return config_write(snapshot, workload).into_iter().collect(),
        _ => {}
    }
    let mut found = rollouts(snapshot, workload);
    found.extend(scaling::changes(snapshot, workload));
    let Some(row) = snapshot.find(workload) else { return found };
    if let Some(spec) = references::spec_of(&row) {
        found.extend(references::config_of(spec, &workload.namespace).iter().filter_map(|config| config_write(snapshot, config)));
    }
    let nodes: BTreeSet<_> = snapshot.pods_of(workload).into_iter().filter_map(|pod| pod.node_name.clone()).collect();
    found.extend(nodes.iter().flat_map(|node| node_changes(snapshot, node)));
    found
}

/// The rollouts of a workload that the cluster still knows, newest first, each with its template diff.
pub fn rollouts(snapshot: &Snapshot, workload: &ObjectRef) -> Vec<Change> {
    let known = history(snapshot, workload);
    let older = known.iter().skip(1).map(Some).chain(std::iter::once(None));
    known
        .iter()
        .zip(older)
        .filter_map(|(revision, older)| {
            Some(Change {
                kind: ChangeKind::Rollout,
                object: workload.clone(),
                at: revision.at?,
                by: revision.by.as_deref().map(str::to_owned),
                revision: Some(revision.number),
                previous_revision: older.map(|r| r.number),
                diff: older.map(|r| template::diff(&r.template, &revision.template)).unwrap_or_default(),
            })
        })
        .collect()
}

/// The rollout of that revision of a workload, e.g. the one [`super::is_regression`] blames.
pub fn rollout_of(snapshot: &Snapshot, workload: &ObjectRef, revision: i64) -> Option<Change> {
    rollouts(snapshot, workload).into_iter().find(|change| change.revision == Some(revision))
}

/// The last write to a ConfigMap or Secret; with a diff where the content before it was seen.
pub fn config_write(snapshot: &Snapshot, config: &ObjectRef) -> Option<Change> {
    let row = snapshot.find(config)?;
    let meta = row.meta();
    let writer = meta.last_writer().filter(|w| w.time.is_some());
    Some(Change {
        kind: ChangeKind::Config,
        object: config.clone(),
        at: writer.and_then(|w| w.time).or(meta.creation_timestamp)?,
        by: writer.map(|w| w.manager.to_string()),
        revision: None,
        previous_revision: None,
        diff: config::diff(snapshot, config).unwrap_or_default(),
    })
}

/// Conditions of a node that turned bad, or `Ready` that came back.
pub fn node_changes(snapshot: &Snapshot, node: &str) -> Vec<Change> {
    let Some(Row::Node(node)) = snapshot.row(KindId::Node, &Key::new("", node)) else { return Vec::new() };
    let created = node.meta.creation_timestamp;
    let object = ObjectRef::new("Node", "", &node.meta.name);
    let turned = |c: &&Condition| if &*c.kind == "Ready" { true } else { c.is_true() };
    let changes = node.status.conditions.iter().filter(turned).filter_map(|c| {
        let at = c.last_transition_time?;
        // A new node's first conditions are not a change of it.
        if created.is_some_and(|created| at - created < TimeDelta::minutes(5)) && c.is_true() == (&*c.kind == "Ready") {
            return None;
        }
        let old = if c.is_true() { "False" } else { "True" };
        let new = if c.reason().is_empty() { c.status.to_string() } else { format!("{} ({})", c.status, c.reason()) };
        Some(Change {
            kind: ChangeKind::Node,
            object: object.clone(),
            at,
            by: None,
            revision: None,
            previous_revision: None,
            diff: vec![DiffLine { field: c.kind.to_string(), old: Some(old.to_owned()), new: Some(new) }],
        })
    });
    changes.collect()
}
