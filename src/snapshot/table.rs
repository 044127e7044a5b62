//! Rows of one kind, sorted by namespace and name, with an index from owner to owned.
//!
//! Rules look rows up by name thousands of times a second: a look-up allocates nothing.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::index::Index;

use crate::kinds::{Kind, Meta};
use crate::text::Text;

/// Namespace and name: unique among the rows of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Empty for cluster-scoped kinds.
    pub namespace: Text,
    /// Object name.
    pub name: Text,
}

impl Key {
    /// A key from its parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    pub fn of(meta: &Meta) -> Self {
        Self { namespace: meta.namespace.clone(), name: meta.name.clone() }
    }
}

/// Namespace and name, owned or borrowed: what rows are looked up by.
trait Named {
    fn named(&self) -> (&str, &str);
}

impl Named for Key {
    fn named(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }
}

impl Named for (&str, &str) {
    fn named(&self) -> (&str, &str) {
        *self
    }
}

// As keys are ordered: namespace first.
impl Ord for dyn Named + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.named().cmp(&other.named())
    }
}

impl PartialOrd for dyn Named + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.named() == other.named()
    }
}

impl Eq for dyn Named + '_ {}

impl<'a> Borrow<dyn Named + 'a> for Key {
    fn borrow(&self) -> &(dyn Named + 'a) {
        self
    }
}

/// Rows of one kind.
#[derive(Debug, Clone)]
pub struct Table<K> {
    rows: BTreeMap<Key, Arc<K>>,
    by_owner: Index<Text, K>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), by_owner: Index::default() }
    }
}

impl<K: Kind> Table<K> {
    /// The row of that key.
    pub fn get(&self, key: &Key) -> Option<&K> {
        self.rows.get(key).map(|row| &**row)
    }

    /// The row of that key, shared.
    pub fn get_arc(&self, key: &Key) -> Option<&Arc<K>> {
        self.rows.get(key)
    }

    /// The row of that namespace and name.
    pub fn named(&self, namespace: &str, name: &str) -> Option<&K> {
        self.rows.get(&(namespace, name) as &dyn Named).map(|row| &**row)
    }

    /// Every row, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = &K> {
        self.rows.values().map(|row| &**row)
    }

    /// Every row, shared, sorted by key.
    pub fn iter_arcs(&self) -> impl Iterator<Item = &Arc<K>> {
        self.rows.values()
    }

    /// Every key, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.rows.keys()
    }

    /// The rows of one namespace, sorted by name.
    pub fn in_namespace<'a>(&'a self, namespace: &str) -> impl Iterator<Item = &'a K> + use<'a, K> {
        let from = (Bound::Included(&(namespace, "") as &dyn Named), Bound::Unbounded);
        let mut rows = self.rows.range::<dyn Named, _>(from).peekable();
        // The text of the first row serves to find the last one: most rows of a namespace share it.
        let namespace = rows.peek().map(|(key, _)| &key.namespace).filter(|found| ***found == *namespace);
        rows.take_while(move |(key, _)| namespace.is_some_and(|n| Arc::ptr_eq(n, &key.namespace) || *n == key.namespace))
            .map(|(_, row)| &**row)
    }

    /// The rows whose controller is the object of that uid, sorted by key.
    pub fn controlled_by(&self, uid: &str) -> impl Iterator<Item = &K> {
        self.by_owner.of(uid)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn insert(&mut self, row: &Arc<K>) -> Option<Arc<K>> {
        let old = self.rows.insert(Key::of(row.meta()), Arc::clone(row));
        if let Some(old) = &old {
            self.forget_owner(old);
        }
        if let Some(owner) = row.meta().controller() {
            self.by_owner.insert(&owner.uid, row);
        }
        old
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<K>> {
        let old = self.rows.remove(key)?;
        self.forget_owner(&old);
        Some(old)
    }

    fn forget_owner(&mut self, old: &K) {
        if let Some(owner) = old.meta().controller() {
            self.by_owner.remove(&owner.uid, old.meta());
        }
    }
}
