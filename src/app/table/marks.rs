//! Marked rows: what is done to several at once goes through one preview, like what is done to one.
//!
//! Invariant: only rows that are shown are acted on; a filter that hides a marked row protects it.

use super::TableView;
use crate::actions::Intent;
use crate::app::effect::Effect;
use crate::app::preview;
use crate::app::state::State;
use crate::config::Action;
use crate::diagnosis::Risk;
use crate::kinds::{KindId, ObjectRef};

impl TableView {
    /// Marks the selected row or unmarks it, and goes on to the next.
    pub(super) fn mark(&mut self) {
        let Some(key) = self.selected.clone() else { return };
        if !self.marked.remove(&key) {
            self.marked.insert(key.clone());
            self.marked_last = Some(key);
        }
        self.select(self.position() + 1);
    }

    /// Marks every row from the one that was marked last to the selected one.
    pub(super) fn mark_range(&mut self) {
        let to = self.position();
        let last = self.marked_last.as_ref().and_then(|key| self.index.iter().position(|other| other == key));
        let from = last.unwrap_or(to);
        let range = from.min(to)..=from.max(to);
        self.marked.extend(range.filter_map(|at| self.index.get(at).cloned()));
        self.marked_last = self.selected.clone();
    }

    /// Forgets the marks; true when there were any.
    pub(super) fn clear_marks(&mut self) -> bool {
        self.marked_last = None;
        !std::mem::take(&mut self.marked).is_empty()
    }

    /// The marked objects that are shown, in the order of the table.
    pub fn marked_objects(&self) -> Vec<ObjectRef> {
        let shown = self.index.iter().filter(|key| self.marked.contains(*key));
        shown.map(|key| ObjectRef::new(self.spec.kind.name(), &key.namespace, &key.name)).collect()
    }
}

/// Does `action` to all marked rows; `None`: nothing is marked, or it is not done to several.
pub(super) fn on(state: &mut State, action: Action, objects: &[ObjectRef]) -> Option<Vec<Effect>> {
    if objects.is_empty() {
        return None;
    }
    let each: Vec<Intent> = match action {
        Action::Delete | Action::Kill => {
            let force = action == Action::Kill;
            objects.iter().map(|object| Intent::Delete { object: object.clone(), force }).collect()
        }
        Action::Restart => objects.iter().map(|workload| Intent::Restart { workload: workload.clone() }).collect(),
        _ => return None,
    };
    let replaced = |object: &ObjectRef| {
        let pod = state.snapshot.pods.named(&object.namespace, &object.name);
        &*object.kind == KindId::Pod.name() && pod.is_some_and(|pod| pod.meta.controller().is_some())
    };
    let comes_back = action == Action::Restart || action == Action::Delete && objects.iter().all(replaced);
    let risk = if comes_back { Risk::Disruptive } else { Risk::Destructive };
    Some(preview::open_intent(state, Intent::Several(each), risk))
}
