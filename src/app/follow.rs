//! What the strip below the incidents follows: the objects, events, log and usage of the selection.
//!
//! Recomputed when facts or the selection change, never per frame.

use std::collections::BTreeSet;

use super::incidents::Incidents;
use crate::diagnosis::{EvidenceSource, Incident};
use crate::kinds::pods::{ContainerRole, Pod};
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::{Key, LogSpec, Snapshot, UsageKey};
use crate::text::Text;

/// Events shown at most.
const EVENTS: usize = 300;

/// What the strip shows.
#[derive(Debug, Default)]
pub struct Follow {
    /// Whose events, logs and metrics: a name, or the whole cluster.
    pub title: String,
    /// Keys of events, newest first.
    pub events: Vec<Key>,
    /// The log to show, and why this one.
    pub log: Option<(LogSpec, String)>,
    /// The container to chart: the one closest to its memory limit.
    pub usage: Option<UsageKey>,
    /// Pods of the selected workloads, sorted by key.
    pub pods: Vec<Key>,
    /// Restarts over these pods.
    pub restarts: i32,
}

impl Follow {
    /// What belongs to the selected incident, or to the cluster when nothing is selected.
    pub fn of(snapshot: &Snapshot, incidents: &Incidents) -> Self {
        match incidents.selected() {
            Some(row) => Self::of_incident(snapshot, &row.incident),
            None => Self {
                title: "the whole cluster".to_owned(),
                events: newest(snapshot, snapshot.events.keys().cloned()),
                ..Self::default()
            },
        }
    }

    fn of_incident(snapshot: &Snapshot, incident: &Incident) -> Self {
        let workload_pods: Vec<&Pod> = incident.workloads.iter().flat_map(|w| snapshot.pods_of(w)).collect();
        let mut objects: BTreeSet<ObjectRef> = incident.objects.iter().chain(&incident.workloads).cloned().collect();
        for pod in &workload_pods {
            objects.insert(ObjectRef::new("Pod", &pod.meta.namespace, &pod.meta.name));
            if let Some(owner) = pod.meta.controller() {
                objects.insert(ObjectRef::new(&owner.kind, &pod.meta.namespace, &owner.name));
            }
        }
        let events = objects.iter().flat_map(|o| snapshot.events_about(o)).map(|e| Key::of(&e.meta));
        let events = newest(snapshot, events);
        let failing: Vec<&Pod> = incident
            .objects
            .iter()
            .filter(|o| &*o.kind == KindId::Pod.name())
            .filter_map(|o| snapshot.pods.named(&o.namespace, &o.name))
            .collect();
        Self {
            title: title(incident),
            events,
            log: quoted_log(snapshot, incident).or_else(|| choose_log(&failing, &workload_pods)),
            usage: choose_usage(snapshot, &failing, &workload_pods),
            restarts: workload_pods.iter().map(|p| p.restarts()).sum(),
            pods: workload_pods.iter().map(|p| Key::of(&p.meta)).collect(),
        }
    }
}

/// The first workload's name, with the number of the others.
pub fn title(incident: &Incident) -> String {
    let first = incident.workloads.first().map_or("", |w| &w.name);
    match incident.workloads.len() {
        0 | 1 => first.to_owned(),
        more => format!("{first} +{}", more - 1),
    }
}

fn newest(snapshot: &Snapshot, keys: impl Iterator<Item = Key>) -> Vec<Key> {
    let mut keys: Vec<(Option<crate::text::Time>, Key)> =
        keys.map(|key| (snapshot.events.get(&key).and_then(crate::kinds::events::Event::last_seen), key)).collect();
    keys.sort_by(|a, b| b.cmp(a));
    keys.truncate(EVENTS);
    keys.into_iter().map(|(_, key)| key).collect()
}

/// The run the diagnosis quotes: its proof stands there. Its field is `container NAME, previous` or `container NAME, current`.
fn quoted_log(snapshot: &Snapshot, incident: &Incident) -> Option<(LogSpec, String)> {
    let quotes = incident.evidence.iter().filter(|quote| quote.from == EvidenceSource::Log);
    quotes.into_iter().find_map(|quote| {
        let pod = snapshot.pods.named(&quote.object.namespace, &quote.object.name)?;
        let (container, run) = quote.field.strip_prefix("container ")?.split_once(", ")?;
        let previous = run.starts_with("previous");
        let why = if previous { "the run that crashed" } else { "following" };
        Some((spec(pod, &container.into(), previous), why.to_owned()))
    })
}

/// The log that says most: the last run of a crashed container, else a failing pod that runs, else a ready pod of the workload.
fn choose_log(failing: &[&Pod], all: &[&Pod]) -> Option<(LogSpec, String)> {
    if let Some(found) = failing.iter().find_map(|pod| crashed(pod)) {
        return Some(found);
    }
    if let Some(pod) = failing.iter().find(|pod| running(pod).is_some()) {
        return Some((spec(pod, &running(pod)?, false), "following".to_owned()));
    }
    let pod = all.iter().find(|pod| pod.is_ready()).or_else(|| all.iter().find(|pod| running(pod).is_some()))?;
    let why = if failing.is_empty() { "following" } else { "the failing pod never started: a ready one" };
    Some((spec(pod, &running(pod)?, false), why.to_owned()))
}

fn crashed(pod: &Pod) -> Option<(LogSpec, String)> {
    let view = pod
        .containers()
        .filter(|view| view.role != ContainerRole::Ephemeral)
        .filter(|view| view.status.restart_count > 0 || view.status.state.terminated.is_some())
        .find(|view| view.last_terminated().is_some_and(|(t, _)| t.exit_code != 0 || !view.status.ready))?;
    // While a container waits or runs again, the crash is the previous run; when it just ended, it is the current one.
    let previous = view.status.state.terminated.is_none();
    let why = if previous { "the run that crashed" } else { "the run that ended" };
    Some((spec(pod, &view.status.name, previous), why.to_owned()))
}

fn running(pod: &Pod) -> Option<Text> {
    pod.containers()
        .filter(|v| v.role == ContainerRole::Main)
        .find(|v| v.status.state.running.is_some())
        .map(|v| v.status.name.clone())
}

fn spec(pod: &Pod, container: &Text, previous: bool) -> LogSpec {
    LogSpec {
        namespace: pod.meta.namespace.clone(),
        pod: pod.meta.name.clone(),
        container: container.clone(),
        previous,
        follow: !previous,
        tail: Some(500),
        since_seconds: None,
    }
}

/// The container whose last known memory is closest to its limit; without limits the largest.
fn choose_usage(snapshot: &Snapshot, failing: &[&Pod], all: &[&Pod]) -> Option<UsageKey> {
    let of = |pods: &[&Pod]| {
        pods.iter()
            .flat_map(|pod| pod.spec.containers.iter().map(move |c| (pod, c)))
            .filter_map(|(pod, container)| {
                let key = UsageKey {
                    namespace: pod.meta.namespace.clone(),
                    pod: pod.meta.name.clone(),
                    container: container.name.clone(),
                };
                let (_, _, memory) = snapshot.usage.get(&key)?.last()?;
                let share = container.resources.limit("memory").map_or(memory / 1e15, |limit| memory / limit);
                Some((share, key))
            })
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, key)| key)
    };
    of(failing).or_else(|| of(all))
}
