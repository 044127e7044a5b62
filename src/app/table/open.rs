//! Opening tables: from the prompt, by drilling down, by jumping to an owner or a node.

use super::{TableView, of_kind, refresh};
use crate::app::effect::Effect;
use crate::app::state::State;
use crate::app::view::View;
use crate::kinds::pods::{ContainerRole, Pod};
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::{Key, LogSpec};

/// Puts a table on top.
pub fn push(state: &mut State, table: TableView) -> Vec<Effect> {
    state.open(View::Table(Box::new(table)));
    refresh(state);
    Vec::new()
}

/// The table of a kind, restricted to what belongs to an object.
pub fn belonging(state: &mut State, kind: KindId, owner: ObjectRef) -> Vec<Effect> {
    let Some(spec) = of_kind(kind) else { return Vec::new() };
    push(state, TableView { of: Some(owner), ..TableView::new(spec) })
}

/// The table of an object's kind with the object selected.
pub fn at(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let spec = KindId::from_name(&object.kind).and_then(of_kind);
    let Some(spec) = spec else {
        state.notify(format!("k3am has no table of {}", object.kind));
        return Vec::new();
    };
    let namespace = (!object.namespace.is_empty()).then(|| object.namespace.to_string());
    let selected = Some(Key::new(&object.namespace, &object.name));
    push(state, TableView { namespace, selected, ..TableView::new(spec) })
}

/// Enter: down to what the selected object is made of; where there is nothing below, its YAML.
pub fn below(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    match KindId::from_name(&object.kind) {
        Some(KindId::Pod) => logs(state, object, false),
        Some(KindId::Namespace) => {
            let Some(spec) = of_kind(KindId::Pod) else { return Vec::new() };
            push(state, TableView { namespace: Some(object.name.to_string()), ..TableView::new(spec) })
        }
        Some(KindId::CronJob) => belonging(state, KindId::Job, object.clone()),
        Some(
            KindId::Deployment
            | KindId::StatefulSet
            | KindId::DaemonSet
            | KindId::ReplicaSet
            | KindId::Job
            | KindId::Node
            | KindId::Service,
        ) => belonging(state, KindId::Pod, object.clone()),
        Some(KindId::Event) => about(state, object),
        _ => {
            crate::app::text_view::open_object(state, object, "YAML");
            vec![Effect::FetchYaml { object: object.clone(), reveal: false }]
        }
    }
}

/// From an event to the object it is about.
fn about(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let event = state.snapshot.events.named(&object.namespace, &object.name);
    match event.map(crate::kinds::events::Event::object) {
        Some(about) => at(state, &about),
        None => Vec::new(),
    }
}

/// The log of a pod, or of the pod of a workload that says most.
pub fn logs(state: &mut State, object: &ObjectRef, previous: bool) -> Vec<Effect> {
    let pods = super::rows::pods_of(&state.snapshot, object);
    let pods = pods.iter().filter_map(|key| state.snapshot.pods.get(key));
    let spec = pods.max_by_key(|pod| (!pod.is_ready(), pod.restarts())).and_then(|pod| log_of(pod, previous));
    let Some(spec) = spec else {
        let what = if previous { "nothing of it has run before" } else { "no container of it has run yet" };
        state.notify(format!("{what}: there is no log"));
        return Vec::new();
    };
    state.open(View::Logs);
    state.logs.open(spec, "chosen with the key")
}

/// The container that fails, else the first that has run; while it waits after a crash, its last run.
fn log_of(pod: &Pod, previous: bool) -> Option<LogSpec> {
    let has_run = |status: &crate::kinds::pods::ContainerStatus| {
        let before = status.restart_count > 0 || status.last_state.terminated.is_some();
        before || !previous && (status.state.running.is_some() || status.state.terminated.is_some())
    };
    let mut views: Vec<_> = pod.containers().filter(|v| v.role != ContainerRole::Ephemeral && has_run(v.status)).collect();
    views.sort_by_key(|v| (v.status.ready || v.role == ContainerRole::Init, v.role != ContainerRole::Main, v.index));
    let status = views.first()?.status;
    let previous = previous || status.state.waiting.is_some();
    Some(LogSpec {
        namespace: pod.meta.namespace.clone(),
        pod: pod.meta.name.clone(),
        container: status.name.clone(),
        previous,
        follow: !previous,
        tail: Some(500),
        since_seconds: None,
    })
}
