//! Rows of one kind, sorted by namespace and name, with an index from owner to owned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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

/// Rows of one kind.
#[derive(Debug, Clone)]
pub struct Table<K> {
    rows: BTreeMap<Key, Arc<K>>,
    by_owner: HashMap<Text, BTreeSet<Key>>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), by_owner: HashMap::new() }
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
        self.get(&Key::new(namespace, name))
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
        let namespace: Text = namespace.into();
        self.rows.range(Key::new(&namespace, "")..).take_while(move |(key, _)| key.namespace == namespace).map(|(_, row)| &**row)
    }

    /// The rows whose controller is the object of that uid, sorted by key.
    pub fn controlled_by(&self, uid: &str) -> impl Iterator<Item = &K> {
        self.by_owner.get(uid).into_iter().flatten().filter_map(|key| self.get(key))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn insert(&mut self, row: Arc<K>) -> Option<Arc<K>> {
        let key = Key::of(row.meta());
        let owner = row.meta().controller().map(|o| o.uid.clone());
        let old = self.rows.insert(key.clone(), row);
        if let Some(old) = &old {
            self.forget_owner(old, &key);
        }
        if let Some(owner) = owner {
            self.by_owner.entry(owner).or_default().insert(key);
        }
        old
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<K>> {
        let old = self.rows.remove(key)?;
        self.forget_owner(&old, key);
        Some(old)
    }

    fn forget_owner(&mut self, old: &K, key: &Key) {
        let Some(owner) = old.meta().controller() else { return };
        if let Some(set) = self.by_owner.get_mut(&owner.uid) {
            set.remove(key);
            if set.is_empty() {
                self.by_owner.remove(&owner.uid);
            }
        }
    }
}
