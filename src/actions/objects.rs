//! The full objects planners work on: fetched by the door just before planning, so that a plan is never made from old rows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Refusal;
use crate::kinds::{KindId, Meta, ObjectRef};

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObjectRequest {
    /// GET of one object. Not found is not an error: leave it out, the planner says so.
    Object(ObjectRef),
    /// LIST of `kind` in the owner's namespace; those whose controller is not the owner may be left out.
    OwnedBy {
        /// Kind of the owned objects.
        kind: KindId,
        /// Their controller.
        owner: ObjectRef,
    },
}

/// Full objects by reference. Its `Debug` names them only: they may hold passwords.
#[derive(Clone, Default, PartialEq)]
pub struct Objects {
    found: BTreeMap<ObjectRef, Value>,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.found.keys()).finish()
    }
}

impl Objects {
    /// Adds an object of that kind (items of a list do not say theirs).
    pub fn insert(&mut self, kind: &str, object: Value) {
        let text = |field: &str| object.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).unwrap_or_default();
        let key = ObjectRef::new(kind, text("namespace"), text("name"));
        self.found.insert(key, object);
    }

    /// The object, if it was fetched.
    pub fn get(&self, object: &ObjectRef) -> Option<&Value> {
        self.found.get(object)
    }

    /// The object.
    ///
    /// # Errors
    /// It is not there (any more), or is being deleted and `object` is a workload to change.
    pub fn require(&self, object: &ObjectRef) -> Result<&Value, Refusal> {
        self.get(object).ok_or_else(|| Refusal(format!("{object} is not there any more")))
    }

    /// As [`Objects::require`], for a workload that is to be changed.
    ///
    /// # Errors
    /// It is not there, or is being deleted.
    pub fn require_living(&self, object: &ObjectRef) -> Result<&Value, Refusal> {
        let found = self.require(object)?;
        if found.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
            return Err(Refusal(format!("{object} is being deleted")));
        }
        Ok(found)
    }

    /// The objects of `kind` whose controller has that uid.
    pub fn controlled_by<'a>(&'a self, kind: KindId, uid: &'a str) -> impl Iterator<Item = &'a Value> {
        let own = move |object: &&Value| {
            let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            owners.into_iter().flatten().any(|owner| owner["controller"] == Value::Bool(true) && owner["uid"] == uid)
        };
        self.found.iter().filter(move |(key, _)| &*key.kind == kind.name()).map(|(_, object)| object).filter(own)
    }
}

/// The metadata k3am reads of a full object.
pub fn meta_of(object: &Value) -> Meta {
    object.get("metadata").and_then(|meta| Meta::deserialize(meta).ok()).unwrap_or_default()
}

/// A text field by JSON pointer, or the empty string.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number by JSON pointer.
pub fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}
