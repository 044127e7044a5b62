//! Rows found by something they name: their owner, their node, the object they are about.
//!
//! Invariant: the rows of one place are sorted by key, each once. They are shared with the table, so that reading them needs no
//! second look-up and a pod costs an index no more than a pointer.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::kinds::{Kind, Meta};

/// Rows by `P`.
#[derive(Debug, Clone)]
pub(super) struct Index<P, K>(HashMap<P, Vec<Arc<K>>, foldhash::fast::RandomState>);

impl<P, K> Default for Index<P, K> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<P: Hash + Eq + Clone, K: Kind> Index<P, K> {
    /// The rows of that place, sorted by key.
    pub(super) fn of<Q: Hash + Eq + ?Sized>(&self, place: &Q) -> impl Iterator<Item = &K> + use<'_, P, K, Q>
    where
        P: Borrow<Q>,
    {
        self.0.get(place).into_iter().flatten().map(|row| &**row)
    }

    /// Adds a row, in place of one with the same key.
    pub(super) fn insert(&mut self, place: &P, row: &Arc<K>) {
        let rows = match self.0.get_mut(place) {
            Some(rows) => rows,
            None => self.0.entry(place.clone()).or_default(),
        };
        match find(rows, row.meta()) {
            Ok(at) => {
                if let Some(known) = rows.get_mut(at) {
                    *known = Arc::clone(row);
                }
            }
            Err(at) => rows.insert(at, Arc::clone(row)),
        }
    }

    /// Removes the row with that key.
    pub(super) fn remove(&mut self, place: &P, meta: &Meta) {
        let Some(rows) = self.0.get_mut(place) else { return };
        if let Ok(at) = find(rows, meta) {
            rows.remove(at);
        }
        if rows.is_empty() {
            self.0.remove(place);
        }
    }
}

/// Where the row of that key is, or belongs.
fn find<K: Kind>(rows: &[Arc<K>], meta: &Meta) -> Result<usize, usize> {
    rows.binary_search_by(|row| {
        let known = row.meta();
        known.namespace.cmp(&meta.namespace).then_with(|| known.name.cmp(&meta.name))
    })
}
