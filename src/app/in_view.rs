//! Which nodes the pods are on that a person looks at, or that an incident is about: what is measured first where not all of
//! a large cluster can be.

use std::collections::HashSet;

use super::state::State;
use super::view::View;
use crate::kinds::{KindId, ObjectRef};
use crate::snapshot::Key;
use crate::text::Text;

/// Nodes named at most.
const MOST: usize = 100;
/// Rows of a table above and below the selected one that count as seen.
const AROUND: usize = 60;

/// The nodes, what is selected first, then what else is on the screen, then the other incidents.
pub fn nodes(state: &State) -> Vec<Text> {
    let mut found = Found::default();
    match state.views.last() {
        Some(View::Table(table)) => {
            found.add(state, table.spec.kind, table.object().as_slice());
            let at = table.position();
            let seen = table.index.iter().skip(at.saturating_sub(AROUND)).take(2 * AROUND);
            let objects: Vec<ObjectRef> = seen.map(|key| object(table.spec.kind, key)).collect();
            found.add(state, table.spec.kind, &objects);
        }
        Some(View::Logs) => {
            if let Some((spec, _)) = &state.follow.log {
                found.add(state, KindId::Pod, &[ObjectRef::new("Pod", &spec.namespace, &spec.pod)]);
            }
        }
        _ => {}
    }
    let selected: Vec<ObjectRef> = state.follow.pods.iter().map(|key| object(KindId::Pod, key)).collect();
    found.add(state, KindId::Pod, &selected);
    for row in &state.incidents.rows {
        if found.order.len() >= MOST {
            break;
        }
        found.add(state, KindId::Pod, &row.incident.objects);
        found.add(state, KindId::Deployment, &row.incident.workloads);
    }
    found.order.truncate(MOST);
    found.order
}

fn object(kind: KindId, key: &Key) -> ObjectRef {
    ObjectRef::new(kind.name(), &key.namespace, &key.name)
}

#[derive(Default)]
struct Found {
    order: Vec<Text>,
    known: HashSet<Text>,
}

impl Found {
    /// The nodes of pods, the nodes themselves, or those of a workload's pods.
    fn add(&mut self, state: &State, kind: KindId, objects: &[ObjectRef]) {
        for object in objects {
            if kind == KindId::Node {
                self.push(&object.name);
            } else {
                state.snapshot.pods_of(object).iter().for_each(|pod| self.push_some(pod.node_name.as_ref()));
            }
            if self.order.len() >= MOST {
                return;
            }
        }
    }

    fn push_some(&mut self, node: Option<&Text>) {
        if let Some(node) = node {
            self.push(node);
        }
    }

    fn push(&mut self, node: &Text) {
        if !node.is_empty() && self.known.insert(Text::clone(node)) {
            self.order.push(Text::clone(node));
        }
    }
}
