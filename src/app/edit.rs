//! Editing an object in `$EDITOR`: fetched, edited, and what changed goes through a preview like any other action.

use super::effect::Effect;
use super::preview;
use super::state::State;
use crate::actions::{Intent, Patch};
use crate::diagnosis::Risk;
use crate::kinds::ObjectRef;

/// Asks for the object's text.
pub fn start(state: &mut State, object: &ObjectRef) -> Vec<Effect> {
    if &*object.kind == "Secret" {
        state.notify("k3am writes no Secret values to a file: use kubectl edit");
        return Vec::new();
    }
    if state.is_read_only() {
        state.notify("read-only: nothing can be edited");
        return Vec::new();
    }
    vec![Effect::FetchForEdit { object: object.clone() }]
}

/// The text arrived: on to the editor.
pub fn on_text(state: &mut State, object: ObjectRef, text: Result<String, String>) -> Vec<Effect> {
    match text {
        Ok(text) => vec![Effect::Editor { object, text }],
        Err(why) => {
            state.notify(format!("cannot edit {object}: {why}"));
            Vec::new()
        }
    }
}

/// The editor ended: on to the preview.
pub fn on_edited(state: &mut State, object: ObjectRef, patch: Result<Option<String>, String>) -> Vec<Effect> {
    state.dirty = true;
    match patch {
        Ok(Some(patch)) => preview::open_intent(state, Intent::Edit { object, patch: Patch(patch) }, Risk::Disruptive),
        Ok(None) => {
            state.notify("nothing was changed");
            Vec::new()
        }
        Err(why) => {
            state.notify(why);
            Vec::new()
        }
    }
}
