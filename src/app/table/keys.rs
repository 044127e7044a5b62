//! What keys do in a table.

use crossterm::event::{Event, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::{TableView, open, rows};
use crate::actions::Intent;
use crate::app::cockpit::moved;
use crate::app::effect::Effect;
use crate::app::prompt::Prompt;
use crate::app::state::{ConnectionState, State};
use crate::app::view::View;
use crate::app::{edit, keys, preview, text_view};
use crate::config::{Action, Hit, Place};
use crate::diagnosis::Risk;
use crate::kinds::{KindId, ObjectRef, Row};

/// Handles an action in the table on top.
pub fn on(state: &mut State, hit: Hit) -> Vec<Effect> {
    let page = usize::from(state.size.1).saturating_sub(5).max(1);
    let favourites = state.config.favourite_namespaces.clone();
    let Some(View::Table(table)) = state.views.last_mut() else { return Vec::new() };
    let last = table.index.len().saturating_sub(1);
    match hit.action {
        Action::Down | Action::Up | Action::Top | Action::Bottom | Action::PageDown | Action::PageUp => {
            let to = moved(table.position(), hit.action, page, last);
            table.select(to);
        }
        Action::Filter => {
            let text = table.filter.as_ref().map(|f| f.text.clone()).unwrap_or_default();
            table.typing = Some(Input::from(text));
        }
        Action::SortByName => table.sort_by("NAME"),
        Action::SortByAge => sort_by_any(table, &["AGE", "LAST SEEN"]),
        Action::SortByStatus => sort_by_any(table, &["STATUS", "READY", "TYPE"]),
        Action::SortByColumn => table.sort_by(table.column),
        Action::PreviousColumn => choose_column(table, false),
        Action::NextColumn => choose_column(table, true),
        Action::FaultsOnly => (table.faults_only, table.stale) = (!table.faults_only, true),
        Action::Wide => (table.wide, table.stale) = (!table.wide, true),
        Action::Mark => table.mark(),
        Action::MarkRange => table.mark_range(),
        Action::ClearMarks => {
            if !table.clear_marks() {
                state.notify("no row is marked");
            }
        }
        Action::Back if !table.marked.is_empty() => {
            table.clear_marks();
        }
        Action::Back if table.filter.is_some() => table.set_filter(""),
        Action::Back => return keys::leave(state),
        Action::Namespace => return choose_namespace(state, hit.nth, &favourites),
        Action::Save => return save(state),
        action => {
            let Some(object) = table.object() else { return Vec::new() };
            let marked = table.marked_objects();
            if let Some(effects) = super::marks::on(state, action, &marked) {
                return effects;
            }
            return on_object(state, action, &object);
        }
    }
    Vec::new()
}

fn sort_by_any(table: &mut TableView, titles: &[&str]) {
    if let Some(column) = titles.iter().find_map(|title| table.spec.column(title)) {
        table.sort_by(column.title);
    }
}

fn choose_column(table: &mut TableView, forward: bool) {
    let titles: Vec<&'static str> = table.spec.columns(table.wide, table.namespace.is_none()).map(|c| c.title).collect();
    let at = titles.iter().position(|title| *title == table.column).unwrap_or(0);
    let to = if forward { (at + 1).min(titles.len().saturating_sub(1)) } else { at.saturating_sub(1) };
    if let Some(title) = titles.get(to) {
        table.column = title;
    }
}

/// 0 is all, 1 to 9 the favourites; without favourites, the namespaces in the order of their names.
fn choose_namespace(state: &mut State, nth: usize, favourites: &[String]) -> Vec<Effect> {
    let names: Vec<String> = if favourites.is_empty() {
        state.snapshot.namespaces.keys().map(|key| key.name.to_string()).collect()
    } else {
        favourites.to_vec()
    };
    let chosen = nth.checked_sub(1).map(|nth| names.get(nth).cloned());
    if chosen == Some(None) {
        state.notify(format!("there is no namespace {nth}: set favourite_namespaces in config.toml"));
        return Vec::new();
    }
    let Some(View::Table(table)) = state.views.last_mut() else { return Vec::new() };
    table.namespace = chosen.flatten();
    // Another namespace has other objects: what belonged to one object of the old one is left.
    table.of = None;
    table.stale = true;
    Vec::new()
}

/// What is done to the selected object.
fn on_object(state: &mut State, action: Action, object: &ObjectRef) -> Vec<Effect> {
    match action {
        Action::Open => open::below(state, object),
        Action::Describe => {
            text_view::open_object(state, object, "description");
            vec![Effect::FetchDescription { object: object.clone() }]
        }
        Action::Yaml => {
            text_view::open_object(state, object, "YAML");
            vec![Effect::FetchYaml { object: object.clone(), reveal: false }]
        }
        Action::Edit => edit::start(state, object),
        Action::Logs => open::logs(state, object, false),
        Action::PreviousLogs => open::logs(state, object, true),
        Action::Shell => shell(state, object),
        Action::Events => open::belonging(state, KindId::Event, object.clone()),
        Action::JumpToOwner => jump_to_owner(state, object),
        Action::JumpToNode => jump_to_node(state, object),
        Action::CopyName => vec![Effect::Copy(object.name.to_string())],
        Action::CopyNamespace if !object.namespace.is_empty() => vec![Effect::Copy(object.namespace.to_string())],
        Action::Undo => undo(state, object),
        Action::Cordon | Action::Uncordon => {
            let intent = Intent::Cordon { node: object.clone(), cordon: action == Action::Cordon };
            preview::open_intent(state, intent, Risk::Disruptive)
        }
        Action::Drain => preview::open_intent(state, Intent::Drain { node: object.clone() }, Risk::Destructive),
        Action::Trigger => preview::open_intent(state, Intent::Trigger { cron_job: object.clone() }, Risk::Safe),
        Action::SuspendCronJob => suspend(state, object),
        Action::RollBack => roll_back(state, object),
        Action::JumpToReplicaSets => open::belonging(state, KindId::ReplicaSet, object.clone()),
        Action::Restart => {
            let intent = Intent::Restart { workload: object.clone() };
            preview::open_intent(state, intent, Risk::Disruptive)
        }
        Action::Scale => ask_replicas(state, object),
        Action::SetImage => ask_image(state, object),
        Action::Delete => delete(state, object, false),
        Action::Kill => delete(state, object, true),
        Action::Timeline => crate::app::timeline::open(state, std::slice::from_ref(object), true),
        Action::Explain => explain(state, object),
        _ => Vec::new(),
    }
}

fn delete(state: &mut State, object: &ObjectRef, force: bool) -> Vec<Effect> {
    // A pod with a controller comes back; anything else does not.
    let replaced = state.snapshot.pods.named(&object.namespace, &object.name).is_some_and(|pod| pod.meta.controller().is_some());
    let is_pod = &*object.kind == KindId::Pod.name();
    let risk = if is_pod && replaced && !force { Risk::Disruptive } else { Risk::Destructive };
    preview::open_intent(state, Intent::Delete { object: object.clone(), force }, risk)
}

/// In the container the pod names as its default, else in the first that runs.
fn shell(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let refused = match &state.connection {
        ConnectionState::Connected(info) if info.source == "bundle" => Some("a bundle has no containers to enter"),
        _ if state.is_read_only() => Some("read-only: a shell could change things"),
        _ => None,
    };
    if let Some(why) = refused {
        state.notify(why);
        return Vec::new();
    }
    let Some(pod) = state.snapshot.pods.named(&object.namespace, &object.name) else { return Vec::new() };
    let default = pod.meta.annotation("kubectl.kubernetes.io/default-container").unwrap_or_default();
    let running = || pod.status.container_statuses.iter().filter(|status| status.state.running.is_some());
    let container = running().find(|status| &*status.name == default).or_else(|| running().next());
    if let Some(container) = container.map(|status| status.name.to_string()) {
        return vec![Effect::Shell { pod: object.clone(), container }];
    }
    state.notify("none of its containers runs: there is nowhere to open a shell");
    Vec::new()
}

fn undo(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let workload = workload_of(state, object);
    if !matches!(&*workload.kind, "Deployment" | "StatefulSet" | "DaemonSet") {
        state.notify("only Deployments, StatefulSets and DaemonSets have rollouts to undo");
        return Vec::new();
    }
    preview::open_undo_of(state, &workload, None)
}

/// Holds the CronJob back, or lets it go on when it is held back.
fn suspend(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let held = match state.snapshot.find(object) {
        Some(Row::CronJob(row)) => row.spec.suspend == Some(true),
        _ => false,
    };
    let intent = Intent::Suspend { cron_job: object.clone(), suspend: !held };
    preview::open_intent(state, intent, Risk::Disruptive)
}

/// To the revision of the selected ReplicaSet.
fn roll_back(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let workload = workload_of(state, object);
    let revision = state
        .snapshot
        .replica_sets
        .named(&object.namespace, &object.name)
        .and_then(crate::kinds::workloads::ReplicaSet::revision);
    let (Some(revision), "Deployment") = (revision, &*workload.kind) else {
        state.notify(format!("{object} is no revision of a Deployment"));
        return Vec::new();
    };
    preview::open_undo_to(state, &workload, revision)
}

fn workload_of(state: &State, object: &ObjectRef) -> ObjectRef {
    match state.snapshot.find(object) {
        Some(row) => state.snapshot.top_owner(&object.kind, row.meta()),
        None => object.clone(),
    }
}

fn ask_replicas(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    if &*object.kind == KindId::DaemonSet.name() {
        state.notify("a DaemonSet runs one pod on each node: it has no number to set");
        return Vec::new();
    }
    let now = match state.snapshot.find(object) {
        Some(Row::Deployment(d)) => d.spec.replicas,
        Some(Row::StatefulSet(set)) => set.spec.replicas,
        Some(Row::ReplicaSet(set)) => set.spec.replicas,
        _ => None,
    };
    state.prompt = Some(Prompt::replicas(object.clone(), now.unwrap_or(1)));
    Vec::new()
}

fn ask_image(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let workload = workload_of(state, object);
    match Prompt::image(&state.snapshot, &workload) {
        Some(prompt) => state.prompt = Some(prompt),
        None => state.notify(format!("{workload} has no image to set")),
    }
    Vec::new()
}

/// Every row that is shown, as a text with aligned columns.
fn save(state: &State) -> Vec<Effect> {
    let Some(View::Table(table)) = state.views.last() else { return Vec::new() };
    vec![Effect::Save { name: format!("{}.txt", table.spec.name), text: rows::as_text(&state.snapshot, table, state.now) }]
}

fn jump_to_owner(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    // A Job's CronJob acts through it, so top_owner stops at the Job; here one step up is what is asked for.
    let controller = match state.snapshot.find(object) {
        Some(Row::Pod(_) | Row::ReplicaSet(_)) | None => None,
        Some(row) => row.meta().controller().map(|owner| ObjectRef::new(&owner.kind, &object.namespace, &owner.name)),
    };
    let owner = controller.unwrap_or_else(|| workload_of(state, object));
    if owner == *object {
        state.notify(format!("{object} has no owner"));
        return Vec::new();
    }
    open::at(state, &owner)
}

fn jump_to_node(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let node = state.snapshot.pods.named(&object.namespace, &object.name).and_then(|pod| pod.node_name.clone());
    let Some(node) = node else {
        state.notify("this pod is on no node yet");
        return Vec::new();
    };
    open::at(state, &ObjectRef::new(KindId::Node.name(), "", &node))
}

/// The reasoning about the object, whether an incident is about it or not.
fn explain(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    let workload = workload_of(state, object);
    let about = |incident: &crate::diagnosis::Incident| {
        incident.objects.contains(object) || incident.workloads.contains(object) || incident.workloads.contains(&workload)
    };
    let cause = state.incidents.rows.iter().find(|row| about(&row.incident)).map(|row| row.incident.cause);
    text_view::open_trace(state, object, cause)
}

/// Keys while a filter is typed; `None` when none is.
pub fn on_filter_key(state: &mut State, key: &KeyEvent) -> Option<Vec<Effect>> {
    let hit = state.config.keymap.find(&[Place::Prompt], key).map(|h| h.action);
    let Some(View::Table(table)) = state.views.last_mut() else { return None };
    let typing = table.typing.as_mut()?;
    match hit {
        Some(Action::Accept) => table.typing = None,
        Some(Action::Cancel) => {
            table.typing = None;
            table.set_filter("");
        }
        _ => {
            typing.handle_event(&Event::Key(*key));
            let text = typing.value().to_owned();
            table.set_filter(&text);
        }
    }
    Some(Vec::new())
}
