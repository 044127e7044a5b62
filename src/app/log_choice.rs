//! Which container's log says most about an incident: the run a diagnosis quoted, else a crashed run, else what runs.
//! When the new pod never started, a ready one, and the pane says so.

use crate::diagnosis::{EvidenceSource, Incident};
use crate::kinds::ObjectRef;
use crate::kinds::pods::{ContainerView, Pod};
use crate::snapshot::Snapshot;
use crate::text::Text;

use super::LogSpec;

/// Lines from the end to start with.
pub const TAIL: i64 = 1_000;

/// A container's run whose log is shown, and why this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChoice {
    /// Pod's namespace.
    pub namespace: Text,
    /// Pod.
    pub pod: Text,
    /// Container.
    pub container: Text,
    /// The run before the current one.
    pub previous: bool,
    /// Why this one, when it is not what a person would expect.
    pub note: Option<String>,
}

impl LogChoice {
    fn of(pod: &Pod, container: &str, previous: bool) -> Self {
        Self {
            namespace: pod.meta.namespace.clone(),
            pod: pod.meta.name.clone(),
            container: container.into(),
            previous,
            note: None,
        }
    }

    /// The stream that shows its end and goes on.
    pub fn spec(&self) -> LogSpec {
        LogSpec {
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            container: self.container.clone(),
            previous: self.previous,
            follow: !self.previous,
            tail: Some(TAIL),
            since_seconds: None,
        }
    }
}

/// The log that says most about an incident.
pub fn for_incident(snapshot: &Snapshot, incident: &Incident) -> Option<LogChoice> {
    let quoted = incident.evidence.iter().filter(|e| e.from == EvidenceSource::Log).find_map(|e| {
        let pod = snapshot.pods.named(&e.object.namespace, &e.object.name)?;
        let (container, run) = e.field.strip_prefix("container ")?.split_once(", ")?;
        Some(LogChoice::of(pod, container, run.starts_with("previous")))
    });
    let named = || incident.objects.iter().filter(|o| &*o.kind == "Pod");
    let affected: Vec<&Pod> = named().filter_map(|o| snapshot.pods.named(&o.namespace, &o.name)).collect();
    let mates: Vec<&Pod> = incident.workloads.iter().flat_map(|workload| snapshot.pods_of(workload)).collect();
    quoted.or_else(|| best(&affected)).or_else(|| {
        let mut ready = best(&mates.iter().copied().filter(|pod| pod.is_ready()).collect::<Vec<_>>()).or_else(|| best(&mates))?;
        if !affected.is_empty() {
            ready.note = Some("the new pod never started: a ready one".to_owned());
        }
        Some(ready)
    })
}

/// The log of a pod, or of a workload's most telling pod.
pub fn for_object(snapshot: &Snapshot, object: &ObjectRef) -> Option<LogChoice> {
    best(&snapshot.pods_of(object))
}

/// The most telling container of these pods: crashed first, then running.
fn best(pods: &[&Pod]) -> Option<LogChoice> {
    let crashed = pods.iter().find_map(|pod| {
        let container = pod.containers().find(|c| !c.status.ready && c.last_terminated().is_some_and(|(t, _)| t.exit_code != 0))?;
        Some(LogChoice::of(pod, &container.status.name, container.status.state.terminated.is_none()))
    });
    let running = || {
        let mut found: Vec<(&&Pod, ContainerView<'_>)> = pods
            .iter()
            .flat_map(|pod| pod.containers().map(move |c| (pod, c)))
            .filter(|(_, c)| c.status.state.running.is_some() || c.status.state.terminated.is_some())
            .collect();
        // What is not ready says more than what is; a container of the application more than a sidecar.
        found.sort_by_key(|(_, c)| (c.status.ready, c.role != crate::kinds::pods::ContainerRole::Main, c.index));
        found.first().map(|(pod, c)| LogChoice::of(pod, &c.status.name, false))
    };
    crashed.or_else(running)
}
